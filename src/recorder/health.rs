//! How a recording goes.

use super::sampling::Sampling;
use std::path::PathBuf;

/// How a recording goes, as far as it was flushed: nothing here is counted on the recording path.
///
/// Every record ever written is one of `flushed`, `lost`, or still in a ring.
///
/// ```
/// # fn example(recorder: &spanring::RecorderGuard) {
/// let health = recorder.health();
/// println!("{health}"); // recording: 55607 records flushed, 0 lost
/// println!("{} rings, {} roots not sampled", health.rings, health.unsampled);
/// # }
/// ```
#[derive(Clone, Debug, Default, PartialEq, Eq)]
#[non_exhaustive]
pub struct Health {
    /// Whether anything is recorded. `false` after a stop, while it is paused, and always without the feature `enable`.
    pub recording: bool,
    /// Whether somebody has [paused](crate::RecorderGuard::pause) it: no span begins, and those that are open end.
    pub paused: bool,
    /// Which spans are recorded, as [`Filter`](crate::Filter) has it; `None` if all are.
    pub filter: Option<String>,
    /// What share of the root spans is recorded.
    pub sampling: Sampling,
    /// Root spans that [sampling](crate::Builder::sampling) left out, with everything in them.
    pub unsampled: u64,
    /// The session's directory; `None` if it has none.
    pub directory: Option<PathBuf>,
    /// Records that the sink has taken.
    pub flushed: u64,
    /// Records of these that were synced to the disk, and survive a loss of power: see [`SyncPolicy`](crate::SyncPolicy).
    pub synced: u64,
    /// Records lost because a ring was full (drain discipline) or came round (flight discipline).
    pub lost: u64,
    /// Records that waited for room in a full ring: see [`Builder::wait_when_full`](crate::Builder::wait_when_full).
    pub waits: u64,
    /// Events refused: in a signal handler that interrupted a record, while flushing, or after their thread had ended.
    pub refused: u64,
    /// Ends that were not written because their span began in an earlier recording.
    pub stray_ends: u64,
    /// Definitions of names and locations that found no room: these names will be missing.
    pub names_lost: u64,
    /// Flight discipline: records that came round before anyone saw whether they begin a span that is still open. The spans that
    /// the recording shows as open may lack some, or have some too many, if this is not 0.
    pub unscanned: u64,
    /// Flush rounds that failed since the start.
    pub write_errors: u64,
    /// Why the last flush round failed, if it did. What it could not write waits in the rings.
    pub last_error: Option<String>,
    /// Files of the recording that somebody removed while they were written, or cut off (see
    /// [`Builder::guard_truncation`](crate::Builder::guard_truncation)). What they held is gone; the recording goes on in new ones.
    pub spoiled_files: u64,
    /// Snapshots that were taken: see [`Snapshots`](crate::Snapshots).
    pub snapshots: u64,
    /// Snapshots that were asked for so soon after another one that they were not taken.
    pub snapshots_suppressed: u64,
    /// Snapshots that could not be written.
    pub snapshots_failed: u64,
    /// Why the last of these could not.
    pub last_snapshot_error: Option<String>,
    /// Rings there are: as many as threads recorded at the same time.
    pub rings: usize,
    /// Rings without a file, which could not be created or was removed: what they hold is lost if the process is killed.
    pub unmapped_rings: u64,
}

impl Health {
    /// Whether everything that was recorded can be read, now and after a crash.
    ///
    /// ```
    /// use spanring::Health;
    ///
    /// // What a health check answers.
    /// let status = |health: Option<Health>| if health.is_some_and(|health| health.is_good()) { 200 } else { 503 };
    /// assert_eq!(status(None), 503);
    /// assert_eq!(status(Some(Health::default())), 503, "nothing is recorded");
    /// ```
    pub fn is_good(&self) -> bool {
        let troubles = self.lost + self.refused + self.names_lost + self.unmapped_rings + self.spoiled_files;
        self.recording && troubles == 0 && self.last_error.is_none()
    }
}

impl std::fmt::Display for Health {
    /// One line.
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let recording = match self {
            Health { recording: true, .. } => "recording",
            Health { paused: true, .. } => "paused",
            _ => "not recording",
        };
        write!(f, "{recording}: {} records flushed, {} lost", self.flushed, self.lost)?;
        let counts = [
            (self.unsampled, "roots not sampled"),
            (self.waits, "waited for room"),
            (self.refused, "events refused"),
            (self.stray_ends, "stray ends"),
            (self.names_lost, "names lost"),
            (self.unmapped_rings, "rings without a file"),
            (self.spoiled_files, "files removed or cut off by someone else"),
            (self.snapshots, "snapshots taken"),
            (self.snapshots_suppressed, "too soon after another"),
            (self.snapshots_failed, "snapshots failed"),
        ];
        for (count, what) in counts.into_iter().filter(|(count, _)| *count > 0) {
            write!(f, ", {count} {what}")?;
        }
        match &self.last_error {
            Some(error) => write!(f, "; the last write failed: {error}"),
            None => Ok(()),
        }
    }
}
