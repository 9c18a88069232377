//! A recording as one page for a browser: summary, latencies, timeline, open spans, losses, search.
//!
//! The page is one file and asks for nothing else. What it shows is embedded compressed, as [`columns`](self) of numbers; the
//! text of a recording stands nowhere in the markup, so that no name can become a part of it.
//!
//! | | how much of it |
//! |---|---|
//! | counts, totals, percentiles, histograms, activity over time | all spans |
//! | timeline, trees, search | at most [`Options::max_spans`] spans: all, or the open ones, those that failed, the slowest of each name and a uniform sample of whole trees |
//! | list of open spans | the oldest [`MOST_OPEN`] |
//! | attributes, instants | those of the spans that are shown one by one, and the first [`MOST_INSTANTS`] instants in no span |
//! | counters | sums of all values, and least, greatest and last value over time |
//! | losses | all records; of more than [`MOST_LOSSES`] gaps, neighbours are drawn as one |
//!
//! Memory and size of the page are bounded by these limits, not by the size of the recording.
//!
//! ```no_run
//! use spanring::reader::Recording;
//! use spanring_cli::progress::Silent;
//! use spanring_cli::report::{Options, Report};
//!
//! # fn main() -> Result<(), Box<dyn std::error::Error>> {
//! let recording = Recording::open("recording")?;
//! let report = Report::read(&recording, &Options::default(), &mut Silent)?;
//! report.write(&mut std::fs::File::create("report.html")?)?;
//! # Ok(())
//! # }
//! ```

mod activity;
mod beside;
mod columns;
mod latency;
mod layout;
mod losses;
mod page;
mod sample;
mod series;

use crate::info::{DamageInfo, SessionInfo, Tally};
use crate::open::{Circumstances, OpenReport, OpenSpans};
use crate::progress::Progress;
use crate::spans::{self, Ending, Instant, Item, Span};
use crate::top::{Row, SortBy, Top, TopReport};
use activity::Activity;
use latency::Latencies;
use layout::Layout;
use losses::Losses;
use rustc_hash::FxHashMap;
use sample::Sample;
use series::{Drawn, Series};
use spanring::reader::{ReadError, Recording, Status};
use std::time::SystemTime;

/// As many names get rows of their own; spans of further ones are summed up per location.
pub const MOST_NAMES: usize = 100_000;
/// As many open spans are listed.
pub const MOST_OPEN: usize = 10_000;
/// As many gaps are drawn one by one.
pub const MOST_LOSSES: usize = 10_000;

/// As many instants in no span are listed.
pub const MOST_INSTANTS: usize = 10_000;

/// What a report is to contain.
///
/// ```
/// use spanring_cli::report::Options;
///
/// let small = Options { max_spans: 10_000 };
/// assert!(small.max_spans < Options::default().max_spans);
/// ```
#[derive(Clone, Copy, Debug)]
pub struct Options {
    /// The most spans that are embedded one by one.
    pub max_spans: usize,
}

impl Default for Options {
    fn default() -> Options {
        Options { max_spans: 1_000_000 }
    }
}

/// What was written.
///
/// ```
/// use spanring_cli::report::Written;
///
/// fn sampled(written: &Written) -> bool {
///     written.shown < written.spans
/// }
///
/// assert!(sampled(&Written { spans: 2_000_000, shown: 1_000_000, ..Written::default() }));
/// ```
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Written {
    /// Spans of the recording, all of which are in the sums.
    pub spans: u64,
    /// Of these, spans that are embedded one by one.
    pub shown: u64,
    /// Spans that are open.
    pub open: u64,
    /// Records that are missing although they should not be.
    pub missing_records: u64,
    /// Bytes of the page.
    pub bytes: u64,
}

/// Everything that a page shows.
///
/// ```no_run
/// use spanring::reader::Recording;
/// use spanring_cli::progress::Silent;
/// use spanring_cli::report::{Options, Report};
///
/// # fn main() -> Result<(), Box<dyn std::error::Error>> {
/// let recording = Recording::open("recording")?;
/// let report = Report::read(&recording, &Options { max_spans: 1000 }, &mut Silent)?;
/// let written = report.write(&mut std::io::stdout().lock())?;
/// eprintln!("{} of {} spans one by one", written.shown, written.spans);
/// # Ok(())
/// # }
/// ```
#[derive(Debug)]
pub struct Report {
    info: SessionInfo,
    /// Records that the recorder says it took from the rings, and what went wrong.
    status: Option<Status>,
    /// Begins that are there although their records are not.
    carried_begins: u64,
    max_spans: usize,
    top: TopReport,
    /// By number of row.
    histograms: Vec<Vec<(u16, u64)>>,
    activity: Activity,
    losses: Losses,
    open: OpenReport,
    /// In no span.
    instants: Vec<Instant>,
    more_instants: u64,
    counters: Vec<Drawn>,
    sample: sample::Shown,
    layout: Layout,
    made_unix_ns: u64,
}

