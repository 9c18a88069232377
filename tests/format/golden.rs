//! The golden recording: a small one with something of everything, the same bytes whenever it is made.

use super::common::{Contents, Item, Value};
use super::writer::{Batch, Name, SESSION_ID, START, Span, What, Writer, bytes, facts, slots};
use spanring::events::self_description;
use spanring::format::block::{Anchor, RecordRange, block_bytes};
use spanring::format::ring_file::{
    CAPACITY_WORD, DROP_MARK_WORD, DROPPED_WORD, FLUSHED_POSITION_WORD, FLUSHED_RECORD_WORD, OWNER_COUNT_WORD, Owner,
    RECENT_RECORD_WORD, RING_HEADER_BYTES, TAIL_WORD,
};
use spanring::format::session_file::SESSION_HEADER_BYTES;
use spanring::format::{BlockHeader, BlockKind, FileHeader, FileKind, Status, StatusState, ThreadFacts};
use spanring::reader::{Outcome, Phase, Recording, SpanKind};
use std::fmt::Write;

/// The session's directory.
pub const SESSION: &str = "20261123T140501.250Z-4711-0";

const SLOTS: u64 = 64;

fn span(id: u64, parent: u64, name: Name, outcome: Option<Outcome>) -> Span {
    let began = id * 1_000_000;
    let since_start = if outcome.is_some() { began + 12_345_678 } else { began };
    let depth = u16::from(parent != 0);
    let polls = if outcome.is_some() { 3 } else { 0 };
    let begin = What::Begin { created: None };
    let what = outcome.map_or(begin, |outcome| What::End { outcome, began: Some(began) });
    Span { since_start, id, parent, depth, polls, what, thread: false, name }
}

/// The begin of a span that was created a while before.
fn waited(span: Span) -> Span {
    Span { what: What::Begin { created: Some(span.since_start - 600_000) }, ..span }
}

/// A poll of a span.
fn poll(number: u32, span: Span) -> Span {
    let began = span.since_start + u64::from(number) * 1_000;
    Span { since_start: began + 789, polls: number, what: What::Poll { began }, ..span }
}

/// An attribute of a span.
fn attribute(key: &str, value: Value, span: &Span) -> Span {
    let what = What::Attribute { value, is_static: key == "static" };
    Span { name: Name::Static(text(key)), what, polls: 0, ..span.clone() }
}

/// A failed span with an attribute of every type, an instant in it, and a counter.
fn with_all_that_goes_with_spans() -> Vec<Span> {
    let begin = Span { polls: 2, ..span(6, 0, Name::Static(text("import")), None) };
    let later = Span { since_start: begin.since_start + 4_000, depth: 2, ..begin.clone() };
    let instant =
        Span { id: 7, parent: 6, what: What::Instant, polls: 1, name: Name::RunTime(text("miss 1")), ..later.clone() };
    let long = "a value of quite a few letters, in which there are «others», ".repeat(12);
    let counter =
        Span { what: What::Counter { value: Value::F64(0.5) }, name: Name::Static(text("load")), ..later.clone() };
    vec![
        begin.clone(),
        attribute("truth", Value::Bool(true), &begin),
        attribute("signed", Value::I64(-7), &begin),
        attribute("unsigned", Value::U64(u64::MAX), &later),
        attribute("float", Value::F64(-0.25), &later),
        attribute("static", Value::text("one of a few"), &later),
        attribute("text", Value::text("«any»"), &later),
        attribute("empty", Value::text(""), &later),
        attribute("long", Value::text(&long), &later),
        attribute("of a later version", Value::Unknown(77, 9), &later),
        instant.clone(),
        attribute("key", Value::U64(8), &instant),
        counter,
        Span { polls: 1, ..span(6, 0, begin.name, Some(Outcome::Failed)) },
    ]
}

fn text(text: &str) -> String {
    text.to_owned()
}

