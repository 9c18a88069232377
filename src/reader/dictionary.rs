//! What the addresses in records stand for.

use super::event::Location;
use crate::events::{Head, Kind, SpanFields};
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
        self.location_at.get(&address).and_then(|index| self.location_of(*index))
    }

    /// A static name, or another text that lives for ever.
    pub(super) fn name(&self, address: u64, length: u64) -> Option<Defined<&str>> {
        self.name_at.get(&(address, length)).and_then(|index| self.name_of(*index))
    }

    /// Name and location of a span at a static site.
    fn metadata(&self, address: u64) -> Option<(Defined<&str>, Defined<&Location>)> {
        let (name, location) = self.metadata_at.get(&address)?;
        Some((self.name_of(*name)?, self.location_of(*location)?))
    }

    /// The name, unless it is text that was made at run time, and the location of a span.
    #[inline]
    pub(super) fn find(&self, fields: &SpanFields) -> Site<'_> {
        let key = Key::of(fields);
        let place = self.recent.place(&key);
        let found = place.get();
        let numbers = if found.key == key { found.numbers } else { self.find_anew(fields, key, place) };
        (self.name_of(numbers.name), self.location_of(numbers.location))
    }

    #[cold]
    fn find_anew(&self, fields: &SpanFields, key: Key, place: &Cell<Found>) -> Numbers {
        let is_named = fields.head.kind().is_some_and(Kind::is_named);
        let (name, location) = if !is_named {
            self.metadata(fields.site).unzip()
        } else if fields.head.has_run_time_name() {
            (None, self.location(fields.site))
        } else {
            (self.name(fields.name_address, u64::from(fields.name_length)), self.location(fields.site))
        };
        let numbers = Numbers {
            name: name.map_or(NONE, |name| name.index),
            location: location.map_or(NONE, |location| location.index),
        };
        // What is not defined yet may be later.
        if location.is_some() && (name.is_some() || fields.head.has_run_time_name()) {
            place.set(Found { key, numbers });
        }
        numbers
    }

    #[inline]
    fn name_of(&self, index: u32) -> Option<Defined<&str>> {
        self.names.get(index as usize).map(|name| Defined { of: name.as_str(), index })
    }

    #[inline]
    fn location_of(&self, index: u32) -> Option<Defined<&Location>> {
        self.locations.get(index as usize).map(|location| Defined { of: location, index })
    }
}

/// What was found last, by a few bits of the addresses.
#[derive(Debug)]
struct Recent(Box<[Cell<Found>; 1 << RECENT_BITS]>);

const RECENT_BITS: u32 = 8;

/// The words of a record by which its name and location are found. A name that was made at run time is not found, so it has no part in
/// them.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct Key {
    site: u64,
    name_address: u64,
    /// Which kind of name, and its length. 0, as in a place that nothing was kept in yet, is none.
    name: u64,
}

impl Key {
    #[inline]
    fn of(fields: &SpanFields) -> Key {
        const WHICH: u64 = Kind::BeginAsyncNamed as u64 | Head(0).with_run_time_name().0;
        // A mask rather than a branch: where names of both kinds alternate, a processor cannot guess.
        let is_static = u64::from(fields.head.has_run_time_name()).wrapping_sub(1);
        let length = u64::from(fields.name_length) << 32;
        Key {
            site: fields.site,
            name_address: fields.name_address & is_static,
            name: length & is_static | fields.head.0 & WHICH | 1,
        }
    }
}

#[derive(Clone, Copy, Debug)]
struct Found {
    key: Key,
    numbers: Numbers,
}

/// Which name and which location.
#[derive(Clone, Copy, Debug)]
struct Numbers {
    /// [`NONE`] of a name that was made at run time.
    name: u32,
    location: u32,
}

/// No list is as long, so that nothing is found there.
const NONE: u32 = u32::MAX;

impl Found {
    const NOTHING: Found =
        Found { key: Key { site: 0, name_address: 0, name: 0 }, numbers: Numbers { name: NONE, location: NONE } };
}

impl Recent {
    /// Where what is found by this key is kept.
    #[inline]
    fn place(&self, key: &Key) -> &Cell<Found> {
        let spread = (key.site ^ key.name_address.rotate_left(20)).wrapping_mul(SPREAD);
        &self.0[(spread >> (u64::BITS - RECENT_BITS)) as usize]
    }
}

impl Default for Recent {
    fn default() -> Recent {
        Recent(Box::new([const { Cell::new(Found::NOTHING) }; 1 << RECENT_BITS]))
    }
}

/// Adds to a list, and tells where. A definition has 64 bytes or more, so that their number fits.
fn push<T>(list: &mut Vec<T>, item: T) -> u32 {
    list.push(item);
    (list.len() - 1) as u32
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
