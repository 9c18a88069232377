//! What the tests share that start a recorder of their own.

#![allow(dead_code, reason = "each test binary uses a part of it")]

pub mod child;

use spanring::reader::{
    AttributeRecord, CounterRecord, Damage, Event, InstantRecord, Location, Loss, NameState, Outcome, Phase,
    PollRecord, Recording, SpanKind, SpanRecord, Summary, ThreadFacts,
};
use std::collections::{BTreeMap, BTreeSet};
use std::future::Future;
use std::path::Path;
use std::pin::{Pin, pin};
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::task::{Context, Poll, Waker};
use std::time::Duration;

/// One recorder runs per process at a time, and the tests of one binary run in parallel: those that start one take turns.
pub fn exclusive() -> MutexGuard<'static, ()> {
    static TURN: Mutex<()> = Mutex::new(());
    TURN.lock().unwrap_or_else(PoisonError::into_inner)
}

/// A flush interval in which no test ends: nothing is flushed before somebody asks.
pub const NEVER: Duration = Duration::from_secs(3600);

/// Polls `future` until it is ready, without any executor.
pub fn run<F: Future>(future: F) -> F::Output {
    let mut future = pin!(future);
    loop {
        if let Poll::Ready(output) = poll_once(future.as_mut()) {
            return output;
        }
    }
}

/// Polls `future` once.
pub fn poll_once<F: Future + ?Sized>(future: Pin<&mut F>) -> Poll<F::Output> {
    future.poll(&mut Context::from_waker(Waker::noop()))
}

/// Gives way once, so that whoever awaits this is polled a second time.
pub async fn give_way() {
    let mut given = false;
    std::future::poll_fn(|context| {
        if std::mem::replace(&mut given, true) {
            return Poll::Ready(());
        }
        context.waker().wake_by_ref();
        Poll::Pending
    })
    .await;
}

/// A span record that owns what it says.
#[derive(Clone, Debug, PartialEq)]
pub struct Record {
    pub phase: Phase,
    pub kind: SpanKind,
    pub thread: u32,
    pub record_number: u64,
    pub unix_ns: u64,
    pub begin_unix_ns: Option<u64>,
    pub created_unix_ns: Option<u64>,
    pub span_id: u64,
    pub parent: u64,
    pub depth: u16,
    pub outcome: Option<Outcome>,
    pub polls: u32,
    pub attributes: u32,
    pub name: String,
    pub name_state: NameState,
    pub location: Option<Location>,
}

impl From<&SpanRecord<'_>> for Record {
    fn from(record: &SpanRecord<'_>) -> Record {
        Record {
            phase: record.phase,
            kind: record.kind,
            thread: record.thread,
            record_number: record.record_number,
            unix_ns: record.unix_ns,
            begin_unix_ns: record.begin_unix_ns,
            created_unix_ns: record.created_unix_ns,
            span_id: record.span_id,
            parent: record.parent_span_id,
            depth: record.depth,
            outcome: record.outcome,
            polls: record.polls,
            attributes: record.attributes,
            name: record.name.to_owned(),
            name_state: record.name_state,
            location: record.location.cloned(),
        }
    }
}

/// What an attribute or a counter says, owned.
#[derive(Clone, Debug, PartialEq)]
pub enum Value {
    Bool(bool),
    I64(i64),
    U64(u64),
    F64(f64),
    Text(String, NameState),
    Unknown(u32, u64),
}

impl Value {
    /// Text that is all there.
    pub fn text(text: &str) -> Value {
        Value::Text(text.to_owned(), NameState::Whole)
    }
}

impl From<spanring::reader::Value<'_>> for Value {
    fn from(value: spanring::reader::Value<'_>) -> Value {
        match value {
            spanring::reader::Value::Bool(value) => Value::Bool(value),
            spanring::reader::Value::I64(value) => Value::I64(value),
            spanring::reader::Value::U64(value) => Value::U64(value),
            spanring::reader::Value::F64(value) => Value::F64(value),
            spanring::reader::Value::Text(text, state) => Value::Text(text.to_owned(), state),
            spanring::reader::Value::Unknown(of, word) => Value::Unknown(of, word),
        }
    }
}

