//! What a session is: who recorded, since when, how much, and what is missing.
//!
//! ```no_run
//! use spanring::reader::{Recording, sessions};
//! use spanring_cli::info;
//!
//! # fn main() -> Result<(), spanring::reader::ReadError> {
//! for session in info::list(&sessions("recording")?) {
//!     println!("{} {}", session.session, session.writer);
//! }
//! let session = info::describe(&Recording::open("recording")?)?;
//! println!("{}", session.path.display());
//! # Ok(())
//! # }
//! ```

use crate::spans::{self, Counter, DetailTotals, Ending, Instant, Item, add, thread_label};
use rustc_hash::FxHashMap;
use serde::Serialize;
use spanring::reader::{Damage, LossCause, NameState, ReadError, Recording, Summary, ThreadFacts};
use std::path::PathBuf;

/// Everything that `spanring info` tells about one session.
///
/// ```
/// use spanring_cli::info::SessionInfo;
///
/// /// Whether a killed process took something with it that its rings did not save.
/// fn lost_in_a_crash(info: &SessionInfo) -> bool {
///     info.writer == "died" && !info.complete
/// }
/// ```
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct SessionInfo {
    /// The session's name: that of its directory.
    pub session: String,
    /// Where it is.
    pub path: PathBuf,
    /// Of a snapshot: the session whose rings it shows, and why it was taken.
    pub snapshot: Option<SnapshotInfo>,
    /// Which spans were recorded at the start, as the recorder's filter has it; empty: all.
    pub filter: String,
    /// What share of the root spans was recorded at the start, from 0 to 1; empty: all.
    pub sampling: String,
    /// `running`, `stopped`, `died`, or `unknown` if the session file, which would say so, is missing or damaged.
    pub writer: String,
    /// The recording process.
    pub pid: u32,
    /// Its program.
    pub executable: String,
    /// The machine's name.
    pub host: String,
    /// Operating system.
    pub os: String,
    /// Processor architecture.
    pub arch: String,
    /// Version of spanring that recorded.
    pub version: String,
    /// When the recording began, in nanoseconds since 1970.
    pub started_unix_ns: u64,
    /// The latest time in any record, in nanoseconds since 1970; `None` without records.
    pub last_record_unix_ns: Option<u64>,
    /// `drain` (everything goes to files) or `flight` (the latest of each thread).
    pub discipline: String,
    /// What the ticks in the records count: `tsc`, `cntvct` or `monotonic`.
    pub tick_source: String,
    /// Size of each thread's ring, in bytes.
    pub ring_bytes: u64,
    /// Records that were read.
    pub records: u64,
    /// Of these, records that were still in a ring: those that a killed process had not written out yet.
    pub recovered_records: u64,
    /// Of these, records of a kind that this version does not know.
    pub unknown_records: u64,
    /// Spans.
    pub spans: u64,
    /// Spans without an end.
    pub open_spans: u64,
    /// Attributes, instants and counters.
    pub beside_spans: DetailTotals,
    /// What is missing, and why.
    pub missing: Missing,
    /// No record, name or byte is known to be missing, but for what was overwritten (flight discipline) or retired (the budget) by design.
    pub complete: bool,
    /// The threads that recorded, in the order in which they were met.
    pub threads: Vec<ThreadInfo>,
}

/// What a snapshot is of.
///
/// ```
/// use spanring_cli::info::SnapshotInfo;
///
/// let info = SnapshotInfo { of: "orders-4711".to_owned(), reason: "p99 over 1s".to_owned() };
/// let json = serde_json::to_string(&info).expect("text");
/// assert_eq!(json, r#"{"of":"orders-4711","reason":"p99 over 1s"}"#);
/// ```
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct SnapshotInfo {
    /// The session whose rings it shows.
    pub of: String,
    /// Why it was taken.
    pub reason: String,
}

/// What a session lacks.
///
/// ```
/// use spanring_cli::info::Missing;
///
/// let missing = Missing { dropped_records: 3, damaged_records: 2, retired_records: 500, ..Missing::default() };
/// assert_eq!(missing.records(), 5, "the budget of the directory is as it was asked for");
/// assert!(!missing.is_by_design());
/// ```
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize)]
pub struct Missing {
    /// Records that were not written because a ring was full.
    pub dropped_records: u64,
    /// Records that newer ones overwrote, which is how flight discipline works.
    pub overwritten_records: u64,
    /// Records whose segment was removed to keep the directory within its budget.
    pub retired_records: u64,
    /// Records in stretches of files that could not be understood, as far as is known.
    pub damaged_records: u64,
    /// Spans whose begin record is lost; their end records tell nearly everything.
    pub begins: u64,
    /// Spans whose names are lost.
    pub names: u64,
    /// Spans whose names were too long to be recorded whole.
    pub cut_names: u64,
    /// Stretches of files that could not be understood.
    pub damage: Vec<DamageInfo>,
}

