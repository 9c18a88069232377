//! The wrapper: a future, its site, and its span while it is open.

use super::site::{Named, SpanSite};
use super::state::FutureSpan;
use crate::events::{SpanLocation, SpanMetadata};
use crate::recorder::record::running_generation;
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
    /// those at creation, so a future that is created in a span and then spawned belongs to that span; one that is created while
    /// nobody records belongs to none. While it is polled or dropped, it is the current span.
    #[must_use = "futures do nothing unless polled"]
    pub struct Spanned<F, S: SpanSite> {
        #[pin]
        future: ManuallyDrop<F>,
        span: FutureSpan<S>,
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
        Spanned::wrap(future, Some(description), running_generation())
    }
}

impl<F> InstrumentedNamedFuture<F> {
    /// Wraps `future`, as [`super::InstrumentFuture::instrument_named`] does.
    #[inline]
    pub fn new(future: F, location: &'static SpanLocation, name: &'static str) -> Self {
        Self::with_name(future, location, Some(name), running_generation())
    }
}

impl<F, N: super::SpanName> InstrumentedNamedFuture<F, N> {
    /// With no name nothing is recorded. For the macros, which evaluate a name only while somebody records: in that generation.
    #[doc(hidden)]
    #[inline]
    pub fn with_name(future: F, location: &'static SpanLocation, name: Option<N>, generation: u64) -> Self {
        Spanned::wrap(future, name.map(|name| Named::at(location, name)), generation)
    }
}

impl<F, N: super::SpanName> Spanned<F, Named<N, &'static Caller<'static>>> {
    #[inline]
    pub(super) fn at_caller(future: F, caller: &'static Caller<'static>, name: N) -> Self {
        Spanned::wrap(future, Some(Named::at(caller, name)), running_generation())
    }
}

impl<F, S: SpanSite> Spanned<F, S> {
    #[inline(always)]
    fn wrap(future: F, site: Option<S>, generation: u64) -> Self {
        Spanned { future: ManuallyDrop::new(future), span: FutureSpan::of_future(site, generation) }
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
