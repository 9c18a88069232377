//! The sink that production uses: preallocated segment files, one after another.
//!
//! A block is written behind the last one, its magic last, so a process that is killed while flushing leaves a whole block or
//! none. Blocks of disk are allocated when a file is created: a full disk is an error there, and costs nothing that was begun.
//!
//! Segments are written, not mapped: a page of a mapped file has to be cleared and faulted in before it is overwritten, which costs
//! several times as much as to write it (see docs/PERFORMANCE.md), and what was written is in the system's hands either way.

#[cfg(feature = "compress")]
use super::compress::Compressor;
use super::{Block, Sink};
use crate::directory;
use crate::format::block::BLOCK_HEADER_BYTES;
use crate::format::file::FILE_HEADER_BYTES;
use crate::format::{FileHeader, FileKind, SessionId};
use crate::preallocate::{create_preallocated, file_size_limit};
use std::collections::VecDeque;
use std::fs::File;
use std::io;
use std::os::unix::fs::{FileExt, MetadataExt};
use std::path::{Path, PathBuf};

/// Bytes at the start of a block that are written last: the word with its magic.
const MAGIC_BYTES: usize = 8;

/// Writes segment files of a fixed size.
///
/// ```
/// use spanring::format::{Anchor, BlockKind, SessionId, block::RecordRange};
/// use spanring::sink::{Block, SegmentSink, Sink};
///
/// let directory = tempfile::tempdir()?;
/// let mut sink = SegmentSink::new(directory.path(), SessionId([1, 2]), 64 << 10);
/// let (anchor, records) = (Anchor::default(), RecordRange::default());
/// sink.write(Block { kind: BlockKind::End, number: 0, anchor, records, payload: &[] })?;
/// assert_eq!(sink.stored_bytes(), 64 << 10, "allocated at once");
/// sink.finish()?;
/// assert_eq!(std::fs::metadata(directory.path().join("segment-000000.spanring"))?.len(), 64 + 96);
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
pub struct SegmentSink {
    directory: PathBuf,
    session: SessionId,
    segment_bytes: usize,
    next_number: u64,
    current: Option<Segment>,
    /// Whether a segment is synced before the next one is begun.
    sync_sealed: bool,
    /// Segments that are full, oldest first.
    sealed: VecDeque<Sealed>,
    /// Segments that somebody else removed, or cut off, while they were written.
    spoiled: u64,
    #[cfg(feature = "compress")]
    compressor: Option<Compressor>,
}

struct Sealed {
    number: u64,
    bytes: u64,
    /// Whether it is on the disk for sure.
    synced: bool,
}

struct Segment {
    number: u64,
    file: File,
    /// Bytes that were allocated.
    length: u64,
    /// Bytes in use.
    used: u64,
}

impl SegmentSink {
    /// A sink that creates `segment-000000.spanring` and so on in `directory`, which must exist.
    ///
    /// ```
    /// use spanring::format::SessionId;
    /// use spanring::sink::SegmentSink;
    ///
    /// let directory = tempfile::tempdir()?;
    /// let sink = SegmentSink::new(directory.path(), SessionId([1, 2]), 8 << 20);
    /// assert_eq!(directory.path().read_dir()?.count(), 0, "a file is created with the first block");
    /// # Ok::<(), std::io::Error>(())
    /// ```
    pub fn new(directory: &Path, session: SessionId, segment_bytes: usize) -> SegmentSink {
        SegmentSink {
            directory: directory.to_owned(),
            session,
            segment_bytes,
            next_number: 0,
            current: None,
            sync_sealed: false,
            sealed: VecDeque::new(),
            spoiled: 0,
            #[cfg(feature = "compress")]
            compressor: None,
        }
    }

    /// The same, with every segment synced to the disk when it is full, or the last one.
    ///
    /// ```
    /// use spanring::format::SessionId;
    /// use spanring::sink::SegmentSink;
    /// use std::path::Path;
    ///
    /// let sink = SegmentSink::new(Path::new("recording"), SessionId([1, 2]), 8 << 20).syncing();
    /// ```
    pub fn syncing(self) -> SegmentSink {
        SegmentSink { sync_sealed: true, ..self }
    }

    /// The same, with every segment compressed by a thread of its own when it is full, or the last one.
    ///
    /// # Errors
    /// If the thread cannot be started.
    ///
    /// ```
    /// use spanring::format::SessionId;
    /// use spanring::sink::{SegmentSink, Sink};
    /// use std::path::Path;
    ///
    /// let mut sink = SegmentSink::new(Path::new("recording"), SessionId([1, 2]), 8 << 20).compressing()?;
    /// sink.finish()?; // waits for the thread
    /// # Ok::<(), std::io::Error>(())
    /// ```
    #[cfg(feature = "compress")]
    pub fn compressing(self) -> io::Result<SegmentSink> {
        let compressor = Compressor::start(&self.directory, self.sync_sealed)?;
        Ok(SegmentSink { compressor: Some(compressor), ..self })
    }

    /// Learns how large the segments are that were compressed meanwhile.
    #[cfg(feature = "compress")]
    fn note_compressed(&mut self) {
        for (number, bytes) in self.compressor.iter().flat_map(Compressor::done) {
            if let Some(segment) = self.sealed.iter_mut().find(|segment| segment.number == number) {
                // The compressor has synced it, if segments are synced when they are full.
                (segment.bytes, segment.synced) = (bytes, self.sync_sealed);
            }
        }
    }

    fn path(&self, number: u64) -> PathBuf {
        self.directory.join(FileKind::Segment.file_name(number))
    }

