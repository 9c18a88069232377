//! What the threads of one recording share: its gate's generation, rings, names, sightings.

use super::drain::Drainer;
use super::filter::Filter;
use super::flusher::Alarm;
use super::gate::{CLOSED, Gate, asking};
use super::names::NamesRegion;
use super::pool::{Newcomers, Pool};
use super::sampling::{self, Sampling};
use super::sightings::{Sighting, Sightings};
use super::snapshot::Taker;
use super::thread::{RingConsumer, ThreadLog};
use super::verdict;
use crate::events::{SLOT_WORDS, StringId};
use crate::format::definition::Definition;
use crate::format::{Discipline, FileHeader, FileKind, SessionId, ThreadFacts};
use crate::queue::{Layout, Memory, Ring, RingWords, WhenFull};
use crate::sync::{AtomicU64, Ordering};
use std::path::PathBuf;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError, TryLockError};
use std::time::Duration;

/// Whether anyone records. The first thing that every instrumented call looks at.
pub(crate) static GATE: Gate = Gate::new();

/// The running recording. Taken when a thread registers and when a recorder starts or stops, never to record.
static RUNNING: Mutex<Option<Running>> = Mutex::new(None);

/// A recording in progress.
#[derive(Clone)]
pub(super) struct Running {
    pub(super) session: Arc<Session>,
    pub(super) drainer: Arc<Mutex<Drainer>>,
    /// `None`: no snapshots are kept.
    pub(super) taker: Option<Arc<Taker>>,
    /// The process that started it. In a forked child it is not running.
    pub(super) pid: u32,
}

/// The running recording, if there is one.
pub(super) fn running() -> Option<Running> {
    lock(&RUNNING).clone()
}

/// The lock on what is running, if nobody holds it.
pub(super) fn try_lock_running() -> Option<MutexGuard<'static, Option<Running>>> {
    match RUNNING.try_lock() {
        Ok(guard) => Some(guard),
        Err(TryLockError::Poisoned(poisoned)) => Some(poisoned.into_inner()),
        Err(TryLockError::WouldBlock) => None,
    }
}

/// Whether a recording is in progress that this very process started.
pub(super) fn is_running_here() -> bool {
    running().is_some_and(|running| running.pid == std::process::id())
}

/// Makes this the running recording, of what the filter and sampling want, and opens the gate; `false` if another one runs in this process.
pub(super) fn set_running(new: Running, filter: Filter, share: Sampling) -> bool {
    let mut running = lock(&RUNNING);
    if running.as_ref().is_some_and(|old| old.pid == new.pid) {
        return false;
    }
    verdict::set(filter);
    sampling::set(share);
    GATE.open(new.session.generation);
    let_begin(new.session.generation);
    // One that a forked child has inherited belongs to its parent: it is neither stopped nor flushed here.
    std::mem::forget(running.replace(new));
    true
}

/// Whether spans begin in the running recording, if it is this one. Under the lock, so that none begins after a stop.
pub(super) fn set_paused(session: &Session, paused: bool) {
    let running = lock(&RUNNING);
    if running.as_ref().is_some_and(|running| std::ptr::eq(&*running.session, session)) {
        if paused { GATE.set_begins(CLOSED, 0) } else { let_begin(session.generation) }
    }
}

/// Changes what is recorded in the running recording from now on, if it is this one. Under the lock, which is held across a fork: a child
/// never finds it half done.
pub(super) fn choose(session: &Session, change: impl FnOnce()) {
    let running = lock(&RUNNING);
    if running.as_ref().is_some_and(|running| std::ptr::eq(&*running.session, session)) {
        change();
        if GATE.begins() != CLOSED {
            let_begin(session.generation);
        }
    }
}

/// From now on spans of that generation begin, as far as the filter and sampling want them.
fn let_begin(generation: u64) {
    let filter = verdict::current();
    let begins = asking(generation, filter.is_some(), sampling::is_ever_used());
    GATE.set_begins(begins, filter.map_or(0, Filter::unwanted_levels));
}

/// Closes the gate; nothing runs afterwards.
pub(super) fn clear_running() {
    let mut running = lock(&RUNNING);
    GATE.close();
    *running = None;
}

/// A panic elsewhere while a lock was held leaves counters and lists that are still right: they are changed in one step.
pub(super) fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

/// Where a session's rings are.
pub(super) struct RingHome {
    /// `None`: on the heap.
    pub(super) directory: Option<PathBuf>,
    pub(super) session: SessionId,
    pub(super) discipline: Discipline,
    pub(super) slots: u64,
    /// How long a thread waits for room; zero: not at all.
    pub(super) wait: Duration,
}

/// Slots of a definition up to which it is written without an allocation, which a signal handler must not make: about 1700 bytes
/// of text.
const DEFINED_WITHOUT_ALLOCATION: usize = 32;

/// What the threads of one recording share.
pub(crate) struct Session {
    pub(super) generation: u64,
    pub(super) rings: RingHome,
    pub(super) names: NamesRegion<Memory>,
    pub(super) sightings: Sightings<Memory>,
    pool: Mutex<Pool>,
    /// The process that records.
    pid: u32,
    /// Rings that are on the heap although they should be in a file.
    pub(super) unmapped_rings: AtomicU64,
    /// Wakes the flusher.
    pub(super) alarm: Arc<Alarm>,
    /// Records that waited for room.
    pub(super) waits: AtomicU64,
}

