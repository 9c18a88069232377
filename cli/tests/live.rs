//! `spanring open` and `spanring top --live` on a process that is running: this one.

#[path = "common/program.rs"]
mod program;

use program::{program, run_json, run_well};
use spanring::Recorder;
use spanring::prelude::*;
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::thread::sleep;
use std::time::Duration;
use tempfile::TempDir;

/// One recorder runs in a process at a time.
fn alone() -> MutexGuard<'static, ()> {
    static TURN: Mutex<()> = Mutex::new(());
    TURN.lock().unwrap_or_else(PoisonError::into_inner)
}

#[test]
fn open_shows_what_this_process_is_doing_and_no_more_than_was_asked_for() {
    let _turn = alone();
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

#[test]
fn top_live_shows_what_ended_lately_and_what_is_open() {
    let _turn = alone();
    let dir = TempDir::new().expect("a directory");
    let out = dir.path().to_str().expect("UTF-8");
    let builder = Recorder::builder().directory(dir.path()).discipline(spanring::Discipline::Flight);
    let recorder = builder.start().expect("it starts");
    for _ in 0..7 {
        span_scope!("long ago");
    }
    sleep(Duration::from_millis(600));
    span_scope!("still open");
    for _ in 0..3 {
        span_scope!("lately");
    }
    let arguments = ["top", out, "--live", "--window", "500ms", "--every", "10ms", "--looks", "2"];
    let looks = run_well(&[&arguments[..], &["--json"]].concat());
    let looks: Vec<serde_json::Value> = looks.lines().map(|look| serde_json::from_str(look).expect("JSON")).collect();
    assert_eq!(looks.len(), 2);
    let rows = looks[0]["top"]["rows"].as_array().expect("rows");
    assert!(rows.iter().all(|row| row["name"] != "long ago"), "{rows:?}");
    assert!(rows.iter().any(|row| row["name"] == "lately" && row["count"] == 3), "{rows:?}");
    assert_eq!(looks[0]["open"]["tree"][0]["name"], "still open");
    assert_eq!((&looks[0]["events"], &looks[0]["events_per_second"]), (&21.into(), &serde_json::Value::Null));
    assert_eq!(looks[1]["events_per_second"], 0.0);
    let text = run_well(&arguments);
    assert!(text.contains("running (process ") && text.contains("open now, the oldest:"), "{text}");
    assert!(!text.contains('\x1b'), "nothing is redrawn where there is no terminal");
    recorder.stop().expect("it stops");
    // Of a process that has stopped there is one look.
    assert_eq!(run_well(&["top", out, "--live", "--json"]).lines().count(), 1);
}
