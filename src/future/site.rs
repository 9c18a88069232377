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
        fn site(&self) -> Site;

        #[doc(hidden)]
        fn name(&self) -> Name<'_>;
    }
}

impl sealed::Sealed for &'static SpanMetadata {
    #[inline(always)]
    fn site(&self) -> Site {
        Site::Metadata(self)
    }

    #[inline(always)]
    fn name(&self) -> Name<'_> {
        Name::OfSite
    }
}

/// A location and a name.
#[derive(Clone, Copy, Debug)]
pub struct Named<N> {
    location: Location,
    name: N,
}

#[derive(Clone, Copy, Debug)]
#[repr(u8)]
enum Location {
    Static(&'static SpanLocation),
    Caller(&'static Caller<'static>),
}

impl<N> Named<N> {
    #[inline(always)]
    pub(crate) fn at(location: &'static SpanLocation, name: N) -> Named<N> {
        Named { location: Location::Static(location), name }
    }

    #[inline(always)]
    pub(super) fn at_caller(caller: &'static Caller<'static>, name: N) -> Named<N> {
        Named { location: Location::Caller(caller), name }
    }
}

impl<N: SpanName> sealed::Sealed for Named<N> {
    #[inline(always)]
    fn site(&self) -> Site {
        match self.location {
            Location::Static(location) => Site::Location(location),
            Location::Caller(caller) => Site::Caller(caller),
        }
    }

    #[inline(always)]
    fn name(&self) -> Name<'_> {
        self.name.name()
    }
}
