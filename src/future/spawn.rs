//! Spawning on tokio with the current span.

use super::context::{WithCurrentSpan, with_current_span};
use std::future::Future;
use tokio::task::JoinHandle;

/// Like `tokio::spawn`; the task runs in the span that is current here.
///
/// # Panics
/// As `tokio::spawn` does, outside of a runtime.
///
/// ```
/// use spanring::prelude::*;
///
/// # #[tokio::main(flavor = "current_thread")]
/// # async fn main() {
/// let request = span_async_named!("request", async {
///     let job = spawn_with_context(async {
///         span_scope!("job"); // a child of the span `request`
///         42
///     });
///     job.await.unwrap()
/// });
/// assert_eq!(request.await, 42);
/// # }
/// ```
pub fn spawn_with_context<F>(future: F) -> JoinHandle<F::Output>
where
    F: Future + Send + 'static,
    F::Output: Send + 'static,
{
    let wrapped: WithCurrentSpan<F> = with_current_span(future);
    tokio::spawn(wrapped)
}
