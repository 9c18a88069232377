//! The program `spanring`: records a demo, and reads what any spanring recorder has left in a directory.

use clap::{Parser, Subcommand, ValueEnum};
use spanring::reader::{self, ReadError, Recording};
use spanring_cli::demo::{self, DemoError};
use spanring_cli::export::{self, Destination, ExportError, Format};
use spanring_cli::info::{self, Listed, SessionInfo};
use spanring_cli::open;
use spanring_cli::progress::Bar;
use spanring_cli::report::{self, Report};
use spanring_cli::text::{count, parse_duration};
use spanring_cli::top::{SortBy, Top, TopReport};
use spanring_cli::{render, spans};
use std::fmt::Display;
use std::fs::File;
use std::io::{self, BufWriter, IsTerminal, Write};
use std::path::{Path, PathBuf};
use std::process::ExitCode;
use std::time::Duration;

/// Reads what the spanring flight recorder has left in a directory.
#[derive(Parser)]
#[command(name = "spanring", version, arg_required_else_help = true, disable_help_subcommand = true)]
struct Arguments {
    #[command(subcommand)]
    command: Command,
}

#[derive(Subcommand)]
enum Command {
    /// Run an HTTP service under load, record it, and show what was recorded
    Demo {
        /// Directory for the recording; sessions that are there are kept
        #[arg(long, value_name = "DIR", default_value = "recording")]
        out: PathBuf,
        /// How long the load lasts
        #[arg(long, value_name = "N", default_value_t = 5, value_parser = clap::value_parser!(u64).range(1..=3600))]
        seconds: u64,
    },
    /// Tell who recorded, since when, how much, and what is missing
    Info {
        #[command(flatten)]
        source: Source,
        /// Print JSON
        #[arg(long)]
        json: bool,
    },
    /// Show per name and location how many spans there were, and how long they took
    ///
    /// Percentiles are of the spans that ended, right to three significant digits. Everything else is exact.
    Top {
        #[command(flatten)]
        source: Source,
        /// Print JSON, with every row unless there is a --limit
        #[arg(long)]
        json: bool,
        /// What to sort by
        #[arg(long, value_enum, default_value_t = Sort::Total)]
        sort: Sort,
        /// Show at most N rows, 0 for all [default: 30]
        #[arg(long, value_name = "N")]
        limit: Option<usize>,
    },
    /// Show the spans that are open: what a process is doing, or was doing when it died
    ///
    /// Children stand below their parents, the oldest first. Ages count from the first poll to the last sign of the process,
    /// or to now if it is running. An open span's ancestor that is not open is shown with its state in place of an age:
    /// `unknown` if the recording has nothing of it. `lost?` marks a span whose end may be among lost events. `+N` before a
    /// name: N levels deeper than there is room to show.
    Open {
        #[command(flatten)]
        source: Source,
        /// Print JSON, with every open span unless there is a --limit
        #[arg(long)]
        json: bool,
        /// Show at most N open spans, 0 for all [default: 30]
        #[arg(long, value_name = "N")]
        limit: Option<usize>,
        /// Leave out spans younger than this: 250ms, 1.5s, 2h30m
        #[arg(long, value_name = "DURATION", value_parser = parse_duration)]
        min_age: Option<Duration>,
    },
    /// Write one page for a browser: summary, latencies, timeline, open spans, losses, search
    ///
    /// The page is one file and needs no network. Its counts, sums and percentiles are of all spans. Of more than --max-spans it
    /// shows one by one those that are open, that failed, the slowest of each name, and a uniform sample of the others.
    Report {
        #[command(flatten)]
        source: Source,
        /// The file to write; an existing one is replaced
        #[arg(long, value_name = "FILE", default_value = "report.html")]
        out: PathBuf,
        /// Show at most N spans one by one
        #[arg(long, value_name = "N", default_value_t = report::Options::default().max_spans)]
        max_spans: usize,
    },
    /// Write a recording in the format of another tool
    Export {
        #[command(flatten)]
        source: Source,
        /// The format
        #[arg(long, value_enum)]
        format: Format,
        /// The file to write, an existing one is replaced; or `-` for standard output, or the address of a collector
        #[arg(long, value_name = "FILE")]
        out: String,
        #[command(flatten)]
        options: export::Options,
    },
}

#[derive(clap::Args)]
struct Source {
    /// A recording directory, or one session's directory
    dir: PathBuf,
    /// The session to show, instead of the newest
    #[arg(long, value_name = "NAME")]
    session: Option<String>,
}

