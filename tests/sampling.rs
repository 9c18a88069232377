//! Of the root spans a share is recorded, each with everything in it.

#![cfg(feature = "enable")]

mod common;

use common::child::{Player, part, say};
use common::{Contents, NEVER, exclusive, give_way, poll_once, run};
use spanring::dispatch::{OpenSpan, on_begin_async_scope, on_begin_scope, on_end_async_scope, on_end_scope};
use spanring::events::Outcome;
use spanring::prelude::*;
use spanring::reader::Phase;
use spanring::spans::{SpanContext, current_span_id};
use spanring::{Builder, Health, Recorder, RecorderGuard, Sampling, StartError};
use std::collections::BTreeMap;
use std::pin::pin;

fn in_memory() -> Builder {
    Recorder::builder().memory().flush_interval(NEVER)
}

fn half() -> Sampling {
    Sampling::share(0.5)
}

/// Stops, and returns what was recorded.
fn stop(recorder: RecorderGuard) -> (Contents, Health) {
    let memory = recorder.memory().unwrap().clone();
    let health = recorder.stop().unwrap();
    assert_eq!((health.lost, health.refused, health.stray_ends), (0, 0, 0), "what is not sampled is no loss");
    let contents = Contents::of_memory(&memory.bytes());
    contents.check_whole();
    (contents, health)
}

/// The names of the spans that began, and how many did.
fn names(contents: &Contents) -> BTreeMap<&str, u64> {
    let mut names = BTreeMap::new();
    for begin in contents.spans().filter(|record| record.phase == Phase::Begin) {
        *names.entry(begin.name.as_str()).or_default() += 1;
    }
    names
}

/// A root with everything that there may be in it.
fn request() {
    static_span_desc!(STATIC, "static");
    run(span_async_named!("request", async {
        give_way().await;
        current_span().record("number", 1);
        instant!("instant", key = "value");
        async { give_way().await }.instrument(&STATIC).await;
        run(span_async_named!(String::from("run-time"), async {
            span_scope!("scope");
            span_scope_named!("scope in it");
        }));
        let by_hand = on_begin_async_scope(&STATIC, current_span_id().unwrap_or(0), 1);
        on_end_async_scope(by_hand, 0, &STATIC, 1);
        let context = SpanContext::current();
        std::thread::scope(|threads| {
            threads.spawn(|| context.enter(|| run(span_async_named!("elsewhere", async {}))));
        });
    }));
}

#[test]
fn of_a_root_that_is_not_sampled_nothing_is_recorded() {
    let _turn = exclusive();
    let recorder = in_memory().sampling(Sampling::NONE).start().unwrap();
    for _ in 0..3 {
        request();
    }
    assert_eq!(current_span_id(), None);
    let health = recorder.health();
    assert_eq!((health.sampling, health.unsampled), (Sampling::NONE, 3));
    assert_eq!(health.to_string(), "recording: 0 records flushed, 0 lost, 3 roots not sampled");
    let (contents, health) = stop(recorder);
    assert_eq!(contents.summary.records, 0);
    assert_eq!(health.unsampled, 3, "roots are counted, and no others");
}

#[test]
fn a_root_is_recorded_with_everything_in_it_or_not_at_all() {
    let _turn = exclusive();
    let recorder = in_memory().ring_bytes(16 << 20).sampling(half()).start().unwrap();
    let made = if cfg!(miri) { 20 } else { 1000 };
    for _ in 0..made {
        request();
    }
    let (contents, health) = stop(recorder);
    let names = names(&contents);
    let sampled = names.get("request").copied().unwrap_or(0);
    assert_eq!(sampled + health.unsampled, made);
    let expected = [
        ("elsewhere", sampled),
        ("request", sampled),
        ("run-time", sampled),
        ("scope", sampled),
        ("scope in it", sampled),
        ("static", 2 * sampled),
    ];
    assert_eq!(names, expected.into_iter().filter(|(_, count)| *count > 0).collect());
    let ids: Vec<u64> = contents.spans().map(|record| record.span_id).collect();
    assert!(contents.spans().all(|record| record.parent == 0 || ids.contains(&record.parent)));
    let mut roots = contents.spans().filter(|record| record.name == "request");
    assert!(roots.all(|root| contents.attributes(root.span_id).len() == 1));
    assert_eq!(contents.instants().count() as u64, sampled);
    // By chance, but of a coin that shows the same side 700 times out of 1000 nobody has ever heard.
    assert!(cfg!(miri) || (300..700).contains(&sampled), "{sampled}");
}

