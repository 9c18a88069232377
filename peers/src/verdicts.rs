//! What spanring aims at, and whether it got there: each target beside what was measured.

use crate::measure::Measure;
use crate::runs::{Key, Results, Value};
use std::fmt::Write;

/// A figure: of which library, in which setup, in which row, by which measurement.
#[derive(Clone, Copy)]
struct Figure {
    row: (&'static str, &'static str, &'static str),
    /// Recorded, or while nobody records.
    recording: bool,
    measure: Measure,
    name: &'static str,
}

/// What a figure is held against.
enum Limit {
    /// A figure itself.
    Most(f64),
    /// So many times another figure.
    Times(f64, Figure),
    /// So much more than another figure.
    More(f64, Figure),
}

struct Target {
    what: &'static str,
    figure: Figure,
    limit: Limit,
}

const FLOOR: &str = "floor";
const DRAINED: &str = "floor, drained";
const SPANRING: &str = "spanring";
const HEAP: &str = "flight, heap";
const MAPPED: &str = "flight, mapped file";
const STREAMED: &str = "streamed to files";
const COMPRESSED: &str = "streamed, compressed";
const STATIC: &str = "async: static";
const NAMED: &str = "async: named";
const RUN_TIME: &str = "async, run-time name";

const fn figure(
    library: &'static str,
    setup: &'static str,
    row: &'static str,
    measure: Measure,
    name: &'static str,
) -> Figure {
    Figure { row: (library, setup, row), recording: true, measure, name }
}

const fn of_spanring(setup: &'static str, row: &'static str, measure: Measure, name: &'static str) -> Figure {
    figure(SPANRING, setup, row, measure, name)
}

/// Times the floor on one thread, in the same bursts.
const fn floors(setup: &'static str, row: &'static str) -> Figure {
    of_spanring(setup, row, Measure::Cost, "floors, 1 thread")
}

fn targets() -> Vec<Target> {
    let most = |what, figure, limit| Target { what, figure, limit: Limit::Most(limit) };
    let times = |what, figure, limit, other| Target { what, figure, limit: Limit::Times(limit, other) };
    let more = |what, figure, limit, other| Target { what, figure, limit: Limit::More(limit, other) };
    let cost = |setup, row, name| of_spanring(setup, row, Measure::Cost, name);
    let counted = |figure: Figure| Figure { measure: Measure::Instructions, name: "instructions", ..figure };
    let off = |figure: Figure| Figure { recording: false, row: (SPANRING, HEAP, figure.row.2), ..figure };
    let bare = figure(FLOOR, "", "async: no span", Measure::Cost, "ns, 1 thread");
    let to_file = |measure, name| figure(DRAINED, "to a file", "async: floor, drained", measure, name);
    let of_floor = |measure, name| figure(FLOOR, "", "async: floor", measure, name);
    vec![
        most("named, flight, heap: × floor", floors(HEAP, NAMED), 1.05),
        most("named, flight, mapped file: × floor", floors(MAPPED, NAMED), 1.05),
        times(
            "named, flight, heap: × static",
            cost(HEAP, NAMED, "ns, 1 thread"),
            1.03,
            cost(HEAP, STATIC, "ns, 1 thread"),
        ),
        most("named, streamed, recording thread: × floor", floors(STREAMED, NAMED), 1.15),
        most("run-time name, flight, heap: × floor", floors(HEAP, RUN_TIME), 1.25),
        most("sync static, flight, heap: × sync floor", floors(HEAP, "sync: static"), 1.05),
        most("sync named, flight, heap: × sync floor", floors(HEAP, "sync: named"), 1.05),
        times(
            "named, flight, heap, 2 threads: × 1 thread",
            cost(HEAP, NAMED, "ns, 2 threads"),
            1.10,
            cost(HEAP, NAMED, "ns, 1 thread"),
        ),
        more("named, off: ns above no span", off(cost(HEAP, NAMED, "ns, 1 thread")), 2.0, bare),
        more("named, off: instructions above no span", off(counted(cost(HEAP, NAMED, ""))), 12.0, counted(bare)),
        more(
            "named, flight, heap: instructions above the SPSC-safe floor",
            counted(cost(HEAP, NAMED, "")),
            30.0,
            counted(figure(FLOOR, "", "async: floor, SPSC-safe, nobody reads", Measure::Cost, "")),
        ),
        times(
            "named, streamed, CPU of all threads: × floor drained to a file",
            of_spanring(STREAMED, NAMED, Measure::Cpu, "CPU ns"),
            1.3,
            to_file(Measure::Cpu, "CPU ns"),
        ),
        times(
            "named, flight, heap, a task: × floor",
            of_spanring(HEAP, NAMED, Measure::Tasks, "task ns"),
            1.2,
            of_floor(Measure::Tasks, "task ns"),
        ),
        times(
            "named, flight, mapped file, a task: × floor",
            of_spanring(MAPPED, NAMED, Measure::Tasks, "task ns"),
            1.2,
            of_floor(Measure::Tasks, "task ns"),
        ),
        times(
            "named, streamed, a task: × floor drained to a file",
            of_spanring(STREAMED, NAMED, Measure::Tasks, "task ns"),
            1.2,
            to_file(Measure::Tasks, "task ns"),
        ),
        times(
            "named, streamed, single spans, p99.9: × floor drained to a file",
            of_spanring(STREAMED, NAMED, Measure::Single, "p99.9"),
            2.0,
            to_file(Measure::Single, "p99.9"),
        ),
        most(
            "named, flight, heap: page faults per 1000 spans, recording thread",
            of_spanring(HEAP, NAMED, Measure::Cpu, "page faults, recording thread"),
            0.0,
        ),
        most(
            "named, streamed, compressed: bytes on disk per span",
            of_spanring(COMPRESSED, NAMED, Measure::Cpu, "bytes"),
            12.0,
        ),
        most(
            "run-time name, streamed, compressed: bytes on disk per span",
            of_spanring(COMPRESSED, RUN_TIME, Measure::Cpu, "bytes"),
            12.0,
        ),
    ]
}

/// The targets that something was measured for.
pub fn table(keys: &[Key], results: &Results) -> String {
    let mut text = String::new();
    for Target { what, figure, limit } in targets() {
        let Some(value) = value(keys, results, figure) else { continue };
        let (measured, most) = match limit {
            Limit::Most(most) => (Some(value), most),
            Limit::Times(most, other) => (combined(Some(value), self::value(keys, results, other), |a, b| a / b), most),
            Limit::More(most, other) => (combined(Some(value), self::value(keys, results, other), |a, b| a - b), most),
        };
        let Some(Value { median, low, high }) = measured else { continue };
        let verdict = match (median <= most, low <= most) {
            (true, _) => "reached",
            (false, true) => "within the spread",
            (false, false) => "not reached",
        };
        let _ = writeln!(text, "| {what} | {median:.2} ({low:.2}–{high:.2}) | {most} | {verdict} |");
    }
    match text.is_empty() {
        true => text,
        false => format!("| | measured | at most | |\n|---|---:|---:|---|\n{text}"),
    }
}

fn value(keys: &[Key], results: &Results, figure: Figure) -> Option<Value> {
    let (library, setup, row) = figure.row;
    let key = keys.iter().find(|key| {
        let recorded_in = key.setup.map(|setup| key.library().setups()[setup].name);
        let in_setup = if figure.recording { recorded_in == Some(setup) } else { recorded_in.is_none() };
        in_setup && key.library().name() == library && key.row().name() == row
    })?;
    results.value(*key, figure.measure, figure.name)
}

/// Of two figures, each with its spread: what they make together, and how low and high that may be.
fn combined(value: Option<Value>, other: Option<Value>, of: impl Fn(f64, f64) -> f64) -> Option<Value> {
    let (value, other) = (value?, other?);
    Some(Value {
        median: of(value.median, other.median),
        low: of(value.low, other.high),
        high: of(value.high, other.low),
    })
}
