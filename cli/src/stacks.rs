//! Spans added up by the names above them.
//!
//! A stack is made of the names of a span and of those above it. Of the spans of each stack is told how many there were, how long they
//! took, and how long it was without their children: *self* time, in which a span was there and none of its children was. Children
//! that ran at the same time count once in that.
//!
//! Open spans count up to the last moment in the recording, apart from the others. A span whose parent the recording does not have stands
//! below [`PARENT_LOST`].
//!
//! This streams. It holds open spans, the last [`WINDOW`] that ended, those that wait for a child that has not ended, and some numbers
//! for each stack.
//!
//! ```no_run
//! use spanring::reader::Recording;
//! use spanring_cli::progress::Silent;
//! use spanring_cli::spans::{self, Item, Step};
//! use spanring_cli::stacks::StackSums;
//!
//! # fn main() -> Result<(), spanring::reader::ReadError> {
//! let recording = Recording::open("recording")?;
//! let mut sums = StackSums::default();
//! spans::read_steps(&recording, &mut Silent, &mut |step| match step {
//!     Step::Begun(record) => sums.begun(record),
//!     Step::Item(Item::Span(span)) => sums.add(&span, true),
//!     _ => {}
//! })?;
//! let stacks = sums.finish();
//! println!("{} different stacks of {} names", stacks.all.len(), stacks.names.len());
//! # Ok(())
//! # }
//! ```

use crate::by_id::ById;
use crate::spans::{Span, cut};
use rustc_hash::FxHashMap;
use spanring::reader::{SpanKind, SpanRecord};
use std::collections::VecDeque;

/// As many ended spans are held back: what belongs to them may have been recorded by another thread, and be read later.
pub const WINDOW: usize = 1 << 16;

/// What stands for a parent of which the recording has nothing.
pub const PARENT_LOST: &str = "(parent lost)";

/// A span with more stretches of children than this forgets where the oldest were, not how long. Only a child that began before those,
/// and is read later, then counts too little.
const STRETCHES: usize = 1 << 16;

/// Spans of one stack, added up. Times are in nanoseconds.
///
/// ```
/// use spanring_cli::stacks::Sums;
///
/// /// What part of its time this took for itself.
/// fn own(sums: &Sums) -> f64 {
///     sums.self_ns as f64 / sums.total_ns.max(1) as f64
/// }
/// assert_eq!(own(&Sums { spans: 2, total_ns: 400, self_ns: 100, idle_ns: 0 }), 0.25);
/// ```
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Sums {
    /// How many there were.
    pub spans: u64,
    /// From begin to end.
    pub total_ns: u64,
    /// Without that of children.
    pub self_ns: u64,
    /// In which nobody polled, where that was measured, less what children waited.
    pub idle_ns: u64,
}

/// A stack: a name below others.
///
/// ```
/// use spanring_cli::stacks::{Stack, Sums};
///
/// /// All of its spans: sums of open and of ended ones are kept apart.
/// fn spans(stack: &Stack) -> u64 {
///     stack.ended.spans + stack.open.spans
/// }
/// let ended = Sums { spans: 4, ..Sums::default() };
/// assert_eq!(spans(&Stack { above: None, name: 0, ended, open: Sums { spans: 1, ..Sums::default() } }), 5);
/// ```
#[derive(Clone, Copy, Debug)]
pub struct Stack {
    /// The stack without its last name; `None` if that is all of it.
    pub above: Option<u32>,
    /// Of the last name, the index in [`Stacks::names`].
    pub name: u32,
    /// The spans that ended.
    pub ended: Sums,
    /// The spans that did not.
    pub open: Sums,
}

