//! The ring in flight discipline: a snapshot taken while the producer overwrites holds whole records only, in one unbroken run
//! up to the newest, and what was overwritten before it could be read is known exactly.
#![cfg(spanring_loom)]

use loom::sync::atomic::{Ordering, fence};
use loom::thread;
use spanring::queue::Storage;
use spanring_loom_tests::{Consumer, Record, WIDTH, Witness, explore, explore_all, flight_ring, push, records};

/// The drainer's side of a ring in flight discipline, in the steps of the flusher.
struct Flight {
    consumer: Consumer,
    position: u64,
    next_record: u64,
    read: u64,
    lost: u64,
}

impl Flight {
    fn new(consumer: Consumer) -> Flight {
        Flight { consumer, position: 0, next_record: 0, read: 0, lost: 0 }
    }

    /// Takes everything published that is still whole and was not taken before.
    fn snapshot(&mut self) -> Vec<Record> {
        let wanted = self.position..self.consumer.published().end;
        let mut words = Vec::new();
        let whole = self.consumer.snapshot(wanted.clone(), &mut words);
        assert!(whole.start >= wanted.start && whole.end == wanted.end, "{whole:?} of {wanted:?}");
        let (kept, cut_off) = records(&words);
        assert!(whole.start > wanted.start || cut_off == 0, "a record was cut off that no lap has reached");
        self.position = whole.start + cut_off as u64;
        for (record, number) in kept.iter().zip(kept.first().map_or(0, |first| first.number)..) {
            assert_eq!(record.number, number, "a record is missing in the middle of {kept:?}");
            self.position += record.slots;
        }
        assert_eq!(self.position, whole.end, "the snapshot does not end with the newest record");
        if let (Some(first), Some(last)) = (kept.first(), kept.last()) {
            assert!(first.number >= self.next_record, "{first:?} was read before");
            self.lost += first.number - self.next_record;
            self.read += kept.len() as u64;
            self.next_record = last.number + 1;
        }
        self.consumer.give_back(self.position);
        kept
    }
}

#[test]
fn a_snapshot_during_overwriting_is_whole_or_shorter() {
    let (whole, shorter) = (Witness::default(), Witness::default());
    let (whole_once, shorter_once) = (whole.clone(), shorter.clone());
    explore_all("flight: one slot a record", move || {
        let (producer, consumer) = flight_ring(2, 1);
        let writer = thread::spawn(move || (0..4).for_each(|number| assert_eq!(push(&producer, 0, 1), Some(number))));
        let mut flight = Flight::new(consumer);
        let kept = flight.snapshot();
        whole.note(!kept.is_empty());
        shorter.note(flight.position > 0 && kept.is_empty());
        writer.join().unwrap();
    });
    assert!(whole_once.happened(), "no snapshot ever kept anything");
    assert!(shorter_once.happened(), "no snapshot was ever overtaken");
}

#[test]
fn a_snapshot_of_records_of_several_slots_holds_none_of_them_partly() {
    let cut = Witness::default();
    let cut_once = cut.clone();
    explore("flight: records of several slots", move || {
        let (producer, consumer) = flight_ring(4, 2);
        let writer = thread::spawn(move || {
            for slots in [2, 1, 2, 2] {
                push(&producer, 0, slots).unwrap();
            }
        });
        let mut flight = Flight::new(consumer);
        let before = flight.consumer.published().end;
        let kept = flight.snapshot();
        cut.note(before > 0 && kept.len() == 1);
        writer.join().unwrap();
    });
    assert!(cut_once.happened(), "no snapshot ever lost a part of what was published");
}

#[test]
fn a_reader_of_the_memory_alone_sees_whole_records_too() {
    let (whole, overtaken) = (Witness::default(), Witness::default());
    let (whole_once, overtaken_once) = (whole.clone(), overtaken.clone());
    explore_all("flight: reader of the memory alone", move || {
        let (producer, consumer) = flight_ring(2, 1);
        let writer = thread::spawn(move || (0..4).for_each(|number| assert_eq!(push(&producer, 0, 1), Some(number))));
        // As `reader::ring` in another process; between its system calls nothing is reordered, hence the fence.
        let tail_of_memory = || consumer.storage().tail().load(Ordering::Acquire);
        let tail = tail_of_memory();
        let start = tail.saturating_sub(2);
        let mut words = Vec::new();
        consumer.copy(start..tail, &mut words);
        fence(Ordering::Acquire);
        let lapped = (tail_of_memory() + 1).saturating_sub(2).clamp(start, tail);
        let (kept, cut_off) = records(&words[(lapped - start) as usize * WIDTH..]);
        assert!(cut_off == 0 && kept.iter().map(|record| record.number).eq(lapped..tail));
        whole.note(!kept.is_empty());
        overtaken.note(tail > 0 && kept.is_empty());
        writer.join().unwrap();
    });
    assert!(whole_once.happened() && overtaken_once.happened(), "reader and writer never met");
}

#[test]
fn snapshots_in_a_row_add_up() {
    let gap = Witness::default();
    let gap_once = gap.clone();
    explore("flight: snapshots in a row", move || {
        let (producer, consumer) = flight_ring(4, 1);
        let writer = thread::spawn(move || (0..6).for_each(|_| assert!(push(&producer, 0, 1).is_some())));
        let mut flight = Flight::new(consumer);
        let first = flight.snapshot();
        let lost_before = flight.lost;
        let second = flight.snapshot();
        gap.note(!first.is_empty() && !second.is_empty() && flight.lost > lost_before);
        writer.join().unwrap();
        flight.snapshot();
        assert_eq!(flight.next_record, 6, "the newest record survives");
        assert_eq!(flight.read + flight.lost, 6, "the gap is exact");
    });
    assert!(gap_once.happened(), "no gap ever lay between two snapshots");
}
