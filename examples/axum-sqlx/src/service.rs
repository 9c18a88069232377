//! The routes. A request is a span of tower-http's; in it stands one that is called as its route; in that, its handler's.

use crate::database::{Database, Order};
use axum::extract::{MatchedPath, Path, Request, State};
use axum::http::StatusCode;
use axum::middleware::{Next, from_fn};
use axum::response::{IntoResponse, Response};
use axum::routing::get;
use axum::{Json, Router};
use serde::{Deserialize, Serialize};
use spanring::prelude::*;
use std::io;
use std::net::SocketAddr;
use std::time::Duration;
use tokio::net::TcpListener;
use tokio::sync::oneshot;
use tokio::task::JoinHandle;
use tower_http::trace::TraceLayer;
use tracing::field::Empty;
use tracing::{Span, info_span, instrument};

/// A service that answers.
#[derive(Debug)]
pub struct Service {
    /// Where.
    pub address: SocketAddr,
    database: Database,
    stop: oneshot::Sender<()>,
    running: JoinHandle<io::Result<()>>,
}

impl Service {
    /// Answers on that port of the loopback interface; on any if it is 0.
    ///
    /// # Errors
    /// If the port is taken.
    pub async fn start(database: Database, port: u16) -> io::Result<Service> {
        let listener = TcpListener::bind(SocketAddr::from(([127, 0, 0, 1], port))).await?;
        let address = listener.local_addr()?;
        let (stop, stopped) = oneshot::channel();
        let serve = axum::serve(listener, routes(database.clone())).with_graceful_shutdown(async {
            // Nobody holds the other end any more: that is as good a reason.
            let _ = stopped.await;
        });
        Ok(Service { address, database, stop, running: tokio::spawn(serve.into_future()) })
    }

    /// Answers what was asked, and then no more.
    ///
    /// # Errors
    /// If it had come to an end by itself.
    pub async fn stop(self) -> io::Result<()> {
        drop(self.stop);
        self.running.await.map_err(io::Error::other)??;
        self.database.close().await;
        Ok(())
    }
}

fn routes(database: Database) -> Router {
    let trace = TraceLayer::new_for_http().make_span_with(request_span).on_response(record_status);
    Router::new()
        .route("/orders/{id}", get(order))
        .route("/customers/{id}/orders", get(orders_of_customer).post(place_order))
        .route_layer(from_fn(by_route))
        .layer(trace)
        .with_state(database)
}

/// Made by tower-http for each request, and kept open until the last byte of the answer is handed out.
fn request_span<B>(request: &axum::http::Request<B>) -> Span {
    info_span!("request", method = %request.method(), uri = %request.uri(), status = Empty)
}

fn record_status<B>(response: &axum::http::Response<B>, _: Duration, span: &Span) {
    span.record("status", response.status().as_u16());
}

/// What `tracing` cannot do: a name that is known at run time. So `spanring top` has a line for each route.
async fn by_route(request: Request, next: Next) -> Response {
    let (method, route) = (request.method().clone(), request.extensions().get::<MatchedPath>().cloned());
    let route = || route.as_ref().map_or("?", MatchedPath::as_str);
    span_async_named!(format!("{method} {}", route()), async { next.run(request).await }).await
}

#[instrument(skip(database), err)]
async fn order(State(database): State<Database>, Path(id): Path<i64>) -> Result<Response, Failure> {
    Ok(match database.order(id).await? {
        Some(order) => Json(order).into_response(),
        None => StatusCode::NOT_FOUND.into_response(),
    })
}

/// What a customer has ordered.
#[derive(Serialize)]
struct Account {
    orders: Vec<Order>,
    cents: i64,
}

#[instrument(skip(database), err)]
async fn orders_of_customer(State(database): State<Database>, Path(id): Path<i64>) -> Result<Json<Account>, Failure> {
    let orders = database.orders_of(id).await?;
    span_scope!("add up", orders = orders.len());
    let cents = orders.iter().map(|order| order.cents).sum();
    Ok(Json(Account { orders, cents }))
}

/// What somebody wants to order.
#[derive(Debug, Deserialize)]
struct NewOrder {
    cents: i64,
}

#[instrument(skip(database), err)]
async fn place_order(
    State(database): State<Database>,
    Path(id): Path<i64>,
    Json(new): Json<NewOrder>,
) -> Result<(StatusCode, Json<i64>), Failure> {
    Ok((StatusCode::CREATED, Json(database.place(id, new.cents).await?)))
}

/// The database did not do what it was asked. The handler's span has failed then, and says why; so has the request's, by tower-http's word.
#[derive(Debug)]
struct Failure(sqlx::Error);

impl From<sqlx::Error> for Failure {
    fn from(error: sqlx::Error) -> Failure {
        Failure(error)
    }
}

impl std::fmt::Display for Failure {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        self.0.fmt(f)
    }
}

impl IntoResponse for Failure {
    fn into_response(self) -> Response {
        StatusCode::INTERNAL_SERVER_ERROR.into_response()
    }
}
