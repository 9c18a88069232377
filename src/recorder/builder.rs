//! Settings of a recorder, and starting it.

use super::drain::{Drainer, Round};
use super::error::StartError;
use super::files;
use super::filter::Filter;
use super::flusher::Flusher;
use super::gate::{FIRST_GENERATION, MEASURES_POLLS};
use super::guard::RecorderGuard;
use super::retention::{MAX_SESSIONS, Retention};
use super::sampling::Sampling;
use super::session::{RingHome, Running, Session, is_running_here, lock, set_running};
use super::snapshot::{Snapshots, Taker};
use super::sync_policy::SyncPolicy;
use super::{fork, process};
use crate::directory;
use crate::events::{SLOT_BYTES, self_description};
use crate::format::file::FILE_HEADER_BYTES;
use crate::format::{Discipline, ProcessFacts, SessionId};
use crate::mapping;
use crate::queue::Memory;
use crate::sink::{MemoryBuffer, MemorySink, SegmentSink, Sink};
use crate::sync::{AtomicU64, Ordering};
use std::io;
use std::path::{Path, PathBuf};
use std::str::FromStr;
use std::sync::{Arc, Mutex};
use std::time::Duration;

const RING_BYTES: std::ops::RangeInclusive<u64> = 4096..=1 << 30;
const SEGMENT_BYTES: std::ops::RangeInclusive<u64> = 64 << 10..=4 << 30;
const LONGEST_WAIT: Duration = Duration::from_secs(1);
const NAMES_BYTES: std::ops::RangeInclusive<u64> = 4096..=1 << 30;

/// Settings of a recorder. Each has a default; only the destination has to be chosen.
///
/// | setting | default |
/// |---|---|
/// | [`directory`](Builder::directory), [`memory`](Builder::memory) or [`sink`](Builder::sink) | none |
/// | [`ring_directory`](Builder::ring_directory) | beside the recording |
/// | [`ring_bytes`](Builder::ring_bytes) | 512 KiB: 4096 spans between two flushes, per thread |
/// | [`discipline`](Builder::discipline) | [`Discipline::Drain`] |
/// | [`wait_when_full`](Builder::wait_when_full) | not at all |
/// | [`measure_polls`](Builder::measure_polls) | no |
/// | [`guard_truncation`](Builder::guard_truncation) | no |
/// | [`sync`](Builder::sync) | [`SyncPolicy::Never`] |
/// | [`system_clock`](Builder::system_clock) | only where the processor's is not to be trusted |
/// | [`flush_interval`](Builder::flush_interval) | 20 ms, down to 1 ms while a ring fills up |
/// | [`segment_bytes`](Builder::segment_bytes) | 8 MiB |
/// | [`names_bytes`](Builder::names_bytes) | 4 MiB |
/// | [`directory_bytes`](Builder::directory_bytes) | 1 GiB |
/// | [`snapshots`](Builder::snapshots) | none |
/// | [`filter`](Builder::filter) | what `SPANRING_FILTER` says, or else everything |
/// | [`sampling`](Builder::sampling) | what `SPANRING_SAMPLING` says, or else all roots |
///
/// ```no_run
/// use spanring::{Recorder, SyncPolicy};
/// use std::time::Duration;
///
/// # fn main() -> Result<(), spanring::StartError> {
/// let recorder = Recorder::builder()
///     .directory("/var/lib/service/recording")
///     .directory_bytes(4 << 30)
///     .sync(SyncPolicy::Every(Duration::from_secs(5)))
///     .start()?;
/// # Ok(())
/// # }
/// ```
#[derive(Debug)]
#[must_use = "settings record nothing: call start()"]
pub struct Builder {
    directory: Option<PathBuf>,
    ring_directory: Option<PathBuf>,
    memory: bool,
    sink: Option<CustomSink>,
    ring_bytes: u64,
    discipline: Discipline,
    wait_when_full: Duration,
    measure_polls: bool,
    guard_truncation: bool,
    sync: SyncPolicy,
    system_clock: bool,
    #[cfg(feature = "compress")]
    compress: bool,
    flush_interval: Duration,
    segment_bytes: u64,
    names_bytes: u64,
    directory_bytes: u64,
    snapshots: Option<Snapshots>,
    filter: Filter,
    sampling: Sampling,
}

