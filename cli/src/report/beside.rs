//! Attributes and instants as they are embedded: integers as text, because JavaScript's numbers do not hold all of them.

use crate::spans::{Attributes, Details, Instant};
use serde::Serialize;
use spanring::reader::{NameState, Value};
use std::borrow::Cow;

/// Key, type and value of an attribute.
type Pair<'a> = (&'a str, Cow<'static, str>, Cow<'a, str>);

/// What is known of a span that has something.
#[derive(Debug, Serialize)]
pub(super) struct OfSpan<'a> {
    /// Its index in the columns.
    span: usize,
    #[serde(flatten)]
    attributes: Pairs<'a>,
    #[serde(skip_serializing_if = "Vec::is_empty")]
    instants: Vec<Happened<'a>>,
    #[serde(skip_serializing_if = "is_none")]
    dropped_instants: u64,
}

/// An instant.
#[derive(Debug, Serialize)]
pub(super) struct Happened<'a> {
    name: &'a str,
    /// After the base of the page.
    at_ns: i64,
    thread: u32,
    #[serde(skip_serializing_if = "Option::is_none")]
    place: Option<String>,
    #[serde(flatten)]
    attributes: Pairs<'a>,
}

#[derive(Debug, Serialize)]
struct Pairs<'a> {
    #[serde(skip_serializing_if = "Vec::is_empty")]
    attributes: Vec<Pair<'a>>,
    #[serde(skip_serializing_if = "is_none")]
    dropped_attributes: u64,
    #[serde(skip_serializing_if = "is_none")]
    lost_attributes: u64,
}

impl<'a> OfSpan<'a> {
    pub(super) fn new(span: usize, details: &'a Details, base_unix_ns: u64) -> OfSpan<'a> {
        let instants = details.instants.iter().map(|instant| Happened::new(instant, base_unix_ns)).collect();
        let Details { attributes, dropped_instants, .. } = details;
        OfSpan { span, attributes: Pairs::new(attributes), instants, dropped_instants: *dropped_instants }
    }
}

impl<'a> Happened<'a> {
    pub(super) fn new(instant: &'a Instant, base_unix_ns: u64) -> Happened<'a> {
        Happened {
            name: &instant.name,
            at_ns: instant.unix_ns.wrapping_sub(base_unix_ns) as i64,
            thread: instant.thread,
            place: instant.place.as_ref().map(|place| place.file_line()),
            attributes: Pairs::new(&instant.attributes),
        }
    }
}

impl<'a> Pairs<'a> {
    fn new(attributes: &'a Attributes) -> Pairs<'a> {
        let pair = |attribute: &'a crate::spans::Attribute| {
            let (of, value) = typed(attribute.value());
            (&*attribute.key, of, value)
        };
        Pairs {
            attributes: attributes.iter().map(pair).collect(),
            dropped_attributes: attributes.dropped,
            lost_attributes: attributes.lost,
        }
    }
}

/// The type of a value in a word, and the value.
fn typed(value: Value<'_>) -> (Cow<'static, str>, Cow<'_, str>) {
    match value {
        Value::Text(text, NameState::Whole) => ("text".into(), text.into()),
        Value::Text(text, NameState::Cut) => ("text, cut".into(), text.into()),
        Value::Text(text, NameState::Missing) => ("text, lost".into(), text.into()),
        Value::Bool(value) => ("bool".into(), value.to_string().into()),
        Value::I64(value) => ("i64".into(), value.to_string().into()),
        Value::U64(value) => ("u64".into(), value.to_string().into()),
        Value::F64(value) => ("f64".into(), value.to_string().into()),
        Value::Unknown(of, word) => (format!("type {of}").into(), word.to_string().into()),
    }
}

#[expect(clippy::trivially_copy_pass_by_ref, reason = "as serde calls it")]
fn is_none(number: &u64) -> bool {
    *number == 0
}
