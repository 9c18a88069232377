//! What the program understands.

use clap::{Parser, Subcommand, ValueEnum};
use clap_complete::Shell;
use spanring_cli::doctor;
use spanring_cli::export::{self, Format};
use spanring_cli::filter::Filter;
use spanring_cli::report;
use spanring_cli::text::parse_duration;
use spanring_cli::top::SortBy;
use std::path::PathBuf;
use std::time::Duration;

/// Reads what the spanring flight recorder has left in a directory.
#[derive(Parser)]
#[command(name = "spanring", version, arg_required_else_help = true, disable_help_subcommand = true)]
pub struct Arguments {
    /// What to do.
    #[command(subcommand)]
    pub command: Command,
}

#[derive(Subcommand)]
pub enum Command {
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
        /// Look again and again until the process ends: what ended lately, and what is open. Nothing is asked of the process
        #[arg(long)]
        live: bool,
        /// With --live: how far back to look for spans that ended
        #[arg(long, value_name = "DURATION", default_value = "10s", value_parser = parse_duration, requires = "live")]
        window: Duration,
        /// With --live: how often to look; a long recording is looked at less often
        #[arg(long, value_name = "DURATION", default_value = "1s", value_parser = parse_duration, requires = "live")]
        every: Duration,
        /// With --live: how many times to look, for ever if not said
        #[arg(long, value_name = "N", requires = "live")]
        looks: Option<u64>,
        #[command(flatten)]
        asked: Asked,
    },
    /// Show the slowest spans, what was below them, and where the time went
    ///
    /// A `>` marks the critical path: what the span waited for last, and what that waited for. `self` is the time in which nothing
    /// below a span was going on, `critical` what it contributes to the time of the first. A `·` is an instant. A span that is below
    /// another one of those shown is not shown again. Where long spans hide what you look for, narrow with --name or --where.
    Slow {
        #[command(flatten)]
        source: Source,
        /// Print JSON
        #[arg(long)]
        json: bool,
        /// Show N spans
        #[arg(long, value_name = "N", default_value_t = 3)]
        limit: usize,
        /// Show at most N rows of each tree, 0 for every one
        #[arg(long, value_name = "N", default_value_t = 40)]
        rows: usize,
        #[command(flatten)]
        asked: Asked,
    },
    /// Show spans with everything below them: those with a certain id, the first roots, or all added up
    ///
    /// Columns and marks are those of `slow`. A root is a span that was not created in another one; with --name and others, only roots
    /// that are like that are shown. With --aggregate, all spans are added up by the names above them: how many there were, their time
    /// from begin to end (open ones to the last moment), and `self`, in which nothing below them was going on; `share` is that as a
    /// part of the whole, `below` the part of what is below them. Then --name and others choose the spans that count.
    Tree {
        #[command(flatten)]
        source: Source,
        /// Print JSON
        #[arg(long)]
        json: bool,
        /// Add up all spans by the names above them
        #[arg(long, conflicts_with_all = ["span", "limit"])]
        aggregate: bool,
        /// The span with this id, as other outputs show it; may be given several times
        #[arg(long, value_name = "ID")]
        span: Vec<u64>,
        /// Show N roots
        #[arg(long, value_name = "N", default_value_t = 10)]
        limit: usize,
        /// Show at most N rows of each tree, 0 for every one
        #[arg(long, value_name = "N", default_value_t = 40)]
        rows: usize,
        #[command(flatten)]
        asked: Asked,
    },
    /// Show the spans that are open: what a process is doing, or was doing when it died
    ///
    /// Children stand below their parents, the oldest first. Ages count from the first poll to the last sign of the process,
    /// or to now if it is running. An open span's ancestor that is not open is shown with its state in place of an age:
    /// `unknown` if the recording has nothing of it. `lost?` marks a span whose end may be among lost events. `+N` before a
    /// name: N levels deeper than there is room to show. Below a span, its latest instants. With --name and others, only spans that are
    /// like that are shown, and what they are in.
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
        #[command(flatten)]
        asked: Asked,
    },
    /// Show the counters: how often each was recorded, and its least, mean, greatest and last value
    Counters {
        #[command(flatten)]
        source: Source,
        /// Print JSON
        #[arg(long)]
        json: bool,
    },
    /// Have a running process write down what its rings hold, and tell where
    ///
    /// The process must have been told to keep snapshots (`Builder::snapshots`). The snapshot is a recording of its own, for every other
    /// command. Nothing in the process is stopped: its background thread answers, within a second or so.
    Snapshot {
        #[command(flatten)]
        source: Source,
        /// Print JSON
        #[arg(long)]
        json: bool,
        /// Why, as it will be shown with the snapshot
        #[arg(long, value_name = "TEXT", default_value = "asked for by `spanring snapshot`")]
        reason: String,
        /// How long to wait for an answer
        #[arg(long, value_name = "DURATION", default_value = "10s", value_parser = parse_duration)]
        wait: Duration,
    },
    /// Compare two recordings: which names got slower, and whether that is more than noise
    ///
    /// Spans are the same if they have the same name, kind and source file. Medians are compared. The column `range` says between which
    /// bounds the change of the median is at 99 % confidence, by order statistics, without any assumption on how durations are
    /// distributed, but for that spans do not depend on each other; `slower` and `faster` are only those for which it does not include
    /// none. The list begins with what costs most: the change of the median times the number of spans.
    Diff {
        /// The recording to compare with: a directory, or one session's directory
        before: PathBuf,
        /// The recording that is compared
        after: PathBuf,
        /// Print JSON, with every row unless there is a --limit
        #[arg(long)]
        json: bool,
        /// Show at most N rows, 0 for all [default: 30]
        #[arg(long, value_name = "N")]
        limit: Option<usize>,
        /// Read what can be read of recordings that are damaged
        #[arg(long)]
        partial: bool,
        #[command(flatten)]
        filter: Filter,
    },
    /// Follow a process: each span as it ends
    ///
    /// Goes on until the process stops recording or dies, or you press Ctrl-C. The recording is read again and again, for a fifth of the
    /// time at most, so what is shown comes the later the longer the recording is.
    Tail {
        #[command(flatten)]
        source: Source,
        /// Print a JSON object per line
        #[arg(long)]
        json: bool,
        /// Begin with the last N spans that have ended
        #[arg(short = 'n', long, value_name = "N", default_value_t = 10)]
        last: usize,
        #[command(flatten)]
        filter: Filter,
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
        /// Print what was done as JSON
        #[arg(long)]
        json: bool,
    },
    /// Tell whether this machine and a directory are good for recording, and show it by recording
    ///
    /// Looks at processor, clock, limits and disk; writes a recording in each discipline and reads it back; has a process record and be
    /// killed, and looks for what it left. Exit status 1 if something does not work.
    Doctor {
        /// The directory to record to; nothing stays there
        #[arg(value_name = "DIR", default_value = "recording")]
        dir: PathBuf,
        /// Print JSON
        #[arg(long)]
        json: bool,
    },
    /// What `doctor` kills
    #[command(hide = true, name = doctor::VICTIM)]
    DoctorVictim { dir: PathBuf },
    /// Print a script that completes the arguments of this program in a shell
    Completions {
        /// The shell
        #[arg(value_enum)]
        shell: Shell,
    },
    /// Print the manual page of this program, for `man -l -`
    Man,
}

#[derive(clap::Args)]
pub struct Source {
    /// A recording directory, or one session's directory
    pub dir: PathBuf,
    /// The session to show, instead of the newest
    #[arg(long, value_name = "NAME")]
    pub session: Option<String>,
    /// Read what can be read of a recording that is damaged
    #[arg(long)]
    pub partial: bool,
}

/// Which spans of a recording are asked for.
#[derive(clap::Args)]
pub struct Asked {
    #[command(flatten)]
    pub filter: Filter,
    /// Only spans that were there while the span with this id was, as other outputs show it
    #[arg(long, value_name = "ID", conflicts_with_all = ["from", "to"])]
    pub during: Option<u64>,
}

#[derive(Clone, Copy, ValueEnum)]
pub enum Sort {
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
