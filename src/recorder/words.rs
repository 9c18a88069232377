//! A row of atomic words: on the heap or mapped in production, loom's in models.

use crate::sync::AtomicU64;

/// A fixed number of atomic words, zeroed at first.
pub trait Words {
    /// Number of words.
    fn len(&self) -> usize;

    /// Word `index`, below `len`.
    fn word(&self, index: usize) -> &AtomicU64;
}

#[cfg(not(spanring_loom))]
impl Words for crate::queue::Memory {
    fn len(&self) -> usize {
        self.len()
    }

    fn word(&self, index: usize) -> &AtomicU64 {
        self.word(index)
    }
}

#[cfg(spanring_loom)]
impl Words for Vec<AtomicU64> {
    fn len(&self) -> usize {
        self.len()
    }

    fn word(&self, index: usize) -> &AtomicU64 {
        &self[index]
    }
}
