//! The ring over plain heap memory: on one thread, where every step is known, and on two that run as fast as they can.

use super::*;
use crate::sync::Ordering;
use std::cell::UnsafeCell;
use std::ops::Range;
use std::thread;

const WIDTH: usize = 8;
/// Words before the slots: one cache line, as in a ring's file.
const HEADER: usize = 8;

type TestProducer = Producer<Arc<Ring<RingWords, WIDTH>>>;
type TestConsumer = Consumer<Arc<Ring<RingWords, WIDTH>>>;

const fn layout(capacity: u64) -> Layout {
    Layout { slots: HEADER, width: WIDTH, capacity, tail: 0, drop_mark: 1, dropped: 2 }
}

fn words_for(capacity: u64) -> RingWords {
    RingWords::new(Memory::on_heap(HEADER + capacity as usize * WIDTH), layout(capacity))
}

fn drained(capacity: u64, longest: usize) -> (TestProducer, TestConsumer) {
    ring(words_for(capacity), WhenFull::DropNewest, longest)
}

fn flight(capacity: u64, longest: usize) -> (TestProducer, TestConsumer) {
    ring(words_for(capacity), WhenFull::OverwriteOldest, longest)
}

/// Slot `index` of a record: the first word names it, and every other word follows from the first.
fn slot(number: u64, index: u64, slots: u64) -> [u64; WIDTH] {
    let first = number << 16 | index << 8 | slots;
    std::array::from_fn(
        |word| if word == 0 { first } else { (first + word as u64).wrapping_mul(0x9e37_79b9_7f4a_7c15) },
    )
}

/// Records once. Returns the record's number, or `None` if it was dropped.
fn push(producer: &TestProducer, slots: u64) -> Option<u64> {
    let reservation = producer.reserve(slots as usize)?;
    let number = reservation.record_number();
    for index in 0..slots {
        reservation.write(index as usize, slot(number, index, slots));
    }
    reservation.publish();
    Some(number)
}

/// The numbers of the whole records in `words`, and how many slots of a cut-off record stand before them.
fn records(words: &[u64]) -> (Vec<u64>, u64) {
    let mut numbers = Vec::new();
    let mut cut_off = 0;
    // The slot that has to come next.
    let mut expected: Option<(u64, u64, u64)> = None;
    for words in words.chunks_exact(WIDTH) {
        let (number, index, slots) = (words[0] >> 16, words[0] >> 8 & 0xff, words[0] & 0xff);
        assert_eq!(words, slot(number, index, slots), "a slot is torn");
        match expected {
            Some(next) => assert_eq!((number, index, slots), next, "a record is not in one piece"),
            None if numbers.is_empty() && index > 0 => cut_off += 1,
            None => assert_eq!(index, 0, "a record begins in its middle"),
        }
        if index == 0 {
            numbers.push(number);
        }
        let continues = index + 1 < slots && !numbers.is_empty();
        expected = continues.then_some((number, index + 1, slots));
    }
    assert_eq!(expected, None, "the end of a record is missing");
    (numbers, cut_off)
}

/// Takes everything out of a drained ring.
fn drain(consumer: &mut TestConsumer) -> Vec<u64> {
    let range = consumer.published();
    let mut words = Vec::new();
    consumer.copy(range.clone(), &mut words);
    consumer.give_back(range.end);
    let (numbers, cut_off) = records(&words);
    assert_eq!(cut_off, 0);
    numbers
}

/// A snapshot of everything published: its positions, the numbers of its records, and the slots cut off before them.
fn snapshot(consumer: &TestConsumer) -> (Range<u64>, Vec<u64>, u64) {
    let mut words = vec![u64::MAX; 3];
    let whole = consumer.snapshot(consumer.published(), &mut words);
    assert_eq!(words.len() as u64, (whole.end - whole.start) * WIDTH as u64);
    let (numbers, cut_off) = records(&words);
    (whole, numbers, cut_off)
}

#[test]
fn records_come_out_in_the_order_they_went_in() {
    let (producer, mut consumer) = drained(8, 2);
    assert_eq!(drain(&mut consumer), []);
    for slots in [1, 2, 1] {
        push(&producer, slots);
    }
    assert_eq!(drain(&mut consumer), [0, 1, 2]);
    assert_eq!(drain(&mut consumer), []);
}

