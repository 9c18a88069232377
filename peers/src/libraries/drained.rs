//! The floor in a ring that another thread drains: slots shared as atomic words, full checked, the tail published; a consumer that
//! copies every record out once a millisecond, and in one setup writes it to a file.

use crate::library::{Kind, Library, Outcome, Recording, Row, Setup, bytes_below, spawn_each, work};
use crate::rows::floor::{Log, Ring, spanned};
use crate::rows::poll_each;
use std::array;
use std::cell::Cell;
use std::fs::File;
use std::hint::black_box;
use std::io::Write;
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::{Arc, Mutex};
use std::thread::JoinHandle;
use std::time::Duration;

pub struct Drained;

const ROWS: [Row; 1] = [Row {
    kind: Kind::Async,
    way: "floor, drained",
    spans: drained_async,
    tasks: Some(|n| spawn_each(n, || spanned::<_, Shared>(work()))),
}];

impl Library for Drained {
    fn name(&self) -> &'static str {
        "floor, drained"
    }

    fn package(&self) -> Option<&'static str> {
        None
    }

    fn rows(&self) -> &'static [Row] {
        &ROWS
    }

    fn setups(&self) -> &'static [Setup] {
        &[
            Setup {
                name: "to nothing",
                at_rest: None,
                note: "The floor with what a consumer needs (words stored atomically, a full ring refuses and counts, the tail \
                       published), and a thread that copies all records out every millisecond. Rings of 4 MiB, as spanring's here.",
            },
            Setup {
                name: "to a file",
                at_rest: None,
                note: "The same, and the thread gives what it has copied to `write`: no format, no sync.",
            },
        ]
    }

    fn start(&self, setup: usize, directory: &Path) -> Box<dyn Recording> {
        let file = (setup == 1).then(|| File::create(directory.join("records")).expect("the directory is writable"));
        let stop = Arc::new(AtomicBool::new(false));
        let consumer = {
            let stop = Arc::clone(&stop);
            std::thread::spawn(move || consume(file, &stop))
        };
        Box::new(Consumed {
            consumer: Some(consumer),
            stop,
            records: 0,
            directory: (setup == 1).then(|| directory.to_owned()),
        })
    }

    fn can_be_off(&self) -> bool {
        false
    }
}

const SLOTS: usize = (4 << 20) / 64;

#[repr(align(64))]
struct Slot([AtomicU64; 8]);

#[repr(align(64))]
struct Position(AtomicU64);

/// A thread's ring, as both sides see it. It is never freed: the threads are few.
struct SharedRing {
    slots: Box<[Slot; SLOTS]>,
    tail: Position,
    head: Position,
}

/// The writing side.
struct Producer {
    ring: Cell<Option<&'static SharedRing>>,
    next_slot: Cell<u64>,
    limit: Cell<u64>,
}

thread_local! {
    static PRODUCER: Producer =
        const { Producer { ring: Cell::new(None), next_slot: Cell::new(0), limit: Cell::new(0) } };
}

static RINGS: Mutex<Vec<&'static SharedRing>> = Mutex::new(Vec::new());

/// The floor's ring, if another thread reads it.
struct Shared;

impl Ring for Shared {
    #[inline(always)]
    fn write(_log: &Log, words: [u64; 8]) {
        PRODUCER.with(|producer| {
            let position = producer.next_slot.get();
            if position >= producer.limit.get() && !make_room(producer) {
                return;
            }
            let Some(ring) = producer.ring.get() else { return };
            let Slot(slot) = &ring.slots[position as usize % SLOTS];
            for (word, value) in slot.iter().zip(words) {
                word.store(value, Ordering::Relaxed);
            }
            producer.next_slot.set(position + 1);
            ring.tail.0.store(position + 1, Ordering::Release);
        });
    }
}

/// Looks at the consumer's head again; or makes the ring.
#[cold]
#[inline(never)]
fn make_room(producer: &Producer) -> bool {
    let ring = producer.ring.get().unwrap_or_else(|| {
        let slots: Box<[Slot]> = (0..SLOTS).map(|_| Slot(array::from_fn(|_| AtomicU64::new(0)))).collect();
        let slots = slots.try_into().unwrap_or_else(|_| unreachable!("as many were made"));
        let (tail, head) = (Position(AtomicU64::new(0)), Position(AtomicU64::new(0)));
        let ring: &'static SharedRing = Box::leak(Box::new(SharedRing { slots, tail, head }));
        RINGS.lock().expect("nobody panics with it").push(ring);
        producer.ring.set(Some(ring));
        ring
    });
    producer.limit.set(ring.head.0.load(Ordering::Acquire) + SLOTS as u64);
    producer.next_slot.get() < producer.limit.get()
}

#[inline(never)]
fn drained_async(spans: u64) {
    poll_each(spans, |number| spanned::<_, Shared>(async move { black_box(number) }));
}

/// Copies everything out, again and again, until told to stop. Returns how many records there were.
fn consume(mut file: Option<File>, stop: &AtomicBool) -> u64 {
    let mut bytes = Vec::with_capacity(SLOTS * size_of::<Slot>());
    let mut records = 0;
    loop {
        let last = stop.load(Ordering::Acquire);
        let rings = RINGS.lock().expect("nobody panics with it").clone();
        for ring in rings {
            let (head, tail) = (ring.head.0.load(Ordering::Relaxed), ring.tail.0.load(Ordering::Acquire));
            bytes.clear();
            for position in head..tail {
                let Slot(slot) = &ring.slots[position as usize % SLOTS];
                slot.iter().for_each(|word| bytes.extend_from_slice(&word.load(Ordering::Relaxed).to_ne_bytes()));
            }
            ring.head.0.store(tail, Ordering::Release);
            records += tail - head;
            match &mut file {
                Some(file) => file.write_all(&bytes).expect("the disk has room"),
                None => drop(black_box(&bytes)),
            }
        }
        if last {
            return records;
        }
        std::thread::sleep(Duration::from_millis(1));
    }
}

struct Consumed {
    consumer: Option<JoinHandle<u64>>,
    stop: Arc<AtomicBool>,
    records: u64,
    /// If it writes.
    directory: Option<PathBuf>,
}

impl Recording for Consumed {
    fn stop(&mut self) {
        self.stop.store(true, Ordering::Release);
        if let Some(consumer) = self.consumer.take() {
            self.records = consumer.join().expect("the consumer does not panic");
        }
    }

    fn outcome(&self, _: Row) -> Option<Outcome> {
        Some(Outcome { spans: self.records / 2, bytes: self.directory.as_deref().map(bytes_below) })
    }
}
