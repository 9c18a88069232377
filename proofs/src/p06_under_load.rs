//! 6: a process that records on two threads is killed at a random time.
//!
//! Each thread counts in a shared page the records whose calls have returned. Every one of them has to be read back, with its
//! name, or be counted as lost; and none may be lost that its ring still had room for.

use crate::acts::{Act, LONGEST_NAME};
use crate::contents::Contents;
use crate::outcome::{Proven, Scale, Shown, Trouble, ensure};
use crate::process::{Page, myself, scratch, start};
use crate::random::Random;
use spanring::events::MAX_RECORD_SLOTS;
use spanring::{Discipline, Recorder};
use std::path::Path;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

pub const ROLE: &str = "under-load";

const THREADS: usize = 2;
/// Of the kills' times.
const SEED: u64 = 0x0060_0d5e_ed00;

/// A way to record.
struct Load {
    discipline: Discipline,
    ring_slots: u64,
    segment_bytes: u64,
    flush_interval: Duration,
    /// Slots after which a thread records no more.
    limit: u64,
}

const LOADS: [Load; 3] = [
    // Nothing may be lost: a ring has room for all there is, flushed or not. Segments change all the time.
    Load {
        discipline: Discipline::Drain,
        ring_slots: 1 << 17,
        segment_bytes: 64 << 10,
        flush_interval: Duration::from_millis(1),
        limit: 1 << 17,
    },
    // Rings run over and over.
    Load {
        discipline: Discipline::Drain,
        ring_slots: 1 << 10,
        segment_bytes: 1 << 20,
        flush_interval: Duration::from_millis(1),
        limit: u64::MAX,
    },
    Load {
        discipline: Discipline::Flight,
        ring_slots: 1 << 10,
        segment_bytes: 1 << 20,
        flush_interval: Duration::from_millis(1),
        limit: u64::MAX,
    },
];

/// The `number`th record of a thread.
fn act(number: u64) -> Act {
    match number % 4 {
        0 => Act::Begin,
        1 => Act::End,
        2 => Act::RunTime(8 + number as usize * 5 % (LONGEST_NAME - 8)),
        _ => Act::Begin,
    }
}

pub fn child(arguments: &[String]) -> Result<(), Trouble> {
    let load = &LOADS[arguments[0].parse::<usize>().unwrap_or(0) % LOADS.len()];
    let directory = Path::new(&arguments[1]);
    let page = Page::open(&directory.join("page"))?;
    let _recorder = Recorder::builder()
        .directory(directory.join("recording"))
        .ring_bytes(load.ring_slots * 64)
        .segment_bytes(load.segment_bytes)
        .discipline(load.discipline)
        .flush_interval(load.flush_interval)
        .start()
        .map_err(|error| error.to_string())?;
    std::thread::scope(|scope| -> std::io::Result<()> {
        for thread in 0..THREADS {
            let returned = page.word(thread);
            let name = format!("load-{thread}");
            std::thread::Builder::new().name(name).spawn_scoped(scope, move || record(returned, load.limit))?;
        }
        Ok(())
    })?;
    std::thread::sleep(Duration::from_secs(60));
    Ok(())
}

fn record(returned: &AtomicU64, limit: u64) {
    let mut slots = 0;
    for number in 0.. {
        slots += act(number).slots();
        if slots > limit {
            // Its ring stays its own.
            std::thread::sleep(Duration::from_secs(60));
            return;
        }
        act(number).prepare(number)();
        returned.store(number + 1, Ordering::Release);
    }
}

pub fn run(scale: Scale) -> Proven {
    let kills = scale.rounds(40, 2000);
    let mut random = Random::new(SEED);
    let (mut acknowledged, mut read, mut lost) = (0, 0, 0);
    for kill in 0..kills {
        let load = &LOADS[kill as usize % LOADS.len()];
        // One in four is killed while it starts.
        let early = random.below(4) == 0;
        let delay = Duration::from_micros(random.below(if early { 6_000 } else { 25_000 }));
        let round = kill_one(kill as usize % LOADS.len(), delay, early);
        let contents = round.and_then(|killed| killed.map(|killed| check(load, &killed)).transpose());
        let contents = contents.map_err(|trouble| match trouble {
            Trouble::Broken(what) => Trouble::Broken(format!("kill {kill} of seed {SEED:#x}: {what}")),
            unable => unable,
        })?;
        if let Some(checked) = contents {
            acknowledged += checked.acknowledged;
            read += checked.read;
            lost += checked.lost;
        }
    }
    Ok(Shown {
        amount: format!("{kills} kills, {acknowledged} records acknowledged"),
        shown: format!(
            "{read} read with their names + {lost} counted as lost = all; none lost that had room, none twice, 0 damage"
        ),
    })
}

