//! The spans entered on a thread, and what was current before each: what is to be current again when they are left.

use spanring::spans::SpanContext;
use std::cell::RefCell;
use tracing_core::span::Id;

/// A span that was entered on this thread and not left yet.
struct Entry {
    /// Of which layer: another one may have a registry of its own, with the same ids.
    layer: u64,
    span: u64,
    /// What was current when it was entered.
    before: SpanContext,
    /// What it made current.
    inside: SpanContext,
}

thread_local! {
    static ENTERED: RefCell<Vec<Entry>> = const { RefCell::new(Vec::new()) };
}

/// Makes `inside` current on this thread, for a span that is entered.
pub(crate) fn enter(layer: u64, span: &Id, inside: SpanContext) {
    // A thread that is being torn down has no stack any more: nothing could leave the span.
    let _ = ENTERED.try_with(|entered| {
        let before = inside.make_current();
        entered.borrow_mut().push(Entry { layer, span: span.into_u64(), before, inside });
    });
}

/// Makes current again what was so before the span was entered. Spans may be left in any order: the one that was entered last stays
/// current until it is left itself.
pub(crate) fn leave(layer: u64, span: &Id) {
    let _ = ENTERED.try_with(|entered| {
        let mut entered = entered.borrow_mut();
        // The innermost: a span may be entered twice.
        let Some(index) = entered.iter().rposition(|entry| (entry.layer, entry.span) == (layer, span.into_u64()))
        else {
            return;
        };
        let Entry { before, inside, .. } = entered.remove(index);
        // If something of spanring's stands between the two, or this span was held while its task slept, what is current is not this
        // span's to change.
        match entered.get_mut(index) {
            Some(above) if above.before == inside => above.before = before,
            None if SpanContext::current() == inside => _ = before.make_current(),
            _ => {}
        }
    });
}