/// A stretch of a file that could not be understood.
///
/// ```
/// use spanring_cli::info::DamageInfo;
///
/// fn line(damage: &DamageInfo) -> String {
///     format!("{}, byte {}: {}", damage.path.display(), damage.offset, damage.what)
/// }
/// let damage = DamageInfo { path: "0001.seg".into(), offset: 4096, bytes: 512, records: 9, what: "bad checksum" };
/// assert_eq!(line(&damage), "0001.seg, byte 4096: bad checksum");
/// ```
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct DamageInfo {
    /// The file.
    pub path: PathBuf,
    /// Where in it, in bytes.
    pub offset: u64,
    /// How long, in bytes.
    pub bytes: u64,
    /// How many records that held, as far as is known.
    pub records: u64,
    /// What is wrong there.
    pub what: &'static str,
}

/// What one thread recorded.
///
/// ```
/// use spanring_cli::info::ThreadInfo;
///
/// /// Spans that left the thread that they began on, or are open; negative: that came from others.
/// fn emigrants(thread: &ThreadInfo) -> i64 {
///     thread.began as i64 - thread.ended as i64
/// }
/// let worker = ThreadInfo { id: 2, os_id: 4712, name: "worker".to_owned(), began: 10, ended: 12, lost_records: 0 };
/// assert_eq!(emigrants(&worker), -2);
/// ```
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct ThreadInfo {
    /// Unique in the session.
    pub id: u32,
    /// The operating system's number, 0 if unknown.
    pub os_id: u64,
    /// The thread's name, or `thread N` if it has none.
    pub name: String,
    /// Spans that began on it.
    pub began: u64,
    /// Spans that ended on it.
    pub ended: u64,
    /// Records of it that are missing.
    pub lost_records: u64,
}

/// One session in a list of several.
///
/// ```
/// use spanring_cli::info::Listed;
///
/// /// What to look at after a crash.
/// fn died(sessions: &[Listed]) -> impl Iterator<Item = &str> {
///     sessions.iter().filter(|listed| listed.writer == "died").map(|listed| listed.session.as_str())
/// }
/// assert_eq!(died(&[]).next(), None);
/// ```
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Listed {
    /// The session's name: that of its directory.
    pub session: String,
    /// When the recording began, in nanoseconds since 1970; `None` if the session cannot be read.
    pub started_unix_ns: Option<u64>,
    /// The recording process; `None` if the session cannot be read.
    pub pid: Option<u32>,
    /// `running`, `stopped`, `died`, `unknown` or `unreadable`.
    pub writer: String,
}

/// The sessions in these directories, briefly.
///
/// ```
/// use spanring_cli::info::list;
///
/// let listed = list(&["recording/no-such-session".into()]);
/// assert_eq!((listed[0].session.as_str(), listed[0].writer.as_str()), ("no-such-session", "unreadable"));
/// assert_eq!(listed[0].pid, None);
/// ```
pub fn list(sessions: &[PathBuf]) -> Vec<Listed> {
    let listed = |path: &PathBuf| {
        let session = path.file_name().unwrap_or(path.as_os_str()).to_string_lossy().into_owned();
        match Recording::open(path) {
            Ok(recording) => Listed {
                session,
                started_unix_ns: Some(recording.facts().started_unix_ns),
                pid: Some(recording.facts().pid),
                writer: recording.writer().to_string(),
            },
            Err(_) => Listed { session, started_unix_ns: None, pid: None, writer: "unreadable".to_owned() },
        }
    };
    sessions.iter().map(listed).collect()
}

/// Reads a session and describes it.
///
/// # Errors
/// Those of [`Recording::read`].
///
/// ```no_run
/// use spanring::reader::Recording;
/// use spanring_cli::info::describe;
///
/// # fn main() -> Result<(), spanring::reader::ReadError> {
/// let info = describe(&Recording::open("recording")?)?;
/// println!("{}: {} spans, {} of them open", info.session, info.spans, info.open_spans);
/// for damage in &info.missing.damage {
///     println!("{}, byte {}: {}", damage.path.display(), damage.offset, damage.what);
/// }
/// # Ok(())
/// # }
/// ```
pub fn describe(recording: &Recording) -> Result<SessionInfo, ReadError> {
    let mut tally = Tally::default();
    let summary = spans::read(recording, &mut |item| tally.add(&item))?;
    Ok(tally.finish(recording, &summary))
}

/// Counts while items stream by.
#[derive(Debug, Default)]
pub(crate) struct Tally {
    threads: Vec<ThreadInfo>,
    by_id: FxHashMap<u32, usize>,
    spans: u64,
    open_spans: u64,
    last_record_unix_ns: Option<u64>,
    missing: Missing,
    beside: DetailTotals,
}