impl Session {
    /// A session whose definitions go to `names`, from word `names_base` on.
    pub(super) fn new(generation: u64, rings: RingHome, names: Memory, names_base: usize) -> Session {
        // A definition takes a slot of 8 words or more, and a sighting 2: the table is full no sooner than the region.
        let sightings = Sightings::new(Memory::on_heap(names.len() / 2));
        Session {
            generation,
            rings,
            sightings,
            names: NamesRegion::new(names, names_base),
            pool: Mutex::new(Pool::default()),
            pid: std::process::id(),
            unmapped_rings: AtomicU64::new(0),
            alarm: Arc::default(),
            waits: AtomicU64::new(0),
        }
    }

    /// Gives the calling thread a log: one whose thread has ended, or a new one. `None` if the recording is over.
    pub(super) fn enlist(self: &Arc<Session>) -> Option<Arc<ThreadLog>> {
        let thread = std::thread::current();
        let name = thread.name().unwrap_or_default().to_owned();
        let facts = ThreadFacts { id: 0, os_id: os_thread_id(), name };
        let mut pool = lock(&self.pool);
        if let Some(log) = pool.reuse(&facts) {
            return Some(log);
        }
        let ring = pool.next_ring()?;
        // Creating a file takes its time: not under the lock that every new thread needs.
        drop(pool);
        let (log, consumer) = self.new_log(ring);
        lock(&self.pool).add(&log, consumer, facts).then_some(log)
    }

    fn new_log(self: &Arc<Session>, number: u32) -> (Arc<ThreadLog>, RingConsumer) {
        let home = &self.rings;
        let memory = home.directory.as_ref().and_then(|directory| {
            let mapped = super::files::create_ring(directory, home, number);
            if mapped.is_err() {
                self.unmapped_rings.fetch_add(1, Ordering::Relaxed);
            }
            mapped.ok()
        });
        let memory =
            memory.unwrap_or_else(|| Memory::on_heap(super::files::ring_file_bytes(home.slots) / size_of::<u64>()));
        let words = RingWords::new(memory, ring_layout(home.slots));
        let when_full = match home.discipline {
            Discipline::Drain => WhenFull::DropNewest,
            Discipline::Flight => WhenFull::OverwriteOldest,
        };
        let ring = Ring::new(words, when_full, crate::events::MAX_RECORD_SLOTS);
        ThreadLog::new(number, ring, Arc::clone(self))
    }

    /// Takes back the log of a thread that ends.
    pub(super) fn retire(&self, log: &Arc<ThreadLog>) {
        // A forked child has the log and the lock from its parent, the lock perhaps held by a thread that it does not have.
        if self.pid == std::process::id() {
            lock(&self.pool).retire(log);
        }
    }

    /// Bytes of the session's files beside its segments, if it has any.
    pub(super) fn mapped_bytes(&self) -> u64 {
        let rings = lock(&self.pool).logs().len() * super::files::ring_file_bytes(self.rings.slots);
        (rings + self.names.bytes()) as u64
    }

    /// Every log there is. Those of later threads are not among them.
    pub(super) fn logs(&self) -> Vec<Arc<ThreadLog>> {
        lock(&self.pool).logs()
    }

    /// Root spans that were not sampled.
    pub(super) fn unsampled(&self) -> u64 {
        // Relaxed: a number by itself.
        self.logs().iter().map(|log| log.unsampled.load(Ordering::Relaxed)).sum()
    }

    /// What has been registered since the last call.
    pub(super) fn newcomers(&self) -> Newcomers {
        lock(&self.pool).take_newcomers()
    }

    /// Lets the logs go: each lives on only as long as its thread holds it. No thread gets one any more.
    pub(super) fn disband(&self) {
        lock(&self.pool).disband();
    }

    /// Writes the definition of an address, unless some thread has done so already.
    pub(super) fn define(&self, id: StringId, definition: impl FnOnce() -> Definition<&'static str>) {
        let place = match self.sightings.see(id.ptr, id.len) {
            Sighting::Known => return,
            Sighting::New(place) => Some(place),
            Sighting::Unsettled => None,
        };
        let definition = definition();
        let mut buffer = [[0; SLOT_WORDS]; DEFINED_WITHOUT_ALLOCATION];
        // One that finds no room is counted in the region, and is complete all the same: it will not fit later either.
        match buffer.get_mut(..definition.slots()) {
            Some(slots) => {
                definition.encode_into(slots);
                self.names.add(slots);
            }
            None => {
                self.names.add(&definition.encode());
            }
        }
        if let Some(place) = place {
            self.sightings.complete(place, id.len);
        }
    }
}

fn ring_layout(slots: u64) -> Layout {
    use crate::format::ring_file::{DROP_MARK_WORD, DROPPED_WORD, RING_HEADER_BYTES, TAIL_WORD};
    Layout {
        slots: RING_HEADER_BYTES / size_of::<u64>(),
        width: crate::events::SLOT_WORDS,
        capacity: slots,
        tail: TAIL_WORD,
        drop_mark: DROP_MARK_WORD,
        dropped: DROPPED_WORD,
    }
}

impl RingHome {
    /// The file of a ring, if rings are in files.
    pub(super) fn path(&self, number: u32) -> Option<PathBuf> {
        Some(self.directory.as_ref()?.join(FileKind::Ring.file_name(u64::from(number))))
    }

    /// The header of a ring file.
    pub(super) fn header(&self, number: u32) -> FileHeader {
        FileHeader {
            kind: FileKind::Ring,
            session: self.session,
            number: u64::from(number),
            created_unix_ns: crate::clock::anchor().unix_ns,
            header_bytes: crate::format::ring_file::RING_HEADER_BYTES as u32,
        }
    }
}

/// The system's id of the calling thread; 0 where there is no cheap way to ask.
fn os_thread_id() -> u64 {
    #[cfg(target_os = "linux")]
    // SAFETY: the call takes nothing and always succeeds.
    let id = unsafe { libc::gettid() } as u64;
    #[cfg(not(target_os = "linux"))]
    let id = 0;
    id
}
