//! Single spans with all that is below them: `spanring slow` and `spanring tree`.
//!
//! Which spans those are ([`Choice`]) shows only at the end of a reading, and what is below a span is read before it. So a recording
//! is read again: once to collect what is below the chosen spans, and once more to see that nothing is missing, at most
//! [`MAX_SEARCHES`] times. Memory is bounded by [`MOST_SPANS`], whatever the recording.
//!
//! ```no_run
//! use spanring::reader::Recording;
//! use spanring_cli::filter::Filter;
//! use spanring_cli::progress::Silent;
//! use spanring_cli::trees::Choice;
//! use spanring_cli::{render, trees};
//!
//! # fn main() -> Result<(), spanring::reader::ReadError> {
//! let recording = Recording::open("recording")?;
//! let filter = Filter::default();
//! let slowest = trees::describe(&recording, &filter.of(&recording), &Choice::Slowest(3), &mut || Box::new(Silent))?;
//! print!("{}", render::trees(&slowest, 40, None));
//! # Ok(())
//! # }
//! ```

mod collect;
mod layout;
mod scopes;

use crate::filter::Wanted;
use crate::info::DamageInfo;
use crate::progress::Progress;
use crate::spans::{self, Details, Item, Span, Step, add};
use collect::Collector;
use scopes::Scope;
use serde::Serialize;
use spanring::reader::{ReadError, Recording, SpanKind};
use std::collections::BinaryHeap;

/// How often a recording is searched for what is below the chosen spans. One search finds all that began in the order in which it is
/// read, and another one is needed where a span was read before its parent.
pub const MAX_SEARCHES: usize = 4;
/// The most spans that are kept, of all trees together. Others are counted.
pub const MOST_SPANS: usize = 100_000;

/// Which spans are shown, each with its subtree.
///
/// ```
/// use spanring_cli::trees::Choice;
///
/// /// The spans that a user names, or else the three slowest.
/// fn choice(ids: Vec<u64>) -> Choice {
///     if ids.is_empty() { Choice::Slowest(3) } else { Choice::Ids(ids) }
/// }
///
/// assert_eq!(choice(vec![7]), Choice::Ids(vec![7]));
/// ```
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Choice {
    /// So many that took longest, the longest first. One that is below another of them is not shown again.
    Slowest(usize),
    /// So many roots, the earliest first. A scope in another one is none.
    Roots(usize),
    /// Those with these ids.
    Ids(Vec<u64>),
}

/// A chosen span.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
struct Chosen {
    id: u64,
    /// Where it was, if it is known to be a scope.
    scope: Option<Scope>,
}

/// Spans with their subtrees.
///
/// ```
/// use spanring_cli::render;
/// use spanring_cli::trees::TreesReport;
///
/// assert_eq!(render::trees(&TreesReport::default(), 40, None), "no such span\n");
/// ```
#[derive(Clone, Debug, Default, PartialEq, Serialize)]
pub struct TreesReport {
    /// Spans among which they were chosen.
    pub candidates: u64,
    /// The chosen spans.
    pub trees: Vec<Tree>,
    /// Records that are missing from the recording.
    pub lost_records: u64,
    /// Stretches of the recording's files that could not be understood.
    pub damaged: u64,
    /// The first of them.
    pub damage: Option<DamageInfo>,
    /// When the recording began, in nanoseconds since 1970.
    pub started_unix_ns: u64,
    /// Attributes that are of no span that is there, see [`spans::DetailTotals::late_attributes`].
    pub late_attributes: u64,
}

