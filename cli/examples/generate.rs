//! Makes a recording of as many spans as one likes, to measure readers with: the traffic of a service that only pretends to work.
//!
//! ```console
//! $ cargo run --release -p spanring-cli --example generate -- DIR --spans 10000000
//! ```
//!
//! Requests of several routes, with names made at run time, on tasks that move between worker threads; below each one some twelve
//! async spans and scopes, four deep. One request in 200 is cancelled, one in 1000 panics. The connections are open all the time,
//! and stay open in the recording. Nothing is lost: a thread whose ring is full waits.

use clap::Parser;
use spanring::prelude::*;
use spanring::{Discipline, Recorder};
use std::future::Future;
use std::hint::spin_loop;
use std::panic::resume_unwind;
use std::path::PathBuf;
use std::pin::pin;
use std::sync::atomic::{AtomicU64, Ordering};
use std::task::{Context, Waker};
use std::time::{Duration, Instant};
use tokio::task::yield_now;

#[derive(Parser)]
struct Arguments {
    /// The recording directory
    dir: PathBuf,
    /// How many spans, at least
    #[arg(long, default_value_t = 1_000_000)]
    spans: u64,
    /// Worker threads
    #[arg(long, default_value_t = 4)]
    threads: usize,
    /// Connections, each with one request at a time
    #[arg(long, default_value_t = 64)]
    connections: u64,
    /// Compress full segments
    #[arg(long)]
    compress: bool,
    /// End by an abort in the middle of it, with whatever is open then
    #[arg(long)]
    abort: bool,
}

/// Spans so far, as the requests count them when they are done.
static SPANS: AtomicU64 = AtomicU64::new(0);

fn main() -> Result<(), Box<dyn std::error::Error>> {
    let Arguments { dir, spans, threads, connections, compress, abort } = Arguments::parse();
    let builder = Recorder::builder()
        .directory(&dir)
        .discipline(Discipline::Drain)
        .ring_bytes(4 << 20)
        .segment_bytes(64 << 20)
        .directory_bytes(u64::MAX)
        .wait_when_full(Duration::from_secs(1));
    let recorder = if compress { builder.compress() } else { builder }.start()?;
    let runtime = tokio::runtime::Builder::new_multi_thread()
        .worker_threads(threads)
        .thread_name_fn(|| {
            static THREADS: AtomicU64 = AtomicU64::new(1);
            format!("worker {}", THREADS.fetch_add(1, Ordering::Relaxed))
        })
        .build()?;
    let begin = Instant::now();
    let requests: Vec<_> = (0..connections).map(|number| runtime.spawn(connection(number, spans))).collect();
    while SPANS.load(Ordering::Relaxed) < spans {
        std::thread::sleep(Duration::from_millis(1));
    }
    if abort {
        std::process::abort();
    }
    std::thread::sleep(Duration::from_millis(100));
    let health = recorder.stop()?;
    println!("{} records in {:.1?} on {threads} threads, {} lost", health.flushed, begin.elapsed(), health.lost);
    drop(requests);
    runtime.shutdown_background();
    Ok(())
}

/// One connection: requests one after the other, for as long as there is something to do; then it waits, open.
async fn connection(number: u64, spans: u64) {
    let requests = async {
        let mut random = Random(number.wrapping_mul(0x9e37_79b9_7f4a_7c15) | 1);
        while SPANS.load(Ordering::Relaxed) < spans {
            let seed = random.next();
            match seed % 1000 {
                0 => drop(spawn_with_context(request(seed, true)).await),
                1..=5 => cancelled(request(seed, false)),
                _ => request(seed, false).await,
            }
            yield_now().await;
        }
        std::future::pending::<()>().await;
    };
    span_async_named!("connection", requests).await;
}

/// Polls a request once, which is not enough, and drops it.
fn cancelled(request: impl Future<Output = ()>) {
    let mut request = pin!(request);
    assert!(request.as_mut().poll(&mut Context::from_waker(Waker::noop())).is_pending());
}

async fn request(seed: u64, panics: bool) {
    let mut random = Random(seed | 1);
    let (method, route, queries) = [
        ("GET", "users", 2),
        ("GET", "search", 4),
        ("POST", "orders", 3),
        ("GET", "quote", 1),
        ("GET", "report", 6),
        ("PUT", "users", 2),
    ][(random.next() % 6) as usize];
    let shard = random.next() % 8;
    let work = async {
        span_async_named!("authorise", async {
            work(&mut random, 300);
            yield_now().await;
            work(&mut random, 200);
        })
        .await;
        for _ in 0..queries {
            query(&mut random).await;
        }
        if panics {
            resume_unwind(Box::new("as planned"));
        }
        render(&mut random);
        span_async_named!("write response", async { work(&mut random, 250) }).await;
    };
    span_async_named_dyn!(format!("{method} /{route} on shard {shard}"), work).await;
    SPANS.fetch_add(5 + 3 * queries, Ordering::Relaxed);
}

#[span_fn]
async fn query(random: &mut Random) {
    span_async_named!("wait for connection", async {
        for _ in 0..random.next() % 3 {
            yield_now().await;
        }
    })
    .await;
    span_async_named!("select", async {
        work(random, 600);
        if random.next() % 4 == 0 {
            yield_now().await;
            work(random, 400);
        }
    })
    .await;
}

#[span_fn]
fn render(random: &mut Random) {
    work(random, 200);
    span_scope!("compress body");
    work(random, 300);
}

/// Works for about so many nanoseconds: exponentially distributed, and one in 4096 takes a hundred times as long.
fn work(random: &mut Random, mean_ns: u64) {
    let uniform = (random.next() >> 11) as f64 / (1u64 << 53) as f64;
    let slow = if random.next() % 4096 == 0 { 100.0 } else { 1.0 };
    let time = Duration::from_nanos((-(1.0 - uniform).ln() * mean_ns as f64 * slow) as u64);
    let begin = Instant::now();
    while begin.elapsed() < time {
        spin_loop();
    }
}

/// Marsaglia's xorshift: the same requests in every run.
struct Random(u64);

impl Random {
    fn next(&mut self) -> u64 {
        self.0 ^= self.0 << 13;
        self.0 ^= self.0 >> 7;
        self.0 ^= self.0 << 17;
        self.0.wrapping_mul(0x2545_f491_4f6c_dd1d)
    }
}
