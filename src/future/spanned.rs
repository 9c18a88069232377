//! The wrapper: a future, its site, and its span while it is open.

use super::attributes::{Attributes, WithAttributes};
use super::output::{EndingSpan, OnOutput, SeeOutput};
use super::site::{Named, SpanSite};
use super::state::FutureSpan;
use crate::events::{SpanLocation, SpanMetadata};
use crate::recorder::gate::looks_closer;
use crate::recorder::record::running_generation;
use crate::recorder::verdict::SiteVerdict;
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
    ///
    /// `O` is what looks at the future's output before the span ends.
    ///
    /// ```
    /// # if cfg!(not(feature = "enable")) { return; }
    /// use spanring::prelude::*;
    /// use spanring::testing;
    ///
    /// # use futures_executor::block_on;
    /// let recorded = block_on(testing::record_future(async {
    ///     let ready = span_async_named!("polled to its end", async { 42 });
    ///     let mut never = Box::pin(span_async_named!("dropped before", std::future::pending::<()>()));
    ///     assert_eq!(ready.await, 42);
    ///     assert!(std::future::poll_fn(|context| never.as_mut().poll(context).is_pending().into()).await);
    /// }));
    /// assert_eq!(recorded.tree(), "polled to its end\ndropped before [cancelled]\n");
    /// ```
    #[must_use = "futures do nothing unless polled"]
    pub struct Spanned<F, S: SpanSite, O = ()> {
        #[pin]
        future: ManuallyDrop<F>,
        span: FutureSpan<S>,
        on_output: Kept<O>,
    }

    impl<F, S: SpanSite, O> PinnedDrop for Spanned<F, S, O> {
        fn drop(this: Pin<&mut Self>) {
            let this = this.project();
            // Declared first, so dropped last: the work ends with the future's destructor, also if that panics.
            let _span = this.span.enter_to_drop();
            // SAFETY: this runs once, nothing uses the future afterwards, and it is dropped where it was pinned.
            unsafe { ManuallyDrop::drop(this.future.get_unchecked_mut()) }
        }
    }
}

#[cfg(feature = "enable")]
type Kept<O> = O;
#[cfg(not(feature = "enable"))]
type Kept<O> = std::marker::PhantomData<O>;

#[cfg(feature = "enable")]
fn kept<O>(on_output: O) -> Kept<O> {
    on_output
}

#[cfg(not(feature = "enable"))]
fn kept<O>(_: O) -> Kept<O> {
    std::marker::PhantomData
}

/// A future wrapped at a static site.
///
/// ```
/// use spanring::prelude::*;
///
/// static_span_desc!(SERVE, "serve");
///
/// // In a struct that names its types.
/// struct Serving {
///     response: InstrumentedFuture<std::future::Ready<u16>>,
/// }
///
/// let serving = Serving { response: std::future::ready(200).instrument(&SERVE) };
/// # use futures_executor::block_on;
/// assert_eq!(block_on(serving.response), 200);
/// ```
pub type InstrumentedFuture<F> = Spanned<F, &'static SpanMetadata>;
/// A future wrapped with a name.
///
/// ```
/// use spanring::prelude::*;
///
/// struct Serving {
///     response: InstrumentedNamedFuture<std::future::Ready<u16>, String>,
/// }
///
/// let path = "/users";
/// let serving = Serving { response: instrument_named!(std::future::ready(200), format!("GET {path}")) };
/// # use futures_executor::block_on;
/// assert_eq!(block_on(serving.response), 200);
/// ```
pub type InstrumentedNamedFuture<F, N = &'static str> = Spanned<F, Named<N>>;

impl<F> InstrumentedFuture<F> {
    /// Wraps `future`, as [`super::InstrumentFuture::instrument`] does.
    ///
    /// ```
    /// use spanring::prelude::*;
    ///
    /// static_span_desc!(LOAD, "load");
    /// let future = InstrumentedFuture::new(async { 42 }, &LOAD);
    /// # use futures_executor::block_on;
    /// assert_eq!(block_on(future), 42);
    /// ```
    #[inline]
    pub fn new(future: F, description: &'static SpanMetadata) -> Self {
        Spanned::wrap(future, Some(description), running_generation(), None)
    }

    /// The same at a site with a verdict.
    #[doc(hidden)]
    #[inline]
    pub fn with_verdict(future: F, description: &'static SpanMetadata, verdict: &SiteVerdict) -> Self {
        let generation = running_generation();
        let is_refused = looks_closer(generation) && verdict.is_known_as_refused();
        let site = if is_refused { None } else { Some(description) };
        Spanned::wrap(future, site, generation, Some(verdict))
    }
}

