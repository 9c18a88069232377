//! Draining: from the rings to the sink, with every gap in the record numbers counted.
//!
//! One round takes, in this order: the tails, the registrations, the names, the records up to the tails. Names and owners of
//! everything below a tail are visible once the tail is, so nothing reaches the sink before what it refers to.

use super::carry::{Carry, Which};
use super::drained_ring::{Counted, Ring, Target};
use super::files::store_status;
use super::names::Scanner;
use super::pairs::{MARK_WORDS, MOST_MARKS, Mark};
use super::retention::{Leftover, Retention};
use super::session::Session;
use super::snapshot::{Capture, Extent, SlowWatch};
use super::sync_policy::{Schedule, SyncPolicy};
use super::thread::{REFUSED, STRAY_ENDS};
use crate::clock::anchor;
use crate::events::{Head, SLOT_WORDS};
use crate::format::block::{Anchor, BlockKind, RecordRange};
use crate::format::definition::SlotUse;
use crate::format::ring_file::Owner;
use crate::format::{Discipline, Status, StatusState};
use crate::mapping::cut_off;
use crate::queue::{Memory, WhenFull};
use crate::sink::{Block, Sink};
use crate::sync::Ordering;
use std::collections::{HashMap, VecDeque};
use std::io;
use std::ops::Range;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::path::Path;
use std::sync::Arc;

/// Slots in a block of records at most: 256 KiB.
pub(super) const BLOCK_SLOTS: u64 = 4096;
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
    /// About the process, for the beginning of each file.
    facts: String,
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
    sync: Schedule,
    cut_off_before: u64,
    /// Files that somebody cut off or removed, when that was looked at last; and rings without a file then.
    spoiled: u64,
    removed_rings: u64,
    last_error: Option<String>,
    /// Open spans, whose begins may go away before their ends come.
    carry: Carry,
    /// Flight discipline: spans whose slowness is a reason for a snapshot.
    slow: Option<SlowWatch>,
    /// `None`: nothing is ever retired.
    retention: Option<Retention>,
    /// The sink's current file.
    file: u64,
    /// What the sink stored when room was made last.
    stored_before: u64,
    /// The last block with records of each thread.
    blocks_of_threads: HashMap<u32, u64>,
}

