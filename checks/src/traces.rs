//! The cases in which spans of two processes are one trace: what the client sent, the server had as its parent.

use crate::cases::{runtime, start, wait_for_the_end};
use crate::truth::{Span, Truth};
use spanring::prelude::*;
use spanring::trace_context::{HERE_KEY, PARENT_KEY, Trace, TraceParent};
use std::error::Error;
use std::future::Future;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use tokio::sync::Notify;

/// The case of the client, which comes first.
pub const CLIENT: &str = "trace_client";
/// The case of the server, a process of its own.
pub const SERVER: &str = "trace_server";

const ORDERS: u64 = 6;
const ITEMS: u64 = 3;

/// Of a process that left no recording; the second one took no sample.
const FOREIGN: [&str; 2] = [
    "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01",
    "00-0af7651916cd43dd8448eb211c80319c-00f067aa0ba902b7-00",
];

/// Where the client leaves the headers that it sends.
fn sent_in(cases: Option<&Path>) -> Result<PathBuf, Box<dyn Error>> {
    Ok(cases.ok_or("a recording is in the directory of its case")?.join(CLIENT).join("sent"))
}

/// The directory of all cases.
fn cases_of(recording: &Path) -> Option<&Path> {
    recording.parent()?.parent()
}

/// Traces that begin here: at the top, and in the middle of another.
pub fn client(recording: &Path) -> Result<(), Box<dyn Error>> {
    let recorder = start(recording, |builder| builder)?;
    let runtime = runtime(2)?;
    let sent = runtime.block_on(async {
        let mut sent = Vec::new();
        for number in 0..ORDERS {
            let order = async move { instrument_named!(order(), "order", number = number).await };
            sent.extend(tokio::spawn(at_times_on_a_connection(number, order)).await.expect("it completes"));
        }
        // In no trace but its own.
        span_async_named!("alone", async { span_async_named!("below it", async {}).await }).await;
        sent
    });
    drop(runtime);
    recorder.stop()?;
    Ok(std::fs::write(sent_in(cases_of(recording))?, sent.join("\n"))?)
}

/// Every other time in a span of this process alone.
async fn at_times_on_a_connection<F: Future>(number: u64, work: F) -> F::Output {
    if number % 2 == 0 { work.await } else { span_async_named!("connection", work).await }
}

async fn order() -> Vec<String> {
    let trace = Trace::here(None);
    let mut sent = Vec::new();
    for item in 0..ITEMS {
        let call = span_async_named!("GET /stock", item = item, async {
            {
                span_scope!("make the request");
            }
            tokio::task::yield_now().await;
            trace.parent().to_string()
        });
        sent.push(call.await);
    }
    sent
}

pub fn is_client(truth: &Truth) -> bool {
    let begins = |span: &Span| has(span, HERE_KEY) && !has(span, PARENT_KEY);
    truth.count(|span| begins(span) && span.parent == 0) as u64 == ORDERS / 2
        && truth.count(|span| begins(span) && span.parent != 0) as u64 == ORDERS / 2
        && truth.count(|span| span.name == "GET /stock") as u64 == ORDERS * ITEMS
}

/// Is asked by the client, and by others, and is killed while it works.
pub fn server(recording: &Path) -> Result<(), Box<dyn Error>> {
    let sent = std::fs::read_to_string(sent_in(cases_of(recording))?)?;
    let _recorder = start(recording, |builder| builder)?;
    let runtime = runtime(2)?;
    let begun = Arc::new(Notify::new());
    runtime.block_on(async {
        for (number, header) in sent.lines().chain(FOREIGN).enumerate() {
            let header = header.to_owned();
            let header = header.to_owned();
            let request = async move { instrument_named!(request(header), "GET /stock/{item}", number = number).await };
            tokio::spawn(at_times_on_a_connection(number as u64, request)).await.expect("it completes");
        }
        by_other_means(sent.lines().next().unwrap_or_default()).await;
        let stuck = begun.clone();
        let last = sent.lines().last().unwrap_or_default().to_owned();
        let open = async move {
            Trace::here(last.parse().ok());
            span_async_named!("wait for a lock", async {
                stuck.notify_one();
                std::future::pending::<()>().await;
            })
            .await;
        };
        tokio::spawn(instrument_named!(open, "GET /stock/{item}"));
        begun.notified().await;
    });
    wait_for_the_end()
}

async fn request(header: String) {
    let trace = Trace::here(header.parse().ok());
    let counted = spawn_with_context(instrument_named!(
        async {
            instant!("counted", shelves = 7);
            span_scope!("add up");
        },
        "count"
    ));
    counted.await.expect("it completes");
    // It asks itself, so that what is made here has a parent in the same trace that is known by another id.
    let again = span_async_named!("GET /shelf", async { trace.parent() }).await;
    instrument_named!(answer(again), "GET /shelf/{id}").await;
}

async fn answer(asked: TraceParent) {
    Trace::here(Some(asked));
    span_async_named!("walk to the shelf", async {}).await;
}

/// Only the parent is said, and not by which id others know the span; or what is said is no parent.
async fn by_other_means(header: &str) {
    let below = || async { span_async_named!("below it", async {}).await };
    let header = header.to_owned();
    instrument_named!(below(), "its parent alone", traceparent = header.clone()).await;
    let inside = async { instrument_named!(below(), "its parent alone", traceparent = FOREIGN[0]).await };
    span_async_named!("connection", inside).await;
    for none in [String::new(), header.to_uppercase(), format!("{header}-more"), header.replace("00-", "ff-")] {
        instrument_named!(below(), "no parent", traceparent = none).await;
    }
    instrument_named!(below(), "no parent", traceparent = 7).await;
    instrument_named!(below(), "of a later version", traceparent = header.replacen("00-", "01-", 1) + "-more").await;
}

pub fn is_server(truth: &Truth) -> bool {
    let is_asked = |span: &Span| has(span, HERE_KEY) && has(span, PARENT_KEY);
    let asked = (ORDERS * ITEMS) as usize + FOREIGN.len();
    truth.count(|span| is_asked(span) && span.name == "GET /stock/{item}") == asked + 1
        && truth.count(|span| is_asked(span) && span.name == "GET /stock/{item}" && span.parent != 0) == asked / 2
        && truth.count(|span| is_asked(span) && span.name == "GET /shelf/{id}") == asked
        && truth.count(|span| has(span, PARENT_KEY) && !has(span, HERE_KEY)) == 8
        && truth.count(|span| span.duration_ns.is_none()) == 2
}

fn has(span: &Span, key: &str) -> bool {
    span.attributes.contains_key(key)
}
