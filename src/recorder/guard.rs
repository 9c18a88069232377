//! The handle of a running recorder.

use super::builder::Builder;
use super::context::this_thread;
use super::drain::Round;
use super::error::FlushError;
use super::filter::Filter;
use super::flusher::Flusher;
use super::health::Health;
use super::record::recording;
use super::sampling::{self, Sampling};
use super::session::{GATE, Running, choose, clear_running, lock, running, set_paused};
use super::snapshot::SnapshotError;
use super::thread::mute;
use super::verdict;
use crate::sink::MemoryBuffer;
use crate::sync::Ordering;
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

/// Where a recorder begins: [`Recorder::builder`].
///
/// ```no_run
/// let recorder = spanring::Recorder::builder().directory("recording").start()?;
/// // .. as long as the service runs ..
/// println!("{}", recorder.stop()?);
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
#[derive(Debug)]
pub struct Recorder;

impl Recorder {
    /// Settings for a new recorder.
    ///
    /// ```
    /// use spanring::{Recorder, StartError};
    ///
    /// let started = Recorder::builder().start();
    /// assert!(matches!(started, Err(StartError::NoDestination)));
    /// ```
    pub fn builder() -> Builder {
        Builder::new()
    }
}

/// Whether spans are recorded now: a recorder runs in this process, and is not [paused](RecorderGuard::pause). One load; `false` at
/// compile time without the feature `enable`.
///
/// ```
/// use spanring::prelude::*;
///
/// # fn example(rows: &[String]) {
/// if spanring::is_recording() {
///     // Work that only the recording needs.
///     current_span().record("bytes", rows.iter().map(String::len).sum::<usize>());
/// }
/// # }
/// ```
#[inline(always)]
pub fn is_recording() -> bool {
    recording()
}

/// How long a stop waits for threads that are in the middle of a record.
const SETTLE: Duration = Duration::from_secs(1);

/// A running recorder. Dropping it flushes and stops; [`RecorderGuard::stop`] does the same and tells how it went.
///
/// In a forked child it does nothing at all: the recording is the parent's.
///
/// ```no_run
/// # fn main() -> Result<(), spanring::StartError> {
/// # fn serve() {}
/// let _recorder = spanring::Recorder::builder().directory("recording").start()?; // `let _ =` would stop it at once
/// serve();
/// # Ok(())
/// # }
/// ```
#[derive(Debug)]
#[must_use = "recording stops when this is dropped"]
pub struct RecorderGuard {
    /// `None` without the feature `enable`, and after the stop.
    active: Option<Active>,
    directory: Option<PathBuf>,
    memory: Option<MemoryBuffer>,
}

struct Active {
    running: Running,
    flusher: Flusher,
    ring_directory: Option<PathBuf>,
}

impl std::fmt::Debug for Active {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Active").field("pid", &self.running.pid).finish_non_exhaustive()
    }
}

impl RecorderGuard {
    pub(super) fn inert() -> RecorderGuard {
        RecorderGuard { active: None, directory: None, memory: None }
    }

    pub(super) fn new(
        running: Running,
        flusher: Flusher,
        (directory, ring_directory): (Option<PathBuf>, Option<PathBuf>),
        memory: Option<MemoryBuffer>,
    ) -> RecorderGuard {
        RecorderGuard { active: Some(Active { running, flusher, ring_directory }), directory, memory }
    }

    /// Takes everything that was recorded before this call to the sink, and returns when it is there.
    ///
    /// # Errors
    /// If the sink fails. What it could not take waits in the rings.
    ///
    /// ```
    /// # fn example(recorder: &spanring::RecorderGuard) -> Result<(), Box<dyn std::error::Error>> {
    /// recorder.flush()?;
    /// println!("{} records are in the segments", recorder.health().flushed);
    /// # Ok(())
    /// # }
    /// ```
    pub fn flush(&self) -> Result<(), FlushError> {
        self.active.as_ref().ok_or(FlushError::NotRunning).and_then(|active| flush_running(&active.running))
    }

    /// How it goes.
    ///
    /// ```
    /// # fn example(recorder: &spanring::RecorderGuard) {
    /// let health = recorder.health();
    /// if !health.is_good() {
    ///     eprintln!("{health}"); // recording: 55607 records flushed, 12 lost
    /// }
    /// # }
    /// ```
    pub fn health(&self) -> Health {
        let health = self.active.as_ref().map(|active| health_of(&active.running)).unwrap_or_default();
        Health { directory: self.directory.clone(), ..health }
    }

