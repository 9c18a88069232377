//! The span of a wrapped future or of a scope.

#[cfg(feature = "enable")]
pub(crate) use enabled::{FutureSpan, ThreadSpan};

#[cfg(feature = "enable")]
mod enabled {
    use crate::events::Outcome;
    use crate::future::SpanSite;
    use crate::future::attributes::SpanRef;
    use crate::future::context::{Entered, current};
    use crate::recorder::context::{CurrentSpan, this_thread};
    use crate::recorder::gate::{CLOSED, asks, filters, is_generation, looks_closer, measures_polls, samples};
    use crate::recorder::record::{
        Begun, Frame, Name, Place, Span, SpanHead, begin_quickly, begin_slowly, end_quickly, end_slowly,
        ending_generation, measured_ticks, poll, recording, running_generation, running_generation_at,
    };
    use crate::recorder::sampling::{UNSAMPLED, is_sampled, scope_ends};
    use crate::recorder::verdict::{SiteVerdict, generation_by, is_known_as_wanted, is_wanted};
    use std::mem::MaybeUninit;
    use std::task::Poll;

    /// The span of a wrapped future or of a scope.
    ///
    /// Writing the records is out of line, once for every sort of span and site: instrumented code stays small, and the records are
    /// written from the fields in here, one by one, rather than from arguments that need registers. What is not known yet is not
    /// written either: while nobody records, a span is made by saying so.
    pub(crate) struct SpanState<S: SpanSite, const THREAD: bool> {
        phase: Phase,
        /// There is one unless the phase is [`Phase::OVER`] from the start.
        site: Option<S>,
        /// Written once the span is fresh, and for good.
        frame: MaybeUninit<Frame>,
        /// Written when the span opens, and for good.
        begun: MaybeUninit<Begun>,
        /// Of a future that is fresh: when it was created, with [`MEASURED`], if polls are measured; else something without
        /// it, or [`UNSAMPLED`]. Of one
        /// whose polls are measured, and that is open: when the poll in progress began.
        measured: MaybeUninit<u64>,
        /// Written when the span of a future opens: how often it was polled, this poll included. Saturating.
        polls: MaybeUninit<u32>,
    }

    pub(crate) type FutureSpan<S> = SpanState<S, false>;
    pub(crate) type ThreadSpan<S> = SpanState<S, true>;

    /// No span's id.
    const NONE: u64 = 0;

    /// Marks a time that was measured. It would be a time after many years, by any clock.
    const MEASURED: u64 = 1 << 63;

    /// How far a span has come, in one word: an open one's generation of the recorder, or one of these, which are no generations.
    #[derive(Clone, Copy, PartialEq, Eq)]
    struct Phase(u64);

    impl Phase {
        /// Ended; or nobody recorded when it might have begun, or wanted it.
        const OVER: Phase = Phase(1);
        /// Not begun: a future that was never polled.
        const FRESH: Phase = Phase(0);
        /// The same, created while nobody recorded: it stands in no span.
        const EARLY: Phase = Phase(2);

        #[inline(always)]
        fn is_open(self) -> bool {
            const { assert!(!is_generation(Phase::EARLY.0)) };
            is_generation(self.0)
        }

        /// Of an open span: whether each of its polls is recorded.
        #[inline(always)]
        fn measures_polls(self) -> bool {
            measures_polls(self.0)
        }
    }

    impl<S: SpanSite> FutureSpan<S> {
        /// The span of a future, which begins when that is first polled, created while that is [`running_generation`]. `None`: it
        /// will not be recorded. If somebody is asked, it is the site, as far as it knows.
        #[inline(always)]
        pub(crate) fn of_future(site: Option<S>, generation: u64, verdict: Option<&SiteVerdict>) -> Self {
            if site.is_none() {
                return SpanState::new(Phase::OVER, None);
            }
            if generation == CLOSED {
                return SpanState::new(Phase::EARLY, site);
            }
            let mut created = generation;
            if let Some(site) = site.as_ref().filter(|_| looks_closer(generation)) {
                let (place, name) = (site.site().place(), site.name());
                if let Some(verdict) = verdict {
                    match generation_by(verdict, place, generation) {
                        Some(begins) => created = begins,
                        None => return SpanState::new(Phase::OVER, None),
                    }
                } else if running_generation_at(site.site().level()) == CLOSED {
                    return SpanState::new(Phase::OVER, None);
                }
                if looks_closer(created) {
                    match look_closer(place, name) {
                        Some(looked_at) => created = looked_at,
                        None => return SpanState::new(Phase::OVER, None),
                    }
                }
            }
            let mut span = SpanState::new(Phase::FRESH, site);
            let CurrentSpan { id: parent, next_depth } = current();
            span.frame.write(Frame { parent, depth: next_depth });
            span.measured.write(created);
            span
        }

