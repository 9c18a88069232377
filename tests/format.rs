//! The file format: what is written comes back, today's bytes are yesterday's, and no bytes at all make the reader panic.
//!
//! `SPANRING_BLESS=1 cargo test --test format` writes today's version in `tests/golden` anew. Those before it stay as they are and must
//! still be read: a new version gets a new directory beside theirs.

#![cfg(feature = "enable")]

mod common;
#[path = "format/golden.rs"]
mod golden;
#[path = "format/writer.rs"]
mod writer;

use common::{Contents, Entry, Item, Value};
use proptest::collection::vec;
use proptest::prelude::*;
use spanring::events::MAX_RUN_TIME_NAME;
use spanring::format::block::RecordRange;
use spanring::format::{BlockKind, VERSION};
use spanring::reader::{Event, NameState, Outcome, PollRecord, Recording, WriterState};
use std::collections::{BTreeMap, BTreeSet};
use std::path::PathBuf;
use writer::{Batch, Name, START, Span, What, Writer, kept};

fn name() -> impl Strategy<Value = Name> {
    prop_oneof![
        any::<String>().prop_map(Name::OfSite),
        any::<String>().prop_map(Name::Static),
        any::<String>().prop_map(Name::RunTime),
        "[a-zß∂🦀]{90,200}".prop_map(Name::RunTime),
        any::<String>().prop_map(Name::OfCaller),
    ]
}

fn outcome() -> impl Strategy<Value = Outcome> {
    prop_oneof![Just(Outcome::Failed), Just(Outcome::Completed), Just(Outcome::Cancelled), Just(Outcome::Panicked)]
}

fn value() -> impl Strategy<Value = Value> {
    prop_oneof![
        any::<bool>().prop_map(Value::Bool),
        any::<i64>().prop_map(Value::I64),
        any::<u64>().prop_map(Value::U64),
        proptest::num::f64::NORMAL.prop_map(Value::F64),
        any::<String>().prop_map(|text| Value::text(&text)),
        "[a-zß∂🦀]{90,200}".prop_map(|text| Value::text(&text)),
        (7..u32::MAX, any::<u64>()).prop_map(|(of, word)| Value::Unknown(of, word)),
    ]
}

fn what() -> impl Strategy<Value = What> {
    let earlier = || proptest::option::of(0..1_u64 << 40);
    prop_oneof![
        earlier().prop_map(|created| What::Begin { created }),
        (outcome(), earlier()).prop_map(|(outcome, began)| What::End { outcome, began }),
        (0..1_u64 << 40).prop_map(|began| What::Poll { began }),
        (value(), any::<bool>()).prop_map(|(value, is_static)| What::Attribute { value, is_static }),
        value().prop_map(|value| What::Counter { value }),
        Just(What::Instant),
    ]
}

fn span() -> impl Strategy<Value = Span> {
    let ids = (any::<u64>(), any::<u64>(), any::<u16>(), 1..=u32::MAX);
    (0..1_u64 << 40, ids, what(), any::<bool>(), name()).prop_map(
        |(since_start, (id, parent, depth, polls), what, thread, name)| {
            // An instant has no static site.
            let name = match (&what, name) {
                (What::Instant, Name::OfSite(text)) => Name::Static(text),
                (_, name) => name,
            };
            // Scopes are not created before they begin.
            let thread = thread && !matches!(what, What::Begin { created: Some(_) });
            Span { since_start, id, parent, depth, polls, what, thread, name }
        },
    )
}

fn batch() -> impl Strategy<Value = Batch> {
    let lost = prop_oneof![3 => Just(0), 1 => 1..1000_u64];
    (1..4_u32, lost, vec(span(), 0..6)).prop_map(|(thread, lost, spans)| Batch { thread, lost, spans })
}

/// A value as a record keeps it.
fn kept_value(value: &Value, is_static: bool) -> Value {
    match value {
        Value::Text(text, _) if !is_static && text.len() > MAX_RUN_TIME_NAME => {
            Value::Text(kept(text).to_owned(), NameState::Cut)
        }
        value => value.clone(),
    }
}

