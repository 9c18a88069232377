//! From ticks to time, by a recording's anchors.

use crate::format::Anchor;

/// Anchors closer than this are not worth keeping, but for the last. In that time no processor drifts by a nanosecond more than
/// between the anchors' own readings.
const SPACING_NS: u64 = 1_000_000_000;

/// Fraction bits of a rate.
const SHIFT: u32 = 40;

const SECOND_NS: u128 = 1_000_000_000;

/// Turns ticks into nanoseconds since 1970.
///
/// Between two anchors time runs evenly on the monotonic clock; the wall clock of the start is added. So a wall clock that is
/// set back during the recording turns nothing around.
#[derive(Clone, Debug)]
pub(super) struct ClockMap {
    /// Each piece begins at its anchor and goes on to the next; the last one for ever. Never empty.
    pieces: Vec<Piece>,
}

/// A map in use.
#[derive(Clone, Copy, Debug)]
pub(super) struct Clock<'a> {
    map: &'a ClockMap,
    /// The piece that was used last: the next ticks are likely to be in it too.
    recent: Piece,
}

#[derive(Clone, Copy, Debug)]
struct Piece {
    /// Where it begins.
    ticks: u64,
    /// The time where it begins.
    unix_ns: u64,
    /// Nanoseconds per tick, times 2^[`SHIFT`].
    rate: u64,
    /// Ticks from where it begins that are in it, and of which no time overflows.
    sure: u64,
}

impl ClockMap {
    /// A map of the anchors between which the recording was written, in any order.
    pub(super) fn new(start: Anchor, ticks_per_second: u64, mut anchors: Vec<Anchor>) -> ClockMap {
        anchors.sort_unstable_by_key(|anchor| anchor.ticks);
        let mut kept = vec![start];
        for (index, anchor) in anchors.iter().enumerate() {
            let last = kept[kept.len() - 1];
            let later = anchor.ticks > last.ticks && anchor.monotonic_ns > last.monotonic_ns;
            let far = anchor.monotonic_ns.saturating_sub(last.monotonic_ns) >= SPACING_NS;
            if later && (far || index + 1 == anchors.len()) {
                kept.push(*anchor);
            }
        }
        let mut rate = ((SECOND_NS << SHIFT) / u128::from(ticks_per_second.max(1))) as u64;
        let pieces = kept.iter().enumerate().map(|(index, anchor)| {
            let next = kept.get(index + 1);
            rate = next.map_or(rate, |next| rate_between(anchor, next));
            let since_start = anchor.monotonic_ns - start.monotonic_ns;
            let unix_ns = start.unix_ns.saturating_add(since_start);
            Piece::new(anchor.ticks, next.map_or(u64::MAX, |next| next.ticks), unix_ns, rate)
        });
        ClockMap { pieces: pieces.collect() }
    }

    pub(super) fn clock(&self) -> Clock<'_> {
        Clock { map: self, recent: self.pieces[0] }
    }

    /// The time of `ticks`, and the piece that they are in.
    #[cold]
    fn look_up(&self, ticks: u64) -> (u64, Piece) {
        let index = self.pieces.partition_point(|piece| piece.ticks <= ticks).saturating_sub(1);
        let piece = self.pieces[index];
        let unix_ns = match piece.ticks.checked_sub(ticks) {
            // Before the first.
            Some(distance) => piece.unix_ns.saturating_sub(piece.ns(distance)),
            None => piece.unix_ns(ticks),
        };
        (unix_ns, piece)
    }
}

impl Clock<'_> {
    /// The time of `ticks`, in nanoseconds since 1970.
    #[inline]
    pub(super) fn unix_ns(&mut self, ticks: u64) -> u64 {
        let since = ticks.wrapping_sub(self.recent.ticks);
        if since < self.recent.sure {
            return self.recent.unix_ns + self.recent.ns_of(since) as u64;
        }
        let (unix_ns, piece) = self.map.look_up(ticks);
        self.recent = piece;
        unix_ns
    }
}

impl Piece {
    fn new(ticks: u64, end: u64, unix_ns: u64, rate: u64) -> Piece {
        let most = (1_u128 << (63 + SHIFT)) / u128::from(rate.max(1));
        // Two numbers below 2^63 have a sum.
        let most = if unix_ns >> 63 == 0 { u64::try_from(most).unwrap_or(u64::MAX) } else { 0 };
        Piece { ticks, unix_ns, rate, sure: most.min(end - ticks) }
    }

