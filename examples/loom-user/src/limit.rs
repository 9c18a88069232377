//! The limit.

use crate::sync::{AtomicU64, Ordering};
use spanring::prelude::*;

/// Nobody is let in any more.
const CLOSED: u64 = 1 << 63;

/// Lets so many in at the same time, until it is closed.
#[derive(Debug)]
pub struct Limit {
    most: u64,
    /// How many are in, and [`CLOSED`].
    state: AtomicU64,
}

/// Somebody is in, until this is dropped.
#[derive(Debug)]
#[must_use = "whoever drops it is out again"]
pub struct Permit<'l> {
    limit: &'l Limit,
}

impl Limit {
    /// For so many.
    pub fn new(most: u32) -> Limit {
        Limit { most: u64::from(most), state: AtomicU64::new(0) }
    }

    /// Does the work if there is room for it. `None` if there is not, or no more; the recording says so.
    pub fn run<R>(&self, work: impl FnOnce() -> R) -> Option<R> {
        span_scope!("limited");
        let Some(permit) = self.enter() else {
            instant!("refused", most = self.most);
            return None;
        };
        let result = work();
        drop(permit);
        Some(result)
    }

    /// Lets somebody in if there is room.
    pub fn enter(&self) -> Option<Permit<'_>> {
        let mut state = self.state.load(Ordering::Relaxed);
        // A closed one is greater than every limit.
        while state < self.most {
            // Acquire: who comes in sees what those did who made room for it. Relaxed if it fails: nothing is done by what was read.
            match self.state.compare_exchange_weak(state, state + 1, Ordering::Acquire, Ordering::Relaxed) {
                Ok(_) => {
                    counter!("in", state + 1);
                    return Some(Permit { limit: self });
                }
                Err(now) => state = now,
            }
        }
        None
    }

    /// Lets nobody in from now on. Those who are in stay.
    pub fn close(&self) {
        // Relaxed: it says something about those who come, and nothing about what anybody did.
        self.state.fetch_or(CLOSED, Ordering::Relaxed);
    }

    /// Whether it is closed and all are out. What they did is seen by whoever sees that.
    pub fn is_over(&self) -> bool {
        // Acquire: pairs with the release of each who went out.
        self.state.load(Ordering::Acquire) == CLOSED
    }
}

impl Drop for Permit<'_> {
    fn drop(&mut self) {
        // Release: whoever comes in for it, or sees that it is over, sees what was done inside.
        self.limit.state.fetch_sub(1, Ordering::Release);
    }
}

#[cfg(all(test, not(loom)))]
mod tests {
    use super::*;
    use std::sync::atomic::AtomicU32;

    #[test]
    fn no_more_are_in_than_may_be_on_real_threads() {
        let limit = Limit::new(2);
        let (inside, most) = (AtomicU32::new(0), AtomicU32::new(0));
        let enter_and_leave = || {
            let now = inside.fetch_add(1, Ordering::Relaxed) + 1;
            most.fetch_max(now, Ordering::Relaxed);
            inside.fetch_sub(1, Ordering::Relaxed);
        };
        std::thread::scope(|scope| {
            for _ in 0..4 {
                scope.spawn(|| (0..10_000).filter(|_| limit.run(enter_and_leave).is_none()).count());
            }
        });
        assert!((1..=2).contains(&most.into_inner()));
        limit.close();
        assert!(limit.is_over());
    }
}
