//! The writing end.

use super::{Ring, Storage, WhenFull};
use crate::sync::{AtomicU64, Ordering, fence, ordering};
use std::ops::Deref;

/// The writing end of the ring to which `R` refers. One thread uses it at a time; it may move to another.
pub struct Producer<R>(R);

/// Space for one record, not visible to anyone before [`Reservation::publish`].
#[must_use = "a record that is not published never existed"]
pub struct Reservation<'a, S, const WIDTH: usize> {
    ring: &'a Ring<S, WIDTH>,
    first: *const [AtomicU64; WIDTH],
    position: u64,
    slots: u64,
    /// Whether the storage does not end within the record.
    in_a_row: bool,
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

impl<R, S, const WIDTH: usize> Producer<R>
where
    R: Deref<Target = Ring<S, WIDTH>>,
    S: Storage<WIDTH>,
{
    /// # Safety
    /// While this is used nobody else uses a producer of the same ring, and `ring` refers to the same one all the time.
    #[inline(always)]
    pub unsafe fn new(ring: R) -> Self {
        Producer(ring)
    }

    /// Where the next record goes.
    #[inline(always)]
    pub fn position(&self) -> u64 {
        self.0.tail.written()
    }

    /// Number of the next record.
    pub fn record_number(&self) -> u64 {
        self.position().wrapping_add(self.0.numbers_ahead.get())
    }

    /// The ring's storage.
    pub fn storage(&self) -> &S {
        &self.0.storage
    }

    /// Makes room for a record of `slots` slots. `None`: the ring is full, and the record was dropped and counted.
    #[inline(always)]
    pub fn reserve(&self, slots: usize) -> Option<Reservation<'_, S, WIDTH>> {
        self.reserve_known(slots)
            .or_else(|| self.make_room(slots as u64).then(|| self.next(self.position(), slots as u64, false)))
    }

    /// The same below the checkpoint and in the room that this end knows of: without a look at the consumer's head, and without a
    /// call. `None`: nothing was counted, [`Producer::reserve`] has to try.
    #[inline(always)]
    pub fn reserve_known(&self, slots: usize) -> Option<Reservation<'_, S, WIDTH>> {
        let (slots, position, limit) = (slots as u64, self.position(), self.0.limit.get());
        // Of a record that is known to have one slot the first is all there is.
        let has_room = if slots == 1 { position < limit } else { position + slots <= limit };
        has_room.then(|| self.next(position, slots, true))
    }

    /// Whether a record of `slots` slots would find room now. Nothing is counted.
    #[cfg(not(spanring_loom))]
    pub fn has_room(&self, slots: usize) -> bool {
        self.look_for_room(slots as u64)
    }

    /// At and above this position [`Producer::reserve_known`] finds nothing: whoever calls that comes by where he calls
    /// [`Producer::reserve`], and may do there what is to be done once in a while.
    #[cfg(not(spanring_loom))]
    pub fn set_checkpoint(&self, position: u64) {
        self.0.checkpoint.set(position);
        self.think();
    }

    /// Finds out how far it goes without a thought, and where the next slot is.
    fn think(&self) {
        let (ring, position) = (&*self.0, self.position());
        let index = position & (ring.storage.capacity() - 1);
        let end = position + (ring.storage.capacity() - index);
        ring.limit.set(end.min(ring.room.get()).min(ring.checkpoint.get()));
        // SAFETY: the storage has so many slots.
        ring.next.set(unsafe { ring.storage.slots().add(index as usize) });
    }

    #[inline(always)]
    fn next(&self, position: u64, slots: u64, in_a_row: bool) -> Reservation<'_, S, WIDTH> {
        let ring = &*self.0;
        debug_assert!(slots >= 1 && slots <= ring.longest);
        self.before_overwriting();
        if cfg!(spanring_mutant = "publish_first") {
            ring.storage.tail().store(position + slots, Ordering::Release);
            ring.tail.write(position + slots, Ordering::Release);
        }
        Reservation { ring, first: ring.next.get(), position, slots, in_a_row }
    }

    /// The ring looks full, or its storage ends, or it is time for a checkpoint: look at the consumer's head again.
    #[cold]
    fn look_for_room(&self, slots: u64) -> bool {
        let ring = &*self.0;
        if ring.when_full == WhenFull::DropNewest {
            // Acquire: the consumer's copying of the slots it gave back happened before this thread overwrites them.
            let head = ring.head.load(ordering!(Acquire unless "head_relaxed"));
            debug_assert!(head <= self.position());
            ring.room.set(head + ring.storage.capacity());
        }
        self.think();
        self.position() + slots <= ring.room.get() || cfg!(spanring_mutant = "no_full_check")
    }

    /// Room after another look, or the record is dropped.
    #[cold]
    fn make_room(&self, slots: u64) -> bool {
        if self.look_for_room(slots) {
            return true;
        }
        let ring = &*self.0;
        ring.numbers_ahead.set(ring.numbers_ahead.get().wrapping_add(1));
        ring.dropped.set(ring.dropped.get() + 1);
        // Release: whoever sees the mark, here or in the storage, sees the records before it, and the count.
        let next = self.record_number();
        ring.storage.dropped().store(ring.dropped.get(), Ordering::Relaxed);
        ring.storage.drop_mark().store(next, ordering!(Release unless "stored_drop_mark_relaxed"));
        ring.drop_mark.store(next, ordering!(Release unless "drop_mark_relaxed"));
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
        if (free || self.0.when_full == WhenFull::OverwriteOldest) && !cfg!(spanring_mutant = "no_writer_fence") {
            fence(Ordering::Release);
        }
    }
}

impl<S: Storage<WIDTH>, const WIDTH: usize> Reservation<'_, S, WIDTH> {
    /// The number that this record has if it is published.
    #[inline(always)]
    pub fn record_number(&self) -> u64 {
        self.position.wrapping_add(self.ring.numbers_ahead.get())
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
        let is_in_a_row = self.in_a_row && (index as u64) < self.slots;
        if index > 0 && !is_in_a_row {
            return ReservedSlot(self.ring.storage.slot(self.position + index as u64));
        }
        // SAFETY: it leads to a slot of the storage: `next` is the tail's slot while the tail is below the limit, which it was when
        // this was reserved, and so it is after `think`, which came before if it was not. A record whose end is not above the limit
        // is in a row, so that its other slots follow.
        ReservedSlot(unsafe { &*self.first.add(index) })
    }

    /// Makes the record visible.
    #[inline(always)]
    pub fn publish(self) {
        let Reservation { ring, first, position, slots, .. } = self;
        let tail = position + slots;
        if slots > 1 {
            ring.numbers_ahead.set(ring.numbers_ahead.get().wrapping_sub(slots - 1));
        }
        // Perhaps behind the last one: then the tail is at the limit or above it.
        ring.next.set(first.wrapping_add(slots as usize));
        // Release: who sees this tail, here or in the storage, sees the words below it.
        ring.storage.tail().store(tail, ordering!(Release unless "stored_tail_relaxed"));
        ring.tail.write(tail, ordering!(Release unless "tail_relaxed"));
    }
}
