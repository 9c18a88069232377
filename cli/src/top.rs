//! Per name and location: how many spans, how long they took, how they ended.
//!
//! Percentiles are those of the spans that ended, by the nearest-rank rule: p99 is the smallest duration that at least 99 %
//! of them did not exceed. Up to [`EXACT_SPANS`] spans a percentile is exact; with more it comes from a histogram and is
//! right to three significant digits. Counts, totals and maxima are always exact.
//!
//! ```no_run
//! use spanring::reader::Recording;
//! use spanring_cli::spans;
//! use spanring_cli::text::duration;
//! use spanring_cli::top::{SortBy, Top};
//!
//! # fn main() -> Result<(), spanring::reader::ReadError> {
//! let recording = Recording::open("recording")?;
//! let mut top = Top::default();
//! spans::read(&recording, &mut |item| top.add(&item))?;
//! for row in top.finish(SortBy::P99).rows {
//!     println!("{} {}: {}", row.count, row.name, row.p99_ns.map_or("open".to_owned(), duration));
//! }
//! # Ok(())
//! # }
//! ```

use crate::info::DamageInfo;
use crate::places::Place;
use crate::spans::{Ending, Item, Span, add};
use crate::spread::spread;
use hdrhistogram::Histogram;
use rustc_hash::FxHashMap;
use serde::Serialize;
use spanring::reader::SpanKind;
use std::hint::black_box;

/// Up to this many spans of one name and location, percentiles are exact.
pub const EXACT_SPANS: usize = 1024;

/// With more, so many durations are put off before they are counted: the counts of one row are not at hand any more when its turn comes.
const PUT_OFF: usize = 4096;

/// Of so many of them the counts are fetched before the first is raised: to wait for memory once for many, and not for each.
const AT_ONCE: usize = 64;

/// Adds up spans, row by row.
///
/// ```
/// use spanring::reader::{Loss, LossCause};
/// use spanring_cli::spans::Item;
/// use spanring_cli::top::{SortBy, Top};
///
/// # let (after_unix_ns, before_unix_ns) = (Some(1_000), Some(3_000));
/// # let loss = Loss { thread: 1, records: 12, cause: LossCause::Dropped, after_unix_ns, before_unix_ns };
/// let mut top = Top::default();
/// top.add(&Item::Loss(loss));
/// let report = top.finish(SortBy::Total);
/// assert_eq!((report.spans, report.lost_records), (0, 12));
/// ```
#[derive(Debug, Default)]
pub struct Top {
    groups: Vec<Group>,
    /// The groups of each name: nearly always one.
    by_name: FxHashMap<Box<str>, Vec<u32>>,
    /// Once so many names are known, further ones share [`OTHER_NAMES`].
    most_names: Option<usize>,
    /// The groups of static names by the numbers of name and place, so that most spans need no look at text.
    by_number: FxHashMap<Numbers, u32>,
    /// Of those the ones that were looked for last, by a few bits of the numbers.
    recent: Recent,
    lost: u64,
    damaged: u64,
    damage: Option<DamageInfo>,
    /// Spans of one name in one file are one group, whatever the line.
    by_file: bool,
}

/// The name of a row for spans whose own names are too many, see [`Top::bounded`].
pub const OTHER_NAMES: &str = "<other names>";

/// The finished table.
///
/// ```
/// use spanring_cli::top::{SortBy, Top, TopReport};
///
/// /// The name that took the most time.
/// fn first(report: &TopReport) -> Option<&str> {
///     report.rows.first().map(|row| row.name.as_str())
/// }
///
/// assert_eq!(first(&Top::default().finish(SortBy::Total)), None);
/// ```
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct TopReport {
    /// All spans, open ones included.
    pub spans: u64,
    /// Those that have no end in the recording.
    pub open: u64,
    /// Records that are missing from the recording.
    pub lost_records: u64,
    /// Stretches of the recording's files that could not be understood.
    pub damaged: u64,
    /// The first of them.
    pub damage: Option<DamageInfo>,
    /// One row per name and location, in the order asked for.
    pub rows: Vec<Row>,
}

