//! Sinks of one's own: what they are given, and what happens when they fail.

#![cfg(feature = "enable")]

mod common;

use common::{Contents, Item, NEVER, exclusive, run};
use spanring::format::BlockKind;
use spanring::prelude::*;
use spanring::reader::{LossCause, Recording};
use spanring::sink::{Block, MemoryBuffer, MemorySink, NullSink, Sink};
use spanring::{FlushError, Recorder, StartError, SyncPolicy};
use std::io;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, mpsc};
use std::thread;
use std::time::Duration;

/// Spans recorded, one after the other, each under its number.
fn spans(numbers: std::ops::Range<u64>) {
    numbers.for_each(|number| run(span_async_named!(number.to_string(), async {})));
}

/// How a [`Moody`] sink feels.
#[derive(Clone, Default)]
struct Mood(Arc<Feelings>);

#[derive(Default)]
struct Feelings {
    fails: AtomicBool,
    panics: AtomicBool,
    /// Held by the test, it makes the sink wait.
    gate: Mutex<()>,
    writes: AtomicU64,
}

impl Mood {
    fn fail(&self, fails: bool) {
        self.0.fails.store(fails, Ordering::SeqCst);
    }

    fn panic(&self, panics: bool) {
        self.0.panics.store(panics, Ordering::SeqCst);
    }

    fn block(&self) -> MutexGuard<'_, ()> {
        self.0.gate.lock().unwrap()
    }

    fn writes(&self) -> u64 {
        self.0.writes.load(Ordering::SeqCst)
    }
}

/// A sink in memory that fails, panics or waits as it is told.
struct Moody {
    mood: Mood,
    inner: MemorySink,
}

impl Moody {
    fn new() -> (Moody, Mood, MemoryBuffer) {
        let (inner, buffer) = MemorySink::new();
        let mood = Mood::default();
        (Moody { mood: mood.clone(), inner }, mood, buffer)
    }

    fn feel(&self) -> io::Result<()> {
        let feelings = &self.mood.0;
        feelings.writes.fetch_add(1, Ordering::SeqCst);
        if feelings.panics.load(Ordering::SeqCst) {
            std::panic::resume_unwind(Box::new("a sink that panics"));
        }
        drop(feelings.gate.lock().unwrap());
        if feelings.fails.load(Ordering::SeqCst) { Err(io::Error::from_raw_os_error(libc::ENOSPC)) } else { Ok(()) }
    }
}

impl Sink for Moody {
    fn write(&mut self, block: Block<'_>) -> io::Result<()> {
        self.feel()?;
        self.inner.write(block)
    }

    fn finish(&mut self) -> io::Result<()> {
        self.feel()?;
        self.inner.finish()
    }
}

/// Keeps the kinds of the blocks it is given.
struct Kinds(mpsc::Sender<(BlockKind, u64)>);

impl Sink for Kinds {
    fn write(&mut self, block: Block<'_>) -> io::Result<()> {
        self.0.send((block.kind, block.number)).map_err(io::Error::other)
    }

    fn finish(&mut self) -> io::Result<()> {
        Ok(())
    }
}

#[test]
fn a_sink_is_told_what_records_refer_to_before_the_records() {
    let _turn = exclusive();
    let (sender, blocks) = mpsc::channel();
    let recorder = Recorder::builder().sink(Kinds(sender)).flush_interval(NEVER).start().unwrap();
    assert!(recorder.memory().is_none() && recorder.directory().is_none());
    spans(0..3);
    recorder.flush().unwrap();
    spans(3..6);
    recorder.stop().unwrap();
    let (kinds, numbers): (Vec<BlockKind>, Vec<u64>) = blocks.into_iter().unzip();
    use BlockKind::{Definitions, End, Facts, Records, SelfDescription, Thread};
    // The last block of records has none: it says how many there were.
    assert_eq!(kinds, [Facts, SelfDescription, Thread, Definitions, Records, Records, Records, End]);
    assert_eq!(numbers, (0..8).collect::<Vec<u64>>());
}

#[test]
fn a_sink_that_takes_nothing_at_first_is_an_error_of_the_start() {
    let _turn = exclusive();
    let (sink, mood, _) = Moody::new();
    mood.fail(true);
    let error = Recorder::builder().sink(sink).start().expect_err("the sink is full");
    assert!(matches!(&error, StartError::Sink(source) if source.raw_os_error() == Some(libc::ENOSPC)));
    assert!(!spanring::is_recording());
}

