//! Rings, names and segments in mapped files, and readers of them while threads record.

use crate::contents::Contents;
use crate::outcome::{Trouble, ensure};
use crate::{Seen, pause_after, size};
use spanring::Recorder;
use spanring::prelude::*;
use std::pin::pin;
use std::sync::atomic::{AtomicBool, Ordering};
use std::task::{Context, Waker};
use std::time::Duration;

const THREADS: u64 = 4;

fn spans(count: u64) {
    for number in 0..count {
        let span = span_async_named!("outer", span_async_named!(format!("number {number}"), async {}));
        let _ready = pin!(span).poll(&mut Context::from_waker(Waker::noop()));
        pause_after(number);
    }
}

pub fn run(scale: u64) -> Result<String, Trouble> {
    let spans_each = scale * size(1, 5_000);
    let directory = tempfile::tempdir()?;
    let builder = Recorder::builder().directory(directory.path()).ring_bytes(16 << 10).segment_bytes(256 << 10);
    let recorder = builder.flush_interval(Duration::from_millis(1)).start().map_err(|error| error.to_string())?;
    let over = AtomicBool::new(false);
    let read_meanwhile = std::thread::scope(|scope| {
        let reader = scope.spawn(|| {
            let mut times = 0;
            while !over.load(Ordering::Relaxed) {
                let contents = Contents::read(directory.path())?;
                Seen::default().check(&contents)?;
                times += 1;
            }
            Ok::<u64, Trouble>(times)
        });
        let workers: Vec<_> = (0..THREADS).map(|_| scope.spawn(|| spans(spans_each))).collect();
        workers.into_iter().for_each(|worker| drop(worker.join()));
        over.store(true, Ordering::Relaxed);
        reader.join().unwrap_or_else(|_| Err("the reader panicked".to_owned().into()))
    })?;
    let health = recorder.stop().map_err(|error| error.to_string())?;
    let contents = Contents::read(directory.path())?;
    Seen::default().check(&contents)?;
    let (read, lost, recorded) = (contents.summary.records, contents.summary.lost, THREADS * spans_each * 4);
    ensure!(read + lost == recorded, "{recorded} recorded, {read} read, {lost} lost");
    ensure!((read, lost) == (health.flushed, health.lost), "{read} read, {lost} lost, but {health}");
    Ok(format!("{recorded} recorded = {read} read + {lost} lost, read {read_meanwhile} times meanwhile"))
}
