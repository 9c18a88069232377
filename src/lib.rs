//! A flight recorder for async Rust services.
//!
//! Wrap a future in a name and it leaves two fixed-layout records in its thread's own lock-free ring, for the price of two clock
//! reads. The rings are flushed as raw bytes to memory-mapped files that survive `kill -9`, and any other process can turn them
//! into answers: what was slow, what was waiting, what was running when the service died.
//!
//! ```
//! use spanring::prelude::*;
//!
//! # fn main() -> Result<(), Box<dyn std::error::Error>> {
//! # let directory = tempfile::tempdir()?;
//! # let path = directory.path();
//! let recorder = spanring::Recorder::builder().directory(path).start()?;
//!
//! let request = span_async_named!("GET /users", async {
//!     let rows = instrument_named!(async { 42 }, "query").await;
//!     span_scope!("render");
//!     rows
//! });
//! # fn block_on<F: Future>(future: F) -> F::Output {
//! #     let mut context = std::task::Context::from_waker(std::task::Waker::noop());
//! #     match std::pin::pin!(future).poll(&mut context) {
//! #         std::task::Poll::Ready(output) => output,
//! #         std::task::Poll::Pending => unreachable!(),
//! #     }
//! # }
//! assert_eq!(block_on(request), 42);
//!
//! let health = recorder.stop()?; // dropping it does the same
//! # if cfg!(not(feature = "enable")) { return Ok(()); }
//! assert_eq!((health.flushed, health.lost), (6, 0));
//! # Ok(())
//! # }
//! ```
//!
//! # Where to look
//! - Instrumenting: [`prelude`], [`macro@span_fn`], [`span_async_named!`], [`spans`].
//! - Recording: [`Recorder`], [`Builder`], [`RecorderGuard`], [`Snapshots`], [`Health`].
//! - Reading: [`reader`]; the program `spanring` does it from the command line.
//! - Testing your own instrumentation: [`testing`].
//! - Traces through several processes: [`trace_context`].
//! - Layouts: [`events`] (records), [`mod@format`] (files).
//!
//! # Features
//! - `enable` (default): records. Without it every macro and wrapper still compiles and leaves no instruction and no byte behind.
//! - `compress`: [`Builder::compress`], and reading recordings that were made with it.
//! - `tokio`: [`spans::spawn_with_context`], [`runtime`].
//! - `stream`: [`spans::InstrumentStream`].
//!
//! # Supported targets
//! 64-bit little-endian Unix. Linux on x86-64 is what is tested.

#![cfg_attr(not(feature = "enable"), allow(dead_code, reason = "what records is compiled, and never called"))]

#[cfg(not(target_pointer_width = "64"))]
compile_error!("spanring supports 64-bit targets only");
#[cfg(target_endian = "big")]
compile_error!("spanring supports little-endian targets only");
#[cfg(not(unix))]
compile_error!("spanring supports Unix only");

pub mod events;
pub mod format;
mod sync;

// The parts that loom models are public to them.
#[cfg(spanring_loom)]
#[allow(missing_docs, reason = "for the models only")]
pub mod queue;
#[cfg(spanring_loom)]
#[allow(missing_docs, reason = "for the models only")]
pub mod recorder;

#[cfg(not(spanring_loom))]
pub use production::*;

#[cfg(not(spanring_loom))]
mod clock;
#[cfg(not(spanring_loom))]
mod directory;
#[cfg(not(spanring_loom))]
pub mod dispatch;
#[cfg(not(spanring_loom))]
mod future;
#[cfg(not(spanring_loom))]
pub mod intern_string;
#[cfg(not(spanring_loom))]
pub mod levels;
#[cfg(not(spanring_loom))]
mod macros;
#[cfg(not(spanring_loom))]
mod mapping;
#[cfg(not(spanring_loom))]
mod native_thread;
#[cfg(not(spanring_loom))]
mod preallocate;
#[cfg(not(spanring_loom))]
pub mod prelude;
#[cfg(not(spanring_loom))]
mod queue;
#[cfg(not(spanring_loom))]
pub mod reader;
#[cfg(not(spanring_loom))]
mod recorder;
#[cfg(all(feature = "tokio", not(spanring_loom)))]
pub mod runtime;
#[cfg(not(spanring_loom))]
mod scope;
#[cfg(not(spanring_loom))]
mod signal;
#[cfg(not(spanring_loom))]
pub mod sink;
#[cfg(not(spanring_loom))]
pub mod spans;
#[cfg(not(spanring_loom))]
pub mod string_id;
#[cfg(not(spanring_loom))]
pub mod testing;
#[cfg(not(spanring_loom))]
pub mod trace_context;

#[cfg(not(spanring_loom))]
mod production {
    pub use crate::format::Discipline;
    pub use crate::future::current_span;
    pub use crate::recorder::{
        Builder, Filter, FilterError, FlushError, Health, Recorder, RecorderGuard, Sampling, SamplingError,
        SnapshotError, Snapshots, StartError, SyncPolicy, flush, health, is_recording, pause, request_snapshot, resume,
        set_filter, set_sampling,
    };
    pub use spanring_macros::span_fn;
}

#[doc(hidden)]
#[cfg(not(spanring_loom))]
pub mod __private;

/// The code in the README and the guide compiles, and runs.
#[cfg(doctest)]
mod documents {
    #[doc = include_str!("../README.md")]
    struct Readme;
    #[doc = include_str!("../docs/guide/getting-started.md")]
    struct GettingStarted;
    #[doc = include_str!("../docs/guide/concepts.md")]
    struct Concepts;
    #[doc = include_str!("../docs/guide/in-production.md")]
    struct InProduction;
}
