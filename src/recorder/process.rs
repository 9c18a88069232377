//! Facts about this process, and a name for its session.

use crate::clock::{Clock, anchor};
use crate::format::{Discipline, ProcessFacts, SessionId, identity};
use crate::sync::{AtomicU64, Ordering};
use std::hash::{BuildHasher, Hasher, RandomState};
use std::path::Path;

/// A session id: two words from the hasher's random keys, which the standard library takes from the system.
pub(super) fn new_session_id() -> SessionId {
    let word = || RandomState::new().build_hasher().finish();
    SessionId([word(), word()])
}

/// The facts, for a session that starts now.
pub(super) fn facts(
    clock: Clock,
    ring_bytes: u64,
    discipline: Discipline,
    ring_directory: Option<&Path>,
) -> ProcessFacts {
    let start = anchor();
    let pid = std::process::id();
    ProcessFacts {
        session: session_name(start.unix_ns),
        pid,
        process_start: identity::start_of(pid).unwrap_or(0),
        boot_id: identity::boot_id(),
        executable: std::env::current_exe().map(|path| path.display().to_string()).unwrap_or_default(),
        host: identity::host(),
        os: std::env::consts::OS.to_owned(),
        arch: std::env::consts::ARCH.to_owned(),
        version: env!("CARGO_PKG_VERSION").to_owned(),
        started_unix_ns: start.unix_ns,
        start,
        tick_source: clock.source,
        ticks_per_second: clock.ticks_per_second,
        ring_bytes,
        discipline,
        ring_directory: ring_directory.map(|path| path.display().to_string()).unwrap_or_default(),
        filter: String::new(),
        sampling: String::new(),
        snapshots: String::new(),
        snapshot_of: String::new(),
        snapshot_reason: String::new(),
    }
}

/// What a session that begins then is called. No other of this process has the same name.
pub(super) fn session_name(unix_ns: u64) -> String {
    static SESSIONS: AtomicU64 = AtomicU64::new(0);
    let number = SESSIONS.fetch_add(1, Ordering::Relaxed);
    format!("{}-{}-{number}", utc(unix_ns), std::process::id())
}

/// A time as `YYYYMMDDTHHMMSS.mmmZ`, in the proleptic Gregorian calendar.
fn utc(unix_ns: u64) -> String {
    let seconds = unix_ns / 1_000_000_000;
    let (days, second) = (seconds / 86_400, seconds % 86_400);
    // Days are counted from 1 March of the year 0, so that the leap day ends a year and 400 years are 146097 days.
    let day = days + 719_468;
    let (era, day) = (day / 146_097, day % 146_097);
    let year = (day - day / 1_460 + day / 36_524 - day / 146_096) / 365;
    let day = day - (365 * year + year / 4 - year / 100);
    let month = (5 * day + 2) / 153;
    let day_of_month = day - (153 * month + 2) / 5 + 1;
    let (month, carry) = if month < 10 { (month + 3, 0) } else { (month - 9, 1) };
    let year = era * 400 + year + carry;
    let (hour, minute, second) = (second / 3600, second / 60 % 60, second % 60);
    let milli = unix_ns / 1_000_000 % 1000;
    format!("{year:04}{month:02}{day_of_month:02}T{hour:02}{minute:02}{second:02}.{milli:03}Z")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn dates_are_right_around_leap_days() {
        let at = |seconds: u64| utc(seconds * 1_000_000_000);
        assert_eq!(at(0), "19700101T000000.000Z");
        assert_eq!(at(951_782_399), "20000228T235959.000Z");
        assert_eq!(at(951_782_400), "20000229T000000.000Z");
        assert_eq!(at(1_709_251_200), "20240301T000000.000Z");
        assert_eq!(at(1_798_675_199), "20261230T235959.000Z");
        assert_eq!(at(4_107_542_400), "21000301T000000.000Z");
    }
}
