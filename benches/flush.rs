//! How fast records go from the rings to a sink, and from a recording to a visitor: records per second.
//!
//! Reading alone: `cargo bench -p spanring --bench flush -- decode`.

use criterion::measurement::WallTime;
use criterion::{BatchSize, BenchmarkGroup, BenchmarkId, Criterion, Throughput};
use spanring::prelude::*;
use spanring::reader::{Event, Recording};
use spanring::sink::NullSink;
use spanring::{Builder, Recorder, RecorderGuard};
use std::future::Future;
use std::hint::black_box;
use std::pin::pin;
use std::process::Command;
use std::sync::Barrier;
use std::task::{Context, Waker};
use std::time::Duration;
use tempfile::TempDir;

/// Spans between two flushes: half of a ring.
const SPANS: u64 = 1 << 14;
const RECORDS: u64 = 2 * SPANS;

fn fill() {
    static_span_location!(HERE);
    let mut context = Context::from_waker(Waker::noop());
    for number in 0..SPANS {
        let future = pin!(async { black_box(number) }.instrument_named(&HERE, "flushed"));
        let _ = black_box(future.poll(&mut context));
    }
}

/// Nothing is flushed before it is asked for.
fn recorder() -> Builder {
    Recorder::builder().ring_bytes(4 << 20).flush_interval(Duration::from_secs(3600))
}

fn directory() -> TempDir {
    tempfile::tempdir_in(env!("CARGO_TARGET_TMPDIR")).expect("the target directory is writable")
}

fn flush(criterion: &mut Criterion) {
    let mut group = criterion.benchmark_group("flush");
    group.throughput(Throughput::Elements(RECORDS)).sample_size(20).measurement_time(Duration::from_secs(2));
    let mut bench = |name: &str, guard: RecorderGuard| {
        group.bench_function(BenchmarkId::from_parameter(name), |bencher| {
            bencher.iter_batched(fill, |()| guard.flush().expect("the sink works"), BatchSize::PerIteration);
        });
        assert_eq!(guard.stop().expect("the sink works").lost, 0);
    };
    bench("to nothing", recorder().sink(NullSink).start().expect("nothing else records"));
    let directory = directory();
    let files = recorder().directory(directory.path()).directory_bytes(256 << 20);
    bench("to segment files", files.start().expect("nothing else records"));
}

/// Every other span at a static site, so that a reader meets both kinds of names.
fn fill_both_kinds() {
    static_span_location!(HERE);
    static_span_desc!(DESC, "static");
    let mut context = Context::from_waker(Waker::noop());
    for number in 0..SPANS / 2 {
        let future = pin!(async { black_box(number) }.instrument_named(&HERE, "named"));
        let _ = black_box(future.poll(&mut context));
        let future = pin!(async { black_box(number) }.instrument(&DESC));
        let _ = black_box(future.poll(&mut context));
    }
}

/// Reads all of a recording, and uses what every record says.
fn sum(recording: &Recording) -> (u64, u64) {
    let mut sum = 0_u64;
    let summary = recording.read(&mut |event| {
        if let Event::Span(record) = event {
            let times = record.unix_ns.wrapping_add(record.begin_unix_ns.unwrap_or(0));
            let name = record.name.len() as u64 + u64::from(record.name_index.unwrap_or(0));
            let place = u64::from(record.location_index.unwrap_or(0));
            sum = [times, record.span_id, name, place].into_iter().fold(sum, u64::wrapping_add);
        }
    });
    (summary.expect("it was just written").records, sum)
}

fn measure(group: &mut BenchmarkGroup<'_, WallTime>, name: &str, records: u64, open: impl Fn() -> Recording) {
    group.throughput(Throughput::Elements(records)).sample_size(10).measurement_time(Duration::from_secs(3));
    group.bench_function(name, |bencher| {
        bencher.iter(|| {
            let (read, sum) = sum(&open());
            assert_eq!(read, records);
            sum
        });
    });
}

fn decode(criterion: &mut Criterion) {
    const ROUNDS: u64 = 64;
    let mut group = criterion.benchmark_group("decode");
    let in_files = directory();
    let guard = recorder().directory(in_files.path()).start().expect("nothing else records");
    for _ in 0..ROUNDS {
        fill_both_kinds();
        guard.flush().expect("the disk has room");
    }
    guard.stop().expect("the disk has room");
    let open = || Recording::open(in_files.path()).expect("it was just written");
    measure(&mut group, "sealed segments in files", RECORDS * ROUNDS, open);

    let guard = recorder().memory().start().expect("nothing else records");
    fill_both_kinds();
    guard.flush().expect("there is memory");
    let bytes = guard.memory().expect("it records to memory").bytes();
    guard.stop().expect("there is memory");
    let recording = Recording::from_segment(&bytes).expect("it was just written");
    group.throughput(Throughput::Elements(RECORDS)).sample_size(100);
    group.bench_function("a segment in memory", |bencher| bencher.iter(|| sum(&recording)));

    let killed = directory();
    let child =
        Command::new(std::env::current_exe().expect("a program knows itself")).env(RINGS, killed.path()).status();
    assert!(!child.expect("a program can run itself").success(), "it aborts");
    let open = || Recording::open(killed.path()).expect("it was just written");
    let records = sum(&open()).0;
    assert!(records > THREADS as u64 * 8000, "{records} records in the rings");
    measure(&mut group, "64 full rings of 512 KiB of a process that aborted", records, open);
}

/// Where to record, for the process that aborts.
const RINGS: &str = "SPANRING_BENCH_RINGS";
const THREADS: usize = 64;

/// Fills rings of many threads at once, and aborts before anything is flushed.
fn abort_with_full_rings(directory: &str) -> ! {
    let guard = Recorder::builder().flush_interval(Duration::from_secs(3600)).directory(directory).start();
    let _guard = guard.expect("nothing else records");
    let all_are_full = Barrier::new(THREADS + 1);
    std::thread::scope(|scope| {
        for _ in 0..THREADS {
            scope.spawn(|| {
                fill_both_kinds();
                all_are_full.wait();
                std::thread::park();
            });
        }
        all_are_full.wait();
        std::process::abort();
    })
}

fn main() {
    if let Ok(directory) = std::env::var(RINGS) {
        abort_with_full_rings(&directory);
    }
    let mut criterion = Criterion::default().configure_from_args();
    flush(&mut criterion);
    decode(&mut criterion);
    criterion.final_summary();
}
