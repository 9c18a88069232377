//! Begin and end records become spans, in whatever order they are read.

mod common;

use common::{begin, end, pair};
use proptest::prelude::*;
use spanring::reader::{Location, Loss, LossCause, Outcome, SpanKind, SpanRecord};
use spanring_cli::spans::{Ending, Pairing};

#[test]
fn a_span_on_one_thread_is_whole_at_its_end() {
    let seen = pair(&[begin(7, 1, 100), end(7, 1, 100, 150)]);
    assert_eq!(seen, [(7, Ending::Completed, 100, Some(150), Some(1), Some(1), false)]);
}

#[test]
fn a_span_that_moved_is_whole_whichever_thread_is_read_first() {
    let expected = [(7, Ending::Completed, 100, Some(150), Some(1), Some(2), false)];
    assert_eq!(pair(&[begin(7, 1, 100), end(7, 2, 100, 150)]), expected);
    assert_eq!(pair(&[end(7, 2, 100, 150), begin(7, 1, 100)]), expected);
}

#[test]
fn an_end_without_its_begin_is_a_span_too() {
    let seen = pair(&[end(7, 2, 100, 150), begin(8, 1, 120), end(8, 1, 120, 130)]);
    assert_eq!(
        seen,
        [
            (8, Ending::Completed, 120, Some(130), Some(1), Some(1), false),
            (7, Ending::Completed, 100, Some(150), None, Some(2), true),
        ]
    );
}

#[test]
fn the_end_of_a_scope_without_its_begin_is_known_at_once_to_be_alone() {
    let mut pairing = Pairing::default();
    let end = SpanRecord { kind: SpanKind::Thread, ..end(7, 2, 100, 150) };
    let span = pairing.record(&end).expect("whole");
    assert_eq!((span.begin_lost, span.begin_thread, span.begin_ns), (true, Some(2), 100));
}

#[test]
fn a_begin_without_its_end_is_an_open_span() {
    let seen = pair(&[begin(9, 1, 300), begin(7, 1, 100)]);
    assert_eq!(
        seen,
        [(7, Ending::Open, 100, None, Some(1), None, false), (9, Ending::Open, 300, None, Some(1), None, false)]
    );
}

#[test]
fn a_begin_that_is_there_twice_counts_once() {
    assert_eq!(pair(&[begin(7, 1, 100), begin(7, 1, 100), end(7, 1, 100, 110)]).len(), 1);
    assert_eq!(pair(&[begin(7, 1, 100), begin(7, 1, 100)]).len(), 1);
}

#[test]
fn outcomes_are_kept() {
    for (outcome, ending) in [
        (Outcome::Completed, Ending::Completed),
        (Outcome::Cancelled, Ending::Cancelled),
        (Outcome::Panicked, Ending::Panicked),
    ] {
        let end = SpanRecord { outcome: Some(outcome), ..end(7, 1, 100, 110) };
        assert_eq!(pair(&[begin(7, 1, 100), end])[0].1, ending);
        assert_eq!(pair(&[end, begin(7, 2, 100)])[0].1, ending);
    }
}

#[test]
fn everything_else_comes_from_the_records_in_either_order() {
    let location = Location {
        lod: 3,
        target: "service".to_owned(),
        module_path: "service::db".to_owned(),
        file: "src/db.rs".to_owned(),
        line: 12,
    };
    let common =
        SpanRecord { parent_span_id: 3, depth: 4, name: "query", location: Some(&location), ..begin(7, 1, 100) };
    let end =
        SpanRecord { parent_span_id: 3, depth: 4, name: "query", location: Some(&location), ..end(7, 2, 100, 150) };
    for order in [[&common, &end], [&end, &common]] {
        let mut pairing = Pairing::default();
        assert_eq!(pairing.record(order[0]), None);
        let span = pairing.record(order[1]).expect("whole");
        assert_eq!((span.parent, span.depth, span.name, span.polls), (3, 4, "query", 2));
        assert_eq!(span.place.expect("known").file_line(), "src/db.rs:12");
        assert_eq!(span.duration_ns(), Some(50));
    }
}

#[test]
fn a_clock_that_was_set_back_gives_a_duration_of_zero() {
    let mut pairing = Pairing::default();
    pairing.record(&begin(7, 1, 100));
    assert_eq!(pairing.record(&end(7, 1, 100, 90)).expect("whole").duration_ns(), Some(0));
}

#[test]
fn after_a_loss_an_open_span_may_have_ended() {
    let mut pairing = Pairing::default();
    pairing.record(&begin(1, 1, 100));
    pairing.record(&begin(2, 1, 500));
    let (after_unix_ns, before_unix_ns) = (Some(150), Some(300));
    pairing.loss(&Loss { thread: 2, records: 5, cause: LossCause::Dropped, after_unix_ns, before_unix_ns });
    let mut doubtful = Vec::new();
    pairing.finish(&mut |span| doubtful.push((span.id, span.end_may_be_lost)));
    assert_eq!(doubtful, [(1, true), (2, false)]);
}

#[test]
fn after_damage_every_open_span_may_have_ended() {
    let mut pairing = Pairing::default();
    pairing.record(&begin(1, 1, 100));
    pairing.damage();
    let mut doubtful = Vec::new();
    pairing.finish(&mut |span| doubtful.push((span.id, span.end_may_be_lost)));
    assert_eq!(doubtful, [(1, true)]);
}

#[test]
fn memory_follows_the_spans_in_flight() {
    let mut pairing = Pairing::default();
    for id in 1..=100_000 {
        pairing.record(&begin(id, 1, id));
        if id > 10 {
            pairing.record(&end(id - 10, 2, id - 10, id)).expect("whole");
        }
        assert!(pairing.open() <= 11);
    }
}

proptest! {
    /// Every span comes out exactly once, with the same facts, however two threads' records are interleaved.
    #[test]
    fn pairing_does_not_depend_on_the_order_of_threads(
        spans in prop::collection::vec((0u64..1000, 0u64..100, 0u32..2, 0u32..2, any::<bool>()), 0..40),
        choice in prop::collection::vec(any::<bool>(), 80),
    ) {
        let mut records: Vec<SpanRecord<'_>> = Vec::new();
        for (index, &(begin_ns, length, from, to, open)) in spans.iter().enumerate() {
            let id = index as u64 + 1;
            records.push(begin(id, from, begin_ns));
            if !open {
                records.push(end(id, to, begin_ns, begin_ns + length));
            }
        }
        records.sort_by_key(|record| record.unix_ns);
        let mut in_order = pair(&records);
        let (mut first, mut second): (Vec<_>, Vec<_>) = records.into_iter().partition(|record| record.thread == 0);
        let mut mixed = Vec::new();
        for first_thread in choice {
            let queue = if first_thread { &mut first } else { &mut second };
            if !queue.is_empty() {
                mixed.push(queue.remove(0));
            }
        }
        mixed.append(&mut first);
        mixed.append(&mut second);
        let mut interleaved = pair(&mixed);
        in_order.sort_by_key(|seen| seen.0);
        interleaved.sort_by_key(|seen| seen.0);
        prop_assert_eq!(interleaved, in_order);
    }
}
