//! The names region: definitions of locations and static names, written by the recording threads themselves.
//!
//! The thread that first records a name copies its text here from the reference that it holds, before it publishes the record.
//! So no address out of a ring is ever followed, and a reader needs neither the process nor its executable. Space is taken by
//! one `fetch_add` and never given back; a definition is valid once the first word of its first slot is stored.

use super::words::Words;
use crate::events::SLOT_WORDS;
use crate::format::definition::SlotUse;
use crate::sync::{AtomicU64, Ordering, ordering};

/// An append-only array of definition slots, for many writers and one scanner.
pub struct NamesRegion<W> {
    words: W,
    /// Index of the first word of slot 0.
    base: usize,
    capacity: u64,
    /// The next free slot. Past `capacity` once the region has overflowed. On the heap, not in the mapping, so that nobody else
    /// can scribble on it.
    next: AtomicU64,
    /// Definitions that found no room.
    lost: AtomicU64,
}

impl<W: Words> NamesRegion<W> {
    /// A region in `words`, from word `base` on.
    pub fn new(words: W, base: usize) -> Self {
        let capacity = (words.len().saturating_sub(base) / SLOT_WORDS) as u64;
        NamesRegion { words, base, capacity, next: AtomicU64::new(0), lost: AtomicU64::new(0) }
    }

    /// Adds a definition. `false`: there is no room, which is counted.
    pub fn add(&self, definition: &[[u64; SLOT_WORDS]]) -> bool {
        let slots = definition.len() as u64;
        // Relaxed: this only hands out space. The counter cannot overflow: 2^64 slots are not taken in any process's life.
        let first = self.next.fetch_add(slots, Ordering::Relaxed);
        if first.saturating_add(slots) > self.capacity {
            self.lost.fetch_add(1, Ordering::Relaxed);
            return false;
        }
        for (index, words) in definition.iter().enumerate().rev() {
            let slot = first + index as u64;
            for (offset, word) in words.iter().enumerate().rev() {
                // The very last store is word 0 of the first slot. Release: whoever sees it sees all the others.
                let order = if index == 0 && offset == 0 {
                    ordering!(Release unless "name_commit_relaxed")
                } else {
                    Ordering::Relaxed
                };
                self.word(slot, offset).store(*word, order);
            }
        }
        true
    }

    /// Bytes that the region takes.
    pub fn bytes(&self) -> usize {
        self.words.len() * size_of::<u64>()
    }

    /// Bytes up to the end of the last definition, what stands before the region included.
    pub fn used_bytes(&self) -> u64 {
        (self.base as u64 + self.used() * SLOT_WORDS as u64) * size_of::<u64>() as u64
    }

    /// Definitions that found no room.
    pub fn lost(&self) -> u64 {
        self.lost.load(Ordering::Relaxed)
    }

    fn used(&self) -> u64 {
        self.next.load(Ordering::Relaxed).min(self.capacity)
    }

    fn word(&self, slot: u64, offset: usize) -> &AtomicU64 {
        self.words.word(self.base + slot as usize * SLOT_WORDS + offset)
    }
}

/// Finds the definitions that were added since it last looked.
#[derive(Default)]
pub struct Scanner {
    /// Slots below were looked at.
    looked: u64,
    /// Slots below `looked` that were still empty then: their definition was being written.
    holes: Vec<u64>,
}

impl Scanner {
    /// Appends the words of every definition that is complete now and was not before.
    ///
    /// Definitions that this thread knows to be complete, because it has seen a record that uses them, are among them.
    pub fn scan<W: Words>(&mut self, region: &NamesRegion<W>, out: &mut Vec<u64>) {
        for hole in std::mem::take(&mut self.holes) {
            self.look(region, hole, out);
        }
        let used = region.used();
        while self.looked < used {
            let slot = self.looked;
            self.looked += self.look(region, slot, out);
        }
    }

    /// Looks at one slot and returns how many slots are done with.
    fn look<W: Words>(&mut self, region: &NamesRegion<W>, slot: u64, out: &mut Vec<u64>) -> u64 {
        // Acquire: pairs with the last store of `add`.
        let head = region.word(slot, 0).load(ordering!(Acquire unless "name_scan_relaxed"));
        match SlotUse::of(head) {
            SlotUse::Empty => self.holes.push(slot),
            SlotUse::Continuation => {}
            // The count comes from memory that others may be able to write.
            SlotUse::First(slots) => {
                let slots = (slots as u64).clamp(1, region.capacity - slot);
                out.push(head);
                let words = (0..slots * SLOT_WORDS as u64).skip(1);
                out.extend(words.map(|word| region.word(slot, word as usize).load(Ordering::Relaxed)));
                return slots;
            }
        }
        1
    }
}

#[cfg(test)]
#[cfg(not(spanring_loom))]
mod tests {
    use super::*;
    use crate::format::definition::{Definition, decode_all};
    use crate::queue::Memory;

    fn scanned(scanner: &mut Scanner, region: &NamesRegion<Memory>) -> Vec<String> {
        let mut words = Vec::new();
        scanner.scan(region, &mut words);
        let mut names = Vec::new();
        let damaged = decode_all(bytemuck::cast_slice(&words), |definition| names.push(definition.name));
        assert_eq!(damaged, Vec::<usize>::new());
        names
    }

    #[test]
    fn each_definition_is_found_once() {
        let region = NamesRegion::new(Memory::on_heap(1024), 8);
        let mut scanner = Scanner::default();
        assert!(region.add(&Definition::of_name("first").encode()));
        assert_eq!(scanned(&mut scanner, &region), ["first"]);
        let long: &'static str = "a name that is longer than the twenty-four bytes which the first slot has room for";
        assert!(region.add(&Definition::of_name(long).encode()));
        assert!(region.add(&Definition::of_name("third").encode()));
        assert_eq!(scanned(&mut scanner, &region), [long, "third"]);
        assert_eq!(scanned(&mut scanner, &region), Vec::<String>::new());
    }

    #[test]
    fn a_definition_that_was_in_progress_is_found_later() {
        let region = NamesRegion::new(Memory::on_heap(1024), 0);
        let long = Definition::of_name("0123456789012345678901234567890123456789").encode();
        assert!(region.add(&long));
        let head = region.word(0, 0).swap(0, Ordering::Relaxed);
        assert!(region.add(&Definition::of_name("after").encode()));
        let mut scanner = Scanner::default();
        assert_eq!(scanned(&mut scanner, &region), ["after"]);
        region.word(0, 0).store(head, Ordering::Relaxed);
        assert_eq!(scanned(&mut scanner, &region), ["0123456789012345678901234567890123456789"]);
    }

    #[test]
    fn what_finds_no_room_is_counted() {
        let region = NamesRegion::new(Memory::on_heap(16), 0);
        assert!(region.add(&Definition::of_name("a").encode()));
        assert!(region.add(&Definition::of_name("b").encode()));
        assert!(!region.add(&Definition::of_name("c").encode()));
        assert_eq!(region.lost(), 1);
        assert_eq!(scanned(&mut Scanner::default(), &region), ["a", "b"]);
    }
}
