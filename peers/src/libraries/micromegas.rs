//! micromegas-tracing.

use crate::library::{Kind, Library, Outcome, Recording, Row, Setup, bytes_below, spawn_each, work};
use crate::rows::spans::NAMES;
use crate::rows::{poll_each, run_each};
use micromegas_telemetry::compression::compress;
use micromegas_tracing::dispatch::{flush_thread_buffer, init_thread_stream, unregister_thread_stream};
use micromegas_tracing::event::{EventSink, ExtractDeps, TracingBlock};
use micromegas_tracing::guards::TracingSystemGuard;
use micromegas_tracing::logs::{LogBlock, LogMetadata, LogStream};
use micromegas_tracing::metrics::{MetricsBlock, MetricsStream};
use micromegas_tracing::prelude::{DynProperty, InstrumentFuture, ProcessInfo, TracingRuntimeExt};
use micromegas_tracing::spans::{ThreadBlock, ThreadStream};
use micromegas_tracing::{instrument_named, instrument_named_dyn, span_scope, span_scope_named, static_span_desc};
use micromegas_transit::HeterogeneousQueue;
use std::collections::HashMap;
use std::fmt;
use std::fs::File;
use std::hint::black_box;
use std::io::Write;
use std::path::{Path, PathBuf};
use std::sync::mpsc::{Receiver, Sender, channel};
use std::sync::{Arc, Mutex};
use std::thread::JoinHandle;
use tokio::runtime::Builder;

pub struct Micromegas;

const ROWS: [Row; 5] = [
    Row {
        kind: Kind::Async,
        way: "static",
        spans: async_static,
        tasks: Some(|n| {
            static_span_desc!(TASK, "task");
            spawn_each(n, || work().instrument(&TASK))
        }),
    },
    Row {
        kind: Kind::Async,
        way: "named",
        spans: async_named,
        tasks: Some(|n| spawn_each(n, || instrument_named!(work(), "task"))),
    },
    Row { kind: Kind::AsyncRunTimeName, way: "", spans: async_run_time_name, tasks: None },
    Row { kind: Kind::Sync, way: "static", spans: sync_static, tasks: None },
    Row { kind: Kind::Sync, way: "named", spans: sync_named, tasks: None },
];

const PACKED: usize = 1;

/// As micromegas-telemetry-sink has it: a block of logs, of metrics, of a thread's spans.
const BUFFERS: (usize, usize, usize) = (10 << 20, 1 << 20, 10 << 20);

impl Library for Micromegas {
    fn name(&self) -> &'static str {
        "micromegas-tracing"
    }

    fn package(&self) -> Option<&'static str> {
        Some("micromegas-tracing")
    }

    fn rows(&self) -> &'static [Row] {
        &ROWS
    }

    fn setups(&self) -> &'static [Setup] {
        &[
            Setup {
                name: "blocks dropped",
                at_rest: None,
                note: "Buffers as its own telemetry sink has them (10 MiB per thread), CPU tracing on, thread streams initialised. \
                       Full blocks go over a channel to a thread that counts and drops them.",
            },
            Setup {
                name: "blocks packed",
                at_rest: None,
                note: "The same; that thread packs each block as `micromegas-telemetry-sink` does before it posts it (LZ4, level \
                       10) and writes it to a file instead of a socket. Its sink would shed load beyond 128 MiB; here the queue \
                       is unbounded.",
            },
        ]
    }

    fn start(&self, setup: usize, directory: &Path) -> Box<dyn Recording> {
        let packed = setup == PACKED;
        let file = packed.then(|| File::create(directory.join("blocks")).expect("the directory is writable"));
        let (blocks, receiver) = channel();
        let worker = std::thread::spawn(move || take_blocks(receiver, file));
        let sink = Arc::new(Blocks(Mutex::new(Some(blocks))));
        let (logs, metrics, threads) = BUFFERS;
        let guard = TracingSystemGuard::new(logs, metrics, threads, Arc::clone(&sink) as _, HashMap::new(), true);
        let guard = guard.expect("it was not started before");
        let directory = packed.then(|| directory.to_owned());
        Box::new(Dispatched { guard: Some(guard), sink, worker: Some(worker), events: 0, directory })
    }
}

