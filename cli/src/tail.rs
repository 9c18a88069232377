//! A recording that grows: what has ended since the last look.
//!
//! ```no_run
//! use spanring::reader::Recording;
//! use spanring_cli::filter::Filter;
//! use spanring_cli::tail::Tail;
//! use std::time::Duration;
//!
//! # fn main() -> Result<(), spanring::reader::ReadError> {
//! let filter = Filter::default();
//! let recording = Recording::open("recording")?;
//! let mut tail = Tail::of(&recording);
//! for _ in 0..10 {
//!     for span in tail.look(&recording, &filter.of(&recording), 100)? {
//!         println!("{} {}", span.name, span.outcome);
//!     }
//!     std::thread::sleep(Duration::from_secs(1));
//! }
//! # Ok(())
//! # }
//! ```

use crate::filter::Wanted;
use crate::info::DamageInfo;
use crate::spans::{Details, Ending, Pairing, Span, add, thread_label};
use crate::top::kind_word;
use rustc_hash::FxHashMap;
use serde::Serialize;
use spanring::reader::{Event, LossCause, ReadError, Recording, WriterState};

/// Follows a recording. Each look reads the whole of it, and passes over what it has seen; in between, only open spans are kept.
///
/// ```no_run
/// use spanring::reader::Recording;
/// use spanring_cli::filter::Filter;
/// use spanring_cli::tail::Tail;
///
/// # fn main() -> Result<(), spanring::reader::ReadError> {
/// let recording = Recording::open("recording")?;
/// let filter = Filter::default();
/// let mut tail = Tail::of(&recording);
/// let before = tail.look(&recording, &filter.of(&recording), 10)?;
/// let since = tail.look(&recording, &filter.of(&recording), 10)?;
/// assert!(since.iter().all(|span| !before.contains(span)));
/// # Ok(())
/// # }
/// ```
#[derive(Debug)]
pub struct Tail {
    pairing: Pairing,
    /// Of each thread, the number of the first record that was not seen.
    next: FxHashMap<u32, u64>,
    threads: FxHashMap<u32, String>,
    /// Gaps in the numbers of records since the first look.
    gaps: u64,
    lacks: Lacks,
    /// The same at the first look.
    before: Lacks,
}

/// What a recording says of itself that is not in it.
///
/// ```
/// use spanring_cli::tail::Lacks;
///
/// /// Events of which nobody will ever know more.
/// fn gone(lacks: &Lacks) -> u64 {
///     lacks.dropped + lacks.damaged
/// }
///
/// assert_eq!(gone(&Lacks { dropped: 3, damaged: 2, ..Lacks::default() }), 5);
/// ```
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Lacks {
    /// Records that were lost because a ring was full.
    pub dropped: u64,
    /// Records in places that cannot be read.
    pub damaged: u64,
    /// Those places.
    pub places: u64,
    /// The first of them.
    pub damage: Option<DamageInfo>,
}

/// A span that has ended.
///
/// ```
/// use spanring_cli::tail::Line;
///
/// /// What went wrong, and where.
/// fn failure(span: &Line) -> Option<String> {
///     let place = span.file.as_deref().zip(span.line).map_or("?".to_owned(), |(file, line)| format!("{file}:{line}"));
///     (span.outcome == "failed").then(|| format!("{} at {place} after {} ns", span.name, span.duration_ns))
/// }
/// ```
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct Line {
    /// Unique within the session, never 0.
    pub id: u64,
    /// The id of the span that this one was created in, 0 for none.
    pub parent: u64,
    /// The name.
    pub name: String,
    /// `async` or `thread`.
    pub kind: &'static str,
    /// `completed`, `failed`, `cancelled` or `panicked`.
    pub outcome: &'static str,
    /// First poll, in nanoseconds since 1970.
    pub begin_unix_ns: u64,
    /// End, in nanoseconds since 1970.
    pub end_unix_ns: u64,
    /// From first poll to end, in nanoseconds.
    pub duration_ns: u64,
    /// Name of the thread of the end.
    pub thread: Option<String>,
    /// Source file as the compiler was given it; `None` if the recording lost the location.
    pub file: Option<String>,
    /// Line in that file.
    pub line: Option<u32>,
    /// Log target.
    pub target: Option<String>,
    /// Attributes, and instants within it.
    #[serde(flatten)]
    pub details: Details,
}

