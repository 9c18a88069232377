//! A flight recorder for async Rust services.

pub mod events;
pub mod format;
pub mod queue;
mod sync;