/// Says which spans are recorded, whatever the program says.
const FILTER_VARIABLE: &str = "SPANRING_FILTER";
/// Says what share of the roots is recorded, likewise.
const SAMPLING_VARIABLE: &str = "SPANRING_SAMPLING";

/// What an environment variable says, if there is one, instead of what was given.
fn last_word<T: FromStr>(variable: &str, given: T) -> Result<T, T::Err> {
    std::env::var_os(variable).map_or(Ok(given), |text| text.to_string_lossy().parse())
}

struct CustomSink(Box<dyn Sink>);

impl std::fmt::Debug for CustomSink {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("dyn Sink")
    }
}

impl Builder {
    pub(super) fn new() -> Builder {
        Builder {
            directory: None,
            ring_directory: None,
            memory: false,
            sink: None,
            ring_bytes: 512 << 10,
            discipline: Discipline::Drain,
            wait_when_full: Duration::ZERO,
            measure_polls: false,
            guard_truncation: false,
            sync: SyncPolicy::Never,
            system_clock: false,
            #[cfg(feature = "compress")]
            compress: false,
            flush_interval: Duration::from_millis(20),
            segment_bytes: 8 << 20,
            names_bytes: 4 << 20,
            directory_bytes: 1 << 30,
            snapshots: None,
            filter: Filter::default(),
            sampling: Sampling::ALL,
        }
    }

    /// Records to files below this directory, which is created if need be. Each start adds a session of its own to it.
    ///
    /// Rings are mapped files, so what they hold is still there after `kill -9`.
    ///
    /// ```
    /// let builder = spanring::Recorder::builder().directory("/var/lib/service/recording");
    /// ```
    pub fn directory(mut self, path: impl Into<PathBuf>) -> Builder {
        self.directory = Some(path.into());
        self
    }

    /// Puts the ring files below another directory, on tmpfs for instance. The recording says where, and a reader looks there.
    ///
    /// ```
    /// use spanring::Recorder;
    ///
    /// let builder = Recorder::builder().directory("/var/lib/service/recording").ring_directory("/dev/shm/service");
    /// ```
    pub fn ring_directory(mut self, path: impl Into<PathBuf>) -> Builder {
        self.ring_directory = Some(path.into());
        self
    }

    /// Records to memory only, without bound: see [`RecorderGuard::memory`]. For tests and short runs.
    ///
    /// ```
    /// let builder = spanring::Recorder::builder().memory();
    /// ```
    pub fn memory(mut self) -> Builder {
        self.memory = true;
        self
    }

    /// Records to a sink of your own. Rings are on the heap.
    ///
    /// ```
    /// use spanring::Recorder;
    /// use spanring::sink::NullSink;
    ///
    /// let builder = Recorder::builder().sink(NullSink);
    /// ```
    pub fn sink(mut self, sink: impl Sink + 'static) -> Builder {
        self.sink = Some(CustomSink(Box::new(sink)));
        self
    }

    /// Bytes of slots in each thread's ring, 4096 to 1 GiB, rounded up to a power of two. A span takes 128 bytes.
    ///
    /// There are as many rings as threads ever record at the same time: a service with 512 blocking threads has 256 MiB of them at
    /// the default, on the disk at once and in memory as far as they were used.
    ///
    /// ```
    /// use spanring::{Recorder, StartError};
    ///
    /// let builder = Recorder::builder().directory("recording").ring_bytes(4 << 20); // 32,768 spans a thread
    ///
    /// let too_small = Recorder::builder().directory("recording").ring_bytes(1000).start();
    /// assert!(matches!(too_small, Err(StartError::RingSize { bytes: 1000 })));
    /// ```
    pub fn ring_bytes(mut self, bytes: u64) -> Builder {
        self.ring_bytes = bytes;
        self
    }

