//! Spans that wait to be drawn: those that began earlier come first, and each is drawn after its parent.

use super::lanes::{OPEN, Stay};
use super::texts::PlaceTexts;
use crate::spans::{Ending, Span};
use rustc_hash::{FxHashMap, FxHashSet};
use spanring::reader::{NameState, SpanKind};
use std::cmp::Reverse;

/// A finished span that waits for those that began before it.
#[derive(Debug)]
pub(super) struct Held {
    pub(super) id: u64,
    pub(super) parent: u64,
    pub(super) depth: u16,
    pub(super) kind: SpanKind,
    pub(super) name: Name,
    pub(super) name_state: NameState,
    pub(super) place: Option<PlaceTexts>,
    pub(super) ending: Ending,
    pub(super) begin_ns: u64,
    pub(super) end_ns: u64,
    pub(super) begin_thread: Option<u32>,
    pub(super) end_thread: Option<u32>,
    pub(super) polls: u32,
    pub(super) busy_ns: Option<u64>,
    pub(super) idle_ns: Option<u64>,
    pub(super) wait_ns: Option<u64>,
    pub(super) busy_partial: bool,
    pub(super) begin_lost: bool,
    pub(super) end_may_be_lost: bool,
}

/// A name, by the number of a text that the trace has, or as it is.
#[derive(Debug)]
pub(super) enum Name {
    Numbered(u64),
    Text(String),
}

impl Held {
    pub(super) fn new(span: &Span<'_>, name: Name, place: Option<PlaceTexts>) -> Held {
        let begin_ns = span.begin_ns.min(OPEN - 1);
        Held {
            id: span.id,
            parent: span.parent,
            depth: span.depth,
            kind: span.kind,
            name,
            name_state: span.name_state,
            place,
            ending: span.ending,
            begin_ns,
            // A clock that was set back must not make a slice end before it begins.
            end_ns: span.end_ns.map_or(OPEN, |end_ns| end_ns.clamp(begin_ns, OPEN - 1)),
            begin_thread: span.begin_thread,
            end_thread: span.end_thread,
            polls: span.polls,
            busy_ns: span.busy_ns,
            idle_ns: span.idle_ns(),
            wait_ns: span.wait_ns(),
            busy_partial: span.busy_partial,
            begin_lost: span.begin_lost,
            end_may_be_lost: span.end_may_be_lost,
        }
    }

    pub(super) fn stay(&self) -> Stay {
        Stay { id: self.id, parent: self.parent, begin_ns: self.begin_ns, end_ns: self.end_ns }
    }
}

/// The spans that wait, and arrows that have been promised.
#[derive(Debug, Default)]
pub(super) struct Waiting {
    spans: Vec<Held>,
    /// The spans whose parents were drawn with an arrow to them, when they had not been placed yet.
    promised: FxHashSet<u64>,
}

/// Spans to be drawn now, in order.
#[derive(Debug)]
pub(super) struct Batch {
    pub(super) spans: Vec<Held>,
    /// By id, where each is in `spans`.
    pub(super) by_id: FxHashMap<u64, usize>,
    /// Of each of `spans`: children that are drawn later.
    pub(super) later_children: Vec<Vec<u64>>,
}

impl Waiting {
    pub(super) fn len(&self) -> usize {
        self.spans.len()
    }

    pub(super) fn push(&mut self, span: Held) {
        self.spans.push(span);
    }

    /// Whether an arrow has been drawn to that span already, so that it must not be drawn inside its parent.
    pub(super) fn is_promised(&mut self, id: u64) -> bool {
        !self.promised.is_empty() && self.promised.remove(&id)
    }

    /// Takes the `count` spans that began first.
    pub(super) fn take(&mut self, count: usize) -> Batch {
        // A parent before its children, the outer of two scopes before the inner (which ends, and comes, first).
        let key = |(index, span): (usize, &Held)| {
            let is_scope = span.kind == SpanKind::Thread;
            (span.begin_ns, is_scope, span.depth, Reverse(span.end_ns), Reverse(index))
        };
        let mut order: Vec<_> = self.spans.iter().enumerate().map(key).collect();
        order.sort_unstable();
        let mut slots: Vec<Option<Held>> = std::mem::take(&mut self.spans).into_iter().map(Some).collect();
        let spans: Vec<Held> = order.iter().take(count).filter_map(|key| slots[key.4.0].take()).collect();
        self.spans = slots.into_iter().flatten().collect();
        let by_id: FxHashMap<u64, usize> = spans.iter().enumerate().map(|(index, span)| (span.id, index)).collect();
        let mut later_children = vec![Vec::new(); spans.len()];
        for span in &self.spans {
            if let Some(&parent) = by_id.get(&span.parent) {
                later_children[parent].push(span.id);
                self.promised.insert(span.id);
            }
        }
        Batch { spans, by_id, later_children }
    }
}
