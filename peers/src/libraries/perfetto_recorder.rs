//! perfetto-recorder: events in a vector of each thread, turned into a Perfetto trace later.

use crate::library::{Kind, Library, Outcome, Recording, Row, Setup, bytes_below, files_below};
use crate::rows::run_each;
use perfetto_recorder::{EVENTS_PER_SPAN, ThreadTraceData, TraceBuilder, current_thread_reserve, scope};
use std::cell::Cell;
use std::hint::black_box;
use std::path::{Path, PathBuf};
use std::sync::Mutex;
use std::sync::mpsc::{Receiver, Sender, channel};
use std::thread::JoinHandle;

pub struct PerfettoRecorder;

const ROWS: [Row; 1] = [Row { kind: Kind::Sync, way: "scope", spans: scoped, tasks: None }];

/// Bursts whose events a thread keeps before it gives them away.
const BURSTS: u64 = 16;

impl Library for PerfettoRecorder {
    fn name(&self) -> &'static str {
        "perfetto-recorder"
    }

    fn package(&self) -> Option<&'static str> {
        Some("perfetto-recorder")
    }

    fn rows(&self) -> &'static [Row] {
        &ROWS
    }

    fn setups(&self) -> &'static [Setup] {
        &[Setup {
            name: "",
            at_rest: None,
            note: "With `fastant`, as its README suggests. It has no background and no bound: a thread keeps its events until it is \
                   told to take them. Here that is after every 16 bursts, with room reserved for the next 16, and a thread of the \
                   bench turns them into a trace file each. Sync only; names are constants, text made at run time goes into \
                   arguments.",
        }]
    }

    fn start(&self, _setup: usize, directory: &Path) -> Box<dyn Recording> {
        perfetto_recorder::start().expect("its feature is enabled");
        let (taken, receiver) = channel();
        let writer = {
            let directory = directory.to_owned();
            std::thread::spawn(move || write_traces(receiver, &directory))
        };
        Box::new(Taken { taken: Mutex::new(Some(taken)), writer: Some(writer), directory: directory.to_owned() })
    }
}

#[inline(never)]
fn scoped(spans: u64) {
    run_each(spans, |number| {
        scope!("sync span");
        black_box(number);
    });
}

fn write_traces(taken: Receiver<ThreadTraceData>, directory: &Path) {
    for (number, thread) in taken.into_iter().enumerate() {
        let mut trace = TraceBuilder::new().unwrap_or_else(|_| unreachable!("it was started"));
        trace.process_thread_data(&thread);
        trace.write_to_file(directory.join(format!("{number}.pftrace"))).expect("the disk has room");
    }
}

thread_local! {
    static BURSTS_KEPT: Cell<u64> = const { Cell::new(0) };
}

struct Taken {
    taken: Mutex<Option<Sender<ThreadTraceData>>>,
    writer: Option<JoinHandle<()>>,
    directory: PathBuf,
}

impl Taken {
    fn take(&self) {
        let events = ThreadTraceData::take_current_thread();
        let taken = self.taken.lock().expect("nobody panics with it");
        taken.as_ref().expect("threads end before the stop").send(events).expect("the writer takes all of them");
        BURSTS_KEPT.set(0);
    }

    fn reserve() {
        current_thread_reserve((BURSTS * crate::measure::BURST) as usize * EVENTS_PER_SPAN);
    }
}

impl Recording for Taken {
    fn thread_starts(&self) {
        Taken::reserve();
    }

    fn thread_ends(&self) {
        self.take();
    }

    fn between(&self) {
        BURSTS_KEPT.set(BURSTS_KEPT.get() + 1);
        if BURSTS_KEPT.get() == BURSTS {
            self.take();
            Taken::reserve();
        }
    }

    fn stop(&mut self) {
        drop(self.taken.get_mut().expect("nobody panics with it").take());
        if let Some(writer) = self.writer.take() {
            writer.join().expect("the writer does not panic");
        }
    }

    fn outcome(&self, _: Row) -> Option<Outcome> {
        let files = files_below(&self.directory);
        let events: u64 =
            files.iter().map(|path| track_events(&std::fs::read(path).expect("it was just written"))).sum();
        Some(Outcome { spans: events / 2, bytes: Some(bytes_below(&self.directory)) })
    }
}

/// Packets of a trace that are track events: one for the begin of a slice, one for the end.
fn track_events(trace: &[u8]) -> u64 {
    const PACKET: u64 = 1;
    const TRACK_EVENT: u64 = 11;
    let packets = fields(trace).filter(|(number, _)| *number == PACKET);
    packets.filter(|(_, packet)| fields(packet).any(|(number, _)| number == TRACK_EVENT)).count() as u64
}

/// The fields of a protobuf message: numbers, and bytes if they have a length.
fn fields(mut message: &[u8]) -> impl Iterator<Item = (u64, &[u8])> {
    std::iter::from_fn(move || {
        let tag = varint(&mut message)?;
        let length = match tag & 7 {
            0 => {
                varint(&mut message)?;
                0
            }
            1 => 8,
            2 => varint(&mut message)? as usize,
            5 => 4,
            _ => return None,
        };
        let (bytes, rest) = message.split_at_checked(length)?;
        message = rest;
        Some((tag >> 3, bytes))
    })
}

fn varint(message: &mut &[u8]) -> Option<u64> {
    let mut value = 0;
    for shift in (0..64).step_by(7) {
        let (byte, rest) = message.split_first()?;
        *message = rest;
        value |= u64::from(byte & 0x7f) << shift;
        if byte & 0x80 == 0 {
            return Some(value);
        }
    }
    None
}
