//! Begin records, end records and polls, joined into spans while they stream by.

use super::{Ending, LONGEST_TEXT, Span, cut};
use crate::names::Names;
use crate::places::Places;
use rustc_hash::FxHashMap;
use spanring::events::SLOT_BYTES;
use spanring::reader::{Loss, LossCause, NameState, Phase, PollRecord, Recording, SpanKind, SpanRecord};
use std::collections::VecDeque;
use std::mem::take;

/// Joins records into spans.
///
/// It remembers spans that are open, and those that have ended of which something has still to come: the records of another thread
/// may be read later, though they are older. That wait has an end. What was recorded before something that has been read is in a
/// block of the same round of the flusher, or of the next one, or in a ring when all blocks have been read; so it comes within twice
/// as many records as all rings can hold, or not at all. Memory is therefore bounded by the open spans and the rings, and not by the
/// length of the recording.
#[derive(Debug, Default)]
pub struct Pairing {
    places: Places,
    names: Names,
    halves: FxHashMap<u64, Half>,
    /// Polls of spans of which nothing else has come so far.
    early_polls: FxHashMap<u64, Polls>,
    /// What waits for a begin or a poll, in the order in which it began to.
    waiting: VecDeque<Waiting>,
    /// Records so far.
    records: u64,
    /// Records after which nobody waits any longer, for each thread; `None`: everybody waits to the end.
    patience: Option<u64>,
    threads: u64,
    /// There are polls in the recording.
    measures_polls: bool,
    /// The span that was handed out last.
    done: Half,
    /// Texts of spans that are done, to be used again.
    spare: Vec<String>,
    /// The latest moment at which a lost record can have been written.
    latest_loss_ns: Option<u64>,
}

/// What is known of a span so far.
#[derive(Clone, Debug, Default)]
struct Half {
    parent: u64,
    depth: u16,
    is_thread_span: bool,
    /// The number of a static name.
    name: Option<u32>,
    /// A name made at run time.
    text: String,
    is_name_cut: bool,
    is_name_missing: bool,
    place: Option<u32>,
    begin: Option<Begin>,
    end: Option<End>,
    polls: Polls,
}

/// What only a begin record says.
#[derive(Clone, Copy, Debug)]
struct Begin {
    ns: u64,
    created_ns: Option<u64>,
    thread: u32,
}

/// What only an end record says.
#[derive(Clone, Copy, Debug)]
struct End {
    ns: u64,
    begin_ns: u64,
    thread: u32,
    ending: Ending,
    polls: u32,
}

/// The polls of a span that have been read.
#[derive(Clone, Copy, Debug, Default)]
struct Polls {
    busy_ns: u64,
    read: u32,
    /// The greatest number of any of them.
    last: u32,
}

#[derive(Clone, Copy, Debug)]
struct Waiting {
    id: u64,
    /// It is not a span that waits for the rest of it, but polls that wait for their span.
    is_polls: bool,
    /// Records that had been read when it began to wait.
    since: u64,
}

/// More spare texts than this are freed.
const SPARE_TEXTS: usize = 4096;

impl Pairing {
    /// One for the records of this recording. (One by [`Pairing::default`] has no idea of how long to wait, and waits to the end.)
    pub fn of(recording: &Recording) -> Pairing {
        Pairing::of_rings(recording.facts().ring_bytes / SLOT_BYTES as u64)
    }

    /// One for records of threads with rings of so many slots.
    pub fn of_rings(slots: u64) -> Pairing {
        Pairing { patience: Some(slots.saturating_mul(2)), ..Pairing::default() }
    }

    /// Takes note of a thread: it may have a ring of its own.
    pub fn thread(&mut self) {
        self.threads += 1;
    }

    /// Takes the next record, and returns its span if that is whole now.
    pub fn record<'a>(&'a mut self, record: &SpanRecord<'a>) -> Option<Span<'a>> {
        self.records += 1;
        let mut record = *record;
        if record.name.len() > LONGEST_TEXT {
            (record.name, record.name_state) = (cut(record.name), NameState::Cut);
        }
        match record.phase {
            Phase::Begin => self.begin(&record),
            Phase::End => self.end(&record),
        }
    }

