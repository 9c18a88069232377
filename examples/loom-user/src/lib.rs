//! A limit on how much goes on at the same time, without a lock: what it lets in and what it refuses is recorded by spanring, and that it
//! is right is checked by loom, in the same source.
//!
//! ```console
//! $ cargo test -p spanring-example-loom-user
//! $ RUSTFLAGS="--cfg loom" CARGO_TARGET_DIR=target/loom cargo test -p spanring-example-loom-user --test models
//! ```

mod limit;
mod sync;

pub use limit::{Limit, Permit};
