//! The writing end.

use super::{Shared, Storage, WhenFull};
use crate::sync::{AtomicU64, Ordering, fence, ordering};
use std::cell::Cell;
use std::sync::Arc;

/// The writing end of a ring. One thread uses it at a time; it may move to another.
pub struct Producer<S, const WIDTH: usize> {
    shared: Arc<Shared<S>>,
    /// Where the next record goes.
    position: Cell<u64>,
    /// The next record's number, dropped records included.
    record_number: Cell<u64>,
    /// Records dropped so far.
    dropped: Cell<u64>,
    /// A record must end at or below this position. Drain: the last head seen plus the capacity, so it is too low at worst.
    /// Flight: never in the way.
    limit: Cell<u64>,
}

/// Space for one record, not visible to anyone before [`Reservation::publish`].
#[must_use = "a record that is not published never existed"]
pub struct Reservation<'a, S, const WIDTH: usize> {
    producer: &'a Producer<S, WIDTH>,
    /// The producer's. Copies: for all that the compiler knows, a word of the ring might be one of these, and it would load them
    /// again after every store.
    shared: &'a Shared<S>,
    position: u64,
    slots: u64,
}

/// A slot of a record that is not published yet.
pub struct ReservedSlot<'a, const WIDTH: usize>(&'a [AtomicU64; WIDTH]);

impl<const WIDTH: usize> ReservedSlot<'_, WIDTH> {
    /// Writes word `offset`.
    ///
    /// # Panics
    /// If a slot has no such word.
    #[inline(always)]
    pub fn write(&self, offset: usize, word: u64) {
        // Relaxed: `publish` orders the words before the tail, `before_overwriting` orders them after the last tail.
        self.0[offset].store(word, Ordering::Relaxed);
    }
}

impl<S: Storage<WIDTH>, const WIDTH: usize> Producer<S, WIDTH> {
    pub(super) fn new(shared: Arc<Shared<S>>) -> Self {
        let capacity = shared.storage.capacity();
        let limit = match shared.when_full {
            WhenFull::DropNewest => capacity,
            WhenFull::OverwriteOldest => u64::MAX,
        };
        Producer {
            shared,
            position: Cell::new(0),
            record_number: Cell::new(0),
            dropped: Cell::new(0),
            limit: Cell::new(limit),
        }
    }

    /// Where the next record goes.
    pub fn position(&self) -> u64 {
        self.position.get()
    }

    /// Number of the next record.
    pub fn record_number(&self) -> u64 {
        self.record_number.get()
    }

    /// The ring's storage.
    pub fn storage(&self) -> &S {
        &self.shared.storage
    }

    /// Makes room for a record of `slots` slots. `None`: the ring is full, and the record was dropped and counted.
    #[inline(always)]
    pub fn reserve(&self, slots: usize) -> Option<Reservation<'_, S, WIDTH>> {
        let slots = slots as u64;
        let fits = self.fits(slots) || self.make_room(slots);
        fits.then(|| self.next(slots))
    }

    /// The same in the room that this end knows of: without a look at the consumer's head, and without a call. `None`: nothing was
    /// counted, [`Producer::reserve`] has to try.
    #[inline(always)]
    pub fn reserve_known(&self, slots: usize) -> Option<Reservation<'_, S, WIDTH>> {
        let slots = slots as u64;
        self.fits(slots).then(|| self.next(slots))
    }

    /// Whether a record of `slots` slots would find room now. Nothing is counted.
    #[cfg(not(spanring_loom))]
    pub fn has_room(&self, slots: usize) -> bool {
        self.fits(slots as u64) || self.look_for_room(slots as u64)
    }

    #[inline(always)]
    fn fits(&self, slots: u64) -> bool {
        self.position.get() + slots <= self.limit.get()
    }

    #[inline(always)]
    fn next(&self, slots: u64) -> Reservation<'_, S, WIDTH> {
        debug_assert!(slots >= 1 && slots <= self.shared.longest);
        self.before_overwriting();
        let (shared, position) = (&*self.shared, self.position.get());
        if cfg!(spanring_mutant = "publish_first") {
            shared.storage.tail().store(position + slots, Ordering::Release);
            shared.done.tail.store(position + slots, Ordering::Release);
        }
        Reservation { producer: self, shared, position, slots }
    }

    /// The ring looks full: look at the consumer's head again.
    #[cold]
    fn look_for_room(&self, slots: u64) -> bool {
        // Acquire: the consumer's copying of the slots it gave back happened before this thread overwrites them.
        let head = self.shared.head.load(ordering!(Acquire unless "head_relaxed"));
        debug_assert!(head <= self.position.get());
        self.limit.set(head + self.shared.storage.capacity());
        self.fits(slots) || cfg!(spanring_mutant = "no_full_check")
    }

    /// Room after another look, or the record is dropped.
    #[cold]
    fn make_room(&self, slots: u64) -> bool {
        if self.look_for_room(slots) {
            return true;
        }
        let next = self.record_number.get() + 1;
        self.record_number.set(next);
        self.dropped.set(self.dropped.get() + 1);
        // Release: whoever sees the mark, here or in the storage, sees the records before it, and the count.
        let Shared { storage, done, .. } = &*self.shared;
        storage.dropped().store(self.dropped.get(), Ordering::Relaxed);
        storage.drop_mark().store(next, ordering!(Release unless "stored_drop_mark_relaxed"));
        done.drop_mark.store(next, ordering!(Release unless "drop_mark_relaxed"));
        false
    }

    /// Orders what was published so far before the words that follow, for a snapshot reader: one that sees any of those words
    /// and then fences (`Acquire`) also sees a tail that tells it that they are being overwritten.
    ///
    /// On x86-64 the fence is no instruction. Elsewhere it is, and a ring that is drained does not need it: its reader only
    /// looks at slots that the producer may not touch.
    #[inline(always)]
    fn before_overwriting(&self) {
        let free = cfg!(all(target_arch = "x86_64", not(spanring_loom)));
        if (free || self.shared.when_full == WhenFull::OverwriteOldest) && !cfg!(spanring_mutant = "no_writer_fence") {
            fence(Ordering::Release);
        }
    }
}

impl<S: Storage<WIDTH>, const WIDTH: usize> Reservation<'_, S, WIDTH> {
    /// The number that this record has if it is published.
    #[inline(always)]
    pub fn record_number(&self) -> u64 {
        self.producer.record_number.get()
    }

    /// Writes slot `index` of the record.
    #[cfg(any(test, spanring_loom))]
    pub fn write(&self, index: usize, words: [u64; WIDTH]) {
        let slot = self.slot(index);
        for (offset, word) in words.into_iter().enumerate() {
            slot.write(offset, word);
        }
    }

    /// Slot `index` of the record, to be written word by word.
    #[inline(always)]
    pub fn slot(&self, index: usize) -> ReservedSlot<'_, WIDTH> {
        debug_assert!((index as u64) < self.slots);
        ReservedSlot(self.shared.storage.slot(self.position + index as u64))
    }

    /// Makes the record visible.
    #[inline(always)]
    pub fn publish(self) {
        let tail = self.position + self.slots;
        self.producer.position.set(tail);
        self.producer.record_number.set(self.record_number() + 1);
        // Release: who sees this tail, here or in the storage, sees the words below it.
        self.shared.storage.tail().store(tail, ordering!(Release unless "stored_tail_relaxed"));
        self.shared.done.tail.store(tail, ordering!(Release unless "tail_relaxed"));
    }
}
