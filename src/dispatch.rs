//! Recording by hand: what the wrappers, guards and macros call, for code that pairs begins and ends itself.
//!
//! Prefer the wrappers: they cannot forget an end. An async begin returns the span's id, which its end has to be given; id 0 means
//! that nobody records. [`OpenSpan`] is such a span as a value, which knows when it began. Thread spans nest, up to 128 deep: each end
//! closes the innermost open begin of its thread.

use crate::events::{SpanLocation, SpanMetadata};
pub use crate::future::OpenSpan;
use crate::future::{SpanName, SpanRef, instant_by_hand};
use crate::recorder::record::{Name, Site};

/// Begins an async span at a static site. Returns its id, 0 if nobody records.
///
/// ```
/// # if cfg!(not(feature = "enable")) { return; }
/// use spanring::dispatch::{on_begin_async_scope, on_end_async_scope};
/// use spanring::prelude::*;
/// use spanring::testing;
///
/// static_span_desc!(TRANSFER, "transfer");
/// let recorded = testing::record(|| {
///     let parent = current_span_id().unwrap_or(0);
///     let id = on_begin_async_scope(&TRANSFER, parent, 0);
///     // .. until somebody says that it is over
///     on_end_async_scope(id, parent, &TRANSFER, 0);
/// });
/// assert_eq!(recorded.tree(), "transfer\n");
/// ```
#[inline]
pub fn on_begin_async_scope(scope: &'static SpanMetadata, parent_span_id: u64, depth: u32) -> u64 {
    by_hand::begin_async(Site::Metadata(&scope), Name::OfSite, parent_span_id, depth)
}

/// Ends an async span at a static site as completed.
///
/// ```
/// # if cfg!(not(feature = "enable")) { return; }
/// use spanring::dispatch::{on_begin_async_scope, on_end_async_scope};
/// use spanring::prelude::*;
/// use spanring::testing;
///
/// static_span_desc!(TRANSFER, "transfer");
/// let recorded = testing::record(|| {
///     let parent = current_span_id().unwrap_or(0);
///     let id = on_begin_async_scope(&TRANSFER, parent, 0);
///     // Another thread may end it.
///     std::thread::spawn(move || on_end_async_scope(id, parent, &TRANSFER, 0)).join().unwrap();
/// });
/// assert_eq!(recorded.tree(), "transfer\n");
/// ```
#[inline]
pub fn on_end_async_scope(span_id: u64, parent_span_id: u64, scope: &'static SpanMetadata, depth: u32) {
    by_hand::end_async(span_id, Site::Metadata(&scope), Name::OfSite, parent_span_id, depth);
}

/// Begins a named async span. Returns its id, 0 if nobody records.
///
/// ```
/// # if cfg!(not(feature = "enable")) { return; }
/// use spanring::dispatch::{on_begin_async_named_scope, on_end_async_named_scope};
/// use spanring::prelude::*;
/// use spanring::testing;
///
/// static_span_location!(HERE);
/// let recorded = testing::record(|| {
///     let parent = current_span_id().unwrap_or(0);
///     let upload = on_begin_async_named_scope(&HERE, "upload", parent, 0);
///     let part = on_begin_async_named_scope(&HERE, "part", upload, 1);
///     on_end_async_named_scope(part, upload, &HERE, "part", 1);
///     on_end_async_named_scope(upload, parent, &HERE, "upload", 0);
/// });
/// assert_eq!(recorded.tree(), "upload\n  part\n");
/// ```
#[inline]
pub fn on_begin_async_named_scope(
    span_location: &'static SpanLocation,
    name: &'static str,
    parent_span_id: u64,
    depth: u32,
) -> u64 {
    by_hand::begin_async(Site::Location(&span_location), Name::Static(&name), parent_span_id, depth)
}

/// Ends a named async span as completed.
///
/// ```
/// # if cfg!(not(feature = "enable")) { return; }
/// use spanring::dispatch::{on_begin_async_named_scope, on_end_async_named_scope};
/// use spanring::prelude::*;
/// use spanring::testing;
///
/// static_span_location!(HERE);
/// let recorded = testing::record(|| {
///     let parent = current_span_id().unwrap_or(0);
///     let [first, second] = ["first", "second"].map(|name| on_begin_async_named_scope(&HERE, name, parent, 0));
///     // In any order; what is never ended stays open.
///     on_end_async_named_scope(second, parent, &HERE, "second", 0);
///     first
/// });
/// assert_eq!(recorded.tree(), "first [open]\nsecond\n");
/// ```
#[inline]
pub fn on_end_async_named_scope(
    span_id: u64,
    parent_span_id: u64,
    span_location: &'static SpanLocation,
    name: &'static str,
    depth: u32,
) {
    by_hand::end_async(span_id, Site::Location(&span_location), Name::Static(&name), parent_span_id, depth);
}

