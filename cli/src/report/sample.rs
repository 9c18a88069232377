//! The spans that a page shows one by one.
//!
//! All of them, if there are no more than the limit. Otherwise spans are left out as they stream by, in *units*: a span with
//! everything below it, as far as that is small. So what is shown of a unit is shown whole. Whenever too many are held,
//! units stay for one of two reasons: they have something special in them (an open span, one that failed, one of the slowest
//! of its row), or chance has it, the same for all: the hash of the unit's topmost span. The ancestors of what stays, stay.

use super::failed;
use crate::spans::{Attribute, Attributes, Details, Ending, Span};
use crate::top::OTHER_NAMES;
use rustc_hash::FxHashMap;
use spanring::reader::{NameState, SpanKind, Value};

/// The end of a span that has none.
pub(super) const OPEN: u64 = u64::MAX;
/// No index, no thread, no name of its own.
pub(super) const NONE: u32 = u32::MAX;
/// A time that was not measured.
pub(super) const NOT_KNOWN: u64 = u64::MAX;
/// A unit has no more spans than this.
const LARGEST_UNIT: u32 = 512;
/// Names of their own, of spans whose row is for other names, take no more bytes than this.
const MOST_NAME_BYTES: usize = 32 << 20;

/// Attributes and instants take about as many bytes at most.
const MOST_DETAIL_BYTES: usize = 64 << 20;

/// A span as it is held.
#[derive(Clone, Copy, Debug)]
pub(super) struct Kept {
    pub(super) id: u64,
    pub(super) parent: u64,
    pub(super) begin_ns: u64,
    /// Not before `begin_ns`; [`OPEN`] without an end.
    pub(super) end_ns: u64,
    /// The id of the topmost span of its unit, which may still have to come; 0 before that is decided.
    unit: u64,
    /// The number of its row.
    pub(super) row: u32,
    /// Index into the names, if the row is not called like it.
    pub(super) name: u32,
    /// Index into the details, if it has any.
    pub(super) details: u32,
    pub(super) begin_thread: u32,
    pub(super) end_thread: u32,
    /// [`NOT_KNOWN`] if it is not.
    pub(super) wait_ns: u64,
    /// [`NOT_KNOWN`] if it is not.
    pub(super) busy_ns: u64,
    pub(super) polls: u32,
    pub(super) depth: u16,
    pub(super) kind: SpanKind,
    pub(super) ending: Ending,
    pub(super) name_state: NameState,
    pub(super) begin_lost: bool,
    pub(super) end_may_be_lost: bool,
    pub(super) busy_partial: bool,
}

/// Holds spans, and leaves some out when there are too many.
#[derive(Debug)]
pub(super) struct Sample {
    limit: usize,
    spans: Vec<Kept>,
    names: Vec<Box<str>>,
    name_bytes: usize,
    details: Vec<Details>,
    detail_bytes: usize,
    chosen: Option<Chosen>,
}

/// By which rules spans were left out.
#[derive(Clone, Copy, Debug, PartialEq, Eq, serde::Serialize)]
pub(super) struct Chosen {
    /// Of each row, so many of the slowest spans are there for certain.
    pub(super) slowest: u32,
    /// Of the units without anything special, one in 2 to the power of this stays.
    pub(super) one_in_log2: u32,
}

/// The spans to be shown, by begin, and at equal begins parents before their children.
#[derive(Debug)]
pub(super) struct Shown {
    pub(super) spans: Vec<Kept>,
    pub(super) names: Vec<Box<str>>,
    pub(super) details: Vec<Details>,
    /// `None`: they are all there.
    pub(super) chosen: Option<Chosen>,
}

impl Sample {
    pub(super) fn new(limit: usize) -> Sample {
        Sample {
            limit,
            spans: Vec::new(),
            names: Vec::new(),
            name_bytes: 0,
            details: Vec::new(),
            detail_bytes: 0,
            chosen: None,
        }
    }

    pub(super) fn add(&mut self, span: &Span<'_>, row: u32, is_other: bool) {
        if self.spans.len() >= self.limit.saturating_add(self.limit / 4) {
            self.thin(&[self.limit / 4 * 3]);
        }
        if self.name_bytes > MOST_NAME_BYTES || self.detail_bytes > MOST_DETAIL_BYTES {
            self.limit = self.limit.min(self.spans.len() / 2);
            self.thin(&[self.limit / 4 * 3]);
        }
        let name = if is_other && span.name != OTHER_NAMES {
            self.name_bytes += span.name.len();
            self.names.push(span.name.into());
            (self.names.len() - 1) as u32
        } else {
            NONE
        };
        let details = span.details.map_or(NONE, |details| {
            self.detail_bytes += bytes_of(details);
            self.details.push(details.clone());
            (self.details.len() - 1) as u32
        });
        // The last two moments that there are, in the year 2554, mean something else.
        let begin_ns = span.begin_ns.min(OPEN - 2);
        self.spans.push(Kept {
            id: span.id,
            parent: span.parent,
            begin_ns,
            end_ns: span.end_ns.map_or(OPEN, |end| end.clamp(begin_ns, OPEN - 1)),
            unit: 0,
            row,
            name,
            details,
            begin_thread: span.begin_thread.unwrap_or(NONE),
            end_thread: span.end_thread.unwrap_or(NONE),
            wait_ns: span.wait_ns().unwrap_or(NOT_KNOWN),
            busy_ns: span.busy_ns.unwrap_or(NOT_KNOWN),
            polls: span.polls,
            depth: span.depth,
            kind: span.kind,
            ending: span.ending,
            name_state: span.name_state,
            begin_lost: span.begin_lost,
            end_may_be_lost: span.end_may_be_lost,
            busy_partial: span.busy_partial,
        });
    }

