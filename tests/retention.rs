//! What stays when files go: the directory's budget, open spans, living processes.
#![cfg(feature = "enable")]

mod common;

use common::child::{Player, part, say};
use common::{Contents, NEVER, Value, exclusive, run};
use spanring::prelude::*;
use spanring::reader::{Event, Loss, LossCause, NameState, Phase, Recording, Summary, WriterState, sessions};
use spanring::{Discipline, Recorder};
use std::future::poll_fn;
use std::path::Path;
use std::pin::pin;
use std::task::{Context, Poll, Waker};
use std::time::Duration;

/// Begins without an end and their threads' names, losses, and the summary.
fn open_spans(recording: &Recording) -> (Vec<(String, String)>, Vec<Loss>, Summary) {
    let mut threads = std::collections::BTreeMap::new();
    let mut open = std::collections::BTreeMap::new();
    let mut ended = std::collections::BTreeSet::new();
    let mut losses = Vec::new();
    let summary = recording
        .read(&mut |event| match event {
            Event::Thread(facts) => drop(threads.insert(facts.id, facts.name.clone())),
            Event::Span(span) if span.phase == Phase::Begin => {
                assert!(open.insert(span.span_id, (span.name.to_owned(), span.thread)).is_none(), "a begin came twice");
            }
            Event::Span(span) => drop(ended.insert(span.span_id)),
            Event::Loss(loss) => losses.push(loss),
            event => panic!("{event:?}"),
        })
        .expect("the recording can be read");
    open.retain(|id, _| !ended.contains(id));
    let named = |(name, thread)| (name, threads.get(&thread).cloned().unwrap_or_default());
    (open.into_values().map(named).collect(), losses, summary)
}

fn files_in(directory: &Path) -> Vec<(String, u64)> {
    let entries = std::fs::read_dir(directory).expect("a directory").map(|entry| entry.expect("an entry"));
    entries
        .map(|entry| (entry.file_name().into_string().expect("UTF-8"), entry.metadata().expect("metadata").len()))
        .collect()
}

/// Runs `f` inside of a span that is open on a thread of this name.
fn inside_an_open_span(thread: &str, name: String, f: impl FnOnce() + Send) {
    std::thread::scope(|scope| {
        let body = move || {
            let mut future = pin!(instrument_named!(poll_fn(|_| Poll::<()>::Pending), name));
            assert!(future.as_mut().poll(&mut Context::from_waker(Waker::noop())).is_pending());
            f();
        };
        std::thread::Builder::new().name(thread.to_owned()).spawn_scoped(scope, body).expect("a thread");
    });
}

#[test]
fn a_span_stays_open_in_the_recording_however_often_its_ring_comes_round() {
    let _turn = exclusive();
    let directory = tempfile::tempdir().expect("a directory");
    let recorder = Recorder::builder()
        .directory(directory.path())
        .discipline(Discipline::Flight)
        .ring_bytes(64 << 10)
        .flush_interval(Duration::from_millis(1))
        .start()
        .expect("it starts");
    inside_an_open_span("waits", format!("an hour {}", "long ".repeat(50)), || {
        // Slowly enough for the flusher to see what goes by, most of the time.
        for _ in 0..200 {
            std::thread::sleep(Duration::from_millis(2));
            (0..200).for_each(|_| run(span_async_named!("short", async {})));
        }
        recorder.flush().expect("it flushes");
        (0..1000).for_each(|_| run(span_async_named!("short", async {})));
        let recording = Recording::open(directory.path()).expect("it can be opened");
        assert_eq!(recording.writer(), WriterState::Running);
        let (mut open, _, summary) = open_spans(&recording);
        let unscanned = recorder.health().unscanned;
        if unscanned > 0 {
            // A busy machine: the ends of some were missed, which the recorder says.
            open.retain(|(name, _)| name != "short");
        }
        assert_eq!(open, [(format!("an hour {}", "long ".repeat(50)), "waits".to_owned())], "{unscanned}");
        assert!(summary.carried >= 1);
        assert_eq!(summary.records + summary.lost + summary.damaged, 82_001);
    });
    let health = recorder.stop().expect("it stops");
    let (open, _, summary) = open_spans(&Recording::open(directory.path()).expect("it can be opened"));
    assert!(open.iter().all(|(name, _)| name == "short"), "{open:?}");
    assert_eq!(summary.records + summary.lost, 82_002);
    assert_eq!((summary.records, summary.lost), (health.flushed, health.lost));
}

