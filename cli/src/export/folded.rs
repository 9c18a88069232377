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
//! stacks `(events lost);thread;cause`, with the length of the gap as their time. Where no record of the thread is left before a gap, it
//! counts from the begin of the recording, and to its last moment where none is left behind it: a gap that is there has to be seen. A
//! span whose parent the recording does not have stands below `(parent lost)`.
//!
//! The format cannot tell everything that a name may be from what is around it: `;` becomes `:`, control characters become spaces,
//! spaces at the ends go, an empty name is `(no name)`, and the space before a number at the end of a name becomes one that does not
//! break, as readers would take that number for a time.
//!
//! The export streams, as [`crate::stacks`] does.

use crate::export::{ExportError, Exporter, cause_word};
use crate::spans::{Item, thread_label};
use crate::stacks::{StackSums, Stacks, Sums};
use rustc_hash::FxHashMap;
use spanring::reader::{Loss, Recording, SpanRecord};
use std::cmp::Reverse;
use std::io::Write;

/// Which time counts.
///
/// ```
/// use spanring_cli::export::folded::Weight;
///
/// assert_eq!(Weight::default(), Weight::Own);
/// ```
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
///
/// ```
/// use spanring::reader::{Loss, LossCause};
/// use spanring_cli::export::{Exporter, folded::{FoldedWriter, Weight}};
/// use spanring_cli::spans::Item;
/// use spanring_cli::stacks::StackSums;
///
/// # let (after_unix_ns, before_unix_ns) = (Some(1_000), Some(3_000));
/// # let loss = Loss { thread: 1, records: 12, cause: LossCause::Dropped, after_unix_ns, before_unix_ns };
/// let mut lines = Vec::new();
/// let mut writer = FoldedWriter::new(Box::new(&mut lines), Weight::Own, StackSums::default(), 500);
/// writer.add(&Item::Loss(loss))?;
/// Box::new(writer).finish()?;
/// assert_eq!(String::from_utf8_lossy(&lines), "(events lost);thread\u{a0}1;dropped 2000\n");
/// # Ok::<(), spanring_cli::export::ExportError>(())
/// ```
pub struct FoldedWriter<'w> {
    out: Box<dyn Write + Send + 'w>,
    weight: Weight,
    sums: StackSums,
    threads: FxHashMap<u32, String>,
    losses: Vec<Loss>,
    /// When the recording began.
    started_ns: u64,
}

impl<'w> FoldedWriter<'w> {
    /// Stacks of a recording, with that time.
    ///
    /// ```no_run
    /// use spanring::reader::Recording;
    /// use spanring_cli::export::Exporter;
    /// use spanring_cli::export::folded::{FoldedWriter, Weight};
    ///
    /// # fn main() -> Result<(), Box<dyn std::error::Error>> {
    /// let recording = Recording::open("recording")?;
    /// let file = std::fs::File::create("stacks.folded")?;
    /// let writer = FoldedWriter::of(&recording, Box::new(file), Weight::Idle);
    /// Box::new(writer).finish()?;
    /// # Ok(())
    /// # }
    /// ```
    pub fn of(recording: &Recording, out: Box<dyn Write + Send + 'w>, weight: Weight) -> FoldedWriter<'w> {
        FoldedWriter::new(out, weight, StackSums::default(), recording.facts().started_unix_ns)
    }

    /// Stacks of a recording that began at `started_unix_ns`. The spans are added to `sums`.
    ///
    /// ```
    /// use spanring_cli::export::{Exporter, folded::{FoldedWriter, Weight}};
    /// use spanring_cli::stacks::StackSums;
    ///
    /// let mut lines = Vec::new();
    /// let writer = FoldedWriter::new(Box::new(&mut lines), Weight::Total, StackSums::default(), 0);
    /// let remarks = Box::new(writer).finish()?;
    /// assert!(lines.is_empty(), "no spans, no stacks");
    /// assert!(remarks[0].contains("inferno-flamegraph"), "how to draw it");
    /// # Ok::<(), spanring_cli::export::ExportError>(())
    /// ```
    pub fn new(
        out: Box<dyn Write + Send + 'w>,
        weight: Weight,
        sums: StackSums,
        started_unix_ns: u64,
    ) -> FoldedWriter<'w> {
        let (threads, losses) = (FxHashMap::default(), Vec::new());
        FoldedWriter { out, weight, sums, threads, losses, started_ns: started_unix_ns }
    }

