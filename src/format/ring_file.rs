//! The ring file: a header page, then the slots. It is mapped by the writer, and read as it is by others, during the writer's
//! life and after its death.
//!
//! | offset | bytes | field | written by |
//! |---|---|---|---|
//! | 0 | 64 | [`super::FileHeader`]; its number is the ring's | creation |
//! | 64 | 8 | slots, a power of two | creation |
//! | 72 | 8 | discipline: 0 drain, 1 flight | creation |
//! | 128 | 8 | position after the last published record | the recording thread |
//! | 136 | 8 | number of the record after the last dropped one | the recording thread |
//! | 144 | 8 | records dropped since the ring began | the recording thread |
//! | 192 | 8 | position up to which slots were flushed | the flusher |
//! | 200 | 8 | number of the record after the last flushed one | the flusher |
//! | 208 | 8 | number of some recent record, to extend the low halves in the slots by | the flusher |
//! | 256 | 8 | threads that owned the ring so far | registration |
//! | 2048 | 2048 | the last 32 owners, 64 bytes each; owner `n` at `n % 32` | registration |
//! | 4096 | .. | slots |
//!
//! Only the file's header and the owners have checksums: the others write without a call. A reader checks what it finds:
//!
//! | what | against |
//! |---|---|
//! | number of slots, discipline | the facts of the session; the length of the file |
//! | position after the last published record | the slots: their numbers rise up to there and begin again behind it; the flushed position, and that of the last block of records, from which it is no further than the ring is long |
//! | mark and count of dropped records | each other, and the gaps in the numbers, by the number of losses in the last block of records |
//! | flushed position | the position after the last published record |
//! | flushed and recent record | the greatest number that there can be: slots published and records dropped |
//! | number of owners | their table |
//! | number of a record | the numbers before and behind it, and its other slots |
//! | kind, outcome, slots, length of the name | each other |
//!
//! Nothing vouches for the ticks, the ids, the addresses, the depth, the polls and the text in the slots: a flipped bit there is a
//! wrong value in one record. A flushed or recent record's number that is wrong and not too great does no harm unless it is wrong by
//! 2^31. If the last published record was not flushed, a position that is wrong by just that record looks like that of a writer that
//! was killed before it published it.
//!
//! An owner:
//!
//! | offset | bytes | field |
//! |---|---|---|
//! | 0 | 4 | thread id in the session |
//! | 4 | 4 | CRC-32 of the other 60 bytes |
//! | 8 | 8 | position of its first slot |
//! | 16 | 8 | number of its first record |
//! | 24 | 8 | the system's thread id |
//! | 32 | 32 | the thread's name in UTF-8, cut at 32 bytes, padded with zeroes |

use super::facts::ThreadFacts;
use super::word_at;
use crate::events::{SLOT_BYTES, SLOT_WORDS};

/// Bytes before the slots.
///
/// ```
/// use spanring::events::SLOT_BYTES;
/// use spanring::format::ring_file::RING_HEADER_BYTES;
///
/// /// How many slots there is room for in a ring file.
/// fn slots(file: &[u8]) -> usize {
///     file.len().saturating_sub(RING_HEADER_BYTES) / SLOT_BYTES
/// }
/// assert_eq!(slots(&[0; 4096 + 64 * 128]), 128);
/// ```
pub const RING_HEADER_BYTES: usize = 4096;
/// Owners that are remembered.
///
/// ```
/// use spanring::format::ring_file::{OWNERS, Owner};
///
/// assert_eq!(Owner::word_index(OWNERS), Owner::word_index(0));
/// ```
pub const OWNERS: u64 = 32;

