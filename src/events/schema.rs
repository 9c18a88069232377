//! The self-description that every recording carries, so that a reader of another version can still read the records.
//!
//! One line of text per field: `kind event field offset bytes type unit`, `kind` in hexadecimal, `offset` in bytes from the
//! start of the slot, bits of the first word as `byte.bit`. A reader needs to know nothing else about a slot.

use super::kind::Kind;
use std::fmt::Write;

/// A field that stands at the same place in every record of a span, or of a poll.
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

const FIELDS: [Field; 14] = [
    field("kind", "0", "1", "u8", "-"),
    field("outcome", "1.0", "2bit", "enum:0=none,1=completed,2=cancelled,3=panicked", "-"),
    field("slots", "1.2", "4bit", "u4", "slots"),
    field("run_time_name", "1.6", "1bit", "bool", "-"),
    field("caller_location", "1.7", "1bit", "bool", "-"),
    field("depth", "2", "2", "u16", "spans"),
    field("record_number_low", "4", "4", "u32", "records"),
    field("ticks", "8", "8", "u64", "ticks"),
    field("span_id", "16", "8", "u64", "id"),
    field("parent_span_id", "24", "8", "u64", "id"),
    field("site", "32", "8", "u64", "address"),
    field("name_address", "40", "8", "u64", "address"),
    field("name_length", "48", "4", "u32", "bytes"),
    field("polls", "52", "4", "u32", "polls"),
];

/// What the last word of such a record is.
fn name_of_last_word(kind: Kind) -> Option<&'static str> {
    match kind {
        Kind::BeginAsync | Kind::BeginAsyncNamed => Some("created_ticks"),
        Kind::BeginThread | Kind::BeginThreadNamed => None,
        _ => Some("begin_ticks"),
    }
}

/// The self-description as text.
pub fn self_description() -> String {
    let mut text = String::new();
    let mut line = |kind: Kind, f: &Field| {
        let Field { name, offset, bytes, ty, unit } = f;
        let event = kind.event_name();
        writeln!(text, "{:02x} {event} {name} {offset} {bytes} {ty} {unit}", kind as u8).expect("a String takes all");
    };
    for kind in Kind::SPANS.into_iter().chain([Kind::Poll]) {
        FIELDS.iter().for_each(|f| line(kind, f));
        if let Some(name) = name_of_last_word(kind) {
            line(kind, &field(name, "56", "8", "u64", "ticks"));
        }
    }
    for f in [
        field("kind", "0", "1", "u8", "-"),
        field("slots", "1.2", "4bit", "u4", "slots"),
        field("index", "2", "2", "u16", "slots"),
        field("record_number_low", "4", "4", "u32", "records"),
        field("text", "8", "56", "utf8", "bytes"),
    ] {
        line(Kind::Continuation, &f);
    }
    text
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::events::SpanFields;
    use std::mem::offset_of;

    #[test]
    fn the_described_offsets_are_those_of_the_layout() {
        let text = self_description();
        let offset = |kind: Kind, name: &str| -> usize {
            let start = format!("{:02x} {} {name} ", kind as u8, kind.event_name());
            let line = text.lines().find(|l| l.starts_with(&start)).unwrap_or_else(|| panic!("no line {start}"));
            line[start.len()..].split(' ').next().unwrap().parse().unwrap()
        };
        for kind in Kind::SPANS.into_iter().chain([Kind::Poll]) {
            assert_eq!(offset(kind, "ticks"), offset_of!(SpanFields, ticks));
            assert_eq!(offset(kind, "span_id"), offset_of!(SpanFields, span_id));
            assert_eq!(offset(kind, "parent_span_id"), offset_of!(SpanFields, parent_span_id));
            assert_eq!(offset(kind, "site"), offset_of!(SpanFields, site));
            assert_eq!(offset(kind, "name_address"), offset_of!(SpanFields, name_address));
            assert_eq!(offset(kind, "name_length"), offset_of!(SpanFields, name_length));
            assert_eq!(offset(kind, "polls"), offset_of!(SpanFields, polls));
            let begin = format!("{:02x} {} begin_ticks 56 ", kind as u8, kind.event_name());
            assert_eq!(text.contains(&begin), kind.is_end() || kind == Kind::Poll);
            let created = format!("{:02x} {} created_ticks 56 ", kind as u8, kind.event_name());
            assert_eq!(text.contains(&created), kind.is_span() && !kind.is_end() && !kind.is_thread());
        }
        assert_eq!(offset_of!(SpanFields, begin_ticks), 56);
    }

    #[test]
    fn every_line_has_seven_words() {
        assert!(self_description().lines().all(|line| line.split(' ').count() == 7));
    }
}
