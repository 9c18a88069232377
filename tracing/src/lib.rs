#![doc = include_str!("../README.md")]

mod fields;
mod layer;
mod sites;
mod stack;

pub use layer::SpanringLayer;

/// The layer with its defaults: spans, and no events.
///
/// ```
/// use tracing_subscriber::layer::SubscriberExt;
///
/// let subscriber = tracing_subscriber::registry().with(spanring_tracing::layer());
/// tracing::subscriber::with_default(subscriber, || tracing::info_span!("work").in_scope(|| {}));
/// ```
pub fn layer() -> SpanringLayer {
    SpanringLayer::new()
}

/// The code in the guide compiles, and runs: where spans of both are in it.
#[cfg(doctest)]
mod documents {
    #[doc = include_str!("../../docs/guide/migrating.md")]
    struct Migrating;
}
