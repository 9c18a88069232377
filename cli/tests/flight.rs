//! A recording in flight discipline: that older events are overwritten is what was asked for, and counted.

#[path = "common/program.rs"]
mod program;

use program::{run_json, run_well};
use spanring::prelude::*;
use spanring::{Discipline, Recorder};
use std::time::Duration;
use tempfile::TempDir;

#[test]
fn overwritten_events_are_counted_and_nothing_to_worry_about() {
    const SPANS: u64 = 20_000;
    let dir = TempDir::new().expect("a directory");
    let out = dir.path().to_str().expect("UTF-8");
    // Nobody looks at the ring while it comes round, so what is found in the end does not depend on when.
    let recorder = Recorder::builder().directory(dir.path()).flush_interval(Duration::from_secs(3600));
    let recorder = recorder.ring_bytes(4096).discipline(Discipline::Flight).start().expect("it starts");
    for _ in 0..SPANS {
        span_scope!("short");
    }
    recorder.stop().expect("it stops");

    let info = run_json(&["info", out]);
    let overwritten = info["missing"]["overwritten_records"].as_u64().expect("a number");
    assert!(overwritten > 0, "{info}");
    assert_eq!((info["records"].as_u64(), &info["complete"]), (Some(2 * SPANS - overwritten), &true.into()));
    let text = run_well(&["info", out]);
    let lost = format!("lost      {overwritten} older events overwritten (flight discipline keeps the newest)\n");
    assert!(text.contains(&lost) && text.contains("health    complete: ") && !text.contains("INCOMPLETE"), "{text}");

    let open = run_json(&["open", out]);
    assert_eq!((&open["open"], &open["overwritten_records"]), (&0.into(), &overwritten.into()));
    let text = run_well(&["open", out]);
    assert!(text.starts_with("no open spans: every span whose begin is there has ended\n"), "{text}");
    assert!(text.contains(&format!("UNCERTAIN: {overwritten} older events overwritten")), "{text}");
}