#[test]
fn a_sink_that_fails_for_a_while_loses_what_finds_no_room_and_counts_it_exactly() {
    let _turn = exclusive();
    let (sink, mood, buffer) = Moody::new();
    // Rings of 64 slots; a span with a run-time name takes four.
    let builder = Recorder::builder().sink(sink).ring_bytes(4096);
    let recorder = builder.flush_interval(NEVER).start().unwrap();
    spans(0..10);
    recorder.flush().unwrap();

    mood.fail(true);
    spans(10..110);
    let error = recorder.flush().expect_err("the sink is full");
    assert!(matches!(&error, FlushError::Sink(source) if source.raw_os_error() == Some(libc::ENOSPC)));
    assert!(error.to_string().contains("tries again"), "{error}");
    let health = recorder.health();
    assert!(health.write_errors >= 1 && !health.is_good());
    assert!(health.to_string().contains("the last write failed"), "{health}");

    mood.fail(false);
    recorder.flush().unwrap();
    assert_eq!(recorder.health().last_error, None);
    spans(110..120);
    let health = recorder.stop().unwrap();
    assert_eq!(health.flushed + health.lost, 2 * 120);

    let contents = Contents::of_memory(&buffer.bytes());
    contents.check_whole();
    assert_eq!((contents.summary.records, contents.summary.lost), (health.flushed, health.lost));
    assert_eq!((contents.summary.damaged, contents.summary.damages), (0, 0));
    // The spans up to 25 are whole, the others are missing in one place, and the last ten are whole again.
    let position = contents.items.iter().position(|item| matches!(item, Item::Loss(_))).expect("there is a loss");
    assert_eq!((position, contents.losses().count()), (2 * (10 + 16), 1));
    assert_eq!(contents.losses().next().map(|loss| loss.cause), Some(LossCause::Dropped));
    for number in (0..26).chain(110..120) {
        contents.span(&number.to_string());
    }
}

#[test]
fn with_a_flusher_at_work_a_failing_sink_loses_nothing_silently() {
    let _turn = exclusive();
    const ROUNDS: u64 = if cfg!(miri) { 5 } else { 100 };
    let (sink, mood, buffer) = Moody::new();
    let builder = Recorder::builder().sink(sink).ring_bytes(16 << 10);
    let recorder = builder.flush_interval(Duration::from_millis(1)).start().unwrap();
    let threads: Vec<_> = (0..3)
        .map(|thread| {
            thread::spawn(move || {
                for round in 0..ROUNDS {
                    spans(thread * 100_000 + round * 20..thread * 100_000 + round * 20 + 20);
                    thread::sleep(Duration::from_micros(200));
                }
            })
        })
        .collect();
    for round in 0..if cfg!(miri) { 4 } else { 40 } {
        mood.fail(round % 2 == 0);
        thread::sleep(Duration::from_millis(1));
    }
    mood.fail(false);
    threads.into_iter().for_each(|thread| thread.join().unwrap());
    let health = recorder.stop().unwrap();
    assert_eq!(health.flushed + health.lost, 3 * ROUNDS * 20 * 2);
    let contents = Contents::of_memory(&buffer.bytes());
    contents.check_whole();
    assert_eq!((contents.summary.records, contents.summary.lost), (health.flushed, health.lost));
    assert_eq!(contents.summary.damages, 0);
}

#[test]
fn a_sink_that_blocks_does_not_hold_up_those_who_record() {
    let _turn = exclusive();
    let (sink, mood, buffer) = Moody::new();
    let builder = Recorder::builder().sink(sink).ring_bytes(4096);
    let recorder = builder.flush_interval(Duration::from_millis(1)).start().unwrap();
    let blocked = mood.block();
    let before = mood.writes();
    while mood.writes() == before {
        spans(0..10);
    }
    // The flusher waits in the sink now; these spans go on, and most of them find no room.
    spans(1000..if cfg!(miri) { 1050 } else { 3000 });
    drop(blocked);
    recorder.flush().unwrap();
    spans(5000..5001);
    let health = recorder.stop().unwrap();
    assert!(health.lost > 0);
    let contents = Contents::of_memory(&buffer.bytes());
    contents.check_whole();
    assert_eq!((contents.summary.records, contents.summary.lost), (health.flushed, health.lost));
    assert_eq!(contents.span("5000").1.record_number + 1, health.flushed + health.lost);
}

