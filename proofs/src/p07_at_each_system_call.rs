//! 7: a process is killed at each system call that it makes, from the start of its recorder to the end of its stop.
//!
//! It does so in a directory where there are dead sessions, and in so little space that these, and then its own oldest segments,
//! have to go: so that it is killed in the middle of a registration, a flush, a rotation, a retirement, before and after each
//! step. Each record is acknowledged in a shared page once its call has returned. Whatever is left has to be a recording in
//! which every acknowledged record is read or counted, beside dead sessions that are whole or gone; and the next recorder there
//! has to be able to remove all of it.

use crate::contents::{Contents, Record};
use crate::outcome::{Proven, Scale, Shown, Trouble, ensure};
use crate::process::{Page, myself, scratch, start, wait_at_most};
use crate::trace::{KillPoint, Run, Side, run_to, stop_here};
use spanring::prelude::*;
use spanring::reader::{NameState, Phase};
use spanring::{Discipline, Recorder, RecorderGuard};
use std::collections::{BTreeMap, BTreeSet};
use std::fs::OpenOptions;
use std::path::{Path, PathBuf};
use std::pin::Pin;
use std::sync::atomic::{AtomicU64, AtomicUsize, Ordering};
use std::sync::{Barrier, Mutex, PoisonError};
use std::task::{Context, Waker};
use std::time::Duration;
use tempfile::TempDir;

pub const ROLE: &str = "at-each-system-call";

static_span_location!(PLACE);

const RING_SLOTS: u64 = 128;
/// Slots of the longest record that is made here.
const LONGEST: u64 = spanring::events::MAX_RECORD_SLOTS as u64;
/// Room for the dead sessions and a segment, or for three segments.
const DIRECTORY_BYTES: u64 = 256 << 10;
/// Only some of a thread's calls, when there is little time. A prime, so that no rhythm hides any.
const SAMPLED: u64 = 5;

/// Who records: a thread's number, or one that records a single span on thread 0.
const THREADS: u64 = 4;
const HELD_OPEN: u64 = THREADS;

/// What a child does.
#[derive(Clone, Copy, Debug, PartialEq)]
enum Play {
    /// Everything, in this discipline; killed somewhere.
    Everything(Discipline),
    /// The same in drain discipline, with segments that are compressed once they are full.
    Compressed,
    /// The same again, but it acknowledges records that it has yet to make: what a broken recorder would look like.
    TooEarly,
    /// A few records, then a stop.
    Stop,
    /// A few records, then an end without a stop.
    Die,
}

const PLAYS: [Play; 6] = [
    Play::Everything(Discipline::Drain),
    Play::Everything(Discipline::Flight),
    Play::Compressed,
    Play::TooEarly,
    Play::Stop,
    Play::Die,
];
/// Those in which nothing may break.
const SOUND: usize = 3;

impl Play {
    fn discipline(self) -> Discipline {
        match self {
            Play::Everything(discipline) => discipline,
            Play::Compressed | Play::TooEarly | Play::Stop | Play::Die => Discipline::Drain,
        }
    }

    /// Rings stand apart from the recording.
    fn rings_elsewhere(self) -> bool {
        self != Play::Everything(Discipline::Flight) && self != Play::Stop
    }

    fn start(self, base: &Path) -> Result<RecorderGuard, Trouble> {
        let mut builder = Recorder::builder()
            .directory(base.join("recording"))
            .ring_bytes(RING_SLOTS * 64)
            .discipline(self.discipline())
            .flush_interval(Duration::from_millis(2))
            .segment_bytes(64 << 10)
            .names_bytes(4096)
            .directory_bytes(DIRECTORY_BYTES);
        if self.rings_elsewhere() {
            builder = builder.ring_directory(base.join("rings"));
        }
        if self == Play::Compressed {
            builder = builder.compress();
        }
        builder.start().map_err(|error| error.to_string().into())
    }
}

const NAMES: [&str; 5] = ["load users", "query shard", "render page", "write the answer", "close"];

