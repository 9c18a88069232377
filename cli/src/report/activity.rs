//! What went on over time: how many spans began, ended and failed, in steps of equal length over the whole recording.

use super::failed;
use crate::spans::Span;
use serde::Serialize;

/// The most steps that there are. When there would be more, each two become one.
const MOST_STEPS: usize = 2048;
/// How long the steps are at first: 2^16 ns.
const FIRST_STEP_LOG2: u32 = 16;

/// Counts of all spans over time.
#[derive(Debug, Serialize)]
pub(super) struct Activity {
    #[serde(skip)]
    from_unix_ns: u64,
    /// A step is 2 to the power of this many nanoseconds long.
    step_log2: u32,
    began: Vec<u64>,
    ended: Vec<u64>,
    failed: Vec<u64>,
}

impl Activity {
    /// Counts from that moment on; what was before counts into the first step.
    pub(super) fn since(from_unix_ns: u64) -> Activity {
        Activity { from_unix_ns, step_log2: FIRST_STEP_LOG2, began: Vec::new(), ended: Vec::new(), failed: Vec::new() }
    }

    pub(super) fn add(&mut self, span: &Span<'_>) {
        let began = self.step_of(span.begin_ns);
        self.began[began] += 1;
        if let Some(end_ns) = span.end_ns {
            // An end that comes before its begin, by a clock that was set back, is where the span began.
            let ended = self.step_of(end_ns.max(span.begin_ns));
            self.ended[ended] += 1;
            self.failed[ended] += u64::from(failed(span.ending));
        }
    }

    /// The step of a moment, which exists afterwards.
    fn step_of(&mut self, unix_ns: u64) -> usize {
        let after = unix_ns.saturating_sub(self.from_unix_ns);
        while after >> self.step_log2 >= MOST_STEPS as u64 {
            for counts in [&mut self.began, &mut self.ended, &mut self.failed] {
                *counts = counts.chunks(2).map(|pair| pair.iter().sum()).collect();
            }
            self.step_log2 += 1;
        }
        let step = (after >> self.step_log2) as usize;
        if step >= self.began.len() {
            for counts in [&mut self.began, &mut self.ended, &mut self.failed] {
                counts.resize(step + 1, 0);
            }
        }
        step
    }
}
