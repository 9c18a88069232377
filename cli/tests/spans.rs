//! Begin and end records become spans, in whatever order they are read.

mod common;

use common::{begin, end, pair, poll};
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
        (Outcome::Failed, Ending::Failed),
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
        assert!(pairing.remembered() <= 11);
    }
}

#[test]
fn what_was_measured_is_told_whichever_thread_is_read_first() {
    let begin = SpanRecord { created_unix_ns: Some(90), ..begin(7, 1, 100) };
    let end = end(7, 2, 100, 200);
    let polls = [poll(7, 1, 1, 100, 110), poll(7, 2, 2, 180, 200)];
    let measured = |pairing: &mut Pairing, record: usize| {
        let span = match record {
            0 => pairing.record(&begin),
            1 => pairing.record(&end),
            poll => pairing.poll(&polls[poll - 2]),
        };
        span.map(|span| {
            (span.wait_ns(), span.busy_ns, span.idle_ns(), span.polls, span.busy_partial, span.begin_thread)
        })
    };
    for order in [[0, 2, 3, 1], [0, 2, 1, 3], [3, 1, 0, 2], [2, 3, 1, 0], [3, 0, 1, 2], [2, 0, 3, 1]] {
        let mut pairing = Pairing::default();
        for record in &order[..3] {
            assert_eq!(measured(&mut pairing, *record), None, "{order:?}");
        }
        assert_eq!(
            measured(&mut pairing, order[3]),
            Some((Some(10), Some(30), Some(70), 2, false, Some(1))),
            "{order:?}"
        );
        assert_eq!(pairing.remembered(), 0);
    }
}

#[test]
fn a_span_with_a_poll_missing_is_marked_and_has_no_busy_time() {
    let mut pairing = Pairing::default();
    pairing.record(&begin(7, 1, 100));
    assert_eq!(pairing.poll(&poll(7, 1, 2, 180, 200)), None);
    assert_eq!(pairing.record(&end(7, 1, 100, 200)), None);
    let mut spans = Vec::new();
    pairing.finish(&mut |span| spans.push((span.ending, span.busy_ns, span.idle_ns(), span.busy_partial)));
    assert_eq!(spans, [(Ending::Completed, None, None, true)]);
}

#[test]
fn an_open_span_is_as_busy_as_its_polls_so_far() {
    let mut pairing = Pairing::default();
    pairing.record(&begin(7, 1, 100));
    pairing.poll(&poll(7, 1, 1, 100, 110));
    pairing.poll(&poll(7, 2, 2, 150, 170));
    let mut spans = Vec::new();
    pairing.finish(&mut |span| spans.push((span.ending, span.busy_ns, span.busy_partial)));
    assert_eq!(spans, [(Ending::Open, Some(30), false)]);
}

#[test]
fn nobody_waits_for_longer_than_what_is_missing_can_take() {
    const SLOTS: u64 = 8;
    let mut pairing = Pairing::of_rings(SLOTS);
    [(); 2].iter().for_each(|()| pairing.thread());
    let mut given_up = Vec::new();
    let mut most = 0;
    for id in 1..=1000 {
        // The begins are lost.
        assert_eq!(pairing.record(&end(id, 1, id, id + 5)), None);
        while let Some(span) = pairing.overdue() {
            given_up.push((span.id, span.begin_lost, span.begin_thread, span.duration_ns()));
        }
        most = most.max(pairing.remembered());
    }
    assert_eq!(given_up, (1..=1000 - 4 * SLOTS - 1).map(|id| (id, true, None, Some(5))).collect::<Vec<_>>());
    assert_eq!(most as u64, 4 * SLOTS + 1);
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
