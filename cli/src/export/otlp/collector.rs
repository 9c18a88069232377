//! Batches on their way to a collector: some at a time, each until it is taken or there is no hope.
//!
//! The reading side fills a short queue and waits while that is full, so memory does not grow while the collector is slow. A
//! thread of its own sends. A request that is refused for now is sent again, after the time that the collector asks for, or else
//! after one that doubles. One that is refused for good ends the export, and so does one that has been refused for too long. Values of
//! counters that are refused for good are only counted: not every collector of traces takes metrics.

use super::transport::{Answer, Refusal, Request, Transport};
use crate::export::{ExportError, OtlpProtocol};
use crate::text::{clean, count};
use std::collections::BTreeMap;
use std::hash::{BuildHasher, RandomState};
use std::io;
use std::thread::JoinHandle;
use std::time::{Duration, Instant};
use tokio::runtime::{Builder, Runtime};
use tokio::sync::mpsc;
use tokio::task::JoinSet;
use tokio::time::{sleep, timeout};

/// Requests that may be on their way at the same time.
const IN_FLIGHT: usize = 4;
/// Batches that may wait for their turn.
const WAITING: usize = 4;
/// The first time to wait without a word of the collector; it doubles up to the longest.
const FIRST_WAIT: Duration = Duration::from_millis(250);
const LONGEST_WAIT: Duration = Duration::from_secs(15);
/// Different reasons of a collector that are kept.
const REASONS: usize = 8;

/// How to reach a collector, and how patient to be.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Way {
    pub address: String,
    pub protocol: OtlpProtocol,
    pub headers: Vec<(String, String)>,
    /// A request without an answer after this is sent again.
    pub timeout: Duration,
    /// A batch that has not been taken after this ends the export.
    pub patience: Duration,
}

/// Spans, or values of counters, for one request.
pub struct Batch {
    /// How many.
    pub size: u64,
    pub request: Request,
}

/// What became of the batches.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Tally {
    /// Spans, and values of counters.
    pub spans: Taken,
    pub values: Taken,
    pub requests: u64,
    /// Requests that had to be sent again.
    pub retries: u64,
    /// What the collector said about what it took or rejected, and how much it rejected with that.
    said: BTreeMap<String, u64>,
}

/// How much was taken, and how much not.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Taken {
    pub accepted: u64,
    pub rejected: u64,
}

/// A collector, while batches go to it.
pub struct Collector {
    /// `None` once no more come.
    queue: Option<mpsc::Sender<Batch>>,
    sender: Option<JoinHandle<(Tally, Option<String>)>>,
}

impl Collector {
    /// Nothing is sent yet, so a collector that is not there shows later.
    ///
    /// # Errors
    /// If the address or a header is none, or there is no thread to be had.
    pub fn new(way: &Way) -> Result<Collector, ExportError> {
        let runtime = Builder::new_current_thread().enable_all().build()?;
        let transport = {
            let _inside = runtime.enter();
            Transport::new(&way.address, way.protocol, &way.headers)?
        };
        let (queue, batches) = mpsc::channel(WAITING);
        let patience = Patience { timeout: way.timeout, total: way.patience };
        let sender = std::thread::Builder::new().name("otlp".to_owned());
        let sender = sender.spawn(move || send_all(&runtime, &transport, patience, batches))?;
        Ok(Collector { queue: Some(queue), sender: Some(sender) })
    }

    /// Hands over a batch, and waits until there is room for it.
    ///
    /// # Errors
    /// If this or an earlier batch was not taken.
    pub fn send(&mut self, batch: Batch) -> Result<(), ExportError> {
        match &self.queue {
            Some(queue) if queue.blocking_send(batch).is_ok() => Ok(()),
            // Nobody takes batches any more, which has a reason.
            _ => self.finish().and_then(|_| Err(Collector::failed("nothing is sent any more"))),
        }
    }

    /// Waits until everything is sent.
    ///
    /// # Errors
    /// If a batch was not taken.
    pub fn finish(&mut self) -> Result<Tally, ExportError> {
        self.queue = None;
        let ended = self.sender.take().map(JoinHandle::join);
        match ended {
            Some(Ok((tally, None))) => Ok(tally),
            Some(Ok((tally, Some(why)))) => {
                Err(Collector::failed(&format!("{why} ({} known to be taken)", count(tally.spans.accepted, "span"))))
            }
            _ => Err(Collector::failed("it has failed before")),
        }
    }

    fn failed(why: &str) -> ExportError {
        ExportError::Write(io::Error::other(why.to_owned()))
    }
}

