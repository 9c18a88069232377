//! Texts that a trace holds once, and refers to by number.

use super::proto::{DebugAnnotation, InternedData, InternedText, Value};
use crate::places::Place;
use crate::spans::Span;
use rustc_hash::FxHashMap;

/// Categories of events. Their numbers count from 1.
#[derive(Clone, Copy, Debug)]
pub(super) enum Category {
    Async = 1,
    Thread,
    Loss,
    Damage,
}

const CATEGORIES: [&str; 4] = ["async", "thread", "loss", "damage"];

/// Names of arguments. Their numbers count from 1.
#[derive(Clone, Copy, Debug)]
pub(super) enum Argument {
    SpanId = 1,
    ParentId,
    Depth,
    Outcome,
    Polls,
    BusyNs,
    IdleNs,
    WaitNs,
    Target,
    Module,
    Location,
    BeginThread,
    EndThread,
    NameState,
    BeginLost,
    EndMayBeLost,
    BusyPartial,
    Thread,
    Records,
    Cause,
    AfterNs,
    BeforeNs,
    File,
    Offset,
    Bytes,
}

const ARGUMENTS: [&str; 25] = [
    "span_id",
    "parent_id",
    "depth",
    "outcome",
    "polls",
    "busy_ns",
    "idle_ns",
    "wait_ns",
    "target",
    "module",
    "location",
    "begin_thread",
    "end_thread",
    "name_state",
    "begin_lost",
    "end_may_be_lost",
    "busy_partial",
    "thread",
    "records",
    "cause",
    "after_ns",
    "before_ns",
    "file",
    "offset",
    "bytes",
];

impl Argument {
    pub(super) fn with(self, value: Value) -> DebugAnnotation {
        DebugAnnotation { name_iid: Some(self as u64), value: Some(value) }
    }

    pub(super) fn number(self, value: u64) -> DebugAnnotation {
        self.with(Value::Uint(value))
    }

    /// With a text that was numbered by [`Texts::value`].
    pub(super) fn text(self, number: u64) -> DebugAnnotation {
        self.with(Value::StringIid(number))
    }
}

/// Numbers for texts that recur: names that the program has, locations, threads. Not names that were made at run time: there is no
/// bound on how many there are.
#[derive(Debug, Default)]
pub(super) struct Texts {
    values: FxHashMap<String, u64>,
    /// Numbers given since [`Texts::take_new`]: a packet that uses one must not come before it.
    new: InternedData,
    any_new: bool,
    /// By [`Place::index`].
    places: Vec<Option<PlaceTexts>>,
    /// By [`Span::name_index`]: whether the trace has the name.
    names: Vec<bool>,
}

/// Numbers of the texts of a place.
#[derive(Clone, Copy, Debug)]
pub(super) struct PlaceTexts {
    pub(super) target: u64,
    pub(super) module: u64,
    pub(super) file_line: u64,
}

impl Texts {
    /// With the texts of [`Category`] and [`Argument`].
    pub(super) fn new() -> Texts {
        let numbered = |texts: &[&str]| (1..).zip(texts).map(|(iid, text)| interned(iid, text)).collect();
        let new = InternedData {
            event_categories: numbered(&CATEGORIES),
            debug_annotation_names: numbered(&ARGUMENTS),
            ..InternedData::default()
        };
        Texts { new, any_new: true, ..Texts::default() }
    }

    /// The number of a text that is the value of arguments.
    pub(super) fn value(&mut self, text: &str) -> u64 {
        if let Some(&number) = self.values.get(text) {
            return number;
        }
        let number = self.values.len() as u64 + 1;
        self.values.insert(text.to_owned(), number);
        self.new.debug_annotation_string_values.push(interned(number, text));
        self.any_new = true;
        number
    }

    /// The number of a span's name, if it has one.
    pub(super) fn name(&mut self, span: &Span<'_>) -> Option<u64> {
        let index = span.name_index? as usize;
        let number = index as u64 + 1;
        if self.names.len() <= index {
            self.names.resize(index + 1, false);
        }
        if !std::mem::replace(&mut self.names[index], true) {
            self.new.event_names.push(interned(number, span.name));
            self.any_new = true;
        }
        Some(number)
    }

    /// The numbers of a place's texts.
    pub(super) fn place(&mut self, place: &Place) -> PlaceTexts {
        let index = place.index as usize;
        if self.places.len() <= index {
            self.places.resize(index + 1, None);
        }
        if let Some(known) = self.places[index] {
            return known;
        }
        let texts = PlaceTexts {
            target: self.value(&place.location.target),
            module: self.value(&place.location.module_path),
            file_line: self.value(&place.file_line()),
        };
        self.places[index] = Some(texts);
        texts
    }

    /// The texts that got their numbers since the last call.
    pub(super) fn take_new(&mut self) -> Option<InternedData> {
        std::mem::take(&mut self.any_new).then(|| std::mem::take(&mut self.new))
    }
}

fn interned(number: u64, text: &str) -> InternedText {
    InternedText { iid: Some(number), text: Some(text.to_owned()) }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_last_of_each_list_has_the_last_number() {
        assert_eq!(CATEGORIES[Category::Damage as usize - 1], "damage");
        assert_eq!(ARGUMENTS[Argument::Bytes as usize - 1], "bytes");
        assert_eq!((CATEGORIES.len(), ARGUMENTS.len()), (Category::Damage as usize, Argument::Bytes as usize));
    }
}
