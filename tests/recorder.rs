//! Starting, flushing and stopping a recorder, and what it leaves on the disk.

#![cfg(feature = "enable")]

mod common;

use common::{Contents, NEVER, exclusive, give_way, poll_once, run};
use spanring::prelude::*;
use spanring::reader::{Recording, TickSource, WriterState, sessions};
use spanring::{Builder, Discipline, FlushError, Recorder, StartError};
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};
use std::sync::mpsc;
use std::thread;
use std::time::{Duration, SystemTime};

fn span(name: &'static str) {
    run(span_async_named!(name, async {}));
}

fn spans(count: usize) {
    (0..count).for_each(|_| span("span"));
}

/// Every file and directory below `directory`.
fn tree(directory: &Path) -> Vec<PathBuf> {
    let entries = std::fs::read_dir(directory).unwrap().map(|entry| entry.unwrap().path());
    entries
        .flat_map(|path| if path.is_dir() { [vec![path.clone()], tree(&path)].concat() } else { vec![path] })
        .collect()
}

fn names_of(files: &[PathBuf]) -> Vec<String> {
    let mut names: Vec<String> =
        files.iter().map(|path| path.file_name().unwrap().to_string_lossy().into_owned()).collect();
    names.sort();
    names
}

#[test]
#[cfg_attr(miri, ignore = "maps files")]
fn dropping_the_guard_flushes_and_stops() {
    let _turn = exclusive();
    let directory = tempfile::tempdir().unwrap();
    let recorder = Recorder::builder().directory(directory.path()).flush_interval(NEVER).start().unwrap();
    assert!(spanring::is_recording());
    spans(10);
    drop(recorder);
    assert!(!spanring::is_recording());
    spans(10);

    let recording = Recording::open(directory.path()).unwrap();
    assert_eq!(recording.writer(), WriterState::Stopped);
    let contents = Contents::of(&recording);
    contents.check_whole();
    assert_eq!((contents.summary.records, contents.summary.recovered), (20, 0));
    assert!(contents.summary.complete);
}

#[test]
fn a_future_wrapped_before_the_start_is_recorded_if_its_name_is_known_and_stands_in_no_span() {
    let _turn = exclusive();
    static_span_desc!(EARLY, "early");
    let early = async {}.instrument(&EARLY);
    let nameless = span_async_named!("evaluated only while somebody records", async {});
    let recorder = Recorder::builder().memory().start().unwrap();
    let memory = recorder.memory().unwrap().clone();
    run(span_async_named!("outer", async {
        early.await;
        nameless.await;
    }));
    recorder.stop().unwrap();
    let contents = Contents::of_memory(&memory.bytes());
    contents.check_whole();
    assert_eq!(contents.summary.records, 4);
    let (begin, end) = contents.span("early");
    assert_eq!((begin.parent, begin.depth, end.parent, end.depth), (0, 0, 0, 0));
}

#[test]
fn stop_returns_the_final_counts() {
    let _turn = exclusive();
    let recorder = Recorder::builder().memory().start().unwrap();
    spans(10);
    let health = recorder.stop().unwrap();
    assert_eq!((health.flushed, health.lost, health.refused, health.rings), (20, 0, 0, 1));
    assert!(!health.recording);
}

#[test]
#[cfg_attr(miri, ignore = "maps files")]
fn each_start_makes_a_session_of_its_own_in_order() {
    let _turn = exclusive();
    let directory = tempfile::tempdir().unwrap();
    let mut paths = Vec::new();
    for run in 1..=12 {
        let recorder = Recorder::builder().directory(directory.path()).start().unwrap();
        paths.push(recorder.directory().unwrap().to_owned());
        spans(run);
    }
    assert_eq!(sessions(directory.path()).unwrap(), paths);
    for (path, run) in paths.iter().zip(1..) {
        let recording = Recording::open(path).unwrap();
        assert_eq!(Contents::of(&recording).summary.records, 2 * run);
        assert_eq!(recording.facts().session, path.file_name().unwrap().to_str().unwrap());
        assert_eq!(sessions(path).unwrap(), std::slice::from_ref(path));
    }
    assert_eq!(Recording::open(directory.path()).unwrap().path(), paths[11]);
}

