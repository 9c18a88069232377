//! Traces that go through several processes, as W3C's `traceparent` connects them.
//!
//! A span's id is unique in its process only. Where a request goes to another process, [`Trace`] says by which ids the spans here are known
//! there, and records that, so that an export of both recordings is one trace: `spanring export --format otlp` puts the spans of the
//! one below those of the other.
//!
//! ```
//! use spanring::prelude::*;
//! use spanring::trace_context::{Trace, TraceParent};
//!
//! # fn send(_: &str, _: String) {}
//! // Who begins: the current span is the first of a new trace.
//! let client = span_async_named!("nightly report", async {
//!     let trace = Trace::here(None);
//!     span_async_named!("GET /report", async {
//!         send("traceparent", trace.parent().to_string());
//!     })
//!     .await;
//! });
//!
//! // Who is asked: the current span is a child of the one that asked.
//! # let header = "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01";
//! let server = span_async_named!("GET /report", async {
//!     let trace = Trace::here(header.parse().ok());
//!     assert_eq!(trace.parent().trace_id, 0x0af7651916cd43dd8448eb211c80319c);
//! });
//! # for future in [Box::pin(client) as std::pin::Pin<Box<dyn Future<Output = ()>>>, Box::pin(server)] {
//! #     let mut future = future;
//! #     assert!(future.as_mut().poll(&mut std::task::Context::from_waker(std::task::Waker::noop())).is_ready());
//! # }
//! ```

use crate::future::{current_span, current_span_id};
use std::collections::hash_map::RandomState;
use std::fmt;
use std::hash::BuildHasher;
use std::str::FromStr;

/// The attribute of a span that is a child of a span of another process: what that one sent, as the header `traceparent` has it.
///
/// ```
/// # if cfg!(not(feature = "enable")) { return; }
/// use spanring::prelude::*;
/// use spanring::testing;
/// use spanring::trace_context::{PARENT_KEY, Trace};
///
/// # use futures_executor::block_on;
/// let header = "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01";
/// let recorded = block_on(testing::record_future(async {
///     span_async_named!("GET /report", async {
///         Trace::here(header.parse().ok());
///     })
///     .await;
/// }));
/// assert!(recorded.spans[0].attributes.contains(&(PARENT_KEY.to_owned(), header.to_owned())));
/// ```
pub const PARENT_KEY: &str = "traceparent";

/// The attribute of a span that says in which trace it is, and by which id it is known there, as it would be sent. What is below it is in the
/// same trace, and each id is known there as this one is: by the same bits exclusive-ored.
///
/// ```
/// # if cfg!(not(feature = "enable")) { return; }
/// use spanring::prelude::*;
/// use spanring::testing;
/// use spanring::trace_context::{HERE_KEY, Trace};
///
/// # use futures_executor::block_on;
/// let recorded = block_on(testing::record_future(async {
///     span_async_named!("nightly report", async { Trace::here(None).parent().to_string() }).await
/// }));
/// assert!(recorded.spans[0].attributes.contains(&(HERE_KEY.to_owned(), recorded.output)));
/// ```
pub const HERE_KEY: &str = "traceparent.here";

/// A span as other processes know it: what stands in the header `traceparent`.
///
/// ```
/// use spanring::trace_context::TraceParent;
///
/// let header = "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01";
/// let parent: TraceParent = header.parse()?;
/// assert_eq!((parent.span_id, parent.sampled), (0xb7ad6b7169203331, true));
/// assert_eq!(parent.to_string(), header);
/// # Ok::<_, spanring::trace_context::NoTraceParent>(())
/// ```
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct TraceParent {
    /// The trace, never 0.
    pub trace_id: u128,
    /// The span in it, never 0.
    pub span_id: u64,
    /// Whether who sent this may have recorded it.
    pub sampled: bool,
}

/// The text is none that W3C's Trace Context has for `traceparent`.
///
/// ```
/// use spanring::trace_context::{NoTraceParent, TraceParent};
///
/// assert_eq!("no header".parse::<TraceParent>(), Err(NoTraceParent));
/// assert!(NoTraceParent.to_string().starts_with("not a traceparent"));
/// ```
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct NoTraceParent;

impl fmt::Display for NoTraceParent {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("not a traceparent: two, 32, 16 and two lower-case hexadecimal digits, with - between them, and no id of zeroes")
    }
}

impl std::error::Error for NoTraceParent {}

