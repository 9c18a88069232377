//! The eight span events, the poll of a span, and the instant: one record layout, seen through its kind.

use super::kind::{Kind, Outcome};
use super::slot::{Head, SLOT_BYTES, Slot};
use super::string_id::StringId;
use bytemuck::{Pod, Zeroable};
use std::mem::{offset_of, size_of};

/// The fields of a span record: one slot (see [`Slot`] for the words).
///
/// ```
/// use spanring::events::{Head, Kind, Outcome, SpanFields, Slot};
///
/// let mut fields = SpanFields::from_slot(&Slot::EMPTY);
/// fields.head = Head::record(Kind::EndAsync, Some(Outcome::Failed), 2);
/// fields.polls = 3;
///
/// let read = SpanFields::from_slot(&fields.to_slot());
/// assert_eq!((read.outcome(), read.depth(), read.polls), (Some(Outcome::Failed), 2, 3));
/// assert_eq!(read.name(), None, "its site has the name");
/// ```
#[derive(Clone, Copy, Debug, PartialEq, Eq, Pod, Zeroable)]
#[repr(C)]
pub struct SpanFields {
    /// Kind, outcome, slot count, depth, record number.
    pub head: Head,
    /// When the record was written, in ticks of the recording's clock.
    pub ticks: u64,
    /// The span, unique in its process.
    pub span_id: u64,
    /// The span in which this one was created; 0 for none.
    pub parent_span_id: u64,
    /// Address of the `SpanLocation` (named) or `SpanMetadata` (static) in the recording process. Identity only.
    pub site: u64,
    /// Address of a static name; full length in bytes of a run-time name; 0 for a static site.
    pub name_address: u64,
    /// Length of the name in bytes, as kept.
    pub name_length: u32,
    /// End of an async span: how often it was polled, saturating. Poll: its number among those, from 1. Begin and instant: how many
    /// attributes stand right behind it.
    pub polls: u32,
    /// End: ticks of the begin, 0 if unknown. Begin of an async span: ticks of its creation, 0 if not measured. Other begins: 0.
    /// Poll: ticks of its own begin.
    pub begin_ticks: u64,
}

const _: () = {
    assert!(size_of::<SpanFields>() == SLOT_BYTES && size_of::<Slot>() == SLOT_BYTES);
    assert!(offset_of!(SpanFields, head) == 0);
    assert!(offset_of!(SpanFields, ticks) == 8);
    assert!(offset_of!(SpanFields, span_id) == 16);
    assert!(offset_of!(SpanFields, parent_span_id) == 24);
    assert!(offset_of!(SpanFields, site) == 32);
    assert!(offset_of!(SpanFields, name_address) == 40);
    assert!(offset_of!(SpanFields, name_length) == 48);
    assert!(offset_of!(SpanFields, polls) == 52);
    assert!(offset_of!(SpanFields, begin_ticks) == 56);
};

impl SpanFields {
    /// The record as the words of a slot.
    ///
    /// ```
    /// use spanring::events::{Slot, SpanFields};
    ///
    /// let mut fields = SpanFields::from_slot(&Slot::EMPTY);
    /// fields.span_id = 7;
    /// assert_eq!(fields.to_slot(), Slot([0, 0, 7, 0, 0, 0, 0, 0]));
    /// ```
    #[inline(always)]
    pub fn to_slot(self) -> Slot {
        bytemuck::cast(self)
    }

    /// The record in a slot, whatever its kind.
    ///
    /// ```
    /// use spanring::events::{Slot, SpanFields};
    ///
    /// let fields = SpanFields::from_slot(&Slot([0, 1, 2, 3, 4, 5, 7 << 32 | 6, 8]));
    /// assert_eq!((fields.ticks, fields.span_id, fields.parent_span_id), (1, 2, 3));
    /// assert_eq!((fields.name_length, fields.polls, fields.begin_ticks), (6, 7, 8));
    /// ```
    pub fn from_slot(slot: &Slot) -> SpanFields {
        bytemuck::cast(*slot)
    }

    /// How the span ended; `None` in a begin record.
    ///
    /// ```
    /// use spanring::events::{Head, Kind, Outcome, Slot, SpanFields};
    ///
    /// let mut fields = SpanFields::from_slot(&Slot::EMPTY);
    /// fields.head = Head::record(Kind::EndThread, Some(Outcome::Completed), 0);
    /// assert_eq!(fields.outcome(), Some(Outcome::Completed));
    /// ```
    pub fn outcome(&self) -> Option<Outcome> {
        self.head.outcome()
    }