/// An attribute, or a counter, that owns what it says.
#[derive(Clone, Debug, PartialEq)]
pub struct Entry {
    pub thread: u32,
    pub record_number: u64,
    pub unix_ns: u64,
    pub span_id: u64,
    pub key: String,
    pub value: Value,
}

impl From<&AttributeRecord<'_>> for Entry {
    fn from(record: &AttributeRecord<'_>) -> Entry {
        let AttributeRecord { thread, record_number, unix_ns, span_id, key, value, .. } = *record;
        Entry { thread, record_number, unix_ns, span_id, key: key.to_owned(), value: value.into() }
    }
}

impl From<&CounterRecord<'_>> for Entry {
    fn from(record: &CounterRecord<'_>) -> Entry {
        let CounterRecord { thread, record_number, unix_ns, span_id, name, value, .. } = *record;
        Entry { thread, record_number, unix_ns, span_id, key: name.to_owned(), value: value.into() }
    }
}

/// An instant that owns what it says.
#[derive(Clone, Debug, PartialEq)]
pub struct Instant {
    pub thread: u32,
    pub record_number: u64,
    pub unix_ns: u64,
    pub id: u64,
    pub parent: u64,
    pub scopes: u16,
    pub attributes: u32,
    pub name: String,
    pub name_state: NameState,
    pub location: Option<Location>,
}

impl From<&InstantRecord<'_>> for Instant {
    fn from(record: &InstantRecord<'_>) -> Instant {
        Instant {
            thread: record.thread,
            record_number: record.record_number,
            unix_ns: record.unix_ns,
            id: record.id,
            parent: record.parent_span_id,
            scopes: record.scopes,
            attributes: record.attributes,
            name: record.name.to_owned(),
            name_state: record.name_state,
            location: record.location.cloned(),
        }
    }
}

/// Something in a recording other than the facts about its threads.
#[derive(Clone, Debug, PartialEq)]
pub enum Item {
    Span(Record),
    Poll(PollRecord),
    Attribute(Entry),
    Instant(Instant),
    Counter(Entry),
    Loss(Loss),
    Damage(Damage),
}

/// All there is in a recording.
#[derive(Clone, Debug)]
pub struct Contents {
    /// In the order of reading.
    pub items: Vec<Item>,
    /// Begins of open spans that were carried forward, because their records are not there any more. None of these is an item.
    pub carried: Vec<Record>,
    /// Attributes of such spans, likewise.
    pub carried_attributes: Vec<Entry>,
    pub threads: Vec<ThreadFacts>,
    pub summary: Summary,
}

impl Contents {
    /// Reads the newest session in `path`.
    pub fn of_directory(path: impl AsRef<Path>) -> Contents {
        Contents::of(&Recording::open(path).expect("there is a recording"))
    }

    /// Reads what was recorded to memory.
    pub fn of_memory(bytes: &[u8]) -> Contents {
        Contents::of(&Recording::from_segment(bytes).expect("there is a recording"))
    }

    /// Reads a recording, and checks that its summary says what was visited.
    pub fn of(recording: &Recording) -> Contents {
        let (mut items, mut carried, mut threads) = (Vec::new(), Vec::new(), Vec::new());
        let mut carried_attributes = Vec::new();
        let mut last = BTreeMap::new();
        let mut in_order = |thread, number| {
            let before = last.insert(thread, number);
            assert!(before.is_none_or(|before| before < number), "{number} after {before:?} by thread {thread}");
        };
        let summary = recording.read(&mut |event| match event {
            Event::Span(record) => {
                in_order(record.thread, record.record_number);
                match record.carried {
                    true => carried.push(Record::from(&record)),
                    false => items.push(Item::Span(Record::from(&record))),
                }
            }
            Event::Poll(poll) => {
                in_order(poll.thread, poll.record_number);
                items.push(Item::Poll(poll));
            }
            Event::Attribute(record) => {
                in_order(record.thread, record.record_number);
                match record.carried {
                    true => carried_attributes.push(Entry::from(&record)),
                    false => items.push(Item::Attribute(Entry::from(&record))),
                }
            }
            Event::Instant(record) => {
                in_order(record.thread, record.record_number);
                items.push(Item::Instant(Instant::from(&record)));
            }
            Event::Counter(record) => {
                in_order(record.thread, record.record_number);
                items.push(Item::Counter(Entry::from(&record)));
            }
            Event::Loss(loss) => items.push(Item::Loss(loss)),
            Event::Damage(damage) => items.push(Item::Damage(damage)),
            Event::Thread(facts) => threads.push(facts.clone()),
            event => panic!("these tests do not know {event:?}"),
        });
        let summary = summary.expect("a recording that was opened can be read");
        assert!(carried.iter().all(|record| record.phase == Phase::Begin), "carried forward: {carried:?}");
        assert_eq!(carried.len() as u64, summary.carried);
        assert_eq!(carried_attributes.len() as u64, summary.carried_attributes);
        let contents = Contents { items, carried, carried_attributes, threads, summary };
        let is_missing = |item: &&Item| matches!(item, Item::Loss(_) | Item::Damage(_));
        let records = contents.items.len() - contents.items.iter().filter(is_missing).count();
        assert_eq!(records as u64 + summary.unknown, summary.records);
        assert_eq!(contents.losses().map(|loss| loss.records).sum::<u64>(), summary.lost + summary.retired);
        assert_eq!(contents.damages().count() as u64, summary.damages);
        assert_eq!(contents.threads.len() as u64, summary.threads);
        contents
    }

