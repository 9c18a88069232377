//! The slot: 64 bytes, one cache line, eight little-endian words; and its first word, which every slot has.
//!
//! | word | span record | continuation |
//! |---|---|---|
//! | 0 | [`Head`]: kind, outcome, slot count, depth, record number | [`Head`]: kind, slot count, index, record number |
//! | 1 | ticks | text |
//! | 2 | span id | text |
//! | 3 | parent span id | text |
//! | 4 | address of the `SpanLocation` or `SpanMetadata` | text |
//! | 5 | address of the name; for a run-time name its full length in bytes | text |
//! | 6 | length of the name in bytes (low half); end: polls, begin: attributes that follow (high half) | text |
//! | 7 | end: ticks of the begin; begin of an async span: ticks of its creation, 0 if not measured; other begins: 0 | text |

use super::kind::{Kind, Outcome};
use bytemuck::{Pod, Zeroable};

/// Words in a slot.
pub const SLOT_WORDS: usize = 8;
/// Bytes in a slot.
pub const SLOT_BYTES: usize = 64;
/// Bytes of text in a continuation slot.
pub const TEXT_BYTES: usize = 56;
/// The most slots that one record takes.
pub const MAX_RECORD_SLOTS: usize = 8;
/// The longest run-time name that is kept whole, in bytes. A longer one is cut at a character boundary, and marked.
pub const MAX_RUN_TIME_NAME: usize = (MAX_RECORD_SLOTS - 1) * TEXT_BYTES;

/// One slot as plain words, in native byte order (on the supported targets: little-endian).
#[derive(Clone, Copy, Debug, PartialEq, Eq, Pod, Zeroable)]
#[repr(transparent)]
pub struct Slot(pub [u64; SLOT_WORDS]);

impl Slot {
    /// A slot that was never written.
    pub const EMPTY: Slot = Slot([0; SLOT_WORDS]);

    /// The first word.
    pub fn head(&self) -> Head {
        Head(self.0[0])
    }

    /// The 56 bytes of text of a continuation slot.
    pub fn text(&self) -> &[u8] {
        &bytemuck::bytes_of(&self.0)[8..]
    }
}

/// The first word of a slot.
///
/// | bits | meaning |
/// |---|---|
/// | 0..8 | [`Kind`] |
/// | 8..10 | [`Outcome`] of an end record: 0 failed, 1 completed, 2 cancelled, 3 panicked; 0 in any other record |
/// | 10..14 | slots of this record, 1 to [`MAX_RECORD_SLOTS`] |
/// | 14 | the name, or the value, is run-time text, in the continuation slots that follow |
/// | 15 | word 4 is the address of a `core::panic::Location`: there is no target and no module path |
/// | 16..32 | span record: depth; continuation: its index in the record, from 1; instant, attribute and counter: thread spans around it |
/// | 32..64 | record number in its ring, low half |
#[derive(Clone, Copy, PartialEq, Eq, Pod, Zeroable)]
#[repr(transparent)]
pub struct Head(pub u64);

impl Head {
    pub(super) const RUN_TIME_NAME: u64 = 1 << 14;
    pub(super) const CALLER: u64 = 1 << 15;

    /// The head of a record's first slot.
    #[inline(always)]
    pub const fn record(kind: Kind, outcome: Option<Outcome>, depth: u16) -> Head {
        let outcome = match outcome {
            Some(outcome) => outcome as u64,
            None => 0,
        };
        Head(kind as u64 | outcome << 8 | 1 << 10 | (depth as u64) << 16)
    }

    /// Of a begin record's head: the head of the same span's end record.
    #[inline(always)]
    pub const fn ended(self, outcome: Outcome) -> Head {
        Head(self.0 | Kind::END as u64 | (outcome as u64) << 8)
    }

    /// The head of a record's `index`-th slot, for `index` from 1 to `slots - 1`.
    #[inline(always)]
    pub const fn continuation(index: usize, slots: usize) -> Head {
        Head(Kind::Continuation as u64 | (index as u64) << 16).with_slots(slots)
    }

    /// The same with another slot count.
    #[inline(always)]
    pub const fn with_slots(self, slots: usize) -> Head {
        debug_assert!(slots >= 1 && slots <= MAX_RECORD_SLOTS);
        Head(self.0 & !(0xf << 10) | (slots as u64) << 10)
    }

