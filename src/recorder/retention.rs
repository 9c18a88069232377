//! How much of a recording directory is kept: dead sessions go first, oldest first; then the oldest segments of this one.
//!
//! What belongs to a living process, or to one that cannot be told to be dead, is never touched.

use crate::format::block::{BlockHeader, BlockKind};
use crate::format::file::FILE_HEADER_BYTES;
use crate::format::session_file::{SESSION_HEADER_BYTES, Status};
use crate::format::{FileHeader, FileKind, ProcessFacts, StatusState, identity};
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
    /// The sessions in `parent`, but for `own`, of which no more than `budget` bytes are to be kept together with its own.
    pub(super) fn new(parent: &Path, own: &Path, budget: u64) -> Retention {
        let mut retention = Retention { parent: parent.to_owned(), own: own.to_owned(), budget, dead: Vec::new() };
        retention.look();
        while retention.dead.len() >= MAX_SESSIONS {
            retention.remove_oldest();
        }
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
        let entries = std::fs::read_dir(&self.parent).into_iter().flatten().flatten();
        let sessions = entries.map(|entry| entry.path()).filter(|path| *path != self.own && is_dead(path));
        self.dead = sessions.map(|path| (path.clone(), bytes_in(&path))).collect();
        self.dead.sort_by(|a, b| b.cmp(a));
    }

    fn remove_oldest(&mut self) -> bool {
        let Some((path, _)) = self.dead.pop() else { return false };
        // Its rings first: without the session's facts nobody would find them. The facts are only what some file says, so nothing
        // but ring files is removed there, and only from a directory that has this session's name.
        let facts = facts_of(&path).filter(|facts| path.file_name().is_some_and(|name| name == facts.session.as_str()));
        if let Some(rings) = facts.and_then(|facts| ring_directory(&facts)) {
            remove_ring_files(&rings);
        }
        // What cannot be removed stays, and is met again at the next look.
        let _ = std::fs::remove_dir_all(path);
        true
    }
}

/// Whether this is the directory of a session that nobody writes any more.
fn is_dead(directory: &Path) -> bool {
    let Some(facts) = facts_of(directory) else { return false };
    let same_boot = facts.boot_id == identity::boot_id();
    let stopped = std::fs::read(directory.join(FileKind::Session.file_name(0)))
        .ok()
        .and_then(|bytes| Status::decode(&bytes))
        .is_some_and(|status| status.state == StatusState::Stopped);
    let alive = same_boot && identity::start_of(facts.pid) == Some(facts.process_start);
    // Without a start time there is no telling one process from another.
    stopped || (facts.process_start != 0 && !alive)
}

fn facts_of(directory: &Path) -> Option<ProcessFacts> {
    let bytes = std::fs::read(directory.join(FileKind::Session.file_name(0))).ok()?;
    FileHeader::decode(&bytes).ok().filter(|header| header.kind == FileKind::Session)?;
    let blocks = bytes.get(SESSION_HEADER_BYTES..)?;
    let header = BlockHeader::decode(blocks).ok()??;
    let payload = header.payload(blocks).ok()?;
    (header.kind == BlockKind::Facts).then(|| ProcessFacts::decode(&String::from_utf8_lossy(payload)))
}

fn ring_directory(facts: &ProcessFacts) -> Option<PathBuf> {
    (!facts.ring_directory.is_empty()).then(|| Path::new(&facts.ring_directory).join(&facts.session))
}

/// Removes the ring files in a directory, and the directory if nothing else is in it.
fn remove_ring_files(directory: &Path) {
    let is_ring = |path: &Path| {
        let name = path.file_name().and_then(|name| name.to_str()).unwrap_or_default();
        name.starts_with("ring-") && name.ends_with(".spanring")
    };
    let entries = std::fs::read_dir(directory).into_iter().flatten().flatten();
    for path in entries.map(|entry| entry.path()).filter(|path| is_ring(path)) {
        // What cannot be removed is met again at the next look.
        let _ = std::fs::remove_file(path);
    }
    let _ = std::fs::remove_dir(directory);
}

fn bytes_in(directory: &Path) -> u64 {
    let entries = std::fs::read_dir(directory).into_iter().flatten().flatten();
    entries.filter_map(|entry| entry.metadata().ok()).map(|metadata| metadata.len()).sum()
}

/// The blocks of a segment, as words.
pub(super) fn blocks_of(path: &Path) -> std::io::Result<Vec<u64>> {
    let bytes = std::fs::read(path)?;
    let blocks = bytes.get(FILE_HEADER_BYTES..).unwrap_or_default();
    let mut words = vec![0; blocks.len() / size_of::<u64>()];
    let whole = words.len() * size_of::<u64>();
    bytemuck::cast_slice_mut(&mut words).copy_from_slice(&blocks[..whole]);
    Ok(words)
}
