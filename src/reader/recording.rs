//! A recording as a whole: finding its files, and reading them in order.

use super::error::ReadError;
use super::event::{Event, Summary, WriterState};
use super::pass::Pass;
use super::ring::Problem;
use super::segment::{Step, file_header, file_header_in, read_first_words, read_words, walk};
use super::session_file::SessionFile;
use super::visitor::{Each, Visitor};
use crate::format::file::FILE_HEADER_BYTES;
use crate::format::session_name::REMOVED;
use crate::format::{BlockHeader, BlockKind, FileKind, ProcessFacts, SessionId, Status, StatusState, identity};
use std::path::{Path, PathBuf};

/// The sessions in a recording directory, oldest first. `directory` may itself be a session's.
///
/// # Errors
/// If the directory cannot be read, or holds no session.
///
/// ```
/// use spanring::reader::{ReadError, sessions};
///
/// # fn example() -> Result<(), ReadError> {
/// for session in sessions("recording")? {
///     println!("{}", session.display()); // recording/20261123T140501.250Z-4711-0
/// }
/// # Ok(())
/// # }
/// ```
pub fn sessions(directory: impl AsRef<Path>) -> Result<Vec<PathBuf>, ReadError> {
    let directory = directory.as_ref();
    if is_session(directory) {
        return Ok(vec![directory.to_owned()]);
    }
    let is_kept = |path: &PathBuf| !path.to_string_lossy().ends_with(REMOVED) && is_session(path);
    let mut found: Vec<PathBuf> = list(directory)?.into_iter().filter(is_kept).collect();
    if found.is_empty() {
        return Err(ReadError::NoRecording { path: directory.to_owned() });
    }
    found.sort();
    Ok(found)
}

/// A session has a session file, or (if that was lost) segments.
fn is_session(directory: &Path) -> bool {
    directory.join(FileKind::Session.file_name(0)).is_file() || !files_of(directory, FileKind::Segment).is_empty()
}

fn list(directory: &Path) -> Result<Vec<PathBuf>, ReadError> {
    let io = |source| ReadError::Io { path: directory.to_owned(), source };
    let entries = std::fs::read_dir(directory).map_err(io)?;
    entries.map(|entry| entry.map(|entry| entry.path()).map_err(io)).collect()
}

/// The files of one kind in `directory`, and their numbers, in order.
pub(super) fn files_of(directory: &Path, kind: FileKind) -> Vec<(u64, PathBuf)> {
    let sample = kind.file_name(0);
    let (prefix, suffix) = sample.split_at(sample.find('0').unwrap_or(sample.len()));
    let suffix = suffix.trim_start_matches('0');
    let number = |path: &PathBuf| {
        let name = path.file_name()?.to_str()?;
        name.strip_prefix(prefix)?.strip_suffix(suffix)?.parse::<u64>().ok()
    };
    // A directory that cannot be listed has no files to offer; its session file was read from it a moment ago.
    let paths = list(directory).unwrap_or_default();
    let mut files: Vec<(u64, PathBuf)> = paths.into_iter().filter_map(|path| Some((number(&path)?, path))).collect();
    files.sort();
    files
}

/// One session of a recording.
///
/// ```
/// use spanring::reader::{Event, Outcome, Recording};
///
/// # fn example() -> Result<(), spanring::reader::ReadError> {
/// let recording = Recording::open("recording")?;
/// let mut cancelled = 0;
/// let summary = recording.read(&mut |event| match event {
///     Event::Span(span) if span.outcome == Some(Outcome::Cancelled) => cancelled += 1,
///     _ => {}
/// })?;
/// println!("{cancelled} spans were cancelled; {} records read, {} lost", summary.records, summary.lost);
/// # Ok(())
/// # }
/// ```
#[derive(Debug)]
pub struct Recording {
    path: PathBuf,
    /// Which every file of the session names.
    id: SessionId,
    facts: ProcessFacts,
    status: Option<Status>,
    writer: WriterState,
    /// The process is there, and is not known to have stopped.
    may_grow: bool,
    /// What is wrong with the session file.
    problems: Vec<Problem>,
    /// The bytes of a segment, instead of files.
    memory: Option<Vec<u64>>,
}

