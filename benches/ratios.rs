//! One table: what a span costs, and how many times the floor that is.
//!
//! ```text
//! cargo bench -p spanring --bench ratios              the table, in Markdown
//! cargo bench -p spanring --bench ratios -- --quick   the same from fewer rounds
//! cargo bench -p spanring --bench ratios -- --count "async named" 100000
//!                                                     only makes spans: for counting instructions
//! ```
//!
//! Every round measures every row for a short while, beside the floors; a ratio is the median of the ratios of the rounds. So what
//! else happens on the machine meanwhile falls on both sides.

mod rows;

use rows::setup::Setup;
use rows::{FLOORS, Floor, Row, SPANS, time};
use std::time::Duration;

fn main() {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    let words: Vec<&str> = arguments.iter().map(String::as_str).collect();
    match words[..] {
        ["--count", row, spans, ..] => count(row, spans.parse().expect("a number of spans")),
        // As `cargo test --benches` runs it.
        _ if !words.contains(&"--bench") => table(1, Duration::from_micros(100)),
        _ if words.contains(&"--quick") => table(5, Duration::from_millis(5)),
        _ => table(15, Duration::from_millis(20)),
    }
}

/// Makes so many spans, in flight discipline on the heap; or without a recorder, or with a filter or sampling, if the row's name begins so.
fn count(name: &str, spans: u64) {
    let setups = [
        ("off: ", Setup::Off),
        ("refused: ", Setup::Refused),
        ("refused by target: ", Setup::RefusedByTarget),
        ("unsampled: ", Setup::Unsampled),
        ("wanted: ", Setup::Wanted),
    ];
    let named = setups.into_iter().find_map(|(prefix, setup)| Some((setup, name.strip_prefix(prefix)?)));
    let (setup, name) = named.unwrap_or((Setup::Heap, name));
    let rows = FLOORS.iter().chain(&SPANS);
    let row = rows.clone().find(|row| row.name == name);
    let row = row.unwrap_or_else(|| panic!("rows: {:?}", rows.map(|row| row.name).collect::<Vec<_>>()));
    let _recording = setup.start();
    counted(*row, spans);
}

/// What an instruction counter is told to watch.
#[inline(never)]
fn counted(row: Row, spans: u64) {
    (row.run)(spans);
    std::hint::black_box(());
}

/// A line of the table.
struct Line {
    setup: Setup,
    row: Row,
    /// For one thread, and for two.
    samples: [Vec<Sample>; 2],
}

/// What a round saw.
#[derive(Clone, Copy)]
struct Sample {
    ns: f64,
    /// Times the floor beside it.
    ratio: f64,
}

fn table(rounds: usize, slice: Duration) {
    let mut lines = lines();
    for _ in 0..rounds {
        for group in lines.chunk_by_mut(|one, next| one.setup == next.setup) {
            round(group, slice);
        }
    }
    println!("| row | 1 thread, ns | × floor | 2 threads, ns each | × floor | × 1 thread |");
    println!("|---|---:|---:|---:|---:|---:|");
    for Line { setup, row, samples: [one, two] } in &lines {
        let ns = |samples: &[Sample]| median(samples.iter().map(|sample| sample.ns));
        let ratio = |samples: &[Sample]| median(samples.iter().map(|sample| sample.ratio));
        let scaling = median(one.iter().zip(two).map(|(one, two)| two.ns / one.ns));
        let name = if FLOORS.iter().any(|floor| floor.name == row.name) {
            row.name.to_owned()
        } else {
            format!("{}: {}", setup.name(), row.name)
        };
        println!("| {name} | {:.1} | {:.2} | {:.1} | {:.2} | {scaling:.2} |", ns(one), ratio(one), ns(two), ratio(two));
    }
}

fn lines() -> Vec<Line> {
    let line = |setup, row| Line { setup, row, samples: [Vec::new(), Vec::new()] };
    let off = FLOORS.iter().chain(&SPANS).map(|row| line(Setup::Off, *row));
    let setups = Setup::RECORDING.into_iter().filter(|setup| setup.exists());
    let on = setups.flat_map(|setup| SPANS.iter().map(move |row| line(setup, *row)));
    off.chain(on).collect()
}

/// Measures all rows of one setup, and the floors beside them.
fn round(lines: &mut [Line], slice: Duration) {
    let setup = lines[0].setup;
    let recording = setup.start();
    for threads in [1, 2] {
        let measure = |row: Row| {
            let few = setup.burst();
            let guess = time(row, setup, &recording, threads, few).max(Duration::from_nanos(1));
            let spans = (few as f64 * slice.as_secs_f64() / guess.as_secs_f64()) as u64;
            let spans = spans.max(few);
            time(row, setup, &recording, threads, spans).as_secs_f64() * 1e9 / spans as f64
        };
        let floors = [Floor::Async, Floor::Sync].map(|floor| (floor, measure(floor.row())));
        for line in &mut *lines {
            let floor = floors.iter().find(|(floor, _)| *floor == line.row.floor).map_or(f64::NAN, |(_, ns)| *ns);
            let ns = measure(line.row);
            line.samples[threads - 1].push(Sample { ns, ratio: ns / floor });
        }
    }
}

fn median(values: impl Iterator<Item = f64>) -> f64 {
    let mut values: Vec<f64> = values.collect();
    values.sort_by(f64::total_cmp);
    values.get(values.len() / 2).copied().unwrap_or(f64::NAN)
}
