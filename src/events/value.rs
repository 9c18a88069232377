//! Attributes and counters: a key and a value, in one slot and the slots of its text.
//!
//! | word | attribute, counter |
//! |---|---|
//! | 0 | [`Head`]: kind, slot count, thread spans around it, record number |
//! | 1 | ticks |
//! | 2 | attribute: the span, or the instant, that has it; counter: the current span, 0 for none |
//! | 3 | the value; of a static text its address, of a run-time text its full length in bytes |
//! | 4 | address of the key |
//! | 5 | length of the key in bytes (low half), [`ValueType`] (high half) |
//! | 6 | length of the text in bytes, as kept; 0 for what is no text |
//! | 7 | 0 |
//!
//! Key and static text are defined like the static names of spans. Run-time text is in continuation slots, as that of names is, and cut
//! at the same length.
//!
//! An attribute that was given when its span was made stands right behind the begin, which says how many there are, and has its ticks;
//! those of an instant stand behind the instant likewise. Any other attribute of a span comes before its end, but perhaps in another
//! thread's records. A later value of the same key takes the place of an earlier one.

use super::slot::{Head, MAX_RECORD_SLOTS, SLOT_BYTES, Slot, TEXT_BYTES};
use bytemuck::{Pod, Zeroable};
use std::mem::{offset_of, size_of};

/// What the value of an attribute or a counter is.
///
/// | number | type | word 3 |
/// |---|---|---|
/// | 1 | truth | 0 or 1 |
/// | 2 | signed integer | two's complement |
/// | 3 | unsigned integer | itself |
/// | 4 | floating point | IEEE 754, 64 bits |
/// | 5 | static text | its address |
/// | 6 | run-time text | its full length |
///
/// ```
/// use spanring::events::ValueType;
///
/// assert_eq!(ValueType::from_u32(4), Some(ValueType::F64));
/// ```
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[repr(u32)]
pub enum ValueType {
    /// True or false.
    Bool = 1,
    /// A signed integer.
    I64 = 2,
    /// An unsigned integer.
    U64 = 3,
    /// A floating-point number.
    F64 = 4,
    /// Text that lives for ever: its address and length are recorded.
    StaticText = 5,
    /// Text that goes with the record.
    Text = 6,
}

impl ValueType {
    /// The type with this number, or `None` for one that this version does not know.
    ///
    /// ```
    /// use spanring::events::ValueType;
    ///
    /// assert_eq!(ValueType::from_u32(ValueType::Text as u32), Some(ValueType::Text));
    /// assert_eq!(ValueType::from_u32(7), None);
    /// ```
    pub const fn from_u32(number: u32) -> Option<ValueType> {
        match number {
            1 => Some(ValueType::Bool),
            2 => Some(ValueType::I64),
            3 => Some(ValueType::U64),
            4 => Some(ValueType::F64),
            5 => Some(ValueType::StaticText),
            6 => Some(ValueType::Text),
            _ => None,
        }
    }
}

/// The fields of an attribute or a counter: one slot.
///
/// ```
/// use spanring::events::{Head, Kind, Slot, ValueFields, ValueType};
///
/// let mut rows = ValueFields::from_slot(&Slot::EMPTY);
/// rows.head = Head::record(Kind::Attribute, None, 0);
/// (rows.span_id, rows.value, rows.value_type) = (7, 512, ValueType::U64 as u32);
///
/// let read = ValueFields::from_slot(&rows.to_slot());
/// assert_eq!((read.span_id, read.value_type(), read.value), (7, Some(ValueType::U64), 512));
/// ```
#[derive(Clone, Copy, Debug, PartialEq, Eq, Pod, Zeroable)]
#[repr(C)]
pub struct ValueFields {
    /// Kind, slot count, thread spans around it, record number.
    pub head: Head,
    /// When the record was written, in ticks of the recording's clock.
    pub ticks: u64,
    /// Attribute: the span or instant that has it. Counter: the current span, 0 for none.
    pub span_id: u64,
    /// The value; address of a static text; full length in bytes of a run-time text.
    pub value: u64,
    /// Address of the key.
    pub key_address: u64,
    /// Length of the key in bytes.
    pub key_length: u32,
    /// The number of a [`ValueType`].
    pub value_type: u32,
    /// Length of the text in bytes, as kept.
    pub text_length: u64,
    /// 0.
    pub reserved: u64,
}

const _: () = {
    assert!(size_of::<ValueFields>() == SLOT_BYTES);
    assert!(offset_of!(ValueFields, head) == 0);
    assert!(offset_of!(ValueFields, ticks) == 8);
    assert!(offset_of!(ValueFields, span_id) == 16);
    assert!(offset_of!(ValueFields, value) == 24);
    assert!(offset_of!(ValueFields, key_address) == 32);
    assert!(offset_of!(ValueFields, key_length) == 40);
    assert!(offset_of!(ValueFields, value_type) == 44);
    assert!(offset_of!(ValueFields, text_length) == 48);
    assert!(offset_of!(ValueFields, reserved) == 56);
};

