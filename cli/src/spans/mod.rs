//! Records in, spans out.
//!
//! A recording holds two records per span, its begin and its end, and perhaps one for each poll. A span that moves between threads
//! leaves them in several rings, so that they may be read in any order. [`Pairing`] joins them while they stream by. It remembers
//! only what is not joined yet, and gives up on what can no longer come. Its memory therefore follows the number of spans in flight,
//! not the size of the recording.
//!
//! Nothing is invented. What the recording has only a part of is handed out with a mark: [`Span::begin_lost`],
//! [`Span::end_may_be_lost`], [`Span::busy_partial`]; and what is missing is handed out as [`Item::Loss`] and [`Item::Damage`].
//!
//! Attributes and instants go with their span, see [`Details`].
//!
//! ```no_run
//! use spanring::reader::Recording;
//! use spanring_cli::spans::{self, Item};
//!
//! # fn main() -> Result<(), spanring::reader::ReadError> {
//! let recording = Recording::open("recording")?;
//! let (mut spans, mut missing) = (0, 0);
//! spans::read(&recording, &mut |item| match item {
//!     Item::Span(span) => {
//!         spans += 1;
//!         println!("{} {}: {:?} ns", span.name, span.ending.word(), span.duration_ns());
//!     }
//!     Item::Loss(loss) => missing += loss.records,
//!     _ => {}
//! })?;
//! println!("{spans} spans, {missing} records missing");
//! # Ok(())
//! # }
//! ```

mod beside;
mod details;
mod pairing;
mod reading;

use crate::places::Place;
pub use details::{Attribute, Attributes, Counter, DetailTotals, Details, Instant, MOST_ATTRIBUTES, MOST_INSTANTS};
pub use pairing::Pairing;
pub use reading::{read, read_brief, read_steps, read_with};
use spanring::reader::{Damage, Loss, NameState, Outcome, PollRecord, SpanKind, SpanRecord, ThreadFacts};

/// One span: a named stretch of time, with everything that the recording knows about it.
///
/// ```
/// use spanring_cli::spans::Span;
///
/// fn line(span: &Span<'_>) -> String {
///     let took = span.duration_ns().map_or("open".to_owned(), |ns| format!("{ns} ns"));
///     format!("{} ({}): {took}", span.name, span.place.map_or("?".to_owned(), |place| place.file_line()))
/// }
/// ```
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Span<'a> {
    /// Unique within the session, never 0.
    pub id: u64,
    /// The id of the span that this one was created in, 0 for none.
    pub parent: u64,
    /// Of an async span: how far below its root it was created. Of a thread span: how many thread spans were around it.
    pub depth: u16,
    /// Whether a future or a scope on one thread.
    pub kind: SpanKind,
    /// The name, or `<name lost>`.
    pub name: &'a str,
    /// The name's number: equal numbers in one reading mean equal names, so it can stand for the text. `None` for names made at
    /// run time, of which there may be any number.
    pub name_index: Option<u32>,
    /// Whether the name is as long as it was when recorded; see [`LONGEST_TEXT`].
    pub name_state: NameState,
    /// Where in the source the span is made; `None` if the recording lost that.
    pub place: Option<&'a Place>,
    /// How it ended, or that it has not.
    pub ending: Ending,
    /// When the future was made, in nanoseconds since 1970; `None` unless the recorder was told to measure that.
    pub created_ns: Option<u64>,
    /// First poll, in nanoseconds since 1970.
    pub begin_ns: u64,
    /// End, in nanoseconds since 1970; `None` while open.
    pub end_ns: Option<u64>,
    /// The thread of the first poll, as [`ThreadFacts::id`]; `None` if only the begin record knew it and was lost.
    pub begin_thread: Option<u32>,
    /// The thread of the end, as [`ThreadFacts::id`]; `None` while open.
    pub end_thread: Option<u32>,
    /// How often the future was polled; 0 for thread spans and while open.
    pub polls: u32,
    /// Sum of the times of all polls, in nanoseconds; while open, of those that are over. `None` unless the recorder was told to
    /// measure polls and every one of this span was read.
    pub busy_ns: Option<u64>,
    /// Polls were measured, but some of their records are missing, so [`Span::busy_ns`] cannot be told.
    pub busy_partial: bool,
    /// The begin record was lost: all of this comes from the end record.
    pub begin_lost: bool,
    /// Open, but records of after the begin are lost or damaged, so its end may be one of those.
    pub end_may_be_lost: bool,
    /// Attributes, and instants within it; `None` if there are none.
    pub details: Option<&'a Details>,
}

