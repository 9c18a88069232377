//! The recording path: from an instrumented call to a published record. Everything here runs on the caller's thread, always on.
//!
//! One load decides whether anyone records. Then: this thread's context, its busy mark, the site's sighting, one clock read, one
//! slot, one release store. No lock, allocation, system call, panic, or cache line that others write; the exceptions are a
//! thread's first event and a call site's first sight.

use super::context::{Context, Depth, this_thread};
use super::full_ring::wait_for_room;
use super::gate::{CLOSED, Idle, Refusal, asks, filters, samples};
use super::sampling::{self, UNSAMPLED, UNSAMPLED_SPAN};
use super::session::GATE;
use super::text::write_continuations;
pub(crate) use super::thread::refuse;
use super::thread::{STRAY_ENDS, ThreadLog, attach};
use super::verdict::is_wanted;
use crate::clock::{processor_ticks, ticks};
use crate::events::{
    Head, Kind, MAX_RECORD_SLOTS, MAX_RUN_TIME_NAME, Outcome, SLOT_WORDS, SpanFields, SpanLocation, SpanMetadata,
    StringId, TEXT_BYTES, Verbosity,
};
use crate::format::definition::Definition;
use crate::queue::{Reservation, ReservedSlot, RingWords};
use crate::sync::Ordering;
use std::panic::Location as Caller;

/// Whether spans begin. One load; `false` at compile time without the feature `enable`.
#[inline(always)]
pub(crate) fn recording() -> bool {
    running_generation() != CLOSED
}

/// The generation of the running recorder, in which spans begin, [`asking`](super::gate::asking) if a filter or sampling is asked; [`CLOSED`] if
/// none runs, or it is paused, and at compile time without the feature `enable`.
#[inline(always)]
pub(crate) fn running_generation() -> u64 {
    if cfg!(feature = "enable") { GATE.begins() } else { CLOSED }
}

/// The same for spans of that level: [`CLOSED`] too if the filter wants none of them.
#[inline(always)]
pub(crate) fn running_generation_at(level: Verbosity) -> u64 {
    if cfg!(feature = "enable") { GATE.begins_at(level) } else { CLOSED }
}

/// The generation of the running recorder, whatever is asked, also while it is paused: in it spans that are open end, and get their attributes.
#[inline(always)]
pub(crate) fn ending_generation() -> u64 {
    if cfg!(feature = "enable") { GATE.generation() } else { CLOSED }
}

/// The time now, for what is measured beside the two records of a span.
#[cfg(feature = "enable")]
#[cold]
#[inline(never)]
pub(crate) fn measured_ticks() -> u64 {
    ticks()
}

/// Gives this thread its log, if a recorder runs.
#[cfg(feature = "enable")]
pub(crate) fn init() {
    let (context, generation) = (this_thread(), GATE.generation());
    if generation != CLOSED && context.generation() != generation {
        attach(context);
    }
}

/// Where a span stands in the program.
///
/// This and [`Name`] refer to where a span keeps them, so that the recording path fetches each word when it writes it: few have to be
/// in registers at a time.
#[derive(Clone, Copy, Debug)]
pub enum Site<'a> {
    /// With a name of its own.
    Metadata(&'a &'static SpanMetadata),
    /// Named by each span.
    Location(&'a &'static SpanLocation),
    /// The caller of a function, which knows neither target nor module.
    Caller(&'a &'static Caller<'static>),
}

/// A site by itself.
#[derive(Clone, Copy, Debug)]
pub(crate) enum Place {
    Metadata(&'static SpanMetadata),
    Location(&'static SpanLocation),
    Caller(&'static Caller<'static>),
}

/// A span's name, as far as its site does not say it.
#[derive(Clone, Copy, Debug)]
pub enum Name<'a> {
    /// The site says it.
    OfSite,
    /// Lives for ever: only its address and length are recorded with the span.
    Static(&'a &'static str),
    /// Its text is recorded with the span, up to [`MAX_RUN_TIME_NAME`] bytes.
    RunTime(&'a str),
}

/// A span, as far as both of its records say it.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Span<'a> {
    /// Of a thread's scope, rather than of a future.
    pub(crate) thread: bool,
    pub(crate) frame: &'a Frame,
    pub(crate) site: Site<'a>,
    pub(crate) name: Name<'a>,
    /// How many attributes are recorded right after the begin.
    pub(crate) attributes: u32,
}

/// Where a span stands among others.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Frame {
    /// The span in which this one was made; 0 for none.
    pub(crate) parent: u64,
    /// Depth below the root; of a thread span, thread spans around it.
    pub(crate) depth: Depth,
}