        /// Polls in the span, which is begun and ended as needed. What comes out tells how it ends.
        #[inline(always)]
        pub(crate) fn poll_in<T>(
            &mut self,
            poll: impl FnOnce() -> Poll<T>,
            outcome: impl FnOnce(&T, SpanRef) -> Outcome,
        ) -> Poll<T> {
            let id = if self.phase == Phase::FRESH {
                self.begin()
            } else if self.phase.is_open() {
                self.goes_on()
            } else if self.phase == Phase::EARLY {
                self.begin_early()
            } else {
                NONE
            };
            if id == NONE {
                return poll();
            }
            let entered = Entered::new(CurrentSpan { id, next_depth: self.frame().depth.deeper() });
            let unwinding = EndOnUnwind(self);
            let result = poll();
            let outcome = match &result {
                Poll::Ready(output) => Some(outcome(output, SpanRef::with(id, unwinding.0.phase.0))),
                Poll::Pending => None,
            };
            std::mem::forget(unwinding);
            drop(entered);
            if let Some(outcome) = outcome {
                self.end(self.ending(outcome));
            } else if self.phase.measures_polls() {
                self.poll_ends();
            }
            result
        }

        /// At a poll but the first of a span that is open. Returns the span's id.
        #[inline(always)]
        fn goes_on(&mut self) -> u64 {
            // SAFETY: the span is open, and it was fresh before.
            let polls = unsafe { self.polls.assume_init_mut() };
            *polls = polls.saturating_add(1);
            if self.phase.measures_polls() {
                self.measured.write(measured_ticks());
            }
            self.begun().id
        }

        /// At the first poll of a future that was created while nobody recorded. Returns the span's id.
        #[inline(always)]
        fn begin_early(&mut self) -> u64 {
            if !recording() {
                self.phase = Phase::OVER;
                return NONE;
            }
            self.begin_after_all()
        }

        /// The same once somebody records.
        #[cold]
        #[inline(never)]
        fn begin_after_all(&mut self) -> u64 {
            let begins = running_generation_at(self.site().site().level());
            if begins == CLOSED || filters(begins) && !self.is_wanted() {
                self.phase = Phase::OVER;
                return NONE;
            }
            self.frame.write(Frame::ROOT);
            self.measured.write(0);
            if samples(begins) && !is_sampled(0) {
                return self.open_unsampled();
            }
            self.phase = Phase::FRESH;
            self.begin()
        }

        /// Writes what was measured of the poll that ends now.
        #[cold]
        #[inline(never)]
        fn poll_ends(&mut self) {
            self.record_poll(self.phase.0);
        }

