//! Files mapped for writing, and what can be done about someone else who cuts them off.
//!
//! To touch a mapped page that its file no longer has is a `SIGBUS`, which ends the process. A recorder may be told to guard against
//! that: a handler then puts an anonymous page where the file's was, and the host goes on. What is written there is not in the file
//! any more, so the mapping says that it was cut off. Signals that are about anything else go to the handler that was there before.

use crate::signal;
use crate::sync::{AtomicBool, AtomicU64, Ordering};
use memmap2::MmapRaw;
use std::fs::File;
use std::io;
use std::ptr::NonNull;
use std::sync::OnceLock;

/// Mappings that are guarded at a time: a session's rings, its names and its status.
const MOST: usize = 1024;

/// A mapped file, shared with whoever else maps it.
pub(crate) struct Mapping {
    map: MmapRaw,
    /// `None`: it is not guarded.
    guarded: Option<&'static Guarded>,
}

impl Mapping {
    /// Maps the whole file.
    pub(crate) fn of(file: &File) -> io::Result<Mapping> {
        let map = MmapRaw::map_raw(file)?;
        let guarded = if GUARDING.load(Ordering::Relaxed) { Guarded::claim(&map) } else { None };
        Ok(Mapping { map, guarded })
    }

    /// Bytes.
    pub(crate) fn len(&self) -> usize {
        self.map.len()
    }

    /// The first byte; the others follow.
    pub(crate) fn base(&self) -> NonNull<u8> {
        NonNull::new(self.map.as_mut_ptr()).expect("a mapping has an address")
    }
}

impl Drop for Mapping {
    fn drop(&mut self) {
        if let Some(guarded) = self.guarded {
            guarded.release();
        }
    }
}

/// Whether new mappings are guarded.
static GUARDING: AtomicBool = AtomicBool::new(false);

/// Mappings that were cut off. Never lowered: recorders take differences.
static CUT_OFF: AtomicU64 = AtomicU64::new(0);

/// Mappings cut off so far in this process, of those that were guarded.
pub(crate) fn cut_off() -> u64 {
    CUT_OFF.load(Ordering::Relaxed)
}

static TABLE: [Guarded; MOST] = [const { Guarded::free() }; MOST];

/// Where a guarded mapping is. A signal handler reads this at any instant.
struct Guarded {
    /// Address of the first byte; 0 while the place is free, or being taken.
    start: AtomicU64,
    /// Address after the last byte; 0: the place is free.
    end: AtomicU64,
    is_cut_off: AtomicBool,
}

impl Guarded {
    const fn free() -> Guarded {
        Guarded { start: AtomicU64::new(0), end: AtomicU64::new(0), is_cut_off: AtomicBool::new(false) }
    }

    /// A place in the table. `None`: it is full, and the mapping stays unguarded.
    fn claim(map: &MmapRaw) -> Option<&'static Guarded> {
        let start = map.as_mut_ptr().addr() as u64;
        let end = start + map.len() as u64;
        // Acquire: pairs with `release`, whose stores came before.
        let takes = |place: &&Guarded| place.end.compare_exchange(0, end, Ordering::Acquire, Ordering::Relaxed).is_ok();
        let place = TABLE.iter().find(takes)?;
        place.is_cut_off.store(false, Ordering::Relaxed);
        // Release: a handler that sees the start sees the end.
        place.start.store(start, Ordering::Release);
        Some(place)
    }

    fn release(&self) {
        self.start.store(0, Ordering::Relaxed);
        // Release: who takes the place next finds no start in it.
        self.end.store(0, Ordering::Release);
    }

    fn holds(&self, address: u64) -> bool {
        // Acquire: pairs with the release in `claim`.
        let start = self.start.load(Ordering::Acquire);
        start != 0 && start <= address && address < self.end.load(Ordering::Relaxed)
    }
}

/// What `SIGBUS` did before, and the size of a page.
struct Before {
    action: libc::sigaction,
    page_bytes: u64,
}

