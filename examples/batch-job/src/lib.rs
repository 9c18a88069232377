//! A batch job: adds up what is in files of sales, some of which are not as they should be.
//!
//! - [`job`]: the job, with a span for all of it and one for each file
//! - [`sales`]: what is in a file
//! - [`sample`]: files to try it on

pub mod job;
pub mod sales;
pub mod sample;
mod span;
