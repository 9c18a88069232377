//! A recording as a trace for Perfetto: <https://ui.perfetto.dev>, or its `trace_processor` for SQL.
//!
//! | in the recording | in the trace |
//! |---|---|
//! | async span | slice of category `async`, on a row of its family under "async spans" |
//! | thread span | slice of category `thread`, on the row of its thread |
//! | open span | slice that begins and does not end |
//! | lost records | instant of category `loss`, on the row of the thread that lost them |
//! | damage | instant of category `damage`, on the row of the process |
//!
//! Each slice carries as arguments `span_id`, `parent_id` (0 for none), `depth`, `outcome`, `polls`, `target`, `module`,
//! `location` (`file:line`), `begin_thread` and `end_thread`. Timestamps are nanoseconds since 1970, unchanged. There are as
//! many slices as spans: a slice is never drawn inside one that is not its parent, so nothing is cut to fit.
//!
//! The export streams: it holds the spans that are open and at most [`WINDOW`] finished ones, to sort them by their begin.

mod lanes;
pub mod proto;
mod texts;

use crate::export::{ExportError, Exporter};
use crate::places::Place;
use crate::spans::{Ending, Item, Span, thread_label};
use crate::text::count;
use crate::top::kind_word;
use lanes::{AsyncLanes, OPEN, Spot, Stay, ThreadLanes};
use prost::Message;
use proto::{Data, DebugAnnotation, EventType, TracePacket, TrackDescriptor, Value};
use rustc_hash::FxHashMap;
use spanring::reader::{Damage, Loss, LossCause, NameState, Recording, SpanKind, ThreadFacts};
use std::cmp::Reverse;
use std::io::{self, Write};
use texts::Texts;

/// As many finished spans are held back, at most, to be sorted. In recordings with fewer spans children always find their
/// parents; in longer ones a span that took very long may be drawn apart from its children.
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
    /// Spans so far.
    spans: u64,
    packet: Vec<u8>,
    texts: Texts,
    process: Process,
    next_track: u64,
    threads: FxHashMap<u32, Thread>,
    lanes: AsyncLanes,
    rows: FxHashMap<Spot, u64>,
    held: Vec<Held>,
    window: usize,
}

struct Thread {
    label: String,
    lanes: ThreadLanes,
    /// The tracks of its rows.
    tracks: Vec<u64>,
}

