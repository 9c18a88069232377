//! What was going on: the spans that are open, as a tree, each with its age.
//!
//! A future can outlive the one that it was made in. So above an open span there may be some that have ended, or of which
//! nothing is known: they stand in the tree too, to say where the open one comes from. Which they are shows only when the
//! open spans are known; a recording that has any is therefore read again, at most [`MAX_SEARCHES`] times.
//!
//! ```no_run
//! use spanring::reader::Recording;
//! use spanring_cli::filter::Filter;
//! use spanring_cli::{open, render};
//!
//! # fn main() -> Result<(), spanring::reader::ReadError> {
//! let recording = Recording::open("recording")?;
//! let filter = Filter::default();
//! let min_age_ns = 1_000_000_000;
//! let report = open::describe(&recording, &filter.of(&recording), min_age_ns)?;
//! print!("{}", render::open(&report, None));
//! # Ok(())
//! # }
//! ```

use crate::filter::Wanted;
use crate::spans::{self, Counter, Details, Ending, Instant, Item, Span, add, thread_label};
use crate::top::kind_word;
use rustc_hash::{FxHashMap, FxHashSet};
use serde::Serialize;
use spanring::reader::{LossCause, ReadError, Recording, Summary, WriterState};
use std::time::SystemTime;

/// How often a recording is searched for parents that have ended. One search finds all that ended in the usual order,
/// children first; another one is needed wherever a child outlived its parent. What is still missing then is unknown.
pub const MAX_SEARCHES: usize = 4;

/// The spans that are open at a recording's last instant.
///
/// ```
/// use spanring_cli::open::OpenReport;
///
/// /// Whether something has been going on for longer than it may; not of a process that has stopped.
/// fn is_stuck(report: &OpenReport, most_ns: u64) -> bool {
///     report.writer == "running" && report.oldest_ns.is_some_and(|ns| ns > most_ns)
/// }
/// # use spanring::reader::WriterState;
/// # use spanring_cli::open::{Circumstances, OpenSpans};
/// # let of = Circumstances { writer: WriterState::Running, last_sign_unix_ns: Some(500), refused_events: 0 };
/// # let nothing = OpenSpans::default().finish(&of, 0);
/// # assert!(!is_stuck(&nothing, 0) && is_stuck(&OpenReport { oldest_ns: Some(20), ..nothing }, 10));
/// ```
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct OpenReport {
    /// Whether the process still records: `running`, `stopped`, `died` or `unknown`.
    pub writer: String,
    /// The last instant, in nanoseconds since 1970: when this was read if the process runs, else the last sign of it. Ages
    /// count up to then.
    pub until_unix_ns: u64,
    /// Open spans that were asked for, whether in the tree or not.
    pub open: u64,
    /// Open spans that were not asked for.
    pub others: u64,
    /// Of these, spans with no open one above them.
    pub roots: u64,
    /// Of these, spans that are not in the tree because they are younger than was asked for.
    pub younger: u64,
    /// Of these, spans whose end may be among the events that are missing.
    pub doubtful: u64,
    /// Age of the oldest open span, in nanoseconds; `None` if there is none.
    pub oldest_ns: Option<u64>,
    /// Records that are missing from the recording, but for damage.
    pub lost_records: u64,
    /// Of these, records that newer ones overwrote, which is how flight discipline works.
    pub overwritten_records: u64,
    /// Of these, records whose segment was removed to keep the directory within its budget.
    pub retired_records: u64,
    /// Records that are missing because of damage, as far as is known.
    pub damaged_records: u64,
    /// Stretches of the recording's files that could not be understood.
    pub damaged: u64,
    /// Events that never became records, such as those of a thread that was already ending.
    pub refused_events: u64,
    /// The open spans and what is above them, parents before their children, each time the oldest first.
    pub tree: Vec<Line>,
}

