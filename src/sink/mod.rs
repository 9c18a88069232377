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
///
/// ```
/// use spanring::format::{Anchor, BlockKind, block::RecordRange};
/// use spanring::sink::Block;
///
/// let (anchor, records) = (Anchor::default(), RecordRange::default());
/// let block = Block { kind: BlockKind::Facts, number: 0, anchor, records, payload: b"pid=4711\n" };
/// let line = format!("block {}: {:?}, {} bytes", block.number, block.kind, block.payload.len());
/// assert_eq!(line, "block 0: Facts, 9 bytes");
/// ```
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
    ///
    /// ```
    /// use spanring::format::{Anchor, BlockKind, block::RecordRange};
    /// use spanring::sink::Block;
    ///
    /// let (anchor, records) = (Anchor::default(), RecordRange::default());
    /// let block = Block { kind: BlockKind::Facts, number: 0, anchor, records, payload: b"pid=4711\n" };
    /// assert_eq!(block.file_bytes(), 96 + 16, "a header, and 9 bytes up to a multiple of 8");
    /// ```
    pub fn file_bytes(&self) -> usize {
        block_bytes(self.payload.len())
    }

    /// The header that stands before the payload in a file.
    ///
    /// ```
    /// use spanring::sink::Block;
    ///
    /// /// A block as it stands in a file.
    /// fn bytes(block: &Block<'_>) -> Vec<u8> {
    ///     let mut bytes = block.header().encode().to_vec();
    ///     bytes.extend_from_slice(block.payload);
    ///     bytes.resize(block.file_bytes(), 0);
    ///     bytes
    /// }
    /// ```
    pub fn header(&self) -> BlockHeader {
        BlockHeader::new(self.kind, self.number, self.anchor, self.records, self.payload)
    }
}

