//! Records in, spans out.
//!
//! A recording holds two records per span, its begin and its end, and a span that moves between threads leaves them in two
//! rings, so that they may be read in either order. [`Pairing`] joins them while they stream by. It remembers only what is
//! not joined yet: spans that are open, and ends whose begin has not come (or never will, because it was lost). Its memory
//! therefore follows the number of spans in flight, not the size of the recording.

use crate::places::{Place, Places};
use crate::progress::{Progress, Silent};
use rustc_hash::FxHashMap;
use spanring::reader::{
    Damage, Event, Loss, LossCause, NameState, Outcome, Phase, ReadError, Recording, SpanKind, SpanRecord, Summary,
    ThreadFacts,
};

/// One span: a named stretch of time, with everything that the recording knows about it.
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
}

/// How a span ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Ending {
    /// The future was ready, or the scope was left.
    Completed,
    /// The future was dropped before it was ready.
    Cancelled,
    /// A panic went through it.
    Panicked,
    /// There is no end in the recording.
    Open,
}

impl Ending {
    /// One lower-case word, as shown in reports and exports.
    pub fn word(self) -> &'static str {
        match self {
            Ending::Completed => "completed",
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
            Outcome::Cancelled => Ending::Cancelled,
            Outcome::Panicked => Ending::Panicked,
        }
    }
}

impl Span<'_> {
    /// Nanoseconds from begin to end, `None` while open. A clock that was set back in between gives 0.
    pub fn duration_ns(&self) -> Option<u64> {
        self.end_ns.map(|end| end.saturating_sub(self.begin_ns))
    }

    /// Nanoseconds from the making of the future to its first poll, `None` if that was not measured.
    pub fn wait_ns(&self) -> Option<u64> {
        self.created_ns.map(|created| self.begin_ns.saturating_sub(created))
    }

    /// Nanoseconds between begin and end in which nobody polled, `None` while open, and if polls were not measured.
    pub fn idle_ns(&self) -> Option<u64> {
        Some(self.duration_ns()?.saturating_sub(self.busy_ns?))
    }

    /// Part of the span is missing in the recording: its begin, or some of its polls; or its end may be.
    pub fn is_partial(&self) -> bool {
        self.begin_lost || self.end_may_be_lost || self.busy_partial
    }
}

/// What [`read`] hands out.
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
}

/// What [`read_steps`] hands out.
#[derive(Debug)]
pub enum Step<'a> {
    /// The begin record of a span.
    Begun(&'a SpanRecord<'a>),
    /// What [`read`] hands out.
    Item(Item<'a>),
}

/// A thread's name, or `thread N` with its [`ThreadFacts::id`] if it has none.
pub fn thread_label(thread: &ThreadFacts) -> String {
    if thread.name.is_empty() { format!("thread {}", thread.id) } else { cut(&thread.name).to_owned() }
}

/// No text in a report is longer than a name made at run time can be, in bytes. Each span may repeat it, so a report would not be
/// bounded by the size of the recording otherwise.
pub const LONGEST_TEXT: usize = spanring::events::MAX_RUN_TIME_NAME;

/// A text without what is too much, up to a whole character.
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
pub(crate) fn add(total: &mut u64, records: u64) {
    *total = total.saturating_add(records);
}

