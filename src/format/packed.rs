//! Packed records: the slots of a block, sorted into columns and compressed. The feature `compress` reads and writes them.
//!
//! | offset | bytes | field |
//! |---|---|---|
//! | 0 | 4 | slots, at most 4096 |
//! | 4 | 4 | 0 |
//! | 8 | .. | the columns, a DEFLATE stream (RFC 1951) |
//!
//! The columns of `n` slots are `65 n` bytes: first the kind (the first byte) of each slot, in order. Then, kind by kind in ascending
//! order, what the slots of this kind hold. Of continuations that is their 64 bytes, one after the other. Of any other kind it is
//! eight columns, one for each word: of each slot the difference from the same word of the slot of this kind before (from 0 for the
//! first), modulo 2^64; zigzag (`d << 1 ^ d >> 63`, the second shift arithmetic), so that small differences of either sign have zeroes
//! above; and of all these numbers first the lowest bytes, then the next ones, up to the highest.
//!
//! Spans that are alike differ by little, so nearly all columns are zeroes, and what is left is mostly the low bytes of the ticks.

use crate::events::{Kind, SLOT_BYTES, SLOT_WORDS, Slot};
use bytemuck::Zeroable;

/// The most slots in a block of packed records.
pub const MAX_PACKED_SLOTS: usize = 4096;

/// Bytes before the compressed columns.
const HEADER_BYTES: usize = 8;
/// Bytes of a slot in the columns: its kind, and all of it.
const COLUMN_BYTES: usize = 1 + SLOT_BYTES;
/// Of 0 to 10. More costs several times the time and saves a tenth of the bytes: see docs/PERFORMANCE.md.
const LEVEL: u8 = 3;

/// The payload of a block of packed records. `None`: more slots than such a block may have.
pub fn pack(slots: &[Slot]) -> Option<Vec<u8>> {
    if slots.len() > MAX_PACKED_SLOTS {
        return None;
    }
    let mut columns: Vec<u8> = slots.iter().map(kind_of).collect();
    columns.reserve(slots.len() * SLOT_BYTES);
    for kind in kinds(&columns.clone()) {
        let of_kind: Vec<&Slot> = slots.iter().filter(|slot| kind_of(slot) == kind).collect();
        if kind == Kind::Continuation as u8 {
            of_kind.iter().for_each(|slot| columns.extend_from_slice(bytemuck::bytes_of(*slot)));
            continue;
        }
        for word in 0..SLOT_WORDS {
            let before = std::iter::once(0).chain(of_kind.iter().map(|slot| slot.0[word]));
            let differences =
                of_kind.iter().zip(before).map(|(slot, before)| zigzag(slot.0[word].wrapping_sub(before)));
            let differences: Vec<[u8; 8]> = differences.map(u64::to_le_bytes).collect();
            (0..8).for_each(|plane| columns.extend(differences.iter().map(|bytes| bytes[plane])));
        }
    }
    let mut payload = (slots.len() as u64).to_le_bytes().to_vec();
    payload.extend(miniz_oxide::deflate::compress_to_vec(&columns, LEVEL));
    Some(payload)
}

/// The slots in such a payload.
///
/// # Errors
/// What is wrong with it. No more memory is taken than the largest block needs, whatever the payload says.
pub fn unpack(payload: &[u8]) -> Result<Vec<Slot>, &'static str> {
    let slots = super::word_at(payload, 0).ok_or("the packed records are cut off")?;
    let slots = usize::try_from(slots).ok().filter(|slots| *slots <= MAX_PACKED_SLOTS);
    let slots = slots.ok_or("more packed records than a block may have")?;
    let columns = miniz_oxide::inflate::decompress_to_vec_with_limit(&payload[HEADER_BYTES..], slots * COLUMN_BYTES);
    let columns = columns.map_err(|_| "the packed records cannot be decompressed")?;
    if columns.len() != slots * COLUMN_BYTES {
        return Err("the packed records have another length than they say");
    }
    let (kind_of_slot, mut rest) = columns.split_at(slots);
    let mut unpacked = vec![Slot::zeroed(); slots];
    for kind in kinds(kind_of_slot) {
        let places: Vec<usize> = (0..slots).filter(|place| kind_of_slot[*place] == kind).collect();
        let (of_kind, others) = rest.split_at(places.len() * SLOT_BYTES);
        rest = others;
        if kind == Kind::Continuation as u8 {
            for (place, bytes) in places.iter().zip(of_kind.chunks_exact(SLOT_BYTES)) {
                bytemuck::bytes_of_mut(&mut unpacked[*place]).copy_from_slice(bytes);
            }
            continue;
        }
        for (word, column) in of_kind.chunks_exact(places.len() * 8).enumerate() {
            let mut value = 0u64;
            for (index, place) in places.iter().enumerate() {
                let bytes = std::array::from_fn(|plane| column[plane * places.len() + index]);
                value = value.wrapping_add(unzigzag(u64::from_le_bytes(bytes)));
                unpacked[*place].0[word] = value;
            }
        }
    }
    Ok(unpacked)
}