    /// What happens to a record for which its ring has no room.
    ///
    /// ```
    /// use spanring::{Discipline, Recorder};
    ///
    /// let builder = Recorder::builder().directory("recording").discipline(Discipline::Flight);
    /// ```
    pub fn discipline(mut self, discipline: Discipline) -> Builder {
        self.discipline = discipline;
        self
    }

    /// In drain discipline, how long at most a thread waits when its ring is full, before it drops its record and counts it; up to a
    /// second. Zero, the default: not at all.
    ///
    /// A waiting thread wakes the flusher, spins for some microseconds, then yields: it makes system calls, and its request is slower
    /// instead of less well recorded. [`Health::waits`](crate::Health::waits) counts the records that waited. Nobody waits after a stop,
    /// nor in a signal handler: a thread does not wait while it is on an alternate signal stack, or has a signal blocked that was not
    /// blocked at its first event. (A handler with `SA_NODEFER`, on the thread's own stack, is not noticed and waits.)
    ///
    /// ```
    /// use spanring::{Recorder, StartError};
    /// use std::time::Duration;
    ///
    /// let builder = Recorder::builder().directory("recording").wait_when_full(Duration::from_millis(5));
    ///
    /// let too_long = Recorder::builder().directory("recording").wait_when_full(Duration::from_secs(2)).start();
    /// assert!(matches!(too_long, Err(StartError::Wait { .. })));
    /// ```
    pub fn wait_when_full(mut self, longest: Duration) -> Builder {
        self.wait_when_full = longest;
        self
    }

    /// Measures every poll of every instrumented future, and when the future was created: how long a span waited for its first poll,
    /// how long it was busy, how long idle.
    ///
    /// A span then leaves a record of 64 bytes for each poll, besides its two, and reads the clock for each of these and once more when
    /// it is created; docs/PERFORMANCE.md says what that costs. In flight discipline a ring reaches back less far.
    ///
    /// ```
    /// let builder = spanring::Recorder::builder().directory("recording").measure_polls(true);
    /// ```
    pub fn measure_polls(mut self, measure: bool) -> Builder {
        self.measure_polls = measure;
        self
    }

    /// Guards the host against others who cut off files that it has mapped: rings, names and the session's status. Without this, as with
    /// every mapped file, that is a `SIGBUS` at the next record or flush, which ends the process. (Segments are not mapped.)
    ///
    /// Installs a handler for `SIGBUS`, for the life of the process, which passes on to the handler from before whatever is not about a
    /// file of a recorder; an own handler is installed before the recorder is started, or it takes the place of this one. What the
    /// file had is lost, and counted as damage by readers; what is recorded later goes on to the next segment, but does not survive
    /// the process while its ring is without a file. [`Health::spoiled_files`](crate::Health::spoiled_files) counts such files. The
    /// first 1024 files mapped at a time are guarded.
    ///
    /// ```
    /// let builder = spanring::Recorder::builder().directory("/tmp/recording").guard_truncation();
    /// ```
    pub fn guard_truncation(mut self) -> Builder {
        self.guard_truncation = true;
        self
    }

    /// What survives a loss of power. By default nothing is promised: see [`SyncPolicy`].
    ///
    /// ```
    /// use spanring::{Recorder, SyncPolicy};
    /// use std::time::Duration;
    ///
    /// let builder = Recorder::builder().directory("recording").sync(SyncPolicy::Every(Duration::from_secs(5)));
    /// ```
    pub fn sync(mut self, policy: SyncPolicy) -> Builder {
        self.sync = policy;
        self
    }

