//! The records in a stretch of slots whose numbers fit together.
//!
//! Slots that were damaged may hold anything. A record counts if it is whole, and if its number fits in with the numbers of the
//! others: of all ways to pass over records until the numbers of the rest rise, the one that passes over the fewest.

use crate::events::{MAX_RECORD_SLOTS, Slot, first_record, plain_records};
use std::collections::BTreeMap;

/// Slots in the order in which they were written.
#[derive(Clone, Copy)]
pub(super) struct Slots<'a> {
    buffer: &'a [Slot],
    /// Index in the buffer of the first slot.
    first: usize,
    /// Index after which the next is 0. Slots between the end of the buffer and this are not there.
    round: usize,
    len: usize,
}

impl<'a> Slots<'a> {
    /// Slots one after another.
    pub(super) fn straight(buffer: &'a [Slot]) -> Slots<'a> {
        Slots { buffer, first: 0, round: buffer.len().max(1), len: buffer.len() }
    }

    /// `len` slots of a ring of `round` slots, from the one at index `first` on. The end of the ring may be missing in `buffer`.
    pub(super) fn around(buffer: &'a [Slot], first: usize, round: usize, len: usize) -> Slots<'a> {
        Slots { buffer, first, round, len }
    }

    pub(super) fn len(&self) -> usize {
        self.len
    }

    /// Slots until the first comes again.
    pub(super) fn round(&self) -> usize {
        self.round
    }

    /// Where in the buffer slot `index` stands.
    pub(super) fn place(&self, index: usize) -> usize {
        (self.first + index) % self.round
    }

    /// Slot `index`; `None` if it is not there.
    pub(super) fn get(&self, index: usize) -> Option<&'a Slot> {
        self.buffer.get(self.place(index))
    }

    /// Slots one after another, from `index` on: up to `end`, unless the ring ends before.
    pub(super) fn ahead(&self, index: usize, end: usize) -> &'a [Slot] {
        let place = self.place(index);
        let most = (end - index).min(self.round - place);
        self.buffer.get(place..).map_or(&[], |rest| &rest[..most.min(rest.len())])
    }

    /// The first slot from `index` on that is there. A ring has as many slots as its file says, so those that are not there are
    /// passed over at once.
    fn first_present(&self, index: usize) -> usize {
        let place = self.place(index);
        if place < self.buffer.len() { index } else { index + (self.round - place) }
    }

    /// The slots of the record that begins at slot `index`, where a record is known to be. One that goes round the end is put together in
    /// `joined`.
    pub(super) fn known_record<'b>(&self, index: usize, joined: &'b mut [Slot; MAX_RECORD_SLOTS]) -> &'b [Slot]
    where
        'a: 'b,
    {
        let straight = self.ahead(index, self.len);
        let length = straight.first().map_or(0, |slot| slot.head().slots()).min(MAX_RECORD_SLOTS);
        if length <= straight.len() {
            return &straight[..length];
        }
        self.join(index, &mut joined[..length])
    }

    /// The record that begins at slot `index`. One that goes round the end is put together in `joined`.
    ///
    /// # Errors
    /// Why there is none.
    pub(super) fn record<'b>(
        &self,
        index: usize,
        joined: &'b mut [Slot; MAX_RECORD_SLOTS],
    ) -> Result<&'b [Slot], &'static str>
    where
        'a: 'b,
    {
        let rest = self.len.saturating_sub(index);
        let place = if self.first == 0 && index < self.round { index } else { self.place(index) };
        let straight = self.buffer.get(place..).unwrap_or_default();
        let straight = &straight[..straight.len().min(rest)];
        let head = straight.first().ok_or("the file is cut off")?.head();
        if head.slots() <= straight.len() || straight.len() == rest {
            return first_record(straight);
        }
        first_record(self.join(index, &mut joined[..rest.min(MAX_RECORD_SLOTS)]))
    }

    /// As many slots from `index` on as there is room for, around the end.
    fn join<'b>(&self, index: usize, joined: &'b mut [Slot]) -> &'b [Slot] {
        for (offset, slot) in joined.iter_mut().enumerate() {
            *slot = self.get(index + offset).copied().unwrap_or(Slot::EMPTY);
        }
        joined
    }
}

