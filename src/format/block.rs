//! Blocks: what session and segment files are made of.
//!
//! | offset | bytes | field |
//! |---|---|---|
//! | 0 | 4 | magic, `SRBK`; written last, so that a block is there or is not |
//! | 4 | 2 | kind |
//! | 6 | 2 | 0 |
//! | 8 | 4 | payload length |
//! | 12 | 4 | CRC-32 of the payload |
//! | 16 | 8 | number of the block in the session |
//! | 24 | 24 | clock anchor: ticks; monotonic and wall clock in nanoseconds |
//! | 48 | 4 | records: thread id |
//! | 52 | 4 | records: ring number |
//! | 56 | 8 | records: number of the first record |
//! | 64 | 8 | records: number after the last record, dropped ones included |
//! | 72 | 8 | records: records that the ring had lost (dropped or overwritten) before that number |
//! | 80 | 8 | records: position of the first slot in its ring |
//! | 88 | 4 | CRC-32 of bytes 0 to 88 |
//! | 92 | 4 | 0 |

use super::word_at;

/// Bytes of a [`BlockHeader`].
///
/// ```
/// use spanring::format::BlockHeader;
/// use spanring::format::block::BLOCK_HEADER_BYTES;
///
/// // Where a block would begin, zeroes end the file.
/// assert_eq!(BlockHeader::decode(&[0; BLOCK_HEADER_BYTES]), Ok(None));
/// ```
pub const BLOCK_HEADER_BYTES: usize = 96;
/// Blocks begin at multiples of this many bytes.
///
/// ```
/// use spanring::format::block::{BLOCK_ALIGNMENT, block_bytes};
///
/// assert!((0..100).all(|payload| block_bytes(payload) % BLOCK_ALIGNMENT == 0));
/// ```
pub const BLOCK_ALIGNMENT: usize = 8;

/// Offset of the header's checksum.
const CHECKSUM: usize = 88;

const MAGIC: u32 = u32::from_le_bytes(*b"SRBK");

/// What a block's payload is.
///
/// ```
/// use spanring::format::{BlockHeader, BlockKind};
///
/// /// Whether the recorder was stopped, by the last block of its last segment.
/// fn is_whole(last: &BlockHeader) -> bool {
///     last.kind == BlockKind::End
/// }
/// # use spanring::format::{Anchor, block::RecordRange};
/// # let end = BlockHeader::new(BlockKind::End, 0, Anchor::default(), RecordRange::default(), &[]);
/// # assert!(is_whole(&end));
/// ```
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[repr(u16)]
pub enum BlockKind {
    /// Facts about the process.
    Facts = 1,
    /// The layout of the records.
    SelfDescription = 2,
    /// Definitions of locations and names.
    Definitions = 3,
    /// Facts about a thread.
    Thread = 4,
    /// Records of one thread.
    Records = 5,
    /// The recorder was stopped; nothing follows.
    End = 6,
    /// The begin of a span that was open when the original went away, with its original number and position.
    Carried = 7,
    /// Records of one thread, compressed.
    PackedRecords = 8,
}

impl BlockKind {
    const ALL: [BlockKind; 8] = [
        BlockKind::Facts,
        BlockKind::SelfDescription,
        BlockKind::Definitions,
        BlockKind::Thread,
        BlockKind::Records,
        BlockKind::End,
        BlockKind::Carried,
        BlockKind::PackedRecords,
    ];
}

/// One instant on three clocks, so that ticks can be turned into time.
///
/// ```
/// use spanring::format::Anchor;
///
/// /// When it was so many ticks, in nanoseconds since 1970, if there are so many in a second.
/// fn unix_ns(anchor: Anchor, ticks: u64, ticks_per_second: u64) -> u64 {
///     let since = u128::from(ticks - anchor.ticks) * 1_000_000_000 / u128::from(ticks_per_second);
///     anchor.unix_ns + since as u64
/// }
/// let anchor = Anchor { ticks: 1_000, monotonic_ns: 50, unix_ns: 9_000 };
/// assert_eq!(unix_ns(anchor, 4_000, 3_000_000_000), 10_000);
/// ```
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
pub struct Anchor {
    /// The recording's tick counter.
    pub ticks: u64,
    /// The system's monotonic clock, nanoseconds.
    pub monotonic_ns: u64,
    /// The wall clock, nanoseconds since 1970.
    pub unix_ns: u64,
}

