//! From a request to a directory.

use super::super::context::this_thread;
use super::super::drain::Drainer;
use super::super::files::{create_session, store_status};
use super::super::process::{new_session_id, session_name};
use super::super::retention::Retention;
use super::super::session::{Session, lock};
use super::super::thread::mute;
use super::capture::{Capture, Extent};
use super::requests::{Requests, SnapshotError, listen_to_panics, listen_to_signal};
use super::settings::Snapshots;
use super::slow::SlowWatch;
use crate::clock::anchor;
use crate::directory;
use crate::format::snapshot_request::{self, Answer};
use crate::format::{ProcessFacts, Status, StatusState};
use crate::native_thread::NativeThread;
use crate::sink::SegmentSink;
use crate::sync::{AtomicU64, Ordering};
use std::io;
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant};

/// How often the session's directory is looked into for a request from another process.
const LOOK_EVERY: Duration = Duration::from_millis(100);

/// Takes the snapshots of one recording.
pub(in super::super) struct Taker {
    settings: Snapshots,
    /// Where they go.
    parent: PathBuf,
    session: Arc<Session>,
    facts: ProcessFacts,
    /// The session's own directory, where another process asks.
    own: Option<PathBuf>,
    requests: Requests,
    /// Held while one is written: one at a time.
    writing: Mutex<()>,
    flusher: Mutex<OfFlusher>,
    taken: AtomicU64,
    failed: AtomicU64,
    last_error: Mutex<Option<String>>,
}

/// What only the flusher needs, and who stops it.
struct OfFlusher {
    looked: Instant,
    /// Writes the last snapshot that was asked for.
    writer: Option<NativeThread>,
}

/// What was counted of snapshots.
#[derive(Clone, Debug, Default)]
pub(in super::super) struct Counts {
    pub(in super::super) taken: u64,
    pub(in super::super) suppressed: u64,
    pub(in super::super) failed: u64,
    pub(in super::super) last_error: Option<String>,
}

impl Taker {
    /// For the snapshots of `session`, which go to `parent`. Listens to the signal and the panics that it was told of.
    pub(in super::super) fn new(
        settings: Snapshots,
        parent: PathBuf,
        session: Arc<Session>,
        facts: ProcessFacts,
        own: Option<PathBuf>,
    ) -> io::Result<Taker> {
        if let Some(signal) = settings.signal {
            listen_to_signal(signal)?;
        }
        if settings.on_panic {
            listen_to_panics();
        }
        Ok(Taker {
            requests: Requests::new(settings.apart),
            settings,
            parent,
            session,
            facts,
            own,
            writing: Mutex::new(()),
            flusher: Mutex::new(OfFlusher { looked: Instant::now(), writer: None }),
            taken: AtomicU64::new(0),
            failed: AtomicU64::new(0),
            last_error: Mutex::new(None),
        })
    }

    /// What the flusher has to watch for.
    pub(in super::super) fn slow_watch(&self) -> Option<SlowWatch> {
        SlowWatch::new(&self.settings, self.facts.ticks_per_second)
    }

    /// Asks for a snapshot soon. `false`: there was one a moment ago, or will be.
    pub(in super::super) fn ask(&self, reason: &str) -> bool {
        self.requests.ask(reason)
    }

    /// Asks because a thread panicked, if that is a reason.
    pub(super) fn panicked(&self, place: Option<(&str, u32)>) {
        if self.settings.on_panic {
            let reason = place.map(|(file, line)| format!("panic: {file}:{line}"));
            self.requests.ask(reason.as_deref().unwrap_or("panic"));
        }
    }

    /// Takes one now, and returns where it is.
    pub(in super::super) fn take(&self, drainer: &Mutex<Drainer>, reason: &str) -> Result<PathBuf, SnapshotError> {
        let _muted = mute(this_thread());
        let capture = self.capture(drainer);
        self.write(capture, reason)
    }

    /// Takes what was asked for; once in a while looks whether another process asks. The flusher's, after each round.
    pub(in super::super) fn attend(self: &Arc<Self>, drainer: &Arc<Mutex<Drainer>>) {
        let slow = lock(drainer).take_slow();
        if let Some(reason) = slow {
            self.requests.ask(&reason);
        }
        let mut flusher = lock(&self.flusher);
        let asked = (flusher.looked.elapsed() >= LOOK_EVERY).then(|| {
            flusher.looked = Instant::now();
            self.own.as_deref().and_then(snapshot_request::read)
        });
        if let Some(reason) = asked.flatten() {
            // Somebody waits for it, so it is not too soon.
            self.start_writer(&mut flusher, drainer, reason, true);
        } else if let Some(reason) = self.requests.hear() {
            self.start_writer(&mut flusher, drainer, reason, false);
        }
    }

