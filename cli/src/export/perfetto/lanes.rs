//! Which row of the picture each span is drawn in.
//!
//! In a trace viewer, slices of one row nest by time alone: whatever begins later and has not outlived the slice before it
//! is drawn inside it. Async spans overlap freely, so a span may share a row with another only if they are apart in time, or
//! if it is that span's child and lies within it. Everything else gets a row of its own.
//!
//! Rows come in *families*: a span without a parent takes a family that is idle, of those of its *sort*, and its descendants stay in it.
//! The first row shows the root with all that nests, further rows what runs in parallel or outlives its parent.
//!
//! Spans should come in the order of their begin. One that comes late is never drawn wrongly, only in another row than it
//! might have been.

use crate::by_id::ById;
use std::collections::BTreeSet;

/// The end of a span that has none.
pub(super) const OPEN: u64 = u64::MAX;

/// When a span was there, and whose child it is.
#[derive(Clone, Copy, Debug)]
pub(super) struct Stay {
    pub(super) id: u64,
    pub(super) parent: u64,
    pub(super) begin_ns: u64,
    /// Not before `begin_ns`; [`OPEN`] if the span has no end.
    pub(super) end_ns: u64,
}

/// A row of a family.
#[derive(Clone, Copy, Debug)]
pub(super) struct Spot {
    pub(super) family: usize,
    /// 0 is the row of the family's root.
    pub(super) row: usize,
}

/// Places async spans.
#[derive(Debug)]
pub(super) struct AsyncLanes {
    families: Vec<Family>,
    /// By sort: its families by the moment from which they are idle.
    idle_from: Vec<BTreeSet<(u64, usize)>>,
    /// Where spans were placed whose children may still come.
    homes: ById<Home>,
    /// The same of those that were placed before. To forget them all at once takes less time than one by one.
    homes_before: ById<Home>,
    remember: usize,
}

/// Where a span was placed.
#[derive(Clone, Copy, Debug)]
pub(super) struct Placed {
    pub(super) spot: Spot,
    /// The slice that it is drawn inside.
    pub(super) around: Option<u64>,
}

#[derive(Debug, Default)]
struct Family {
    rows: Rows,
    sort: u32,
    /// Which of its sort it is, from 1.
    number: usize,
    idle_from: u64,
    /// How many roots it has had, modulo 2^32: a home in an earlier life of the family is no home any more.
    life: u32,
}

#[derive(Clone, Copy, Debug)]
struct Home {
    family: u32,
    row: u32,
    life: u32,
    /// What its placer calls it.
    number: u32,
}

impl AsyncLanes {
    /// Remembers the places of the last `remember` spans, or of some more, for their children.
    pub(super) fn new(remember: usize) -> AsyncLanes {
        AsyncLanes {
            families: Vec::new(),
            idle_from: Vec::new(),
            homes: ById::default(),
            homes_before: ById::default(),
            remember,
        }
    }

    /// Places a span, for which [`AsyncLanes::number`] will be `number`, or, without one, what can have no children. Only if it
    /// `may_nest` it is drawn inside its parent. Sorts are numbered from 0, with few gaps.
    pub(super) fn place(&mut self, stay: Stay, sort: u32, may_nest: bool, number: Option<u32>) -> Placed {
        let home = if stay.parent == 0 { None } else { self.home(stay.parent).copied() };
        let spot = match home.filter(|home| self.families[home.family as usize].life == home.life) {
            Some(home) => {
                let rows = &mut self.families[home.family as usize].rows;
                let nests = may_nest && rows.takes_child(home.row as usize, stay);
                let row = if nests { home.row as usize } else { rows.idle_row(stay.begin_ns, 0) };
                Spot { family: home.family as usize, row }
            }
            None => Spot { family: self.idle_family(stay.begin_ns, sort), row: 0 },
        };
        let family = &mut self.families[spot.family];
        let around = family.rows.put(spot.row, stay);
        let life = family.life;
        self.keep_busy(spot.family, stay.end_ns);
        if let Some(number) = number {
            self.remember(stay.id, Home { family: spot.family as u32, row: spot.row as u32, life, number });
        }
        Placed { spot, around }
    }

    /// The number of a span that was placed, while it is remembered.
    pub(super) fn number(&self, id: u64) -> Option<u32> {
        self.home(id).map(|home| home.number)
    }

    #[inline]
    fn home(&self, id: u64) -> Option<&Home> {
        self.homes.get(id).or_else(|| self.homes_before.get(id))
    }

    /// The sort of a family, and which of that sort it is, from 1.
    pub(super) fn sort(&self, family: usize) -> (u32, usize) {
        (self.families[family].sort, self.families[family].number)
    }

    /// A family of that sort that is idle from `at_ns` on, for a new root.
    fn idle_family(&mut self, at_ns: u64, sort: u32) -> usize {
        if self.idle_from.len() <= sort as usize {
            self.idle_from.resize(sort as usize + 1, BTreeSet::new());
        }
        let idle_from = &mut self.idle_from[sort as usize];
        let family = lowest_idle(idle_from, at_ns, 0).unwrap_or(self.families.len());
        if family == self.families.len() {
            self.families.push(Family { sort, number: idle_from.len() + 1, ..Family::default() });
            idle_from.insert((0, family));
        }
        self.families[family].life = self.families[family].life.wrapping_add(1);
        family
    }

