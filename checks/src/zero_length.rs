//! Spans that begin and end in the same nanosecond. No processor is that fast, so they are made from a recording of a killed
//! process whose records are all in its rings, where no checksum stands in the way.

use spanring::events::SLOT_BYTES;
use std::error::Error;
use std::path::Path;

/// The case whose recording is rewritten.
pub const CASE: &str = "zero_length";

/// Where the slots of a ring begin, and where its header says how many records there were: see docs/FORMAT.md.
const HEADER_BYTES: usize = 4096;

const TICKS: usize = 1;
const SPAN_ID: usize = 2;
const PARENT: usize = 3;
const BEGIN_TICKS: usize = 7;

/// Has every span end when it begins, and every child begin with its parent.
pub fn rewrite(recording: &Path) -> Result<(), Box<dyn Error>> {
    for session in std::fs::read_dir(recording)? {
        for file in std::fs::read_dir(session?.path())? {
            let path = file?.path();
            if path.file_name().is_some_and(|name| name.to_string_lossy().starts_with("ring-")) {
                let mut bytes = std::fs::read(&path)?;
                rewrite_ring(&mut bytes[HEADER_BYTES..]);
                std::fs::write(&path, bytes)?;
            }
        }
    }
    Ok(())
}

fn rewrite_ring(slots: &mut [u8]) {
    // Parents begin, and are written, before their children.
    let mut begins = std::collections::HashMap::new();
    for slot in slots.chunks_exact_mut(SLOT_BYTES) {
        let is_span = slot[0] & 0xf8 == 0x10;
        let is_end = slot[0] & 1 == 1;
        if !is_span {
            continue;
        }
        let parents = begins.get(&word(slot, PARENT)).copied();
        let begin = *begins.entry(word(slot, SPAN_ID)).or_insert(parents.unwrap_or(word(slot, TICKS)));
        set_word(slot, TICKS, begin);
        if is_end {
            set_word(slot, BEGIN_TICKS, begin);
        }
    }
}

fn word(slot: &[u8], index: usize) -> u64 {
    u64::from_le_bytes(slot[index * 8..][..8].try_into().expect("eight bytes"))
}

fn set_word(slot: &mut [u8], index: usize, value: u64) {
    slot[index * 8..][..8].copy_from_slice(&value.to_le_bytes());
}
