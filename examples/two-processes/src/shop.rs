//! The client.

use crate::TRACEPARENT;
use axum::body::Body;
use axum::http::{Request, StatusCode};
use http_body_util::BodyExt;
use hyper_util::client::legacy::Client;
use hyper_util::client::legacy::connect::HttpConnector;
use hyper_util::rt::TokioExecutor;
use spanring::prelude::*;
use spanring::trace_context::Trace;
use std::error::Error;
use std::net::SocketAddr;
use tokio::task::JoinSet;

type AnyError = Box<dyn Error + Send + Sync>;

/// Orders, each of some things that have to be in stock.
#[derive(Clone, Debug)]
pub struct Shop {
    client: Client<HttpConnector, Body>,
    warehouse: SocketAddr,
}

impl Shop {
    /// A shop whose warehouse listens there.
    pub fn new(warehouse: SocketAddr) -> Shop {
        Shop { client: Client::builder(TokioExecutor::new()).build_http(), warehouse }
    }

    /// Places an order, if all items are in stock; how many there are of each that is scarcest. The span of it is the first of a new trace.
    ///
    /// # Errors
    /// If the warehouse does not say so.
    #[span_fn(err)]
    pub async fn order(&self, number: u64, items: &[&'static str]) -> Result<u64, AnyError> {
        current_span().record("number", number);
        let trace = Trace::here(None);
        let mut asked = JoinSet::new();
        for &item in items {
            // Each in a task of its own. Its span is made here, so it is in the order's.
            asked.spawn(self.clone().ask(trace, item));
        }
        let mut scarcest = u64::MAX;
        while let Some(in_stock) = asked.join_next().await {
            scarcest = scarcest.min(in_stock??);
        }
        Ok(scarcest)
    }

    /// Asks for one item. This span is the parent of what the warehouse does: its own is what the header says.
    #[span_fn("GET /stock", fields(item = item), err)]
    async fn ask(self, trace: Trace, item: &'static str) -> Result<u64, AnyError> {
        let request = Request::get(format!("http://{}/stock/{item}", self.warehouse));
        let request = request.header(TRACEPARENT, trace.parent().to_string()).body(Body::empty())?;
        let response = self.client.request(request).await?;
        let status = response.status();
        let body = response.into_body().collect().await?.to_bytes();
        match status {
            StatusCode::OK => Ok(std::str::from_utf8(&body)?.parse()?),
            other => Err(format!("the warehouse says {other}").into()),
        }
    }
}