    pub(super) fn finish(mut self) -> Shown {
        if self.spans.len() > self.limit {
            // Nothing comes any more that would need room, but for ancestors.
            self.thin(&[self.limit - self.limit / 16, self.limit / 4 * 3]);
        }
        self.spans.sort_unstable_by_key(|span| (span.begin_ns, span.depth, span.id));
        Shown { spans: self.spans, names: self.names, details: self.details, chosen: self.chosen }
    }

    /// Leaves out so many that at most the first of `aims` stay, or the next one if ancestors would be too many then.
    fn thin(&mut self, aims: &[usize]) {
        let forest = Forest::of(&mut self.spans);
        let mut luck = forest.luck(&self.spans);
        let slowest = self.favour(&mut luck);
        let before = self.chosen.map_or(0, |chosen| chosen.one_in_log2);
        // How many spans are as lucky as that, or more.
        let mut lucky = [0_usize; LUCKIEST as usize + 2];
        luck.iter().for_each(|&luck| lucky[luck as usize] += 1);
        (0..=LUCKIEST as usize).rev().for_each(|luck| lucky[luck] += lucky[luck + 1]);
        let (mut one_in_log2, mut stays) = (LUCKIEST, Vec::new());
        for most in aims {
            one_in_log2 = (before..LUCKIEST).find(|&luck| lucky[luck as usize] <= *most).unwrap_or(LUCKIEST);
            stays = luck.iter().map(|&luck| luck >= one_in_log2).collect();
            if forest.with_ancestors(&mut stays, self.limit) {
                break;
            }
        }
        let mut stays = stays.into_iter();
        self.spans.retain(|_| stays.next() == Some(true));
        let slowest = self.chosen.map_or(slowest, |chosen| slowest.min(chosen.slowest));
        self.chosen = Some(Chosen { slowest, one_in_log2 });
        self.drop_names();
        self.drop_details();
    }

    /// Makes the units of what is special the luckiest, as far as half of the limit. Returns of how many of the slowest spans
    /// of each row that is true.
    fn favour(&self, luck: &mut [u32]) -> u32 {
        let spans = &self.spans;
        let mut slowest_first: Vec<u32> = (0..spans.len() as u32).collect();
        slowest_first.sort_unstable_by_key(|&index| {
            let span = &spans[index as usize];
            (span.row, span.begin_ns.wrapping_sub(span.end_ns), span.begin_ns)
        });
        // By rank within the row: each row has its turn. What failed or is open ranks with the slowest of all, in its own order.
        let (mut row, mut rank, mut special) = (NONE, 0, 0);
        let mut ranked = Vec::with_capacity(slowest_first.len());
        for &index in &slowest_first {
            let span = &spans[index as usize];
            if span.row != row {
                (row, rank, special) = (span.row, 0, 0);
            }
            if special < 64 * MOST_FAVOURED && (failed(span.ending) || span.ending == Ending::Open) {
                ranked.push((special / 64, false, index));
                special += 1;
            }
            if rank < MOST_FAVOURED && span.ending != Ending::Open {
                ranked.push((rank, true, index));
                rank += 1;
            }
        }
        ranked.sort_unstable();
        let mut members: FxHashMap<u64, u32> = FxHashMap::default();
        spans.iter().for_each(|span| *members.entry(span.unit).or_default() += 1);
        let mut room = self.limit / 2;
        let mut favoured = 0;
        for (rank, is_by_rank, index) in ranked {
            let size = members.get_mut(&spans[index as usize].unit).expect("each unit has members");
            if *size as usize > room {
                break;
            }
            room -= std::mem::take(size) as usize;
            if is_by_rank {
                favoured = rank;
            }
        }
        for (luck, span) in luck.iter_mut().zip(spans) {
            if members[&span.unit] == 0 {
                *luck = LUCKIEST;
            }
        }
        // Of that rank not every row has had its turn.
        favoured
    }

    /// Forgets names that no span has any more.
    fn drop_names(&mut self) {
        let mut names = std::mem::take(&mut self.names);
        self.name_bytes = 0;
        for span in self.spans.iter_mut().filter(|span| span.name != NONE) {
            let name = std::mem::take(&mut names[span.name as usize]);
            self.name_bytes += name.len();
            self.names.push(name);
            span.name = (self.names.len() - 1) as u32;
        }
    }

