//! Carrying spans forward: one that is still open stays in the recording, its attributes with it, when what its begin was written to
//! goes away, because a ring in flight discipline came round, or because the oldest segment was retired.

use super::pairs::{MOST_MARKS, Marked, Pairs};
use crate::events::{Head, Slot, ValueFields, extend_record_number, first_record};
use crate::format::block::RecordRange;
use std::collections::{BTreeSet, HashMap};

/// Spans that are kept at most. When there are more, those in doubt are forgotten.
const MAX_SPANS: usize = 1 << 16;

/// Attributes of a span that are kept at most. What comes when there are so many is as lost as its record is, once that is gone.
const MAX_ATTRIBUTES: usize = 32;

/// Spans whose ends have not been seen.
#[derive(Default)]
pub(super) struct Carry {
    open: HashMap<u64, Open>,
    /// Ends that came before their begins, as those of spans that moved between threads may, and in which step. No begin comes
    /// later than in the step after.
    early_ends: HashMap<u64, u64>,
    step: u64,
    /// Begins noted so far.
    noted: u64,
    /// Records went by unseen when so many had been noted: the ends of these may have been among them.
    in_doubt: Option<u64>,
    pairs: Pairs,
}

/// A span that is open.
struct Open {
    /// Its begin, and then its attributes, the last of each key.
    records: Vec<Kept>,
    /// How many begins were noted before.
    noted: u64,
}

/// A record of a span that is open.
pub(super) struct Kept {
    /// Whose it was, and its number there.
    pub(super) range: RecordRange,
    pub(super) slots: Vec<Slot>,
    /// The last block that it stands in, if it does in any.
    block: Option<u64>,
}

/// A span, and which of its records.
pub(super) type Which = (u64, usize);

impl Kept {
    /// Whether nobody has scribbled on it.
    fn is_whole(&self) -> bool {
        first_record(&self.slots).is_ok()
    }

    /// Of an attribute.
    fn key(&self) -> (u64, u32) {
        let fields = ValueFields::from_slot(&self.slots[0]);
        (fields.key_address, fields.key_length)
    }
}

impl Open {
    fn add(&mut self, attribute: Kept) {
        let key = attribute.key();
        match self.records.iter().skip(1).position(|known| known.key() == key) {
            Some(index) => self.records[index + 1] = attribute,
            None if self.records.len() <= MAX_ATTRIBUTES => self.records.push(attribute),
            None => {}
        }
    }
}

impl Carry {
    /// Notes the begins, ends and attributes in a run of slots of one ring, or in their marks. The first stands at the position in `range`
    /// and has about its number; all of them stand in `block`, if in any. Of a span that is still open, `record_at` is asked for the
    /// whole record, by the number of its slot here and how many slots it takes.
    ///
    /// Returns how many begins it did not have any more.
    pub(super) fn note(
        &mut self,
        run: &[impl Marked],
        range: RecordRange,
        block: Option<u64>,
        mut record_at: impl FnMut(usize, usize) -> Option<Vec<Slot>>,
    ) -> u64 {
        let mut missed = 0;
        for (chunk, run) in run.chunks(MOST_MARKS).enumerate() {
            let Carry { open, early_ends, pairs, step, noted, .. } = self;
            pairs.pair(run, |id| {
                if open.remove(&id).is_none() {
                    early_ends.insert(id, *step);
                }
            });
            let mut take = |index: usize| {
                let head = Head(run[index].mark()[0]);
                let index = chunk * MOST_MARKS + index;
                let slots = record_at(index, head.slots())?;
                let number = extend_record_number(head.record_number_low(), range.first_record);
                let position = range.position + index as u64;
                let range = RecordRange { first_record: number, next_record: number + 1, position, ..range };
                Some(Kept { range, slots, block })
            };
            for index in pairs.take_open() {
                let id = run[index].mark()[1];
                if early_ends.remove(&id).is_some() {
                    continue;
                }
                match take(index) {
                    Some(begin) if begin.is_whole() => {
                        open.insert(id, Open { records: vec![begin], noted: *noted });
                        *noted += 1;
                    }
                    Some(_) => {}
                    None => missed += 1,
                }
            }
            for index in pairs.attributes.iter().map(|index| usize::from(*index)) {
                let Some(span) = open.get_mut(&run[index].mark()[1]) else { continue };
                if let Some(attribute) = take(index).filter(Kept::is_whole) {
                    span.add(attribute);
                }
            }
        }
        if self.open.len() > MAX_SPANS {
            if let Some(doubted) = self.in_doubt.take() {
                self.open.retain(|_, span| span.noted >= doubted);
            }
        }
        missed
    }