impl Drainer {
    pub(super) fn new(
        session: Arc<Session>,
        sink: Box<dyn Sink>,
        facts: String,
        sync: SyncPolicy,
        status_file: Option<Memory>,
        retention: Option<Retention>,
    ) -> Drainer {
        Drainer {
            session,
            sink,
            facts,
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
            sync: Schedule::new(sync),
            cut_off_before: cut_off(),
            spoiled: 0,
            removed_rings: 0,
            last_error: None,
            carry: Carry::default(),
            slow: None,
            retention,
            file: 0,
            stored_before: 0,
            blocks_of_threads: HashMap::new(),
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

    /// Rings whose files somebody removed.
    pub(super) fn removed_rings(&self) -> u64 {
        self.removed_rings
    }

    /// Rings there are.
    pub(super) fn rings(&self) -> usize {
        self.rings.len()
    }

    /// Sends the blocks with which every recording begins.
    pub(super) fn begin(&mut self, self_description: &str) -> io::Result<()> {
        self.send_facts(anchor())?;
        self.send(BlockKind::SelfDescription, anchor(), RecordRange::default(), self_description.as_bytes())
    }

    fn send_facts(&mut self, now: Anchor) -> io::Result<()> {
        let facts = std::mem::take(&mut self.facts);
        let sent = self.send(BlockKind::Facts, now, RecordRange::default(), facts.as_bytes());
        self.facts = facts;
        sent
    }

    /// Takes what was published before the call to the sink. Returns how full the fullest ring was, from 0 to 1.
    pub(super) fn drain(&mut self, round: Round) -> io::Result<f64> {
        // A ring registered after this holds nothing that was published before the call.
        self.admit_newcomers();
        let targets: Vec<Target> = self.rings.iter().map(Ring::target).collect();
        let fullest = self.rings.iter().zip(&targets).map(|(ring, target)| ring.fill(target)).fold(0.0, f64::max);
        // Again: now the owners of everything below those tails are known.
        self.admit_newcomers();
        self.look_after_files();
        let drained = self.drain_to(&targets, round);
        let result = drained.and_then(|()| if self.sync.is_due() { self.sync() } else { Ok(()) });
        if let Err(error) = &result {
            self.status.write_errors += 1;
            self.status.last_error = error.raw_os_error().unwrap_or(0) as u64;
        }
        self.last_error = result.as_ref().err().map(io::Error::to_string);
        self.update_status(StatusState::Recording);
        result.map(|()| fullest)
    }

    /// Makes everything that was sent survive a loss of power.
    pub(super) fn sync(&mut self) -> io::Result<()> {
        if self.status.synced < self.status.flushed {
            ask_sink(|| self.sink.sync())?;
            self.status.synced = self.status.flushed;
        }
        Ok(())
    }

    /// Has spans watched for being slow, from now on.
    pub(super) fn watch(&mut self, slow: Option<SlowWatch>) {
        self.slow = slow;
    }

    /// What was slow since the last call.
    pub(super) fn take_slow(&mut self) -> Option<String> {
        self.slow.as_mut().and_then(SlowWatch::take)
    }

    /// Copies what the rings hold, in flight discipline; nothing in them changes by that.
    pub(super) fn capture(&mut self, extent: Extent) -> Capture {
        // As in a round: whoever wrote what is below these tails is known after them.
        self.admit_newcomers();
        let targets: Vec<Target> = self.rings.iter().map(Ring::target).collect();
        self.admit_newcomers();
        let open = self.carry.records().map(|record| (record.range, record.slots.clone())).collect();
        let mut capture = Capture::new(anchor(), open, self.status.unscanned);
        for (ring, target) in self.rings.iter_mut().zip(&targets) {
            ring.see_recent(target);
            capture.add(ring, target, extent.since);
        }
        capture.limit(extent.bytes);
        capture
    }

    /// The last round: nobody records any more.
    pub(super) fn finish(&mut self) -> io::Result<()> {
        self.drain(Round::Everything)?;
        self.tell_counts(anchor(), |ring| ring.next_record > 0)?;
        self.send(BlockKind::End, anchor(), RecordRange::default(), &[])?;
        if self.sync.syncs_sealed() {
            self.sync()?;
        }
        ask_sink(|| self.sink.finish())?;
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

    /// If files were cut off or removed, what they said about threads and names is said again in the next one.
    fn look_after_files(&mut self) {
        let spoiled = self.sink.spoiled_files() + self.cut_off();
        if spoiled == std::mem::replace(&mut self.spoiled, spoiled) {
            return;
        }
        self.names = Scanner::default();
        for ring in &self.rings {
            let owners = [&ring.owner].into_iter().chain(&ring.next_owners);
            self.threads.extend(owners.filter(|owner| owner.thread.id > 0).cloned());
        }
        let home = &self.session.rings;
        let has_no_file = |ring: &&Ring| !home.path(ring.number).is_none_or(|path| path.exists());
        self.removed_rings = self.rings.iter().filter(has_no_file).count() as u64;
    }

    fn cut_off(&self) -> u64 {
        cut_off() - self.cut_off_before
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
        let mut drain_rings = || -> io::Result<()> {
            for (ring, target) in rings.iter_mut().zip(targets) {
                ring.see_recent(target);
                if ring.consumer.when_full() == WhenFull::OverwriteOldest {
                    self.scan(ring, target, now)?;
                }
                if round == Round::Everything || ring.consumer.when_full() == WhenFull::DropNewest {
                    self.drain_ring(ring, target, now)?;
                }
            }
            Ok(())
        };
        let result = drain_rings();
        self.rings = rings;
        result?;
        self.carry.end_step();
        if self.session.rings.discipline == Discipline::Flight {
            if let Some(slow) = &mut self.slow {
                slow.look_at_open(self.carry.begins().map(|begin| &begin.slots[..]), now.ticks, &self.session);
            }
            self.carry_threatened(now)?;
        }
        self.retire(now)
    }

    /// Flight discipline: looks at what was written since the last round for begins, ends and attributes. Threads whose slots are all
    /// overwritten hand their ring over.
    fn scan(&mut self, ring: &mut Ring, target: &Target, now: Anchor) -> io::Result<()> {
        let mut buffer = std::mem::take(&mut self.buffer);
        while ring.scanned.0 < target.tail {
            // No more at once than stays in the cache until the begins among it are looked at again.
            let from = ring.scanned.0.max(target.tail.saturating_sub(ring.consumer.capacity()));
            self.scan_part(ring, from..target.tail.min(from + MOST_MARKS as u64), &mut buffer);
        }
        self.buffer = buffer;
        let overwritten = target.tail.saturating_sub(ring.consumer.capacity());
        while ring.end_of_owner() <= overwritten {
            ring.position = ring.end_of_owner();
            self.hand_over(ring, now)?;
        }
        Ok(())
    }

    fn scan_part(&mut self, ring: &mut Ring, positions: Range<u64>, buffer: &mut Vec<u64>) {
        let (scanned, next_record) = ring.scanned;
        let seen = ring.consumer.snapshot_words(positions, MARK_WORDS, buffer);
        if let Some(slow) = &mut self.slow {
            slow.look(&ring.consumer, seen.clone(), &self.session);
        }
        let counted = Counted::of(buffer, MARK_WORDS.len(), ring.recent_record, next_record);
        if seen.start > scanned {
            // What came round before anyone looked may have begun spans that are still open, or ended some.
            ring.overtaken = true;
            self.carry.doubt();
        }
        if !seen.is_empty() && std::mem::take(&mut ring.overtaken) {
            self.status.unscanned += counted.first_record.saturating_sub(next_record);
        }
        let mut position = seen.start;
        let mut rest: &[Mark] = bytemuck::cast_slice(buffer);
        let mut slots = Vec::new();
        while !rest.is_empty() {
            let (thread, end) = ring.writer_of(position);
            let (part, after) = rest.split_at(rest.len().min((end - position) as usize));
            let range = RecordRange {
                thread,
                ring: ring.number,
                first_record: ring.recent_record,
                position,
                ..RecordRange::default()
            };
            self.status.unscanned += self.carry.note(part, range, None, |index, count| {
                let first = position + index as u64;
                let wanted = first..first + count as u64;
                (ring.consumer.snapshot(wanted.clone(), &mut slots) == wanted)
                    .then(|| bytemuck::cast_slice(&slots).to_vec())
            });
            position += part.len() as u64;
            rest = after;
        }
        ring.scanned = (seen.end, counted.next_record);
    }

    /// Writes records of open spans again that their rings, in flight discipline, are about to overwrite.
    fn carry_threatened(&mut self, now: Anchor) -> io::Result<()> {
        let safe_from: HashMap<u32, u64> = self
            .rings
            .iter()
            .map(|ring| (ring.number, ring.scanned.0 - ring.scanned.0.min(ring.consumer.capacity() / 2)))
            .collect();
        let threatened = self.carry.threatened(|ring| safe_from.get(&ring).copied().unwrap_or(0));
        self.send_carried(&threatened, now)
    }

    fn send_carried(&mut self, records: &[Which], now: Anchor) -> io::Result<()> {
        for which in records {
            let Some(record) = self.carry.record(*which) else { continue };
            let (range, slots) = (record.range, record.slots.clone());
            let block = self.blocks;
            self.send(BlockKind::Carried, now, range, bytemuck::cast_slice(&slots))?;
            self.carry.carried(*which, block);
        }
        Ok(())
    }

    /// Retires the oldest segments while the directory holds more than it should.
    fn retire(&mut self, now: Anchor) -> io::Result<()> {
        // Only a new segment changes what is stored.
        if self.sink.stored_bytes() == self.stored_before {
            return Ok(());
        }
        let result = self.make_room(now);
        self.stored_before = self.sink.stored_bytes();
        result
    }

    fn make_room(&mut self, now: Anchor) -> io::Result<()> {
        loop {
            let bytes = self.sink.stored_bytes() + self.session.mapped_bytes();
            let Some(retention) = &mut self.retention else { return Ok(()) };
            if retention.make_room(bytes) {
                return Ok(());
            }
            let Some(path) = self.sink.oldest_file() else { return Ok(()) };
            self.retire_segment(&path, now)?;
        }
    }

    /// Writes again what has to be kept of the oldest segment, and removes it. Which spans are open is known already.
    fn retire_segment(&mut self, path: &Path, now: Anchor) -> io::Result<()> {
        let leftover = match Leftover::of(path) {
            // Someone else was quicker.
            Err(error) if error.kind() == io::ErrorKind::NotFound => Leftover::default(),
            leftover => leftover?,
        };
        self.blocks_of_threads.retain(|_, block| *block > leftover.last_block);
        let with_open_spans = self.carry.threads();
        for (id, thread) in &leftover.threads {
            let owns_a_ring = |ring: &Ring| {
                ring.owner.thread.id == *id || ring.next_owners.iter().any(|owner| owner.thread.id == *id)
            };
            if self.blocks_of_threads.contains_key(id)
                || with_open_spans.contains(id)
                || self.rings.iter().any(owns_a_ring)
            {
                self.send(BlockKind::Thread, now, RecordRange::default(), thread.encode().as_bytes())?;
            }
        }
        let carried = self.carry.in_blocks_up_to(leftover.last_block);
        self.send_carried(&carried, now)?;
        // A ring of which no block is left would leave its records uncounted.
        self.tell_counts(now, |ring| ring.last_block <= leftover.last_block && ring.next_record > 0)
            .and_then(|()| self.sink.retire_oldest_file())
    }

    /// Says of these rings how many records there were, in blocks without any: so that damage before them can be counted.
    fn tell_counts(&mut self, now: Anchor, of: impl Fn(&Ring) -> bool) -> io::Result<()> {
        let mut rings = std::mem::take(&mut self.rings);
        let told = rings.iter_mut().filter(|ring| of(ring)).try_for_each(|ring| {
            self.send(BlockKind::Records, now, ring.range(ring.next_record, ring.next_record, ring.lost), &[])?;
            ring.last_block = self.blocks - 1;
            Ok(())
        });
        self.rings = rings;
        told
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
        // A thread may have come and lost everything, without a single slot.
        self.hand_over(ring, now)?;
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
            // The mirror first: who reads the ring's file then knows of every slot that may be overwritten.
            ring.mirror();
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
            ring.hand_to_next();
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
        (ring.next_record, ring.lost, ring.last_block) = (until, lost, self.blocks - 1);
        Ok(())
    }

    /// Sends as many whole records as `words` begins with.
    fn send_records(&mut self, ring: &mut Ring, words: &[u64], now: Anchor) -> io::Result<()> {
        let counted = Counted::of(words, SLOT_WORDS, ring.recent_record, ring.next_record);
        let lost = counted.next_record.saturating_sub(ring.next_record).saturating_sub(counted.records);
        let range = ring.range(counted.first_record, counted.next_record, ring.lost + lost);
        let payload = &words[..counted.slots * SLOT_WORDS];
        self.send(BlockKind::Records, now, range, bytemuck::cast_slice(payload))?;
        ring.last_block = self.blocks - 1;
        if self.retention.is_some() {
            self.blocks_of_threads.insert(range.thread, ring.last_block);
            if ring.consumer.when_full() == WhenFull::DropNewest {
                self.note_written(payload, range, ring.last_block, lost);
            }
        }
        self.status.flushed += counted.records;
        self.status.lost += lost;
        ring.position += counted.slots as u64;
        ring.lost += lost;
        ring.next_record = counted.next_record;
        Ok(())
    }

    /// Drain discipline: looks for what has to be written again when this block goes, while it is in the cache.
    fn note_written(&mut self, words: &[u64], range: RecordRange, block: u64, lost: u64) {
        self.carry.note_slots(bytemuck::cast_slice(words), range, Some(block));
        if lost > 0 {
            self.carry.doubt();
        }
    }

    fn send(&mut self, kind: BlockKind, anchor: Anchor, records: RecordRange, payload: &[u8]) -> io::Result<()> {
        let block = Block { kind, number: self.blocks, anchor, records, payload };
        ask_sink(|| self.sink.write(block))?;
        self.blocks += 1;
        if self.sink.file() != self.file {
            self.file = self.sink.file();
            // So that any segment can be read without the others. Without them, should the disk be full by now, it still can with.
            let _ = self.send_facts(anchor);
        }
        Ok(())
    }

    fn update_status(&mut self, state: StatusState) {
        let spoiled = self.cut_off() + self.sink.spoiled_files();
        let status = &mut self.status;
        status.updates += 1;
        status.state = state;
        status.anchor = anchor();
        status.refused = REFUSED.load(Ordering::Relaxed) - self.refused_before;
        status.names_lost = self.session.names.lost();
        status.waits = self.session.waits.load(Ordering::Relaxed);
        status.spoiled_files = spoiled;
        if let Some(file) = &self.status_file {
            store_status(file, status);
        }
    }
}

/// A sink that panics has failed, like one that returns an error: the recording goes on.
fn ask_sink(call: impl FnOnce() -> io::Result<()>) -> io::Result<()> {
    let panicked = |_| Err(io::Error::other("the sink panicked"));
    catch_unwind(AssertUnwindSafe(call)).unwrap_or_else(panicked)
}
