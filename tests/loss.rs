//! What does not fit: records that find no room, names that are too long or too many. All of it is counted, and said where it is.

#![cfg(feature = "enable")]

mod common;

use common::{Contents, Item, NEVER, exclusive, run};
use spanring::events::MAX_RUN_TIME_NAME;
use spanring::format::BlockKind;
use spanring::prelude::*;
use spanring::reader::{LossCause, NameState};
use spanring::sink::{Block, Sink};
use spanring::{Builder, Discipline, Recorder};
use std::alloc::{GlobalAlloc, Layout, System};
use std::io;
use std::sync::atomic::{AtomicI64, Ordering};
use std::time::Duration;

/// Counts the bytes that are allocated in the whole process.
struct Counting;

static ALLOCATED: AtomicI64 = AtomicI64::new(0);

// SAFETY: everything is left to the system's allocator; this only counts.
unsafe impl GlobalAlloc for Counting {
    unsafe fn alloc(&self, layout: Layout) -> *mut u8 {
        ALLOCATED.fetch_add(layout.size() as i64, Ordering::Relaxed);
        // SAFETY: as our caller promises.
        unsafe { System.alloc(layout) }
    }

    unsafe fn dealloc(&self, pointer: *mut u8, layout: Layout) {
        ALLOCATED.fetch_sub(layout.size() as i64, Ordering::Relaxed);
        // SAFETY: as our caller promises.
        unsafe { System.dealloc(pointer, layout) }
    }
}

#[global_allocator]
static ALLOCATOR: Counting = Counting;

fn span(name: &str) {
    run(span_async_named_dyn!(name, async {}));
}

fn static_spans(count: usize) {
    (0..count).for_each(|_| run(span_async_named!("static", async {})));
}

/// A recorder in memory with rings of 64 slots, which flushes only when asked.
fn small() -> Builder {
    Recorder::builder().memory().ring_bytes(4096).flush_interval(NEVER)
}

#[test]
fn a_full_ring_drops_the_newest_and_says_so_where_it_happened() {
    let _turn = exclusive();
    let recorder = small().start().unwrap();
    let mut expected = Vec::new();
    for (before, lost) in [(10, 0), (500, 1000 - 64), (5, 0), (40, 80 - 64), (1, 0)] {
        static_spans(before);
        recorder.flush().unwrap();
        expected.push((2 * before as u64 - lost, lost));
    }
    let memory = recorder.memory().unwrap().clone();
    let health = recorder.stop().unwrap();
    assert_eq!((health.flushed, health.lost), (20 + 64 + 10 + 64 + 2, 936 + 16));
    assert!(health.to_string().contains("952 lost"), "{health}");

    let contents = Contents::of_memory(&memory.bytes());
    contents.check_whole();
    // As a story: so many records, then so many missing.
    let mut story = vec![(0, 0)];
    for item in &contents.items {
        let (read, missing) = story.last_mut().unwrap();
        match item {
            Item::Span(_) if *missing == 0 => *read += 1,
            Item::Span(_) => story.push((1, 0)),
            Item::Loss(loss) => *missing += loss.records,
            item => panic!("{item:?}"),
        }
    }
    assert_eq!(story, [(20 + 64, 936), (10 + 64, 16), (2, 0)]);
    for loss in contents.losses() {
        assert_eq!(loss.cause, LossCause::Dropped);
        let (after, before) = (loss.after_unix_ns.unwrap(), loss.before_unix_ns);
        assert!(before.is_none_or(|before| after <= before));
    }
    let last = contents.spans().last().unwrap();
    assert_eq!(last.record_number + 1, health.flushed + health.lost);
}

#[test]
fn a_span_whose_begin_was_dropped_is_whole_by_its_end() {
    let _turn = exclusive();
    let recorder = small().start().unwrap();
    static_spans(32);
    run(span_async_named!("late", async { recorder.flush().unwrap() }));
    recorder.flush().unwrap();
    let contents = Contents::of_memory(&recorder.memory().unwrap().bytes());
    let [end] = contents.named("late")[..] else { panic!("its begin found no room") };
    assert!(end.begin_unix_ns.is_some_and(|begin| begin <= end.unix_ns));
    assert_eq!(contents.summary.lost, 1);
}

