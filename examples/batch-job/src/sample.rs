//! Files to try the job on: one is much larger than the others, and some have a line that is no sale.

use std::fmt::Write;
use std::io;
use std::path::{Path, PathBuf};

/// Sales in a file, but for the large one.
pub const SALES: u32 = 2_000;
/// Which file is so much larger, counted from 0.
pub const LARGE: usize = 7;
/// How many times larger.
pub const TIMES: u32 = 50;
/// Every file whose number is this, divided by [`BAD_OF`], has a line that is no sale.
pub const BAD: usize = 11;
/// See [`BAD`].
pub const BAD_OF: usize = 20;

/// Whether the file of that number has a line that is no sale.
pub fn is_bad(number: usize) -> bool {
    number % BAD_OF == BAD
}

/// Writes so many files into a directory, which is made if it is not there, and returns where they are.
///
/// # Errors
/// If they cannot be written.
pub fn write(directory: &Path, files: usize) -> io::Result<Vec<PathBuf>> {
    std::fs::create_dir_all(directory)?;
    (0..files)
        .map(|number| {
            let path = directory.join(format!("sales-{number:04}.csv"));
            std::fs::write(&path, text(number))?;
            Ok(path)
        })
        .collect()
}

fn text(number: usize) -> String {
    let sales = if number == LARGE { SALES * TIMES } else { SALES };
    let mut text = String::new();
    for sale in 0..sales {
        let product = ["tea", "coffee", "sugar", "milk", "bread"][(sale % 5) as usize];
        writeln!(text, "{product},{}", sale % 900 + 100).expect("a string takes everything");
        if is_bad(number) && sale == sales / 2 {
            text.push_str("-- page 2 --\n");
        }
    }
    text
}