        /// Makes the span of a future current while that is dropped. The guard ends it, if it is open.
        #[inline(always)]
        pub(crate) fn enter_to_drop(&mut self) -> Option<Dropping<'_, S>> {
            if !self.phase.is_open() {
                return None;
            }
            let entered = Entered::new(CurrentSpan { id: self.begun().id, next_depth: self.frame().depth.deeper() });
            Some(Dropping { span: self, _entered: entered })
        }
    }

    impl<S: SpanSite> ThreadSpan<S> {
        /// The span of a scope, which [`SpanState::begin_scope`] begins. `None`: it is not recorded.
        #[inline(always)]
        pub(crate) fn of_scope(site: Option<S>) -> Self {
            SpanState::new(if site.is_some() { Phase::FRESH } else { Phase::OVER }, site)
        }

        /// Begins the span of a scope.
        #[inline(always)]
        pub(crate) fn begin_scope(&mut self) {
            if self.phase == Phase::FRESH {
                self.begin_scope_in(running_generation_at(self.site().site().level()));
            }
        }

        /// The same, if it was prepared while that was [`running_generation_at`] its level.
        #[inline(always)]
        pub(crate) fn begin_scope_in(&mut self, begins: u64) {
            if self.phase == Phase::FRESH {
                if begins == CLOSED {
                    self.phase = Phase::OVER;
                } else if looks_closer(begins) {
                    self.begin_scope_asked();
                } else {
                    self.enter_scope();
                    self.begin();
                }
            }
        }

        /// The same while a filter or sampling is asked, or polls are measured. Goes on by a jump, so that a scope that is refused saves no
        /// register.
        #[cold]
        #[inline(never)]
        fn begin_scope_asked(&mut self) {
            if !filters(running_generation()) {
                return self.begin_scope_wanted();
            }
            match is_known_as_wanted(self.site().site().place(), self.site().name()) {
                Some(true) => self.begin_scope_wanted(),
                Some(false) => self.phase = Phase::OVER,
                None => self.begin_scope_judged(),
            }
        }

        /// The same if this thread does not know whether the filter wants it.
        #[cold]
        #[inline(never)]
        fn begin_scope_judged(&mut self) {
            if self.is_wanted() {
                self.begin_scope_wanted();
            } else {
                self.phase = Phase::OVER;
            }
        }

        /// The same if the filter wants it.
        #[cold]
        #[inline(never)]
        fn begin_scope_wanted(&mut self) {
            self.enter_scope();
            if samples(running_generation()) && !self.span().is_sampled() {
                self.open_unsampled();
            } else {
                self.begin_asked();
            }
        }

        /// Counts the scope that is about to begin. If it does not, this is taken back.
        #[inline(always)]
        fn enter_scope(&mut self) {
            let context = this_thread();
            let depth = context.scope_depth();
            self.frame.write(Frame { parent: context.current().id, depth });
            context.set_scope_depth(depth.deeper());
        }

        /// Ends the span of a scope, if it is open.
        #[inline(always)]
        pub(crate) fn end_scope(&mut self) {
            self.end_scope_as(|| if std::thread::panicking() { Outcome::Panicked } else { Outcome::Completed });
        }

        /// The same with the outcome given.
        #[inline(always)]
        pub(crate) fn end_scope_as(&mut self, outcome: impl FnOnce() -> Outcome) {
            if self.phase.is_open() {
                this_thread().set_scope_depth(self.frame().depth);
                self.end(self.ending(outcome()));
            }
        }

        /// The span of a scope, to record attributes of it.
        #[inline(always)]
        pub(crate) fn scope_ref(&self) -> SpanRef {
            SpanRef::with(if self.phase.is_open() { self.begun().id } else { NONE }, self.phase.0)
        }
    }

    impl<S: SpanSite, const THREAD: bool> SpanState<S, THREAD> {
        #[inline(always)]
        fn new(phase: Phase, site: Option<S>) -> Self {
            SpanState {
                phase,
                site,
                frame: MaybeUninit::uninit(),
                begun: MaybeUninit::uninit(),
                measured: MaybeUninit::uninit(),
                polls: MaybeUninit::uninit(),
            }
        }

        /// Writes the begin of a fresh span. Returns the span's id, [`NONE`] if it is not recorded.
        #[inline(never)]
        fn begin(&mut self) -> u64 {
            let generation = running_generation();
            match begin_quickly(this_thread(), &self.span(), generation) {
                Some(begun) => self.open(begun, generation),
                None if asks(generation) => self.begin_asked(),
                None => self.begin_slowly(),
            }
        }

        #[cold]
        #[inline(never)]
        fn begin_slowly(&mut self) -> u64 {
            let measured = self.measured();
            if measured == UNSAMPLED {
                return self.open_unsampled();
            }
            let created = if measured & MEASURED != 0 { measured & !MEASURED } else { 0 };
            let Some((begun, generation)) = begin_slowly(&self.span(), created) else { return self.is_refused() };
            // Its first poll begins when the span does.
            self.measured.write(begun.ticks);
            self.open(begun, generation)
        }

        /// The same while a filter or sampling is asked, and whoever made the span has asked them.
        #[cold]
        #[inline(never)]
        fn begin_asked(&mut self) -> u64 {
            if self.measured() == UNSAMPLED {
                return self.open_unsampled();
            }
            let generation = ending_generation();
            match begin_quickly(this_thread(), &self.span(), generation) {
                Some(begun) => self.open(begun, generation),
                None => self.begin_slowly(),
            }
        }

        /// What was written of a future when it was created; 0 for a scope.
        #[inline(always)]
        fn measured(&self) -> u64 {
            // SAFETY: it is written before a future is fresh.
            if THREAD { 0 } else { unsafe { self.measured.assume_init() } }
        }

        /// Opens a span that is not sampled, so that what is made in it knows. Returns what it has for an id.
        fn open_unsampled(&mut self) -> u64 {
            self.begun.write(Begun::UNSAMPLED);
            self.polls.write(1);
            self.phase = Phase(UNSAMPLED);
            Begun::UNSAMPLED.id
        }

        /// What the filter says now.
        #[inline(always)]
        fn is_wanted(&self) -> bool {
            let (site, name) = (self.site().site(), self.site().name());
            is_wanted(site.place(), name)
        }

        /// A span that might have begun does not.
        #[inline(always)]
        fn is_refused(&mut self) -> u64 {
            self.phase = Phase::OVER;
            if THREAD {
                this_thread().set_scope_depth(self.frame().depth);
            }
            NONE
        }

        #[inline(always)]
        fn open(&mut self, begun: Begun, generation: u64) -> u64 {
            self.begun.write(begun);
            if !THREAD {
                self.polls.write(1);
            }
            self.phase = Phase(generation);
            // For most there is nothing to do, and no code.
            self.site().record_attributes(begun.id, begun.ticks, generation);
            begun.id
        }

        /// Writes the end of a span that is open.
        #[inline(never)]
        fn end(&mut self, head: SpanHead) {
            let Phase(generation) = self.phase;
            // First, so that a name that panics does not end the span twice.
            self.phase = Phase::OVER;
            if end_quickly(this_thread(), &self.span(), self.begun(), generation, head, self.polls()) {
                return;
            }
            if generation == UNSAMPLED {
                if THREAD {
                    scope_ends(self.frame().parent, self.frame().depth);
                }
                return;
            }
            self.end_slowly(head, generation);
        }

        #[cold]
        #[inline(never)]
        fn end_slowly(&mut self, head: SpanHead, generation: u64) {
            // A future that is dropped is not being polled.
            if !THREAD && measures_polls(generation) && head != self.ending(Outcome::Cancelled) {
                self.record_poll(generation);
            }
            end_slowly(&self.span(), self.begun(), generation, head, *self.polls());
        }

        /// What is known when compiling of the head of the end.
        #[inline(always)]
        fn ending(&self, outcome: Outcome) -> SpanHead {
            self.site().site().head(THREAD).ending(outcome)
        }

        fn record_poll(&self, generation: u64) {
            // SAFETY: the span began in a recording that measures polls, slowly, and so this was written.
            let began = unsafe { self.measured.assume_init() };
            poll(self.frame(), self.begun().id, generation, began, *self.polls());
        }

        #[inline(always)]
        fn span(&self) -> Span<'_> {
            let (site, name, attributes) = (self.site().site(), self.site().name(), self.site().attributes());
            Span { thread: THREAD, frame: self.frame(), site, name, attributes }
        }

        /// Of a span that is fresh, open, or was.
        #[inline(always)]
        fn site(&self) -> &S {
            debug_assert!(self.site.is_some());
            // SAFETY: only a fresh span begins and only an open one ends, and without a site it is over from the start.
            unsafe { self.site.as_ref().unwrap_unchecked() }
        }

        /// Of a span that is fresh, open, or was.
        #[inline(always)]
        fn frame(&self) -> &Frame {
            // SAFETY: it is written before the span is fresh.
            unsafe { self.frame.assume_init_ref() }
        }

        /// Of a span that is open, or was.
        #[inline(always)]
        fn begun(&self) -> &Begun {
            // SAFETY: it is written when the span opens.
            unsafe { self.begun.assume_init_ref() }
        }

        /// How often the future of a span that is open, or was, has been polled; 0 for a scope.
        #[inline(always)]
        fn polls(&self) -> &u32 {
            if THREAD {
                return &0;
            }
            // SAFETY: it is written before the span of a future is fresh.
            unsafe { self.polls.assume_init_ref() }
        }
    }

    /// Of a future that is created now, and that is not just recorded: when that is, if it is measured; or [`UNSAMPLED`]. `None`: the
    /// filter does not want it. Out of line, once for each sort of name, so that few arguments are to be passed, all in registers; and what is
    /// known as refused saves none.
    #[inline(always)]
    fn look_closer(place: Place, name: Name<'_>) -> Option<u64> {
        #[cold]
        #[inline(never)]
        fn of_site(place: Place) -> Option<u64> {
            if is_refused(place, Name::OfSite) { None } else { look_at_site(place) }
        }

        #[cold]
        #[inline(never)]
        fn look_at_site(place: Place) -> Option<u64> {
            look(place, Name::OfSite)
        }

        #[cold]
        #[inline(never)]
        fn of_static_name(place: Place, name: &'static str) -> Option<u64> {
            if is_refused(place, Name::Static(&name)) { None } else { look_at_static_name(place, name) }
        }

        #[cold]
        #[inline(never)]
        fn look_at_static_name(place: Place, name: &'static str) -> Option<u64> {
            look(place, Name::Static(&name))
        }

        #[cold]
        #[inline(never)]
        fn of_run_time_name(place: Place, text: &str) -> Option<u64> {
            look(place, Name::RunTime(text))
        }

        #[inline(always)]
        fn is_refused(place: Place, name: Name<'_>) -> bool {
            filters(running_generation()) && is_known_as_wanted(place, name) == Some(false)
        }

        #[inline(always)]
        fn look(place: Place, name: Name<'_>) -> Option<u64> {
            if filters(running_generation()) && !is_wanted(place, name) {
                return None;
            }
            if samples(running_generation()) && !is_sampled(current().id) {
                return Some(UNSAMPLED);
            }
            Some(if measures_polls(ending_generation()) { measured_ticks() | MEASURED } else { 0 })
        }

        match name {
            Name::OfSite => of_site(place),
            Name::Static(name) => of_static_name(place, name),
            Name::RunTime(text) => of_run_time_name(place, text),
        }
    }

    /// Ends the span as panicked if its poll unwinds.
    struct EndOnUnwind<'a, S: SpanSite>(&'a mut FutureSpan<S>);

    impl<S: SpanSite> Drop for EndOnUnwind<'_, S> {
        #[cold]
        fn drop(&mut self) {
            if self.0.phase.is_open() {
                self.0.end(self.0.ending(Outcome::Panicked));
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
                self.span.end(self.span.ending(Outcome::Cancelled));
            }
        }
    }
}

