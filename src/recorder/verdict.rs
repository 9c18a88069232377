//! What the filter says of a span that is about to be made, remembered by its call site, or by each thread.
//!
//! Filters are never freed, so the address of one identifies it, and what a thread remembers of it stays true: to change the filter is
//! one store, and nobody has to be told. Nothing here takes a lock or allocates, for spans are made in signal handlers too.

use super::filter::{Filter, Subject};
use super::gate::{CLOSED, filters, samples};
use super::record::{Name, Place, ending_generation, is_run_time};
use crate::events::{SpanLocation, SpanMetadata, StringId, Verbosity};
use crate::sync::{AtomicPtr, AtomicU64, Ordering, light_barrier};
use std::cell::Cell;
use std::panic::Location as Caller;
use std::ptr::null_mut;
use std::sync::{Mutex, PoisonError};

/// What is asked; null while everything is recorded.
static CURRENT: AtomicPtr<Filter> = AtomicPtr::new(null_mut());

/// Verdicts that a thread remembers. A power of two.
const REMEMBERED: usize = 128;

/// What a filter says of a place and a name. As long as it is aligned.
///
/// A signal handler may exchange all of it between any two steps of whoever looks at it, for another place's, and back. That is why it is
/// looked at in a certain order: the filter, then the key, of which one load tells place and answer. A static name is told by two more
/// words; so the last of them is looked at first and again at the end, and differs after every exchange.
#[repr(align(32))]
struct Verdict {
    /// Which filter, by its address; or [`WRITING`].
    filter: Cell<u64>,
    /// Of which place, of what sort its name is, and whether it is [`WANTED`]; 0 for no verdict.
    key: Cell<u64>,
    /// Where the name is, if it is a static one.
    name: Cell<u64>,
    /// How long it is, and above that, how often this verdict was exchanged; wraps.
    length: Cell<u64>,
}

/// In the place of a filter's address: this thread is writing the verdict, so whoever finds that is a signal handler.
const WRITING: u64 = u64::MAX;

/// The bit of a key that says that the filter wants the span.
const WANTED: u64 = 4;

/// A verdict was exchanged once more.
const EXCHANGED: u64 = 1 << 32;

thread_local! {
    static VERDICTS: [Verdict; REMEMBERED] = const { [const { Verdict::none() }; REMEMBERED] };
}

/// Chooses what is asked from now on. One at a time.
pub(super) fn set(filter: Filter) {
    let filter = if filter.wants_all() { null_mut() } else { keep(filter) };
    // Release: whoever finds the address finds the rules.
    CURRENT.store(filter, Ordering::Release);
}

/// The filter that is asked, if one is.
pub(super) fn current() -> Option<&'static Filter> {
    // SAFETY: it is null, or kept for ever. Acquire: pairs with `set`.
    unsafe { CURRENT.load(Ordering::Acquire).as_ref() }
}

impl Filter {
    /// Of one that is kept.
    fn address(&self) -> u64 {
        const { assert!(align_of::<Filter>() as u64 > SiteVerdict::WANTED | SiteVerdict::DEPENDS_ON_NAME) };
        std::ptr::from_ref(self).addr() as u64
    }
}

/// The same filter again has the same address: there are as many as there are different ones.
fn keep(filter: Filter) -> *mut Filter {
    static KEPT: Mutex<Vec<&'static Filter>> = Mutex::new(Vec::new());
    let mut kept = KEPT.lock().unwrap_or_else(PoisonError::into_inner);
    let known = kept.iter().copied().find(|known| **known == filter);
    let filter = known.unwrap_or_else(|| {
        let new: &'static Filter = Box::leak(Box::new(filter));
        kept.push(new);
        new
    });
    std::ptr::from_ref(filter).cast_mut()
}

/// What the filter says of a call site, remembered by the site itself, in a static of its own: for all threads. It is written at the first
/// span after the filter was changed, and only read at all others.
///
/// One word has both the filter and what it says, and a filter says the same for ever. So whatever a thread finds, of whichever filter and
/// however late it sees it, is true of that filter; nothing else is found by way of it, and every access is relaxed.
#[derive(Debug)]
pub struct SiteVerdict {
    said: AtomicU64,
    /// The name of the site's spans, if it is always the same, and the place does not say it.
    name: Option<&'static str>,
}

