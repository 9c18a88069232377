//! Who is whose parent, on any executor, pool or thread: each test prints the tree that was recorded, and knows what it should be.

use futures_util::stream::{self, FuturesUnordered, StreamExt};
use rayon::prelude::*;
use spanring::prelude::*;
use spanring::runtime::TracingRuntimeExt;
use spanring::spans::{SpanContext, in_current_span};
use spanring::testing::{Recorded, record, record_future};
use std::pin::pin;
use std::task::{Context, Poll, Waker};
use tokio::task::{JoinSet, spawn_blocking, yield_now};

/// Four workers, so that tasks move between threads.
fn tokio_run<F: Future>(future: F) -> F::Output {
    let mut builder = tokio::runtime::Builder::new_multi_thread();
    builder.worker_threads(4).enable_time().with_tracing_callbacks().build().unwrap().block_on(future)
}

/// Polls until it is ready: no executor at all.
fn bare_run<F: Future>(future: F) -> F::Output {
    let mut future = pin!(future);
    loop {
        if let Poll::Ready(output) = future.as_mut().poll(&mut Context::from_waker(Waker::noop())) {
            return output;
        }
    }
}

/// The tree, with siblings in the order of their names: which of them begins first may differ from run to run.
fn tree<R>(mut recorded: Recorded<R>) -> String {
    fn sort(spans: &mut [spanring::testing::TestSpan]) {
        spans.sort_by(|a, b| a.name.cmp(&b.name));
        spans.iter_mut().for_each(|span| sort(&mut span.children));
    }
    sort(&mut recorded.spans);
    let tree = recorded.tree();
    print!("{tree}");
    tree
}

async fn leaf() {
    span_async_named!("leaf", yield_now()).await;
}

#[test]
fn an_instrumented_task_belongs_where_it_was_made_wherever_it_runs() {
    let work = || {
        span_async_named!("request", async {
            let named = tokio::spawn(span_async_named!("named task", leaf()));
            let plain = tokio::spawn(leaf());
            let carried = spawn_with_context(leaf());
            for task in [named, plain, carried] {
                task.await.unwrap();
            }
        })
    };
    // A task without a span of its own, spawned by `tokio::spawn`, is in no span: its leaf is a root, outside of this test.
    let expected = "request\n  leaf\n  named task\n    leaf\n";
    assert_eq!(tree(tokio_run(record_future(async move { work().await }))), expected);
}

#[test]
fn a_join_set_of_instrumented_futures() {
    let work = async {
        span_async_named!("batch", async {
            let mut tasks = JoinSet::new();
            for item in 0..3 {
                tasks.spawn(span_async_named!(format!("item {item}"), leaf()));
            }
            while tasks.join_next().await.is_some() {}
        })
        .await;
    };
    let expected = "batch\n  item 0\n    leaf\n  item 1\n    leaf\n  item 2\n    leaf\n";
    assert_eq!(tree(tokio_run(record_future(work))), expected);
}

#[test]
fn what_a_join_set_aborts_is_cancelled() {
    let work = async {
        span_async_named!("batch", async {
            let mut tasks = JoinSet::new();
            let (tell, told) = tokio::sync::oneshot::channel();
            tasks.spawn(span_async_named!("endless", async {
                tell.send(()).unwrap();
                std::future::pending::<()>().await;
            }));
            told.await.unwrap();
            tasks.shutdown().await;
        })
        .await;
    };
    assert_eq!(tree(tokio_run(record_future(work))), "batch\n  endless [cancelled]\n");
}

#[test]
fn blocking_work_threads_and_rayon_run_in_the_span_that_they_were_given() {
    let work = async {
        span_async_named!("request", async {
            let blocking = spawn_blocking(in_current_span(|| {
                span_scope!("blocking");
            }));
            let thread = std::thread::spawn(in_current_span(|| {
                span_scope!("thread");
            }));
            let here = SpanContext::current();
            (0..3).into_par_iter().for_each(|part| {
                here.enter(|| {
                    span_scope_named!(format!("part {part}"));
                });
            });
            blocking.await.unwrap();
            thread.join().unwrap();
        })
        .await;
    };
    let expected =
        "request\n  blocking (thread)\n  part 0 (thread)\n  part 1 (thread)\n  part 2 (thread)\n  thread (thread)\n";
    assert_eq!(tree(tokio_run(record_future(work))), expected);
}