/// Room for a record in a log.
pub(super) type LogReservation<'a> = Reservation<'a, RingWords, SLOT_WORDS>;

/// A span that has begun.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Begun {
    pub(crate) id: u64,
    /// When; 0 if that is not known.
    pub(crate) ticks: u64,
}

impl Begun {
    /// Of a span that is not sampled, in the generation [`UNSAMPLED`].
    pub(crate) const UNSAMPLED: Begun = Begun { id: UNSAMPLED_SPAN, ticks: 0 };
}

impl Span<'_> {
    /// Whether it is recorded, as far as sampling is concerned.
    pub(crate) fn is_sampled(&self) -> bool {
        let Frame { parent, depth } = *self.frame;
        if self.thread { sampling::is_scope_sampled(parent, depth) } else { sampling::is_sampled(parent) }
    }
}

impl Place {
    #[inline(always)]
    pub(super) fn address(self) -> u64 {
        let address = match self {
            Place::Metadata(metadata) => std::ptr::from_ref(metadata).addr(),
            Place::Location(location) => std::ptr::from_ref(location).addr(),
            Place::Caller(caller) => std::ptr::from_ref(caller).addr(),
        };
        address as u64
    }
}

impl Site<'_> {
    #[inline(always)]
    pub(crate) fn place(self) -> Place {
        match self {
            Site::Metadata(metadata) => Place::Metadata(metadata),
            Site::Location(location) => Place::Location(location),
            Site::Caller(caller) => Place::Caller(caller),
        }
    }

    #[inline(always)]
    fn address(self) -> u64 {
        self.place().address()
    }

    /// How detailed its spans are.
    #[inline(always)]
    pub(crate) fn level(self) -> Verbosity {
        match self {
            Site::Metadata(metadata) => metadata.location.lod,
            Site::Location(location) => location.lod,
            // It does not say.
            Site::Caller(_) => Verbosity::Max,
        }
    }

    fn definition(self) -> Definition<&'static str> {
        match self {
            Site::Metadata(metadata) => Definition::of_metadata(metadata),
            Site::Location(location) => Definition::of_location(location),
            Site::Caller(caller) => Definition::of_caller(caller),
        }
    }
}

impl<'a> Name<'a> {
    /// The whole name, as far as the site does not say it.
    #[inline(always)]
    pub(crate) fn whole(self) -> &'a str {
        match self {
            Name::OfSite => "",
            Name::Static(name) => name,
            Name::RunTime(text) => text,
        }
    }

    /// What there is to define about the name: the identity of a static one; one of two marks for any other, so that a metadata and
    /// its own location, which may share an address, are told apart.
    #[inline(always)]
    pub(crate) fn id(self) -> StringId {
        match self {
            Name::OfSite => StringId { ptr: 0, len: 0 },
            Name::RunTime(_) => StringId { ptr: 0, len: 1 },
            Name::Static(name) => StringId::from(*name),
        }
    }

    /// Slots of a record with this name, if that is plain to see: text that fits into one continuation slot, or none at all.
    #[inline(always)]
    fn few_slots(&self) -> Option<usize> {
        match self {
            Name::OfSite | Name::Static(_) => Some(1),
            Name::RunTime(text) => (1..=TEXT_BYTES).contains(&text.len()).then_some(2),
        }
    }

    /// The text that goes with the record: as much as it takes, cut at a character boundary.
    #[inline(always)]
    fn text(&self) -> &[u8] {
        match self {
            Name::RunTime(text) => bounded(text),
            Name::OfSite | Name::Static(_) => &[],
        }
    }

    /// Slots of a record with this name.
    #[inline(always)]
    pub(super) fn slots(&self) -> usize {
        1 + self.text().len().div_ceil(TEXT_BYTES)
    }
}

