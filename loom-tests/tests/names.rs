//! The names region and the sightings: a definition is found whole, once, and before any record that uses it.
#![cfg(spanring_loom)]

use loom::sync::atomic::AtomicU64;
use loom::thread;
use spanring::events::SLOT_WORDS;
use spanring::format::definition::{Definition, decode_all};
use spanring::recorder::names::{NamesRegion, Scanner};
use spanring::recorder::sightings::{Sighting, Sightings};
use spanring_loom_tests::{Drain, Witness, drained_ring, explore_all, push};
use std::sync::Arc;

type Region = NamesRegion<Vec<AtomicU64>>;

/// Fits in one slot. A static, as its address has to be the same wherever it is named.
static SHORT: &str = "short";
/// Takes two slots.
static LONG: &str = "a name that does not fit in the first slot";

fn words(count: usize) -> Vec<AtomicU64> {
    (0..count).map(|_| AtomicU64::new(0)).collect()
}

fn region(slots: usize) -> Arc<Region> {
    Arc::new(NamesRegion::new(words(slots * SLOT_WORDS), 0))
}

/// What all threads of a recording share to define names, and the steps of `Session::define`.
struct Names {
    region: Arc<Region>,
    sightings: Sightings<Vec<AtomicU64>>,
}

impl Names {
    fn new(slots: usize, sightings: usize) -> Arc<Names> {
        Arc::new(Names { region: region(slots), sightings: Sightings::new(words(2 * sightings)) })
    }

    /// Defines a name unless that was done already. Returns what the sightings said, or `None` if it was new.
    fn define(&self, name: &'static str) -> Option<Sighting> {
        let definition = Definition::of_name(name);
        let seen = self.sightings.see(definition.address, name.len() as u64);
        if seen == Sighting::Known {
            return Some(seen);
        }
        self.region.add(&definition.encode());
        if let Sighting::New(place) = seen {
            self.sightings.complete(place, name.len() as u64);
            return None;
        }
        Some(seen)
    }
}

/// Looks for new definitions.
///
/// # Panics
/// If one of them is not whole.
fn scan(scanner: &mut Scanner, region: &Region) -> Vec<String> {
    let mut words = Vec::new();
    scanner.scan(region, &mut words);
    let bytes: Vec<u8> = words.iter().flat_map(|word| word.to_le_bytes()).collect();
    let mut names = Vec::new();
    let damaged = decode_all(&bytes, |definition| names.push(definition.name));
    assert_eq!(damaged, Vec::<usize>::new(), "a definition was found before it was whole");
    names
}

#[test]
fn definitions_of_two_writers_are_found_whole_and_once() {
    let hole = Witness::default();
    let hole_once = hole.clone();
    explore_all("names: two writers and a scanner", move || {
        let region = region(3);
        let writers = [LONG, SHORT].map(|name| {
            let region = Arc::clone(&region);
            thread::spawn(move || assert!(region.add(&Definition::of_name(name).encode())))
        });
        let mut scanner = Scanner::default();
        let early = scan(&mut scanner, &region);
        for writer in writers {
            writer.join().unwrap();
        }
        let late = scan(&mut scanner, &region);
        hole.note(early == [SHORT] && late == [LONG]);
        let mut all = [early, late].concat();
        all.sort();
        assert_eq!(all, [LONG, SHORT]);
        assert_eq!(scan(&mut scanner, &region), Vec::<String>::new());
        assert_eq!(region.lost(), 0);
    });
    assert!(hole_once.happened(), "no definition was ever found behind one in progress");
}

#[test]
fn a_definition_is_found_by_a_scan_after_the_tail_of_a_record_that_uses_it() {
    let used = Witness::default();
    let used_once = used.clone();
    explore_all("names: definition before record", move || {
        let region = region(2);
        let (producer, mut drain) = drained_ring(2, 1);
        let names = Arc::clone(&region);
        let writer = thread::spawn(move || {
            assert!(names.add(&Definition::of_name(LONG).encode()));
            push(&producer, 0, 1).unwrap();
        });
        let mut scanner = Scanner::default();
        let mut found = scan(&mut scanner, &region);
        let target = drain.target();
        found.extend(scan(&mut scanner, &region));
        if !drain.drain_to(target).is_empty() {
            used.note(true);
            assert_eq!(found, [LONG], "a record refers to a definition that was not found");
        }
        writer.join().unwrap();
    });
    assert!(used_once.happened(), "the record was never read while its writer ran");
}