    /// What somebody else did to the current segment, if it is not as it should be.
    fn harm(&self) -> io::Result<Option<&'static str>> {
        let Some(segment) = &self.current else { return Ok(None) };
        let metadata = segment.file.metadata()?;
        Ok(match metadata.nlink() {
            // Nobody will ever find it.
            0 => Some("removed"),
            _ => (metadata.len() < segment.length).then_some("cut off"),
        })
    }

    fn has_room(&self, bytes: u64) -> bool {
        self.current.as_ref().is_some_and(|segment| segment.length - segment.used >= bytes)
    }

    /// Ends the current segment and begins one with room for `bytes`.
    fn rotate(&mut self, bytes: u64) -> io::Result<()> {
        self.seal()?;
        let path = self.path(self.next_number);
        let length = (self.segment_bytes as u64).max(FILE_HEADER_BYTES as u64 + bytes);
        let header = FileHeader {
            kind: FileKind::Segment,
            session: self.session,
            number: self.next_number,
            created_unix_ns: crate::clock::anchor().unix_ns,
            header_bytes: FILE_HEADER_BYTES as u32,
        };
        // Whoever removed the last segment may have removed more.
        if self.spoiled > 0 {
            directory::create(&self.directory)?;
        }
        let file = create_preallocated(&path, length, &header.encode())?;
        self.current = Some(Segment { number: self.next_number, file, length, used: FILE_HEADER_BYTES as u64 });
        self.next_number += 1;
        Ok(())
    }

    /// Leaves the current segment as it is, for somebody else did something to it.
    fn abandon(&mut self, what: &str) -> io::Error {
        let path = self.path(self.next_number.saturating_sub(1));
        if let Some(Segment { number, file, .. }) = self.current.take() {
            let bytes = file.metadata().map_or(0, |metadata| if metadata.nlink() == 0 { 0 } else { metadata.len() });
            self.sealed.push_back(Sealed { number, bytes, synced: true });
        }
        io::Error::other(format!("somebody {what} {} while it was written; the next one goes on", path.display()))
    }

    /// The file, and its name.
    fn sync_file(&self, file: &File) -> io::Result<()> {
        file.sync_all()?;
        File::open(&self.directory)?.sync_all()
    }

    /// Gives back what the current segment did not use.
    fn seal(&mut self) -> io::Result<()> {
        let Some(Segment { number, file, used, .. }) = self.current.take() else { return Ok(()) };
        let given_back = file.set_len(used);
        let synced = if self.sync_sealed { self.sync_file(&file) } else { Ok(()) };
        self.sealed.push_back(Sealed { number, bytes: used, synced: self.sync_sealed && synced.is_ok() });
        #[cfg(feature = "compress")]
        self.compressor.iter().for_each(|compressor| compressor.compress(number));
        given_back.and(synced)
    }
}

impl Segment {
    /// Writes a block behind the last one.
    fn append(&self, block: &Block<'_>) -> io::Result<()> {
        let header = block.header().encode();
        self.file.write_all_at(block.payload, self.used + BLOCK_HEADER_BYTES as u64)?;
        self.file.write_all_at(&header[MAGIC_BYTES..], self.used + MAGIC_BYTES as u64)?;
        // A reader of this file that sees the magic sees the block: the system writes one after the other.
        self.file.write_all_at(&header[..MAGIC_BYTES], self.used)
    }
}

impl Sink for SegmentSink {
    fn write(&mut self, block: Block<'_>) -> io::Result<()> {
        #[cfg(feature = "compress")]
        self.note_compressed();
        let bytes = block.file_bytes() as u64;
        if let Some(what) = self.harm()? {
            self.spoiled += 1;
            return Err(self.abandon(what));
        }
        if !self.has_room(bytes) {
            self.rotate(bytes)?;
        }
        let Some(segment) = &mut self.current else { unreachable!("rotate made a segment") };
        if segment.used + bytes > file_size_limit() {
            // It was lowered since the file was created, and to write beyond it would be a signal.
            return Err(io::Error::from_raw_os_error(libc::EFBIG));
        }
        if let Err(error) = segment.append(&block) {
            // Something of the block may be there, without its magic. It does not stay: a shorter block would not cover it.
            let _ = self.seal();
            return Err(error);
        }
        segment.used += bytes;
        Ok(())
    }

    fn finish(&mut self) -> io::Result<()> {
        let sealed = self.seal();
        #[cfg(feature = "compress")]
        if let Some(compressor) = self.compressor.take() {
            compressor.finish();
        }
        sealed
    }

    fn sync(&mut self) -> io::Result<()> {
        for index in 0..self.sealed.len() {
            if !self.sealed[index].synced {
                self.sync_file(&File::open(self.path(self.sealed[index].number))?)?;
                self.sealed[index].synced = true;
            }
        }
        self.current.as_ref().map_or(Ok(()), |segment| self.sync_file(&segment.file))
    }

    fn file(&self) -> u64 {
        self.next_number.saturating_sub(1)
    }

    fn spoiled_files(&self) -> u64 {
        self.spoiled
    }

    fn stored_bytes(&self) -> u64 {
        let sealed: u64 = self.sealed.iter().map(|segment| segment.bytes).sum();
        sealed + self.current.as_ref().map_or(0, |segment| segment.length)
    }

    fn oldest_file(&self) -> Option<PathBuf> {
        self.sealed.front().map(|segment| self.path(segment.number))
    }

    fn retire_oldest_file(&mut self) -> io::Result<()> {
        match self.sealed.pop_front() {
            Some(segment) => {
                let path = self.path(segment.number);
                #[cfg(feature = "compress")]
                let _not_replaced = self.compressor.as_ref().map(|compressor| compressor.retire(segment.number));
                match std::fs::remove_file(path) {
                    // Someone else was quicker.
                    Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(()),
                    removed => removed,
                }
            }
            None => Ok(()),
        }
    }
}
