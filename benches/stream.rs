//! How much one thread can record without a loss, streamed to segment files; beside a plain `write` of the same bytes.
//!
//! ```text
//! cargo bench -p spanring --bench stream              10 seconds each, in three rounds
//! cargo bench -p spanring --bench stream -- --quick   2 seconds each, in one
//! ```
//!
//! The thread waits for room when its ring is full, so it records as fast as the flusher drains. The plain `write` takes turns with it:
//! one thread, files of the same size, as many kept.

#[allow(dead_code, reason = "the rows of the other benches")]
mod rows;

use rows::SPANS;
use spanring::Recorder;
use std::collections::VecDeque;
use std::fs::File;
use std::io::Write;
use std::path::PathBuf;
use std::time::{Duration, Instant};

const RING_BYTES: u64 = 8 << 20;
const SEGMENT_BYTES: u64 = 8 << 20;
const KEPT_BYTES: u64 = 1 << 30;
/// What the flusher writes at once, and so what `write` is given.
const BLOCK_BYTES: usize = 256 << 10;
/// Bytes of a span: two slots.
const SPAN_BYTES: u64 = 128;

fn main() {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    let has = |word: &str| arguments.iter().any(|argument| argument == word);
    let (rounds, time) = match (has("--bench"), has("--quick")) {
        // As `cargo test --benches` runs it.
        (false, _) => (1, Duration::from_millis(1)),
        (true, true) => (1, Duration::from_secs(2)),
        (true, false) => (3, Duration::from_secs(10)),
    };
    println!("| round | streamed, MB/s | million spans/s | losses | records that waited | plain write, MB/s | ratio |");
    println!("|---:|---:|---:|---:|---:|---:|---:|");
    for round in 1..=rounds {
        let (streamed, lost, waits) = stream(time);
        let written = write(time);
        println!(
            "| {round} | {:.0} | {:.1} | {lost} | {waits} | {:.0} | {:.2} |",
            streamed / 1e6,
            streamed / SPAN_BYTES as f64 / 1e6,
            written / 1e6,
            streamed / written
        );
    }
}

fn directory() -> tempfile::TempDir {
    tempfile::tempdir_in(env!("CARGO_TARGET_TMPDIR")).expect("the target directory is writable")
}

/// Bytes per second, until the last record is in its segment; and what was lost, and what waited.
fn stream(time: Duration) -> (f64, u64, u64) {
    let span = SPANS.iter().find(|row| row.name == "async named").expect("there is such a row");
    let directory = directory();
    let recorder = Recorder::builder()
        .directory(directory.path())
        .ring_bytes(RING_BYTES)
        .segment_bytes(SEGMENT_BYTES)
        .directory_bytes(KEPT_BYTES)
        .wait_when_full(Duration::from_secs(1))
        .start()
        .expect("nothing else records in this process");
    let (begin, mut spans) = (Instant::now(), 0);
    while begin.elapsed() < time {
        (span.run)(10_000);
        spans += 10_000;
    }
    let health = recorder.stop().expect("the disk has room");
    let bytes_per_second = (spans * SPAN_BYTES) as f64 / begin.elapsed().as_secs_f64();
    assert_eq!(health.flushed + health.lost, 2 * spans);
    (bytes_per_second, health.lost, health.waits)
}

/// Bytes per second.
fn write(time: Duration) -> f64 {
    let directory = directory();
    let block = vec![0xa5; BLOCK_BYTES];
    let mut kept: VecDeque<PathBuf> = VecDeque::new();
    let (begin, mut bytes) = (Instant::now(), 0u64);
    while begin.elapsed() < time {
        let path = directory.path().join(bytes.to_string());
        let mut file = File::create(&path).expect("the directory is writable");
        for _ in 0..SEGMENT_BYTES as usize / BLOCK_BYTES {
            file.write_all(&block).expect("the disk has room");
            bytes += BLOCK_BYTES as u64;
        }
        kept.push_back(path);
        if kept.len() as u64 > KEPT_BYTES / SEGMENT_BYTES {
            std::fs::remove_file(kept.pop_front().expect("there are some")).expect("it was there");
        }
    }
    bytes as f64 / begin.elapsed().as_secs_f64()
}
