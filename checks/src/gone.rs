//! The cases in which attributes are gone because there was no room for them any more: their ring came round, or their segment was
//! retired. Every span says in its name what its attributes have to be, so that none can be another's.

use crate::cases::start;
use crate::details::{Attributes, Value};
use crate::truth::{Span, Truth};
use spanring::prelude::*;
use spanring::reader::LossCause;
use spanring::{Builder, Discipline, RecorderGuard};
use std::error::Error;
use std::future::Future;
use std::path::Path;
use std::pin::Pin;
use std::time::Duration;
use tokio::time::sleep;

/// What a span that stays open was made with.
const OPEN: u64 = 1 << 40;

/// Flight discipline, many times round its ring.
pub fn overwritten(recording: &Path) -> Result<(), Box<dyn Error>> {
    let recorder = start(recording, |builder| builder.ring_bytes(16 << 10).discipline(Discipline::Flight))?;
    record(recorder, |_| sleep(Duration::from_millis(5)))
}

pub fn are_overwritten(truth: &Truth) -> bool {
    are_gone(truth, LossCause::Overwritten)
}

/// Segments that had to go to make room for newer ones.
pub fn retired(recording: &Path) -> Result<(), Box<dyn Error>> {
    let small = |builder: Builder| {
        builder.ring_bytes(128 << 10).segment_bytes(64 << 10).directory_bytes(1 << 20).names_bytes(64 << 10)
    };
    let recorder = start(recording, small)?;
    record(recorder, |recorder| {
        recorder.flush().expect("there is room");
        sleep(Duration::ZERO)
    })
}

pub fn are_retired(truth: &Truth) -> bool {
    are_gone(truth, LossCause::Retired)
}

/// Two spans stay open while many others come and go, in rounds.
fn record<F: Future<Output = ()>>(
    recorder: RecorderGuard,
    after_each: impl Fn(&RecorderGuard) -> F,
) -> Result<(), Box<dyn Error>> {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_time().build()?;
    let [mut plain, mut detailed] = [OPEN, OPEN + 1].map(|number| Box::pin(open(number)));
    runtime.block_on(async {
        tokio::select! {
            biased;
            () = &mut plain => {}
            () = &mut detailed => {}
            // The background thread sees what is open before it is gone.
            () = sleep(Duration::from_millis(60)) => {}
        }
        for round in 0..40 {
            for number in round * 100..(round + 1) * 100 {
                one_of_many(number).await;
            }
            after_each(&recorder).await;
        }
    });
    recorder.stop()?;
    Ok(())
}

fn named(number: u64) -> String {
    format!("span {number}")
}

fn open(number: u64) -> Pin<Box<dyn Future<Output = ()>>> {
    let pending = async move {
        if number != OPEN {
            current_span().record("later", number);
        }
        std::future::pending::<()>().await;
    };
    Box::pin(instrument_named!(pending, named(number), number = number, text = format!("text {number}")))
}

async fn one_of_many(number: u64) {
    let inside = async {
        current_span().record("later", number);
        instant!(format!("instant {number}"), number = number, text = format!("text {number}"));
        counter!("counter", number);
    };
    instrument_named!(inside, named(number), number = number, text = format!("text {number}")).await;
}

fn are_gone(truth: &Truth, why: LossCause) -> bool {
    // Of another one the end may be what is gone.
    let is_open = |span: &Span| span.duration_ns.is_none() && [OPEN, OPEN + 1].map(named).contains(&span.name);
    let is_whole = |span: &Span| {
        // Of a span whose begin is gone nobody knows how many there were.
        let given = span.attributes.len() + span.lost_attributes - usize::from(span.attributes.contains_key("later"));
        are_its_own(&span.name, "span ", &span.attributes) && (span.begin_lost || given == 2)
    };
    truth.lost(why) > 0
        && truth.spans().all(is_whole)
        && truth.instants().all(|instant| {
            let known = instant.attributes.len() + instant.lost_attributes;
            are_its_own(&instant.name, "instant ", &instant.attributes) && known == 2
        })
        // What is still open is carried forward with its attributes.
        && truth.count(|span| is_open(span) && span.lost_attributes == 0 && span.attributes.len() == 2) == 1
        && truth.count(|span| is_open(span) && span.lost_attributes == 0 && span.attributes.len() == 3) == 1
        && truth.count(|span| !is_open(span) && span.attributes.len() == 3) > 0
}

/// Whether each of these says the number that the name ends in.
fn are_its_own(name: &str, kind: &str, attributes: &Attributes) -> bool {
    let number = name.strip_prefix(kind).unwrap_or_default();
    let is_its_own = |(key, value): (&String, &Value)| match key.as_str() {
        "number" | "later" => value.value == number,
        "text" => value.value == format!("text {number}"),
        _ => false,
    };
    !number.is_empty() && attributes.iter().all(is_its_own)
}