impl ValueFields {
    /// The record as the words of a slot.
    ///
    /// ```
    /// use spanring::events::{Slot, ValueFields};
    ///
    /// let mut fields = ValueFields::from_slot(&Slot::EMPTY);
    /// (fields.span_id, fields.value) = (7, 512);
    /// assert_eq!(fields.to_slot(), Slot([0, 0, 7, 512, 0, 0, 0, 0]));
    /// ```
    pub fn to_slot(self) -> Slot {
        bytemuck::cast(self)
    }

    /// The record in a slot, whatever its kind.
    ///
    /// ```
    /// use spanring::events::{Kind, Slot, ValueFields};
    ///
    /// /// Of a counter, what was sampled; as it stands there, whatever its type.
    /// fn values(slots: &[Slot]) -> Vec<u64> {
    ///     let counters = slots.iter().filter(|slot| slot.head().kind() == Some(Kind::Counter));
    ///     counters.map(|slot| ValueFields::from_slot(slot).value).collect()
    /// }
    /// assert_eq!(values(&[Slot([Kind::Counter as u64, 1, 2, 3, 4, 5, 6, 0]), Slot::EMPTY]), [3]);
    /// ```
    pub fn from_slot(slot: &Slot) -> ValueFields {
        bytemuck::cast(*slot)
    }

    /// What the value is, if this version knows it.
    ///
    /// ```
    /// use spanring::events::{Slot, ValueFields, ValueType};
    ///
    /// let mut fields = ValueFields::from_slot(&Slot::EMPTY);
    /// assert_eq!(fields.value_type(), None);
    /// fields.value_type = ValueType::Bool as u32;
    /// assert_eq!(fields.value_type(), Some(ValueType::Bool));
    /// ```
    pub fn value_type(&self) -> Option<ValueType> {
        ValueType::from_u32(self.value_type)
    }

    /// Whether what the record says twice is the same both times. It has so many slots.
    pub(super) fn is_consistent(&self, slots: usize) -> bool {
        let ValueFields { head, value, text_length, .. } = *self;
        let has_text = head.has_run_time_name();
        let of_its_type = match self.value_type() {
            Some(ValueType::Bool) => value <= 1 && text_length == 0,
            Some(ValueType::I64 | ValueType::U64 | ValueType::F64) => text_length == 0,
            Some(ValueType::StaticText) => true,
            Some(ValueType::Text) => {
                let is_cut = value > text_length && slots == MAX_RECORD_SLOTS;
                let is_there = slots as u64 == 1 + text_length.div_ceil(TEXT_BYTES as u64);
                return has_text && is_there && (value == text_length || is_cut) && self.has_plain_head();
            }
            // A type of a later version may use its words as it likes.
            None => return self.has_plain_head(),
        };
        of_its_type && slots == 1 && !has_text && self.has_plain_head()
    }

    fn has_plain_head(&self) -> bool {
        self.head.has_no_outcome() && !self.head.has_caller_location()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::events::Kind;

    fn fields(value_type: ValueType, value: u64, text_length: u64) -> ValueFields {
        ValueFields {
            head: Head::record(Kind::Attribute, None, 0),
            ticks: 1,
            span_id: 2,
            value,
            key_address: 4,
            key_length: 5,
            value_type: value_type as u32,
            text_length,
            reserved: 0,
        }
    }

    #[test]
    fn word_order_in_a_slot_is_the_documented_one() {
        let Slot(words) = fields(ValueType::StaticText, 3, 6).to_slot();
        assert_eq!(words[1..], [1, 2, 3, 4, 5 | 5 << 32, 6, 0]);
    }

    #[test]
    fn a_value_that_contradicts_itself_is_none() {
        assert!(fields(ValueType::Bool, 1, 0).is_consistent(1));
        assert!(!fields(ValueType::Bool, 2, 0).is_consistent(1), "neither true nor false");
        assert!(!fields(ValueType::U64, 2, 1).is_consistent(1), "a number with text");
        assert!(!fields(ValueType::U64, 2, 0).is_consistent(2), "a number with slots of text");
        assert!(fields(ValueType::StaticText, 2, 400).is_consistent(1));
        let text = |whole, kept| {
            let fields = fields(ValueType::Text, whole, kept);
            ValueFields { head: fields.head.with_run_time_name(), ..fields }
        };
        assert!(text(57, 57).is_consistent(3));
        assert!(!text(57, 57).is_consistent(2), "text without its end");
        assert!(!text(58, 57).is_consistent(3), "text that was cut although there was room");
        assert!(text(1000, 392).is_consistent(8));
        assert!(!fields(ValueType::Text, 0, 0).is_consistent(1), "text that is not marked");
    }
}
