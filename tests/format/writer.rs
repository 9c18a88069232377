//! Writes segments by hand, from the public types of the format alone.

use super::common::Value;
use spanring::events::{
    Head, Kind, MAX_RUN_TIME_NAME, Outcome, Slot, SpanFields, TEXT_BYTES, ValueFields, ValueType, self_description,
};
use spanring::format::block::{Anchor, RecordRange};
use spanring::format::definition::{Definition, DefinitionKind};
use spanring::format::{BlockKind, Discipline, FileHeader, FileKind, ProcessFacts, SessionId, ThreadFacts, TickSource};
use spanring::sink::Block;
use std::collections::BTreeSet;

/// A tick is a nanosecond, so that times come back exactly.
pub const START: Anchor = Anchor { ticks: 1 << 20, monotonic_ns: 1 << 20, unix_ns: 1_795_442_701_250_000_000 };

pub const SESSION_ID: SessionId = SessionId([0x0123_4567_89ab_cdef, 0xfedc_ba98_7654_3210]);

/// Some records of one thread, and how many it lost before.
#[derive(Clone, Debug)]
pub struct Batch {
    pub thread: u32,
    pub lost: u64,
    pub spans: Vec<Span>,
}

/// A record of a span, or of something beside it.
#[derive(Clone, Debug)]
pub struct Span {
    /// Nanoseconds from the start to this record.
    pub since_start: u64,
    pub id: u64,
    pub parent: u64,
    pub depth: u16,
    /// Of a begin and an instant: how many attributes follow.
    pub polls: u32,
    pub what: What,
    pub thread: bool,
    pub name: Name,
}

/// What a record says of its span. Times are nanoseconds from the start.
#[derive(Clone, Debug)]
pub enum What {
    /// It began, and was created at a time that may be known.
    Begin { created: Option<u64> },
    /// It ended, and had begun at a time that may be known.
    End { outcome: Outcome, began: Option<u64> },
    /// It was polled; the poll began at this time.
    Poll { began: u64 },
    /// It has this value, by its name as the key. It may be cut to what a record keeps, and is static text if that is said.
    Attribute { value: Value, is_static: bool },
    /// Not a span, but something that happened.
    Instant,
    /// Not a span, but a counter.
    Counter { value: Value },
}

#[derive(Clone, Debug)]
pub enum Name {
    OfSite(String),
    Static(String),
    RunTime(String),
    /// A static name, at a place that is a caller's location.
    OfCaller(String),
}

impl Name {
    pub fn text(&self) -> &str {
        let (Name::OfSite(text) | Name::Static(text) | Name::RunTime(text) | Name::OfCaller(text)) = self;
        text
    }
}

/// Facts about a process that never was.
pub fn facts() -> ProcessFacts {
    ProcessFacts {
        session: "20261123T140501.250Z-4711-0".to_owned(),
        pid: 4711,
        process_start: 123,
        boot_id: "a boot of long ago".to_owned(),
        executable: "/usr/bin/service".to_owned(),
        host: "host".to_owned(),
        os: "linux".to_owned(),
        arch: "x86_64".to_owned(),
        version: "0.1.0".to_owned(),
        started_unix_ns: START.unix_ns,
        start: START,
        tick_source: TickSource::Tsc,
        ticks_per_second: 1_000_000_000,
        ring_bytes: 4096,
        discipline: Discipline::Drain,
        ring_directory: String::new(),
        filter: String::new(),
        sampling: String::new(),
        snapshots: String::new(),
        snapshot_of: String::new(),
        snapshot_reason: String::new(),
    }
}

/// A ring and its thread, as far as they were written.
#[derive(Clone, Copy, Default)]
pub struct Written {
    pub next_record: u64,
    pub lost: u64,
    pub position: u64,
}

/// Writes a segment.
pub struct Writer {
    bytes: Vec<u8>,
    blocks: u64,
    defined: BTreeSet<u64>,
    /// By thread.
    pub written: [Written; 4],
}

impl Writer {
    /// A segment that says who writes it, on three threads.
    pub fn new() -> Writer {
        let header = FileHeader {
            kind: FileKind::Segment,
            session: SESSION_ID,
            number: 0,
            created_unix_ns: START.unix_ns,
            header_bytes: 64,
        };
        let bytes = header.encode().to_vec();
        let mut writer = Writer { bytes, blocks: 0, defined: BTreeSet::new(), written: [Written::default(); 4] };
        writer.block(BlockKind::Facts, RecordRange::default(), facts().encode().as_bytes());
        writer.block(BlockKind::SelfDescription, RecordRange::default(), self_description().as_bytes());
        for id in 1..4 {
            let thread = ThreadFacts { id, os_id: 4710 + u64::from(id), name: format!("worker {id}") };
            writer.block(BlockKind::Thread, RecordRange::default(), thread.encode().as_bytes());
        }
        writer
    }

