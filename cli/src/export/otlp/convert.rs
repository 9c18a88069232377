//! From spans to OpenTelemetry's.
//!
//! | in the recording | in OTLP |
//! |---|---|
//! | session | resource: `service.name`, `process.pid`, `host.name`, `spanring.session`, `spanring.boot_id` .. |
//! | span | span of scope `spanring`; ids are the recording's, the trace id stands for the root |
//! | failed, panicked | status `ERROR` |
//! | cancelled | attribute `spanring.outcome`; no error: dropping a future is how losers of a race end |
//! | open | `spanring.outcome` is `open`; it has to end for other tools, so it does when the recording does |
//! | loss, damage | span of scope `spanring.recording`, as long as the time in which records are missing |
//! | the whole | span `recording` of that scope, with what there was and what is missing, in every export |
//! | attribute | attribute; of those that would be taken for one of the above, and of one without a key, the key has `attribute.` in front |
//! | instant | event of its span; in no span of the recording, a span of scope `spanring.recording` without a duration |
//! | counter | gauge, without a unit; that is a metric, so in requests of their own |

use crate::export::attributes::{SIGNED, Simple, as_float, cut_keys, lost, simple};
use crate::export::in_order::Held;
use crate::export::totals::{Totals, cause_word};
use crate::export::traces::TraceIds;
use crate::places::Place;
use crate::spans::{Attributes, Counter, Ending, Instant, Item, thread_label};
use crate::text::count;
use crate::top::kind_word;
use opentelemetry_proto::tonic::common::v1::any_value::Value;
use opentelemetry_proto::tonic::common::v1::{AnyValue, ArrayValue, InstrumentationScope, KeyValue};
use opentelemetry_proto::tonic::metrics::v1::NumberDataPoint;
use opentelemetry_proto::tonic::metrics::v1::number_data_point::Value as Number;
use opentelemetry_proto::tonic::resource::v1::Resource;
use opentelemetry_proto::tonic::trace::v1::span::{Event, SpanKind as OtlpKind};
use opentelemetry_proto::tonic::trace::v1::status::StatusCode;
use opentelemetry_proto::tonic::trace::v1::{Span as OtlpSpan, Status};
use rustc_hash::FxHashMap;
use spanring::reader::{Damage, Loss, NameState, ProcessFacts};
use std::borrow::Cow;
use std::path::Path;

/// Sampled, and the parent is known not to be elsewhere.
const FLAGS: u32 = 0x101;

/// The scope of spans.
pub const SPANS: &str = "spanring";
/// The scope of what is told about the recording itself.
pub const RECORDING: &str = "spanring.recording";

/// Makes OpenTelemetry's spans of those of one session.
pub struct Converter {
    trace_ids: TraceIds,
    version: String,
    started_ns: u64,
    /// The latest moment of which the recording tells.
    last_ns: u64,
    threads: FxHashMap<u32, String>,
    /// Marks so far: losses and damages.
    marks: u64,
    totals: Totals,
}

impl Converter {
    /// For the session with these facts.
    pub fn new(facts: &ProcessFacts) -> Converter {
        Converter {
            trace_ids: TraceIds::of(facts),
            version: facts.version.clone(),
            started_ns: facts.started_unix_ns,
            last_ns: facts.started_unix_ns,
            threads: FxHashMap::default(),
            marks: 0,
            totals: Totals::default(),
        }
    }

    /// The instrumentation scope of that name.
    pub fn scope(&self, name: &str) -> InstrumentationScope {
        InstrumentationScope { name: name.to_owned(), version: self.version.clone(), ..InstrumentationScope::default() }
    }