/// Which records a block of [`BlockKind::Records`] holds.
///
/// ```
/// use spanring::format::block::RecordRange;
///
/// /// Records that are missing between two blocks of one ring.
/// fn missing(before: RecordRange, after: RecordRange) -> u64 {
///     after.first_record - before.next_record
/// }
/// let before = RecordRange { first_record: 0, next_record: 10, ..RecordRange::default() };
/// let after = RecordRange { first_record: 12, next_record: 20, ..RecordRange::default() };
/// assert_eq!(missing(before, after), 2);
/// ```
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
pub struct RecordRange {
    /// The thread.
    pub thread: u32,
    /// The ring.
    pub ring: u32,
    /// Number of the first record.
    pub first_record: u64,
    /// Number after the last record, dropped ones included.
    pub next_record: u64,
    /// Records that the ring had lost (dropped or overwritten) before `next_record`.
    pub lost: u64,
    /// Position of the first slot.
    pub position: u64,
}

/// What stands before a payload.
///
/// ```
/// use spanring::format::block::{RecordRange, block_bytes};
/// use spanring::format::{Anchor, BlockHeader, BlockKind};
///
/// let (payload, nothing) = (b"id=1\nname=worker\n", RecordRange::default());
/// let header = BlockHeader::new(BlockKind::Thread, 3, Anchor::default(), nothing, payload);
/// let mut block = header.encode().to_vec();
/// block.extend(payload);
/// block.resize(block_bytes(payload.len()), 0);
///
/// let read = BlockHeader::decode(&block)?.expect("there is a block");
/// assert_eq!((read, read.payload(&block)?), (header, &payload[..]));
/// # Ok::<(), &'static str>(())
/// ```
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct BlockHeader {
    /// What the payload is.
    pub kind: BlockKind,
    /// Length of the payload in bytes.
    pub payload_bytes: u32,
    /// Number of the block in its session.
    pub number: u64,
    /// When the block was written.
    pub anchor: Anchor,
    /// For a block of records, which; zeroes in any other.
    pub records: RecordRange,
    payload_checksum: u32,
}

impl BlockHeader {
    /// The header of `payload`.
    ///
    /// # Panics
    /// If the payload is longer than `u32::MAX` bytes.
    ///
    /// ```
    /// use spanring::format::block::RecordRange;
    /// use spanring::format::{Anchor, BlockHeader, BlockKind};
    ///
    /// let header = BlockHeader::new(BlockKind::End, 4, Anchor::default(), RecordRange::default(), &[]);
    /// assert_eq!((header.number, header.payload_bytes), (4, 0));
    /// ```
    pub fn new(kind: BlockKind, number: u64, anchor: Anchor, records: RecordRange, payload: &[u8]) -> BlockHeader {
        let payload_bytes = u32::try_from(payload.len()).expect("a block is smaller than 4 GiB");
        let payload_checksum = crc32fast::hash(payload);
        BlockHeader { kind, payload_bytes, number, anchor, records, payload_checksum }
    }

    /// The header as bytes.
    ///
    /// ```
    /// use spanring::format::block::RecordRange;
    /// use spanring::format::{Anchor, BlockHeader, BlockKind};
    ///
    /// let header = BlockHeader::new(BlockKind::End, 4, Anchor::default(), RecordRange::default(), &[]);
    /// assert!(header.encode().starts_with(b"SRBK"));
    /// ```
    pub fn encode(&self) -> [u8; BLOCK_HEADER_BYTES] {
        let records = &self.records;
        let words = [
            u64::from(MAGIC) | (self.kind as u64) << 32,
            u64::from(self.payload_bytes) | u64::from(self.payload_checksum) << 32,
            self.number,
            self.anchor.ticks,
            self.anchor.monotonic_ns,
            self.anchor.unix_ns,
            u64::from(records.thread) | u64::from(records.ring) << 32,
            records.first_record,
            records.next_record,
            records.lost,
            records.position,
            0,
        ];
        let mut bytes = [0; BLOCK_HEADER_BYTES];
        for (to, word) in bytes.chunks_exact_mut(8).zip(words) {
            to.copy_from_slice(&word.to_le_bytes());
        }
        let checksum = crc32fast::hash(&bytes[..CHECKSUM]);
        bytes[CHECKSUM..CHECKSUM + 4].copy_from_slice(&checksum.to_le_bytes());
        bytes
    }

