//! Damaged recordings: cut off, flipped, overwritten, mixed up. What is whole is read, what is not is told, and nothing panics.

#![cfg(feature = "enable")]

mod common;

use common::child::{Player, part};
use common::{Contents, Item, NEVER, Record, exclusive, run};
use spanring::format::block::BLOCK_HEADER_BYTES;
use spanring::format::file::FILE_HEADER_BYTES;
use spanring::format::ring_file::RING_HEADER_BYTES;
use spanring::format::session_file::SESSION_HEADER_BYTES;
use spanring::format::{BlockHeader, BlockKind, Status};
use spanring::prelude::*;
use spanring::reader::{Damage, NameState, ReadError, Recording, WriterState, sessions};
use spanring::{Builder, Recorder};
use std::path::{Path, PathBuf};

/// A small recorder that writes to `directory`.
fn small(directory: &Path) -> Builder {
    let builder = Recorder::builder().directory(directory).flush_interval(NEVER);
    builder.ring_bytes(4096).names_bytes(4096).segment_bytes(64 << 10)
}

/// Six records, two of three slots among them.
fn spans() {
    run(span_async_named!("request", async {
        span_async_named!(format!("query {}", "with a name that takes more than one slot to write down"), async {})
            .await;
        span_scope!("render");
    }));
}

const RECORDS: u64 = 6;

/// A recording, kept in memory so that each test may damage a copy.
#[derive(Clone)]
struct Files {
    files: Vec<(String, Vec<u8>)>,
}

impl Files {
    fn of(session: &Path) -> Files {
        let entries = std::fs::read_dir(session).unwrap().map(|entry| entry.unwrap().path());
        let mut files: Vec<(String, Vec<u8>)> = entries
            .map(|path| (path.file_name().unwrap().to_str().unwrap().to_owned(), std::fs::read(&path).unwrap()))
            .collect();
        files.sort();
        Files { files }
    }

    fn names(&self) -> Vec<String> {
        self.files.iter().map(|(name, _)| name.clone()).collect()
    }

    fn get(&self, name: &str) -> &[u8] {
        &self.files.iter().find(|(file, _)| file == name).unwrap_or_else(|| panic!("no {name}")).1
    }

    /// Writes all of it to `directory`.
    fn write(&self, directory: &Path) {
        self.files.iter().for_each(|(name, bytes)| std::fs::write(directory.join(name), bytes).unwrap());
    }
}

/// A recording of two blocks of records, stopped cleanly.
fn stopped() -> Files {
    let _turn = exclusive();
    let directory = tempfile::tempdir().unwrap();
    let recorder = small(directory.path()).start().unwrap();
    let session = recorder.directory().unwrap().to_owned();
    spans();
    recorder.flush().unwrap();
    spans();
    recorder.stop().unwrap();
    Files::of(&session)
}

/// Plays the process that dies. Without a part this is no test.
#[test]
fn child() {
    let Some(part) = part() else { return };
    let recorder = small(&part.directory).start().unwrap();
    spans();
    recorder.flush().unwrap();
    spans();
    std::process::abort();
}

/// A recording of which one half was flushed, and the other is in a ring.
fn died() -> Files {
    let directory = tempfile::tempdir().unwrap();
    Player::start("child", "dies", directory.path()).wait();
    Files::of(&sessions(directory.path()).unwrap()[0])
}

/// The records that are read from `directory`, and what else is said.
fn read(directory: &Path) -> Result<Contents, ReadError> {
    Recording::open(directory).map(|recording| Contents::of(&recording))
}

fn records(contents: &Contents) -> Vec<Record> {
    contents.spans().cloned().collect()
}

/// The blocks of a segment: where each ends, and its header.
fn blocks(segment: &[u8]) -> Vec<(usize, BlockHeader)> {
    let mut blocks = Vec::new();
    let mut offset = FILE_HEADER_BYTES;
    while let Ok(Some(header)) = BlockHeader::decode(&segment[offset..]) {
        offset += header.block_bytes();
        blocks.push((offset, header));
    }
    blocks
}