#[test]
fn a_span_alive_across_stop_and_start_leaves_no_stray_end() {
    let _turn = exclusive();
    let first = Recorder::builder().memory().start().unwrap();
    let mut survivor = Box::pin(span_async_named!("survivor", async {
        give_way().await;
        span_async_named!("child", async {}).await;
    }));
    assert!(poll_once(survivor.as_mut()).is_pending());
    span_scope!("scope that survives");
    drop(first);

    let second = Recorder::builder().memory().start().unwrap();
    span("in the second");
    assert!(poll_once(survivor.as_mut()).is_ready());
    second.flush().unwrap();
    let contents = Contents::of_memory(&second.memory().unwrap().bytes());
    assert_eq!(contents.story(), ["+in the second", "-in the second", "+child", "-child"]);
    assert_eq!(second.health().stray_ends, 1);
    assert!(second.health().to_string().contains("1 stray end"));
    assert_eq!(second.stop().unwrap().stray_ends, 1);
}

#[test]
fn ends_after_the_stop_are_not_counted_as_strays_of_the_next() {
    let _turn = exclusive();
    let first = Recorder::builder().memory().start().unwrap();
    let mut survivor = Box::pin(span_async_named!("survivor", give_way()));
    assert!(poll_once(survivor.as_mut()).is_pending());
    drop(first);
    drop(survivor);
    let second = Recorder::builder().memory().start().unwrap();
    second.flush().unwrap();
    assert_eq!(second.stop().unwrap().stray_ends, 0);
}

#[test]
fn stopping_takes_every_record_that_was_begun() {
    let _turn = exclusive();
    for _ in 0..if cfg!(miri) { 2 } else { 20 } {
        let recorder = Recorder::builder().memory().ring_bytes(1 << 20).start().unwrap();
        let memory = recorder.memory().unwrap().clone();
        let (ready, all_ready) = mpsc::channel();
        let workers: Vec<_> = (0..2)
            .map(|_| {
                let ready = ready.clone();
                thread::spawn(move || {
                    span("first");
                    ready.send(()).unwrap();
                    while spanring::is_recording() {
                        span("span");
                    }
                })
            })
            .collect();
        workers.iter().for_each(|_| all_ready.recv().unwrap());
        let health = recorder.stop().unwrap();
        workers.into_iter().for_each(|worker| worker.join().unwrap());
        let contents = Contents::of_memory(&memory.bytes());
        contents.check_whole();
        assert_eq!((contents.summary.records, contents.summary.lost), (health.flushed, health.lost));
        // Of each thread at most the span that was under way has no end.
        let begins = contents.spans().filter(|record| record.outcome.is_none()).count();
        let ends = contents.spans().count() - begins;
        assert!(contents.summary.lost > 0 || (ends..=ends + 2).contains(&begins), "{begins} begins, {ends} ends");
    }
}

#[test]
fn flush_covers_whatever_any_thread_recorded_before() {
    let _turn = exclusive();
    const ROUNDS: u64 = if cfg!(miri) { 6 } else { 50 };
    let recorder = Recorder::builder().memory().flush_interval(NEVER).start().unwrap();
    let (recorded, all_recorded) = mpsc::channel();
    let (go, stay) = mpsc::channel::<()>();
    let worker = thread::spawn(move || {
        for round in 1..=ROUNDS {
            span("worker");
            recorded.send(round).unwrap();
            stay.recv().unwrap();
        }
    });
    for round in 1..=ROUNDS {
        assert_eq!(all_recorded.recv().unwrap(), round);
        if round % 2 == 0 {
            recorder.flush().unwrap()
        } else {
            spanring::flush().unwrap()
        }
        let contents = Contents::of_memory(&recorder.memory().unwrap().bytes());
        assert_eq!(contents.summary.records, 2 * round);
        go.send(()).unwrap();
    }
    worker.join().unwrap();
}

#[test]
fn the_flusher_flushes_by_itself() {
    let _turn = exclusive();
    let recorder = Recorder::builder().memory().flush_interval(Duration::from_millis(1)).start().unwrap();
    spans(10);
    while recorder.health().flushed < 20 {
        thread::sleep(Duration::from_millis(1));
    }
    assert!(recorder.health().is_good());
}

