//! A forked child never writes to its parent's files: the gate is closed in it before it runs any code of its own.
//!
//! It may start a recorder of its own, so the lock on what runs is held across the fork: else a thread that the child does not have
//! could hold it there for ever.

use super::session::{GATE, Running, try_lock_running};
use std::cell::Cell;
use std::mem::ManuallyDrop;
use std::sync::{MutexGuard, Once};

/// Tries to get the lock before a fork goes on without it: a signal handler that forks may have interrupted its own thread's hold.
const TRIES: u32 = 10_000;

type Held = ManuallyDrop<MutexGuard<'static, Option<Running>>>;

thread_local! {
    /// The lock, from before a fork to after it, on the thread that forks.
    static HELD: Cell<Option<Held>> = const { Cell::new(None) };
}

/// Makes sure that children of this process find the gate closed.
pub(super) fn watch() {
    static ONCE: Once = Once::new();
    // Miri has neither fork nor handlers of it.
    if cfg!(miri) {
        return;
    }
    ONCE.call_once(|| {
        #[cfg(unix)]
        // SAFETY: the handlers take a lock, give it back, and store to an atomic; all run on the thread that forks, and what the last
        // one does is safe in a child of a process with many threads.
        let result = unsafe { libc::pthread_atfork(Some(before), Some(release), Some(in_child)) };
        #[cfg(unix)]
        debug_assert_eq!(result, 0);
    });
}

#[cfg(unix)]
extern "C" fn before() {
    for _ in 0..TRIES {
        if let Some(guard) = try_lock_running() {
            HELD.set(Some(ManuallyDrop::new(guard)));
            return;
        }
        std::thread::yield_now();
    }
}

#[cfg(unix)]
extern "C" fn release() {
    drop(HELD.take().map(ManuallyDrop::into_inner));
}

#[cfg(unix)]
extern "C" fn in_child() {
    GATE.close_in_child();
    release();
}
