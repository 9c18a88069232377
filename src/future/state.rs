//! The span of a wrapped future or of a scope.

#[cfg(feature = "enable")]
pub(crate) use enabled::SpanState;

#[cfg(feature = "enable")]
mod enabled {
    use crate::events::Outcome;
    use crate::future::SpanSite;
    use crate::future::context::{Entered, current};
    use crate::recorder::context::{CurrentSpan, this_thread};
    use crate::recorder::gate::CLOSED;
    use crate::recorder::record::{
        Begun, Ending, Frame, Span, begin_quickly, begin_slowly, end_quickly, end_slowly, running_generation,
    };
    use std::task::Poll;

    /// The span of a wrapped future or of a scope: nothing, if it is not recorded and never will be.
    ///
    /// Writing the records is out of line, once for every kind of site: instrumented code stays small, and the records are written
    /// from the fields in here, one by one, rather than from arguments that need registers.
    pub(crate) struct SpanState<S: SpanSite>(Option<Recorded<S>>);

    struct Recorded<S> {
        site: S,
        frame: Frame,
        phase: Phase,
    }

    enum Phase {
        /// Not begun: a future that was never polled.
        Fresh,
        /// Begun.
        Open(Opened),
        /// Ended. What is known of the begin stays where it is, because the end record is written from there.
        Ended(Opened),
        /// Nobody recorded when it might have begun.
        Unrecorded,
    }

    #[derive(Clone, Copy)]
    struct Opened {
        begun: Begun,
        /// Saturating; 0 for a scope.
        polls: u32,
    }

    impl<S: SpanSite> SpanState<S> {
        /// The span of a future, which begins when that is first polled. `None`: it will not be recorded.
        #[inline(always)]
        pub(crate) fn of_future(site: Option<S>) -> SpanState<S> {
            SpanState(site.map(|site| {
                let CurrentSpan { id, next_depth } = current();
                let frame = Frame::of_future(site.site(), id, next_depth);
                Recorded { site, frame, phase: Phase::Fresh }
            }))
        }

        /// The span of a scope, which [`SpanState::begin_scope`] begins. `None`: it is not recorded.
        #[inline(always)]
        pub(crate) fn of_scope(site: Option<S>) -> SpanState<S> {
            SpanState(site.map(|site| {
                let context = this_thread();
                let frame = Frame::of_thread(site.site(), context.current().id, context.scope_depth());
                Recorded { site, frame, phase: Phase::Fresh }
            }))
        }

        /// Begins the span of a scope.
        #[inline(always)]
        pub(crate) fn begin_scope(&mut self) {
            if let Some(recorded) = &mut self.0 {
                recorded.begin_if_recording(0);
            }
            if let Some(inside) = self.inside() {
                this_thread().set_scope_depth(inside.next_depth);
            }
        }

        /// Polls in the span, which is begun and ended as needed.
        #[inline(always)]
        pub(crate) fn poll_in<T>(&mut self, poll: impl FnOnce() -> Poll<T>) -> Poll<T> {
            if let Some(recorded) = &mut self.0 {
                match &mut recorded.phase {
                    Phase::Fresh => recorded.begin_if_recording(1),
                    Phase::Open(opened) => opened.polls = opened.polls.saturating_add(1),
                    Phase::Ended(_) | Phase::Unrecorded => {}
                }
            }
            let Some(inside) = self.inside() else { return poll() };
            let entered = Entered::new(inside);
            let unwinding = EndOnUnwind(self);
            let result = poll();
            std::mem::forget(unwinding);
            drop(entered);
            if result.is_ready() {
                self.end(Outcome::Completed);
            }
            result
        }

        /// Makes the span of a future current while that is dropped. The guard ends it, if it is open.
        #[inline(always)]
        pub(crate) fn enter_to_drop(&mut self) -> Option<Dropping<'_, S>> {
            let entered = Entered::new(self.inside()?);
            Some(Dropping { span: self, _entered: entered })
        }

        /// Ends the span of a scope, if it is open.
        #[inline(always)]
        pub(crate) fn end_scope(&mut self) {
            if let Some(Recorded { phase: Phase::Open(_), frame, .. }) = &self.0 {
                this_thread().set_scope_depth(frame.depth());
                self.end(if std::thread::panicking() { Outcome::Panicked } else { Outcome::Completed });
            }
        }

