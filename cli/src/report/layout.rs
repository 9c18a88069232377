//! Which lane of the timeline each span is drawn in.
//!
//! No two spans that are there at the same time share a lane, whoever they belong to: a child stands below its parent, in the
//! first lane that is idle. Lanes come in *bands*, one for each place in the source that makes root spans, whatever their names, and one
//! for each thread with spans of its own. A root and all that is below it are a *family*; it has adjacent lanes of its band to itself while any of it is there.

use super::sample::{Kept, NONE, OPEN};
use rustc_hash::{FxHashMap, FxHashSet};
use spanring::reader::SpanKind;
use std::cmp::Reverse;
use std::collections::{BTreeSet, BinaryHeap};

/// Places of root spans beyond this many share a band.
const MOST_BANDS: usize = 200;

/// Where spans are drawn.
#[derive(Debug)]
pub(super) struct Layout {
    /// Index of each span's parent, [`NONE`] if it has none or it is not there. Always less than the span's own.
    pub(super) parents: Vec<u32>,
    /// Lane of each span.
    pub(super) lanes: Vec<u32>,
    /// From top to bottom, without gaps.
    pub(super) bands: Vec<Band>,
}

/// Adjacent lanes that belong together.
#[derive(Clone, Copy, Debug, PartialEq, Eq, serde::Serialize)]
pub(super) struct Band {
    pub(super) of: Family,
    /// The first lane.
    pub(super) first: u32,
    pub(super) lanes: u32,
    /// The row of the first root.
    pub(super) row: u32,
    /// How many rows its roots are of.
    pub(super) rows: u32,
}

/// What the families of a band have in common.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, serde::Serialize)]
#[serde(rename_all = "lowercase")]
pub(super) enum Family {
    /// Async spans whose roots are made at that place.
    Place(u32),
    /// Async spans whose roots are made elsewhere.
    Others,
    /// The spans of a thread.
    Thread(u32),
}

impl Layout {
    /// Lays out spans that are sorted by begin, parents before children. `places` has a number for the place of each row.
    pub(super) fn of(spans: &[Kept], places: &[u32]) -> Layout {
        let parents = parents(spans);
        let mut lanes = vec![0; spans.len()];
        let mut bands = Vec::new();
        for (family, members) in by_band(spans, &parents, places) {
            let first = bands.last().map_or(0, |band: &Band| band.first + band.lanes);
            let used = match family {
                Family::Thread(_) => lay_out_thread(spans, &members[0], &mut lanes),
                Family::Place(_) | Family::Others => lay_out_families(spans, &parents, &members, &mut lanes),
            };
            members.iter().flatten().for_each(|&index| lanes[index as usize] += first);
            let rows: FxHashSet<u32> = members.iter().map(|family| spans[family[0] as usize].row).collect();
            let row = spans[members[0][0] as usize].row;
            bands.push(Band { of: family, first, lanes: used, row, rows: rows.len() as u32 });
        }
        Layout { parents, lanes, bands }
    }
}

fn parents(spans: &[Kept]) -> Vec<u32> {
    let index: FxHashMap<u64, u32> = spans.iter().zip(0..).map(|(span, index)| (span.id, index)).collect();
    let parent = |(span, own): (&Kept, u32)| {
        let parent = index.get(&span.parent).copied().filter(|&parent| parent < own);
        parent.unwrap_or(NONE)
    };
    spans.iter().zip(0..).map(parent).collect()
}

