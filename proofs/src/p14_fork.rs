//! 14: a process that records on several threads forks at random points; its children record, flush, drop the guard, start a
//! recorder of their own, and exit.
//!
//! The parent's recording has to hold every record of its threads and nothing else, and no child may hang.

use crate::acts::Act;
use crate::contents::Contents;
use crate::outcome::{Proven, Scale, Shown, Trouble, ensure};
use crate::process::{Page, myself, scratch, start, wait_at_most};
use crate::random::Random;
use spanring::reader::Phase;
use spanring::{Recorder, RecorderGuard};
use std::collections::HashMap;
use std::path::Path;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant};

pub const ROLE: &str = "fork";

/// Words of the shared page.
const BY_WORKER: usize = 0;
const BY_MAIN: usize = 1;
const BY_SHORT_THREADS: usize = 2;
const HANGS: usize = 3;
/// Children that found their parent's recorder running, or could not record to a recorder of their own.
const WRONG: usize = 4;
/// Counts the ways to exit of the children that hung.
const HUNG_WAYS: usize = 8;

const WAYS: [&str; 4] = ["_exit", "exit", "guard dropped", "own recorder"];

pub fn child(arguments: &[String]) -> Result<(), Trouble> {
    let forks: u64 = arguments[0].parse().unwrap_or(1);
    let directory = Path::new(&arguments[1]);
    let page = Page::open(&directory.join("page"))?;
    let mut recorder = Some(
        Recorder::builder()
            .directory(directory.join("recording"))
            .ring_bytes(4 << 20)
            .flush_interval(Duration::from_millis(1))
            .start()
            .map_err(|error| error.to_string())?,
    );
    let stop = AtomicBool::new(false);
    std::thread::scope(|scope| -> Result<(), Trouble> {
        let result = (|| {
            std::thread::Builder::new().name("worker".to_owned()).spawn_scoped(scope, || {
                for number in 0.. {
                    if stop.load(Ordering::Relaxed) {
                        return;
                    }
                    Act::Begin.prepare(number)();
                    page.word(BY_WORKER).store(number + 1, Ordering::Release);
                    pause(20_000);
                }
            })?;
            // Threads that come and go hold the recorder's locks more often than anything else does.
            std::thread::Builder::new().name("starter".to_owned()).spawn_scoped(scope, || {
                while !stop.load(Ordering::Relaxed) {
                    let short = std::thread::Builder::new().name("short".to_owned()).spawn(|| Act::Begin.prepare(0)());
                    if short.is_ok_and(|short| short.join().is_ok()) {
                        page.word(BY_SHORT_THREADS).fetch_add(1, Ordering::Relaxed);
                    }
                }
            })?;
            fork_again_and_again(forks, directory, &page, &mut recorder)
        })();
        stop.store(true, Ordering::Relaxed);
        result
    })?;
    match recorder.take().map(RecorderGuard::stop) {
        Some(Ok(_)) => Ok(()),
        other => Err(format!("the parent did not stop: {other:?}").into()),
    }
}

/// Spins, so that records do not come faster than they are flushed.
fn pause(nanoseconds: u64) {
    let start = Instant::now();
    while start.elapsed() < Duration::from_nanos(nanoseconds) {
        std::hint::spin_loop();
    }
}

fn fork_again_and_again(
    forks: u64,
    directory: &Path,
    page: &Page,
    recorder: &mut Option<RecorderGuard>,
) -> Result<(), Trouble> {
    let mut random = Random::new(14);
    let mut number = 0;
    for fork in 0..forks {
        for _ in 0..1 + random.below(5) {
            Act::Begin.prepare(number)();
            number += 1;
            page.word(BY_MAIN).store(number, Ordering::Release);
        }
        pause(random.below(300_000));
        let way = fork as usize % WAYS.len();
        // SAFETY: the child runs code that this proof is about, and ends without returning from here.
        let pid = unsafe { libc::fork() };
        ensure!(pid >= 0, "fork: {}", std::io::Error::last_os_error());
        if pid == 0 {
            in_child(way, directory, page, recorder);
        }
        if !ends_in_time(pid) {
            page.word(HANGS).fetch_add(1, Ordering::Relaxed);
            page.word(HUNG_WAYS + way).fetch_add(1, Ordering::Relaxed);
        }
    }
    Ok(())
}