/// Records that follow each other without a gap, in their slots and in their numbers.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Run {
    /// Index of the first slot.
    pub(super) start: usize,
    pub(super) slots: usize,
    /// Number of the first record.
    pub(super) first: u64,
    pub(super) records: u64,
}

impl Run {
    /// Index after the last slot.
    pub(super) fn end(&self) -> usize {
        self.start + self.slots
    }

    /// Number after the last record.
    pub(super) fn next(&self) -> u64 {
        self.first.saturating_add(self.records)
    }
}

/// The records that begin in the first `starts` slots. `number` extends the low half of a record's number; where it does not, there
/// is no such record.
pub(super) fn runs(slots: &Slots<'_>, starts: usize, number: impl Fn(u32) -> Option<u64>) -> Vec<Run> {
    let mut runs: Vec<Run> = Vec::new();
    let mut joined = [Slot::EMPTY; MAX_RECORD_SLOTS];
    let mut index = slots.first_present(0);
    let mut push = |start: usize, slots: usize, first: u64, records: u64| match runs.last_mut() {
        Some(run) if run.end() == start && run.next() == first => {
            run.slots += slots;
            run.records += records;
        }
        _ => runs.push(Run { start, slots, first, records }),
    };
    while index < starts {
        let found = slots.record(index, &mut joined).ok();
        let found = found.and_then(|record| {
            let low = record[0].head().record_number_low();
            Some((record.len(), low, number(low)?))
        });
        let Some((length, low, first)) = found else {
            index = slots.first_present(index + 1);
            continue;
        };
        push(index, length, first, 1);
        index += length;
        // Nearly always those behind it are as they should be. If the number of the last one follows, so do those between.
        let next_low = low.wrapping_add(1);
        let plain = plain_records(slots.ahead(index.min(starts), starts), next_low);
        let last = plain.checked_sub(1).and_then(|last| number(next_low.wrapping_add(last as u32)));
        if last.is_some_and(|last| last == first.saturating_add(plain as u64)) {
            push(index, plain, first + 1, plain as u64);
            index += plain;
        }
    }
    runs
}

/// The run that all of these slots are, if there is a record in each or behind it, and their numbers follow each other from `first`
/// on. It is the only one that [`runs`] would find.
pub(super) fn whole_run(slots: &[Slot], first: u64) -> Option<Run> {
    let (mut index, mut number) = (0, first);
    while index < slots.len() {
        let plain = plain_records(&slots[index..], number as u32);
        index += plain;
        number = number.checked_add(plain as u64)?;
        if index < slots.len() {
            let record = first_record(&slots[index..]).ok()?;
            if record[0].head().record_number_low() != number as u32 {
                return None;
            }
            index += record.len();
            number = number.checked_add(1)?;
        }
    }
    Some(Run { start: 0, slots: slots.len(), first, records: number - first })
}

/// Records in these runs.
pub(super) fn count(runs: &[Run]) -> u64 {
    runs.iter().map(|run| run.records).sum()
}

