//! An HTTP service under load that records itself: `spanring demo`.
//!
//! The service (`service.rs`) is small, but real: sockets, a bounded pool, timeouts, tasks, blocking work. The load
//! (`load.rs`) comes from clients with connections of their own, on a runtime of their own, which are not instrumented.
//!
//! ```no_run
//! use spanring_cli::demo::{self, Options};
//!
//! # fn main() -> Result<(), demo::DemoError> {
//! let options = Options { directory: "recording".into(), seconds: 3 };
//! let report = demo::run(&options, &mut |line| println!("{line}"))?;
//! println!("{}", report.summary());
//! # Ok(())
//! # }
//! ```

mod load;
mod service;

use crate::export::{self, Destination, ExportError, Exported, Format};
use crate::progress::Silent;
use crate::spans;
use crate::top::{SortBy, Top, TopReport};
pub use load::Load;
use service::Service;
use spanring::reader::{ReadError, Recording};
use spanring::{FlushError, Recorder, StartError};
use std::fmt;
use std::io;
use std::net::Ipv4Addr;
use std::path::PathBuf;
use std::sync::Arc;
use std::sync::atomic::{AtomicU32, Ordering};
use std::time::Duration;
use tokio::net::TcpListener;
use tokio::runtime;

/// Name of the Perfetto trace in the recording directory.
pub const TRACE_FILE: &str = "demo.perfetto-trace";
const CLIENTS: u32 = 8;
const REQUESTS_PER_SECOND: u32 = 800;

/// What to run.
///
/// ```
/// use spanring_cli::demo::{Options, TRACE_FILE};
/// use std::path::Path;
///
/// let options = Options { directory: "recording".into(), seconds: 3 };
/// assert_eq!(options.directory.join(TRACE_FILE), Path::new("recording/demo.perfetto-trace"));
/// ```
#[derive(Clone, Debug)]
pub struct Options {
    /// Directory for the recording.
    pub directory: PathBuf,
    /// How long the load lasts.
    pub seconds: u64,
}

/// What came of it.
///
/// ```
/// use spanring_cli::demo::Report;
///
/// /// Whether what was recorded is what was read, to the record.
/// fn adds_up(report: &Report) -> bool {
///     report.recorded == report.read && report.lost == 0
/// }
/// ```
#[derive(Clone, Debug)]
pub struct Report {
    /// The recording directory.
    pub directory: PathBuf,
    /// The recording, summarised.
    pub top: TopReport,
    /// What the clients saw.
    pub load: Load,
    /// Records that the recorder says it has written.
    pub recorded: u64,
    /// Records that were read back.
    pub read: u64,
    /// Records that are missing.
    pub lost: u64,
    /// The trace, and what is in it.
    pub trace: (PathBuf, Exported),
}

/// Why a demo failed.
///
/// ```
/// use spanring_cli::demo::DemoError;
/// use std::io;
///
/// let error = DemoError::Serve(io::ErrorKind::PermissionDenied.into());
/// assert_eq!(error.to_string(), "the demo's service on loopback could not start: permission denied");
/// ```
#[derive(Debug)]
pub enum DemoError {
    /// The recorder could not start.
    Start(StartError),
    /// The recorder could not write everything.
    Stop(FlushError),
    /// The service or its clients could not start.
    Serve(io::Error),
    /// The recording could not be read back.
    Read(ReadError),
    /// The trace could not be written.
    Trace(PathBuf, ExportError),
}

impl fmt::Display for DemoError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            DemoError::Start(error) => error.fmt(f),
            DemoError::Stop(error) => error.fmt(f),
            DemoError::Serve(error) => write!(f, "the demo's service on loopback could not start: {error}"),
            DemoError::Read(error) => error.fmt(f),
            DemoError::Trace(path, error) => write!(f, "cannot write {}: {error}", path.display()),
        }
    }
}

impl std::error::Error for DemoError {}

