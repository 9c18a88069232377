//! 5: a process is killed after every instruction of one recording call.
//!
//! For each case and each `k` a fresh child records up to a known place in its ring, is stepped through `k` instructions of one
//! more call, and is killed there. What is left in the files has to be every record before that call, whole, and at most that
//! record more. The same program built with the mutant `publish_early` has to fail that.

use crate::acts::{Act, LONGEST_NAME};
use crate::contents::Contents;
use crate::outcome::{Proven, Scale, Shown, Trouble, ensure};
use crate::process::{Page, myself, scratch, start};
use crate::trace::{Stepped, stop_here};
use spanring::{Discipline, Recorder};
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

pub const ROLE: &str = "inside-a-record";
/// Names the program to run that was built with the mutant.
pub const MUTANT: &str = "SPANRING_PROVE_MUTANT";

/// Slots of the child's ring: as few as a ring can have.
const SLOTS: u64 = 64;
/// Word of the shared page: recording calls that have returned.
const RETURNED: usize = 0;

/// Where in its ring a child is killed.
pub struct Case {
    pub what: &'static str,
    discipline: Discipline,
    /// One-slot records before the call that is stepped; so this is also the position of its first slot.
    before: u64,
    /// Of these, records that are flushed.
    flushed: u64,
    /// The call that is stepped.
    pub act: Act,
}

const LONG: Act = Act::RunTime(LONGEST_NAME);
/// Three slots: stepping through it takes a quarter of the time.
const TEXT: Act = Act::RunTime(120);
/// A prime, so that every instruction of a loop is met in some turn of it.
const SAMPLED: u64 = 7;

pub const CASES: [Case; 13] = [
    Case { what: "begin", discipline: Discipline::Drain, before: 5, flushed: 0, act: Act::Begin },
    Case { what: "end", discipline: Discipline::Drain, before: 6, flushed: 0, act: Act::End },
    Case { what: "run-time name", discipline: Discipline::Drain, before: 5, flushed: 0, act: TEXT },
    Case { what: "a new name", discipline: Discipline::Drain, before: 5, flushed: 0, act: Act::NewName },
    Case { what: "a thread span", discipline: Discipline::Drain, before: 5, flushed: 0, act: Act::Scope },
    Case { what: "the last free slot", discipline: Discipline::Drain, before: 63, flushed: 0, act: Act::Begin },
    Case { what: "a full ring", discipline: Discipline::Drain, before: 64, flushed: 0, act: Act::Begin },
    Case { what: "the first slot again", discipline: Discipline::Drain, before: 64, flushed: 64, act: Act::Begin },
    Case { what: "across the end", discipline: Discipline::Drain, before: 62, flushed: 40, act: TEXT },
    Case { what: "too long for the rest", discipline: Discipline::Drain, before: 100, flushed: 40, act: LONG },
    Case { what: "flight, begin", discipline: Discipline::Flight, before: 200, flushed: 0, act: Act::Begin },
    Case { what: "flight, end", discipline: Discipline::Flight, before: 201, flushed: 0, act: Act::End },
    Case { what: "flight, across the end", discipline: Discipline::Flight, before: 189, flushed: 0, act: LONG },
];

impl Case {
    fn act(&self, number: u64) -> Act {
        match number {
            number if number == self.before => self.act,
            number if number % 2 == 0 => Act::Begin,
            _ => Act::End,
        }
    }

    /// Whether the ring has no room for the last record.
    fn is_dropped(&self) -> bool {
        self.discipline == Discipline::Drain && self.before + self.act.slots() > self.flushed + SLOTS
    }
}

/// The child: records, and is stepped through the last call. `then` runs after it.
pub fn record(case: &Case, directory: &Path, then: impl FnOnce(&Page, spanring::RecorderGuard)) -> Result<(), Trouble> {
    let page = Page::open(&directory.join("page"))?;
    let recorder = Recorder::builder()
        .directory(directory.join("recording"))
        .ring_bytes(SLOTS * 64)
        .discipline(case.discipline)
        .flush_interval(Duration::from_secs(3600))
        .segment_bytes(64 << 10)
        .names_bytes(4096)
        .start()
        .map_err(|error| error.to_string())?;
    for number in 0..case.before {
        case.act(number).prepare(number)();
        page.word(RETURNED).store(number + 1, Ordering::Release);
        if number + 1 == case.flushed {
            recorder.flush().map_err(|error| error.to_string())?;
        }
    }
    let call = case.act.prepare(case.before);
    stop_here()?;
    call();
    page.word(RETURNED).store(case.before + 1, Ordering::Release);
    then(&page, recorder);
    Ok(())
}

pub fn child(arguments: &[String]) -> Result<(), Trouble> {
    let case = CASES.get(arguments[0].parse::<usize>().unwrap_or(0)).ok_or_else(|| "no such case".to_owned())?;
    record(case, Path::new(&arguments[1]), |_, _| std::thread::sleep(Duration::from_secs(60)))
}

