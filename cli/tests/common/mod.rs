//! Hand-made records and spans.
// Each test uses a part of it.
#![allow(dead_code)]

use spanring::reader::{
    AttributeRecord, InstantRecord, NameState, Outcome, Phase, PollRecord, SpanKind, SpanRecord, ThreadFacts, Value,
};
use spanring_cli::places::Place;
use spanring_cli::spans::{Ending, Pairing, Span};

/// A begin record of an async span named `a` without parent.
pub fn begin(span_id: u64, thread: u32, unix_ns: u64) -> SpanRecord<'static> {
    SpanRecord {
        phase: Phase::Begin,
        kind: SpanKind::Async,
        thread,
        record_number: 0,
        unix_ns,
        begin_unix_ns: None,
        created_unix_ns: None,
        span_id,
        parent_span_id: 0,
        depth: 0,
        outcome: None,
        polls: 0,
        attributes: 0,
        name: "a",
        name_state: NameState::Whole,
        name_index: None,
        location: None,
        location_index: None,
        carried: false,
    }
}

/// The end record of the same span, completed after two polls.
pub fn end(span_id: u64, thread: u32, begin_unix_ns: u64, unix_ns: u64) -> SpanRecord<'static> {
    SpanRecord {
        phase: Phase::End,
        begin_unix_ns: Some(begin_unix_ns),
        outcome: Some(Outcome::Completed),
        polls: 2,
        ..begin(span_id, thread, unix_ns)
    }
}

/// A poll of the same span, of this number.
pub fn poll(span_id: u64, thread: u32, number: u32, begin_unix_ns: u64, unix_ns: u64) -> PollRecord {
    PollRecord { thread, record_number: 0, span_id, begin_unix_ns, unix_ns, number }
}

/// An attribute of a span or an instant, recorded at that time.
pub fn attribute<'a>(id: u64, thread: u32, unix_ns: u64, key: &'a str, value: Value<'a>) -> AttributeRecord<'a> {
    let key_index = Some(key.bytes().map(u32::from).sum());
    AttributeRecord { thread, record_number: 0, unix_ns, span_id: id, key, key_index, value, carried: false }
}

/// An instant named `i` in a span, that has so many attributes.
pub fn instant(id: u64, span: u64, thread: u32, unix_ns: u64, attributes: u32) -> InstantRecord<'static> {
    InstantRecord {
        thread,
        record_number: 0,
        unix_ns,
        id,
        parent_span_id: span,
        scopes: 0,
        attributes,
        name: "i",
        name_state: NameState::Whole,
        name_index: None,
        location: None,
        location_index: None,
    }
}

/// A span as [`Pairing`] would make it, completed, named `a`, on thread 1.
pub fn span(id: u64, begin_ns: u64, end_ns: u64) -> Span<'static> {
    Span {
        id,
        parent: 0,
        depth: 0,
        kind: SpanKind::Async,
        name: "a",
        name_index: None,
        name_state: NameState::Whole,
        place: None,
        ending: Ending::Completed,
        created_ns: None,
        begin_ns,
        end_ns: Some(end_ns),
        begin_thread: Some(1),
        end_thread: Some(1),
        polls: 1,
        busy_ns: None,
        busy_partial: false,
        begin_lost: false,
        end_may_be_lost: false,
        details: None,
    }
}

/// A time of which a floating-point number would lose the last digits.
pub const UNIX_NS: u64 = 1_790_000_000_123_456_789;

/// A span that has something of everything: 8, in 3, from [`UNIX_NS`], on threads 1 and 2.
pub fn full_span(place: &Place) -> Span<'_> {
    Span {
        parent: 3,
        depth: 4,
        name: "que\"ry\n\u{1f980}",
        name_state: NameState::Cut,
        place: Some(place),
        ending: Ending::Panicked,
        created_ns: Some(UNIX_NS - 7),
        end_thread: Some(2),
        polls: 9,
        busy_ns: Some(400),
        begin_lost: true,
        ..span(8, UNIX_NS, UNIX_NS + 501)
    }
}

/// Two threads, of which the second has no name.
pub fn threads() -> [ThreadFacts; 2] {
    [(1, "worker a"), (2, "")].map(|(id, name)| ThreadFacts { id, os_id: 50, name: name.to_owned() })
}

/// What a span is, without borrowing: id, ending, begin, end, threads of both, and whether the begin was lost.
pub type Seen = (u64, Ending, u64, Option<u64>, Option<u32>, Option<u32>, bool);

/// The spans of these records, as they come out.
pub fn pair(records: &[SpanRecord<'_>]) -> Vec<Seen> {
    let mut pairing = Pairing::default();
    let mut seen = Vec::new();
    for record in records {
        seen.extend(pairing.record(record).map(|span| seen_of(&span)));
    }
    pairing.finish(&mut |span| seen.push(seen_of(&span)));
    seen
}

fn seen_of(span: &Span<'_>) -> Seen {
    (span.id, span.ending, span.begin_ns, span.end_ns, span.begin_thread, span.end_thread, span.begin_lost)
}
