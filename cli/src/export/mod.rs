//! Recordings in the formats of other tools.
//!
//! Every format is an [`Exporter`]: it is handed what [`spans::read`] hands out, and writes while that streams by. [`run`] reads
//! the recording, counts what goes by, and counts the bytes that come out. A new format is a module here, a variant of
//! [`Format`] and an arm of [`Format::exporter`]; what users can choose about it is a field of [`Options`].
//!
//! ```no_run
//! use spanring::reader::Recording;
//! use spanring_cli::export::{self, Destination, Format, Options};
//! use spanring_cli::progress::Silent;
//!
//! # fn main() -> Result<(), Box<dyn std::error::Error>> {
//! let recording = Recording::open("recording")?;
//! let output = Destination::File("trace.perfetto-trace".into()).open()?;
//! let exported = export::run(&recording, Format::Perfetto, &Options::default(), output, &mut Silent)?;
//! println!("{} spans, {} bytes", exported.spans, exported.bytes);
//! # Ok(())
//! # }
//! ```

mod attributes;
pub mod chrome;
pub mod folded;
#[cfg(any(feature = "otlp", feature = "parquet"))]
mod in_order;
#[cfg(feature = "otlp")]
pub mod otlp;
mod otlp_options;
#[cfg(feature = "parquet")]
pub mod parquet;
pub mod perfetto;
#[cfg(any(feature = "otlp", feature = "parquet"))]
mod totals;
pub mod traces;

use crate::info::DamageInfo;
use crate::progress::Progress;
use crate::spans::{self, DetailTotals, Ending, Item, Step, add};
use crate::text::count;
use clap::ValueEnum;
pub use otlp_options::{OtlpOptions, OtlpProtocol};
use spanring::reader::{LossCause, PollRecord, ReadError, Recording, SpanRecord};
use std::fmt;
use std::fs::File;
use std::io::{self, BufWriter, Write};
use std::path::PathBuf;

/// A format to export to.
///
/// ```
/// use spanring_cli::export::Format;
///
/// assert_eq!(Format::Perfetto.to_string(), "perfetto");
/// ```
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub enum Format {
    /// A trace for ui.perfetto.dev
    Perfetto,
    /// A trace in Chrome's JSON, for chrome://tracing and other readers of that
    Chrome,
    /// Stacks of spans with their times, for flame graphs: inferno, speedscope
    Folded,
    /// A table with a row for each span, for DuckDB, pandas, Polars, Spark (feature `parquet`)
    Parquet,
    /// OpenTelemetry's protocol, to a file or a collector (feature `otlp`)
    Otlp,
}

/// What can be chosen about an export, by format.
///
/// ```
/// use spanring_cli::export::{Options, folded::Weight};
///
/// let idle = Options { weight: Weight::Idle, ..Options::default() };
/// assert_eq!(Options::default().weight, Weight::Own);
/// ```
#[derive(Clone, Debug, Default, PartialEq, clap::Args)]
pub struct Options {
    /// folded: which time counts
    #[arg(long, value_enum, value_name = "WHICH", default_value_t)]
    pub weight: folded::Weight,
    /// Of the format `otlp`.
    #[command(flatten)]
    pub otlp: OtlpOptions,
}

/// Where an export goes.
///
/// ```
/// use spanring_cli::export::Destination;
///
/// assert_eq!(Destination::File("trace.json".into()).to_string(), "trace.json");
/// ```
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Destination {
    /// A file; an existing one is replaced.
    File(PathBuf),
    /// Standard output.
    Stdout,
    /// A network address with its scheme, such as `http://127.0.0.1:4318`.
    Address(String),
}

/// What an [`Exporter`] writes to.
///
/// ```
/// use spanring_cli::export::Output;
///
/// let mut bytes = Vec::new();
/// let output = Output::Stream(Box::new(&mut bytes));
/// ```
pub enum Output<'w> {
    /// A file, or something like it. It takes small writes well.
    Stream(Box<dyn Write + Send + 'w>),
    /// A network address, to which the exporter connects by itself.
    Address(String),
}

