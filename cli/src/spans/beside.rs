//! Attributes and instants, kept until the span that they are of is handed out.
//!
//! An instant's attributes stand right behind it, so it is kept by its thread until they have come; then it goes to its span. One that
//! is in no async span but in a scope goes to that when it ends: a thread writes its own records in order, so by then all that
//! happened in the scope has been read.

use super::details::{Attribute, DetailTotals, Details, Given, Instant};
use crate::by_id::ById;
use rustc_hash::FxHashMap;
use std::collections::{BTreeMap, VecDeque};

/// What was read beside spans, and is not handed out yet.
#[derive(Debug, Default)]
pub(super) struct Beside {
    of_spans: ById<Box<Details>>,
    /// The latest instant of each thread, while it waits for so many attributes.
    latest: FxHashMap<u32, (Instant, u32)>,
    /// Of each thread, by the number of scopes around them: instants in scopes that are in no async span.
    in_scopes: FxHashMap<u32, BTreeMap<u16, Details>>,
    /// Instants that are in no span, or in one that is gone.
    strays: VecDeque<Instant>,
    totals: DetailTotals,
}

impl Beside {
    pub(super) fn totals(&self) -> DetailTotals {
        self.totals
    }

    pub(super) fn counter(&mut self) {
        self.totals.counters += 1;
    }

    /// Takes an attribute that a thread recorded of a span or an instant. The span, if these are its first details.
    pub(super) fn attribute(&mut self, thread: u32, id: u64, attribute: Attribute) -> Option<u64> {
        self.totals.attributes += 1;
        if let Some((instant, missing)) = self.latest.get_mut(&thread) {
            if instant.id == id {
                let has_room = instant.attributes.add(attribute);
                self.totals.dropped_attributes += u64::from(!has_room);
                *missing = missing.saturating_sub(1);
                return if *missing == 0 { self.settle(thread) } else { None };
            }
        }
        let (details, is_new) = self.details(id);
        let has_room = details.attributes.add(attribute);
        self.totals.dropped_attributes += u64::from(!has_room);
        is_new.then_some(id)
    }

    /// Takes an instant that so many attributes will follow. Spans whose first details came by that: of the thread's instant before,
    /// which nothing follows any more, and of this one.
    pub(super) fn instant(&mut self, instant: Instant, attributes: u32) -> [Option<u64>; 2] {
        self.totals.instants += 1;
        let thread = instant.thread;
        let before = self.settle(thread);
        self.latest.insert(thread, (instant, attributes));
        [before, if attributes == 0 { self.settle(thread) } else { None }]
    }

    /// Nothing follows the latest instant of a thread any more: it goes to where it belongs. The span, if these are its first details.
    pub(super) fn settle(&mut self, thread: u32) -> Option<u64> {
        let (mut instant, missing) = self.latest.remove(&thread)?;
        instant.attributes.settle(u64::from(missing));
        match (instant.parent, instant.scopes.checked_sub(1)) {
            (0, None) => self.strays.push_back(instant),
            (0, Some(level)) => {
                let levels = self.in_scopes.entry(thread).or_default();
                let has_room = levels.entry(level).or_default().add_instant(instant);
                self.totals.dropped_instants += u64::from(!has_room);
            }
            (parent, _) => {
                let (details, is_new) = self.details(parent);
                let has_room = details.add_instant(instant);
                self.totals.dropped_instants += u64::from(!has_room);
                return is_new.then_some(parent);
            }
        }
        None
    }

    /// A scope in no async span, with so many scopes around it: what happened in it is part of its details.
    pub(super) fn scope(&mut self, id: u64, thread: u32, depth: u16, begin_ns: u64) {
        let Some(levels) = self.in_scopes.get_mut(&thread) else { return };
        // What is deeper was in scopes of which the end is missing.
        for level in levels.split_off(&depth).into_values() {
            let (details, _) = self.details(id);
            details.dropped_instants += level.dropped_instants;
            for instant in level.instants {
                if instant.unix_ns < begin_ns {
                    self.strays.push_back(instant);
                } else {
                    let has_room = self.details(id).0.add_instant(instant);
                    self.totals.dropped_instants += u64::from(!has_room);
                }
            }
        }
    }

    /// Takes out the details of a span that was made with these attributes.
    pub(super) fn take(&mut self, id: u64, given: Given) -> Option<Box<Details>> {
        let known = self.of_spans.remove(id);
        let mut details = if given.attributes > 0 { known.unwrap_or_default() } else { known? };
        details.settle(given);
        Some(details)
    }

    /// Gives up on the span of these details.
    pub(super) fn abandon(&mut self, id: u64) {
        let Some(details) = self.of_spans.remove(id) else { return };
        self.totals.late_attributes += details.attributes.records;
        self.totals.late_instants += details.instants.len() as u64 + details.dropped_instants;
        self.strays.extend(details.instants);
    }

    /// Everything was read: instants go to where they belong, those in open scopes to these (id, thread, depth, begin), and what is of
    /// a span that is not `known` is given up.
    pub(super) fn close(&mut self, scopes: &[(u64, u32, u16, u64)], known: &dyn Fn(u64) -> bool) {
        let mut threads: Vec<u32> = self.latest.keys().copied().collect();
        threads.sort_unstable();
        for thread in threads {
            self.settle(thread);
        }
        scopes.iter().for_each(|&(id, thread, depth, begin_ns)| self.scope(id, thread, depth, begin_ns));
        let left = std::mem::take(&mut self.in_scopes).into_values().flatten();
        self.strays.extend(left.flat_map(|(_, level)| level.instants));
        let mut gone: Vec<u64> = self.of_spans.iter().map(|(id, _)| id).filter(|&id| !known(id)).collect();
        gone.sort_unstable();
        gone.into_iter().for_each(|id| self.abandon(id));
        self.strays.make_contiguous().sort_by_key(|instant| (instant.unix_ns, instant.id));
    }

    /// An instant that is in no span, or in one that is gone.
    pub(super) fn stray(&mut self) -> Option<Instant> {
        self.strays.pop_front()
    }

    /// The ids of spans of which something is kept.
    pub(super) fn ids(&self) -> impl Iterator<Item = u64> {
        self.of_spans.iter().map(|(id, _)| id)
    }

    /// The details of a span, and whether they are new.
    fn details(&mut self, id: u64) -> (&mut Details, bool) {
        let before = self.of_spans.len();
        self.of_spans.get_or_default(id);
        let is_new = self.of_spans.len() > before;
        (self.of_spans.get_or_default(id), is_new)
    }
}
