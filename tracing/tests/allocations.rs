//! What the layer allocates beside the registry: one box for each span, and nothing for its fields, enters and ends.

use spanring::Recorder;
use std::alloc::{GlobalAlloc, Layout, System};
use std::cell::Cell;
use tracing::field::Empty;
use tracing::{Subscriber, error, info_span};
use tracing_subscriber::prelude::*;

/// Counts the allocations of each thread.
struct Counting;

thread_local! {
    static ALLOCATIONS: Cell<u64> = const { Cell::new(0) };
}

// SAFETY: everything is left to the system's allocator; this only counts, in a cell that needs no allocation itself.
unsafe impl GlobalAlloc for Counting {
    unsafe fn alloc(&self, layout: Layout) -> *mut u8 {
        ALLOCATIONS.set(ALLOCATIONS.get() + 1);
        // SAFETY: as our caller promises.
        unsafe { System.alloc(layout) }
    }

    unsafe fn dealloc(&self, pointer: *mut u8, layout: Layout) {
        // SAFETY: as our caller promises.
        unsafe { System.dealloc(pointer, layout) }
    }
}

#[global_allocator]
static ALLOCATOR: Counting = Counting;

const SPANS: u64 = 100;

fn make_spans() {
    for number in 0..SPANS {
        let list = [1, 2, 3];
        let span = info_span!("span", number, half = 0.5, text = "text", ?list, later = Empty);
        span.record("later", format_args!("{number} again"));
        span.in_scope(|| error!(error = "broken", "failed"));
    }
}

/// Allocations of this thread for so many spans, once it has seen as many.
fn allocations_under(subscriber: impl Subscriber + Send + Sync + 'static) -> u64 {
    tracing::subscriber::with_default(subscriber, || {
        make_spans();
        let before = ALLOCATIONS.get();
        make_spans();
        ALLOCATIONS.get() - before
    })
}

#[test]
fn the_layer_allocates_one_box_for_each_span() {
    let recorder = Recorder::builder().memory().ring_bytes(1 << 20).start().unwrap();
    let without = allocations_under(tracing_subscriber::registry());
    let with = allocations_under(tracing_subscriber::registry().with(spanring_tracing::layer()));
    assert_eq!(with - without, SPANS);
    let health = recorder.stop().unwrap();
    // Begin and end, five fields, and the error, twice over.
    assert_eq!((health.flushed, health.lost), (2 * SPANS * 8, 0));
    let off = allocations_under(tracing_subscriber::registry().with(spanring_tracing::layer()));
    assert_eq!(off, without);
}