    /// Copies the rings here, before more of them is overwritten, and leaves the writing to a thread: the flusher has to look at what
    /// comes next.
    fn start_writer(self: &Arc<Self>, flusher: &mut OfFlusher, drainer: &Mutex<Drainer>, reason: String, answer: bool) {
        if let Some(before) = flusher.writer.take() {
            before.join();
        }
        let capture = self.capture(drainer);
        let taker = Arc::clone(self);
        let write = move || {
            let _muted = mute(this_thread());
            let result = taker.write(capture, &reason);
            if let (true, Some(own)) = (answer, &taker.own) {
                let answer = match &result {
                    Ok(path) => Answer::Taken(path.clone()),
                    Err(error) => Answer::Failed(error.to_string()),
                };
                // Who asked is told by its own patience otherwise.
                let _ = snapshot_request::answer(own, &answer);
            }
        };
        match NativeThread::spawn(c"spanring-snap", write) {
            Ok(writer) => flusher.writer = Some(writer),
            Err(error) => self.note_failure(&error.to_string()),
        }
    }

    /// Takes what was asked for and not taken, and waits for what is being written. After the flusher's end.
    pub(in super::super) fn finish(self: &Arc<Self>, drainer: &Arc<Mutex<Drainer>>) {
        self.attend(drainer);
        let writer = lock(&self.flusher).writer.take();
        if let Some(writer) = writer {
            writer.join();
        }
    }

    pub(in super::super) fn counts(&self) -> Counts {
        Counts {
            taken: self.taken.load(Ordering::Relaxed),
            suppressed: self.requests.suppressed(),
            failed: self.failed.load(Ordering::Relaxed),
            last_error: lock(&self.last_error).clone(),
        }
    }

    fn capture(&self, drainer: &Mutex<Drainer>) -> Capture {
        let now = anchor().ticks;
        let ticks = |time: Duration| time.as_nanos() * u128::from(self.facts.ticks_per_second) / 1_000_000_000;
        let since =
            self.settings.look_back.map_or(0, |time| now.saturating_sub(ticks(time).min(u128::from(now)) as u64));
        lock(drainer).capture(Extent { since, bytes: self.settings.bytes })
    }

    fn write(&self, capture: Capture, reason: &str) -> Result<PathBuf, SnapshotError> {
        let _one = lock(&self.writing);
        let name = session_name(capture.now.unix_ns);
        let path = self.parent.join(&name);
        let written = self.write_to(&path, name, &capture, reason);
        written.map_err(|source| {
            self.note_failure(&source.to_string());
            // Half a snapshot is of no use.
            let _ = std::fs::remove_dir_all(&path);
            SnapshotError::Write { path: path.clone(), source }
        })?;
        self.taken.fetch_add(1, Ordering::Relaxed);
        Ok(path)
    }

    fn write_to(&self, path: &Path, name: String, capture: &Capture, reason: &str) -> io::Result<()> {
        let facts = ProcessFacts {
            session: name,
            ring_directory: String::new(),
            snapshots: String::new(),
            snapshot_of: self.facts.session.clone(),
            snapshot_reason: reason.to_owned(),
            ..self.facts.clone()
        };
        let (text, id) = (facts.encode(), new_session_id());
        let bytes = capture.file_bytes(&text, &self.session);
        directory::create(&self.parent)?;
        directory::create(path)?;
        Retention::new(&self.parent, path, self.settings.bytes, self.settings.keep).make_room(bytes);
        let status_file = create_session(path, id, &facts)?;
        let mut sink = SegmentSink::new(path, id, bytes as usize);
        let written = capture.write(&text, &self.session, &mut sink)?;
        let status = Status {
            updates: 1,
            state: StatusState::Stopped,
            anchor: capture.now,
            flushed: written.records,
            lost: written.missing,
            unscanned: capture.unscanned,
            ..Status::default()
        };
        store_status(&status_file, &status);
        Ok(())
    }

    fn note_failure(&self, error: &str) {
        self.failed.fetch_add(1, Ordering::Relaxed);
        *lock(&self.last_error) = Some(error.to_owned());
    }
}
