//! Ring files: what a thread had recorded and nobody had flushed, read while it goes on, or after its death.

use super::error::ReadError;
use super::segment::{header_in, read_first_words, read_words};
use crate::events::{Head, Kind, MAX_RECORD_SLOTS, SLOT_WORDS, Slot, extend_record_number};
use crate::format::ring_file::{
    CAPACITY_WORD, DISCIPLINE_WORD, DROP_MARK_WORD, DROPPED_WORD, FLUSHED_POSITION_WORD, FLUSHED_RECORD_WORD,
    OWNER_COUNT_WORD, OWNERS, Owner, RECENT_RECORD_WORD, RING_HEADER_BYTES, TAIL_WORD,
};
use crate::format::{FileKind, FormatError, SessionId};
use std::ops::Range;
use std::path::{Path, PathBuf};

const HEADER_WORDS: usize = RING_HEADER_BYTES / 8;
/// Slots of the largest ring that a recorder makes.
const MAX_SLOTS: u64 = 1 << 24;

/// How often to copy a ring that comes round meanwhile.
const TRIES: usize = 10;

/// A copy of a ring file.
pub(super) struct RingCopy {
    pub(super) path: PathBuf,
    /// Number of the ring in its session.
    pub(super) number: u32,
    /// Those that are known, in order.
    pub(super) owners: Vec<Owner>,
    /// Number of the record after the last dropped one; no further than the count of dropped records allows.
    pub(super) drop_mark: u64,
    /// Records dropped since the ring began.
    pub(super) dropped: u64,
    /// Whether the oldest slots are overwritten.
    flight: bool,
    words: Vec<u64>,
    /// Slots that are there; fewer than the capacity if the file is cut off.
    present: u64,
    /// Positions whose slots may be read.
    positions: Range<u64>,
    capacity: u64,
    /// About the number of the last record.
    near: u64,
}

/// Slots of one owner, in order.
pub(super) struct OwnedRun {
    pub(super) thread: u32,
    pub(super) slots: Vec<Slot>,
    /// Offset of the first slot in the file.
    pub(super) offset: u64,
    /// About the number of the first record.
    pub(super) near: u64,
    /// Number of the owner's first record; 0 if it is not known.
    pub(super) first_record: u64,
}

impl RingCopy {
    /// Copies a ring file of this session. `alive`: its writer may be going on.
    pub(super) fn take(path: &Path, session: SessionId, alive: bool) -> Result<RingCopy, ReadError> {
        let mut copy = Self::take_once(path, session, alive)?;
        for _ in 1..TRIES {
            // The ring came round while it was copied, and nothing in the copy can be relied upon.
            if !alive || copy.positions.end == 0 || !copy.positions.is_empty() || !copy.flight {
                break;
            }
            copy = Self::take_once(path, session, alive)?;
        }
        Ok(copy)
    }

    fn take_once(path: &Path, session: SessionId, alive: bool) -> Result<RingCopy, ReadError> {
        let damaged = |offset: usize, what| ReadError::Format {
            path: path.to_owned(),
            offset: offset as u64,
            source: FormatError::Damaged { what },
        };
        let words = read_words(path)?;
        let bytes: &[u8] = bytemuck::cast_slice(&words);
        let header = header_in(session, path, bytes)?;
        if header.kind != FileKind::Ring || words.len() <= HEADER_WORDS {
            return Err(damaged(12, "not a whole ring file"));
        }
        let capacity = words[CAPACITY_WORD];
        let present = ((words.len() - HEADER_WORDS) / SLOT_WORDS) as u64;
        if !capacity.is_power_of_two() || capacity > MAX_SLOTS || capacity < MAX_RECORD_SLOTS as u64 {
            return Err(damaged(CAPACITY_WORD * 8, "the number of slots makes no sense"));
        }
        // The header is read again after the slots: what the writer may have overwritten in between is not taken.
        let later = if alive { read_first_words(path, HEADER_WORDS)? } else { Vec::new() };
        let word = |index: usize| later.get(index).copied().unwrap_or(words[index]);
        let tail = words[TAIL_WORD];
        let flight = words[DISCIPLINE_WORD] == 1;
        let start = if flight {
            word(TAIL_WORD).saturating_add(MAX_RECORD_SLOTS as u64).saturating_sub(capacity)
        } else {
            word(FLUSHED_POSITION_WORD).max(tail.saturating_sub(capacity))
        };
        let start = start.min(tail);
        let owners = owners(&words);
        let dropped = words[DROPPED_WORD];
        let mut copy = RingCopy {
            path: path.to_owned(),
            number: header.number as u32,
            owners,
            drop_mark: words[DROP_MARK_WORD],
            dropped,
            flight,
            present,
            positions: start..tail,
            capacity,
            near: words[RECENT_RECORD_WORD].max(words[FLUSHED_RECORD_WORD]),
            words,
        };
        copy.near = copy.owners.iter().map(|owner| owner.record_number).fold(copy.near, u64::max);
        if flight {
            copy.leave_out_rest_of_record();
        }
        Ok(copy)
    }

