//! What recording takes: the same load again and again, in processes of their own, with everything recorded and with less.
//!
//! Every round runs each [`Record`] once, the next one first, so that what else goes on on the machine is everybody's. The orders of a
//! customer have their index: slow queries would hide what recording takes.

use crate::recording::Record;
use crate::run::Outcome;
use clap::ValueEnum;
use std::error::Error;
use std::fmt::{self, Display, Write};
use std::process::{Command, Stdio};
use std::str::FromStr;

/// What one run is worth.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Figures {
    /// Requests that were answered, for each second.
    pub rate: f64,
    /// 99th percentile of how long they took, in nanoseconds.
    pub p99_ns: u64,
    /// What processors did for each request, in nanoseconds, for its client and for the service.
    pub cpu_ns: f64,
    /// Records that were made for each request.
    pub records: f64,
    /// Records of these that are in no file: overwritten, as flight discipline has it, or lost.
    pub gone: u64,
}

impl Figures {
    /// Those of a run.
    ///
    /// # Errors
    /// If a request was not answered as it should have been: the figures of others are worth nothing then.
    pub fn of(outcome: &Outcome) -> Result<Figures, String> {
        let failed = outcome.load.failed + outcome.before.failed;
        if failed > 0 {
            return Err(format!("{failed} requests failed"));
        }
        let (flushed, gone) = outcome.health.as_ref().map_or((0, 0), |health| (health.flushed, health.lost));
        let requests = outcome.load.answered() + outcome.before.answered();
        Ok(Figures {
            rate: outcome.load.rate(),
            p99_ns: outcome.load.latencies.value_at_quantile(0.99),
            cpu_ns: outcome.processors.as_nanos() as f64 / outcome.load.answered() as f64,
            records: (flushed + gone) as f64 / requests as f64,
            gone,
        })
    }
}

impl Display for Figures {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} {} {} {} {}", self.rate, self.p99_ns, self.cpu_ns, self.records, self.gone)
    }
}

impl FromStr for Figures {
    type Err = String;

    fn from_str(text: &str) -> Result<Figures, String> {
        let wrong = || format!("these are no figures: {text}");
        let figures = match text.split_whitespace().collect::<Vec<_>>()[..] {
            [rate, p99_ns, cpu_ns, records, gone] => {
                (rate.parse(), p99_ns.parse(), cpu_ns.parse(), records.parse(), gone.parse())
            }
            _ => return Err(wrong()),
        };
        match figures {
            (Ok(rate), Ok(p99_ns), Ok(cpu_ns), Ok(records), Ok(gone)) => {
                Ok(Figures { rate, p99_ns, cpu_ns, records, gone })
            }
            _ => Err(wrong()),
        }
    }
}

/// Measures, and makes a table in Markdown of it. Each run is this program again.
///
/// # Errors
/// If a run did not come to its end.
pub fn measure(rounds: usize, requests: u64, concurrency: u32) -> Result<String, Box<dyn Error>> {
    let mut seen = [const { Vec::new() }; Record::ALL.len()];
    for round in 0..rounds {
        for turn in 0..Record::ALL.len() {
            let index = (round + turn) % Record::ALL.len();
            seen[index].push(one(Record::ALL[index], requests, concurrency)?);
        }
    }
    Ok(table(&seen))
}

/// A run of `record` in a process of its own: set up as it would be in a service, with nothing left from the one before.
fn one(record: Record, requests: u64, concurrency: u32) -> Result<Figures, Box<dyn Error>> {
    let directory = tempfile::tempdir()?;
    let record = record.to_possible_value().expect("none of them is hidden");
    let mut run = Command::new(std::env::current_exe()?);
    run.args(["run", "--figures", "--indexed", "--record", record.get_name(), "--out"]).arg(directory.path());
    run.args(["--requests", &requests.to_string(), "--concurrency", &concurrency.to_string()]);
    let output = run.stderr(Stdio::inherit()).output()?;
    if !output.status.success() {
        return Err(format!("a run with --record {} failed: {}", record.get_name(), output.status).into());
    }
    Ok(String::from_utf8(output.stdout)?.parse()?)
}

