//! What an export holds, and what its recording lacks, for formats that have a place for it.

use crate::spans::{DetailTotals, Ending, Item, add};
use spanring::reader::LossCause;

/// Sums over everything that was exported.
#[derive(Clone, Copy, Debug, Default)]
pub struct Totals {
    spans: u64,
    open: u64,
    dropped: u64,
    overwritten: u64,
    retired: u64,
    damaged: u64,
    damages: u64,
    details: DetailTotals,
}

impl Totals {
    /// Counts an item.
    pub fn add(&mut self, item: &Item<'_>) {
        match item {
            Item::Thread(_) | Item::Instant(_) | Item::Counter(_) => {}
            Item::Details(totals) => self.details = *totals,
            Item::Span(span) => {
                self.spans += 1;
                self.open += u64::from(span.ending == Ending::Open);
            }
            Item::Loss(loss) => {
                let total = match loss.cause {
                    LossCause::Dropped => &mut self.dropped,
                    LossCause::Overwritten => &mut self.overwritten,
                    LossCause::Retired => &mut self.retired,
                };
                add(total, loss.records);
            }
            Item::Damage(damage) => {
                self.damages += 1;
                add(&mut self.damaged, damage.records);
            }
        }
    }

    /// The sums with their names.
    pub fn entries(&self) -> [(&'static str, u64); 14] {
        [
            ("spanring.spans", self.spans),
            ("spanring.open_spans", self.open),
            ("spanring.dropped_records", self.dropped),
            ("spanring.overwritten_records", self.overwritten),
            ("spanring.retired_records", self.retired),
            ("spanring.damaged_records", self.damaged),
            ("spanring.damages", self.damages),
            ("spanring.attributes", self.details.attributes),
            ("spanring.instants", self.details.instants),
            ("spanring.counter_values", self.details.counters),
            ("spanring.late_attributes", self.details.late_attributes),
            ("spanring.late_instants", self.details.late_instants),
            ("spanring.dropped_attributes", self.details.dropped_attributes),
            ("spanring.dropped_instants", self.details.dropped_instants),
        ]
    }
}

/// One lower-case word for why records are missing.
pub fn cause_word(cause: LossCause) -> &'static str {
    match cause {
        LossCause::Dropped => "dropped",
        LossCause::Overwritten => "overwritten",
        LossCause::Retired => "retired",
    }
}
