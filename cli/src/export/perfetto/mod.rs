//! A recording as a trace for Perfetto: <https://ui.perfetto.dev>, or its `trace_processor` for SQL.
//!
//! | in the recording | in the trace |
//! |---|---|
//! | async span | slice of category `async`, on a row of its family under "async spans", which is called as its roots are |
//! | thread span | slice of category `thread`, on the row of its thread |
//! | parent and child in different rows | arrow (a flow) from the parent's slice to the child's |
//! | open span | slice that begins and does not end |
//! | lost records | slice of category `loss`, from the record before the gap to the one behind it, on a row under their thread |
//! | damage | instant of category `damage`, on the row of the process |
//! | instant | instant of category `instant`, in the slice of its span, or with an arrow from it in another row; in no span, on its thread |
//! | counter | a counter of that name, with its values |
//!
//! Each slice carries as arguments `span_id`, `parent_id` (0 for none), `depth`, `outcome`, `polls`, `target`, `module`,
//! `location` (`file:line`), `begin_thread` and `end_thread`; where they were measured, `busy_ns`, `idle_ns` and `wait_ns` (before
//! the first poll); and where they hold, `name_state` (`cut` or `missing`), `begin_lost`, `end_may_be_lost` and `busy_partial`. A
//! loss has `thread`, `records`, `cause`, `after_ns` and `before_ns`. Attributes are a dictionary, `attributes`, beside the list
//! `cut_attributes` of the keys whose text is cut, and `lost_attributes`, `lost_instants`: how many are missing. An instant has
//! `instant_id`, `parent_id`, `thread`, its place and attributes. A counter's value that is an integer that no floating-point number is,
//! is there as text too, as `exact_value`. Timestamps are nanoseconds since 1970, unchanged. There are as
//! many slices as spans: a slice is never drawn inside one that is not its parent, so nothing is cut to fit.
//!
//! The export streams: it holds the spans that are open and at most [`WINDOW`] finished ones, to sort them by their begin.

mod annotations;
mod bodies;
mod held;
mod lanes;
mod packets;
pub mod proto;
mod said;
mod texts;
mod threads;
mod wire;

use crate::export::attributes::{SIGNED, Simple, as_float, simple};
use crate::export::{ExportError, Exporter, cause_word, no_numbers};
use crate::spans::{Counter, Instant, Item, Span, thread_label};
use crate::text::count;
use annotations::{annotate, state};
use held::{Lane, Shape, Waiting};
use lanes::{AsyncLanes, OPEN, Placed, Stay};
use packets::{Fields, Head, Packets};
use proto::{CounterValue, Data, EventType, TracePacket, TrackDescriptor, Value};
use rustc_hash::FxHashMap;
use said::Said;
use spanring::reader::{self, Damage, Loss, NameState, Recording, ThreadFacts};
use std::io::Write;
use texts::{Argument, Category, Texts};
use threads::{Thread, Threads};

/// As many finished spans are held back, at most, to be sorted. In recordings with fewer spans children always find their
/// parents; in longer ones a span that took very long may be drawn apart from its children, and without arrows to them.
pub const WINDOW: usize = 1 << 17;

/// So many are fetched from the memory in which they wait before the first of them gets its place: to wait for that memory once for many,
/// and not for each, is most of the time saved.
const AT_ONCE: usize = 128;

/// Roots with later names share the rows of those whose names were made at run time: a viewer has no use for a row for each of them.
const MOST_SORTS: u32 = 1000;

/// Of more families of one sort at a time, the order is that of the viewer.
const MOST_OF_A_SORT: usize = 1 << 12;

const PROCESS_TRACK: u64 = 1;
const ASYNC_TRACK: u64 = 2;

