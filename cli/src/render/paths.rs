//! `spanring tree --aggregate` as text.

use super::{deepest, incomplete, indented, wrapped};
use crate::paths::{PathsReport, Row};
use crate::text::{Fit, Table, Tone, clean, count, duration};

/// Of names below the same one, so many with most time are shown; the others are added up.
const ABREAST: usize = 8;

/// A tree of names, lines no wider than `width`, at most `most` of them (0: all).
///
/// ```
/// use spanring_cli::{paths::PathsReport, render};
///
/// assert!(render::paths(&PathsReport::default(), 40, None).contains("no such span"));
/// ```
pub fn paths(report: &PathsReport, most: usize, width: Option<usize>) -> String {
    let columns = [
        ("span", Fit::Tree(16)),
        ("count", Fit::Number),
        ("total", Fit::Number),
        ("mean", Fit::Number),
        ("self", Fit::Number),
        ("share", Fit::Number),
        ("below", Fit::Number),
        ("open", Fit::Number),
    ];
    let mut table = Table::new(&columns);
    let lines = lines(&report.rows, if most == 0 { usize::MAX } else { ABREAST });
    let deepest = deepest(width);
    let shown = if most == 0 { lines.len() } else { most.min(lines.len()) };
    for line in &lines[..shown] {
        let Line { level, name, sums, is_rest } = line;
        let mean = sums.total_ns.checked_div(sums.count).map_or("-".to_owned(), duration);
        table.row_in(
            if *is_rest { Tone::Faint } else { Tone::Plain },
            vec![
                indented(*level, deepest, name),
                sums.count.to_string(),
                duration(sums.total_ns),
                mean,
                duration(sums.self_ns),
                percent(sums.share),
                percent(sums.share_with_below - sums.share),
                sums.open.to_string(),
            ],
        );
    }
    let mut text = table.render(width);
    let spans = count(report.spans, "span");
    let note = if report.spans == 0 {
        "no such span".to_owned()
    } else {
        format!("{spans} in {}, {} of them open", count(report.rows.len() as u64, "path"), report.open)
    };
    text.push_str(&wrapped(&note, width));
    if shown < lines.len() {
        let more = count((lines.len() - shown) as u64, "more row");
        text.push_str(&wrapped(&format!("{more}: see every path with --rows 0"), width));
    }
    if let Some(note) = incomplete(report.lost_records, report.damaged, ", so spans may be missing") {
        text.push_str(&wrapped(&note, width));
    }
    text
}

/// A line: a row, or several of which each has too little time to be shown.
struct Line {
    level: u32,
    name: String,
    sums: Row,
    is_rest: bool,
}

fn lines(rows: &[Row], abreast: usize) -> Vec<Line> {
    let mut lines: Vec<Line> = Vec::new();
    // By level, how many there are below the present row, and the line of those that are too many.
    let mut seen: Vec<(usize, Option<usize>)> = Vec::new();
    let mut hidden_from = None;
    for row in rows {
        if hidden_from.is_some_and(|level| row.level > level) {
            continue;
        }
        hidden_from = None;
        let level = row.level as usize;
        seen.truncate(level + 1);
        seen.resize(level + 1, (0, None));
        let (number, rest) = &mut seen[level];
        *number += 1;
        if *number < abreast {
            lines.push(Line {
                level: row.level,
                name: clean(&row.name).into_owned(),
                sums: row.clone(),
                is_rest: false,
            });
            continue;
        }
        hidden_from = Some(row.level);
        match rest {
            None => {
                *rest = Some(lines.len());
                let name = clean(&row.name).into_owned();
                lines.push(Line { level: row.level, name, sums: row.clone(), is_rest: false });
            }
            Some(line) => {
                let Line { name, sums, is_rest, .. } = &mut lines[*line];
                sums.count += row.count;
                sums.open += row.open;
                sums.total_ns = sums.total_ns.saturating_add(row.total_ns);
                sums.self_ns = sums.self_ns.saturating_add(row.self_ns);
                sums.share += row.share;
                sums.share_with_below += row.share_with_below;
                *is_rest = true;
                *name = format!("… {} more names", *number + 1 - abreast);
            }
        }
    }
    lines
}

/// With one digit behind the point, and nothing for what would be none.
fn percent(part: f64) -> String {
    let text = format!("{:.1}%", part * 100.0);
    if text == "0.0%" || text == "-0.0%" { "-".to_owned() } else { text }
}
