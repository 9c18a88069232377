//! The Perfetto export, decoded again.

mod common;
#[path = "common/detailed.rs"]
mod detailed;
#[path = "common/replay.rs"]
mod replay;

use common::{UNIX_NS, begin, end, instant, span, threads};
use proptest::prelude::*;
use replay::{Replay, replay};
use spanring::reader::{Damage, Location, Loss, LossCause, NameState, SpanKind, SpanRecord, ThreadFacts};
use spanring_cli::export::perfetto::proto::CounterValue;
use spanring_cli::export::perfetto::{Process, TraceWriter, WINDOW};
use spanring_cli::export::{ExportError, Exporter};
use spanring_cli::spans::{Ending, Item, MOST_INSTANTS, Pairing, Span};
use std::path::PathBuf;

fn export(items: &[Item<'_>], window: usize) -> Replay {
    export_by(window, |trace| items.iter().for_each(|item| trace.add(item).expect("a vector takes everything"))).0
}

/// The trace, and the remarks.
fn export_by(window: usize, feed: impl FnOnce(&mut dyn Exporter)) -> (Replay, Vec<String>) {
    let mut bytes = Vec::new();
    let process =
        Process { pid: 42, name: "service".to_owned(), started_unix_ns: 1000, description: "a test".to_owned() };
    let mut trace = Box::new(TraceWriter::with_window(Box::new(&mut bytes), process, window));
    feed(&mut *trace);
    let remarks = trace.finish().expect("a vector takes everything");
    (replay(&bytes), remarks)
}

fn export_spans(spans: &[Span<'static>]) -> Replay {
    let items: Vec<_> = spans.iter().map(|span| Item::Span(*span)).collect();
    export(&items, WINDOW)
}

#[test]
fn attributes_are_typed_arguments_and_an_instant_is_in_its_span() {
    let (replay, remarks) = export_by(WINDOW, detailed::feed);
    let [span] = &replay.slices[..] else { panic!("{:?}", replay.slices) };
    let attributes = [
        ("truth", "true"),
        ("least", "-9223372036854775808"),
        ("most", "18446744073709551615"),
        ("tenth", "0.1"),
        ("none", "NaN"),
        ("\"\n\u{1F980}", "a \"text\"\n\u{1F980}"),
        ("cut", "the beg"),
        ("thread.id", "-5"),
    ];
    for (key, value) in attributes {
        assert_eq!(span.arguments[&format!("attributes.{key}")], value, "{key}");
    }
    assert_eq!((&*span.arguments["cut_attributes[0]"], span.number("lost_attributes")), ("cut", 1));
    let [inside, outside] = &replay.instants[..] else { panic!("{:?}", replay.instants) };
    assert_eq!((inside.number("instant_id"), inside.number("parent_id")), (detailed::INSIDE, detailed::SPAN));
    assert_eq!((inside.begin_ns, inside.inside, &*inside.category), (UNIX_NS + 10, Some(0), "instant"));
    assert_eq!(inside.arguments["attributes.size"], "3");
    assert_eq!((outside.number("instant_id"), outside.inside), (detailed::OUTSIDE, None));
    assert_eq!(replay.row_name(outside.track), "thread 1");
    let values: Vec<_> = replay.counters.iter().map(|one| (replay.row_name(one.track), one.value)).collect();
    let (most, endless) = (CounterValue::Double(u64::MAX as f64), CounterValue::Double(f64::INFINITY));
    let (queue, load) = (CounterValue::Int(-1), CounterValue::Double(0.25));
    assert_eq!(values, [("queue", Some(queue)), ("queue", Some(most)), ("load", Some(load)), ("load", Some(endless))]);
    assert_eq!(replay.counters[1].arguments["exact_value"], "18446744073709551615");
    assert!(remarks.iter().any(|remark| remark.starts_with("1 counter value left out")), "{remarks:?}");
}

#[test]
fn instants_beyond_those_that_are_kept_are_counted() {
    let (replay, _) = export_by(WINDOW, detailed::feed_crowd);
    assert_eq!((replay.instants.len(), replay.slices[0].number("lost_instants")), (MOST_INSTANTS, 2));
}

#[test]
fn an_instant_during_a_child_is_in_a_row_of_its_own_with_an_arrow() {
    let parent = span(1, 100, 200);
    let child = Span { parent: 1, depth: 1, ..span(2, 110, 150) };
    let mut pairing = Pairing::default();
    pairing.instant(&instant(5, 1, 1, 120, 0));
    pairing.instant(&instant(6, 1, 1, 160, 0));
    pairing.close();
    let mut strays = Vec::new();
    while let Some(stray) = pairing.stray() {
        strays.push(stray.clone());
    }
    let items: Vec<_> = strays.iter().map(Item::Instant).chain([Item::Span(child), Item::Span(parent)]).collect();
    let replay = export(&items, WINDOW);
    let around: Vec<_> =
        replay.instants.iter().map(|one| one.inside.map(|i| replay.slices[i].number("span_id"))).collect();
    assert_eq!(around, [None, Some(1)]);
    assert_eq!((&replay.slices[0].arrows_out, &replay.instants[0].arrows_in), (&vec![5], &vec![5]));
    assert!(replay.instants[1].arrows_in.is_empty());
}

fn open(id: u64, begin_ns: u64) -> Span<'static> {
    Span { ending: Ending::Open, end_ns: None, end_thread: None, ..span(id, begin_ns, 0) }
}

/// By span id: name of the row, and the id of the slice around it (0: none).
fn drawn(replay: &Replay) -> Vec<(u64, &str, u64)> {
    let around = |inside: Option<usize>| inside.map_or(0, |index| replay.slices[index].number("span_id"));
    let mut drawn: Vec<_> = replay
        .slices
        .iter()
        .map(|slice| (slice.number("span_id"), replay.row_name(slice.track), around(slice.inside)))
        .collect();
    drawn.sort_unstable();
    drawn
}

#[test]
fn a_span_becomes_a_slice_with_everything_that_is_known() {
    let location = Location {
        lod: 3,
        target: "service".to_owned(),
        module_path: "service::db".to_owned(),
        file: "src/db.rs".to_owned(),
        line: 12,
    };
    let unix_ns = UNIX_NS;
    let common =
        SpanRecord { parent_span_id: 3, depth: 4, name: "query", location: Some(&location), ..begin(7, 1, unix_ns) };
    let ended = SpanRecord { unix_ns: unix_ns + 501, thread: 2, polls: 9, ..end(7, 2, unix_ns, 0) };
    let ended = SpanRecord { parent_span_id: 3, depth: 4, name: "query", location: Some(&location), ..ended };
    let threads = threads();
    let mut pairing = Pairing::default();
    pairing.record(&common);
    let span = pairing.record(&ended).expect("whole");
    let replay = export(&[Item::Thread(&threads[0]), Item::Thread(&threads[1]), Item::Span(span)], WINDOW);

    assert_eq!(replay.slices.len(), 1);
    let slice = &replay.slices[0];
    assert_eq!((slice.begin_ns, slice.end_ns), (unix_ns, Some(unix_ns + 501)));
    assert_eq!((slice.name.as_str(), slice.category.as_str()), ("query", "async"));
    let expected = [
        ("span_id", "7"),
        ("parent_id", "3"),
        ("depth", "4"),
        ("outcome", "completed"),
        ("polls", "9"),
        ("target", "service"),
        ("module", "service::db"),
        ("location", "src/db.rs:12"),
        ("begin_thread", "worker a"),
        ("end_thread", "thread 2"),
    ];
    let expected = expected.map(|(name, value)| (name.to_owned(), value.to_owned())).into();
    assert_eq!(slice.arguments, expected);
}

#[test]
fn children_one_after_the_other_are_drawn_in_their_parent() {
    let child = |id, begin_ns, end_ns| Span { parent: 1, depth: 1, ..span(id, begin_ns, end_ns) };
    let grandchild = Span { parent: 3, depth: 2, ..span(4, 31, 39) };
    let replay = export_spans(&[child(2, 20, 30), grandchild, child(3, 30, 40), span(1, 10, 50)]);
    assert_eq!(drawn(&replay), [(1, "async 1", 0), (2, "async 1", 1), (3, "async 1", 1), (4, "async 1", 3)]);
}

#[test]
fn children_in_parallel_have_rows_of_their_own_under_the_family() {
    let child = |id, begin_ns, end_ns| Span { parent: 1, depth: 1, ..span(id, begin_ns, end_ns) };
    let replay =
        export_spans(&[child(2, 20, 30), child(3, 21, 31), child(4, 22, 32), child(5, 31, 40), span(1, 10, 50)]);
    assert_eq!(
        drawn(&replay),
        [
            (1, "async 1", 0),
            (2, "async 1", 1),
            (3, "async 1, in parallel 1", 0),
            (4, "async 1, in parallel 2", 0),
            (5, "async 1", 1)
        ]
    );
    let parallel = replay.tracks[&replay.slices[2].track].parent_uuid.expect("it belongs to the family");
    assert_eq!(replay.row_name(parallel), "async 1");
}

#[test]
fn a_child_that_outlives_its_parent_is_not_cut() {
    let child = Span { parent: 1, depth: 1, ..span(2, 20, 70) };
    let replay = export_spans(&[span(1, 10, 50), child]);
    assert_eq!(drawn(&replay), [(1, "async 1", 0), (2, "async 1, in parallel 1", 0)]);
}

#[test]
fn families_at_the_same_time_are_apart_and_later_ones_reuse_their_rows() {
    let replay = export_spans(&[span(1, 10, 50), span(2, 20, 60), span(3, 60, 70), span(4, 65, 80)]);
    assert_eq!(drawn(&replay), [(1, "async 1", 0), (2, "async 2", 0), (3, "async 1", 0), (4, "async 2", 0)]);
}

#[test]
fn a_family_is_called_as_its_roots_are_whose_names_the_program_has() {
    let named = |name, index, span| Span { name, name_index: Some(index), ..span };
    let request = |id, begin_ns, end_ns| named("request", 7, span(id, begin_ns, end_ns));
    let child = Span { parent: 2, depth: 1, ..named("query", 5, span(3, 25, 35)) };
    let connection = named("connection", 2, span(4, 5, 100));
    let made = span(6, 50, 60);
    let one_of_many = named("one of thousands", 5000, span(7, 55, 60));
    let spans = [request(1, 10, 30), request(2, 20, 40), child, connection, request(5, 50, 60), made, one_of_many];
    let replay = export_spans(&spans);
    let rows: Vec<_> = drawn(&replay).into_iter().map(|(id, row, _)| (id, row)).collect();
    let expected = ["request 1", "request 2", "request 2", "connection 1", "request 1", "async 1", "async 2"];
    assert_eq!(rows, (1..).zip(expected).collect::<Vec<_>>());
}

#[test]
fn a_child_of_a_family_that_is_gone_is_not_drawn_in_the_family_that_took_its_rows() {
    let late = Span { parent: 1, depth: 1, ..span(3, 25, 30) };
    let replay = export_spans(&[span(1, 10, 20), late, span(2, 20, 40)]);
    assert_eq!(drawn(&replay), [(1, "async 1", 0), (2, "async 1", 0), (3, "async 2", 0)]);
}

#[test]
fn a_child_of_the_same_stretch_as_its_parent_is_drawn_in_it() {
    let child = Span { parent: 1, depth: 1, ..span(2, 10, 20) };
    for spans in [[span(1, 10, 20), child], [child, span(1, 10, 20)]] {
        assert_eq!(drawn(&export_spans(&spans)), [(1, "async 1", 0), (2, "async 1", 1)]);
    }
}

#[test]
fn scopes_nest_on_the_row_of_their_thread() {
    let scope = |id, begin_ns, end_ns| Span { kind: SpanKind::Thread, parent: 9, ..span(id, begin_ns, end_ns) };
    let worker = ThreadFacts { id: 1, os_id: 77, name: "worker".to_owned() };
    let spans = [scope(2, 20, 30), scope(1, 10, 50), scope(3, 40, 60)];
    let mut items = vec![Item::Thread(&worker)];
    items.extend(spans.map(Item::Span));
    let replay = export(&items, WINDOW);
    assert_eq!(drawn(&replay), [(1, "worker", 0), (2, "worker", 1), (3, "worker, overlapping 01", 0)]);
    let thread = replay.tracks[&replay.slices[0].track].thread.clone().expect("a thread's row");
    assert_eq!((thread.pid, thread.tid), (Some(42), Some(77)));
    assert_eq!(replay.slices[0].category, "thread");
}

#[test]
fn two_scopes_of_the_same_stretch_nest_as_they_were_left() {
    let scope = |id| Span { kind: SpanKind::Thread, ..span(id, 10, 20) };
    // The inner one ends, and is read, first.
    let replay = export_spans(&[scope(5), scope(4)]);
    assert_eq!(drawn(&replay), [(4, "thread 1", 0), (5, "thread 1", 4)]);
}

#[test]
fn an_open_span_begins_and_does_not_end() {
    let child = Span { parent: 1, depth: 1, ..span(2, 20, 30) };
    let open_child = Span { parent: 1, depth: 1, ..open(3, 40) };
    let replay = export_spans(&[child, open(1, 10), open_child]);
    assert_eq!(drawn(&replay), [(1, "async 1", 0), (2, "async 1", 1), (3, "async 1", 1)]);
    assert_eq!(replay.slices.iter().map(|slice| slice.end_ns).collect::<Vec<_>>(), [None, Some(30), None]);
    assert_eq!(replay.slices[0].arguments["outcome"], "open");
    assert!(!replay.slices[0].arguments.contains_key("polls"));
}

#[test]
fn a_scope_whose_end_may_be_lost_does_not_swallow_its_thread() {
    let lost = Span { kind: SpanKind::Thread, end_may_be_lost: true, ..open(1, 10) };
    let replay = export_spans(&[Span { kind: SpanKind::Thread, ..span(2, 20, 30) }, lost]);
    assert_eq!(drawn(&replay), [(1, "thread 1, overlapping 01", 0), (2, "thread 1", 0)]);
    assert_eq!(replay.slices[0].arguments["end_may_be_lost"], "true");
}

#[test]
fn what_is_lost_or_damaged_can_be_seen() {
    let worker = ThreadFacts { id: 1, os_id: 77, name: "worker".to_owned() };
    let (after_unix_ns, before_unix_ns) = (Some(1500), Some(1600));
    let loss = Loss { thread: 1, records: 12, cause: LossCause::Dropped, after_unix_ns, before_unix_ns };
    let damage =
        Damage { path: PathBuf::from("0001.segment"), offset: 64, bytes: 128, records: 2, what: "wrong checksum" };
    let nameless = Span { name: "<name lost>", name_state: NameState::Missing, begin_lost: true, ..span(1, 10, 20) };
    let items = [Item::Thread(&worker), Item::Loss(loss), Item::Damage(damage), Item::Span(nameless)];
    let replay = export(&items, WINDOW);
    let [loss, damage] = [&replay.losses[0], &replay.instants[0]];
    assert_eq!((loss.begin_ns, loss.end_ns, loss.name.as_str()), (1500, Some(1600), "12 events lost"));
    assert_eq!(
        (loss.number("records"), loss.number("after_ns"), loss.number("before_ns"), replay.row_name(loss.track)),
        (12, 1500, 1600, "worker, lost events")
    );
    assert_eq!((loss.arguments["cause"].as_str(), loss.arguments["thread"].as_str()), ("dropped", "worker"));
    assert_eq!((damage.category.as_str(), damage.name.as_str()), ("damage", "damage: wrong checksum"));
    assert_eq!((damage.number("offset"), damage.number("bytes"), damage.number("records")), (64, 128, 2));
    assert_eq!(replay.slices[0].arguments["name_state"], "missing");
    assert_eq!(replay.slices[0].arguments["begin_lost"], "true");
}

/// Every arrow, as the ids of parent and child.
fn arrows(replay: &Replay) -> Vec<(u64, u64)> {
    let mut arrows = Vec::new();
    for slice in &replay.slices {
        let children = slice.arrows_out.iter().map(|&child| (slice.number("span_id"), child));
        arrows.extend(children);
    }
    arrows.sort_unstable();
    arrows
}

#[test]
fn arrows_lead_to_children_that_are_drawn_elsewhere() {
    let child = |id, begin_ns, end_ns| Span { parent: 1, depth: 1, ..span(id, begin_ns, end_ns) };
    let scope = Span { kind: SpanKind::Thread, ..child(4, 22, 24) };
    let spans = [child(2, 20, 30), child(3, 25, 35), scope, child(5, 45, 70), child(6, 60, 65), span(1, 10, 50)];
    let replay = export_spans(&spans);
    assert_eq!(arrows(&replay), [(1, 3), (1, 4), (1, 5), (1, 6)]);
    let targets: Vec<u64> = replay.slices.iter().flat_map(|slice| slice.arrows_in.clone()).collect();
    assert_eq!(targets, [4, 3, 5, 6]);
}

#[test]
fn a_parent_that_is_written_before_its_children_has_arrows_to_them() {
    let child = |id, begin_ns, end_ns| Span { parent: 1, depth: 1, ..span(id, begin_ns, end_ns) };
    let spans = [span(7, 1, 2), span(1, 10, 50), child(2, 20, 30), child(3, 55, 60)];
    let items: Vec<_> = spans.iter().map(|span| Item::Span(*span)).collect();
    let replay = export(&items, 4);
    assert_eq!(arrows(&replay), [(1, 2), (1, 3)]);
    assert!(replay.slices.iter().all(|slice| slice.inside.is_none()));
}

#[test]
fn times_that_were_measured_are_arguments() {
    let measured = Span { created_ns: Some(4), busy_ns: Some(15), ..span(1, 10, 50) };
    let replay = export_spans(&[measured, span(2, 60, 70)]);
    let [first, second] = [&replay.slices[0], &replay.slices[1]];
    assert_eq!((first.number("wait_ns"), first.number("busy_ns"), first.number("idle_ns")), (6, 15, 25));
    assert!(["wait_ns", "busy_ns", "idle_ns"].iter().all(|argument| !second.arguments.contains_key(*argument)));
}

#[test]
fn what_few_spans_say_is_said_by_each_of_them_alone() {
    let plain = Span { name: "a name of the program", name_index: Some(3), ..span(1, 10, 50) };
    let few = ["busy_ns", "idle_ns", "wait_ns", "name_state", "begin_lost", "end_may_be_lost", "busy_partial"];
    let cases: [(Span<'static>, &[&str]); 7] = [
        (plain, &[]),
        (Span { busy_ns: Some(15), ..plain }, &["busy_ns", "idle_ns"]),
        (Span { created_ns: Some(4), ..plain }, &["wait_ns"]),
        (Span { name_state: NameState::Cut, ..plain }, &["name_state"]),
        (Span { begin_lost: true, ..plain }, &["begin_lost"]),
        (Span { end_may_be_lost: true, ..plain }, &["end_may_be_lost"]),
        (Span { busy_partial: true, ..plain }, &["busy_partial"]),
    ];
    for (span, expected) in cases {
        let replay = export_spans(&[span]);
        let said: Vec<_> = few.into_iter().filter(|few| replay.slices[0].arguments.contains_key(*few)).collect();
        assert_eq!((said.as_slice(), &*replay.slices[0].name), (expected, span.name));
    }
}

#[test]
fn a_name_with_a_number_is_written_once() {
    let numbered = |id| Span { name: "a name of the program", name_index: Some(3), ..span(id, id * 10, id * 10 + 5) };
    let mut bytes = Vec::new();
    let process = Process { pid: 1, name: String::new(), started_unix_ns: 0, description: String::new() };
    let mut trace = Box::new(TraceWriter::new(Box::new(&mut bytes), process));
    for id in 1..=3 {
        trace.add(&Item::Span(numbered(id))).expect("a vector takes everything");
    }
    trace.finish().expect("a vector takes everything");
    let times = String::from_utf8_lossy(&bytes).matches("a name of the program").count();
    assert_eq!(times, 2, "once for all spans, and once for the row");
    assert!(replay(&bytes).slices.iter().all(|slice| slice.name == "a name of the program"));
}

#[test]
fn what_waits_behind_thousands_that_were_drawn_is_written_as_it_came() {
    const SPANS: u64 = 30_000;
    let numbered = |span| Span { name: "a name of the program", name_index: Some(3), ..span };
    // Those with the greatest ids come first, and begin last.
    let spans = (1..=SPANS).map(|id| match id {
        0..5 => Span { name: "made at run time", ..span(SPANS - id, 1_000_000 - id, 1_000_000) },
        _ if id % 3 == 0 => Span { busy_ns: Some(id), ..numbered(span(SPANS - id, id * 10, id * 10 + 5)) },
        _ => numbered(span(SPANS - id, id * 10, id * 10 + 5)),
    });
    let items: Vec<_> = spans.map(Item::Span).collect();
    let replay = export(&items, 16);
    assert_eq!(replay.slices.len() as u64, SPANS);
    for slice in &replay.slices {
        let id = SPANS - slice.number("span_id");
        let is_late = id < 5;
        let (name, begin_ns) =
            if is_late { ("made at run time", 1_000_000 - id) } else { ("a name of the program", id * 10) };
        assert_eq!((&*slice.name, slice.begin_ns), (name, begin_ns));
        let busy = slice.arguments.get("busy_ns").map(|busy| busy.as_str());
        assert_eq!(busy, (id % 3 == 0 && !is_late).then(|| id.to_string()).as_deref());
    }
}

#[test]
fn a_trace_without_spans_is_a_trace() {
    let replay = export(&[], WINDOW);
    assert_eq!(replay.slices.len(), 0);
    assert!(replay.tracks.values().any(|track| track.process.is_some()));
}

#[test]
fn a_full_disk_is_reported() {
    struct Full;
    impl std::io::Write for Full {
        fn write(&mut self, _: &[u8]) -> std::io::Result<usize> {
            Err(std::io::ErrorKind::StorageFull.into())
        }
        fn flush(&mut self) -> std::io::Result<()> {
            Ok(())
        }
    }
    let process = Process { pid: 1, name: String::new(), started_unix_ns: 0, description: String::new() };
    let mut trace = TraceWriter::new(Box::new(Full), process);
    match trace.add(&Item::Span(span(1, 10, 20))) {
        Err(ExportError::Write(error)) => assert_eq!(error.kind(), std::io::ErrorKind::StorageFull),
        other => panic!("{other:?}"),
    }
}

/// Spans with random times and parents, many of which overlap, touch, or are impossible (a child before its parent).
fn any_spans() -> impl Strategy<Value = Vec<Span<'static>>> {
    let one = (0u64..60, 0u64..25, any::<prop::sample::Index>(), 0u8..8, 1u32..4);
    prop::collection::vec(one, 0..80).prop_map(|parts| {
        let mut spans: Vec<Span<'static>> = Vec::new();
        for (index, (begin_ns, length, parent, sort, thread)) in parts.into_iter().enumerate() {
            let mut made = span(index as u64 + 1, begin_ns, begin_ns + length);
            made.name = ["a", "b", "c", "d", "e", "f", "g", "h"][usize::from(sort)];
            made.name_index = (sort % 3 > 0).then_some(u32::from(sort));
            if sort == 0 {
                made = open(made.id, begin_ns);
            }
            if sort == 1 {
                made.kind = SpanKind::Thread;
            }
            (made.begin_thread, made.end_thread) = (Some(thread), made.end_thread.map(|_| thread));
            if index > 0 && sort != 2 {
                let parent = spans[parent.index(index)];
                made.parent = parent.id;
                made.depth = parent.depth + 1;
            }
            spans.push(made);
        }
        spans
    })
}

proptest! {
    /// In whatever order spans come and however few are held back, each has one slice with exactly its times, drawn inside
    /// nothing but its parent, or on a thread's row, inside a scope that was there all the time.
    #[test]
    fn slices_are_the_spans_and_nest_only_in_their_parents(
        spans in any_spans().prop_shuffle(),
        window in 2usize..100,
    ) {
        let items: Vec<_> = spans.iter().map(|span| Item::Span(*span)).collect();
        let replay = export(&items, window);
        prop_assert_eq!(replay.slices.len(), spans.len());
        let mut drawn_arrows = arrows(&replay);
        let number = drawn_arrows.len();
        drawn_arrows.dedup();
        prop_assert_eq!(drawn_arrows.len(), number);
        let arrivals: usize = replay.slices.iter().map(|slice| slice.arrows_in.len()).sum();
        prop_assert_eq!(arrivals, number);
        for (parent, child) in drawn_arrows {
            prop_assert_eq!(spans.iter().find(|span| span.id == child).map(|span| span.parent), Some(parent));
        }
        let mut slices: Vec<_> = replay.slices.iter().collect();
        slices.sort_by_key(|slice| slice.number("span_id"));
        let mut spans = spans;
        spans.sort_by_key(|span| span.id);
        for (slice, span) in slices.iter().zip(&spans) {
            prop_assert_eq!(slice.number("span_id"), span.id);
            prop_assert_eq!((slice.begin_ns, slice.end_ns), (span.begin_ns, span.end_ns));
            prop_assert_eq!(&slice.name, span.name);
            let Some(around) = slice.inside.map(|index| &replay.slices[index]) else { continue };
            match span.kind {
                SpanKind::Async => prop_assert_eq!(around.number("span_id"), span.parent),
                SpanKind::Thread => {
                    prop_assert_eq!(&around.category, "thread");
                    prop_assert_eq!(&around.arguments["begin_thread"], &slice.arguments["begin_thread"]);
                }
            }
            prop_assert!(around.begin_ns <= slice.begin_ns);
            prop_assert!(around.end_ns.is_none_or(|end| slice.end_ns.is_some_and(|inner| inner <= end)));
        }
    }
}
