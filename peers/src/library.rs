//! What a library has to offer to be measured: ways to make spans, and ways to be set up.

use std::future::Future;
use std::path::Path;
use tokio::runtime::Builder;
use tokio::task::JoinHandle;

/// A library.
pub trait Library: Sync {
    /// What the tables call it.
    fn name(&self) -> &'static str;

    /// The package whose version is measured; `None` for what is written in this repository.
    fn package(&self) -> Option<&'static str>;

    /// The ways it has to make spans.
    fn rows(&self) -> &'static [Row];

    /// The ways to set it up. Each row is measured in each of them.
    fn setups(&self) -> &'static [Setup];

    /// Starts it, as its `setup`-th setup says. What it writes to disk goes below `directory`.
    fn start(&self, setup: usize, directory: &Path) -> Box<dyn Recording>;

    /// Whether there is an off: spans that are made while it is not started.
    fn can_be_off(&self) -> bool {
        true
    }
}

/// A way to make spans.
#[derive(Clone, Copy)]
pub struct Row {
    pub kind: Kind,
    /// Which of the library's ways; empty if there is only one of this kind.
    pub way: &'static str,
    /// Makes so many spans, one after another.
    pub spans: fn(u64),
    /// Spawns so many tasks onto the current runtime, each one [`work`] in one named span.
    pub tasks: Option<Spawn>,
}

/// Spawns so many tasks.
pub type Spawn = fn(u64) -> Vec<JoinHandle<()>>;

/// What a span is, for whoever makes it.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Kind {
    /// Around a future, with a name in the program.
    Async,
    /// Around a future, with a name made at run time.
    AsyncRunTimeName,
    /// Around a scope of a thread, with a name in the program.
    Sync,
}

impl Kind {
    pub const ALL: [Kind; 3] = [Kind::Async, Kind::AsyncRunTimeName, Kind::Sync];

    pub fn name(self) -> &'static str {
        match self {
            Kind::Async => "async",
            Kind::AsyncRunTimeName => "async, run-time name",
            Kind::Sync => "sync",
        }
    }
}

impl Row {
    pub fn name(&self) -> String {
        match self.way {
            "" => self.kind.name().to_owned(),
            way => format!("{}: {way}", self.kind.name()),
        }
    }
}

/// A way to set a library up.
pub struct Setup {
    /// Empty if there is only one.
    pub name: &'static str,
    /// What it writes to disk, if that is not so much per span.
    pub at_rest: Option<&'static str>,
    /// In Markdown: how it is configured, why so, and what it does not do.
    pub note: &'static str,
}

/// A library that records.
pub trait Recording: Sync {
    /// Called on a thread before it makes spans.
    fn thread_starts(&self) {}

    /// Called on the same thread after its last span.
    fn thread_ends(&self) {}

    /// Runs a burst of spans inside of whatever the library needs around them.
    fn around(&self, burst: &mut dyn FnMut()) {
        burst();
    }

    /// Called on the same thread between two bursts.
    fn between(&self) {}

    /// A runtime whose workers may make spans.
    fn runtime(&self) -> Builder {
        let mut builder = Builder::new_multi_thread();
        builder.worker_threads(WORKERS);
        builder
    }

    /// Has the work done that waits for the background, as far as the library can be asked to.
    fn flush(&self) {}

    /// Stops. Everything that was recorded is where it is going to stay.
    fn stop(&mut self);

    /// What has arrived of the spans of this row, after the stop; `None` if nothing was to.
    fn outcome(&self, row: Row) -> Option<Outcome>;
}

/// What has arrived.
#[derive(Clone, Copy, Debug)]
pub struct Outcome {
    /// Spans counted in the sink.
    pub spans: u64,
    /// On disk; `None` if the library writes none, or bounds them by a ring.
    pub bytes: Option<u64>,
}

/// Nothing is started.
pub struct Off;

impl Recording for Off {
    fn stop(&mut self) {}

    fn outcome(&self, _: Row) -> Option<Outcome> {
        None
    }
}

/// Worker threads of a runtime.
pub const WORKERS: usize = 2;

/// What a task does in its span: it is polled six times.
pub async fn work() {
    for _ in 0..5 {
        tokio::task::yield_now().await;
    }
}

/// Spawns what `make` makes, so many times.
pub fn spawn_each<F>(tasks: u64, make: impl Fn() -> F) -> Vec<JoinHandle<()>>
where
    F: Future<Output = ()> + Send + 'static,
{
    (0..tasks).map(|_| tokio::spawn(make())).collect()
}

/// Bytes of all files below a directory.
pub fn bytes_below(directory: &Path) -> u64 {
    files_below(directory).iter().filter_map(|path| path.metadata().ok()).map(|file| file.len()).sum()
}

/// All files below a directory, sorted.
pub fn files_below(directory: &Path) -> Vec<std::path::PathBuf> {
    let mut files = Vec::new();
    let entries = std::fs::read_dir(directory).into_iter().flatten().flatten();
    for path in entries.map(|entry| entry.path()) {
        if path.is_dir() {
            files.extend(files_below(&path));
        } else {
            files.push(path);
        }
    }
    files.sort();
    files
}
