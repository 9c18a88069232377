//! A span of work that is neither a future nor tied to one thread.

use spanring::dispatch::OpenSpan;
use spanring::events::{Outcome, SpanMetadata};
use spanring::spans::SpanContext;

/// Does some work in a span, which has failed if what comes of it says so. Unlike a scope (`span_scope!`, `#[span_fn]`), which is a span of
/// one thread, it may have parts on other threads. If the work panics, the recording shows the span as open.
pub(crate) fn in_span<R>(
    description: &'static SpanMetadata,
    has_failed: impl FnOnce(&R) -> bool,
    work: impl FnOnce() -> R,
) -> R {
    // Nobody records: `None`.
    let Some(span) = OpenSpan::begin(description, SpanContext::current()) else { return work() };
    let result = span.context().enter(work);
    span.end(if has_failed(&result) { Outcome::Failed } else { Outcome::Completed }, 1);
    result
}