/// Index of the word with the number of slots.
///
/// ```
/// use spanring::format::ring_file::CAPACITY_WORD;
///
/// assert_eq!(CAPACITY_WORD * 8, 64, "the offset in the file");
/// ```
pub const CAPACITY_WORD: usize = 8;
/// Index of the word with the discipline.
///
/// ```
/// use spanring::format::ring_file::DISCIPLINE_WORD;
///
/// assert_eq!(DISCIPLINE_WORD * 8, 72, "the offset in the file");
/// ```
pub const DISCIPLINE_WORD: usize = 9;
/// Index of the word with the position after the last published record.
///
/// ```
/// use spanring::format::ring_file::TAIL_WORD;
///
/// assert_eq!(TAIL_WORD * 8, 128, "the offset in the file");
/// ```
pub const TAIL_WORD: usize = 16;
/// Index of the word with the number of the record after the last dropped one.
///
/// ```
/// use spanring::format::ring_file::DROP_MARK_WORD;
///
/// assert_eq!(DROP_MARK_WORD * 8, 136, "the offset in the file");
/// ```
pub const DROP_MARK_WORD: usize = 17;
/// Index of the word with the records dropped.
///
/// ```
/// use spanring::format::ring_file::DROPPED_WORD;
///
/// assert_eq!(DROPPED_WORD * 8, 144, "the offset in the file");
/// ```
pub const DROPPED_WORD: usize = 18;
/// Index of the word with the position flushed so far.
///
/// ```
/// use spanring::format::ring_file::FLUSHED_POSITION_WORD;
///
/// assert_eq!(FLUSHED_POSITION_WORD * 8, 192, "the offset in the file");
/// ```
pub const FLUSHED_POSITION_WORD: usize = 24;
/// Index of the word with the number of the record after the last flushed one.
///
/// ```
/// use spanring::format::ring_file::FLUSHED_RECORD_WORD;
///
/// assert_eq!(FLUSHED_RECORD_WORD * 8, 200, "the offset in the file");
/// ```
pub const FLUSHED_RECORD_WORD: usize = 25;
/// Index of the word with the number of some recent record.
///
/// ```
/// use spanring::format::ring_file::RECENT_RECORD_WORD;
///
/// assert_eq!(RECENT_RECORD_WORD * 8, 208, "the offset in the file");
/// ```
pub const RECENT_RECORD_WORD: usize = 26;
/// Index of the word with the number of owners so far.
///
/// ```
/// use spanring::format::ring_file::OWNER_COUNT_WORD;
///
/// assert_eq!(OWNER_COUNT_WORD * 8, 256, "the offset in the file");
/// ```
pub const OWNER_COUNT_WORD: usize = 32;
/// Index of the first word of the owners.
///
/// ```
/// use spanring::format::ring_file::{OWNERS_WORD, Owner};
///
/// /// The first owner that a ring file remembers at all, whichever number it has.
/// fn any_owner(file: &[u8]) -> Option<Owner> {
///     file.get(OWNERS_WORD * 8..)?.chunks_exact(64).take(32).find_map(Owner::decode)
/// }
/// # assert_eq!(any_owner(&[0; 4096]), None);
/// ```
pub const OWNERS_WORD: usize = 256;

const NAME_BYTES: usize = 32;

/// A thread's ownership of a ring.
///
/// ```
/// use spanring::format::ThreadFacts;
/// use spanring::format::ring_file::Owner;
///
/// let thread = ThreadFacts { id: 1, os_id: 4712, name: "worker".to_owned() };
/// let owner = Owner { thread, position: 0, record_number: 0 };
/// let bytes: Vec<u8> = owner.encode().into_iter().flat_map(u64::to_le_bytes).collect();
/// assert_eq!(Owner::decode(&bytes), Some(owner));
/// ```
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Owner {
    /// The thread.
    pub thread: ThreadFacts,
    /// Position of its first slot.
    pub position: u64,
    /// Number of its first record.
    pub record_number: u64,
}

impl Owner {
    /// Where in the file owner `number` (from 0) stands, in words.
    ///
    /// ```
    /// use spanring::format::ring_file::Owner;
    ///
    /// assert_eq!(Owner::word_index(1) * 8, 2048 + 64);
    /// ```
    pub fn word_index(number: u64) -> usize {
        OWNERS_WORD + (number % OWNERS) as usize * SLOT_WORDS
    }

