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

use crate::sync::AtomicU64;
use crossbeam_utils::CachePadded;
use std::sync::Arc;

/// What happens when a record meets a full ring.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum WhenFull {
    /// Drain discipline: the newest record is dropped and counted.
    DropNewest,
    /// Flight discipline: the oldest record is overwritten.
    OverwriteOldest,
}

/// What producer and consumer share beside the storage.
struct Shared<S> {
    storage: S,
    when_full: WhenFull,
    /// Longest record in slots: how far ahead of `tail` the producer may be writing.
    longest: u64,
    /// On a cache line of its own.
    done: CachePadded<Done>,
    /// Everything below this position was given back. On a cache line of its own: the consumer writes it, the producer reads it
    /// only when the ring looks full.
    head: CachePadded<AtomicU64>,
}

/// What the producer has done so far. It alone writes this, in private memory. The storage has copies, for those who read its
/// memory; others may have scribbled on them, so neither end of the ring ever looks there.
struct Done {
    /// Position after the last published record.
    tail: AtomicU64,
    /// Number of the record after the last dropped one.
    drop_mark: AtomicU64,
}

/// Makes the two ends of a ring over `storage`, whose slots have `WIDTH` words and whose records have at most `longest` slots.
///
/// # Panics
/// If the capacity is not a power of two, or does not hold two of the longest records.
pub fn ring<S: Storage<WIDTH>, const WIDTH: usize>(
    storage: S,
    when_full: WhenFull,
    longest: usize,
) -> (Producer<S, WIDTH>, Consumer<S, WIDTH>) {
    let capacity = storage.capacity();
    assert!(capacity.is_power_of_two(), "a ring's capacity is a power of two, not {capacity}");
    assert!(longest >= 1 && capacity >= 2 * longest as u64, "a ring of {capacity} slots is too small");
    let done = CachePadded::new(Done { tail: AtomicU64::new(0), drop_mark: AtomicU64::new(0) });
    let head = CachePadded::new(AtomicU64::new(0));
    let shared = Arc::new(Shared { storage, when_full, longest: longest as u64, done, head });
    (Producer::new(Arc::clone(&shared)), Consumer::new(shared))
}