    fn write(&mut self, stacks: &Stacks) -> Result<(), ExportError> {
        let texts: Vec<String> = stacks.names.iter().map(|text| frame(text)).collect();
        // What is below a stack comes right behind it, for readers that draw line after line, and for people.
        let mut below: Vec<Vec<u32>> = vec![Vec::new(); stacks.all.len()];
        let mut next = Vec::new();
        for (number, stack) in (0..).zip(&stacks.all) {
            stack.above.and_then(|above| below.get_mut(above as usize)).unwrap_or(&mut next).push(number);
        }
        let text_of = |number: &u32| &texts[stacks.all[*number as usize].name as usize];
        next.sort_unstable_by_key(|number| Reverse(text_of(number)));
        let mut path: Vec<u32> = Vec::new();
        while let Some(number) = next.pop() {
            let stack = &stacks.all[number as usize];
            while path.last().is_some_and(|&above| Some(above) != stack.above) {
                path.pop();
            }
            path.push(number);
            let names: Vec<&str> = path.iter().map(|number| text_of(number).as_str()).collect();
            let names = names.join(";");
            writeln!(self.out, "{names} {}", self.weight.of(&stack.ended))?;
            if stack.open.spans > 0 {
                writeln!(self.out, "{names};(open) {}", self.weight.of(&stack.open))?;
            }
            let mut children = std::mem::take(&mut below[number as usize]);
            children.sort_unstable_by_key(|number| Reverse(text_of(number)));
            next.append(&mut children);
        }
        Ok(())
    }

    fn write_losses(&mut self, latest_ns: u64) -> Result<(), ExportError> {
        let mut lines: Vec<(String, u64)> = Vec::new();
        for loss in &self.losses {
            let thread = self.threads.get(&loss.thread).cloned().unwrap_or_else(|| format!("thread {}", loss.thread));
            let begin_ns = loss.after_unix_ns.unwrap_or(self.started_ns);
            let end_ns = loss.before_unix_ns.unwrap_or(latest_ns);
            let stack = format!("(events lost);{};{}", frame(&thread), cause_word(loss.cause));
            lines.push((stack, end_ns.saturating_sub(begin_ns)));
        }
        lines.sort_unstable();
        for gaps in lines.chunk_by(|a, b| a.0 == b.0) {
            let ns = gaps.iter().fold(0, |sum: u64, gap| sum.saturating_add(gap.1));
            writeln!(self.out, "{} {ns}", gaps[0].0)?;
        }
        Ok(())
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

impl Weight {
    fn of(self, sums: &Sums) -> u64 {
        match self {
            Weight::Own => sums.self_ns,
            Weight::Idle => sums.idle_ns,
            Weight::Total => sums.total_ns,
        }
    }
}

impl Exporter for FoldedWriter<'_> {
    fn begun(&mut self, record: &SpanRecord<'_>) {
        self.sums.begun(record);
    }

    fn add(&mut self, item: &Item<'_>) -> Result<(), ExportError> {
        match item {
            Item::Thread(facts) => drop(self.threads.insert(facts.id, thread_label(facts))),
            Item::Span(span) => self.sums.add(span, true),
            Item::Loss(loss) => self.losses.push(*loss),
            // It has no time that could be a weight; the counts tell of it.
            Item::Damage(_) => {}
            // These have no duration that could be one.
            Item::Instant(_) | Item::Counter(_) | Item::Details(_) => {}
        }
        Ok(())
    }

    fn finish(mut self: Box<Self>) -> Result<Vec<String>, ExportError> {
        let stacks = std::mem::take(&mut self.sums).finish();
        self.write_losses(stacks.latest_ns)?;
        self.write(&stacks)?;
        self.out.flush()?;
        let mut remarks = vec!["draw it with inferno-flamegraph, or open it at https://www.speedscope.app".to_owned()];
        if self.weight == Weight::Idle && stacks.measured < stacks.async_spans {
            remarks.push(format!(
                "idle times are known of {} of {} async spans: the recorder has to measure polls",
                stacks.measured, stacks.async_spans
            ));
        }
        Ok(remarks)
    }
}
