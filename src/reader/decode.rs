//! From slots to events: one ring's records in order, with what is missing between them.

use super::balance::Gap;
use super::beside;
use super::clock::Clock;
use super::dictionary::{Dictionary, Site};
use super::event::{
    AttributeRecord, Damage, Event, Loss, LossCause, NameState, Phase, PollRecord, SpanKind, SpanRecord, Summary,
};
use super::sequence::{Run, Slots};
use super::visitor::Visitor;
use crate::events::{Kind, MAX_RECORD_SLOTS, SLOT_BYTES, Slot, SpanFields, ValueFields, first_record};
use std::collections::BTreeMap;
use std::ops::Range;
use std::path::Path;

/// Records that were carried forward, by ring and record number: slots, and the thread that recorded them.
pub(super) type Carried = BTreeMap<(u32, u64), (Vec<Slot>, u32)>;

/// How far a ring has been read.
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct Progress {
    /// Number of the next record.
    pub(super) next_record: u64,
    /// Records lost by the writer, of those below.
    pub(super) lost: u64,
    /// Position of the next record's first slot.
    pub(super) position: u64,
    /// The time of the last record.
    last_unix_ns: Option<u64>,
}

/// Some of the records in a row of slots, and what is missing before them.
#[derive(Clone, Debug)]
pub(super) struct Stretch {
    pub(super) gap: Gap,
    /// Of the records missing, those that the writer lost.
    pub(super) lost: u64,
    /// The slots in the gap.
    pub(super) unreadable: Range<usize>,
    /// The records; none after the last.
    pub(super) run: Run,
}

/// Where slots come from.
#[derive(Clone, Copy)]
pub(super) struct Origin<'a> {
    pub(super) path: &'a Path,
    /// Number of the ring.
    pub(super) ring: u32,
    /// From which record on which thread wrote, in order.
    pub(super) threads: &'a [(u64, u32)],
    /// Where in the file the slot at an index of the buffer begins.
    pub(super) offset: &'a dyn Fn(usize) -> u64,
    /// What is missing before the first record and was not lost was in a segment that was removed.
    pub(super) retired: bool,
    /// What is missing and was not lost is damage here, rather than in the file that it was in before.
    pub(super) accountable: bool,
}

impl Origin<'_> {
    /// The thread that wrote this record, and the number from which on another one did.
    fn thread_of(&self, number: u64) -> (u32, u64) {
        let after = self.threads.partition_point(|(first, _)| *first <= number);
        let thread = after.checked_sub(1).map_or(0, |index| self.threads[index].1);
        (thread, self.threads.get(after).map_or(u64::MAX, |(first, _)| *first))
    }
}

/// Records that are missing.
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct Missing {
    pub(super) records: u64,
    /// Of these, lost by their writer.
    pub(super) lost: u64,
    /// The others were in a segment that was removed, rather than damaged.
    pub(super) retired: bool,
}

/// What turns slots into events.
pub(super) struct Decoder<'a, V> {
    pub(super) clock: Clock<'a>,
    pub(super) dictionary: &'a Dictionary,
    pub(super) cause: LossCause,
    pub(super) summary: &'a mut Summary,
    pub(super) carried: &'a mut Carried,
    pub(super) visit: &'a mut V,
}