impl SiteVerdict {
    /// The lowest bits of the word, where those of a filter's address are 0: so it takes one comparison to know that it refuses.
    const REFUSED: u64 = 0;
    const WANTED: u64 = 1;
    const DEPENDS_ON_NAME: u64 = 2;

    /// Of a site that nobody has asked about: without a filter, it is wanted. With the name of its spans, if that is always the same, and the
    /// place does not say it.
    pub const fn new(name: Option<&'static str>) -> SiteVerdict {
        SiteVerdict { said: AtomicU64::new(SiteVerdict::WANTED), name }
    }

    /// Whether the filter is known to want none of the site's spans.
    #[inline(always)]
    pub(crate) fn is_known_as_refused(&self) -> bool {
        // Relaxed, both: it is only asked which filter it is.
        self.said.load(Ordering::Relaxed) == CURRENT.load(Ordering::Relaxed).addr() as u64
    }

    /// What the filter says of the site.
    #[inline(always)]
    fn of(&self, filter: &Filter, place: Place) -> u64 {
        let known = self.said.load(Ordering::Relaxed) ^ filter.address();
        if known <= SiteVerdict::DEPENDS_ON_NAME { known } else { self.ask(filter, place) }
    }

    #[cold]
    #[inline(never)]
    fn ask(&self, filter: &Filter, place: Place) -> u64 {
        let subject = place.subject(self.name.unwrap_or_default());
        let says_name = self.name.is_some() || matches!(place, Place::Metadata(_));
        let said = match if says_name { Some(filter.wants(&subject)) } else { filter.wants_any_name(&subject) } {
            Some(true) => SiteVerdict::WANTED,
            Some(false) => SiteVerdict::REFUSED,
            None => SiteVerdict::DEPENDS_ON_NAME,
        };
        self.said.store(filter.address() | said, Ordering::Relaxed);
        said
    }
}

/// In which generation a span may begin at a place with a verdict, if somebody is asked or measures polls, as [`Gate::begins`] says. `None`: the
/// filter wants no span of the site. If it wants them all, it need not be asked again.
///
/// [`Gate::begins`]: super::gate::Gate::begins
#[inline(always)]
pub(crate) fn generation_by(verdict: &SiteVerdict, place: Place, begins: u64) -> Option<u64> {
    let generation = if filters(begins) { generation_asked(verdict, place, begins) } else { begins };
    Some(generation).filter(|generation| *generation != CLOSED)
}

#[cold]
#[inline(never)]
fn generation_asked(verdict: &SiteVerdict, place: Place, begins: u64) -> u64 {
    let Some(filter) = current() else { return begins };
    match verdict.of(filter, place) {
        SiteVerdict::REFUSED => CLOSED,
        SiteVerdict::WANTED if !samples(begins) => ending_generation(),
        _ => begins,
    }
}

/// Whether the filter wants a span there, of that name.
#[inline(always)]
pub(crate) fn is_wanted(place: Place, name: Name<'_>) -> bool {
    match is_known_as_wanted(place, name) {
        Some(wanted) => wanted,
        None => judge(place, name.id(), name.whole()),
    }
}

/// The same, as far as this thread remembers it. All in registers, and without a call.
#[inline(always)]
pub(crate) fn is_known_as_wanted(place: Place, name: Name<'_>) -> Option<bool> {
    let id = name.id();
    // Relaxed: it is only asked which filter it is.
    let filter = CURRENT.load(Ordering::Relaxed).addr() as u64;
    verdict_of(place, id).of(filter, place, id)
}

/// [`is_wanted`], by the filter's rules; what a run-time name says is not remembered.
#[cold]
#[inline(never)]
fn judge(place: Place, name: StringId, text: &str) -> bool {
    let Some(filter) = current() else { return true };
    let subject = place.subject(text);
    let of_place = if is_run_time(name) { filter.wants_any_name(&subject) } else { None };
    let wanted = of_place.unwrap_or_else(|| filter.wants(&subject));
    // But where it stands is, if that is all that matters.
    if of_place.is_some() || !is_run_time(name) {
        verdict_of(place, name).remember(filter.address(), place, name, wanted);
    }
    wanted
}