    /// Compresses segments when they are full: spans that are alike take a tenth of the space or less. A thread of its own does that,
    /// for as long as it takes; the stop waits for the last one. Whoever reads the recording needs the feature `compress` too.
    ///
    /// ```
    /// let builder = spanring::Recorder::builder().directory("recording").compress();
    /// ```
    #[cfg(feature = "compress")]
    pub fn compress(mut self) -> Builder {
        self.compress = true;
        self
    }

    /// Stamps records by the system's monotonic clock, also where the processor's own counter can be trusted: for a virtual machine
    /// that is moved between hosts whose counters differ. A record then costs a `clock_gettime` instead of an instruction.
    ///
    /// By default the processor's counter is used if the processor says that it is invariant and the kernel keeps time by it; anchors
    /// in the recording tie it to time, so a rate that drifts over hours does no harm.
    ///
    /// ```
    /// let builder = spanring::Recorder::builder().directory("recording").system_clock();
    /// ```
    pub fn system_clock(mut self) -> Builder {
        self.system_clock = true;
        self
    }

    /// How long the flusher sleeps when little is going on. A ring that fills up shortens the sleep, to a millisecond at least.
    ///
    /// ```
    /// use spanring::{Recorder, StartError};
    /// use std::time::Duration;
    ///
    /// let builder = Recorder::builder().directory("recording").flush_interval(Duration::from_millis(100));
    ///
    /// let never_asleep = Recorder::builder().directory("recording").flush_interval(Duration::ZERO).start();
    /// assert!(matches!(never_asleep, Err(StartError::FlushInterval)));
    /// ```
    pub fn flush_interval(mut self, interval: Duration) -> Builder {
        self.flush_interval = interval;
        self
    }

    /// Bytes of each segment file, 64 KiB to 4 GiB. They are allocated when the file is created.
    ///
    /// ```
    /// use spanring::{Recorder, StartError};
    ///
    /// let builder = Recorder::builder().directory("recording").segment_bytes(64 << 20);
    ///
    /// let too_small = Recorder::builder().directory("recording").segment_bytes(4096).start();
    /// assert!(matches!(too_small, Err(StartError::SegmentSize { bytes: 4096 })));
    /// ```
    pub fn segment_bytes(mut self, bytes: u64) -> Builder {
        self.segment_bytes = bytes;
        self
    }

    /// Bytes for the definitions of locations and static names, 4 KiB to 1 GiB: about 100 for each that is recorded.
    ///
    /// ```
    /// use spanring::{Recorder, StartError};
    ///
    /// let builder = Recorder::builder().directory("recording").names_bytes(16 << 20); // for some 160,000 of them
    ///
    /// let too_small = Recorder::builder().directory("recording").names_bytes(100).start();
    /// assert!(matches!(too_small, Err(StartError::NamesSize { bytes: 100 })));
    /// ```
    pub fn names_bytes(mut self, bytes: u64) -> Builder {
        self.names_bytes = bytes;
        self
    }

    /// Bytes of all sessions in the directory together: over the restarts of a service too, however often it crashes.
    ///
    /// When a segment is begun that would exceed this, sessions of dead processes are removed, oldest first, then the oldest segments
    /// of this one; what was retired is counted, and begins of spans that are still open are carried forward. At least the current
    /// segment is kept, and files of living processes always; nor are there ever more than 100 sessions of dead ones.
    ///
    /// ```
    /// let builder = spanring::Recorder::builder().directory("/var/lib/service/recording").directory_bytes(10 << 30);
    /// ```
    pub fn directory_bytes(mut self, bytes: u64) -> Builder {
        self.directory_bytes = bytes;
        self
    }

    /// Keeps snapshots of what the rings hold, when something asks for it, in flight discipline: what is usual then costs no disk, and what
    /// is not can be looked at. [`Snapshots`] says what may ask.
    ///
    /// While a snapshot is written, what the rings hold is in memory a second time.
    ///
    /// ```
    /// use spanring::{Discipline, Recorder, Snapshots, StartError};
    ///
    /// let snapshots = Snapshots::new().on_panic();
    /// let builder = Recorder::builder().directory("recording").discipline(Discipline::Flight).snapshots(snapshots.clone());
    ///
    /// let in_drain = Recorder::builder().directory("recording").snapshots(snapshots).start();
    /// assert!(matches!(in_drain, Err(StartError::SnapshotsInDrain)));
    /// ```
    pub fn snapshots(mut self, snapshots: Snapshots) -> Builder {
        self.snapshots = Some(snapshots);
        self
    }