#[test]
fn positions_go_on_and_slots_come_round() {
    let (producer, mut consumer) = drained(8, 3);
    let mut taken = Vec::new();
    for round in 0..if cfg!(miri) { 30 } else { 100 } {
        push(&producer, 1 + round % 3);
        push(&producer, 1 + round % 2);
        taken.extend(drain(&mut consumer));
    }
    assert!(taken.into_iter().eq(0..producer.record_number()));
    assert!(producer.position() > 10 * 8);
    assert_eq!(consumer.published(), producer.position()..producer.position());
}

#[test]
fn a_record_is_visible_whole_or_not_at_all() {
    let (producer, mut consumer) = drained(8, 3);
    let reservation = producer.reserve(2).unwrap();
    reservation.write(0, slot(0, 0, 2));
    reservation.write(1, slot(0, 1, 2));
    assert_eq!(consumer.published(), 0..0);
    reservation.publish();
    assert_eq!(consumer.published(), 0..2);
    let _ = producer.reserve(3).unwrap();
    assert_eq!(consumer.published(), 0..2, "a reservation that is not published never existed");
    assert_eq!(push(&producer, 1), Some(1));
    assert_eq!(drain(&mut consumer), [0, 1]);
}

#[test]
fn a_full_ring_drops_the_newest_record_and_counts_it() {
    let (producer, mut consumer) = drained(4, 1);
    assert_eq!(consumer.drop_mark(), 0);
    let pushed: Vec<_> = (0..7).map(|_| push(&producer, 1)).collect();
    assert_eq!(pushed, [Some(0), Some(1), Some(2), Some(3), None, None, None]);
    assert_eq!((consumer.drop_mark(), producer.record_number()), (7, 7));
    assert_eq!(drain(&mut consumer), [0, 1, 2, 3]);
    assert_eq!(push(&producer, 1), Some(7), "the gap in the numbers is as long as the loss");
    assert_eq!(drain(&mut consumer), [7]);
    assert_eq!(consumer.drop_mark(), 7);
    let storage = producer.storage();
    assert_eq!(storage.drop_mark().load(Ordering::Relaxed), 7);
    assert_eq!(storage.dropped().load(Ordering::Relaxed), 3);
}

#[test]
fn a_short_record_may_fit_where_a_long_one_did_not() {
    let (producer, mut consumer) = drained(4, 2);
    assert_eq!(push(&producer, 2), Some(0));
    assert_eq!(push(&producer, 1), Some(1));
    assert_eq!(push(&producer, 2), None);
    assert_eq!(push(&producer, 1), Some(3));
    assert_eq!(drain(&mut consumer), [0, 1, 3]);
}

#[test]
fn slots_can_be_given_back_a_few_at_a_time() {
    let (producer, mut consumer) = drained(4, 1);
    (0..4).for_each(|_| assert!(push(&producer, 1).is_some()));
    consumer.give_back(1);
    assert_eq!(consumer.published(), 1..4);
    assert_eq!(push(&producer, 1), Some(4));
    assert_eq!(push(&producer, 1), None);
    assert_eq!(drain(&mut consumer), [1, 2, 3, 4]);
}

#[test]
fn a_snapshot_holds_the_newest_records_after_any_number_of_laps() {
    let (producer, consumer) = flight(16, 3);
    assert_eq!(snapshot(&consumer), (0..0, vec![], 0));
    for pushed in 1..if cfg!(miri) { 40 } else { 200 } {
        assert_eq!(push(&producer, 1), Some(pushed - 1), "a ring in flight discipline is never full");
        let kept = pushed.min(16 - 3);
        assert_eq!(snapshot(&consumer), (pushed - kept..pushed, (pushed - kept..pushed).collect(), 0));
    }
    assert_eq!(consumer.drop_mark(), 0);
}

#[test]
fn before_the_first_lap_a_snapshot_holds_everything() {
    let (producer, consumer) = flight(16, 4);
    (0..3).for_each(|_| assert!(push(&producer, 4).is_some()));
    assert_eq!(snapshot(&consumer), (0..12, vec![0, 1, 2], 0));
}

#[test]
fn a_lap_may_cut_a_record_in_two() {
    let (producer, consumer) = flight(8, 3);
    for _ in 0..5 {
        push(&producer, 3);
    }
    // 15 slots: those from 15 + 3 - 8 on are safe, and position 10 is the second slot of record 3.
    assert_eq!(snapshot(&consumer), (10..15, vec![4], 2));
}

