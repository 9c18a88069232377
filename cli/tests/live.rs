//! `spanring open` on a process that is running: this one.

#[path = "common/program.rs"]
mod program;

use program::{program, run_json, run_well};
use spanring::Recorder;
use spanring::prelude::*;
use std::thread::sleep;
use std::time::Duration;
use tempfile::TempDir;

#[test]
fn open_shows_what_this_process_is_doing_and_no_more_than_was_asked_for() {
    let dir = TempDir::new().expect("a directory");
    let out = dir.path().to_str().expect("UTF-8");
    let recorder = Recorder::builder().directory(dir.path()).start().expect("it starts");
    span_scope!("outer, of which the name does not fit into a narrow terminal");
    sleep(Duration::from_millis(50));
    span_scope!("inner");

    let open = run_json(&["open", out]);
    assert_eq!((&open["writer"], &open["open"], &open["roots"]), (&"running".into(), &2.into(), &2.into()));
    assert_eq!(open["tree"][1]["name"], "inner");
    assert_eq!(open["tree"][1]["kind"], "thread");
    let age = |line: usize| open["tree"][line]["age_ns"].as_u64().expect("a number");
    assert!(age(0) >= age(1) + 50_000_000, "{open}");

    let text = run_well(&["open", out]);
    assert!(text.contains("2 open spans, 2 of them roots") && text.contains("now: the process is still"), "{text}");
    let one = run_well(&["open", out, "--limit", "1"]);
    assert!(!one.contains("inner") && one.contains("... and 1 more span"), "{one}");
    assert_eq!(run_json(&["open", out, "--limit", "1"])["tree"].as_array().map(Vec::len), Some(1));
    let none = run_json(&["open", out, "--min-age", "1h"]);
    assert_eq!((&none["open"], &none["younger"], &none["tree"]), (&2.into(), &2.into(), &serde_json::json!([])));

    let narrow = program(&["open", out]).env("COLUMNS", "60").output().expect("it starts").stdout;
    let narrow = String::from_utf8(narrow).expect("UTF-8");
    assert!(narrow.lines().all(|line| line.chars().count() <= 60), "{narrow}");
    recorder.stop().expect("it stops");
}
