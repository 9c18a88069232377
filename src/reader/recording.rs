//! A recording as a whole: finding its files, and reading them in order.

use super::clock::ClockMap;
use super::decode::{Carried, CarriedBegin, Decoder, Origin, Progress, Unaccounted};
use super::dictionary::Dictionary;
use super::error::ReadError;
use super::event::{Damage, Event, LossCause, Summary, WriterState};
use super::ring::RingCopy;
use super::segment::{Step, describe, file_header, header_in, read_words, walk};
use crate::events::{SLOT_BYTES, Slot, records};
use crate::format::block::RecordRange;
use crate::format::definition::decode_all;
use crate::format::session_file::SESSION_HEADER_BYTES;
use crate::format::session_name::REMOVED;
use crate::format::{
    Anchor, BlockHeader, BlockKind, Discipline, FileKind, FormatError, ProcessFacts, SessionId, Status, StatusState,
    ThreadFacts, identity,
};
use std::collections::{BTreeMap, BTreeSet};
use std::path::{Path, PathBuf};

/// The sessions in a recording directory, oldest first. `directory` may itself be a session's.
///
/// # Errors
/// If the directory cannot be read, or holds no session.
pub fn sessions(directory: impl AsRef<Path>) -> Result<Vec<PathBuf>, ReadError> {
    let directory = directory.as_ref();
    if is_session(directory) {
        return Ok(vec![directory.to_owned()]);
    }
    let is_kept = |path: &PathBuf| !path.to_string_lossy().ends_with(REMOVED) && is_session(path);
    let mut found: Vec<PathBuf> = list(directory)?.into_iter().filter(is_kept).collect();
    if found.is_empty() {
        return Err(ReadError::NoRecording { path: directory.to_owned() });
    }
    found.sort();
    Ok(found)
}

/// A session has a session file, or (if that was lost) segments.
fn is_session(directory: &Path) -> bool {
    directory.join(FileKind::Session.file_name(0)).is_file() || !files_of(directory, FileKind::Segment).is_empty()
}

fn list(directory: &Path) -> Result<Vec<PathBuf>, ReadError> {
    let io = |source| ReadError::Io { path: directory.to_owned(), source };
    let entries = std::fs::read_dir(directory).map_err(io)?;
    entries.map(|entry| entry.map(|entry| entry.path()).map_err(io)).collect()
}

/// The files of one kind in `directory`, in order of their numbers.
fn files_of(directory: &Path, kind: FileKind) -> Vec<PathBuf> {
    let sample = kind.file_name(0);
    let (prefix, suffix) = sample.split_at(sample.find('0').unwrap_or(sample.len()));
    let suffix = suffix.trim_start_matches('0');
    let number = |path: &PathBuf| {
        let name = path.file_name()?.to_str()?;
        name.strip_prefix(prefix)?.strip_suffix(suffix)?.parse::<u64>().ok()
    };
    // A directory that cannot be listed has no files to offer; its session file was read from it a moment ago.
    let paths = list(directory).unwrap_or_default();
    let mut files: Vec<(u64, PathBuf)> = paths.into_iter().filter_map(|path| Some((number(&path)?, path))).collect();
    files.sort();
    files.into_iter().map(|(_, path)| path).collect()
}

/// One session of a recording.
#[derive(Debug)]
pub struct Recording {
    path: PathBuf,
    /// Which every file of the session names.
    id: SessionId,
    facts: ProcessFacts,
    status: Option<Status>,
    writer: WriterState,
    /// The bytes of a segment, instead of files.
    memory: Option<Vec<u64>>,
}

impl Recording {
    /// Opens a session's directory, or the newest session in a recording directory.
    ///
    /// # Errors
    /// If there is no recording, or nothing in it says what it is of.
    pub fn open(path: impl AsRef<Path>) -> Result<Recording, ReadError> {
        let path = path.as_ref();
        let Some(session) = sessions(path)?.pop() else { return Err(ReadError::NoRecording { path: path.to_owned() }) };
        let session_file = session.join(FileKind::Session.file_name(0));
        let opened = read_words(&session_file).and_then(|words| {
            let bytes = bytemuck::cast_slice(&words);
            let id = file_header(&session_file, bytes)?.session;
            Ok((id, facts_in(bytes, SESSION_HEADER_BYTES), Status::decode(bytes)))
        });
        let (id, facts, status) = match opened {
            Ok((id, Some(facts), status)) => (id, facts, status),
            // Every segment says it too.
            Ok((_, None, status)) => {
                let (id, facts) = facts_in_segments(&session)?;
                (id, facts, status)
            }
            Err(error) => facts_in_segments(&session).map(|(id, facts)| (id, facts, None)).map_err(|_| error)?,
        };
        let writer = writer_state(&facts, status.as_ref());
        Ok(Recording { path: session, id, facts, status, writer, memory: None })
    }

