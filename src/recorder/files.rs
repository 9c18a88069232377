//! The files that a recorder keeps mapped while it runs: session, names and rings. (Segments belong to their sink.)

use super::session::RingHome;
use crate::events::{SLOT_BYTES, self_description};
use crate::format::block::{Anchor, BlockHeader, BlockKind, RecordRange, block_bytes};
use crate::format::file::FILE_HEADER_BYTES;
use crate::format::ring_file::{CAPACITY_WORD, DISCIPLINE_WORD, RING_HEADER_BYTES};
use crate::format::session_file::SESSION_HEADER_BYTES;
use crate::format::{Discipline, FileHeader, FileKind, ProcessFacts, SessionId, Status};
use crate::mapping::Mapping;
use crate::preallocate::create_preallocated;
use crate::queue::Memory;
use crate::sync::Ordering;
use std::io;
use std::path::Path;

/// Bytes of a ring file with so many slots.
pub(super) fn ring_file_bytes(slots: u64) -> usize {
    RING_HEADER_BYTES + slots as usize * SLOT_BYTES
}

/// Creates a ring file in `directory` and maps it.
pub(super) fn create_ring(directory: &Path, home: &RingHome, number: u32) -> io::Result<Memory> {
    let path = directory.join(FileKind::Ring.file_name(u64::from(number)));
    let mut content = home.header(number).encode().to_vec();
    debug_assert_eq!((content.len(), CAPACITY_WORD + 1), (CAPACITY_WORD * 8, DISCIPLINE_WORD));
    content.extend(home.slots.to_le_bytes());
    content.extend(u64::from(home.discipline == Discipline::Flight).to_le_bytes());
    create_mapped(&path, &content, ring_file_bytes(home.slots))
}

/// Creates the names file and maps it.
pub(super) fn create_names(
    directory: &Path,
    session: SessionId,
    created_unix_ns: u64,
    bytes: usize,
) -> io::Result<Memory> {
    let header_bytes = FILE_HEADER_BYTES as u32;
    let header = FileHeader { kind: FileKind::Names, session, number: 0, created_unix_ns, header_bytes };
    create_mapped(&directory.join(FileKind::Names.file_name(0)), &header.encode(), FILE_HEADER_BYTES + bytes)
}

/// Creates the session file, with facts and self-description, and maps it.
pub(super) fn create_session(directory: &Path, session: SessionId, facts: &ProcessFacts) -> io::Result<Memory> {
    let anchor = facts.start;
    let header_bytes = SESSION_HEADER_BYTES as u32;
    let header =
        FileHeader { kind: FileKind::Session, session, number: 0, created_unix_ns: anchor.unix_ns, header_bytes };
    let mut content = header.encode().to_vec();
    content.resize(SESSION_HEADER_BYTES, 0);
    append_block(&mut content, BlockKind::Facts, anchor, facts.encode().as_bytes());
    append_block(&mut content, BlockKind::SelfDescription, anchor, self_description().as_bytes());
    create_mapped(&directory.join(FileKind::Session.file_name(0)), &content, content.len())
}

/// Writes a status to a session file, over the older copy.
pub(super) fn store_status(session_file: &Memory, status: &Status) {
    for (index, word) in (Status::word_index(status.updates)..).zip(status.encode()) {
        // Relaxed: the checksum tells a reader whether it saw all of them.
        session_file.word(index).store(word, Ordering::Relaxed);
    }
}

fn append_block(content: &mut Vec<u8>, kind: BlockKind, anchor: Anchor, payload: &[u8]) {
    let end = content.len() + block_bytes(payload.len());
    content.extend(BlockHeader::new(kind, 0, anchor, RecordRange::default(), payload).encode());
    content.extend_from_slice(payload);
    content.resize(end, 0);
}

fn create_mapped(path: &Path, content: &[u8], bytes: usize) -> io::Result<Memory> {
    let file = create_preallocated(path, bytes as u64, content)?;
    Ok(Memory::mapped(Mapping::of(&file)?))
}

/// Removes the ring files of a session whose records are all in its segments; the directory too, if nothing else is in it.
pub(super) fn remove_rings(directory: &Path, rings: usize) {
    for number in 0..rings as u64 {
        // Left behind, a ring costs space and nothing else: readers know what was flushed.
        let _ = std::fs::remove_file(directory.join(FileKind::Ring.file_name(number)));
    }
    let _ = std::fs::remove_dir(directory);
}

/// Cuts the names file of a session off behind its last definition. Nobody defines anything any more.
pub(super) fn trim_names(directory: &Path, bytes: u64) {
    let path = directory.join(FileKind::Names.file_name(0));
    // Left as it is, it costs space and nothing else.
    let _ = std::fs::OpenOptions::new().write(true).open(path).and_then(|file| file.set_len(bytes));
}
