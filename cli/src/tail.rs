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
use crate::spans::{Details, Ending, Pairing, Span, add, thread_label};
use crate::top::kind_word;
use rustc_hash::FxHashMap;
use serde::Serialize;
use spanring::reader::{Event, ReadError, Recording, WriterState};

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
    missed: u64,
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
        Tail { pairing: Pairing::of(recording), next: FxHashMap::default(), threads: FxHashMap::default(), missed: 0 }
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
        let readings = if is_running && self.next.is_empty() { 2 } else { 1 };
        for _ in 0..readings {
            self.read(recording, wanted, latest, &mut lines)?;
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
        let Tail { pairing, next, threads, missed } = self;
        let mut is_new = |thread: u32, number: u64| {
            let next = next.entry(thread).or_insert(number);
            let is_new = number >= *next;
            if is_new {
                add(missed, number - *next);
                *next = number.saturating_add(1);
            }
            is_new
        };
        recording.read(&mut |event| {
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
        pairing.read_once();
        Ok(())
    }

    /// The spans that have ended, as far as is known, and of which something was missing until now. For when nothing will come any more.
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
    /// let mut spans = tail.look(&recording, &wanted, usize::MAX)?;
    /// spans.extend(tail.finish(&wanted));
    /// # Ok(())
    /// # }
    /// ```
    pub fn finish(self, wanted: &Wanted<'_>) -> Vec<Line> {
        let Tail { pairing, threads, .. } = self;
        let mut lines = Vec::new();
        pairing.finish(&mut |span| lines.extend(Line::of(&span, &threads).filter(|_| wanted.has(&span))));
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
        self.missed
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
