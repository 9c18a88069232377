//! A child that is stepped, one instruction after another, by `ptrace`.

use crate::outcome::{Trouble, ensure};
use std::io;
use std::process::Child;

/// Called by the child where it wants to be stepped from. Returns once its tracer lets it.
pub fn stop_here() -> io::Result<()> {
    // SAFETY: the request takes no pointers.
    if unsafe { libc::ptrace(libc::PTRACE_TRACEME, 0, 0, 0) } != 0 {
        return Err(io::Error::last_os_error());
    }
    // SAFETY: raising a signal at oneself touches no memory.
    unsafe { libc::raise(libc::SIGSTOP) };
    Ok(())
}

/// A child that has stopped in [`stop_here`]. Killed when dropped.
pub struct Stepped {
    pid: libc::pid_t,
    gone: bool,
}

impl Stepped {
    /// Waits until the child stops.
    pub fn wait_for(child: Child) -> Result<Stepped, Trouble> {
        let mut stepped = Stepped { pid: child.id() as libc::pid_t, gone: false };
        let status = stepped.wait()?;
        if libc::WIFEXITED(status) {
            return Err(Trouble::Unable(format!("the child ended with {} before it was stepped", status >> 8)));
        }
        ensure!(libc::WIFSTOPPED(status), "a stepped child died before its first step: status {status:#x}");
        Ok(stepped)
    }

    /// Lets the child's first thread execute one instruction.
    pub fn step(&mut self) -> Result<(), Trouble> {
        self.resume(libc::PTRACE_SINGLESTEP, 0)?;
        let status = self.wait()?;
        ensure!(
            libc::WIFSTOPPED(status) && libc::WSTOPSIG(status) == libc::SIGTRAP,
            "a stepped child came to an end of its own: status {status:#x}"
        );
        Ok(())
    }

    /// Lets the child run on with a signal, to its end; returns how it ended, `None` if it did not within so many milliseconds.
    pub fn run_on_with(&mut self, signal: libc::c_int, milliseconds: u64) -> Result<Option<libc::c_int>, Trouble> {
        self.resume(libc::PTRACE_CONT, signal)?;
        for _ in 0..milliseconds * 10 {
            let mut status = 0;
            // SAFETY: the status is ours; the child is ours and was not waited for yet.
            let waited = unsafe { libc::waitpid(self.pid, &mut status, libc::WNOHANG) };
            ensure!(waited >= 0, "waitpid: {}", io::Error::last_os_error());
            if waited == 0 {
                std::thread::sleep(std::time::Duration::from_micros(100));
            } else if libc::WIFSTOPPED(status) {
                self.resume(libc::PTRACE_CONT, libc::WSTOPSIG(status))?;
            } else {
                self.gone = true;
                return Ok(Some(status));
            }
        }
        Ok(None)
    }

    /// Kills the child where it stands.
    pub fn kill(mut self) -> Result<(), Trouble> {
        self.kill_now()
    }

    fn kill_now(&mut self) -> Result<(), Trouble> {
        // SAFETY: the child was not waited for yet, so the id is still its own.
        unsafe { libc::kill(self.pid, libc::SIGKILL) };
        while !self.gone {
            self.wait()?;
        }
        Ok(())
    }

    fn resume(&self, how: libc::c_uint, signal: libc::c_int) -> Result<(), Trouble> {
        // SAFETY: the child is stopped and traced by this thread; the requests take no pointers.
        let done = unsafe { libc::ptrace(how, self.pid, 0, libc::c_long::from(signal)) };
        ensure!(done == 0, "ptrace: {}", io::Error::last_os_error());
        Ok(())
    }

    fn wait(&mut self) -> Result<libc::c_int, Trouble> {
        let mut status = 0;
        // SAFETY: the status is ours; the child is ours and was not waited for yet.
        let waited = unsafe { libc::waitpid(self.pid, &mut status, 0) };
        ensure!(waited == self.pid, "waitpid: {}", io::Error::last_os_error());
        self.gone = libc::WIFEXITED(status) || libc::WIFSIGNALED(status);
        Ok(status)
    }
}

impl Drop for Stepped {
    fn drop(&mut self) {
        if !self.gone {
            // There is nobody left to tell.
            let _ = self.kill_now();
        }
    }
}
