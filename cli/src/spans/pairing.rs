//! Begin records, end records and polls, joined into spans while they stream by.

pub(super) mod brief;

use super::beside::Beside;
use super::details::{Attribute, Counter, DetailTotals, Details, Given, Instant, bounded};
use super::{Ending, LONGEST_TEXT, Span, cut};
use crate::by_id::{ApartById, ById};
use crate::names::Names;
use crate::places::Places;
use rustc_hash::{FxHashMap, FxHashSet};
use spanring::events::SLOT_BYTES;
use spanring::reader::{
    AttributeRecord, CounterRecord, InstantRecord, Loss, LossCause, NameState, Phase, PollRecord, Recording, SpanKind,
    SpanRecord,
};
use std::collections::VecDeque;
use std::sync::Arc;

/// Joins records into spans.
///
/// It remembers spans that are open, and those that have ended of which something has still to come: the records of another thread
/// may be read later, though they are older. That wait has an end. What was recorded before something that has been read is in a
/// block of the same round of the flusher, or of the next one, or in a ring when all blocks have been read; so it comes within twice
/// as many records as all rings can hold, or not at all. Memory is therefore bounded by the open spans and the rings, and not by the
/// length of the recording.
///
/// Attributes and instants of an async span may be in the records of other threads, and nothing says how many there are. Where there
/// are any, each async span that is whole is held for as long; at the beginning of a recording for some thousands of records, because
/// nobody knows yet.
///
/// ```
/// # use spanring::reader::{NameState, Outcome, Phase, SpanKind, SpanRecord};
/// use spanring_cli::spans::Pairing;
///
/// # let record = |phase, thread, unix_ns, begin_unix_ns, outcome| SpanRecord {
/// #     phase, kind: SpanKind::Async, thread, record_number: 0, unix_ns, begin_unix_ns, created_unix_ns: None, span_id: 7,
/// #     parent_span_id: 0, depth: 0, outcome, polls: 2, attributes: 0, name: "query", name_state: NameState::Whole,
/// #     name_index: None, location: None, location_index: None, carried: false,
/// # };
/// # let begin = record(Phase::Begin, 1, 100, None, None);
/// # let end = record(Phase::End, 2, 150, Some(100), Some(Outcome::Completed));
/// // The span moved from thread 1 to thread 2, and the ring of thread 2 is read first.
/// let mut pairing = Pairing::default();
/// assert_eq!(pairing.record(&end), None);
/// assert_eq!(pairing.remembered(), 1);
/// let span = pairing.record(&begin).expect("whole");
/// assert_eq!((span.begin_thread, span.end_thread, span.duration_ns()), (Some(1), Some(2), Some(50)));
/// assert_eq!(pairing.remembered(), 0);
/// ```
#[derive(Debug, Default)]
pub struct Pairing {
    places: Places,
    names: Names,
    /// Spans of which a record has been read, and more is to come.
    met: ApartById<Met>,
    /// The polls that have been read of these, and of some that are not among them so far.
    polls: ById<Polls>,
    /// The names of those whose names were made at run time.
    texts: FxHashMap<u64, String>,
    /// What waits for a begin, a poll or a span, in the order in which it began to.
    waiting: VecDeque<Waiting>,
    /// What is kept beside spans until they are handed out.
    beside: Beside,
    /// Spans that are whole, but for what may still come beside them, in the order in which they ended.
    held: VecDeque<Held>,
    /// Spans that end before so many records have been read are held.
    hold_until: u64,
    /// Who ended before so many records had been read is not held any longer.
    release_before: u64,
    /// Records at the end of the reading before, where a growing recording is read again and again.
    read_before: u64,
    /// Records so far.
    records: u64,
    /// Records after which nobody waits any longer, for each thread; `None`: everybody waits to the end.
    patience: Option<u64>,
    threads: u64,
    /// A span is handed out as soon as its end has been read.
    is_brief: bool,
    /// There are polls in the recording.
    measures_polls: bool,
    /// The text of the span that was handed out last.
    done: String,
    /// The details of that span.
    done_details: Option<Box<Details>>,
    /// The instant that was handed out last.
    done_instant: Option<Instant>,
    /// Texts of spans that are done, to be used again.
    spare: Vec<String>,
    /// The latest moment at which a lost record can have been written.
    latest_loss_ns: Option<u64>,
}

