//! The file format: what is written comes back, today's bytes are yesterday's, and no bytes at all make the reader panic.
//!
//! `SPANRING_BLESS=1 cargo test --test format` writes `tests/golden` anew. A version of the format that was released must still be
//! read: make a new directory beside the old one, and keep both tests.

#![cfg(feature = "enable")]

mod common;
#[path = "format/golden.rs"]
mod golden;
#[path = "format/writer.rs"]
mod writer;

use common::{Contents, Item};
use proptest::collection::vec;
use proptest::prelude::*;
use spanring::events::MAX_RUN_TIME_NAME;
use spanring::reader::{NameState, Outcome, Recording, WriterState};
use std::path::PathBuf;
use writer::{Batch, Name, Span, Writer};

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
    prop_oneof![Just(Outcome::Completed), Just(Outcome::Cancelled), Just(Outcome::Panicked)]
}

fn span() -> impl Strategy<Value = Span> {
    let times = (0..1_u64 << 40, 0..1_u64 << 40);
    let ids = (any::<u64>(), any::<u64>(), any::<u16>(), any::<u32>());
    let shape = (proptest::option::of(outcome()), any::<bool>(), name());
    (times, ids, shape).prop_map(|((since_start, duration), (id, parent, depth, polls), (outcome, thread, name))| {
        Span {
            since_start: since_start + duration,
            began: (duration > 0).then_some(since_start),
            id,
            parent,
            depth,
            polls,
            outcome,
            thread,
            name,
        }
    })
}

fn batch() -> impl Strategy<Value = Batch> {
    let lost = prop_oneof![3 => Just(0), 1 => 1..1000_u64];
    (1..4_u32, lost, vec(span(), 0..6)).prop_map(|(thread, lost, spans)| Batch { thread, lost, spans })
}

/// `text` as a record keeps it.
fn kept(text: &str) -> &str {
    let end = (0..=text.len().min(MAX_RUN_TIME_NAME)).rev().find(|end| text.is_char_boundary(*end));
    &text[..end.unwrap_or(0)]
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
                let Some(Item::Span(record)) = items.next() else { panic!("no span") };
                prop_assert_eq!((record.thread, record.record_number), (batch.thread, *number));
                prop_assert_eq!((record.span_id, record.parent, record.depth), (span.id, span.parent, span.depth));
                prop_assert_eq!(record.outcome, span.outcome);
                prop_assert_eq!(record.unix_ns, writer::START.unix_ns + span.since_start);
                let begin = span.outcome.and(span.began).map(|began| writer::START.unix_ns + began);
                prop_assert_eq!(record.begin_unix_ns, begin);
                prop_assert_eq!(record.polls, span.polls);
                let text = span.name.text();
                let cut = matches!(span.name, Name::RunTime(_)) && text.len() > MAX_RUN_TIME_NAME;
                prop_assert_eq!(&record.name, if cut { kept(text) } else { text });
                prop_assert_eq!(record.name_state, if cut { NameState::Cut } else { NameState::Whole });
                let target = record.location.as_ref().map(|location| location.target.as_str());
                prop_assert_eq!(target, Some(if matches!(span.name, Name::OfCaller(_)) { "" } else { "target" }));
                *number += 1;
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

fn golden_directory() -> PathBuf {
    PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("tests/golden/v1")
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
fn the_bytes_of_version_1_are_what_they_were() {
    for (name, today) in golden::files() {
        let kept = kept_file(golden_directory().join(golden::SESSION).join(&name), &today);
        let first_difference = kept.iter().zip(&today).position(|(a, b)| a != b);
        assert_eq!((first_difference, kept.len()), (None, today.len()), "{name} differs at this byte");
    }
}

#[test]
fn a_recording_of_version_1_reads_as_it_did() {
    let directory = golden_directory().join(golden::SESSION);
    for (name, today) in golden::files() {
        kept_file(directory.join(name), &today);
    }
    let recording = Recording::open(golden_directory()).unwrap();
    assert_eq!(recording.writer(), WriterState::Died);
    let today = golden::describe(&recording);
    let kept = kept_file(golden_directory().join("expected.txt"), today.as_bytes());
    assert_eq!(today, String::from_utf8(kept).unwrap());
}

#[test]
fn a_segment_alone_says_what_was_flushed() {
    let files = golden::files();
    let (_, segment) = files.iter().find(|(name, _)| name.starts_with("segment")).unwrap();
    let whole = Contents::of_directory(golden_directory());
    let alone = Contents::of_memory(segment);
    assert!(whole.items.starts_with(&alone.items));
    // The others come from the ring: two records, and a loss after them.
    assert_eq!(whole.items.len() - alone.items.len(), 3);
    assert_eq!((alone.carried, alone.threads), (whole.carried, whole.threads));
}
