//! Snapshots: what the rings hold, written out as a recording of its own when something asks for it.
//!
//! In flight discipline rings keep the recent past and nothing else, so most of what happens costs no disk. A snapshot copies them
//! while their threads go on recording, in memory first, so that nothing of it is overwritten while it is written; then it is a session
//! like any other. In reading order: `settings` (what users ask for), `requests` (who asks, and how often is too often), `slow` (spans
//! that ask by being slow), `capture` (the copy), `taker` (from a request to a directory).

mod capture;
mod requests;
mod settings;
mod slow;
mod taker;

pub(super) use self::{
    capture::{Capture, Extent},
    slow::SlowWatch,
    taker::Taker,
};
pub use self::{requests::SnapshotError, settings::Snapshots};
