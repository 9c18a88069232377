//! Waiting for room in a full ring: only if the recorder was told to, never for long, and never where a wait could be for oneself.

use super::session::GATE;
use super::thread::ThreadLog;
use crate::sync::Ordering;
use std::time::Instant;

/// Looks at the ring before the thread gives its processor away: some microseconds, in which a flusher that runs gives back a block.
const SPINS: u32 = 256;

/// Waits until the thread's ring has room for a record of `slots` slots. Whether it came, `reserve` finds out.
///
/// Not in a signal handler: what it has interrupted may be what the flusher is waiting for. The flusher itself, and whoever flushes,
/// records nothing and so never comes here.
#[inline]
pub(super) fn wait_for_room(log: &ThreadLog, slots: usize, generation: u64) {
    if !log.session.rings.wait.is_zero() && !log.producer().has_room(slots) && !in_signal_handler(log) {
        wait(log, slots, generation);
    }
}

#[cold]
fn wait(log: &ThreadLog, slots: usize, generation: u64) {
    let session = &log.session;
    session.waits.fetch_add(1, Ordering::Relaxed);
    session.alarm.ring();
    let deadline = Instant::now() + session.rings.wait;
    let mut looks = 0;
    // A stop waits for this thread, and the drain after it makes no room for anyone.
    while !log.producer().has_room(slots) && GATE.generation() == generation {
        looks += 1;
        if looks < SPINS {
            std::hint::spin_loop();
            continue;
        }
        if Instant::now() >= deadline {
            return;
        }
        session.alarm.ring();
        std::thread::yield_now();
    }
}

/// Whether a signal handler runs, as far as can be told: it has its own stack, or blocks a signal that its thread did not block.
fn in_signal_handler(log: &ThreadLog) -> bool {
    !log.blocked_signals.get().contains(SignalSet::blocked()) || on_signal_stack()
}

/// A set of signals, one bit each.
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct SignalSet(u64);

impl SignalSet {
    /// Those that the calling thread has blocked.
    pub(super) fn blocked() -> SignalSet {
        if cfg!(miri) {
            // Under Miri there are no signals, and none of these calls.
            return SignalSet::default();
        }
        // SAFETY: a signal set is plain old data, for which all zeroes is a valid value.
        let mut set: libc::sigset_t = unsafe { std::mem::zeroed() };
        // SAFETY: without a new set the call only fills the old one, which is ours.
        unsafe { libc::pthread_sigmask(libc::SIG_BLOCK, std::ptr::null(), &mut set) };
        // SAFETY: the set was filled above, and signals are numbered from 1.
        let is_blocked = |signal: &i32| unsafe { libc::sigismember(&set, *signal) } == 1;
        SignalSet((1..=64).filter(is_blocked).fold(0, |bits, signal| bits | 1 << (signal - 1)))
    }

    fn contains(self, other: SignalSet) -> bool {
        other.0 & !self.0 == 0
    }
}

fn on_signal_stack() -> bool {
    if cfg!(miri) {
        return false;
    }
    // SAFETY: a stack's description is plain old data, for which all zeroes is a valid value.
    let mut stack: libc::stack_t = unsafe { std::mem::zeroed() };
    // SAFETY: without a new stack the call only fills the description, which is ours.
    let known = unsafe { libc::sigaltstack(std::ptr::null(), &mut stack) } == 0;
    known && stack.ss_flags & libc::SS_ONSTACK != 0
}
