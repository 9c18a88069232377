//! Recording what is known of a span beside its name, and what happens in it: attributes, instants and counters.
//!
//! As in `record`: no lock, allocation, system call or panic, after a key's first sight on its thread.

use super::context::this_thread;
use super::gate::{CLOSED, filters, samples};
use super::record::{
    Draft, Frame, LogReservation, Name, Site, Span, SpanHead, bounded, define, define_text, ending_generation, enter,
    enter_quickly, make_room, running_generation, write_slowly,
};
use super::sampling::is_left_out;
use super::text::write_continuations;
use super::thread::ThreadLog;
use super::verdict::is_wanted;
use crate::clock::{processor_ticks, ticks};
use crate::events::{Head, Kind, StringId, TEXT_BYTES, ValueFields, ValueType};

/// The value of an attribute or a counter.
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
    /// Text that lives for ever: only its address and length are recorded with the value.
    Static(&'static str),
    /// Its text is recorded with the value, up to [`MAX_RUN_TIME_NAME`](crate::events::MAX_RUN_TIME_NAME) bytes.
    Text(&'a str),
}

/// What a record of a key and a value says.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Entry<'a> {
    /// [`Kind::Attribute`] or [`Kind::Counter`].
    pub(crate) kind: Kind,
    /// The span or instant that has it; 0 for none.
    pub(crate) span: u64,
    /// When, if that was measured already.
    pub(crate) ticks: Option<u64>,
    pub(crate) key: &'static str,
    pub(crate) value: Value<'a>,
}

impl Entry<'_> {
    /// Slots of the record.
    #[inline(always)]
    fn slots(&self) -> usize {
        1 + self.text().len().div_ceil(TEXT_BYTES)
    }

    #[inline(always)]
    fn text(&self) -> &[u8] {
        if let Value::Text(text) = self.value { bounded(text) } else { &[] }
    }

    #[inline(always)]
    fn static_text(&self) -> Option<&'static str> {
        if let Value::Static(text) = self.value { Some(text) } else { None }
    }

    /// Records it, in the recording of that generation. Nothing is written if that is over.
    #[inline(never)]
    pub(crate) fn record(&self, generation: u64) {
        if !self.record_quickly(generation) {
            self.record_slowly(generation);
        }
    }

    /// As far as it goes without a call, as `begin_quickly` says. `false`: nothing was done.
    #[inline(always)]
    fn record_quickly(&self, generation: u64) -> bool {
        let Some(entered) = enter_quickly(this_thread(), generation) else { return false };
        let ticks = self.ticks.unwrap_or_else(processor_ticks);
        let log = entered.log;
        let is_known = knows(log, self.key) && self.static_text().is_none_or(|text| knows(log, text));
        let producer = log.producer();
        let reservation = if is_known { producer.reserve_known(self.slots()) } else { None };
        let written = reservation.is_some();
        if let Some(reservation) = reservation {
            self.write(&reservation, ticks);
            reservation.publish();
        }
        entered.leave();
        written
    }

    /// Whatever has to be done first.
    #[cold]
    #[inline(never)]
    fn record_slowly(&self, generation: u64) {
        let Some((log, idle)) = enter(this_thread(), generation) else { return };
        let ticks = self.ticks.unwrap_or_else(ticks);
        [Some(self.key), self.static_text()].into_iter().flatten().for_each(|text| see(log, text));
        make_room(log, self.slots(), generation);
        write_slowly(log, self.slots(), |reservation| self.write(reservation, ticks));
        log.busy.leave(idle);
    }

    #[inline(always)]
    fn write(&self, reservation: &LogReservation<'_>, ticks: u64) {
        let (value_type, value, text_length) = match self.value {
            Value::Bool(value) => (ValueType::Bool, u64::from(value), 0),
            Value::I64(value) => (ValueType::I64, value as u64, 0),
            Value::U64(value) => (ValueType::U64, value, 0),
            Value::F64(value) => (ValueType::F64, value.to_bits(), 0),
            Value::Static(text) => (ValueType::StaticText, StringId::from(text).ptr, text.len()),
            Value::Text(text) => (ValueType::Text, text.len() as u64, self.text().len()),
        };
        let (number, slots) = (reservation.record_number(), self.slots());
        let head = Head::record(self.kind, None, 0).with_slots(slots).with_record_number(number);
        let fields = ValueFields {
            head: if value_type == ValueType::Text { head.with_run_time_name() } else { head },
            ticks,
            span_id: self.span,
            value,
            key_address: StringId::from(self.key).ptr,
            // A key of 4 GiB cannot exist in a program that was linked.
            key_length: self.key.len() as u32,
            value_type: value_type as u32,
            text_length: text_length as u64,
            reserved: 0,
        };
        let slot = reservation.slot(0);
        (0..).zip(fields.to_slot().0).for_each(|(offset, word)| slot.write(offset, word));
        write_continuations(reservation, self.text(), number, slots);
    }
}

/// The site that a key or a static text has in a thread's memory of what it has defined: none.
const NO_SITE: u64 = 0;

#[inline(always)]
fn knows(log: &ThreadLog, text: &'static str) -> bool {
    log.knows(NO_SITE, StringId::from(text))
}

fn see(log: &ThreadLog, text: &'static str) {
    if !log.remembers(NO_SITE, StringId::from(text)) {
        define_text(log, text);
    }
}

/// Something that happened, and when.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Happened {
    /// Under which its attributes are recorded.
    pub(crate) id: u64,
    pub(crate) ticks: u64,
    /// Of the recording.
    pub(crate) generation: u64,
}

/// Records that something happens now, in the current span; so many attributes follow. `None`: nobody records, the filter does not want it, its span is
/// not sampled, or the event was refused, which was counted.
#[inline(never)]
pub(crate) fn instant(site: Site<'_>, name: Name<'_>, attributes: u32) -> Option<Happened> {
    let (context, begins) = (this_thread(), running_generation());
    if begins == CLOSED {
        return None;
    }
    let frame = Frame { parent: context.current().id, depth: context.scope_depth() };
    if samples(begins) && is_left_out(context, frame.parent) {
        return None;
    }
    if filters(begins) && !is_wanted(site.place(), name) {
        return None;
    }
    let generation = ending_generation();
    let span = Span { thread: false, frame: &frame, site, name, attributes };
    let (log, idle) = enter(context, generation)?;
    let ticks = ticks();
    define(log, &span);
    let slots = name.slots();
    make_room(log, slots, generation);
    // As that of a span: no other record has this id, whether it finds room or is dropped.
    let id = log.id_of(log.producer().record_number());
    write_slowly(log, slots, |reservation| {
        let draft = Draft::new(reservation, &span);
        draft.identity(&attributes);
        draft.complete(SpanHead::INSTANT, reservation.record_number(), id, &0, ticks, slots);
    });
    log.busy.leave(idle);
    Some(Happened { id, ticks, generation })
}