        /// What is current inside of the span, if it is open.
        #[inline(always)]
        fn inside(&self) -> Option<CurrentSpan> {
            match &self.0 {
                Some(Recorded { phase: Phase::Open(opened), frame, .. }) => {
                    Some(CurrentSpan { id: opened.begun.id, next_depth: frame.depth().deeper() })
                }
                _ => None,
            }
        }

        /// Writes the end, if the span is open.
        #[inline(always)]
        fn end(&mut self, outcome: Outcome) {
            if let Some(recorded) = &mut self.0 {
                recorded.end(Ending::with(outcome));
            }
        }
    }

    impl<S: SpanSite> Recorded<S> {
        /// At the first poll of a future, or the start of a scope.
        #[inline(always)]
        fn begin_if_recording(&mut self, polls: u32) {
            match running_generation() {
                CLOSED => self.phase = Phase::Unrecorded,
                generation => self.begin(polls, generation),
            }
        }

        /// Writes the begin.
        #[inline(never)]
        fn begin(&mut self, polls: u32, generation: u64) {
            match begin_quickly(this_thread(), &self.span(), generation) {
                Some(begun) => self.phase = Phase::Open(Opened { begun, polls }),
                None => self.begin_slowly(polls),
            }
        }

        #[cold]
        #[inline(never)]
        fn begin_slowly(&mut self, polls: u32) {
            self.phase = match begin_slowly(&self.span()) {
                Some(begun) => Phase::Open(Opened { begun, polls }),
                None => Phase::Unrecorded,
            };
        }

        /// Writes the end, if the span is open.
        #[inline(never)]
        fn end(&mut self, ending: Ending) {
            let Phase::Open(opened) = self.phase else { return };
            // First, so that a name that panics does not end the span twice.
            self.phase = Phase::Ended(opened);
            if !end_quickly(this_thread(), &self.span(), &opened.begun, ending, opened.polls) {
                self.end_slowly(ending);
            }
        }

        #[cold]
        #[inline(never)]
        fn end_slowly(&mut self, ending: Ending) {
            if let Phase::Ended(opened) = &self.phase {
                end_slowly(&self.span(), &opened.begun, ending, opened.polls);
            }
        }

        #[inline(always)]
        fn span(&self) -> Span<'_> {
            Span { frame: &self.frame, site: self.site.site(), name: self.site.name() }
        }
    }

    /// Ends the span as panicked if its poll unwinds.
    struct EndOnUnwind<'a, S: SpanSite>(&'a mut SpanState<S>);

    impl<S: SpanSite> Drop for EndOnUnwind<'_, S> {
        #[cold]
        fn drop(&mut self) {
            self.0.end(Outcome::Panicked);
        }
    }

    /// Ends the span as cancelled once its future is dropped.
    pub(crate) struct Dropping<'a, S: SpanSite> {
        span: &'a mut SpanState<S>,
        _entered: Entered,
    }

    impl<S: SpanSite> Drop for Dropping<'_, S> {
        fn drop(&mut self) {
            self.span.end(Outcome::Cancelled);
        }
    }
}

#[cfg(not(feature = "enable"))]
pub(crate) use disabled::SpanState;

/// Without the feature `enable`: no bytes, no instructions.
#[cfg(not(feature = "enable"))]
mod disabled {
    use std::marker::PhantomData;
    use std::task::Poll;

    pub(crate) struct SpanState<S>(PhantomData<S>);

    impl<S> SpanState<S> {
        #[inline(always)]
        pub(crate) fn of_future(_: Option<S>) -> SpanState<S> {
            SpanState(PhantomData)
        }

        #[inline(always)]
        pub(crate) fn of_scope(_: Option<S>) -> SpanState<S> {
            SpanState(PhantomData)
        }

        #[inline(always)]
        pub(crate) fn poll_in<T>(&mut self, poll: impl FnOnce() -> Poll<T>) -> Poll<T> {
            poll()
        }

        #[inline(always)]
        pub(crate) fn enter_to_drop(&mut self) -> Option<()> {
            None
        }

        #[inline(always)]
        pub(crate) fn begin_scope(&mut self) {}

        #[inline(always)]
        pub(crate) fn end_scope(&mut self) {}
    }
}
