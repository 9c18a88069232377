//! The OTLP export: what it writes, and how it gets on with collectors of all kinds.
#![cfg(feature = "otlp")]

#[path = "common/collector.rs"]
mod collector;
mod common;
#[path = "common/detailed.rs"]
mod detailed;
#[path = "otlp/encrypted.rs"]
mod encrypted;
#[path = "common/facts.rs"]
mod facts;
#[path = "common/program.rs"]
mod program;

use collector::{Answer, FakeCollector};
use common::{UNIX_NS, begin, full_span, span, threads};
use facts::{SharedBytes, facts, location};
use opentelemetry_proto::tonic::collector::metrics::v1::ExportMetricsServiceRequest;
use opentelemetry_proto::tonic::collector::trace::v1::ExportTraceServiceRequest;
use opentelemetry_proto::tonic::common::v1::KeyValue;
use opentelemetry_proto::tonic::common::v1::any_value::Value;
use opentelemetry_proto::tonic::metrics::v1::metric::Data;
use opentelemetry_proto::tonic::metrics::v1::number_data_point::Value as Number;
use opentelemetry_proto::tonic::trace::v1::Span as OtlpSpan;
use spanring::reader::{Damage, Loss, LossCause, SpanKind, SpanRecord};
use spanring_cli::export::otlp::{BATCH_SPANS, OtlpExporter};
use spanring_cli::export::traces::{Roots, TraceIds};
use spanring_cli::export::{ExportError, Exporter, OtlpOptions, OtlpProtocol, Output};
use spanring_cli::places::Place;
use spanring_cli::spans::{Ending, Item, MOST_INSTANTS, Span};
use std::collections::HashSet;
use std::path::PathBuf;
use std::time::{Duration, Instant};
use tonic_types::{ErrorDetails, StatusExt};

/// Exports to a file, and reads its lines with spans.
fn export(feed: impl FnOnce(&mut dyn Exporter)) -> Vec<ExportTraceServiceRequest> {
    export_all(feed).0
}

/// The same, those with values of counters, and the remarks.
fn export_all(
    feed: impl FnOnce(&mut dyn Exporter),
) -> (Vec<ExportTraceServiceRequest>, Vec<ExportMetricsServiceRequest>, Vec<String>) {
    let out = SharedBytes::default();
    let output = Output::Stream(Box::new(out.clone()));
    let mut exporter = Box::new(OtlpExporter::new(&facts(), &OtlpOptions::default(), output).expect("it starts"));
    feed(&mut *exporter);
    let remarks = exporter.finish().expect("memory takes everything");
    let text = String::from_utf8(out.take()).expect("UTF-8");
    assert!(text.ends_with('\n'));
    let (metrics, traces): (Vec<&str>, Vec<&str>) = text.lines().partition(|line| line.contains("resourceMetrics"));
    let traces = traces.into_iter().map(|line| serde_json::from_str(line).expect("a request"));
    let metrics = metrics.into_iter().map(|line| serde_json::from_str(line).expect("a request"));
    (traces.collect(), metrics.collect(), remarks)
}

/// Every value, with the name of its gauge.
fn values_of(requests: &[ExportMetricsServiceRequest]) -> Vec<(String, Number)> {
    let scopes = requests.iter().flat_map(|request| &request.resource_metrics).flat_map(|found| &found.scope_metrics);
    let metrics = scopes.flat_map(|scope| &scope.metrics);
    let points = metrics.flat_map(|metric| match &metric.data {
        Some(Data::Gauge(gauge)) => {
            gauge.data_points.iter().map(|point| (metric.name.clone(), point.value.expect("one")))
        }
        other => panic!("{other:?}"),
    });
    points.collect()
}

