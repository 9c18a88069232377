//! Arguments that do not exist, or are given twice, or are written in another way.

use spanring::span_fn;

#[span_fn(naem = "x")]
async fn misspelt() {}

#[span_fn("name", level = 3)]
async fn unknown() {}

#[span_fn(crate = spanring, crate = spanring)]
async fn twice() {}

#[span_fn(crate = "my::spanring")]
async fn quoted() {}

#[span_fn(crate = my::Spanring<u32>)]
async fn no_module_path() {}

#[span_fn("name" crate = spanring)]
async fn no_comma() {}

fn main() {
    let _ = (misspelt(), unknown(), twice(), quoted(), no_module_path(), no_comma());
}
