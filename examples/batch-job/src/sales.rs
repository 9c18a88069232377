//! What is in a file: a line for each sale, `product,cents`.

use spanring::prelude::*;
use std::collections::BTreeMap;
use std::fmt;
use std::io;
use std::path::Path;

/// What was sold of each product, in cents.
pub type Sums = BTreeMap<String, u64>;

/// Why the sales in a file cannot be added up.
#[derive(Debug)]
pub enum SalesError {
    /// It cannot be read.
    Read(io::Error),
    /// A line, counted from 1, is no sale.
    Line(usize, String),
}

impl fmt::Display for SalesError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            SalesError::Read(error) => error.fmt(f),
            SalesError::Line(number, line) => write!(f, "line {number} is no sale: {line:?}"),
        }
    }
}

impl std::error::Error for SalesError {}

/// The sums of a file.
///
/// # Errors
/// If the file cannot be read, or a line of it is no sale.
pub fn add_up(path: &Path) -> Result<Sums, SalesError> {
    let text = read(path)?;
    parse(&text)
}

#[span_fn(err)]
fn read(path: &Path) -> Result<String, SalesError> {
    std::fs::read_to_string(path).map_err(SalesError::Read)
}

#[span_fn(fields(bytes = text.len()), err)]
fn parse(text: &str) -> Result<Sums, SalesError> {
    let mut sums = Sums::new();
    for (line, number) in text.lines().zip(1..) {
        let Some((product, cents)) = sale(line) else {
            instant!("not a sale", line = number);
            return Err(SalesError::Line(number, line.to_owned()));
        };
        *sums.entry(product.to_owned()).or_default() += cents;
    }
    Ok(sums)
}

fn sale(line: &str) -> Option<(&str, u64)> {
    let (product, cents) = line.split_once(',')?;
    Some((product, cents.parse().ok()?))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn sales_of_a_product_are_added_up() {
        let sums = parse("tea,100\ncoffee,250\ntea,50\n").unwrap();
        assert_eq!(sums, Sums::from([("coffee".to_owned(), 250), ("tea".to_owned(), 150)]));
    }

    #[test]
    fn a_line_that_is_no_sale_is_named() {
        for (text, number) in [("tea", 1), ("tea,1\ntea,x", 2), ("tea,1\n\ntea,1", 2), ("tea,-1", 1)] {
            assert!(matches!(parse(text), Err(SalesError::Line(line, _)) if line == number), "{text}");
        }
    }
}
