//! Atomic words, on the heap or in a mapped file.

use crate::mapping::Mapping;
use crate::sync::AtomicU64;
use bytemuck::{Pod, Zeroable};
use std::ptr::NonNull;

/// A fixed number of atomic words that start on a cache line, zeroed at first.
///
/// A mapped file may be written by any process that can open it, so nothing read from here is trusted: positions are bounded
/// before use, and no address found here is followed.
pub struct Memory {
    /// First word. Valid for `length` words as long as `owner` lives, and never moved.
    base: NonNull<AtomicU64>,
    length: usize,
    owner: Owner,
}

enum Owner {
    /// Freed by `Drop`: the box was leaked to obtain `base`, so that no `&` or `Box` to it can alias the atomics.
    Heap,
    Mapped(#[expect(dead_code, reason = "held to keep the mapping")] Mapping),
}

// SAFETY: what `base` points to is plain memory reached only as atomics, and is owned by this value, so it may be used and
// freed on any thread.
unsafe impl Send for Memory {}
// SAFETY: as above; shared access is atomic access.
unsafe impl Sync for Memory {}

/// A cache line, to align heap memory by.
#[derive(Clone, Copy, Pod, Zeroable)]
#[repr(C, align(64))]
struct Line([u64; LINE_WORDS]);

pub(super) const LINE_WORDS: usize = 8;

impl Memory {
    /// At least `words` zeroed words on the heap. Fresh pages stay untouched until they are written.
    pub fn on_heap(words: usize) -> Memory {
        let lines = Box::leak(bytemuck::zeroed_vec::<Line>(words.div_ceil(LINE_WORDS)).into_boxed_slice());
        let length = lines.len() * LINE_WORDS;
        Memory { base: NonNull::from(lines).cast(), length, owner: Owner::Heap }
    }

    /// The words of a mapped file; the last bytes that make no whole word are left out.
    pub fn mapped(map: Mapping) -> Memory {
        let base = map.base().cast();
        assert!(base.is_aligned(), "a mapping starts on a page");
        Memory { base, length: map.len() / size_of::<u64>(), owner: Owner::Mapped(map) }
    }

    /// Number of words.
    pub fn len(&self) -> usize {
        self.length
    }

    /// Word `index`.
    ///
    /// # Panics
    /// If there is no such word.
    pub fn word(&self, index: usize) -> &AtomicU64 {
        assert!(index < self.length, "word {index} of {}", self.length);
        // SAFETY: `index` was just checked; the words are aligned, initialised (zeroed, or a file's bytes), and reached only as
        // atomics.
        unsafe { self.base.add(index).as_ref() }
    }

    /// The first word. All of them may be reached from it, as atomics, as long as this lives.
    pub(super) fn base(&self) -> NonNull<AtomicU64> {
        self.base
    }
}

impl Drop for Memory {
    fn drop(&mut self) {
        if let Owner::Heap = self.owner {
            let lines = std::ptr::slice_from_raw_parts_mut(self.base.as_ptr().cast::<Line>(), self.length / LINE_WORDS);
            // SAFETY: `on_heap` leaked a boxed slice of exactly this type, address and length, and nothing borrowed from it can
            // outlive `self`.
            drop(unsafe { Box::from_raw(lines) });
        }
    }
}
