//! 9, 10, 11: files that are cut off, whose bits have flipped, whose blocks were overwritten.
//!
//! A child records and is gone without stopping, so that there are records in segments and in rings. Its files are then damaged
//! one way at a time, and read.

use crate::acts::Act;
use crate::contents::{Contents, Record};
use crate::outcome::{Proven, Scale, Shown, Trouble, ensure};
use crate::process::{myself, scratch, start, wait_at_most};
use crate::random::Random;
use spanring::Recorder;
use spanring::format::file::FILE_HEADER_BYTES;
use spanring::format::{BlockHeader, BlockKind};
use spanring::reader::NameState;
use std::collections::HashMap;
use std::fs::OpenOptions;
use std::os::unix::fs::FileExt;
use std::path::{Path, PathBuf};
use std::time::Duration;
use tempfile::TempDir;

pub const ROLE: &str = "to-be-damaged";

/// Records in the segments of a small recording.
const FLUSHED: u64 = 40;
/// Records in the ring.
const IN_RING: u64 = 10;

/// Bytes of what a disk loses at once.
const PAGE: usize = 4096;

fn act(number: u64) -> Act {
    if number % 3 == 2 { Act::RunTime(20 + number as usize % 100) } else { Act::Begin }
}

/// Records so many records and flushes them eight at a time, then a few more that stay in the ring, and exits.
pub fn child(arguments: &[String]) -> Result<(), Trouble> {
    let flushed: u64 = arguments[0].parse().unwrap_or(8);
    let recorder = Recorder::builder()
        .directory(Path::new(&arguments[1]))
        .ring_bytes(if flushed > 1000 { 64 << 10 } else { 4096 })
        .names_bytes(4096)
        .segment_bytes(64 << 10)
        .flush_interval(Duration::from_secs(3600))
        .start()
        .map_err(|error| error.to_string())?;
    for number in 0..flushed + IN_RING {
        act(number).prepare(number)();
        if number < flushed && number % 8 == 7 {
            recorder.flush().map_err(|error| error.to_string())?;
        }
    }
    std::process::exit(0)
}

/// A recording to be damaged, and what is in it while it is whole.
struct Subject {
    _directory: TempDir,
    recording: PathBuf,
    /// Its files, with their bytes.
    files: Vec<(PathBuf, Vec<u8>)>,
    whole: HashMap<u64, Record>,
}

impl Subject {
    fn make(flushed: u64) -> Result<Subject, Trouble> {
        let directory = scratch()?;
        let arguments = [flushed.to_string(), directory.path().display().to_string()];
        let mut child = start(&myself()?, ROLE, &arguments)?;
        let ended = wait_at_most(&mut child, Duration::from_secs(20))?;
        ensure!(ended.is_some_and(|status| status.success()), "nothing was recorded");
        let session = spanring::reader::sessions(directory.path())?.pop().ok_or_else(|| "no session".to_owned())?;
        let mut files = Vec::new();
        for entry in std::fs::read_dir(&session)? {
            let path = entry?.path();
            let bytes = std::fs::read(&path)?;
            files.push((path, bytes));
        }
        files.sort();
        let contents = Contents::read(&session)?;
        contents.check_sound()?;
        ensure!(contents.records.len() as u64 == flushed + IN_RING, "{} records", contents.records.len());
        let whole = contents.records.into_iter().map(|record| (record.number, record)).collect();
        Ok(Subject { _directory: directory, recording: session, files, whole })
    }

    /// Reads what is left. Panics of the reader come through as they are.
    fn read(&self) -> Result<Contents, Trouble> {
        Contents::read(&self.recording)
    }

    /// Records in the whole blocks that the first `length` bytes of a segment hold.
    fn records_within(bytes: &[u8], length: usize) -> u64 {
        let blocks = blocks(bytes)
            .into_iter()
            .filter(|(offset, header)| header.kind == BlockKind::Records && offset + header.block_bytes() <= length);
        blocks.map(|(_, header)| header.records.next_record - header.records.first_record).sum()
    }
}

fn blocks(bytes: &[u8]) -> Vec<(usize, BlockHeader)> {
    let mut found = Vec::new();
    let mut offset = FILE_HEADER_BYTES;
    while let Some(Ok(Some(header))) = bytes.get(offset..).map(BlockHeader::decode) {
        found.push((offset, header));
        offset += header.block_bytes();
    }
    found
}