/// As much of a text as a record takes, cut at a character boundary.
#[inline(always)]
pub(super) fn bounded(text: &str) -> &[u8] {
    if text.len() <= MAX_RUN_TIME_NAME { text.as_bytes() } else { cut(text) }
}

#[cold]
fn cut(text: &str) -> &[u8] {
    const { assert!(MAX_RUN_TIME_NAME == (MAX_RECORD_SLOTS - 1) * TEXT_BYTES) };
    let mut end = MAX_RUN_TIME_NAME;
    while !text.is_char_boundary(end) {
        end -= 1;
    }
    &text.as_bytes()[..end]
}

/// Whether a name of that identity was made at run time.
pub(super) fn is_run_time(name: StringId) -> bool {
    name == Name::RunTime("").id()
}

impl Frame {
    /// In no span.
    #[cfg(feature = "enable")]
    pub(crate) const ROOT: Frame = Frame { parent: 0, depth: Depth::ROOT };
}

/// What is known when compiling of the head of a span's record, with a name that takes no slot: its lower half.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct SpanHead(u32);

impl Site<'_> {
    /// Of a begin.
    #[inline(always)]
    pub(crate) fn head(self, thread: bool) -> SpanHead {
        let kind = match (thread, self) {
            (false, Site::Metadata(_)) => Kind::BeginAsync,
            (false, _) => Kind::BeginAsyncNamed,
            (true, Site::Metadata(_)) => Kind::BeginThread,
            (true, _) => Kind::BeginThreadNamed,
        };
        let head = Head::record(kind, None, 0);
        SpanHead(if let Site::Caller(_) = self { head.with_caller_location() } else { head }.0 as u32)
    }
}

impl SpanHead {
    /// Of an instant.
    pub(super) const INSTANT: SpanHead = SpanHead(Head::record(Kind::Instant, None, 0).0 as u32);

    /// Of the end of the same span.
    #[inline(always)]
    pub(crate) fn ending(self, outcome: Outcome) -> SpanHead {
        SpanHead(Head(self.0.into()).ended(outcome).0 as u32)
    }

    /// The whole head. The parts share no bit, so they are added, which the processor can do with several at a time.
    #[inline(always)]
    fn complete(self, depth: Depth, name: Name<'_>, slots: usize, number: u64) -> Head {
        let plain = Head(0).with_slots(1).0;
        let beside = match name {
            Name::RunTime(_) => Head(0).with_run_time_name().with_slots(slots).0 - plain,
            Name::OfSite | Name::Static(_) => 0,
        };
        Head(u64::from(self.0 + depth.in_head() + beside as u32) + (number << 32))
    }
}

/// Records that a span begins now, in the recording of the generation returned, if it is wanted. `None`: it is not, nobody records, or
/// the event was refused, which was counted.
#[inline(never)]
pub(crate) fn begin(span: &Span<'_>) -> Option<(Begun, u64)> {
    let begins = GATE.begins();
    if filters(begins) && !is_wanted(span.site.place(), span.name) {
        return None;
    }
    if samples(begins) && !span.is_sampled() {
        return Some((Begun::UNSAMPLED, UNSAMPLED));
    }
    let generation = if asks(begins) { GATE.generation() } else { begins };
    let begun = begin_quickly(this_thread(), span, generation).map(|begun| (begun, generation));
    begun.or_else(|| begin_slowly(span, 0))
}

/// Records that a span ends now. Nothing is written if its recording is over; that is counted while another one runs.
///
/// `polls` is how often a future was polled, 0 for a thread span.
#[inline(never)]
pub(crate) fn end(span: &Span<'_>, begun: &Begun, generation: u64, outcome: Outcome, polls: u32) {
    let head = span.site.head(span.thread).ending(outcome);
    if !end_quickly(this_thread(), span, begun, generation, head, &polls) {
        end_slowly(span, begun, generation, head, polls);
    }
}

