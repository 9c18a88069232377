//! What is left of a process that was killed.
#![cfg(unix)]

#[path = "common/program.rs"]
mod program;

use program::{program, run_json, run_well};
use serde_json::Value;
use std::io::{BufRead, BufReader};
use std::os::unix::process::ExitStatusExt;
use std::process::Stdio;
use std::thread::sleep;
use std::time::Duration;
use tempfile::TempDir;

#[test]
fn a_demo_killed_in_the_middle_can_be_read() {
    let dir = TempDir::new().expect("a directory");
    let out = dir.path().to_str().expect("UTF-8");
    let mut demo =
        program(&["demo", "--seconds", "60", "--out", out]).stdout(Stdio::piped()).spawn().expect("it starts");
    let mut first = String::new();
    BufReader::new(demo.stdout.take().expect("piped")).read_line(&mut first).expect("it says what it does");
    assert!(first.contains("an HTTP service on 127.0.0.1:"), "{first}");
    sleep(Duration::from_millis(1500));

    let alive = run_json(&["info", out]);
    assert_eq!((&alive["writer"], &alive["pid"]), (&"running".into(), &demo.id().into()));

    let open_now = run_json(&["open", out]);
    assert_eq!(open_now["writer"], "running");
    assert!(is_open(&open_now, "serve_connection") && is_open(&open_now, "refresh_cache"), "{open_now}");

    // On Unix this is SIGKILL.
    demo.kill().expect("it runs");
    let status = demo.wait().expect("it ends");
    assert_eq!(status.signal(), Some(9));

    let dead = run_json(&["info", out]);
    assert_eq!((&dead["writer"], &dead["complete"]), (&"died".into(), &true.into()));
    assert!(dead["spans"].as_u64() >= alive["spans"].as_u64());
    assert!(run_well(&["info", out]).contains("writer    died"));

    let top = run_json(&["top", out]);
    assert_eq!(top["spans"], dead["spans"]);
    assert!(top["spans"].as_u64().is_some_and(|spans| spans > 1000), "{top}");
    let rows = top["rows"].as_array().expect("a list");
    let open =
        |name: &str| rows.iter().any(|row| row["name"] == name && row["open"].as_u64().is_some_and(|open| open > 0));
    assert!(open("serve_connection") && open("refresh_cache"), "{top}");

    let open = run_json(&["open", out]);
    assert_eq!(
        (&open["writer"], &open["open"], &open["lost_records"]),
        (&"died".into(), &dead["open_spans"], &0.into())
    );
    assert!(is_open(&open, "serve_connection") && is_open(&open, "refresh_cache"), "{open}");
    let ages = open["tree"].as_array().expect("a list").iter().filter_map(|line| line["age_ns"].as_u64());
    assert_eq!(ages.max(), open["oldest_ns"].as_u64());
    // Everything happened between the first line of output and the kill, which was a second and a half at least.
    assert!(open["oldest_ns"].as_u64().is_some_and(|age| (1_000_000_000..60_000_000_000).contains(&age)), "{open}");
    let text = run_well(&["open", out, "--min-age", "1s"]);
    assert!(text.contains("\nserve_connection ") && text.contains("service.rs:"), "{text}");
    assert!(text.contains("the last sign of the process, which died"), "{text}");
}

fn is_open(open: &Value, name: &str) -> bool {
    let tree = open["tree"].as_array().expect("a list");
    tree.iter().any(|line| line["name"] == name && line["state"] == "open" && line["parent"] == 0)
}
