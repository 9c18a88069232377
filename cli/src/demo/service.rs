//! The service: a few routes, each with another sort of asynchronous work, and another way to name spans.

use bytes::Bytes;
use http_body_util::Full;
use hyper::body::Incoming;
use hyper::server::conn::http1;
use hyper::service::service_fn;
use hyper::{Request, Response, StatusCode};
use hyper_util::rt::TokioIo;
use spanring::prelude::*;
use std::convert::Infallible;
use std::hash::{DefaultHasher, Hasher};
use std::panic::resume_unwind;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::Semaphore;
use tokio::task::{JoinSet, spawn_blocking};
use tokio::time::{sleep, timeout};

/// Connections to the database: fewer than clients, so that requests sometimes wait for one.
const POOL_SIZE: usize = 2;

/// What all requests share.
pub(super) struct Service {
    pool: Semaphore,
    orders: AtomicU64,
}

impl Default for Service {
    fn default() -> Service {
        Service { pool: Semaphore::new(POOL_SIZE), orders: AtomicU64::new(0) }
    }
}

type Answer = (StatusCode, String);

/// Accepts connections for ever, beside a task that keeps a cache fresh.
pub(super) async fn run(listener: TcpListener, service: Arc<Service>) {
    tokio::spawn(refresh_cache(Arc::clone(&service)));
    loop {
        if let Ok((stream, _)) = listener.accept().await {
            tokio::spawn(serve_connection(stream, Arc::clone(&service)));
        }
    }
}

/// Still at it when the recording ends: a span that stays open.
#[span_fn]
async fn refresh_cache(service: Arc<Service>) {
    for round in 0u64.. {
        query(&service, round, "refresh cache").await;
        sleep(Duration::from_millis(250)).await;
    }
}

#[span_fn]
async fn serve_connection(stream: TcpStream, service: Arc<Service>) {
    let answer = service_fn(move |request| answer(Arc::clone(&service), request));
    // A client that goes away in the middle of a request is no concern of the service.
    let _ = http1::Builder::new().serve_connection(TokioIo::new(stream), answer).await;
}

/// One span per request, named by method and route: text made at run time, few different ones.
async fn answer(service: Arc<Service>, request: Request<Incoming>) -> Result<Response<Full<Bytes>>, Infallible> {
    let path = request.uri().path().trim_start_matches('/').to_owned();
    let (route, rest) = path.split_once('/').unwrap_or((&path, ""));
    let id = rest.parse().unwrap_or(0);
    let name = format!("{} /{route}", request.method());
    let (status, text) = span_async_named_dyn!(name, id = id, async {
        match route {
            "users" => user(&service, id).await,
            "search" => search(&service).await,
            "report" => report(&service).await,
            "orders" => order(service, id).await,
            "quote" => quote(id).await,
            _ => (StatusCode::NOT_FOUND, format!("there is no /{route}\n")),
        }
    })
    .await;
    let mut response = Response::new(Full::new(Bytes::from(text)));
    *response.status_mut() = status;
    Ok(response)
}

/// Waits for a connection from the pool, then for the database. A span for every user: many different names.
async fn user(service: &Service, id: u64) -> Answer {
    let name = format!("load user {id}");
    // In a block: a span's parent is the one it is created in, and `query` makes its span when it is called.
    let row = span_async_named_dyn!(name, async { query(service, id, "select user").await }).await;
    (StatusCode::OK, format!("user {id}: {row:x}\n"))
}

/// The database: a bounded pool, and an answer that takes a while.
#[span_fn]
async fn query(service: &Service, key: u64, statement: &'static str) -> u64 {
    let connection = span_async_named!("wait for connection", free = service.free(), service.pool.acquire()).await;
    let answer = span_async_named!(statement, key = key, async {
        sleep(Duration::from_micros(1000 + scramble(key) % 2000)).await;
        scramble(key ^ 1)
    })
    .await;
    drop(connection);
    answer
}

