//! The span of a wrapped future or of a scope.

#[cfg(feature = "enable")]
pub(crate) use enabled::{FutureSpan, ThreadSpan};

#[cfg(feature = "enable")]
mod enabled {
    use crate::events::Outcome;
    use crate::future::SpanSite;
    use crate::future::context::{Entered, current};
    use crate::recorder::context::{CurrentSpan, this_thread};
    use crate::recorder::gate::CLOSED;
    use crate::recorder::record::{
        Begun, Ending, Frame, Span, begin_quickly, begin_slowly, end_quickly, end_slowly, measured_ticks,
        measures_polls, poll, running_generation,
    };
    use std::task::Poll;

    /// The span of a wrapped future or of a scope.
    ///
    /// Writing the records is out of line, once for every sort of span and site: instrumented code stays small, and the records are
    /// written from the fields in here, one by one, rather than from arguments that need registers.
    pub(crate) struct SpanState<S: SpanSite, const THREAD: bool> {
        phase: Phase,
        /// There is one unless the phase is [`Phase::OVER`] from the start.
        site: Option<S>,
        frame: Frame,
        /// Of a span that is open. Before: no id, and when the future was created, if that is measured.
        begun: Begun,
        /// When the poll in progress began, if it is measured.
        poll_ticks: u64,
        /// Of a future: how often it was polled, this poll included. Saturating. Of a scope: 0.
        polls: u32,
    }

    pub(crate) type FutureSpan<S> = SpanState<S, false>;
    pub(crate) type ThreadSpan<S> = SpanState<S, true>;

    /// No span's id.
    const NONE: u64 = 0;

    /// How far a span has come, in one word: an open one's generation of the recorder, or one of these, which are no generations.
    #[derive(Clone, Copy, PartialEq, Eq)]
    struct Phase(u64);

    impl Phase {
        /// Not begun: a future that was never polled.
        const FRESH: Phase = Phase(u64::MAX);
        /// Ended, or nobody recorded when it might have begun.
        const OVER: Phase = Phase(CLOSED);

        #[inline(always)]
        fn is_open(self) -> bool {
            // One comparison: generations count from 2 by twos, and no process starts 2^62 recorders.
            self.0 as i64 > 0
        }

        /// Of an open span: whether each of its polls is recorded.
        #[inline(always)]
        fn measures_polls(self) -> bool {
            measures_polls(self.0)
        }
    }

    impl<S: SpanSite> FutureSpan<S> {
        /// The span of a future, which begins when that is first polled. `None`: it will not be recorded.
        #[inline(always)]
        pub(crate) fn of_future(site: Option<S>) -> Self {
            let CurrentSpan { id: parent, next_depth } = current();
            let created = if measures_polls(running_generation()) { measured_ticks() } else { 0 };
            SpanState::new(site, Frame { parent, depth: next_depth }, created)
        }

        /// Polls in the span, which is begun and ended as needed.
        #[inline(always)]
        pub(crate) fn poll_in<T>(&mut self, poll: impl FnOnce() -> Poll<T>) -> Poll<T> {
            let id = match self.phase {
                phase if phase.is_open() => {
                    self.polls = self.polls.saturating_add(1);
                    self.begun.id
                }
                Phase::FRESH => self.begin_if_recording(),
                _ => NONE,
            };
            if id == NONE {
                return poll();
            }
            let inside = CurrentSpan { id, next_depth: self.frame.depth.deeper() };
            if self.phase.measures_polls() {
                self.poll_begins();
            }
            let entered = Entered::new(inside);
            let unwinding = EndOnUnwind(self);
            let result = poll();
            std::mem::forget(unwinding);
            drop(entered);
            if self.phase.measures_polls() {
                self.poll_ends();
            }
            if result.is_ready() {
                self.end(Ending::with(Outcome::Completed));
            }
            result
        }

        /// Takes the time at which a poll begins: the first one, when its span did.
        #[cold]
        #[inline(never)]
        fn poll_begins(&mut self) {
            self.poll_ticks = if self.polls == 1 { self.begun.ticks } else { measured_ticks() };
        }

        /// Writes what was measured of a poll.
        #[cold]
        #[inline(never)]
        fn poll_ends(&mut self) {
            poll(&self.frame, self.begun.id, self.phase.0, self.poll_ticks, self.polls);
        }

        /// Makes the span of a future current while that is dropped. The guard ends it, if it is open.
        #[inline(always)]
        pub(crate) fn enter_to_drop(&mut self) -> Option<Dropping<'_, S>> {
            let entered = Entered::new(self.inside()?);
            Some(Dropping { span: self, _entered: entered })
        }

