//! The export to folded stacks.

mod common;

use common::{begin, span};
use proptest::prelude::*;
use spanring::reader::{Loss, LossCause, SpanRecord, ThreadFacts};
use spanring_cli::export::Exporter;
use spanring_cli::export::folded::{FoldedWriter, Weight};
use spanring_cli::spans::{Ending, Item, Span};
use spanring_cli::stacks::{StackSums, WINDOW};
use std::collections::BTreeMap;

/// When the recording began.
const STARTED: u64 = 3;

/// The stacks that have time, in order.
fn export_with(weight: Weight, window: usize, begun: &[SpanRecord<'_>], items: &[Item<'_>]) -> BTreeMap<String, u64> {
    let mut bytes = Vec::new();
    let mut writer = Box::new(FoldedWriter::new(Box::new(&mut bytes), weight, StackSums::with_window(window), STARTED));
    for record in begun {
        writer.begun(record);
    }
    for item in items {
        writer.add(item).expect("it writes at the end");
    }
    writer.finish().expect("a vector takes everything");
    let text = String::from_utf8(bytes).expect("UTF-8");
    let mut stacks = BTreeMap::new();
    for line in text.lines() {
        let (stack, ns) = line.rsplit_once(' ').expect("a stack and a number");
        *stacks.entry(stack.to_owned()).or_default() += ns.parse::<u64>().expect("a number");
    }
    stacks.retain(|_, ns| *ns > 0);
    stacks
}

