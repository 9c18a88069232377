//! Attributes and instants go with their span, in whatever order records are read.

mod common;

use common::{attribute, begin, end, instant};
use proptest::prelude::*;
use spanring::reader::{AttributeRecord, CounterRecord, InstantRecord, NameState, SpanKind, SpanRecord, Value};
use spanring_cli::spans::{Attribute, DetailTotals, LONGEST_TEXT, MOST_ATTRIBUTES, MOST_INSTANTS, Pairing, Span};

/// Any record.
#[derive(Clone, Debug)]
enum Record {
    Span(SpanRecord<'static>),
    Attribute(AttributeRecord<'static>),
    Instant(InstantRecord<'static>),
}

/// Keys with their values as text.
type Pairs = Vec<(String, String)>;
/// A span by its details: its id, its attributes, and of each instant when it was and its attributes.
type Told = (u64, Pairs, Vec<(u64, Pairs)>);
/// What comes out: spans in the order of their ids, the times of instants without one, and the totals.
type Seen = (Vec<Told>, Vec<u64>, DetailTotals);

fn told(span: &Span<'_>) -> Told {
    let pair = |attribute: &Attribute| (attribute.key.to_string(), attribute.value().to_string());
    let instants = span.instants().iter();
    let instants = instants.map(|instant| (instant.unix_ns, instant.attributes.iter().map(pair).collect())).collect();
    (span.id, span.attributes().map(pair).collect(), instants)
}

/// What comes out of these records.
fn read(mut pairing: Pairing, records: &[Record]) -> Seen {
    let (mut spans, mut strays) = (Vec::new(), Vec::new());
    for record in records {
        match record {
            Record::Span(record) => spans.extend(pairing.record(record).map(|span| told(&span))),
            Record::Attribute(record) => pairing.attribute(record),
            Record::Instant(record) => pairing.instant(record),
        }
        while let Some(span) = pairing.overdue() {
            spans.push(told(&span));
        }
        while let Some(instant) = pairing.stray() {
            strays.push(instant.unix_ns);
        }
    }
    pairing.close();
    while let Some(span) = pairing.overdue() {
        spans.push(told(&span));
    }
    while let Some(instant) = pairing.stray() {
        strays.push(instant.unix_ns);
    }
    let totals = pairing.totals();
    pairing.finish(&mut |span| spans.push(told(&span)));
    spans.sort();
    (spans, strays, totals)
}

fn pairs(pairs: &[(&str, &str)]) -> Pairs {
    pairs.iter().map(|&(key, value)| (key.to_owned(), value.to_owned())).collect()
}

#[test]
fn a_later_value_of_a_key_takes_the_place_of_an_earlier_one_whichever_is_read_first() {
    let given = SpanRecord { attributes: 2, ..begin(7, 1, 100) };
    let all = [
        Record::Attribute(attribute(7, 1, 100, "batch", Value::U64(1))),
        Record::Attribute(attribute(7, 1, 110, "queue", Value::Text("fast", NameState::Whole))),
        Record::Attribute(attribute(7, 2, 130, "batch", Value::I64(-2))),
        Record::Attribute(attribute(7, 3, 120, "batch", Value::Bool(true))),
    ];
    let expected = vec![(7, pairs(&[("batch", "-2"), ("queue", "fast")]), Vec::new())];
    for order in [[0, 1, 2, 3], [3, 2, 1, 0], [2, 0, 3, 1]] {
        let mut records = vec![Record::Span(given)];
        records.extend(order.map(|index: usize| all[index].clone()));
        records.push(Record::Span(end(7, 1, 100, 150)));
        let (spans, _, totals) = read(Pairing::default(), &records);
        assert_eq!(spans, expected, "{order:?}");
        assert_eq!(totals, DetailTotals { attributes: 4, ..DetailTotals::default() });
    }
}

#[test]
fn a_span_waits_for_attributes_of_another_thread_and_not_for_ever() {
    const SLOTS: u64 = 8;
    let early = [Record::Attribute(attribute(99, 9, 1, "known", Value::Bool(true)))];
    let span = [Record::Span(begin(7, 1, 100)), Record::Span(end(7, 1, 100, 150))];
    let late = Record::Attribute(attribute(7, 2, 120, "key", Value::U64(5)));
    let others = |records: u64| (0..records / 2).flat_map(|id| [begin(1000 + id, 1, id), end(1000 + id, 1, id, id)]);
    for (between, is_late) in [(2 * SLOTS - 2, false), (2 * SLOTS + 2, true)] {
        let mut records = [&early[..], &span].concat();
        records.extend(others(between).map(Record::Span));
        records.push(late.clone());
        let (spans, _, totals) = read(Pairing::of_rings(SLOTS), &records);
        let expected = if is_late { Vec::new() } else { pairs(&[("key", "5")]) };
        assert_eq!(spans[0], (7, expected, Vec::new()), "{between} records between");
        // That of span 99, of which nothing else is there, is late in any case.
        assert_eq!(totals.late_attributes, 1 + u64::from(is_late));
    }
}

#[test]
fn a_recording_without_any_is_not_held_up_for_long() {
    let mut pairing = Pairing::of_rings(1 << 20);
    pairing.thread();
    let mut last = 0;
    for id in 1..=20_000 {
        pairing.record(&begin(id, 1, id));
        let span = pairing.record(&end(id, 1, id, id));
        last = span.map_or(last, |span| span.id);
        while let Some(span) = pairing.overdue() {
            last = last.max(span.id);
        }
    }
    assert_eq!((last, pairing.remembered()), (20_000, 0));
}

#[test]
fn memory_follows_the_patience_where_spans_are_held() {
    const SLOTS: u64 = 8;
    let mut pairing = Pairing::of_rings(SLOTS);
    let (mut spans, mut most) = (0, 0);
    for id in 1..=1000 {
        pairing.record(&begin(id, 1, id));
        pairing.attribute(&attribute(id, 1, id, "key", Value::U64(id)));
        assert_eq!(pairing.record(&end(id, 1, id, id)), None);
        while let Some(span) = pairing.overdue() {
            assert_eq!(told(&span), (span.id, pairs(&[("key", &span.id.to_string())]), Vec::new()));
            spans += 1;
        }
        most = most.max(pairing.remembered());
    }
    assert_eq!((spans, most), (994, 6));
}

#[test]
fn an_instant_is_in_its_span_with_attributes_of_its_own() {
    let records = [
        Record::Span(begin(7, 1, 100)),
        Record::Instant(instant(8, 7, 1, 120, 2)),
        Record::Attribute(attribute(8, 1, 120, "key", Value::F64(0.5))),
        Record::Attribute(attribute(8, 1, 121, "other", Value::Bool(false))),
        Record::Attribute(attribute(7, 1, 125, "key", Value::U64(1))),
        Record::Instant(instant(9, 7, 2, 110, 0)),
        Record::Span(end(7, 1, 100, 150)),
    ];
    let instants = vec![(110, Vec::new()), (120, pairs(&[("key", "0.5"), ("other", "false")]))];
    let (spans, strays, totals) = read(Pairing::default(), &records);
    assert_eq!(spans, [(7, pairs(&[("key", "1")]), instants)]);
    assert_eq!((strays.len(), totals.attributes, totals.instants), (0, 3, 2));
}

#[test]
fn an_instant_in_no_span_is_handed_out_by_itself_and_so_is_one_whose_span_is_gone() {
    let records = [
        Record::Instant(instant(8, 0, 1, 120, 1)),
        Record::Attribute(attribute(8, 1, 120, "key", Value::U64(1))),
        Record::Instant(instant(9, 77, 1, 110, 0)),
    ];
    let (spans, strays, totals) = read(Pairing::default(), &records);
    assert_eq!((spans, strays), (Vec::new(), vec![120, 110]));
    assert_eq!((totals.instants, totals.late_instants, totals.late_attributes), (2, 1, 0));
}

#[test]
fn an_instant_in_scopes_alone_is_in_the_innermost_of_them() {
    let scope = |id, depth, record: SpanRecord<'static>| {
        Record::Span(SpanRecord { kind: SpanKind::Thread, depth, span_id: id, ..record })
    };
    let within = |id, scopes, unix_ns| Record::Instant(InstantRecord { scopes, ..instant(id, 0, 1, unix_ns, 0) });
    let records = [
        scope(1, 0, begin(1, 1, 100)),
        within(11, 1, 105),
        scope(2, 1, begin(2, 1, 110)),
        within(12, 2, 115),
        scope(2, 1, end(2, 1, 110, 120)),
        within(13, 1, 125),
        scope(1, 0, end(1, 1, 100, 130)),
        scope(3, 0, begin(3, 1, 200)),
        within(14, 1, 205),
    ];
    let (spans, strays, totals) = read(Pairing::default(), &records);
    let at = |times: &[u64]| times.iter().map(|&time| (time, Vec::new())).collect::<Vec<_>>();
    assert_eq!(
        spans,
        [(1, Vec::new(), at(&[105, 125])), (2, Vec::new(), at(&[115])), (3, Vec::new(), at(&[205]))],
        "the last of them is open"
    );
    assert_eq!((strays.len(), totals.instants), (0, 4));
}

#[test]
fn what_is_too_much_for_a_span_is_counted() {
    const KEYS: [&str; 3] = ["a", "b", "c"];
    let mut pairing = Pairing::default();
    pairing.record(&begin(7, 1, 100));
    for time in 0..MOST_ATTRIBUTES - KEYS.len() {
        let lost = attribute(7, 1, 100 + time as u64, "<name lost>", Value::Bool(true));
        pairing.attribute(&AttributeRecord { key_index: None, ..lost });
    }
    KEYS.iter().for_each(|key| pairing.attribute(&attribute(7, 1, 500, key, Value::U64(1))));
    pairing.attribute(&attribute(7, 1, 501, "one too many", Value::U64(1)));
    pairing.attribute(&attribute(7, 1, 502, "a", Value::U64(2)));
    (0..=MOST_INSTANTS as u64).for_each(|time| pairing.instant(&instant(1000 + time, 7, 1, 600 + time, 0)));
    let totals = pairing.totals();
    assert_eq!((totals.dropped_attributes, totals.dropped_instants), (1, 1));
    pairing.finish(&mut |span| {
        let details = span.details.expect("there are some");
        assert_eq!((details.attributes.len(), details.attributes.dropped), (MOST_ATTRIBUTES, 1));
        assert_eq!(details.attributes.get("a"), Some(Value::U64(2)), "a key that is there may change");
        assert_eq!((details.instants.len(), details.dropped_instants), (MOST_INSTANTS, 1));
        assert!(details.is_partial());
        let json = serde_json::to_value(details).expect("keys are text");
        assert_eq!(
            json["attributes"].as_object().map(serde_json::Map::len),
            Some(MOST_ATTRIBUTES),
            "each key is there"
        );
        assert_eq!(json["attributes"]["<name lost> 2"], true);
    });
}

#[test]
fn attributes_that_a_begin_speaks_of_and_that_are_gone_are_counted() {
    let mut pairing = Pairing::default();
    pairing.record(&SpanRecord { attributes: 3, ..begin(7, 1, 100) });
    pairing.attribute(&attribute(7, 1, 100, "batch", Value::U64(1)));
    pairing.record(&SpanRecord { attributes: 2, ..begin(8, 1, 200) });
    let mut lost = Vec::new();
    pairing.finish(&mut |span| lost.push((span.id, span.details.expect("there are some").attributes.lost)));
    assert_eq!(lost, [(7, 2), (8, 2)]);
}

#[test]
fn what_is_recorded_of_a_span_later_makes_up_for_none_that_is_gone() {
    let given = attribute(7, 1, 100, "batch", Value::U64(1));
    let later = [110, 120].map(|time| attribute(7, 1, time, "progress", Value::U64(time)));
    let others = [attribute(7, 2, 130, "batch", Value::U64(2)), attribute(7, 2, 140, "done", Value::Bool(true))];
    for (read, lost) in [(vec![given], 1), (vec![], 2), (vec![given, attribute(7, 1, 100, "queue", Value::I64(0))], 0)]
    {
        let mut pairing = Pairing::default();
        pairing.record(&SpanRecord { attributes: 2, ..begin(7, 1, 100) });
        read.iter().chain(&later).chain(&others).for_each(|record| pairing.attribute(record));
        pairing.finish(&mut |span| assert_eq!(span.details.expect("there are some").attributes.lost, lost));
    }
}

#[test]
fn no_text_is_longer_than_a_name_can_be() {
    let long: &'static str = "é".repeat(LONGEST_TEXT).leak();
    let mut pairing = Pairing::default();
    pairing.record(&begin(7, 1, 100));
    pairing.attribute(&attribute(7, 1, 100, long, Value::Text(long, NameState::Whole)));
    pairing.instant(&InstantRecord { name: long, ..instant(8, 7, 1, 100, 0) });
    let value = Value::Text(long, NameState::Whole);
    let counter =
        CounterRecord { thread: 1, record_number: 0, unix_ns: 1, span_id: 0, name: long, name_index: None, value };
    assert!(pairing.counter(&counter).name.len() <= LONGEST_TEXT);
    pairing.finish(&mut |span| {
        let attribute = span.attributes().next().expect("one");
        assert!(attribute.key.len() <= LONGEST_TEXT);
        assert!(matches!(attribute.value(), Value::Text(text, NameState::Cut) if text.len() <= LONGEST_TEXT));
        let instant = &span.instants()[0];
        assert!(instant.name.len() <= LONGEST_TEXT && instant.name_state == NameState::Cut);
    });
}

#[test]
fn attributes_are_written_as_what_they_are() {
    let mut pairing = Pairing::default();
    pairing.record(&begin(7, 1, 100));
    let values = [
        ("truth", Value::Bool(true)),
        ("least", Value::I64(i64::MIN)),
        ("most", Value::U64(u64::MAX)),
        ("half", Value::F64(0.5)),
        ("whole", Value::F64(2.0)),
        ("endless", Value::F64(f64::INFINITY)),
        ("te\"xt", Value::Text("é\n", NameState::Whole)),
        ("later", Value::Unknown(9, 1)),
    ];
    for ((key, value), time) in values.into_iter().zip(100..) {
        pairing.attribute(&attribute(7, 1, time, key, value));
    }
    let mut json = String::new();
    pairing.finish(&mut |span| {
        json = serde_json::to_string(&span.details.expect("some").attributes).expect("written");
    });
    assert_eq!(
        json,
        r#"{"truth":true,"least":-9223372036854775808,"most":18446744073709551615,"half":0.5,"whole":2.0,"endless":"inf","te\"xt":"é\n","later":"<a value of type 9>"}"#
    );
}

proptest! {
    /// Every span has the same details, however the records of three threads are interleaved.
    #[test]
    fn details_do_not_depend_on_the_order_of_threads(
        spans in prop::collection::vec((0u64..1000, 0u32..3, 0u32..3, any::<bool>()), 1..12),
        details in prop::collection::vec(
            (any::<prop::sample::Index>(), 0u32..3, 0u64..1000, 0usize..4, any::<bool>()), 0..60
        ),
        choice in prop::collection::vec(0usize..3, 200),
    ) {
        const KEYS: [&str; 4] = ["a", "b", "c", "d"];
        let mut threads: [Vec<(u64, Vec<Record>)>; 3] = Default::default();
        for (index, &(begin_ns, from, to, open)) in spans.iter().enumerate() {
            let id = index as u64 + 1;
            threads[from as usize].push((begin_ns, vec![Record::Span(begin(id, from, begin_ns))]));
            if !open {
                threads[to as usize].push((2000, vec![Record::Span(end(id, to, begin_ns, 2000))]));
            }
        }
        for (index, &(of, thread, unix_ns, key, is_instant)) in details.iter().enumerate() {
            let (of, id) = (of.index(spans.len()) as u64 + 1, 1000 + index as u64);
            // No two at the same time, so that it is clear which is the latest.
            let unix_ns = (1000 + unix_ns) * 100 + index as u64;
            let value = Value::U64(index as u64);
            let records = if is_instant {
                vec![
                    Record::Instant(instant(id, of, thread, unix_ns, 1)),
                    Record::Attribute(attribute(id, thread, unix_ns, KEYS[key], value)),
                ]
            } else {
                vec![Record::Attribute(attribute(of, thread, unix_ns, KEYS[key], value))]
            };
            threads[thread as usize].push((id, records));
        }
        for thread in &mut threads {
            thread.sort_by_key(|(time, _)| *time);
        }
        let mut in_order: Vec<_> = threads.iter().flatten().cloned().collect();
        in_order.sort_by_key(|(time, _)| *time);
        let in_order: Vec<Record> = in_order.into_iter().flat_map(|(_, records)| records).collect();
        let mut queues =
            threads.map(|thread| thread.into_iter().flat_map(|(_, records)| records).rev().collect::<Vec<_>>());
        let mut mixed: Vec<Record> = choice.iter().filter_map(|&thread| queues[thread].pop()).collect();
        mixed.extend(queues.into_iter().flat_map(|queue| queue.into_iter().rev()));
        // One that cannot be placed makes known from the start that there are some.
        let known = Record::Attribute(attribute(5000, 9, 1, "known", Value::Bool(true)));
        let records = |records: &[Record]| [std::slice::from_ref(&known), records].concat();
        let expected = read(Pairing::default(), &records(&in_order));
        prop_assert_eq!(expected.2.late_attributes, 1);
        prop_assert_eq!(read(Pairing::default(), &records(&mixed)), expected.clone());
        prop_assert_eq!(read(Pairing::of_rings(1 << 20), &mixed).0, expected.0);
    }
}