/// A span in the tree: an open one, or one above it that is not.
///
/// ```
/// use spanring_cli::open::{Line, ThreadRef};
///
/// /// As it stands in a tree: who it is, and on which thread it began.
/// fn shown(line: &Line) -> String {
///     let thread = line.thread.as_ref().map_or("?", |ThreadRef { name, .. }| name);
///     format!("{:indent$}{} on {thread}", "", line.name, indent = 2 * line.level as usize)
/// }
/// ```
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct Line {
    /// How far below its root it stands in the tree.
    pub level: u32,
    /// `open`; of an ancestor also `completed`, `failed`, `cancelled` or `panicked`, or `unknown` if the recording has nothing of it.
    pub state: &'static str,
    /// Unique within the session, never 0.
    pub id: u64,
    /// The id of the span that this one was created in, 0 for none.
    pub parent: u64,
    /// The name; empty if nothing is known.
    pub name: String,
    /// `async` or `thread`.
    pub kind: Option<&'static str>,
    /// Source file as the compiler was given it; `None` if the recording lost the location.
    pub file: Option<String>,
    /// Line in that file.
    pub line: Option<u32>,
    /// Log target.
    pub target: Option<String>,
    /// First poll, in nanoseconds since 1970.
    pub begin_unix_ns: Option<u64>,
    /// End, in nanoseconds since 1970; `None` while open.
    pub end_unix_ns: Option<u64>,
    /// Nanoseconds from the first poll to the last instant; `None` unless open.
    pub age_ns: Option<u64>,
    /// Where the first poll took place.
    pub thread: Option<ThreadRef>,
    /// Open, but its end may be among the events that are missing.
    pub end_may_be_lost: bool,
    /// Attributes, and instants within it.
    #[serde(flatten)]
    pub details: Details,
    /// Open, and one of those that are asked for.
    #[serde(skip)]
    pub is_asked_for: bool,
}

/// A thread, as far as a [`Line`] tells.
///
/// ```
/// use spanring_cli::open::ThreadRef;
///
/// let thread = ThreadRef { id: 3, os_id: 4711, name: "worker 2".to_owned() };
/// let json = serde_json::to_string(&thread).expect("text");
/// assert_eq!(json, r#"{"id":3,"os_id":4711,"name":"worker 2"}"#);
/// ```
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct ThreadRef {
    /// Unique in the session.
    pub id: u32,
    /// The operating system's number, 0 if unknown.
    pub os_id: u64,
    /// The thread's name, or `thread N` if it has none.
    pub name: String,
}

/// What is known about a recording besides its spans.
///
/// ```
/// use spanring::reader::WriterState;
/// use spanring_cli::open::{Circumstances, OpenSpans};
///
/// let killed = Circumstances { writer: WriterState::Died, last_sign_unix_ns: Some(1_000), refused_events: 2 };
/// let report = OpenSpans::default().finish(&killed, 0);
/// assert_eq!((report.writer.as_str(), report.refused_events), ("died", 2));
/// assert_eq!(report.until_unix_ns, 1_000, "no record is later");
/// ```
#[derive(Clone, Copy, Debug)]
pub struct Circumstances {
    /// Whether the process still records.
    pub writer: WriterState,
    /// If it runs, now; else the last time that it wrote down how it goes. On the clock of the records.
    pub last_sign_unix_ns: Option<u64>,
    /// Events that never became records.
    pub refused_events: u64,
}

/// Reads a session and finds what is open of the spans that are `wanted`. Those younger than `min_age_ns` are only counted.
///
/// # Errors
/// Those of [`Recording::read`].
///
/// ```no_run
/// use spanring::reader::Recording;
/// use spanring_cli::filter::Filter;
/// use spanring_cli::open::describe;
///
/// # fn main() -> Result<(), spanring::reader::ReadError> {
/// let recording = Recording::open("recording")?;
/// let queries = Filter { name: Some("query".to_owned()), ..Filter::default() };
/// let report = describe(&recording, &queries.of(&recording), 1_000_000_000)?;
/// println!("{} queries are open, {} of them for less than a second", report.open, report.younger);
/// # Ok(())
/// # }
/// ```
pub fn describe(recording: &Recording, wanted: &Wanted<'_>, min_age_ns: u64) -> Result<OpenReport, ReadError> {
    let circumstances = Circumstances::of(recording, SystemTime::now());
    let mut spans = OpenSpans::default();
    let summary = spans::read(recording, &mut |item| spans.add_wanted(&item, |span| wanted.has(span)))?;
    spans.find_parents(recording, &summary)?;
    Ok(spans.finish(&circumstances, min_age_ns))
}

