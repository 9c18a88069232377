//! Reports as text for people.

use crate::info::{Listed, Missing, SessionInfo};
use crate::text::{Fit, Table, clean, count, duration, moment};
use crate::top::{Row, TopReport};
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
    let place = match (&row.file, row.line) {
        (Some(file), Some(line)) => format!("{}:{line}", clean(file)),
        _ => "?".to_owned(),
    };
    let mark = if row.kind == "thread" { " (thread)" } else { "" };
    vec![
        format!("{}{mark}", clean(&row.name)),
        place,
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
        ("spans", format!("{}, {} of them open", info.spans, info.open_spans)),
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

fn lost(missing: &Missing) -> String {
    let causes = [
        (missing.dropped_records, "dropped because a ring was full"),
        (missing.overwritten_records, "overwritten by newer ones"),
        (missing.damaged_records, "in damaged places"),
    ];
    let causes: Vec<String> = causes
        .iter()
        .filter(|(records, _)| *records > 0)
        .map(|(records, cause)| format!("{records} {cause}"))
        .collect();
    if causes.is_empty() {
        "0 events".to_owned()
    } else {
        format!("{} events: {}", missing.records(), causes.join(", "))
    }
}

fn health(info: &SessionInfo) -> String {
    if info.complete {
        return "complete: every event has been read, with its name".to_owned();
    }
    let missing = &info.missing;
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