    fn unix_ns(&self, ticks: u64) -> u64 {
        self.unix_ns.saturating_add(self.ns(ticks - self.ticks))
    }

    /// How long so many ticks take.
    fn ns(&self, ticks: u64) -> u64 {
        u64::try_from(self.ns_of(ticks)).unwrap_or(u64::MAX)
    }

    #[inline]
    fn ns_of(&self, ticks: u64) -> u128 {
        (u128::from(ticks) * u128::from(self.rate)) >> SHIFT
    }
}

fn rate_between(from: &Anchor, to: &Anchor) -> u64 {
    let ns = u128::from(to.monotonic_ns - from.monotonic_ns);
    u64::try_from((ns << SHIFT) / u128::from(to.ticks - from.ticks)).unwrap_or(u64::MAX)
}

#[cfg(test)]
mod tests {
    use super::*;

    const START: Anchor = Anchor { ticks: 1_000, monotonic_ns: 5_000, unix_ns: 1_000_000_000_000 };

    #[test]
    fn without_another_anchor_the_nominal_rate_counts() {
        let map = ClockMap::new(START, 2_000_000_000, vec![]);
        assert_eq!(map.clock().unix_ns(1_000), START.unix_ns);
        assert_eq!(map.clock().unix_ns(1_000 + 2_000_000_000), START.unix_ns + 1_000_000_000);
        assert_eq!(map.clock().unix_ns(0), START.unix_ns - 500);
    }

    #[test]
    fn time_runs_evenly_between_anchors_and_on_after_the_last() {
        let second = Anchor { ticks: 3_000_001_000, monotonic_ns: 2_000_005_000, unix_ns: 7 };
        let third = Anchor { ticks: 4_000_001_000, monotonic_ns: 4_000_005_000, unix_ns: 7 };
        let map = ClockMap::new(START, 1, vec![third, second]);
        let after = |ticks: u64| map.clock().unix_ns(ticks) - START.unix_ns;
        assert!(after(1_500_001_000).abs_diff(1_000_000_000) <= 1);
        assert_eq!(after(3_000_001_000), 2_000_000_000);
        assert_eq!(after(3_500_001_000), 3_000_000_000);
        assert_eq!(after(5_000_001_000), 6_000_000_000);
    }

    #[test]
    fn time_never_goes_back_as_ticks_go_on() {
        let anchors = (1..50).map(|i| Anchor {
            ticks: 1_000 + i * 2_900_000_001,
            monotonic_ns: 5_000 + i * 1_100_000_003,
            unix_ns: 0,
        });
        let map = ClockMap::new(START, 2_600_000_000, anchors.collect());
        let times: Vec<u64> = (0..100_000)
            .step_by(if cfg!(miri) { 499 } else { 1 })
            .map(|i| map.clock().unix_ns(i * 1_500_001))
            .collect();
        assert!(times.is_sorted());
    }

    #[test]
    fn the_short_way_to_a_time_and_the_long_one_end_alike() {
        let second = Anchor { ticks: 3_000_001_000, monotonic_ns: 2_000_005_000, unix_ns: 7 };
        for unix_ns in [START.unix_ns, (1 << 63) - 1, 1 << 63, u64::MAX] {
            for ticks_per_second in [0, 1, 3, 2_600_000_000, u64::MAX] {
                let map = ClockMap::new(Anchor { unix_ns, ..START }, ticks_per_second, vec![second]);
                let near = (0..64)
                    .step_by(if cfg!(miri) { 9 } else { 1 })
                    .flat_map(|bit| [1 << bit, (1 << bit) - 1, (1 << bit) + 1_000]);
                let mut clock = map.clock();
                for ticks in near.flat_map(|ticks: u64| [ticks, ticks.wrapping_neg(), second.ticks.wrapping_add(ticks)])
                {
                    let long = map.look_up(ticks).0;
                    assert_eq!(clock.unix_ns(ticks), long, "{ticks} ticks from {unix_ns} at {ticks_per_second}");
                }
            }
        }
    }

    #[test]
    fn an_anchor_that_contradicts_the_others_is_passed_over() {
        let wrong = Anchor { ticks: 9_000_000_000, monotonic_ns: 1, unix_ns: 0 };
        let map = ClockMap::new(START, 1_000_000_000, vec![wrong]);
        assert_eq!(map.clock().unix_ns(2_000), START.unix_ns + 1_000);
        assert_eq!(map.clock().unix_ns(u64::MAX), u64::MAX);
    }
}
