//! The read side: a directory of recordings, written by a live, a finished or a killed process, turned back into spans.
//!
//! [`sessions`] lists what a directory holds, [`Recording::open`] opens one session, and [`Recording::read`] calls a visitor for
//! everything in it: threads, span records with names and times, losses, damage. First come the segments, then what the rings
//! still hold and the segments do not. The records of a thread come in order.
//!
//! What was recorded is what is read, and what is counted as lost, as retired and as damaged. Blocks have checksums. A ring has
//! none: what its header says is held against its slots and against the segments, and what does not agree is damage, never a loss.
//!
//! Nothing here panics on any input, trusts a length found in a file, or needs the process or its executable.

mod balance;
mod beside;
mod clock;
mod decode;
mod dictionary;
mod error;
mod event;
mod headers;
mod pass;
mod recording;
mod recover;
mod ring;
mod segment;
mod sequence;
mod session_file;
mod visitor;
mod window;

pub use error::ReadError;
pub use event::{
    AttributeRecord, CounterRecord, Damage, Event, InstantRecord, Location, Loss, LossCause, NameState, Phase,
    PollRecord, SpanKind, SpanRecord, Summary, Value, WriterState,
};
pub use recording::{Recording, sessions};
pub use visitor::Visitor;

pub use crate::events::Outcome;
pub use crate::format::{Discipline, ProcessFacts, Status, ThreadFacts, TickSource};
