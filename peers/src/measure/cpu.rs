//! What a span costs the process: the time of all its threads until everything is in its place, page faults, bytes on disk.

use super::clocks::{Usage, process_usage, thread_usage};
use super::pace::Pace;
use super::{BURST, Figures, Scale, Subject, arrived, directory};
use crate::library::{Off, Recording};

const WARM_UP: usize = 8;

pub fn cpu(subject: Subject, scale: Scale) -> Figures {
    let bursts = scale.pick(50, 250);
    let directory = directory();
    let (before, _) = on_a_thread(&Off, subject.bare(), bursts);
    let without = process_usage().since(before);
    let mut recording = subject.start(directory.path());
    let (before, thread) = on_a_thread(&*recording, subject.row.spans, bursts);
    recording.stop();
    let with = process_usage().since(before);
    let spans = (bursts as u64 * BURST) as f64;
    let time = with.time.as_secs_f64() - without.time.as_secs_f64();
    let mut figures = vec![
        ("CPU ns", time * 1e9 / spans),
        ("page faults", (with.page_faults as f64 - without.page_faults as f64) * 1000.0 / spans),
        ("page faults, recording thread", thread.page_faults as f64 * 1000.0 / spans),
    ];
    let outcome = recording.outcome(subject.row);
    let made = (WARM_UP + bursts) as u64 * BURST;
    figures.extend(arrived(outcome, made));
    let bytes = outcome.and_then(|outcome| Some((outcome.bytes? as f64, outcome.spans as f64)));
    figures.extend(bytes.map(|(bytes, spans)| ("bytes", bytes / spans)));
    figures
}

/// Runs paced bursts on a thread. Says what the process had used when it was warm, and what the thread used from then on.
fn on_a_thread(recording: &dyn Recording, spans: fn(u64), bursts: usize) -> (Usage, Usage) {
    let work = || {
        recording.thread_starts();
        let mut pace = Pace::new();
        let mut run = |bursts| {
            for _ in 0..bursts {
                recording.around(&mut || spans(BURST));
                recording.between();
                pace.wait();
            }
        };
        run(WARM_UP);
        let before = (process_usage(), thread_usage());
        run(bursts);
        let used = thread_usage().since(before.1);
        recording.thread_ends();
        (before.0, used)
    };
    std::thread::scope(|scope| scope.spawn(work).join().expect("no library panics"))
}
