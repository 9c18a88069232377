//! dial9, with the spans of dial9-utils.

use crate::library::{
    Kind, Library, Outcome, Recording, Row, Setup, WORKERS, bytes_below, files_below, spawn_each, work,
};
use crate::rows::spans::NAMES;
use crate::rows::{poll_each, run_each};
use dial9::core::{clear_tl_handle, set_tl_handle};
use dial9::format::Decoder;
use dial9::{Dial9Handle, DiskBuffer, Recorder};
use dial9_utils::dial9_span;
use dial9_utils::span::{Instrument, Span};
use std::hint::black_box;
use std::path::{Path, PathBuf};
use std::sync::Mutex;
use std::time::Duration;
use tokio::runtime::Builder;

pub struct Dial9;

const ROWS: [Row; 3] = [
    Row {
        kind: Kind::Async,
        way: "instrument",
        spans: instrument,
        tasks: Some(|n| spawn_each(n, || work().instrument(dial9_span!("task")))),
    },
    Row { kind: Kind::AsyncRunTimeName, way: "instrument", spans: instrument_run_time_name, tasks: None },
    Row { kind: Kind::Sync, way: "entered", spans: entered, tasks: None },
];

/// As `recorder_from_env` has it.
const DISK_BYTES: u64 = 1 << 30;

impl Library for Dial9 {
    fn name(&self) -> &'static str {
        "dial9"
    }

    fn package(&self) -> Option<&'static str> {
        Some("dial9")
    }

    fn rows(&self) -> &'static [Row] {
        &ROWS
    }

    fn setups(&self) -> &'static [Setup] {
        &[Setup {
            name: "",
            at_rest: None,
            note: "`DiskBuffer` with 1 GiB in all and the defaults of `recorder_from_env`, spans by `dial9_span!`. The handle is \
                   installed on the recording threads; the runtime's own events (polls, wakes, parks), which are what dial9 is for, \
                   are not recorded, so that spans are compared with spans. A span is three events. gzip, off by default, is off.",
        }]
    }

    fn start(&self, _setup: usize, directory: &Path) -> Box<dyn Recording> {
        let writer = DiskBuffer::builder().base_path(directory).max_total_size(DISK_BYTES).build();
        let recorder = dial9::recorder(writer.expect("the directory is writable")).build();
        let handle = recorder.handle().clone();
        Box::new(Buffered { handle, recorder: Mutex::new(Some(recorder)), directory: directory.to_owned() })
    }
}

#[inline(never)]
fn instrument(spans: u64) {
    poll_each(spans, |number| async move { black_box(number) }.instrument(dial9_span!("async span")));
}

#[inline(never)]
fn instrument_run_time_name(spans: u64) {
    let names = &*NAMES;
    poll_each(spans, |number| {
        let name = &names[number as usize % names.len()];
        async move { black_box(number) }.instrument(dial9_span!(name.as_str()))
    });
}

#[inline(never)]
fn entered(spans: u64) {
    run_each(spans, |number| {
        let span = dial9_span!("sync span");
        let _entered = span.enter();
        black_box(number);
    });
}

struct Buffered {
    handle: Dial9Handle,
    recorder: Mutex<Option<Recorder>>,
    directory: PathBuf,
}

impl Recording for Buffered {
    fn thread_starts(&self) {
        set_tl_handle(self.handle.clone());
    }

    fn thread_ends(&self) {
        clear_tl_handle();
    }

    fn runtime(&self) -> Builder {
        let handle = self.handle.clone();
        let mut builder = Builder::new_multi_thread();
        builder.worker_threads(WORKERS);
        builder.on_thread_start(move || set_tl_handle(handle.clone())).on_thread_stop(clear_tl_handle);
        builder
    }

    fn stop(&mut self) {
        let recorder = self.recorder.get_mut().expect("nobody panics with it").take();
        if let Some(recorder) = recorder {
            recorder.graceful_shutdown(Duration::from_secs(60));
        }
    }

    fn outcome(&self, _: Row) -> Option<Outcome> {
        let spans = files_below(&self.directory).iter().map(|path| completed_spans(path)).sum();
        Some(Outcome { spans, bytes: Some(bytes_below(&self.directory)) })
    }
}

fn completed_spans(segment: &Path) -> u64 {
    let bytes = std::fs::read(segment).expect("it was just written");
    let mut spans = 0;
    if let Some(mut decoder) = Decoder::new(&bytes) {
        let decoded = decoder.for_each_event(|event| spans += u64::from(event.name.starts_with("SpanExit:")));
        decoded.expect("it was just written");
    }
    spans
}
