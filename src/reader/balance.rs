//! What is missing, divided into what the writer lost and what was damaged.
//!
//! A writer counts what it loses, so no more than that is ever called lost, and everything else that is missing was damaged. Where
//! there is nothing but a gap in the numbers, the writer made it; where there are slots that cannot be read, each of them may have
//! been a record, and eight of them were at least one.

use crate::events::MAX_RECORD_SLOTS;

/// Records that are missing between two others.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) struct Gap {
    /// How many.
    pub(super) missing: u64,
    /// Slots in which there is no readable record.
    pub(super) slots: u64,
    /// There may have been more slots, which are gone.
    pub(super) open: bool,
}

/// Records that so many slots held at least.
pub(super) fn records_at_least(slots: u64) -> u64 {
    slots.div_ceil(MAX_RECORD_SLOTS as u64)
}

impl Gap {
    /// Records that the writer must have lost, because there is no room for them.
    pub(super) fn least_lost(&self) -> u64 {
        if self.open { 0 } else { self.missing.saturating_sub(self.slots) }
    }

    /// Records that the writer may have lost.
    pub(super) fn most_lost(&self) -> u64 {
        self.missing.saturating_sub(records_at_least(self.slots))
    }
}

/// The least and the most that the writer may have lost in all of these.
pub(super) fn bounds(gaps: &[Gap]) -> (u64, u64) {
    let sum = |part: fn(&Gap) -> u64| gaps.iter().map(part).fold(0, u64::saturating_add);
    (sum(Gap::least_lost), sum(Gap::most_lost))
}

/// How many were lost in each gap, if the writer lost no more than `lost` in all.
pub(super) fn share(gaps: &[Gap], lost: u64) -> Vec<u64> {
    let mut rest = lost;
    let mut take = |most: u64| {
        let part = most.min(rest);
        rest -= part;
        part
    };
    let mut shares: Vec<u64> = gaps.iter().map(|gap| take(gap.least_lost())).collect();
    for (gap, share) in gaps.iter().zip(&mut shares) {
        *share += take(gap.most_lost().saturating_sub(*share));
    }
    shares
}

/// What a ring says about its losses, in drain discipline.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Counts {
    /// Number of the record after the last dropped one.
    pub(super) drop_mark: u64,
    /// Records dropped since the ring began.
    pub(super) dropped: u64,
}

/// The word of a ring's header that cannot be right.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Wrong {
    DropMark,
    Dropped,
}

/// What a ring's counts come to.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Settled {
    /// What is missing after the last record.
    pub(super) end: Gap,
    /// Lost in all of the gaps.
    pub(super) lost: u64,
    /// What had to be corrected, or passed over.
    pub(super) wrong: Option<Wrong>,
}

/// Finds out what is missing after the last record of a ring, and how much was lost.
///
/// The gaps in the numbers, the mark and the count say the same thing twice: where the three contradict each other, a single
/// flipped bit in one of the two words is put right, and beyond that neither is believed.
pub(super) struct Account<'a> {
    /// Gaps before and between the records.
    pub(super) gaps: &'a [Gap],
    /// Number after the last record.
    pub(super) next: u64,
    /// Unreadable slots after the last record.
    pub(super) slots: u64,
    /// Records of the ring that were lost before all of these.
    pub(super) lost_before: u64,
}

