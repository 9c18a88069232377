//! What async spans look like, whatever happens to their futures: as trees, by `spanring::testing`.

#![cfg(feature = "enable")]

mod common;

use common::{give_way, poll_once, run};
use spanring::prelude::*;
use spanring::spans::{RunTimeName, span_async_named};
use spanring::testing::{Recorded, TestSpan, record, record_future};
use std::borrow::Cow;
use std::panic::{AssertUnwindSafe, catch_unwind, resume_unwind};
use std::pin::pin;
use std::sync::Arc;
use std::task::Poll;
use std::time::Duration;

/// Runs recorded what `make` makes, on a runtime with two workers.
fn on_tokio<F: Future>(make: impl FnOnce() -> F) -> Recorded<F::Output> {
    let mut builder = tokio::runtime::Builder::new_multi_thread();
    let runtime = builder.worker_threads(2).enable_time().build().unwrap();
    runtime.block_on(record_future(async { make().await }))
}

/// Unwinds without the message that a panic prints.
fn unwind() -> ! {
    resume_unwind(Box::new("on purpose"))
}

/// Depths in the order of the tree's lines.
fn depths(spans: &[TestSpan]) -> Vec<u16> {
    spans.iter().flat_map(|span| std::iter::once(span.depth).chain(depths(&span.children))).collect()
}

#[span_fn]
async fn by_attribute() {
    give_way().await;
}

#[test]
fn static_named_and_attributed_spans_nest_alike() {
    static_span_desc!(OUTER, "by site");
    static_span_location!(HERE);
    let recorded = on_tokio(|| {
        async {
            span_async_named!("by macro", async {
                by_attribute().await;
                give_way().instrument_named(&HERE, "by method").await;
            })
            .await;
            by_attribute().await;
        }
        .instrument(&OUTER)
    });
    assert_eq!(recorded.tree(), "by site\n  by macro\n    by_attribute\n    by method\n  by_attribute\n");
    assert_eq!(depths(&recorded.spans), [0, 1, 2, 2, 1]);
}

#[test]
fn futures_that_run_side_by_side_are_siblings() {
    let recorded = on_tokio(|| {
        span_async_named!("both", async {
            let left = span_async_named!("left", by_attribute());
            let right = span_async_named!("right", by_attribute());
            tokio::join!(left, right);
        })
    });
    // `by_attribute` is called where it is written: in `both`.
    assert_eq!(recorded.tree(), "both\n  left\n  by_attribute\n  right\n  by_attribute\n");
}

#[test]
fn a_span_created_in_a_span_stays_its_child_when_it_is_spawned() {
    let recorded = on_tokio(|| {
        span_async_named!("parent", async {
            let children = (0..3).map(|_| tokio::spawn(span_async_named!("child", async { by_attribute().await })));
            for child in children.collect::<Vec<_>>() {
                child.await.unwrap();
            }
        })
    });
    let child = "  child\n    by_attribute\n";
    assert_eq!(recorded.tree(), format!("parent\n{child}{child}{child}"));
    assert_eq!(depths(&recorded.spans), [0, 1, 2, 1, 2, 1, 2]);
}

#[test]
fn a_task_without_a_span_of_its_own_has_no_parent_unless_it_is_given_one() {
    let recorded = on_tokio(|| {
        span_async_named!("parent", async {
            tokio::spawn(async { by_attribute().await }).await.unwrap();
            tokio::spawn(with_current_span(async { span_async_named!("carried", async {}).await })).await.unwrap();
        })
    });
    assert_eq!(recorded.tree(), "parent\n  carried\n");
    assert_eq!(depths(&recorded.spans), [0, 1]);
}

#[cfg(feature = "tokio")]
#[test]
fn spawn_with_context_carries_the_current_span_into_the_task() {
    let recorded = on_tokio(|| {
        span_async_named!("parent", async {
            spanring::spans::spawn_with_context(async {
                by_attribute().await;
                give_way().await;
                by_attribute().await;
            })
            .await
            .unwrap();
        })
    });
    assert_eq!(recorded.tree(), "parent\n  by_attribute\n  by_attribute\n");
}