fn export_items(items: &[Item<'_>]) -> Vec<ExportTraceServiceRequest> {
    export(|exporter| items.iter().for_each(|item| exporter.add(item).expect("taken")))
}

/// All spans of a scope.
fn spans_of(requests: &[ExportTraceServiceRequest], scope: &str) -> Vec<OtlpSpan> {
    let scopes = requests.iter().flat_map(|request| &request.resource_spans).flat_map(|spans| &spans.scope_spans);
    let scopes = scopes.filter(|spans| spans.scope.as_ref().is_some_and(|found| found.name == scope));
    scopes.flat_map(|spans| spans.spans.clone()).collect()
}

/// An attribute as text.
fn attribute(attributes: &[KeyValue], key: &str) -> Option<String> {
    let found = attributes.iter().find(|attribute| attribute.key == key)?;
    Some(match found.value.clone()?.value? {
        Value::StringValue(text) => text,
        Value::IntValue(number) => number.to_string(),
        Value::BoolValue(value) => value.to_string(),
        Value::DoubleValue(value) => format!("{value:?}"),
        Value::ArrayValue(list) => format!("{:?}", list.values.iter().map(|value| &value.value).collect::<Vec<_>>()),
        other => panic!("{other:?}"),
    })
}

fn id(id: u64) -> Vec<u8> {
    id.to_be_bytes().to_vec()
}

fn trace_id(root: u64) -> Vec<u8> {
    TraceIds::of(&facts()).id(root).to_be_bytes().to_vec()
}

#[test]
fn a_span_carries_everything_that_is_known() {
    let unix_ns = UNIX_NS;
    let place = Place { index: 0, location: location() };
    let span = full_span(&place);
    let threads = threads();
    let requests = export_items(&[Item::Thread(&threads[0]), Item::Thread(&threads[1]), Item::Span(span)]);
    let [found] = &spans_of(&requests, "spanring")[..] else { panic!("one span") };
    assert_eq!((&found.span_id, &found.parent_span_id, &found.trace_id), (&id(8), &id(3), &trace_id(3)));
    assert_eq!(found.name, "que\"ry\n\u{1f980}");
    assert_eq!((found.start_time_unix_nano, found.end_time_unix_nano), (unix_ns, unix_ns + 501));
    assert_eq!(found.status.as_ref().map(|status| (status.code, status.message.as_str())), Some((2, "panicked")));
    let expected = [
        ("spanring.kind", "async"),
        ("spanring.outcome", "panicked"),
        ("spanring.depth", "4"),
        ("spanring.polls", "9"),
        ("code.file.path", "src/db.rs"),
        ("code.line.number", "12"),
        ("spanring.module_path", "service::db"),
        ("spanring.target", "service"),
        ("thread.id", "1"),
        ("thread.name", "worker a"),
        ("spanring.end_thread.id", "2"),
        ("spanring.end_thread.name", "thread 2"),
        ("spanring.wait_ns", "7"),
        ("spanring.busy_ns", "400"),
        ("spanring.idle_ns", "101"),
        ("spanring.name_state", "cut"),
        ("spanring.begin_lost", "true"),
    ];
    for (key, value) in expected {
        assert_eq!(attribute(&found.attributes, key).as_deref(), Some(value), "{key}");
    }
    assert_eq!(found.attributes.len(), expected.len());
    let resource = requests[0].resource_spans[0].resource.clone().expect("there is one");
    let expected = [
        ("service.name", "service"),
        ("process.pid", "42"),
        ("host.name", "here"),
        ("host.arch", "amd64"),
        ("spanring.boot_id", "boot"),
        ("spanring.session", "20261123T140501.250Z-42-0"),
    ];
    for (key, value) in expected {
        assert_eq!(attribute(&resource.attributes, key).as_deref(), Some(value), "{key}");
    }
}

#[test]
fn attributes_have_their_types_instants_are_events_and_counters_gauges() {
    let (traces, metrics, remarks) = export_all(detailed::feed);
    let [span] = &spans_of(&traces, "spanring")[..] else { panic!("one span") };
    let expected = [
        ("truth", "true"),
        ("least", "-9223372036854775808"),
        ("most", "18446744073709551615"),
        ("tenth", "0.1"),
        ("none", "NaN"),
        ("\"\n\u{1F980}", "a \"text\"\n\u{1F980}"),
        ("cut", "the beg"),
        ("thread.id", "1"),
        ("attribute.thread.id", "-5"),
        ("spanring.cut_attributes", "[Some(StringValue(\"cut\"))]"),
    ];
    for (key, value) in expected {
        assert_eq!(attribute(&span.attributes, key).as_deref(), Some(value), "{key}");
    }
    assert_eq!((span.dropped_attributes_count, span.dropped_events_count), (1, 0));
    let [event] = &span.events[..] else { panic!("{:?}", span.events) };
    assert_eq!((&*event.name, event.time_unix_nano), ("i", UNIX_NS + 10));
    assert_eq!(attribute(&event.attributes, "size").as_deref(), Some("3"));
    let marks = spans_of(&traces, "spanring.recording");
    let alone = marks.iter().find(|mark| attribute(&mark.attributes, "spanring.mark").as_deref() == Some("instant"));
    let alone = alone.expect("a mark");
    assert_eq!((alone.start_time_unix_nano, alone.end_time_unix_nano), (UNIX_NS + 20, UNIX_NS + 20));
    let values = values_of(&metrics);
    let values: Vec<_> = values.iter().map(|(name, value)| (name.as_str(), *value)).collect();
    let most = Number::AsDouble(u64::MAX as f64);
    assert_eq!(values, [("queue", Number::AsInt(-1)), ("queue", most), ("load", Number::AsDouble(0.25))]);
    assert!(remarks.contains(&"2 counter values left out: no finite numbers".to_owned()), "{remarks:?}");
}

#[test]
fn instants_beyond_those_that_are_kept_are_counted() {
    let [span] = &spans_of(&export(detailed::feed_crowd), "spanring")[..] else { panic!("one span") };
    assert_eq!((span.events.len(), span.dropped_events_count), (MOST_INSTANTS, 2));
}

#[test]
fn counters_go_where_metrics_go_and_a_collector_need_not_take_them() {
    for (protocol, refusal) in [
        (OtlpProtocol::Http, Answer::Status(404, None)),
        (OtlpProtocol::Grpc, Answer::GrpcStatus(tonic::Status::unimplemented("no metrics"))),
    ] {
        for (answer, taken) in [(Answer::Take, 3), (refusal, 0)] {
            let collector = FakeCollector::with_metrics(answer, protocol == OtlpProtocol::Grpc);
            let output = Output::Address(collector.address.clone());
            let mut exporter = Box::new(OtlpExporter::new(&facts(), &options(protocol), output).expect("it starts"));
            detailed::feed(&mut *exporter);
            let lines = exporter.finish().expect("spans are taken");
            let expected = format!("of counters, as metrics, it accepted {taken} values, and rejected {}", 3 - taken);
            assert!(lines.contains(&expected), "{protocol:?}: {lines:?}");
            let paths: HashSet<String> = collector.received().into_iter().map(|received| received.path).collect();
            let ends = if protocol == OtlpProtocol::Http {
                ["/v1/traces", "/v1/metrics"]
            } else {
                ["TraceService/Export", "MetricsService/Export"]
            };
            assert!(ends.iter().all(|end| paths.iter().any(|path| path.ends_with(end))), "{paths:?}");
        }
    }
}

#[test]
fn only_a_panic_is_an_error() {
    let ended = |id, ending| Item::Span(Span { ending, ..span(id, id * 10, id * 10 + 5) });
    let items = [ended(1, Ending::Completed), ended(2, Ending::Cancelled), ended(3, Ending::Panicked)];
    let spans = spans_of(&export_items(&items), "spanring");
    let outcomes = spans.iter().map(|span| {
        let error = span.status.as_ref().is_some_and(|status| status.code == 2);
        (attribute(&span.attributes, "spanring.outcome").expect("there"), error)
    });
    let outcomes: Vec<_> = outcomes.collect();
    let expected = [("completed", false), ("cancelled", false), ("panicked", true)];
    assert_eq!(outcomes, expected.map(|(outcome, error)| (outcome.to_owned(), error)));
}

#[test]
fn an_open_span_ends_with_the_recording_and_says_that_it_is_open() {
    let open = Span { ending: Ending::Open, end_ns: None, end_thread: None, polls: 0, ..span(1, 1000, 0) };
    let spans = spans_of(&export_items(&[Item::Span(span(2, 2000, 9000)), Item::Span(open)]), "spanring");
    let open = spans.iter().find(|span| span.span_id == id(1)).expect("there");
    assert_eq!((open.start_time_unix_nano, open.end_time_unix_nano), (1000, 9000));
    assert_eq!(attribute(&open.attributes, "spanring.outcome").as_deref(), Some("open"));
}

#[test]
fn losses_damage_and_a_summary_are_spans_of_a_scope_of_their_own() {
    let cause = LossCause::Dropped;
    let loss = Loss { thread: 1, records: 5, cause, after_unix_ns: Some(7000), before_unix_ns: Some(9000) };
    let what = "the checksum is wrong";
    let damage = Damage { path: PathBuf::from("segment"), offset: 64, bytes: 128, records: 2, what };
    let requests = export_items(&[Item::Loss(loss), Item::Span(span(1, 1000, 2000)), Item::Damage(damage)]);
    let marks = spans_of(&requests, "spanring.recording");
    let [lost, damaged, recording] = &marks[..] else { panic!("{} marks", marks.len()) };
    assert_eq!((lost.name.as_str(), lost.start_time_unix_nano, lost.end_time_unix_nano), ("5 events lost", 7000, 9000));
    assert_eq!(attribute(&lost.attributes, "spanring.lost_records").as_deref(), Some("5"));
    assert_eq!(damaged.name, "damage: the checksum is wrong");
    assert_eq!((recording.name.as_str(), recording.end_time_unix_nano), ("recording", 9000));
    let sums = ["spans", "open_spans", "dropped_records", "damaged_records", "damages"];
    let sums = sums.map(|sum| attribute(&recording.attributes, &format!("spanring.{sum}")).expect("there"));
    assert_eq!(sums, ["1", "0", "5", "2", "1"]);
    for mark in [lost, damaged] {
        assert_eq!((&mark.parent_span_id, &mark.trace_id), (&recording.span_id, &trace_id(0)));
    }
    assert_eq!(spans_of(&requests, "spanring").len(), 1);
}

#[test]
fn a_root_and_everything_below_it_are_one_trace() {
    let made = |id, parent| SpanRecord { parent_span_id: parent, ..begin(id, 1, id * 10) };
    let ended = |id, parent, end_ns| Span { parent, ..span(id, id * 10, end_ns) };
    let requests = export(|exporter| {
        // 3 is made in 2, 2 in 1. The begins of the parents are read after their child's end.
        exporter.begun(&made(3, 2));
        exporter.add(&Item::Span(ended(3, 2, 50))).expect("taken");
        exporter.add(&Item::Span(Span { kind: SpanKind::Thread, ..ended(4, 3, 45) })).expect("taken");
        [made(1, 0), made(2, 1), made(5, 0)].iter().for_each(|record| exporter.begun(record));
        [ended(1, 0, 60), ended(2, 1, 70), ended(5, 0, 80)]
            .iter()
            .for_each(|span| exporter.add(&Item::Span(*span)).expect("taken"));
    });
    let traces = spans_of(&requests, "spanring").into_iter().map(|span| (span.span_id, span.trace_id));
    let expected = [(1, 1), (2, 1), (3, 1), (4, 1), (5, 5)].map(|(span, root)| (id(span), trace_id(root)));
    // In order of their begin.
    assert_eq!(traces.collect::<Vec<_>>(), expected);
}

#[test]
fn roots_are_found_in_bounded_memory_whatever_parents_say() {
    let mut roots = Roots::remembering(100);
    // Each is made in the one before, which ends at once: the first is the root of all of them.
    for id in 1..=10_000 {
        roots.begun(id, id - 1);
        assert_eq!(roots.root(id), 1);
        roots.ended(id, id - 1);
    }
    assert_eq!(roots.len(), 100);
    // Round in circles, as damage can have it.
    roots.begun(20_001, 20_002);
    roots.begun(20_002, 20_003);
    roots.begun(20_003, 20_001);
    roots.begun(20_004, 20_004);
    let circle: HashSet<_> = [20_001, 20_002, 20_003].map(|id| roots.root(id)).into();
    assert_eq!((circle.len(), roots.root(20_004)), (1, 20_004));
}

#[test]
fn trace_ids_are_the_same_for_ever_and_differ_by_session_and_root() {
    let ids = TraceIds::of(&facts());
    assert_eq!(format!("{:032x}", ids.id(7)), "c42f967db8d61bb2a88ed7e3e5d53088");
    let other = TraceIds::of(&spanring::reader::ProcessFacts { pid: 43, ..facts() });
    let all: HashSet<_> = (0..1000).flat_map(|root| [ids.id(root), other.id(root)]).collect();
    assert_eq!(all.len(), 2000);
}

const BOTH: [OtlpProtocol; 2] = [OtlpProtocol::Http, OtlpProtocol::Grpc];

fn collector(protocol: OtlpProtocol, answers: &[Answer]) -> FakeCollector {
    FakeCollector::start(answers, protocol == OtlpProtocol::Grpc)
}

/// Sends so many spans of 10 ns each to a collector.
fn send(collector: &FakeCollector, count: u64, options: OtlpOptions) -> Result<Vec<String>, ExportError> {
    let output = Output::Address(collector.address.clone());
    let mut exporter = Box::new(OtlpExporter::new(&facts(), &options, output)?);
    for id in 1..=count {
        exporter.add(&Item::Span(span(id, id * 100, id * 100 + 10)))?;
    }
    exporter.finish()
}

fn options(protocol: OtlpProtocol) -> OtlpOptions {
    OtlpOptions { protocol: Some(protocol), retry_for: Duration::from_secs(20), ..OtlpOptions::default() }
}

/// Every span was taken exactly once, and so was the summary.
fn assert_all_taken(collector: &FakeCollector, count: u64) {
    let taken: Vec<_> = collector.received().into_iter().filter(|received| received.taken).collect();
    let requests: Vec<_> = taken.into_iter().map(|received| received.request).collect();
    let spans = spans_of(&requests, "spanring");
    let ids: HashSet<_> = spans.iter().map(|span| span.span_id.clone()).collect();
    assert_eq!((spans.len() as u64, ids.len() as u64), (count, count));
    assert_eq!(spans_of(&requests, "spanring.recording").len(), 1);
}

#[test]
fn a_collector_gets_every_span_in_batches() {
    let count = BATCH_SPANS as u64 * 2 + 5;
    for protocol in BOTH {
        let collector = collector(protocol, &[Answer::Take]);
        let headers = vec![("api-key".to_owned(), "secret".to_owned())];
        let lines = send(&collector, count, OtlpOptions { headers, ..options(protocol) }).expect("taken");
        let said = format!(
            "the collector accepted {} spans in 3 requests, 0 of which had to be repeated, and rejected 0",
            count + 1
        );
        assert_eq!(lines, [said]);
        assert_all_taken(&collector, count);
        for received in collector.received() {
            let path = match protocol {
                OtlpProtocol::Http => "/v1/traces",
                OtlpProtocol::Grpc => "/opentelemetry.proto.collector.trace.v1.TraceService/Export",
            };
            assert_eq!(received.path, path);
            assert_eq!(received.headers["api-key"], "secret");
        }
    }
}

#[test]
fn what_a_collector_rejects_is_counted_and_quoted() {
    for protocol in BOTH {
        let collector = collector(protocol, &[Answer::Reject(3, "too old\u{1b}[2J")]);
        let lines = send(&collector, 10, options(protocol)).expect("taken");
        assert!(lines[0].contains("accepted 8 spans in 1 request,") && lines[0].ends_with("rejected 3"), "{lines:?}");
        assert!(lines[1].starts_with("rejected 3: too old") && !lines[1].contains('\u{1b}'), "{lines:?}");
    }
}

#[test]
fn a_request_that_is_refused_for_now_is_sent_again_after_the_time_that_is_asked_for() {
    let second = ErrorDetails::with_retry_info(Some(Duration::from_secs(1)));
    let refused = |code| Answer::GrpcStatus(tonic::Status::with_error_details(code, "not now", second.clone()));
    let cases = [
        (OtlpProtocol::Http, Answer::Status(503, Some(1))),
        (OtlpProtocol::Http, Answer::Status(429, Some(1))),
        (OtlpProtocol::Grpc, refused(tonic::Code::Unavailable)),
        (OtlpProtocol::Grpc, refused(tonic::Code::ResourceExhausted)),
    ];
    for (protocol, answer) in cases {
        let collector = collector(protocol, &[answer.clone(), Answer::Take]);
        let lines = send(&collector, 10, options(protocol)).expect("taken");
        assert!(lines[0].contains("accepted 11 spans in 1 request, 1 of which"), "{lines:?}");
        assert_all_taken(&collector, 10);
        let at: Vec<_> = collector.received().iter().map(|received| received.at).collect();
        assert!(at[1] - at[0] >= Duration::from_secs(1), "{answer:?}");
    }
}

#[test]
fn without_such_a_time_the_waits_grow() {
    for (protocol, answer) in [
        (OtlpProtocol::Http, Answer::Status(502, None)),
        (OtlpProtocol::Grpc, Answer::GrpcStatus(tonic::Status::aborted("not now"))),
    ] {
        let collector = collector(protocol, &[answer.clone(), answer.clone(), answer, Answer::Take]);
        send(&collector, 10, options(protocol)).expect("taken");
        assert_all_taken(&collector, 10);
        let at: Vec<_> = collector.received().iter().map(|received| received.at).collect();
        // A quarter of a second, give or take half of it, then twice and four times that.
        assert!(at[1] - at[0] >= Duration::from_millis(125) && at[3] - at[2] >= Duration::from_millis(500));
    }
}

#[test]
fn a_request_that_is_refused_for_good_ends_the_export_and_says_why() {
    let cases = [
        (OtlpProtocol::Http, Answer::Status(400, None), "400 Bad Request: not now"),
        (OtlpProtocol::Http, Answer::Status(401, None), "401 Unauthorized"),
        (OtlpProtocol::Http, Answer::Page, "200 OK, but the answer is none of a collector: <html>hello</html>"),
        (OtlpProtocol::Grpc, Answer::GrpcStatus(tonic::Status::invalid_argument("not now")), "not now"),
        (OtlpProtocol::Grpc, Answer::GrpcStatus(tonic::Status::resource_exhausted("not now")), "not now"),
    ];
    for (protocol, answer, said) in cases {
        let collector = collector(protocol, &[answer]);
        let error = send(&collector, 10, options(protocol)).expect_err("refused").to_string();
        assert!(error.contains(said) && error.contains("(0 spans known to be taken)"), "{error}");
        assert_eq!(collector.received().len(), 1);
    }
}

#[test]
fn a_collector_that_does_not_answer_in_time_is_asked_again() {
    for protocol in BOTH {
        let collector = collector(protocol, &[Answer::Late(Duration::from_secs(60)), Answer::Take]);
        let options = OtlpOptions { timeout: Duration::from_millis(300), ..options(protocol) };
        let lines = send(&collector, 10, options).expect("taken");
        assert!(lines[0].contains("1 of which had to be repeated"), "{lines:?}");
        assert_eq!(collector.received().len(), 2);
    }
}

#[test]
fn patience_has_an_end() {
    for protocol in BOTH {
        let options = OtlpOptions { retry_for: Duration::from_millis(500), ..options(protocol) };
        // A port at which nobody listens.
        let gone = collector(protocol, &[Answer::Take]).address.clone();
        let started = Instant::now();
        let output = Output::Address(gone);
        let exporter = OtlpExporter::new(&facts(), &options, output).expect("it has not connected yet");
        let error = Box::new(exporter).finish().expect_err("nobody is there").to_string();
        assert!(error.contains("gave up after") && error.contains("refused"), "{error}");
        assert!(started.elapsed() < Duration::from_secs(5));
    }
    let collector = collector(OtlpProtocol::Http, &[Answer::Status(503, Some(3600))]);
    let error = send(&collector, 1, options(OtlpProtocol::Http)).expect_err("an hour is too long").to_string();
    assert!(error.contains("503 Service Unavailable") && error.contains("it asks to wait 3600s"), "{error}");
}

#[test]
fn a_slow_collector_slows_the_export_down_instead_of_filling_memory() {
    let late = Duration::from_millis(200);
    let collector = collector(OtlpProtocol::Http, &[Answer::Late(late)]);
    let output = Output::Address(collector.address.clone());
    let mut exporter = OtlpExporter::new(&facts(), &options(OtlpProtocol::Http), output).expect("it starts");
    let loss = Loss { thread: 1, records: 1, cause: LossCause::Dropped, after_unix_ns: None, before_unix_ns: None };
    let started = Instant::now();
    let batches = 24;
    for _ in 0..batches * BATCH_SPANS {
        exporter.add(&Item::Loss(loss)).expect("taken");
    }
    // Four are on their way and four wait, so sixteen have been answered, four at a time.
    assert!(started.elapsed() >= late * 3, "{:?}", started.elapsed());
    Box::new(exporter).finish().expect("taken");
    assert_eq!(collector.received().len(), batches + 1);
}

#[test]
fn an_address_or_a_header_that_is_none_is_refused_at_once() {
    let refused = |address: &str, headers: Vec<(String, String)>| {
        let options = OtlpOptions { headers, ..OtlpOptions::default() };
        match OtlpExporter::new(&facts(), &options, Output::Address(address.to_owned())).map(drop) {
            Err(ExportError::Refused(why)) => why,
            other => panic!("{other:?}"),
        }
    };
    assert!(refused("ftp://127.0.0.1", Vec::new()).contains("begins with http:// or https://"));
    assert!(refused("http://[", Vec::new()).starts_with("http://[: "));
    let header = vec![("api key".to_owned(), "secret".to_owned())];
    let why = refused("http://127.0.0.1:4318", header);
    assert!(why.contains("`api key` is no header") && !why.contains("secret"), "{why}");
}
