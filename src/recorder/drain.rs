//! Draining: from the rings to the sink, with every gap in the record numbers counted.
//!
//! One round takes, in this order: the tails, the registrations, the names, the records up to the tails. Names and owners of
//! everything below a tail are visible once the tail is, so nothing reaches the sink before what it refers to.

use super::names::Scanner;
use super::pool::RingConsumer;
use super::session::Session;
use super::thread::{REFUSED, STRAY_ENDS};
use crate::clock::anchor;
use crate::events::{Head, SLOT_WORDS, extend_record_number};
use crate::format::block::{Anchor, BlockKind, RecordRange};
use crate::format::definition::SlotUse;
use crate::format::ring_file::{FLUSHED_POSITION_WORD, FLUSHED_RECORD_WORD, Owner, RECENT_RECORD_WORD};
use crate::format::{Status, StatusState, ThreadFacts};
use crate::queue::{Memory, WhenFull};
use crate::sink::{Block, Sink};
use crate::sync::Ordering;
use std::collections::VecDeque;
use std::io;
use std::sync::Arc;

/// Slots in a block of records at most: 256 KiB.
const BLOCK_SLOTS: u64 = 4096;
/// Words in a block of definitions, unless a single one is larger.
const BLOCK_WORDS: usize = 1 << 15;

/// Whether a round takes the records of rings in flight discipline too.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Round {
    /// The flusher's: names and threads always, records only where rings are drained.
    Background,
    /// Someone asked for everything.
    Everything,
}

/// The flushing side of a session. One thread at a time drains.
pub(super) struct Drainer {
    session: Arc<Session>,
    sink: Box<dyn Sink>,
    rings: Vec<Ring>,
    /// Threads not sent yet.
    threads: VecDeque<Owner>,
    names: Scanner,
    /// Definitions not sent yet.
    definitions: Vec<u64>,
    buffer: Vec<u64>,
    blocks: u64,
    /// The session file, if there is one.
    status_file: Option<Memory>,
    status: Status,
    refused_before: u64,
    strays_before: u64,
    last_error: Option<String>,
}

/// A ring as the drainer sees it.
struct Ring {
    number: u32,
    consumer: RingConsumer,
    /// The thread whose slots come next.
    owner: Owner,
    /// Those that follow, each from its position on.
    next_owners: VecDeque<Owner>,
    /// Slots below were sent, or are lost.
    position: u64,
    /// Records below were sent, or are lost.
    next_record: u64,
    /// Records lost so far.
    lost: u64,
    /// Number of some record seen lately.
    recent_record: u64,
}

/// How far to drain a ring in this round.
struct Target {
    tail: u64,
    drop_mark: u64,
}

impl Drainer {
    pub(super) fn new(session: Arc<Session>, sink: Box<dyn Sink>, status_file: Option<Memory>) -> Drainer {
        Drainer {
            session,
            sink,
            rings: Vec::new(),
            threads: VecDeque::new(),
            names: Scanner::default(),
            definitions: Vec::new(),
            buffer: Vec::new(),
            blocks: 0,
            status_file,
            status: Status::default(),
            refused_before: REFUSED.load(Ordering::Relaxed),
            strays_before: STRAY_ENDS.load(Ordering::Relaxed),
            last_error: None,
        }
    }

    /// How it goes.
    pub(super) fn status(&self) -> Status {
        self.status
    }

    /// Why the last round failed, if it did.
    pub(super) fn last_error(&self) -> Option<&str> {
        self.last_error.as_deref()
    }

    /// Ends of spans that began before this recording.
    pub(super) fn stray_ends(&self) -> u64 {
        STRAY_ENDS.load(Ordering::Relaxed) - self.strays_before
    }

    /// Rings there are.
    pub(super) fn rings(&self) -> usize {
        self.rings.len()
    }

    /// Sends a block that is about the whole recording.
    pub(super) fn send_fact(&mut self, kind: BlockKind, payload: &[u8]) -> io::Result<()> {
        self.send(kind, anchor(), RecordRange::default(), payload)
    }

