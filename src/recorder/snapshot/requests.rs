//! Who asks for a snapshot, and how often is too often.

use super::super::session::{lock, try_lock_running};
use crate::signal;
use crate::sync::{AtomicBool, AtomicU64, Ordering};
use std::io;
use std::path::PathBuf;
use std::sync::{Mutex, Once, OnceLock, TryLockError};
use std::time::{Duration, Instant};

/// Why there is no snapshot.
///
/// ```
/// use spanring::SnapshotError;
///
/// # fn example(recorder: &spanring::RecorderGuard) {
/// match recorder.snapshot("it was asked for") {
///     Ok(directory) => println!("{}", directory.display()),
///     Err(SnapshotError::NotKept) => {} // this service runs without
///     Err(error) => eprintln!("{error}"),
/// }
/// # }
/// ```
#[derive(Debug)]
#[non_exhaustive]
pub enum SnapshotError {
    /// No recorder runs in this process.
    NotRunning,
    /// The recorder was not told to keep snapshots.
    NotKept,
    /// It could not be written.
    Write {
        /// Where it was to be.
        path: PathBuf,
        /// Why.
        source: io::Error,
    },
}

impl std::fmt::Display for SnapshotError {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            SnapshotError::NotRunning => f.write_str("no recorder is running: start one and keep its guard"),
            SnapshotError::NotKept => {
                f.write_str("this recorder keeps no snapshots: give its builder some, with Builder::snapshots")
            }
            SnapshotError::Write { path, source } => {
                write!(
                    f,
                    "cannot write a snapshot to {}: {source}; what it would have shown is still in the rings",
                    path.display()
                )
            }
        }
    }
}

impl std::error::Error for SnapshotError {
    fn source(&self) -> Option<&(dyn std::error::Error + 'static)> {
        match self {
            SnapshotError::Write { source, .. } => Some(source),
            SnapshotError::NotRunning | SnapshotError::NotKept => None,
        }
    }
}

/// What asks for snapshots by itself, and may ask too often.
pub(super) struct Requests {
    apart: Duration,
    waiting: Mutex<Waiting>,
    suppressed: AtomicU64,
}

#[derive(Default)]
struct Waiting {
    /// Why a snapshot is to be taken.
    reason: Option<String>,
    /// When the last one was taken.
    last: Option<Instant>,
}

impl Requests {
    pub(super) fn new(apart: Duration) -> Requests {
        Requests { apart, waiting: Mutex::default(), suppressed: AtomicU64::new(0) }
    }

    /// Asks for a snapshot, unless one was taken a moment ago, or was asked for. Returns whether one will be taken.
    ///
    /// Waits for nothing, so that a panic anywhere can ask.
    pub(super) fn ask(&self, reason: &str) -> bool {
        let waiting = match self.waiting.try_lock() {
            Ok(waiting) => Some(waiting),
            Err(TryLockError::Poisoned(poisoned)) => Some(poisoned.into_inner()),
            // Somebody else is asking, or was heard just now.
            Err(TryLockError::WouldBlock) => None,
        };
        let free = |waiting: &Waiting| {
            waiting.reason.is_none() && waiting.last.is_none_or(|last| last.elapsed() >= self.apart)
        };
        match waiting.filter(|waiting| free(waiting)) {
            Some(mut waiting) => {
                waiting.reason = Some(reason.to_owned());
                true
            }
            None => {
                self.suppressed.fetch_add(1, Ordering::Relaxed);
                false
            }
        }
    }

    /// Why a snapshot is to be taken now, if one was asked for.
    pub(super) fn hear(&self) -> Option<String> {
        if take_signal() {
            self.ask("signal");
        }
        let mut waiting = lock(&self.waiting);
        let reason = waiting.reason.take()?;
        waiting.last = Some(Instant::now());
        Some(reason)
    }

    /// Requests that came too soon after a snapshot.
    pub(super) fn suppressed(&self) -> u64 {
        self.suppressed.load(Ordering::Relaxed)
    }
}

/// Whether the signal came since somebody looked.
static SIGNALLED: AtomicBool = AtomicBool::new(false);

fn take_signal() -> bool {
    // Relaxed: nothing else is handed over with it. The load keeps the line shared while no signal comes.
    SIGNALLED.load(Ordering::Relaxed) && SIGNALLED.swap(false, Ordering::Relaxed)
}

/// What the signal did before, and which it is.
static BEFORE: OnceLock<(i32, libc::sigaction)> = OnceLock::new();

/// Lets the signal of this number ask for snapshots, from now on.
///
/// # Errors
/// If there is no such signal, or another one asks already in this process.
pub(super) fn listen_to_signal(number: i32) -> io::Result<()> {
    if let Some((known, _)) = BEFORE.get() {
        return if *known == number {
            Ok(())
        } else {
            Err(io::Error::other("another signal asks for snapshots already"))
        };
    }
    let before = signal::action_of(number)?;
    // Known before the handler can be called. Starts come one at a time.
    let _ = BEFORE.set((number, before));
    signal::handle(number, on_signal, &before)
}

/// Async-signal-safe: an atomic store, and the handler from before.
extern "C" fn on_signal(number: libc::c_int, info: *mut libc::siginfo_t, context: *mut libc::c_void) {
    SIGNALLED.store(true, Ordering::Relaxed);
    let Some((_, before)) = BEFORE.get() else { return };
    // Its default may be to end the process; asking for a snapshot is what it is for now.
    if !matches!(before.sa_sigaction, libc::SIG_DFL | libc::SIG_IGN) {
        signal::call(before, number, info, context);
    }
}

/// Lets panics ask for snapshots of the recorder that runs then, if it listens to them.
pub(super) fn listen_to_panics() {
    static HOOK: Once = Once::new();
    HOOK.call_once(|| {
        let before = std::panic::take_hook();
        std::panic::set_hook(Box::new(move |panic| {
            // Whatever the thread that panics has locked: nothing is waited for.
            if let Some(running) = try_lock_running() {
                let taker = running.as_ref().filter(|running| running.pid == std::process::id());
                if let Some(taker) = taker.and_then(|running| running.taker.as_ref()) {
                    taker.panicked(panic.location().map(|place| (place.file(), place.line())));
                }
            }
            before(panic);
        }));
    });
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_request_is_heard_once_and_the_next_one_not_too_soon() {
        let requests = Requests::new(Duration::from_secs(3600));
        assert_eq!(requests.hear(), None);
        assert!(requests.ask("slow"));
        assert!(!requests.ask("slower"), "one is waiting");
        assert_eq!(requests.hear().as_deref(), Some("slow"));
        assert!(!requests.ask("again"), "one was taken just now");
        assert_eq!((requests.hear(), requests.suppressed()), (None, 2));
    }

    #[test]
    fn with_nothing_between_them_all_are_heard() {
        let requests = Requests::new(Duration::ZERO);
        for _ in 0..3 {
            assert!(requests.ask("now"));
            assert_eq!(requests.hear().as_deref(), Some("now"));
        }
        assert_eq!(requests.suppressed(), 0);
    }
}
