//! What the filter says of a span that is about to be made, remembered by each thread.
//!
//! Filters are never freed, so the address of one identifies it, and what a thread remembers of it stays true: to change the filter is
//! one store, and nobody has to be told. Nothing here takes a lock or allocates, for spans are made in signal handlers too.

use super::filter::{Filter, Subject};
use super::record::{Place, is_run_time};
use crate::events::{StringId, Verbosity};
use crate::sync::{AtomicPtr, Ordering};
use std::cell::Cell;
use std::ptr::null_mut;
use std::sync::{Mutex, PoisonError};

/// What is asked; null while everything is recorded.
static CURRENT: AtomicPtr<Filter> = AtomicPtr::new(null_mut());

/// Verdicts that a thread remembers. A power of two.
const REMEMBERED: usize = 128;

/// A place, the identity of a name, and what a filter says of them. As long as it is aligned.
#[derive(Clone, Copy)]
#[repr(align(32))]
struct Verdict {
    place: u64,
    name: StringId,
    /// The filter's address, which is even, and whether it wants the span; 0 for no verdict.
    said: u64,
}

const NONE: Verdict = Verdict { place: 0, name: StringId { ptr: 0, len: 0 }, said: 0 };

thread_local! {
    static VERDICTS: [Cell<Verdict>; REMEMBERED] = const { [const { Cell::new(NONE) }; REMEMBERED] };
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

/// Whether the filter wants a span there, of a name with this identity and text; see `record::Name`. All in registers, and no more
/// than a look at what this thread remembers, where that is enough.
#[inline(always)]
pub(crate) fn is_wanted(place: Place, name: StringId, text: &str) -> bool {
    // Acquire: pairs with `set`, as what `judge` finds there is read.
    let filter = CURRENT.load(Ordering::Acquire);
    let Verdict { place: known_place, name: known_name, said } = place_of(place, name).get();
    if known_place == place.address() && known_name == name && said & !1 == filter.addr() as u64 {
        return said & 1 != 0;
    }
    judge(place, name, text)
}

#[cold]
#[inline(never)]
fn judge(place: Place, name: StringId, text: &str) -> bool {
    let Some(filter) = current() else { return true };
    let wanted = filter.wants(&place.subject(text));
    // What a run-time name says is not remembered, but where it stands is, if that is all that matters.
    if !(is_run_time(name) && filter.asks_names()) {
        let said = std::ptr::from_ref(filter).addr() as u64 | u64::from(wanted);
        place_of(place, name).set(Verdict { place: place.address(), name, said });
    }
    wanted
}

/// Where this thread remembers what was said.
#[inline(always)]
fn place_of(place: Place, name: StringId) -> &'static Cell<Verdict> {
    // Not in a closure: see `context::this_thread`. The table has no destructor either.
    let verdicts = VERDICTS.with(std::ptr::from_ref);
    // SAFETY: without a destructor it is there as long as its thread runs any code, and as it is not `Sync`, no reference to it leaves
    // that thread.
    let verdicts = unsafe { &*verdicts };
    let spread = place.address().wrapping_add(name.ptr.wrapping_mul(8)) / size_of::<Verdict>() as u64;
    &verdicts[spread as usize % REMEMBERED]
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