pub fn run(scale: Scale) -> Proven {
    // The sight of a new name is the one call that is long.
    let stride = |case: &Case| if scale.full && case.act != Act::NewName { 1 } else { SAMPLED };
    let (mut points, mut instructions) = (0, 0);
    for (case, stepped) in CASES.iter().zip(step_through_all(&myself()?, stride)?) {
        if let Some((point, what)) = stepped.torn.first() {
            return Err(Trouble::Broken(format!("{}: killed after {point} instructions: {what}", case.what)));
        }
        points += stepped.points;
        instructions += stepped.instructions;
    }
    let amount = format!("{points} kills in {} cases of {instructions} instructions in all", CASES.len());
    let shown = "0 torn, at most the record in progress missing".to_owned();
    let Some(mutant) = std::env::var_os(MUTANT).map(PathBuf::from) else {
        return Ok(Shown { amount, shown: format!("{shown}; the mutant did not run: {MUTANT} names no program") });
    };
    let (mut torn, mut tried) = (0, 0);
    for (case, stepped) in CASES.iter().zip(step_through_all(&mutant, |_| SAMPLED)?) {
        // A record that is dropped is published neither early nor late.
        ensure!(
            case.is_dropped() || !stepped.torn.is_empty(),
            "{}: the mutant that publishes early was not noticed",
            case.what
        );
        torn += stepped.torn.len();
        tried += stepped.points;
    }
    Ok(Shown { amount, shown: format!("{shown}; the mutant that publishes early is torn at {torn} of {tried}") })
}

/// Steps through every case, two at a time.
fn step_through_all(program: &Path, stride: impl Fn(&Case) -> u64 + Sync) -> Result<Vec<Points>, Trouble> {
    let next = AtomicUsize::new(0);
    let work = || {
        let mut done = Vec::new();
        loop {
            // The longest are the last in the table.
            let taken = next.fetch_add(1, Ordering::Relaxed);
            let Some(index) = CASES.len().checked_sub(taken + 1) else { return Ok(done) };
            done.push((index, step_through(program, index, stride(&CASES[index]))?));
        }
    };
    let mut points = std::thread::scope(|scope| {
        let workers = [scope.spawn(work), scope.spawn(work)];
        workers.map(|worker| worker.join().unwrap_or_else(|_| Err("a worker panicked".to_owned().into())))
    })
    .into_iter()
    .collect::<Result<Vec<_>, Trouble>>()?
    .concat();
    points.sort_by_key(|(index, _)| *index);
    Ok(points.into_iter().map(|(_, points)| points).collect())
}

#[derive(Clone)]
struct Points {
    points: u64,
    instructions: u64,
    /// Where the recording was not what it has to be, and what it was.
    torn: Vec<(u64, String)>,
}

/// Kills a child after every `stride`th instruction of the call.
fn step_through(program: &Path, index: usize, stride: u64) -> Result<Points, Trouble> {
    let case = &CASES[index];
    let mut result = Points { points: 0, instructions: 0, torn: Vec::new() };
    loop {
        let steps = result.points * stride;
        let directory = scratch()?;
        let page = Page::create(&directory.path().join("page"))?;
        let arguments = [index.to_string(), directory.path().display().to_string()];
        let mut child = Stepped::wait_for(start(program, ROLE, &arguments)?)?;
        let mut done = 0;
        while done < steps && page.word(RETURNED).load(Ordering::Acquire) == case.before {
            child.step()?;
            done += 1;
        }
        child.kill()?;
        let returned = page.word(RETURNED).load(Ordering::Acquire);
        if let Err(Trouble::Broken(what)) = check(case, &directory.path().join("recording"), returned) {
            result.torn.push((done, what));
        }
        result.points += 1;
        result.instructions = done;
        if returned > case.before {
            return Ok(result);
        }
    }
}

/// Checks what a child has left that was killed when `returned` calls had returned.
fn check(case: &Case, recording: &Path, returned: u64) -> Result<(), Trouble> {
    let contents = Contents::read(recording)?;
    contents.check_sound()?;
    for record in &contents.records {
        ensure!(record.number <= case.before, "a record that nobody wrote: {record:?}");
        // Each record takes an id, and the first block of them is enough here.
        ensure!(case.act(record.number).made(record, record.number + 1), "torn: {record:?}");
    }
    let (read, lost) = (contents.summary.records, contents.summary.lost);
    ensure!(
        read + lost == returned || read + lost == case.before + 1,
        "{read} read and {lost} lost of {returned} records, {} begun",
        case.before + 1
    );
    let published = read + lost;
    let allowed = match case.discipline {
        // Only the record that found no room.
        Discipline::Drain => u64::from(published > case.before && case.is_dropped()),
        // What the ring has no room for, and where the longest record may be going.
        Discipline::Flight => {
            let tail = published.min(case.before) + if published > case.before { case.act.slots() } else { 0 };
            tail + spanring::events::MAX_RECORD_SLOTS as u64 - SLOTS
        }
    };
    ensure!(lost <= allowed, "{lost} of {published} records lost, and only {allowed} may be");
    Ok(())
}