/// Those runs, in order, whose numbers rise, with as many records as can be.
pub(super) fn fitting(runs: Vec<Run>) -> Vec<Run> {
    if runs.windows(2).all(|pair| pair[0].next() <= pair[1].first) {
        return runs;
    }
    // By the number at which they end, the heaviest chains found so far: records, and last run. The higher the number the heavier.
    let mut chains: BTreeMap<u64, (u64, usize)> = BTreeMap::new();
    let mut before = Vec::with_capacity(runs.len());
    for (index, run) in runs.iter().enumerate() {
        let best = chains.range(..=run.first).next_back().map(|(_, chain)| *chain);
        before.push(best.map(|(_, last)| last));
        let records = best.map_or(0, |(records, _)| records) + run.records;
        if chains.range(..=run.next()).next_back().is_some_and(|(_, (other, _))| *other >= records) {
            continue;
        }
        while let Some((&end, _)) = chains.range(run.next()..).next().filter(|(_, (other, _))| *other <= records) {
            chains.remove(&end);
        }
        chains.insert(run.next(), (records, index));
    }
    let mut last = chains.values().next_back().map(|(_, last)| *last);
    let mut chosen = Vec::new();
    while let Some(index) = last {
        chosen.push(runs[index]);
        last = before[index];
    }
    chosen.reverse();
    chosen
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::events::{Head, Kind};

    fn slot(number: u64) -> Slot {
        let mut slot = Slot::EMPTY;
        slot.0[0] = Head::record(Kind::BeginAsync, None, 0).with_record_number(number).0;
        slot
    }

    fn slots(numbers: &[u64]) -> Vec<Slot> {
        numbers.iter().map(|number| slot(*number)).collect()
    }

    /// First numbers and lengths of what fits together among records with these numbers.
    fn fits(numbers: &[u64]) -> Vec<(u64, u64)> {
        let slots = slots(numbers);
        let runs = runs(&Slots::straight(&slots), slots.len(), |low| Some(u64::from(low)));
        fitting(runs).iter().map(|run| (run.first, run.records)).collect()
    }

    #[test]
    fn numbers_that_rise_all_fit() {
        assert_eq!(fits(&[]), []);
        assert_eq!(fits(&[3, 4, 5, 9, 10, 20]), [(3, 3), (9, 2), (20, 1)]);
    }

    #[test]
    fn a_number_that_is_out_of_order_is_passed_over() {
        assert_eq!(fits(&[3, 4, 700, 6, 7]), [(3, 2), (6, 2)]);
        assert_eq!(fits(&[3, 4, 1, 6, 7]), [(3, 2), (6, 2)]);
        assert_eq!(fits(&[3, 4, 4, 6, 7]), [(3, 2), (6, 2)]);
        assert_eq!(fits(&[3, 4, 6, 6, 7]), [(3, 2), (6, 2)]);
        assert_eq!(fits(&[900, 4, 5, 6]), [(4, 3)]);
    }

    #[test]
    fn a_stretch_that_is_out_of_order_is_passed_over() {
        assert_eq!(fits(&[10, 11, 12, 1, 2, 16, 17]), [(10, 3), (16, 2)]);
        assert_eq!(fits(&[10, 11, 12, 100, 101, 15, 16, 17]), [(10, 3), (15, 3)]);
    }

    #[test]
    fn a_ring_is_read_around_its_end() {
        let mut ring = slots(&[7, 8, 0, 4, 5]);
        let text = |index| Head::continuation(index, 3).with_record_number(6).0;
        let named = Head::record(Kind::BeginAsyncNamed, None, 0).with_run_time_name().with_slots(3);
        ring.push(Slot([named.with_record_number(6).0, 0, 0, 0, 0, 100, 100, 0]));
        ring.splice(0..0, [Slot([text(1), 0, 0, 0, 0, 0, 0, 0]), Slot([text(2), 0, 0, 0, 0, 0, 0, 0])]);
        let around = Slots::around(&ring, 5, 8, 7);
        let runs = runs(&around, 7, |low| Some(u64::from(low)));
        assert_eq!(runs, [Run { start: 0, slots: 7, first: 4, records: 5 }]);
        assert_eq!(around.place(3), 0);
    }

    #[test]
    fn what_is_not_there_holds_no_record() {
        let ring = slots(&[4, 5]);
        let runs = runs(&Slots::around(&ring, 3, 4, 4), 4, |low| Some(u64::from(low)));
        assert_eq!(runs, [Run { start: 1, slots: 2, first: 4, records: 2 }]);
    }
}
