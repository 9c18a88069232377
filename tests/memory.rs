//! How much memory a recording takes: the rings of as many threads as record at the same time, the names, and a constant. However many
//! threads there ever were, and however much they recorded.

#![cfg(all(feature = "enable", target_os = "linux", target_env = "gnu"))]

mod common;

use common::{exclusive, run};
use spanring::prelude::*;
use spanring::sink::NullSink;
use spanring::{Builder, Discipline, Recorder, Snapshots};
use std::sync::Barrier;
use std::thread;

const RING_BYTES: u64 = 256 << 10;
const NAMES_BYTES: u64 = 256 << 10;
/// Threads that record at the same time.
const PEAK: usize = 8;
/// So many after each other.
const GENERATIONS: usize = 30;
/// Three times round its ring.
const SPANS: usize = 3 * RING_BYTES as usize / 128;

/// What a thread has beside its slots: the ring's header, and the log.
const PER_THREAD: u64 = 12 << 10;
/// The names region and the table of what is in it, which is half as large.
const NAMES: u64 = NAMES_BYTES + NAMES_BYTES / 2;
/// A block in flight, what is known of spans that are open, the flusher's stack, the status, and what the allocator keeps.
const CONSTANT: u64 = 1 << 20;

/// Bytes of this process in memory, its files' pages among them.
fn resident() -> u64 {
    let map = std::fs::read_to_string("/proc/self/smaps_rollup").unwrap();
    let line = map.lines().find_map(|line| line.strip_prefix("Rss:")).unwrap();
    line.trim().trim_end_matches(" kB").parse::<u64>().unwrap() << 10
}

/// Generations of threads, all of which record at the same time. Says what is resident while the last ones are there.
fn generations() -> u64 {
    let mut most = 0;
    for _ in 0..GENERATIONS {
        let (recorded, over) = (Barrier::new(PEAK + 1), Barrier::new(PEAK + 1));
        thread::scope(|scope| {
            let record = || {
                (0..SPANS).for_each(|_| run(span_async_named!("span", async {})));
                recorded.wait();
                over.wait();
            };
            let threads: Vec<_> = (0..PEAK).map(|_| scope.spawn(record)).collect();
            recorded.wait();
            most = resident();
            over.wait();
            // A thread gives its ring back at its very end, which the end of the scope does not wait for.
            threads.into_iter().for_each(|thread| thread.join().unwrap());
        });
    }
    most
}

#[test]
#[cfg_attr(miri, ignore = "maps files")]
fn a_recording_takes_its_rings_its_names_and_a_constant() {
    let _turn = exclusive();
    let directory = tempfile::tempdir().unwrap();
    let settings: [(&str, Builder); 4] = [
        ("flight, heap", Recorder::builder().sink(NullSink).discipline(Discipline::Flight)),
        ("drain, heap", Recorder::builder().sink(NullSink)),
        ("flight, files", Recorder::builder().directory(directory.path()).discipline(Discipline::Flight)),
        ("drain, files", Recorder::builder().directory(directory.path())),
    ];
    let bound = PEAK as u64 * (RING_BYTES + PER_THREAD) + NAMES + CONSTANT;
    for (name, builder) in settings {
        // Stacks, and what threads take anyway; not what the allocator has kept of the recording before.
        generations();
        // SAFETY: the call gives back memory that is not in use.
        unsafe { libc::malloc_trim(0) };
        let without = generations();
        let recorder = builder.ring_bytes(RING_BYTES).names_bytes(NAMES_BYTES).start().unwrap();
        let taken = generations().saturating_sub(without);
        let health = recorder.stop().unwrap();
        assert_eq!(health.rings, PEAK, "{name}: a ring for each thread that recorded at the same time as others");
        assert_eq!(health.flushed + health.lost, (2 * SPANS * PEAK * GENERATIONS) as u64, "{name}");
        assert!(taken <= bound, "{name}: {taken} bytes, {bound} at most");
        // Nor is this a bound that holds whatever happens. Not all of the rings can be asked for: what the allocator kept without a
        // recording differs by a tenth of that from one time to the next.
        let rings = PEAK as u64 * RING_BYTES;
        assert!(taken >= rings / 2, "{name}: {taken} bytes, of rings that were filled and hold {rings}");
    }
}

/// The most that was in memory since this was called last.
fn peak() -> u64 {
    let status = std::fs::read_to_string("/proc/self/status").unwrap();
    let line = status.lines().find_map(|line| line.strip_prefix("VmHWM:")).unwrap();
    std::fs::write("/proc/self/clear_refs", "5").unwrap();
    line.trim().trim_end_matches(" kB").parse::<u64>().unwrap() << 10
}

#[test]
#[cfg_attr(miri, ignore = "writes files")]
fn a_snapshot_takes_what_the_rings_hold_once_more() {
    let _turn = exclusive();
    let directory = tempfile::tempdir().unwrap();
    let snapshots = Snapshots::new().directory(directory.path()).bytes(64 << 10);
    let builder = Recorder::builder().sink(NullSink).discipline(Discipline::Flight).snapshots(snapshots);
    let recorder = builder.ring_bytes(RING_BYTES).names_bytes(NAMES_BYTES).start().unwrap();
    generations();
    // SAFETY: the call gives back memory that is not in use.
    unsafe { libc::malloc_trim(0) };
    let before = resident();
    peak();
    recorder.snapshot("to see what it takes").unwrap();
    let taken = peak().saturating_sub(before);
    let rings = PEAK as u64 * RING_BYTES;
    assert!(taken <= rings + CONSTANT, "{taken} bytes, {} at most", rings + CONSTANT);
    assert!(taken >= rings / 2, "{taken} bytes, of rings that hold {rings}");
    drop(recorder);
}
