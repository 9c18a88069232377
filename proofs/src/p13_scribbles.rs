//! 13: another process writes random bytes into the ring, names, session and segment files of a live recording.
//!
//! What is recorded is lost then, and nobody promises otherwise. The host has to go on, with its result unchanged, and a reader
//! must not panic.

use crate::acts::Act;
use crate::contents::Contents;
use crate::outcome::{Proven, Scale, Shown, Trouble, ensure};
use crate::process::{Page, myself, scratch, start};
use crate::random::Random;
use spanring::{Discipline, Recorder};
use std::fs::OpenOptions;
use std::os::unix::fs::FileExt;
use std::path::Path;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant};

pub const ROLE: &str = "scribbled";

/// Words of the shared page.
const READY: usize = 0;
const RECORDED: usize = 1;

pub fn child(arguments: &[String]) -> Result<(), Trouble> {
    let directory = Path::new(&arguments[0]);
    let milliseconds: u64 = arguments[1].parse().unwrap_or(100);
    let discipline = if arguments[2] == "flight" { Discipline::Flight } else { Discipline::Drain };
    let page = Page::open(&directory.join("page"))?;
    let recorder = Recorder::builder()
        .directory(directory.join("recording"))
        .ring_bytes(64 << 10)
        .names_bytes(64 << 10)
        .segment_bytes(128 << 10)
        .discipline(discipline)
        .flush_interval(Duration::from_millis(1))
        .start()
        .map_err(|error| error.to_string())?;
    let over = AtomicBool::new(false);
    let results: Vec<bool> = std::thread::scope(|scope| {
        let workers = [(); 2].map(|()| scope.spawn(|| work(&over, &page)));
        page.word(READY).store(1, Ordering::Release);
        let start = Instant::now();
        while start.elapsed() < Duration::from_millis(milliseconds) {
            // A thread that comes and goes, so that rings change hands under the scribbles.
            scope.spawn(|| Act::RunTime(200).prepare(1)());
            // A failure is no news here; a hang or a crash would be.
            let _ = recorder.flush();
            std::thread::sleep(Duration::from_millis(2));
        }
        over.store(true, Ordering::Relaxed);
        workers.map(|worker| worker.join().unwrap_or(false)).to_vec()
    });
    ensure!(results.iter().all(|right| *right), "the host's result is another");
    // As above.
    let _ = recorder.stop();
    Ok(())
}

/// Records, and computes something that has to come out right.
fn work(over: &AtomicBool, page: &Page) -> bool {
    let (mut number, mut sum) = (0, 0u64);
    while !over.load(Ordering::Relaxed) {
        let act = if number % 2 == 0 { Act::Begin } else { Act::RunTime(60) };
        act.prepare(number)();
        sum = sum.wrapping_add(number * number);
        number += 1;
    }
    page.word(RECORDED).fetch_add(number, Ordering::Relaxed);
    sum == (0..number).map(|number| number * number).fold(0, u64::wrapping_add)
}

pub fn run(scale: Scale) -> Proven {
    let rounds = scale.rounds(10, 200);
    let mut random = Random::new(13);
    let (mut scribbles, mut recorded, mut readings) = (0, 0, 0);
    for round in 0..rounds {
        let directory = scratch()?;
        let page = Page::create(&directory.path().join("page"))?;
        let discipline = if round % 2 == 0 { "drain" } else { "flight" };
        let arguments = [directory.path().display().to_string(), "200".to_owned(), discipline.to_owned()];
        let mut child = start(&myself()?, ROLE, &arguments)?;
        let deadline = Instant::now() + Duration::from_secs(20);
        let recording = directory.path().join("recording");
        let status = loop {
            if let Some(status) = child.try_wait()? {
                break status;
            }
            if Instant::now() > deadline {
                child.kill()?;
                child.wait()?;
                return Err(format!("round {round} ({discipline}): the host hangs").into());
            }
            if page.word(READY).load(Ordering::Acquire) != 0 {
                scribbles += scribble(&recording, &mut random);
            }
        };
        ensure!(status.success(), "round {round} ({discipline}): the host ended with {status}");
        recorded += page.word(RECORDED).load(Ordering::Acquire);
        // Whatever is left: a reader says what it finds, or that there is nothing.
        readings += u64::from(Contents::read(&recording).is_ok());
    }
    Ok(Shown {
        amount: format!("{rounds} rounds, {scribbles} scribbles during {recorded} records"),
        shown: format!("0 crashes, 0 hangs, the host's result the same; {readings} of the recordings still open"),
    })
}

/// Writes random bytes somewhere in each file. Returns how many times.
fn scribble(recording: &Path, random: &mut Random) -> u64 {
    let Some(session) = spanring::reader::sessions(recording).ok().and_then(|mut sessions| sessions.pop()) else {
        return 0;
    };
    let mut scribbles = 0;
    for entry in std::fs::read_dir(session).into_iter().flatten().flatten() {
        let Ok(file) = OpenOptions::new().write(true).open(entry.path()) else { continue };
        let length = file.metadata().map_or(0, |metadata| metadata.len());
        // Headers more often than all the rest. Never beyond the end: that would change the length.
        for _ in 0..4 {
            let reach = if random.below(2) == 0 { length.min(4096) } else { length };
            let bytes = random.next().to_le_bytes();
            let count = 1 + random.below(8) as usize;
            if reach > 8 {
                let offset = random.below(reach - 8);
                scribbles += u64::from(file.write_at(&bytes[..count], offset).is_ok());
            }
        }
    }
    scribbles
}