/// Runs the service for a while, records it, and reads the recording back. `say` gets a line when the load starts.
///
/// # Errors
/// If the directory cannot be recorded into or read from, or loopback cannot be listened on.
///
/// ```no_run
/// use spanring_cli::demo::{Options, run};
///
/// # fn main() -> Result<(), spanring_cli::demo::DemoError> {
/// let mut said = Vec::new();
/// let report = run(&Options { directory: "recording".into(), seconds: 1 }, &mut |line| said.push(line.to_owned()))?;
/// assert_eq!(said.len(), 1);
/// assert!(report.load.answered > 0 && report.trace.0.is_file());
/// # Ok(())
/// # }
/// ```
pub fn run(options: &Options, say: &mut dyn FnMut(&str)) -> Result<Report, DemoError> {
    let recorder = Recorder::builder().directory(&options.directory).start().map_err(DemoError::Start)?;
    let service = runtime::Builder::new_multi_thread()
        .worker_threads(2)
        .max_blocking_threads(4)
        .thread_name_fn(|| {
            static THREADS: AtomicU32 = AtomicU32::new(1);
            format!("service {}", THREADS.fetch_add(1, Ordering::Relaxed))
        })
        .enable_all()
        .build()
        .map_err(DemoError::Serve)?;
    let listener = service.block_on(TcpListener::bind((Ipv4Addr::LOCALHOST, 0))).map_err(DemoError::Serve)?;
    let address = listener.local_addr().map_err(DemoError::Serve)?;
    say(&format!(
        "an HTTP service on {address}: {REQUESTS_PER_SECOND} requests/s for {} s, recorded into {}",
        options.seconds,
        options.directory.display()
    ));
    service.spawn(service::run(listener, Arc::new(Service::default())));
    let duration = Duration::from_secs(options.seconds);
    let load = load::drive(address, CLIENTS, REQUESTS_PER_SECOND, duration).map_err(DemoError::Serve)?;

    // The service goes on: what it has open now stays open in the recording.
    let health = recorder.stop().map_err(DemoError::Stop)?;
    service.shutdown_timeout(Duration::from_secs(1));

    // Not just the newest session there: another program may record into the same directory.
    let session = health.directory.as_deref().unwrap_or(&options.directory);
    let recording = Recording::open(session).map_err(DemoError::Read)?;
    let mut top = Top::default();
    let summary = spans::read(&recording, &mut |item| top.add(&item)).map_err(DemoError::Read)?;
    let path = options.directory.join(TRACE_FILE);
    let trace = Destination::File(path.clone()).open().map_err(ExportError::Write);
    let exported = trace
        .and_then(|trace| export::run(&recording, Format::Perfetto, &export::Options::default(), trace, &mut Silent))
        .map_err(|error| DemoError::Trace(path.clone(), error))?;
    Ok(Report {
        directory: options.directory.clone(),
        top: top.finish(SortBy::Total),
        load,
        recorded: health.flushed,
        read: summary.records,
        lost: summary.lost,
        trace: (path, exported),
    })
}

impl Report {
    /// Health, where everything is, and what to do next.
    ///
    /// ```
    /// # use spanring_cli::demo::Load;
    /// use spanring_cli::demo::Report;
    /// # use spanring_cli::export::Exported;
    /// # use spanring_cli::top::{SortBy, Top};
    ///
    /// # let (top, trace) = (Top::default().finish(SortBy::Total), ("trace".into(), Exported::default()));
    /// # let load = Load { answered: 50, failed: 0 };
    /// # let whole = Report { directory: "recording".into(), top, load, recorded: 100, read: 100, lost: 0, trace };
    /// assert!(whole.summary().contains("good: 100 events recorded, 100 read back, 0 lost"));
    /// let partial = Report { read: 99, ..whole };
    /// assert!(partial.summary().contains("NOT GOOD"));
    /// ```
    pub fn summary(&self) -> String {
        let (path, trace) = &self.trace;
        let directory = self.directory.display();
        let healthy = self.recorded > 0 && self.recorded == self.read && self.lost == 0 && self.load.failed == 0;
        format!(
            "load    {} requests answered, {} failed\n\
             health  {}: {} events recorded, {} read back, {} lost\n\
             trace   {} ({} slices)\n\
             \n\
             Open the trace at https://ui.perfetto.dev. The recording itself:\n\
             \x20   spanring info {directory}\n\
             \x20   spanring top {directory}\n",
            self.load.answered,
            self.load.failed,
            if healthy { "good" } else { "NOT GOOD" },
            self.recorded,
            self.read,
            self.lost,
            path.display(),
            trace.spans,
        )
    }
}