/// A format's writer.
///
/// ```
/// use spanring_cli::export::{ExportError, Exporter};
/// use spanring_cli::spans::Item;
/// use std::io::Write;
///
/// /// A line for each span.
/// struct Names<W: Write>(W);
///
/// impl<W: Write> Exporter for Names<W> {
///     fn add(&mut self, item: &Item<'_>) -> Result<(), ExportError> {
///         if let Item::Span(span) = item {
///             writeln!(self.0, "{}", span.name)?;
///         }
///         Ok(())
///     }
///
///     fn finish(mut self: Box<Self>) -> Result<Vec<String>, ExportError> {
///         self.0.flush()?;
///         Ok(Vec::new())
///     }
/// }
/// ```
pub trait Exporter {
    /// Whether [`begun`](Exporter::begun) and [`polled`](Exporter::polled) are of use to it. Where they are not, [`run`] calls neither,
    /// and takes less time.
    ///
    /// ```
    /// use spanring_cli::export::{Exporter, perfetto::{Process, TraceWriter}};
    ///
    /// # let (name, description) = ("service".to_owned(), String::new());
    /// # let process = Process { pid: 42, name, started_unix_ns: 500, description };
    /// assert!(!TraceWriter::new(Box::new(std::io::sink()), process).follows(), "a span is drawn when it has ended");
    /// ```
    fn follows(&self) -> bool {
        true
    }