#[test]
fn in_flight_the_newest_are_kept_and_the_others_counted() {
    let _turn = exclusive();
    for spans in [1, 20, 32, 33, 100, if cfg!(miri) { 101 } else { 1000 }] {
        let recorder = small().discipline(Discipline::Flight).start().unwrap();
        static_spans(spans);
        recorder.flush().unwrap();
        let memory = recorder.memory().unwrap().clone();
        let health = recorder.stop().unwrap();
        let contents = Contents::of_memory(&memory.bytes());
        contents.check_whole();
        let records = 2 * spans as u64;
        assert_eq!((contents.summary.records, contents.summary.lost), (health.flushed, health.lost));
        assert_eq!(health.flushed + health.lost, records);
        assert_eq!(contents.summary.damages, 0);
        // Room for one longest record is kept free for what the writer may be writing.
        assert!(health.flushed >= records.min(64 - 8), "{spans} spans: {health}");
        let numbers: Vec<u64> = contents.spans().map(|record| record.record_number).collect();
        assert_eq!(numbers, (health.lost..records).collect::<Vec<u64>>());
        assert!(contents.losses().all(|loss| loss.cause == LossCause::Overwritten));
    }
}

#[test]
fn in_flight_records_of_any_length_are_kept_whole() {
    let _turn = exclusive();
    const ROUNDS: usize = if cfg!(miri) { 60 } else { 200 };
    let recorder = small().discipline(Discipline::Flight).start().unwrap();
    for round in 0..ROUNDS {
        let name = format!("{round} {}", "x".repeat(round * 37 % 390));
        span(&name[..name.len().min(MAX_RUN_TIME_NAME)]);
        if round % 50 == 0 {
            recorder.flush().unwrap();
        }
    }
    let memory = recorder.memory().unwrap().clone();
    let health = recorder.stop().unwrap();
    let contents = Contents::of_memory(&memory.bytes());
    contents.check_whole();
    assert_eq!(contents.summary.damages, 0);
    assert_eq!((contents.summary.records, contents.summary.lost), (health.flushed, health.lost));
    assert_eq!(health.flushed + health.lost, 2 * ROUNDS as u64);
    assert!(contents.spans().all(|record| record.name_state == NameState::Whole));
}

#[test]
#[cfg_attr(miri, ignore = "maps files")]
fn in_flight_a_ring_may_come_round_in_the_middle_of_any_record() {
    let _turn = exclusive();
    let directory = tempfile::tempdir().unwrap();
    let builder = Recorder::builder().directory(directory.path()).ring_bytes(4096).names_bytes(4096);
    let recorder = builder.discipline(Discipline::Flight).flush_interval(NEVER).start().unwrap();
    let session = recorder.directory().unwrap().to_owned();
    for round in 1..200_usize {
        span(&"x".repeat(round * 37 % 390));
        // From the file of the ring, as after a crash.
        let contents = Contents::of_directory(&session);
        contents.check_whole();
        let summary = contents.summary;
        assert_eq!((summary.records + summary.lost, summary.damages), (2 * round as u64, 0));
        assert!(contents.spans().all(|record| record.name_state == NameState::Whole));
    }
}

#[test]
fn in_flight_a_slow_reader_is_told_what_it_missed() {
    let _turn = exclusive();
    let recorder = small().discipline(Discipline::Flight).start().unwrap();
    for round in 0..20 {
        static_spans(round * 5);
        recorder.flush().unwrap();
    }
    let memory = recorder.memory().unwrap().clone();
    let health = recorder.stop().unwrap();
    assert_eq!(health.flushed + health.lost, (0..20).sum::<u64>() * 10);
    assert!(health.lost > 0);
    let contents = Contents::of_memory(&memory.bytes());
    contents.check_whole();
    assert_eq!((contents.summary.records, contents.summary.lost), (health.flushed, health.lost));
}

