//! Where flushed blocks go.
//!
//! A sink takes raw bytes: record slots as they stood in a ring, and before them the definitions and threads that were not sent
//! before. It never sees a recording thread, and a recording thread never waits for it.

#[cfg(feature = "compress")]
mod compress;
mod memory;
mod null;
mod segments;

pub use memory::{MemoryBuffer, MemorySink};
pub use null::NullSink;
pub use segments::SegmentSink;

use crate::format::block::{Anchor, BlockHeader, BlockKind, RecordRange, block_bytes};
use std::io;
use std::path::PathBuf;

/// A block on its way to a sink.
#[derive(Clone, Copy, Debug)]
pub struct Block<'a> {
    /// What the payload is.
    pub kind: BlockKind,
    /// Number of the block in the session, without gaps.
    pub number: u64,
    /// Clocks at the time of writing.
    pub anchor: Anchor,
    /// For records: whose, and which.
    pub records: RecordRange,
    /// The bytes.
    pub payload: &'a [u8],
}

impl Block<'_> {
    /// Bytes that the block takes in a file, header and padding included.
    pub fn file_bytes(&self) -> usize {
        block_bytes(self.payload.len())
    }

    /// The header that stands before the payload in a file.
    pub fn header(&self) -> BlockHeader {
        BlockHeader::new(self.kind, self.number, self.anchor, self.records, self.payload)
    }
}

/// Takes blocks, in order, from one thread at a time.
pub trait Sink: Send {
    /// Takes a block whole, or not at all.
    ///
    /// # Errors
    /// What went wrong. The block is offered again after the next flush interval; meanwhile rings fill up, and what finds no room
    /// there is counted. A panic is taken for an error.
    fn write(&mut self, block: Block<'_>) -> io::Result<()>;

    /// Nothing follows.
    ///
    /// # Errors
    /// What went wrong; it is reported to whoever stopped the recorder.
    fn finish(&mut self) -> io::Result<()>;

    /// Makes everything written so far survive a loss of power, as far as the system and the disk keep their word.
    ///
    /// # Errors
    /// What went wrong: it is a failed write to the recorder.
    fn sync(&mut self) -> io::Result<()> {
        Ok(())
    }

    /// Number of the file to which the last block was written.
    fn file(&self) -> u64 {
        0
    }

    /// Files that somebody else removed, or cut off, while they were written. When this rises, what later records refer to is written
    /// again.
    fn spoiled_files(&self) -> u64 {
        0
    }

    /// Bytes that the sink keeps in files.
    fn stored_bytes(&self) -> u64 {
        0
    }

    /// The file with the oldest blocks, if there is one that no block will be written to any more.
    fn oldest_file(&self) -> Option<PathBuf> {
        None
    }

    /// Removes [`Sink::oldest_file`]: what has to be kept of it was written again.
    ///
    /// # Errors
    /// What went wrong. The file does not count any more.
    fn retire_oldest_file(&mut self) -> io::Result<()> {
        Ok(())
    }
}
