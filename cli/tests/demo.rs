//! `spanring demo`, and the other commands on what it leaves.

#[path = "common/program.rs"]
mod program;
#[path = "common/replay.rs"]
mod replay;

use program::{run_json, run_well};
use serde_json::Value;
use std::collections::BTreeMap;
use std::fs;
use tempfile::TempDir;

#[test]
fn the_demo_records_a_service_and_all_commands_agree_on_it() {
    let dir = TempDir::new().expect("a directory");
    let out = dir.path().to_str().expect("UTF-8");
    let text = run_well(&["demo", "--seconds", "1", "--out", out]);

    let top = run_json(&["top", out]);
    let info = run_json(&["info", out]);
    let spans = top["spans"].as_u64().expect("a number");
    assert!(spans > 1000, "{text}");
    assert_eq!(info["spans"], spans);
    assert_eq!(info["open_spans"], top["open"]);
    assert_eq!((&info["writer"], &info["complete"]), (&"stopped".into(), &true.into()));

    // Its own words: everything was read back, nothing was lost.
    let records = info["records"].as_u64().expect("a number");
    assert!(text.contains(&format!("health  good: {records} events recorded, {records} read back, 0 lost")), "{text}");
    assert!(text.contains("ui.perfetto.dev") && text.contains(&format!("spanring info {out}")), "{text}");
    assert!(text.contains(&format!("{spans} spans in ")), "{text}");

    // Every sort of name and of ending is there.
    let rows = top["rows"].as_array().expect("a list");
    let total = |key: &str| rows.iter().map(|row| row[key].as_u64().expect("a number")).sum::<u64>();
    for outcome in ["cancelled", "panicked", "open"] {
        assert!(total(outcome) > 0, "nothing {outcome}: {text}");
    }
    let names: Vec<_> = rows.iter().map(|row| row["name"].as_str().expect("a text")).collect();
    for name in
        ["GET /users", "query", "wait for connection", "search shard", "hash pages", "ask broker", "place order"]
    {
        assert!(names.contains(&name), "no {name}: {text}");
    }
    assert!(names.iter().filter(|name| name.starts_with("load user ")).count() > 20, "{text}");

    // The trace that the demo wrote, and one written now, have the spans that `top` has: row by row.
    let demo = fs::read(dir.path().join("demo.perfetto-trace")).expect("the demo wrote it");
    assert_eq!(slices_by_name(&demo), spans_by_name(rows));
    let file = dir.path().join("again");
    run_well(&["export", out, "--format", "perfetto", "--out", file.to_str().expect("UTF-8")]);
    assert_eq!(fs::read(&file).expect("written"), demo);
}

#[test]
fn a_second_demo_adds_a_session() {
    let dir = TempDir::new().expect("a directory");
    let out = dir.path().to_str().expect("UTF-8");
    for sessions in 1..=2 {
        run_well(&["demo", "--seconds", "1", "--out", out]);
        let info = run_json(&["info", out]);
        assert_eq!(info["sessions"].as_array().map(Vec::len), Some(sessions));
    }
}

/// How many slices of each category and name, and how many of them have no end.
type Counts = BTreeMap<(String, String), (u64, u64)>;

fn slices_by_name(trace: &[u8]) -> Counts {
    let mut counts = Counts::new();
    for slice in replay::replay(trace).slices {
        let count = counts.entry((slice.category, slice.name)).or_default();
        count.0 += 1;
        count.1 += u64::from(slice.end_ns.is_none());
    }
    counts
}

fn spans_by_name(rows: &[Value]) -> Counts {
    let mut counts = Counts::new();
    for row in rows {
        let text = |key: &str| row[key].as_str().expect("a text").to_owned();
        let count = counts.entry((text("kind"), text("name"))).or_default();
        count.0 += row["count"].as_u64().expect("a number");
        count.1 += row["open"].as_u64().expect("a number");
    }
    counts
}