    /// Which spans are recorded: see [`Filter`]. The environment variable `SPANRING_FILTER`, if there is one when the recorder is started,
    /// takes the place of this: whoever runs the program has the last word. [`RecorderGuard::set_filter`] changes it later.
    ///
    /// A future is asked for when it is wrapped, a scope when it is entered. What is refused takes some 50 instructions more than while
    /// nobody records; what is made in it is a child of the span around it. A name made at run time is made before the filter is asked.
    ///
    /// ```
    /// use spanring::{Filter, Recorder};
    ///
    /// let filter: Filter = r#"service::db=off,name:"GET /health"=off"#.parse()?;
    /// let builder = Recorder::builder().directory("recording").filter(filter);
    /// # Ok::<(), spanring::FilterError>(())
    /// ```
    pub fn filter(mut self, filter: Filter) -> Builder {
        self.filter = filter;
        self
    }

    /// What share of the root spans is recorded, each with everything in it, chosen by chance when its future is wrapped or its scope
    /// entered: for services that make more spans than their disk should take, at some loss of rare ones. (To keep what is slow or fails, and
    /// nothing else, use [`Builder::snapshots`].) A root is a span that is made in no other. [`Health::unsampled`](crate::Health::unsampled)
    /// counts those that are left out; their instants and attributes are left out too, counters are not. The environment variable
    /// `SPANRING_SAMPLING`, a number from 0 to 1, takes the place of this; [`RecorderGuard::set_sampling`] changes it later.
    ///
    /// ```
    /// use spanring::{Recorder, Sampling};
    ///
    /// let builder = Recorder::builder().sampling(Sampling::share(0.01));
    /// ```
    ///
    /// A root that is left out takes about as many instructions as one that is recorded, but no clock and no room. Once a process has
    /// sampled, each of its spans takes some 60 more than it would, until the process ends.
    pub fn sampling(mut self, sampling: Sampling) -> Builder {
        self.sampling = sampling;
        self
    }

    /// Starts recording. Dropping the guard flushes and stops.
    ///
    /// Without the feature `enable` nothing is created and nothing will be recorded, which the guard's health says.
    ///
    /// # Errors
    /// Says what to change; nothing is left behind.
    ///
    /// ```no_run
    /// use spanring::{Recorder, StartError};
    ///
    /// # fn main() -> Result<(), StartError> {
    /// let recorder = Recorder::builder().directory("recording").start()?;
    /// // There is one at a time.
    /// assert!(matches!(Recorder::builder().memory().start(), Err(StartError::AlreadyRunning)));
    /// # Ok(())
    /// # }
    /// ```
    pub fn start(self) -> Result<RecorderGuard, StartError> {
        self.check()?;
        let filter = last_word(FILTER_VARIABLE, self.filter.clone()).map_err(StartError::FilterVariable)?;
        let sampling = last_word(SAMPLING_VARIABLE, self.sampling).map_err(StartError::SamplingVariable)?;
        if !cfg!(feature = "enable") {
            return Ok(RecorderGuard::inert());
        }
        // Two starts at once would each choose a clock.
        let Some(_starting) = Starting::begin().filter(|_| !is_running_here()) else {
            return Err(StartError::AlreadyRunning);
        };
        fork::watch();
        if self.guard_truncation {
            mapping::guard().map_err(StartError::Guard)?;
        }
        let clock = crate::clock::choose(self.system_clock);
        let slots = (self.ring_bytes / SLOT_BYTES as u64).next_power_of_two();
        let ring_bytes = slots * SLOT_BYTES as u64;
        let mut facts = process::facts(clock, ring_bytes, self.discipline, self.ring_directory.as_deref());
        facts.filter = if filter.wants_all() { String::new() } else { filter.to_string() };
        facts.sampling = if sampling == Sampling::ALL { String::new() } else { sampling.to_string() };
        facts.snapshots = self.snapshot_directory().map(|path| path.display().to_string()).unwrap_or_default();
        let directory = self.directory.as_ref().map(|parent| parent.join(&facts.session));
        let ring_directory = match &self.ring_directory {
            Some(elsewhere) => directory.as_ref().map(|_| elsewhere.join(&facts.session)),
            None => directory.clone(),
        };
        let started = self.start_in(directory.as_deref(), ring_directory.as_deref(), slots, &facts, (filter, sampling));
        if started.is_err() {
            // What was created for this session is of no use to anyone.
            [directory, ring_directory].iter().flatten().for_each(|path| drop(std::fs::remove_dir_all(path)));
        }
        started
    }

