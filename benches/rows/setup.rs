//! Where a row records to.

use super::{Row, timed};
use spanring::sink::NullSink;
use spanring::{Builder, Discipline, Filter, Recorder, RecorderGuard, Sampling};
use std::path::Path;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;
use tempfile::TempDir;

/// Where spans are recorded to.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Setup {
    /// Nobody records.
    Off,
    /// Flight discipline, rings on the heap.
    Heap,
    /// The same with a filter that wants no spans of their level.
    Refused,
    /// The same with a filter that wants none of their target.
    RefusedByTarget,
    /// The same with sampling that leaves out every root.
    Unsampled,
    /// The same with a filter that wants all of them.
    Wanted,
    /// Flight discipline, rings in mapped files on disk.
    Disk,
    /// Flight discipline, rings in mapped files on tmpfs.
    Tmpfs,
    /// Drain discipline, forgotten by the flusher.
    DrainNull,
    /// Drain discipline, streamed to segment files on disk.
    DrainFiles,
}

/// tmpfs, where there is one.
const TMPFS: &str = "/dev/shm";
/// So that a burst fits in, whatever the row.
const DRAINED_RING_BYTES: u64 = 8 << 20;
/// A span takes 128 bytes, 192 with an attribute, or 256 with a run-time name of up to 56; so this is at most half of the ring.
const DRAINED_BURST: u64 = DRAINED_RING_BYTES / 256 / 2;

/// A running recorder, or none.
pub struct Recording {
    guard: Option<RecorderGuard>,
    /// In drain discipline: records that were written, or are being written.
    expected: Option<AtomicU64>,
    _directories: Vec<TempDir>,
}

impl Setup {
    pub const RECORDING: [Setup; 9] = [
        Setup::Refused,
        Setup::RefusedByTarget,
        Setup::Unsampled,
        Setup::Heap,
        Setup::Wanted,
        Setup::Disk,
        Setup::Tmpfs,
        Setup::DrainNull,
        Setup::DrainFiles,
    ];

    pub fn name(self) -> &'static str {
        match self {
            Setup::Off => "nobody records",
            Setup::Heap => "flight, heap",
            Setup::Refused => "refused by level",
            Setup::RefusedByTarget => "refused by target",
            Setup::Unsampled => "not sampled",
            Setup::Wanted => "flight, heap, wanted by a filter",
            Setup::Disk => "flight, mapped file on disk",
            Setup::Tmpfs => "flight, mapped file on tmpfs",
            Setup::DrainNull => "drain, to nothing",
            Setup::DrainFiles => "drain, to files",
        }
    }

    /// Whether this machine can do it.
    pub fn exists(self) -> bool {
        self != Setup::Tmpfs || Path::new(TMPFS).is_dir()
    }

    /// Spans that are timed together; then the flusher is waited for, if it drains.
    pub fn burst(self) -> u64 {
        if self.drains() { DRAINED_BURST } else { 2048 }
    }

    fn drains(self) -> bool {
        matches!(self, Setup::DrainNull | Setup::DrainFiles)
    }

    /// Starts the recorder.
    pub fn start(self) -> Recording {
        let on_disk = || tempfile::tempdir_in(env!("CARGO_TARGET_TMPDIR")).expect("the target directory is writable");
        let flight = || Recorder::builder().discipline(Discipline::Flight);
        let drain = || Recorder::builder().ring_bytes(DRAINED_RING_BYTES).flush_interval(Duration::from_millis(1));
        let filter = |text: &str| text.parse::<Filter>().expect("a filter");
        let mut directories = Vec::new();
        let builder: Option<Builder> = match self {
            Setup::Off => None,
            Setup::Heap => Some(flight().sink(NullSink)),
            Setup::Refused => Some(flight().sink(NullSink).filter(filter("off"))),
            Setup::RefusedByTarget => {
                // That of the spans: the module in which they are made.
                let rows = module_path!().trim_end_matches("::setup");
                Some(flight().sink(NullSink).filter(filter(&format!("{rows}=off"))))
            }
            Setup::Unsampled => Some(flight().sink(NullSink).sampling(Sampling::NONE)),
            Setup::Wanted => Some(flight().sink(NullSink).filter(filter("elsewhere=off"))),
            Setup::Disk => {
                directories.push(on_disk());
                Some(flight().directory(directories[0].path()))
            }
            Setup::Tmpfs => {
                directories.extend([on_disk(), tempfile::tempdir_in(TMPFS).expect("tmpfs is writable")]);
                Some(flight().directory(directories[0].path()).ring_directory(directories[1].path()))
            }
            Setup::DrainNull => Some(drain().sink(NullSink)),
            Setup::DrainFiles => {
                directories.push(on_disk());
                Some(drain().directory(directories[0].path()))
            }
        };
        let guard = builder.map(|builder| builder.start().expect("nothing else records in this process"));
        Recording { guard, expected: self.drains().then(AtomicU64::default), _directories: directories }
    }
}

impl Recording {
    /// Times some spans of `row`, which the ring has room for; then waits for the flusher, if it drains.
    pub fn burst(&self, row: Row, spans: u64) -> Duration {
        let (Some(guard), Some(expected), 1..) = (&self.guard, &self.expected, row.records) else {
            return timed(|| (row.run)(spans));
        };
        // Before they are written: another thread's records must not be taken for these.
        expected.fetch_add(row.records * spans, Ordering::Relaxed);
        let elapsed = timed(|| (row.run)(spans));
        loop {
            let health = guard.health();
            assert_eq!(health.lost, 0, "a burst fits in the ring");
            if health.flushed >= expected.load(Ordering::Relaxed) {
                return elapsed;
            }
            std::thread::sleep(Duration::from_micros(100));
        }
    }
}
