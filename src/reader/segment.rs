//! Segment files, and the blocks of session files: walking them past any damage.

use super::error::ReadError;
use super::headers::walk_headers;
use super::recording::files_of;
use super::window::Window;
use crate::format::block::{BLOCK_ALIGNMENT, BLOCK_HEADER_BYTES};
use crate::format::file::FILE_HEADER_BYTES;
use crate::format::{BlockHeader, BlockKind, FileHeader, FileKind, FormatError, SessionId};
use std::fs::File;
use std::io;
use std::os::unix::fs::FileExt;
use std::path::{Path, PathBuf};

/// How often a segment that its writer appends to is read, until what it holds makes sense.
const TRIES: usize = 10;
/// Segments that are held open while they are read. A live writer removes the oldest first.
const HELD: usize = 64;

/// Words that are read at once where blocks are small. A large one is read in two parts, and stays in the processor's cache from the first
/// look at it to the last.
const WINDOW_WORDS: usize = (64 << 10) / 8;

/// Words that are read at once of a file of so many bytes: no more memory than it could fill.
fn window_words(file_bytes: u64) -> usize {
    WINDOW_WORDS.min(file_bytes.div_ceil(8) as usize)
}

/// Words of the largest file that is read: twice the largest segment that a recorder makes.
pub(super) const MOST_WORDS: usize = (8 << 30) / 8;

/// The whole words of a file; a last part of a word, which no writer leaves, is left out.
pub(super) fn read_words(path: &Path) -> Result<Vec<u64>, ReadError> {
    read_first_words(path, usize::MAX)
}

/// The first words of a file, `most` at most.
pub(super) fn read_first_words(path: &Path, most: usize) -> Result<Vec<u64>, ReadError> {
    let mut words = Vec::new();
    let read = open(path).and_then(|file| read_into(&mut words, &file, most));
    read.map(|()| words).map_err(|source| ReadError::Io { path: path.to_owned(), source })
}

/// Opens a file, and nothing else: opening a pipe would wait for a writer, for ever.
fn open(path: &Path) -> io::Result<File> {
    if std::fs::metadata(path)?.is_file() { File::open(path) } else { Err(io::ErrorKind::InvalidInput.into()) }
}

/// Reads the first words of a file, `most` at most, in place of those of another.
fn read_into(words: &mut Vec<u64>, file: &File, most: usize) -> io::Result<()> {
    let length = file.metadata()?.len();
    let wanted = usize::try_from(length / 8).unwrap_or(usize::MAX).min(most);
    if wanted > MOST_WORDS {
        return Err(io::ErrorKind::FileTooLarge.into());
    }
    // No more than the file has by the file system's word, which costs its writer nothing, and no more than it has in truth.
    words.truncate(wanted);
    if words.capacity() == 0 {
        // The system has zeroes ready, and what is not touched until the file is read into it need not be cleared twice.
        *words = bytemuck::allocation::try_zeroed_vec(wanted).map_err(|()| io::ErrorKind::OutOfMemory)?;
    } else {
        words.try_reserve_exact(wanted - words.len()).map_err(|_| io::ErrorKind::OutOfMemory)?;
        words.resize(wanted, 0);
    }
    let bytes: &mut [u8] = bytemuck::cast_slice_mut(words);
    let filled = read_at(file, 0, bytes)?;
    words.truncate(filled / 8);
    Ok(())
}

/// Fills `bytes` from `offset` on, as far as the file goes. Returns how far that is.
pub(super) fn read_at(file: &File, offset: u64, bytes: &mut [u8]) -> io::Result<usize> {
    let mut filled = 0;
    while filled < bytes.len() {
        match file.read_at(&mut bytes[filled..], offset + filled as u64) {
            Ok(0) => break,
            Ok(read) => filled += read,
            Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
            Err(error) => return Err(error),
        }
    }
    Ok(filled)
}

/// A segment of a session.
pub(super) struct SegmentFile {
    pub(super) number: u64,
    pub(super) path: PathBuf,
    /// Open, if its writer might remove it meanwhile.
    held: Option<File>,
    /// Its writer may be appending to it.
    growing: bool,
}

