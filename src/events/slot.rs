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
///
/// ```
/// use spanring::events::{Head, Kind, SLOT_WORDS, Slot};
///
/// let mut words = [0; SLOT_WORDS];
/// words[0] = Head::record(Kind::Poll, None, 0).0;
/// assert_eq!(Slot(words).head().kind(), Some(Kind::Poll));
/// ```
pub const SLOT_WORDS: usize = 8;
/// Bytes in a slot.
///
/// ```
/// use spanring::events::SLOT_BYTES;
///
/// // So many slots are in a ring by default.
/// assert_eq!((512 << 10) / SLOT_BYTES, 8192);
/// ```
pub const SLOT_BYTES: usize = 64;
/// Bytes of text in a continuation slot.
///
/// ```
/// use spanring::events::TEXT_BYTES;
///
/// let name = "GET /users/000000007";
/// let slots = 1 + name.len().div_ceil(TEXT_BYTES);
/// assert_eq!(slots, 2, "of the record of a span with this name, made at run time");
/// ```
pub const TEXT_BYTES: usize = 56;
/// The most slots that one record takes.
///
/// ```
/// use spanring::events::{Head, MAX_RECORD_SLOTS};
///
/// /// As of any slot, damaged ones too.
/// fn is_possible(head: Head) -> bool {
///     (1..=MAX_RECORD_SLOTS).contains(&head.slots())
/// }
/// assert!(!is_possible(Head(0)));
/// ```
pub const MAX_RECORD_SLOTS: usize = 8;
/// The longest run-time name that is kept whole, in bytes. A longer one is cut at a character boundary, and marked.
///
/// ```
/// # if cfg!(not(feature = "enable")) { return; }
/// use spanring::events::MAX_RUN_TIME_NAME;
/// use spanring::prelude::*;
/// use spanring::testing;
///
/// let name = "x".repeat(1000);
/// let recorded = testing::record(|| {
///     span_scope_named_dyn!(&name);
/// });
/// assert!(recorded.tree().starts_with(&name[..MAX_RUN_TIME_NAME]) && !recorded.tree().contains(&name));
/// ```
pub const MAX_RUN_TIME_NAME: usize = (MAX_RECORD_SLOTS - 1) * TEXT_BYTES;

/// One slot as plain words, in native byte order (on the supported targets: little-endian).
///
/// ```
/// use spanring::events::{Head, Kind, Outcome, Slot};
///
/// // What is written can be read back; a slot may hold anything.
/// let slot = Slot([Head::record(Kind::EndAsync, Some(Outcome::Completed), 2).0, 1, 2, 3, 4, 5, 6, 7]);
/// assert_eq!((slot.head().kind(), slot.head().depth()), (Some(Kind::EndAsync), 2));
/// ```
#[derive(Clone, Copy, Debug, PartialEq, Eq, Pod, Zeroable)]
#[repr(transparent)]
pub struct Slot(pub [u64; SLOT_WORDS]);

impl Slot {
    /// A slot that was never written.
    ///
    /// ```
    /// use spanring::events::Slot;
    ///
    /// assert_eq!(Slot::EMPTY.head().kind_number(), 0);
    /// ```
    pub const EMPTY: Slot = Slot([0; SLOT_WORDS]);

    /// The first word.
    ///
    /// ```
    /// use spanring::events::{Kind, Slot};
    ///
    /// fn begins(slots: &[Slot]) -> usize {
    ///     slots.iter().filter(|slot| slot.head().kind() == Some(Kind::BeginAsync)).count()
    /// }
    /// assert_eq!(begins(&[Slot::EMPTY, Slot([Kind::BeginAsync as u64; 8])]), 1);
    /// ```
    pub fn head(&self) -> Head {
        Head(self.0[0])
    }

    /// The 56 bytes of text of a continuation slot.
    ///
    /// ```
    /// use spanring::events::{Head, Slot};
    ///
    /// let mut slot = Slot::EMPTY;
    /// slot.0[0] = Head::continuation(1, 2).0;
    /// slot.0[1] = u64::from_le_bytes(*b"GET /use");
    /// slot.0[2] = u64::from_le_bytes(*b"rs\0\0\0\0\0\0");
    /// assert!(slot.text().starts_with(b"GET /users\0"));
    /// ```
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
///
/// ```
/// use spanring::events::{Head, Kind};
///
/// let head = Head::record(Kind::BeginThreadNamed, None, 3).with_run_time_name().with_slots(2).with_record_number(70);
/// assert_eq!((head.kind(), head.depth()), (Some(Kind::BeginThreadNamed), 3));
/// assert_eq!((head.slots(), head.record_number_low()), (2, 70));
/// ```
#[derive(Clone, Copy, PartialEq, Eq, Pod, Zeroable)]
#[repr(transparent)]
pub struct Head(pub u64);

impl Head {
    pub(super) const RUN_TIME_NAME: u64 = 1 << 14;
    pub(super) const CALLER: u64 = 1 << 15;