/// One span, of which `who` makes the `number`th.
#[derive(Clone, Copy)]
struct Made {
    who: u64,
    number: u64,
}

const PARENT: u64 = 0xa5a5 << 32;

impl Made {
    fn is_static(self) -> bool {
        self.number % 3 == 0 && self.who != HELD_OPEN
    }

    /// Tells it from all others.
    fn name(self) -> String {
        if self.is_static() {
            return NAMES[(self.who + self.number / 30) as usize % NAMES.len()].to_owned();
        }
        let mut text = format!("{}.{}.", self.who, self.number);
        let bytes = 20 + self.number as usize * 131 % (spanring::events::MAX_RUN_TIME_NAME - 20);
        text.extend((text.len()..bytes).map(|index| char::from(b'a' + ((index as u64 * 7 + self.number) % 26) as u8)));
        text
    }

    fn parent(self) -> u64 {
        if self.is_static() { PARENT + (self.who << 16) + self.number } else { 0 }
    }

    /// What a record is of.
    fn of(record: &Record) -> Option<Made> {
        let made = match record.parent.checked_sub(PARENT) {
            Some(rest) => Made { who: rest >> 16, number: rest & 0xffff },
            None => {
                let mut numbers = record.name.split('.').map(str::parse);
                Made { who: numbers.next()?.ok()?, number: numbers.next()?.ok()? }
            }
        };
        let whole = record.name == made.name()
            && record.name_state == NameState::Whole
            && record.parent == made.parent()
            && record.line == PLACE.line
            && record.span_id != 0
            && record.outcome.is_some() == (record.phase == Phase::End);
        whole.then_some(made)
    }
}

/// One who records, and acknowledges each record in a word of the page.
struct Hand<'a> {
    who: u64,
    spans: u64,
    page: &'a Page,
    too_early: bool,
}

type Open = Pin<Box<dyn Future<Output = ()>>>;

impl Hand<'_> {
    fn word(&self) -> &AtomicU64 {
        self.page.word(self.who as usize)
    }

    fn record<T>(&self, record: impl FnOnce() -> T) -> T {
        if self.too_early {
            self.word().fetch_add(1, Ordering::AcqRel);
            return record();
        }
        let recorded = record();
        self.word().fetch_add(1, Ordering::AcqRel);
        recorded
    }

    fn begin(&mut self, made: Made) -> Open {
        let mut future: Open = Box::pin(std::future::pending::<()>().instrument_named(&PLACE, made.name()));
        let _ = self.record(|| future.as_mut().poll(&mut Context::from_waker(Waker::noop())));
        future
    }

    /// Records so many spans.
    fn spans(&mut self, spans: u64) {
        for _ in 0..spans {
            let made = Made { who: self.who, number: self.spans };
            self.spans += 1;
            if made.is_static() {
                let (name, parent) = (NAMES.into_iter().find(|name| *name == made.name()).unwrap_or(""), made.parent());
                let id = self.record(|| spanring::dispatch::on_begin_async_named_scope(&PLACE, name, parent, 1));
                self.record(|| spanring::dispatch::on_end_async_named_scope(id, parent, &PLACE, name, 1));
            } else {
                let open = self.begin(made);
                self.record(|| drop(open));
            }
        }
    }
}