/// A finished span that waits for those that began before it.
struct Held {
    id: u64,
    parent: u64,
    depth: u16,
    kind: SpanKind,
    name: String,
    name_state: NameState,
    place: Option<u32>,
    ending: Ending,
    begin_ns: u64,
    end_ns: u64,
    begin_thread: Option<u32>,
    end_thread: Option<u32>,
    polls: u32,
    begin_lost: bool,
    end_may_be_lost: bool,
    number: u64,
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
        self.release(self.held.len());
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
            spans: 0,
            packet: Vec::new(),
            texts: Texts::default(),
            process,
            next_track: ASYNC_TRACK + 1,
            threads: FxHashMap::default(),
            lanes: AsyncLanes::new(window),
            rows: FxHashMap::default(),
            held: Vec::new(),
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
        let thread = Thread { label: thread_label(facts), lanes: ThreadLanes::default(), tracks: vec![uuid] };
        self.threads.insert(facts.id, thread);
    }

    /// Makes sure of a thread that the recording has not introduced (its facts are damaged).
    fn unknown_thread(&mut self, id: u32) {
        if !self.threads.contains_key(&id) {
            self.thread(&ThreadFacts { id, os_id: 0, name: String::new() });
        }
    }

    fn loss(&mut self, loss: &Loss) {
        self.unknown_thread(loss.thread);
        let cause = match loss.cause {
            LossCause::Dropped => "dropped: the ring was full",
            LossCause::Overwritten => "overwritten by newer records",
            LossCause::Retired => "retired to keep the directory within its budget",
        };
        let mut annotations = vec![
            self.texts.annotation("records", Value::Uint(loss.records)),
            self.texts.annotation("cause", Value::String(cause.to_owned())),
        ];
        for (name, time) in [("after_unix_ns", loss.after_unix_ns), ("before_unix_ns", loss.before_unix_ns)] {
            annotations.extend(time.map(|time| self.texts.annotation(name, Value::Uint(time))));
        }
        let time = loss.before_unix_ns.or(loss.after_unix_ns).unwrap_or(self.process.started_unix_ns);
        let track = self.threads[&loss.thread].tracks[0];
        self.event(
            time,
            EventType::Instant,
            track,
            Some(("loss", format!("{} lost", count(loss.records, "event")))),
            annotations,
        );
    }

    fn damage(&mut self, damage: &Damage) {
        let annotations = vec![
            self.texts.annotation("file", Value::String(damage.path.display().to_string())),
            self.texts.annotation("offset", Value::Uint(damage.offset)),
            self.texts.annotation("bytes", Value::Uint(damage.bytes)),
            self.texts.annotation("records", Value::Uint(damage.records)),
        ];
        let name = ("damage", format!("damage: {}", damage.what));
        self.event(self.process.started_unix_ns, EventType::Instant, PROCESS_TRACK, Some(name), annotations);
    }

    fn span(&mut self, span: &Span<'_>) {
        self.spans += 1;
        for thread in [span.begin_thread, span.end_thread].into_iter().flatten() {
            self.unknown_thread(thread);
        }
        if let Some(place) = span.place {
            self.texts.know_place(place);
        }
        self.held.push(Held::new(span, self.spans));
        if self.held.len() >= self.window {
            self.release(self.window / 2);
        }
    }

    /// Writes the `count` spans that began first.
    fn release(&mut self, count: usize) {
        let mut held = std::mem::take(&mut self.held);
        // A parent before its children, the outer of two scopes before the inner (which ends, and comes, first).
        held.sort_by_key(|span| (span.begin_ns, span.depth, Reverse(span.end_ns), Reverse(span.number)));
        for span in held.drain(..count) {
            self.slice(span);
        }
        self.held = held;
    }

    fn slice(&mut self, span: Held) {
        let stay = Stay { id: span.id, parent: span.parent, begin_ns: span.begin_ns, end_ns: span.end_ns };
        let track = match span.kind {
            SpanKind::Async => self.async_track(stay),
            SpanKind::Thread => self.thread_track(stay, &span),
        };
        let annotations = self.annotations(&span);
        let category = kind_word(span.kind);
        self.event(span.begin_ns, EventType::SliceBegin, track, Some((category, span.name)), annotations);
        if span.end_ns != OPEN {
            self.event(span.end_ns, EventType::SliceEnd, track, None, Vec::new());
        }
    }

    fn async_track(&mut self, stay: Stay) -> u64 {
        let spot = self.lanes.place(stay);
        if let Some(&track) = self.rows.get(&spot) {
            return track;
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
        track
    }

    fn thread_track(&mut self, stay: Stay, span: &Held) -> u64 {
        let id = span.end_thread.or(span.begin_thread).unwrap_or_default();
        self.unknown_thread(id);
        let thread = self.threads.get_mut(&id).expect("made sure of just now");
        let row = thread.lanes.place(stay, span.end_may_be_lost);
        if let Some(&track) = thread.tracks.get(row) {
            return track;
        }
        let (parent, name) = (thread.tracks[0], format!("{}, overlapping {row}", thread.label));
        let track = self.row(parent, name, row);
        self.threads.get_mut(&id).expect("made sure of just now").tracks.push(track);
        track
    }

    fn annotations(&mut self, span: &Held) -> Vec<DebugAnnotation> {
        let texts = &mut self.texts;
        let mut all = Vec::with_capacity(12);
        all.push(texts.annotation("span_id", Value::Uint(span.id)));
        all.push(texts.annotation("parent_id", Value::Uint(span.parent)));
        all.push(texts.annotation("depth", Value::Uint(u64::from(span.depth))));
        all.push(texts.annotation_with_text("outcome", span.ending.word()));
        if span.kind == SpanKind::Async && span.ending != Ending::Open {
            all.push(texts.annotation("polls", Value::Uint(u64::from(span.polls))));
        }
        if let Some(place) = span.place {
            texts.place_annotations(place, &mut all);
        }
        for (name, thread) in [("begin_thread", span.begin_thread), ("end_thread", span.end_thread)] {
            if let Some(thread) = thread.and_then(|id| self.threads.get(&id)) {
                all.push(texts.annotation_with_text(name, &thread.label));
            }
        }
        match span.name_state {
            NameState::Whole => {}
            NameState::Cut => all.push(texts.annotation_with_text("name", "cut")),
            NameState::Missing => all.push(texts.annotation_with_text("name", "lost")),
        }
        if span.begin_lost {
            all.push(texts.annotation("begin_lost", Value::Bool(true)));
        }
        if span.end_may_be_lost {
            all.push(texts.annotation("end_may_be_lost", Value::Bool(true)));
        }
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

    fn event(
        &mut self,
        time: u64,
        kind: EventType,
        track: u64,
        title: Option<(&str, String)>,
        debug_annotations: Vec<DebugAnnotation>,
    ) {
        let (category, name) = title.unzip();
        let event = proto::TrackEvent {
            r#type: Some(kind as i32),
            track_uuid: Some(track),
            category_iids: category.map(|category| self.texts.category(category)).into_iter().collect(),
            name,
            debug_annotations,
        };
        let packet = TracePacket {
            timestamp: Some(time),
            timestamp_clock_id: Some(proto::BuiltinClock::Realtime as u32),
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

impl Held {
    fn new(span: &Span<'_>, number: u64) -> Held {
        let begin_ns = span.begin_ns.min(OPEN - 1);
        Held {
            id: span.id,
            parent: span.parent,
            depth: span.depth,
            kind: span.kind,
            name: span.name.to_owned(),
            name_state: span.name_state,
            place: span.place.map(|place: &Place| place.index),
            ending: span.ending,
            begin_ns,
            // A clock that was set back must not make a slice end before it begins.
            end_ns: span.end_ns.map_or(OPEN, |end_ns| end_ns.clamp(begin_ns, OPEN - 1)),
            begin_thread: span.begin_thread,
            end_thread: span.end_thread,
            polls: span.polls,
            begin_lost: span.begin_lost,
            end_may_be_lost: span.end_may_be_lost,
            number,
        }
    }
}
