//! `slow` and `tree` of scopes: what was in each on its thread, and nothing else.

use spanring::Recorder;
use spanring::prelude::*;
use spanring::reader::{Recording, sessions};
use spanring_cli::filter::Filter;
use spanring_cli::progress::Silent;
use spanring_cli::trees::{self, Choice, Tree, TreesReport};
use std::future::Future;
use std::pin::pin;
use std::sync::OnceLock;
use std::task::{Context, Waker};
use std::thread;
use std::time::Duration;
use tempfile::TempDir;

#[span_fn]
fn parse(lines: u32) {
    for _ in 0..lines {
        span_scope!("line");
        span_scope!("field");
        instant!("a field");
    }
    thread::sleep(Duration::from_millis(2));
}

fn now(future: impl Future<Output = ()>) {
    assert!(pin!(future).as_mut().poll(&mut Context::from_waker(Waker::noop())).is_ready());
}

/// A job with two files, of which one thread does the second; then a future, polled in a scope and with scopes in it; then what stays open.
fn work() {
    {
        span_scope!("job");
        thread::sleep(Duration::from_millis(20));
        parse(2);
        let second = || {
            span_scope!("elsewhere");
            parse(1);
        };
        thread::scope(|scope| drop(scope.spawn(second).join()));
    }
    {
        span_scope!("poll");
        now(span_async_named!("future", async {
            {
                span_scope!("first half");
                parse(1);
            }
            span_scope!("second half");
        }));
    }
    {
        span_scope!("another job");
    }
}

fn recording() -> &'static Recording {
    static RECORDED: OnceLock<(TempDir, Recording)> = OnceLock::new();
    let (_, recording) = RECORDED.get_or_init(|| {
        let directory = tempfile::tempdir().unwrap();
        let recorder = Recorder::builder().directory(directory.path()).start().unwrap();
        work();
        span_scope!("open");
        parse(1);
        recorder.stop().unwrap();
        let session = sessions(directory.path()).unwrap().pop().unwrap();
        (directory, Recording::open(session).unwrap())
    });
    recording
}

fn describe(name: Option<&str>, choice: &Choice) -> TreesReport {
    let filter = Filter { name: name.map(str::to_owned), ..Filter::default() };
    trees::describe(recording(), &filter.of(recording()), choice, &mut || Box::new(Silent)).unwrap()
}

/// Each row by its level and the last part of its name.
fn shape(tree: &Tree) -> Vec<(u32, &str)> {
    tree.rows.iter().map(|row| (row.level, row.name.rsplit("::").next().unwrap_or_default())).collect()
}

fn shapes(report: &TreesReport) -> Vec<Vec<(u32, &str)>> {
    report.trees.iter().map(shape).collect()
}

const JOB: [(u32, &str); 6] = [(0, "job"), (1, "parse"), (2, "line"), (3, "field"), (2, "line"), (3, "field")];

#[test]
fn the_slowest_scope_is_shown_with_the_scopes_in_it() {
    let report = describe(None, &Choice::Slowest(1));
    assert_eq!(shapes(&report), [JOB]);
    let rows = &report.trees[0].rows;
    let critical: u64 = rows.iter().map(|row| row.critical_ns).sum();
    assert_eq!(Some(critical), rows[0].duration_ns);
    assert!(rows[0].self_ns < rows[0].duration_ns.unwrap());
    let instants = rows.iter().map(|row| row.details.instants.len());
    assert_eq!(instants.collect::<Vec<_>>(), [0, 0, 0, 1, 0, 1]);
}

#[test]
fn a_scope_in_another_one_that_is_shown_is_not_shown_again() {
    let roots = |report: &TreesReport| {
        let mut roots: Vec<String> = report.trees.iter().map(|tree| shape(tree)[0].1.to_owned()).collect();
        roots.sort_unstable();
        roots
    };
    // What is open is none of the slowest, so that what was in it stands by itself.
    let all = describe(None, &Choice::Slowest(100));
    assert_eq!(roots(&all), ["another job", "elsewhere", "future", "job", "parse", "poll"]);
    // Each of these is in none of the others.
    let parsed = describe(Some("parse"), &Choice::Slowest(10));
    assert_eq!(roots(&parsed), ["parse"; 4]);
}

#[test]
fn roots_are_in_no_other_span_and_no_other_scope() {
    let report = describe(None, &Choice::Roots(10));
    let parsed = |first| vec![(0, first), (1, "parse"), (2, "line"), (3, "field")];
    let future = vec![(0, "future"), (1, "first half"), (2, "parse"), (3, "line"), (4, "field"), (1, "second half")];
    let expected =
        [JOB.to_vec(), parsed("elsewhere"), vec![(0, "poll")], future, vec![(0, "another job")], parsed("open")];
    assert_eq!(shapes(&report), expected);
    assert_eq!(report.candidates, 6);
}

#[test]
fn a_scope_in_a_future_is_shown_with_the_scopes_in_it_and_not_with_those_beside_it() {
    let ids = |report: &TreesReport, name: &str| {
        let rows = report.trees.iter().flat_map(|tree| &tree.rows);
        rows.filter(|row| row.name.ends_with(name)).map(|row| row.id).collect::<Vec<u64>>()
    };
    let roots = describe(None, &Choice::Roots(10));
    let half = ids(&roots, "first half");
    let report = describe(None, &Choice::Ids(half.clone()));
    let first_half = [(0, "first half"), (1, "parse"), (2, "line"), (3, "field")];
    assert_eq!(shapes(&report), [first_half]);

    // What happened there is with the innermost scope; the recording has it with the future.
    let instants = report.trees[0].rows.iter().map(|row| row.details.instants.len());
    assert_eq!(instants.collect::<Vec<_>>(), [0, 0, 0, 1]);

    // Both asked for, what is in the inner one stands there.
    let both = [ids(&roots, "future"), half].concat();
    let report = describe(None, &Choice::Ids(both));
    assert_eq!(shapes(&report), [vec![(0, "future"), (1, "second half")], first_half.to_vec()]);
}
