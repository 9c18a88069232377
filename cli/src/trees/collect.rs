//! Finds what is below some spans, while everything streams by.

use super::scopes::{Scope, Scopes};
use super::{Chosen, Row};
use crate::spans::{Instant, Item, Span, Step, thread_label};
use crate::top::kind_word;
use rustc_hash::FxHashMap;
use spanring::reader::SpanKind;
use std::rc::Rc;

/// What is below some spans.
pub(super) struct Collector {
    /// The chosen spans in order, and the place of each among them.
    chosen: Vec<u64>,
    rank: FxHashMap<u64, usize>,
    /// Spans that are chosen or below one that is: `None` while only its id is known.
    members: FxHashMap<u64, Option<Member>>,
    /// The chosen ones that are scopes: what is in them says only in which async span it is.
    scopes: Scopes,
    /// What happened in chosen scopes, by these: it is with the async span that they are in.
    instants: FxHashMap<u64, Vec<Instant>>,
    /// Those that are members only because they are chosen are no more than were asked for, so these count.
    most: usize,
    /// Spans below members that found no room, by the parent.
    left_out: FxHashMap<u64, u64>,
    /// There was no room for something.
    is_full: bool,
    threads: FxHashMap<u32, Rc<str>>,
}

/// A span that is kept.
pub(super) struct Member {
    pub(super) row: Row,
    pub(super) depth: u16,
    pub(super) begin_thread: Option<u32>,
    /// Where it was, if it is a scope.
    scope: Option<Scope>,
}

/// A chosen span, and all that is below it in any order.
pub(super) struct Family {
    pub(super) root: Member,
    pub(super) others: Vec<Member>,
    pub(super) left_out: u64,
}

impl Collector {
    /// One for these spans, which keeps so many of all that is below them.
    pub(super) fn new(chosen: &[Chosen], most: usize) -> Collector {
        let mut rank = FxHashMap::default();
        for (index, chosen) in chosen.iter().enumerate() {
            rank.entry(chosen.id).or_insert(index);
        }
        Collector {
            chosen: chosen.iter().map(|chosen| chosen.id).collect(),
            rank,
            members: chosen.iter().map(|chosen| (chosen.id, None)).collect(),
            scopes: Scopes::new(chosen.iter().filter_map(|chosen| chosen.scope)),
            instants: FxHashMap::default(),
            most: most.max(chosen.len()),
            left_out: FxHashMap::default(),
            is_full: false,
            threads: FxHashMap::default(),
        }
    }

    /// Number of spans known to belong here, and whether there are scopes that this is not known of. If another reading does not change it,
    /// there are no more.
    pub(super) fn found(&self) -> (usize, bool) {
        (self.members.len(), self.scopes.are_new())
    }

    /// The recording is read again.
    pub(super) fn again(&mut self) {
        self.scopes.arrange();
        self.instants.clear();
    }

    /// Number of the chosen spans that are there.
    pub(super) fn chosen_found(&self) -> u64 {
        self.chosen.iter().filter(|id| matches!(self.members.get(id), Some(Some(_)))).count() as u64
    }

    pub(super) fn add(&mut self, step: &Step<'_>) {
        match step {
            Step::Begun(record) => {
                if record.kind == SpanKind::Thread {
                    self.scopes.begun(record.thread, record.depth, record.unix_ns);
                }
                self.join(record.span_id, record.parent_span_id);
            }
            Step::Item(Item::Thread(thread)) => {
                self.threads.insert(thread.id, thread_label(thread).into());
            }
            Step::Item(Item::Span(span)) => self.span(span),
            Step::Polled(_)
            | Step::Item(Item::Loss(_) | Item::Damage(_) | Item::Instant(_) | Item::Counter(_) | Item::Details(_)) => {}
        }
    }

    /// Whether a span belongs here, which is below that one.
    fn join(&mut self, id: u64, parent: u64) -> bool {
        if parent == 0 || !self.members.contains_key(&parent) || self.members.contains_key(&id) {
            return self.members.contains_key(&id);
        }
        let has_room = self.members.len() < self.most;
        if has_room {
            self.members.insert(id, None);
        } else {
            self.is_full = true;
        }
        has_room
    }

