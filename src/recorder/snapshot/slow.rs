//! Spans that ask for a snapshot by being slow.
//!
//! The flusher looks at every record of a ring in flight discipline anyway, for begins of spans that stay open. Here it compares each end
//! with its begin, and resolves a name only where the time alone would do.

use super::super::names::Scanner;
use super::super::session::Session;
use super::super::thread::RingConsumer;
use super::settings::Snapshots;
use crate::events::{Head, Kind, SLOT_WORDS, Slot, SpanFields, TEXT_BYTES};
use crate::format::definition::{DefinitionKind, decode_all};
use std::collections::{HashMap, HashSet};
use std::ops::Range;
use std::time::{Duration, Instant};

/// The words of a slot that tell how long a span took.
const TIME_WORDS: [usize; 3] = [0, 1, 7];

/// How often spans that do not end are looked at.
const OPEN_EVERY: Duration = Duration::from_secs(1);

/// Compares spans with the times that they may take.
pub(in super::super) struct SlowWatch {
    ticks_per_second: u64,
    /// In ticks, of spans with a name that is not in `by_name`.
    any: Option<u64>,
    by_name: HashMap<String, u64>,
    /// The least of all these.
    least: u64,
    names: Names,
    words: Vec<u64>,
    slots: Vec<u64>,
    /// The slowest one since somebody asked, in ticks, and what to say of it.
    slowest: Option<(u64, String)>,
    /// Open spans that were told of.
    told: HashSet<u64>,
    looked_at_open: Instant,
}

impl SlowWatch {
    /// `None`: no span is too slow.
    pub(in super::super) fn new(settings: &Snapshots, ticks_per_second: u64) -> Option<SlowWatch> {
        let ticks = |time: &Duration| (time.as_nanos() * u128::from(ticks_per_second) / 1_000_000_000) as u64;
        let any = settings.slower_than.as_ref().map(ticks);
        let by_name: HashMap<String, u64> =
            settings.slower_than_named.iter().map(|(name, time)| (name.clone(), ticks(time))).collect();
        let least = by_name.values().copied().chain(any).min()?;
        Some(SlowWatch {
            ticks_per_second,
            any,
            by_name,
            least,
            names: Names::default(),
            words: Vec::new(),
            slots: Vec::new(),
            slowest: None,
            told: HashSet::new(),
            looked_at_open: Instant::now(),
        })
    }

    /// Looks at spans that ended. What is overwritten meanwhile is passed over.
    pub(in super::super) fn look(&mut self, consumer: &RingConsumer, positions: Range<u64>, session: &Session) {
        let mut words = std::mem::take(&mut self.words);
        let seen = consumer.snapshot_words(positions, TIME_WORDS, &mut words);
        for (position, mark) in (seen.start..).zip(words.chunks_exact(TIME_WORDS.len())) {
            let (head, took) = (Head(mark[0]), mark[1].saturating_sub(mark[2]));
            let ends_a_span = head.kind().is_some_and(Kind::is_end) && mark[2] != 0;
            if ends_a_span && took > self.least {
                self.weigh(consumer, position..position + head.slots() as u64, took, session);
            }
        }
        self.words = words;
    }

    /// Looks at spans that do not end, if it is time: their begins.
    pub(in super::super) fn look_at_open<'a>(
        &mut self,
        begins: impl Iterator<Item = &'a [Slot]>,
        now: u64,
        session: &Session,
    ) {
        if self.looked_at_open.elapsed() < OPEN_EVERY {
            return;
        }
        self.looked_at_open = Instant::now();
        let mut still_open = HashSet::new();
        for slots in begins {
            let Some(first) = slots.first().map(SpanFields::from_slot) else { continue };
            let took = now.saturating_sub(first.ticks);
            if took <= self.least {
                continue;
            }
            if self.told.contains(&first.span_id) || self.compare(slots, took, "is open for", session) {
                still_open.insert(first.span_id);
            }
        }
        // Of others nothing more is to be told: they have ended, or are not slow.
        self.told = still_open;
    }

    /// What the slowest span was, since the last call.
    pub(in super::super) fn take(&mut self) -> Option<String> {
        self.slowest.take().map(|(_, reason)| reason)
    }

    fn weigh(&mut self, consumer: &RingConsumer, wanted: Range<u64>, took: u64, session: &Session) {
        let mut words = std::mem::take(&mut self.slots);
        if consumer.snapshot(wanted.clone(), &mut words) == wanted && !wanted.is_empty() {
            let slots: &[Slot] = bytemuck::cast_slice(&words);
            if !self.told.contains(&SpanFields::from_slot(&slots[0]).span_id) {
                self.compare(slots, took, "took", session);
            }
        }
        self.slots = words;
    }

    /// Whether the span of this record is too slow, which is then noted.
    fn compare(&mut self, slots: &[Slot], took: u64, how: &str, session: &Session) -> bool {
        let name = self.names.of(slots, session);
        let may_take = name.as_ref().and_then(|name| self.by_name.get(name)).copied().or(self.any);
        let slow = may_take.is_some_and(|may_take| took > may_take);
        if slow && self.slowest.as_ref().is_none_or(|(slowest, _)| took > *slowest) {
            let seconds = took as f64 / self.ticks_per_second as f64;
            let reason = format!("slow: {} {how} {seconds:.3} s", name.as_deref().unwrap_or("a span"));
            self.slowest = Some((took, reason));
        }
        slow
    }
}

/// What names were defined so far.
#[derive(Default)]
struct Names {
    scanner: Scanner,
    definitions: Vec<u64>,
    /// By kind, address and length; a metadata has no length of its own.
    names: HashMap<(DefinitionKind, u64, u64), String>,
}

impl Names {
    /// The name of the span of a record.
    fn of(&mut self, slots: &[Slot], session: &Session) -> Option<String> {
        let fields = SpanFields::from_slot(slots.first()?);
        if fields.head.has_run_time_name() {
            let text: &[u8] = bytemuck::cast_slice(slots.get(1..)?);
            let parts = text.chunks_exact(size_of::<Slot>()).flat_map(|slot| &slot[size_of::<Slot>() - TEXT_BYTES..]);
            let text: Vec<u8> = parts.copied().take(fields.name_length as usize).collect();
            return String::from_utf8(text).ok();
        }
        let key = match fields.name() {
            Some(name) => (DefinitionKind::Name, name.ptr, name.len),
            None => (DefinitionKind::Metadata, fields.site, 0),
        };
        if !self.names.contains_key(&key) {
            self.learn(session);
        }
        self.names.get(&key).cloned()
    }

    fn learn(&mut self, session: &Session) {
        self.definitions.clear();
        self.scanner.scan(&session.names, &mut self.definitions);
        let names = &mut self.names;
        decode_all(bytemuck::cast_slice(&self.definitions), |definition| {
            let length = match definition.kind {
                DefinitionKind::Name => definition.name.len() as u64,
                DefinitionKind::Metadata => 0,
                DefinitionKind::Location | DefinitionKind::Caller => return,
            };
            names.insert((definition.kind, definition.address, length), definition.name.to_owned());
        });
        debug_assert!(self.definitions.len() % SLOT_WORDS == 0);
    }
}