#[test]
fn the_loser_of_a_race_is_cancelled_with_all_that_runs_in_it() {
    let recorded = on_tokio(|| {
        span_async_named!("race", async {
            let slow = span_async_named!("slow", span_async_named!("inside", std::future::pending::<()>()));
            let nested = span_async_named!("slow too", async { by_attribute_for_ever().await });
            tokio::select! {
                biased;
                () = slow => unreachable!(),
                () = nested => unreachable!(),
                () = span_async_named!("fast", give_way()) => {}
            }
        })
    });
    let losers =
        "  slow [cancelled]\n  inside [cancelled]\n  slow too [cancelled]\n    by_attribute_for_ever [cancelled]\n";
    assert_eq!(recorded.tree(), format!("race\n{losers}  fast\n"));
}

#[span_fn]
async fn by_attribute_for_ever() {
    std::future::pending().await
}

#[test]
fn a_timeout_cancels() {
    let recorded = on_tokio(|| {
        span_async_named!("request", async {
            let query = span_async_named!("query", std::future::pending::<()>());
            tokio::time::timeout(Duration::from_millis(5), query).await.unwrap_err();
            span_async_named!("fall back", give_way()).await;
        })
    });
    assert_eq!(recorded.tree(), "request\n  query [cancelled]\n  fall back\n");
}

#[test]
fn an_aborted_task_is_cancelled() {
    let recorded = on_tokio(|| {
        span_async_named!("parent", async {
            let (polled, was_polled) = tokio::sync::oneshot::channel();
            let task = tokio::spawn(span_async_named!("task", async move {
                polled.send(()).unwrap();
                std::future::pending::<()>().await;
            }));
            was_polled.await.unwrap();
            task.abort();
            assert!(task.await.unwrap_err().is_cancelled());
        })
    });
    assert_eq!(recorded.tree(), "parent\n  task [cancelled]\n");
}

#[test]
fn a_panic_in_a_poll_ends_every_span_it_passes_and_no_other() {
    let recorded = record(|| {
        run(span_async_named!("survivor", async {
            let mut doomed =
                pin!(span_async_named!("doomed", async { span_async_named!("inner", async { unwind() }).await }));
            assert!(catch_unwind(AssertUnwindSafe(|| poll_once(doomed.as_mut()))).is_err());
            by_attribute().await;
        }));
        run(span_async_named!("next", by_attribute()));
    });
    let expected = "survivor\n  doomed [panicked]\n    inner [panicked]\n  by_attribute\nnext\nby_attribute\n";
    assert_eq!(recorded.tree(), expected);
    assert_eq!(depths(&recorded.spans), [0, 1, 2, 1, 0, 0]);
}

#[test]
fn a_task_that_panics_leaves_its_worker_as_it_found_it() {
    let runtime = tokio::runtime::Builder::new_current_thread().build().unwrap();
    let recorded = runtime.block_on(record_future(async {
        span_async_named!("parent", async {
            let doomed = tokio::spawn(span_async_named!("doomed", async {
                give_way().await;
                unwind()
            }));
            let result: Result<(), _> = doomed.await;
            assert!(result.unwrap_err().is_panic());
            tokio::spawn(async { assert_eq!(current_span_id(), None) }).await.unwrap();
            tokio::spawn(span_async_named!("next", by_attribute())).await.unwrap();
        })
        .await;
    }));
    assert_eq!(recorded.tree(), "parent\n  doomed [panicked]\n  next\n  by_attribute\n");
}

#[test]
fn a_destructor_that_panics_still_ends_its_span() {
    struct Bomb;
    impl Drop for Bomb {
        fn drop(&mut self) {
            unwind();
        }
    }
    let recorded = record(|| {
        let mut future = Box::pin(span_async_named!("bomb", async {
            let _bomb = Bomb;
            std::future::pending::<()>().await;
        }));
        assert!(poll_once(future.as_mut()).is_pending());
        assert!(catch_unwind(AssertUnwindSafe(|| drop(future))).is_err());
        run(span_async_named!("next", async {}));
    });
    assert_eq!(recorded.tree(), "bomb [cancelled]\nnext\n");
}

