//! The table: a column for each thing that is known of a span.
//!
//! Attributes and events are objects and lists in JSON, as text: of all that could hold values of several types it is the one that every
//! reader takes.
//!
//! Names are those of OpenTelemetry where it has one for the same thing. Types are those that every reader takes as they are:
//! text in UTF-8, signed integers, booleans, and timestamps in microseconds (Spark refuses nanoseconds), beside which the same
//! instants stand as integers in nanoseconds.

use crate::export::attributes::{CutKeys, Simple, cut_keys, lost};
use crate::export::in_order::Held;
use crate::places::Place;
use crate::spans::{Attributes, Ending, Instant};
use crate::top::kind_word;
use arrow_array::builder::{
    BooleanBuilder, Float64Builder, Int32Builder, Int64Builder, StringBuilder, TimestampMicrosecondBuilder,
};
use arrow_array::{ArrayRef, RecordBatch};
use arrow_schema::{ArrowError, DataType, Field, Schema, TimeUnit};
use serde::Serialize;
use serde_json::json;
use spanring::reader::{Location, NameState};
use std::collections::BTreeMap;
use std::sync::Arc;

/// The time zone of the timestamps.
const UTC: &str = "UTC";

/// Makes the schema, a builder for each column, and what turns those into arrays, from one list: `name: Builder, "column", may be
/// null`.
macro_rules! columns {
    ($($(#[$what:meta])* $field:ident: $builder:ident = $column:literal, $nullable:literal;)*) => {
        /// The columns while they are filled, all of the same length.
        pub struct Columns {
            schema: Arc<Schema>,
            $($(#[$what])* $field: $builder,)*
        }

        impl Columns {
            /// No rows yet.
            pub fn new() -> Columns {
                let fields = vec![$(Field::new($column, <$builder as Typed>::data_type(), $nullable),)*];
                Columns { schema: Arc::new(Schema::new(fields)), $($field: <$builder as Typed>::empty(),)* }
            }

            /// The rows, which are then gone.
            ///
            /// # Errors
            /// Not if every row has all columns.
            pub fn finish(&mut self) -> Result<RecordBatch, ArrowError> {
                let arrays: Vec<ArrayRef> = vec![$(Arc::new(self.$field.finish()),)*];
                RecordBatch::try_new(self.schema.clone(), arrays)
            }
        }
    };
}

columns! {
    /// `async` or `thread` for a span; `loss`; `damage`.
    kind: StringBuilder = "kind", false;
    /// 32 hexadecimal digits.
    trace_id: StringBuilder = "trace_id", true;
    span_id: Int64Builder = "span_id", true;
    parent_span_id: Int64Builder = "parent_span_id", true;
    name: StringBuilder = "name", false;
    /// `whole`, `cut` or `missing`.
    name_state: StringBuilder = "name_state", true;
    start_ns: Int64Builder = "start_time_unix_nano", true;
    end_ns: Int64Builder = "end_time_unix_nano", true;
    start: TimestampMicrosecondBuilder = "start_time", true;
    end: TimestampMicrosecondBuilder = "end_time", true;
    duration: Int64Builder = "duration_nano", true;
    created_ns: Int64Builder = "created_time_unix_nano", true;
    wait: Int64Builder = "wait_nano", true;
    busy: Int64Builder = "busy_nano", true;
    idle: Int64Builder = "idle_nano", true;
    outcome: StringBuilder = "outcome", true;
    /// `UNSET` or `ERROR`.
    status: StringBuilder = "status_code", true;
    depth: Int32Builder = "depth", true;
    polls: Int64Builder = "polls", true;
    file: StringBuilder = "code.file.path", true;
    line: Int64Builder = "code.line.number", true;
    module_path: StringBuilder = "module_path", true;
    target: StringBuilder = "target", true;
    thread_id: Int64Builder = "thread.id", true;
    thread_name: StringBuilder = "thread.name", true;
    end_thread_id: Int64Builder = "end_thread.id", true;
    end_thread_name: StringBuilder = "end_thread.name", true;
    begin_lost: BooleanBuilder = "begin_lost", true;
    end_may_be_lost: BooleanBuilder = "end_may_be_lost", true;
    busy_partial: BooleanBuilder = "busy_partial", true;
    lost_records: Int64Builder = "lost_records", true;
    cause: StringBuilder = "loss_cause", true;
    /// An object in JSON.
    attributes: StringBuilder = "attributes", true;
    /// A list of keys in JSON: their texts were longer.
    cut_attributes: StringBuilder = "cut_attributes", true;
    dropped_attributes: Int64Builder = "dropped_attributes_count", true;
    /// A list of [`Event`] in JSON.
    events: StringBuilder = "events", true;
    dropped_events: Int64Builder = "dropped_events_count", true;
    counter_value: Float64Builder = "counter_value", true;
}

/// A builder whose type of column is known.
trait Typed {
    fn data_type() -> DataType;
    fn empty() -> Self;
}

macro_rules! typed {
    ($($builder:ident: $data_type:expr, $empty:expr;)*) => {
        $(impl Typed for $builder {
            fn data_type() -> DataType {
                $data_type
            }

            fn empty() -> $builder {
                $empty
            }
        })*
    };
}

typed! {
    StringBuilder: DataType::Utf8, StringBuilder::new();
    Float64Builder: DataType::Float64, Float64Builder::new();
    Int32Builder: DataType::Int32, Int32Builder::new();
    Int64Builder: DataType::Int64, Int64Builder::new();
    BooleanBuilder: DataType::Boolean, BooleanBuilder::new();
    TimestampMicrosecondBuilder: DataType::Timestamp(TimeUnit::Microsecond, Some(UTC.into())),
        TimestampMicrosecondBuilder::new().with_timezone(UTC);
}

/// What is no span, as a row.
#[derive(Debug, Default)]
pub struct Other {
    /// `loss`, `damage`, `instant` or `counter`.
    pub kind: &'static str,
    /// What it is, in words.
    pub name: String,
    pub name_state: Option<NameState>,
    /// From when to when, in nanoseconds since 1970, as far as known.
    pub start_ns: Option<u64>,
    pub end_ns: Option<u64>,
    /// The span that it is of, 0 for none.
    pub parent: u64,
    pub place: Option<Arc<Place>>,
    pub thread: Option<u32>,
    /// How many records are missing, and why.
    pub lost: Option<(u64, String)>,
    pub attributes: Attributes,
    /// Of a counter: its value, and the floating-point number nearest to it.
    pub counter: Option<(Simple<'static>, f64)>,
}

/// What happened within a span.
#[derive(Serialize)]
struct Event<'a> {
    name: &'a str,
    #[serde(skip_serializing_if = "Option::is_none")]
    name_state: Option<&'a str>,
    time_unix_nano: u64,
    #[serde(rename = "thread.id")]
    thread_id: u32,
    #[serde(rename = "thread.name", skip_serializing_if = "Option::is_none")]
    thread_name: Option<&'a str>,
    #[serde(rename = "code.file.path", skip_serializing_if = "Option::is_none")]
    file: Option<&'a str>,
    #[serde(rename = "code.line.number", skip_serializing_if = "Option::is_none")]
    line: Option<u32>,
    #[serde(skip_serializing_if = "Option::is_none")]
    attributes: Option<&'a Attributes>,
    #[serde(skip_serializing_if = "Option::is_none")]
    cut_attributes: Option<CutKeys<'a>>,
    #[serde(skip_serializing_if = "is_zero")]
    dropped_attributes_count: u64,
}

impl<'a> Event<'a> {
    fn of(instant: &'a Instant, thread_name: Option<&'a str>) -> Event<'a> {
        let location = instant.place.as_ref().map(|place| &place.location);
        let name_state = Some(word_of(instant.name_state)).filter(|_| instant.name_state != NameState::Whole);
        Event {
            name: &instant.name,
            name_state,
            time_unix_nano: instant.unix_ns,
            thread_id: instant.thread,
            thread_name,
            file: location.map(|location| location.file.as_str()),
            line: location.map(|location| location.line),
            attributes: (!instant.attributes.is_empty()).then_some(&instant.attributes),
            cut_attributes: cut_keys(&instant.attributes).next().map(|_| CutKeys(&instant.attributes)),
            dropped_attributes_count: lost(&instant.attributes),
        }
    }
}

fn is_zero(value: &u64) -> bool {
    *value == 0
}

/// A thread's name by its number.
pub type ThreadNames<'a> = &'a dyn Fn(u32) -> Option<&'a str>;

impl Columns {
    /// The schema of all batches.
    pub fn schema(&self) -> Arc<Schema> {
        self.schema.clone()
    }

    /// Number of rows.
    pub fn len(&self) -> usize {
        use arrow_array::builder::ArrayBuilder;
        self.span_id.len()
    }

    /// Adds the row of a span.
    pub fn span(&mut self, held: &Held, trace_id: u128, thread_name: ThreadNames<'_>) {
        let span = held.span();
        self.kind.append_value(kind_word(span.kind));
        self.trace_id.append_value(format!("{trace_id:032x}"));
        self.span_id.append_value(id(span.id));
        self.parent_span_id.append_option((span.parent != 0).then_some(id(span.parent)));
        self.name.append_value(span.name);
        self.name_state.append_value(word_of(span.name_state));
        self.times(Some(span.begin_ns), span.end_ns);
        self.duration.append_option(span.duration_ns().map(signed));
        self.created_ns.append_option(span.created_ns.map(signed));
        self.wait.append_option(span.wait_ns().map(signed));
        self.busy.append_option(span.busy_ns.map(signed));
        self.idle.append_option(span.idle_ns().map(signed));
        self.outcome.append_value(span.ending.word());
        self.status.append_value(if matches!(span.ending, Ending::Failed | Ending::Panicked) {
            "ERROR"
        } else {
            "UNSET"
        });
        self.depth.append_value(i32::from(span.depth));
        self.polls.append_option((span.ending != Ending::Open).then_some(i64::from(span.polls)));
        self.location(span.place.map(|place| &place.location));
        self.threads(span.begin_thread, span.end_thread, thread_name);
        self.begin_lost.append_value(span.begin_lost);
        self.end_may_be_lost.append_value(span.end_may_be_lost);
        self.busy_partial.append_value(span.busy_partial);
        self.lost_records.append_null();
        self.cause.append_null();
        self.known(span.details.map(|details| &details.attributes));
        let events: Vec<Event<'_>> =
            span.instants().iter().map(|instant| Event::of(instant, thread_name(instant.thread))).collect();
        self.events.append_option((!events.is_empty()).then(|| json_of(&events)));
        self.dropped_events.append_value(signed(span.details.map_or(0, |details| details.dropped_instants)));
        self.counter_value.append_null();
    }

    /// Adds the row of something else.
    pub fn other(&mut self, other: &Other, thread_name: ThreadNames<'_>) {
        self.kind.append_value(other.kind);
        self.trace_id.append_null();
        self.span_id.append_null();
        self.parent_span_id.append_option((other.parent != 0).then_some(id(other.parent)));
        self.name.append_value(&other.name);
        self.name_state.append_option(other.name_state.map(word_of));
        self.times(other.start_ns, other.end_ns);
        for column in [&mut self.duration, &mut self.created_ns, &mut self.wait, &mut self.busy, &mut self.idle] {
            column.append_null();
        }
        self.outcome.append_null();
        self.status.append_null();
        self.depth.append_null();
        self.polls.append_null();
        self.location(other.place.as_ref().map(|place| &place.location));
        self.threads(other.thread, None, thread_name);
        for column in [&mut self.begin_lost, &mut self.end_may_be_lost, &mut self.busy_partial] {
            column.append_null();
        }
        self.lost_records.append_option(other.lost.as_ref().map(|(records, _)| signed(*records)));
        self.cause.append_option(other.lost.as_ref().map(|(_, cause)| cause));
        match &other.counter {
            Some((value, _)) => {
                self.attributes.append_value(json_of(&BTreeMap::from([("value", value)])));
                self.cut_attributes.append_null();
                self.dropped_attributes.append_null();
            }
            None => self.known(Some(&other.attributes)),
        }
        self.events.append_null();
        self.dropped_events.append_null();
        self.counter_value.append_option(other.counter.as_ref().map(|(_, nearest)| *nearest));
    }

    fn location(&mut self, location: Option<&Location>) {
        self.file.append_option(location.map(|location| &location.file));
        self.line.append_option(location.map(|location| i64::from(location.line)));
        self.module_path.append_option(location.map(|location| &location.module_path));
        self.target.append_option(location.map(|location| &location.target));
    }

    fn known(&mut self, attributes: Option<&Attributes>) {
        let some = attributes.filter(|attributes| !attributes.is_empty());
        self.attributes.append_option(some.map(json_of));
        let cut = some.filter(|attributes| cut_keys(attributes).next().is_some());
        self.cut_attributes.append_option(cut.map(|attributes| json_of(&CutKeys(attributes))));
        self.dropped_attributes.append_value(signed(attributes.map_or(0, lost)));
    }

    fn times(&mut self, start_ns: Option<u64>, end_ns: Option<u64>) {
        self.start_ns.append_option(start_ns.map(signed));
        self.end_ns.append_option(end_ns.map(signed));
        self.start.append_option(start_ns.map(micros));
        self.end.append_option(end_ns.map(micros));
    }

    fn threads(&mut self, begin: Option<u32>, end: Option<u32>, name: ThreadNames<'_>) {
        self.thread_id.append_option(begin.map(i64::from));
        self.thread_name.append_option(begin.and_then(name));
        self.end_thread_id.append_option(end.map(i64::from));
        self.end_thread_name.append_option(end.and_then(name));
    }
}

/// What pandas would have written about its columns. Without it a column of integers in which one is missing comes as floating-point
/// numbers there, in which no time since 1970 has its nanoseconds; with it, as integers some of which are missing.
pub fn pandas_metadata(schema: &Schema) -> String {
    let columns = schema.fields().iter().map(|field| {
        let (pandas_type, numpy_type) = match field.data_type() {
            DataType::Int32 => ("int32", "Int32"),
            DataType::Int64 => ("int64", "Int64"),
            DataType::Float64 => ("float64", "float64"),
            DataType::Boolean => ("bool", "boolean"),
            DataType::Timestamp(..) => ("datetimetz", "datetime64[us]"),
            _ => ("unicode", "string"),
        };
        let zone = matches!(field.data_type(), DataType::Timestamp(..)).then(|| json!({ "timezone": UTC }));
        let (name, metadata) = (field.name(), zone);
        json!({ "name": name, "field_name": name, "pandas_type": pandas_type, "numpy_type": numpy_type, "metadata": metadata })
    });
    let columns: Vec<_> = columns.collect();
    json!({ "index_columns": [], "column_indexes": [], "columns": columns }).to_string()
}

fn word_of(state: NameState) -> &'static str {
    match state {
        NameState::Whole => "whole",
        NameState::Cut => "cut",
        NameState::Missing => "missing",
    }
}

fn json_of<T: Serialize>(value: &T) -> String {
    serde_json::to_string(value).expect("all keys are text")
}

/// A span's id. It is counted from 1; only one from damaged records can have the highest bit set, and is negative then.
fn id(id: u64) -> i64 {
    id as i64
}

/// Nanoseconds, and counts. Those that no signed integer holds (after the year 2262) come from damaged records.
fn signed(value: u64) -> i64 {
    i64::try_from(value).unwrap_or(i64::MAX)
}

/// Nanoseconds since 1970 in microseconds, rounded down.
fn micros(ns: u64) -> i64 {
    signed(ns / 1000)
}