static BEFORE: OnceLock<Before> = OnceLock::new();

/// Guards every mapping that is made from now on. The handler stays for the life of the process.
pub(crate) fn guard() -> io::Result<()> {
    if BEFORE.get().is_none() {
        let action = signal::action_of(libc::SIGBUS)?;
        // SAFETY: the call takes and returns numbers.
        let page_bytes = unsafe { libc::sysconf(libc::_SC_PAGESIZE) } as u64;
        // Known before the handler can be called. Two threads may both get here; the second finds the first one's.
        if BEFORE.set(Before { action, page_bytes }).is_ok() {
            signal::handle(libc::SIGBUS, on_bus_error, &action)?;
        }
    }
    GUARDING.store(true, Ordering::Relaxed);
    Ok(())
}

/// Puts a page of its own where a file's was, or leaves the matter to the handler from before. Async-signal-safe: atomics, and system
/// calls that touch nothing but what they are told to.
extern "C" fn on_bus_error(signal: libc::c_int, info: *mut libc::siginfo_t, context: *mut libc::c_void) {
    let Some(before) = BEFORE.get() else { return };
    // SAFETY: the kernel passes the description of the signal, and for this signal it has an address.
    let (code, address) = unsafe { ((*info).si_code, (*info).si_addr().addr() as u64) };
    // No such code is used for a signal that another process sent.
    if code == libc::BUS_ADRERR {
        if let Some(place) = TABLE.iter().find(|place| place.holds(address)) {
            if replace_page(address & !(before.page_bytes - 1), before.page_bytes) {
                if !place.is_cut_off.swap(true, Ordering::Relaxed) {
                    CUT_OFF.fetch_add(1, Ordering::Relaxed);
                }
                return;
            }
        }
    }
    pass_on(&before.action, signal, info, context);
}

/// Maps an empty page at `address`, in place of the one that is there. The one that faults is then tried again by the processor.
fn replace_page(address: u64, page_bytes: u64) -> bool {
    let (protection, flags) =
        (libc::PROT_READ | libc::PROT_WRITE, libc::MAP_PRIVATE | libc::MAP_ANON | libc::MAP_FIXED);
    let errno = errno::get();
    // SAFETY: the page is part of a mapping of ours, which stays as long as it was: whoever writes to it goes on writing to it, and
    // whoever reads finds zeroes, which anyone who can write to the file could have put there.
    let mapped = unsafe {
        libc::mmap(std::ptr::without_provenance_mut(address as usize), page_bytes as usize, protection, flags, -1, 0)
    };
    errno::set(errno);
    mapped != libc::MAP_FAILED
}

/// Does what would have been done without this module.
fn pass_on(action: &libc::sigaction, signal: libc::c_int, info: *mut libc::siginfo_t, context: *mut libc::c_void) {
    // SAFETY: the kernel passes the description of the signal.
    let was_sent = unsafe { (*info).si_code } <= 0;
    match action.sa_sigaction {
        libc::SIG_IGN if was_sent => {}
        libc::SIG_DFL | libc::SIG_IGN => {
            // A fault comes again and ends the process, as it would have; a signal that was sent is sent again.
            // SAFETY: a handler may set a signal's default, and raise it.
            unsafe {
                libc::signal(signal, libc::SIG_DFL);
                if was_sent {
                    libc::raise(signal);
                }
            }
        }
        _ => signal::call(action, signal, info, context),
    }
}

/// The system's error number, which a handler leaves as it was.
mod errno {
    #[cfg(target_os = "linux")]
    use libc::__errno_location as location;
    #[cfg(not(target_os = "linux"))]
    use libc::__error as location;

    pub(super) fn get() -> libc::c_int {
        // SAFETY: the location is the calling thread's own.
        unsafe { *location() }
    }

    pub(super) fn set(errno: libc::c_int) {
        // SAFETY: as above.
        unsafe { *location() = errno };
    }
}
