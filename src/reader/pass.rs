//! One reading of a recording, from the first file to the last.

use super::balance::{Gap, bounds, share};
use super::clock::ClockMap;
use super::decode::{Carried, Decoder, Missing, Origin, Progress, Stretch};
use super::dictionary::Dictionary;
use super::error::ReadError;
use super::event::{Damage, Event, LossCause, Summary};
use super::recording::{Recording, files_of};
use super::recover::recover;
use super::ring::{RingCopy, Setting};
use super::segment::{SegmentFile, Step, describe, first_block, header_in, read_words, walk, walk_blocks};
use super::sequence::{Run, Slots, fitting, runs, whole_run};
use super::visitor::Visitor;
use crate::events::{SLOT_BYTES, Slot};
use crate::format::block::{BLOCK_HEADER_BYTES, RecordRange};
use crate::format::definition::decode_all;
use crate::format::file::FILE_HEADER_BYTES;
use crate::format::{Anchor, BlockHeader, BlockKind, Discipline, FileKind, FormatError, ThreadFacts};
use std::collections::{BTreeMap, BTreeSet};
use std::path::Path;

/// One reading of a recording.
pub(super) struct Pass<'a, V> {
    recording: &'a Recording,
    visit: &'a mut V,
    dictionary: Dictionary,
    clock: ClockMap,
    anchors: Vec<Anchor>,
    summary: Summary,
    /// By ring number.
    progress: BTreeMap<u32, Progress>,
    threads: BTreeSet<u32>,
    carried: Carried,
    /// The first segments are gone.
    retired: bool,
}

impl<'a, V: Visitor> Pass<'a, V> {
    pub(super) fn new(recording: &'a Recording, visit: &'a mut V) -> Self {
        let facts = recording.facts();
        Pass {
            recording,
            visit,
            dictionary: Dictionary::default(),
            clock: ClockMap::new(facts.start, facts.ticks_per_second, Vec::new()),
            anchors: recording.status().iter().map(|status| status.anchor).collect(),
            summary: Summary::default(),
            progress: BTreeMap::new(),
            threads: BTreeSet::new(),
            carried: Carried::new(),
            retired: false,
        }
    }

    pub(super) fn run(mut self) -> Summary {
        for problem in self.recording.problems() {
            let path = self.recording.path().join(FileKind::Session.file_name(0));
            self.damage(&path, problem.offset, problem.bytes, 0, problem.what);
        }
        // Rings first: what is flushed meanwhile is then found in the segments, and taken once.
        let rings = self.copy_rings();
        self.names();
        match self.recording.memory() {
            Some(words) => {
                let (path, bytes) = (self.recording.path(), bytemuck::cast_slice(words));
                self.gather(path, bytes);
                self.set_clock();
                self.segment(path, bytes);
            }
            None => self.segments(),
        }
        rings.iter().for_each(|ring| self.ring(ring));
        self.decoder().carried_at_end();
        self.check_against_status();
        self.summary
    }

    fn is_alive(&self) -> bool {
        self.recording.may_grow()
    }

    fn damage(&mut self, path: &Path, offset: u64, bytes: u64, records: u64, what: &'static str) {
        self.summary.damages += 1;
        self.visit.other(Event::Damage(Damage { path: path.to_owned(), offset, bytes, records, what }));
    }

    fn damaged_file(&mut self, path: &Path, error: &ReadError) {
        let bytes = std::fs::metadata(path).map_or(0, |metadata| metadata.len());
        self.damage(path, 0, bytes, 0, describe(error));
    }

    fn thread(&mut self, facts: &ThreadFacts) {
        if self.threads.insert(facts.id) {
            self.summary.threads += 1;
            self.visit.other(Event::Thread(facts));
        }
    }

    fn copy_rings(&mut self) -> Vec<RingCopy> {
        if self.recording.memory().is_some() {
            return Vec::new();
        }
        let facts = self.recording.facts();
        let directory = match facts.ring_directory.as_str() {
            "" => self.recording.path().to_owned(),
            elsewhere => Path::new(elsewhere).join(&facts.session),
        };
        let setting = Setting { session: self.recording.id(), facts, alive: self.is_alive() };
        let mut rings = Vec::new();
        for (number, path) in files_of(&directory, FileKind::Ring) {
            match RingCopy::take(&path, number, setting) {
                Ok(ring) => rings.push(ring),
                // Removed since it was listed: everything in it is in the segments.
                Err(ReadError::Io { source, .. }) if source.kind() == std::io::ErrorKind::NotFound => {}
                Err(error) => self.damaged_file(&path, &error),
            }
        }
        rings
    }

