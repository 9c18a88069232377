//! Texts that a trace holds once, and refers to by number.

use super::proto::{DebugAnnotation, InternedData, InternedText, Value};
use crate::places::Place;
use rustc_hash::FxHashMap;

/// Numbers for texts that recur: categories, names of arguments, locations, threads. Not the names of spans: those may be
/// chosen at run time, so there is no bound on how many there are.
#[derive(Debug, Default)]
pub(super) struct Texts {
    categories: FxHashMap<String, u64>,
    annotation_names: FxHashMap<String, u64>,
    values: FxHashMap<String, u64>,
    /// Numbers given since [`Texts::take_new`]: a packet that uses one must not come before it.
    new: InternedData,
    places: Vec<Option<PlaceTexts>>,
}

/// Numbers of the texts of a place.
#[derive(Clone, Copy, Debug)]
struct PlaceTexts {
    target: u64,
    module: u64,
    file_line: u64,
}

impl Texts {
    /// The number of a category of events.
    pub(super) fn category(&mut self, text: &str) -> u64 {
        number(&mut self.categories, &mut self.new.event_categories, text)
    }

    /// An argument.
    pub(super) fn annotation(&mut self, name: &str, value: Value) -> DebugAnnotation {
        let name = number(&mut self.annotation_names, &mut self.new.debug_annotation_names, name);
        DebugAnnotation { name_iid: Some(name), value: Some(value) }
    }

    /// An argument whose value recurs.
    pub(super) fn annotation_with_text(&mut self, name: &str, text: &str) -> DebugAnnotation {
        let value = self.value(text);
        self.annotation(name, Value::StringIid(value))
    }

    fn value(&mut self, text: &str) -> u64 {
        number(&mut self.values, &mut self.new.debug_annotation_string_values, text)
    }

    /// Keeps the texts of a place for [`Texts::place_annotations`].
    pub(super) fn know_place(&mut self, place: &Place) {
        let index = place.index as usize;
        if self.places.len() <= index {
            self.places.resize(index + 1, None);
        }
        if self.places[index].is_none() {
            self.places[index] = Some(PlaceTexts {
                target: self.value(&place.location.target),
                module: self.value(&place.location.module_path),
                file_line: self.value(&place.file_line()),
            });
        }
    }

    /// The arguments that say where a span was made.
    pub(super) fn place_annotations(&mut self, index: u32, all: &mut Vec<DebugAnnotation>) {
        if let Some(Some(place)) = self.places.get(index as usize).copied() {
            all.push(self.annotation("target", Value::StringIid(place.target)));
            all.push(self.annotation("module", Value::StringIid(place.module)));
            all.push(self.annotation("location", Value::StringIid(place.file_line)));
        }
    }

    /// The texts that got their numbers since the last call.
    pub(super) fn take_new(&mut self) -> Option<InternedData> {
        (self.new != InternedData::default()).then(|| std::mem::take(&mut self.new))
    }
}

fn number(known: &mut FxHashMap<String, u64>, new: &mut Vec<InternedText>, text: &str) -> u64 {
    if let Some(&number) = known.get(text) {
        return number;
    }
    let number = known.len() as u64 + 1;
    known.insert(text.to_owned(), number);
    new.push(InternedText { iid: Some(number), text: Some(text.to_owned()) });
    number
}
