//! `slow`, `tree`, `diff`, `tail` and the filters on one recording, whose shape is known.

#[path = "common/program.rs"]
mod program;

use program::{program, run, run_json, run_refused, run_well};
use serde_json::Value;
use spanring::prelude::*;
use spanring::{Builder, Recorder, RecorderGuard};
use std::fs;
use std::future::{Future, pending, ready};
use std::path::{Path, PathBuf};
use std::pin::pin;
use std::sync::{Mutex, OnceLock, PoisonError};
use std::task::{Context, Poll, Waker};
use std::thread::sleep;
use std::time::Duration;
use tempfile::TempDir;

/// Nothing here needs a runtime: what is pending is dropped.
fn poll_once<F: Future>(future: F) -> Poll<F::Output> {
    pin!(future).as_mut().poll(&mut Context::from_waker(Waker::noop()))
}

/// A request whose query takes nearly all the time; its rows are fetched one after the other.
fn request(query_ms: u64, rows: usize) {
    let work = async {
        span_async_named!("authorise", ready(())).await;
        span_async_named!("query", async {
            for row in 0..rows {
                span_scope!("fetch");
                sleep(Duration::from_millis(query_ms) / rows as u32);
                if row == 0 {
                    span_scope!("decode");
                }
            }
        })
        .await;
    };
    assert!(poll_once(span_async_named!("request", work)).is_ready());
}

/// Records what `work` does: a process has one recorder at a time.
fn recorded(dir: &Path, work: impl FnOnce()) {
    recorded_by(Recorder::builder().directory(dir), |_| work());
}

/// The same with a recorder made for it.
fn recorded_by(builder: Builder, work: impl FnOnce(&RecorderGuard)) {
    static RECORDER: Mutex<()> = Mutex::new(());
    let _alone = RECORDER.lock().unwrap_or_else(PoisonError::into_inner);
    let recorder = builder.start().expect("it starts");
    work(&recorder);
    recorder.stop().expect("it stops");
}

/// Five quick requests, a slow one with twelve rows, one that is cancelled.
fn record(dir: &Path, quick_ms: u64) {
    recorded(dir, || {
        for _ in 0..5 {
            request(quick_ms, 1);
        }
        request(60, 12);
        assert!(poll_once(span_async_named!("request", pending::<()>())).is_pending());
    });
}

fn recording() -> &'static str {
    static RECORDING: OnceLock<TempDir> = OnceLock::new();
    let dir = RECORDING.get_or_init(|| {
        let dir = TempDir::new().expect("a directory");
        record(dir.path(), 2);
        dir
    });
    dir.path().to_str().expect("UTF-8")
}

fn number(value: &Value) -> u64 {
    value.as_u64().expect("a number")
}

fn names(rows: &Value) -> Vec<(u64, &str)> {
    let rows = rows.as_array().expect("a list");
    rows.iter().map(|row| (number(&row["level"]), row["name"].as_str().expect("a name"))).collect()
}

#[test]
fn slow_shows_the_slowest_with_what_is_below_and_puts_every_nanosecond_down_to_one_span() {
    let report = run_json(&["slow", recording(), "--limit", "1"]);
    let tree = &report["trees"][0];
    let rows = tree["rows"].as_array().expect("a list");
    let mut expected = vec![(0, "request"), (1, "authorise"), (1, "query"), (2, "fetch"), (3, "decode")];
    expected.extend([(2, "fetch"); 11]);
    assert_eq!(names(&tree["rows"]), expected);
    let critical: u64 = rows.iter().map(|row| number(&row["critical_ns"])).sum();
    assert_eq!(critical, number(&rows[0]["duration_ns"]));
    assert!(number(&rows[0]["duration_ns"]) >= 60_000_000);
    assert_eq!((&tree["shares"][0]["name"], &tree["shares"][0]["spans"]), (&"fetch".into(), &12.into()));
}

#[test]
fn what_is_below_a_span_that_is_shown_is_not_shown_again() {
    let report = run_json(&["slow", recording(), "--limit", "100"]);
    let trees = report["trees"].as_array().expect("a list");
    assert_eq!(trees.len(), 7);
    assert!(trees.iter().all(|tree| tree["rows"][0]["name"] == "request"));
    let took: Vec<u64> = trees.iter().map(|tree| number(&tree["rows"][0]["duration_ns"])).collect();
    assert!(took.is_sorted_by(|a, b| a >= b), "{took:?}");
}