    /// Opens the bytes of one segment: what [`crate::sink::MemoryBuffer::bytes`] returns.
    ///
    /// # Errors
    /// If this is no segment, or it does not begin with facts about its process.
    pub fn from_segment(bytes: &[u8]) -> Result<Recording, ReadError> {
        let path = PathBuf::from("<memory>");
        let header = file_header(&path, bytes)?;
        let facts = facts_in(bytes, header.header_bytes as usize);
        let facts = facts.ok_or_else(|| ReadError::NoRecording { path: path.clone() })?;
        let mut words = vec![0; bytes.len() / 8];
        bytemuck::cast_slice_mut(&mut words).copy_from_slice(&bytes[..bytes.len() / 8 * 8]);
        let writer = writer_state(&facts, None);
        Ok(Recording { path, id: header.session, facts, status: None, writer, memory: Some(words) })
    }

    /// The session's directory.
    pub fn path(&self) -> &Path {
        &self.path
    }

    /// Who recorded.
    pub fn facts(&self) -> &ProcessFacts {
        &self.facts
    }

    /// How the recording went, by the recorder's own account when it last wrote one; `None` if that is lost.
    pub fn status(&self) -> Option<&Status> {
        self.status.as_ref()
    }

    /// Whether the process still records, as of [`Recording::open`].
    pub fn writer(&self) -> WriterState {
        self.writer
    }