/// The spans of one name and location. All times in nanoseconds.
///
/// ```
/// use spanring_cli::top::Row;
///
/// /// What part of the spans did not go well.
/// fn trouble(row: &Row) -> f64 {
///     (row.failed + row.cancelled + row.panicked) as f64 / row.count.max(1) as f64
/// }
/// ```
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct Row {
    /// Rows are numbered from 0 in the order in which they were met, whatever they are sorted by.
    #[serde(skip)]
    pub number: u32,
    /// The spans' name.
    pub name: String,
    /// `async` or `thread`.
    pub kind: &'static str,
    /// Source file as the compiler was given it; `None` if the recording lost the location.
    pub file: Option<String>,
    /// Line in that file.
    pub line: Option<u32>,
    /// Log target.
    pub target: Option<String>,
    /// Number of spans, open ones included.
    pub count: u64,
    /// Sum of the durations of the spans that ended.
    pub total_ns: u64,
    /// Median duration; `None` if no span ended.
    pub p50_ns: Option<u64>,
    /// 99th percentile of the durations; `None` if no span ended.
    pub p99_ns: Option<u64>,
    /// Longest duration; `None` if no span ended.
    pub max_ns: Option<u64>,
    /// Spans that ended with an error.
    pub failed: u64,
    /// Spans whose future was dropped before it was ready.
    pub cancelled: u64,
    /// Spans that a panic went through.
    pub panicked: u64,
    /// Spans without an end in the recording.
    pub open: u64,
    /// How many spans took how long, by powers of two; those that no span is in are left out.
    pub histogram: Vec<Bucket>,
}

/// Spans that took at least so long, and less than twice as long.
///
/// ```
/// use spanring_cli::top::Bucket;
///
/// /// Spans that took at least so long, for a power of two.
/// fn at_least(histogram: &[Bucket], ns: u64) -> u64 {
///     histogram.iter().filter(|bucket| bucket.from_ns >= ns).map(|bucket| bucket.count).sum()
/// }
///
/// let histogram = [Bucket { from_ns: 512, count: 7 }, Bucket { from_ns: 2048, count: 3 }];
/// assert_eq!(at_least(&histogram, 1024), 3);
/// ```
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
pub struct Bucket {
    /// The least duration, in nanoseconds: 0 or a power of two.
    pub from_ns: u64,
    /// Number of spans.
    pub count: u64,
}

/// What the rows of a [`TopReport`] are sorted by; ties by name.
///
/// ```
/// use spanring_cli::top::{SortBy, Top};
///
/// assert!(Top::default().finish(SortBy::P99).rows.is_empty());
/// ```
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum SortBy {
    /// Longest total time first.
    #[default]
    Total,
    /// Most spans first.
    Count,
    /// Largest median first.
    P50,
    /// Largest 99th percentile first.
    P99,
    /// Longest single span first.
    Max,
    /// In alphabetical order.
    Name,
}

/// Spans that belong together.
#[derive(Debug)]
pub(crate) struct Group {
    is_other: bool,
    pub(crate) kind: SpanKind,
    pub(crate) place: Option<Place>,
    pub(crate) count: u64,
    pub(crate) total_ns: u64,
    pub(crate) max_ns: u64,
    pub(crate) failed: u64,
    pub(crate) cancelled: u64,
    pub(crate) panicked: u64,
    pub(crate) open: u64,
    pub(crate) durations: Durations,
}

/// What stands for a static name, its place and kind.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
struct Numbers {
    name: u32,
    place: Option<u32>,
    kind: SpanKind,
}

/// Groups that were looked for last.
#[derive(Debug)]
struct Recent(Box<[Option<(Numbers, u32)>; 1 << RECENT_BITS]>);

const RECENT_BITS: u32 = 8;

impl Default for Recent {
    fn default() -> Recent {
        Recent(Box::new([None; 1 << RECENT_BITS]))
    }
}

impl Numbers {
    /// A few bits that are others for other numbers, mostly.
    #[inline]
    fn place(self) -> usize {
        let all = u64::from(self.name) << 32 | u64::from(self.place.unwrap_or(u32::MAX));
        spread(all, RECENT_BITS)
    }
}

/// Durations of the spans of one group: all of them, or from a certain number on, a histogram. Run-time names can make
/// very many groups, most of them tiny.
#[derive(Debug, Default)]
pub(crate) struct Durations {
    /// Those that are not in the histogram. It takes many at once, because it is too large for those of all groups to stay at hand.
    last: Vec<u64>,
    others: Option<Histogram<u64>>,
}

