//! Processes that are killed, abort, or exit without a word while they record, and one that is read while it goes on.

#![cfg(feature = "enable")]

mod common;

use common::child::{Player, part, say};
use common::{Contents, Item, NEVER, poll_once, run};
use spanring::prelude::*;
use spanring::reader::{NameState, Phase, Recording, WriterState};
use spanring::{Discipline, Recorder, RecorderGuard};
use std::collections::BTreeMap;
use std::path::Path;
use std::process::ExitStatus;
use std::thread;
use std::time::Duration;

const DISCIPLINES: [Discipline; 2] = [Discipline::Drain, Discipline::Flight];

/// Spans with static and run-time names, one inside the other.
fn spans(numbers: std::ops::Range<u64>) {
    for number in numbers {
        run(span_async_named!("request", async {
            span_async_named!(query(number), async {
                span_scope!("render");
            })
            .await;
        }));
    }
}

/// Names of many lengths, so that records take one to three slots and a ring may come round in the middle of any.
fn query(number: u64) -> String {
    format!("query {number} {}", "x".repeat(number as usize * 31 % 100))
}

/// Records that [`spans`] leaves for each.
const RECORDS: u64 = 6;

/// Plays the part that the parent asked for. Without one this is no test.
#[test]
fn child() {
    let Some(part) = part() else { return };
    let (part, discipline) = part_and_discipline(&part.name, &part.directory);
    match part.as_str() {
        "then waits" => then_waits(discipline),
        "goes on" => goes_on(discipline),
        "aborts" => then(discipline, || std::process::abort()),
        "exits" => then(discipline, || std::process::exit(3)),
        "crashes" => then(discipline, || {
            loop {
                // SAFETY: raising a signal touches no memory. The first one only ends the handler for stack overflows.
                unsafe { libc::raise(libc::SIGSEGV) };
            }
        }),
        "panics twice" => then(discipline, || {
            struct Bomb;
            impl Drop for Bomb {
                fn drop(&mut self) {
                    panic!("while panicking");
                }
            }
            let _bomb = Bomb;
            panic!("on purpose");
        }),
        other => panic!("no such part: {other}"),
    }
}

/// A part's name, and the recorder that it plays with.
fn part_and_discipline(name: &str, directory: &Path) -> (String, spanring::Builder) {
    let (part, discipline) = name.split_once('/').unwrap();
    let discipline = if discipline == "drain" { Discipline::Drain } else { Discipline::Flight };
    (part.to_owned(), Recorder::builder().directory(directory).discipline(discipline))
}

fn player(part: &str, discipline: Discipline, directory: &Path) -> Player {
    Player::start("child", &format!("{part}/{discipline}"), directory)
}

/// Records 50 spans on each of two threads and one that stays open, half of it flushed, and then waits for its end.
fn then_waits(builder: spanring::Builder) {
    let _recorder = record_some(builder);
    let mut open = Box::pin(span_async_named!("open", std::future::pending::<()>()));
    assert!(poll_once(open.as_mut()).is_pending());
    say("recorded");
    loop {
        thread::park();
    }
}

fn record_some(builder: spanring::Builder) -> RecorderGuard {
    let recorder = builder.flush_interval(NEVER).start().unwrap();
    spans(0..25);
    recorder.flush().unwrap();
    spans(25..50);
    thread::Builder::new().name("other".to_owned()).spawn(|| spans(0..50)).unwrap().join().unwrap();
    recorder
}

/// Records the same, and then comes to a bad end, all by itself.
fn then(builder: spanring::Builder, end: impl FnOnce()) {
    let _recorder = record_some(builder);
    end();
}

/// Records for ever, and says how much it is sure to have recorded.
fn goes_on(builder: spanring::Builder) {
    let builder = builder.ring_bytes(64 << 10).segment_bytes(256 << 10).names_bytes(16 << 10);
    let _recorder = builder.flush_interval(Duration::from_millis(2)).start().unwrap();
    for round in 1.. {
        spans(round * 10..round * 10 + 10);
        say(round * 10 * RECORDS);
        thread::sleep(Duration::from_micros(300));
    }
}

/// Checks that everything which [`record_some`] recorded is there, once, and under its name.
fn check_some(contents: &Contents) {
    contents.check_whole();
    assert_eq!((contents.summary.lost, contents.summary.damaged, contents.summary.damages), (0, 0, 0));
    assert!(contents.summary.recovered > 0 && !contents.summary.complete);
    assert!(contents.spans().all(|record| record.name_state == NameState::Whole && record.location.is_some()));
    let mut times: BTreeMap<&str, usize> = BTreeMap::new();
    contents.spans().for_each(|record| *times.entry(&record.name).or_default() += 1);
    assert_eq!((times["request"], times["render"]), (200, 200));
    for number in 0..50 {
        assert_eq!(times[query(number).as_str()], 4);
    }
    let names: Vec<&str> = contents.threads.iter().map(|thread| thread.name.as_str()).collect();
    assert!(names.contains(&"other"), "{names:?}");
}

