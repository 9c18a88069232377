//! The blocks of a segment by their headers alone. The payloads, nearly all of the file, are passed over unread.

use super::segment::{MOST_WORDS, header_in};
use super::window::Window;
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
    if length > MOST_WORDS as u64 * 8 {
        return Ok(false);
    }
    let mut words = Vec::new();
    let mut window = Window::new(file, WINDOW_WORDS, &mut words);
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

#[cfg(test)]
mod tests {
    use super::super::segment::walk_blocks;
    use super::*;
    use crate::format::block::{Anchor, RecordRange, block_bytes};
    use crate::format::{FileHeader, FileKind};
    use std::io::Write;

    const SESSION: SessionId = SessionId([1, 2]);

    /// A segment with blocks of these kinds and lengths.
    fn segment(blocks: &[(BlockKind, usize)]) -> Vec<u8> {
        let header_bytes = FILE_HEADER_BYTES as u32;
        let header =
            FileHeader { kind: FileKind::Segment, session: SESSION, number: 0, created_unix_ns: 0, header_bytes };
        let mut bytes = header.encode().to_vec();
        for ((kind, length), number) in blocks.iter().zip(0..) {
            let payload = vec![number as u8; *length];
            let end = bytes.len() + block_bytes(*length);
            bytes.extend(BlockHeader::new(*kind, number, Anchor::default(), RecordRange::default(), &payload).encode());
            bytes.extend(payload);
            bytes.resize(end, 0);
        }
        bytes
    }

    fn is_wanted(kind: BlockKind) -> bool {
        kind == BlockKind::Definitions
    }

    /// The blocks' numbers, with the bytes of those that are wanted; and whether these are all.
    fn found(bytes: &[u8]) -> (Vec<(u64, Vec<u8>)>, bool) {
        let mut file = tempfile::tempfile().unwrap();
        file.write_all(bytes).unwrap();
        let mut blocks = Vec::new();
        let take = |header: &BlockHeader, bytes: &[u8]| blocks.push((header.number, bytes.to_vec()));
        let is_all = walk_headers(&file, Path::new("a segment"), SESSION, is_wanted, take).unwrap();
        (blocks, is_all)
    }

    const BLOCKS: [(BlockKind, usize); 6] = [
        (BlockKind::Records, 64),
        (BlockKind::Definitions, 4500),
        (BlockKind::Records, 5000),
        (BlockKind::Definitions, 13),
        (BlockKind::Definitions, 0),
        (BlockKind::End, 0),
    ];

    #[test]
    #[cfg_attr(miri, ignore = "reads files")]
    fn a_segment_in_order_has_the_blocks_that_a_walk_through_all_of_it_finds() {
        let bytes = segment(&BLOCKS);
        let mut whole = Vec::new();
        walk_blocks(&bytes, FILE_HEADER_BYTES, |header, rest| {
            let rest = if is_wanted(header.kind) { &rest[..header.block_bytes()] } else { &[] };
            whole.push((header.number, rest.to_vec()));
        });
        assert_eq!(whole.len(), BLOCKS.len());
        assert_eq!(found(&bytes), (whole, true));
        assert_eq!(found(&segment(&[])), (vec![], true));
    }

    #[test]
    #[cfg_attr(miri, ignore = "reads files")]
    fn a_segment_that_is_not_in_order_is_not_all_found() {
        let bytes = segment(&BLOCKS);
        for length in (0..bytes.len()).step_by(8) {
            let ends_with_a_block = found(&bytes[..length]).1;
            let blocks = (0..BLOCKS.len()).find(|count| segment(&BLOCKS[..*count]).len() == length);
            assert_eq!(ends_with_a_block, blocks.is_some(), "{length} bytes");
        }
        let mut zeroes_behind = bytes.clone();
        zeroes_behind.resize(bytes.len() + 4096, 0);
        assert!(!found(&zeroes_behind).1);
        let mut damaged = bytes.clone();
        damaged[FILE_HEADER_BYTES + 20] ^= 1;
        assert!(!found(&damaged).1);
    }
}
