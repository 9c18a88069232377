//! Counters over time: of each what its values were, in steps of equal length.

use crate::counters::{Counters, Number, Row};
use crate::spans::Counter;
use serde::Serialize;

/// The most steps of a counter. When there would be more, each two become one.
const MOST_STEPS: usize = 512;
/// How long the steps are at first: 2^16 ns.
const FIRST_STEP_LOG2: u32 = 16;
/// So many counters are drawn. Of others there are the sums.
const MOST_DRAWN: usize = 200;

/// All counters.
#[derive(Debug)]
pub(super) struct Series {
    from_unix_ns: u64,
    sums: Counters,
    /// Of the first counters, in the order in which they were met.
    lines: Vec<Line>,
}

/// A counter as it is shown.
#[derive(Debug, Serialize)]
pub(super) struct Drawn {
    #[serde(flatten)]
    pub(super) row: Row,
    #[serde(flatten)]
    line: Line,
}

/// The values of a counter over time.
#[derive(Clone, Debug, Serialize)]
struct Line {
    /// A step is 2 to the power of this many nanoseconds long.
    step_log2: u32,
    /// Step, least, greatest and last value of each step that has any.
    steps: Vec<(usize, f64, f64, f64)>,
}

impl Series {
    /// Counts from that moment on; what was before counts into the first step.
    pub(super) fn since(from_unix_ns: u64) -> Series {
        Series { from_unix_ns, sums: Counters::default(), lines: Vec::new() }
    }

    pub(super) fn add(&mut self, counter: &Counter<'_>) {
        let index = self.sums.add(counter);
        if index == self.lines.len() && index < MOST_DRAWN {
            self.lines.push(Line { step_log2: FIRST_STEP_LOG2, steps: Vec::new() });
        }
        let value = Number::of(counter.value).map(Number::as_f64).filter(|value| value.is_finite());
        if let (Some(line), Some(value)) = (self.lines.get_mut(index), value) {
            line.add(counter.unix_ns.saturating_sub(self.from_unix_ns), value);
        }
    }

    /// In alphabetical order.
    pub(super) fn finish(self) -> Vec<Drawn> {
        let none = Line { step_log2: FIRST_STEP_LOG2, steps: Vec::new() };
        let lines = self.lines.into_iter().chain(std::iter::repeat(none));
        let mut drawn: Vec<Drawn> =
            self.sums.finish().into_iter().zip(lines).map(|(row, line)| Drawn { row, line }).collect();
        drawn.sort_by(|a, b| a.row.name.cmp(&b.row.name));
        drawn
    }
}

impl Line {
    fn add(&mut self, after_ns: u64, value: f64) {
        while after_ns >> self.step_log2 >= MOST_STEPS as u64 {
            self.step_log2 += 1;
            let steps = std::mem::take(&mut self.steps);
            steps.into_iter().for_each(|(step, min, max, last)| self.join(step / 2, min, max, last));
        }
        self.join((after_ns >> self.step_log2) as usize, value, value, value);
    }

    /// Values of several threads may be read in another order than that of their steps.
    fn join(&mut self, step: usize, min: f64, max: f64, last: f64) {
        let at = self.steps.partition_point(|known| known.0 < step);
        match self.steps.get_mut(at).filter(|known| known.0 == step) {
            Some(known) => *known = (step, known.1.min(min), known.2.max(max), last),
            None => self.steps.insert(at, (step, min, max, last)),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use spanring::reader::Value;

    #[test]
    fn a_long_series_has_few_steps_and_every_extreme() {
        let mut series = Series::since(1000);
        for at in 0..100_000_u64 {
            let value = if at == 77_777 { Value::I64(-5) } else { Value::U64(at % 10) };
            let unix_ns = 1000 + at * 1_000_000;
            series.add(&Counter { name: "queue", name_index: Some(0), span: 0, thread: 1, unix_ns, value });
        }
        let drawn = series.finish();
        let Drawn { row, line } = &drawn[0];
        assert!((MOST_STEPS / 2..=MOST_STEPS).contains(&line.steps.len()), "{}", line.steps.len());
        assert!(line.steps.is_sorted_by(|a, b| a.0 < b.0));
        let least = line.steps.iter().map(|step| step.1).fold(f64::INFINITY, f64::min);
        assert_eq!((least, row.count, row.last), (-5.0, 100_000, Some(Number::Integer(9))));
    }
}
