//! The copy: what the rings hold at one instant, and the blocks that it becomes.

use super::super::drain::BLOCK_SLOTS;
use super::super::drained_ring::{Counted, Ring, Target};
use super::super::names::Scanner;
use super::super::session::Session;
use crate::events::{Head, SLOT_BYTES, SLOT_WORDS, Slot, self_description};
use crate::format::block::{Anchor, BLOCK_HEADER_BYTES, BlockKind, RecordRange};
use crate::format::file::FILE_HEADER_BYTES;
use crate::format::ring_file::Owner;
use crate::sink::{Block, Sink};
use std::collections::BTreeMap;
use std::io;

/// How much of the rings is copied.
#[derive(Clone, Copy, Debug)]
pub(in super::super) struct Extent {
    /// Nothing that was recorded before, in ticks.
    pub(in super::super) since: u64,
    /// Bytes of records, of all rings together.
    pub(in super::super) bytes: u64,
}

/// What the rings held.
pub(in super::super) struct Capture {
    pub(super) now: Anchor,
    /// Records that went by unseen in the session, so that `open` may lack some spans, and have some too many.
    pub(super) unscanned: u64,
    rings: Vec<Copied>,
    /// Begins and attributes of spans that are still open, which their rings may hold no more.
    open: Vec<(RecordRange, Vec<Slot>)>,
}

/// What one ring held.
struct Copied {
    number: u32,
    /// Who wrote, from which position on; in order.
    owners: Vec<Owner>,
    position: u64,
    words: Vec<u64>,
    /// The number of some record nearby.
    recent_record: u64,
}

/// What was written of a capture.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) struct Written {
    pub(super) records: u64,
    /// Records of the same rings that came before, or were dropped.
    pub(super) missing: u64,
}

impl Capture {
    pub(in super::super) fn new(now: Anchor, open: Vec<(RecordRange, Vec<Slot>)>, unscanned: u64) -> Capture {
        Capture { now, unscanned, rings: Vec::new(), open }
    }

    /// Copies what a ring holds up to `target`, in flight discipline.
    pub(in super::super) fn add(&mut self, ring: &Ring, target: &Target, since: u64) {
        let mut words = Vec::new();
        let whole = ring.consumer.snapshot(0..target.tail, &mut words);
        let is_wanted = |slot: &[u64]| {
            let head = Head(slot[0]);
            head.index() == 0 && (since == 0 || (head.kind().is_some_and(|kind| kind.is_span()) && slot[1] >= since))
        };
        let before = words.chunks_exact(SLOT_WORDS).take_while(|slot| !is_wanted(slot)).count();
        words.drain(..before * SLOT_WORDS);
        let owners = ring.owners().cloned().collect();
        let position = whole.start + before as u64;
        self.rings.push(Copied { number: ring.number, owners, position, words, recent_record: ring.recent_record });
    }

    /// Bytes of records.
    fn bytes(&self) -> u64 {
        self.rings.iter().map(|ring| (ring.words.len() / SLOT_WORDS * SLOT_BYTES) as u64).sum()
    }

    /// Leaves out the oldest records of each ring, until there are no more than so many bytes.
    pub(in super::super) fn limit(&mut self, bytes: u64) {
        let all = self.bytes();
        if all <= bytes {
            return;
        }
        for ring in &mut self.rings {
            let slots = ring.words.len() / SLOT_WORDS;
            let kept = (slots as u128 * u128::from(bytes) / u128::from(all)) as usize;
            let is_first = |slot: &[u64]| Head(slot[0]).index() == 0;
            let rest = ring.words.chunks_exact(SLOT_WORDS).skip(slots - kept);
            let dropped = slots - kept + rest.take_while(|slot| !is_first(slot)).count();
            ring.words.drain(..dropped * SLOT_WORDS);
            ring.position += dropped as u64;
        }
    }

