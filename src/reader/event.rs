//! What a recording holds, as its reader sees it.

use crate::events::Outcome;
use crate::format::ThreadFacts;
use std::path::PathBuf;

/// Something in a recording.
///
/// ```
/// use spanring::reader::Event;
///
/// # fn example(recording: &spanring::reader::Recording) -> Result<(), spanring::reader::ReadError> {
/// recording.read(&mut |event| match event {
///     Event::Thread(thread) => println!("thread {} is {:?}", thread.id, thread.name),
///     Event::Span(span) => println!("{:?} of {}", span.phase, span.name),
///     Event::Loss(loss) => println!("{} records are missing here", loss.records),
///     _ => {}
/// })?;
/// # Ok(())
/// # }
/// ```
#[derive(Clone, Debug)]
#[non_exhaustive]
pub enum Event<'a> {
    /// A thread that recorded. It comes before its records.
    Thread(&'a ThreadFacts),
    /// The begin or the end of a span.
    Span(SpanRecord<'a>),
    /// A single poll of an async span, where the recorder measured polls.
    Poll(PollRecord),
    /// Something that is known of a span, or of an instant.
    Attribute(AttributeRecord<'a>),
    /// Something that happened.
    Instant(InstantRecord<'a>),
    /// The value of a counter at some time.
    Counter(CounterRecord<'a>),
    /// Records that the writer lost, where they are missing.
    Loss(Loss),
    /// Bytes that cannot be read.
    Damage(Damage),
}

/// Begin or end.
///
/// ```
/// use spanring::reader::{Phase, SpanRecord};
/// use std::collections::HashMap;
///
/// /// Keeps the spans that are open.
/// fn note(open: &mut HashMap<u64, String>, span: &SpanRecord<'_>) {
///     match span.phase {
///         Phase::Begin => open.insert(span.span_id, span.name.to_owned()),
///         Phase::End => open.remove(&span.span_id),
///     };
/// }
/// ```
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Phase {
    /// An async span was polled for the first time, or a thread span began.
    Begin,
    /// It ended.
    End,
}

/// What a span is a span of.
///
/// ```
/// use spanring::reader::{SpanKind, SpanRecord};
///
/// /// Whether it may have ended on another thread than it began on.
/// fn may_move(span: &SpanRecord<'_>) -> bool {
///     span.kind == SpanKind::Async
/// }
/// ```
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum SpanKind {
    /// A future: it may wait, move between threads, and overlap others.
    Async,
    /// A scope of one thread.
    Thread,
}

/// Whether a name is all there.
///
/// ```
/// use spanring::reader::{NameState, SpanRecord};
///
/// fn shown(span: &SpanRecord<'_>) -> String {
///     match span.name_state {
///         NameState::Cut => format!("{}..", span.name),
///         NameState::Whole | NameState::Missing => span.name.to_owned(),
///     }
/// }
/// ```
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum NameState {
    /// It is.
    Whole,
    /// A run-time name longer than [`crate::events::MAX_RUN_TIME_NAME`], cut at a character boundary.
    Cut,
    /// It is not known, and [`SpanRecord::name`] says so.
    Missing,
}

/// The begin or the end of a span.
///
/// ```
/// use spanring::reader::SpanRecord;
///
/// /// How long a span took, in nanoseconds; `None` of a begin.
/// fn took(span: &SpanRecord<'_>) -> Option<u64> {
///     span.begin_unix_ns.map(|begin| span.unix_ns.saturating_sub(begin))
/// }
/// ```
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct SpanRecord<'a> {
    /// Begin or end.
    pub phase: Phase,
    /// What the span is a span of.
    pub kind: SpanKind,
    /// [`ThreadFacts::id`] of the thread that wrote the record.
    pub thread: u32,
    /// Order within the thread, without gaps but where records were lost.
    pub record_number: u64,
    /// When the record was written, nanoseconds since 1970.
    pub unix_ns: u64,
    /// End: when the span began, even if the begin's own record was lost. `None` in a begin, or if it is not known.
    pub begin_unix_ns: Option<u64>,
    /// Begin of an async span: when its future was made, nanoseconds since 1970. `None` in any other record, or if the recorder did
    /// not measure it.
    pub created_unix_ns: Option<u64>,
    /// Unique in the process.
    pub span_id: u64,
    /// The span in which this one was created; 0 for none.
    pub parent_span_id: u64,
    /// Depth below the root, saturating at 65535. Of a thread span: thread spans around it.
    pub depth: u16,
    /// End: how.
    pub outcome: Option<Outcome>,
    /// End of an async span: how often it was polled.
    pub polls: u32,
    /// Begin: how many attributes the span was made with. Their records come right after this one.
    pub attributes: u32,
    /// The span's name.
    pub name: &'a str,
    /// Whether that is the whole name.
    pub name_state: NameState,
    /// Which static name it is: a small number, from 0 without gaps, that stands for the same text throughout one reading of a
    /// recording. Two of them may stand for equal texts, from two places in the program. `None` if the name is run-time text or its
    /// definition was lost.
    pub name_index: Option<u32>,
    /// Where in the program it stands; `None` if the definition was lost.
    pub location: Option<&'a Location>,
    /// Which location that is: a small number like `name_index`, counted apart. `None` where `location` is.
    pub location_index: Option<u32>,
    /// A begin whose own record is gone. This is the copy that was carried forward because the span was open; it stands where the
    /// record did, and counts in [`Summary::carried`] only.
    pub carried: bool,
}

/// One poll of an async span's future.
///
/// ```
/// use spanring::reader::PollRecord;
///
/// let poll = PollRecord { thread: 1, record_number: 7, span_id: 3, begin_unix_ns: 1_000, unix_ns: 26_000, number: 2 };
/// let busy_ns = poll.unix_ns - poll.begin_unix_ns;
/// assert_eq!(busy_ns, 25_000);
/// ```
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct PollRecord {
    /// [`ThreadFacts::id`] of the thread that polled.
    pub thread: u32,
    /// Order within the thread, as in [`SpanRecord::record_number`].
    pub record_number: u64,
    /// The span that was polled. What it is called is in its other records.
    pub span_id: u64,
    /// When the poll began, nanoseconds since 1970.
    pub begin_unix_ns: u64,
    /// When it returned.
    pub unix_ns: u64,
    /// Its number among the polls of the span, from 1, saturating.
    pub number: u32,
}

/// What an attribute says, or a counter.
///
/// ```
/// use spanring::reader::{NameState, Value};
///
/// assert_eq!(Value::U64(443).to_string(), "443");
/// assert_eq!(Value::Text("GET", NameState::Whole).to_string(), "GET");
/// assert_eq!(Value::Unknown(99, 0).to_string(), "<a value of type 99>");
/// ```
#[derive(Clone, Copy, Debug, PartialEq)]
pub enum Value<'a> {
    /// True or false.
    Bool(bool),
    /// A signed integer.
    I64(i64),
    /// An unsigned integer.
    U64(u64),
    /// A floating-point number.
    F64(f64),
    /// Text, and whether it is all there.
    Text(&'a str, NameState),
    /// Of a type that this version does not know, which has this number; and the word that says it.
    Unknown(u32, u64),
}

impl std::fmt::Display for Value<'_> {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Value::Bool(value) => value.fmt(f),
            Value::I64(value) => value.fmt(f),
            Value::U64(value) => value.fmt(f),
            Value::F64(value) => value.fmt(f),
            Value::Text(text, _) => f.pad(text),
            Value::Unknown(of, _) => write!(f, "<a value of type {of}>"),
        }
    }
}

