//! The export to Chrome's JSON, parsed again.

mod common;
#[path = "common/detailed.rs"]
mod detailed;

use common::span;
use serde_json::{Value, json};
use spanring::reader::{Damage, Loss, LossCause, NameState, SpanKind, ThreadFacts};
use spanring_cli::export::Exporter;
use spanring_cli::export::chrome::ChromeWriter;
use spanring_cli::export::perfetto::Process;
use spanring_cli::spans::{Ending, Item, MOST_INSTANTS, Span};
use std::path::PathBuf;

/// When the recording began.
const START_NS: u64 = 1_790_000_000_123_456_789;

/// What the timestamps count from.
const BASE_NS: u64 = 1_789_999_999_000_000_000;

/// The trace, and its events but for the names of process and threads.
fn export(items: &[Item<'_>]) -> (Value, Vec<Value>) {
    export_by(|writer| items.iter().for_each(|item| writer.add(item).expect("a vector takes everything")))
}

fn export_by(feed: impl FnOnce(&mut dyn Exporter)) -> (Value, Vec<Value>) {
    let mut bytes = Vec::new();
    let process =
        Process { pid: 42, name: "service".to_owned(), started_unix_ns: START_NS, description: "a test".to_owned() };
    let mut writer = Box::new(ChromeWriter::new(Box::new(&mut bytes), &process).expect("a vector takes everything"));
    feed(&mut *writer);
    writer.finish().expect("a vector takes everything");
    let trace: Value = serde_json::from_slice(&bytes).expect("JSON");
    let events = trace["traceEvents"].as_array().expect("events");
    let events = events.iter().filter(|event| event["ph"] != "M").cloned().collect();
    (trace, events)
}

/// When an event was, by what it says.
fn time(event: &Value) -> u64 {
    BASE_NS + (event["ts"].as_f64().expect("a number") * 1000.0).round() as u64
}

#[test]
fn a_span_is_a_pair_of_events_with_its_own_id() {
    let made = Span { parent: 3, depth: 2, ..span(7, START_NS + 1, START_NS + 1_000_000_002) };
    let (trace, events) = export(&[Item::Span(made)]);
    let [begin, end] = &events[..] else { panic!("{events:?}") };
    assert_eq!((&begin["ph"], &begin["cat"], &begin["name"]), (&"b".into(), &"async".into(), &"a".into()));
    assert_eq!((&begin["id"], &end["id"], &end["ph"]), (&"0x7".into(), &"0x7".into(), &"e".into()));
    assert_eq!((time(begin), time(end)), (START_NS + 1, START_NS + 1_000_000_002));
    assert_eq!(begin["args"]["begin_unix_ns"], (START_NS + 1).to_string());
    assert_eq!((&begin["args"]["parent_id"], &begin["args"]["outcome"]), (&3.into(), &"completed".into()));
    assert_eq!(trace["otherData"]["base_unix_ns"], BASE_NS.to_string());
}

#[test]
fn attributes_are_an_argument_and_integers_that_javascript_rounds_are_text() {
    let (_, events) = export_by(detailed::feed);
    let of = |phase: &str| events.iter().filter(|event| event["ph"] == phase).collect::<Vec<_>>();
    let [begin] = of("b")[..] else { panic!("{events:?}") };
    let expected = json!({
        "truth": true,
        "least": "-9223372036854775808",
        "most": "18446744073709551615",
        "tenth": 0.1,
        "none": "NaN",
        "\"\n\u{1F980}": "a \"text\"\n\u{1F980}",
        "cut": "the beg",
        "thread.id": -5,
    });
    let args = &begin["args"];
    assert_eq!(
        (&args["attributes"], &args["cut_attributes"], &args["lost_attributes"]),
        (&expected, &json!(["cut"]), &json!(1))
    );
    let [inside] = of("n")[..] else { panic!("{events:?}") };
    assert_eq!((&inside["id"], &inside["cat"], time(inside)), (&begin["id"], &begin["cat"], START_NS + 10));
    assert_eq!((&inside["args"]["parent_id"], &inside["args"]["attributes"]), (&json!(7), &json!({ "size": 3 })));
    let [outside] = of("i")[..] else { panic!("{events:?}") };
    assert_eq!((&outside["args"]["instant_id"], &outside["s"]), (&json!(detailed::OUTSIDE), &json!("t")));
    let values: Vec<_> = of("C").into_iter().map(|event| (&event["name"], &event["args"]["value"])).collect();
    let (queue, load) = (json!("queue"), json!("load"));
    let expected =
        [(&queue, &json!(-1)), (&queue, &json!(u64::MAX as f64)), (&load, &json!(0.25)), (&load, &json!("inf"))];
    assert_eq!(values, expected);
}

#[test]
fn instants_beyond_those_that_are_kept_are_counted() {
    let (_, events) = export_by(detailed::feed_crowd);
    assert_eq!((events.len(), &events[0]["args"]["lost_instants"]), (2 + MOST_INSTANTS, &json!(2)));
}

#[test]
fn an_open_span_has_no_end_and_a_scope_its_category() {
    let open = Span { ending: Ending::Open, end_ns: None, end_thread: None, ..span(1, START_NS, 0) };
    let scope = Span { kind: SpanKind::Thread, ..span(2, START_NS, START_NS) };
    let (_, events) = export(&[Item::Span(open), Item::Span(scope)]);
    let phases: Vec<_> = events.iter().map(|event| event["ph"].as_str().expect("text")).collect();
    assert_eq!(phases, ["b", "b", "e"]);
    assert_eq!((&events[0]["args"]["outcome"], &events[1]["cat"]), (&"open".into(), &"thread".into()));
    assert!(events[0]["args"].get("polls").is_none() && events[1]["args"].get("polls").is_none());
}

#[test]
fn names_are_what_they_were() {
    for name in ["\"", "\\", "\n", "\u{1}\u{7f}", "", "\u{1F980}", "</script>", "{\"a\": [1]}"] {
        let (_, events) = export(&[Item::Span(Span { name, ..span(1, START_NS, START_NS + 1) })]);
        assert_eq!(events[0]["name"], name);
    }
}

#[test]
fn what_is_lost_or_damaged_can_be_seen() {
    let worker = ThreadFacts { id: 1, os_id: 77, name: "worker".to_owned() };
    let (after_unix_ns, before_unix_ns) = (Some(START_NS + 5), Some(START_NS + 9));
    let loss = Loss { thread: 1, records: 12, cause: LossCause::Dropped, after_unix_ns, before_unix_ns };
    let damage = Damage { path: PathBuf::from("segment"), offset: 64, bytes: 128, records: 2, what: "wrong checksum" };
    let nameless = Span {
        name: "<name lost>",
        name_state: NameState::Missing,
        begin_lost: true,
        ..span(1, START_NS, START_NS + 2)
    };
    let (trace, events) =
        export(&[Item::Thread(&worker), Item::Loss(loss), Item::Damage(damage), Item::Span(nameless)]);
    assert_eq!((&events[0]["cat"], &events[0]["name"]), (&"loss".into(), &"12 events lost".into()));
    assert_eq!((time(&events[0]), time(&events[1])), (START_NS + 5, START_NS + 9));
    assert_eq!((&events[0]["args"]["thread"], &events[0]["args"]["cause"]), (&"worker".into(), &"dropped".into()));
    assert_eq!((&events[2]["cat"], &events[2]["args"]["offset"]), (&"damage".into(), &64.into()));
    assert_eq!((&events[3]["args"]["name_state"], &events[3]["args"]["begin_lost"]), (&"missing".into(), &true.into()));
    let threads =
        trace["traceEvents"].as_array().expect("events").iter().filter(|event| event["name"] == "thread_name");
    assert_eq!(threads.map(|event| event["args"]["name"].clone()).collect::<Vec<_>>(), ["worker"]);
}

#[test]
fn a_span_from_before_the_recording_says_when_it_was() {
    let (_, events) = export(&[Item::Span(span(1, 1000, 2000))]);
    assert_eq!((&events[0]["ts"], &events[0]["args"]["begin_unix_ns"]), (&0.0.into(), &"1000".into()));
}

#[test]
fn a_trace_without_spans_is_a_trace() {
    let (trace, events) = export(&[]);
    assert!(events.is_empty());
    assert_eq!(trace["traceEvents"][0]["args"]["name"], "service");
}