pub fn child(arguments: &[String]) -> Result<(), Trouble> {
    // Whatever hangs ends.
    // SAFETY: the call takes no pointers.
    unsafe { libc::alarm(60) };
    let play = PLAYS[arguments[0].parse::<usize>().unwrap_or(0) % PLAYS.len()];
    let base = Path::new(&arguments[1]);
    let page = Page::open(&base.join("page"))?;
    let hand = |who: u64| Hand { who, spans: 0, page: &page, too_early: play == Play::TooEarly };
    if matches!(play, Play::Stop | Play::Die) {
        let recorder = play.start(base)?;
        hand(0).spans(10);
        flush()?;
        hand(1).spans(3);
        if play == Play::Stop {
            recorder.stop().map_err(|error| error.to_string())?;
        }
        std::process::exit(0);
    }
    stop_here()?;
    let recorder = play.start(base)?;
    // Registration of the first thread; a span that stays open.
    let (mut main, mut open) = (hand(0), hand(HELD_OPEN));
    let held_open = open.begin(Made { who: HELD_OPEN, number: 0 });
    main.spans(2);
    flush()?;
    // Of another thread, whose ring the next one gets; then of two at a time.
    std::thread::scope(|scope| drop(scope.spawn(|| hand(1).spans(4)).join()));
    let turn = Barrier::new(2);
    std::thread::scope(|scope| {
        let earlier = scope.spawn(|| {
            hand(2).spans(3);
            turn.wait();
            // Its ring stays its own as long as it lives.
            turn.wait();
        });
        let later = scope.spawn(|| {
            turn.wait();
            hand(3).spans(3);
            turn.wait();
        });
        drop((earlier.join(), later.join()));
    });
    // Segment after segment: first the dead sessions have to go, then the oldest segments of this one.
    for _ in 0..80 {
        main.spans(10);
        flush()?;
    }
    // As the flusher goes about it.
    for _ in 0..4 {
        main.spans(10);
        let flushed = || recorder.health().flushed >= page_total(&page);
        while play.discipline() == Discipline::Drain && !flushed() {
            std::thread::sleep(Duration::from_millis(1));
        }
        std::thread::sleep(Duration::from_millis(3));
    }
    open.record(|| drop(held_open));
    ensure!(recorder.health().rings == 3, "{} rings: none was used again", recorder.health().rings);
    recorder.stop().map_err(|error| error.to_string())?;
    std::process::exit(0)
}

fn flush() -> Result<(), Trouble> {
    spanring::flush().map_err(|error| error.to_string().into())
}

/// All records that are acknowledged.
fn page_total(page: &Page) -> u64 {
    (0..=HELD_OPEN).map(|who| page.word(who as usize).load(Ordering::Acquire)).sum()
}

pub fn run(scale: Scale) -> Proven {
    let stride = scale.count.unwrap_or(if scale.full { 1 } else { SAMPLED });
    let mut told = Series::default();
    for play in &PLAYS[..SOUND] {
        let series = kill_everywhere(*play, stride)?;
        if let Some((point, what)) = series.broken.first() {
            return Err(Trouble::Broken(format!("{play:?}: killed at {point:?}: {what}")));
        }
        ensure!(series.unrecorded > 0, "{play:?}: never killed before there was a recording");
        told.kills += series.kills;
        told.calls += series.calls;
        told.threads = told.threads.max(series.threads);
        told.kinds.extend(series.kinds);
        told.acknowledged += series.acknowledged;
        told.read += series.read;
        told.retired += series.retired;
        told.lost += series.lost;
    }
    let wrong = kill_everywhere(Play::TooEarly, stride.max(SAMPLED))?;
    ensure!(!wrong.broken.is_empty(), "records that were acknowledged before they were made were not missed");
    Ok(Shown {
        amount: format!(
            "{} kills, before and after each of {} system calls ({} different ones, {} threads)",
            told.kills,
            told.calls,
            told.kinds.len(),
            told.threads
        ),
        shown: format!(
            "0 broken: {} records acknowledged = {} read + {} retired + {} overwritten, none twice, 0 damage; dead sessions whole \
             or gone; the next recorder leaves nothing behind. A recorder that acknowledges too early is broken at {} of {}",
            told.acknowledged,
            told.read,
            told.retired,
            told.lost,
            wrong.broken.len(),
            wrong.kills
        ),
    })
}

