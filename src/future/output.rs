//! What is made of a future's output before its span ends.

use super::attributes::{AttributeValue, SpanRef};
use crate::events::Outcome;
use std::cell::Cell;

/// What looks at the output of an instrumented future: nothing, `()`; [`FailOnErr`]; or a closure.
///
/// ```
/// # if cfg!(not(feature = "enable")) { return; }
/// use spanring::prelude::*;
/// use spanring::testing;
///
/// async fn read() -> Result<u32, String> {
///     Err("gone".to_owned())
/// }
///
/// # use futures_executor::block_on;
/// let recorded = block_on(testing::record_future(async {
///     let _ = instrument_named!(read(), "passed over").await;
///     let _ = instrument_named!(read(), "failed", err).await;
///     let _ = instrument_named!(read(), "looked at", |output, span| {
///         span.record("is_err", output.is_err());
///     })
///     .await;
/// }));
/// assert_eq!(recorded.tree(), "passed over\nfailed [failed]\nlooked at\n");
/// ```
pub trait OnOutput<T>: sealed::Sealed<T> {}

impl<T, O: sealed::Sealed<T>> OnOutput<T> for O {}

pub(crate) mod sealed {
    use super::{Outcome, SpanRef};

    pub trait Sealed<T> {
        /// How the span of that id ends.
        #[doc(hidden)]
        fn outcome(&mut self, output: &T, span: SpanRef) -> Outcome;
    }
}

impl<T> sealed::Sealed<T> for () {
    #[inline(always)]
    fn outcome(&mut self, _: &T, _: SpanRef) -> Outcome {
        Outcome::Completed
    }
}

/// A span whose output is an `Err` has [failed](Outcome::Failed).
///
/// ```
/// # if cfg!(not(feature = "enable")) { return; }
/// use spanring::prelude::*;
/// use spanring::testing;
///
/// # use futures_executor::block_on;
/// let recorded = block_on(testing::record_future(async {
///     // `err` stands for it.
///     instrument_named!(async { "x".parse::<u32>() }, "parse", err).await
/// }));
/// assert!(recorded.output.is_err());
/// assert_eq!(recorded.tree(), "parse [failed]\n");
/// ```
#[derive(Clone, Copy, Debug, Default)]
pub struct FailOnErr;

impl<T, E> sealed::Sealed<Result<T, E>> for FailOnErr {
    #[inline(always)]
    fn outcome(&mut self, output: &Result<T, E>, _: SpanRef) -> Outcome {
        if output.is_err() { Outcome::Failed } else { Outcome::Completed }
    }
}

/// A closure that sees the output, and the span that is about to end. It is called only if the span is recorded.
///
/// ```
/// # if cfg!(not(feature = "enable")) { return; }
/// use spanring::prelude::*;
/// use spanring::testing;
///
/// # use futures_executor::block_on;
/// let recorded = block_on(testing::record_future(async {
///     // The closure becomes one.
///     instrument_named!(async { vec![1, 2] }, "load", |rows, span| {
///         span.record("rows", rows.len());
///     })
///     .await
/// }));
/// assert_eq!(recorded.spans[0].attributes, [("rows".to_owned(), "2".to_owned())]);
/// ```
#[derive(Clone, Copy, Debug)]
pub struct SeeOutput<C>(Option<C>);

impl<C> SeeOutput<C> {
    /// The closure for outputs of this type.
    #[inline(always)]
    pub(crate) fn new<T>(closure: C) -> Self
    where
        C: FnOnce(&T, &EndingSpan),
    {
        SeeOutput(Some(closure))
    }
}

impl<T, C: FnOnce(&T, &EndingSpan)> sealed::Sealed<T> for SeeOutput<C> {
    #[inline]
    fn outcome(&mut self, output: &T, span: SpanRef) -> Outcome {
        let span = EndingSpan { span, failed: Cell::new(false) };
        if let Some(closure) = self.0.take() {
            closure(output, &span);
        }
        if span.failed.get() { Outcome::Failed } else { Outcome::Completed }
    }
}

/// A span whose work is done, before its end is recorded.
///
/// ```
/// # if cfg!(not(feature = "enable")) { return; }
/// use spanring::prelude::*;
/// use spanring::spans::EndingSpan;
/// use spanring::testing;
///
/// fn see_status(status: &u16, span: &EndingSpan) {
///     span.record("status", *status);
///     if *status >= 500 {
///         span.fail();
///     }
/// }
///
/// # use futures_executor::block_on;
/// let recorded = block_on(testing::record_future(async {
///     instrument_named!(async { 200 }, "good", see_status).await;
///     instrument_named!(async { 503 }, "bad", see_status).await;
/// }));
/// assert_eq!(recorded.tree(), "good\nbad [failed]\n");
/// ```
#[derive(Debug)]
pub struct EndingSpan {
    span: SpanRef,
    failed: Cell<bool>,
}

impl EndingSpan {
    /// Records an attribute, as [`SpanRef::record`] does.
    ///
    /// ```
    /// # if cfg!(not(feature = "enable")) { return; }
    /// use spanring::prelude::*;
    /// use spanring::testing;
    ///
    /// # use futures_executor::block_on;
    /// let recorded = block_on(testing::record_future(async {
    ///     span_async_named!("load", async { vec![1, 2] }, |rows, span| {
    ///         span.record("rows", rows.len()).record("first", rows.first().copied());
    ///     })
    ///     .await
    /// }));
    /// let attributes = [("rows", "2"), ("first", "1")].map(|(key, value)| (key.to_owned(), value.to_owned()));
    /// assert_eq!(recorded.spans[0].attributes, attributes);
    /// ```
    #[inline]
    pub fn record(&self, key: &'static str, value: impl AttributeValue) -> &Self {
        self.span.record(key, value);
        self
    }

    /// The span will have ended as [failed](Outcome::Failed).
    ///
    /// ```
    /// # if cfg!(not(feature = "enable")) { return; }
    /// use spanring::prelude::*;
    /// use spanring::testing;
    ///
    /// # use futures_executor::block_on;
    /// let recorded = block_on(testing::record_future(async {
    ///     span_async_named!("find", async { None::<u32> }, |found, span| {
    ///         if found.is_none() {
    ///             span.fail();
    ///         }
    ///     })
    ///     .await
    /// }));
    /// assert_eq!(recorded.tree(), "find [failed]\n");
    /// ```
    #[inline]
    pub fn fail(&self) -> &Self {
        self.failed.set(true);
        self
    }
}
