//! The write side: from an instrumented call to the sink.
//!
//! In reading order: [`gate`] (whether anyone records), `context` (what each thread keeps), `record` (the recording path), `filter`, `verdict` and `sampling` (which spans are wanted), `attributes` (what goes with spans), `text` (of names made at run time), `full_ring` (waiting for room),
//! `thread` and `pool` (which thread owns which ring), [`names`] and [`sightings`] (what addresses stand for), `session` (what
//! all share), `drain` and `flusher` (from rings to sink), `carry` (with `pairs`) and `retention` (what stays when files go), `snapshot` (what rings held when somebody asked), `sync_policy` (what survives a loss of power), `builder` and `guard` (what users hold).

pub mod gate;
pub mod names;
pub mod sightings;
pub mod words;

// What follows takes files, thread-locals or real threads, which loom does not model.
#[cfg(not(spanring_loom))]
pub(crate) mod attributes;
#[cfg(not(spanring_loom))]
mod builder;
#[cfg(not(spanring_loom))]
mod carry;
#[cfg(not(spanring_loom))]
pub(crate) mod context;
#[cfg(not(spanring_loom))]
mod drain;
#[cfg(not(spanring_loom))]
mod drained_ring;
#[cfg(not(spanring_loom))]
mod error;
#[cfg(not(spanring_loom))]
mod files;
#[cfg(not(spanring_loom))]
mod filter;
#[cfg(not(spanring_loom))]
mod flusher;
#[cfg(not(spanring_loom))]
mod fork;
#[cfg(not(spanring_loom))]
mod full_ring;
#[cfg(not(spanring_loom))]
mod guard;
#[cfg(not(spanring_loom))]
mod health;
#[cfg(not(spanring_loom))]
mod pairs;
#[cfg(not(spanring_loom))]
mod pool;
#[cfg(not(spanring_loom))]
mod process;
#[cfg(not(spanring_loom))]
pub(crate) mod record;
#[cfg(not(spanring_loom))]
mod retention;
#[cfg(not(spanring_loom))]
pub(crate) mod sampling;
#[cfg(not(spanring_loom))]
mod session;
#[cfg(not(spanring_loom))]
mod snapshot;
#[cfg(not(spanring_loom))]
mod sync_policy;
#[cfg(not(spanring_loom))]
mod text;
#[cfg(not(spanring_loom))]
mod thread;
#[cfg(not(spanring_loom))]
pub(crate) mod verdict;

#[cfg(not(spanring_loom))]
pub use self::{
    builder::Builder,
    error::{FlushError, StartError},
    filter::{Filter, FilterError},
    guard::{
        Recorder, RecorderGuard, flush, health, is_recording, pause, request_snapshot, resume, set_filter, set_sampling,
    },
    health::Health,
    sampling::{Sampling, SamplingError},
    snapshot::{SnapshotError, Snapshots},
    sync_policy::SyncPolicy,
};
