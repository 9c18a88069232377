//! The session file: a header with a status that is kept up to date, then blocks of facts and self-description.
//!
//! | offset | bytes | field |
//! |---|---|---|
//! | 0 | 64 | [`super::FileHeader`] |
//! | 64 | 128 | status, copy 0 |
//! | 192 | 128 | status, copy 1 |
//! | 320 | .. | blocks |
//!
//! The writer overwrites the older copy of the status, so that one is whole at any instant. A status is 16 words:
//!
//! | word | field |
//! |---|---|
//! | 0 | updates so far; the copy with the higher one is the newer |
//! | 1 | state: 1 recording, 2 stopped |
//! | 2..5 | clock anchor of the update: ticks, monotonic ns, Unix ns |
//! | 5 | records taken from the rings |
//! | 6 | records lost by full rings, dropped or overwritten |
//! | 7 | events refused: nested in a signal handler, or after a thread had ended |
//! | 8 | definitions that found no room |
//! | 9 | writes that failed |
//! | 10 | the system's error number of the last failed write |
//! | 11 | records in flight discipline that were overwritten before anyone saw whether they began a span that is still open |
//! | 12 | records that waited for room in a full ring |
//! | 13 | files that somebody removed while they were written, or cut off |
//! | 14 | records in segments that were synced to the disk |
//! | 15 | CRC-32 of words 0 to 15 |
//!
//! A copy that was never written is zeroes. If one is neither that nor whole, and the other does not say *stopped*, how the recording ended is
//! not known: the newer may be lost.

use super::block::Anchor;
use super::word_at;

/// Words of a status.
///
/// ```
/// use spanring::format::Status;
/// use spanring::format::session_file::STATUS_WORDS;
///
/// let words: [u64; STATUS_WORDS] = Status::default().encode();
/// assert_eq!(words[1], 1, "recording");
/// ```
pub const STATUS_WORDS: usize = 16;
/// Index of the first word of the first copy of the status.
///
/// ```
/// use spanring::format::Status;
/// use spanring::format::session_file::STATUS_WORD;
///
/// assert_eq!(Status::word_index(0), STATUS_WORD);
/// ```
pub const STATUS_WORD: usize = 8;
/// Bytes before the first block.
///
/// ```
/// use spanring::format::BlockHeader;
/// use spanring::format::session_file::SESSION_HEADER_BYTES;
///
/// /// The first block of a session file: the facts.
/// fn facts(file: &[u8]) -> Option<&[u8]> {
///     let blocks = file.get(SESSION_HEADER_BYTES..)?;
///     BlockHeader::decode(blocks).ok()??.payload(blocks).ok()
/// }
/// # assert_eq!(facts(&[0; 1000]), None);
/// ```
pub const SESSION_HEADER_BYTES: usize = 64 + 2 * STATUS_WORDS * 8;

/// Whether the recorder runs, as it says itself.
///
/// ```
/// use spanring::format::{Status, StatusState};
///
/// assert_eq!(Status::default().state, StatusState::Recording);
/// ```
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
pub enum StatusState {
    /// It was not stopped. Whether the process still lives is another question.
    #[default]
    Recording,
    /// It was stopped, and everything was flushed.
    Stopped,
}

/// How a recording goes, by its own account.
///
/// ```
/// use spanring::format::session_file::SESSION_HEADER_BYTES;
/// use spanring::format::{Status, StatusState};
///
/// let status = Status { updates: 1, state: StatusState::Stopped, flushed: 55_607, ..Status::default() };
/// let mut file = vec![0; SESSION_HEADER_BYTES];
/// let start = Status::word_index(status.updates) * 8;
/// for (bytes, word) in file[start..].chunks_exact_mut(8).zip(status.encode()) {
///     bytes.copy_from_slice(&word.to_le_bytes());
/// }
/// assert_eq!(Status::decode(&file), Some(status));
/// ```
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
pub struct Status {
    /// Updates so far.
    pub updates: u64,
    /// Whether the recorder runs.
    pub state: StatusState,
    /// When this was written.
    pub anchor: Anchor,
    /// Records taken from the rings so far.
    pub flushed: u64,
    /// Records lost by full rings.
    pub lost: u64,
    /// Events refused: nested in a signal handler, or after their thread had ended.
    pub refused: u64,
    /// Definitions that found no room: names that will be missing.
    pub names_lost: u64,
    /// Writes that failed.
    pub write_errors: u64,
    /// The system's error number of the last failed write; 0: none.
    pub last_error: u64,
    /// Flight discipline: records that were overwritten before anyone saw whether they began a span that is still open.
    pub unscanned: u64,
    /// Records that waited for room in a full ring.
    pub waits: u64,
    /// Files that somebody removed while they were written, or cut off.
    pub spoiled_files: u64,
    /// Records in segments that were synced to the disk.
    pub synced: u64,
}

