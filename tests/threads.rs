//! Threads: each registers at its first event, and hands its ring over when it ends.

#![cfg(feature = "enable")]

mod common;

use common::{Contents, NEVER, exclusive, run};
use spanring::dispatch::init_thread_stream;
use spanring::prelude::*;
use spanring::reader::LossCause;
use spanring::{Builder, Discipline, Recorder};
use std::collections::{BTreeMap, BTreeSet};
use std::sync::{Arc, Barrier};
use std::thread;

fn spans(count: usize) {
    (0..count).for_each(|_| run(span_async_named!("span", async {})));
}

/// Runs `work` on a thread of that name, and waits until the thread is gone.
fn on_thread(name: &str, work: impl FnOnce() + Send + 'static) {
    thread::Builder::new().name(name.to_owned()).spawn(work).unwrap().join().unwrap();
}

fn in_memory() -> Builder {
    Recorder::builder().memory()
}

#[test]
fn many_short_threads_share_as_many_rings_as_ever_lived_at_once() {
    let _turn = exclusive();
    const SHORT: usize = if cfg!(miri) { 10 } else { 100 };
    let recorder = in_memory().start().unwrap();
    let memory = recorder.memory().unwrap().clone();
    (0..SHORT).for_each(|number| on_thread(&format!("short {number}"), || spans(3)));
    let together = Arc::new(Barrier::new(4));
    let four: Vec<_> = (0..4)
        .map(|_| {
            let together = Arc::clone(&together);
            thread::spawn(move || {
                spans(1);
                together.wait();
                spans(2);
            })
        })
        .collect();
    four.into_iter().for_each(|thread| thread.join().unwrap());
    let health = recorder.stop().unwrap();
    assert_eq!((health.flushed, health.lost, health.rings), ((SHORT as u64 + 4) * 6, 0, 4));

    let contents = Contents::of_memory(&memory.bytes());
    contents.check_whole();
    assert_eq!(contents.threads.len(), SHORT + 4);
    let ids: BTreeSet<u32> = contents.threads.iter().map(|thread| thread.id).collect();
    assert_eq!(ids.len(), SHORT + 4);
    for number in 0..SHORT {
        let name = format!("short {number}");
        let thread = contents.threads.iter().find(|thread| thread.name == name).expect("each is known by its name");
        assert_eq!(contents.spans().filter(|record| record.thread == thread.id).count(), 6);
    }
    let system_ids: BTreeSet<u64> = contents.threads.iter().map(|thread| thread.os_id).collect();
    assert!(!system_ids.contains(&0));
}

#[test]
#[cfg_attr(miri, ignore = "maps files")]
fn records_in_the_files_of_rings_belong_to_the_thread_that_wrote_them() {
    let _turn = exclusive();
    for discipline in [Discipline::Drain, Discipline::Flight] {
        let directory = tempfile::tempdir().unwrap();
        let builder = Recorder::builder().directory(directory.path()).discipline(discipline);
        let recorder = builder.flush_interval(NEVER).start().unwrap();
        (1..=20).for_each(|number| on_thread(&format!("thread {number}"), move || spans(number)));
        // Nothing was flushed: all of it comes from one ring's file.
        let contents = Contents::of_directory(recorder.directory().unwrap());
        contents.check_whole();
        assert_eq!(contents.summary.recovered, 2 * (1..=20).sum::<u64>());
        for number in 1..=20 {
            let name = format!("thread {number}");
            let thread = contents.threads.iter().find(|thread| thread.name == name).expect("each is known by its name");
            assert_eq!(contents.spans().filter(|record| record.thread == thread.id).count(), 2 * number);
        }
    }
}

/// Lost records by the name of their thread.
fn lost(contents: &Contents) -> BTreeMap<String, u64> {
    let mut lost = BTreeMap::new();
    for loss in contents.losses() {
        assert_eq!(loss.cause, LossCause::Dropped);
        let thread = contents.threads.iter().find(|thread| thread.id == loss.thread).expect("it is known");
        *lost.entry(thread.name.clone()).or_default() += loss.records;
    }
    lost
}

#[test]
fn what_a_thread_loses_is_counted_as_its_own() {
    let _turn = exclusive();
    // A ring of 64 slots, in which the first thread loses all but 64 of its 200 records, and the second has no room at all.
    let recorder = in_memory().ring_bytes(4096).flush_interval(NEVER).start().unwrap();
    on_thread("first", || spans(100));
    on_thread("second", || spans(1));
    recorder.flush().unwrap();
    on_thread("third", || spans(1));
    recorder.flush().unwrap();
    let contents = Contents::of_memory(&recorder.memory().unwrap().bytes());
    contents.check_whole();
    assert_eq!(lost(&contents), BTreeMap::from([("first".to_owned(), 200 - 64), ("second".to_owned(), 2)]));
    let third = contents.threads.iter().find(|thread| thread.name == "third").unwrap().id;
    assert_eq!(contents.spans().filter(|record| record.thread == third).count(), 2);
    assert_eq!(recorder.stop().unwrap().lost, 200 - 64 + 2);
}