/// Takes blocks, in order, from one thread at a time.
///
/// ```
/// use spanring::Recorder;
/// use spanring::sink::{Block, Sink};
/// use std::io;
/// use std::sync::mpsc::{Sender, channel};
///
/// /// Hands blocks to another thread, which sends them somewhere.
/// struct Upload(Sender<Vec<u8>>);
///
/// impl Sink for Upload {
///     fn write(&mut self, block: Block<'_>) -> io::Result<()> {
///         let mut bytes = block.header().encode().to_vec();
///         bytes.extend_from_slice(block.payload);
///         bytes.resize(block.file_bytes(), 0);
///         self.0.send(bytes).map_err(io::Error::other)
///     }
///
///     fn finish(&mut self) -> io::Result<()> {
///         Ok(())
///     }
/// }
///
/// let (blocks, to_send) = channel();
/// let builder = Recorder::builder().sink(Upload(blocks));
/// ```
pub trait Sink: Send {
    /// Takes a block whole, or not at all.
    ///
    /// # Errors
    /// What went wrong. The block is offered again after the next flush interval; meanwhile rings fill up, and what finds no room
    /// there is counted. A panic is taken for an error.
    ///
    /// ```
    /// use spanring::sink::{Block, Sink};
    /// use std::fs::File;
    /// use std::io::{self, Seek, SeekFrom, Write};
    ///
    /// struct OneFile(File);
    ///
    /// impl Sink for OneFile {
    ///     fn write(&mut self, block: Block<'_>) -> io::Result<()> {
    ///         let begin = self.0.stream_position()?;
    ///         let mut bytes = block.header().encode().to_vec();
    ///         bytes.extend_from_slice(block.payload);
    ///         bytes.resize(block.file_bytes(), 0);
    ///         self.0.write_all(&bytes).or_else(|error| {
    ///             // Half a block does not stay.
    ///             self.0.set_len(begin)?;
    ///             self.0.seek(SeekFrom::Start(begin))?;
    ///             Err(error)
    ///         })
    ///     }
    /// #     fn finish(&mut self) -> io::Result<()> { Ok(()) }
    /// }
    /// ```
    fn write(&mut self, block: Block<'_>) -> io::Result<()>;

    /// Nothing follows.
    ///
    /// # Errors
    /// What went wrong; it is reported to whoever stopped the recorder.
    ///
    /// ```
    /// use spanring::sink::{Block, Sink};
    /// use std::io::{self, BufWriter, Write};
    ///
    /// struct Buffered(BufWriter<std::fs::File>);
    ///
    /// impl Sink for Buffered {
    /// #     fn write(&mut self, _: Block<'_>) -> io::Result<()> { Ok(()) }
    ///     fn finish(&mut self) -> io::Result<()> {
    ///         self.0.flush()
    ///     }
    /// }
    /// ```
    fn finish(&mut self) -> io::Result<()>;

    /// Makes everything written so far survive a loss of power, as far as the system and the disk keep their word.
    ///
    /// # Errors
    /// What went wrong: it is a failed write to the recorder.
    ///
    /// ```
    /// use spanring::sink::{Block, Sink};
    /// use std::io;
    ///
    /// struct OneFile(std::fs::File);
    ///
    /// impl Sink for OneFile {
    /// #     fn write(&mut self, _: Block<'_>) -> io::Result<()> { Ok(()) }
    /// #     fn finish(&mut self) -> io::Result<()> { Ok(()) }
    ///     fn sync(&mut self) -> io::Result<()> {
    ///         self.0.sync_all()
    ///     }
    /// }
    /// ```
    fn sync(&mut self) -> io::Result<()> {
        Ok(())
    }

    /// Number of the file to which the last block was written.
    ///
    /// ```
    /// use spanring::format::{Anchor, BlockKind, SessionId, block::RecordRange};
    /// use spanring::sink::{Block, SegmentSink, Sink};
    ///
    /// let directory = tempfile::tempdir()?;
    /// let mut sink = SegmentSink::new(directory.path(), SessionId([1, 2]), 64 << 10);
    /// # let (anchor, records) = (Anchor::default(), RecordRange::default());
    /// # let block = Block { kind: BlockKind::Facts, number: 0, anchor, records, payload: &[b'\n'; 60 << 10] };
    /// sink.write(block)?;
    /// sink.write(block)?; // there was no room for a second one
    /// assert_eq!(sink.file(), 1);
    /// # Ok::<(), std::io::Error>(())
    /// ```
    fn file(&self) -> u64 {
        0
    }

    /// Files that somebody else removed, or cut off, while they were written. When this rises, what later records refer to is written
    /// again.
    ///
    /// ```
    /// use spanring::format::{Anchor, BlockKind, SessionId, block::RecordRange};
    /// use spanring::sink::{Block, SegmentSink, Sink};
    ///
    /// let directory = tempfile::tempdir()?;
    /// let mut sink = SegmentSink::new(directory.path(), SessionId([1, 2]), 64 << 10);
    /// # let (anchor, records) = (Anchor::default(), RecordRange::default());
    /// # let block = Block { kind: BlockKind::Facts, number: 0, anchor, records, payload: b"pid=4711\n" };
    /// sink.write(block)?;
    /// std::fs::remove_file(directory.path().join("segment-000000.spanring"))?;
    /// assert!(sink.write(block).is_err());
    /// assert_eq!(sink.spoiled_files(), 1);
    /// sink.write(block)?; // to the next file
    /// # Ok::<(), std::io::Error>(())
    /// ```
    fn spoiled_files(&self) -> u64 {
        0
    }

    /// Bytes that the sink keeps in files.
    ///
    /// ```
    /// use spanring::format::SessionId;
    /// use spanring::sink::{SegmentSink, Sink};
    ///
    /// let directory = tempfile::tempdir()?;
    /// let sink = SegmentSink::new(directory.path(), SessionId([1, 2]), 8 << 20);
    /// assert_eq!(sink.stored_bytes(), 0, "there is no file before the first block");
    /// # Ok::<(), std::io::Error>(())
    /// ```
    fn stored_bytes(&self) -> u64 {
        0
    }

    /// The file with the oldest blocks, if there is one that no block will be written to any more.
    ///
    /// ```
    /// use spanring::format::{Anchor, BlockKind, SessionId, block::RecordRange};
    /// use spanring::sink::{Block, SegmentSink, Sink};
    ///
    /// let directory = tempfile::tempdir()?;
    /// let mut sink = SegmentSink::new(directory.path(), SessionId([1, 2]), 64 << 10);
    /// # let (anchor, records) = (Anchor::default(), RecordRange::default());
    /// # let block = Block { kind: BlockKind::Facts, number: 0, anchor, records, payload: &[b'\n'; 60 << 10] };
    /// sink.write(block)?;
    /// assert_eq!(sink.oldest_file(), None, "the only one is being written to");
    /// sink.write(block)?;
    /// assert_eq!(sink.oldest_file(), Some(directory.path().join("segment-000000.spanring")));
    /// # Ok::<(), std::io::Error>(())
    /// ```
    fn oldest_file(&self) -> Option<PathBuf> {
        None
    }

    /// Removes [`Sink::oldest_file`]: what has to be kept of it was written again.
    ///
    /// # Errors
    /// What went wrong. The file does not count any more.
    ///
    /// ```
    /// # use spanring::sink::Sink;
    /// # fn example(sink: &mut dyn Sink, most: u64) -> std::io::Result<()> {
    /// while sink.stored_bytes() > most && sink.oldest_file().is_some() {
    ///     sink.retire_oldest_file()?;
    /// }
    /// # Ok(())
    /// # }
    /// ```
    fn retire_oldest_file(&mut self) -> io::Result<()> {
        Ok(())
    }
}