proptest! {
    #![proptest_config(ProptestConfig { failure_persistence: None, ..ProptestConfig::with_cases(128) })]

    #[test]
    fn records_come_back_as_they_were_written(batches in vec(batch(), 0..8)) {
        let mut writer = Writer::new();
        batches.iter().for_each(|batch| writer.write(batch));
        let contents = Contents::of_memory(&writer.segment());
        prop_assert_eq!(contents.damages().count(), 0);
        let mut items = contents.items.iter();
        let mut numbers = [0; 4];
        for batch in &batches {
            let number = &mut numbers[batch.thread as usize];
            if batch.lost > 0 {
                let Some(Item::Loss(loss)) = items.next() else { panic!("no loss") };
                prop_assert_eq!((loss.thread, loss.records), (batch.thread, batch.lost));
                *number += batch.lost;
            }
            for span in &batch.spans {
                let at = |since_start: u64| START.unix_ns + since_start;
                *number += 1;
                if let What::Poll { began } = span.what {
                    let poll = PollRecord {
                        thread: batch.thread,
                        record_number: *number - 1,
                        span_id: span.id,
                        begin_unix_ns: at(began),
                        unix_ns: at(span.since_start),
                        number: span.polls,
                    };
                    prop_assert_eq!(items.next(), Some(&Item::Poll(poll)));
                    continue;
                }
                if let What::Attribute { value, .. } | What::Counter { value } = &span.what {
                    let is_static = matches!(span.what, What::Attribute { is_static: true, .. });
                    let entry = Entry {
                        thread: batch.thread,
                        record_number: *number - 1,
                        unix_ns: at(span.since_start),
                        span_id: span.id,
                        key: span.name.text().to_owned(),
                        value: kept_value(value, is_static),
                    };
                    let is_counter = matches!(span.what, What::Counter { .. });
                    let item = if is_counter { Item::Counter(entry) } else { Item::Attribute(entry) };
                    prop_assert_eq!(items.next(), Some(&item));
                    continue;
                }
                let text = span.name.text();
                let cut = matches!(span.name, Name::RunTime(_)) && text.len() > MAX_RUN_TIME_NAME;
                let (text, state) = if cut { (kept(text), NameState::Cut) } else { (text, NameState::Whole) };
                if let What::Instant = span.what {
                    let Some(Item::Instant(instant)) = items.next() else { panic!("no instant") };
                    prop_assert_eq!((instant.thread, instant.record_number), (batch.thread, *number - 1));
                    prop_assert_eq!((instant.id, instant.parent, instant.scopes), (span.id, span.parent, span.depth));
                    prop_assert_eq!((instant.unix_ns, instant.attributes), (at(span.since_start), span.polls));
                    prop_assert_eq!((instant.name.as_str(), instant.name_state), (text, state));
                    prop_assert!(instant.location.is_some());
                    continue;
                }
                let Some(Item::Span(record)) = items.next() else { panic!("no span") };
                prop_assert_eq!((record.thread, record.record_number), (batch.thread, *number - 1));
                prop_assert_eq!((record.span_id, record.parent, record.depth), (span.id, span.parent, span.depth));
                let (outcome, began, created) = match span.what {
                    What::End { outcome, began } => (Some(outcome), began, None),
                    What::Begin { created } => (None, None, created),
                    _ => (None, None, None),
                };
                prop_assert_eq!((record.outcome, record.unix_ns), (outcome, at(span.since_start)));
                prop_assert_eq!((record.begin_unix_ns, record.created_unix_ns), (began.map(at), created.map(at)));
                let counts = if outcome.is_some() { (span.polls, 0) } else { (0, span.polls) };
                prop_assert_eq!((record.polls, record.attributes), counts);
                prop_assert_eq!((record.name.as_str(), record.name_state), (text, state));
                let target = record.location.as_ref().map(|location| location.target.as_str());
                prop_assert_eq!(target, Some(if matches!(span.name, Name::OfCaller(_)) { "" } else { "target" }));
            }
        }
        prop_assert_eq!(items.next(), None);
    }

    #[test]
    fn no_bytes_make_the_reader_panic(
        batches in vec(batch(), 1..6),
        changes in vec((any::<prop::sample::Index>(), vec(any::<u8>(), 0..40), 0..100_usize), 1..4),
    ) {
        let mut writer = Writer::new();
        batches.iter().for_each(|batch| writer.write(batch));
        let mut bytes = writer.segment();
        // Some bytes are replaced by others, more or fewer.
        for (place, others, removed) in changes {
            let start = place.index(bytes.len());
            let end = (start + removed).min(bytes.len());
            bytes.splice(start..end, others);
        }
        if let Ok(recording) = Recording::from_segment(&bytes) {
            let contents = Contents::of(&recording);
            let written: u64 = batches.iter().map(|batch| batch.spans.len() as u64).sum();
            prop_assert!(contents.summary.records <= written);
        }
    }
}

/// The golden recording in a version of the format.
fn golden_directory(version: u32) -> PathBuf {
    PathBuf::from(env!("CARGO_MANIFEST_DIR")).join(format!("tests/golden/v{version}"))
}

/// A file of the golden recording, which is written first if that is asked for.
fn kept_file(path: PathBuf, today: &[u8]) -> Vec<u8> {
    if std::env::var_os("SPANRING_BLESS").is_some() {
        std::fs::create_dir_all(path.parent().unwrap()).unwrap();
        std::fs::write(&path, today).unwrap();
    }
    std::fs::read(&path).unwrap_or_else(|error| panic!("{}: {error}", path.display()))
}