#[test]
fn slow_as_text_marks_the_critical_path_and_sums_up_what_is_alike() {
    let text = run_well(&["slow", recording(), "--limit", "1"]);
    assert!(text.starts_with("request: ") && text.contains(", completed; span "), "{text}");
    assert!(text.contains("\n>      fetch"), "{text}");
    assert!(text.contains("… 8 more fetch"), "{text}");
    assert!(text.contains("where the time went: ") && text.contains(" % fetch (12 times)"), "{text}");
    let all = run_well(&["slow", recording(), "--limit", "1", "--rows", "0"]);
    let rows = all.lines().filter(|line| line.contains(" fetch ") && line.contains("verbs.rs:"));
    assert_eq!(rows.count(), 12, "{all}");
}

#[test]
fn slow_has_no_column_for_what_is_said_of_hidden_spans_alone() {
    let dir = TempDir::new().expect("a directory");
    recorded(dir.path(), || {
        let all = span_async_named!("all", async {
            for _ in 0..12 {
                span_async_named!("step", async { sleep(Duration::from_millis(1)) }).await;
            }
            // The shortest of them is not shown.
            let _ = poll_once(span_async_named!("step", pending::<()>()));
        });
        let _ = poll_once(all);
    });
    let path = dir.path().to_str().expect("UTF-8");
    let columns = |text: &str| -> Vec<String> {
        let head = text.lines().find(|line| line.contains(" took ")).expect("there is a head");
        head.split_whitespace().map(str::to_owned).collect()
    };
    let (some, all) =
        (run_well(&["slow", path, "--limit", "1"]), run_well(&["slow", path, "--limit", "1", "--rows", "0"]));
    assert!(some.contains("more step") && !columns(&some).contains(&"end".to_owned()), "{some}");
    assert!(all.contains("cancelled") && columns(&all).contains(&"end".to_owned()), "{all}");
}

#[test]
fn tree_shows_roots_as_they_began_and_spans_by_their_ids() {
    let roots = run_json(&["tree", recording()]);
    assert_eq!(roots["trees"].as_array().map(Vec::len), Some(7));
    assert_eq!(roots["trees"][6]["rows"][0]["outcome"], "cancelled");
    let query = &roots["trees"][0]["rows"][2];
    let id = query["id"].to_string();
    let tree = run_json(&["tree", recording(), "--span", &id]);
    assert_eq!(names(&tree["trees"][0]["rows"]), [(0, "query"), (1, "fetch"), (2, "decode")]);
    assert_eq!(tree["trees"][0]["rows"][0]["parent"], query["parent"]);
    let refused = run_refused(&["tree", recording(), "--span", "999999999"]);
    assert!(refused.contains("no span of that id"), "{refused}");
}

#[test]
fn tree_adds_up_all_spans_by_the_names_above_them() {
    let report = run_json(&["tree", recording(), "--aggregate"]);
    let rows = report["rows"].as_array().expect("a list");
    // A scope is in the async span around it, which is all that the recording says.
    let expected = [(0, "request"), (1, "query"), (2, "fetch"), (2, "decode"), (1, "authorise")];
    assert_eq!(names(&report["rows"]), expected);
    let counts: Vec<u64> = rows.iter().map(|row| number(&row["count"])).collect();
    assert_eq!(counts, [7, 6, 17, 6, 6]);
    assert_eq!((number(&report["spans"]), number(&report["open"])), (42, 0));
    // Nothing runs beside anything else here, so all own times make up the time of the roots.
    let all: u64 = rows.iter().map(|row| number(&row["self_ns"])).sum();
    assert!(all.abs_diff(number(&rows[0]["total_ns"])) <= number(&rows[3]["total_ns"]));
    assert_eq!(all, number(&report["self_ns"]));
    let share = |row: &Value, key: &str| row[key].as_f64().expect("a number");
    assert!((share(&rows[0], "share_with_below") - 1.0).abs() < 1e-9);
    assert!((rows.iter().map(|row| share(row, "share")).sum::<f64>() - 1.0).abs() < 1e-9);

    let fetches = run_json(&["tree", recording(), "--aggregate", "--name", "fetch"]);
    let rows = fetches["rows"].as_array().expect("a list");
    let counted: Vec<(&str, u64)> =
        rows.iter().map(|row| (row["name"].as_str().expect("a name"), number(&row["count"]))).collect();
    assert_eq!(counted, [("request", 0), ("query", 0), ("fetch", 17)]);
    let text = run_well(&["tree", recording(), "--aggregate", "--rows", "2"]);
    assert!(text.contains("\n  query ") && text.contains("3 more rows: see every path with --rows 0"), "{text}");
    let refused = run_refused(&["tree", recording(), "--aggregate", "--span", "1"]);
    assert!(refused.contains("cannot be used with"), "{refused}");
}

