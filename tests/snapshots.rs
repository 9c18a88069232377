//! Snapshots: what rings in flight discipline hold, written out when something asks.

#![cfg(feature = "enable")]

mod common;

use common::{Contents, Value, exclusive, give_way, poll_once, run};
use spanring::format::snapshot_request::{self, Answer};
use spanring::prelude::*;
use spanring::reader::{Phase, Recording, WriterState, sessions};
use spanring::{Discipline, Recorder, RecorderGuard, SnapshotError, Snapshots, StartError};
use std::path::{Path, PathBuf};
use std::pin::pin;
use std::time::{Duration, Instant};
use tempfile::TempDir;

fn start_with(directory: &TempDir, snapshots: Snapshots, ring_bytes: u64) -> RecorderGuard {
    let builder = Recorder::builder().directory(directory.path()).discipline(Discipline::Flight);
    builder.snapshots(snapshots).ring_bytes(ring_bytes).flush_interval(Duration::from_millis(1)).start().unwrap()
}

fn start(directory: &TempDir, snapshots: Snapshots) -> RecorderGuard {
    start_with(directory, snapshots, 1 << 16)
}

/// Snapshots that are whole, oldest first.
fn whole(directory: &TempDir) -> Vec<PathBuf> {
    let all = sessions(directory.path().join("snapshots")).unwrap_or_default();
    all.into_iter().filter(|path| Recording::open(path).is_ok_and(|it| it.writer() == WriterState::Stopped)).collect()
}

/// A snapshot that is not there after this will never be, however slow the machine.
const PATIENCE: Duration = Duration::from_secs(120);

/// Waits for the first snapshot.
fn first(directory: &TempDir) -> PathBuf {
    let began = Instant::now();
    loop {
        if let Some(path) = whole(directory).into_iter().next() {
            return path;
        }
        let begun = sessions(directory.path().join("snapshots"));
        assert!(began.elapsed() < PATIENCE, "no snapshot is whole after {PATIENCE:?}; there are {begun:?}");
        std::thread::sleep(Duration::from_millis(2));
    }
}

fn reason(snapshot: &Path) -> String {
    Recording::open(snapshot).unwrap().facts().snapshot_reason.clone()
}

fn spans(count: usize) {
    (0..count).for_each(|number| run(span_async_named!(format!("span {number}"), async {})));
}

/// Names of the spans that ended, in order.
fn ended(contents: &Contents) -> Vec<&str> {
    contents.spans().filter(|record| record.phase == Phase::End).map(|record| record.name.as_str()).collect()
}

#[test]
fn a_snapshot_is_a_recording_of_what_the_rings_hold() {
    let _turn = exclusive();
    let directory = tempfile::tempdir().unwrap();
    let recorder = start(&directory, Snapshots::new());
    spans(10);
    std::thread::Builder::new().name("another".to_owned()).spawn(|| spans(2)).unwrap().join().unwrap();
    let path = recorder.snapshot("asked for").unwrap();
    assert_eq!(path.parent(), Some(&*directory.path().join("snapshots")));
    let contents = Contents::of_directory(&path);
    contents.check_whole();
    assert_eq!((contents.summary.records, contents.summary.lost), (24, 0));
    assert_eq!(ended(&contents)[..10].last(), Some(&"span 9"));
    assert!(contents.threads.iter().any(|thread| thread.name == "another"), "{:?}", contents.threads);
    let recording = Recording::open(&path).unwrap();
    assert_eq!((recording.writer(), reason(&path).as_str()), (WriterState::Stopped, "asked for"));
    let session = recorder.directory().unwrap().file_name().unwrap().to_str();
    assert_eq!(Some(recording.facts().snapshot_of.as_str()), session);
    // It took nothing away: the rings are written whole when the recorder stops.
    let health = recorder.stop().unwrap();
    assert_eq!((health.flushed, health.snapshots, health.snapshots_failed), (24, 1, 0));
}

