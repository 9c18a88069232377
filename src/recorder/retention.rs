//! How much of a recording directory is kept: dead sessions go first, oldest first; then the oldest segments of this one.
//!
//! What belongs to a living process, or to one that cannot be told to be dead, is never touched.

use crate::format::block::{BLOCK_HEADER_BYTES, BlockHeader, BlockKind};
use crate::format::file::FILE_HEADER_BYTES;
use crate::format::session_name::{REMOVED, process_of};
use crate::format::{FileHeader, FileKind, ProcessFacts, Status, StatusState, ThreadFacts, identity};
use std::collections::BTreeMap;
use std::fs::File;
use std::io::{self, BufReader, Read};
use std::path::{Path, PathBuf};

/// Sessions that a directory keeps, whatever their size: a service that crashes at once and is restarted makes many small ones.
pub(super) const MAX_SESSIONS: usize = 100;

/// The sessions of other processes and starts in the same directory.
pub(super) struct Retention {
    parent: PathBuf,
    own: PathBuf,
    budget: u64,
    /// Dead sessions and their sizes, the oldest last. They do not change any more.
    dead: Vec<(PathBuf, u64)>,
}

impl Retention {
    /// The sessions in `parent`, but for `own`, of which no more than `budget` bytes are to be kept together with its own, and no more
    /// than `most`, its own included.
    pub(super) fn new(parent: &Path, own: &Path, budget: u64, most: usize) -> Retention {
        let mut retention = Retention { parent: parent.to_owned(), own: own.to_owned(), budget, dead: Vec::new() };
        retention.look();
        while retention.dead.len() >= most && retention.remove_oldest() {}
        retention
    }

    /// Removes dead sessions until they and the `own_bytes` are within the budget, or none is left. Returns whether they are.
    pub(super) fn make_room(&mut self, own_bytes: u64) -> bool {
        let excess = |retention: &Retention| {
            let others: u64 = retention.dead.iter().map(|(_, bytes)| bytes).sum();
            others + own_bytes > retention.budget
        };
        if excess(self) {
            // A process may have died since.
            self.look();
        }
        while excess(self) && self.remove_oldest() {}
        !excess(self)
    }

    fn look(&mut self) {
        self.dead.clear();
        let entries = std::fs::read_dir(&self.parent).into_iter().flatten().flatten();
        for path in entries.map(|entry| entry.path()).filter(|path| *path != self.own) {
            match condition(&path) {
                Condition::Dead { rings } => {
                    let bytes = bytes_in(&path, |_| true) + rings.map_or(0, |rings| bytes_in(&rings, is_ring));
                    self.dead.push((path, bytes));
                }
                Condition::Remains => remove(&path),
                Condition::NotOurs => {}
            }
        }
        self.dead.sort_by(|a, b| b.cmp(a));
    }

    fn remove_oldest(&mut self) -> bool {
        let Some((path, _)) = self.dead.pop() else { return false };
        remove(&path);
        true
    }
}

/// What a directory beside the own session is.
enum Condition {
    /// A session that nobody writes any more, and where its rings are, if not in it.
    Dead { rings: Option<PathBuf> },
    /// What is left of a session that a dead process was creating, or removing. There is nothing in it to be read.
    Remains,
    /// Of a process that may be alive, or no session.
    NotOurs,
}

fn condition(directory: &Path) -> Condition {
    let name = directory.file_name().and_then(|name| name.to_str()).unwrap_or_default();
    if name.strip_suffix(REMOVED).is_some_and(|name| process_of(name).is_some()) {
        return Condition::Remains;
    }
    match facts_of(directory) {
        Some(facts) if is_dead(directory, &facts) => Condition::Dead { rings: ring_directory(directory, &facts) },
        None if process_of(name).is_some_and(is_gone) => match segments_in(directory).next() {
            // All that told of it is damaged.
            Some(_) => Condition::Dead { rings: None },
            None => Condition::Remains,
        },
        Some(_) | None => Condition::NotOurs,
    }
}

fn is_dead(directory: &Path, facts: &ProcessFacts) -> bool {
    let same_boot = facts.boot_id == identity::boot_id();
    let stopped = first_bytes(&directory.join(FileKind::Session.file_name(0)))
        .and_then(|bytes| Status::decode(&bytes))
        .is_some_and(|status| status.state == StatusState::Stopped);
    let alive = same_boot && identity::start_of(facts.pid) == Some(facts.process_start);
    // Without a start time there is no telling one process from another.
    stopped || (facts.process_start != 0 && !alive)
}

/// Whether a process that was creating a session is there no more. Its number may be another one's by now: then it is not told.
/// This process creates one at a time.
fn is_gone(pid: u32) -> bool {
    let own = std::process::id();
    pid == own || (identity::start_of(own).is_some() && identity::start_of(pid).is_none())
}

fn segments_in(directory: &Path) -> impl Iterator<Item = PathBuf> + use<> {
    let entries = std::fs::read_dir(directory).into_iter().flatten().flatten();
    entries.filter(|entry| entry.file_name().to_string_lossy().starts_with("segment-")).map(|entry| entry.path())
}

