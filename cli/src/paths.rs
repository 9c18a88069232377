//! All spans as one tree, added up by the names above them: `spanring tree --aggregate`.
//!
//! ```no_run
//! use spanring::reader::Recording;
//! use spanring_cli::filter::Filter;
//! use spanring_cli::progress::Silent;
//! use spanring_cli::{paths, render};
//!
//! # fn main() -> Result<(), spanring::reader::ReadError> {
//! let recording = Recording::open("recording")?;
//! let filter = Filter::default();
//! let report = paths::describe(&recording, &filter.of(&recording), &mut Silent)?;
//! print!("{}", render::paths(&report, 40, None));
//! # Ok(())
//! # }
//! ```

use crate::filter::Wanted;
use crate::info::DamageInfo;
use crate::progress::Progress;
use crate::spans::{self, Item, Step, add};
use crate::stacks::{PARENT_LOST, StackSums, Stacks};
use serde::Serialize;
use spanring::reader::{ReadError, Recording};
use std::cmp::Reverse;

/// A tree of names.
///
/// ```
/// use spanring_cli::paths::{PathsReport, Row};
///
/// /// Where most time went, with nothing below it to blame.
/// fn hottest(report: &PathsReport) -> Option<&str> {
///     report.rows.iter().max_by_key(|row| row.self_ns).map(|row| row.name.as_str())
/// }
/// # let row = |level, name: &str, total_ns, self_ns| Row {
/// #     level, name: name.to_owned(), count: 1, open: 0, total_ns, self_ns, share: self_ns as f64 / 100.0,
/// #     share_with_below: total_ns as f64 / 100.0,
/// # };
/// let rows = vec![row(0, "request", 100, 30), row(1, "query", 70, 70)];
/// assert_eq!(hottest(&PathsReport { rows, ..PathsReport::default() }), Some("query"));
/// ```
#[derive(Clone, Debug, Default, PartialEq, Serialize)]
pub struct PathsReport {
    /// Spans that were added up, open ones included.
    pub spans: u64,
    /// Those that have no end in the recording.
    pub open: u64,
    /// The sum of the rows' `self_ns`.
    pub self_ns: u64,
    /// Parents before what is below them; of those with the same parent, the one with most total time first.
    pub rows: Vec<Row>,
    /// Attributes that are of no span that is there, see [`spans::DetailTotals::late_attributes`]. No filter has seen them.
    pub late_attributes: u64,
    /// Records that are missing from the recording.
    pub lost_records: u64,
    /// Stretches of the recording's files that could not be understood.
    pub damaged: u64,
    /// The first of them.
    pub damage: Option<DamageInfo>,
}

/// The spans of one name below the same names. All times in nanoseconds.
///
/// ```
/// use spanring_cli::paths::Row;
///
/// fn line(row: &Row) -> String {
///     let indent = "  ".repeat(row.level as usize);
///     format!("{indent}{} {:.0} %, itself {:.0} %", row.name, 100.0 * row.share_with_below, 100.0 * row.share)
/// }
/// let row = Row {
///     level: 1,
///     name: "query".to_owned(),
///     count: 4,
///     open: 0,
///     total_ns: 100,
///     self_ns: 75,
///     share: 0.375,
///     share_with_below: 0.5,
/// };
/// assert_eq!(line(&row), "  query 50 %, itself 38 %");
/// ```
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct Row {
    /// How many names are above it.
    pub level: u32,
    /// The name; `(parent lost)` for spans of which the recording has nothing but their children.
    pub name: String,
    /// Spans, open ones included.
    pub count: u64,
    /// Spans without an end in the recording.
    pub open: u64,
    /// Sum of the times from begin to end, of open spans to the last moment of the recording.
    pub total_ns: u64,
    /// Sum of the times in which the span was there and none of its children was.
    pub self_ns: u64,
    /// `self_ns` as a part of that of all rows, from 0 to 1.
    pub share: f64,
    /// The same of this row and those below it.
    pub share_with_below: f64,
}

