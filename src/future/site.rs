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
        /// `None`: nobody recorded when the name would have been evaluated, so there is none.
        #[doc(hidden)]
        fn site(&self) -> Option<(Site, Name<'_>)>;
    }
}

impl sealed::Sealed for &'static SpanMetadata {
    #[inline(always)]
    fn site(&self) -> Option<(Site, Name<'_>)> {
        Some((Site::Metadata(self), Name::OfSite))
    }
}

/// A location, and a name unless nobody recorded when it would have been evaluated.
#[derive(Clone, Copy, Debug)]
pub struct Named<N> {
    location: Location,
    name: Option<N>,
}

#[derive(Clone, Copy, Debug)]
enum Location {
    Static(&'static SpanLocation),
    Caller(&'static Caller<'static>),
}

impl<N> Named<N> {
    #[inline(always)]
    pub(super) fn at(location: &'static SpanLocation, name: Option<N>) -> Named<N> {
        Named { location: Location::Static(location), name }
    }

    #[inline(always)]
    pub(super) fn at_caller(caller: &'static Caller<'static>, name: Option<N>) -> Named<N> {
        Named { location: Location::Caller(caller), name }
    }
}

impl<N: SpanName> sealed::Sealed for Named<N> {
    #[inline(always)]
    fn site(&self) -> Option<(Site, Name<'_>)> {
        let site = match self.location {
            Location::Static(location) => Site::Location(location),
            Location::Caller(caller) => Site::Caller(caller),
        };
        Some((site, self.name.as_ref()?.name()))
    }
}