    /// Takes what was published before the call to the sink. Returns how full the fullest drained ring was, from 0 to 1.
    pub(super) fn drain(&mut self, round: Round) -> io::Result<f64> {
        // A ring registered after this holds nothing that was published before the call.
        self.admit_newcomers();
        let targets: Vec<Target> = self.rings.iter().map(Ring::target).collect();
        let fullest = self.rings.iter().zip(&targets).map(|(ring, target)| ring.fill(target)).fold(0.0, f64::max);
        // Again: now the owners of everything below those tails are known.
        self.admit_newcomers();
        let result = self.drain_to(&targets, round);
        if let Err(error) = &result {
            self.status.write_errors += 1;
            self.status.last_error = error.raw_os_error().unwrap_or(0) as u64;
        }
        self.last_error = result.as_ref().err().map(io::Error::to_string);
        self.update_status(StatusState::Recording);
        result.map(|()| fullest)
    }

    /// The last round: nobody records any more.
    pub(super) fn finish(&mut self) -> io::Result<()> {
        self.drain(Round::Everything)?;
        self.send_fact(BlockKind::End, &[])?;
        self.sink.finish()?;
        self.update_status(StatusState::Stopped);
        Ok(())
    }

    fn admit_newcomers(&mut self) {
        let newcomers = self.session.newcomers();
        self.rings.extend(newcomers.rings.into_iter().map(|(number, consumer)| Ring::new(number, consumer)));
        for (number, owner) in newcomers.owners {
            self.threads.push_back(owner.clone());
            if let Some(ring) = self.rings.iter_mut().find(|ring| ring.number == number) {
                ring.next_owners.push_back(owner);
            }
        }
    }

    fn drain_to(&mut self, targets: &[Target], round: Round) -> io::Result<()> {
        let now = anchor();
        while let Some(owner) = self.threads.front() {
            let payload = owner.thread.encode();
            self.send(BlockKind::Thread, now, RecordRange::default(), payload.as_bytes())?;
            self.threads.pop_front();
        }
        self.names.scan(&self.session.names, &mut self.definitions);
        self.send_definitions(now)?;
        let mut rings = std::mem::take(&mut self.rings);
        let mut drain_rings = || {
            for (ring, target) in rings.iter_mut().zip(targets) {
                ring.see_recent(target);
                if round == Round::Everything || ring.consumer.when_full() == WhenFull::DropNewest {
                    self.drain_ring(ring, target, now)?;
                }
            }
            Ok(())
        };
        let result = drain_rings();
        self.rings = rings;
        result
    }

    fn send_definitions(&mut self, now: Anchor) -> io::Result<()> {
        let definitions = std::mem::take(&mut self.definitions);
        let mut rest = &definitions[..];
        let mut result = Ok(());
        while !rest.is_empty() && result.is_ok() {
            let mut end = 0;
            while end < rest.len() {
                let words = match SlotUse::of(rest[end]) {
                    SlotUse::First(slots) => slots.saturating_mul(SLOT_WORDS).clamp(SLOT_WORDS, rest.len() - end),
                    SlotUse::Empty | SlotUse::Continuation => SLOT_WORDS,
                };
                if end > 0 && end + words > BLOCK_WORDS {
                    break;
                }
                end += words;
            }
            let payload = bytemuck::cast_slice(&rest[..end]);
            result = self.send(BlockKind::Definitions, now, RecordRange::default(), payload);
            if result.is_ok() {
                rest = &rest[end..];
            }
        }
        self.definitions = rest.to_vec();
        result
    }

    fn drain_ring(&mut self, ring: &mut Ring, target: &Target, now: Anchor) -> io::Result<()> {
        let mut buffer = std::mem::take(&mut self.buffer);
        let result = match ring.consumer.when_full() {
            WhenFull::DropNewest => self.stream(ring, target, &mut buffer, now),
            WhenFull::OverwriteOldest => self.snapshot(ring, target, &mut buffer, now),
        };
        self.buffer = buffer;
        result?;
        self.account_until(ring, target.drop_mark, now)?;
        ring.mirror();
        Ok(())
    }

