//! Where a ring's words live.

use crate::sync::AtomicU64;

/// The words of a ring: its slots of `WIDTH` words, and a few words beside them that a reader of the same memory finds after the
/// writer's death.
///
/// # Safety
/// The words stay where they are, also if the storage is moved.
pub unsafe trait Storage<const WIDTH: usize> {
    /// Slots, a power of two.
    fn capacity(&self) -> u64;

    /// The first slot. All others follow, and the pointer may go from one to the next.
    fn slots(&self) -> *const [AtomicU64; WIDTH];

    /// The words of the slot that `position` has: slot `position & (capacity - 1)`.
    fn slot(&self, position: u64) -> &[AtomicU64; WIDTH];

    /// Position after the last published record. The producer stores it; neither end of the ring ever loads it.
    fn tail(&self) -> &AtomicU64;

    /// Number of the record after the last dropped one. Stored only, like the tail.
    fn drop_mark(&self) -> &AtomicU64;

    /// Records dropped since the ring began. Stored only, like the tail.
    fn dropped(&self) -> &AtomicU64;
}

#[cfg(not(spanring_loom))]
pub use production::{Layout, RingWords};

#[cfg(not(spanring_loom))]
mod production {
    use super::Storage;
    use crate::queue::memory::{LINE_WORDS, Memory};
    use crate::sync::AtomicU64;
    use std::ptr::NonNull;

    /// Where in a [`Memory`] the parts of a ring stand, in words.
    #[derive(Clone, Copy, Debug)]
    pub struct Layout {
        /// First word of the slots.
        pub slots: usize,
        /// Words per slot: the ring's `WIDTH`.
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

    /// A ring in a [`Memory`]: the same layout, and the same code, on the heap and in a mapped file. A slot is a cache line,
    /// unless told otherwise.
    #[repr(C)]
    pub struct RingWords<const WIDTH: usize = LINE_WORDS> {
        /// The first slot. As many as `mask` says follow, all in `memory`.
        slots: NonNull<[AtomicU64; WIDTH]>,
        /// Slots minus one.
        mask: u64,
        /// The word for [`Storage::tail`], in `memory`.
        tail: NonNull<AtomicU64>,
        /// Never moves its words.
        memory: Memory,
        layout: Layout,
    }

    // SAFETY: the pointers lead into `memory`, which is shared as atomics and may go to any thread.
    unsafe impl<const WIDTH: usize> Send for RingWords<WIDTH> {}
    // SAFETY: as above.
    unsafe impl<const WIDTH: usize> Sync for RingWords<WIDTH> {}

    impl<const WIDTH: usize> RingWords<WIDTH> {
        /// A ring in `memory`.
        ///
        /// # Panics
        /// If a part of the layout does not fit, if its width is another, or if its capacity is not a power of two.
        pub fn new(memory: Memory, layout: Layout) -> Self {
            let capacity = layout.capacity;
            assert!(capacity.is_power_of_two(), "a ring's capacity is a power of two, not {capacity}");
            assert_eq!(layout.width, WIDTH, "words a slot");
            let end = layout.slots + capacity as usize * WIDTH;
            let highest = layout.tail.max(layout.drop_mark).max(layout.dropped);
            assert!(end <= memory.len() && highest < layout.slots, "{layout:?} in {} words", memory.len());
            // SAFETY: so many slots fit, as was just checked.
            let slots = unsafe { memory.base().add(layout.slots).cast() };
            // SAFETY: the word is below the slots, which fit.
            let tail = unsafe { memory.base().add(layout.tail) };
            RingWords { slots, mask: capacity - 1, tail, memory, layout }
        }

        /// All the memory, header included.
        pub fn memory(&self) -> &Memory {
            &self.memory
        }
    }

    // SAFETY: a `Memory` never moves its words.
    unsafe impl<const WIDTH: usize> Storage<WIDTH> for RingWords<WIDTH> {
        fn capacity(&self) -> u64 {
            self.layout.capacity
        }

        fn slots(&self) -> *const [AtomicU64; WIDTH] {
            self.slots.as_ptr()
        }

        #[inline(always)]
        fn slot(&self, position: u64) -> &[AtomicU64; WIDTH] {
            // SAFETY: the slot is one of those that `new` found to fit; its words are aligned, initialised, and reached only as
            // atomics.
            unsafe { self.slots.add((position & self.mask) as usize).as_ref() }
        }

        #[inline(always)]
        fn tail(&self) -> &AtomicU64 {
            // SAFETY: it leads to a word of `memory`, reached only as an atomic.
            unsafe { self.tail.as_ref() }
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
    pub struct ModelWords<const WIDTH: usize> {
        slots: Vec<[AtomicU64; WIDTH]>,
        tail: AtomicU64,
        drop_mark: AtomicU64,
        dropped: AtomicU64,
    }

    impl<const WIDTH: usize> ModelWords<WIDTH> {
        /// Zeroed words for `capacity` slots.
        pub fn new(capacity: u64) -> Self {
            ModelWords {
                slots: (0..capacity).map(|_| std::array::from_fn(|_| AtomicU64::new(0))).collect(),
                tail: AtomicU64::new(0),
                drop_mark: AtomicU64::new(0),
                dropped: AtomicU64::new(0),
            }
        }

        /// The words of a slot, read as plain memory: the model fails if a store to it can race with that.
        pub fn read_plainly(&self, position: u64) -> [u64; WIDTH] {
            // SAFETY: loom's words are plain values to the compiler, and it panics where this would be a race.
            self.slot(position).each_ref().map(|word| unsafe { word.unsync_load() })
        }
    }

    // SAFETY: they are on the heap, in a vector that does not grow.
    unsafe impl<const WIDTH: usize> Storage<WIDTH> for ModelWords<WIDTH> {
        fn capacity(&self) -> u64 {
            self.slots.len() as u64
        }

        fn slots(&self) -> *const [AtomicU64; WIDTH] {
            self.slots.as_ptr()
        }

        fn slot(&self, position: u64) -> &[AtomicU64; WIDTH] {
            &self.slots[(position & (self.capacity() - 1)) as usize]
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
