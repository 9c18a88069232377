//! Pairing the begins and ends among a few thousand slots, by no more than two words of each.

use crate::events::{Head, Kind, Slot};

/// What has to be known of each slot to tell which spans are open: the first word, and the span's id.
pub(super) type Mark = [u64; 2];

/// The words of a slot that make its mark.
pub(super) const MARK_WORDS: [usize; 2] = [0, 2];

/// Slots that are paired at once. Most spans begin and end among so many, and are done with here.
pub(super) const MOST_MARKS: usize = 4096;

/// What tells a slot's mark: the slot itself, or those words of it.
pub(super) trait Marked {
    fn mark(&self) -> Mark;
}

impl Marked for Mark {
    fn mark(&self) -> Mark {
        *self
    }
}

impl Marked for Slot {
    fn mark(&self) -> Mark {
        MARK_WORDS.map(|word| self.0[word])
    }
}

/// Begins and ends among a few thousand slots.
pub(super) struct Pairs {
    /// For the low bits of a span's id, which of the slots may be its begin. Ids of one thread follow each other, so hardly any two
    /// meet here; if they do, the older one is found among those that are open.
    begin_of: Box<[u16; MOST_MARKS]>,
    /// Begins without an end so far, a bit for each slot.
    open: [u64; MOST_MARKS / 64],
    /// Slots with attributes of spans that may be open.
    pub(super) attributes: Vec<u16>,
}

impl Default for Pairs {
    fn default() -> Pairs {
        Pairs { begin_of: Box::new([0; MOST_MARKS]), open: [0; MOST_MARKS / 64], attributes: Vec::new() }
    }
}

impl Pairs {
    /// Pairs begins with their ends, and tells of each span whose end has no begin before it here. At most [`MOST_MARKS`].
    pub(super) fn pair(&mut self, run: &[impl Marked], mut unpaired: impl FnMut(u64)) {
        self.attributes.clear();
        for (index, slot) in run.iter().enumerate() {
            let [head, id] = slot.mark();
            let Some(kind) = Head(head).kind() else { continue };
            let place = &mut self.begin_of[id as usize % MOST_MARKS];
            if kind.is_end() {
                let begin = usize::from(*place);
                let (word, bit) = (&mut self.open[begin / 64], 1 << (begin % 64));
                if *word & bit != 0 && run[begin].mark()[1] == id { *word &= !bit } else { unpaired(id) }
            } else if kind.is_span() {
                *place = index as u16;
                self.open[index / 64] |= 1 << (index % 64);
            } else if kind == Kind::Attribute {
                self.attributes.push(index as u16);
            }
        }
        // Most spans have ended here, and so nothing is kept of them.
        let Pairs { begin_of, open, attributes } = self;
        attributes.retain(|index| {
            let id = run[usize::from(*index)].mark()[1];
            let begin = usize::from(begin_of[id as usize % MOST_MARKS]);
            let is_its_begin = run.get(begin).is_some_and(|slot| {
                let [head, of] = slot.mark();
                of == id && Head(head).kind().is_some_and(|kind| kind.is_span() && !kind.is_end())
            });
            !is_its_begin || open[begin / 64] & 1 << (begin % 64) != 0
        });
    }

    /// Takes the begins that were left over.
    pub(super) fn take_open(&mut self) -> impl Iterator<Item = usize> + use<> {
        let words = std::mem::replace(&mut self.open, [0; MOST_MARKS / 64]).into_iter().enumerate();
        words
            .filter(|(_, word)| *word != 0)
            .flat_map(|(at, word)| (0..64).filter(move |bit| word & 1 << bit != 0).map(move |bit| at * 64 + bit))
    }
}
