//! spanring, from this repository.

use crate::library::{Kind, Library, Outcome, Recording, Row, Setup, bytes_below, spawn_each, work};
use crate::rows::spans;
use spanring::prelude::*;
use spanring::sink::NullSink;
use spanring::{Builder, Discipline, Health, Recorder, RecorderGuard};
use std::path::{Path, PathBuf};

pub struct Spanring;

const WITH_ATTRIBUTE: &str = "named, one attribute";

const ROWS: [Row; 6] = [
    Row {
        kind: Kind::Async,
        way: "static",
        spans: spans::async_static,
        tasks: Some(|n| {
            static_span_desc!(TASK, "task");
            spawn_each(n, || work().instrument(&TASK))
        }),
    },
    Row {
        kind: Kind::Async,
        way: "named",
        spans: spans::async_named,
        tasks: Some(|n| spawn_each(n, || instrument_named!(work(), "task"))),
    },
    Row { kind: Kind::Async, way: WITH_ATTRIBUTE, spans: spans::async_attribute, tasks: None },
    Row { kind: Kind::AsyncRunTimeName, way: "", spans: spans::async_run_time_name, tasks: None },
    Row { kind: Kind::Sync, way: "static", spans: spans::sync_static, tasks: None },
    Row { kind: Kind::Sync, way: "named", spans: spans::sync_named, tasks: None },
];

const FLIGHT_ON_HEAP: usize = 0;
const FLIGHT_ON_DISK: usize = 1;
const STREAMED: usize = 2;
const COMPRESSED: usize = 3;

/// Room for what a thread records here between two flushes.
const STREAMED_RING_BYTES: u64 = 4 << 20;

impl Library for Spanring {
    fn name(&self) -> &'static str {
        "spanring"
    }

    fn package(&self) -> Option<&'static str> {
        Some("spanring")
    }

    fn rows(&self) -> &'static [Row] {
        &ROWS
    }

    fn setups(&self) -> &'static [Setup] {
        &[
            Setup {
                name: "flight, heap",
                at_rest: None,
                note: "Flight discipline, defaults (rings of 512 KiB), a sink that forgets. The rings keep the newest spans; that \
                       the older ones go is counted, and is what was asked for.",
            },
            Setup {
                name: "flight, mapped file",
                at_rest: Some("a ring per thread"),
                note: "Flight discipline, defaults, in a directory: rings are files on disk and survive `kill -9`. The setup for a \
                       service that always records.",
            },
            Setup {
                name: "streamed to files",
                at_rest: None,
                note: "Drain discipline, defaults, in a directory, every span kept; rings of 4 MiB instead of 512 KiB, because the \
                       load here is a million spans a second and thread, in bursts of 4096.",
            },
            Setup {
                name: "streamed, compressed",
                at_rest: None,
                note: "The same, with `compress`: a thread of its own compresses each segment when it is full.",
            },
        ]
    }

    fn start(&self, setup: usize, directory: &Path) -> Box<dyn Recording> {
        let flight = || Recorder::builder().discipline(Discipline::Flight);
        let streamed = || Recorder::builder().directory(directory).ring_bytes(STREAMED_RING_BYTES);
        let builder: Builder = match setup {
            FLIGHT_ON_HEAP => flight().sink(NullSink),
            FLIGHT_ON_DISK => flight().directory(directory),
            STREAMED => streamed(),
            COMPRESSED => streamed().compress(),
            _ => unreachable!("there are four setups"),
        };
        let streamed_to = matches!(setup, STREAMED | COMPRESSED).then(|| directory.to_owned());
        Box::new(Recorded::start(builder, streamed_to))
    }
}

pub(super) struct Recorded {
    guard: Option<RecorderGuard>,
    /// At the end.
    health: Health,
    streamed_to: Option<PathBuf>,
}

impl Recorded {
    /// Starts it; `streamed_to` is where every span is kept, if that is so.
    pub(super) fn start(builder: Builder, streamed_to: Option<PathBuf>) -> Recorded {
        let guard = builder.start().expect("nothing else records in this process");
        Recorded { guard: Some(guard), health: Health::default(), streamed_to }
    }
}

impl Recording for Recorded {
    /// In flight discipline nothing waits for the background: spans stay in the rings, and to flush would write them all down.
    fn flush(&self) {
        if self.streamed_to.is_some() {
            self.guard.as_ref().map(RecorderGuard::flush).transpose().expect("the sink works");
        }
    }

    fn stop(&mut self) {
        if let Some(guard) = self.guard.take() {
            self.health = guard.stop().expect("the sink works");
        }
    }

    fn outcome(&self, row: Row) -> Option<Outcome> {
        // Its begin, its end, and its attribute.
        let records = if row.way == WITH_ATTRIBUTE { 3 } else { 2 };
        // In flight discipline a record that came round was recorded, and is gone as it should be.
        let came_round = if self.streamed_to.is_some() { 0 } else { self.health.lost };
        let bytes = self.streamed_to.as_deref().map(bytes_below);
        Some(Outcome { spans: (self.health.flushed + came_round) / records, bytes })
    }
}
