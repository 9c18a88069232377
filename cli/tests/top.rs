//! The numbers of `spanring top`, against numbers worked out by hand.

mod common;

use common::{begin, end, span};
use spanring::reader::{Location, Loss, LossCause, SpanKind, SpanRecord};
use spanring_cli::render;
use spanring_cli::spans::{Ending, Item, Pairing, Span};
use spanring_cli::top::{EXACT_SPANS, SortBy, Top, TopReport};

fn top_of(spans: &[Span<'_>], sort: SortBy) -> TopReport {
    let mut top = Top::default();
    for span in spans {
        top.add_span(span);
    }
    top.finish(sort)
}

#[test]
fn a_row_adds_up_the_spans_of_a_name() {
    let spans = [
        span(1, 0, 10),
        span(2, 5, 45),
        Span { ending: Ending::Cancelled, ..span(3, 0, 20) },
        Span { ending: Ending::Panicked, ..span(4, 0, 30) },
        Span { ending: Ending::Open, end_ns: None, ..span(5, 7, 0) },
    ];
    let report = top_of(&spans, SortBy::Total);
    let row = &report.rows[0];
    assert_eq!((report.rows.len(), report.spans, report.open), (1, 5, 1));
    assert_eq!((row.name.as_str(), row.kind, row.count, row.total_ns), ("a", "async", 5, 100));
    assert_eq!((row.p50_ns, row.p99_ns, row.max_ns), (Some(20), Some(40), Some(40)));
    assert_eq!((row.cancelled, row.panicked, row.open), (1, 1, 1));
}

#[test]
fn a_name_that_only_has_open_spans_has_no_times() {
    let report = top_of(&[Span { ending: Ending::Open, end_ns: None, ..span(5, 7, 0) }], SortBy::Total);
    let row = &report.rows[0];
    assert_eq!((row.count, row.open, row.total_ns), (1, 1, 0));
    assert_eq!((row.p50_ns, row.p99_ns, row.max_ns), (None, None, None));
}

#[test]
fn percentiles_are_exact_while_spans_are_few() {
    let spans: Vec<_> = (1..=EXACT_SPANS as u64).map(|id| span(id, 0, 1_000_001 * id)).collect();
    let row = &top_of(&spans, SortBy::Total).rows[0];
    assert_eq!(row.p50_ns, Some(1_000_001 * 512));
    assert_eq!(row.p99_ns, Some(1_000_001 * 1014));
}

#[test]
fn percentiles_of_many_spans_are_right_to_three_digits() {
    // 1 to 100 000 µs, in an order that is not sorted.
    let spans: Vec<_> = (0..100_000).map(|id| span(id + 1, 0, (id * 7919 % 100_000 + 1) * 1000)).collect();
    let row = &top_of(&spans, SortBy::Total).rows[0];
    let near = |value: Option<u64>, exact: u64| value.expect("there are spans").abs_diff(exact) * 1000 <= exact;
    assert!(near(row.p50_ns, 50_000_000), "{:?}", row.p50_ns);
    assert!(near(row.p99_ns, 99_000_000), "{:?}", row.p99_ns);
    assert_eq!(row.max_ns, Some(100_000_000));
    assert_eq!(row.total_ns, 100_000 * 100_001 / 2 * 1000);
}

#[test]
fn a_percentile_is_never_above_the_maximum() {
    let spans: Vec<_> = (0..5000).map(|id| span(id + 1, 0, 1_000_003)).collect();
    let row = &top_of(&spans, SortBy::Total).rows[0];
    assert_eq!((row.p50_ns, row.p99_ns, row.max_ns), (Some(1_000_003), Some(1_000_003), Some(1_000_003)));
}

#[test]
fn the_longest_durations_there_can_be_do_not_break_it() {
    let spans: Vec<_> = (0..3000).map(|id| span(id + 1, 0, if id % 2 == 0 { u64::MAX } else { 0 })).collect();
    let row = &top_of(&spans, SortBy::Total).rows[0];
    assert_eq!((row.count, row.max_ns, row.total_ns), (3000, Some(u64::MAX), u64::MAX));
}

#[test]
fn the_same_name_at_two_places_has_two_rows() {
    let place = |line| Location {
        lod: 3,
        target: "t".to_owned(),
        module_path: "m".to_owned(),
        file: "src/a.rs".to_owned(),
        line,
    };
    let (ten, twenty, ten_again) = (place(10), place(20), place(10));
    let mut pairing = Pairing::default();
    let mut top = Top::default();
    for (id, location) in [(1, Some(&ten)), (2, Some(&twenty)), (3, Some(&ten_again)), (4, None)] {
        pairing.record(&SpanRecord { location, ..begin(id, 1, 0) });
        top.add_span(&pairing.record(&SpanRecord { location, ..end(id, 1, 0, 5) }).expect("whole"));
    }
    let report = top.finish(SortBy::Count);
    let rows: Vec<_> = report.rows.iter().map(|row| (row.line, row.count)).collect();
    assert_eq!(rows, [(Some(10), 2), (None, 1), (Some(20), 1)]);
}

#[test]
fn a_scope_and_a_future_of_the_same_name_have_two_rows() {
    let report = top_of(&[span(1, 0, 5), Span { kind: SpanKind::Thread, ..span(2, 0, 5) }], SortBy::Name);
    let kinds: Vec<_> = report.rows.iter().map(|row| row.kind).collect();
    assert_eq!(kinds, ["async", "thread"]);
}

#[test]
fn rows_are_sorted_by_what_was_asked_for() {
    let named = |name, id, length| Span { name, ..span(id, 0, length) };
    // name: durations; total, count, p50, max: b 90, 1, 90, 90; c 100, 10, 10, 10; d 96, 2, 1, 95.
    let mut spans = vec![named("b", 1, 90), named("d", 2, 1), named("d", 3, 95)];
    spans.extend((4..14).map(|id| named("c", id, 10)));
    let order = |sort| -> String { top_of(&spans, sort).rows.iter().map(|row| row.name.as_str()).collect() };
    assert_eq!(order(SortBy::Total), "cdb");
    assert_eq!(order(SortBy::Count), "cdb");
    assert_eq!(order(SortBy::P50), "bcd");
    assert_eq!(order(SortBy::P99), "dbc");
    assert_eq!(order(SortBy::Max), "dbc");
    assert_eq!(order(SortBy::Name), "bcd");
}

#[test]
fn the_table_is_no_wider_than_the_terminal() {
    let name = "GET /a/path/that/is/much/longer/than/any/column/of/this/table/can/be";
    let spans: Vec<_> = (0..20).map(|id| Span { name, ..span(id + 1, 0, id * 1_234_567) }).collect();
    let report = top_of(&spans, SortBy::Total);
    let text = render::top(&report, 30, Some(80));
    for line in text.lines() {
        assert!(line.chars().count() <= 80, "{line}");
    }
    assert!(text.contains('…'));
    assert!(render::top(&report, 30, None).contains(name));
}

#[test]
fn the_table_says_what_it_leaves_out_and_what_is_lost() {
    let mut top = Top::default();
    let names = ["a", "b", "c"];
    for (index, name) in names.into_iter().enumerate() {
        top.add(&Item::Span(Span { name, ..span(index as u64 + 1, 0, 100 - index as u64) }));
    }
    let (after_unix_ns, before_unix_ns) = (None, None);
    top.add(&Item::Loss(Loss { thread: 1, records: 12, cause: LossCause::Dropped, after_unix_ns, before_unix_ns }));
    let text = render::top(&top.finish(SortBy::Total), 2, None);
    assert!(text.contains("... and 1 more row with 1 span"), "{text}");
    assert!(text.contains("3 spans in 3 rows"), "{text}");
    assert!(text.contains("INCOMPLETE: 12 events lost"), "{text}");
}
