//! Definitions: what the addresses in records stand for. The names file is an array of such slots, and so is the payload of a
//! block of definitions. A slot has 64 bytes, the width of a record's, and is written only once.
//!
//! | word | first slot | continuation |
//! |---|---|---|
//! | 0 | kind, bits 0..8: 2 name, 3 location, 4 metadata, 5 caller (0: not written yet); level of detail, bits 8..16; slots, high half | kind 1; index in the definition, high half |
//! | 1 | address | text |
//! | 2 | line; length of the name, high half | text |
//! | 3 | length of the target; of the module path, high half | text |
//! | 4 | length of the file name; CRC-32 of words 0 to 4 with this half 0, then of the text, high half | text |
//! | 5..8 | the first 24 bytes of text | text |
//!
//! The text is name, target, module path and file name in a row, in UTF-8. The writer stores word 0 of the first slot last.

use super::word_at;
use crate::events::{SLOT_BYTES, SLOT_WORDS, SpanLocation, SpanMetadata, TEXT_BYTES};
use std::panic::Location as Caller;

const CONTINUATION: u8 = 1;
const FIRST_TEXT: usize = 24;

/// What a definition defines.
///
/// ```
/// use spanring::format::definition::{Definition, DefinitionKind};
///
/// assert_eq!(Definition::of_name("load").kind, DefinitionKind::Name);
/// ```
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[repr(u8)]
pub enum DefinitionKind {
    /// A static name, by address and length.
    Name = 2,
    /// A `SpanLocation`, by address.
    Location = 3,
    /// A `SpanMetadata`, by address.
    Metadata = 4,
    /// A `core::panic::Location`, by address: no target, no module path.
    Caller = 5,
}

impl DefinitionKind {
    const ALL: [DefinitionKind; 4] =
        [DefinitionKind::Name, DefinitionKind::Location, DefinitionKind::Metadata, DefinitionKind::Caller];
}

/// One definition. Which fields mean something depends on the kind; the others are empty.
///
/// ```
/// use spanring::format::definition::{Definition, decode_all};
/// use spanring::prelude::*;
///
/// static_span_desc!(LOAD, "load");
/// let written = Definition::of_metadata(&LOAD).encode();
/// let bytes: Vec<u8> = written.iter().flatten().flat_map(|word| word.to_le_bytes()).collect();
///
/// let mut read = Vec::new();
/// let damaged = decode_all(&bytes, |definition| read.push(definition));
/// assert_eq!((read[0].name.as_str(), read[0].file.as_str(), damaged.len()), ("load", file!(), 0));
/// ```
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct Definition<T> {
    /// What is defined.
    pub kind: DefinitionKind,
    /// Its address in the recording process.
    pub address: u64,
    /// Level of detail, 1 to 3.
    pub lod: u8,
    /// Line in the source file.
    pub line: u32,
    /// The name (of a name or a metadata).
    pub name: T,
    /// Target.
    pub target: T,
    /// Module path.
    pub module_path: T,
    /// Source file.
    pub file: T,
}

