//! Values by the ids of spans.

use crate::spread::spread;
use rustc_hash::FxHashMap;
use std::cell::Cell;
use std::num::NonZeroU32;

/// Ids on one page.
const PAGE: u64 = 16;

/// As many pages, as a power of two, are found without hashing.
const NEAR_BITS: u32 = 8;

/// A map from span ids to values.
///
/// Threads hand out ids from blocks, one after the other, so spans of about the same time have ids that are close together. Values of
/// such are kept together too: a hash map has each in another place, which in large maps takes most of the time. And where they were
/// found, they are looked for first the next time.
#[derive(Debug)]
pub(crate) struct ById<T> {
    /// By number, where each page is.
    at: FxHashMap<u64, u32>,
    /// By a few bits of the number, the page that was looked for last.
    near: Box<[Cell<Near>; 1 << NEAR_BITS]>,
    pages: Vec<Page<T>>,
    /// Pages without values.
    free: Vec<u32>,
    len: usize,
}

/// Where a page is, or that there is none.
#[derive(Clone, Copy, Debug)]
struct Near {
    number: u64,
    index: Option<u32>,
}

impl Near {
    /// No page has this number.
    const NOTHING: Near = Near { number: u64::MAX, index: None };
}

#[derive(Debug)]
struct Page<T> {
    number: u64,
    /// Number of values that are there.
    used: u32,
    values: [Option<T>; PAGE as usize],
}

impl<T> Default for ById<T> {
    fn default() -> ById<T> {
        let near = Box::new([const { Cell::new(Near::NOTHING) }; 1 << NEAR_BITS]);
        ById { at: FxHashMap::default(), near, pages: Vec::new(), free: Vec::new(), len: 0 }
    }
}

impl<T> ById<T> {
    /// Number of values.
    pub(crate) fn len(&self) -> usize {
        self.len
    }

    pub(crate) fn is_empty(&self) -> bool {
        self.len == 0
    }

    pub(crate) fn contains(&self, id: u64) -> bool {
        self.get(id).is_some()
    }

    #[inline]
    pub(crate) fn get(&self, id: u64) -> Option<&T> {
        self.pages[self.page_at(id / PAGE)?].values[place(id)].as_ref()
    }

    #[inline]
    pub(crate) fn get_mut(&mut self, id: u64) -> Option<&mut T> {
        let index = self.page_at(id / PAGE)?;
        self.pages[index].values[place(id)].as_mut()
    }

    /// The value of an id, a new one if there is none.
    #[inline]
    pub(crate) fn get_or_default(&mut self, id: u64) -> &mut T
    where
        T: Default,
    {
        self.place_of(id).get_or_insert_default()
    }

    #[inline]
    pub(crate) fn insert(&mut self, id: u64, value: T) {
        *self.place_of(id) = Some(value);
    }

    #[inline]
    pub(crate) fn remove(&mut self, id: u64) -> Option<T> {
        let index = self.page_at(id / PAGE)?;
        self.remove_on(index, id)
    }

    /// Removes the value of an id that is on the page at `index`.
    #[inline]
    fn remove_on(&mut self, index: usize, id: u64) -> Option<T> {
        let page = &mut self.pages[index];
        let value = page.values[place(id)].take()?;
        page.used -= 1;
        self.len -= 1;
        if page.used == 0 {
            self.free_page(id / PAGE, index);
        }
        Some(value)
    }

    /// Removes all values. Their memory is kept.
    pub(crate) fn clear(&mut self) {
        self.at.clear();
        self.near.iter().for_each(|near| near.set(Near::NOTHING));
        self.pages.clear();
        self.free.clear();
        self.len = 0;
    }

    /// All values with their ids, in no order.
    pub(crate) fn iter(&self) -> impl Iterator<Item = (u64, &T)> {
        self.pages.iter().flat_map(|page| {
            let ids = (0..PAGE).map(|place| page.number.wrapping_mul(PAGE) + place);
            ids.zip(&page.values).filter_map(|(id, value)| Some((id, value.as_ref()?)))
        })
    }

