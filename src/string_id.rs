//! How a static name stands in a record.

pub use crate::events::StringId;