    /// The owner as words.
    ///
    /// ```
    /// use spanring::format::ThreadFacts;
    /// use spanring::format::ring_file::Owner;
    ///
    /// let owner = Owner { thread: ThreadFacts::default(), position: 5, record_number: 6 };
    /// assert_eq!(owner.encode()[1..3], [5, 6]);
    /// ```
    pub fn encode(&self) -> [u64; SLOT_WORDS] {
        let mut name = [0; NAME_BYTES];
        let cut = self.thread.name.floor_char_boundary_at(NAME_BYTES);
        name[..cut].copy_from_slice(&self.thread.name.as_bytes()[..cut]);
        let mut words = [0; SLOT_WORDS];
        words[0] = u64::from(self.thread.id);
        words[1..4].copy_from_slice(&[self.position, self.record_number, self.thread.os_id]);
        for (word, index) in words[4..].iter_mut().zip(0..) {
            *word = word_at(&name, index * 8).unwrap_or(0);
        }
        words[0] |= u64::from(checksum(&words)) << 32;
        words
    }

    /// The owner in `bytes`; `None` if there is none, or a damaged one.
    ///
    /// ```
    /// use spanring::format::ring_file::Owner;
    ///
    /// assert_eq!(Owner::decode(&[0; 64]), None, "nobody has owned it");
    /// ```
    pub fn decode(bytes: &[u8]) -> Option<Owner> {
        let bytes = bytes.get(..SLOT_BYTES)?;
        let words: [u64; SLOT_WORDS] = std::array::from_fn(|index| word_at(bytes, index * 8).unwrap_or(0));
        if words[0] == 0 || checksum(&words) != (words[0] >> 32) as u32 {
            return None;
        }
        let name = &bytes[SLOT_BYTES - NAME_BYTES..];
        let name = &name[..name.iter().position(|byte| *byte == 0).unwrap_or(NAME_BYTES)];
        let thread =
            ThreadFacts { id: words[0] as u32, os_id: words[3], name: String::from_utf8_lossy(name).into_owned() };
        Some(Owner { thread, position: words[1], record_number: words[2] })
    }
}

fn checksum(words: &[u64; SLOT_WORDS]) -> u32 {
    let mut hasher = crc32fast::Hasher::new();
    hasher.update(&(words[0] as u32).to_le_bytes());
    words[1..].iter().for_each(|word| hasher.update(&word.to_le_bytes()));
    hasher.finalize()
}

/// `str::floor_char_boundary` is newer than our minimum Rust version.
pub(crate) trait FloorCharBoundary {
    /// The largest character boundary at or below `limit` bytes.
    fn floor_char_boundary_at(&self, limit: usize) -> usize;
}

impl FloorCharBoundary for str {
    fn floor_char_boundary_at(&self, limit: usize) -> usize {
        let limit = limit.min(self.len());
        (0..=limit).rev().find(|index| self.is_char_boundary(*index)).unwrap_or(0)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn owner(name: &str) -> Owner {
        let thread = ThreadFacts { id: 5, os_id: 77, name: name.to_owned() };
        Owner { thread, position: 123, record_number: 45 }
    }

    fn bytes(words: [u64; SLOT_WORDS]) -> Vec<u8> {
        words.iter().flat_map(|word| word.to_le_bytes()).collect()
    }

    #[test]
    fn an_owner_comes_back_with_its_name_cut_at_a_character() {
        assert_eq!(Owner::decode(&bytes(owner("worker").encode())), Some(owner("worker")));
        let long = format!("{}ß-and-more", "x".repeat(31));
        assert_eq!(Owner::decode(&bytes(owner(&long).encode())), Some(owner(&"x".repeat(31))));
    }

    #[test]
    fn any_flipped_bit_makes_it_no_owner() {
        let whole = bytes(owner("worker").encode());
        for bit in (0..whole.len() * 8).step_by(if cfg!(miri) { 23 } else { 1 }) {
            let mut flipped = whole.clone();
            flipped[bit / 8] ^= 1 << (bit % 8);
            assert_eq!(Owner::decode(&flipped), None, "bit {bit}");
        }
    }
}
