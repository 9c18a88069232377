//! What is made of a future's output before its span ends.

use super::attributes::{AttributeValue, SpanRef};
use crate::events::Outcome;
use std::cell::Cell;

/// What looks at the output of an instrumented future: nothing, `()`; [`FailOnErr`]; or a closure.
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
#[derive(Clone, Copy, Debug, Default)]
pub struct FailOnErr;

impl<T, E> sealed::Sealed<Result<T, E>> for FailOnErr {
    #[inline(always)]
    fn outcome(&mut self, output: &Result<T, E>, _: SpanRef) -> Outcome {
        if output.is_err() { Outcome::Failed } else { Outcome::Completed }
    }
}

/// A closure that sees the output, and the span that is about to end. It is called only if the span is recorded.
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
#[derive(Debug)]
pub struct EndingSpan {
    span: SpanRef,
    failed: Cell<bool>,
}

impl EndingSpan {
    /// Records an attribute, as [`SpanRef::record`] does.
    #[inline]
    pub fn record(&self, key: &'static str, value: impl AttributeValue) -> &Self {
        self.span.record(key, value);
        self
    }

    /// The span will have ended as [failed](Outcome::Failed).
    #[inline]
    pub fn fail(&self) -> &Self {
        self.failed.set(true);
        self
    }
}