/// A span and all that is below it.
///
/// ```
/// use spanring_cli::trees::{Share, Tree};
///
/// /// The name that a tree waited for longest.
/// fn culprit(tree: &Tree) -> Option<&str> {
///     tree.shares.first().map(|share| share.name.as_str())
/// }
///
/// let query = Share { name: "query".to_owned(), spans: 3, critical_ns: 900 };
/// assert_eq!(culprit(&Tree { rows: Vec::new(), shares: vec![query], left_out: 0 }), Some("query"));
/// ```
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct Tree {
    /// The span, then what is below it: parents before their children, the earliest first.
    pub rows: Vec<Row>,
    /// Where its time went: the names on its critical path, those with most time on it first.
    pub shares: Vec<Share>,
    /// Spans directly below those in `rows` that are not among them because there were too many.
    pub left_out: u64,
}

/// A span in a [`Tree`]. All times in nanoseconds.
///
/// ```
/// use spanring_cli::trees::Row;
///
/// /// Spans below the first one that stood in a queue for longer than they were polled.
/// fn queued(rows: &[Row]) -> impl Iterator<Item = &Row> {
///     rows.iter().filter(|row| row.wait_ns.zip(row.busy_ns).is_some_and(|(wait, busy)| wait > busy))
/// }
///
/// assert_eq!(queued(&[]).count(), 0);
/// ```
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct Row {
    /// How far below the first one it stands. A scope stands below the scope around it.
    pub level: u32,
    /// Unique within the session, never 0.
    pub id: u64,
    /// The id of the span that this one was created in, 0 for none.
    pub parent: u64,
    /// The name.
    pub name: String,
    /// `async` or `thread`.
    pub kind: &'static str,
    /// `completed`, `failed`, `cancelled`, `panicked` or `open`.
    pub outcome: &'static str,
    /// Source file as the compiler was given it; `None` if the recording lost the location.
    pub file: Option<String>,
    /// Line in that file.
    pub line: Option<u32>,
    /// Log target.
    pub target: Option<String>,
    /// First poll, since 1970.
    pub begin_unix_ns: u64,
    /// End, since 1970; `None` while open.
    pub end_unix_ns: Option<u64>,
    /// From first poll to end; `None` while open.
    pub duration_ns: Option<u64>,
    /// From the making of the future to its first poll; `None` if that was not measured.
    pub wait_ns: Option<u64>,
    /// In polls; `None` if those were not measured, or records of them are missing.
    pub busy_ns: Option<u64>,
    /// Between polls; `None` likewise.
    pub idle_ns: Option<u64>,
    /// How often it was polled.
    pub polls: u32,
    /// Time in which nothing below it was going on.
    pub self_ns: u64,
    /// Time for which the first span in the tree had to wait for this one itself, and not for anything below it. Over the whole tree
    /// these add up to the duration of the first.
    pub critical_ns: u64,
    /// It or something below it has such time.
    pub on_critical_path: bool,
    /// Name of the thread of the first poll.
    pub begin_thread: Option<String>,
    /// Name of the thread of the end.
    pub end_thread: Option<String>,
    /// The begin record was lost.
    pub begin_lost: bool,
    /// Open, but its end may be among the events that are missing.
    pub end_may_be_lost: bool,
    /// Attributes, and instants within it: those that happened in a scope below it are with that.
    #[serde(flatten)]
    pub details: Details,
}

/// What the spans of one name contributed to the time of a tree.
///
/// ```
/// use spanring_cli::trees::Share;
///
/// /// Nanoseconds that each span of the name cost its tree.
/// fn each(share: &Share) -> u64 {
///     share.critical_ns / share.spans.max(1)
/// }
///
/// assert_eq!(each(&Share { name: "query".to_owned(), spans: 3, critical_ns: 900 }), 300);
/// ```
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Share {
    /// The name.
    pub name: String,
    /// Spans of that name on the critical path.
    pub spans: u64,
    /// Their time on it, in nanoseconds.
    pub critical_ns: u64,
}

