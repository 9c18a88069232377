//! The truth about what is known beside spans: attributes, instants and counters.

use crate::truth::Span;
use rustc_hash::FxHashMap;
use serde::Serialize;
use spanring::events::MAX_RUN_TIME_NAME;
use spanring::reader::{AttributeRecord, CounterRecord, InstantRecord, NameState, Value as Read};
use std::collections::BTreeMap;

/// By key, the latest value.
pub type Attributes = BTreeMap<String, Value>;

/// What an attribute or a counter says.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct Value {
    /// `bool`, `i64`, `u64`, `f64` or `text`.
    #[serde(rename = "type")]
    pub of: &'static str,
    /// A number with as many digits as tell it from its neighbours.
    pub value: String,
    /// It is the beginning of a longer text.
    pub cut: bool,
}

/// Something that happened.
#[derive(Clone, Debug, Serialize)]
pub struct Instant {
    pub id: u64,
    /// The span that it happened in, 0 for none.
    pub parent: u64,
    /// The innermost scope that it happened in, if it happened in no other span; 0 for none.
    pub scope: u64,
    #[serde(skip)]
    pub scopes: u16,
    pub thread: u32,
    pub ns: u64,
    pub name: String,
    pub name_state: &'static str,
    pub target: Option<String>,
    pub module: Option<String>,
    pub file: Option<String>,
    pub line: Option<u32>,
    pub attributes: Attributes,
    /// Attributes that it had, and that are missing.
    pub lost_attributes: usize,
    #[serde(skip)]
    given: usize,
}

/// What a counter's value was at a time.
#[derive(Clone, Debug, Serialize)]
pub struct Counter {
    /// The span that it was recorded in, 0 for none.
    pub parent: u64,
    pub thread: u32,
    pub ns: u64,
    pub name: String,
    pub value: Value,
}

/// When a record was made, and on which thread. The attributes that a span was made with say the same of both as its begin.
pub type Made = (u64, u32);

/// What has been read of these.
#[derive(Default)]
pub struct Known {
    /// By span or instant, and key: when it was said, and what.
    attributes: FxHashMap<u64, BTreeMap<String, (u64, Value)>>,
    /// Of each of those records, by span or instant: when and on which thread.
    records: FxHashMap<u64, Vec<Made>>,
    instants: Vec<Instant>,
    counters: Vec<Counter>,
}

impl Known {
    pub fn attribute(&mut self, record: &AttributeRecord<'_>) {
        let said = (record.unix_ns, value_of(record.value));
        self.records.entry(record.span_id).or_default().push((record.unix_ns, record.thread));
        let known = self.attributes.entry(record.span_id).or_default();
        let latest = known.entry(shown(record.key).to_owned()).or_insert_with(|| said.clone());
        if said.0 >= latest.0 {
            *latest = said;
        }
    }

    pub fn instant(&mut self, record: &InstantRecord<'_>) {
        let place = record.location;
        self.instants.push(Instant {
            id: record.id,
            parent: record.parent_span_id,
            scope: 0,
            scopes: record.scopes,
            thread: record.thread,
            ns: record.unix_ns,
            name: shown(record.name).to_owned(),
            name_state: state_of(record.name, record.name_state),
            target: place.map(|place| place.target.clone()),
            module: place.map(|place| place.module_path.clone()),
            file: place.map(|place| place.file.clone()),
            line: place.map(|place| place.line),
            attributes: Attributes::default(),
            lost_attributes: 0,
            given: record.attributes as usize,
        });
    }

    pub fn counter(&mut self, record: &CounterRecord<'_>) {
        self.counters.push(Counter {
            parent: record.span_id,
            thread: record.thread,
            ns: record.unix_ns,
            name: shown(record.name).to_owned(),
            value: value_of(record.value),
        });
    }

    /// How many records of attributes have been read.
    pub fn attributes_read(&self) -> usize {
        self.records.values().map(Vec::len).sum()
    }

    /// The attributes of a span or an instant that was made with so many, which are then gone from here; and how many of those are missing.
    /// A span may have got others later, so it has to be said when and where it was made.
    pub fn attributes_of(&mut self, id: u64, made: Option<Made>, given: usize) -> (Attributes, usize) {
        let records = self.records.remove(&id).unwrap_or_default();
        let read = records.into_iter().filter(|record| made.is_none_or(|made| *record == made)).count();
        let known = self.attributes.remove(&id).unwrap_or_default();
        (known.into_iter().map(|(key, (_, value))| (key, value)).collect(), given.saturating_sub(read))
    }

    /// The instants, the counters, and how many attributes are nobody's.
    pub fn rest(mut self, spans: &[Span]) -> (Vec<Instant>, Vec<Counter>, usize) {
        let mut instants = std::mem::take(&mut self.instants);
        for instant in &mut instants {
            (instant.attributes, instant.lost_attributes) = self.attributes_of(instant.id, None, instant.given);
            instant.scope = scope_of(instant, spans);
        }
        (instants, self.counters, self.records.into_values().map(|records| records.len()).sum())
    }
}

/// The innermost scope around an instant that is in no async span.
fn scope_of(instant: &Instant, spans: &[Span]) -> u64 {
    let is_around = |span: &&Span| {
        let until = span.duration_ns.map_or(u64::MAX, |duration| span.start_ns + duration);
        let on_its_thread = span.kind == "thread" && span.begin_thread == Some(instant.thread) && span.parent == 0;
        on_its_thread && span.depth + 1 == instant.scopes && (span.start_ns..=until).contains(&instant.ns)
    };
    // The latest: spans are in the order of their begins.
    let scope = spans.iter().rev().find(is_around).filter(|_| instant.parent == 0);
    scope.map_or(0, |scope| scope.id)
}

/// As much of a text as is shown.
pub fn shown(text: &str) -> &str {
    let end = (0..=text.len().min(MAX_RUN_TIME_NAME)).rfind(|end| text.is_char_boundary(*end));
    &text[..end.unwrap_or(0)]
}

/// Whether a text is all there, in a word.
pub fn state_of(text: &str, state: NameState) -> &'static str {
    match state {
        NameState::Whole if shown(text).len() == text.len() => "whole",
        NameState::Whole | NameState::Cut => "cut",
        NameState::Missing => "missing",
    }
}

fn value_of(value: Read<'_>) -> Value {
    let (of, text) = match value {
        Read::Bool(value) => ("bool", value.to_string()),
        Read::I64(value) => ("i64", value.to_string()),
        Read::U64(value) => ("u64", value.to_string()),
        Read::F64(value) => ("f64", format!("{value:?}")),
        Read::Text(text, _) => ("text", shown(text).to_owned()),
        Read::Unknown(..) => ("unknown", value.to_string()),
    };
    let cut = matches!(value, Read::Text(text, state) if state_of(text, state) == "cut");
    Value { of, value: text, cut }
}