    /// Slots that should be read and are not there, because the file is cut off.
    pub(super) fn cut_off(&self) -> u64 {
        if self.present >= self.capacity {
            return 0;
        }
        self.positions.clone().filter(|position| !self.is_present(*position)).count() as u64
    }

    /// Bytes that are there.
    pub(super) fn bytes(&self) -> u64 {
        (self.words.len() * 8) as u64
    }

    fn is_present(&self, position: u64) -> bool {
        position & (self.capacity - 1) < self.present
    }

    /// The oldest slots may be the end of a record whose beginning was overwritten: its number tells that it is missing.
    fn leave_out_rest_of_record(&mut self) {
        let continues = |position: &u64| self.slot(*position).head().index() > 0;
        self.positions.start += self.positions.clone().take(MAX_RECORD_SLOTS - 1).take_while(continues).count() as u64;
    }

    /// The slots that are there, in order, cut where the ring changed hands or slots are missing.
    pub(super) fn runs(&self) -> Vec<OwnedRun> {
        let mut runs: Vec<OwnedRun> = Vec::new();
        let mut position = self.positions.start;
        let mut near = self.near_of_first();
        while position < self.positions.end {
            if !self.is_present(position) {
                position += 1;
                continue;
            }
            let next = self.owners.iter().find(|owner| owner.position > position);
            let end = next.map_or(self.positions.end, |owner| owner.position.min(self.positions.end));
            let owner = self.owners.iter().rev().find(|owner| owner.position <= position);
            let present = (position..end).take_while(|position| self.is_present(*position));
            let slots: Vec<Slot> = present.map(|position| self.slot(position)).collect();
            let end = position + slots.len() as u64;
            let run_near = near;
            if let Some(last) = slots.iter().rev().find(|slot| slot.head().index() == 0) {
                near = extend_record_number(last.head().record_number_low(), near);
            }
            runs.push(OwnedRun {
                thread: owner.map_or(0, |owner| owner.thread.id),
                offset: (self.index(position) * 8) as u64,
                near: run_near,
                first_record: owner.map_or(0, |owner| owner.record_number),
                slots,
            });
            position = end;
        }
        runs
    }

    /// Calls `each` for the owners before record `until` whose successor took over there or earlier: their thread, and the number
    /// of their successor's first record.
    pub(super) fn hand_over(&self, until: u64, mut each: impl FnMut(u32, u64)) {
        for pair in self.owners.windows(2).take_while(|pair| pair[1].record_number <= until) {
            each(pair[0].thread.id, pair[1].record_number);
        }
    }

    /// The thread that recorded up to record `until`; 0 if it is not known.
    pub(super) fn owner_of(&self, until: u64) -> u32 {
        let owner = self.owners.iter().rev().find(|owner| owner.record_number < until);
        owner.map_or(0, |owner| owner.thread.id)
    }

    /// The number of the first record that is there, extended backwards from what is known about the last.
    fn near_of_first(&self) -> u64 {
        let heads = || self.positions.clone().map(|position| self.slot(position).head());
        let is_record = |head: &Head| head.kind_number() != 0 && head.kind() != Some(Kind::Continuation);
        let number = |head: Head| extend_record_number(head.record_number_low(), self.near);
        heads().find(is_record).map_or(self.near, number)
    }

    fn slot(&self, position: u64) -> Slot {
        let start = self.index(position);
        let words = self.words.get(start..start + SLOT_WORDS);
        words.and_then(|words| words.try_into().ok()).map_or(Slot::EMPTY, Slot)
    }

    fn index(&self, position: u64) -> usize {
        HEADER_WORDS + (position & (self.capacity - 1)) as usize * SLOT_WORDS
    }
}

fn owners(words: &[u64]) -> Vec<Owner> {
    let count = words[OWNER_COUNT_WORD];
    let numbers = count.saturating_sub(OWNERS)..count;
    let mut owners: Vec<Owner> = numbers
        .filter_map(|number| {
            let start = Owner::word_index(number);
            Owner::decode(bytemuck::cast_slice(words.get(start..start + SLOT_WORDS)?))
        })
        .collect();
    owners.sort_by_key(|owner| (owner.position, owner.record_number));
    owners
}