impl Circumstances {
    /// Those of a recording that is read at `now`.
    ///
    /// ```no_run
    /// use spanring::reader::Recording;
    /// use spanring_cli::open::Circumstances;
    /// use std::time::SystemTime;
    ///
    /// # fn main() -> Result<(), spanring::reader::ReadError> {
    /// let recording = Recording::open("recording")?;
    /// let circumstances = Circumstances::of(&recording, SystemTime::now());
    /// println!("{}, {} events refused", circumstances.writer, circumstances.refused_events);
    /// # Ok(())
    /// # }
    /// ```
    pub fn of(recording: &Recording, now: SystemTime) -> Circumstances {
        let (start, writer) = (recording.facts().start, recording.writer());
        let now = now.duration_since(SystemTime::UNIX_EPOCH).unwrap_or_default().as_nanos() as u64;
        let anchor = recording.status().map(|status| status.anchor);
        // Records are dated by the wall clock of the start, which may have been set since: monotonic time is added to it.
        let anchor = anchor.filter(|anchor| anchor.monotonic_ns >= start.monotonic_ns);
        let written = anchor.map(|anchor| start.unix_ns.saturating_add(anchor.monotonic_ns - start.monotonic_ns));
        let last_sign_unix_ns = match (writer, anchor, written) {
            (WriterState::Running, Some(anchor), Some(written)) => {
                Some(written.saturating_add(now.saturating_sub(anchor.unix_ns)))
            }
            (WriterState::Running, ..) => Some(now),
            _ => written,
        };
        let refused_events = recording.status().map_or(0, |status| status.refused);
        Circumstances { writer, last_sign_unix_ns, refused_events }
    }
}

/// Collects what is open, then what is above it.
///
/// ```
/// # use spanring::reader::{NameState, SpanKind, WriterState};
/// use spanring_cli::open::{Circumstances, OpenSpans};
/// use spanring_cli::spans::{Ending, Item, Span};
///
/// # fn span(id: u64, parent: u64, name: &'static str, begin_ns: u64, end_ns: Option<u64>) -> Span<'static> {
/// #     let ending = if end_ns.is_some() { Ending::Completed } else { Ending::Open };
/// #     Span {
/// #         id, parent, depth: 0, kind: SpanKind::Async, name, name_index: None, name_state: NameState::Whole, place: None, ending,
/// #         created_ns: None, begin_ns, end_ns, begin_thread: None, end_thread: None, polls: 1, busy_ns: None, busy_partial: false,
/// #         begin_lost: false, end_may_be_lost: false, details: None,
/// #     }
/// # }
/// // A task that outlived the request that it was made in: id, parent, name, begin and end.
/// let items = [span(1, 0, "request", 100, Some(200)), span(2, 1, "task", 150, None)].map(Item::Span);
/// let mut spans = OpenSpans::default();
/// items.iter().for_each(|item| spans.add(item));
/// assert_eq!(spans.missing_parents(), 1, "when the request came by, nobody knew that it would be asked for");
/// items.iter().for_each(|item| spans.add_parent(item));
///
/// let of = Circumstances { writer: WriterState::Running, last_sign_unix_ns: Some(1_000), refused_events: 0 };
/// let report = spans.finish(&of, 0);
/// let tree: Vec<_> = report.tree.iter().map(|line| (line.level, line.name.as_str(), line.age_ns)).collect();
/// assert_eq!(tree, [(0, "request", None), (1, "task", Some(850))]);
/// assert_eq!(report.tree[0].state, Ending::Completed.word());
/// ```
#[derive(Debug, Default)]
pub struct OpenSpans {
    /// By id. Level and age come last, in [`OpenSpans::finish`].
    lines: FxHashMap<u64, Line>,
    /// Parents that are not among the lines.
    wanted: FxHashSet<u64>,
    threads: FxHashMap<u32, ThreadRef>,
    last_record_unix_ns: u64,
    lost_records: u64,
    overwritten_records: u64,
    retired_records: u64,
    damaged_records: u64,
    damaged: u64,
}