    fn start_in(
        mut self,
        directory: Option<&Path>,
        ring_directory: Option<&Path>,
        slots: u64,
        facts: &ProcessFacts,
        (filter, sampling): (Filter, Sampling),
    ) -> Result<RecorderGuard, StartError> {
        static NEXT_GENERATION: AtomicU64 = AtomicU64::new(FIRST_GENERATION);
        let place = match directory {
            Some(directory) => self.place_in(directory, ring_directory, facts)?,
            None => self.place_in_memory(),
        };
        let rings = RingHome {
            directory: ring_directory.map(Path::to_owned),
            session: place.session,
            discipline: self.discipline,
            slots,
            wait: self.wait_when_full,
        };
        let measures = if self.measure_polls { MEASURES_POLLS } else { 0 };
        let generation = NEXT_GENERATION.fetch_add(1, Ordering::Relaxed) | measures;
        let session = Arc::new(Session::new(generation, rings, place.names, FILE_HEADER_BYTES / size_of::<u64>()));
        let retention = self.directory.as_ref().zip(directory);
        let retention = retention.map(|(parent, own)| Retention::new(parent, own, self.directory_bytes, MAX_SESSIONS));
        let mut drainer =
            Drainer::new(Arc::clone(&session), place.sink, facts.encode(), self.sync, place.status, retention);
        drainer.begin(&self_description()).and_then(|()| drainer.drain(Round::Background)).map_err(StartError::Sink)?;
        let drainer = Arc::new(Mutex::new(drainer));
        let taker = match (self.snapshot_directory(), self.snapshots.take()) {
            (Some(parent), Some(snapshots)) => {
                let own = directory.map(Path::to_owned);
                let taker = Taker::new(snapshots, parent, Arc::clone(&session), facts.clone(), own);
                Some(Arc::new(taker.map_err(StartError::SnapshotSignal)?))
            }
            _ => None,
        };
        lock(&drainer).watch(taker.as_ref().and_then(|taker| taker.slow_watch()));
        let alarm = Arc::clone(&session.alarm);
        let flusher = Flusher::start(Arc::clone(&drainer), taker.clone(), self.flush_interval, alarm);
        let flusher = flusher.map_err(StartError::Flusher)?;
        let running = Running { session, drainer, taker, pid: facts.pid };
        if !set_running(running.clone(), filter, sampling) {
            flusher.stop();
            return Err(StartError::AlreadyRunning);
        }
        let directories = (directory.map(Path::to_owned), ring_directory.map(Path::to_owned));
        Ok(RecorderGuard::new(running, flusher, directories, place.memory))
    }

