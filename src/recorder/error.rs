//! What can go wrong, and what to do about it.

use super::filter::FilterError;
use super::sampling::SamplingError;
use std::io;
use std::path::PathBuf;
use std::time::Duration;

/// Why a recorder did not start.
///
/// ```no_run
/// use spanring::{Recorder, StartError};
///
/// let recorder = match Recorder::builder().directory("recording").start() {
///     Ok(recorder) => Some(recorder),
///     Err(StartError::AlreadyRunning) => None, // whoever started it keeps its guard
///     Err(error) => {
///         eprintln!("nothing is recorded: {error}");
///         None
///     }
/// };
/// ```
#[derive(Debug)]
#[non_exhaustive]
pub enum StartError {
    /// A recorder runs in this process already.
    AlreadyRunning,
    /// The builder was told neither a directory nor a sink.
    NoDestination,
    /// Two destinations were given where one is needed.
    TwoDestinations,
    /// A ring of this size holds too little to be of use, or more than can be mapped.
    RingSize {
        /// Bytes asked for.
        bytes: u64,
    },
    /// A segment of this size holds too little.
    SegmentSize {
        /// Bytes asked for.
        bytes: u64,
    },
    /// The names region is too small or too large.
    NamesSize {
        /// Bytes asked for.
        bytes: u64,
    },
    /// A wait for room in a full ring that is longer than a request may take.
    Wait {
        /// The wait asked for.
        longest: Duration,
    },
    /// The flush interval is zero.
    FlushInterval,
    /// Snapshots of rings that keep nothing: in drain discipline everything goes to files anyway.
    SnapshotsInDrain,
    /// Snapshots have nowhere to go.
    SnapshotsWithoutDirectory,
    /// None of the snapshots, or nothing of any, would be kept.
    SnapshotBounds {
        /// How many were to be kept.
        keep: usize,
        /// How many bytes of all.
        bytes: u64,
    },
    /// The environment variable `SPANRING_SAMPLING` has no share.
    SamplingVariable(SamplingError),
    /// The environment variable `SPANRING_FILTER` has no filter.
    FilterVariable(FilterError),
    /// The handler for the signal that asks for snapshots could not be installed.
    SnapshotSignal(io::Error),
    /// A directory or file could not be created.
    Directory {
        /// Which.
        path: PathBuf,
        /// Why.
        source: io::Error,
    },
    /// The sink refused the first blocks.
    Sink(io::Error),
    /// The handler for `SIGBUS` could not be installed.
    Guard(io::Error),
    /// The flusher's thread could not be started.
    Flusher(io::Error),
}

impl std::fmt::Display for StartError {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            StartError::AlreadyRunning => {
                f.write_str("a recorder is already running in this process: stop it first, by dropping its guard")
            }
            StartError::NoDestination => {
                f.write_str("nowhere to record to: call directory(path), memory() or sink(sink) on the builder")
            }
            StartError::TwoDestinations => {
                f.write_str("two places to record to: choose one of directory, memory and sink")
            }
            StartError::RingSize { bytes } => {
                write!(f, "a ring of {bytes} bytes: choose from 4096 bytes to 1 GiB per thread")
            }
            StartError::SegmentSize { bytes } => write!(f, "a segment of {bytes} bytes: choose from 64 KiB to 4 GiB"),
            StartError::NamesSize { bytes } => write!(f, "a names region of {bytes} bytes: choose from 4 KiB to 1 GiB"),
            StartError::Wait { longest } => {
                write!(f, "a wait of {longest:?} for room in a full ring: choose a second or less")
            }
            StartError::FlushInterval => f.write_str("a flush interval of zero: choose a millisecond or more"),
            StartError::SnapshotsInDrain => f.write_str(
                "snapshots in drain discipline, where everything is written anyway: choose Discipline::Flight, or no snapshots",
            ),
            StartError::SnapshotsWithoutDirectory => {
                f.write_str("nowhere to put snapshots: give the builder or the snapshots a directory")
            }
            StartError::SnapshotBounds { keep, bytes } => {
                write!(f, "{keep} snapshots of {bytes} bytes in all: keep 1 or more, and 64 KiB or more")
            }
            StartError::SamplingVariable(source) => {
                write!(f, "in the environment variable SPANRING_SAMPLING, {source}")
            }
            StartError::FilterVariable(source) => write!(f, "in the environment variable SPANRING_FILTER, {source}"),
            StartError::SnapshotSignal(source) => write!(f, "cannot listen to the signal that asks for snapshots: {source}"),
            StartError::Directory { path, source } => write!(
                f,
                "cannot create {}: {source}; choose a directory that this user can write to, on a disk with room",
                path.display()
            ),
            StartError::Sink(source) => write!(f, "the sink did not take the first blocks: {source}"),
            StartError::Guard(source) => write!(f, "cannot install a handler for SIGBUS: {source}"),
            StartError::Flusher(source) => write!(f, "cannot start the flusher's thread: {source}"),
        }
    }
}

impl std::error::Error for StartError {
    fn source(&self) -> Option<&(dyn std::error::Error + 'static)> {
        match self {
            StartError::FilterVariable(source) => Some(source),
            StartError::SamplingVariable(source) => Some(source),
            StartError::Directory { source, .. }
            | StartError::Sink(source)
            | StartError::Guard(source)
            | StartError::SnapshotSignal(source)
            | StartError::Flusher(source) => Some(source),
            _ => None,
        }
    }
}

/// Why a flush did not reach the sink. What it could not write waits in the rings, and is tried again.
///
/// ```
/// use spanring::FlushError;
///
/// # fn example(recorder: spanring::RecorderGuard) {
/// match recorder.stop() {
///     Ok(health) => println!("{health}"),
///     Err(FlushError::Sink(source)) => eprintln!("the last records are in the ring files only: {source}"),
///     Err(error) => eprintln!("{error}"),
/// }
/// # }
/// ```
#[derive(Debug)]
#[non_exhaustive]
pub enum FlushError {
    /// No recorder runs.
    NotRunning,
    /// The sink failed.
    Sink(io::Error),
    /// So many threads were in the middle of a record for a second after the stop; a debugger may hold them. What they write
    /// later is not in the recording.
    Unsettled(usize),
}

impl std::fmt::Display for FlushError {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            FlushError::NotRunning => f.write_str("no recorder is running: start one and keep its guard"),
            FlushError::Sink(source) => {
                write!(
                    f,
                    "cannot write the recording: {source}; the rings keep what they can hold, and the next flush tries again"
                )
            }
            FlushError::Unsettled(threads) => {
                write!(f, "{threads} threads did not finish the record they were writing")
            }
        }
    }
}

impl std::error::Error for FlushError {
    fn source(&self) -> Option<&(dyn std::error::Error + 'static)> {
        match self {
            FlushError::Sink(source) => Some(source),
            _ => None,
        }
    }
}