/// The same record, times aside: they come from anchors that may be gone.
fn same(found: &Record, whole: &Record) -> bool {
    let named =
        found.name_state == NameState::Missing || (found.name == whole.name && found.name_state == whole.name_state);
    let placed = found.line == 0 || found.line == whole.line;
    let mut other = whole.clone();
    other.unix_ns = found.unix_ns;
    (other.name, other.name_state, other.line) = (found.name.clone(), found.name_state, found.line);
    named && placed && (other.thread == found.thread || found.thread == 0) && {
        other.thread = found.thread;
        other == *found
    }
}

fn is_kind(path: &Path, kind: &str) -> bool {
    path.file_name().is_some_and(|name| name.to_string_lossy().starts_with(kind))
}

/// 9: every length of every file.
pub fn truncation(scale: Scale) -> Proven {
    let subject = Subject::make(FLUSHED)?;
    let stride = if scale.full { 1 } else { 17 };
    let total = subject.whole.len() as u64;
    let (mut lengths, mut unreadable, mut again) = (0, 0, 0);
    for (path, bytes) in &subject.files {
        let file = OpenOptions::new().write(true).open(path)?;
        for length in (0..bytes.len()).rev().step_by(stride) {
            file.set_len(length as u64)?;
            lengths += 1;
            let place = format!("{} cut to {length} bytes", path.display());
            let contents = match subject.read() {
                Ok(contents) => contents,
                Err(Trouble::Broken(what)) => {
                    // Only the segment can stand in for the session file, and the other way round.
                    ensure!(is_kind(path, "session") || is_kind(path, "segment"), "{place}: {what}");
                    unreadable += 1;
                    continue;
                }
                unable => return unable.map(|_| unreachable!("an error")),
            };
            let twisted = contents
                .records
                .iter()
                .find(|record| !subject.whole.get(&record.number).is_some_and(|whole| same(record, whole)));
            ensure!(twisted.is_none(), "{place}: {twisted:?}");
            let summary = contents.summary;
            let read = summary.records;
            let prefix = match path {
                path if is_kind(path, "segment") => IN_RING + Subject::records_within(bytes, length),
                path if is_kind(path, "ring") => FLUSHED,
                _ => total,
            };
            ensure!(read >= prefix, "{place}: {read} records read instead of {prefix}");
            // More than that is what a ring has still of what was cut off from a segment, or what is left of a ring.
            again += u64::from(read > prefix);
            let all = read + summary.lost + summary.damaged;
            ensure!(all == total || is_kind(path, "ring"), "{place}: {all} records of {total}: {summary:?}");
        }
        std::fs::write(path, bytes)?;
    }
    Ok(Shown {
        amount: format!("{lengths} lengths of {} files", subject.files.len()),
        shown: format!(
            "the valid prefix, as it was, 0 panics; at {again} lengths more than that, from a ring; what is missing is counted exactly; \
             {unreadable} lengths leave nothing that says what it is of"
        ),
    })
}

