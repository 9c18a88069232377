//! Async spans: wrappers that record a future's first poll and its end.
//!
//! - [`InstrumentFuture`] gives every future `.instrument(&DESC)` and `.instrument_named(&LOCATION, name)`.
//! - [`InstrumentedFuture`] and [`InstrumentedNamedFuture`] are the wrappers: one type, [`Spanned`], over two kinds of site.
//! - [`SpanName`] is what may name a span.
//! - [`AttributeValue`] is what may be recorded of a span beside that, through [`current_span`] or with the span.
//! - [`OnOutput`] is what may look at a future's output before the span ends.
//! - [`OpenSpan`] is a span that is begun and ended by hand.
//! - [`with_current_span`] and `spawn_with_context` carry the current span into a task, [`SpanContext`] and [`in_current_span`] into
//!   anything else.

mod attributes;
mod context;
mod instrument;
mod name;
mod open;
mod output;
mod site;
mod spanned;
#[cfg(feature = "tokio")]
mod spawn;
mod state;
#[cfg(feature = "stream")]
mod stream;

pub(crate) use attributes::instant_by_hand;
pub use attributes::{
    AttributeValue, Attributes, CounterValue, Literal, SpanRef, StaticText, WithAttributes, counter, current_span,
    instant,
};
pub(crate) use context::{Entered, current};
pub use context::{SpanContext, WithCurrentSpan, current_span_id, in_current_span, with_current_span};
pub use instrument::{InstrumentFuture, span_async_named};
pub use name::{RunTimeName, SpanName};
pub use open::OpenSpan;
pub use output::{EndingSpan, FailOnErr, OnOutput, SeeOutput};
pub use site::{Named, NamedPlace, SpanSite};
pub use spanned::{
    InstrumentedFuture, InstrumentedNamedFuture, Spanned, instrument_seeing, instrument_with, named_with, static_with,
};
#[cfg(feature = "tokio")]
pub use spawn::spawn_with_context;
pub(crate) use state::ThreadSpan;
#[cfg(feature = "stream")]
pub use stream::{InstrumentStream, InstrumentedStream};