/// A span of which one record has been read, or both.
#[derive(Clone, Copy, Debug)]
struct Met {
    facts: Facts,
    begin: Option<Begin>,
    end: Option<End>,
    /// It was handed out when its end was read, and only its begin is to come.
    is_done: bool,
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
    /// Attributes that the span was made with.
    attributes: u32,
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
    what: Waits,
    /// Records that had been read when it began to wait.
    since: u64,
}

/// What waits.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Waits {
    /// A span that has ended, for the rest of it.
    Span,
    /// Polls, for their span.
    Polls,
    /// Attributes or instants, for their span.
    Details,
    /// A span that was handed out, for its begin.
    Begin,
}

#[derive(Clone, Copy, Debug)]
struct Held {
    id: u64,
    /// Records that had been read when it began to be held.
    since: u64,
}

/// More spare texts than this are freed.
const SPARE_TEXTS: usize = 4096;

/// If there is no attribute and no instant among the first so many records, spans are not held for such before the first one comes. A
/// short recording may have all records of a thread before those of another, a long one has them mixed.
const FIRST_RECORDS: u64 = 1 << 14;

impl Pairing {
    /// One for the records of this recording. (One by [`Pairing::default`] has no idea of how long to wait, and waits to the end.)
    pub fn of(recording: &Recording) -> Pairing {
        Pairing::of_rings(recording.facts().ring_bytes / SLOT_BYTES as u64)
    }

    /// One for records of threads with rings of so many slots.
    pub fn of_rings(slots: u64) -> Pairing {
        Pairing { patience: Some(slots.saturating_mul(2)), hold_until: FIRST_RECORDS, ..Pairing::default() }
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
    ///
    /// ```
    /// use spanring::reader::PollRecord;
    /// use spanring_cli::spans::Pairing;
    ///
    /// let poll = PollRecord { thread: 1, record_number: 0, span_id: 7, begin_unix_ns: 100, unix_ns: 110, number: 1 };
    /// let mut pairing = Pairing::default();
    /// assert_eq!(pairing.poll(&poll), None);
    /// assert_eq!(pairing.remembered(), 1, "its span may be in a ring that is read later");
    /// ```
    pub fn poll(&mut self, record: &PollRecord) -> Option<Span<'_>> {
        let id = record.span_id;
        self.records += 1;
        self.measures_polls = true;
        let polls = self.polls.get_or_default(id);
        let is_first = polls.read == 0;
        polls.add(record);
        match self.met.get(id) {
            Some(Met { begin: Some(_), end: Some(end), .. }) if polls.read >= end.polls => return self.whole(id),
            None if is_first => self.wait(id, Waits::Polls),
            _ => {}
        }
        None
    }

    /// Takes an attribute, of a span or of an instant.
    pub fn attribute(&mut self, record: &AttributeRecord<'_>) {
        self.has_details();
        let key = self.shared_name(record.key_index, record.key);
        let first = self.beside.attribute(record.thread, record.span_id, Attribute::new(record, key));
        self.wait_for_span(first);
    }

    /// Takes an instant.
    ///
    /// ```
    /// # use spanring::reader::{InstantRecord, NameState};
    /// use spanring_cli::spans::Pairing;
    ///
    /// # let record = InstantRecord {
    /// #     thread: 1, record_number: 0, unix_ns: 100, id: 8, parent_span_id: 0, scopes: 0, attributes: 0, name: "reload",
    /// #     name_state: NameState::Whole, name_index: None, location: None, location_index: None,
    /// # };
    /// let mut pairing = Pairing::default();
    /// pairing.instant(&record);
    /// assert_eq!(pairing.stray().map(|instant| &*instant.name), Some("reload"), "it is in no span");
    /// assert_eq!(pairing.stray(), None, "it was handed out");
    /// ```
    pub fn instant(&mut self, record: &InstantRecord<'_>) {
        self.has_details();
        let name = self.shared_name(record.name_index, record.name);
        let place = record.location.map(|location| self.places.intern(record.location_index, location));
        let place = place.and_then(|index| self.places.shared(index));
        let first = self.beside.instant(Instant::new(record, name, place), record.attributes);
        first.into_iter().for_each(|id| self.wait_for_span(id));
    }

