//! One span in each of the ways that spanring has; and the same code without.

use super::{poll_each, run_each};
use spanring::prelude::*;
use std::hint::black_box;
use std::sync::LazyLock;

/// Names of 20 bytes, a different one for each span in a row.
pub static NAMES: LazyLock<[String; 256]> =
    LazyLock::new(|| std::array::from_fn(|number| format!("GET /users/{number:09}")));

/// The future itself.
#[inline(never)]
pub fn bare_async(spans: u64) {
    poll_each(spans, |number| async move { black_box(number) });
}

/// The scope itself.
#[inline(never)]
pub fn bare_sync(spans: u64) {
    run_each(spans, |number| {
        black_box(number);
    });
}

/// A static site.
#[inline(never)]
pub fn async_static(spans: u64) {
    static_span_desc!(SITE, "async static");
    poll_each(spans, |number| async move { black_box(number) }.instrument(&SITE));
}

/// A static name.
#[inline(never)]
pub fn async_named(spans: u64) {
    poll_each(spans, |number| instrument_named!(async move { black_box(number) }, "async named"));
}

/// A borrowed name, another one each time. Formatting it is not part of it.
#[inline(never)]
pub fn async_run_time_name(spans: u64) {
    let names = &*NAMES;
    poll_each(spans, |number| {
        let name = &names[number as usize % names.len()];
        instrument_named_dyn!(async move { black_box(number) }, name.as_str())
    });
}

/// A static name, and an attribute that is a number.
#[inline(never)]
pub fn async_attribute(spans: u64) {
    poll_each(spans, |number| span_async_named!("async attribute", number = number, async move { black_box(number) }));
}

/// A thread span at a static site.
#[inline(never)]
pub fn sync_static(spans: u64) {
    run_each(spans, |number| {
        span_scope!("sync static");
        black_box(number);
    });
}

/// A thread span with a static name.
#[inline(never)]
pub fn sync_named(spans: u64) {
    run_each(spans, |number| {
        span_scope_named!("sync named");
        black_box(number);
    });
}
