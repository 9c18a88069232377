//! Fields of messages as bytes, for those of which there are millions: a number is put together in registers, and written at once, with
//! more bytes than it needs where that spares looking how many those are.

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

    /// Adds a number, in [`number_length`] bytes. It takes room for 10.
    #[inline(always)]
    pub(super) fn number(&mut self, number: u64) {
        match number_length(number) {
            1 => self.put([number as u8]),
            SHORT => self.put(padded::<SHORT>(number)),
            _ => self.put(padded::<10>(number)),
        }
    }

    /// Replaces bytes that were added before.
    ///
    /// # Panics
    /// If there is no room for them.
    #[inline(always)]
    pub(super) fn replace<const M: usize>(&mut self, at: usize, bytes: [u8; M]) {
        self.bytes[at..at + M].copy_from_slice(&bytes);
    }

    /// How many bytes were added.
    #[inline(always)]
    pub(super) fn len(&self) -> usize {
        self.length
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

/// A number that is not small has so many bytes, unless it is very large.
const SHORT: usize = 5;

/// How many bytes a number has. Some more than it needs is less work: there are but three cases.
#[inline(always)]
pub(super) fn number_length(number: u64) -> usize {
    match number {
        0..0x80 => 1,
        _ if fits::<SHORT>(number) => SHORT,
        _ => 10,
    }
}

/// Whether a number can be written in `M` bytes.
#[inline(always)]
pub(super) const fn fits<const M: usize>(number: u64) -> bool {
    M > 9 || number >> (7 * M) == 0
}

/// A number in `M` bytes, though it may need less: so it takes no branch, and what follows stands at a place that is known beforehand.
#[inline(always)]
pub(super) fn padded<const M: usize>(number: u64) -> [u8; M] {
    debug_assert!(fits::<M>(number), "{number:#x} in {M} bytes");
    let mut bytes = [0; M];
    let low = (spread(number) | 0x8080_8080_8080_8080).to_le_bytes();
    bytes[..M.min(8)].copy_from_slice(&low[..M.min(8)]);
    if M > 8 {
        bytes[8] = (number >> 56) as u8 | 0x80;
    }
    if M > 9 {
        bytes[9] = (number >> 63) as u8;
    }
    // All but the last say that another follows.
    bytes[M - 1] &= 0x7f;
    bytes
}

/// The lowest 56 bits of a number as Protocol Buffers have it: seven of them in each byte, the lowest first.
#[inline(always)]
fn spread(number: u64) -> u64 {
    // From two parts of 28 bits to four of 14 and eight of 7.
    let number = number & 0x0fff_ffff | (number & 0x00ff_ffff_f000_0000) << 4;
    let number = number & 0x0000_3fff_0000_3fff | (number & 0x0fff_c000_0fff_c000) << 2;
    number & 0x007f_007f_007f_007f | (number & 0x3f80_3f80_3f80_3f80) << 1
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;
    use prost::encoding::decode_varint;

    fn read(number: u64, length: usize, add: impl FnOnce(&mut Room<'_, 10>)) {
        let mut wire = Wire::default();
        wire.at_once(add);
        let mut bytes = wire.bytes();
        assert_eq!((bytes.len(), decode_varint(&mut bytes), bytes.len()), (length, Ok(number), 0), "{number:#x}");
    }

    fn read_all(number: u64) {
        read(number, number_length(number), |room| room.number(number));
        read(number, 10, |room| room.put(padded::<10>(number)));
        read(number >> 1, 9, |room| room.put(padded::<9>(number >> 1)));
        read(number >> 43, 3, |room| room.put(padded::<3>(number >> 43)));
        read(number >> 50, 2, |room| room.put(padded::<2>(number >> 50)));
    }

    #[test]
    fn prost_reads_numbers_as_they_were_wherever_they_get_longer() {
        for bit in 0..u64::BITS {
            [1 << bit, (1 << bit) - 1, (1 << bit) + 1, u64::MAX >> bit].into_iter().for_each(read_all);
        }
    }

    proptest! {
        #[test]
        fn prost_reads_any_number_as_it_was(number: u64, shift in 0..64u32) {
            read_all(number >> shift);
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
        let expected = [vec![7; 3], vec![1, 2, 0xac, 0x82, 0x80, 0x80, 0], vec![9; 40], vec![6, 7], vec![5]].concat();
        assert_eq!((wire.bytes(), wire.len()), (expected.as_slice(), expected.len()));
        wire.clear();
        wire.put(&[1]);
        assert_eq!(wire.bytes(), [1]);
    }
}