    /// Visits everything in the recording: first what was flushed, in the order of flushing, then what rings still hold.
    ///
    /// Records of one thread come in order. Memory is bounded by the largest file, which is held twice, and by the number of names and
    /// rings.
    ///
    /// # Errors
    /// Only if the directory has disappeared. Damage, whole files included, is visited and counted.
    pub fn read(&self, visit: &mut dyn FnMut(Event<'_>)) -> Result<Summary, ReadError> {
        if self.memory.is_none() && !is_session(&self.path) {
            return Err(ReadError::NoRecording { path: self.path.clone() });
        }
        let mut pass = Pass::new(self, visit);
        // Rings first: what is flushed meanwhile is then found in the segments, and taken once.
        let rings = pass.copy_rings();
        let segments = if self.memory.is_none() { files_of(&self.path, FileKind::Segment) } else { Vec::new() };
        let first = self.path.join(FileKind::Segment.file_name(0));
        pass.retired = segments.first().is_some_and(|segment| *segment != first);
        let Survey { clock, carried, newest } = self.survey(&segments);
        pass.carried = carried;
        pass.names();
        if let Some(words) = &self.memory {
            pass.segment(&self.path, bytemuck::cast_slice(words), &clock);
        }
        if let Some((last, others)) = segments.split_last() {
            others.iter().for_each(|path| pass.segment_file(path, read_words(path), &clock));
            pass.segment_file(last, newest.unwrap_or_else(|| read_words(last)), &clock);
        }
        rings.iter().for_each(|ring| pass.ring(ring, &clock));
        pass.decoder(&clock).carried();
        Ok(pass.summary)
    }

    /// What the headers of all blocks tell, before any block is read.
    fn survey(&self, segments: &[PathBuf]) -> Survey {
        let mut anchors: Vec<Anchor> = self.status.iter().map(|status| status.anchor).collect();
        let (mut carried, mut newest) = (Carried::new(), None);
        let mut note = |path: &Path, words: &[u64]| {
            let bytes = bytemuck::cast_slice(words);
            walk_headers(bytes, first_block(self.id, path, bytes).0, |header| {
                anchors.push(header.anchor);
                if header.kind == BlockKind::Carried {
                    carried.insert((header.records.ring, header.records.first_record), CarriedBegin::Expected);
                }
            });
        };
        if let Some(words) = &self.memory {
            note(&self.path, words);
        }
        for path in segments {
            drop(newest.take());
            let words = newest.insert(read_words(path));
            if let Ok(words) = words {
                note(path, words);
            }
        }
        Survey { clock: ClockMap::new(self.facts.start, self.facts.ticks_per_second, anchors), carried, newest }
    }
}

/// What is known before the first block is read.
struct Survey {
    /// The map from ticks to time, by every anchor there is.
    clock: ClockMap,
    /// Begins that were carried forward. They may be met before or after the records that they are copies of.
    carried: Carried,
    /// The words of the last segment. It may grow while it is read, and a copy that came later would go unrecognised.
    newest: Option<Result<Vec<u64>, ReadError>>,
}

/// The session and its facts, from the first segment that has them.
fn facts_in_segments(directory: &Path) -> Result<(SessionId, ProcessFacts), ReadError> {
    let mut trouble = None;
    for path in files_of(directory, FileKind::Segment) {
        let found = read_words(&path).and_then(|words| {
            let bytes = bytemuck::cast_slice(&words);
            let header = file_header(&path, bytes)?;
            Ok(facts_in(bytes, header.header_bytes as usize).map(|facts| (header.session, facts)))
        });
        match found {
            Ok(Some(found)) => return Ok(found),
            Ok(None) => {}
            Err(error) => trouble = trouble.or(Some(error)),
        }
    }
    Err(trouble.unwrap_or_else(|| ReadError::NoRecording { path: directory.to_owned() }))
}

fn facts_in(bytes: &[u8], offset: usize) -> Option<ProcessFacts> {
    let mut facts = None;
    walk(bytes, offset, |_, step| {
        if let Step::Block(BlockHeader { kind: BlockKind::Facts, .. }, payload) = step {
            facts.get_or_insert_with(|| ProcessFacts::decode(&String::from_utf8_lossy(payload)));
        }
    });
    facts
}

/// Where in a segment its blocks begin, and what is wrong with its header.
fn first_block(session: SessionId, path: &Path, bytes: &[u8]) -> (usize, Option<ReadError>) {
    match header_in(session, path, bytes) {
        Ok(header) => (header.header_bytes as usize, None),
        // They may mean something else by their blocks.
        Err(error @ ReadError::Format { source: FormatError::Newer { .. } | FormatError::OtherSession, .. }) => {
            (bytes.len(), Some(error))
        }
        // Its blocks vouch for themselves.
        Err(error) => (BlockHeader::find(bytes, 0).unwrap_or(bytes.len()), Some(error)),
    }
}

fn walk_headers(bytes: &[u8], mut offset: usize, mut each: impl FnMut(&BlockHeader)) {
    while let Some(rest) = bytes.get(offset..) {
        match BlockHeader::decode(rest) {
            Ok(Some(header)) => {
                each(&header);
                offset += header.block_bytes();
            }
            Ok(None) | Err(_) => match BlockHeader::find(bytes, offset + 8) {
                Some(next) => offset = next,
                None => return,
            },
        }
    }
}

fn writer_state(facts: &ProcessFacts, status: Option<&Status>) -> WriterState {
    if status.is_some_and(|status| status.state == StatusState::Stopped) {
        return WriterState::Stopped;
    }
    let same_boot = facts.boot_id == identity::boot_id();
    let runs = same_boot && identity::start_of(facts.pid).is_some_and(|start| start == facts.process_start);
    if runs { WriterState::Running } else { WriterState::Died }
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

/// One reading of a recording.
struct Pass<'a> {
    recording: &'a Recording,
    visit: &'a mut dyn FnMut(Event<'_>),
    dictionary: Dictionary,
    summary: Summary,
    /// By ring number.
    progress: BTreeMap<u32, Progress>,
    threads: BTreeSet<u32>,
    carried: Carried,
    /// The first segments are gone.
    retired: bool,
}

