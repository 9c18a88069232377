//! The load: clients that ask one thing after the other, each as soon as it has its answer.

use axum::body::{Body, Bytes};
use axum::http::header::CONTENT_TYPE;
use axum::http::{Request, StatusCode};
use hdrhistogram::Histogram;
use http_body_util::{BodyExt, Full};
use hyper_util::client::legacy::Client;
use hyper_util::client::legacy::connect::HttpConnector;
use hyper_util::rt::TokioExecutor;
use std::io;
use std::net::SocketAddr;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::{Duration, Instant};
use tokio::task::JoinSet;

/// What is asked, and by how many.
#[derive(Clone, Copy, Debug)]
pub struct Plan {
    /// Requests in all.
    pub requests: u64,
    /// Clients.
    pub concurrency: u32,
    /// Orders that are there to be asked for.
    pub orders: u32,
    /// Customers that are there to be asked for.
    pub customers: u32,
}

/// What the clients saw.
#[derive(Clone, Debug)]
pub struct Load {
    /// Requests for an order that were answered.
    pub orders: u64,
    /// Requests for the orders of a customer that were answered.
    pub customers: u64,
    /// Orders that were placed.
    pub placed: u64,
    /// Requests that did not get the answer that was to be expected.
    pub failed: u64,
    /// From the first request to the last answer.
    pub elapsed: Duration,
    /// How long each took that was answered, in nanoseconds.
    pub latencies: Histogram<u64>,
}

impl Load {
    fn none() -> Load {
        let latencies = Histogram::new(3).expect("three digits is what a histogram can have");
        Load { orders: 0, customers: 0, placed: 0, failed: 0, elapsed: Duration::ZERO, latencies }
    }

    /// Requests that got their answer.
    pub fn answered(&self) -> u64 {
        self.orders + self.customers + self.placed
    }

    /// The same for each second.
    pub fn rate(&self) -> f64 {
        self.answered() as f64 / self.elapsed.as_secs_f64()
    }
}

/// One of the things that are asked.
#[derive(Clone, Copy)]
enum Question {
    Order(u64),
    OrdersOf(u64),
    Place(u64),
}

impl Plan {
    /// The request of that number: a mix that looks random, and is the same every time.
    fn question(&self, number: u64) -> Question {
        let chance = number.wrapping_add(1).wrapping_mul(0x9e37_79b9_7f4a_7c15);
        let one_of = |most: u32| (chance >> 24) % u64::from(most.max(1)) + 1;
        match (chance >> 40) % 100 {
            0..70 => Question::Order(one_of(self.orders)),
            70..85 => Question::OrdersOf(one_of(self.customers)),
            _ => Question::Place(one_of(self.customers)),
        }
    }
}

/// Sends what is planned, on a thread of its own and so outside of what it measures, and returns when all is answered.
///
/// # Errors
/// If there can be no runtime.
pub fn drive(address: SocketAddr, plan: Plan) -> io::Result<Load> {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
    runtime.block_on(async {
        let next = Arc::new(AtomicU64::new(0));
        let client: Client<HttpConnector, Body> = Client::builder(TokioExecutor::new()).build_http();
        let began = Instant::now();
        let mut clients = JoinSet::new();
        for _ in 0..plan.concurrency {
            clients.spawn(ask(client.clone(), address, plan, Arc::clone(&next)));
        }
        let mut load = Load::none();
        for seen in clients.join_all().await {
            load.orders += seen.orders;
            load.customers += seen.customers;
            load.placed += seen.placed;
            load.failed += seen.failed;
            load.latencies += seen.latencies;
        }
        load.elapsed = began.elapsed();
        Ok(load)
    })
}

async fn ask(client: Client<HttpConnector, Body>, address: SocketAddr, plan: Plan, next: Arc<AtomicU64>) -> Load {
    let mut load = Load::none();
    loop {
        // Relaxed: this only hands out numbers.
        let number = next.fetch_add(1, Ordering::Relaxed);
        if number >= plan.requests {
            return load;
        }
        let question = plan.question(number);
        let began = Instant::now();
        match answer(&client, address, question).await {
            Some(_) => {
                match question {
                    Question::Order(_) => load.orders += 1,
                    Question::OrdersOf(_) => load.customers += 1,
                    Question::Place(_) => load.placed += 1,
                }
                load.latencies += began.elapsed().as_nanos() as u64;
            }
            None => load.failed += 1,
        }
    }
}

/// The whole answer, if it is what was to be expected.
async fn answer(client: &Client<HttpConnector, Body>, address: SocketAddr, question: Question) -> Option<Bytes> {
    let get = |path: String| Request::get(format!("http://{address}{path}")).body(Body::empty());
    let (request, expected) = match question {
        Question::Order(id) => (get(format!("/orders/{id}")), StatusCode::OK),
        Question::OrdersOf(id) => (get(format!("/customers/{id}/orders")), StatusCode::OK),
        Question::Place(id) => {
            let post = Request::post(format!("http://{address}/customers/{id}/orders"));
            let body = Body::new(Full::from(format!("{{\"cents\":{}}}", id * 100)));
            (post.header(CONTENT_TYPE, "application/json").body(body), StatusCode::CREATED)
        }
    };
    let response = client.request(request.ok()?).await.ok()?;
    let status = response.status();
    let body = response.into_body().collect().await.ok()?.to_bytes();
    (status == expected).then_some(body)
}
