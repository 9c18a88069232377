//! Everything that instrumenting code needs: `use spanring::prelude::*;`

pub use crate::events::{SpanLocation, SpanMetadata, Verbosity};
#[cfg(feature = "stream")]
pub use crate::future::InstrumentStream;
#[cfg(feature = "tokio")]
pub use crate::future::spawn_with_context;
pub use crate::future::{
    InstrumentFuture, InstrumentedFuture, InstrumentedNamedFuture, current_span, current_span_id, span_async_named,
    with_current_span,
};
pub use crate::{
    counter, instant, instrument_named, instrument_named_dyn, span_async_named, span_async_named_dyn, span_fn,
    span_guard, span_scope, span_scope_named, span_scope_named_dyn, static_span_desc, static_span_location,
};