    /// The same with the slots themselves.
    pub(super) fn note_slots(&mut self, slots: &[Slot], range: RecordRange, block: Option<u64>) {
        self.note(slots, range, block, |index, count| {
            Some(slots.get(index..index + count).unwrap_or_default().to_vec())
        });
    }

    /// Everything of a step was noted: a round over the rings.
    pub(super) fn end_step(&mut self) {
        let step = self.step;
        self.early_ends.retain(|_, seen_in| *seen_in == step);
        self.step += 1;
    }

    /// Records went by unseen: a span noted before may have had its end among them.
    pub(super) fn doubt(&mut self) {
        self.in_doubt = Some(self.noted);
    }

    /// Records that stand in no block yet, and in their ring below the position that `safe_from` tells for it: they are about to
    /// be overwritten.
    pub(super) fn threatened(&self, safe_from: impl Fn(u32) -> u64) -> Vec<Which> {
        self.which(|record| record.block.is_none() && record.range.position < safe_from(record.range.ring))
    }

    /// Records that stand in no block above number `block`.
    pub(super) fn in_blocks_up_to(&self, block: u64) -> Vec<Which> {
        self.which(|record| record.block.is_none_or(|last| last <= block))
    }

    /// By the ids of their spans, a begin before its attributes.
    fn which(&self, wanted: impl Fn(&Kept) -> bool) -> Vec<Which> {
        let mut which: Vec<Which> = Vec::new();
        for (id, span) in &self.open {
            let wanted = span.records.iter().enumerate().filter(|(_, record)| wanted(record));
            which.extend(wanted.map(|(index, _)| (*id, index)));
        }
        which.sort_unstable();
        which
    }

    pub(super) fn record(&self, (span, index): Which) -> Option<&Kept> {
        self.open.get(&span)?.records.get(index)
    }

    /// The threads that recorded them.
    pub(super) fn threads(&self) -> BTreeSet<u32> {
        self.records().map(|record| record.range.thread).collect()
    }

    /// All of them.
    pub(super) fn records(&self) -> impl Iterator<Item = &Kept> {
        self.open.values().flat_map(|span| &span.records)
    }

    /// The begins of all spans that are open.
    pub(super) fn begins(&self) -> impl Iterator<Item = &Kept> {
        self.open.values().filter_map(|span| span.records.first())
    }

