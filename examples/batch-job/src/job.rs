//! The job: a span for all of it, in which the files have theirs, on whatever thread.

use crate::sales::{SalesError, Sums, add_up};
use crate::span::in_span;
use rayon::prelude::*;
use spanring::prelude::*;
use spanring::spans::SpanContext;
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicUsize, Ordering};

/// What came of a job.
#[derive(Debug, Default)]
pub struct Report {
    /// What was sold, according to all files that could be added up.
    pub sums: Sums,
    /// Those that could not, and why.
    pub failed: Vec<(PathBuf, SalesError)>,
}

/// Adds up all files, on the threads of the pool in which this is called. A file that cannot be added up keeps no other from it.
pub fn run(files: &[PathBuf]) -> Report {
    static_span_desc!(JOB, "add up sales");
    let has_failed = |report: &Report| !report.failed.is_empty();
    in_span(&JOB, has_failed, || {
        // The pool knows nothing of spans: what its threads do for this job is to be in the job's.
        let (here, done) = (SpanContext::current(), AtomicUsize::new(0));
        let results: Vec<_> = files.par_iter().map(|file| here.enter(|| (file, one(file, &done)))).collect();
        let report = collect(results);
        current_span().record("files", files.len()).record("failed", report.failed.len());
        report
    })
}

fn one(file: &Path, done: &AtomicUsize) -> Result<Sums, SalesError> {
    static_span_desc!(FILE, "add up file");
    let result = in_span(&FILE, Result::is_err, || {
        current_span().record("file", file.display().to_string());
        add_up(file)
    });
    // Relaxed: a count, by which nothing else is read.
    counter!("files done", done.fetch_add(1, Ordering::Relaxed) + 1);
    result
}

#[span_fn]
fn collect(results: Vec<(&PathBuf, Result<Sums, SalesError>)>) -> Report {
    let mut report = Report::default();
    for (file, result) in results {
        match result {
            Ok(sums) => sums.into_iter().for_each(|(product, cents)| *report.sums.entry(product).or_default() += cents),
            Err(error) => report.failed.push((file.clone(), error)),
        }
    }
    report
}
