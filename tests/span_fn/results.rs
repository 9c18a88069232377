//! What a span says of a function's arguments and result.

use super::*;
use spanring::reader::Outcome;

#[span_fn(err)]
async fn parses(text: &str) -> Result<u32, std::num::ParseIntError> {
    let number = text.parse::<u32>()?;
    Ok(number + 1)
}

#[span_fn("plain", err)]
fn parses_here(text: &str) -> Result<&str, String> {
    if text.is_empty() {
        return Err("nothing".to_owned());
    }
    text.strip_prefix("x").ok_or_else(|| format!("no x in {text}"))
}

#[span_fn(err, fields(length = text.len()))]
fn returns_a_future(text: String) -> impl Future<Output = Result<String, ()>> {
    std::future::ready(if text.len() > 3 { Ok(text) } else { Err(()) })
}

#[span_fn(err)]
fn returns_a_box(good: bool) -> Pin<Box<dyn Future<Output = Result<bool, bool>> + Send>> {
    Box::pin(async move { if good { Ok(good) } else { Err(good) } })
}

#[test]
fn a_result_that_is_an_err_is_a_failed_span() {
    async fn all() {
        assert_eq!(parses("1").await, Ok(2));
        assert!(parses("x").await.is_err());
        assert_eq!(parses_here("xy"), Ok("y"));
        assert_eq!(parses_here(""), Err("nothing".to_owned()));
        assert_eq!(parses_here("y"), Err("no x in y".to_owned()));
        assert!(returns_a_future("long".to_owned()).await.is_ok());
        assert!(returns_a_future("no".to_owned()).await.is_err());
        assert_eq!((returns_a_box(true).await, returns_a_box(false).await), (Ok(true), Err(false)));
    }
    let outcomes: Vec<(String, Outcome)> =
        spans(all).into_iter().map(|span| (span.name, span.outcome.expect("it ended"))).collect();
    let expected = [
        ("parses", Outcome::Completed),
        ("parses", Outcome::Failed),
        ("plain", Outcome::Completed),
        ("plain", Outcome::Failed),
        ("plain", Outcome::Failed),
        ("returns_a_future", Outcome::Completed),
        ("returns_a_future", Outcome::Failed),
        ("returns_a_box", Outcome::Completed),
        ("returns_a_box", Outcome::Failed),
    ];
    assert_eq!(outcomes, expected.map(|(name, outcome)| (name.to_owned(), outcome)));
}

struct Store {
    size: u64,
}

impl Store {
    #[span_fn(fields(store.size = self.size, key = key, kind = "by key"))]
    async fn get(&mut self, key: u64) -> u64 {
        self.size += key;
        self.size
    }

    #[span_fn(fields(key = key))]
    fn put(&mut self, key: &str) {
        self.size += key.len() as u64;
    }
}

#[test]
fn fields_see_the_arguments_and_are_attributes_of_the_span() {
    async fn both() {
        let mut store = Store { size: 3 };
        assert_eq!(store.get(4).await, 7);
        store.put("key");
        assert_eq!(store.size, 10);
    }
    let attributes: Vec<_> = spans(both).into_iter().map(|span| span.attributes).collect();
    let of_get = [("store.size", "3"), ("key", "4"), ("kind", "by key")].map(owned);
    assert_eq!(attributes, [of_get.to_vec(), vec![owned(("key", "key"))]]);
}

fn owned((key, value): (&str, &str)) -> (String, String) {
    (key.to_owned(), value.to_owned())
}
