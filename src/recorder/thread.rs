//! A thread's log: the ring that it writes, and what it has already defined. It outlives its thread and goes to the next one.

use super::context::{Context, DETACHED, this_thread};
use super::full_ring::SignalSet;
use super::gate::Busy;
use super::session::{Running, Session, running};
use crate::events::{SLOT_WORDS, StringId};
use crate::queue::{Consumer, Producer, Ring, RingWords};
use crate::sync::{AtomicU64, OneWriter, Ordering};
use std::cell::{Cell, RefCell};
use std::ops::Deref;
use std::ptr::NonNull;
use std::sync::Arc;

/// Call sites that a thread remembers to have defined. A power of two.
const CACHED_SIGHTINGS: usize = 128;

/// What one thread at a time writes to.
///
/// What every record needs comes first, and in one cache line.
#[repr(C, align(64))]
pub(crate) struct ThreadLog {
    /// Set by the owning thread, watched by the one who stops. First: a thread without a log has such a mark alone.
    pub(super) busy: Busy,
    /// How much a span's id is more than the number of the record with which it begins; wraps.
    ids_ahead: Cell<u64>,
    ring: Ring<RingWords, SLOT_WORDS>,
    /// Call sites known to be defined. It stays true when the log changes hands: definitions belong to the process.
    seen: [Cell<Seen>; CACHED_SIGHTINGS],
    /// The end of the block of span ids that this log has taken.
    id_limit: Cell<u64>,
    /// Number of the ring in its session.
    pub(super) number: u32,
    pub(super) session: Arc<Session>,
    /// Root spans that were not sampled on the threads that had this log. Written by the one that has it, read by anyone.
    pub(super) unsampled: OneWriter,
    /// The signals that its thread had blocked when it got the log.
    pub(super) blocked_signals: Cell<SignalSet>,
}

// SAFETY: the cells and the ring's producer are used only by the thread that owns the log, which `ThreadHandle` makes one at a time,
// with the pool's mutex between one and the next. The rest is atomic or never changes.
unsafe impl Sync for ThreadLog {}
// SAFETY: nothing in it belongs to a particular thread.
unsafe impl Send for ThreadLog {}

/// The ring of a log, kept by keeping the log.
pub(super) struct RingOfLog(Arc<ThreadLog>);

impl Deref for RingOfLog {
    type Target = Ring<RingWords, SLOT_WORDS>;

    fn deref(&self) -> &Self::Target {
        &self.0.ring
    }
}

pub(super) type RingConsumer = Consumer<RingOfLog>;

/// The next block of span ids. The only cache line that recording threads share for writing, once in [`SPAN_ID_BLOCK`] spans.
static NEXT_SPAN_ID_BLOCK: AtomicU64 = AtomicU64::new(1);

/// Span ids that a log takes at once: one for each record, so that the number of the record is all that there is to count.
const SPAN_ID_BLOCK: u64 = 1 << 14;

/// A call site and name; all zero where there is none. As long as it is aligned, so that its address is cheap to compute.
#[derive(Clone, Copy)]
#[repr(align(32))]
struct Seen {
    site: u64,
    name: StringId,
}

impl ThreadLog {
    /// A log that no thread owns yet, and the end at which its ring is read.
    pub(super) fn new(
        number: u32,
        ring: Ring<RingWords, SLOT_WORDS>,
        session: Arc<Session>,
    ) -> (Arc<ThreadLog>, RingConsumer) {
        let seen = [const { Cell::new(Seen { site: 0, name: StringId { ptr: 0, len: 0 } }) }; CACHED_SIGHTINGS];
        let log = Arc::new(ThreadLog {
            busy: Busy::new(),
            ids_ahead: Cell::new(0),
            ring,
            seen,
            id_limit: Cell::new(0),
            number,
            session,
            unsampled: OneWriter::new(0),
            blocked_signals: Cell::default(),
        });
        log.limit_ids();
        // SAFETY: there is no other consumer, and a log has the same ring all its life.
        let consumer = unsafe { Consumer::new(RingOfLog(Arc::clone(&log))) };
        (log, consumer)
    }

    /// The end at which the owning thread writes.
    #[inline(always)]
    pub(super) fn producer(&self) -> Producer<&Ring<RingWords, SLOT_WORDS>> {
        // SAFETY: only the thread that owns the log records in it, one record at a time as `busy` sees to; and whoever makes a thread
        // the owner does so while no other one is.
        unsafe { Producer::new(&self.ring) }
    }

    /// The id of the span that begins with the record of this number: no other span of this process has it or will have it, and 0 is
    /// never one. For a record that has been reserved below the ring's checkpoint, or after [`ThreadLog::take_ids`].
    #[inline(always)]
    pub(super) fn id_of(&self, record_number: u64) -> u64 {
        record_number.wrapping_add(self.ids_ahead.get())
    }

    /// Takes another block of span ids if there are none left, and sees to it that there are enough for the records below the
    /// ring's checkpoint.
    pub(super) fn take_ids(&self) {
        let number = self.producer().record_number();
        if self.id_of(number) >= self.id_limit.get() {
            // Relaxed: the ids have to differ, nothing else.
            let first = NEXT_SPAN_ID_BLOCK.fetch_add(SPAN_ID_BLOCK, Ordering::Relaxed);
            self.ids_ahead.set(first.wrapping_sub(number));
            self.id_limit.set(first + SPAN_ID_BLOCK);
        }
        self.limit_ids();
    }

    /// A record takes an id and at least one slot, so the ids that are left last for as many slots: there the ring shall have a
    /// checkpoint, and a record needs no other look at what ids there are. A record that is dropped takes an id and no slot, so
    /// whoever drops one comes by here.
    fn limit_ids(&self) {
        let producer = self.producer();
        let left = self.id_limit.get() - self.id_of(producer.record_number());
        producer.set_checkpoint(producer.position() + left);
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
        // Statics are 8-byte aligned and names are not, and both are close together, so the low bits that vary are enough to spread
        // them. Five of the bits say a byte in a place.
        &self.seen[(site.wrapping_add(name.ptr.wrapping_mul(8)) / size_of::<Seen>() as u64) as usize % CACHED_SIGHTINGS]
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
        context.detach();
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
    if context.muted.get() || context.is_recording() {
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
        context.attach(NonNull::from(&*log), session.generation);
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
