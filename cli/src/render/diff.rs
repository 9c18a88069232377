//! `spanring diff` as text.

use super::{incomplete, is_narrow, wrapped};
use crate::diff::{DiffReport, Row, Verdict, Whole};
use crate::text::{Fit, Table, Tone, clean, count, duration};

/// The table of `spanring diff`: at most `limit` rows (0: all), lines no wider than `width`. Below it, how many names there are of
/// each verdict, and what the recordings lack.
///
/// ```
/// use spanring_cli::{diff, render};
///
/// let report = diff::compare(diff::Side::default(), diff::Side::default());
/// assert!(render::diff(&report, 10, Some(100)).contains("0 names"));
/// ```
pub fn diff(report: &DiffReport, limit: usize, width: Option<usize>) -> String {
    let shown = if limit == 0 { report.rows.len() } else { limit.min(report.rows.len()) };
    let mut columns = vec![
        ("name", Fit::Middle(12)),
        ("verdict", Fit::Word),
        ("before", Fit::Number),
        ("p50", Fit::Number),
        ("after", Fit::Number),
        ("p50", Fit::Number),
        ("change", Fit::Number),
    ];
    columns.extend((!is_narrow(width)).then_some(("range (99 %)", Fit::Number)));
    let with_p99 = width.is_none_or(|width| width >= 100);
    if with_p99 {
        columns.extend([("p99 before", Fit::Number), ("after", Fit::Number)]);
    }
    let mut table = Table::new(&columns);
    for row in &report.rows[..shown] {
        let time = |ns: Option<u64>| ns.map_or("-".to_owned(), duration);
        let range =
            row.change_range.map_or("-".to_owned(), |(low, high)| format!("{} to {}", percent(low), percent(high)));
        let mark = if row.kind == "thread" { " (thread)" } else { "" };
        let mut cells = vec![
            format!("{}{mark}", clean(&row.name)),
            row.verdict.word().to_owned(),
            row.before.count.to_string(),
            time(row.before.p50_ns),
            row.after.count.to_string(),
            time(row.after.p50_ns),
            row.change.map_or("-".to_owned(), percent),
        ];
        cells.extend((!is_narrow(width)).then_some(range));
        if with_p99 {
            cells.extend([time(row.before.p99_ns), time(row.after.p99_ns)]);
        }
        table.row_in(tone(row), cells);
    }
    let mut text = table.render(width);
    let mut note = |line: String| text.push_str(&wrapped(&line, width));
    if shown < report.rows.len() {
        note(format!("... and {}: see them with --limit 0", count((report.rows.len() - shown) as u64, "more row")));
    }
    let verdicts = [Verdict::Slower, Verdict::New, Verdict::Faster, Verdict::Unclear, Verdict::Gone];
    let verdicts: Vec<String> = verdicts
        .iter()
        .map(|verdict| (verdict, report.rows.iter().filter(|row| row.verdict == *verdict).count()))
        .filter(|(_, names)| *names > 0)
        .map(|(verdict, names)| format!("{names} {}", verdict.word()))
        .collect();
    note(format!("{}: {}", count(report.rows.len() as u64, "name"), verdicts.join(", ")));
    for (when, whole) in [("before", &report.before), ("after", &report.after)] {
        note(totals(when, whole));
        if let Some(incomplete) = incomplete(whole.lost_records, whole.damaged, ", so it may be no fair comparison") {
            note(incomplete);
        }
    }
    text
}

fn totals(when: &str, whole: &Whole) -> String {
    let Whole { spans, failed, cancelled, panicked, .. } = whole;
    format!("{when}: {}, {failed} failed, {cancelled} cancelled, {panicked} panicked", count(*spans, "span"))
}

fn tone(row: &Row) -> Tone {
    match row.verdict {
        Verdict::Slower => Tone::Bad,
        Verdict::Faster => Tone::Good,
        Verdict::New | Verdict::Gone => Tone::Plain,
        Verdict::Unclear => Tone::Faint,
    }
}

/// `+12 %`, `-0.5 %`; more than ten times as much as a factor: `x12`.
fn percent(change: f64) -> String {
    match change * 100.0 {
        percent if percent >= 1000.0 => format!("x{:.0}", change + 1.0),
        percent if percent.abs() < 9.95 => format!("{percent:+.1} %"),
        percent => format!("{percent:+.0} %"),
    }
}
