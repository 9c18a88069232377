//! A family as a tree: what stands below what, the time that each took for itself, and the critical path.
//!
//! The *critical path* is found from the end: what the first span waited for last is the child that ended last; until that one began,
//! what it itself waited for; before that, the child that ended last by then, and so on. Times in which no child was going on are
//! the span's own. Every instant of the first span is thus put down to exactly one span.

use super::collect::{Family, Member};
use super::{Row, Share, Tree};
use crate::spans::Instant;
use rustc_hash::FxHashMap;
use std::cmp::Reverse;

/// The tree of a family.
pub(super) fn tree(family: Family) -> Tree {
    let Family { root, others, left_out } = family;
    let mut members = vec![root];
    members.extend(others);
    // What is open is there to the end of all of it.
    let last =
        members.iter().map(|member| member.row.end_unix_ns.unwrap_or(member.row.begin_unix_ns)).max().unwrap_or(0);
    let stays: Vec<Stay> = members.iter().map(|member| Stay::of(&member.row, last)).collect();
    let children = children(&members, &stays);
    let critical = critical_path(&stays, &children);
    instants_to_scopes(&mut members, &stays);
    for (index, member) in members.iter_mut().enumerate() {
        member.row.self_ns = self_time(stays[index], children[index].iter().map(|&child| stays[child]));
        member.row.critical_ns = critical[index].unwrap_or(0);
        member.row.on_critical_path = critical[index].is_some();
    }
    let shares = shares(&members);
    Tree { rows: rows(members, &children), shares, left_out }
}

/// From when to when a span was there.
#[derive(Clone, Copy)]
struct Stay {
    begin: u64,
    end: u64,
}

impl Stay {
    fn of(row: &Row, last: u64) -> Stay {
        let begin = row.begin_unix_ns;
        Stay { begin, end: row.end_unix_ns.unwrap_or(last).max(begin) }
    }
}

/// The children of each member, the earliest first. The recording says of a scope in which async span it is; which scope is around
/// it on its thread shows in the times and the depths. Of a scope that is the first, the others are all scopes in it.
fn children(members: &[Member], stays: &[Stay]) -> Vec<Vec<usize>> {
    let index: FxHashMap<u64, usize> =
        members.iter().enumerate().map(|(index, member)| (member.row.id, index)).collect();
    let mut children = vec![Vec::new(); members.len()];
    let mut scopes: FxHashMap<(usize, Option<u32>), Vec<usize>> = FxHashMap::default();
    for (child, member) in members.iter().enumerate().skip(1) {
        let parent = if members[0].row.kind == "thread" { Some(&0) } else { index.get(&member.row.parent) };
        let Some(&parent) = parent else { continue };
        if member.row.kind == "thread" {
            scopes.entry((parent, member.begin_thread)).or_default().push(child);
        } else {
            children[parent].push(child);
        }
    }
    for ((parent, _), mut scopes) in scopes {
        scopes.sort_unstable_by_key(|&scope| (stays[scope].begin, members[scope].depth, Reverse(stays[scope].end)));
        let mut around: Vec<usize> = Vec::new();
        for scope in scopes {
            let holds = |&outer: &usize| {
                stays[outer].begin <= stays[scope].begin
                    && stays[outer].end >= stays[scope].end
                    && members[outer].depth < members[scope].depth
            };
            while around.last().is_some_and(|outer| !holds(outer)) {
                around.pop();
            }
            children[around.last().copied().unwrap_or(parent)].push(scope);
            around.push(scope);
        }
    }
    for children in &mut children {
        children.sort_unstable_by_key(|&child| (stays[child].begin, members[child].row.id));
    }
    children
}

