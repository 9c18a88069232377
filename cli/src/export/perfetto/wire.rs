//! Fields of messages as bytes, for those of which there are millions: a number is put together in registers, and written at once.

use prost::encoding::WireType;

/// The bytes of a number and of what stands before it, which fit into so many.
const AT_ONCE: usize = 16;

/// Bytes in the making, in memory that is used again.
#[derive(Debug, Default)]
pub(super) struct Wire {
    /// Those after the first `length` are there to be written over.
    bytes: Vec<u8>,
    length: usize,
}

impl Wire {
    pub(super) fn with_capacity(bytes: usize) -> Wire {
        Wire { bytes: Vec::with_capacity(bytes), length: 0 }
    }

    pub(super) fn len(&self) -> usize {
        self.length
    }

    pub(super) fn bytes(&self) -> &[u8] {
        &self.bytes[..self.length]
    }

    pub(super) fn clear(&mut self) {
        self.length = 0;
    }

    /// Adds bytes.
    #[inline]
    pub(super) fn put(&mut self, bytes: &[u8]) {
        self.room(bytes.len()).copy_from_slice(bytes);
        self.length += bytes.len();
    }

    /// Adds up to five bytes, the lowest of `before` first, and a number behind them.
    #[inline(always)]
    pub(super) fn number(&mut self, before: u64, bytes_before: usize, number: u64) {
        let (varint, bytes) = varint(number);
        let all = u128::from(before) | varint << (8 * bytes_before);
        self.room(AT_ONCE).copy_from_slice(&all.to_le_bytes());
        self.length += bytes_before + bytes;
    }

    /// Adds what somebody else encodes.
    pub(super) fn append(&mut self, encode: impl FnOnce(&mut Vec<u8>)) {
        self.bytes.truncate(self.length);
        encode(&mut self.bytes);
        self.length = self.bytes.len();
    }

    /// Where the next so many bytes are.
    #[inline(always)]
    fn room(&mut self, bytes: usize) -> &mut [u8] {
        let end = self.length + bytes;
        if end > self.bytes.len() {
            self.grow(end);
        }
        &mut self.bytes[self.length..end]
    }

    #[cold]
    fn grow(&mut self, end: usize) {
        let length = end.next_power_of_two().max(self.bytes.capacity());
        self.bytes.resize(length, 0);
    }
}

/// What stands before a field whose number is less than 16: one byte.
pub(super) const fn key(field: u8, wire_type: WireType) -> u8 {
    field << 3 | wire_type as u8
}

/// How many bytes [`varint`] has.
#[inline]
pub(super) fn varint_length(number: u64) -> usize {
    // Nine sixty-fourths are one seventh, for numbers as small as these, and rounded as needed.
    let bits = u64::BITS - (number | 1).leading_zeros();
    ((bits * 9 + 64) / 64) as usize
}

/// A number as Protocol Buffers have it, seven bits in a byte, the lowest first; and how many bytes that are.
#[inline(always)]
pub(super) fn varint(number: u64) -> (u128, usize) {
    const MORE: u128 = 0x80_8080_8080_8080_8080;
    if number < 0x80 {
        return (u128::from(number), 1);
    }
    // From two parts of 28 bits to four of 14 and eight of 7.
    let low = number & 0x0fff_ffff | (number & 0x00ff_ffff_f000_0000) << 4;
    let low = low & 0x0000_3fff_0000_3fff | (low & 0x0fff_c000_0fff_c000) << 2;
    let low = low & 0x007f_007f_007f_007f | (low & 0x3f80_3f80_3f80_3f80) << 1;
    let high = number >> 56;
    let high = high & 0x7f | (high & 0x80) << 1;
    let length = varint_length(number);
    let more = MORE & ((1 << (8 * (length - 1))) - 1);
    (u128::from(low) | u128::from(high) << 64 | more, length)
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;
    use prost::encoding::{encode_varint, encoded_len_varint};

    fn same(number: u64) {
        let mut expected = Vec::new();
        encode_varint(number, &mut expected);
        let (bytes, length) = varint(number);
        assert_eq!(&bytes.to_le_bytes()[..length], expected, "{number:#x}");
        assert!(bytes >> (8 * length) == 0, "nothing behind {number:#x}");
        assert_eq!(varint_length(number), encoded_len_varint(number), "{number:#x}");
    }

    #[test]
    fn numbers_are_as_prost_writes_them_wherever_they_get_longer() {
        for bit in 0..u64::BITS {
            [1 << bit, (1 << bit) - 1, (1 << bit) + 1, u64::MAX >> bit].into_iter().for_each(same);
        }
    }

    proptest! {
        #[test]
        fn any_number_is_as_prost_writes_it(number: u64, shift in 0..64u32) {
            same(number >> shift);
        }
    }

    #[test]
    fn what_is_added_stands_one_after_the_other() {
        let mut wire = Wire::default();
        wire.put(&[7; 3]);
        wire.number(0x0201, 2, 300);
        wire.append(|bytes| bytes.extend([9; 40]));
        wire.number(0, 0, 5);
        let expected = [vec![7; 3], vec![1, 2, 0xac, 0x02], vec![9; 40], vec![5]].concat();
        assert_eq!((wire.bytes(), wire.len()), (expected.as_slice(), expected.len()));
        wire.clear();
        wire.put(&[1]);
        assert_eq!(wire.bytes(), [1]);
    }
}