    /// Depth of the span below its root, saturating at 65535.
    ///
    /// ```
    /// use spanring::events::{Head, Kind, Slot, SpanFields};
    ///
    /// let mut fields = SpanFields::from_slot(&Slot::EMPTY);
    /// fields.head = Head::record(Kind::BeginThread, None, 2);
    /// assert_eq!(fields.depth(), 2);
    /// ```
    pub fn depth(&self) -> u16 {
        self.head.depth()
    }

    /// The name's address and length, in a named record whose name is static.
    ///
    /// ```
    /// use spanring::events::{Head, Kind, Slot, SpanFields};
    /// use spanring::string_id::StringId;
    ///
    /// let mut fields = SpanFields::from_slot(&Slot::EMPTY);
    /// (fields.head, fields.name_address, fields.name_length) = (Head::record(Kind::BeginAsyncNamed, None, 0), 4096, 4);
    /// assert_eq!(fields.name(), Some(StringId { ptr: 4096, len: 4 }));
    /// fields.head = fields.head.with_run_time_name();
    /// assert_eq!(fields.name(), None, "its text is in the slots that follow");
    /// ```
    pub fn name(&self) -> Option<StringId> {
        let named = self.head.kind().is_some_and(Kind::is_named);
        (named && !self.head.has_run_time_name())
            .then_some(StringId { ptr: self.name_address, len: u64::from(self.name_length) })
    }
}

/// A span event: [`SpanFields`] whose kind is known to be `KIND`. The fields are read through `Deref`.
///
/// ```
/// use spanring::events::{Head, Kind, Slot, SpanFields};
/// use spanring::spans::{BeginThreadSpanEvent, EndThreadSpanEvent};
///
/// let mut fields = SpanFields::from_slot(&Slot::EMPTY);
/// fields.head = Head::record(Kind::BeginThread, None, 0);
/// fields.span_id = 7;
/// let slot = fields.to_slot();
///
/// let begin = BeginThreadSpanEvent::from_slot(&slot).expect("it is of this kind");
/// assert_eq!(begin.span_id, 7);
/// assert!(EndThreadSpanEvent::from_slot(&slot).is_none());
/// ```
#[derive(Clone, Copy, Debug, PartialEq, Eq, Zeroable, Pod)]
#[repr(transparent)]
pub struct SpanEvent<const KIND: u8>(SpanFields);

impl<const KIND: u8> SpanEvent<KIND> {
    /// The event in a slot; `None` if the slot holds another kind.
    ///
    /// ```
    /// use spanring::events::{Head, Kind, Slot};
    /// use spanring::spans::{BeginAsyncSpanEvent, EndAsyncSpanEvent};
    ///
    /// let slot = Slot([Head::record(Kind::BeginAsync, None, 0).0, 1, 2, 3, 4, 0, 0, 0]);
    /// assert_eq!(BeginAsyncSpanEvent::from_slot(&slot).map(|begin| begin.span_id), Some(2));
    /// assert!(EndAsyncSpanEvent::from_slot(&slot).is_none());
    /// ```
    pub fn from_slot(slot: &Slot) -> Option<Self> {
        (slot.head().kind_number() == KIND).then(|| SpanEvent(SpanFields::from_slot(slot)))
    }
}

impl<const KIND: u8> std::ops::Deref for SpanEvent<KIND> {
    type Target = SpanFields;

    fn deref(&self) -> &SpanFields {
        &self.0
    }
}