#[test]
fn a_definition_that_finds_no_room_is_counted_and_harms_no_other() {
    let (short, long) = (Witness::default(), Witness::default());
    let (short_once, long_once) = (short.clone(), long.clone());
    explore_all("names: overflow", move || {
        let region = region(2);
        let writers = [LONG, SHORT].map(|name| {
            let region = Arc::clone(&region);
            thread::spawn(move || region.add(&Definition::of_name(name).encode()))
        });
        let mut scanner = Scanner::default();
        let mut found = scan(&mut scanner, &region);
        let [long_fitted, short_fitted] = writers.map(|writer| writer.join().unwrap());
        assert!(long_fitted != short_fitted, "two slots are room for either of them");
        found.extend(scan(&mut scanner, &region));
        assert_eq!(found, if long_fitted { [LONG] } else { [SHORT] });
        assert_eq!(region.lost(), 1);
        short.note(short_fitted);
        long.note(long_fitted);
    });
    assert!(short_once.happened() && long_once.happened(), "the same definition fitted every time");
}

#[test]
fn a_known_name_can_be_seen_by_the_thread_that_is_told_so() {
    let (known, unsettled) = (Witness::default(), Witness::default());
    let (known_once, unsettled_once) = (known.clone(), unsettled.clone());
    explore_all("sightings: two threads see a name first", move || {
        let names = Names::new(2, 2);
        let other = Arc::clone(&names);
        let writer = thread::spawn(move || other.define(SHORT));
        let seen = names.define(SHORT);
        known.note(seen == Some(Sighting::Known));
        unsettled.note(seen == Some(Sighting::Unsettled));
        let found = scan(&mut Scanner::default(), &names.region);
        assert!(found.iter().any(|name| name == SHORT), "{seen:?}, but no definition: {found:?}");
        writer.join().unwrap();
        let all = scan(&mut Scanner::default(), &names.region);
        assert!(all.len() <= 2 && all.iter().all(|name| name == SHORT), "each thread defines it once at most: {all:?}");
        assert_eq!(names.define(SHORT), Some(Sighting::Known));
    });
    assert!(known_once.happened() && unsettled_once.happened(), "the threads never met");
}

#[test]
fn two_addresses_that_race_for_a_place_both_get_one() {
    let first_choice = |address| Sightings::new(words(4)).see(address, 0);
    explore_all("sightings: two addresses race for a place", move || {
        let (address, rival) = (8, (2..).map(|n| 8 * n).find(|rival| first_choice(*rival) == first_choice(8)).unwrap());
        let sightings = Arc::new(Sightings::new(words(4)));
        let threads = [address, rival].map(|address| {
            let sightings = Arc::clone(&sightings);
            thread::spawn(move || {
                let Sighting::New(place) = sightings.see(address, 0) else { panic!("nobody else sees {address}") };
                sightings.complete(place, 0);
                assert_eq!(sightings.see(address, 0), Sighting::Known);
            })
        });
        for thread in threads {
            thread.join().unwrap();
        }
        assert_eq!([address, rival].map(|address| sightings.see(address, 0)), [Sighting::Known, Sighting::Known]);
    });
}

#[test]
fn whoever_defines_a_name_its_records_never_come_before_it() {
    let borrowed = Witness::default();
    let borrowed_once = borrowed.clone();
    explore_all("sightings: records of two threads, one name", move || {
        let names = Names::new(2, 1);
        let (writers, drains): (Vec<_>, Vec<Drain>) = (0..2)
            .map(|thread| {
                let (producer, drain) = drained_ring(2, 1);
                let names = Arc::clone(&names);
                let writer = thread::spawn(move || {
                    names.define(SHORT);
                    push(&producer, thread, 1).unwrap();
                });
                (writer, drain)
            })
            .unzip();
        let targets: Vec<_> = drains.iter().map(Drain::target).collect();
        let found = scan(&mut Scanner::default(), &names.region);
        for (mut drain, target) in drains.into_iter().zip(targets) {
            let used = !drain.drain_to(target).is_empty();
            assert!(!used || !found.is_empty(), "a record refers to a definition that was not found");
            borrowed.note(used && found.len() == 1);
        }
        for writer in writers {
            writer.join().unwrap();
        }
    });
    assert!(borrowed_once.happened(), "no record ever used the other thread's definition");
}
