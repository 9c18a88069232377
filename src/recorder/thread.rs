//! A thread's log: the ring that it writes, and what it has already defined. It outlives its thread and goes to the next one.

use super::context::{Context, with_context};
use super::gate::{Busy, CLOSED};
use super::session::{Running, Session, running};
use crate::events::{SLOT_WORDS, StringId};
use crate::queue::{Producer, RingWords};
use crate::sync::{AtomicU64, Ordering};
use std::cell::{Cell, RefCell};
use std::sync::Arc;

/// Call sites that a thread remembers to have defined. A power of two.
const CACHED_SIGHTINGS: usize = 128;

/// What one thread at a time writes to.
pub(crate) struct ThreadLog {
    /// Number of the ring in its session.
    pub(super) ring: u32,
    /// Set by the owning thread, watched by the one who stops.
    pub(super) busy: Busy,
    pub(super) producer: Producer<RingWords, SLOT_WORDS>,
    /// Call sites known to be defined. It stays true when the log changes hands: definitions belong to the process.
    seen: [Cell<Seen>; CACHED_SIGHTINGS],
    pub(super) session: Arc<Session>,
}

// SAFETY: `producer` and `seen` are used only by the thread that owns the log, which `ThreadHandle` makes one at a time, with the
// pool's mutex between one and the next. The rest is atomic or never changes.
unsafe impl Sync for ThreadLog {}
// SAFETY: nothing in it belongs to a particular thread.
unsafe impl Send for ThreadLog {}

/// A call site and name; all zero where there is none.
#[derive(Clone, Copy, Default, PartialEq, Eq)]
struct Seen {
    site: u64,
    name: StringId,
}

impl ThreadLog {
    pub(super) fn new(ring: u32, producer: Producer<RingWords, SLOT_WORDS>, session: Arc<Session>) -> ThreadLog {
        let seen = [const { Cell::new(Seen { site: 0, name: StringId { ptr: 0, len: 0 } }) }; CACHED_SIGHTINGS];
        ThreadLog { ring, busy: Busy::new(), producer, seen, session }
    }

    /// Whether this site and name were already defined, as far as this thread remembers; from now on it does.
    #[inline(always)]
    pub(super) fn remembers(&self, site: u64, name: StringId) -> bool {
        // Statics are 8-byte aligned and close together, so the low bits that vary are enough to spread them.
        let hash = (site >> 3) ^ (site >> 10) ^ name.ptr;
        let place = &self.seen[hash as usize % CACHED_SIGHTINGS];
        let seen = Seen { site, name };
        if place.get() == seen {
            return true;
        }
        place.set(seen);
        false
    }
}

/// A thread's hold on its log. Dropped by the thread's exit, or when it gets a log of another recording.
struct ThreadHandle(Arc<ThreadLog>);

thread_local! {
    static HANDLE: RefCell<Option<ThreadHandle>> = const { RefCell::new(None) };
}

impl Drop for ThreadHandle {
    fn drop(&mut self) {
        with_context(|context| {
            context.generation.set(CLOSED);
            context.log.set(std::ptr::null());
        });
        self.0.session.retire(&self.0);
    }
}

/// Events refused for want of a log: nested, muted (flushing), or after their thread's end. Never lowered: recorders take differences.
pub(super) static REFUSED: AtomicU64 = AtomicU64::new(0);
/// Ends of spans that began in a recording that is over. Never lowered.
pub(super) static STRAY_ENDS: AtomicU64 = AtomicU64::new(0);

/// Counts an event that is not recorded.
#[cold]
pub(crate) fn refuse() {
    REFUSED.fetch_add(1, Ordering::Relaxed);
}

/// Gives this thread a log of the running recorder. `false`: there is none to be had, which was counted if a recorder runs.
#[cold]
pub(super) fn attach(context: &Context) -> bool {
    let Some(Running { session, .. }) = running() else { return false };
    if context.muted.get() {
        refuse();
        return false;
    }
    context.generation.set(CLOSED);
    let _muted = mute(context);
    // An error means that this thread's destructors have begun, and its log is gone for good.
    let attached = HANDLE.try_with(|handle| {
        drop(handle.take());
        let log = session.enlist()?;
        context.log.set(Arc::as_ptr(&log));
        context.generation.set(session.generation);
        handle.replace(Some(ThreadHandle(log)));
        Some(())
    });
    let attached = matches!(attached, Ok(Some(())));
    if !attached {
        refuse();
    }
    attached
}

/// Refuses this thread's own events until the guard is dropped: what flushing or registering records would feed on itself.
pub(super) fn mute(context: &Context) -> Muted {
    Muted { before: context.muted.replace(true), generation: context.generation.replace(CLOSED) }
}

/// See [`mute`].
pub(super) struct Muted {
    before: bool,
    generation: u64,
}

impl Drop for Muted {
    fn drop(&mut self) {
        with_context(|context| {
            context.muted.set(self.before);
            // Still closed: nothing was attached meanwhile, so the log is the one from before.
            if context.generation.get() == CLOSED {
                context.generation.set(self.generation);
            }
        });
    }
}
