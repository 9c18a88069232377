//! Spans, for those who make them.

pub use crate::events::{
    BeginAsyncNamedSpanEvent, BeginAsyncSpanEvent, BeginThreadNamedSpanEvent, BeginThreadSpanEvent,
    EndAsyncNamedSpanEvent, EndAsyncSpanEvent, EndThreadNamedSpanEvent, EndThreadSpanEvent, SpanLocation, SpanMetadata,
};
#[cfg(feature = "tokio")]
pub use crate::future::spawn_with_context;
pub use crate::future::{
    AttributeValue, Attributes, CounterValue, EndingSpan, FailOnErr, InstrumentFuture, InstrumentedFuture,
    InstrumentedNamedFuture, Named, NamedPlace, OnOutput, RunTimeName, SeeOutput, SpanContext, SpanName, SpanRef,
    SpanSite, Spanned, StaticText, WithAttributes, WithCurrentSpan, current_span, current_span_id, in_current_span,
    span_async_named, with_current_span,
};
#[cfg(feature = "stream")]
pub use crate::future::{InstrumentStream, InstrumentedStream};
pub use crate::scope::ThreadSpanGuard;
