//! Head sampling: what share of the root spans is recorded, each with everything in it.
//!
//! A root that is not leaves no record but a mark, where the current span's id is otherwise: [`UNSAMPLED_SPAN`]. What is made in a span
//! with that mark has it too, so nobody has to look up a root. Such a span is open like any other, in a generation that no recorder has,
//! so that whatever would be recorded of it comes to nothing by itself.
//!
//! A root scope is no current span. While one is open that is not recorded, its thread says so.

use super::context::{Context, Depth, this_thread};
use super::gate::FIRST_GENERATION;
use super::record::{enter, enter_quickly};
use super::session::GATE;
use super::thread::ThreadLog;
use crate::clock::ticks;
use crate::sync::{AtomicBool, AtomicU64, Ordering};
use std::cell::Cell;
use std::fmt;
use std::str::FromStr;

/// In the place of a span's id: it belongs to a root that is not recorded.
pub(crate) const UNSAMPLED_SPAN: u64 = u64::MAX;

/// In the place of the generation of the recording in which a span began: the same.
pub(crate) const UNSAMPLED: u64 = 1 << 61;
const _: () = assert!(UNSAMPLED > FIRST_GENERATION, "a span with it is open");

/// What share of the root spans is recorded: see [`Builder::sampling`](crate::Builder::sampling).
///
/// ```
/// use spanring::Sampling;
///
/// assert_eq!("0.01".parse(), Ok(Sampling::share(0.01)));
/// assert_eq!(Sampling::default(), Sampling::ALL);
/// ```
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct Sampling {
    /// Of 2^32 roots, about so many.
    of_all: u64,
}

impl Sampling {
    /// Every root span.
    ///
    /// ```
    /// use spanring::Sampling;
    ///
    /// assert_eq!(Sampling::ALL, Sampling::share(1.0));
    /// ```
    pub const ALL: Sampling = Sampling { of_all: 1 << 32 };
    /// No root span, and so none at all.
    ///
    /// ```
    /// use spanring::Sampling;
    ///
    /// assert_eq!(Sampling::NONE, Sampling::share(0.0));
    /// ```
    pub const NONE: Sampling = Sampling { of_all: 0 };

    /// This share, from 0 (none) to 1 (all). What is less is 0; what is more, or not a number, is 1. As exact as 2^-32.
    ///
    /// ```
    /// use spanring::Sampling;
    ///
    /// assert_eq!(Sampling::share(0.25).to_string(), "0.25");
    /// assert_eq!(Sampling::share(7.0), Sampling::ALL);
    /// ```
    pub fn share(share: f64) -> Sampling {
        if share.is_nan() {
            return Sampling::ALL;
        }
        Sampling { of_all: (share.clamp(0.0, 1.0) * Sampling::ALL.of_all as f64).round() as u64 }
    }
}

impl Default for Sampling {
    fn default() -> Sampling {
        Sampling::ALL
    }
}

impl fmt::Display for Sampling {
    /// As a number from 0 to 1, without zeroes at its end.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let text = format!("{:.9}", self.of_all as f64 / Sampling::ALL.of_all as f64);
        f.write_str(text.trim_end_matches('0').trim_end_matches('.'))
    }
}

impl FromStr for Sampling {
    type Err = SamplingError;

    /// A number from 0 to 1.
    fn from_str(text: &str) -> Result<Sampling, SamplingError> {
        let share = text.trim().parse().ok().filter(|share| (0.0..=1.0).contains(share));
        share.map(Sampling::share).ok_or_else(|| SamplingError { text: text.to_owned() })
    }
}

/// Why a text says no share.
///
/// ```
/// use spanring::Sampling;
///
/// let error = "10%".parse::<Sampling>().unwrap_err();
/// assert_eq!(error.to_string(), r#""10%" is no share of the root spans: write a number from 0 to 1, such as 0.01"#);
/// ```
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct SamplingError {
    text: String,
}

