//! A service and its load, in one process.

use crate::database::{Contents, Database};
use crate::load::{self, Load, Plan};
use crate::recording::Record;
use crate::service::Service;
use rustix::time::{ClockId, clock_gettime};
use spanring::Health;
use std::error::Error;
use std::path::Path;
use std::time::Duration;

/// What is run.
#[derive(Clone, Debug)]
pub struct Options {
    /// What the database holds.
    pub contents: Contents,
    /// Connections to it.
    pub connections: u32,
    /// Requests in all, after a tenth as many that nobody counts.
    pub requests: u64,
    /// Clients.
    pub concurrency: u32,
}

/// What came of it.
#[derive(Debug)]
pub struct Outcome {
    /// What the clients saw, without those that nobody counts.
    pub load: Load,
    /// Requests that nobody counts, which are in the recording too.
    pub before: Load,
    /// What processors did for it, in user and system mode, all threads of clients and service together, without what nobody counts.
    pub processors: Duration,
    /// What was recorded of all requests.
    pub recorded: Recorded,
}

/// An account of what was recorded.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Recorded {
    /// Records that were made.
    pub records: u64,
    /// Of these, such as are in no file.
    pub gone: u64,
}

/// Records the service under its load into a directory. Its recorder's health, if there was one.
///
/// # Errors
/// If anything of it does not work.
pub fn run(options: &Options, record: Record, directory: &Path) -> Result<(Outcome, Option<Health>), Box<dyn Error>> {
    let recorder = record.start(directory)?;
    let mut outcome = answer(options)?;
    let health = recorder.map(|recorder| recorder.stop()).transpose()?;
    if let Some(Health { flushed, lost, .. }) = health {
        outcome.recorded = Recorded { records: flushed + lost, gone: lost };
    }
    Ok((outcome, health))
}

/// Starts the service, sends it the load, and stops it when it has answered. Nothing is known here of what is recorded of that.
///
/// # Errors
/// If anything of it does not work.
pub fn answer(options: &Options) -> Result<Outcome, Box<dyn Error>> {
    let place = tempfile::tempdir()?;
    let file = place.path().join("orders.sqlite");
    let runtime = tokio::runtime::Builder::new_multi_thread().enable_all().thread_name("service").build()?;
    let service = runtime.block_on(async {
        let database = Database::create(&file, options.contents, options.connections).await?;
        Ok::<_, Box<dyn Error>>(Service::start(database, 0).await?)
    })?;
    let Contents { orders, .. } = options.contents;
    let customers = options.contents.customers();
    let plan = |requests| Plan { requests, concurrency: options.concurrency, orders, customers };
    let before = load::drive(service.address, plan(options.requests / 10))?;
    let processors = processor_time();
    let load = load::drive(service.address, plan(options.requests))?;
    let processors = processor_time().saturating_sub(processors);
    runtime.block_on(service.stop())?;
    // Its threads have ended with it, and so have all spans.
    drop(runtime);
    Ok(Outcome { load, before, processors, recorded: Recorded::default() })
}

/// What processors did for this process so far.
fn processor_time() -> Duration {
    let time = clock_gettime(ClockId::ProcessCPUTime);
    Duration::new(time.tv_sec as u64, time.tv_nsec as u32)
}