#[test]
fn filters_choose_by_name_outcome_and_time() {
    let spans = |arguments: &[&str]| {
        let mut all = vec!["top", recording()];
        all.extend(arguments);
        number(&run_json(&all)["spans"])
    };
    assert_eq!(spans(&["--name", "quer"]), 6);
    assert_eq!(spans(&["--outcome", "cancelled"]), 1);
    assert_eq!(spans(&["--outcome", "cancelled", "--outcome", "completed", "--name", "request"]), 7);
    assert_eq!(spans(&["--target", "verbs"]), spans(&[]));
    assert_eq!(spans(&["--target", "verb"]), 0);
    assert_eq!(spans(&["--from", "1h"]), 0);
    assert_eq!(spans(&["--to", "2020-01-31T00:00:00Z"]), 0);
    assert_eq!(spans(&["--from", "2020-01-31T00:00:00Z", "--to", "1h"]), spans(&[]));
    for wrong in [["--from", "yesterday"], ["--to", "2026-02-30T00:00:00Z"], ["--outcome", "bad"]] {
        run_refused(&["top", recording(), wrong[0], wrong[1]]);
    }
}

#[test]
fn what_was_there_while_a_span_was_is_found_by_its_id() {
    let slowest = run_json(&["slow", recording(), "--limit", "1"]);
    let id = number(&slowest["trees"][0]["rows"][0]["id"]).to_string();
    let during = |command: &str| run_json(&[command, recording(), "--during", &id]);
    let top = during("top");
    let counts: Vec<(&str, u64)> =
        ["request", "authorise", "query", "fetch", "decode"].map(|name| (name, of(&top, name))).to_vec();
    assert_eq!(counts, [("request", 1), ("authorise", 1), ("query", 1), ("fetch", 12), ("decode", 1)]);
    assert_eq!(number(&during("slow")["candidates"]), 16);
    assert_eq!(number(&during("tree")["candidates"]), 1);
    assert_eq!(number(&during("open")["open"]), 0);
    let fetches = run_json(&["top", recording(), "--during", &id, "--name", "fetch"]);
    assert_eq!(number(&fetches["spans"]), 12);
    assert!(run_refused(&["top", recording(), "--during", "999999"]).contains("there is no span of that id"));
    assert!(run_refused(&["top", recording(), "--during", &id, "--from", "1s"]).contains("cannot be used with"));
}

/// How many spans of that name `top` counted.
fn of(top: &Value, name: &str) -> u64 {
    let rows = top["rows"].as_array().expect("a list");
    rows.iter().filter(|row| row["name"] == name).map(|row| number(&row["count"])).sum()
}

#[test]
fn a_histogram_counts_every_span_that_ended() {
    let top = run_json(&["top", recording()]);
    for row in top["rows"].as_array().expect("a list") {
        let buckets = row["histogram"].as_array().expect("a list");
        let counted: u64 = buckets.iter().map(|bucket| number(&bucket["count"])).sum();
        assert_eq!(counted, number(&row["count"]), "{row}");
        let last = number(&buckets[buckets.len() - 1]["from_ns"]);
        assert!((last..2 * last).contains(&number(&row["max_ns"])), "{row}");
    }
}

#[test]
fn diff_tells_what_got_slower_from_what_did_not() {
    let [before, after] = [0, 1].map(|_| TempDir::new().expect("a directory"));
    let record = |dir: &TempDir, ms: u64| {
        recorded(dir.path(), || {
            for _ in 0..30 {
                {
                    span_scope!("same");
                }
                span_scope!("changed");
                sleep(Duration::from_millis(ms));
            }
            if ms > 1 {
                span_scope!("added");
            }
        });
    };
    record(&before, 1);
    record(&after, 30);
    let [before, after] = [&before, &after].map(|dir| dir.path().to_str().expect("UTF-8"));
    let verdict = |report: &Value, name: &str| {
        let rows = report["rows"].as_array().expect("a list").clone();
        rows.into_iter().find(|row| row["name"] == name).expect("there")
    };
    let report = run_json(&["diff", before, after]);
    let changed = verdict(&report, "changed");
    assert_eq!(changed["verdict"], "slower");
    assert!(changed["change_range"][0].as_f64() > Some(0.0) && number(&changed["after"]["count"]) == 30, "{changed}");
    assert_eq!(verdict(&report, "added")["verdict"], "new");
    let same = run_json(&["diff", before, before]);
    assert!(same["rows"].as_array().expect("a list").iter().all(|row| row["verdict"] == "unclear"), "{same}");
    assert_eq!(verdict(&run_json(&["diff", after, before]), "changed")["verdict"], "faster");
    let text = run_well(&["diff", before, after]);
    assert!(text.contains("names: ") && text.contains("after: 61 spans, 0 failed, 0 cancelled, 0 panicked"), "{text}");
}