/// [`begin`], as far as it goes without a call: for a thread that has a log, which knows the site and has room; that is for nearly
/// every record. `None`: not so, or this generation does not record any more, or measures polls; nothing was done.
///
/// To be inlined where everything about the span is at hand, into a function that goes on to [`begin_slowly`] by a jump. Such a
/// function calls nothing, so it saves few registers or none, and passes nothing through memory.
#[inline(always)]
pub(crate) fn begin_quickly(context: &Context, span: &Span<'_>, generation: u64) -> Option<Begun> {
    let entered = enter_quickly(context, generation)?;
    // As soon as no signal handler's record can come in between: until the clock is read the processor does little else, and what
    // follows is done meanwhile.
    let ticks = processor_ticks();
    let begun = begin_in(entered.log, span, ticks);
    entered.leave();
    begun
}

#[inline(always)]
fn begin_in(log: &ThreadLog, span: &Span<'_>, ticks: u64) -> Option<Begun> {
    let slots = span.name.few_slots()?;
    if !log.knows(span.site.address(), span.name.id()) {
        return None;
    }
    let producer = log.producer();
    let reservation = producer.reserve_known(slots)?;
    let draft = Draft::new(&reservation, span);
    draft.identity(&span.attributes);
    // Not before it is needed: there is no register for it.
    let number = reservation.record_number();
    let begun = Begun { id: log.id_of(number), ticks };
    draft.complete(span.site.head(span.thread), number, begun.id, &0, ticks, slots);
    reservation.publish();
    Some(begun)
}

/// [`end`] in the same manner. `false`: nothing was done.
#[inline(always)]
pub(crate) fn end_quickly(
    context: &Context,
    span: &Span<'_>,
    begun: &Begun,
    generation: u64,
    head: SpanHead,
    polls: &u32,
) -> bool {
    let Some(entered) = enter_quickly(context, generation) else { return false };
    let ticks = processor_ticks();
    let producer = entered.log.producer();
    // Not in a closure: the compiler keeps a large one out of line.
    let slots = span.name.few_slots();
    let reservation = if let Some(slots) = slots { producer.reserve_known(slots) } else { None };
    let written = reservation.is_some();
    if let (Some(slots), Some(reservation)) = (slots, reservation) {
        let draft = Draft::new(&reservation, span);
        draft.identity(polls);
        draft.complete(head, reservation.record_number(), begun.id, &begun.ticks, ticks, slots);
        reservation.publish();
    }
    entered.leave();
    written
}

/// [`begin`], whatever has to be done first, of a future that was created at that time, 0 if unknown.
#[cold]
#[inline(never)]
pub(crate) fn begin_slowly(span: &Span<'_>, created: u64) -> Option<(Begun, u64)> {
    if GATE.begins() == CLOSED {
        return None;
    }
    let generation = GATE.generation();
    let (log, idle) = enter(this_thread(), generation)?;
    define(log, span);
    let slots = span.name.slots();
    make_room(log, slots, generation);
    // Whether it finds room or is dropped, the record has this number, and none of its ring has the same.
    let begun = Begun { id: log.id_of(log.producer().record_number()), ticks: ticks() };
    write_slowly(log, slots, |reservation| {
        let draft = Draft::new(reservation, span);
        draft.identity(&span.attributes);
        let head = span.site.head(span.thread);
        draft.complete(head, reservation.record_number(), begun.id, &created, begun.ticks, slots);
    });
    log.busy.leave(idle);
    Some((begun, generation))
}

/// [`end`], whatever has to be done first.
#[cold]
#[inline(never)]
pub(crate) fn end_slowly(span: &Span<'_>, begun: &Begun, generation: u64, head: SpanHead, polls: u32) {
    if generation == UNSAMPLED {
        if span.thread {
            sampling::scope_ends(span.frame.parent, span.frame.depth);
        }
        return;
    }
    let Some((log, idle)) = enter(this_thread(), generation) else { return stray(generation) };
    // Now: what is waited for below is not part of the span.
    let ticks = ticks();
    let slots = span.name.slots();
    // No definition: whoever wrote the begin has defined site and name, and the task came here from there.
    make_room(log, slots, generation);
    write_slowly(log, slots, |reservation| {
        let draft = Draft::new(reservation, span);
        draft.identity(&polls);
        draft.complete(head, reservation.record_number(), begun.id, &begun.ticks, ticks, slots);
    });
    log.busy.leave(idle);
}

