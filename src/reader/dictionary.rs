//! What the addresses in records stand for.

use super::event::Location;
use crate::format::definition::{Definition, DefinitionKind};
use std::collections::HashMap;
use std::hash::{BuildHasherDefault, Hasher};

/// Definitions by address.
#[derive(Debug, Default)]
pub(super) struct Dictionary {
    sites: HashMap<u64, SiteEntry, ByAddress>,
    names: HashMap<(u64, u64), String, ByAddress>,
    metadata: HashMap<u64, SiteEntry, ByAddress>,
}

type ByAddress = BuildHasherDefault<AddressHasher>;

#[derive(Debug)]
struct SiteEntry {
    name: String,
    location: Location,
}

impl Dictionary {
    /// Adds a definition. The first one of an address stays: all are the same.
    pub(super) fn add(&mut self, definition: Definition<String>) {
        let Definition { kind, address, lod, line, name, target, module_path, file } = definition;
        let location = Location { lod, target, module_path, file, line };
        match kind {
            DefinitionKind::Name => {
                self.names.entry((address, name.len() as u64)).or_insert(name);
            }
            DefinitionKind::Metadata => {
                self.metadata.entry(address).or_insert(SiteEntry { name, location });
            }
            DefinitionKind::Location | DefinitionKind::Caller => {
                self.sites.entry(address).or_insert(SiteEntry { name, location });
            }
        }
    }

    /// The location of a named span.
    pub(super) fn location(&self, address: u64) -> Option<&Location> {
        self.sites.get(&address).map(|site| &site.location)
    }

    /// A static name.
    pub(super) fn name(&self, address: u64, length: u64) -> Option<&str> {
        self.names.get(&(address, length)).map(String::as_str)
    }

    /// Name and location of a span at a static site.
    pub(super) fn metadata(&self, address: u64) -> Option<(&str, &Location)> {
        self.metadata.get(&address).map(|site| (site.name.as_str(), &site.location))
    }
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
