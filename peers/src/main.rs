//! What a span costs: spanring, its peers, and a floor, on this machine. Run it by `scripts/peers`.
//!
//! ```text
//! spanring-peers [--quick|--full] [--only TEXT] [--runs N]
//! ```
//!
//! Prints Markdown. Every figure comes from processes of their own, with one library in each: see [`measure`].

mod libraries;
mod library;
mod measure;
mod report;
mod rows;
mod runs;
mod verdicts;

use measure::{Measure, Scale};
use runs::{Key, Results};

/// Processes for each figure, unless told otherwise.
const RUNS: usize = 3;

fn main() {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    let words: Vec<&str> = arguments.iter().map(String::as_str).collect();
    match words[..] {
        ["child", measure, library, setup, row, scale] => child(measure, library, setup, row, scale),
        _ => parent(&words),
    }
}

/// Measures one thing, and prints it.
fn child(measure: &str, library: &str, setup: &str, row: &str, scale: &str) {
    let measure = Measure::ALL.into_iter().find(|one| one.name() == measure).expect("a measurement");
    let number = |text: &str| text.parse().expect("a number");
    let key = Key { library: number(library), setup: (setup != "off").then(|| number(setup)), row: number(row) };
    let scale = if scale == "Quick" { Scale::Quick } else { Scale::Full };
    for (name, value) in measure.run(key.subject(), scale) {
        println!("{name} {value}");
    }
}

/// Has everything measured, and prints the tables.
fn parent(words: &[&str]) {
    let after = |option: &str| words.iter().position(|word| *word == option).and_then(|at| words.get(at + 1)).copied();
    let scale = if words.contains(&"--quick") { Scale::Quick } else { Scale::Full };
    let runs = after("--runs").map_or(RUNS, |runs| runs.parse().expect("how many runs"));
    let mut keys = runs::keys();
    if let Some(text) = after("--only") {
        keys.retain(|key| key.library().name().contains(text));
    }
    let results = Results::measure(&keys, scale, runs);
    print!("{}", report::report(&keys, &results, runs, &words.join(" ")));
}