/// 10: every bit of every file.
pub fn bit_rot(scale: Scale) -> Proven {
    let subject = Subject::make(FLUSHED)?;
    let stride = if scale.full { 1 } else { 61 };
    let [mut flips, mut detected, mut missed, mut unchanged, mut confined, mut ring, mut overstated] = [0u64; 7];
    for (path, bytes) in &subject.files {
        let file = OpenOptions::new().write(true).open(path)?;
        let used = bytes.iter().rposition(|byte| *byte != 0).map_or(0, |last| last + 1);
        for bit in (0..used * 8).step_by(stride) {
            file.write_all_at(&[bytes[bit / 8] ^ 1 << (bit % 8)], bit as u64 / 8)?;
            flips += 1;
            match subject.read() {
                Ok(contents) => {
                    let wrong = contents
                        .records
                        .iter()
                        .filter(|record| !subject.whole.get(&record.number).is_some_and(|whole| same(record, whole)))
                        .count();
                    let missing = subject.whole.len().saturating_sub(contents.records.len());
                    let nameless =
                        contents.records.iter().filter(|record| record.name_state == NameState::Missing).count();
                    let counted = contents.summary.lost + contents.summary.damaged;
                    if contents.summary.damages > 0 {
                        detected += 1;
                    } else if wrong == 0
                        && counted > 0
                        && contents.summary.records + counted == subject.whole.len() as u64
                    {
                        missed += 1;
                    } else if wrong + missing + nameless == 0 {
                        unchanged += 1;
                    } else if wrong.max(missing).max(nameless) <= 1 {
                        confined += 1;
                    } else {
                        // What is in segments has checksums. The rest of a ring is the block that a flip in it may cost.
                        let spread = contents.records.iter().filter(|record| record.number < FLUSHED).count() as u64;
                        ensure!(spread == FLUSHED && is_kind(path, "ring"), "{} bit {bit}: unnoticed", path.display());
                        ring += 1;
                    }
                    overstated += u64::from(contents.summary.lost > subject.whole.len() as u64);
                }
                Err(_) => detected += 1,
            }
            file.write_all_at(&bytes[bit / 8..=bit / 8], bit as u64 / 8)?;
        }
    }
    let percent = |part: u64| part as f64 * 100.0 / flips as f64;
    Ok(Shown {
        amount: format!("{flips} flips"),
        shown: format!(
            "0 panics; {:.2} % detected, {:.2} % count records as lost, {:.2} % change nothing, {:.2} % one record, {:.2} % what is \
             unflushed in one ring; {overstated} flips overstate the losses",
            percent(detected),
            percent(missed),
            percent(unchanged),
            percent(confined),
            percent(ring)
        ),
    })
}

/// 11: 1 to 50 % of the pages of the segments overwritten.
pub fn partial_damage(scale: Scale) -> Proven {
    let subject = Subject::make(20_000)?;
    let mut random = Random::new(11);
    let rounds = scale.rounds(3, 40);
    let (mut undamaged, mut damaged, mut as_lost, mut cases) = (0u64, 0u64, 0u64, 0);
    let segments: Vec<_> = subject.files.iter().filter(|(path, _)| is_kind(path, "segment")).collect();
    for percent in [1, 2, 5, 10, 20, 35, 50] {
        for _ in 0..rounds {
            cases += 1;
            let mut expected = Vec::new();
            for (path, bytes) in &segments {
                let mut bytes = bytes.clone();
                let hit: Vec<bool> = bytes.chunks(PAGE).map(|_| random.below(100) < percent).collect();
                for (page, _) in bytes.chunks_mut(PAGE).zip(&hit).filter(|(_, hit)| **hit) {
                    page.iter_mut().for_each(|byte| *byte = random.next() as u8);
                }
                std::fs::write(path, &bytes)?;
                let whole =
                    &subject.files.iter().find(|(other, _)| other == path).ok_or_else(|| "no file".to_owned())?.1;
                for (offset, header) in blocks(whole) {
                    let end = offset + header.block_bytes() - 1;
                    if header.kind == BlockKind::Records && !hit[offset / PAGE..=end / PAGE].contains(&true) {
                        expected.extend(header.records.first_record..header.records.next_record);
                    } else if header.kind == BlockKind::Records {
                        damaged += header.records.next_record - header.records.first_record;
                    }
                }
            }
            let contents = subject.read()?;
            let found: HashMap<u64, &Record> = contents.records.iter().map(|record| (record.number, record)).collect();
            for number in &expected {
                let right = found.get(number).is_some_and(|record| same(record, &subject.whole[number]));
                ensure!(right, "{percent} %: record {number} of an undamaged block: {:?}", found.get(number));
            }
            let accounted = contents.summary.records + contents.summary.lost + contents.summary.damaged;
            as_lost += contents.summary.lost;
            ensure!(
                accounted == subject.whole.len() as u64,
                "{percent} %: {} read, {} lost, {} damaged of {}",
                contents.summary.records,
                contents.summary.lost,
                contents.summary.damaged,
                subject.whole.len()
            );
            undamaged += expected.len() as u64;
        }
    }
    for (path, bytes) in segments {
        std::fs::write(path, bytes)?;
    }
    Ok(Shown {
        amount: format!("{cases} recordings with 1 to 50 % of their pages overwritten"),
        shown: format!(
            "100 % of {undamaged} records of undamaged blocks read, the {damaged} others counted, {as_lost} of them as lost instead of damaged"
        ),
    })
}