/// What came of killing one play after another.
#[derive(Default)]
struct Series {
    kills: u64,
    /// Killed so early that there was no recording yet.
    unrecorded: u64,
    /// System calls of a whole run, how many different ones, and threads that made them.
    calls: u64,
    kinds: BTreeSet<u64>,
    threads: usize,
    acknowledged: u64,
    read: u64,
    retired: u64,
    lost: u64,
    broken: Vec<(KillPoint, String)>,
}

/// Kills a play before and after every `stride`th call of each thread, on two processors.
fn kill_everywhere(play: Play, stride: u64) -> Result<Series, Trouble> {
    let whole = Stage::new(play)?.check_whole_run()?;
    let points: Vec<KillPoint> = whole
        .calls
        .iter()
        .enumerate()
        .flat_map(|(thread, calls)| {
            // Threads make some calls more in some runs than in others: beyond the end nobody is killed.
            let calls = (1..=calls + 2).skip(thread % stride as usize).step_by(stride as usize);
            calls.flat_map(move |call| [Side::Entry, Side::Exit].map(|side| KillPoint { thread, call, side }))
        })
        .collect();
    let next = AtomicUsize::new(0);
    let series = Mutex::new(Series {
        calls: whole.calls.iter().sum(),
        threads: whole.calls.len(),
        kinds: whole.kinds,
        ..Series::default()
    });
    let work = || -> Result<(), Trouble> {
        let stage = Stage::new(play)?;
        while let Some(point) = points.get(next.fetch_add(1, Ordering::Relaxed)) {
            let run = stage.run(Some(*point))?;
            if !run.killed {
                ensure!(libc::WIFEXITED(run.status) && libc::WEXITSTATUS(run.status) == 0, "status {:#x}", run.status);
                continue;
            }
            let checked = stage.check().and_then(|found| stage.check_removal().map(|()| found));
            let mut series = series.lock().unwrap_or_else(PoisonError::into_inner);
            series.kills += 1;
            match checked {
                Ok(Some(found)) => {
                    series.acknowledged += found.acknowledged;
                    series.read += found.read;
                    series.retired += found.retired;
                    series.lost += found.lost;
                }
                Ok(None) => series.unrecorded += 1,
                Err(Trouble::Broken(what)) => series.broken.push((*point, what)),
                Err(unable) => return Err(unable),
            }
        }
        Ok(())
    };
    std::thread::scope(|scope| {
        let workers = [scope.spawn(work), scope.spawn(work)];
        let results =
            workers.map(|worker| worker.join().unwrap_or_else(|_| Err("a worker panicked".to_owned().into())));
        results.into_iter().collect::<Result<(), Trouble>>()
    })?;
    Ok(series.into_inner().unwrap_or_else(PoisonError::into_inner))
}

/// A directory to play in, which is set up anew for each run.
struct Stage {
    play: Play,
    base: TempDir,
    page: Page,
    /// The files of the dead sessions.
    files: Vec<(PathBuf, Vec<u8>)>,
    /// The dead sessions, and all that is in them.
    dead: Vec<(PathBuf, Vec<Record>)>,
}

/// What is in the recording of a process that was killed.
struct Found {
    acknowledged: u64,
    read: u64,
    retired: u64,
    lost: u64,
}

impl Stage {
    fn new(play: Play) -> Result<Stage, Trouble> {
        let base = scratch()?;
        let page = Page::create(&base.path().join("page"))?;
        let mut stage = Stage { play, base, page, files: Vec::new(), dead: Vec::new() };
        for dead in [Play::Stop, Play::Die] {
            let mut child = stage.start(dead)?;
            let ended = wait_at_most(&mut child, Duration::from_secs(20))?;
            ensure!(ended.is_some_and(|status| status.success()), "nothing was recorded");
        }
        for session in spanring::reader::sessions(stage.recording())? {
            let contents = Contents::read(&session)?;
            contents.check_sound()?;
            ensure!(contents.records.len() == 26, "{} records", contents.records.len());
            stage.dead.push((session, contents.records));
        }
        for directory in ["recording", "rings"].map(|name| stage.base.path().join(name)) {
            for session in entries(&directory)? {
                for file in entries(&session)? {
                    let bytes = std::fs::read(&file)?;
                    stage.files.push((file, bytes));
                }
            }
        }
        let rings = stage.files.iter().filter(|(path, _)| path.starts_with(stage.base.path().join("rings"))).count();
        ensure!(stage.dead.len() == 2 && rings == 1, "{} dead sessions, {rings} rings elsewhere", stage.dead.len());
        Ok(stage)
    }

