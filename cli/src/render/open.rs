//! `spanring open` as text.

use super::{deepest, details, indented, place, wrapped};
use crate::open::{Line, OpenReport};
use crate::text::{Fit, Table, Tone, clean, count, duration, moment};
use rustc_hash::{FxHashMap, FxHashSet};

/// So many instants of each span are shown, the latest.
const LATEST: usize = 3;

/// The tree of `spanring open`, lines no wider than `width`. Below it, how many spans there are, what was left out, and why
/// the list may be wrong.
///
/// An ancestor that is not open has its state in place of an age. What is deeper than there is room for has a `+N` before its
/// name: it stands N levels further to the right.
///
/// ```
/// use spanring_cli::open::OpenReport;
/// use spanring_cli::render;
///
/// /// At most twenty open spans, for a terminal of eighty columns.
/// fn brief(mut report: OpenReport) -> String {
///     report.limit(20);
///     render::open(&report, Some(80))
/// }
/// ```
pub fn open(report: &OpenReport, width: Option<usize>) -> String {
    let mut text = open_table(report, width);
    let mut note = |line: String| text.push_str(&wrapped(&line, width));
    if report.cut() > 0 {
        note(format!("... and {}: see all with --limit 0", count(report.cut(), "more span")));
    }
    note(open_totals(report));
    note(format!("ages count up to {}, {}", moment(report.until_unix_ns), last_instant(&report.writer)));
    if let Some(doubt) = doubt(report) {
        note(format!("UNCERTAIN: {doubt}"));
    }
    text
}

fn open_table(report: &OpenReport, width: Option<usize>) -> String {
    if report.tree.is_empty() {
        return String::new();
    }
    let doubtful = report.tree.iter().any(|line| line.end_may_be_lost);
    let mut columns = vec![("span", Fit::Tree(10)), ("age", Fit::Number)];
    columns.extend(doubtful.then_some(("end", Fit::Word)));
    columns.extend([("kind", Fit::Word), ("began on", Fit::Middle(8)), ("where", Fit::Path(8))]);
    let mut table = Table::new(&columns);
    let deepest = deepest(width);
    let shared = shared_thread_names(&report.tree);
    for line in &report.tree {
        let mut cells = vec![tree_name(line, deepest), line.age_ns.map_or(line.state.to_owned(), duration)];
        if doubtful {
            cells.push(if line.end_may_be_lost { "lost?" } else { "" }.to_owned());
        }
        cells.push(line.kind.unwrap_or("?").to_owned());
        cells.push(line.thread.as_ref().map_or("?".to_owned(), |thread| {
            let number = if shared.contains(thread.name.as_str()) { format!(" #{}", thread.id) } else { String::new() };
            format!("{}{number}", clean(&thread.name))
        }));
        cells.push(place(line.file.as_deref(), line.line));
        table.row(cells);
        // They may say what it waits for.
        let instants = &line.details.instants;
        for instant in &instants[instants.len().saturating_sub(LATEST)..] {
            let name = format!("{} {}", details::MARK, details::instant(instant));
            let age = duration(report.until_unix_ns.saturating_sub(instant.unix_ns));
            let mut cells = vec![indented(line.level + 1, deepest, &name), format!("{age} ago")];
            cells.resize(columns.len() - 1, String::new());
            cells.push(instant.place.as_ref().map_or("?".to_owned(), |place| clean(&place.file_line()).into_owned()));
            table.row_in(Tone::Faint, cells);
        }
    }
    table.render(width)
}

fn tree_name(line: &Line, deepest: usize) -> String {
    let name = match line.state {
        "unknown" => format!("<unknown span {}>", line.id),
        _ => clean(&line.name).into_owned(),
    };
    indented(line.level, deepest, &details::beside(&name, &details::pairs(&line.details.attributes)))
}

/// Names that several threads have: the workers of a runtime, usually.
fn shared_thread_names(tree: &[Line]) -> FxHashSet<&str> {
    let mut ids: FxHashMap<&str, u32> = FxHashMap::default();
    let threads = tree.iter().filter_map(|line| line.thread.as_ref());
    threads
        .filter(|thread| *ids.entry(&thread.name).or_insert(thread.id) != thread.id)
        .map(|thread| &*thread.name)
        .collect()
}

fn open_totals(report: &OpenReport) -> String {
    let Some(oldest) = report.oldest_ns else {
        if report.others > 0 {
            let others = if report.others == 1 { "1 other is" } else { &format!("{} others are", report.others) };
            return format!("no open span is like that; {others} not");
        }
        let which = if doubt(report).is_none() { "that began" } else { "whose begin is there" };
        return format!("no open spans: every span {which} has ended");
    };
    let younger = match report.younger {
        0 => String::new(),
        younger => format!(", {younger} of them not shown because they are younger than --min-age"),
    };
    let roots = format!("{} of them {}", report.roots, if report.roots == 1 { "a root" } else { "roots" });
    format!("{}, {roots}, the oldest {} old{younger}", count(report.open, "open span"), duration(oldest))
}

fn last_instant(writer: &str) -> &'static str {
    match writer {
        "running" => "now: the process is still recording",
        "stopped" => "when the recording was stopped",
        "died" => "the last sign of the process, which died",
        _ => "the last sign of the process, of which nothing says how it ended",
    }
}

/// Why there may be spans in the list that were not open, and others not in it that were; `None`: it is right.
fn doubt(report: &OpenReport) -> Option<String> {
    // Each of these may have reached its limit, in a damaged recording.
    let dropped = report.lost_records.saturating_sub(report.overwritten_records).saturating_sub(report.retired_records);
    let missing = [
        (dropped, "event", "lost"),
        (report.overwritten_records, "older event", "overwritten"),
        (report.damaged_records, "event", "damaged"),
        (report.refused_events, "event", "refused"),
        (report.damaged, "place", "in the files damaged (see `spanring info`)"),
    ];
    let missing = missing.into_iter().filter(|(number, ..)| *number > 0);
    let missing: Vec<String> = missing.map(|(number, what, how)| format!("{} {how}", count(number, what))).collect();
    let doubtful = match report.doubtful {
        0 => String::new(),
        doubtful => format!("; {} marked `lost?` may have ended among them", count(doubtful, "span")),
    };
    (!missing.is_empty())
        .then(|| format!("{}: spans that began there may be missing here{doubtful}", missing.join(", ")))
}
