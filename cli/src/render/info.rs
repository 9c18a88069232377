//! `spanring info` as text.

use super::wrapped;
use crate::info::{DamageInfo, Listed, Missing, SessionInfo, SnapshotInfo};
use crate::spans::DetailTotals;
use crate::text::{Fit, Table, clean, count, duration, moment};
use std::fmt::Write;

/// Columns that keys of facts take.
const KEY_WIDTH: usize = 10;

/// The text of `spanring info` about one session.
pub fn info(info: &SessionInfo, width: Option<usize>) -> String {
    let snapshot = info.snapshot.as_ref().map(|snapshot| {
        let SnapshotInfo { of, reason } = snapshot;
        (
            "snapshot",
            format!("of {}: {}", clean(of), if reason.is_empty() { "no reason given".into() } else { clean(reason) }),
        )
    });
    let chosen = [
        ("filter", &info.filter, "which spans were recorded at the start"),
        ("sampling", &info.sampling, "what share of the roots was recorded at the start"),
    ];
    let chosen = chosen.into_iter().filter(|(_, value, _)| !value.is_empty());
    let chosen = chosen.map(|(key, value, what)| (key, format!("{}: {what}", clean(value))));
    let facts = [
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
        ("beside", beside(&info.beside_spans)),
        ("lost", lost(&info.missing)),
        ("health", health(info)),
    ];
    let mut text = String::new();
    let path = clean(&info.path.display().to_string()).into_owned();
    let which = [("session", clean(&info.session).into_owned()), ("path", path)];
    let facts = facts.into_iter().filter(|(_, value)| !value.is_empty());
    for (key, value) in which.into_iter().chain(snapshot).chain(chosen).chain(facts) {
        // A path is shortened; a sentence goes on in the next line, below its begin.
        let room = width.map(|width| width.saturating_sub(KEY_WIDTH).max(20));
        let value = match room {
            Some(room) if matches!(key, "path" | "program") => Fit::Path(8).set(&value, room),
            _ => value,
        };
        for (index, line) in wrapped(&value, room).lines().enumerate() {
            writeln!(text, "{:<KEY_WIDTH$}{line}", if index == 0 { key } else { "" }).expect("a string grows");
        }
    }
    for damage in &info.missing.damage {
        let file = damage.path.display().to_string();
        let DamageInfo { offset, bytes, .. } = damage;
        // Not shortened: what is wrong has to be found.
        writeln!(text, "damage    {}, byte {offset}: {} ({bytes} bytes)", clean(&file), clean(damage.what))
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
        "died" => "died: it ended without closing the recording",
        _ => "unknown: the session file, which would say so, is missing or damaged",
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

/// What was recorded beside spans; nothing, if there is nothing to say.
fn beside(totals: &DetailTotals) -> String {
    if *totals == DetailTotals::default() {
        return String::new();
    }
    let kinds = [(totals.attributes, "attribute"), (totals.instants, "instant"), (totals.counters, "value")];
    let kinds: Vec<String> = kinds.iter().map(|(number, what)| count(*number, what)).collect();
    let less = [
        (totals.late_attributes, "attribute", "of spans that are not there"),
        (totals.late_instants, "instant", "of such"),
        (totals.dropped_attributes, "attribute", "too many for their spans"),
        (totals.dropped_instants, "instant", "too many for their spans"),
    ];
    let less = less.iter().filter(|(number, ..)| *number > 0);
    let less: String = less.map(|(number, what, why)| format!("; {} {why}", count(*number, what))).collect();
    format!("{} of counters{less}", kinds.join(", "))
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

/// That nothing was recorded, and what may be the cause, if so.
///
/// ```no_run
/// use spanring::reader::Recording;
/// use spanring_cli::{info, render};
///
/// # fn main() -> Result<(), spanring::reader::ReadError> {
/// let info = info::describe(&Recording::open("recording")?)?;
/// if let Some(remark) = render::nothing(&info) {
///     eprintln!("{remark}");
/// }
/// # Ok(())
/// # }
/// ```
pub fn nothing(info: &SessionInfo) -> Option<String> {
    let chosen = !info.filter.is_empty() || !info.sampling.is_empty();
    let or_not_wanted = if chosen { ", or is none of it wanted" } else { "" };
    (info.records == 0 && info.missing == Missing::default()).then(|| {
        format!(
            "NOTHING WAS RECORDED: are the spans compiled in, did the instrumented code run while the recorder did{or_not_wanted}?"
        )
    })
}

fn health(info: &SessionInfo) -> String {
    let missing = &info.missing;
    if let Some(remark) = nothing(info) {
        return remark;
    }
    if info.complete {
        let kept = missing.overwritten_records == 0 && missing.retired_records == 0;
        let all = if kept { "every event" } else { "every event that was kept" };
        if info.writer == "unknown" {
            return format!(
                "unknown: {all} that is there has been read, with its name; the session file, which says how many there were, is lost"
            );
        }
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