    /// Takes note of an item, before it is converted.
    pub fn see(&mut self, item: &Item<'_>) {
        self.totals.add(item);
        let seen_ns = match item {
            Item::Thread(facts) => {
                self.threads.entry(facts.id).or_insert_with(|| thread_label(facts));
                None
            }
            Item::Span(span) => {
                let instants = span.instants().iter().map(|instant| instant.unix_ns).max();
                span.end_ns.or(Some(span.begin_ns)).max(instants)
            }
            Item::Loss(loss) => loss.before_unix_ns.or(loss.after_unix_ns),
            Item::Instant(instant) => Some(instant.unix_ns),
            Item::Counter(counter) => Some(counter.unix_ns),
            Item::Damage(_) | Item::Details(_) => None,
        };
        self.last_ns = self.last_ns.max(seen_ns.unwrap_or_default());
    }

    /// A span. An open one ends at the latest moment that was seen.
    pub fn span(&self, held: &Held) -> OtlpSpan {
        let span = held.span();
        let mut attributes = Vec::with_capacity(16);
        attributes.push(text("spanring.kind", kind_word(span.kind)));
        attributes.push(text("spanring.outcome", span.ending.word()));
        attributes.push(number("spanring.depth", u64::from(span.depth)));
        if span.polls > 0 {
            attributes.push(number("spanring.polls", u64::from(span.polls)));
        }
        attributes.extend(span.place.into_iter().flat_map(where_made));
        let threads = [("thread.id", "thread.name", span.begin_thread)];
        let moved = span.end_thread.is_some() && span.end_thread != span.begin_thread;
        let end_thread = moved.then_some(("spanring.end_thread.id", "spanring.end_thread.name", span.end_thread));
        for (id, name, thread) in threads.into_iter().chain(end_thread) {
            let Some(thread) = thread else { continue };
            attributes.push(number(id, u64::from(thread)));
            attributes.extend(self.threads.get(&thread).map(|label| text(name, label)));
        }
        let measured = [
            ("spanring.wait_ns", span.wait_ns()),
            ("spanring.busy_ns", span.busy_ns),
            ("spanring.idle_ns", span.idle_ns()),
        ];
        attributes.extend(measured.into_iter().filter_map(|(key, ns)| Some(number(key, ns?))));
        attributes.extend(name_state(span.name_state));
        let partial = [
            ("spanring.begin_lost", span.begin_lost),
            ("spanring.end_may_be_lost", span.end_may_be_lost),
            ("spanring.busy_partial", span.busy_partial),
        ];
        attributes.extend(partial.into_iter().filter(|(_, partial)| *partial).map(|(key, _)| yes(key)));
        let status = matches!(span.ending, Ending::Failed | Ending::Panicked)
            .then(|| Status { message: span.ending.word().to_owned(), code: StatusCode::Error as i32 });
        if let Some(details) = span.details {
            known(&mut attributes, &details.attributes);
        }
        let lost_attributes = span.details.map_or(0, |details| lost(&details.attributes));
        OtlpSpan {
            status,
            attributes,
            dropped_attributes_count: small(lost_attributes),
            events: span.instants().iter().map(|instant| self.event(instant)).collect(),
            dropped_events_count: small(span.details.map_or(0, |details| details.dropped_instants)),
            parent_span_id: if span.parent == 0 { Vec::new() } else { span.parent.to_be_bytes().to_vec() },
            ..self.bare(
                held.root,
                span.id,
                span.name,
                span.begin_ns,
                span.end_ns.unwrap_or(self.last_ns).max(span.begin_ns),
            )
        }
    }

    /// What happened within a span.
    fn event(&self, instant: &Instant) -> Event {
        Event {
            time_unix_nano: instant.unix_ns,
            name: instant.name.to_string(),
            attributes: self.of_instant(instant),
            dropped_attributes_count: small(lost(&instant.attributes)),
        }
    }

    /// A mark for what happened in no span of the recording.
    pub fn instant(&mut self, instant: &Instant) -> OtlpSpan {
        let mut attributes = vec![text("spanring.mark", "instant")];
        if instant.parent != 0 {
            attributes.push(number("spanring.lost_parent_id", instant.parent));
        }
        attributes.extend(self.of_instant(instant));
        let mark = self.mark(&instant.name, instant.unix_ns, instant.unix_ns, attributes);
        OtlpSpan { dropped_attributes_count: small(lost(&instant.attributes)), ..mark }
    }

