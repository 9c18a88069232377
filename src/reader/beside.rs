//! Records of what goes with spans: attributes, instants and counters.

use super::clock::Clock;
use super::decode::{TextBuffer, text_in};
use super::dictionary::Dictionary;
use super::event::{AttributeRecord, CounterRecord, Event, InstantRecord, NameState, Value};
use crate::events::{Head, Kind, Slot, SpanFields, ValueFields, ValueType};

/// What a name is called whose definition was lost.
pub(super) const LOST: &str = "<name lost>";

/// What stands for a text whose definition was lost.
const LOST_TEXT: &str = "<text lost>";

/// The event in a record of this kind, which is none of a span's own. `text` are the slots behind the first, `buffer` is for text in
/// several of them.
#[inline(never)]
pub(super) fn event<'a>(
    kind: Kind,
    (first, text): (&Slot, &'a [Slot]),
    (record_number, thread): (u64, u32),
    dictionary: &'a Dictionary,
    clock: &mut Clock<'_>,
    buffer: &'a mut TextBuffer,
) -> Event<'a> {
    if kind == Kind::Instant {
        let instant = instant(&SpanFields::from_slot(first), text, dictionary, clock, buffer);
        return Event::Instant(InstantRecord { thread, record_number, ..instant });
    }
    let fields = ValueFields::from_slot(first);
    let value = value(&fields, text, dictionary, buffer);
    let attribute = AttributeRecord { thread, record_number, ..attribute(&fields, value, dictionary, clock) };
    if kind == Kind::Attribute {
        return Event::Attribute(attribute);
    }
    let AttributeRecord { unix_ns, span_id, key: name, key_index: name_index, value, .. } = attribute;
    Event::Counter(CounterRecord { thread, record_number, unix_ns, span_id, name, name_index, value })
}

/// An attribute's record, but for its thread and number; a counter says the same.
pub(super) fn attribute<'a>(
    fields: &ValueFields,
    value: Value<'a>,
    dictionary: &'a Dictionary,
    clock: &mut Clock<'_>,
) -> AttributeRecord<'a> {
    let key = dictionary.name(fields.key_address, u64::from(fields.key_length));
    AttributeRecord {
        thread: 0,
        record_number: 0,
        unix_ns: clock.unix_ns(fields.ticks),
        span_id: fields.span_id,
        key: key.map_or(LOST, |key| key.of),
        key_index: key.map(|key| key.index),
        value,
        carried: false,
    }
}

pub(super) fn value<'a>(
    fields: &ValueFields,
    text: &'a [Slot],
    dictionary: &'a Dictionary,
    buffer: &'a mut TextBuffer,
) -> Value<'a> {
    match fields.value_type() {
        Some(ValueType::Bool) => Value::Bool(fields.value != 0),
        Some(ValueType::I64) => Value::I64(fields.value as i64),
        Some(ValueType::U64) => Value::U64(fields.value),
        Some(ValueType::F64) => Value::F64(f64::from_bits(fields.value)),
        Some(ValueType::StaticText) => match dictionary.name(fields.value, fields.text_length) {
            Some(text) => Value::Text(text.of, NameState::Whole),
            None => Value::Text(LOST_TEXT, NameState::Missing),
        },
        Some(ValueType::Text) => {
            let (text, state) = text_in(text, fields.text_length, fields.value, buffer);
            Value::Text(text, state)
        }
        None => Value::Unknown(fields.value_type, fields.value),
    }
}

/// An instant's record, but for its thread and number.
fn instant<'a>(
    fields: &SpanFields,
    text: &'a [Slot],
    dictionary: &'a Dictionary,
    clock: &mut Clock<'_>,
    buffer: &'a mut TextBuffer,
) -> InstantRecord<'a> {
    // It says its name and its place as the begin of a named span does.
    let head = Head(fields.head.0 & !0xff | Kind::BeginAsyncNamed as u64);
    let (static_name, location) = dictionary.find(&SpanFields { head, ..*fields });
    let (name, name_state) = if head.has_run_time_name() {
        text_in(text, u64::from(fields.name_length), fields.name_address, buffer)
    } else {
        static_name.map_or((LOST, NameState::Missing), |name| (name.of, NameState::Whole))
    };
    InstantRecord {
        thread: 0,
        record_number: 0,
        unix_ns: clock.unix_ns(fields.ticks),
        id: fields.span_id,
        parent_span_id: fields.parent_span_id,
        scopes: fields.depth(),
        attributes: fields.polls,
        name,
        name_state,
        name_index: static_name.map(|name| name.index),
        location: location.map(|location| location.of),
        location_index: location.map(|location| location.index),
    }
}
