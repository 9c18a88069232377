//! What is recorded is chosen while the program runs.

#![cfg(feature = "enable")]

mod common;

use common::{Contents, NEVER, exclusive, give_way, poll_once, run};
use spanring::prelude::*;
use spanring::reader::Phase;
use spanring::{Builder, Recorder, RecorderGuard};
use std::pin::pin;

fn in_memory() -> Builder {
    Recorder::builder().memory().flush_interval(NEVER)
}

/// Stops, and returns what was recorded.
fn contents_of(recorder: RecorderGuard) -> Contents {
    let memory = recorder.memory().unwrap().clone();
    recorder.stop().unwrap();
    let contents = Contents::of_memory(&memory.bytes());
    contents.check_whole();
    contents
}

/// The names of the spans that began, in that order.
fn names_of(contents: &Contents) -> Vec<&str> {
    let begins = contents.spans().filter(|record| record.phase == Phase::Begin);
    begins.map(|record| record.name.as_str()).collect()
}

fn span(name: &'static str) {
    run(span_async_named!(name, async {}));
}

#[test]
fn while_it_is_paused_no_span_begins_and_no_name_is_evaluated() {
    let _turn = exclusive();
    let recorder = in_memory().start().unwrap();
    span("before");
    recorder.pause();
    assert!(!spanring::is_recording());
    span("meanwhile");
    run(span_async_named!(String::from(unreachable_name()), async {}));
    {
        span_scope!("meanwhile");
        span_scope_named!("meanwhile");
    }
    recorder.resume();
    assert!(spanring::is_recording());
    span("after");
    assert_eq!(names_of(&contents_of(recorder)), ["before", "after"]);
}

fn unreachable_name() -> &'static str {
    panic!("a name is evaluated only while somebody records")
}

#[test]
fn spans_that_are_open_at_a_pause_end_and_what_they_make_later_are_their_children() {
    let _turn = exclusive();
    let recorder = in_memory().start().unwrap();
    let mut outer = pin!(span_async_named!("outer", async {
        give_way().await;
        span("meanwhile");
        instant!("meanwhile");
        counter!("meanwhile", 1);
        current_span().record("while paused", true);
        give_way().await;
        span("after");
    }));
    assert!(poll_once(outer.as_mut()).is_pending());
    let mut dropped = Box::pin(span_async_named!("dropped", give_way()));
    assert!(poll_once(dropped.as_mut()).is_pending());
    let id = spanring::dispatch::on_begin_async_scope(&BY_HAND, 0, 0);
    {
        span_scope!("scope");
        recorder.pause();
    }
    spanring::dispatch::on_end_async_scope(id, 0, &BY_HAND, 0);
    drop(dropped);
    assert!(poll_once(outer.as_mut()).is_pending());
    recorder.resume();
    assert!(poll_once(outer.as_mut()).is_ready());

    let contents = contents_of(recorder);
    assert_eq!(names_of(&contents), ["outer", "dropped", "by hand", "scope", "after"]);
    assert_eq!(contents.spans().filter(|record| record.phase == Phase::End).count(), 5);
    let (outer, _) = contents.span("outer");
    let (after, _) = contents.span("after");
    assert_eq!((after.parent, after.depth), (outer.span_id, 1));
}

static_span_desc!(BY_HAND, "by hand");

#[test]
fn a_future_wrapped_during_a_pause_stands_in_no_span() {
    let _turn = exclusive();
    static_span_desc!(STATIC, "static");
    let recorder = in_memory().start().unwrap();
    run(span_async_named!("outer", async {
        recorder.pause();
        let early = async {}.instrument(&STATIC);
        recorder.resume();
        early.await;
    }));
    let contents = contents_of(recorder);
    let (begin, end) = contents.span("static");
    assert_eq!((begin.parent, begin.depth, end.parent), (0, 0, 0));
}

#[test]
fn the_health_says_that_it_is_paused() {
    let _turn = exclusive();
    assert!(!spanring::pause(), "there is nothing to pause");
    let recorder = in_memory().start().unwrap();
    assert!(spanring::pause());
    let health = recorder.health();
    assert_eq!((health.recording, health.paused, health.is_good()), (false, true, false));
    assert!(health.to_string().starts_with("paused: "));
    assert!(spanring::resume());
    let health = recorder.health();
    assert_eq!((health.recording, health.paused), (true, false));
    recorder.pause();
    let health = recorder.stop().unwrap();
    assert_eq!((health.recording, health.paused), (false, false));
}

#[test]
fn a_recorder_that_is_started_after_a_paused_one_records() {
    let _turn = exclusive();
    let first = in_memory().start().unwrap();
    first.pause();
    drop(first);
    let second = in_memory().start().unwrap();
    span("span");
    assert_eq!(names_of(&contents_of(second)), ["span"]);
}
