//! What `spanring open` lists, from records made by hand.

mod common;

use common::{begin, end};
use spanring::reader::{Location, Loss, LossCause, Outcome, SpanKind, SpanRecord, ThreadFacts, WriterState};
use spanring_cli::open::{Circumstances, MAX_SEARCHES, OpenReport, OpenSpans};
use spanring_cli::render;
use spanring_cli::spans::{Item, Pairing};

const DIED: Circumstances = Circumstances { writer: WriterState::Died, last_sign_unix_ns: None, refused_events: 0 };

/// A recording of these records on threads 1 to 3, of which two share a name.
#[derive(Clone, Debug, Default)]
struct Records<'a> {
    records: Vec<SpanRecord<'a>>,
    losses: Vec<Loss>,
}

impl Records<'_> {
    fn read(&self, visit: &mut dyn FnMut(&Item<'_>)) {
        for (id, name) in [(1, "worker"), (2, "worker"), (3, "")] {
            visit(&Item::Thread(&ThreadFacts { id, os_id: 100 + u64::from(id), name: name.to_owned() }));
        }
        let mut pairing = Pairing::default();
        for record in &self.records {
            if let Some(span) = pairing.record(record) {
                visit(&Item::Span(span));
            }
        }
        for loss in &self.losses {
            pairing.loss(loss);
            visit(&Item::Loss(*loss));
        }
        pairing.finish(&mut |span| visit(&Item::Span(span)));
    }

    fn report(&self, circumstances: &Circumstances, min_age_ns: u64) -> OpenReport {
        let mut spans = OpenSpans::default();
        self.read(&mut |item| spans.add(item));
        for _ in 0..MAX_SEARCHES {
            if spans.missing_parents() > 0 {
                self.read(&mut |item| spans.add_parent(item));
            }
        }
        spans.finish(circumstances, min_age_ns)
    }
}

