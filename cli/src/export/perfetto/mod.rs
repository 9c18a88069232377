//! A recording as a trace for Perfetto: <https://ui.perfetto.dev>, or its `trace_processor` for SQL.
//!
//! | in the recording | in the trace |
//! |---|---|
//! | async span | slice of category `async`, on a row of its family under "async spans" |
//! | thread span | slice of category `thread`, on the row of its thread |
//! | parent and child in different rows | arrow (a flow) from the parent's slice to the child's |
//! | open span | slice that begins and does not end |
//! | lost records | slice of category `loss`, from the record before the gap to the one behind it, on a row under their thread |
//! | damage | instant of category `damage`, on the row of the process |
//!
//! Each slice carries as arguments `span_id`, `parent_id` (0 for none), `depth`, `outcome`, `polls`, `target`, `module`,
//! `location` (`file:line`), `begin_thread` and `end_thread`; where they were measured, `busy_ns`, `idle_ns` and `wait_ns` (before
//! the first poll); and where they hold, `name_state` (`cut` or `missing`), `begin_lost`, `end_may_be_lost` and `busy_partial`. A
//! loss has `thread`, `records`, `cause`, `after_ns` and `before_ns`. Timestamps are nanoseconds since 1970, unchanged. There are as
//! many slices as spans: a slice is never drawn inside one that is not its parent, so nothing is cut to fit.
//!
//! The export streams: it holds the spans that are open and at most [`WINDOW`] finished ones, to sort them by their begin.

mod held;
mod lanes;
pub mod proto;
mod texts;

use crate::export::{ExportError, Exporter, cause_word};
use crate::spans::{Ending, Item, Span, thread_label};
use crate::text::count;
use held::{Batch, Held, Name, Waiting};
use lanes::{AsyncLanes, OPEN, Spot, Stay, ThreadLanes};
use prost::Message;
use proto::{Data, DebugAnnotation, EventType, TracePacket, TrackDescriptor, TrackEvent, Value};
use rustc_hash::FxHashMap;
use spanring::reader::{Damage, Loss, NameState, Recording, SpanKind, ThreadFacts};
use std::io::{self, Write};
use texts::{Argument, Category, Texts};

/// As many finished spans are held back, at most, to be sorted. In recordings with fewer spans children always find their
/// parents; in longer ones a span that took very long may be drawn apart from its children, and without arrows to them.
pub const WINDOW: usize = 1 << 18;

const PROCESS_TRACK: u64 = 1;
const ASYNC_TRACK: u64 = 2;
/// The whole trace is one sequence of packets.
const SEQUENCE: u32 = 1;

/// The process that a trace shows.
#[derive(Clone, Debug)]
pub struct Process {
    /// The operating system's number.
    pub pid: u32,
    /// What it is called.
    pub name: String,
    /// When it began to record, in nanoseconds since 1970.
    pub started_unix_ns: u64,
    /// Shown as help in the viewer.
    pub description: String,
}

/// Turns items of a recording into a trace.
pub struct TraceWriter<'w> {
    out: Box<dyn Write + Send + 'w>,
    /// The first failure of `out`; nothing is written after it.
    failure: Option<io::Error>,
    packet: Vec<u8>,
    texts: Texts,
    process: Process,
    next_track: u64,
    threads: FxHashMap<u32, Thread>,
    lanes: AsyncLanes,
    rows: FxHashMap<Spot, u64>,
    waiting: Waiting,
    window: usize,
}

struct Thread {
    label: String,
    /// The number of the label's text.
    text: u64,
    lanes: ThreadLanes,
    /// The tracks of its rows.
    tracks: Vec<u64>,
    /// Where its losses are drawn, and the tracks of those rows.
    loss_lanes: ThreadLanes,
    loss_tracks: Vec<u64>,
}

/// Where a slice is drawn, and how it is connected.
#[derive(Clone, Debug)]
struct Drawn {
    track: u64,
    /// An arrow leads here from its parent.
    is_target: bool,
    /// Children that arrows lead to.
    targets: Vec<u64>,
}

impl Process {
    /// That of a recording.
    pub fn of(recording: &Recording) -> Process {
        let facts = recording.facts();
        Process {
            pid: facts.pid,
            name: facts.executable.clone(),
            started_unix_ns: facts.started_unix_ns,
            description: format!("recorded by spanring {}, session {}", facts.version, facts.session),
        }
    }
}

impl Exporter for TraceWriter<'_> {
    fn add(&mut self, item: &Item<'_>) -> Result<(), ExportError> {
        match item {
            Item::Thread(facts) => self.thread(facts),
            Item::Span(span) => self.span(span),
            Item::Loss(loss) => self.loss(loss),
            Item::Damage(damage) => self.damage(damage),
        }
        self.failure.take().map_or(Ok(()), |error| Err(ExportError::Write(error)))
    }

    fn finish(mut self: Box<Self>) -> Result<Vec<String>, ExportError> {
        self.release(self.waiting.len());
        match self.failure.take() {
            Some(error) => Err(ExportError::Write(error)),
            None => self.out.flush().map_err(ExportError::Write),
        }?;
        Ok(vec!["open it at https://ui.perfetto.dev".to_owned()])
    }
}