type Figure = fn(&Figures) -> f64;

/// A row for each [`Record`], of medians; what is measured in one round is held against the first one of that round.
fn table(seen: &[Vec<Figures>]) -> String {
    let mut table = String::from(
        "| recorded | requests/s | of off | p99, ms | of off | processor time, µs | of off | records per request | overwritten or lost |\n|---|---:|---:|---:|---:|---:|---:|---:|---:|\n",
    );
    for (record, figures) in Record::ALL.iter().zip(seen) {
        let what = match record {
            Record::Off => "off: no subscriber, no recorder",
            Record::Registry => "`tracing` and its registry",
            Record::Idle => "the same with the layer, and no recorder",
            Record::Flight => "on, flight discipline",
            Record::On => "on, drain discipline",
        };
        let of = |figure: Figure| Spread::of(figures.iter().map(figure));
        let of_off =
            |figure: Figure| Spread::of(figures.iter().zip(&seen[0]).map(|(it, off)| figure(it) / figure(off)));
        let [rate, p99, cpu]: [Figure; 3] = [|it| it.rate, |it| it.p99_ns as f64 / 1e6, |it| it.cpu_ns / 1e3];
        let gone: u64 = figures.iter().map(|it| it.gone).sum();
        let records = of(|it| it.records).median;
        let row = format!(
            "| {what} | {:.0} | {:.3} | {:.2} | {:.3} | {:.0} | {:.3} | {records:.1} | {gone} |",
            of(rate),
            of_off(rate),
            of(p99),
            of_off(p99),
            of(cpu),
            of_off(cpu)
        );
        writeln!(table, "{row}").expect("a string takes everything");
    }
    table
}

/// The median of some figures, with the least and the greatest.
struct Spread {
    median: f64,
    least: f64,
    greatest: f64,
}

impl Spread {
    fn of(figures: impl Iterator<Item = f64>) -> Spread {
        let mut figures: Vec<f64> = figures.collect();
        figures.sort_by(f64::total_cmp);
        let at = |index: usize| figures.get(index).copied().unwrap_or(f64::NAN);
        let median = (at(figures.len().saturating_sub(1) / 2) + at(figures.len() / 2)) / 2.0;
        Spread { median, least: at(0), greatest: at(figures.len().saturating_sub(1)) }
    }
}

impl Display for Spread {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let digits = f.precision().unwrap_or(0);
        write!(f, "{:.digits$} ({:.digits$} to {:.digits$})", self.median, self.least, self.greatest)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const fn figures(rate: f64, p99_ns: u64) -> Figures {
        Figures { rate, p99_ns, cpu_ns: 2e8 / rate, records: 12.5, gone: 0 }
    }

    #[test]
    fn figures_are_read_as_they_were_written() {
        let written = Figures { rate: 1234.5, p99_ns: 67, cpu_ns: 0.5, records: 8.25, gone: 9 };
        assert_eq!(written.to_string().parse(), Ok(written));
        for text in ["", "1 2 3 4", "1 2 3 4 5 6", "1 2 3 4 x", "the service said something"] {
            assert!(text.parse::<Figures>().is_err());
        }
    }

    #[test]
    fn a_round_is_held_against_itself() {
        // The second round was twice as slow for everybody.
        let off = vec![figures(1000.0, 1_000_000), figures(500.0, 2_000_000), figures(1000.0, 1_000_000)];
        let half = off.iter().map(|it| figures(it.rate / 2.0, it.p99_ns * 2)).collect();
        let table = table(&[off, half]);
        let row = "| `tracing` and its registry | 500 (250 to 500) | 0.500 (0.500 to 0.500) | 2.00 (2.00 to 4.00) | \
                   2.000 (2.000 to 2.000) | 400 (400 to 800) | 2.000 (2.000 to 2.000) | 12.5 | 0 |";
        assert!(table.contains(row), "{table}");
    }
}
