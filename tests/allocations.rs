//! Once a thread and a call site have been seen, recording allocates nothing: not even when its ring is full.

#![cfg(feature = "enable")]

mod common;

use common::{NEVER, exclusive, give_way, poll_once};
use spanring::prelude::*;
use spanring::{Builder, Discipline, Recorder, Sampling};
use std::alloc::{GlobalAlloc, Layout, System};
use std::cell::Cell;
use std::pin::pin;
use std::sync::Arc;

/// Counts the allocations of each thread.
struct Counting;

thread_local! {
    static ALLOCATIONS: Cell<u64> = const { Cell::new(0) };
}

fn count() {
    ALLOCATIONS.with(|allocations| allocations.set(allocations.get() + 1));
}

// SAFETY: everything is left to the system's allocator; this only counts, in a cell that needs no allocation itself.
unsafe impl GlobalAlloc for Counting {
    unsafe fn alloc(&self, layout: Layout) -> *mut u8 {
        count();
        // SAFETY: as our caller promises.
        unsafe { System.alloc(layout) }
    }

    unsafe fn alloc_zeroed(&self, layout: Layout) -> *mut u8 {
        count();
        // SAFETY: as our caller promises.
        unsafe { System.alloc_zeroed(layout) }
    }

    unsafe fn realloc(&self, pointer: *mut u8, layout: Layout, size: usize) -> *mut u8 {
        count();
        // SAFETY: as our caller promises.
        unsafe { System.realloc(pointer, layout, size) }
    }

    unsafe fn dealloc(&self, pointer: *mut u8, layout: Layout) {
        // SAFETY: as our caller promises.
        unsafe { System.dealloc(pointer, layout) }
    }
}

#[global_allocator]
static ALLOCATOR: Counting = Counting;

/// Allocations of this thread in `work`.
fn allocations(work: impl FnOnce()) -> u64 {
    let before = ALLOCATIONS.get();
    work();
    ALLOCATIONS.get() - before
}

/// Polls to the end, without an allocation of its own.
fn finish(future: impl Future) {
    let mut future = pin!(future);
    while poll_once(future.as_mut()).is_pending() {}
}

#[span_fn]
fn by_attribute() {}

#[span_fn]
async fn by_async_attribute() {
    give_way().await;
}

/// A span of every kind, with every kind of name.
fn every_kind(text: &str, shared: &Arc<str>) {
    static_span_desc!(SITE, "static");
    static_span_location!(HERE);
    finish(give_way().instrument(&SITE));
    finish(span_async_named!("named", give_way()));
    finish(give_way().instrument_named(&HERE, "by method"));
    finish(spanring::spans::span_async_named("by function", give_way()));
    finish(span_async_named_dyn!(text, give_way()));
    finish(span_async_named!(Arc::clone(shared), give_way()));
    finish(by_async_attribute());
    // One that is cancelled.
    let mut cancelled = pin!(span_async_named!("cancelled", std::future::pending::<()>()));
    assert!(poll_once(cancelled.as_mut()).is_pending());
    span_scope!("scope");
    span_scope_named!("named scope");
    span_scope_named_dyn!(text);
    by_attribute();
    // What goes with spans.
    finish(span_async_named!("with attributes", a = 1, b = "static", c = text, d = 0.5, async {
        current_span().record("e", true).record("f", text);
        instant!("instant", g = text.len(), h = Arc::clone(shared));
        instant!(Arc::clone(shared));
        counter!("counter", text.len());
    }));
    finish(instrument_named!(async { Err::<(), _>(text) }, "failed", |out, span| {
        span.record("error", out.unwrap_err()).fail();
    }));
    finish(instrument_named!(async { Err::<(), _>(text) }, "error", err));
    span_scope!("scope with attributes", i = 2, j = text);
    span_guard!("guard", k = false).record("l", text);
}

/// Records every kind of span ten thousand times with `builder`, and counts what that allocates but for the first time.
fn allocations_with(builder: Builder) -> (u64, spanring::Health) {
    let _turn = exclusive();
    let recorder = builder.start().unwrap();
    let text = "a name of run time that takes more than one slot of fifty-six bytes to write down";
    let shared = Arc::from(text);
    every_kind(text, &shared);
    let allocations = allocations(|| (0..10_000).for_each(|round| every_kind(&text[round % 8..], &shared)));
    (allocations, recorder.stop().unwrap())
}

#[test]
fn recording_to_memory_allocates_nothing_on_the_recording_thread() {
    let (allocations, health) = allocations_with(Recorder::builder().memory());
    assert_eq!((allocations, health.refused), (0, 0));
}

#[test]
fn recording_to_files_allocates_nothing_on_the_recording_thread() {
    let directory = tempfile::tempdir().unwrap();
    let (allocations, health) = allocations_with(Recorder::builder().directory(directory.path()));
    assert_eq!((allocations, health.unmapped_rings), (0, 0));
}

#[test]
fn a_full_ring_allocates_nothing() {
    let (allocations, health) = allocations_with(Recorder::builder().memory().ring_bytes(4096).flush_interval(NEVER));
    assert_eq!(allocations, 0);
    assert!(health.lost > 100_000, "{health}");
}

#[test]
fn a_ring_that_comes_round_allocates_nothing() {
    let builder = Recorder::builder().memory().ring_bytes(4096).discipline(Discipline::Flight);
    let (allocations, health) = allocations_with(builder);
    assert_eq!(allocations, 0);
    assert!(health.lost > 100_000, "{health}");
}

#[test]
fn asking_a_filter_allocates_nothing() {
    for (filter, is_recorded) in
        [("off", false), ("tests/allocations.rs=off,name:other=off", false), ("name:named=off", true)]
    {
        let builder = Recorder::builder().memory().filter(filter.parse().unwrap());
        let (allocations, health) = allocations_with(builder);
        assert_eq!(allocations, 0);
        // Counters are not filtered.
        assert_eq!(health.flushed + health.lost > 2 * 10_001, is_recorded, "{filter}: {health}");
    }
}

#[test]
fn what_is_not_sampled_allocates_nothing() {
    for (share, is_recorded) in [(Sampling::NONE, false), (Sampling::share(0.5), true)] {
        let (allocations, health) = allocations_with(Recorder::builder().memory().sampling(share));
        assert_eq!(allocations, 0);
        assert!(health.unsampled > 1_000, "{health}");
        // As with a filter.
        assert_eq!(health.flushed + health.lost > 2 * 10_001, is_recorded, "{share}: {health}");
    }
}

#[test]
fn without_a_recorder_nothing_is_allocated_either() {
    let _turn = exclusive();
    let shared: Arc<str> = Arc::from("shared");
    assert_eq!(allocations(|| (0..100).for_each(|_| every_kind("text", &shared))), 0);
}

#[test]
fn the_first_event_of_a_thread_does_allocate() {
    let _turn = exclusive();
    let _recorder = Recorder::builder().memory().start().unwrap();
    assert!(allocations(by_attribute) > 0, "this test counts allocations");
}