impl OpenSpans {
    /// Adds what [`crate::spans::read`] hands out. All of that comes before the first [`OpenSpans::add_parent`].
    ///
    /// ```
    /// use spanring::reader::{Loss, LossCause, WriterState};
    /// use spanring_cli::open::{Circumstances, OpenSpans};
    /// use spanring_cli::spans::Item;
    ///
    /// let loss = Loss { thread: 1, records: 7, cause: LossCause::Overwritten, after_unix_ns: None, before_unix_ns: None };
    /// let mut spans = OpenSpans::default();
    /// spans.add(&Item::Loss(loss));
    /// # let of = Circumstances { writer: WriterState::Stopped, last_sign_unix_ns: None, refused_events: 0 };
    /// let report = spans.finish(&of, 0);
    /// assert_eq!((report.lost_records, report.overwritten_records), (7, 7));
    /// ```
    pub fn add(&mut self, item: &Item<'_>) {
        self.add_wanted(item, |_| true);
    }

    /// The same, but an open span that is not `wanted` is there only if one that is stands below it.
    fn add_wanted(&mut self, item: &Item<'_>, wanted: impl Fn(&Span<'_>) -> bool) {
        match item {
            Item::Thread(thread) => {
                let known = ThreadRef { id: thread.id, os_id: thread.os_id, name: thread_label(thread) };
                self.threads.insert(thread.id, known);
            }
            Item::Span(span) => {
                self.last_record_unix_ns = self.last_record_unix_ns.max(span.end_ns.unwrap_or(span.begin_ns));
                if span.ending == Ending::Open {
                    self.insert(span, wanted(span));
                }
            }
            Item::Loss(loss) => {
                add(&mut self.lost_records, loss.records);
                match loss.cause {
                    LossCause::Dropped => {}
                    LossCause::Overwritten => add(&mut self.overwritten_records, loss.records),
                    LossCause::Retired => add(&mut self.retired_records, loss.records),
                }
            }
            Item::Damage(_) => self.damaged += 1,
            Item::Instant(Instant { unix_ns, .. }) | Item::Counter(Counter { unix_ns, .. }) => {
                self.last_record_unix_ns = self.last_record_unix_ns.max(*unix_ns);
            }
            Item::Details(_) => {}
        }
    }

    /// Reads the recording of which everything was added again, for parents that have ended: at most [`MAX_SEARCHES`] times.
    ///
    /// # Errors
    /// Those of [`Recording::read`].
    pub(crate) fn find_parents(&mut self, recording: &Recording, summary: &Summary) -> Result<(), ReadError> {
        self.damaged_records = summary.damaged;
        for _ in 0..MAX_SEARCHES {
            let known = self.lines.len();
            if self.missing_parents() > 0 {
                spans::read(recording, &mut |item| self.add_parent(&item))?;
            }
            if self.lines.len() == known {
                break;
            }
        }
        Ok(())
    }

    /// Number of parents of which nothing is known so far.
    ///
    /// ```
    /// use spanring_cli::open::OpenSpans;
    ///
    /// assert_eq!(OpenSpans::default().missing_parents(), 0);
    /// ```
    pub fn missing_parents(&self) -> usize {
        self.wanted.len()
    }

    /// Adds the same things once more: those that are missing parents are kept now.
    ///
    /// ```no_run
    /// use spanring::reader::{ReadError, Recording};
    /// use spanring_cli::open::{MAX_SEARCHES, OpenSpans};
    /// use spanring_cli::spans;
    ///
    /// /// Each reading may find parents whose own parents are missing.
    /// fn find_parents(open: &mut OpenSpans, recording: &Recording) -> Result<(), ReadError> {
    ///     for _ in 0..MAX_SEARCHES {
    ///         if open.missing_parents() > 0 {
    ///             spans::read(recording, &mut |item| open.add_parent(&item))?;
    ///         }
    ///     }
    ///     Ok(())
    /// }
    /// ```
    pub fn add_parent(&mut self, item: &Item<'_>) {
        if let Item::Span(span) = item {
            if self.wanted.contains(&span.id) {
                self.insert(span, false);
            }
        }
    }

    fn insert(&mut self, span: &Span<'_>, is_asked_for: bool) {
        self.wanted.remove(&span.id);
        self.lines.insert(span.id, Line { is_asked_for, ..self.line(span) });
        if span.parent != 0 && !self.lines.contains_key(&span.parent) {
            self.wanted.insert(span.parent);
        }
    }

    fn line(&self, span: &Span<'_>) -> Line {
        let location = span.place.map(|place| &place.location);
        Line {
            state: span.ending.word(),
            parent: span.parent,
            name: span.name.to_owned(),
            kind: Some(kind_word(span.kind)),
            file: location.map(|location| location.file.clone()),
            line: location.map(|location| location.line),
            target: location.map(|location| location.target.clone()),
            begin_unix_ns: Some(span.begin_ns),
            end_unix_ns: span.end_ns,
            thread: span.begin_thread.and_then(|id| self.threads.get(&id).cloned()),
            end_may_be_lost: span.end_may_be_lost,
            details: span.cloned_details(),
            ..Line::unknown(span.id)
        }
    }

    /// The report on what was added. Spans younger than `min_age_ns` are only counted, unless something older is below them.
    ///
    /// ```
    /// use spanring::reader::WriterState;
    /// use spanring_cli::open::{Circumstances, OpenSpans};
    ///
    /// let stopped = Circumstances { writer: WriterState::Stopped, last_sign_unix_ns: None, refused_events: 0 };
    /// let report = OpenSpans::default().finish(&stopped, 0);
    /// assert_eq!((report.open, report.oldest_ns), (0, None));
    /// assert!(report.tree.is_empty());
    /// ```
    pub fn finish(mut self, circumstances: &Circumstances, min_age_ns: u64) -> OpenReport {
        for id in std::mem::take(&mut self.wanted) {
            self.lines.insert(id, Line::unknown(id));
        }
        let until_unix_ns = self.last_record_unix_ns.max(circumstances.last_sign_unix_ns.unwrap_or(0));
        let mut report = OpenReport {
            writer: circumstances.writer.to_string(),
            until_unix_ns,
            open: 0,
            others: 0,
            roots: 0,
            younger: 0,
            doubtful: 0,
            oldest_ns: None,
            lost_records: self.lost_records,
            overwritten_records: self.overwritten_records,
            retired_records: self.retired_records,
            damaged_records: self.damaged_records,
            damaged: self.damaged,
            refused_events: circumstances.refused_events,
            tree: Vec::new(),
        };
        for line in self.lines.values_mut().filter(|line| line.is_open()) {
            line.age_ns = line.begin_unix_ns.map(|begin| until_unix_ns.saturating_sub(begin));
        }
        let shown = self.with_ancestors(|line| line.is_asked_for && line.age_ns.is_some_and(|age| age >= min_age_ns));
        for (id, level, is_root) in self.places() {
            let Some(line) = self.lines.remove(&id) else { continue };
            let is_shown = shown.contains(&id);
            report.others += u64::from(line.is_open() && !line.is_asked_for);
            if line.is_asked_for {
                report.open += 1;
                report.roots += u64::from(is_root);
                report.younger += u64::from(!is_shown);
                report.doubtful += u64::from(line.end_may_be_lost);
                report.oldest_ns = report.oldest_ns.max(line.age_ns);
            }
            if is_shown {
                report.tree.push(Line { level, ..line });
            }
        }
        report
    }

    /// The lines that are `wanted`, and all that is above them.
    fn with_ancestors(&self, wanted: impl Fn(&Line) -> bool) -> FxHashSet<u64> {
        let mut all = FxHashSet::default();
        for line in self.lines.values().filter(|line| wanted(line)) {
            let mut next = Some(line);
            while let Some(line) = next.filter(|line| all.insert(line.id)) {
                next = self.lines.get(&line.parent);
            }
        }
        all
    }

    /// The lines in the order of the tree, each with its level, and whether no open one is above it.
    fn places(&self) -> Vec<(u64, u32, bool)> {
        let order = self.by_age();
        let mut children: FxHashMap<u64, Vec<u64>> = FxHashMap::default();
        for &id in &order {
            children.entry(self.lines[&id].parent).or_default().push(id);
        }
        let mut places = Vec::with_capacity(order.len());
        let mut placed = FxHashSet::default();
        // First what has no parent. Then all that is left: in a damaged recording, spans can be one another's parents.
        let roots = children.get(&0).into_iter().flatten().copied();
        let mut stack = Vec::new();
        for root in roots.chain(order) {
            stack.push((root, 0, true));
            while let Some((id, level, is_root)) = stack.pop() {
                if !placed.insert(id) {
                    continue;
                }
                places.push((id, level, is_root));
                let below_open = !is_root || self.lines[&id].is_asked_for;
                let below = children.get(&id).into_iter().flatten().rev();
                stack.extend(below.map(|&child| (child, level + 1, !below_open)));
            }
        }
        places
    }

    /// All lines, the oldest first. One that is not open is as old as the oldest open one below it.
    fn by_age(&self) -> Vec<u64> {
        let mut open: Vec<&Line> = self.lines.values().filter(|line| line.is_open()).collect();
        open.sort_unstable_by_key(|line| (line.begin_unix_ns, line.id));
        let mut order = Vec::with_capacity(self.lines.len());
        let mut ranked = FxHashSet::default();
        for line in open {
            order.push(line.id);
            let not_open = |id: u64| self.lines.get(&id).filter(|line| !line.is_open());
            let mut next = not_open(line.parent);
            while let Some(above) = next.filter(|above| ranked.insert(above.id)) {
                order.push(above.id);
                next = not_open(above.parent);
            }
        }
        order
    }
}

