//! The tables, in Markdown.

use crate::libraries::LIBRARIES;
use crate::library::Kind;
use crate::measure::Measure;
use crate::runs::{Key, Results, Value};
use crate::verdicts;
use std::fmt::Write;
use std::process::Command;

/// Everything that was measured, where, and how.
pub fn report(keys: &[Key], results: &Results, runs: usize, arguments: &str) -> String {
    let recording: Vec<Key> = keys.iter().copied().filter(|key| key.setup.is_some()).collect();
    let off: Vec<Key> = keys.iter().copied().filter(|key| key.setup.is_none()).collect();
    let mut text = String::new();
    let command = format!("scripts/peers {arguments}");
    let _ = writeln!(
        text,
        "{}, {}, by `{}`; medians of {runs} processes, in brackets the lowest and the highest.",
        date(),
        machine(),
        command.trim()
    );
    let mut section = |title: &str, keys: &[Key], table: String| {
        if !keys.is_empty() && !table.is_empty() {
            let _ = write!(text, "\n### {title}\n\n{table}");
        }
    };
    section("Targets", keys, verdicts::table(keys, results));
    section("A span, recorded", &recording, cost(&recording, results, true));
    section("A span while nobody records", &off, cost(&off, results, false));
    section("The whole process", &recording, process(&recording, results));
    section("Single spans", &recording, single(&recording, results));
    section("In a tokio runtime", &recording, tasks(&recording, results));
    text.push_str("\n### Setups\n\n");
    text.push_str(&notes(keys));
    text
}

/// What the recording thread pays.
fn cost(keys: &[Key], results: &Results, recording: bool) -> String {
    let mut header = vec!["", "1 thread, ns", "× floor", "2 threads, ns each", "× floor", "instructions"];
    header.extend(recording.then_some("arrived"));
    table(&header, rows(keys, recording), |key| {
        let value = |name| results.value(key, Measure::Cost, name);
        let instructions = results.value(key, Measure::Instructions, "instructions");
        let mut cells = vec![
            spread(value("ns, 1 thread"), 1),
            spread(value("floors, 1 thread"), 2),
            spread(value("ns, 2 threads"), 1),
            spread(value("floors, 2 threads"), 2),
            plain(instructions, 0),
        ];
        cells.extend(recording.then(|| share(value("arrived"))));
        cells
    })
}

/// What all threads pay.
fn process(keys: &[Key], results: &Results) -> String {
    let header = [
        "",
        "CPU, all threads, ns per span",
        "page faults per 1000 spans",
        "on the recording thread",
        "bytes on disk per span",
        "arrived",
    ];
    table(&header, rows(keys, true), |key| {
        let value = |name| results.value(key, Measure::Cpu, name);
        vec![
            spread(value("CPU ns"), 1),
            plain(value("page faults"), 2),
            plain(value("page faults, recording thread"), 2),
            value("bytes").map_or_else(|| at_rest(key), |bytes| plain(Some(bytes), 1)),
            share(value("arrived")),
        ]
    })
}

fn single(keys: &[Key], results: &Results) -> String {
    const SHARES: [&str; 5] = ["p50", "p99", "p99.9", "p99.99", "max"];
    let header = ["", "p50, ns", "p99", "p99.9", "p99.99", "max", "arrived"];
    table(&header, rows(keys, true), |key| {
        let value = |name| results.value(key, Measure::Single, name);
        let shares = SHARES.map(|share| plain(value(share), 0));
        shares.into_iter().chain([share(value("arrived"))]).collect()
    })
}

fn tasks(keys: &[Key], results: &Results) -> String {
    let header = ["", "CPU, ns per task over none", "none, ns per task", "arrived"];
    let with_tasks = keys.iter().copied().filter(|key| key.row().tasks.is_some());
    let mut lines: Vec<Line> = with_tasks.map(Line::Measured).collect();
    let libraries = LIBRARIES.iter().enumerate().filter(|(index, _)| keys.iter().any(|key| key.library == *index));
    let without = libraries.filter(|(_, library)| library.rows().iter().all(|row| row.tasks.is_none()));
    lines.extend(without.map(|(_, library)| Line::NotOffered(format!("{}: tasks in spans", library.name()))));
    table(&header, lines, |key| {
        let value = |name| results.value(key, Measure::Tasks, name);
        vec![spread(value("task ns"), 0), plain(value("bare task ns"), 0), share(value("arrived"))]
    })
}

/// A line of a table.
enum Line {
    Measured(Key),
    /// What a library cannot do.
    NotOffered(String),
}