#[test]
fn a_directory_stays_within_its_budget_and_says_what_was_retired() {
    let _turn = exclusive();
    let directory = tempfile::tempdir().expect("a directory");
    let recorder = Recorder::builder()
        .directory(directory.path())
        .segment_bytes(64 << 10)
        .names_bytes(64 << 10)
        .ring_bytes(64 << 10)
        .directory_bytes(1 << 20)
        .flush_interval(NEVER)
        .start()
        .expect("it starts");
    let mut recorded = 0;
    let session = recorder.directory().expect("it has one").to_owned();
    inside_an_open_span("waits", "from the beginning".to_owned(), || {
        std::thread::Builder::new()
            .name("gone".to_owned())
            .spawn(|| run(span_async_named!("early", async {})))
            .unwrap()
            .join()
            .unwrap();
        recorded += 3;
        let mut straddling = Vec::new();
        for round in 0..100 {
            // Spans of about ten rounds, which begin in one segment and end in a later one.
            let mut future = Box::pin(instrument_named!(poll_fn(|_| Poll::<()>::Pending), format!("round {round}")));
            assert!(future.as_mut().poll(&mut Context::from_waker(Waker::noop())).is_pending());
            straddling.push(future);
            if round >= 10 {
                drop(straddling.remove(0));
                recorded += 1;
            }
            for _ in 0..400 {
                run(span_async_named!("short", async {}));
            }
            recorded += 801;
            recorder.flush().expect("it flushes");
            let bytes: u64 = files_in(&session).iter().map(|(_, bytes)| bytes).sum();
            assert!(bytes <= (1 << 20) + 2 * (64 << 10), "{bytes} bytes");
        }
        let recording = Recording::open(directory.path()).expect("it can be opened");
        let (open, losses, summary) = open_spans(&recording);
        let still = (90..100).map(|round| format!("round {round}"));
        let expected = ["from the beginning".to_owned()].into_iter().chain(still);
        assert_eq!(open, expected.map(|name| (name, "waits".to_owned())).collect::<Vec<_>>());
        assert_eq!((summary.lost, summary.damaged), (0, 0));
        assert!(summary.carried >= 1);
        assert!(summary.retired > 50_000, "{summary:?}");
        assert_eq!(summary.records + summary.retired, recorded);
        assert!(losses.iter().all(|loss| loss.cause == LossCause::Retired));
        recorded += 10;
    });
    recorder.stop().expect("it stops");
    let (open, _, summary) = open_spans(&Recording::open(directory.path()).expect("it can be opened"));
    assert_eq!(open, []);
    assert_eq!(summary.records + summary.retired, recorded + 1);
}

#[test]
fn a_service_that_crashes_again_and_again_does_not_fill_the_disk() {
    let _turn = exclusive();
    if part().is_some() {
        let Some(part) = part() else { unreachable!() };
        let recorder = Recorder::builder().directory(part.directory).start().expect("it starts");
        run(span_async_named!("before the crash", async {}));
        say("recorded");
        std::mem::forget(recorder);
        std::process::abort();
    }
    let directory = tempfile::tempdir().expect("a directory");
    let test = "a_service_that_crashes_again_and_again_does_not_fill_the_disk";
    for _ in 0..4 {
        let mut child = Player::start(test, "crash", directory.path());
        assert_eq!(child.hear(), "recorded");
        child.wait();
    }
    let before = sessions(directory.path()).expect("they are there");
    assert_eq!(before.len(), 4);
    let one: u64 = files_in(&before[0]).iter().map(|(_, bytes)| bytes).sum();
    let recorder =
        Recorder::builder().directory(directory.path()).directory_bytes(3 * one + one / 2).start().expect("it starts");
    run(span_async_named!("after", async {}));
    recorder.flush().expect("it flushes");
    let after = sessions(directory.path()).expect("they are there");
    assert_eq!(after[..2], before[2..], "the oldest went, the newest stayed");
    assert_eq!(after.len(), 3);
}

