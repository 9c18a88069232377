//! From slots to events: one ring's records in order, with what is missing between them.

use super::clock::ClockMap;
use super::dictionary::Dictionary;
use super::event::{Damage, Event, Loss, LossCause, NameState, Phase, SpanKind, SpanRecord, Summary};
use crate::events::{Kind, SLOT_BYTES, Slot, SpanFields, extend_record_number, first_record};
use std::collections::BTreeMap;
use std::path::Path;

/// Begins that were carried forward, by ring and record number.
pub(super) type Carried = BTreeMap<(u32, u64), CarriedBegin>;

/// What was met so far of a begin that was carried forward.
pub(super) enum CarriedBegin {
    /// Nothing.
    Expected,
    /// The record itself: its segment, or its slots in the ring, are still there.
    Original,
    /// The copy: slots, and the thread that recorded them.
    Copy(Vec<Slot>, u32),
}

/// How far a ring has been read.
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct Progress {
    /// Number of the next record.
    pub(super) next_record: u64,
    /// Records lost by the writer, of those below.
    pub(super) lost: u64,
    /// The time of the last record.
    last_unix_ns: Option<u64>,
}

/// Records that are not there although their writer did not lose them: how many, and why.
#[derive(Clone, Copy)]
pub(super) struct Unaccounted {
    pub(super) records: u64,
    /// Their segment was retired, rather than damaged.
    pub(super) retired: bool,
}

impl Unaccounted {
    /// None are.
    pub(super) const NONE: Unaccounted = Unaccounted { records: 0, retired: false };
}

/// What turns slots into events.
pub(super) struct Decoder<'a> {
    pub(super) clock: &'a ClockMap,
    pub(super) dictionary: &'a mut Dictionary,
    pub(super) cause: LossCause,
    pub(super) summary: &'a mut Summary,
    pub(super) carried: &'a mut Carried,
    pub(super) visit: &'a mut dyn FnMut(Event<'_>),
}

/// Where slots come from.
#[derive(Clone, Copy)]
pub(super) struct Origin<'a> {
    pub(super) path: &'a Path,
    pub(super) offset: u64,
    pub(super) thread: u32,
    pub(super) ring: u32,
}

impl Decoder<'_> {
    /// Visits the records in `slots` that come at or after `progress`, and what is missing before and between them.
    ///
    /// Of what is missing before the first, `unaccounted` records were not lost by their writer. `near` is about the number of the
    /// first record.
    pub(super) fn run(
        &mut self,
        slots: &[Slot],
        near: u64,
        progress: &mut Progress,
        unaccounted: Unaccounted,
        origin: Origin<'_>,
    ) {
        let mut unaccounted = unaccounted;
        let mut near = near;
        let mut rest = slots;
        let mut bad: Option<(usize, usize, &'static str)> = None;
        while !rest.is_empty() {
            let index = slots.len() - rest.len();
            match first_record(rest) {
                Ok(record) => {
                    self.report_bad(bad.take(), origin);
                    rest = &rest[record.len()..];
                    near = extend_record_number(record[0].head().record_number_low(), near);
                    if near >= progress.next_record {
                        self.record(
                            record,
                            near,
                            progress,
                            std::mem::replace(&mut unaccounted, Unaccounted::NONE),
                            origin,
                        );
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

    fn record(
        &mut self,
        record: &[Slot],
        number: u64,
        progress: &mut Progress,
        unaccounted: Unaccounted,
        origin: Origin<'_>,
    ) {
        let fields = SpanFields::from_slot(&record[0]);
        let unix_ns = self.clock.unix_ns(fields.ticks);
        self.missing(number - progress.next_record, unaccounted, progress, origin.thread, Some(unix_ns));
        progress.next_record = number + 1;
        progress.last_unix_ns = Some(unix_ns);
        self.summary.records += 1;
        if let Some(begin) = self.carried.get_mut(&(origin.ring, number)) {
            *begin = CarriedBegin::Original;
        }
        match fields.head.kind().filter(|kind| kind.is_span()) {
            Some(kind) => self.span(kind, &fields, &record[1..], number, origin.thread),
            None => self.summary.unknown += 1,
        }
    }

    /// Visits the begins that were carried forward and whose originals were not met.
    pub(super) fn carried(&mut self) {
        for ((_, number), begin) in std::mem::take(self.carried) {
            let CarriedBegin::Copy(slots, thread) = begin else { continue };
            let Ok(record) = first_record(&slots) else { continue };
            let fields = SpanFields::from_slot(&record[0]);
            if let Some(kind) = fields.head.kind().filter(|kind| kind.is_span()) {
                self.summary.carried += 1;
                self.span(kind, &fields, &record[1..], number, thread);
            }
        }
    }

    /// `missing` records are not there; as many of them as are `unaccounted` for were not lost by their writer.
    pub(super) fn missing(
        &mut self,
        missing: u64,
        unaccounted: Unaccounted,
        progress: &mut Progress,
        thread: u32,
        before_unix_ns: Option<u64>,
    ) {
        let others = unaccounted.records.min(missing);
        let lost = missing - others;
        progress.next_record += missing;
        progress.lost += lost;
        self.summary.lost += lost;
        let mut visit = |records, cause| {
            if records > 0 {
                let after_unix_ns = progress.last_unix_ns;
                (self.visit)(Event::Loss(Loss { thread, records, cause, after_unix_ns, before_unix_ns }));
            }
        };
        if unaccounted.retired {
            self.summary.retired += others;
            visit(others, LossCause::Retired);
        } else {
            self.summary.damaged += others;
        }
        visit(lost, self.cause);
    }

    /// Every record below `until` that was not met is missing.
    pub(super) fn missing_until(&mut self, until: u64, unaccounted: Unaccounted, progress: &mut Progress, thread: u32) {
        self.missing(until.saturating_sub(progress.next_record), unaccounted, progress, thread, None);
    }

    fn span(&mut self, kind: Kind, fields: &SpanFields, text: &[Slot], record_number: u64, thread: u32) {
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
            unix_ns: self.clock.unix_ns(fields.ticks),
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
