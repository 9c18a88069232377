//! What a span costs in a tokio runtime: tasks that yield inside one named span each, beside the same tasks without, in turns.

use super::clocks::process_usage;
use super::{Figures, Scale, Subject, arrived, directory};
use crate::library::{Spawn, spawn_each, work};
use std::thread::sleep;
use std::time::Duration;
use tokio::runtime::Runtime;

const TASKS: u64 = 10_000;
/// After each round: what a library does in the background has the time to be done, and counts where it belongs. Longer than any of
/// them sleeps by default while there is something to do, and than spanring does.
const SETTLE: Duration = Duration::from_millis(25);

pub fn tasks(subject: Subject, scale: Scale) -> Figures {
    let rounds = scale.pick(20, 60);
    let Some(spanned) = subject.row.tasks else { return Figures::new() };
    let bare: Spawn = |tasks| spawn_each(tasks, work);
    let directory = directory();
    let mut recording = subject.start(directory.path());
    let mut runtime = Some(recording.runtime().build().expect("threads can be started"));
    let run = |runtime: &Option<Runtime>, spawn: Spawn| run(runtime.as_ref().expect("it still runs"), spawn);
    run(&runtime, bare);
    run(&runtime, spanned);
    recording.flush();
    let (mut with, mut without) = (Duration::ZERO, Duration::ZERO);
    for round in 0..rounds {
        // Which of them goes first makes a difference: in turns.
        for bare_now in [round % 2 == 0, round % 2 == 1] {
            match bare_now {
                true => {
                    without += used(|| {
                        run(&runtime, bare);
                        sleep(SETTLE);
                    });
                }
                false => {
                    with += used(|| {
                        run(&runtime, spanned);
                        recording.flush();
                        sleep(SETTLE);
                    });
                }
            }
        }
    }
    with += used(|| {
        drop(runtime.take());
        recording.stop();
    });
    let per_task = |time: Duration| time.as_secs_f64() * 1e9 / (rounds * TASKS) as f64;
    let mut figures = vec![("task ns", per_task(with) - per_task(without)), ("bare task ns", per_task(without))];
    figures.extend(arrived(recording.outcome(subject.row), (rounds + 1) * TASKS));
    figures
}

/// Spawns so many tasks from a worker, as a service does, and waits for all of them.
fn run(runtime: &Runtime, spawn: Spawn) {
    let all = runtime.spawn(async move {
        for task in spawn(TASKS) {
            task.await.expect("tasks do not panic");
        }
    });
    runtime.block_on(all).expect("nor does this one");
}

fn used(work: impl FnOnce()) -> Duration {
    let before = process_usage().time;
    work();
    process_usage().time - before
}
