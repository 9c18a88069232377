//! Spans and instants that wait to be drawn: those that began earlier come first, and each is drawn after its parent.

use super::lanes::{OPEN, Stay};
use crate::spans::{Attributes, Ending, Instant, Span};
use spanring::reader::{NameState, SpanKind};
use std::cmp::{Ordering, Reverse};
use std::collections::VecDeque;

/// So few spans may be spread over memory as they like.
const SPARSE: usize = 1 << 12;

/// A finished span, or an instant, that waits for those that began before it: what its place in the picture depends on.
#[derive(Clone, Copy, Debug)]
pub(super) struct Shape {
    pub(super) stay: Stay,
    /// The thread that a scope, or an instant in no async span, is drawn on.
    pub(super) thread: u32,
    depth: u16,
    /// Of an instant, where it is drawn: among async spans, or on its thread.
    pub(super) kind: SpanKind,
    /// It has no end, but may have had one.
    pub(super) is_doubtful: bool,
    /// Its parent was drawn with an arrow to it, so it must not be drawn inside that.
    pub(super) is_promised: bool,
    pub(super) is_instant: bool,
    is_drawn: bool,
}

/// What is written of it besides. As little as can be: most of the time goes by in waiting for this memory.
#[derive(Debug)]
pub(super) struct Details {
    pub(super) name: Name,
    pub(super) more: Option<Box<More>>,
    /// See [`crate::places::Place::index`].
    pub(super) place: Option<u32>,
    pub(super) begin_thread: Option<u32>,
    pub(super) end_thread: Option<u32>,
    pub(super) polls: u32,
    pub(super) depth: u16,
    pub(super) name_state: NameState,
    pub(super) ending: Ending,
    pub(super) busy_partial: bool,
    pub(super) begin_lost: bool,
    pub(super) end_may_be_lost: bool,
}

/// What only some have.
#[derive(Debug, Default)]
pub(super) struct More {
    pub(super) busy_ns: Option<u64>,
    pub(super) idle_ns: Option<u64>,
    pub(super) wait_ns: Option<u64>,
    pub(super) attributes: Attributes,
    pub(super) lost_instants: u64,
}

/// A name, by the number of a text that the trace has, or as it is.
#[derive(Debug)]
pub(super) enum Name {
    Numbered(u64),
    Text(Box<str>),
}

impl Shape {
    fn of(span: &Span<'_>) -> Shape {
        let begin_ns = span.begin_ns.min(OPEN - 1);
        // A clock that was set back must not make a slice end before it begins.
        let end_ns = span.end_ns.map_or(OPEN, |end_ns| end_ns.clamp(begin_ns, OPEN - 1));
        Shape {
            stay: Stay { id: span.id, parent: span.parent, begin_ns, end_ns },
            thread: span.end_thread.or(span.begin_thread).unwrap_or_default(),
            depth: span.depth,
            kind: span.kind,
            is_doubtful: span.end_may_be_lost,
            is_promised: false,
            is_instant: false,
            is_drawn: false,
        }
    }

    fn of_instant(instant: &Instant) -> Shape {
        let at_ns = instant.unix_ns.min(OPEN - 1);
        Shape {
            stay: Stay { id: instant.id, parent: instant.parent, begin_ns: at_ns, end_ns: at_ns },
            thread: instant.thread,
            depth: u16::MAX,
            kind: if instant.parent == 0 { SpanKind::Thread } else { SpanKind::Async },
            is_doubtful: false,
            is_promised: false,
            is_instant: true,
            is_drawn: false,
        }
    }

    /// Of two spans that begin at once: a parent before its children, the outer of two scopes before the inner (which ends, and comes,
    /// first), and any of them before an instant.
    fn rank(&self) -> (bool, u16, Reverse<u64>) {
        (self.kind == SpanKind::Thread, self.depth, Reverse(self.stay.end_ns))
    }
}

impl Details {
    /// What is left where they were.
    const DRAWN: Details = Details {
        name: Name::Numbered(0),
        more: None,
        place: None,
        begin_thread: None,
        end_thread: None,
        polls: 0,
        depth: 0,
        name_state: NameState::Whole,
        ending: Ending::Completed,
        busy_partial: false,
        begin_lost: false,
        end_may_be_lost: false,
    };