    pub fn spans(&self) -> impl Iterator<Item = &Record> + Clone {
        self.items.iter().filter_map(|item| if let Item::Span(record) = item { Some(record) } else { None })
    }

    pub fn polls(&self) -> impl Iterator<Item = &PollRecord> {
        self.items.iter().filter_map(|item| if let Item::Poll(poll) = item { Some(poll) } else { None })
    }

    /// Keys and values of the attributes of a span, or of an instant, in the order of reading; carried ones first.
    pub fn attributes(&self, id: u64) -> Vec<(&str, Value)> {
        let attributes =
            self.items.iter().filter_map(|item| if let Item::Attribute(entry) = item { Some(entry) } else { None });
        let of_it = self.carried_attributes.iter().chain(attributes).filter(|entry| entry.span_id == id);
        of_it.map(|entry| (entry.key.as_str(), entry.value.clone())).collect()
    }

    pub fn instants(&self) -> impl Iterator<Item = &Instant> {
        self.items.iter().filter_map(|item| if let Item::Instant(instant) = item { Some(instant) } else { None })
    }

    pub fn counters(&self) -> impl Iterator<Item = &Entry> {
        self.items.iter().filter_map(|item| if let Item::Counter(entry) = item { Some(entry) } else { None })
    }

    pub fn losses(&self) -> impl Iterator<Item = &Loss> {
        self.items.iter().filter_map(|item| if let Item::Loss(loss) = item { Some(loss) } else { None })
    }

    pub fn damages(&self) -> impl Iterator<Item = &Damage> {
        self.items.iter().filter_map(|item| if let Item::Damage(damage) = item { Some(damage) } else { None })
    }

    /// The records of spans with this name, carried ones included.
    pub fn named(&self, name: &str) -> Vec<&Record> {
        self.spans().chain(&self.carried).filter(|record| record.name == name).collect()
    }

    /// The begin and the end of the only span with this name. Records of two threads may be read in any order.
    pub fn span(&self, name: &str) -> (&Record, &Record) {
        let mut found = self.named(name);
        found.sort_by_key(|record| record.phase == Phase::End);
        match found[..] {
            [begin, end] if (begin.phase, end.phase) == (Phase::Begin, Phase::End) => (begin, end),
            ref found => panic!("not one whole span {name}: {found:?}"),
        }
    }

    /// Names in the order of reading, each with `+` for its begin and `-` for its end.
    pub fn story(&self) -> Vec<String> {
        let sign = |record: &Record| if record.phase == Phase::Begin { '+' } else { '-' };
        self.spans().map(|record| format!("{}{}", sign(record), record.name)).collect()
    }

    /// Checks what holds in any recording: no record twice, and numbers that rise within each thread.
    pub fn check_whole(&self) {
        let mut seen = BTreeSet::new();
        let mut last = BTreeMap::new();
        for record in self.spans().chain(&self.carried) {
            assert!(seen.insert((record.span_id, record.phase == Phase::End)), "twice: {record:?}");
        }
        for record in self.spans() {
            if let Some(before) = last.insert(record.thread, record.record_number) {
                assert!(before < record.record_number, "out of order after {before}: {record:?}");
            }
        }
    }
}