    /// A span has begun; it is added when it has ended, or at the end.
    ///
    /// ```
    /// use spanring::reader::SpanRecord;
    /// use spanring_cli::export::{ExportError, Exporter};
    /// use spanring_cli::spans::Item;
    ///
    /// /// Tells in what order spans began.
    /// struct Begins(Vec<String>);
    ///
    /// impl Exporter for Begins {
    ///     fn begun(&mut self, record: &SpanRecord<'_>) {
    ///         self.0.push(record.name.to_owned());
    ///     }
    ///
    ///     fn add(&mut self, _: &Item<'_>) -> Result<(), ExportError> {
    ///         Ok(())
    ///     }
    ///
    ///     fn finish(self: Box<Self>) -> Result<Vec<String>, ExportError> {
    ///         Ok(self.0)
    ///     }
    /// }
    /// ```
    fn begun(&mut self, _: &SpanRecord<'_>) {}

    /// The future of a span was polled; this may come before its begin and after its end.
    ///
    /// ```
    /// use spanring::reader::PollRecord;
    /// use spanring_cli::export::{ExportError, Exporter};
    /// use spanring_cli::spans::Item;
    ///
    /// /// Tells the longest poll.
    /// #[derive(Default)]
    /// struct Longest(u64);
    ///
    /// impl Exporter for Longest {
    ///     fn polled(&mut self, poll: &PollRecord) {
    ///         self.0 = self.0.max(poll.unix_ns.saturating_sub(poll.begin_unix_ns));
    ///     }
    ///
    ///     fn add(&mut self, _: &Item<'_>) -> Result<(), ExportError> {
    ///         Ok(())
    ///     }
    ///
    ///     fn finish(self: Box<Self>) -> Result<Vec<String>, ExportError> {
    ///         Ok(vec![format!("the longest poll took {} ns", self.0)])
    ///     }
    /// }
    ///
    /// let mut longest = Longest::default();
    /// longest.polled(&PollRecord { thread: 1, record_number: 7, span_id: 3, begin_unix_ns: 500, unix_ns: 900, number: 0 });
    /// assert_eq!(Box::new(longest).finish()?, ["the longest poll took 400 ns"]);
    /// # Ok::<(), spanring_cli::export::ExportError>(())
    /// ```
    fn polled(&mut self, _: &PollRecord) {}

    /// Adds the next of what [`spans::read`] hands out. It is not called again after it has failed.
    ///
    /// # Errors
    /// If something could not be written.
    ///
    /// ```
    /// use spanring::reader::{Loss, LossCause};
    /// use spanring_cli::export::{Exporter, folded::{FoldedWriter, Weight}};
    /// use spanring_cli::spans::Item;
    /// use spanring_cli::stacks::StackSums;
    ///
    /// # let (after_unix_ns, before_unix_ns) = (Some(1_000), Some(3_000));
    /// # let loss = Loss { thread: 1, records: 12, cause: LossCause::Dropped, after_unix_ns, before_unix_ns };
    /// let mut lines = Vec::new();
    /// let mut exporter: Box<dyn Exporter + '_> =
    ///     Box::new(FoldedWriter::new(Box::new(&mut lines), Weight::Own, StackSums::default(), 0));
    /// exporter.add(&Item::Loss(loss))?;
    /// exporter.finish()?;
    /// assert!(lines.starts_with(b"(events lost)"), "what is missing is in every format");
    /// # Ok::<(), spanring_cli::export::ExportError>(())
    /// ```
    fn add(&mut self, item: &Item<'_>) -> Result<(), ExportError>;

    /// Writes what is left. Returns what the user should know besides the counts, each as a line: how to open it, what a collector
    /// refused.
    ///
    /// # Errors
    /// If something could not be written.
    ///
    /// ```
    /// use spanring_cli::export::{Exporter, folded::{FoldedWriter, Weight}};
    /// use spanring_cli::stacks::StackSums;
    ///
    /// let writer = FoldedWriter::new(Box::new(std::io::sink()), Weight::Own, StackSums::default(), 0);
    /// for remark in Box::new(writer).finish()? {
    ///     assert!(remark.starts_with("draw it with"));
    /// }
    /// # Ok::<(), spanring_cli::export::ExportError>(())
    /// ```
    fn finish(self: Box<Self>) -> Result<Vec<String>, ExportError>;
}

/// What was exported.
///
/// ```
/// use spanring_cli::export::Exported;
///
/// /// Whether the export has everything that was recorded.
/// fn is_whole(exported: &Exported) -> bool {
///     exported.lost_records == 0 && exported.damaged == 0
/// }
///
/// assert!(is_whole(&Exported { spans: 7, open: 1, ..Exported::default() }));
/// assert!(!is_whole(&Exported { lost_records: 12, ..Exported::default() }));
/// ```
#[derive(Clone, Debug, Default, PartialEq, Eq, serde::Serialize)]
pub struct Exported {
    /// Spans, open ones included.
    pub spans: u64,
    /// Of these, spans without an end.
    pub open: u64,
    /// Records that the recording lost.
    pub lost_records: u64,
    /// Stretches of the recording's files that could not be understood.
    pub damaged: u64,
    /// The first of them.
    pub damage: Option<DamageInfo>,
    /// What was recorded beside spans.
    pub details: DetailTotals,
    /// Bytes written; 0 if they went to a network address.
    pub bytes: u64,
    /// What else the user should know.
    pub remarks: Vec<String>,
}

/// Why an export failed.
///
/// ```
/// use spanring_cli::export::{ExportError, Format};
///
/// let error = ExportError::NotBuilt { format: Format::Otlp, feature: "otlp" };
/// assert!(error.to_string().contains("--features otlp"));
/// ```
#[derive(Debug)]
#[non_exhaustive]
pub enum ExportError {
    /// The recording could not be read.
    Read(ReadError),
    /// Something could not be written.
    Write(io::Error),
    /// This build does not have the format.
    NotBuilt {
        /// The format.
        format: Format,
        /// The feature of this crate that has it.
        feature: &'static str,
    },
    /// What was asked for cannot be: why, and what could.
    Refused(String),
}

impl fmt::Display for ExportError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            ExportError::Read(error) => error.fmt(f),
            ExportError::Write(error) => write!(f, "the export could not be written: {error}"),
            ExportError::NotBuilt { format, feature } => write!(
                f,
                "this build cannot write {format}: build it with `--features {feature}`, as in `cargo install --path cli --features \
                 {feature}` where the sources are"
            ),
            ExportError::Refused(why) => f.write_str(why),
        }
    }
}

