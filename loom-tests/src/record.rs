//! The records that models write: every word tells which record, and which slot of it, it belongs to.

use crate::{Producer, WIDTH};

/// One slot as words.
pub type Words = [u64; WIDTH];

/// A record as a model reads it back.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Record {
    /// The thread that wrote it, below 256.
    pub thread: u64,
    /// Its number in its ring.
    pub number: u64,
    /// Its slots, below 256.
    pub slots: u64,
}

impl Record {
    /// Slot `index`. No word of it is zero, and none is that of any other slot.
    fn slot(self, index: u64) -> Words {
        let word = 1 | self.thread << 8 | self.number << 16 | index << 32 | self.slots << 40;
        [word, !word]
    }

    /// The record and the index of one of its slots.
    ///
    /// # Panics
    /// If the words are not of one slot, or of none at all.
    fn of_slot(words: &[u64]) -> (Record, u64) {
        assert_eq!(words[1], !words[0], "a slot is torn or was never written: {words:x?}");
        let byte = |shift: u64| words[0] >> shift & 0xff;
        (Record { thread: byte(8), number: words[0] >> 16 & 0xffff, slots: byte(40) }, byte(32))
    }
}

/// Records once. Returns the number of the record, or `None` if the ring was full.
pub fn push(producer: &Producer, thread: u64, slots: u64) -> Option<u64> {
    let reservation = producer.reserve(slots as usize)?;
    let record = Record { thread, number: reservation.record_number(), slots };
    for index in 0..slots {
        reservation.write(index as usize, record.slot(index));
    }
    reservation.publish();
    Some(record.number)
}

/// The whole records in `words`, and the number of slots before the first of them, which a lap has cut off.
///
/// # Panics
/// If a slot is torn, out of place, or missing from the end of its record, or if the record numbers do not rise.
pub fn records(words: &[u64]) -> (Vec<Record>, usize) {
    let slots: Vec<_> = words.chunks_exact(WIDTH).map(Record::of_slot).collect();
    let cut_off = slots.iter().take_while(|(_, index)| *index > 0).count();
    let mut whole: Vec<Record> = Vec::new();
    let mut rest = &slots[cut_off..];
    while let Some((record, _)) = rest.first() {
        assert!(rest.len() as u64 >= record.slots, "the end of {record:?} is missing");
        let (own, others) = rest.split_at(record.slots as usize);
        assert!(
            own.iter().copied().eq((0..record.slots).map(|index| (*record, index))),
            "{record:?} is mixed: {own:?}"
        );
        assert!(whole.last().is_none_or(|last| last.number < record.number), "{record:?} after {whole:?}");
        whole.push(*record);
        rest = others;
    }
    (whole, cut_off)
}