/// Offsets in a file to try damage at: all of them, but only some of the many in text, in zeroes, and (in debug builds, which
/// are slow) in definitions. The number is a prime, so that every offset in a word and a line has its turn.
fn offsets(bytes: &[u8]) -> Vec<usize> {
    let mut starts = [FILE_HEADER_BYTES, SESSION_HEADER_BYTES].into_iter();
    let first = starts.find(|first| bytes.len() > *first && bytes[*first..].starts_with(b"SRBK"));
    let mut dull = vec![false; bytes.len()];
    let mut offset = first.unwrap_or(bytes.len());
    while let Some(Ok(Some(header))) = bytes.get(offset..).map(BlockHeader::decode) {
        let end = offset + header.block_bytes();
        let text = matches!(header.kind, BlockKind::Facts | BlockKind::SelfDescription);
        if text || (cfg!(debug_assertions) && header.kind == BlockKind::Definitions) {
            dull[offset + BLOCK_HEADER_BYTES + 8..end - 8].fill(true);
        }
        offset = end;
    }
    for (index, line) in bytes.chunks(64).enumerate() {
        if line.iter().all(|byte| *byte == 0) {
            dull[index * 64..index * 64 + line.len()].fill(true);
        }
    }
    (0..bytes.len()).filter(|offset| !dull[*offset] || offset % 61 == 0).collect()
}

/// Cuts `name` to every length, as [`offsets`] has them, and checks each.
fn cut_to_every_length(files: &Files, name: &str, check: impl Fn(usize, Result<Contents, ReadError>)) {
    let directory = tempfile::tempdir().unwrap();
    files.write(directory.path());
    let path = directory.path().join(name);
    let file = std::fs::File::options().write(true).open(&path).unwrap();
    for length in offsets(files.get(name)).into_iter().rev() {
        file.set_len(length as u64).unwrap();
        check(length, read(directory.path()));
    }
}

#[test]
fn a_segment_cut_to_any_length_gives_the_blocks_that_are_whole() {
    let files = stopped();
    let whole = {
        let directory = tempfile::tempdir().unwrap();
        files.write(directory.path());
        records(&read(directory.path()).unwrap())
    };
    assert_eq!(whole.len() as u64, 2 * RECORDS);
    let name = "segment-000000.spanring";
    let blocks = blocks(files.get(name));
    cut_to_every_length(&files, name, |length, contents| {
        let contents = contents.expect("the session file is whole");
        let of_records = blocks.iter().filter(|(_, header)| header.kind == BlockKind::Records);
        let expected: u64 = of_records
            .clone()
            .filter(|(end, _)| *end <= length)
            .map(|(_, header)| header.records.next_record - header.records.first_record)
            .sum();
        assert_eq!(records(&contents), whole[..expected as usize], "length {length}");
        // What is not there is counted: by the header of a block that is cut off, by the recorder's own count where even that is gone.
        let missing = 2 * RECORDS - expected;
        assert_eq!((contents.summary.damaged, contents.summary.lost), (missing, 0), "length {length}");
        let ends = |length: usize| blocks.iter().any(|(end, _)| *end == length);
        // Only where a block ends that no records follow, or within the word that a reader does not look at, is nothing wrong.
        let clean = ends(length / 8 * 8) && missing == 0;
        assert_eq!(contents.summary.damages == 0, clean, "length {length}: {:?}", contents.summary);
        assert!(!contents.summary.complete);
    });
}

#[test]
fn a_session_file_cut_to_any_length_costs_no_record() {
    for (files, count) in [(stopped(), 2 * RECORDS), (died(), 2 * RECORDS)] {
        cut_to_every_length(&files, "session.spanring", |length, contents| {
            let contents = contents.unwrap_or_else(|error| panic!("length {length}: {error}"));
            assert_eq!((contents.summary.records, contents.summary.lost), (count, 0), "length {length}");
            assert!(contents.spans().all(|record| record.name_state == NameState::Whole));
            // Only behind a block, or within the word that a reader does not look at, nothing shows that there was another.
            let damage: Vec<&Damage> = contents.damages().collect();
            let is_clean = length / 8 * 8 == end_of_facts(files.get("session.spanring"));
            assert_eq!(damage.len(), usize::from(!is_clean), "length {length}: {damage:?}");
            assert!(
                damage.iter().all(|damage| damage.path.ends_with("session.spanring")),
                "length {length}: {damage:?}"
            );
            assert!(damage.iter().all(|damage| damage.offset <= length as u64), "length {length}: {damage:?}");
        });
    }
}

