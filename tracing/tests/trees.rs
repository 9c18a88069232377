//! Who is whose parent, and what is known of whom: each test prints the tree that was recorded, and knows what it should be.

mod common;

use common::{everywhere, tokio_run, tree};
use spanring::spans::{SpanContext, current_span_id};
use spanring::testing::{Recorded, record, record_future};
use spanring::{span_async_named, span_scope};
use spanring_tracing::SpanringLayer;
use std::error::Error;
use tokio::task::yield_now;
use tracing::field::Empty;
use tracing::{Instrument, debug_span, error, info_span, instrument, trace_span, warn};
use tracing_subscriber::filter::{EnvFilter, LevelFilter, Targets};
use tracing_subscriber::layer::Identity;
use tracing_subscriber::prelude::*;

/// What `f` records under that layer, on this thread.
fn under<L>(layer: L, f: impl FnOnce()) -> Recorded<()>
where
    L: tracing_subscriber::Layer<tracing_subscriber::Registry> + Send + Sync,
{
    tracing::subscriber::with_default(tracing_subscriber::registry().with(layer), || record(f))
}

#[test]
fn spans_nest() {
    everywhere();
    let recorded = record(|| {
        let _outer = info_span!("outer").entered();
        debug_span!("first").in_scope(|| trace_span!("inner").in_scope(|| {}));
        // Made here, and entered in none.
        drop(info_span!("second"));
    });
    assert_eq!(tree(&recorded), "outer\n  first\n    inner\n  second\n");
    let outer = &recorded.spans[0];
    assert_eq!((outer.polls, outer.depth, outer.children[0].depth), (1, 0, 1));
    assert_eq!((outer.target.as_str(), outer.file.as_str()), (module_path!(), file!()));
    assert!(outer.line > 0);
    assert_eq!(outer.children[1].polls, 0);
}

#[test]
fn instrumented_functions_and_futures_keep_their_parents_on_whatever_thread_they_are() {
    #[instrument]
    async fn leaf(number: u32) {
        yield_now().await;
    }

    #[instrument(name = "branch", skip_all, fields(of = number))]
    async fn named(number: u32) {
        leaf(number).await;
        yield_now().await;
        leaf(number + 1).await;
    }

    everywhere();
    let recorded = tokio_run(record_future(async {
        let work = async {
            let tasks: Vec<_> = [10, 20, 30]
                .map(|number| tokio::spawn(named(number).instrument(info_span!("task", number))))
                .into_iter()
                .collect();
            for task in tasks {
                task.await.unwrap();
            }
        };
        work.instrument(info_span!("request")).await;
    }));
    let mut expected: Vec<String> = [10, 20, 30]
        .map(|number| {
            let (first, second) = (number, number + 1);
            format!("  task number={number}\n    branch of={number}\n      leaf number={first}\n      leaf number={second}\n")
        })
        .into();
    // Tasks of one name are in the order in which they began.
    let begun: Vec<&str> = recorded.spans[0].children.iter().map(|task| task.attributes[0].1.as_str()).collect();
    expected.sort_by_key(|task| begun.iter().position(|number| task.contains(&format!("task number={number}"))));
    assert_eq!(tree(&recorded), format!("request\n{}", expected.concat()));
    let task = &recorded.spans[0].children[0];
    // Three yields make four polls, and a future is entered to be dropped.
    assert_eq!((task.polls, task.children[0].polls), (5, 5));
}

#[test]
fn either_api_sees_the_spans_of_the_other() {
    async fn of_tracing() {
        yield_now().await;
        span_async_named!("spanring 2", async {
            yield_now().await;
            info_span!("leaf").in_scope(|| {
                span_scope!("scope of leaf");
            });
        })
        .await;
    }

    async fn of_both() {
        tokio::spawn(span_async_named!("task", yield_now())).await.unwrap();
        of_tracing().instrument(info_span!("tracing 2")).await;
        // What was current before is so again.
        span_async_named!("spanring 3", async {}).await;
        span_scope!("scope");
    }

    everywhere();
    let recorded = tokio_run(record_future(async {
        let work = async { span_async_named!("spanring 1", async { of_both().await }).await };
        work.instrument(info_span!("tracing 1")).await;
    }));
    let expected = "tracing 1\n  spanring 1\n    scope\n    spanring 3\n    task\n    tracing 2\n      spanring 2\n        leaf\n          scope of leaf\n";
    assert_eq!(tree(&recorded), expected);
}

#[test]
fn spans_may_be_left_in_any_order() {
    everywhere();
    let recorded = record(|| {
        let before = SpanContext::current();
        let (a, b, c) = (info_span!("a"), info_span!("b"), info_span!("c"));
        let (in_a, in_b, in_c) = (a.enter(), b.enter(), c.enter());
        drop(in_b);
        info_span!("in c").in_scope(|| {});
        drop(in_c);
        info_span!("in a").in_scope(|| {});
        // Twice, and left once.
        let again = a.enter();
        drop(in_a);
        info_span!("still in a").in_scope(|| {});
        drop(again);
        assert_eq!(SpanContext::current(), before);
    });
    assert_eq!(tree(&recorded), "a\n  in a\n  still in a\nb\nc\n  in c\n");
}

