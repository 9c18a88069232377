//! The fields of events that wait, as they will be written.
//!
//! They are encoded when their span is at hand, and stand one after the other in the order in which they came: to write them is to copy
//! them.

use super::packets::Fields;
use std::collections::VecDeque;

/// Bodies are collected in pieces of memory of about so many bytes. Each is used again when all that is in it has been drawn.
const CHUNK: usize = 1 << 16;
/// A chunk with less room than this gets no more of them. Most need less, and of the others the chunk grows.
const LEFT: usize = 1 << 10;

/// The number of the fields of an event, modulo 2^32.
#[derive(Clone, Copy, Debug)]
pub(super) struct Body(u32);

impl Body {
    /// None.
    pub(super) const NONE: Body = Body(0);
}

/// Where fields are.
#[derive(Clone, Copy, Debug)]
struct Part {
    /// The number of the chunk, modulo 2^32.
    chunk: u32,
    start: u32,
    bytes: u32,
}

/// The fields of events, in the order in which they came.
#[derive(Debug, Default)]
pub(super) struct Bodies {
    parts: VecDeque<Part>,
    /// The number of the first.
    first: u32,
    chunks: VecDeque<Fields>,
    /// The number of the first chunk.
    first_chunk: u32,
    /// Where in the last one the next event begins.
    start: usize,
    /// Chunks that nothing is in.
    spare: Vec<Fields>,
}

impl Bodies {
    /// What the fields of the next event are to be added to.
    pub(super) fn next(&mut self) -> &mut Fields {
        if self.chunks.back().is_none_or(|chunk| chunk.len() > CHUNK - LEFT) {
            self.new_chunk();
        }
        self.chunks.back_mut().expect("there is one by now")
    }

    #[cold]
    fn new_chunk(&mut self) {
        self.chunks.push_back(self.spare.pop().unwrap_or_else(|| Fields::with_capacity(CHUNK)));
        self.start = 0;
    }

    /// All fields have been added: their number.
    pub(super) fn done(&mut self) -> Body {
        let end = self.chunks.back().map_or(0, Fields::len);
        let start = std::mem::replace(&mut self.start, end);
        let chunk = self.first_chunk.wrapping_add(self.chunks.len() as u32).wrapping_sub(1);
        self.parts.push_back(Part { chunk, start: start as u32, bytes: (end - start) as u32 });
        Body(self.first.wrapping_add(self.parts.len() as u32).wrapping_sub(1))
    }

    pub(super) fn get(&self, Body(number): Body) -> &[u8] {
        let Part { chunk, start, bytes } = self.parts[number.wrapping_sub(self.first) as usize];
        let chunk = &self.chunks[chunk.wrapping_sub(self.first_chunk) as usize];
        &chunk.bytes()[start as usize..][..bytes as usize]
    }

    /// The first `count` are needed no more.
    pub(super) fn forget(&mut self, count: usize) {
        self.parts.drain(..count);
        self.first = self.first.wrapping_add(count as u32);
        let unused =
            self.parts.front().map_or(self.chunks.len(), |part| part.chunk.wrapping_sub(self.first_chunk) as usize);
        for mut chunk in self.chunks.drain(..unused) {
            // Others are larger than they need be again.
            if chunk.len() <= CHUNK {
                chunk.clear();
                self.spare.push(chunk);
            }
        }
        self.first_chunk = self.first_chunk.wrapping_add(unused as u32);
    }
}