/// The families of each band, each with its members by begin. Bands of async spans come first, those with the most spans
/// on top.
fn by_band(spans: &[Kept], parents: &[u32], places: &[u32]) -> Vec<(Family, Vec<Vec<u32>>)> {
    // The number of each span's family.
    let mut family_of = vec![NONE; spans.len()];
    let mut families: Vec<Vec<u32>> = Vec::new();
    let mut threads: FxHashMap<u32, u32> = FxHashMap::default();
    for (index, span) in spans.iter().enumerate() {
        let known = match span.kind {
            SpanKind::Thread => threads.get(&thread_of(span)).copied(),
            SpanKind::Async => parents.get(index).filter(|&&parent| parent != NONE).and_then(|&parent| {
                (spans[parent as usize].kind == SpanKind::Async).then(|| family_of[parent as usize])
            }),
        };
        let family = known.unwrap_or_else(|| {
            families.push(Vec::new());
            (families.len() - 1) as u32
        });
        if span.kind == SpanKind::Thread {
            threads.insert(thread_of(span), family);
        }
        family_of[index] = family;
        families[family as usize].push(index as u32);
    }

    let root = |family: &Vec<u32>| &spans[family[0] as usize];
    let mut members: FxHashMap<u32, usize> = FxHashMap::default();
    for family in families.iter().filter(|family| root(family).kind == SpanKind::Async) {
        *members.entry(places[root(family).row as usize]).or_default() += family.len();
    }
    let mut ranked: Vec<(usize, u32)> = members.into_iter().map(|(place, members)| (members, place)).collect();
    ranked.sort_unstable_by_key(|&(members, place)| (Reverse(members), place));
    let mut order: Vec<Family> = ranked.iter().take(MOST_BANDS).map(|&(_, place)| Family::Place(place)).collect();
    order.extend((ranked.len() > MOST_BANDS).then_some(Family::Others));
    let mut threads: Vec<u32> = threads.into_keys().collect();
    threads.sort_unstable();
    order.extend(threads.into_iter().map(Family::Thread));

    let positions: FxHashMap<Family, usize> = order.iter().copied().zip(0..).collect();
    let mut bands: Vec<(Family, Vec<Vec<u32>>)> = order.into_iter().map(|family| (family, Vec::new())).collect();
    for family in families {
        let root = root(&family);
        let of = match root.kind {
            SpanKind::Thread => Family::Thread(thread_of(root)),
            SpanKind::Async => Family::Place(places[root.row as usize]),
        };
        let band = positions.get(&of).unwrap_or_else(|| &positions[&Family::Others]);
        bands[*band].1.push(family);
    }
    bands
}

/// The thread in whose band a thread span is.
fn thread_of(span: &Kept) -> u32 {
    if span.begin_thread == NONE { span.end_thread } else { span.begin_thread }
}

/// Puts the spans of a thread each below those around it. Returns how many lanes that takes.
fn lay_out_thread(spans: &[Kept], members: &[u32], lanes: &mut [u32]) -> u32 {
    let mut idle = IdleLanes::default();
    for &index in members {
        let span = &spans[index as usize];
        lanes[index as usize] = idle.take(span.begin_ns, until(span), u32::from(span.depth));
    }
    idle.count
}

/// Gives each family adjacent lanes. Returns how many lanes that takes.
fn lay_out_families(spans: &[Kept], parents: &[u32], families: &[Vec<u32>], lanes: &mut [u32]) -> u32 {
    // A slot is where one family is at a time. It is as high as its highest family.
    let mut slots = IdleLanes::default();
    let mut heights: Vec<u32> = Vec::new();
    let mut slot_of = Vec::with_capacity(families.len());
    for family in families {
        let mut idle = IdleLanes::default();
        let mut until_ns = 0;
        for &index in family {
            let span = &spans[index as usize];
            let parent = parents[index as usize];
            let below = if index == family[0] { 0 } else { lanes[parent as usize] + 1 };
            lanes[index as usize] = idle.take(span.begin_ns, until(span), below);
            until_ns = until_ns.max(until(span));
        }
        let slot = slots.take(spans[family[0] as usize].begin_ns, until_ns, 0);
        heights.resize(heights.len().max(slot as usize + 1), 0);
        heights[slot as usize] = heights[slot as usize].max(idle.count);
        slot_of.push(slot);
    }
    let mut firsts = Vec::with_capacity(heights.len());
    let mut next = 0;
    for height in heights {
        firsts.push(next);
        next += height;
    }
    for (family, slot) in families.iter().zip(slot_of) {
        family.iter().for_each(|&index| lanes[index as usize] += firsts[slot as usize]);
    }
    next
}

/// From when on a lane is idle again. A span without length takes the nanosecond that it is in.
fn until(span: &Kept) -> u64 {
    if span.end_ns == OPEN { OPEN } else { span.end_ns.max(span.begin_ns.saturating_add(1)) }
}

/// Lanes, of which the idle ones are used again.
#[derive(Debug, Default)]
struct IdleLanes {
    count: u32,
    idle: BTreeSet<u32>,
    /// When the others will be idle.
    busy: BinaryHeap<Reverse<(u64, u32)>>,
}

impl IdleLanes {
    /// The first lane, not above `below`, that is idle at `at_ns`; it is busy until `until_ns` then. Times do not go back.
    fn take(&mut self, at_ns: u64, until_ns: u64, below: u32) -> u32 {
        while let Some(&Reverse((_, lane))) = self.busy.peek().filter(|Reverse((idle_ns, _))| *idle_ns <= at_ns) {
            self.busy.pop();
            self.idle.insert(lane);
        }
        // No lane is left out: the deepest span of a damaged recording is far down otherwise.
        let lane = self.idle.range(below.min(self.count)..).next().copied().unwrap_or(self.count);
        self.idle.remove(&lane);
        self.count = self.count.max(lane + 1);
        self.busy.push(Reverse((until_ns, lane)));
        lane
    }
}
