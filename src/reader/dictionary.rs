//! What the addresses in records stand for.

use super::event::Location;
use crate::format::definition::{Definition, DefinitionKind};
use std::collections::HashMap;
use std::hash::{BuildHasherDefault, Hasher};

/// Definitions by address. What they define is counted in the order in which it came.
#[derive(Debug, Default)]
pub(super) struct Dictionary {
    names: Vec<String>,
    locations: Vec<Location>,
    name_at: HashMap<(u64, u64), u32, ByAddress>,
    location_at: HashMap<u64, u32, ByAddress>,
    /// Name and location of a static site.
    metadata_at: HashMap<u64, (u32, u32), ByAddress>,
}

type ByAddress = BuildHasherDefault<AddressHasher>;

/// Something defined, and its number among its kind.
#[derive(Clone, Copy, Debug)]
pub(super) struct Defined<T> {
    pub(super) of: T,
    pub(super) index: u32,
}

impl Dictionary {
    /// Adds a definition. The first one of an address stays: all are the same.
    pub(super) fn add(&mut self, definition: Definition<String>) {
        let Definition { kind, address, lod, line, name, target, module_path, file } = definition;
        let location = Location { lod, target, module_path, file, line };
        match kind {
            DefinitionKind::Name => {
                let key = (address, name.len() as u64);
                self.name_at.entry(key).or_insert_with(|| push(&mut self.names, name));
            }
            DefinitionKind::Metadata => {
                let site = || (push(&mut self.names, name), push(&mut self.locations, location));
                self.metadata_at.entry(address).or_insert_with(site);
            }
            DefinitionKind::Location | DefinitionKind::Caller => {
                self.location_at.entry(address).or_insert_with(|| push(&mut self.locations, location));
            }
        }
    }

    /// The location of a named span.
    pub(super) fn location(&self, address: u64) -> Option<Defined<&Location>> {
        self.location_at.get(&address).map(|index| self.location_of(*index))
    }

    /// A static name.
    pub(super) fn name(&self, address: u64, length: u64) -> Option<Defined<&str>> {
        self.name_at.get(&(address, length)).map(|index| self.name_of(*index))
    }

    /// Name and location of a span at a static site.
    pub(super) fn metadata(&self, address: u64) -> Option<(Defined<&str>, Defined<&Location>)> {
        self.metadata_at.get(&address).map(|(name, location)| (self.name_of(*name), self.location_of(*location)))
    }

    fn name_of(&self, index: u32) -> Defined<&str> {
        Defined { of: &self.names[index as usize], index }
    }

    fn location_of(&self, index: u32) -> Defined<&Location> {
        Defined { of: &self.locations[index as usize], index }
    }
}

/// Adds to a list, and tells where. A definition has 64 bytes or more, so that their number fits.
fn push<T>(list: &mut Vec<T>, item: T) -> u32 {
    list.push(item);
    (list.len() - 1) as u32
}

/// Addresses are well spread already, and nobody gains by making them collide: one multiplication will do.
#[derive(Default)]
pub(super) struct AddressHasher(u64);

impl Hasher for AddressHasher {
    fn write(&mut self, bytes: &[u8]) {
        bytes.iter().for_each(|byte| self.write_u64(u64::from(*byte)));
    }

    fn write_u64(&mut self, word: u64) {
        self.0 = (self.0.rotate_left(5) ^ word).wrapping_mul(0x9e37_79b9_7f4a_7c15);
    }

    fn finish(&self) -> u64 {
        self.0 ^ self.0 >> 32
    }
}
