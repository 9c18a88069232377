//! A ring as the drainer sees it: how far it was sent, scanned and accounted for.

use super::thread::RingConsumer;
use crate::events::{Head, extend_record_number};
use crate::format::ThreadFacts;
use crate::format::block::RecordRange;
use crate::format::ring_file::{FLUSHED_POSITION_WORD, FLUSHED_RECORD_WORD, Owner, RECENT_RECORD_WORD};
use crate::queue::WhenFull;
use crate::sync::Ordering;
use std::collections::VecDeque;

/// A ring as the drainer sees it.
pub(super) struct Ring {
    pub(super) number: u32,
    pub(super) consumer: RingConsumer,
    /// Threads before the owner of which some slots may still be in the ring, in flight discipline; oldest first.
    past_owners: VecDeque<Owner>,
    /// The thread whose slots come next.
    pub(super) owner: Owner,
    /// Those that follow, each from its position on.
    pub(super) next_owners: VecDeque<Owner>,
    /// Slots below were sent, or are lost.
    pub(super) position: u64,
    /// Records below were sent, or are lost.
    pub(super) next_record: u64,
    /// Records lost so far.
    pub(super) lost: u64,
    /// Number of some record seen lately.
    pub(super) recent_record: u64,
    /// The last block that says how many records there were.
    pub(super) last_block: u64,
    /// Flight discipline: slots below were looked at for begins and ends, and records below this number.
    pub(super) scanned: (u64, u64),
    /// Flight discipline: some came round unseen, and no record since tells how many.
    pub(super) overtaken: bool,
}

/// How far to drain a ring in this round.
pub(super) struct Target {
    pub(super) tail: u64,
    pub(super) drop_mark: u64,
}

impl Ring {
    pub(super) fn new(number: u32, consumer: RingConsumer) -> Ring {
        let owner = Owner { thread: ThreadFacts::default(), position: 0, record_number: 0 };
        let next_owners = VecDeque::new();
        Ring {
            number,
            consumer,
            past_owners: VecDeque::new(),
            owner,
            next_owners,
            position: 0,
            next_record: 0,
            lost: 0,
            recent_record: 0,
            last_block: 0,
            scanned: (0, 0),
            overtaken: false,
        }
    }

    /// The drop mark is read first: records below it are then below the tail, or were dropped.
    pub(super) fn target(&self) -> Target {
        let drop_mark = self.consumer.drop_mark();
        Target { tail: self.consumer.published().end, drop_mark }
    }

    /// How much of the ring was written since it was drained or scanned, as a part of its size.
    pub(super) fn fill(&self, target: &Target) -> f64 {
        let seen = match self.consumer.when_full() {
            WhenFull::DropNewest => self.position,
            WhenFull::OverwriteOldest => self.scanned.0,
        };
        target.tail.saturating_sub(seen) as f64 / self.consumer.capacity() as f64
    }

    /// The thread that wrote the slot at `position`, which was not handed over yet; and where its slots end.
    pub(super) fn writer_of(&self, position: u64) -> (u32, u64) {
        let before = self.next_owners.iter().take_while(|owner| owner.position <= position).last();
        let after = self.next_owners.iter().find(|owner| owner.position > position);
        (before.unwrap_or(&self.owner).thread.id, after.map_or(u64::MAX, |owner| owner.position))
    }

    /// Makes the next thread the owner, if there is one.
    pub(super) fn hand_to_next(&mut self) {
        let Some(next) = self.next_owners.pop_front() else { return };
        let past = std::mem::replace(&mut self.owner, next);
        if self.consumer.when_full() == WhenFull::DropNewest {
            return;
        }
        // One that wrote nothing has no slots in the ring; each of the others has one at least, so there are not many.
        if past.position < self.owner.position {
            self.past_owners.push_back(past);
        }
        let overwritten = self.consumer.published().end.saturating_sub(self.consumer.capacity());
        let end_of_first = |ring: &Ring| ring.past_owners.get(1).unwrap_or(&ring.owner).position;
        while !self.past_owners.is_empty() && end_of_first(self) <= overwritten {
            self.past_owners.pop_front();
        }
    }

    /// The threads of which some slots may be in the ring, each with the position of its first; in order.
    pub(super) fn owners(&self) -> impl Iterator<Item = &Owner> {
        self.past_owners.iter().chain(std::iter::once(&self.owner)).chain(&self.next_owners)
    }

    /// Position at which the owner's slots end, as far as is known.
    pub(super) fn end_of_owner(&self) -> u64 {
        self.next_owners.front().map_or(u64::MAX, |next| next.position)
    }

    pub(super) fn range(&self, first_record: u64, next_record: u64, lost: u64) -> RecordRange {
        let (thread, position) = (self.owner.thread.id, self.position);
        RecordRange { thread, ring: self.number, first_record, next_record, lost, position }
    }

    /// Keeps a whole record number not too far from the newest, by which a reader of the ring's file can extend low halves.
    pub(super) fn see_recent(&mut self, target: &Target) {
        if let Some(newest) = target.tail.checked_sub(1) {
            let low = Head(self.consumer.first_word(newest)).record_number_low();
            self.recent_record = extend_record_number(low, self.recent_record);
        }
        self.consumer.storage().memory().word(RECENT_RECORD_WORD).store(self.recent_record, Ordering::Relaxed);
    }

    /// Tells readers of the ring's file what they need not take from it.
    pub(super) fn mirror(&self) {
        let memory = self.consumer.storage().memory();
        memory.word(FLUSHED_RECORD_WORD).store(self.next_record, Ordering::Relaxed);
        memory.word(FLUSHED_POSITION_WORD).store(self.position, Ordering::Release);
    }
}

/// What a run of slots holds.
pub(super) struct Counted {
    pub(super) slots: usize,
    pub(super) records: u64,
    pub(super) first_record: u64,
    pub(super) next_record: u64,
}

impl Counted {
    /// Counts the whole records that `words` begins with, of which every `width`-th is the first of a slot. Their numbers are near
    /// `near`, and none is below `floor`.
    ///
    /// The slots may have been scribbled on: whatever they hold, at least one slot is taken, and the numbers do not go back.
    pub(super) fn of(words: &[u64], width: usize, near: u64, floor: u64) -> Counted {
        let heads = || words.iter().step_by(width).map(|word| Head(*word));
        let all = words.len() / width;
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