    fn of_instant(&self, instant: &Instant) -> Vec<KeyValue> {
        let mut attributes = vec![number("thread.id", u64::from(instant.thread))];
        attributes.extend(self.threads.get(&instant.thread).map(|label| text("thread.name", label)));
        attributes.extend(instant.place.as_deref().into_iter().flat_map(where_made));
        attributes.extend(name_state(instant.name_state));
        known(&mut attributes, &instant.attributes);
        attributes
    }

    /// A mark where records were lost.
    pub fn loss(&mut self, loss: &Loss) -> OtlpSpan {
        let mut attributes = vec![
            text("spanring.mark", "loss"),
            text("spanring.loss.cause", cause_word(loss.cause)),
            number("spanring.lost_records", loss.records),
            number("thread.id", u64::from(loss.thread)),
        ];
        attributes.extend(self.threads.get(&loss.thread).map(|name| text("thread.name", name)));
        let known = loss.after_unix_ns.or(loss.before_unix_ns);
        let begin_ns = known.unwrap_or(self.started_ns);
        let end_ns = loss.before_unix_ns.or(known).unwrap_or(self.started_ns);
        self.mark(&format!("{} lost", count(loss.records, "event")), begin_ns, end_ns, attributes)
    }

    /// A mark for bytes that could not be understood; nobody knows when what they said was.
    pub fn damage(&mut self, damage: &Damage) -> OtlpSpan {
        let attributes = vec![
            text("spanring.mark", "damage"),
            text("file.path", &damage.path.to_string_lossy()),
            number("spanring.damage.offset", damage.offset),
            number("spanring.damage.bytes", damage.bytes),
            number("spanring.lost_records", damage.records),
        ];
        self.mark(&format!("damage: {}", damage.what), self.started_ns, self.started_ns, attributes)
    }

    /// The span that stands for the recording, with its totals. It is the parent of all marks.
    pub fn recording(&self) -> OtlpSpan {
        let mut span = self.bare(0, u64::MAX, "recording", self.started_ns, self.last_ns);
        span.attributes = self.totals.entries().map(|(key, total)| number(key, total)).to_vec();
        span
    }

    fn mark(&mut self, name: &str, begin_ns: u64, end_ns: u64, attributes: Vec<KeyValue>) -> OtlpSpan {
        self.marks += 1;
        // Ids of spans are counted from below.
        let id = u64::MAX - self.marks;
        let mut span = self.bare(0, id, name, begin_ns, end_ns.max(begin_ns));
        span.parent_span_id = u64::MAX.to_be_bytes().to_vec();
        span.attributes = attributes;
        span
    }

    fn bare(&self, root: u64, id: u64, name: &str, begin_ns: u64, end_ns: u64) -> OtlpSpan {
        OtlpSpan {
            trace_id: self.trace_ids.id(root).to_be_bytes().to_vec(),
            span_id: id.to_be_bytes().to_vec(),
            flags: FLAGS,
            name: name.to_owned(),
            kind: OtlpKind::Internal as i32,
            start_time_unix_nano: begin_ns,
            end_time_unix_nano: end_ns,
            ..OtlpSpan::default()
        }
    }
}

/// A counter's value, if OTLP can have it: a finite number. An integer that its integers do not reach is the nearest other number.
pub fn point(counter: &Counter<'_>) -> Option<NumberDataPoint> {
    let value = match simple(counter.value, &SIGNED) {
        // Within what was asked for.
        Simple::Integer(value) => Number::AsInt(value as i64),
        _ => Number::AsDouble(as_float(counter.value).filter(|value| value.is_finite())?),
    };
    Some(NumberDataPoint { time_unix_nano: counter.unix_ns, value: Some(value), ..NumberDataPoint::default() })
}

