//! What users ask for.

use super::super::error::StartError;
use std::path::PathBuf;
use std::time::Duration;

/// Less holds next to nothing.
const LEAST_BYTES: u64 = 64 << 10;

/// When to keep what the rings hold, where, and how much of it: see [`Builder::snapshots`](crate::Builder::snapshots).
///
/// A snapshot is a session of its own, which every reader opens. By default it is taken only when the program or somebody at a
/// terminal asks for it; at most 10 of them are kept, of 256 MiB together; and what asks by itself is heard once in 10 seconds.
///
/// ```no_run
/// use spanring::{Discipline, Recorder, Snapshots};
/// use std::time::Duration;
///
/// # fn main() -> Result<(), spanring::StartError> {
/// let snapshots = Snapshots::new()
///     .slower_than(Duration::from_secs(1))
///     .slower_than_named("GET /report", Duration::from_secs(20))
///     .on_panic();
/// let recorder = Recorder::builder()
///     .directory("recording")
///     .discipline(Discipline::Flight)
///     .snapshots(snapshots)
///     .start()?;
/// # Ok(())
/// # }
/// ```
#[derive(Clone, Debug)]
pub struct Snapshots {
    pub(super) directory: Option<PathBuf>,
    pub(super) look_back: Option<Duration>,
    pub(super) keep: usize,
    pub(super) bytes: u64,
    pub(super) apart: Duration,
    pub(super) signal: Option<i32>,
    pub(super) on_panic: bool,
    pub(super) slower_than: Option<Duration>,
    pub(super) slower_than_named: Vec<(String, Duration)>,
}

impl Snapshots {
    /// Taken on demand only.
    ///
    /// ```
    /// use spanring::{Discipline, Recorder, Snapshots};
    ///
    /// // `recorder.snapshot("why")` and `spanring snapshot recording` take one.
    /// let builder = Recorder::builder().directory("recording").discipline(Discipline::Flight).snapshots(Snapshots::new());
    /// ```
    pub fn new() -> Snapshots {
        Snapshots {
            directory: None,
            look_back: None,
            keep: 10,
            bytes: 256 << 20,
            apart: Duration::from_secs(10),
            signal: None,
            on_panic: false,
            slower_than: None,
            slower_than_named: Vec::new(),
        }
    }

    /// Where they go. By default to the directory `snapshots` in that of the recording; a recorder without one needs this.
    ///
    /// ```
    /// use spanring::{Discipline, Recorder, Snapshots};
    ///
    /// // Rings in memory, and files only when something is worth it.
    /// let snapshots = Snapshots::new().directory("/var/lib/service/snapshots").on_panic();
    /// let builder = Recorder::builder().memory().discipline(Discipline::Flight).snapshots(snapshots);
    /// ```
    pub fn directory(mut self, path: impl Into<PathBuf>) -> Snapshots {
        self.directory = Some(path.into());
        self
    }

    /// Leaves out what was recorded longer ago than this, but for begins of spans that are still open. By default a snapshot has all
    /// that the rings hold: see [`Builder::ring_bytes`](crate::Builder::ring_bytes).
    ///
    /// ```
    /// use spanring::Snapshots;
    /// use std::time::Duration;
    ///
    /// let snapshots = Snapshots::new().look_back(Duration::from_secs(30));
    /// ```
    pub fn look_back(mut self, time: Duration) -> Snapshots {
        self.look_back = Some(time);
        self
    }

    /// How many are kept, at least 1: when there is one more, the oldest goes. Those that other processes have left in the directory
    /// count as well; one that a living process is writing is not touched.
    ///
    /// ```
    /// use spanring::{Discipline, Recorder, Snapshots, StartError};
    ///
    /// let snapshots = Snapshots::new().keep(3);
    ///
    /// let builder = Recorder::builder().directory("recording").discipline(Discipline::Flight);
    /// let none = builder.snapshots(Snapshots::new().keep(0)).start();
    /// assert!(matches!(none, Err(StartError::SnapshotBounds { keep: 0, .. })));
    /// ```
    pub fn keep(mut self, number: usize) -> Snapshots {
        self.keep = number;
        self
    }

