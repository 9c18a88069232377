//! What the macros expand to, and nobody else may rely on.

pub use crate::recorder::is_recording as recording;

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