/// What the spans of a session have in common. Without `service_name` the service is called as its executable.
pub fn resource(facts: &ProcessFacts, service_name: Option<&str>) -> Resource {
    let executable = Path::new(&facts.executable).file_name().map(|name| name.to_string_lossy().into_owned());
    let name = service_name.map(str::to_owned).or(executable).filter(|name| !name.is_empty());
    let arch = match facts.arch.as_str() {
        "x86_64" => "amd64",
        "aarch64" => "arm64",
        other => other,
    };
    let mut attributes = vec![
        text("service.name", name.as_deref().unwrap_or("unknown_service")),
        text("service.instance.id", &facts.session),
        number("process.pid", u64::from(facts.pid)),
        text("telemetry.sdk.name", "spanring"),
        text("telemetry.sdk.language", "rust"),
        text("spanring.session", &facts.session),
    ];
    let optional = [
        ("process.executable.path", facts.executable.as_str()),
        ("host.name", &facts.host),
        ("host.arch", arch),
        ("os.type", &facts.os),
        ("telemetry.sdk.version", &facts.version),
        ("spanring.boot_id", &facts.boot_id),
    ];
    attributes.extend(optional.into_iter().filter(|(_, value)| !value.is_empty()).map(|(key, value)| text(key, value)));
    Resource { attributes, ..Resource::default() }
}

fn where_made(place: &Place) -> [KeyValue; 4] {
    let location = &place.location;
    [
        text("code.file.path", &location.file),
        number("code.line.number", u64::from(location.line)),
        text("spanring.module_path", &location.module_path),
        text("spanring.target", &location.target),
    ]
}

fn name_state(state: NameState) -> Option<KeyValue> {
    let word = match state {
        NameState::Whole => return None,
        NameState::Cut => "cut",
        NameState::Missing => "missing",
    };
    Some(text("spanring.name_state", word))
}

/// What a program says of itself, beside what is said here.
fn known(to: &mut Vec<KeyValue>, attributes: &Attributes) {
    to.extend(attributes.with_unique_keys().map(|(key, entry)| {
        let value = match simple(entry.value(), &SIGNED) {
            Simple::Bool(value) => Value::BoolValue(value),
            // Within what was asked for.
            Simple::Integer(value) => Value::IntValue(value as i64),
            Simple::Double(value) => Value::DoubleValue(value),
            Simple::Text(text) => Value::StringValue(text.into_owned()),
        };
        attribute(&own_key(&key), value)
    }));
    let cut = cut_keys(attributes).map(|key| AnyValue { value: Some(Value::StringValue(own_key(&key).into_owned())) });
    let values: Vec<AnyValue> = cut.collect();
    if !values.is_empty() {
        to.push(attribute("spanring.cut_attributes", Value::ArrayValue(ArrayValue { values })));
    }
}

/// What stands before a key of the program that is like one of ours, none, or has that before it: so no two keys become the same.
const OWN: &str = "attribute.";

fn own_key(key: &str) -> Cow<'_, str> {
    let ours = ["code.file.path", "code.line.number", "thread.id", "thread.name"];
    let is_like_ours = key.is_empty() || key.starts_with("spanring.") || key.starts_with(OWN) || ours.contains(&key);
    if is_like_ours { Cow::Owned(format!("{OWN}{key}")) } else { Cow::Borrowed(key) }
}

/// A count as OTLP has it.
fn small(count: u64) -> u32 {
    u32::try_from(count).unwrap_or(u32::MAX)
}

fn text(key: &str, value: &str) -> KeyValue {
    attribute(key, Value::StringValue(value.to_owned()))
}

fn number(key: &str, value: u64) -> KeyValue {
    attribute(key, Value::IntValue(i64::try_from(value).unwrap_or(i64::MAX)))
}

fn yes(key: &str) -> KeyValue {
    attribute(key, Value::BoolValue(true))
}

fn attribute(key: &str, value: Value) -> KeyValue {
    KeyValue { key: key.to_owned(), value: Some(AnyValue { value: Some(value) }), ..KeyValue::default() }
}
