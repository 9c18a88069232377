//! How fast records go from the rings to a sink, and from a recording to a visitor: records per second.

use criterion::{BatchSize, BenchmarkId, Criterion, Throughput, criterion_group, criterion_main};
use spanring::prelude::*;
use spanring::reader::Recording;
use spanring::sink::NullSink;
use spanring::{Builder, Recorder, RecorderGuard};
use std::future::Future;
use std::hint::black_box;
use std::pin::pin;
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

fn decode(criterion: &mut Criterion) {
    const ROUNDS: u64 = 64;
    let directory = directory();
    let guard = recorder().directory(directory.path()).start().expect("nothing else records");
    for _ in 0..ROUNDS {
        fill();
        guard.flush().expect("the disk has room");
    }
    guard.stop().expect("the disk has room");
    let mut group = criterion.benchmark_group("decode");
    group.throughput(Throughput::Elements(RECORDS * ROUNDS)).sample_size(10).measurement_time(Duration::from_secs(3));
    group.bench_function("every record of a recording", |bencher| {
        bencher.iter(|| {
            let recording = Recording::open(directory.path()).expect("it was just written");
            let summary = recording.read(&mut |event| drop(black_box(event))).expect("it was just written");
            assert_eq!(summary.records, RECORDS * ROUNDS);
        });
    });
}

criterion_group!(benches, flush, decode);
criterion_main!(benches);
