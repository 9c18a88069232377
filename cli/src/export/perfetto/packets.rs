//! Packets as bytes, collected until there are enough to be written.
//!
//! Most of a trace is two packets for each span. Those are encoded field by field into memory that is used again, the same as
//! their messages in [`proto`] would be, and texts that recur are copied as they were encoded the first time.

use super::held::Name;
use super::proto::{self, CounterValue, DebugAnnotation, EventType, InternedData, TracePacket, Value};
use super::texts::{Argument, Category};
use super::wire::{Wire, key, varint_length};
use prost::Message;
use prost::encoding::{self, WireType};
use std::io::{self, Write};

/// The whole trace is one sequence of packets.
const SEQUENCE: u32 = 1;
/// So many bytes are written at once, about.
const WRITE_BYTES: usize = 1 << 16;

/// What is written to a trace.
pub(super) struct Packets<'w> {
    out: Box<dyn Write + Send + 'w>,
    /// The first failure of `out`; nothing is written after it.
    failure: Option<io::Error>,
    wire: Wire,
}

impl<'w> Packets<'w> {
    pub(super) fn new(out: Box<dyn Write + Send + 'w>) -> Packets<'w> {
        Packets { out, failure: None, wire: Wire::with_capacity(2 * WRITE_BYTES) }
    }

    /// Adds any packet.
    pub(super) fn add(&mut self, packet: TracePacket) {
        let packet = TracePacket { trusted_packet_sequence_id: Some(SEQUENCE), ..packet };
        let trace = proto::Trace { packet: vec![packet] };
        self.wire.append(|bytes| trace.encode(bytes).expect("a vector grows"));
        self.write_much();
    }

    /// Adds a packet with an event, and with texts that it is the first to use.
    pub(super) fn event(&mut self, time_ns: u64, new: Option<&InternedData>, event: &Event) {
        const FLAGS: u8 = proto::SequenceFlags::NeedsIncrementalState as u8;
        const CONSTANT: [u8; 4] = [key(10, WireType::Varint), SEQUENCE as u8, key(13, WireType::Varint), FLAGS];
        let event = event.wire.bytes();
        let length = 1
            + varint_length(time_ns)
            + CONSTANT.len()
            + new.map_or(0, |new| encoding::message::encoded_len(12, new))
            + 1
            + varint_length(event.len() as u64)
            + event.len();
        let wire = &mut self.wire;
        wire.number(key(1, WireType::LengthDelimited).into(), 1, length as u64);
        wire.number(key(8, WireType::Varint).into(), 1, time_ns);
        wire.put(&CONSTANT);
        if let Some(new) = new {
            wire.append(|bytes| encoding::message::encode(12, new, bytes));
        }
        wire.number(key(11, WireType::LengthDelimited).into(), 1, event.len() as u64);
        wire.put(event);
        self.write_much();
    }

    /// The first failure so far.
    pub(super) fn failure(&mut self) -> Result<(), io::Error> {
        self.failure.take().map_or(Ok(()), Err)
    }

    /// Writes what is left.
    pub(super) fn flush(&mut self) -> Result<(), io::Error> {
        self.write();
        self.failure()?;
        self.out.flush()
    }

    #[inline]
    fn write_much(&mut self) {
        if self.wire.len() >= WRITE_BYTES {
            self.write();
        }
    }

    /// Writes what there is so far.
    pub(super) fn write(&mut self) {
        if self.failure.is_none() {
            self.failure = self.out.write_all(self.wire.bytes()).err();
        }
        self.wire.clear();
    }
}

/// A [`proto::TrackEvent`] as bytes.
#[derive(Debug, Default)]
pub(super) struct Event {
    wire: Wire,
}

impl Event {
    /// Begins an event, in the memory of the one before.
    #[inline]
    pub(super) fn begin(&mut self, kind: EventType, track: u64) {
        self.wire.clear();
        let before = [key(9, WireType::Varint), kind as u8, key(11, WireType::Varint)];
        self.wire.number(little_endian(before), before.len(), track);
    }

    #[inline]
    pub(super) fn title(&mut self, category: Category, name: &Name) {
        let category = [key(3, WireType::Varint), category as u8];
        match name {
            Name::Numbered(number) => {
                let before = [category[0], category[1], key(10, WireType::Varint)];
                self.wire.number(little_endian(before), before.len(), *number);
            }
            Name::Text(text) => {
                const NAME: u64 = 23 << 3 | WireType::LengthDelimited as u64;
                self.wire.number(little_endian(category), category.len(), NAME);
                self.wire.number(0, 0, text.len() as u64);
                self.wire.put(text.as_bytes());
            }
        }
    }

    #[inline]
    pub(super) fn number(&mut self, argument: Argument, value: u64) {
        let length = (3 + varint_length(value)) as u8;
        let name = [key(1, WireType::Varint), argument as u8, key(3, WireType::Varint)];
        let before = [key(4, WireType::LengthDelimited), length, name[0], name[1], name[2]];
        self.wire.number(little_endian(before), before.len(), value);
    }

    pub(super) fn argument(&mut self, argument: Argument, value: Value) {
        self.annotation(&argument.with(value));
    }

    /// An argument that is more than a value.
    pub(super) fn annotation(&mut self, annotation: &DebugAnnotation) {
        self.wire.append(|bytes| encoding::message::encode(4, annotation, bytes));
    }

    /// What the counter of the track is now.
    pub(super) fn counter(&mut self, value: CounterValue) {
        self.wire.append(|bytes| value.encode(bytes));
    }

    /// Arguments that were encoded by [`encoded`].
    #[inline]
    pub(super) fn arguments(&mut self, encoded: &[u8]) {
        self.wire.put(encoded);
    }

    /// An arrow from here to the event that `ends` it.
    pub(super) fn arrow(&mut self, number: u64, ends: bool) {
        let field: u64 = if ends { 48 } else { 47 };
        self.wire.number(0, 0, field << 3 | WireType::SixtyFourBit as u64);
        self.wire.put(&number.to_le_bytes());
    }
}

/// Bytes as one number, the first the lowest.
#[inline]
fn little_endian<const N: usize>(bytes: [u8; N]) -> u64 {
    bytes.iter().rev().fold(0, |number, byte| number << 8 | u64::from(*byte))
}

/// Arguments of events as they are in those.
pub(super) fn encoded(arguments: &[DebugAnnotation]) -> Box<[u8]> {
    let mut bytes = Vec::new();
    encoding::message::encode_repeated(4, arguments, &mut bytes);
    bytes.into()
}
