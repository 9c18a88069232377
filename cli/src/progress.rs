//! How far a long reading is.
//!
//! ```no_run
//! use spanring::reader::Recording;
//! use spanring_cli::progress::Progress;
//! use spanring_cli::spans;
//!
//! struct Count;
//!
//! impl Progress for Count {
//!     fn at(&mut self, records: u64) {
//!         eprint!("\r{records} records");
//!     }
//!
//!     fn finish(&mut self) {
//!         eprintln!();
//!     }
//! }
//!
//! # fn main() -> Result<(), spanring::reader::ReadError> {
//! let recording = Recording::open("recording")?;
//! spans::read_with(&recording, &mut Count, &mut |_| {})?;
//! # Ok(())
//! # }
//! ```

use indicatif::{ProgressBar, ProgressDrawTarget, ProgressStyle};
use spanring::reader::Recording;
use std::io::{self, IsTerminal};
use std::time::Duration;

/// Is told now and then how far a reading is.
///
/// ```
/// use spanring_cli::progress::Progress;
///
/// /// How far it is, for others to look at.
/// #[derive(Default)]
/// struct Shown {
///     records: u64,
///     is_done: bool,
/// }
///
/// impl Progress for Shown {
///     fn at(&mut self, records: u64) {
///         // Since the beginning, not since the last time.
///         self.records = records;
///     }
///
///     fn finish(&mut self) {
///         self.is_done = true;
///     }
/// }
/// # let mut shown = Shown::default();
/// # [1000, 2000].iter().for_each(|&records| shown.at(records));
/// # shown.finish();
/// # assert_eq!((shown.records, shown.is_done), (2000, true));
/// ```
pub trait Progress {
    /// So many records have been read or found missing.
    ///
    /// ```
    /// use spanring_cli::progress::Progress;
    ///
    /// /// What there is to read, and how much of it is left.
    /// struct Left(u64, u64);
    ///
    /// impl Progress for Left {
    ///     fn at(&mut self, records: u64) {
    ///         // A recording that grows may have more than there was.
    ///         self.1 = self.0.saturating_sub(records);
    ///     }
    ///
    ///     fn finish(&mut self) {}
    /// }
    /// # let mut left = Left(100, 100);
    /// # left.at(70);
    /// # assert_eq!(left.1, 30);
    /// # left.at(130);
    /// # assert_eq!(left.1, 0);
    /// ```
    fn at(&mut self, records: u64);

    /// Everything has been read.
    ///
    /// ```
    /// use spanring_cli::progress::{Progress, Silent};
    ///
    /// /// As a reader does, of so many records.
    /// fn read(records: u64, progress: &mut dyn Progress) {
    ///     (0..records).step_by(1000).for_each(|so_far| progress.at(so_far));
    ///     progress.finish();
    /// }
    /// read(10_000, &mut Silent);
    /// ```
    fn finish(&mut self);
}

/// Nobody wants to know.
///
/// ```
/// use spanring_cli::progress::{Progress, Silent};
///
/// let mut progress = Silent;
/// progress.at(1000);
/// progress.finish();
/// ```
#[derive(Clone, Copy, Debug, Default)]
pub struct Silent;

impl Progress for Silent {
    fn at(&mut self, _: u64) {}

    fn finish(&mut self) {}
}

/// A bar on standard error, if that is a terminal. It shows up only if the reading takes a while, and vanishes at the end.
///
/// ```no_run
/// use spanring::reader::Recording;
/// use spanring_cli::progress::Bar;
/// use spanring_cli::spans;
///
/// # fn main() -> Result<(), spanring::reader::ReadError> {
/// let recording = Recording::open("recording")?;
/// let mut bar = Bar::new(&recording, "counting");
/// let summary = spans::read_with(&recording, &mut bar, &mut |_| {})?;
/// println!("{} records", summary.records);
/// # Ok(())
/// # }
/// ```
#[derive(Debug)]
pub struct Bar {
    bar: ProgressBar,
}

/// Readings that are faster than this have no bar.
const PATIENCE: Duration = Duration::from_millis(400);

impl Bar {
    /// A bar for one reading of `recording`; `what` stands before it.
    ///
    /// ```no_run
    /// use spanring::reader::Recording;
    /// use spanring_cli::progress::{Bar, Progress, Silent};
    ///
    /// /// A bar, unless the user wants none.
    /// fn progress(recording: &Recording, quiet: bool) -> Box<dyn Progress> {
    ///     if quiet { Box::new(Silent) } else { Box::new(Bar::new(recording, "reading")) }
    /// }
    /// ```
    pub fn new(recording: &Recording, what: &'static str) -> Bar {
        if !io::stderr().is_terminal() {
            return Bar { bar: ProgressBar::hidden() };
        }
        // What the recorder counted. A process that was killed may have written some more.
        let expected = recording.status().map_or(0, |status| status.flushed.saturating_add(status.lost));
        let bar = ProgressBar::with_draw_target(Some(expected.max(1)), ProgressDrawTarget::stderr_with_hz(10));
        let style = ProgressStyle::with_template("{msg} [{bar:30}] {percent:>3} %  {human_pos} events, {eta} left");
        bar.set_style(style.expect("the template is right").progress_chars("=> "));
        bar.set_message(what);
        Bar { bar }
    }
}

impl Progress for Bar {
    fn at(&mut self, records: u64) {
        if self.bar.elapsed() >= PATIENCE {
            if self.bar.length().is_some_and(|expected| records > expected) {
                self.bar.set_length(records);
            }
            self.bar.set_position(records);
        }
    }

    fn finish(&mut self) {
        self.bar.finish_and_clear();
    }
}