#[test]
fn what_select_drops_is_cancelled_and_what_it_takes_is_complete() {
    let work = async {
        span_async_named!("race", async {
            tokio::select! {
                () = span_async_named!("slow", std::future::pending::<()>()) => unreachable!(),
                () = span_async_named!("fast", leaf()) => {}
            }
        })
        .await;
    };
    // `select!` begins with any of its branches: `slow` may never have been polled, and then leaves nothing.
    let tree = tree(tokio_run(record_future(work)));
    let without = tree.replace("  slow [cancelled]\n", "");
    assert_eq!(without, "race\n  fast\n    leaf\n");
}

#[test]
fn futures_that_wait_for_each_other_in_one_task_keep_their_parents_apart() {
    let work = async {
        span_async_named!("many", async {
            let mut futures: FuturesUnordered<_> = (0..3)
                .map(|number| {
                    span_async_named!(format!("future {number}"), async {
                        yield_now().await;
                        leaf().await;
                    })
                })
                .collect();
            while futures.next().await.is_some() {}
        })
        .await;
    };
    let expected = "many\n  future 0\n    leaf\n  future 1\n    leaf\n  future 2\n    leaf\n";
    assert_eq!(tree(tokio_run(record_future(work))), expected);
}

#[test]
fn a_stream_is_a_span_from_its_first_poll_to_its_end() {
    let work = async {
        span_async_named!("read all", async {
            static_span_location!(HERE);
            let rows = stream::iter(0..3).then(|row| async move {
                leaf().await;
                row
            });
            let mut rows = pin!(rows.instrument_stream_named(&HERE, "rows"));
            while let Some(row) = rows.next().await {
                // Not part of the stream.
                span_scope_named!(format!("use row {row}"));
            }
        })
        .await;
    };
    let recorded = tokio_run(record_future(work));
    // Three rows of two polls each, and the end.
    assert_eq!(recorded.spans[0].children[0].polls, 7);
    let expected = "read all\n  rows\n    leaf\n    leaf\n    leaf\n  use row 0 (thread)\n  use row 1 (thread)\n  use row 2 (thread)\n";
    assert_eq!(tree(recorded), expected);
}

#[test]
fn a_stream_that_is_dropped_before_its_end_is_cancelled() {
    static_span_desc!(ENDLESS, "endless");
    let recorded = record(|| {
        let mut endless = Box::pin(stream::repeat(1).instrument_stream(&ENDLESS));
        assert_eq!(bare_run(endless.next()), Some(1));
        assert_eq!(futures_util::Stream::size_hint(&*endless), (usize::MAX, None));
        drop(endless);
        drop(stream::empty::<u8>().instrument_stream(&ENDLESS));
    });
    assert_eq!(tree(recorded), "endless [cancelled]\n");
}

#[test]
fn on_smol() {
    let work = async {
        span_async_named!("request", async {
            let task = smol::spawn(span_async_named!("task", leaf_on_any()));
            let blocking = smol::unblock(in_current_span(|| {
                span_scope!("blocking");
            }));
            task.await;
            blocking.await;
        })
        .await;
    };
    let expected = "request\n  blocking (thread)\n  task\n    leaf\n";
    assert_eq!(tree(smol::block_on(record_future(work))), expected);
}

async fn leaf_on_any() {
    span_async_named!("leaf", smol::future::yield_now()).await;
}

#[test]
fn without_any_executor() {
    let recorded = record(|| {
        bare_run(span_async_named!("outer", async {
            leaf_on_any().await;
            with_current_span(leaf_on_any()).await;
        }));
    });
    assert_eq!(tree(recorded), "outer\n  leaf\n  leaf\n");
}

#[test]
fn a_runtime_s_threads_run_what_they_were_given_to_start_with() {
    use std::sync::atomic::{AtomicUsize, Ordering};
    static STARTED: AtomicUsize = AtomicUsize::new(0);
    let mut builder = tokio::runtime::Builder::new_multi_thread();
    let builder = builder.worker_threads(2).with_tracing_callbacks_and_custom_start(|| {
        STARTED.fetch_add(1, Ordering::Relaxed);
    });
    let runtime = builder.build().unwrap();
    runtime.block_on(async { tokio::spawn(async {}).await.unwrap() });
    drop(runtime);
    assert_eq!(STARTED.load(Ordering::Relaxed), 2);
}