#[test]
fn a_span_that_is_held_while_its_task_sleeps_does_not_keep_others() {
    everywhere();
    let recorded = record(|| {
        let sleeping = span_async_named!("sleeping", async {
            let _held = info_span!("held").entered();
            yield_now_once().await;
        });
        let mut sleeping = std::pin::pin!(sleeping);
        let mut context = std::task::Context::from_waker(std::task::Waker::noop());
        assert!(sleeping.as_mut().poll(&mut context).is_pending());
        info_span!("beside").in_scope(|| {
            assert!(sleeping.as_mut().poll(&mut context).is_ready());
            info_span!("within").in_scope(|| {});
        });
        info_span!("after").in_scope(|| {});
    });
    assert_eq!(tree(&recorded), "after\nbeside\n  within\nsleeping\n  held\n");
}

/// As tokio's, for no executor.
async fn yield_now_once() {
    let mut yielded = false;
    std::future::poll_fn(|_| match std::mem::replace(&mut yielded, true) {
        true => std::task::Poll::Ready(()),
        false => std::task::Poll::Pending,
    })
    .await;
}

#[test]
fn a_parent_that_is_named_is_the_parent() {
    everywhere();
    let recorded = record(|| {
        let parent = info_span!("parent");
        let _other = info_span!("other").entered();
        info_span!(parent: &parent, "child").in_scope(scope);
        // A root is below nothing that is recorded here.
        info_span!(parent: None, "root").in_scope(|| {});
    });
    assert_eq!(tree(&recorded), "other\nparent\n  child\n    scope\n");
}

fn scope() {
    span_scope!("scope");
}

#[test]
fn fields_are_attributes_of_their_own_types() {
    #[derive(Debug)]
    #[expect(dead_code, reason = "it is there to be formatted")]
    struct Point {
        x: i32,
    }

    everywhere();
    let recorded = record(|| {
        let (text, missing, point) = (String::from("text"), None::<u32>, Point { x: 7 });
        let span =
            info_span!("span", yes = true, i = -1, u = u64::MAX, f = 0.5, text, missing, later = Empty, never = Empty);
        span.record("later", 1).record("later", 2).record("unknown", 3);
        info_span!("formatted", ?point, shown = %"a b", large = u128::MAX, message = "said").in_scope(|| {});
    });
    let expected = format!(
        "formatted message=said point=Point {{ x: 7 }} shown=a b large={}\nspan yes=true i=-1 u={} f=0.5 text=text later=1 later=2\n",
        u128::MAX,
        u64::MAX
    );
    let sorted = |tree: &str| {
        let mut words: Vec<String> = tree.split_inclusive(' ').map(str::to_owned).collect();
        words.sort();
        words
    };
    let tree = tree(&recorded);
    assert_eq!(sorted(&tree.replace('\n', " ")), sorted(&expected.replace('\n', " ")));
}

#[test]
fn text_that_is_too_long_is_cut() {
    everywhere();
    let recorded = record(|| {
        let (long, list) = ("é".repeat(1000), vec![12345; 1000]);
        info_span!("span", long = %long, ?list).in_scope(|| {});
    });
    let attributes = &recorded.spans[0].attributes;
    assert_eq!(attributes[0], ("long".to_owned(), "é".repeat(196)));
    assert_eq!(attributes[1].1.len(), 392);
    assert!(attributes[1].1.starts_with("[12345, 12345, "));
}

#[test]
fn formatting_a_field_may_make_spans() {
    struct Traced;
    impl std::fmt::Debug for Traced {
        fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
            let span = info_span!("formatting");
            let _entered = span.enter();
            f.write_str("done")
        }
    }

    everywhere();
    let recorded = record(|| {
        let span = info_span!("span", late = Empty);
        let _entered = span.enter();
        span.record("late", tracing::field::debug(Traced));
    });
    assert_eq!(tree(&recorded), "span late=done\n  formatting\n");
}

#[test]
fn a_span_says_which_others_it_follows_from() {
    everywhere();
    let recorded = record(|| {
        let (first, second) = (info_span!("first", id = Empty), info_span!("second", id = Empty));
        for cause in [&first, &second] {
            cause.in_scope(|| cause.record("id", current_span_id()));
        }
        let effect = info_span!("effect");
        effect.follows_from(&first);
        effect.follows_from(&second);
        for _ in 2..10 {
            effect.follows_from(&second);
        }
    });
    let [effect, first, second] = ["effect", "first", "second"].map(|name| {
        let span = recorded.spans.iter().find(|span| span.name == name);
        &span.unwrap().attributes
    });
    assert_eq!(effect[0], ("follows_from".to_owned(), first[0].1.clone()));
    assert_eq!(effect[1], ("follows_from.2".to_owned(), second[0].1.clone()));
    assert_eq!(effect.last().unwrap().0, "follows_from.8");
    assert!(first[0].1.parse::<u64>().is_ok());
}