/// An async span at a static site was polled for the first time.
///
/// ```
/// use spanring::events::{Kind, Slot};
/// use spanring::spans::BeginAsyncSpanEvent;
///
/// fn begun(slots: &[Slot]) -> Vec<u64> {
///     slots.iter().filter_map(BeginAsyncSpanEvent::from_slot).map(|event| event.span_id).collect()
/// }
/// # use spanring::events::{Head, SpanFields};
/// # let mut fields = SpanFields::from_slot(&Slot::EMPTY);
/// # (fields.head, fields.span_id) = (Head::record(Kind::BeginAsync, None, 0), 7);
/// # let slot = fields.to_slot();
/// assert_eq!(begun(&[slot, Slot::EMPTY]), [7]);
/// ```
pub type BeginAsyncSpanEvent = SpanEvent<{ Kind::BeginAsync as u8 }>;
/// An async span at a static site ended.
///
/// ```
/// use spanring::events::{Kind, Outcome, Slot};
/// use spanring::spans::EndAsyncSpanEvent;
///
/// fn cancelled(slots: &[Slot]) -> usize {
///     let ends = slots.iter().filter_map(EndAsyncSpanEvent::from_slot);
///     ends.filter(|end| end.outcome() == Some(Outcome::Cancelled)).count()
/// }
/// # use spanring::events::{Head, SpanFields};
/// # let mut fields = SpanFields::from_slot(&Slot::EMPTY);
/// # fields.head = Head::record(Kind::EndAsync, Some(Outcome::Cancelled), 0);
/// # let slot = fields.to_slot();
/// assert_eq!(cancelled(&[slot, Slot::EMPTY]), 1);
/// ```
pub type EndAsyncSpanEvent = SpanEvent<{ Kind::EndAsync as u8 }>;
/// A named async span was polled for the first time.
///
/// ```
/// use spanring::events::{Kind, Slot};
/// use spanring::spans::BeginAsyncNamedSpanEvent;
/// use spanring::string_id::StringId;
///
/// fn names(slots: &[Slot]) -> Vec<StringId> {
///     slots.iter().filter_map(BeginAsyncNamedSpanEvent::from_slot).filter_map(|begin| begin.name()).collect()
/// }
/// # use spanring::events::{Head, SpanFields};
/// # let mut fields = SpanFields::from_slot(&Slot::EMPTY);
/// # (fields.head, fields.name_address, fields.name_length) = (Head::record(Kind::BeginAsyncNamed, None, 0), 4096, 4);
/// # let slot = fields.to_slot();
/// assert_eq!(names(&[slot, Slot::EMPTY]), [StringId { ptr: 4096, len: 4 }]);
/// ```
pub type BeginAsyncNamedSpanEvent = SpanEvent<{ Kind::BeginAsyncNamed as u8 }>;
/// A named async span ended.
///
/// ```
/// use spanring::events::{Kind, Slot};
/// use spanring::spans::EndAsyncNamedSpanEvent;
///
/// /// In ticks of the recording's clock, of spans whose begin is known.
/// fn durations(slots: &[Slot]) -> Vec<u64> {
///     let ends = slots.iter().filter_map(EndAsyncNamedSpanEvent::from_slot);
///     ends.filter(|end| end.begin_ticks != 0).map(|end| end.ticks - end.begin_ticks).collect()
/// }
/// # use spanring::events::{Head, Outcome, SpanFields};
/// # let mut fields = SpanFields::from_slot(&Slot::EMPTY);
/// # fields.head = Head::record(Kind::EndAsyncNamed, Some(Outcome::Completed), 0);
/// # (fields.begin_ticks, fields.ticks) = (10, 35);
/// # let slot = fields.to_slot();
/// assert_eq!(durations(&[slot, Slot::EMPTY]), [25]);
/// ```
pub type EndAsyncNamedSpanEvent = SpanEvent<{ Kind::EndAsyncNamed as u8 }>;
/// A thread span at a static site began.
///
/// ```
/// use spanring::events::{Kind, Slot};
/// use spanring::spans::BeginThreadSpanEvent;
///
/// /// How deep scopes were nested.
/// fn deepest(slots: &[Slot]) -> Option<u16> {
///     slots.iter().filter_map(BeginThreadSpanEvent::from_slot).map(|begin| begin.depth()).max()
/// }
/// # use spanring::events::{Head, SpanFields};
/// # let mut fields = SpanFields::from_slot(&Slot::EMPTY);
/// # fields.head = Head::record(Kind::BeginThread, None, 2);
/// # let slot = fields.to_slot();
/// assert_eq!(deepest(&[slot, Slot::EMPTY]), Some(2));
/// ```
pub type BeginThreadSpanEvent = SpanEvent<{ Kind::BeginThread as u8 }>;
/// A thread span at a static site ended.
///
/// ```
/// use spanring::events::{Kind, Slot};
/// use spanring::spans::EndThreadSpanEvent;
///
/// /// The sites, by their addresses in the process that recorded.
/// fn sites(slots: &[Slot]) -> Vec<u64> {
///     slots.iter().filter_map(EndThreadSpanEvent::from_slot).map(|end| end.site).collect()
/// }
/// # use spanring::events::{Head, Outcome, SpanFields};
/// # let mut fields = SpanFields::from_slot(&Slot::EMPTY);
/// # (fields.head, fields.site) = (Head::record(Kind::EndThread, Some(Outcome::Completed), 0), 4096);
/// # let slot = fields.to_slot();
/// assert_eq!(sites(&[slot, Slot::EMPTY]), [4096]);
/// ```
pub type EndThreadSpanEvent = SpanEvent<{ Kind::EndThread as u8 }>;
/// A named thread span began.
///
/// ```
/// use spanring::events::{Kind, Slot};
/// use spanring::spans::BeginThreadNamedSpanEvent;
///
/// fn begun_in(parent: u64, slots: &[Slot]) -> usize {
///     let begins = slots.iter().filter_map(BeginThreadNamedSpanEvent::from_slot);
///     begins.filter(|begin| begin.parent_span_id == parent).count()
/// }
/// # use spanring::events::{Head, SpanFields};
/// # let mut fields = SpanFields::from_slot(&Slot::EMPTY);
/// # (fields.head, fields.parent_span_id) = (Head::record(Kind::BeginThreadNamed, None, 0), 7);
/// # let slot = fields.to_slot();
/// assert_eq!(begun_in(7, &[slot, Slot::EMPTY]), 1);
/// ```
pub type BeginThreadNamedSpanEvent = SpanEvent<{ Kind::BeginThreadNamed as u8 }>;
/// A named thread span ended.
///
/// ```
/// use spanring::events::{Kind, Outcome, Slot};
/// use spanring::spans::EndThreadNamedSpanEvent;
///
/// fn panicked(slots: &[Slot]) -> bool {
///     let mut ends = slots.iter().filter_map(EndThreadNamedSpanEvent::from_slot);
///     ends.any(|end| end.outcome() == Some(Outcome::Panicked))
/// }
/// # use spanring::events::{Head, SpanFields};
/// # let mut fields = SpanFields::from_slot(&Slot::EMPTY);
/// # fields.head = Head::record(Kind::EndThreadNamed, Some(Outcome::Panicked), 0);
/// # let slot = fields.to_slot();
/// assert!(panicked(&[slot, Slot::EMPTY]));
/// ```
pub type EndThreadNamedSpanEvent = SpanEvent<{ Kind::EndThreadNamed as u8 }>;
/// The future of an async span was polled once.
///
/// ```
/// use spanring::events::{Kind, PollEvent, Slot};
///
/// /// In ticks of the recording's clock.
/// fn busy(slots: &[Slot]) -> u64 {
///     slots.iter().filter_map(PollEvent::from_slot).map(|poll| poll.ticks - poll.begin_ticks).sum()
/// }
/// # use spanring::events::{Head, SpanFields};
/// # let mut fields = SpanFields::from_slot(&Slot::EMPTY);
/// # fields.head = Head::record(Kind::Poll, None, 0);
/// # (fields.begin_ticks, fields.ticks) = (10, 35);
/// # let slot = fields.to_slot();
/// assert_eq!(busy(&[slot, slot, Slot::EMPTY]), 50);
/// ```
pub type PollEvent = SpanEvent<{ Kind::Poll as u8 }>;
/// Something happened.
///
/// ```
/// use spanring::events::{InstantEvent, Kind, Slot};
///
/// fn happened_in(span: u64, slots: &[Slot]) -> usize {
///     slots.iter().filter_map(InstantEvent::from_slot).filter(|instant| instant.parent_span_id == span).count()
/// }
/// # use spanring::events::{Head, SpanFields};
/// # let mut fields = SpanFields::from_slot(&Slot::EMPTY);
/// # (fields.head, fields.parent_span_id) = (Head::record(Kind::Instant, None, 0), 7);
/// # let slot = fields.to_slot();
/// assert_eq!(happened_in(7, &[slot, Slot::EMPTY]), 1);
/// ```
pub type InstantEvent = SpanEvent<{ Kind::Instant as u8 }>;