#[test]
fn what_came_round_before_is_counted() {
    let _turn = exclusive();
    let directory = tempfile::tempdir().unwrap();
    let recorder = start(&directory, Snapshots::new());
    // Two records of two slots each, in a ring of 1024 slots.
    spans(1000);
    let contents = Contents::of_directory(recorder.snapshot("").unwrap());
    assert_eq!(contents.summary.records + contents.summary.lost, 2000);
    assert!(contents.summary.records > 400, "{:?}", contents.summary);
    assert_eq!(ended(&contents).last(), Some(&"span 999"));
    drop(recorder);
}

#[test]
fn open_spans_are_in_it_however_long_ago_they_began() {
    let _turn = exclusive();
    let directory = tempfile::tempdir().unwrap();
    let recorder = start(&directory, Snapshots::new().look_back(Duration::ZERO));
    let mut waiting = pin!(span_async_named!("waiting", batch = 7, give_way()));
    assert!(poll_once(waiting.as_mut()).is_pending());
    for _ in 0..10 {
        spans(200);
        // So that every record was seen for sure, also where the background thread does not get its turn.
        recorder.flush().unwrap();
    }
    let contents = Contents::of_directory(recorder.snapshot("").unwrap());
    assert_eq!(contents.carried.iter().map(|record| record.name.as_str()).collect::<Vec<_>>(), ["waiting"]);
    assert_eq!(contents.attributes(contents.carried[0].span_id), [("batch", Value::I64(7))]);
    assert_eq!(contents.spans().count(), 0, "nothing else is as young as that");
    drop(recorder);
}

#[test]
fn a_snapshot_looks_back_as_far_as_it_should() {
    let _turn = exclusive();
    let directory = tempfile::tempdir().unwrap();
    let recorder = start(&directory, Snapshots::new().look_back(Duration::from_secs(3600)));
    spans(5);
    assert_eq!(Contents::of_directory(recorder.snapshot("").unwrap()).summary.records, 10);
    drop(recorder);
}

#[test]
fn of_a_snapshot_that_is_too_large_the_newest_is_kept() {
    let _turn = exclusive();
    let directory = tempfile::tempdir().unwrap();
    let recorder = start_with(&directory, Snapshots::new().bytes(64 << 10), 1 << 20);
    spans(4000);
    let path = recorder.snapshot("").unwrap();
    let contents = Contents::of_directory(&path);
    assert_eq!(contents.summary.records + contents.summary.lost, 8000);
    assert_eq!(ended(&contents).last(), Some(&"span 3999"));
    assert!((400..=512).contains(&contents.summary.records), "{:?}", contents.summary);
    drop(recorder);
}

#[test]
fn the_oldest_snapshots_go() {
    let _turn = exclusive();
    let directory = tempfile::tempdir().unwrap();
    let recorder = start(&directory, Snapshots::new().keep(3));
    let taken: Vec<PathBuf> = (0..7).map(|number| recorder.snapshot(&number.to_string()).unwrap()).collect();
    let mut kept = whole(&directory);
    kept.sort_by_key(|path| reason(path));
    assert_eq!(kept, taken[4..]);
    drop(recorder);
    // The session that recorded is another matter.
    assert_eq!(sessions(directory.path()).unwrap().len(), 1);
}

#[test]
fn what_asks_by_itself_is_heard_once_in_a_while() {
    let _turn = exclusive();
    let directory = tempfile::tempdir().unwrap();
    let recorder = start(&directory, Snapshots::new().apart(Duration::from_secs(3600)));
    spans(1);
    assert!(spanring::request_snapshot("first"));
    let path = first(&directory);
    assert!(!spanring::request_snapshot("second"));
    assert_eq!(reason(&path), "first");
    let health = recorder.stop().unwrap();
    assert_eq!((health.snapshots, health.snapshots_suppressed), (1, 1));
    assert!(!spanring::request_snapshot("nobody records"));
}

