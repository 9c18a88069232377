//! What each thread keeps for itself: its log, and the current span.
//!
//! One `const` thread-local without a destructor, so it is reached without a check and lives as long as its thread. Cells only,
//! and no reference into it is held while anything else runs.

use super::gate::{AWAY, Busy, measures_polls};
use super::thread::ThreadLog;
use crate::clock::is_processor_counter;
use std::cell::Cell;
use std::ptr::NonNull;

/// The generation of a thread without a log: no recorder's, and not `gate::CLOSED`.
pub(super) const DETACHED: u64 = AWAY;

pub(crate) struct Context {
    /// Of a thread without a log, [`NOBODY`]. A log begins with its mark, so there is a mark either way.
    log: Cell<NonNull<Busy>>,
    /// The async span in which this thread runs; 0 for none.
    current_span: Cell<u64>,
    /// The depth that a span created now has.
    next_depth: Cell<Depth>,
    /// Thread spans open on this thread.
    scope_depth: Cell<Depth>,
    /// The outermost of them stands in no span, and is not sampled.
    scope_unsampled: Cell<bool>,
    /// The recorder's generation for which `log` is this thread's; [`DETACHED`] for none.
    generation: Cell<u64>,
    /// Getting a log, or flushing: this thread's own events are refused meanwhile.
    pub(super) muted: Cell<bool>,
}

/// The mark of every thread without a log. Nobody changes it.
static NOBODY: Busy = Busy::new();

const fn nobody() -> NonNull<Busy> {
    NonNull::new(std::ptr::from_ref(&NOBODY).cast_mut()).expect("a static has an address")
}

thread_local! {
    static CONTEXT: Context = const {
        Context {
            log: Cell::new(nobody()),
            current_span: Cell::new(0),
            next_depth: Cell::new(Depth::ROOT),
            scope_depth: Cell::new(Depth::ROOT),
            scope_unsampled: Cell::new(false),
            generation: Cell::new(DETACHED),
            muted: Cell::new(false),
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

/// The depth of a span below its root, or in thread spans: up to 65535, which stands for all that are deeper.
///
/// 16 bits at the place where the head of a record has them, in a field of their own: of two 16-bit neighbours the compiler loads both
/// at once, and such a load has to wait for a store to one of them to leave the store buffer.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct Depth(u32);

impl Depth {
    pub(crate) const ROOT: Depth = Depth(0);
    const ONE: u32 = 1 << 16;

    /// Saturates.
    pub(crate) fn new(depth: u32) -> Depth {
        Depth(depth.min(u32::from(u16::MAX)) * Depth::ONE)
    }

    /// The lower half of a record's head, as far as it says the depth.
    #[inline(always)]
    pub(crate) fn in_head(self) -> u32 {
        self.0
    }

    /// One more.
    #[inline(always)]
    pub(crate) fn deeper(self) -> Depth {
        match self.0.checked_add(Depth::ONE) {
            Some(deeper) => Depth(deeper),
            None => Depth::deepest(),
        }
    }

    /// Out of line, so that the others take one instruction and a branch.
    #[cold]
    #[inline(never)]
    fn deepest() -> Depth {
        Depth::new(u32::MAX)
    }
}

/// The current span of a thread: its id (0 for none), and the depth of a span created in it.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct CurrentSpan {
    pub(crate) id: u64,
    pub(crate) next_depth: Depth,
}

impl Context {
    /// This thread's log; a mark alone if it has none. Which it is, the mark tells.
    #[inline(always)]
    pub(super) fn log(&self) -> NonNull<Busy> {
        self.log.get()
    }

    /// The recorder's generation for which the log is this thread's; [`DETACHED`] for none.
    #[inline(always)]
    pub(crate) fn generation(&self) -> u64 {
        self.generation.get()
    }

    /// Whether this thread is in the middle of a record: a signal handler asks, or what a record runs.
    pub(super) fn is_recording(&self) -> bool {
        // SAFETY: `log` is `NOBODY`, or a log that stays where it is.
        unsafe { self.log.get().as_ref() }.is_recording()
    }

    /// This thread has this log from now on, which stays where it is until [`Context::detach`].
    pub(super) fn attach(&self, log: NonNull<ThreadLog>, generation: u64) {
        self.log.set(log.cast());
        self.set_generation(generation);
    }

    /// This thread has no log any more.
    pub(super) fn detach(&self) {
        self.set_generation(DETACHED);
        self.log.set(nobody());
    }

    /// Says for which generation the log is this thread's from now on.
    pub(super) fn set_generation(&self, generation: u64) {
        self.generation.set(generation);
        if self.log.get() != nobody() {
            // SAFETY: a log begins with its mark, and this one stays where it is, as `attach` demands.
            let mark = unsafe { self.log.get().as_ref() };
            // What is written without further ado takes the processor's own clock, and measures nothing beside.
            let ready = is_processor_counter() && !measures_polls(generation);
            mark.set_idle(if ready { generation } else { AWAY });
        }
    }

    /// Thread spans open on this thread.
    #[inline(always)]
    pub(crate) fn scope_depth(&self) -> Depth {
        self.scope_depth.get()
    }

    #[inline(always)]
    pub(crate) fn set_scope_depth(&self, depth: Depth) {
        self.scope_depth.set(depth);
    }

    /// Whether the outermost thread span, which stands in no span, is not sampled.
    pub(super) fn is_scope_unsampled(&self) -> bool {
        self.scope_unsampled.get()
    }

    pub(super) fn set_scope_unsampled(&self, unsampled: bool) {
        self.scope_unsampled.set(unsampled);
    }

    #[inline(always)]
    pub(crate) fn current(&self) -> CurrentSpan {
        CurrentSpan { id: self.current_span.get(), next_depth: self.next_depth.get() }
    }

    #[inline(always)]
    pub(crate) fn set_current(&self, current: CurrentSpan) {
        self.current_span.set(current.id);
        self.next_depth.set(current.next_depth);
    }
}
