//! Running a model.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};

/// Preemptions in an interleaving at most, where all of them would take minutes. The variable `LOOM_MAX_PREEMPTIONS` sets
/// another bound.
const PREEMPTIONS: usize = 3;

/// Runs `model` in every interleaving, and in each with every value that a load may return; prints how many that were.
///
/// # Panics
/// If the model panics in any of them.
pub fn explore_all(name: &str, model: impl Fn() + Send + Sync + 'static) {
    run(name, None, model);
}

/// As [`explore_all`], in the interleavings with up to three preemptions: for models that have a million of them.
///
/// # Panics
/// If the model panics in any of them.
pub fn explore(name: &str, model: impl Fn() + Send + Sync + 'static) {
    run(name, Some(PREEMPTIONS), model);
}

fn run(name: &str, preemptions: Option<usize>, model: impl Fn() + Send + Sync + 'static) {
    let interleavings = Arc::new(AtomicUsize::new(0));
    let counter = Arc::clone(&interleavings);
    let mut builder = loom::model::Builder::new();
    builder.preemption_bound = preemptions.map(|bound| builder.preemption_bound.unwrap_or(bound));
    let bound =
        builder.preemption_bound.map_or("no preemption bound".to_owned(), |bound| format!("preemption bound {bound}"));
    builder.check(move || {
        counter.fetch_add(1, Ordering::Relaxed);
        model();
    });
    println!("model {name}: {} interleavings ({bound})", interleavings.load(Ordering::Relaxed));
}

/// Whether something happened in any interleaving: that a model reaches what it is about.
///
/// Clones witness together.
#[derive(Clone, Default)]
pub struct Witness(Arc<AtomicBool>);

impl Witness {
    /// It happens in this interleaving, if `so`.
    pub fn note(&self, so: bool) {
        if so {
            self.0.store(true, Ordering::Relaxed);
        }
    }

    /// Whether it happened in an interleaving so far.
    pub fn happened(&self) -> bool {
        self.0.load(Ordering::Relaxed)
    }
}