#[test]
fn run_time_names_are_kept_whole_up_to_the_bound_and_cut_at_a_character_beyond() {
    let _turn = exclusive();
    let recorder = Recorder::builder().memory().start().unwrap();
    let fits = "n".repeat(MAX_RUN_TIME_NAME);
    let too_long = "n".repeat(MAX_RUN_TIME_NAME + 1);
    // The bound is within a character of two, three or four bytes.
    let characters = ['ß', '∂', '🦀'].map(|last| format!("{}{last}{last}", "n".repeat(MAX_RUN_TIME_NAME - 1)));
    let far_too_long = "n".repeat(1 << 20);
    span(&fits);
    span(&too_long);
    characters.iter().for_each(|name| span(name));
    span(&far_too_long);
    recorder.flush().unwrap();
    let contents = Contents::of_memory(&recorder.memory().unwrap().bytes());
    let found: Vec<(usize, NameState)> = contents
        .spans()
        .inspect(|record| assert!(fits.starts_with(&record.name)))
        .map(|record| (record.name.len(), record.name_state))
        .collect();
    let cut = |bytes| [(bytes, NameState::Cut); 2];
    let (whole, bound) = ([(MAX_RUN_TIME_NAME, NameState::Whole); 2], MAX_RUN_TIME_NAME);
    assert_eq!(found, [whole, cut(bound), cut(bound - 1), cut(bound - 1), cut(bound - 1), cut(bound)].concat());
}

#[test]
#[cfg_attr(miri, ignore = "maps files")]
fn static_names_are_kept_whole_however_long() {
    let _turn = exclusive();
    let long: &'static str = Box::leak("päth/".repeat(1 << 14).into_boxed_str());
    assert!(long.len() > 64 << 10);
    let directory = tempfile::tempdir().unwrap();
    let recorder = Recorder::builder().directory(directory.path()).start().unwrap();
    run(span_async_named!(long, async {}));
    span_scope_named!(long);
    recorder.stop().unwrap();
    let contents = Contents::of_directory(directory.path());
    assert_eq!(contents.spans().count(), 3);
    assert!(contents.spans().all(|record| record.name == long && record.name_state == NameState::Whole));
}

#[test]
#[cfg_attr(miri, ignore = "too many names for an interpreter")]
fn definitions_that_find_no_room_are_counted_and_their_names_missing() {
    let _turn = exclusive();
    static NAMES: &str = "abcdefghijklmnopqrstuvwxyz0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZ-_.:;,+*~#abcdefghijklmnop";
    // Room for 64 slots of definitions: one takes three or more for its location, and each name one.
    let recorder = Recorder::builder().memory().names_bytes(4096).start().unwrap();
    let name = |index: usize| &NAMES[index..index + 4];
    let all = 80;
    (0..all).for_each(|index| run(span_async_named!(name(index), async {})));
    span("a run-time name needs no definition");
    let memory = recorder.memory().unwrap().clone();
    let health = recorder.stop().unwrap();
    assert!(health.names_lost > 0 && !health.is_good());
    assert!(health.to_string().contains("names lost"), "{health}");

    let contents = Contents::of_memory(&memory.bytes());
    assert_eq!(contents.summary.records, 2 * (all as u64 + 1));
    let missing = contents.spans().filter(|record| record.name_state == NameState::Missing);
    assert!(missing.clone().all(|record| record.name == "<name lost>"));
    let known = contents.spans().filter(|record| record.name_state == NameState::Whole).count();
    assert_eq!(missing.count() + known, 2 * (all + 1));
    // All that found room are there, in order, and none is another's.
    let of_statics: Vec<_> = contents.spans().take(2 * all).collect();
    let found = of_statics.iter().filter(|record| record.name_state == NameState::Whole).count() / 2;
    assert!((30..all).contains(&found), "{found} names");
    assert!(of_statics.iter().take(2 * found).enumerate().all(|(index, record)| record.name == name(index / 2)));
    assert_eq!(contents.named("a run-time name needs no definition").len(), 2);
}