#[test]
#[cfg_attr(miri, ignore = "maps files")]
fn records_are_on_the_disk_once_flushed_while_the_recorder_goes_on() {
    let _turn = exclusive();
    let directory = tempfile::tempdir().unwrap();
    let recorder = Recorder::builder().directory(directory.path()).flush_interval(NEVER).start().unwrap();
    spans(5);
    recorder.flush().unwrap();
    spans(5);
    let recording = Recording::open(recorder.directory().unwrap()).unwrap();
    assert_eq!(recording.writer(), WriterState::Running);
    let contents = Contents::of(&recording);
    contents.check_whole();
    assert_eq!((contents.summary.records, contents.summary.recovered, contents.summary.damages), (20, 10, 0));
    assert!(!contents.summary.complete);
}

#[test]
#[cfg_attr(miri, ignore = "maps files")]
fn a_recording_can_be_read_at_any_moment_while_threads_record() {
    const READINGS: usize = 30;
    const SPANS_IN_A_READING: usize = 20;
    let _turn = exclusive();
    let directory = tempfile::tempdir().unwrap();
    let builder = Recorder::builder().directory(directory.path()).segment_bytes(64 << 10).names_bytes(4096);
    let recorder = builder.flush_interval(Duration::from_millis(1)).start().unwrap();
    let session = recorder.directory().unwrap().to_owned();
    thread::scope(|scope| {
        // Each reading has to read all that came before, too: so there is as much of it on a slow machine as on a fast one.
        let turns = [(); 2].map(|()| {
            let (turn, turns) = mpsc::channel::<()>();
            scope.spawn(move || {
                for () in turns {
                    for _ in 0..SPANS_IN_A_READING {
                        spans(1);
                        // So that they are recorded all the while somebody reads.
                        thread::sleep(Duration::from_micros(50));
                    }
                }
            });
            turn
        });
        let mut before = 0;
        for _ in 0..READINGS {
            turns.iter().for_each(|turn| turn.send(()).unwrap());
            let contents = Contents::of_directory(&session);
            contents.check_whole();
            let summary = contents.summary;
            assert_eq!((summary.damages, summary.damaged), (0, 0), "{:?}", contents.damages().next());
            assert!(summary.records + summary.lost >= before);
            before = summary.records + summary.lost;
        }
    });
    recorder.stop().unwrap();
    let contents = Contents::of_directory(&session);
    contents.check_whole();
    assert_eq!(contents.summary.records + contents.summary.lost, 2 * 2 * (READINGS * SPANS_IN_A_READING) as u64);
}

#[test]
#[cfg_attr(miri, ignore = "maps files")]
fn segments_follow_each_other() {
    let _turn = exclusive();
    let directory = tempfile::tempdir().unwrap();
    let builder = Recorder::builder().directory(directory.path()).segment_bytes(64 << 10);
    let recorder = builder.flush_interval(NEVER).start().unwrap();
    for _ in 0..10 {
        spans(200);
        recorder.flush().unwrap();
    }
    let session = recorder.directory().unwrap().to_owned();
    assert_eq!(recorder.stop().unwrap().flushed, 4000);
    let segments = names_of(&tree(&session)).into_iter().filter(|name| name.starts_with("segment")).count();
    assert!(segments >= 4, "{segments} segments for 250 KiB");
    let contents = Contents::of_directory(&session);
    contents.check_whole();
    assert_eq!((contents.summary.records, contents.summary.lost, contents.summary.damages), (4000, 0, 0));
}

#[test]
#[cfg_attr(miri, ignore = "maps files")]
fn a_clean_stop_leaves_no_ring() {
    let _turn = exclusive();
    let directory = tempfile::tempdir().unwrap();
    let recorder = Recorder::builder().directory(directory.path()).start().unwrap();
    spans(1);
    recorder.flush().unwrap();
    let session = recorder.directory().unwrap().to_owned();
    let running = ["names.spanring", "ring-00000.spanring", "segment-000000.spanring", "session.spanring"];
    assert_eq!(names_of(&tree(&session)), running);
    recorder.stop().unwrap();
    let stopped = ["names.spanring", "segment-000000.spanring", "session.spanring"];
    assert_eq!(names_of(&tree(&session)), stopped);
}

