//! What exactly is written: which records, in which order, by which thread, and when nothing is.

#![cfg(feature = "enable")]

mod common;

use common::{Contents, exclusive, give_way, poll_once, run};
use spanring::Recorder;
use spanring::prelude::*;
use spanring::reader::{Location, Outcome, Phase, SpanKind};
use std::cell::Cell;
use std::pin::pin;
use std::thread;
use std::time::{Duration, SystemTime};

/// Runs `work` recorded to memory.
fn recorded(work: impl FnOnce()) -> Contents {
    let _turn = exclusive();
    let recorder = Recorder::builder().memory().start().unwrap();
    work();
    recorder.flush().unwrap();
    let contents = Contents::of_memory(&recorder.memory().unwrap().bytes());
    contents.check_whole();
    contents
}

#[test]
fn a_span_is_a_begin_and_an_end_that_agree() {
    let line = line!() + 1;
    let contents = recorded(|| run(span_async_named!("span", async { span_async_named!("child", give_way()).await })));
    assert_eq!(contents.story(), ["+span", "+child", "-child", "-span"]);
    let (parent, _) = contents.span("span");
    let (begin, end) = contents.span("child");
    assert_eq!((begin.kind, end.kind), (SpanKind::Async, SpanKind::Async));
    assert_eq!((begin.parent, end.parent), (parent.span_id, parent.span_id));
    assert_eq!((begin.depth, end.depth, parent.depth, parent.parent), (1, 1, 0, 0));
    assert_eq!((begin.outcome, end.outcome), (None, Some(Outcome::Completed)));
    assert_eq!((begin.polls, end.polls), (0, 2));
    assert_eq!((begin.begin_unix_ns, end.begin_unix_ns), (None, Some(begin.unix_ns)));
    let location = Location {
        lod: 3,
        target: module_path!().to_owned(),
        module_path: module_path!().to_owned(),
        file: file!().to_owned(),
        line,
    };
    assert_eq!((begin.location.as_ref(), end.location.as_ref()), (Some(&location), Some(&location)));
}

#[test]
#[cfg_attr(miri, ignore = "needs the wall clock")]
fn times_are_those_of_the_wall_clock() {
    let now = || SystemTime::now().duration_since(SystemTime::UNIX_EPOCH).unwrap();
    let before = now();
    let contents = recorded(|| {
        run(span_async_named!("sleeps", async { thread::sleep(Duration::from_millis(20)) }));
    });
    let after = now();
    let (begin, end) = contents.span("sleeps");
    let tolerance = Duration::from_millis(5).as_nanos() as u64;
    assert!(before.as_nanos() as u64 <= begin.unix_ns + tolerance);
    assert!(end.unix_ns <= after.as_nanos() as u64 + tolerance);
    let duration = end.unix_ns - begin.unix_ns;
    assert!((19_000_000..=(after - before).as_nanos() as u64 + tolerance).contains(&duration), "{duration} ns");
}

#[test]
fn a_future_may_begin_on_one_thread_and_end_on_another() {
    let contents = recorded(|| {
        let mut future = Box::pin(span_async_named!("migrant", async {
            span_async_named!("first half", give_way()).await;
            span_async_named!("second half", give_way()).await;
        }));
        // Three polls: the first here, the second on a thread of its own, the third here again.
        assert!(poll_once(future.as_mut()).is_pending());
        let elsewhere = thread::Builder::new().name("elsewhere".to_owned());
        let polled = elsewhere.spawn(move || {
            assert_eq!(current_span_id(), None);
            assert!(poll_once(future.as_mut()).is_pending());
            assert_eq!(current_span_id(), None);
            future
        });
        let mut future = polled.unwrap().join().unwrap();
        assert!(poll_once(future.as_mut()).is_ready());
    });
    let threads = |name: &str| {
        let (begin, end) = contents.span(name);
        let name_of = |id| contents.threads.iter().find(|thread| thread.id == id).unwrap().name.clone();
        (name_of(begin.thread), name_of(end.thread))
    };
    let here = thread::current().name().unwrap().to_owned();
    let elsewhere = "elsewhere".to_owned();
    assert_eq!(threads("migrant"), (here.clone(), here.clone()));
    assert_eq!(threads("first half"), (here.clone(), elsewhere.clone()));
    assert_eq!(threads("second half"), (elsewhere, here));
    let (parent, parent_end) = contents.span("migrant");
    assert_eq!(parent_end.polls, 3);
    for half in ["first half", "second half"] {
        let (begin, end) = contents.span(half);
        assert_eq!((begin.parent, begin.depth, end.polls), (parent.span_id, 1, 2));
        assert_eq!(begin.span_id, end.span_id);
    }
}

