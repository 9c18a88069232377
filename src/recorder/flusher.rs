//! The background thread that drains the rings.
//!
//! It sleeps for the flush interval when little is going on, and less when a ring fills up. A full ring wakes it only where recording
//! threads were told to wait for room: waking is a system call, which they do not make otherwise.

use super::context::this_thread;
use super::drain::{Drainer, Round};
use super::session::lock;
use super::snapshot::Taker;
use super::thread::mute;
use crate::native_thread::NativeThread;
use std::io;
use std::sync::{Arc, Condvar, Mutex};
use std::time::Duration;

/// The shortest sleep: under load, rings are drained a thousand times a second.
const SHORTEST: Duration = Duration::from_millis(1);
/// A ring fuller than this shortens the sleep.
const FULL: f64 = 0.125;

/// The flusher's thread.
pub(super) struct Flusher {
    thread: NativeThread,
    alarm: Arc<Alarm>,
}

/// What wakes the flusher before its time.
#[derive(Default)]
pub(super) struct Alarm {
    stop: Mutex<bool>,
    wake: Condvar,
}

impl Alarm {
    /// Lets the flusher drain now, if it sleeps.
    pub(super) fn ring(&self) {
        self.wake.notify_one();
    }
}

impl Flusher {
    /// Starts the thread.
    pub(super) fn start(
        drainer: Arc<Mutex<Drainer>>,
        taker: Option<Arc<Taker>>,
        interval: Duration,
        alarm: Arc<Alarm>,
    ) -> io::Result<Flusher> {
        let watched = Arc::clone(&alarm);
        let thread = NativeThread::spawn(c"spanring-flush", move || run(&drainer, taker.as_ref(), interval, &watched))?;
        Ok(Flusher { thread, alarm })
    }

    /// Ends the thread and waits for it.
    pub(super) fn stop(self) {
        *lock(&self.alarm.stop) = true;
        self.alarm.ring();
        // Nothing in the thread panics that is not caught there; if it did, the stop drains what it left.
        self.thread.join();
    }
}

fn run(drainer: &Arc<Mutex<Drainer>>, taker: Option<&Arc<Taker>>, interval: Duration, alarm: &Alarm) {
    let _muted = mute(this_thread());
    let mut sleep = interval;
    let mut stop = lock(&alarm.stop);
    while !*stop {
        let woken = alarm.wake.wait_timeout(stop, sleep);
        stop = woken.unwrap_or_else(std::sync::PoisonError::into_inner).0;
        if *stop {
            break;
        }
        drop(stop);
        // An error is in the status, and the next round tries again.
        let fullest = lock(drainer).drain(Round::Background).unwrap_or(0.0);
        if let Some(taker) = taker {
            taker.attend(drainer);
        }
        sleep = if fullest > FULL { sleep / 2 } else { sleep * 2 }.clamp(SHORTEST.min(interval), interval);
        stop = lock(&alarm.stop);
    }
}