    /// Takes the definitions in the names file. The segments have them too, up to the last flush.
    fn names(&mut self) {
        let path = self.recording.path().join(FileKind::Names.file_name(0));
        if self.recording.memory().is_some() || !path.exists() {
            return;
        }
        let taken = self.take_names(&path).and_then(|damaged| {
            if damaged.is_empty() || !self.is_alive() {
                return Ok(damaged);
            }
            // One that was being written is whole by now.
            let still = self.take_names(&path)?;
            Ok(damaged.into_iter().filter(|offset| still.contains(offset)).collect())
        });
        match taken {
            Ok(damaged) => {
                for offset in damaged {
                    let what =
                        if offset == 0 { "the file's header is damaged" } else { "a definition's checksum is wrong" };
                    self.damage(&path, offset as u64, SLOT_BYTES as u64, 0, what);
                }
            }
            Err(error) => self.damaged_file(&path, &error),
        }
    }

    /// Returns where in the file there are damaged definitions; 0 for its header.
    fn take_names(&mut self, path: &Path) -> Result<Vec<usize>, ReadError> {
        let words = read_words(path)?;
        let bytes = bytemuck::cast_slice(&words);
        let start = match header_in(self.recording.id(), path, bytes) {
            Ok(header) => header.header_bytes as usize,
            // Each definition has a checksum of its own.
            Err(ReadError::Format { source: FormatError::Damaged { .. } | FormatError::NotSpanring, .. }) => 0,
            Err(error) => return Err(error),
        };
        let slots = bytes.get(start.max(FILE_HEADER_BYTES)..).unwrap_or_default();
        let damaged = decode_all(slots, |definition| self.dictionary.add(definition)).into_iter();
        let damaged = damaged.map(|offset| offset + start.max(FILE_HEADER_BYTES));
        Ok(damaged.chain((start == 0).then_some(0)).collect())
    }

    fn segments(&mut self) {
        let alive = self.is_alive();
        let segments = SegmentFile::list(self.recording.path(), alive);
        self.retired = segments.first().is_some_and(|segment| segment.number > 0);
        // The memory of one serves all.
        let mut words = Vec::new();
        for segment in &segments {
            let is_all =
                segment.headers(self.recording.id(), is_context, |header, bytes| self.gather_block(header, bytes));
            // What cannot be read is reported below.
            if !is_all && segment.read(&mut words).is_ok() {
                self.gather(&segment.path, bytemuck::cast_slice(&words));
            }
        }
        self.set_clock();
        let mut expected = segments.first().map_or(0, |segment| segment.number);
        for segment in &segments {
            if segment.number > expected && !alive {
                let missing = self.recording.path().join(FileKind::Segment.file_name(expected));
                self.damage(&missing, 0, 0, 0, "a segment is missing");
            }
            expected = segment.number.saturating_add(1);
            let session = self.recording.id();
            match segment.walk(session, &mut words, |offset, step| self.step(&segment.path, offset, step)) {
                Ok(None) => {}
                Ok(Some(error)) | Err(error) => self.damaged_file(&segment.path, &error),
            }
        }
    }

    /// Takes from a segment what has to be known before its records: when its blocks were written, threads, names, and the begins
    /// that were carried forward, which stand behind the records that come after them.
    fn gather(&mut self, path: &Path, bytes: &[u8]) {
        let start = first_block(self.recording.id(), path, bytes).0;
        walk_blocks(bytes, start, |header, rest| self.gather_block(header, rest));
    }

    /// `bytes` begin with the block, if it [`is_context`].
    fn gather_block(&mut self, header: &BlockHeader, bytes: &[u8]) {
        self.anchors.push(header.anchor);
        if is_context(header.kind) {
            if let Ok(payload) = header.payload(bytes) {
                self.context(header, payload);
            }
        }
    }

    fn set_clock(&mut self) {
        let facts = self.recording.facts();
        self.clock = ClockMap::new(facts.start, facts.ticks_per_second, std::mem::take(&mut self.anchors));
    }

    fn context(&mut self, header: &BlockHeader, payload: &[u8]) {
        match header.kind {
            BlockKind::Thread => self.thread(&ThreadFacts::decode(&String::from_utf8_lossy(payload))),
            // A definition that its writer left damaged is damaged in the names file, where it is reported.
            BlockKind::Definitions => drop(decode_all(payload, |definition| self.dictionary.add(definition))),
            BlockKind::Carried => {
                let range = &header.records;
                let carried = (slots_in(payload).to_vec(), range.thread);
                self.carried.insert((range.ring, range.first_record), carried);
            }
            _ => {}
        }
    }

