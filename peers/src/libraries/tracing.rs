//! `tracing` with `tracing-subscriber`'s registry: the way that most of the ecosystem goes, before anything is written.

use crate::library::{Kind, Library, Outcome, Recording, Row, Setup, spawn_each, work};
use crate::rows::{poll_each, run_each};
use std::cell::Cell;
use std::hint::black_box;
use std::path::Path;
use std::sync::atomic::{AtomicU64, Ordering};
use tracing::Instrument;
use tracing::span::Id;
use tracing_subscriber::Layer;
use tracing_subscriber::layer::{Context, SubscriberExt};

pub struct Tracing;

const ROWS: [Row; 2] = [
    Row {
        kind: Kind::Async,
        way: "instrument",
        spans: instrument,
        tasks: Some(|n| spawn_each(n, || work().instrument(tracing::info_span!("task")))),
    },
    Row { kind: Kind::Sync, way: "entered", spans: entered, tasks: None },
];

impl Library for Tracing {
    fn name(&self) -> &'static str {
        "tracing + registry"
    }

    fn package(&self) -> Option<&'static str> {
        Some("tracing")
    }

    fn rows(&self) -> &'static [Row] {
        &ROWS
    }

    fn setups(&self) -> &'static [Setup] {
        &[Setup {
            name: "",
            note: "`registry()` and one layer that counts closed spans in a thread-local: the least that any subscriber built on \
                   the registry costs. It reads no clock and writes nothing; layers that do come on top. Names are constants: text \
                   made at run time goes into fields.",
        }]
    }

    fn start(&self, _setup: usize, _directory: &Path) -> Box<dyn Recording> {
        let subscriber = tracing_subscriber::registry().with(CountClosed);
        tracing::subscriber::set_global_default(subscriber).expect("there is no other");
        Box::new(Subscribed)
    }
}

#[inline(never)]
fn instrument(spans: u64) {
    poll_each(spans, |number| async move { black_box(number) }.instrument(tracing::info_span!("async span")));
}

#[inline(never)]
fn entered(spans: u64) {
    run_each(spans, |number| {
        let _entered = tracing::info_span!("sync span").entered();
        black_box(number);
    });
}

struct CountClosed;

/// Spans closed on threads that have ended.
static CLOSED: AtomicU64 = AtomicU64::new(0);

/// Spans closed on this thread; added when it ends.
struct ClosedHere(Cell<u64>);

impl Drop for ClosedHere {
    fn drop(&mut self) {
        CLOSED.fetch_add(self.0.get(), Ordering::Relaxed);
    }
}

thread_local! {
    static CLOSED_HERE: ClosedHere = const { ClosedHere(Cell::new(0)) };
}

impl<S: tracing::Subscriber> Layer<S> for CountClosed {
    fn on_close(&self, _id: Id, _context: Context<'_, S>) {
        // A span that is closed while its thread is torn down is not one of ours.
        let _ = CLOSED_HERE.try_with(|closed| closed.0.set(closed.0.get() + 1));
    }
}

struct Subscribed;

impl Recording for Subscribed {
    fn stop(&mut self) {}

    fn outcome(&self) -> Option<Outcome> {
        Some(Outcome { spans: CLOSED.load(Ordering::Relaxed), bytes: None })
    }
}
