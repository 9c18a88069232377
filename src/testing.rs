//! Asserting on your own instrumentation: record a closure or a future in isolation, and look at its span tree.
//!
//! ```
//! # if cfg!(not(feature = "enable")) { return; }
//! use spanring::prelude::*;
//! use spanring::testing;
//!
//! let recorded = testing::record(|| {
//!     span_scope!("outer");
//!     span_scope!("inner");
//! });
//! assert_eq!(recorded.tree(), "outer (thread)\n  inner (thread)\n");
//! ```
//!
//! Everything runs in a hidden root span, and what does not descend from it is left out: tests may run in parallel. They share
//! one recorder in memory, which runs as long as any of them does.

use crate::events::Outcome;
use crate::future::{Entered, current};
use crate::reader::{Event, Phase, Recording, SpanKind};
use crate::recorder::context::{CurrentSpan, Depth};
use crate::recorder::record::{Frame, Name, Site, Span, begin, end};
use crate::{Recorder, RecorderGuard};
use pin_project_lite::pin_project;
use std::collections::HashMap;
use std::fmt::Write;
use std::future::Future;
use std::pin::Pin;
use std::sync::{Mutex, PoisonError};
use std::task::{Context, Poll};

/// What was recorded, and what the closure or future returned.
///
/// ```
/// # if cfg!(not(feature = "enable")) { return; }
/// use spanring::prelude::*;
/// use spanring::testing;
///
/// let recorded = testing::record(|| {
///     span_scope!("count");
///     3
/// });
/// assert_eq!(recorded.output, 3);
/// assert_eq!(recorded.spans.len(), 1);
/// ```
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Recorded<R> {
    /// What it returned.
    pub output: R,
    /// The top-level spans, in order of their begins.
    pub spans: Vec<TestSpan>,
}

/// A span, and what happened in it.
///
/// ```
/// # if cfg!(not(feature = "enable")) { return; }
/// use spanring::events::Outcome;
/// use spanring::prelude::*;
/// use spanring::testing::{self, TestSpan};
///
/// let recorded = testing::record(|| {
///     span_scope!("load", rows = 2);
/// });
/// let load: &TestSpan = &recorded.spans[0];
/// assert_eq!((load.name.as_str(), load.outcome), ("load", Some(Outcome::Completed)));
/// assert_eq!(load.attributes, [("rows".to_owned(), "2".to_owned())]);
/// assert!(load.children.is_empty());
/// ```
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct TestSpan {
    /// Its name.
    pub name: String,
    /// Async or thread.
    pub kind: SpanKind,
    /// How it ended; `None` if it was still open.
    pub outcome: Option<Outcome>,
    /// How often it was polled.
    pub polls: u32,
    /// Depth below the root, in the record.
    pub depth: u16,
    /// Its target; empty if it has none.
    pub target: String,
    /// Its source file; empty if it is not known.
    pub file: String,
    /// The line there.
    pub line: u32,
    /// Its attributes in the order in which they were recorded: keys, and values as text.
    pub attributes: Vec<(String, String)>,
    /// Its children, in order of their begins.
    pub children: Vec<TestSpan>,
}

impl<R> Recorded<R> {
    /// The span tree as text: a line for each span, indented by two spaces a level; ` (thread)` marks thread spans, and
    /// ` [cancelled]`, ` [panicked]` or ` [open]` what did not complete.
    ///
    /// ```
    /// # if cfg!(not(feature = "enable")) { return; }
    /// use spanring::prelude::*;
    /// use spanring::testing;
    ///
    /// let recorded = testing::record(|| {
    ///     span_scope!("request");
    ///     let never = span_async_named!("wait", std::future::pending::<()>());
    ///     let mut never = std::pin::pin!(never);
    ///     let waker = std::task::Waker::noop();
    ///     let _ = never.as_mut().poll(&mut std::task::Context::from_waker(waker));
    ///     // dropped here, before it was ready
    /// });
    /// assert_eq!(recorded.tree(), "request (thread)\nwait [cancelled]\n");
    /// ```
    pub fn tree(&self) -> String {
        let mut text = String::new();
        self.spans.iter().for_each(|span| span.print(0, &mut text));
        text
    }
}

impl TestSpan {
    fn print(&self, level: usize, text: &mut String) {
        let thread = if self.kind == SpanKind::Thread { " (thread)" } else { "" };
        let outcome = match self.outcome {
            Some(Outcome::Completed) => String::new(),
            Some(outcome) => format!(" [{outcome}]"),
            None => " [open]".to_owned(),
        };
        writeln!(text, "{:indent$}{}{thread}{outcome}", "", self.name, indent = level * 2).expect("a String takes all");
        self.children.iter().for_each(|child| child.print(level + 1, text));
    }
}

