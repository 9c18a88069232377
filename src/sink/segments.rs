//! The sink that production uses: preallocated, mapped segment files, one after another.
//!
//! A block is copied behind the last one, its magic last, so a process that is killed while flushing leaves a whole block or
//! none. Blocks of disk are allocated before a file is mapped: a full disk is an error here, and never a signal later.

#[cfg(feature = "compress")]
use super::compress::Compressor;
use super::{Block, Sink};
use crate::directory;
use crate::format::block::BLOCK_HEADER_BYTES;
use crate::format::file::FILE_HEADER_BYTES;
use crate::format::{FileHeader, FileKind, SessionId};
use crate::mapping::Mapping;
use crate::preallocate::create_preallocated;
use crate::sync::{Ordering, fence};
use std::collections::VecDeque;
use std::fs::File;
use std::io;
use std::os::unix::fs::MetadataExt;
use std::path::{Path, PathBuf};

/// Bytes at the start of a block that are written last: the word with its magic.
const MAGIC_BYTES: usize = 8;

/// Writes segment files of a fixed size.
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
    /// Segments that somebody else removed while they were written.
    removed: u64,
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
    map: Mapping,
    /// Bytes in use.
    used: usize,
}

impl SegmentSink {
    /// A sink that creates `segment-000000.spanring` and so on in `directory`, which must exist.
    pub fn new(directory: &Path, session: SessionId, segment_bytes: usize) -> SegmentSink {
        SegmentSink {
            directory: directory.to_owned(),
            session,
            segment_bytes,
            next_number: 0,
            current: None,
            sync_sealed: false,
            sealed: VecDeque::new(),
            removed: 0,
            #[cfg(feature = "compress")]
            compressor: None,
        }
    }

    /// The same, with every segment synced to the disk when it is full, or the last one.
    pub fn syncing(self) -> SegmentSink {
        SegmentSink { sync_sealed: true, ..self }
    }

    /// The same, with every segment compressed by a thread of its own when it is full, or the last one.
    ///
    /// # Errors
    /// If the thread cannot be started.
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

    /// Whether nobody will ever find the current segment.
    fn is_removed(&self) -> io::Result<bool> {
        self.current.as_ref().map_or(Ok(false), |segment| Ok(segment.file.metadata()?.nlink() == 0))
    }

    fn has_room(&self, bytes: usize) -> bool {
        self.current.as_ref().is_some_and(|segment| segment.map.len() - segment.used >= bytes)
    }

    /// Ends the current segment and begins one with room for `bytes`.
    fn rotate(&mut self, bytes: usize) -> io::Result<()> {
        self.seal()?;
        let path = self.path(self.next_number);
        let length = self.segment_bytes.max(FILE_HEADER_BYTES + bytes);
        let header = FileHeader {
            kind: FileKind::Segment,
            session: self.session,
            number: self.next_number,
            created_unix_ns: crate::clock::anchor().unix_ns,
            header_bytes: FILE_HEADER_BYTES as u32,
        };
        // Whoever removed the last segment may have removed more.
        if self.removed > 0 {
            directory::create(&self.directory)?;
        }
        let file = create_preallocated(&path, length as u64, &header.encode())?;
        let map = Mapping::of(&file)?;
        self.current = Some(Segment { number: self.next_number, file, map, used: FILE_HEADER_BYTES });
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

    /// The file, what was written to it through a mapping too, and its name.
    fn sync_file(&self, file: &File) -> io::Result<()> {
        file.sync_all()?;
        File::open(&self.directory)?.sync_all()
    }

    /// Gives back what the current segment did not use.
    fn seal(&mut self) -> io::Result<()> {
        let Some(Segment { number, file, map, used }) = self.current.take() else { return Ok(()) };
        drop(map);
        let given_back = file.set_len(used as u64);
        let synced = if self.sync_sealed { self.sync_file(&file) } else { Ok(()) };
        self.sealed.push_back(Sealed { number, bytes: used as u64, synced: self.sync_sealed && synced.is_ok() });
        #[cfg(feature = "compress")]
        self.compressor.iter().for_each(|compressor| compressor.compress(number));
        given_back.and(synced)
    }
}

impl Sink for SegmentSink {
    fn write(&mut self, block: Block<'_>) -> io::Result<()> {
        #[cfg(feature = "compress")]
        self.note_compressed();
        let bytes = block.file_bytes();
        if self.is_removed()? {
            self.removed += 1;
            return Err(self.abandon("removed"));
        }
        if !self.has_room(bytes) {
            self.rotate(bytes)?;
        }
        let Some(Segment { map, used, .. }) = &mut self.current else { unreachable!("rotate made a segment") };
        let header = block.header().encode();
        map.write(*used + MAGIC_BYTES, &header[MAGIC_BYTES..]);
        map.write(*used + BLOCK_HEADER_BYTES, block.payload);
        // Release: a reader of this file that sees the magic sees the block; the checksum guards what this cannot.
        fence(Ordering::Release);
        map.write(*used, &header[..MAGIC_BYTES]);
        if map.is_cut_off() {
            // The block is not in the file, or not whole: it goes to the next one.
            return Err(self.abandon("cut off"));
        }
        *used += bytes;
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

    fn removed_files(&self) -> u64 {
        self.removed
    }

    fn stored_bytes(&self) -> u64 {
        let sealed: u64 = self.sealed.iter().map(|segment| segment.bytes).sum();
        sealed + self.current.as_ref().map_or(0, |segment| segment.map.len() as u64)
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
