//! The session file: what it says, and what is wrong with it.

use super::error::ReadError;
use super::recording::{files_of, id_in, take_facts};
use super::ring::Problem;
use super::segment::{Step, describe, file_header_in, read_words, walk};
use crate::format::file::FILE_HEADER_BYTES;
use crate::format::session_file::SESSION_HEADER_BYTES;
use crate::format::{FileHeader, FileKind, FormatError, ProcessFacts, SessionId, Status};
use std::io;
use std::path::Path;

/// How often the file is read, until no copy of the status is seen half written.
const TRIES: usize = 4;

/// What the session file says.
#[derive(Default)]
pub(super) struct SessionFile {
    pub(super) id: Option<SessionId>,
    pub(super) facts: Option<ProcessFacts>,
    pub(super) status: Option<Status>,
    /// No later status can be lost with a part of the file. Without a status: there never was one.
    pub(super) is_last: bool,
    pub(super) problems: Vec<Problem>,
    /// Why it does not even say which session it is of.
    pub(super) trouble: Option<ReadError>,
}

impl SessionFile {
    /// Reads that of a session. That it is missing is no problem: a segment is a recording without it.
    pub(super) fn read(session: &Path) -> SessionFile {
        let path = session.join(FileKind::Session.file_name(0));
        let mut words = read_words(&path);
        for _ in 1..TRIES {
            let Some(before) = words.as_ref().ok().filter(|words| is_torn(bytemuck::cast_slice(words))) else { break };
            let now = read_words(&path);
            // Nobody is writing it.
            let is_same = now.as_ref().is_ok_and(|now| now == before);
            words = now;
            if is_same {
                break;
            }
        }
        let mut file = SessionFile::default();
        let words = match words {
            Ok(words) => words,
            Err(error) => {
                let is_missing =
                    matches!(&error, ReadError::Io { source, .. } if source.kind() == io::ErrorKind::NotFound);
                if !is_missing {
                    file.refuse(error, length_of(&path));
                }
                return file;
            }
        };
        match header_of(session, &path, &words) {
            Ok(header) => file.id = Some(header.session),
            // Status, facts and self-description have checksums of their own.
            Err(error @ ReadError::Format { offset: 0, source: FormatError::Damaged { .. }, .. }) => {
                file.refuse(error, FILE_HEADER_BYTES as u64);
            }
            Err(error) => {
                file.refuse(error, length_of(&path));
                return file;
            }
        }
        file.take(bytemuck::cast_slice(&words));
        file
    }

    /// Takes what stands behind the header.
    fn take(&mut self, bytes: &[u8]) {
        self.status = Status::decode(bytes);
        self.is_last = !is_torn(bytes);
        let status = FILE_HEADER_BYTES as u64..(SESSION_HEADER_BYTES.min(bytes.len())) as u64;
        let mut add = |offset, bytes, what| self.problems.push(Problem { offset, bytes, what });
        if bytes.len() < SESSION_HEADER_BYTES {
            add(status.start, status.end - status.start, "the file is cut off in its status");
        } else if self.status.is_none() && !self.is_last {
            add(status.start, status.end - status.start, "no copy of the status is whole");
        }
        let mut is_whole = bytes.len() >= SESSION_HEADER_BYTES;
        walk(bytes, SESSION_HEADER_BYTES, |offset, step| {
            take_facts(&mut self.facts, &step);
            let (length, what) = match step {
                Step::Block(..) => return,
                Step::Spoiled(header, what) => (header.block_bytes().min(bytes.len() - offset), what),
                Step::Damaged(length, what) => (length, what),
            };
            is_whole = false;
            add(offset as u64, length as u64, what);
        });
        if is_whole && self.facts.is_none() {
            add(status.end, 0, "the facts about the process are missing");
        }
    }

    /// Takes nothing of the first `bytes`.
    fn refuse(&mut self, error: ReadError, bytes: u64) {
        let offset = if let ReadError::Format { offset, .. } = error { offset } else { 0 };
        self.problems.push(Problem { offset, bytes: bytes.saturating_sub(offset), what: describe(&error) });
        self.trouble = Some(error);
    }
}

fn length_of(path: &Path) -> u64 {
    std::fs::metadata(path).map_or(0, |metadata| metadata.len())
}

/// Whether a copy of the status is cut off, damaged, or just being written.
fn is_torn(bytes: &[u8]) -> bool {
    [0, 1].into_iter().any(|copy| Status::is_torn(bytes, copy))
}

/// The header of a file that has to be a session file, and that of this session, if the other files agree on another.
fn header_of(session: &Path, path: &Path, words: &[u64]) -> Result<FileHeader, ReadError> {
    let header = file_header_in(path, words)?;
    let error = |offset, source| Err(ReadError::Format { path: path.to_owned(), offset, source });
    if header.kind != FileKind::Session {
        return error(12, FormatError::Damaged { what: "not a session file" });
    }
    let of_names = id_in(&session.join(FileKind::Names.file_name(0)));
    if of_names.is_some_and(|id| id != header.session) {
        let first = files_of(session, FileKind::Segment).into_iter().next();
        if first.and_then(|(_, path)| id_in(&path)) == of_names {
            return error(16, FormatError::OtherSession);
        }
    }
    Ok(header)
}