    /// That record was written to block number `block`.
    pub(super) fn carried(&mut self, (span, index): Which, block: u64) {
        if let Some(record) = self.open.get_mut(&span).and_then(|span| span.records.get_mut(index)) {
            record.block = Some(block);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::events::{Kind, MAX_RECORD_SLOTS, Outcome, ValueType};

    fn slot(kind: Kind, number: u64, span_id: u64) -> Slot {
        let outcome = kind.is_end().then_some(Outcome::Completed);
        let head = Head::record(kind, outcome, 0).with_record_number(number);
        let mut words = [0; 8];
        (words[0], words[2]) = (head.0, span_id);
        Slot(words)
    }

    fn attribute(number: u64, span_id: u64, key: u64, value: u64) -> Slot {
        let fields = ValueFields {
            head: Head::record(Kind::Attribute, None, 0).with_record_number(number),
            ticks: 1,
            span_id,
            value,
            key_address: key,
            key_length: 3,
            value_type: ValueType::U64 as u32,
            text_length: 0,
            reserved: 0,
        };
        fields.to_slot()
    }

    /// Spans, if it is the begins that are meant.
    fn spans_of(which: &[Which]) -> Vec<u64> {
        assert!(which.iter().all(|(_, index)| *index == 0), "{which:?}");
        which.iter().map(|(id, _)| *id).collect()
    }

    fn at(first_record: u64, position: u64) -> RecordRange {
        RecordRange { thread: 1, ring: 7, first_record, position, ..RecordRange::default() }
    }

    #[test]
    fn a_span_is_carried_until_its_end_is_seen() {
        let mut carry = Carry::default();
        let run = [
            slot(Kind::BeginAsync, 10, 1),
            slot(Kind::BeginAsyncNamed, 11, 2),
            slot(Kind::BeginThread, 12, 3),
            slot(Kind::EndThread, 13, 3),
        ];
        carry.note_slots(&run, at(10, 100), None);
        assert_eq!(spans_of(&carry.threatened(|_| 101)), [1]);
        assert_eq!(spans_of(&carry.threatened(|ring| if ring == 8 { 1000 } else { 0 })), [0; 0]);
        carry.carried((1, 0), 5);
        assert_eq!(spans_of(&carry.threatened(|_| 1000)), [2]);
        assert_eq!(spans_of(&carry.in_blocks_up_to(4)), [2]);
        assert_eq!(spans_of(&carry.in_blocks_up_to(5)), [1, 2]);
        carry.note_slots(&[slot(Kind::EndAsync, 14, 1)], at(14, 104), None);
        assert_eq!(spans_of(&carry.in_blocks_up_to(5)), [2]);
    }

    #[test]
    fn a_poll_opens_and_ends_nothing() {
        let mut carry = Carry::default();
        let poll = |number, span_id| {
            let mut slot = slot(Kind::Poll, number, span_id);
            (slot.0[6], slot.0[7]) = (1 << 32, 1);
            slot
        };
        let run = [slot(Kind::BeginAsync, 10, 1), poll(11, 1), poll(12, 2), slot(Kind::BeginAsync, 13, 3)];
        carry.note_slots(&run, at(10, 100), None);
        assert_eq!(spans_of(&carry.threatened(|_| 1000)), [1, 3]);
        assert_eq!(carry.record((3, 0)).map(|begin| (begin.range.first_record, begin.range.position)), Some((13, 103)));
        assert_eq!(carry.record((1, 0)).map(|begin| begin.slots[0]), Some(run[0]));
    }

    #[test]
    fn an_end_may_come_before_its_begin() {
        let mut carry = Carry::default();
        carry.note_slots(&[slot(Kind::EndAsync, 0, 1), slot(Kind::EndAsync, 1, 2)], at(0, 0), None);
        carry.note_slots(&[slot(Kind::BeginAsync, 0, 1)], at(0, 0), None);
        carry.end_step();
        carry.note_slots(&[slot(Kind::BeginAsync, 1, 2), slot(Kind::BeginAsync, 2, 3)], at(1, 1), None);
        assert_eq!(spans_of(&carry.in_blocks_up_to(9)), [3]);
    }

    #[test]
    fn a_begin_is_carried_when_its_block_goes_and_again_when_that_goes() {
        let mut carry = Carry::default();
        carry.note_slots(&[slot(Kind::BeginAsync, 0, 1), slot(Kind::BeginAsync, 1, 2)], at(0, 0), Some(3));
        carry.note_slots(&[slot(Kind::BeginAsync, 2, 3)], at(2, 2), Some(4));
        assert_eq!(spans_of(&carry.in_blocks_up_to(2)), [0; 0]);
        assert_eq!(spans_of(&carry.in_blocks_up_to(3)), [1, 2]);
        carry.carried((1, 0), 5);
        carry.note_slots(&[slot(Kind::EndAsync, 3, 2)], at(3, 3), Some(6));
        assert_eq!(spans_of(&carry.in_blocks_up_to(4)), [3], "the end of one is kept, and says what its begin said");
        assert_eq!(spans_of(&carry.in_blocks_up_to(5)), [1, 3]);
    }

    #[test]
    fn attributes_of_an_open_span_go_with_its_begin() {
        let mut carry = Carry::default();
        let run = [
            slot(Kind::BeginAsync, 0, 1),
            attribute(1, 1, 70, 5),
            slot(Kind::BeginAsync, 2, 2),
            attribute(3, 2, 70, 6),
            slot(Kind::EndAsync, 4, 2),
            attribute(5, 99, 70, 7),
        ];
        carry.note_slots(&run, at(0, 100), Some(3));
        assert_eq!(carry.in_blocks_up_to(3), [(1, 0), (1, 1)], "not of one that has ended, nor of none");
        // Later, perhaps in another thread's ring.
        carry.note_slots(&[attribute(6, 1, 80, 8), attribute(7, 1, 70, 9)], at(6, 200), Some(5));
        assert_eq!(carry.in_blocks_up_to(4), [(1, 0)], "the later value takes the place of the earlier");
        assert_eq!(carry.in_blocks_up_to(5), [(1, 0), (1, 1), (1, 2)]);
        let values = (0..3).map(|index| carry.record((1, index)).expect("it is kept"));
        let values: Vec<_> =
            values.map(|kept| (kept.range.first_record, kept.range.position, kept.slots[0].0[3])).collect();
        assert_eq!(values[1..], [(7, 201, 9), (6, 200, 8)]);
        for key in 100..200 {
            carry.note_slots(&[attribute(key, 1, key, 0)], at(key, key), Some(6));
        }
        assert_eq!(carry.records().count(), 1 + MAX_ATTRIBUTES);
        carry.note_slots(&[slot(Kind::EndAsync, 300, 1)], at(300, 300), Some(7));
        assert_eq!(carry.records().count(), 0);
    }

    #[test]
    fn an_attribute_is_told_from_a_begin_whose_place_it_took() {
        let mut carry = Carry::default();
        // In one run slot 1 is a begin, in the next it is an attribute of the same span.
        carry.note_slots(&[Slot::EMPTY, slot(Kind::BeginAsync, 0, 1)], at(0, 0), None);
        carry.note_slots(&[slot(Kind::BeginAsync, 1, 2), attribute(2, 1, 70, 5)], at(1, 2), None);
        assert_eq!(carry.in_blocks_up_to(0), [(1, 0), (1, 1), (2, 0)]);
    }

    #[test]
    #[cfg_attr(miri, ignore = "of so many, an interpreter makes an hour")]
    fn of_too_many_begins_those_are_forgotten_whose_ends_may_have_gone_by_unseen() {
        let mut carry = Carry::default();
        let run = |ids: std::ops::Range<u64>| ids.map(|id| slot(Kind::BeginAsync, id, id)).collect::<Vec<_>>();
        carry.note_slots(&run(0..10), at(0, 0), Some(0));
        carry.doubt();
        let most = MAX_SPANS as u64;
        carry.note_slots(&run(10..most), at(10, 10), Some(1));
        assert_eq!(carry.begins().count(), MAX_SPANS, "not too many so far");
        carry.note_slots(&run(most..most + 5), at(most, most), Some(2));
        assert_eq!(carry.begins().count(), MAX_SPANS - 5);
        assert!(carry.record((9, 0)).is_none() && carry.record((10, 0)).is_some());
        carry.note_slots(&run(most + 5..most + 20), at(most, most), Some(3));
        assert_eq!(carry.begins().count(), MAX_SPANS + 10, "nothing is in doubt any more");
    }

    #[test]
    fn spans_that_begin_and_end_in_any_order_are_told_from_those_that_are_open() {
        let mut carry = Carry::default();
        // As many spans as have the same low bits of their ids by twos, open all at once; every seventh stays so.
        let many = (0..3 * MOST_MARKS as u64).step_by(if cfg!(miri) { MOST_MARKS / 64 } else { 1 });
        let ids: Vec<u64> = many.chain([5 << 40, (5 << 40) + MOST_MARKS as u64]).collect();
        let ends = ids.iter().rev().filter(|id| *id % 7 != 0);
        let begins = ids.iter().map(|id| slot(Kind::BeginThreadNamed, *id, *id));
        let run: Vec<Slot> = begins.chain(ends.map(|id| slot(Kind::EndThreadNamed, *id, *id))).collect();
        carry.note_slots(&run, at(0, 0), None);
        carry.end_step();
        let open: Vec<u64> = ids.iter().copied().filter(|id| id % 7 == 0).collect();
        assert_eq!(spans_of(&carry.in_blocks_up_to(0)), open);
    }

    #[test]
    fn a_begin_that_is_gone_is_missed_and_one_that_was_scribbled_on_is_passed_over() {
        let mut carry = Carry::default();
        let marks = [1, 2].map(|id| [slot(Kind::BeginAsync, id, id).0[0], id]);
        assert_eq!(carry.note(&marks, at(0, 0), None, |_, _| None), 2);
        assert_eq!(carry.note(&marks, at(0, 0), None, |_, _| Some(vec![Slot::EMPTY])), 0);
        assert_eq!(spans_of(&carry.in_blocks_up_to(0)), [0; 0]);
    }

    #[test]
    fn numbers_and_positions_are_those_of_the_record() {
        let mut carry = Carry::default();
        let mut text = slot(Kind::BeginAsyncNamed, 1 << 32, 1);
        text.0[0] = Head(text.0[0]).with_slots(2).with_run_time_name().0;
        (text.0[5], text.0[6]) = (10, 10);
        let mut more = Slot::EMPTY;
        more.0[0] = Head::continuation(1, 2).with_record_number(1 << 32).0;
        carry.note_slots(&[text, more, slot(Kind::BeginAsync, (1 << 32) + 1, 2)], at(1 << 32, 50), None);
        let second = carry.record((2, 0)).expect("it is open");
        assert_eq!((second.range.first_record, second.range.position), ((1 << 32) + 1, 52));
        assert_eq!(carry.record((1, 0)).map(|begin| begin.slots.len()), Some(2));
        const { assert!(MAX_RECORD_SLOTS > 2) };
    }
}
