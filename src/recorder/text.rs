//! The text of a record, into the slots behind its first.

use super::record::LogReservation;
use crate::events::{Head, SLOT_WORDS, TEXT_BYTES};
use crate::queue::ReservedSlot;

const WORD: usize = size_of::<u64>();

/// Writes the text of a record of so many slots.
#[inline(always)]
pub(super) fn write_continuations(reservation: &LogReservation<'_>, mut text: &[u8], number: u64, slots: usize) {
    for index in 1..slots {
        let (chunk, rest) = text.split_at(text.len().min(TEXT_BYTES));
        let slot = reservation.slot(index);
        slot.write(0, Head::continuation(index, slots).with_record_number(number).0);
        write_text(&slot, chunk);
        text = rest;
    }
}

/// Fills a continuation slot: up to [`TEXT_BYTES`] bytes, then zeroes.
#[inline(always)]
fn write_text(slot: &ReservedSlot<'_, SLOT_WORDS>, text: &[u8]) {
    // Each number of words has code of its own: to ask of each word what it has of the text takes twice the instructions.
    match text.len() {
        ..8 => write_words::<0>(slot, text, short_word(text)),
        8 => write_words::<0>(slot, text, last_word(text, 0)),
        9..=16 => write_words::<1>(slot, text, last_word(text, 1)),
        17..=24 => write_words::<2>(slot, text, last_word(text, 2)),
        25..=32 => write_words::<3>(slot, text, last_word(text, 3)),
        33..=40 => write_words::<4>(slot, text, last_word(text, 4)),
        41..=48 => write_words::<5>(slot, text, last_word(text, 5)),
        _ => write_words::<6>(slot, text, last_word(text, 6)),
    }
}

/// `WHOLE` words of text, then what is left of it, then zeroes.
#[inline(always)]
fn write_words<const WHOLE: usize>(slot: &ReservedSlot<'_, SLOT_WORDS>, text: &[u8], last: u64) {
    for index in 0..WHOLE {
        slot.write(1 + index, word_at(text, index * WORD));
    }
    slot.write(1 + WHOLE, last);
    for offset in 2 + WHOLE..SLOT_WORDS {
        slot.write(offset, 0);
    }
}

/// The eight bytes of a text from `start` on.
#[inline(always)]
fn word_at(text: &[u8], start: usize) -> u64 {
    bytemuck::pod_read_unaligned(&text[start..start + WORD])
}

/// What a text has behind so many whole words, one to eight bytes, then zeroes. By a load that overlaps with the word before: a copy of
/// unknown length would be a call.
#[inline(always)]
fn last_word(text: &[u8], whole: usize) -> u64 {
    let missing = (whole + 1) * WORD - text.len();
    word_at(text, text.len() - WORD) >> (8 * missing)
}

/// Fewer than eight bytes, then zeroes.
#[inline(always)]
fn short_word(bytes: &[u8]) -> u64 {
    let u32_at = |start: usize| u64::from(bytemuck::pod_read_unaligned::<u32>(&bytes[start..start + 4]));
    let byte_at = |index: usize| u64::from(bytes[index]) << (8 * index);
    match bytes.len() {
        0 => 0,
        length @ 1..4 => byte_at(0) | byte_at(length / 2) | byte_at(length - 1),
        length => u32_at(0) | u32_at(length - 4) << (8 * (length - 4)),
    }
}
