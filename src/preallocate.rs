//! Files whose disk blocks exist before they are mapped.

use std::fs::{File, OpenOptions};
use std::io::{self, Write};
use std::path::Path;

/// Creates the file, which must not exist, readable and writable by its owner only, with `bytes` bytes that have blocks: `content`,
/// then zeroes.
///
/// A mapped page without a block behind it is a `SIGBUS` on a full disk, so this fails where a plain `set_len` would not. No
/// symbolic link is followed. The file gets its name last, so that one which has it is whole also if the process is killed. On an
/// error the file is gone again.
pub(crate) fn create_preallocated(path: &Path, bytes: u64, content: &[u8]) -> io::Result<File> {
    let unfinished = path.with_extension("new");
    let mut options = OpenOptions::new();
    options.read(true).write(true).create_new(true);
    #[cfg(unix)]
    std::os::unix::fs::OpenOptionsExt::mode(&mut options, 0o600);
    let mut file = options.open(&unfinished)?;
    let finished = allocate(&file, bytes).and_then(|()| {
        file.write_all(content)?;
        // A renaming replaces what has the name already. Nothing has in a session's own directory, unless someone put it there.
        match path.symlink_metadata() {
            Ok(_) => Err(io::ErrorKind::AlreadyExists.into()),
            Err(_) => std::fs::rename(&unfinished, path),
        }
    });
    finished.map(|()| file).inspect_err(|_| {
        // The first error is the one worth telling.
        let _ = std::fs::remove_file(&unfinished);
    })
}

#[cfg(target_os = "linux")]
fn allocate(file: &File, bytes: u64) -> io::Result<()> {
    use std::os::fd::AsRawFd;
    let length = libc::off_t::try_from(bytes).map_err(|_| io::ErrorKind::InvalidInput)?;
    if bytes > file_size_limit() {
        // The call below would send SIGXFSZ, which ends a process that does not expect it.
        return Err(io::Error::from_raw_os_error(libc::EFBIG));
    }
    loop {
        // SAFETY: the descriptor is open and ours; the call takes no pointers.
        match unsafe { libc::posix_fallocate(file.as_raw_fd(), 0, length) } {
            0 => return Ok(()),
            libc::EINTR => {}
            error => return Err(io::Error::from_raw_os_error(error)),
        }
    }
}

/// The largest file that this process may write.
pub(crate) fn file_size_limit() -> u64 {
    let mut limit = libc::rlimit { rlim_cur: libc::RLIM_INFINITY, rlim_max: libc::RLIM_INFINITY };
    // SAFETY: the call fills the structure that it is given; if it fails, the structure says that there is no limit.
    unsafe { libc::getrlimit(libc::RLIMIT_FSIZE, &mut limit) };
    limit.rlim_cur
}

/// Elsewhere zeroes are written, which takes blocks on every file system that is not sparse by itself.
#[cfg(not(target_os = "linux"))]
fn allocate(mut file: &File, bytes: u64) -> io::Result<()> {
    let written = io::copy(&mut io::Read::take(io::repeat(0), bytes), &mut file)?;
    debug_assert_eq!(written, bytes);
    io::Seek::rewind(&mut file)
}
