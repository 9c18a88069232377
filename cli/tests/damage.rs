//! A recording that was scribbled on: what is missing is counted, and `open` does not claim to be sure.

#[path = "common/program.rs"]
mod program;

use program::{run, run_json, run_refused, run_well};
use spanring::Recorder;
use spanring::prelude::*;
use std::fs;
use std::sync::{Mutex, PoisonError};
use tempfile::TempDir;

/// A process records once at a time.
static TURN: Mutex<()> = Mutex::new(());

#[test]
fn every_damaged_event_is_counted_and_every_open_span_in_doubt() {
    const SPANS: u64 = 1000;
    let _turn = TURN.lock().unwrap_or_else(PoisonError::into_inner);
    let dir = TempDir::new().expect("a directory");
    let out = dir.path().to_str().expect("UTF-8");
    let recorder = Recorder::builder().directory(dir.path()).start().expect("it starts");
    span_scope!("open");
    for number in 0..SPANS {
        span_scope!("short");
        if number % 50 == 0 {
            recorder.flush().expect("written");
        }
    }
    recorder.stop().expect("it stops");

    let session = spanring::reader::sessions(dir.path()).expect("readable").remove(0);
    let segment = session.join("segment-000000.spanring");
    let mut bytes = fs::read(&segment).expect("readable");
    let middle = bytes.len() / 2;
    bytes[middle..middle + 8192].fill(0xaa);
    fs::write(&segment, bytes).expect("written");

    let info = run_json(&["info", out]);
    let damaged = info["missing"]["damaged_records"].as_u64().expect("a number");
    assert!(damaged > 0, "{info}");
    assert_eq!((info["records"].as_u64(), &info["complete"]), (Some(2 * SPANS + 1 - damaged), &false.into()));

    let open = run_json(&["open", out]);
    assert_eq!(
        (&open["damaged_records"], &open["lost_records"], &open["doubtful"]),
        (&damaged.into(), &0.into(), &open["open"])
    );
    let text = run_well(&["open", out]);
    assert!(text.contains("lost?") && text.contains(&format!("UNCERTAIN: {damaged} events damaged, ")), "{text}");

    // An answer that may be wrong is refused, with the place; what says what is missing is written, and refused for those who do not look.
    let place = format!("spanring: {}: at byte ", segment.display());
    let refused = |arguments: &[&str]| {
        let output = run(arguments);
        assert_eq!(output.status.code(), Some(2), "{arguments:?}");
        let errors = String::from_utf8(output.stderr).expect("UTF-8");
        assert!(errors.starts_with(&place) && errors.contains("--partial"), "{errors}");
    };
    let files = TempDir::new().expect("a directory");
    let [page, folded] =
        ["report.html", "stacks.folded"].map(|name| files.path().join(name).to_str().expect("UTF-8").to_owned());
    refused(&["top", out]);
    refused(&["report", out, "--out", &page]);
    refused(&["export", out, "--format", "folded", "--out", &folded]);
    assert!(fs::read(&page).expect("it is there").ends_with(b"</html>\n") && fs::metadata(&folded).is_ok());
    let said = run_well(&["report", out, "--out", &page, "--partial"]);
    assert!(said.contains(&format!("{damaged} events missing")), "{said}");

    let tail = run(&["tail", out, "-n", "3"]);
    assert_eq!(String::from_utf8(tail.stdout).expect("UTF-8").lines().count(), 3);
    let errors = String::from_utf8(tail.stderr).expect("UTF-8");
    assert!(errors.starts_with(&place) && errors.contains(&format!("; {damaged} events missing there\n")), "{errors}");
    assert!(!errors.contains("came and were gone"), "{errors}");
}

#[test]
fn a_session_file_that_is_garbage_is_refused_by_its_place_and_not_taken_for_a_process_that_died() {
    const SPANS: u64 = 100;
    let _turn = TURN.lock().unwrap_or_else(PoisonError::into_inner);
    let dir = TempDir::new().expect("a directory");
    let out = dir.path().to_str().expect("UTF-8");
    let recorder = Recorder::builder().directory(dir.path()).start().expect("it starts");
    for _ in 0..SPANS {
        span_scope!("short");
    }
    recorder.stop().expect("it stops");
    let file = spanring::reader::sessions(dir.path()).expect("readable").remove(0).join("session.spanring");
    let length = fs::metadata(&file).expect("it is there").len();

    for garbage in [vec![0xaa; length as usize], b"SPANRI".to_vec()] {
        fs::write(&file, &garbage).expect("written");
        let info = run_json(&["info", out]);
        assert_eq!((&info["writer"], &info["complete"]), (&"unknown".into(), &false.into()));
        assert_eq!((&info["records"], &info["spans"]), (&(2 * SPANS).into(), &SPANS.into()));
        let damage = info["missing"]["damage"].as_array().expect("a list");
        assert_eq!(damage.len(), 1, "{info}");
        assert_eq!(damage[0]["path"].as_str(), file.to_str());
        assert_eq!((&damage[0]["offset"], &damage[0]["bytes"]), (&0.into(), &garbage.len().into()));
        let text = run_well(&["info", out]);
        assert!(
            text.contains("writer    unknown: the session file") && text.contains("INCOMPLETE: 1 damaged place"),
            "{text}"
        );
        assert!(run_well(&["open", out]).contains("nothing says how it ended"));

        let refused = run_refused(&["top", out]);
        assert!(refused.starts_with(&format!("spanring: {}: at byte 0: ", file.display())), "{refused}");
        let top = run_json(&["top", out, "--partial"]);
        assert_eq!((&top["spans"], &top["damaged"]), (&SPANS.into(), &1.into()));
        let errors = String::from_utf8(run(&["tail", out]).stderr).expect("UTF-8");
        assert!(
            errors.contains("nothing says whether the process still records") && !errors.contains("died"),
            "{errors}"
        );
    }

    fs::remove_file(&file).expect("removed");
    let text = run_well(&["info", out]);
    assert!(
        text.contains("writer    unknown: the session file") && text.contains("health    unknown: every event"),
        "{text}"
    );
    run_well(&["top", out]);
}
