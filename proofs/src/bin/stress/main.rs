//! Many threads that record at once, for tools that watch a program run: ThreadSanitizer (`scripts/tsan`) and Miri (`scripts/miri`).
//!
//! `stress SCALE [ACT..]`: each act prints a line of figures. It also checks what holds of every recording: what was recorded is what
//! was read and what is counted as lost, and nothing is there twice. The exit status is 1 if that does not hold.

mod churn;
#[path = "../../contents.rs"]
#[allow(dead_code, reason = "`prove` uses the rest")]
mod contents;
mod files;
mod handover;
mod migrants;
#[path = "../../outcome.rs"]
#[allow(dead_code, reason = "`prove` uses the rest")]
mod outcome;
mod restart;

use outcome::{Trouble, ensure};
use spanring::Discipline;
use std::collections::HashSet;
use std::process::ExitCode;
use std::time::Duration;

/// Does something on many threads, `scale` times as much as at the least. Returns the figures.
type Act = fn(scale: u64) -> Result<String, Trouble>;

const ACTS: &[(&str, Act)] = &[
    ("handover", |scale| handover::run(scale, handover::WhenFull::Drop)),
    ("waiting-handover", |scale| handover::run(scale, handover::WhenFull::Wait)),
    ("churn", |scale| churn::run(scale, Discipline::Drain)),
    ("flight-churn", |scale| churn::run(scale, Discipline::Flight)),
    ("restart", restart::run),
    ("migrants", migrants::run),
    ("files", files::run),
];

fn main() -> ExitCode {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    let chosen = |name: &str| arguments.len() < 2 || arguments[1..].iter().any(|argument| argument == name);
    let unknown = arguments.iter().skip(1).find(|argument| !ACTS.iter().any(|(name, _)| name == argument));
    let scale = arguments.first().and_then(|scale| scale.parse().ok()).filter(|scale| *scale > 0);
    let (Some(scale), None) = (scale, unknown) else {
        let names: Vec<&str> = ACTS.iter().map(|(name, _)| *name).collect();
        eprintln!("usage: stress SCALE [ACT..], where an act is one of {}", names.join(", "));
        return ExitCode::from(2);
    };
    for (name, act) in ACTS.iter().filter(|(name, _)| chosen(name)) {
        match act(scale) {
            Ok(figures) => println!("{name}: {figures}"),
            Err(Trouble::Broken(what) | Trouble::Unable(what)) => {
                println!("{name} FAILED: {what}");
                return ExitCode::FAILURE;
            }
        }
    }
    ExitCode::SUCCESS
}

/// How much of something: `least` in an interpreter, else `usual`.
const fn size(least: u64, usual: u64) -> u64 {
    if cfg!(miri) { least } else { usual }
}

/// Lets the flusher catch up, now and then: a full ring is not all that there is to see. Miri's clock counts steps.
fn pause_after(number: u64) {
    const RECORDS: u64 = size(4, 32);
    if number % RECORDS == 0 {
        std::thread::sleep(Duration::from_micros(size(10_000, 50)));
    }
}

/// Begins and ends of spans that were seen before.
#[derive(Default)]
struct Seen(HashSet<(u64, bool)>);

impl Seen {
    /// Checks a recording by itself, and that nothing in it was seen before. Span ids are never used twice in a process.
    fn check(&mut self, contents: &contents::Contents) -> Result<(), Trouble> {
        contents.check_sound()?;
        for record in &contents.records {
            ensure!(self.0.insert((record.span_id, record.outcome.is_some())), "recorded twice: {record:?}");
        }
        Ok(())
    }
}