#[test]
fn what_is_filtered_out_is_passed_over() {
    fn work() {
        let outer = info_span!("outer");
        outer.in_scope(|| {
            let hidden = debug_span!("hidden");
            hidden.in_scope(|| {
                span_scope!("scope");
                info_span!("inner").in_scope(|| {});
                info_span!(target: "noisy::part", "noise").in_scope(|| {});
            });
            info_span!(parent: &hidden, "adopted").in_scope(|| {});
            hidden.record("nothing", 1);
            outer.follows_from(&hidden);
        });
    }

    let everything = "outer\n  hidden\n    adopted\n    inner\n    noise\n    scope\n";
    let filtered = "outer\n  adopted\n  inner\n  scope\n";
    let without_follows = |recorded: Recorded<()>| {
        let tree = tree(&recorded);
        let lines = tree.lines().map(|line| line.split(" follows_from").next().unwrap());
        lines.map(|line| format!("{line}\n")).collect::<String>()
    };
    assert_eq!(without_follows(under(spanring_tracing::layer(), work)), everything);
    let targets = Targets::new().with_default(LevelFilter::INFO).with_target("noisy", LevelFilter::OFF);
    let directives = || EnvFilter::new("info,noisy=off");
    // Beside a layer that sees everything.
    let of_targets = spanring_tracing::layer().with_filter(targets).and_then(Identity::new());
    assert_eq!(tree(&under(of_targets, work)), filtered);
    let of_directives = spanring_tracing::layer().with_filter(directives()).and_then(Identity::new());
    assert_eq!(tree(&under(of_directives, work)), filtered);
    // Before all layers: `hidden` is nowhere, and what names it as its parent is a root.
    assert_eq!(tree(&under(spanring_tracing::layer().and_then(directives()), work)), "outer\n  inner\n  scope\n");
}

#[test]
fn errors_fail_their_span() {
    #[instrument(err)]
    fn fallible() -> Result<(), String> {
        Err("no such row".to_owned())
    }

    fn work() {
        let _outer = info_span!("outer").entered();
        let _ = fallible();
        info_span!("warned").in_scope(|| warn!(error = "harmless", "only a warning"));
        let error = "x".parse::<u32>().unwrap_err();
        let error: &(dyn Error + 'static) = &error;
        info_span!("field", error).in_scope(|| {});
        let late = info_span!("late", cause = Empty);
        late.record("cause", error);
        let elsewhere = info_span!("elsewhere");
        error!(parent: &elsewhere, code = 5, "said there");
    }

    let no_digit = "invalid digit found in string";
    let expected = format!(
        "outer\n  elsewhere [failed]\n  fallible error=no such row [failed]\n  field error={no_digit} [failed]\n  late cause={no_digit} [failed]\n  warned\n"
    );
    assert_eq!(tree(&under(spanring_tracing::layer(), work)), expected);
    let kept = expected.replace(" error=no such row", "").replace(" [failed]", "");
    assert_eq!(tree(&under(SpanringLayer::new().errors_fail_spans(false), work)), kept);
}

#[test]
fn a_span_that_a_panic_closes_has_panicked() {
    everywhere();
    let recorded = record(|| {
        let _outer = info_span!("outer").entered();
        let result = std::panic::catch_unwind(|| {
            let _inner = info_span!("inner").entered();
            std::panic::resume_unwind(Box::new("on purpose"));
        });
        assert!(result.is_err());
        info_span!("after").in_scope(|| {});
    });
    assert_eq!(tree(&recorded), "outer\n  after\n  inner [panicked]\n");
}

#[test]
fn a_span_may_be_closed_on_another_thread() {
    everywhere();
    let recorded = record(|| {
        let span = info_span!("span");
        let handle = span.clone();
        span.in_scope(|| {});
        drop(span);
        let closed_there = std::thread::spawn(move || handle.in_scope(|| info_span!("child").in_scope(|| {})));
        closed_there.join().unwrap();
        // Not closed at all.
        std::mem::forget(info_span!("forgotten"));
    });
    assert_eq!(tree(&recorded), "forgotten [open]\nspan\n  child\n");
    assert_eq!(recorded.spans.iter().find(|span| span.name == "span").unwrap().polls, 2);
}

#[test]
fn two_layers_on_one_registry_record_each_span_once() {
    let recorded = under(spanring_tracing::layer().and_then(spanring_tracing::layer()), || {
        info_span!("outer").in_scope(|| info_span!("inner").in_scope(|| {}));
    });
    assert_eq!(tree(&recorded), "outer\n  inner\n");
    assert_eq!(recorded.spans[0].polls, 1);
}

#[test]
fn subscribers_of_their_own_do_not_mix() {
    let registry = || tracing_subscriber::registry().with(spanring_tracing::layer());
    let recorded = under(spanring_tracing::layer(), || {
        let _outer = info_span!("outer").entered();
        // The first span of another registry: it may have the same id as that of this one.
        tracing::subscriber::with_default(registry(), || {
            let inner = info_span!("inner");
            let _entered = inner.enter();
            info_span!("leaf").in_scope(|| {});
        });
        info_span!("after").in_scope(|| {});
    });
    assert_eq!(tree(&recorded), "outer\n  after\n  inner\n    leaf\n");
}