#[test]
fn a_sink_that_panics_has_failed_and_no_more() {
    let _turn = exclusive();
    let (sink, mood, buffer) = Moody::new();
    let recorder = Recorder::builder().sink(sink).flush_interval(Duration::from_millis(1)).start().unwrap();
    spans(0..10);
    mood.panic(true);
    spans(10..20);
    assert!(matches!(recorder.flush(), Err(FlushError::Sink(_))));
    let health = recorder.health();
    assert!(health.last_error.as_ref().is_some_and(|error| error.contains("panicked")), "{health}");
    thread::sleep(Duration::from_millis(5));

    mood.panic(false);
    spans(20..30);
    while recorder.health().flushed < 60 {
        thread::sleep(Duration::from_millis(1));
    }
    let health = recorder.stop().unwrap();
    assert_eq!((health.flushed, health.lost), (60, 0));
    let contents = Contents::of_memory(&buffer.bytes());
    for number in 0..30 {
        contents.span(&number.to_string());
    }
}

#[test]
fn a_stop_that_cannot_flush_says_so() {
    let _turn = exclusive();
    let (sink, mood, _) = Moody::new();
    let recorder = Recorder::builder().sink(sink).flush_interval(NEVER).start().unwrap();
    spans(0..1);
    mood.fail(true);
    assert!(matches!(recorder.stop(), Err(FlushError::Sink(_))));
    assert!(!spanring::is_recording());
    drop(Recorder::builder().memory().start().unwrap());
}

#[test]
fn a_sink_that_records_spans_itself_does_not_feed_on_them() {
    struct Recursive;
    impl Sink for Recursive {
        fn write(&mut self, _: Block<'_>) -> io::Result<()> {
            spans(0..1);
            Ok(())
        }

        fn finish(&mut self) -> io::Result<()> {
            spans(0..1);
            Ok(())
        }
    }
    let _turn = exclusive();
    let recorder = Recorder::builder().sink(Recursive).start().unwrap();
    spans(0..10);
    recorder.flush().unwrap();
    recorder.flush().unwrap();
    let health = recorder.stop().unwrap();
    assert_eq!(health.flushed, 20);
    assert!(health.refused > 0);
}

#[test]
fn the_null_sink_counts_and_forgets() {
    let _turn = exclusive();
    let recorder = Recorder::builder().sink(NullSink).start().unwrap();
    spans(0..10);
    assert_eq!(recorder.stop().unwrap().flushed, 20);
}

#[test]
#[cfg_attr(miri, ignore = "maps files")]
fn what_is_synced_is_counted_and_what_is_not_is_not() {
    let _turn = exclusive();
    for (policy, by_itself) in
        [(SyncPolicy::Never, 0), (SyncPolicy::WhenSealed, 0), (SyncPolicy::Every(Duration::ZERO), 20)]
    {
        let directory = tempfile::tempdir().unwrap();
        let builder = Recorder::builder().directory(directory.path()).flush_interval(NEVER);
        let recorder = builder.sync(policy).start().unwrap();
        let spans = |count: usize| (0..count).for_each(|_| run(span_async_named!("span", async {})));
        spans(10);
        recorder.flush().unwrap();
        assert_eq!(recorder.health().synced, by_itself, "{policy:?}");
        recorder.sync().unwrap();
        assert_eq!(recorder.health().synced, 20, "{policy:?}");
        spans(10);
        let health = recorder.stop().unwrap();
        let at_the_end = if policy == SyncPolicy::Never { 20 } else { 40 };
        assert_eq!((health.flushed, health.synced), (40, at_the_end), "{policy:?}");
        let recording = Recording::open(directory.path()).unwrap();
        assert_eq!(recording.status().unwrap().synced, at_the_end, "{policy:?}");
    }
}

/// A sink that cannot sync.
struct Unsyncable;

impl Sink for Unsyncable {
    fn write(&mut self, _: Block<'_>) -> io::Result<()> {
        Ok(())
    }

    fn sync(&mut self) -> io::Result<()> {
        Err(io::Error::other("the disk is gone"))
    }

    fn finish(&mut self) -> io::Result<()> {
        Ok(())
    }
}

#[test]
fn a_failed_sync_is_a_failed_write() {
    let _turn = exclusive();
    let builder = Recorder::builder().sink(Unsyncable).flush_interval(NEVER);
    let recorder = builder.sync(SyncPolicy::Every(Duration::ZERO)).start().unwrap();
    run(span_async_named!("span", async {}));
    assert!(recorder.flush().unwrap_err().to_string().contains("the disk is gone"));
    let health = recorder.health();
    assert_eq!((health.flushed, health.synced, health.write_errors), (2, 0, 1));
    assert!(recorder.sync().is_err());
}
