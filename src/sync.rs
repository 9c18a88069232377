//! The whole facade between spanring and its atomics: `std` in production, `loom` in models.
//!
//! Nothing else in the crate names `std::sync::atomic`, so what loom explores is what ships. The switch is a private cfg
//! (`spanring_loom`), because a bare `--cfg loom` would also change tokio and crossbeam underneath us.

#[cfg(spanring_loom)]
pub(crate) use loom::sync::atomic::{AtomicU64, Ordering, fence};
#[cfg(not(spanring_loom))]
pub(crate) use std::sync::atomic::{AtomicBool, AtomicPtr, AtomicU64, Ordering, fence};

/// A memory ordering. A model build may weaken it by name (`--cfg 'spanring_mutant="NAME"'`), to show that a model notices.
macro_rules! ordering {
    ($ordering:ident unless $mutant:literal) => {
        if cfg!(spanring_mutant = $mutant) {
            $crate::sync::Ordering::Relaxed
        } else {
            $crate::sync::Ordering::$ordering
        }
    };
}
pub(crate) use ordering;

pub(crate) use self::barrier::{heavy_barrier, light_barrier};

/// A word that one thread at a time writes, and that others read.
///
/// In models the writer remembers what it wrote. If it loaded its own word, loom would take that load for the last one that its next
/// store can meet, and leave out the interleavings in which another thread's load came before.
pub(crate) struct OneWriter {
    word: AtomicU64,
    #[cfg(spanring_loom)]
    written: std::cell::Cell<u64>,
}

// SAFETY: the cell is only the writer's.
#[cfg(spanring_loom)]
unsafe impl Sync for OneWriter {}

impl OneWriter {
    #[cfg(not(spanring_loom))]
    pub(crate) const fn new(value: u64) -> OneWriter {
        OneWriter { word: AtomicU64::new(value) }
    }

    #[cfg(spanring_loom)]
    pub(crate) fn new(value: u64) -> OneWriter {
        OneWriter { word: AtomicU64::new(value), written: std::cell::Cell::new(value) }
    }

    /// What the calling thread, which is the one that writes, has written last.
    #[inline(always)]
    pub(crate) fn written(&self) -> u64 {
        #[cfg(spanring_loom)]
        return self.written.get();
        #[cfg(not(spanring_loom))]
        self.word.load(Ordering::Relaxed)
    }

    /// Stores, on the thread that writes.
    #[inline(always)]
    pub(crate) fn write(&self, value: u64, ordering: Ordering) {
        #[cfg(spanring_loom)]
        self.written.set(value);
        self.word.store(value, ordering);
    }

    /// Loads, on any other thread.
    #[inline(always)]
    pub(crate) fn load(&self, ordering: Ordering) -> u64 {
        self.word.load(ordering)
    }
}

/// An asymmetric pair of barriers: what one recording thread pays nothing for, the one that stops the recorder pays whole.
///
/// Together they act as two `SeqCst` fences would: if a thread stores A, passes the light barrier and loads B, and another
/// stores B, passes the heavy barrier and loads A, then at least one of the two sees the other's store.
#[cfg(not(any(spanring_loom, miri)))]
mod barrier {
    use super::{AtomicBool, Ordering};
    use std::sync::atomic::compiler_fence;

    /// Whether this process is registered for the barrier, which the first stop does.
    static EXPEDITED: AtomicBool = AtomicBool::new(false);

    /// The recording thread's side: only the compiler is held back, the processor is reached by the other side.
    #[inline(always)]
    pub(crate) fn light_barrier() {
        compiler_fence(Ordering::SeqCst);
    }

    /// The stopping thread's side: makes every running thread of this process execute a full barrier.
    ///
    /// Where the kernel has no `membarrier` (or a sandbox forbids it), a millisecond passes instead: a store buffer drains in
    /// well under a microsecond, so this holds in practice though no specification promises it.
    #[cold]
    pub(crate) fn heavy_barrier() {
        std::sync::atomic::fence(Ordering::SeqCst);
        if !expedited() {
            std::thread::sleep(std::time::Duration::from_millis(1));
        }
    }

    #[cfg(target_os = "linux")]
    fn expedited() -> bool {
        const REGISTER: libc::c_int = libc::MEMBARRIER_CMD_REGISTER_PRIVATE_EXPEDITED as libc::c_int;
        const BARRIER: libc::c_int = libc::MEMBARRIER_CMD_PRIVATE_EXPEDITED as libc::c_int;
        let call = |command: libc::c_int| {
            // SAFETY: membarrier takes two integers and touches no memory of ours.
            unsafe { libc::syscall(libc::SYS_membarrier, command, 0) == 0 }
        };
        if !EXPEDITED.load(Ordering::Relaxed) && call(REGISTER) {
            EXPEDITED.store(true, Ordering::Relaxed);
        }
        EXPEDITED.load(Ordering::Relaxed) && call(BARRIER)
    }

    #[cfg(not(target_os = "linux"))]
    fn expedited() -> bool {
        EXPEDITED.load(Ordering::Relaxed)
    }
}

/// In models, and under Miri, which has no kernel, both sides are what the pair stands for: sequentially consistent fences.
#[cfg(any(spanring_loom, miri))]
mod barrier {
    use super::{Ordering, fence};

    pub(crate) fn light_barrier() {
        fence(Ordering::SeqCst);
    }

    pub(crate) fn heavy_barrier() {
        fence(Ordering::SeqCst);
    }
}