/// Begins a thread span at a static site.
///
/// ```
/// # if cfg!(not(feature = "enable")) { return; }
/// use spanring::dispatch::{on_begin_scope, on_end_scope};
/// use spanring::prelude::*;
/// use spanring::testing;
///
/// static_span_desc!(PARSE, "parse");
/// let recorded = testing::record(|| {
///     on_begin_scope(&PARSE);
///     {
///         span_scope!("header");
///     }
///     on_end_scope(&PARSE);
/// });
/// assert_eq!(recorded.tree(), "parse (thread)\n  header (thread)\n");
/// ```
#[inline]
pub fn on_begin_scope(scope: &'static SpanMetadata) {
    by_hand::begin_thread(Site::Metadata(&scope), Name::OfSite);
}

/// Ends a thread span at a static site.
///
/// ```
/// # if cfg!(not(feature = "enable")) { return; }
/// use spanring::dispatch::{on_begin_scope, on_end_scope};
/// use spanring::prelude::*;
/// use spanring::testing;
///
/// static_span_desc!(OUTER, "outer");
/// static_span_desc!(INNER, "inner");
/// let recorded = testing::record(|| {
///     on_begin_scope(&OUTER);
///     on_begin_scope(&INNER);
///     // The last one that began is the first one to end.
///     on_end_scope(&INNER);
///     on_end_scope(&OUTER);
/// });
/// assert_eq!(recorded.tree(), "outer (thread)\n  inner (thread)\n");
/// ```
#[inline]
pub fn on_end_scope(scope: &'static SpanMetadata) {
    by_hand::end_thread(Site::Metadata(&scope), Name::OfSite);
}

/// Begins a named thread span.
///
/// ```
/// # if cfg!(not(feature = "enable")) { return; }
/// use spanring::dispatch::{on_begin_named_scope, on_end_named_scope};
/// use spanring::prelude::*;
/// use spanring::testing;
///
/// static_span_location!(STAGE);
/// let recorded = testing::record(|| {
///     for stage in ["read", "check"] {
///         on_begin_named_scope(&STAGE, stage);
///         on_end_named_scope(&STAGE, stage);
///     }
/// });
/// assert_eq!(recorded.tree(), "read (thread)\ncheck (thread)\n");
/// ```
#[inline]
pub fn on_begin_named_scope(thread_span_location: &'static SpanLocation, name: &'static str) {
    by_hand::begin_thread(Site::Location(&thread_span_location), Name::Static(&name));
}

/// Ends a named thread span.
///
/// ```
/// # if cfg!(not(feature = "enable")) { return; }
/// use spanring::dispatch::{on_begin_named_scope, on_end_named_scope};
/// use spanring::prelude::*;
/// use spanring::testing;
///
/// static_span_location!(STAGE);
///
/// struct Stage(&'static str);
///
/// impl Stage {
///     fn begin(name: &'static str) -> Stage {
///         on_begin_named_scope(&STAGE, name);
///         Stage(name)
///     }
/// }
///
/// impl Drop for Stage {
///     fn drop(&mut self) {
///         on_end_named_scope(&STAGE, self.0);
///     }
/// }
///
/// let recorded = testing::record(|| {
///     let _read = Stage::begin("read");
/// });
/// assert_eq!(recorded.tree(), "read (thread)\n");
/// ```
#[inline]
pub fn on_end_named_scope(thread_span_location: &'static SpanLocation, name: &'static str) {
    by_hand::end_thread(Site::Location(&thread_span_location), Name::Static(&name));
}

/// Records an instant in the current span, and returns it for its attributes, of which so many have to follow at once. As
/// [`crate::instant!`], for a place and a name that no macro knows.
///
/// ```
/// # if cfg!(not(feature = "enable")) { return; }
/// use spanring::dispatch::on_instant;
/// use spanring::prelude::*;
/// use spanring::testing;
///
/// static_span_location!(LOG);
/// let recorded = testing::record(|| {
///     let message = String::from("cache miss");
///     let instant = on_instant(&LOG, message, 1);
///     instant.record("key", "user:7");
///     instant.id()
/// });
/// assert!(recorded.output.is_some(), "somebody records");
/// ```
#[inline]
pub fn on_instant(location: &'static SpanLocation, name: impl SpanName, attributes: u32) -> SpanRef {
    instant_by_hand(location, name, attributes)
}

/// Gives this thread its ring now rather than at its first event. For threads whose signal handlers record.
///
/// ```
/// use spanring::dispatch::init_thread_stream;
/// use spanring::prelude::*;
///
/// let worker = std::thread::spawn(|| {
///     init_thread_stream();
///     span_scope!("work"); // has its ring already
/// });
/// worker.join().unwrap();
/// ```
pub fn init_thread_stream() {
    by_hand::init_thread();
}

