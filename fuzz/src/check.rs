//! What has to hold for any files.

use crate::memory::Bound;
use spanring::events::SLOT_BYTES;
use spanring::format::block::BLOCK_HEADER_BYTES;
use spanring::format::packed::MAX_PACKED_SLOTS;
use spanring::format::{BlockHeader, BlockKind};
use spanring::reader::{Event, ReadError, Recording};
use spanring_cli::export::{Format, Output};
use spanring_cli::filter::Filter;
use spanring_cli::progress::Silent;
use spanring_cli::top::{SortBy, Top};
use spanring_cli::{export, info, open, render, spans};
use std::path::{Path, PathBuf};
use std::sync::OnceLock;

/// Opening and reading.
static READING: Bound = Bound::new("reading", 64 << 10, 8);
/// What the program does with what is read.
static REPORTS: Bound = Bound::new("reports", 512 << 10, 80);

/// Reads a recording in every way there is.
///
/// # Panics
/// If the reader does, or does not keep its word: a summary that is not what was visited, more visits than there is room for in the
/// files, more memory than so much for each byte.
pub fn check(input_bytes: u64, open: impl FnOnce() -> Result<Recording, ReadError>) {
    let recording = READING.hold(input_bytes, || {
        let recording = open().ok()?;
        read(&recording, input_bytes);
        Some(recording)
    });
    if let Some(recording) = recording {
        REPORTS.hold(input_bytes, || report(&recording));
    }
}

fn read(recording: &Recording, input_bytes: u64) {
    let (mut spans, mut others, mut threads, mut damages, mut losses) = (0u64, 0u64, 0u64, 0u64, 0u64);
    let (mut lost, mut retired) = (0u128, 0u128);
    let summary = recording.read(&mut |event| match event {
        Event::Span(span) => {
            assert!(!span.name.is_empty() || span.name.len() < 8 << 20);
            spans += 1;
        }
        Event::Thread(_) => threads += 1,
        Event::Damage(_) => damages += 1,
        Event::Loss(loss) => {
            losses += 1;
            match loss.cause {
                spanring::reader::LossCause::Retired => retired += u128::from(loss.records),
                _ => lost += u128::from(loss.records),
            }
        }
        // Polls, attributes, instants, counters.
        _ => others += 1,
    });
    let summary = summary.expect("what was opened can be read");
    let at_most = |count: u128| u64::try_from(count).unwrap_or(u64::MAX);
    let carried = summary.carried + summary.carried_attributes;
    assert_eq!(spans + others, summary.records - summary.unknown + carried, "{summary:?}");
    assert_eq!((at_most(lost), at_most(retired)), (summary.lost, summary.retired), "{summary:?}");
    assert_eq!((threads, damages), (summary.threads, summary.damages), "{summary:?}");
    assert!(summary.recovered <= summary.records, "{summary:?}");
    // Each takes a slot, a block, an owner, or at least a word that is no block.
    assert!(summary.records + carried <= input_bytes / 64, "{summary:?} in {input_bytes} bytes");
    assert!(
        losses <= input_bytes / 16 + 64 && damages <= input_bytes / 8 + 64,
        "{losses} {damages} in {input_bytes} bytes"
    );
}

fn report(recording: &Recording) {
    let mut found = 0u64;
    let summary = spans::read(recording, &mut |item| found += u64::from(matches!(item, spans::Item::Span(_))));
    let summary = summary.expect("what was opened can be read");
    assert!(found <= summary.records + summary.carried, "{found} spans of {summary:?}");
    let mut top = Top::default();
    spans::read(recording, &mut |item| top.add(&item)).expect("what was opened can be read");
    drop(render::top(&top.finish(SortBy::Total), 30, Some(100)));
    let mut report =
        open::describe(recording, &Filter::default().of(recording), 0).expect("what was opened can be read");
    report.limit(30);
    drop(render::open(&report, Some(100)));
    drop(report);
    drop(render::info(&info::describe(recording).expect("what was opened can be read"), Some(100)));
    let sink = Output::Stream(Box::new(std::io::sink()));
    let exported = export::run(recording, Format::Perfetto, &export::Options::default(), sink, &mut Silent);
    let exported = exported.unwrap_or_else(|error| panic!("{error}"));
    assert_eq!(exported.spans, found);
}

/// Bytes of a file, and of what is compressed in it.
pub fn weight(bytes: &[u8]) -> u64 {
    let mut weight = bytes.len() as u64;
    let mut next = BlockHeader::find(bytes, 0);
    while let Some(at) = next {
        if let Ok(Some(BlockHeader { kind: BlockKind::PackedRecords, .. })) = BlockHeader::decode(&bytes[at..]) {
            let slots = bytes.get(at + BLOCK_HEADER_BYTES..).and_then(|payload| payload.first_chunk());
            weight +=
                slots.map_or(0, |slots| u64::from_le_bytes(*slots).min(MAX_PACKED_SLOTS as u64) * SLOT_BYTES as u64);
        }
        next = BlockHeader::find(bytes, at + 8);
    }
    weight
}

/// Writes files in place of those of the input before, and returns their weight and the session's directory.
///
/// # Panics
/// If they cannot be written.
pub fn write(files: &[(PathBuf, Vec<u8>)]) -> (u64, PathBuf) {
    let base = base();
    let session = base.join(crate::files::SESSION);
    for directory in [session.clone(), base.join("rings").join(crate::files::SESSION)] {
        std::fs::create_dir_all(&directory).expect("the directory is writable");
        for entry in std::fs::read_dir(&directory).expect("it is there").flatten() {
            if files.iter().all(|(path, _)| *path != entry.path()) {
                std::fs::remove_file(entry.path()).expect("the directory is writable");
            }
        }
    }
    for (path, bytes) in files {
        std::fs::write(path, bytes).expect("the directory is writable");
    }
    (files.iter().map(|(_, bytes)| weight(bytes)).sum(), session)
}

/// This process's own directory, in memory if there is such a place. Whoever starts the fuzzer may give another one, to remove it
/// afterwards: the fuzzer ends without a word.
pub fn base() -> &'static Path {
    static BASE: OnceLock<PathBuf> = OnceLock::new();
    BASE.get_or_init(|| {
        let given = std::env::var_os("SPANRING_FUZZ_DIRECTORY").map(PathBuf::from);
        let memory = Path::new("/dev/shm");
        let parent = given.unwrap_or_else(|| if memory.is_dir() { memory.to_owned() } else { std::env::temp_dir() });
        parent.join(format!("spanring-fuzz-{}", std::process::id()))
    })
}
