//! What `#[span_fn]` records, and that a function keeps its meaning under it. These tests run in edition 2024, as tests
//! of this crate, and in edition 2021, as tests of `spanring-edition-2021`.

#![deny(warnings)]
#![warn(clippy::pedantic)]

#[path = "span_fn/drop_order.rs"]
mod drop_order;
#[path = "span_fn/results.rs"]
mod results;
#[path = "span_fn/returned_futures.rs"]
mod returned_futures;
#[path = "span_fn/send.rs"]
mod send;
#[path = "span_fn/shapes_of_functions.rs"]
mod shapes_of_functions;
#[path = "span_fn/spans.rs"]
mod spans;
#[path = "span_fn/traits.rs"]
mod traits;

use std::cell::RefCell;
use std::fmt::Display;
use std::future::Future;
use std::pin::{Pin, pin};
use std::sync::{Arc, Mutex};
use std::task::{Context, Poll, Waker};

use spanring::span_fn;
use spanring::testing::{Recorded, TestSpan, record, record_future};

/// The span tree of `function`, called and run to its end.
fn tree(function: impl AsyncFnOnce()) -> String {
    recorded(function).tree()
}

/// Its topmost spans.
fn spans(function: impl AsyncFnOnce()) -> Vec<TestSpan> {
    recorded(function).spans
}

fn recorded(function: impl AsyncFnOnce()) -> Recorded<()> {
    let mut recorded = pin!(record_future(async { function().await }));
    let mut context = Context::from_waker(Waker::noop());
    loop {
        if let Poll::Ready(recorded) = recorded.as_mut().poll(&mut context) {
            return recorded;
        }
    }
}

/// Gives way once, so that the future is polled a second time.
async fn give_way() {
    let mut given = false;
    std::future::poll_fn(|context| {
        if std::mem::replace(&mut given, true) {
            return Poll::Ready(());
        }
        context.waker().wake_by_ref();
        Poll::Pending
    })
    .await;
}