/// What a child does: it records, and ends in one of the ways.
fn in_child(way: usize, directory: &Path, page: &Page, recorder: &mut Option<RecorderGuard>) -> ! {
    let wrong = |condition: bool| {
        if condition {
            page.word(WRONG).fetch_add(1, Ordering::Relaxed);
        }
    };
    wrong(spanring::is_recording());
    (0..50).for_each(|_| Act::NewName.prepare(0)());
    match WAYS[way] {
        "_exit" => {}
        "exit" => {
            // SAFETY: runs the destructors of this thread, and ends the process.
            unsafe { libc::exit(0) }
        }
        "guard dropped" => {
            drop(recorder.take());
            // SAFETY: as above.
            unsafe { libc::exit(0) }
        }
        _ => {
            let own = Recorder::builder().directory(directory.join("children")).names_bytes(4096).start();
            (0..50).for_each(|_| Act::NewName.prepare(0)());
            let health = own.map(RecorderGuard::stop);
            wrong(!matches!(health, Ok(Ok(health)) if health.flushed == 50 && health.lost == 0));
        }
    }
    // SAFETY: ends the process; nothing of it is used afterwards.
    unsafe { libc::_exit(0) }
}

/// Waits for a child; one that takes five seconds hangs, and is killed.
fn ends_in_time(pid: libc::pid_t) -> bool {
    let deadline = Instant::now() + Duration::from_secs(5);
    loop {
        // SAFETY: the child is ours and was not waited for yet; no status is asked for.
        if unsafe { libc::waitpid(pid, std::ptr::null_mut(), libc::WNOHANG) } == pid {
            return true;
        }
        if Instant::now() > deadline {
            // SAFETY: as above; it is killed, then waited for.
            unsafe {
                libc::kill(pid, libc::SIGKILL);
                libc::waitpid(pid, std::ptr::null_mut(), 0);
            }
            return false;
        }
        std::thread::sleep(Duration::from_micros(100));
    }
}

pub fn run(scale: Scale) -> Proven {
    let forks = scale.rounds(200, 4000);
    let directory = scratch()?;
    let page = Page::create(&directory.path().join("page"))?;
    let arguments = [forks.to_string(), directory.path().display().to_string()];
    let mut child = start(&myself()?, ROLE, &arguments)?;
    let status = wait_at_most(&mut child, Duration::from_secs(60 + forks / 20))?;
    let word = |index: usize| page.word(index).load(Ordering::Acquire);
    let ways: Vec<String> =
        WAYS.iter().enumerate().map(|(way, name)| format!("{name} {}", word(HUNG_WAYS + way))).collect();
    ensure!(word(HANGS) == 0, "{} of {forks} children hang ({})", word(HANGS), ways.join(", "));
    ensure!(status.is_some_and(|status| status.success()), "the parent ended with {status:?}");
    ensure!(word(WRONG) == 0, "{} children recorded for their parent, or not for themselves", word(WRONG));
    let contents = Contents::read(&directory.path().join("recording"))?;
    contents.check_sound()?;
    let names: HashMap<u32, &str> = contents.threads.iter().map(|thread| (thread.id, thread.name.as_str())).collect();
    let of = |name: &str, thread: &u32| names.get(thread).is_some_and(|found| *found == name);
    let by_name = |name: &str| -> (u64, u64) {
        let read = contents.records.iter().filter(|record| of(name, &record.thread)).count() as u64;
        (read, contents.lost.iter().filter(|(thread, _)| of(name, thread)).map(|(_, lost)| lost).sum())
    };
    for (name, returned) in [("worker", word(BY_WORKER)), ("main", word(BY_MAIN)), ("short", word(BY_SHORT_THREADS))] {
        let (read, lost) = by_name(name);
        ensure!(read + lost == returned, "{name}: {read} read and {lost} lost of {returned}");
    }
    let foreign = contents.named(crate::acts::NEW_NAME, Phase::Begin).len();
    ensure!(foreign == 0, "{foreign} records of children are in their parent's recording");
    Ok(Shown {
        amount: format!("{forks} forks, ends: {}", WAYS.join(", ")),
        shown: format!(
            "0 hangs, 0 duplicates, the parent's {} records all read, none of a child's among them",
            contents.summary.records
        ),
    })
}
