//! A recorder that is started and stopped again and again while threads record.

use crate::contents::Contents;
use crate::outcome::{Trouble, ensure};
use crate::{Seen, pause_after, size};
use spanring::Recorder;
use spanring::dispatch::{on_begin_async_named_scope, on_end_async_named_scope};
use spanring::prelude::*;
use spanring::reader::{Phase, Recording};
use std::collections::HashSet;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

const THREADS: u64 = size(2, 4);

static_span_location!(PLACE);

/// Records spans until it is told to stop. Returns the ids of those that began while somebody recorded.
fn worker(over: &AtomicBool) -> Vec<u64> {
    let mut begun = Vec::new();
    while !over.load(Ordering::Relaxed) {
        let id = on_begin_async_named_scope(&PLACE, "span", 0, 0);
        if id == 0 {
            nobody_records();
            continue;
        }
        on_end_async_named_scope(id, 0, &PLACE, "span", 0);
        begun.push(id);
        pause_after(begun.len() as u64);
    }
    begun
}

/// Lets the next recording start. In an interpreter a thread that only looks takes its time from the one that starts it.
fn nobody_records() {
    if cfg!(miri) {
        std::thread::sleep(Duration::from_millis(10));
    } else {
        std::thread::yield_now();
    }
}

/// One recording. Returns how many records were read and lost.
fn session(seen: &mut Seen, begins: &mut HashSet<u64>) -> Result<(u64, u64), Trouble> {
    let builder = Recorder::builder().memory().ring_bytes(4096).names_bytes(64 << 10);
    let recorder = builder.flush_interval(Duration::from_millis(1)).start().map_err(|error| error.to_string())?;
    let memory = recorder.memory().ok_or_else(|| "it was to be in memory".to_owned())?.clone();
    while recorder.health().flushed < THREADS * size(4, 200) {
        recorder.flush().map_err(|error| error.to_string())?;
        std::thread::yield_now();
    }
    let health = recorder.stop().map_err(|error| error.to_string())?;
    let contents = Contents::of(&Recording::from_segment(&memory.bytes())?)?;
    seen.check(&contents)?;
    let (read, lost) = (contents.summary.records, contents.summary.lost);
    ensure!((read, lost) == (health.flushed, health.lost), "{read} read, {lost} lost, but {health}");
    begins.extend(contents.records.iter().filter(|record| record.phase == Phase::Begin).map(|record| record.span_id));
    Ok((read, lost))
}

pub fn run(scale: u64) -> Result<String, Trouble> {
    let sessions = scale * size(2, 30);
    let over = AtomicBool::new(false);
    let (mut seen, mut begins) = (Seen::default(), HashSet::new());
    let (mut read, mut lost) = (0, 0);
    let (result, begun) = std::thread::scope(|scope| {
        let workers: Vec<_> = (0..THREADS).map(|_| scope.spawn(|| worker(&over))).collect();
        let mut result = Ok(());
        for _ in 0..sessions {
            match session(&mut seen, &mut begins) {
                Ok(counts) => (read, lost) = (read + counts.0, lost + counts.1),
                Err(trouble) => result = Err(trouble),
            }
        }
        over.store(true, Ordering::Relaxed);
        let begun: HashSet<u64> = workers.into_iter().flat_map(|worker| worker.join().unwrap_or_default()).collect();
        (result, begun)
    });
    result?;
    ensure!(begins.is_subset(&begun), "a span that nobody began was read");
    let missing = (begun.len() - begins.len()) as u64;
    ensure!(missing <= lost, "{missing} begins are missing, and {lost} records were counted as lost");
    Ok(format!("{sessions} recordings of {THREADS} threads, {read} read + {lost} lost, {missing} begins among these"))
}
