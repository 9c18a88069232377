//! 15: a signal handler that records interrupts code that records.
//!
//! A timer interrupts a loop for a while; and, since a timer rarely hits the few instructions that matter, a child is stepped through
//! one recording call and interrupted after each of its instructions. Each event is read back whole, lost and counted, or refused
//! and counted; nothing hangs, and the handler never allocates.

use crate::acts::{Act, text};
use crate::contents::Contents;
use crate::outcome::{Proven, Scale, Shown, Trouble, ensure};
use crate::p05_inside_a_record::{CASES, record};
use crate::process::{Page, myself, scratch, start, wait_at_most};
use crate::trace::Stepped;
use spanring::prelude::*;
use spanring::{Recorder, RecorderGuard};
use std::alloc::{GlobalAlloc, Layout, System};
use std::cell::Cell;
use std::path::Path;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::{Duration, Instant};

pub const STORM: &str = "signal-storm";
pub const STEPPED: &str = "interrupted-record";

/// Counts what is allocated in a signal handler.
pub struct CountingAllocator;

thread_local! {
    static IN_HANDLER: Cell<bool> = const { Cell::new(false) };
}
static ALLOCATIONS_IN_HANDLER: AtomicU64 = AtomicU64::new(0);
static HANDLED: AtomicU64 = AtomicU64::new(0);

// SAFETY: everything is passed on to the system's allocator.
unsafe impl GlobalAlloc for CountingAllocator {
    unsafe fn alloc(&self, layout: Layout) -> *mut u8 {
        if IN_HANDLER.get() {
            ALLOCATIONS_IN_HANDLER.fetch_add(1, Ordering::Relaxed);
        }
        // SAFETY: the caller's promise is passed on.
        unsafe { System.alloc(layout) }
    }

    unsafe fn dealloc(&self, pointer: *mut u8, layout: Layout) {
        // SAFETY: the caller's promise is passed on.
        unsafe { System.dealloc(pointer, layout) }
    }
}

static_span_location!(IN_A_HANDLER);

/// Records begin and end of a thread span and the begin of an async span: by guard and by hand, which go different ways.
extern "C" fn handler(_: libc::c_int) {
    IN_HANDLER.set(true);
    {
        span_scope!("a scope in a handler");
    }
    spanring::dispatch::on_begin_named_scope(&IN_A_HANDLER, "by hand in a handler");
    spanring::dispatch::on_end_named_scope(&IN_A_HANDLER, "by hand in a handler");
    spanring::dispatch::on_begin_async_named_scope(&IN_A_HANDLER, "async in a handler", 0, 0);
    HANDLED.fetch_add(1, Ordering::Relaxed);
    IN_HANDLER.set(false);
}

fn handle(signal: libc::c_int) -> std::io::Result<()> {
    // SAFETY: all zeroes is an action; the handler does nothing but record, which is what this proof is about.
    let installed = unsafe {
        let mut action: libc::sigaction = std::mem::zeroed();
        action.sa_sigaction = handler as extern "C" fn(libc::c_int) as usize;
        action.sa_flags = libc::SA_RESTART;
        libc::sigaction(signal, &action, std::ptr::null_mut())
    };
    if installed == 0 { Ok(()) } else { Err(std::io::Error::last_os_error()) }
}

/// Lets a signal reach threads that are started from here on, or not.
fn mask(how: libc::c_int, signal: libc::c_int) {
    // SAFETY: the set is initialised before it is used.
    unsafe {
        let mut set: libc::sigset_t = std::mem::zeroed();
        libc::sigemptyset(&mut set);
        libc::sigaddset(&mut set, signal);
        libc::pthread_sigmask(how, &set, std::ptr::null_mut());
    }
}

/// Words of the shared page, beside those of proof 5.
const BEGUN_BY_MAIN: usize = 1;
const HANDLERS: usize = 2;
const REFUSED: usize = 3;
const ALLOCATIONS: usize = 4;

