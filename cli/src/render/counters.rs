//! `spanring counters` as text.

use super::{incomplete, wrapped};
use crate::counters::{CountersReport, Number};
use crate::text::{Fit, Table, clean, count};

/// A row for each counter, lines no wider than `width`.
///
/// ```
/// use spanring_cli::{counters::CountersReport, render};
///
/// assert_eq!(render::counters(&CountersReport::default(), None), "0 values of 0 counters\n");
/// ```
pub fn counters(report: &CountersReport, width: Option<usize>) -> String {
    let mut text = String::new();
    if !report.counters.is_empty() {
        let mut table = Table::new(&[
            ("counter", Fit::Middle(8)),
            ("count", Fit::Number),
            ("min", Fit::Number),
            ("mean", Fit::Number),
            ("max", Fit::Number),
            ("last", Fit::Number),
        ]);
        for row in &report.counters {
            let number = |number: Option<Number>| number.map_or("-".to_owned(), short);
            table.row(vec![
                clean(&row.name).into_owned(),
                row.count.to_string(),
                number(row.min),
                row.mean.map_or("-".to_owned(), |mean| short(Number::Float(mean))),
                number(row.max),
                number(row.last),
            ]);
        }
        text.push_str(&table.render(width));
    }
    let values = report.counters.iter().map(|row| row.count).sum();
    text.push_str(&wrapped(
        &format!("{} of {}", count(values, "value"), count(report.counters.len() as u64, "counter")),
        width,
    ));
    if let Some(note) = incomplete(report.lost_records, report.damaged, ", so values may be missing") {
        text.push_str(&wrapped(&note, width));
    }
    text
}

/// An integer whole, a fraction with six significant digits.
fn short(number: Number) -> String {
    match number {
        Number::Integer(value) => value.to_string(),
        Number::Float(value) if value == value.trunc() && value.abs() < 1e15 => format!("{value}"),
        Number::Float(value) if (1e-3..1e9).contains(&value.abs()) => {
            let decimals = (5 - value.abs().log10().floor() as i32).clamp(0, 9) as usize;
            let text = format!("{value:.decimals$}");
            if decimals > 0 { text.trim_end_matches('0').trim_end_matches('.').to_owned() } else { text }
        }
        Number::Float(value) => format!("{value:.5e}"),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_fraction_has_six_digits_and_an_integer_all() {
        let cases = [
            (Number::Integer(u64::MAX.into()), "18446744073709551615"),
            (Number::Float(0.5), "0.5"),
            (Number::Float(-2.0), "-2"),
            (Number::Float(1.0 / 3.0), "0.333333"),
            (Number::Float(12_345.678_9), "12345.7"),
            (Number::Float(1_234_567.8), "1234568"),
            (Number::Float(1.234e-9), "1.23400e-9"),
            (Number::Float(f64::INFINITY), "inf"),
        ];
        for (number, text) in cases {
            assert_eq!(short(number), text);
        }
    }
}