#[test]
fn what_was_asked_for_just_before_the_stop_is_taken() {
    let _turn = exclusive();
    let directory = tempfile::tempdir().unwrap();
    let recorder = start(&directory, Snapshots::new());
    spans(3);
    assert!(spanring::request_snapshot("last words"));
    assert_eq!(recorder.stop().unwrap().snapshots, 1);
    assert_eq!(reason(&first(&directory)), "last words");
}

#[test]
fn a_slow_span_asks_when_it_ends() {
    let _turn = exclusive();
    let directory = tempfile::tempdir().unwrap();
    let snapshots = Snapshots::new().slower_than(Duration::from_millis(20));
    let recorder = start(&directory, snapshots.slower_than_named("batch", Duration::from_secs(3600)));
    let pause = || async { std::thread::sleep(Duration::from_millis(30)) };
    run(span_async_named!("batch", pause()));
    run(span_async_named!("quick", async {}));
    static_span_desc!(SLOW, "at fault");
    run(pause().instrument(&SLOW));
    let path = first(&directory);
    assert!(reason(&path).starts_with("slow: at fault took 0.0"), "{}", reason(&path));
    assert!(ended(&Contents::of_directory(&path)).contains(&"at fault"));
    drop(recorder);
}

#[test]
fn a_slow_span_is_known_by_a_name_made_at_run_time() {
    let _turn = exclusive();
    let directory = tempfile::tempdir().unwrap();
    let recorder = start(&directory, Snapshots::new().slower_than_named("GET /users/7", Duration::from_millis(20)));
    for user in [6, 7] {
        let pause = async { std::thread::sleep(Duration::from_millis(30)) };
        run(span_async_named!(format!("GET /users/{user}"), pause));
    }
    assert!(reason(&first(&directory)).starts_with("slow: GET /users/7 took 0.0"));
    drop(recorder);
}

#[test]
fn a_span_that_does_not_end_asks_too_and_once() {
    let _turn = exclusive();
    let directory = tempfile::tempdir().unwrap();
    let snapshots = Snapshots::new().slower_than(Duration::from_millis(20)).apart(Duration::ZERO);
    let recorder = start(&directory, snapshots);
    let mut stuck = pin!(span_async_named!("stuck", give_way()));
    assert!(poll_once(stuck.as_mut()).is_pending());
    let path = first(&directory);
    assert!(reason(&path).starts_with("slow: stuck is open for "), "{}", reason(&path));
    assert!(poll_once(stuck.as_mut()).is_ready());
    assert_eq!(recorder.stop().unwrap().snapshots, 1, "its end is no news");
}

#[test]
fn a_panic_asks() {
    let _turn = exclusive();
    let directory = tempfile::tempdir().unwrap();
    let recorder = start(&directory, Snapshots::new().on_panic());
    let result = std::thread::spawn(|| run(span_async_named!("panics", async { panic!("on purpose") }))).join();
    assert!(result.is_err());
    let path = first(&directory);
    assert!(reason(&path).starts_with("panic: tests/snapshots.rs:"), "{}", reason(&path));
    assert!(Contents::of_directory(&path).spans().any(|record| record.name == "panics"));
    drop(recorder);
}

#[test]
fn a_signal_asks_and_goes_on_to_who_had_it_before() {
    let _turn = exclusive();
    let directory = tempfile::tempdir().unwrap();
    let recorder = start(&directory, Snapshots::new().on_signal(libc::SIGUSR2));
    spans(1);
    // SAFETY: the signal has a handler by now.
    unsafe { libc::raise(libc::SIGUSR2) };
    assert_eq!(reason(&first(&directory)), "signal");
    drop(recorder);
    // A later recorder may listen to the same signal, and to no other.
    let directory = tempfile::tempdir().unwrap();
    drop(start(&directory, Snapshots::new().on_signal(libc::SIGUSR2)));
    let builder = Recorder::builder().directory(directory.path()).discipline(Discipline::Flight);
    let other = builder.snapshots(Snapshots::new().on_signal(libc::SIGUSR1)).start();
    assert!(matches!(other, Err(StartError::SnapshotSignal(_))), "{other:?}");
}

