//! The self-description that every recording carries, so that a reader of another version can still read the records.
//!
//! One line of text per field: `kind event field offset bytes type unit`, `kind` in hexadecimal, `offset` in bytes from the
//! start of the slot, bits of the first word as `byte.bit`. A reader needs to know nothing else about a slot.

use super::kind::Kind;
use std::fmt::Write;

/// A field of a record.
#[derive(Clone, Copy)]
struct Field {
    name: &'static str,
    offset: &'static str,
    bytes: &'static str,
    ty: &'static str,
    unit: &'static str,
}

const fn field(
    name: &'static str,
    offset: &'static str,
    bytes: &'static str,
    ty: &'static str,
    unit: &'static str,
) -> Field {
    Field { name, offset, bytes, ty, unit }
}

const KIND: Field = field("kind", "0", "1", "u8", "-");
const OUTCOME: Field = field("outcome", "1.0", "2bit", "enum:0=failed,1=completed,2=cancelled,3=panicked", "-");
const SLOTS: Field = field("slots", "1.2", "4bit", "u4", "slots");
const RECORD_NUMBER: Field = field("record_number_low", "4", "4", "u32", "records");
const TICKS: Field = field("ticks", "8", "8", "u64", "ticks");
const SPAN_ID: Field = field("span_id", "16", "8", "u64", "id");
const SCOPES: Field = field("scopes", "2", "2", "u16", "spans");

/// Of the records of a span, and of an instant.
const OF_SPANS: [Field; 7] = [
    field("run_time_name", "1.6", "1bit", "bool", "-"),
    field("caller_location", "1.7", "1bit", "bool", "-"),
    SPAN_ID,
    field("parent_span_id", "24", "8", "u64", "id"),
    field("site", "32", "8", "u64", "address"),
    field("name_address", "40", "8", "u64", "address"),
    field("name_length", "48", "4", "u32", "bytes"),
];

const OF_VALUES: [Field; 8] = [
    SCOPES,
    field("run_time_text", "1.6", "1bit", "bool", "-"),
    SPAN_ID,
    field("value", "24", "8", "u64", "-"),
    field("key_address", "32", "8", "u64", "address"),
    field("key_length", "40", "4", "u32", "bytes"),
    field("value_type", "44", "4", "enum:1=bool,2=i64,3=u64,4=f64,5=static,6=text", "-"),
    field("text_length", "48", "8", "u64", "bytes"),
];

const OF_CONTINUATIONS: [Field; 2] =
    [field("index", "2", "2", "u16", "slots"), field("text", "8", "56", "utf8", "bytes")];

/// The fields of a record of this kind that other records do not have.
fn fields_of(kind: Kind) -> Vec<Field> {
    if kind == Kind::Continuation {
        return OF_CONTINUATIONS.to_vec();
    }
    let mut fields = vec![TICKS];
    if kind.is_value() {
        fields.extend(OF_VALUES);
        return fields;
    }
    fields.extend(OF_SPANS);
    fields.push(if kind == Kind::Instant { SCOPES } else { field("depth", "2", "2", "u16", "spans") });
    if kind.is_end() {
        fields.push(OUTCOME);
    }
    let is_counted = kind.is_end() || kind == Kind::Poll;
    let (name, unit) = if is_counted { ("polls", "polls") } else { ("attributes", "records") };
    fields.push(field(name, "52", "4", "u32", unit));
    match kind {
        Kind::BeginAsync | Kind::BeginAsyncNamed => fields.push(field("created_ticks", "56", "8", "u64", "ticks")),
        _ if is_counted => fields.push(field("begin_ticks", "56", "8", "u64", "ticks")),
        _ => {}
    }
    fields
}

/// The self-description as text.
///
/// ```
/// use spanring::events::self_description;
///
/// assert!(self_description().lines().any(|line| line == "11 EndAsyncSpanEvent span_id 16 8 u64 id"));
/// ```
pub fn self_description() -> String {
    let mut text = String::new();
    let others = [Kind::Attribute, Kind::Instant, Kind::Counter, Kind::Poll, Kind::Continuation];
    for kind in Kind::SPANS.into_iter().chain(others) {
        for Field { name, offset, bytes, ty, unit } in [KIND, SLOTS, RECORD_NUMBER].into_iter().chain(fields_of(kind)) {
            let event = kind.event_name();
            writeln!(text, "{:02x} {event} {name} {offset} {bytes} {ty} {unit}", kind as u8)
                .expect("a String takes all");
        }
    }
    text
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::events::{SpanFields, ValueFields};
    use std::collections::BTreeMap;
    use std::mem::offset_of;

    #[test]
    fn the_described_offsets_are_those_of_the_layout() {
        let text = self_description();
        let words = text.lines().map(|line| line.split(' ').collect::<Vec<_>>());
        let described: BTreeMap<(u8, &str, &str), &str> =
            words.map(|words| ((u8::from_str_radix(words[0], 16).unwrap(), words[1], words[2]), words[3])).collect();
        let found = |kind: Kind, name: &str| -> Option<usize> {
            described.get(&(kind as u8, kind.event_name(), name)).map(|offset| offset.parse().unwrap())
        };
        let offset = |kind, name| found(kind, name).unwrap_or_else(|| panic!("no line for {name} of {kind:?}"));
        for kind in Kind::SPANS.into_iter().chain([Kind::Poll, Kind::Instant]) {
            assert_eq!(offset(kind, "ticks"), offset_of!(SpanFields, ticks));
            assert_eq!(offset(kind, "span_id"), offset_of!(SpanFields, span_id));
            assert_eq!(offset(kind, "parent_span_id"), offset_of!(SpanFields, parent_span_id));
            assert_eq!(offset(kind, "site"), offset_of!(SpanFields, site));
            assert_eq!(offset(kind, "name_address"), offset_of!(SpanFields, name_address));
            assert_eq!(offset(kind, "name_length"), offset_of!(SpanFields, name_length));
            let counted = if kind.is_end() || kind == Kind::Poll { "polls" } else { "attributes" };
            assert_eq!(offset(kind, counted), offset_of!(SpanFields, polls));
            let begin_ticks = (kind.is_end() || kind == Kind::Poll).then_some(56);
            assert_eq!(found(kind, "begin_ticks"), begin_ticks);
            let created_ticks = (kind.is_span() && !kind.is_end() && !kind.is_thread()).then_some(56);
            assert_eq!(found(kind, "created_ticks"), created_ticks, "{kind:?}");
        }
        assert_eq!(offset_of!(SpanFields, begin_ticks), 56);
        for kind in [Kind::Attribute, Kind::Counter] {
            assert_eq!(offset(kind, "ticks"), offset_of!(ValueFields, ticks));
            assert_eq!(offset(kind, "span_id"), offset_of!(ValueFields, span_id));
            assert_eq!(offset(kind, "value"), offset_of!(ValueFields, value));
            assert_eq!(offset(kind, "key_address"), offset_of!(ValueFields, key_address));
            assert_eq!(offset(kind, "key_length"), offset_of!(ValueFields, key_length));
            assert_eq!(offset(kind, "value_type"), offset_of!(ValueFields, value_type));
            assert_eq!(offset(kind, "text_length"), offset_of!(ValueFields, text_length));
        }
    }

    #[test]
    fn every_line_has_seven_words() {
        assert!(self_description().lines().all(|line| line.split(' ').count() == 7));
    }
}
