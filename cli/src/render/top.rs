//! `spanring top` as text.

use super::{is_narrow, place, wrapped};
use crate::text::{Fit, Table, clean, count, duration};
use crate::top::{Row, TopReport};
use std::fmt::{self, Display, Formatter};

/// The table of `spanring top`: at most `limit` rows (0: all), lines no wider than `width`. Below it, what was left out
/// and what the recording lacks.
///
/// How spans ended has a column each where any ended like that.
///
/// ```
/// use spanring_cli::render;
/// use spanring_cli::top::{SortBy, Top};
///
/// let report = Top::default().finish(SortBy::Total);
/// assert!(render::top(&report, 30, Some(100)).contains("0 spans in 0 rows"));
/// ```
pub fn top(report: &TopReport, limit: usize, width: Option<usize>) -> String {
    let shown = if limit == 0 { report.rows.len() } else { limit.min(report.rows.len()) };
    let rows = &report.rows[..shown];
    let endings: [Ending; 4] = [
        ("fail.", |row| row.failed),
        ("canc.", |row| row.cancelled),
        ("panic", |row| row.panicked),
        ("open", |row| row.open),
    ];
    let endings: Vec<_> = endings.into_iter().filter(|(_, number)| rows.iter().any(|row| number(row) > 0)).collect();
    let scale = Scale::of(rows, if width.is_some_and(|width| width < 100) { 8 } else { 16 });
    let mut columns = vec![
        ("name", Fit::Middle(10)),
        ("count", Fit::Number),
        ("total", Fit::Number),
        ("p50", Fit::Number),
        ("p99", Fit::Number),
        ("max", Fit::Number),
    ];
    let with_place = !is_narrow(width);
    if with_place {
        columns.insert(1, ("where", Fit::Path(8)));
    }
    columns.extend(endings.iter().map(|(title, _)| (*title, Fit::Number)));
    columns.extend(scale.is_some().then_some(("histogram", Fit::Word)));
    let mut table = Table::new(&columns);
    for row in rows {
        let mut cells = top_row(row);
        if with_place {
            cells.insert(1, place(row.file.as_deref(), row.line));
        }
        cells.extend(endings.iter().map(|(_, number)| number(row).to_string()));
        cells.extend(scale.as_ref().map(|scale| scale.draw(row)));
        table.row(cells);
    }
    let mut text = table.render(width);
    let mut note = |line: String| text.push_str(&wrapped(&line, width));
    if shown < report.rows.len() {
        let rest: u64 = report.rows[shown..].iter().map(|row| row.count).sum();
        let rows = count((report.rows.len() - shown) as u64, "more row");
        note(format!("... and {rows} with {}: see them with --limit 0", count(rest, "span")));
    }
    if let Some(scale) = scale {
        note(scale.to_string());
    }
    let open = if report.open == 0 { String::new() } else { format!(", {} of them open", report.open) };
    note(format!("{} in {}{open}", count(report.spans, "span"), count(report.rows.len() as u64, "row")));
    if report.lost_records > 0 {
        let lost = count(report.lost_records, "event");
        note(format!("INCOMPLETE: {lost} lost, so counts may be too low, and open spans may have ended"));
    }
    if report.damaged > 0 {
        note(format!("INCOMPLETE: {} in the files: see `spanring info`", count(report.damaged, "damaged place")));
    }
    text
}

/// A way to end: its column's title, and how many spans of a row ended like that.
type Ending = (&'static str, fn(&Row) -> u64);

fn top_row(row: &Row) -> Vec<String> {
    let time = |ns: Option<u64>| ns.map_or("-".to_owned(), duration);
    let mark = if row.kind == "thread" { " (thread)" } else { "" };
    vec![
        format!("{}{mark}", clean(&row.name)),
        row.count.to_string(),
        time(row.max_ns.map(|_| row.total_ns)),
        time(row.p50_ns),
        time(row.p99_ns),
        time(row.max_ns),
    ]
}

/// What the columns of small histograms stand for: the same durations in all of them.
struct Scale {
    /// The first power of two.
    first: u32,
    columns: u32,
    /// Powers of two in each column.
    powers: u32,
}

impl Scale {
    /// One for these rows, in at most so many columns. `None` if no span ended.
    fn of(rows: &[Row], most_columns: u32) -> Option<Scale> {
        let powers = || rows.iter().flat_map(|row| &row.histogram).map(|bucket| power(bucket.from_ns));
        let (first, last) = (powers().min()?, powers().max()?);
        let powers = (last - first + 1).div_ceil(most_columns);
        Some(Scale { first, columns: (last - first) / powers + 1, powers })
    }

    /// As high as the share of the spans is, with a mark wherever there is any.
    fn draw(&self, row: &Row) -> String {
        const HEIGHTS: [char; 9] = [' ', '▁', '▂', '▃', '▄', '▅', '▆', '▇', '█'];
        let mut counts = vec![0; self.columns as usize];
        for bucket in &row.histogram {
            counts[((power(bucket.from_ns) - self.first) / self.powers) as usize] += bucket.count;
        }
        let most = counts.iter().copied().max().unwrap_or(0).max(1);
        // In two steps, because a count may be so great that eight times as much is not a number any more.
        counts.iter().map(|&count| HEIGHTS[(count as f64 / most as f64 * 8.0).ceil() as usize]).collect()
    }
}

impl Display for Scale {
    fn fmt(&self, f: &mut Formatter<'_>) -> fmt::Result {
        let from = |power: u32| if power == 0 { 0 } else { 1_u64.checked_shl(power - 1).unwrap_or(u64::MAX) };
        let to = from((self.first + self.columns * self.powers).min(65));
        let factor = 1_u64.checked_shl(self.powers).unwrap_or(u64::MAX);
        write!(
            f,
            "histograms go from {} to {}, each column {factor} times the one before",
            duration(from(self.first)),
            duration(to)
        )
    }
}

/// The number of a bucket's power of two: 0 for nothing, 1 for one nanosecond.
fn power(from_ns: u64) -> u32 {
    64 - from_ns.leading_zeros()
}
