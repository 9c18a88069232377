//! The two kinds of site that a wrapped future has: a static description, or a location and a name.

use super::name::SpanName;
use crate::events::{SpanLocation, SpanMetadata};
use crate::recorder::record::{Name, Site};
use std::panic::Location as Caller;

/// Where a wrapped future stands, and what it is called: `&'static SpanMetadata`, or [`Named`].
///
/// ```
/// use spanring::prelude::*;
/// use spanring::spans::{SpanSite, Spanned};
///
/// // Whatever the site is.
/// struct Job<F, S: SpanSite> {
///     work: Spanned<F, S>,
/// }
///
/// static_span_desc!(COUNT, "count");
/// let by_description = Job { work: async { 42 }.instrument(&COUNT) };
/// let by_name = Job { work: instrument_named!(async { 42 }, "count") };
/// ```
pub trait SpanSite: sealed::Sealed {}

impl<T: sealed::Sealed> SpanSite for T {}

pub(crate) mod sealed {
    use super::{Name, Site};

    pub trait Sealed {
        #[doc(hidden)]
        fn site(&self) -> Site<'_>;

        #[doc(hidden)]
        fn name(&self) -> Name<'_>;

        /// How many attributes the span is made with.
        #[doc(hidden)]
        #[inline(always)]
        fn attributes(&self) -> u32 {
            0
        }

        /// Records them as those of the span with this id, which began at that time.
        #[doc(hidden)]
        #[inline(always)]
        fn record_attributes(&self, _span: u64, _ticks: u64, _generation: u64) {}
    }
}

impl sealed::Sealed for &'static SpanMetadata {
    #[inline(always)]
    fn site(&self) -> Site<'_> {
        Site::Metadata(self)
    }

    #[inline(always)]
    fn name(&self) -> Name<'_> {
        Name::OfSite
    }
}

/// A place in the program that does not name the spans there.
///
/// ```
/// use spanring::spans::{Named, NamedPlace, Spanned, span_async_named};
///
/// // Whatever the place is: here, that of the call.
/// fn boxed<F: Future<Output = u32> + 'static, P: NamedPlace + 'static>(
///     future: Spanned<F, Named<&'static str, P>>,
/// ) -> std::pin::Pin<Box<dyn Future<Output = u32>>> {
///     Box::pin(future)
/// }
/// let future = boxed(span_async_named("count", async { 42 }));
/// # use futures_executor::block_on;
/// assert_eq!(block_on(future), 42);
/// ```
pub trait NamedPlace: sealed_place::Sealed {}

impl<T: sealed_place::Sealed> NamedPlace for T {}

mod sealed_place {
    use super::Site;

    pub trait Sealed {
        #[doc(hidden)]
        fn site(&self) -> Site<'_>;
    }
}

impl sealed_place::Sealed for &'static SpanLocation {
    #[inline(always)]
    fn site(&self) -> Site<'_> {
        Site::Location(self)
    }
}

impl sealed_place::Sealed for &'static Caller<'static> {
    #[inline(always)]
    fn site(&self) -> Site<'_> {
        Site::Caller(self)
    }
}

/// A place and a name. What sort of place it is, the type says: the recording path asks nothing that is known when compiling.
///
/// ```
/// use spanring::prelude::*;
/// use spanring::spans::{Named, Spanned};
///
/// // The type of a future with a name that is made at run time.
/// fn count(shard: u32) -> Spanned<std::future::Ready<u32>, Named<String>> {
///     instrument_named!(std::future::ready(42), format!("count shard {shard}"))
/// }
/// # use futures_executor::block_on;
/// assert_eq!(block_on(count(3)), 42);
/// ```
#[derive(Clone, Copy, Debug)]
pub struct Named<N, P = &'static SpanLocation> {
    place: P,
    name: N,
}

impl<N, P: NamedPlace> Named<N, P> {
    #[inline(always)]
    pub(crate) fn at(place: P, name: N) -> Named<N, P> {
        Named { place, name }
    }
}

impl<N: SpanName, P: NamedPlace> sealed::Sealed for Named<N, P> {
    #[inline(always)]
    fn site(&self) -> Site<'_> {
        self.place.site()
    }

    #[inline(always)]
    fn name(&self) -> Name<'_> {
        self.name.name()
    }
}
