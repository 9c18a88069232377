//! A span with attributes of every type and an instant in it, an instant and counters in none: to be exported.

use crate::common::{UNIX_NS, attribute, begin, end, instant};
use spanring::reader::{CounterRecord, NameState, SpanRecord, Value};
use spanring_cli::export::Exporter;
use spanring_cli::spans::{Item, MOST_INSTANTS, Pairing};

/// The span.
pub const SPAN: u64 = 7;
/// The instant in it, and the one in none.
pub const INSIDE: u64 = 8;
pub const OUTSIDE: u64 = 9;

/// Hands all of it to an exporter.
pub fn feed(exporter: &mut dyn Exporter) {
    let mut add = |item: Item<'_>| exporter.add(&item).expect("memory takes everything");
    let mut pairing = Pairing::default();
    let span = SpanRecord { attributes: 9, ..begin(SPAN, 1, UNIX_NS) };
    assert!(pairing.record(&span).is_none());
    let values = [
        ("truth", Value::Bool(true)),
        ("least", Value::I64(i64::MIN)),
        ("most", Value::U64(u64::MAX)),
        ("tenth", Value::F64(0.1)),
        ("none", Value::F64(f64::NAN)),
        ("\"\n\u{1F980}", Value::Text("a \"text\"\n\u{1F980}", NameState::Whole)),
        ("cut", Value::Text("the beg", NameState::Cut)),
        ("thread.id", Value::I64(-5)),
    ];
    for (key, value) in values {
        pairing.attribute(&attribute(SPAN, 1, UNIX_NS, key, value));
    }
    pairing.instant(&instant(INSIDE, SPAN, 1, UNIX_NS + 10, 1));
    pairing.attribute(&attribute(INSIDE, 1, UNIX_NS + 10, "size", Value::U64(3)));
    pairing.instant(&instant(OUTSIDE, 0, 1, UNIX_NS + 20, 0));
    for (name, value) in [
        ("queue", Value::I64(-1)),
        ("queue", Value::U64(u64::MAX)),
        ("load", Value::F64(0.25)),
        ("load", Value::F64(f64::INFINITY)),
        ("load", Value::Unknown(77, 1)),
    ] {
        let counter = CounterRecord {
            thread: 1,
            record_number: 0,
            unix_ns: UNIX_NS + 30,
            span_id: 0,
            name,
            name_index: None,
            value,
        };
        add(Item::Counter(pairing.counter(&counter)));
    }
    assert!(pairing.record(&end(SPAN, 1, UNIX_NS, UNIX_NS + 40)).is_none());
    pairing.close();
    while let Some(instant) = pairing.stray() {
        add(Item::Instant(instant));
    }
    add(Item::Details(pairing.totals()));
    while let Some(span) = pairing.overdue() {
        add(Item::Span(span));
    }
    pairing.finish(&mut |span| add(Item::Span(span)));
}

/// Hands a span to an exporter in which two instants more happened than are kept.
pub fn feed_crowd(exporter: &mut dyn Exporter) {
    let mut pairing = Pairing::default();
    pairing.record(&begin(SPAN, 1, UNIX_NS));
    for number in 0..MOST_INSTANTS as u64 + 2 {
        pairing.instant(&instant(100 + number, SPAN, 1, UNIX_NS + 1 + number, 0));
    }
    pairing.record(&end(SPAN, 1, UNIX_NS, UNIX_NS + 1000));
    pairing.finish(&mut |span| exporter.add(&Item::Span(span)).expect("memory takes everything"));
}
