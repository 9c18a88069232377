//! fastrace.

use crate::library::{Kind, Library, Outcome, Recording, Row, Setup, spawn_each, work};
use crate::rows::spans::NAMES;
use crate::rows::{poll_each, run_each};
use fastrace::collector::{Config, Reporter, SpanRecord};
use fastrace::future::FutureExt;
use fastrace::local::LocalSpan;
use fastrace::prelude::{Span, SpanContext};
use std::hint::black_box;
use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

pub struct Fastrace;

const ROWS: [Row; 4] = [
    Row {
        kind: Kind::Async,
        way: "in_span",
        spans: in_span,
        tasks: Some(|n| spawn_each(n, || work().in_span(Span::root("task", SpanContext::random())))),
    },
    // In a task it would make a span of every poll.
    Row { kind: Kind::Async, way: "enter_on_poll", spans: enter_on_poll, tasks: None },
    Row { kind: Kind::AsyncRunTimeName, way: "in_span", spans: in_span_run_time_name, tasks: None },
    Row { kind: Kind::Sync, way: "LocalSpan", spans: local_span, tasks: None },
];

/// What is around a burst; not counted.
const ROOT: &str = "burst";

impl Library for Fastrace {
    fn name(&self) -> &'static str {
        "fastrace"
    }

    fn package(&self) -> Option<&'static str> {
        Some("fastrace")
    }

    fn rows(&self) -> &'static [Row] {
        &ROWS
    }

    fn setups(&self) -> &'static [Setup] {
        &[Setup {
            name: "",
            at_rest: None,
            note: "`Config::default()` and a reporter that counts and drops. One sampled root span around each burst of 4096, \
                   children by `enter_with_local_parent`; in the tokio case the span is a root of its own. Being sent anywhere \
                   comes on top, and off is: no reporter, no parent. `enter_on_poll` makes a span of each poll.",
        }]
    }

    fn start(&self, _setup: usize, _directory: &Path) -> Box<dyn Recording> {
        let reported = Arc::new(AtomicU64::new(0));
        fastrace::set_reporter(Count(Arc::clone(&reported)), Config::default());
        Box::new(Collected { reported })
    }
}

#[inline(never)]
fn in_span(spans: u64) {
    poll_each(spans, |number| async move { black_box(number) }.in_span(Span::enter_with_local_parent("async span")));
}

#[inline(never)]
fn enter_on_poll(spans: u64) {
    poll_each(spans, |number| async move { black_box(number) }.enter_on_poll("async span"));
}

/// A name made at run time has to be owned.
#[inline(never)]
fn in_span_run_time_name(spans: u64) {
    let names = &*NAMES;
    poll_each(spans, |number| {
        let name = names[number as usize % names.len()].clone();
        async move { black_box(number) }.in_span(Span::enter_with_local_parent(name))
    });
}

#[inline(never)]
fn local_span(spans: u64) {
    run_each(spans, |number| {
        let _span = LocalSpan::enter_with_local_parent("sync span");
        black_box(number);
    });
}

struct Count(Arc<AtomicU64>);

impl Reporter for Count {
    fn report(&mut self, spans: Vec<SpanRecord>) {
        let children = spans.iter().filter(|span| span.name != ROOT).count();
        self.0.fetch_add(children as u64, Ordering::Relaxed);
    }
}

struct Collected {
    reported: Arc<AtomicU64>,
}

impl Recording for Collected {
    fn around(&self, burst: &mut dyn FnMut()) {
        let root = Span::root(ROOT, SpanContext::random());
        let _parent = root.set_local_parent();
        burst();
    }

    fn flush(&self) {
        fastrace::flush();
    }

    fn stop(&mut self) {
        fastrace::flush();
    }

    fn outcome(&self, _: Row) -> Option<Outcome> {
        Some(Outcome { spans: self.reported.load(Ordering::Relaxed), bytes: None })
    }
}
