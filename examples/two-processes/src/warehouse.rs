//! The server.

use crate::TRACEPARENT;
use axum::Router;
use axum::extract::{MatchedPath, Path, Request};
use axum::http::StatusCode;
use axum::middleware::{Next, from_fn};
use axum::response::Response;
use axum::routing::get;
use spanring::prelude::*;
use spanring::trace_context::{Trace, TraceParent};
use std::time::Duration;

/// What the server answers.
pub fn routes() -> Router {
    Router::new().route("/stock/{item}", get(stock)).route_layer(from_fn(go_on))
}

/// A span for each request, in the trace that came with it, or at the top of a new one.
async fn go_on(mut request: Request, next: Next) -> Response {
    let (method, route) = (request.method().clone(), request.extensions().get::<MatchedPath>().cloned());
    let route = || route.as_ref().map_or("?", MatchedPath::as_str);
    span_async_named!(format!("{method} {}", route()), async {
        let header = request.headers().get(TRACEPARENT).and_then(|header| header.to_str().ok());
        // What is no `traceparent` is as good as none, says W3C.
        let parent: Option<TraceParent> = header.and_then(|header| header.parse().ok());
        // For handlers that ask others in turn.
        request.extensions_mut().insert(Trace::here(parent));
        next.run(request).await
    })
    .await
}

async fn stock(Path(item): Path<String>) -> Result<String, StatusCode> {
    count(&item).await.map(|count| count.to_string()).ok_or(StatusCode::NOT_FOUND)
}

/// Somebody walks to the shelf and counts.
#[span_fn(fields(item = item))]
async fn count(item: &str) -> Option<u64> {
    let (count, distance) = match item {
        "tea" => (30, 2),
        "coffee" => (12, 4),
        "sugar" => (500, 9),
        _ => return None,
    };
    span_async_named!("walk to the shelf", tokio::time::sleep(Duration::from_millis(distance))).await;
    Some(count)
}
