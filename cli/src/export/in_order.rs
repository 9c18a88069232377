//! Spans in the order in which they began.

use super::traces::Roots;
use crate::places::Place;
use crate::spans::{Details, Span};
use rustc_hash::FxHashMap;
use spanring::reader::{SpanKind, SpanRecord};
use std::cmp::Reverse;
use std::collections::BinaryHeap;
use std::sync::Arc;

/// As many spans are held back to be put in order.
pub const WINDOW: usize = 1 << 17;

/// A span of its own, and the root of its trace.
#[derive(Clone, Debug)]
pub struct Held {
    /// All of it but what it would borrow.
    span: Span<'static>,
    name: Arc<str>,
    place: Option<Arc<Place>>,
    details: Option<Arc<Details>>,
    /// The root of its trace, see [`Roots`].
    pub root: u64,
}

impl Held {
    /// The span itself.
    pub fn span(&self) -> Span<'_> {
        Span { name: &self.name, place: self.place.as_deref(), details: self.details.as_deref(), ..self.span }
    }
}

/// Puts spans, which come in about the order in which they ended, in the order in which they began, and finds the roots of their
/// traces.
///
/// A span leaves when [`WINDOW`] others are held, the one that began first before the others, a parent before its children. So
/// spans leave in order, but for those during which more than a window of others ended, or which were read from another thread's
/// ring that much later.
#[derive(Debug)]
pub struct InOrder {
    roots: Roots,
    names: FxHashMap<u32, Arc<str>>,
    places: FxHashMap<u32, Arc<Place>>,
    /// By begin, depth, and number of arrival; and where it is held.
    order: BinaryHeap<Reverse<(u64, u16, u64, u32)>>,
    held: Vec<Held>,
    arrived: u64,
    window: usize,
}

impl Default for InOrder {
    fn default() -> InOrder {
        InOrder::with_window(WINDOW)
    }
}

impl InOrder {
    /// The same with another [`WINDOW`], of at least 1.
    pub fn with_window(window: usize) -> InOrder {
        InOrder {
            roots: Roots::default(),
            names: FxHashMap::default(),
            places: FxHashMap::default(),
            order: BinaryHeap::new(),
            held: Vec::new(),
            arrived: 0,
            window: window.max(1),
        }
    }

    /// A span has begun; it will come.
    pub fn begun(&mut self, record: &SpanRecord<'_>) {
        // A thread span is nobody's parent.
        if record.kind == SpanKind::Async {
            self.roots.begun(record.span_id, record.parent_span_id);
        }
    }

    /// Takes a span, and returns the one that has to leave for it.
    pub fn add(&mut self, span: &Span<'_>) -> Option<Held> {
        if span.kind == SpanKind::Async {
            self.roots.ended(span.id, span.parent);
        }
        let held = self.hold(span);
        self.arrived += 1;
        let key = |slot: usize| Reverse((span.begin_ns, span.depth, self.arrived, slot as u32));
        if self.held.len() < self.window {
            self.order.push(key(self.held.len()));
            self.held.push(held);
            return None;
        }
        let Reverse((.., slot)) = self.order.pop()?;
        let slot = slot as usize;
        self.order.push(key(slot));
        let leaving = std::mem::replace(&mut self.held[slot], held);
        Some(self.rooted(leaving))
    }

    /// Takes the span that began first of those that are left, for when no more come.
    pub fn take(&mut self) -> Option<Held> {
        let Reverse((.., slot)) = self.order.pop()?;
        let leaving = self.held[slot as usize].clone();
        Some(self.rooted(leaving))
    }

    /// By now its ancestors have been read, if they are there.
    fn rooted(&mut self, mut held: Held) -> Held {
        // A thread span belongs to the trace of the async span around it.
        held.root = match held.span {
            Span { kind: SpanKind::Thread, parent, .. } if parent != 0 => self.roots.root(parent),
            Span { id, .. } => self.roots.root(id),
        };
        held
    }

    fn hold(&mut self, span: &Span<'_>) -> Held {
        let name = match span.name_index {
            Some(index) => self.names.entry(index).or_insert_with(|| span.name.into()).clone(),
            None => span.name.into(),
        };
        let place =
            span.place.map(|place| self.places.entry(place.index).or_insert_with(|| Arc::new(place.clone())).clone());
        let details = span.details.map(|details| Arc::new(details.clone()));
        Held { span: span.bare(), name, place, details, root: 0 }
    }
}
