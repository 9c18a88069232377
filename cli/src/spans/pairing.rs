//! Begin records, end records and polls, joined into spans while they stream by.

use super::{Ending, LONGEST_TEXT, Span, cut};
use crate::by_id::ById;
use crate::names::Names;
use crate::places::Places;
use rustc_hash::FxHashMap;
use spanring::events::SLOT_BYTES;
use spanring::reader::{Loss, LossCause, NameState, Phase, PollRecord, Recording, SpanKind, SpanRecord};
use std::collections::VecDeque;

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
    /// Spans of which the begin has been read, and no end.
    begun: ById<Begun>,
    /// Spans of which the end has been read, and that wait for their begin or for polls.
    ended: ById<Ended>,
    /// The polls that have been read of the spans in both of these, and of some that are in none of them so far.
    polls: ById<Polls>,
    /// The names of those of them whose names were made at run time.
    texts: FxHashMap<u64, String>,
    /// What waits for a begin or a poll, in the order in which it began to.
    waiting: VecDeque<Waiting>,
    /// Records so far.
    records: u64,
    /// Records after which nobody waits any longer, for each thread; `None`: everybody waits to the end.
    patience: Option<u64>,
    threads: u64,
    /// There are polls in the recording.
    measures_polls: bool,
    /// The text of the span that was handed out last.
    done: String,
    /// Texts of spans that are done, to be used again.
    spare: Vec<String>,
    /// The latest moment at which a lost record can have been written.
    latest_loss_ns: Option<u64>,
}

/// A span that has begun.
#[derive(Clone, Copy, Debug)]
struct Begun {
    facts: Facts,
    begin: Begin,
}

/// A span that has ended.
#[derive(Clone, Copy, Debug)]
struct Ended {
    facts: Facts,
    begin: Option<Begin>,
    end: End,
}

/// What both records of a span say.
#[derive(Clone, Copy, Debug)]
struct Facts {
    parent: u64,
    /// The number of a static name; `None`: it is among [`Pairing::texts`].
    name: Option<u32>,
    place: Option<u32>,
    depth: u16,
    kind: SpanKind,
    name_state: NameState,
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
    #[inline]
    pub fn record<'a>(&'a mut self, record: &SpanRecord<'a>) -> Option<Span<'a>> {
        self.records += 1;
        match record.phase {
            Phase::Begin => self.begin(record),
            Phase::End => self.end(record),
        }
    }