    pub fn segment(&self) -> Vec<u8> {
        self.bytes.clone()
    }

    /// Adds a block.
    pub fn block(&mut self, kind: BlockKind, records: RecordRange, payload: &[u8]) {
        let block = Block { kind, number: self.blocks, anchor: START, records, payload };
        let end = self.bytes.len() + block.file_bytes();
        self.bytes.extend(block.header().encode());
        self.bytes.extend_from_slice(payload);
        self.bytes.resize(end, 0);
        self.blocks += 1;
    }

    /// Adds a batch of records in a block, and the definitions that they need in another before it.
    pub fn write(&mut self, batch: &Batch) {
        let definitions: Vec<u8> = batch.spans.iter().flat_map(|span| self.definitions_of(span)).collect();
        if !definitions.is_empty() {
            self.block(BlockKind::Definitions, RecordRange::default(), &definitions);
        }
        let before = self.written[batch.thread as usize];
        let first_record = before.next_record + batch.lost;
        let slots: Vec<Slot> =
            batch.spans.iter().zip(first_record..).flat_map(|(span, number)| slots(span, number)).collect();
        let next_record = first_record + batch.spans.len() as u64;
        let range = RecordRange {
            thread: batch.thread,
            ring: batch.thread - 1,
            first_record,
            next_record,
            lost: before.lost + batch.lost,
            position: before.position,
        };
        self.block(BlockKind::Records, range, &bytes(&slots));
        let position = before.position + slots.len() as u64;
        self.written[batch.thread as usize] = Written { next_record, lost: range.lost, position };
    }

    /// Definitions of what a record says, unless they were written before.
    pub fn definitions_of(&mut self, span: &Span) -> Vec<u8> {
        let key = Name::Static(span.name.text().to_owned());
        match &span.what {
            What::Attribute { value: Value::Text(text, _), is_static: true } => {
                [self.definitions(&key), self.definitions(&Name::Static(text.clone()))].concat()
            }
            What::Attribute { .. } | What::Counter { .. } => self.definitions(&key),
            _ => self.definitions(&span.name),
        }
    }

    /// Definitions of a name and its place, unless they were written before.
    pub fn definitions(&mut self, name: &Name) -> Vec<u8> {
        let mut all = vec![site(name)];
        if let Name::Static(text) | Name::OfCaller(text) = name {
            all.push(definition(DefinitionKind::Name, address(text), text));
        }
        all.retain(|definition| self.defined.insert(definition.address ^ (definition.kind as u64) << 56));
        all.iter().flat_map(|definition| definition.encode()).flatten().flat_map(u64::to_le_bytes).collect()
    }
}

/// An address, as different as the texts are.
fn address(text: &str) -> u64 {
    text.bytes().fold(0xcbf2_9ce4_8422_2325, |hash: u64, byte| (hash ^ u64::from(byte)).wrapping_mul(0x100_0000_01b3))
        >> 8
}

fn definition(kind: DefinitionKind, address: u64, name: &str) -> Definition<String> {
    let text = |text: &str| if kind == DefinitionKind::Name { String::new() } else { text.to_owned() };
    let of_caller = kind == DefinitionKind::Caller;
    Definition {
        kind,
        address,
        lod: if kind == DefinitionKind::Name { 0 } else { 3 },
        line: if kind == DefinitionKind::Name { 0 } else { 42 },
        name: name.to_owned(),
        target: if of_caller { String::new() } else { text("target") },
        module_path: if of_caller { String::new() } else { text("service::storage") },
        file: text("src/storage.rs"),
    }
}

/// The place of a span with this name.
fn site(name: &Name) -> Definition<String> {
    match name {
        Name::OfSite(text) => definition(DefinitionKind::Metadata, address(text) ^ 1 << 57, text),
        Name::Static(_) | Name::RunTime(_) => definition(DefinitionKind::Location, 0x5000, ""),
        Name::OfCaller(_) => definition(DefinitionKind::Caller, 0x6000, ""),
    }
}

