//! A part of a file, in a buffer that goes along with who reads it.

use super::segment::read_at;
use std::fs::File;
use std::io;

/// A part of a file.
pub(super) struct Window<'a> {
    file: &'a File,
    /// Words that are read at once at least.
    least: usize,
    /// The buffer, of which the first `filled` words are the file's.
    words: &'a mut Vec<u64>,
    filled: usize,
    /// Where in the file it begins, at a multiple of 8.
    start: u64,
}

impl<'a> Window<'a> {
    /// A window that is empty so far, in the memory of `words`.
    pub(super) fn new(file: &'a File, least: usize, words: &'a mut Vec<u64>) -> Window<'a> {
        Window { file, least, words, filled: 0, start: 0 }
    }

    /// So many bytes from `offset` on, which is a multiple of 8. Fewer, if there are no more.
    pub(super) fn bytes(&mut self, offset: u64, length: usize) -> io::Result<&[u8]> {
        let end = self.start + self.filled as u64 * 8;
        if offset < self.start || offset + length as u64 > end {
            self.move_to(offset, length.div_ceil(8).max(self.least))?;
        }
        let bytes: &[u8] = bytemuck::cast_slice(&self.words[..self.filled]);
        let from = ((offset - self.start) as usize).min(bytes.len());
        Ok(&bytes[from..bytes.len().min(from + length)])
    }

    /// Reads so many words from `offset` on, but for those that are there already.
    fn move_to(&mut self, offset: u64, words: usize) -> io::Result<()> {
        let before = offset.checked_sub(self.start).map_or(self.filled, |before| (before / 8) as usize);
        let kept = self.filled.saturating_sub(before);
        // It is there already if more of the same block is wanted.
        if before > 0 {
            self.words.copy_within(self.filled - kept..self.filled, 0);
        }
        (self.start, self.filled) = (offset, kept);
        if self.words.len() < words {
            self.words.try_reserve_exact(words - self.words.len()).map_err(|_| io::ErrorKind::OutOfMemory)?;
            self.words.resize(words, 0);
        }
        let behind = bytemuck::cast_slice_mut(&mut self.words[kept..words]);
        self.filled += read_at(self.file, offset + kept as u64 * 8, behind)? / 8;
        Ok(())
    }
}