/// What was flushed: every kind of record, and a loss.
fn batches() -> [Batch; 5] {
    let request = || Name::OfSite(text("request"));
    let query = || Name::Static(text("query"));
    let shard = || Name::RunTime(format!("shard 3 of «{}»", "a table with quite a long name, ".repeat(3)));
    let call = || Name::OfCaller(text("call"));
    let scope = |name: Name, outcome| Span { thread: true, polls: 0, ..span(9, 1, name, outcome) };
    [
        Batch {
            thread: 1,
            lost: 0,
            spans: vec![
                span(1, 0, request(), None),
                poll(1, span(1, 0, request(), None)),
                waited(span(2, 1, query(), None)),
                poll(1, span(2, 1, query(), None)),
                waited(span(3, 2, shard(), None)),
                poll(7, span(3, 2, shard(), None)),
                span(3, 2, shard(), Some(Outcome::Completed)),
                span(2, 1, query(), Some(Outcome::Cancelled)),
            ],
        },
        Batch {
            thread: 2,
            lost: 0,
            spans: vec![span(4, 1, call(), None), span(4, 1, call(), Some(Outcome::Panicked))],
        },
        Batch {
            thread: 1,
            lost: 7,
            spans: vec![
                scope(Name::OfSite(text("render")), None),
                scope(Name::OfSite(text("render")), Some(Outcome::Completed)),
                scope(Name::RunTime(text("")), None),
                scope(Name::RunTime(text("")), Some(Outcome::Panicked)),
            ],
        },
        Batch { thread: 2, lost: 2, spans: vec![] },
        Batch { thread: 3, lost: 0, spans: with_all_that_goes_with_spans() },
    ]
}

/// What was still in the ring of thread 1: a span that goes on, its first poll, and the end of the first.
fn unflushed() -> [Span; 3] {
    let open = Name::Static(text("query"));
    let of_open = poll(1, span(10, 0, open.clone(), None));
    [span(10, 0, open, None), of_open, span(1, 0, Name::OfSite(text("request")), Some(Outcome::Completed))]
}

/// The files, by name.
pub fn files() -> Vec<(String, Vec<u8>)> {
    let mut writer = Writer::new();
    batches().iter().for_each(|batch| writer.write(batch));
    // The begin of a span whose own record was lost.
    let carried = Span { since_start: 5_500_000, ..span(5, 0, Name::RunTime(text("carried")), None) };
    let range = RecordRange { thread: 1, ring: 0, first_record: 9, next_record: 10, lost: 0, position: 10 };
    writer.block(BlockKind::Carried, range, &bytes(&slots(&carried, 6)));

    let named = Writer::new();
    vec![
        (FileKind::Session.file_name(0), session_file()),
        (FileKind::Names.file_name(0), names_file(named)),
        (FileKind::Segment.file_name(0), writer.segment()),
        (FileKind::Ring.file_name(0), ring_file(&writer)),
    ]
}

fn header(kind: FileKind, header_bytes: usize) -> Vec<u8> {
    let header_bytes = header_bytes as u32;
    FileHeader { kind, session: SESSION_ID, number: 0, created_unix_ns: START.unix_ns, header_bytes }.encode().to_vec()
}

fn set_words(file: &mut [u8], index: usize, words: &[u64]) {
    for (to, word) in file[index * 8..].chunks_exact_mut(8).zip(words) {
        to.copy_from_slice(&word.to_le_bytes());
    }
}

fn session_file() -> Vec<u8> {
    let mut file = header(FileKind::Session, SESSION_HEADER_BYTES);
    file.resize(SESSION_HEADER_BYTES, 0);
    for updates in [4, 5] {
        let anchor = Anchor {
            ticks: START.ticks + updates * 1_000_000_000,
            monotonic_ns: START.monotonic_ns + updates * 1_000_000_000,
            unix_ns: START.unix_ns + updates * 1_000_000_000,
        };
        let state = StatusState::Recording;
        let status = Status { updates, state, anchor, flushed: 14, lost: 9, ..Status::default() };
        set_words(&mut file, Status::word_index(updates), &status.encode());
    }
    let texts = [(BlockKind::Facts, facts().encode()), (BlockKind::SelfDescription, self_description())];
    for (kind, payload) in texts {
        let end = file.len() + block_bytes(payload.len());
        file.extend(BlockHeader::new(kind, 0, START, RecordRange::default(), payload.as_bytes()).encode());
        file.extend(payload.as_bytes());
        file.resize(end, 0);
    }
    file
}

fn names_file(mut definitions: Writer) -> Vec<u8> {
    let mut file = header(FileKind::Names, 64);
    let flushed: Vec<Span> = batches().into_iter().flat_map(|batch| batch.spans).collect();
    for span in flushed.iter().chain(&unflushed()) {
        file.extend(definitions.definitions_of(span));
    }
    file.resize(4096, 0);
    file
}

