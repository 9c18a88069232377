//! The load: clients that send requests over TCP, at a bounded rate.

use bytes::Bytes;
use http_body_util::{BodyExt, Empty};
use hyper::client::conn::http1;
use hyper::header::HOST;
use hyper::{Method, Request, Response, StatusCode};
use hyper_util::rt::TokioIo;
use std::io;
use std::net::SocketAddr;
use std::time::Duration;
use tokio::net::TcpStream;
use tokio::runtime;
use tokio::task::JoinSet;
use tokio::time::Instant;

/// What the clients saw.
///
/// ```
/// use spanring_cli::demo::Load;
///
/// /// The part of the requests that got no proper answer.
/// fn failure_rate(load: &Load) -> f64 {
///     load.failed as f64 / (load.answered + load.failed).max(1) as f64
/// }
/// assert_eq!(failure_rate(&Load { answered: 3, failed: 1 }), 0.25);
/// ```
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Load {
    /// Requests that got the answer that was to be expected; some are errors on purpose.
    pub answered: u64,
    /// Requests that did not.
    pub failed: u64,
}

/// Runs `clients` against the service for `duration`, at `rate` requests per second in all, each client on a connection of
/// its own. Returns when all connections are closed.
pub(super) fn drive(address: SocketAddr, clients: u32, rate: u32, duration: Duration) -> io::Result<Load> {
    let period = Duration::from_secs(1) * clients / rate;
    let runtime = runtime::Builder::new_current_thread().enable_all().build()?;
    runtime.block_on(async {
        let deadline = Instant::now() + duration;
        let mut running = JoinSet::new();
        for client in 0..clients {
            // Not all in step.
            let first = Instant::now() + period * client / clients;
            running.spawn(run_client(address, u64::from(client), first, period, deadline));
        }
        let mut load = Load::default();
        while let Some(seen) = running.join_next().await {
            match seen {
                Ok(seen) => {
                    load.answered += seen.answered;
                    load.failed += seen.failed;
                }
                Err(_) => load.failed += 1,
            }
        }
        Ok(load)
    })
}

async fn run_client(address: SocketAddr, client: u64, first: Instant, period: Duration, deadline: Instant) -> Load {
    let mut load = Load::default();
    let mut connection = None;
    let mut due = first;
    for number in 0.. {
        if due >= deadline {
            break;
        }
        tokio::time::sleep_until(due).await;
        // A client that is late does not try to catch up.
        due = (due + period).max(Instant::now());
        match exchange(&mut connection, address, client << 32 | number).await {
            Ok(status)
                if status == StatusCode::OK
                    || status == StatusCode::GATEWAY_TIMEOUT
                    || status == StatusCode::BAD_GATEWAY =>
            {
                load.answered += 1;
            }
            _ => load.failed += 1,
        }
    }
    load
}

type Sender = http1::SendRequest<Empty<Bytes>>;

/// One request and its answer, on the open connection if there is one.
async fn exchange(connection: &mut Option<Sender>, address: SocketAddr, number: u64) -> Result<StatusCode, Failed> {
    let mut sender = match connection.take().filter(|sender| !sender.is_closed()) {
        Some(sender) => sender,
        None => connect(address).await?,
    };
    let (method, path) = pick(number);
    let request = Request::builder().method(method).uri(path).header(HOST, address.to_string()).body(Empty::new())?;
    sender.ready().await?;
    let response: Response<_> = sender.send_request(request).await?;
    let status = response.status();
    response.into_body().collect().await?;
    *connection = Some(sender);
    Ok(status)
}

async fn connect(address: SocketAddr) -> Result<Sender, Failed> {
    let stream = TcpStream::connect(address).await?;
    stream.set_nodelay(true)?;
    let (sender, connection) = http1::handshake(TokioIo::new(stream)).await?;
    tokio::spawn(connection);
    Ok(sender)
}

/// Any error at all: only how many there are matters.
struct Failed;

impl<E: std::error::Error> From<E> for Failed {
    fn from(_: E) -> Failed {
        Failed
    }
}

/// The request with that number: a mix that looks random, and is the same every time.
fn pick(number: u64) -> (Method, String) {
    let chance = super::service::scramble(number);
    let id = chance >> 32;
    match chance % 100 {
        0..50 => (Method::GET, format!("/users/{}", id % 500)),
        50..70 => (Method::GET, format!("/search?q={}", id % 1000)),
        70..82 => (Method::GET, "/report".to_owned()),
        82..92 => (Method::POST, format!("/orders/{id}")),
        _ => (Method::GET, format!("/quote/{}", id % 50)),
    }
}