    /// Takes the record of a poll, and returns its span if that is whole now.
    pub fn poll(&mut self, record: &PollRecord) -> Option<Span<'_>> {
        let id = record.span_id;
        self.records += 1;
        self.measures_polls = true;
        let polls = self.polls.get_or_default(id);
        let is_first = polls.read == 0;
        polls.add(record);
        match self.ended.get(id) {
            Some(ended) if ended.begin.is_some() && polls.read >= ended.end.polls => return self.take(id),
            None if is_first && !self.begun.contains(id) => self.wait(id, true),
            _ => {}
        }
        None
    }

    /// A span that has waited for longer than anything can take to come. To be called after each record until there is none.
    #[inline]
    pub fn overdue(&mut self) -> Option<Span<'_>> {
        let oldest = self.waiting.front()?.since;
        let patience = self.patience?.saturating_mul(self.threads.max(1));
        if self.records - oldest > patience { self.give_up(patience) } else { None }
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
        let is_early = |(id, _): &(u64, &Polls)| !self.begun.contains(*id) && !self.ended.contains(*id);
        self.begun.len() + self.ended.len() + self.polls.iter().filter(is_early).count()
    }

    /// Hands out what is left: first what waits for something that never came, then the open spans, each oldest first.
    pub fn finish(self, visit: &mut dyn FnMut(Span<'_>)) {
        let ended = self.ended.iter().map(|(id, ended)| (id, ended.facts, ended.begin, Some(ended.end)));
        let begun = self.begun.iter().map(|(id, begun)| (id, begun.facts, Some(begun.begin), None));
        let mut spans: Vec<(u64, Facts, Option<Begin>, Option<End>)> = ended.chain(begun).collect();
        spans.sort_unstable_by_key(|&(id, _, begin, end)| (end.is_none(), begin_ns(begin, end), id));
        for (id, facts, begin, end) in spans {
            let name = self.texts.get(&id).map_or("", |text| text);
            visit(self.span(id, facts, name, begin, end, self.polls_of(id)));
        }
    }

    fn begin<'a>(&'a mut self, record: &SpanRecord<'a>) -> Option<Span<'a>> {
        let id = record.span_id;
        let begin = Begin { ns: record.unix_ns, created_ns: record.created_unix_ns, thread: record.thread };
        if !self.ended.is_empty() {
            if let Some(ended) = self.ended.get_mut(id) {
                // A second begin of the same span says nothing new.
                ended.begin.get_or_insert(begin);
                let polls = ended.end.polls;
                return if self.has_all_polls(id, polls) { self.take(id) } else { None };
            }
        }
        let facts = self.facts(record);
        if !self.begun.contains(id) {
            self.begun.insert(id, Begun { facts, begin });
            self.keep_text(record);
        }
        None
    }

    fn end<'a>(&'a mut self, record: &SpanRecord<'a>) -> Option<Span<'a>> {
        let id = record.span_id;
        let is_async = record.kind == SpanKind::Async;
        let begun = self.begun.remove(id);
        let begin = begun.map(|begun| begun.begin);
        if begin.is_none() && self.ended.contains(id) {
            // A second end likewise.
            return None;
        }
        if begun.is_some_and(|begun| begun.facts.name.is_none()) {
            let text = self.texts.remove(&id);
            text.into_iter().for_each(|text| self.spare(text));
        }
        let end = End {
            ns: record.unix_ns,
            begin_ns: record.begin_unix_ns.unwrap_or(record.unix_ns),
            thread: record.thread,
            ending: record.outcome.map_or(Ending::Completed, Ending::from),
            polls: record.polls,
        };
        let facts = self.facts(record);
        // A thread writes its own records in order: a scope's begin that has not come by now was lost.
        if !is_async || (begin.is_some() && self.has_all_polls(id, end.polls)) {
            let polls = self.take_polls(id);
            return Some(self.span(id, facts, cut(record.name), begin, Some(end), polls));
        }
        self.keep_text(record);
        self.ended.insert(id, Ended { facts, begin, end });
        self.wait(id, false);
        None
    }

    fn wait(&mut self, id: u64, is_polls: bool) {
        if self.patience.is_some() {
            self.waiting.push_back(Waiting { id, is_polls, since: self.records });
        }
    }

    /// What has waited for longer than `patience`.
    fn give_up(&mut self, patience: u64) -> Option<Span<'_>> {
        loop {
            let next = self.waiting.front().filter(|next| self.records - next.since > patience)?;
            let Waiting { id, is_polls, .. } = *next;
            self.waiting.pop_front();
            let is_ended = self.ended.contains(id);
            if !is_polls && is_ended {
                return self.take(id);
            }
            if is_polls && !is_ended && !self.begun.contains(id) {
                // Nothing else of their span is there: nobody can tell what it was.
                self.polls.remove(id);
            }
        }
    }

    /// What both records of a span say.
    #[inline]
    fn facts(&mut self, record: &SpanRecord<'_>) -> Facts {
        let is_cut = record.name.len() > LONGEST_TEXT;
        Facts {
            parent: record.parent_span_id,
            depth: record.depth,
            kind: record.kind,
            name: record.name_index.map(|index| self.names.intern(index, cut(record.name))),
            name_state: if is_cut { NameState::Cut } else { record.name_state },
            place: record.location.map(|location| self.places.intern(record.location_index, location)),
        }
    }

    /// Keeps a name that was made at run time, for as long as its span is remembered.
    #[inline]
    fn keep_text(&mut self, record: &SpanRecord<'_>) {
        if record.name_index.is_none() {
            let mut text = self.spare.pop().unwrap_or_default();
            text.push_str(cut(record.name));
            self.texts.insert(record.span_id, text);
        }
    }

    fn spare(&mut self, mut text: String) {
        if text.capacity() > 0 && self.spare.len() < SPARE_TEXTS {
            text.clear();
            self.spare.push(text);
        }
    }

    /// The polls that have been read of a span.
    fn polls_of(&self, id: u64) -> Polls {
        if self.measures_polls { self.polls.get(id).copied().unwrap_or_default() } else { Polls::default() }
    }

    fn take_polls(&mut self, id: u64) -> Polls {
        if self.measures_polls { self.polls.remove(id).unwrap_or_default() } else { Polls::default() }
    }

    /// All of so many polls have been read.
    fn has_all_polls(&self, id: u64, polls: u32) -> bool {
        !self.measures_polls || self.polls_of(id).read >= polls
    }

    /// Hands out a span that has ended.
    fn take(&mut self, id: u64) -> Option<Span<'_>> {
        let Ended { facts, begin, end } = self.ended.remove(id)?;
        let text = if facts.name.is_none() { self.texts.remove(&id).unwrap_or_default() } else { String::new() };
        let done = std::mem::replace(&mut self.done, text);
        self.spare(done);
        let polls = self.take_polls(id);
        Some(self.span(id, facts, &self.done, begin, Some(end), polls))
    }

    /// `text` is the name if it has no number.
    #[inline]
    fn span<'a>(
        &'a self,
        id: u64,
        facts: Facts,
        text: &'a str,
        begin: Option<Begin>,
        end: Option<End>,
        polls: Polls,
    ) -> Span<'a> {
        let begin_ns = begin_ns(begin, end);
        let are_polls_known = self.measures_polls && facts.kind == SpanKind::Async;
        let all_polls = end.map_or(polls.last, |end| end.polls);
        Span {
            id,
            parent: facts.parent,
            depth: facts.depth,
            kind: facts.kind,
            name: facts.name.map_or(text, |number| self.names.get(number)),
            name_index: facts.name,
            name_state: facts.name_state,
            place: facts.place.and_then(|index| self.places.get(index)),
            ending: end.map_or(Ending::Open, |end| end.ending),
            created_ns: begin.and_then(|begin| begin.created_ns),
            begin_ns,
            end_ns: end.map(|end| end.ns),
            begin_thread: match (begin, end) {
                (None, Some(end)) if facts.kind == SpanKind::Thread => Some(end.thread),
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

/// When a span began: as its begin record says, else as the end's own copy says.
fn begin_ns(begin: Option<Begin>, end: Option<End>) -> u64 {
    begin.map_or(end.map_or(0, |end| end.begin_ns), |begin| begin.ns)
}

impl Polls {
    fn add(&mut self, record: &PollRecord) {
        self.busy_ns = self.busy_ns.saturating_add(record.unix_ns.saturating_sub(record.begin_unix_ns));
        self.read = self.read.saturating_add(1);
        self.last = self.last.max(record.number);
    }
}
