//! Spans and instants that wait to be drawn: those that began earlier come first, and each is drawn after its parent.

use super::bodies::{Bodies, Body};
use super::lanes::{OPEN, Stay};
use super::packets::Fields;
use crate::spans::{Instant, Span};
use spanring::reader::SpanKind;
use std::cmp::Reverse;
use std::collections::VecDeque;
use std::hint::black_box;

/// So few spans may be spread over memory as they like.
const SPARSE: usize = 1 << 12;

/// A finished span, or an instant, that waits for those that began before it: what its place in the picture depends on.
#[derive(Clone, Copy, Debug)]
pub(super) struct Shape {
    pub(super) stay: Stay,
    /// The number of the thread that a scope, or an instant in no async span, is drawn on.
    pub(super) thread: u32,
    /// What is written of it besides.
    pub(super) body: Body,
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

impl Shape {
    #[inline]
    fn of(span: &Span<'_>, thread: u32, body: Body) -> Shape {
        let begin_ns = span.begin_ns.min(OPEN - 1);
        // A clock that was set back must not make a slice end before it begins.
        let end_ns = span.end_ns.map_or(OPEN, |end_ns| end_ns.clamp(begin_ns, OPEN - 1));
        Shape {
            stay: Stay { id: span.id, parent: span.parent, begin_ns, end_ns },
            thread,
            body,
            depth: span.depth,
            kind: span.kind,
            is_doubtful: span.end_may_be_lost,
            is_promised: false,
            is_instant: false,
            is_drawn: false,
        }
    }

    fn of_instant(instant: &Instant, thread: u32, body: Body) -> Shape {
        let at_ns = instant.unix_ns.min(OPEN - 1);
        Shape {
            stay: Stay { id: instant.id, parent: instant.parent, begin_ns: at_ns, end_ns: at_ns },
            thread,
            body,
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

/// Puts keys in order whose numbers follow each other.
fn sort_new(keys: &mut [Key]) {
    let Some(&first) = keys.first() else { return };
    let begins = || keys.iter().map(|key| begin_of(*key));
    let (least, most) = begins().fold((u64::MAX, 0), |(least, most), begin| (least.min(begin), most.max(begin)));
    let index_bits = usize::BITS - keys.len().leading_zeros();
    if (most - least).leading_zeros() < index_bits {
        return keys.sort_unstable();
    }
    // Half as long, unless they are of many hours.
    let mut short: Vec<u64> = (0..).zip(begins()).map(|(index, begin)| (begin - least) << index_bits | index).collect();
    short.sort_unstable();
    for (place, short) in keys.iter_mut().zip(short) {
        let index = short & ((1 << index_bits) - 1);
        *place = key(least + (short >> index_bits), number_of(first) + index);
    }
}

/// The spans and instants that wait.
///
/// They are kept in the order in which they came, so that those of about the same time are together in memory.
#[derive(Debug, Default)]
pub(super) struct Waiting {
    /// Those that were drawn before others that came earlier are still among them.
    shapes: VecDeque<Shape>,
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
    pub(super) fn push(&mut self, span: &Span<'_>, thread: usize) {
        let body = self.bodies.done();
        self.push_shape(Shape::of(span, thread as u32, body));
    }

    pub(super) fn push_instant(&mut self, instant: &Instant, thread: usize) {
        let body = self.bodies.done();
        self.push_shape(Shape::of_instant(instant, thread as u32, body));
    }

    #[inline]
    fn push_shape(&mut self, shape: Shape) {
        self.order.push(key(shape.stay.begin_ns, self.first + self.shapes.len() as u64));
        self.shapes.push_back(shape);
    }

    /// Takes out what is going to be drawn. Its body stays for as long.
    #[inline]
    pub(super) fn draw(&mut self, number: u64) -> Shape {
        let shape = &mut self.shapes[(number - self.first) as usize];
        shape.is_drawn = true;
        *shape
    }

    /// What is to be written of one that is being drawn.
    #[inline]
    pub(super) fn body_of(&self, body: Body) -> &[u8] {
        self.bodies.get(body)
    }

    /// Has the processor fetch what will be written of these.
    pub(super) fn fetch(&self, bodies: impl Iterator<Item = Body>) {
        let sum = |body: Body| {
            let bytes = self.bodies.get(body);
            bytes.first().map_or(0, |byte| u64::from(*byte)) + bytes.last().map_or(0, |byte| u64::from(*byte))
        };
        black_box(bodies.map(sum).sum::<u64>());
    }

    /// Puts the numbers of the `count` that began first into `batch`, in the order in which they are to be drawn. They stay until
    /// they are [taken out](Waiting::draw).
    pub(super) fn take(&mut self, count: usize, batch: &mut Vec<u64>) {
        let Waiting { shapes, first, order, in_order, .. } = self;
        sort_new(&mut order[*in_order..]);
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

    /// Visits all that are not being drawn.
    pub(super) fn rest(&mut self) -> impl Iterator<Item = &mut Shape> {
        self.shapes.iter_mut().filter(|shape| !shape.is_drawn)
    }

    /// Leaves no more room to what has been drawn than has to be.
    pub(super) fn forget_drawn(&mut self) {
        let drawn = self.shapes.iter().take_while(|shape| shape.is_drawn).count();
        self.shapes.drain(..drawn);
        self.first += drawn as u64;
        self.bodies.forget_before(self.shapes.front().map(|shape| shape.body));
        if self.shapes.len() > 2 * self.order.len().max(SPARSE) {
            self.close_up();
        }
    }

    /// Leaves no room between those that wait.
    fn close_up(&mut self) {
        self.shapes.retain(|shape| !shape.is_drawn);
        let mut bodies = Bodies::default();
        for shape in &mut self.shapes {
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

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    proptest! {
        #[test]
        fn keys_are_sorted_however_far_apart(begins in prop::collection::vec(0u64..=u64::MAX, 0..40), shift in 0..64, first in 0u64..9) {
            let mut keys: Vec<Key> = begins.iter().zip(first..).map(|(begin, number)| key(begin >> shift, number)).collect();
            let mut sorted = keys.clone();
            sorted.sort_unstable();
            sort_new(&mut keys);
            prop_assert_eq!(keys, sorted);
        }
    }
}
