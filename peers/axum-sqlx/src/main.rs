//! The service of `examples/axum-sqlx`, recorded by dial9 as well: what that takes beside spanring and `tracing` with its registry.
//!
//! ```text
//! cargo run --release --manifest-path peers/Cargo.toml -p spanring-peers-axum-sqlx -- measure
//! ```
//!
//! dial9 records the spans of `tracing`, by its own layer, with the buffer that it recommends. The service's other spans are spanring's,
//! which nobody records then. The runtime's own events, which are what dial9 is for, are not recorded, so that spans are compared with spans.

use clap::{Parser, ValueEnum};
use dial9::format::Decoder;
use dial9::{DiskBuffer, Recorder};
use dial9_utils::tracing_layer::Dial9TracingLayer;
use spanring_example_axum_sqlx::database::Contents;
use spanring_example_axum_sqlx::load::Load;
use spanring_example_axum_sqlx::measure::{Figures, ROWS, Row, measure};
use spanring_example_axum_sqlx::recording::Record;
use spanring_example_axum_sqlx::run::{Options, Outcome, Recorded, answer, run};
use std::error::Error;
use std::path::{Path, PathBuf};
use std::time::Duration;
use tracing_subscriber::filter::LevelFilter;
use tracing_subscriber::prelude::*;

#[derive(Parser)]
#[command(about = "What recording a service takes, in spanring and in dial9")]
enum Command {
    /// Runs the service and sends it load, and prints one line for `measure`
    #[command(hide = true)]
    Run {
        #[arg(long)]
        record: String,
        #[arg(long)]
        out: PathBuf,
        #[command(flatten)]
        clients: Clients,
        #[arg(long)]
        figures: bool,
        #[arg(long)]
        indexed: bool,
    },
    /// Measures: rounds of everything that the example records, and of dial9
    Measure {
        #[command(flatten)]
        clients: Clients,
        /// Rounds, in each of which every one has its turn
        #[arg(long, default_value_t = 5)]
        rounds: usize,
    },
}

#[derive(clap::Args)]
struct Clients {
    /// Requests in all
    #[arg(long, default_value_t = 10_000)]
    requests: u64,
    /// Clients, each of which sends one after the other
    #[arg(long, default_value_t = 4)]
    concurrency: u32,
}

const DIAL9: Row = Row { what: "dial9, the spans of `tracing`", record: "dial9" };

/// As `recorder_from_env` has it.
const DISK_BYTES: u64 = 1 << 30;

/// As the example has them.
const ORDERS: u32 = 200_000;
const CONNECTIONS: u32 = 4;

fn main() -> Result<(), Box<dyn Error>> {
    match Command::parse() {
        Command::Run { record, out, clients: Clients { requests, concurrency }, figures: _, indexed } => {
            let contents = Contents { orders: ORDERS, indexed };
            let options = Options { contents, connections: CONNECTIONS, requests, concurrency };
            let outcome = if record == DIAL9.record {
                recorded_by_dial9(&options, &out)?
            } else {
                run(&options, Record::from_str(&record, false)?, &out)?.0
            };
            println!("{}", Figures::of(&outcome)?);
        }
        Command::Measure { clients: Clients { requests, concurrency }, rounds } => {
            println!("{}", measure(&[&ROWS[..], &[DIAL9]].concat(), rounds, requests, concurrency)?);
        }
    }
    Ok(())
}

fn recorded_by_dial9(options: &Options, directory: &Path) -> Result<Outcome, Box<dyn Error>> {
    let writer = DiskBuffer::builder().base_path(directory).max_total_size(DISK_BYTES).build()?;
    let recorder: Recorder = dial9::recorder(writer).build();
    recorder.install_global_handle()?;
    tracing_subscriber::registry().with(LevelFilter::INFO).with(Dial9TracingLayer::new()).init();
    let mut outcome = answer(options)?;
    recorder.graceful_shutdown(Duration::from_secs(60));
    let (events, spans) = written(directory)?;
    let expected = spans_of(&outcome.before) + spans_of(&outcome.load);
    outcome.recorded = Recorded { records: events, gone: expected.saturating_sub(spans) };
    Ok(outcome)
}

/// The spans of `tracing` that these requests make: the request's, its handler's, and that of decoding where rows are read.
fn spans_of(load: &Load) -> u64 {
    2 * load.answered() + load.orders + load.customers
}

/// The events in all files below a directory, and how many spans of these ended.
fn written(directory: &Path) -> Result<(u64, u64), Box<dyn Error>> {
    let (mut events, mut spans) = (0, 0);
    for entry in std::fs::read_dir(directory)? {
        let path = entry?.path();
        let (more_events, more_spans) = if path.is_dir() { written(&path)? } else { written_in(&path)? };
        events += more_events;
        spans += more_spans;
    }
    Ok((events, spans))
}

fn written_in(segment: &Path) -> Result<(u64, u64), Box<dyn Error>> {
    let bytes = std::fs::read(segment)?;
    let (mut events, mut spans) = (0, 0);
    let mut decoder = Decoder::new(&bytes).ok_or("dial9 left a file that is no segment")?;
    decoder.for_each_event(|event| {
        events += 1;
        spans += u64::from(event.name == "SpanCloseEvent");
    })?;
    Ok((events, spans))
}