    /// The same with the mark that the name is run-time text.
    #[inline(always)]
    pub const fn with_run_time_name(self) -> Head {
        Head(self.0 | Self::RUN_TIME_NAME)
    }

    /// The same with the mark that the location is a caller's `core::panic::Location`.
    #[inline(always)]
    pub const fn with_caller_location(self) -> Head {
        Head(self.0 | Self::CALLER)
    }

    /// The same in record `number` of its ring.
    #[inline(always)]
    pub const fn with_record_number(self, number: u64) -> Head {
        Head(self.0 & 0xffff_ffff | number << 32)
    }

    /// The kind's number, known or not. 0: the slot was never written.
    pub const fn kind_number(self) -> u8 {
        self.0 as u8
    }

    /// The kind, if this version knows it.
    pub const fn kind(self) -> Option<Kind> {
        Kind::from_u8(self.kind_number())
    }

    /// The outcome of an end record.
    pub const fn outcome(self) -> Option<Outcome> {
        if Kind::is_number_of_end(self.kind_number()) { Some(Outcome::from_bits((self.0 >> 8) as u8)) } else { None }
    }

    /// Whether the bits of the outcome are 0, as in anything but an end record.
    pub const fn has_no_outcome(self) -> bool {
        self.0 >> 8 & 3 == 0
    }

    /// Slots of this record as written; 0 is possible only in a damaged slot.
    pub const fn slots(self) -> usize {
        (self.0 >> 10 & 0xf) as usize
    }

    /// Whether the name is run-time text.
    pub const fn has_run_time_name(self) -> bool {
        self.0 & Self::RUN_TIME_NAME != 0
    }

    /// Whether the location is a caller's `core::panic::Location`.
    pub const fn has_caller_location(self) -> bool {
        self.0 & Self::CALLER != 0
    }

    /// The depth of a span record.
    pub const fn depth(self) -> u16 {
        (self.0 >> 16) as u16
    }

    /// The index of this slot in its record: 0 for the first.
    pub const fn index(self) -> usize {
        match self.kind() {
            Some(Kind::Continuation) => (self.0 >> 16 & 0xffff) as usize,
            _ => 0,
        }
    }

    /// The low half of the record number.
    pub const fn record_number_low(self) -> u32 {
        (self.0 >> 32) as u32
    }
}

impl std::fmt::Debug for Head {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Head")
            .field("kind", &self.kind())
            .field("outcome", &self.outcome())
            .field("slots", &self.slots())
            .field("depth_or_index", &self.depth())
            .field("record_number_low", &self.record_number_low())
            .finish()
    }
}

/// Extends the low half of a record number to the whole number nearest to `near`.
pub const fn extend_record_number(low: u32, near: u64) -> u64 {
    let distance = low.wrapping_sub(near as u32) as i32;
    near.wrapping_add_signed(distance as i64)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_head_keeps_every_part_apart() {
        let head = Head::record(Kind::EndAsyncNamed, Some(Outcome::Panicked), 513)
            .with_slots(7)
            .with_run_time_name()
            .with_caller_location()
            .with_record_number(0x1_2345_6789);
        assert_eq!(head.kind(), Some(Kind::EndAsyncNamed));
        assert_eq!(head.outcome(), Some(Outcome::Panicked));
        assert_eq!((head.slots(), head.depth(), head.index()), (7, 513, 0));
        assert!(head.has_run_time_name() && head.has_caller_location());
        assert_eq!(head.record_number_low(), 0x2345_6789);
        let next = Head::continuation(3, 7).with_record_number(9);
        assert_eq!((next.kind(), next.index(), next.slots()), (Some(Kind::Continuation), 3, 7));
        assert!(!next.has_run_time_name() && next.outcome().is_none());
    }

    #[test]
    fn record_numbers_extend_to_the_nearest_on_either_side_of_a_wrap() {
        assert_eq!(extend_record_number(5, 3), 5);
        assert_eq!(extend_record_number(2, 0xffff_fff0), 0x1_0000_0002);
        assert_eq!(extend_record_number(0xffff_fff0, 0x1_0000_0002), 0xffff_fff0);
        assert_eq!(extend_record_number(7, 0x5_0000_0007), 0x5_0000_0007);
    }
}
