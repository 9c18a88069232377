//! Carrying begins forward: a span that is still open stays in the recording when what its begin was written to goes away,
//! because a ring in flight discipline came round, or because the oldest segment was retired.

use crate::events::{Head, Slot, extend_record_number, first_record};
use crate::format::block::RecordRange;
use std::collections::{BTreeSet, HashMap};

/// Begins that are kept at most. When there are more, those in doubt are forgotten.
const MAX_BEGINS: usize = 1 << 16;

/// What has to be known of each slot to tell which spans are open: the first word, and the span's id.
pub(super) type Mark = [u64; 2];

/// The words of a slot that make its mark.
pub(super) const MARK_WORDS: [usize; 2] = [0, 2];

/// Slots that are paired at once. Most spans begin and end among so many, and are done with here.
pub(super) const MOST_MARKS: usize = 4096;

/// What tells a slot's mark: the slot itself, or those words of it.
pub(super) trait Marked {
    fn mark(&self) -> Mark;
}

impl Marked for Mark {
    fn mark(&self) -> Mark {
        *self
    }
}

impl Marked for Slot {
    fn mark(&self) -> Mark {
        MARK_WORDS.map(|word| self.0[word])
    }
}

/// Begins whose ends have not been seen.
#[derive(Default)]
pub(super) struct Carry {
    open: HashMap<u64, Begin>,
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

/// The begin of a span.
pub(super) struct Begin {
    /// Whose it was, and its number there.
    pub(super) range: RecordRange,
    pub(super) slots: Vec<Slot>,
    /// The last block that it stands in, if it does in any.
    block: Option<u64>,
    /// How many were noted before.
    noted: u64,
}

/// Begins and ends among a few thousand slots.
struct Pairs {
    /// For the low bits of a span's id, which of the slots may be its begin. Ids of one thread follow each other, so hardly any two
    /// meet here; if they do, the older one is found among those that are open.
    begin_of: Box<[u16; MOST_MARKS]>,
    /// Begins without an end so far, a bit for each slot.
    open: [u64; MOST_MARKS / 64],
}

impl Default for Pairs {
    fn default() -> Pairs {
        Pairs { begin_of: Box::new([0; MOST_MARKS]), open: [0; MOST_MARKS / 64] }
    }
}

impl Pairs {
    /// Pairs begins with their ends, and tells of each span whose end has no begin before it here. At most [`MOST_MARKS`].
    fn pair(&mut self, run: &[impl Marked], mut unpaired: impl FnMut(u64)) {
        for (index, slot) in run.iter().enumerate() {
            let [head, id] = slot.mark();
            let Some(kind) = Head(head).kind().filter(|kind| kind.is_span()) else { continue };
            let place = &mut self.begin_of[id as usize % MOST_MARKS];
            if kind.is_end() {
                let begin = usize::from(*place);
                let (word, bit) = (&mut self.open[begin / 64], 1 << (begin % 64));
                if *word & bit != 0 && run[begin].mark()[1] == id { *word &= !bit } else { unpaired(id) }
            } else {
                *place = index as u16;
                self.open[index / 64] |= 1 << (index % 64);
            }
        }
    }