impl Tail {
    /// One that has seen nothing of this recording.
    ///
    /// ```no_run
    /// use spanring::reader::Recording;
    /// use spanring_cli::tail::Tail;
    ///
    /// # fn main() -> Result<(), spanring::reader::ReadError> {
    /// let recording = Recording::open("recording")?;
    /// assert_eq!(Tail::of(&recording).missed(), 0, "before the first look");
    /// # Ok(())
    /// # }
    /// ```
    pub fn of(recording: &Recording) -> Tail {
        Tail {
            pairing: Pairing::of(recording),
            next: FxHashMap::default(),
            threads: FxHashMap::default(),
            gaps: 0,
            lacks: Lacks::default(),
            before: Lacks::default(),
        }
    }

    /// Looks again: the spans that have ended since the last look and are wanted, in the order in which they ended; of these the
    /// `latest` that ended last, and no more are kept meanwhile. Where spans have attributes, one that ends while this reads is left
    /// for the next look: some of them may be in records that were read before they were written.
    ///
    /// # Errors
    /// Those of [`Recording::read`].
    ///
    /// ```no_run
    /// use spanring::reader::Recording;
    /// use spanring_cli::filter::Filter;
    /// use spanring_cli::tail::Tail;
    ///
    /// # fn main() -> Result<(), spanring::reader::ReadError> {
    /// let recording = Recording::open("recording")?;
    /// let slow = Filter { name: Some("query".to_owned()), ..Filter::default() };
    /// for span in Tail::of(&recording).look(&recording, &slow.of(&recording), 5)? {
    ///     println!("{} {} ns", span.name, span.duration_ns);
    /// }
    /// # Ok(())
    /// # }
    /// ```
    pub fn look(&mut self, recording: &Recording, wanted: &Wanted<'_>, latest: usize) -> Result<Vec<Line>, ReadError> {
        let mut lines = Vec::new();
        let is_running = recording.writer() == WriterState::Running;
        // The first look is two: so it has all that ended before.
        let is_first = self.next.is_empty();
        let readings = if is_running && is_first { 2 } else { 1 };
        for _ in 0..readings {
            self.read(recording, wanted, latest, &mut lines)?;
        }
        if is_first {
            // What was gone by then has not come meanwhile.
            (self.gaps, self.before) = (0, self.lacks.clone());
        }
        if !is_running {
            self.pairing.close();
        }
        while let Some(span) = self.pairing.overdue() {
            lines.extend(Line::of(&span, &self.threads).filter(|_| wanted.has(&span)));
        }
        keep_latest(&mut lines, latest);
        Ok(lines)
    }

