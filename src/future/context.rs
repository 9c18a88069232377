//! The current span of a thread, and carrying it from one task to another.

use crate::recorder::context::{CurrentSpan, this_thread};
use pin_project_lite::pin_project;
use std::future::Future;
use std::pin::Pin;
use std::task::{Context, Poll};

/// The id of the async span in which this code runs, unique in the process; `None` outside of any.
///
/// Thread spans are never current: they take the current async span as their parent.
pub fn current_span_id() -> Option<u64> {
    if !cfg!(feature = "enable") {
        return None;
    }
    Some(this_thread().current().id).filter(|id| *id != 0)
}

/// The current span, to be captured where a wrapper is made.
#[inline(always)]
pub(crate) fn current() -> CurrentSpan {
    this_thread().current()
}

/// Makes `span` current until the guard is dropped, by return or by unwinding. No reference into the thread's context is held.
pub(crate) struct Entered {
    before: CurrentSpan,
}

impl Entered {
    #[inline(always)]
    pub(crate) fn new(span: CurrentSpan) -> Entered {
        let context = this_thread();
        let before = context.current();
        context.set_current(span);
        Entered { before }
    }
}

impl Drop for Entered {
    #[inline(always)]
    fn drop(&mut self) {
        this_thread().set_current(self.before);
    }
}

pin_project! {
    /// A future that runs in the span in which it was wrapped. See [`with_current_span`].
    #[derive(Debug)]
    #[must_use = "futures do nothing unless polled"]
    pub struct WithCurrentSpan<F> {
        #[pin]
        future: F,
        span: Captured,
    }
}

#[cfg(feature = "enable")]
type Captured = CurrentSpan;
#[cfg(not(feature = "enable"))]
type Captured = ();

/// Wraps a future so that wherever it is polled, the span that is current now is current: spans created in it are children of
/// that span. It records nothing itself.
///
/// For handing un-instrumented work to any executor. An instrumented future needs no such help: its parent is the span in which
/// it was created.
pub fn with_current_span<F: Future>(future: F) -> WithCurrentSpan<F> {
    #[cfg(feature = "enable")]
    let span = current();
    #[cfg(not(feature = "enable"))]
    let span = ();
    WithCurrentSpan { future, span }
}

impl<F: Future> Future for WithCurrentSpan<F> {
    type Output = F::Output;

    fn poll(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<F::Output> {
        let this = self.project();
        #[cfg(feature = "enable")]
        let _entered = Entered::new(*this.span);
        this.future.poll(cx)
    }
}
