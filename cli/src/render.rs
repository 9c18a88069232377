//! Reports as text for people.

use crate::info::{Listed, Missing, SessionInfo};
use crate::open::{Line, OpenReport};
use crate::text::{Fit, Table, clean, count, duration, moment};
use crate::top::{Row, TopReport};
use rustc_hash::{FxHashMap, FxHashSet};
use std::fmt::Write;

/// The table of `spanring top`: at most `limit` rows (0: all), lines no wider than `width`. Below it, what was left out
/// and what the recording lacks.
pub fn top(report: &TopReport, limit: usize, width: Option<usize>) -> String {
    let shown = if limit == 0 { report.rows.len() } else { limit.min(report.rows.len()) };
    let mut table = Table::new(&[
        ("name", Fit::Middle(10)),
        ("where", Fit::Path(8)),
        ("count", Fit::Number),
        ("total", Fit::Number),
        ("p50", Fit::Number),
        ("p99", Fit::Number),
        ("max", Fit::Number),
        ("canc.", Fit::Number),
        ("panic", Fit::Number),
        ("open", Fit::Number),
    ]);
    for row in &report.rows[..shown] {
        table.row(top_row(row));
    }
    let mut text = table.render(width);
    let mut note = |line: String| text.push_str(&wrapped(&line, width));
    if shown < report.rows.len() {
        let rest: u64 = report.rows[shown..].iter().map(|row| row.count).sum();
        let rows = count((report.rows.len() - shown) as u64, "more row");
        note(format!("... and {rows} with {}: see them with --limit 0", count(rest, "span")));
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

fn top_row(row: &Row) -> Vec<String> {
    let time = |ns: Option<u64>| ns.map_or("-".to_owned(), duration);
    let mark = if row.kind == "thread" { " (thread)" } else { "" };
    vec![
        format!("{}{mark}", clean(&row.name)),
        place(row.file.as_deref(), row.line),
        row.count.to_string(),
        time(row.max_ns.map(|_| row.total_ns)),
        time(row.p50_ns),
        time(row.p99_ns),
        time(row.max_ns),
        row.cancelled.to_string(),
        row.panicked.to_string(),
        row.open.to_string(),
    ]
}

fn place(file: Option<&str>, line: Option<u32>) -> String {
    match (file, line) {
        (Some(file), Some(line)) => format!("{}:{line}", clean(file)),
        _ => "?".to_owned(),
    }
}

/// The tree of `spanring open`, lines no wider than `width`. Below it, how many spans there are, what was left out, and why
/// the list may be wrong.
///
/// An ancestor that is not open has its state in place of an age. What is deeper than there is room for has a `+N` before its
/// name: it stands N levels further to the right.
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
    // Where names are indented by more than a quarter of the line, nothing is left of them.
    let deepest = width.map_or(DEEPEST, |width| DEEPEST.min(width / (4 * INDENT)));
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
    }
    table.render(width)
}

/// Columns by which a child stands to the right of its parent.
const INDENT: usize = 2;
/// The most levels by which a line is indented: a recursion can be very deep.
const DEEPEST: usize = 20;