/// Where the first block of a session file ends.
fn end_of_facts(file: &[u8]) -> usize {
    let header = BlockHeader::decode(&file[SESSION_HEADER_BYTES..]).unwrap().expect("a block");
    SESSION_HEADER_BYTES + header.block_bytes()
}

/// Writes `files` with this in place of the session file; the recording, and all that is read of it.
fn with_session_file(files: &Files, bytes: &[u8]) -> (WriterState, Option<u64>, Contents) {
    let directory = tempfile::tempdir().unwrap();
    files.write(directory.path());
    std::fs::write(directory.path().join("session.spanring"), bytes).unwrap();
    let recording = Recording::open(directory.path()).unwrap();
    (recording.writer(), recording.status().map(|status| status.flushed), Contents::of(&recording))
}

#[test]
fn a_session_file_that_is_none_is_damage_and_nothing_that_it_would_say_is_invented() {
    let other = stopped();
    let foreign: [(Vec<u8>, u64, &str); 7] = [
        (pseudo_random(10_000), 0, "not a spanring file"),
        (b"a letter to nobody in particular\n".repeat(100), 0, "not a spanring file"),
        (vec![0; 10_000], 0, "not a spanring file"),
        (Vec::new(), 0, "the file is shorter than a header"),
        (b"SPANRI".to_vec(), 0, "the file is shorter than a header"),
        (other.get("segment-000000.spanring").to_vec(), 12, "not a session file"),
        (other.get("session.spanring").to_vec(), 16, "a file of another session"),
    ];
    for files in [stopped(), died()] {
        let (_, _, whole) = with_session_file(&files, files.get("session.spanring"));
        assert_eq!(whole.summary.damages, 0);
        for (bytes, offset, what) in &foreign {
            let (writer, status, contents) = with_session_file(&files, bytes);
            assert_eq!((writer, status), (WriterState::Unknown, None), "{what}");
            let [damage] = contents.damages().collect::<Vec<_>>()[..] else {
                panic!("{what}: {:?}", contents.damages().collect::<Vec<_>>())
            };
            assert!(damage.path.ends_with("session.spanring"), "{damage:?}");
            let expected = (*offset, bytes.len() as u64 - offset, 0, *what);
            assert_eq!((damage.offset, damage.bytes, damage.records, damage.what), expected);
            let (found, all) = (records(&contents), records(&whole));
            assert_eq!(found.len(), all.len(), "{what}");
            let pairs = found.iter().zip(&all);
            assert!(pairs.clone().all(|(found, all)| same(found, all, BlockKind::Records)), "{what}");
        }
    }
}

#[test]
fn a_part_of_a_session_file_that_is_damaged_is_told_by_its_place() {
    let files = stopped();
    let file = files.get("session.spanring");
    let facts = end_of_facts(file);
    let status = FILE_HEADER_BYTES..SESSION_HEADER_BYTES;
    let parts = [
        (0..FILE_HEADER_BYTES - 8, 0, WriterState::Stopped),
        (status.clone(), status.start, WriterState::Unknown),
        (SESSION_HEADER_BYTES + BLOCK_HEADER_BYTES..facts, SESSION_HEADER_BYTES, WriterState::Stopped),
        (facts..facts + 8, facts, WriterState::Stopped),
    ];
    for (part, offset, expected) in parts {
        let mut bytes = file.to_vec();
        // The file is known as spanring's by its first bytes.
        bytes[part.start.max(8)..part.end].fill(0xaa);
        let (writer, _, contents) = with_session_file(&files, &bytes);
        let offsets: Vec<u64> = contents.damages().map(|damage| damage.offset).collect();
        assert_eq!(
            (writer, offsets, contents.summary.records),
            (expected, vec![offset as u64], 2 * RECORDS),
            "{part:?}"
        );
    }
    // Of the two copies of its status the newer is gone, which says that it stopped: the older does not mean that it died.
    let newest = Status::decode(file).expect("it is whole").updates;
    let mut bytes = file.to_vec();
    bytes[Status::word_index(newest) * 8] ^= 1;
    assert_eq!(with_session_file(&files, &bytes).0, WriterState::Unknown);
}

