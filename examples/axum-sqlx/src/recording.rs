//! What is recorded, from nothing at all to everything.

use spanring::{Discipline, Recorder, RecorderGuard, StartError};
use std::path::Path;
use tracing_subscriber::filter::LevelFilter;
use tracing_subscriber::prelude::*;

/// How much of the instrumentation is there, each with all of the one before.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, clap::ValueEnum)]
pub enum Record {
    /// Nobody listens to `tracing`, and nothing records.
    Off,
    /// `tracing` has its registry, in which all spans are, and nobody who looks at them.
    Registry,
    /// The layer of `spanring-tracing` is on it, and no recorder runs.
    Idle,
    /// Spans stay in the rings of their threads, which are mapped files, for a snapshot.
    Flight,
    /// All spans go to files.
    On,
}

impl Record {
    /// All of them.
    pub const ALL: [Record; 5] = [Record::Off, Record::Registry, Record::Idle, Record::Flight, Record::On];

    /// Sets up what there is to be in this process, which can be done once. The recorder, if there is one, records until it is stopped.
    ///
    /// # Errors
    /// If the recorder cannot start.
    pub fn start(self, directory: &Path) -> Result<Option<RecorderGuard>, StartError> {
        let layer = (self >= Record::Idle).then(spanring_tracing::layer);
        if self >= Record::Registry {
            tracing_subscriber::registry().with(LevelFilter::INFO).with(layer).init();
        }
        let discipline = match self {
            Record::Off | Record::Registry | Record::Idle => return Ok(None),
            Record::Flight => Discipline::Flight,
            Record::On => Discipline::Drain,
        };
        Recorder::builder().directory(directory).discipline(discipline).start().map(Some)
    }
}
