//! From what a fuzzer decides to the bytes of files.

use crate::input::{
    Block, Content, Definition, Directory, Facts, Header, Name, Names, Record, Ring, Run, Segment, Session,
};
use spanring::events::{Head, Kind, MAX_RECORD_SLOTS, Outcome, SLOT_BYTES, Slot, SpanFields, self_description};
use spanring::format::block::{Anchor, RecordRange, block_bytes};
use spanring::format::file::FILE_HEADER_BYTES;
use spanring::format::ring_file::{
    CAPACITY_WORD, DISCIPLINE_WORD, DROP_MARK_WORD, DROPPED_WORD, FLUSHED_POSITION_WORD, FLUSHED_RECORD_WORD,
    OWNER_COUNT_WORD, Owner, RECENT_RECORD_WORD, RING_HEADER_BYTES, TAIL_WORD,
};
use spanring::format::session_file::SESSION_HEADER_BYTES;
use spanring::format::{
    BlockHeader, BlockKind, Discipline, FileHeader, FileKind, ProcessFacts, SessionId, Status, StatusState,
    ThreadFacts, TickSource,
};
use spanring::format::{definition, packed};
use std::collections::HashMap;
use std::path::{Path, PathBuf};

const ID: SessionId = SessionId([0x5a5a_5a5a, 1]);
const START: Anchor = Anchor { ticks: 1 << 40, monotonic_ns: 1 << 39, unix_ns: 1 << 60 };
/// Name of the session's directory.
pub const SESSION: &str = "20261123T140501.250Z-4711-0";
/// Addresses of definitions begin here.
const ADDRESSES: u64 = 0x7000;
/// Slots of a ring, unless it says otherwise.
const SLOTS: u64 = 64;

/// The files of a recording, and where they belong.
pub fn files_of(directory: &Directory, base: &Path) -> Vec<(PathBuf, Vec<u8>)> {
    let session = base.join(SESSION);
    let elsewhere = directory.session.as_ref().is_some_and(|session| session.facts.rings_elsewhere);
    let rings = if elsewhere { rings_elsewhere(base).join(SESSION) } else { session.clone() };
    let mut writer = Writer::new(base);
    let mut files = Vec::new();
    if let Some(input) = &directory.session {
        files.push((session.join(FileKind::Session.file_name(0)), writer.session(input)));
    }
    if let Some(names) = &directory.names {
        let mut bytes = header(&names.header, FileKind::Names, 0, FILE_HEADER_BYTES);
        bytes.extend(writer.definitions(names));
        files.push((session.join(FileKind::Names.file_name(0)), bytes));
    }
    for (segment, number) in directory.segments.iter().take(4).zip(u64::from(directory.retired)..) {
        files.push((session.join(FileKind::Segment.file_name(number)), writer.segment(segment, number)));
    }
    for (ring, number) in directory.rings.iter().take(4).zip(0..) {
        files.push((rings.join(FileKind::Ring.file_name(number)), writer.ring(ring, number)));
    }
    files
}

/// A segment as its bytes.
pub fn segment_bytes(segment: &Segment) -> Vec<u8> {
    Writer::new(Path::new("")).segment(segment, 0)
}

/// Where rings are that are not beside the recording.
fn rings_elsewhere(base: &Path) -> PathBuf {
    base.join("rings")
}

fn header(input: &Header, kind: FileKind, number: u64, bytes: usize) -> Vec<u8> {
    let header = FileHeader {
        kind,
        session: if input.other_session { SessionId([9, 9]) } else { ID },
        number: input.number.or(number),
        created_unix_ns: START.unix_ns,
        header_bytes: input.header_bytes.or(bytes as u64) as u32,
    };
    let mut encoded = header.encode().to_vec();
    encoded.resize(bytes, 0);
    encoded
}

fn set_words(bytes: &mut [u8], index: usize, words: &[u64]) {
    for (to, word) in bytes[index * 8..].chunks_exact_mut(8).zip(words) {
        to.copy_from_slice(&word.to_le_bytes());
    }
}

/// What was written so far, by which the natural numbers go.
struct Writer<'a> {
    base: &'a Path,
    blocks: u64,
    next_record: u64,
    lost: u64,
    position: u64,
    begins: u64,
    ends: u64,
    threads: u32,
    /// Lengths of the names that were defined, by address.
    name_lengths: HashMap<u64, u32>,
}