impl std::error::Error for ExportError {
    fn source(&self) -> Option<&(dyn std::error::Error + 'static)> {
        match self {
            ExportError::Read(error) => Some(error),
            ExportError::Write(error) => Some(error),
            ExportError::NotBuilt { .. } | ExportError::Refused(_) => None,
        }
    }
}

impl From<io::Error> for ExportError {
    fn from(error: io::Error) -> ExportError {
        ExportError::Write(error)
    }
}

impl Format {
    /// A writer of this format for one recording.
    ///
    /// # Errors
    /// If this build does not have the format, it cannot go to such an output, or its head could not be written.
    ///
    /// ```no_run
    /// use spanring::reader::Recording;
    /// use spanring_cli::export::{Destination, Format, Options};
    /// use spanring_cli::spans;
    ///
    /// # fn main() -> Result<(), Box<dyn std::error::Error>> {
    /// let recording = Recording::open("recording")?;
    /// let output = Destination::File("trace.json".into()).open()?;
    /// let mut exporter = Format::Chrome.exporter(&recording, &Options::default(), output)?;
    /// let mut written = Ok(());
    /// spans::read(&recording, &mut |item| {
    ///     if written.is_ok() {
    ///         written = exporter.add(&item);
    ///     }
    /// })?;
    /// written?;
    /// exporter.finish()?;
    /// # Ok(())
    /// # }
    /// ```
    pub fn exporter<'w>(
        self,
        recording: &Recording,
        options: &Options,
        output: Output<'w>,
    ) -> Result<Box<dyn Exporter + 'w>, ExportError> {
        match self {
            Format::Perfetto => Ok(Box::new(perfetto::TraceWriter::of(recording, self.stream(output)?))),
            Format::Chrome => Ok(Box::new(chrome::ChromeWriter::of(recording, self.stream(output)?)?)),
            Format::Folded => Ok(Box::new(folded::FoldedWriter::of(recording, self.stream(output)?, options.weight))),
            #[cfg(feature = "parquet")]
            Format::Parquet => {
                Ok(Box::new(self::parquet::ParquetWriter::new(recording.facts(), self.stream(output)?)?))
            }
            #[cfg(not(feature = "parquet"))]
            Format::Parquet => Err(self.not_built()),
            #[cfg(feature = "otlp")]
            Format::Otlp => Ok(Box::new(otlp::OtlpExporter::new(recording.facts(), &options.otlp, output)?)),
            #[cfg(not(feature = "otlp"))]
            Format::Otlp => Err(self.not_built()),
        }
    }

    /// Makes sure that this build has the format.
    ///
    /// # Errors
    /// If it does not: how to get it.
    ///
    /// ```
    /// use spanring_cli::export::Format;
    ///
    /// assert!(Format::Perfetto.available().is_ok(), "in every build");
    /// ```
    pub fn available(self) -> Result<(), ExportError> {
        if self.feature().is_none_or(|(_, built)| built) { Ok(()) } else { Err(self.not_built()) }
    }

    /// The feature of this crate that the format needs, and whether this build has it.
    fn feature(self) -> Option<(&'static str, bool)> {
        match self {
            Format::Perfetto | Format::Chrome | Format::Folded => None,
            Format::Parquet => Some(("parquet", cfg!(feature = "parquet"))),
            Format::Otlp => Some(("otlp", cfg!(feature = "otlp"))),
        }
    }

    /// The stream of an output that has to be one.
    ///
    /// # Errors
    /// If it is an address.
    fn stream(self, output: Output<'_>) -> Result<Box<dyn Write + Send + '_>, ExportError> {
        match output {
            Output::Stream(stream) => Ok(stream),
            Output::Address(address) => {
                Err(ExportError::Refused(format!("{self} goes to a file, not to {address}: name one with --out FILE")))
            }
        }
    }

    fn not_built(self) -> ExportError {
        ExportError::NotBuilt { format: self, feature: self.feature().map_or("default", |(feature, _)| feature) }
    }
}

