//! Wrapping futures.

use super::name::SpanName;
use super::site::Named;
use super::spanned::{InstrumentedFuture, InstrumentedNamedFuture, Spanned};
use crate::events::{SpanLocation, SpanMetadata};
use std::future::Future;
use std::panic::Location as Caller;

/// Instruments any future.
///
/// ```
/// # if cfg!(not(feature = "enable")) { return; }
/// use spanring::prelude::*;
/// use spanring::testing;
///
/// static_span_desc!(LOAD, "load");
///
/// async fn load() -> u32 {
///     async { 42 }.instrument(&LOAD).await
/// }
///
/// # use futures_executor::block_on;
/// let recorded = block_on(testing::record_future(async { load().await }));
/// assert_eq!((recorded.output, recorded.tree().as_str()), (42, "load\n"));
/// ```
pub trait InstrumentFuture: Future + Sized {
    /// Records this future as a span at a static site.
    ///
    /// ```
    /// use spanring::prelude::*;
    ///
    /// static_span_desc!(LOAD, "load");
    /// let future = async { 1 + 1 }.instrument(&LOAD);
    /// ```
    #[inline]
    fn instrument(self, description: &'static SpanMetadata) -> InstrumentedFuture<Self> {
        InstrumentedFuture::new(self, description)
    }

    /// Records this future as a span of that name.
    ///
    /// ```
    /// use spanring::prelude::*;
    ///
    /// static_span_location!(HERE);
    /// let shard = 3;
    /// let by_static_name = async { 1 }.instrument_named(&HERE, "count");
    /// let by_run_time_name = async { 2 }.instrument_named(&HERE, format!("count shard {shard}"));
    /// ```
    #[inline]
    fn instrument_named<N: SpanName>(
        self,
        location: &'static SpanLocation,
        name: N,
    ) -> InstrumentedNamedFuture<Self, N> {
        InstrumentedNamedFuture::by_function(self, location, name)
    }
}

impl<F: Future> InstrumentFuture for F {}

/// Records `future` as a span of that name, at the place of this call. The function form of [`crate::span_async_named!`].
///
/// A function cannot know its caller's module, so target and module path of the span are empty, and marked so in the recording.
///
/// ```
/// let future = spanring::spans::span_async_named("load", async { 1 + 1 });
/// ```
#[track_caller]
pub fn span_async_named<F: Future, N: SpanName>(name: N, future: F) -> Spanned<F, Named<N, &'static Caller<'static>>> {
    Spanned::at_caller(future, Caller::caller(), name)
}
