//! The writing end.

use super::{Shared, Storage, WhenFull};
use crate::sync::{Ordering, fence, ordering};
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
    position: u64,
    slots: u64,
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
        debug_assert!(slots >= 1 && slots <= self.shared.longest);
        let position = self.position.get();
        if position + slots > self.limit.get() && !self.make_room(slots) {
            return None;
        }
        self.before_overwriting();
        if cfg!(spanring_mutant = "publish_first") {
            self.shared.storage.tail().store(position + slots, Ordering::Release);
            self.shared.done.tail.store(position + slots, Ordering::Release);
        }
        Some(Reservation { producer: self, position, slots })
    }

    /// The ring looks full: look at the consumer's head again, or drop the record.
    #[cold]
    fn make_room(&self, slots: u64) -> bool {
        // Acquire: the consumer's copying of the slots it gave back happened before this thread overwrites them.
        let head = self.shared.head.load(ordering!(Acquire unless "head_relaxed"));
        debug_assert!(head <= self.position.get());
        self.limit.set(head + self.shared.storage.capacity());
        if self.position.get() + slots <= self.limit.get() || cfg!(spanring_mutant = "no_full_check") {
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
    #[inline(always)]
    pub fn write(&self, index: usize, words: [u64; WIDTH]) {
        debug_assert!((index as u64) < self.slots);
        let slot = self.producer.shared.storage.slot(self.position + index as u64);
        for (offset, word) in words.into_iter().enumerate() {
            // Relaxed: `publish` orders the words before the tail, `before_overwriting` orders them after the last tail.
            slot[offset].store(word, Ordering::Relaxed);
        }
    }

    /// Makes the record visible.
    #[inline(always)]
    pub fn publish(self) {
        let producer = self.producer;
        let tail = self.position + self.slots;
        producer.position.set(tail);
        producer.record_number.set(producer.record_number.get() + 1);
        // Release: who sees this tail, here or in the storage, sees the words below it.
        producer.shared.storage.tail().store(tail, ordering!(Release unless "stored_tail_relaxed"));
        producer.shared.done.tail.store(tail, ordering!(Release unless "tail_relaxed"));
    }
}