/// The process that a trace shows.
///
/// ```
/// use spanring_cli::export::perfetto::Process;
///
/// let process = Process {
///     pid: 42,
///     name: "service".to_owned(),
///     started_unix_ns: 1_769_903_999_999_000_000,
///     description: "recorded on the build machine".to_owned(),
/// };
/// assert_eq!(process.clone().name, "service");
/// ```
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
///
/// ```
/// use prost::Message;
/// use spanring::reader::{Loss, LossCause};
/// use spanring_cli::export::{Exporter, perfetto::{Process, TraceWriter, proto::{Data, Trace}}};
/// use spanring_cli::spans::Item;
///
/// # let (name, description) = ("service".to_owned(), String::new());
/// # let process = Process { pid: 42, name, started_unix_ns: 500, description };
/// # let (after_unix_ns, before_unix_ns) = (Some(1_000), Some(3_000));
/// # let loss = Loss { thread: 1, records: 12, cause: LossCause::Dropped, after_unix_ns, before_unix_ns };
/// let mut trace = Vec::new();
/// let mut writer = TraceWriter::new(Box::new(&mut trace), process);
/// writer.add(&Item::Loss(loss))?;
/// Box::new(writer).finish()?;
/// let trace = Trace::decode(&trace[..]).expect("a trace");
/// let events = trace.packet.iter().filter(|packet| matches!(packet.data, Some(Data::TrackEvent(_))));
/// assert_eq!(events.count(), 2, "the begin and the end of the gap");
/// # Ok::<(), spanring_cli::export::ExportError>(())
/// ```
pub struct TraceWriter<'w> {
    packets: Packets<'w>,
    /// Those of the event that was written last and did not wait.
    fields: Fields,
    texts: Texts,
    process: Process,
    next_track: u64,
    threads: Threads,
    lanes: AsyncLanes,
    /// By family: the tracks of its rows, 0 for those that have none so far.
    rows: Vec<Vec<u64>>,
    /// Sorts of families: numbers of the names of their roots, in the order in which they came.
    sorts: Vec<u32>,
    waiting: Waiting,
    /// Spans and instants drawn so far, modulo 2^32.
    drawn: u32,
    /// Memory for a batch: the numbers of what is in it, and it itself.
    batch: Vec<u64>,
    drawing: Drawing,
    window: usize,
    /// The tracks of counters.
    counters: FxHashMap<Box<str>, u64>,
    /// Values of counters that are no numbers, of a later version.
    no_numbers: u64,
}

/// What is being drawn, in order, and the track of each.
#[derive(Default)]
struct Drawing {
    shapes: Vec<Shape>,
    tracks: Vec<u64>,
}

impl Process {
    /// That of a recording.
    ///
    /// ```no_run
    /// use spanring::reader::Recording;
    /// use spanring_cli::export::perfetto::Process;
    ///
    /// # fn main() -> Result<(), spanring::reader::ReadError> {
    /// let recording = Recording::open("recording")?;
    /// let process = Process::of(&recording);
    /// assert_eq!(process.pid, recording.facts().pid);
    /// # Ok(())
    /// # }
    /// ```
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
    fn follows(&self) -> bool {
        false
    }

    fn add(&mut self, item: &Item<'_>) -> Result<(), ExportError> {
        match item {
            Item::Thread(facts) => {
                self.thread(facts);
            }
            Item::Span(span) => self.span(span),
            Item::Loss(loss) => self.loss(loss),
            Item::Damage(damage) => self.damage(damage),
            Item::Instant(instant) => {
                self.hold_instant(instant);
                self.release_some();
            }
            Item::Counter(counter) => self.counter(counter),
            Item::Details(_) => {}
        }
        self.packets.failure().map_err(ExportError::Write)
    }

    fn finish(mut self: Box<Self>) -> Result<Vec<String>, ExportError> {
        self.release(self.waiting.len());
        self.packets.flush().map_err(ExportError::Write)?;
        let mut remarks = vec!["open it at https://ui.perfetto.dev".to_owned()];
        if self.no_numbers > 0 {
            remarks.push(no_numbers(self.no_numbers));
        }
        Ok(remarks)
    }
}