/// How a span ended.
///
/// ```
/// use spanring::reader::Outcome;
/// use spanring_cli::spans::Ending;
///
/// assert_eq!(Ending::from(Outcome::Cancelled), Ending::Cancelled);
/// ```
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, clap::ValueEnum)]
pub enum Ending {
    /// The future was ready, or the scope was left.
    Completed,
    /// The future was ready, or the scope was left, with an error.
    Failed,
    /// The future was dropped before it was ready.
    Cancelled,
    /// A panic went through it.
    Panicked,
    /// There is no end in the recording.
    Open,
}

impl Ending {
    /// One lower-case word, as shown in reports and exports.
    ///
    /// ```
    /// use spanring_cli::spans::Ending;
    ///
    /// assert_eq!(Ending::Open.word(), "open");
    /// ```
    pub fn word(self) -> &'static str {
        match self {
            Ending::Completed => "completed",
            Ending::Failed => "failed",
            Ending::Cancelled => "cancelled",
            Ending::Panicked => "panicked",
            Ending::Open => "open",
        }
    }
}

impl From<Outcome> for Ending {
    fn from(outcome: Outcome) -> Ending {
        match outcome {
            Outcome::Completed => Ending::Completed,
            Outcome::Failed => Ending::Failed,
            Outcome::Cancelled => Ending::Cancelled,
            Outcome::Panicked => Ending::Panicked,
        }
    }
}

impl Span<'_> {
    /// Nanoseconds from begin to end, `None` while open. A clock that was set back in between gives 0.
    ///
    /// ```
    /// use spanring_cli::spans::Span;
    ///
    /// fn is_slow(span: &Span<'_>) -> bool {
    ///     span.duration_ns().is_some_and(|ns| ns > 1_000_000)
    /// }
    /// ```
    #[inline]
    pub fn duration_ns(&self) -> Option<u64> {
        self.end_ns.map(|end| end.saturating_sub(self.begin_ns))
    }

    /// Nanoseconds from the making of the future to its first poll, `None` if that was not measured.
    ///
    /// ```
    /// use spanring_cli::spans::Span;
    ///
    /// fn stood_in_a_queue(span: &Span<'_>) -> bool {
    ///     span.wait_ns().zip(span.duration_ns()).is_some_and(|(wait, took)| wait > took)
    /// }
    /// ```
    pub fn wait_ns(&self) -> Option<u64> {
        self.created_ns.map(|created| self.begin_ns.saturating_sub(created))
    }

    /// Nanoseconds between begin and end in which nobody polled, `None` while open, and if polls were not measured.
    ///
    /// ```
    /// use spanring_cli::spans::Span;
    ///
    /// /// What part of its time it waited for something.
    /// fn waiting(span: &Span<'_>) -> Option<f64> {
    ///     Some(span.idle_ns()? as f64 / span.duration_ns()?.max(1) as f64)
    /// }
    /// ```
    pub fn idle_ns(&self) -> Option<u64> {
        Some(self.duration_ns()?.saturating_sub(self.busy_ns?))
    }

    /// Its attributes.
    ///
    /// ```
    /// use spanring_cli::spans::Span;
    ///
    /// fn said(span: &Span<'_>) -> Vec<String> {
    ///     span.attributes().map(|attribute| format!("{}={}", attribute.key, attribute.value())).collect()
    /// }
    /// ```
    pub fn attributes(&self) -> impl ExactSizeIterator<Item = &Attribute> + Clone {
        static NONE: Attributes = Attributes::NONE;
        self.details.map_or(&NONE, |details| &details.attributes).iter()
    }

    /// Its details, to keep.
    ///
    /// ```
    /// use spanring_cli::spans::{Details, Span};
    ///
    /// #[derive(Default)]
    /// struct Slowest {
    ///     took_ns: u64,
    ///     details: Details,
    /// }
    ///
    /// impl Slowest {
    ///     fn look_at(&mut self, span: &Span<'_>) {
    ///         if let Some(took_ns) = span.duration_ns().filter(|ns| *ns > self.took_ns) {
    ///             *self = Slowest { took_ns, details: span.cloned_details() };
    ///         }
    ///     }
    /// }
    /// ```
    pub fn cloned_details(&self) -> Details {
        self.details.cloned().unwrap_or_default()
    }

    /// What happened within it, the earliest first.
    ///
    /// ```
    /// use spanring_cli::spans::Span;
    ///
    /// fn missed_the_cache(span: &Span<'_>) -> bool {
    ///     span.instants().iter().any(|instant| &*instant.name == "cache miss")
    /// }
    /// ```
    pub fn instants(&self) -> &[Instant] {
        self.details.map_or(&[], |details| &details.instants)
    }

    /// The same without name, place and details, and so without what it borrows.
    #[cfg(any(feature = "otlp", feature = "parquet"))]
    pub(crate) fn bare(self) -> Span<'static> {
        let Span {
            id,
            parent,
            depth,
            kind,
            name_state,
            ending,
            created_ns,
            begin_ns,
            end_ns,
            begin_thread,
            end_thread,
            ..
        } = self;
        let Span { polls, busy_ns, busy_partial, begin_lost, end_may_be_lost, .. } = self;
        Span {
            name: "",
            name_index: None,
            place: None,
            id,
            parent,
            depth,
            kind,
            name_state,
            ending,
            created_ns,
            begin_ns,
            end_ns,
            begin_thread,
            end_thread,
            polls,
            busy_ns,
            busy_partial,
            begin_lost,
            end_may_be_lost,
            details: None,
        }
    }

    /// Part of the span is missing in the recording: its begin, or some of its polls; or its end may be.
    ///
    /// ```
    /// use spanring_cli::spans::Span;
    ///
    /// fn mark(span: &Span<'_>) -> &'static str {
    ///     if span.is_partial() { " (incomplete)" } else { "" }
    /// }
    /// ```
    pub fn is_partial(&self) -> bool {
        self.begin_lost || self.end_may_be_lost || self.busy_partial
    }
}

