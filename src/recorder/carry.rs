//! Carrying begins forward: a span that is still open stays in the recording when what its begin was written to goes away,
//! because a ring in flight discipline came round, or because the oldest segment was retired.

use crate::events::{Head, Kind, Slot, SpanFields, extend_record_number, first_record};
use crate::format::ThreadFacts;
use crate::format::block::{BLOCK_ALIGNMENT, BlockHeader, BlockKind, RecordRange};
use std::collections::{BTreeMap, HashMap};

/// Begins that are kept at most. When there are more, those in doubt are forgotten.
const MAX_BEGINS: usize = 1 << 16;

/// What has to be known of each slot to tell which spans are open: the first word, and the span's id.
pub(super) type Mark = [u64; 2];

/// The words of a slot that make its mark.
pub(super) const MARK_WORDS: [usize; 2] = [0, 2];

/// Marks that are paired at once. Most spans begin and end among so many, and are done with here.
pub(super) const MOST_MARKS: usize = 4096;

/// Begins whose ends have not been seen.
#[derive(Default)]
pub(super) struct Carry {
    open: HashMap<u64, Begin>,
    /// Ends that came before their begins, as those of spans that moved between threads may, and in which step. No begin comes
    /// later than in the step after.
    early_ends: HashMap<u64, u64>,
    step: u64,
    /// Ends that stand in a later segment than their begins, and in which block. While that block is kept, so is the span.
    later_ends: HashMap<u64, u64>,
    pairs: Pairs,
}