impl Recording {
    /// Opens a session's directory, or the newest session in a recording directory.
    ///
    /// # Errors
    /// If there is no recording, or nothing in it says what it is of.
    ///
    /// ```
    /// use spanring::reader::{ReadError, Recording};
    ///
    /// # fn example() -> Result<(), ReadError> {
    /// let newest = Recording::open("recording")?;
    /// # Ok(())
    /// # }
    /// let empty = tempfile::tempdir()?;
    /// assert!(matches!(Recording::open(empty.path()), Err(ReadError::NoRecording { .. })));
    /// # Ok::<(), std::io::Error>(())
    /// ```
    pub fn open(path: impl AsRef<Path>) -> Result<Recording, ReadError> {
        let path = path.as_ref();
        let Some(session) = sessions(path)?.pop() else { return Err(ReadError::NoRecording { path: path.to_owned() }) };
        let mut file = SessionFile::read(&session);
        // Every segment says the same, and the names say which session they are of.
        if file.id.is_none() || file.facts.is_none() {
            match facts_in_segments(&session) {
                Ok(found) => (file.id, file.facts) = (Some(found.0), Some(found.1)),
                Err(error) => file.trouble = file.trouble.or(Some(error)),
            }
        }
        if file.id.is_none() && file.facts.is_some() {
            file.id = id_in(&session.join(FileKind::Names.file_name(0)));
        }
        let SessionFile { id: Some(id), facts: Some(facts), status, is_last, problems, trouble: _ } = file else {
            return Err(file.trouble.unwrap_or(ReadError::NoRecording { path: session }));
        };
        let (writer, may_grow) = writer_state(&facts, status.as_ref(), is_last);
        Ok(Recording { path: session, id, facts, status, writer, may_grow, problems, memory: None })
    }

    /// Opens the bytes of one segment: what [`crate::sink::MemoryBuffer::bytes`] returns.
    ///
    /// # Errors
    /// If this is no segment, or it does not begin with facts about its process.
    ///
    /// ```
    /// use spanring::reader::{ReadError, Recording};
    ///
    /// # fn example(recorder: &spanring::RecorderGuard) -> Result<(), Box<dyn std::error::Error>> {
    /// recorder.flush()?;
    /// let bytes = recorder.memory().map(|buffer| buffer.bytes()).unwrap_or_default();
    /// let recording = Recording::from_segment(&bytes)?;
    /// # Ok(())
    /// # }
    /// assert!(matches!(Recording::from_segment(b"something else"), Err(ReadError::Format { offset: 0, .. })));
    /// ```
    pub fn from_segment(bytes: &[u8]) -> Result<Recording, ReadError> {
        let path = PathBuf::from("<memory>");
        let header = file_header(&path, bytes)?;
        let facts = facts_in(bytes, header.header_bytes as usize);
        let facts = facts.ok_or_else(|| ReadError::NoRecording { path: path.clone() })?;
        let mut words = vec![0; bytes.len() / 8];
        bytemuck::cast_slice_mut(&mut words).copy_from_slice(&bytes[..bytes.len() / 8 * 8]);
        let (writer, may_grow) = writer_state(&facts, None, true);
        let (id, memory) = (header.session, Some(words));
        Ok(Recording { path, id, facts, status: None, writer, may_grow, problems: Vec::new(), memory })
    }

    /// The session's directory.
    ///
    /// ```
    /// # fn example() -> Result<(), spanring::reader::ReadError> {
    /// let newest = spanring::reader::Recording::open("recording")?;
    /// println!("{}", newest.path().display()); // recording/20261123T140501.250Z-4711-0
    /// # Ok(())
    /// # }
    /// ```
    pub fn path(&self) -> &Path {
        &self.path
    }

    /// Who recorded.
    ///
    /// ```
    /// # fn example(recording: &spanring::reader::Recording) {
    /// let facts = recording.facts();
    /// println!("{} (process {}) on {}", facts.executable, facts.pid, facts.host);
    /// # }
    /// ```
    pub fn facts(&self) -> &ProcessFacts {
        &self.facts
    }

    /// How the recording went, by the recorder's own account when it last wrote one; `None` if that is lost.
    ///
    /// ```
    /// # fn example(recording: &spanring::reader::Recording) {
    /// if let Some(status) = recording.status() {
    ///     println!("{} records flushed, {} writes failed", status.flushed, status.write_errors);
    /// }
    /// # }
    /// ```
    pub fn status(&self) -> Option<&Status> {
        self.status.as_ref()
    }

    /// Whether the process still records, as of [`Recording::open`].
    ///
    /// ```
    /// use spanring::reader::WriterState;
    ///
    /// # fn example(recording: &spanring::reader::Recording) {
    /// if recording.writer() == WriterState::Died {
    ///     println!("what is open was running when the process died");
    /// }
    /// # }
    /// ```
    pub fn writer(&self) -> WriterState {
        self.writer
    }