/// The slots of one record.
pub fn slots(span: &Span, number: u64) -> Vec<Slot> {
    let named = !matches!(span.name, Name::OfSite(_));
    let (is_end, outcome, last_word) = match &span.what {
        What::Begin { created } => (false, None, *created),
        What::End { outcome, began } => (true, Some(*outcome), *began),
        What::Poll { began } => (false, None, Some(*began)),
        What::Instant => (false, None, None),
        What::Attribute { value, is_static } => return value_slots(Kind::Attribute, span, value, *is_static, number),
        What::Counter { value } => return value_slots(Kind::Counter, span, value, false, number),
    };
    let is_instant = matches!(span.what, What::Instant);
    let is_poll = matches!(span.what, What::Poll { .. });
    let span_kind = Kind::SPANS[usize::from(span.thread) * 4 + usize::from(named) * 2 + usize::from(is_end)];
    let kind = match () {
        () if is_poll => Kind::Poll,
        () if is_instant => Kind::Instant,
        () => span_kind,
    };
    let mut head = Head::record(kind, outcome, span.depth).with_record_number(number);
    let text = span.name.text();
    let (name_address, length) = match &span.name {
        Name::OfSite(_) => (0, 0),
        Name::RunTime(_) if is_poll => (0, 0),
        Name::Static(_) | Name::OfCaller(_) => (address(text), text.len()),
        Name::RunTime(_) => (text.len() as u64, kept(text).len()),
    };
    let mut texts: Vec<Slot> = Vec::new();
    if let Name::OfCaller(_) = span.name {
        head = head.with_caller_location();
    }
    if matches!(span.name, Name::RunTime(_)) && !is_poll {
        texts = continuations(&text[..length], number);
        head = head.with_run_time_name().with_slots(1 + texts.len());
    }
    let fields = SpanFields {
        head,
        ticks: START.ticks + span.since_start,
        span_id: span.id,
        parent_span_id: span.parent,
        site: site(&span.name).address,
        name_address,
        name_length: length as u32,
        polls: span.polls,
        begin_ticks: last_word.map_or(0, |time| START.ticks + time),
    };
    std::iter::once(fields.to_slot()).chain(texts).collect()
}

/// `text` as a record keeps it.
pub fn kept(text: &str) -> &str {
    let end = (0..=text.len().min(MAX_RUN_TIME_NAME)).rev().find(|end| text.is_char_boundary(*end));
    &text[..end.unwrap_or(0)]
}

/// The slots of a record's text.
fn continuations(text: &str, number: u64) -> Vec<Slot> {
    let count = 1 + text.len().div_ceil(TEXT_BYTES);
    let chunks = text.as_bytes().chunks(TEXT_BYTES).zip(1..);
    let slots = chunks.map(|(chunk, index)| {
        let mut slot = [0; 64];
        slot[..8].copy_from_slice(&Head::continuation(index, count).with_record_number(number).0.to_le_bytes());
        slot[8..8 + chunk.len()].copy_from_slice(chunk);
        let words = slot.chunks_exact(8).map(|word| u64::from_le_bytes(word.try_into().unwrap()));
        Slot(words.collect::<Vec<u64>>().try_into().unwrap())
    });
    slots.collect()
}

fn value_slots(kind: Kind, span: &Span, value: &Value, is_static: bool, number: u64) -> Vec<Slot> {
    let (value_type, word, text) = match value {
        Value::Bool(value) => (ValueType::Bool as u32, u64::from(*value), ""),
        Value::I64(value) => (ValueType::I64 as u32, *value as u64, ""),
        Value::U64(value) => (ValueType::U64 as u32, *value, ""),
        Value::F64(value) => (ValueType::F64 as u32, value.to_bits(), ""),
        Value::Text(text, _) if is_static => (ValueType::StaticText as u32, address(text), text.as_str()),
        Value::Text(text, _) => (ValueType::Text as u32, text.len() as u64, kept(text)),
        Value::Unknown(of, word) => (*of, *word, ""),
    };
    let is_run_time = value_type == ValueType::Text as u32;
    let texts = if is_run_time { continuations(text, number) } else { Vec::new() };
    let head = Head::record(kind, None, span.depth).with_record_number(number);
    let fields = ValueFields {
        head: if is_run_time { head.with_run_time_name().with_slots(1 + texts.len()) } else { head },
        ticks: START.ticks + span.since_start,
        span_id: span.id,
        value: word,
        key_address: address(span.name.text()),
        key_length: span.name.text().len() as u32,
        value_type,
        text_length: text.len() as u64,
        reserved: 0,
    };
    std::iter::once(fields.to_slot()).chain(texts).collect()
}

/// Slots as they stand in a file.
pub fn bytes(slots: &[Slot]) -> Vec<u8> {
    slots.iter().flat_map(|slot| slot.0).flat_map(u64::to_le_bytes).collect()
}
