//! The floor: what no recorder of spans can be below, and the same without a span.

use crate::library::{Kind, Library, Off, Recording, Row, Setup, spawn_each, work};
use crate::rows::{floor, spans};
use std::path::Path;

pub struct Floor;

const ROWS: [Row; 5] = [
    Row { kind: Kind::Async, way: "no span", spans: spans::bare_async, tasks: Some(|n| spawn_each(n, work)) },
    Row { kind: Kind::Sync, way: "no span", spans: spans::bare_sync, tasks: None },
    Row {
        kind: Kind::Async,
        way: "floor",
        spans: floor::plain_async,
        tasks: Some(|n| spawn_each(n, || floor::spanned::<_, floor::Plain>(work()))),
    },
    Row { kind: Kind::Sync, way: "floor", spans: floor::plain_sync, tasks: None },
    Row { kind: Kind::Async, way: "floor, SPSC-safe, nobody reads", spans: floor::spsc_async, tasks: None },
];

impl Library for Floor {
    fn name(&self) -> &'static str {
        "floor"
    }

    fn package(&self) -> Option<&'static str> {
        None
    }

    fn rows(&self) -> &'static [Row] {
        &ROWS
    }

    fn setups(&self) -> &'static [Setup] {
        &[Setup {
            name: "",
            at_rest: None,
            note: "Two clock reads, two 64-byte slots in a ring of the thread's own, a span id, the parent, and the current span \
                   kept: `benches/rows/floor.rs`. No switch, nobody can read it, nothing is counted, and a cancelled or panicking \
                   future leaves no end. It is a yardstick, not a recorder.",
        }]
    }

    fn start(&self, _setup: usize, _directory: &Path) -> Box<dyn Recording> {
        Box::new(Off)
    }

    fn can_be_off(&self) -> bool {
        false
    }
}
