//! Ring files: a copy of one, taken while its writer goes on or after its death, and what its header says.

use super::error::ReadError;
use super::segment::{describe, header_in, read_first_words, read_words};
use super::sequence::Slots;
use crate::events::{MAX_RECORD_SLOTS, SLOT_WORDS, Slot};
use crate::format::ring_file::{
    CAPACITY_WORD, DISCIPLINE_WORD, DROP_MARK_WORD, DROPPED_WORD, FLUSHED_POSITION_WORD, FLUSHED_RECORD_WORD,
    OWNER_COUNT_WORD, OWNERS, Owner, RECENT_RECORD_WORD, RING_HEADER_BYTES, TAIL_WORD,
};
use crate::format::{Discipline, FileHeader, FileKind, FormatError, ProcessFacts, SessionId};
use std::path::{Path, PathBuf};

const HEADER_WORDS: usize = RING_HEADER_BYTES / 8;
/// Slots of the largest ring that a recorder makes.
const MAX_SLOTS: u64 = 1 << 24;

/// How often to copy a ring that comes round meanwhile.
const TRIES: usize = 10;

/// What a reader has to know about a recording to read one of its rings.
#[derive(Clone, Copy)]
pub(super) struct Setting<'a> {
    pub(super) session: SessionId,
    /// They say what every ring's header says too.
    pub(super) facts: &'a ProcessFacts,
    /// The writer may be going on.
    pub(super) alive: bool,
}

/// Something in a file that cannot be right.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Problem {
    /// Where, in bytes.
    pub(super) offset: u64,
    pub(super) bytes: u64,
    pub(super) what: &'static str,
}

impl Problem {
    /// A word that cannot be right.
    pub(super) fn word(index: usize, what: &'static str) -> Problem {
        Problem { offset: index as u64 * 8, bytes: 8, what }
    }
}

/// What the writer keeps up to date in a ring's header.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Marks {
    /// Position after the last published record.
    pub(super) tail: u64,
    pub(super) drop_mark: u64,
    pub(super) dropped: u64,
    pub(super) flushed_position: u64,
    pub(super) flushed_record: u64,
    pub(super) recent_record: u64,
}

impl Marks {
    fn of(words: &[u64]) -> Marks {
        let word = |index: usize| words.get(index).copied().unwrap_or(0);
        Marks {
            tail: word(TAIL_WORD),
            drop_mark: word(DROP_MARK_WORD),
            dropped: word(DROPPED_WORD),
            flushed_position: word(FLUSHED_POSITION_WORD),
            flushed_record: word(FLUSHED_RECORD_WORD),
            recent_record: word(RECENT_RECORD_WORD),
        }
    }
}

/// A copy of a ring file.
pub(super) struct RingCopy {
    pub(super) path: PathBuf,
    /// Number of the ring in its session.
    pub(super) number: u32,
    /// Whether the oldest slots are overwritten.
    pub(super) flight: bool,
    /// Slots, a power of two.
    pub(super) capacity: u64,
    /// The writer may have been going on.
    pub(super) alive: bool,
    pub(super) marks: Marks,
    /// The marks after the slots were copied, if they had changed by then.
    pub(super) moved_to: Option<Marks>,
    /// Those that are known, in order.
    pub(super) owners: Vec<Owner>,
    /// From which record on each thread wrote; thread 0: nobody knows which.
    pub(super) threads: Vec<(u64, u32)>,
    pub(super) problems: Vec<Problem>,
    words: Vec<u64>,
}

impl RingCopy {
    /// Copies the ring file of this number.
    pub(super) fn take(path: &Path, number: u64, setting: Setting<'_>) -> Result<RingCopy, ReadError> {
        let mut copy = Self::take_once(path, number, setting)?;
        for _ in 1..TRIES {
            // The ring came round while it was copied, and nothing in the copy can be relied upon.
            let Some(later) = copy.moved_to else { break };
            let came_round = copy.flight && later.tail >= copy.marks.tail.saturating_add(copy.capacity);
            if !came_round && copy.marks.tail <= later.tail {
                break;
            }
            copy = Self::take_once(path, number, setting)?;
        }
        Ok(copy)
    }

    fn take_once(path: &Path, number: u64, setting: Setting<'_>) -> Result<RingCopy, ReadError> {
        let damaged = |offset: usize, what| ReadError::Format {
            path: path.to_owned(),
            offset: offset as u64,
            source: FormatError::Damaged { what },
        };
        let words = read_words(path)?;
        let bytes: &[u8] = bytemuck::cast_slice(&words);
        let mut problems = Vec::new();
        match header_in(setting.session, path, bytes) {
            Ok(FileHeader { kind: FileKind::Ring, .. }) => {}
            Ok(_) => return Err(damaged(12, "not a ring file")),
            Err(error @ ReadError::Format { source: FormatError::Newer { .. } | FormatError::OtherSession, .. }) => {
                return Err(error);
            }
            // All that it says is known from elsewhere.
            Err(error) => {
                problems.push(Problem { offset: 0, bytes: bytes.len().min(64) as u64, what: describe(&error) });
            }
        }
        if words.len() <= HEADER_WORDS {
            return Err(damaged(bytes.len(), "the ring's file is cut off in its header"));
        }
        let capacity = capacity(&words, setting.facts).ok_or_else(|| {
            damaged(CAPACITY_WORD * 8, "the number of slots is neither that of the recording nor that of the file")
        })?;
        if words[CAPACITY_WORD] != capacity {
            problems.push(Problem::word(CAPACITY_WORD, "the number of slots is another than the recording's"));
        }
        let flight = setting.facts.discipline == Discipline::Flight;
        if words[DISCIPLINE_WORD] != u64::from(flight) {
            problems.push(Problem::word(DISCIPLINE_WORD, "the discipline is another than the recording's"));
        }
        let marks = Marks::of(&words);
        // The header is read again after the slots: what the writer may have overwritten in between is not taken.
        let later = if setting.alive { Marks::of(&read_first_words(path, HEADER_WORDS)?) } else { marks };
        let table = Owners::in_header(&words, setting.alive);
        problems.extend(table.problems);
        Ok(RingCopy {
            path: path.to_owned(),
            number: number as u32,
            flight,
            capacity,
            alive: setting.alive,
            marks,
            moved_to: (later != marks).then_some(later),
            owners: table.owners,
            threads: table.threads,
            problems,
            words,
        })
    }