    /// Bytes of the file that [`Capture::write`] makes, or a few more.
    pub(super) fn file_bytes(&self, facts: &str, session: &Session) -> u64 {
        let blocks =
            |slots: usize| (slots.div_ceil(BLOCK_SLOTS as usize) + 1) * BLOCK_HEADER_BYTES + slots * SLOT_BYTES;
        let rings = self.rings.iter().map(|ring| blocks(ring.words.len() / SLOT_WORDS));
        // Owners cut blocks in two, and are told of in blocks of their own, with a name of some length.
        let owners = self.rings.iter().flat_map(|ring| &ring.owners);
        let owners = owners.map(|owner| 4 * BLOCK_HEADER_BYTES + 2 * owner.thread.name.len());
        let open = self.open.iter().map(|(_, slots)| BLOCK_HEADER_BYTES + size_of_val(slots.as_slice()));
        let texts = facts.len() + self_description().len() + 16 * BLOCK_HEADER_BYTES + FILE_HEADER_BYTES;
        let parts = rings.sum::<usize>() + owners.sum::<usize>() + open.sum::<usize>() + texts;
        parts as u64 + session.names.used_bytes()
    }

    /// Sends it to a sink, as the blocks of a recording that is over.
    pub(super) fn write(&self, facts: &str, session: &Session, sink: &mut dyn Sink) -> io::Result<Written> {
        let mut to = Blocks { sink, anchor: self.now, sent: 0 };
        to.send(BlockKind::Facts, RecordRange::default(), facts.as_bytes())?;
        to.send(BlockKind::SelfDescription, RecordRange::default(), self_description().as_bytes())?;
        // After the rings were copied, so every name in them is there.
        let mut definitions = Vec::new();
        Scanner::default().scan(&session.names, &mut definitions);
        to.send(BlockKind::Definitions, RecordRange::default(), bytemuck::cast_slice(&definitions))?;
        let threads: BTreeMap<u32, &Owner> =
            self.rings.iter().flat_map(|ring| &ring.owners).map(|owner| (owner.thread.id, owner)).collect();
        for owner in threads.values().filter(|owner| owner.thread.id > 0) {
            to.send(BlockKind::Thread, RecordRange::default(), owner.thread.encode().as_bytes())?;
        }
        for (range, slots) in &self.open {
            to.send(BlockKind::Carried, *range, bytemuck::cast_slice(slots))?;
        }
        let mut written = Written::default();
        for ring in &self.rings {
            let of_ring = ring.write(&mut to)?;
            written.records += of_ring.records;
            written.missing += of_ring.missing;
        }
        to.send(BlockKind::End, RecordRange::default(), &[])?;
        sink.finish()?;
        Ok(written)
    }
}

impl Copied {
    fn write(&self, to: &mut Blocks<'_>) -> io::Result<Written> {
        let mut rest = &self.words[..];
        let (mut position, mut next_record, mut written) = (self.position, 0, Written::default());
        while !rest.is_empty() {
            let (thread, end) = self.writer_of(position);
            let most = (end - position).min(BLOCK_SLOTS) as usize;
            let part = &rest[..rest.len().min(most * SLOT_WORDS)];
            let counted = Counted::of(part, SLOT_WORDS, self.recent_record, next_record);
            let spanned = counted.next_record.saturating_sub(next_record);
            written.missing += spanned.saturating_sub(counted.records);
            written.records += counted.records;
            let range = RecordRange {
                thread,
                ring: self.number,
                first_record: counted.first_record,
                next_record: counted.next_record,
                lost: written.missing,
                position,
            };
            to.send(BlockKind::Records, range, bytemuck::cast_slice(&part[..counted.slots * SLOT_WORDS]))?;
            position += counted.slots as u64;
            next_record = counted.next_record;
            rest = &rest[counted.slots * SLOT_WORDS..];
        }
        Ok(written)
    }

    /// The thread that wrote the slot at `position`, and where its slots end.
    fn writer_of(&self, position: u64) -> (u32, u64) {
        let after = self.owners.partition_point(|owner| owner.position <= position);
        let thread = after.checked_sub(1).map_or(0, |index| self.owners[index].thread.id);
        (thread, self.owners.get(after).map_or(u64::MAX, |owner| owner.position))
    }
}

/// Numbers blocks on their way.
struct Blocks<'a> {
    sink: &'a mut dyn Sink,
    anchor: Anchor,
    sent: u64,
}

impl Blocks<'_> {
    fn send(&mut self, kind: BlockKind, records: RecordRange, payload: &[u8]) -> io::Result<()> {
        self.sink.write(Block { kind, number: self.sent, anchor: self.anchor, records, payload })?;
        self.sent += 1;
        Ok(())
    }
}
