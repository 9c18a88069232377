//! Segments that are compressed when they are full: smaller, and otherwise as if they were not.

#![cfg(all(feature = "enable", feature = "compress"))]

mod common;

use common::{Contents, NEVER, Record, exclusive, run};
use spanring::prelude::*;
use spanring::reader::{Event, LossCause, Recording};
use spanring::{Builder, Recorder};
use std::path::Path;

/// Segments of 64 KiB.
fn small(directory: &Path) -> Builder {
    Recorder::builder().directory(directory).flush_interval(NEVER).segment_bytes(64 << 10)
}

fn spans(numbers: std::ops::Range<u64>) {
    for number in numbers {
        run(span_async_named!("request", async {
            span_async_named!(
                format!("query {number} with a name that takes more than one slot to write down"),
                async {
                    span_scope!("render");
                }
            )
            .await;
        }));
    }
}

/// Records of each span in [`spans`].
const RECORDS: u64 = 6;

fn segment_bytes(session: &Path) -> Vec<u64> {
    let entries = std::fs::read_dir(session).unwrap().map(|entry| entry.unwrap());
    let segments = entries.filter(|entry| entry.file_name().to_str().unwrap().starts_with("segment-"));
    // One that is just being replaced has no size for an instant.
    segments.filter_map(|entry| Some(entry.metadata().ok()?.len())).collect()
}

/// What is recorded, but for times and ids.
fn essence(contents: &Contents) -> Vec<(String, bool, u64)> {
    let essence = |record: &Record| (record.name.clone(), record.outcome.is_some(), record.record_number);
    contents.spans().map(essence).collect()
}

#[test]
fn a_compressed_recording_reads_as_any_other_and_takes_less() {
    let _turn = exclusive();
    let mut read = Vec::new();
    for compressed in [false, true] {
        let directory = tempfile::tempdir().unwrap();
        let builder = small(directory.path());
        let recorder = if compressed { builder.compress() } else { builder }.start().unwrap();
        let session = recorder.directory().unwrap().to_owned();
        for round in 0..100 {
            spans(10 * round..10 * (round + 1));
            recorder.flush().unwrap();
        }
        recorder.stop().unwrap();
        let names = std::fs::read_dir(&session).unwrap().map(|entry| entry.unwrap().file_name());
        let leftovers = names.filter(|name| name.to_str().unwrap().ends_with(".new")).count();
        assert_eq!(leftovers, 0);
        let contents = Contents::of_directory(directory.path());
        contents.check_whole();
        let summary = contents.summary;
        assert_eq!((summary.records, summary.lost, summary.damages), (1000 * RECORDS, 0, 0));
        assert!(summary.complete);
        read.push((essence(&contents), segment_bytes(&session)));
    }
    let [(plain, plain_bytes), (packed, packed_bytes)] = &read[..] else { unreachable!("two rounds") };
    assert_eq!(plain, packed);
    assert_eq!(plain_bytes.len(), packed_bytes.len());
    let (plain, packed) = (plain_bytes.iter().sum::<u64>(), packed_bytes.iter().sum::<u64>());
    assert!(packed * 4 < plain, "{packed} of {plain}");
}

#[test]
fn in_a_directory_with_a_budget_more_is_kept_and_open_spans_stay() {
    let _turn = exclusive();
    let kept = [false, true].map(|compressed| {
        let directory = tempfile::tempdir().unwrap();
        let builder = small(directory.path()).ring_bytes(64 << 10).names_bytes(4096).directory_bytes(400 << 10);
        let recorder = if compressed { builder.compress() } else { builder }.start().unwrap();
        let session = recorder.directory().unwrap().to_owned();
        let mut open = Box::pin(instrument_named!(std::future::pending::<()>(), "an hour"));
        assert!(common::poll_once(open.as_mut()).is_pending());
        for round in 0..300 {
            spans(10 * round..10 * (round + 1));
            recorder.flush().unwrap();
            // So slow a machine that the budget is met before the compressor comes to it would keep no more. Only the current segment
            // has its whole size then.
            let large = || segment_bytes(&session).into_iter().filter(|bytes| *bytes > 40 << 10).count();
            while compressed && large() > 1 {
                std::thread::yield_now();
            }
        }
        let health = recorder.stop().unwrap();
        assert_eq!((health.flushed, health.lost), (3000 * RECORDS + 1, 0));
        let recording = Recording::open(directory.path()).unwrap();
        let (mut open_begins, mut retired) = (0, 0);
        let summary = recording.read(&mut |event| match event {
            Event::Span(record) => open_begins += u64::from(record.name == "an hour"),
            Event::Loss(loss) if loss.cause == LossCause::Retired => retired += loss.records,
            Event::Thread(_) => {}
            event => panic!("{event:?}"),
        });
        let summary = summary.unwrap();
        assert_eq!(open_begins, 1);
        assert_eq!((summary.records + retired, summary.retired), (3000 * RECORDS + 1, retired));
        summary.records
    });
    assert!(kept[0] < kept[1], "{kept:?}");
}

#[test]
fn a_damaged_block_of_packed_records_costs_that_block_and_is_counted() {
    let _turn = exclusive();
    let directory = tempfile::tempdir().unwrap();
    let recorder = small(directory.path()).compress().start().unwrap();
    let session = recorder.directory().unwrap().to_owned();
    for round in 0..5 {
        spans(10 * round..10 * (round + 1));
        recorder.flush().unwrap();
    }
    recorder.stop().unwrap();
    let path = session.join("segment-000000.spanring");
    let whole = std::fs::read(&path).unwrap();
    for at in (64..whole.len()).step_by(97) {
        let mut bytes = whole.clone();
        bytes[at] ^= 0x10;
        std::fs::write(&path, &bytes).unwrap();
        let contents = Contents::of_directory(directory.path());
        let summary = contents.summary;
        assert_eq!(summary.records + summary.damaged + summary.lost, 50 * RECORDS, "byte {at}");
        assert_eq!(summary.lost, 0, "byte {at}");
        assert!(summary.records >= 40 * RECORDS, "byte {at}: {summary:?}");
    }
}
