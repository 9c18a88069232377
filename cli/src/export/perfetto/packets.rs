//! Packets as bytes, collected until there are enough to be written.
//!
//! Most of a trace is two packets for each span. Those are encoded field by field into memory that is used again, in place of their
//! messages in [`proto`], and what recurs is copied as it was encoded the first time. Some numbers have more bytes than they need: that is
//! as good to a reader, and what follows has a place that is known.

use super::proto::{self, CounterValue, DebugAnnotation, EventType, InternedData, TracePacket, Value};
use super::texts::{Argument, Category};
use super::wire::{Piece, Room, Wire, fits, key, number_length, padded};
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
const DELIMITED: WireType = WireType::LengthDelimited;
const NUMBER: WireType = WireType::Varint;

/// So many bytes have times, tracks and lengths in nearly all packets: until the year 2262, of two million tracks, and of 16 KiB.
const TIME: usize = 9;
const TRACK: usize = 3;
const LENGTH: usize = 2;

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

    /// Adds a packet with an event, which says what `say` adds to it, and `fields`.
    #[inline(always)]
    pub(super) fn event(&mut self, head: &Head<'_>, say: impl FnOnce(&mut Arguments<'_, '_>), fields: &[u8]) {
        let arrow_bytes = ARROW_BYTES * (head.arrows.len() + usize::from(head.arrow_here.is_some()));
        let more = fields.len() + arrow_bytes;
        if fits::<TIME>(head.time_ns) && fits::<TRACK>(head.track) && fits::<LENGTH>((EVENT_BYTES + more) as u64) {
            self.begin::<TIME, TRACK, LENGTH>(head, say, more);
        } else {
            self.begin::<10, 10, 5>(head, say, more);
        }
        let wire = &mut self.wire;
        if !fields.is_empty() {
            wire.put(fields);
        }
        head.arrows.iter().for_each(|(_, number)| arrow(wire, ARROW_FROM, *number));
        head.arrow_here.into_iter().for_each(|number| arrow(wire, ARROW_TO, number));
        self.write_much();
    }

    /// Adds the first part of an event's packet; `more` bytes have to follow. So many bytes are for the time, the track, and each length.
    #[inline(always)]
    fn begin<const TIME: usize, const TRACK: usize, const LENGTH: usize>(
        &mut self,
        head: &Head<'_>,
        say: impl FnOnce(&mut Arguments<'_, '_>),
        more: usize,
    ) {
        const FLAGS: u8 = proto::SequenceFlags::NeedsIncrementalState as u8;
        self.wire.at_once(|room| {
            room.put([key(1, DELIMITED)]);
            let packet_length = room.len();
            room.put([0; LENGTH]);
            room.put([key(8, NUMBER)]);
            room.put(padded::<TIME>(head.time_ns));
            room.put([key(10, NUMBER), SEQUENCE as u8, key(13, NUMBER), FLAGS, key(11, DELIMITED)]);
            let event_length = room.len();
            room.put([0; LENGTH]);
            room.put([key(9, NUMBER), head.kind as u8, key(11, NUMBER)]);
            room.put(padded::<TRACK>(head.track));
            say(&mut Arguments { room });
            // Only now it shows how long they are.
            let bytes = |at: usize| (room.len() + more - at - LENGTH) as u64;
            let lengths = [(packet_length, bytes(packet_length)), (event_length, bytes(event_length))];
            lengths.into_iter().for_each(|(at, length)| room.replace(at, padded::<LENGTH>(length)));
        });
    }

    /// Adds a packet with the end of a slice. It refers to no text.
    #[inline]
    pub(super) fn end(&mut self, track: u64, time_ns: u64) {
        if fits::<TIME>(time_ns) && fits::<TRACK>(track) {
            self.tail::<TIME, TRACK>(track, time_ns);
        } else {
            self.tail::<10, 10>(track, time_ns);
        }
        self.write_much();
    }

    #[inline(always)]
    fn tail<const TIME: usize, const TRACK: usize>(&mut self, track: u64, time_ns: u64) {
        const END: u8 = EventType::SliceEnd as u8;
        // All of these are less than 128.
        let event_bytes = 3 + TRACK as u8;
        self.wire.at_once::<40>(|room| {
            room.put([key(1, DELIMITED), 1 + TIME as u8 + 4 + event_bytes, key(8, NUMBER)]);
            room.put(padded::<TIME>(time_ns));
            room.put([key(10, NUMBER), SEQUENCE as u8, key(11, DELIMITED), event_bytes]);
            room.put([key(9, NUMBER), END, key(11, NUMBER)]);
            room.put(padded::<TRACK>(track));
        });
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

    /// Its category, and what it is called.
    pub(super) fn title(&mut self, category: Category, name: &str) {
        self.wire.at_once::<2>(|room| room.put([key(3, NUMBER), category as u8]));
        self.name(name);
    }

    /// What it is called.
    pub(super) fn name(&mut self, name: &str) {
        self.wire.append(|bytes| {
            encoding::encode_key(23, DELIMITED, bytes);
            encoding::encode_varint(name.len() as u64, bytes);
            bytes.extend(name.as_bytes());
        });
    }

    /// Adds arguments, as [`EVENT_BYTES`] has room for them.
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

/// An event in the making.
pub(super) struct Arguments<'r, 'w> {
    room: &'r mut Room<'w, EVENT_BYTES>,
}

impl Arguments<'_, '_> {
    /// Its category, and the number of what it is called, 0 if it has none.
    #[inline(always)]
    pub(super) fn title(&mut self, category: Category, name: u32) {
        self.room.put([key(3, NUMBER), category as u8]);
        if name != 0 {
            self.room.put([key(10, NUMBER)]);
            self.room.number(u64::from(name));
        }
    }

    /// An argument that is a number. It takes [`TEXT_BYTES`] at most.
    #[inline(always)]
    pub(super) fn number(&mut self, argument: Argument, value: u64) {
        let before =
            [key(4, DELIMITED), 3 + number_length(value) as u8, key(1, NUMBER), argument as u8, key(3, NUMBER)];
        self.room.put(before);
        self.room.number(value);
    }

    /// Those that were encoded by [`piece`].
    #[inline(always)]
    pub(super) fn piece<const N: usize>(&mut self, piece: &Piece<N>) {
        self.room.piece(piece);
    }
}

/// More than is added at once: what stands before an event's own fields, its title, ten arguments that are a number or a text, and those of a
/// place.
const EVENT_BYTES: usize = 48 + TEXT_BYTES + (10 + 3) * TEXT_BYTES;

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
    use super::proto::Data;
    use super::*;

    #[test]
    fn the_argument_with_the_greatest_number_fits() {
        let bytes = encoding::message::encoded_len(4, &Argument::ExactValue.text(u64::MAX));
        assert_eq!(bytes, TEXT_BYTES);
    }

    /// What a reader makes of an event and its end.
    fn read(head: &Head<'_>, fields: &[u8]) -> Vec<TracePacket> {
        let mut bytes = Vec::new();
        let mut packets = Packets::new(Box::new(&mut bytes));
        packets.event(head, |event| event.number(Argument::SpanId, head.track), fields);
        packets.end(head.track, head.time_ns);
        packets.flush().expect("a vector takes everything");
        drop(packets);
        proto::Trace::decode(&bytes[..]).expect("packets").packet
    }

    #[test]
    fn late_times_many_tracks_and_long_texts_are_as_any_others() {
        let few = (1, 1_700_000_000_000_000_000, 1);
        for (track, time_ns, letters) in
            [few, (1 << 21, few.1, 1), (u64::MAX, few.1, 1), (1, u64::MAX, 1), (1, few.1, 1 << 14)]
        {
            let mut fields = Fields::default();
            let name = "x".repeat(letters);
            fields.title(Category::Loss, &name);
            let arrows = [(0, 7)];
            let head =
                Head { arrows: &arrows, arrow_here: Some(8), ..Head::new(EventType::SliceBegin, track, time_ns) };
            let [begin, end] = &read(&head, fields.bytes())[..] else { panic!("two packets") };
            for packet in [begin, end] {
                assert_eq!((packet.timestamp, packet.trusted_packet_sequence_id), (Some(time_ns), Some(SEQUENCE)));
            }
            let (Some(Data::TrackEvent(begin)), Some(Data::TrackEvent(end))) = (&begin.data, &end.data) else {
                panic!("{begin:?} {end:?}")
            };
            assert_eq!((begin.track_uuid, end.track_uuid, &begin.name), (Some(track), Some(track), &Some(name)));
            assert_eq!((&begin.flow_ids[..], &begin.terminating_flow_ids[..]), (&[7][..], &[8][..]));
            assert_eq!(begin.debug_annotations, [Argument::SpanId.with(Value::Uint(track))]);
        }
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
