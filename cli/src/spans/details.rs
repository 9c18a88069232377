//! What is known of a span beside its own records: attributes, and instants within it.

use super::{LONGEST_TEXT, cut};
use crate::places::Place;
use serde::ser::{Serialize, SerializeMap, SerializeStruct, Serializer};
use spanring::reader::{AttributeRecord, InstantRecord, NameState, Value};
use std::borrow::Cow;
use std::sync::Arc;

/// No span, and no instant, has more attributes than this; others are counted.
pub const MOST_ATTRIBUTES: usize = 128;
/// No span has more instants than this; others are counted.
pub const MOST_INSTANTS: usize = 128;

/// What is known of a span beside its own records.
///
/// ```
/// use spanring_cli::spans::Details;
///
/// assert!(Details::default().attributes.is_empty());
/// ```
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Details {
    /// Its attributes.
    pub attributes: Attributes,
    /// What happened within it, the earliest first; of a scope only if it is in no async span.
    pub instants: Vec<Instant>,
    /// Instants within it that are not among them, because there were more than [`MOST_INSTANTS`].
    pub dropped_instants: u64,
}

/// Attributes of a span or an instant, each key once, in the order in which they were first recorded.
///
/// ```
/// use spanring::reader::Value;
/// use spanring_cli::spans::Attributes;
///
/// fn rows(attributes: &Attributes) -> Option<u64> {
///     match attributes.get("rows") {
///         Some(Value::U64(rows)) => Some(rows),
///         _ => None,
///     }
/// }
/// assert_eq!(rows(&Attributes::NONE), None);
/// ```
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Attributes {
    list: Vec<Attribute>,
    /// Records that were read, of values that others took the place of too.
    pub records: u64,
    /// Of these, such as are not here because there were more than [`MOST_ATTRIBUTES`].
    pub dropped: u64,
    /// Attributes that were given when the span or the instant was made, and were not read.
    pub lost: u64,
    /// When the earliest of the records was made, and how many were made then: what a span was made with, all say the time of its begin.
    earliest: (u64, u64),
}

/// A key, and the latest value that was recorded of it.
#[derive(Clone, Debug, PartialEq)]
pub struct Attribute {
    /// The key; `<name lost>` if its definition was lost.
    pub key: Arc<str>,
    value: Kept,
    /// When the first value of the key was recorded, and the one that is here.
    first: Order,
    latest: Order,
    /// Whether the key is that, and not what stands for one that was lost.
    is_known: bool,
}

/// A value that is kept.
#[derive(Clone, Debug, PartialEq)]
enum Kept {
    Bool(bool),
    I64(i64),
    U64(u64),
    F64(f64),
    Text(Box<str>, NameState),
    Unknown(u32, u64),
}

/// Time, thread and number of a record: the same order in whatever order they are read.
type Order = (u64, u32, u64);

/// Something that happened.
#[derive(Clone, Debug, PartialEq)]
pub struct Instant {
    /// Unique within the session, among instants and spans.
    pub id: u64,
    /// The async span in which it happened, 0 for none.
    pub parent: u64,
    /// How many thread spans were open around it on its thread.
    pub scopes: u16,
    /// On which thread, as [`spanring::reader::ThreadFacts::id`].
    pub thread: u32,
    /// When, in nanoseconds since 1970.
    pub unix_ns: u64,
    /// What it is called; `<name lost>` if the definition was lost.
    pub name: Arc<str>,
    /// Whether that is the whole name.
    pub name_state: NameState,
    /// Where in the source; `None` if the recording lost that.
    pub place: Option<Arc<Place>>,
    /// Its attributes.
    pub attributes: Attributes,
}

/// The value of a counter at some time.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Counter<'a> {
    /// What is counted; `<name lost>` if the definition was lost.
    pub name: &'a str,
    /// The name's number, as [`super::Span::name_index`]; `None` if the definition was lost.
    pub name_index: Option<u32>,
    /// The span in which it was recorded, 0 for none.
    pub span: u64,
    /// On which thread, as [`spanring::reader::ThreadFacts::id`].
    pub thread: u32,
    /// When, in nanoseconds since 1970.
    pub unix_ns: u64,
    /// Its value then.
    pub value: Value<'a>,
}

/// When a span began, and how many attributes it was made with, as far as is known.
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct Given {
    pub(super) unix_ns: u64,
    pub(super) attributes: u32,
}

/// How much was recorded beside spans.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, serde::Serialize)]
pub struct DetailTotals {
    /// Records of attributes, of spans and of instants.
    pub attributes: u64,
    /// Instants.
    pub instants: u64,
    /// Values of counters.
    pub counters: u64,
    /// Of the attributes, such as were of no span that was there when they were read: it is missing, or had been handed out before.
    pub late_attributes: u64,
    /// The same of the instants. They are handed out by themselves, [`MOST_INSTANTS`] of each span at most.
    pub late_instants: u64,
    /// Attributes that were left out because a span or an instant had more than [`MOST_ATTRIBUTES`].
    pub dropped_attributes: u64,
    /// Instants that were left out because a span had more than [`MOST_INSTANTS`], with their attributes.
    pub dropped_instants: u64,
}