    /// The header at the start of `bytes`. `Ok(None)`: there is no block, the file ends here.
    ///
    /// # Errors
    /// What is wrong with the header.
    ///
    /// ```
    /// use spanring::format::block::RecordRange;
    /// use spanring::format::{Anchor, BlockHeader, BlockKind};
    ///
    /// let header = BlockHeader::new(BlockKind::End, 4, Anchor::default(), RecordRange::default(), &[]);
    /// let mut bytes = header.encode();
    /// assert_eq!(BlockHeader::decode(&bytes), Ok(Some(header)));
    /// bytes[16] ^= 1;
    /// assert_eq!(BlockHeader::decode(&bytes), Err("the block header's checksum is wrong"));
    /// ```
    pub fn decode(bytes: &[u8]) -> Result<Option<BlockHeader>, &'static str> {
        let Some(header) = bytes.get(..BLOCK_HEADER_BYTES) else {
            let rest_is_empty = bytes.iter().all(|byte| *byte == 0);
            return if rest_is_empty { Ok(None) } else { Err("the file ends within a block header") };
        };
        let word = |index: usize| word_at(header, index * 8).unwrap_or(0);
        if word(0) == 0 {
            return Ok(None);
        }
        if word(0) as u32 != MAGIC {
            return Err("no block begins here");
        }
        if word(CHECKSUM / 8) != u64::from(crc32fast::hash(&header[..CHECKSUM])) {
            return Err("the block header's checksum is wrong");
        }
        let number = (word(0) >> 32) as u32;
        let kind =
            BlockKind::ALL.into_iter().find(|kind| *kind as u32 == number).ok_or("the kind of block is unknown")?;
        Ok(Some(BlockHeader {
            kind,
            payload_bytes: word(1) as u32,
            number: word(2),
            anchor: Anchor { ticks: word(3), monotonic_ns: word(4), unix_ns: word(5) },
            records: RecordRange {
                thread: word(6) as u32,
                ring: (word(6) >> 32) as u32,
                first_record: word(7),
                next_record: word(8),
                lost: word(9),
                position: word(10),
            },
            payload_checksum: (word(1) >> 32) as u32,
        }))
    }

    /// The payload, in `bytes` that begin with this header.
    ///
    /// # Errors
    /// What is wrong with the payload.
    ///
    /// ```
    /// use spanring::format::block::RecordRange;
    /// use spanring::format::{Anchor, BlockHeader, BlockKind};
    ///
    /// let header = BlockHeader::new(BlockKind::Facts, 0, Anchor::default(), RecordRange::default(), b"pid=7\n");
    /// let mut block = header.encode().to_vec();
    /// block.extend(b"pid=7\n");
    /// assert_eq!(header.payload(&block), Ok(&b"pid=7\n"[..]));
    /// block.pop();
    /// assert_eq!(header.payload(&block), Err("the block is longer than what is left of the file"));
    /// ```
    pub fn payload<'a>(&self, bytes: &'a [u8]) -> Result<&'a [u8], &'static str> {
        let end = BLOCK_HEADER_BYTES + self.payload_bytes as usize;
        let payload = bytes.get(BLOCK_HEADER_BYTES..end).ok_or("the block is longer than what is left of the file")?;
        if crc32fast::hash(payload) != self.payload_checksum {
            return Err("the block's checksum is wrong");
        }
        Ok(payload)
    }

    /// Bytes from the start of this block to the start of the next.
    ///
    /// ```
    /// use spanring::format::block::RecordRange;
    /// use spanring::format::{Anchor, BlockHeader, BlockKind};
    ///
    /// let header = BlockHeader::new(BlockKind::Facts, 0, Anchor::default(), RecordRange::default(), b"pid=7\n");
    /// assert_eq!(header.block_bytes(), 96 + 8);
    /// ```
    pub fn block_bytes(&self) -> usize {
        block_bytes(self.payload_bytes as usize)
    }

    /// Offset in `bytes` of the next block magic, from `from` on.
    ///
    /// ```
    /// use spanring::format::BlockHeader;
    ///
    /// let bytes = b"damaged ........SRBK.... a block";
    /// assert_eq!(BlockHeader::find(bytes, 1), Some(16));
    /// assert_eq!(BlockHeader::find(bytes, 17), None);
    /// ```
    pub fn find(bytes: &[u8], from: usize) -> Option<usize> {
        let from = from.next_multiple_of(BLOCK_ALIGNMENT);
        let magic = MAGIC.to_le_bytes();
        (from..bytes.len()).step_by(BLOCK_ALIGNMENT).find(|offset| bytes[*offset..].starts_with(&magic))
    }
}