#[test]
fn a_killed_process_leaves_everything_it_recorded() {
    for discipline in DISCIPLINES {
        let directory = tempfile::tempdir().unwrap();
        let mut player = player("then waits", discipline, directory.path());
        assert_eq!(player.hear(), "recorded");
        player.kill();
        let recording = Recording::open(directory.path()).unwrap();
        assert_eq!(recording.writer(), WriterState::Died);
        assert_eq!(recording.facts().discipline, discipline);
        let contents = Contents::of(&recording);
        check_some(&contents);
        let [open] = contents.named("open")[..] else { panic!("it began and did not end") };
        assert_eq!((open.phase, open.depth), (Phase::Begin, 0));
        assert_eq!(contents.summary.records, 100 * RECORDS + 1);
        // What does not change reads the same again.
        assert_eq!(Contents::of(&recording).items, contents.items);
    }
}

/// How the child ended, by exit code or by signal.
fn check_end(part: &str, how: impl Fn(ExitStatus) -> bool) {
    for discipline in DISCIPLINES {
        let directory = tempfile::tempdir().unwrap();
        let status = player(part, discipline, directory.path()).wait();
        assert!(how(status), "{part}: {status}");
        let recording = Recording::open(directory.path()).unwrap();
        assert_eq!(recording.writer(), WriterState::Died, "{part}");
        let contents = Contents::of(&recording);
        check_some(&contents);
        assert_eq!(contents.summary.records, 100 * RECORDS);
    }
}

fn signal(status: ExitStatus) -> Option<i32> {
    std::os::unix::process::ExitStatusExt::signal(&status)
}

#[test]
fn an_aborted_process_leaves_everything_it_recorded() {
    check_end("aborts", |status| signal(status) == Some(libc::SIGABRT));
}

#[test]
fn a_process_that_crashes_leaves_everything_it_recorded() {
    check_end("crashes", |status| signal(status) == Some(libc::SIGSEGV));
}

#[test]
fn a_process_that_panics_while_panicking_leaves_everything_it_recorded() {
    check_end("panics twice", |status| signal(status) == Some(libc::SIGABRT));
}

#[test]
fn a_process_that_exits_without_dropping_its_guard_leaves_everything_it_recorded() {
    check_end("exits", |status| status.code() == Some(3));
}

#[test]
fn a_process_killed_at_any_moment_leaves_whole_records_without_a_gap() {
    for round in 0..6 {
        let directory = tempfile::tempdir().unwrap();
        let mut player = player("goes on", Discipline::Drain, directory.path());
        let mut sure = 0;
        for _ in 0..=round * 4 {
            sure = player.hear().parse().unwrap();
        }
        player.kill();
        let recording = Recording::open(directory.path()).unwrap();
        assert_eq!(recording.writer(), WriterState::Died);
        let contents = Contents::of(&recording);
        contents.check_whole();
        assert_eq!(contents.summary.damages, 0);
        assert!(contents.summary.records + contents.summary.lost >= sure, "{:?} after {sure}", contents.summary);
        // If the flusher did not keep up, the last ones are known to be missing.
        let after_last = contents.items.iter().rev().map_while(|item| match item {
            Item::Loss(loss) => Some(loss.records),
            _ => None,
        });
        let last = contents.spans().last().unwrap().record_number;
        assert_eq!(contents.summary.records + contents.summary.lost, last + 1 + after_last.sum::<u64>());
        assert!(contents.spans().all(|record| record.name_state == NameState::Whole));
    }
}

#[test]
fn in_flight_a_process_killed_at_any_moment_leaves_its_last_records() {
    for round in 0..4 {
        let directory = tempfile::tempdir().unwrap();
        let mut player = player("goes on", Discipline::Flight, directory.path());
        let mut sure: u64 = 0;
        for _ in 0..=round * 20 {
            sure = player.hear().parse().unwrap();
        }
        player.kill();
        let contents = Contents::of_directory(directory.path());
        contents.check_whole();
        assert_eq!(contents.summary.damages, 0);
        assert!(contents.summary.records + contents.summary.lost >= sure, "{:?} after {sure}", contents.summary);
        // A ring of 1024 slots; the six records of a span take ten at most, and eight of the slots may be being written.
        assert!(contents.summary.records >= sure.min((1024 - 8) / 10 * 6), "{:?}", contents.summary);
        assert!(contents.spans().all(|record| record.name_state == NameState::Whole));
    }
}

#[test]
fn a_process_can_be_read_while_it_goes_on() {
    for discipline in DISCIPLINES {
        let directory = tempfile::tempdir().unwrap();
        let mut player = player("goes on", discipline, directory.path());
        let mut seen = 0;
        for _ in 0..15 {
            let sure: u64 = player.hear().parse().unwrap();
            let recording = Recording::open(directory.path()).unwrap();
            assert_eq!(recording.writer(), WriterState::Running);
            let contents = Contents::of(&recording);
            contents.check_whole();
            let summary = contents.summary;
            assert_eq!((summary.damages, summary.complete), (0, false), "{:?}", contents.damages().next());
            let total = summary.records + summary.lost;
            assert!(total >= seen, "{total} records after {seen} were there");
            seen = total;
            if discipline == Discipline::Drain {
                assert!(total >= sure, "{summary:?} after {sure}");
            }
            assert!(contents.spans().all(|record| record.name_state == NameState::Whole));
        }
        player.kill();
        assert_eq!(Recording::open(directory.path()).unwrap().writer(), WriterState::Died);
    }
}
