//! `spanring top --live`: what a running process has done lately, and what it is doing, looked at again and again from outside.
//!
//! ```no_run
//! use spanring::reader::Recording;
//! use spanring_cli::filter::Filter;
//! use spanring_cli::live::Live;
//! use spanring_cli::top::SortBy;
//! use std::time::Duration;
//!
//! # fn main() -> Result<(), spanring::reader::ReadError> {
//! let filter = Filter::default();
//! let mut live = Live::default();
//! for _ in 0..10 {
//!     let recording = Recording::open("recording")?;
//!     let view = live.look(&recording, &filter.of(&recording), Duration::from_secs(10), SortBy::Total, 5)?;
//!     println!("{:?} events a second", view.events_per_second);
//!     std::thread::sleep(Duration::from_secs(1));
//! }
//! # Ok(())
//! # }
//! ```

use crate::filter::{Filter, Wanted};
use crate::open::{self, OpenReport};
use crate::spans::{self, Item};
use crate::top::{SortBy, Top, TopReport};
use serde::Serialize;
use spanring::reader::{ReadError, Recording};
use std::time::{Duration, Instant, SystemTime};

/// Watches a recording. Each look reads the whole of it; nothing is kept in between but two numbers.
///
/// ```no_run
/// use spanring::reader::Recording;
/// use spanring_cli::filter::Filter;
/// use spanring_cli::live::Live;
/// use spanring_cli::top::SortBy;
/// use std::time::Duration;
///
/// # fn main() -> Result<(), spanring::reader::ReadError> {
/// let recording = Recording::open("recording")?;
/// let filter = Filter::default();
/// let view = Live::default().look(&recording, &filter.of(&recording), Duration::MAX, SortBy::Total, 1)?;
/// assert_eq!(view.events_per_second, None, "there is nothing to compare a first look with");
/// # Ok(())
/// # }
/// ```
#[derive(Debug, Default)]
pub struct Live {
    /// When the last look was, and how many events there were by then.
    before: Option<(Instant, u64)>,
}

/// One look.
///
/// ```
/// use spanring_cli::live::View;
///
/// /// One line for a log.
/// fn line(view: &View) -> String {
///     let rate = view.events_per_second.map_or("?".to_owned(), |rate| format!("{rate:.0}"));
///     format!("{} is {}: {rate} events/s, {} spans open", view.session, view.writer, view.open.open)
/// }
/// ```
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct View {
    /// The session's name.
    pub session: String,
    /// The process.
    pub pid: u32,
    /// Its program.
    pub executable: String,
    /// `running`, `stopped`, `died` or `unknown`.
    pub writer: String,
    /// When this was read, in nanoseconds since 1970.
    pub unix_ns: u64,
    /// Since the recording began, in nanoseconds.
    pub elapsed_ns: u64,
    /// Events that were ever recorded, whether they can still be read or not.
    pub events: u64,
    /// Events a second since the last look; `None` at the first.
    pub events_per_second: Option<f64>,
    /// How far back the table looks, in nanoseconds.
    pub window_ns: u64,
    /// The spans that ended in that time, and those that are open.
    pub top: TopReport,
    /// What is open.
    pub open: OpenReport,
}

impl Live {
    /// Looks at the spans of the last `window` that are wanted, and at `oldest` of the open ones.
    ///
    /// # Errors
    /// Those of [`Recording::read`].
    ///
    /// ```no_run
    /// use spanring::reader::{ReadError, Recording};
    /// use spanring_cli::filter::Filter;
    /// use spanring_cli::live::Live;
    /// use spanring_cli::top::SortBy;
    /// use std::time::Duration;
    ///
    /// /// The names that most time went to in the last minute, and for how long the oldest span has been open.
    /// fn minute(live: &mut Live, recording: &Recording) -> Result<(Vec<String>, Option<u64>), ReadError> {
    ///     let filter = Filter::default();
    ///     let view = live.look(recording, &filter.of(recording), Duration::from_secs(60), SortBy::Total, 1)?;
    ///     Ok((view.top.rows.into_iter().map(|row| row.name).collect(), view.open.oldest_ns))
    /// }
    /// ```
    pub fn look(
        &mut self,
        recording: &Recording,
        wanted: &Wanted<'_>,
        window: Duration,
        sort: SortBy,
        oldest: usize,
    ) -> Result<View, ReadError> {
        let now = Instant::now();
        let unix_ns = SystemTime::now().duration_since(SystemTime::UNIX_EPOCH).unwrap_or_default().as_nanos() as u64;
        let window_ns = u64::try_from(window.as_nanos()).unwrap_or(u64::MAX);
        let since = unix_ns.saturating_sub(window_ns);
        let mut top = Top::default();
        let summary = spans::read(recording, &mut |item: Item<'_>| {
            let is_shown = match &item {
                Item::Span(span) => span.end_ns.is_none_or(|end| end >= since) && wanted.has(span),
                _ => true,
            };
            if is_shown {
                top.add(&item);
            }
        })?;
        let events = summary.records.saturating_add(summary.lost).saturating_add(summary.retired);
        let before = self.before.replace((now, events));
        let rate = before.map(|(then, before)| {
            let seconds = now.duration_since(then).as_secs_f64().max(f64::MIN_POSITIVE);
            events.saturating_sub(before) as f64 / seconds
        });
        let mut open = open::describe(recording, &Filter::default().of(recording), 0)?;
        open.limit(oldest);
        let facts = recording.facts();
        Ok(View {
            session: facts.session.clone(),
            pid: facts.pid,
            executable: facts.executable.clone(),
            writer: recording.writer().to_string(),
            unix_ns,
            elapsed_ns: unix_ns.saturating_sub(facts.started_unix_ns),
            events,
            events_per_second: rate,
            window_ns,
            top: top.finish(sort),
            open,
        })
    }
}
