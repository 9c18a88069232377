//! `spanring doctor`: whether this machine and this directory are good for recording, and a real recording to show it.
//!
//! ```no_run
//! use spanring_cli::doctor;
//!
//! let examination = doctor::examine("recording".as_ref());
//! for check in &examination.checks {
//!     println!("{}: {}", check.what, check.found);
//! }
//! ```

use rustix::fs::statvfs;
use rustix::process::{Resource, getrlimit};
use serde::Serialize;
use spanring::prelude::*;
use spanring::reader::{Event, Phase, Recording};
use spanring::{Discipline, Recorder};
use std::io::{Read, Write};
use std::path::Path;
use std::process::{Command, Stdio};
use std::time::{Duration, Instant};

/// Spans of the recording that is made.
const SPANS: u64 = 10_000;

/// Less room than a recorder takes by itself: a session of few threads.
const LITTLE_ROOM: u64 = 64 << 20;

/// What was looked at, and what was found.
///
/// ```
/// use spanring_cli::doctor::Examination;
/// use std::process::ExitCode;
///
/// fn exit_code(examination: &Examination) -> ExitCode {
///     if examination.healthy { ExitCode::SUCCESS } else { ExitCode::FAILURE }
/// }
/// # assert_eq!(exit_code(&Examination { checks: Vec::new(), healthy: true }), ExitCode::SUCCESS);
/// ```
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Examination {
    /// In the order of looking.
    pub checks: Vec<Check>,
    /// Whether nothing is bad.
    pub healthy: bool,
}

/// One thing that was looked at.
///
/// ```
/// use spanring_cli::doctor::{Check, Verdict};
///
/// let check = Check {
///     what: "limit of open files",
///     verdict: Verdict::Note,
///     found: "64".to_owned(),
///     advice: "raise it with `ulimit -n`",
/// };
/// let advice = Some(check.advice).filter(|advice| !advice.is_empty());
/// assert_eq!(advice, Some("raise it with `ulimit -n`"), "what is good has none");
/// ```
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Check {
    /// What.
    pub what: &'static str,
    /// How that is.
    pub verdict: Verdict,
    /// What was found.
    pub found: String,
    /// What to do about it, or what it means; empty if it is good.
    pub advice: &'static str,
}

/// How something is.
///
/// ```
/// use spanring_cli::doctor::{Examination, Verdict};
///
/// fn faults(examination: &Examination) -> Vec<&'static str> {
///     let bad = examination.checks.iter().filter(|check| check.verdict == Verdict::Bad);
///     bad.map(|check| check.what).collect()
/// }
/// # assert!(faults(&Examination { checks: Vec::new(), healthy: true }).is_empty());
/// ```
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "lowercase")]
pub enum Verdict {
    /// As it should be.
    Good,
    /// It works, and could be better.
    Note,
    /// It does not work.
    Bad,
}

fn good(what: &'static str, found: impl Into<String>) -> Check {
    Check { what, verdict: Verdict::Good, found: found.into(), advice: "" }
}

fn note(what: &'static str, found: impl Into<String>, advice: &'static str) -> Check {
    Check { what, verdict: Verdict::Note, found: found.into(), advice }
}

fn bad(what: &'static str, found: impl std::fmt::Display, advice: &'static str) -> Check {
    Check { what, verdict: Verdict::Bad, found: found.to_string(), advice }
}

/// Looks at the machine, then makes recordings in `directory` and reads them back. Nothing of them stays; a directory that was not there
/// goes too.
///
/// ```no_run
/// use spanring_cli::doctor::examine;
/// use std::path::Path;
///
/// let examination = examine(Path::new("/var/lib/service/recording"));
/// for check in &examination.checks {
///     println!("{}: {}", check.what, check.found);
/// }
/// ```
pub fn examine(directory: &Path) -> Examination {
    let existed = directory.exists();
    let mut checks = machine();
    match examine_directory(directory) {
        Ok(more) => checks.extend(more),
        Err(check) => checks.push(check),
    }
    if !existed {
        // It is empty, or it is not ours.
        let _ = std::fs::remove_dir(directory);
    }
    Examination { healthy: checks.iter().all(|check| check.verdict != Verdict::Bad), checks }
}

