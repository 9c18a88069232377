//! What a ring holds that the segments do not.
//!
//! The slots of a ring vouch for each other: their numbers rise from the oldest to the newest. The words of its header vouch for
//! nothing by themselves, so each is held against the slots, against the other words and against what the segments say.

use super::balance::{Account, Counts, Gap, Settled, Wrong, bounds, records_at_least, share};
use super::decode::{Progress, Stretch};
use super::ring::{Marks, Problem, RingCopy};
use super::sequence::{Run, Slots, count, fitting, runs};
use crate::events::{MAX_RECORD_SLOTS, Slot, extend_record_number};
use crate::format::ring_file::{DROP_MARK_WORD, DROPPED_WORD, FLUSHED_POSITION_WORD, FLUSHED_RECORD_WORD};
use crate::format::ring_file::{RECENT_RECORD_WORD, TAIL_WORD};
use std::ops::Range;

/// Slots that may be being overwritten by the record after the last.
const IN_PROGRESS: u64 = MAX_RECORD_SLOTS as u64;

/// What there is in a ring beyond the segments.
pub(super) struct Recovered<'a> {
    pub(super) slots: Slots<'a>,
    pub(super) stretches: Vec<Stretch>,
    pub(super) problems: Vec<Problem>,
}

/// A ring, seen from where the segments end.
struct Ring<'a> {
    copy: &'a RingCopy,
    marks: Marks,
    /// How far the segments go.
    known: &'a Progress,
    /// About the number of the last record.
    near: u64,
    problems: Vec<Problem>,
}

/// Finds what is in a ring beyond what the segments have, and what is missing there.
pub(super) fn recover<'a>(copy: &'a RingCopy, known: &Progress) -> Recovered<'a> {
    let mut ring = Ring { copy, marks: copy.marks, known, near: known.next_record, problems: Vec::new() };
    ring.check_marks();
    ring.check_positions();
    let (positions, joined) = ring.unread();
    let slots = copy.slots(copy.index(positions.start), (positions.end - positions.start) as usize);
    // The oldest slots may be the end of a record whose beginning was overwritten.
    let continues = |index: &usize| slots.get(*index).is_some_and(|slot| slot.head().index() > 0);
    let most = if joined { 0 } else { slots.len().min(MAX_RECORD_SLOTS - 1) };
    let mut start = (0..most).take_while(continues).count();

    let mut runs = fitting(runs(&slots, slots.len(), |low| ring.number(low)));
    // What the segments have after all is no more than where to begin.
    let old = runs.iter().take_while(|run| run.next() <= known.next_record).count();
    start = runs.drain(..old).next_back().map_or(start, |run| run.end());
    let mut runs = ring.possible(runs, start, joined);
    ring.doubt_last(&mut runs, start, joined);
    let gaps = ring.gaps(&runs, start, joined);
    let next = runs.last().map_or(known.next_record, Run::next);
    let end = runs.last().map_or(start, Run::end);
    let settled = ring.settle(&gaps, next, (slots.len() - end.min(slots.len())) as u64);

    let ends = runs.iter().map(Run::end);
    let starts = std::iter::once(start).chain(ends);
    let after_last = Run { start: slots.len(), slots: 0, first: next, records: 0 };
    let gaps: Vec<Gap> = gaps.into_iter().chain([settled.end]).collect();
    let stretches = std::iter::zip(starts, runs.iter().copied().chain([after_last]))
        .zip(gaps.iter().zip(ring.losses(&gaps, &settled)))
        .map(|((from, run), (gap, lost))| Stretch { gap: *gap, lost, unreadable: from..run.start.max(from), run })
        .collect();
    Recovered { slots, stretches, problems: ring.problems }
}