    /// The head of a record's first slot.
    ///
    /// ```
    /// use spanring::events::{Head, Kind, Outcome};
    ///
    /// let head = Head::record(Kind::EndThread, Some(Outcome::Failed), 1);
    /// assert_eq!((head.outcome(), head.slots()), (Some(Outcome::Failed), 1));
    /// ```
    #[inline(always)]
    pub const fn record(kind: Kind, outcome: Option<Outcome>, depth: u16) -> Head {
        let outcome = match outcome {
            Some(outcome) => outcome as u64,
            None => 0,
        };
        Head(kind as u64 | outcome << 8 | 1 << 10 | (depth as u64) << 16)
    }

    /// Of a begin record's head: the head of the same span's end record.
    ///
    /// ```
    /// use spanring::events::{Head, Kind, Outcome};
    ///
    /// let begin = Head::record(Kind::BeginAsyncNamed, None, 1);
    /// let end = begin.ended(Outcome::Cancelled);
    /// assert_eq!(end, Head::record(Kind::EndAsyncNamed, Some(Outcome::Cancelled), 1));
    /// ```
    #[inline(always)]
    pub const fn ended(self, outcome: Outcome) -> Head {
        Head(self.0 | Kind::END as u64 | (outcome as u64) << 8)
    }

    /// The head of a record's `index`-th slot, for `index` from 1 to `slots - 1`.
    ///
    /// ```
    /// use spanring::events::{Head, Kind};
    ///
    /// let second = Head::continuation(1, 3).with_record_number(70);
    /// assert_eq!((second.kind(), second.index(), second.slots()), (Some(Kind::Continuation), 1, 3));
    /// ```
    #[inline(always)]
    pub const fn continuation(index: usize, slots: usize) -> Head {
        Head(Kind::Continuation as u64 | (index as u64) << 16).with_slots(slots)
    }

    /// The same with another slot count.
    ///
    /// ```
    /// use spanring::events::{Head, Kind};
    ///
    /// assert_eq!(Head::record(Kind::BeginAsync, None, 0).with_slots(3).slots(), 3);
    /// ```
    #[inline(always)]
    pub const fn with_slots(self, slots: usize) -> Head {
        debug_assert!(slots >= 1 && slots <= MAX_RECORD_SLOTS);
        Head(self.0 & !(0xf << 10) | (slots as u64) << 10)
    }

    /// The same with the mark that the name is run-time text.
    ///
    /// ```
    /// use spanring::events::{Head, Kind};
    ///
    /// let head = Head::record(Kind::BeginAsyncNamed, None, 0);
    /// assert!(!head.has_run_time_name() && head.with_run_time_name().has_run_time_name());
    /// ```
    #[inline(always)]
    pub const fn with_run_time_name(self) -> Head {
        Head(self.0 | Self::RUN_TIME_NAME)
    }

    /// The same with the mark that the location is a caller's `core::panic::Location`.
    ///
    /// ```
    /// use spanring::events::{Head, Kind};
    ///
    /// let head = Head::record(Kind::BeginAsyncNamed, None, 0);
    /// assert!(!head.has_caller_location() && head.with_caller_location().has_caller_location());
    /// ```
    #[inline(always)]
    pub const fn with_caller_location(self) -> Head {
        Head(self.0 | Self::CALLER)
    }

    /// The same in record `number` of its ring.
    ///
    /// ```
    /// use spanring::events::{Head, Kind};
    ///
    /// let head = Head::record(Kind::BeginAsync, None, 0).with_record_number(0x1_0000_0007);
    /// assert_eq!(head.record_number_low(), 7);
    /// ```
    #[inline(always)]
    pub const fn with_record_number(self, number: u64) -> Head {
        Head(self.0 & 0xffff_ffff | number << 32)
    }

    /// The kind's number, known or not. 0: the slot was never written.
    ///
    /// ```
    /// use spanring::events::{Head, Kind};
    ///
    /// let of_a_later_version = Head(0x2f);
    /// assert_eq!((of_a_later_version.kind(), of_a_later_version.kind_number()), (None, 0x2f));
    /// assert_eq!(Head::record(Kind::Counter, None, 0).kind_number(), 0x30);
    /// ```
    pub const fn kind_number(self) -> u8 {
        self.0 as u8
    }