impl fmt::Display for TraceParent {
    /// As version 00 has it, in 55 characters.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "00-{:032x}-{:016x}-{:02x}", self.trace_id, self.span_id, u8::from(self.sampled))
    }
}

impl FromStr for TraceParent {
    type Err = NoTraceParent;

    /// Of version 00, or a later one, of which what follows is passed over.
    fn from_str(text: &str) -> Result<TraceParent, NoTraceParent> {
        let mut fields = text.splitn(5, '-');
        let mut field = |digits| hexadecimal(fields.next()?, digits);
        let mut read = || Some((field(2)?, field(32)?, field(16)?, field(2)?));
        let (version, trace_id, span_id, flags) = read().ok_or(NoTraceParent)?;
        let has_more = fields.next().is_some();
        if version == 0xff || (version == 0 && has_more) || trace_id == 0 || span_id == 0 {
            return Err(NoTraceParent);
        }
        Ok(TraceParent { trace_id, span_id: span_id as u64, sampled: flags & 1 == 1 })
    }
}

fn hexadecimal(text: &str, digits: usize) -> Option<u128> {
    let is_right = text.len() == digits && text.bytes().all(|byte| matches!(byte, b'0'..=b'9' | b'a'..=b'f'));
    u128::from_str_radix(text, 16).ok().filter(|_| is_right)
}

/// The part of a trace that is in this process, from one of its spans on.
///
/// A value to hand to whatever makes requests on behalf of that span.
///
/// ```
/// use spanring::trace_context::{Trace, TraceParent};
///
/// struct Client {
///     trace: Trace,
/// }
///
/// impl Client {
///     fn headers(&self) -> Vec<(&'static str, String)> {
///         vec![("traceparent", self.trace.parent().to_string())]
///     }
/// }
///
/// let client = Client { trace: Trace::here(None) };
/// let (_, header) = &client.headers()[0];
/// assert!(header.parse::<TraceParent>().is_ok());
/// ```
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Trace {
    trace_id: u128,
    /// By which the ids of spans are known elsewhere, exclusive-ored. Its highest bit is set, and no span's is: the result is never 0, and
    /// never the id of a span that is known by its own.
    mask: u64,
    /// Who is the parent of what is sent while nothing is recorded.
    above: u64,
    sampled: bool,
}

impl Trace {
    /// Puts the current span, and so what is below it, into the trace of `parent`, as a child of that; without one, at the top of a new trace.
    /// Records that as the attributes [`PARENT_KEY`] and [`HERE_KEY`] of the current span, so call it once, where the request comes in.
    ///
    /// A trace that is new has random ids, and is sampled if there is a current span. One that came in is as it says, and while nothing is
    /// recorded here it goes on as it came.
    ///
    /// ```
    /// use spanring::trace_context::{Trace, TraceParent};
    ///
    /// // What came with the request, if it came with anything that is right.
    /// let header = Some("00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01");
    /// let came: Option<TraceParent> = header.and_then(|header| header.parse().ok());
    /// let trace = Trace::here(came);
    /// assert_eq!(trace.parent().trace_id, 0x0af7651916cd43dd8448eb211c80319c);
    ///
    /// // A new trace has an id of its own.
    /// assert_ne!(Trace::here(None).parent().trace_id, trace.parent().trace_id);
    /// ```
    pub fn here(parent: Option<TraceParent>) -> Trace {
        let random = Random::default();
        let span = current_span();
        let trace = Trace {
            trace_id: parent.map_or_else(|| random.trace_id(), |parent| parent.trace_id),
            mask: random.word(2) | 1 << 63,
            above: parent.map_or_else(|| random.word(3) | 1, |parent| parent.span_id),
            sampled: parent.map_or(span.id().is_some(), |parent| parent.sampled),
        };
        if span.id().is_some() {
            span.record(PARENT_KEY, parent.map(|parent| parent.to_string()));
            span.record(HERE_KEY, trace.parent().to_string());
        }
        trace
    }

