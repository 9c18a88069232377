//! 19: budgets of memory, disk and number of files, on a small disk that is full now and then, with threads that come and go and
//! recorders that are started anew, streaming to files and keeping snapshots in turns.
//!
//! The child mounts a file system of its own. After each round of threads it looks at what there is of everything, and after each
//! recording at whether all that was recorded was read or counted.

use crate::outcome::{Proven, Scale, Shown, Trouble, ensure};
use crate::process::{Ended, Page, UNABLE, own_file_system, play, resident_bytes, scratch};
use spanring::prelude::*;
use spanring::reader::Recording;
use spanring::{Builder, Discipline, Recorder, Snapshots};
use std::fs::File;
use std::io::{self, Write};
use std::os::unix::fs::MetadataExt;
use std::path::Path;
use std::pin::pin;
use std::sync::Barrier;
use std::sync::atomic::Ordering;
use std::task::{Context, Waker};
use std::time::{Duration, Instant};

pub const ROLE: &str = "budgets";

const AT_A_TIME: u64 = 16;
const SPANS_EACH: u64 = 40;
/// Begin, attribute, end.
const RECORDS_EACH: u64 = 3 * SPANS_EACH;

const MIB: u64 = 1 << 20;
const DISK: u64 = 48 * MIB;
const RING: u64 = 64 << 10;
const NAMES: u64 = 256 << 10;
const SEGMENT: u64 = 256 << 10;
const DIRECTORY: u64 = 8 * MIB;
const KEPT_SNAPSHOTS: usize = 4;
const SNAPSHOTS: u64 = 4 * MIB;
/// Those of one round may still be on their way out when the next one comes.
const RINGS: u64 = 2 * AT_A_TIME;
/// What may be there at the most: what the budgets are about, a segment and a snapshot that are being written, and a page or two for
/// the headers of each file.
const MOST_BYTES: u64 = DIRECTORY + SNAPSHOTS + RINGS * (RING + (8 << 10)) + NAMES + SEGMENT + RINGS * RING + MIB;
/// Rings and full segments, and as many files again: segments and rings that are not full, and what says whose they are.
const MOST_FILES: u64 = 2 * (RINGS + DIRECTORY / SEGMENT);
/// What the recorder may grow by, once everything has been there.
const MOST_MEMORY: u64 = 4 * MIB;

/// Words of the shared page.
const BYTES: usize = 0;
const FILES: usize = 1;
const EARLY: usize = 2;
const LATE: usize = 3;
const RECORDED: usize = 4;
const READ: usize = 5;
const LOST: usize = 6;
const RETIRED: usize = 7;
const RECORDINGS: usize = 8;
const TAKEN: usize = 9;
const ERRORS: usize = 10;
const THREADS: usize = 11;

/// A thread's life: names made at run time, and attributes.
fn life(round: u64, thread: u64) {
    for number in 0..SPANS_EACH {
        // The fifth thread is slow now and then, which is what snapshots are asked for by.
        let is_slow = thread == 4 && number == 0 && round % 4 == 0;
        let span = span_async_named!(format!("request {round}/{thread}/{number}"), shard = thread, async {
            if is_slow {
                std::thread::sleep(Duration::from_millis(12));
            }
        });
        let _ready = pin!(span).poll(&mut Context::from_waker(Waker::noop()));
    }
}

/// Bytes on the disk, and files, of this directory and what is in it.
fn usage(directory: &Path) -> (u64, u64) {
    let entries = std::fs::read_dir(directory).into_iter().flatten().flatten();
    entries.fold((0, 0), |(bytes, files), entry| {
        // Whatever is removed meanwhile is not there.
        let Ok(metadata) = entry.metadata() else { return (bytes, files) };
        let (more_bytes, more_files) =
            if metadata.is_dir() { usage(&entry.path()) } else { (metadata.blocks() * 512, 1) };
        (bytes + more_bytes, files + more_files)
    })
}

/// Fills the disk.
fn fill(ballast: &Path) -> io::Result<()> {
    let mut file = File::create(ballast)?;
    while file.write_all(&[1; 4096]).is_ok() {}
    Ok(())
}

/// Threads that live at the same time.
fn churn(round: u64) {
    let together = Barrier::new(AT_A_TIME as usize);
    std::thread::scope(|scope| {
        for thread in 0..AT_A_TIME {
            let together = &together;
            scope.spawn(move || {
                together.wait();
                life(round, thread);
            });
        }
    });
}

