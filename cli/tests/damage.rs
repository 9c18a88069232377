//! A recording that was scribbled on: what is missing is counted, and `open` does not claim to be sure.

#[path = "common/program.rs"]
mod program;

use program::{run, run_json, run_well};
use spanring::Recorder;
use spanring::prelude::*;
use std::fs;
use tempfile::TempDir;

#[test]
fn every_damaged_event_is_counted_and_every_open_span_in_doubt() {
    const SPANS: u64 = 1000;
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