/// The recording says of an instant in which async span it happened, and how many scopes were around it: it goes from that, or from a scope
/// that is the first of all, to the scope that was the innermost of them.
fn instants_to_scopes(members: &mut [Member], stays: &[Stay]) {
    if members.iter().all(|member| member.row.details.instants.is_empty()) {
        return;
    }
    let mut scopes: FxHashMap<(u64, u16, Option<u32>), Vec<usize>> = FxHashMap::default();
    for (index, member) in members.iter().enumerate().filter(|(_, member)| member.row.kind == "thread") {
        let depth = member.depth.saturating_add(1);
        scopes.entry((member.row.parent, depth, member.begin_thread)).or_default().push(index);
    }
    scopes.values_mut().for_each(|scopes| scopes.sort_unstable_by_key(|&scope| stays[scope].begin));
    let scope_of = |instant: &Instant| {
        let scopes = scopes.get(&(instant.parent, instant.scopes, Some(instant.thread)))?;
        let after = scopes.partition_point(|&scope| stays[scope].begin <= instant.unix_ns);
        let scope = scopes[after.checked_sub(1)?];
        (stays[scope].end >= instant.unix_ns).then_some(scope)
    };
    for index in 0..members.len() {
        if members[index].row.kind == "thread" && index > 0 {
            continue;
        }
        for instant in std::mem::take(&mut members[index].row.details.instants) {
            let home = scope_of(&instant).unwrap_or(index);
            members[home].row.details.instants.push(instant);
        }
    }
}

/// How long a span was there while none of its children was.
fn self_time(own: Stay, children: impl Iterator<Item = Stay>) -> u64 {
    let (mut time, mut until) = (0, own.begin);
    // By their begins.
    for child in children {
        time += child.begin.min(own.end).saturating_sub(until);
        until = until.max(child.end.min(own.end));
    }
    time + own.end.saturating_sub(until)
}

/// For each that is on the critical path of the first, the time that is its own there.
fn critical_path(stays: &[Stay], children: &[Vec<usize>]) -> Vec<Option<u64>> {
    let mut own = vec![None; stays.len()];
    let mut stack = vec![(0, stays[0])];
    while let Some((index, stay)) = stack.pop() {
        let mut by_end = children[index].clone();
        by_end.sort_unstable_by_key(|&child| (Reverse(stays[child].end), stays[child].begin));
        let (mut until, mut time) = (stay.end, 0);
        for child in by_end {
            let end = stays[child].end.min(until);
            let begin = stays[child].begin.max(stay.begin);
            if begin >= end || own[child].is_some() {
                continue;
            }
            time += until - end;
            stack.push((child, Stay { begin, end }));
            until = begin;
        }
        own[index] = Some(time + until - stay.begin);
    }
    own
}

fn shares(members: &[Member]) -> Vec<Share> {
    let mut shares: FxHashMap<&str, (u64, u64)> = FxHashMap::default();
    for member in members.iter().filter(|member| member.row.critical_ns > 0) {
        let share = shares.entry(&member.row.name).or_default();
        share.0 += 1;
        share.1 += member.row.critical_ns;
    }
    let share = |(name, (spans, critical_ns)): (&str, (u64, u64))| Share { name: name.to_owned(), spans, critical_ns };
    let mut shares: Vec<Share> = shares.into_iter().map(share).collect();
    shares.sort_unstable_by(|a, b| b.critical_ns.cmp(&a.critical_ns).then_with(|| a.name.cmp(&b.name)));
    shares
}

/// The rows in the order of the tree. What is in no tree, because it is its own ancestor in a damaged recording, is left out.
fn rows(members: Vec<Member>, children: &[Vec<usize>]) -> Vec<Row> {
    let mut members: Vec<Option<Member>> = members.into_iter().map(Some).collect();
    let mut rows = Vec::with_capacity(members.len());
    let mut stack = vec![(0, 0)];
    while let Some((index, level)) = stack.pop() {
        let Some(member) = members[index].take() else { continue };
        rows.push(Row { level, ..member.row });
        stack.extend(children[index].iter().rev().map(|&child| (child, level + 1)));
    }
    rows
}
