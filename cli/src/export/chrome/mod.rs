//! A recording as JSON for the readers of Chrome's trace format: `chrome://tracing`, <https://ui.perfetto.dev> and others.
//!
//! | in the recording | in the trace |
//! |---|---|
//! | span | a pair of nestable async events, `b` and `e`, with the span's own id; category `async` or `thread` |
//! | open span | `b` without `e` |
//! | lost records | a pair of category `loss`, from the record before the gap to the one behind it |
//! | damage | an instant of category `damage` |
//! | instant | a nestable async instant, `n`, with the id of its span; in no span, an instant `i` of category `instant` on its thread |
//! | counter | a `C` for each value, in a series called `value` |
//!
//! Every span has an id of its own, so that no reader nests, cuts or drops one because of another. (Chrome's other events, `B`, `E` and
//! `X`, have to nest on their thread, which async spans do not.) Arguments are those of the [`super::perfetto`] export, and
//! `begin_unix_ns`.
//!
//! Timestamps are microseconds, as everywhere in this format, and count from `otherData.base_unix_ns`, the second before the recording
//! began: readers keep them as floating-point numbers, which could tell times since 1970 to a quarter of a microsecond only. Counted
//! from there they are exact to the nanosecond for a hundred days. What is said to have happened before is put at 0, and its
//! `begin_unix_ns` is right all the same. That argument is text because numbers of that size are not safe in JavaScript.
//!
//! Integers beyond 2^53 in attributes are text, for the same reason; so are numbers that JSON has not. In counters integers are numbers
//! all the same, of which readers make the nearest floating-point number; those beyond 2^63 are that already.
//!
//! Perfetto's reader of JSON, in its version 52, refuses a trace with a text that ends in a backslash; version 55 takes it.

mod events;

use crate::export::attributes::{SIGNED, Simple, as_float, simple};
use crate::export::perfetto::Process;
use crate::export::{ExportError, Exporter, cause_word, no_numbers};
use crate::places::Place;
use crate::spans::{Counter, Ending, Instant, Item, Span, thread_label};
use crate::text::count;
use crate::top::kind_word;
use events::{
    AsText, CounterArguments, DamageArguments, Event, Head, Hexadecimal, InstantArguments, Known, LossArguments,
    NameOnly, OtherData, SpanArguments, word_of,
};
use rustc_hash::FxHashMap;
use serde::Serialize;
use spanring::reader::{Damage, Loss, Recording, SpanKind, ThreadFacts};
use std::io::{self, Write};

const SECOND_NS: u64 = 1_000_000_000;

/// Writes a trace in Chrome's format.
///
/// ```
/// use spanring::reader::{Loss, LossCause};
/// use spanring_cli::export::{Exporter, chrome::ChromeWriter, perfetto::Process};
/// use spanring_cli::spans::Item;
///
/// # let (name, description) = ("service".to_owned(), String::new());
/// # let process = Process { pid: 42, name, started_unix_ns: 500, description };
/// # let (after_unix_ns, before_unix_ns) = (Some(1_000), Some(3_000));
/// # let loss = Loss { thread: 1, records: 12, cause: LossCause::Dropped, after_unix_ns, before_unix_ns };
/// let mut trace = Vec::new();
/// let mut writer = ChromeWriter::new(Box::new(&mut trace), &process)?;
/// writer.add(&Item::Loss(loss))?;
/// Box::new(writer).finish()?;
/// assert!(String::from_utf8_lossy(&trace).contains("12 events lost"));
/// # Ok::<(), spanring_cli::export::ExportError>(())
/// ```
pub struct ChromeWriter<'w> {
    out: Box<dyn Write + Send + 'w>,
    pid: u32,
    base_ns: u64,
    threads: FxHashMap<u32, Thread>,
    /// By [`Place::index`], `file:line`.
    places: Vec<Option<Box<str>>>,
    losses: u64,
    /// Values of counters that are no numbers, of a later version.
    no_numbers: u64,
    /// What is not written yet.
    bytes: Vec<u8>,
}

/// So many bytes are written at once, about.
const WRITE_BYTES: usize = 1 << 16;

struct Thread {
    os_id: u64,
    label: String,
}

