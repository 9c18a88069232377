//! What a span costs: static against named against run-time names, sync and async, recorded and not, on 1 and 2 threads, beside
//! floors. `cargo bench -p spanring --bench ratios` puts the same rows into one table.

#[allow(dead_code, reason = "what compares rows is for the table")]
mod rows;

use criterion::measurement::WallTime;
use criterion::{BenchmarkGroup, Criterion, criterion_group, criterion_main};
use rows::setup::{Recording, Setup};
use rows::{FLOORS, Row, SPANS, time};
use std::time::Duration;

fn spans(criterion: &mut Criterion) {
    let setups = [Setup::Off].into_iter().chain(Setup::RECORDING).filter(|setup| setup.exists());
    for setup in setups {
        let recording = setup.start();
        for threads in [1, 2] {
            let mut group = criterion.benchmark_group(format!("{}, {threads} threads", setup.name()));
            group.sample_size(10).warm_up_time(Duration::from_millis(50)).measurement_time(Duration::from_millis(300));
            // The floors stand beside every setup: a ratio is one of the same minute.
            for row in FLOORS.iter().chain(&SPANS) {
                bench(&mut group, *row, setup, &recording, threads);
            }
        }
    }
}

fn bench(group: &mut BenchmarkGroup<'_, WallTime>, row: Row, setup: Setup, recording: &Recording, threads: usize) {
    group.bench_function(row.name, |bencher| {
        bencher.iter_custom(|spans| time(row, setup, recording, threads, spans));
    });
}

criterion_group!(benches, spans);
criterion_main!(benches);
