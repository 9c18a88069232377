//! Spans by their ends alone.
//!
//! An end says all that its begin says and when that was. So of a span that ends nothing need be kept but that its begin was there: two
//! bits for each id. What begins say is kept of the last [`RECENT`]; by the time that there are more, most of those have ended, and the
//! others are put aside.
//!
//! A span that was ended by hand is the exception: its end does not say when it began. From the first of them on, begins and ends are paired
//! one by one.

use super::{Begin, End, Facts, Met, Pairing, Polls, Waiting, Waits};
use crate::spans::{Span, cut};
use crate::spread::spread;
use rustc_hash::FxHashMap;
use spanring::reader::{Loss, Phase, Recording, SpanKind, SpanRecord};
use std::collections::VecDeque;

/// As many begins are kept before it is looked which of them are of spans that are still open.
const RECENT: usize = 1 << 10;

/// Hands out spans when their ends are read.
pub(in crate::spans) struct Brief {
    pairing: Pairing,
    marks: Marks,
    recent: Vec<Begun>,
    /// Begins that are not as recent, of spans that were open when that was looked at last.
    older: Vec<Begun>,
    /// So many of them are looked at again.
    most_older: usize,
    /// Async spans whose begin had not been read when their end was, and how many records had been read by then.
    early: VecDeque<(u64, u64)>,
    /// Begins and ends are paired one by one.
    is_paired: bool,
}

struct Begun {
    id: u64,
    facts: Facts,
    begin: Begin,
    /// A name that was made at run time.
    text: String,
}

impl Brief {
    pub(in crate::spans) fn of(recording: &Recording) -> Brief {
        Brief {
            pairing: Pairing { is_brief: true, hold_until: 0, ..Pairing::of(recording) },
            marks: Marks::default(),
            recent: Vec::with_capacity(RECENT),
            older: Vec::new(),
            most_older: RECENT,
            early: VecDeque::new(),
            is_paired: false,
        }
    }

    /// As [`Pairing::thread`].
    pub(in crate::spans) fn thread(&mut self) {
        self.pairing.thread();
    }

    /// As [`Pairing::loss`].
    pub(in crate::spans) fn loss(&mut self, loss: &Loss) {
        self.pairing.loss(loss);
    }

    /// As [`Pairing::damage`].
    pub(in crate::spans) fn damage(&mut self) {
        self.pairing.damage();
    }

