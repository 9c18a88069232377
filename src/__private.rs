//! What the macros expand to, and nobody else may rely on.

pub use crate::future::{Literal, counter, instant, instrument_seeing, instrument_with, named_with, static_with};
use crate::levels::Verbosity;
use crate::recorder::gate;
pub use crate::recorder::is_recording as recording;
use crate::recorder::record::running_generation_at;
use crate::spans::{SpanSite, ThreadSpanGuard};

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
