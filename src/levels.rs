//! Levels of detail.

pub use crate::events::Verbosity;