impl Writer<'_> {
    fn new(base: &Path) -> Writer<'_> {
        Writer {
            base,
            blocks: 0,
            next_record: 0,
            lost: 0,
            position: 0,
            begins: 0,
            ends: 0,
            threads: 0,
            name_lengths: HashMap::new(),
        }
    }

    fn facts(&self, facts: &Facts) -> Vec<u8> {
        let [ticks, monotonic_ns, unix_ns, rate] = facts.clocks;
        let [pid, process_start] = facts.process;
        let elsewhere =
            if facts.rings_elsewhere { rings_elsewhere(self.base).display().to_string() } else { String::new() };
        let text = ProcessFacts {
            session: SESSION.to_owned(),
            pid: if facts.alive { std::process::id() } else { pid.or(1 << 30) as u32 },
            process_start: process_start.or(7),
            boot_id: String::new(),
            executable: "service".to_owned(),
            host: String::new(),
            os: String::new(),
            arch: String::new(),
            version: String::new(),
            started_unix_ns: unix_ns.or(START.unix_ns),
            start: Anchor {
                ticks: ticks.or(START.ticks),
                monotonic_ns: monotonic_ns.or(START.monotonic_ns),
                unix_ns: unix_ns.or(START.unix_ns),
            },
            tick_source: TickSource::Tsc,
            ticks_per_second: rate.or(1_000_000_000),
            ring_bytes: facts.ring_bytes.or(SLOTS * 64),
            discipline: if facts.flight { Discipline::Flight } else { Discipline::Drain },
            ring_directory: elsewhere,
            filter: String::new(),
            sampling: String::new(),
            snapshots: String::new(),
            snapshot_of: String::new(),
            snapshot_reason: String::new(),
        };
        let mut text = text.encode().into_bytes();
        if !facts.lines.what.is_empty() {
            for number in 0..facts.lines.times(facts.lines.what.len() + 4) {
                text.extend(format!("{number:x}").bytes());
                text.extend(&facts.lines.what);
                text.push(b'\n');
            }
        }
        text
    }

    fn session(&mut self, input: &Session) -> Vec<u8> {
        let mut bytes = header(&input.header, FileKind::Session, 0, SESSION_HEADER_BYTES);
        for updates in [4, 5] {
            let field = |index: usize, natural: u64| input.status[index].or(natural);
            let status = Status {
                updates: field(0, updates),
                state: if input.stopped { StatusState::Stopped } else { StatusState::Recording },
                anchor: Anchor {
                    ticks: field(2, START.ticks + (updates << 30)),
                    monotonic_ns: field(3, START.monotonic_ns + (updates << 30)),
                    unix_ns: field(4, START.unix_ns + (updates << 30)),
                },
                flushed: field(5, 1),
                lost: field(6, 0),
                refused: field(7, 0),
                names_lost: field(8, 0),
                write_errors: field(9, 0),
                last_error: field(10, 0),
                unscanned: field(11, 0),
                ..Status::default()
            };
            set_words(&mut bytes, Status::word_index(updates), &status.encode());
        }
        let blocks = self.blocks;
        self.plain_block(&mut bytes, BlockKind::Facts, &self.facts(&input.facts));
        self.plain_block(&mut bytes, BlockKind::SelfDescription, self_description().as_bytes());
        input.blocks.iter().take(8).for_each(|block| self.block(&mut bytes, block));
        self.blocks = blocks;
        bytes
    }

    fn segment(&mut self, input: &Segment, number: u64) -> Vec<u8> {
        let mut bytes = header(&input.header, FileKind::Segment, number, FILE_HEADER_BYTES);
        if let Some(facts) = &input.facts {
            self.plain_block(&mut bytes, BlockKind::Facts, &self.facts(facts));
        }
        input.blocks.iter().take(64).for_each(|block| self.block(&mut bytes, block));
        bytes.resize(bytes.len() + usize::from(input.room % 4096), 0);
        bytes
    }

    fn plain_block(&mut self, bytes: &mut Vec<u8>, kind: BlockKind, payload: &[u8]) {
        self.append(bytes, kind, START, RecordRange::default(), payload);
    }

    fn append(&mut self, bytes: &mut Vec<u8>, kind: BlockKind, anchor: Anchor, range: RecordRange, payload: &[u8]) {
        let end = bytes.len() + block_bytes(payload.len());
        bytes.extend(BlockHeader::new(kind, self.blocks, anchor, range, payload).encode());
        bytes.extend_from_slice(payload);
        bytes.resize(end, 0);
        self.blocks += 1;
    }

    fn block(&mut self, bytes: &mut Vec<u8>, block: &Block) {
        let [number, ticks, monotonic_ns] = block.stamps;
        self.blocks = number.or(self.blocks);
        let anchor = Anchor {
            ticks: ticks.or(START.ticks + (self.blocks.min(1 << 20) << 30)),
            monotonic_ns: monotonic_ns.or(START.monotonic_ns + (self.blocks.min(1 << 20) << 30)),
            unix_ns: START.unix_ns,
        };
        // Within some bounds, so that they can be counted on from.
        self.blocks %= 1 << 62;
        match &block.content {
            Content::Records(run) | Content::Packed(run) | Content::Carried(run) => {
                let carried = matches!(block.content, Content::Carried(_));
                let [thread, ring, first, next, lost, position] = block.range;
                let first = first.or(self.next_record);
                let (slots, natural_next) = self.run(run, first);
                let range = RecordRange {
                    thread: thread.or(1) as u32,
                    ring: ring.or(0) as u32,
                    first_record: first,
                    next_record: next.or(natural_next),
                    lost: lost.or(self.lost),
                    position: position.or(self.position),
                };
                if !carried {
                    self.next_record = range.next_record;
                    self.lost = range.lost;
                    self.position = range.position.wrapping_add(slots.len() as u64);
                }
                let packed = matches!(block.content, Content::Packed(_)).then(|| packed::pack(&slots)).flatten();
                if let Some(packed) = packed {
                    self.append(bytes, BlockKind::PackedRecords, anchor, range, &packed);
                } else {
                    let kind = if carried { BlockKind::Carried } else { BlockKind::Records };
                    self.append(bytes, kind, anchor, range, &bytes_of(&slots));
                }
            }
            Content::Definitions(names) => {
                let definitions = self.definitions(names);
                self.append(bytes, BlockKind::Definitions, anchor, RecordRange::default(), &definitions);
            }
            Content::Thread { id, name } => {
                let name = String::from_utf8_lossy(&vec![name.what; name.times(1) as usize]).into_owned();
                let id = id.or(u64::from(self.threads) + 1) as u32;
                let facts = ThreadFacts { id, os_id: 7, name };
                self.append(bytes, BlockKind::Thread, anchor, RecordRange::default(), facts.encode().as_bytes());
                self.threads = self.threads.wrapping_add(1);
            }
            Content::Threads(more) => {
                for _ in 0..=if more % 16 == 15 { more / 16 } else { more % 16 } {
                    self.threads = self.threads.wrapping_add(1);
                    let payload = format!("id={}", self.threads);
                    self.append(bytes, BlockKind::Thread, anchor, RecordRange::default(), payload.as_bytes());
                }
            }
            Content::End => self.append(bytes, BlockKind::End, anchor, RecordRange::default(), &[]),
            Content::Other { kind, payload } => {
                let start = bytes.len();
                self.append(bytes, BlockKind::End, anchor, RecordRange::default(), payload);
                bytes[start + 4..start + 6].copy_from_slice(&kind.to_le_bytes());
                crate::damage::seal_block(&mut bytes[start..]);
            }
        }
    }

    /// The slots of records whose first one has number `first`, and the number after the last.
    fn run(&mut self, run: &Run, first: u64) -> (Vec<Slot>, u64) {
        let mut slots = Vec::new();
        let mut next = first;
        let bytes = run.records.what.len() * SLOT_BYTES;
        for _ in 0..run.records.times(bytes) {
            for record in &run.records.what {
                self.record(record, next, &mut slots);
                next = next.wrapping_add(run.step.or(1));
            }
        }
        (slots, next)
    }

    fn record(&mut self, record: &Record, number: u64, slots: &mut Vec<Slot>) {
        let kind = Kind::SPANS[usize::from(record.kind % 8)];
        let [number_choice, span, parent, ticks, begin_ticks] = record.numbers;
        let number = number_choice.or(number);
        // Spans end in the order in which they began.
        let counter = if kind.is_end() { &mut self.ends } else { &mut self.begins };
        *counter = counter.wrapping_add(1);
        let id = *counter;
        let outcome = kind.is_end().then_some(Outcome::Completed);
        let mut head = Head::record(kind, outcome, u16::from(record.kind >> 3)).with_record_number(number);
        let (mut name_address, mut name_length, mut more) = (0, 0, 0);
        let mut byte = b'a';
        match record.name {
            Name::OfSite => {}
            Name::Defined { index, length } => {
                name_address = ADDRESSES + u64::from(index);
                let natural = self.name_lengths.get(&name_address).copied().unwrap_or(0);
                name_length = length.or(u64::from(natural)) as u32;
            }
            Name::RunTime { bytes, slots, byte: text } => {
                name_address = u64::from(bytes);
                name_length = u32::from(bytes);
                let natural = usize::from(bytes).div_ceil(spanring::events::TEXT_BYTES);
                more = (slots.or(natural as u64) as usize).min(MAX_RECORD_SLOTS - 1);
                head = head.with_run_time_name().with_slots(more + 1);
                byte = text;
            }
        }
        head.0 ^= record.head.or(0);
        let natural_ticks = START.ticks + id.min(1 << 40) * 1000;
        slots.push(
            SpanFields {
                head,
                ticks: ticks.or(natural_ticks),
                span_id: span.or(id),
                parent_span_id: parent.or(id.wrapping_sub(1)),
                site: ADDRESSES + u64::from(record.site),
                name_address,
                name_length,
                polls: 1,
                begin_ticks: begin_ticks.or(if kind.is_end() { natural_ticks } else { 0 }),
            }
            .to_slot(),
        );
        for index in 1..=more {
            let mut slot = Slot([u64::from_le_bytes([byte; 8]); 8]);
            slot.0[0] = Head::continuation(index, more + 1).with_record_number(number).0;
            slots.push(slot);
        }
    }

    fn definitions(&mut self, names: &Names) -> Vec<u8> {
        const KINDS: [definition::DefinitionKind; 4] = [
            definition::DefinitionKind::Name,
            definition::DefinitionKind::Location,
            definition::DefinitionKind::Metadata,
            definition::DefinitionKind::Caller,
        ];
        let mut bytes = Vec::new();
        let mut natural = ADDRESSES;
        let each: usize = names.definitions.what.iter().map(bytes_in_definition).sum();
        for _ in 0..names.definitions.times(each) {
            for definition in &names.definitions.what {
                let Definition { kind, address, lengths, longer } = definition;
                let text = |index: usize| {
                    "n".repeat(usize::from(lengths[index] % 128) + usize::from(*longer) * usize::from(index == 0))
                };
                let encoded = definition::Definition {
                    kind: KINDS[usize::from(kind % 4)],
                    address: address.or(natural),
                    lod: 3,
                    line: natural as u32,
                    name: text(0),
                    target: text(1),
                    module_path: text(2),
                    file: text(3),
                };
                self.name_lengths.insert(encoded.address, encoded.name.len() as u32);
                bytes.extend(encoded.encode().iter().flatten().flat_map(|word| word.to_le_bytes()));
                natural += 1;
            }
        }
        bytes
    }

    fn ring(&mut self, ring: &Ring, number: u64) -> Vec<u8> {
        let mut bytes = header(&ring.header, FileKind::Ring, number, RING_HEADER_BYTES);
        let start = ring.start.or(0);
        let first = if number == 0 { self.next_record } else { 0 };
        let (slots, next) = self.run(&ring.run, first);
        let [capacity, discipline, tail, mark, dropped, flushed_position, flushed_record, recent, owners] = ring.words;
        let present = (slots.len() as u64).next_power_of_two().max(SLOTS);
        for (index, word) in [
            (CAPACITY_WORD, capacity.or(present)),
            (DISCIPLINE_WORD, discipline.or(0)),
            (TAIL_WORD, tail.or(start.wrapping_add(slots.len() as u64))),
            (DROP_MARK_WORD, mark.or(0)),
            (DROPPED_WORD, dropped.or(0)),
            (FLUSHED_POSITION_WORD, flushed_position.or(start)),
            (FLUSHED_RECORD_WORD, flushed_record.or(first)),
            (RECENT_RECORD_WORD, recent.or(next)),
            (OWNER_COUNT_WORD, owners.or(ring.owners.len() as u64)),
        ] {
            set_words(&mut bytes, index, &[word]);
        }
        for ([thread, position, record], index) in ring.owners.iter().take(64).zip(0..) {
            let thread = ThreadFacts { id: thread.or(index + 1) as u32, os_id: 3, name: format!("owner {index}") };
            let owner = Owner { thread, position: position.or(start), record_number: record.or(first) };
            set_words(&mut bytes, Owner::word_index(index), &owner.encode());
        }
        let mut room = vec![Slot::EMPTY; present as usize];
        for (slot, position) in slots.iter().zip(start..=u64::MAX) {
            room[(position % present) as usize] = *slot;
        }
        bytes.extend(bytes_of(&room));
        bytes
    }
}

fn bytes_of(slots: &[Slot]) -> Vec<u8> {
    slots.iter().flat_map(|slot| slot.0).flat_map(u64::to_le_bytes).collect()
}

fn bytes_in_definition(definition: &Definition) -> usize {
    let texts: usize = definition.lengths.iter().map(|length| usize::from(length % 128)).sum();
    SLOT_BYTES + texts + usize::from(definition.longer)
}

/// Whether a file is of the kind that is called so.
pub fn is_called(path: &Path, kind: &str) -> bool {
    path.file_name().is_some_and(|name| name.to_string_lossy().starts_with(kind))
}
