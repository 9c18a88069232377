//! 17: every way in which a process ends leaves all its committed events readable, with the right outcomes.
//!
//! Nothing is flushed before the end: what is read back comes out of the rings, unless the guard was dropped on the way out.

use crate::contents::Contents;
use crate::outcome::{Proven, Scale, Shown, Trouble, ensure};
use crate::process::{myself, scratch, start, wait_at_most};
use spanring::Recorder;
use spanring::prelude::*;
use spanring::reader::{Outcome, Phase, WriterState};
use std::future::pending;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::path::Path;
use std::pin::pin;
use std::task::{Context, Poll, Waker};
use std::time::Duration;

pub const ROLE: &str = "way-to-end";

/// A way to end, with the recorder running.
struct Way {
    name: &'static str,
    end: fn(spanring::RecorderGuard),
    writer: WriterState,
    /// The span that the end itself leaves, with its outcome; `None`: it has no end.
    last: Option<(&'static str, Option<Outcome>)>,
}

const WAYS: &[Way] = &[
    Way { name: "return", end: drop, writer: WriterState::Stopped, last: None },
    Way { name: "return, guard forgotten", end: std::mem::forget, writer: WriterState::Died, last: None },
    Way { name: "exit", end: |_| std::process::exit(0), writer: WriterState::Died, last: None },
    Way { name: "_exit", end: exit_at_once, writer: WriterState::Died, last: None },
    Way { name: "exec", end: become_another, writer: WriterState::Died, last: None },
    Way { name: "abort", end: |_| std::process::abort(), writer: WriterState::Died, last: None },
    Way { name: "SIGKILL", end: |_| kill_oneself(libc::SIGKILL), writer: WriterState::Died, last: None },
    Way { name: "SIGTERM", end: |_| kill_oneself(libc::SIGTERM), writer: WriterState::Died, last: None },
    Way { name: "SIGSEGV", end: |_| touch_nothing(), writer: WriterState::Died, last: None },
    Way { name: "stack overflow", end: overflow, writer: WriterState::Died, last: None },
    Way {
        name: "panic in poll",
        end: |_guard| panic_in("uncaught"),
        writer: WriterState::Stopped,
        last: Some(("uncaught", Some(Outcome::Panicked))),
    },
    Way {
        name: "panic in poll on another thread",
        end: panic_elsewhere,
        writer: WriterState::Stopped,
        last: Some(("uncaught elsewhere", Some(Outcome::Panicked))),
    },
    // What a build with panic = "abort" does: the hook, then the abort.
    Way { name: "panic = abort", end: panic_and_abort, writer: WriterState::Died, last: Some(("open for ever", None)) },
    Way {
        name: "panic while panicking",
        end: |_guard| panic_twice(),
        writer: WriterState::Died,
        last: Some(("twice", None)),
    },
];

fn exit_at_once(_: spanring::RecorderGuard) {
    // SAFETY: ends the process; nothing of it is used afterwards.
    unsafe { libc::_exit(0) }
}

fn become_another(_: spanring::RecorderGuard) {
    use std::os::unix::process::CommandExt;
    let error = std::process::Command::new("true").exec();
    println!("cannot execute true: {error}");
}

fn kill_oneself(signal: libc::c_int) {
    // SAFETY: a signal at oneself touches no memory.
    unsafe { libc::kill(libc::getpid(), signal) };
    std::thread::sleep(Duration::from_secs(10));
}

fn touch_nothing() {
    // SAFETY: it is not: the fault is what is wanted, and it happens in this child only.
    unsafe { std::ptr::without_provenance::<u8>(8).read_volatile() };
}

fn descend(depth: u64) -> u64 {
    let frame = std::hint::black_box([depth; 512]);
    if frame[7] == 0 { 0 } else { descend(depth + 1) + frame[3] }
}

fn overflow(_: spanring::RecorderGuard) {
    // Never reached: there is not that much stack.
    println!("{}", descend(1));
}

fn panic_in(name: &'static str) {
    let _: Poll<()> = poll_once(span_async_named!(name, async { panic!("wanted") }));
}

fn panic_elsewhere(_guard: spanring::RecorderGuard) {
    // The panic is the point; nobody asks for the thread's result.
    let _ = std::thread::spawn(|| panic_in("uncaught elsewhere")).join();
}

fn panic_and_abort(_guard: spanring::RecorderGuard) {
    std::panic::set_hook(Box::new(|_| std::process::abort()));
    panic_in("open for ever");
}

fn panic_twice() {
    struct PanicsInDrop;
    impl Drop for PanicsInDrop {
        fn drop(&mut self) {
            panic!("wanted, too");
        }
    }
    let _: Poll<()> = poll_once(span_async_named!("twice", async {
        let _bomb = PanicsInDrop;
        panic!("wanted")
    }));
}

fn poll_once<T>(future: impl Future<Output = T>) -> Poll<T> {
    pin!(future).poll(&mut Context::from_waker(Waker::noop()))
}

/// What is recorded before the end: names and outcomes.
const BEFORE: [(&str, Option<Outcome>); 6] = [
    ("completed", Some(Outcome::Completed)),
    ("made at run time 17", Some(Outcome::Completed)),
    ("cancelled", Some(Outcome::Cancelled)),
    ("panicked", Some(Outcome::Panicked)),
    ("scope", Some(Outcome::Completed)),
    ("open", None),
];

pub fn child(arguments: &[String]) -> Result<(), Trouble> {
    let way = WAYS.get(arguments[0].parse::<usize>().unwrap_or(0)).ok_or_else(|| "no such way".to_owned())?;
    let recorder = Recorder::builder()
        .directory(Path::new(&arguments[1]))
        .flush_interval(Duration::from_secs(3600))
        .start()
        .map_err(|error| error.to_string())?;
    let _ = poll_once(span_async_named!("completed", async {}));
    let _ = poll_once(span_async_named!(format!("made at run time {}", 10 + 7), async {}));
    let _ = poll_once(span_async_named!("cancelled", pending::<()>()));
    // Caught, as a runtime does.
    let _ = catch_unwind(AssertUnwindSafe(|| panic_in("panicked")));
    {
        span_scope!("scope");
    }
    let mut open = Box::pin(span_async_named!("open", pending::<()>()));
    let _ = open.as_mut().poll(&mut Context::from_waker(Waker::noop()));
    std::mem::forget(open);
    (way.end)(recorder);
    Ok(())
}

pub fn run(_: Scale) -> Proven {
    let mut events = 0;
    for (index, way) in WAYS.iter().enumerate() {
        let directory = scratch()?;
        let arguments = [index.to_string(), directory.path().display().to_string()];
        let mut child = start(&myself()?, ROLE, &arguments)?;
        ensure!(wait_at_most(&mut child, Duration::from_secs(20))?.is_some(), "{}: the process hangs", way.name);
        let contents = Contents::read(directory.path())?;
        check(way, &contents).map_err(|trouble| match trouble {
            Trouble::Broken(what) => Trouble::Broken(format!("{}: {what}", way.name)),
            unable => unable,
        })?;
        events += contents.records.len();
    }
    let names: Vec<&str> = WAYS.iter().map(|way| way.name).collect();
    Ok(Shown {
        amount: format!("{} ways: {}", WAYS.len(), names.join(", ")),
        shown: format!("all {events} committed events read, every outcome and the writer's state right"),
    })
}

fn check(way: &Way, contents: &Contents) -> Result<(), Trouble> {
    contents.check_sound()?;
    ensure!(contents.writer == way.writer, "the writer is said to have {}", contents.writer);
    ensure!(contents.summary.lost == 0, "{} records are lost", contents.summary.lost);
    let mut expected = 0;
    for (name, outcome) in BEFORE.iter().chain(way.last.as_ref()) {
        ensure!(contents.named(name, Phase::Begin).len() == 1, "not one begin of {name}");
        let ends: Vec<_> = contents.named(name, Phase::End).iter().map(|record| record.outcome).collect();
        ensure!(ends == outcome.map(Some).into_iter().collect::<Vec<_>>(), "{name} ended {ends:?}, not {outcome:?}");
        expected += 1 + ends.len();
    }
    ensure!(contents.records.len() == expected, "{} records instead of {expected}", contents.records.len());
    Ok(())
}
