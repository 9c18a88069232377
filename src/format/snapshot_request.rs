//! How another process asks a recorder for a snapshot: by a file in the session's directory.
//!
//! | file | written by | what it holds |
//! |---|---|---|
//! | `snapshot.request` | who asks | the reason, as text; created, so that only one asks at a time, under another name first |
//! | `snapshot.answer` | the recorder, when the snapshot is there | `taken=` and its directory, or `failed=` and why; under another name first |
//!
//! The recorder looks for a request ten times a second, and removes it when it answers. Who asks removes the answer.

use std::fs::OpenOptions;
use std::io::{self, Read, Write};
use std::os::unix::fs::OpenOptionsExt;
use std::path::{Path, PathBuf};

const REQUEST: &str = "snapshot.request";
const ANSWER: &str = "snapshot.answer";
/// Ends the name of a file that is not whole yet.
const NEW: &str = ".new";

/// More than a reason or a path needs.
const MOST_BYTES: u64 = 8192;

/// What came of a request.
///
/// ```
/// use spanring::format::snapshot_request::Answer;
///
/// fn said(answer: &Answer) -> String {
///     match answer {
///         Answer::Taken(path) => format!("spanring slow {}", path.display()),
///         Answer::Failed(why) => format!("there is none: {why}"),
///     }
/// }
/// assert_eq!(said(&Answer::Failed("no disk".to_owned())), "there is none: no disk");
/// ```
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Answer {
    /// The snapshot is in this directory.
    Taken(PathBuf),
    /// There is none, for this reason.
    Failed(String),
}

/// Asks the recorder of the session in this directory for a snapshot.
///
/// # Errors
/// `AlreadyExists` if another request waits there; or why none can be written.
///
/// ```
/// use spanring::format::snapshot_request;
/// use std::io::ErrorKind;
///
/// # let directory = tempfile::tempdir()?;
/// # let session = directory.path();
/// snapshot_request::ask(session, "a customer called")?;
/// let error = snapshot_request::ask(session, "me too").unwrap_err();
/// assert_eq!(error.kind(), ErrorKind::AlreadyExists);
/// # Ok::<(), std::io::Error>(())
/// ```
pub fn ask(session: &Path, reason: &str) -> io::Result<()> {
    // An answer that nobody has fetched is no answer to this.
    let _ = std::fs::remove_file(session.join(ANSWER));
    let new = session.join(format!("{REQUEST}{NEW}{}", std::process::id()));
    write_whole(&new, reason)?;
    // A link, unlike a renaming, does not replace what is there.
    let linked = std::fs::hard_link(&new, session.join(REQUEST));
    std::fs::remove_file(&new)?;
    linked
}

/// Takes the request back, if it was not heard.
///
/// ```
/// use spanring::format::snapshot_request;
///
/// # let directory = tempfile::tempdir()?;
/// # let session = directory.path();
/// snapshot_request::ask(session, "a customer called")?;
/// snapshot_request::withdraw(session);
/// assert_eq!(snapshot_request::read(session), None);
/// # Ok::<(), std::io::Error>(())
/// ```
pub fn withdraw(session: &Path) {
    let _ = std::fs::remove_file(session.join(REQUEST));
}

/// The reason in a request, if there is one.
///
/// ```
/// use spanring::format::snapshot_request;
///
/// # let directory = tempfile::tempdir()?;
/// # let session = directory.path();
/// snapshot_request::ask(session, "a customer called")?;
/// assert_eq!(snapshot_request::read(session).as_deref(), Some("a customer called"));
/// # Ok::<(), std::io::Error>(())
/// ```
pub fn read(session: &Path) -> Option<String> {
    read_whole(&session.join(REQUEST))
}