    /// The same of details.
    fn drop_details(&mut self) {
        let mut details = std::mem::take(&mut self.details);
        self.detail_bytes = 0;
        for span in self.spans.iter_mut().filter(|span| span.details != NONE) {
            let taken = std::mem::take(&mut details[span.details as usize]);
            self.detail_bytes += bytes_of(&taken);
            self.details.push(taken);
            span.details = (self.details.len() - 1) as u32;
        }
    }
}

/// About how much memory details take, and room in a page.
fn bytes_of(details: &Details) -> usize {
    let pairs = |attributes: &Attributes| {
        let text = |value: Value<'_>| if let Value::Text(text, _) = value { text.len() } else { 0 };
        attributes.iter().map(|attribute| size_of::<Attribute>() + text(attribute.value())).sum::<usize>()
    };
    let instants = details.instants.iter();
    let instants = instants.map(|instant| size_of_val(instant) + instant.name.len() + pairs(&instant.attributes));
    size_of_val(details) + pairs(&details.attributes) + instants.sum::<usize>()
}

/// No more spans of a row are special for being slow.
const MOST_FAVOURED: u32 = 1024;
/// More luck than this no unit has.
const LUCKIEST: u32 = 40;

/// Who is whose child among the spans that are held.
struct Forest {
    /// Index of each span's parent, or [`NONE`].
    parents: Vec<u32>,
    /// Children before their parents; without those that are one another's ancestors, in a damaged recording.
    order: Vec<u32>,
}

impl Forest {
    /// Finds the parents, and decides the units of spans that have none.
    fn of(spans: &mut [Kept]) -> Forest {
        let index: FxHashMap<u64, u32> = spans.iter().zip(0..).map(|(span, index)| (span.id, index)).collect();
        let parents: Vec<u32> = spans.iter().map(|span| index.get(&span.parent).copied().unwrap_or(NONE)).collect();
        let mut children = vec![0_u32; spans.len()];
        for &parent in parents.iter().filter(|&&parent| parent != NONE) {
            children[parent as usize] += 1;
        }
        let mut order: Vec<u32> = (0..spans.len() as u32).filter(|&index| children[index as usize] == 0).collect();
        // Sizes of subtrees without what is in units already.
        let mut sizes: Vec<u32> = spans.iter().map(|span| u32::from(span.unit == 0)).collect();
        let mut next = 0;
        while let Some(&child) = order.get(next) {
            next += 1;
            let parent = parents[child as usize];
            if parent != NONE {
                sizes[parent as usize] = sizes[parent as usize].saturating_add(sizes[child as usize]);
                children[parent as usize] -= 1;
                if children[parent as usize] == 0 {
                    order.push(parent);
                }
            }
        }
        // Of parents that have not come yet: what is below them so far.
        let mut expected: FxHashMap<u64, u32> = FxHashMap::default();
        for (index, span) in
            spans.iter().enumerate().filter(|&(index, span)| parents[index] == NONE && span.parent != 0)
        {
            let size = expected.entry(span.parent).or_default();
            *size = size.saturating_add(sizes[index]);
        }
        for &child in order.iter().rev() {
            let Kept { id, unit: 0, parent, .. } = spans[child as usize] else { continue };
            spans[child as usize].unit = match parents[child as usize] {
                NONE if expected.get(&parent).is_some_and(|&size| size <= LARGEST_UNIT) => parent,
                NONE => id,
                parent if sizes[parent as usize] <= LARGEST_UNIT && spans[parent as usize].unit != 0 => {
                    spans[parent as usize].unit
                }
                _ => id,
            };
        }
        spans.iter_mut().filter(|span| span.unit == 0).for_each(|span| span.unit = span.id);
        Forest { parents, order }
    }

    /// How lucky each span's unit is: as many have at least a certain luck as have half of it to the power of that.
    fn luck(&self, spans: &[Kept]) -> Vec<u32> {
        spans.iter().map(|span| scatter(span.unit).trailing_zeros().min(LUCKIEST - 1)).collect()
    }

    /// Lets the ancestors of what stays stay too, unless that is more than `limit` then. Whether it is not.
    fn with_ancestors(&self, stays: &mut Vec<bool>, limit: usize) -> bool {
        let mut with_ancestors = stays.clone();
        for &child in self.order.iter().filter(|&&child| self.parents[child as usize] != NONE) {
            if with_ancestors[child as usize] {
                with_ancestors[self.parents[child as usize] as usize] = true;
            }
        }
        let is_room = with_ancestors.iter().filter(|&&stays| stays).count() <= limit;
        if is_room {
            *stays = with_ancestors;
        }
        is_room
    }
}

/// Neighbouring numbers far apart: the last step of SplitMix64.
fn scatter(number: u64) -> u64 {
    let number = (number ^ (number >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
    let number = (number ^ (number >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
    number ^ (number >> 31)
}
