//! Packets as bytes, collected until there are enough to be written.
//!
//! Most of a trace is two packets for each span. Those are encoded field by field into memory that is used again, the same as
//! their messages in [`proto`] would be, and what recurs is copied as it was encoded the first time.

use super::proto::{self, CounterValue, DebugAnnotation, EventType, InternedData, TracePacket, Value};
use super::texts::{Argument, Category};
use super::wire::{Piece, Room, Wire, key, varint_length};
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

/// What is not said by the [`Fields`] of an event.
#[derive(Clone, Copy, Debug)]
pub(super) struct Head<'a> {
    pub(super) kind: EventType,
    pub(super) track: u64,
    pub(super) time_ns: u64,
    /// The arrows that lead from here, as the second of each says.
    pub(super) arrows: &'a [(u32, u64)],
    /// The arrow that leads here.
    pub(super) arrow_here: Option<u64>,
}

impl Head<'_> {
    /// Of an event without arrows.
    pub(super) fn new(kind: EventType, track: u64, time_ns: u64) -> Head<'static> {
        Head { kind, track, time_ns, arrows: &[], arrow_here: None }
    }
}

/// The key of a field of so many bytes.
const LENGTH: WireType = WireType::LengthDelimited;
const NUMBER: WireType = WireType::Varint;

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

    /// Adds texts, for packets that come behind.
    #[cold]
    pub(super) fn texts(&mut self, new: InternedData) {
        self.add(TracePacket {
            sequence_flags: Some(proto::SequenceFlags::NeedsIncrementalState as u32),
            interned_data: Some(new),
            ..TracePacket::default()
        });
    }

    /// Adds a packet with an event.
    #[inline]
    pub(super) fn event(&mut self, head: &Head<'_>, fields: &[u8]) {
        const FLAGS: u8 = proto::SequenceFlags::NeedsIncrementalState as u8;
        const CONSTANT: [u8; 5] = [key(10, NUMBER), SEQUENCE as u8, key(13, NUMBER), FLAGS, key(11, LENGTH)];
        let Head { kind, track, time_ns, arrows, arrow_here } = *head;
        let arrow_bytes = ARROW_BYTES * (arrows.len() + usize::from(arrow_here.is_some()));
        let event_bytes = 3 + varint_length(track) + fields.len() + arrow_bytes;
        let bytes = 1 + varint_length(time_ns) + CONSTANT.len() + varint_length(event_bytes as u64) + event_bytes;
        let wire = &mut self.wire;
        wire.at_once::<64>(|room| {
            room.put([key(1, LENGTH)]);
            room.number(bytes as u64);
            room.put([key(8, NUMBER)]);
            room.number(time_ns);
            room.put(CONSTANT);
            room.number(event_bytes as u64);
            room.put([key(9, NUMBER), kind as u8, key(11, NUMBER)]);
            room.number(track);
        });
        wire.put(fields);
        arrows.iter().for_each(|(_, number)| arrow(wire, ARROW_FROM, *number));
        arrow_here.into_iter().for_each(|number| arrow(wire, ARROW_TO, number));
        self.write_much();
    }

    /// Adds a packet with the end of a slice. It refers to no text.
    #[inline]
    pub(super) fn end(&mut self, track: u64, time_ns: u64) {
        const END: u8 = EventType::SliceEnd as u8;
        // All of these are less than 128.
        let event_bytes = 3 + varint_length(track);
        let bytes = 1 + varint_length(time_ns) + 4 + event_bytes;
        self.wire.at_once::<40>(|room| {
            room.put([key(1, LENGTH), bytes as u8, key(8, NUMBER)]);
            room.number(time_ns);
            room.put([
                key(10, NUMBER),
                SEQUENCE as u8,
                key(11, LENGTH),
                event_bytes as u8,
                key(9, NUMBER),
                END,
                key(11, NUMBER),
            ]);
            room.number(track);
        });
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
    #[cold]
    pub(super) fn write(&mut self) {
        if self.failure.is_none() {
            self.failure = self.out.write_all(self.wire.bytes()).err();
        }
        self.wire.clear();
    }
}

/// Fields 47 and 48 of an event, of eight bytes each, with their keys.
const ARROW_FROM: [u8; 2] = [0xf9, 0x02];
const ARROW_TO: [u8; 2] = [0x81, 0x03];
const ARROW_BYTES: usize = 10;

