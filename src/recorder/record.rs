//! The recording path: from an instrumented call to a published record. Everything here runs on the caller's thread, always on.
//!
//! One load decides whether anyone records. Then: this thread's context, its busy mark, the site's sighting, one clock read, one
//! slot, one release store. No lock, allocation, system call, panic, or cache line that others write; the exceptions are a
//! thread's first event and a call site's first sight.

use super::context::{Context, with_context};
use super::gate::{CLOSED, Refusal};
use super::session::GATE;
#[cfg(feature = "enable")]
pub(crate) use super::thread::refuse;
use super::thread::{STRAY_ENDS, ThreadLog, attach};
use crate::events::{
    Head, Kind, MAX_RECORD_SLOTS, MAX_RUN_TIME_NAME, Outcome, SLOT_WORDS, SpanFields, SpanLocation, SpanMetadata,
    StringId, TEXT_BYTES,
};
use crate::format::definition::Definition;
use crate::sync::Ordering;
use std::panic::Location as Caller;

/// Whether a recorder runs. One load; `false` at compile time without the feature `enable`.
#[inline(always)]
pub(crate) fn recording() -> bool {
    cfg!(feature = "enable") && GATE.generation() != CLOSED
}

/// The generation of the running recorder, [`CLOSED`] if none runs.
#[cfg(feature = "enable")]
#[inline(always)]
pub(crate) fn running_generation() -> u64 {
    GATE.generation()
}

/// Gives this thread its log, if a recorder runs.
#[cfg(feature = "enable")]
pub(crate) fn init() {
    let generation = GATE.generation();
    if generation != CLOSED {
        with_context(|context| context.generation.get() == generation || attach(context));
    }
}

/// Where a span stands in the program.
#[derive(Clone, Copy, Debug)]
pub enum Site {
    /// With a name of its own.
    Metadata(&'static SpanMetadata),
    /// Named by each span.
    Location(&'static SpanLocation),
    /// The caller of a function, which knows neither target nor module.
    Caller(&'static Caller<'static>),
}

/// A span's name, as far as its site does not say it.
#[derive(Clone, Copy, Debug)]
pub enum Name<'a> {
    /// The site says it.
    OfSite,
    /// Lives for ever: only its address and length are recorded with the span.
    Static(&'static str),
    /// Its text is recorded with the span, up to [`MAX_RUN_TIME_NAME`] bytes.
    RunTime(&'a str),
}

/// What a record says beside its kind, time and outcome.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Span<'a> {
    /// A thread span rather than an async one.
    pub(crate) thread: bool,
    pub(crate) site: Site,
    pub(crate) name: Name<'a>,
    pub(crate) parent: u64,
    pub(crate) depth: u16,
}

/// A span that has begun.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Begun {
    pub(crate) id: u64,
    pub(crate) ticks: u64,
    pub(crate) generation: u64,
}

impl Site {
    #[inline(always)]
    fn address(self) -> u64 {
        let address = match self {
            Site::Metadata(metadata) => std::ptr::from_ref(metadata).addr(),
            Site::Location(location) => std::ptr::from_ref(location).addr(),
            Site::Caller(caller) => std::ptr::from_ref(caller).addr(),
        };
        address as u64
    }

    fn definition(self) -> Definition<&'static str> {
        match self {
            Site::Metadata(metadata) => Definition::of_metadata(metadata),
            Site::Location(location) => Definition::of_location(location),
            Site::Caller(caller) => Definition::of_caller(caller),
        }
    }
}

impl Name<'_> {
    /// What there is to define about the name: the identity of a static one; one of two marks for any other, so that a metadata and
    /// its own location, which may share an address, are told apart.
    #[inline(always)]
    fn id(self) -> StringId {
        match self {
            Name::OfSite => StringId { ptr: 0, len: 0 },
            Name::RunTime(_) => StringId { ptr: 0, len: 1 },
            Name::Static(name) => StringId::from(name),
        }
    }
}

/// Records that a span begins now. `None`: nobody records, or the event was refused, which was counted.
#[inline(always)]
pub(crate) fn begin(span: &Span<'_>) -> Option<Begun> {
    let generation = GATE.generation();
    if generation == CLOSED {
        return None;
    }
    with_context(|context| {
        let log = enter(context, generation)?;
        if !log.remembers(span.site.address(), span.name.id()) {
            define(log, span);
        }
        let id = context.next_span_id();
        let ticks = crate::clock::ticks();
        write(log, span, None, SpanFields { ticks, span_id: id, ..EMPTY });
        log.busy.leave();
        Some(Begun { id, ticks, generation })
    })
}

/// Defines a span's site and name, for an end whose begin may have been in an earlier recording.
#[cfg(feature = "enable")]
pub(crate) fn see(span: &Span<'_>) {
    let generation = GATE.generation();
    if generation == CLOSED {
        return;
    }
    with_context(|context| {
        let Some(log) = enter(context, generation) else { return };
        if !log.remembers(span.site.address(), span.name.id()) {
            define(log, span);
        }
        log.busy.leave();
    });
}

