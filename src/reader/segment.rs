//! Segment files, and the blocks of session files: walking them past any damage.

use super::error::ReadError;
use crate::format::{BlockHeader, FileHeader, FormatError, SessionId};
use std::fs::File;
use std::io::{self, Read};
use std::path::Path;

/// The whole words of a file; a last part of a word, which no writer leaves, is left out.
pub(super) fn read_words(path: &Path) -> Result<Vec<u64>, ReadError> {
    read_first_words(path, usize::MAX)
}

/// The first words of a file, `most` at most.
pub(super) fn read_first_words(path: &Path, most: usize) -> Result<Vec<u64>, ReadError> {
    let io = |source| ReadError::Io { path: path.to_owned(), source };
    let mut file = File::open(path).map_err(io)?;
    let length = file.metadata().map_err(io)?.len();
    // No more than the file has by the file system's word, and no more than it has in truth.
    let mut words = vec![0u64; ((length / 8) as usize).min(most)];
    let bytes: &mut [u8] = bytemuck::cast_slice_mut(&mut words);
    let mut filled = 0;
    while filled < bytes.len() {
        match file.read(&mut bytes[filled..]) {
            Ok(0) => break,
            Ok(read) => filled += read,
            Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
            Err(error) => return Err(io(error)),
        }
    }
    words.truncate(filled / 8);
    Ok(words)
}

/// The header of a file.
pub(super) fn file_header(path: &Path, bytes: &[u8]) -> Result<FileHeader, ReadError> {
    FileHeader::decode(bytes).map_err(|source| ReadError::Format { path: path.to_owned(), offset: 0, source })
}

/// The header of a file that has to be of this session.
pub(super) fn header_in(session: SessionId, path: &Path, bytes: &[u8]) -> Result<FileHeader, ReadError> {
    let header = file_header(path, bytes)?;
    if header.session != session {
        return Err(ReadError::Format { path: path.to_owned(), offset: 16, source: FormatError::OtherSession });
    }
    Ok(header)
}

/// A step of a walk through blocks.
pub(super) enum Step<'a> {
    /// A block, whole.
    Block(BlockHeader, &'a [u8]),
    /// A block whose header is whole and whose payload is not.
    Spoiled(BlockHeader, &'static str),
    /// So many bytes that are no block.
    Damaged(usize, &'static str),
}

/// Walks through the blocks of a file, from `offset` on, to its end.
pub(super) fn walk(bytes: &[u8], offset: usize, mut each: impl FnMut(usize, Step<'_>)) {
    let mut offset = offset.next_multiple_of(crate::format::block::BLOCK_ALIGNMENT);
    while let Some(rest) = bytes.get(offset..).filter(|rest| !rest.is_empty()) {
        let (step, length) = match BlockHeader::decode(rest) {
            Ok(None) => {
                // A file ends with zeroes. If a block follows all the same, its forerunner was wiped out.
                let Some(next) = BlockHeader::find(bytes, offset) else { return };
                (Step::Damaged(next - offset, "zeroes where a block was"), next - offset)
            }
            Ok(Some(header)) => match header.payload(rest) {
                Ok(payload) => (Step::Block(header, payload), header.block_bytes()),
                Err(what) => (Step::Spoiled(header, what), header.block_bytes().min(rest.len())),
            },
            Err(what) => {
                let length = BlockHeader::find(bytes, offset + 8).map_or(rest.len(), |next| next - offset);
                (Step::Damaged(length, what), length)
            }
        };
        each(offset, step);
        offset += length;
    }
}

/// A problem with a whole file, as an event rather than an error.
pub(super) fn describe(error: &ReadError) -> &'static str {
    match error {
        ReadError::Format { source: FormatError::Newer { .. }, .. } => "a file of a newer version of the format",
        ReadError::Format { source: FormatError::NotSpanring, .. } => "not a spanring file",
        ReadError::Format { source: FormatError::OtherSession, .. } => "a file of another session",
        ReadError::Format { .. } => "the file's header is damaged",
        ReadError::Io { .. } | ReadError::NoRecording { .. } => "the file cannot be read",
    }
}