/// All that was measured, and after each library what it has no way to do.
fn rows(keys: &[Key], recording: bool) -> Vec<Line> {
    let mut lines = Vec::new();
    for keys in keys.chunk_by(|one, next| one.library == next.library) {
        lines.extend(keys.iter().copied().map(Line::Measured));
        let library = keys[0].library();
        let missing = Kind::ALL.into_iter().filter(|kind| library.rows().iter().all(|row| row.kind != *kind));
        let asked = recording && library.package().is_some();
        lines.extend(
            missing.filter(|_| asked).map(|kind| Line::NotOffered(format!("{}: {}", library.name(), kind.name()))),
        );
    }
    lines
}

fn table(header: &[&str], lines: Vec<Line>, cells: impl Fn(Key) -> Vec<String>) -> String {
    let mut text = format!("| {} |\n|---{}|\n", header.join(" | "), "|---:".repeat(header.len() - 1));
    for line in lines {
        let (name, cells) = match line {
            Line::Measured(key) => (name(key), cells(key)),
            Line::NotOffered(what) => {
                let mut cells = vec![String::new(); header.len() - 1];
                cells[0] = "not offered".to_owned();
                (what, cells)
            }
        };
        let _ = writeln!(text, "| {name} | {} |", cells.join(" | "));
    }
    text
}

/// Library, setup and row.
fn name(key: Key) -> String {
    let library = key.library();
    let setup = key.setup.map_or("", |setup| library.setups()[setup].name);
    let row = key.row().name();
    match (library.package(), setup) {
        (Some(_), "") => format!("{}: {row}", library.name()),
        (Some(_), _) => format!("{}, {setup}: {row}", library.name()),
        (None, "") => format!("*{row}*"),
        (None, _) => format!("*{row} {setup}*"),
    }
}

/// What is on disk, where nothing is written per span.
fn at_rest(key: Key) -> String {
    let setup = key.setup.map(|setup| &key.library().setups()[setup]);
    setup.and_then(|setup| setup.at_rest).unwrap_or("none").to_owned()
}

fn spread(value: Option<Value>, digits: usize) -> String {
    value.map_or(String::new(), |value| {
        let Value { median, low, high } = value;
        format!("{median:.digits$} ({low:.digits$}–{high:.digits$})")
    })
}

fn plain(value: Option<Value>, digits: usize) -> String {
    value.map_or(String::new(), |value| format!("{:.digits$}", value.median))
}

/// How much of it arrived, in the worst of the runs.
fn share(value: Option<Value>) -> String {
    value.map_or(String::new(), |value| match value.low {
        1.0 => "all".to_owned(),
        low => format!("{:.2} %", low * 100.0),
    })
}

/// What each library is set up like.
fn notes(keys: &[Key]) -> String {
    let mut text = String::new();
    for (_, library) in LIBRARIES.iter().enumerate().filter(|(index, _)| keys.iter().any(|key| key.library == *index)) {
        let version = library.package().map_or(String::new(), |package| format!(" {}", version(package)));
        for setup in library.setups() {
            let comma = if setup.name.is_empty() { "" } else { ", " };
            let _ = writeln!(text, "- **{}{version}{comma}{}**: {}", library.name(), setup.name, setup.note);
        }
    }
    text
}

/// As the lock file has it.
fn version(package: &str) -> String {
    let lock = include_str!("../Cargo.lock");
    let entry = lock.split("[[package]]").find(|entry| entry.contains(&format!("name = \"{package}\"\n")));
    let version = entry.and_then(|entry| entry.lines().find_map(|line| line.strip_prefix("version = \"")));
    version.map_or("unknown", |version| version.trim_end_matches('"')).to_owned()
}

fn date() -> String {
    said_by("date", &["-u", "+%Y-%m-%d %H:%M UTC"])
}

/// The load that the bench itself makes, at most.
const QUIET: f64 = 1.5;

/// Processor, how many, kernel, compiler.
fn machine() -> String {
    let processors = std::fs::read_to_string("/proc/cpuinfo").unwrap_or_default();
    let model = processors.lines().find_map(|line| line.strip_prefix("model name")?.split_once(": "));
    let model = model.map_or("processor unknown", |(_, model)| model);
    let count = std::thread::available_parallelism().map_or(0, usize::from);
    let kernel = said_by("uname", &["-sr"]);
    let load = std::fs::read_to_string("/proc/loadavg").unwrap_or_default();
    let load: f64 = load.split(' ').next().and_then(|load| load.parse().ok()).unwrap_or(f64::NAN);
    let quiet = if load <= QUIET { "" } else { ": **provisional**, the machine was busy" };
    format!("{count} × {model}, {kernel}, {}, load at the end {load:.1}{quiet}", said_by("rustc", &["--version"]))
}

fn said_by(program: &str, arguments: &[&str]) -> String {
    let output = Command::new(program).args(arguments).output();
    output.map_or(format!("{program} unknown"), |output| String::from_utf8_lossy(&output.stdout).trim().to_owned())
}