fn stop(page: &Page, recorder: RecorderGuard) {
    let refused = recorder.stop().map_or(u64::MAX, |health| health.refused);
    page.word(REFUSED).store(refused, Ordering::Relaxed);
    page.word(HANDLERS).store(HANDLED.load(Ordering::Relaxed), Ordering::Relaxed);
    page.word(ALLOCATIONS).store(ALLOCATIONS_IN_HANDLER.load(Ordering::Relaxed), Ordering::Release);
}

/// Records in a loop while a timer fires so many times a second.
pub fn storm(arguments: &[String]) -> Result<(), Trouble> {
    let number = |index: usize| arguments[index].parse::<u64>().unwrap_or(1);
    let (rate, milliseconds) = (number(0), number(1));
    let directory = Path::new(&arguments[2]);
    let page = Page::open(&directory.join("page"))?;
    mask(libc::SIG_BLOCK, libc::SIGALRM);
    let recorder =
        Recorder::builder().directory(directory.join("recording")).start().map_err(|error| error.to_string())?;
    spanring::dispatch::init_thread_stream();
    handle(libc::SIGALRM)?;
    mask(libc::SIG_UNBLOCK, libc::SIGALRM);
    let time = libc::timeval { tv_sec: 0, tv_usec: (1_000_000 / rate) as libc::suseconds_t };
    // SAFETY: the timer is read by the call only.
    unsafe {
        libc::setitimer(libc::ITIMER_REAL, &libc::itimerval { it_interval: time, it_value: time }, std::ptr::null_mut())
    };
    let start = Instant::now();
    let mut begun = 0;
    while start.elapsed() < Duration::from_millis(milliseconds) {
        for _ in 0..100 {
            let act = if begun % 3 == 0 { Act::RunTime(100) } else { Act::Begin };
            act.prepare(begun)();
            begun += 1;
        }
    }
    // SAFETY: as above.
    unsafe { libc::setitimer(libc::ITIMER_REAL, &std::mem::zeroed(), std::ptr::null_mut()) };
    page.word(BEGUN_BY_MAIN).store(begun, Ordering::Relaxed);
    stop(&page, recorder);
    Ok(())
}

/// Is stepped through one record, and interrupted in it.
pub fn stepped(arguments: &[String]) -> Result<(), Trouble> {
    let case = CASES.get(arguments[0].parse::<usize>().unwrap_or(0)).ok_or_else(|| "no such case".to_owned())?;
    handle(libc::SIGUSR1)?;
    record(case, Path::new(&arguments[1]), stop)
}

pub fn run(scale: Scale) -> Proven {
    let storms: &[u64] = &[1_000, 20_000];
    let (mut handlers, mut refused, mut allocations) = (0, 0, 0);
    for rate in storms {
        let counts = survive_storm(*rate, if scale.full { 10_000 } else { 2_000 })?;
        handlers += counts.handlers;
        refused += counts.refused;
        allocations += counts.allocations;
    }
    let stride = |case: usize| match CASES[case].act {
        // What is kept of open thread spans is not the recorder's own state, and is in danger for a few instructions.
        Act::Scope => 1,
        Act::NewName => 31,
        _ if scale.full => 1,
        _ => 11,
    };
    let mut points = 0;
    // Of a begin, a run-time name, the sight of a new name, a thread span, and a full ring.
    for case in [0, 2, 3, 4, 6] {
        let counts = interrupt_everywhere(case, stride(case))?;
        points += counts.handlers;
        refused += counts.refused;
        allocations += counts.allocations;
    }
    ensure!(allocations == 0, "{allocations} allocations in {} handlers", handlers + points);
    Ok(Shown {
        amount: format!("{handlers} handlers of a timer at {storms:?} Hz, {points} points within a record"),
        shown: format!(
            "0 hangs, 0 torn, no allocation, attempts = read + lost + refused exactly; {refused} handlers refused"
        ),
    })
}