/// Bytes that a block with such a payload takes in a file.
///
/// ```
/// use spanring::format::block::block_bytes;
///
/// assert_eq!(block_bytes(13), 96 + 16);
/// ```
pub fn block_bytes(payload_bytes: usize) -> usize {
    BLOCK_HEADER_BYTES + payload_bytes.next_multiple_of(BLOCK_ALIGNMENT)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn block(payload: &[u8]) -> Vec<u8> {
        let records = RecordRange { thread: 1, ring: 2, first_record: 3, next_record: 4, lost: 5, position: 6 };
        let anchor = Anchor { ticks: 7, monotonic_ns: 8, unix_ns: 9 };
        let mut bytes = BlockHeader::new(BlockKind::Records, 10, anchor, records, payload).encode().to_vec();
        bytes.extend_from_slice(payload);
        bytes.resize(block_bytes(payload.len()), 0);
        bytes
    }

    fn read(bytes: &[u8]) -> Result<Option<(BlockHeader, &[u8])>, &'static str> {
        let Some(header) = BlockHeader::decode(bytes)? else { return Ok(None) };
        Ok(Some((header, header.payload(bytes)?)))
    }

    #[test]
    fn a_block_comes_back_as_it_was() {
        let bytes = block(b"payload");
        let (header, payload) = read(&bytes).expect("whole").expect("there");
        assert_eq!((header.kind, header.number, payload), (BlockKind::Records, 10, &b"payload"[..]));
        assert_eq!(header.records.position, 6);
        assert_eq!(header.anchor, Anchor { ticks: 7, monotonic_ns: 8, unix_ns: 9 });
        assert_eq!(header.block_bytes(), bytes.len());
    }

    #[test]
    fn any_flipped_bit_before_the_padding_is_noticed() {
        let bytes = block(b"payload!");
        for bit in (0..bytes.len() * 8).step_by(if cfg!(miri) { 23 } else { 1 }) {
            let mut flipped = bytes.clone();
            flipped[bit / 8] ^= 1 << (bit % 8);
            assert!(read(&flipped).is_err(), "bit {bit}");
        }
    }

    #[test]
    fn every_shorter_length_is_an_error_or_the_end() {
        let bytes = block(b"payload!");
        for length in 0..bytes.len() {
            assert!(!matches!(read(&bytes[..length]), Ok(Some(_))), "length {length}");
        }
        assert_eq!(BlockHeader::decode(&[0; 200]), Ok(None));
        assert_eq!(BlockHeader::decode(&[]), Ok(None));
    }

    #[test]
    fn the_next_block_is_found_behind_damage() {
        let mut bytes = vec![0xff; 24];
        bytes.extend(block(b"x"));
        assert_eq!(BlockHeader::find(&bytes, 3), Some(24));
        assert_eq!(BlockHeader::find(&bytes, 25), None);
    }
}
