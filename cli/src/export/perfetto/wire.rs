//! Fields of messages as bytes, for those of which there are millions: a number is put together in registers, and written at once.

use prost::encoding::WireType;

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
        let end = self.length + bytes.len();
        if end > self.bytes.len() {
            self.grow(end);
        }
        self.bytes[self.length..end].copy_from_slice(bytes);
        self.length = end;
    }

    /// Adds what is put into a room for `N` bytes.
    #[inline(always)]
    pub(super) fn at_once<const N: usize>(&mut self, add: impl FnOnce(&mut Room<'_, N>)) {
        let end = self.length + N;
        if end > self.bytes.len() {
            self.grow(end);
        }
        let bytes = self.bytes[self.length..].first_chunk_mut().expect("there is room by now");
        let mut room = Room { bytes, length: 0 };
        add(&mut room);
        self.length += room.length;
    }

    /// Adds what somebody else encodes.
    pub(super) fn append(&mut self, encode: impl FnOnce(&mut Vec<u8>)) {
        self.bytes.truncate(self.length);
        encode(&mut self.bytes);
        self.length = self.bytes.len();
    }

    #[cold]
    fn grow(&mut self, end: usize) {
        let length = end.next_power_of_two().max(self.bytes.capacity());
        self.bytes.resize(length, 0);
    }
}

/// Room for `N` bytes, which is filled from the start. How far is known without a look at memory.
pub(super) struct Room<'a, const N: usize> {
    bytes: &'a mut [u8; N],
    length: usize,
}

impl<const N: usize> Room<'_, N> {
    /// Adds so many bytes, of more that are written.
    ///
    /// # Panics
    /// If there is no room for all of those.
    #[inline(always)]
    fn write<const M: usize>(&mut self, bytes: &[u8; M], length: usize) {
        self.bytes[self.length..self.length + M].copy_from_slice(bytes);
        self.length += length;
    }

    /// Adds those bytes.
    ///
    /// # Panics
    /// If there is no room for them; and so with the others.
    #[inline(always)]
    pub(super) fn put<const M: usize>(&mut self, bytes: [u8; M]) {
        self.write(&bytes, M);
    }

    /// Adds a number. It takes room for 10 bytes.
    #[inline(always)]
    pub(super) fn number(&mut self, number: u64) {
        let length = varint_length(number);
        let (low, high) = varint(number, length);
        self.write(&low.to_le_bytes(), length);
        if length > 8 {
            self.bytes[self.length - length + 8] = high as u8;
            self.bytes[self.length - length + 9] = (high >> 8) as u8;
        }
    }

    /// Adds bytes that recur.
    #[inline(always)]
    pub(super) fn piece<const M: usize>(&mut self, piece: &Piece<M>) {
        self.write(&piece.bytes, usize::from(piece.length));
    }
}

/// At most `N` bytes that recur. All `N` are copied, though the last ones may be none of its own and will be written over: to copy a number
/// of bytes that is always the same takes no call and no branch.
#[derive(Clone, Copy, Debug)]
pub(super) struct Piece<const N: usize> {
    bytes: [u8; N],
    length: u8,
}

impl<const N: usize> Piece<N> {
    /// Nothing.
    pub(super) const NONE: Piece<N> = Piece { bytes: [0; N], length: 0 };

    /// Those bytes.
    ///
    /// # Panics
    /// If they are more than `N`.
    pub(super) fn new(bytes: &[u8]) -> Piece<N> {
        let mut piece = Piece { length: bytes.len() as u8, ..Piece::NONE };
        piece.bytes[..bytes.len()].copy_from_slice(bytes);
        piece
    }

    pub(super) fn is_empty(&self) -> bool {
        self.length == 0
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

/// A number of which [`varint_length`] is `length` as Protocol Buffers have it, seven bits in a byte, the lowest first: eight bytes, and what
/// stands behind them.
#[inline(always)]
fn varint(number: u64, length: usize) -> (u64, u64) {
    const MORE: u64 = 0x8080_8080_8080_8080;
    // From two parts of 28 bits to four of 14 and eight of 7.
    let low = number & 0x0fff_ffff | (number & 0x00ff_ffff_f000_0000) << 4;
    let low = low & 0x0000_3fff_0000_3fff | (low & 0x0fff_c000_0fff_c000) << 2;
    let low = low & 0x007f_007f_007f_007f | (low & 0x3f80_3f80_3f80_3f80) << 1;
    if length > 8 {
        let high = number >> 56;
        return (low | MORE, if length > 9 { high & 0x7f | 0x80 | (high & 0x80) << 1 } else { high });
    }
    (low | MORE & ((1 << (8 * (length - 1))) - 1), 0)
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;
    use prost::encoding::{encode_varint, encoded_len_varint};

    fn same(number: u64) {
        let mut expected = Vec::new();
        encode_varint(number, &mut expected);
        let mut wire = Wire::default();
        wire.at_once::<10>(|room| room.number(number));
        assert_eq!(wire.bytes(), expected, "{number:#x}");
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
        wire.at_once::<32>(|room| {
            room.put([1, 2]);
            room.number(300);
        });
        wire.append(|bytes| bytes.extend([9; 40]));
        wire.at_once::<16>(|room| room.piece(&Piece::<16>::new(&[6, 7])));
        wire.at_once::<10>(|room| room.number(5));
        let expected = [vec![7; 3], vec![1, 2, 0xac, 0x02], vec![9; 40], vec![6, 7], vec![5]].concat();
        assert_eq!((wire.bytes(), wire.len()), (expected.as_slice(), expected.len()));
        wire.clear();
        wire.put(&[1]);
        assert_eq!(wire.bytes(), [1]);
    }
}