/// Something that is known of a span, or of an instant.
///
/// ```
/// use spanring::reader::Event;
///
/// # fn example(recording: &spanring::reader::Recording) -> Result<(), spanring::reader::ReadError> {
/// recording.read(&mut |event| {
///     if let Event::Attribute(attribute) = event {
///         println!("span {}: {} = {}", attribute.span_id, attribute.key, attribute.value);
///     }
/// })?;
/// # Ok(())
/// # }
/// ```
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct AttributeRecord<'a> {
    /// [`ThreadFacts::id`] of the thread that wrote the record.
    pub thread: u32,
    /// Order within the thread, as in [`SpanRecord::record_number`].
    pub record_number: u64,
    /// When it was recorded, nanoseconds since 1970; the time of the begin, if it was known then.
    pub unix_ns: u64,
    /// The span, or [the instant](InstantRecord::id), that it is an attribute of.
    pub span_id: u64,
    /// What it is called; `<name lost>` if the definition was lost.
    pub key: &'a str,
    /// Which static name the key is, as in [`SpanRecord::name_index`]; `None` if the definition was lost.
    pub key_index: Option<u32>,
    /// What it says. It takes the place of an earlier value of the same key.
    pub value: Value<'a>,
    /// An attribute whose own record is gone. This is the copy that was carried forward with the begin of its span, as
    /// [`SpanRecord::carried`]; it counts in [`Summary::carried_attributes`] only.
    pub carried: bool,
}

