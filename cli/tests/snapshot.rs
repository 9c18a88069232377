//! `spanring snapshot`: this process is asked, by the program, for what its rings hold.

#[path = "common/program.rs"]
mod program;

use program::{run_json, run_refused, run_well};
use spanring::prelude::*;
use spanring::{Discipline, Recorder, Snapshots};
use std::time::Duration;
use tempfile::TempDir;

#[test]
fn a_running_process_is_asked_and_what_it_wrote_is_read_by_every_command() {
    let dir = TempDir::new().expect("a directory");
    let out = dir.path().to_str().expect("UTF-8");
    let flight = || Recorder::builder().directory(dir.path()).discipline(Discipline::Flight);
    let recorder = flight().snapshots(Snapshots::new()).start().expect("it starts");
    {
        span_scope!("slow one");
        std::thread::sleep(Duration::from_millis(5));
    }
    let taken = run_json(&["snapshot", out, "--reason", "looks\nslow"]);
    let path = taken["path"].as_str().expect("a path");
    assert_eq!(taken["records"], 2);
    let info = run_json(&["info", path]);
    assert_eq!((&info["spans"], &info["writer"]), (&1.into(), &"stopped".into()));
    assert_eq!(info["snapshot"]["reason"], "looks\nslow");
    let session = recorder.directory().and_then(|path| path.file_name()).and_then(|name| name.to_str());
    assert_eq!(info["snapshot"]["of"].as_str(), session);
    assert!(run_well(&["info", path]).contains("snapshot  of "));
    assert!(run_well(&["slow", path]).contains("slow one"));
    // Text says what to do next.
    let text = run_well(&["snapshot", out]);
    assert!(text.starts_with("2 events in ") && text.contains("\nspanring slow "), "{text}");
    // Both are sessions of one directory, beside the one that records.
    let snapshots = dir.path().join("snapshots");
    assert_eq!(run_json(&["info", snapshots.to_str().expect("UTF-8")])["sessions"].as_array().map(Vec::len), Some(2));
    assert_eq!(run_json(&["info", out])["sessions"].as_array().map(Vec::len), Some(1));

    recorder.stop().expect("it stops");
    assert!(run_refused(&["snapshot", out]).contains("nobody records"));
    let recorder = flight().start().expect("it starts");
    assert!(run_refused(&["snapshot", out]).contains("Builder::snapshots"));
    drop(recorder);
}
