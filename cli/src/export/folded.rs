//! A recording as folded stacks, one line `root;child;grandchild nanoseconds` for each, as tools for flame graphs read them.
//!
//! A stack is made of the names of a span and of those above it. What counts is one of [`Weight`]:
//!
//! - *self*: the time in which a span was there and none of its children was. Children that ran at the same time count once in that,
//!   and each in its own stack: the times below a stack are sums over spans, and can be more than time went by.
//! - *idle*: the time in which a span waited, polled by nobody, less what its children waited. Only where polls were measured.
//! - *total*: from begin to end, whatever its children did: to compare stacks by, rather than to draw.
//!
//! Open spans count up to the last moment in the recording, and their own time stands below their name, as `(open)`. Lost events have
//! stacks `(events lost);thread;cause`, with the length of the gap as their time. A span whose parent the recording does not have stands
//! below `(parent lost)`.
//!
//! The format cannot tell everything that a name may be from what is around it: `;` becomes `:`, control characters become spaces,
//! spaces at the ends go, an empty name is `(no name)`, and the space before a number at the end of a name becomes one that does not
//! break, as readers would take that number for a time.
//!
//! The export streams. It holds open spans, the last [`WINDOW`] that ended, those that wait for a child that has not ended, and one
//! number for each stack.

use crate::export::{ExportError, Exporter, cause_word};
use crate::spans::{Item, Span, thread_label};
use rustc_hash::FxHashMap;
use spanring::reader::{Loss, SpanKind, SpanRecord};
use std::cmp::Reverse;
use std::collections::VecDeque;
use std::io::Write;

/// As many ended spans are held back: what belongs to them may have been recorded by another thread, and be read later.
pub const WINDOW: usize = 1 << 16;

/// A span with more stretches of children than this forgets where the oldest were, not how long. Only a child that began before those,
/// and is read later, then counts too little.
const STRETCHES: usize = 1 << 16;

/// Which time counts.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, clap::ValueEnum)]
pub enum Weight {
    /// Without that of children
    #[default]
    #[value(name = "self")]
    Own,
    /// In which nobody polled, where that was measured
    Idle,
    /// From begin to end
    Total,
}

/// Writes folded stacks.
pub struct FoldedWriter<'w> {
    out: Box<dyn Write + Send + 'w>,
    weight: Weight,
    stacks: Stacks,
    names: FxHashMap<String, u32>,
    spans: FxHashMap<u64, Entry>,
    /// The spans that have ended, in the order of that.
    ended: VecDeque<u64>,
    threads: FxHashMap<u32, String>,
    /// The latest moment so far.
    latest_ns: u64,
    /// Async spans that ended, and those of them whose polls were measured.
    async_spans: u64,
    measured: u64,
    window: usize,
}

/// A tree of names with a time for each stack.
#[derive(Default)]
struct Stacks {
    nodes: Vec<Node>,
    /// By the node above, [`TOP`] for none, and the name.
    children: FxHashMap<(u32, u32), u32>,
}

struct Node {
    above: u32,
    name: u32,
    ns: u64,
}

const TOP: u32 = u32::MAX;

/// What is known about a span so far.
#[derive(Default)]
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
    /// It has no end.
    is_open: bool,
    /// It ended long enough ago.
    is_over: bool,
    stack: Option<u32>,
}

/// When children were there.
#[derive(Default)]
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

impl Stacks {
    fn below(&mut self, above: u32, name: u32) -> u32 {
        let next = self.nodes.len() as u32;
        let node = *self.children.entry((above, name)).or_insert(next);
        if node == next {
            self.nodes.push(Node { above, name, ns: 0 });
        }
        node
    }
}

