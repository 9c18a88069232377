//! What each thread keeps for itself: its log, the current span, a block of span ids.
//!
//! One `const` thread-local without a destructor, so it is reached without a check and lives as long as its thread. Cells only,
//! and no reference into it is held while anything else runs.

use super::thread::ThreadLog;
use crate::clock::is_processor_counter;
use crate::sync::{AtomicU64, Ordering};
use std::cell::Cell;

/// The next block of span ids. The only cache line that recording threads share for writing, once in [`SPAN_ID_BLOCK`] spans.
static NEXT_SPAN_ID_BLOCK: AtomicU64 = AtomicU64::new(1);

/// Span ids that a thread takes at once.
const SPAN_ID_BLOCK: u64 = 1 << 14;

/// The generation of a thread without a log: no recorder's, and not `gate::CLOSED`, so that one comparison with the gate's tells
/// whether somebody records and this thread has a log of that recording.
pub(super) const DETACHED: u64 = u64::MAX;

pub(crate) struct Context {
    /// The recorder's generation for which `log` is valid; [`DETACHED`] for none.
    generation: Cell<u64>,
    /// The same while records may be written quickly, which takes the processor's own clock; else [`DETACHED`].
    quick_generation: Cell<u64>,
    /// Valid while `generation` is not [`DETACHED`].
    pub(super) log: Cell<*const ThreadLog>,
    /// Getting a log, or flushing: this thread's own events are refused meanwhile.
    pub(super) muted: Cell<bool>,
    /// The async span in which this thread runs; 0 for none.
    current_span: Cell<u64>,
    /// The depth that a span created now has. 32 bits: of two 16-bit neighbours the compiler loads both at once, and such a load
    /// has to wait for a store to one of them to leave the store buffer.
    next_depth: Cell<u32>,
    /// Thread spans open on this thread. 32 bits as well.
    scope_depth: Cell<u32>,
    next_span_id: Cell<u64>,
    span_id_limit: Cell<u64>,
}

thread_local! {
    static CONTEXT: Context = const {
        Context {
            generation: Cell::new(DETACHED),
            quick_generation: Cell::new(DETACHED),
            log: Cell::new(std::ptr::null()),
            muted: Cell::new(false),
            current_span: Cell::new(0),
            next_depth: Cell::new(0),
            scope_depth: Cell::new(0),
            next_span_id: Cell::new(0),
            span_id_limit: Cell::new(0),
        }
    };
}

/// This thread's context.
#[inline(always)]
pub(crate) fn this_thread() -> &'static Context {
    // Not `CONTEXT.with(..)` around what is done with it: the compiler keeps a large closure out of line, and passes what it
    // captures through memory.
    let context = CONTEXT.with(std::ptr::from_ref);
    // SAFETY: without a destructor, the context is there as long as its thread runs any code. And `Context` is not `Sync`, so no
    // reference to it ever leaves that thread.
    unsafe { &*context }
}

/// The current span of a thread: its id (0 for none), and the depth of a span created in it.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct CurrentSpan {
    pub(crate) id: u64,
    pub(crate) next_depth: u16,
}

impl Context {
    /// Thread spans open on this thread.
    #[inline(always)]
    pub(crate) fn scope_depth(&self) -> u16 {
        self.scope_depth.get() as u16
    }

    #[inline(always)]
    pub(crate) fn set_scope_depth(&self, depth: u16) {
        self.scope_depth.set(u32::from(depth));
    }

    /// The recorder's generation for which `log` is valid; [`DETACHED`] for none.
    #[inline(always)]
    pub(crate) fn generation(&self) -> u64 {
        self.generation.get()
    }

    /// The same while records may be written quickly; else [`DETACHED`].
    #[inline(always)]
    pub(super) fn quick_generation(&self) -> u64 {
        self.quick_generation.get()
    }

    /// Says for which generation `log` is valid from now on.
    pub(super) fn set_generation(&self, generation: u64) {
        self.generation.set(generation);
        self.quick_generation.set(if is_processor_counter() { generation } else { DETACHED });
    }

    #[inline(always)]
    pub(crate) fn current(&self) -> CurrentSpan {
        CurrentSpan { id: self.current_span.get(), next_depth: self.next_depth.get() as u16 }
    }

    #[inline(always)]
    pub(crate) fn set_current(&self, current: CurrentSpan) {
        self.current_span.set(current.id);
        self.next_depth.set(u32::from(current.next_depth));
    }

    /// An id that no other span of this process has or will have; 0 is never one. `None`: this thread's block is used up.
    #[inline(always)]
    pub(super) fn span_id_in_block(&self) -> Option<u64> {
        let id = self.next_span_id.get();
        if id == self.span_id_limit.get() {
            return None;
        }
        self.next_span_id.set(id + 1);
        Some(id)
    }

    /// The same, from another block if need be.
    pub(super) fn next_span_id(&self) -> u64 {
        if let Some(id) = self.span_id_in_block() {
            return id;
        }
        // Relaxed: the ids have to differ, nothing else.
        let id = NEXT_SPAN_ID_BLOCK.fetch_add(SPAN_ID_BLOCK, Ordering::Relaxed);
        self.next_span_id.set(id + 1);
        self.span_id_limit.set(id + SPAN_ID_BLOCK);
        id
    }
}