impl Details {
    /// Whether something was left out or is missing.
    ///
    /// ```
    /// use spanring_cli::spans::Details;
    ///
    /// let details = Details { dropped_instants: 1, ..Details::default() };
    /// assert!(details.is_partial() && !Details::default().is_partial());
    /// ```
    pub fn is_partial(&self) -> bool {
        self.dropped_instants > 0 || self.attributes.dropped > 0 || self.attributes.lost > 0
    }

    /// Takes an instant, or counts it. Whether it was taken.
    pub(super) fn add_instant(&mut self, instant: Instant) -> bool {
        let has_room = self.instants.len() < MOST_INSTANTS;
        if has_room {
            self.instants.push(instant);
        } else {
            self.dropped_instants += 1;
        }
        has_room
    }

    /// Puts everything in order, once all has come.
    pub(super) fn settle(&mut self, given: Given) {
        self.attributes.settle(self.attributes.missing_of(given));
        self.instants.sort_by_key(|instant| (instant.unix_ns, instant.id));
    }
}

impl Attributes {
    /// None.
    ///
    /// ```
    /// use spanring_cli::spans::Attributes;
    ///
    /// assert_eq!(Attributes::NONE, Attributes::default());
    /// ```
    pub const NONE: Attributes = Attributes { list: Vec::new(), records: 0, dropped: 0, lost: 0, earliest: (0, 0) };

    /// Each of them.
    ///
    /// ```
    /// use spanring_cli::spans::Attributes;
    ///
    /// fn keys(attributes: &Attributes) -> Vec<&str> {
    ///     attributes.iter().map(|attribute| &*attribute.key).collect()
    /// }
    /// assert!(keys(&Attributes::NONE).is_empty());
    /// ```
    pub fn iter(&self) -> impl ExactSizeIterator<Item = &Attribute> + Clone {
        self.list.iter()
    }

    /// How many keys there are.
    ///
    /// ```
    /// use spanring_cli::spans::Attributes;
    ///
    /// assert_eq!(Attributes::NONE.len(), 0);
    /// ```
    pub fn len(&self) -> usize {
        self.list.len()
    }

    /// Whether there are none.
    ///
    /// ```
    /// use spanring_cli::spans::Attributes;
    ///
    /// assert!(Attributes::NONE.is_empty());
    /// ```
    pub fn is_empty(&self) -> bool {
        self.list.is_empty()
    }

    /// Each of them with a key that no other has: of those that were lost, of which there may be several, the second and later ones are
    /// numbered.
    ///
    /// ```
    /// use spanring_cli::spans::Attributes;
    /// use std::collections::BTreeMap;
    ///
    /// fn by_key(attributes: &Attributes) -> BTreeMap<String, String> {
    ///     let each = attributes.with_unique_keys();
    ///     each.map(|(key, attribute)| (key.into_owned(), attribute.value().to_string())).collect()
    /// }
    /// assert!(by_key(&Attributes::NONE).is_empty());
    /// ```
    pub fn with_unique_keys(&self) -> impl Iterator<Item = (Cow<'_, str>, &Attribute)> {
        self.list.iter().enumerate().map(|(place, attribute)| {
            let earlier = self.list[..place].iter().filter(|earlier| earlier.key == attribute.key).count();
            let key = match earlier {
                0 => Cow::Borrowed(&*attribute.key),
                earlier => Cow::Owned(format!("{} {}", attribute.key, earlier + 1)),
            };
            (key, attribute)
        })
    }

    /// The value of a key.
    ///
    /// ```
    /// use spanring_cli::spans::Attributes;
    ///
    /// assert!(Attributes::NONE.get("rows").is_none());
    /// ```
    pub fn get(&self, key: &str) -> Option<Value<'_>> {
        self.list.iter().find(|attribute| &*attribute.key == key).map(Attribute::value)
    }

    /// Takes an attribute, in place of an earlier value of its key. Whether there was room for it.
    pub(super) fn add(&mut self, attribute: Attribute) -> bool {
        let made = attribute.latest.0;
        let (earliest, together) = self.earliest;
        if self.records == 0 || made < earliest {
            self.earliest = (made, 1);
        } else if made == earliest {
            self.earliest.1 = together + 1;
        }
        self.records += 1;
        let is_same = |known: &&mut Attribute| known.is_known && attribute.is_known && known.key == attribute.key;
        if let Some(known) = self.list.iter_mut().find(is_same) {
            known.first = known.first.min(attribute.first);
            if known.latest < attribute.latest {
                (known.value, known.latest) = (attribute.value, attribute.latest);
            }
            return true;
        }
        let has_room = self.list.len() < MOST_ATTRIBUTES;
        if has_room {
            self.list.push(attribute);
        } else {
            self.dropped += 1;
        }
        has_room
    }

    fn serialize_into<S: SerializeStruct>(&self, fields: &mut S) -> Result<(), S::Error> {
        fields.serialize_field("attributes", self)?;
        fields.serialize_field("dropped_attributes", &self.dropped)?;
        fields.serialize_field("lost_attributes", &self.lost)
    }

    /// How many of those that a span was made with were not read. What was recorded of it later makes up for none.
    fn missing_of(&self, given: Given) -> u64 {
        let (made, together) = self.earliest;
        u64::from(given.attributes).saturating_sub(if made == given.unix_ns { together } else { 0 })
    }

    pub(super) fn settle(&mut self, lost: u64) {
        self.lost = lost;
        self.list.sort_by_key(|attribute| attribute.first);
    }
}