    /// Takes the record of a poll, and returns its span if that is whole now.
    pub fn poll(&mut self, record: &PollRecord) -> Option<Span<'_>> {
        self.records += 1;
        self.measures_polls = true;
        let Some(half) = self.halves.get_mut(&record.span_id) else {
            let polls = self.early_polls.entry(record.span_id).or_default();
            let is_first = polls.read == 0;
            polls.add(record);
            if is_first {
                self.wait(record.span_id, true);
            }
            return None;
        };
        half.polls.add(record);
        if half.begin.is_some() && half.has_all_polls() { self.take(record.span_id) } else { None }
    }

    /// A span that has waited for longer than anything can take to come. To be called after each record until there is none.
    pub fn overdue(&mut self) -> Option<Span<'_>> {
        let patience = self.patience?.saturating_mul(self.threads.max(1));
        loop {
            let next = self.waiting.front().filter(|next| self.records - next.since > patience)?;
            let Waiting { id, is_polls, .. } = *next;
            self.waiting.pop_front();
            if is_polls {
                // Nothing else of their span is there: nobody can tell what it was.
                self.early_polls.remove(&id);
            } else if self.halves.get(&id).is_some_and(|half| half.end.is_some()) {
                return self.take(id);
            }
        }
    }

    /// Takes note that records are missing: spans that stay open may have ended in them.
    ///
    /// Retired records are none that a span's end could be among: a begin goes before its end does, or is carried forward.
    pub fn loss(&mut self, loss: &Loss) {
        if loss.cause == LossCause::Retired {
            return;
        }
        let latest = loss.before_unix_ns.unwrap_or(u64::MAX);
        self.latest_loss_ns = self.latest_loss_ns.max(Some(latest));
    }

    /// Takes note that records are missing because of damage, nobody knows when they were written.
    pub fn damage(&mut self) {
        self.latest_loss_ns = Some(u64::MAX);
    }

    /// Number of spans that are remembered: those that have begun and not ended so far, and those that wait for something.
    pub fn remembered(&self) -> usize {
        self.halves.len() + self.early_polls.len()
    }

    /// Hands out what is left: first what waits for something that never came, then the open spans, each oldest first.
    pub fn finish(mut self, visit: &mut dyn FnMut(Span<'_>)) {
        let mut halves: Vec<(u64, Half)> = take(&mut self.halves).into_iter().collect();
        halves.sort_unstable_by_key(|(id, half)| (half.end.is_none(), half.begin_ns(), *id));
        for (id, half) in &halves {
            visit(self.span(*id, half));
        }
    }

    fn begin<'a>(&'a mut self, record: &SpanRecord<'a>) -> Option<Span<'a>> {
        let begin = Begin { ns: record.unix_ns, created_ns: record.created_unix_ns, thread: record.thread };
        let Some(half) = self.halves.get_mut(&record.span_id) else {
            let half = self.half(record);
            self.halves.insert(record.span_id, Half { begin: Some(begin), ..half });
            return None;
        };
        // A second begin of the same span says nothing new.
        half.begin.get_or_insert(begin);
        if half.end.is_some() && (!self.measures_polls || half.has_all_polls()) {
            self.take(record.span_id)
        } else {
            None
        }
    }

    fn end<'a>(&'a mut self, record: &SpanRecord<'a>) -> Option<Span<'a>> {
        let mut end = End {
            ns: record.unix_ns,
            begin_ns: record.begin_unix_ns.unwrap_or(record.unix_ns),
            thread: record.thread,
            ending: record.outcome.map_or(Ending::Completed, Ending::from),
            polls: record.polls,
        };
        let is_async = record.kind == SpanKind::Async;
        match self.halves.get_mut(&record.span_id) {
            Some(half) => {
                let begin = half.begin.as_ref();
                end.begin_ns = begin.map_or(end.begin_ns, |begin| begin.ns);
                half.end.get_or_insert(end);
                if begin.is_some() && (!is_async || !self.measures_polls || half.has_all_polls()) {
                    return self.take(record.span_id);
                }
            }
            None => {
                let half = Half { end: Some(end), ..self.half(record) };
                // A thread writes its own records in order: a scope's begin that has not come by now was lost.
                if !is_async {
                    self.done = half;
                    return Some(self.span(record.span_id, &self.done));
                }
                self.halves.insert(record.span_id, half);
            }
        }
        self.wait(record.span_id, false);
        None
    }

    fn wait(&mut self, id: u64, is_polls: bool) {
        if self.patience.is_some() {
            self.waiting.push_back(Waiting { id, is_polls, since: self.records });
        }
    }

    /// What both records of a span say.
    fn half(&mut self, record: &SpanRecord<'_>) -> Half {
        let name = record.name_index.map(|index| self.names.intern(index, record.name));
        let mut text = String::new();
        if name.is_none() {
            text = self.spare.pop().unwrap_or_default();
            text.push_str(record.name);
        }
        let polls = if self.early_polls.is_empty() { None } else { self.early_polls.remove(&record.span_id) };
        Half {
            parent: record.parent_span_id,
            depth: record.depth,
            is_thread_span: record.kind == SpanKind::Thread,
            name,
            text,
            is_name_cut: record.name_state == NameState::Cut,
            is_name_missing: record.name_state == NameState::Missing,
            place: record.location.map(|location| self.places.intern(record.location_index, location)),
            begin: None,
            end: None,
            polls: polls.unwrap_or_default(),
        }
    }

    fn take(&mut self, id: u64) -> Option<Span<'_>> {
        let half = self.halves.remove(&id)?;
        let mut old = std::mem::replace(&mut self.done, half);
        if old.text.capacity() > 0 && self.spare.len() < SPARE_TEXTS {
            old.text.clear();
            self.spare.push(old.text);
        }
        Some(self.span(id, &self.done))
    }

    fn span<'a>(&'a self, id: u64, half: &'a Half) -> Span<'a> {
        let Half { begin, end, polls, .. } = *half;
        let begin_ns = half.begin_ns();
        let are_polls_known = self.measures_polls && !half.is_thread_span;
        let all_polls = end.map_or(polls.last, |end| end.polls);
        Span {
            id,
            parent: half.parent,
            depth: half.depth,
            kind: if half.is_thread_span { SpanKind::Thread } else { SpanKind::Async },
            name: half.name.map_or(&half.text, |index| self.names.get(index)),
            name_index: half.name,
            name_state: match () {
                () if half.is_name_missing => NameState::Missing,
                () if half.is_name_cut => NameState::Cut,
                () => NameState::Whole,
            },
            place: half.place.and_then(|index| self.places.get(index)),
            ending: end.map_or(Ending::Open, |end| end.ending),
            created_ns: begin.and_then(|begin| begin.created_ns),
            begin_ns,
            end_ns: end.map(|end| end.ns),
            begin_thread: match (begin, end) {
                (None, Some(end)) if half.is_thread_span => Some(end.thread),
                (begin, _) => begin.map(|begin| begin.thread),
            },
            end_thread: end.map(|end| end.thread),
            polls: end.map_or(0, |end| end.polls),
            busy_ns: (are_polls_known && polls.read > 0 && polls.read == all_polls).then_some(polls.busy_ns),
            busy_partial: are_polls_known && polls.read < all_polls,
            begin_lost: begin.is_none(),
            end_may_be_lost: end.is_none() && self.latest_loss_ns.is_some_and(|latest| latest >= begin_ns),
        }
    }
}

impl Half {
    /// When the span began: as its begin record says, else as the end's own copy says.
    fn begin_ns(&self) -> u64 {
        self.begin.map_or(self.end.map_or(0, |end| end.begin_ns), |begin| begin.ns)
    }

    /// It has ended, and every poll of it has been read.
    fn has_all_polls(&self) -> bool {
        self.end.is_some_and(|end| self.polls.read >= end.polls)
    }
}

impl Polls {
    fn add(&mut self, record: &PollRecord) {
        self.busy_ns = self.busy_ns.saturating_add(record.unix_ns.saturating_sub(record.begin_unix_ns));
        self.read = self.read.saturating_add(1);
        self.last = self.last.max(record.number);
    }
}
