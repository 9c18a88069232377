//! What each thread keeps for itself: its log, the current span, a block of span ids.
//!
//! One `const` thread-local without a destructor, so it is reached without a check and lives as long as its thread. Cells only,
//! and no reference into it is held while anything else runs.

use super::thread::ThreadLog;
use crate::sync::{AtomicU64, Ordering};
use std::cell::Cell;

/// The next block of span ids. The only cache line that recording threads share for writing, once in [`SPAN_ID_BLOCK`] spans.
static NEXT_SPAN_ID_BLOCK: AtomicU64 = AtomicU64::new(1);

/// Span ids that a thread takes at once.
const SPAN_ID_BLOCK: u64 = 1 << 14;

pub(crate) struct Context {
    /// The recorder's generation for which `log` is valid; `gate::CLOSED` for none.
    pub(super) generation: Cell<u64>,
    /// Valid while `generation` is not `gate::CLOSED`.
    pub(super) log: Cell<*const ThreadLog>,
    /// Getting a log, or flushing: this thread's own events are refused meanwhile.
    pub(super) muted: Cell<bool>,
    /// The async span in which this thread runs; 0 for none.
    current_span: Cell<u64>,
    /// The depth that a span created now has.
    next_depth: Cell<u16>,
    /// Thread spans open on this thread.
    pub(crate) scope_depth: Cell<u16>,
    next_span_id: Cell<u64>,
    span_id_limit: Cell<u64>,
}

thread_local! {
    static CONTEXT: Context = const {
        Context {
            generation: Cell::new(super::gate::CLOSED),
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

/// Runs `f` with this thread's context.
#[inline(always)]
pub(crate) fn with_context<R>(f: impl FnOnce(&Context) -> R) -> R {
    CONTEXT.with(f)
}

/// The current span of a thread: its id (0 for none), and the depth of a span created in it.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct CurrentSpan {
    pub(crate) id: u64,
    pub(crate) next_depth: u16,
}

impl Context {
    #[inline(always)]
    pub(crate) fn current(&self) -> CurrentSpan {
        CurrentSpan { id: self.current_span.get(), next_depth: self.next_depth.get() }
    }

    #[inline(always)]
    pub(crate) fn set_current(&self, current: CurrentSpan) {
        self.current_span.set(current.id);
        self.next_depth.set(current.next_depth);
    }

    /// An id that no other span of this process has or will have. 0 is never one.
    #[inline(always)]
    pub(super) fn next_span_id(&self) -> u64 {
        let id = self.next_span_id.get();
        if id == self.span_id_limit.get() {
            return self.first_of_new_block();
        }
        self.next_span_id.set(id + 1);
        id
    }

    #[cold]
    fn first_of_new_block(&self) -> u64 {
        // Relaxed: the ids have to differ, nothing else.
        let id = NEXT_SPAN_ID_BLOCK.fetch_add(SPAN_ID_BLOCK, Ordering::Relaxed);
        self.next_span_id.set(id + 1);
        self.span_id_limit.set(id + SPAN_ID_BLOCK);
        id
    }
}
