//! What a proof comes to: a row of the table, or why there is none.

use spanring::reader::ReadError;
use std::io;

/// What a proof that held has to say.
pub struct Shown {
    /// How much was tried: points, kills, lengths.
    pub amount: String,
    /// What was shown by it.
    pub shown: String,
}

/// Why a proof did not hold.
pub enum Trouble {
    /// The promise is broken, or the proof itself is.
    Broken(String),
    /// This machine cannot run it.
    Unable(String),
}

pub type Proven = Result<Shown, Trouble>;

impl From<String> for Trouble {
    fn from(what: String) -> Trouble {
        Trouble::Broken(what)
    }
}

impl From<io::Error> for Trouble {
    fn from(error: io::Error) -> Trouble {
        Trouble::Broken(error.to_string())
    }
}

impl From<ReadError> for Trouble {
    fn from(error: ReadError) -> Trouble {
        Trouble::Broken(error.to_string())
    }
}

/// Returns an error that says so, unless the condition holds.
macro_rules! ensure {
    ($condition:expr, $($what:tt)+) => {
        if !$condition {
            return Err(format!($($what)+).into());
        }
    };
}
pub(crate) use ensure;

/// How much to try.
#[derive(Clone, Copy)]
pub struct Scale {
    /// As much as the proof promises; else as much as fits into a run for every push.
    pub full: bool,
    /// Overrides the number of rounds.
    pub count: Option<u64>,
}

impl Scale {
    /// Rounds to run.
    pub fn rounds(&self, quick: u64, full: u64) -> u64 {
        self.count.unwrap_or(if self.full { full } else { quick })
    }
}
