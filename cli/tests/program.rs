//! The program from outside: what it prints, and how it refuses.

#[path = "common/program.rs"]
mod program;

use program::{program, run_json, run_refused, run_well};
use serde_json::Value;
use spanring::Recorder;
use spanring::prelude::*;
use std::fs;
use std::path::{Path, PathBuf};
use std::process::Stdio;
use std::sync::OnceLock;
use tempfile::TempDir;

/// A directory with two sessions: one with a scope `early`, then one with three scopes `late`.
fn recording() -> &'static Path {
    static RECORDING: OnceLock<TempDir> = OnceLock::new();
    let record = || {
        let dir = TempDir::new().expect("a directory");
        let recorder = Recorder::builder().directory(dir.path()).start().expect("it starts");
        span("early");
        recorder.stop().expect("it stops");
        let recorder = Recorder::builder().directory(dir.path()).start().expect("it starts");
        for _ in 0..3 {
            span("late");
        }
        recorder.stop().expect("it stops");
        dir
    };
    RECORDING.get_or_init(record).path()
}

fn span(name: &'static str) {
    span_scope_named!(name);
}

fn path(path: &Path) -> &str {
    path.to_str().expect("UTF-8")
}

fn sessions() -> Vec<PathBuf> {
    spanring::reader::sessions(recording()).expect("readable")
}

#[test]
fn info_lists_all_sessions_and_shows_the_newest() {
    let text = run_well(&["info", path(recording())]);
    for session in sessions() {
        let name = session.file_name().and_then(|name| name.to_str()).expect("a name");
        assert!(text.contains(name), "{text}");
    }
    assert!(text.contains("spans     3, 0 of them open"), "{text}");
    assert!(text.contains("writer    stopped"), "{text}");
    assert!(text.contains("lost      0 events"), "{text}");
    assert!(text.contains("health    complete"), "{text}");
    assert!(text.contains(&format!("process   {} on ", std::process::id())), "{text}");
}

#[test]
fn info_as_json_has_the_same() {
    let info = run_json(&["info", path(recording())]);
    assert_eq!(info["pid"], std::process::id());
    assert_eq!((&info["spans"], &info["records"], &info["open_spans"]), (&3.into(), &6.into(), &0.into()));
    assert_eq!((&info["writer"], &info["complete"]), (&"stopped".into(), &true.into()));
    assert_eq!(info["sessions"].as_array().map(Vec::len), Some(2));
    let threads = info["threads"].as_array().expect("a list");
    assert_eq!((threads.len(), &threads[0]["began"], &threads[0]["ended"]), (1, &3.into(), &3.into()));
}

#[test]
fn an_older_session_can_be_chosen() {
    let oldest = &sessions()[0];
    let name = oldest.file_name().and_then(|name| name.to_str()).expect("a name");
    let top = run_json(&["top", path(recording()), "--session", name]);
    assert_eq!(top["rows"][0]["name"], "early");
    assert_eq!(run_json(&["top", path(oldest)]), top);
    assert_eq!(run_json(&["open", path(recording()), "--session", name]), run_json(&["open", path(oldest)]));
}

#[test]
fn top_shows_a_row_for_each_name_and_location() {
    let text = run_well(&["top", path(recording())]);
    let lines: Vec<_> = text.lines().collect();
    let titles: Vec<_> = lines[0].split_whitespace().collect();
    assert_eq!(titles, ["name", "where", "count", "total", "p50", "p99", "max", "histogram"], "{text}");
    assert!(lines[1].starts_with("late (thread)") && lines[1].contains("program.rs:"), "{text}");
    assert!(lines[2].starts_with("histograms go from "), "{text}");
    assert_eq!(lines[3], "3 spans in 1 row");
}

#[test]
fn nothing_is_coloured_when_nobody_looks() {
    for command in ["info", "top", "open"] {
        assert!(!run_well(&[command, path(recording())]).contains('\u{1b}'));
    }
}

#[test]
fn open_says_so_if_nothing_is() {
    let text = run_well(&["open", path(recording())]);
    assert!(text.starts_with("no open spans: every span that began has ended\n"), "{text}");
    assert!(text.contains("when the recording was stopped"), "{text}");
    let open = run_json(&["open", path(recording())]);
    assert_eq!((&open["open"], &open["roots"], &open["oldest_ns"]), (&0.into(), &0.into(), &Value::Null));
    assert_eq!((&open["writer"], open["tree"].as_array().map(Vec::len)), (&"stopped".into(), Some(0)));
}