#[test]
fn tail_shows_the_last_spans_and_ends_with_the_process() {
    let output = run(&["tail", recording(), "-n", "2"]);
    assert!(output.status.success());
    let text = String::from_utf8(output.stdout).expect("UTF-8");
    assert_eq!(text.lines().count(), 2, "{text}");
    assert!(text.lines().last().expect("there").contains("cancelled  request"), "{text}");
    assert_eq!(String::from_utf8_lossy(&output.stderr), "spanring: the process stopped recording\n");
    let output = run(&["tail", recording(), "-n", "1000", "--json"]);
    let lines = String::from_utf8(output.stdout).expect("UTF-8");
    let lines: Vec<Value> = lines.lines().map(|line| serde_json::from_str(line).expect("JSON")).collect();
    assert_eq!(lines.len() as u64, number(&run_json(&["top", recording()])["spans"]));
    assert!(lines.iter().map(|line| number(&line["end_unix_ns"])).is_sorted());
}

#[test]
fn no_line_of_help_is_wider_than_the_terminal() {
    for command in ["top", "slow", "export", "diff"] {
        let help = program(&[command, "--help"]).env("COLUMNS", "80").output().expect("it starts");
        let help = String::from_utf8(help.stdout).expect("UTF-8");
        let widest = help.lines().map(|line| line.chars().count()).max();
        assert!((40..=80).contains(&widest.unwrap_or_default()), "{help}");
    }
}

#[test]
fn no_table_is_wider_than_the_terminal() {
    for columns in [60, 80, 120] {
        for arguments in [&["info"][..], &["top"], &["open"], &["slow"], &["tree"], &["diff", recording()], &["tail"]] {
            let mut all = vec![arguments[0], recording()];
            all.extend(&arguments[1..]);
            let output = program(&all).env("COLUMNS", columns.to_string()).output().expect("it starts");
            for line in String::from_utf8(output.stdout).expect("UTF-8").lines() {
                assert!(line.chars().count() <= columns, "{arguments:?} at {columns}: {line}");
            }
        }
    }
}

/// The same recording with a hole in its segment, and where that is.
fn damaged() -> (TempDir, PathBuf) {
    let dir = TempDir::new().expect("a directory");
    record(dir.path(), 0);
    let session = spanring::reader::sessions(dir.path()).expect("readable").remove(0);
    let segment = session.join("segment-000000.spanring");
    let mut bytes = fs::read(&segment).expect("readable");
    let hole = bytes.iter().rposition(|byte| *byte != 0).expect("written") - 300;
    bytes[hole..hole + 8].fill(0xaa);
    fs::write(&segment, bytes).expect("written");
    (dir, segment)
}

#[test]
fn a_damaged_recording_is_refused_by_file_and_byte_unless_it_is_asked_for() {
    let (dir, segment) = damaged();
    let dir = dir.path().to_str().expect("UTF-8");
    for command in ["top", "slow", "tree"] {
        let message = run_refused(&[command, dir]);
        assert!(message.contains(segment.to_str().expect("UTF-8")) && message.contains("at byte "), "{message}");
        assert!(message.contains("--partial"), "{message}");
        run_well(&[command, dir, "--partial"]);
    }
    run_refused(&["diff", dir, dir]);
    run_well(&["diff", dir, dir, "--partial"]);
    assert!(run_well(&["info", dir]).contains("INCOMPLETE"));
}

#[test]
fn a_recording_of_a_newer_version_is_refused_by_file_and_byte() {
    let dir = TempDir::new().expect("a directory");
    record(dir.path(), 0);
    let session = spanring::reader::sessions(dir.path()).expect("readable").remove(0);
    let file = session.join("session.spanring");
    let mut bytes = fs::read(&file).expect("readable");
    bytes[8] = 99;
    let checksum = crc(&bytes[..60]);
    bytes[60..64].copy_from_slice(&checksum.to_le_bytes());
    fs::write(&file, bytes).expect("written");
    for segment in ["segment-000000.spanring", "names.spanring"] {
        fs::remove_file(session.join(segment)).expect("removed");
    }
    let message = run_refused(&["top", dir.path().to_str().expect("UTF-8")]);
    assert!(message.contains("session.spanring: at byte ") && message.contains("99"), "{message}");
}