/// Where this thread remembers what was said.
#[inline(always)]
fn verdict_of(place: Place, name: StringId) -> &'static Verdict {
    // Not in a closure: see `context::this_thread`. The table has no destructor either.
    let verdicts = VERDICTS.with(std::ptr::from_ref);
    // SAFETY: without a destructor it is there as long as its thread runs any code, and as it is not `Sync`, no reference to it leaves
    // that thread.
    let verdicts = unsafe { &*verdicts };
    let spread = place.address().wrapping_add(name.ptr.wrapping_mul(8)) / size_of::<Verdict>() as u64;
    &verdicts[spread as usize % REMEMBERED]
}

/// Between two steps at a verdict: neither is moved past it. Here a signal handler may come, and in tests does.
#[inline(always)]
fn next_step() {
    light_barrier();
    #[cfg(test)]
    tests::interrupt();
}

impl Verdict {
    const fn none() -> Verdict {
        Verdict { filter: Cell::new(0), key: Cell::new(0), name: Cell::new(0), length: Cell::new(0) }
    }

    /// A place with a name of this sort: its address, and in the lowest bits, which are 0 there, whether the site says the name, or it was made
    /// at run time, or is a static one; a metadata and its own location may share an address.
    #[inline(always)]
    fn key_of(place: Place, name: StringId) -> u64 {
        const fn has_low_bits<T>() -> bool {
            align_of::<T>() as u64 > WANTED
        }
        const { assert!(has_low_bits::<SpanMetadata>() && has_low_bits::<SpanLocation>() && has_low_bits::<Caller<'_>>()) };
        place.address() | if name.ptr == 0 { name.len } else { 2 }
    }

    /// Whether that filter wants it, if that is what is remembered. Of a name that is not static the key says enough.
    #[inline(always)]
    fn of(&self, filter: u64, place: Place, name: StringId) -> Option<bool> {
        let length = self.length.get();
        next_step();
        if self.filter.get() != filter {
            return None;
        }
        next_step();
        // After the filter: what a handler exchanged in between is of the same filter, or of one that was chosen since.
        match self.key.get() ^ Verdict::key_of(place, name) {
            0 if name.ptr == 0 || self.is_still_of(name, length) => Some(false),
            WANTED if name.ptr == 0 || self.is_still_of(name, length) => Some(true),
            _ => None,
        }
    }

    /// Whether it is of that static name, and was not exchanged since its length was this.
    #[inline(always)]
    fn is_still_of(&self, name: StringId, length: u64) -> bool {
        next_step();
        // A static name of 4 GiB cannot exist in a program that was linked.
        let is_name = self.name.get() == name.ptr && length as u32 == name.len as u32;
        next_step();
        is_name && self.length.get() == length
    }

    /// Remembers it; not in a signal handler that comes in the middle of this.
    fn remember(&self, filter: u64, place: Place, name: StringId, wanted: bool) {
        if self.filter.get() == WRITING {
            return;
        }
        next_step();
        self.filter.set(WRITING);
        next_step();
        self.length.set((self.length.get() & !(EXCHANGED - 1)).wrapping_add(EXCHANGED) | u64::from(name.len as u32));
        next_step();
        self.key.set(Verdict::key_of(place, name) | if wanted { WANTED } else { 0 });
        next_step();
        self.name.set(name.ptr);
        next_step();
        self.filter.set(filter);
    }
}

impl Place {
    fn subject(self, name: &str) -> Subject<'_> {
        match self {
            Place::Metadata(metadata) => {
                Subject { name: metadata.name, ..Place::Location(&metadata.location).subject("") }
            }
            Place::Location(location) => {
                Subject { level: location.lod, target: location.target, file: location.file, line: location.line, name }
            }
            Place::Caller(caller) => {
                Subject { level: Verbosity::Max, target: "", file: caller.file(), line: caller.line(), name }
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::static_span_location;
    use std::cell::RefCell;

    static_span_location!(HERE);
    static_span_location!(THERE);

    thread_local! {
        /// What interrupts this thread, and after how many more steps.
        static HANDLERS: RefCell<Vec<(usize, Asked)>> = const { RefCell::new(Vec::new()) };
        static VERDICT: Verdict = const { Verdict::none() };
    }

    /// A filter's address, a place and a name.
    #[derive(Clone, Copy, PartialEq, Debug)]
    struct Asked(u64, usize, usize);

    const FILTERS: [u64; 2] = [0x1000, 0x2000];

    impl Asked {
        fn all() -> impl Iterator<Item = Asked> {
            let each = |filter| (0..2).flat_map(move |place| (0..4).map(move |name| Asked(filter, place, name)));
            // In an interpreter, one of each sort: hundreds of thousands of combinations would take hours there.
            FILTERS.into_iter().flat_map(each).step_by(if cfg!(miri) { 5 } else { 1 })
        }

        fn place(self) -> Place {
            Place::Location([&HERE, &THERE][self.1])
        }

        fn name(self) -> StringId {
            [Name::Static(&"load"), Name::Static(&"loa"), Name::RunTime("load"), Name::OfSite][self.2].id()
        }

        /// What the filter's rules say: the other one of the two says the opposite.
        fn is_wanted(self) -> bool {
            (FILTERS[0] == self.0) ^ (self.1 == 1) ^ (self.2 % 2 == 1)
        }

        fn remember(self) {
            VERDICT.with(|verdict| verdict.remember(self.0, self.place(), self.name(), self.is_wanted()));
        }

        fn known(self) -> Option<bool> {
            VERDICT.with(|verdict| verdict.of(self.0, self.place(), self.name()))
        }
    }

    /// The handlers whose time has come run; they are interrupted by the others.
    pub(super) fn interrupt() {
        let next = HANDLERS.with_borrow_mut(|handlers| {
            handlers.iter_mut().for_each(|(steps, _)| *steps = steps.wrapping_sub(1));
            let next = handlers.iter().position(|(steps, _)| *steps == usize::MAX)?;
            Some(handlers.swap_remove(next).1)
        });
        if let Some(asked) = next {
            assert!(asked.known().is_none_or(|wanted| wanted == asked.is_wanted()), "a handler is told {asked:?}");
            asked.remember();
        }
    }

    /// Does `what` while handlers come after so many steps; then none is left.
    fn interrupted<T>(handlers: &[(usize, Asked)], what: impl FnOnce() -> T) -> T {
        HANDLERS.set(handlers.to_vec());
        let done = what();
        HANDLERS.take();
        done
    }

    #[test]
    fn a_verdict_is_of_one_filter_place_and_name() {
        for asked in Asked::all() {
            asked.remember();
            for other in Asked::all() {
                assert_eq!(other.known(), (other == asked).then(|| asked.is_wanted()), "{asked:?}, {other:?}");
            }
        }
    }

    #[test]
    fn a_signal_handler_that_exchanges_a_verdict_while_it_is_looked_at_changes_no_answer() {
        // A handler finds the same filter, as in none of these it is changed meanwhile. Two may come after one another.
        let of_first_filter = || Asked::all().filter(|asked| asked.0 == FILTERS[0]);
        for before in Asked::all() {
            for asked in of_first_filter() {
                for handlers in of_first_filter().flat_map(|first| of_first_filter().map(move |second| (first, second)))
                {
                    for steps in (0..5).flat_map(|first| (0..9).map(move |second| (first, first + second))) {
                        let handlers = [(steps.0, handlers.0), (steps.1, handlers.1)];
                        before.remember();
                        let known = interrupted(&handlers, || asked.known());
                        let right = known.is_none_or(|wanted| wanted == asked.is_wanted());
                        assert!(right, "{before:?}, then {asked:?} with {handlers:?}");
                    }
                }
            }
        }
    }

    #[test]
    fn a_signal_handler_neither_believes_nor_spoils_a_verdict_that_is_being_written() {
        for (before, written) in Asked::all().flat_map(|before| Asked::all().map(move |written| (before, written))) {
            for (step, handler) in (0..5).flat_map(|step| Asked::all().map(move |handler| (step, handler))) {
                before.remember();
                interrupted(&[(step, handler)], || written.remember());
                for asked in Asked::all() {
                    let known = asked.known();
                    assert!(known.is_none_or(|wanted| wanted == asked.is_wanted()), "{asked:?}");
                    assert_eq!(known.is_some(), asked == written, "{before:?}, {written:?}, {handler:?}, {step}");
                }
            }
        }
        let filters = FILTERS.into_iter().chain([0, std::ptr::from_ref(&Filter::default()).addr() as u64]);
        assert!(filters.into_iter().all(|filter| filter != WRITING), "it is no filter's address");
    }
}
