//! Two recordings compared: which names got slower, and whether that is more than noise.
//!
//! Spans are the same if they have the same name, kind and source file; lines move when a program is changed. What is compared is
//! the median. How much chance there is in it is told by order statistics: of `n` durations, the median of what they are samples of
//! lies, at 99 % confidence, between the two whose ranks are 1.29 √n below and above the middle. That assumes nothing on how the
//! durations are distributed; it does assume that they do not depend on each other, which spans of a busy service do to a degree, so
//! a range that just misses zero means less than its 99 % say. The range of a change goes from the lower bound after by the upper
//! bound before to the upper bound after by the lower bound before.
//!
//! ```no_run
//! use spanring::reader::Recording;
//! use spanring_cli::diff::{Side, compare};
//! use spanring_cli::spans;
//!
//! # fn main() -> Result<(), spanring::reader::ReadError> {
//! let read = |path: &str| {
//!     let mut side = Side::default();
//!     spans::read(&Recording::open(path)?, &mut |item| side.add(&item))?;
//!     Ok::<Side, spanring::reader::ReadError>(side)
//! };
//! let report = compare(read("before")?, read("after")?);
//! println!("{} names compared", report.rows.len());
//! # Ok(())
//! # }
//! ```

use crate::info::DamageInfo;
use crate::spans::Item;
use crate::top::{Durations, Group, Top, kind_word};
use serde::Serialize;
use std::collections::BTreeMap;

/// How far from the middle the bounds of a median are, in halves of the square root of the number: for 99 %.
const CONFIDENCE: f64 = 2.576;

/// One of the recordings, while it streams by.
///
/// ```no_run
/// use spanring::reader::{ReadError, Recording};
/// use spanring_cli::diff::Side;
/// use spanring_cli::filter::Filter;
/// use spanring_cli::progress::Silent;
///
/// /// What is compared need not be everything.
/// fn side(recording: &Recording, filter: &Filter) -> Result<Side, ReadError> {
///     let mut side = Side::default();
///     filter.of(recording).read(recording, &mut Silent, &mut |item| side.add(item))?;
///     Ok(side)
/// }
/// ```
#[derive(Debug)]
pub struct Side {
    top: Top,
}

/// Two recordings compared.
///
/// ```
/// use spanring_cli::diff::{DiffReport, Side, Verdict, compare};
///
/// /// The name whose getting slower costs most: what got slower comes first.
/// fn worst(report: &DiffReport) -> Option<&str> {
///     report.rows.first().filter(|row| row.verdict == Verdict::Slower).map(|row| row.name.as_str())
/// }
/// assert_eq!(worst(&compare(Side::default(), Side::default())), None);
/// ```
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct DiffReport {
    /// What both recordings are as a whole.
    pub before: Whole,
    /// Likewise.
    pub after: Whole,
    /// One row for each name, kind and file: what got slower, that which costs most first; then what is new, what got faster, what is
    /// unclear, and what is gone.
    pub rows: Vec<Row>,
}

/// One of two recordings as a whole.
///
/// ```
/// use spanring_cli::diff::{Side, Whole, compare};
///
/// /// The part of the spans that did not go well.
/// fn fault_rate(whole: &Whole) -> f64 {
///     (whole.failed + whole.cancelled + whole.panicked) as f64 / whole.spans.max(1) as f64
/// }
/// let nothing = compare(Side::default(), Side::default());
/// assert_eq!(fault_rate(&nothing.after), 0.0);
/// ```
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct Whole {
    /// All spans, open ones included.
    pub spans: u64,
    /// Those that ended with an error.
    pub failed: u64,
    /// Those that were cancelled.
    pub cancelled: u64,
    /// Those that panicked.
    pub panicked: u64,
    /// Records that are missing.
    pub lost_records: u64,
    /// Stretches of the files that could not be understood.
    pub damaged: u64,
    /// The first of them.
    pub damage: Option<DamageInfo>,
}

