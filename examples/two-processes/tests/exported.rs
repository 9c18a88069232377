//! Both recordings, exported to OpenTelemetry's format, are one trace for each order.

mod common;

use common::{ITEMS, ORDERS, run};
use serde_json::Value;
use spanring::reader::{Recording, sessions};
use spanring_cli::export::{self, Format, Options, Output};
use spanring_cli::progress::Silent;
use std::collections::{BTreeMap, BTreeSet};
use std::path::Path;

/// The spans in a file of OTLP's JSON lines, but for what it tells of the recording itself.
fn exported(directory: &Path) -> Vec<Value> {
    let recording = Recording::open(sessions(directory).unwrap().pop().unwrap()).unwrap();
    let mut text = Vec::new();
    let output = Output::Stream(Box::new(&mut text));
    export::run(&recording, Format::Otlp, &Options::default(), output, &mut Silent).unwrap();
    let mut spans = Vec::new();
    for line in text.split(|byte| *byte == b'\n').filter(|line| !line.is_empty()) {
        let request: Value = serde_json::from_slice(line).unwrap();
        for resource in request["resourceSpans"].as_array().into_iter().flatten() {
            for scope in resource["scopeSpans"].as_array().unwrap() {
                if scope["scope"]["name"] == "spanring" {
                    spans.extend(scope["spans"].as_array().unwrap().iter().cloned());
                }
            }
        }
    }
    spans
}

#[test]
fn an_order_is_one_trace_through_both_processes() {
    let place = tempfile::tempdir().unwrap();
    let recordings = run(place.path());
    let (shop, warehouse) = (exported(&recordings.shop), exported(&recordings.warehouse));
    assert_eq!((shop.len(), warehouse.len()), (ORDERS * (1 + ITEMS), ORDERS * ITEMS * 3));

    let all: Vec<&Value> = shop.iter().chain(&warehouse).collect();
    let by_id: BTreeMap<(&str, &str), &Value> =
        all.iter().map(|span| ((text(span, "traceId"), text(span, "spanId")), *span)).collect();
    assert_eq!(by_id.len(), all.len(), "ids are unique within their trace");

    // From every span the way leads up to an order, in its own trace.
    let mut paths: BTreeMap<&str, BTreeMap<String, usize>> = BTreeMap::new();
    for span in all {
        let trace = text(span, "traceId");
        let above = std::iter::successors(Some(span), |span| match text(span, "parentSpanId") {
            "" => None,
            parent => Some(by_id[&(trace, parent)]),
        });
        let mut path: Vec<&str> = above.map(|span| text(span, "name")).collect();
        path.reverse();
        *paths.entry(trace).or_default().entry(path.join(" > ")).or_default() += 1;
    }
    assert_eq!(paths.len(), ORDERS);
    let served = "order > GET /stock > GET /stock/{item}";
    let expected = [
        ("order".to_owned(), 1),
        ("order > GET /stock".to_owned(), ITEMS),
        (served.to_owned(), ITEMS),
        (format!("{served} > count"), ITEMS),
        (format!("{served} > count > walk to the shelf"), ITEMS),
    ];
    for paths in paths.into_values() {
        assert_eq!(paths, BTreeMap::from(expected.clone()));
    }

    // Those of another process's span, and no others, say that they are.
    const IS_REMOTE: u64 = 0x200;
    let remote = |span: &&Value| span["flags"].as_u64().unwrap_or(0) & IS_REMOTE != 0;
    let names: BTreeSet<&str> = warehouse.iter().filter(remote).map(|span| text(span, "name")).collect();
    assert_eq!(names, BTreeSet::from(["GET /stock/{item}"]));
    assert_eq!((shop.iter().filter(remote).count(), warehouse.iter().filter(remote).count()), (0, ORDERS * ITEMS));
}

fn text<'s>(span: &'s Value, key: &str) -> &'s str {
    span[key].as_str().unwrap_or_default()
}
