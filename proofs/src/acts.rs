//! Records that can be recognised: each says by all of its fields which one it is.

use crate::contents::Record;
use spanring::prelude::*;
use spanring::reader::{NameState, Outcome, Phase};
use std::task::{Context, Waker};

static_span_location!(PLACE);

/// Bytes of the longest name that fits into a record.
pub const LONGEST_NAME: usize = spanring::events::MAX_RUN_TIME_NAME;

const NAMES: [&str; 4] = ["load users", "query shard", "render page", "write the answer"];
const PARENT: u64 = 0xa5a5 << 32;
const ENDED: u64 = 0xe4e4 << 32;

/// One recording call.
#[derive(Clone, Copy, Debug, PartialEq)]
pub enum Act {
    /// The begin of a span with a static name.
    Begin,
    /// Its end.
    End,
    /// The begin of a span with a name made at run time, of so many bytes.
    RunTime(usize),
    /// The begin of a thread span, by hand.
    Scope,
    /// The begin of a span whose static name nobody has recorded before.
    NewName,
}

/// The name of [`Act::NewName`].
pub const NEW_NAME: &str = "a name that is recorded once";

impl Act {
    /// Slots that the record takes.
    pub fn slots(self) -> u64 {
        match self {
            Act::RunTime(bytes) => 1 + bytes.div_ceil(56) as u64,
            _ => 1,
        }
    }

    /// Makes everything ready for the call, which is the `number`th on its thread.
    pub fn prepare(self, number: u64) -> Box<dyn FnOnce()> {
        let (parent, depth) = (PARENT + number, depth(number));
        match self {
            Act::Begin => Box::new(move || {
                spanring::dispatch::on_begin_async_named_scope(&PLACE, name(number), parent, depth);
            }),
            Act::NewName => Box::new(move || {
                spanring::dispatch::on_begin_async_named_scope(&PLACE, NEW_NAME, parent, depth);
            }),
            Act::Scope => Box::new(move || spanring::dispatch::on_begin_named_scope(&PLACE, name(number))),
            Act::End => Box::new(move || {
                spanring::dispatch::on_end_async_named_scope(ENDED + number, parent, &PLACE, name(number), depth);
            }),
            Act::RunTime(bytes) => {
                let mut future = Box::pin(std::future::pending::<()>().instrument_named(&PLACE, text(number, bytes)));
                Box::new(move || {
                    let _ = future.as_mut().poll(&mut Context::from_waker(Waker::noop()));
                    // Its end is another record.
                    std::mem::forget(future);
                })
            }
        }
    }

    /// Whether `record` is the one of this act, with nothing of any other in it. `id`: that of the span, if it begins.
    pub fn made(self, record: &Record, id: u64) -> bool {
        let number = record.number;
        let static_name = if self == Act::NewName { NEW_NAME } else { name(number) };
        let by_hand = (PARENT + number, depth(number) as u16);
        let (phase, outcome, span_id, (parent, depth), name) = match self {
            Act::Begin | Act::NewName => (Phase::Begin, None, id, by_hand, static_name.to_owned()),
            Act::Scope => (Phase::Begin, None, id, (0, 0), static_name.to_owned()),
            Act::End => (Phase::End, Some(Outcome::Completed), ENDED + number, by_hand, static_name.to_owned()),
            Act::RunTime(bytes) => (Phase::Begin, None, id, (0, 0), text(number, bytes)),
        };
        let expected = (phase, outcome, span_id, parent, depth, name.as_str(), NameState::Whole, PLACE.line);
        let found = (
            record.phase,
            record.outcome,
            record.span_id,
            record.parent,
            record.depth,
            record.name.as_str(),
            record.name_state,
            record.line,
        );
        expected == found && record.polls == 0
    }

    /// Whether the call begins a span, and so takes an id.
    pub fn begins(self) -> bool {
        self != Act::End
    }
}

/// The static name of the `number`th record.
pub fn name(number: u64) -> &'static str {
    NAMES[number as usize % NAMES.len()]
}

/// A text of so many bytes that no other record has.
pub fn text(number: u64, bytes: usize) -> String {
    let mut text = format!("{number}:");
    while text.len() < bytes {
        text.push(char::from(b'a' + ((number as usize * 7 + text.len()) % 26) as u8));
    }
    text.truncate(bytes);
    text
}

fn depth(number: u64) -> u32 {
    (number * 3 % 1000) as u32
}
