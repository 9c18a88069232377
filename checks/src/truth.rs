//! The truth about a recording: what its records say, joined in the plainest way, and everything in memory.

use crate::details::{Attributes, Counter, Instant, Known, Made, shown, state_of};
use rustc_hash::FxHashMap;
use serde::Serialize;
use spanring::reader::{Event, Loss, LossCause, Outcome, Phase, Recording, SpanKind, SpanRecord};
use std::error::Error;
use std::io::Write;
use std::path::Path;

/// One line of the truth.
#[derive(Debug, Serialize)]
#[serde(tag = "is", rename_all = "snake_case")]
pub enum Line {
    Process {
        pid: u32,
        executable: String,
        host: String,
        session: String,
        started_unix_ns: u64,
    },
    Thread {
        id: u32,
        os_id: u64,
        name: String,
    },
    Span(Span),
    Instant(Instant),
    Counter(Counter),
    /// Records of attributes, and how many of these are of spans and instants of which all else is gone.
    Attributes {
        records: usize,
        unowned: usize,
    },
    Loss {
        thread: u32,
        records: u64,
        cause: &'static str,
        after_ns: Option<u64>,
        before_ns: Option<u64>,
    },
}

/// What is known about a span.
#[derive(Clone, Debug, Serialize)]
pub struct Span {
    pub id: u64,
    pub parent: u64,
    pub depth: u16,
    pub kind: &'static str,
    /// As far as it is shown.
    pub name: String,
    /// `whole`, `cut` or `missing`.
    pub name_state: &'static str,
    pub start_ns: u64,
    /// `None`: it is open.
    pub duration_ns: Option<u64>,
    pub outcome: &'static str,
    pub polls: u32,
    /// When the future was made, if that was measured.
    pub created_ns: Option<u64>,
    /// The time in all polls, if that was measured and none is missing.
    pub busy_ns: Option<u64>,
    pub begin_thread: Option<u32>,
    pub end_thread: Option<u32>,
    /// All is from the end record.
    pub begin_lost: bool,
    pub target: Option<String>,
    pub module: Option<String>,
    pub file: Option<String>,
    pub line: Option<u32>,
    /// What is known of it besides.
    pub attributes: Attributes,
    /// Attributes that it was made with, and that are missing.
    pub lost_attributes: usize,
}

/// Everything about a recording.
pub struct Truth {
    pub lines: Vec<Line>,
}

impl Truth {
    /// Reads a recording.
    pub fn of(recording: &Path) -> Result<Truth, Box<dyn Error>> {
        let recording = Recording::open(recording)?;
        let facts = recording.facts();
        let mut lines = vec![Line::Process {
            pid: facts.pid,
            executable: facts.executable.clone(),
            host: facts.host.clone(),
            session: facts.session.clone(),
            started_unix_ns: facts.started_unix_ns,
        }];
        let mut spans: FxHashMap<u64, Span> = FxHashMap::default();
        let mut polls = FxHashMap::default();
        let mut known = Known::default();
        // When and where each span was made, and with how many attributes.
        let mut given: FxHashMap<u64, (Made, usize)> = FxHashMap::default();
        let mut damaged = None;
        recording.read(&mut |event| match event {
            Event::Thread(thread) => {
                lines.push(Line::Thread { id: thread.id, os_id: thread.os_id, name: thread.name.clone() });
            }
            Event::Loss(loss) => lines.push(line_of(&loss)),
            Event::Damage(damage) => damaged = Some(damage.what),
            Event::Poll(poll) => {
                let (number, busy_ns): &mut (u32, u64) = polls.entry(poll.span_id).or_default();
                *number += 1;
                *busy_ns += poll.unix_ns.saturating_sub(poll.begin_unix_ns);
            }
            Event::Span(record) => {
                if record.phase == Phase::Begin {
                    given.insert(record.span_id, ((record.unix_ns, record.thread), record.attributes as usize));
                }
                let span = span_of(&record);
                match spans.get_mut(&record.span_id) {
                    None => drop(spans.insert(record.span_id, span)),
                    Some(known) if known.begin_lost && record.phase == Phase::Begin => *known = joined(&span, known),
                    Some(known) if !known.begin_lost && record.phase == Phase::End => *known = joined(known, &span),
                    // The same record again: a begin that was carried forward.
                    Some(_) => {}
                }
            }
            Event::Attribute(record) => known.attribute(&record),
            Event::Instant(record) => known.instant(&record),
            Event::Counter(record) => known.counter(&record),
            // Of a later version; the reader counts it.
            _ => {}
        })?;
        if let Some(what) = damaged {
            return Err(format!("the recording of a case is damaged: {what}").into());
        }
        for (id, (number, busy_ns)) in polls {
            let span = spans.get_mut(&id).filter(|span| span.duration_ns.is_none() || span.polls == number);
            if let Some(span) = span {
                span.busy_ns = Some(busy_ns);
            }
        }
        let records = known.attributes_read();
        for span in spans.values_mut() {
            let (made, attributes) = given.get(&span.id).copied().unwrap_or_default();
            (span.attributes, span.lost_attributes) = known.attributes_of(span.id, Some(made), attributes);
        }
        let mut spans: Vec<Span> = spans.into_values().collect();
        spans.sort_by_key(|span| (span.start_ns, span.id));
        let (instants, counters, unowned) = known.rest(&spans);
        lines.extend(spans.into_iter().map(Line::Span));
        lines.extend(instants.into_iter().map(Line::Instant));
        lines.extend(counters.into_iter().map(Line::Counter));
        lines.push(Line::Attributes { records, unowned });
        Ok(Truth { lines })
    }