fn kind_of(slot: &Slot) -> u8 {
    slot.0[0] as u8
}

/// The kinds there are, in ascending order.
fn kinds(kind_of_slot: &[u8]) -> Vec<u8> {
    let mut there = [false; 256];
    kind_of_slot.iter().for_each(|kind| there[usize::from(*kind)] = true);
    (0..=255).filter(|kind| there[usize::from(*kind)]).collect()
}

fn zigzag(difference: u64) -> u64 {
    (difference << 1) ^ ((difference as i64 >> 63) as u64)
}

fn unzigzag(number: u64) -> u64 {
    (number >> 1) ^ (number & 1).wrapping_neg()
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn a_difference_of_either_sign_is_a_small_number() {
        assert_eq!([0u64, 1, 1u64.wrapping_neg(), 2].map(zigzag), [0, 2, 1, 4]);
    }

    proptest! {
        #[test]
        fn any_slots_come_back(words in proptest::collection::vec(any::<[u64; SLOT_WORDS]>(), 0..200), kinds in 0..256u64) {
            let slots: Vec<Slot> = words
                .into_iter()
                .map(|mut words| {
                    words[0] = (words[0] & !0xff) | (words[0] % (kinds + 1));
                    Slot(words)
                })
                .collect();
            prop_assert_eq!(unpack(&pack(&slots).unwrap()), Ok(slots));
        }

        #[test]
        fn any_bytes_are_slots_or_an_error(bytes in proptest::collection::vec(any::<u8>(), 0..300), slots in 0..100u64) {
            let mut payload = slots.to_le_bytes().to_vec();
            payload.extend(bytes);
            if let Ok(unpacked) = unpack(&payload) {
                prop_assert_eq!(unpacked.len() as u64, slots);
            }
        }

        #[test]
        fn any_numbers_zigzag_and_back(number: u64) {
            prop_assert_eq!(unzigzag(zigzag(number)), number);
        }
    }

    #[test]
    fn a_length_in_the_payload_is_not_believed() {
        let mut payload = pack(&[Slot::EMPTY; 10]).unwrap();
        for slots in [0, 9, 11, 4096, 4097, u64::MAX] {
            payload[..8].copy_from_slice(&slots.to_le_bytes());
            assert!(unpack(&payload).is_err(), "{slots}");
        }
        assert!(unpack(&[]).is_err());
        assert_eq!(pack(&[Slot::EMPTY; MAX_PACKED_SLOTS + 1]), None);
    }

    #[test]
    fn spans_that_are_alike_take_few_bytes() {
        let slot = |number: u64| {
            let (ticks, end) = (1_000_000_000 + number * 40 + number * number % 7, number % 2);
            let head = (18 + end) | (number << 32);
            Slot([head, ticks, number / 2 + 1, 0, 0x5555_0000_1000, 0x5555_0000_2000, 4, end * (ticks - 35)])
        };
        let slots: Vec<Slot> = (0..4096).map(slot).collect();
        let bytes = pack(&slots).unwrap().len();
        assert!(bytes < 2048 * 12, "{} bytes a span", bytes as f64 / 2048.0);
    }
}