impl Top {
    /// A table of no more than `most_names` names, in bounded memory: spans of names that come later go to rows called
    /// [`OTHER_NAMES`], one for each location.
    ///
    /// ```
    /// use spanring_cli::top::{OTHER_NAMES, SortBy, Top};
    ///
    /// /// Of spans whose names are made at run time, the hundred that came first, and the others together.
    /// fn names(top: Top) -> Vec<String> {
    ///     top.finish(SortBy::Name).rows.into_iter().map(|row| row.name).filter(|name| name != OTHER_NAMES).collect()
    /// }
    /// assert!(names(Top::bounded(100)).is_empty());
    /// ```
    pub fn bounded(most_names: usize) -> Top {
        Top { most_names: Some(most_names), ..Top::default() }
    }

    /// One that has a group for each name and file.
    pub(crate) fn by_file() -> Top {
        Top { by_file: true, ..Top::default() }
    }

    /// The groups of all spans added, in no order.
    pub(crate) fn into_groups(self) -> impl Iterator<Item = (Box<str>, Group)> {
        let mut groups: Vec<Option<Group>> = self.groups.into_iter().map(Some).collect();
        let named = self
            .by_name
            .into_iter()
            .flat_map(|(name, groups)| groups.into_iter().map(move |group| (name.clone(), group)));
        named.filter_map(move |(name, index)| Some((name, groups[index as usize].take()?)))
    }

    /// Records that are missing, damaged stretches, and the first of those.
    pub(crate) fn missing(&self) -> (u64, u64, Option<DamageInfo>) {
        (self.lost, self.damaged, self.damage.clone())
    }

    /// Adds what [`crate::spans::read`] hands out.
    ///
    /// ```
    /// # use spanring::reader::{NameState, SpanKind};
    /// use spanring_cli::spans::{Ending, Item, Span};
    /// use spanring_cli::top::{SortBy, Top};
    ///
    /// # let span = Span {
    /// #     id: 1, parent: 0, depth: 0, kind: SpanKind::Async, name: "load", name_index: None, name_state: NameState::Whole,
    /// #     place: None, ending: Ending::Completed, created_ns: None, begin_ns: 2_000, end_ns: Some(5_000), begin_thread: None,
    /// #     end_thread: None, polls: 1, busy_ns: None, busy_partial: false, begin_lost: false, end_may_be_lost: false, details: None,
    /// # };
    /// let mut top = Top::default();
    /// top.add(&Item::Span(span));
    /// let row = &top.finish(SortBy::Total).rows[0];
    /// assert_eq!((row.name.as_str(), row.max_ns), ("load", Some(3_000)));
    /// ```
    #[inline]
    pub fn add(&mut self, item: &Item<'_>) {
        match item {
            Item::Span(span) => {
                self.add_span(span);
            }
            Item::Loss(loss) => add(&mut self.lost, loss.records),
            Item::Damage(damage) => {
                self.damaged += 1;
                self.damage.get_or_insert_with(|| DamageInfo::new(damage));
            }
            Item::Thread(_) | Item::Instant(_) | Item::Counter(_) | Item::Details(_) => {}
        }
    }

    /// Adds one span; the number of its row, see [`Row::number`].
    ///
    /// ```
    /// # use spanring::reader::{NameState, SpanKind};
    /// use spanring_cli::spans::{Ending, Span};
    /// use spanring_cli::top::Top;
    ///
    /// # let span = Span {
    /// #     id: 1, parent: 0, depth: 0, kind: SpanKind::Async, name: "load", name_index: None, name_state: NameState::Whole,
    /// #     place: None, ending: Ending::Completed, created_ns: None, begin_ns: 2_000, end_ns: Some(5_000), begin_thread: None,
    /// #     end_thread: None, polls: 1, busy_ns: None, busy_partial: false, begin_lost: false, end_may_be_lost: false, details: None,
    /// # };
    /// let mut top = Top::default();
    /// assert_eq!(top.add_span(&span), 0);
    /// assert_eq!(top.add_span(&Span { name: "store", ..span }), 1);
    /// assert_eq!(top.add_span(&span), 0, "the same row again");
    /// ```
    #[inline]
    pub fn add_span(&mut self, span: &Span<'_>) -> u32 {
        let index = self.group_of(span);
        let group = &mut self.groups[index as usize];
        group.count += 1;
        match span.ending {
            Ending::Completed => {}
            Ending::Failed => group.failed += 1,
            Ending::Cancelled => group.cancelled += 1,
            Ending::Panicked => group.panicked += 1,
            Ending::Open => group.open += 1,
        }
        if let Some(duration) = span.duration_ns() {
            group.total_ns = group.total_ns.saturating_add(duration);
            group.max_ns = group.max_ns.max(duration);
            group.durations.add(duration);
        }
        index
    }