/// Answers the request and removes it.
///
/// # Errors
/// If the answer cannot be written.
///
/// ```
/// use spanring::format::snapshot_request::{self, Answer};
///
/// # let directory = tempfile::tempdir()?;
/// # let session = directory.path();
/// snapshot_request::ask(session, "a customer called")?;
/// snapshot_request::answer(session, &Answer::Failed("no disk".to_owned()))?;
/// assert_eq!(snapshot_request::read(session), None);
/// # Ok::<(), std::io::Error>(())
/// ```
pub fn answer(session: &Path, answer: &Answer) -> io::Result<()> {
    let text = match answer {
        Answer::Taken(path) => format!("taken={}", path.display()),
        Answer::Failed(why) => format!("failed={why}"),
    };
    let new = session.join(format!("{ANSWER}{NEW}"));
    let written = write_whole(&new, &text).and_then(|()| std::fs::rename(&new, session.join(ANSWER)));
    withdraw(session);
    written
}

/// Fetches the answer, if there is one.
///
/// ```
/// use spanring::format::snapshot_request::{self, Answer};
///
/// # let directory = tempfile::tempdir()?;
/// # let session = directory.path();
/// let taken = Answer::Taken("/recording/snapshots/20261123T140501.250Z-4711-1".into());
/// snapshot_request::answer(session, &taken)?;
/// assert_eq!(snapshot_request::fetch(session), Some(taken));
/// assert_eq!(snapshot_request::fetch(session), None);
/// # Ok::<(), std::io::Error>(())
/// ```
pub fn fetch(session: &Path) -> Option<Answer> {
    let path = session.join(ANSWER);
    let text = read_whole(&path)?;
    let _ = std::fs::remove_file(path);
    let taken = text.strip_prefix("taken=").map(|path| Answer::Taken(PathBuf::from(path)));
    Some(taken.unwrap_or_else(|| Answer::Failed(text.strip_prefix("failed=").unwrap_or(&text).to_owned())))
}

fn write_whole(path: &Path, text: &str) -> io::Result<()> {
    let mut options = OpenOptions::new();
    options.write(true).create(true).truncate(true).mode(0o600).custom_flags(libc::O_NOFOLLOW);
    options.open(path)?.write_all(text.as_bytes())
}

/// A short text. Of nothing but a file: opening a pipe would wait for a writer, for ever.
fn read_whole(path: &Path) -> Option<String> {
    let is_file = path.symlink_metadata().ok()?.is_file();
    let file = is_file.then(|| std::fs::File::open(path))?.ok()?;
    let mut text = Vec::new();
    file.take(MOST_BYTES).read_to_end(&mut text).ok()?;
    Some(String::from_utf8_lossy(&text).into_owned())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    #[cfg_attr(miri, ignore = "writes files")]
    fn a_request_is_answered_once() {
        let directory = tempfile::tempdir().unwrap();
        let session = directory.path();
        assert_eq!((read(session), fetch(session)), (None, None));
        ask(session, "looks slow").unwrap();
        assert_eq!(ask(session, "me too").unwrap_err().kind(), io::ErrorKind::AlreadyExists);
        assert_eq!(read(session).as_deref(), Some("looks slow"));
        answer(session, &Answer::Taken(PathBuf::from("/there"))).unwrap();
        assert_eq!(read(session), None);
        assert_eq!(fetch(session), Some(Answer::Taken(PathBuf::from("/there"))));
        assert_eq!(fetch(session), None);
        assert_eq!(std::fs::read_dir(session).unwrap().count(), 0);
    }

    #[test]
    #[cfg_attr(miri, ignore = "writes files")]
    fn an_old_answer_is_no_answer_to_a_new_request() {
        let directory = tempfile::tempdir().unwrap();
        let session = directory.path();
        answer(session, &Answer::Failed("no disk".to_owned())).unwrap();
        ask(session, "now").unwrap();
        assert_eq!(fetch(session), None);
        answer(session, &Answer::Failed("still none".to_owned())).unwrap();
        assert_eq!(fetch(session), Some(Answer::Failed("still none".to_owned())));
    }
}
