//! What the filter says of a span that is about to be made, remembered by each thread.
//!
//! Filters are never freed, so the address of one identifies it, and what a thread remembers of it stays true: to change the filter is
//! one store, and nobody has to be told. Nothing here takes a lock or allocates, for spans are made in signal handlers too.

use super::filter::{Filter, Subject};
use super::record::{Name, Place, is_run_time};
use crate::events::{SpanLocation, SpanMetadata, StringId, Verbosity};
use crate::sync::{AtomicPtr, Ordering, light_barrier};
use std::cell::Cell;
use std::panic::Location as Caller;
use std::ptr::null_mut;
use std::sync::{Mutex, PoisonError};

/// What is asked; null while everything is recorded.
static CURRENT: AtomicPtr<Filter> = AtomicPtr::new(null_mut());

/// Verdicts that a thread remembers. A power of two.
const REMEMBERED: usize = 128;

/// What a filter says of a place and a name. As long as it is aligned.
#[repr(align(32))]
struct Verdict {
    /// Of which place, and of what sort its name is; 0 for no verdict.
    key: Cell<u64>,
    /// Which name, if it is a static one.
    name: Cell<StringId>,
    /// The filter's address, which is even, and whether it wants the span; or [`WRITING`].
    said: Cell<u64>,
}

/// In the place of what was said: this thread is writing it, so whoever finds that is a signal handler.
const WRITING: u64 = u64::MAX;

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
    // What was said, less the filter's address: 0 or 1 if it was that one.
    match verdict_of(place, id).said_of(place, id)? ^ filter {
        0 => Some(false),
        1 => Some(true),
        _ => None,
    }
}

/// [`is_wanted`], by the filter's rules; what a run-time name says is not remembered.
#[cold]
#[inline(never)]
fn judge(place: Place, name: StringId, text: &str) -> bool {
    let Some(filter) = current() else { return true };
    let wanted = filter.wants(&place.subject(text));
    // But where it stands is, if that is all that matters.
    if !(is_run_time(name) && filter.asks_names()) {
        let said = std::ptr::from_ref(filter).addr() as u64 | u64::from(wanted);
        verdict_of(place, name).remember(place, name, said);
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

impl Verdict {
    const fn none() -> Verdict {
        Verdict { key: Cell::new(0), name: Cell::new(StringId { ptr: 0, len: 0 }), said: Cell::new(0) }
    }

    /// A place with a name of this sort: its address, and in the lowest bits, which are 0 there, whether the site says the name, or it was made
    /// at run time, or is a static one; a metadata and its own location may share an address.
    #[inline(always)]
    fn key_of(place: Place, name: StringId) -> u64 {
        const { assert!(align_of::<SpanMetadata>() > 2 && align_of::<SpanLocation>() > 2 && align_of::<Caller<'_>>() > 2) };
        place.address() | if name.ptr == 0 { name.len } else { 2 }
    }

    /// What was said, if it was said of that. Of a name that is not static the key says enough.
    #[inline(always)]
    fn said_of(&self, place: Place, name: StringId) -> Option<u64> {
        let said = self.said.get();
        // First, so that a signal handler that exchanges all of it for another's verdict is noticed by the key. One that exchanges another's
        // for the very one that is asked for, between these instructions, is not: then a single span goes by the other's verdict. To look
        // twice would take 6 instructions of 30.
        light_barrier();
        let is_it = self.key.get() == Verdict::key_of(place, name) && (name.ptr == 0 || self.name.get() == name);
        is_it.then_some(said)
    }

    /// Remembers it; not in a signal handler that comes in the middle of this.
    fn remember(&self, place: Place, name: StringId, said: u64) {
        if self.said.get() == WRITING {
            return;
        }
        self.said.set(WRITING);
        light_barrier();
        self.key.set(Verdict::key_of(place, name));
        self.name.set(name);
        light_barrier();
        self.said.set(said);
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

    #[test]
    fn a_verdict_is_of_one_place_and_name() {
        static_span_location!(HERE);
        static_span_location!(THERE);
        let (here, there) = (Place::Location(&HERE), Place::Location(&THERE));
        let names = [Name::Static(&"load"), Name::Static(&"loa"), Name::RunTime("load"), Name::OfSite].map(Name::id);
        for name in names {
            let verdict = Verdict::none();
            verdict.remember(here, name, 7);
            let known = names.map(|other| verdict.said_of(here, other).is_some());
            assert_eq!(known, names.map(|other| other == name));
            assert_eq!((verdict.said_of(here, name), verdict.said_of(there, name)), (Some(7), None));
        }
    }

    #[test]
    fn a_signal_handler_neither_believes_nor_changes_what_is_being_written() {
        static_span_location!(HERE);
        let (here, name) = (Place::Location(&HERE), Name::OfSite.id());
        let verdict = Verdict::none();
        verdict.remember(here, name, WRITING);
        verdict.remember(here, name, 7);
        assert_eq!(verdict.said_of(here, name), Some(WRITING));
        let filters = [0, std::ptr::from_ref(&Filter::default()).addr() as u64];
        assert!(filters.iter().all(|filter| WRITING ^ filter > 1), "it is no filter's yes or no");
    }
}
