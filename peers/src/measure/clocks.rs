//! Clocks: of a thread, of the process, of the processor.

use std::mem::MaybeUninit;
use std::time::Duration;
#[cfg(not(target_arch = "x86_64"))]
use std::time::Instant;

/// Processor time of the calling thread. Whoever else runs on the machine does not count.
pub fn thread_time() -> Duration {
    let mut time = libc::timespec { tv_sec: 0, tv_nsec: 0 };
    // SAFETY: `time` is a timespec that may be written to.
    let status = unsafe { libc::clock_gettime(libc::CLOCK_THREAD_CPUTIME_ID, &mut time) };
    assert_eq!(status, 0, "every Unix that spanring supports has this clock");
    Duration::new(time.tv_sec as u64, time.tv_nsec as u32)
}

/// What was used so far.
#[derive(Clone, Copy)]
pub struct Usage {
    /// Processor time, in the kernel and outside.
    pub time: Duration,
    pub page_faults: u64,
}

impl Usage {
    pub fn since(self, before: Usage) -> Usage {
        Usage { time: self.time - before.time, page_faults: self.page_faults - before.page_faults }
    }
}

/// What all threads of this process used, including those that have ended.
pub fn process_usage() -> Usage {
    usage(libc::RUSAGE_SELF)
}

/// What the calling thread used.
pub fn thread_usage() -> Usage {
    #[cfg(target_os = "linux")]
    return usage(libc::RUSAGE_THREAD);
    #[cfg(not(target_os = "linux"))]
    return Usage { time: thread_time(), page_faults: 0 };
}

fn usage(whose: libc::c_int) -> Usage {
    let mut usage = MaybeUninit::<libc::rusage>::uninit();
    // SAFETY: `usage` has room for what is written.
    let status = unsafe { libc::getrusage(whose, usage.as_mut_ptr()) };
    assert_eq!(status, 0, "this `whose` is known");
    // SAFETY: the call succeeded, so all of it is written.
    let usage = unsafe { usage.assume_init() };
    let time = |time: libc::timeval| Duration::new(time.tv_sec as u64, time.tv_usec as u32 * 1000);
    Usage { time: time(usage.ru_utime) + time(usage.ru_stime), page_faults: (usage.ru_minflt + usage.ru_majflt) as u64 }
}

/// Ticks of the processor, before something: nothing of it has begun.
#[inline(always)]
pub fn ticks_before() -> u64 {
    #[cfg(target_arch = "x86_64")]
    // SAFETY: every x86-64 processor has these instructions, and they touch no memory.
    return unsafe {
        std::arch::x86_64::_mm_lfence();
        std::arch::x86_64::_rdtsc()
    };
    #[cfg(not(target_arch = "x86_64"))]
    return EPOCH.with(Instant::elapsed).as_nanos() as u64;
}

/// Ticks of the processor, after something: all of it is done.
#[inline(always)]
pub fn ticks_after() -> u64 {
    #[cfg(target_arch = "x86_64")]
    {
        let mut processor = 0;
        // SAFETY: every x86-64 processor that Linux runs spanring on has these instructions; the variable is ours.
        unsafe {
            let ticks = std::arch::x86_64::__rdtscp(&mut processor);
            std::arch::x86_64::_mm_lfence();
            ticks
        }
    }
    #[cfg(not(target_arch = "x86_64"))]
    return ticks_before();
}

#[cfg(not(target_arch = "x86_64"))]
thread_local! {
    static EPOCH: Instant = Instant::now();
}