    fn keep_busy(&mut self, family: usize, until_ns: u64) {
        let Family { idle_from, sort, .. } = &mut self.families[family];
        if until_ns > *idle_from {
            let all = &mut self.idle_from[*sort as usize];
            all.remove(&(*idle_from, family));
            *idle_from = until_ns;
            all.insert((until_ns, family));
        }
    }

    fn remember(&mut self, id: u64, home: Home) {
        if self.homes.len() >= self.remember {
            std::mem::swap(&mut self.homes, &mut self.homes_before);
            self.homes.clear();
        }
        self.homes.insert(id, home);
    }
}

/// Places the spans of one thread: those nest by time, as calls do. Only a guard that was dropped out of order, or a span
/// whose end may be lost, needs another row than the first.
#[derive(Debug, Default)]
pub(super) struct ThreadLanes {
    rows: Rows,
}

impl ThreadLanes {
    /// The row for a span, 0 is the thread's own, and the slice it is drawn inside. A `doubtful` span is not to have others nested
    /// in it.
    pub(super) fn place(&mut self, stay: Stay, doubtful: bool) -> (usize, Option<u64>) {
        let rows = &mut self.rows;
        rows.reserve(1);
        let row = if !doubtful && rows.takes_nested(0, stay) { 0 } else { rows.idle_row(stay.begin_ns, 1) };
        let around = rows.put(row, stay);
        (row, around)
    }
}

/// Of the entries that are idle from `at_ns` on, and not before `first`, one with a low number: the picture stays compact.
fn lowest_idle(idle_from: &BTreeSet<(u64, usize)>, at_ns: u64, first: usize) -> Option<usize> {
    // Looking at a few keeps it fast when there are thousands.
    let idle = idle_from.range(..=(at_ns, usize::MAX)).rev().map(|&(_, entry)| entry);
    idle.filter(|&entry| entry >= first).take(32).min()
}

/// Rows of slices.
#[derive(Debug, Default)]
struct Rows {
    all: Vec<Row>,
    /// Rows by the moment from which they are idle.
    idle_from: BTreeSet<(u64, usize)>,
}

#[derive(Debug, Default)]
struct Row {
    /// The slices, outermost first, that had not ended when the row was last looked at.
    slices: Vec<(u64, u64)>,
    /// When that was: what `slices` held earlier is not known any more.
    seen_ns: u64,
    idle_from: u64,
}

impl Rows {
    /// Whether `stay` would be drawn directly inside its parent in that row, and end no later.
    fn takes_child(&mut self, row: usize, stay: Stay) -> bool {
        let innermost = self.all[row].innermost(stay.begin_ns);
        innermost
            .is_some_and(|innermost| innermost.is_some_and(|(id, end_ns)| id == stay.parent && stay.end_ns <= end_ns))
    }

    /// Whether `stay` would be drawn within the slice it begins in, or in none.
    fn takes_nested(&mut self, row: usize, stay: Stay) -> bool {
        let innermost = self.all[row].innermost(stay.begin_ns);
        innermost.is_some_and(|innermost| innermost.is_none_or(|(_, end_ns)| stay.end_ns <= end_ns))
    }

    /// A row, not before `first`, that is idle from `at_ns` on.
    fn idle_row(&self, at_ns: u64, first: usize) -> usize {
        lowest_idle(&self.idle_from, at_ns, first).unwrap_or(self.all.len())
    }

    /// Draws a slice; returns the one it is in.
    fn put(&mut self, row: usize, stay: Stay) -> Option<u64> {
        self.reserve(row + 1);
        let idle_from = &mut self.all[row].idle_from;
        if stay.end_ns > *idle_from {
            self.idle_from.remove(&(*idle_from, row));
            *idle_from = stay.end_ns;
            self.idle_from.insert((stay.end_ns, row));
        }
        let row = &mut self.all[row];
        let around = row.innermost(stay.begin_ns).flatten().map(|(id, _)| id);
        row.slices.push((stay.id, stay.end_ns));
        around
    }

    /// Makes sure of `count` rows.
    fn reserve(&mut self, count: usize) {
        while self.all.len() < count {
            self.idle_from.insert((0, self.all.len()));
            self.all.push(Row::default());
        }
    }
}

impl Row {
    /// The slice that is the innermost at that moment, if any; `None` if the moment is too long ago to tell.
    fn innermost(&mut self, at_ns: u64) -> Option<Option<(u64, u64)>> {
        if at_ns < self.seen_ns {
            return None;
        }
        self.seen_ns = at_ns;
        while self.slices.last().is_some_and(|&(_, end_ns)| end_ns <= at_ns) {
            self.slices.pop();
        }
        Some(self.slices.last().copied())
    }
}
