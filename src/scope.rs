//! Thread spans: guards that record a scope of one thread.

use crate::events::Outcome;
use crate::events::{SpanLocation, SpanMetadata};
use crate::future::{AttributeValue, Attributes, Named, SpanName, SpanSite, ThreadSpan, WithAttributes};
use crate::recorder::gate::CLOSED;
use std::marker::PhantomData;

/// A thread span, from here to the end of its scope. [`crate::span_scope!`] and [`crate::span_scope_named!`] make one.
///
/// Its parent is the current async span; it is never a parent itself. It stays on its thread.
///
/// ```
/// # if cfg!(not(feature = "enable")) { return; }
/// use spanring::prelude::*;
/// use spanring::testing;
///
/// let recorded = testing::record(|| {
///     let parse = span_guard!("parse");
///     parse.record("bytes", 512);
///     drop(parse);
///     span_scope!("check");
/// });
/// assert_eq!(recorded.tree(), "parse (thread)\ncheck (thread)\n");
/// ```
#[must_use = "the span ends when this is dropped"]
pub struct ThreadSpanGuard<S: SpanSite = &'static SpanMetadata> {
    span: ThreadSpan<S>,
    /// Not `Send`: begin and end belong to one thread.
    thread: PhantomData<*const ()>,
}

impl ThreadSpanGuard {
    /// Begins a span at a static site.
    ///
    /// ```
    /// # if cfg!(not(feature = "enable")) { return; }
    /// use spanring::prelude::*;
    /// use spanring::spans::ThreadSpanGuard;
    /// use spanring::testing;
    ///
    /// static_span_desc!(PARSE, "parse");
    /// let recorded = testing::record(|| {
    ///     let _parse = ThreadSpanGuard::new(&PARSE);
    /// });
    /// assert_eq!(recorded.tree(), "parse (thread)\n");
    /// ```
    #[inline]
    pub fn new(description: &'static SpanMetadata) -> Self {
        let mut guard = Self::prepare(description);
        guard.begin();
        guard
    }

    /// For the macros, which begin the span where the guard stays: moving one that has begun would copy what was just written.
    #[doc(hidden)]
    #[inline(always)]
    pub fn prepare(description: &'static SpanMetadata) -> Self {
        ThreadSpanGuard { span: ThreadSpan::of_scope(Some(description)), thread: PhantomData }
    }
}

impl<N: SpanName> ThreadSpanGuard<Named<N>> {
    /// Begins a span of that name. With no name nothing is recorded: the macros evaluate one only while somebody records.
    ///
    /// ```
    /// # if cfg!(not(feature = "enable")) { return; }
    /// use spanring::prelude::*;
    /// use spanring::spans::ThreadSpanGuard;
    /// use spanring::testing;
    ///
    /// static_span_location!(HERE);
    /// let recorded = testing::record(|| {
    ///     let _part = ThreadSpanGuard::named(&HERE, Some(format!("part {}", 3)));
    ///     let _nothing = ThreadSpanGuard::named(&HERE, None::<&str>);
    /// });
    /// assert_eq!(recorded.tree(), "part 3 (thread)\n");
    /// ```
    #[inline]
    pub fn named(location: &'static SpanLocation, name: Option<N>) -> Self {
        let mut guard = Self::prepare_named(location, name);
        guard.begin();
        guard
    }

    /// As [`ThreadSpanGuard::prepare`].
    #[doc(hidden)]
    #[inline(always)]
    pub fn prepare_named(location: &'static SpanLocation, name: Option<N>) -> Self {
        let site = name.map(|name| Named::at(location, name));
        ThreadSpanGuard { span: ThreadSpan::of_scope(site), thread: PhantomData }
    }
}

impl<S: SpanSite, A: Attributes> ThreadSpanGuard<WithAttributes<S, A>> {
    /// As [`ThreadSpanGuard::prepare`], with attributes; without any, and a name, nothing is recorded.
    #[doc(hidden)]
    #[inline(always)]
    pub fn prepare_with(site: Option<WithAttributes<S, A>>) -> Self {
        ThreadSpanGuard { span: ThreadSpan::of_scope(site), thread: PhantomData }
    }
}

impl<S: SpanSite> ThreadSpanGuard<S> {
    /// Records an attribute of the span, as [`SpanRef::record`](crate::spans::SpanRef::record) does.
    ///
    /// ```
    /// # if cfg!(not(feature = "enable")) { return; }
    /// use spanring::prelude::*;
    /// use spanring::testing;
    ///
    /// let recorded = testing::record(|| {
    ///     let compress = span_guard!("compress");
    ///     compress.record("bytes", 512).record("level", 3);
    /// });
    /// let attributes = [("bytes", "512"), ("level", "3")].map(|(key, value)| (key.to_owned(), value.to_owned()));
    /// assert_eq!(recorded.spans[0].attributes, attributes);
    /// ```
    #[inline]
    pub fn record(&self, key: &'static str, value: impl AttributeValue) -> &Self {
        self.span.scope_ref().record(key, value);
        self
    }

    /// Ends the span now, as [failed](Outcome::Failed).
    ///
    /// ```
    /// # if cfg!(not(feature = "enable")) { return; }
    /// use spanring::prelude::*;
    /// use spanring::testing;
    ///
    /// fn parse(text: &str) -> Option<u32> {
    ///     let span = span_guard!("parse");
    ///     let parsed = text.parse().ok();
    ///     if parsed.is_none() {
    ///         span.fail();
    ///     }
    ///     parsed
    /// }
    /// assert_eq!(testing::record(|| parse("7")).tree(), "parse (thread)\n");
    /// assert_eq!(testing::record(|| parse("x")).tree(), "parse (thread) [failed]\n");
    /// ```
    #[inline]
    pub fn fail(mut self) {
        self.span.end_scope_as(|| Outcome::Failed);
    }

    /// Begins the span of a prepared guard, and returns it.
    #[doc(hidden)]
    #[inline]
    pub fn begun(mut self) -> Self {
        self.begin();
        self
    }

    /// Begins the span of a prepared guard.
    #[doc(hidden)]
    #[inline(always)]
    pub fn begin(&mut self) {
        self.span.begin_scope();
    }

    /// The same of a guard that was prepared in that generation, so that nobody has to look again.
    #[doc(hidden)]
    #[inline(always)]
    pub fn begin_in(&mut self, generation: Option<u64>) {
        self.span.begin_scope_in(generation.unwrap_or(CLOSED));
    }
}

impl<S: SpanSite> Drop for ThreadSpanGuard<S> {
    #[inline]
    fn drop(&mut self) {
        self.span.end_scope();
    }
}

impl<S: SpanSite> std::fmt::Debug for ThreadSpanGuard<S> {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("ThreadSpanGuard").finish_non_exhaustive()
    }
}
