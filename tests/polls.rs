//! `Builder::measure_polls`: when futures were created, and each of their polls.

#![cfg(feature = "enable")]

mod common;

use common::{Contents, Item, Record, exclusive};
use spanring::Recorder;
use spanring::prelude::*;
use spanring::reader::{Outcome, PollRecord};
use std::future::{Future, poll_fn};
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::pin::pin;
use std::task::{Context, Poll, Waker};

/// A future that is ready at its `polls`-th poll.
fn ready_at(polls: u32) -> impl Future<Output = ()> {
    let mut left = polls;
    poll_fn(move |_| {
        left -= 1;
        if left == 0 { Poll::Ready(()) } else { Poll::Pending }
    })
}

/// Polls so many times, and drops the future.
fn polled(future: impl Future, times: u32) {
    let mut future = pin!(future);
    let mut context = Context::from_waker(Waker::noop());
    (0..times).for_each(|_| drop(future.as_mut().poll(&mut context)));
}

/// What is recorded of one span: its begin, its polls, its end.
fn recorded(measure: bool, act: impl FnOnce()) -> (Record, Vec<PollRecord>, Record) {
    let recorder = Recorder::builder().memory().measure_polls(measure).start().unwrap();
    let memory = recorder.memory().unwrap().clone();
    act();
    recorder.stop().unwrap();
    let contents = Contents::of_memory(&memory.bytes());
    contents.check_whole();
    let mut records = contents.spans().cloned().collect::<Vec<_>>().into_iter();
    let (begin, end) = (records.next().unwrap(), records.next().unwrap());
    assert!(records.next().is_none() && begin.outcome.is_none());
    let polls = contents.items.iter().filter_map(|item| if let Item::Poll(poll) = item { Some(*poll) } else { None });
    (begin, polls.collect(), end)
}

#[test]
fn each_poll_is_recorded_with_its_number_and_in_its_time() {
    let _turn = exclusive();
    let (begin, polls, end) = recorded(true, || polled(span_async_named!("work", ready_at(3)), 3));
    assert!(begin.created_unix_ns.is_some_and(|created| created <= begin.unix_ns));
    assert_eq!(polls.iter().map(|poll| poll.number).collect::<Vec<_>>(), [1, 2, 3]);
    assert!(polls.iter().all(|poll| poll.span_id == begin.span_id && poll.begin_unix_ns <= poll.unix_ns));
    assert!(polls.windows(2).all(|pair| pair[0].unix_ns <= pair[1].begin_unix_ns));
    assert_eq!(polls[0].begin_unix_ns, begin.unix_ns, "a span begins with its first poll");
    assert!(polls[2].unix_ns <= end.unix_ns);
    assert_eq!((end.outcome, end.polls), (Some(Outcome::Completed), 3));
}

#[test]
fn a_run_time_name_makes_no_difference() {
    let _turn = exclusive();
    let (begin, polls, end) = recorded(true, || polled(span_async_named!("x".repeat(100), ready_at(2)), 2));
    assert!(begin.created_unix_ns.is_some());
    assert_eq!((polls.len(), end.polls), (2, 2));
}

#[test]
fn a_cancelled_future_leaves_the_polls_that_it_had() {
    let _turn = exclusive();
    let (_, polls, end) = recorded(true, || polled(span_async_named!("work", ready_at(9)), 2));
    assert_eq!((polls.len(), end.outcome, end.polls), (2, Some(Outcome::Cancelled), 2));
}

#[test]
fn a_poll_that_panics_is_one() {
    let _turn = exclusive();
    let (_, polls, end) = recorded(true, || {
        let future = span_async_named!("work", async { panic!("expected") });
        assert!(catch_unwind(AssertUnwindSafe(|| polled(future, 1))).is_err());
    });
    assert_eq!((polls.len(), end.outcome, end.polls), (1, Some(Outcome::Panicked), 1));
}

#[test]
fn nothing_of_it_is_recorded_unless_asked() {
    let _turn = exclusive();
    let (begin, polls, end) = recorded(false, || polled(span_async_named!("work", ready_at(3)), 3));
    assert_eq!((begin.created_unix_ns, polls.len(), end.polls), (None, 0, 3));
}
