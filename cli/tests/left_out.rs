//! A recording tells what a filter and sampling left out of it from the start.

#[path = "common/program.rs"]
mod program;

use program::{run_json, run_well};
use spanring::{Recorder, Sampling};
use tempfile::TempDir;

#[test]
fn what_was_chosen_to_be_left_out_is_told() {
    let dir = TempDir::new().expect("a directory");
    let out = dir.path().to_str().expect("UTF-8");
    let builder = Recorder::builder().directory(dir.path()).filter("app::db=off".parse().expect("a filter"));
    builder.sampling(Sampling::NONE).start().expect("it starts").stop().expect("it stops");
    let info = run_json(&["info", out]);
    assert_eq!((&info["filter"], &info["sampling"]), (&"app::db=off".into(), &"0".into()));
    let text = run_well(&["info", out]);
    assert!(text.contains("filter    app::db=off: which spans were recorded at the start\n"), "{text}");
    assert!(text.contains("sampling  0: what share of the roots was recorded at the start\n"), "{text}");
}
