//! Compressing segments that are full, in a thread of its own: neither those who record nor the flusher wait for it.
//!
//! A segment is written again beside the original and takes its name, so a reader, and whoever comes after a kill, finds the one or the
//! other, whole. What cannot be compressed, on a full disk for instance, stays as it is.

use crate::events::Slot;
use crate::format::block::{BLOCK_HEADER_BYTES, BlockHeader, BlockKind};
use crate::format::file::FILE_HEADER_BYTES;
use crate::format::{FileKind, packed};
use crate::native_thread::{self, NativeThread};
use std::fs::{File, OpenOptions};
use std::io::{self, BufWriter, Write};
use std::os::unix::fs::OpenOptionsExt;
use std::path::{Path, PathBuf};
use std::sync::mpsc::{Receiver, Sender, channel};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

/// The thread that compresses.
pub(super) struct Compressor {
    /// Numbers of segments to compress.
    jobs: Sender<u64>,
    /// Numbers of segments that were, and their sizes now.
    done: Receiver<(u64, u64)>,
    /// Segments below this number are gone. Locked while a segment is replaced or removed, so that none comes back.
    kept_from: Arc<Mutex<u64>>,
    thread: NativeThread,
}

impl Compressor {
    /// Starts the thread, for segments in `directory`. `sync`: each is on the disk before it takes the place of the original.
    pub(super) fn start(directory: &Path, sync: bool) -> io::Result<Compressor> {
        let (jobs, todo) = channel::<u64>();
        let (tell, done) = channel();
        let kept_from = Arc::new(Mutex::new(0));
        let (directory, kept) = (directory.to_owned(), Arc::clone(&kept_from));
        let work = move || {
            native_thread::give_way();
            for number in todo {
                let path = directory.join(FileKind::Segment.file_name(number));
                // The original stays if this fails; the next segment is tried again.
                if let Ok(Some(bytes)) = compress(&path, sync, || Some(lock(&kept)).filter(|from| number >= **from)) {
                    // Nobody wants to know after the stop.
                    let _ = tell.send((number, bytes));
                }
            }
        };
        let thread = NativeThread::spawn(c"spanring-pack", work)?;
        Ok(Compressor { jobs, done, kept_from, thread })
    }

    /// Compresses a segment, some time.
    pub(super) fn compress(&self, number: u64) {
        // The thread ends only when this end of the channel is dropped.
        let _ = self.jobs.send(number);
    }

    /// The segments that were compressed since the last call, and their sizes.
    pub(super) fn done(&self) -> impl Iterator<Item = (u64, u64)> {
        self.done.try_iter()
    }

    /// Segments up to this one are not replaced any more. Returns a lock to be held while it is removed.
    pub(super) fn retire(&self, number: u64) -> MutexGuard<'_, u64> {
        let mut kept_from = lock(&self.kept_from);
        *kept_from = number + 1;
        kept_from
    }

    /// Compresses what is left to do, and ends the thread.
    pub(super) fn finish(self) {
        drop(self.jobs);
        // It does not panic: all it has is files that this process wrote, and what is wrong with them is an error.
        self.thread.join();
    }
}

fn lock(kept_from: &Mutex<u64>) -> MutexGuard<'_, u64> {
    kept_from.lock().unwrap_or_else(PoisonError::into_inner)
}

/// Replaces a segment by a compressed one, if `hold` lets it, and returns its size.
fn compress<T>(path: &Path, sync: bool, hold: impl FnOnce() -> Option<T>) -> io::Result<Option<u64>> {
    let original = std::fs::read(path)?;
    let unfinished = path.with_extension("new");
    let written = write_compressed(&original, &unfinished, sync).and_then(|bytes| {
        let Some(_held) = hold() else { return Ok(None) };
        std::fs::rename(&unfinished, path).map(|()| Some(bytes))
    });
    if !matches!(written, Ok(Some(_))) {
        // What went wrong first is what counts.
        let _ = std::fs::remove_file(&unfinished);
    }
    if sync && matches!(written, Ok(Some(_))) {
        File::open(path.parent().unwrap_or(Path::new(".")))?.sync_all()?;
    }
    written
}

fn write_compressed(original: &[u8], path: &PathBuf, sync: bool) -> io::Result<u64> {
    let file = OpenOptions::new().write(true).create_new(true).mode(0o600).open(path)?;
    let mut out = BufWriter::new(&file);
    let (header, mut rest) = original.split_at(original.len().min(FILE_HEADER_BYTES));
    out.write_all(header)?;
    let mut words = Vec::new();
    while !rest.is_empty() {
        let (block, after) = match BlockHeader::decode(rest) {
            Ok(Some(header)) => rest.split_at(header.block_bytes().min(rest.len())),
            // Its end; or someone has scribbled on it, and it stays as it is from here on.
            Ok(None) | Err(_) => (rest, &[][..]),
        };
        match packed_block(block, &mut words) {
            Some(packed) => out.write_all(&packed)?,
            None => out.write_all(block)?,
        }
        rest = after;
    }
    out.flush()?;
    if sync {
        file.sync_all()?;
    }
    Ok(file.metadata()?.len())
}

/// A block of records in less space. `None`: it is something else, or there is none to be saved.
fn packed_block(block: &[u8], words: &mut Vec<u64>) -> Option<Vec<u8>> {
    let header = BlockHeader::decode(block).ok()??;
    let payload = header.payload(block).ok().filter(|_| header.kind == BlockKind::Records)?;
    words.clear();
    words.extend(payload.chunks_exact(8).map(bytemuck::pod_read_unaligned::<u64>));
    let slots: &[Slot] = bytemuck::try_cast_slice(words).ok()?;
    let packed = packed::pack(slots).filter(|packed| packed.len() < payload.len())?;
    let header = BlockHeader::new(BlockKind::PackedRecords, header.number, header.anchor, header.records, &packed);
    let mut bytes = header.encode().to_vec();
    debug_assert_eq!(bytes.len(), BLOCK_HEADER_BYTES);
    bytes.extend(packed);
    bytes.resize(header.block_bytes(), 0);
    Some(bytes)
}