impl OpenReport {
    /// Cuts the tree after `spans` open spans.
    ///
    /// ```
    /// # use spanring::reader::{NameState, SpanKind, WriterState};
    /// # use spanring_cli::open::{Circumstances, OpenSpans};
    /// # use spanring_cli::spans::{Ending, Item, Span};
    /// # let task = |id| Span {
    /// #     id, parent: 0, depth: 0, kind: SpanKind::Async, name: "task", name_index: None, name_state: NameState::Whole, place: None,
    /// #     ending: Ending::Open, created_ns: None, begin_ns: 100 * id, end_ns: None, begin_thread: None, end_thread: None, polls: 0,
    /// #     busy_ns: None, busy_partial: false, begin_lost: false, end_may_be_lost: false, details: None,
    /// # };
    /// # let mut spans = OpenSpans::default();
    /// # (1..=3).for_each(|id| spans.add(&Item::Span(task(id))));
    /// # let of = Circumstances { writer: WriterState::Running, last_sign_unix_ns: Some(1_000), refused_events: 0 };
    /// # let mut report = spans.finish(&of, 0);
    /// // Of three open spans:
    /// report.limit(1);
    /// assert_eq!((report.open, report.tree.len(), report.cut()), (3, 1, 2));
    /// assert_eq!(report.tree[0].age_ns, report.oldest_ns, "the oldest stays");
    /// ```
    pub fn limit(&mut self, spans: usize) {
        let open = self.tree.iter().enumerate().filter(|(_, line)| line.is_asked_for);
        let end = open.take(spans).last().map_or(0, |(index, _)| index + 1);
        self.tree.truncate(end);
    }