/// Records that a poll ends now, the `number`-th of a future whose span is open, which began at `began`. Its name, and where it stands,
/// the span's other records say.
#[cfg(feature = "enable")]
#[cold]
#[inline(never)]
pub(crate) fn poll(frame: &Frame, id: u64, generation: u64, began: u64, number: u32) {
    let Some((log, idle)) = enter(this_thread(), generation) else { return };
    let ticks = ticks();
    make_room(log, 1, generation);
    write_slowly(log, 1, |reservation| {
        let head = Head::record(Kind::Poll, None, 0).with_record_number(reservation.record_number());
        let fields = SpanFields {
            head: Head(head.0 | u64::from(frame.depth.in_head())),
            ticks,
            span_id: id,
            parent_span_id: frame.parent,
            site: 0,
            name_address: 0,
            name_length: 0,
            polls: number,
            begin_ticks: began,
        };
        let slot = reservation.slot(0);
        (0..).zip(fields.to_slot().0).for_each(|(offset, word)| slot.write(offset, word));
    });
    log.busy.leave(idle);
}

/// Waits for room, if that is wanted, and sees to it that there is an id for the next record.
pub(super) fn make_room(log: &ThreadLog, slots: usize, generation: u64) {
    wait_for_room(log, slots, generation);
    log.take_ids();
}

/// Publishes a record of so many slots, after [`make_room`], or drops it and counts that.
pub(super) fn write_slowly(log: &ThreadLog, slots: usize, write: impl FnOnce(&LogReservation<'_>)) {
    match log.producer().reserve(slots) {
        Some(reservation) => {
            write(&reservation);
            reservation.publish();
        }
        None => log.take_ids(),
    }
}

/// Defines a span's site and name, for an end whose begin may have been in an earlier recording.
#[cfg(feature = "enable")]
pub(crate) fn see(span: &Span<'_>) {
    let Some((log, idle)) = enter(this_thread(), GATE.generation()) else { return };
    define(log, span);
    log.busy.leave(idle);
}

/// The end of a span of that generation was not written: counts it if another recorder runs by now.
fn stray(generation: u64) {
    let running = GATE.generation();
    if running != CLOSED && running != generation {
        STRAY_ENDS.fetch_add(1, Ordering::Relaxed);
    }
}

/// This thread's log, marked busy.
pub(super) struct Entered<'a> {
    pub(super) log: &'a ThreadLog,
    idle: Idle,
}

impl Entered<'_> {
    #[inline(always)]
    pub(super) fn leave(self) {
        self.log.busy.leave(self.idle);
    }
}

/// This thread's log of that generation, if it has one and no more is to be done than writing a record.
#[inline(always)]
pub(super) fn enter_quickly(context: &Context, generation: u64) -> Option<Entered<'_>> {
    let log = context.log();
    // SAFETY: there is a mark, whether there is a log or not, and it stays there as `log` says.
    let busy = unsafe { log.as_ref() };
    let idle = GATE.enter_ready(busy, generation)?;
    // SAFETY: no mark but that of this thread's own log has a recorder's generation; the rest is as for any log.
    let log = unsafe { log.cast().as_ref() };
    Some(Entered { log, idle })
}

/// This thread's log.
///
/// # Safety
/// It has one: the context's generation, or its mark, is a recorder's.
#[inline(always)]
unsafe fn log(context: &Context) -> &ThreadLog {
    // SAFETY: `attach` sets the generation together with the log, which this thread's handle keeps alive until it takes the
    // generation away; neither happens while the reference is used, for both happen only in `attach` and at thread exit.
    unsafe { context.log().cast().as_ref() }
}

