//! What is said of names and attributes, as arguments of events.

use super::packets::Fields;
use super::proto::{DebugAnnotation, Value};
use super::texts::{Argument, Texts};
use crate::export::attributes::{self, SIGNED, Simple, cut_keys, simple};
use crate::spans::Attributes;
use spanring::reader::NameState;
use std::borrow::Cow;

/// Says of a name that it is not whole.
#[inline]
pub(super) fn state(fields: &mut Fields, texts: &mut Texts, state: NameState) {
    let word = match state {
        NameState::Whole => return,
        NameState::Cut => "cut",
        NameState::Missing => "missing",
    };
    fields.argument(Argument::NameState, Value::StringIid(texts.value(word)));
}

/// Adds attributes.
pub(super) fn annotate(fields: &mut Fields, texts: &mut Texts, attributes: &Attributes) {
    if !attributes.is_empty() {
        let entries = attributes.with_unique_keys().map(|(key, attribute)| {
            let value = match simple(attribute.value(), &SIGNED) {
                Simple::Bool(value) => Value::Bool(value),
                // Within what was asked for.
                Simple::Integer(value) => Value::Int(value as i64),
                Simple::Double(value) => Value::Double(value),
                Simple::Text(text) => Value::String(text.into_owned()),
            };
            let (name_iid, name) = match key {
                Cow::Borrowed(_) => (Some(texts.key(&attribute.key)), None),
                Cow::Owned(key) => (None, Some(key)),
            };
            DebugAnnotation { name_iid, name, value: Some(value), ..DebugAnnotation::default() }
        });
        let entries = Argument::Attributes.dictionary(entries.collect());
        fields.annotation(&entries);
    }
    let cut = cut_keys(attributes)
        .map(|key| DebugAnnotation { value: Some(Value::String(key.into_owned())), ..DebugAnnotation::default() });
    let cut: Vec<_> = cut.collect();
    if !cut.is_empty() {
        fields.annotation(&Argument::CutAttributes.list(cut));
    }
    if attributes::lost(attributes) > 0 {
        fields.number(Argument::LostAttributes, attributes::lost(attributes));
    }
}