#[test]
fn a_living_process_keeps_its_files_whatever_another_one_s_budget() {
    let _turn = exclusive();
    if let Some(part) = part() {
        let recorder = Recorder::builder().directory(part.directory).start().expect("it starts");
        run(span_async_named!("alive", async {}));
        recorder.flush().expect("it flushes");
        say("recording");
        std::thread::sleep(Duration::from_secs(60));
    }
    let directory = tempfile::tempdir().expect("a directory");
    let test = "a_living_process_keeps_its_files_whatever_another_one_s_budget";
    let mut child = Player::start(test, "live", directory.path());
    assert_eq!(child.hear(), "recording");
    let living = sessions(directory.path()).expect("it is there").remove(0);
    let files = files_in(&living);
    let recorder = Recorder::builder()
        .directory(directory.path())
        .segment_bytes(64 << 10)
        .directory_bytes(0)
        .start()
        .expect("it starts");
    for _ in 0..5_000 {
        run(span_async_named!("greedy", async {}));
    }
    recorder.stop().expect("it stops");
    assert_eq!(files_in(&living), files);
    assert_eq!(Recording::open(&living).expect("it can be opened").writer(), WriterState::Running);
    child.kill();
    assert_eq!(Recording::open(&living).expect("it can be opened").writer(), WriterState::Died);
}

#[test]
fn nothing_but_rings_goes_with_a_dead_session_s_ring_directory() {
    let _turn = exclusive();
    let (directory, elsewhere) = (tempfile::tempdir().expect("a directory"), tempfile::tempdir().expect("another"));
    let builder = Recorder::builder().directory(directory.path()).ring_directory(elsewhere.path());
    let recorder = builder.start().expect("it starts");
    let session = recorder.directory().expect("it has one").to_owned();
    recorder.stop().expect("it stops");
    let rings = elsewhere.path().join(session.file_name().expect("it has a name"));
    std::fs::create_dir_all(&rings).expect("the directory is writable");
    std::fs::write(rings.join("ring-00000.spanring"), "left behind").expect("the directory is writable");
    std::fs::write(rings.join("precious"), "someone else's").expect("the directory is writable");
    let recorder = Recorder::builder().directory(directory.path()).directory_bytes(0).start().expect("it starts");
    run(span_async_named!("makes a segment", async {}));
    recorder.stop().expect("it stops");
    assert!(!session.exists(), "the dead session is gone");
    assert_eq!(files_in(&rings), [("precious".to_owned(), 14)]);
}

#[test]
fn attributes_stay_with_a_span_that_is_open() {
    let _turn = exclusive();
    for discipline in [Discipline::Flight, Discipline::Drain] {
        let directory = tempfile::tempdir().expect("a directory");
        let recorder = Recorder::builder()
            .directory(directory.path())
            .discipline(discipline)
            .ring_bytes(64 << 10)
            .segment_bytes(64 << 10)
            .directory_bytes(0)
            .flush_interval(NEVER)
            .start()
            .expect("it starts");
        let waits = async {
            current_span().record("step", 1).record("step", 2);
            std::future::pending::<()>().await;
        };
        let mut waits = pin!(span_async_named!("waits", batch = 7, who = format!("client {}", "x".repeat(60)), waits));
        assert!(waits.as_mut().poll(&mut Context::from_waker(Waker::noop())).is_pending());
        for _ in 0..20 {
            recorder.flush().expect("it flushes");
            (0..400).for_each(|_| run(span_async_named!("short", async {})));
        }
        recorder.flush().expect("it flushes");
        let contents = Contents::of_directory(directory.path());
        let begin =
            contents.carried.iter().find(|record| record.name == "waits").expect("its begin was carried forward");
        let who = Value::Text(format!("client {}", "x".repeat(60)), NameState::Whole);
        let expected = [("batch", Value::I64(7)), ("who", who), ("step", Value::I64(2))];
        assert_eq!(contents.attributes(begin.span_id), expected, "{discipline:?}");
        assert_eq!(contents.summary.carried_attributes, 3, "{discipline:?}");
        drop(recorder);
    }
}

