//! What a span costs the thread that records it: beside the floor, burst by burst, on 1 thread and on 2.

use super::clocks::thread_time;
use super::pace::{Pace, Start};
use super::{BURST, Figures, Scale, Subject, arrived, directory, median};
use crate::library::Recording;
use std::time::Duration;

/// Bursts before the time counts.
const WARM_UP: usize = 8;

/// Nanoseconds per span in a round.
struct Round {
    floor: f64,
    row: f64,
}

pub fn cost(subject: Subject, scale: Scale) -> Figures {
    let (rounds, bursts) = scale.pick((5, 10), (10, 16));
    let directory = directory();
    let mut recording = subject.start(directory.path());
    let mut figures = Figures::new();
    let mut made = 0;
    for (threads, ns, ratio) in [(1, "ns, 1 thread", "floors, 1 thread"), (2, "ns, 2 threads", "floors, 2 threads")] {
        let start = Start::new(threads);
        let measured: Vec<Vec<Round>> = std::thread::scope(|scope| {
            let measure = || measure(subject, &*recording, &start, rounds, bursts);
            let threads: Vec<_> = (0..threads).map(|_| scope.spawn(measure)).collect();
            threads.into_iter().map(|thread| thread.join().expect("no library panics")).collect()
        });
        made += (threads * (WARM_UP + rounds * bursts)) as u64 * BURST;
        let mean = |of: fn(&Round) -> f64| {
            let medians = measured.iter().map(|rounds| median(rounds.iter().map(of).collect()));
            medians.sum::<f64>() / threads as f64
        };
        figures.extend([(ns, mean(|round| round.row)), (ratio, mean(|round| round.row / round.floor))]);
    }
    recording.stop();
    figures.extend(arrived(recording.outcome(subject.row), made));
    figures
}

/// On one of the threads.
fn measure(subject: Subject, recording: &dyn Recording, start: &Start, rounds: usize, bursts: usize) -> Vec<Round> {
    recording.thread_starts();
    let mut pace = Pace::new();
    let mut floor_first = false;
    let mut both = || {
        let (mut floor, mut row) = (Duration::ZERO, Duration::ZERO);
        // Whoever goes first finds the caches cold: in turns.
        floor_first = !floor_first;
        for floor_now in [floor_first, !floor_first] {
            start.together();
            match floor_now {
                true => floor = timed(|| (subject.floor())(BURST)),
                false => recording.around(&mut || row = timed(|| (subject.row.spans)(BURST))),
            }
        }
        recording.between();
        pace.wait();
        (floor, row)
    };
    for _ in 0..WARM_UP {
        both();
    }
    let per_span = |time: Duration| time.as_secs_f64() * 1e9 / (bursts as u64 * BURST) as f64;
    let rounds = (0..rounds).map(|_| {
        let times: Vec<(Duration, Duration)> = (0..bursts).map(|_| both()).collect();
        Round {
            floor: per_span(times.iter().map(|(floor, _)| *floor).sum()),
            row: per_span(times.iter().map(|(_, row)| *row).sum()),
        }
    });
    let rounds = rounds.collect();
    recording.thread_ends();
    rounds
}

fn timed(spans: impl FnOnce()) -> Duration {
    let before = thread_time();
    spans();
    thread_time() - before
}
