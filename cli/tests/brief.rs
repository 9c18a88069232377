//! What is read of a span by its end alone is what both of its records say, whatever is missing.

use spanring::dispatch::{on_begin_async_named_scope, on_end_async_named_scope};
use spanring::prelude::*;
use spanring::reader::Recording;
use spanring::{Builder, Discipline, Recorder};
use spanring_cli::filter::{Filter, parse_condition};
use spanring_cli::progress::Silent;
use spanring_cli::spans::{self, Ending, Item};
use std::collections::BTreeMap;
use std::future::{Future, poll_fn, ready};
use std::pin::{Pin, pin};
use std::sync::{Mutex, PoisonError};
use std::task::{Context, Poll, Waker};
use std::thread;
use std::time::Duration;
use tempfile::TempDir;

static_span_location!(HERE);

/// A process has one recorder.
static ALONE: Mutex<()> = Mutex::new(());

type Task = Pin<Box<dyn Future<Output = ()> + Send>>;

fn poll(task: &mut Task) -> Poll<()> {
    task.as_mut().poll(&mut Context::from_waker(Waker::noop()))
}

/// A span that is ready when it is polled for the second time.
fn twice(number: u64) -> Task {
    let mut polls = 0;
    let work = poll_fn(move |_| {
        polls += 1;
        if polls == 2 { Poll::Ready(()) } else { Poll::Pending }
    });
    match number % 2 {
        0 => Box::pin(span_async_named!("moved", batch = number, work)),
        _ => Box::pin(span_async_named_dyn!(format!("moved {number}"), work)),
    }
}

/// Spans of every way: that move to a thread and are dropped there or not, that are ended by hand, that stay open, and scopes.
fn work() -> Vec<Task> {
    let mut tasks: Vec<Task> = (0..300).map(twice).collect();
    tasks.iter_mut().for_each(|task| assert!(poll(task).is_pending()));
    let by_hand: Vec<u64> = (0..20).map(|_| on_begin_async_named_scope(&HERE, "by hand", 0, 0)).collect();
    let mut others = tasks.split_off(200);
    thread::scope(|scope| {
        scope.spawn(move || {
            for task in others.iter_mut().step_by(2) {
                span_scope!("elsewhere");
                assert!(poll(task).is_ready());
            }
            for id in by_hand {
                on_end_async_named_scope(id, 0, &HERE, "by hand", 0);
            }
        });
    });
    for task in &mut tasks[..150] {
        assert!(poll(task).is_ready());
        let leaf = pin!(span_async_named!("leaf", ready(())));
        assert!(leaf.poll(&mut Context::from_waker(Waker::noop())).is_ready());
    }
    tasks.split_off(150)
}

fn record(builder: Builder) -> TempDir {
    let dir = TempDir::new().expect("a directory");
    let recorder = builder.directory(dir.path()).flush_interval(Duration::from_secs(3600)).start().expect("it starts");
    let open = work();
    recorder.stop().expect("it stops");
    drop(open);
    dir
}

/// By id: name, place, ending, begin, end, parent and depth.
type Spans = BTreeMap<u64, (String, Option<String>, Ending, u64, Option<u64>, u64, u16)>;

/// Spans, records that are missing, and places of damage.
fn collect(read: impl FnOnce(&mut dyn FnMut(&Item<'_>))) -> (Spans, u64, u64) {
    let (mut spans, mut lost, mut damaged) = (Spans::new(), 0, 0);
    read(&mut |item| match item {
        Item::Span(span) => {
            let place = span.place.map(|place| place.file_line());
            let facts = (span.ending, span.begin_ns, span.end_ns, span.parent, span.depth);
            let (ending, begin_ns, end_ns, parent, depth) = facts;
            let known = (span.name.to_owned(), place, ending, begin_ns, end_ns, parent, depth);
            assert_eq!(spans.insert(span.id, known), None, "{} comes once", span.id);
        }
        Item::Loss(loss) => lost += loss.records,
        Item::Damage(_) => damaged += 1,
        _ => {}
    });
    (spans, lost, damaged)
}

fn assert_same(dir: &TempDir, what: &str) -> (Spans, u64, u64) {
    let recording = Recording::open(dir.path()).expect("it was just written");
    let whole = collect(|add| {
        spans::read(&recording, &mut |item| add(&item)).expect("it can be read");
    });
    let brief = collect(|add| {
        spans::read_brief(&recording, &mut Silent, &mut |item| add(&item)).expect("it can be read");
    });
    assert_eq!(brief, whole, "{what}");
    whole
}

#[test]
fn an_end_says_what_its_begin_says() {
    let _alone = ALONE.lock().unwrap_or_else(PoisonError::into_inner);
    let (spans, lost, _) = assert_same(&record(Recorder::builder()), "nothing is missing");
    assert_eq!((spans.len(), lost), (300 + 20 + 50 + 150, 0));
    let open = spans.values().filter(|span| span.2 == Ending::Open);
    assert_eq!(open.count(), 50);

    let small = || Recorder::builder().ring_bytes(4096);
    let (spans, lost, _) = assert_same(&record(small()), "what found no room is missing");
    assert!(lost > 0 && !spans.is_empty());
    let (spans, lost, _) =
        assert_same(&record(small().discipline(Discipline::Flight)), "older records are overwritten");
    assert!(lost > 0 && !spans.is_empty());

    let dir = record(Recorder::builder());
    let session = std::fs::read_dir(dir.path()).expect("there is one").next().expect("there is one").expect("readable");
    let segment = session.path().join("segment-000000.spanring");
    let mut bytes = std::fs::read(&segment).expect("there is one");
    let middle = bytes.len() / 3;
    bytes[middle] ^= 1;
    std::fs::write(&segment, bytes).expect("it can be written");
    let (spans, _, damaged) = assert_same(&dir, "a block is damaged");
    assert!(damaged > 0 && spans.len() < 520);
}

#[test]
fn attributes_are_read_where_a_filter_asks_for_them() {
    let _alone = ALONE.lock().unwrap_or_else(PoisonError::into_inner);
    let dir = record(Recorder::builder());
    let recording = Recording::open(dir.path()).expect("it is there");
    let filter = |conditions: &[&str]| {
        let conditions = conditions.iter().map(|text| parse_condition(text).expect("a condition")).collect();
        Filter { name: Some("moved".to_owned()), conditions, ..Filter::default() }
    };
    let read = |filter: &Filter| {
        collect(|add| {
            filter.of(&recording).read(&recording, &mut Silent, &mut |item| add(item)).expect("it can be read");
        })
    };
    let by_name: Spans = read(&Filter::default()).0.into_iter().filter(|(_, span)| span.0.contains("moved")).collect();
    assert_eq!(read(&filter(&[])).0, by_name);
    let with_attribute = read(&filter(&["batch"])).0;
    assert!(!with_attribute.is_empty() && with_attribute.values().all(|span| span.0 == "moved"));
}
