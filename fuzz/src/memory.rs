//! Counts what is allocated.

use std::alloc::{GlobalAlloc, Layout, System};
use std::sync::atomic::{AtomicU64, AtomicUsize, Ordering};

struct Counting;

#[global_allocator]
static COUNTING: Counting = Counting;

static LIVE: AtomicUsize = AtomicUsize::new(0);
static PEAK: AtomicUsize = AtomicUsize::new(0);

fn grow(bytes: usize) {
    let live = LIVE.fetch_add(bytes, Ordering::Relaxed) + bytes;
    PEAK.fetch_max(live, Ordering::Relaxed);
}

// SAFETY: every call is handed on as it is; the counters are no part of it.
unsafe impl GlobalAlloc for Counting {
    unsafe fn alloc(&self, layout: Layout) -> *mut u8 {
        grow(layout.size());
        // SAFETY: the caller keeps the contract.
        unsafe { System.alloc(layout) }
    }

    unsafe fn alloc_zeroed(&self, layout: Layout) -> *mut u8 {
        grow(layout.size());
        // SAFETY: the caller keeps the contract.
        unsafe { System.alloc_zeroed(layout) }
    }

    unsafe fn dealloc(&self, block: *mut u8, layout: Layout) {
        LIVE.fetch_sub(layout.size(), Ordering::Relaxed);
        // SAFETY: the caller keeps the contract.
        unsafe { System.dealloc(block, layout) }
    }

    unsafe fn realloc(&self, block: *mut u8, layout: Layout, bytes: usize) -> *mut u8 {
        // Both may be there at a time.
        grow(bytes);
        LIVE.fetch_sub(layout.size(), Ordering::Relaxed);
        // SAFETY: the caller keeps the contract.
        unsafe { System.realloc(block, layout, bytes) }
    }
}

/// A bound on what some step allocates, and the most that was seen.
pub struct Bound {
    /// What the step is called.
    pub step: &'static str,
    /// Bytes that any input may take.
    pub constant: u64,
    /// Bytes for each byte of input.
    pub factor: u64,
    /// The highest factor seen so far, in hundredths.
    seen: AtomicU64,
}

impl Bound {
    /// A bound.
    pub const fn new(step: &'static str, constant: u64, factor: u64) -> Bound {
        Bound { step, constant, factor, seen: AtomicU64::new(0) }
    }

    /// Does it, and checks what it allocated at its peak. A new highest factor is reported, for whoever wants to know.
    ///
    /// # Panics
    /// If the bound does not hold.
    pub fn hold<T>(&self, input_bytes: u64, work: impl FnOnce() -> T) -> T {
        let before = LIVE.load(Ordering::Relaxed);
        PEAK.store(before, Ordering::Relaxed);
        let result = work();
        let peak = (PEAK.load(Ordering::Relaxed) - before) as u64;
        let Bound { step, constant, factor, .. } = self;
        assert!(
            peak <= constant + factor * input_bytes,
            "{step}: {peak} bytes of memory for {input_bytes} bytes of files, and {constant} + {factor} for each byte may be"
        );
        let hundredths = peak.saturating_sub(*constant) * 100 / input_bytes.max(1);
        if hundredths > self.seen.fetch_max(hundredths, Ordering::Relaxed) {
            let ratio = hundredths as f64 / 100.0;
            eprintln!(
                "new peak: {step}: {peak} bytes of memory for {input_bytes} bytes of files: {constant} + {ratio:.2} x"
            );
        }
        result
    }
}