    /// Takes the value of a counter, and returns it as it is handed out.
    ///
    /// ```
    /// use spanring::reader::{CounterRecord, Value};
    /// use spanring_cli::spans::Pairing;
    ///
    /// let value = Value::U64(3);
    /// let jobs = CounterRecord { thread: 1, record_number: 0, unix_ns: 100, span_id: 0, name: "jobs", name_index: None, value };
    /// let mut pairing = Pairing::default();
    /// let counter = pairing.counter(&jobs);
    /// assert_eq!((counter.name, counter.value), ("jobs", Value::U64(3)));
    /// ```
    pub fn counter<'a>(&'a mut self, record: &CounterRecord<'a>) -> Counter<'a> {
        self.records += 1;
        self.beside.counter();
        let name_index = record.name_index.map(|index| self.names.intern(index, cut(record.name)));
        let CounterRecord { span_id: span, thread, unix_ns, value, .. } = *record;
        Counter { name: cut(record.name), name_index, span, thread, unix_ns, value: bounded(value) }
    }

    /// An instant that is in no span, or in one that is gone. To be called now and then until there is none.
    #[inline]
    pub fn stray(&mut self) -> Option<&Instant> {
        self.done_instant = Some(self.beside.stray()?);
        self.done_instant.as_ref()
    }

    /// What was read beside spans so far.
    pub fn totals(&self) -> DetailTotals {
        self.beside.totals()
    }

    /// Takes note that all that had been recorded when a reading began has been read, of a recording that grows and will be read again:
    /// nothing more can come of spans that ended before the reading before was over.
    pub fn read_once(&mut self) {
        self.release_before = std::mem::replace(&mut self.read_before, self.records);
    }

    /// Takes note that everything was read: no span is held any longer, and what is of a span that is not there is late.
    pub fn close(&mut self) {
        self.release_before = u64::MAX;
        let open_scope = |(id, met): (u64, &Met)| match met {
            Met {
                facts: Facts { kind: SpanKind::Thread, parent: 0, depth, .. },
                begin: Some(begin),
                end: None,
                ..
            } => Some((id, begin.thread, *depth, begin.ns)),
            _ => None,
        };
        let mut scopes: Vec<_> = self.met.iter().filter_map(open_scope).collect();
        // The innermost first, as they would end.
        scopes.sort_unstable_by_key(|&(id, thread, depth, _)| (thread, std::cmp::Reverse(depth), id));
        let Pairing { beside, met, .. } = self;
        beside.close(&scopes, &|id| met.contains(id));
    }

    /// Takes note of an attribute or an instant: from now on, spans are held.
    fn has_details(&mut self) {
        self.records += 1;
        self.hold_until = u64::MAX;
    }

    fn shared_name(&mut self, index: Option<u32>, text: &str) -> Arc<str> {
        match index {
            Some(index) => {
                let number = self.names.intern(index, cut(text));
                self.names.shared(number)
            }
            None => cut(text).into(),
        }
    }

    /// Details wait for their span, if it is not there.
    fn wait_for_span(&mut self, id: Option<u64>) {
        if let Some(id) = id.filter(|&id| !self.met.contains(id)) {
            self.wait(id, Waits::Details);
        }
    }

