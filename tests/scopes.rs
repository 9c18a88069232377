//! Thread spans: scopes of one thread, below the async span in which they stand.

#![cfg(feature = "enable")]

mod common;

use common::{give_way, poll_once, run};
use spanring::prelude::*;
use spanring::reader::SpanKind;
use spanring::spans::ThreadSpanGuard;
use spanring::testing::{record, record_future};
use std::panic::{AssertUnwindSafe, catch_unwind, resume_unwind};
use std::pin::pin;
use std::task::Poll;

#[span_fn]
fn by_attribute() {
    span_scope!("in it");
}

#[test]
fn scopes_nest_in_the_order_of_the_code() {
    let recorded = record(|| {
        span_scope!("outer");
        {
            span_scope_named!(format!("number {}", 1));
            by_attribute();
        }
        let text = String::from("number 2");
        span_scope_named_dyn!(&text);
    });
    let expected =
        "outer (thread)\n  number 1 (thread)\n    by_attribute (thread)\n      in it (thread)\n  number 2 (thread)\n";
    assert_eq!(recorded.tree(), expected);
    assert_eq!(recorded.spans[0].depth, 0);
    assert_eq!(recorded.spans[0].children[0].children[0].depth, 2);
}

#[test]
fn one_block_may_hold_several_scopes_which_end_in_reverse() {
    let recorded = record(|| {
        span_scope!("first");
        span_scope!("second");
        span_scope!(THIRD, "third");
        span_scope_named!(FOURTH, String::from("fourth"));
        assert_eq!((THIRD.name, FOURTH.line), ("third", THIRD.location.line + 1));
    });
    assert_eq!(recorded.tree(), "first (thread)\n  second (thread)\n    third (thread)\n      fourth (thread)\n");
}

#[test]
fn the_parent_of_a_scope_is_the_current_async_span() {
    let recorded = record(|| {
        run(span_async_named!("async", async {
            span_scope!("outer scope");
            span_scope!("inner scope");
            span_async_named!("inner async", async { by_attribute() }).await;
        }));
    });
    let expected = "async\n  outer scope (thread)\n    inner scope (thread)\n  inner async\n    by_attribute (thread)\n      in it (thread)\n";
    assert_eq!(recorded.tree(), expected);
}

#[test]
fn a_scope_that_unwinds_has_panicked_and_what_follows_has_not() {
    let recorded = record(|| {
        span_scope!("survivor");
        let unwound = catch_unwind(|| {
            span_scope!("doomed");
            {
                span_scope!("done before");
            }
            resume_unwind(Box::new("on purpose"))
        });
        assert!(unwound.is_err());
        by_attribute();
    });
    let expected = "survivor (thread)\n  doomed (thread) [panicked]\n    done before (thread)\n  by_attribute (thread)\n    in it (thread)\n";
    assert_eq!(recorded.tree(), expected);
}

#[test]
fn scopes_that_a_destructor_opens_while_unwinding_complete_or_not_but_end() {
    struct Cleans;
    impl Drop for Cleans {
        fn drop(&mut self) {
            span_scope!("clean up");
        }
    }
    let recorded = record(|| {
        let unwound = catch_unwind(|| {
            let _cleans = Cleans;
            resume_unwind(Box::new("on purpose"))
        });
        assert!(unwound.is_err());
        by_attribute();
    });
    assert_eq!(recorded.spans[0].name, "clean up");
    assert!(recorded.spans[0].outcome.is_some());
    assert_eq!(recorded.spans[1].depth, 0);
}

#[test]
fn a_scope_in_a_poll_that_panics_ends_before_its_span() {
    let recorded = record(|| {
        let mut doomed = pin!(span_async_named!("doomed", async {
            give_way().await;
            span_scope!("scope");
            resume_unwind(Box::new("on purpose"));
        }));
        assert!(poll_once(doomed.as_mut()).is_pending());
        assert!(catch_unwind(AssertUnwindSafe(|| poll_once(doomed.as_mut()))).is_err());
    });
    assert_eq!(recorded.tree(), "doomed [panicked]\n  scope (thread) [panicked]\n");
    assert_eq!(recorded.spans[0].polls, 2);
}

#[test]
fn each_thread_nests_for_itself() {
    let mut recorded = pin!(record_future(async {
        span_scope!("here");
        std::thread::spawn(with_span_of_caller(by_attribute)).join().unwrap();
    }));
    let Poll::Ready(recorded) = poll_once(recorded.as_mut()) else { panic!("nothing in it waits") };
    assert_eq!(recorded.tree(), "here (thread)\nby_attribute (thread)\n  in it (thread)\n");
    assert!(recorded.spans.iter().all(|span| span.depth == 0 && span.kind == SpanKind::Thread));
}

/// `work`, run in the span that is current here.
fn with_span_of_caller(work: impl FnOnce() + Send + 'static) -> impl FnOnce() + Send + 'static {
    let carried = with_current_span(async { work() });
    || run(carried)
}

#[test]
fn a_guard_can_be_held_by_hand_and_dropped_early() {
    static_span_desc!(HELD, "held");
    let recorded = record(|| {
        let guard = ThreadSpanGuard::new(&HELD);
        by_attribute();
        drop(guard);
        by_attribute();
    });
    let by_attribute = |indent| format!("{indent}by_attribute (thread)\n{indent}  in it (thread)\n");
    assert_eq!(recorded.tree(), format!("held (thread)\n{}{}", by_attribute("  "), by_attribute("")));
}

#[test]
fn a_guard_dropped_out_of_order_keeps_the_others_whole() {
    static_span_desc!(FIRST, "first");
    static_span_desc!(SECOND, "second");
    let recorded = record(|| {
        let first = ThreadSpanGuard::new(&FIRST);
        let second = ThreadSpanGuard::new(&SECOND);
        drop(first);
        drop(second);
        by_attribute();
    });
    let all_ended = |span: &spanring::testing::TestSpan| span.outcome.is_some();
    assert!(recorded.spans.iter().all(all_ended), "{}", recorded.tree());
}
