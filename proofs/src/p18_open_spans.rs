//! 18: a span that is still open when its process is killed, however much its thread has recorded since.

use crate::contents::Contents;
use crate::outcome::{Proven, Scale, Shown, Trouble, ensure};
use crate::process::{Page, myself, scratch, start};
use spanring::prelude::*;
use spanring::reader::{NameState, Phase};
use spanring::{Discipline, Recorder};
use std::future::{Future, pending};
use std::path::Path;
use std::pin::pin;
use std::sync::atomic::Ordering;
use std::task::{Context, Waker};
use std::time::{Duration, Instant};

pub const ROLE: &str = "open-spans";

const OPEN: &str = "an hour of waiting";
const FLIGHT: &str = "flight";
const DRAIN: &str = "drain";
/// Word of the shared page: 1 once everything was recorded.
const DONE: usize = 0;
/// Segments of which the directory holds a few: the one with the begin is retired early.
const DIRECTORY_BYTES: u64 = 64 << 20;

pub fn child(arguments: &[String]) -> Result<(), Trouble> {
    let spans: u64 = arguments[0].parse().unwrap_or(0);
    let directory = Path::new(&arguments[2]);
    let page = Page::open(&directory.join("page"))?;
    let discipline = if arguments[1] == FLIGHT { Discipline::Flight } else { Discipline::Drain };
    let _recorder = Recorder::builder()
        .directory(directory.join("recording"))
        .discipline(discipline)
        .directory_bytes(DIRECTORY_BYTES)
        .wait_when_full(Duration::from_secs(1))
        .start()
        .map_err(|error| error.to_string())?;
    let mut open = pin!(instrument_named!(pending::<()>(), OPEN));
    let _ = open.as_mut().poll(&mut Context::from_waker(Waker::noop()));
    // A span that waits: the background thread has the time to see it.
    std::thread::sleep(Duration::from_millis(100));
    for _ in 0..spans {
        let _ = pin!(span_async_named!("short", async {})).poll(&mut Context::from_waker(Waker::noop()));
    }
    page.word(DONE).store(1, Ordering::Release);
    std::thread::sleep(Duration::from_secs(600));
    Ok(())
}

pub fn run(scale: Scale) -> Proven {
    let spans = scale.rounds(1_000_000, 50_000_000);
    let mut shown = Vec::new();
    for discipline in [FLIGHT, DRAIN] {
        let directory = scratch()?;
        let page = Page::create(&directory.path().join("page"))?;
        let arguments = [spans.to_string(), discipline.to_owned(), directory.path().display().to_string()];
        let mut child = start(&myself()?, ROLE, &arguments)?;
        let deadline = Instant::now() + Duration::from_secs(60 + spans / 100_000);
        while page.word(DONE).load(Ordering::Acquire) == 0 {
            ensure!(
                child.try_wait()?.is_none() && Instant::now() < deadline,
                "{discipline}: the child did not get there"
            );
            std::thread::sleep(Duration::from_millis(5));
        }
        child.kill()?;
        child.wait()?;
        let contents = Contents::read(&directory.path().join("recording"))?;
        let [begin] = contents.named(OPEN, Phase::Begin)[..] else {
            let found = contents.named(OPEN, Phase::Begin).len();
            return Err(format!("{discipline}: the open span was found {found} times").into());
        };
        ensure!(begin.name_state == NameState::Whole && begin.line > 0, "{discipline}: {begin:?}");
        let summary = contents.summary;
        let all = summary.records + summary.lost + summary.retired;
        ensure!(
            all == 2 * spans + 1,
            "{discipline}: {} records of {} are accounted for: {summary:?}",
            all,
            2 * spans + 1
        );
        ensure!(summary.carried >= 1, "{discipline}: nothing had to be carried forward: {summary:?}");
        shown.push(format!(
            "{discipline}: {} read, {} gone and counted",
            summary.records,
            summary.lost + summary.retired
        ));
    }
    Ok(Shown {
        amount: format!("{} records after the begin of an open span, then SIGKILL, in each discipline", 2 * spans),
        shown: format!("the span is there, with its name and place; {}", shown.join("; ")),
    })
}
