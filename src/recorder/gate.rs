//! The gate: whether anyone records, and how a recorder stops without missing a record in progress.
//!
//! A recording thread marks itself busy, looks at the generation, and only then records. The one who stops closes the gate and
//! then waits for every busy thread. With the asymmetric barrier between the two steps of each, either the thread sees the
//! gate closed, or the stopper sees the thread busy: no record slips in behind the last drain. The thread pays two plain
//! stores to its own cache line; that mark also tells a signal handler that it has interrupted a record.

use crate::sync::{AtomicU32, AtomicU64, Ordering, heavy_barrier, light_barrier, ordering};

/// The generation of a recorder that does not run.
pub(crate) const CLOSED: u64 = 0;

/// Whether anyone records: the generation of the running recorder, or [`CLOSED`].
pub struct Gate {
    generation: AtomicU64,
}

/// One thread's mark that it is recording.
pub struct Busy {
    mark: AtomicU32,
}

/// Why a thread may not record now.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Refusal {
    /// This thread is recording already: a signal handler, or a name that records while it is being read.
    Nested,
    /// The recorder was stopped, or another one started.
    Closed,
}

impl Gate {
    /// A closed gate.
    #[cfg(not(spanring_loom))]
    pub const fn new() -> Gate {
        Gate { generation: AtomicU64::new(CLOSED) }
    }

    /// A closed gate.
    #[cfg(spanring_loom)]
    #[expect(clippy::new_without_default, reason = "as in production")]
    pub fn new() -> Gate {
        Gate { generation: AtomicU64::new(CLOSED) }
    }

    /// The generation, for the first and cheapest check. Relaxed: what follows from it is checked again by [`Gate::enter`].
    #[inline(always)]
    pub fn generation(&self) -> u64 {
        self.generation.load(Ordering::Relaxed)
    }

    /// Lets threads of this generation in.
    pub fn open(&self, generation: u64) {
        debug_assert_ne!(generation, CLOSED);
        // Relaxed: what was set up for it reaches a thread through the mutex under which it gets its log.
        self.generation.store(generation, Ordering::Relaxed);
    }

    /// Marks this thread as recording, if the gate is open for its generation. [`Busy::leave`] ends it.
    #[inline(always)]
    pub fn enter(&self, busy: &Busy, generation: u64) -> Result<(), Refusal> {
        // Relaxed: only this thread and its signal handlers write the mark.
        if busy.mark.load(Ordering::Relaxed) != 0 {
            return Err(Refusal::Nested);
        }
        busy.mark.store(1, Ordering::Relaxed);
        if !cfg!(spanring_mutant = "no_light_barrier") {
            light_barrier();
        }
        if self.generation.load(Ordering::Relaxed) == generation {
            return Ok(());
        }
        busy.leave();
        Err(Refusal::Closed)
    }

    /// Lets nobody in any more. Threads that are in already have to be waited for: [`Gate::wait_until_idle`].
    pub fn close(&self) {
        self.generation.store(CLOSED, Ordering::Relaxed);
        if !cfg!(spanring_mutant = "no_heavy_barrier") {
            heavy_barrier();
        }
    }

    /// Closes the gate in a forked child, which has no other thread.
    #[cfg(not(spanring_loom))]
    pub(crate) fn close_in_child(&self) {
        self.generation.store(CLOSED, Ordering::Relaxed);
    }

    /// After [`Gate::close`]: waits until this thread is not recording. What it recorded is visible afterwards.
    ///
    /// `pause` is called between two looks with their number, and gives up by returning `false`: for a thread that a debugger
    /// holds in the middle of a record. Returns whether the thread is idle.
    pub fn wait_until_idle(&self, busy: &Busy, mut pause: impl FnMut(u64) -> bool) -> bool {
        let mut looks = 0;
        // Acquire: pairs with the release in `Busy::leave`.
        while busy.mark.load(ordering!(Acquire unless "idle_relaxed")) != 0 {
            looks += 1;
            if !pause(looks) {
                return false;
            }
        }
        true
    }
}

impl Busy {
    /// Not recording.
    pub fn new() -> Busy {
        Busy { mark: AtomicU32::new(0) }
    }

    /// This thread's record is written.
    #[inline(always)]
    pub fn leave(&self) {
        // Release: whoever sees the mark gone sees the record.
        self.mark.store(0, ordering!(Release unless "leave_relaxed"));
    }
}