#[test]
fn a_begin_that_was_carried_forward_comes_once_even_while_the_original_is_there() {
    let _turn = exclusive();
    let directory = tempfile::tempdir().expect("a directory");
    let recorder = Recorder::builder()
        .directory(directory.path())
        .segment_bytes(64 << 10)
        .directory_bytes(0)
        .flush_interval(NEVER)
        .start()
        .expect("it starts");
    let first = recorder.directory().expect("it has one").join("segment-000000.spanring");
    inside_an_open_span("waits", "from the beginning".to_owned(), || {
        recorder.flush().expect("it flushes");
        let original = std::fs::read(&first).expect("it is there");
        (0..1000).for_each(|_| run(span_async_named!("short", async {})));
        recorder.flush().expect("it flushes");
        assert!(!first.exists(), "it was retired");
        std::fs::write(&first, original).expect("the directory is writable");
        let (open, losses, summary) = open_spans(&Recording::open(directory.path()).expect("it can be opened"));
        assert_eq!(open, [("from the beginning".to_owned(), "waits".to_owned())]);
        assert_eq!((losses.len(), summary.carried), (0, 0));
    });
    recorder.stop().expect("it stops");
}

#[test]
fn what_a_process_left_that_was_killed_while_it_started_or_removed_something_goes_at_the_next_start() {
    let _turn = exclusive();
    let (directory, elsewhere) = (tempfile::tempdir().expect("a directory"), tempfile::tempdir().expect("another"));
    let builder = || Recorder::builder().directory(directory.path()).ring_directory(elsewhere.path());
    // Killed while it removed a session: that has got its other name, and its rings are still there.
    let session = builder().start().expect("it starts").directory().expect("it has one").to_owned();
    let rings = elsewhere.path().join(session.file_name().expect("it has a name"));
    let removed = format!("{}.removed", session.display());
    std::fs::rename(&session, removed).expect("it can be renamed");
    std::fs::create_dir(&rings).expect("the directory is writable");
    std::fs::write(rings.join("ring-00000.spanring"), "left behind").expect("the directory is writable");
    std::fs::write(rings.join("ring-00001.new"), "unfinished").expect("the directory is writable");
    assert!(sessions(directory.path()).is_err(), "no reader meets it");
    // Killed while it started: there is no session file yet. No process has the largest number.
    let unfinished = |pid: u32| directory.path().join(format!("20200101T000000.000Z-{pid}-0"));
    let (dead, living) = (unfinished(i32::MAX as u32), unfinished(std::os::unix::process::parent_id()));
    for path in [&dead, &living] {
        std::fs::create_dir(path).expect("the directory is writable");
        std::fs::write(path.join("session.new"), "unfinished").expect("the directory is writable");
    }
    let other = directory.path().join("someone else's");
    std::fs::create_dir(&other).expect("the directory is writable");
    let recorder = builder().start().expect("it starts");
    let own = recorder.directory().expect("it has one").to_owned();
    recorder.stop().expect("it stops");
    let mut left: Vec<_> =
        std::fs::read_dir(directory.path()).expect("it is there").map(|entry| entry.unwrap().path()).collect();
    left.sort();
    assert_eq!(left, [living, own, other]);
    assert!(!rings.exists());
}

#[test]
fn rings_elsewhere_count_as_part_of_their_session() {
    let _turn = exclusive();
    let (directory, elsewhere) = (tempfile::tempdir().expect("a directory"), tempfile::tempdir().expect("another"));
    let builder = Recorder::builder().directory(directory.path()).ring_directory(elsewhere.path());
    let session = builder.start().expect("it starts").directory().expect("it has one").to_owned();
    let rings = elsewhere.path().join(session.file_name().expect("it has a name"));
    std::fs::create_dir(&rings).expect("the directory is writable");
    for (megabytes, stays) in [(1, true), (20, false)] {
        std::fs::write(rings.join("ring-00000.spanring"), vec![0; megabytes << 20]).expect("the directory is writable");
        let builder = Recorder::builder().directory(directory.path()).segment_bytes(64 << 10).names_bytes(4096);
        builder.directory_bytes(20 << 20).start().expect("it starts").stop().expect("it stops");
        assert_eq!((session.exists(), rings.exists()), (stays, stays));
    }
}
