//! A child made by `fork` without `exec` does not touch its parent's recording, and may make one of its own.

#![cfg(feature = "enable")]

mod common;

use common::{Contents, exclusive, give_way, poll_once, run};
use spanring::prelude::*;
use spanring::reader::{Recording, WriterState};
use spanring::{FlushError, Recorder};
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::time::{Duration, Instant};

fn spans(name: &'static str, count: usize) {
    (0..count).for_each(|_| run(span_async_named!(name, async {})));
}

/// Runs `work` in a forked child, and checks that it came to its end, and soon.
fn in_child(work: impl FnOnce()) {
    // SAFETY: the child runs `work`, which waits for no other thread, and leaves by `_exit`. The C library makes its own locks
    // usable in the child.
    let child = unsafe { libc::fork() };
    assert!(child >= 0, "fork: {}", std::io::Error::last_os_error());
    if child == 0 {
        let done = catch_unwind(AssertUnwindSafe(work)).is_ok();
        // SAFETY: it never returns, so no destructor of the parent's runs twice.
        unsafe { libc::_exit(if done { 0 } else { 1 }) };
    }
    let deadline = Instant::now() + Duration::from_secs(20);
    let mut status = 0;
    loop {
        // SAFETY: `status` is ours to write to.
        match unsafe { libc::waitpid(child, &mut status, libc::WNOHANG) } {
            0 if Instant::now() > deadline => {
                // SAFETY: the child is ours, and was not waited for.
                unsafe { libc::kill(child, libc::SIGKILL) };
                panic!("the child hangs");
            }
            0 => std::thread::sleep(Duration::from_millis(1)),
            waited => break assert_eq!(waited, child),
        }
    }
    assert_eq!(status, 0, "the child failed: its panic is printed above");
}

#[test]
fn what_a_child_does_leaves_its_parents_recording_as_it_is() {
    let _turn = exclusive();
    let directory = tempfile::tempdir().unwrap();
    let recorder = Recorder::builder().directory(directory.path()).start().unwrap();
    let session = recorder.directory().unwrap().to_owned();
    spans("parent", 10);
    let mut alive = Box::pin(span_async_named!("alive", give_way()));
    assert!(poll_once(alive.as_mut()).is_pending());

    let mut recorder = Some(recorder);
    in_child(|| {
        assert!(!spanring::is_recording());
        spans("child", 1000);
        assert!(poll_once(alive.as_mut()).is_ready());
        std::thread::spawn(|| spans("child's thread", 10)).join().unwrap();
        assert!(matches!(spanring::flush(), Err(FlushError::NotRunning)));
        assert!(spanring::health().is_none());
        let recorder = recorder.take().unwrap();
        assert!(recorder.flush().is_err());
        drop(recorder);
    });

    let recorder = recorder.unwrap();
    assert!(spanring::is_recording());
    spans("parent", 10);
    assert!(poll_once(alive.as_mut()).is_ready());
    let health = recorder.stop().unwrap();
    assert_eq!((health.flushed, health.lost, health.refused, health.stray_ends), (42, 0, 0, 0));
    let recording = Recording::open(session).unwrap();
    assert_eq!(recording.writer(), WriterState::Stopped);
    let contents = Contents::of(&recording);
    contents.check_whole();
    assert_eq!((contents.named("parent").len(), contents.named("alive").len()), (40, 2));
    assert_eq!((contents.summary.records, contents.summary.damages), (42, 0));
}

#[test]
fn a_child_may_stop_its_copy_and_the_parent_goes_on() {
    let _turn = exclusive();
    let directory = tempfile::tempdir().unwrap();
    let mut recorder = Some(Recorder::builder().directory(directory.path()).start().unwrap());
    spans("parent", 1);
    in_child(|| {
        let stopped = recorder.take().unwrap().stop().unwrap();
        assert!(!stopped.recording);
    });
    spans("parent", 1);
    assert_eq!(recorder.take().unwrap().stop().unwrap().flushed, 4);
    assert_eq!(Contents::of_directory(directory.path()).summary.records, 4);
}

#[test]
fn a_child_may_record_on_its_own() {
    let _turn = exclusive();
    let directory = tempfile::tempdir().unwrap();
    let of_child = tempfile::tempdir().unwrap();
    let recorder = Recorder::builder().directory(directory.path()).start().unwrap();
    spans("parent", 5);
    let mut alive = Box::pin(span_async_named!("alive", give_way()));
    assert!(poll_once(alive.as_mut()).is_pending());

    in_child(|| {
        let own = Recorder::builder().directory(of_child.path()).start().unwrap();
        spans("child", 7);
        std::thread::spawn(|| spans("child's thread", 2)).join().unwrap();
        // The parent's span is not the child's to end.
        assert!(poll_once(alive.as_mut()).is_ready());
        own.flush().unwrap();
        let health = own.stop().unwrap();
        assert_eq!((health.flushed, health.stray_ends), (18, 1));
    });

    spans("parent", 5);
    assert!(poll_once(alive.as_mut()).is_ready());
    let parent_pid = std::process::id();
    assert_eq!(recorder.stop().unwrap().flushed, 22);
    let recording = Recording::open(of_child.path()).unwrap();
    assert_ne!(recording.facts().pid, parent_pid);
    assert_eq!(recording.writer(), WriterState::Stopped);
    let contents = Contents::of(&recording);
    contents.check_whole();
    assert_eq!((contents.named("child").len(), contents.named("child's thread").len()), (14, 4));
    assert_eq!(contents.summary.records, 18);
    let contents = Contents::of_directory(directory.path());
    assert_eq!((contents.summary.records, contents.named("child").len()), (22, 0));
}

#[test]
fn a_child_of_a_process_that_records_on_many_threads_does_not_hang() {
    let _turn = exclusive();
    let recorder = Recorder::builder().memory().start().unwrap();
    let stop = std::sync::atomic::AtomicBool::new(false);
    std::thread::scope(|scope| {
        for _ in 0..3 {
            scope.spawn(|| {
                while !stop.load(std::sync::atomic::Ordering::Relaxed) {
                    spans("parent", 10);
                }
            });
        }
        for _ in 0..20 {
            in_child(|| spans("child", 100));
        }
        stop.store(true, std::sync::atomic::Ordering::Relaxed);
    });
    recorder.flush().unwrap();
    let contents = Contents::of_memory(&recorder.memory().unwrap().bytes());
    contents.check_whole();
    assert!(contents.spans().all(|record| record.name == "parent"));
}
