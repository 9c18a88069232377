//! A recording, read whole.

use crate::outcome::{Trouble, ensure};
use spanring::reader::{
    Damage, Event, NameState, Outcome, Phase, Recording, SpanRecord, Summary, ThreadFacts, WriterState,
};
use std::collections::{BTreeMap, HashSet};
use std::path::Path;

/// A span record that owns what it says.
#[derive(Clone, Debug, PartialEq)]
pub struct Record {
    pub phase: Phase,
    pub thread: u32,
    pub number: u64,
    pub unix_ns: u64,
    pub span_id: u64,
    pub parent: u64,
    pub depth: u16,
    pub outcome: Option<Outcome>,
    pub polls: u32,
    pub name: String,
    pub name_state: NameState,
    pub line: u32,
}

impl From<SpanRecord<'_>> for Record {
    fn from(record: SpanRecord<'_>) -> Record {
        Record {
            phase: record.phase,
            thread: record.thread,
            number: record.record_number,
            unix_ns: record.unix_ns,
            span_id: record.span_id,
            parent: record.parent_span_id,
            depth: record.depth,
            outcome: record.outcome,
            polls: record.polls,
            name: record.name.to_owned(),
            name_state: record.name_state,
            line: record.location.map_or(0, |location| location.line),
        }
    }
}

/// All there is in a recording.
pub struct Contents {
    pub writer: WriterState,
    pub records: Vec<Record>,
    pub threads: Vec<ThreadFacts>,
    /// Records lost, by thread.
    pub lost: BTreeMap<u32, u64>,
    pub damages: Vec<Damage>,
    pub summary: Summary,
}

impl Contents {
    /// Reads the newest session in `path`.
    pub fn read(path: &Path) -> Result<Contents, Trouble> {
        Contents::of(&Recording::open(path)?)
    }

    /// Reads a recording, and checks that its summary says what was visited.
    pub fn of(recording: &Recording) -> Result<Contents, Trouble> {
        let (mut records, mut threads, mut damages) = (Vec::new(), Vec::new(), Vec::new());
        let (mut lost, mut others) = (BTreeMap::new(), 0);
        let summary = recording.read(&mut |event| match event {
            Event::Span(record) => records.push(Record::from(record)),
            Event::Thread(facts) => threads.push(facts.clone()),
            Event::Loss(loss) => *lost.entry(loss.thread).or_default() += loss.records,
            Event::Damage(damage) => damages.push(damage),
            _ => others += 1,
        })?;
        let visited = (records.len() as u64 + others, lost.values().sum::<u64>(), damages.len() as u64);
        let carried = summary.carried + summary.carried_attributes;
        let said = (summary.records - summary.unknown + carried, summary.lost + summary.retired, summary.damages);
        ensure!(visited == said, "the summary says {said:?} and {visited:?} were visited");
        // Begins that were carried forward come after what was recorded after them.
        if summary.carried > 0 {
            records.sort_by_key(|record| (record.thread, record.number));
        }
        Ok(Contents { writer: recording.writer(), records, threads, lost, damages, summary })
    }

    /// Checks what holds in any undamaged recording: nothing torn, nothing twice, numbers that rise within each thread.
    pub fn check_sound(&self) -> Result<(), Trouble> {
        ensure!(self.damages.is_empty() && self.summary.unknown == 0, "damage: {:?}", self.damages.first());
        let mut seen = HashSet::new();
        let mut last: BTreeMap<u32, (u64, u64)> = BTreeMap::new();
        for record in &self.records {
            ensure!(seen.insert((record.thread, record.number)), "twice: {record:?}");
            let now = (record.number, record.unix_ns);
            if let Some(before) = last.insert(record.thread, now) {
                ensure!(before.0 < now.0 && before.1 <= now.1, "out of order after {before:?}: {record:?}");
            }
        }
        Ok(())
    }

    /// The thread of that name.
    pub fn thread(&self, name: &str) -> Option<u32> {
        self.threads.iter().find(|thread| thread.name == name).map(|thread| thread.id)
    }

    /// Records read and lost of a thread.
    pub fn counts(&self, thread: u32) -> (u64, u64) {
        let read = self.records.iter().filter(|record| record.thread == thread).count() as u64;
        (read, self.lost.get(&thread).copied().unwrap_or(0))
    }

    /// Records read with this name and phase.
    pub fn named(&self, name: &str, phase: Phase) -> Vec<&Record> {
        self.records.iter().filter(|record| record.name == name && record.phase == phase).collect()
    }
}