#[test]
fn each_thread_tosses_coins_of_its_own() {
    let _turn = exclusive();
    let recorder = in_memory().sampling(half()).start().unwrap();
    let tossed = || (0..64).map(|_| run(span_async_named!("root", async { current_span_id().is_some() })));
    let threads: Vec<Vec<bool>> = std::thread::scope(|threads| {
        let threads: Vec<_> = (0..2).map(|_| threads.spawn(|| tossed().collect())).collect();
        threads.into_iter().map(|thread| thread.join().unwrap()).collect()
    });
    assert_ne!(threads[0], threads[1]);
    drop(recorder);
}

#[test]
fn a_scope_outside_of_any_span_is_a_root_too() {
    let _turn = exclusive();
    let recorder = in_memory().sampling(half()).start().unwrap();
    for _ in 0..200 {
        span_scope!("outer");
        {
            span_scope!("inner");
            instant!("instant");
        }
        on_begin_scope(&BY_HAND);
        on_end_scope(&BY_HAND);
        span_scope_named!("inner");
    }
    let (contents, health) = stop(recorder);
    let names = names(&contents);
    let sampled = 200 - health.unsampled;
    assert!((20..180).contains(&sampled), "{sampled}");
    assert_eq!(names, [("by hand", sampled), ("inner", 2 * sampled), ("outer", sampled)].into());
    let instants = contents.instants().count() as u64;
    assert_eq!(instants, sampled, "what happens in a scope goes with it");
}

static_span_desc!(BY_HAND, "by hand");

#[test]
fn a_future_in_a_scope_is_a_root_of_its_own() {
    let _turn = exclusive();
    let recorder = in_memory().sampling(Sampling::NONE).start().unwrap();
    {
        span_scope!("outer");
        recorder.set_sampling(Sampling::ALL);
        run(span_async_named!("future", async {
            span_scope!("in the future");
        }));
        span_scope!("beside it");
        instant!("beside it");
    }
    {
        span_scope!("later");
        span_scope!("in it");
    }
    let (contents, health) = stop(recorder);
    assert_eq!(names(&contents), [("future", 1), ("in it", 1), ("in the future", 1), ("later", 1)].into());
    assert_eq!((health.unsampled, contents.instants().count()), (1, 0));
}

#[test]
fn what_is_open_goes_on_as_it_began() {
    let _turn = exclusive();
    let recorder = in_memory().start().unwrap();
    let mut recorded = pin!(span_async_named!("recorded", async {
        give_way().await;
        run(span_async_named!("in it", async {}));
    }));
    assert!(poll_once(recorded.as_mut()).is_pending());
    assert!(spanring::set_sampling(Sampling::NONE));
    let mut left_out = pin!(span_async_named!("left out", async {
        give_way().await;
        run(span_async_named!("in what is left out", async {}));
    }));
    assert!(poll_once(left_out.as_mut()).is_pending());
    assert!(poll_once(recorded.as_mut()).is_ready());
    assert!(spanring::set_sampling(Sampling::ALL));
    assert!(poll_once(left_out.as_mut()).is_ready());
    run(span_async_named!("after", async {}));
    let (contents, health) = stop(recorder);
    assert_eq!(names(&contents), [("after", 1), ("in it", 1), ("recorded", 1)].into());
    assert_eq!(health.unsampled, 1);
    assert!(!spanring::set_sampling(half()), "nothing is recorded that could be sampled");
}

#[test]
fn a_root_that_one_recording_left_out_is_none_in_the_next() {
    let _turn = exclusive();
    let first = in_memory().sampling(Sampling::NONE).start().unwrap();
    let mut root = pin!(span_async_named!("root", async {
        give_way().await;
        run(span_async_named!("in it", async {
            current_span().record("key", 1);
        }));
        span_scope!("in it");
    }));
    assert!(poll_once(root.as_mut()).is_pending());
    stop(first);
    let second = in_memory().start().unwrap();
    assert!(poll_once(root.as_mut()).is_ready());
    run(span_async_named!("after", async {}));
    let (contents, health) = stop(second);
    assert_eq!(names(&contents), [("after", 1)].into());
    assert_eq!((contents.summary.records, health.unsampled, health.sampling), (2, 0, Sampling::ALL));
}