    fn segment(&mut self, path: &Path, bytes: &[u8]) {
        let (start, error) = first_block(self.recording.id(), path, bytes);
        if let Some(error) = error {
            self.damaged_file(path, &error);
        }
        walk(bytes, start, |offset, step| self.step(path, offset, step));
    }

    /// What stands at `offset` of a segment.
    fn step(&mut self, path: &Path, offset: usize, step: Step<'_>) {
        match step {
            Step::Block(header, payload) => match header.kind {
                BlockKind::Records => self.records(&header.records, slots_in(payload), path, offset),
                BlockKind::PackedRecords => match unpacked(payload) {
                    Ok(slots) => self.records(&header.records, &slots, path, offset),
                    Err(what) => {
                        let records = self.spoiled(&header, path);
                        self.damage(path, offset as u64, header.block_bytes() as u64, records, what);
                    }
                },
                BlockKind::End => self.summary.complete = true,
                // Of a live writer, they may not have been there before.
                BlockKind::Thread | BlockKind::Definitions => self.context(&header, payload),
                BlockKind::Facts | BlockKind::SelfDescription | BlockKind::Carried => {}
            },
            Step::Spoiled(header, what) => {
                let records = self.spoiled(&header, path);
                self.damage(path, offset as u64, header.block_bytes() as u64, records, what);
            }
            Step::Damaged(bytes, what) => self.damage(path, offset as u64, bytes as u64, 0, what),
        }
    }

    /// A block of records at `offset`. Where its slots are packed, they are counted as if they were not.
    fn records(&mut self, range: &RecordRange, slots: &[Slot], path: &Path, offset: usize) {
        let known = self.progress.get(&range.ring).copied();
        let mut progress = known.unwrap_or_default();
        if known.is_some() && range.next_record <= progress.next_record {
            return;
        }
        let end = range.next_record;
        let next = progress.next_record;
        // Nearly always they are as they should be.
        let whole = whole_run(slots, range.first_record);
        let whole = whole.filter(|run| run.records > 0 && run.first >= next && run.next() <= end);
        let slots = Slots::straight(slots);
        // What a block says about its records is checked, and what its slots say may have been scribbled on before.
        let number = |low: u32| {
            let ahead = low.wrapping_sub(range.first_record as u32);
            let number = range.first_record.checked_add(u64::from(ahead))?;
            (next..end).contains(&number).then_some(number)
        };
        let runs = whole.map_or_else(|| fitting(runs(&slots, slots.len(), number)), |run| vec![run]);
        let lost = range.lost.saturating_sub(progress.lost);
        let stretches = stretches_of_block(&runs, slots.len(), next, end, lost);
        let offset_of = |slot: usize| (offset + BLOCK_HEADER_BYTES + slot * SLOT_BYTES) as u64;
        let origin = Origin {
            path,
            ring: range.ring,
            threads: &[(0, range.thread)],
            offset: &offset_of,
            retired: self.retired && known.is_none(),
            accountable: false,
        };
        self.decoder().read(&slots, &stretches, &mut progress, &origin);
        progress.lost = range.lost;
        progress.position = range.position.saturating_add(slots.len() as u64);
        self.progress.insert(range.ring, progress);
    }

    /// A block of records whose payload is damaged: its header says how many there were.
    fn spoiled(&mut self, header: &BlockHeader, path: &Path) -> u64 {
        let range = &header.records;
        if !matches!(header.kind, BlockKind::Records | BlockKind::PackedRecords) {
            return 0;
        }
        let known = self.progress.get(&range.ring).copied();
        let mut progress = known.unwrap_or_default();
        let records = range.next_record.saturating_sub(progress.next_record);
        let lost = range.lost.saturating_sub(progress.lost).min(records);
        let offset_of = |_: usize| 0;
        let origin = Origin {
            path,
            ring: range.ring,
            threads: &[(0, range.thread)],
            offset: &offset_of,
            retired: false,
            accountable: false,
        };
        // Records of segments that are gone were not in this block.
        let before = range.first_record.saturating_sub(progress.next_record);
        let retired = if self.retired && known.is_none() { before.min(records - lost) } else { 0 };
        let mut decoder = self.decoder();
        decoder.missing(Missing { records: retired, lost: 0, retired: true }, &mut progress, &origin, None);
        let rest = Missing { records: records - retired, lost, retired: false };
        decoder.missing(rest, &mut progress, &origin, None);
        progress.lost = range.lost;
        // How many slots were packed is as unknown as what was in them.
        let slots = if header.kind == BlockKind::Records { header.payload_bytes / SLOT_BYTES as u32 } else { 0 };
        progress.position = range.position.saturating_add(u64::from(slots));
        self.progress.insert(range.ring, progress);
        records - lost - retired
    }