#[test]
fn how_a_recording_without_a_session_file_ended_is_unknown() {
    for files in [stopped(), died()] {
        let directory = tempfile::tempdir().unwrap();
        files.write(directory.path());
        std::fs::remove_file(directory.path().join("session.spanring")).unwrap();
        let recording = Recording::open(directory.path()).unwrap();
        assert_eq!((recording.writer(), recording.status()), (WriterState::Unknown, None));
        assert_eq!(
            (Contents::of(&recording).summary.records, Contents::of(&recording).summary.damages),
            (2 * RECORDS, 0)
        );
    }
}

#[test]
fn a_file_that_is_too_short_is_said_to_be_as_long_as_it_is() {
    let directory = tempfile::tempdir().unwrap();
    for name in ["session.spanring", "segment-000000.spanring"] {
        let path = directory.path().join(name);
        std::fs::write(&path, "SPANRI").unwrap();
        let error = read(directory.path()).unwrap_err().to_string();
        assert!(error.contains(name) && error.contains("at byte 0: only 6 bytes long"), "{error}");
        std::fs::remove_file(path).unwrap();
    }
}

#[test]
fn a_names_file_cut_to_any_length_costs_no_name_that_was_flushed() {
    for files in [stopped(), died()] {
        cut_to_every_length(&files, "names.spanring", |length, contents| {
            let contents = contents.unwrap();
            assert_eq!(contents.summary.records, 2 * RECORDS, "length {length}");
            assert!(contents.spans().all(|record| record.name_state == NameState::Whole), "length {length}");
        });
    }
}

#[test]
fn a_ring_cut_to_any_length_gives_the_records_that_are_there() {
    let files = died();
    let name = "ring-00000.spanring";
    let all = {
        let directory = tempfile::tempdir().unwrap();
        files.write(directory.path());
        let recording = Recording::open(directory.path()).unwrap();
        assert_eq!(recording.writer(), WriterState::Died);
        let contents = Contents::of(&recording);
        assert_eq!((contents.summary.records, contents.summary.recovered), (2 * RECORDS, RECORDS));
        records(&contents)
    };
    // Where in the file each record of the ring ends.
    let slots = [1, 3, 3, 1, 1, 1];
    let twice = slots.iter().chain(&slots);
    let ends: Vec<usize> = twice
        .scan(RING_HEADER_BYTES, |end, slots| {
            *end += slots * 64;
            Some(*end)
        })
        .collect();
    cut_to_every_length(&files, name, |length, contents| {
        let contents = contents.unwrap();
        let there = ends.iter().filter(|end| **end <= length).count().max(RECORDS as usize);
        assert_eq!(records(&contents), all[..there], "length {length}");
        assert_eq!(contents.summary.lost, 0, "length {length}");
        let is_whole = there == all.len();
        assert!(is_whole || contents.summary.damages > 0 || contents.summary.damaged > 0, "length {length}");
    });
}

/// Whether two readings of a record are the same but for what a damaged block of this kind may take with it.
fn same(a: &Record, b: &Record, damaged: BlockKind) -> bool {
    let essence = |record: &Record| {
        // Without the anchor of its header, times are a few nanoseconds less exact.
        let record = Record { unix_ns: 0, begin_unix_ns: None, ..record.clone() };
        match damaged {
            BlockKind::Definitions => {
                Record { name: String::new(), name_state: NameState::Whole, location: None, ..record }
            }
            _ => record,
        }
    };
    essence(a) == essence(b)
}