    /// From now on no span begins, until [`RecorderGuard::resume`]: instrumented code costs what it costs while nobody records. Spans that
    /// are open end as ever, and their ends are recorded, so none looks as if it ran on.
    ///
    /// What begins on another thread at this very moment may still begin. A future that is wrapped meanwhile, and recorded when it is
    /// polled later, stands in no span. [`pause`](crate::pause) does the same without the guard.
    ///
    /// ```
    /// # fn example(recorder: &spanring::RecorderGuard) {
    /// # fn warm_up() {}
    /// recorder.pause();
    /// warm_up();
    /// recorder.resume();
    /// # }
    /// ```
    pub fn pause(&self) {
        self.set_paused(true);
    }

    /// Spans begin again, after [`RecorderGuard::pause`].
    ///
    /// ```
    /// # fn example(recorder: &spanring::RecorderGuard) {
    /// recorder.resume();
    /// assert!(!recorder.health().paused);
    /// # }
    /// ```
    pub fn resume(&self) {
        self.set_paused(false);
    }

    fn set_paused(&self, paused: bool) {
        if let Some(running) = self.running_here() {
            set_paused(&running.session, paused);
        }
    }

    /// From now on spans are recorded that this filter wants: those whose future is wrapped, or whose scope is entered, from here on. What is
    /// open goes on. [`set_filter`](crate::set_filter) does the same without the guard.
    ///
    /// Each different filter that was ever set stays in memory, for as long as the process lives.
    ///
    /// ```
    /// # fn example(recorder: &spanring::RecorderGuard) -> Result<(), spanring::FilterError> {
    /// recorder.set_filter("service::db=max,med".parse()?);
    /// assert_eq!(recorder.health().filter.as_deref(), Some("service::db=max,med"));
    /// # Ok(())
    /// # }
    /// ```
    pub fn set_filter(&self, filter: Filter) {
        if let Some(running) = self.running_here() {
            choose(&running.session, || verdict::set(filter));
        }
    }

    /// From now on this share of the root spans is recorded, each with everything in it: of those whose future is wrapped, or whose scope is
    /// entered, from here on. What is open goes on as it began. [`set_sampling`](crate::set_sampling) does the same without the guard.
    ///
    /// ```
    /// use spanring::Sampling;
    ///
    /// # fn example(recorder: &spanring::RecorderGuard) {
    /// recorder.set_sampling(Sampling::share(0.1));
    /// // .. until it is quiet again ..
    /// recorder.set_sampling(Sampling::ALL);
    /// # }
    /// ```
    pub fn set_sampling(&self, share: Sampling) {
        if let Some(running) = self.running_here() {
            choose(&running.session, || sampling::set(share));
        }
    }

    /// What runs, unless it is the parent's.
    fn running_here(&self) -> Option<&Running> {
        self.active.as_ref().map(|active| &active.running).filter(|running| running.pid == std::process::id())
    }

    /// The session's directory; `None` if it records to memory or to a sink of your own.
    ///
    /// ```
    /// # fn example(recorder: &spanring::RecorderGuard) {
    /// if let Some(directory) = recorder.directory() {
    ///     println!("what is recorded: spanring info {}", directory.display());
    /// }
    /// # }
    /// ```
    pub fn directory(&self) -> Option<&Path> {
        self.directory.as_deref()
    }

    /// What was recorded to memory, up to the last flush; `None` if it records elsewhere.
    ///
    /// ```no_run
    /// use spanring::Recorder;
    /// use spanring::reader::Recording;
    ///
    /// # fn main() -> Result<(), Box<dyn std::error::Error>> {
    /// let recorder = Recorder::builder().memory().start()?;
    /// recorder.flush()?;
    /// let bytes = recorder.memory().map(|buffer| buffer.bytes()).unwrap_or_default();
    /// let recording = Recording::from_segment(&bytes)?;
    /// # Ok(())
    /// # }
    /// ```
    pub fn memory(&self) -> Option<&MemoryBuffer> {
        self.memory.as_ref()
    }