#[test]
fn a_future_wrapped_while_nobody_recorded_is_sampled_when_it_is_polled() {
    let _turn = exclusive();
    static_span_desc!(EARLY, "early");
    let early = || async { give_way().await }.instrument(&EARLY);
    let (first, second) = (early(), early());
    let recorder = in_memory().sampling(Sampling::NONE).start().unwrap();
    let (mut first, mut second) = (pin!(first), pin!(second));
    assert!(poll_once(first.as_mut()).is_pending());
    recorder.set_sampling(Sampling::ALL);
    assert!(poll_once(second.as_mut()).is_pending());
    assert!(poll_once(first).is_ready() && poll_once(second).is_ready());
    let (contents, health) = stop(recorder);
    assert_eq!((names(&contents), health.unsampled), ([("early", 1)].into(), 1));
}

#[test]
fn a_span_begun_by_hand_lets_those_in_it_know() {
    let _turn = exclusive();
    let recorder = in_memory().sampling(Sampling::NONE).start().unwrap();
    let open = OpenSpan::begin(&BY_HAND, SpanContext::none()).expect("it is not refused");
    assert_eq!(open.span().id(), None);
    open.span().record("key", 1);
    open.context().enter(|| run(span_async_named!("in it", async {})));
    let id = on_begin_async_scope(&BY_HAND, 0, 0);
    let inner = on_begin_async_scope(&BY_HAND, id, 1);
    on_end_async_scope(inner, id, &BY_HAND, 1);
    on_end_async_scope(id, 0, &BY_HAND, 0);
    recorder.set_sampling(Sampling::ALL);
    open.context().enter(|| run(span_async_named!("in it", async {})));
    open.end(Outcome::Failed, 2);
    let (contents, health) = stop(recorder);
    assert_eq!((contents.summary.records, health.unsampled), (0, 2));
}

#[test]
fn what_a_process_counts_is_no_span_s() {
    let _turn = exclusive();
    let recorder = in_memory().sampling(Sampling::NONE).start().unwrap();
    run(span_async_named!("root", async { counter!("queued", 3) }));
    let (contents, _) = stop(recorder);
    let counters: Vec<u64> = contents.counters().map(|counter| counter.span_id).collect();
    assert_eq!(counters, [0], "a counter goes on, in no span");
}

#[test]
fn a_share_is_a_number_from_0_to_1() {
    let shown = |share: f64| Sampling::share(share).to_string();
    assert_eq!([0.0, 0.01, 0.25, 1.0].map(shown), ["0", "0.01", "0.25", "1"]);
    assert_eq!([-1.0, 2.0, f64::NAN, f64::INFINITY].map(shown), ["0", "1", "1", "1"]);
    assert_eq!("0.01".parse(), Ok(Sampling::share(0.01)));
    for wrong in ["", "2", "-0.1", "NaN", "1 %", "one"] {
        let error = wrong.parse::<Sampling>().unwrap_err().to_string();
        assert_eq!(error, format!("{wrong:?} is no share of the root spans: write a number from 0 to 1, such as 0.01"));
    }
}

#[test]
#[cfg_attr(miri, ignore = "starts processes")]
fn the_environment_has_the_last_word() {
    const TEST: &str = "the_environment_has_the_last_word";
    if let Some(part) = part() {
        match in_memory().sampling(half()).start() {
            Ok(recorder) => {
                (0..3).for_each(|_| run(span_async_named!("root", async {})));
                let share = recorder.health().sampling;
                say(format!("{} of {share}", stop(recorder).0.spans().count() / 2));
            }
            Err(error) => {
                assert!(matches!(error, StartError::SamplingVariable(_)));
                say(format!("{}: {error}", part.name));
            }
        }
        return;
    }
    let _turn = exclusive();
    let directory = tempfile::tempdir().unwrap();
    let said = |text: &str| {
        let mut player = Player::start_with(TEST, "child", directory.path(), &[("SPANRING_SAMPLING", text)]);
        let said = player.hear();
        assert!(player.wait().success());
        said
    };
    assert_eq!(said("0"), "0 of 0");
    assert_eq!(said("1.0"), "3 of 1");
    let wrong = said("10%");
    assert!(wrong.starts_with("child: in the environment variable SPANRING_SAMPLING, \"10%\" is no share"), "{wrong}");
}

#[test]
#[cfg_attr(miri, ignore = "writes files")]
fn a_recording_tells_what_was_left_out_of_it_from_the_start() {
    let _turn = exclusive();
    let directory = tempfile::tempdir().unwrap();
    let builder = Recorder::builder().directory(directory.path());
    let recorder = builder.filter("med".parse().unwrap()).sampling(Sampling::share(0.01)).start().unwrap();
    let path = recorder.directory().unwrap().to_owned();
    recorder.stop().unwrap();
    let recording = spanring::reader::Recording::open(&path).unwrap();
    assert_eq!((recording.facts().filter.as_str(), recording.facts().sampling.as_str()), ("med", "0.01"));
}