impl<F> InstrumentedNamedFuture<F> {
    /// Wraps `future`, as [`super::InstrumentFuture::instrument_named`] does.
    ///
    /// ```
    /// use spanring::prelude::*;
    ///
    /// static_span_location!(HERE);
    /// let future = InstrumentedNamedFuture::new(async { 42 }, &HERE, "load");
    /// # use futures_executor::block_on;
    /// assert_eq!(block_on(future), 42);
    /// ```
    #[inline]
    pub fn new(future: F, location: &'static SpanLocation, name: &'static str) -> Self {
        Spanned::wrap(future, Some(Named::at(location, name)), running_generation(), None)
    }
}

impl<F, N: super::SpanName> InstrumentedNamedFuture<F, N> {
    #[inline(always)]
    pub(super) fn by_function(future: F, location: &'static SpanLocation, name: N) -> Self {
        Spanned::wrap(future, Some(Named::at(location, name)), running_generation(), None)
    }

    /// With no name nothing is recorded. For the macros, which evaluate a name only while somebody records: in that generation, by that verdict.
    #[doc(hidden)]
    #[inline]
    pub fn with_name(
        future: F,
        location: &'static SpanLocation,
        name: Option<N>,
        generation: u64,
        verdict: &SiteVerdict,
    ) -> Self {
        Spanned::wrap(future, name.map(|name| Named::at(location, name)), generation, Some(verdict))
    }
}

impl<F, N: super::SpanName> Spanned<F, Named<N, &'static Caller<'static>>> {
    #[inline]
    pub(super) fn at_caller(future: F, caller: &'static Caller<'static>, name: N) -> Self {
        Spanned::wrap(future, Some(Named::at(caller, name)), running_generation(), None)
    }
}

impl<F, S: SpanSite> Spanned<F, S> {
    #[inline(always)]
    fn wrap(future: F, site: Option<S>, generation: u64, verdict: Option<&SiteVerdict>) -> Self {
        let span = FutureSpan::of_future(site, generation, verdict);
        Spanned { future: ManuallyDrop::new(future), span, on_output: Kept::default() }
    }
}

/// Wraps `future`, whose output `on_output` looks at; its site was made in that generation, by that verdict. For the macros.
#[doc(hidden)]
#[inline]
pub fn instrument_with<F: Future, S: SpanSite, O: OnOutput<F::Output>>(
    future: F,
    site: Option<S>,
    generation: u64,
    verdict: &SiteVerdict,
    on_output: O,
) -> Spanned<F, S, O> {
    let span = FutureSpan::of_future(site, generation, Some(verdict));
    Spanned { future: ManuallyDrop::new(future), span, on_output: kept(on_output) }
}

/// The same with a closure, of whose arguments nothing has to be said.
#[doc(hidden)]
#[inline]
pub fn instrument_seeing<F: Future, S: SpanSite, C: FnOnce(&F::Output, &EndingSpan)>(
    future: F,
    site: Option<S>,
    generation: u64,
    verdict: &SiteVerdict,
    closure: C,
) -> Spanned<F, S, SeeOutput<C>> {
    instrument_with(future, site, generation, verdict, SeeOutput::new(closure))
}

/// A place, a name and attributes, for the macros.
#[doc(hidden)]
#[inline]
pub fn named_with<N: super::SpanName, A: Attributes>(
    location: &'static SpanLocation,
    (name, attributes): (N, A),
) -> WithAttributes<Named<N>, A> {
    WithAttributes::new(Named::at(location, name), attributes)
}

/// A static site and attributes, for the macros.
#[doc(hidden)]
#[inline]
pub fn static_with<A: Attributes>(
    description: &'static SpanMetadata,
    attributes: A,
) -> WithAttributes<&'static SpanMetadata, A> {
    WithAttributes::new(description, attributes)
}

impl<F: Future, S: SpanSite, O: OnOutput<F::Output>> Future for Spanned<F, S, O> {
    type Output = F::Output;

    #[inline]
    fn poll(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<F::Output> {
        let this = self.project();
        // SAFETY: the projection through `ManuallyDrop` is structural, as its destructor above keeps the promise of a pin.
        let future = unsafe { this.future.map_unchecked_mut(|future| &mut **future) };
        #[cfg(feature = "enable")]
        let outcome = |output: &F::Output, span| this.on_output.outcome(output, span);
        #[cfg(not(feature = "enable"))]
        let outcome = |_: &F::Output, _| crate::events::Outcome::Completed;
        this.span.poll_in(|| future.poll(cx), outcome)
    }
}

impl<F, S: SpanSite, O> std::fmt::Debug for Spanned<F, S, O> {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Spanned").finish_non_exhaustive()
    }
}
