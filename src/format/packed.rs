//! Packed records: the slots of a block, sorted into columns and compressed. The feature `compress` reads and writes them.
//!
//! | offset | bytes | field |
//! |---|---|---|
//! | 0 | 4 | slots, at most 4096 |
//! | 4 | 4 | 1: planes of zeroes are left out; 0: they are not |
//! | 8 | .. | the columns, a DEFLATE stream (RFC 1951) |
//!
//! The columns of `n` slots begin with the kind (the first byte) of each slot, in order. Then, kind by kind in ascending order, comes
//! what the slots of this kind hold. That is eight columns, one for each word: of each slot the difference from the same word of the
//! slot of this kind before (from 0 for the first), modulo 2^64; zigzag (`d << 1 ^ d >> 63`, the second shift arithmetic), so that small
//! differences of either sign have zeroes above; and of all these numbers first the lowest bytes, a *plane*, then the next ones, up to the
//! highest. Text, which is words 1 to 7 of continuations, stands instead as it is behind the column of word 0, slot by slot.
//!
//! Spans that are alike differ by little, so nearly all planes are zeroes. These are left out: before the columns of a kind stand 8 bytes,
//! of which byte `w` has bit `p` set if plane `p` of word `w` is there. Of text byte `w` is 1 if any slot has something in word `w`, and
//! 0 if that word is left out of all of them. If the field at 4 is 0 there are no such bytes, all planes are there, and continuations are
//! their 64 bytes, one after the other.

use crate::events::{Kind, SLOT_BYTES, SLOT_WORDS, Slot};
use bytemuck::Zeroable;

/// The most slots in a block of packed records.
///
/// ```
/// use spanring::events::Slot;
/// use spanring::format::packed::{MAX_PACKED_SLOTS, pack};
///
/// let slots = vec![Slot::EMPTY; MAX_PACKED_SLOTS + 1];
/// assert!(pack(&slots).is_none() && pack(&slots[1..]).is_some());
/// ```
pub const MAX_PACKED_SLOTS: usize = 4096;

/// Bytes before the compressed columns.
const HEADER_BYTES: usize = 8;
/// Bytes of a slot in the columns: its kind, and all of it.
const COLUMN_BYTES: usize = 1 + SLOT_BYTES;
/// Of 0 to 10. More costs up to twice the time: see docs/PERFORMANCE.md.
const LEVEL: u8 = 1;

/// The field at 4: planes of zeroes are left out.
const SPARSE: u64 = 1 << 32;

/// The payload of a block of packed records. `None`: more slots than such a block may have.
///
/// ```
/// use spanring::events::{Head, Kind, Slot};
/// use spanring::format::packed::{pack, unpack};
///
/// let begin = |number| Slot([Head::record(Kind::BeginAsync, None, 0).0 | number << 32, 1000 + 7 * number, number, 0, 4096, 0, 0, 0]);
/// let slots: Vec<Slot> = (0..1000).map(begin).collect();
/// let packed = pack(&slots).expect("there are few enough");
/// assert!(packed.len() < slots.len() * 64 / 20);
/// assert_eq!(unpack(&packed), Ok(slots));
/// ```
pub fn pack(slots: &[Slot]) -> Option<Vec<u8>> {
    if slots.len() > MAX_PACKED_SLOTS {
        return None;
    }
    let mut columns: Vec<u8> = slots.iter().map(kind_of).collect();
    for kind in kinds(&columns.clone()) {
        let of_kind: Vec<&Slot> = slots.iter().filter(|slot| kind_of(slot) == kind).collect();
        let is_text = kind == Kind::Continuation as u8;
        let mask_at = columns.len();
        columns.extend([0; SLOT_WORDS]);
        for word in 0..if is_text { 1 } else { SLOT_WORDS } {
            columns_of(&of_kind, word, &mut columns, mask_at);
        }
        if is_text {
            let used = (1..SLOT_WORDS).filter(|word| of_kind.iter().any(|slot| slot.0[*word] != 0));
            let used: Vec<usize> = used.collect();
            used.iter().for_each(|word| columns[mask_at + word] = 1);
            let words = of_kind.iter().flat_map(|slot| used.iter().map(|word| slot.0[*word].to_le_bytes()));
            words.for_each(|bytes| columns.extend(bytes));
        }
    }
    let mut payload = (slots.len() as u64 | SPARSE).to_le_bytes().to_vec();
    payload.extend(miniz_oxide::deflate::compress_to_vec(&columns, LEVEL));
    Some(payload)
}

/// Appends the planes of a word that are not zeroes, and says in the mask which these are.
fn columns_of(slots: &[&Slot], word: usize, columns: &mut Vec<u8>, mask_at: usize) {
    let mut before = 0;
    let mut all = 0;
    let mut differences = [0; MAX_PACKED_SLOTS];
    for (difference, slot) in differences.iter_mut().zip(slots) {
        *difference = zigzag(slot.0[word].wrapping_sub(before));
        before = slot.0[word];
        all |= *difference;
    }
    for plane in (0..8).filter(|plane| all >> (8 * plane) & 0xff != 0) {
        columns[mask_at + word] |= 1 << plane;
        columns.extend(differences[..slots.len()].iter().map(|difference| (difference >> (8 * plane)) as u8));
    }
}