/// The ring of thread 1: what was flushed is still in it, and two records that were not.
fn ring_file(writer: &Writer) -> Vec<u8> {
    let flushed = writer.written[1];
    let mut file = header(FileKind::Ring, RING_HEADER_BYTES);
    file.resize(RING_HEADER_BYTES + SLOTS as usize * 64, 0);
    let mut number = 0;
    let mut position = 0;
    let mut put = |span: &Span, number: u64| {
        let slots = slots(span, number);
        set_words(
            &mut file,
            (RING_HEADER_BYTES + position * 64) / 8,
            &slots.iter().flat_map(|s| s.0).collect::<Vec<_>>(),
        );
        position += slots.len();
    };
    for batch in batches().iter().filter(|batch| batch.thread == 1) {
        number += batch.lost;
        for span in &batch.spans {
            put(span, number);
            number += 1;
        }
    }
    for span in &unflushed() {
        put(span, number);
        number += 1;
    }
    let tail = position as u64;
    let owner =
        Owner { thread: ThreadFacts { id: 1, os_id: 4711, name: text("worker 1") }, position: 0, record_number: 0 };
    for (index, word) in [
        (CAPACITY_WORD, SLOTS),
        (TAIL_WORD, tail),
        // One more was dropped at the very end.
        (DROP_MARK_WORD, number + 1),
        (DROPPED_WORD, 8),
        (FLUSHED_POSITION_WORD, flushed.position),
        (FLUSHED_RECORD_WORD, flushed.next_record),
        (RECENT_RECORD_WORD, flushed.next_record),
        (OWNER_COUNT_WORD, 1),
    ] {
        set_words(&mut file, index, &[word]);
    }
    set_words(&mut file, Owner::word_index(0), &owner.encode());
    file
}

/// All that is read, a line for each.
pub fn describe(recording: &Recording) -> String {
    let contents = Contents::of(recording);
    let mut out = String::new();
    for thread in &contents.threads {
        writeln!(out, "thread {} {} {:?}", thread.id, thread.os_id, thread.name).unwrap();
    }
    let since = |unix_ns: u64| unix_ns.wrapping_sub(START.unix_ns);
    for item in contents.items.iter().chain(&contents.carried.iter().cloned().map(Item::Span).collect::<Vec<_>>()) {
        match item {
            Item::Span(span) => {
                let phase = if span.phase == Phase::Begin { "begin" } else { "end" };
                let kind = if span.kind == SpanKind::Async { "async" } else { "thread" };
                write!(out, "{phase} {kind} {} in {} ", span.span_id, span.parent).unwrap();
                write!(out, "by {} #{} at {} ", span.thread, span.record_number, since(span.unix_ns)).unwrap();
                if span.attributes > 0 {
                    write!(out, "with {} attributes ", span.attributes).unwrap();
                }
                if let Some(created) = span.created_unix_ns {
                    write!(out, "created {} ", since(created)).unwrap();
                }
                write!(out, "from {:?} depth {} ", span.begin_unix_ns.map(since), span.depth).unwrap();
                write!(out, "{:?} {} polls {:?} {:?} ", span.outcome, span.polls, span.name, span.name_state).unwrap();
                writeln!(out, "{:?}", span.location).unwrap();
            }
            Item::Poll(poll) => {
                write!(out, "poll {} of {} by {} ", poll.number, poll.span_id, poll.thread).unwrap();
                let (from, to) = (since(poll.begin_unix_ns), since(poll.unix_ns));
                writeln!(out, "#{} from {from} to {to}", poll.record_number).unwrap();
            }
            Item::Attribute(entry) => writeln!(out, "attribute {entry:?}").unwrap(),
            Item::Instant(instant) => writeln!(out, "{instant:?}").unwrap(),
            Item::Counter(entry) => writeln!(out, "counter {entry:?}").unwrap(),
            Item::Loss(loss) => writeln!(out, "lost {} by {}: {:?}", loss.records, loss.thread, loss.cause).unwrap(),
            Item::Damage(damage) => writeln!(out, "damage: {}", damage.what).unwrap(),
        }
    }
    writeln!(out, "{:?}", contents.summary).unwrap();
    writeln!(out, "{:?}", recording.facts()).unwrap();
    writeln!(out, "{:?}", recording.status()).unwrap();
    out
}
