//! The load: when the next burst is due, and together with whom.

use super::PERIOD;
use std::hint::spin_loop;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::thread::{sleep, yield_now};
use std::time::Instant;

/// One burst a period.
pub struct Pace {
    next: Instant,
}

impl Pace {
    pub fn new() -> Pace {
        Pace { next: Instant::now() + PERIOD }
    }

    /// Sleeps until the next burst is due. Time that was missed is not made up for.
    pub fn wait(&mut self) {
        let now = Instant::now();
        if let Some(early) = self.next.checked_duration_since(now) {
            sleep(early);
        }
        self.next = self.next.max(now) + PERIOD;
    }
}

/// Lets threads begin at the same moment: waking up would take longer than a burst.
pub struct Start {
    threads: usize,
    arrived: AtomicUsize,
}

impl Start {
    pub fn new(threads: usize) -> Start {
        Start { threads, arrived: AtomicUsize::new(0) }
    }

    /// Returns when all have called it as often as this thread.
    pub fn together(&self) {
        let own = self.arrived.fetch_add(1, Ordering::AcqRel);
        let all = (own / self.threads + 1) * self.threads;
        let mut looks = 0_u32;
        while self.arrived.load(Ordering::Acquire) < all {
            looks += 1;
            // Somebody else may need this processor to get here.
            if looks.is_multiple_of(1000) { yield_now() } else { spin_loop() }
        }
    }
}
