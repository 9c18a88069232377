//! Loom models of spanring's concurrent core: of the very code that ships, over loom's atomics.
//!
//! ```text
//! RUSTFLAGS='--cfg spanring_loom' cargo test --release -p spanring-loom-tests -- --nocapture
//! ```
//!
//! Without that cfg this crate is empty. `scripts/mutants` shows that the models notice: it weakens the shipped code in one
//! place at a time and demands that a model fails.
//!
//! What is here is shared by the models: `explore`, the records that they write, and a `Drain` that takes the steps of
//! the flusher. Loom executes loads in program order and never lets one see a store that comes later, so a consumer that
//! gives slots back too early would go unnoticed by values alone; therefore `Drain` reads every slot once more as plain
//! memory, which loom allows only if no store can race with it.

#[cfg(spanring_loom)]
mod drain;
#[cfg(spanring_loom)]
mod explore;
#[cfg(spanring_loom)]
mod record;

#[cfg(spanring_loom)]
pub use self::{
    drain::{Drain, Target},
    explore::{Witness, explore, explore_all},
    record::{Record, Words, push, records},
};

/// Words of a slot in the models: two are enough to tear it.
#[cfg(spanring_loom)]
pub const WIDTH: usize = 2;

#[cfg(spanring_loom)]
type Ring = spanring::queue::Ring<spanring::queue::ModelWords<WIDTH>, WIDTH>;

/// The writing end of a modelled ring.
#[cfg(spanring_loom)]
pub type Producer = spanring::queue::Producer<std::sync::Arc<Ring>>;

/// The reading end of a modelled ring.
#[cfg(spanring_loom)]
pub type Consumer = spanring::queue::Consumer<std::sync::Arc<Ring>>;

/// A ring in drain discipline, for records of up to `longest` slots.
#[cfg(spanring_loom)]
pub fn drained_ring(capacity: u64, longest: usize) -> (Producer, Drain) {
    use spanring::queue::{ModelWords, WhenFull, ring};
    let (producer, consumer) = ring(ModelWords::new(capacity), WhenFull::DropNewest, longest);
    (producer, Drain::new(consumer))
}

/// A ring in flight discipline, for records of up to `longest` slots.
#[cfg(spanring_loom)]
pub fn flight_ring(capacity: u64, longest: usize) -> (Producer, Consumer) {
    use spanring::queue::{ModelWords, WhenFull, ring};
    ring(ModelWords::new(capacity), WhenFull::OverwriteOldest, longest)
}
