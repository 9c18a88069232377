//! The current span of a thread, and carrying it from one task to another.

#[cfg(feature = "enable")]
use crate::recorder::context::Depth;
use crate::recorder::context::{CurrentSpan, this_thread};
use crate::recorder::sampling::UNSAMPLED_SPAN;
use pin_project_lite::pin_project;
use std::future::Future;
use std::pin::Pin;
use std::task::{Context, Poll};

/// The id of the async span in which this code runs, unique in the process; `None` outside of any, and in one that is not
/// [sampled](crate::Builder::sampling).
///
/// Thread spans are never current: they take the current async span as their parent.
///
/// ```
/// # if cfg!(not(feature = "enable")) { return; }
/// use spanring::prelude::*;
/// use spanring::testing;
///
/// assert_eq!(current_span_id(), None);
///
/// # use futures_executor::block_on;
/// let recorded = block_on(testing::record_future(async {
///     span_async_named!("load", async { current_span_id() }).await
/// }));
/// assert!(recorded.output.is_some());
/// ```
pub fn current_span_id() -> Option<u64> {
    if !cfg!(feature = "enable") {
        return None;
    }
    Some(this_thread().current().id).filter(|id| is_recorded(*id))
}

/// Whether there is anything in the recording of a span of this id.
pub(super) fn is_recorded(id: u64) -> bool {
    id != 0 && id != UNSAMPLED_SPAN
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

/// The current span as a value, to be carried to where its work goes on: another thread, a pool, a callback.
///
/// Futures carry it by themselves, or by [`with_current_span`]. What is done in it records nothing, but is its child if it does.
///
/// ```
/// use spanring::prelude::*;
/// use spanring::spans::SpanContext;
///
/// # let run = |future: std::pin::Pin<Box<dyn Future<Output = i32>>>| {
/// #     let mut context = std::task::Context::from_waker(std::task::Waker::noop());
/// #     let mut future = future;
/// #     future.as_mut().poll(&mut context)
/// # };
/// let sum = span_async_named!("sum", async {
///     let here = SpanContext::current();
///     let parts = [1, 2, 3].map(|part| std::thread::spawn(move || here.enter(|| {
///         span_scope!("part"); // a child of the span `sum`
///         part
///     })));
///     parts.into_iter().map(|part| part.join().unwrap()).sum()
/// });
/// # assert_eq!(run(Box::pin(sum)), std::task::Poll::Ready(6));
/// ```
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct SpanContext {
    #[cfg(feature = "enable")]
    span: CurrentSpan,
}

impl SpanContext {
    /// The span that is current here; without one, a context outside of any.
    ///
    /// ```
    /// use spanring::spans::SpanContext;
    ///
    /// // Outside of any span.
    /// assert_eq!(SpanContext::current(), SpanContext::none());
    /// ```
    #[inline]
    pub fn current() -> SpanContext {
        SpanContext {
            #[cfg(feature = "enable")]
            span: current(),
        }
    }

    /// A context outside of any span.
    ///
    /// ```
    /// # if cfg!(not(feature = "enable")) { return; }
    /// use spanring::prelude::*;
    /// use spanring::spans::SpanContext;
    /// use spanring::testing;
    ///
    /// # use futures_executor::block_on;
    /// let recorded = block_on(testing::record_future(async {
    ///     span_async_named!("request", async {
    ///         // Work that belongs to no request.
    ///         SpanContext::none().enter(current_span_id)
    ///     })
    ///     .await
    /// }));
    /// assert_eq!(recorded.output, None);
    /// ```
    #[inline]
    pub const fn none() -> SpanContext {
        SpanContext {
            #[cfg(feature = "enable")]
            span: CurrentSpan { id: 0, next_depth: Depth::ROOT },
        }
    }

    #[cfg(feature = "enable")]
    pub(crate) fn of(span: CurrentSpan) -> SpanContext {
        SpanContext { span }
    }

    #[cfg(feature = "enable")]
    pub(crate) fn span(&self) -> CurrentSpan {
        self.span
    }

    /// Makes this span the current one of this thread, and returns what was current until now: for whoever is told of entering and
    /// leaving by two calls, and makes that current again in the second. Wherever one call is enough, [`SpanContext::enter`] cannot
    /// forget it.
    ///
    /// ```
    /// use spanring::prelude::*;
    /// use spanring::spans::SpanContext;
    ///
    /// struct Hooks {
    ///     span: SpanContext,
    ///     before: SpanContext,
    /// }
    ///
    /// impl Hooks {
    ///     fn on_enter(&mut self) {
    ///         self.before = self.span.make_current();
    ///     }
    ///
    ///     fn on_leave(&mut self) {
    ///         self.before.make_current();
    ///     }
    /// }
    ///
    /// let mut hooks = Hooks { span: SpanContext::current(), before: SpanContext::none() };
    /// hooks.on_enter();
    /// span_scope!("task"); // a child of the span in which the hooks were made
    /// hooks.on_leave();
    /// assert_eq!(SpanContext::current(), SpanContext::none());
    /// ```
    #[inline]
    pub fn make_current(self) -> SpanContext {
        let before = SpanContext::current();
        #[cfg(feature = "enable")]
        this_thread().set_current(self.span);
        before
    }

    /// Runs `f` in this span. Afterwards, or if it panics, the span that is current now is so again.
    ///
    /// ```
    /// # if cfg!(not(feature = "enable")) { return; }
    /// use spanring::prelude::*;
    /// use spanring::spans::SpanContext;
    /// use spanring::testing;
    ///
    /// # use futures_executor::block_on;
    /// let recorded = block_on(testing::record_future(async {
    ///     span_async_named!("request", async {
    ///         let request = SpanContext::current();
    ///         let callback = move || request.enter(|| {
    ///             span_scope!("callback");
    ///         });
    ///         std::thread::spawn(callback).join().unwrap();
    ///     })
    ///     .await;
    /// }));
    /// assert_eq!(recorded.tree(), "request\n  callback (thread)\n");
    /// ```
    #[inline]
    pub fn enter<R>(&self, f: impl FnOnce() -> R) -> R {
        #[cfg(feature = "enable")]
        let _entered = Entered::new(self.span);
        f()
    }
}

/// Wraps a closure so that wherever it is called, it runs in the span that is current now: for `spawn_blocking`, `std::thread::spawn`,
/// `rayon::spawn`.
///
/// ```no_run
/// use spanring::spans::in_current_span;
///
/// # fn checksum() -> u32 { 0 }
/// let thread = std::thread::spawn(in_current_span(checksum));
/// ```
pub fn in_current_span<R>(f: impl FnOnce() -> R) -> impl FnOnce() -> R {
    let context = SpanContext::current();
    move || context.enter(f)
}

pin_project! {
    /// A future that runs in the span in which it was wrapped. See [`with_current_span`].
    ///
    /// ```
    /// use spanring::spans::{WithCurrentSpan, with_current_span};
    ///
    /// type Boxed = std::pin::Pin<Box<dyn Future<Output = u32> + Send>>;
    ///
    /// let work: Boxed = Box::pin(async { 42 });
    /// let job: WithCurrentSpan<Boxed> = with_current_span(work);
    /// # use futures_executor::block_on;
    /// assert_eq!(block_on(job), 42);
    /// ```
    #[derive(Debug)]
    #[must_use = "futures do nothing unless polled"]
    pub struct WithCurrentSpan<F> {
        #[pin]
        future: F,
        context: SpanContext,
    }
}

/// Wraps a future so that wherever it is polled, the span that is current now is current: spans created in it are children of
/// that span. It records nothing itself.
///
/// For handing un-instrumented work to any executor. An instrumented future needs no such help: its parent is the span in which
/// it was created.
///
/// ```
/// # if cfg!(not(feature = "enable")) { return; }
/// use spanring::prelude::*;
/// use spanring::testing;
///
/// # use futures_executor::block_on;
/// let recorded = block_on(testing::record_future(async {
///     span_async_named!("request", async {
///         let job = with_current_span(async {
///             span_async_named!("job", async {}).await;
///         });
///         // Wherever it is polled, here by another thread.
///         std::thread::spawn(|| block_on(job)).join().unwrap();
///     })
///     .await;
/// }));
/// assert_eq!(recorded.tree(), "request\n  job\n");
/// ```
pub fn with_current_span<F: Future>(future: F) -> WithCurrentSpan<F> {
    WithCurrentSpan { future, context: SpanContext::current() }
}

impl<F: Future> Future for WithCurrentSpan<F> {
    type Output = F::Output;

    fn poll(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<F::Output> {
        let this = self.project();
        this.context.enter(|| this.future.poll(cx))
    }
}
