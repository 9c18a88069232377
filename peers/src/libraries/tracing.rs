//! `tracing` with `tracing-subscriber`'s registry: the way that most of the ecosystem goes, before anything is written.

use crate::library::{Kind, Library, Outcome, Recording, Row, Setup, bytes_below, spawn_each, work};
use crate::rows::{poll_each, run_each};
use std::cell::Cell;
use std::hint::black_box;
use std::path::{Path, PathBuf};
use std::sync::Mutex;
use std::sync::atomic::{AtomicU64, Ordering};
use tracing::Instrument;
use tracing::span::Id;
use tracing_chrome::{ChromeLayerBuilder, FlushGuard, TraceStyle};
use tracing_subscriber::Layer;
use tracing_subscriber::layer::{Context, SubscriberExt};

pub struct Tracing;

/// The spans of whoever records those of `tracing`.
pub(super) const ROWS: [Row; 2] = [
    Row {
        kind: Kind::Async,
        way: "instrument",
        spans: instrument,
        tasks: Some(|n| spawn_each(n, || work().instrument(tracing::info_span!("task")))),
    },
    Row { kind: Kind::Sync, way: "entered", spans: entered, tasks: None },
];

const CHROME: usize = 1;
const TRACE: &str = "trace.json";
/// In the trace, once for each span.
const END: &str = r#""ph":"e""#;

impl Library for Tracing {
    fn name(&self) -> &'static str {
        "tracing"
    }

    fn package(&self) -> Option<&'static str> {
        Some("tracing")
    }

    fn rows(&self) -> &'static [Row] {
        &ROWS
    }

    fn setups(&self) -> &'static [Setup] {
        &[
            Setup {
                name: "registry",
                at_rest: None,
                note: "`registry()` and one layer that counts closed spans in a thread-local: the least that any subscriber built on \
                   the registry costs. It reads no clock and writes nothing; layers that do come on top. Names are constants: text \
                   made at run time goes into fields.",
            },
            Setup {
                name: "tracing-chrome",
                at_rest: None,
                note: "The same and the layer of tracing-chrome 0.7.2, style `Async`, without arguments: a way to get spans into a \
                       file.",
            },
        ]
    }

    fn start(&self, setup: usize, directory: &Path) -> Box<dyn Recording> {
        let chrome = (setup == CHROME)
            .then(|| ChromeLayerBuilder::new().file(directory.join(TRACE)).trace_style(TraceStyle::Async).build());
        let (chrome, guard) = chrome.unzip();
        let subscriber = tracing_subscriber::registry().with(CountClosed).with(chrome);
        tracing::subscriber::set_global_default(subscriber).expect("there is no other");
        Box::new(Subscribed { chrome: Mutex::new(guard), directory: (setup == CHROME).then(|| directory.to_owned()) })
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

struct Subscribed {
    chrome: Mutex<Option<FlushGuard>>,
    /// If it writes.
    directory: Option<PathBuf>,
}

impl Recording for Subscribed {
    fn flush(&self) {
        if let Some(chrome) = &*self.chrome.lock().expect("nobody panics with it") {
            chrome.flush();
        }
    }

    fn stop(&mut self) {
        drop(self.chrome.get_mut().expect("nobody panics with it").take());
    }

    fn outcome(&self, _: Row) -> Option<Outcome> {
        let Some(directory) = self.directory.as_deref() else {
            return Some(Outcome { spans: CLOSED.load(Ordering::Relaxed), bytes: None });
        };
        let trace = std::fs::read_to_string(directory.join(TRACE)).expect("it was just written");
        let ends = trace.matches(END).count() as u64;
        Some(Outcome { spans: ends, bytes: Some(bytes_below(directory)) })
    }
}