pub fn child(arguments: &[String]) -> Result<(), Trouble> {
    let time = Duration::from_secs(arguments[0].parse().unwrap_or(1));
    let directory = Path::new(&arguments[1]);
    let page = Page::open(&directory.join("page"))?;
    let disk = directory.join("disk");
    std::fs::create_dir(&disk)?;
    own_file_system(&disk, DISK);
    let start = Instant::now();
    let each = (time / 12).min(Duration::from_secs(10));
    for recording in 0.. {
        if start.elapsed() >= time {
            break;
        }
        let builder = Recorder::builder()
            .directory(disk.join("recordings"))
            .directory_bytes(DIRECTORY)
            .segment_bytes(SEGMENT)
            .ring_bytes(RING)
            .names_bytes(NAMES)
            .flush_interval(Duration::from_millis(2));
        let snapshots = Snapshots::new().keep(KEPT_SNAPSHOTS).bytes(SNAPSHOTS).apart(Duration::from_millis(200));
        let builder = match recording % 2 {
            0 => builder,
            _ => builder
                .discipline(Discipline::Flight)
                .snapshots(snapshots.slower_than(Duration::from_millis(10)).directory(disk.join("snapshots"))),
        };
        record(builder, &disk, &page, each)?;
        if start.elapsed() < time / 4 {
            page.word(EARLY).fetch_max(resident_bytes(), Ordering::Relaxed);
        }
    }
    page.word(LATE).store(resident_bytes(), Ordering::Relaxed);
    Ok(())
}

/// One recording, for so long.
fn record(builder: Builder, disk: &Path, page: &Page, time: Duration) -> Result<(), Trouble> {
    let add = |word: usize, amount: u64| page.word(word).fetch_add(amount, Ordering::Relaxed);
    let recorder = builder.start().map_err(|error| error.to_string())?;
    let session = recorder.directory().ok_or_else(|| "no session".to_owned())?.to_owned();
    let ballast = disk.join("ballast");
    let (start, mut rounds) = (Instant::now(), 0);
    while start.elapsed() < time {
        let is_full = rounds % 32 == 16;
        if is_full {
            fill(&ballast)?;
        }
        churn(rounds);
        rounds += 1;
        if is_full {
            // Until the flusher has tried.
            std::thread::sleep(Duration::from_millis(20));
            std::fs::remove_file(&ballast)?;
        }
        let (bytes, files) = usage(disk);
        page.word(BYTES).fetch_max(bytes, Ordering::Relaxed);
        page.word(FILES).fetch_max(files, Ordering::Relaxed);
        std::thread::sleep(Duration::from_millis(5));
    }
    let health = recorder.stop().map_err(|error| error.to_string())?;
    let recorded = rounds * AT_A_TIME * RECORDS_EACH;
    ensure!(
        health.flushed + health.lost == recorded && health.refused == 0,
        "{recorded} recorded, but the recorder says {health}"
    );
    let recording = Recording::open(&session)?;
    let summary = recording.read(&mut |_| {})?;
    let (read, lost, retired) = (summary.records, summary.lost, summary.retired);
    ensure!(
        read + lost + retired == recorded && summary.damages == 0,
        "{recorded} recorded, but {read} read, {lost} lost, {retired} retired, {} stretches damaged",
        summary.damages
    );
    for (word, amount) in [
        (RECORDED, recorded),
        (READ, read),
        (LOST, lost),
        (RETIRED, retired),
        (RECORDINGS, 1),
        (TAKEN, health.snapshots),
        (ERRORS, health.write_errors),
        (THREADS, rounds * AT_A_TIME),
    ] {
        add(word, amount);
    }
    Ok(())
}

pub fn run(scale: Scale) -> Proven {
    let seconds = scale.rounds(12, 600);
    let directory = scratch()?;
    let page = Page::create(&directory.path().join("page"))?;
    let arguments = [seconds.to_string(), directory.path().display().to_string()];
    // What each arena of the allocator keeps for later is no memory of the recorder's, and grows with the number of arenas.
    let one_arena = [("MALLOC_ARENA_MAX", "1")];
    let Some(Ended { status, said }) = play(ROLE, &arguments, &one_arena, Duration::from_secs(60 + 2 * seconds))?
    else {
        return Err("the host hangs".to_owned().into());
    };
    if status.code() == Some(UNABLE) {
        return Err(Trouble::Unable(said));
    }
    ensure!(status.success(), "{status}: {said}");
    let word = |word: usize| page.word(word).load(Ordering::Acquire);
    let (bytes, files) = (word(BYTES), word(FILES));
    ensure!(bytes <= MOST_BYTES, "{bytes} bytes on the disk, {MOST_BYTES} at most");
    ensure!(files <= MOST_FILES, "{files} files, {MOST_FILES} at most");
    let (early, late) = (word(EARLY), word(LATE));
    ensure!(late <= early + MOST_MEMORY, "memory grew from {early} to {late} bytes");
    let (taken, errors) = (word(TAKEN), word(ERRORS));
    ensure!(taken > 0 && errors > 0, "{taken} snapshots were taken, and {errors} writes failed for want of room");
    let mib = |bytes: u64| bytes as f64 / MIB as f64;
    Ok(Shown {
        amount: format!(
            "{seconds} s, {} recordings, {} threads, {} snapshots, {} failed writes",
            word(RECORDINGS),
            word(THREADS),
            taken,
            errors
        ),
        shown: format!(
            "{:.1} of {:.1} MiB on the disk in {files} of {MOST_FILES} files at most; own memory {:.1} MiB in the first quarter, {:.1} MiB at the end; \
             {} recorded = {} read + {} lost + {} retired",
            mib(bytes),
            mib(MOST_BYTES),
            mib(early),
            mib(late),
            word(RECORDED),
            word(READ),
            word(LOST),
            word(RETIRED)
        ),
    })
}