/// Records that a span ends now. Nothing is written if its recording is over; that is counted while another one runs.
///
/// `polls` is how often a future was polled, 0 for a thread span.
#[inline(always)]
pub(crate) fn end(span: &Span<'_>, begun: Begun, outcome: Outcome, polls: u32) {
    let generation = GATE.generation();
    if generation != begun.generation {
        return stray(generation);
    }
    with_context(|context| {
        let Some(log) = enter(context, generation) else { return };
        // No sighting: whoever wrote the begin has defined site and name, and the task came here from there.
        let ticks = crate::clock::ticks();
        write(
            log,
            span,
            Some(outcome),
            SpanFields { ticks, span_id: begun.id, polls, begin_ticks: begun.ticks, ..EMPTY },
        );
        log.busy.leave();
    });
}

#[cold]
fn stray(generation: u64) {
    if generation != CLOSED {
        STRAY_ENDS.fetch_add(1, Ordering::Relaxed);
    }
}

const EMPTY: SpanFields = SpanFields {
    head: Head(0),
    ticks: 0,
    span_id: 0,
    parent_span_id: 0,
    site: 0,
    name_address: 0,
    name_length: 0,
    polls: 0,
    begin_ticks: 0,
};

/// This thread's log for that generation, marked busy. The caller records, and then calls `busy.leave()`.
#[inline(always)]
fn enter(context: &Context, generation: u64) -> Option<&ThreadLog> {
    if context.generation.get() != generation && !(attach(context) && context.generation.get() == generation) {
        return None;
    }
    // SAFETY: the context's generation is that of a log, set by `attach`, which this thread's handle keeps alive until it takes
    // the generation away; neither happens while the reference is used, for both happen only in `attach` and at thread exit.
    let log = unsafe { &*context.log.get() };
    match GATE.enter(&log.busy, generation) {
        Ok(()) => Some(log),
        Err(refusal) => {
            refused(refusal);
            None
        }
    }
}

#[cold]
fn refused(refusal: Refusal) {
    // A closed gate is no loss: the event came after the recording.
    if refusal == Refusal::Nested {
        refuse();
    }
}

#[cold]
fn define(log: &ThreadLog, span: &Span<'_>) {
    let session = &log.session;
    // Lengths from 2 on are those of names, so that nothing that shares an address is taken for something else.
    let site = match span.site {
        Site::Metadata(_) => 0,
        Site::Location(_) | Site::Caller(_) => 1,
    };
    session.define(StringId { ptr: span.site.address(), len: site }, || span.site.definition());
    if let Name::Static(name) = span.name {
        let StringId { ptr, len } = StringId::from(name);
        session.define(StringId { ptr, len: len + 2 }, || Definition::of_name(name));
    }
}

/// Publishes one record, or drops and counts it.
#[inline(always)]
fn write(log: &ThreadLog, span: &Span<'_>, outcome: Option<Outcome>, fields: SpanFields) {
    let named = !matches!(span.site, Site::Metadata(_));
    let mut head = Head::record(kind(span.thread, named, outcome.is_some()), outcome, span.depth);
    if let Site::Caller(_) = span.site {
        head = head.with_caller_location();
    }
    let fields = SpanFields { parent_span_id: span.parent, site: span.site.address(), ..fields };
    if let Name::RunTime(text) = span.name {
        return write_with_text(log, head, fields, text);
    }
    let StringId { ptr, len } = span.name.id();
    let Some(reservation) = log.producer.reserve(1) else { return };
    let head = head.with_record_number(reservation.record_number());
    // A static name of 4 GiB cannot exist in a program that was linked.
    reservation.write(0, SpanFields { head, name_address: ptr, name_length: len as u32, ..fields }.to_slot().0);
    reservation.publish();
}

#[inline(always)]
const fn kind(thread: bool, named: bool, end: bool) -> Kind {
    Kind::SPANS[thread as usize * 4 + named as usize * 2 + end as usize]
}

/// The same with the name's text in continuation slots.
fn write_with_text(log: &ThreadLog, head: Head, fields: SpanFields, text: &str) {
    let kept = keep(text);
    let slots = 1 + kept.len().div_ceil(TEXT_BYTES);
    let Some(reservation) = log.producer.reserve(slots) else { return };
    let number = reservation.record_number();
    let head = head.with_run_time_name().with_slots(slots).with_record_number(number);
    let fields = SpanFields { head, name_address: text.len() as u64, name_length: kept.len() as u32, ..fields };
    reservation.write(0, fields.to_slot().0);
    for (index, chunk) in kept.chunks(TEXT_BYTES).enumerate() {
        let index = index + 1;
        let mut padded = [0; TEXT_BYTES];
        padded[..chunk.len()].copy_from_slice(chunk);
        let mut words = [0; SLOT_WORDS];
        words[0] = Head::continuation(index, slots).with_record_number(number).0;
        bytemuck::bytes_of_mut(&mut words)[8..].copy_from_slice(&padded);
        reservation.write(index, words);
    }
    reservation.publish();
}

/// As much of `text` as a record takes, cut at a character boundary.
fn keep(text: &str) -> &[u8] {
    const { assert!(MAX_RUN_TIME_NAME == (MAX_RECORD_SLOTS - 1) * TEXT_BYTES) };
    let mut end = text.len().min(MAX_RUN_TIME_NAME);
    while !text.is_char_boundary(end) {
        end -= 1;
    }
    &text.as_bytes()[..end]
}
