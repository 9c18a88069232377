//! Attributes, instants and counters, from the macros to what the program prints.

#[path = "common/program.rs"]
mod program;

use program::{program, run, run_json, run_refused, run_well};
use serde_json::{Value, json};
use spanring::Recorder;
use spanring::prelude::*;
use std::future::{Future, pending, ready};
use std::pin::pin;
use std::sync::OnceLock;
use std::task::{Context, Poll, Waker};
use tempfile::TempDir;

/// Nothing here needs a runtime.
fn poll_once<F: Future>(future: F) -> Poll<F::Output> {
    pin!(future).as_mut().poll(&mut Context::from_waker(Waker::noop()))
}

const HOSTILE: &str = "a \"b\"\u{1b}[31m</script>\n";

fn request(batch: u64, customer: &str) {
    let work = async {
        instant!("accepted", queue = 3_u8);
        span_async_named!("query", rows = -1_i64, ready(())).await;
        current_span().record("ratio", 0.5).record("batch", batch + 1);
        {
            span_scope!("render");
            instant!("cache miss", key = customer);
        }
        instant!("sent");
        counter!("queue", batch);
        counter!("load", 0.25);
    };
    assert!(poll_once(span_async_named!("request", batch = batch, customer = customer, work)).is_ready());
}

/// Two requests, and one that stays open; an instant in a scope alone, and one in nothing.
fn recording() -> &'static str {
    static RECORDING: OnceLock<TempDir> = OnceLock::new();
    let dir = RECORDING.get_or_init(|| {
        let dir = TempDir::new().expect("a directory");
        let recorder = Recorder::builder().directory(dir.path()).start().expect("it starts");
        request(7, "acme");
        request(40, HOSTILE);
        instant!("alone");
        {
            span_scope!("start");
            instant!("ready");
        }
        let stuck = span_async_named!("stuck", customer = "acme", async {
            instant!("retry", attempt = 2_u32);
            pending::<()>().await;
        });
        let mut stuck = Box::pin(stuck);
        assert!(stuck.as_mut().poll(&mut Context::from_waker(Waker::noop())).is_pending());
        let health = recorder.stop().expect("it stops");
        assert_eq!(health.lost, 0);
        drop(stuck);
        dir
    });
    dir.path().to_str().expect("UTF-8")
}

fn only(rows: &Value, name: &str) -> Value {
    let mut of_name = rows.as_array().expect("a list").iter().filter(|row| row["name"] == name);
    let row = of_name.next().unwrap_or_else(|| panic!("no {name}: {rows}")).clone();
    assert!(of_name.next().is_none(), "{name} is there twice");
    row
}

#[test]
fn a_tree_has_attributes_as_what_they_were_and_instants_in_the_scope_that_they_were_in() {
    let tree = run_json(&["tree", recording(), "--name", "request", "--where", "batch=8"]);
    assert_eq!(tree["trees"].as_array().map(Vec::len), Some(1));
    let rows = &tree["trees"][0]["rows"];
    let request = only(rows, "request");
    assert_eq!(request["attributes"], json!({"batch": 8, "customer": "acme", "ratio": 0.5}));
    assert_eq!(only(rows, "query")["attributes"], json!({"rows": -1}));
    let names = |row: &Value| -> Vec<String> {
        let instants = row["instants"].as_array().expect("a list").iter();
        instants.map(|instant| instant["name"].as_str().expect("a name").to_owned()).collect()
    };
    assert_eq!(names(&request), ["accepted", "sent"]);
    assert_eq!(request["instants"][0]["attributes"], json!({"queue": 3}));
    assert_eq!(names(&only(rows, "render")), ["cache miss"]);
    assert_eq!(only(rows, "render")["instants"][0]["attributes"], json!({"key": "acme"}));
    let start = run_json(&["tree", recording(), "--name", "start"]);
    assert_eq!(names(&start["trees"][0]["rows"][0]), ["ready"]);
}

#[test]
fn a_tree_as_text_has_instants_at_their_time() {
    let text = run_well(&["tree", recording(), "--name", "request", "--where", "customer=acme"]);
    let position = |what: &str| text.find(what).unwrap_or_else(|| panic!("no {what} in\n{text}"));
    let order = [
        "batch=8 customer=acme ratio=0.5",
        ">  request",
        "· accepted  queue=3",
        "query  rows=-1",
        "render",
        "· cache miss  key=acme",
        "· sent",
    ];
    assert!(order.map(position).is_sorted(), "{text}");
}