/// The stacks of a recording.
///
/// ```
/// use spanring_cli::stacks::{Stack, Stacks, Sums};
///
/// /// The names of a stack, the last first.
/// fn names(stacks: &Stacks, mut stack: Stack) -> Vec<&str> {
///     let mut names = vec![stacks.names[stack.name as usize].as_str()];
///     while let Some(above) = stack.above {
///         stack = stacks.all[above as usize];
///         names.push(&stacks.names[stack.name as usize]);
///     }
///     names
/// }
/// # let stack = |above, name| Stack { above, name, ended: Sums::default(), open: Sums::default() };
/// let all = vec![stack(None, 1), stack(Some(0), 0)];
/// let stacks = Stacks { all, names: vec!["query".to_owned(), "request".to_owned()], ..Stacks::default() };
/// assert_eq!(names(&stacks, stacks.all[1]), ["query", "request"]);
/// ```
#[derive(Clone, Debug, Default)]
pub struct Stacks {
    /// Those above before those below.
    pub all: Vec<Stack>,
    /// The names.
    pub names: Vec<String>,
    /// Async spans that ended, and those of them whose polls were measured.
    pub async_spans: u64,
    /// See there.
    pub measured: u64,
    /// The latest moment, in nanoseconds since 1970.
    pub latest_ns: u64,
}

/// Adds up spans while they stream by.
///
/// ```
/// # use spanring::reader::{NameState, SpanKind};
/// # use spanring_cli::spans::{Ending, Span};
/// use spanring_cli::stacks::StackSums;
///
/// # fn span(id: u64, parent: u64, name: &'static str, begin_ns: u64, end_ns: u64) -> Span<'static> {
/// #     Span {
/// #         id, parent, depth: 0, kind: SpanKind::Async, name, name_index: None, name_state: NameState::Whole, place: None,
/// #         ending: Ending::Completed, created_ns: None, begin_ns, end_ns: Some(end_ns), begin_thread: Some(1), end_thread: Some(1),
/// #         polls: 1, busy_ns: None, busy_partial: false, begin_lost: false, end_may_be_lost: false, details: None,
/// #     }
/// # }
/// let mut sums = StackSums::default();
/// // Two queries at the same time, in a request: id, parent, name, begin and end.
/// sums.add(&span(2, 1, "query", 1_100, 1_400), true);
/// sums.add(&span(3, 1, "query", 1_200, 1_600), true);
/// sums.add(&span(1, 0, "request", 1_000, 2_000), true);
/// let stacks = sums.finish();
/// let [request, query] = &stacks.all[..] else { panic!("two stacks") };
/// assert_eq!((query.above, query.ended.spans, query.ended.self_ns), (Some(0), 2, 700));
/// assert_eq!((request.ended.total_ns, request.ended.self_ns), (1_000, 500), "when both were there counts once");
/// ```
#[derive(Debug)]
pub struct StackSums {
    stacks: Vec<Stack>,
    /// By the stack above and the name.
    below: FxHashMap<(Option<u32>, u32), u32>,
    names: FxHashMap<String, u32>,
    /// By the reader's numbers of static names, ours.
    static_names: Vec<Option<u32>>,
    spans: ById<Entry>,
    /// The spans that have ended, in the order of that.
    ended: VecDeque<u64>,
    latest_ns: u64,
    async_spans: u64,
    measured: u64,
    window: usize,
}

/// What is known about a span so far.
#[derive(Debug, Default)]
struct Entry {
    parent: u64,
    /// Its name, once its begin or end was read.
    name: Option<u32>,
    begin_ns: u64,
    end_ns: Option<u64>,
    idle_ns: u64,
    /// What its children waited.
    children_idle_ns: u64,
    /// Children that are not done.
    pending: u64,
    covered: Covered,
    /// It was asked for.
    counts: bool,
    /// It has no end.
    is_open: bool,
    /// It ended long enough ago.
    is_over: bool,
    stack: Option<u32>,
}

/// When children were there.
#[derive(Debug, Default)]
struct Covered {
    /// Apart from each other, in order.
    stretches: Vec<(u64, u64)>,
    /// The sum of those that were forgotten, and the end of the last of them.
    forgotten_ns: u64,
    forgotten_until_ns: u64,
}

