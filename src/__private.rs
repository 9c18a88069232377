//! What the macros expand to, and nobody else may rely on.

pub use crate::future::{Literal, counter, instant, instrument_seeing, instrument_with, named_with, static_with};
use crate::levels::Verbosity;
use crate::recorder::gate::{self, looks_closer};
pub use crate::recorder::is_recording as recording;
use crate::recorder::record::{Place, running_generation_at};
pub use crate::recorder::verdict::SiteVerdict;
use crate::recorder::verdict::generation_by;
use crate::spans::{SpanLocation, SpanMetadata, SpanSite, ThreadSpanGuard};

/// Ends a thread span by the result of what it was around.
#[inline]
pub fn end_by<S: SpanSite, T, E>(guard: ThreadSpanGuard<S>, result: Result<T, E>) -> Result<T, E> {
    if result.is_err() {
        guard.fail();
    }
    result
}

/// What [`generation`] is while nobody records, or wants what the macros make.
pub const CLOSED: u64 = gate::CLOSED;

/// The generation of the running recorder, in which spans of the macros' level begin. One load; a constant without the feature `enable`.
#[inline(always)]
pub fn generation() -> u64 {
    running_generation_at(Verbosity::Max)
}

/// Whether the filter is known to refuse all spans of a site with that verdict, if [`generation`] is not [`CLOSED`].
#[inline(always)]
pub fn is_refused(generation: u64, verdict: &SiteVerdict) -> bool {
    looks_closer(generation) && verdict.is_known_as_refused()
}

/// [`generation`], if a span may begin at a place with that verdict. `None`: nobody records, or wants it.
#[inline(always)]
pub fn generation_at(location: &'static SpanLocation, verdict: &SiteVerdict) -> Option<u64> {
    generation_at_place(Place::Location(location), verdict)
}

/// The same at a place that names its spans.
#[inline(always)]
pub fn generation_of(description: &'static SpanMetadata, verdict: &SiteVerdict) -> Option<u64> {
    generation_at_place(Place::Metadata(description), verdict)
}

#[inline(always)]
fn generation_at_place(place: Place, verdict: &SiteVerdict) -> Option<u64> {
    let begins = Some(generation()).filter(|generation| *generation != CLOSED)?;
    if !looks_closer(begins) {
        return Some(begins);
    }
    if verdict.is_known_as_refused() { None } else { generation_by(verdict, place, begins) }
}

/// What a name is of which that is the source text, if it is a plain string literal: then it is the same each time.
pub const fn literal(source: &'static str) -> Option<&'static str> {
    let [b'"', inside @ .., b'"'] = source.as_bytes() else { return None };
    let mut at = 0;
    while at < inside.len() {
        if matches!(inside[at], b'"' | b'\\') {
            return None;
        }
        at += 1;
    }
    match std::str::from_utf8(inside) {
        Ok(name) => Some(name),
        Err(_) => None,
    }
}

/// What a function pointer returns.
pub trait FnOutput {
    /// That.
    type Output;
}

impl<T> FnOutput for fn() -> T {
    type Output = T;
}

/// `!`, which on stable Rust can be written only as what a function returns.
pub type Never = <fn() -> ! as FnOutput>::Output;

/// Calls the body of a function that returns a future; inference makes the closure an `FnOnce` by it.
#[inline(always)]
pub fn call<T>(body: impl FnOnce() -> T) -> T {
    body()
}

#[cfg(test)]
mod tests {
    use super::literal;

    #[test]
    fn only_a_plain_string_literal_is_known_by_its_source() {
        for (source, name) in [
            (stringify!("load"), Some("load")),
            (stringify!(""), Some("")),
            (stringify!("GET /ü"), Some("GET /ü")),
            (stringify!(r"load"), None),
            (stringify!("a\tb"), None),
            (stringify!(concat!("a", "b")), None),
            (stringify!("a".trim_start_matches("b")), None),
            (stringify!(name), None),
            ("\"", None),
        ] {
            assert_eq!(literal(source), name, "{source}");
        }
    }
}
