//! Ticks: the cheapest clock that can be trusted, and anchors that tie it to time.
//!
//! x86-64: the time stamp counter, where the processor says that it is invariant and (on Linux) the kernel itself keeps time
//! by it. aarch64: `cntvct_el0`. Anything else: nanoseconds of the system's monotonic clock. Readers turn ticks into time with
//! the anchors, so a rate measured at the start need not hold for hours; order within a thread never depends on the clock.

use crate::format::{Anchor, TickSource};
use crate::sync::{AtomicBool, Ordering};
use std::sync::OnceLock;
use std::time::{Duration, Instant, SystemTime};

/// Whether ticks come from the processor's counter. Written before a recorder starts, and never while one runs.
static PROCESSOR_COUNTER: AtomicBool = AtomicBool::new(false);

/// What the ticks are, and how fast.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Clock {
    pub(crate) source: TickSource,
    pub(crate) ticks_per_second: u64,
}

/// Chooses the clock of this process, while no recorder runs: the best that can be trusted, or the system's own. The first call takes
/// about two milliseconds to measure a rate.
pub(crate) fn choose(system: bool) -> Clock {
    static TRUSTED: OnceLock<Clock> = OnceLock::new();
    const SYSTEM: Clock = Clock { source: TickSource::Monotonic, ticks_per_second: 1_000_000_000 };
    let measure = || {
        let source = trusted_source();
        tick_by(source);
        Clock { source, ticks_per_second: ticks_per_second(source) }
    };
    let clock = if system { SYSTEM } else { *TRUSTED.get_or_init(measure) };
    tick_by(clock.source);
    clock
}

fn tick_by(source: TickSource) {
    // Relaxed: whoever records has seen the recorder's generation, which is published after this.
    PROCESSOR_COUNTER.store(source != TickSource::Monotonic, Ordering::Relaxed);
}

/// The ticks now.
#[inline(always)]
pub(crate) fn ticks() -> u64 {
    if PROCESSOR_COUNTER.load(Ordering::Relaxed) { counter() } else { monotonic_ns() }
}

/// Whether ticks come from the processor's counter.
pub(crate) fn is_processor_counter() -> bool {
    PROCESSOR_COUNTER.load(Ordering::Relaxed)
}

/// The ticks now, where [`is_processor_counter`] was asked before.
#[inline(always)]
pub(crate) fn processor_ticks() -> u64 {
    counter()
}

/// Ticks, monotonic and wall clock at one instant: of a few tries the one in which reading them took least.
pub(crate) fn anchor() -> Anchor {
    let once = || {
        let before = ticks();
        let monotonic_ns = monotonic_ns();
        let after = ticks();
        let unix_ns = unix_ns();
        let spread = after.wrapping_sub(before);
        (spread, Anchor { ticks: before.wrapping_add(spread / 2), monotonic_ns, unix_ns })
    };
    let best = (0..3).map(|_| once()).min_by_key(|(spread, _)| *spread);
    best.map(|(_, anchor)| anchor).unwrap_or_default()
}

/// Nanoseconds since 1970. Under Miri, which is isolated from the wall clock: since the program began.
fn unix_ns() -> u64 {
    if cfg!(miri) {
        return monotonic_ns();
    }
    SystemTime::now().duration_since(SystemTime::UNIX_EPOCH).unwrap_or(Duration::ZERO).as_nanos() as u64
}

/// Nanoseconds of the system's monotonic clock: since boot on Linux, else since the first call.
#[cfg(unix)]
fn monotonic_ns() -> u64 {
    let mut time = libc::timespec { tv_sec: 0, tv_nsec: 0 };
    // SAFETY: the call fills the `timespec` that it is given, and this clock always exists.
    unsafe { libc::clock_gettime(libc::CLOCK_MONOTONIC, &mut time) };
    time.tv_sec as u64 * 1_000_000_000 + time.tv_nsec as u64
}

#[cfg(not(unix))]
fn monotonic_ns() -> u64 {
    static START: OnceLock<Instant> = OnceLock::new();
    START.get_or_init(Instant::now).elapsed().as_nanos() as u64
}

