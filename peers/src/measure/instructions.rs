//! Spans for an instruction counter: everything else is outside of the function that it is told to watch.

use super::{BURST, Figures, Subject, directory};

/// Spans that are counted.
pub const SPANS: u64 = 20_000;

/// What the counter is told to watch, as a pattern.
pub const SYMBOL: &str = "*instructions::counted*";

pub fn instructions(subject: Subject) -> Figures {
    let directory = directory();
    let mut recording = subject.start(directory.path());
    let make = || {
        recording.thread_starts();
        recording.around(&mut || (subject.row.spans)(BURST));
        recording.around(&mut || counted(subject.row.spans));
        recording.thread_ends();
    };
    std::thread::scope(|scope| scope.spawn(make).join().expect("no library panics"));
    recording.stop();
    Figures::new()
}

#[inline(never)]
fn counted(spans: fn(u64)) {
    spans(SPANS);
    // Not a tail call: the counter would miss the return.
    std::hint::black_box(());
}
