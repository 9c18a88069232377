//! The gate: whether anyone records, and how a recorder stops without missing a record in progress.
//!
//! A recording thread marks itself busy, looks at the generation, and only then records. The one who stops closes the gate and
//! then waits for every busy thread. With the asymmetric barrier between the two steps of each, either the thread sees the
//! gate closed, or the stopper sees the thread busy: no record slips in behind the last drain. The thread pays two plain
//! stores to its own cache line.
//!
//! What a span looks at that is about to begin is a word of its own, closed too while the recorder is paused: then nothing begins, and
//! what is open still ends. There is one for each level of detail, so that a filter that wants nothing of a level costs what a closed gate does.
//!
//! While a thread is idle its mark says for which generation it may record without further ado; so one comparison tells that there
//! is a ring, of the right recording, and that no signal handler has interrupted a record.

use crate::events::Verbosity;
use crate::sync::{AtomicU64, OneWriter, Ordering, heavy_barrier, light_barrier, ordering};

/// The generation of a recorder that does not run.
pub(crate) const CLOSED: u64 = 0;

/// The bit of a generation that says that each poll of a future is measured. So whoever knows a span's generation need not ask. The
/// sign, which is tested together with whether anyone records.
pub(crate) const MEASURES_POLLS: u64 = 1 << 63;

/// The bit of [`Gate::begins`], not of a generation, that says that somebody is asked: a filter, or sampling. The sign is set with it.
const ASKS: u64 = 1 << 62;
/// Who is asked.
const FILTERS: u64 = 1 << 60;
const SAMPLES: u64 = 1 << 59;

/// Less, [`MEASURES_POLLS`] aside, is no recorder's generation, so that a word that has one may say something else.
pub(crate) const FIRST_GENERATION: u64 = 4;

/// Levels of detail, from 0 on, which is none.
const LEVELS: usize = Verbosity::Max as usize + 1;

/// Whether a word that has a generation or says something else has a generation.
#[inline(always)]
pub(crate) const fn is_generation(word: u64) -> bool {
    word >= FIRST_GENERATION
}

/// Whether a recorder of that generation measures polls.
#[inline(always)]
pub(crate) const fn measures_polls(generation: u64) -> bool {
    generation & MEASURES_POLLS != 0
}

/// What [`Gate::begins`] is while a filter is asked, or sampling, or both. It is no thread's mark, so whoever begins a span takes the slow
/// path.
pub(crate) const fn asking(generation: u64, filters: bool, samples: bool) -> u64 {
    let filters = if filters { FILTERS | ASKS | MEASURES_POLLS } else { 0 };
    let samples = if samples { SAMPLES | ASKS | MEASURES_POLLS } else { 0 };
    generation | filters | samples
}

/// Whether a filter is asked, or sampling, by what [`Gate::begins`] is.
#[inline(always)]
pub(crate) const fn asks(begins: u64) -> bool {
    begins & ASKS != 0
}

/// Whether a filter is asked, by what [`Gate::begins`] is.
#[inline(always)]
pub(crate) const fn filters(begins: u64) -> bool {
    begins & FILTERS != 0
}

/// Whether sampling is asked, by what [`Gate::begins`] is.
#[inline(always)]
pub(crate) const fn samples(begins: u64) -> bool {
    begins & SAMPLES != 0
}

/// Whether polls are measured, or a filter or sampling is asked, by what [`Gate::begins`] is.
#[inline(always)]
pub(crate) const fn looks_closer(begins: u64) -> bool {
    begins & MEASURES_POLLS != 0
}

/// Whether anyone records: the generation of the running recorder, or [`CLOSED`].
///
/// On a cache line of its own, as every span looks at it.
#[repr(align(64))]
pub struct Gate {
    /// Whose records are let in.
    generation: AtomicU64,
    /// In which generation a span may begin: the same, or none; and whether a filter or sampling is asked. For each level of detail, and first
    /// whatever the level. Nobody is let in for what they say.
    begins: [AtomicU64; LEVELS],
}

/// One thread's mark: that it is recording, or else whether it is ready to. [`AWAY`], if it is not.
pub struct Busy {
    /// Written by this thread and its signal handlers.
    mark: OneWriter,
}

/// The mark of a thread that is not ready to record: no generation.
pub const AWAY: u64 = u64::MAX;
/// The mark of a thread that is recording: no generation either.
const RECORDING: u64 = u64::MAX - 1;