        /// What is current inside of the span, if it is open.
        #[inline(always)]
        fn inside(&self) -> Option<CurrentSpan> {
            self.phase.is_open().then(|| CurrentSpan { id: self.begun.id, next_depth: self.frame.depth.deeper() })
        }
    }

    impl<S: SpanSite> ThreadSpan<S> {
        /// The span of a scope, which [`SpanState::begin_scope`] begins. `None`: it is not recorded.
        #[inline(always)]
        pub(crate) fn of_scope(site: Option<S>) -> Self {
            let context = this_thread();
            SpanState::new(site, Frame { parent: context.current().id, depth: context.scope_depth() }, 0)
        }

        /// Begins the span of a scope.
        #[inline(always)]
        pub(crate) fn begin_scope(&mut self) {
            if self.phase == Phase::FRESH && self.begin_if_recording() != NONE {
                this_thread().set_scope_depth(self.frame.depth.deeper());
            }
        }

        /// Ends the span of a scope, if it is open.
        #[inline(always)]
        pub(crate) fn end_scope(&mut self) {
            if self.phase.is_open() {
                this_thread().set_scope_depth(self.frame.depth);
                self.end(Ending::with(if std::thread::panicking() { Outcome::Panicked } else { Outcome::Completed }));
            }
        }
    }

    impl<S: SpanSite, const THREAD: bool> SpanState<S, THREAD> {
        #[inline(always)]
        fn new(site: Option<S>, frame: Frame, created: u64) -> Self {
            let phase = if site.is_some() { Phase::FRESH } else { Phase::OVER };
            let polls = if THREAD { 0 } else { 1 };
            SpanState { phase, site, frame, begun: Begun { id: NONE, ticks: created }, poll_ticks: 0, polls }
        }

        /// At the first poll of a future, or the start of a scope. Returns the span's id, [`NONE`] if it is not recorded.
        #[inline(always)]
        fn begin_if_recording(&mut self) -> u64 {
            match running_generation() {
                CLOSED => {
                    self.phase = Phase::OVER;
                    NONE
                }
                generation => self.begin(generation),
            }
        }

        /// Writes the begin.
        #[inline(never)]
        fn begin(&mut self, generation: u64) -> u64 {
            match begin_quickly(this_thread(), &self.span(), &self.begun.ticks, generation) {
                Some(begun) => {
                    (self.begun, self.phase) = (begun, Phase(generation));
                    begun.id
                }
                None => self.begin_slowly(),
            }
        }

        #[cold]
        #[inline(never)]
        fn begin_slowly(&mut self) -> u64 {
            let Some((begun, generation)) = begin_slowly(&self.span(), self.begun.ticks) else {
                self.phase = Phase::OVER;
                return NONE;
            };
            (self.begun, self.phase) = (begun, Phase(generation));
            begun.id
        }

        /// Writes the end of a span that is open.
        #[inline(never)]
        fn end(&mut self, ending: Ending) {
            let Phase(generation) = self.phase;
            // First, so that a name that panics does not end the span twice.
            self.phase = Phase::OVER;
            if !end_quickly(this_thread(), &self.span(), &self.begun, generation, ending, &self.polls) {
                self.end_slowly(generation, ending);
            }
        }

        #[cold]
        #[inline(never)]
        fn end_slowly(&mut self, generation: u64, ending: Ending) {
            end_slowly(&self.span(), &self.begun, generation, ending, self.polls);
        }

        #[inline(always)]
        fn span(&self) -> Span<'_> {
            debug_assert!(self.site.is_some());
            // SAFETY: only a fresh span begins and only an open one ends, and without a site it is over from the start.
            let site = unsafe { self.site.as_ref().unwrap_unchecked() };
            Span { thread: THREAD, frame: &self.frame, site: site.site(), name: site.name() }
        }
    }

    /// Ends the span as panicked if its poll unwinds.
    struct EndOnUnwind<'a, S: SpanSite>(&'a mut FutureSpan<S>);

    impl<S: SpanSite> Drop for EndOnUnwind<'_, S> {
        #[cold]
        fn drop(&mut self) {
            if self.0.phase.is_open() {
                if self.0.phase.measures_polls() {
                    self.0.poll_ends();
                }
                self.0.end(Ending::with(Outcome::Panicked));
            }
        }
    }

    /// Ends the span as cancelled once its future is dropped.
    pub(crate) struct Dropping<'a, S: SpanSite> {
        span: &'a mut FutureSpan<S>,
        _entered: Entered,
    }

    impl<S: SpanSite> Drop for Dropping<'_, S> {
        fn drop(&mut self) {
            if self.span.phase.is_open() {
                self.span.end(Ending::with(Outcome::Cancelled));
            }
        }
    }
}

#[cfg(not(feature = "enable"))]
pub(crate) use disabled::{FutureSpan, ThreadSpan};

/// Without the feature `enable`: no bytes, no instructions.
#[cfg(not(feature = "enable"))]
mod disabled {
    use std::marker::PhantomData;
    use std::task::Poll;

    pub(crate) struct SpanState<S>(PhantomData<S>);

    pub(crate) type FutureSpan<S> = SpanState<S>;
    pub(crate) type ThreadSpan<S> = SpanState<S>;

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
