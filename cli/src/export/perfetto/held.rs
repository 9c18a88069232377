//! Spans and instants that wait to be drawn: those that began earlier come first, and each is drawn after its parent.

use super::bodies::{Bodies, Body};
use super::lanes::{OPEN, Stay};
use super::packets::Fields;
use super::said::Said;
use crate::spans::{Instant, Span};
use spanring::reader::SpanKind;
use std::cmp::Reverse;
use std::collections::VecDeque;

/// So few spans may be spread over memory as they like.
const SPARSE: usize = 1 << 12;

/// Where something is drawn.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Lane {
    /// Among async spans.
    Async,
    /// On its thread.
    Thread,
    /// On its thread too, but as it has no end, and may have had one, nothing is to be drawn inside.
    Doubtful,
}

/// A finished span, or an instant, that waits for those that began before it. To fetch one takes the processor as long as any one byte of
/// it.
#[derive(Clone, Copy, Debug)]
#[repr(align(64))]
pub(super) struct Shape {
    pub(super) stay: Stay,
    pub(super) said: Said,
    body: Body,
    pub(super) lane: Lane,
    /// An arrow leads to it from its parent, so it must not be drawn inside that.
    pub(super) is_promised: bool,
    pub(super) is_instant: bool,
    is_drawn: bool,
}

const _: () = assert!(size_of::<Shape>() == 64);

impl Shape {
    #[inline]
    fn of(span: &Span<'_>, said: Said, body: Body) -> Shape {
        let begin_ns = span.begin_ns.min(OPEN - 1);
        // A clock that was set back must not make a slice end before it begins.
        let end_ns = span.end_ns.map_or(OPEN, |end_ns| end_ns.clamp(begin_ns, OPEN - 1));
        let lane = match span.kind {
            SpanKind::Async => Lane::Async,
            SpanKind::Thread if span.end_may_be_lost => Lane::Doubtful,
            SpanKind::Thread => Lane::Thread,
        };
        let stay = Stay { id: span.id, parent: span.parent, begin_ns, end_ns };
        Shape { stay, said, body, lane, is_promised: false, is_instant: false, is_drawn: false }
    }

    fn of_instant(instant: &Instant, said: Said, body: Body) -> Shape {
        let at_ns = instant.unix_ns.min(OPEN - 1);
        let lane = if instant.parent == 0 { Lane::Thread } else { Lane::Async };
        let stay = Stay { id: instant.id, parent: instant.parent, begin_ns: at_ns, end_ns: at_ns };
        Shape { stay, said, body, lane, is_promised: false, is_instant: true, is_drawn: false }
    }

    /// Of two spans that begin at once: a parent before its children, the outer of two scopes before the inner (which ends, and comes,
    /// first), and any of them before an instant.
    fn rank(&self) -> (bool, u16, Reverse<u64>) {
        (self.lane != Lane::Async, self.said.depth, Reverse(self.stay.end_ns))
    }
}

/// When something began, and its number, as one number: to compare two takes no branch.
type Key = u128;

fn key(begin_ns: u64, number: u64) -> Key {
    Key::from(begin_ns) << 64 | Key::from(number)
}

fn begin_of(key: Key) -> u64 {
    (key >> 64) as u64
}

fn number_of(key: Key) -> u64 {
    key as u64
}

/// The spans and instants that wait.
///
/// They are kept in the order in which they came, so that those of about the same time are together in memory.
#[derive(Debug, Default)]
pub(super) struct Waiting {
    /// Those that were drawn before others that came earlier are still among them.
    shapes: VecDeque<Shape>,
    /// By shape, its parent, or 0 if it has none, or has been drawn: one looks at all of these for each batch.
    parents: VecDeque<u64>,
    bodies: Bodies,
    /// The number of the first.
    first: u64,
    /// Those that were there at the last batch come first, and are in order.
    order: Vec<Key>,
    in_order: usize,
}

impl Waiting {
    pub(super) fn len(&self) -> usize {
        self.order.len()
    }

    /// What is to be written of the next one is added here, before it is pushed.
    #[inline]
    pub(super) fn body(&mut self) -> &mut Fields {
        self.bodies.next()
    }