impl<V: Visitor> Decoder<'_, V> {
    /// Visits the records in `stretches` that come at or after `progress`, and what is missing before and between them.
    pub(super) fn read(
        &mut self,
        slots: &Slots<'_>,
        stretches: &[Stretch],
        progress: &mut Progress,
        origin: &Origin<'_>,
    ) {
        let mut joined = [Slot::EMPTY; MAX_RECORD_SLOTS];
        for (index, Stretch { gap, lost, unreadable, run }) in stretches.iter().enumerate() {
            let damaged = gap.missing - lost;
            let retired = origin.retired && index == 0;
            if !unreadable.is_empty() || (damaged > 0 && origin.accountable) {
                self.unreadable(slots, unreadable.clone(), damaged, origin);
            }
            let first = (run.records > 0).then(|| slots.record(run.start, &mut joined).ok()).flatten();
            let before = first.map(|record| self.clock.unix_ns(SpanFields::from_slot(&record[0]).ticks));
            self.missing(Missing { records: gap.missing, lost: *lost, retired }, progress, origin, before);
            self.run(slots, run, progress, origin);
        }
    }

    /// Visits the records of a run that come at or after `progress`.
    fn run(&mut self, slots: &Slots<'_>, run: &Run, progress: &mut Progress, origin: &Origin<'_>) {
        let mut joined = [Slot::EMPTY; MAX_RECORD_SLOTS];
        let (mut index, end) = (run.start, run.end());
        let mut number = run.first;
        while index < end {
            if number < progress.next_record {
                index += slots.known_record(index, &mut joined).len().max(1);
                number = number.saturating_add(1);
                continue;
            }
            let mut taken = self.records(slots.ahead(index, end), number, progress, origin);
            if taken.slots == 0 {
                taken = self.records(slots.known_record(index, &mut joined), number, progress, origin);
            }
            if taken.slots == 0 {
                break;
            }
            index += taken.slots;
            number = number.saturating_add(taken.records);
        }
    }

    /// Slots without a readable record, and so many records that were in them.
    fn unreadable(&mut self, slots: &Slots<'_>, range: Range<usize>, records: u64, origin: &Origin<'_>) {
        let mut joined = [Slot::EMPTY; MAX_RECORD_SLOTS];
        let what = match slots.record(range.start, &mut joined) {
            _ if range.is_empty() => "records are missing that their writer did not lose",
            Ok(_) => "a record's number does not fit in with the others",
            Err(what) => what,
        };
        let mut records = records;
        // Around the end of a ring they are in two places.
        let (mut start, end) = (range.start, range.end);
        loop {
            let place = slots.place(start);
            let here = (end - start).min(slots.round() - place);
            self.damage(Damage {
                path: origin.path.to_owned(),
                offset: (origin.offset)(place),
                bytes: (here * SLOT_BYTES) as u64,
                records: std::mem::take(&mut records),
                what,
            });
            start += here;
            if start >= end {
                break;
            }
        }
    }

    fn damage(&mut self, damage: Damage) {
        self.summary.damages += 1;
        self.visit.other(Event::Damage(damage));
    }

    /// Visits those of these records, from number `number` on, that one thread wrote. They were found to be whole: a run of them is.
    fn records(&mut self, slots: &[Slot], number: u64, progress: &mut Progress, origin: &Origin<'_>) -> Taken {
        let (thread, until) = origin.thread_of(number);
        let mut buffer = TextBuffer::default();
        // In variables of its own, which nothing that is called can reach, it stays in registers.
        let mut clock = self.clock;
        let (mut rest, mut next) = (slots, number);
        let mut last_ticks = 0;
        let mut unknown = 0;
        while next < until {
            let Some((first, others)) = rest.split_first() else { break };
            let fields: &SpanFields = bytemuck::cast_ref(first);
            // None: it goes round the end of a ring.
            let Some((text, behind)) = others.split_at_checked(fields.head.slots().wrapping_sub(1)) else { break };
            rest = behind;
            last_ticks = fields.ticks;
            match fields.head.kind() {
                Some(kind) if kind.is_span() => {
                    let site = self.dictionary.find(fields);
                    let span = span(kind, fields, text, site, &mut clock, &mut buffer);
                    self.visit.span(&SpanRecord { thread, record_number: next, ..span });
                }
                Some(Kind::Poll) => self.visit.other(Event::Poll(poll(fields, (next, thread), &mut clock))),
                Some(kind) => {
                    let record = (first, text);
                    let event = beside::event(kind, record, (next, thread), self.dictionary, &mut clock, &mut buffer);
                    self.visit.other(event);
                }
                None => unknown += 1,
            }
            next += 1;
        }
        self.clock = clock;
        let taken = Taken { slots: slots.len() - rest.len(), records: next - number };
        if taken.records > 0 {
            progress.next_record = next;
            progress.last_unix_ns = Some(self.clock.unix_ns(last_ticks));
            self.summary.records += taken.records;
            self.summary.unknown += unknown;
            while let Some((&key, _)) = self.carried.range((origin.ring, number)..(origin.ring, next)).next() {
                self.carried.remove(&key);
            }
        }
        taken
    }

    /// Goes on past records that are missing.
    pub(super) fn missing(
        &mut self,
        missing: Missing,
        progress: &mut Progress,
        origin: &Origin<'_>,
        before_unix_ns: Option<u64>,
    ) {
        let until = progress.next_record.saturating_add(missing.records);
        let mut lost = missing.lost;
        while progress.next_record < until {
            let (thread, end) = origin.thread_of(progress.next_record);
            let end = end.min(until);
            let records = end - progress.next_record;
            let lost_here = records.min(lost);
            lost -= lost_here;
            let others = records - lost_here;
            let after_unix_ns = progress.last_unix_ns;
            let mut visit = |records, cause| {
                if records > 0 {
                    self.visit.other(Event::Loss(Loss { thread, records, cause, after_unix_ns, before_unix_ns }));
                }
            };
            // Counts in a hostile file may add up to anything.
            if missing.retired {
                self.summary.retired = self.summary.retired.saturating_add(others);
                visit(others, LossCause::Retired);
            } else {
                self.summary.damaged = self.summary.damaged.saturating_add(others);
            }
            visit(lost_here, self.cause);
            self.summary.lost = self.summary.lost.saturating_add(lost_here);
            progress.lost = progress.lost.saturating_add(lost_here);
            self.carried_in(origin.ring, progress.next_record..end);
            progress.next_record = end;
        }
    }

    /// Visits what was carried forward from among records that are missing.
    fn carried_in(&mut self, ring: u32, numbers: Range<u64>) {
        while let Some((&key, _)) = self.carried.range((ring, numbers.start)..(ring, numbers.end)).next() {
            self.carried_record(key);
        }
    }

    /// Visits what was carried forward and is not below any ring's last record.
    pub(super) fn carried_at_end(&mut self) {
        while let Some((&key, _)) = self.carried.first_key_value() {
            self.carried_record(key);
        }
    }

    fn carried_record(&mut self, key: (u32, u64)) {
        let Some((slots, thread)) = self.carried.remove(&key) else { return };
        let Ok(record) = first_record(&slots) else { return };
        let (record_number, carried) = (key.1, true);
        let fields = SpanFields::from_slot(&record[0]);
        let mut buffer = TextBuffer::default();
        match fields.head.kind() {
            Some(kind) if kind.is_span() && !kind.is_end() => {
                self.summary.carried += 1;
                let site = self.dictionary.find(&fields);
                let span = span(kind, &fields, &record[1..], site, &mut self.clock, &mut buffer);
                self.visit.span(&SpanRecord { thread, record_number, carried, ..span });
            }
            Some(Kind::Attribute) => {
                self.summary.carried_attributes += 1;
                let fields = ValueFields::from_slot(&record[0]);
                let value = beside::value(&fields, &record[1..], self.dictionary, &mut buffer);
                let attribute = beside::attribute(&fields, value, self.dictionary, &mut self.clock);
                self.visit.other(Event::Attribute(AttributeRecord { thread, record_number, carried, ..attribute }));
            }
            _ => {}
        }
    }
}