    /// A span that has waited for longer than anything can take to come. To be called after each record until there is none.
    #[inline]
    pub fn overdue(&mut self) -> Option<Span<'_>> {
        // To the end, if there is none.
        let patience = self.patience.map_or(u64::MAX, |patience| patience.saturating_mul(self.threads.max(1)));
        let is_due = self.waiting.front().is_some_and(|next| self.records - next.since > patience);
        if is_due || !self.held.is_empty() { self.next_overdue(patience) } else { None }
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
        let is_early = |&id: &u64| !self.met.contains(id);
        let early: FxHashSet<u64> =
            self.polls.iter().map(|(id, _)| id).chain(self.beside.ids()).filter(is_early).collect();
        self.met.len() + early.len()
    }

    /// Hands out what is left: first what waits for something that never came, then the open spans, each oldest first. Who wants to
    /// know of [instants that are in none](Pairing::stray) calls [`Pairing::close`] first.
    pub fn finish(mut self, visit: &mut dyn FnMut(Span<'_>)) {
        self.close();
        let left = self.met.iter().filter(|(_, met)| !met.is_done);
        let left = left.map(|(id, met)| (id, met.facts, met.begin, met.end));
        let mut spans: Vec<(u64, Facts, Option<Begin>, Option<End>)> = left.collect();
        spans.sort_unstable_by_key(|&(id, _, begin, end)| (end.is_none(), begin_ns(begin, end), id));
        for (id, facts, begin, end) in spans {
            let details = self.beside.take(id, given(begin));
            let name = self.texts.get(&id).map_or("", |text| text);
            let span = self.span(id, facts, name, begin, end, self.polls_of(id));
            visit(Span { details: details.as_deref(), ..span });
        }
    }

    #[inline(always)]
    fn begin<'a>(&'a mut self, record: &SpanRecord<'a>) -> Option<Span<'a>> {
        let id = record.span_id;
        let begin = Begin::of(record);
        let facts = self.facts(record);
        let new = Met { facts, begin: Some(begin), end: None, is_done: false };
        let Some(met) = self.met.insert_new(id, new) else {
            self.keep_text(id, record.name_index, record.name);
            return None;
        };
        // A second begin of the same span says nothing new.
        let Met { begin: None, end: Some(End { polls, .. }), is_done, .. } = *met else { return None };
        if is_done {
            self.met.remove(id);
            return None;
        }
        met.begin = Some(begin);
        if self.has_all_polls(id, polls) { self.whole(id) } else { None }
    }

    #[inline(always)]
    fn end<'a>(&'a mut self, record: &SpanRecord<'a>) -> Option<Span<'a>> {
        let id = record.span_id;
        let is_async = record.kind == SpanKind::Async;
        let begun = |met: &Met| met.end.is_none().then_some((met.begin, met.facts.name.is_none()));
        let begin = match self.met.remove_with(id, begun) {
            // A second end likewise.
            Some(None) => return None,
            Some(Some((begin, has_text))) => {
                if has_text {
                    let text = self.texts.remove(&id);
                    text.into_iter().for_each(|text| self.spare(text));
                }
                begin
            }
            None => None,
        };
        let end = End::of(record);
        let facts = self.facts(record);
        let holds = self.holds();
        if holds {
            // An instant's attributes come before anything else of its thread.
            let first = self.beside.settle(record.thread);
            self.wait_for_span(first.filter(|&first| first != id));
        }
        // Only the begin of a span that was ended by hand says when that was.
        let is_enough = self.is_brief && record.begin_unix_ns.is_some();
        if is_enough && is_async && begin.is_none() {
            self.met.insert(id, Met { facts, begin: None, end: Some(end), is_done: true });
            self.wait(id, Waits::Begin);
        }
        // A thread writes its own records in order: a scope's begin that has not come by now was lost.
        let is_whole = !is_async || is_enough || (begin.is_some() && self.has_all_polls(id, end.polls));
        if is_whole && !(holds && is_async) {
            if holds && facts.parent == 0 {
                self.beside.scope(id, end.thread, facts.depth, begin_ns(begin, Some(end)));
            }
            self.done_details = if holds { self.beside.take(id, given(begin)) } else { None };
            let polls = self.take_polls(id);
            let span = self.span(id, facts, cut(record.name), begin, Some(end), polls);
            return Some(Span { details: self.done_details.as_deref(), ..span });
        }
        self.keep_text(id, record.name_index, record.name);
        self.met.insert(id, Met { facts, begin, end: Some(end), is_done: false });
        if is_whole {
            self.held.push_back(Held { id, since: self.records });
        } else {
            self.wait(id, Waits::Span);
        }
        None
    }

    fn wait(&mut self, id: u64, what: Waits) {
        if self.patience.is_some() {
            self.waiting.push_back(Waiting { id, what, since: self.records });
        }
    }

    /// Whether spans are held that have ended.
    #[inline]
    fn holds(&self) -> bool {
        self.records <= self.hold_until
    }

    /// A span of which the end had been read is whole now: hands it out, or holds it.
    fn whole(&mut self, id: u64) -> Option<Span<'_>> {
        if self.holds() {
            self.held.push_back(Held { id, since: self.records });
            return None;
        }
        self.take(id)
    }

    /// What has waited for longer than `patience`, or was held for long enough.
    #[inline(never)]
    fn next_overdue(&mut self, patience: u64) -> Option<Span<'_>> {
        while let Some(&Waiting { id, what, since }) = self.waiting.front() {
            if self.records - since <= patience {
                break;
            }
            self.waiting.pop_front();
            let met = self.met.get(id).map(|met| (met.end.is_some(), met.is_done));
            match what {
                Waits::Span if met == Some((true, false)) => return self.take(id),
                // Nothing else of their span is there: nobody can tell what it was.
                Waits::Polls if met.is_none() => drop(self.polls.remove(id)),
                Waits::Details if met.is_none() => self.beside.abandon(id),
                Waits::Begin if met == Some((true, true)) => drop(self.met.remove(id)),
                _ => {}
            }
        }
        while let Some(&Held { id, since }) = self.held.front() {
            let is_held = self.holds() && self.records - since <= patience && since > self.release_before;
            if is_held {
                break;
            }
            self.held.pop_front();
            if self.met.get(id).is_some_and(|met| met.end.is_some()) {
                return self.take(id);
            }
        }
        None
    }

    /// What both records of a span say.
    #[inline(always)]
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
    fn keep_text(&mut self, id: u64, number: Option<u32>, name: &str) {
        if number.is_none() {
            let text = self.copy(name);
            self.texts.insert(id, text);
        }
    }

    /// A copy of a name that was made at run time, in memory that was used before.
    fn copy(&mut self, name: &str) -> String {
        let mut text = self.spare.pop().unwrap_or_default();
        text.push_str(cut(name));
        text
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
        let Met { facts, begin, end, .. } = self.met.remove(id)?;
        let text = if facts.name.is_none() { self.texts.remove(&id).unwrap_or_default() } else { String::new() };
        let done = std::mem::replace(&mut self.done, text);
        self.spare(done);
        self.done_details = self.beside.take(id, given(begin));
        let polls = self.take_polls(id);
        let span = self.span(id, facts, &self.done, begin, end, polls);
        Some(Span { details: self.done_details.as_deref(), ..span })
    }

    /// A span, without details. `text` is the name if it has no number.
    #[inline(always)]
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
            begin_lost: begin.is_none() && !self.is_brief,
            details: None,
            end_may_be_lost: end.is_none() && self.latest_loss_ns.is_some_and(|latest| latest >= begin_ns),
        }
    }
}