    /// Takes everything that was recorded before this call to the disk, so that it survives a loss of power, and returns when it is
    /// there. Whatever the [`SyncPolicy`](crate::SyncPolicy).
    ///
    /// # Errors
    /// If the sink fails, or the disk.
    ///
    /// ```
    /// # fn example(recorder: &spanring::RecorderGuard) -> Result<(), Box<dyn std::error::Error>> {
    /// recorder.sync()?;
    /// println!("{} records survive a loss of power", recorder.health().synced);
    /// # Ok(())
    /// # }
    /// ```
    pub fn sync(&self) -> Result<(), FlushError> {
        let Some(Active { running, .. }) = &self.active else { return Err(FlushError::NotRunning) };
        flush_running(running)?;
        let _muted = mute(this_thread());
        lock(&running.drainer).sync().map_err(FlushError::Sink)
    }

    /// Writes what the rings hold to a session of its own, and returns its directory when it is there: see
    /// [`Snapshots`](crate::Snapshots). However short a time ago the last one was taken. `reason` is shown with it.
    ///
    /// Takes as long as it takes to write; recording goes on meanwhile.
    ///
    /// # Errors
    /// If the recorder keeps no snapshots, or it cannot be written.
    ///
    /// ```
    /// # fn example(recorder: &spanring::RecorderGuard) -> Result<(), Box<dyn std::error::Error>> {
    /// let directory = recorder.snapshot("a customer called")?;
    /// println!("it is in {}", directory.display());
    /// # Ok(())
    /// # }
    /// ```
    pub fn snapshot(&self, reason: &str) -> Result<PathBuf, SnapshotError> {
        let running = self.running_here().ok_or(SnapshotError::NotRunning)?;
        running.taker.as_ref().ok_or(SnapshotError::NotKept)?.take(&running.drainer, reason)
    }

    /// Stops: no record begins after this call, and all that were begun are flushed. Returns the final counts.
    ///
    /// # Errors
    /// If not everything reached the sink. What the rings still hold stays in their files, where a reader finds it.
    ///
    /// ```
    /// # fn example(recorder: spanring::RecorderGuard) -> Result<(), Box<dyn std::error::Error>> {
    /// let health = recorder.stop()?;
    /// assert_eq!(health.lost, 0, "{health}");
    /// # Ok(())
    /// # }
    /// ```
    pub fn stop(mut self) -> Result<Health, FlushError> {
        let result = self.stop_now();
        result.map(|health| Health { directory: self.directory.clone(), ..health })
    }

    fn stop_now(&mut self) -> Result<Health, FlushError> {
        let Some(Active { running, flusher, ring_directory }) = self.active.take() else {
            return Ok(Health::default());
        };
        if running.pid != std::process::id() {
            // The thread, the files and the locks in here are the parent's.
            std::mem::forget((running, flusher));
            return Ok(Health::default());
        }
        clear_running();
        let deadline = Instant::now() + SETTLE;
        let logs = running.session.logs();
        let pause = |looks: u64| {
            if looks > 100 {
                std::thread::yield_now();
            }
            Instant::now() < deadline
        };
        let unsettled = logs.iter().filter(|log| !GATE.wait_until_idle(&log.busy, pause)).count();
        flusher.stop();
        if let Some(taker) = &running.taker {
            taker.finish(&running.drainer);
        }
        let finished = lock(&running.drainer).finish();
        let health = Health { recording: false, paused: false, ..health_of(&running) };
        running.session.disband();
        finished.map_err(FlushError::Sink)?;
        if unsettled > 0 {
            return Err(FlushError::Unsettled(unsettled));
        }
        // All that the rings held is in the segments.
        if let Some(directory) = ring_directory {
            super::files::remove_rings(&directory, health.rings);
        }
        if let Some(directory) = &self.directory {
            super::files::trim_names(directory, running.session.names.used_bytes());
        }
        Ok(health)
    }
}

impl Drop for RecorderGuard {
    fn drop(&mut self) {
        // A failure cannot be returned from here; the session's files tell of it, and `stop` does.
        let _ = self.stop_now();
    }
}

/// Takes everything that was recorded before this call to the sink of the running recorder, and returns when it is there.
///
/// # Errors
/// If no recorder runs, or the sink fails.
///
/// ```
/// # fn example() {
/// if let Err(error) = spanring::flush() {
///     eprintln!("{error}");
/// }
/// # }
/// ```
pub fn flush() -> Result<(), FlushError> {
    let running = running_of_this_process().ok_or(FlushError::NotRunning)?;
    flush_running(&running)
}