/// The report on these records, of a process that died with the last of them.
fn report_on(records: &[SpanRecord<'_>]) -> OpenReport {
    Records { records: records.to_vec(), ..Records::default() }.report(&DIED, 0)
}

fn named<'a>(name: &'a str, parent_span_id: u64, record: SpanRecord<'a>) -> SpanRecord<'a> {
    SpanRecord { name, parent_span_id, ..record }
}

/// Each line as its name, indented, and its age or state.
fn tree(report: &OpenReport) -> Vec<String> {
    let line = |line: &spanring_cli::open::Line| {
        let age = line.age_ns.map_or(line.state.to_owned(), |age| age.to_string());
        format!("{}{} {age}", "  ".repeat(line.level as usize), line.name)
    };
    report.tree.iter().map(line).collect()
}

#[test]
fn open_spans_stand_below_their_parents_the_oldest_first() {
    let report = report_on(&[
        named("second", 0, begin(1, 1, 200)),
        named("first", 0, begin(2, 1, 100)),
        named("ended", 2, begin(3, 1, 110)),
        named("later child", 2, begin(4, 2, 400)),
        named("child", 2, begin(5, 1, 300)),
        named("grandchild", 4, begin(6, 1, 500)),
        named("ended", 2, end(3, 1, 110, 1000)),
    ]);
    assert_eq!(tree(&report), ["first 900", "  child 700", "  later child 600", "    grandchild 500", "second 800"]);
    assert_eq!((report.open, report.roots, report.oldest_ns), (5, 2, Some(900)));
    assert_eq!((report.younger, report.doubtful, report.lost_records), (0, 0, 0));
    assert_eq!((report.writer.as_str(), report.until_unix_ns), ("died", 1000));
}

#[test]
fn a_line_has_what_the_begin_record_says() {
    let location = Location {
        lod: 3,
        target: "db::pool".to_owned(),
        module_path: "db::pool".to_owned(),
        file: "src/db.rs".to_owned(),
        line: 12,
    };
    let record = SpanRecord { location: Some(&location), kind: SpanKind::Thread, ..begin(7, 2, 100) };
    let line = &report_on(&[named("rank", 0, record)]).tree[0];
    assert_eq!((line.id, line.parent, line.name.as_str(), line.state), (7, 0, "rank", "open"));
    assert_eq!((line.kind, line.begin_unix_ns, line.end_unix_ns), (Some("thread"), Some(100), None));
    assert_eq!(
        (line.file.as_deref(), line.line, line.target.as_deref()),
        (Some("src/db.rs"), Some(12), Some("db::pool"))
    );
    let thread = line.thread.as_ref().expect("known");
    assert_eq!((thread.id, thread.os_id, thread.name.as_str()), (2, 102, "worker"));
}

#[test]
fn a_parent_that_ended_is_shown_above_its_open_child() {
    let cancelled = SpanRecord { outcome: Some(Outcome::Cancelled), ..end(2, 1, 110, 150) };
    let report = report_on(&[
        named("connection", 0, begin(1, 1, 100)),
        named("request", 1, begin(2, 1, 110)),
        named("audit", 2, begin(3, 2, 120)),
        named("retry", 2, begin(4, 2, 130)),
        named("request", 1, cancelled),
        named("other", 0, begin(5, 1, 105)),
    ]);
    assert_eq!(tree(&report), ["connection 50", "  request cancelled", "    audit 30", "    retry 20", "other 45"]);
    assert_eq!((report.open, report.roots), (4, 2));
    assert_eq!(report.tree[1].end_unix_ns, Some(150));
}

#[test]
fn all_that_ended_above_an_open_span_is_found_whatever_ended_first() {
    let spans = [(1, "a", 0), (2, "b", 1), (3, "c", 2), (4, "open", 3)];
    for order in [[1, 2, 3], [3, 2, 1], [2, 3, 1], [2, 1, 3]] {
        let mut records: Vec<_> =
            spans.iter().map(|&(id, name, parent)| named(name, parent, begin(id, 1, id))).collect();
        records.extend(order.iter().zip(10..).map(|(&id, at)| {
            let (_, name, parent) = spans[id as usize - 1];
            named(name, parent, end(id, 1, id, at))
        }));
        let report = report_on(&records);
        assert_eq!(tree(&report), ["a completed", "  b completed", "    c completed", "      open 8"], "{order:?}");
        assert_eq!((report.open, report.roots), (1, 1));
    }
}

#[test]
fn of_a_parent_that_is_not_in_the_recording_only_the_id_is_known() {
    let report = report_on(&[named("a", 77, begin(1, 1, 100)), named("b", 77, begin(2, 1, 300))]);
    assert_eq!(tree(&report), [" unknown", "  a 200", "  b 0"]);
    assert_eq!((report.tree[0].id, report.open, report.roots), (77, 2, 2));
    assert!(render::open(&report, None).contains("<unknown span 77>"));
}

#[test]
fn a_chain_of_tasks_without_end_is_followed_for_a_while() {
    // Each task spawns the next one and ends.
    let mut records = Vec::new();
    for id in 1..100 {
        records.extend([
            named("task", id - 1, begin(id, 1, id * 10)),
            named("task", id - 1, end(id, 1, id * 10, id * 10 + 1)),
        ]);
    }
    records.push(named("last", 99, begin(100, 1, 1000)));
    let report = report_on(&records);
    assert_eq!(report.tree.first().map(|line| line.state), Some("unknown"));
    assert_eq!(report.tree.last().map(|line| (line.level as usize, &*line.name)), Some((MAX_SEARCHES + 1, "last")));
}

#[test]
fn spans_that_are_one_anothers_parents_are_listed_all_the_same() {
    let report =
        report_on(&[named("a", 2, begin(1, 1, 100)), named("b", 1, begin(2, 1, 90)), named("c", 3, begin(3, 1, 95))]);
    assert_eq!(tree(&report), ["b 10", "  a 0", "c 5"]);
    assert_eq!((report.open, report.roots), (3, 2));
}

#[test]
fn a_recursion_may_be_as_deep_as_it_likes() {
    let records: Vec<_> = (1..=20_000).map(|id| named("deeper", id - 1, begin(id, 1, id))).collect();
    let report = report_on(&records);
    assert_eq!((report.open, report.roots, report.tree[19_999].level), (20_000, 1, 19_999));
    let text = render::open(&report, Some(80));
    assert!(text.contains("+19989 deeper"), "it says how deep it is");
    assert!(text.lines().all(|line| line.chars().count() <= 80));
}

#[test]
fn ages_count_up_to_the_last_sign_of_the_process() {
    let records = Records { records: vec![begin(1, 1, 100), begin(2, 1, 400)], ..Records::default() };
    let until = |last_sign_unix_ns| records.report(&Circumstances { last_sign_unix_ns, ..DIED }, 0).oldest_ns;
    assert_eq!(until(None), Some(300));
    assert_eq!(until(Some(1000)), Some(900));
    assert_eq!(until(Some(200)), Some(300));
}

#[test]
fn young_spans_are_left_out_and_counted() {
    let records = vec![
        named("old", 0, begin(1, 1, 100)),
        named("young", 1, begin(2, 1, 900)),
        named("ended", 1, begin(3, 1, 150)),
        named("young orphan", 3, begin(4, 1, 950)),
        named("ended", 1, end(3, 1, 150, 1000)),
    ];
    let records = Records { records, ..Records::default() };
    let report = records.report(&DIED, 900);
    assert_eq!(tree(&report), ["old 900"]);
    assert_eq!((report.open, report.roots, report.younger, report.cut()), (3, 1, 2, 0));
    let text = render::open(&report, None);
    assert!(text.contains("2 of them not shown because they are younger than --min-age"), "{text}");
    let none = records.report(&DIED, 901);
    assert_eq!((none.tree.len(), none.open, none.younger), (0, 3, 3));
}

#[test]
fn a_span_that_is_old_enough_is_shown_with_its_parents_whatever_their_age() {
    // Two processors' clocks can be a little apart.
    let records = vec![named("parent", 0, begin(1, 1, 101)), named("child", 1, begin(2, 2, 100)), begin(3, 1, 200)];
    let report = Records { records, ..Records::default() }.report(&DIED, 100);
    assert_eq!(tree(&report), ["parent 99", "  child 100"]);
    assert_eq!((report.open, report.younger), (3, 1));
}

#[test]
fn a_limit_counts_open_spans_and_leaves_no_parent_without_child() {
    let mut report = report_on(&[
        named("a", 0, begin(1, 1, 100)),
        named("b", 1, begin(2, 1, 110)),
        named("gone", 1, begin(3, 1, 120)),
        named("c", 3, begin(4, 1, 130)),
        named("gone", 1, end(3, 1, 120, 200)),
    ]);
    assert_eq!(tree(&report), ["a 100", "  b 90", "  gone completed", "    c 70"]);
    let whole = report.clone();
    report.limit(3);
    assert_eq!(report, whole);
    report.limit(2);
    assert_eq!(tree(&report), ["a 100", "  b 90"]);
    assert_eq!((report.open, report.cut()), (3, 1));
    assert!(render::open(&report, None).contains("... and 1 more span: see all with --limit 0"));
}

#[test]
fn losses_are_counted_and_what_they_may_have_ended_is_marked() {
    let loss = |records, cause| Loss { thread: 2, records, cause, after_unix_ns: Some(150), before_unix_ns: Some(300) };
    let records = Records {
        records: vec![named("maybe", 0, begin(1, 1, 100)), named("surely", 0, begin(2, 1, 500))],
        losses: vec![loss(5, LossCause::Dropped), loss(7, LossCause::Overwritten)],
    };
    let report = records.report(&Circumstances { refused_events: 1, ..DIED }, 0);
    assert_eq!((report.lost_records, report.overwritten_records, report.doubtful), (12, 7, 1));
    let text = render::open(&report, None);
    let lines: Vec<_> = text.lines().collect();
    assert!(lines[0].contains("end"), "{text}");
    assert!(lines[1].starts_with("maybe") && lines[1].contains("lost?"), "{text}");
    assert!(lines[2].starts_with("surely") && !lines[2].contains("lost?"), "{text}");
    assert!(text.contains("UNCERTAIN: 5 events lost, 7 older events overwritten, 1 event refused: "), "{text}");
    assert!(text.contains("1 span marked `lost?` may have ended among them"), "{text}");
}

#[test]
fn the_text_shows_age_kind_thread_and_place() {
    let location =
        Location { lod: 3, target: String::new(), module_path: String::new(), file: "src/db.rs".to_owned(), line: 12 };
    let records = [
        named("request", 0, begin(1, 1, 1_000_000_000)),
        SpanRecord { location: Some(&location), ..named("query", 1, begin(2, 2, 1_500_000_000)) },
        SpanRecord { kind: SpanKind::Thread, ..named("rank", 2, begin(3, 3, 2_000_000_000)) },
    ];
    assert_eq!(
        render::open(&report_on(&records), None),
        "span        age  kind    began on   where\n\
         request   1.00s  async   worker #1  ?\n\
         \x20 query   500ms  async   worker #2  src/db.rs:12\n\
         \x20   rank    0ns  thread  thread 3   ?\n\
         3 open spans, 1 of them a root, the oldest 1.00s old\n\
         ages count up to 1970-01-01 00:00:02.000 UTC, the last sign of the process, which died\n"
    );
}

#[test]
fn nothing_open_is_a_clear_line() {
    let records = Records { records: vec![begin(1, 1, 100), end(1, 1, 100, 150)], ..Records::default() };
    let report = records.report(&Circumstances { writer: WriterState::Stopped, ..DIED }, 0);
    assert_eq!((report.open, report.roots, report.oldest_ns, report.tree.len()), (0, 0, None, 0));
    assert_eq!(
        render::open(&report, None),
        "no open spans: every span that began has ended\n\
         ages count up to 1970-01-01 00:00:00.000 UTC, when the recording was stopped\n"
    );
}

#[test]
fn no_line_is_wider_than_the_terminal() {
    let name = "GET /a/path/that/is/much/longer/than/any/column/of/this/table/can/be/查询用户信息表";
    let location = Location {
        lod: 3,
        target: String::new(),
        module_path: String::new(),
        file: "/home/somebody/projects/service/src/handlers/very_long_name.rs".to_owned(),
        line: 12345,
    };
    let records: Vec<_> = (1..=40)
        .map(|id| SpanRecord {
            location: Some(&location),
            ..named(name, id - 1, begin(id, 1 + (id % 3) as u32, id * 1_234_567))
        })
        .collect();
    let loss =
        Loss { thread: 1, records: 3, cause: LossCause::Dropped, after_unix_ns: None, before_unix_ns: Some(u64::MAX) };
    let report = Records { records, losses: vec![loss] }.report(&DIED, 0);
    for width in [60, 80, 120, 200] {
        for line in render::open(&report, Some(width)).lines() {
            assert!(unicode_width::UnicodeWidthStr::width(line) <= width, "{width}: {line}");
        }
    }
    assert!(render::open(&report, None).contains(name));
}

#[test]
fn a_name_cannot_control_the_terminal() {
    let text = render::open(&report_on(&[named("a\n\u{1b}[31mb", 0, begin(1, 1, 100))]), None);
    assert!(text.contains("a\\n\\u{1b}[31mb"), "{text}");
}
