//! The file format, version 3. All integers are little-endian; every offset and length is in bytes.
//!
//! A *recording directory* holds one directory per process run, the *session*, named
//! `<UTC start>-<pid>-<number>`, for instance `20261123T140501.250Z-4711-0`; with `.removed` behind that it is being removed, and
//! nothing is read from it. A file whose name ends in `.new` is being created. A directory `snapshots` beside the sessions holds
//! sessions too: what rings held when somebody asked. A session holds:
//!
//! | file | kind | what it holds |
//! |---|---|---|
//! | `session.spanring` | 1, [`FileKind::Session`] | facts about the process, the self-description, and a *status* that is kept up to date |
//! | `names.spanring` | 3, [`FileKind::Names`] | definitions of locations and static names, by address |
//! | `ring-00000.spanring`, .. | 2, [`FileKind::Ring`] | one thread's ring (it may stand in another directory: the facts say where) |
//! | `segment-000000.spanring`, .. | 4, [`FileKind::Segment`] | blocks: what was flushed, in order |
//!
//! Every file begins with the 64-byte [`FileHeader`]. Session and segment files go on with blocks, each a 96-byte
//! [`BlockHeader`], a payload, and zeroes up to a multiple of 8; a zero word where a block would begin ends the file. A reader
//! that meets a damaged block looks for the next block magic at a multiple of 8.
//!
//! | block | payload |
//! |---|---|
//! | 1, [`BlockKind::Facts`] | `key=value` lines about the process |
//! | 2, [`BlockKind::SelfDescription`] | [`crate::events::self_description`] |
//! | 3, [`BlockKind::Definitions`] | definition slots, see [`definition`] |
//! | 4, [`BlockKind::Thread`] | `key=value` lines about one thread |
//! | 5, [`BlockKind::Records`] | record slots of one thread, in order, see [`crate::events`] |
//! | 6, [`BlockKind::End`] | nothing: the recorder was stopped and nothing follows |
//! | 7, [`BlockKind::Carried`] | one begin record, of a span that was open when its ring came round or its segment was retired; or one attribute of such a span |
//! | 8, [`BlockKind::PackedRecords`] | the record slots of one thread, compressed, see `packed` (feature `compress`) |
//!
//! A block of carried records stands where it was written, behind the records that came after its begin; its ring and its number
//! say where the begin belongs. A reader that wants them in order looks for these blocks first. A begin may be carried again and
//! again, and it may still be in its ring, or in a block of records: the number tells that it is the same.
//!
//! The parts, each with its table and with encoding and decoding side by side: [`mod@file`], [`block`], [`definition`],
//! [`ring_file`], [`session_file`], [`facts`], [`snapshot_request`].

pub mod block;
pub mod definition;
pub mod facts;
pub mod file;
pub(crate) mod identity;
#[cfg(feature = "compress")]
pub mod packed;
pub mod ring_file;
pub mod session_file;
pub(crate) mod session_name;
pub mod snapshot_request;

pub use block::{Anchor, BlockHeader, BlockKind};
pub use facts::{Discipline, ProcessFacts, ThreadFacts, TickSource};
pub use file::{FileHeader, FileKind, FormatError, SessionId, VERSION};
pub use session_file::{Status, StatusState};

/// Reads a little-endian word; `None` past the end.
pub(crate) fn word_at(bytes: &[u8], offset: usize) -> Option<u64> {
    let word = bytes.get(offset..offset.checked_add(8)?)?;
    Some(u64::from_le_bytes(word.try_into().ok()?))
}