fn arrow(wire: &mut Wire, key: [u8; 2], number: u64) {
    wire.put(&key);
    wire.put(&number.to_le_bytes());
}

/// Fields of [`proto::TrackEvent`]s as bytes, one after the other.
#[derive(Debug, Default)]
pub(super) struct Fields {
    wire: Wire,
}

/// What an event is called: by the number of a text that the trace has, or as it is.
#[derive(Clone, Copy, Debug)]
pub(super) enum Name<'a> {
    Numbered(u64),
    Text(&'a str),
}

impl Fields {
    pub(super) fn with_capacity(bytes: usize) -> Fields {
        Fields { wire: Wire::with_capacity(bytes) }
    }

    pub(super) fn len(&self) -> usize {
        self.wire.len()
    }

    pub(super) fn bytes(&self) -> &[u8] {
        self.wire.bytes()
    }

    pub(super) fn clear(&mut self) {
        self.wire.clear();
    }

    /// Adds the fields of another event, as they are.
    pub(super) fn copy(&mut self, bytes: &[u8]) {
        self.wire.put(bytes);
    }

    #[inline]
    pub(super) fn title(&mut self, category: Category, name: Name<'_>) {
        self.wire.at_once::<32>(|room| {
            room.put([key(3, NUMBER), category as u8]);
            match name {
                Name::Numbered(number) => {
                    room.put([key(10, NUMBER)]);
                    room.number(number);
                }
                Name::Text(text) => {
                    const NAME: u64 = 23 << 3 | LENGTH as u64;
                    room.number(NAME);
                    room.number(text.len() as u64);
                }
            }
        });
        if let Name::Text(text) = name {
            self.wire.put(text.as_bytes());
        }
    }

    /// Adds arguments. There is room for ten that are a number or a text, and those of a place.
    #[inline(always)]
    pub(super) fn arguments(&mut self, add: impl FnOnce(&mut Arguments<'_, '_>)) {
        self.wire.at_once(|room| add(&mut Arguments { room }));
    }

    pub(super) fn number(&mut self, argument: Argument, value: u64) {
        self.arguments(|arguments| arguments.number(argument, value));
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
}

/// Arguments of an event in the making.
pub(super) struct Arguments<'r, 'w> {
    room: &'r mut Room<'w, ARGUMENT_BYTES>,
}

impl Arguments<'_, '_> {
    /// An argument that is a number. It takes [`TEXT_BYTES`] at most.
    #[inline(always)]
    pub(super) fn number(&mut self, argument: Argument, value: u64) {
        let before = |bytes| [key(4, LENGTH), 3 + bytes, key(1, NUMBER), argument as u8, key(3, NUMBER)];
        if value < 0x80 {
            self.room.put(before(1));
            self.room.put([value as u8]);
        } else {
            self.room.put(before(varint_length(value) as u8));
            self.room.number(value);
        }
    }

    /// Those that were encoded by [`piece`].
    #[inline(always)]
    pub(super) fn piece<const N: usize>(&mut self, piece: &Piece<N>) {
        self.room.piece(piece);
    }
}

/// More than all arguments take that are added at once: ten that are a number or a text, and those of a place.
const ARGUMENT_BYTES: usize = (10 + 3) * TEXT_BYTES;

/// As many bytes as one argument has that is the number of a text, at most.
pub(super) const TEXT_BYTES: usize = 16;

/// Arguments of events as they are in those, of [`TEXT_BYTES`] each at most.
pub(super) fn piece<const N: usize>(arguments: &[DebugAnnotation]) -> Piece<N> {
    let mut bytes = Vec::new();
    encoding::message::encode_repeated(4, arguments, &mut bytes);
    Piece::new(&bytes)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_argument_with_the_greatest_number_fits() {
        let bytes = encoding::message::encoded_len(4, &Argument::ExactValue.text(u64::MAX));
        assert_eq!(bytes, TEXT_BYTES);
    }

    #[test]
    fn keys_of_arrows_are_those_of_their_fields() {
        for (field, bytes) in [(47, ARROW_FROM), (48, ARROW_TO)] {
            let mut key = Vec::new();
            encoding::encode_key(field, WireType::SixtyFourBit, &mut key);
            assert_eq!(key, bytes);
        }
    }
}
