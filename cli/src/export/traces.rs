//! Which trace a span belongs to: a root span and everything below it are one, with an id that the next export finds again.

use crate::by_id::ById;
use spanring::reader::ProcessFacts;
use std::collections::VecDeque;

/// So many spans that have ended are remembered, so that children that come after them still find their root.
pub const REMEMBERED: usize = 1 << 19;

/// The trace ids of one session.
///
/// ```
/// use spanring::reader::ProcessFacts;
/// use spanring_cli::export::traces::TraceIds;
///
/// let facts = ProcessFacts::decode("session=first\npid=42\nhost=here");
/// let (once, again) = (TraceIds::of(&facts), TraceIds::of(&facts));
/// assert_eq!(once.id(7), again.id(7), "every export has the same");
/// ```
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct TraceIds {
    session: [u64; 2],
}

impl TraceIds {
    /// Those of the session with these facts: they depend on host, boot, process and session, and on nothing else.
    ///
    /// ```
    /// use spanring::reader::ProcessFacts;
    /// use spanring_cli::export::traces::TraceIds;
    ///
    /// let [first, second] = ["session=first", "session=second"].map(|facts| TraceIds::of(&ProcessFacts::decode(facts)));
    /// assert_ne!(first, second);
    /// ```
    pub fn of(facts: &ProcessFacts) -> TraceIds {
        let pid = facts.pid.to_string();
        let parts = [facts.host.as_str(), &facts.boot_id, &pid, &facts.session];
        TraceIds { session: [hash(0, parts), hash(1, parts)] }
    }

    /// The id of the trace whose root is the span `root`; 0 stands for the recording itself. No two roots of a session share one.
    ///
    /// ```
    /// use spanring::reader::ProcessFacts;
    /// use spanring_cli::export::traces::TraceIds;
    ///
    /// let facts = ProcessFacts::decode("session=first\npid=42\nhost=here");
    /// let ids = TraceIds::of(&facts);
    /// assert_ne!(ids.id(1), ids.id(2));
    /// assert_eq!(ids.id(1) >> 64, ids.id(2) >> 64, "one session");
    /// ```
    pub fn id(self, root: u64) -> u128 {
        let [high, low] = self.session;
        // An id of zeroes would stand for none.
        u128::from(high.max(1)) << 64 | u128::from(mix(low ^ root))
    }

    /// Exclusive-ored with it, the ids of this session's spans are hardly those of any other's, and no longer small.
    ///
    /// ```
    /// use spanring::reader::ProcessFacts;
    /// use spanring_cli::export::traces::TraceIds;
    ///
    /// let facts = ProcessFacts::decode("session=first\npid=42\nhost=here");
    /// let mask = TraceIds::of(&facts).mask();
    /// assert!([1, 2, 3].iter().all(|span| span ^ mask > u64::MAX / 2));
    /// ```
    pub fn mask(self) -> u64 {
        self.session[1] | 1 << 63
    }
}

/// FNV-1a over texts and what separates them, then mixed. The result has to be the same for ever, so it is not left to a hasher that
/// promises less.
fn hash(seed: u64, parts: [&str; 4]) -> u64 {
    let bytes = parts.into_iter().flat_map(|part| part.bytes().chain([0xff]));
    mix(bytes.fold(0xcbf2_9ce4_8422_2325 ^ seed, |hash, byte| (hash ^ u64::from(byte)).wrapping_mul(0x100_0000_01b3)))
}