#[derive(Clone, Copy, ValueEnum)]
enum Sort {
    Total,
    Count,
    P50,
    P99,
    Max,
    Name,
}

impl From<Sort> for SortBy {
    fn from(sort: Sort) -> SortBy {
        match sort {
            Sort::Total => SortBy::Total,
            Sort::Count => SortBy::Count,
            Sort::P50 => SortBy::P50,
            Sort::P99 => SortBy::P99,
            Sort::Max => SortBy::Max,
            Sort::Name => SortBy::Name,
        }
    }
}

/// Why the program ends early.
enum Stop {
    /// What was asked for cannot be done: exit status 2.
    Input(String),
    /// It could, but something went wrong: exit status 1.
    Failure(String),
    /// Nobody reads our output any more: not our problem.
    ClosedPipe,
}

fn main() -> ExitCode {
    let done = match Arguments::parse().command {
        Command::Demo { out, seconds } => run_demo(out, seconds),
        Command::Info { source, json } => show_info(&source, json),
        Command::Top { source, json, sort, limit } => show_top(&source, json, sort, limit),
        Command::Open { source, json, limit, min_age } => show_open(&source, json, limit, min_age.unwrap_or_default()),
        Command::Report { source, out, max_spans } => write_report(&source, &out, max_spans),
        Command::Export { source, format, out, options } => {
            export(&source, format, &options, &Destination::parse(&out))
        }
    };
    let (status, message) = match done {
        Ok(()) | Err(Stop::ClosedPipe) => return ExitCode::SUCCESS,
        Err(Stop::Failure(message)) => (1, message),
        Err(Stop::Input(message)) => (2, message),
    };
    // There is nowhere left to complain if this fails.
    let _ = writeln!(io::stderr(), "spanring: {message}");
    ExitCode::from(status)
}

fn run_demo(out: PathBuf, seconds: u64) -> Result<(), Stop> {
    let options = demo::Options { directory: out, seconds };
    // If nobody reads this, the demo goes on: its recording is what counts.
    let report = demo::run(&options, &mut |line| drop(print(&format!("{line}\n"))));
    let report = report.map_err(|error| match error {
        DemoError::Start(_) => input(error),
        _ => failure(error),
    })?;
    let mut text = format!("\n{}\n", render::top(&report.top, 25, width()));
    text.push_str(&report.summary());
    print(&text)
}

fn show_info(source: &Source, json: bool) -> Result<(), Stop> {
    let (recording, sessions) = find(source)?;
    let info = info::describe(&recording).map_err(input)?;
    let listed = if source.session.is_none() { info::list(&sessions) } else { Vec::new() };
    if json {
        #[derive(serde::Serialize)]
        struct Shown<'a> {
            #[serde(flatten)]
            info: &'a SessionInfo,
            sessions: &'a [Listed],
        }
        return print_json(&Shown { info: &info, sessions: &listed });
    }
    let mut text = String::new();
    if listed.len() > 1 {
        text.push_str(&render::sessions(&listed, width()));
        text.push_str("\nThe newest of these (another: --session NAME):\n\n");
    }
    text.push_str(&render::info(&info, width()));
    print(&text)
}

fn show_top(source: &Source, json: bool, sort: Sort, limit: Option<usize>) -> Result<(), Stop> {
    let (recording, _) = find(source)?;
    let mut report = summarise(&recording, sort.into())?;
    if json {
        if let Some(limit) = limit.filter(|&limit| limit > 0) {
            report.rows.truncate(limit);
        }
        return print_json(&report);
    }
    print(&render::top(&report, limit.unwrap_or(30), width()))
}

fn summarise(recording: &Recording, sort: SortBy) -> Result<TopReport, Stop> {
    let mut top = Top::default();
    spans::read(recording, &mut |item| top.add(&item)).map_err(input)?;
    Ok(top.finish(sort))
}

fn show_open(source: &Source, json: bool, limit: Option<usize>, min_age: Duration) -> Result<(), Stop> {
    let (recording, _) = find(source)?;
    let min_age_ns = u64::try_from(min_age.as_nanos()).unwrap_or(u64::MAX);
    let mut report = open::describe(&recording, min_age_ns).map_err(input)?;
    let limit = limit.unwrap_or(if json { 0 } else { 30 });
    if limit > 0 {
        report.limit(limit);
    }
    if json { print_json(&report) } else { print(&render::open(&report, width())) }
}