    /// Number of open spans that were cut off the tree.
    ///
    /// ```
    /// use spanring_cli::open::OpenReport;
    ///
    /// fn note(report: &OpenReport) -> Option<String> {
    ///     Some(report.cut()).filter(|&more| more > 0).map(|more| format!("... and {more} more"))
    /// }
    /// ```
    pub fn cut(&self) -> u64 {
        let listed = self.tree.iter().filter(|line| line.is_asked_for).count() as u64;
        self.open - self.younger - listed
    }
}

impl Line {
    /// Whether it has not ended. What is above an open span may have, or nothing is known of it.
    ///
    /// ```
    /// use spanring_cli::open::{Line, OpenReport};
    ///
    /// /// Without what is there only to say where an open one comes from.
    /// fn open_names(report: &OpenReport) -> Vec<&str> {
    ///     report.tree.iter().filter(|line: &&Line| line.is_open()).map(|line| line.name.as_str()).collect()
    /// }
    /// ```
    pub fn is_open(&self) -> bool {
        self.state == Ending::Open.word()
    }

    fn unknown(id: u64) -> Line {
        Line {
            level: 0,
            state: "unknown",
            id,
            parent: 0,
            name: String::new(),
            kind: None,
            file: None,
            line: None,
            target: None,
            begin_unix_ns: None,
            end_unix_ns: None,
            age_ns: None,
            thread: None,
            end_may_be_lost: false,
            details: Details::default(),
            is_asked_for: false,
        }
    }
}