impl fmt::Display for SamplingError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{:?} is no share of the root spans: write a number from 0 to 1, such as 0.01", self.text)
    }
}

impl std::error::Error for SamplingError {}

static CURRENT: AtomicU64 = AtomicU64::new(Sampling::ALL.of_all);
static EVER_USED: AtomicBool = AtomicBool::new(false);

/// Chooses the share from now on. One at a time.
pub(super) fn set(sampling: Sampling) {
    // Relaxed, both: they are numbers by themselves.
    if sampling != Sampling::ALL {
        EVER_USED.store(true, Ordering::Relaxed);
    }
    CURRENT.store(sampling.of_all, Ordering::Relaxed);
}

/// The share that is recorded now.
pub(super) fn current() -> Sampling {
    Sampling { of_all: CURRENT.load(Ordering::Relaxed) }
}

/// Whether there can be spans that are not sampled: those of before last to the end of their root, whatever is recorded by now.
pub(super) fn is_ever_used() -> bool {
    EVER_USED.load(Ordering::Relaxed)
}

/// Whether a span that is about to be made in this one belongs to a root that is sampled. A root is decided about here, and counted if it
/// is not.
#[inline(always)]
pub(crate) fn is_sampled(parent: u64) -> bool {
    match parent {
        UNSAMPLED_SPAN => false,
        0 => is_root_sampled(this_thread()),
        _ => true,
    }
}

/// The same of a thread span, so many thread spans deep. If it is not, [`scope_ends`] has to be told of its end.
pub(crate) fn is_scope_sampled(parent: u64, depth: Depth) -> bool {
    let context = this_thread();
    match parent {
        UNSAMPLED_SPAN => false,
        0 if context.is_scope_unsampled() => false,
        0 if depth == Depth::ROOT => {
            let sampled = is_root_sampled(context);
            context.set_scope_unsampled(!sampled);
            sampled
        }
        _ => true,
    }
}

/// A thread span ends that was not sampled.
#[inline(always)]
pub(crate) fn scope_ends(parent: u64, depth: Depth) {
    if parent == 0 && depth == Depth::ROOT {
        this_thread().set_scope_unsampled(false);
    }
}

/// Whether what happens in this span, which may be none, is left out.
pub(super) fn is_left_out(context: &Context, span: u64) -> bool {
    span == UNSAMPLED_SPAN || span == 0 && context.is_scope_unsampled()
}

/// Decides about a root span.
#[inline(never)]
fn is_root_sampled(context: &Context) -> bool {
    let of_all = CURRENT.load(Ordering::Relaxed);
    if of_all == Sampling::ALL.of_all || random() < of_all {
        return true;
    }
    // Where this thread's records would be counted, so on no cache line of others.
    let count = |log: &ThreadLog| log.unsampled.write(log.unsampled.written() + 1, Ordering::Relaxed);
    let generation = GATE.generation();
    if let Some(entered) = enter_quickly(context, generation) {
        count(entered.log);
        entered.leave();
    } else if let Some((log, idle)) = enter(context, generation) {
        count(log);
        log.busy.leave(idle);
    }
    false
}

/// A number of 32 bits, each as likely as any other: SplitMix64, which has one word of state, of each thread for itself.
fn random() -> u64 {
    thread_local! {
        static STATE: Cell<u64> = const { Cell::new(0) };
    }
    STATE.with(|state| {
        let before = match state.get() {
            // No two threads have theirs at one place at a time, nor at one time.
            0 => ticks() ^ (std::ptr::from_ref(state).addr() as u64).rotate_left(32),
            before => before,
        };
        let now = before.wrapping_add(0x9e37_79b9_7f4a_7c15);
        state.set(now);
        let mixed = (now ^ now >> 30).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        let mixed = (mixed ^ mixed >> 27).wrapping_mul(0x94d0_49bb_1331_11eb);
        (mixed ^ mixed >> 31) >> 32
    })
}