impl<'w> FoldedWriter<'w> {
    /// Stacks with that time.
    pub fn new(out: Box<dyn Write + Send + 'w>, weight: Weight) -> FoldedWriter<'w> {
        FoldedWriter::with_window(out, weight, WINDOW)
    }

    /// The same with another [`WINDOW`].
    pub fn with_window(out: Box<dyn Write + Send + 'w>, weight: Weight, window: usize) -> FoldedWriter<'w> {
        FoldedWriter {
            out,
            weight,
            stacks: Stacks::default(),
            names: FxHashMap::default(),
            spans: FxHashMap::default(),
            ended: VecDeque::new(),
            threads: FxHashMap::default(),
            latest_ns: 0,
            async_spans: 0,
            measured: 0,
            window,
        }
    }

    fn name(&mut self, text: &str) -> u32 {
        if let Some(&number) = self.names.get(text) {
            return number;
        }
        let number = self.names.len() as u32;
        self.names.insert(text.to_owned(), number);
        number
    }

    /// Notes what a record says about a span.
    fn meet(&mut self, id: u64, parent: u64, name: &str, begin_ns: u64) {
        let name = self.name(name);
        let entry = self.spans.entry(id).or_default();
        if entry.name.is_some() {
            return;
        }
        (entry.parent, entry.name, entry.begin_ns) = (parent, Some(name), begin_ns);
        if parent != 0 {
            self.spans.entry(parent).or_default().pending += 1;
        }
    }

    fn span(&mut self, span: &Span<'_>) {
        self.meet(span.id, span.parent, span.name, span.begin_ns);
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

    fn end(&mut self, id: u64, end_ns: u64, idle_ns: u64) {
        let Some(entry) = self.spans.get_mut(&id) else { return };
        (entry.end_ns, entry.idle_ns) = (Some(end_ns), idle_ns);
        let (parent, begin_ns) = (entry.parent, entry.begin_ns);
        if let Some(parent) = self.spans.get_mut(&parent) {
            // Whether the parent's begin is known is found out when it is over.
            parent.covered.add(begin_ns.max(parent.begin_ns), end_ns);
            parent.children_idle_ns += idle_ns;
        }
    }

    /// Nothing more is expected of a span but from children that are known.
    fn over(&mut self, mut id: u64) {
        if let Some(entry) = self.spans.get_mut(&id) {
            entry.is_over = true;
        }
        // Its parent may have waited for it alone, and so on upwards.
        while self.spans.get(&id).is_some_and(|entry| entry.is_over && entry.pending == 0) {
            let Some(entry) = self.count(id) else { return };
            if let Some(parent) = self.spans.get_mut(&entry.parent) {
                parent.pending = parent.pending.saturating_sub(1);
            }
            id = entry.parent;
            // Of some parents nothing was ever read.
            if self.spans.get(&id).is_some_and(|entry| entry.name.is_none() && entry.pending == 0) {
                self.spans.remove(&id);
            }
        }
    }

    /// Adds a span to its stack, and forgets it.
    fn count(&mut self, id: u64) -> Option<Entry> {
        let stack = self.stack(id);
        let entry = self.spans.remove(&id)?;
        let stack = if entry.is_open {
            let open = self.name("(open)");
            self.stacks.below(stack, open)
        } else {
            stack
        };
        self.stacks.nodes[stack as usize].ns += entry.weight(self.weight);
        Some(entry)
    }

    /// The stack of a span; those of its ancestors are found first.
    fn stack(&mut self, id: u64) -> u32 {
        let mut path = Vec::new();
        let mut above = TOP;
        let mut next = id;
        // As many steps as there are spans: in a damaged recording a span may seem to be its own ancestor.
        for _ in 0..=self.spans.len() {
            let Some(entry) = self.spans.get(&next).filter(|entry| entry.name.is_some()) else {
                let lost = self.name("(parent lost)");
                above = self.stacks.below(TOP, lost);
                break;
            };
            if let Some(stack) = entry.stack {
                above = stack;
                break;
            }
            path.push(next);
            if entry.parent == 0 {
                break;
            }
            next = entry.parent;
        }
        for id in path.into_iter().rev() {
            let name = self.spans.get(&id).and_then(|entry| entry.name).unwrap_or_default();
            above = self.stacks.below(above, name);
            if let Some(entry) = self.spans.get_mut(&id) {
                entry.stack = Some(above);
            }
        }
        above
    }

    fn loss(&mut self, loss: &Loss) {
        let thread = self.threads.get(&loss.thread).cloned().unwrap_or_else(|| format!("thread {}", loss.thread));
        let mut stack = TOP;
        for text in ["(events lost)", &thread, cause_word(loss.cause)] {
            let name = self.name(text);
            stack = self.stacks.below(stack, name);
        }
        let gap = loss.before_unix_ns.zip(loss.after_unix_ns).map(|(before, after)| before.saturating_sub(after));
        self.stacks.nodes[stack as usize].ns += gap.unwrap_or_default();
    }

    /// Open spans count up to the last moment.
    fn close_open(&mut self) {
        let open = |(id, entry): (&u64, &Entry)| (entry.name.is_some() && entry.end_ns.is_none()).then_some(*id);
        let open: Vec<u64> = self.spans.iter().filter_map(open).collect();
        for id in open {
            let latest_ns = self.latest_ns;
            if let Some(entry) = self.spans.get_mut(&id) {
                entry.is_open = true;
                let end_ns = latest_ns.max(entry.begin_ns);
                self.end(id, end_ns, 0);
            }
        }
    }

    fn write(&mut self) -> Result<(), ExportError> {
        let mut texts = vec![String::new(); self.names.len()];
        for (text, &number) in &self.names {
            texts[number as usize] = frame(text);
        }
        // What is below a stack comes right behind it, for readers that draw line after line, and for people.
        let mut below: Vec<Vec<u32>> = vec![Vec::new(); self.stacks.nodes.len()];
        let mut next = Vec::new();
        for (number, node) in (0..).zip(&self.stacks.nodes) {
            below.get_mut(node.above as usize).unwrap_or(&mut next).push(number);
        }
        let text_of = |number: &u32| &texts[self.stacks.nodes[*number as usize].name as usize];
        next.sort_unstable_by_key(|number| Reverse(text_of(number)));
        let mut path: Vec<u32> = Vec::new();
        while let Some(number) = next.pop() {
            let node = &self.stacks.nodes[number as usize];
            while path.last().is_some_and(|&above| above != node.above) {
                path.pop();
            }
            path.push(number);
            let names: Vec<&str> = path.iter().map(|number| text_of(number).as_str()).collect();
            writeln!(self.out, "{} {}", names.join(";"), node.ns)?;
            let mut children = std::mem::take(&mut below[number as usize]);
            children.sort_unstable_by_key(|number| Reverse(text_of(number)));
            next.append(&mut children);
        }
        Ok(self.out.flush()?)
    }
}

/// A name as the format can have it.
fn frame(name: &str) -> String {
    let is_break = |c: char| c.is_control() || matches!(c, '\u{2028}' | '\u{2029}');
    let name = name.replace(';', ":").replace(is_break, " ");
    let name = name.trim();
    if name.is_empty() {
        return "(no name)".to_owned();
    }
    match name.rsplit_once(' ') {
        Some((before, number)) if number.chars().all(|c| c.is_ascii_digit() || c == '.') => {
            format!("{before}\u{a0}{number}")
        }
        _ => name.to_owned(),
    }
}

impl Entry {
    fn weight(&self, weight: Weight) -> u64 {
        let end_ns = self.end_ns.unwrap_or(self.begin_ns);
        let total = end_ns.saturating_sub(self.begin_ns);
        match weight {
            Weight::Own => total.saturating_sub(self.covered.until(end_ns)),
            Weight::Idle => self.idle_ns.saturating_sub(self.children_idle_ns),
            Weight::Total => total,
        }
    }
}

impl Exporter for FoldedWriter<'_> {
    fn begun(&mut self, record: &SpanRecord<'_>) {
        self.latest_ns = self.latest_ns.max(record.unix_ns);
        self.meet(record.span_id, record.parent_span_id, crate::spans::cut(record.name), record.unix_ns);
    }

    fn add(&mut self, item: &Item<'_>) -> Result<(), ExportError> {
        match item {
            Item::Thread(facts) => drop(self.threads.insert(facts.id, thread_label(facts))),
            Item::Span(span) => self.span(span),
            Item::Loss(loss) => self.loss(loss),
            // It has no time that could be a weight; the counts tell of it.
            Item::Damage(_) => {}
        }
        Ok(())
    }

    fn finish(mut self: Box<Self>) -> Result<Vec<String>, ExportError> {
        self.close_open();
        // All are over, and those first that no other waits for.
        let all: Vec<u64> = self.spans.keys().copied().collect();
        for id in &all {
            if let Some(entry) = self.spans.get_mut(id).filter(|entry| entry.name.is_some()) {
                entry.is_over = true;
            }
        }
        for &id in &all {
            self.over(id);
        }
        // In a damaged recording spans may seem to be each other's parents.
        for id in all {
            if self.spans.get(&id).is_some_and(|entry| entry.name.is_some()) {
                self.count(id);
            }
        }
        self.write()?;
        let mut remarks = vec!["draw it with inferno-flamegraph, or open it at https://www.speedscope.app".to_owned()];
        if self.weight == Weight::Idle && self.measured < self.async_spans {
            remarks.push(format!(
                "idle times are known of {} of {} async spans: the recorder has to measure polls",
                self.measured, self.async_spans
            ));
        }
        Ok(remarks)
    }
}