/// The spans of one name, kind and file in both recordings.
///
/// ```
/// # use spanring::reader::{NameState, SpanKind};
/// use spanring_cli::diff::{Row, Side, Verdict, compare};
/// # use spanring_cli::spans::{Ending, Item, Span};
///
/// # fn query(id: u64, ns: u64) -> Span<'static> {
/// #     Span {
/// #         id, parent: 0, depth: 0, kind: SpanKind::Async, name: "query", name_index: None, name_state: NameState::Whole,
/// #         place: None, ending: Ending::Completed, created_ns: None, begin_ns: 1000, end_ns: Some(1000 + ns),
/// #         begin_thread: Some(1), end_thread: Some(1), polls: 1, busy_ns: None, busy_partial: false, begin_lost: false,
/// #         end_may_be_lost: false, details: None,
/// #     }
/// # }
/// /// A hundred spans that took as long.
/// fn side(ns: u64) -> Side {
///     let mut side = Side::default();
///     (1..=100).for_each(|id| side.add(&Item::Span(query(id, ns))));
///     side
/// }
///
/// let report = compare(side(10_000), side(15_000));
/// let query: &Row = &report.rows[0];
/// assert_eq!((query.name.as_str(), query.verdict), ("query", Verdict::Slower));
/// assert!(query.change.is_some_and(|change| (0.4..0.6).contains(&change)), "half as long again");
/// assert!(query.impact_ns > 400_000, "a hundred times 5 µs, to three digits");
/// ```
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct Row {
    /// The name.
    pub name: String,
    /// `async` or `thread`.
    pub kind: &'static str,
    /// Source file; `None` if the recording lost the location.
    pub file: Option<String>,
    /// What is to be said of it.
    pub verdict: Verdict,
    /// In the first recording.
    pub before: Measured,
    /// In the second one.
    pub after: Measured,
    /// By how much the median changed, as a part of the one before: 0.5 for half as long again. `None` unless there are both.
    pub change: Option<f64>,
    /// The least and the greatest change that go with what was measured, at 99 % confidence; `None` if there are too few spans.
    pub change_range: Option<(f64, f64)>,
    /// What the change costs: the difference of the medians times the spans after, in nanoseconds.
    pub impact_ns: i64,
}

/// The spans of a [`Row`] in one of the recordings. Times are of those that ended, in nanoseconds.
///
/// ```
/// use spanring_cli::diff::Measured;
///
/// /// How much longer than usual the slowest spans take.
/// fn tail(measured: &Measured) -> Option<f64> {
///     Some(measured.p99_ns? as f64 / measured.p50_ns?.max(1) as f64)
/// }
/// let measured = Measured { count: 100, p50_ns: Some(200), p99_ns: Some(900), ..Measured::default() };
/// assert_eq!(tail(&measured), Some(4.5));
/// assert_eq!(tail(&Measured::default()), None, "nothing has ended");
/// ```
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize)]
pub struct Measured {
    /// Number of spans, open ones included.
    pub count: u64,
    /// Sum of the durations.
    pub total_ns: u64,
    /// Median.
    pub p50_ns: Option<u64>,
    /// 99th percentile.
    pub p99_ns: Option<u64>,
    /// Between which the median is, at 99 % confidence; `None` if there are too few spans.
    pub p50_range_ns: Option<(u64, u64)>,
}

/// What is to be said of a name.
///
/// ```
/// use spanring_cli::diff::Verdict;
///
/// assert!(Verdict::Slower < Verdict::Unclear, "what got slower comes first");
/// ```
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize)]
#[serde(rename_all = "lowercase")]
pub enum Verdict {
    /// The median is higher, by more than noise.
    Slower,
    /// Only the second recording has it.
    New,
    /// The median is lower, by more than noise.
    Faster,
    /// The medians differ by no more than noise may do, or there are too few spans to tell.
    Unclear,
    /// Only the first recording has it.
    Gone,
}

impl Verdict {
    /// One lower-case word.
    ///
    /// ```
    /// use spanring_cli::diff::Verdict;
    ///
    /// assert_eq!(Verdict::Faster.word(), "faster");
    /// ```
    pub fn word(self) -> &'static str {
        match self {
            Verdict::Slower => "slower",
            Verdict::New => "new",
            Verdict::Faster => "faster",
            Verdict::Unclear => "unclear",
            Verdict::Gone => "gone",
        }
    }
}

impl Default for Side {
    fn default() -> Side {
        Side { top: Top::by_file() }
    }
}

impl Side {
    /// Adds what [`crate::filter::Wanted::read`] hands out.
    ///
    /// ```
    /// use spanring::reader::{Loss, LossCause};
    /// use spanring_cli::diff::{Side, compare};
    /// use spanring_cli::spans::Item;
    ///
    /// let loss = Loss { thread: 1, records: 7, cause: LossCause::Dropped, after_unix_ns: None, before_unix_ns: None };
    /// let mut before = Side::default();
    /// before.add(&Item::Loss(loss));
    /// let report = compare(before, Side::default());
    /// assert_eq!((report.before.lost_records, report.after.lost_records), (7, 0));
    /// ```
    pub fn add(&mut self, item: &Item<'_>) {
        self.top.add(item);
    }
}