/// Finds the spans that are chosen among those that are `wanted`, and what is below them. `progress` is asked for one reading at a time.
///
/// # Errors
/// Those of [`Recording::read`].
///
/// ```no_run
/// use spanring::reader::Recording;
/// use spanring_cli::filter::Filter;
/// use spanring_cli::progress::Silent;
/// use spanring_cli::trees::{self, Choice};
///
/// # fn main() -> Result<(), spanring::reader::ReadError> {
/// let recording = Recording::open("recording")?;
/// let filter = Filter { name: Some("GET /orders".to_owned()), ..Filter::default() };
/// let slowest = trees::describe(&recording, &filter.of(&recording), &Choice::Slowest(1), &mut || Box::new(Silent))?;
/// assert!(slowest.trees.len() <= 1, "none, if there is no such span");
/// # Ok(())
/// # }
/// ```
pub fn describe(
    recording: &Recording,
    wanted: &Wanted<'_>,
    choice: &Choice,
    progress: &mut dyn FnMut() -> Box<dyn Progress>,
) -> Result<TreesReport, ReadError> {
    let mut report = TreesReport { started_unix_ns: recording.facts().started_unix_ns, ..TreesReport::default() };
    let chosen = match choice {
        Choice::Ids(ids) => ids.iter().map(|&id| Chosen { id, scope: None }).collect(),
        _ => choose(recording, wanted, choice, &mut *progress(), &mut report)?,
    };
    let mut collector = Collector::new(&chosen, MOST_SPANS);
    for search in 0..MAX_SEARCHES {
        collector.again();
        let known = collector.found();
        (report.lost_records, report.damaged, report.damage) = (0, 0, None);
        spans::read_steps(recording, &mut *progress(), &mut |step| {
            match &step {
                Step::Item(Item::Loss(loss)) => add(&mut report.lost_records, loss.records),
                Step::Item(Item::Damage(damage)) => {
                    report.damaged += 1;
                    report.damage.get_or_insert_with(|| DamageInfo::new(damage));
                }
                Step::Item(Item::Details(totals)) => report.late_attributes = totals.late_attributes,
                _ => {}
            }
            collector.add(&step);
        })?;
        if collector.found() == known && search > 0 {
            break;
        }
    }
    if let Choice::Ids(_) = choice {
        report.candidates = collector.chosen_found();
    }
    let most = match choice {
        Choice::Slowest(most) | Choice::Roots(most) => *most,
        Choice::Ids(ids) => ids.len(),
    };
    report.trees =
        collector.finish(matches!(choice, Choice::Slowest(_))).into_iter().take(most).map(layout::tree).collect();
    Ok(report)
}

/// The chosen spans, in order. Of the slowest there are more than are asked for: some may be below others.
fn choose(
    recording: &Recording,
    wanted: &Wanted<'_>,
    choice: &Choice,
    progress: &mut dyn Progress,
    report: &mut TreesReport,
) -> Result<Vec<Chosen>, ReadError> {
    // The largest keys go first when there are too many.
    let (most, key): (usize, fn(&Span<'_>) -> Option<u64>) = match *choice {
        Choice::Roots(most) => (most, |span| (span.parent == 0 && !is_in_scope(span)).then_some(span.begin_ns)),
        Choice::Slowest(most) => (most.saturating_mul(8), |span| Some(u64::MAX - span.duration_ns()?)),
        Choice::Ids(_) => (0, |_| None),
    };
    let mut best = BinaryHeap::new();
    spans::read_with(recording, progress, &mut |item| {
        let Item::Span(span) = item else { return };
        let Some(key) = key(&span).filter(|_| wanted.has(&span)) else { return };
        report.candidates += 1;
        let this = (key, span.begin_ns, Chosen { id: span.id, scope: Scope::of(&span) });
        if best.len() < most {
            best.push(this);
        } else if best.peek().is_some_and(|worst| this < *worst) {
            best.pop();
            best.push(this);
        }
    })?;
    let mut best = best.into_vec();
    best.sort_unstable();
    Ok(best.into_iter().map(|(_, _, chosen)| chosen).collect())
}

/// Whether a span is a scope in another one.
fn is_in_scope(span: &Span<'_>) -> bool {
    span.kind == SpanKind::Thread && span.depth > 0
}
