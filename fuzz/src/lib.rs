//! Hostile recordings, and what has to hold when they are read.
//!
//! An input is a description of files, in which every number is what it should be unless the input says otherwise; checksums are
//! right unless it damages them. So most of what is mutated gets past the first check that it meets. The files are read by
//! [`spanring::reader`] and by everything that `spanring-cli` does with a recording, on an allocator that counts.

pub mod check;
pub mod damage;
pub mod files;
pub mod input;
pub mod memory;
pub mod worst;