/// Reads a whole recording as spans, in about the order in which they ended; then those that are open, oldest first.
///
/// # Errors
/// Those of [`Recording::read`]: files that cannot be opened or read. What is damaged or lost is an [`Item`], not an error.
pub fn read(recording: &Recording, visit: &mut dyn FnMut(Item<'_>)) -> Result<Summary, ReadError> {
    read_with(recording, &mut Silent, visit)
}

/// The same, and `progress` is told how far it is.
///
/// # Errors
/// As of [`read`].
pub fn read_with(
    recording: &Recording,
    progress: &mut dyn Progress,
    visit: &mut dyn FnMut(Item<'_>),
) -> Result<Summary, ReadError> {
    read_steps(recording, progress, &mut |step| match step {
        Step::Begun(_) => {}
        Step::Item(item) => visit(item),
    })
}

/// The same, and begins are visited as they are read. A span is handed out after it has ended, so its descendants come before it: who
/// wants to know to what they belong has to hear of the begins.
///
/// # Errors
/// As of [`read`].
pub fn read_steps(
    recording: &Recording,
    progress: &mut dyn Progress,
    visit: &mut dyn FnMut(Step<'_>),
) -> Result<Summary, ReadError> {
    /// So many records are read without a word.
    const STEP: u64 = 1 << 16;
    let mut pairing = Pairing::default();
    let (mut records, mut told) = (0_u64, 0);
    let summary = recording.read(&mut |event| {
        match event {
            Event::Thread(thread) => visit(Step::Item(Item::Thread(thread))),
            Event::Span(record) => {
                records += 1;
                if record.phase == Phase::Begin {
                    visit(Step::Begun(&record));
                }
                if let Some(span) = pairing.record(&record) {
                    visit(Step::Item(Item::Span(span)));
                }
            }
            Event::Loss(loss) => {
                add(&mut records, loss.records);
                pairing.loss(&loss);
                visit(Step::Item(Item::Loss(loss)));
            }
            Event::Poll(_) => records += 1,
            Event::Damage(damage) => visit(Step::Item(Item::Damage(damage))),
        }
        if records - told >= STEP {
            told = records;
            progress.at(records);
        }
    });
    progress.finish();
    let summary = summary?;
    if summary.damaged > 0 {
        pairing.damage();
    }
    pairing.finish(&mut |span| visit(Step::Item(Item::Span(span))));
    Ok(summary)
}

/// Joins begin and end records into spans.
#[derive(Debug, Default)]
pub struct Pairing {
    places: Places,
    begun: FxHashMap<u64, Half>,
    ended: FxHashMap<u64, Half>,
    /// Texts of joined halves, to be used again.
    spare: Vec<String>,
    /// The latest moment at which a lost record can have been written.
    latest_loss_ns: Option<u64>,
}

/// A record that waits for its other half.
#[derive(Debug)]
struct Half {
    parent: u64,
    depth: u16,
    kind: SpanKind,
    name: String,
    name_state: NameState,
    place: Option<u32>,
    begin_ns: u64,
    thread: u32,
    /// For an end: when, how, and after how many polls.
    end: Option<(u64, Ending, u32)>,
}

/// More spare texts than this are freed.
const SPARE_TEXTS: usize = 4096;

impl Pairing {
    /// Takes the next record, and returns its span if that is whole now.
    pub fn record<'a>(&'a mut self, record: &SpanRecord<'a>) -> Option<Span<'a>> {
        let mut record = *record;
        if record.name.len() > LONGEST_TEXT {
            (record.name, record.name_state) = (cut(record.name), NameState::Cut);
        }
        match record.phase {
            Phase::Begin => self.begin(&record),
            Phase::End => self.end(&record),
        }
    }

    /// Takes note that records are missing: spans that stay open may have ended in them.
    ///
    /// Retired records are none that a span's end could be among: a begin goes before its end does, or is carried forward.
    pub fn loss(&mut self, loss: &Loss) {
        if loss.cause == LossCause::Retired {
            return;
        }
        let latest = loss.before_unix_ns.unwrap_or(u64::MAX);
        self.latest_loss_ns = self.latest_loss_ns.max(Some(latest));
    }

    /// Takes note that records are missing because of damage, nobody knows when they were written.
    pub fn damage(&mut self) {
        self.latest_loss_ns = Some(u64::MAX);
    }

    /// Number of spans that have begun and not ended so far.
    pub fn open(&self) -> usize {
        self.begun.len()
    }

    /// Hands out what is left: first the ends whose begin never came, then the open spans, each oldest first.
    pub fn finish(self, visit: &mut dyn FnMut(Span<'_>)) {
        for halves in [self.ended, self.begun] {
            let mut halves: Vec<(u64, Half)> = halves.into_iter().collect();
            halves.sort_unstable_by_key(|(id, half)| (half.begin_ns, *id));
            for (id, half) in &halves {
                visit(half.alone(*id, &self.places, self.latest_loss_ns));
            }
        }
    }

    fn begin<'a>(&'a mut self, record: &SpanRecord<'a>) -> Option<Span<'a>> {
        let Some(end) = self.ended.remove(&record.span_id) else {
            let half = self.half(record);
            // A second begin of the same span says nothing new.
            self.begun.entry(record.span_id).or_insert(half);
            return None;
        };
        let (end_ns, ending, polls) = end.end?;
        self.recycle(end.name);
        let place = end.place.and_then(|index| self.places.get(index));
        Some(Span {
            end_ns: Some(end_ns),
            ending,
            end_thread: Some(end.thread),
            polls,
            ..span_of(record, place, record.unix_ns)
        })
    }

    fn end<'a>(&'a mut self, record: &SpanRecord<'a>) -> Option<Span<'a>> {
        let begin = self.begun.remove(&record.span_id);
        // A thread writes its own records in order: a scope's begin that has not come by now was lost.
        if begin.is_none() && record.kind == SpanKind::Async {
            let half = self.half(record);
            self.ended.insert(record.span_id, half);
            return None;
        }
        let begin_lost = begin.is_none();
        let begin_thread = begin.as_ref().map_or(record.thread, |begin| begin.thread);
        let begin_ns = begin_of(record, begin.as_ref().map(|begin| begin.begin_ns));
        if let Some(begin) = begin {
            self.recycle(begin.name);
        }
        let place = record.location.map(|location| self.places.intern(location));
        let place = place.and_then(|index| self.places.get(index));
        Some(Span {
            end_ns: Some(record.unix_ns),
            ending: ending_of(record),
            begin_thread: Some(begin_thread),
            end_thread: Some(record.thread),
            polls: record.polls,
            begin_lost,
            ..span_of(record, place, begin_ns)
        })
    }

    fn half(&mut self, record: &SpanRecord<'_>) -> Half {
        let mut name = self.spare.pop().unwrap_or_default();
        name.push_str(record.name);
        let (begin_ns, end) = match record.phase {
            Phase::Begin => (record.unix_ns, None),
            Phase::End => (begin_of(record, None), Some((record.unix_ns, ending_of(record), record.polls))),
        };
        Half {
            parent: record.parent_span_id,
            depth: record.depth,
            kind: record.kind,
            name,
            name_state: record.name_state,
            place: record.location.map(|location| self.places.intern(location)),
            begin_ns,
            thread: record.thread,
            end,
        }
    }

    fn recycle(&mut self, mut text: String) {
        if self.spare.len() < SPARE_TEXTS {
            text.clear();
            self.spare.push(text);
        }
    }
}

impl Half {
    /// The span of a half whose other half is not in the recording.
    fn alone<'a>(&'a self, id: u64, places: &'a Places, latest_loss_ns: Option<u64>) -> Span<'a> {
        let open = self.end.is_none();
        let (end_ns, ending, polls) =
            self.end.map_or((None, Ending::Open, 0), |(end_ns, ending, polls)| (Some(end_ns), ending, polls));
        Span {
            id,
            parent: self.parent,
            depth: self.depth,
            kind: self.kind,
            name: &self.name,
            name_index: None,
            name_state: self.name_state,
            place: self.place.and_then(|index| places.get(index)),
            ending,
            created_ns: None,
            begin_ns: self.begin_ns,
            end_ns,
            begin_thread: open.then_some(self.thread),
            end_thread: (!open).then_some(self.thread),
            polls,
            busy_ns: None,
            busy_partial: false,
            begin_lost: !open,
            end_may_be_lost: open && latest_loss_ns.is_some_and(|latest| latest >= self.begin_ns),
        }
    }
}

/// What every record says about its span; the rest as of a span that has just begun.
fn span_of<'a>(record: &SpanRecord<'a>, place: Option<&'a Place>, begin_ns: u64) -> Span<'a> {
    Span {
        id: record.span_id,
        parent: record.parent_span_id,
        depth: record.depth,
        kind: record.kind,
        name: record.name,
        name_index: None,
        name_state: record.name_state,
        place,
        ending: Ending::Open,
        created_ns: None,
        begin_ns,
        end_ns: None,
        begin_thread: Some(record.thread),
        end_thread: None,
        polls: 0,
        busy_ns: None,
        busy_partial: false,
        begin_lost: false,
        end_may_be_lost: false,
    }
}

/// When the span of an end record began: as its begin record says, else as the end's own copy says.
fn begin_of(record: &SpanRecord<'_>, begin_ns: Option<u64>) -> u64 {
    begin_ns.or(record.begin_unix_ns).unwrap_or(record.unix_ns)
}

fn ending_of(record: &SpanRecord<'_>) -> Ending {
    record.outcome.map_or(Ending::Completed, Ending::from)
}