/// How many slots, and how many records in them.
struct Taken {
    slots: usize,
    records: u64,
}

fn poll(fields: &SpanFields, (record_number, thread): (u64, u32), clock: &mut Clock<'_>) -> PollRecord {
    PollRecord {
        thread,
        record_number,
        span_id: fields.span_id,
        begin_unix_ns: clock.unix_ns(fields.begin_ticks),
        unix_ns: clock.unix_ns(fields.ticks),
        number: fields.polls,
    }
}

/// A span's record, but for its thread and number. `text` are the slots behind the first, `buffer` is for text in several of them.
#[inline(always)]
fn span<'a>(
    kind: Kind,
    fields: &SpanFields,
    text: &'a [Slot],
    (static_name, location): Site<'a>,
    clock: &mut Clock<'_>,
    buffer: &'a mut TextBuffer,
) -> SpanRecord<'a> {
    let head = fields.head;
    let (name, name_state) = if head.has_run_time_name() {
        text_in(text, u64::from(fields.name_length), fields.name_address, buffer)
    } else {
        static_name.map_or((beside::LOST, NameState::Missing), |name| (name.of, NameState::Whole))
    };
    let is_end = kind.is_end();
    let last_word = (fields.begin_ticks != 0).then(|| clock.unix_ns(fields.begin_ticks));
    SpanRecord {
        phase: if is_end { Phase::End } else { Phase::Begin },
        kind: if kind.is_thread() { SpanKind::Thread } else { SpanKind::Async },
        thread: 0,
        record_number: 0,
        unix_ns: clock.unix_ns(fields.ticks),
        begin_unix_ns: last_word.filter(|_| is_end),
        created_unix_ns: last_word.filter(|_| !is_end),
        span_id: fields.span_id,
        parent_span_id: fields.parent_span_id,
        depth: fields.depth(),
        outcome: head.outcome(),
        polls: if is_end { fields.polls } else { 0 },
        attributes: if is_end { 0 } else { fields.polls },
        name,
        name_state,
        name_index: static_name.map(|name| name.index),
        location: location.map(|location| location.of),
        location_index: location.map(|location| location.index),
        carried: false,
    }
}

/// Where text is put together.
#[derive(Default)]
pub(super) struct TextBuffer {
    joined: Vec<u8>,
    mended: String,
}

/// The text in a record's continuation slots, of so many bytes as kept, and so many in all: where it stands, if it is all in one of
/// them.
#[inline]
pub(super) fn text_in<'a>(slots: &'a [Slot], kept: u64, all: u64, buffer: &'a mut TextBuffer) -> (&'a str, NameState) {
    let TextBuffer { joined, mended } = buffer;
    let bytes = match slots {
        [slot] => slot.text(),
        _ => {
            joined.clear();
            slots.iter().for_each(|slot| joined.extend_from_slice(slot.text()));
            joined
        }
    };
    let bytes = &bytes[..usize::try_from(kept).map_or(bytes.len(), |kept| kept.min(bytes.len()))];
    let whole = bytes.len() as u64 == all;
    match std::str::from_utf8(bytes) {
        Ok(text) => (text, if whole { NameState::Whole } else { NameState::Cut }),
        // Only in a damaged ring: the writer copies whole characters.
        Err(_) => {
            *mended = String::from_utf8_lossy(bytes).into_owned();
            (mended, NameState::Cut)
        }
    }
}