    /// Drain discipline: block after block, each given back to the ring once it is sent.
    fn stream(&mut self, ring: &mut Ring, target: &Target, buffer: &mut Vec<u64>, now: Anchor) -> io::Result<()> {
        while ring.position < target.tail {
            self.hand_over(ring, now)?;
            let end = ring.end_of_owner().min(target.tail).min(ring.position + BLOCK_SLOTS);
            buffer.clear();
            ring.consumer.copy(ring.position..end, buffer);
            self.send_records(ring, buffer, now)?;
            ring.consumer.give_back(ring.position);
        }
        Ok(())
    }

    /// Flight discipline: what is whole at this instant, then cut into blocks.
    fn snapshot(&mut self, ring: &mut Ring, target: &Target, buffer: &mut Vec<u64>, now: Anchor) -> io::Result<()> {
        let whole = ring.consumer.snapshot(ring.position..target.tail, buffer);
        let continuations = buffer.chunks_exact(SLOT_WORDS).take_while(|slot| Head(slot[0]).index() > 0).count();
        let mut rest = &buffer[continuations * SLOT_WORDS..];
        ring.position = whole.start + continuations as u64;
        while !rest.is_empty() {
            self.hand_over(ring, now)?;
            let slots = (ring.end_of_owner() - ring.position).min(BLOCK_SLOTS) as usize;
            let before = ring.position;
            self.send_records(ring, &rest[..rest.len().min(slots * SLOT_WORDS)], now)?;
            rest = &rest[(ring.position - before) as usize * SLOT_WORDS..];
        }
        ring.consumer.give_back(ring.position);
        Ok(())
    }

    /// Makes the thread whose slots come next the owner; what its predecessors lost at their ends is counted as theirs.
    fn hand_over(&mut self, ring: &mut Ring, now: Anchor) -> io::Result<()> {
        while let Some(next) = ring.next_owners.front().filter(|next| next.position <= ring.position) {
            let until = next.record_number;
            self.account_until(ring, until, now)?;
            if let Some(next) = ring.next_owners.pop_front() {
                ring.owner = next;
            }
        }
        Ok(())
    }

    /// Every record below `until` was sent or is lost: says so in the stream, if that is news.
    fn account_until(&mut self, ring: &mut Ring, until: u64, now: Anchor) -> io::Result<()> {
        if until <= ring.next_record {
            return Ok(());
        }
        let lost = ring.lost + (until - ring.next_record);
        self.send(BlockKind::Records, now, ring.range(ring.next_record, until, lost), &[])?;
        self.status.lost += until - ring.next_record;
        (ring.next_record, ring.lost) = (until, lost);
        Ok(())
    }

    /// Sends as many whole records as `words` begins with.
    fn send_records(&mut self, ring: &mut Ring, words: &[u64], now: Anchor) -> io::Result<()> {
        let counted = Counted::of(words, ring.recent_record, ring.next_record);
        let lost = counted.next_record.saturating_sub(ring.next_record).saturating_sub(counted.records);
        let range = ring.range(counted.first_record, counted.next_record, ring.lost + lost);
        self.send(BlockKind::Records, now, range, bytemuck::cast_slice(&words[..counted.slots * SLOT_WORDS]))?;
        self.status.flushed += counted.records;
        self.status.lost += lost;
        ring.position += counted.slots as u64;
        ring.lost += lost;
        ring.next_record = counted.next_record;
        Ok(())
    }

    fn send(&mut self, kind: BlockKind, anchor: Anchor, records: RecordRange, payload: &[u8]) -> io::Result<()> {
        self.sink.write(Block { kind, number: self.blocks, anchor, records, payload })?;
        self.blocks += 1;
        Ok(())
    }