    /// As [`Pairing::record`], but that it is handed out here: it need not be copied then.
    #[inline(always)]
    pub(in crate::spans) fn record(&mut self, record: &SpanRecord<'_>, visit: &mut impl FnMut(Span<'_>)) {
        if self.is_paired {
            return self.paired(*record).into_iter().for_each(visit);
        }
        self.pairing.records += 1;
        match record.phase {
            Phase::Begin => self.begin(record),
            Phase::End => self.end(record, visit),
        }
    }

    /// As [`Pairing::overdue`].
    #[inline]
    pub(in crate::spans) fn overdue(&mut self) -> Option<Span<'_>> {
        if self.is_paired { self.pairing.overdue() } else { None }
    }

    /// As [`Pairing::finish`].
    pub(in crate::spans) fn finish(mut self, visit: &mut dyn FnMut(Span<'_>)) {
        self.pair_open();
        self.pairing.finish(visit);
    }

    #[inline(always)]
    fn begin(&mut self, record: &SpanRecord<'_>) {
        let id = record.span_id;
        let marks = self.marks.of(id);
        let bit = bit(id);
        if marks.ended & bit != 0 {
            marks.ended ^= bit;
            return;
        }
        // A second begin of the same span says nothing new.
        if marks.begun & bit != 0 {
            return;
        }
        marks.begun |= bit;
        let facts = self.pairing.facts(record);
        let text = if facts.name.is_none() { self.pairing.copy(record.name) } else { String::new() };
        if self.recent.len() == RECENT {
            self.put_aside();
        }
        self.recent.push(Begun { id, facts, begin: Begin::of(record), text });
    }

    #[inline(always)]
    fn end(&mut self, record: &SpanRecord<'_>, visit: &mut impl FnMut(Span<'_>)) {
        if record.begin_unix_ns.is_none() {
            return self.pair_from(*record).into_iter().for_each(visit);
        }
        let id = record.span_id;
        let marks = self.marks.of(id);
        let bit = bit(id);
        if marks.begun & bit != 0 {
            marks.begun ^= bit;
        } else if record.kind == SpanKind::Async {
            // A second end likewise.
            if marks.ended & bit != 0 {
                return;
            }
            marks.ended |= bit;
            self.wait(id);
        }
        let facts = self.pairing.facts(record);
        let span = self.pairing.span(id, facts, cut(record.name), None, Some(End::of(record)), Polls::default());
        visit(Span { begin_lost: false, ..span });
    }

    /// Leaves room for more recent begins.
    #[inline(never)]
    fn put_aside(&mut self) {
        let Brief { pairing, marks, recent, older, most_older, .. } = self;
        for begun in recent.drain(..) {
            match marks.is_begun(begun.id) {
                true => older.push(begun),
                false => pairing.spare(begun.text),
            }
        }
        if older.len() > *most_older {
            older.retain(|begun| marks.is_begun(begun.id));
            *most_older = (2 * older.len()).max(RECENT);
        }
    }

    /// Waits for a begin; not for those any longer that cannot come any more.
    #[inline(never)]
    fn wait(&mut self, id: u64) {
        let Pairing { patience, threads, records, .. } = self.pairing;
        let Some(patience) = patience.map(|patience| patience.saturating_mul(threads.max(1))) else { return };
        while let Some(&(late, _)) = self.early.front().filter(|(_, since)| records - since > patience) {
            self.marks.of(late).ended &= !bit(late);
            self.early.pop_front();
        }
        self.early.push_back((id, records));
    }

    /// As [`Pairing::record`]. Here and below it is by value: a record whose address is asked for has to be in memory, here and on any
    /// other way.
    #[cold]
    fn paired<'a>(&'a mut self, record: SpanRecord<'a>) -> Option<Span<'a>> {
        self.pairing.record(&record)
    }

    /// Pairs this end and all that come with their begins.
    #[cold]
    fn pair_from<'a>(&'a mut self, record: SpanRecord<'a>) -> Option<Span<'a>> {
        let record = &record;
        self.is_paired = true;
        self.pair_open();
        let facts = Facts { name: Some(0), ..self.pairing.facts(record) };
        for (id, since) in std::mem::take(&mut self.early) {
            if self.marks.of(id).ended & bit(id) != 0 {
                self.pairing.met.insert(id, Met { facts, begin: None, end: Some(End::of(record)), is_done: true });
                self.pairing.waiting.push_back(Waiting { id, what: Waits::Begin, since });
            }
        }
        self.pairing.end(record)
    }

    /// Leaves the spans that are open to the pairing.
    fn pair_open(&mut self) {
        for Begun { id, facts, begin, text } in self.older.drain(..).chain(self.recent.drain(..)) {
            if self.marks.is_begun(id) {
                self.pairing.met.insert(id, Met { facts, begin: Some(begin), end: None, is_done: false });
                if facts.name.is_none() {
                    self.pairing.texts.insert(id, text);
                }
            }
        }
    }
}

/// For each id whether a begin, or an end, was read of which the other is to come.
struct Marks {
    /// Those that were asked for last, by a few bits of their numbers.
    near: Box<[Page; 1 << NEAR_BITS]>,
    /// The others, if anything is marked on them.
    far: FxHashMap<u64, Page>,
}

const NEAR_BITS: u32 = 10;

/// The marks of 64 ids.
#[derive(Clone, Copy)]
struct Page {
    number: u64,
    begun: u64,
    ended: u64,
}

impl Default for Marks {
    fn default() -> Marks {
        // No id is on the page of that number.
        let page = Page { number: u64::MAX, begun: 0, ended: 0 };
        Marks { near: Box::new([page; 1 << NEAR_BITS]), far: FxHashMap::default() }
    }
}

impl Marks {
    #[inline(always)]
    fn of(&mut self, id: u64) -> &mut Page {
        let number = id / u64::from(u64::BITS);
        let page = &mut self.near[spread(number, NEAR_BITS)];
        if page.number != number {
            Marks::fetch(page, &mut self.far, number);
        }
        page
    }

    #[inline]
    fn is_begun(&mut self, id: u64) -> bool {
        self.of(id).begun & bit(id) != 0
    }

    /// Exchanges a page for that of another number.
    #[inline(never)]
    fn fetch(page: &mut Page, far: &mut FxHashMap<u64, Page>, number: u64) {
        if page.begun | page.ended != 0 {
            far.insert(page.number, *page);
        }
        *page = far.remove(&number).unwrap_or(Page { number, begun: 0, ended: 0 });
    }
}

/// The bit of an id on its page.
#[inline(always)]
fn bit(id: u64) -> u64 {
    1 << (id % u64::from(u64::BITS))
}
