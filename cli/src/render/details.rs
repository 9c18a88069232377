//! Attributes and instants, as they stand beside names.

use crate::spans::{Attributes, Details, Instant};
use crate::text::clean;
use spanring::reader::{NameState, Value};
use std::borrow::Cow;

/// What a line with an instant begins with.
pub(super) const MARK: &str = "·";

/// `key=value` for each attribute, and how many are missing. Text with anything in it that could be taken for something else is quoted.
pub(super) fn pairs(attributes: &Attributes) -> String {
    list(attributes).join(" ")
}

/// The same, one by one.
pub(super) fn list(attributes: &Attributes) -> Vec<String> {
    let mut parts: Vec<String> =
        attributes.iter().map(|attribute| format!("{}={}", clean(&attribute.key), value(attribute.value()))).collect();
    parts.extend((attributes.dropped > 0).then(|| format!("({} more)", attributes.dropped)));
    parts.extend((attributes.lost > 0).then(|| format!("({} lost)", attributes.lost)));
    parts
}

/// A name and the pairs of it, for a column that shortens the latter first.
pub(super) fn beside(name: &str, pairs: &str) -> String {
    if pairs.is_empty() { name.to_owned() } else { format!("{name}{}{pairs}", crate::text::ASIDE) }
}

/// An instant with its attributes, for the same.
pub(super) fn instant(instant: &Instant) -> String {
    beside(&clean(&instant.name), &pairs(&instant.attributes))
}

/// All that is known of a span, in a line: attributes, then the names of instants.
pub(super) fn line(details: &Details) -> String {
    let mut parts = vec![pairs(&details.attributes)];
    parts.extend(details.instants.iter().map(|instant| format!("{MARK} {}", clean(&instant.name))));
    parts.extend((details.dropped_instants > 0).then(|| format!("({} more)", details.dropped_instants)));
    parts.retain(|part| !part.is_empty());
    parts.join(" ")
}

fn value(value: Value<'_>) -> Cow<'_, str> {
    match value {
        Value::Text(text, state) => {
            let is_plain = !text.is_empty() && !text.contains([' ', '"', '=']);
            let text = clean(text);
            let text = if is_plain { text } else { format!("\"{}\"", text.replace('"', "\\\"")).into() };
            if state == NameState::Cut { format!("{text}…").into() } else { text }
        }
        other => other.to_string().into(),
    }
}