/// Runs `f`, and returns what it recorded.
///
/// # Panics
/// If another recorder runs in this process, or without the feature `enable`.
///
/// ```
/// # if cfg!(not(feature = "enable")) { return; }
/// use spanring::prelude::*;
/// use spanring::testing;
///
/// fn sum(numbers: &[u32]) -> u32 {
///     span_scope!("sum", numbers = numbers.len());
///     numbers.iter().sum()
/// }
///
/// let recorded = testing::record(|| sum(&[1, 2, 3]));
/// assert_eq!(recorded.output, 6);
/// assert_eq!(recorded.tree(), "sum (thread)\n");
/// ```
pub fn record<R>(f: impl FnOnce() -> R) -> Recorded<R> {
    let root = Root::new();
    let entered = Entered::new(root.inside);
    let output = f();
    drop(entered);
    Recorded { output, spans: root.finish() }
}

/// Runs `future`, and returns what it recorded. Await it on any executor.
///
/// A span belongs where it is created, and an argument is created before the call: `record_future(async { work().await })`
/// records the span of `work`, and `record_future(work())` does not.
///
/// A wrapper takes its parent where it is made, so give it an `async` block that makes the futures in question:
/// `record_future(async { load().await })`, not `record_future(load())`.
///
/// # Panics
/// As [`record`] does, when it is called.
///
/// ```
/// # if cfg!(not(feature = "enable")) { return; }
/// use spanring::prelude::*;
/// use spanring::testing;
///
/// async fn load() -> u32 {
///     span_async_named!("load", async {
///         span_async_named!("query", async { 42 }).await
///     })
///     .await
/// }
///
/// # use futures_executor::block_on;
/// let recorded = block_on(testing::record_future(async { load().await }));
/// assert_eq!(recorded.output, 42);
/// assert_eq!(recorded.tree(), "load\n  query\n");
/// ```
pub fn record_future<F: Future>(future: F) -> RecordFuture<F> {
    RecordFuture { future, root: Some(Root::new()) }
}

pin_project! {
    /// See [`record_future`].
    ///
    /// ```
    /// # if cfg!(not(feature = "enable")) { return; }
    /// use spanring::prelude::*;
    /// use spanring::testing::{self, RecordFuture};
    ///
    /// let future: RecordFuture<_> = testing::record_future(async {
    ///     span_scope!("count");
    /// });
    /// # use futures_executor::block_on;
    /// assert_eq!(block_on(future).tree(), "count (thread)\n");
    /// ```
    #[must_use = "futures do nothing unless polled"]
    pub struct RecordFuture<F> {
        #[pin]
        future: F,
        root: Option<Root>,
    }
}

impl<F: Future> Future for RecordFuture<F> {
    type Output = Recorded<F::Output>;

    fn poll(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Self::Output> {
        let this = self.project();
        let inside = this.root.as_ref().map(|root| root.inside).expect("polled again after it was ready");
        let entered = Entered::new(inside);
        let polled = this.future.poll(cx);
        drop(entered);
        polled.map(|output| {
            let spans = this.root.take().map(Root::finish).unwrap_or_default();
            Recorded { output, spans }
        })
    }
}

impl<F> std::fmt::Debug for RecordFuture<F> {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("RecordFuture").finish_non_exhaustive()
    }
}

/// The recorder that all tests of this process share, and how many do.
static SHARED: Mutex<Shared> = Mutex::new(Shared { guard: None, users: 0 });

struct Shared {
    guard: Option<RecorderGuard>,
    users: usize,
}

/// The hidden root of one test.
struct Root {
    inside: CurrentSpan,
}

crate::static_span_desc!(ROOT, "testing");

impl Root {
    fn new() -> Root {
        if !cfg!(feature = "enable") {
            panic!("spanring's feature `enable` is off: nothing can be recorded");
        }
        let mut shared = SHARED.lock().unwrap_or_else(PoisonError::into_inner);
        if shared.guard.is_none() {
            let started = Recorder::builder().memory().ring_bytes(4 << 20).start();
            shared.guard =
                Some(started.unwrap_or_else(|error| panic!("spanring::testing needs a recorder of its own: {error}")));
        }
        shared.users += 1;
        drop(shared);
        let site = Site::Metadata(&&ROOT);
        let frame = Frame { parent: current().id, depth: Depth::ROOT };
        let span = Span { thread: false, frame: &frame, site, name: Name::OfSite, attributes: 0 };
        let (begun, generation) = begin(&span).expect("the shared recorder runs while it has a user");
        end(&span, &begun, generation, Outcome::Completed, 0);
        Root { inside: CurrentSpan { id: begun.id, next_depth: Depth::ROOT } }
    }