fn machine() -> Vec<Check> {
    let (os, arch) = (std::env::consts::OS, std::env::consts::ARCH);
    let platform = match (os, arch) {
        ("linux", "x86_64") => good("platform", format!("{os} on {arch}")),
        _ => note("platform", format!("{os} on {arch}"), "only Linux on x86-64 is tested"),
    };
    let cores = std::thread::available_parallelism().map_or(0, usize::from);
    let cores = match cores {
        0 | 1 => {
            note("processors", cores.to_string(), "the background thread shares the only one with what it records")
        }
        _ => good("processors", cores.to_string()),
    };
    let page = good("page size", format!("{} bytes", rustix::param::page_size()));
    let file_size = match getrlimit(Resource::Fsize).current {
        None => good("limit of file sizes", "none"),
        Some(bytes) if bytes < LITTLE_ROOM => {
            note("limit of file sizes", format!("{bytes} bytes"), "choose `segment_bytes` and `ring_bytes` below it")
        }
        Some(bytes) => good("limit of file sizes", format!("{bytes} bytes")),
    };
    let files = match getrlimit(Resource::Nofile).current {
        Some(files) if files < 256 => note(
            "limit of open files",
            files.to_string(),
            "each thread's ring is opened once, then mapped: raise it with `ulimit -n`",
        ),
        Some(files) => good("limit of open files", files.to_string()),
        None => good("limit of open files", "none"),
    };
    vec![platform, cores, clock_of_kernel(), page, file_size, files]
}

/// By what the kernel keeps time.
fn clock_of_kernel() -> Check {
    const WHAT: &str = "clock of the kernel";
    match std::fs::read_to_string("/sys/devices/system/clocksource/clocksource0/current_clocksource") {
        Ok(source) if matches!(source.trim(), "tsc" | "arch_sys_counter") => good(WHAT, source.trim()),
        Ok(source) => note(
            WHAT,
            source.trim(),
            "it does not trust the processor's counter, so neither do we: a record costs a system clock read more",
        ),
        Err(error) => note(WHAT, error.to_string(), "what it is cannot be told here"),
    }
}

fn examine_directory(directory: &Path) -> Result<Vec<Check>, Check> {
    std::fs::create_dir_all(directory).map_err(|error| {
        bad(
            "directory",
            format!("{}: {error}", directory.display()),
            "choose one that this user can create and write to",
        )
    })?;
    let mut checks = vec![good("directory", directory.display().to_string()), room(directory)];
    for (what, discipline) in [("recording, drain", Discipline::Drain), ("recording, flight", Discipline::Flight)] {
        checks.extend(record(what, directory, discipline));
    }
    checks.push(killed(directory));
    Ok(checks)
}

fn room(directory: &Path) -> Check {
    const WHAT: &str = "room on the disk";
    match statvfs(directory) {
        Ok(disk) => {
            let free = disk.f_bavail.saturating_mul(disk.f_frsize);
            let found = format!("{} MiB free", free >> 20);
            match free {
                ..LITTLE_ROOM => note(WHAT, found, "a full disk ends no process, but what finds no room is lost"),
                _ => good(WHAT, found),
            }
        }
        Err(error) => note(WHAT, error.to_string(), "how much there is cannot be told here"),
    }
}

/// Makes a recording and reads it back.
fn record(what: &'static str, directory: &Path, discipline: Discipline) -> Vec<Check> {
    let builder = Recorder::builder().directory(directory).discipline(discipline);
    let recorder = match builder.ring_bytes(4 << 20).start() {
        Ok(recorder) => recorder,
        Err(error) => return vec![bad(what, error, "nothing can be recorded here")],
    };
    let session = recorder.directory().map(Path::to_owned).unwrap_or_default();
    let began = Instant::now();
    for _ in 0..SPANS {
        span_scope!("examined");
    }
    let each = began.elapsed() / SPANS as u32;
    let stopped = recorder.stop();
    let read = read_back(&session);
    let _ = std::fs::remove_dir_all(&session);
    let health = match stopped {
        Ok(health) => health,
        Err(error) => return vec![bad(what, error, "what was recorded did not reach the disk")],
    };
    let mut checks = vec![match read {
        Ok(spans) if spans == SPANS && health.lost == 0 => {
            let time = if cfg!(debug_assertions) { String::new() } else { format!(", {} ns each", each.as_nanos()) };
            good(what, format!("{SPANS} spans written and read back{time}"))
        }
        Ok(spans) => {
            bad(what, format!("{spans} of {SPANS} spans read back, {} records lost", health.lost), "please report this")
        }
        Err(error) => bad(what, error, "what was written cannot be read"),
    }];
    if health.unmapped_rings > 0 {
        let advice = "the file system cannot map files: choose `ring_directory` on another, tmpfs for instance";
        checks.push(note("rings", "not in files: what they hold is gone when the process is killed", advice));
    }
    checks
}

