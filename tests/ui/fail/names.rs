//! Names that are none, or too many.

use spanring::span_fn;

const NAME: &str = "name";

#[span_fn("")]
async fn empty() {}

#[span_fn(NAME)]
async fn constant() {}

#[span_fn(concat!("a", "b"))]
async fn concatenated() {}

#[span_fn(b"bytes")]
async fn bytes() {}

#[span_fn(7)]
async fn number() {}

#[span_fn("one", "two")]
async fn two_names() {}

fn main() {
    let _ = (empty(), constant(), concatenated(), bytes(), number(), two_names());
}