#[test]
#[cfg_attr(miri, ignore = "maps files")]
fn rings_may_be_elsewhere_and_are_found_and_removed_there() {
    let _turn = exclusive();
    let directory = tempfile::tempdir().unwrap();
    let elsewhere = tempfile::tempdir().unwrap();
    let builder = Recorder::builder().directory(directory.path()).ring_directory(elsewhere.path());
    let recorder = builder.flush_interval(NEVER).start().unwrap();
    spans(3);
    let rings = tree(elsewhere.path());
    assert!(names_of(&rings).contains(&"ring-00000.spanring".to_owned()), "{rings:?}");
    let session = recorder.directory().unwrap().to_owned();
    assert!(!names_of(&tree(&session)).iter().any(|name| name.starts_with("ring")));

    let recording = Recording::open(&session).unwrap();
    assert_eq!(Path::new(&recording.facts().ring_directory), elsewhere.path());
    assert_eq!(Contents::of(&recording).summary.recovered, 6);

    recorder.stop().unwrap();
    assert_eq!(tree(elsewhere.path()), Vec::<PathBuf>::new());
    assert_eq!(Contents::of_directory(&session).summary.records, 6);
}

#[test]
#[cfg_attr(miri, ignore = "maps files")]
fn recordings_are_for_their_owner_only() {
    let _turn = exclusive();
    let directory = tempfile::tempdir().unwrap();
    let elsewhere = tempfile::tempdir().unwrap();
    let builder = Recorder::builder().directory(directory.path().join("new")).ring_directory(elsewhere.path());
    let recorder = builder.start().unwrap();
    spans(1);
    recorder.flush().unwrap();
    let session = recorder.directory().unwrap();
    for path in [vec![session.to_owned()], tree(session), tree(elsewhere.path())].concat() {
        let mode = std::fs::metadata(&path).unwrap().permissions().mode() & 0o777;
        assert_eq!(mode, if path.is_dir() { 0o700 } else { 0o600 }, "{}", path.display());
    }
}

/// What `builder` says when it is started, which fails.
fn complaint(builder: Builder) -> (StartError, String) {
    let error = builder.start().expect_err("these settings are wrong");
    let text = error.to_string();
    (error, text)
}

#[test]
fn a_second_recorder_is_refused_and_the_first_goes_on() {
    let _turn = exclusive();
    let first = Recorder::builder().memory().start().unwrap();
    let (error, text) = complaint(Recorder::builder().memory());
    assert!(matches!(error, StartError::AlreadyRunning));
    assert!(text.contains("stop it first"), "{text}");
    spans(1);
    assert_eq!(first.stop().unwrap().flushed, 2);
    drop(Recorder::builder().memory().start().unwrap());
}

#[test]
fn a_recorder_needs_exactly_one_destination() {
    let _turn = exclusive();
    let (error, text) = complaint(Recorder::builder());
    assert!(matches!(error, StartError::NoDestination));
    assert!(text.contains("directory(path), memory() or sink(sink)"), "{text}");
    let (error, text) = complaint(Recorder::builder().memory().directory("never created"));
    assert!(matches!(error, StartError::TwoDestinations));
    assert!(text.contains("choose one"), "{text}");
    assert!(!Path::new("never created").exists());
}

#[test]
fn sizes_out_of_bounds_are_refused_with_the_bounds() {
    let _turn = exclusive();
    for bytes in [0, 4095, (1 << 30) + 1, u64::MAX] {
        let (error, text) = complaint(Recorder::builder().memory().ring_bytes(bytes));
        assert!(matches!(error, StartError::RingSize { bytes: told } if told == bytes));
        assert!(text.contains("4096 bytes to 1 GiB"), "{text}");
        let (error, text) = complaint(Recorder::builder().memory().names_bytes(bytes));
        assert!(matches!(error, StartError::NamesSize { .. }));
        assert!(text.contains("4 KiB to 1 GiB"), "{text}");
    }
    let (error, text) = complaint(Recorder::builder().memory().segment_bytes(1));
    assert!(matches!(error, StartError::SegmentSize { bytes: 1 }));
    assert!(text.contains("64 KiB to 4 GiB"), "{text}");
    let (error, text) = complaint(Recorder::builder().memory().flush_interval(Duration::ZERO));
    assert!(matches!(error, StartError::FlushInterval));
    assert!(text.contains("a millisecond or more"), "{text}");
}

