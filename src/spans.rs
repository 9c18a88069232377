//! Spans, for those who make them.

pub use crate::events::{
    BeginAsyncNamedSpanEvent, BeginAsyncSpanEvent, BeginThreadNamedSpanEvent, BeginThreadSpanEvent,
    EndAsyncNamedSpanEvent, EndAsyncSpanEvent, EndThreadNamedSpanEvent, EndThreadSpanEvent, SpanLocation, SpanMetadata,
};
#[cfg(feature = "tokio")]
pub use crate::future::spawn_with_context;
pub use crate::future::{
    InstrumentFuture, InstrumentedFuture, InstrumentedNamedFuture, Named, NamedPlace, RunTimeName, SpanName, SpanSite,
    Spanned, WithCurrentSpan, current_span_id, span_async_named, with_current_span,
};
pub use crate::scope::ThreadSpanGuard;