#[test]
fn the_children_of_a_cancelled_span_end_before_it() {
    let contents = recorded(|| {
        let pending = || std::future::pending::<()>();
        let mut future = Box::pin(span_async_named!("outer", async move {
            let inner = span_async_named!("inner", span_async_named!("innermost", pending()));
            inner.await;
        }));
        assert!(poll_once(future.as_mut()).is_pending());
    });
    assert_eq!(contents.story(), ["+outer", "+inner", "+innermost", "-innermost", "-inner", "-outer"]);
    let ends = contents.spans().filter(|record| record.phase == Phase::End);
    assert!(ends.into_iter().all(|end| end.outcome == Some(Outcome::Cancelled)));
}

#[test]
fn a_parent_that_is_done_does_not_wait_for_its_children() {
    let contents = recorded(|| {
        let mut child = None;
        run(span_async_named!("parent", async {
            let mut boxed = Box::pin(span_async_named!("child", give_way()));
            assert!(poll_once(boxed.as_mut()).is_pending());
            child = Some(boxed);
        }));
        assert!(poll_once(child.unwrap().as_mut()).is_ready());
    });
    assert_eq!(contents.story(), ["+parent", "+child", "-parent", "-child"]);
}

#[test]
fn the_parent_is_the_span_of_the_creation_not_of_the_first_poll() {
    let contents = recorded(|| {
        let mut child = None;
        run(span_async_named!("made in", async { child = Some(span_async_named!("child", give_way())) }));
        run(span_async_named!("polled in", child.unwrap()));
    });
    let (parent, _) = contents.span("made in");
    let (child, _) = contents.span("child");
    assert_eq!((child.parent, child.depth), (parent.span_id, 1));
}

#[test]
fn a_name_is_evaluated_only_while_somebody_records() {
    let evaluated = Cell::new(0);
    let name = || {
        evaluated.set(evaluated.get() + 1);
        format!("number {}", evaluated.get())
    };
    let work = || {
        run(span_async_named!(name(), async {}));
        run(instrument_named_dyn!(async {}, name()));
        span_scope_named!(name());
        span_scope_named_dyn!(name());
    };
    {
        let _turn = exclusive();
        assert!(!spanring::is_recording());
        work();
        assert_eq!(evaluated.get(), 0);
    }
    let contents = recorded(work);
    assert_eq!(evaluated.get(), 4);
    assert_eq!(contents.spans().count(), 8);
    let _turn = exclusive();
    work();
    assert_eq!(evaluated.get(), 4);
}

#[test]
fn what_was_first_polled_unrecorded_stays_unrecorded() {
    let mut early = {
        let _turn = exclusive();
        let mut early = Box::pin(span_async_named!("early", async {
            give_way().await;
            span_async_named!("late", async {}).await;
        }));
        assert!(poll_once(early.as_mut()).is_pending());
        early
    };
    let contents = recorded(|| assert!(poll_once(early.as_mut()).is_ready()));
    assert_eq!(contents.story(), ["+late", "-late"]);
    assert_eq!((contents.span("late").0.parent, contents.span("late").0.depth), (0, 0));
}

#[test]
fn a_static_site_wrapped_unrecorded_is_recorded_from_its_first_poll() {
    static_span_desc!(SITE, "site");
    let future = {
        let _turn = exclusive();
        give_way().instrument(&SITE)
    };
    let mut future = pin!(future);
    let contents = recorded(|| {
        assert!(poll_once(future.as_mut()).is_pending());
        assert!(poll_once(future.as_mut()).is_ready());
    });
    assert_eq!(contents.story(), ["+site", "-site"]);
}

#[test]
fn span_ids_are_never_used_twice() {
    const SPANS: usize = if cfg!(miri) { 20 } else { 1000 };
    let ids: Vec<u64> = (0..2)
        .flat_map(|_| {
            let work = || (0..SPANS).for_each(|_| run(span_async_named!("span", async {})));
            let contents = recorded(|| {
                let other = thread::spawn(work);
                work();
                other.join().unwrap();
            });
            contents.spans().map(|record| record.span_id).collect::<Vec<_>>()
        })
        .collect();
    assert_eq!(ids.len(), 2 * 2 * 2 * SPANS);
    let unique: std::collections::BTreeSet<u64> = ids.iter().copied().collect();
    assert_eq!(unique.len() * 2, ids.len());
    assert!(!unique.contains(&0));
}
