//! `#[tokio::main]` wants an `async fn`, and has to come first.

use spanring::span_fn;

#[span_fn]
#[tokio::main(flavor = "current_thread")]
async fn main() {}
