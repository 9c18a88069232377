//! `spanring doctor`.

#[path = "common/program.rs"]
mod program;

use program::{run, run_json, run_well};
use tempfile::TempDir;

#[test]
fn a_machine_that_can_record_is_told_so_and_nothing_stays() {
    let dir = TempDir::new().expect("a directory");
    let out = dir.path().join("not there yet");
    let out = out.to_str().expect("UTF-8");
    let text = run_well(&["doctor", out]);
    assert!(text.ends_with("This machine can record here.\n"), "{text}");
    assert!(text.contains("10000 spans written and read back") && text.contains("killed in a span"), "{text}");
    let examination = run_json(&["doctor", out]);
    assert_eq!(examination["healthy"], true);
    assert_eq!(dir.path().read_dir().expect("it is there").count(), 0);
}

#[test]
fn what_is_in_the_directory_is_left_alone() {
    let dir = TempDir::new().expect("a directory");
    std::fs::write(dir.path().join("mine"), "").expect("it is written");
    run_well(&["doctor", dir.path().to_str().expect("UTF-8")]);
    let left: Vec<_> = dir.path().read_dir().expect("it is there").map(|entry| entry.unwrap().file_name()).collect();
    assert_eq!(left, ["mine"]);
}

#[test]
fn a_directory_that_cannot_be_written_to_is_bad() {
    let dir = TempDir::new().expect("a directory");
    let file = dir.path().join("a file");
    std::fs::write(&file, "").expect("it is written");
    let output = run(&["doctor", file.to_str().expect("UTF-8")]);
    assert_eq!(output.status.code(), Some(1));
    let text = String::from_utf8(output.stdout).expect("UTF-8");
    assert!(text.contains("BAD   directory") && text.ends_with("cannot record here as it should.\n"), "{text}");
}