#[cfg(test)]
mod tests {
    use super::*;

    fn fields(kind: Kind) -> SpanFields {
        SpanFields {
            head: Head::record(kind, None, 2),
            ticks: 11,
            span_id: 12,
            parent_span_id: 13,
            site: 14,
            name_address: 15,
            name_length: 16,
            polls: 17,
            begin_ticks: 18,
        }
    }

    #[test]
    fn a_slot_is_seen_only_through_its_own_kind() {
        let slot = fields(Kind::BeginAsyncNamed).to_slot();
        let event = BeginAsyncNamedSpanEvent::from_slot(&slot).expect("the kind fits");
        assert_eq!((event.ticks, event.span_id, event.parent_span_id, event.site), (11, 12, 13, 14));
        assert_eq!(event.name(), Some(StringId { ptr: 15, len: 16 }));
        assert_eq!((event.depth(), event.outcome()), (2, None));
        assert!(EndAsyncNamedSpanEvent::from_slot(&slot).is_none());
        assert!(BeginAsyncSpanEvent::from_slot(&slot).is_none());
    }

    #[test]
    fn a_static_or_run_time_record_has_no_string_id() {
        assert_eq!(fields(Kind::EndAsync).name(), None);
        let mut run_time = fields(Kind::EndThreadNamed);
        run_time.head = run_time.head.with_run_time_name();
        assert_eq!(run_time.name(), None);
    }

    #[test]
    fn word_order_in_a_slot_is_the_documented_one() {
        let Slot(words) = fields(Kind::EndAsync).to_slot();
        assert_eq!(words[1..6], [11, 12, 13, 14, 15]);
        assert_eq!(words[6], 17 << 32 | 16);
        assert_eq!(words[7], 18);
    }
}
