//! Proves what a spanring recording survives.
//!
//! `prove all --quick` or `prove all --full`, or `prove NUMBER..`: each proof prints a row of a table. A proof that does not hold
//! says `FAILED`, one that this machine cannot run says `did not run`, and the exit status is 1 if any failed.

mod acts;
mod contents;
mod outcome;
mod p05_inside_a_record;
mod p06_under_load;
mod p07_at_each_system_call;
mod p08_disk_full;
mod p09_damage;
mod p13_scribbles;
mod p14_fork;
mod p15_signals;
mod p16_thread_churn;
mod p17_ways_to_end;
mod p18_open_spans;
mod p19_budgets;
mod process;
mod random;
mod trace;

use outcome::{Proven, Scale, Shown, Trouble};
use std::process::ExitCode;
use std::time::Instant;

#[global_allocator]
static ALLOCATOR: p15_signals::CountingAllocator = p15_signals::CountingAllocator;

/// A proof, by its number in the table.
struct Proof {
    number: u32,
    fault: &'static str,
    run: fn(Scale) -> Proven,
}

const PROOFS: &[Proof] = &[
    Proof { number: 5, fault: "killed inside a record", run: p05_inside_a_record::run },
    Proof { number: 6, fault: "killed under load", run: p06_under_load::run },
    Proof { number: 7, fault: "killed at each system call", run: p07_at_each_system_call::run },
    Proof { number: 8, fault: "disk full", run: p08_disk_full::run },
    Proof { number: 9, fault: "truncation", run: p09_damage::truncation },
    Proof { number: 10, fault: "bit rot", run: p09_damage::bit_rot },
    Proof { number: 11, fault: "partial damage", run: p09_damage::partial_damage },
    Proof { number: 13, fault: "scribbles on a live mapping", run: p13_scribbles::run },
    Proof { number: 14, fault: "fork", run: p14_fork::run },
    Proof { number: 15, fault: "signals", run: p15_signals::run },
    Proof { number: 16, fault: "thread churn", run: p16_thread_churn::run },
    Proof { number: 17, fault: "ways to end", run: p17_ways_to_end::run },
    Proof { number: 18, fault: "open spans, long after", run: p18_open_spans::run },
    Proof { number: 19, fault: "budgets, in the long run", run: p19_budgets::run },
];

/// A hidden role: what a child of a proof does.
type Role = (&'static str, fn(&[String]) -> Result<(), Trouble>);

const ROLES: &[Role] = &[
    (p05_inside_a_record::ROLE, p05_inside_a_record::child),
    (p06_under_load::ROLE, p06_under_load::child),
    (p07_at_each_system_call::ROLE, p07_at_each_system_call::child),
    (p08_disk_full::DISK, p08_disk_full::disk),
    (p08_disk_full::LIMIT, p08_disk_full::limit),
    (p09_damage::ROLE, p09_damage::child),
    (p13_scribbles::ROLE, p13_scribbles::child),
    (p14_fork::ROLE, p14_fork::child),
    (p15_signals::STORM, p15_signals::storm),
    (p15_signals::STEPPED, p15_signals::stepped),
    (p16_thread_churn::ROLE, p16_thread_churn::child),
    (p17_ways_to_end::ROLE, p17_ways_to_end::child),
    (p18_open_spans::ROLE, p18_open_spans::child),
    (p19_budgets::ROLE, p19_budgets::child),
];

fn main() -> ExitCode {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    match arguments.first().map(String::as_str) {
        Some(process::CHILD) => play(&arguments[1..]),
        _ => match chosen(&arguments) {
            Ok((proofs, scale)) => prove(&proofs, scale),
            Err(what) => {
                eprintln!("{what}\nusage: prove all|NUMBER.. [--quick|--full] [--count ROUNDS]");
                ExitCode::from(2)
            }
        },
    }
}

fn play(arguments: &[String]) -> ExitCode {
    let role = arguments.first().and_then(|name| ROLES.iter().find(|(role, _)| role == name));
    match role.map(|(_, play)| play(&arguments[1..])) {
        Some(Ok(())) => ExitCode::SUCCESS,
        Some(Err(Trouble::Broken(what) | Trouble::Unable(what))) => {
            println!("{what}");
            ExitCode::FAILURE
        }
        None => ExitCode::from(2),
    }
}

fn chosen(arguments: &[String]) -> Result<(Vec<&'static Proof>, Scale), String> {
    let mut scale = Scale { full: false, count: None };
    let mut proofs = Vec::new();
    let mut arguments = arguments.iter();
    while let Some(argument) = arguments.next() {
        match argument.as_str() {
            "--quick" => scale.full = false,
            "--full" => scale.full = true,
            "--count" => {
                let count = arguments.next().and_then(|count| count.parse().ok());
                scale.count = Some(count.ok_or("--count takes a number")?);
            }
            "all" => proofs.extend(PROOFS),
            number => {
                let proof = PROOFS.iter().find(|proof| proof.number.to_string() == number);
                proofs.push(proof.ok_or_else(|| format!("there is no proof {number}"))?);
            }
        }
    }
    if proofs.is_empty() { Err("which proof?".to_owned()) } else { Ok((proofs, scale)) }
}

fn prove(proofs: &[&Proof], scale: Scale) -> ExitCode {
    println!("| # | fault | how much | shown | seconds |\n|---|---|---|---|---|");
    let mut failed = false;
    for Proof { number, fault, run } in proofs {
        let start = Instant::now();
        let proven = std::panic::catch_unwind(|| run(scale)).unwrap_or_else(|panic| {
            let what = panic.downcast_ref::<String>().cloned().unwrap_or_else(|| "it panicked".to_owned());
            Err(Trouble::Broken(what))
        });
        let (amount, shown) = match proven {
            Ok(Shown { amount, shown }) => (amount, shown),
            Err(Trouble::Unable(why)) => ("none".to_owned(), format!("did not run: {why}")),
            Err(Trouble::Broken(what)) => {
                failed = true;
                ("".to_owned(), format!("FAILED: {what}"))
            }
        };
        println!("| {number} | {fault} | {amount} | {shown} | {:.1} |", start.elapsed().as_secs_f64());
    }
    if failed { ExitCode::FAILURE } else { ExitCode::SUCCESS }
}