#[derive(Default)]
struct Counts {
    handlers: u64,
    refused: u64,
    allocations: u64,
}

/// Records of a handler that is not refused: begin and end by guard, begin and end by hand, begin of an async span.
const RECORDS: u64 = 5;
/// Refusals of a handler that interrupts a record: the ends of begins that are refused are not attempted.
const REFUSALS: u64 = 3;

/// Compares what was attempted with what is there. A handler interrupts a record or does not, so all of its events are refused, or
/// none.
fn check(contents: &Contents, page: &Page, begun_by_main: u64) -> Result<Counts, Trouble> {
    contents.check_sound()?;
    let word = |index: usize| page.word(index).load(Ordering::Acquire);
    let (handlers, refused) = (word(HANDLERS), word(REFUSED));
    let (read, lost) = (contents.summary.records, contents.summary.lost);
    let attempts = begun_by_main + handlers * RECORDS;
    ensure!(
        refused % REFUSALS == 0 && attempts == read + lost + refused / REFUSALS * RECORDS,
        "{begun_by_main} records attempted + {handlers} handlers; {read} read, {lost} lost, {refused} refused"
    );
    Ok(Counts { handlers, refused: refused / REFUSALS, allocations: word(ALLOCATIONS) })
}

fn survive_storm(rate: u64, milliseconds: u64) -> Result<Counts, Trouble> {
    let directory = scratch()?;
    let page = Page::create(&directory.path().join("page"))?;
    let arguments = [rate.to_string(), milliseconds.to_string(), directory.path().display().to_string()];
    let mut child = start(&myself()?, STORM, &arguments)?;
    let status = wait_at_most(&mut child, Duration::from_millis(milliseconds + 20_000))?;
    let Some(status) = status else { return Err(format!("deadlock at {rate} Hz").into()) };
    ensure!(status.success(), "the process ended with {status} at {rate} Hz");
    let contents = Contents::read(&directory.path().join("recording"))?;
    let begun = page.word(BEGUN_BY_MAIN).load(Ordering::Acquire);
    let by_main = contents.records.iter().filter(|record| !record.name.ends_with("in a handler"));
    for record in by_main {
        let whole = record.name == text(record.name.split(':').next().and_then(|n| n.parse().ok()).unwrap_or(0), 100)
            || record.name == crate::acts::name(record.parent & 0xffff_ffff);
        ensure!(whole, "torn: {record:?}");
    }
    check(&contents, &page, begun)
}

fn interrupt_everywhere(case: usize, stride: u64) -> Result<Counts, Trouble> {
    let mut sum = Counts::default();
    let mut steps = 0;
    loop {
        let directory = scratch()?;
        let page = Page::create(&directory.path().join("page"))?;
        let arguments = [case.to_string(), directory.path().display().to_string()];
        let mut child = Stepped::wait_for(start(&myself()?, STEPPED, &arguments)?)?;
        let before = page.word(0).load(Ordering::Acquire);
        let mut done = 0;
        while done < steps && page.word(0).load(Ordering::Acquire) == before {
            child.step()?;
            done += 1;
        }
        let at_the_end = page.word(0).load(Ordering::Acquire) != before;
        let place = format!("interrupted after {done} instructions of {:?}", CASES[case].what);
        match child.run_on_with(libc::SIGUSR1, 10_000)? {
            None => return Err(format!("{place}: deadlock").into()),
            Some(status) => ensure!(status == 0, "{place}: the process ended with status {status:#x}"),
        }
        let contents = Contents::read(&directory.path().join("recording"))?;
        let counts = check(&contents, &page, before + 1).map_err(|trouble| match trouble {
            Trouble::Broken(what) => Trouble::Broken(format!("{place}: {what}")),
            unable => unable,
        })?;
        sum.handlers += counts.handlers;
        sum.refused += counts.refused;
        sum.allocations += counts.allocations;
        if at_the_end {
            return Ok(sum);
        }
        steps += stride;
    }
}
