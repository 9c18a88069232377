//! The floor: two clock reads and two 64-byte slots per span, with ids, parent, depth and current span kept, and nothing else.
//!
//! No on/off switch, no names region, no start or stop, no loss count, nothing for panics or cancelled futures, a ring that
//! nobody can read meanwhile. It is what a recorder's cost is measured against, not a recorder.

use super::{poll_each, run_each};
use pin_project_lite::pin_project;
use std::cell::Cell;
use std::future::Future;
use std::hint::black_box;
use std::pin::Pin;
use std::sync::atomic::{AtomicU64, Ordering};
use std::task::{Context, Poll};

/// Slots in the ring: as many bytes as a thread's ring has by default.
pub const SLOTS: u64 = (512 << 10) / 64;

#[derive(Clone, Copy)]
#[repr(C, align(64))]
struct Slot([u64; 8]);

pub struct Log {
    slots: [Cell<Slot>; SLOTS as usize],
    next_slot: Cell<u64>,
    next_id: Cell<u64>,
    current: Cell<u64>,
    depth: Cell<u16>,
}

/// What a ring with a reader has beside.
struct Shared {
    /// Records end at or below this slot: the head last seen, and the ring's size.
    limit: Cell<u64>,
    tail: AtomicU64,
    head: AtomicU64,
}

thread_local! {
    static LOG: Log = const {
        Log {
            slots: [const { Cell::new(Slot([0; 8])) }; SLOTS as usize],
            next_slot: Cell::new(0),
            next_id: Cell::new(1),
            current: Cell::new(0),
            depth: Cell::new(0),
        }
    };
    static SHARED: Shared = const {
        Shared { limit: Cell::new(SLOTS), tail: AtomicU64::new(0), head: AtomicU64::new(0) }
    };
}

struct Place {
    name: &'static str,
    _line: u32,
}

static HERE: Place = Place { name: "floor", _line: line!() };

const BEGIN: u64 = 1;
const END: u64 = 2;

/// A ring without a reader, or one that a reader could follow.
pub trait Ring {
    fn write(log: &Log, words: [u64; 8]);
}

pub struct Plain;
struct Spsc;

impl Ring for Plain {
    #[inline(always)]
    fn write(log: &Log, words: [u64; 8]) {
        let position = log.next_slot.get();
        log.slots[(position % SLOTS) as usize].set(Slot(words));
        log.next_slot.set(position + 1);
    }
}

impl Ring for Spsc {
    #[inline(always)]
    fn write(log: &Log, words: [u64; 8]) {
        SHARED.with(|shared| {
            let position = log.next_slot.get();
            if position >= shared.limit.get() && !make_room(shared, position) {
                return;
            }
            log.slots[(position % SLOTS) as usize].set(Slot(words));
            log.next_slot.set(position + 1);
            shared.tail.store(position + 1, Ordering::Release);
        });
    }
}

/// Looks at the reader's head again. The reader is played here, by taking everything.
#[cold]
#[inline(never)]
fn make_room(shared: &Shared, position: u64) -> bool {
    shared.head.store(shared.tail.load(Ordering::Acquire), Ordering::Release);
    shared.limit.set(shared.head.load(Ordering::Acquire) + SLOTS);
    position < shared.limit.get()
}

/// A span that has begun.
#[derive(Clone, Copy)]
struct Begun {
    id: u64,
    ticks: u64,
}

#[inline(always)]
fn begin<R: Ring>(log: &Log, parent: u64, depth: u16) -> Begun {
    let id = log.next_id.get();
    log.next_id.set(id + 1);
    let ticks = ticks();
    R::write(log, words(BEGIN, ticks, Begun { id, ticks: 0 }, parent, depth));
    Begun { id, ticks }
}

#[inline(always)]
fn end<R: Ring>(log: &Log, begun: Begun, parent: u64, depth: u16) {
    R::write(log, words(END, ticks(), begun, parent, depth));
}

#[inline(always)]
fn words(kind: u64, ticks: u64, span: Begun, parent: u64, depth: u16) -> [u64; 8] {
    let place = std::ptr::from_ref(&HERE).addr() as u64;
    let name = HERE.name;
    let (address, length) = (name.as_ptr().addr() as u64, name.len() as u64);
    [kind | u64::from(depth) << 16, ticks, span.id, parent, place, address, length, span.ticks]
}

#[inline(always)]
fn ticks() -> u64 {
    #[cfg(target_arch = "x86_64")]
    // SAFETY: every x86-64 processor has the instruction, and it reads no memory.
    return unsafe { std::arch::x86_64::_rdtsc() };
    #[cfg(target_arch = "aarch64")]
    {
        let ticks: u64;
        // SAFETY: the register is readable from user space; nothing else is touched.
        unsafe { std::arch::asm!("mrs {}, cntvct_el0", out(reg) ticks, options(nomem, nostack, preserves_flags)) };
        ticks
    }
    #[cfg(not(any(target_arch = "x86_64", target_arch = "aarch64")))]
    return std::time::SystemTime::UNIX_EPOCH.elapsed().map_or(0, |now| now.as_nanos() as u64);
}

pin_project! {
    pub struct Spanned<F, R> {
        #[pin]
        future: F,
        parent: u64,
        depth: u16,
        begun: Option<Begun>,
        ring: std::marker::PhantomData<R>,
    }
}

#[inline(always)]
pub fn spanned<F, R>(future: F) -> Spanned<F, R> {
    let (parent, depth) = LOG.with(|log| (log.current.get(), log.depth.get()));
    Spanned { future, parent, depth, begun: None, ring: std::marker::PhantomData }
}

impl<F: Future, R: Ring> Future for Spanned<F, R> {
    type Output = F::Output;

    #[inline(always)]
    fn poll(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<F::Output> {
        let this = self.project();
        LOG.with(|log| {
            let begun = *this.begun.get_or_insert_with(|| begin::<R>(log, *this.parent, *this.depth));
            let before = (log.current.replace(begun.id), log.depth.replace(*this.depth + 1));
            let result = this.future.poll(cx);
            log.current.set(before.0);
            log.depth.set(before.1);
            if result.is_ready() {
                end::<R>(log, begun, *this.parent, *this.depth);
            }
            result
        })
    }
}

/// Async spans in a ring without a reader.
#[inline(never)]
pub fn plain_async(spans: u64) {
    poll_each(spans, |number| spanned::<_, Plain>(async move { black_box(number) }));
}

/// The same in a ring that a reader could follow: full is checked, and the tail published.
#[inline(never)]
pub fn spsc_async(spans: u64) {
    poll_each(spans, |number| spanned::<_, Spsc>(async move { black_box(number) }));
}

/// Thread spans in a ring without a reader.
#[inline(never)]
pub fn plain_sync(spans: u64) {
    run_each(spans, |number| {
        LOG.with(|log| {
            let (parent, depth) = (log.current.get(), log.depth.get());
            let begun = begin::<Plain>(log, parent, depth);
            log.depth.set(depth + 1);
            black_box(number);
            log.depth.set(depth);
            end::<Plain>(log, begun, parent, depth);
        });
    });
}