    /// Bytes of all of them together, at least 64 KiB. Of a snapshot that is larger by itself the newest records are kept.
    ///
    /// ```
    /// use spanring::{Discipline, Recorder, Snapshots, StartError};
    ///
    /// let snapshots = Snapshots::new().bytes(1 << 30);
    ///
    /// let builder = Recorder::builder().directory("recording").discipline(Discipline::Flight);
    /// let too_few = builder.snapshots(Snapshots::new().bytes(1000)).start();
    /// assert!(matches!(too_few, Err(StartError::SnapshotBounds { bytes: 1000, .. })));
    /// ```
    pub fn bytes(mut self, bytes: u64) -> Snapshots {
        self.bytes = bytes;
        self
    }

    /// How long it takes after a snapshot before the next one is taken because of a signal, a panic, a slow span or
    /// [`request_snapshot`](crate::request_snapshot). Those that come earlier are counted in
    /// [`Health::snapshots_suppressed`](crate::Health::snapshots_suppressed).
    ///
    /// ```
    /// use spanring::Snapshots;
    /// use std::time::Duration;
    ///
    /// let snapshots = Snapshots::new().on_panic().apart(Duration::from_secs(60));
    /// ```
    pub fn apart(mut self, time: Duration) -> Snapshots {
        self.apart = time;
        self
    }

    /// Takes one when the process gets this signal, `libc::SIGUSR2` for instance. The handler stays for the life of the process, and
    /// passes the signal on to the handler from before, if there was one.
    ///
    /// ```
    /// // Then `kill -USR2 PID` takes one.
    /// let snapshots = spanring::Snapshots::new().on_signal(libc::SIGUSR2);
    /// ```
    pub fn on_signal(mut self, signal: i32) -> Snapshots {
        self.signal = Some(signal);
        self
    }

    /// Takes one when a thread panics. The hook stays for the life of the process, and calls the hook from before. A process that ends
    /// at once leaves none; its rings are there instead, in a recording with a directory.
    ///
    /// ```
    /// let snapshots = spanring::Snapshots::new().on_panic();
    /// ```
    pub fn on_panic(mut self) -> Snapshots {
        self.on_panic = true;
        self
    }

    /// Takes one when a span takes longer than this: when it ends, or, if it does not end, when it is older than this, as far as that
    /// is seen by looking once a second. The flusher looks, not the thread that records.
    ///
    /// ```
    /// use spanring::Snapshots;
    /// use std::time::Duration;
    ///
    /// let snapshots = Snapshots::new().slower_than(Duration::from_secs(1));
    /// ```
    pub fn slower_than(mut self, time: Duration) -> Snapshots {
        self.slower_than = Some(time);
        self
    }

    /// The same for spans of this name, which [`Snapshots::slower_than`] then says nothing about.
    ///
    /// ```
    /// use spanring::Snapshots;
    /// use std::time::Duration;
    ///
    /// let snapshots = Snapshots::new()
    ///     .slower_than(Duration::from_secs(1))
    ///     .slower_than_named("GET /report", Duration::from_secs(20));
    /// ```
    pub fn slower_than_named(mut self, name: impl Into<String>, time: Duration) -> Snapshots {
        self.slower_than_named.push((name.into(), time));
        self
    }

    /// Where they are to go, if that was said.
    pub(in super::super) fn given_directory(&self) -> Option<PathBuf> {
        self.directory.clone()
    }

    pub(in super::super) fn check(&self) -> Result<(), StartError> {
        let (keep, bytes) = (self.keep, self.bytes);
        if keep == 0 || bytes < LEAST_BYTES { Err(StartError::SnapshotBounds { keep, bytes }) } else { Ok(()) }
    }
}

impl Default for Snapshots {
    fn default() -> Snapshots {
        Snapshots::new()
    }
}
