//! The atomics of this crate: those of `std`, and in models those of loom. spanring's own stay those of `std`, so loom sees none of them.

#[cfg(loom)]
pub(crate) use loom::sync::atomic::{AtomicU64, Ordering};
#[cfg(not(loom))]
pub(crate) use std::sync::atomic::{AtomicU64, Ordering};