    /// Visits everything in the recording: first what was flushed, in the order of flushing, then what rings still hold.
    ///
    /// The records of one thread come in order, in a drain or after it, with what is missing where it is missing. Begins that were
    /// carried forward are among them: each stands where its record did. A thread comes before its records.
    ///
    /// A closure becomes part of the loop that reads, in which what it does not use of a record is not worked out; one that is long does so as
    /// a [`Visitor`]. `&mut dyn FnMut(Event<'_>)` is called for each, which takes longer.
    ///
    /// Memory is bounded by the largest file, by the number of names and rings, and by the begins that were carried forward.
    ///
    /// # Errors
    /// Only if the directory has disappeared. Damage, whole files included, is visited and counted.
    ///
    /// ```
    /// use spanring::reader::{Event, Phase};
    /// use std::collections::HashMap;
    ///
    /// # fn example(recording: &spanring::reader::Recording) -> Result<(), spanring::reader::ReadError> {
    /// let mut counts: HashMap<String, u64> = HashMap::new();
    /// let summary = recording.read(&mut |event| match event {
    ///     Event::Span(span) if span.phase == Phase::Begin => *counts.entry(span.name.to_owned()).or_default() += 1,
    ///     _ => {}
    /// })?;
    /// assert_eq!(summary.damages, 0, "all of it could be read");
    /// # Ok(())
    /// # }
    /// ```
    pub fn read<V: FnMut(Event<'_>) + ?Sized>(&self, visit: &mut V) -> Result<Summary, ReadError> {
        self.visit(&mut Each(visit))
    }

    /// The same for a [`Visitor`].
    ///
    /// # Errors
    /// As of [`Recording::read`].
    pub fn visit<V: Visitor>(&self, visitor: &mut V) -> Result<Summary, ReadError> {
        if self.memory.is_none() && !is_session(&self.path) {
            return Err(ReadError::NoRecording { path: self.path.clone() });
        }
        Ok(Pass::new(self, visitor).run())
    }

    /// Which every file of the session names.
    pub(super) fn id(&self) -> SessionId {
        self.id
    }

    /// Whether files may be written to while they are read.
    pub(super) fn may_grow(&self) -> bool {
        self.may_grow
    }

    /// What is wrong with the session file.
    pub(super) fn problems(&self) -> &[Problem] {
        &self.problems
    }

    /// The words of the only segment, if the recording is not in files.
    pub(super) fn memory(&self) -> Option<&[u64]> {
        self.memory.as_deref()
    }
}

/// The session and its facts, from the first segment that has them.
fn facts_in_segments(directory: &Path) -> Result<(SessionId, ProcessFacts), ReadError> {
    let mut trouble = None;
    for (_, path) in files_of(directory, FileKind::Segment) {
        let found = read_words(&path).and_then(|words| {
            let bytes = bytemuck::cast_slice(&words);
            let header = file_header_in(&path, &words)?;
            Ok(facts_in(bytes, header.header_bytes as usize).map(|facts| (header.session, facts)))
        });
        match found {
            Ok(Some(found)) => return Ok(found),
            Ok(None) => {}
            Err(error) => trouble = trouble.or(Some(error)),
        }
    }
    Err(trouble.unwrap_or_else(|| ReadError::NoRecording { path: directory.to_owned() }))
}

fn facts_in(bytes: &[u8], offset: usize) -> Option<ProcessFacts> {
    let mut facts = None;
    walk(bytes, offset, |_, step| take_facts(&mut facts, &step));
    facts
}

/// Takes the first facts that come along.
pub(super) fn take_facts(facts: &mut Option<ProcessFacts>, step: &Step<'_>) {
    if let Step::Block(BlockHeader { kind: BlockKind::Facts, .. }, payload) = step {
        facts.get_or_insert_with(|| ProcessFacts::decode(&String::from_utf8_lossy(payload)));
    }
}

/// The session that a file says it is of.
pub(super) fn id_in(path: &Path) -> Option<SessionId> {
    let words = read_first_words(path, FILE_HEADER_BYTES / 8).ok()?;
    Some(file_header_in(path, &words).ok()?.session)
}

/// Whether the process still records, and whether its files may be written to. `is_last`: what the status says is what was said last.
fn writer_state(facts: &ProcessFacts, status: Option<&Status>, is_last: bool) -> (WriterState, bool) {
    if status.is_some_and(|status| status.state == StatusState::Stopped) {
        return (WriterState::Stopped, false);
    }
    let same_boot = facts.boot_id == identity::boot_id();
    let runs = same_boot && identity::start_of(facts.pid).is_some_and(|start| start == facts.process_start);
    let writer = match (is_last, runs) {
        (false, _) => WriterState::Unknown,
        (true, true) => WriterState::Running,
        (true, false) => WriterState::Died,
    };
    (writer, runs)
}
