//! How long the spans of each row took: histograms with buckets of equal ratio.
//!
//! Bucket 0 holds durations of 0; bucket `1 + 8 × e + f` holds those from `2^e × (1 + f/8)` nanoseconds on, and below the next
//! bucket's first. A bucket is an eighth of its octave wide: never more than an eighth of its least duration.

use rustc_hash::FxHashMap;

/// The histograms of all rows.
#[derive(Debug, Default)]
pub(super) struct Latencies {
    counts: FxHashMap<(u32, u16), u64>,
}

impl Latencies {
    /// Adds a span that ended to the row with that number.
    pub(super) fn add(&mut self, row: u32, duration_ns: u64) {
        *self.counts.entry((row, bucket_of(duration_ns))).or_default() += 1;
    }

    /// For each of `rows` rows its buckets that are not empty, in order, with how many spans each holds.
    pub(super) fn by_row(&self, rows: usize) -> Vec<Vec<(u16, u64)>> {
        let mut all = vec![Vec::new(); rows];
        for (&(row, bucket), &count) in &self.counts {
            all[row as usize].push((bucket, count));
        }
        all.iter_mut().for_each(|buckets| buckets.sort_unstable());
        all
    }
}

fn bucket_of(duration_ns: u64) -> u16 {
    let Some(octave) = duration_ns.checked_ilog2() else { return 0 };
    // The three bits below the highest one.
    let eighth = (u128::from(duration_ns) << 3 >> octave) as u16 & 7;
    1 + 8 * octave as u16 + eighth
}

#[cfg(test)]
mod tests {
    use super::*;

    /// The least duration of a bucket, as the page computes it.
    fn least(bucket: u16) -> f64 {
        let Some(position) = bucket.checked_sub(1) else { return 0.0 };
        f64::from(position / 8).exp2() * (1.0 + f64::from(position % 8) / 8.0)
    }

    #[test]
    fn a_duration_is_within_its_bucket() {
        for duration in (0..5000).chain([1 << 40, (1 << 40) + 1, (1 << 50) - 1, 3 << 61]) {
            let bucket = bucket_of(duration);
            assert!(least(bucket) <= duration as f64 && (duration as f64) < least(bucket + 1), "{duration}: {bucket}");
        }
        assert_eq!(bucket_of(u64::MAX), 1 + 8 * 63 + 7);
    }
}
