//! Runs of slots, and the records in them.

use super::kind::Kind;
use super::slot::{Head, MAX_RECORD_SLOTS, Slot, TEXT_BYTES};
use super::span::SpanFields;
use super::value::ValueFields;

/// The slots of the record that begins a run.
///
/// # Errors
/// If none begins there that is whole; then the first slot is to be passed over.
///
/// ```
/// use spanring::events::{Head, Kind, Slot, first_record};
///
/// let begin = Slot([Head::record(Kind::BeginAsync, None, 0).0, 1, 2, 3, 4, 0, 0, 0]);
/// assert_eq!(first_record(&[begin, Slot::EMPTY]), Ok(&[begin][..]));
/// assert_eq!(first_record(&[Slot::EMPTY]), Err("a slot that was never written, among records"));
/// ```
pub fn first_record(run: &[Slot]) -> Result<&[Slot], &'static str> {
    let head = run.first().ok_or("no slot")?.head();
    if head.kind_number() == 0 {
        return Err("a slot that was never written, among records");
    }
    if head.kind() == Some(Kind::Continuation) {
        return Err("text without its record");
    }
    if !(1..=MAX_RECORD_SLOTS).contains(&head.slots()) {
        return Err("a record of more slots than there can be, or of none");
    }
    let record = run.get(..head.slots()).ok_or("a record without its end")?;
    let continues = |(slot, index): (&Slot, usize)| {
        slot.head() == Head::continuation(index, record.len()).with_record_number(u64::from(head.record_number_low()))
    };
    if !record.iter().zip(0..).skip(1).all(continues) {
        return Err("a record with another one's text");
    }
    if is_consistent(&record[0], record.len()) { Ok(record) } else { Err("a record that contradicts itself") }
}

/// Whether what a record says twice is the same both times. Records of kinds that are not known are what they are.
fn is_consistent(first: &Slot, slots: usize) -> bool {
    let head = first.head();
    let Some(kind) = head.kind() else { return true };
    if kind.is_value() {
        return ValueFields::from_slot(first).is_consistent(slots);
    }
    let fields = SpanFields::from_slot(first);
    if kind == Kind::Poll {
        let is_alone = slots == 1 && !head.has_run_time_name() && head.has_no_outcome();
        return is_alone && fields.polls != 0 && fields.begin_ticks != 0;
    }
    let may_say_earlier = !kind.is_thread() && kind != Kind::Instant;
    let of_its_phase = kind.is_end() || head.has_no_outcome() && (fields.begin_ticks == 0 || may_say_earlier);
    let (kept, whole) = (u64::from(fields.name_length), fields.name_address);
    let of_its_name = if !kind.is_named() && kind != Kind::Instant {
        kept == 0 && whole == 0 && slots == 1 && !head.has_run_time_name() && !head.has_caller_location()
    } else if head.has_run_time_name() {
        let is_cut = whole > kept && slots == MAX_RECORD_SLOTS;
        slots as u64 == 1 + kept.div_ceil(TEXT_BYTES as u64) && (whole == kept || is_cut)
    } else {
        slots == 1
    };
    of_its_phase && of_its_name
}

/// How many slots at the start of a run are records of one slot, of spans or polls, in which [`first_record`] finds no fault, and whose
/// numbers follow each other from `number` on.
///
/// ```
/// use spanring::events::{Head, Kind, Slot, plain_records};
///
/// let of_number = |number| Slot([Head::record(Kind::BeginAsync, None, 0).with_record_number(number).0, 1, 2, 3, 4, 0, 0, 0]);
/// let run = [of_number(5), of_number(6), of_number(8)];
/// assert_eq!(plain_records(&run, 5), 2);
/// ```
pub fn plain_records(run: &[Slot], number: u32) -> usize {
    let is_plain = |(slot, index): &(&Slot, u32)| {
        let number = number.wrapping_add(*index);
        faults_of_span(slot, number) == 0 || is_poll(slot, number)
    };
    run.iter().zip(0..).take_while(is_plain).count()
}

/// One slot, and no text: of the bits of a head that say so.
const ONE_SLOT: u64 = Head(0).with_slots(1).0;
const SHAPE: u64 = (0xf * ONE_SLOT) | Head::RUN_TIME_NAME;
/// The bits that say an outcome.
const OUTCOME: u64 = 0b11 << 8;