    /// Whether that row is one called [`OTHER_NAMES`], whose spans have names of their own.
    pub(crate) fn is_other(&self, number: u32) -> bool {
        self.groups.get(number as usize).is_some_and(|group| group.is_other)
    }

    /// The table of all spans added.
    ///
    /// ```
    /// # use spanring::reader::{NameState, SpanKind};
    /// use spanring_cli::spans::{Ending, Span};
    /// use spanring_cli::top::{SortBy, Top};
    ///
    /// # let span = Span {
    /// #     id: 1, parent: 0, depth: 0, kind: SpanKind::Async, name: "load", name_index: None, name_state: NameState::Whole,
    /// #     place: None, ending: Ending::Completed, created_ns: None, begin_ns: 2_000, end_ns: Some(5_000), begin_thread: None,
    /// #     end_thread: None, polls: 1, busy_ns: None, busy_partial: false, begin_lost: false, end_may_be_lost: false, details: None,
    /// # };
    /// let mut top = Top::default();
    /// top.add_span(&span);
    /// top.add_span(&Span { name: "again", end_ns: Some(4_000), ..span });
    /// let names: Vec<String> = top.finish(SortBy::Max).rows.into_iter().map(|row| row.name).collect();
    /// assert_eq!(names, ["load", "again"], "the one with the longest span first");
    /// ```
    pub fn finish(mut self, sort: SortBy) -> TopReport {
        let mut rows = Vec::with_capacity(self.groups.len());
        for (name, groups) in self.by_name {
            for index in groups {
                rows.push(self.groups[index as usize].row(index, &name));
            }
        }
        rows.sort_unstable_by(|a, b| {
            let by_key = match sort {
                SortBy::Total => b.total_ns.cmp(&a.total_ns),
                SortBy::Count => b.count.cmp(&a.count),
                SortBy::P50 => b.p50_ns.cmp(&a.p50_ns),
                SortBy::P99 => b.p99_ns.cmp(&a.p99_ns),
                SortBy::Max => b.max_ns.cmp(&a.max_ns),
                SortBy::Name => std::cmp::Ordering::Equal,
            };
            by_key
                .then_with(|| a.name.cmp(&b.name))
                .then_with(|| (&a.file, a.line, a.kind).cmp(&(&b.file, b.line, b.kind)))
        });
        TopReport {
            spans: rows.iter().map(|row| row.count).sum(),
            open: rows.iter().map(|row| row.open).sum(),
            lost_records: self.lost,
            damaged: self.damaged,
            damage: self.damage,
            rows,
        }
    }

    #[inline]
    fn group_of(&mut self, span: &Span<'_>) -> u32 {
        let place = span.place.map(|place| place.index);
        let Some(name) = span.name_index else { return self.group_by_text(span, place) };
        let numbers = Numbers { name, place, kind: span.kind };
        let recent = &mut self.recent.0[numbers.place()];
        match recent {
            Some((known, index)) if *known == numbers => *index,
            _ => self.group_by_numbers(span, numbers),
        }
    }

    #[cold]
    fn group_by_numbers(&mut self, span: &Span<'_>, numbers: Numbers) -> u32 {
        let known = self.by_number.get(&numbers).copied();
        let index = known.unwrap_or_else(|| self.group_by_text(span, numbers.place));
        self.by_number.insert(numbers, index);
        self.recent.0[numbers.place()] = Some((numbers, index));
        index
    }

    fn group_by_text(&mut self, span: &Span<'_>, place: Option<u32>) -> u32 {
        fn file(place: &Place) -> &str {
            &place.location.file
        }
        let same = |group: &Group| {
            let known = group.place.as_ref();
            let is_same_place =
                known.map(|known| known.index) == place || (self.by_file && known.map(file) == span.place.map(file));
            group.kind == span.kind && is_same_place
        };
        let full = self.most_names.is_some_and(|most| self.by_name.len() >= most);
        let is_other = full && !self.by_name.contains_key(span.name);
        let name = if is_other { OTHER_NAMES } else { span.name };
        if let Some(groups) = self.by_name.get(name) {
            if let Some(&index) = groups.iter().find(|&&index| same(&self.groups[index as usize])) {
                return index;
            }
        }
        let index = self.groups.len() as u32;
        self.groups.push(Group { is_other, ..Group::new(span) });
        self.by_name.entry(name.into()).or_default().push(index);
        index
    }
}

