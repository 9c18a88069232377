//! What survives a loss of power, which mapped files alone do not promise.

use std::time::{Duration, Instant};

/// When segments are synced to the disk: what a recording keeps when the machine, not only the process, dies.
///
/// Syncing is the flusher's work; no recording thread waits for it. But while the disk takes its time, rings are not drained: choose
/// [`ring_bytes`](crate::Builder::ring_bytes) for the longest sync that you expect, or see [`Health::lost`](crate::Health::lost) rise.
///
/// ```
/// use spanring::{Recorder, SyncPolicy};
///
/// assert_eq!(SyncPolicy::default(), SyncPolicy::Never);
/// let builder = Recorder::builder().directory("recording").sync(SyncPolicy::WhenSealed);
/// ```
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
#[non_exhaustive]
pub enum SyncPolicy {
    /// The system writes pages back when it likes, after half a minute or so. All that was recorded survives the process; what
    /// survives the machine is chance.
    #[default]
    Never,
    /// Each segment is synced when it is full, and the last one at the stop: a loss of power costs the current segment and what the
    /// rings hold.
    WhenSealed,
    /// That, and the current segment is synced once in so long, if anything was written to it: a loss of power costs what was
    /// recorded since the last sync. [`Health::synced`](crate::Health::synced) tells how much is safe.
    Every(Duration),
}

/// When to sync next.
pub(super) struct Schedule {
    policy: SyncPolicy,
    last: Instant,
}

impl Schedule {
    /// Beginning now.
    pub(super) fn new(policy: SyncPolicy) -> Schedule {
        Schedule { policy, last: Instant::now() }
    }

    /// Whether it is time again. If so, the next time is counted from here.
    pub(super) fn is_due(&mut self) -> bool {
        let SyncPolicy::Every(interval) = self.policy else { return false };
        let due = self.last.elapsed() >= interval;
        if due {
            self.last = Instant::now();
        }
        due
    }

    /// Whether full segments are synced.
    pub(super) fn syncs_sealed(&self) -> bool {
        self.policy != SyncPolicy::Never
    }
}