#[cfg(not(feature = "enable"))]
pub(crate) use disabled::{FutureSpan, ThreadSpan};

/// Without the feature `enable`: no bytes, no instructions.
#[cfg(not(feature = "enable"))]
mod disabled {
    use crate::events::Outcome;
    use crate::future::attributes::SpanRef;
    use crate::recorder::verdict::SiteVerdict;
    use std::marker::PhantomData;
    use std::task::Poll;

    pub(crate) struct SpanState<S>(PhantomData<S>);

    pub(crate) type FutureSpan<S> = SpanState<S>;
    pub(crate) type ThreadSpan<S> = SpanState<S>;

    impl<S> SpanState<S> {
        #[inline(always)]
        pub(crate) fn of_future(_: Option<S>, _: u64, _: Option<&SiteVerdict>) -> SpanState<S> {
            SpanState(PhantomData)
        }

        #[inline(always)]
        pub(crate) fn of_scope(_: Option<S>) -> SpanState<S> {
            SpanState(PhantomData)
        }

        #[inline(always)]
        pub(crate) fn poll_in<T>(
            &mut self,
            poll: impl FnOnce() -> Poll<T>,
            _: impl FnOnce(&T, SpanRef) -> Outcome,
        ) -> Poll<T> {
            poll()
        }

        #[inline(always)]
        pub(crate) fn enter_to_drop(&mut self) -> Option<()> {
            None
        }

        #[inline(always)]
        pub(crate) fn begin_scope(&mut self) {}

        #[inline(always)]
        pub(crate) fn begin_scope_in(&mut self, _: u64) {}

        #[inline(always)]
        pub(crate) fn end_scope(&mut self) {}

        #[inline(always)]
        pub(crate) fn end_scope_as(&mut self, _: impl FnOnce() -> Outcome) {}

        #[inline(always)]
        pub(crate) fn scope_ref(&self) -> SpanRef {
            SpanRef::with(0, 0)
        }
    }
}