    /// Takes the begins that were left over.
    fn take_open(&mut self) -> impl Iterator<Item = usize> + use<> {
        let words = std::mem::replace(&mut self.open, [0; MOST_MARKS / 64]).into_iter().enumerate();
        words
            .filter(|(_, word)| *word != 0)
            .flat_map(|(at, word)| (0..64).filter(move |bit| word & 1 << bit != 0).map(move |bit| at * 64 + bit))
    }
}

impl Carry {
    /// Notes the begins and ends in a run of slots of one ring, or in their marks. The first stands at the position in `range` and has
    /// about its number; all of them stand in `block`, if in any. Of a span that is still open, `record_at` is asked for the whole
    /// record, by the number of its slot here and how many slots it takes.
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
            for index in pairs.take_open() {
                let [head, id] = run[index].mark();
                if early_ends.remove(&id).is_some() {
                    continue;
                }
                let (head, index) = (Head(head), chunk * MOST_MARKS + index);
                let Some(slots) = record_at(index, head.slots()) else {
                    missed += 1;
                    continue;
                };
                if first_record(&slots).is_err() {
                    // Someone has scribbled on it.
                    continue;
                }
                let number = extend_record_number(head.record_number_low(), range.first_record);
                let position = range.position + index as u64;
                let range = RecordRange { first_record: number, next_record: number + 1, position, ..range };
                open.insert(id, Begin { range, slots, block, noted: *noted });
                *noted += 1;
            }
        }
        if self.open.len() > MAX_BEGINS {
            if let Some(doubted) = self.in_doubt.take() {
                self.open.retain(|_, begin| begin.noted >= doubted);
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

    /// Records went by unseen: a begin noted before may have had its end among them.
    pub(super) fn doubt(&mut self) {
        self.in_doubt = Some(self.noted);
    }

    /// Begins that stand in no block yet, and in their ring below the position that `safe_from` tells for it: they are about to
    /// be overwritten.
    pub(super) fn threatened(&self, safe_from: impl Fn(u32) -> u64) -> Vec<u64> {
        self.ids(|begin| begin.block.is_none() && begin.range.position < safe_from(begin.range.ring))
    }

    /// Begins that stand in no block above number `block`.
    pub(super) fn in_blocks_up_to(&self, block: u64) -> Vec<u64> {
        self.ids(|begin| begin.block.is_none_or(|last| last <= block))
    }

    fn ids(&self, wanted: impl Fn(&Begin) -> bool) -> Vec<u64> {
        let begins = self.open.iter().filter(|(_, begin)| wanted(begin));
        let mut ids: Vec<u64> = begins.map(|(id, _)| *id).collect();
        ids.sort_unstable();
        ids
    }

    /// The begin of span `id`.
    pub(super) fn begin(&self, id: u64) -> Option<&Begin> {
        self.open.get(&id)
    }

    /// The threads that recorded them.
    pub(super) fn threads(&self) -> BTreeSet<u32> {
        self.open.values().map(|begin| begin.range.thread).collect()
    }

    /// The begins of all spans that are open.
    pub(super) fn begins(&self) -> impl Iterator<Item = &Begin> {
        self.open.values()
    }

    /// The begin of span `id` was written to block number `block`.
    pub(super) fn carried(&mut self, id: u64, block: u64) {
        if let Some(begin) = self.open.get_mut(&id) {
            begin.block = Some(block);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::events::{Kind, MAX_RECORD_SLOTS, Outcome};

    fn slot(kind: Kind, number: u64, span_id: u64) -> Slot {
        let outcome = kind.is_end().then_some(Outcome::Completed);
        let head = Head::record(kind, outcome, 0).with_record_number(number);
        let mut words = [0; 8];
        (words[0], words[2]) = (head.0, span_id);
        Slot(words)
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
        assert_eq!(carry.threatened(|_| 101), [1]);
        assert_eq!(carry.threatened(|ring| if ring == 8 { 1000 } else { 0 }), [0; 0]);
        carry.carried(1, 5);
        assert_eq!(carry.threatened(|_| 1000), [2]);
        assert_eq!(carry.in_blocks_up_to(4), [2]);
        assert_eq!(carry.in_blocks_up_to(5), [1, 2]);
        carry.note_slots(&[slot(Kind::EndAsync, 14, 1)], at(14, 104), None);
        assert_eq!(carry.in_blocks_up_to(5), [2]);
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
        assert_eq!(carry.threatened(|_| 1000), [1, 3]);
        assert_eq!(carry.begin(3).map(|begin| (begin.range.first_record, begin.range.position)), Some((13, 103)));
        assert_eq!(carry.begin(1).map(|begin| begin.slots[0]), Some(run[0]));
    }

    #[test]
    fn an_end_may_come_before_its_begin() {
        let mut carry = Carry::default();
        carry.note_slots(&[slot(Kind::EndAsync, 0, 1), slot(Kind::EndAsync, 1, 2)], at(0, 0), None);
        carry.note_slots(&[slot(Kind::BeginAsync, 0, 1)], at(0, 0), None);
        carry.end_step();
        carry.note_slots(&[slot(Kind::BeginAsync, 1, 2), slot(Kind::BeginAsync, 2, 3)], at(1, 1), None);
        assert_eq!(carry.in_blocks_up_to(9), [3]);
    }

    #[test]
    fn a_begin_is_carried_when_its_block_goes_and_again_when_that_goes() {
        let mut carry = Carry::default();
        carry.note_slots(&[slot(Kind::BeginAsync, 0, 1), slot(Kind::BeginAsync, 1, 2)], at(0, 0), Some(3));
        carry.note_slots(&[slot(Kind::BeginAsync, 2, 3)], at(2, 2), Some(4));
        assert_eq!(carry.in_blocks_up_to(2), [0; 0]);
        assert_eq!(carry.in_blocks_up_to(3), [1, 2]);
        carry.carried(1, 5);
        carry.note_slots(&[slot(Kind::EndAsync, 3, 2)], at(3, 3), Some(6));
        assert_eq!(carry.in_blocks_up_to(4), [3], "the end of one is kept, and says what its begin said");
        assert_eq!(carry.in_blocks_up_to(5), [1, 3]);
    }

    #[test]
    #[cfg_attr(miri, ignore = "of so many, an interpreter makes an hour")]
    fn of_too_many_begins_those_are_forgotten_whose_ends_may_have_gone_by_unseen() {
        let mut carry = Carry::default();
        let begins = |ids: std::ops::Range<u64>| ids.map(|id| slot(Kind::BeginAsync, id, id)).collect::<Vec<_>>();
        carry.note_slots(&begins(0..10), at(0, 0), Some(0));
        carry.doubt();
        let most = MAX_BEGINS as u64;
        carry.note_slots(&begins(10..most), at(10, 10), Some(1));
        assert_eq!(carry.begins().count(), MAX_BEGINS, "not too many so far");
        carry.note_slots(&begins(most..most + 5), at(most, most), Some(2));
        assert_eq!(carry.begins().count(), MAX_BEGINS - 5);
        assert!(carry.begin(9).is_none() && carry.begin(10).is_some());
        carry.note_slots(&begins(most + 5..most + 20), at(most, most), Some(3));
        assert_eq!(carry.begins().count(), MAX_BEGINS + 10, "nothing is in doubt any more");
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
        assert_eq!(carry.in_blocks_up_to(0), open);
    }

    #[test]
    fn a_begin_that_is_gone_is_missed_and_one_that_was_scribbled_on_is_passed_over() {
        let mut carry = Carry::default();
        let marks = [1, 2].map(|id| [slot(Kind::BeginAsync, id, id).0[0], id]);
        assert_eq!(carry.note(&marks, at(0, 0), None, |_, _| None), 2);
        assert_eq!(carry.note(&marks, at(0, 0), None, |_, _| Some(vec![Slot::EMPTY])), 0);
        assert_eq!(carry.in_blocks_up_to(0), [0; 0]);
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
        let second = carry.begin(2).expect("it is open");
        assert_eq!((second.range.first_record, second.range.position), ((1 << 32) + 1, 52));
        assert_eq!(carry.begin(1).map(|begin| begin.slots.len()), Some(2));
        const { assert!(MAX_RECORD_SLOTS > 2) };
    }
}