    /// The current span, as the parent of what another process does for it.
    ///
    /// ```
    /// # if cfg!(not(feature = "enable")) { return; }
    /// use spanring::prelude::*;
    /// use spanring::testing;
    /// use spanring::trace_context::Trace;
    ///
    /// # use futures_executor::block_on;
    /// let recorded = block_on(testing::record_future(async {
    ///     span_async_named!("request", async {
    ///         let trace = Trace::here(None);
    ///         let call = span_async_named!("call", async { trace.parent() }).await;
    ///         (trace.parent(), call)
    ///     })
    ///     .await
    /// }));
    /// let (request, call) = recorded.output;
    /// assert_eq!(request.trace_id, call.trace_id);
    /// assert_ne!(request.span_id, call.span_id);
    /// ```
    pub fn parent(&self) -> TraceParent {
        let span_id = current_span_id().map_or(self.above, |id| id ^ self.mask);
        TraceParent { trace_id: self.trace_id, span_id, sampled: self.sampled }
    }
}

/// Random words. `RandomState` is the source of them that `std` has: SipHash with keys from the system, others each time.
#[derive(Default)]
struct Random(RandomState);

impl Random {
    fn word(&self, number: u64) -> u64 {
        self.0.hash_one(number)
    }

    fn trace_id(&self) -> u128 {
        (u128::from(self.word(0)) << 64 | u128::from(self.word(1))).max(1)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const HEADER: &str = "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01";

    #[test]
    fn a_header_is_what_it_was_read_from() {
        for header in [HEADER, "00-00000000000000000000000000000001-0000000000000001-00"] {
            assert_eq!(header.parse::<TraceParent>().unwrap().to_string(), header);
        }
    }

    #[test]
    fn later_versions_may_say_more_and_other_flags_are_passed_over() {
        let parent: TraceParent = HEADER.parse().unwrap();
        for text in
            [HEADER.replacen("00", "cc", 1), HEADER.replacen("00", "01", 1) + "-more", HEADER.replace("-01", "-ff")]
        {
            assert_eq!(text.parse(), Ok(parent), "{text}");
        }
    }

    #[test]
    fn what_is_no_header_is_refused() {
        let wrong = [
            String::new(),
            "00".to_owned(),
            HEADER[..HEADER.len() - 1].to_owned(),
            format!("{HEADER}-"),
            format!("{HEADER}0"),
            HEADER.to_uppercase(),
            HEADER.replacen("00", "ff", 1),
            HEADER.replace('-', "_"),
            HEADER.replace("0af", "+af"),
            HEADER.replace("0af", "é"),
            HEADER.replace("b7ad6b7169203331", "0000000000000000"),
            HEADER.replace("0af7651916cd43dd8448eb211c80319c", &"0".repeat(32)),
        ];
        for text in wrong {
            assert_eq!(text.parse::<TraceParent>(), Err(NoTraceParent), "{text}");
        }
    }

    #[test]
    fn new_traces_are_different_ones() {
        let [a, b] = [Trace::here(None), Trace::here(None)];
        assert_ne!(a.trace_id, b.trace_id);
        assert_ne!(a.mask, b.mask);
    }

    #[cfg(feature = "enable")]
    #[test]
    fn a_span_is_known_elsewhere_by_the_id_that_its_part_of_the_trace_was_recorded_with() {
        use crate::span_async_named;
        use std::task::{Context, Poll, Waker};

        let came: TraceParent = HEADER.parse().unwrap();
        let recorded = crate::testing::record(|| {
            let request = span_async_named!("request", async {
                let trace = Trace::here(Some(came));
                let call = span_async_named!("call", async { (trace.parent(), current_span_id().unwrap()) }).await;
                ((trace.parent(), current_span_id().unwrap()), call)
            });
            match std::pin::pin!(request).poll(&mut Context::from_waker(Waker::noop())) {
                Poll::Ready(seen) => seen,
                Poll::Pending => unreachable!(),
            }
        });
        let ((request, request_id), (call, call_id)) = recorded.output;
        assert_eq!((request.trace_id, request.sampled), (came.trace_id, true));
        assert_eq!((call.trace_id, call.span_id), (came.trace_id, call_id ^ request_id ^ request.span_id));
        assert!(request.span_id > i64::MAX as u64 && call.span_id > i64::MAX as u64);
        let attributes = [(PARENT_KEY, HEADER.to_owned()), (HERE_KEY, request.to_string())];
        assert_eq!(recorded.spans[0].attributes, attributes.map(|(key, value)| (key.to_owned(), value)));
    }

    #[test]
    fn what_came_goes_on_as_it_came_where_nothing_is_recorded() {
        let came: TraceParent = HEADER.parse().unwrap();
        assert_eq!(Trace::here(Some(came)).parent(), came);
        let new = Trace::here(None);
        assert_eq!((new.parent(), new.parent().sampled), (new.parent(), false));
    }
}