    /// The place of a value that will be there.
    #[inline]
    fn place_of(&mut self, id: u64) -> &mut Option<T> {
        let number = id / PAGE;
        let index = self.page_at(number).unwrap_or_else(|| self.new_page(number));
        let page = &mut self.pages[index];
        let value = &mut page.values[place(id)];
        if value.is_none() {
            page.used += 1;
            self.len += 1;
        }
        value
    }

    /// Where the page of this number is.
    #[inline]
    fn page_at(&self, number: u64) -> Option<usize> {
        let near = self.near(number);
        let mut found = near.get();
        if found.number != number {
            found = Near { number, index: self.at.get(&number).copied() };
            near.set(found);
        }
        found.index.map(|index| index as usize)
    }

    /// Where it is kept that a page is there.
    #[inline]
    fn near(&self, number: u64) -> &Cell<Near> {
        &self.near[spread(number, NEAR_BITS)]
    }

    fn new_page(&mut self, number: u64) -> usize {
        let index = self.free.pop().unwrap_or_else(|| {
            self.pages.push(Page { number, used: 0, values: [const { None }; PAGE as usize] });
            (self.pages.len() - 1) as u32
        });
        self.pages[index as usize].number = number;
        self.at.insert(number, index);
        self.near(number).set(Near { number, index: Some(index) });
        index as usize
    }

    /// A page has no value any more.
    fn free_page(&mut self, number: u64, index: usize) {
        self.at.remove(&number);
        self.near(number).set(Near { number, index: None });
        self.free.push(index as u32);
    }
}

/// The same for large values, most of whose neighbours are gone: those that are there stand together, wherever their ids are.
#[derive(Debug)]
pub(crate) struct ApartById<T> {
    /// One more than the place of each value.
    at: ById<NonZeroU32>,
    values: Vec<Option<T>>,
    /// Places without values.
    free: Vec<u32>,
}

impl<T> Default for ApartById<T> {
    fn default() -> ApartById<T> {
        ApartById { at: ById::default(), values: Vec::new(), free: Vec::new() }
    }
}

impl<T> ApartById<T> {
    pub(crate) fn len(&self) -> usize {
        self.at.len()
    }

    pub(crate) fn contains(&self, id: u64) -> bool {
        self.at.contains(id)
    }

    #[inline]
    pub(crate) fn get(&self, id: u64) -> Option<&T> {
        self.values[index_of(*self.at.get(id)?)].as_ref()
    }

    #[inline]
    pub(crate) fn insert(&mut self, id: u64, value: T) {
        let at = self.place_of(id).0;
        self.values[index_of(at)] = Some(value);
    }

    /// Inserts the value of an id that has none; returns the one that it has.
    #[inline]
    pub(crate) fn insert_new(&mut self, id: u64, value: T) -> Option<&mut T> {
        let (at, is_new) = self.place_of(id);
        let place = &mut self.values[index_of(at)];
        if is_new {
            *place = Some(value);
            return None;
        }
        place.as_mut()
    }

    #[inline]
    pub(crate) fn remove(&mut self, id: u64) -> Option<T> {
        let at = self.at.remove(id)?;
        self.free.push(at.get() - 1);
        self.values[index_of(at)].take()
    }

    /// Looks at the value of an id, and removes it if `take` makes something of it.
    #[inline]
    pub(crate) fn remove_with<R>(&mut self, id: u64, take: impl FnOnce(&T) -> Option<R>) -> Option<Option<R>> {
        let page = self.at.page_at(id / PAGE)?;
        let index = index_of(self.at.pages[page].values[place(id)]?);
        let taken = take(self.values[index].as_ref()?);
        if taken.is_some() {
            self.at.remove_on(page, id);
            self.free.push(index as u32);
            self.values[index] = None;
        }
        Some(taken)
    }

