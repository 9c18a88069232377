//! Packets as bytes, collected until there are enough to be written.
//!
//! Most of a trace is two packets for each span. Those are encoded field by field into memory that is used again, the same as
//! their messages in [`proto`] would be, and texts that recur are copied as they were encoded the first time.

use super::held::Name;
use super::proto::{self, CounterValue, DebugAnnotation, EventType, InternedData, TracePacket, Value};
use super::texts::{Argument, Category};
use prost::Message;
use prost::encoding::{self, WireType, encode_key, encode_varint, encoded_len_varint, key_len};
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
    bytes: Vec<u8>,
}

impl<'w> Packets<'w> {
    pub(super) fn new(out: Box<dyn Write + Send + 'w>) -> Packets<'w> {
        Packets { out, failure: None, bytes: Vec::with_capacity(2 * WRITE_BYTES) }
    }

    /// Adds any packet.
    pub(super) fn add(&mut self, packet: TracePacket) {
        let packet = TracePacket { trusted_packet_sequence_id: Some(SEQUENCE), ..packet };
        proto::Trace { packet: vec![packet] }.encode(&mut self.bytes).expect("a vector grows");
        self.write_much();
    }

    /// Adds a packet with an event, and with texts that it is the first to use.
    pub(super) fn event(&mut self, time_ns: u64, new: Option<&InternedData>, event: &Event) {
        const FLAGS: u8 = proto::SequenceFlags::NeedsIncrementalState as u8;
        let event = &event.bytes;
        let constant = [key(10, WireType::Varint), SEQUENCE as u8, key(13, WireType::Varint), FLAGS];
        let length = encoding::uint64::encoded_len(8, &time_ns)
            + constant.len()
            + new.map_or(0, |new| encoding::message::encoded_len(12, new))
            + key_len(11)
            + encoded_len_varint(event.len() as u64)
            + event.len();
        let bytes = &mut self.bytes;
        bytes.push(key(1, WireType::LengthDelimited));
        encode_varint(length as u64, bytes);
        bytes.push(key(8, WireType::Varint));
        encode_varint(time_ns, bytes);
        bytes.extend_from_slice(&constant);
        if let Some(new) = new {
            encoding::message::encode(12, new, bytes);
        }
        bytes.push(key(11, WireType::LengthDelimited));
        encode_varint(event.len() as u64, bytes);
        bytes.extend_from_slice(event);
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
        if self.bytes.len() >= WRITE_BYTES {
            self.write();
        }
    }

    /// Writes what there is so far.
    pub(super) fn write(&mut self) {
        if self.failure.is_none() {
            self.failure = self.out.write_all(&self.bytes).err();
        }
        self.bytes.clear();
    }
}

/// A [`proto::TrackEvent`] as bytes.
#[derive(Debug, Default)]
pub(super) struct Event {
    bytes: Vec<u8>,
}

impl Event {
    /// Begins an event, in the memory of the one before.
    pub(super) fn begin(&mut self, kind: EventType, track: u64) {
        self.bytes.clear();
        self.bytes.extend_from_slice(&[key(9, WireType::Varint), kind as u8, key(11, WireType::Varint)]);
        encode_varint(track, &mut self.bytes);
    }

    pub(super) fn title(&mut self, category: Category, name: &Name) {
        self.bytes.extend_from_slice(&[key(3, WireType::Varint), category as u8]);
        match name {
            Name::Numbered(number) => encoding::uint64::encode(10, number, &mut self.bytes),
            Name::Text(text) => {
                encode_key(23, WireType::LengthDelimited, &mut self.bytes);
                encode_varint(text.len() as u64, &mut self.bytes);
                self.bytes.extend_from_slice(text.as_bytes());
            }
        }
    }

    #[inline]
    pub(super) fn number(&mut self, argument: Argument, value: u64) {
        let length = (3 + encoded_len_varint(value)) as u8;
        let name = [key(1, WireType::Varint), argument as u8, key(3, WireType::Varint)];
        self.bytes.extend_from_slice(&[key(4, WireType::LengthDelimited), length, name[0], name[1], name[2]]);
        encode_varint(value, &mut self.bytes);
    }

    pub(super) fn argument(&mut self, argument: Argument, value: Value) {
        encoding::message::encode(4, &argument.with(value), &mut self.bytes);
    }

    /// An argument that is more than a value.
    pub(super) fn annotation(&mut self, annotation: &DebugAnnotation) {
        encoding::message::encode(4, annotation, &mut self.bytes);
    }

    /// What the counter of the track is now.
    pub(super) fn counter(&mut self, value: CounterValue) {
        value.encode(&mut self.bytes);
    }

    /// Arguments that were encoded by [`encoded`].
    #[inline]
    pub(super) fn arguments(&mut self, encoded: &[u8]) {
        self.bytes.extend_from_slice(encoded);
    }

    /// An arrow from here to the event that `ends` it.
    pub(super) fn arrow(&mut self, number: u64, ends: bool) {
        encoding::fixed64::encode(if ends { 48 } else { 47 }, &number, &mut self.bytes);
    }
}

/// Arguments of events as they are in those.
pub(super) fn encoded(arguments: &[DebugAnnotation]) -> Box<[u8]> {
    let mut bytes = Vec::new();
    encoding::message::encode_repeated(4, arguments, &mut bytes);
    bytes.into()
}

/// What stands before a field whose number is less than 16: one byte.
const fn key(field: u8, wire_type: WireType) -> u8 {
    field << 3 | wire_type as u8
}