#[test]
fn a_snapshot_begins_where_the_last_one_ended() {
    let (producer, mut consumer) = flight(16, 1);
    (0..4).for_each(|_| assert!(push(&producer, 1).is_some()));
    let (whole, ..) = snapshot(&consumer);
    consumer.give_back(whole.end);
    assert_eq!(snapshot(&consumer), (4..4, vec![], 0));
    (0..3).for_each(|_| assert!(push(&producer, 1).is_some()));
    assert_eq!(snapshot(&consumer), (4..7, vec![4, 5, 6], 0));
}

#[test]
fn the_first_word_of_a_slot_can_be_looked_at_by_itself() {
    let (producer, consumer) = flight(4, 1);
    (0..6).for_each(|_| assert!(push(&producer, 1).is_some()));
    assert_eq!(consumer.first_word(5), slot(5, 0, 1)[0]);
    assert_eq!(consumer.first_word(1), slot(5, 0, 1)[0], "the slot was overwritten");
}

/// Values that somebody else may have written into a mapped ring.
fn scribbles(position: u64) -> Vec<u64> {
    let near = (0..=20).map(|distance| (position + distance).saturating_sub(10));
    near.chain([1 << 31, 1 << 61, 1 << 62, 1 << 63, u64::MAX - 1, u64::MAX]).collect()
}

#[test]
fn what_others_scribble_beside_a_drained_ring_is_not_believed_and_the_next_record_repairs_it() {
    let (producer, mut consumer) = drained(8, 1);
    for scribble in scribbles(20) {
        let storage = producer.storage();
        let drop_mark = consumer.drop_mark();
        for word in [storage.tail(), storage.drop_mark(), storage.dropped()] {
            word.store(scribble, Ordering::Relaxed);
        }
        assert_eq!(drain(&mut consumer), [], "nothing was published");
        assert_eq!(consumer.drop_mark(), drop_mark, "nothing was dropped");
        let first = push(&producer, 1).unwrap();
        assert_eq!(storage.tail().load(Ordering::Relaxed), producer.position());
        let dropped = (1..9).filter(|_| push(&producer, 1).is_none()).count();
        assert_eq!((dropped, consumer.drop_mark()), (1, first + 9));
        assert_eq!(storage.drop_mark().load(Ordering::Relaxed), first + 9);
        assert_eq!(storage.dropped().load(Ordering::Relaxed), (first + 9) / 9);
        assert_eq!(drain(&mut consumer), (first..first + 8).collect::<Vec<_>>());
    }
}

#[test]
fn what_others_scribble_beside_a_ring_in_flight_is_not_believed_and_the_next_record_repairs_it() {
    let (producer, mut consumer) = flight(8, 1);
    for scribble in scribbles(20) {
        producer.storage().tail().store(scribble, Ordering::Relaxed);
        assert_eq!(snapshot(&consumer).1, [], "nothing was published");
        let first = push(&producer, 1).unwrap();
        assert_eq!(producer.storage().tail().load(Ordering::Relaxed), producer.position());
        let (whole, numbers, _) = snapshot(&consumer);
        assert_eq!(numbers, [first]);
        consumer.give_back(whole.end);
    }
}

#[test]
#[should_panic(expected = "a power of two, not 6")]
fn a_capacity_is_a_power_of_two() {
    drained(6, 1);
}

#[test]
#[should_panic(expected = "a ring of 8 slots is too small")]
fn a_ring_holds_two_of_the_longest_records() {
    drained(8, 5);
}

#[test]
#[should_panic(expected = "words a slot")]
fn a_layout_has_the_width_of_the_ring() {
    RingWords::<4>::new(Memory::on_heap(1024), layout(8));
}

#[test]
#[should_panic(expected = "in 64 words")]
fn a_ring_fits_into_its_memory() {
    RingWords::<WIDTH>::new(Memory::on_heap(64), layout(8));
}

#[test]
fn slots_stand_on_cache_lines() {
    for words in [1, 7, 8, 9, 4096] {
        let memory = Memory::on_heap(words);
        assert_eq!(memory.len(), words.next_multiple_of(8));
        assert_eq!(std::ptr::from_ref(memory.word(0)).addr() % 64, 0);
        assert!((0..memory.len()).all(|index| memory.word(index).load(Ordering::Relaxed) == 0));
    }
    let (producer, _consumer) = drained(8, 1);
    for position in 0..16 {
        let slot = producer.storage().slot(position);
        assert_eq!(std::ptr::from_ref(slot).addr() % 64, 0);
        assert!(std::ptr::eq(slot, producer.storage().slot(position + 8)));
    }
}