    fn read(
        &mut self,
        recording: &Recording,
        wanted: &Wanted<'_>,
        latest: usize,
        lines: &mut Vec<Line>,
    ) -> Result<(), ReadError> {
        let Tail { pairing, next, threads, gaps, lacks, .. } = self;
        *lacks = Lacks::default();
        let mut is_new = |thread: u32, number: u64| {
            let next = next.entry(thread).or_insert(number);
            let is_new = number >= *next;
            if is_new {
                add(gaps, number - *next);
                *next = number.saturating_add(1);
            }
            is_new
        };
        let summary = recording.read(&mut |event| {
            let span = match event {
                Event::Thread(thread) => {
                    if threads.insert(thread.id, thread_label(thread)).is_none() {
                        pairing.thread();
                    }
                    None
                }
                Event::Span(record) if is_new(record.thread, record.record_number) => pairing.record(&record),
                Event::Poll(record) if is_new(record.thread, record.record_number) => pairing.poll(&record),
                Event::Attribute(record) if is_new(record.thread, record.record_number) => {
                    pairing.attribute(&record);
                    None
                }
                Event::Instant(record) if is_new(record.thread, record.record_number) => {
                    pairing.instant(&record);
                    None
                }
                Event::Counter(record) => {
                    is_new(record.thread, record.record_number);
                    None
                }
                Event::Loss(loss) => {
                    if loss.cause == LossCause::Dropped {
                        add(&mut lacks.dropped, loss.records);
                    }
                    None
                }
                Event::Damage(damage) => {
                    lacks.places += 1;
                    lacks.damage.get_or_insert_with(|| DamageInfo::new(&damage));
                    None
                }
                _ => None,
            };
            let mut line = |span: &Span<'_>| {
                lines.extend(Line::of(span, threads).filter(|_| wanted.has(span)));
                // Not at every line: sorting is for many at once.
                if lines.len() > latest.saturating_mul(2).saturating_add(1024) {
                    keep_latest(lines, latest);
                }
            };
            if let Some(span) = span {
                line(&span);
            }
            while let Some(span) = pairing.overdue() {
                line(&span);
            }
            // Those are not of a span that anyone is told of.
            while pairing.stray().is_some() {}
        })?;
        lacks.damaged = summary.damaged;
        pairing.read_once();
        Ok(())
    }

    /// For when nothing will come any more: the spans of the last look, and among them those that have ended, as far as is known, and of
    /// which something was missing until now; of all these the `latest` that ended last.
    ///
    /// ```no_run
    /// use spanring::reader::Recording;
    /// use spanring_cli::filter::Filter;
    /// use spanring_cli::tail::Tail;
    ///
    /// # fn main() -> Result<(), spanring::reader::ReadError> {
    /// let recording = Recording::open("recording")?;
    /// let filter = Filter::default();
    /// let wanted = filter.of(&recording);
    /// let mut tail = Tail::of(&recording);
    /// let spans = tail.look(&recording, &wanted, 10)?;
    /// let spans = tail.finish(&wanted, spans, 10);
    /// assert!(spans.len() <= 10);
    /// # Ok(())
    /// # }
    /// ```
    pub fn finish(self, wanted: &Wanted<'_>, mut lines: Vec<Line>, latest: usize) -> Vec<Line> {
        let Tail { pairing, threads, .. } = self;
        pairing.finish(&mut |span| lines.extend(Line::of(&span, &threads).filter(|_| wanted.has(&span))));
        keep_latest(&mut lines, latest);
        lines
    }

    /// Records that came and were gone between two looks.
    ///
    /// ```no_run
    /// use spanring::reader::Recording;
    /// use spanring_cli::filter::Filter;
    /// use spanring_cli::tail::Tail;
    ///
    /// # fn main() -> Result<(), spanring::reader::ReadError> {
    /// let recording = Recording::open("recording")?;
    /// let filter = Filter::default();
    /// let mut tail = Tail::of(&recording);
    /// tail.look(&recording, &filter.of(&recording), 10)?;
    /// if tail.missed() > 0 {
    ///     eprintln!("{} events came and went: look more often", tail.missed());
    /// }
    /// # Ok(())
    /// # }
    /// ```
    pub fn missed(&self) -> u64 {
        let known = |lacks: &Lacks| lacks.dropped.saturating_add(lacks.damaged);
        self.gaps.saturating_sub(known(&self.lacks).saturating_sub(known(&self.before)))
    }

    /// What the recording lacked at the last look.
    ///
    /// ```no_run
    /// use spanring::reader::Recording;
    /// use spanring_cli::filter::Filter;
    /// use spanring_cli::tail::Tail;
    ///
    /// # fn main() -> Result<(), spanring::reader::ReadError> {
    /// let recording = Recording::open("recording")?;
    /// let filter = Filter::default();
    /// let mut tail = Tail::of(&recording);
    /// tail.look(&recording, &filter.of(&recording), 10)?;
    /// if tail.lacks().dropped > 0 {
    ///     eprintln!("{} events were lost: have larger rings", tail.lacks().dropped);
    /// }
    /// # Ok(())
    /// # }
    /// ```
    pub fn lacks(&self) -> &Lacks {
        &self.lacks
    }

    /// Attributes that are on no line, because their span is not there, or had ended before the last look.
    ///
    /// ```no_run
    /// use spanring::reader::Recording;
    /// use spanring_cli::filter::Filter;
    /// use spanring_cli::tail::Tail;
    ///
    /// # fn main() -> Result<(), spanring::reader::ReadError> {
    /// let recording = Recording::open("recording")?;
    /// let filter = Filter::default();
    /// let mut tail = Tail::of(&recording);
    /// tail.look(&recording, &filter.of(&recording), 10)?;
    /// eprintln!("{} attributes are on no line", tail.late());
    /// # Ok(())
    /// # }
    /// ```
    pub fn late(&self) -> u64 {
        self.pairing.totals().late_attributes
    }
}

/// Sorts by end, and leaves so many of the last.
fn keep_latest(lines: &mut Vec<Line>, latest: usize) {
    lines.sort_by_key(|line| line.end_unix_ns);
    lines.drain(..lines.len().saturating_sub(latest));
}

impl Line {
    fn of(span: &Span<'_>, threads: &FxHashMap<u32, String>) -> Option<Line> {
        let location = span.place.map(|place| &place.location);
        Some(Line {
            id: span.id,
            parent: span.parent,
            name: span.name.to_owned(),
            kind: kind_word(span.kind),
            outcome: span.ending.word(),
            begin_unix_ns: span.begin_ns,
            end_unix_ns: span.end_ns.filter(|_| span.ending != Ending::Open)?,
            duration_ns: span.duration_ns()?,
            thread: span.end_thread.and_then(|thread| threads.get(&thread).cloned()),
            file: location.map(|location| location.file.clone()),
            line: location.map(|location| location.line),
            target: location.map(|location| location.target.clone()),
            details: span.cloned_details(),
        })
    }
}
