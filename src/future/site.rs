//! The two kinds of site that a wrapped future has: a static description, or a location and a name.

use super::name::SpanName;
use crate::events::{SpanLocation, SpanMetadata};
use crate::recorder::record::{Name, Site};
use std::panic::Location as Caller;

/// Where a wrapped future stands, and what it is called: `&'static SpanMetadata`, or [`Named`].
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