#[test]
#[should_panic(expected = "word 8 of 8")]
fn a_word_behind_the_end_is_refused() {
    Memory::on_heap(8).word(8);
}

/// Records that a stress test makes: enough for thousands of laps, in an interpreter for a dozen.
const STRESS: u64 = if cfg!(miri) { 100 } else { 1_000_000 };

/// Records [`STRESS`] times, with 1 to 3 slots each, and returns how many were dropped.
fn produce(producer: &TestProducer) -> u64 {
    (0..STRESS).map(|number| u64::from(push(producer, 1 + number % 3).is_none())).sum()
}

/// Runs `produce` on a thread of its own and `consume` on this one, again and again, and once more when all was produced.
fn on_two_threads(produce: impl FnOnce() -> u64 + Send + 'static, mut consume: impl FnMut()) -> u64 {
    let writer = thread::spawn(produce);
    while !writer.is_finished() {
        consume();
        thread::yield_now();
    }
    // That a thread is finished orders nothing; joining it does.
    let produced = writer.join().unwrap();
    consume();
    produced
}

#[test]
fn two_threads_read_and_lose_exactly_what_was_recorded() {
    let (producer, mut consumer) = drained(16, 3);
    let (mut read, mut lost, mut next) = (0, 0, 0);
    let dropped = on_two_threads(
        move || produce(&producer),
        || {
            let mark = consumer.drop_mark();
            for number in drain(&mut consumer) {
                assert!(number >= next, "record {number} was read or counted as lost before");
                lost += number - next;
                read += 1;
                next = number + 1;
            }
            lost += mark.saturating_sub(next);
            next = next.max(mark);
        },
    );
    assert_eq!((read + lost, next), (STRESS, STRESS));
    assert_eq!(lost, dropped);
    assert_eq!(lost, consumer.storage().dropped().load(Ordering::Relaxed));
    assert!(read >= 16 / 3);
}

#[test]
fn snapshots_taken_while_another_thread_overwrites_are_whole_and_add_up() {
    let (producer, mut consumer) = flight(16, 3);
    let (mut read, mut lost, mut next) = (0, 0, 0);
    let dropped = on_two_threads(
        move || produce(&producer),
        || {
            let (whole, numbers, _) = snapshot(&consumer);
            consumer.give_back(whole.end);
            if let (Some(first), Some(last)) = (numbers.first(), numbers.last()) {
                assert!(*first >= next, "record {first} was read before");
                assert_eq!(numbers, (*first..=*last).collect::<Vec<_>>());
                lost += first - next;
                read += numbers.len() as u64;
                next = last + 1;
            }
        },
    );
    assert_eq!((dropped, read + lost, next), (0, STRESS, STRESS));
}

/// A plain word for each slot, to be used only by the end of the ring that has the slot. A tool that knows of races (Miri,
/// ThreadSanitizer) reports it if the ring's orderings do not hand the slot over: the slots themselves are atomic.
struct PlainWords(Box<[UnsafeCell<u64>]>);

// SAFETY: a slot is handed from end to end, which is what the test is about.
unsafe impl Sync for PlainWords {}

impl PlainWords {
    fn of(&self, position: u64) -> *mut u64 {
        self.0[position as usize % self.0.len()].get()
    }
}

#[test]
fn a_slot_belongs_to_one_end_at_a_time() {
    let (producer, mut consumer) = drained(8, 1);
    let written = Arc::new(PlainWords((0..8).map(|_| UnsafeCell::new(0)).collect()));
    let read = Arc::clone(&written);
    let mut expected = 0;
    let produced = on_two_threads(
        move || {
            let mut produced = 0;
            for _ in 0..STRESS {
                let position = producer.position();
                let Some(reservation) = producer.reserve(1) else { continue };
                // SAFETY: between its reservation and its publication the slot is the producer's.
                unsafe { *written.of(position) = position };
                reservation.write(0, [position; WIDTH]);
                reservation.publish();
                produced += 1;
            }
            produced
        },
        || {
            let range = consumer.published();
            for position in range.clone() {
                // SAFETY: between its publication and its return the slot is the consumer's.
                assert_eq!((unsafe { *read.of(position) }, consumer.first_word(position)), (position, position));
                expected += 1;
            }
            consumer.give_back(range.end);
        },
    );
    assert_eq!(produced, expected);
}