/// The facts in the session file, or in a segment if that file is lost.
fn facts_of(directory: &Path) -> Option<ProcessFacts> {
    let session_file = directory.join(FileKind::Session.file_name(0));
    facts_in(&session_file).or_else(|| segments_in(directory).find_map(|segment| facts_in(&segment)))
}

fn facts_in(file: &Path) -> Option<ProcessFacts> {
    let bytes = first_bytes(file)?;
    let blocks = bytes.get(FileHeader::decode(&bytes).ok()?.header_bytes as usize..)?;
    let header = BlockHeader::decode(blocks).ok()??;
    let payload = header.payload(blocks).ok()?;
    (header.kind == BlockKind::Facts).then(|| ProcessFacts::decode(&String::from_utf8_lossy(payload)))
}

/// Enough of a file to find its facts in. Of nothing but a file: opening a pipe would wait for a writer, for ever.
fn first_bytes(file: &Path) -> Option<Vec<u8>> {
    const ENOUGH: u64 = 64 << 10;
    let mut bytes = Vec::new();
    let file = file.is_file().then(|| File::open(file))?.ok()?;
    file.take(ENOUGH).read_to_end(&mut bytes).ok()?;
    Some(bytes)
}

/// Removes a session. What cannot be removed stays, and is met again at the next look; so is what is left if this process is
/// killed in between.
fn remove(session: &Path) {
    let mut removed = session.to_owned();
    if !session.as_os_str().to_string_lossy().ends_with(REMOVED) {
        let mut name = session.as_os_str().to_owned();
        name.push(REMOVED);
        removed = PathBuf::from(name);
        if std::fs::rename(session, &removed).is_err() {
            return;
        }
    }
    // Its rings first: without the session's facts nobody would find them.
    if let Some(rings) = facts_of(&removed).and_then(|facts| ring_directory(&removed, &facts)) {
        remove_ring_files(&rings);
    }
    let _ = std::fs::remove_dir_all(removed);
}

/// Where a session has its rings, if not beside its other files. The facts are only what some file says, so nothing but ring
/// files is looked at there, and only in a directory that has this session's name.
fn ring_directory(session: &Path, facts: &ProcessFacts) -> Option<PathBuf> {
    let name = session.file_name()?.to_str()?;
    let name = name.strip_suffix(REMOVED).unwrap_or(name);
    let elsewhere = !facts.ring_directory.is_empty() && facts.session == name;
    elsewhere.then(|| Path::new(&facts.ring_directory).join(name))
}

/// Removes the ring files in a directory, and the directory if nothing else is in it.
fn remove_ring_files(directory: &Path) {
    let entries = std::fs::read_dir(directory).into_iter().flatten().flatten();
    for path in entries.map(|entry| entry.path()).filter(|path| is_ring(path)) {
        let _ = std::fs::remove_file(path);
    }
    let _ = std::fs::remove_dir(directory);
}

/// Whether this is a ring file, or one that was being created.
fn is_ring(path: &Path) -> bool {
    let name = path.file_name().and_then(|name| name.to_str()).unwrap_or_default();
    name.starts_with("ring-") && (name.ends_with(".spanring") || name.ends_with(".new"))
}

fn bytes_in(directory: &Path, counts: impl Fn(&Path) -> bool) -> u64 {
    let entries = std::fs::read_dir(directory).into_iter().flatten().flatten();
    let files = entries.filter(|entry| counts(&entry.path()));
    files.filter_map(|entry| entry.metadata().ok()).map(|metadata| metadata.len()).sum()
}

/// What a segment held that has to be kept when it goes, beside the begins of open spans.
#[derive(Default)]
pub(super) struct Leftover {
    /// Number of its last block.
    pub(super) last_block: u64,
    /// Threads that were introduced in it.
    pub(super) threads: BTreeMap<u32, ThreadFacts>,
}

impl Leftover {
    /// Looks through the headers of a segment that is to be retired. It is this process's own: what does not decode was damaged by
    /// someone else, and is damaged no more when gone.
    pub(super) fn of(path: &Path) -> io::Result<Leftover> {
        let mut leftover = Leftover::default();
        let mut file = BufReader::new(File::open(path)?);
        file.seek_relative(FILE_HEADER_BYTES as i64)?;
        let mut block = Vec::new();
        loop {
            block.clear();
            file.by_ref().take(BLOCK_HEADER_BYTES as u64).read_to_end(&mut block)?;
            let Ok(Some(header)) = BlockHeader::decode(&block) else { return Ok(leftover) };
            leftover.last_block = header.number;
            let rest = header.block_bytes() - BLOCK_HEADER_BYTES;
            if header.kind != BlockKind::Thread {
                // What is still in the buffer is not read again.
                file.seek_relative(rest as i64)?;
                continue;
            }
            file.by_ref().take(rest as u64).read_to_end(&mut block)?;
            if let Ok(payload) = header.payload(&block) {
                let facts = ThreadFacts::decode(&String::from_utf8_lossy(payload));
                leftover.threads.insert(facts.id, facts);
            }
        }
    }
}