/// The slots in such a payload.
///
/// # Errors
/// What is wrong with it. No more memory is taken than the largest block needs, whatever the payload says.
///
/// ```
/// use spanring::format::packed::unpack;
///
/// assert_eq!(unpack(b"abc"), Err("the packed records are cut off"));
/// ```
pub fn unpack(payload: &[u8]) -> Result<Vec<Slot>, &'static str> {
    let first = super::word_at(payload, 0).ok_or("the packed records are cut off")?;
    let (slots, layout) = ((first & 0xffff_ffff) as usize, first & !0xffff_ffff);
    if slots > MAX_PACKED_SLOTS {
        return Err("more packed records than a block may have");
    }
    if layout & !SPARSE != 0 {
        return Err("packed records of a layout that is not known");
    }
    let most = slots * COLUMN_BYTES + 256 * SLOT_WORDS;
    let columns = miniz_oxide::inflate::decompress_to_vec_with_limit(&payload[HEADER_BYTES..], most);
    let columns = columns.map_err(|_| "the packed records cannot be decompressed")?;
    const OTHER_LENGTH: &str = "the packed records have another length than they say";
    let (kind_of_slot, mut rest) = columns.split_at_checked(slots).ok_or(OTHER_LENGTH)?;
    let mut take = |bytes: usize| {
        let (taken, others) = rest.split_at_checked(bytes).ok_or(OTHER_LENGTH)?;
        rest = others;
        Ok::<_, &'static str>(taken)
    };
    let mut unpacked = vec![Slot::zeroed(); slots];
    for kind in kinds(kind_of_slot) {
        let places: Vec<usize> = (0..slots).filter(|place| kind_of_slot[*place] == kind).collect();
        let is_text = kind == Kind::Continuation as u8;
        if layout == 0 && is_text {
            let all = take(places.len() * SLOT_BYTES)?;
            for (place, bytes) in places.iter().zip(all.chunks_exact(SLOT_BYTES)) {
                bytemuck::bytes_of_mut(&mut unpacked[*place]).copy_from_slice(bytes);
            }
            continue;
        }
        let mask = if layout == 0 { &[0xff; SLOT_WORDS] } else { take(SLOT_WORDS)? };
        for (word, planes) in mask.iter().enumerate().take(if is_text { 1 } else { SLOT_WORDS }) {
            let mut differences = vec![0u64; places.len()];
            for plane in (0..8).filter(|plane| planes >> plane & 1 != 0) {
                let bytes = take(places.len())?;
                differences.iter_mut().zip(bytes).for_each(|(all, byte)| *all |= u64::from(*byte) << (8 * plane));
            }
            let mut value = 0u64;
            for (place, difference) in places.iter().zip(differences) {
                value = value.wrapping_add(unzigzag(difference));
                unpacked[*place].0[word] = value;
            }
        }
        if is_text {
            let used: Vec<usize> = (1..SLOT_WORDS).filter(|word| mask[*word] != 0).collect();
            for place in places {
                for word in &used {
                    unpacked[place].0[*word] = super::word_at(take(size_of::<u64>())?, 0).unwrap_or_default();
                }
            }
        }
    }
    if rest.is_empty() { Ok(unpacked) } else { Err(OTHER_LENGTH) }
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
        fn any_bytes_are_slots_or_an_error(bytes in proptest::collection::vec(any::<u8>(), 0..300), slots in 0..100u64, layout in 0..2u8) {
            let mut payload = slots.to_le_bytes().to_vec();
            payload[4] = layout;
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
            for layout in [0, 1, 2] {
                payload[..8].copy_from_slice(&(slots | layout << 32).to_le_bytes());
                assert!(unpack(&payload).is_err(), "{slots}, layout {layout}");
            }
        }
        assert!(unpack(&[]).is_err());
        assert_eq!(pack(&[Slot::EMPTY; MAX_PACKED_SLOTS + 1]), None);
    }

    #[test]
    fn the_layout_with_all_planes_is_read_too() {
        let slots: Vec<Slot> = (0..20).map(|number: u64| Slot([0x12, 7 * number, 3, 0, 1 << 40, 5, 6, 7])).collect();
        let text = Slot([Kind::Continuation as u64, 1, 2, 3, 4, 5, 6, 7]);
        // Kinds, the text as it is, then all planes.
        let mut columns = vec![Kind::Continuation as u8];
        columns.extend([0x12; 20]);
        columns.extend(bytemuck::bytes_of(&text));
        for word in 0..SLOT_WORDS {
            let before = [0].into_iter().chain(slots.iter().map(|slot| slot.0[word]));
            let differences = slots.iter().zip(before).map(|(slot, before)| zigzag(slot.0[word] - before));
            let differences: Vec<u64> = differences.collect();
            (0..8).for_each(|plane| columns.extend(differences.iter().map(|all| (all >> (8 * plane)) as u8)));
        }
        let mut payload = 21u64.to_le_bytes().to_vec();
        payload.extend(miniz_oxide::deflate::compress_to_vec(&columns, LEVEL));
        let expected: Vec<Slot> = [text].into_iter().chain(slots).collect();
        assert_eq!(unpack(&payload), Ok(expected));
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
