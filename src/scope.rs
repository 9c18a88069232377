//! Thread spans: guards that record a scope of one thread.

use crate::events::{SpanLocation, SpanMetadata};
use crate::future::SpanName;
use std::marker::PhantomData;

/// A thread span, from here to the end of its scope. [`crate::span_scope!`] and [`crate::span_scope_named!`] make one.
///
/// Its parent is the current async span; it is never a parent itself. It stays on its thread.
#[derive(Debug)]
#[must_use = "the span ends when this is dropped"]
pub struct ThreadSpanGuard<N: SpanName = &'static str> {
    _state: ScopeState<N>,
    /// Not `Send`: begin and end belong to one thread.
    _thread: PhantomData<*const ()>,
}

impl ThreadSpanGuard {
    /// Begins a span at a static site.
    #[inline]
    pub fn new(description: &'static SpanMetadata) -> Self {
        ThreadSpanGuard { _state: ScopeState::of_metadata(description), _thread: PhantomData }
    }
}

impl<N: SpanName> ThreadSpanGuard<N> {
    /// Begins a span of that name. With no name nothing is recorded: the macros evaluate one only while somebody records.
    #[inline]
    pub fn named(location: &'static SpanLocation, name: Option<N>) -> Self {
        ThreadSpanGuard { _state: ScopeState::named(location, name), _thread: PhantomData }
    }
}

#[cfg(feature = "enable")]
use enabled::ScopeState;

#[cfg(feature = "enable")]
mod enabled {
    use super::{SpanLocation, SpanMetadata, SpanName};
    use crate::events::Outcome;
    use crate::recorder::context::with_context;
    use crate::recorder::record::{Begun, Name, Site, Span, begin, end};

    #[derive(Debug)]
    pub(super) struct ScopeState<N: SpanName> {
        site: Site,
        name: Option<N>,
        open: Option<Open>,
    }

    #[derive(Clone, Copy, Debug)]
    struct Open {
        begun: Begun,
        parent: u64,
        depth: u16,
    }

    impl ScopeState<&'static str> {
        #[inline(always)]
        pub(super) fn of_metadata(description: &'static SpanMetadata) -> Self {
            let site = Site::Metadata(description);
            ScopeState { site, name: None, open: open(site, Name::OfSite) }
        }
    }

    impl<N: SpanName> ScopeState<N> {
        #[inline(always)]
        pub(super) fn named(location: &'static SpanLocation, name: Option<N>) -> Self {
            let site = Site::Location(location);
            let open = name.as_ref().and_then(|name| open(site, name.name()));
            ScopeState { site, name, open }
        }
    }

    #[inline(always)]
    fn open(site: Site, name: Name<'_>) -> Option<Open> {
        if !crate::recorder::record::recording() {
            return None;
        }
        let (parent, depth) = with_context(|context| (context.current().id, context.scope_depth.get()));
        let begun = begin(&Span { thread: true, site, name, parent, depth })?;
        with_context(|context| context.scope_depth.set(depth.saturating_add(1)));
        Some(Open { begun, parent, depth })
    }

    impl<N: SpanName> Drop for ScopeState<N> {
        #[inline(always)]
        fn drop(&mut self) {
            let Some(Open { begun, parent, depth }) = self.open else { return };
            with_context(|context| context.scope_depth.set(depth));
            let name = self.name.as_ref().map_or(Name::OfSite, |name| name.name());
            let outcome = if std::thread::panicking() { Outcome::Panicked } else { Outcome::Completed };
            end(&Span { thread: true, site: self.site, name, parent, depth }, begun, outcome, 0);
        }
    }
}

#[cfg(not(feature = "enable"))]
use disabled::ScopeState;

/// Without the feature `enable`: no bytes, no instructions.
#[cfg(not(feature = "enable"))]
mod disabled {
    use super::{PhantomData, SpanLocation, SpanMetadata, SpanName};

    #[derive(Debug)]
    pub(super) struct ScopeState<N: SpanName>(PhantomData<N>);

    impl ScopeState<&'static str> {
        #[inline(always)]
        pub(super) fn of_metadata(_: &'static SpanMetadata) -> Self {
            ScopeState(PhantomData)
        }
    }

    impl<N: SpanName> ScopeState<N> {
        #[inline(always)]
        pub(super) fn named(_: &'static SpanLocation, _: Option<N>) -> Self {
            ScopeState(PhantomData)
        }
    }
}