    #[inline]
    pub(super) fn push(&mut self, span: &Span<'_>, said: Said) {
        let body = if said.has_body { self.bodies.done() } else { Body::NONE };
        self.push_shape(Shape::of(span, said, body));
    }

    pub(super) fn push_instant(&mut self, instant: &Instant, said: Said) {
        let body = self.bodies.done();
        self.push_shape(Shape::of_instant(instant, said, body));
    }

    #[inline]
    fn push_shape(&mut self, shape: Shape) {
        self.order.push(key(shape.stay.begin_ns, self.first + self.shapes.len() as u64));
        self.parents.push_back(shape.stay.parent);
        self.shapes.push_back(shape);
    }

    /// Takes out what is going to be drawn. Its body stays for as long.
    #[inline(always)]
    pub(super) fn draw(&mut self, number: u64) -> Shape {
        let index = (number - self.first) as usize;
        self.parents[index] = 0;
        let shape = &mut self.shapes[index];
        shape.is_drawn = true;
        *shape
    }

    /// What is to be written of one that is being drawn, beside what it says itself.
    #[inline]
    pub(super) fn body_of(&self, shape: &Shape) -> &[u8] {
        if shape.said.has_body { self.bodies.get(shape.body) } else { &[] }
    }

    /// Puts the numbers of the `count` that began first into `batch`, in the order in which they are to be drawn. They stay until
    /// they are [taken out](Waiting::draw).
    pub(super) fn take(&mut self, count: usize, batch: &mut Vec<u64>) {
        let Waiting { shapes, first, order, in_order, .. } = self;
        // Of those that began at once, the one that came first stays first.
        radsort::sort_by_key(&mut order[*in_order..], |key| begin_of(*key));
        // Stable sorting knows what is in order already.
        order.sort();
        let rank = |key: &Key| {
            let number = number_of(*key);
            (shapes[(number - *first) as usize].rank(), Reverse(number))
        };
        let mut taken = 0;
        for at_once in order.chunk_by_mut(|a, b| begin_of(*a) == begin_of(*b)) {
            if at_once.len() > 1 {
                at_once.sort_by_key(rank);
            }
            taken += at_once.len();
            if taken >= count {
                break;
            }
        }
        batch.clear();
        batch.extend(order.drain(..count).map(number_of));
        *in_order = order.len();
    }

    /// Visits all that are not being drawn and have a parent of which `may_be` says so.
    pub(super) fn children(&mut self, may_be: impl Fn(u64) -> bool) -> impl Iterator<Item = &mut Shape> {
        let parents = self.parents.iter().zip(&mut self.shapes);
        parents.filter(move |(parent, _)| **parent != 0 && may_be(**parent)).map(|(_, shape)| shape)
    }

    /// Leaves no more room to what has been drawn than has to be.
    pub(super) fn forget_drawn(&mut self) {
        let mut bodies = 0;
        let drawn = self.shapes.iter().take_while(|shape| shape.is_drawn);
        let drawn = drawn.inspect(|shape| bodies += usize::from(shape.said.has_body)).count();
        self.shapes.drain(..drawn);
        self.parents.drain(..drawn);
        self.first += drawn as u64;
        self.bodies.forget(bodies);
        if self.shapes.len() > 2 * self.order.len().max(SPARSE) {
            self.close_up();
        }
    }

    /// Leaves no room between those that wait.
    fn close_up(&mut self) {
        self.shapes.retain(|shape| !shape.is_drawn);
        self.parents.clear();
        self.parents.extend(self.shapes.iter().map(|shape| shape.stay.parent));
        let mut bodies = Bodies::default();
        for shape in self.shapes.iter_mut().filter(|shape| shape.said.has_body) {
            bodies.next().copy(self.bodies.get(shape.body));
            shape.body = bodies.done();
        }
        self.bodies = bodies;
        self.order.clear();
        let numbered = self.shapes.iter().zip(self.first..);
        self.order.extend(numbered.map(|(shape, number)| key(shape.stay.begin_ns, number)));
        self.in_order = 0;
    }
}
