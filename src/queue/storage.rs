//! Where a ring's words live.

use crate::sync::AtomicU64;

/// The words of a ring: its slots, and a few words beside them that a reader of the same memory finds after the writer's death.
pub trait Storage {
    /// Slots, a power of two.
    fn capacity(&self) -> u64;

    /// Word `index` of the slots, below `capacity * width`.
    fn word(&self, index: usize) -> &AtomicU64;

    /// Position after the last published record. The producer stores it and never loads it back.
    fn tail(&self) -> &AtomicU64;

    /// Number of the record after the last dropped one.
    fn drop_mark(&self) -> &AtomicU64;

    /// Records dropped since the ring began.
    fn dropped(&self) -> &AtomicU64;
}

#[cfg(not(spanring_loom))]
pub use production::{Layout, RingWords};

#[cfg(not(spanring_loom))]
mod production {
    use super::Storage;
    use crate::queue::memory::Memory;
    use crate::sync::AtomicU64;

    /// Where in a [`Memory`] the parts of a ring stand, in words.
    #[derive(Clone, Copy, Debug)]
    pub struct Layout {
        /// First word of the slots.
        pub slots: usize,
        /// Words per slot.
        pub width: usize,
        /// Slots.
        pub capacity: u64,
        /// The word for [`Storage::tail`].
        pub tail: usize,
        /// The word for [`Storage::drop_mark`].
        pub drop_mark: usize,
        /// The word for [`Storage::dropped`].
        pub dropped: usize,
    }

    /// A ring in a [`Memory`]: the same layout, and the same code, on the heap and in a mapped file.
    pub struct RingWords {
        /// Every index in `layout`, and the whole of the slots, were checked against its length.
        memory: Memory,
        layout: Layout,
    }

    impl RingWords {
        /// A ring in `memory`.
        ///
        /// # Panics
        /// If a part of the layout does not fit.
        pub fn new(memory: Memory, layout: Layout) -> RingWords {
            let end = layout.slots + layout.capacity as usize * layout.width;
            let highest = layout.tail.max(layout.drop_mark).max(layout.dropped);
            assert!(end <= memory.len() && highest < layout.slots, "{layout:?} in {} words", memory.len());
            RingWords { memory, layout }
        }

        /// All the memory, header included.
        pub fn memory(&self) -> &Memory {
            &self.memory
        }
    }

    impl Storage for RingWords {
        #[inline(always)]
        fn capacity(&self) -> u64 {
            self.layout.capacity
        }

        #[inline(always)]
        fn word(&self, index: usize) -> &AtomicU64 {
            debug_assert!(index < self.layout.capacity as usize * self.layout.width);
            // SAFETY: callers mask positions by the capacity, so `index` is below `capacity * width`, and `new` checked that
            // so many words follow `slots`.
            unsafe { self.memory.word_unchecked(self.layout.slots + index) }
        }

        #[inline(always)]
        fn tail(&self) -> &AtomicU64 {
            // SAFETY: `new` checked the index.
            unsafe { self.memory.word_unchecked(self.layout.tail) }
        }

        fn drop_mark(&self) -> &AtomicU64 {
            self.memory.word(self.layout.drop_mark)
        }

        fn dropped(&self) -> &AtomicU64 {
            self.memory.word(self.layout.dropped)
        }
    }
}

#[cfg(spanring_loom)]
pub use model::ModelWords;

#[cfg(spanring_loom)]
mod model {
    use super::Storage;
    use crate::sync::AtomicU64;

    /// Words that loom watches.
    pub struct ModelWords {
        slots: Vec<AtomicU64>,
        capacity: u64,
        tail: AtomicU64,
        drop_mark: AtomicU64,
        dropped: AtomicU64,
    }

    impl ModelWords {
        /// Zeroed words for `capacity` slots of `width` words.
        pub fn new(capacity: u64, width: usize) -> ModelWords {
            ModelWords {
                slots: (0..capacity as usize * width).map(|_| AtomicU64::new(0)).collect(),
                capacity,
                tail: AtomicU64::new(0),
                drop_mark: AtomicU64::new(0),
                dropped: AtomicU64::new(0),
            }
        }

        /// Word `index` of the slots, read as plain memory: the model fails if a store to it can race with that.
        pub fn read_plainly(&self, index: usize) -> u64 {
            // SAFETY: loom's words are plain values to the compiler, and it panics where this would be a race.
            unsafe { self.slots[index].unsync_load() }
        }
    }

    impl Storage for ModelWords {
        fn capacity(&self) -> u64 {
            self.capacity
        }

        fn word(&self, index: usize) -> &AtomicU64 {
            &self.slots[index]
        }

        fn tail(&self) -> &AtomicU64 {
            &self.tail
        }

        fn drop_mark(&self) -> &AtomicU64 {
            &self.drop_mark
        }

        fn dropped(&self) -> &AtomicU64 {
            &self.dropped
        }
    }
}
