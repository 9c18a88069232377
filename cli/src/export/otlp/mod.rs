//! A recording in OpenTelemetry's protocol: to a collector, or to a file of JSON lines as its file exporter writes them and its
//! collectors read them.
//!
//! How things are translated stands in `convert`. Trace ids are derived, see [`super::traces`]: exported again, a recording has
//! the same ones. Spans come in the order of their begin, see `in_order`, in batches of at most [`BATCH_SPANS`].

mod collector;
mod convert;
mod gauges;
mod remote;
mod transport;

use super::in_order::{Held, InOrder};
use super::traces::TraceIds;
use super::{ExportError, Exporter, OtlpOptions, OtlpProtocol, Output};
use crate::spans::{Counter, Item};
use crate::text::count;
use collector::{Batch, Collector, Way};
use convert::{Converter, RECORDING, SPANS};
use gauges::Gauges;
use opentelemetry_proto::tonic::collector::metrics::v1::ExportMetricsServiceRequest;
use opentelemetry_proto::tonic::collector::trace::v1::ExportTraceServiceRequest;
use opentelemetry_proto::tonic::common::v1::InstrumentationScope;
use opentelemetry_proto::tonic::metrics::v1::{ResourceMetrics, ScopeMetrics};
use opentelemetry_proto::tonic::resource::v1::Resource;
use opentelemetry_proto::tonic::trace::v1::{ResourceSpans, ScopeSpans, Span};
use prost::Message;
use remote::Parts;
use spanring::reader::{ProcessFacts, SpanRecord};
use std::io::{self, Write};
use transport::Request;

/// Spans in a request, or in a line of a file, at most.
pub const BATCH_SPANS: usize = 2048;

/// A batch with so many bytes of spans is sent. Many collectors take no more than 4 MiB.
const BATCH_BYTES: usize = 1 << 20;

/// Writes or sends spans while the recording is read.
///
/// ```
/// use spanring::reader::{Loss, LossCause, ProcessFacts};
/// use spanring_cli::export::{Exporter, OtlpOptions, Output, otlp::OtlpExporter};
/// use spanring_cli::spans::Item;
///
/// # let (after_unix_ns, before_unix_ns) = (Some(1_000), Some(3_000));
/// # let loss = Loss { thread: 1, records: 12, cause: LossCause::Dropped, after_unix_ns, before_unix_ns };
/// let facts = ProcessFacts::decode("pid=42\nhost=here\nexecutable=service");
/// let mut lines = Vec::new();
/// let output = Output::Stream(Box::new(&mut lines));
/// let mut exporter = OtlpExporter::new(&facts, &OtlpOptions::default(), output)?;
/// exporter.add(&Item::Loss(loss))?;
/// Box::new(exporter).finish()?;
/// assert!(lines.starts_with(b"{\"resourceSpans\""), "a gap is a span too");
/// # Ok::<(), spanring_cli::export::ExportError>(())
/// ```
pub struct OtlpExporter<'w> {
    converter: Converter,
    resource: Resource,
    scopes: [InstrumentationScope; 2],
    in_order: InOrder,
    parts: Parts,
    /// Spans, and what is told about the recording.
    batch: [Vec<Span>; 2],
    batch_bytes: usize,
    gauges: Gauges,
    /// Values of counters that OTLP cannot have.
    no_values: u64,
    target: Target<'w>,
}

enum Target<'w> {
    Lines(Box<dyn Write + Send + 'w>),
    Collector(Collector),
}

