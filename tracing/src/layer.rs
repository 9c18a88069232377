//! The layer.

use crate::fields::{Recorder, Text, TextOf};
use crate::sites::site;
use crate::stack;
use spanring::dispatch::{OpenSpan, on_instant};
use spanring::events::Outcome;
use spanring::spans::{RunTimeName, SpanContext, SpanRef, StaticText};
use std::sync::atomic::{AtomicBool, AtomicU32, AtomicU64, Ordering};
use tracing_core::span::{Attributes, Id, Record};
use tracing_core::{Event, Level, Subscriber};
use tracing_subscriber::Layer;
use tracing_subscriber::layer::Context;
use tracing_subscriber::registry::LookupSpan;

/// The field that has what an event says.
const MESSAGE: &str = "message";

/// The field of an event that has an error, as `#[instrument(err)]` names it.
const ERROR: &str = "error";

/// By which attribute a span says which others it follows from, the first of them first.
const FOLLOWS_FROM: [&str; 8] = [
    "follows_from",
    "follows_from.2",
    "follows_from.3",
    "follows_from.4",
    "follows_from.5",
    "follows_from.6",
    "follows_from.7",
    "follows_from.8",
];

/// A layer that records spans in spanring: whenever a [`spanring::Recorder`] runs, and at no other time.
///
/// Put it on top of a registry, under whatever filter it is to have:
///
/// ```
/// use spanring_tracing::SpanringLayer;
/// use tracing_subscriber::filter::LevelFilter;
/// use tracing_subscriber::prelude::*;
///
/// let layer = SpanringLayer::new().record_events(true).with_filter(LevelFilter::INFO);
/// let subscriber = tracing_subscriber::registry().with(layer);
/// # let _ = subscriber;
/// ```
#[derive(Debug)]
pub struct SpanringLayer {
    /// Of this layer alone: spans and threads know by it what is whose.
    number: u64,
    record_events: bool,
    errors_fail_spans: bool,
}

/// What a span of the registry has as long as it is recorded.
struct Recorded {
    layer: u64,
    span: OpenSpan,
    /// How often it was entered. Relaxed, as all here: nothing else is read by it, and the span's last handle, which was dropped after all
    /// of it, synchronises.
    entered: AtomicU32,
    failed: AtomicBool,
    follows: AtomicU32,
}

impl Default for SpanringLayer {
    fn default() -> SpanringLayer {
        SpanringLayer::new()
    }
}

impl SpanringLayer {
    /// The layer: records spans and no events, and errors fail their spans.
    ///
    /// ```
    /// use spanring_tracing::SpanringLayer;
    /// use tracing_subscriber::layer::SubscriberExt;
    ///
    /// let subscriber = tracing_subscriber::registry().with(SpanringLayer::new());
    /// tracing::subscriber::with_default(subscriber, || tracing::info_span!("work", rows = 2).in_scope(|| {}));
    /// ```
    pub fn new() -> SpanringLayer {
        static LAYERS: AtomicU64 = AtomicU64::new(0);
        // Relaxed: this only hands out numbers.
        let number = LAYERS.fetch_add(1, Ordering::Relaxed);
        SpanringLayer { number, record_events: false, errors_fail_spans: true }
    }

    /// Whether events are recorded as well: as instants whose name is the message, with the fields and the `level` as attributes. By
    /// default they are not.
    ///
    /// ```
    /// use spanring_tracing::SpanringLayer;
    /// use tracing_subscriber::layer::SubscriberExt;
    ///
    /// let subscriber = tracing_subscriber::registry().with(SpanringLayer::new().record_events(true));
    /// tracing::subscriber::with_default(subscriber, || {
    ///     let _load = tracing::info_span!("load").entered();
    ///     tracing::info!(key = "user:7", "cache miss"); // an instant `cache miss` in the span `load`
    /// });
    /// ```
    pub fn record_events(self, record_events: bool) -> SpanringLayer {
        SpanringLayer { record_events, ..self }
    }

    /// Whether an error makes its span one that has failed, as it does by default: an event of the level `ERROR` in the span, such as that
    /// of `#[instrument(err)]`, or an error as the value of a field. The field `error` of such an event becomes an attribute of the span.
    ///
    /// ```
    /// use spanring_tracing::SpanringLayer;
    /// use tracing_subscriber::layer::SubscriberExt;
    ///
    /// // Where errors are logged that were expected.
    /// let layer = SpanringLayer::new().errors_fail_spans(false);
    /// let subscriber = tracing_subscriber::registry().with(layer);
    /// tracing::subscriber::with_default(subscriber, || {
    ///     let _probe = tracing::info_span!("probe").entered();
    ///     tracing::error!("not there yet"); // the span `probe` will have completed
    /// });
    /// ```
    pub fn errors_fail_spans(self, errors_fail_spans: bool) -> SpanringLayer {
        SpanringLayer { errors_fail_spans, ..self }
    }

