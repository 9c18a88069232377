//! Texts that a trace holds once, and refers to by number.

use super::packets::{TEXT_BYTES, piece};
use super::proto::{DebugAnnotation, InternedData, InternedText, Value};
use super::wire::Piece;
use crate::places::Place;
use crate::spans::{Ending, Span};
use rustc_hash::FxHashMap;
use std::sync::Arc;

/// Categories of events. Their numbers count from 1.
#[derive(Clone, Copy, Debug)]
pub(super) enum Category {
    Async = 1,
    Thread,
    Loss,
    Damage,
    Instant,
}

const CATEGORIES: [&str; 5] = ["async", "thread", "loss", "damage", "instant"];

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
    InstantId,
    Attributes,
    CutAttributes,
    LostAttributes,
    LostInstants,
    ExactValue,
}

const ARGUMENTS: [&str; 31] = [
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
    "instant_id",
    "attributes",
    "cut_attributes",
    "lost_attributes",
    "lost_instants",
    "exact_value",
];

impl Argument {
    pub(super) fn with(self, value: Value) -> DebugAnnotation {
        DebugAnnotation { name_iid: Some(self as u64), value: Some(value), ..DebugAnnotation::default() }
    }

    /// With those entries.
    pub(super) fn dictionary(self, dict_entries: Vec<DebugAnnotation>) -> DebugAnnotation {
        DebugAnnotation { name_iid: Some(self as u64), dict_entries, ..DebugAnnotation::default() }
    }

    /// With those values.
    pub(super) fn list(self, array_values: Vec<DebugAnnotation>) -> DebugAnnotation {
        DebugAnnotation { name_iid: Some(self as u64), array_values, ..DebugAnnotation::default() }
    }

    /// With a text that was numbered by [`Texts::value`].
    pub(super) fn text(self, number: u64) -> DebugAnnotation {
        self.with(Value::StringIid(number))
    }
}

/// A row is called by at most so many characters of a name.
const LABEL_CHARS: usize = 60;

/// A place takes three arguments.
const PLACE_BYTES: usize = 3 * TEXT_BYTES;

/// Numbers for texts that recur: names that the program has, locations, threads. Not names that were made at run time: there is no
/// bound on how many there are.
#[derive(Debug)]
pub(super) struct Texts {
    values: FxHashMap<String, u64>,
    /// Numbers given since [`Texts::take_new`]: a packet that uses one must not come before it.
    new: InternedData,
    any_new: bool,
    /// By [`Place::index`]: the arguments that say where a span is made.
    places: Vec<Piece<PLACE_BYTES>>,
    /// By [`Ending`]: the argument that says it.
    outcomes: [Piece<TEXT_BYTES>; 5],
    /// By [`Span::name_index`]: what a row is called for the name, if the trace has it.
    names: Vec<Option<Box<str>>>,
    /// Keys of attributes, which are names of arguments too.
    keys: FxHashMap<Arc<str>, u64>,
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
        let mut texts = Texts {
            values: FxHashMap::default(),
            new,
            any_new: true,
            places: Vec::new(),
            outcomes: [Piece::NONE; 5],
            names: Vec::new(),
            keys: FxHashMap::default(),
        };
        for ending in [Ending::Completed, Ending::Failed, Ending::Cancelled, Ending::Panicked, Ending::Open] {
            texts.outcomes[ending as usize] = piece(&[Argument::Outcome.text(texts.value(ending.word()))]);
        }
        texts
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

    /// The number of a span's name, 0 if it has none.
    #[inline]
    pub(super) fn name(&mut self, span: &Span<'_>) -> u32 {
        let Some(index) = span.name_index else { return 0 };
        if !matches!(self.names.get(index as usize), Some(Some(_))) {
            self.meet_name(index as usize, span.name);
        }
        index + 1
    }

    #[cold]
    fn meet_name(&mut self, index: usize, name: &str) {
        if self.names.len() <= index {
            self.names.resize(index + 1, None);
        }
        let end = name.char_indices().nth(LABEL_CHARS).map(|(end, _)| end);
        let label = end.map_or_else(|| name.into(), |end| format!("{}…", &name[..end]));
        self.names[index] = Some(label.replace(char::is_control, " ").into());
        self.new.event_names.push(interned(index as u64 + 1, name));
        self.any_new = true;
    }

    /// What a row is called for a name with that number.
    pub(super) fn label(&self, name: u32) -> Option<&str> {
        self.names.get(name.checked_sub(1)? as usize)?.as_deref()
    }

    /// The number of an attribute's key as the name of an argument. There are as many as the program has.
    pub(super) fn key(&mut self, key: &Arc<str>) -> u64 {
        if let Some(&number) = self.keys.get(key) {
            return number;
        }
        let number = (ARGUMENTS.len() + self.keys.len()) as u64 + 1;
        self.keys.insert(key.clone(), number);
        self.new.debug_annotation_names.push(interned(number, key));
        self.any_new = true;
        number
    }

    /// Makes sure that the trace has the texts of a place.
    #[inline]
    pub(super) fn meet(&mut self, place: &Place) {
        if self.places.get(place.index as usize).is_none_or(Piece::is_empty) {
            self.add(place);
        }
    }

    #[cold]
    fn add(&mut self, place: &Place) {
        let location = &place.location;
        let arguments = [
            Argument::Target.text(self.value(&location.target)),
            Argument::Module.text(self.value(&location.module_path)),
            Argument::Location.text(self.value(&place.file_line())),
        ];
        let index = place.index as usize;
        if self.places.len() <= index {
            self.places.resize(index + 1, Piece::NONE);
        }
        self.places[index] = piece(&arguments);
    }

    /// The arguments that say where a span is made, of the place with this index, which was met.
    #[inline]
    pub(super) fn place(&self, index: u32) -> &Piece<PLACE_BYTES> {
        &self.places[index as usize]
    }

    /// The argument that says how a span ended.
    #[inline]
    pub(super) fn outcome(&self, ending: Ending) -> &Piece<TEXT_BYTES> {
        &self.outcomes[ending as usize]
    }

    /// The texts that got their numbers since the last call.
    #[inline]
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
        assert_eq!(CATEGORIES[Category::Instant as usize - 1], "instant");
        assert_eq!(ARGUMENTS[Argument::ExactValue as usize - 1], "exact_value");
        assert_eq!((CATEGORIES.len(), ARGUMENTS.len()), (Category::Instant as usize, Argument::ExactValue as usize));
    }
}