/// Not 0 if this is no record of one slot with this number in which [`first_record`] finds no fault; or if it is not of a span. What
/// [`is_consistent`] says in branches, for a look at many.
#[inline(always)]
fn faults_of_span(slot: &Slot, number: u32) -> u64 {
    const fn all_if(condition: bool) -> u64 {
        (condition as u64).wrapping_neg()
    }
    /// What has to be 0, by the kind's three bits: of the head; of the words of a name, and the bit of a caller; and of word 7.
    const EMPTY: [[u64; 3]; 8] = {
        let mut empty = [[0; 3]; 8];
        let mut bits = 0;
        while bits < 8 {
            let (is_begin, is_static, is_thread) = (bits & 1 == 0, bits & 2 == 0, bits & 4 != 0);
            empty[bits] = [OUTCOME & all_if(is_begin), all_if(is_static), all_if(is_begin & is_thread)];
            bits += 1;
        }
        empty
    };
    let words = &slot.0;
    let head = words[0];
    let [outcome, name, earlier] = EMPTY[head as usize & 7];
    let plain = Kind::BeginAsync as u64 | ONE_SLOT | u64::from(number) << 32;
    (head ^ plain) & (0xf8 | SHAPE | u64::from(u32::MAX) << 32)
        | head & outcome
        | (words[5] | u64::from(words[6] as u32) | head & Head::CALLER) & name
        | words[7] & earlier
}

/// Whether this is a poll of that number in which [`first_record`] finds no fault.
fn is_poll(slot: &Slot, number: u32) -> bool {
    let plain = Kind::Poll as u64 | ONE_SLOT | u64::from(number) << 32;
    let is_alone = (slot.0[0] ^ plain) & (0xff | OUTCOME | SHAPE | u64::from(u32::MAX) << 32) == 0;
    is_alone && slot.0[6] >> 32 != 0 && slot.0[7] != 0
}

