//! `cargo run --release -p spanring-example-batch-job -- --sample 200 sales`: see the README beside this.

use clap::Parser;
use spanring::Recorder;
use spanring_example_batch_job::{job, sample};
use std::error::Error;
use std::path::PathBuf;
use std::process::ExitCode;

/// Adds up the files of sales in a directory, and records how that went
#[derive(Parser)]
struct Arguments {
    /// Where the files are
    directory: PathBuf,
    /// Writes so many files there before
    #[arg(long, value_name = "FILES")]
    sample: Option<usize>,
    /// Where to record
    #[arg(long, default_value = "recording")]
    out: PathBuf,
    /// Threads; one for each processor unless you say
    #[arg(long, default_value_t = 0)]
    threads: usize,
}

fn main() -> Result<ExitCode, Box<dyn Error>> {
    let arguments = Arguments::parse();
    if let Some(files) = arguments.sample {
        sample::write(&arguments.directory, files)?;
    }
    let entries = std::fs::read_dir(&arguments.directory)?.map(|entry| entry.map(|entry| entry.path()));
    let mut files = entries.collect::<Result<Vec<_>, _>>()?;
    files.sort();

    // What a job did is worth all of it: nothing is overwritten, and dropping the guard writes the rest.
    let recorder = Recorder::builder().directory(&arguments.out).start()?;
    let name = |thread| format!("worker {thread}");
    let pool = rayon::ThreadPoolBuilder::new().num_threads(arguments.threads).thread_name(name).build()?;
    let report = pool.install(|| job::run(&files));
    drop(pool);
    let health = recorder.stop()?;

    for (product, cents) in &report.sums {
        println!("{product:<8} {:>12.2}", *cents as f64 / 100.0);
    }
    for (file, error) in &report.failed {
        eprintln!("{}: {error}", file.display());
    }
    println!("{} files, {} failed; {health}", files.len(), report.failed.len());
    Ok(if report.failed.is_empty() { ExitCode::SUCCESS } else { ExitCode::FAILURE })
}
