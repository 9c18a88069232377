//! Source locations, each kept once and numbered.

use rustc_hash::FxHashMap;
use spanring::reader::Location;

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
}

impl Places {
    /// The number of `location`, a new one if it was not seen before.
    pub(crate) fn intern(&mut self, location: &Location) -> u32 {
        let address = std::ptr::from_ref(location).addr();
        if let Some(&index) = self.by_address.get(&address) {
            if self.all[index as usize].location == *location {
                return index;
            }
        }
        let index = self.all.iter().position(|place| place.location == *location).unwrap_or_else(|| {
            self.all.push(Place { index: self.all.len() as u32, location: location.clone() });
            self.all.len() - 1
        }) as u32;
        self.by_address.insert(address, index);
        index
    }

    /// The place with that number.
    pub(crate) fn get(&self, index: u32) -> Option<&Place> {
        self.all.get(index as usize)
    }
}