#[test]
fn hostile_text_does_nothing_to_a_terminal() {
    for command in [&["tree"][..], &["slow"], &["tail"], &["open"], &["counters"]] {
        let text = String::from_utf8(run(&[command, &[recording()]].concat()).stdout).expect("UTF-8");
        assert!(!text.contains(|c: char| c.is_control() && c != '\n'), "{text}");
    }
    let text = run_well(&["slow", recording(), "--where", "batch=41"]);
    assert!(text.contains(r#"customer="a \"b\"\u{1b}[31m</script>\n""#), "{text}");
}

#[test]
fn conditions_choose_spans_in_every_command() {
    let spans = |conditions: &[&str]| {
        let mut arguments = vec!["top", recording()];
        conditions.iter().for_each(|condition| arguments.extend(["--where", condition]));
        run_json(&arguments)["spans"].as_u64()
    };
    assert_eq!(spans(&["customer"]), Some(3));
    assert_eq!(spans(&["customer=acme"]), Some(2));
    assert_eq!(spans(&["customer=acme", "batch"]), Some(1));
    assert_eq!(spans(&["ratio=0.50"]), Some(2), "a number may be written in another way");
    assert_eq!(spans(&["batch=7"]), Some(0), "a later value took its place");
    assert_eq!(spans(&["custom"]), Some(0));
    assert_eq!(run_json(&["diff", recording(), recording(), "--where", "rows=-1"])["after"]["spans"], 2);
    let lines = run(&["tail", recording(), "--json", "-n", "100", "--where", "batch"]).stdout;
    assert_eq!(String::from_utf8(lines).expect("UTF-8").lines().count(), 2);
    let refused = run_refused(&["top", recording(), "--where", "=acme"]);
    assert!(refused.contains("such as batch=7"), "{refused}");
}

#[test]
fn an_open_span_tells_what_it_is_about_and_what_happened_last() {
    let open = run_json(&["open", recording(), "--where", "customer=acme"]);
    assert_eq!((&open["open"], &open["others"]), (&json!(1), &json!(0)));
    assert_eq!(open["tree"][0]["attributes"], json!({"customer": "acme"}));
    assert_eq!(open["tree"][0]["instants"][0]["attributes"], json!({"attempt": 2}));
    let text = run_well(&["open", recording()]);
    assert!(text.contains("stuck  customer=acme") && text.contains("· retry  attempt=2"), "{text}");
    let none = run_json(&["open", recording(), "--where", "customer=other"]);
    assert_eq!((&none["open"], &none["others"], &none["tree"]), (&json!(0), &json!(1), &json!([])));
    let text = run_well(&["open", recording(), "--where", "customer=other"]);
    assert!(text.contains("no open span is like that; 1 other is not"), "{text}");
}

#[test]
fn tail_tells_them_too() {
    let lines = run(&["tail", recording(), "--json", "-n", "100"]).stdout;
    let lines = String::from_utf8(lines).expect("UTF-8");
    let lines: Vec<Value> = lines.lines().map(|line| serde_json::from_str(line).expect("JSON")).collect();
    let request = lines.iter().find(|line| line["attributes"]["batch"] == 41).expect("there");
    assert_eq!(request["attributes"]["customer"], HOSTILE);
    assert_eq!(request["instants"].as_array().map(Vec::len), Some(3));
    let text = String::from_utf8(run(&["tail", recording(), "-n", "100"]).stdout).expect("UTF-8");
    assert!(text.contains("customer=acme ratio=0.5 · accepted · cache miss · sent"), "{text}");
}

#[test]
fn where_a_line_is_short_the_directories_of_a_file_go_before_the_values() {
    let output =
        program(&["tail", recording(), "--where", "batch=8"]).env("COLUMNS", "100").output().expect("it starts");
    let line = String::from_utf8(output.stdout).expect("UTF-8");
    assert!(line.contains("  request  batch=8 customer=acme ratio=0.5 "), "{line}");
    assert!(line.contains("  attributes.rs:"), "{line}");
}

#[test]
fn everything_that_was_recorded_is_counted() {
    let info = run_json(&["info", recording()]);
    let beside = &info["beside_spans"];
    assert_eq!(
        *beside,
        json!({
            "attributes": 16, "instants": 9, "counters": 4, "late_attributes": 0, "late_instants": 0,
            "dropped_attributes": 0, "dropped_instants": 0,
        })
    );
    let number = |value: &Value| value.as_u64().expect("a number");
    let of_spans = 2 * number(&info["spans"]) - number(&info["open_spans"]);
    assert_eq!(number(&info["records"]), of_spans + 16 + 9 + 4);
    assert!(run_well(&["info", recording()]).contains("beside    16 attributes, 9 instants, 4 values of counters\n"));
}

#[test]
fn counters_are_added_up() {
    let report = run_json(&["counters", recording()]);
    let queue = only(&report["counters"], "queue");
    let part = |row: &Value| ["count", "min", "mean", "max", "last"].map(|key| row[key].clone());
    assert_eq!(part(&queue), [json!(2), json!(7), json!(23.5), json!(40), json!(40)]);
    assert_eq!(
        part(&only(&report["counters"], "load")),
        [json!(2), json!(0.25), json!(0.25), json!(0.25), json!(0.25)]
    );
    let text = run_well(&["counters", recording()]);
    assert_eq!(
        text,
        "counter  count   min  mean   max  last\n\
         load         2  0.25  0.25  0.25  0.25\n\
         queue        2     7  23.5    40    40\n\
         4 values of 2 counters\n"
    );
}

#[test]
fn no_line_is_wider_than_the_terminal() {
    for columns in [60, 80, 120] {
        for command in ["slow", "tree", "open", "tail", "info", "counters"] {
            let output =
                program(&[command, recording()]).env("COLUMNS", columns.to_string()).output().expect("it starts");
            for line in String::from_utf8(output.stdout).expect("UTF-8").lines() {
                assert!(line.chars().count() <= columns, "{command} at {columns}: {line}");
            }
        }
    }
}