impl Account<'_> {
    fn end(&self, drop_mark: u64) -> Gap {
        let missing = drop_mark.saturating_sub(self.next).max(records_at_least(self.slots));
        Gap { missing, slots: self.slots, open: false }
    }

    /// The least and the most that was lost, if the mark is right.
    fn bounds(&self, drop_mark: u64) -> (u64, u64) {
        let ((least, most), end) = (bounds(self.gaps), self.end(drop_mark));
        (least.saturating_add(end.least_lost()), most.saturating_add(end.most_lost()))
    }

    /// What the counts come to, if they bear each other out.
    fn checked(&self, counts: Counts, wrong: Option<Wrong>) -> Option<Settled> {
        let (least, most) = self.bounds(counts.drop_mark);
        let lost = counts.dropped.checked_sub(self.lost_before)?;
        // The count is written before the mark: a writer that was killed in between left it one ahead.
        let fits = least <= lost && lost <= most.saturating_add(1);
        fits.then_some(Settled { end: self.end(counts.drop_mark), lost: lost.min(most), wrong })
    }

    /// What was lost by counts that nobody changes any more.
    pub(super) fn settle(&self, counts: Counts) -> Settled {
        if let Some(settled) = self.checked(counts, None) {
            return settled;
        }
        let no_mark = std::iter::once((Counts { drop_mark: 0, ..counts }, Wrong::DropMark));
        let marks = (0..u64::BITS).map(|bit| Counts { drop_mark: counts.drop_mark ^ 1 << bit, ..counts });
        let dropped = (0..u64::BITS).map(|bit| Counts { dropped: counts.dropped ^ 1 << bit, ..counts });
        let flips = marks.map(|flip| (flip, Wrong::DropMark)).chain(dropped.map(|flip| (flip, Wrong::Dropped)));
        let settled = no_mark.chain(flips).filter_map(|(counts, wrong)| self.checked(counts, Some(wrong)));
        // Where several would do, the one that speaks of the fewest records.
        settled.min_by_key(|settled| settled.end.missing).unwrap_or_else(|| {
            let lost = counts.dropped.saturating_sub(self.lost_before).min(self.bounds(0).1);
            Settled { end: self.end(0), lost, wrong: Some(Wrong::DropMark) }
        })
    }

    /// The same by counts that were read one after the other while their writer went on.
    pub(super) fn settle_moving(&self, counts: Counts) -> Settled {
        self.checked(counts, None).unwrap_or_else(|| {
            let lost = counts.dropped.saturating_sub(self.lost_before);
            let drop_mark = if lost >= self.bounds(counts.drop_mark).0 { counts.drop_mark } else { 0 };
            Settled { end: self.end(drop_mark), lost: lost.min(self.bounds(drop_mark).1), wrong: None }
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn gap(missing: u64, slots: u64) -> Gap {
        Gap { missing, slots, open: false }
    }

    #[test]
    fn a_gap_without_slots_was_made_by_the_writer() {
        assert_eq!(share(&[gap(5, 0), gap(3, 3), gap(2, 0)], 7), [5, 0, 2]);
        assert_eq!(share(&[gap(5, 0), gap(3, 3), gap(2, 0)], 8), [5, 1, 2]);
        assert_eq!(share(&[gap(5, 0), gap(3, 3), gap(2, 0)], 100), [5, 2, 2]);
        assert_eq!(share(&[gap(10, 3)], 100), [9]);
        assert_eq!(share(&[gap(10, 3), gap(1, 0)], 4), [4, 0]);
    }

    #[test]
    fn what_was_not_lost_was_damaged_whatever_there_is_room_for() {
        assert_eq!(share(&[gap(5, 0), gap(4, 1)], 2), [2, 0]);
        let open = Gap { missing: 50, slots: 0, open: true };
        assert_eq!(share(&[open, gap(7, 0)], 10), [3, 7]);
    }

    /// A ring with a gap of 5 before record 100, its last, and 7 dropped after it; 1000 were lost before.
    const GAPS: [Gap; 2] = [Gap { missing: 0, slots: 0, open: false }, Gap { missing: 5, slots: 0, open: false }];
    const ACCOUNT: Account<'static> = Account { gaps: &GAPS, next: 101, slots: 0, lost_before: 1000 };
    const RIGHT: Counts = Counts { drop_mark: 108, dropped: 1012 };

    #[test]
    fn counts_that_bear_each_other_out_are_right() {
        let settled = Settled { end: gap(7, 0), lost: 12, wrong: None };
        assert_eq!(ACCOUNT.settle(RIGHT), settled);
        assert_eq!(ACCOUNT.settle(Counts { dropped: 1013, ..RIGHT }), settled, "killed before the mark was written");
        let none_after = Settled { end: gap(0, 0), lost: 5, wrong: None };
        assert_eq!(ACCOUNT.settle(Counts { drop_mark: 100, dropped: 1005 }), none_after);
    }

    #[test]
    fn a_flipped_bit_in_a_count_invents_nothing() {
        let bits = || (0..64).step_by(if cfg!(miri) { 9 } else { 1 });
        for bit in bits() {
            let dropped = ACCOUNT.settle(Counts { dropped: RIGHT.dropped ^ 1 << bit, ..RIGHT });
            assert!(dropped.end.missing <= 7 && dropped.lost == dropped.end.missing + 5, "bit {bit}: {dropped:?}");
            let mark = ACCOUNT.settle(Counts { drop_mark: RIGHT.drop_mark ^ 1 << bit, ..RIGHT });
            assert!(mark.end.missing <= 7 && mark.lost == mark.end.missing + 5, "bit {bit}: {mark:?}");
        }
        for bit in bits() {
            let quiet = Counts { drop_mark: 100, dropped: 1005 };
            let dropped = ACCOUNT.settle(Counts { dropped: quiet.dropped ^ 1 << bit, ..quiet });
            assert_eq!((dropped.end.missing, dropped.lost), (0, 5), "bit {bit}");
            let mark = ACCOUNT.settle(Counts { drop_mark: quiet.drop_mark ^ 1 << bit, ..quiet });
            assert_eq!((mark.end.missing, mark.lost), (0, 5), "bit {bit}");
        }
    }

    #[test]
    fn garbage_in_the_counts_is_not_believed() {
        let garbage = Counts { drop_mark: 0x1234_5678_9abc_def0, dropped: 0x0fed_cba9_8765_4321 };
        assert_eq!(ACCOUNT.settle(garbage), Settled { end: gap(0, 0), lost: 5, wrong: Some(Wrong::DropMark) });
        let none = ACCOUNT.settle(Counts { drop_mark: 0x1234_5678_9abc_def0, dropped: 3 });
        assert_eq!((none.end.missing, none.lost), (0, 0));
    }

    #[test]
    fn unreadable_slots_at_the_end_held_something() {
        let cut = Account { slots: 9, ..ACCOUNT };
        let settled = cut.settle(Counts { drop_mark: 100, dropped: 1005 });
        assert_eq!(settled, Settled { end: gap(2, 9), lost: 5, wrong: None });
        let settled = cut.settle(Counts { drop_mark: 116, dropped: 1013 });
        assert_eq!(settled, Settled { end: gap(15, 9), lost: 13, wrong: None });
    }

    #[test]
    fn counts_that_were_read_while_the_writer_went_on_are_no_damage() {
        let early_mark = ACCOUNT.settle_moving(Counts { drop_mark: 120, dropped: 1012 });
        assert_eq!(early_mark, Settled { end: gap(0, 0), lost: 5, wrong: None });
        let late_count = ACCOUNT.settle_moving(Counts { drop_mark: 108, dropped: 1020 });
        assert_eq!(late_count, Settled { end: gap(7, 0), lost: 12, wrong: None });
    }
}
