//! A bounded table of strings that live for ever, for those who want a static name from run-time text.
//!
//! Spans do not need it: a run-time name travels with its record.

use crate::sync::{AtomicU64, Ordering};
use std::collections::HashSet;
use std::sync::{Mutex, PoisonError};

/// Strings that the table takes.
///
/// ```
/// use spanring::intern_string::{MAX_STRINGS, intern_string};
///
/// // A set of names that cannot outgrow the table.
/// let shards = 64;
/// assert!(shards < MAX_STRINGS);
/// let names: Vec<&'static str> = (0..shards).map(|shard| intern_string(&format!("shard {shard}"))).collect();
/// assert_eq!(names[63], "shard 63");
/// ```
pub const MAX_STRINGS: usize = 4096;
/// Bytes that all strings in the table take together.
///
/// ```
/// use spanring::intern_string::{FULL, MAX_BYTES, intern_string};
///
/// assert_eq!(intern_string(&"x".repeat(MAX_BYTES + 1)), FULL);
/// ```
pub const MAX_BYTES: usize = 1 << 20;
/// What is handed out instead of a string for which there is no room.
///
/// ```
/// use spanring::intern_string::{FULL, intern_string};
///
/// let name = intern_string("shard 3");
/// assert_ne!(name, FULL, "there is room for so few");
/// ```
pub const FULL: &str = "<intern table full>";

/// Interned strings and their bytes.
struct Table {
    strings: Option<HashSet<&'static str>>,
    bytes: usize,
}

static TABLE: Mutex<Table> = Mutex::new(Table { strings: None, bytes: 0 });
static REFUSED: AtomicU64 = AtomicU64::new(0);

/// The same text as a string that lives for ever; [`FULL`], counted, once [`MAX_STRINGS`] or [`MAX_BYTES`] are reached.
///
/// Takes a lock, and allocates at the first sight of a text: not for hot paths.
///
/// ```
/// use spanring::intern_string::intern_string;
///
/// let shard = 3;
/// let name: &'static str = intern_string(&format!("shard {shard}"));
/// assert_eq!(name, "shard 3");
/// ```
pub fn intern_string(text: &str) -> &'static str {
    let mut table = TABLE.lock().unwrap_or_else(PoisonError::into_inner);
    let Table { strings, bytes } = &mut *table;
    let strings = strings.get_or_insert_default();
    if let Some(known) = strings.get(text) {
        return known;
    }
    if strings.len() == MAX_STRINGS || text.len() > MAX_BYTES - *bytes {
        REFUSED.fetch_add(1, Ordering::Relaxed);
        return FULL;
    }
    *bytes += text.len();
    let kept: &'static str = Box::leak(text.into());
    strings.insert(kept);
    kept
}

/// How often [`FULL`] was handed out.
///
/// ```
/// use spanring::intern_string::{FULL, MAX_BYTES, intern_string, refused};
///
/// let before = refused();
/// assert_eq!(intern_string(&"x".repeat(MAX_BYTES + 1)), FULL);
/// assert!(refused() > before);
/// ```
pub fn refused() -> u64 {
    REFUSED.load(Ordering::Relaxed)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    #[cfg_attr(miri, ignore = "interns too many strings for an interpreter")]
    fn the_table_is_bounded_and_says_so() {
        let first = intern_string("first");
        assert!(std::ptr::eq(first, intern_string(&String::from("first"))));
        assert_eq!(intern_string(&"x".repeat(MAX_BYTES)), FULL);
        assert_eq!(refused(), 1);
        for number in 0..MAX_STRINGS {
            intern_string(&format!("number {number}"));
        }
        assert_eq!(intern_string("one more"), FULL);
        assert!(refused() >= 2);
        assert!(std::ptr::eq(first, intern_string("first")));
    }
}