fn export(source: &Source, format: Format, options: &export::Options, to: &Destination) -> Result<(), Stop> {
    let (recording, _) = find(source)?;
    format.available().map_err(input)?;
    let output =
        to.open().map_err(|error| input(format!("cannot write {to}: {error}; choose another file with --out")))?;
    let mut bar = Bar::new(&recording, "exporting");
    let done = export::run(&recording, format, options, output, &mut bar).map_err(|error| match error {
        ExportError::Write(error) if error.kind() == io::ErrorKind::BrokenPipe && *to == Destination::Stdout => {
            Stop::ClosedPipe
        }
        ExportError::Write(error) => failure(format!("cannot write {to}: {error}")),
        error => input(error),
    })?;
    let mut text = format!(
        "{to}: {}, {} of them open, {}",
        count(done.spans, "span"),
        done.open,
        count(done.lost_records, "lost event")
    );
    for (number, what) in [(done.damaged, "damaged place"), (done.bytes, "byte")] {
        if number > 0 {
            text.push_str(&format!(", {}", count(number, what)));
        }
    }
    text.push('\n');
    for remark in done.remarks {
        text.push_str(&format!("{remark}\n"));
    }
    // What was exported must not be mixed with what is said about it.
    if *to == Destination::Stdout {
        let _ = io::stderr().write_all(text.as_bytes());
        return Ok(());
    }
    print(&text)
}

fn write_report(source: &Source, out: &Path, max_spans: usize) -> Result<(), Stop> {
    let (recording, _) = find(source)?;
    let mut bar = Bar::new(&recording, "reading");
    let report = Report::read(&recording, &report::Options { max_spans }, &mut bar).map_err(input)?;
    let file = File::create(out)
        .map_err(|error| input(format!("cannot write {}: {error}; choose another file with --out", out.display())))?;
    let written = report
        .write(&mut BufWriter::new(file))
        .map_err(|error| failure(format!("cannot write {}: {error}", out.display())))?;
    print(&format!(
        "{}: {}, {} of them open, {} shown one by one, {} missing, {}\nopen it in a browser\n",
        out.display(),
        count(written.spans, "span"),
        written.open,
        written.shown,
        count(written.missing_records, "event"),
        count(written.bytes, "byte")
    ))
}

/// The session that is asked for, and all sessions beside it.
fn find(source: &Source) -> Result<(Recording, Vec<PathBuf>), Stop> {
    let sessions = reader::sessions(&source.dir).map_err(|error| match error {
        ReadError::Io { .. } => input(format!(
            "{error}; give the directory that a recorder writes to, or make a recording with `spanring demo --out DIR`"
        )),
        error => input(error),
    })?;
    let name_of = |path: &PathBuf| path.file_name().map(|name| name.to_string_lossy().into_owned());
    let wanted = |path: &&PathBuf| source.session.is_none() || name_of(path) == source.session;
    let path = sessions.iter().rfind(wanted).ok_or_else(|| {
        let names: Vec<_> = sessions.iter().filter_map(name_of).collect();
        let (name, dir) = (source.session.as_deref().unwrap_or_default(), source.dir.display());
        input(format!("there is no session `{name}` in {dir}; there are: {}", names.join(", ")))
    })?;
    Ok((Recording::open(path).map_err(input)?, sessions))
}

fn input(message: impl Display) -> Stop {
    Stop::Input(message.to_string())
}

fn failure(message: impl Display) -> Stop {
    Stop::Failure(message.to_string())
}

fn print_json(value: &impl serde::Serialize) -> Result<(), Stop> {
    let text = serde_json::to_string_pretty(value).map_err(failure)?;
    print(&format!("{text}\n"))
}

fn print(text: &str) -> Result<(), Stop> {
    let mut out = io::stdout().lock();
    out.write_all(text.as_bytes()).and_then(|()| out.flush()).map_err(|error| match error.kind() {
        io::ErrorKind::BrokenPipe => Stop::ClosedPipe,
        _ => failure(format!("cannot write the output: {error}")),
    })
}

/// Columns of the terminal; elsewhere the variable `COLUMNS`, or no limit.
fn width() -> Option<usize> {
    if io::stdout().is_terminal() {
        return terminal_size::terminal_size().map(|(width, _)| usize::from(width.0));
    }
    std::env::var("COLUMNS").ok()?.parse().ok().filter(|&columns| columns > 0)
}