/// A million names, each used once.
const MANY: u64 = 1_000_000;

fn a_million_names() {
    use std::fmt::Write;
    let mut name = String::with_capacity(64);
    for number in 0..MANY {
        name.clear();
        write!(name, "request {number}").unwrap();
        span(&name);
    }
}

#[test]
#[cfg_attr(miri, ignore = "a million names are too many for an interpreter")]
fn a_million_run_time_names_leave_no_trace_in_memory() {
    struct Counts(std::sync::Arc<AtomicI64>);
    impl Sink for Counts {
        fn write(&mut self, block: Block<'_>) -> io::Result<()> {
            if block.kind == BlockKind::Definitions {
                self.0.fetch_add(block.payload.len() as i64, Ordering::Relaxed);
            }
            Ok(())
        }

        fn finish(&mut self) -> io::Result<()> {
            Ok(())
        }
    }
    let _turn = exclusive();
    let defined = std::sync::Arc::new(AtomicI64::new(0));
    let builder = Recorder::builder().sink(Counts(std::sync::Arc::clone(&defined)));
    let recorder = builder.flush_interval(Duration::from_millis(1)).start().unwrap();
    span("first");
    recorder.flush().unwrap();
    let before = (ALLOCATED.load(Ordering::Relaxed), defined.load(Ordering::Relaxed));
    a_million_names();
    recorder.flush().unwrap();
    let grown = ALLOCATED.load(Ordering::Relaxed) - before.0;
    assert!(grown < 1 << 20, "{grown} bytes for {MANY} names");
    assert_eq!(defined.load(Ordering::Relaxed), before.1);
    let health = recorder.stop().unwrap();
    assert_eq!(health.flushed + health.lost, 2 * (MANY + 1));
    assert_eq!(health.names_lost, 0);
}

#[test]
#[cfg_attr(miri, ignore = "maps files")]
fn after_a_million_run_time_names_each_span_that_is_there_has_its_own() {
    let _turn = exclusive();
    let directory = tempfile::tempdir().unwrap();
    let builder = Recorder::builder().directory(directory.path()).ring_bytes(1 << 20);
    let recorder = builder.discipline(Discipline::Flight).start().unwrap();
    a_million_names();
    recorder.stop().unwrap();
    let contents = Contents::of_directory(directory.path());
    contents.check_whole();
    for record in contents.spans().chain(&contents.carried) {
        assert_eq!(record.name, format!("request {}", record.record_number / 2));
        assert_eq!(record.name_state, NameState::Whole);
    }
    let (records, lost) = (contents.summary.records, contents.summary.lost);
    assert_eq!((records + lost, contents.summary.damages), (2 * MANY, 0));
    assert!(records >= (1 << 20) / 128 - 8, "{records} of two slots each");
}

#[test]
#[cfg_attr(miri, ignore = "several blocks of ids are too many for an interpreter")]
fn no_two_spans_have_the_same_id_however_many_records_are_dropped() {
    const SPANS: usize = 40_000;
    let _turn = exclusive();
    // Rings of 64 slots, long records and short ones: often there is room for the short ones alone.
    let recorder = small().flush_interval(Duration::from_millis(1)).start().unwrap();
    let long = "x".repeat(MAX_RUN_TIME_NAME);
    let record = || {
        let mut ids = Vec::new();
        for number in 0..SPANS {
            let keep = async { ids.extend(current_span_id()) };
            if number % 5 == 0 {
                run(span_async_named_dyn!(long.as_str(), keep));
            } else {
                run(span_async_named!("short", keep));
            }
        }
        ids
    };
    let mut ids = std::thread::scope(|scope| {
        let threads = [scope.spawn(record), scope.spawn(record)];
        threads.into_iter().flat_map(|thread| thread.join().unwrap()).collect::<Vec<_>>()
    });
    assert!(recorder.stop().unwrap().lost > 0);
    assert_eq!(ids.len(), 2 * SPANS, "a span that is dropped has an id all the same");
    ids.sort_unstable();
    ids.dedup();
    assert_eq!(ids.len(), 2 * SPANS);
}
