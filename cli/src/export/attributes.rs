//! Attributes as other tools can have them.
//!
//! What a tool has no number for is text: integers that are outside of those it knows exactly, and floating-point numbers that are none
//! or are infinite. Keys are unique in what is exported, as tools demand: see [`Attributes::with_unique_keys`].

use crate::counters::Number;
use crate::spans::Attributes;
use serde::ser::{Serialize, SerializeMap, SerializeSeq, Serializer};
use spanring::reader::{NameState, Value};
use std::borrow::Cow;
use std::ops::RangeInclusive;

/// The integers that a reader tells from each other.
pub type Exact = RangeInclusive<i128>;

/// Those of a reader that has signed ones of 64 bits.
pub const SIGNED: Exact = i64::MIN as i128..=i64::MAX as i128;
/// Those of a reader that has only floating-point numbers.
pub const FLOATING: Exact = -MOST_IN_FLOATING..=MOST_IN_FLOATING;
/// All that there are here.
#[cfg(feature = "parquet")]
pub const ANY: Exact = i64::MIN as i128..=u64::MAX as i128;

const MOST_IN_FLOATING: i128 = (1 << 53) - 1;

/// A value that every tool has.
#[derive(Clone, Debug, PartialEq)]
pub enum Simple<'a> {
    Bool(bool),
    /// Within what is [`Exact`].
    Integer(i128),
    /// A finite number.
    Double(f64),
    Text(Cow<'a, str>),
}

/// What a tool that knows those integers has for a value.
pub fn simple<'a>(value: Value<'a>, exact: &Exact) -> Simple<'a> {
    let integer = |value: i128| match exact.contains(&value) {
        true => Simple::Integer(value),
        false => Simple::Text(value.to_string().into()),
    };
    match value {
        Value::Bool(value) => Simple::Bool(value),
        Value::I64(value) => integer(value.into()),
        Value::U64(value) => integer(value.into()),
        Value::F64(value) if value.is_finite() => Simple::Double(value),
        Value::Text(text, _) => Simple::Text(text.into()),
        Value::F64(_) | Value::Unknown(..) => Simple::Text(value.to_string().into()),
    }
}

/// The value of a counter as a floating-point number, the nearest there is, also NaN; `None` if it is of no type that has numbers.
pub fn as_float(value: Value<'_>) -> Option<f64> {
    match value {
        Value::F64(value) => Some(value),
        other => Number::of(other).map(Number::as_f64),
    }
}

/// The keys of those whose text is only the beginning of what was recorded.
pub fn cut_keys(attributes: &Attributes) -> impl Iterator<Item = Cow<'_, str>> {
    attributes
        .with_unique_keys()
        .filter(|(_, attribute)| matches!(attribute.value(), Value::Text(_, NameState::Cut)))
        .map(|(key, _)| key)
}

/// Attributes that are known of, and not there.
pub fn lost(attributes: &Attributes) -> u64 {
    attributes.lost.saturating_add(attributes.dropped)
}

/// Attributes as an object in JSON, for a reader that tells those integers.
pub struct Object<'a>(pub &'a Attributes, pub Exact);

impl Serialize for Object<'_> {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        let mut map = serializer.serialize_map(Some(self.0.len()))?;
        for (key, attribute) in self.0.with_unique_keys() {
            map.serialize_entry(&key, &simple(attribute.value(), &self.1))?;
        }
        map.end()
    }
}

impl Simple<'_> {
    /// The same without what it borrows.
    #[cfg(feature = "parquet")]
    pub fn into_owned(self) -> Simple<'static> {
        match self {
            Simple::Bool(value) => Simple::Bool(value),
            Simple::Integer(value) => Simple::Integer(value),
            Simple::Double(value) => Simple::Double(value),
            Simple::Text(text) => Simple::Text(text.into_owned().into()),
        }
    }
}

impl Serialize for Simple<'_> {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        match self {
            Simple::Bool(value) => serializer.serialize_bool(*value),
            Simple::Integer(value) => match i64::try_from(*value) {
                Ok(value) => serializer.serialize_i64(value),
                Err(_) => serializer.serialize_u64(*value as u64),
            },
            Simple::Double(value) => serializer.serialize_f64(*value),
            Simple::Text(value) => serializer.serialize_str(value),
        }
    }
}

/// The keys of those attributes that are cut, as an array in JSON.
pub struct CutKeys<'a>(pub &'a Attributes);

impl Serialize for CutKeys<'_> {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        let mut list = serializer.serialize_seq(None)?;
        for key in cut_keys(self.0) {
            list.serialize_element(&key)?;
        }
        list.end()
    }
}
