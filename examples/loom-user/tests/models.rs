//! The limit under loom, with the spans that are in it:
//! `RUSTFLAGS="--cfg loom" CARGO_TARGET_DIR=target/loom cargo test -p spanring-example-loom-user --test models`.
#![cfg(loom)]

use loom::cell::UnsafeCell;
use loom::thread;
use spanring::prelude::*;
use spanring_example_loom_user::Limit;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

/// Runs a model, and returns how many interleavings there are.
fn explored(model: impl Fn() + Send + Sync + 'static) -> usize {
    let explored = Arc::new(AtomicUsize::new(0));
    let count = Arc::clone(&explored);
    loom::model(move || {
        count.fetch_add(1, Ordering::Relaxed);
        model();
    });
    explored.load(Ordering::Relaxed)
}

/// What only one at a time may touch: loom fails a model in which two do, or in which one does not see what the other did.
#[derive(Default)]
struct Till(UnsafeCell<u64>);

impl Till {
    fn add(&self) {
        // SAFETY: loom fails the model if anybody else is at it.
        self.0.with_mut(|sum| unsafe { *sum += 1 });
    }

    fn sum(&self) -> u64 {
        // SAFETY: loom fails the model if anybody changes it meanwhile.
        self.0.with(|sum| unsafe { *sum })
    }
}

// SAFETY: a `Till` is what the models find wrong use of.
unsafe impl Sync for Till {}

#[test]
fn never_more_than_one_is_in_a_limit_of_one() {
    let explored = explored(|| {
        let shared = Arc::new((Limit::new(1), Till::default()));
        let work = |(limit, till): &(Limit, Till)| u64::from(limit.run(|| till.add()).is_some());
        let others = Arc::clone(&shared);
        let other = thread::spawn(move || work(&others) + work(&others));
        let mine = work(&shared);
        let entered = mine + other.join().unwrap();
        // Whoever is refused is so because somebody else is in.
        assert!(entered >= 1);
        assert_eq!(shared.1.sum(), entered);
    });
    println!("{explored} interleavings");
    assert!(explored > 10);
}

#[test]
fn when_it_is_over_nobody_comes_in_and_what_was_done_is_seen() {
    explored(|| {
        let shared = Arc::new((Limit::new(2), Till::default()));
        let others = Arc::clone(&shared);
        let other = thread::spawn(move || u64::from(others.0.run(|| others.1.add()).is_some()));
        shared.0.close();
        if shared.0.is_over() {
            let sum = shared.1.sum();
            assert!(shared.0.enter().is_none());
            assert_eq!(other.join().unwrap(), sum);
        } else {
            assert_eq!(other.join().unwrap(), 1);
        }
    });
}

/// The same steps with more spans around them: loom has nothing more to explore.
#[test]
fn spans_add_no_interleaving() {
    let model = |work: fn(&Limit)| {
        explored(move || {
            let limit = Arc::new(Limit::new(1));
            let other = Arc::clone(&limit);
            let other = thread::spawn(move || work(&other));
            work(&limit);
            other.join().unwrap();
        })
    };
    let without = model(|limit| drop(limit.enter()));
    let with = model(|limit| {
        span_scope!("outer", limit = 1);
        let permit = limit.enter();
        instant!("entered", success = permit.is_some());
        drop(permit);
    });
    assert_eq!(with, without);
}

/// A limit that looks and then writes: a model that finds nothing here would find nothing at all.
#[test]
#[should_panic]
fn a_limit_that_looks_before_it_writes_is_found_out() {
    use loom::sync::atomic::{AtomicU64, Ordering};
    loom::model(|| {
        let shared = Arc::new((AtomicU64::new(0), Till::default()));
        let work = |(state, till): &(AtomicU64, Till)| {
            if state.load(Ordering::Acquire) == 0 {
                state.store(1, Ordering::Release);
                till.add();
                state.store(0, Ordering::Release);
            }
        };
        let others = Arc::clone(&shared);
        let other = thread::spawn(move || work(&others));
        work(&shared);
        other.join().unwrap();
    });
}
