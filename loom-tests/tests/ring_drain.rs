//! The ring in drain discipline: nothing is read before it is whole, nothing is overwritten before it is given back, and what
//! finds no room is counted.
#![cfg(spanring_loom)]

use loom::sync::atomic::Ordering;
use loom::thread;
use spanring::queue::Storage;
use spanring_loom_tests::{Witness, drained_ring, explore, explore_all, push};

#[test]
fn records_arrive_whole_and_in_order_while_both_sides_run() {
    explore_all("drain: push and drain", || {
        let (producer, mut drain) = drained_ring(4, 1);
        let writer = thread::spawn(move || (0..3).for_each(|number| assert_eq!(push(&producer, 7, 1), Some(number))));
        drain.drain();
        drain.drain();
        writer.join().unwrap();
        drain.drain();
        drain.assert_all_accounted_for(3);
        assert_eq!(drain.lost(), 0);
        assert!(drain.read().iter().all(|record| record.thread == 7));
    });
}

#[test]
fn slots_are_overwritten_only_after_they_were_given_back() {
    let (lapped, dropped) = (Witness::default(), Witness::default());
    let (lapped_once, dropped_once) = (lapped.clone(), dropped.clone());
    explore("drain: wrap around", move || {
        let (producer, mut drain) = drained_ring(2, 1);
        let writer = thread::spawn(move || {
            for _ in 0..5 {
                push(&producer, 0, 1);
            }
            producer
        });
        for _ in 0..3 {
            drain.drain();
            thread::yield_now();
        }
        let producer = writer.join().unwrap();
        drain.drain();
        drain.assert_all_accounted_for(5);
        lapped.note(producer.position() == 5);
        dropped.note(drain.lost() == 3);
    });
    assert!(lapped_once.happened(), "a ring of two slots was never lapped twice");
    assert!(dropped_once.happened(), "the ring was never full");
}

#[test]
fn a_full_ring_drops_the_newest_and_the_gap_is_exact() {
    let between = Witness::default();
    let between_once = between.clone();
    explore_all("drain: full ring", move || {
        let (producer, mut drain) = drained_ring(2, 1);
        let writer = thread::spawn(move || {
            let kept: Vec<u64> = (0..4).filter_map(|_| push(&producer, 0, 1)).collect();
            assert_eq!(producer.record_number(), 4);
            kept
        });
        drain.drain();
        let kept = writer.join().unwrap();
        drain.drain();
        drain.assert_all_accounted_for(4);
        let read: Vec<u64> = drain.read().iter().map(|record| record.number).collect();
        assert_eq!(read, kept, "what was not dropped was read");
        between.note(read == [0, 1, 3]);
    });
    assert!(between_once.happened(), "no record was ever dropped between two that were kept");
}

#[test]
fn whoever_sees_a_drop_sees_its_count_and_all_records_before_it() {
    explore_all("drain: drop mark", || {
        let (producer, drain) = drained_ring(2, 1);
        let writer = thread::spawn(move || {
            for _ in 0..4 {
                push(&producer, 0, 1);
            }
        });
        let storage = drain.consumer().storage();
        let stored_mark = storage.drop_mark().load(Ordering::Acquire);
        let stored_tail = storage.tail().load(Ordering::Relaxed);
        let stored_count = storage.dropped().load(Ordering::Relaxed);
        let target = drain.target();
        let count = storage.dropped().load(Ordering::Relaxed);
        for (mark, tail, count) in [(stored_mark, stored_tail, stored_count), (target.drop_mark, target.tail, count)] {
            assert!(mark == 0 || tail == 2, "a record below the mark {mark} is not below the tail {tail}");
            assert!(mark == 0 || count + 2 >= mark, "dropped {count}, the last of them number {}", mark - 1);
        }
        writer.join().unwrap();
        assert_eq!(drain.target().drop_mark, 4);
    });
}

#[test]
fn a_record_of_several_slots_is_never_seen_partly() {
    let (wrapped, dropped) = (Witness::default(), Witness::default());
    let (wrapped_once, dropped_once) = (wrapped.clone(), dropped.clone());
    explore_all("drain: records of several slots", move || {
        let (producer, mut drain) = drained_ring(4, 2);
        let writer = thread::spawn(move || {
            let kept = [1, 2, 2, 1].map(|slots| push(&producer, 0, slots));
            // The third record lies in the last slot and the first.
            (kept, producer)
        });
        drain.drain();
        drain.drain();
        let (kept, producer) = writer.join().unwrap();
        drain.drain();
        drain.assert_all_accounted_for(4);
        wrapped.note(producer.position() == 6);
        dropped.note(kept[2].is_none() && kept[3].is_some());
    });
    assert!(wrapped_once.happened(), "no record ever lay across the end of the ring");
    assert!(dropped_once.happened(), "no long record was ever dropped before a short one that fitted");
}