impl fmt::Display for Format {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(self.to_possible_value().as_ref().map_or("", |value| value.get_name()))
    }
}

impl Destination {
    /// From what stands behind `--out`: `-`, an address with a scheme, or a file.
    ///
    /// ```
    /// use spanring_cli::export::Destination;
    ///
    /// assert_eq!(Destination::parse("-"), Destination::Stdout);
    /// assert_eq!(Destination::parse("trace.json"), Destination::File("trace.json".into()));
    /// let collector = "http://localhost:4318";
    /// assert_eq!(Destination::parse(collector), Destination::Address(collector.to_owned()));
    /// ```
    pub fn parse(text: &str) -> Destination {
        match text {
            "-" => Destination::Stdout,
            _ if text.contains("://") => Destination::Address(text.to_owned()),
            _ => Destination::File(text.into()),
        }
    }

    /// Opens it. A file that exists is emptied.
    ///
    /// # Errors
    /// If the file cannot be created.
    ///
    /// ```
    /// use spanring_cli::export::{Destination, Output};
    ///
    /// let directory = tempfile::tempdir()?;
    /// let path = directory.path().join("trace.json");
    /// assert!(matches!(Destination::File(path.clone()).open()?, Output::Stream(_)));
    /// assert!(path.exists());
    /// let collector = Destination::parse("http://localhost:4318").open()?;
    /// assert!(matches!(collector, Output::Address(_)), "nothing is sent yet");
    /// # Ok::<(), std::io::Error>(())
    /// ```
    pub fn open(&self) -> io::Result<Output<'static>> {
        Ok(match self {
            Destination::File(path) => Output::Stream(Box::new(BufWriter::with_capacity(1 << 16, File::create(path)?))),
            Destination::Stdout => Output::Stream(Box::new(BufWriter::with_capacity(1 << 16, io::stdout()))),
            Destination::Address(address) => Output::Address(address.clone()),
        })
    }
}

impl fmt::Display for Destination {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Destination::File(path) => path.display().fmt(f),
            Destination::Stdout => f.write_str("standard output"),
            Destination::Address(address) => f.write_str(address),
        }
    }
}

/// Why records are missing, in one word.
fn cause_word(cause: LossCause) -> &'static str {
    match cause {
        LossCause::Dropped => "dropped",
        LossCause::Overwritten => "overwritten",
        LossCause::Retired => "retired",
    }
}

/// What is said of values of counters that are no numbers, as those of a later version may be.
fn no_numbers(values: u64) -> String {
    format!("{} left out: no number that this version knows", count(values, "counter value"))
}