/// CRC-32 as the files have it.
fn crc(bytes: &[u8]) -> u32 {
    !bytes.iter().fold(!0, |crc, byte| {
        (0..8).fold(crc ^ u32::from(*byte), |crc, _| (crc >> 1) ^ (0xedb8_8320 & (crc & 1).wrapping_neg()))
    })
}

#[test]
fn every_shell_can_have_completions_and_the_manual_knows_every_command() {
    for shell in ["bash", "elvish", "fish", "powershell", "zsh"] {
        assert!(run_well(&["completions", shell]).contains("slow"), "{shell}");
    }
    let manual = run_well(&["man"]);
    for command in ["demo", "info", "top", "slow", "tree", "open", "snapshot", "diff", "tail", "export"] {
        assert!(manual.contains(&format!(".SH SPANRING {}", command.to_uppercase())), "{command}");
    }
}

#[test]
fn a_recording_of_nothing_says_so_and_what_may_be_the_cause() {
    let (without, refused) = (TempDir::new().expect("a directory"), TempDir::new().expect("a directory"));
    recorded(without.path(), || {});
    let filter = "off".parse().expect("a filter");
    recorded_by(Recorder::builder().directory(refused.path()).filter(filter), |_| request(0, 1));
    let health = |dir: &Path| {
        let text = run_well(&["info", dir.to_str().expect("UTF-8")]);
        text.lines().find_map(|line| line.strip_prefix("health    ").map(str::to_owned)).expect("a line says it")
    };
    let asks = "NOTHING WAS RECORDED: are the spans compiled in, did the instrumented code run while the recorder did";
    for (dir, expected) in
        [(without.path(), format!("{asks}?")), (refused.path(), format!("{asks}, or is none of it wanted?"))]
    {
        assert_eq!(health(dir), expected);
        for command in ["top", "slow", "tree", "open"] {
            let dir = dir.to_str().expect("UTF-8");
            for arguments in [&[command, dir][..], &[command, dir, "--json"]] {
                let output = run(arguments);
                assert_eq!(String::from_utf8_lossy(&output.stderr), format!("spanring: {expected}\n"), "{arguments:?}");
            }
        }
    }
    let something = TempDir::new().expect("a directory");
    recorded(something.path(), || request(0, 1));
    for command in ["top", "slow", "tree", "open"] {
        let output = run(&[command, something.path().to_str().expect("UTF-8")]);
        assert_eq!(String::from_utf8_lossy(&output.stderr), "", "{command}");
    }
}

#[test]
fn attributes_that_come_after_their_span_are_spoken_of_where_they_would_have_counted() {
    let dir = TempDir::new().expect("a directory");
    // A span is held for twice as many records as the ring has room for.
    recorded_by(Recorder::builder().directory(dir.path()).ring_bytes(4096), |recorder| {
        let over = span_async_named!("over", known = true, async { current_span() });
        let Poll::Ready(span) = poll_once(over) else { unreachable!() };
        for _ in 0..20 {
            recorder.flush().expect("there is room");
            request(0, 1);
        }
        span.record("late", 1).record("later", 2);
    });
    let path = dir.path().to_str().expect("UTF-8");
    let remark = "2 attributes of spans that are not there, or that had been read before\n";
    let (said, of_both) =
        (format!("spanring: {remark}"), format!("spanring: before: {remark}spanring: after: {remark}"));
    for (arguments, expected) in [
        (&["top", path, "--where", "late"][..], said.as_str()),
        (&["tail", path], &said),
        (&["tree", path, "--aggregate", "--where", "known"], &said),
        (&["diff", path, path, "--where", "known"], &of_both),
        (&["top", path], ""),
        (&["tree", path, "--aggregate"], ""),
        (&["diff", path, path], ""),
    ] {
        let output = run(arguments);
        let errors = String::from_utf8_lossy(&output.stderr);
        assert!(output.status.success(), "{arguments:?}: {errors}");
        assert_eq!(errors.replace("spanring: the process stopped recording\n", ""), expected, "{arguments:?}");
    }
}
