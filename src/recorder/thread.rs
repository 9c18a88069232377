//! A thread's log: the ring that it writes, and what it has already defined. It outlives its thread and goes to the next one.

use super::context::{Context, DETACHED, this_thread};
use super::full_ring::SignalSet;
use super::gate::Busy;
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
    /// The signals that its thread had blocked when it got the log.
    pub(super) blocked_signals: Cell<SignalSet>,
}

// SAFETY: `producer`, `seen` and `blocked_signals` are used only by the thread that owns the log, which `ThreadHandle` makes one at a time, with the
// pool's mutex between one and the next. The rest is atomic or never changes.
unsafe impl Sync for ThreadLog {}
// SAFETY: nothing in it belongs to a particular thread.
unsafe impl Send for ThreadLog {}

/// A call site and name; all zero where there is none. As long as it is aligned, so that its address is cheap to compute.
#[derive(Clone, Copy)]
#[repr(align(32))]
struct Seen {
    site: u64,
    name: StringId,
}

impl ThreadLog {
    pub(super) fn new(ring: u32, producer: Producer<RingWords, SLOT_WORDS>, session: Arc<Session>) -> ThreadLog {
        let seen = [const { Cell::new(Seen { site: 0, name: StringId { ptr: 0, len: 0 } }) }; CACHED_SIGHTINGS];
        ThreadLog { ring, busy: Busy::new(), producer, seen, session, blocked_signals: Cell::default() }
    }

    /// Whether this thread remembers that this site and name were defined.
    #[inline(always)]
    pub(super) fn knows(&self, site: u64, name: StringId) -> bool {
        let Seen { site: seen_site, name: seen_name } = self.place_of(site, name).get();
        seen_site == site && seen_name.ptr == name.ptr && seen_name.len == name.len
    }

    /// The same; from now on it does.
    pub(super) fn remembers(&self, site: u64, name: StringId) -> bool {
        self.knows(site, name) || {
            self.place_of(site, name).set(Seen { site, name });
            false
        }
    }

    #[inline(always)]
    fn place_of(&self, site: u64, name: StringId) -> &Cell<Seen> {
        // Statics are 8-byte aligned and close together, so the low bits that vary are enough to spread them.
        &self.seen[((site >> 3) ^ name.ptr) as usize % CACHED_SIGHTINGS]
    }
}

/// A thread's hold on its log. Dropped by the thread's exit, or when it gets a log of another recording.
struct ThreadHandle(Arc<ThreadLog>);

thread_local! {
    static HANDLE: RefCell<Option<ThreadHandle>> = const { RefCell::new(None) };
}

impl Drop for ThreadHandle {
    fn drop(&mut self) {
        let context = this_thread();
        context.set_generation(DETACHED);
        context.log.set(std::ptr::null());
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
    context.set_generation(DETACHED);
    let _muted = mute(context);
    // An error means that this thread's destructors have begun, and its log is gone for good.
    let attached = HANDLE.try_with(|handle| {
        drop(handle.take());
        let log = session.enlist()?;
        if !session.rings.wait.is_zero() {
            log.blocked_signals.set(SignalSet::blocked());
        }
        context.log.set(Arc::as_ptr(&log));
        context.set_generation(session.generation);
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
    let muted = Muted { before: context.muted.replace(true), generation: context.generation() };
    context.set_generation(DETACHED);
    muted
}

/// See [`mute`].
pub(super) struct Muted {
    before: bool,
    generation: u64,
}

impl Drop for Muted {
    fn drop(&mut self) {
        let context = this_thread();
        context.muted.set(self.before);
        // Still detached: nothing was attached meanwhile, so the log is the one from before.
        if context.generation() == DETACHED {
            context.set_generation(self.generation);
        }
    }
}