impl<'w> TraceWriter<'w> {
    /// A trace of a recording.
    ///
    /// ```no_run
    /// use spanring::reader::Recording;
    /// use spanring_cli::export::Exporter;
    /// use spanring_cli::export::perfetto::TraceWriter;
    ///
    /// # fn main() -> Result<(), Box<dyn std::error::Error>> {
    /// let recording = Recording::open("recording")?;
    /// let file = std::fs::File::create("trace.perfetto-trace")?;
    /// Box::new(TraceWriter::of(&recording, Box::new(file))).finish()?;
    /// # Ok(())
    /// # }
    /// ```
    pub fn of(recording: &Recording, out: Box<dyn Write + Send + 'w>) -> TraceWriter<'w> {
        TraceWriter::new(out, Process::of(recording))
    }

    /// Writes the trace's head.
    ///
    /// ```
    /// use prost::Message;
    /// use spanring_cli::export::{Exporter, perfetto::{Process, TraceWriter, proto::Trace}};
    ///
    /// # let (name, description) = ("service".to_owned(), String::new());
    /// # let process = Process { pid: 42, name, started_unix_ns: 500, description };
    /// let mut trace = Vec::new();
    /// Box::new(TraceWriter::new(Box::new(&mut trace), process)).finish()?;
    /// assert!(!Trace::decode(&trace[..]).expect("a trace").packet.is_empty(), "the head is there without any span");
    /// # Ok::<(), spanring_cli::export::ExportError>(())
    /// ```
    pub fn new(out: Box<dyn Write + Send + 'w>, process: Process) -> TraceWriter<'w> {
        TraceWriter::with_window(out, process, WINDOW)
    }

    /// The same with another [`WINDOW`], of at least 2.
    ///
    /// ```
    /// use spanring_cli::export::{Exporter, perfetto::{Process, TraceWriter}};
    ///
    /// # let (name, description) = ("service".to_owned(), String::new());
    /// # let process = Process { pid: 42, name, started_unix_ns: 500, description };
    /// // Where there is little memory; arrows from parents that take long may be missing then.
    /// let writer = TraceWriter::with_window(Box::new(std::io::sink()), process, 1 << 10);
    /// assert!(Box::new(writer).finish().is_ok());
    /// ```
    pub fn with_window(out: Box<dyn Write + Send + 'w>, process: Process, window: usize) -> TraceWriter<'w> {
        let mut writer = TraceWriter {
            packets: Packets::new(out),
            fields: Fields::default(),
            texts: Texts::new(),
            process,
            next_track: ASYNC_TRACK + 1,
            threads: Threads::default(),
            lanes: AsyncLanes::new(window),
            rows: Vec::new(),
            sorts: Vec::new(),
            waiting: Waiting::default(),
            drawn: 0,
            batch: Vec::new(),
            drawing: Drawing::default(),
            window: window.max(2),
            counters: FxHashMap::default(),
            no_numbers: 0,
        };
        writer.head();
        // If nothing can be written, that has to show before a long reading.
        writer.packets.write();
        writer
    }

    fn head(&mut self) {
        let started = self.process.started_unix_ns;
        let clock =
            |clock: proto::BuiltinClock| proto::Clock { clock_id: Some(clock as u32), timestamp: Some(started) };
        // Boot time is what the viewer falls back to. Setting it equal keeps every timestamp as it is.
        let clocks = vec![clock(proto::BuiltinClock::Realtime), clock(proto::BuiltinClock::Boottime)];
        self.packets.add(TracePacket {
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

    /// Makes sure of a thread, and returns its number.
    fn thread(&mut self, facts: &ThreadFacts) -> usize {
        if let Some(number) = self.threads.find(facts.id) {
            return number;
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
        let text = self.texts.value(&label);
        self.threads.add(facts.id, Thread::new(label, text, uuid))
    }

    /// The number of a thread, even if the recording has not introduced it (its facts are damaged).
    #[inline]
    fn known_thread(&mut self, id: u32) -> usize {
        match self.threads.find(id) {
            Some(number) => number,
            None => self.thread(&ThreadFacts { id, os_id: 0, name: String::new() }),
        }
    }

    fn loss(&mut self, loss: &Loss) {
        let begin_ns = loss.after_unix_ns.unwrap_or(self.process.started_unix_ns);
        let begin_ns = begin_ns.min(loss.before_unix_ns.unwrap_or(begin_ns)).min(OPEN - 1);
        let end_ns = loss.before_unix_ns.unwrap_or(begin_ns).min(OPEN - 1);
        let thread = self.known_thread(loss.thread);
        let track = self.loss_track(thread, Stay { id: 0, parent: 0, begin_ns, end_ns });
        let cause = self.texts.value(cause_word(loss.cause));
        let fields = &mut self.fields;
        fields.title(Category::Loss, &format!("{} lost", count(loss.records, "event")));
        fields.argument(Argument::Thread, Value::StringIid(self.threads.get(thread).text));
        fields.number(Argument::Records, loss.records);
        fields.argument(Argument::Cause, Value::StringIid(cause));
        for (argument, time) in [(Argument::AfterNs, loss.after_unix_ns), (Argument::BeforeNs, loss.before_unix_ns)] {
            time.into_iter().for_each(|time| fields.number(argument, time));
        }
        self.write_event(&Head::new(EventType::SliceBegin, track, begin_ns));
        self.packets.end(track, end_ns);
    }

    fn loss_track(&mut self, number: usize, stay: Stay) -> u64 {
        let thread = self.threads.get_mut(number);
        let (row, _) = thread.loss_lanes.place(stay, true);
        if let Some(&track) = thread.loss_tracks.get(row) {
            return track;
        }
        let (parent, name) = (thread.tracks[0], format!("{}, lost events", thread.label));
        let track = self.row(parent, name, usize::MAX);
        let tracks = &mut self.threads.get_mut(number).loss_tracks;
        // Rows are numbered without gaps, but the first is left to what nests.
        tracks.resize(row + 1, track);
        track
    }

    fn damage(&mut self, damage: &Damage) {
        let fields = &mut self.fields;
        fields.title(Category::Damage, &format!("damage: {}", damage.what));
        fields.argument(Argument::File, Value::String(damage.path.display().to_string()));
        fields.number(Argument::Offset, damage.offset);
        fields.number(Argument::Bytes, damage.bytes);
        fields.number(Argument::Records, damage.records);
        self.write_event(&Head::new(EventType::Instant, PROCESS_TRACK, self.process.started_unix_ns));
    }

    fn span(&mut self, span: &Span<'_>) {
        let begin_thread = span.begin_thread.map(|id| self.known_thread(id));
        let end_thread = span.end_thread.map(|id| self.known_thread(id));
        let has_body = says_more(span);
        if has_body {
            say_more(span, self.waiting.body(), &mut self.texts);
        }
        let said = Said::new(span, &mut self.texts, begin_thread, end_thread, has_body);
        self.waiting.push(span, said);
        // None of them is drawn before all of them wait.
        span.instants().iter().for_each(|instant| self.hold_instant(instant));
        self.release_some();
    }

    fn hold_instant(&mut self, instant: &Instant) {
        let thread = self.known_thread(instant.thread);
        let TraceWriter { texts, threads, waiting, .. } = self;
        let fields = waiting.body();
        fields.title(Category::Instant, &instant.name);
        fields.number(Argument::InstantId, instant.id);
        fields.number(Argument::ParentId, instant.parent);
        fields.argument(Argument::Thread, Value::StringIid(threads.get(thread).text));
        if let Some(place) = &instant.place {
            texts.meet(place);
            fields.arguments(|arguments| arguments.piece(texts.place(place.index)));
        }
        state(fields, texts, instant.name_state);
        annotate(fields, texts, &instant.attributes);
        waiting.push_instant(instant, Said::instant(thread));
    }

    fn release_some(&mut self) {
        if self.waiting.len() >= self.window {
            self.release(self.window / 2);
        }
    }

    fn counter(&mut self, counter: &Counter<'_>) {
        let Some(float) = as_float(counter.value) else {
            self.no_numbers += 1;
            return;
        };
        let track = match self.counters.get(counter.name) {
            Some(&track) => track,
            None => self.counter_track(counter.name),
        };
        let integer = match simple(counter.value, &SIGNED) {
            Simple::Integer(integer) => i64::try_from(integer).ok(),
            _ => None,
        };
        let value = integer.map_or(CounterValue::Double(float), CounterValue::Int);
        if !is_exact(counter.value, float) {
            self.fields.argument(Argument::ExactValue, Value::String(counter.value.to_string()));
        }
        self.fields.counter(value);
        self.write_event(&Head::new(EventType::Counter, track, counter.unix_ns.min(OPEN - 1)));
    }

    fn counter_track(&mut self, name: &str) -> u64 {
        let uuid = self.new_track();
        self.track(TrackDescriptor {
            uuid: Some(uuid),
            parent_uuid: Some(PROCESS_TRACK),
            name: Some(name.to_owned()),
            counter: Some(proto::CounterDescriptor {}),
            ..TrackDescriptor::default()
        });
        self.counters.insert(name.into(), uuid);
        uuid
    }

    /// Draws the `count` spans that began first.
    fn release(&mut self, count: usize) {
        let mut batch = std::mem::take(&mut self.batch);
        self.waiting.take(count, &mut batch);
        let first = self.drawn;
        self.drawn = first.wrapping_add(batch.len() as u32);
        let Drawing { mut shapes, mut tracks } = std::mem::take(&mut self.drawing);
        // From which place in the batch, to which span.
        let mut arrows: Vec<(u32, u64)> = Vec::new();
        let mut parents = Sieve::for_ids(batch.len());
        for numbers in batch.chunks(AT_ONCE) {
            let begin = shapes.len();
            shapes.extend(numbers.iter().map(|&number| self.waiting.draw(number)));
            for (place, shape) in (begin as u32..).zip(&mut shapes[begin..]) {
                let Stay { id, parent, .. } = shape.stay;
                let (track, around) = match shape.lane {
                    Lane::Async => {
                        parents.add(id);
                        let number = (!shape.is_instant).then_some(first.wrapping_add(place));
                        self.async_track(shape, number)
                    }
                    Lane::Thread | Lane::Doubtful => self.thread_track(shape),
                };
                if !shape.is_promised && around != Some(parent) && parents.may_have(parent) {
                    // A child that is said to begin before its parent is drawn before it, and has no arrow.
                    if let Some(parent) = place_in_batch(&self.lanes, parent, first, place) {
                        arrows.push((parent, id));
                        shape.is_promised = true;
                    }
                }
                tracks.push(track);
            }
        }
        let end = shapes.len() as u32;
        // Of children that are drawn later, it shows only then whether they could have been drawn inside.
        for span in self.waiting.children(|parent| parents.may_have(parent)) {
            if let Some(parent) = place_in_batch(&self.lanes, span.stay.parent, first, end) {
                arrows.push((parent, span.stay.id));
                span.is_promised = true;
            }
        }
        arrows.sort_by_key(|&(parent, _)| parent);
        let mut arrows = arrows.as_slice();
        for ((place, shape), &track) in (0..).zip(&shapes).zip(&tracks) {
            // One or none, nearly always.
            let own = arrows.iter().take_while(|(parent, _)| *parent == place).count();
            let (own, others) = arrows.split_at(own);
            arrows = others;
            self.write(shape, track, own);
        }
        shapes.clear();
        tracks.clear();
        (self.drawing, self.batch) = (Drawing { shapes, tracks }, batch);
        self.waiting.forget_drawn();
    }

    /// Writes a span or an instant. `arrows` lead from it.
    #[inline]
    fn write(&mut self, shape: &Shape, track: u64, arrows: &[(u32, u64)]) {
        let Stay { id, begin_ns, end_ns, .. } = shape.stay;
        let kind = if shape.is_instant { EventType::Instant } else { EventType::SliceBegin };
        let head = Head { kind, track, time_ns: begin_ns, arrows, arrow_here: shape.is_promised.then_some(id) };
        self.write_texts();
        let TraceWriter { packets, texts, threads, waiting, .. } = self;
        let body = waiting.body_of(shape);
        if shape.is_instant {
            return packets.event(&head, |_| {}, body);
        }
        packets.event(&head, |event| shape.said.write(shape, event, texts, threads), body);
        if end_ns != OPEN {
            packets.end(track, end_ns);
        }
    }

    /// The row of an async span, and the span around it there.
    fn async_track(&mut self, shape: &Shape, number: Option<u32>) -> (u64, Option<u64>) {
        let sort = if shape.said.name > MOST_SORTS { 0 } else { shape.said.name };
        let Placed { spot, around } = self.lanes.place(shape.stay, sort, !shape.is_promised, number);
        let known = |row: usize| self.rows.get(spot.family)?.get(row).copied().filter(|&track| track != 0);
        if let Some(track) = known(spot.row) {
            return (track, around);
        }
        let (sort, number) = self.lanes.sort(spot.family);
        let label = format!("{} {number}", self.texts.label(sort).unwrap_or("async"));
        let (parent, name, rank) = match spot.row {
            0 => (ASYNC_TRACK, label, self.rank(sort, number)),
            row => (known(0).unwrap_or(ASYNC_TRACK), format!("{label}, in parallel {row}"), row),
        };
        let track = self.row(parent, name, rank);
        if self.rows.len() <= spot.family {
            self.rows.resize(spot.family + 1, Vec::new());
        }
        let rows = &mut self.rows[spot.family];
        rows.resize(rows.len().max(spot.row + 1), 0);
        rows[spot.row] = track;
        (track, around)
    }

    /// Families of one sort are together, in the order of their numbers; sorts are in the order in which they came.
    fn rank(&mut self, sort: u32, number: usize) -> usize {
        let place = self.sorts.iter().position(|&known| known == sort).unwrap_or_else(|| {
            self.sorts.push(sort);
            self.sorts.len() - 1
        });
        place * MOST_OF_A_SORT + number.min(MOST_OF_A_SORT - 1)
    }

    /// The row of a thread span, and the span around it there.
    fn thread_track(&mut self, shape: &Shape) -> (u64, Option<u64>) {
        let number = shape.said.thread().unwrap_or_else(|| self.known_thread(0));
        let thread = self.threads.get_mut(number);
        let (row, around) = thread.lanes.place(shape.stay, shape.lane == Lane::Doubtful);
        if let Some(&track) = thread.tracks.get(row) {
            return (track, around);
        }
        // The viewer sorts these by their names.
        let (parent, name) = (thread.tracks[0], format!("{}, overlapping {row:02}", thread.label));
        let track = self.row(parent, name, row);
        self.threads.get_mut(number).tracks.push(track);
        (track, around)
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
        self.packets.add(TracePacket { data: Some(Data::TrackDescriptor(track)), ..TracePacket::default() });
    }

    /// Writes an event with [`TraceWriter::fields`].
    fn write_event(&mut self, head: &Head<'_>) {
        self.write_texts();
        self.packets.event(head, |_| {}, self.fields.bytes());
        self.fields.clear();
    }

    /// Writes the texts that were numbered since the last event.
    #[inline]
    fn write_texts(&mut self) {
        if let Some(new) = self.texts.take_new() {
            self.packets.texts(new);
        }
    }
}

/// Whether there is something to say of a span that few spans say.
#[inline]
fn says_more(span: &Span<'_>) -> bool {
    let Span { name_index, name_state, busy_ns, created_ns, details, .. } = span;
    let measured = busy_ns.is_some() | created_ns.is_some();
    let marked = span.begin_lost | span.end_may_be_lost | span.busy_partial;
    name_index.is_none() | (*name_state != NameState::Whole) | measured | marked | details.is_some()
}

/// Adds that.
fn say_more(span: &Span<'_>, fields: &mut Fields, texts: &mut Texts) {
    if span.name_index.is_none() {
        fields.name(span.name);
    }
    for (argument, ns) in
        [(Argument::BusyNs, span.busy_ns), (Argument::IdleNs, span.idle_ns()), (Argument::WaitNs, span.wait_ns())]
    {
        ns.into_iter().for_each(|ns| fields.number(argument, ns));
    }
    state(fields, texts, span.name_state);
    let marks = [
        (Argument::BeginLost, span.begin_lost),
        (Argument::EndMayBeLost, span.end_may_be_lost),
        (Argument::BusyPartial, span.busy_partial),
    ];
    for (argument, _) in marks.into_iter().filter(|(_, holds)| *holds) {
        fields.argument(argument, Value::Bool(true));
    }
    if let Some(details) = span.details {
        annotate(fields, texts, &details.attributes);
        if details.dropped_instants > 0 {
            fields.number(Argument::LostInstants, details.dropped_instants);
        }
    }
}

/// Says of most ids that are not among some that they are not.
struct Sieve {
    bits: Vec<u64>,
}

impl Sieve {
    /// One for so many ids.
    fn for_ids(count: usize) -> Sieve {
        Sieve { bits: vec![0; (count / 8).next_power_of_two()] }
    }

    fn place(&self, id: u64) -> (usize, u64) {
        // Spans of about the same time have ids that are close together, and so are their bits.
        ((id / 64) as usize & (self.bits.len() - 1), 1 << (id % 64))
    }

    fn add(&mut self, id: u64) {
        let (index, bit) = self.place(id);
        self.bits[index] |= bit;
    }

    fn may_have(&self, id: u64) -> bool {
        let (index, bit) = self.place(id);
        self.bits[index] & bit != 0
    }
}

/// Whether a counter's value is that number: the trace processor has no others for counters.
fn is_exact(value: reader::Value<'_>, float: f64) -> bool {
    match value {
        reader::Value::I64(value) => float as i128 == i128::from(value),
        reader::Value::U64(value) => float as i128 == i128::from(value),
        _ => true,
    }
}

/// The place of a span among those of a batch that are before `end`. The first one in the batch has the number `first`.
fn place_in_batch(lanes: &AsyncLanes, id: u64, first: u32, end: u32) -> Option<u32> {
    lanes.number(id).map(|number| number.wrapping_sub(first)).filter(|place| *place < end)
}