/// Spans that ended, and are whole.
fn read_back(session: &Path) -> Result<u64, String> {
    let recording = Recording::open(session).map_err(|error| error.to_string())?;
    let mut ended = 0;
    let summary = recording.read(&mut |event| {
        if let Event::Span(span) = event {
            ended += u64::from(span.phase == Phase::End && span.name == "examined");
        }
    });
    let summary = summary.map_err(|error| error.to_string())?;
    if summary.damaged > 0 { Err(format!("{} records damaged", summary.damaged)) } else { Ok(ended) }
}

/// The argument by which this program is told to be the one that is killed.
pub const VICTIM: &str = "doctor-victim";

/// Has this program record a span and be killed in it; then looks for it.
fn killed(directory: &Path) -> Check {
    const WHAT: &str = "recovery after a kill";
    let victim = std::env::current_exe().and_then(|program| {
        let mut child = Command::new(program).arg(VICTIM).arg(directory).stdout(Stdio::piped()).spawn()?;
        let mut said = [0];
        let read = child.stdout.take().map(|mut out| out.read(&mut said)).transpose();
        // `kill -9`, whatever it is doing.
        child.kill()?;
        child.wait()?;
        read.map(|read| read.unwrap_or(0) == 1).map(|said_so| said_so.then_some(child.id()))
    });
    let pid = match victim {
        Ok(Some(pid)) => pid,
        Ok(None) => {
            return bad(WHAT, "the process that was to be killed did not get so far", "see the recordings above");
        }
        Err(error) => return bad(WHAT, error, "a process cannot be started or killed here"),
    };
    let sessions = spanring::reader::sessions(directory).unwrap_or_default();
    let session = sessions.into_iter().find(|path| path.to_string_lossy().contains(&format!("-{pid}-")));
    let Some(session) = session else { return bad(WHAT, "it left no recording", "please report this") };
    let mut open = false;
    let read = Recording::open(&session).and_then(|recording| {
        recording.read(&mut |event| {
            if let Event::Span(span) = event {
                open |= span.phase == Phase::Begin && span.name == "killed in here";
            }
        })
    });
    let _ = std::fs::remove_dir_all(session);
    match read {
        Ok(_) if open => good(WHAT, "a process was killed in a span, and the span is there"),
        Ok(_) => bad(
            WHAT,
            "a process was killed in a span, and the span is not there",
            "are the rings on the heap? see above",
        ),
        Err(error) => bad(WHAT, error, "please report this"),
    }
}

/// Records a span, says so, and waits in it for the end.
///
/// # Errors
/// If nothing can be recorded to the directory.
///
/// ```no_run
/// use spanring_cli::doctor::{VICTIM, be_killed};
///
/// // A program that calls `examine` has to understand this too.
/// # fn main() -> Result<(), spanring::StartError> {
/// let mut arguments = std::env::args().skip(1);
/// if arguments.next().as_deref() == Some(VICTIM) {
///     be_killed(arguments.next().unwrap_or_default().as_ref())?;
/// }
/// # Ok(())
/// # }
/// ```
pub fn be_killed(directory: &Path) -> Result<(), spanring::StartError> {
    let _recorder = Recorder::builder().directory(directory).start()?;
    span_scope!("killed in here");
    // Whoever listens is gone only if it has given up.
    let mut out = std::io::stdout();
    let _ = out.write_all(b"!").and_then(|()| out.flush());
    std::thread::sleep(Duration::from_secs(60));
    Ok(())
}