    fn span(&mut self, span: &Span<'_>) {
        let scope = Scope::of(span);
        let around = scope.and_then(|scope| self.scopes.around(&scope)).unwrap_or(span.parent);
        if self.join(span.id, around) {
            if let Some(None) = self.members.get(&span.id) {
                let member = self.member(span);
                self.members.insert(span.id, Some(member));
            }
            if let Some(scope) = scope.filter(|_| self.rank.contains_key(&span.id)) {
                self.scopes.learn(scope);
            }
        } else if self.is_full && self.members.contains_key(&around) {
            *self.left_out.entry(around).or_default() += 1;
        }
        // A member has its instants itself.
        if !span.instants().is_empty() && !self.members.contains_key(&span.id) {
            for instant in span.instants() {
                if let Some(scope) = self.scopes.around(&Scope::of_instant(instant)) {
                    self.instants.entry(scope).or_default().push(instant.clone());
                }
            }
        }
    }

    fn member(&self, span: &Span<'_>) -> Member {
        let location = span.place.map(|place| &place.location);
        let thread = |id: Option<u32>| Some(self.threads.get(&id?)?.to_string());
        let row = Row {
            level: 0,
            id: span.id,
            parent: span.parent,
            name: span.name.to_owned(),
            kind: kind_word(span.kind),
            outcome: span.ending.word(),
            file: location.map(|location| location.file.clone()),
            line: location.map(|location| location.line),
            target: location.map(|location| location.target.clone()),
            begin_unix_ns: span.begin_ns,
            end_unix_ns: span.end_ns,
            duration_ns: span.duration_ns(),
            wait_ns: span.wait_ns(),
            busy_ns: span.busy_ns,
            idle_ns: span.idle_ns(),
            polls: span.polls,
            self_ns: 0,
            critical_ns: 0,
            on_critical_path: false,
            begin_thread: thread(span.begin_thread),
            end_thread: thread(span.end_thread),
            begin_lost: span.begin_lost,
            end_may_be_lost: span.end_may_be_lost,
            details: span.cloned_details(),
        };
        Member { row, depth: span.depth, begin_thread: span.begin_thread.or(span.end_thread), scope: Scope::of(span) }
    }

    /// The chosen spans that are there, in order, each with what is below it. A span is in one family only: that of the nearest of
    /// the chosen ones above it, or if they are `apart`, that of the farthest; those that are below others have no family then.
    pub(super) fn finish(mut self, apart: bool) -> Vec<Family> {
        self.scopes.arrange();
        for (id, instants) in std::mem::take(&mut self.instants) {
            if let Some(Some(member)) = self.members.get_mut(&id) {
                member.row.details.instants.extend(instants);
            }
        }
        let mut home: FxHashMap<u64, Option<usize>> = FxHashMap::default();
        let ids: Vec<u64> = self.members.keys().copied().collect();
        for id in ids {
            self.find_home(id, apart, &mut home);
        }
        let mut families: Vec<Option<Family>> = self.chosen.iter().map(|_| None).collect();
        for (index, id) in self.chosen.iter().enumerate() {
            if self.rank[id] == index && home.get(id) == Some(&Some(index)) {
                let root = self.members.remove(id).flatten();
                families[index] = root.map(|root| Family { root, others: Vec::new(), left_out: 0 });
            }
        }
        for (id, member) in self.members {
            let family = home.get(&id).copied().flatten().and_then(|index| families[index].as_mut());
            if let (Some(family), Some(member)) = (family, member) {
                family.others.push(member);
            }
        }
        for (parent, spans) in self.left_out {
            if let Some(family) = home.get(&parent).copied().flatten().and_then(|index| families[index].as_mut()) {
                family.left_out += spans;
            }
        }
        families.into_iter().flatten().collect()
    }

    /// The chosen span to which a member belongs, found by going up; and the same for all that are on the way.
    fn find_home(&self, id: u64, apart: bool, home: &mut FxHashMap<u64, Option<usize>>) {
        let (mut way, mut next) = (Vec::new(), Some(id));
        let mut found = None;
        while let Some(id) = next {
            if let Some(known) = home.get(&id) {
                found = *known;
                break;
            }
            // In a damaged recording spans can be one another's parents.
            home.insert(id, None);
            way.push(id);
            let above = self.members.get(&id).and_then(|member| {
                let member = member.as_ref()?;
                let around = member.scope.and_then(|scope| self.scopes.around(&scope));
                Some(around.unwrap_or(member.row.parent))
            });
            next = above.filter(|above| self.members.contains_key(above));
        }
        for id in way.into_iter().rev() {
            let own = self.rank.get(&id).copied();
            found = if apart { found.or(own) } else { own.or(found) };
            home.insert(id, found);
        }
    }
}