#[test]
fn any_flipped_bit_of_a_segment_costs_one_block_at_most() {
    let files = stopped();
    let segment = files.get("segment-000000.spanring");
    let whole = Contents::of_memory(segment);
    let blocks = blocks(segment);
    for bit in offsets(segment).into_iter().flat_map(|byte| byte * 8..byte * 8 + 8) {
        let mut flipped = segment.to_vec();
        flipped[bit / 8] ^= 1 << (bit % 8);
        let hit = blocks.iter().find(|(end, _)| bit / 8 < *end).filter(|(end, header)| {
            // Padding says nothing.
            bit / 8 >= FILE_HEADER_BYTES
                && bit / 8 < end - header.block_bytes() + BLOCK_HEADER_BYTES + header.payload_bytes as usize
        });
        let recording = match Recording::from_segment(&flipped) {
            Ok(recording) => recording,
            Err(_) => {
                let kind = hit.map(|(_, header)| header.kind);
                assert!(matches!(kind, None | Some(BlockKind::Facts)), "bit {bit}");
                continue;
            }
        };
        let contents = Contents::of(&recording);
        let Some((_, hit)) = hit else {
            assert_eq!(contents.items, whole.items, "bit {bit}");
            continue;
        };
        assert_eq!(contents.summary.damages, 1, "bit {bit} in {:?}", hit.kind);
        let range = hit.records;
        let in_block = |record: &Record| {
            hit.kind == BlockKind::Records && (range.first_record..range.next_record).contains(&record.record_number)
        };
        let expected: Vec<&Record> = whole.spans().filter(|record| !in_block(record)).collect();
        assert_eq!(contents.spans().count(), expected.len(), "bit {bit}");
        assert!(contents.spans().zip(&expected).all(|(a, b)| same(a, b, hit.kind)), "bit {bit}");
        if hit.kind == BlockKind::Records && expected.iter().any(|record| record.record_number >= range.next_record) {
            let summary = contents.summary;
            assert_eq!(summary.records + summary.lost + summary.damaged, 2 * RECORDS, "bit {bit}");
            assert_eq!(summary.lost, 0, "bit {bit}");
        }
    }
}

#[test]
fn any_flipped_bit_of_a_ring_is_survived() {
    let files = died();
    let name = "ring-00000.spanring";
    let directory = tempfile::tempdir().unwrap();
    files.write(directory.path());
    let ring = files.get(name);
    let used = RING_HEADER_BYTES + 20 * 64;
    // Of the header only what means something: the file's header, the marks, and the first owners.
    let interesting = (0..320).chain(2048..2048 + 128).chain(RING_HEADER_BYTES..used);
    for byte in interesting {
        for bit in [0, 3, 7] {
            let mut flipped = ring.to_vec();
            flipped[byte] ^= 1 << bit;
            std::fs::write(directory.path().join(name), flipped).unwrap();
            let contents = read(directory.path()).unwrap();
            // What was flushed is not affected.
            let flushed = contents.spans().take_while(|record| record.record_number < RECORDS).count() as u64;
            assert_eq!(flushed, RECORDS, "byte {byte} bit {bit}");
        }
    }
}

#[test]
fn files_full_of_garbage_are_told_apart_from_recordings() {
    let garbage: Vec<Vec<u8>> = vec![
        Vec::new(),
        b"SPANRING".to_vec(),
        vec![0; 100],
        vec![0; 10_000],
        vec![0xff; 10_000],
        b"a letter to nobody in particular\n".repeat(100),
        pseudo_random(10_000),
        b"SRBK".repeat(2000),
        [b"SPANRING".to_vec(), pseudo_random(5000)].concat(),
    ];
    for files in [stopped(), died()] {
        let whole = 2 * RECORDS;
        for name in files.names() {
            for bytes in &garbage {
                let directory = tempfile::tempdir().unwrap();
                files.write(directory.path());
                std::fs::write(directory.path().join(&name), bytes).unwrap();
                let contents = read(directory.path()).unwrap();
                match name.split('.').next().unwrap() {
                    "session" | "names" => assert_eq!(contents.summary.records, whole, "{name}"),
                    part => {
                        let summary = contents.summary;
                        assert!(summary.damages > 0, "{name}");
                        // A ring still has what was flushed, and nobody else has what was not.
                        let recovered = part.starts_with("segment") && summary.recovered > 0;
                        assert_eq!(summary.records == whole, recovered, "{name}: {summary:?}");
                        if part.starts_with("segment") {
                            assert_eq!(summary.records + summary.damaged, whole, "{name}: {summary:?}");
                        }
                    }
                }
            }
        }
    }
}

