//! What all spans say, while they wait.
//!
//! It is kept as numbers of texts that the trace has, in a fifth of the bytes that it is written in.

use super::held::{Lane, Shape};
use super::packets::Arguments;
use super::texts::{Argument, Category, Texts};
use super::threads::Threads;
use crate::spans::{Ending, Span};

/// What a span says beside its [`Shape`].
#[derive(Clone, Copy, Debug)]
pub(super) struct Said {
    /// The number of its name, 0 if that is in its body.
    pub(super) name: u32,
    /// One more than [`Place::index`](crate::places::Place::index), 0 if that is not known. And so with the numbers of threads.
    place: u32,
    begin_thread: u32,
    end_thread: u32,
    polls: u32,
    pub(super) depth: u16,
    ending: Ending,
    /// There is a body, with what few spans say.
    pub(super) has_body: bool,
}

impl Said {
    #[inline]
    pub(super) fn new(
        span: &Span<'_>,
        texts: &mut Texts,
        begin_thread: Option<usize>,
        end_thread: Option<usize>,
        has_body: bool,
    ) -> Said {
        let thread = |number: Option<usize>| number.map_or(0, |number| number as u32 + 1);
        Said {
            name: texts.name(span),
            place: span.place.map_or(0, |place| {
                texts.meet(place);
                place.index + 1
            }),
            begin_thread: thread(begin_thread),
            end_thread: thread(end_thread),
            polls: span.polls,
            depth: span.depth,
            ending: span.ending,
            has_body,
        }
    }

    /// Of an instant, whose body says all.
    pub(super) fn instant(thread: usize) -> Said {
        let begin_thread = thread as u32 + 1;
        // Whatever began at the same time comes before it.
        let depth = u16::MAX;
        Said { name: 0, place: 0, begin_thread, end_thread: 0, polls: 0, depth, ending: Ending::Open, has_body: true }
    }

    /// The number of the thread that it is drawn on, if that is known, and if it is not drawn among async spans.
    pub(super) fn thread(&self) -> Option<usize> {
        self.end_thread.checked_sub(1).or(self.begin_thread.checked_sub(1)).map(|number| number as usize)
    }

    /// Adds it, and what the shape says, to an event.
    #[inline(always)]
    pub(super) fn write(&self, shape: &Shape, event: &mut Arguments<'_, '_>, texts: &Texts, threads: &Threads) {
        let is_async = shape.lane == Lane::Async;
        event.title(if is_async { Category::Async } else { Category::Thread }, self.name);
        event.number(Argument::SpanId, shape.stay.id);
        event.number(Argument::ParentId, shape.stay.parent);
        event.number(Argument::Depth, u64::from(self.depth));
        event.piece(texts.outcome(self.ending));
        if is_async && self.ending != Ending::Open {
            event.number(Argument::Polls, u64::from(self.polls));
        }
        if let Some(index) = self.place.checked_sub(1) {
            event.piece(texts.place(index));
        }
        if let Some(thread) = self.begin_thread.checked_sub(1) {
            event.piece(&threads.get(thread as usize).begin);
        }
        if let Some(thread) = self.end_thread.checked_sub(1) {
            event.piece(&threads.get(thread as usize).end);
        }
    }
}
