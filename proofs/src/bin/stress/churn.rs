//! Short threads: each registers, defines names that others define at the same time, and leaves its ring to the next.

use crate::contents::Contents;
use crate::outcome::{Trouble, ensure};
use crate::{Seen, size};
use spanring::prelude::*;
use spanring::reader::{NameState, Recording};
use spanring::{Discipline, Recorder};
use std::pin::pin;
use std::sync::Barrier;
use std::task::{Context, Waker};
use std::time::Duration;

const THREADS: u64 = size(2, 8);
/// Records of each thread: begins and ends of three spans.
const RECORDS_EACH: u64 = 6;

/// Any four bytes of it are a static name with an address of its own.
static NAMES: &str = "one text of which every part can be a name, as long as nobody needs it to mean anything at all";

fn name(round: u64) -> &'static str {
    let start = round as usize % (NAMES.len() - 4);
    &NAMES[start..start + 4]
}

/// Three spans: of a static name that is new in each round, of a name made at run time, and of this thread.
fn life(round: u64, thread: u64) {
    let outer = span_async_named!(name(round), async {
        span_async_named!(
            format!("{round}/{thread}, at some length, so that it takes a slot more than others do"),
            async {
                span_scope!("scope");
            }
        )
        .await;
    });
    let _ready = pin!(outer).poll(&mut Context::from_waker(Waker::noop()));
}

pub fn run(scale: u64, discipline: Discipline) -> Result<String, Trouble> {
    let rounds = scale * size(3, 100);
    let builder = Recorder::builder().memory().discipline(discipline).ring_bytes(16 << 10).names_bytes(64 << 10);
    let recorder = builder.flush_interval(Duration::from_millis(1)).start().map_err(|error| error.to_string())?;
    for round in 0..rounds {
        let together = Barrier::new(THREADS as usize);
        std::thread::scope(|scope| {
            for thread in 0..THREADS {
                let together = &together;
                scope.spawn(move || {
                    together.wait();
                    life(round, thread);
                });
            }
        });
    }
    let memory = recorder.memory().ok_or_else(|| "it was to be in memory".to_owned())?.clone();
    let health = recorder.stop().map_err(|error| error.to_string())?;
    let contents = Contents::of(&Recording::from_segment(&memory.bytes())?)?;
    Seen::default().check(&contents)?;
    let (read, lost, recorded) = (contents.summary.records, contents.summary.lost, rounds * THREADS * RECORDS_EACH);
    ensure!(read + lost == recorded, "{recorded} recorded, {read} read, {lost} lost");
    ensure!((read, lost) == (health.flushed, health.lost), "{read} read, {lost} lost, but {health}");
    let nameless = contents.records.iter().find(|record| record.name_state != NameState::Whole);
    ensure!(nameless.is_none(), "without its name: {nameless:?}");
    let (threads, rings) = (contents.summary.threads, health.rings);
    ensure!(threads == rounds * THREADS, "{threads} threads of {} are known", rounds * THREADS);
    Ok(format!("{threads} threads in {rings} rings, {recorded} recorded = {read} read + {lost} lost"))
}