/// Something that happened: a point in time in a span.
///
/// ```
/// use spanring::reader::Event;
///
/// # fn example(recording: &spanring::reader::Recording) -> Result<(), spanring::reader::ReadError> {
/// let mut misses = 0;
/// recording.read(&mut |event| {
///     if matches!(event, Event::Instant(instant) if instant.name == "cache miss") {
///         misses += 1;
///     }
/// })?;
/// # Ok(())
/// # }
/// ```
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct InstantRecord<'a> {
    /// [`ThreadFacts::id`] of the thread on which it happened.
    pub thread: u32,
    /// Order within the thread, as in [`SpanRecord::record_number`].
    pub record_number: u64,
    /// When, nanoseconds since 1970.
    pub unix_ns: u64,
    /// Unique in the process, among instants and spans.
    pub id: u64,
    /// The span in which it happened; 0 for none.
    pub parent_span_id: u64,
    /// How many thread spans were open around it on its thread, saturating at 65535.
    pub scopes: u16,
    /// How many attributes it has. Their records come right after this one.
    pub attributes: u32,
    /// What it is called.
    pub name: &'a str,
    /// Whether that is the whole name.
    pub name_state: NameState,
    /// Which static name it is, as in [`SpanRecord::name_index`].
    pub name_index: Option<u32>,
    /// Where in the program it stands; `None` if the definition was lost.
    pub location: Option<&'a Location>,
    /// Which location that is, as in [`SpanRecord::location_index`].
    pub location_index: Option<u32>,
}

/// The value of a counter at some time.
///
/// ```
/// use spanring::reader::{CounterRecord, Event, Value};
///
/// # fn example(recording: &spanring::reader::Recording) -> Result<(), spanring::reader::ReadError> {
/// let mut longest = 0;
/// recording.read(&mut |event| {
///     if let Event::Counter(CounterRecord { name: "queue", value: Value::U64(length), .. }) = event {
///         longest = longest.max(length);
///     }
/// })?;
/// # Ok(())
/// # }
/// ```
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct CounterRecord<'a> {
    /// [`ThreadFacts::id`] of the thread that wrote the record.
    pub thread: u32,
    /// Order within the thread, as in [`SpanRecord::record_number`].
    pub record_number: u64,
    /// When, nanoseconds since 1970.
    pub unix_ns: u64,
    /// The span in which it was recorded; 0 for none.
    pub span_id: u64,
    /// What is counted; `<name lost>` if the definition was lost.
    pub name: &'a str,
    /// Which static name that is, as in [`SpanRecord::name_index`]; `None` if the definition was lost.
    pub name_index: Option<u32>,
    /// Its value then.
    pub value: Value<'a>,
}

/// A place in the program.
///
/// ```
/// use spanring::reader::SpanRecord;
///
/// /// Where a span stands in the program, as an editor opens it.
/// fn place(span: &SpanRecord<'_>) -> Option<String> {
///     span.location.map(|location| format!("{}:{}", location.file, location.line))
/// }
/// ```
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct Location {
    /// Level of detail, 1 to 3.
    pub lod: u8,
    /// Target; empty where the span was made by a function, which does not know its caller's.
    pub target: String,
    /// Module path; empty likewise.
    pub module_path: String,
    /// Source file.
    pub file: String,
    /// Line, from 1.
    pub line: u32,
}

