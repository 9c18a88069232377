//! The drainer's side of a ring in drain discipline, in the steps of the flusher.

use crate::{Consumer, Record, WIDTH, records};

/// A consumer and its account: as much of the flusher as concerns one ring.
pub struct Drain {
    consumer: Consumer,
    /// Slots below were read.
    position: u64,
    /// Records below were read, or are lost.
    next_record: u64,
    read: Vec<Record>,
    lost: u64,
}

/// How far to drain.
#[derive(Clone, Copy, Debug)]
pub struct Target {
    /// Slots below are published.
    pub tail: u64,
    /// Records below are published below `tail`, or were dropped.
    pub drop_mark: u64,
}

impl Drain {
    pub(crate) fn new(consumer: Consumer) -> Drain {
        Drain { consumer, position: 0, next_record: 0, read: Vec::new(), lost: 0 }
    }

    /// The ring's end.
    pub fn consumer(&self) -> &Consumer {
        &self.consumer
    }

    /// How far to drain in this round: the drop mark first, and then the tail.
    pub fn target(&self) -> Target {
        let drop_mark = self.consumer.drop_mark();
        Target { tail: self.consumer.published().end, drop_mark }
    }

    /// Drains up to `target` and accounts for every record below its drop mark. Returns what was read.
    ///
    /// # Panics
    /// If a record is torn, incomplete or out of order, if the producer could still write to a slot that is read, or if the
    /// account does not balance.
    pub fn drain_to(&mut self, target: Target) -> Vec<Record> {
        let range = self.position..target.tail;
        assert!(range.end - range.start <= self.consumer.capacity(), "{range:?} is more than the ring holds");
        let mut words = Vec::new();
        self.consumer.copy(range.clone(), &mut words);
        for (position, copied) in range.clone().zip(words.chunks_exact(WIDTH)) {
            let plain = self.consumer.storage().read_plainly(position);
            assert_eq!(plain, copied, "slot {position} changed while it was the consumer's");
        }
        let (whole, cut_off) = records(&words);
        assert_eq!(cut_off, 0, "{range:?} begins in the middle of a record");
        for record in &whole {
            assert!(record.number >= self.next_record, "{record:?} was read or counted as lost before");
            self.lost += record.number - self.next_record;
            self.next_record = record.number + 1;
        }
        self.position = target.tail;
        self.consumer.give_back(target.tail);
        self.lost += target.drop_mark.saturating_sub(self.next_record);
        self.next_record = self.next_record.max(target.drop_mark);
        self.read.extend(&whole);
        whole
    }

    /// One round.
    ///
    /// # Panics
    /// As [`Drain::drain_to`].
    pub fn drain(&mut self) -> Vec<Record> {
        self.drain_to(self.target())
    }

    /// Slots below were read.
    pub fn position(&self) -> u64 {
        self.position
    }

    /// Everything read so far.
    pub fn read(&self) -> &[Record] {
        &self.read
    }

    /// Records lost so far.
    pub fn lost(&self) -> u64 {
        self.lost
    }

    /// After the last round: every one of `recorded` records was read or counted as lost, and the ring has nothing more.
    ///
    /// # Panics
    /// If not.
    pub fn assert_all_accounted_for(&self, recorded: u64) {
        assert_eq!(self.read.len() as u64 + self.lost, recorded, "read {:?}, lost {}", self.read, self.lost);
        assert_eq!(self.next_record, recorded);
        assert_eq!(
            self.consumer.published(),
            self.position..self.position,
            "something slipped in behind the last round"
        );
    }
}
