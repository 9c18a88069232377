//! The inputs that are known to take the most memory for each byte. Mutation alone would hardly find them.

use crate::input::{Block, Content, Damage, Definition, Directory, Harm, Name, Names, Number, Record, Repeated, Run};

/// All of them.
pub fn all() -> Vec<Directory> {
    let mut all = Vec::new();
    // Tables double when they are seven eighths full.
    for more in [890, 900, 1790, 1800, 3580, 3600] {
        all.push(many_places(more));
    }
    for kind in 0..8 {
        for more in [890, 900, 1790, 1800, 3580, 3600] {
            all.push(many_spans(kind, more));
        }
    }
    all.push(Directory { segments: with(vec![Content::Threads(2047 << 4 | 15)]), ..Directory::plain() });
    all.push(many_damages());
    all
}

/// Words that each look like the beginning of a block.
fn many_damages() -> Directory {
    let harm = Harm::Insert(b"SRBK\x05\0\0\0".repeat(8 << 10));
    let damage = vec![Damage { file: 2, at: 64, harm, sealed: false }];
    Directory { damage, ..Directory::plain() }
}

fn with(contents: Vec<Content>) -> Vec<crate::input::Segment> {
    let mut segments = Directory::plain().segments;
    let block = |content| Block { content, stamps: Default::default(), range: Default::default() };
    segments[0].blocks = contents.into_iter().map(block).collect();
    segments
}

/// So often, however much it takes.
fn times<T>(what: T, more: u16) -> Repeated<T> {
    Repeated { what, more: more << 4 | 15 }
}

/// Definitions of places with the shortest texts.
fn many_places(more: u16) -> Directory {
    let place = Definition { kind: 2, lengths: [6; 4], ..Definition::default() };
    let names = Names { definitions: times(vec![place], more), ..Names::default() };
    Directory { names: Some(names), ..Directory::plain() }
}

/// Spans of one kind, which share a long name, a place with long texts, and a thread with a long name.
fn many_spans(kind: u8, more: u16) -> Directory {
    let texts = |kind: u8| Definition { kind, lengths: [0, 127, 127, 127], longer: 2000, ..Definition::default() };
    // A name, a location and a metadata.
    let definitions = Names { definitions: times((0..3).map(texts).collect(), 0), ..Names::default() };
    let (site, name) = match kind & 2 {
        0 => (2, Name::OfSite),
        _ => (1, Name::Defined { index: 0, length: Number::Natural }),
    };
    let run =
        Run { records: times(vec![Record { kind, site, name, ..Record::default() }], more), step: Number::Natural };
    let thread = Content::Thread { id: Number::Natural, name: times(b't', 2000) };
    Directory {
        names: Some(definitions),
        segments: with(vec![thread, Content::Records(run)]),
        rings: Vec::new(),
        ..Directory::plain()
    }
}
