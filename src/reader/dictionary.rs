//! What the addresses in records stand for.

use super::event::Location;
use crate::events::{Kind, SpanFields};
use crate::format::definition::{Definition, DefinitionKind};
use std::cell::Cell;
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
    recent: Recent,
}

type ByAddress = BuildHasherDefault<AddressHasher>;

/// Something defined, and its number among its kind.
#[derive(Clone, Copy, Debug)]
pub(super) struct Defined<T> {
    pub(super) of: T,
    pub(super) index: u32,
}

/// The name and the location of a span, as far as they are known.
pub(super) type Site<'a> = (Option<Defined<&'a str>>, Option<Defined<&'a Location>>);

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
    fn location(&self, address: u64) -> Option<Defined<&Location>> {
        self.location_at.get(&address).map(|index| self.location_of(*index))
    }

    /// A static name.
    fn name(&self, address: u64, length: u64) -> Option<Defined<&str>> {
        self.name_at.get(&(address, length)).map(|index| self.name_of(*index))
    }

    /// Name and location of a span at a static site.
    fn metadata(&self, address: u64) -> Option<(Defined<&str>, Defined<&Location>)> {
        self.metadata_at.get(&address).map(|(name, location)| (self.name_of(*name), self.location_of(*location)))
    }

    /// The name, unless it is text that was made at run time, and the location of a span.
    #[inline]
    pub(super) fn find(&self, kind: Kind, fields: &SpanFields) -> Site<'_> {
        let place = self.recent.place(fields.site, fields.name_address);
        let found = place.get();
        let name = words_of_name(kind, fields);
        if (found.site, found.name_address, found.name) == (fields.site, fields.name_address, name) {
            return (Some(self.name_of(found.name_index)), Some(self.location_of(found.location_index)));
        }
        self.find_anew(kind, fields, place)
    }

    #[cold]
    fn find_anew(&self, kind: Kind, fields: &SpanFields, place: &Cell<Found>) -> Site<'_> {
        let site = if !kind.is_named() {
            self.metadata(fields.site).unzip()
        } else if fields.head.has_run_time_name() {
            (None, self.location(fields.site))
        } else {
            (self.name(fields.name_address, u64::from(fields.name_length)), self.location(fields.site))
        };
        // What is not defined yet may be later.
        if let (Some(name), Some(location)) = site {
            place.set(Found {
                site: fields.site,
                name_address: fields.name_address,
                name: words_of_name(kind, fields),
                name_index: name.index,
                location_index: location.index,
            });
        }
        site
    }

    #[inline]
    fn name_of(&self, index: u32) -> Defined<&str> {
        Defined { of: &self.names[index as usize], index }
    }

    #[inline]
    fn location_of(&self, index: u32) -> Defined<&Location> {
        Defined { of: &self.locations[index as usize], index }
    }
}

/// What was found last, by a few bits of the addresses.
#[derive(Debug)]
struct Recent(Box<[Cell<Found>; 1 << RECENT_BITS]>);

const RECENT_BITS: u32 = 8;

/// The words of a record by which its name and location are found, and their indices.
#[derive(Clone, Copy, Debug)]
struct Found {
    site: u64,
    name_address: u64,
    /// Whether it is named, and the length of the name.
    name: u64,
    name_index: u32,
    location_index: u32,
}

impl Found {
    const NONE: Found = Found { site: 0, name_address: 0, name: 0, name_index: 0, location_index: 0 };
}

impl Recent {
    /// Where what is found for these words is kept.
    #[inline]
    fn place(&self, site: u64, name_address: u64) -> &Cell<Found> {
        let spread = (site ^ name_address.rotate_left(20)).wrapping_mul(SPREAD);
        &self.0[(spread >> (u64::BITS - RECENT_BITS)) as usize]
    }
}

impl Default for Recent {
    fn default() -> Recent {
        Recent(Box::new([const { Cell::new(Found::NONE) }; 1 << RECENT_BITS]))
    }
}

/// Adds to a list, and tells where. A definition has 64 bytes or more, so that their number fits.
fn push<T>(list: &mut Vec<T>, item: T) -> u32 {
    list.push(item);
    (list.len() - 1) as u32
}

/// What [`Found::name`] is for such a record. 0, as in a place that nothing was kept in yet, is none.
#[inline]
fn words_of_name(kind: Kind, fields: &SpanFields) -> u64 {
    let which = u64::from(kind.is_named()) + 2 * u64::from(fields.head.has_run_time_name());
    u64::from(fields.name_length) << 32 | which << 1 | 1
}

/// Odd, and without a pattern: a product with it has the bits of the other factor in its upper half.
const SPREAD: u64 = 0x9e37_79b9_7f4a_7c15;

/// Addresses are well spread already, and nobody gains by making them collide: one multiplication will do.
#[derive(Default)]
pub(super) struct AddressHasher(u64);

impl Hasher for AddressHasher {
    fn write(&mut self, bytes: &[u8]) {
        bytes.iter().for_each(|byte| self.write_u64(u64::from(*byte)));
    }

    fn write_u64(&mut self, word: u64) {
        self.0 = (self.0.rotate_left(5) ^ word).wrapping_mul(SPREAD);
    }

    fn finish(&self) -> u64 {
        self.0 ^ self.0 >> 32
    }
}