    /// All values with their ids, in no order.
    pub(crate) fn iter(&self) -> impl Iterator<Item = (u64, &T)> {
        self.at.iter().filter_map(|(id, at)| Some((id, self.values[index_of(*at)].as_ref()?)))
    }

    /// The place of the value of an id, and whether it is new.
    #[inline]
    fn place_of(&mut self, id: u64) -> (NonZeroU32, bool) {
        let ApartById { at, values, free } = self;
        let at = at.place_of(id);
        if let Some(at) = *at {
            return (at, false);
        }
        // The one that was left last is still at hand.
        let index = free.pop().unwrap_or_else(|| {
            values.push(None);
            (values.len() - 1) as u32
        });
        let new = NonZeroU32::new(index + 1).expect("memory ends before that");
        *at = Some(new);
        (new, true)
    }
}

fn index_of(at: NonZeroU32) -> usize {
    at.get() as usize - 1
}

fn place(id: u64) -> usize {
    (id % PAGE) as usize
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;
    use std::collections::BTreeMap;

    proptest! {
        #[test]
        fn it_is_a_map(steps in prop::collection::vec((0u8..5, prop_oneof![0u64..60, (u64::MAX - 40)..=u64::MAX]), 0..300)) {
            let (mut map, mut model) = (ById::default(), BTreeMap::new());
            for (step, (what, id)) in (1u32..).zip(steps) {
                match what {
                    0 | 1 => {
                        map.insert(id, step);
                        model.insert(id, step);
                    }
                    2 => prop_assert_eq!(map.remove(id), model.remove(&id)),
                    3 => prop_assert_eq!(*map.get_or_default(id), *model.entry(id).or_default()),
                    4 if id == u64::MAX => {
                        map.clear();
                        model.clear();
                    }
                    _ => prop_assert_eq!(map.get_mut(id).map(|value| std::mem::replace(value, step)), model.get_mut(&id).map(|value| std::mem::replace(value, step))),
                }
                prop_assert_eq!(map.get(id), model.get(&id));
                prop_assert_eq!((map.len(), map.is_empty(), map.contains(id)), (model.len(), model.is_empty(), model.contains_key(&id)));
            }
            let mut all: Vec<(u64, u32)> = map.iter().map(|(id, value)| (id, *value)).collect();
            all.sort_unstable();
            prop_assert_eq!(all, model.into_iter().collect::<Vec<_>>());
        }
    }

    proptest! {
        #[test]
        fn it_is_a_map_if_values_are_apart(steps in prop::collection::vec((0u8..4, 0u64..60), 0..300)) {
            let (mut map, mut model) = (ApartById::default(), BTreeMap::new());
            for (step, (what, id)) in (1u32..).zip(steps) {
                match what {
                    0 => {
                        map.insert(id, step);
                        model.insert(id, step);
                    }
                    1 => {
                        let known = model.get(&id).copied();
                        prop_assert_eq!(map.insert_new(id, step).copied(), known);
                        model.entry(id).or_insert(step);
                    }
                    2 => prop_assert_eq!(map.remove(id), model.remove(&id)),
                    _ => {
                        let even = |value: &u32| (value % 2 == 0).then_some(*value);
                        let found = model.get(&id).map(even);
                        prop_assert_eq!(map.remove_with(id, even), found);
                        found.flatten().and_then(|_| model.remove(&id));
                    }
                }
                prop_assert_eq!((map.get(id), map.len()), (model.get(&id), model.len()));
            }
            prop_assert!(map.values.len() <= 60);
            let mut all: Vec<(u64, u32)> = map.iter().map(|(id, value)| (id, *value)).collect();
            all.sort_unstable();
            prop_assert_eq!(all, model.into_iter().collect::<Vec<_>>());
        }
    }

    #[test]
    fn memory_follows_the_values_that_are_there() {
        let mut map = ById::default();
        for id in 1..100_000 {
            map.insert(id, id);
            map.remove(id.saturating_sub(50));
        }
        assert!(map.pages.len() <= 5);
    }
}
