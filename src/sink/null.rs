//! A sink that forgets everything: for measuring what recording and draining cost by themselves.

use super::{Block, Sink};
use std::io;

/// Forgets every block.
///
/// ```
/// use spanring::Recorder;
/// use spanring::sink::NullSink;
///
/// let builder = Recorder::builder().sink(NullSink); // records, and keeps nothing
/// ```
#[derive(Clone, Copy, Debug, Default)]
pub struct NullSink;

impl Sink for NullSink {
    fn write(&mut self, _: Block<'_>) -> io::Result<()> {
        Ok(())
    }

    fn finish(&mut self) -> io::Result<()> {
        Ok(())
    }
}
