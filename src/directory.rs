//! Directories of a recording, for their owner only.

use std::io;
use std::path::Path;

/// Creates a directory and its parents; the last one must not exist, or be a directory, not a link to one.
pub(crate) fn create(path: &Path) -> io::Result<()> {
    if let Some(parent) = path.parent() {
        std::fs::create_dir_all(parent)?;
    }
    let mut builder = std::fs::DirBuilder::new();
    #[cfg(unix)]
    std::os::unix::fs::DirBuilderExt::mode(&mut builder, 0o700);
    match builder.create(path) {
        Err(error) if error.kind() == io::ErrorKind::AlreadyExists && path.symlink_metadata()?.is_dir() => Ok(()),
        result => result,
    }
}
