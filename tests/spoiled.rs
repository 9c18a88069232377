//! What somebody else does to the files of a recording while they are written. Removing them is harmless, and noticed. Cutting off one
//! that is mapped is the end of the process, unless the recorder was told to guard it. Segments are not mapped.

#![cfg(feature = "enable")]

mod common;

use common::child::{Player, part, say};
use common::{Contents, NEVER, exclusive, run};
use spanring::prelude::*;
use spanring::{Builder, Recorder};
use std::fs::OpenOptions;
use std::os::unix::process::ExitStatusExt;
use std::path::Path;
use std::process::ExitStatus;

/// Plays the part that the parent asked for. Without one this is no test.
#[test]
fn child() {
    let Some(part) = part() else { return };
    let builder = Recorder::builder().directory(&part.directory).flush_interval(NEVER);
    match part.name.split_once(' ') {
        Some(("unguarded", file)) => cut_off_while_recording(builder, file),
        Some(("guarded", file)) => cut_off_while_recording(builder.guard_truncation(), file),
        Some(("chained", signal)) => passes_on(builder.guard_truncation(), signal),
        _ => panic!("no such part: {}", part.name),
    }
    std::process::exit(0);
}

fn spans(count: usize) {
    (0..count).for_each(|_| run(span_async_named!("span", async {})));
}

/// Cuts off every file of the session whose name begins with `file`.
fn cut_off(session: &Path, file: &str) {
    let paths = std::fs::read_dir(session).unwrap().map(|entry| entry.unwrap().path());
    let begins = |path: &Path| path.file_name().unwrap().to_str().unwrap().starts_with(file);
    let cut = paths.filter(|path| begins(path)).map(|path| {
        OpenOptions::new().write(true).open(path).unwrap().set_len(0).unwrap();
    });
    assert_eq!(cut.count(), 1, "{file}");
}

fn cut_off_while_recording(builder: Builder, file: &str) {
    let recorder = builder.start().unwrap();
    spans(100);
    recorder.flush().unwrap();
    cut_off(recorder.directory().unwrap(), file);
    spans(100);
    run(span_async_named!("a name that is new", async {}));
    // The first flush may be the one that finds out.
    let found_out = recorder.flush().is_err();
    assert_eq!(found_out, file == "segment");
    recorder.flush().unwrap();
    spans(100);
    let health = recorder.stop().unwrap();
    say(format!("{} {}", health.spoiled_files, health.flushed + health.lost));
}

fn play(name: &str, directory: &Path) -> (Option<String>, ExitStatus) {
    let mut player = Player::start("child", name, directory);
    let said = std::panic::catch_unwind(std::panic::AssertUnwindSafe(|| player.hear())).ok();
    (said, player.wait())
}

#[test]
fn unguarded_a_mapped_file_that_is_cut_off_is_the_end_of_the_process() {
    let directory = tempfile::tempdir().unwrap();
    for file in ["ring", "names", "session"] {
        let (said, status) = play(&format!("unguarded {file}"), directory.path());
        assert_eq!((said, status.signal()), (None, Some(libc::SIGBUS)), "{file}");
    }
}

#[test]
fn the_host_goes_on_and_what_was_cut_off_is_counted() {
    let guarded = [("guarded ring", 0), ("guarded names", 0), ("guarded session", 0), ("guarded segment", 200)];
    for (file, damaged) in guarded.into_iter().chain([("unguarded segment", 200)]) {
        let directory = tempfile::tempdir().unwrap();
        let (said, status) = play(file, directory.path());
        assert!(status.success(), "{file}: {status}");
        assert_eq!(said.as_deref(), Some("1 602"), "{file}: one file was cut off, and every record went somewhere");
        let contents = Contents::of_directory(directory.path());
        contents.check_whole();
        let summary = contents.summary;
        assert_eq!((summary.records, summary.lost, summary.damaged), (602 - damaged, 0, damaged), "{file}");
        assert!(contents.spans().all(|record| ["span", "a name that is new"].contains(&record.name.as_str())));
        assert_eq!(contents.named("a name that is new").len(), 2, "{file}");
    }
}

/// A fault and a signal that are not about a recorder's file: both go to the handler that was there before.
fn passes_on(builder: Builder, signal: &str) {
    extern "C" fn own(_: libc::c_int) {
        say("the host's own handler");
        std::process::exit(7);
    }
    if signal != "default" {
        // SAFETY: the handler ends the process; nothing was interrupted that it needs.
        unsafe { libc::signal(libc::SIGBUS, own as *const () as libc::sighandler_t) };
    }
    let _recorder = builder.start().unwrap();
    if signal == "sent" {
        // SAFETY: raising a signal touches no memory.
        unsafe { libc::raise(libc::SIGBUS) };
    }
    let file = tempfile::tempfile().unwrap();
    file.set_len(4096).unwrap();
    let map = memmap2::MmapRaw::map_raw(&file).unwrap();
    file.set_len(0).unwrap();
    // SAFETY: the address is mapped. That its file has no such page any more is what this is about.
    unsafe { map.as_mut_ptr().write_volatile(1) };
    say("nobody noticed");
}

#[test]
fn what_is_about_something_else_is_passed_on() {
    let directory = tempfile::tempdir().unwrap();
    for signal in ["faulted", "sent"] {
        let (said, status) = play(&format!("chained {signal}"), directory.path());
        assert_eq!((said.as_deref(), status.code()), (Some("the host's own handler"), Some(7)), "{signal}");
    }
    let (said, status) = play("chained default", directory.path());
    assert_eq!((said, status.signal()), (None, Some(libc::SIGBUS)));
}

#[test]
fn when_its_files_are_removed_the_recording_goes_on_in_new_ones() {
    let _turn = exclusive();
    for what in ["segment-000000.spanring", "."] {
        let directory = tempfile::tempdir().unwrap();
        let recorder = Recorder::builder().directory(directory.path()).flush_interval(NEVER).start().unwrap();
        let session = recorder.directory().unwrap().to_owned();
        spans(100);
        recorder.flush().unwrap();
        match what {
            "." => std::fs::remove_dir_all(&session).unwrap(),
            file => std::fs::remove_file(session.join(file)).unwrap(),
        }
        spans(100);
        let error = recorder.flush().unwrap_err().to_string();
        assert!(error.contains("somebody removed") && error.contains("segment-000000"), "{error}");
        recorder.flush().unwrap();
        spans(100);
        recorder.flush().unwrap();
        let health = recorder.health();
        let (unmapped, spoiled) = (u64::from(what == "."), 1);
        assert_eq!((health.spoiled_files, health.unmapped_rings, health.lost), (spoiled, unmapped, 0), "{what}");
        assert!(!health.is_good());
        let contents = Contents::of_directory(directory.path());
        contents.check_whole();
        assert_eq!((contents.summary.records, contents.summary.lost + contents.summary.retired), (400, 200), "{what}");
        assert!(contents.spans().all(|record| record.name == "span" && record.location.is_some()), "{what}");
        assert_eq!(contents.threads.len(), 1, "{what}");
        assert_eq!(recorder.stop().unwrap().flushed, 600);
    }
}
