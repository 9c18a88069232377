//! What the two recordings say is enough to put the spans of the server below those of the client.

mod common;

use common::{ITEMS, ORDERS, run};
use spanring::reader::{Event, Recording, WriterState, sessions};
use spanring::trace_context::{HERE_KEY, PARENT_KEY, TraceParent};
use spanring_cli::spans::{self, Ending, Item};
use std::collections::{BTreeMap, BTreeSet};
use std::path::Path;

/// A span, and what it says of itself.
struct Seen {
    name: String,
    parent: u64,
    attributes: BTreeMap<String, String>,
}

/// All spans of a recording.
fn read(directory: &Path, writer: WriterState) -> BTreeMap<u64, Seen> {
    let recording = Recording::open(sessions(directory).unwrap().pop().unwrap()).unwrap();
    assert_eq!(recording.writer(), writer);
    let mut seen = BTreeMap::new();
    let summary = spans::read(&recording, &mut |item: Item<'_>| {
        if let Item::Span(span) = item {
            assert_eq!(span.ending, Ending::Completed, "{}", span.name);
            let (name, parent, attributes) = (span.name.to_owned(), span.parent, BTreeMap::new());
            seen.insert(span.id, Seen { name, parent, attributes });
        }
    });
    assert_eq!(summary.unwrap().lost, 0);
    recording
        .read(&mut |event: Event<'_>| {
            if let Event::Attribute(it) = event {
                let span: &mut Seen = seen.get_mut(&it.span_id).unwrap();
                span.attributes.insert(it.key.to_owned(), it.value.to_string());
            }
        })
        .unwrap();
    seen
}

/// The ids of all spans in traces, as other processes know them, and which spans these are.
fn known_elsewhere(spans: &BTreeMap<u64, Seen>) -> BTreeMap<(u128, u64), u64> {
    let part = |id: u64| {
        let mut above = std::iter::successors(Some(id), |id| Some(spans[id].parent).filter(|parent| *parent != 0));
        above.find_map(|id| {
            let here: TraceParent = spans[&id].attributes.get(HERE_KEY)?.parse().unwrap();
            Some((here.trace_id, here.span_id ^ id))
        })
    };
    spans.keys().filter_map(|&id| part(id).map(|(trace, mask)| ((trace, id ^ mask), id))).collect()
}

#[test]
fn each_request_that_was_served_is_below_the_one_that_was_sent() {
    let place = tempfile::tempdir().unwrap();
    let recordings = run(place.path());
    let shop = read(&recordings.shop, WriterState::Stopped);
    let warehouse = read(&recordings.warehouse, WriterState::Died);
    assert_eq!((shop.len(), warehouse.len()), (ORDERS * (1 + ITEMS), ORDERS * ITEMS * 3));

    let (sent, served) = (known_elsewhere(&shop), known_elsewhere(&warehouse));
    // Every span is in a trace, and no two have the same id in it.
    assert_eq!((sent.len(), served.len()), (shop.len(), warehouse.len()));
    assert!(sent.keys().all(|known| !served.contains_key(known)));
    let traces: BTreeSet<u128> = sent.keys().chain(served.keys()).map(|(trace, _)| *trace).collect();
    assert_eq!(traces.len(), ORDERS);

    let mut children = BTreeMap::new();
    for span in warehouse.values().filter(|span| span.name == "GET /stock/{item}") {
        let parent: TraceParent = span.attributes[PARENT_KEY].parse().unwrap();
        let here: TraceParent = span.attributes[HERE_KEY].parse().unwrap();
        assert_eq!(here.trace_id, parent.trace_id);
        let asked = sent[&(parent.trace_id, parent.span_id)];
        let order = &shop[&shop[&asked].parent];
        assert_eq!((shop[&asked].name.as_str(), order.name.as_str()), ("GET /stock", "order"));
        assert_eq!(order.attributes[HERE_KEY].parse::<TraceParent>().unwrap().trace_id, parent.trace_id);
        assert_eq!(children.insert(asked, ()), None, "one answer for each question");
    }
    assert_eq!(children.len(), ORDERS * ITEMS);
    // What came was the right item.
    for span in warehouse.values().filter(|span| span.name == "count") {
        let parent: TraceParent = warehouse[&span.parent].attributes[PARENT_KEY].parse().unwrap();
        let asked = sent[&(parent.trace_id, parent.span_id)];
        assert_eq!(span.attributes["item"], shop[&asked].attributes["item"]);
    }
}
