//! Without the feature `enable`: `cargo test -p spanring --no-default-features --test compiled_out`.

#![cfg(not(feature = "enable"))]

use spanring::prelude::*;
use std::mem::size_of_val;

#[test]
fn a_wrapped_future_is_no_larger_than_the_future() {
    static_span_desc!(SITE, "static");
    static_span_location!(HERE);
    let work = |number: u64| async move { std::future::ready(number).await + number };
    let bare = size_of_val(&work(1));
    assert!(bare > 0);
    assert_eq!(size_of_val(&work(1).instrument(&SITE)), bare);
    assert_eq!(size_of_val(&work(1).instrument_named(&HERE, "named")), bare);
    assert_eq!(size_of_val(&span_async_named!(format!("run-time {bare}"), work(1))), bare);
    assert_eq!(size_of_val(&spanring::spans::span_async_named("function", work(1))), bare);
}

#[test]
fn a_scope_takes_no_room() {
    static_span_desc!(SITE, "static");
    static_span_location!(HERE);
    assert_eq!(size_of_val(&spanring::spans::ThreadSpanGuard::new(&SITE)), 0);
    assert_eq!(size_of_val(&spanring::spans::ThreadSpanGuard::named(&HERE, Some("named"))), 0);
}