#[inline(never)]
fn async_static(spans: u64) {
    static_span_desc!(SITE, "async static");
    poll_each(spans, |number| async move { black_box(number) }.instrument(&SITE));
}

#[inline(never)]
fn async_named(spans: u64) {
    poll_each(spans, |number| instrument_named!(async move { black_box(number) }, "async named"));
}

#[inline(never)]
fn async_run_time_name(spans: u64) {
    let names = &*NAMES;
    poll_each(spans, |number| {
        let name = &names[number as usize % names.len()];
        instrument_named_dyn!(async move { black_box(number) }, name.as_str())
    });
}

#[inline(never)]
fn sync_static(spans: u64) {
    run_each(spans, |number| {
        span_scope!("sync static");
        black_box(number);
    });
}

#[inline(never)]
fn sync_named(spans: u64) {
    run_each(spans, |number| {
        span_scope_named!("sync named");
        black_box(number);
    });
}

/// Counts events in blocks, and writes them packed if there is a file.
fn take_blocks(blocks: Receiver<Arc<ThreadBlock>>, mut file: Option<File>) -> u64 {
    let mut events = 0;
    for block in blocks {
        events += block.nb_objects() as u64;
        if let Some(file) = &mut file {
            let dependencies = block.events.extract(&block.dyn_deps);
            for part in [dependencies.as_bytes(), block.events.as_bytes()] {
                file.write_all(&compress(part).expect("LZ4 packs anything")).expect("the disk has room");
            }
        }
    }
    events
}

/// Hands blocks on; `None` once it is to end.
struct Blocks(Mutex<Option<Sender<Arc<ThreadBlock>>>>);

impl EventSink for Blocks {
    fn on_process_thread_block(&self, block: Arc<ThreadBlock>) {
        if let Some(blocks) = &*self.0.lock().expect("nobody panics with it") {
            blocks.send(block).expect("the worker takes all of them");
        }
    }

    fn on_startup(&self, _process: Arc<ProcessInfo>) {}
    fn on_shutdown(&self) {}
    fn on_log_enabled(&self, _metadata: &LogMetadata) -> bool {
        false
    }
    fn on_log(&self, _: &LogMetadata, _: &[DynProperty<'_>], _time: i64, _: fmt::Arguments<'_>) {}
    fn on_init_log_stream(&self, _stream: &LogStream) {}
    fn on_process_log_block(&self, _block: Arc<LogBlock>) {}
    fn on_init_metrics_stream(&self, _stream: &MetricsStream) {}
    fn on_process_metrics_block(&self, _block: Arc<MetricsBlock>) {}
    fn on_init_thread_stream(&self, _stream: &ThreadStream) {}
    fn is_busy(&self) -> bool {
        false
    }
}

struct Dispatched {
    guard: Option<TracingSystemGuard>,
    sink: Arc<Blocks>,
    worker: Option<JoinHandle<u64>>,
    /// In all blocks.
    events: u64,
    /// If blocks are written.
    directory: Option<PathBuf>,
}

impl Recording for Dispatched {
    fn thread_starts(&self) {
        init_thread_stream();
    }

    fn thread_ends(&self) {
        flush_thread_buffer();
        unregister_thread_stream();
    }

    fn runtime(&self) -> Builder {
        let mut builder = Builder::new_multi_thread();
        builder.worker_threads(crate::library::WORKERS).with_tracing_callbacks();
        builder
    }

    fn stop(&mut self) {
        drop(self.guard.take());
        drop(self.sink.0.lock().expect("nobody panics with it").take());
        if let Some(worker) = self.worker.take() {
            self.events = worker.join().expect("the worker does not panic");
        }
    }

    fn outcome(&self, _: Row) -> Option<Outcome> {
        Some(Outcome { spans: self.events / 2, bytes: self.directory.as_deref().map(bytes_below) })
    }
}
