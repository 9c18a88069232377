//! The wrapper: a future, its site, and its span while it is open.

use super::site::{Named, SpanSite};
use crate::events::{SpanLocation, SpanMetadata};
use pin_project_lite::pin_project;
use std::future::Future;
use std::mem::ManuallyDrop;
use std::panic::Location as Caller;
use std::pin::Pin;
use std::task::{Context, Poll};

pin_project! {
    /// A future that is recorded as a span, from its first poll to its end.
    ///
    /// The begin is written at the first poll, the end when the future returns `Ready` (*completed*), when a poll panics
    /// (*panicked*), or when it is dropped before (*cancelled*). A future that is never polled leaves nothing. Parent and depth are
    /// those at creation, so a future that is created in a span and then spawned belongs to that span. While it is polled or
    /// dropped, it is the current span.
    #[must_use = "futures do nothing unless polled"]
    pub struct Spanned<F, S: SpanSite> {
        #[pin]
        future: ManuallyDrop<F>,
        span: SpanState<S>,
    }

    impl<F, S: SpanSite> PinnedDrop for Spanned<F, S> {
        fn drop(this: Pin<&mut Self>) {
            let this = this.project();
            // Declared first, so dropped last: the work ends with the future's destructor, also if that panics.
            let _span = this.span.enter_to_drop();
            // SAFETY: this runs once, nothing uses the future afterwards, and it is dropped where it was pinned.
            unsafe { ManuallyDrop::drop(this.future.get_unchecked_mut()) }
        }
    }
}

/// A future wrapped at a static site.
pub type InstrumentedFuture<F> = Spanned<F, &'static SpanMetadata>;
/// A future wrapped with a name.
pub type InstrumentedNamedFuture<F, N = &'static str> = Spanned<F, Named<N>>;

impl<F> InstrumentedFuture<F> {
    /// Wraps `future`, as [`super::InstrumentFuture::instrument`] does.
    #[inline]
    pub fn new(future: F, description: &'static SpanMetadata) -> Self {
        Spanned::wrap(future, description)
    }
}

impl<F> InstrumentedNamedFuture<F> {
    /// Wraps `future`, as [`super::InstrumentFuture::instrument_named`] does.
    #[inline]
    pub fn new(future: F, location: &'static SpanLocation, name: &'static str) -> Self {
        Self::with_name(future, location, Some(name))
    }
}

impl<F, N: super::SpanName> InstrumentedNamedFuture<F, N> {
    /// With no name nothing is recorded. For the macros, which evaluate a name only while somebody records.
    #[doc(hidden)]
    #[inline]
    pub fn with_name(future: F, location: &'static SpanLocation, name: Option<N>) -> Self {
        Spanned::wrap(future, Named::at(location, name))
    }

    #[inline]
    pub(super) fn at_caller(future: F, caller: &'static Caller<'static>, name: N) -> Self {
        Spanned::wrap(future, Named::at_caller(caller, Some(name)))
    }
}

impl<F, S: SpanSite> Spanned<F, S> {
    #[inline]
    fn wrap(future: F, site: S) -> Self {
        Spanned { future: ManuallyDrop::new(future), span: SpanState::new(site) }
    }
}

impl<F: Future, S: SpanSite> Future for Spanned<F, S> {
    type Output = F::Output;

    #[inline]
    fn poll(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<F::Output> {
        let this = self.project();
        // SAFETY: the projection through `ManuallyDrop` is structural, as its destructor above keeps the promise of a pin.
        let future = unsafe { this.future.map_unchecked_mut(|future| &mut **future) };
        this.span.poll_in(|| future.poll(cx))
    }
}

impl<F, S: SpanSite> std::fmt::Debug for Spanned<F, S> {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Spanned").finish_non_exhaustive()
    }
}

#[cfg(feature = "enable")]
use enabled::SpanState;

#[cfg(feature = "enable")]
mod enabled {
    use super::SpanSite;
    use crate::events::Outcome;
    use crate::future::context::{Entered, current};
    use crate::recorder::context::CurrentSpan;
    use crate::recorder::record::{Begun, Span, begin, end, recording};
    use std::task::Poll;

