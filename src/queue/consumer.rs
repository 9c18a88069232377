//! The reading end, in the same process.

use super::{Ring, Storage, WhenFull};
use crate::sync::{Ordering, fence, ordering};
use std::ops::{Deref, Range};

/// The reading end of the ring to which `R` refers.
pub struct Consumer<R> {
    ring: R,
    /// Everything below was given back (drain) or is not wanted again (flight). The consumer's own.
    head: u64,
}

impl<R, S, const WIDTH: usize> Consumer<R>
where
    R: Deref<Target = Ring<S, WIDTH>>,
    S: Storage<WIDTH>,
{
    /// # Safety
    /// This is the only consumer that the ring ever has, and `ring` refers to the same one all the time.
    pub unsafe fn new(ring: R) -> Self {
        Consumer { ring, head: 0 }
    }

    /// What the ring does when it is full.
    pub fn when_full(&self) -> WhenFull {
        self.ring.when_full
    }

    /// The ring's storage.
    pub fn storage(&self) -> &S {
        &self.ring.storage
    }

    /// Positions published and not yet given back. In flight discipline the oldest of them may be overwritten by now.
    pub fn published(&self) -> Range<u64> {
        // Acquire: the words below this tail are visible from here on.
        self.head..self.ring.tail.load(ordering!(Acquire unless "consumer_tail_relaxed"))
    }

    /// Number of the record after the last dropped one; 0 if none was.
    ///
    /// A record below this mark was either dropped or is below a tail that is read after the mark.
    pub fn drop_mark(&self) -> u64 {
        // Acquire: pairs with the producer's release of the mark.
        self.ring.drop_mark.load(ordering!(Acquire unless "consumer_drop_mark_relaxed"))
    }

    /// Slots in the ring.
    pub fn capacity(&self) -> u64 {
        self.ring.storage.capacity()
    }

    /// The first word of the slot that `position` has, or had: the producer may be overwriting it.
    pub fn first_word(&self, position: u64) -> u64 {
        self.ring.storage.slot(position)[0].load(Ordering::Relaxed)
    }

    /// Appends the words of `positions` to `out`. They must be published and not given back, and in a ring in flight
    /// discipline the producer may be overwriting them: see [`Consumer::snapshot`].
    pub fn copy(&self, positions: Range<u64>, out: &mut Vec<u64>) {
        self.copy_words(positions, std::array::from_fn::<_, WIDTH, _>(|word| word), out);
    }

    #[inline(always)]
    fn copy_words<const N: usize>(&self, positions: Range<u64>, words: [usize; N], out: &mut Vec<u64>) {
        out.reserve((positions.end - positions.start) as usize * N);
        for position in positions {
            let slot = self.ring.storage.slot(position);
            // Relaxed: ordered after the tail by `published`, and before it becomes free by `give_back`.
            out.extend(words.map(|word| slot[word].load(Ordering::Relaxed)));
        }
    }

    /// Gives the slots below `position` back to the producer.
    pub fn give_back(&mut self, position: u64) {
        debug_assert!(position >= self.head);
        self.head = position;
        // Release: the copying of these slots happened before the producer overwrites them.
        self.ring.head.store(position, ordering!(Release unless "give_back_relaxed"));
    }

    /// Replaces `out` by a consistent copy of the newest slots in `positions`, and returns which these are.
    ///
    /// The producer goes on meanwhile. A slot is kept only if the producer had not begun to overwrite it when its copy was
    /// done; so the range ends where `positions` ends and begins where it is still whole (at its end, if nothing is). It may
    /// begin in the middle of a record, whose number tells how many are missing before it.
    pub fn snapshot(&self, positions: Range<u64>, out: &mut Vec<u64>) -> Range<u64> {
        self.snapshot_words(positions, std::array::from_fn::<_, WIDTH, _>(|word| word), out)
    }

    /// The same of some words of each slot.
    ///
    /// # Panics
    /// If a slot has no such word.
    #[inline(always)]
    pub fn snapshot_words<const N: usize>(
        &self,
        positions: Range<u64>,
        words: [usize; N],
        out: &mut Vec<u64>,
    ) -> Range<u64> {
        let storage = &self.ring.storage;
        let capacity = storage.capacity();
        let start = positions.start.max(positions.end.saturating_sub(capacity));
        out.clear();
        self.copy_words(start..positions.end, words, out);
        // Acquire: pairs with the producer's `before_overwriting`. If any word copied above is newer than its position, the load
        // below sees at least the tail from which that word's record was begun.
        if !cfg!(spanring_mutant = "no_reader_fence") {
            fence(Ordering::Acquire);
        }
        let tail = self.ring.tail.load(Ordering::Relaxed);
        // From `tail` on the producer may be writing one more record, so as many slots from `tail - capacity` on are lost.
        let in_progress = if cfg!(spanring_mutant = "lap_ignores_record_in_progress") { 0 } else { self.ring.longest };
        let whole_from = tail.saturating_add(in_progress).saturating_sub(capacity).clamp(start, positions.end);
        out.drain(..(whole_from - start) as usize * N);
        whole_from..positions.end
    }
}