fn tree_name(line: &Line, deepest: usize) -> String {
    let level = line.level as usize;
    let shown = level.min(deepest);
    let further = if level > shown { format!("+{} ", level - shown) } else { String::new() };
    let name = match line.state {
        "unknown" => format!("<unknown span {}>", line.id),
        _ => clean(&line.name).into_owned(),
    };
    format!("{}{further}{name}", " ".repeat(INDENT * shown))
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
        _ => "the last sign of the process, which died",
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

/// The text of `spanring info` about one session.
pub fn info(info: &SessionInfo, width: Option<usize>) -> String {
    let facts = [
        ("session", clean(&info.session).into_owned()),
        ("path", clean(&info.path.display().to_string()).into_owned()),
        ("program", clean(&info.executable).into_owned()),
        ("process", format!("{} on {}, {} {}", info.pid, clean(&info.host), clean(&info.os), clean(&info.arch))),
        (
            "recorder",
            format!("spanring {}, {}, rings of {} KiB", info.version, info.discipline, info.ring_bytes / 1024),
        ),
        ("since", moment(info.started_unix_ns)),
        ("until", until(info)),
        ("writer", writer(&info.writer).to_owned()),
        ("events", events(info)),
        ("spans", spans(info)),
        ("lost", lost(&info.missing)),
        ("health", health(info)),
    ];
    let mut text = String::new();
    for (key, value) in facts {
        writeln!(text, "{key:<9} {value}").expect("a string grows");
    }
    for damage in &info.missing.damage {
        let file = damage.path.display().to_string();
        writeln!(
            text,
            "damage    {}, byte {}: {} ({} bytes)",
            clean(&file),
            damage.offset,
            clean(damage.what),
            damage.bytes
        )
        .expect("a string grows");
    }
    text.push('\n');
    text.push_str(&threads(info, width));
    text
}

fn threads(info: &SessionInfo, width: Option<usize>) -> String {
    let mut table = Table::new(&[
        ("thread", Fit::Middle(10)),
        ("id", Fit::Number),
        ("os id", Fit::Number),
        ("spans begun", Fit::Number),
        ("spans ended", Fit::Number),
        ("events lost", Fit::Number),
    ]);
    for thread in &info.threads {
        table.row(vec![
            clean(&thread.name).into_owned(),
            thread.id.to_string(),
            thread.os_id.to_string(),
            thread.began.to_string(),
            thread.ended.to_string(),
            thread.lost_records.to_string(),
        ]);
    }
    table.render(width)
}

/// The list of sessions in a directory, oldest first.
pub fn sessions(listed: &[Listed], width: Option<usize>) -> String {
    let mut table =
        Table::new(&[("session", Fit::Middle(20)), ("since", Fit::Word), ("pid", Fit::Number), ("writer", Fit::Word)]);
    for session in listed {
        table.row(vec![
            clean(&session.session).into_owned(),
            session.started_unix_ns.map_or("-".to_owned(), moment),
            session.pid.map_or("-".to_owned(), |pid| pid.to_string()),
            session.writer.clone(),
        ]);
    }
    table.render(width)
}

fn until(info: &SessionInfo) -> String {
    match info.last_record_unix_ns {
        Some(last) => {
            let after = duration(last.saturating_sub(info.started_unix_ns));
            format!("{} (last event, {after} after the start)", moment(last))
        }
        None => "no event yet".to_owned(),
    }
}

fn writer(word: &str) -> &'static str {
    match word {
        "running" => "running: it is still recording",
        "stopped" => "stopped: it closed the recording",
        _ => "died: it ended without closing the recording",
    }
}

fn events(info: &SessionInfo) -> String {
    let parts = [(info.recovered_records, "recovered from rings"), (info.unknown_records, "of an unknown kind")];
    let parts: String =
        parts.iter().filter(|(number, _)| *number > 0).map(|(number, what)| format!(", {number} {what}")).collect();
    format!("{} read{parts}", info.records)
}

fn spans(info: &SessionInfo) -> String {
    let without = match info.missing.begins {
        0 => String::new(),
        begins => format!(", {begins} known by their ends alone"),
    };
    format!("{}, {} of them open{without}", info.spans, info.open_spans)
}

fn lost(missing: &Missing) -> String {
    let causes =
        [(missing.dropped_records, "dropped because a ring was full"), (missing.damaged_records, "in damaged places")];
    let causes: Vec<String> = causes
        .iter()
        .filter(|(records, _)| *records > 0)
        .map(|(records, cause)| format!("{records} {cause}"))
        .collect();
    let lost = (!causes.is_empty()).then(|| format!("{}: {}", count(missing.records(), "event"), causes.join(", ")));
    let by_design = [
        (missing.overwritten_records, "overwritten (flight discipline keeps the newest)"),
        (missing.retired_records, "retired (the directory has a budget)"),
    ];
    let by_design = by_design.iter().filter(|(records, _)| *records > 0);
    let by_design = by_design.map(|(records, why)| format!("{} {why}", count(*records, "older event")));
    let all: Vec<String> = lost.into_iter().chain(by_design).collect();
    if all.is_empty() { "0 events".to_owned() } else { all.join("; and ") }
}

fn health(info: &SessionInfo) -> String {
    let missing = &info.missing;
    if info.complete {
        let kept = missing.overwritten_records == 0 && missing.retired_records == 0;
        let all = if kept { "every event" } else { "every event that was kept" };
        return format!("complete: {all} has been read, with its name");
    }
    let lacks = [
        (missing.records(), "lost event"),
        (missing.begins, "lost begin"),
        (missing.names, "lost name"),
        (missing.cut_names, "cut name"),
        (missing.damage.len() as u64, "damaged place"),
    ];
    let lacks: Vec<String> =
        lacks.iter().filter(|(number, _)| *number > 0).map(|(number, what)| count(*number, what)).collect();
    format!("INCOMPLETE: {}", lacks.join(", "))
}

/// A sentence, broken between words into lines no wider than `width`.
fn wrapped(sentence: &str, width: Option<usize>) -> String {
    let width = width.unwrap_or(usize::MAX);
    let mut text = String::new();
    let mut used = 0;
    for word in sentence.split(' ') {
        let length = word.chars().count();
        if used > 0 && used + 1 + length > width {
            text.push('\n');
            used = 0;
        }
        if used > 0 {
            text.push(' ');
            used += 1;
        }
        text.push_str(word);
        used += length;
    }
    text.push('\n');
    text
}