/// This thread's log of that generation, marked busy; got first, if need be. The caller records, and then calls `busy.leave()`.
pub(super) fn enter(context: &Context, generation: u64) -> Option<(&ThreadLog, Idle)> {
    if generation == CLOSED || GATE.generation() != generation {
        return None;
    }
    if context.generation() != generation && !attach(context) {
        return None;
    }
    if context.generation() != generation {
        return None;
    }
    // SAFETY: the generation was just seen to be that of a recorder.
    let log = unsafe { log(context) };
    match GATE.enter(&log.busy, generation) {
        Ok(idle) => Some((log, idle)),
        // No loss: the event came after the recording.
        Err(Refusal::Closed) => None,
        Err(Refusal::Nested) => {
            refuse();
            None
        }
    }
}

/// Defines the span's site and name, unless this thread remembers to have done so.
pub(super) fn define(log: &ThreadLog, span: &Span<'_>) {
    if log.remembers(span.site.address(), span.name.id()) {
        return;
    }
    let session = &log.session;
    // Lengths from 2 on are those of names, so that nothing that shares an address is taken for something else.
    let site = match span.site {
        Site::Metadata(_) => 0,
        Site::Location(_) | Site::Caller(_) => 1,
    };
    session.define(StringId { ptr: span.site.address(), len: site }, || span.site.definition());
    if let Name::Static(name) = span.name {
        define_text(log, name);
    }
}

/// Defines a static name, or another text that lives for ever.
pub(super) fn define_text(log: &ThreadLog, text: &'static str) {
    let StringId { ptr, len } = StringId::from(text);
    log.session.define(StringId { ptr, len: len + 2 }, || Definition::of_name(text));
}

/// The word of a slot that has this field of [`SpanFields`].
macro_rules! word_of {
    ($field:ident) => {
        const { std::mem::offset_of!(SpanFields, $field) / size_of::<u64>() }
    };
}

/// A record in the making, in its place in the ring. Word by word, each from where it is kept: little has to be held in registers at
/// a time. If it is not published, it never existed, and the next one is written over it.
pub(super) struct Draft<'a> {
    reservation: &'a LogReservation<'a>,
    span: &'a Span<'a>,
    slot: ReservedSlot<'a, SLOT_WORDS>,
}

impl<'a> Draft<'a> {
    #[inline(always)]
    pub(super) fn new(reservation: &'a LogReservation<'a>, span: &'a Span<'a>) -> Draft<'a> {
        Draft { reservation, span, slot: reservation.slot(0) }
    }

    /// Writes what both records of a span say in the same words, and how often it was polled, or how many attributes follow.
    #[inline(always)]
    pub(super) fn identity(&self, polls: &u32) {
        let slot = &self.slot;
        slot.write(word_of!(site), self.span.site.address());
        // One after the other, not both by one match: that takes another register.
        let name_address = match self.span.name {
            Name::OfSite => 0,
            Name::Static(name) => StringId::from(*name).ptr,
            Name::RunTime(whole) => whole.len() as u64,
        };
        slot.write(word_of!(name_address), name_address);
        let name_length = match self.span.name {
            Name::OfSite => 0,
            // A static name of 4 GiB cannot exist in a program that was linked.
            Name::Static(name) => name.len() as u64,
            Name::RunTime(_) => self.span.name.text().len() as u64,
        };
        slot.write(word_of!(name_length), u64::from(*polls) << 32 | name_length);
        slot.write(word_of!(parent_span_id), self.span.frame.parent);
    }

    /// Writes the rest: of an end when its span began, of a begin when it was created; `slots` is what the reservation has.
    #[inline(always)]
    pub(super) fn complete(self, head: SpanHead, number: u64, id: u64, earlier: &u64, ticks: u64, slots: usize) {
        let Draft { reservation, span, slot } = self;
        slot.write(word_of!(span_id), id);
        slot.write(word_of!(begin_ticks), *earlier);
        slot.write(word_of!(ticks), ticks);
        slot.write(word_of!(head), head.complete(span.frame.depth, span.name, slots, number).0);
        write_continuations(reservation, span.name.text(), number, slots);
    }
}