impl Covered {
    fn add(&mut self, begin_ns: u64, end_ns: u64) {
        let mut begin_ns = begin_ns.max(self.forgotten_until_ns);
        let mut end_ns = end_ns;
        if begin_ns >= end_ns {
            return;
        }
        let first = self.stretches.partition_point(|&(_, end)| end < begin_ns);
        let after = self.stretches.partition_point(|&(begin, _)| begin <= end_ns);
        if let Some(touched) = self.stretches.get(first..after).filter(|touched| !touched.is_empty()) {
            begin_ns = begin_ns.min(touched[0].0);
            end_ns = end_ns.max(touched[touched.len() - 1].1);
        }
        self.stretches.splice(first..after, [(begin_ns, end_ns)]);
        if self.stretches.len() > STRETCHES {
            for (begin_ns, end_ns) in self.stretches.drain(..STRETCHES / 2) {
                self.forgotten_ns += end_ns - begin_ns;
                self.forgotten_until_ns = end_ns;
            }
        }
    }

    /// How much of that is before `end_ns`.
    fn until(&self, end_ns: u64) -> u64 {
        let before = |&(begin, end): &(u64, u64)| end.min(end_ns).saturating_sub(begin);
        self.forgotten_ns + self.stretches.iter().map(before).sum::<u64>()
    }
}

impl Default for StackSums {
    fn default() -> StackSums {
        StackSums::with_window(WINDOW)
    }
}

impl StackSums {
    /// One with another [`WINDOW`].
    ///
    /// ```
    /// # use spanring::reader::{NameState, SpanKind};
    /// # use spanring_cli::spans::{Ending, Span};
    /// use spanring_cli::stacks::{PARENT_LOST, StackSums};
    ///
    /// # fn span(id: u64, parent: u64, name: &'static str, begin_ns: u64, end_ns: u64) -> Span<'static> {
    /// #     Span {
    /// #         id, parent, depth: 0, kind: SpanKind::Async, name, name_index: None, name_state: NameState::Whole, place: None,
    /// #         ending: Ending::Completed, created_ns: None, begin_ns, end_ns: Some(end_ns), begin_thread: Some(1), end_thread: Some(1),
    /// #         polls: 1, busy_ns: None, busy_partial: false, begin_lost: false, end_may_be_lost: false, details: None,
    /// #     }
    /// # }
    /// // A child that is read after its parent, by those who wait for one span and for none.
    /// let names = |window: usize| {
    ///     let mut sums = StackSums::with_window(window);
    ///     sums.add(&span(1, 0, "request", 1_000, 2_000), true);
    ///     sums.add(&span(2, 1, "query", 1_100, 1_400), true);
    ///     sums.finish().names
    /// };
    /// assert_eq!(names(1), ["request", "query"]);
    /// assert_eq!(names(0), ["request", "query", PARENT_LOST]);
    /// ```
    pub fn with_window(window: usize) -> StackSums {
        StackSums {
            stacks: Vec::new(),
            below: FxHashMap::default(),
            names: FxHashMap::default(),
            static_names: Vec::new(),
            spans: ById::default(),
            ended: VecDeque::new(),
            latest_ns: 0,
            async_spans: 0,
            measured: 0,
            window,
        }
    }

    /// A span has begun; it will be added.
    ///
    /// ```
    /// use spanring_cli::spans::{Item, Step};
    /// use spanring_cli::stacks::StackSums;
    ///
    /// /// To be handed what `spans::read_steps` hands out.
    /// fn step(sums: &mut StackSums, step: &Step<'_>) {
    ///     match step {
    ///         Step::Begun(record) => sums.begun(record),
    ///         Step::Item(Item::Span(span)) => sums.add(span, true),
    ///         _ => {}
    ///     }
    /// }
    /// ```
    pub fn begun(&mut self, record: &SpanRecord<'_>) {
        self.latest_ns = self.latest_ns.max(record.unix_ns);
        if !self.is_known(record.span_id) {
            let name = self.name_of(record);
            self.meet(record.span_id, record.parent_span_id, name, record.unix_ns);
        }
    }

