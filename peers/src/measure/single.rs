//! How long single spans take, with the library's own flush running: the tail, which averages hide.

use super::clocks::{ticks_after, ticks_before};
use super::pace::Pace;
use super::{BURST, Figures, Scale, Subject, arrived, directory};
use crate::library::Recording;
use std::time::Instant;

const WARM_UP: usize = 8;

pub fn single(subject: Subject, scale: Scale) -> Figures {
    let bursts = scale.pick(50, 500);
    let directory = directory();
    let mut recording = subject.start(directory.path());
    let mut ticks = vec![0; bursts * BURST as usize];
    let started = (Instant::now(), ticks_before());
    std::thread::scope(|scope| {
        scope.spawn(|| measure(subject, &*recording, &mut ticks)).join().expect("no library panics")
    });
    let ns_per_tick = started.0.elapsed().as_nanos() as f64 / (ticks_after() - started.1) as f64;
    recording.stop();
    ticks.sort_unstable();
    let at = |share: f64| ticks[((ticks.len() - 1) as f64 * share) as usize] as f64 * ns_per_tick;
    let mut figures =
        vec![("p50", at(0.5)), ("p99", at(0.99)), ("p99.9", at(0.999)), ("p99.99", at(0.9999)), ("max", at(1.0))];
    figures.extend(arrived(recording.outcome(subject.row), (WARM_UP + bursts) as u64 * BURST));
    figures
}

fn measure(subject: Subject, recording: &dyn Recording, ticks: &mut [u64]) {
    let one = subject.row.spans;
    recording.thread_starts();
    let mut pace = Pace::new();
    let mut burst = |ticks: &mut [u64]| {
        recording.around(&mut || {
            for ticks in &mut *ticks {
                let before = ticks_before();
                one(1);
                *ticks = ticks_after() - before;
            }
        });
        recording.between();
        pace.wait();
    };
    let mut forgotten = vec![0; BURST as usize];
    (0..WARM_UP).for_each(|_| burst(&mut forgotten));
    ticks.chunks_mut(BURST as usize).for_each(&mut burst);
    recording.thread_ends();
}
