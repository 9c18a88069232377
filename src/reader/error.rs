//! Why a recording could not be read at all. Damage within one is an event, not an error.

use crate::format::FormatError;
use std::io;
use std::path::PathBuf;

/// Why a recording could not be read.
///
/// ```
/// use spanring::reader::{ReadError, Recording};
///
/// let error = Recording::open("/no/such/directory").unwrap_err();
/// assert!(matches!(error, ReadError::Io { .. }));
/// assert!(error.to_string().starts_with("/no/such/directory: "), "it says where");
/// ```
#[derive(Debug)]
#[non_exhaustive]
pub enum ReadError {
    /// There is no recording in this directory.
    NoRecording {
        /// The directory.
        path: PathBuf,
    },
    /// A file or directory could not be read.
    Io {
        /// Which.
        path: PathBuf,
        /// Why.
        source: io::Error,
    },
    /// A file is not what it should be.
    Format {
        /// Which.
        path: PathBuf,
        /// Where in it, in bytes.
        offset: u64,
        /// What is wrong.
        source: FormatError,
    },
}

impl std::fmt::Display for ReadError {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            ReadError::NoRecording { path } => write!(
                f,
                "{}: no recording here; give the directory that was passed to Recorder::builder().directory(..), or one session \
                 in it",
                path.display()
            ),
            ReadError::Io { path, source } => write!(f, "{}: {source}", path.display()),
            ReadError::Format { path, offset, source } => write!(f, "{}: at byte {offset}: {source}", path.display()),
        }
    }
}

impl std::error::Error for ReadError {
    fn source(&self) -> Option<&(dyn std::error::Error + 'static)> {
        match self {
            ReadError::NoRecording { .. } => None,
            ReadError::Io { source, .. } => Some(source),
            ReadError::Format { source, .. } => Some(source),
        }
    }
}
