//! A service of axum and sqlx that is recorded: the spans of `tracing`, which tower-http and the handlers make, and spanring's own, which
//! the database and the routes have, in one tree.
//!
//! - [`database`]: orders in SQLite, each query a span with what it was asked and what it found
//! - [`service`]: the routes
//! - [`load`]: clients that ask
//! - [`recording`]: what is recorded, from nothing at all to everything
//! - [`run`]: a service and its load in one process
//! - [`measure`]: what recording takes, beside `tracing` without it

pub mod database;
pub mod load;
pub mod measure;
pub mod recording;
pub mod run;
pub mod service;
