//! A shop asks a warehouse what is in stock: two processes, each with a recording of its own.
//!
//! - [`shop`]: the client, which begins a trace and sends it along
//! - [`warehouse`]: the server, which goes on with the trace that came

pub mod shop;
pub mod warehouse;

/// The header of W3C's Trace Context.
const TRACEPARENT: &str = "traceparent";
