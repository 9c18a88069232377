//! The ring: one per thread, one writer, one reader, fixed-width slots of atomic words. It knows nothing about spans.
//!
//! A *record* is one or more consecutive slots, published at once. Records are numbered per ring, from 0, and a record that
//! is dropped takes a number too: a gap in the numbers is a loss, exactly as long as the gap, and right where it happened.
//! A *position* counts slots since the ring began and never wraps; slot `position & (capacity - 1)` holds it.
//!
//! - [`Producer`] writes. *Drain* discipline: a full ring drops the newest record and counts it. *Flight* discipline: the
//!   newest record overwrites the oldest.
//! - [`Consumer`] reads: in drain discipline it takes slots and gives them back; in flight discipline it takes consistent
//!   snapshots while the producer goes on.
//! - [`Storage`] is where the words live: on the heap, in a mapped file, or in loom's atomics, so that the models run the
//!   very code that ships.
//!
//! ```text
//!            head (consumer's)                 tail (producer's)
//!               v                                 v
//!   | free    | published, not yet given back   | being written    | free      |
//! ```

mod consumer;
#[cfg(not(spanring_loom))]
mod memory;
mod producer;
mod storage;
#[cfg(all(test, not(spanring_loom)))]
mod tests;

pub use consumer::Consumer;
#[cfg(not(spanring_loom))]
pub use memory::Memory;
#[cfg(not(spanring_loom))]
pub use producer::ReservedSlot;
pub use producer::{Producer, Reservation};
#[cfg(spanring_loom)]
pub use storage::ModelWords;
pub use storage::Storage;
#[cfg(not(spanring_loom))]
pub use storage::{Layout, RingWords};

use crate::sync::{AtomicU64, OneWriter};
use crossbeam_utils::CachePadded;
use std::cell::Cell;
#[cfg(any(test, spanring_loom))]
use std::sync::Arc;

/// What happens when a record meets a full ring.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum WhenFull {
    /// Drain discipline: the newest record is dropped and counted.
    DropNewest,
    /// Flight discipline: the oldest record is overwritten.
    OverwriteOldest,
}

/// What the two ends of a ring share.
///
/// What every record needs comes first, and in one cache line if the storage leads with what it needs. The consumer looks at that
/// line once in a while; what it writes is elsewhere.
#[repr(C)]
pub struct Ring<S, const WIDTH: usize> {
    /// Position after the last published record. The producer alone stores it, and it is in private memory. The storage has a copy,
    /// for those who read its memory; others may have scribbled on that, so neither end of the ring ever looks there.
    tail: OneWriter,
    /// The producer's: a record that ends at or below this position needs no thought. The lowest of `room`, `checkpoint`, and the end
    /// of the storage, as far as the producer knew when it last thought.
    limit: Cell<u64>,
    /// The producer's: while the tail is below `limit`, the slot that it has.
    next: Cell<*const [AtomicU64; WIDTH]>,
    /// The producer's: the next record's number, dropped records included, less the position. Wraps.
    numbers_ahead: Cell<u64>,
    storage: S,
    /// The producer's: a record must end at or below this position. Drain: the last head seen plus the capacity, so it is too low at
    /// worst. Flight: never in the way.
    room: Cell<u64>,
    /// The producer's: see [`Producer::set_checkpoint`].
    checkpoint: Cell<u64>,
    /// The producer's: records dropped so far.
    dropped: Cell<u64>,
    /// Number of the record after the last dropped one, in private memory like the tail.
    drop_mark: AtomicU64,
    when_full: WhenFull,
    /// Longest record in slots: how far ahead of `tail` the producer may be writing.
    longest: u64,
    /// Everything below this position was given back. The consumer writes it, the producer reads it only when the ring looks full.
    head: Box<CachePadded<AtomicU64>>,
}

// SAFETY: the cells are used by the producer alone, of which `Producer::new` demands that there is only one at a time. The rest is
// atomic or never changes. The pointer leads into the storage, which may be shared.
unsafe impl<S: Sync, const WIDTH: usize> Sync for Ring<S, WIDTH> {}

// SAFETY: the pointer leads into the storage, which goes along and keeps its words where they are.
unsafe impl<S: Send, const WIDTH: usize> Send for Ring<S, WIDTH> {}

impl<S: Storage<WIDTH>, const WIDTH: usize> Ring<S, WIDTH> {
    /// An empty ring over `storage`, whose slots have `WIDTH` words and whose records have at most `longest` slots.
    ///
    /// # Panics
    /// If the capacity is not a power of two, or does not hold two of the longest records.
    pub fn new(storage: S, when_full: WhenFull, longest: usize) -> Self {
        let capacity = storage.capacity();
        assert!(capacity.is_power_of_two(), "a ring's capacity is a power of two, not {capacity}");
        assert!(longest >= 1 && capacity >= 2 * longest as u64, "a ring of {capacity} slots is too small");
        let room = match when_full {
            WhenFull::DropNewest => capacity,
            WhenFull::OverwriteOldest => u64::MAX,
        };
        let first = storage.slots();
        Ring {
            tail: OneWriter::new(0),
            limit: Cell::new(room.min(capacity)),
            next: Cell::new(first),
            numbers_ahead: Cell::new(0),
            storage,
            room: Cell::new(room),
            checkpoint: Cell::new(u64::MAX),
            dropped: Cell::new(0),
            drop_mark: AtomicU64::new(0),
            when_full,
            longest: longest as u64,
            head: Box::new(CachePadded::new(AtomicU64::new(0))),
        }
    }
}

/// The two ends of a ring that they share in an [`Arc`]. See [`Ring::new`].
#[cfg(any(test, spanring_loom))]
#[allow(clippy::type_complexity, reason = "the two types are what this is about")]
pub fn ring<S: Storage<WIDTH>, const WIDTH: usize>(
    storage: S,
    when_full: WhenFull,
    longest: usize,
) -> (Producer<Arc<Ring<S, WIDTH>>>, Consumer<Arc<Ring<S, WIDTH>>>) {
    let ring = Arc::new(Ring::new(storage, when_full, longest));
    // SAFETY: nobody else has the ring.
    unsafe { (Producer::new(Arc::clone(&ring)), Consumer::new(ring)) }
}
