//! Which chosen scope another scope is in. The recording says of a scope on which thread and in which async span it was, and how many
//! scopes were around it there; which those were shows in the times.

use crate::spans::{Instant, Span};
use rustc_hash::FxHashMap;
use spanring::reader::SpanKind;

/// From when to when a scope was there, and where.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(super) struct Scope {
    id: u64,
    thread: u32,
    /// The async span, 0 for none.
    parent: u64,
    depth: u16,
    begin_ns: u64,
    /// `None` while open.
    end_ns: Option<u64>,
}

impl Scope {
    /// Where a span was, if it is a scope.
    pub(super) fn of(span: &Span<'_>) -> Option<Scope> {
        let thread = span.begin_thread.or(span.end_thread).filter(|_| span.kind == SpanKind::Thread)?;
        let Span { id, parent, depth, begin_ns, end_ns, .. } = *span;
        Some(Scope { id, thread, parent, depth, begin_ns, end_ns })
    }

    /// What an instant in scopes is like: they are as if it were one in them.
    pub(super) fn of_instant(instant: &Instant) -> Scope {
        let Instant { id, thread, parent, scopes: depth, unix_ns, .. } = *instant;
        Scope { id, thread, parent, depth, begin_ns: unix_ns, end_ns: Some(unix_ns) }
    }

    /// Whether another one, of the same thread and async span, is in it.
    fn holds(&self, inner: &Scope) -> bool {
        let ends_after = self.end_ns.is_none_or(|end| end >= inner.end_ns.unwrap_or(inner.begin_ns));
        self.depth < inner.depth && self.begin_ns <= inner.begin_ns && ends_after
    }
}

/// Scopes, to find which of them others are in.
#[derive(Debug, Default)]
pub(super) struct Scopes {
    /// By their ids.
    known: FxHashMap<u64, Scope>,
    /// Some became known after the others were arranged.
    are_new: bool,
    /// Those without an end, by thread.
    open: FxHashMap<u32, Vec<u64>>,
    /// By thread and async span, in the order of their begins.
    arranged: FxHashMap<(u32, u64), Vec<Arranged>>,
}

/// A scope, and the place of the one around it.
#[derive(Debug)]
struct Arranged {
    scope: Scope,
    around: Option<usize>,
}

impl Scopes {
    /// These.
    pub(super) fn new(scopes: impl Iterator<Item = Scope>) -> Scopes {
        let mut all = Scopes::default();
        scopes.for_each(|scope| all.learn(scope));
        all.arrange();
        all
    }

    /// Adds one, which counts when they are [arranged](Scopes::arrange) again.
    pub(super) fn learn(&mut self, scope: Scope) {
        if self.known.insert(scope.id, scope).is_none() {
            self.are_new = true;
            if scope.end_ns.is_none() {
                self.open.entry(scope.thread).or_default().push(scope.id);
            }
        }
    }

    /// Whether there are some that do not count so far.
    pub(super) fn are_new(&self) -> bool {
        self.are_new
    }

    /// A scope began. Whichever is as deep, or deeper, and has no end, had ended by then: that was lost.
    pub(super) fn begun(&mut self, thread: u32, depth: u16, begin_ns: u64) {
        for id in self.open.get(&thread).into_iter().flatten() {
            if let Some(scope) = self.known.get_mut(id).filter(|it| it.depth >= depth && it.begin_ns < begin_ns) {
                scope.end_ns = Some(scope.end_ns.map_or(begin_ns, |end| end.min(begin_ns)));
            }
        }
    }

    /// Has all that are known count, as they are known by now.
    pub(super) fn arrange(&mut self) {
        self.are_new = false;
        self.arranged.clear();
        for scope in self.known.values() {
            self.arranged
                .entry((scope.thread, scope.parent))
                .or_default()
                .push(Arranged { scope: *scope, around: None });
        }
        for scopes in self.arranged.values_mut() {
            scopes.sort_unstable_by_key(|Arranged { scope, .. }| (scope.begin_ns, scope.depth, scope.id));
            let mut around: Vec<usize> = Vec::new();
            for index in 0..scopes.len() {
                while around.last().is_some_and(|&outer| !scopes[outer].scope.holds(&scopes[index].scope)) {
                    around.pop();
                }
                scopes[index].around = around.last().copied();
                around.push(index);
            }
        }
    }

    /// The innermost that a scope is in.
    pub(super) fn around(&self, scope: &Scope) -> Option<u64> {
        let scopes = self.arranged.get(&(scope.thread, scope.parent))?;
        let mut next = scopes.partition_point(|known| known.scope.begin_ns <= scope.begin_ns).checked_sub(1);
        while let Some(index) = next {
            let known = &scopes[index];
            if known.scope.holds(scope) {
                return Some(known.scope.id);
            }
            next = known.around;
        }
        None
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn scope(id: u64, depth: u16, begin_ns: u64, end_ns: impl Into<Option<u64>>) -> Scope {
        Scope { id, thread: 1, parent: 0, depth, begin_ns, end_ns: end_ns.into() }
    }

    #[test]
    fn the_innermost_is_found() {
        let known = [scope(1, 0, 100, 200), scope(2, 1, 110, 150), scope(3, 0, 300, 400)];
        let scopes = Scopes::new(known.into_iter());
        for (inner, expected) in [
            (scope(9, 2, 120, 130), Some(2)),
            (scope(9, 2, 110, 150), Some(2)),
            (scope(9, 2, 160, 170), Some(1)),
            // It had no end in the recording.
            (scope(9, 2, 160, None), Some(1)),
            (scope(9, 1, 350, 360), Some(3)),
            (known[1], Some(1)),
            (known[0], None),
            (scope(9, 1, 210, 220), None),
            (scope(9, 1, 90, 120), None),
            (scope(9, 1, 190, 210), None),
            (Scope { thread: 2, ..scope(9, 2, 120, 130) }, None),
            (Scope { parent: 7, ..scope(9, 2, 120, 130) }, None),
        ] {
            assert_eq!(scopes.around(&inner), expected, "{inner:?}");
        }
    }

    #[test]
    fn what_is_open_ends_where_one_begins_that_cannot_be_in_it() {
        let mut scopes = Scopes::new([scope(1, 1, 100, None)].into_iter());
        let [before, after] = [scope(8, 2, 150, 160), scope(9, 2, 250, 260)];
        assert_eq!([before, after].map(|inner| scopes.around(&inner)), [Some(1), Some(1)]);
        // Its own begin, one in it, one of another thread, and one of long ago that was carried forward.
        for (thread, depth, begin) in [(1, 1, 100), (1, 2, 150), (2, 0, 120), (1, 0, 50)] {
            scopes.begun(thread, depth, begin);
        }
        scopes.begun(1, 1, 200);
        scopes.arrange();
        assert_eq!([before, after].map(|inner| scopes.around(&inner)), [Some(1), None]);
    }
}
