//! What the system's write-back costs those who record to a ring in a mapped file.
//!
//! ```text
//! cargo bench -p spanring --bench writeback              the table, in Markdown: 5 seconds a row
//! cargo bench -p spanring --bench writeback -- --quick   1 second a row
//! ```
//!
//! A disk file system takes a dirty page back when it writes it, so the next record in it is a page fault. The kernel does that to a
//! page every half a minute or so; the rows with a `sync` provoke it. tmpfs has no write-back, and the heap none either.

#[allow(dead_code, reason = "the rows of the other benches")]
mod rows;

use rows::SPANS;
use rows::setup::Setup;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant};

/// Spans that are timed together: one clock read in sixteen spans does not show.
const GROUP: u64 = 16;

fn main() {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    let has = |word: &str| arguments.iter().any(|argument| argument == word);
    let time = match (has("--bench"), has("--quick")) {
        // As `cargo test --benches` runs it.
        (false, _) => Duration::from_millis(1),
        (true, true) => Duration::from_secs(1),
        (true, false) => Duration::from_secs(5),
    };
    println!(
        "| ring | system asked to write back | spans | ns each, p50 | p99.99 | longest | page faults per million spans |"
    );
    println!("|---|---|---:|---:|---:|---:|---:|");
    for setup in [Setup::Heap, Setup::Tmpfs, Setup::Disk].into_iter().filter(|setup| setup.exists()) {
        for interval in [None, Some(Duration::from_secs(1)), Some(Duration::from_millis(100))] {
            row(setup, interval, time);
        }
    }
}

fn row(setup: Setup, write_back: Option<Duration>, time: Duration) {
    let span = SPANS.iter().find(|row| row.name == "async named").expect("there is such a row");
    let _recording = setup.start();
    let stop = AtomicBool::new(false);
    let (mut groups, faults) = std::thread::scope(|scope| {
        scope.spawn(|| {
            while let (Some(interval), false) = (write_back, stop.load(Ordering::Relaxed)) {
                std::thread::park_timeout(interval);
                // SAFETY: the call takes nothing.
                unsafe { libc::sync() };
            }
        });
        // The ring has come round once: its pages are there.
        (span.run)(100_000);
        let (faults, end) = (page_faults(), Instant::now() + time);
        let mut groups = Vec::with_capacity(1 << 26);
        let mut before = Instant::now();
        while before < end && groups.len() < groups.capacity() {
            (span.run)(GROUP);
            let now = Instant::now();
            groups.push((now - before).as_nanos() as u32 / GROUP as u32);
            before = now;
        }
        let faults = page_faults() - faults;
        stop.store(true, Ordering::Relaxed);
        (groups, faults)
    });
    // The list of times is not part of it: its pages came one by one while it was filled.
    let own = (groups.len() * size_of::<u32>()).div_ceil(4096) as i64;
    groups.sort_unstable();
    let at = |part: f64| groups[((groups.len() - 1) as f64 * part) as usize];
    let spans = groups.len() as f64 * GROUP as f64;
    let interval = write_back.map_or("never".to_owned(), |interval| format!("every {interval:?}"));
    println!(
        "| {} | {interval} | {spans:.1e} | {} | {} | {} µs | {:.1} |",
        setup.name(),
        at(0.5),
        at(0.9999),
        u64::from(at(1.0)) * GROUP / 1000,
        (faults - own).max(0) as f64 / spans * 1e6
    );
}

/// Minor page faults of the calling thread so far.
fn page_faults() -> i64 {
    // SAFETY: usage is plain old data, for which all zeroes is a valid value.
    let mut usage: libc::rusage = unsafe { std::mem::zeroed() };
    // SAFETY: the call fills the structure that it is given.
    unsafe { libc::getrusage(libc::RUSAGE_THREAD, &mut usage) };
    usage.ru_minflt
}
