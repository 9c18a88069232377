//! Child processes: this program again, in a hidden role; and a page of words shared with them.

use memmap2::MmapRaw;
use std::fs::OpenOptions;
use std::io;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, ExitStatus, Stdio};
use std::sync::atomic::AtomicU64;
use std::time::{Duration, Instant};
use tempfile::TempDir;

/// The first argument of a child.
pub const CHILD: &str = "child";

/// A directory for one recording, in memory if the machine has such a place: what is proved does not depend on the disk.
pub fn scratch() -> io::Result<TempDir> {
    let builder = |path: &Path| tempfile::Builder::new().prefix("spanring-proof-").tempdir_in(path);
    builder(Path::new("/dev/shm")).or_else(|_| builder(&std::env::temp_dir()))
}

/// This program.
pub fn myself() -> io::Result<PathBuf> {
    std::env::current_exe()
}

/// Starts `program`, which is this one or a mutant of it, in a role.
pub fn start(program: &Path, role: &str, arguments: &[String]) -> io::Result<Child> {
    Command::new(program).arg(CHILD).arg(role).args(arguments).stdin(Stdio::null()).stderr(Stdio::null()).spawn()
}

/// Waits for the end of a child; `None`: it did not end in time, and was killed.
pub fn wait_at_most(child: &mut Child, limit: Duration) -> io::Result<Option<ExitStatus>> {
    let deadline = Instant::now() + limit;
    loop {
        if let Some(status) = child.try_wait()? {
            return Ok(Some(status));
        }
        if Instant::now() > deadline {
            child.kill()?;
            child.wait()?;
            return Ok(None);
        }
        std::thread::sleep(Duration::from_micros(500));
    }
}

/// A page that two processes share. What one stores there outlives it.
pub struct Page(MmapRaw);

impl Page {
    const BYTES: u64 = 4096;

    /// Creates it as a file.
    pub fn create(path: &Path) -> io::Result<Page> {
        let file = OpenOptions::new().read(true).write(true).create_new(true).open(path)?;
        file.set_len(Page::BYTES)?;
        Ok(Page(MmapRaw::map_raw(&file)?))
    }

    /// Opens what another process has created.
    pub fn open(path: &Path) -> io::Result<Page> {
        let file = OpenOptions::new().read(true).write(true).open(path)?;
        Ok(Page(MmapRaw::map_raw(&file)?))
    }

    /// Word `index`.
    pub fn word(&self, index: usize) -> &AtomicU64 {
        assert!(index < Page::BYTES as usize / size_of::<u64>(), "a page has no word {index}");
        // SAFETY: the mapping is as long as the page, lives as long as `self`, is aligned, and is reached as atomics only.
        unsafe { &*self.0.as_mut_ptr().cast::<AtomicU64>().add(index) }
    }
}
