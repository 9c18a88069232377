//! 16: very many short threads, 64 at a time.

use crate::acts::Act;
use crate::contents::Contents;
use crate::outcome::{Proven, Scale, Shown, Trouble, ensure};
use crate::process::{Page, myself, resident_bytes, scratch, start, wait_at_most};
use spanring::Recorder;
use std::path::Path;
use std::sync::Barrier;
use std::sync::atomic::Ordering;
use std::time::Duration;

pub const ROLE: &str = "thread-churn";

const AT_A_TIME: u64 = 64;
const RECORDS_EACH: u64 = 3;
/// Words of the shared page.
const RSS_EARLY: usize = 0;
const RSS_LATE: usize = 1;
const LOST: usize = 2;
const RING_FILES: usize = 3;

pub fn child(arguments: &[String]) -> Result<(), Trouble> {
    let threads: u64 = arguments[0].parse().unwrap_or(AT_A_TIME);
    let directory = Path::new(&arguments[1]);
    let page = Page::open(&directory.join("page"))?;
    let recorder = Recorder::builder()
        .directory(directory.join("recording"))
        .ring_bytes(64 << 10)
        .flush_interval(Duration::from_millis(5))
        .start()
        .map_err(|error| error.to_string())?;
    let rounds = threads / AT_A_TIME;
    for round in 0..rounds {
        let all_here = Barrier::new(AT_A_TIME as usize);
        std::thread::scope(|scope| {
            for _ in 0..AT_A_TIME {
                scope.spawn(|| {
                    Act::Begin.prepare(0)();
                    all_here.wait();
                    (1..RECORDS_EACH).for_each(|number| Act::Begin.prepare(number)());
                });
            }
        });
        if round == rounds / 10 {
            page.word(RSS_EARLY).store(resident_bytes(), Ordering::Relaxed);
        }
    }
    page.word(RSS_LATE).store(resident_bytes(), Ordering::Relaxed);
    let session = recorder.directory().ok_or_else(|| "no session".to_owned())?;
    let is_ring = |entry: std::io::Result<std::fs::DirEntry>| {
        entry.is_ok_and(|entry| entry.file_name().to_string_lossy().starts_with("ring-"))
    };
    let rings = std::fs::read_dir(session)?.map(is_ring).filter(|is_ring| *is_ring).count();
    page.word(RING_FILES).store(rings as u64, Ordering::Relaxed);
    let health = recorder.stop().map_err(|error| error.to_string())?;
    page.word(LOST).store(health.lost + health.refused, Ordering::Relaxed);
    Ok(())
}

pub fn run(scale: Scale) -> Proven {
    let threads = scale.rounds(5_000, 100_000) / AT_A_TIME * AT_A_TIME;
    let directory = scratch()?;
    let page = Page::create(&directory.path().join("page"))?;
    let arguments = [threads.to_string(), directory.path().display().to_string()];
    let mut child = start(&myself()?, ROLE, &arguments)?;
    let status = wait_at_most(&mut child, Duration::from_secs(30 + threads / 500))?;
    ensure!(status.is_some_and(|status| status.success()), "the process ended with {status:?}");
    let contents = Contents::read(&directory.path().join("recording"))?;
    contents.check_sound()?;
    let (read, lost) = (contents.summary.records, contents.summary.lost);
    ensure!(read + lost == threads * RECORDS_EACH, "{read} read and {lost} lost of {}", threads * RECORDS_EACH);
    ensure!(lost == page.word(LOST).load(Ordering::Relaxed), "the recorder counted other losses than {lost}");
    ensure!(contents.summary.threads == threads, "{} threads of {threads} known", contents.summary.threads);
    let rings = page.word(RING_FILES).load(Ordering::Relaxed);
    // Those of one round may still be on their way out when the next one comes.
    ensure!(rings <= 2 * AT_A_TIME, "{rings} rings for {AT_A_TIME} threads at a time");
    let [early, late] = [RSS_EARLY, RSS_LATE].map(|word| page.word(word).load(Ordering::Relaxed));
    ensure!(late < early + (16 << 20), "memory grew from {early} to {late} bytes");
    Ok(Shown {
        amount: format!("{threads} threads, {AT_A_TIME} at a time"),
        shown: format!(
            "{read} records read + {lost} lost = all; {rings} ring files; own memory {:.1} MiB after a tenth, {:.1} MiB at the end",
            early as f64 / 1048576.0,
            late as f64 / 1048576.0
        ),
    })
}