/// Adds up the spans that are `wanted`. The others are there only for the names above and below those, and for the time that is not
/// their parents' own.
///
/// # Errors
/// Those of [`Recording::read`].
///
/// ```no_run
/// use spanring::reader::Recording;
/// use spanring_cli::filter::Filter;
/// use spanring_cli::paths::describe;
/// use spanring_cli::progress::Silent;
///
/// # fn main() -> Result<(), spanring::reader::ReadError> {
/// let recording = Recording::open("recording")?;
/// let filter = Filter { name: Some("query".to_owned()), ..Filter::default() };
/// let report = describe(&recording, &filter.of(&recording), &mut Silent)?;
/// // What is above them is there, and has a count of 0.
/// let counted = report.rows.iter().filter(|row| row.count > 0);
/// println!("{} spans in {} places", report.spans, counted.count());
/// # Ok(())
/// # }
/// ```
pub fn describe(
    recording: &Recording,
    wanted: &Wanted<'_>,
    progress: &mut dyn Progress,
) -> Result<PathsReport, ReadError> {
    let mut report = PathsReport::default();
    let mut sums = StackSums::default();
    spans::read_steps(recording, progress, &mut |step| match step {
        Step::Begun(record) => sums.begun(record),
        Step::Item(Item::Span(span)) => sums.add(&span, wanted.has(&span)),
        Step::Item(Item::Loss(loss)) => add(&mut report.lost_records, loss.records),
        Step::Item(Item::Damage(damage)) => {
            report.damaged += 1;
            report.damage.get_or_insert_with(|| DamageInfo::new(&damage));
        }
        Step::Item(Item::Details(totals)) => report.late_attributes = totals.late_attributes,
        Step::Polled(_) | Step::Item(Item::Thread(_) | Item::Instant(_) | Item::Counter(_)) => {}
    })?;
    let rows = rows(&sums.finish());
    report.spans = rows.iter().map(|row| row.count).sum();
    report.open = rows.iter().map(|row| row.open).sum();
    report.self_ns = rows.iter().fold(0, |sum: u64, row| sum.saturating_add(row.self_ns));
    Ok(PathsReport { rows, ..report })
}

/// The stacks in which there are spans, in order.
fn rows(stacks: &Stacks) -> Vec<Row> {
    let all = &stacks.all;
    // Of each with those below it: spans, total and self time. Those above stand before those below.
    let mut with_below: Vec<(u64, u64)> = Vec::with_capacity(all.len());
    with_below.extend(
        all.iter().map(|stack| {
            (stack.ended.spans + stack.open.spans, stack.ended.self_ns.saturating_add(stack.open.self_ns))
        }),
    );
    let mut below: Vec<Vec<u32>> = vec![Vec::new(); all.len()];
    let mut next = Vec::new();
    for (index, stack) in all.iter().enumerate().rev() {
        let (number, (spans, self_ns)) = (index as u32, with_below[index]);
        if spans == 0 {
            continue;
        }
        match stack.above {
            Some(above) => {
                let sums = &mut with_below[above as usize];
                *sums = (sums.0 + spans, sums.1.saturating_add(self_ns));
                below[above as usize].push(number);
            }
            None => next.push(number),
        }
    }
    let whole = next.iter().fold(0, |sum: u64, root| sum.saturating_add(with_below[*root as usize].1)).max(1) as f64;
    let total = |number: u32| {
        let stack = &all[number as usize];
        stack.ended.total_ns.saturating_add(stack.open.total_ns)
    };
    let text = |number: u32| stacks.names[all[number as usize].name as usize].as_str();
    // The last comes first. What has no time of its own stands where the time below it belongs.
    let order = |numbers: &mut Vec<u32>| {
        let time = |number: u32| if text(number) == PARENT_LOST { 0 } else { total(number) };
        numbers.sort_by(|&a, &b| (time(a), Reverse(text(a))).cmp(&(time(b), Reverse(text(b)))));
    };
    order(&mut next);
    let mut stack: Vec<(u32, u32)> = next.into_iter().map(|root| (root, 0)).collect();
    let mut rows = Vec::new();
    while let Some((number, level)) = stack.pop() {
        let sums = &all[number as usize];
        let self_ns = sums.ended.self_ns.saturating_add(sums.open.self_ns);
        rows.push(Row {
            level,
            name: text(number).to_owned(),
            count: sums.ended.spans + sums.open.spans,
            open: sums.open.spans,
            total_ns: total(number),
            self_ns,
            share: self_ns as f64 / whole,
            share_with_below: with_below[number as usize].1 as f64 / whole,
        });
        let mut children = std::mem::take(&mut below[number as usize]);
        order(&mut children);
        stack.extend(children.into_iter().map(|child| (child, level + 1)));
    }
    rows
}