/// The mark of a thread before it began to record, which [`Busy::leave`] restores.
#[must_use = "the thread is busy until it leaves"]
#[derive(Debug, PartialEq, Eq)]
pub struct Idle(u64);

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
        Gate { generation: AtomicU64::new(CLOSED), begins: [const { AtomicU64::new(CLOSED) }; LEVELS] }
    }

    /// A closed gate.
    #[cfg(spanring_loom)]
    #[expect(clippy::new_without_default, reason = "as in production")]
    pub fn new() -> Gate {
        Gate { generation: AtomicU64::new(CLOSED), begins: std::array::from_fn(|_| AtomicU64::new(CLOSED)) }
    }

    /// The generation whose records are let in. Relaxed: what follows from it is checked again by [`Gate::enter`].
    #[inline(always)]
    pub fn generation(&self) -> u64 {
        self.generation.load(Ordering::Relaxed)
    }

    /// The generation in which a span may begin, for the first and cheapest check; [`asking`] or not. Relaxed, as
    /// [`Gate::generation`].
    #[inline(always)]
    pub fn begins(&self) -> u64 {
        self.begins[0].load(Ordering::Relaxed)
    }

    /// The same for a span of that level: [`CLOSED`] too if the filter wants none of them, whatever else may be said of it.
    #[inline(always)]
    pub(crate) fn begins_at(&self, level: Verbosity) -> u64 {
        self.begins[level as usize].load(Ordering::Relaxed)
    }

    /// Lets threads of this generation in.
    pub fn open(&self, generation: u64) {
        debug_assert_ne!(generation, CLOSED);
        // Relaxed: what was set up for it reaches a thread through the mutex under which it gets its log.
        self.generation.store(generation, Ordering::Relaxed);
    }

    /// From now on spans begin in this generation, [`asking`] or not, or in none ([`CLOSED`]), while the gate stays open for the
    /// records of those that are open; but none of so many levels, from the most detailed on. The words let nobody in, so a thread that has not
    /// seen them yet, or not all of them, does no harm: its span begins a moment late or early.
    pub fn set_begins(&self, generation: u64, unwanted_levels: u8) {
        for (level, begins) in self.begins.iter().enumerate() {
            let is_wanted = level + usize::from(unwanted_levels) < LEVELS;
            begins.store(if is_wanted { generation } else { CLOSED }, Ordering::Relaxed);
        }
    }

    /// Marks this thread as recording, if the gate is open for its generation. [`Busy::leave`] ends it.
    ///
    /// # Errors
    /// If the thread is recording already, or the gate is not open for this generation.
    pub fn enter(&self, busy: &Busy, generation: u64) -> Result<Idle, Refusal> {
        match busy.mark() {
            RECORDING => Err(Refusal::Nested),
            mark => self.enter_from(busy, Idle(mark), generation).ok_or(Refusal::Closed),
        }
    }

    /// The same for a thread that [is ready](Busy::set_idle) for this generation. `None` for any other one, or if the gate is closed.
    #[inline(always)]
    pub fn enter_ready(&self, busy: &Busy, generation: u64) -> Option<Idle> {
        if busy.mark() != generation {
            return None;
        }
        self.enter_from(busy, Idle(generation), generation)
    }

    #[inline(always)]
    fn enter_from(&self, busy: &Busy, idle: Idle, generation: u64) -> Option<Idle> {
        // Relaxed: the barrier orders it before the look at the gate.
        busy.mark.write(RECORDING, Ordering::Relaxed);
        if !cfg!(spanring_mutant = "no_light_barrier") {
            light_barrier();
        }
        if self.generation.load(Ordering::Relaxed) == generation {
            return Some(idle);
        }
        busy.leave(idle);
        None
    }

    /// Lets nobody in any more. Threads that are in already have to be waited for: [`Gate::wait_until_idle`].
    pub fn close(&self) {
        self.set_begins(CLOSED, 0);
        self.generation.store(CLOSED, Ordering::Relaxed);
        if !cfg!(spanring_mutant = "no_heavy_barrier") {
            heavy_barrier();
        }
    }

    /// Closes the gate in a forked child, which has no other thread.
    #[cfg(not(spanring_loom))]
    pub(crate) fn close_in_child(&self) {
        self.set_begins(CLOSED, 0);
        self.generation.store(CLOSED, Ordering::Relaxed);
    }

    /// After [`Gate::close`]: waits until this thread is not recording. What it recorded is visible afterwards.
    ///
    /// `pause` is called between two looks with their number, and gives up by returning `false`: for a thread that a debugger
    /// holds in the middle of a record. Returns whether the thread is idle.
    pub fn wait_until_idle(&self, busy: &Busy, mut pause: impl FnMut(u64) -> bool) -> bool {
        let mut looks = 0;
        // Acquire: pairs with the release in `Busy::leave`.
        while busy.mark.load(ordering!(Acquire unless "idle_relaxed")) == RECORDING {
            looks += 1;
            if !pause(looks) {
                return false;
            }
        }
        true
    }
}

impl Busy {
    /// Neither recording nor ready to.
    #[cfg(not(spanring_loom))]
    pub const fn new() -> Busy {
        Busy { mark: OneWriter::new(AWAY) }
    }

    /// Neither recording nor ready to.
    #[cfg(spanring_loom)]
    #[expect(clippy::new_without_default, reason = "as in production")]
    pub fn new() -> Busy {
        Busy { mark: OneWriter::new(AWAY) }
    }

    /// Makes this thread ready to record for a generation, or for none ([`AWAY`]). In the middle of a record it does nothing.
    pub fn set_idle(&self, mark: u64) {
        if !self.is_recording() {
            self.mark.write(mark, Ordering::Relaxed);
        }
    }

    /// Whether this thread is in the middle of a record.
    pub fn is_recording(&self) -> bool {
        self.mark() == RECORDING
    }

    #[inline(always)]
    fn mark(&self) -> u64 {
        self.mark.written()
    }

    /// This thread's record is written.
    #[inline(always)]
    pub fn leave(&self, idle: Idle) {
        // Release: whoever sees the mark gone sees the record.
        self.mark.write(idle.0, ordering!(Release unless "leave_relaxed"));
    }
}
