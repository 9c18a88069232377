//! Many processes, one after another: every subject in turn, then all of them again.

use crate::libraries::LIBRARIES;
use crate::library::{Library, Row};
use crate::measure::{COUNTED_SPANS, COUNTED_SYMBOL, Measure, Scale, Subject};
use std::collections::HashMap;
use std::io::IsTerminal;
use std::process::Command;

/// A [`Subject`], in indices.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug)]
pub struct Key {
    pub library: usize,
    /// `None` if it is not started.
    pub setup: Option<usize>,
    pub row: usize,
}

impl Key {
    pub fn library(self) -> &'static dyn Library {
        LIBRARIES[self.library]
    }

    pub fn row(self) -> Row {
        self.library().rows()[self.row]
    }

    pub fn subject(self) -> Subject {
        Subject { library: self.library(), setup: self.setup, row: self.row() }
    }
}

/// All there are: libraries that record, then libraries that are off.
pub fn keys() -> Vec<Key> {
    let of = |off: bool| {
        LIBRARIES.iter().enumerate().flat_map(move |(index, library)| {
            let setups: Vec<Option<usize>> = match off {
                true => vec![None; usize::from(library.can_be_off())],
                false => (0..library.setups().len()).map(Some).collect(),
            };
            let rows = library.rows().len();
            setups.into_iter().flat_map(move |setup| (0..rows).map(move |row| Key { library: index, setup, row }))
        })
    };
    of(false).chain(of(true)).collect()
}

/// What the processes printed.
#[derive(Default)]
pub struct Results(HashMap<(Key, Measure, String), Vec<f64>>);

/// The middle of several processes, and how far apart they are.
#[derive(Clone, Copy, Debug)]
pub struct Value {
    pub median: f64,
    pub low: f64,
    pub high: f64,
}

impl Results {
    /// Measures all of `keys`, `runs` times.
    pub fn measure(keys: &[Key], scale: Scale, runs: usize) -> Results {
        let mut results = Results::default();
        for run in 1..=runs {
            for (number, key) in keys.iter().enumerate() {
                if std::io::stderr().is_terminal() {
                    eprint!("\rrun {run} of {runs}: {number} of {} ", keys.len());
                }
                Measure::ALL.into_iter().filter(|measure| key.asks_for(*measure)).for_each(|measure| {
                    // An instruction counter says the same every time.
                    if measure != Measure::Instructions || run == 1 {
                        results.add(*key, measure, scale);
                    }
                });
            }
        }
        results
    }

    fn add(&mut self, key: Key, measure: Measure, scale: Scale) {
        let figures = match measure {
            Measure::Instructions => count_instructions(key).into_iter().collect(),
            _ => in_a_process(key, measure, scale),
        };
        for (name, value) in figures {
            self.0.entry((key, measure, name)).or_default().push(value);
        }
    }

    /// A figure of a measurement; `None` if it does not apply.
    pub fn value(&self, key: Key, measure: Measure, name: &str) -> Option<Value> {
        let mut values = self.0.get(&(key, measure, name.to_owned()))?.clone();
        values.sort_by(f64::total_cmp);
        Some(Value { median: values[values.len() / 2], low: *values.first()?, high: *values.last()? })
    }
}

impl Key {
    /// Off is about what the recording thread pays.
    fn asks_for(self, measure: Measure) -> bool {
        let recording = self.setup.is_some();
        match measure {
            Measure::Cost | Measure::Instructions => true,
            Measure::Cpu | Measure::Single => recording,
            Measure::Tasks => recording && self.row().tasks.is_some(),
        }
    }

    /// What [`crate::main`] understands.
    fn arguments(self, measure: Measure, scale: Scale) -> [String; 6] {
        let setup = self.setup.map_or("off".to_owned(), |setup| setup.to_string());
        let (library, row) = (self.library.to_string(), self.row.to_string());
        ["child".to_owned(), measure.name().to_owned(), library, setup, row, format!("{scale:?}")]
    }
}

fn in_a_process(key: Key, measure: Measure, scale: Scale) -> Vec<(String, f64)> {
    let program = std::env::current_exe().expect("the program has a path");
    let output = Command::new(program).args(key.arguments(measure, scale)).output().expect("it can be run again");
    let errors = String::from_utf8_lossy(&output.stderr);
    assert!(output.status.success(), "{measure:?} of {}, {}: {errors}", key.library().name(), key.row().name());
    let lines = String::from_utf8(output.stdout).expect("figures are text");
    let figures = lines.lines().map(|line| {
        let (name, value) = line.rsplit_once(' ').expect("a name and a value");
        (name.to_owned(), value.parse().expect("a number"))
    });
    figures.collect()
}

/// Instructions per span, if callgrind is there.
fn count_instructions(key: Key) -> Option<(String, f64)> {
    let output = Command::new("valgrind")
        .args(["--tool=callgrind", "--callgrind-out-file=/dev/null"])
        .arg(format!("--toggle-collect={COUNTED_SYMBOL}"))
        .arg(std::env::current_exe().expect("the program has a path"))
        .args(key.arguments(Measure::Instructions, Scale::Quick))
        .output()
        .ok()?;
    let errors = String::from_utf8_lossy(&output.stderr);
    let collected = errors.lines().find_map(|line| line.split_once("Collected : "))?.1;
    let instructions: f64 = collected.trim().parse().ok()?;
    Some(("instructions".to_owned(), instructions / COUNTED_SPANS as f64))
}
