//! A recording that lost records says so everywhere, and to the last one.

#[path = "common/program.rs"]
mod program;
#[path = "common/replay.rs"]
mod replay;

use program::{run, run_json, run_well};
use spanring::Recorder;
use spanring::prelude::*;
use std::fs;
use tempfile::TempDir;

#[test]
fn every_lost_event_is_counted_in_info_top_and_trace() {
    const SPANS: u64 = 20_000;
    let dir = TempDir::new().expect("a directory");
    let out = dir.path().to_str().expect("UTF-8");
    let recorder = Recorder::builder().directory(dir.path()).ring_bytes(4096).start().expect("it starts");
    for _ in 0..SPANS {
        span_scope!("too fast");
    }
    recorder.stop().expect("it stops");

    let info = run_json(&["info", out]);
    let lost = info["missing"]["dropped_records"].as_u64().expect("a number");
    let read = info["records"].as_u64().expect("a number");
    assert!(lost > 0 && read > 0, "{info}");
    assert_eq!((read + lost, &info["complete"]), (2 * SPANS, &false.into()));
    assert!(run_well(&["info", out]).contains(&format!("INCOMPLETE: {lost} lost events")));

    assert_eq!(run_json(&["top", out])["lost_records"], lost);
    assert!(run_well(&["top", out]).contains(&format!("INCOMPLETE: {lost} events lost")));

    let file = dir.path().join("trace");
    let said = run_well(&["export", out, "--format", "perfetto", "--out", file.to_str().expect("UTF-8")]);
    assert!(said.contains(&format!("{lost} lost events")), "{said}");
    let replay = replay::replay(&fs::read(&file).expect("written"));
    let losses = replay.losses.iter();
    assert_eq!(losses.map(|loss| loss.number("records")).sum::<u64>(), lost);
    assert_eq!(info["spans"], replay.slices.len());

    let tail = run(&["tail", out, "-n", "3"]);
    assert_eq!(String::from_utf8(tail.stdout).expect("UTF-8").lines().count(), 3);
    let said =
        format!("spanring: {lost} events lost because a ring was full\nspanring: the process stopped recording\n");
    assert_eq!(String::from_utf8(tail.stderr).expect("UTF-8"), said);
}
