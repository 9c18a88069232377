//! Source locations, each kept once and numbered.

use crate::spans::cut;
use rustc_hash::FxHashMap;
use spanring::reader::Location;
use std::hash::{BuildHasher, RandomState};
use std::sync::Arc;

/// A source location and its number: equal numbers within one recording mean equal locations.
///
/// ```no_run
/// use spanring::reader::Recording;
/// use spanring_cli::spans::{self, Item};
///
/// # fn main() -> Result<(), spanring::reader::ReadError> {
/// let recording = Recording::open("recording")?;
/// spans::read(&recording, &mut |item| {
///     if let Item::Span(span) = item {
///         println!("{} at {:?}", span.name, span.place.map(|place| place.file_line()));
///     }
/// })?;
/// # Ok(())
/// # }
/// ```
#[derive(Clone, Debug, PartialEq)]
pub struct Place {
    /// 0 for the first location seen, and so on.
    pub index: u32,
    /// The location itself.
    pub location: Location,
}

impl Place {
    /// `file:line`.
    ///
    /// ```
    /// use spanring::reader::Location;
    /// use spanring_cli::places::Place;
    ///
    /// let text = |text: &str| text.to_owned();
    /// let location = Location { lod: 3, target: text("db"), module_path: text("db"), file: text("src/db.rs"), line: 17 };
    /// assert_eq!(Place { index: 0, location }.file_line(), "src/db.rs:17");
    /// ```
    pub fn file_line(&self) -> String {
        format!("{}:{}", self.location.file, self.location.line)
    }
}

/// The locations seen so far. There are as many as there are span macros in the recorded program.
#[derive(Debug, Default)]
pub(crate) struct Places {
    all: Vec<Arc<Place>>,
    /// Our number by the reader's, who may have several for equal locations.
    by_index: Vec<Option<u32>>,
    /// By the hash of the location. Not one that a file could be made for.
    by_hash: FxHashMap<u64, u32>,
    hasher: RandomState,
}

impl Places {
    /// The number of `location`, a new one if it was not seen before. `index` is the reader's number for it, if it has one.
    #[inline(always)]
    pub(crate) fn intern(&mut self, index: Option<u32>, location: &Location) -> u32 {
        match index.and_then(|index| self.by_index.get(index as usize)) {
            Some(&Some(number)) => number,
            _ => self.add(index, location),
        }
    }

    #[cold]
    fn add(&mut self, index: Option<u32>, location: &Location) -> u32 {
        let Some(index) = index.map(|index| index as usize) else { return self.by_text(location) };
        let number = self.by_text(location);
        if self.by_index.len() <= index {
            self.by_index.resize(index + 1, None);
        }
        self.by_index[index] = Some(number);
        number
    }

    fn by_text(&mut self, location: &Location) -> u32 {
        let hash = self.hasher.hash_one(parts(location));
        let known = self.by_hash.get(&hash).copied().filter(|index| self.is(*index, location));
        known.unwrap_or_else(|| {
            let index = self.all.len() as u32;
            let [target, module_path, file] = parts(location).1.map(str::to_owned);
            let Location { lod, line, .. } = *location;
            self.all.push(Arc::new(Place { index, location: Location { lod, line, target, module_path, file } }));
            self.by_hash.insert(hash, index);
            index
        })
    }

    /// The place with that number.
    #[inline]
    pub(crate) fn get(&self, index: u32) -> Option<&Place> {
        self.all.get(index as usize).map(|place| &**place)
    }

    /// The same, to keep.
    pub(crate) fn shared(&self, index: u32) -> Option<Arc<Place>> {
        self.all.get(index as usize).cloned()
    }

    fn is(&self, index: u32, location: &Location) -> bool {
        self.get(index).is_some_and(|place| parts(&place.location) == parts(location))
    }
}

/// What tells a location from others: no text longer than is kept.
fn parts(location: &Location) -> ((u8, u32), [&str; 3]) {
    ((location.lod, location.line), [cut(&location.target), cut(&location.module_path), cut(&location.file)])
}