impl Status {
    /// Index of the first word of the copy that update number `updates` overwrites.
    ///
    /// ```
    /// use spanring::format::Status;
    ///
    /// assert_ne!(Status::word_index(6), Status::word_index(7), "so one of the two is whole");
    /// assert_eq!(Status::word_index(6), Status::word_index(8));
    /// ```
    pub fn word_index(updates: u64) -> usize {
        STATUS_WORD + (updates % 2) as usize * STATUS_WORDS
    }

    /// The status as words.
    ///
    /// ```
    /// use spanring::format::Status;
    ///
    /// assert_eq!(Status { flushed: 7, lost: 2, ..Status::default() }.encode()[5..7], [7, 2]);
    /// ```
    pub fn encode(&self) -> [u64; STATUS_WORDS] {
        let state = match self.state {
            StatusState::Recording => 1,
            StatusState::Stopped => 2,
        };
        let mut words = [0; STATUS_WORDS];
        words[..15].copy_from_slice(&[
            self.updates,
            state,
            self.anchor.ticks,
            self.anchor.monotonic_ns,
            self.anchor.unix_ns,
            self.flushed,
            self.lost,
            self.refused,
            self.names_lost,
            self.write_errors,
            self.last_error,
            self.unscanned,
            self.waits,
            self.spoiled_files,
            self.synced,
        ]);
        words[15] = u64::from(checksum(&words));
        words
    }

    /// The newer whole copy in the bytes of a session file.
    ///
    /// ```
    /// use spanring::format::Status;
    ///
    /// /// Of a session's directory.
    /// fn status(session: &std::path::Path) -> std::io::Result<Option<Status>> {
    ///     Ok(Status::decode(&std::fs::read(session.join("session.spanring"))?))
    /// }
    /// # assert!(status(std::path::Path::new("/no/such/session")).is_err());
    /// assert_eq!(Status::decode(&[0; 320]), None, "there never was one");
    /// ```
    pub fn decode(file: &[u8]) -> Option<Status> {
        [0, 1].into_iter().filter_map(|copy| Self::decode_copy(file, copy)).max_by_key(|status| status.updates)
    }

    /// Whether this copy was begun and is not whole: cut off, damaged, or just being written.
    pub(crate) fn is_torn(file: &[u8], copy: u64) -> bool {
        let bytes = file.get(Self::word_index(copy) * 8..).and_then(|rest| rest.get(..STATUS_WORDS * 8));
        let is_unwritten = bytes.is_some_and(|bytes| bytes.iter().all(|byte| *byte == 0));
        !is_unwritten && Self::decode_copy(file, copy).is_none()
    }

    fn decode_copy(file: &[u8], copy: u64) -> Option<Status> {
        let mut words = [0; STATUS_WORDS];
        for (index, word) in words.iter_mut().enumerate() {
            *word = word_at(file, (Self::word_index(copy) + index) * 8)?;
        }
        let state = match words[1] {
            1 => StatusState::Recording,
            2 => StatusState::Stopped,
            _ => return None,
        };
        (words[15] == u64::from(checksum(&words))).then_some(Status {
            updates: words[0],
            state,
            anchor: Anchor { ticks: words[2], monotonic_ns: words[3], unix_ns: words[4] },
            flushed: words[5],
            lost: words[6],
            refused: words[7],
            names_lost: words[8],
            write_errors: words[9],
            last_error: words[10],
            unscanned: words[11],
            waits: words[12],
            spoiled_files: words[13],
            synced: words[14],
        })
    }
}

fn checksum(words: &[u64; STATUS_WORDS]) -> u32 {
    let mut hasher = crc32fast::Hasher::new();
    words[..15].iter().for_each(|word| hasher.update(&word.to_le_bytes()));
    hasher.finalize()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn status(updates: u64) -> Status {
        Status { updates, flushed: updates * 10, state: StatusState::Stopped, ..Status::default() }
    }

    fn file(copies: &[Status]) -> Vec<u8> {
        let mut file = vec![0; SESSION_HEADER_BYTES];
        for copy in copies {
            let start = Status::word_index(copy.updates) * 8;
            for (index, word) in copy.encode().into_iter().enumerate() {
                file[start + index * 8..][..8].copy_from_slice(&word.to_le_bytes());
            }
        }
        file
    }

    #[test]
    fn the_newer_copy_counts() {
        assert_eq!(Status::decode(&file(&[status(4), status(5)])), Some(status(5)));
        assert_eq!(Status::decode(&file(&[status(6), status(5)])), Some(status(6)));
    }

    #[test]
    fn a_half_written_copy_leaves_the_older() {
        let mut bytes = file(&[status(4), status(5)]);
        bytes[Status::word_index(5) * 8 + 3] ^= 1;
        assert_eq!(Status::decode(&bytes), Some(status(4)));
        assert_eq!([0, 1].map(|copy| Status::is_torn(&bytes, copy)), [false, true]);
        assert_eq!(Status::decode(&bytes[..100]), None);
        assert!(Status::is_torn(&bytes[..100], 0), "it is cut off");
    }

    #[test]
    fn a_copy_that_was_never_written_is_not_torn() {
        let bytes = file(&[status(4)]);
        assert_eq!([0, 1].map(|copy| Status::is_torn(&bytes, copy)), [false, false]);
    }
}