    fn update_status(&mut self, state: StatusState) {
        let status = &mut self.status;
        status.updates += 1;
        status.state = state;
        status.anchor = anchor();
        status.refused = REFUSED.load(Ordering::Relaxed) - self.refused_before;
        status.names_lost = self.session.names.lost();
        let Some(file) = &self.status_file else { return };
        for (index, word) in (Status::word_index(status.updates)..).zip(status.encode()) {
            // Relaxed: the checksum tells a reader whether it saw all of them.
            file.word(index).store(word, Ordering::Relaxed);
        }
    }
}

impl Ring {
    fn new(number: u32, consumer: RingConsumer) -> Ring {
        let owner = Owner { thread: ThreadFacts::default(), position: 0, record_number: 0 };
        let next_owners = VecDeque::new();
        Ring { number, consumer, owner, next_owners, position: 0, next_record: 0, lost: 0, recent_record: 0 }
    }

    /// The drop mark is read first: records below it are then below the tail, or were dropped.
    fn target(&self) -> Target {
        let drop_mark = self.consumer.drop_mark();
        Target { tail: self.consumer.published().end, drop_mark }
    }

    /// How full the ring is, if being full costs records.
    fn fill(&self, target: &Target) -> f64 {
        match self.consumer.when_full() {
            WhenFull::DropNewest => (target.tail - self.position) as f64 / self.consumer.capacity() as f64,
            WhenFull::OverwriteOldest => 0.0,
        }
    }

    /// Position at which the owner's slots end, as far as is known.
    fn end_of_owner(&self) -> u64 {
        self.next_owners.front().map_or(u64::MAX, |next| next.position)
    }

    fn range(&self, first_record: u64, next_record: u64, lost: u64) -> RecordRange {
        let (thread, position) = (self.owner.thread.id, self.position);
        RecordRange { thread, ring: self.number, first_record, next_record, lost, position }
    }

    /// Keeps a whole record number not too far from the newest, by which a reader of the ring's file can extend low halves.
    fn see_recent(&mut self, target: &Target) {
        if let Some(newest) = target.tail.checked_sub(1) {
            let low = Head(self.consumer.first_word(newest)).record_number_low();
            self.recent_record = extend_record_number(low, self.recent_record);
        }
        self.consumer.storage().memory().word(RECENT_RECORD_WORD).store(self.recent_record, Ordering::Relaxed);
    }

    /// Tells readers of the ring's file what they need not take from it.
    fn mirror(&self) {
        let memory = self.consumer.storage().memory();
        memory.word(FLUSHED_RECORD_WORD).store(self.next_record, Ordering::Relaxed);
        memory.word(FLUSHED_POSITION_WORD).store(self.position, Ordering::Release);
    }
}

/// What a run of slots holds.
struct Counted {
    slots: usize,
    records: u64,
    first_record: u64,
    next_record: u64,
}

impl Counted {
    /// Counts the whole records that `words` begins with. Their numbers are near `near`, and none is below `floor`.
    ///
    /// The slots may have been scribbled on: whatever they hold, at least one slot is taken, and the numbers do not go back.
    fn of(words: &[u64], near: u64, floor: u64) -> Counted {
        let heads = || words.iter().step_by(SLOT_WORDS).map(|word| Head(*word));
        let all = words.len() / SLOT_WORDS;
        let is_first = |head: &Head| head.index() == 0;
        let last = heads().enumerate().rfind(|(_, head)| is_first(head));
        // Only the last record may be cut off by the end of the run.
        let slots = match last {
            Some((start, head)) if start > 0 && start + head.slots() > all => start,
            _ => all,
        };
        let number = |head: Head| extend_record_number(head.record_number_low(), near);
        let mut firsts = heads().take(slots).filter(is_first);
        let first = firsts.next();
        let first_record = first.map_or(floor, number).max(floor);
        let (mut records, mut newest) = (u64::from(first.is_some()), first);
        for head in firsts {
            records += 1;
            newest = Some(head);
        }
        let next_record = newest.map_or(floor, |head| number(head).saturating_add(1)).max(first_record);
        Counted { slots, records, first_record, next_record }
    }
}
