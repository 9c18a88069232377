//! Traces in which other processes have a part, as [`spanring::trace_context`] records them.
//!
//! A span that says which span of another process it is a child of ([`PARENT_KEY`]), or by which id others know it ([`HERE_KEY`]), begins a
//! part of such a trace, which is all that is below it. Ids in it are not those of the recording, so that no two processes have the same.
//!
//! Spans come in the order of their begin, a parent before its children, so what a span belongs to is known when it comes. As many as
//! [`REMEMBERED`] are remembered; a child that comes later still stands in its root's trace.

use crate::by_id::ById;
use crate::export::in_order::Held;
use crate::export::traces::{REMEMBERED, TraceIds};
use crate::spans::Span;
use opentelemetry_proto::tonic::trace::v1::Span as OtlpSpan;
use opentelemetry_proto::tonic::trace::v1::span::Link;
use spanring::reader::{NameState, SpanKind, Value};
use spanring::trace_context::{HERE_KEY, PARENT_KEY, TraceParent};
use std::collections::VecDeque;

/// In the flags of a span: its parent is of another process.
const IS_REMOTE: u32 = 0x200;

/// The parts of traces that are in a session.
#[derive(Debug)]
pub struct Parts {
    trace_ids: TraceIds,
    of_spans: ById<Part>,
    /// The spans that are in one, the oldest first.
    oldest: VecDeque<u64>,
}

/// A part of a trace: what is below one span.
#[derive(Clone, Copy, Debug)]
struct Part {
    trace_id: u128,
    /// What makes ids of the recording such of the trace, exclusive-ored.
    mask: u64,
}

impl Parts {
    /// Those of a session with these ids.
    pub fn new(trace_ids: TraceIds) -> Parts {
        Parts { trace_ids, of_spans: ById::default(), oldest: VecDeque::new() }
    }

    /// Puts a span where it belongs, if that is in such a trace. In which local span it was made is a link then, if that is not its parent.
    pub fn place(&mut self, held: &Held, exported: &mut OtlpSpan) {
        let span = held.span();
        let around = self.of_spans.get(span.parent).copied();
        let came = said(&span, PARENT_KEY);
        let part = match said(&span, HERE_KEY) {
            Some(here) => Some(Part { trace_id: here.trace_id, mask: here.span_id ^ span.id }),
            // Recorded by other means. Nobody was told of its id.
            None => came.map(|came| Part { trace_id: came.trace_id, mask: self.trace_ids.mask() }).or(around),
        };
        let Some(part) = part else { return };
        if span.kind == SpanKind::Async {
            self.remember(span.id, part);
        }
        let around = around.unwrap_or(Part { trace_id: self.trace_ids.id(held.root), mask: 0 });
        let made_in = (span.parent != 0).then_some((around.trace_id, span.parent ^ around.mask));
        let came = came.map(|came| (came.trace_id, came.span_id));
        // A parent is in the same trace. A part that begins in the middle of another trace has none.
        let parent = came.or(made_in).filter(|(trace_id, _)| *trace_id == part.trace_id);
        exported.trace_id = part.trace_id.to_be_bytes().to_vec();
        exported.span_id = (span.id ^ part.mask).to_be_bytes().to_vec();
        exported.parent_span_id = parent.map_or_else(Vec::new, |(_, id)| id.to_be_bytes().to_vec());
        if came.is_some() && parent == came {
            exported.flags |= IS_REMOTE;
        }
        exported.links.extend(made_in.filter(|_| parent != made_in).map(|(trace_id, id)| Link {
            trace_id: trace_id.to_be_bytes().to_vec(),
            span_id: id.to_be_bytes().to_vec(),
            ..Link::default()
        }));
    }

    fn remember(&mut self, id: u64, part: Part) {
        self.of_spans.insert(id, part);
        self.oldest.push_back(id);
        if self.oldest.len() > REMEMBERED {
            if let Some(forgotten) = self.oldest.pop_front() {
                self.of_spans.remove(forgotten);
            }
        }
    }
}

/// What that attribute of the span says, if it is what it should be.
fn said(span: &Span<'_>, key: &str) -> Option<TraceParent> {
    match span.details?.attributes.get(key)? {
        Value::Text(text, NameState::Whole) => text.parse().ok(),
        _ => None,
    }
}