#[test]
#[cfg_attr(miri, ignore = "maps files")]
fn a_directory_that_cannot_be_made_is_named_with_the_reason() {
    let _turn = exclusive();
    let directory = tempfile::tempdir().unwrap();
    let file = directory.path().join("a file");
    std::fs::write(&file, "").unwrap();
    for builder in [
        Recorder::builder().directory(file.join("below")),
        Recorder::builder().directory(directory.path()).ring_directory(file.join("below")),
    ] {
        let (error, text) = complaint(builder);
        let StartError::Directory { path, .. } = &error else { panic!("{error:?}") };
        assert!(path.starts_with(&file), "{}", path.display());
        assert!(text.contains("a file") && text.contains("choose a directory"), "{text}");
        assert!(std::error::Error::source(&error).is_some());
    }
    assert!(!spanring::is_recording());
    assert!(!tree(directory.path()).iter().any(|path| path != &file && path.is_file()));
}

#[test]
fn without_a_recorder_flushing_says_so() {
    let _turn = exclusive();
    assert!(matches!(spanring::flush(), Err(FlushError::NotRunning)));
    assert!(FlushError::NotRunning.to_string().contains("start one"));
    assert!(spanring::health().is_none());
}

#[test]
#[cfg_attr(miri, ignore = "maps files")]
fn health_tells_a_good_recording_in_a_line() {
    let _turn = exclusive();
    let directory = tempfile::tempdir().unwrap();
    let recorder = Recorder::builder().directory(directory.path()).start().unwrap();
    spans(2);
    recorder.flush().unwrap();
    let health = recorder.health();
    assert_eq!(health.to_string(), "recording: 4 records flushed, 0 lost");
    assert!(health.is_good());
    assert_eq!(health.directory.as_deref(), recorder.directory());
    assert_eq!(spanring::health().unwrap().flushed, 4);
    let stopped = recorder.stop().unwrap();
    assert_eq!(stopped.to_string(), "not recording: 4 records flushed, 0 lost");
    assert!(!stopped.is_good());
}

#[test]
#[cfg_attr(miri, ignore = "maps files")]
fn a_recording_says_who_made_it_and_how() {
    let _turn = exclusive();
    let directory = tempfile::tempdir().unwrap();
    let builder = Recorder::builder().directory(directory.path()).ring_bytes(100_000);
    drop(builder.discipline(Discipline::Flight).start().unwrap());
    let recording = Recording::open(directory.path()).unwrap();
    let facts = recording.facts();
    assert_eq!(facts.pid, std::process::id());
    assert_eq!(Path::new(&facts.executable), std::env::current_exe().unwrap());
    assert_eq!((facts.ring_bytes, facts.discipline), (131_072, Discipline::Flight));
    assert_eq!((facts.os.as_str(), facts.arch.as_str()), (std::env::consts::OS, std::env::consts::ARCH));
    assert_eq!(facts.version, env!("CARGO_PKG_VERSION"));
    assert!(facts.ticks_per_second > 0 && facts.started_unix_ns > 0);
}

#[test]
#[cfg_attr(miri, ignore = "maps files")]
fn each_recording_says_which_clock_it_has_and_its_times_are_right_by_any() {
    let _turn = exclusive();
    let unix_ns = || SystemTime::now().duration_since(SystemTime::UNIX_EPOCH).unwrap().as_nanos() as u64;
    let mut sources = Vec::new();
    for by_system in [true, false, true] {
        let directory = tempfile::tempdir().unwrap();
        let builder = Recorder::builder().directory(directory.path());
        let before = unix_ns();
        let recorder = if by_system { builder.system_clock() } else { builder }.start().unwrap();
        std::thread::scope(|scope| {
            scope.spawn(|| run(span_async_named!("elsewhere", async {})));
        });
        run(span_async_named!("span", async { std::thread::sleep(Duration::from_millis(5)) }));
        recorder.stop().unwrap();
        let after = unix_ns();
        let recording = Recording::open(directory.path()).unwrap();
        sources.push(recording.facts().tick_source);
        let contents = Contents::of(&recording);
        let (begin, end) = contents.span("span");
        assert!(end.unix_ns - begin.unix_ns >= 4_900_000, "{} ns", end.unix_ns - begin.unix_ns);
        // A tenth of a second: the wall clock may be slewed or stepped a little meanwhile.
        assert!(begin.unix_ns + 100_000_000 > before && end.unix_ns < after + 100_000_000);
        assert_eq!(contents.spans().count(), 4);
    }
    assert_eq!((sources[0], sources[2]), (TickSource::Monotonic, TickSource::Monotonic));
}