/// Bytes that look random, and are the same each time.
fn pseudo_random(length: usize) -> Vec<u8> {
    let mut state = 0x9e37_79b9_7f4a_7c15_u64;
    let next = || {
        state = state.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
        (state >> 56) as u8
    };
    std::iter::repeat_with(next).take(length).collect()
}

#[test]
fn any_file_may_be_missing_but_not_all() {
    for files in [stopped(), died()] {
        for name in files.names() {
            let directory = tempfile::tempdir().unwrap();
            files.write(directory.path());
            std::fs::remove_file(directory.path().join(&name)).unwrap();
            let contents = read(directory.path()).unwrap();
            contents.check_whole();
            match name.split('-').next().unwrap() {
                "session.spanring" | "names.spanring" => assert_eq!(contents.summary.records, 2 * RECORDS, "{name}"),
                "ring" => assert_eq!(contents.summary.records, RECORDS),
                // In the ring of a process that died there is all that was ever flushed from it, if it did not come round since.
                "segment" => {
                    let kept = if contents.summary.recovered > 0 { 2 * RECORDS } else { 0 };
                    assert_eq!((contents.summary.records, contents.summary.damaged), (kept, 2 * RECORDS - kept));
                }
                other => panic!("{other}?"),
            }
        }
    }
    let directory = tempfile::tempdir().unwrap();
    let error = read(directory.path()).unwrap_err();
    assert!(matches!(error, ReadError::NoRecording { .. }));
    assert!(error.to_string().contains("Recorder::builder().directory(..)"), "{error}");
    let error = read(&directory.path().join("nowhere")).unwrap_err();
    assert!(matches!(error, ReadError::Io { .. }));
    assert!(error.to_string().contains("nowhere"), "{error}");
}

#[test]
fn files_of_others_are_left_alone() {
    let files = stopped();
    let directory = tempfile::tempdir().unwrap();
    files.write(directory.path());
    std::fs::write(directory.path().join("README.txt"), "a note").unwrap();
    std::fs::write(directory.path().join("segment-x.spanring"), "not a number").unwrap();
    std::fs::write(directory.path().join(".segment-000001.spanring.swp"), "an editor's").unwrap();
    std::fs::create_dir(directory.path().join("a directory")).unwrap();
    let contents = read(directory.path()).unwrap();
    assert_eq!((contents.summary.records, contents.summary.damages), (2 * RECORDS, 0));

    std::fs::create_dir(directory.path().join("segment-000001.spanring")).unwrap();
    std::fs::write(directory.path().join("segment-000002.spanring"), "a note").unwrap();
    let contents = read(directory.path()).unwrap();
    assert_eq!((contents.summary.records, contents.summary.damages), (2 * RECORDS, 2));
}

#[test]
fn a_segment_of_another_session_is_not_mixed_in() {
    let (files, other) = (stopped(), stopped());
    let directory = tempfile::tempdir().unwrap();
    files.write(directory.path());
    let whole = read(directory.path()).unwrap();
    let foreign = other.get("segment-000000.spanring");
    std::fs::write(directory.path().join("segment-000001.spanring"), foreign).unwrap();
    let contents = read(directory.path()).unwrap();
    assert_eq!(records(&contents), records(&whole));
    let Some(Item::Damage(damage)) = contents.items.iter().find(|item| matches!(item, Item::Damage(_))) else {
        panic!("nothing is said about the foreign segment")
    };
    assert!(damage.path.ends_with("segment-000001.spanring") && damage.what.contains("another session"), "{damage:?}");
}