impl<'w> ChromeWriter<'w> {
    /// A trace of a recording.
    ///
    /// # Errors
    /// If `out` fails.
    ///
    /// ```no_run
    /// use spanring::reader::Recording;
    /// use spanring_cli::export::chrome::ChromeWriter;
    /// use spanring_cli::export::Exporter;
    ///
    /// # fn main() -> Result<(), Box<dyn std::error::Error>> {
    /// let recording = Recording::open("recording")?;
    /// let file = std::fs::File::create("trace.json")?;
    /// let writer = ChromeWriter::of(&recording, Box::new(file))?;
    /// Box::new(writer).finish()?;
    /// # Ok(())
    /// # }
    /// ```
    pub fn of(recording: &Recording, out: Box<dyn Write + Send + 'w>) -> Result<ChromeWriter<'w>, ExportError> {
        ChromeWriter::new(out, &Process::of(recording))
    }

    /// Writes the trace's head.
    ///
    /// # Errors
    /// If `out` fails.
    ///
    /// ```
    /// use spanring_cli::export::{Exporter, chrome::ChromeWriter, perfetto::Process};
    ///
    /// # let (name, description) = ("service".to_owned(), String::new());
    /// # let process = Process { pid: 42, name, started_unix_ns: 500, description };
    /// let mut trace = Vec::new();
    /// let writer = ChromeWriter::new(Box::new(&mut trace), &process)?;
    /// Box::new(writer).finish()?;
    /// let trace: serde_json::Value = serde_json::from_slice(&trace).expect("JSON, although it has no events");
    /// assert!(trace["traceEvents"].is_array());
    /// # Ok::<(), spanring_cli::export::ExportError>(())
    /// ```
    pub fn new(out: Box<dyn Write + Send + 'w>, process: &Process) -> Result<ChromeWriter<'w>, ExportError> {
        let base_ns = (process.started_unix_ns / SECOND_NS).saturating_sub(1) * SECOND_NS;
        let mut writer = ChromeWriter {
            out,
            pid: process.pid,
            base_ns,
            threads: FxHashMap::default(),
            places: Vec::new(),
            losses: 0,
            no_numbers: 0,
            bytes: Vec::with_capacity(2 * WRITE_BYTES),
        };
        let other_data = OtherData { base_unix_ns: base_ns.to_string(), description: &process.description };
        let head = serde_json::to_string(&Head { display_time_unit: "ns", other_data, trace_events: [] });
        // The array stays open: the events follow, and then what closes it.
        writer.out.write_all(head.map_err(io::Error::from)?.trim_end_matches("]}").as_bytes())?;
        let args = Some(NameOnly { name: &process.name });
        writer.write(&Event { args, ..Event::new("M", "process_name", process.pid) }, "\n")?;
        Ok(writer)
    }

    fn write<A: Serialize>(&mut self, event: &Event<'_, A>, separator: &str) -> Result<(), ExportError> {
        self.bytes.extend_from_slice(separator.as_bytes());
        serde_json::to_writer(&mut self.bytes, event).map_err(|error| ExportError::Write(error.into()))?;
        if self.bytes.len() >= WRITE_BYTES { self.write_out() } else { Ok(()) }
    }

    fn write_out(&mut self) -> Result<(), ExportError> {
        self.out.write_all(&self.bytes)?;
        self.bytes.clear();
        Ok(())
    }

    /// Makes sure of a place's entry.
    fn know_place(&mut self, place: &Place) {
        let index = place.index as usize;
        if self.places.len() <= index {
            self.places.resize(index + 1, None);
        }
        self.places[index].get_or_insert_with(|| place.file_line().into());
    }

    /// Microseconds from the base.
    fn time(&self, unix_ns: u64) -> f64 {
        // Exact up to 2^53 ns, and written with as few digits as tell it from its neighbours, which are then the right ones.
        unix_ns.saturating_sub(self.base_ns) as f64 / 1000.0
    }

    fn thread(&mut self, facts: &ThreadFacts) -> Result<(), ExportError> {
        let thread = Thread { os_id: facts.os_id, label: thread_label(facts) };
        let args = Some(NameOnly { name: &thread.label });
        let event = Event { tid: thread.os_id, args, ..Event::new("M", "thread_name", self.pid) };
        self.write(&event, ",\n")?;
        self.threads.insert(facts.id, thread);
        Ok(())
    }

    /// A thread, even if the recording has not introduced it (its facts are damaged).
    fn know_thread(&mut self, id: u32) -> Result<(), ExportError> {
        if self.threads.contains_key(&id) {
            return Ok(());
        }
        self.thread(&ThreadFacts { id, os_id: 0, name: String::new() })
    }

    fn span(&mut self, span: &Span<'_>) -> Result<(), ExportError> {
        let threads = [span.begin_thread, span.end_thread].into_iter().flatten();
        for thread in threads.chain(span.instants().iter().map(|instant| instant.thread)) {
            self.know_thread(thread)?;
        }
        if let Some(place) = span.place {
            self.know_place(place);
        }
        let (threads, places) = (std::mem::take(&mut self.threads), std::mem::take(&mut self.places));
        let label_of = |id: Option<u32>| id.and_then(|id| threads.get(&id)).map(|thread| thread.label.as_str());
        let os_id_of = |id: Option<u32>| id.and_then(|id| threads.get(&id)).map(|thread| thread.os_id);
        let ended = span.ending != Ending::Open;
        let location = span.place.map(|place| &place.location);
        let begin = Event {
            ph: "b",
            cat: Some(kind_word(span.kind)),
            name: span.name,
            pid: self.pid,
            tid: os_id_of(span.begin_thread.or(span.end_thread)).unwrap_or_default(),
            id: Some(Hexadecimal(span.id)),
            ts: Some(self.time(span.begin_ns)),
            s: None,
            args: Some(SpanArguments {
                span_id: span.id,
                parent_id: span.parent,
                depth: span.depth,
                outcome: span.ending.word(),
                begin_unix_ns: AsText(span.begin_ns),
                polls: (ended && span.kind == SpanKind::Async).then_some(span.polls),
                busy_ns: span.busy_ns,
                idle_ns: span.idle_ns(),
                wait_ns: span.wait_ns(),
                target: location.map(|location| location.target.as_str()),
                module: location.map(|location| location.module_path.as_str()),
                location: span.place.and_then(|place| places[place.index as usize].as_deref()),
                begin_thread: label_of(span.begin_thread),
                end_thread: label_of(span.end_thread),
                name_state: word_of(span.name_state),
                begin_lost: span.begin_lost,
                end_may_be_lost: span.end_may_be_lost,
                busy_partial: span.busy_partial,
                known: span.details.map_or(Known::NONE, |details| Known::of(&details.attributes)),
                lost_instants: span.details.map_or(0, |details| details.dropped_instants),
            }),
        };
        let written = self.write(&begin, ",\n");
        // Those of the same time as begin or end come between them.
        let written = written.and_then(|()| {
            let of_span = Some((kind_word(span.kind), span.id));
            span.instants().iter().try_for_each(|instant| self.point(instant, of_span, &threads))
        });
        let written = written.and_then(|()| match span.end_ns {
            Some(end_ns) => {
                let end = begin.end(self.time(end_ns.max(span.begin_ns)));
                self.write(&Event { tid: os_id_of(span.end_thread).unwrap_or_default(), ..end }, ",\n")
            }
            None => Ok(()),
        });
        (self.threads, self.places) = (threads, places);
        written
    }

    /// An instant in no span of the recording.
    fn instant(&mut self, instant: &Instant) -> Result<(), ExportError> {
        self.know_thread(instant.thread)?;
        let threads = std::mem::take(&mut self.threads);
        let written = self.point(instant, None, &threads);
        self.threads = threads;
        written
    }

    /// An instant in a span, of which category and id are given, or in none.
    fn point(
        &mut self,
        instant: &Instant,
        span: Option<(&str, u64)>,
        threads: &FxHashMap<u32, Thread>,
    ) -> Result<(), ExportError> {
        let thread = threads.get(&instant.thread);
        let place = instant.place.as_deref();
        let file_line = place.map(Place::file_line);
        let event = Event {
            ph: if span.is_some() { "n" } else { "i" },
            cat: Some(span.map_or("instant", |(category, _)| category)),
            name: &instant.name,
            pid: self.pid,
            tid: thread.map(|thread| thread.os_id).unwrap_or_default(),
            id: span.map(|(_, id)| Hexadecimal(id)),
            ts: Some(self.time(instant.unix_ns)),
            // On its thread.
            s: span.is_none().then_some("t"),
            args: Some(InstantArguments {
                instant_id: instant.id,
                parent_id: instant.parent,
                unix_ns: AsText(instant.unix_ns),
                thread: thread.map_or("", |thread| &thread.label),
                target: place.map(|place| place.location.target.as_str()),
                module: place.map(|place| place.location.module_path.as_str()),
                location: file_line.as_deref(),
                name_state: word_of(instant.name_state),
                known: Known::of(&instant.attributes),
            }),
        };
        self.write(&event, ",\n")
    }

    fn counter(&mut self, counter: &Counter<'_>) -> Result<(), ExportError> {
        let Some(nearest) = as_float(counter.value) else {
            self.no_numbers += 1;
            return Ok(());
        };
        self.know_thread(counter.thread)?;
        // Beyond that readers would take an integer for a negative one.
        let value = match simple(counter.value, &SIGNED) {
            Simple::Text(_) if nearest.is_finite() => Simple::Double(nearest),
            value => value,
        };
        let event = Event {
            tid: self.threads.get(&counter.thread).map(|thread| thread.os_id).unwrap_or_default(),
            ts: Some(self.time(counter.unix_ns)),
            args: Some(CounterArguments { value }),
            ..Event::new("C", counter.name, self.pid)
        };
        self.write(&event, ",\n")
    }

    fn loss(&mut self, loss: &Loss) -> Result<(), ExportError> {
        self.know_thread(loss.thread)?;
        self.losses += 1;
        let (os_id, label) =
            self.threads.get(&loss.thread).map(|thread| (thread.os_id, thread.label.clone())).unwrap_or_default();
        let end_ns = loss.before_unix_ns.or(loss.after_unix_ns).unwrap_or(self.base_ns + SECOND_NS);
        let begin_ns = loss.after_unix_ns.unwrap_or(self.base_ns + SECOND_NS).min(end_ns);
        let name = format!("{} lost", count(loss.records, "event"));
        let begin = Event {
            ph: "b",
            cat: Some("loss"),
            name: &name,
            pid: self.pid,
            tid: os_id,
            id: Some(Hexadecimal(self.losses)),
            ts: Some(self.time(begin_ns)),
            s: None,
            args: Some(LossArguments {
                thread: &label,
                records: loss.records,
                cause: cause_word(loss.cause),
                after_ns: loss.after_unix_ns.map(AsText),
                before_ns: loss.before_unix_ns.map(AsText),
            }),
        };
        self.write(&begin, ",\n")?;
        self.write(&begin.end(self.time(end_ns)), ",\n")
    }

    fn damage(&mut self, damage: &Damage) -> Result<(), ExportError> {
        let name = format!("damage: {}", damage.what);
        let event = Event {
            cat: Some("damage"),
            ts: Some(self.time(self.base_ns + SECOND_NS)),
            args: Some(DamageArguments {
                file: damage.path.display().to_string(),
                offset: damage.offset,
                bytes: damage.bytes,
                records: damage.records,
            }),
            ..Event::new("I", &name, self.pid)
        };
        self.write(&event, ",\n")
    }
}

impl Exporter for ChromeWriter<'_> {
    fn follows(&self) -> bool {
        false
    }

    fn add(&mut self, item: &Item<'_>) -> Result<(), ExportError> {
        match item {
            // Where something was said of it before, that was all there is to say.
            Item::Thread(facts) if self.threads.contains_key(&facts.id) => Ok(()),
            Item::Thread(facts) => self.thread(facts),
            Item::Span(span) => self.span(span),
            Item::Loss(loss) => self.loss(loss),
            Item::Damage(damage) => self.damage(damage),
            Item::Instant(instant) => self.instant(instant),
            Item::Counter(counter) => self.counter(counter),
            Item::Details(_) => Ok(()),
        }
    }

    fn finish(mut self: Box<Self>) -> Result<Vec<String>, ExportError> {
        self.write_out()?;
        self.out.write_all(b"\n]}\n")?;
        self.out.flush()?;
        let mut remarks = vec!["open it at https://ui.perfetto.dev or chrome://tracing".to_owned()];
        if self.no_numbers > 0 {
            remarks.push(no_numbers(self.no_numbers));
        }
        Ok(remarks)
    }
}