    /// What this layer has recorded of that span, if it has.
    fn recorded<S, R>(&self, id: &Id, context: &Context<'_, S>, see: impl FnOnce(&Recorded) -> R) -> Option<R>
    where
        S: Subscriber + for<'a> LookupSpan<'a>,
    {
        let span = context.span(id)?;
        let extensions = span.extensions();
        extensions.get::<Recorded>().filter(|recorded| recorded.layer == self.number).map(see)
    }

    /// In which span a new one stands.
    fn parent<S>(&self, attributes: &Attributes<'_>, id: &Id, context: &Context<'_, S>) -> SpanContext
    where
        S: Subscriber + for<'a> LookupSpan<'a>,
    {
        if attributes.is_contextual() {
            // Whichever API has made it: a span of `tracing` is current while it is entered.
            return SpanContext::current();
        }
        // The nearest that is recorded. Of a root there are none.
        let ancestors = context.span_scope(id).into_iter().flatten().skip(1);
        let mut recorded = ancestors.filter_map(|span| self.recorded(&span.id(), context, |it| it.span.context()));
        recorded.next().unwrap_or(SpanContext::none())
    }

    /// Records fields of a span. Nothing of the registry is locked meanwhile: formatting a value may make spans of its own.
    fn record_fields<S>(&self, id: &Id, span: SpanRef, context: &Context<'_, S>, record: impl FnOnce(&mut Recorder))
    where
        S: Subscriber + for<'a> LookupSpan<'a>,
    {
        let mut recorder = Recorder::new(span);
        record(&mut recorder);
        if recorder.saw_error {
            self.fail(id, context);
        }
    }

    fn fail<S>(&self, id: &Id, context: &Context<'_, S>)
    where
        S: Subscriber + for<'a> LookupSpan<'a>,
    {
        if self.errors_fail_spans {
            self.recorded(id, context, |recorded| recorded.failed.store(true, Ordering::Relaxed));
        }
    }
}

/// Records an event in the current span.
fn record_instant(event: &Event<'_>) {
    let metadata = event.metadata();
    let mut message = TextOf::field(MESSAGE);
    event.record(&mut message);
    let name = message.text.as_ref().map(Text::as_str).filter(|text| !text.is_empty());
    let name = RunTimeName(name.unwrap_or(metadata.name()));
    let instant = on_instant(&site(metadata).location, name, message.others + 1);
    instant.record("level", StaticText(metadata.level().as_str()));
    event.record(&mut Recorder::but(instant, MESSAGE));
}

impl<S> Layer<S> for SpanringLayer
where
    S: Subscriber + for<'a> LookupSpan<'a>,
{
    fn on_new_span(&self, attributes: &Attributes<'_>, id: &Id, context: Context<'_, S>) {
        if !spanring::is_recording() {
            return;
        }
        // Another layer of this kind may have recorded it already.
        let Some(registered) = context.span(id).filter(|span| span.extensions().get::<Recorded>().is_none()) else {
            return;
        };
        let parent = self.parent(attributes, id, &context);
        let Some(span) = OpenSpan::begin(site(attributes.metadata()), parent) else { return };
        let reference = span.span();
        let (entered, failed, follows) = Default::default();
        registered.extensions_mut().insert(Recorded { layer: self.number, span, entered, failed, follows });
        self.record_fields(id, reference, &context, |recorder| attributes.record(recorder));
    }

    fn on_record(&self, id: &Id, values: &Record<'_>, context: Context<'_, S>) {
        if let Some(span) = self.recorded(id, &context, |recorded| recorded.span.span()) {
            self.record_fields(id, span, &context, |recorder| values.record(recorder));
        }
    }

    fn on_follows_from(&self, id: &Id, follows: &Id, context: Context<'_, S>) {
        let other = self.recorded(follows, &context, |recorded| recorded.span.span().id()).flatten();
        if let Some(other) = other {
            self.recorded(id, &context, |recorded| {
                let earlier = recorded.follows.fetch_add(1, Ordering::Relaxed) as usize;
                recorded.span.span().record(FOLLOWS_FROM[earlier.min(FOLLOWS_FROM.len() - 1)], other);
            });
        }
    }

    fn on_event(&self, event: &Event<'_>, context: Context<'_, S>) {
        let metadata = event.metadata();
        let is_error = self.errors_fail_spans && *metadata.level() == Level::ERROR;
        let is_recorded = self.record_events && spanring::is_recording();
        if !(is_error || is_recorded) {
            return;
        }
        let span = context.event_span(event);
        let id = span.as_ref().map(|span| span.id());
        let within = id.as_ref().and_then(|id| self.recorded(id, &context, |recorded| recorded.span.context()));
        if is_recorded {
            match event.is_contextual() {
                true => record_instant(event),
                false => within.unwrap_or(SpanContext::none()).enter(|| record_instant(event)),
            }
        }
        if let Some(id) = id.filter(|_| is_error) {
            let mut error = TextOf::field(ERROR);
            event.record(&mut error);
            let span = self.recorded(&id, &context, |recorded| recorded.span.span());
            if let (Some(span), Some(error)) = (span, error.text) {
                span.record(ERROR, error.as_str());
            }
            self.fail(&id, &context);
        }
    }

    fn on_enter(&self, id: &Id, context: Context<'_, S>) {
        let inside = self.recorded(id, &context, |recorded| {
            recorded.entered.fetch_add(1, Ordering::Relaxed);
            recorded.span.context()
        });
        if let Some(inside) = inside {
            stack::enter(self.number, id, inside);
        }
    }

    fn on_exit(&self, id: &Id, _: Context<'_, S>) {
        stack::leave(self.number, id);
    }

    fn on_close(&self, id: Id, context: Context<'_, S>) {
        let Some(closed) = context.span(&id) else { return };
        let mut extensions = closed.extensions_mut();
        if extensions.get_mut::<Recorded>().is_none_or(|recorded| recorded.layer != self.number) {
            return;
        }
        let Some(Recorded { span, entered, failed, .. }) = extensions.remove::<Recorded>() else { return };
        drop(extensions);
        let outcome = match (std::thread::panicking(), failed.into_inner()) {
            (true, _) => Outcome::Panicked,
            (false, true) => Outcome::Failed,
            (false, false) => Outcome::Completed,
        };
        span.end(outcome, entered.into_inner());
    }
}