#[test]
fn another_process_asks_by_a_file() {
    let _turn = exclusive();
    let directory = tempfile::tempdir().unwrap();
    let recorder = start(&directory, Snapshots::new());
    spans(4);
    let session = recorder.directory().unwrap();
    snapshot_request::ask(session, "from outside").unwrap();
    let answer = loop {
        if let Some(answer) = snapshot_request::fetch(session) {
            break answer;
        }
        std::thread::sleep(Duration::from_millis(2));
    };
    let path = first(&directory);
    assert_eq!((answer, reason(&path).as_str()), (Answer::Taken(path.clone()), "from outside"));
    assert_eq!(Contents::of_directory(&path).summary.records, 8);
    drop(recorder);
}

#[test]
fn a_snapshot_that_cannot_be_written_leaves_nothing_and_is_counted() {
    let _turn = exclusive();
    let directory = tempfile::tempdir().unwrap();
    let file = directory.path().join("a file");
    std::fs::write(&file, "in the way").unwrap();
    let recorder = start(&directory, Snapshots::new().directory(&file));
    spans(1);
    let error = recorder.snapshot("").unwrap_err();
    assert!(matches!(&error, SnapshotError::Write { path, .. } if path.parent() == Some(&file)), "{error}");
    let health = recorder.stop().unwrap();
    assert_eq!((health.snapshots, health.snapshots_failed, health.flushed), (0, 1, 2));
    assert!(health.last_snapshot_error.is_some());
}

#[test]
fn snapshots_that_make_no_sense_are_refused_at_the_start() {
    let _turn = exclusive();
    let directory = tempfile::tempdir().unwrap();
    let flight = || Recorder::builder().discipline(Discipline::Flight);
    let drain = Recorder::builder().directory(directory.path()).snapshots(Snapshots::new()).start();
    assert!(matches!(drain, Err(StartError::SnapshotsInDrain)));
    let nowhere = flight().memory().snapshots(Snapshots::new()).start();
    assert!(matches!(nowhere, Err(StartError::SnapshotsWithoutDirectory)));
    for snapshots in [Snapshots::new().keep(0), Snapshots::new().bytes(1000)] {
        let none = flight().directory(directory.path()).snapshots(snapshots).start();
        assert!(matches!(none, Err(StartError::SnapshotBounds { .. })));
    }
    let recorder = flight().directory(directory.path()).start().unwrap();
    assert!(matches!(recorder.snapshot(""), Err(SnapshotError::NotKept)));
}

#[test]
fn rings_on_the_heap_have_snapshots_too() {
    let _turn = exclusive();
    let directory = tempfile::tempdir().unwrap();
    let snapshots = Snapshots::new().directory(directory.path().join("snapshots"));
    let recorder = Recorder::builder().memory().discipline(Discipline::Flight).snapshots(snapshots).start().unwrap();
    spans(6);
    assert_eq!(Contents::of_directory(recorder.snapshot("").unwrap()).summary.records, 12);
    drop(recorder);
}

#[test]
fn threads_that_record_meanwhile_lose_nothing_by_it() {
    let _turn = exclusive();
    let directory = tempfile::tempdir().unwrap();
    let recorder = start(&directory, Snapshots::new().keep(100));
    let threads: Vec<_> = (0..3).map(|_| std::thread::spawn(|| spans(5000))).collect();
    let taken: Vec<PathBuf> = (0..10).map(|_| recorder.snapshot("").unwrap()).collect();
    threads.into_iter().for_each(|thread| thread.join().unwrap());
    for path in taken {
        let contents = Contents::of_directory(path);
        contents.check_whole();
        assert_eq!(contents.damages().count(), 0);
    }
    let last = Contents::of_directory(recorder.snapshot("").unwrap());
    assert_eq!(last.summary.records + last.summary.lost, 3 * 10_000);
    drop(recorder);
}