    /// Adds a span. One that does not count is there for those above and below it only.
    ///
    /// ```
    /// use spanring_cli::filter::Wanted;
    /// use spanring_cli::spans::Span;
    /// use spanring_cli::stacks::StackSums;
    ///
    /// /// The other spans are still above and below those that are wanted.
    /// fn add(sums: &mut StackSums, span: &Span<'_>, wanted: &Wanted<'_>) {
    ///     sums.add(span, wanted.has(span));
    /// }
    /// ```
    pub fn add(&mut self, span: &Span<'_>, counts: bool) {
        if !self.is_known(span.id) {
            let name = self.name(span.name);
            self.meet(span.id, span.parent, name, span.begin_ns);
        }
        if let Some(entry) = self.spans.get_mut(span.id) {
            entry.counts = counts;
        }
        let Some(end_ns) = span.end_ns else { return };
        self.latest_ns = self.latest_ns.max(end_ns).max(span.begin_ns);
        if span.kind == SpanKind::Async {
            self.async_spans += 1;
            self.measured += u64::from(span.busy_ns.is_some());
        }
        self.end(span.id, end_ns, span.idle_ns().unwrap_or_default());
        self.ended.push_back(span.id);
        if self.ended.len() > self.window {
            let oldest = self.ended.pop_front();
            self.over(oldest.unwrap_or_default());
        }
    }

    /// The sums, when all spans have been added.
    ///
    /// ```
    /// use spanring_cli::stacks::StackSums;
    ///
    /// let stacks = StackSums::default().finish();
    /// assert!(stacks.all.is_empty() && stacks.names.is_empty());
    /// ```
    pub fn finish(mut self) -> Stacks {
        self.close_open();
        // All are over, and those first that no other waits for.
        let all: Vec<u64> = self.spans.iter().map(|(id, _)| id).collect();
        for &id in &all {
            if let Some(entry) = self.spans.get_mut(id).filter(|entry| entry.name.is_some()) {
                entry.is_over = true;
            }
        }
        for &id in &all {
            self.over(id);
        }
        // In a damaged recording spans may seem to be each other's parents.
        for id in all {
            if self.is_known(id) {
                self.count(id);
            }
        }
        let mut names = vec![String::new(); self.names.len()];
        for (text, number) in self.names {
            names[number as usize] = text;
        }
        let StackSums { stacks, async_spans, measured, latest_ns, .. } = self;
        Stacks { all: stacks, names, async_spans, measured, latest_ns }
    }

    fn name(&mut self, text: &str) -> u32 {
        if let Some(&number) = self.names.get(text) {
            return number;
        }
        let number = self.names.len() as u32;
        self.names.insert(text.to_owned(), number);
        number
    }

    /// The name in a record.
    fn name_of(&mut self, record: &SpanRecord<'_>) -> u32 {
        let text = cut(record.name);
        let Some(index) = record.name_index.map(|index| index as usize) else { return self.name(text) };
        if let Some(&Some(number)) = self.static_names.get(index) {
            return number;
        }
        let number = self.name(text);
        if self.static_names.len() <= index {
            self.static_names.resize(index + 1, None);
        }
        self.static_names[index] = Some(number);
        number
    }

    /// Whether a record has told about a span.
    fn is_known(&self, id: u64) -> bool {
        self.spans.get(id).is_some_and(|entry| entry.name.is_some())
    }

    /// Notes what the first record says about a span.
    fn meet(&mut self, id: u64, parent: u64, name: u32, begin_ns: u64) {
        let entry = self.spans.get_or_default(id);
        (entry.parent, entry.name, entry.begin_ns) = (parent, Some(name), begin_ns);
        if parent != 0 {
            self.spans.get_or_default(parent).pending += 1;
        }
    }

    fn end(&mut self, id: u64, end_ns: u64, idle_ns: u64) {
        let Some(entry) = self.spans.get_mut(id) else { return };
        (entry.end_ns, entry.idle_ns) = (Some(end_ns), idle_ns);
        let (parent, begin_ns) = (entry.parent, entry.begin_ns);
        if let Some(parent) = self.spans.get_mut(parent) {
            // Whether the parent's begin is known is found out when it is over.
            parent.covered.add(begin_ns.max(parent.begin_ns), end_ns);
            parent.children_idle_ns += idle_ns;
        }
    }