impl Tally {
    fn add(&mut self, done: Delivered) {
        self.requests += 1;
        self.retries += done.retries;
        let Answer { rejected, said } = done.answer;
        // More than all, or less than none, makes no sense.
        let rejected = u64::try_from(rejected).unwrap_or(0).min(done.size);
        let taken = if done.is_metrics { &mut self.values } else { &mut self.spans };
        taken.accepted += done.size - rejected;
        taken.rejected += rejected;
        if rejected > 0 || !said.is_empty() {
            let said = if self.said.len() < REASONS { said } else { "other reasons".to_owned() };
            *self.said.entry(clean(&said).into_owned()).or_default() += rejected;
        }
    }

    /// What the user should know of it, a line each.
    pub fn lines(&self) -> Vec<String> {
        let mut lines = vec![format!(
            "the collector accepted {} in {}, {} of which had to be repeated, and rejected {}",
            count(self.spans.accepted, "span"),
            count(self.requests, "request"),
            self.retries,
            self.spans.rejected
        )];
        let Taken { accepted, rejected } = self.values;
        if accepted + rejected > 0 {
            lines.push(format!(
                "of counters, as metrics, it accepted {}, and rejected {rejected}",
                count(accepted, "value")
            ));
        }
        lines.extend(self.said.iter().map(|(said, rejected)| {
            let said = if said.is_empty() { "no reason given" } else { said };
            if *rejected > 0 { format!("rejected {rejected}: {said}") } else { format!("the collector says: {said}") }
        }));
        lines
    }
}

#[derive(Clone, Copy)]
struct Patience {
    timeout: Duration,
    total: Duration,
}

struct Delivered {
    size: u64,
    is_metrics: bool,
    retries: u64,
    answer: Answer,
}

/// Sends batches until there are no more, or one is not taken: then why.
fn send_all(
    runtime: &Runtime,
    transport: &Transport,
    patience: Patience,
    mut batches: mpsc::Receiver<Batch>,
) -> (Tally, Option<String>) {
    runtime.block_on(async {
        let mut tally = Tally::default();
        let mut on_their_way = JoinSet::new();
        loop {
            let full = on_their_way.len() >= IN_FLIGHT;
            let batch = if full { None } else { batches.recv().await };
            match batch {
                Some(batch) => drop(on_their_way.spawn(deliver(transport.clone(), batch, patience))),
                None => match on_their_way.join_next().await {
                    Some(Ok(Ok(done))) => tally.add(done),
                    Some(Ok(Err(why))) => return (tally, Some(why)),
                    Some(Err(error)) => return (tally, Some(error.to_string())),
                    None => return (tally, None),
                },
            }
        }
    })
}

/// Sends one batch until it is taken.
async fn deliver(mut transport: Transport, batch: Batch, patience: Patience) -> Result<Delivered, String> {
    let started = Instant::now();
    let (size, is_metrics) = (batch.size, matches!(batch.request, Request::Metrics(_)));
    let mut retries = 0;
    loop {
        let sent = timeout(patience.timeout, transport.send(&batch.request)).await;
        let (why, after) = match sent {
            Ok(Ok(answer)) => return Ok(Delivered { size, is_metrics, retries, answer }),
            Ok(Err(Refusal::Permanent(said))) if is_metrics => {
                let answer = Answer { rejected: i64::try_from(size).unwrap_or(i64::MAX), said };
                return Ok(Delivered { size, is_metrics, retries, answer });
            }
            Ok(Err(Refusal::Permanent(why))) => return Err(why),
            Ok(Err(Refusal::Temporary { why, after })) => (why, after),
            Err(_) => (format!("no answer within {:?}", patience.timeout), None),
        };
        let wait = after.unwrap_or_else(|| backoff(retries));
        if started.elapsed() + wait > patience.total {
            let asked = after.map_or_else(String::new, |after| format!(", and it asks to wait {after:?}"));
            return Err(format!("{why}; gave up after {}{asked}", count(retries + 1, "attempt")));
        }
        sleep(wait).await;
        retries += 1;
    }
}

/// Doubles with each retry, and is spread so that requests refused together do not come back together.
fn backoff(retries: u64) -> Duration {
    let doubled = FIRST_WAIT.saturating_mul(1 << retries.min(10)).min(LONGEST_WAIT);
    let spread = RandomState::new().hash_one(retries) % 1000;
    doubled.mul_f64(0.5 + spread as f64 / 1000.0)
}