impl SegmentFile {
    /// The segments of a session, in order. `alive`: the writer may be going on.
    pub(super) fn list(directory: &Path, alive: bool) -> Vec<SegmentFile> {
        let mut found = Vec::new();
        for _ in 0..TRIES {
            let files = files_of(directory, FileKind::Segment);
            let last = files.last().map(|(number, _)| *number);
            let segment = |(index, (number, path)): (usize, (u64, PathBuf))| {
                let held = if alive && index < HELD { Some(open(&path)) } else { None };
                let is_gone = matches!(&held, Some(Err(error)) if error.kind() == io::ErrorKind::NotFound);
                let growing = alive && Some(number) == last;
                (!is_gone).then(|| SegmentFile { number, path, held: held.and_then(Result::ok), growing })
            };
            let listed = files.len();
            found = files.into_iter().enumerate().filter_map(segment).collect();
            // What has to be kept of one that was just removed may stand in one that is newer than the list.
            if found.len() == listed {
                break;
            }
        }
        found
    }

    fn with_file<T>(&self, work: impl FnOnce(&File) -> io::Result<T>) -> Result<T, ReadError> {
        match &self.held {
            Some(file) => work(file),
            None => open(&self.path).and_then(|file| work(&file)),
        }
        .map_err(|source| ReadError::Io { path: self.path.clone(), source })
    }

    /// Calls `each` for its blocks, by their headers alone. Returns whether these are all, as of [`walk_headers`].
    pub(super) fn headers(
        &self,
        session: SessionId,
        wanted: impl Fn(BlockKind) -> bool,
        each: impl FnMut(&BlockHeader, &[u8]),
    ) -> bool {
        let walk = |file: &File| walk_headers(file, &self.path, session, wanted, each);
        !self.growing && self.with_file(walk).unwrap_or(false)
    }

    /// Reads what it holds at this moment, in place of other `words`.
    pub(super) fn read(&self, words: &mut Vec<u64>) -> Result<(), ReadError> {
        self.with_file(|file| read_into(words, file, usize::MAX))
    }

