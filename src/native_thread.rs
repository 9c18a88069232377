//! Threads of our own, started by the system's own call.
//!
//! The standard library keeps a list of the stacks of the threads that it has started, under a lock that every new thread takes. A
//! child that is forked while another thread holds it finds it held for ever, and a recorder of its own would hang at its first
//! thread. A thread that the standard library does not know of takes no such lock; all it lacks is a message when its stack
//! overflows.

use std::ffi::CStr;
use std::io;
use std::mem::ManuallyDrop;
use std::panic::{AssertUnwindSafe, catch_unwind};

/// What a thread does.
type Body = Box<dyn FnOnce() + Send>;

/// A running thread. It goes on by itself when this is dropped.
pub(crate) struct NativeThread {
    id: libc::pthread_t,
}

impl NativeThread {
    /// Starts a thread with this name, of which Linux keeps 15 bytes.
    ///
    /// # Errors
    /// If the system has no room for another thread.
    pub(crate) fn spawn(name: &'static CStr, body: impl FnOnce() + Send + 'static) -> io::Result<NativeThread> {
        let body: Body = Box::new(move || {
            set_name(name);
            body();
        });
        let argument = Box::into_raw(Box::new(body)).cast::<libc::c_void>();
        let mut id = 0;
        // SAFETY: the id is ours, no attributes are given, and `run` takes what `argument` points to, once.
        match unsafe { libc::pthread_create(&mut id, std::ptr::null(), run, argument) } {
            0 => Ok(NativeThread { id }),
            error => {
                // SAFETY: no thread was started, so the box is still ours.
                drop(unsafe { Box::from_raw(argument.cast::<Body>()) });
                Err(io::Error::from_raw_os_error(error))
            }
        }
    }

    /// Waits for its end.
    pub(crate) fn join(self) {
        let thread = ManuallyDrop::new(self);
        // SAFETY: the thread was started and neither joined nor detached; whoever joins owns it.
        let result = unsafe { libc::pthread_join(thread.id, std::ptr::null_mut()) };
        debug_assert_eq!(result, 0, "no thread of ours joins itself");
    }
}

impl Drop for NativeThread {
    fn drop(&mut self) {
        // SAFETY: the thread was started and neither joined nor detached.
        unsafe { libc::pthread_detach(self.id) };
    }
}

/// Lets every other thread that has something to do go first, from here on. Where there is no such call for a single thread, nothing
/// changes.
#[cfg(feature = "compress")]
pub(crate) fn give_way() {
    // SAFETY: the call takes and returns numbers. On Linux, 0 stands for the calling thread.
    #[cfg(target_os = "linux")]
    unsafe {
        libc::setpriority(libc::PRIO_PROCESS, 0, 19)
    };
}

extern "C" fn run(argument: *mut libc::c_void) -> *mut libc::c_void {
    // SAFETY: `spawn` leaked a box of this type for this thread alone.
    let body = unsafe { Box::from_raw(argument.cast::<Body>()) };
    // A panic has said what there is to say, and must not go on into the system's code.
    let _ = catch_unwind(AssertUnwindSafe(body));
    std::ptr::null_mut()
}

/// For those who list the threads of a process.
fn set_name(name: &CStr) {
    #[cfg(any(target_os = "linux", target_os = "android"))]
    // SAFETY: the name ends with a zero, and the thread is the calling one.
    unsafe {
        libc::pthread_setname_np(libc::pthread_self(), name.as_ptr());
    }
    #[cfg(any(target_os = "macos", target_os = "ios"))]
    // SAFETY: the name ends with a zero.
    unsafe {
        libc::pthread_setname_np(name.as_ptr());
    }
    #[cfg(not(any(target_os = "linux", target_os = "android", target_os = "macos", target_os = "ios")))]
    let _ = name;
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::sync::mpsc;

    #[test]
    fn a_thread_runs_under_its_name_and_can_be_waited_for() {
        let (tell, told) = mpsc::channel();
        let body = move || {
            let mut name = [0; 32];
            // SAFETY: the buffer is ours, and as long as it is said to be.
            unsafe { libc::pthread_getname_np(libc::pthread_self(), name.as_mut_ptr(), name.len()) };
            let name: Vec<u8> = name.iter().take_while(|byte| **byte != 0).map(|byte| *byte as u8).collect();
            tell.send(String::from_utf8(name).unwrap()).unwrap();
        };
        NativeThread::spawn(c"of-our-own", body).unwrap().join();
        assert_eq!(told.try_recv().unwrap(), "of-our-own");
    }

    #[test]
    fn a_panic_ends_the_thread_and_nothing_else() {
        NativeThread::spawn(c"panics", || panic!("on purpose")).unwrap().join();
    }
}
