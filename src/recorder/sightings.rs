//! Sightings: which addresses have a definition already, over all threads of one recording.
//!
//! A lock-free open-addressing table that only grows. Each thread has a small cache in front of it, so it is asked once per call
//! site and thread, and when two call sites share a place in that cache. Two threads that see an address first at the same
//! time may both define it: a duplicate in the names region is harmless.

use super::words::Words;
use crate::sync::{AtomicU64, Ordering, ordering};

/// Words of an entry: the address, 0 while the entry is free; and the length plus one, 0 while the definition is being written.
const ENTRY_WORDS: usize = 2;

/// A set of (address, length) pairs whose definitions are complete.
pub struct Sightings<W> {
    words: W,
    /// Entries minus one; their number is a power of two.
    mask: usize,
}

/// What to do about an address.
#[derive(Debug, PartialEq, Eq)]
pub enum Sighting {
    /// Its definition is complete, and visible to this thread.
    Known,
    /// This thread has to define it, and then call [`Sightings::complete`] with this place.
    New(Place),
    /// Another thread is defining it, or the table is full: define it too.
    Unsettled,
}

/// Where in the table a new address stands.
#[derive(Debug, PartialEq, Eq)]
pub struct Place(usize);

impl<W: Words> Sightings<W> {
    /// A table in `words`, which hold at least one entry of two words; as many as make a power of two are used.
    ///
    /// # Panics
    /// If there are fewer than two words.
    pub fn new(words: W) -> Self {
        let entries = words.len() / ENTRY_WORDS;
        assert!(entries > 0, "a table has room for one address at least");
        Sightings { words, mask: (1 << entries.ilog2()) - 1 }
    }

    /// Looks the pair up, and claims a place for it if it is new. `length` is 0 for what is identified by its address alone.
    ///
    /// # Panics
    /// In debug builds, if `address` is 0: no static stands there.
    pub fn see(&self, address: u64, length: u64) -> Sighting {
        debug_assert_ne!(address, 0);
        // Fibonacci hashing: the high bits of the product are the best mixed.
        let hash = (address ^ length.rotate_left(32)).wrapping_mul(0x9e37_79b9_7f4a_7c15);
        let start = (hash >> 32) as usize;
        for step in 0..=self.mask {
            let place = start.wrapping_add(step) & self.mask;
            // Relaxed: the address alone says nothing; the length does, below.
            let found = match self.address(place).compare_exchange(0, address, Ordering::Relaxed, Ordering::Relaxed) {
                Ok(_) => return Sighting::New(Place(place)),
                Err(found) => found,
            };
            if found != address {
                continue;
            }
            // Acquire: pairs with `complete`, so a record that this thread publishes next comes after the definition.
            match self.length_tag(place).load(ordering!(Acquire unless "sighting_relaxed")) {
                0 => return Sighting::Unsettled,
                tag if tag == length.wrapping_add(1) => return Sighting::Known,
                _ => {}
            }
        }
        Sighting::Unsettled
    }

    /// The definition of what claimed `place` is in the names region.
    pub fn complete(&self, place: Place, length: u64) {
        // Release: the definition comes before.
        self.length_tag(place.0).store(length.wrapping_add(1), ordering!(Release unless "sighting_complete_relaxed"));
    }

    fn address(&self, place: usize) -> &AtomicU64 {
        self.words.word(place * ENTRY_WORDS)
    }

    fn length_tag(&self, place: usize) -> &AtomicU64 {
        self.words.word(place * ENTRY_WORDS + 1)
    }
}

#[cfg(test)]
#[cfg(not(spanring_loom))]
mod tests {
    use super::*;
    use crate::queue::Memory;

    #[test]
    fn an_address_is_new_once() {
        let sightings = Sightings::new(Memory::on_heap(8));
        let Sighting::New(place) = sightings.see(16, 3) else { panic!("the table was empty") };
        assert_eq!(sightings.see(16, 3), Sighting::Unsettled);
        sightings.complete(place, 3);
        assert_eq!(sightings.see(16, 3), Sighting::Known);
    }

    #[test]
    fn two_strings_at_one_address_are_two() {
        let sightings = Sightings::new(Memory::on_heap(8));
        let Sighting::New(place) = sightings.see(16, 3) else { panic!("the table was empty") };
        sightings.complete(place, 3);
        assert!(matches!(sightings.see(16, 2), Sighting::New(_)));
    }

    #[test]
    fn a_full_table_lets_everyone_define() {
        let sightings = Sightings::new(Memory::on_heap(8));
        for address in [8, 16, 24, 32] {
            let Sighting::New(place) = sightings.see(address, 0) else { panic!("there was room") };
            sightings.complete(place, 0);
        }
        assert_eq!(sightings.see(40, 0), Sighting::Unsettled);
        assert_eq!(sightings.see(8, 0), Sighting::Known);
    }
}