impl Definition<&'static str> {
    /// The definition of a static name.
    ///
    /// ```
    /// use spanring::format::definition::Definition;
    /// use spanring::string_id::StringId;
    ///
    /// let name: &'static str = "load";
    /// assert_eq!(Definition::of_name(name).address, StringId::from(name).ptr);
    /// ```
    pub fn of_name(name: &'static str) -> Self {
        Definition {
            kind: DefinitionKind::Name,
            address: name.as_ptr().addr() as u64,
            lod: 0,
            line: 0,
            name,
            target: "",
            module_path: "",
            file: "",
        }
    }

    /// The definition of a location.
    ///
    /// ```
    /// use spanring::format::definition::Definition;
    /// use spanring::prelude::*;
    ///
    /// static_span_location!(HERE, Verbosity::Med);
    /// let definition = Definition::of_location(&HERE);
    /// assert_eq!((definition.lod, definition.target, definition.name), (2, module_path!(), ""));
    /// ```
    pub fn of_location(location: &'static SpanLocation) -> Self {
        Definition {
            kind: DefinitionKind::Location,
            address: std::ptr::from_ref(location).addr() as u64,
            lod: location.lod as u8,
            line: location.line,
            name: "",
            target: location.target,
            module_path: location.module_path,
            file: location.file,
        }
    }

    /// The definition of a static site.
    ///
    /// ```
    /// use spanring::format::definition::Definition;
    /// use spanring::prelude::*;
    ///
    /// static_span_desc!(LOAD, "load");
    /// assert_eq!(Definition::of_metadata(&LOAD).name, "load");
    /// ```
    pub fn of_metadata(metadata: &'static SpanMetadata) -> Self {
        Definition {
            kind: DefinitionKind::Metadata,
            address: std::ptr::from_ref(metadata).addr() as u64,
            name: metadata.name,
            ..Self::of_location(&metadata.location)
        }
    }

    /// The definition of a caller's location.
    ///
    /// ```
    /// use spanring::format::definition::Definition;
    /// use std::panic::Location;
    ///
    /// let definition = Definition::of_caller(Location::caller());
    /// assert_eq!((definition.file, definition.target), (file!(), ""));
    /// ```
    pub fn of_caller(caller: &'static Caller<'static>) -> Self {
        Definition {
            kind: DefinitionKind::Caller,
            address: std::ptr::from_ref(caller).addr() as u64,
            lod: crate::events::Verbosity::Max as u8,
            line: caller.line(),
            name: "",
            target: "",
            module_path: "",
            file: caller.file(),
        }
    }
}

impl<T: AsRef<str>> Definition<T> {
    fn texts(&self) -> [&str; 4] {
        [self.name.as_ref(), self.target.as_ref(), self.module_path.as_ref(), self.file.as_ref()]
    }

    /// Slots that the definition takes.
    ///
    /// ```
    /// use spanring::format::definition::Definition;
    ///
    /// // The first slot has 24 bytes of text.
    /// assert_eq!(Definition::of_name("load").slots(), 1);
    /// assert_eq!(Definition::of_name("load all users of this shard").slots(), 2);
    /// ```
    pub fn slots(&self) -> usize {
        let text: usize = self.texts().iter().map(|text| text.len()).sum();
        1 + text.saturating_sub(FIRST_TEXT).div_ceil(TEXT_BYTES)
    }

    /// The definition as slots; the first one's word 0 is what makes it valid.
    ///
    /// ```
    /// use spanring::format::definition::{Definition, DefinitionKind};
    ///
    /// let slots = Definition::of_name("load").encode();
    /// assert_eq!((slots.len(), slots[0][0] as u8), (1, DefinitionKind::Name as u8));
    /// ```
    pub fn encode(&self) -> Vec<[u64; SLOT_WORDS]> {
        let mut slots = vec![[0; SLOT_WORDS]; self.slots()];
        self.encode_into(&mut slots);
        slots
    }

    /// Writes the definition into [`Definition::slots`] slots, and allocates nothing: a signal handler may be the first to record a
    /// name.
    ///
    /// # Panics
    /// If there are no slots at all.
    ///
    /// ```
    /// use spanring::format::definition::Definition;
    ///
    /// let (definition, mut slots) = (Definition::of_name("load"), [[0; 8]; 1]);
    /// definition.encode_into(&mut slots);
    /// assert_eq!(slots.to_vec(), definition.encode());
    /// ```
    pub fn encode_into(&self, slots: &mut [[u64; SLOT_WORDS]]) {
        let texts = self.texts();
        let length = |index: usize| texts[index].len() as u64;
        let count = slots.len() as u64;
        let first = &mut slots[0];
        first[0] = self.kind as u64 | u64::from(self.lod) << 8 | count << 32;
        first[1] = self.address;
        first[2] = u64::from(self.line) | length(0) << 32;
        first[3] = length(1) | length(2) << 32;
        first[4] = length(3);
        first[4] |= u64::from(checksum(first, texts.iter().map(|text| text.as_bytes()))) << 32;
        let mut text = texts.iter().flat_map(|text| text.bytes());
        for (slot, index) in slots.iter_mut().zip(0..) {
            let start = if index == 0 { SLOT_WORDS - FIRST_TEXT / size_of::<u64>() } else { 1 };
            if index > 0 {
                slot[0] = u64::from(CONTINUATION) | index << 32;
            }
            let room = &mut slot[start..];
            bytemuck::cast_slice_mut::<u64, u8>(room).fill_with(|| text.next().unwrap_or(0));
        }
    }
}