/// Why records are missing.
///
/// ```
/// use spanring::reader::LossCause;
///
/// fn advice(cause: LossCause) -> &'static str {
///     match cause {
///         LossCause::Dropped => "the sink was too slow: give the rings more bytes",
///         LossCause::Overwritten => "as intended: a ring holds the recent past",
///         LossCause::Retired => "give the directory more bytes to keep more",
///     }
/// }
/// ```
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum LossCause {
    /// Their ring was full (drain discipline).
    Dropped,
    /// Later records took their place (flight discipline).
    Overwritten,
    /// Their segment was removed to keep the directory within its budget.
    Retired,
}

/// A gap in a thread's records.
///
/// ```
/// use spanring::reader::Loss;
///
/// /// How long nothing is known of the thread, in nanoseconds, if there are records on both sides.
/// fn gap(loss: &Loss) -> Option<u64> {
///     Some(loss.before_unix_ns?.saturating_sub(loss.after_unix_ns?))
/// }
/// ```
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct Loss {
    /// The thread.
    pub thread: u32,
    /// How many are missing, exactly.
    pub records: u64,
    /// Why.
    pub cause: LossCause,
    /// When the record before was written; `None`: there is none.
    pub after_unix_ns: Option<u64>,
    /// When the record after was written; `None`: there is none.
    pub before_unix_ns: Option<u64>,
}

/// Bytes that cannot be read.
///
/// ```
/// use spanring::reader::Event;
///
/// # fn example(recording: &spanring::reader::Recording) -> Result<(), spanring::reader::ReadError> {
/// recording.read(&mut |event| {
///     if let Event::Damage(damage) = event {
///         eprintln!("{}: at byte {}: {}", damage.path.display(), damage.offset, damage.what);
///     }
/// })?;
/// # Ok(())
/// # }
/// ```
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct Damage {
    /// The file.
    pub path: PathBuf,
    /// Where in it.
    pub offset: u64,
    /// How many bytes were passed over.
    pub bytes: u64,
    /// How many records they held, as far as is known.
    pub records: u64,
    /// What is wrong.
    pub what: &'static str,
}

/// What [`crate::reader::Recording::read`] came across. Recorded = `records` + `lost` + `retired` + `damaged`.
///
/// That is exact, with one exception: if the last slots of a ring cannot be read, nothing tells how many records they held, and
/// `damaged` counts the fewest possible.
///
/// ```
/// use spanring::reader::Summary;
///
/// /// Every record that there ever was.
/// fn recorded(summary: &Summary) -> u64 {
///     summary.records + summary.lost + summary.retired + summary.damaged
/// }
/// let summary = Summary { records: 90, lost: 7, retired: 3, ..Summary::default() };
/// assert_eq!(recorded(&summary), 100);
/// ```
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
pub struct Summary {
    /// Records read.
    pub records: u64,
    /// Of these, records that were still in a ring.
    pub recovered: u64,
    /// Records of a kind that this version does not know; among `records`.
    pub unknown: u64,
    /// Records lost by the writer.
    pub lost: u64,
    /// Records whose segment was removed to keep the directory within its budget.
    pub retired: u64,
    /// Begins, among those lost, retired or damaged, that were carried forward because their spans were open, and were visited all
    /// the same.
    pub carried: u64,
    /// Attributes of such spans, likewise.
    pub carried_attributes: u64,
    /// Records that are missing because of damage.
    pub damaged: u64,
    /// Places where bytes could not be read.
    pub damages: u64,
    /// Threads.
    pub threads: u64,
    /// Whether the recording says of itself that it is complete.
    pub complete: bool,
}

/// Whether the process that wrote a recording still does.
///
/// ```
/// use spanring::reader::WriterState;
///
/// assert_eq!(WriterState::Died.to_string(), "died");
/// ```
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum WriterState {
    /// It is alive and recording.
    Running,
    /// It stopped recording, and flushed everything.
    Stopped,
    /// It is gone without having stopped: killed, crashed, or exited without dropping the guard.
    Died,
    /// Nothing says: the session file, which would, is missing or damaged.
    Unknown,
}

impl std::fmt::Display for WriterState {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.pad(match self {
            WriterState::Running => "running",
            WriterState::Stopped => "stopped",
            WriterState::Died => "died",
            WriterState::Unknown => "unknown",
        })
    }
}
