//! The commands of docs/FIVE-MINUTES.md, on what they are given there: what they have to show is looked for.
#![cfg(unix)]

#[path = "common/program.rs"]
mod program;

use program::{program, run_json, run_well};
use std::process::Stdio;
use std::thread::sleep;
use std::time::Duration;
use tempfile::TempDir;

const GUIDE: &str = include_str!("../../docs/FIVE-MINUTES.md");

/// The command is one that the guide gives, with what there is here in place of what there was in the guide.
fn as_in_the_guide<'a>(command: &[&'a str], here: &[(&str, &'a str)]) -> Vec<&'a str> {
    let quoted = |word: &&str| if word.contains(' ') { format!("'{word}'") } else { (*word).to_owned() };
    let line = format!("$ spanring {}\n", command.iter().map(quoted).collect::<Vec<_>>().join(" "));
    assert!(GUIDE.contains(&line), "the guide does not say {line}");
    let is_here = |word: &'a str| here.iter().find(|(there, _)| *there == word).map_or(word, |(_, here)| here);
    command.iter().map(|word| is_here(word)).collect()
}

fn answer(command: &[&str], here: &[(&str, &str)]) -> String {
    run_well(&as_in_the_guide(command, here))
}

#[test]
fn a_slow_request_is_followed_to_its_cause() {
    let dir = TempDir::new().expect("a directory");
    let dir = dir.path().to_str().expect("UTF-8");
    let ask = |command: &[&str]| answer(command, &[("recording", dir)]);
    ask(&["demo", "--out", "recording", "--seconds", "5"]);

    let top = ask(&["top", "recording", "--name", "GET /"]);
    assert!(top.contains("\nGET /users ") && top.contains("service.rs:71"), "{top}");

    let slow = ask(&["slow", "recording", "--name", "GET /users", "--limit", "1"]);
    let critical =
        |name: &str| slow.lines().any(|line| line.starts_with('>') && line[1..].trim_start().starts_with(name));
    assert!(critical("wait for connection ") && critical("select user "), "{slow}");
    assert!(slow.contains("free=0") && slow.contains("\nid="), "{slow}");
    assert!(slow.contains("where the time went: ") && slow.contains(" % wait for connection"), "{slow}");

    // What is said of one holds of all: they wait more than anything else would explain.
    assert!(ask(&["top", "recording", "--name", "wait for connection"]).contains("service.rs:98"));
    let waits = run_json(&["top", dir, "--name", "wait for connection"]);
    assert!(waits["rows"][0]["p99_ns"].as_u64() > Some(1_000_000), "{waits}");

    // The span that the first line tells of is the one that the next command of the guide takes.
    let span_of =
        |slow: &str| slow.split_once("; span ").and_then(|(_, rest)| rest.split(' ').next()).map(str::to_owned);
    let (there, here) = (span_of(GUIDE).expect("a span"), span_of(&slow).expect("a span"));
    let then = ["top", "recording", "--during", &there, "--sort", "count", "--limit", "9"];
    let then = answer(&then, &[("recording", dir), (&there, &here)]);
    assert!(then.contains("\nserve_connection ") && then.contains("\nwait for connection "), "{then}");

    let page = TempDir::new().expect("a directory");
    let file = page.path().join("report.html");
    let here = [("recording", dir), ("report.html", file.to_str().expect("UTF-8"))];
    answer(&["report", "recording", "--out", "report.html"], &here);
    assert!(
        std::fs::read_to_string(&file)
            .expect("it is there")
            .contains("id=\"distribution-slowest\">Select the slowest<")
    );

    // The line that the guide names as the cause is the one that waits.
    let service = include_str!("../src/demo/service.rs");
    assert!(service.lines().nth(97).is_some_and(|line| line.contains("service.pool.acquire()")));
    assert!(service.contains("const POOL_SIZE: usize = 2;"));
}

/// The recording of a demo that was killed after three seconds.
fn killed_demo() -> TempDir {
    let dir = TempDir::new().expect("a directory");
    let out = dir.path().to_str().expect("UTF-8");
    let mut demo =
        program(&["demo", "--out", out, "--seconds", "60"]).stdout(Stdio::null()).spawn().expect("it starts");
    sleep(Duration::from_secs(3));
    demo.kill().expect("it runs");
    demo.wait().expect("it ends");
    dir
}

#[test]
fn what_a_killed_process_was_doing_is_told() {
    assert!(GUIDE.contains("$ spanring demo --out killed --seconds 60 & sleep 3; kill -9 $!\n"));
    // Whether there is anything in the rings depends on when the last flush was. One right before the kill is no counterexample.
    let killed = (0..5).map(|_| killed_demo()).find(|dir| {
        answer(&["info", "killed"], &[("killed", dir.path().to_str().expect("UTF-8"))])
            .contains(" recovered from rings\n")
    });
    let killed = killed.expect("five kills, and each right after a flush");
    let dir = killed.path().to_str().expect("UTF-8");
    let ask = |command: &[&str]| answer(command, &[("killed", dir)]);
    let info = ask(&["info", "killed"]);
    assert!(info.contains("writer    died: it ended without closing the recording\n"), "{info}");
    assert!(info.contains("lost      0 events\n") && info.contains("health    complete: "), "{info}");

    let old = ask(&["open", "killed", "--min-age", "1s"]);
    let names = |text: &str| -> Vec<String> {
        let lines = text.lines().skip(1).take_while(|line| !line.contains("open spans, "));
        lines.filter_map(|line| line.split_whitespace().next().map(str::to_owned)).collect()
    };
    assert!(names(&old).iter().all(|name| name == "refresh_cache" || name == "serve_connection"), "{old}");
    assert_eq!(names(&old).len(), 9, "{old}");
    assert!(old.contains("the last sign of the process, which died"), "{old}");

    let open = ask(&["open", "killed", "--limit", "0"]);
    assert!(names(&open).len() >= 9 && open.contains("the last sign of the process, which died"), "{open}");
}
