//! The libraries, a file for each.

mod dial9;
mod drained;
mod fastrace;
mod floor;
mod micromegas;
mod perfetto_recorder;
mod puffin;
mod spanring;
mod spanring_tracing;
mod tracing;

use crate::library::{Kind, Library, Row};
use crate::rows::floor::{plain_async, plain_sync};

/// In the order of the tables.
pub const LIBRARIES: [&dyn Library; 10] = [
    &floor::Floor,
    &drained::Drained,
    &spanring::Spanring,
    &micromegas::Micromegas,
    &fastrace::Fastrace,
    &tracing::Tracing,
    &spanring_tracing::SpanringTracing,
    &dial9::Dial9,
    &perfetto_recorder::PerfettoRecorder,
    &puffin::Puffin,
];

/// What a row is compared with: the floor of its kind.
pub fn floor_of(row: &Row) -> fn(u64) {
    match row.kind {
        Kind::Async | Kind::AsyncRunTimeName => plain_async,
        Kind::Sync => plain_sync,
    }
}

/// The same without a span.
pub fn bare_of(row: &Row) -> fn(u64) {
    match row.kind {
        Kind::Async | Kind::AsyncRunTimeName => crate::rows::spans::bare_async,
        Kind::Sync => crate::rows::spans::bare_sync,
    }
}