fn words<const N: usize>(bytes: &[u8]) -> [u64; N] {
    std::array::from_fn(|index| word_at(bytes, index * 8).unwrap_or(0))
}

fn checksum<'a>(first: &[u64; SLOT_WORDS], texts: impl IntoIterator<Item = &'a [u8]>) -> u32 {
    let mut hasher = crc32fast::Hasher::new();
    let words = [first[0], first[1], first[2], first[3], first[4] & 0xffff_ffff];
    words.iter().for_each(|word| hasher.update(&word.to_le_bytes()));
    texts.into_iter().for_each(|text| hasher.update(text));
    hasher.finalize()
}

/// What stands in a slot of definitions.
///
/// ```
/// use spanring::format::definition::{Definition, SlotUse};
///
/// let slots = Definition::of_name("load all users of this shard").encode();
/// let uses = [SlotUse::First(2), SlotUse::Continuation];
/// assert!(slots.iter().map(|slot| SlotUse::of(slot[0])).eq(uses));
/// ```
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum SlotUse {
    /// Nothing yet.
    Empty,
    /// The start of a definition of so many slots.
    First(usize),
    /// More text of a definition.
    Continuation,
}

impl SlotUse {
    /// What a slot with this first word holds. The slot count may be anything in damaged memory.
    ///
    /// ```
    /// use spanring::format::definition::SlotUse;
    ///
    /// assert_eq!(SlotUse::of(0), SlotUse::Empty);
    /// ```
    pub fn of(word: u64) -> SlotUse {
        match word as u8 {
            0 => SlotUse::Empty,
            CONTINUATION => SlotUse::Continuation,
            _ => SlotUse::First((word >> 32) as usize),
        }
    }
}

/// Reads the definitions in `slots`, whatever stands between them, and returns the offsets of the damaged ones.
///
/// ```
/// use spanring::format::definition::{Definition, decode_all};
///
/// let words = Definition::of_name("load").encode();
/// let mut bytes: Vec<u8> = words.iter().flatten().flat_map(|word| word.to_le_bytes()).collect();
/// let mut names = Vec::new();
/// assert_eq!(decode_all(&bytes, |definition| names.push(definition.name)), []);
/// assert_eq!(names, ["load"]);
///
/// // A damaged one is passed over, and its offset returned.
/// bytes[40] ^= 1;
/// assert_eq!(decode_all(&bytes, |_| unreachable!()), [0]);
/// ```
pub fn decode_all(slots: &[u8], mut each: impl FnMut(Definition<String>)) -> Vec<usize> {
    let mut damaged = Vec::new();
    let mut offset = 0;
    while let Some(word) = word_at(slots, offset) {
        let mut step = SLOT_BYTES;
        if let SlotUse::First(_) = SlotUse::of(word) {
            match decode(&slots[offset..]) {
                Some((definition, bytes)) => {
                    each(definition);
                    step = bytes;
                }
                None => damaged.push(offset),
            }
        }
        offset += step;
    }
    damaged
}