impl Group {
    fn new(span: &Span<'_>) -> Group {
        Group {
            is_other: false,
            kind: span.kind,
            place: span.place.cloned(),
            count: 0,
            total_ns: 0,
            max_ns: 0,
            failed: 0,
            cancelled: 0,
            panicked: 0,
            open: 0,
            durations: Durations::default(),
        }
    }

    fn row(&mut self, number: u32, name: &str) -> Row {
        let location = self.place.as_ref().map(|place| &place.location);
        let ended = self.count > self.open;
        Row {
            number,
            name: name.to_owned(),
            kind: kind_word(self.kind),
            file: location.map(|location| location.file.clone()),
            line: location.map(|location| location.line),
            target: location.map(|location| location.target.clone()),
            count: self.count,
            total_ns: self.total_ns,
            p50_ns: self.durations.percentile(50).map(|value| value.min(self.max_ns)),
            p99_ns: self.durations.percentile(99).map(|value| value.min(self.max_ns)),
            max_ns: ended.then_some(self.max_ns),
            failed: self.failed,
            cancelled: self.cancelled,
            panicked: self.panicked,
            open: self.open,
            histogram: self.durations.by_powers_of_two(),
        }
    }
}

impl Durations {
    #[inline]
    fn add(&mut self, duration: u64) {
        if self.last.len() == self.last.capacity() {
            self.make_room();
        }
        self.last.push(duration);
    }

    #[cold]
    fn make_room(&mut self) {
        let most = if self.others.is_some() { PUT_OFF } else { EXACT_SPANS };
        match self.last.len() {
            0 => self.last.reserve_exact(4),
            len if len < most => self.last.reserve_exact(len.min(most - len)),
            _ => self.fill_histogram(),
        }
    }

    fn fill_histogram(&mut self) {
        let new = || Histogram::new(3).expect("three digits is what a histogram can have");
        let histogram = self.others.get_or_insert_with(new);
        for some in self.last.chunks(AT_ONCE) {
            black_box(some.iter().map(|duration| histogram.count_at(*duration)).sum::<u64>());
            some.iter().for_each(|duration| *histogram += *duration);
        }
        self.last.clear();
    }

    /// All durations, as one or the other.
    fn all(&mut self) -> Result<&mut Histogram<u64>, &mut Vec<u64>> {
        if self.others.is_some() {
            self.fill_histogram();
        }
        self.others.as_mut().ok_or(&mut self.last)
    }

    fn by_powers_of_two(&mut self) -> Vec<Bucket> {
        let mut counts = [0; 65];
        let mut add = |value: u64, count: u64| counts[64 - value.leading_zeros() as usize] += count;
        match self.all() {
            Err(all) => all.iter().for_each(|&value| add(value, 1)),
            // Its own buckets never go across a power of two.
            Ok(histogram) => histogram
                .iter_recorded()
                .for_each(|step| add(histogram.lowest_equivalent(step.value_iterated_to()), step.count_at_value())),
        }
        let from = |index: usize| if index == 0 { 0 } else { 1 << (index - 1) };
        let filled = counts.into_iter().enumerate().filter(|(_, count)| *count > 0);
        filled.map(|(index, count)| Bucket { from_ns: from(index), count }).collect()
    }

    /// Between which values the duration of a rank is, counted from 1: it itself, or what a histogram cannot tell from it.
    pub(crate) fn at_rank(&mut self, rank: u64) -> Option<(u64, u64)> {
        match self.all() {
            Err(all) => {
                let index = usize::try_from(rank.checked_sub(1)?).ok().filter(|index| *index < all.len())?;
                let value = *all.select_nth_unstable(index).1;
                Some((value, value))
            }
            Ok(histogram) => {
                let value = histogram.value_at_quantile(rank as f64 / histogram.len() as f64);
                Some((histogram.lowest_equivalent(value), histogram.highest_equivalent(value)))
            }
        }
    }

    /// By nearest rank.
    pub(crate) fn percentile(&mut self, percent: usize) -> Option<u64> {
        match self.all() {
            Err(all) => {
                let rank = (all.len() * percent).div_ceil(100).checked_sub(1)?;
                Some(*all.select_nth_unstable(rank).1)
            }
            Ok(histogram) => Some(histogram.value_at_percentile(percent as f64)),
        }
    }
}

/// How reports call a kind of span.
pub(crate) fn kind_word(kind: SpanKind) -> &'static str {
    match kind {
        SpanKind::Async => "async",
        SpanKind::Thread => "thread",
    }
}
