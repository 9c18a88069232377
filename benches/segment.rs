//! What it costs to bring blocks into segment files, in each of the ways that there are: processor time of this thread, kernel included.
//!
//! ```text
//! cargo bench -p spanring --bench segment              1 GiB each, in three rounds
//! cargo bench -p spanring --bench segment -- --quick   256 MiB each, in one
//! ```
//!
//! Every way writes the same blocks into files of the same size one after another, and keeps as many of them.

use memmap2::{Advice, MmapOptions, MmapRaw};
use std::collections::VecDeque;
use std::fs::{File, OpenOptions};
use std::io::{self, Write};
use std::os::fd::AsRawFd;
use std::os::unix::fs::FileExt;
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

const SEGMENT_BYTES: usize = 8 << 20;
const KEPT_FILES: usize = 32;
/// Bytes of a span: two slots.
const SPAN_BYTES: usize = 128;

/// A way to write a segment.
struct Way {
    name: &'static str,
    write: fn(&Path, &[u8]) -> io::Result<()>,
}

const WAYS: [Way; 8] = [
    Way { name: "`write`", write: |path, block| plain(path, block) },
    Way { name: "`write`, blocks of disk allocated before", write: |path, block| pwritten(path, block, 0, true) },
    Way { name: "the same, behind a header of 96 bytes", write: |path, block| pwritten(path, block, 96, true) },
    Way { name: "`write` behind headers, not allocated before", write: |path, block| pwritten(path, block, 96, false) },
    Way { name: "mapped, touched page by page", write: |path, block| mapped(path, block, Touch::PageByPage) },
    Way { name: "mapped, `MAP_POPULATE`", write: |path, block| mapped(path, block, Touch::MapPopulate) },
    Way {
        name: "mapped, `MADV_POPULATE_WRITE` block by block",
        write: |path, block| mapped(path, block, Touch::PopulateBlock),
    },
    Way { name: "mapped, `MADV_HUGEPAGE`", write: |path, block| mapped(path, block, Touch::Huge) },
];

#[derive(Clone, Copy, PartialEq, Eq)]
enum Touch {
    PageByPage,
    MapPopulate,
    PopulateBlock,
    Huge,
}

fn main() {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    let has = |word: &str| arguments.iter().any(|argument| argument == word);
    let (rounds, bytes) = match (has("--bench"), has("--quick")) {
        // As `cargo test --benches` runs it.
        (false, _) => (1, SEGMENT_BYTES),
        (true, true) => (1, 256 << 20),
        (true, false) => (3, 1 << 30),
    };
    println!("| way | block | CPU, ns per span | MB/s | page faults per 1000 spans |");
    println!("|---|---:|---:|---:|---:|");
    for _ in 0..rounds {
        for way in &WAYS {
            for block_bytes in [64 << 10, 256 << 10, 1 << 20] {
                measure(way, bytes, block_bytes);
            }
        }
    }
}

fn measure(way: &Way, bytes: usize, block_bytes: usize) {
    let directory = tempfile::tempdir_in(env!("CARGO_TARGET_TMPDIR")).expect("the target directory is writable");
    let block = vec![0xa5; block_bytes];
    let mut kept: VecDeque<PathBuf> = VecDeque::new();
    let (begin, before) = (Instant::now(), usage());
    for number in 0..bytes / SEGMENT_BYTES {
        let path = directory.path().join(number.to_string());
        (way.write)(&path, &block).expect("the disk has room");
        kept.push_back(path);
        if kept.len() > KEPT_FILES {
            std::fs::remove_file(kept.pop_front().expect("there are some")).expect("it was there");
        }
    }
    let (elapsed, after) = (begin.elapsed(), usage());
    let spans = (bytes / SPAN_BYTES) as f64;
    println!(
        "| {} | {} KiB | {:.1} | {:.0} | {:.2} |",
        way.name,
        block_bytes >> 10,
        (after.0 - before.0).as_secs_f64() * 1e9 / spans,
        bytes as f64 / elapsed.as_secs_f64() / 1e6,
        (after.1 - before.1) as f64 * 1000.0 / spans,
    );
}

fn create(path: &Path, allocated: bool) -> io::Result<File> {
    let file = OpenOptions::new().read(true).write(true).create_new(true).open(path)?;
    if allocated {
        // SAFETY: the descriptor is open; the call takes no pointers.
        match unsafe { libc::posix_fallocate(file.as_raw_fd(), 0, SEGMENT_BYTES as libc::off_t) } {
            0 => {}
            error => return Err(io::Error::from_raw_os_error(error)),
        }
    }
    Ok(file)
}

fn plain(path: &Path, block: &[u8]) -> io::Result<()> {
    let mut file = create(path, false)?;
    (0..SEGMENT_BYTES / block.len()).try_for_each(|_| file.write_all(block))
}

/// Each block behind a header, whose first word is written last.
fn pwritten(path: &Path, block: &[u8], header: usize, allocated: bool) -> io::Result<()> {
    let file = create(path, allocated)?;
    let mut at = 0;
    while at + header + block.len() <= SEGMENT_BYTES {
        if header == 0 {
            file.write_all_at(block, at as u64)?;
        } else {
            let zeroes = [0; 96];
            let parts = [io::IoSlice::new(&zeroes[..header]), io::IoSlice::new(block)];
            // SAFETY: slices of memory have the layout that the call expects, and live as long as it takes.
            let written = unsafe { libc::pwritev(file.as_raw_fd(), parts.as_ptr().cast(), 2, at as libc::off_t) };
            assert_eq!(written as usize, header + block.len());
            file.write_all_at(&[1; 8], at as u64)?;
        }
        at += header + block.len();
    }
    Ok(())
}

fn mapped(path: &Path, block: &[u8], touch: Touch) -> io::Result<()> {
    let file = create(path, true)?;
    let map = if touch == Touch::MapPopulate {
        MmapOptions::new().populate().map_raw(&file)?
    } else {
        MmapRaw::map_raw(&file)?
    };
    if touch == Touch::Huge {
        let _ = map.advise(Advice::HugePage);
    }
    for at in (0..SEGMENT_BYTES).step_by(block.len()) {
        if touch == Touch::PopulateBlock {
            map.advise_range(Advice::PopulateWrite, at, block.len())?;
        }
        // SAFETY: the range is in the mapping, to which nobody else has a reference.
        unsafe { map.as_mut_ptr().add(at).copy_from_nonoverlapping(block.as_ptr(), block.len()) };
    }
    Ok(())
}

/// Processor time of this thread, and its page faults.
fn usage() -> (Duration, i64) {
    // SAFETY: usage is plain old data, for which all zeroes is a valid value.
    let mut usage: libc::rusage = unsafe { std::mem::zeroed() };
    // SAFETY: the call fills the structure that it is given.
    unsafe { libc::getrusage(libc::RUSAGE_THREAD, &mut usage) };
    let time = |time: libc::timeval| Duration::new(time.tv_sec as u64, time.tv_usec as u32 * 1000);
    (time(usage.ru_utime) + time(usage.ru_stime), usage.ru_minflt)
}