impl Report {
    /// The places of the recording that could not be read; the page shows them too.
    ///
    /// ```no_run
    /// use spanring::reader::Recording;
    /// use spanring_cli::progress::Silent;
    /// use spanring_cli::report::{Options, Report};
    ///
    /// # fn main() -> Result<(), spanring::reader::ReadError> {
    /// let report = Report::read(&Recording::open("recording")?, &Options::default(), &mut Silent)?;
    /// assert!(report.damage().iter().all(|damage| damage.path.exists()));
    /// # Ok(())
    /// # }
    /// ```
    pub fn damage(&self) -> &[DamageInfo] {
        &self.info.missing.damage
    }

    /// Reads a recording.
    ///
    /// # Errors
    /// Those of [`Recording::read`].
    ///
    /// ```no_run
    /// use spanring::reader::Recording;
    /// use spanring_cli::progress::Bar;
    /// use spanring_cli::report::{Options, Report};
    ///
    /// # fn main() -> Result<(), Box<dyn std::error::Error>> {
    /// let recording = Recording::open("recording")?;
    /// let mut bar = Bar::new(&recording, "reading");
    /// let report = Report::read(&recording, &Options::default(), &mut bar)?;
    /// report.write(&mut std::fs::File::create("report.html")?)?;
    /// # Ok(())
    /// # }
    /// ```
    pub fn read(recording: &Recording, options: &Options, progress: &mut dyn Progress) -> Result<Report, ReadError> {
        let now = SystemTime::now();
        let circumstances = Circumstances::of(recording, now);
        let mut tally = Tally::default();
        let mut top = Top::bounded(MOST_NAMES);
        let mut open = OpenSpans::default();
        let mut collected = Collected::new(recording.facts().started_unix_ns, options.max_spans);
        let summary = spans::read_with(recording, progress, &mut |item| {
            tally.add(&item);
            open.add(&item);
            match &item {
                Item::Span(span) => {
                    let row = top.add_span(span);
                    collected.add(span, row, top.is_other(row));
                }
                Item::Loss(loss) => collected.losses.add(loss),
                Item::Instant(instant) if collected.instants.len() < MOST_INSTANTS => {
                    collected.instants.push((*instant).clone());
                }
                Item::Instant(_) => collected.more_instants += 1,
                Item::Counter(counter) => collected.series.add(counter),
                Item::Thread(_) | Item::Damage(_) | Item::Details(_) => {}
            }
        })?;
        open.find_parents(recording, &summary)?;
        let mut open = open.finish(&circumstances, 0);
        open.limit(MOST_OPEN);
        let sample = collected.sample.finish();
        let top = top.finish(SortBy::Total);
        let layout = Layout::of(&sample.spans, &places(&top.rows));
        Ok(Report {
            info: tally.finish(recording, &summary),
            status: recording.status().copied(),
            carried_begins: summary.carried,
            max_spans: options.max_spans,
            histograms: collected.latencies.by_row(top.rows.len()),
            top,
            activity: collected.activity,
            losses: collected.losses.finish(),
            open,
            instants: collected.instants,
            more_instants: collected.more_instants,
            counters: collected.series.finish(),
            layout,
            sample,
            made_unix_ns: now.duration_since(SystemTime::UNIX_EPOCH).unwrap_or_default().as_nanos() as u64,
        })
    }
}

/// What is collected while spans stream by, besides what other commands show.
struct Collected {
    latencies: Latencies,
    activity: Activity,
    losses: Losses,
    instants: Vec<Instant>,
    more_instants: u64,
    series: Series,
    sample: Sample,
}

impl Collected {
    fn new(started_unix_ns: u64, max_spans: usize) -> Collected {
        Collected {
            latencies: Latencies::default(),
            activity: Activity::since(started_unix_ns),
            losses: Losses::default(),
            instants: Vec::new(),
            more_instants: 0,
            series: Series::since(started_unix_ns),
            sample: Sample::new(max_spans),
        }
    }

    fn add(&mut self, span: &Span<'_>, row: u32, is_other: bool) {
        if let Some(duration) = span.duration_ns() {
            self.latencies.add(row, duration);
        }
        self.activity.add(span);
        self.sample.add(span, row, is_other);
    }
}

/// A number for the place of each row: the same for all names that are made there.
fn places(rows: &[Row]) -> Vec<u32> {
    let mut numbers = FxHashMap::default();
    let mut places = vec![0; rows.len()];
    for row in rows {
        // Of what the recording lost the place of, nothing but the name tells it from others.
        let name = if row.file.is_none() { row.name.as_str() } else { "" };
        let next = numbers.len() as u32;
        places[row.number as usize] = *numbers.entry((&row.file, row.line, &row.target, name)).or_insert(next);
    }
    places
}

/// Whether a span ended otherwise than by completing.
fn failed(ending: Ending) -> bool {
    matches!(ending, Ending::Failed | Ending::Cancelled | Ending::Panicked)
}
