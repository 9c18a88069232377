//! Traces through several processes, in the OTLP export: spans of which other processes know stand below those of the others.
#![cfg(feature = "otlp")]

use opentelemetry_proto::tonic::collector::trace::v1::ExportTraceServiceRequest;
use opentelemetry_proto::tonic::trace::v1::Span as OtlpSpan;
use spanring::Recorder;
use spanring::prelude::*;
use spanring::reader::Recording;
use spanring::trace_context::{PARENT_KEY, Trace, TraceParent};
use spanring_cli::export::traces::TraceIds;
use spanring_cli::export::{self, Format, Options, Output};
use spanring_cli::progress::Silent;
use std::collections::BTreeMap;
use std::pin::pin;
use std::sync::{Mutex, PoisonError};
use std::task::{Context, Poll, Waker};

const HEADER: &str = "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01";
const IS_REMOTE: u32 = 0x200;

fn run<F: Future>(future: F) -> F::Output {
    match pin!(future).poll(&mut Context::from_waker(Waker::noop())) {
        Poll::Ready(output) => output,
        Poll::Pending => unreachable!("nothing here waits"),
    }
}

/// What was exported of what `work` recorded, by name; and the trace ids of the session.
fn exported<F: Future>(work: F) -> (BTreeMap<String, OtlpSpan>, TraceIds, F::Output) {
    static TURN: Mutex<()> = Mutex::new(());
    let _turn = TURN.lock().unwrap_or_else(PoisonError::into_inner);
    let recorder = Recorder::builder().memory().start().unwrap();
    let memory = recorder.memory().unwrap().clone();
    let output = run(work);
    assert_eq!(recorder.stop().unwrap().lost, 0);
    let recording = Recording::from_segment(&memory.bytes()).unwrap();
    let mut lines = Vec::new();
    let to = Output::Stream(Box::new(&mut lines));
    export::run(&recording, Format::Otlp, &Options::default(), to, &mut Silent).unwrap();
    let mut spans = BTreeMap::new();
    for line in lines.split(|byte| *byte == b'\n').filter(|line| !line.is_empty()) {
        let Ok(request) = serde_json::from_slice::<ExportTraceServiceRequest>(line) else { continue };
        for scope in request.resource_spans.into_iter().flat_map(|resource| resource.scope_spans) {
            if scope.scope.is_some_and(|scope| scope.name == "spanring") {
                spans.extend(scope.spans.into_iter().map(|span| (span.name.clone(), span)));
            }
        }
    }
    (spans, TraceIds::of(recording.facts()), output)
}

fn header() -> TraceParent {
    HEADER.parse().unwrap()
}

fn trace_of(span: &OtlpSpan) -> u128 {
    u128::from_be_bytes(span.trace_id.clone().try_into().unwrap())
}

fn id_of(id: &[u8]) -> u64 {
    if id.is_empty() { 0 } else { u64::from_be_bytes(id.try_into().unwrap()) }
}

#[test]
fn what_came_from_another_process_is_below_its_span_with_all_that_is_in_it() {
    let (spans, ids, (request, call, connection)) = exported(async {
        span_async_named!("connection", async {
            let (request, call) = span_async_named!("request", async {
                let trace = Trace::here(Some(header()));
                span_scope!("scope");
                let call = span_async_named!("call", async { trace.parent() }).await;
                (trace.parent(), call)
            })
            .await;
            (request, call, current_span_id().unwrap())
        })
        .await
    });
    let at = |name: &str| (trace_of(&spans[name]), id_of(&spans[name].span_id), id_of(&spans[name].parent_span_id));
    // Ids are those that others were told.
    assert_eq!(at("request"), (header().trace_id, request.span_id, header().span_id));
    assert_eq!(at("call"), (header().trace_id, call.span_id, request.span_id));
    assert_eq!((at("scope").0, at("scope").2), (header().trace_id, request.span_id));
    // What is around it is a trace of its own, to which there is a link.
    assert_eq!(at("connection"), (ids.id(connection), connection, 0));
    let [link] = &spans["request"].links[..] else { panic!("one link") };
    assert_eq!((&link.trace_id, &link.span_id), (&spans["connection"].trace_id, &spans["connection"].span_id));
    // Only the one whose parent is elsewhere says so, and nothing else has a link.
    let remote: Vec<&str> = spans.values().filter(|span| span.flags & IS_REMOTE != 0).map(|span| &*span.name).collect();
    assert_eq!(remote, ["request"]);
    assert_eq!(spans.values().map(|span| span.links.len()).sum::<usize>(), 1);
}

#[test]
fn a_trace_that_begins_here_is_known_by_what_was_sent() {
    let (spans, _, (first, sent)) = exported(async {
        span_async_named!("first", async {
            let trace = Trace::here(None);
            (trace.parent(), span_async_named!("sent", async { trace.parent() }).await)
        })
        .await
    });
    let at = |name: &str| (trace_of(&spans[name]), id_of(&spans[name].span_id), id_of(&spans[name].parent_span_id));
    assert_eq!(at("first"), (first.trace_id, first.span_id, 0));
    assert_eq!(at("sent"), (first.trace_id, sent.span_id, first.span_id));
    assert!(spans.values().all(|span| span.flags & IS_REMOTE == 0 && span.links.is_empty()));
}

#[test]
fn a_parent_that_somebody_else_wrote_down_is_one_as_well() {
    let (spans, ids, id) = exported(async {
        let request = span_async_named!("request", traceparent = HEADER.to_owned(), async {
            span_async_named!("below", async {}).await;
            current_span_id().unwrap()
        });
        request.await
    });
    assert_eq!(PARENT_KEY, "traceparent");
    let request = &spans["request"];
    assert_eq!((trace_of(request), id_of(&request.parent_span_id)), (header().trace_id, header().span_id));
    assert_eq!(id_of(&request.span_id), id ^ ids.mask());
    let below = &spans["below"];
    assert_eq!((trace_of(below), &below.parent_span_id), (header().trace_id, &request.span_id));
}

#[test]
fn what_is_no_traceparent_changes_nothing() {
    let (spans, ids, id) = exported(async {
        let request = span_async_named!("request", traceparent = "00-nonsense", traceparent.here = 7, async {
            span_async_named!("below", async {}).await;
            current_span_id().unwrap()
        });
        request.await
    });
    let request = &spans["request"];
    assert_eq!((trace_of(request), id_of(&request.span_id), id_of(&request.parent_span_id)), (ids.id(id), id, 0));
    assert_eq!((&spans["below"].trace_id, &spans["below"].parent_span_id), (&request.trace_id, &request.span_id));
}