#[test]
fn the_bytes_of_todays_version_are_what_they_were() {
    for (name, today) in golden::files() {
        let kept = kept_file(golden_directory(VERSION).join(golden::SESSION).join(&name), &today);
        let first_difference = kept.iter().zip(&today).position(|(a, b)| a != b);
        assert_eq!((first_difference, kept.len()), (None, today.len()), "{name} differs at this byte");
    }
}

#[test]
fn a_recording_of_todays_version_reads_as_it_did() {
    let directory = golden_directory(VERSION);
    for (name, today) in golden::files() {
        kept_file(directory.join(golden::SESSION).join(name), &today);
    }
    let recording = Recording::open(&directory).unwrap();
    assert_eq!(recording.writer(), WriterState::Died);
    let today = golden::describe(&recording);
    let kept = kept_file(directory.join("expected.txt"), today.as_bytes());
    assert_eq!(today, String::from_utf8(kept).unwrap());
}

#[test]
fn a_recording_of_an_earlier_version_reads_as_it_did() {
    for version in 1..VERSION {
        let directory = golden_directory(version);
        let kept = std::fs::read_to_string(directory.join("expected.txt")).unwrap();
        assert_eq!(golden::describe(&Recording::open(&directory).unwrap()), kept, "version {version}");
    }
}

#[test]
fn what_is_static_has_a_small_number_of_its_own() {
    let mut of_name = BTreeMap::new();
    let mut of_location = BTreeMap::new();
    let recording = Recording::open(golden_directory(VERSION)).unwrap();
    let summary = recording.read(&mut |event| {
        let Event::Span(span) = event else { return };
        assert_eq!(span.location.is_some(), span.location_index.is_some());
        if let Some(index) = span.name_index {
            assert_eq!(of_name.entry(index).or_insert_with(|| span.name.to_owned()), span.name);
        }
        if let (Some(index), Some(location)) = (span.location_index, span.location) {
            assert_eq!(of_location.entry(index).or_insert_with(|| location.clone()), location);
        }
        let is_static = !span.name.is_empty() && !span.name.starts_with("shard") && span.name != "carried";
        assert_eq!(span.name_index.is_some(), is_static, "{span:?}");
    });
    assert!(summary.unwrap().records > 0);
    assert_eq!(
        BTreeSet::from_iter(of_name.values().map(String::as_str)),
        ["request", "query", "call", "render", "import"].into()
    );
    assert!(of_name.into_keys().eq(0..5));
    // Two static sites, a place with names of its own, and a caller's.
    assert!(of_location.into_keys().eq(0..4));
}

#[test]
fn nothing_but_a_begin_and_attributes_are_carried_forward() {
    let name = Name::Static("query".to_owned());
    let (outcome, began) = (Outcome::Completed, None);
    let attribute = What::Attribute { value: Value::U64(7), is_static: false };
    let counter = What::Counter { value: Value::U64(8) };
    let begin = What::Begin { created: Some(1) };
    let records = [begin, What::Poll { began: 2 }, What::End { outcome, began }, attribute, What::Instant, counter];
    let mut writer = Writer::new();
    for (what, number) in records.into_iter().zip(10..) {
        let span =
            Span { since_start: 9, id: 1, parent: 0, depth: 0, polls: 1, what, thread: false, name: name.clone() };
        let range =
            RecordRange { thread: 1, ring: 0, first_record: number, next_record: number + 1, ..Default::default() };
        writer.block(BlockKind::Carried, range, &writer::bytes(&writer::slots(&span, number)));
    }
    let contents = Contents::of_memory(&writer.segment());
    assert_eq!(contents.carried.iter().map(|begin| begin.record_number).collect::<Vec<_>>(), [10]);
    assert_eq!(contents.carried[0].created_unix_ns, Some(START.unix_ns + 1));
    let attributes = contents.carried_attributes.iter().map(|attribute| (attribute.record_number, &attribute.value));
    assert_eq!(attributes.collect::<Vec<_>>(), [(13, &Value::U64(7))]);
    assert_eq!(contents.items, []);
}

#[test]
fn a_segment_alone_says_what_was_flushed() {
    let files = golden::files();
    let (_, segment) = files.iter().find(|(name, _)| name.starts_with("segment")).unwrap();
    let whole = Contents::of_directory(golden_directory(VERSION));
    let alone = Contents::of_memory(segment);
    assert!(whole.items.starts_with(&alone.items));
    // The others come from the ring: three records, and a loss after them.
    assert_eq!(whole.items.len() - alone.items.len(), 4);
    assert_eq!((alone.carried, alone.threads), (whole.carried, whole.threads));
}