    fn recording(&self) -> PathBuf {
        self.base.path().join("recording")
    }

    fn start(&self, play: Play) -> Result<std::process::Child, Trouble> {
        let index = PLAYS.iter().position(|other| *other == play).unwrap_or(0);
        let arguments = [index.to_string(), self.base.path().display().to_string()];
        Ok(start(&myself()?, ROLE, &arguments)?)
    }

    /// Plays once, up to `point`.
    fn run(&self, point: Option<KillPoint>) -> Result<Run, Trouble> {
        for directory in ["recording", "rings"].map(|name| self.base.path().join(name)) {
            let _ = std::fs::remove_dir_all(directory);
        }
        for (path, bytes) in &self.files {
            std::fs::create_dir_all(path.parent().unwrap_or(path))?;
            std::fs::write(path, bytes)?;
        }
        (0..=HELD_OPEN).for_each(|who| self.page.word(who as usize).store(0, Ordering::Release));
        run_to(self.start(self.play)?, point)
    }

    /// Plays to the end, and checks that everything happened that a process is to be killed in; and that the check can fail.
    fn check_whole_run(&self) -> Result<Run, Trouble> {
        let run = self.run(None)?;
        ensure!(libc::WIFEXITED(run.status) && libc::WEXITSTATUS(run.status) == 0, "it ended with {:#x}", run.status);
        let found = self.check()?.ok_or_else(|| "it recorded nothing".to_owned())?;
        ensure!(found.acknowledged == page_total(&self.page), "{} acknowledged", found.acknowledged);
        let mut own = entries(&self.recording())?;
        own.retain(|path| self.dead.iter().all(|(dead, _)| dead != path));
        let [own] = &own[..] else { return Err(format!("what is not its own session: {own:?}").into()) };
        let compressed = self.play == Play::Compressed;
        ensure!(run.calls.len() as u64 == THREADS + 1 + u64::from(compressed), "{} threads", run.calls.len());
        let name = |path: &PathBuf| path.file_name().unwrap_or_default().to_string_lossy().into_owned();
        let segments: Vec<_> = entries(own)?.into_iter().filter(|path| name(path).starts_with("segment-")).collect();
        // What is compressed finds room beside the dead sessions.
        let gone = found.retired > 0 && self.dead.iter().all(|(dead, _)| !dead.exists());
        let packed = segments.len() > 2 && std::fs::metadata(&segments[0])?.len() < 32 << 10;
        ensure!(if compressed { packed } else { gone }, "{} retired, {segments:?}", found.retired);
        let newest = segments.last().ok_or_else(|| "no segments".to_owned())?;
        OpenOptions::new().write(true).open(newest)?.set_len(0)?;
        ensure!(self.check().is_err(), "a file that has its name before its content was not noticed");
        Ok(run)
    }

    /// Checks what is left. `None`: there is no recording yet.
    fn check(&self) -> Result<Option<Found>, Trouble> {
        let listed = spanring::reader::sessions(self.recording()).unwrap_or_default();
        for (session, records) in self.dead.iter().filter(|(session, _)| listed.contains(session)) {
            let contents = Contents::read(session)?;
            contents.check_sound()?;
            ensure!(contents.records == *records, "{} records of a dead session", contents.records.len());
        }
        let mut own = listed.iter().filter(|session| self.dead.iter().all(|(dead, _)| dead != *session));
        let Some(session) = own.next() else {
            ensure!(page_total(&self.page) == 0, "{} acknowledged, and no recording", page_total(&self.page));
            return Ok(None);
        };
        ensure!(own.next().is_none(), "two sessions of one process");
        self.check_records(&Contents::read(session)?).map(Some)
    }

