//! Waiting for room in a full ring, where the recorder was told to: bounded, and not where nobody may wait.

#![cfg(feature = "enable")]

mod common;

use common::{Contents, NEVER, exclusive, run};
use spanring::prelude::*;
use spanring::sink::{Block, Sink};
use spanring::{Builder, Discipline, Recorder, StartError};
use std::io;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

const SPANS_IN_A_RING: usize = 32;
/// More than a ring holds, by far; by less in an interpreter.
const MANY: usize = if cfg!(miri) { 70 } else { 1000 };

/// Rings of 64 slots, and nothing is flushed before somebody asks.
fn small() -> Builder {
    Recorder::builder().ring_bytes(4096).flush_interval(NEVER)
}

fn spans(count: usize) {
    (0..count).for_each(|_| run(span_async_named!("span", async {})));
}

/// A sink that has failed, until it is told otherwise.
struct Failing;

static WORKS: AtomicBool = AtomicBool::new(true);

impl Sink for Failing {
    fn write(&mut self, _: Block<'_>) -> io::Result<()> {
        if WORKS.load(Ordering::Relaxed) { Ok(()) } else { Err(io::Error::other("told to")) }
    }

    fn finish(&mut self) -> io::Result<()> {
        Ok(())
    }
}

#[test]
#[cfg_attr(miri, ignore = "a second is too short where the clock counts steps")]
fn a_thread_that_may_wait_loses_nothing() {
    let _turn = exclusive();
    let recorder = small().memory().wait_when_full(Duration::from_secs(1)).start().unwrap();
    std::thread::scope(|scope| {
        for _ in 0..2 {
            scope.spawn(|| spans(MANY));
        }
    });
    let memory = recorder.memory().unwrap().clone();
    let health = recorder.stop().unwrap();
    assert_eq!((health.flushed, health.lost), (4 * MANY as u64, 0));
    assert!(health.waits > 0, "{MANY} spans in a ring of {SPANS_IN_A_RING}: {health}");
    let contents = Contents::of_memory(&memory.bytes());
    contents.check_whole();
    assert_eq!(contents.spans().count(), 4 * MANY);
}

#[test]
fn without_leave_to_wait_a_record_is_dropped_at_once() {
    let _turn = exclusive();
    let recorder = small().memory().start().unwrap();
    spans(100);
    let health = recorder.stop().unwrap();
    assert_eq!((health.flushed, health.lost, health.waits), (64, 136, 0));
}

#[test]
fn in_flight_discipline_nobody_has_to_wait() {
    let _turn = exclusive();
    let builder = small().memory().discipline(Discipline::Flight);
    let recorder = builder.wait_when_full(Duration::from_secs(1)).start().unwrap();
    spans(MANY);
    let health = recorder.stop().unwrap();
    assert_eq!((health.flushed + health.lost, health.waits), (2 * MANY as u64, 0));
}

#[test]
fn a_wait_that_was_for_nothing_ends_and_the_record_is_counted() {
    let _turn = exclusive();
    WORKS.store(true, Ordering::Relaxed);
    let recorder = small().sink(Failing).wait_when_full(Duration::from_millis(1)).start().unwrap();
    WORKS.store(false, Ordering::Relaxed);
    spans(SPANS_IN_A_RING + 5);
    WORKS.store(true, Ordering::Relaxed);
    let health = recorder.stop().unwrap();
    assert_eq!((health.flushed, health.lost), (64, 10));
    assert_eq!(health.waits, 10);
}

#[test]
fn a_stop_ends_a_wait() {
    let _turn = exclusive();
    WORKS.store(true, Ordering::Relaxed);
    let recorder = small().sink(Failing).wait_when_full(Duration::from_secs(1)).start().unwrap();
    WORKS.store(false, Ordering::Relaxed);
    let waiting = std::thread::spawn(|| spans(SPANS_IN_A_RING + 1));
    while recorder.health().waits == 0 {
        std::thread::yield_now();
    }
    WORKS.store(true, Ordering::Relaxed);
    let health = recorder.stop().unwrap();
    waiting.join().unwrap();
    // Its begin waited. Its end came after the stop, or before it, if the flusher made room in time.
    assert!((65..=66).contains(&(health.flushed + health.lost)), "{health}");
}

#[test]
#[cfg_attr(miri, ignore = "needs signals")]
fn a_signal_handler_does_not_wait() {
    extern "C" fn record(_: libc::c_int) {
        run(span_async_named!("in the handler", async {}));
    }
    let _turn = exclusive();
    WORKS.store(true, Ordering::Relaxed);
    let recorder = small().sink(Failing).wait_when_full(Duration::from_secs(1)).start().unwrap();
    WORKS.store(false, Ordering::Relaxed);
    spans(SPANS_IN_A_RING);
    // SAFETY: the handler only records on a thread that has a ring, which a signal handler may do.
    unsafe {
        libc::signal(libc::SIGUSR1, record as *const () as libc::sighandler_t);
        libc::raise(libc::SIGUSR1);
    }
    assert_eq!(recorder.health().waits, 0, "the ring is full, and the handler went on");
    WORKS.store(true, Ordering::Relaxed);
    let health = recorder.stop().unwrap();
    assert_eq!((health.flushed, health.lost), (64, 2));
}

#[test]
fn nobody_waits_longer_than_a_request_may_take() {
    let error = small().memory().wait_when_full(Duration::from_secs(2)).start().unwrap_err();
    assert!(matches!(error, StartError::Wait { .. }), "{error}");
    assert!(error.to_string().contains("a second or less"), "{error}");
}
