//! The threads of a trace.

use super::lanes::ThreadLanes;
use super::packets::{TEXT_BYTES, piece};
use super::texts::Argument;
use super::wire::Piece;
use rustc_hash::FxHashMap;

/// A thread, and where its spans are drawn.
pub(super) struct Thread {
    pub(super) label: String,
    /// The number of the label's text.
    pub(super) text: u64,
    /// The arguments that say that a span began on it, and that it ended there.
    pub(super) begin: Piece<TEXT_BYTES>,
    pub(super) end: Piece<TEXT_BYTES>,
    pub(super) lanes: ThreadLanes,
    /// The tracks of its rows.
    pub(super) tracks: Vec<u64>,
    /// Where its losses are drawn, and the tracks of those rows.
    pub(super) loss_lanes: ThreadLanes,
    pub(super) loss_tracks: Vec<u64>,
}

impl Thread {
    /// One with that label, the number of its text, and its first track.
    pub(super) fn new(label: String, text: u64, track: u64) -> Thread {
        Thread {
            label,
            text,
            begin: piece(&[Argument::BeginThread.text(text)]),
            end: piece(&[Argument::EndThread.text(text)]),
            lanes: ThreadLanes::default(),
            tracks: vec![track],
            loss_lanes: ThreadLanes::default(),
            loss_tracks: Vec::new(),
        }
    }
}

/// By a few bits of their ids, so many threads are found without hashing.
const NEAR: usize = 16;

/// Threads by their ids in the recording. They are numbered in the order in which they came.
#[derive(Default)]
pub(super) struct Threads {
    all: Vec<Thread>,
    by_id: FxHashMap<u32, u32>,
    /// Those that were asked for last, and their numbers.
    near: [Option<(u32, u32)>; NEAR],
}

impl Threads {
    /// The number of the thread with this id, if it is known.
    #[inline]
    pub(super) fn find(&mut self, id: u32) -> Option<usize> {
        let near = &mut self.near[id as usize % NEAR];
        match *near {
            Some((known, number)) if known == id => Some(number as usize),
            _ => {
                let number = *self.by_id.get(&id)?;
                *near = Some((id, number));
                Some(number as usize)
            }
        }
    }

    /// Adds the thread with this id, and returns its number.
    pub(super) fn add(&mut self, id: u32, thread: Thread) -> usize {
        let number = self.all.len();
        self.all.push(thread);
        self.by_id.insert(id, number as u32);
        number
    }

    /// The thread with this number.
    #[inline]
    pub(super) fn get(&self, number: usize) -> &Thread {
        &self.all[number]
    }

    #[inline]
    pub(super) fn get_mut(&mut self, number: usize) -> &mut Thread {
        &mut self.all[number]
    }
}