/// What [`read`] hands out.
///
/// ```
/// use spanring_cli::spans::{Ending, Item};
///
/// /// To be handed what `spans::read` hands out.
/// fn count_failed(item: &Item<'_>, failed: &mut u64, lost: &mut u64) {
///     match item {
///         Item::Span(span) if span.ending == Ending::Failed => *failed += 1,
///         Item::Loss(loss) => *lost += loss.records,
///         _ => {}
///     }
/// }
/// ```
#[derive(Clone, Debug)]
pub enum Item<'a> {
    /// A thread, before the first span that began or ended on it.
    Thread(&'a ThreadFacts),
    /// A span that is whole; open spans come last.
    Span(Span<'a>),
    /// Records that a thread wrote, or wanted to, and that are not there.
    Loss(Loss),
    /// Bytes of the recording that could not be understood.
    Damage(Damage),
    /// Something that happened in no span, or in one that is not there.
    Instant(&'a Instant),
    /// The value of a counter.
    Counter(Counter<'a>),
    /// How much was recorded beside spans; once, when all of it has been read, unless there was nothing.
    Details(DetailTotals),
}

/// What [`read_steps`] hands out.
///
/// ```
/// use spanring_cli::spans::{Item, Step};
///
/// /// To be handed what `spans::read_steps` hands out: how many spans are open, as it goes.
/// fn count_open(step: &Step<'_>, open: &mut i64) {
///     match step {
///         Step::Begun(_) => *open += 1,
///         Step::Item(Item::Span(span)) if span.end_ns.is_some() && !span.begin_lost => *open -= 1,
///         _ => {}
///     }
/// }
/// ```
#[derive(Debug)]
pub enum Step<'a> {
    /// The begin record of a span.
    Begun(&'a SpanRecord<'a>),
    /// A poll, where the recorder measured polls.
    Polled(PollRecord),
    /// What [`read`] hands out.
    Item(Item<'a>),
}

/// A thread's name, or `thread N` with its [`ThreadFacts::id`] if it has none.
///
/// ```
/// use spanring::reader::ThreadFacts;
/// use spanring_cli::spans::thread_label;
///
/// assert_eq!(thread_label(&ThreadFacts { id: 3, ..ThreadFacts::default() }), "thread 3");
/// ```
pub fn thread_label(thread: &ThreadFacts) -> String {
    if thread.name.is_empty() { format!("thread {}", thread.id) } else { cut(&thread.name).to_owned() }
}

/// No text in a report is longer than a name made at run time can be, in bytes. Each span may repeat it, so a report would not be
/// bounded by the size of the recording otherwise.
///
/// ```
/// use spanring::reader::ThreadFacts;
/// use spanring_cli::spans::{LONGEST_TEXT, thread_label};
///
/// let thread = ThreadFacts { id: 3, name: "x".repeat(1000), ..ThreadFacts::default() };
/// assert_eq!(thread_label(&thread).len(), LONGEST_TEXT);
/// ```
pub const LONGEST_TEXT: usize = spanring::events::MAX_RUN_TIME_NAME;

/// A text without what is too much, up to a whole character.
#[inline]
pub(crate) fn cut(text: &str) -> &str {
    match text.len() {
        0..=LONGEST_TEXT => text,
        _ => {
            let end = (0..=LONGEST_TEXT).rfind(|end| text.is_char_boundary(*end));
            &text[..end.unwrap_or(0)]
        }
    }
}

/// Adds records that are missing. In a damaged recording there may seem to be any number of them.
#[inline]
pub(crate) fn add(total: &mut u64, records: u64) {
    *total = total.saturating_add(records);
}
