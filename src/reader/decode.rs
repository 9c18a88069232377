//! From slots to events: one ring's records in order, with what is missing between them.

use super::clock::ClockMap;
use super::dictionary::Dictionary;
use super::event::{Damage, Event, Loss, LossCause, NameState, Phase, SpanKind, SpanRecord, Summary};
use crate::events::{Head, Kind, SLOT_BYTES, Slot, SpanFields, extend_record_number};
use std::path::Path;

/// How far a ring has been read.
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct Progress {
    /// Number of the next record.
    pub(super) next_record: u64,
    /// Records lost by the writer, of those below.
    pub(super) lost: u64,
    /// The thread and the time of the last record.
    last: Option<(u32, u64)>,
}

/// What turns slots into events.
pub(super) struct Decoder<'a> {
    pub(super) clock: &'a ClockMap,
    pub(super) dictionary: &'a mut Dictionary,
    pub(super) cause: LossCause,
    pub(super) summary: &'a mut Summary,
    pub(super) visit: &'a mut dyn FnMut(Event<'_>),
}

/// Where slots come from.
#[derive(Clone, Copy)]
pub(super) struct Origin<'a> {
    pub(super) path: &'a Path,
    pub(super) offset: u64,
    pub(super) thread: u32,
}

/// A record in a run of slots.
struct Found<'a> {
    slots: &'a [Slot],
    head: Head,
}

/// The record that begins a run of slots; `Err` if none does that is whole.
fn record_at(slots: &[Slot]) -> Result<Found<'_>, &'static str> {
    let head = slots[0].head();
    if head.kind_number() == 0 {
        return Err("a slot that was never written, among records");
    }
    if head.kind() == Some(Kind::Continuation) {
        return Err("text without its record");
    }
    let whole = slots.get(..head.slots()).filter(|whole| !whole.is_empty()).ok_or("a record without its end")?;
    let continues = |(slot, index): (&Slot, usize)| {
        slot.head() == Head::continuation(index, whole.len()).with_record_number(u64::from(head.record_number_low()))
    };
    if !whole.iter().zip(0..).skip(1).all(continues) {
        return Err("a record with another one's text");
    }
    Ok(Found { slots: whole, head })
}

/// Counts the whole records in a run of slots.
pub(super) fn count_records(mut slots: &[Slot]) -> u64 {
    let mut records = 0;
    while !slots.is_empty() {
        let step = record_at(slots).map_or(1, |found| {
            records += 1;
            found.slots.len()
        });
        slots = &slots[step..];
    }
    records
}