#[test]
#[cfg_attr(miri, ignore = "maps files")]
fn losses_in_the_file_of_a_ring_are_those_of_their_thread_too() {
    let _turn = exclusive();
    let directory = tempfile::tempdir().unwrap();
    let builder = Recorder::builder().directory(directory.path()).ring_bytes(4096);
    let recorder = builder.flush_interval(NEVER).start().unwrap();
    on_thread("first", || spans(100));
    on_thread("second", || spans(1));
    on_thread("third", || spans(2));
    let contents = Contents::of_directory(recorder.directory().unwrap());
    contents.check_whole();
    let expected = [("first".to_owned(), 200 - 64), ("second".to_owned(), 2), ("third".to_owned(), 4)];
    assert_eq!(lost(&contents), BTreeMap::from(expected));
    assert_eq!((contents.summary.records, contents.summary.lost), (64, 200 - 64 + 6));
}

#[test]
fn a_thread_can_be_registered_before_its_first_event() {
    let _turn = exclusive();
    let recorder = in_memory().start().unwrap();
    on_thread("only registered", || {
        init_thread_stream();
        init_thread_stream();
    });
    recorder.flush().unwrap();
    let contents = Contents::of_memory(&recorder.memory().unwrap().bytes());
    assert_eq!(contents.threads[0].name, "only registered");
    assert_eq!((contents.threads.len(), contents.summary.records), (1, 0));
    assert_eq!(recorder.stop().unwrap().rings, 1);
}

#[test]
fn a_thread_registers_again_with_each_recorder() {
    let _turn = exclusive();
    for _ in 0..3 {
        let recorder = in_memory().start().unwrap();
        spans(1);
        let health = recorder.stop().unwrap();
        assert_eq!((health.flushed, health.rings), (2, 1));
    }
}

#[test]
fn a_thread_that_outlives_the_recorder_ends_quietly() {
    let _turn = exclusive();
    let (recorded, was_recorded) = std::sync::mpsc::channel();
    let (go, may_go) = std::sync::mpsc::channel::<()>();
    let recorder = in_memory().start().unwrap();
    let thread = thread::spawn(move || {
        spans(1);
        recorded.send(()).unwrap();
        may_go.recv().unwrap();
        spans(1);
    });
    was_recorded.recv().unwrap();
    assert_eq!(recorder.stop().unwrap().flushed, 2);
    go.send(()).unwrap();
    thread.join().unwrap();
}

/// Records a span when its thread ends.
struct LastWords;

impl Drop for LastWords {
    fn drop(&mut self) {
        spans(1);
    }
}

thread_local! {
    static BEFORE: LastWords = const { LastWords };
    static AFTER: LastWords = const { LastWords };
}

#[test]
fn what_destructors_record_after_their_threads_end_is_refused_and_counted() {
    let _turn = exclusive();
    let lives: [(&str, fn(), u64); 4] = [
        ("a destructor that was there before the first event", || (BEFORE.with(|_| ()), spans(1)).1, 1),
        ("a destructor that came after it", || (spans(1), AFTER.with(|_| ())).1, 1),
        ("one on either side", || (BEFORE.with(|_| ()), spans(1), AFTER.with(|_| ())).1, 2),
        ("nothing but destructors", || (BEFORE.with(|_| ()), AFTER.with(|_| ())).1, 2),
    ];
    for (name, life, last_words) in lives {
        let events = last_words + u64::from(name != "nothing but destructors");
        let recorder = in_memory().start().unwrap();
        on_thread(name, life);
        // What follows on a thread that inherits the ring is not disturbed.
        on_thread("heir", || spans(10));
        recorder.flush().unwrap();
        let health = recorder.health();
        assert_eq!(health.flushed + 2 * health.refused, 2 * (events + 10), "{name}: {health}");
        assert!(health.refused <= last_words, "{name}: {health}");
        assert!(health.refused == 0 || health.to_string().contains("refused"), "{health}");
        let contents = Contents::of_memory(&recorder.memory().unwrap().bytes());
        contents.check_whole();
        let heir = contents.threads.iter().find(|thread| thread.name == "heir").unwrap().id;
        assert_eq!(contents.spans().filter(|record| record.thread == heir).count(), 20);
    }
}