    /// The kind, if this version knows it.
    ///
    /// ```
    /// use spanring::events::{Head, Kind};
    ///
    /// assert_eq!(Head(0x38).kind(), Some(Kind::Poll));
    /// assert_eq!(Head(0x2f).kind(), None, "a later version may know it");
    /// ```
    pub const fn kind(self) -> Option<Kind> {
        Kind::from_u8(self.kind_number())
    }

    /// The outcome of an end record.
    ///
    /// ```
    /// use spanring::events::{Head, Kind, Outcome};
    ///
    /// assert_eq!(Head::record(Kind::EndAsync, Some(Outcome::Panicked), 0).outcome(), Some(Outcome::Panicked));
    /// assert_eq!(Head::record(Kind::BeginAsync, None, 0).outcome(), None);
    /// ```
    pub const fn outcome(self) -> Option<Outcome> {
        if Kind::is_number_of_end(self.kind_number()) { Some(Outcome::from_bits((self.0 >> 8) as u8)) } else { None }
    }

    /// Whether the bits of the outcome are 0, as in anything but an end record.
    ///
    /// ```
    /// use spanring::events::{Head, Kind, Outcome};
    ///
    /// assert!(Head::record(Kind::BeginAsync, None, 0).has_no_outcome());
    /// assert!(!Head::record(Kind::EndAsync, Some(Outcome::Completed), 0).has_no_outcome());
    /// ```
    pub const fn has_no_outcome(self) -> bool {
        self.0 >> 8 & 3 == 0
    }

    /// Slots of this record as written; 0 is possible only in a damaged slot.
    ///
    /// ```
    /// use spanring::events::{Head, Kind};
    ///
    /// assert_eq!(Head::record(Kind::Poll, None, 0).slots(), 1);
    /// ```
    pub const fn slots(self) -> usize {
        (self.0 >> 10 & 0xf) as usize
    }

    /// Whether the name is run-time text.
    ///
    /// ```
    /// use spanring::events::{Head, Slot};
    ///
    /// /// Of the slots of one record.
    /// fn text(record: &[Slot]) -> Vec<u8> {
    ///     match record.split_first() {
    ///         Some((first, others)) if first.head().has_run_time_name() => {
    ///             others.iter().flat_map(Slot::text).copied().collect()
    ///         }
    ///         _ => Vec::new(),
    ///     }
    /// }
    /// assert!(text(&[Slot::EMPTY]).is_empty());
    /// # let first = Slot([Head(0).with_run_time_name().0; 8]);
    /// # assert_eq!(text(&[first, Slot::EMPTY]).len(), 56);
    /// ```
    pub const fn has_run_time_name(self) -> bool {
        self.0 & Self::RUN_TIME_NAME != 0
    }

    /// Whether the location is a caller's `core::panic::Location`.
    ///
    /// ```
    /// use spanring::events::{Head, Kind};
    ///
    /// // As of a span that a function made, such as `spanring::spans::span_async_named`.
    /// let head = Head::record(Kind::BeginAsyncNamed, None, 0).with_caller_location();
    /// assert!(head.has_caller_location());
    /// ```
    pub const fn has_caller_location(self) -> bool {
        self.0 & Self::CALLER != 0
    }

    /// The depth of a span record.
    ///
    /// ```
    /// use spanring::events::{Head, Kind};
    ///
    /// assert_eq!(Head::record(Kind::BeginAsync, None, 17).depth(), 17);
    /// ```
    pub const fn depth(self) -> u16 {
        (self.0 >> 16) as u16
    }

    /// The index of this slot in its record: 0 for the first.
    ///
    /// ```
    /// use spanring::events::{Head, Kind};
    ///
    /// assert_eq!(Head::record(Kind::BeginAsync, None, 17).index(), 0);
    /// assert_eq!(Head::continuation(2, 3).index(), 2);
    /// ```
    pub const fn index(self) -> usize {
        match self.kind() {
            Some(Kind::Continuation) => (self.0 >> 16 & 0xffff) as usize,
            _ => 0,
        }
    }

    /// The low half of the record number.
    ///
    /// ```
    /// use spanring::events::{Head, Kind, extend_record_number};
    ///
    /// let low = Head::record(Kind::BeginAsync, None, 0).with_record_number(0x1_0000_0007).record_number_low();
    /// assert_eq!(extend_record_number(low, 0x1_0000_0000), 0x1_0000_0007);
    /// ```
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
///
/// ```
/// use spanring::events::extend_record_number;
///
/// // Numbers go on rising when their lower half begins again.
/// assert_eq!(extend_record_number(2, 0xffff_fff0), 0x1_0000_0002);
/// assert_eq!(extend_record_number(0xffff_fff0, 0x1_0000_0002), 0xffff_fff0);
/// ```
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