    /// One JSON object per line.
    pub fn write(&self, out: &mut dyn Write) -> Result<(), Box<dyn Error>> {
        for line in &self.lines {
            serde_json::to_writer(&mut *out, line)?;
            out.write_all(b"\n")?;
        }
        Ok(out.flush()?)
    }

    /// The spans, by their start.
    pub fn spans(&self) -> impl Iterator<Item = &Span> {
        self.lines.iter().filter_map(|line| if let Line::Span(span) = line { Some(span) } else { None })
    }

    /// The instants.
    pub fn instants(&self) -> impl Iterator<Item = &Instant> {
        self.lines.iter().filter_map(|line| if let Line::Instant(instant) = line { Some(instant) } else { None })
    }

    /// The counters' values.
    pub fn counters(&self) -> impl Iterator<Item = &Counter> {
        self.lines.iter().filter_map(|line| if let Line::Counter(counter) = line { Some(counter) } else { None })
    }

    /// How many spans are like that.
    pub fn count(&self, like: impl Fn(&Span) -> bool) -> usize {
        self.spans().filter(|span| like(span)).count()
    }

    /// Records that are missing for that reason.
    pub fn lost(&self, why: LossCause) -> u64 {
        let records = |line: &Line| match line {
            Line::Loss { records, cause, .. } if *cause == word_of(why) => *records,
            _ => 0,
        };
        self.lines.iter().map(records).sum()
    }

    /// For the message that a recording is not what it should be.
    pub fn summary(&self) -> String {
        let outcomes = ["completed", "failed", "cancelled", "panicked", "open"];
        let outcomes = outcomes.map(|outcome| format!("{} {outcome}", self.count(|span| span.outcome == outcome)));
        let causes = [LossCause::Dropped, LossCause::Overwritten, LossCause::Retired];
        let causes = causes.map(|cause| format!("{} {}", self.lost(cause), word_of(cause)));
        let with_attributes = self.count(|span| !span.attributes.is_empty());
        let (instants, counters) = (self.instants().count(), self.counters().count());
        format!(
            "{} spans ({}; {with_attributes} with attributes), {instants} instants, {counters} values of counters, lost: {}",
            self.spans().count(),
            outcomes.join(", "),
            causes.join(", ")
        )
    }
}

fn line_of(loss: &Loss) -> Line {
    Line::Loss {
        thread: loss.thread,
        records: loss.records,
        cause: word_of(loss.cause),
        after_ns: loss.after_unix_ns,
        before_ns: loss.before_unix_ns,
    }
}

fn word_of(cause: LossCause) -> &'static str {
    match cause {
        LossCause::Dropped => "dropped",
        LossCause::Overwritten => "overwritten",
        LossCause::Retired => "retired",
    }
}

/// A span whose begin and end are known.
fn joined(begin: &Span, end: &Span) -> Span {
    let end_ns = end.start_ns + end.duration_ns.unwrap_or_default();
    Span {
        start_ns: begin.start_ns,
        duration_ns: Some(end_ns.saturating_sub(begin.start_ns)),
        created_ns: begin.created_ns,
        begin_thread: begin.begin_thread,
        begin_lost: false,
        ..end.clone()
    }
}

/// A span of which only this record is known.
fn span_of(record: &SpanRecord<'_>) -> Span {
    let ended = record.phase == Phase::End;
    let start_ns = record.begin_unix_ns.unwrap_or(record.unix_ns);
    let place = record.location;
    Span {
        id: record.span_id,
        parent: record.parent_span_id,
        depth: record.depth,
        kind: if record.kind == SpanKind::Async { "async" } else { "thread" },
        name: shown(record.name).to_owned(),
        name_state: state_of(record.name, record.name_state),
        start_ns,
        duration_ns: ended.then(|| record.unix_ns.saturating_sub(start_ns)),
        outcome: match record.outcome {
            Some(Outcome::Failed) => "failed",
            Some(Outcome::Completed) => "completed",
            Some(Outcome::Cancelled) => "cancelled",
            Some(Outcome::Panicked) => "panicked",
            None => "open",
        },
        polls: record.polls,
        created_ns: record.created_unix_ns,
        busy_ns: None,
        // Scopes begin and end on one thread.
        begin_thread: (!ended || record.kind == SpanKind::Thread).then_some(record.thread),
        end_thread: ended.then_some(record.thread),
        begin_lost: ended,
        target: place.map(|place| place.target.clone()),
        module: place.map(|place| place.module_path.clone()),
        file: place.map(|place| place.file.clone()),
        line: place.map(|place| place.line),
        attributes: Attributes::default(),
        lost_attributes: 0,
    }
}