/// The begin of a span.
pub(super) struct Begin {
    /// Whose it was, and its number there.
    pub(super) range: RecordRange,
    pub(super) slots: Vec<Slot>,
    /// The block that it was carried to last.
    carried_to: Option<u64>,
    /// Its ring came round unseen since, so its end may have been missed.
    in_doubt: bool,
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
    /// Pairs begins with their ends, and tells of each end that has no begin before it here, by its number and its span. At most
    /// [`MOST_MARKS`].
    fn pair(&mut self, marks: &[Mark], mut unpaired: impl FnMut(usize, u64)) {
        for (index, [head, id]) in marks.iter().enumerate() {
            let Some(kind) = Head(*head).kind().filter(|kind| kind.is_span()) else { continue };
            let place = &mut self.begin_of[*id as usize % MOST_MARKS];
            if kind.is_end() {
                let begin = usize::from(*place);
                let (word, bit) = (&mut self.open[begin / 64], 1 << (begin % 64));
                if *word & bit != 0 && marks[begin][1] == *id { *word &= !bit } else { unpaired(index, *id) }
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
    /// Notes the begins and ends among the slots of one ring that have these `marks`, the first of which stands at the position in
    /// `range` and has about its number. Of a span that is still open, `record_at` is asked for the whole record, by the number of its
    /// slot here and how many slots it takes.
    ///
    /// Returns how many begins it did not have any more.
    pub(super) fn note(
        &mut self,
        marks: &[Mark],
        range: RecordRange,
        mut record_at: impl FnMut(usize, usize) -> Option<Vec<Slot>>,
    ) -> u64 {
        let mut missed = 0;
        for (chunk, marks) in marks.chunks(MOST_MARKS).enumerate() {
            let Carry { open, early_ends, pairs, step, .. } = self;
            pairs.pair(marks, |_, id| {
                if open.remove(&id).is_none() {
                    early_ends.insert(id, *step);
                }
            });
            for index in pairs.take_open() {
                let [head, id] = marks[index];
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
                open.insert(id, Begin { range, slots, carried_to: None, in_doubt: false });
            }
        }
        if self.open.len() > MAX_BEGINS {
            self.open.retain(|_, begin| !begin.in_doubt);
        }
        missed
    }

    /// The same with the slots themselves.
    pub(super) fn note_slots(&mut self, slots: &[Slot], range: RecordRange) {
        self.note(&marks_of(slots), range, |index, count| {
            Some(slots.get(index..index + count).unwrap_or_default().to_vec())
        });
    }

    /// Everything of a step was noted: a round over the rings, or a segment.
    pub(super) fn end_step(&mut self) {
        let step = self.step;
        self.early_ends.retain(|_, seen_in| *seen_in == step);
        self.step += 1;
    }

    /// Notes the ends in records that are written to block `block`, if their begins may stand in an earlier segment than the one
    /// that began at `segment_ticks`.
    pub(super) fn note_later_ends(&mut self, run: &[Slot], segment_ticks: u64, block: u64) {
        let began_earlier = |slot: &Slot| SpanFields::from_slot(slot).begin_ticks < segment_ticks;
        if !run.iter().any(|slot| slot.head().kind().is_some_and(Kind::is_end) && began_earlier(slot)) {
            return;
        }
        // Before the segment began, but perhaps not before these records.
        let Carry { later_ends, pairs, .. } = self;
        for run in run.chunks(MOST_MARKS) {
            pairs.pair(&marks_of(run), |index, id| {
                if began_earlier(&run[index]) {
                    later_ends.insert(id, block);
                }
            });
            drop(pairs.take_open());
        }
    }

    /// Records of this ring went by unseen: a begin noted before may have had its end among them.
    pub(super) fn doubt(&mut self, ring: u32) {
        self.open.values_mut().filter(|begin| begin.range.ring == ring).for_each(|begin| begin.in_doubt = true);
    }

    /// Begins that stand in no block yet, and in their ring below the position that `safe_from` tells for it: they are about to
    /// be overwritten.
    pub(super) fn threatened(&self, safe_from: impl Fn(u32) -> u64) -> Vec<u64> {
        self.ids(|begin| begin.carried_to.is_none() && begin.range.position < safe_from(begin.range.ring))
    }

    /// Begins that stand in no block above number `block`, and whose ends stand in none either.
    pub(super) fn in_blocks_up_to(&mut self, block: u64) -> Vec<u64> {
        self.later_ends.retain(|_, end| *end > block);
        self.ids(|begin| begin.carried_to.is_none_or(|carried| carried <= block))
    }

    fn ids(&self, wanted: impl Fn(&Begin) -> bool) -> Vec<u64> {
        let begins = self.open.iter().filter(|(id, begin)| wanted(begin) && !self.later_ends.contains_key(id));
        let mut ids: Vec<u64> = begins.map(|(id, _)| *id).collect();
        ids.sort_unstable();
        ids
    }

    /// The begin of span `id`.
    pub(super) fn begin(&self, id: u64) -> Option<&Begin> {
        self.open.get(&id)
    }

    /// Whether a begin was recorded by this thread.
    pub(super) fn has_thread(&self, thread: u32) -> bool {
        self.open.values().any(|begin| begin.range.thread == thread)
    }

    /// The begins of all spans that are open.
    pub(super) fn begins(&self) -> impl Iterator<Item = &Begin> {
        self.open.values()
    }

    /// The begin of span `id` was written to block number `block`.
    pub(super) fn carried(&mut self, id: u64, block: u64) {
        if let Some(begin) = self.open.get_mut(&id) {
            begin.carried_to = Some(block);
        }
    }
}

/// What a segment held that has to be kept when it goes.
pub(super) struct Leftover {
    /// Number of its last block.
    pub(super) last_block: u64,
    /// Threads that were introduced in it.
    pub(super) threads: BTreeMap<u32, ThreadFacts>,
}

impl Carry {
    /// Looks through a segment that is to be retired, and notes its `records` if asked. `words` are its bytes, from its first
    /// block on.
    pub(super) fn note_segment(&mut self, words: &[u64], records: bool) -> Leftover {
        let mut leftover = Leftover { last_block: 0, threads: BTreeMap::new() };
        let mut bytes: &[u8] = bytemuck::cast_slice(words);
        // It is this process's own segment: what does not decode was damaged by someone else, and is damaged no more when gone.
        while let Ok(Some(header)) = BlockHeader::decode(bytes) {
            if let Ok(payload) = header.payload(bytes) {
                leftover.last_block = header.number;
                match header.kind {
                    BlockKind::Records if records => self.note_slots(slots(payload), header.records),
                    #[cfg(feature = "compress")]
                    BlockKind::PackedRecords if records => {
                        let slots = crate::format::packed::unpack(payload).unwrap_or_default();
                        self.note_slots(&slots, header.records);
                    }
                    BlockKind::Thread => {
                        let facts = ThreadFacts::decode(&String::from_utf8_lossy(payload));
                        leftover.threads.insert(facts.id, facts);
                    }
                    _ => {}
                }
            }
            debug_assert!(header.block_bytes() % BLOCK_ALIGNMENT == 0);
            bytes = bytes.get(header.block_bytes()..).unwrap_or_default();
        }
        self.end_step();
        leftover
    }
}

fn marks_of(slots: &[Slot]) -> Vec<Mark> {
    slots.iter().map(|slot| MARK_WORDS.map(|word| slot.0[word])).collect()
}

/// The slots in a payload, which begins at a multiple of 8 in a buffer of words.
fn slots(payload: &[u8]) -> &[Slot] {
    bytemuck::try_cast_slice(payload).unwrap_or_default()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::events::{MAX_RECORD_SLOTS, Outcome};

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
        carry.note_slots(&run, at(10, 100));
        assert_eq!(carry.threatened(|_| 101), [1]);
        assert_eq!(carry.threatened(|ring| if ring == 8 { 1000 } else { 0 }), [0; 0]);
        carry.carried(1, 5);
        assert_eq!(carry.threatened(|_| 1000), [2]);
        assert_eq!(carry.in_blocks_up_to(4), [2]);
        assert_eq!(carry.in_blocks_up_to(5), [1, 2]);
        carry.note_slots(&[slot(Kind::EndAsync, 14, 1)], at(14, 104));
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
        carry.note_later_ends(&run, 1000, 4);
        carry.note_slots(&run, at(10, 100));
        assert_eq!(carry.threatened(|_| 1000), [1, 3]);
        assert_eq!(carry.begin(3).map(|begin| (begin.range.first_record, begin.range.position)), Some((13, 103)));
        assert_eq!(carry.begin(1).map(|begin| begin.slots[0]), Some(run[0]));
    }

    #[test]
    fn an_end_may_come_before_its_begin() {
        let mut carry = Carry::default();
        carry.note_slots(&[slot(Kind::EndAsync, 0, 1), slot(Kind::EndAsync, 1, 2)], at(0, 0));
        carry.note_slots(&[slot(Kind::BeginAsync, 0, 1)], at(0, 0));
        carry.end_step();
        carry.note_slots(&[slot(Kind::BeginAsync, 1, 2), slot(Kind::BeginAsync, 2, 3)], at(1, 1));
        assert_eq!(carry.in_blocks_up_to(9), [3]);
    }

    #[test]
    fn a_span_whose_end_is_kept_is_not_carried() {
        let mut carry = Carry::default();
        let mut end = slot(Kind::EndAsync, 9, 1);
        end.0[7] = 500;
        carry.note_later_ends(&[end], 501, 4);
        carry.note_later_ends(&[slot(Kind::EndAsync, 9, 2)], 0, 4);
        carry.note_slots(&[slot(Kind::BeginAsync, 0, 1), slot(Kind::BeginAsync, 1, 2)], at(0, 0));
        assert_eq!(carry.in_blocks_up_to(3), [2]);
        carry.note_slots(&[end], at(9, 9));
        assert_eq!(carry.in_blocks_up_to(4), [2], "its end is gone, and so is it");
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
        carry.note_slots(&run, at(0, 0));
        carry.end_step();
        let open: Vec<u64> = ids.iter().copied().filter(|id| id % 7 == 0).collect();
        assert_eq!(carry.in_blocks_up_to(0), open);
    }

    #[test]
    fn a_begin_that_is_gone_is_missed_and_one_that_was_scribbled_on_is_passed_over() {
        let mut carry = Carry::default();
        let marks = [1, 2].map(|id| [slot(Kind::BeginAsync, id, id).0[0], id]);
        assert_eq!(carry.note(&marks, at(0, 0), |_, _| None), 2);
        assert_eq!(carry.note(&marks, at(0, 0), |_, _| Some(vec![Slot::EMPTY])), 0);
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
        carry.note_slots(&[text, more, slot(Kind::BeginAsync, (1 << 32) + 1, 2)], at(1 << 32, 50));
        let second = carry.begin(2).expect("it is open");
        assert_eq!((second.range.first_record, second.range.position), ((1 << 32) + 1, 52));
        assert_eq!(carry.begin(1).map(|begin| begin.slots.len()), Some(2));
        const { assert!(MAX_RECORD_SLOTS > 2) };
    }
}