    fn ring(&mut self, ring: &RingCopy) {
        ring.owners.iter().for_each(|owner| self.thread(&owner.thread));
        let mut progress = self.progress.get(&ring.number).copied().unwrap_or_default();
        let recovered = recover(ring, &progress);
        for problem in ring.problems.iter().chain(&recovered.problems) {
            self.damage(&ring.path, problem.offset, problem.bytes, 0, problem.what);
        }
        let before = self.summary.records;
        let end = ring.bytes();
        let offset_of = |index: usize| RingCopy::offset(index).min(end);
        let origin = Origin {
            path: &ring.path,
            ring: ring.number,
            threads: &ring.threads,
            offset: &offset_of,
            retired: false,
            accountable: true,
        };
        self.decoder().read(&recovered.slots, &recovered.stretches, &mut progress, &origin);
        self.summary.recovered += self.summary.records - before;
        self.progress.insert(ring.number, progress);
    }

    /// The recorder counts what it flushes, so records of which nothing else tells are still missed: those at the end of a file that
    /// was cut off between two blocks.
    fn check_against_status(&mut self) {
        let Some(status) = self.recording.status() else { return };
        let Summary { records, lost, retired, damaged, .. } = self.summary;
        let found = [records, lost, retired, damaged].into_iter().fold(0, u64::saturating_add);
        let missing = status.flushed.saturating_add(status.lost).saturating_sub(found);
        if missing > 0 {
            self.summary.damaged = self.summary.damaged.saturating_add(missing);
            let path = self.recording.path().to_owned();
            self.damage(&path, 0, 0, missing, "the recorder wrote more records than there are");
        }
    }

    fn decoder(&mut self) -> Decoder<'_, V> {
        let cause = match self.recording.facts().discipline {
            Discipline::Drain => LossCause::Dropped,
            Discipline::Flight => LossCause::Overwritten,
        };
        Decoder {
            clock: self.clock.clock(),
            dictionary: &self.dictionary,
            cause,
            summary: &mut self.summary,
            carried: &mut self.carried,
            visit: self.visit,
        }
    }
}

/// Whether such a block has to be known before records are read.
fn is_context(kind: BlockKind) -> bool {
    matches!(kind, BlockKind::Thread | BlockKind::Definitions | BlockKind::Carried)
}

/// The slots in a block of packed records.
#[cfg(feature = "compress")]
fn unpacked(payload: &[u8]) -> Result<Vec<Slot>, &'static str> {
    crate::format::packed::unpack(payload)
}

#[cfg(not(feature = "compress"))]
fn unpacked(_: &[u8]) -> Result<Vec<Slot>, &'static str> {
    Err("compressed records, which this build cannot read: build it with the feature `compress`")
}

/// The slots in a payload, which begins at a multiple of 8 in a buffer of words.
fn slots_in(payload: &[u8]) -> &[Slot] {
    bytemuck::try_cast_slice(&payload[..payload.len() / SLOT_BYTES * SLOT_BYTES]).unwrap_or_default()
}

/// What is read, and what is missing, between the record numbers `next` and `end` in a block of so many slots, by which the writer
/// had lost `lost` more.
fn stretches_of_block(runs: &[Run], slots: usize, next: u64, end: u64, lost: u64) -> Vec<Stretch> {
    let after_last = Run { start: slots, slots: 0, first: end, records: 0 };
    let mut before = Run { start: 0, slots: 0, first: next, records: 0 };
    let mut stretches = Vec::with_capacity(runs.len() + 1);
    for run in runs.iter().copied().chain([after_last]) {
        let gap = Gap {
            missing: run.first.saturating_sub(before.next()),
            slots: run.start.saturating_sub(before.end()) as u64,
            // Blocks before this one may be gone.
            open: stretches.is_empty(),
        };
        let unreadable = before.end()..run.start.max(before.end());
        stretches.push(Stretch { gap, lost: 0, unreadable, run });
        before = run;
    }
    let gaps: Vec<Gap> = stretches.iter().map(|stretch| stretch.gap).collect();
    let most = bounds(&gaps).1;
    for (stretch, lost) in stretches.iter_mut().zip(share(&gaps, lost.min(most))) {
        stretch.lost = lost;
    }
    stretches
}
