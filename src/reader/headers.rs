//! The blocks of a segment by their headers alone. The payloads, nearly all of the file, are passed over unread.

use super::segment::{header_in, read_at};
use crate::format::block::BLOCK_HEADER_BYTES;
use crate::format::file::FILE_HEADER_BYTES;
use crate::format::{BlockHeader, BlockKind, SessionId};
use std::fs::File;
use std::io;
use std::path::Path;

/// Words that are read at once, for headers that stand close to each other.
const WINDOW_WORDS: usize = 512;

/// Calls `each` for every block of a segment, with the bytes of those of a kind that is `wanted`, header included, and with none of the
/// others. Returns whether the file is blocks one after the other to its end: if it is not, there may be more than was found.
///
/// # Errors
/// If the file cannot be read.
pub(super) fn walk_headers(
    file: &File,
    path: &Path,
    session: SessionId,
    wanted: impl Fn(BlockKind) -> bool,
    mut each: impl FnMut(&BlockHeader, &[u8]),
) -> io::Result<bool> {
    let length = file.metadata()?.len();
    let mut window = Window { file, words: Vec::new(), start: 0 };
    let Ok(header) = header_in(session, path, window.bytes(0, FILE_HEADER_BYTES)?) else { return Ok(false) };
    let mut offset = u64::from(header.header_bytes);
    if offset % 8 != 0 {
        return Ok(false);
    }
    while offset < length {
        let Ok(Some(header)) = BlockHeader::decode(window.bytes(offset, BLOCK_HEADER_BYTES)?) else { return Ok(false) };
        let end = offset + header.block_bytes() as u64;
        if end > length {
            return Ok(false);
        }
        let bytes = if wanted(header.kind) { window.bytes(offset, header.block_bytes())? } else { &[] };
        each(&header, bytes);
        offset = end;
    }
    Ok(true)
}

/// A part of a file.
struct Window<'a> {
    file: &'a File,
    words: Vec<u64>,
    /// Where in the file it begins, at a multiple of 8.
    start: u64,
}

impl Window<'_> {
    /// So many bytes from `offset` on, which is a multiple of 8. Fewer, if there are no more.
    fn bytes(&mut self, offset: u64, length: usize) -> io::Result<&[u8]> {
        let end = offset + length as u64;
        if offset < self.start || end > self.start + self.words.len() as u64 * 8 {
            self.start = offset;
            self.words.resize(length.div_ceil(8).max(WINDOW_WORDS), 0);
            let read = read_at(self.file, offset, bytemuck::cast_slice_mut(&mut self.words))?;
            self.words.truncate(read / 8);
        }
        let bytes: &[u8] = bytemuck::cast_slice(&self.words);
        let from = ((offset - self.start) as usize).min(bytes.len());
        Ok(&bytes[from..bytes.len().min(from + length)])
    }
}