/// Compares two recordings.
///
/// ```
/// use spanring_cli::diff::{Side, compare};
///
/// let report = compare(Side::default(), Side::default());
/// assert!(report.rows.is_empty());
/// ```
pub fn compare(before: Side, after: Side) -> DiffReport {
    type Key = (String, &'static str, Option<String>);
    let mut rows: BTreeMap<Key, (Measured, Measured)> = BTreeMap::new();
    let mut of = |side: Side, pick: fn(&mut (Measured, Measured)) -> &mut Measured| {
        let mut whole =
            Whole { spans: 0, failed: 0, cancelled: 0, panicked: 0, lost_records: 0, damaged: 0, damage: None };
        (whole.lost_records, whole.damaged, whole.damage) = side.top.missing();
        for (name, mut group) in side.top.into_groups() {
            whole.spans += group.count;
            whole.failed += group.failed;
            whole.cancelled += group.cancelled;
            whole.panicked += group.panicked;
            let file = group.place.as_ref().map(|place| place.location.file.clone());
            let key = (name.into_string(), kind_word(group.kind), file);
            *pick(rows.entry(key).or_default()) = Measured::of(&mut group);
        }
        whole
    };
    let before = of(before, |both| &mut both.0);
    let after = of(after, |both| &mut both.1);
    let mut rows: Vec<Row> = rows
        .into_iter()
        .map(|((name, kind, file), (before, after))| Row::of(name, kind, file, before, after))
        .collect();
    rows.sort_by_key(|row| {
        let weight = match row.verdict {
            Verdict::Slower | Verdict::Faster => row.impact_ns.unsigned_abs(),
            _ => row.after.total_ns.max(row.before.total_ns),
        };
        (row.verdict, std::cmp::Reverse(weight))
    });
    DiffReport { before, after, rows }
}

impl Measured {
    fn of(group: &mut Group) -> Measured {
        let ended = group.count - group.open;
        Measured {
            count: group.count,
            total_ns: group.total_ns,
            p50_ns: group.durations.percentile(50).map(|value| value.min(group.max_ns)),
            p99_ns: group.durations.percentile(99).map(|value| value.min(group.max_ns)),
            p50_range_ns: median_range(&mut group.durations, ended),
        }
    }
}

/// Between which two durations the median is, at the confidence of [`CONFIDENCE`].
fn median_range(durations: &mut Durations, count: u64) -> Option<(u64, u64)> {
    let (middle, half) = (count as f64 / 2.0, CONFIDENCE * (count as f64).sqrt() / 2.0);
    let (low, high) = ((middle - half).floor(), (middle + half).ceil() + 1.0);
    if low < 1.0 || high > count as f64 {
        return None;
    }
    Some((durations.at_rank(low as u64)?.0, durations.at_rank(high as u64)?.1))
}

impl Row {
    fn of(name: String, kind: &'static str, file: Option<String>, before: Measured, after: Measured) -> Row {
        let ratio = |after: u64, before: u64| after.max(1) as f64 / before.max(1) as f64 - 1.0;
        let medians = before.p50_ns.zip(after.p50_ns);
        let ranges = before.p50_range_ns.zip(after.p50_range_ns);
        let change_range = ranges.map(|(before, after)| (ratio(after.0, before.1), ratio(after.1, before.0)));
        let verdict = match change_range {
            _ if before.count == 0 => Verdict::New,
            _ if after.count == 0 => Verdict::Gone,
            Some((low, _)) if low > 0.0 => Verdict::Slower,
            Some((_, high)) if high < 0.0 => Verdict::Faster,
            _ => Verdict::Unclear,
        };
        let spans = i128::from(after.count);
        let impact = medians.map_or(0, |(before, after)| (i128::from(after) - i128::from(before)) * spans);
        Row {
            name,
            kind,
            file,
            verdict,
            before,
            after,
            change: medians.map(|(before, after)| ratio(after, before)),
            change_range,
            impact_ns: i64::try_from(impact).unwrap_or(if impact < 0 { i64::MIN } else { i64::MAX }),
        }
    }
}