    fn check_records(&self, contents: &Contents) -> Result<Found, Trouble> {
        contents.check_sound()?;
        let mut read: BTreeMap<u64, BTreeSet<u64>> = BTreeMap::new();
        for record in &contents.records {
            let Some(made) = Made::of(record) else { return Err(format!("torn: {record:?}").into()) };
            let index = made.number * 2 + u64::from(record.phase == Phase::End);
            ensure!(read.entry(made.who).or_default().insert(index), "twice: {record:?}");
        }
        let summary = &contents.summary;
        let (mut in_progress, mut below_gaps, mut acknowledged) = (0, 0, 0);
        for who in 0..=HELD_OPEN {
            let known = self.page.word(who as usize).load(Ordering::Acquire);
            let read = read.remove(&who).unwrap_or_default();
            acknowledged += known;
            let later: Vec<u64> = read.range(known..).copied().collect();
            ensure!(later.is_empty() || later == [known], "{who} has acknowledged {known}: {later:?}");
            in_progress += later.len() as u64;
            // What is missing is what went first.
            let unbroken = (0..known).rev().take_while(|index| read.contains(index)).count() as u64;
            below_gaps += read.range(..known).count() as u64 - unbroken;
            let newest = (RING_SLOTS - LONGEST) / LONGEST;
            ensure!(who != 0 || unbroken >= known.min(newest), "{unbroken} of the newest {newest} records are there");
        }
        ensure!(read.is_empty(), "records that nobody made: {read:?}");
        ensure!(in_progress <= 1, "{in_progress} records in progress at a time");
        let distinct = contents.records.len() as u64;
        let counted = summary.lost + summary.retired - summary.carried;
        ensure!(
            distinct + counted == acknowledged + in_progress,
            "{distinct} read and {counted} counted of {acknowledged} acknowledged, {in_progress} in progress"
        );
        if self.play.discipline() == Discipline::Drain {
            ensure!(summary.lost == 0, "{} lost of rings with room for all", summary.lost);
            ensure!(below_gaps <= summary.carried, "{below_gaps} records before what is missing");
        }
        Ok(Found {
            acknowledged,
            read: distinct - in_progress,
            retired: summary.retired.min(counted),
            lost: counted - summary.retired.min(counted),
        })
    }

    /// Checks that another recorder can start there, and removes all that is dead when it needs the space.
    fn check_removal(&self) -> Result<(), Trouble> {
        // One at a time in a process.
        static TURN: Mutex<()> = Mutex::new(());
        let _turn = TURN.lock().unwrap_or_else(PoisonError::into_inner);
        let builder = Recorder::builder().directory(self.recording()).directory_bytes(0);
        let builder = builder.segment_bytes(64 << 10).names_bytes(4096).ring_bytes(4096);
        let recorder = builder.start().map_err(|error| error.to_string())?;
        let own = recorder.directory().map(Path::to_owned);
        recorder.stop().map_err(|error| error.to_string())?;
        let left: Vec<PathBuf> =
            entries(&self.recording())?.into_iter().filter(|path| Some(path) != own.as_ref()).collect();
        ensure!(
            left.is_empty(),
            "what nobody removes: {left:?} with {:?}",
            left.first().map(|path| entries(path).ok())
        );
        let rings = entries(&self.base.path().join("rings"))?;
        ensure!(rings.is_empty(), "rings that nobody removes: {rings:?}");
        Ok(())
    }
}

/// What is in a directory, in order.
fn entries(directory: &Path) -> Result<Vec<PathBuf>, Trouble> {
    let entries: std::io::Result<Vec<PathBuf>> =
        std::fs::read_dir(directory)?.map(|entry| entry.map(|entry| entry.path())).collect();
    let mut entries = entries?;
    entries.sort();
    Ok(entries)
}