/// Asks three shards at once, in tasks of their own that know which request they belong to.
#[span_fn]
async fn search(service: &Service) -> Answer {
    static_span_desc!(SHARD, "search shard");
    let seed = service.orders.load(Ordering::Relaxed);
    let shards: Vec<_> = (0..3)
        .map(|shard| {
            let work = async move {
                sleep(Duration::from_micros(500 + scramble(seed + shard) % 3000)).await;
                span_scope!("rank hits");
                hash_rounds(shard, 2_000)
            };
            spawn_with_context(work.instrument(&SHARD))
        })
        .collect();
    let mut hits = 0;
    for shard in shards {
        hits ^= shard.await.unwrap_or(0);
    }
    (StatusCode::OK, format!("{hits:x}\n"))
}

/// Blocking work on a thread for it, with a deadline that it does not always make: the future is cancelled then.
async fn report(service: &Service) -> Answer {
    static_span_desc!(RENDER, "render report");
    let render = async {
        let orders = service.orders.load(Ordering::Relaxed);
        let pages = spawn_blocking(move || {
            span_scope!("hash pages");
            hash_rounds(orders, 100_000)
        });
        let pages = pages.await.unwrap_or(0);
        sleep(Duration::from_micros(pages % 12_000)).await;
        pages
    };
    match timeout(Duration::from_millis(10), render.instrument(&RENDER)).await {
        Ok(pages) => (StatusCode::OK, format!("{pages:x}\n")),
        Err(_) => (StatusCode::GATEWAY_TIMEOUT, "the report took too long\n".to_owned()),
    }
}

/// Answers before everything is done: the audit outlives the request that it belongs to.
#[span_fn("place order")]
async fn order(service: Arc<Service>, id: u64) -> Answer {
    static_span_desc!(AUDIT, "audit order");
    let number = service.orders.fetch_add(1, Ordering::Relaxed);
    query(&service, id, "insert order").await;
    counter!("orders", number + 1);
    let audit = async move {
        sleep(Duration::from_millis(3)).await;
        query(&service, number, "insert audit").await;
    };
    tokio::spawn(audit.instrument(&AUDIT));
    (StatusCode::OK, format!("order {number}\n"))
}

/// Asks two sources; one of them sometimes panics, as code one does not own may do.
#[span_fn]
async fn quote(id: u64) -> Answer {
    static_span_location!(HERE);
    let mut sources = JoinSet::new();
    for source in ["exchange", "broker"] {
        let ask = async move {
            sleep(Duration::from_micros(300 + scramble(id) % 700)).await;
            if source == "broker" && id % 5 == 3 {
                // Like `panic!`, but says nothing on standard error.
                resume_unwind(Box::new("no quote"));
            }
            scramble(id) % 10_000
        };
        sources.spawn(ask.instrument_named(&HERE, format!("ask {source}")));
    }
    let mut best = None;
    while let Some(quote) = sources.join_next().await {
        match quote {
            Ok(price) => best = best.max(Some(price)),
            Err(_) => {
                instant!("a source failed", sources_left = sources.len());
                return (StatusCode::BAD_GATEWAY, "a source failed\n".to_owned());
            }
        }
    }
    (StatusCode::OK, format!("{}\n", best.unwrap_or(0)))
}

impl Service {
    /// Connections to the database that nobody uses.
    fn free(&self) -> usize {
        self.pool.available_permits()
    }
}

/// Work for a processor.
fn hash_rounds(seed: u64, rounds: u64) -> u64 {
    let mut hasher = DefaultHasher::new();
    for round in 0..rounds {
        hasher.write_u64(seed ^ round);
    }
    hasher.finish()
}

/// A number that looks random, the same for the same input (the finaliser of SplitMix64).
pub(super) fn scramble(number: u64) -> u64 {
    let number = number.wrapping_add(0x9e37_79b9_7f4a_7c15);
    let number = (number ^ (number >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
    let number = (number ^ (number >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
    number ^ (number >> 31)
}
