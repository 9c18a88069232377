//! The background thread that drains the rings.
//!
//! It sleeps for the flush interval when little is going on, and less when a ring fills up. Nothing wakes it for a full ring:
//! waking is a system call, which recording threads do not make.

use super::context::this_thread;
use super::drain::{Drainer, Round};
use super::session::lock;
use super::thread::mute;
use std::io;
use std::sync::{Arc, Condvar, Mutex};
use std::thread::JoinHandle;
use std::time::Duration;

/// The shortest sleep: under load, rings are drained a thousand times a second.
const SHORTEST: Duration = Duration::from_millis(1);
/// A ring fuller than this shortens the sleep.
const FULL: f64 = 0.125;

/// The flusher's thread.
pub(super) struct Flusher {
    thread: JoinHandle<()>,
    stop: Arc<Stop>,
}

#[derive(Default)]
struct Stop {
    asked: Mutex<bool>,
    wake: Condvar,
}

impl Flusher {
    /// Starts the thread.
    pub(super) fn start(drainer: Arc<Mutex<Drainer>>, interval: Duration) -> io::Result<Flusher> {
        let stop = Arc::new(Stop::default());
        let watched = Arc::clone(&stop);
        let thread = std::thread::Builder::new()
            .name("spanring-flusher".to_owned())
            .spawn(move || run(&drainer, interval, &watched))?;
        Ok(Flusher { thread, stop })
    }

    /// Ends the thread and waits for it.
    pub(super) fn stop(self) {
        *lock(&self.stop.asked) = true;
        self.stop.wake.notify_one();
        // Nothing in the thread panics that is not caught there; if it did, the stop drains what it left.
        let _ = self.thread.join();
    }
}

fn run(drainer: &Mutex<Drainer>, interval: Duration, stop: &Stop) {
    let _muted = mute(this_thread());
    let mut sleep = interval;
    let mut asked = lock(&stop.asked);
    while !*asked {
        let woken = stop.wake.wait_timeout(asked, sleep);
        asked = woken.unwrap_or_else(std::sync::PoisonError::into_inner).0;
        if *asked {
            break;
        }
        drop(asked);
        // An error is in the status, and the next round tries again.
        let fullest = lock(drainer).drain(Round::Background).unwrap_or(0.0);
        sleep = if fullest > FULL { sleep / 2 } else { sleep * 2 }.clamp(SHORTEST.min(interval), interval);
        asked = lock(&stop.asked);
    }
}
