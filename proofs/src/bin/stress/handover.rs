//! Plain memory that is handed over with the records which say so: to whoever drains the ring, and back to the thread that records.
//!
//! The words of a ring are atomic, so no tool would report how they are used. Plain memory beside them is safe only if the ring's own
//! orderings make it so: what a thread wrote before it published a record is seen by whoever reads that record, and what a drain
//! read before it gave a slot back was read before the slot is used again.

use crate::outcome::{Trouble, ensure};
use crate::{pause_after, size};
use spanring::Recorder;
use spanring::dispatch::on_begin_async_named_scope;
use spanring::events::{SLOT_BYTES, SLOT_WORDS, Slot, SpanFields, records};
use spanring::format::BlockKind;
use spanring::prelude::*;
use spanring::sink::{Block, Sink};
use std::cell::UnsafeCell;
use std::io;
use std::sync::{Arc, Mutex};
use std::time::Duration;

const THREADS: u64 = size(2, 4);
/// Slots in the smallest ring.
const RING_SLOTS: u64 = 64;
const RING_BYTES: u64 = RING_SLOTS * SLOT_BYTES as u64;

static_span_location!(PLACE);

/// What a record does that finds its ring full.
#[derive(Clone, Copy, PartialEq)]
pub enum WhenFull {
    /// It is dropped. Each record has a cell of its own.
    Drop,
    /// It waits for room, so the cells are used again as the slots of the ring are.
    Wait,
}

/// Plain memory of one thread: a cell for each of its records, which holds the record's number.
struct Cells(Box<[UnsafeCell<u64>]>);

// SAFETY: a cell is written before its record is published and read while that is drained. A cell that is used again was used so
// many records ago that the ring came round since: its slot was given back.
unsafe impl Sync for Cells {}

impl Cells {
    fn new(count: u64) -> Cells {
        Cells((0..count).map(|_| UnsafeCell::new(u64::MAX)).collect())
    }

    fn of(&self, number: u64) -> *mut u64 {
        self.0[number as usize % self.0.len()].get()
    }
}

/// What was drained.
#[derive(Default)]
struct Drained {
    records: u64,
    /// Of each thread, the number that no record may be below.
    next: [u64; THREADS as usize],
    trouble: Option<String>,
}

/// A sink that looks into the cell of every record.
struct Watcher {
    cells: Arc<Vec<Cells>>,
    drained: Arc<Mutex<Drained>>,
}

impl Sink for Watcher {
    fn write(&mut self, block: Block<'_>) -> io::Result<()> {
        if block.kind != BlockKind::Records {
            return Ok(());
        }
        let word = |bytes: &[u8]| bytes.iter().rev().fold(0, |word, byte| word << 8 | u64::from(*byte));
        let slot = |bytes: &[u8]| Slot(std::array::from_fn::<_, SLOT_WORDS, _>(|at| word(&bytes[at * 8..at * 8 + 8])));
        let slots: Vec<Slot> = block.payload.chunks_exact(SLOT_BYTES).map(slot).collect();
        let mut drained = self.drained.lock().map_err(|_| io::ErrorKind::Other)?;
        for record in records(&slots) {
            // Whose record it is, and which, stands where the parent would.
            let says = SpanFields::from_slot(&record[0]).parent_span_id;
            let (thread, number) = ((says >> 32) as usize, says & u64::from(u32::MAX));
            // SAFETY: as for `Cells`.
            let handed_over = unsafe { *self.cells[thread].of(number) };
            if handed_over != number || number < drained.next[thread] {
                let next = drained.next[thread];
                drained.trouble = Some(format!("thread {thread}: {number} after {next}, with {handed_over}"));
            }
            drained.next[thread] = number + 1;
            drained.records += 1;
        }
        Ok(())
    }

    fn finish(&mut self) -> io::Result<()> {
        Ok(())
    }
}

pub fn run(scale: u64, when_full: WhenFull) -> Result<String, Trouble> {
    let records_each = scale * size(RING_SLOTS * 5 / 2, 20_000);
    // A record whose number is that much higher needs the slot that was behind this one, even if some were dropped between.
    let cells_each = if when_full == WhenFull::Wait { 2 * RING_SLOTS } else { records_each };
    let cells = Arc::new((0..THREADS).map(|_| Cells::new(cells_each)).collect::<Vec<_>>());
    let drained = Arc::new(Mutex::new(Drained::default()));
    let watcher = Watcher { cells: Arc::clone(&cells), drained: Arc::clone(&drained) };
    let wait = if when_full == WhenFull::Wait { Duration::from_secs(1) } else { Duration::ZERO };
    let builder = Recorder::builder().sink(watcher).ring_bytes(RING_BYTES).wait_when_full(wait);
    let recorder = builder.flush_interval(Duration::from_millis(1)).start().map_err(|error| error.to_string())?;
    std::thread::scope(|scope| {
        for (cells, thread) in cells.iter().zip(0..) {
            scope.spawn(move || {
                for number in 0..records_each {
                    // SAFETY: as for `Cells`.
                    unsafe { *cells.of(number) = number };
                    on_begin_async_named_scope(&PLACE, "handed over", thread << 32 | number, 0);
                    if when_full == WhenFull::Drop {
                        pause_after(number);
                    }
                }
            });
        }
    });
    let health = recorder.stop().map_err(|error| error.to_string())?;
    let drained = drained.lock().map_err(|_| "the sink panicked".to_owned())?;
    let (read, lost, recorded) = (drained.records, health.lost, THREADS * records_each);
    ensure!(drained.trouble.is_none(), "{:?}", drained.trouble);
    ensure!(read + lost == recorded, "{recorded} recorded, {read} read, {lost} lost");
    ensure!(when_full == WhenFull::Drop || lost < RING_SLOTS / 2, "{lost} waits were too short");
    Ok(format!("{THREADS} threads, {recorded} recorded = {read} read + {lost} lost, {} waits", health.waits))
}
