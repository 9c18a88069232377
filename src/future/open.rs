//! A span that is begun and ended by hand, for what is neither a future nor a scope.

use super::attributes::SpanRef;
use super::context::SpanContext;
use crate::events::{Outcome, SpanMetadata};

#[cfg(feature = "enable")]
use crate::recorder::context::CurrentSpan;
#[cfg(feature = "enable")]
use crate::recorder::record::{Begun, Frame, Name, Site, Span, begin, end};

/// An async span that is open, held by code that begins and ends it itself: a bridge from other instrumentation, a callback, a
/// connection. It may be ended on another thread than it was begun on.
///
/// Its end record is as whole as that of a wrapper: it says when the span began. Nothing ends the span but [`OpenSpan::end`]: if this is
/// dropped, the span stays open in the recording.
///
/// ```
/// # if cfg!(not(feature = "enable")) { return; }
/// use spanring::dispatch::OpenSpan;
/// use spanring::events::Outcome;
/// use spanring::prelude::*;
/// use spanring::spans::SpanContext;
/// use spanring::testing;
///
/// static_span_desc!(CONNECTION, "connection");
/// let recorded = testing::record(|| {
///     let connection = OpenSpan::begin(&CONNECTION, SpanContext::current()).expect("a recorder runs");
///     connection.span().record("port", 443);
///     connection.context().enter(|| {
///         span_scope!("read");
///     });
///     connection.end(Outcome::Failed, 1);
/// });
/// assert_eq!(recorded.tree(), "connection [failed]\n  read (thread)\n");
/// ```
#[derive(Debug)]
#[must_use = "only `end` ends the span"]
pub struct OpenSpan {
    #[cfg(feature = "enable")]
    description: &'static SpanMetadata,
    #[cfg(feature = "enable")]
    frame: Frame,
    #[cfg(feature = "enable")]
    begun: Begun,
    /// Of the recording in which it began.
    #[cfg(feature = "enable")]
    generation: u64,
}

#[cfg(feature = "enable")]
impl OpenSpan {
    /// Begins a span now, as a child of `parent`. `None`: nobody records, the recorder's filter does not want it,
    /// or the record was refused, which was counted.
    ///
    /// ```
    /// use spanring::dispatch::OpenSpan;
    /// use spanring::events::Outcome;
    /// use spanring::prelude::*;
    /// use spanring::spans::SpanContext;
    ///
    /// static_span_desc!(CONNECTION, "connection");
    /// // Nothing to hold while nobody records.
    /// let connection: Option<OpenSpan> = OpenSpan::begin(&CONNECTION, SpanContext::none());
    /// // ..
    /// if let Some(connection) = connection {
    ///     connection.end(Outcome::Completed, 0);
    /// }
    /// ```
    pub fn begin(description: &'static SpanMetadata, parent: SpanContext) -> Option<OpenSpan> {
        let CurrentSpan { id: parent, next_depth: depth } = parent.span();
        let frame = Frame { parent, depth };
        let (begun, generation) = begin(&span(&description, &frame))?;
        Some(OpenSpan { description, frame, begun, generation })
    }

    /// The span, to be entered, or to be the parent of others.
    ///
    /// ```
    /// use spanring::dispatch::OpenSpan;
    /// use spanring::events::Outcome;
    /// use spanring::prelude::*;
    /// use spanring::spans::SpanContext;
    /// use spanring::testing;
    ///
    /// static_span_desc!(CONNECTION, "connection");
    /// static_span_desc!(STREAM, "stream");
    /// let recorded = testing::record(|| {
    ///     let connection = OpenSpan::begin(&CONNECTION, SpanContext::current()).expect("a recorder runs");
    ///     let stream = OpenSpan::begin(&STREAM, connection.context()).expect("a recorder runs");
    ///     stream.end(Outcome::Completed, 0);
    ///     connection.end(Outcome::Completed, 0);
    /// });
    /// assert_eq!(recorded.tree(), "connection\n  stream\n");
    /// ```
    pub fn context(&self) -> SpanContext {
        SpanContext::of(CurrentSpan { id: self.begun.id, next_depth: self.frame.depth.deeper() })
    }

    /// The span, to record what becomes known of it.
    ///
    /// ```
    /// use spanring::dispatch::OpenSpan;
    /// use spanring::events::Outcome;
    /// use spanring::prelude::*;
    /// use spanring::spans::SpanContext;
    /// use spanring::testing;
    ///
    /// static_span_desc!(CONNECTION, "connection");
    /// let recorded = testing::record(|| {
    ///     let connection = OpenSpan::begin(&CONNECTION, SpanContext::current()).expect("a recorder runs");
    ///     connection.span().record("port", 443);
    ///     connection.end(Outcome::Completed, 0);
    /// });
    /// assert_eq!(recorded.spans[0].attributes, [("port".to_owned(), "443".to_owned())]);
    /// ```
    pub fn span(&self) -> SpanRef {
        SpanRef::with(self.begun.id, self.generation)
    }

    /// Ends the span now. `polls` is how often it was entered, which is kept as how often a future was polled.
    ///
    /// Nothing is written if its recording is over; that is counted while another one runs.
    ///
    /// ```
    /// use spanring::dispatch::OpenSpan;
    /// use spanring::events::Outcome;
    /// use spanring::prelude::*;
    /// use spanring::spans::SpanContext;
    /// use spanring::testing;
    ///
    /// static_span_desc!(CONNECTION, "connection");
    /// let recorded = testing::record(|| {
    ///     let connection = OpenSpan::begin(&CONNECTION, SpanContext::current()).expect("a recorder runs");
    ///     let times_entered = 3;
    ///     std::thread::spawn(move || connection.end(Outcome::Cancelled, times_entered)).join().unwrap();
    /// });
    /// assert_eq!(recorded.tree(), "connection [cancelled]\n");
    /// assert_eq!(recorded.spans[0].polls, 3);
    /// ```
    pub fn end(self, outcome: Outcome, polls: u32) {
        end(&span(&self.description, &self.frame), &self.begun, self.generation, outcome, polls);
    }
}

#[cfg(feature = "enable")]
fn span<'a>(description: &'a &'static SpanMetadata, frame: &'a Frame) -> Span<'a> {
    Span { thread: false, frame, site: Site::Metadata(description), name: Name::OfSite, attributes: 0 }
}

#[cfg(not(feature = "enable"))]
impl OpenSpan {
    /// Nothing: nobody records.
    #[inline(always)]
    pub fn begin(_: &'static SpanMetadata, _: SpanContext) -> Option<OpenSpan> {
        None
    }

    /// A context outside of any span.
    #[inline(always)]
    pub fn context(&self) -> SpanContext {
        SpanContext::none()
    }

    /// A span of which nothing is recorded.
    #[inline(always)]
    pub fn span(&self) -> SpanRef {
        SpanRef::with(0, 0)
    }

    /// Does nothing.
    #[inline(always)]
    pub fn end(self, _: Outcome, _: u32) {}
}
