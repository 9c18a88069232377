//! What a signal does: asked, set, and passed on to who had it before.

use std::io;

/// A handler as those of this crate are.
pub(crate) type Handler = extern "C" fn(libc::c_int, *mut libc::siginfo_t, *mut libc::c_void);

/// What the signal does now.
///
/// # Errors
/// If there is no such signal.
pub(crate) fn action_of(signal: libc::c_int) -> io::Result<libc::sigaction> {
    exchange(signal, None)
}

/// Has the handler called from now on, on the alternate stack if the thread has one, with the signals blocked that `before` blocks.
///
/// # Errors
/// If the signal cannot be handled.
pub(crate) fn handle(signal: libc::c_int, handler: Handler, before: &libc::sigaction) -> io::Result<()> {
    let mut action = *before;
    action.sa_sigaction = handler as *const () as libc::sighandler_t;
    action.sa_flags = libc::SA_SIGINFO | libc::SA_ONSTACK | libc::SA_RESTART;
    exchange(signal, Some(&action)).map(drop)
}

/// Calls the handler of an action, which is neither the default nor to ignore the signal.
pub(crate) fn call(
    action: &libc::sigaction,
    signal: libc::c_int,
    info: *mut libc::siginfo_t,
    context: *mut libc::c_void,
) {
    debug_assert!(!matches!(action.sa_sigaction, libc::SIG_DFL | libc::SIG_IGN));
    if action.sa_flags & libc::SA_SIGINFO != 0 {
        // SAFETY: whoever set the flag has set a handler of this type; it gets what we were given.
        let handler: Handler = unsafe { std::mem::transmute(action.sa_sigaction) };
        handler(signal, info, context);
    } else {
        // SAFETY: without the flag a handler is of this type.
        let handler: extern "C" fn(libc::c_int) = unsafe { std::mem::transmute(action.sa_sigaction) };
        handler(signal);
    }
}

fn exchange(signal: libc::c_int, action: Option<&libc::sigaction>) -> io::Result<libc::sigaction> {
    // SAFETY: an action is plain old data, for which all zeroes is a valid value.
    let mut before: libc::sigaction = unsafe { std::mem::zeroed() };
    let action = action.map_or(std::ptr::null(), std::ptr::from_ref);
    // SAFETY: both are null or ours, and the handler in `action` is one.
    match unsafe { libc::sigaction(signal, action, &mut before) } {
        0 => Ok(before),
        _ => Err(io::Error::last_os_error()),
    }
}
