//! What the benches measure: one span, as it is made in each of the ways there are, in each of the ways to record it.
//!
//! - [`floor`]: the least that any recorder of spans would do, written by hand.
//! - [`spans`]: what spanring does.
//! - [`setup`]: where it records to.
//! - [`repeat`]: many of them, one after another.
//!
//! One span is: create the future, poll it for the first time, and it is ready; or enter a scope and leave it.

pub mod floor;
mod repeat;
pub mod setup;
pub mod spans;

use self::repeat::{poll_each, run_each};
use self::setup::{Recording, Setup};
use std::sync::Barrier;
use std::time::{Duration, Instant};

/// A way to make spans.
#[derive(Clone, Copy)]
pub struct Row {
    pub name: &'static str,
    /// Makes so many.
    pub run: fn(u64),
    /// What it is compared with.
    pub floor: Floor,
    /// Records of each span while somebody records.
    pub records: u64,
}

/// What a row is compared with.
#[derive(Clone, Copy, PartialEq, Eq)]
pub enum Floor {
    Async,
    Sync,
}

/// Without spanring.
pub const FLOORS: [Row; 5] = [
    Row { name: "no span, async", run: spans::bare_async, floor: Floor::Async, records: 0 },
    Row { name: "no span, sync", run: spans::bare_sync, floor: Floor::Sync, records: 0 },
    Row { name: "floor, async", run: floor::plain_async, floor: Floor::Async, records: 0 },
    Row { name: "floor, async, SPSC-safe", run: floor::spsc_async, floor: Floor::Async, records: 0 },
    Row { name: "floor, sync", run: floor::plain_sync, floor: Floor::Sync, records: 0 },
];

/// With it.
pub const SPANS: [Row; 6] = [
    Row { name: "async static", run: spans::async_static, floor: Floor::Async, records: 2 },
    Row { name: "async named", run: spans::async_named, floor: Floor::Async, records: 2 },
    Row { name: "async run-time name", run: spans::async_run_time_name, floor: Floor::Async, records: 2 },
    Row { name: "async named, one attribute", run: spans::async_attribute, floor: Floor::Async, records: 3 },
    Row { name: "sync static", run: spans::sync_static, floor: Floor::Sync, records: 2 },
    Row { name: "sync named", run: spans::sync_named, floor: Floor::Sync, records: 2 },
];

impl Floor {
    /// The row.
    pub fn row(self) -> Row {
        match self {
            Floor::Async => FLOORS[2],
            Floor::Sync => FLOORS[4],
        }
    }
}

/// Spans before the time counts: every slot of the ring is touched, every call site known.
const WARM_UP: u64 = 2 * floor::SLOTS;

/// How long one of `threads` takes for `spans` spans, all of them recording at the same time.
///
/// The spans are made in bursts much shorter than a scheduler's time slice, and every burst counts as long as the median one. So
/// neither other programs nor the flusher on the same processor are counted as the cost of a span.
pub fn time(row: Row, setup: Setup, recording: &Recording, threads: usize, spans: u64) -> Duration {
    let barrier = Barrier::new(threads);
    let bursts = spans.div_ceil(setup.burst());
    let timed = || {
        recording.burst(row, WARM_UP);
        barrier.wait();
        let mut times: Vec<Duration> = (0..bursts).map(|_| recording.burst(row, setup.burst())).collect();
        times.sort();
        times[times.len() / 2].as_secs_f64()
    };
    let medians: f64 = std::thread::scope(|scope| {
        let threads: Vec<_> = (0..threads).map(|_| scope.spawn(timed)).collect();
        threads.into_iter().map(|thread| thread.join().expect("a row does not panic")).sum()
    });
    Duration::from_secs_f64(medians / threads as f64 / setup.burst() as f64 * spans as f64)
}

/// How long `f` takes.
fn timed(f: impl FnOnce()) -> Duration {
    let start = Instant::now();
    f();
    start.elapsed()
}
