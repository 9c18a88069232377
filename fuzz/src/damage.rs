//! Harm to files, and checksums that do not tell of it.

use crate::input::{Damage, Harm};
use spanring::events::{SLOT_BYTES, TEXT_BYTES};
use spanring::format::BlockHeader;
use spanring::format::block::{BLOCK_HEADER_BYTES, block_bytes};
use spanring::format::file::FILE_HEADER_BYTES;
use spanring::format::ring_file::{OWNERS, Owner, RING_HEADER_BYTES};
use spanring::format::session_file::{SESSION_HEADER_BYTES, STATUS_WORDS, Status};
use std::path::PathBuf;

/// Does the harm to the files.
pub fn harm(files: &mut Vec<(PathBuf, Vec<u8>)>, damage: &[Damage]) {
    for damage in damage.iter().take(16) {
        if files.is_empty() {
            return;
        }
        let index = usize::from(damage.file) % files.len();
        if let Harm::Lost = damage.harm {
            files.remove(index);
            continue;
        }
        let bytes = &mut files[index].1;
        harm_file(bytes, damage);
        if damage.sealed {
            seal(bytes);
        }
    }
}

/// Does the harm to a file.
pub fn harm_file(bytes: &mut Vec<u8>, damage: &Damage) {
    if bytes.is_empty() {
        return;
    }
    let at = damage.at as usize % bytes.len();
    match &damage.harm {
        Harm::Flip(bit) => bytes[at] ^= 1 << (bit % 8),
        Harm::Word(number) => {
            let at = at & !7;
            let word = word_at(bytes, at);
            put(bytes, at, &number.or(word).to_le_bytes());
        }
        Harm::Half(number) => {
            let at = at & !3;
            let half = word_at(bytes, at) as u32;
            put(bytes, at, &(number.or(u64::from(half)) as u32).to_le_bytes());
        }
        Harm::Truncate => bytes.truncate(at),
        Harm::Zero(length) => put(bytes, at, &vec![0; usize::from(*length)]),
        Harm::Copy { from, bytes: length } => {
            let from = *from as usize % bytes.len();
            let end = (from + usize::from(*length)).min(bytes.len());
            let copied = bytes[from..end].to_vec();
            put(bytes, at, &copied);
        }
        Harm::Insert(inserted) => drop(bytes.splice(at..at, inserted.iter().copied())),
        Harm::Remove(length) => {
            let end = (at + usize::from(*length)).min(bytes.len());
            bytes.drain(at..end);
        }
        Harm::Lost => bytes.clear(),
    }
}

fn put(bytes: &mut [u8], at: usize, new: &[u8]) {
    bytes[at..].iter_mut().zip(new).for_each(|(to, from)| *to = *from);
}

fn word_at(bytes: &[u8], at: usize) -> u64 {
    let word = bytes.get(at..at + 8).and_then(|word| word.try_into().ok());
    word.map_or(0, u64::from_le_bytes)
}

/// Makes all checksums in a file right that can be found.
pub fn seal(bytes: &mut [u8]) {
    if bytes.len() < FILE_HEADER_BYTES {
        return;
    }
    let checksum = crc32fast::hash(&bytes[..60]);
    put(bytes, 60, &checksum.to_le_bytes());
    match bytes[12] {
        1 => {
            seal_statuses(bytes);
            seal_blocks(bytes, SESSION_HEADER_BYTES);
        }
        2 => seal_owners(bytes),
        3 => seal_definitions(&mut bytes[FILE_HEADER_BYTES..]),
        4 => seal_blocks(bytes, FILE_HEADER_BYTES),
        _ => {}
    }
}

fn seal_statuses(bytes: &mut [u8]) {
    for copy in [0, 1] {
        let start = Status::word_index(copy) * 8;
        let end = start + STATUS_WORDS * 8;
        if let Some(status) = bytes.get_mut(start..end) {
            let checksum = crc32fast::hash(&status[..(STATUS_WORDS - 1) * 8]);
            put(status, (STATUS_WORDS - 1) * 8, &u64::from(checksum).to_le_bytes());
        }
    }
}

fn seal_owners(bytes: &mut [u8]) {
    for index in 0..OWNERS {
        let start = Owner::word_index(index) * 8;
        let Some(owner) = bytes.get_mut(start..start + SLOT_BYTES).filter(|_| start < RING_HEADER_BYTES) else {
            return;
        };
        let mut hasher = crc32fast::Hasher::new();
        hasher.update(&owner[..4]);
        hasher.update(&owner[8..]);
        put(owner, 4, &hasher.finalize().to_le_bytes());
    }
}

fn seal_blocks(bytes: &mut [u8], start: usize) {
    let mut at = start;
    while at < bytes.len() {
        let Some(start) = BlockHeader::find(bytes, at) else { return };
        at = start + seal_block(&mut bytes[start..]);
    }
}

/// Makes the checksums of the block right that begins the bytes, and returns how far it goes.
pub fn seal_block(bytes: &mut [u8]) -> usize {
    if bytes.len() < BLOCK_HEADER_BYTES {
        return bytes.len();
    }
    let length = word_at(bytes, 8) as u32 as usize;
    let payload = bytes.get_mut(BLOCK_HEADER_BYTES..BLOCK_HEADER_BYTES + length);
    let whole = payload.is_some();
    if let Some(payload) = payload {
        if word_at_kind(3, payload, length) {
            seal_definitions(payload);
        }
        let checksum = crc32fast::hash(payload);
        put(bytes, 12, &checksum.to_le_bytes());
    }
    let checksum = crc32fast::hash(&bytes[..88]);
    put(bytes, 88, &u64::from(checksum).to_le_bytes());
    if whole { block_bytes(length) } else { 8 }
}

/// Whether a payload looks like definitions rather than text.
fn word_at_kind(least: u8, payload: &[u8], length: usize) -> bool {
    length >= SLOT_BYTES && payload[0] >= least - 1 && payload[0] <= 5
}

fn seal_definitions(slots: &mut [u8]) {
    let mut at = 0;
    while at + SLOT_BYTES <= slots.len() {
        let rest = &mut slots[at..];
        at += SLOT_BYTES;
        if !(2..=5).contains(&rest[0]) {
            continue;
        }
        let half = |index: usize| word_at(rest, index * 4) as u32 as usize;
        let length: usize = [5, 6, 7, 8].into_iter().map(half).sum();
        let count = 1 + length.saturating_sub(24).div_ceil(TEXT_BYTES);
        let Some(whole) = rest.get(..count * SLOT_BYTES) else { continue };
        let mut text = whole[40..SLOT_BYTES].to_vec();
        whole.chunks_exact(SLOT_BYTES).skip(1).for_each(|slot| text.extend(&slot[8..]));
        text.truncate(length);
        let mut hasher = crc32fast::Hasher::new();
        hasher.update(&rest[..36]);
        hasher.update(&[0; 4]);
        hasher.update(&text);
        let checksum = hasher.finalize();
        put(rest, 36, &checksum.to_le_bytes());
    }
}