/// Asks the running recorder for a [snapshot](crate::Snapshots), which its background thread takes within some 20 milliseconds. `reason`
/// is shown with it. Returns whether one will be taken: `false` if no recorder runs that keeps snapshots, or if another one was asked for,
/// or taken, a moment ago ([`Snapshots::apart`](crate::Snapshots::apart)).
///
/// Waits for nothing, but takes a lock and allocates: not for signal handlers.
///
/// ```
/// # fn example(queued: usize) {
/// if queued > 10_000 && spanring::request_snapshot("the queue is long") {
///     println!("there will be a snapshot of what led to it");
/// }
/// # }
/// ```
pub fn request_snapshot(reason: &str) -> bool {
    running_of_this_process().and_then(|running| running.taker).is_some_and(|taker| taker.ask(reason))
}

/// Pauses the running recorder: see [`RecorderGuard::pause`]. Returns whether there is one.
///
/// ```
/// # fn example() {
/// if !spanring::pause() {
///     eprintln!("no recorder runs here");
/// }
/// # }
/// ```
pub fn pause() -> bool {
    set_running_paused(true)
}

/// The running recorder goes on: see [`RecorderGuard::resume`]. Returns whether there is one.
///
/// ```
/// # fn example() {
/// if !spanring::resume() {
///     eprintln!("no recorder runs here");
/// }
/// # }
/// ```
pub fn resume() -> bool {
    set_running_paused(false)
}

fn set_running_paused(paused: bool) -> bool {
    running_of_this_process().inspect(|running| set_paused(&running.session, paused)).is_some()
}

/// Changes what the running recorder records: see [`RecorderGuard::set_filter`]. Returns whether there is one.
///
/// ```
/// # fn example(text: &str) -> Result<(), spanring::FilterError> {
/// let heard = spanring::set_filter(text.parse()?); // what an operator sent, such as "service::db=off"
/// # Ok(())
/// # }
/// ```
pub fn set_filter(filter: Filter) -> bool {
    choose_running(|| verdict::set(filter))
}

/// Changes what share of the root spans the running recorder records: see [`RecorderGuard::set_sampling`]. Returns whether there is one.
///
/// ```
/// # fn example(text: &str) -> Result<(), spanring::SamplingError> {
/// let heard = spanring::set_sampling(text.parse()?); // "0.01" is one root of a hundred
/// # Ok(())
/// # }
/// ```
pub fn set_sampling(share: Sampling) -> bool {
    choose_running(|| sampling::set(share))
}

fn choose_running(change: impl FnOnce()) -> bool {
    running_of_this_process().inspect(|running| choose(&running.session, change)).is_some()
}

/// How the running recorder goes; `None` if none runs.
///
/// ```
/// # fn example() {
/// match spanring::health() {
///     Some(health) => println!("{health}"),
///     None => println!("no recorder runs here"),
/// }
/// # }
/// ```
pub fn health() -> Option<Health> {
    running_of_this_process().map(|running| health_of(&running))
}

/// What runs, unless it is the parent's.
fn running_of_this_process() -> Option<Running> {
    running().filter(|running| running.pid == std::process::id())
}

fn flush_running(running: &Running) -> Result<(), FlushError> {
    if running.pid != std::process::id() {
        return Err(FlushError::NotRunning);
    }
    let _muted = mute(this_thread());
    lock(&running.drainer).drain(Round::Everything).map(|_| ()).map_err(FlushError::Sink)
}

fn health_of(running: &Running) -> Health {
    let drainer = lock(&running.drainer);
    let status = drainer.status();
    let snapshots = running.taker.as_ref().map(|taker| taker.counts()).unwrap_or_default();
    let running_now = GATE.generation() == running.session.generation;
    Health {
        recording: running_now && recording(),
        paused: running_now && !recording(),
        filter: verdict::current().filter(|_| running_now).map(ToString::to_string),
        sampling: if running_now { sampling::current() } else { Sampling::ALL },
        unsampled: running.session.unsampled(),
        directory: None,
        flushed: status.flushed,
        synced: status.synced,
        lost: status.lost,
        waits: status.waits,
        refused: status.refused,
        stray_ends: drainer.stray_ends(),
        names_lost: status.names_lost,
        unscanned: status.unscanned,
        write_errors: status.write_errors,
        last_error: drainer.last_error().map(str::to_owned),
        spoiled_files: status.spoiled_files,
        snapshots: snapshots.taken,
        snapshots_suppressed: snapshots.suppressed,
        snapshots_failed: snapshots.failed,
        last_snapshot_error: snapshots.last_error,
        rings: drainer.rings(),
        unmapped_rings: running.session.unmapped_rings.load(Ordering::Relaxed) + drainer.removed_rings(),
    }
}