#[test]
fn a_destructor_runs_in_the_span_of_its_future() {
    struct Closes;
    impl Drop for Closes {
        fn drop(&mut self) {
            run(span_async_named!("close", async {}));
        }
    }
    let recorded = record(|| {
        let mut future = Box::pin(span_async_named!("connection", async {
            let _closes = Closes;
            std::future::pending::<()>().await;
        }));
        assert!(poll_once(future.as_mut()).is_pending());
        drop(future);
    });
    assert_eq!(recorded.tree(), "connection [cancelled]\n  close\n");
}

#[test]
fn a_future_that_is_dropped_before_its_first_poll_leaves_nothing() {
    let recorded = record(|| {
        static_span_desc!(SITE, "static");
        drop(give_way().instrument(&SITE));
        drop(span_async_named!("named", give_way()));
        drop(by_attribute());
    });
    assert_eq!(recorded.tree(), "");
}

#[test]
fn a_future_that_is_ready_may_be_kept() {
    let recorded = record(|| {
        let mut future = pin!(span_async_named!("done", async { 1 }));
        assert_eq!(poll_once(future.as_mut()), Poll::Ready(1));
        run(span_async_named!("next", async {}));
    });
    assert_eq!(recorded.tree(), "done\nnext\n");
}

#[test]
fn a_child_that_goes_on_does_not_keep_its_parent_open() {
    let mut outlives = None;
    let recorded = record(|| {
        run(span_async_named!("parent", async {
            let mut child = Box::pin(span_async_named!("child", std::future::pending::<()>()));
            assert!(poll_once(child.as_mut()).is_pending());
            outlives = Some(child);
        }));
    });
    assert_eq!(recorded.tree(), "parent\n  child [open]\n");
}

#[test]
fn a_child_may_begin_after_its_parent_has_ended() {
    let recorded = record(|| {
        let mut late = None;
        run(span_async_named!("parent", async { late = Some(span_async_named!("late", give_way())) }));
        run(late.unwrap());
    });
    assert_eq!(recorded.tree(), "parent\n  late\n");
}

#[test]
fn two_runtimes_record_into_one_tree() {
    let other = tokio::runtime::Builder::new_multi_thread().worker_threads(1).build().unwrap();
    let recorded = on_tokio(|| {
        span_async_named!("parent", async {
            let there = other.spawn(span_async_named!("on the other", async { by_attribute().await }));
            tokio::spawn(span_async_named!("on this one", async { by_attribute().await })).await.unwrap();
            there.await.unwrap();
        })
    });
    let mut children: Vec<&str> = recorded.spans[0].children.iter().map(|span| span.name.as_str()).collect();
    children.sort_unstable();
    assert_eq!(children, ["on the other", "on this one"]);
    assert!(recorded.spans[0].children.iter().all(|child| child.children[0].name == "by_attribute"));
    other.shutdown_background();
}

#[test]
fn any_executor_will_do() {
    use futures_executor::{ThreadPool, block_on};
    let pool = ThreadPool::builder().pool_size(2).create().unwrap();
    let parent = async {
        let (done, mut both_done) = tokio::sync::mpsc::channel::<()>(1);
        let in_the_pool = span_async_named!("in the pool", async { by_attribute().await });
        let carried = with_current_span(async { span_async_named!("carried", give_way()).await });
        let finished = done.clone();
        pool.spawn_ok(async move {
            in_the_pool.await;
            drop(finished);
        });
        pool.spawn_ok(async move {
            carried.await;
            drop(done);
        });
        assert_eq!(both_done.recv().await, None);
        by_attribute().await;
    };
    let recorded = block_on(record_future(async { span_async_named!("parent", parent).await }));
    let mut names: Vec<&str> = recorded.spans[0].children.iter().map(|span| span.name.as_str()).collect();
    names.sort_unstable();
    assert_eq!(names, ["by_attribute", "carried", "in the pool"]);
}