#[cfg(all(target_arch = "x86_64", not(miri)))]
#[inline(always)]
fn counter() -> u64 {
    let ticks: u64;
    // SAFETY: every x86-64 processor has the instruction, and it reads no memory.
    //
    // Its halves are joined at once: left to itself the compiler keeps two registers for what it writes later.
    unsafe {
        std::arch::asm!("rdtsc", "shl rdx, 32", "or rax, rdx", out("rax") ticks, out("rdx") _, options(nomem, nostack));
    }
    ticks
}

#[cfg(all(target_arch = "aarch64", not(miri)))]
#[inline(always)]
fn counter() -> u64 {
    let ticks: u64;
    // SAFETY: the register is readable from user space on every supported system; nothing else is touched.
    unsafe { std::arch::asm!("mrs {}, cntvct_el0", out(reg) ticks, options(nomem, nostack, preserves_flags)) };
    ticks
}

#[cfg(any(miri, not(any(target_arch = "x86_64", target_arch = "aarch64"))))]
fn counter() -> u64 {
    monotonic_ns()
}

#[cfg(all(target_arch = "x86_64", not(miri)))]
fn trusted_source() -> TickSource {
    use std::arch::x86_64::__cpuid;
    const EXTENDED: u32 = 0x8000_0000;
    const POWER_MANAGEMENT: u32 = 0x8000_0007;
    const INVARIANT_TSC: u32 = 1 << 8;
    let has_leaf = __cpuid(EXTENDED).eax >= POWER_MANAGEMENT;
    let invariant = has_leaf && __cpuid(POWER_MANAGEMENT).edx & INVARIANT_TSC != 0;
    if invariant && kernel_trusts_tsc() { TickSource::Tsc } else { TickSource::Monotonic }
}

/// Whether Linux keeps time by the counter: it leaves it when it finds the processors' counters apart.
#[cfg(all(target_arch = "x86_64", not(miri)))]
fn kernel_trusts_tsc() -> bool {
    let path = "/sys/devices/system/clocksource/clocksource0/current_clocksource";
    std::fs::read_to_string(path).map_or(!cfg!(target_os = "linux"), |source| source.trim() == "tsc")
}

#[cfg(all(target_arch = "aarch64", not(miri)))]
fn trusted_source() -> TickSource {
    TickSource::Cntvct
}

/// Miri has no processor, and so no counter. [`counter`] stands in for one, because the path that ships is the one with a counter.
#[cfg(miri)]
fn trusted_source() -> TickSource {
    TickSource::Tsc
}

#[cfg(not(any(miri, target_arch = "x86_64", target_arch = "aarch64")))]
fn trusted_source() -> TickSource {
    TickSource::Monotonic
}

/// Good to about 1 in 10^4, which is enough until the second anchor of a recording is written.
fn ticks_per_second(source: TickSource) -> u64 {
    const SECOND_NS: u128 = 1_000_000_000;
    if source == TickSource::Monotonic {
        return SECOND_NS as u64;
    }
    let first = anchor();
    let begin = Instant::now();
    while begin.elapsed() < Duration::from_millis(2) {
        std::hint::spin_loop();
    }
    let second = anchor();
    let ns = u128::from(second.monotonic_ns.saturating_sub(first.monotonic_ns)).max(1);
    let ticks = u128::from(second.ticks.saturating_sub(first.ticks));
    (ticks * SECOND_NS / ns) as u64
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ticks_run_at_the_measured_rate() {
        let clock = choose(false);
        let first = anchor();
        std::thread::sleep(Duration::from_millis(20));
        let second = anchor();
        let ns = (second.monotonic_ns - first.monotonic_ns) as f64;
        let ticks = (second.ticks - first.ticks) as f64;
        let measured = ticks / ns * 1e9;
        assert!((measured / clock.ticks_per_second as f64 - 1.0).abs() < 0.05, "{measured} against {clock:?}");
    }
}