/// The finalizer of SplitMix64: a permutation that leaves no pattern. Samplers take the low bits of a trace id for random.
fn mix(mut word: u64) -> u64 {
    word = (word ^ (word >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
    word = (word ^ (word >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
    word ^ (word >> 31)
}

/// Finds the root of a span while spans stream by.
///
/// A child ends, and is handed out, before its parent, and it may be read before its parent's begin if that happened on another
/// thread. So begins are told here, and a root is asked for as late as can be. What is kept are the spans that are open and
/// the [`REMEMBERED`] last ones that ended; a chain that is cut, because records were lost or an ancestor ended longer ago, ends at
/// the topmost ancestor whose id is known. Spans that share that ancestor are one trace all the same.
///
/// ```
/// use spanring_cli::export::traces::Roots;
///
/// let mut roots = Roots::default();
/// for (id, parent) in [(1, 0), (2, 1), (3, 2)] {
///     roots.begun(id, parent);
/// }
/// roots.ended(2, 1);
/// assert_eq!(roots.root(3), 1);
/// ```
#[derive(Debug)]
pub struct Roots {
    /// For each span some ancestor of it, or itself for a root. What is not here is the top of its chain as far as is known.
    above: ById<u64>,
    /// The oldest first.
    ended: VecDeque<u64>,
    remembered: usize,
}

impl Default for Roots {
    fn default() -> Roots {
        Roots::remembering(REMEMBERED)
    }
}

impl Roots {
    /// Remembers so many spans that have ended.
    ///
    /// ```
    /// use spanring_cli::export::traces::Roots;
    ///
    /// let mut roots = Roots::remembering(1);
    /// roots.ended(1, 0);
    /// roots.ended(2, 0);
    /// assert_eq!(roots.len(), 1);
    /// ```
    pub fn remembering(remembered: usize) -> Roots {
        Roots { above: ById::default(), ended: VecDeque::new(), remembered }
    }

    /// A span has begun, in `parent` (0 for none).
    ///
    /// ```
    /// use spanring_cli::export::traces::Roots;
    ///
    /// let mut roots = Roots::default();
    /// roots.begun(2, 1);
    /// assert_eq!(roots.root(2), 1, "whether the parent is known or not");
    /// ```
    pub fn begun(&mut self, id: u64, parent: u64) {
        if self.above.contains(id) {
            return;
        }
        // In a damaged recording parents may go round in a circle. Whoever closes it is a root.
        let top = if parent == 0 { id } else { self.root(parent) };
        self.above.insert(id, top);
    }

    /// A span has ended. Its begin may have been lost.
    ///
    /// ```
    /// use spanring_cli::export::traces::Roots;
    ///
    /// let mut roots = Roots::remembering(1);
    /// roots.ended(2, 1);
    /// assert_eq!(roots.root(2), 1, "its begin is not needed");
    /// roots.ended(3, 0);
    /// assert_eq!(roots.root(2), 2, "no longer remembered");
    /// ```
    pub fn ended(&mut self, id: u64, parent: u64) {
        self.begun(id, parent);
        self.ended.push_back(id);
        if self.ended.len() > self.remembered {
            if let Some(forgotten) = self.ended.pop_front() {
                self.above.remove(forgotten);
            }
        }
    }

    /// The root of a span: itself if it has no parent, else the topmost ancestor that is known.
    ///
    /// ```
    /// use spanring_cli::export::traces::Roots;
    ///
    /// let mut roots = Roots::default();
    /// assert_eq!(roots.root(5), 5);
    /// roots.begun(5, 4);
    /// roots.begun(6, 5);
    /// assert_eq!(roots.root(6), 4);
    /// ```
    pub fn root(&mut self, id: u64) -> u64 {
        let mut at = id;
        loop {
            let Some(&above) = self.above.get(at) else { return at };
            if above == at {
                return at;
            }
            // The way is halved for those who come after.
            if let Some(&next) = self.above.get(above) {
                self.above.insert(at, next);
            }
            at = above;
        }
    }

    /// Number of spans that are remembered.
    ///
    /// ```
    /// use spanring_cli::export::traces::Roots;
    ///
    /// let mut roots = Roots::default();
    /// roots.begun(1, 0);
    /// roots.begun(1, 0);
    /// assert_eq!(roots.len(), 1);
    /// ```
    pub fn len(&self) -> usize {
        self.above.len()
    }

    /// Whether no span is remembered.
    ///
    /// ```
    /// use spanring_cli::export::traces::Roots;
    ///
    /// assert!(Roots::default().is_empty());
    /// ```
    pub fn is_empty(&self) -> bool {
        self.above.is_empty()
    }
}
