//! A child under `ptrace`: stepped one instruction after another, or run from system call to system call.

use crate::outcome::{Trouble, ensure};
use std::collections::BTreeSet;
use std::io;
use std::process::Child;

/// Called by the child where it wants to be traced from. Returns once its tracer lets it.
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

/// Where to kill a process: at a system call of one of its threads.
#[derive(Clone, Copy, Debug)]
pub struct KillPoint {
    /// The thread, in the order in which they were started; the first one is 0.
    pub thread: usize,
    /// The call, in the order of that thread, from 1.
    pub call: u64,
    pub side: Side,
}

/// Before or after a system call does what it does.
#[derive(Clone, Copy, Debug, PartialEq)]
pub enum Side {
    /// Before: nothing of it is done.
    Entry,
    /// After: all of it is done, and the thread does not know yet.
    Exit,
}

/// How the run of a traced process ended.
pub struct Run {
    /// It was killed where it should be; else it ended by itself.
    pub killed: bool,
    /// How it ended, as `waitpid` says it.
    pub status: libc::c_int,
    /// System calls of each thread.
    pub calls: Vec<u64>,
    /// The numbers of all of them.
    pub kinds: BTreeSet<u64>,
}

/// Runs a child that stops in [`stop_here`], with all threads that it starts, and kills it at `point`, if it comes there.
pub fn run_to(child: Child, point: Option<KillPoint>) -> Result<Run, Trouble> {
    let mut traced = Traced { stepped: Stepped::wait_for(child)?, threads: Vec::new(), kinds: BTreeSet::new() };
    let options = libc::PTRACE_O_TRACESYSGOOD | libc::PTRACE_O_TRACECLONE | libc::PTRACE_O_EXITKILL;
    let first = traced.stepped.pid;
    // SAFETY: the child is stopped and traced by this thread; the request takes no pointers.
    let done = unsafe { libc::ptrace(libc::PTRACE_SETOPTIONS, first, 0, libc::c_long::from(options)) };
    ensure!(done == 0, "ptrace: {}", io::Error::last_os_error());
    traced.threads.push(Thread { id: first, calls: 0, runs: true });
    traced.resume(first, 0)?;
    traced.run(point)
}

/// A process whose threads stop at their system calls.
struct Traced {
    stepped: Stepped,
    threads: Vec<Thread>,
    kinds: BTreeSet<u64>,
}

struct Thread {
    id: libc::pid_t,
    calls: u64,
    /// Its first stop, which is none of its own doing, is over.
    runs: bool,
}

impl Traced {
    fn run(mut self, point: Option<KillPoint>) -> Result<Run, Trouble> {
        const AT_A_CALL: libc::c_int = libc::SIGTRAP | 0x80;
        let mut killed = false;
        loop {
            let mut status = 0;
            // Of this thread's children only: another worker has its own.
            // SAFETY: the status is ours.
            let id = unsafe { libc::waitpid(-1, &mut status, libc::__WALL | libc::__WNOTHREAD) };
            ensure!(id > 0, "waitpid: {}", io::Error::last_os_error());
            if !libc::WIFSTOPPED(status) {
                if id == self.stepped.pid {
                    self.stepped.gone = true;
                    let calls = self.threads.iter().map(|thread| thread.calls).collect();
                    return Ok(Run { killed, status, calls, kinds: self.kinds });
                }
                continue;
            }
            if killed {
                // A stop from before the kill, which ends it.
                continue;
            }
            let index = self.index_of(id);
            let signal = match libc::WSTOPSIG(status) {
                AT_A_CALL => {
                    let side = self.note_call(index)?;
                    let here = |point: KillPoint| {
                        point.thread == index && point.call == self.threads[index].calls && point.side == side
                    };
                    if point.is_some_and(here) {
                        killed = true;
                        // SAFETY: the child was not waited for to its end, so the id is still its own.
                        unsafe { libc::kill(self.stepped.pid, libc::SIGKILL) };
                        continue;
                    }
                    0
                }
                libc::SIGTRAP if status >> 16 == libc::PTRACE_EVENT_CLONE => {
                    let mut started: libc::c_ulong = 0;
                    // SAFETY: the thread is stopped at an event and traced by this thread; the word is ours.
                    let done = unsafe { libc::ptrace(libc::PTRACE_GETEVENTMSG, id, 0, &mut started) };
                    ensure!(done == 0, "ptrace: {}", io::Error::last_os_error());
                    // Known from here on, in the order of starting.
                    self.index_of(started as libc::pid_t);
                    0
                }
                libc::SIGSTOP if !self.threads[index].runs => {
                    self.threads[index].runs = true;
                    0
                }
                signal => signal,
            };
            self.resume(id, signal)?;
        }
    }

    /// The place of a thread in the order of starting. A new one may be seen to stop before the call that started it returns.
    fn index_of(&mut self, id: libc::pid_t) -> usize {
        self.threads.iter().position(|thread| thread.id == id).unwrap_or_else(|| {
            self.threads.push(Thread { id, calls: 0, runs: false });
            self.threads.len() - 1
        })
    }

    /// Counts a call at its entry.
    fn note_call(&mut self, index: usize) -> Result<Side, Trouble> {
        let thread = &mut self.threads[index];
        // SAFETY: zeroes are a value of this structure of integers.
        let mut info: libc::ptrace_syscall_info = unsafe { std::mem::zeroed() };
        let room = size_of_val(&info);
        // SAFETY: the thread is stopped at a call and traced by this thread; as much is written as the structure has room for.
        let told = unsafe { libc::ptrace(libc::PTRACE_GET_SYSCALL_INFO, thread.id, room, &mut info) };
        if told <= 0 {
            return Err(Trouble::Unable(format!("PTRACE_GET_SYSCALL_INFO: {}", io::Error::last_os_error())));
        }
        if info.op != libc::PTRACE_SYSCALL_INFO_ENTRY {
            return Ok(Side::Exit);
        }
        thread.calls += 1;
        // SAFETY: at an entry this is the part of the union that was written.
        self.kinds.insert(unsafe { info.u.entry.nr });
        Ok(Side::Entry)
    }

    /// Lets a thread run to its next system call. One that was killed meanwhile is waited for like any other.
    fn resume(&self, id: libc::pid_t, signal: libc::c_int) -> Result<(), Trouble> {
        // SAFETY: the thread is stopped and traced by this thread; the request takes no pointers.
        let done = unsafe { libc::ptrace(libc::PTRACE_SYSCALL, id, 0, libc::c_long::from(signal)) };
        let error = io::Error::last_os_error();
        ensure!(done == 0 || error.raw_os_error() == Some(libc::ESRCH), "ptrace: {error}");
        Ok(())
    }
}
