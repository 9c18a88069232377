//! A forked child never writes to its parent's files: the gate is closed in it before it runs any code of its own.

use super::session::GATE;
use std::sync::Once;

/// Makes sure that children of this process find the gate closed.
pub(super) fn watch() {
    static ONCE: Once = Once::new();
    ONCE.call_once(|| {
        #[cfg(unix)]
        // SAFETY: the handler only stores to an atomic, which is safe in a child of a process with many threads.
        let result = unsafe { libc::pthread_atfork(None, None, Some(in_child)) };
        #[cfg(unix)]
        debug_assert_eq!(result, 0);
    });
}

#[cfg(unix)]
extern "C" fn in_child() {
    GATE.close_in_child();
}