    fn finish(self) -> Vec<TestSpan> {
        let shared = SHARED.lock().unwrap_or_else(PoisonError::into_inner);
        let guard = shared.guard.as_ref().expect("the shared recorder runs while it has a user");
        guard.flush().expect("a recording in memory takes everything");
        let bytes = guard.memory().map(crate::sink::MemoryBuffer::bytes).unwrap_or_default();
        drop(shared);
        let recording = Recording::from_segment(&bytes).expect("the recorder's own bytes are a segment");
        Collected::read(&recording).below(self.inside.id)
    }
}

impl Drop for Root {
    fn drop(&mut self) {
        let mut shared = SHARED.lock().unwrap_or_else(PoisonError::into_inner);
        shared.users -= 1;
        if shared.users == 0 {
            shared.guard = None;
        }
    }
}

/// The spans of a recording, by id.
struct Collected {
    spans: HashMap<u64, Found>,
    /// Ids in order of begins.
    order: Vec<u64>,
}

struct Found {
    span: TestSpan,
    parent: u64,
    thread: u32,
    begin: u64,
    end: u64,
}

impl Collected {
    fn read(recording: &Recording) -> Collected {
        let mut spans = HashMap::new();
        let mut attributes: HashMap<u64, Vec<(String, String)>> = HashMap::new();
        let mut lost = 0;
        let result = recording.read(&mut |event| {
            match event {
                Event::Loss(loss) => lost += loss.records,
                Event::Attribute(record) => {
                    let attribute = (record.key.to_owned(), record.value.to_string());
                    attributes.entry(record.span_id).or_default().push(attribute);
                }
                Event::Span(record) => {
                    let found = spans.entry(record.span_id).or_insert_with(|| Found {
                        span: TestSpan {
                            name: record.name.to_owned(),
                            kind: record.kind,
                            outcome: None,
                            polls: 0,
                            depth: record.depth,
                            target: record.location.map(|location| location.target.clone()).unwrap_or_default(),
                            file: record.location.map(|location| location.file.clone()).unwrap_or_default(),
                            line: record.location.map(|location| location.line).unwrap_or_default(),
                            attributes: Vec::new(),
                            children: Vec::new(),
                        },
                        parent: record.parent_span_id,
                        thread: record.thread,
                        begin: record.unix_ns,
                        end: u64::MAX,
                    });
                    if record.phase == Phase::End {
                        found.span.outcome = record.outcome;
                        found.span.polls = record.polls;
                        found.begin = record.begin_unix_ns.unwrap_or(found.begin);
                        found.end = record.unix_ns;
                    }
                }
                _ => {}
            };
        });
        result.expect("a recording in memory can be read");
        for (id, attributes) in attributes {
            if let Some(found) = spans.get_mut(&id) {
                found.span.attributes = attributes;
            }
        }
        assert_eq!(lost, 0, "the test recorded more than the shared recorder's rings hold between two flushes");
        let mut order: Vec<u64> = spans.keys().copied().collect();
        // Ids rise within a thread, which settles what the clock cannot.
        order.sort_by_key(|id| (spans[id].begin, *id));
        Collected { spans, order }
    }

    fn below(mut self, root: u64) -> Vec<TestSpan> {
        let mut children: HashMap<u64, Vec<u64>> = HashMap::new();
        for id in &self.order {
            children.entry(self.parent_in_tree(*id)).or_default().push(*id);
        }
        self.take_children(root, &children)
    }

    /// Thread spans record their async span as parent; in the tree they stand below the thread span around them.
    fn parent_in_tree(&self, id: u64) -> u64 {
        let found = &self.spans[&id];
        let encloses = |other: &&u64| {
            let outer = &self.spans[other];
            outer.span.kind == SpanKind::Thread
                && (outer.thread, outer.parent) == (found.thread, found.parent)
                && outer.span.depth + 1 == found.span.depth
                && outer.begin <= found.begin
                && found.begin <= outer.end
        };
        match found.span.kind {
            SpanKind::Async => found.parent,
            SpanKind::Thread => self.order.iter().rfind(encloses).copied().unwrap_or(found.parent),
        }
    }

    fn take_children(&mut self, id: u64, children: &HashMap<u64, Vec<u64>>) -> Vec<TestSpan> {
        let ids = children.get(&id).cloned().unwrap_or_default();
        let take = |id: u64| {
            let below = self.take_children(id, children);
            let mut span = self.spans.remove(&id)?.span;
            span.children = below;
            Some(span)
        };
        ids.into_iter().filter_map(take).collect()
    }
}