    fn of(span: &Span<'_>, name: Name) -> Details {
        let (busy_ns, wait_ns) = (span.busy_ns, span.wait_ns());
        let has_more = busy_ns.is_some() || wait_ns.is_some() || span.details.is_some();
        let more = has_more.then(|| {
            let (attributes, lost_instants) =
                span.details.map(|details| (details.attributes.clone(), details.dropped_instants)).unwrap_or_default();
            Box::new(More { busy_ns, idle_ns: span.idle_ns(), wait_ns, attributes, lost_instants })
        });
        Details {
            name,
            more,
            place: span.place.map(|place| place.index),
            begin_thread: span.begin_thread,
            end_thread: span.end_thread,
            polls: span.polls,
            depth: span.depth,
            name_state: span.name_state,
            ending: span.ending,
            busy_partial: span.busy_partial,
            begin_lost: span.begin_lost,
            end_may_be_lost: span.end_may_be_lost,
        }
    }

    fn of_instant(instant: &Instant) -> Details {
        let attributes = instant.attributes.clone();
        Details {
            name: Name::Text((&*instant.name).into()),
            more: Some(Box::new(More { attributes, ..More::default() })),
            place: instant.place.as_ref().map(|place| place.index),
            begin_thread: Some(instant.thread),
            end_thread: None,
            polls: 0,
            depth: 0,
            name_state: instant.name_state,
            ending: Ending::Completed,
            busy_partial: false,
            begin_lost: false,
            end_may_be_lost: false,
        }
    }
}

/// The spans and instants that wait.
///
/// They are kept in the order in which they came, so that those of about the same time are together in memory, and apart from their
/// details, which are needed only once.
#[derive(Debug, Default)]
pub(super) struct Waiting {
    /// Those that were drawn before others that came earlier are still among them.
    shapes: VecDeque<Shape>,
    details: VecDeque<Details>,
    /// The number of the first.
    first: u64,
    /// When each began, and its number. Those that were there at the last batch come first, and are in order.
    order: Vec<(u64, u64)>,
}

impl Waiting {
    pub(super) fn len(&self) -> usize {
        self.order.len()
    }

    pub(super) fn push(&mut self, span: &Span<'_>, name: Name) {
        self.push_any(Shape::of(span), Details::of(span, name));
    }

    pub(super) fn push_instant(&mut self, instant: &Instant) {
        self.push_any(Shape::of_instant(instant), Details::of_instant(instant));
    }

    fn push_any(&mut self, shape: Shape, details: Details) {
        self.order.push((shape.stay.begin_ns, self.first + self.shapes.len() as u64));
        self.shapes.push_back(shape);
        self.details.push_back(details);
    }

    pub(super) fn shape(&self, number: u64) -> &Shape {
        &self.shapes[(number - self.first) as usize]
    }

    /// Takes out what is going to be drawn.
    pub(super) fn draw(&mut self, number: u64) -> (Shape, Details) {
        let index = (number - self.first) as usize;
        let shape = &mut self.shapes[index];
        shape.is_drawn = true;
        (*shape, std::mem::replace(&mut self.details[index], Details::DRAWN))
    }

    /// The numbers of the `count` spans that began first, in the order in which they are to be drawn. They stay until
    /// they are [taken out](Waiting::draw).
    pub(super) fn take(&mut self, count: usize) -> Vec<u64> {
        let Waiting { shapes, first, order, .. } = self;
        let rank = |number: u64| (shapes[(number - *first) as usize].rank(), Reverse(number));
        // Stable sorting knows what is in order already.
        order.sort_by(|a, b| match a.0.cmp(&b.0) {
            Ordering::Equal => rank(a.1).cmp(&rank(b.1)),
            unequal => unequal,
        });
        order.drain(..count).map(|(_, number)| number).collect()
    }

    /// Visits all spans that are not being drawn.
    pub(super) fn rest(&mut self, mut visit: impl FnMut(&mut Shape)) {
        for (_, number) in &self.order {
            visit(&mut self.shapes[(number - self.first) as usize]);
        }
    }

    /// Leaves no more room to what has been drawn than has to be.
    pub(super) fn forget_drawn(&mut self) {
        let drawn = self.shapes.iter().take_while(|shape| shape.is_drawn).count();
        self.shapes.drain(..drawn);
        self.details.drain(..drawn);
        self.first += drawn as u64;
        if self.shapes.len() > 2 * self.order.len().max(SPARSE) {
            self.close_up();
        }
    }

    /// Leaves no room between those that wait.
    fn close_up(&mut self) {
        let mut shapes = self.shapes.iter();
        self.details.retain(|_| shapes.next().is_some_and(|shape| !shape.is_drawn));
        self.shapes.retain(|shape| !shape.is_drawn);
        self.order.clear();
        let numbered = self.shapes.iter().zip(self.first..);
        self.order.extend(numbered.map(|(shape, number)| (shape.stay.begin_ns, number)));
    }
}
