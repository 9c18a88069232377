//! The rings of a session, and which thread owns which. A ring whose thread has ended goes to the next new thread, so there are
//! as many as threads ever recorded at the same time.

use super::thread::{RingConsumer, ThreadLog};
use crate::format::ThreadFacts;
use crate::format::ring_file::{OWNER_COUNT_WORD, Owner};
use crate::sync::Ordering;
use std::collections::VecDeque;
use std::sync::Arc;

/// The rings of a session. Behind a mutex that only registration, thread exit and the flusher take.
#[derive(Default)]
pub(super) struct Pool {
    logs: Vec<Arc<ThreadLog>>,
    /// Logs whose thread has ended, the longest ago first: the likeliest to be drained.
    free: VecDeque<Arc<ThreadLog>>,
    newcomers: Newcomers,
    rings: u32,
    threads: u32,
    disbanded: bool,
}

/// Rings and owners registered since the flusher last asked.
#[derive(Default)]
pub(super) struct Newcomers {
    /// New rings, by number.
    pub(super) rings: Vec<(u32, RingConsumer)>,
    /// New owners, by ring number, in order.
    pub(super) owners: Vec<(u32, Owner)>,
}

impl Pool {
    /// A free log, made the calling thread's.
    pub(super) fn reuse(&mut self, facts: &ThreadFacts) -> Option<Arc<ThreadLog>> {
        if self.disbanded {
            return None;
        }
        let log = self.free.pop_front()?;
        self.own(&log, facts.clone());
        Some(log)
    }

    /// The number for a new ring, which [`Pool::add`] then adds. `None` if the recording is over.
    pub(super) fn next_ring(&mut self) -> Option<u32> {
        if self.disbanded {
            return None;
        }
        self.rings += 1;
        Some(self.rings - 1)
    }

    /// Adds a new log, made the calling thread's. `false` if the recording is over meanwhile.
    pub(super) fn add(&mut self, log: &Arc<ThreadLog>, consumer: RingConsumer, facts: ThreadFacts) -> bool {
        if self.disbanded {
            return false;
        }
        self.logs.push(Arc::clone(log));
        self.newcomers.rings.push((log.number, consumer));
        self.own(log, facts);
        true
    }

    /// The calling thread owns `log` from here on.
    fn own(&mut self, log: &ThreadLog, mut thread: ThreadFacts) {
        self.threads += 1;
        thread.id = self.threads;
        let producer = log.producer();
        let owner = Owner { thread, position: producer.position(), record_number: producer.record_number() };
        let memory = producer.storage().memory();
        let count = memory.word(OWNER_COUNT_WORD);
        // Relaxed: only registration writes it, under the pool's mutex; or someone who scribbles, and then it only has to be a number.
        let number = count.load(Ordering::Relaxed);
        for (index, word) in (Owner::word_index(number)..).zip(owner.encode()) {
            memory.word(index).store(word, Ordering::Relaxed);
        }
        // Release: a reader of the file that sees the count sees the owner; its checksum covers a writer killed before.
        count.store(number.wrapping_add(1), Ordering::Release);
        self.newcomers.owners.push((log.number, owner));
    }

    /// The thread of `log` has ended.
    pub(super) fn retire(&mut self, log: &Arc<ThreadLog>) {
        if !self.disbanded {
            self.free.push_back(Arc::clone(log));
        }
    }

    pub(super) fn logs(&self) -> Vec<Arc<ThreadLog>> {
        self.logs.clone()
    }

    pub(super) fn take_newcomers(&mut self) -> Newcomers {
        std::mem::take(&mut self.newcomers)
    }

    /// Forgets every log. Those that threads still hold go with their threads.
    pub(super) fn disband(&mut self) {
        self.disbanded = true;
        self.logs.clear();
        self.free.clear();
    }
}
