//! A `const fn` may run at compile time, when there is nothing to record into.

use spanring::span_fn;

#[span_fn]
const fn double(number: u32) -> u32 {
    number * 2
}

const FOUR: u32 = double(2);

fn main() {
    assert_eq!(FOUR, 4);
}