    /// Slots from index `first` on, around the ring.
    pub(super) fn slots(&self, first: usize, count: usize) -> Slots<'_> {
        let words = &self.words[HEADER_WORDS..];
        let whole = words.len() / SLOT_WORDS * SLOT_WORDS;
        // The slots begin and end at multiples of a slot in a buffer of words.
        let buffer: &[Slot] = bytemuck::try_cast_slice(&words[..whole]).unwrap_or_default();
        Slots::around(buffer, first, self.capacity as usize, count)
    }

    /// The index in the ring that a position has.
    pub(super) fn index(&self, position: u64) -> usize {
        (position & (self.capacity - 1)) as usize
    }

    /// Where in the file the slot at `index` begins, in bytes.
    pub(super) fn offset(index: usize) -> u64 {
        ((HEADER_WORDS + index * SLOT_WORDS) * 8) as u64
    }

    /// Bytes of the file.
    pub(super) fn bytes(&self) -> u64 {
        self.words.len() as u64 * 8
    }
}

/// The number of slots: as two of three say, the word, the facts and the length of the file.
fn capacity(words: &[u64], facts: &ProcessFacts) -> Option<u64> {
    let said = words[CAPACITY_WORD];
    let usual = facts.ring_bytes / (SLOT_WORDS as u64 * 8);
    let present = ((words.len() - HEADER_WORDS) / SLOT_WORDS) as u64;
    let makes_sense = |slots: &u64| slots.is_power_of_two() && (MAX_RECORD_SLOTS as u64..=MAX_SLOTS).contains(slots);
    let agreed = if said == usual || present == usual { usual } else { said };
    Some(agreed).filter(|agreed| makes_sense(agreed) && (*agreed == usual || *agreed == present))
}

/// The table of owners in a ring's header.
struct Owners {
    owners: Vec<Owner>,
    threads: Vec<(u64, u32)>,
    problems: Vec<Problem>,
}

impl Owners {
    fn in_header(words: &[u64], alive: bool) -> Owners {
        let entry = |index: u64| {
            let start = Owner::word_index(index);
            words.get(start..start + SLOT_WORDS).unwrap_or_default()
        };
        let decoded = |index: u64| Owner::decode(bytemuck::cast_slice(entry(index)));
        let known = (0..OWNERS).filter_map(|index| Some((decoded(index)?.thread.id, index)));
        let newest = known.max().map(|(_, index)| index);
        // Where the next owner goes. It may have been begun, and is then no owner yet, and none any more.
        let next = words.get(OWNER_COUNT_WORD).map_or(0, |count| count % OWNERS);
        let agree = newest.is_none_or(|newest| newest == next || (newest + 1) % OWNERS == next);
        let mut found = Owners { owners: Vec::new(), threads: Vec::new(), problems: Vec::new() };
        if !agree && !alive {
            found.problems.push(Problem::word(OWNER_COUNT_WORD, "the number of owners contradicts their table"));
        }
        let oldest = newest.map_or(next, |newest| (newest + 1) % OWNERS);
        for index in (oldest..oldest + OWNERS).map(|index| index % OWNERS) {
            let owner = decoded(index);
            let may_be_begun =
                if alive { index == next || index == (next + 1) % OWNERS } else { agree && index == next };
            match owner {
                Some(owner) => {
                    found.threads.push((owner.record_number, owner.thread.id));
                    found.owners.push(owner);
                }
                None if may_be_begun || entry(index).iter().all(|word| *word == 0) => {}
                None => {
                    let offset = Owner::word_index(index) as u64 * 8;
                    let bytes = SLOT_WORDS as u64 * 8;
                    found.problems.push(Problem { offset, bytes, what: "an owner's checksum is wrong" });
                    // From where on the ring was its own is not known, so neither is to where it was the one's before.
                    match found.threads.last_mut() {
                        Some((_, thread)) => *thread = 0,
                        None => found.threads.push((0, 0)),
                    }
                }
            }
        }
        // In a table that is right they are in order. The one that took over last is then the last of those with the same number.
        found.owners.sort_by_key(|owner| (owner.record_number, owner.thread.id));
        found.threads.sort_by_key(|(first, _)| *first);
        found
    }
}
