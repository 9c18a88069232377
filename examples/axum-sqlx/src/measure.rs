//! What recording takes: the same load again and again, in processes of their own, with everything recorded and with less.
//!
//! Every round runs each [`Row`] once, the next one first, so that what else goes on on the machine is everybody's. The first two are the same:
//! how far apart they are is how far apart two others may be that do not differ. The orders of a customer have their index: slow queries would
//! hide what recording takes.

use crate::run::Outcome;
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
        let requests = outcome.load.answered() + outcome.before.answered();
        Ok(Figures {
            rate: outcome.load.rate(),
            p99_ns: outcome.load.latencies.value_at_quantile(0.99),
            cpu_ns: outcome.processors.as_nanos() as f64 / outcome.load.answered() as f64,
            records: outcome.recorded.records as f64 / requests as f64,
            gone: outcome.recorded.gone,
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

/// What is measured: the same in every run of it.
#[derive(Clone, Copy, Debug)]
pub struct Row {
    /// What the table calls it.
    pub what: &'static str,
    /// What this program is told to `--record`.
    pub record: &'static str,
}

/// Everything that this program can record, from nothing on.
pub const ROWS: [Row; 6] = [
    Row { what: "off: no subscriber, no recorder", record: "off" },
    Row { what: "off, once more", record: "off" },
    Row { what: "`tracing` and its registry", record: "registry" },
    Row { what: "the same with the layer, and no recorder", record: "idle" },
    Row { what: "spanring, flight discipline", record: "flight" },
    Row { what: "spanring, drain discipline", record: "on" },
];

/// Measures, and makes a table in Markdown of it. Each run is this program again.
///
/// # Errors
/// If a run did not come to its end.
pub fn measure(rows: &[Row], rounds: usize, requests: u64, concurrency: u32) -> Result<String, Box<dyn Error>> {
    let mut seen = vec![Vec::new(); rows.len()];
    for round in 0..rounds {
        for turn in 0..rows.len() {
            let index = (round + turn) % rows.len();
            seen[index].push(one(&rows[index], requests, concurrency)?);
        }
    }
    Ok(table(rows, &seen))
}

/// A run in a process of its own: set up as it would be in a service, with nothing left from the one before.
fn one(row: &Row, requests: u64, concurrency: u32) -> Result<Figures, Box<dyn Error>> {
    let directory = tempfile::tempdir()?;
    let mut run = Command::new(std::env::current_exe()?);
    run.args(["run", "--figures", "--indexed", "--record", row.record, "--out"]).arg(directory.path());
    run.args(["--requests", &requests.to_string(), "--concurrency", &concurrency.to_string()]);
    let output = run.stderr(Stdio::inherit()).output()?;
    if !output.status.success() {
        return Err(format!("a run with --record {} failed: {}", row.record, output.status).into());
    }
    Ok(String::from_utf8(output.stdout)?.parse()?)
}

type Figure = fn(&Figures) -> f64;

const HEAD: &str = "\
| recorded | requests/s | of off | p99, ms | of off | processor time, µs | of off | records per request | overwritten or lost |
|---|---:|---:|---:|---:|---:|---:|---:|---:|
";

/// A row for each, of medians; what is measured in one round is held against the first one of that round. `≈` stands where the median is within the
/// range of the second one, which is the same as the first.
fn table(rows: &[Row], seen: &[Vec<Figures>]) -> String {
    let mut table = HEAD.to_owned();
    let of_off = |row: usize, figure: Figure| {
        Spread::of(seen[row].iter().zip(&seen[0]).map(|(it, off)| figure(it) / figure(off)))
    };
    let figures: [Figure; 3] = [|it| it.rate, |it| it.p99_ns as f64 / 1e6, |it| it.cpu_ns / 1e3];
    let noise = figures.map(|figure| of_off(1, figure));
    for (index, row) in rows.iter().enumerate() {
        let of = |figure: Figure| Spread::of(seen[index].iter().map(figure));
        let [rate, p99, cpu] = figures.map(of);
        let [of_rate, of_p99, of_cpu] = [0, 1, 2].map(|column: usize| {
            let it = of_off(index, figures[column]);
            // To say it of the two that show it would say nothing.
            let is_noise = index > 1 && noise[column].holds(it.median);
            format!("{}{it:.3}", if is_noise { "≈ " } else { "" })
        });
        let gone: u64 = seen[index].iter().map(|it| it.gone).sum();
        let records = of(|it| it.records).median;
        let what = row.what;
        let row = format!(
            "| {what} | {rate:.0} | {of_rate} | {p99:.2} | {of_p99} | {cpu:.0} | {of_cpu} | {records:.1} | {gone} |"
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

    fn holds(&self, figure: f64) -> bool {
        (self.least..=self.greatest).contains(&figure)
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
        let rounds = [figures(1000.0, 1_000_000), figures(500.0, 2_000_000), figures(1000.0, 1_000_000)];
        let slower = |by: f64| rounds.map(|it| figures(it.rate / by, (it.p99_ns as f64 * by) as u64)).to_vec();
        let mut again = slower(1.0);
        again[0] = figures(800.0, 1_500_000);
        let table = table(&ROWS[..4], &[slower(1.0), again, slower(2.0), slower(1.25)]);
        let rows = [
            "| off, once more | 800 (500 to 1000) | 1.000 (0.800 to 1.000) | 1.50 (1.00 to 2.00) | 1.000 (1.000 to 1.500) | \
             250 (200 to 400) | 1.000 (1.000 to 1.250) | 12.5 | 0 |",
            "| `tracing` and its registry | 500 (250 to 500) | 0.500 (0.500 to 0.500) | 2.00 (2.00 to 4.00) | \
             2.000 (2.000 to 2.000) | 400 (400 to 800) | 2.000 (2.000 to 2.000) | 12.5 | 0 |",
            "| the same with the layer, and no recorder | 800 (400 to 800) | ≈ 0.800 (0.800 to 0.800) | 1.25 (1.25 to 2.50) | \
             ≈ 1.250 (1.250 to 1.250) | 250 (250 to 500) | ≈ 1.250 (1.250 to 1.250) | 12.5 | 0 |",
        ];
        for row in rows {
            assert!(table.contains(row), "{table}");
        }
    }
}