/// What a span was made with, as far as is known.
fn given(begin: Option<Begin>) -> Given {
    begin.map_or(Given::default(), |begin| Given { unix_ns: begin.ns, attributes: begin.attributes })
}

/// When a span began: as its begin record says, else as the end's own copy says.
#[inline]
fn begin_ns(begin: Option<Begin>, end: Option<End>) -> u64 {
    begin.map_or(end.map_or(0, |end| end.begin_ns), |begin| begin.ns)
}

impl Begin {
    #[inline(always)]
    fn of(record: &SpanRecord<'_>) -> Begin {
        let SpanRecord { unix_ns: ns, created_unix_ns: created_ns, thread, attributes, .. } = *record;
        Begin { ns, created_ns, thread, attributes }
    }
}

impl End {
    #[inline(always)]
    fn of(record: &SpanRecord<'_>) -> End {
        End {
            ns: record.unix_ns,
            begin_ns: record.begin_unix_ns.unwrap_or(record.unix_ns),
            thread: record.thread,
            ending: record.outcome.map_or(Ending::Completed, Ending::from),
            polls: record.polls,
        }
    }
}

impl Polls {
    fn add(&mut self, record: &PollRecord) {
        self.busy_ns = self.busy_ns.saturating_add(record.unix_ns.saturating_sub(record.begin_unix_ns));
        self.read = self.read.saturating_add(1);
        self.last = self.last.max(record.number);
    }
}
