//! What is recorded: fixed-layout, plain-old-data records of one 64-byte slot each, followed by their run-time text.
//!
//! The layout is shared by the write side and the read side, and is all (with [`crate::format`]) that they share. Static and
//! named, thread and async, begin and end are one record with three bits of [`Kind`]; [`BeginAsyncNamedSpanEvent`] and its
//! seven siblings are views of it. So are [`PollEvent`] and [`InstantEvent`]. Attributes and counters are [`ValueFields`].

mod kind;
mod location;
mod run;
mod schema;
mod slot;
mod span;
mod string_id;
mod value;

pub use kind::{Kind, Outcome};
pub use location::{SpanLocation, SpanMetadata, Verbosity};
pub use run::{first_record, plain_records, records};
pub use schema::self_description;
pub use slot::{
    Head, MAX_RECORD_SLOTS, MAX_RUN_TIME_NAME, SLOT_BYTES, SLOT_WORDS, Slot, TEXT_BYTES, extend_record_number,
};
pub use span::{
    BeginAsyncNamedSpanEvent, BeginAsyncSpanEvent, BeginThreadNamedSpanEvent, BeginThreadSpanEvent,
    EndAsyncNamedSpanEvent, EndAsyncSpanEvent, EndThreadNamedSpanEvent, EndThreadSpanEvent, InstantEvent, PollEvent,
    SpanEvent, SpanFields,
};
pub use string_id::StringId;
pub use value::{ValueFields, ValueType};
