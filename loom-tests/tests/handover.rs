//! Rings and threads: a ring goes from a thread that has ended to a new one, and the flusher learns of new rings and owners
//! through a mutex, while it drains.
#![cfg(spanring_loom)]

use loom::sync::Mutex;
use loom::thread;
use spanring_loom_tests::{Drain, Producer, Record, Target, Witness, drained_ring, explore, explore_all, push};
use std::sync::Arc;

/// From which slot and record on a thread owns a ring.
#[derive(Clone, Copy, Debug)]
struct Owner {
    ring: usize,
    thread: u64,
    position: u64,
    record_number: u64,
}

/// The rings of a recording, in the steps of `recorder::pool`.
#[derive(Default)]
struct Pool {
    free: Vec<(usize, Producer)>,
    new_rings: Vec<Drain>,
    new_owners: Vec<Owner>,
    rings: usize,
}

impl Pool {
    /// A ring for a thread: a free one if there is one.
    fn enlist(&mut self, thread: u64, capacity: u64) -> (usize, Producer) {
        let (ring, producer) = self.free.pop().unwrap_or_else(|| {
            let (producer, drain) = drained_ring(capacity, 1);
            self.new_rings.push(drain);
            self.rings += 1;
            (self.rings - 1, producer)
        });
        let (position, record_number) = (producer.position(), producer.record_number());
        self.new_owners.push(Owner { ring, thread, position, record_number });
        (ring, producer)
    }
}

/// Records so often in a ring of the pool, and gives it back.
fn record(pool: &Mutex<Pool>, thread: u64, times: u64, capacity: u64) {
    let (ring, producer) = pool.lock().unwrap().enlist(thread, capacity);
    for _ in 0..times {
        push(&producer, thread, 1);
    }
    pool.lock().unwrap().free.push((ring, producer));
}

/// The flusher, in the steps of `Drainer::drain`.
struct Flusher {
    pool: Arc<Mutex<Pool>>,
    rings: Vec<Drain>,
    owners: Vec<Owner>,
    read: Vec<Record>,
}

impl Flusher {
    fn new(pool: &Arc<Mutex<Pool>>) -> Flusher {
        Flusher { pool: Arc::clone(pool), rings: Vec::new(), owners: Vec::new(), read: Vec::new() }
    }

    fn admit_newcomers(&mut self) {
        let mut pool = self.pool.lock().unwrap();
        self.rings.append(&mut pool.new_rings);
        self.owners.append(&mut pool.new_owners);
    }

    /// One round. Every record it reads must be of the thread that is known to own its slot by then.
    fn drain(&mut self) {
        self.admit_newcomers();
        let targets: Vec<Target> = self.rings.iter().map(Drain::target).collect();
        self.admit_newcomers();
        for (ring, (drain, target)) in self.rings.iter_mut().zip(targets).enumerate() {
            let first = drain.position();
            for (record, position) in drain.drain_to(target).into_iter().zip(first..) {
                let owner = self.owners.iter().rfind(|owner| owner.ring == ring && owner.position <= position);
                let owner = owner.expect("the ring has had no owner yet");
                assert_eq!(record.thread, owner.thread, "{record:?} at {position} is not of {owner:?}");
                assert!(record.number >= owner.record_number, "{record:?} is older than its owner {owner:?}");
                self.read.push(record);
            }
        }
    }

    /// Records read of each thread.
    fn read_of(&self, thread: u64) -> usize {
        self.read.iter().filter(|record| record.thread == thread).count()
    }

    fn lost(&self) -> u64 {
        self.rings.iter().map(Drain::lost).sum()
    }
}

#[test]
fn a_ring_goes_from_a_thread_to_the_next_without_losing_count() {
    let dropped = Witness::default();
    let dropped_once = dropped.clone();
    explore("handover: one thread after the other", move || {
        let pool = Arc::new(Mutex::new(Pool::default()));
        let threads = Arc::clone(&pool);
        let first = thread::spawn(move || {
            record(&threads, 1, 2, 2);
            thread::spawn(move || record(&threads, 2, 2, 2)).join().unwrap();
        });
        let mut flusher = Flusher::new(&pool);
        flusher.drain();
        flusher.drain();
        first.join().unwrap();
        flusher.drain();
        assert_eq!(pool.lock().unwrap().rings, 1, "the second thread took the first one's ring");
        assert_eq!(flusher.read_of(1), 2);
        flusher.rings[0].assert_all_accounted_for(4);
        dropped.note(flusher.lost() == 2);
    });
    assert!(dropped_once.happened(), "the second thread never found the ring full");
}

#[test]
fn rings_of_threads_that_come_and_go_are_told_apart() {
    let (reused, two) = (Witness::default(), Witness::default());
    let (reused_once, two_once) = (reused.clone(), two.clone());
    explore_all("handover: threads come and go", move || {
        let pool = Arc::new(Mutex::new(Pool::default()));
        let threads = [1, 2].map(|thread| {
            let pool = Arc::clone(&pool);
            thread::spawn(move || record(&pool, thread, 1, 2))
        });
        let mut flusher = Flusher::new(&pool);
        flusher.drain();
        for thread in threads {
            thread.join().unwrap();
        }
        flusher.drain();
        assert_eq!((flusher.read_of(1), flusher.read_of(2), flusher.lost()), (1, 1, 0));
        reused.note(flusher.rings.len() == 1);
        two.note(flusher.rings.len() == 2);
    });
    assert!(reused_once.happened() && two_once.happened(), "the threads never met, or always");
}

#[test]
fn what_was_recorded_before_a_flush_is_read_by_it() {
    let unowned = Witness::default();
    let unowned_once = unowned.clone();
    explore_all("registration: flush after record", move || {
        let pool = Arc::new(Mutex::new(Pool::default()));
        let done = Arc::new(Mutex::new(0));
        let thread = {
            let (pool, done) = (Arc::clone(&pool), Arc::clone(&done));
            thread::spawn(move || {
                for thread in [1, 2] {
                    record(&pool, thread, 1, 4);
                    *done.lock().unwrap() += 1;
                }
            })
        };
        let before = *done.lock().unwrap();
        let mut flusher = Flusher::new(&pool);
        flusher.drain();
        assert!(flusher.read.len() >= before, "{before} threads had recorded, {:?} was read", flusher.read);
        unowned.note(flusher.owners.len() > flusher.read.len());
        thread.join().unwrap();
        flusher.drain();
        assert_eq!((flusher.read_of(1), flusher.read_of(2)), (1, 1));
    });
    assert!(unowned_once.happened(), "no owner was ever admitted before its first record");
}