impl<'a> Pass<'a> {
    fn new(recording: &'a Recording, visit: &'a mut dyn FnMut(Event<'_>)) -> Pass<'a> {
        Pass {
            recording,
            visit,
            dictionary: Dictionary::default(),
            summary: Summary::default(),
            progress: BTreeMap::new(),
            threads: BTreeSet::new(),
            carried: Carried::new(),
            retired: false,
        }
    }

    fn damage(&mut self, path: &Path, offset: u64, bytes: u64, records: u64, what: &'static str) {
        self.summary.damages += 1;
        (self.visit)(Event::Damage(Damage { path: path.to_owned(), offset, bytes, records, what }));
    }

    fn damaged_file(&mut self, path: &Path, error: &ReadError) {
        let bytes = std::fs::metadata(path).map_or(0, |metadata| metadata.len());
        self.damage(path, 0, bytes, 0, describe(error));
    }

    fn thread(&mut self, facts: &ThreadFacts) {
        if self.threads.insert(facts.id) {
            self.summary.threads += 1;
            (self.visit)(Event::Thread(facts));
        }
    }

    fn copy_rings(&mut self) -> Vec<RingCopy> {
        if self.recording.memory.is_some() {
            return Vec::new();
        }
        let elsewhere = &self.recording.facts.ring_directory;
        let directory = match elsewhere.as_str() {
            "" => self.recording.path.clone(),
            elsewhere => Path::new(elsewhere).join(&self.recording.facts.session),
        };
        let alive = self.recording.writer == WriterState::Running;
        let mut rings = Vec::new();
        for path in files_of(&directory, FileKind::Ring) {
            match RingCopy::take(&path, self.recording.id, alive) {
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
        let path = self.recording.path.join(FileKind::Names.file_name(0));
        if self.recording.memory.is_some() || !path.exists() {
            return;
        }
        let taken = read_words(&path).and_then(|words| {
            let bytes = bytemuck::cast_slice(&words);
            let header = header_in(self.recording.id, &path, bytes)?;
            let slots = bytes.get(header.header_bytes as usize..).unwrap_or_default();
            let damaged = decode_all(slots, |definition| self.dictionary.add(definition));
            Ok(damaged.into_iter().map(|offset| offset + header.header_bytes as usize).collect::<Vec<_>>())
        });
        match taken {
            Ok(damaged) => {
                for offset in damaged {
                    self.damage(&path, offset as u64, SLOT_BYTES as u64, 0, "a definition's checksum is wrong");
                }
            }
            Err(error) => self.damaged_file(&path, &error),
        }
    }

    fn segment_file(&mut self, path: &Path, words: Result<Vec<u64>, ReadError>, clock: &ClockMap) {
        match words {
            Ok(words) => self.segment(path, bytemuck::cast_slice(&words), clock),
            // Retired since it was listed.
            Err(ReadError::Io { source, .. }) if source.kind() == std::io::ErrorKind::NotFound => self.retired = true,
            Err(error) => self.damaged_file(path, &error),
        }
    }

    fn segment(&mut self, path: &Path, bytes: &[u8], clock: &ClockMap) {
        let (start, error) = first_block(self.recording.id, path, bytes);
        if let Some(error) = error {
            self.damaged_file(path, &error);
        }
        walk(bytes, start, |offset, step| match step {
            Step::Block(header, payload) => self.block(&header, payload, path, offset, clock),
            Step::Spoiled(header, what) => {
                let records = self.spoiled(&header, clock);
                self.damage(path, offset as u64, header.block_bytes() as u64, records, what);
            }
            Step::Damaged(bytes, what) => self.damage(path, offset as u64, bytes as u64, 0, what),
        });
    }

    fn block(&mut self, header: &BlockHeader, payload: &[u8], path: &Path, offset: usize, clock: &ClockMap) {
        let origin = Origin {
            path,
            offset: (offset + crate::format::block::BLOCK_HEADER_BYTES) as u64,
            thread: header.records.thread,
            ring: header.records.ring,
        };
        match header.kind {
            BlockKind::Facts | BlockKind::SelfDescription => {}
            BlockKind::Thread => self.thread(&ThreadFacts::decode(&String::from_utf8_lossy(payload))),
            // A definition that its writer left damaged is damaged in the names file, where it is reported.
            BlockKind::Definitions => drop(decode_all(payload, |definition| self.dictionary.add(definition))),
            BlockKind::End => self.summary.complete = true,
            BlockKind::Carried => {
                let slots: &[Slot] = bytemuck::try_cast_slice(payload).unwrap_or_default();
                let key = (header.records.ring, header.records.first_record);
                let begin = self.carried.entry(key).or_insert(CarriedBegin::Expected);
                if !matches!(begin, CarriedBegin::Original) {
                    *begin = CarriedBegin::Copy(slots.to_vec(), header.records.thread);
                }
            }
            BlockKind::PackedRecords => match unpacked(payload) {
                Ok(slots) => self.records(&header.records, &slots, origin, clock),
                Err(what) => {
                    let records = self.spoiled(header, clock);
                    self.damage(path, offset as u64, header.block_bytes() as u64, records, what);
                }
            },
            BlockKind::Records => {
                let whole = payload.len() / SLOT_BYTES * SLOT_BYTES;
                // A payload begins at a multiple of 8 in a buffer of words.
                let slots: &[Slot] = bytemuck::try_cast_slice(&payload[..whole]).unwrap_or_default();
                self.records(&header.records, slots, origin, clock);
            }
        }
    }

    fn records(&mut self, range: &RecordRange, slots: &[Slot], origin: Origin<'_>, clock: &ClockMap) {
        let known = self.progress.get(&range.ring).copied();
        let mut progress = known.unwrap_or_default();
        // Usually nothing is missing before the first, and nothing needs counting twice.
        let mut unaccounted = Unaccounted { records: 0, retired: self.retired && known.is_none() };
        if range.first_record != progress.next_record {
            let missing_at_all = range.next_record.saturating_sub(progress.next_record);
            let lost = range.lost.saturating_sub(progress.lost);
            unaccounted.records = missing_at_all.saturating_sub(records(slots).count() as u64).saturating_sub(lost);
        }
        let mut decoder = self.decoder(clock);
        decoder.run(slots, range.first_record, &mut progress, unaccounted, origin);
        let trailing = range.next_record.saturating_sub(progress.next_record);
        let lost = range.lost.saturating_sub(progress.lost).min(trailing);
        let unaccounted = Unaccounted { records: trailing - lost, ..unaccounted };
        decoder.missing(trailing, unaccounted, &mut progress, range.thread, None);
        progress.lost = range.lost;
        self.progress.insert(range.ring, progress);
    }

    /// A block of records whose payload is damaged: its header says how many there were.
    fn spoiled(&mut self, header: &BlockHeader, clock: &ClockMap) -> u64 {
        let range = &header.records;
        if !matches!(header.kind, BlockKind::Records | BlockKind::PackedRecords) {
            return 0;
        }
        let mut progress = self.progress.get(&range.ring).copied().unwrap_or_default();
        let missing = range.next_record.saturating_sub(progress.next_record);
        let lost = range.lost.saturating_sub(progress.lost).min(missing);
        let damaged = Unaccounted { records: missing - lost, retired: false };
        self.decoder(clock).missing(missing, damaged, &mut progress, range.thread, None);
        progress.lost = range.lost;
        self.progress.insert(range.ring, progress);
        missing - lost
    }

    fn ring(&mut self, ring: &RingCopy, clock: &ClockMap) {
        for owner in &ring.owners {
            self.thread(&owner.thread);
        }
        let mut progress = self.progress.get(&ring.number).copied().unwrap_or_default();
        let before = self.summary.records;
        let runs = ring.runs();
        let cut_off = ring.cut_off();
        if cut_off > 0 {
            self.damage(&ring.path, ring.bytes(), cut_off * SLOT_BYTES as u64, 0, "the ring's file is cut off");
        }
        let mut decoder = self.decoder(clock);
        // Of a file that is cut off, what is missing between its records is damage, not loss.
        let damaged = Unaccounted { records: if cut_off > 0 { u64::MAX } else { 0 }, retired: false };
        for run in &runs {
            let origin = Origin { path: &ring.path, offset: run.offset, thread: run.thread, ring: ring.number };
            ring.hand_over(run.first_record, |thread, until| {
                decoder.missing_until(until, damaged, &mut progress, thread)
            });
            decoder.run(&run.slots, run.near, &mut progress, damaged, origin);
        }
        // Records dropped after the last one that is there. The mark may have been scribbled on; the count must bear it out.
        let trailing = ring.drop_mark.saturating_sub(progress.next_record);
        if trailing <= ring.dropped.saturating_sub(progress.lost) {
            ring.hand_over(ring.drop_mark, |thread, until| {
                decoder.missing_until(until, Unaccounted::NONE, &mut progress, thread)
            });
            decoder.missing_until(ring.drop_mark, Unaccounted::NONE, &mut progress, ring.owner_of(ring.drop_mark));
        }
        self.summary.recovered += self.summary.records - before;
        self.progress.insert(ring.number, progress);
    }

    fn decoder<'p>(&'p mut self, clock: &'p ClockMap) -> Decoder<'p> {
        let cause = match self.recording.facts.discipline {
            Discipline::Drain => LossCause::Dropped,
            Discipline::Flight => LossCause::Overwritten,
        };
        Decoder {
            clock,
            dictionary: &mut self.dictionary,
            cause,
            summary: &mut self.summary,
            carried: &mut self.carried,
            visit: self.visit,
        }
    }
}
