//! A recording as JSON for the readers of Chrome's trace format: `chrome://tracing`, <https://ui.perfetto.dev> and others.
//!
//! | in the recording | in the trace |
//! |---|---|
//! | span | a pair of nestable async events, `b` and `e`, with the span's own id; category `async` or `thread` |
//! | open span | `b` without `e` |
//! | lost records | a pair of category `loss`, from the record before the gap to the one behind it |
//! | damage | an instant of category `damage` |
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
//! Perfetto's reader of JSON, in its version 52, refuses a trace with a text that ends in a backslash; version 55 takes it.

use crate::export::perfetto::Process;
use crate::export::{ExportError, Exporter, cause_word};
use crate::places::Place;
use crate::spans::{Ending, Item, Span, thread_label};
use crate::text::count;
use crate::top::kind_word;
use rustc_hash::FxHashMap;
use serde::{Serialize, Serializer};
use spanring::reader::{Damage, Loss, NameState, Recording, SpanKind, ThreadFacts};
use std::io::{self, Write};

const SECOND_NS: u64 = 1_000_000_000;

/// Writes a trace in Chrome's format.
pub struct ChromeWriter<'w> {
    out: Box<dyn Write + Send + 'w>,
    pid: u32,
    base_ns: u64,
    threads: FxHashMap<u32, Thread>,
    /// By [`Place::index`], `file:line`.
    places: Vec<Option<Box<str>>>,
    losses: u64,
    /// What is not written yet.
    bytes: Vec<u8>,
}

/// So many bytes are written at once, about.
const WRITE_BYTES: usize = 1 << 16;

struct Thread {
    os_id: u64,
    label: String,
}

/// One event. Which fields there are depends on what it is.
#[derive(Serialize)]
struct Event<'a, A> {
    ph: &'a str,
    #[serde(skip_serializing_if = "Option::is_none")]
    cat: Option<&'a str>,
    name: &'a str,
    pid: u32,
    tid: u64,
    #[serde(skip_serializing_if = "Option::is_none")]
    id: Option<Hexadecimal>,
    #[serde(skip_serializing_if = "Option::is_none")]
    ts: Option<f64>,
    #[serde(skip_serializing_if = "Option::is_none")]
    args: Option<A>,
}

#[derive(Serialize)]
struct NameOnly<'a> {
    name: &'a str,
}

#[derive(Serialize)]
struct SpanArguments<'a> {
    span_id: u64,
    parent_id: u64,
    depth: u16,
    outcome: &'a str,
    begin_unix_ns: AsText,
    #[serde(skip_serializing_if = "Option::is_none")]
    polls: Option<u32>,
    #[serde(skip_serializing_if = "Option::is_none")]
    busy_ns: Option<u64>,
    #[serde(skip_serializing_if = "Option::is_none")]
    idle_ns: Option<u64>,
    #[serde(skip_serializing_if = "Option::is_none")]
    wait_ns: Option<u64>,
    #[serde(skip_serializing_if = "Option::is_none")]
    target: Option<&'a str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    module: Option<&'a str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    location: Option<&'a str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    begin_thread: Option<&'a str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    end_thread: Option<&'a str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    name_state: Option<&'a str>,
    #[serde(skip_serializing_if = "is_false")]
    begin_lost: bool,
    #[serde(skip_serializing_if = "is_false")]
    end_may_be_lost: bool,
    #[serde(skip_serializing_if = "is_false")]
    busy_partial: bool,
}

#[derive(Serialize)]
struct LossArguments<'a> {
    thread: &'a str,
    records: u64,
    cause: &'a str,
    /// Text, as all times since 1970.
    #[serde(skip_serializing_if = "Option::is_none")]
    after_ns: Option<AsText>,
    #[serde(skip_serializing_if = "Option::is_none")]
    before_ns: Option<AsText>,
}

#[derive(Serialize)]
struct DamageArguments {
    file: String,
    offset: u64,
    bytes: u64,
    records: u64,
}

/// What stands in front of the events; their array is the last field.
#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct Head<'a> {
    display_time_unit: &'static str,
    other_data: OtherData<'a>,
    trace_events: [(); 0],
}

#[derive(Serialize)]
struct OtherData<'a> {
    base_unix_ns: String,
    description: &'a str,
}

/// A number as text.
struct AsText(u64);

impl Serialize for AsText {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_str(&self.0)
    }
}

/// A number as text, as programmers write addresses.
#[derive(Clone, Copy)]
struct Hexadecimal(u64);

impl Serialize for Hexadecimal {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_str(&format_args!("{:#x}", self.0))
    }
}

fn is_false(value: &bool) -> bool {
    !value
}

impl<'w> ChromeWriter<'w> {
    /// A trace of a recording.
    ///
    /// # Errors
    /// If `out` fails.
    pub fn of(recording: &Recording, out: Box<dyn Write + Send + 'w>) -> Result<ChromeWriter<'w>, ExportError> {
        ChromeWriter::new(out, &Process::of(recording))
    }

    /// Writes the trace's head.
    ///
    /// # Errors
    /// If `out` fails.
    pub fn new(out: Box<dyn Write + Send + 'w>, process: &Process) -> Result<ChromeWriter<'w>, ExportError> {
        let base_ns = (process.started_unix_ns / SECOND_NS).saturating_sub(1) * SECOND_NS;
        let mut writer = ChromeWriter {
            out,
            pid: process.pid,
            base_ns,
            threads: FxHashMap::default(),
            places: Vec::new(),
            losses: 0,
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
        for thread in [span.begin_thread, span.end_thread].into_iter().flatten() {
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
                name_state: match span.name_state {
                    NameState::Whole => None,
                    NameState::Cut => Some("cut"),
                    NameState::Missing => Some("missing"),
                },
                begin_lost: span.begin_lost,
                end_may_be_lost: span.end_may_be_lost,
                busy_partial: span.busy_partial,
            }),
        };
        let written = self.write(&begin, ",\n");
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

impl<'a, A> Event<'a, A> {
    fn new(ph: &'a str, name: &'a str, pid: u32) -> Event<'a, A> {
        Event { ph, cat: None, name, pid, tid: 0, id: None, ts: None, args: None }
    }

    /// The end of what this is the begin of.
    fn end(&self, ts: f64) -> Event<'a, ()> {
        let Event { cat, name, pid, tid, id, .. } = *self;
        Event { ph: "e", cat, name, pid, tid, id, ts: Some(ts), args: None }
    }
}

impl Exporter for ChromeWriter<'_> {
    fn add(&mut self, item: &Item<'_>) -> Result<(), ExportError> {
        match item {
            // Where something was said of it before, that was all there is to say.
            Item::Thread(facts) if self.threads.contains_key(&facts.id) => Ok(()),
            Item::Thread(facts) => self.thread(facts),
            Item::Span(span) => self.span(span),
            Item::Loss(loss) => self.loss(loss),
            Item::Damage(damage) => self.damage(damage),
            Item::Instant(_) | Item::Counter(_) | Item::Details(_) => Ok(()),
        }
    }

    fn finish(mut self: Box<Self>) -> Result<Vec<String>, ExportError> {
        self.write_out()?;
        self.out.write_all(b"\n]}\n")?;
        self.out.flush()?;
        Ok(vec!["open it at https://ui.perfetto.dev or chrome://tracing".to_owned()])
    }
}
