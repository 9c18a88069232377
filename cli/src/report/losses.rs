//! Where records are missing, as drawn in the timeline.

use super::MOST_LOSSES;
use serde::Serialize;
use spanring::reader::{Loss, LossCause};

/// The gaps of a recording.
#[derive(Debug)]
pub(super) struct Losses {
    pub(super) gaps: Vec<Gap>,
    /// At so many, neighbours become one.
    merge_at: usize,
}

/// A stretch in which records of a thread are missing.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub(super) struct Gap {
    thread: u32,
    cause: &'static str,
    pub(super) records: u64,
    /// When the record before was written; `None`: there is none.
    #[serde(skip)]
    pub(super) after_unix_ns: Option<u64>,
    /// When the record after was written; `None`: there is none.
    #[serde(skip)]
    pub(super) before_unix_ns: Option<u64>,
    /// How many gaps this stands for: neighbours, with records between them.
    gaps: u64,
}

impl Default for Losses {
    fn default() -> Losses {
        Losses { gaps: Vec::new(), merge_at: 2 * MOST_LOSSES }
    }
}

impl Losses {
    pub(super) fn add(&mut self, loss: &Loss) {
        self.gaps.push(Gap {
            thread: loss.thread,
            cause: match loss.cause {
                LossCause::Dropped => "dropped",
                LossCause::Overwritten => "overwritten",
                LossCause::Retired => "retired",
            },
            records: loss.records,
            after_unix_ns: loss.after_unix_ns,
            before_unix_ns: loss.before_unix_ns,
            gaps: 1,
        });
        if self.gaps.len() >= self.merge_at {
            self.merge();
            // Gaps of as many threads have few neighbours.
            self.merge_at = 2 * self.gaps.len().max(MOST_LOSSES);
        }
    }

    /// All gaps, or neighbours as one if there are too many.
    pub(super) fn finish(mut self) -> Losses {
        if self.gaps.len() > MOST_LOSSES {
            self.merge();
        }
        self.sort();
        self.bound();
        self
    }

    /// Where nothing says when a gap was over, the record before the next one does.
    fn bound(&mut self) {
        self.gaps.sort_by_key(|gap| (gap.thread, gap.after_unix_ns));
        for index in 1..self.gaps.len() {
            let (before, next) = (index - 1, &self.gaps[index]);
            let (thread, after) = (next.thread, next.after_unix_ns);
            let gap = &mut self.gaps[before];
            if gap.thread == thread && gap.before_unix_ns.is_none() {
                gap.before_unix_ns = after;
            }
        }
    }

    fn sort(&mut self) {
        self.gaps.sort_by(|a, b| {
            (a.thread, a.cause, a.after_unix_ns, a.before_unix_ns).cmp(&(
                b.thread,
                b.cause,
                b.after_unix_ns,
                b.before_unix_ns,
            ))
        });
    }

    /// Makes one of each two neighbours of the same thread and cause.
    fn merge(&mut self) {
        self.sort();
        let mut merged: Vec<Gap> = Vec::with_capacity(MOST_LOSSES);
        let mut alone = false;
        for gap in self.gaps.drain(..) {
            match merged.last_mut() {
                Some(last) if alone && (last.thread, last.cause) == (gap.thread, gap.cause) => {
                    last.records = last.records.saturating_add(gap.records);
                    last.before_unix_ns = gap.before_unix_ns;
                    last.gaps += gap.gaps;
                    alone = false;
                }
                _ => {
                    merged.push(gap);
                    alone = true;
                }
            }
        }
        self.gaps = merged;
    }
}