    /// The span of a wrapped future.
    pub(super) struct SpanState<S> {
        site: S,
        /// The span in which the wrapper was made, and its own depth.
        parent: CurrentSpan,
        phase: Phase,
        /// Saturating.
        polls: u32,
    }

    enum Phase {
        /// Never polled.
        Fresh,
        /// Polled at least once while recorded.
        Open(Begun),
        /// Ended; or not recorded at its first poll, and so never.
        Closed,
    }

    impl<S: SpanSite> SpanState<S> {
        #[inline(always)]
        pub(super) fn new(site: S) -> SpanState<S> {
            let parent = if recording() { current() } else { CurrentSpan::default() };
            SpanState { site, parent, phase: Phase::Fresh, polls: 0 }
        }

        /// Polls in the span, which is begun and ended as needed.
        #[inline(always)]
        pub(super) fn poll_in<T>(&mut self, poll: impl FnOnce() -> Poll<T>) -> Poll<T> {
            if let Phase::Fresh = self.phase {
                self.begin();
            }
            let Phase::Open(begun) = self.phase else { return poll() };
            self.polls = self.polls.saturating_add(1);
            let entered = Entered::new(self.current(begun));
            let unwinding = EndOnUnwind(self);
            let result = poll();
            std::mem::forget(unwinding);
            drop(entered);
            if result.is_ready() {
                self.end(Outcome::Completed);
            }
            result
        }

        /// Makes the span current while its future is dropped. The guard ends it, if it is open.
        #[inline(always)]
        pub(super) fn enter_to_drop(&mut self) -> Option<Dropping<'_, S>> {
            let Phase::Open(begun) = self.phase else { return None };
            let entered = Entered::new(self.current(begun));
            Some(Dropping { span: self, _entered: entered })
        }

        /// What is current inside of this span.
        #[inline(always)]
        fn current(&self, begun: Begun) -> CurrentSpan {
            CurrentSpan { id: begun.id, next_depth: self.parent.next_depth.saturating_add(1) }
        }

        #[inline(always)]
        fn begin(&mut self) {
            let begun = self.span().and_then(|span| begin(&span));
            self.phase = begun.map_or(Phase::Closed, Phase::Open);
        }

        #[inline(always)]
        fn end(&mut self, outcome: Outcome) {
            if let Phase::Open(begun) = std::mem::replace(&mut self.phase, Phase::Closed) {
                if let Some(span) = self.span() {
                    end(&span, begun, outcome, self.polls);
                }
            }
        }

        #[inline(always)]
        fn span(&self) -> Option<Span<'_>> {
            let (site, name) = self.site.site()?;
            Some(Span { thread: false, site, name, parent: self.parent.id, depth: self.parent.next_depth })
        }
    }

    /// Ends the span as panicked if its poll unwinds.
    struct EndOnUnwind<'a, S: SpanSite>(&'a mut SpanState<S>);

    impl<S: SpanSite> Drop for EndOnUnwind<'_, S> {
        #[cold]
        fn drop(&mut self) {
            self.0.end(Outcome::Panicked);
        }
    }

    /// Ends the span as cancelled once its future is dropped.
    pub(super) struct Dropping<'a, S: SpanSite> {
        span: &'a mut SpanState<S>,
        _entered: Entered,
    }

    impl<S: SpanSite> Drop for Dropping<'_, S> {
        fn drop(&mut self) {
            self.span.end(Outcome::Cancelled);
        }
    }
}

#[cfg(not(feature = "enable"))]
use disabled::SpanState;

/// Without the feature `enable`: no bytes, no instructions.
#[cfg(not(feature = "enable"))]
mod disabled {
    use super::SpanSite;
    use std::marker::PhantomData;
    use std::task::Poll;

    pub(super) struct SpanState<S>(PhantomData<S>);

    impl<S: SpanSite> SpanState<S> {
        #[inline(always)]
        pub(super) fn new(_: S) -> SpanState<S> {
            SpanState(PhantomData)
        }

        #[inline(always)]
        pub(super) fn poll_in<T>(&mut self, poll: impl FnOnce() -> Poll<T>) -> Poll<T> {
            poll()
        }

        #[inline(always)]
        pub(super) fn enter_to_drop(&mut self) -> Option<()> {
            None
        }
    }
}
