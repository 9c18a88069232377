//! Spans one after another, each with its own future or scope.

use std::future::Future;
use std::hint::black_box;
use std::pin::pin;
use std::task::{Context, Waker};

/// Creates, polls and drops one future after another.
#[inline(always)]
pub fn poll_each<F: Future>(spans: u64, make: impl Fn(u64) -> F) {
    let mut context = Context::from_waker(Waker::noop());
    for number in 0..spans {
        let mut future = pin!(make(black_box(number)));
        // As in a task, the future is in memory, and the compiler does not know the state it is in.
        let future = black_box(future.as_mut());
        let _ = black_box(future.poll(&mut context));
    }
}

/// Runs a scope again and again.
#[inline(always)]
pub fn run_each(spans: u64, scope: impl Fn(u64)) {
    for number in 0..spans {
        scope(black_box(number));
    }
}
