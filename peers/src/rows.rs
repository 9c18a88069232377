//! What spanring's own benches measure, from their own files: floors and spans are the same code here and there.

#[allow(dead_code, reason = "some is for the benches only")]
#[path = "../../benches/rows/floor.rs"]
pub mod floor;
#[path = "../../benches/rows/repeat.rs"]
mod repeat;
#[path = "../../benches/rows/spans.rs"]
pub mod spans;

pub use repeat::{poll_each, run_each};