/// The whole records in a run; what is no part of one is passed over.
///
/// ```
/// use spanring::events::{Head, Kind, Slot, records};
///
/// let begin = Slot([Head::record(Kind::BeginAsync, None, 0).0, 1, 2, 3, 4, 0, 0, 0]);
/// let text_of_nothing = Slot([Head::continuation(1, 2).0; 8]);
/// let run = [begin, text_of_nothing, begin];
/// assert_eq!(records(&run).count(), 2);
/// ```
pub fn records(run: &[Slot]) -> impl Iterator<Item = &[Slot]> {
    let mut rest = run;
    std::iter::from_fn(move || {
        while !rest.is_empty() {
            match first_record(rest) {
                Ok(record) => {
                    rest = &rest[record.len()..];
                    return Some(record);
                }
                Err(_) => rest = &rest[1..],
            }
        }
        None
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn record(number: u64, slots: usize) -> Vec<Slot> {
        let mut words = vec![Slot::EMPTY; slots];
        let length = ((slots - 1) * TEXT_BYTES) as u32;
        let head = Head::record(Kind::BeginAsyncNamed, None, 0).with_run_time_name();
        words[0] = SpanFields {
            head: head.with_slots(slots).with_record_number(number),
            ticks: 1,
            span_id: 1,
            parent_span_id: 0,
            site: 8,
            name_address: u64::from(length),
            name_length: length,
            polls: 0,
            begin_ticks: 0,
        }
        .to_slot();
        for (index, slot) in words.iter_mut().enumerate().skip(1) {
            slot.0[0] = Head::continuation(index, slots).with_record_number(number).0;
        }
        words
    }

    proptest::proptest! {
        /// Nearly right slots: any bits of a few in which the faults are.
        #[test]
        fn a_plain_record_is_one_without_a_fault(
            kind in 0..=255u8,
            low: u16,
            flips in proptest::collection::vec(0..64u32, 0..3),
            words in proptest::array::uniform3(proptest::option::of(0..u64::MAX)),
        ) {
            for head in [u64::from(kind) | 1 << 10, u64::from(low), 1 << 10 | u64::from(low & 0xc3ff)] {
                let head = flips.iter().fold(head | 9 << 32, |head, bit| head ^ 1 << bit);
                let [address, length, last] = words.map(|word| word.unwrap_or(0));
                let slot = Slot([head, 1, 2, 3, 4, address, length, last]);
                let is_known = slot.head().kind().is_some_and(|kind| kind.is_span() || kind == Kind::Poll);
                let whole = first_record(&[slot]).is_ok() && !slot.head().has_run_time_name();
                let expected = whole && is_known && head >> 32 == 9;
                proptest::prop_assert_eq!(plain_records(&[slot], 9) == 1, expected, "{:?}", slot);
            }
        }
    }

    #[test]
    fn plain_records_are_counted_up_to_the_first_that_is_not() {
        for plain in 0..40 {
            let mut run: Vec<Slot> =
                (0..plain).flat_map(|number| of_number(number as u64 + u64::from(u32::MAX) - 20)).collect();
            assert_eq!(plain_records(&run, u32::MAX - 20), plain);
            run.extend(record(1000, 2));
            run.extend(of_number(1001));
            assert_eq!(plain_records(&run, u32::MAX - 20), plain);
            assert_eq!(plain_records(&run, 0), 0);
        }
    }

    /// A record in one slot, without text, with this number.
    fn of_number(number: u64) -> Vec<Slot> {
        let mut slots = of_kind(Kind::BeginAsyncNamed);
        slots[0].0[0] = slots[0].head().with_record_number(number).0;
        slots
    }

    #[test]
    fn records_of_any_length_follow_each_other() {
        let run: Vec<Slot> = [record(1, 1), record(2, 3), record(3, 2)].concat();
        assert_eq!(records(&run).map(<[Slot]>::len).collect::<Vec<_>>(), [1, 3, 2]);
    }

    #[test]
    fn what_is_no_whole_record_is_passed_over() {
        let mut run: Vec<Slot> = [record(1, 3), record(2, 2), record(3, 1), vec![Slot::EMPTY], record(4, 4)].concat();
        run.remove(0);
        run.pop();
        assert_eq!(records(&run).map(<[Slot]>::len).collect::<Vec<_>>(), [2, 1]);
        let mixed = [&record(1, 2)[..1], &record(2, 2)[1..]].concat();
        assert_eq!(first_record(&mixed), Err("a record with another one's text"));
        assert_eq!(first_record(&[]), Err("no slot"));
        for slots in [0, MAX_RECORD_SLOTS + 1, 15] {
            let mut run = record(1, MAX_RECORD_SLOTS).repeat(2);
            run[0].0[0] = run[0].0[0] & !(0xf << 10) | (slots as u64) << 10;
            assert_eq!(first_record(&run), Err("a record of more slots than there can be, or of none"), "{slots}");
        }
    }

    /// A record of this kind in one slot, without text.
    fn of_kind(kind: Kind) -> Vec<Slot> {
        let mut slots = record(1, 1);
        let is_poll = kind == Kind::Poll;
        slots[0].0[0] = Head::record(kind, None, 0).with_record_number(1).0;
        slots[0].0[6] = u64::from(is_poll) << 32;
        slots[0].0[7] = u64::from(is_poll) << 3;
        slots
    }

    #[test]
    fn a_record_that_contradicts_itself_is_none() {
        let (begin, text) = (record(1, 1), record(1, 3));
        let spoiled = |record: &[Slot], word: usize, bit: u32| {
            let mut record = record.to_vec();
            record[0].0[word] ^= 1 << bit;
            first_record(&record).err()
        };
        let contradiction = Some("a record that contradicts itself");
        assert_eq!(spoiled(&begin, 0, 8), contradiction, "a begin with an outcome");
        assert_eq!(spoiled(&begin, 0, 0), None, "an end without a bit of its outcome is that of a failure");
        assert_eq!(spoiled(&begin, 0, 1), contradiction, "a static site with a name at run time");
        let (scope, poll) = (of_kind(Kind::BeginThreadNamed), of_kind(Kind::Poll));
        assert_eq!(spoiled(&scope, 7, 5), contradiction, "a scope that was created before it began");
        assert_eq!(spoiled(&begin, 7, 5), None, "nothing vouches for the ticks of a creation");
        assert_eq!(spoiled(&poll, 0, 8), contradiction, "a poll with an outcome");
        assert_eq!(spoiled(&poll, 0, 14), contradiction, "a poll with text");
        assert_eq!(spoiled(&poll, 6, 32), contradiction, "a poll without a number");
        assert_eq!(spoiled(&poll, 7, 3), contradiction, "a poll that never began");
        assert_eq!(spoiled(&poll, 4, 3), None, "nothing vouches for addresses");
        assert_eq!(spoiled(&text, 6, 6), contradiction, "text of another length");
        assert_eq!(spoiled(&text, 5, 6), contradiction, "a name that was cut although there was room");
        assert_eq!(spoiled(&text, 0, 14), contradiction, "text that is no name");
        assert_eq!(spoiled(&text, 1, 6), None, "nothing vouches for the ticks");
    }
}