fn export(weight: Weight, spans: &[Span<'_>]) -> Vec<(String, u64)> {
    let items: Vec<_> = spans.iter().map(|span| Item::Span(*span)).collect();
    export_with(weight, WINDOW, &[], &items).into_iter().collect()
}

fn stacks(expected: &[(&str, u64)]) -> Vec<(String, u64)> {
    expected.iter().map(|&(stack, ns)| (stack.to_owned(), ns)).collect()
}

fn child(id: u64, parent: u64, name: &'static str, begin_ns: u64, end_ns: u64) -> Span<'static> {
    Span { parent, depth: 1, name, ..span(id, begin_ns, end_ns) }
}

#[test]
fn children_that_run_at_the_same_time_count_once_in_their_parent() {
    let spans = [child(2, 1, "b", 20, 40), child(3, 1, "c", 30, 50), span(1, 10, 100)];
    assert_eq!(export(Weight::Own, &spans), stacks(&[("a", 60), ("a;b", 20), ("a;c", 20)]));
    assert_eq!(export(Weight::Total, &spans), stacks(&[("a", 90), ("a;b", 20), ("a;c", 20)]));
}

#[test]
fn a_child_that_outlives_its_parent_takes_no_more_than_there_is() {
    let spans = [span(1, 10, 50), child(2, 1, "b", 40, 90), child(3, 1, "b", 60, 70)];
    assert_eq!(export(Weight::Own, &spans), stacks(&[("a", 30), ("a;b", 60)]));
}

#[test]
fn idle_time_is_what_nobody_polled_and_no_child_waited() {
    let parent = Span { busy_ns: Some(10), ..span(1, 0, 100) };
    let waits = Span { busy_ns: Some(5), ..child(2, 1, "b", 20, 80) };
    assert_eq!(export(Weight::Idle, &[waits, parent]), stacks(&[("a", 35), ("a;b", 55)]));
    assert_eq!(export(Weight::Idle, &[span(1, 0, 100)]), []);
}

#[test]
fn an_open_span_counts_up_to_the_last_moment() {
    let open = Span { ending: Ending::Open, end_ns: None, end_thread: None, ..span(1, 10, 0) };
    assert_eq!(
        export(Weight::Own, &[child(2, 1, "b", 20, 40), span(5, 40, 60), open]),
        stacks(&[("a", 20), ("a;(open)", 30), ("a;b", 20)])
    );
}

#[test]
fn orphans_stand_below_a_parent_that_was_lost() {
    assert_eq!(export(Weight::Own, &[child(2, 99, "b", 20, 40)]), stacks(&[("(parent lost);b", 20)]));
}

#[test]
fn losses_have_a_stack_of_their_own() {
    let worker = ThreadFacts { id: 1, os_id: 77, name: "worker".to_owned() };
    let (after_unix_ns, before_unix_ns) = (Some(15), Some(19));
    let loss = Loss { thread: 1, records: 12, cause: LossCause::Dropped, after_unix_ns, before_unix_ns };
    let made = export_with(Weight::Own, WINDOW, &[], &[Item::Thread(&worker), Item::Loss(loss)]);
    assert_eq!(made.into_iter().collect::<Vec<_>>(), stacks(&[("(events lost);worker;dropped", 4)]));
}

#[test]
fn a_gap_with_nothing_before_or_behind_it_is_seen_all_the_same() {
    let gap = |after_unix_ns, before_unix_ns| {
        Item::Loss(Loss { thread: 1, records: 12, cause: LossCause::Overwritten, after_unix_ns, before_unix_ns })
    };
    let of = |loss| {
        let made = export_with(Weight::Own, WINDOW, &[], &[loss, Item::Span(span(1, 10, 100))]);
        made["(events lost);thread\u{a0}1;overwritten"]
    };
    assert_eq!(of(gap(None, Some(9))), 9 - STARTED);
    assert_eq!(of(gap(Some(40), None)), 60);
    assert_eq!(of(gap(None, None)), 100 - STARTED);
}

#[test]
fn names_are_made_to_fit() {
    let names =
        [("a;b", "a:b"), ("two\nlines", "two lines"), ("", "(no name)"), (" x ", "x"), ("shard 7", "shard\u{a0}7")];
    for (name, frame) in names {
        assert_eq!(export(Weight::Own, &[Span { name, ..span(1, 0, 5) }]), stacks(&[(frame, 5)]), "{name:?}");
    }
}

#[test]
fn a_parent_whose_end_is_long_past_is_known_as_long_as_a_child_runs() {
    let begun = [begin(1, 1, 10), SpanRecord { parent_span_id: 1, name: "b", ..begin(2, 1, 20) }];
    let mut items = vec![Item::Span(span(1, 10, 30))];
    items.extend((10..20).map(|id| Item::Span(Span { name: "other", ..span(id, id, id + 1) })));
    items.push(Item::Span(child(2, 1, "b", 20, 500)));
    let made = export_with(Weight::Own, 2, &begun, &items);
    assert_eq!(made.into_iter().collect::<Vec<_>>(), stacks(&[("a", 10), ("a;b", 480), ("other", 10)]));
}

#[test]
fn spans_that_are_each_others_parents_are_all_there() {
    let spans = [child(1, 2, "a", 0, 5), child(2, 1, "b", 0, 7)];
    assert_eq!(export(Weight::Total, &spans).iter().map(|(_, ns)| ns).sum::<u64>(), 12);
}

proptest! {
    /// With whatever window, if begins are heard of, the times are those of a plain calculation.
    #[test]
    fn times_are_those_of_a_plain_calculation(
        parts in prop::collection::vec((0u64..60, 1u64..40, any::<prop::sample::Index>()), 1..40),
        window in 0usize..50,
    ) {
        let mut spans: Vec<Span<'static>> = Vec::new();
        for (index, (begin_ns, length, parent)) in parts.into_iter().enumerate() {
            let parent = (index % 4 > 0).then(|| spans[parent.index(index)]);
            let begin_ns = begin_ns.max(parent.map_or(0, |parent| parent.begin_ns));
            let made = span(index as u64 + 1, begin_ns, begin_ns + length);
            spans.push(Span { parent: parent.map_or(0, |parent| parent.id), ..made });
        }
        let begun: Vec<_> = spans
            .iter()
            .map(|span| SpanRecord { parent_span_id: span.parent, ..begin(span.id, 1, span.begin_ns) })
            .collect();
        let mut items = spans.clone();
        items.sort_by_key(|span| span.end_ns);
        let items: Vec<_> = items.iter().map(|span| Item::Span(*span)).collect();
        let made: u64 = export_with(Weight::Own, window, &begun, &items).values().sum();
        let own = |span: &Span<'_>| {
            let is_inside = |ns: u64, of: &Span<'_>| of.begin_ns <= ns && of.end_ns.is_some_and(|end| ns < end);
            let covered = |ns: &u64| spans.iter().any(|child| child.parent == span.id && is_inside(*ns, child));
            (span.begin_ns..span.end_ns.unwrap_or_default()).filter(|ns| !covered(ns)).count() as u64
        };
        prop_assert_eq!(made, spans.iter().map(own).sum::<u64>());
    }
}
