//! 8: the disk is full, or the limit of file sizes is met, while a process records; later there is room again.
//!
//! The child mounts a small file system of its own. The host's result has to be what it is without a recorder, each record has to
//! be read back or counted as lost, and recording has to resume.

use crate::acts::Act;
use crate::contents::Contents;
use crate::outcome::{Proven, Scale, Shown, Trouble, ensure};
use crate::process::{Ended, Page, UNABLE, own_file_system, play, scratch};
use spanring::Recorder;
use std::fs::File;
use std::io::{self, Write};
use std::os::unix::process::ExitStatusExt;
use std::path::Path;
use std::sync::atomic::Ordering;
use std::time::Duration;

pub const DISK: &str = "disk-full";
pub const LIMIT: &str = "file-size-limit";

/// Words of the shared page.
const READ: usize = 0;
const LOST: usize = 1;
const ERRORS: usize = 2;

/// The host's work: it records, and has a result that must not depend on that.
fn work(requests: u64, recording: bool) -> u64 {
    (0..requests).fold(1, |result, number| {
        if recording {
            Act::Begin.prepare(number)();
            if number % 64 == 0 {
                std::thread::sleep(Duration::from_micros(50));
            }
        }
        result.wrapping_mul(0x5851_f42d_4c95_7f2d).wrapping_add(number)
    })
}

/// Makes the disk full, or no longer.
struct Squeeze<'a> {
    begin: &'a dyn Fn() -> io::Result<()>,
    end: &'a dyn Fn() -> io::Result<()>,
}

pub fn disk(arguments: &[String]) -> Result<(), Trouble> {
    let directory = Path::new(&arguments[0]);
    let page = Page::open(&directory.join("page"))?;
    let disk = directory.join("disk");
    std::fs::create_dir(&disk)?;
    own_file_system(&disk, 2 << 20);
    let ballast = disk.join("ballast");
    let squeeze = Squeeze {
        begin: &|| {
            let mut file = File::create(&ballast)?;
            while file.write_all(&[1; 4096]).is_ok() {}
            Ok(())
        },
        end: &|| std::fs::remove_file(&ballast),
    };
    squeezed(&disk.join("recording"), &page, squeeze)
}

pub fn limit(arguments: &[String]) -> Result<(), Trouble> {
    let directory = Path::new(&arguments[0]);
    let page = Page::open(&directory.join("page"))?;
    let set = |bytes: u64| {
        let limit = libc::rlimit { rlim_cur: bytes, rlim_max: libc::RLIM_INFINITY };
        // SAFETY: the limit is read by the call only.
        let set = unsafe { libc::setrlimit(libc::RLIMIT_FSIZE, &limit) };
        if set == 0 { Ok(()) } else { Err(io::Error::last_os_error()) }
    };
    squeezed(&directory.join("recording"), &page, Squeeze { begin: &|| set(4096), end: &|| set(libc::RLIM_INFINITY) })
}

fn squeezed(recording: &Path, page: &Page, squeeze: Squeeze<'_>) -> Result<(), Trouble> {
    let recorder = Recorder::builder()
        .directory(recording)
        .ring_bytes(64 << 10)
        .names_bytes(64 << 10)
        .segment_bytes(128 << 10)
        .flush_interval(Duration::from_millis(1))
        .start()
        .map_err(|error| error.to_string())?;
    const BEFORE: u64 = 2_000;
    const MEANWHILE: u64 = 30_000;
    const AFTER: u64 = 2_000;
    let same = |requests: u64| work(requests, true) == work(requests, false);
    ensure!(same(BEFORE), "the host's result is another while it is recorded");
    recorder.flush().map_err(|error| error.to_string())?;
    (squeeze.begin)()?;
    ensure!(same(MEANWHILE), "the host's result is another while the disk is full");
    let newcomer = std::thread::Builder::new().name("newcomer".to_owned()).spawn(move || same(BEFORE));
    ensure!(newcomer?.join().is_ok_and(|same| same), "a new thread's result is another while the disk is full");
    let meanwhile = recorder.health();
    ensure!(meanwhile.last_error.is_some() && recorder.flush().is_err(), "the disk was not full: {meanwhile}");
    (squeeze.end)()?;
    recorder.flush().map_err(|error| format!("there is room again, and still: {error}"))?;
    ensure!(same(AFTER), "the host's result is another after the disk was full");
    let health = recorder.stop().map_err(|error| error.to_string())?;
    let attempts = BEFORE + MEANWHILE + BEFORE + AFTER;
    ensure!(health.refused == 0 && health.flushed + health.lost == attempts, "{health} of {attempts}");
    let contents = Contents::read(recording)?;
    contents.check_sound()?;
    let (read, lost) = (contents.summary.records, contents.summary.lost);
    ensure!((read, lost) == (health.flushed, health.lost), "{read} read, {lost} lost, but the recorder says {health}");
    let main = contents.records.iter().filter(|record| Some(record.thread) == contents.thread("main"));
    let resumed = main.filter(|record| record.number >= BEFORE + MEANWHILE).count() as u64;
    ensure!(resumed > AFTER / 2, "only {resumed} of {AFTER} records after there was room again");
    for (word, value) in [(READ, read), (LOST, lost), (ERRORS, health.write_errors)] {
        page.word(word).store(value, Ordering::Release);
    }
    Ok(())
}

pub fn run(_: Scale) -> Proven {
    let (mut amounts, mut shown) = (Vec::new(), Vec::new());
    for (role, what) in [(DISK, "2 MiB tmpfs in a namespace"), (LIMIT, "RLIMIT_FSIZE")] {
        let directory = scratch()?;
        let page = Page::create(&directory.path().join("page"))?;
        let arguments = [directory.path().display().to_string()];
        let Some(Ended { status, said }) = play(role, &arguments, &[], Duration::from_secs(60))? else {
            return Err(format!("{what}: the host hangs").into());
        };
        if status.code() == Some(UNABLE) {
            shown.push(format!("{what}: did not run: {said}"));
            continue;
        }
        ensure!(status.signal().is_none(), "{what}: the host died of signal {:?}", status.signal());
        ensure!(status.success(), "{what}: {said}");
        let [read, lost, errors] = [READ, LOST, ERRORS].map(|word| page.word(word).load(Ordering::Acquire));
        amounts.push(format!("{what}: {errors} failed writes"));
        shown.push(format!("{read} read + {lost} lost = all"));
    }
    if amounts.is_empty() {
        return Err(Trouble::Unable(shown.join("; ")));
    }
    Ok(Shown {
        amount: amounts.join("; "),
        shown: format!("no signal, the host's result the same, {}, resumes when there is room", shown.join("; ")),
    })
}