/// The definition whose first slot begins `bytes`, and its length in bytes.
fn decode(bytes: &[u8]) -> Option<(Definition<String>, usize)> {
    let first: [u64; SLOT_WORDS] = words(bytes.get(..SLOT_BYTES)?);
    let kind = DefinitionKind::ALL.into_iter().find(|kind| *kind as u8 == first[0] as u8)?;
    let low = |word: u64| word as u32 as usize;
    let high = |word: u64| (word >> 32) as usize;
    let lengths = [high(first[2]), low(first[3]), high(first[3]), low(first[4])];
    let total: usize = lengths.iter().sum();
    let slots = 1 + total.saturating_sub(FIRST_TEXT).div_ceil(TEXT_BYTES);
    let whole = bytes.get(..slots.checked_mul(SLOT_BYTES)?)?;
    if slots != high(first[0]) {
        return None;
    }
    let mut text = whole[SLOT_BYTES - FIRST_TEXT..SLOT_BYTES].to_vec();
    for (slot, index) in whole.chunks_exact(SLOT_BYTES).skip(1).zip(1..) {
        if word_at(slot, 0)? != u64::from(CONTINUATION) | index << 32 {
            return None;
        }
        text.extend_from_slice(&slot[8..]);
    }
    text.truncate(total);
    if checksum(&first, [&text[..]]) != high(first[4]) as u32 {
        return None;
    }
    let mut rest = std::str::from_utf8(&text).ok()?;
    let mut take = |length: usize| {
        let (head, tail) = rest.split_at_checked(length)?;
        rest = tail;
        Some(head.to_owned())
    };
    let definition = Definition {
        kind,
        address: first[1],
        lod: (first[0] >> 8) as u8,
        line: first[2] as u32,
        name: take(lengths[0])?,
        target: take(lengths[1])?,
        module_path: take(lengths[2])?,
        file: take(lengths[3])?,
    };
    Some((definition, slots * SLOT_BYTES))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn bytes_of(definition: &Definition<String>) -> Vec<u8> {
        definition.encode().iter().flatten().flat_map(|word| word.to_le_bytes()).collect()
    }

    fn definition(name: String) -> Definition<String> {
        Definition {
            kind: DefinitionKind::Metadata,
            address: 0x1234,
            lod: 3,
            line: 77,
            name,
            target: "töst".to_owned(),
            module_path: "a::b".to_owned(),
            file: "src/b.rs".to_owned(),
        }
    }

    fn decode_whole(bytes: &[u8]) -> (Vec<Definition<String>>, Vec<usize>) {
        let mut found = Vec::new();
        let damaged = decode_all(bytes, |definition| found.push(definition));
        (found, damaged)
    }

    #[test]
    fn definitions_of_every_length_come_back() {
        let lengths = (0..200).step_by(if cfg!(miri) { 23 } else { 1 });
        for length in lengths.chain([if cfg!(miri) { 500 } else { 65536 }]) {
            let definition = definition("n".repeat(length));
            assert_eq!(decode_whole(&bytes_of(&definition)), (vec![definition], vec![]));
        }
    }

    #[test]
    fn what_is_not_written_yet_is_passed_over() {
        let (a, b) = (definition("a".repeat(100)), definition("b".repeat(10)));
        let mut bytes = bytes_of(&a);
        bytes[0] = 0;
        bytes.extend(bytes_of(&b));
        bytes.extend([0; 128]);
        assert_eq!(decode_whole(&bytes), (vec![b], vec![]));
    }

    #[test]
    fn a_flipped_bit_costs_one_definition_at_most() {
        let (a, b) = (definition("a".repeat(100)), definition("b".repeat(50)));
        let mut bytes = bytes_of(&a);
        bytes.extend(bytes_of(&b));
        for bit in (0..bytes.len() * 8).step_by(if cfg!(miri) { 101 } else { 1 }) {
            let mut flipped = bytes.clone();
            flipped[bit / 8] ^= 1 << (bit % 8);
            let (found, _) = decode_whole(&flipped);
            assert!(!found.is_empty() && found.iter().all(|one| *one == a || *one == b), "bit {bit}");
        }
    }

    #[test]
    fn lengths_found_in_a_slot_are_not_believed() {
        let mut bytes = bytes_of(&definition("name".to_owned()));
        bytes[20..24].fill(0xff);
        bytes[4..8].fill(0xff);
        let (found, damaged) = decode_whole(&bytes);
        assert_eq!((found.len(), damaged), (0, vec![0]));
    }
}
