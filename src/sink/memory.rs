//! A sink in memory, for tests and for short recordings: the bytes of one endless segment file.

use super::{Block, Sink};
use crate::format::block::block_bytes;
use crate::format::{FileHeader, FileKind, SessionId};
use std::io;
use std::sync::{Arc, Mutex, PoisonError};

/// Keeps every block in memory. It grows without bound.
///
/// ```
/// use spanring::Recorder;
/// use spanring::sink::MemorySink;
///
/// let (sink, buffer) = MemorySink::new();
/// let builder = Recorder::builder().sink(sink); // `memory()` does the same, and the guard has the buffer
/// ```
#[derive(Debug)]
pub struct MemorySink(MemoryBuffer);

/// What a [`MemorySink`] keeps, to be read while it is written or afterwards.
///
/// ```no_run
/// use spanring::Recorder;
/// use spanring::reader::Recording;
///
/// # fn main() -> Result<(), Box<dyn std::error::Error>> {
/// let recorder = Recorder::builder().memory().start()?;
/// let buffer = recorder.memory().cloned().unwrap_or_default();
/// recorder.stop()?;
/// let recording = Recording::from_segment(&buffer.bytes())?;
/// # Ok(())
/// # }
/// ```
#[derive(Clone, Debug, Default)]
pub struct MemoryBuffer(Arc<Mutex<Vec<u8>>>);

impl MemorySink {
    /// A sink, and the buffer that it fills.
    ///
    /// ```
    /// use spanring::format::file::FILE_HEADER_BYTES;
    /// use spanring::sink::MemorySink;
    ///
    /// let (sink, buffer) = MemorySink::new();
    /// assert_eq!(buffer.bytes().len(), FILE_HEADER_BYTES, "no block so far");
    /// ```
    pub fn new() -> (MemorySink, MemoryBuffer) {
        let buffer = MemoryBuffer::default();
        buffer.clear();
        (MemorySink(buffer.clone()), buffer)
    }
}

impl MemoryBuffer {
    /// The bytes so far: a segment file that `spanring::reader::Recording::from_segment` opens.
    ///
    /// ```
    /// # fn example(recorder: &spanring::RecorderGuard) -> Result<(), Box<dyn std::error::Error>> {
    /// recorder.flush()?;
    /// if let Some(buffer) = recorder.memory() {
    ///     std::fs::write("segment-000000.spanring", buffer.bytes())?; // a directory with this in it is a session
    /// }
    /// # Ok(())
    /// # }
    /// ```
    pub fn bytes(&self) -> Vec<u8> {
        self.lock().clone()
    }

    /// Forgets the records so far, and keeps what later records may refer to.
    pub(crate) fn clear(&self) {
        let mut bytes = self.lock();
        let header = FileHeader {
            kind: FileKind::Segment,
            session: SessionId([0, 0]),
            number: 0,
            created_unix_ns: 0,
            header_bytes: 64,
        };
        let mut kept = header.encode().to_vec();
        let mut rest = bytes.get(kept.len()..).unwrap_or_default();
        while let Ok(Some(header)) = crate::format::BlockHeader::decode(rest) {
            let (block, after) = rest.split_at(header.block_bytes().min(rest.len()));
            if header.kind != crate::format::BlockKind::Records {
                kept.extend_from_slice(block);
            }
            rest = after;
        }
        *bytes = kept;
    }

    fn lock(&self) -> std::sync::MutexGuard<'_, Vec<u8>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Sink for MemorySink {
    fn write(&mut self, block: Block<'_>) -> io::Result<()> {
        let mut bytes = self.0.lock();
        let end = bytes.len() + block_bytes(block.payload.len());
        bytes.extend_from_slice(&block.header().encode());
        bytes.extend_from_slice(block.payload);
        bytes.resize(end, 0);
        Ok(())
    }

    fn finish(&mut self) -> io::Result<()> {
        Ok(())
    }
}