impl<'w> TraceWriter<'w> {
    /// A trace of a recording.
    pub fn of(recording: &Recording, out: Box<dyn Write + Send + 'w>) -> TraceWriter<'w> {
        TraceWriter::new(out, Process::of(recording))
    }

    /// Writes the trace's head.
    pub fn new(out: Box<dyn Write + Send + 'w>, process: Process) -> TraceWriter<'w> {
        TraceWriter::with_window(out, process, WINDOW)
    }

    /// The same with another [`WINDOW`], of at least 2.
    pub fn with_window(out: Box<dyn Write + Send + 'w>, process: Process, window: usize) -> TraceWriter<'w> {
        let mut writer = TraceWriter {
            out,
            failure: None,
            packet: Vec::new(),
            texts: Texts::new(),
            process,
            next_track: ASYNC_TRACK + 1,
            threads: FxHashMap::default(),
            lanes: AsyncLanes::new(window),
            rows: FxHashMap::default(),
            waiting: Waiting::default(),
            window: window.max(2),
        };
        writer.head();
        writer
    }

    fn head(&mut self) {
        let started = self.process.started_unix_ns;
        let clock =
            |clock: proto::BuiltinClock| proto::Clock { clock_id: Some(clock as u32), timestamp: Some(started) };
        // Boot time is what the viewer falls back to. Setting it equal keeps every timestamp as it is.
        let clocks = vec![clock(proto::BuiltinClock::Realtime), clock(proto::BuiltinClock::Boottime)];
        self.packet(TracePacket {
            sequence_flags: Some(proto::SequenceFlags::IncrementalStateCleared as u32),
            trace_packet_defaults: Some(proto::TracePacketDefaults {
                timestamp_clock_id: Some(proto::BuiltinClock::Realtime as u32),
            }),
            data: Some(Data::ClockSnapshot(proto::ClockSnapshot {
                clocks,
                primary_trace_clock: Some(proto::BuiltinClock::Realtime as i32),
            })),
            ..TracePacket::default()
        });
        let process = proto::ProcessDescriptor {
            pid: Some(self.process.pid as i32),
            process_name: Some(self.process.name.clone()),
        };
        self.track(TrackDescriptor {
            uuid: Some(PROCESS_TRACK),
            process: Some(process),
            description: Some(self.process.description.clone()),
            ..TrackDescriptor::default()
        });
        self.track(TrackDescriptor {
            uuid: Some(ASYNC_TRACK),
            parent_uuid: Some(PROCESS_TRACK),
            name: Some("async spans".to_owned()),
            child_ordering: Some(proto::ChildTracksOrdering::Explicit as i32),
            ..TrackDescriptor::default()
        });
    }

    fn thread(&mut self, facts: &ThreadFacts) {
        if self.threads.contains_key(&facts.id) {
            return;
        }
        let uuid = self.new_track();
        self.track(TrackDescriptor {
            uuid: Some(uuid),
            parent_uuid: Some(PROCESS_TRACK),
            thread: Some(proto::ThreadDescriptor {
                pid: Some(self.process.pid as i32),
                tid: Some(facts.os_id as i64),
                thread_name: Some(thread_label(facts)),
            }),
            ..TrackDescriptor::default()
        });
        let label = thread_label(facts);
        let thread = Thread {
            text: self.texts.value(&label),
            label,
            lanes: ThreadLanes::default(),
            tracks: vec![uuid],
            loss_lanes: ThreadLanes::default(),
            loss_tracks: Vec::new(),
        };
        self.threads.insert(facts.id, thread);
    }

    /// A thread, even if the recording has not introduced it (its facts are damaged).
    fn known_thread(&mut self, id: u32) -> &mut Thread {
        if !self.threads.contains_key(&id) {
            self.thread(&ThreadFacts { id, os_id: 0, name: String::new() });
        }
        self.threads.get_mut(&id).expect("made sure of just now")
    }

    fn loss(&mut self, loss: &Loss) {
        let begin_ns = loss.after_unix_ns.unwrap_or(self.process.started_unix_ns);
        let begin_ns = begin_ns.min(loss.before_unix_ns.unwrap_or(begin_ns)).min(OPEN - 1);
        let end_ns = loss.before_unix_ns.unwrap_or(begin_ns).min(OPEN - 1);
        let track = self.loss_track(loss.thread, Stay { id: 0, parent: 0, begin_ns, end_ns });
        let mut annotations = vec![
            Argument::Thread.text(self.threads[&loss.thread].text),
            Argument::Records.number(loss.records),
            Argument::Cause.text(self.texts.value(cause_word(loss.cause))),
        ];
        for (argument, time) in [(Argument::AfterNs, loss.after_unix_ns), (Argument::BeforeNs, loss.before_unix_ns)] {
            annotations.extend(time.map(|time| argument.number(time)));
        }
        let title = (Category::Loss, Name::Text(format!("{} lost", count(loss.records, "event"))));
        self.event(begin_ns, event(EventType::SliceBegin, track, title, annotations));
        self.end(end_ns, track);
    }

    fn loss_track(&mut self, id: u32, stay: Stay) -> u64 {
        let thread = self.known_thread(id);
        let (row, _) = thread.loss_lanes.place(stay, true);
        if let Some(&track) = thread.loss_tracks.get(row) {
            return track;
        }
        let (parent, name) = (thread.tracks[0], format!("{}, lost events", thread.label));
        let track = self.row(parent, name, usize::MAX);
        let tracks = &mut self.known_thread(id).loss_tracks;
        // Rows are numbered without gaps, but the first is left to what nests.
        tracks.resize(row + 1, track);
        track
    }

    fn damage(&mut self, damage: &Damage) {
        let annotations = vec![
            Argument::File.with(Value::String(damage.path.display().to_string())),
            Argument::Offset.number(damage.offset),
            Argument::Bytes.number(damage.bytes),
            Argument::Records.number(damage.records),
        ];
        let title = (Category::Damage, Name::Text(format!("damage: {}", damage.what)));
        let event = event(EventType::Instant, PROCESS_TRACK, title, annotations);
        self.event(self.process.started_unix_ns, event);
    }

    fn span(&mut self, span: &Span<'_>) {
        let name = match self.texts.name(span) {
            Some(number) => Name::Numbered(number),
            None => Name::Text(span.name.to_owned()),
        };
        let place = span.place.map(|place| self.texts.place(place));
        self.waiting.push(Held::new(span, name, place));
        if self.waiting.len() >= self.window {
            self.release(self.window / 2);
        }
    }

    /// Draws the `count` spans that began first.
    fn release(&mut self, count: usize) {
        let Batch { spans, by_id, later_children } = self.waiting.take(count);
        let mut drawn: Vec<Drawn> = Vec::with_capacity(spans.len());
        for (index, (span, targets)) in spans.iter().zip(later_children).enumerate() {
            let is_promised = self.waiting.is_promised(span.id);
            let (track, around) = match span.kind {
                SpanKind::Async => self.async_track(span.stay(), !is_promised),
                SpanKind::Thread => self.thread_track(span),
            };
            let parent = by_id.get(&span.parent).copied().filter(|_| !is_promised && around != Some(span.parent));
            drawn.push(Drawn { track, is_target: is_promised || parent.is_some(), targets });
            if let Some(parent) = parent {
                // A child that is said to begin before its parent is drawn before it, and has no arrow.
                match drawn.get_mut(parent) {
                    Some(parent) => parent.targets.push(span.id),
                    None => drawn[index].is_target = false,
                }
            }
        }
        for (span, drawn) in spans.into_iter().zip(drawn) {
            self.slice(span, drawn);
        }
    }

    fn slice(&mut self, span: Held, drawn: Drawn) {
        let annotations = self.annotations(&span);
        let category = match span.kind {
            SpanKind::Async => Category::Async,
            SpanKind::Thread => Category::Thread,
        };
        let mut begin = event(EventType::SliceBegin, drawn.track, (category, span.name), annotations);
        begin.flow_ids = drawn.targets;
        begin.terminating_flow_ids = drawn.is_target.then_some(span.id).into_iter().collect();
        self.event(span.begin_ns, begin);
        if span.end_ns != OPEN {
            self.end(span.end_ns, drawn.track);
        }
    }

    /// The row of an async span, and the span around it there.
    fn async_track(&mut self, stay: Stay, may_nest: bool) -> (u64, Option<u64>) {
        let (spot, around) = self.lanes.place(stay, may_nest);
        if let Some(&track) = self.rows.get(&spot) {
            return (track, around);
        }
        let number = spot.family + 1;
        let (parent, name, rank) = match spot.row {
            0 => (ASYNC_TRACK, format!("async {number}"), spot.family),
            row => {
                let root = Spot { row: 0, ..spot };
                let parent = self.rows.get(&root).copied().unwrap_or(ASYNC_TRACK);
                (parent, format!("async {number}, in parallel {row}"), row)
            }
        };
        let track = self.row(parent, name, rank);
        self.rows.insert(spot, track);
        (track, around)
    }

    /// The row of a thread span, and the span around it there.
    fn thread_track(&mut self, span: &Held) -> (u64, Option<u64>) {
        let id = span.end_thread.or(span.begin_thread).unwrap_or_default();
        let thread = self.known_thread(id);
        let (row, around) = thread.lanes.place(span.stay(), span.end_may_be_lost);
        if let Some(&track) = thread.tracks.get(row) {
            return (track, around);
        }
        let (parent, name) = (thread.tracks[0], format!("{}, overlapping {row}", thread.label));
        let track = self.row(parent, name, row);
        self.known_thread(id).tracks.push(track);
        (track, around)
    }

    fn annotations(&mut self, span: &Held) -> Vec<DebugAnnotation> {
        let mut all = Vec::with_capacity(16);
        all.push(Argument::SpanId.number(span.id));
        all.push(Argument::ParentId.number(span.parent));
        all.push(Argument::Depth.number(u64::from(span.depth)));
        all.push(Argument::Outcome.text(self.texts.value(span.ending.word())));
        if span.kind == SpanKind::Async && span.ending != Ending::Open {
            all.push(Argument::Polls.number(u64::from(span.polls)));
        }
        let measured =
            [(Argument::BusyNs, span.busy_ns), (Argument::IdleNs, span.idle_ns), (Argument::WaitNs, span.wait_ns)];
        all.extend(measured.into_iter().filter_map(|(argument, ns)| ns.map(|ns| argument.number(ns))));
        if let Some(place) = span.place {
            all.push(Argument::Target.text(place.target));
            all.push(Argument::Module.text(place.module));
            all.push(Argument::Location.text(place.file_line));
        }
        for (argument, thread) in [(Argument::BeginThread, span.begin_thread), (Argument::EndThread, span.end_thread)] {
            all.extend(thread.map(|id| argument.text(self.known_thread(id).text)));
        }
        match span.name_state {
            NameState::Whole => {}
            NameState::Cut => all.push(Argument::NameState.text(self.texts.value("cut"))),
            NameState::Missing => all.push(Argument::NameState.text(self.texts.value("missing"))),
        }
        let marks = [
            (Argument::BeginLost, span.begin_lost),
            (Argument::EndMayBeLost, span.end_may_be_lost),
            (Argument::BusyPartial, span.busy_partial),
        ];
        all.extend(marks.into_iter().filter(|(_, holds)| *holds).map(|(argument, _)| argument.with(Value::Bool(true))));
        all
    }

    fn row(&mut self, parent: u64, name: String, rank: usize) -> u64 {
        let uuid = self.new_track();
        self.track(TrackDescriptor {
            uuid: Some(uuid),
            parent_uuid: Some(parent),
            name: Some(name),
            child_ordering: Some(proto::ChildTracksOrdering::Explicit as i32),
            sibling_order_rank: Some(i32::try_from(rank).unwrap_or(i32::MAX)),
            sibling_merge_behavior: Some(proto::SiblingMergeBehavior::None as i32),
            ..TrackDescriptor::default()
        });
        uuid
    }

    fn new_track(&mut self) -> u64 {
        self.next_track += 1;
        self.next_track - 1
    }

    fn track(&mut self, track: TrackDescriptor) {
        self.packet(TracePacket { data: Some(Data::TrackDescriptor(track)), ..TracePacket::default() });
    }

    fn end(&mut self, time: u64, track: u64) {
        let end =
            TrackEvent { r#type: Some(EventType::SliceEnd as i32), track_uuid: Some(track), ..TrackEvent::default() };
        self.event(time, end);
    }

    fn event(&mut self, time: u64, event: TrackEvent) {
        let packet = TracePacket {
            timestamp: Some(time),
            sequence_flags: Some(proto::SequenceFlags::NeedsIncrementalState as u32),
            interned_data: self.texts.take_new(),
            data: Some(Data::TrackEvent(event)),
            ..TracePacket::default()
        };
        self.packet(packet);
    }

    fn packet(&mut self, packet: TracePacket) {
        let packet = TracePacket { trusted_packet_sequence_id: Some(SEQUENCE), ..packet };
        self.packet.clear();
        proto::Trace { packet: vec![packet] }.encode(&mut self.packet).expect("a vector grows");
        if self.failure.is_none() {
            self.failure = self.out.write_all(&self.packet).err();
        }
    }
}

fn event(
    kind: EventType,
    track: u64,
    (category, name): (Category, Name),
    debug_annotations: Vec<DebugAnnotation>,
) -> TrackEvent {
    let (name_iid, name) = match name {
        Name::Numbered(number) => (Some(number), None),
        Name::Text(text) => (None, Some(text)),
    };
    TrackEvent {
        r#type: Some(kind as i32),
        track_uuid: Some(track),
        category_iids: vec![category as u64],
        name,
        name_iid,
        debug_annotations,
        ..TrackEvent::default()
    }
}