    fn check(&self) -> Result<(), StartError> {
        let destinations = [self.directory.is_some(), self.memory, self.sink.is_some()];
        match destinations.into_iter().filter(|given| *given).count() {
            0 => return Err(StartError::NoDestination),
            1 => {}
            _ => return Err(StartError::TwoDestinations),
        }
        if !RING_BYTES.contains(&self.ring_bytes) {
            return Err(StartError::RingSize { bytes: self.ring_bytes });
        }
        if !SEGMENT_BYTES.contains(&self.segment_bytes) {
            return Err(StartError::SegmentSize { bytes: self.segment_bytes });
        }
        if !NAMES_BYTES.contains(&self.names_bytes) {
            return Err(StartError::NamesSize { bytes: self.names_bytes });
        }
        if self.wait_when_full > LONGEST_WAIT {
            return Err(StartError::Wait { longest: self.wait_when_full });
        }
        if self.flush_interval.is_zero() {
            return Err(StartError::FlushInterval);
        }
        if let Some(snapshots) = &self.snapshots {
            if self.discipline == Discipline::Drain {
                return Err(StartError::SnapshotsInDrain);
            }
            if self.snapshot_directory().is_none() {
                return Err(StartError::SnapshotsWithoutDirectory);
            }
            snapshots.check()?;
        }
        Ok(())
    }

    /// Where snapshots go, if any are to be kept.
    fn snapshot_directory(&self) -> Option<PathBuf> {
        let beside = || self.directory.as_ref().map(|parent| parent.join("snapshots"));
        self.snapshots.as_ref().and_then(|snapshots| snapshots.given_directory().or_else(beside))
    }

    fn place_in_memory(&mut self) -> Place {
        let names = Memory::on_heap((FILE_HEADER_BYTES + self.names_bytes as usize) / size_of::<u64>());
        let (sink, memory): (Box<dyn Sink>, _) = match self.sink.take() {
            Some(CustomSink(sink)) => (sink, None),
            None => {
                let (sink, buffer) = MemorySink::new();
                (Box::new(sink), Some(buffer))
            }
        };
        Place { session: process::new_session_id(), names, sink, memory, status: None }
    }

    fn place_in(
        &self,
        directory: &Path,
        ring_directory: Option<&Path>,
        facts: &ProcessFacts,
    ) -> Result<Place, StartError> {
        let session = process::new_session_id();
        directory::create(directory).map_err(at(directory))?;
        let names_bytes = self.names_bytes as usize;
        let names = files::create_names(directory, session, facts.started_unix_ns, names_bytes);
        let status = files::create_session(directory, session, facts).map_err(at(directory))?;
        // Not before the file that says where it is: nobody would find it if this process were killed in between.
        if let Some(path) = ring_directory {
            directory::create(path).map_err(at(path))?;
        }
        let sink = SegmentSink::new(directory, session, self.segment_bytes as usize);
        let sink = if self.sync == SyncPolicy::Never { sink } else { sink.syncing() };
        #[cfg(feature = "compress")]
        let sink = if self.compress { sink.compressing().map_err(StartError::Flusher)? } else { sink };
        let sink = Box::new(sink);
        Ok(Place { session, names: names.map_err(at(directory))?, sink, memory: None, status: Some(status) })
    }
}

/// A start in progress. Not a lock: a child that is forked meanwhile would find it held for ever.
struct Starting;

/// The process that is starting a recorder; 0 for none.
static STARTING: AtomicU64 = AtomicU64::new(0);

impl Starting {
    /// `None`: another thread of this process is at it.
    fn begin() -> Option<Starting> {
        let own = u64::from(std::process::id());
        // Acquire and, below, release: one start is over before the next begins.
        (STARTING.swap(own, Ordering::Acquire) != own).then(|| Starting)
    }
}

impl Drop for Starting {
    fn drop(&mut self) {
        STARTING.store(0, Ordering::Release);
    }
}

fn at(path: &Path) -> impl FnOnce(io::Error) -> StartError + use<> {
    let path = path.to_owned();
    |source| StartError::Directory { path, source }
}

/// What a recording is written to.
struct Place {
    session: SessionId,
    names: Memory,
    sink: Box<dyn Sink>,
    memory: Option<MemoryBuffer>,
    /// The session file.
    status: Option<Memory>,
}
