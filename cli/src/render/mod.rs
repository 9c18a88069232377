//! Reports as text for people.
//!
//! ```no_run
//! use spanring::reader::Recording;
//! use spanring_cli::{info, render};
//!
//! # fn main() -> Result<(), spanring::reader::ReadError> {
//! let recording = Recording::open("recording")?;
//! let width = 100;
//! print!("{}", render::info(&info::describe(&recording)?, Some(width)));
//! # Ok(())
//! # }
//! ```

mod counters;
mod details;
mod diff;
mod doctor;
mod info;
mod live;
mod open;
mod paths;
mod tail;
mod top;
mod trees;

use crate::text::{clean, count};
pub use counters::counters;
pub use diff::diff;
pub use doctor::doctor;
pub use info::{info, nothing, sessions};
pub use live::{live, rows_of_live};
pub use open::open;
pub use paths::paths;
pub use tail::tail;
pub use top::top;
pub use trees::trees;

fn place(file: Option<&str>, line: Option<u32>) -> String {
    match (file, line) {
        (Some(file), Some(line)) => format!("{}:{line}", clean(file)),
        _ => "?".to_owned(),
    }
}

/// On lines shorter than this, tables leave out what can be missed.
const NARROW: usize = 72;

fn is_narrow(width: Option<usize>) -> bool {
    width.is_some_and(|width| width < NARROW)
}

/// Columns by which a child stands to the right of its parent.
const INDENT: usize = 2;
/// The most levels by which a line is indented: a recursion can be very deep.
const DEEPEST: usize = 20;

/// The most levels by which a line is indented if lines are so wide: where names are indented by more than a quarter of the line,
/// nothing is left of them.
fn deepest(width: Option<usize>) -> usize {
    width.map_or(DEEPEST, |width| DEEPEST.min(width / (4 * INDENT)))
}

/// A name in a tree. What is deeper than there is room for has a `+N` before it.
fn indented(level: u32, deepest: usize, name: &str) -> String {
    let level = level as usize;
    let shown = level.min(deepest);
    let further = if level > shown { format!("+{} ", level - shown) } else { String::new() };
    format!("{}{further}{name}", " ".repeat(INDENT * shown))
}

/// What a recording lacks, as a sentence; `None` if nothing is known to be missing.
fn incomplete(lost_records: u64, damaged: u64, so: &str) -> Option<String> {
    let missing = [(lost_records, "event", "lost"), (damaged, "damaged place", "in the files (see `spanring info`)")];
    let missing = missing.into_iter().filter(|(number, ..)| *number > 0);
    let missing: Vec<String> = missing.map(|(number, what, how)| format!("{} {how}", count(number, what))).collect();
    (!missing.is_empty()).then(|| format!("INCOMPLETE: {}{so}", missing.join(", ")))
}

/// A sentence, broken between words into lines no wider than `width`.
fn wrapped(sentence: &str, width: Option<usize>) -> String {
    let width = width.unwrap_or(usize::MAX);
    let mut text = String::new();
    let mut used = 0;
    for word in sentence.split(' ') {
        let length = word.chars().count();
        if used > 0 && used + 1 + length > width {
            text.push('\n');
            used = 0;
        }
        if used > 0 {
            text.push(' ');
            used += 1;
        }
        text.push_str(word);
        used += length;
    }
    text.push('\n');
    text
}
