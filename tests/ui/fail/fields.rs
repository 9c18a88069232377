//! Fields and `err` in another way, or where there is no result.

use spanring::span_fn;

#[span_fn(fields(a))]
async fn no_value(a: u32) -> u32 {
    a
}

#[span_fn(fields(a = 1), fields(b = 2))]
async fn twice() {}

#[span_fn(err, err)]
async fn err_twice() -> Result<(), ()> {
    Ok(())
}

#[span_fn(err = true)]
async fn err_with_a_value() -> Result<(), ()> {
    Ok(())
}

fn main() {
    drop((no_value(1), twice(), err_twice(), err_with_a_value()));
}