/// Marks a file as written in the next version of the format.
fn make_newer(path: &Path) {
    let mut bytes = std::fs::read(path).unwrap();
    bytes[8] += 1;
    let checksum = crc32fast::hash(&bytes[..60]);
    bytes[60..64].copy_from_slice(&checksum.to_le_bytes());
    std::fs::write(path, bytes).unwrap();
}

#[test]
fn a_newer_version_says_what_to_do() {
    let files = stopped();
    let directory = tempfile::tempdir().unwrap();
    files.write(directory.path());
    let path = |name: &str| -> PathBuf { directory.path().join(name) };
    make_newer(&path("segment-000000.spanring"));
    let contents = read(directory.path()).unwrap();
    assert_eq!(contents.summary.records, 0);
    assert!(contents.damages().next().unwrap().what.contains("newer version"));

    make_newer(&path("session.spanring"));
    let error = read(directory.path()).unwrap_err();
    assert!(error.to_string().contains("use a newer spanring"), "{error}");
    assert!(error.to_string().contains(directory.path().to_str().unwrap()), "{error}");
}

#[test]
fn any_segment_is_a_recording_without_the_session_file_and_the_others() {
    let _turn = exclusive();
    let directory = tempfile::tempdir().unwrap();
    let recorder = small(directory.path()).start().unwrap();
    let session = recorder.directory().unwrap().to_owned();
    for _ in 0..200 {
        spans();
        recorder.flush().unwrap();
    }
    recorder.stop().unwrap();
    std::fs::remove_file(session.join("session.spanring")).unwrap();
    let files = Files::of(&session);
    let segments = files.names().into_iter().filter(|name| name.starts_with("segment-")).collect::<Vec<_>>();
    assert!(segments.len() > 2, "{segments:?}");
    for segment in &segments {
        let alone = tempfile::tempdir().unwrap();
        std::fs::write(alone.path().join(segment), files.get(segment)).unwrap();
        let contents = read(alone.path()).unwrap();
        contents.check_whole();
        assert!(contents.summary.records > 0 && contents.summary.damages == 0, "{segment}");
    }
}

#[test]
fn what_is_no_file_is_damage_and_nobody_waits_for_it() {
    let _turn = exclusive();
    let directory = tempfile::tempdir().expect("a directory");
    let recorder = small(directory.path()).start().expect("it starts");
    let session = recorder.directory().expect("it has one").to_owned();
    spans();
    recorder.stop().expect("it stops");
    std::fs::remove_file(session.join("names.spanring")).expect("it is there");
    for name in ["names", "segment-000001", "ring-00007"] {
        let path = format!("{}/{name}.spanring\0", session.display());
        // SAFETY: the path ends with a zero.
        assert_eq!(unsafe { libc::mkfifo(path.as_ptr().cast(), 0o600) }, 0);
    }
    std::fs::create_dir(session.join("segment-000002.spanring")).expect("the directory is writable");
    let contents = Contents::of_directory(&session);
    assert_eq!((contents.summary.records, contents.summary.damages), (RECORDS, 4));
}

#[test]
fn a_file_that_is_long_and_empty_is_damage_and_takes_no_memory() {
    let directory = tempfile::tempdir().unwrap();
    stopped().write(directory.path());
    for name in ["segment-000001.spanring", "ring-00000.spanring"] {
        let file = std::fs::File::create(directory.path().join(name)).unwrap();
        // A terabyte that the disk does not have.
        file.set_len(1 << 40).unwrap();
        let contents = read(directory.path()).unwrap();
        assert_eq!(contents.summary.records, 2 * RECORDS, "{name}");
        let damage = contents.damages().next().unwrap();
        assert_eq!((damage.what, damage.path.ends_with(name)), ("the file cannot be read", true));
        std::fs::remove_file(directory.path().join(name)).unwrap();
    }
}