struct Killed {
    contents: Contents,
    returned: [u64; THREADS],
}

/// Runs a child, and kills it so long after its start, or after both threads have begun. `None`: there was no recording yet.
fn kill_one(load: usize, delay: Duration, early: bool) -> Result<Option<Killed>, Trouble> {
    let directory = scratch()?;
    let page = Page::create(&directory.path().join("page"))?;
    let arguments = [load.to_string(), directory.path().display().to_string()];
    let mut child = start(&myself()?, ROLE, &arguments)?;
    let returned = || std::array::from_fn(|thread| page.word(thread).load(Ordering::Acquire));
    while !early && returned().contains(&0) {
        if let Some(status) = child.try_wait()? {
            return Err(format!("the child ended by itself: {status}").into());
        }
        std::thread::sleep(Duration::from_micros(100));
    }
    std::thread::sleep(delay);
    child.kill()?;
    child.wait()?;
    let returned: [u64; THREADS] = returned();
    match Contents::read(&directory.path().join("recording")) {
        Ok(contents) => Ok(Some(Killed { contents, returned })),
        Err(_) if returned == [0; THREADS] => Ok(None),
        Err(trouble) => Err(trouble),
    }
}

struct Checked {
    acknowledged: u64,
    read: u64,
    lost: u64,
}

fn check(load: &Load, killed: &Killed) -> Result<Checked, Trouble> {
    let Killed { contents, returned } = killed;
    contents.check_sound()?;
    let mut checked = Checked { acknowledged: 0, read: 0, lost: 0 };
    let mut carried = 0;
    for (thread, returned) in returned.iter().enumerate() {
        let Some(id) = contents.thread(&format!("load-{thread}")) else {
            ensure!(*returned == 0, "thread {thread} recorded {returned} and is unknown");
            continue;
        };
        let (read, lost) = contents.counts(id);
        // A begin that was lost and carried forward, because its span was open, is visited all the same.
        let twofold = (read + lost).saturating_sub(returned + 1);
        let published = read + lost - twofold;
        ensure!(published >= *returned, "thread {thread}: {read} read and {lost} lost of {returned} acknowledged");
        let mut next = 0;
        let window = window(load, published);
        let mut begins = Begins::default();
        for record in contents.records.iter().filter(|record| record.thread == id) {
            ensure!(record.number == next || next < window, "{next} is missing before {record:?}");
            next = record.number + 1;
            let act = act(record.number);
            ensure!(act.made(record, begins.id(act, record.number, record.span_id)), "torn: {record:?}");
        }
        ensure!(next >= *returned || next < window, "{next} is missing of {returned}");
        checked.acknowledged += returned;
        checked.read += read - twofold;
        checked.lost += lost;
        carried += twofold;
    }
    let summary = &contents.summary;
    ensure!(
        carried <= summary.carried && summary.carried - carried <= THREADS as u64,
        "{carried} records more than there were, and {} carried forward",
        summary.carried
    );
    ensure!(load.limit > load.ring_slots || checked.lost == 0, "{} lost of rings with room for all", checked.lost);
    Ok(checked)
}

/// The first record that cannot have been lost: it fits into the ring beside everything after it.
fn window(load: &Load, published: u64) -> u64 {
    match load.discipline {
        // Any record may have met a full ring, unless there was room for all.
        Discipline::Drain if load.limit > load.ring_slots => u64::MAX,
        Discipline::Drain => 0,
        Discipline::Flight => {
            let mut room = load.ring_slots - MAX_RECORD_SLOTS as u64;
            let fits = |number: &u64| {
                let slots = act(*number).slots();
                let enough = room >= slots;
                room = room.saturating_sub(slots);
                enough
            };
            published - (0..published).rev().take_while(fits).count() as u64
        }
    }
}

/// Span ids within a thread rise with the numbers of the records, except from one block of ids to the next.
#[derive(Default)]
struct Begins {
    /// Record number and id of the last one that was seen.
    last: Option<(u64, u64)>,
}

impl Begins {
    /// What `Act::made` has to be told for a record with this id, if the id can be right; else another one.
    fn id(&mut self, act: Act, number: u64, id: u64) -> u64 {
        const BLOCK: u64 = 1 << 14;
        if !act.begins() {
            return 0;
        }
        let possible = match self.last {
            None => id > 0,
            Some((before, last)) if (id - 1) / BLOCK == (last.max(1) - 1) / BLOCK => id - last == number - before,
            // A block is taken up to its end.
            Some((before, last)) => id > last && (number - before) % BLOCK == (id - last) % BLOCK,
        };
        self.last = Some((number, id));
        if possible { id } else { !id }
    }
}