impl Decoder<'_> {
    /// Visits the records in `slots` that come at or after `progress`, and what is missing before and between them.
    ///
    /// Of what is missing before the first, `damaged` records are known to be missing for damage. `near` is about the number of
    /// the first record.
    pub(super) fn run(&mut self, slots: &[Slot], near: u64, progress: &mut Progress, damaged: u64, origin: Origin<'_>) {
        let mut damaged = damaged;
        let mut near = near;
        let mut rest = slots;
        let mut bad: Option<(usize, usize, &'static str)> = None;
        while !rest.is_empty() {
            let index = slots.len() - rest.len();
            match record_at(rest) {
                Ok(found) => {
                    self.report_bad(bad.take(), origin);
                    rest = &rest[found.slots.len()..];
                    near = extend_record_number(found.head.record_number_low(), near);
                    if near >= progress.next_record {
                        self.record(&found, near, progress, std::mem::take(&mut damaged), origin.thread);
                    }
                }
                Err(what) => {
                    rest = &rest[1..];
                    let (first, count, what) = bad.unwrap_or((index, 0, what));
                    bad = Some((first, count + 1, what));
                }
            }
        }
        self.report_bad(bad, origin);
    }

    fn report_bad(&mut self, bad: Option<(usize, usize, &'static str)>, origin: Origin<'_>) {
        let Some((first, slots, what)) = bad else { return };
        self.summary.damages += 1;
        let offset = origin.offset + (first * SLOT_BYTES) as u64;
        // How many records these slots held shows in the numbers around them.
        let damage =
            Damage { path: origin.path.to_owned(), offset, bytes: (slots * SLOT_BYTES) as u64, records: 0, what };
        (self.visit)(Event::Damage(damage));
    }

    fn record(&mut self, found: &Found<'_>, number: u64, progress: &mut Progress, damaged: u64, thread: u32) {
        let fields = SpanFields::from_slot(&found.slots[0]);
        let unix_ns = self.clock.unix_ns(fields.ticks);
        let missing = number - progress.next_record;
        self.missing(missing, missing.min(damaged), progress, thread, Some(unix_ns));
        progress.next_record = number + 1;
        progress.last = Some((thread, unix_ns));
        self.summary.records += 1;
        let Some(kind) = found.head.kind().filter(|kind| kind.is_span()) else {
            self.summary.unknown += 1;
            return;
        };
        self.span(kind, &fields, &found.slots[1..], number, unix_ns, thread);
    }

    /// `missing` records are not there, of which `damaged` are known to be missing for damage.
    pub(super) fn missing(
        &mut self,
        missing: u64,
        damaged: u64,
        progress: &mut Progress,
        thread: u32,
        before_unix_ns: Option<u64>,
    ) {
        self.summary.damaged += damaged;
        let records = missing - damaged;
        progress.next_record += missing;
        if records == 0 {
            return;
        }
        progress.lost += records;
        self.summary.lost += records;
        let after_unix_ns = progress.last.map(|(_, unix_ns)| unix_ns);
        (self.visit)(Event::Loss(Loss { thread, records, cause: self.cause, after_unix_ns, before_unix_ns }));
    }

    fn span(&mut self, kind: Kind, fields: &SpanFields, text: &[Slot], record_number: u64, unix_ns: u64, thread: u32) {
        const LOST: (&str, NameState) = ("<name lost>", NameState::Missing);
        let head = fields.head;
        let run_time_name;
        let mut location = self.dictionary.location(fields.site);
        let (name, name_state) = if head.has_run_time_name() {
            let (text, state) = run_time_text(fields, text);
            run_time_name = text;
            (run_time_name.as_str(), state)
        } else if kind.is_named() {
            let name = self.dictionary.name(fields.name_address, u64::from(fields.name_length));
            name.map_or(LOST, |name| (name, NameState::Whole))
        } else {
            let metadata = self.dictionary.metadata(fields.site);
            location = metadata.map(|(_, location)| location);
            metadata.map_or(LOST, |(name, _)| (name, NameState::Whole))
        };
        let is_end = kind.is_end();
        let knows_begin = is_end && fields.begin_ticks != 0;
        (self.visit)(Event::Span(SpanRecord {
            phase: if is_end { Phase::End } else { Phase::Begin },
            kind: if kind.is_thread() { SpanKind::Thread } else { SpanKind::Async },
            thread,
            record_number,
            unix_ns,
            begin_unix_ns: knows_begin.then(|| self.clock.unix_ns(fields.begin_ticks)),
            span_id: fields.span_id,
            parent_span_id: fields.parent_span_id,
            depth: fields.depth(),
            outcome: head.outcome(),
            polls: fields.polls,
            name,
            name_state,
            location,
        }));
    }
}

/// The text in a record's continuation slots.
fn run_time_text(fields: &SpanFields, slots: &[Slot]) -> (String, NameState) {
    let mut bytes: Vec<u8> = slots.iter().flat_map(Slot::text).copied().collect();
    bytes.truncate(fields.name_length as usize);
    let whole = bytes.len() as u64 == fields.name_address;
    let state = if whole { NameState::Whole } else { NameState::Cut };
    match String::from_utf8(bytes) {
        Ok(text) => (text, state),
        // Only in a damaged ring: the writer copies whole characters.
        Err(error) => (String::from_utf8_lossy(error.as_bytes()).into_owned(), NameState::Cut),
    }
}
