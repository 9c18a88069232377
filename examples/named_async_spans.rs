//! Named async spans, both ways: `cargo run --example named_async_spans`.
//!
//! Everything is recorded to memory, and at the end the program prints the tree of its own spans.

use spanring::prelude::*;
use spanring::testing;
use std::time::Duration;

/// Every call is a span; its parent is the span in which it is called.
#[span_fn]
async fn fetch(user: u32) -> String {
    tokio::time::sleep(Duration::from_millis(2)).await;
    format!("user {user}")
}

#[span_fn]
fn render(users: &[String]) -> String {
    span_scope!("join names");
    users.join(", ")
}

async fn service() -> String {
    // The macro, in a loop, with a name made at run time.
    let mut users = Vec::new();
    for user in 1..=2 {
        users.push(span_async_named!(format!("load user {user}"), async move { fetch(user).await }).await);
    }

    // The method, with a location of its own and a static name. The task is spawned, and still belongs to this span.
    static_span_location!(AUDIT);
    let audit =
        tokio::spawn(async { tokio::time::sleep(Duration::from_millis(1)).await }.instrument_named(&AUDIT, "audit"));

    // A future that is dropped before it is ready was cancelled.
    let slow = instrument_named!(tokio::time::sleep(Duration::from_secs(60)), "ask a slow friend");
    let _ = tokio::time::timeout(Duration::from_millis(3), slow).await;

    // A static description: name and place are fixed.
    static_span_desc!(STORE, "store");
    async { tokio::task::yield_now().await }.instrument(&STORE).await;

    audit.await.expect("the audit does not panic");
    render(&users)
}

fn main() -> Result<(), Box<dyn std::error::Error>> {
    let runtime = tokio::runtime::Builder::new_multi_thread().worker_threads(2).enable_time().build()?;
    let request = async { span_async_named!("GET /users", service()).await };
    let recorded = runtime.block_on(testing::record_future(request));
    println!("answer: {}\n\n{}", recorded.output, recorded.tree());
    Ok(())
}
