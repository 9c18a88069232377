//! Child processes: this program again, in a hidden role; and a page of words shared with them.

use memmap2::MmapRaw;
use std::ffi::CString;
use std::fs::OpenOptions;
use std::io::{self, Read};
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

/// How a child ended, and what it said.
pub struct Ended {
    pub status: ExitStatus,
    pub said: String,
}

/// This program in a role, to its end; `None`: it did not end in time, and was killed.
pub fn play(
    role: &str,
    arguments: &[String],
    variables: &[(&str, &str)],
    limit: Duration,
) -> io::Result<Option<Ended>> {
    let mut command = Command::new(myself()?);
    command.arg(CHILD).arg(role).args(arguments).envs(variables.iter().copied()).stdout(Stdio::piped());
    let mut child = command.spawn()?;
    let Some(status) = wait_at_most(&mut child, limit)? else { return Ok(None) };
    let mut said = String::new();
    if let Some(mut out) = child.stdout.take() {
        out.read_to_string(&mut said)?;
    }
    Ok(Some(Ended { status, said: said.trim().to_owned() }))
}

/// Exit status of a child that cannot have a file system of its own.
pub const UNABLE: i32 = 77;

/// Mounts a file system of so many bytes that only this process sees. Without one it ends, as [`UNABLE`].
pub fn own_file_system(at: &Path, bytes: u64) {
    if let Err(error) = mount(at, bytes) {
        println!("no file system of one's own: {error}");
        std::process::exit(UNABLE);
    }
}

fn mount(at: &Path, bytes: u64) -> io::Result<()> {
    let (user, group) = {
        // SAFETY: neither call takes anything, and neither fails.
        unsafe { (libc::getuid(), libc::getgid()) }
    };
    let unshare = |what: libc::c_int| {
        // SAFETY: this process has one thread; nothing of it depends on its namespaces.
        unsafe { libc::unshare(what) == 0 }
    };
    if unshare(libc::CLONE_NEWUSER | libc::CLONE_NEWNS) {
        std::fs::write("/proc/self/setgroups", "deny")?;
        std::fs::write("/proc/self/uid_map", format!("0 {user} 1"))?;
        std::fs::write("/proc/self/gid_map", format!("0 {group} 1"))?;
    } else if !unshare(libc::CLONE_NEWNS) {
        return Err(io::Error::last_os_error());
    }
    let [target, kind, root] =
        [at.as_os_str().as_encoded_bytes(), b"tmpfs", b"/"].map(|text| CString::new(text).unwrap_or_default());
    let options = CString::new(format!("size={bytes}")).unwrap_or_default();
    let flags = libc::MS_REC | libc::MS_PRIVATE;
    // SAFETY: all texts are terminated, and read by the calls only.
    let mounted = unsafe {
        libc::mount(std::ptr::null(), root.as_ptr(), std::ptr::null(), flags, std::ptr::null());
        libc::mount(kind.as_ptr(), target.as_ptr(), kind.as_ptr(), 0, options.as_ptr().cast())
    };
    if mounted == 0 { Ok(()) } else { Err(io::Error::last_os_error()) }
}

/// Memory of this process that is its own, files not counted.
pub fn resident_bytes() -> u64 {
    let status = std::fs::read_to_string("/proc/self/status").unwrap_or_default();
    let line = status.lines().find_map(|line| line.strip_prefix("RssAnon:"));
    let kib = line.and_then(|line| line.trim().split(' ').next()?.parse::<u64>().ok());
    kib.unwrap_or(0) << 10
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