    /// Walks through its blocks, as [`walk`] does. As long as one follows the other, no more of the file is in memory than the largest of
    /// them; from the first on that is not as it should be, all that is left. `words` is memory for both. Blocks that its writer appends
    /// meanwhile are left out.
    ///
    /// Returns what is wrong with the file's header.
    ///
    /// # Errors
    /// If the file cannot be read.
    pub(super) fn walk(
        &self,
        session: SessionId,
        words: &mut Vec<u64>,
        mut each: impl FnMut(usize, Step<'_>),
    ) -> Result<Option<ReadError>, ReadError> {
        let whole = |words: &[u64], each: &mut dyn FnMut(usize, Step<'_>)| {
            let bytes = bytemuck::cast_slice(words);
            let (start, error) = first_block(session, &self.path, bytes);
            walk(bytes, start, each);
            error
        };
        if self.growing {
            self.read_settled(session, words)?;
            return Ok(whole(words, &mut each));
        }
        self.with_file(|file| {
            let length = (file.metadata()?.len() / 8 * 8) as usize;
            let mut window = Window::new(file, window_words(length as u64), words);
            let header = if length > MOST_WORDS * 8 {
                return Err(io::ErrorKind::FileTooLarge.into());
            } else {
                header_in(session, &self.path, window.bytes(0, FILE_HEADER_BYTES)?)
            };
            let Ok(header) = header else {
                read_into(words, file, usize::MAX)?;
                return Ok(whole(words, &mut each));
            };
            let mut offset = (header.header_bytes as usize).next_multiple_of(BLOCK_ALIGNMENT);
            while offset < length {
                let Ok(Some(header)) = BlockHeader::decode(window.bytes(offset as u64, BLOCK_HEADER_BYTES)?) else {
                    break;
                };
                let Some(end) = offset.checked_add(header.block_bytes()).filter(|end| *end <= length) else { break };
                let Ok(payload) = header.payload(window.bytes(offset as u64, header.block_bytes())?) else { break };
                each(offset, Step::Block(header, payload));
                offset = end;
            }
            if offset < length {
                let rest = window.bytes(offset as u64, length - offset)?;
                walk(rest, 0, |behind, step| each(offset + behind, step));
            }
            Ok(None)
        })
    }

    /// Reads what it holds, without a block that is just being written: a copy may have a later one and not, or not all of, the one
    /// before. Damage is what two copies have in the same place.
    fn read_settled(&self, session: SessionId, words: &mut Vec<u64>) -> Result<(), ReadError> {
        let damaged = |words: &[u64]| {
            let mut offsets = Vec::new();
            let bytes = bytemuck::cast_slice(words);
            walk(bytes, first_block(session, &self.path, bytes).0, |offset, step| {
                if !matches!(step, Step::Block(..)) {
                    offsets.push(offset);
                }
            });
            offsets
        };
        self.read(words)?;
        if !self.growing {
            return Ok(());
        }
        let mut before = damaged(words);
        for _ in 1..TRIES {
            if before.is_empty() {
                return Ok(());
            }
            self.read(words)?;
            let now = damaged(words);
            if now.iter().all(|offset| before.contains(offset)) {
                return Ok(());
            }
            before = now;
        }
        // It grows faster than it is copied. Its last blocks are those that the next reading finds.
        if let Some(first) = before.first() {
            words.truncate(first / 8);
        }
        Ok(())
    }
}

/// Where in a segment its blocks begin, and what is wrong with its header.
pub(super) fn first_block(session: SessionId, path: &Path, bytes: &[u8]) -> (usize, Option<ReadError>) {
    match header_in(session, path, bytes) {
        Ok(header) => (header.header_bytes as usize, None),
        // They may mean something else by their blocks.
        Err(error @ ReadError::Format { source: FormatError::Newer { .. } | FormatError::OtherSession, .. }) => {
            (bytes.len(), Some(error))
        }
        // Its blocks vouch for themselves.
        Err(error) => (BlockHeader::find(bytes, 0).unwrap_or(bytes.len()), Some(error)),
    }
}

/// The header of a file.
pub(super) fn file_header(path: &Path, bytes: &[u8]) -> Result<FileHeader, ReadError> {
    FileHeader::decode(bytes).map_err(|source| ReadError::Format { path: path.to_owned(), offset: 0, source })
}

/// The header of a file that was read in whole words. One that is too short for it is said to be as long as it is, not in words.
pub(super) fn file_header_in(path: &Path, words: &[u64]) -> Result<FileHeader, ReadError> {
    file_header(path, bytemuck::cast_slice(words)).map_err(|error| match error {
        ReadError::Format { path, offset, source: FormatError::Short { bytes } } => {
            let bytes = std::fs::metadata(&path).map_or(bytes, |metadata| metadata.len());
            ReadError::Format { path, offset, source: FormatError::Short { bytes } }
        }
        error => error,
    })
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
    let mut offset = offset.next_multiple_of(BLOCK_ALIGNMENT);
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

/// Walks through whole blocks, and past everything else.
pub(super) fn walk_blocks<'a>(bytes: &'a [u8], mut offset: usize, mut each: impl FnMut(&BlockHeader, &'a [u8])) {
    while let Some(rest) = bytes.get(offset..) {
        match BlockHeader::decode(rest) {
            Ok(Some(header)) => {
                each(&header, rest);
                offset += header.block_bytes();
            }
            Ok(None) | Err(_) => match BlockHeader::find(bytes, offset + 8) {
                Some(next) => offset = next,
                None => return,
            },
        }
    }
}

/// A problem with a whole file, as an event rather than an error.
pub(super) fn describe(error: &ReadError) -> &'static str {
    match error {
        ReadError::Format { source: FormatError::Newer { .. }, .. } => "a file of a newer version of the format",
        ReadError::Format { source: FormatError::NotSpanring, .. } => "not a spanring file",
        ReadError::Format { source: FormatError::OtherSession, .. } => "a file of another session",
        ReadError::Format { source: FormatError::Short { .. }, .. } => "the file is shorter than a header",
        ReadError::Format { source: FormatError::Damaged { what }, .. } => what,
        ReadError::Io { .. } | ReadError::NoRecording { .. } => "the file cannot be read",
    }
}