/// As fields of the span: `attributes`, `dropped_attributes`, `lost_attributes`, `instants` and `dropped_instants`.
impl Serialize for Details {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        let mut fields = serializer.serialize_struct("Details", 5)?;
        self.attributes.serialize_into(&mut fields)?;
        fields.serialize_field("instants", &self.instants)?;
        fields.serialize_field("dropped_instants", &self.dropped_instants)?;
        fields.end()
    }
}

impl Serialize for Instant {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        let location = self.place.as_ref().map(|place| &place.location);
        let mut fields = serializer.serialize_struct("Instant", 9)?;
        fields.serialize_field("name", &*self.name)?;
        fields.serialize_field("unix_ns", &self.unix_ns)?;
        fields.serialize_field("thread", &self.thread)?;
        fields.serialize_field("file", &location.map(|location| &location.file))?;
        fields.serialize_field("line", &location.map(|location| location.line))?;
        fields.serialize_field("target", &location.map(|location| &location.target))?;
        self.attributes.serialize_into(&mut fields)?;
        fields.end()
    }
}

/// As an object: unique keys and typed values. A number that JSON has not is its name as text.
impl Serialize for Attributes {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        let mut map = serializer.serialize_map(Some(self.len()))?;
        for (key, attribute) in self.with_unique_keys() {
            map.serialize_key(&key)?;
            match attribute.value() {
                Value::Bool(value) => map.serialize_value(&value)?,
                Value::I64(value) => map.serialize_value(&value)?,
                Value::U64(value) => map.serialize_value(&value)?,
                Value::F64(value) if value.is_finite() => map.serialize_value(&value)?,
                Value::Text(text, _) => map.serialize_value(text)?,
                other => map.serialize_value(&other.to_string())?,
            }
        }
        map.end()
    }
}

impl Attribute {
    /// The value.
    pub fn value(&self) -> Value<'_> {
        match &self.value {
            Kept::Bool(value) => Value::Bool(*value),
            Kept::I64(value) => Value::I64(*value),
            Kept::U64(value) => Value::U64(*value),
            Kept::F64(value) => Value::F64(*value),
            Kept::Text(text, state) => Value::Text(text, *state),
            Kept::Unknown(of, word) => Value::Unknown(*of, *word),
        }
    }

    /// When it was recorded, in nanoseconds since 1970: the begin of the span, if it was made with it.
    pub fn unix_ns(&self) -> u64 {
        self.latest.0
    }

    pub(super) fn new(record: &AttributeRecord<'_>, key: Arc<str>) -> Attribute {
        let order = (record.unix_ns, record.thread, record.record_number);
        let value = match bounded(record.value) {
            Value::Bool(value) => Kept::Bool(value),
            Value::I64(value) => Kept::I64(value),
            Value::U64(value) => Kept::U64(value),
            Value::F64(value) => Kept::F64(value),
            Value::Text(text, state) => Kept::Text(text.into(), state),
            Value::Unknown(of, word) => Kept::Unknown(of, word),
        };
        Attribute { key, value, first: order, latest: order, is_known: record.key_index.is_some() }
    }
}

impl Instant {
    pub(super) fn new(record: &InstantRecord<'_>, name: Arc<str>, place: Option<Arc<Place>>) -> Instant {
        Instant {
            id: record.id,
            parent: record.parent_span_id,
            scopes: record.scopes,
            thread: record.thread,
            unix_ns: record.unix_ns,
            name,
            name_state: if record.name.len() > LONGEST_TEXT { NameState::Cut } else { record.name_state },
            place,
            attributes: Attributes::default(),
        }
    }
}

/// A value without what is too long in it.
pub(super) fn bounded(value: Value<'_>) -> Value<'_> {
    match value {
        Value::Text(text, _) if text.len() > LONGEST_TEXT => Value::Text(cut(text), NameState::Cut),
        other => other,
    }
}