#[test]
fn the_current_span_is_known_inside_and_restored_outside() {
    let recorded = record(|| {
        let root = current_span_id();
        let (outer, inner, after) = run(span_async_named!("outer", async {
            let outer = current_span_id();
            span_scope!("a thread span is never current");
            assert_eq!(current_span_id(), outer);
            let inner = span_async_named!("inner", async { current_span_id() }).await;
            (outer, inner, current_span_id())
        }));
        assert_eq!(outer, after);
        assert!(outer.is_some() && inner.is_some() && outer != inner && outer != root);
        assert_eq!(current_span_id(), root);
    });
    assert_eq!(recorded.spans.len(), 1);
    assert_eq!(current_span_id(), None);
}

#[test]
fn polls_are_counted() {
    let recorded = record(|| {
        run(span_async_named!("three", async {
            give_way().await;
            give_way().await;
        }));
        run(span_async_named!("one", async {}));
        let mut dropped = Box::pin(span_async_named!("two", std::future::pending::<()>()));
        assert!(poll_once(dropped.as_mut()).is_pending());
        assert!(poll_once(dropped.as_mut()).is_pending());
    });
    let polls: Vec<(&str, u32)> = recorded.spans.iter().map(|span| (span.name.as_str(), span.polls)).collect();
    assert_eq!(polls, [("three", 3), ("one", 1), ("two", 2)]);
}

#[test]
fn anything_that_is_text_can_be_a_name() {
    static_span_location!(HERE);
    let shared: Arc<str> = Arc::from("arc");
    let line = String::from("borrowed text");
    let recorded = record(|| {
        run(span_async_named!("static", async {}));
        run(span_async_named!(format!("string {}", 1), async {}));
        run(span_async_named!(Arc::clone(&shared), async {}));
        run(async {}.instrument_named(&HERE, Cow::Borrowed("cow")));
        run(async {}.instrument_named(&HERE, Cow::<'static, str>::Owned("owned cow".to_owned())));
        run(async {}.instrument_named(&HERE, Box::<str>::from("box")));
        run(async {}.instrument_named(&HERE, RunTimeName(&line[..8])));
        run(span_async_named_dyn!(&line[9..], async {}));
        run(instrument_named_dyn!(async {}, line.split(' ').next().unwrap()));
        run(span_async_named!("", async {}));
        run(span_async_named_dyn!("", async {}));
        run(span_async_named_dyn!("ß∂ 🦀\n", async {}));
    });
    let names: Vec<&str> = recorded.spans.iter().map(|span| span.name.as_str()).collect();
    let expected =
        ["static", "string 1", "arc", "cow", "owned cow", "box", "borrowed", "text", "borrowed", "", "", "ß∂ 🦀\n"];
    assert_eq!(names, expected);
}

#[test]
fn the_macros_say_where_they_stand() {
    let line = line!() + 1;
    let recorded = record(|| run(span_async_named!("here", async {})));
    let span = &recorded.spans[0];
    assert_eq!((span.file.as_str(), span.line, span.target.as_str()), (file!(), line, module_path!()));
}

#[test]
fn the_function_stands_at_its_caller_and_knows_no_target() {
    let line = line!() + 1;
    let recorded = record(|| run(span_async_named("here", async {})));
    let span = &recorded.spans[0];
    assert_eq!((span.name.as_str(), span.file.as_str(), span.line), ("here", file!(), line));
    assert_eq!(span.target, "");
}

#[test]
fn sixty_four_spans_nest() {
    fn nest(levels: u32) -> std::pin::Pin<Box<dyn Future<Output = ()> + Send>> {
        if levels == 0 {
            return Box::pin(give_way());
        }
        Box::pin(async move { span_async_named!(format!("level {levels}"), async { nest(levels - 1).await }).await })
    }
    let recorded = on_tokio(|| nest(64));
    let expected: String =
        (0..64).map(|level| format!("{:indent$}level {}\n", "", 64 - level, indent = 2 * level)).collect();
    assert_eq!(recorded.tree(), expected);
    assert_eq!(depths(&recorded.spans), (0..64).collect::<Vec<u16>>());
}
