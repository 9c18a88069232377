//! Asking a running process for a snapshot, and waiting for it.
//!
//! ```no_run
//! use spanring::reader::Recording;
//! use spanring_cli::snapshot;
//! use std::time::Duration;
//!
//! # fn main() -> Result<(), Box<dyn std::error::Error>> {
//! let recording = Recording::open("recording")?;
//! let taken = snapshot::take(&recording, "an alert", Duration::from_secs(10))?;
//! println!("{} records in {}", taken.records, taken.path.display());
//! # Ok(())
//! # }
//! ```

use serde::Serialize;
use spanring::format::snapshot_request::{self, Answer};
use spanring::reader::{ReadError, Recording, WriterState};
use std::io;
use std::path::PathBuf;
use std::time::{Duration, Instant};

/// How often to look for an answer.
const LOOK_EVERY: Duration = Duration::from_millis(20);

/// A snapshot that was taken.
///
/// ```
/// use spanring_cli::snapshot::Taken;
///
/// let taken = Taken { path: "snapshots/orders-4711-1".into(), records: 3000 };
/// let json = serde_json::to_string(&taken).expect("text");
/// assert_eq!(json, r#"{"path":"snapshots/orders-4711-1","records":3000}"#);
/// ```
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Taken {
    /// Its directory.
    pub path: PathBuf,
    /// Records in it.
    pub records: u64,
}

/// Why there is no snapshot.
///
/// ```
/// use spanring_cli::snapshot::SnapshotError;
///
/// /// Whether to ask again in a moment.
/// fn is_passing(error: &SnapshotError) -> bool {
///     matches!(error, SnapshotError::Busy { .. } | SnapshotError::NoAnswer { .. })
/// }
/// # assert!(is_passing(&SnapshotError::Busy { session: "recording".into() }));
/// ```
#[derive(Debug)]
#[non_exhaustive]
pub enum SnapshotError {
    /// The process does not record any more.
    NotRunning {
        /// The session.
        session: PathBuf,
    },
    /// The recorder was not told to keep snapshots.
    NotKept {
        /// The session.
        session: PathBuf,
    },
    /// Somebody else waits for one.
    Busy {
        /// The session.
        session: PathBuf,
    },
    /// The process did not answer.
    NoAnswer {
        /// The session.
        session: PathBuf,
        /// The process.
        pid: u32,
        /// How long it had.
        waited: Duration,
    },
    /// The process says that it cannot.
    Failed {
        /// Why.
        why: String,
    },
    /// The request cannot be written.
    Io {
        /// The session.
        session: PathBuf,
        /// Why.
        source: io::Error,
    },
    /// The snapshot cannot be read.
    Read(ReadError),
}

impl std::fmt::Display for SnapshotError {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            SnapshotError::NotRunning { session } => write!(
                f,
                "{}: nobody records to this any more; what its rings held is in it: `spanring slow`, `spanring open`",
                session.display()
            ),
            SnapshotError::NotKept { session } => write!(
                f,
                "{}: its process keeps no snapshots; give its recorder some, with `Builder::snapshots`, in flight discipline",
                session.display()
            ),
            SnapshotError::Busy { session } => {
                write!(f, "{}: another request is waiting for an answer; try again in a moment", session.display())
            }
            SnapshotError::NoAnswer { session, pid, waited } => write!(
                f,
                "{}: process {pid} did not answer within {waited:?}: it may be stopped; what its rings hold can be read as it is: \
                 `spanring open`, `spanring slow`",
                session.display()
            ),
            SnapshotError::Failed { why } => f.write_str(why),
            SnapshotError::Io { session, source } => {
                write!(
                    f,
                    "{}: cannot ask for a snapshot: {source}; run this as the user of that process",
                    session.display()
                )
            }
            SnapshotError::Read(error) => error.fmt(f),
        }
    }
}

impl std::error::Error for SnapshotError {
    fn source(&self) -> Option<&(dyn std::error::Error + 'static)> {
        match self {
            SnapshotError::Io { source, .. } => Some(source),
            SnapshotError::Read(error) => Some(error),
            _ => None,
        }
    }
}

/// Asks the process that records to this session for a snapshot, and waits until it is there.
///
/// # Errors
/// If nobody can answer, or there is no answer within `patience`, or the process could not do it.
///
/// ```no_run
/// use spanring::reader::Recording;
/// use spanring_cli::snapshot::{SnapshotError, take};
/// use std::time::Duration;
///
/// # fn main() -> Result<(), Box<dyn std::error::Error>> {
/// match take(&Recording::open("recording")?, "p99 over 1s", Duration::from_secs(10)) {
///     Ok(taken) => println!("{}", taken.path.display()),
///     Err(SnapshotError::NoAnswer { pid, .. }) => println!("process {pid} is not well: read its rings as they are"),
///     Err(error) => return Err(error.into()),
/// }
/// # Ok(())
/// # }
/// ```
pub fn take(recording: &Recording, reason: &str, patience: Duration) -> Result<Taken, SnapshotError> {
    let session = recording.path().to_owned();
    if matches!(recording.writer(), WriterState::Stopped | WriterState::Died) {
        return Err(SnapshotError::NotRunning { session });
    }
    if recording.facts().snapshots.is_empty() {
        return Err(SnapshotError::NotKept { session });
    }
    snapshot_request::ask(&session, reason).map_err(|source| match source.kind() {
        io::ErrorKind::AlreadyExists => SnapshotError::Busy { session: session.clone() },
        _ => SnapshotError::Io { session: session.clone(), source },
    })?;
    let began = Instant::now();
    loop {
        match snapshot_request::fetch(&session) {
            Some(Answer::Taken(path)) => return count(path),
            Some(Answer::Failed(why)) => return Err(SnapshotError::Failed { why }),
            None if began.elapsed() >= patience => {
                snapshot_request::withdraw(&session);
                let pid = recording.facts().pid;
                return Err(SnapshotError::NoAnswer { session, pid, waited: patience });
            }
            None => std::thread::sleep(LOOK_EVERY),
        }
    }
}

fn count(path: PathBuf) -> Result<Taken, SnapshotError> {
    let summary = Recording::open(&path).and_then(|recording| recording.read(&mut |_| {}));
    summary.map(|summary| Taken { path, records: summary.records }).map_err(SnapshotError::Read)
}