    /// Nothing more is expected of a span but from children that are known.
    fn over(&mut self, mut id: u64) {
        if let Some(entry) = self.spans.get_mut(id) {
            entry.is_over = true;
        }
        // Its parent may have waited for it alone, and so on upwards.
        while self.spans.get(id).is_some_and(|entry| entry.is_over && entry.pending == 0) {
            let Some(entry) = self.count(id) else { return };
            if let Some(parent) = self.spans.get_mut(entry.parent) {
                parent.pending = parent.pending.saturating_sub(1);
            }
            id = entry.parent;
            // Of some parents nothing was ever read.
            if self.spans.get(id).is_some_and(|entry| entry.name.is_none() && entry.pending == 0) {
                self.spans.remove(id);
            }
        }
    }

    /// Adds a span to its stack, and forgets it.
    fn count(&mut self, id: u64) -> Option<Entry> {
        let stack = self.stack(id);
        let entry = self.spans.remove(id)?;
        if let (Some(stack), true) = (stack, entry.counts) {
            let stack = &mut self.stacks[stack as usize];
            let sums = if entry.is_open { &mut stack.open } else { &mut stack.ended };
            sums.add(&entry);
        }
        Some(entry)
    }

    /// The stack of a span; those of its ancestors are found first.
    fn stack(&mut self, id: u64) -> Option<u32> {
        let mut path = Vec::new();
        let mut above = None;
        let mut next = id;
        // As many steps as there are spans: in a damaged recording a span may seem to be its own ancestor.
        for _ in 0..=self.spans.len() {
            let Some(entry) = self.spans.get(next).filter(|entry| entry.name.is_some()) else {
                let lost = self.name(PARENT_LOST);
                above = Some(self.below(None, lost));
                break;
            };
            if let Some(stack) = entry.stack {
                above = Some(stack);
                break;
            }
            path.push(next);
            if entry.parent == 0 {
                break;
            }
            next = entry.parent;
        }
        for id in path.into_iter().rev() {
            let name = self.spans.get(id).and_then(|entry| entry.name).unwrap_or_default();
            above = Some(self.below(above, name));
            if let Some(entry) = self.spans.get_mut(id) {
                entry.stack = above;
            }
        }
        above
    }

    fn below(&mut self, above: Option<u32>, name: u32) -> u32 {
        let next = self.stacks.len() as u32;
        let stack = *self.below.entry((above, name)).or_insert(next);
        if stack == next {
            self.stacks.push(Stack { above, name, ended: Sums::default(), open: Sums::default() });
        }
        stack
    }

    /// Open spans count up to the last moment.
    fn close_open(&mut self) {
        let open = |(id, entry): (u64, &Entry)| (entry.name.is_some() && entry.end_ns.is_none()).then_some(id);
        let open: Vec<u64> = self.spans.iter().filter_map(open).collect();
        for id in open {
            let latest_ns = self.latest_ns;
            if let Some(entry) = self.spans.get_mut(id) {
                entry.is_open = true;
                let end_ns = latest_ns.max(entry.begin_ns);
                self.end(id, end_ns, 0);
            }
        }
    }
}

impl Sums {
    fn add(&mut self, entry: &Entry) {
        let end_ns = entry.end_ns.unwrap_or(entry.begin_ns);
        let total_ns = end_ns.saturating_sub(entry.begin_ns);
        self.spans += 1;
        // Times in a damaged recording may add up to anything.
        let add = |sum: &mut u64, ns: u64| *sum = sum.saturating_add(ns);
        add(&mut self.total_ns, total_ns);
        add(&mut self.self_ns, total_ns.saturating_sub(entry.covered.until(end_ns)));
        add(&mut self.idle_ns, entry.idle_ns.saturating_sub(entry.children_idle_ns));
    }
}
