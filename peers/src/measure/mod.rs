//! The measurements. Each runs in a process of its own, with one library in it, and prints its figures.
//!
//! All of them make spans in the same way: bursts of [`BURST`] spans, one every [`PERIOD`] on each thread. So every library has the
//! same load, and time in between for its background; what does not arrive is counted.

mod clocks;
mod cost;
mod cpu;
mod instructions;
mod pace;
mod single;
mod tasks;

use crate::libraries::{bare_of, floor_of};
use crate::library::{Library, Off, Outcome, Recording, Row};
use std::path::Path;
use std::time::Duration;

/// Spans in a burst.
pub const BURST: u64 = 4096;
/// From the begin of a burst to the begin of the next: a million spans a second.
pub const PERIOD: Duration = Duration::from_millis(4);

/// What is measured.
#[derive(Clone, Copy)]
pub struct Subject {
    pub library: &'static dyn Library,
    /// `None` if it is not started.
    pub setup: Option<usize>,
    pub row: Row,
}

/// How it is measured.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug)]
pub enum Measure {
    /// Time of the recording thread, on 1 and on 2 threads, beside the floor.
    Cost,
    /// Time of all threads, page faults, bytes on disk.
    Cpu,
    /// How long single spans take.
    Single,
    /// Time of all threads for tasks of a tokio runtime, beside tasks without spans.
    Tasks,
    /// Instructions; only with an instruction counter around the process.
    Instructions,
}

/// How much of it.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Scale {
    Quick,
    Full,
}

/// What came out.
pub type Figures = Vec<(&'static str, f64)>;

impl Measure {
    pub const ALL: [Measure; 5] = [Measure::Cost, Measure::Cpu, Measure::Single, Measure::Tasks, Measure::Instructions];

    pub fn name(self) -> &'static str {
        match self {
            Measure::Cost => "cost",
            Measure::Cpu => "cpu",
            Measure::Single => "single",
            Measure::Tasks => "tasks",
            Measure::Instructions => "instructions",
        }
    }

    /// Measures in this process, which has not measured anything before.
    pub fn run(self, subject: Subject, scale: Scale) -> Figures {
        match self {
            Measure::Cost => cost::cost(subject, scale),
            Measure::Cpu => cpu::cpu(subject, scale),
            Measure::Single => single::single(subject, scale),
            Measure::Tasks => tasks::tasks(subject, scale),
            Measure::Instructions => instructions::instructions(subject),
        }
    }
}

pub use instructions::{SPANS as COUNTED_SPANS, SYMBOL as COUNTED_SYMBOL};

impl Scale {
    /// One of two values.
    pub fn pick<T>(self, quick: T, full: T) -> T {
        match self {
            Scale::Quick => quick,
            Scale::Full => full,
        }
    }
}

impl Subject {
    fn start(&self, directory: &Path) -> Box<dyn Recording> {
        match self.setup {
            Some(setup) => self.library.start(setup, directory),
            None => Box::new(Off),
        }
    }

    fn floor(&self) -> fn(u64) {
        floor_of(&self.row)
    }

    fn bare(&self) -> fn(u64) {
        bare_of(&self.row)
    }
}

/// The share of `made` spans that are in the sink.
fn arrived(outcome: Option<Outcome>, made: u64) -> Figures {
    outcome.map(|outcome| ("arrived", outcome.spans as f64 / made as f64)).into_iter().collect()
}

/// A directory for what a library writes, beside the program: on the disk where it was built.
fn directory() -> tempfile::TempDir {
    let program = std::env::current_exe().expect("the program has a path");
    let beside = program.parent().expect("it is in a directory");
    tempfile::tempdir_in(beside).expect("what was built there can be written there")
}

fn median(mut values: Vec<f64>) -> f64 {
    values.sort_by(f64::total_cmp);
    values[values.len() / 2]
}