/// Exports a recording.
///
/// # Errors
/// If the recording cannot be read, the format cannot be had, or something cannot be written. What was written by then may be of use
/// all the same.
///
/// ```no_run
/// use spanring::reader::Recording;
/// use spanring_cli::export::{self, Format, Options, Output};
/// use spanring_cli::progress::Silent;
///
/// # fn main() -> Result<(), Box<dyn std::error::Error>> {
/// let recording = Recording::open("recording")?;
/// let mut stacks = Vec::new();
/// let output = Output::Stream(Box::new(&mut stacks));
/// let exported = export::run(&recording, Format::Folded, &Options::default(), output, &mut Silent)?;
/// assert_eq!(exported.bytes, stacks.len() as u64);
/// # Ok(())
/// # }
/// ```
pub fn run(
    recording: &Recording,
    format: Format,
    options: &Options,
    output: Output<'_>,
    progress: &mut dyn Progress,
) -> Result<Exported, ExportError> {
    let mut bytes = 0;
    let output = match output {
        Output::Stream(stream) => Output::Stream(Box::new(Counting { stream, bytes: &mut bytes })),
        address => address,
    };
    let exporter = format.exporter(recording, options, output)?;
    let mut running = Running { exporter, exported: Exported::default(), failure: None };
    let read = if running.exporter.follows() {
        spans::read_steps(recording, progress, &mut |step| match step {
            Step::Begun(record) if running.failure.is_none() => running.exporter.begun(record),
            Step::Polled(record) if running.failure.is_none() => running.exporter.polled(&record),
            Step::Begun(_) | Step::Polled(_) => {}
            Step::Item(item) => running.add(&item),
        })
    } else {
        spans::read_with(recording, progress, &mut |item| running.add(&item))
    };
    read.map_err(ExportError::Read)?;
    let mut exported = running.finish()?;
    exported.remarks.extend(exported.beside_spans(format));
    Ok(Exported { bytes, ..exported })
}

/// [`run`], as it goes.
struct Running<'e> {
    exporter: Box<dyn Exporter + 'e>,
    exported: Exported,
    failure: Option<ExportError>,
}

impl Running<'_> {
    #[inline]
    fn add(&mut self, item: &Item<'_>) {
        self.exported.count(item);
        if self.failure.is_none() {
            self.failure = self.exporter.add(item).err();
        }
    }

    fn finish(self) -> Result<Exported, ExportError> {
        if let Some(error) = self.failure {
            return Err(error);
        }
        Ok(Exported { remarks: self.exporter.finish()?, ..self.exported })
    }
}

impl Exported {
    #[inline]
    fn count(&mut self, item: &Item<'_>) {
        match item {
            Item::Span(span) => {
                self.spans += 1;
                self.open += u64::from(span.ending == Ending::Open);
            }
            Item::Loss(loss) => add(&mut self.lost_records, loss.records),
            Item::Damage(damage) => {
                self.damaged += 1;
                self.damage.get_or_insert_with(|| DamageInfo::new(damage));
            }
            Item::Details(totals) => self.details = *totals,
            Item::Thread(_) | Item::Instant(_) | Item::Counter(_) => {}
        }
    }

    /// What became of what was recorded beside spans, as far as it is not in the export, or not where one would look for it.
    fn beside_spans(&self, format: Format) -> Vec<String> {
        let DetailTotals { attributes, instants, counters, .. } = self.details;
        let DetailTotals { late_attributes, late_instants, dropped_attributes, dropped_instants, .. } = self.details;
        if format == Format::Folded {
            let left = [(attributes, "attribute"), (instants, "instant"), (counters, "counter value")];
            let left = left.into_iter().filter(|(number, _)| *number > 0);
            let left: Vec<String> = left.map(|(number, what)| count(number, what)).collect();
            let told = format!("stacks have no place for {}", left.join(", "));
            return left.first().map(|_| told).into_iter().collect();
        }
        let left = [
            (late_attributes, "attribute", "left out: of spans that are not there"),
            (late_instants, "instant", "apart from spans: theirs are not there"),
            (dropped_attributes, "attribute", "left out: their spans have too many"),
            (dropped_instants, "instant", "left out: their spans have too many"),
        ];
        let left = left.into_iter().filter(|(number, ..)| *number > 0);
        left.map(|(number, what, why)| format!("{} {why}", count(number, what))).collect()
    }
}

/// Counts what goes through.
struct Counting<'w, 'b> {
    stream: Box<dyn Write + Send + 'w>,
    bytes: &'b mut u64,
}

impl Write for Counting<'_, '_> {
    fn write(&mut self, buffer: &[u8]) -> io::Result<usize> {
        let written = self.stream.write(buffer)?;
        *self.bytes += written as u64;
        Ok(written)
    }

    fn flush(&mut self) -> io::Result<()> {
        self.stream.flush()
    }
}