#[test]
fn export_writes_a_trace_and_says_so() {
    let dir = TempDir::new().expect("a directory");
    let file = dir.path().join("trace");
    let text = run_well(&["export", path(recording()), "--format", "perfetto", "--out", path(&file)]);
    assert!(text.contains("3 spans, 0 of them open, 0 lost events"), "{text}");
    assert!(fs::metadata(&file).expect("written").len() > 100);
}

#[test]
fn an_export_to_standard_output_is_not_mixed_with_anything() {
    let dir = TempDir::new().expect("a directory");
    let file = dir.path().join("trace");
    run_well(&["export", path(recording()), "--format", "perfetto", "--out", path(&file)]);
    let output = program::run(&["export", path(recording()), "--format", "perfetto", "--out", "-"]);
    assert!(output.status.success());
    assert_eq!(output.stdout, fs::read(&file).expect("written"));
    assert!(String::from_utf8_lossy(&output.stderr).starts_with("standard output: 3 spans, "));
}

#[cfg(not(feature = "parquet"))]
#[test]
fn a_format_that_was_not_built_says_how_to_get_it_and_touches_nothing() {
    let dir = TempDir::new().expect("a directory");
    let file = dir.path().join("spans.parquet");
    let message = run_refused(&["export", path(recording()), "--format", "parquet", "--out", path(&file)]);
    assert!(message.contains("--features parquet"), "{message}");
    assert!(!file.exists());
}

#[test]
fn a_format_for_files_does_not_go_to_an_address() {
    let message = run_refused(&["export", path(recording()), "--format", "perfetto", "--out", "http://127.0.0.1:4318"]);
    assert!(message.contains("http://127.0.0.1:4318") && message.contains("--out FILE"), "{message}");
}

#[test]
fn a_reader_that_goes_away_is_no_error() {
    for arguments in ["top", "info", "open"].map(|command| [command, path(recording())]) {
        let mut child = program(&arguments).stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().expect("it starts");
        drop(child.stdout.take());
        let output = child.wait_with_output().expect("it ends");
        assert_eq!((output.status.code(), output.stderr.as_slice()), (Some(0), &b""[..]));
    }
}

#[test]
fn a_directory_that_is_not_there_is_refused_by_name() {
    for command in ["info", "top", "open"] {
        let message = run_refused(&[command, "/no/such/directory"]);
        assert!(message.starts_with("spanring: ") && message.contains("/no/such/directory"), "{message}");
        assert!(message.contains("spanring demo"), "{message}");
    }
}

#[test]
fn a_directory_without_a_recording_is_refused_with_advice() {
    let dir = TempDir::new().expect("a directory");
    let message = run_refused(&["top", path(dir.path())]);
    assert!(message.contains(path(dir.path())), "{message}");
    assert!(message.contains("record"), "{message}");
}

#[test]
fn a_file_is_not_a_recording() {
    let dir = TempDir::new().expect("a directory");
    let file = dir.path().join("file");
    fs::write(&file, "no recording").expect("written");
    let message = run_refused(&["info", path(&file)]);
    assert!(message.contains(path(&file)), "{message}");
}

#[test]
fn an_unknown_session_is_refused_with_those_there_are() {
    let message = run_refused(&["top", path(recording()), "--session", "tomorrow"]);
    assert!(message.contains("`tomorrow`"), "{message}");
    let newest = sessions().pop().expect("there are two");
    assert!(message.contains(path(Path::new(newest.file_name().expect("a name")))), "{message}");
}

#[test]
fn a_trace_that_cannot_be_written_is_refused() {
    let out = "/no/such/directory/trace";
    let message = run_refused(&["export", path(recording()), "--format", "perfetto", "--out", out]);
    assert!(message.contains(out) && message.contains("--out"), "{message}");
}

#[test]
fn a_demo_that_cannot_be_recorded_is_refused() {
    let dir = TempDir::new().expect("a directory");
    let file = dir.path().join("file");
    fs::write(&file, "in the way").expect("written");
    let message = run_refused(&["demo", "--seconds", "1", "--out", path(&file)]);
    assert!(message.contains(path(&file)), "{message}");
}

#[test]
fn wrong_arguments_are_refused() {
    for arguments in [
        &["sing"][..],
        &["top"],
        &["export", "recording", "--format", "postcard", "--out", "x"],
        &["export", "recording", "--format", "perfetto"],
        &["top", "recording", "--sort", "colour"],
        &["open"],
        &["open", "recording", "--min-age", "5"],
        &["open", "recording", "--limit", "all"],
        &["demo", "--seconds", "0"],
        &[],
    ] {
        run_refused(arguments);
    }
}