impl<'w> OtlpExporter<'w> {
    /// Nothing is written or sent yet.
    ///
    /// # Errors
    /// If the options or the address make no sense.
    ///
    /// ```
    /// use spanring::reader::ProcessFacts;
    /// use spanring_cli::export::{ExportError, OtlpOptions, Output, otlp::OtlpExporter};
    ///
    /// let facts = ProcessFacts::decode("pid=42\nhost=here\nexecutable=service");
    /// let nowhere = Output::Address("gopher://localhost".to_owned());
    /// let refused = OtlpExporter::new(&facts, &OtlpOptions::default(), nowhere).err();
    /// assert!(matches!(refused, Some(ExportError::Refused(_))));
    /// ```
    pub fn new(
        facts: &ProcessFacts,
        options: &OtlpOptions,
        output: Output<'w>,
    ) -> Result<OtlpExporter<'w>, ExportError> {
        let converter = Converter::new(facts);
        let target = match output {
            Output::Stream(out) => Target::Lines(out),
            Output::Address(address) => Target::Collector(Collector::new(&way(address, options))?),
        };
        Ok(OtlpExporter {
            scopes: [SPANS, RECORDING].map(|name| converter.scope(name)),
            resource: convert::resource(facts, options.service_name.as_deref()),
            converter,
            in_order: InOrder::default(),
            parts: Parts::new(TraceIds::of(facts)),
            batch: Default::default(),
            batch_bytes: 0,
            gauges: Gauges::default(),
            no_values: 0,
            target,
        })
    }

    fn push_span(&mut self, held: &Held) -> Result<(), ExportError> {
        let mut span = self.converter.span(held);
        self.parts.place(held, &mut span);
        self.push(Scope::Spans, span)
    }

    fn push(&mut self, scope: Scope, span: Span) -> Result<(), ExportError> {
        self.batch_bytes += span.encoded_len();
        self.batch[scope as usize].push(span);
        let spans: usize = self.batch.iter().map(Vec::len).sum();
        if spans >= BATCH_SPANS || self.batch_bytes >= BATCH_BYTES { self.send() } else { Ok(()) }
    }

    fn send(&mut self) -> Result<(), ExportError> {
        self.batch_bytes = 0;
        let mut spans = 0;
        let mut scope_spans = Vec::with_capacity(self.batch.len());
        for (scope, batch) in self.scopes.iter().zip(&mut self.batch) {
            if !batch.is_empty() {
                spans += batch.len() as u64;
                let spans = std::mem::take(batch);
                scope_spans.push(ScopeSpans { scope: Some(scope.clone()), spans, ..ScopeSpans::default() });
            }
        }
        if spans == 0 {
            return Ok(());
        }
        let resource = Some(self.resource.clone());
        let resource_spans = vec![ResourceSpans { resource, scope_spans, ..ResourceSpans::default() }];
        self.hand_over(Batch { size: spans, request: Request::Traces(ExportTraceServiceRequest { resource_spans }) })
    }

    fn counter(&mut self, counter: &Counter<'_>) -> Result<(), ExportError> {
        match convert::point(counter) {
            Some(point) => self.gauges.add(counter.name, point),
            None => self.no_values += 1,
        }
        if self.gauges.len() >= BATCH_SPANS || self.gauges.bytes() >= BATCH_BYTES { self.send_gauges() } else { Ok(()) }
    }

    fn send_gauges(&mut self) -> Result<(), ExportError> {
        let size = self.gauges.len() as u64;
        if size == 0 {
            return Ok(());
        }
        let scope = Some(self.scopes[Scope::Spans as usize].clone());
        let scope_metrics = vec![ScopeMetrics { scope, metrics: self.gauges.take(), ..ScopeMetrics::default() }];
        let resource = Some(self.resource.clone());
        let resource_metrics = vec![ResourceMetrics { resource, scope_metrics, ..ResourceMetrics::default() }];
        self.hand_over(Batch { size, request: Request::Metrics(ExportMetricsServiceRequest { resource_metrics }) })
    }

    fn hand_over(&mut self, batch: Batch) -> Result<(), ExportError> {
        match &mut self.target {
            Target::Collector(collector) => collector.send(batch),
            Target::Lines(out) => {
                serde_json::to_writer(&mut *out, &batch.request).map_err(io::Error::from)?;
                Ok(out.write_all(b"\n")?)
            }
        }
    }
}

/// How to reach the collector at `address`.
fn way(address: String, options: &OtlpOptions) -> Way {
    // The ports that are registered for the two.
    let of_port =
        if address.trim_end_matches('/').ends_with(":4317") { OtlpProtocol::Grpc } else { OtlpProtocol::Http };
    Way {
        address,
        protocol: options.protocol.unwrap_or(of_port),
        headers: options.headers.clone(),
        timeout: options.timeout,
        patience: options.retry_for,
    }
}

/// Which of the two scopes, and of the two parts of a batch.
#[derive(Clone, Copy)]
enum Scope {
    Spans,
    Recording,
}

impl Exporter for OtlpExporter<'_> {
    fn begun(&mut self, record: &SpanRecord<'_>) {
        self.in_order.begun(record);
    }

    fn add(&mut self, item: &Item<'_>) -> Result<(), ExportError> {
        self.converter.see(item);
        match item {
            Item::Thread(_) | Item::Details(_) => Ok(()),
            Item::Counter(counter) => self.counter(counter),
            Item::Instant(instant) => {
                let mark = self.converter.instant(instant);
                self.push(Scope::Recording, mark)
            }
            Item::Span(span) => {
                let Some(held) = self.in_order.add(span) else { return Ok(()) };
                self.push_span(&held)
            }
            Item::Loss(loss) => {
                let mark = self.converter.loss(loss);
                self.push(Scope::Recording, mark)
            }
            Item::Damage(damage) => {
                let mark = self.converter.damage(damage);
                self.push(Scope::Recording, mark)
            }
        }
    }

    fn finish(mut self: Box<Self>) -> Result<Vec<String>, ExportError> {
        while let Some(held) = self.in_order.take() {
            self.push_span(&held)?;
        }
        self.push(Scope::Recording, self.converter.recording())?;
        self.send()?;
        self.send_gauges()?;
        let mut remarks = match self.target {
            Target::Collector(mut collector) => collector.finish()?.lines(),
            Target::Lines(mut out) => {
                out.flush()?;
                vec![
                    "a line is an OTLP request in JSON, as the receiver `otlpjsonfile` of a collector reads it"
                        .to_owned(),
                ]
            }
        };
        if self.no_values > 0 {
            remarks.push(format!("{} left out: no finite numbers", count(self.no_values, "counter value")));
        }
        Ok(remarks)
    }
}