impl Ring<'_> {
    fn problem(&mut self, word: usize, what: &'static str) {
        // While the writer goes on, two words are never quite of the same instant.
        if self.copy.moved_to.is_none() {
            self.problems.push(Problem::word(word, what));
        }
    }

    /// Looks at the words by which low halves of numbers are extended.
    fn check_marks(&mut self) {
        let Marks { tail, drop_mark, dropped, flushed_record, recent_record, .. } = self.marks;
        if self.copy.flight && (drop_mark, dropped) != (0, 0) {
            let word = if drop_mark != 0 { DROP_MARK_WORD } else { DROPPED_WORD };
            self.problem(word, "nothing is dropped in flight discipline");
            (self.marks.drop_mark, self.marks.dropped) = (0, 0);
        }
        // Every record takes a slot or was dropped, and those that were dropped are below the mark.
        let tail = self.copy.moved_to.map_or(tail, |later| later.tail);
        let most = tail.saturating_add(self.marks.drop_mark.max(self.marks.dropped));
        self.near = self.copy.owners.iter().map(|owner| owner.record_number).fold(self.near, u64::max);
        for (word, record) in [(RECENT_RECORD_WORD, recent_record), (FLUSHED_RECORD_WORD, flushed_record)] {
            if record <= most {
                self.near = self.near.max(record);
            } else {
                self.problem(word, "a record's number is greater than there are records");
            }
        }
    }

    /// Looks at the words by which slots are found.
    fn check_positions(&mut self) {
        if let Some(later) = self.copy.moved_to {
            // A tail never goes back.
            if self.marks.tail > later.tail {
                self.marks.tail = self.known.position.min(later.tail);
            }
            return;
        }
        self.marks.tail = self.checked_tail();
        let Marks { tail, flushed_position, .. } = self.marks;
        let is_right = if self.copy.flight { flushed_position <= tail } else { self.is_within(tail, flushed_position) };
        if !is_right {
            self.problem(FLUSHED_POSITION_WORD, "the position of the last flush contradicts the slots");
        }
    }

    /// The number near to what is known about the last record's.
    fn number(&self, low: u32) -> Option<u64> {
        let number = extend_record_number(low, self.near);
        // A wrapped one is none.
        (number.abs_diff(self.near) <= 1 << 31).then_some(number)
    }

    /// Whether as many records may have been flushed up to `flushed` and be in the ring behind that.
    fn is_within(&self, tail: u64, flushed: u64) -> bool {
        tail.checked_sub(flushed).is_some_and(|ahead| ahead <= self.copy.capacity)
    }

    /// The tail, as far as it agrees with the slots; the one that the slots tell of, if it does not.
    fn checked_tail(&mut self) -> u64 {
        const WRONG: &str = "the position after the last record contradicts the slots";
        let (tail, capacity) = (self.marks.tail, self.copy.capacity as usize);
        let index = self.copy.index(tail);
        // A record may begin before the end of the round and end after it.
        let round = self.copy.slots(index, capacity + MAX_RECORD_SLOTS - 1);
        let found = runs(&round, capacity, |low| self.number(low));
        let end = self.end_of_newest(&found);
        let mut checked = tail;
        if end != 0 || !self.is_plausible(tail, &found) {
            checked = self.position_of(self.copy.index(index as u64 + end as u64), &found);
        }
        // Slots that were never written are not behind the tail.
        let last = found.iter().map(Run::end).max().unwrap_or(0);
        if end == 0 && checked > self.known.position {
            let empty = |index: &usize| round.get(*index) == Some(&Slot::EMPTY);
            let unwritten = (last..capacity).rev().take_while(empty).count();
            if unwritten > 0 && last + unwritten >= capacity && (last > 0 || self.near == 0) {
                checked = checked.saturating_sub(unwritten as u64).max(self.known.position);
            }
        }
        if checked != tail {
            self.problem(TAIL_WORD, WRONG);
        }
        checked
    }

    /// Slots from the tail to the end of the newest record: 0, unless the slots contradict the tail. `found` are the records from
    /// the tail on, all around.
    fn end_of_newest(&self, found: &[Run]) -> usize {
        let at_tail = count(&fitting(found.to_vec()));
        if at_tail == count(found) {
            return 0;
        }
        let newest = |records: u64| {
            (0..found.len()).filter(|index| found[*index].records >= records).max_by_key(|index| found[*index].next())
        };
        let mut best = (at_tail, 0);
        for last in newest(1).into_iter().chain(newest(2)) {
            let (before, after) = found.split_at(last + 1);
            let others = count(&fitting([after, before].concat()));
            // One record behind the tail was written and not published.
            let unpublished = u64::from(last == 0 && found[0].start == 0 && found[0].records == 1);
            if others > best.0 + unpublished {
                best = (others, found[last].end());
            }
        }
        best.1
    }

    fn is_plausible(&self, tail: u64, found: &[Run]) -> bool {
        if self.copy.flight {
            let Some(newest) = fitting(found.to_vec()).last().map(Run::next) else {
                return tail == self.known.position;
            };
            // Every record takes one to eight slots.
            let most = newest.saturating_add(self.copy.capacity).saturating_mul(IN_PROGRESS);
            return tail >= self.known.position && (newest..=most).contains(&tail);
        }
        self.is_within(tail, self.known.position) || self.is_within(tail, self.marks.flushed_position)
    }

    /// The position with this index that the tail is likely to have.
    fn position_of(&self, index: usize, found: &[Run]) -> u64 {
        let newest = found.iter().map(Run::next).max().unwrap_or(0);
        let from = if self.copy.flight { self.known.position.max(newest) } else { self.known.position };
        let ahead = self.copy.index((index as u64).wrapping_sub(from)) as u64;
        let is_full = ahead == 0 && !self.copy.flight && newest > self.known.next_record;
        from.saturating_add(if is_full { self.copy.capacity } else { ahead })
    }

    /// Positions of slots that the segments do not have and that are whole; and whether these are all that there are.
    fn unread(&self) -> (Range<u64>, bool) {
        let later = self.copy.moved_to.unwrap_or(self.marks);
        let (tail, flushed) = (self.marks.tail, later.flushed_position);
        let whole_from = later.tail.max(tail).saturating_add(IN_PROGRESS).saturating_sub(self.copy.capacity);
        // What is not flushed is not overwritten either, in drain discipline.
        let is_kept = !self.copy.flight && self.is_within(later.tail.max(tail), flushed);
        let whole_from = if is_kept { whole_from.min(flushed) } else { whole_from };
        let start = whole_from.max(self.known.position).min(tail);
        (start.max(tail.saturating_sub(self.copy.capacity))..tail, self.known.position >= whole_from)
    }

    /// Without lone records whose numbers can be none of theirs: the writer lost no such number of records.
    fn possible(&self, found: Vec<Run>, start: usize, joined: bool) -> Vec<Run> {
        let mut kept: Vec<Run> = Vec::with_capacity(found.len());
        for run in found {
            loop {
                let gap = self.gap(kept.last(), &run, start, joined);
                if !self.is_impossible(&gap, &run) {
                    kept.push(run);
                } else if run.records > 1 && kept.last().is_some_and(|last| last.records == 1) {
                    kept.pop();
                    continue;
                } else if run.records > 1 {
                    // They bear each other out.
                    kept.push(run);
                }
                break;
            }
        }
        kept
    }

    fn is_impossible(&self, gap: &Gap, after: &Run) -> bool {
        let lost = gap.least_lost();
        if self.copy.flight {
            return lost > 0;
        }
        let dropped = self.marks.dropped.checked_sub(self.known.lost);
        lost > 0 && dropped.is_none_or(|dropped| lost > dropped) && self.marks.drop_mark < after.first
    }

    /// Leaves out a lone last record if the gap before it is neither below the mark nor in the count of what was lost.
    fn doubt_last(&self, found: &mut Vec<Run>, start: usize, joined: bool) {
        let dropped = self.marks.dropped.saturating_sub(self.known.lost);
        while let [.., last] = &found[..] {
            let gaps = self.gaps(found, start, joined);
            let lost = gaps.last().map_or(0, Gap::least_lost);
            let is_sure = last.records > 1 || lost == 0 || self.marks.drop_mark >= last.first;
            if self.copy.flight || is_sure || bounds(&gaps).0 <= dropped {
                break;
            }
            found.pop();
        }
    }

    /// What is missing before each run.
    fn gaps(&self, found: &[Run], start: usize, joined: bool) -> Vec<Gap> {
        let before = std::iter::once(None).chain(found.iter().map(Some));
        before.zip(found).map(|(before, run)| self.gap(before, run, start, joined)).collect()
    }

    fn gap(&self, before: Option<&Run>, run: &Run, start: usize, joined: bool) -> Gap {
        let (next, end) = before.map_or((self.known.next_record, start), |before| (before.next(), before.end()));
        Gap {
            missing: run.first.saturating_sub(next),
            slots: run.start.saturating_sub(end) as u64,
            open: before.is_none() && !joined,
        }
    }

    /// What is missing after record number `next`, behind which there are so many unreadable slots; and what was lost in all.
    fn settle(&mut self, gaps: &[Gap], next: u64, slots: u64) -> Settled {
        if self.copy.flight {
            let end = Gap { missing: records_at_least(slots), slots, open: false };
            let overwritten = gaps.first().filter(|gap| gap.open).map_or(0, Gap::most_lost);
            return Settled { end, lost: overwritten, wrong: None };
        }
        let account = Account { gaps, next, slots, lost_before: self.known.lost };
        let counts = Counts { drop_mark: self.marks.drop_mark, dropped: self.marks.dropped };
        // The segments of a live writer may be of a later instant.
        let is_outdated = self.copy.alive && counts.dropped < self.known.lost;
        if self.copy.moved_to.is_some() || is_outdated {
            return account.settle_moving(counts);
        }
        let settled = account.settle(counts);
        match settled.wrong {
            Some(Wrong::DropMark) => {
                self.problem(DROP_MARK_WORD, "the mark of the last dropped record contradicts the others")
            }
            Some(Wrong::Dropped) => self.problem(DROPPED_WORD, "the count of dropped records contradicts their mark"),
            None => {}
        }
        settled
    }

    /// How many were lost in each gap.
    fn losses(&self, gaps: &[Gap], settled: &Settled) -> Vec<u64> {
        if self.copy.flight {
            let mut losses = vec![0; gaps.len()];
            losses[0] = settled.lost;
            return losses;
        }
        share(gaps, settled.lost)
    }
}
