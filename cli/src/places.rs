//! Source locations, each kept once and numbered.

use crate::spans::cut;
use rustc_hash::FxHashMap;
use spanring::reader::Location;
use std::hash::{BuildHasher, RandomState};

/// A source location and its number: equal numbers within one recording mean equal locations.
#[derive(Clone, Debug, PartialEq)]
pub struct Place {
    /// 0 for the first location seen, and so on.
    pub index: u32,
    /// The location itself.
    pub location: Location,
}

impl Place {
    /// `file:line`.
    pub fn file_line(&self) -> String {
        format!("{}:{}", self.location.file, self.location.line)
    }
}

/// The locations seen so far. There are as many as there are span macros in the recorded program.
#[derive(Debug, Default)]
pub(crate) struct Places {
    all: Vec<Place>,
    /// Where the reader kept a location when it was last seen. Only a hint: what it leads to is compared.
    by_address: FxHashMap<usize, u32>,
    /// By the hash of the location. Not one that a file could be made for.
    by_hash: FxHashMap<u64, u32>,
    hasher: RandomState,
}

impl Places {
    /// The number of `location`, a new one if it was not seen before.
    pub(crate) fn intern(&mut self, location: &Location) -> u32 {
        let address = std::ptr::from_ref(location).addr();
        if let Some(&index) = self.by_address.get(&address).filter(|index| self.is(**index, location)) {
            return index;
        }
        let hash = self.hasher.hash_one(parts(location));
        let known = self.by_hash.get(&hash).copied().filter(|index| self.is(*index, location));
        let index = known.unwrap_or_else(|| {
            let index = self.all.len() as u32;
            let [target, module_path, file] = parts(location).1.map(str::to_owned);
            let Location { lod, line, .. } = *location;
            self.all.push(Place { index, location: Location { lod, line, target, module_path, file } });
            self.by_hash.insert(hash, index);
            index
        });
        self.by_address.insert(address, index);
        index
    }

    /// The place with that number.
    pub(crate) fn get(&self, index: u32) -> Option<&Place> {
        self.all.get(index as usize)
    }

    fn is(&self, index: u32, location: &Location) -> bool {
        self.get(index).is_some_and(|place| parts(&place.location) == parts(location))
    }
}

/// What tells a location from others: no text longer than is kept.
fn parts(location: &Location) -> ((u8, u32), [&str; 3]) {
    ((location.lod, location.line), [cut(&location.target), cut(&location.module_path), cut(&location.file)])
}