impl Tally {
    /// Adds what [`crate::spans::read`] hands out.
    pub(crate) fn add(&mut self, item: &Item<'_>) {
        match item {
            Item::Thread(facts) => {
                let thread = self.thread(facts.id);
                (thread.os_id, thread.name) = (facts.os_id, thread_label(facts));
            }
            Item::Span(span) => {
                self.spans += 1;
                self.open_spans += u64::from(span.ending == Ending::Open);
                self.missing.begins += u64::from(span.begin_lost);
                self.missing.names += u64::from(span.name_state == NameState::Missing);
                self.missing.cut_names += u64::from(span.name_state == NameState::Cut);
                self.last_record_unix_ns = self.last_record_unix_ns.max(Some(span.end_ns.unwrap_or(span.begin_ns)));
                if let Some(thread) = span.begin_thread {
                    self.thread(thread).began += 1;
                }
                if let Some(thread) = span.end_thread {
                    self.thread(thread).ended += 1;
                }
            }
            Item::Loss(loss) => {
                add(&mut self.thread(loss.thread).lost_records, loss.records);
                match loss.cause {
                    LossCause::Dropped => add(&mut self.missing.dropped_records, loss.records),
                    LossCause::Overwritten => add(&mut self.missing.overwritten_records, loss.records),
                    LossCause::Retired => add(&mut self.missing.retired_records, loss.records),
                }
            }
            Item::Damage(damage) => self.missing.damage.push(DamageInfo::new(damage)),
            Item::Instant(Instant { unix_ns, .. }) | Item::Counter(Counter { unix_ns, .. }) => {
                self.last_record_unix_ns = self.last_record_unix_ns.max(Some(*unix_ns));
            }
            Item::Details(totals) => self.beside = *totals,
        }
    }

    /// Everything about a recording of which all was added.
    pub(crate) fn finish(mut self, recording: &Recording, summary: &Summary) -> SessionInfo {
        let facts = recording.facts();
        // Some damage shows only in the numbers of the records around it: the reader's count is the whole.
        self.missing.damaged_records = summary.damaged;
        SessionInfo {
            session: facts.session.clone(),
            path: recording.path().to_owned(),
            snapshot: (!facts.snapshot_of.is_empty())
                .then(|| SnapshotInfo { of: facts.snapshot_of.clone(), reason: facts.snapshot_reason.clone() }),
            filter: facts.filter.clone(),
            sampling: facts.sampling.clone(),
            writer: recording.writer().to_string(),
            pid: facts.pid,
            executable: facts.executable.clone(),
            host: facts.host.clone(),
            os: facts.os.clone(),
            arch: facts.arch.clone(),
            version: facts.version.clone(),
            started_unix_ns: facts.started_unix_ns,
            last_record_unix_ns: self.last_record_unix_ns,
            discipline: facts.discipline.to_string(),
            tick_source: facts.tick_source.to_string(),
            ring_bytes: facts.ring_bytes,
            records: summary.records,
            recovered_records: summary.recovered,
            unknown_records: summary.unknown,
            spans: self.spans,
            open_spans: self.open_spans,
            beside_spans: self.beside,
            complete: self.missing.is_by_design(),
            missing: self.missing,
            threads: self.threads,
        }
    }

    fn thread(&mut self, id: u32) -> &mut ThreadInfo {
        let index = *self.by_id.entry(id).or_insert_with(|| {
            self.threads.push(ThreadInfo::new(&ThreadFacts { id, os_id: 0, name: String::new() }));
            self.threads.len() - 1
        });
        &mut self.threads[index]
    }
}

impl ThreadInfo {
    fn new(facts: &ThreadFacts) -> ThreadInfo {
        ThreadInfo { id: facts.id, os_id: facts.os_id, name: thread_label(facts), began: 0, ended: 0, lost_records: 0 }
    }
}

impl DamageInfo {
    pub(crate) fn new(damage: &Damage) -> DamageInfo {
        DamageInfo {
            path: damage.path.clone(),
            offset: damage.offset,
            bytes: damage.bytes,
            records: damage.records,
            what: damage.what,
        }
    }
}

impl Missing {
    /// Records that are missing although they should not: all but those that newer ones overwrote, and those that were retired.
    ///
    /// ```
    /// use spanring_cli::info::Missing;
    ///
    /// let missing = Missing { dropped_records: 3, overwritten_records: 1000, ..Missing::default() };
    /// assert_eq!(missing.records(), 3);
    /// ```
    pub fn records(&self) -> u64 {
        self.dropped_records.saturating_add(self.damaged_records)
    }

    /// Nothing is missing but what newer records overwrote or the directory's budget retired, begins included.
    ///
    /// ```
    /// use spanring_cli::info::Missing;
    ///
    /// let overwritten = Missing { overwritten_records: 1000, ..Missing::default() };
    /// assert!(overwritten.is_by_design());
    /// assert!(!Missing { dropped_records: 3, ..overwritten }.is_by_design());
    /// ```
    pub fn is_by_design(&self) -> bool {
        let Missing { overwritten_records, retired_records, .. } = *self;
        let begins = if overwritten_records > 0 || retired_records > 0 { self.begins } else { 0 };
        *self == Missing { overwritten_records, retired_records, begins, ..Missing::default() }
    }
}
