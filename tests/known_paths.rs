//! Code written for the names that such a library is known by compiles with the crate's name changed, and records.

#![cfg(feature = "enable")]

mod common;

use common::{Contents, exclusive, run};
use spanring::Recorder;
use spanring::dispatch::{
    flush_thread_buffer, init_thread_stream, on_begin_async_named_scope, on_begin_async_scope, on_begin_named_scope,
    on_begin_scope, on_end_async_named_scope, on_end_async_scope, on_end_named_scope, on_end_scope,
};
use spanring::intern_string::intern_string;
use spanring::levels::Verbosity;
use spanring::prelude::*;
use spanring::reader::{Outcome, Phase, SpanKind};
use spanring::spans::{
    InstrumentFuture, InstrumentedFuture, InstrumentedNamedFuture, SpanLocation, SpanMetadata, current_span_id,
};
use spanring::string_id::StringId;
use std::future::{Ready, ready};
use std::pin::Pin;
use std::task::{Context, Poll};

static LOCATION: SpanLocation =
    SpanLocation { lod: Verbosity::Med, target: "storage", module_path: module_path!(), file: file!(), line: line!() };

static SYNC: SpanMetadata = SpanMetadata {
    name: "sync",
    location: SpanLocation {
        lod: Verbosity::Min,
        target: "storage::disk",
        module_path: module_path!(),
        file: file!(),
        line: line!(),
    },
};

/// Runs `work` recorded to memory.
fn recorded(work: impl FnOnce()) -> Contents {
    let _turn = exclusive();
    let recorder = Recorder::builder().memory().start().unwrap();
    work();
    flush_thread_buffer();
    let contents = Contents::of_memory(&recorder.memory().unwrap().bytes());
    contents.check_whole();
    contents
}

/// A future of one's own around both wrappers, which needs their names.
struct Both {
    of_site: InstrumentedFuture<Ready<u32>>,
    named: InstrumentedNamedFuture<Ready<u32>>,
}

impl Future for Both {
    type Output = u32;

    fn poll(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<u32> {
        let (Poll::Ready(a), Poll::Ready(b)) =
            (Pin::new(&mut self.of_site).poll(cx), Pin::new(&mut self.named).poll(cx))
        else {
            return Poll::Pending;
        };
        Poll::Ready(a + b)
    }
}

#[test]
fn the_wrappers_can_be_made_by_hand_and_named_in_fields() {
    let contents = recorded(|| {
        let both = Both {
            of_site: InstrumentedFuture::new(ready(1), &SYNC),
            named: InstrumentedNamedFuture::new(ready(2), &LOCATION, "compact"),
        };
        assert_eq!(run(both), 3);
    });
    assert_eq!(contents.story(), ["+sync", "-sync", "+compact", "-compact"]);
    let location = contents.span("sync").1.location.as_ref().unwrap();
    assert_eq!((location.lod, location.target.as_str()), (1, "storage::disk"));
    assert_eq!((location.file.as_str(), location.line), (file!(), SYNC.location.line));
    let location = contents.span("compact").0.location.as_ref().unwrap();
    assert_eq!((location.lod, location.target.as_str(), location.line), (2, "storage", LOCATION.line));
    assert_eq!(location.module_path, module_path!());
}

#[test]
fn the_traits_methods_and_the_macros_are_found() {
    let contents = recorded(|| {
        let inside = run(async { current_span_id() }.instrument(&SYNC));
        assert!(inside.is_some());
        run(async {}.instrument_named(&LOCATION, intern_string("interned")));
        run(span_async_named!("by macro", async {}));
    });
    assert_eq!(contents.story(), ["+sync", "-sync", "+interned", "-interned", "+by macro", "-by macro"]);
}

#[test]
fn a_string_id_is_the_address_and_length_of_a_name() {
    let name = "a name";
    assert_eq!(StringId::from(name), StringId { ptr: name.as_ptr() as u64, len: 6 });
}

#[test]
fn async_spans_by_hand_are_paired_by_their_id() {
    let contents = recorded(|| {
        let outer = on_begin_async_scope(&SYNC, 0, 0);
        let first = on_begin_async_named_scope(&LOCATION, "first", outer, 1);
        let second = on_begin_async_named_scope(&LOCATION, "second", outer, 1);
        assert!(outer != 0 && first != 0 && second != 0 && first != second);
        on_end_async_named_scope(first, outer, &LOCATION, "first", 1);
        on_end_async_named_scope(second, outer, &LOCATION, "second", 1);
        on_end_async_scope(outer, 0, &SYNC, 0);
    });
    assert_eq!(contents.story(), ["+sync", "+first", "+second", "-first", "-second", "-sync"]);
    let (outer, _) = contents.span("sync");
    for name in ["first", "second"] {
        let (begin, end) = contents.span(name);
        assert_eq!((begin.span_id, begin.parent, begin.depth), (end.span_id, outer.span_id, 1));
        assert_eq!((end.parent, end.depth, end.outcome), (outer.span_id, 1, Some(Outcome::Completed)));
        // The end by hand does not know its begin's time; the begin's own record does.
        assert_eq!(end.begin_unix_ns, None);
    }
}

#[test]
fn thread_spans_by_hand_end_in_reverse_order() {
    let contents = recorded(|| {
        let before = current_span_id();
        on_begin_scope(&SYNC);
        on_begin_named_scope(&LOCATION, "inner");
        assert_eq!(current_span_id(), before, "a thread span is never current");
        on_end_named_scope(&LOCATION, "inner");
        on_end_scope(&SYNC);
        on_end_scope(&SYNC);
    });
    assert_eq!(contents.story(), ["+sync", "+inner", "-inner", "-sync"]);
    let (begin, end) = contents.span("inner");
    assert_eq!((begin.span_id, begin.kind, begin.depth), (end.span_id, SpanKind::Thread, 1));
    assert_eq!(end.begin_unix_ns, Some(begin.unix_ns));
}

#[test]
fn thread_spans_by_hand_that_nest_too_deep_are_refused_whole_and_counted() {
    const DEPTH: u64 = 300;
    const RECORDED: u64 = 128;
    let contents = recorded(|| {
        let refused = || spanring::health().unwrap().refused;
        (0..DEPTH).for_each(|_| on_begin_scope(&SYNC));
        (0..DEPTH).for_each(|_| on_end_scope(&SYNC));
        flush_thread_buffer();
        assert_eq!(refused(), DEPTH - RECORDED);
        on_begin_named_scope(&LOCATION, "after");
        on_end_named_scope(&LOCATION, "after");
    });
    let ids = |phase| -> Vec<u64> {
        let sync = contents.spans().filter(|record| record.name == "sync");
        sync.filter(|record| record.phase == phase).map(|record| record.span_id).collect()
    };
    let innermost_first: Vec<u64> = ids(Phase::Begin).into_iter().rev().collect();
    assert_eq!(ids(Phase::End), innermost_first);
    assert_eq!(innermost_first.len() as u64, RECORDED);
    assert_eq!(contents.span("after").0.depth, 0);
}

#[test]
fn the_functions_for_threads_work_whether_or_not_anyone_records() {
    init_thread_stream();
    flush_thread_buffer();
    recorded(init_thread_stream);
}

#[test]
fn nothing_is_recorded_while_nobody_records() {
    let _turn = exclusive();
    assert_eq!(on_begin_async_scope(&SYNC, 0, 0), 0);
    on_end_async_scope(0, 0, &SYNC, 0);
    on_begin_scope(&SYNC);
    on_end_scope(&SYNC);
    assert_eq!(run(async { current_span_id() }.instrument(&SYNC)), None);
}