/// Flushes everything recorded so far, as [`crate::flush`] does. A failure shows in the recorder's health.
///
/// ```
/// use spanring::dispatch::flush_thread_buffer;
/// use spanring::prelude::*;
///
/// fn batch() {
///     span_scope!("batch");
///     // ..
/// }
/// batch();
/// flush_thread_buffer(); // whoever reads the recording now sees the batch
/// ```
pub fn flush_thread_buffer() {
    // Not running is no failure here: there is nothing to flush.
    let _ = crate::recorder::flush();
}

#[cfg(feature = "enable")]
mod by_hand {
    use super::{Name, Site};
    use crate::events::Outcome;
    use crate::recorder::context::{Depth, this_thread};
    use crate::recorder::record::{Begun, Frame, Span, begin, end, ending_generation, init, recording, refuse, see};
    use crate::recorder::sampling::UNSAMPLED_SPAN;
    use std::cell::{Cell, RefCell};

    /// Thread spans begun by hand on one thread whose ends are awaited. Deeper ones are refused whole, and counted: a begin whose
    /// end cannot be paired would look like a span that never ended.
    const MAX_OPEN: usize = 128;

    /// A begin that awaits its end.
    #[derive(Clone, Copy)]
    struct Open {
        begun: Option<(Begun, u64)>,
        parent: u64,
        depth: Depth,
    }

    thread_local! {
        static OPEN: RefCell<[Open; MAX_OPEN]> =
            const { RefCell::new([Open { begun: None, parent: 0, depth: Depth::ROOT }; MAX_OPEN]) };
        static DEPTH: Cell<usize> = const { Cell::new(0) };
    }

    #[inline]
    pub(super) fn begin_async(site: Site<'_>, name: Name<'_>, parent: u64, depth: u32) -> u64 {
        // Who asks for the current span's id is told of none where it is not sampled.
        let current = this_thread().current().id;
        let parent = if parent == 0 && current == UNSAMPLED_SPAN { current } else { parent };
        let frame = Frame { parent, depth: Depth::new(depth) };
        begin(&Span { thread: false, frame: &frame, site, name, attributes: 0 }).map_or(0, |(begun, _)| begun.id)
    }

    #[inline]
    pub(super) fn end_async(id: u64, site: Site<'_>, name: Name<'_>, parent: u64, depth: u32) {
        if id != 0 && id != UNSAMPLED_SPAN {
            // Its begin is not known here, nor in which recording it was: ticks 0 say so in the record.
            let begun = Begun { id, ticks: 0 };
            let frame = Frame { parent, depth: Depth::new(depth) };
            let span = Span { thread: false, frame: &frame, site, name, attributes: 0 };
            see(&span);
            end(&span, &begun, ending_generation(), Outcome::Completed, 0);
        }
    }

    pub(super) fn begin_thread(site: Site<'_>, name: Name<'_>) {
        let context = this_thread();
        let (parent, depth) = (context.current().id, context.scope_depth());
        let index = DEPTH.get();
        DEPTH.set(index + 1);
        if index >= MAX_OPEN {
            if recording() {
                refuse();
            }
            return;
        }
        let begun = begin(&Span { thread: true, frame: &Frame { parent, depth }, site, name, attributes: 0 });
        context.set_scope_depth(depth.deeper());
        OPEN.with_borrow_mut(|open| {
            if let Some(place) = open.get_mut(index) {
                *place = Open { begun, parent, depth };
            }
        });
    }

    pub(super) fn end_thread(site: Site<'_>, name: Name<'_>) {
        let Some(index) = DEPTH.get().checked_sub(1) else { return };
        DEPTH.set(index);
        let Some(Open { begun, parent, depth }) = OPEN.with_borrow(|open| open.get(index).copied()) else { return };
        this_thread().set_scope_depth(depth);
        if let Some((begun, generation)) = begun {
            let frame = Frame { parent, depth };
            end(
                &Span { thread: true, frame: &frame, site, name, attributes: 0 },
                &begun,
                generation,
                Outcome::Completed,
                0,
            );
        }
    }

    pub(super) fn init_thread() {
        init();
    }
}

#[cfg(not(feature = "enable"))]
mod by_hand {
    use super::{Name, Site};

    #[inline(always)]
    pub(super) fn begin_async(_: Site<'_>, _: Name<'_>, _: u64, _: u32) -> u64 {
        0
    }

    #[inline(always)]
    pub(super) fn end_async(_: u64, _: Site<'_>, _: Name<'_>, _: u64, _: u32) {}

    #[inline(always)]
    pub(super) fn begin_thread(_: Site<'_>, _: Name<'_>) {}

    #[inline(always)]
    pub(super) fn end_thread(_: Site<'_>, _: Name<'_>) {}

    #[inline(always)]
    pub(super) fn init_thread() {}
}
