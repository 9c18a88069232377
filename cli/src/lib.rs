//! Reading, summarising and exporting the recordings of [`spanring`].
//!
//! - [`spans`]: begin and end records joined into spans, while they stream by
//! - [`top`]: per name and location, how many spans and how long they took
//! - [`stacks`]: the same by the names above them, with the time that each took for itself
//! - [`open`]: what was going on at the end: the open spans as a tree, with their ages
//! - [`counters`]: what was counted: each counter's values
//! - [`info`]: who recorded, since when, how much, and what is missing
//! - [`export`]: the formats of other tools, each written while the recording is read
//! - [`report`]: one page for a browser, with everything
//! - [`demo`]: a small HTTP service that records itself
//!
//! The program `spanring` is a thin shell around these modules.
//!
//! ```no_run
//! use spanring::reader::Recording;
//! use spanring_cli::top::{SortBy, Top};
//! use spanring_cli::{render, spans};
//!
//! # fn main() -> Result<(), spanring::reader::ReadError> {
//! let recording = Recording::open("recording")?;
//! let mut top = Top::default();
//! spans::read(&recording, &mut |item| top.add(&item))?;
//! print!("{}", render::top(&top.finish(SortBy::Total), 20, None));
//! # Ok(())
//! # }
//! ```

mod by_id;
pub mod counters;
pub mod demo;
pub mod diff;
pub mod doctor;
pub mod export;
pub mod filter;
pub mod info;
pub mod live;
mod names;
pub mod open;
pub mod paths;
pub mod places;
pub mod progress;
pub mod render;
pub mod report;
pub mod snapshot;
pub mod spans;
mod spread;
pub mod stacks;
pub mod tail;
pub mod text;
pub mod top;
pub mod trees;
