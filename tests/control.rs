//! What is recorded is chosen while the program runs.

#![cfg(feature = "enable")]

mod common;

use common::child::{Player, part, say};
use common::{Contents, NEVER, exclusive, give_way, poll_once, run};
use spanring::levels::Verbosity;
use spanring::prelude::*;
use spanring::reader::Phase;
use spanring::{Builder, Filter, Recorder, RecorderGuard, StartError};
use std::pin::pin;

fn in_memory() -> Builder {
    Recorder::builder().memory().flush_interval(NEVER)
}

/// Stops, and returns what was recorded.
fn contents_of(recorder: RecorderGuard) -> Contents {
    let memory = recorder.memory().unwrap().clone();
    recorder.stop().unwrap();
    let contents = Contents::of_memory(&memory.bytes());
    contents.check_whole();
    contents
}

/// The names of the spans that began, in that order.
fn names_of(contents: &Contents) -> Vec<&str> {
    let begins = contents.spans().filter(|record| record.phase == Phase::Begin);
    begins.map(|record| record.name.as_str()).collect()
}

fn span(name: &'static str) {
    run(span_async_named!(name, async {}));
}

#[test]
fn while_it_is_paused_no_span_begins_and_no_name_is_evaluated() {
    let _turn = exclusive();
    let recorder = in_memory().start().unwrap();
    span("before");
    recorder.pause();
    assert!(!spanring::is_recording());
    span("meanwhile");
    run(span_async_named!(String::from(unreachable_name()), async {}));
    {
        span_scope!("meanwhile");
        span_scope_named!("meanwhile");
    }
    recorder.resume();
    assert!(spanring::is_recording());
    span("after");
    assert_eq!(names_of(&contents_of(recorder)), ["before", "after"]);
}

fn unreachable_name() -> &'static str {
    panic!("a name is evaluated only while somebody records")
}

#[test]
fn spans_that_are_open_at_a_pause_end_and_what_they_make_later_are_their_children() {
    let _turn = exclusive();
    let recorder = in_memory().start().unwrap();
    let mut outer = pin!(span_async_named!("outer", async {
        give_way().await;
        span("meanwhile");
        instant!("meanwhile");
        counter!("meanwhile", 1);
        current_span().record("while paused", true);
        give_way().await;
        span("after");
    }));
    assert!(poll_once(outer.as_mut()).is_pending());
    let mut dropped = Box::pin(span_async_named!("dropped", give_way()));
    assert!(poll_once(dropped.as_mut()).is_pending());
    let id = spanring::dispatch::on_begin_async_scope(&BY_HAND, 0, 0);
    {
        span_scope!("scope");
        recorder.pause();
    }
    spanring::dispatch::on_end_async_scope(id, 0, &BY_HAND, 0);
    drop(dropped);
    assert!(poll_once(outer.as_mut()).is_pending());
    recorder.resume();
    assert!(poll_once(outer.as_mut()).is_ready());

    let contents = contents_of(recorder);
    assert_eq!(names_of(&contents), ["outer", "dropped", "by hand", "scope", "after"]);
    assert_eq!(contents.spans().filter(|record| record.phase == Phase::End).count(), 5);
    let (outer, _) = contents.span("outer");
    let (after, _) = contents.span("after");
    assert_eq!((after.parent, after.depth), (outer.span_id, 1));
    assert_eq!(contents.attributes(outer.span_id).len(), 1, "an open span takes attributes during a pause");
}

static_span_desc!(BY_HAND, "by hand");

#[test]
fn a_future_wrapped_during_a_pause_stands_in_no_span() {
    let _turn = exclusive();
    static_span_desc!(STATIC, "static");
    let recorder = in_memory().start().unwrap();
    run(span_async_named!("outer", async {
        recorder.pause();
        let early = async {}.instrument(&STATIC);
        recorder.resume();
        early.await;
    }));
    let contents = contents_of(recorder);
    let (begin, end) = contents.span("static");
    assert_eq!((begin.parent, begin.depth, end.parent), (0, 0, 0));
}

#[test]
fn the_health_says_that_it_is_paused() {
    let _turn = exclusive();
    assert!(!spanring::pause(), "there is nothing to pause");
    let recorder = in_memory().start().unwrap();
    assert!(spanring::pause());
    let health = recorder.health();
    assert_eq!((health.recording, health.paused, health.is_good()), (false, true, false));
    assert!(health.to_string().starts_with("paused: "));
    assert!(spanring::resume());
    let health = recorder.health();
    assert_eq!((health.recording, health.paused), (true, false));
    recorder.pause();
    let health = recorder.stop().unwrap();
    assert_eq!((health.recording, health.paused), (false, false));
}

#[test]
fn a_recorder_that_is_started_after_a_paused_one_records() {
    let _turn = exclusive();
    let first = in_memory().start().unwrap();
    first.pause();
    drop(first);
    let second = in_memory().start().unwrap();
    span("span");
    assert_eq!(names_of(&contents_of(second)), ["span"]);
}

fn filter(text: &str) -> Filter {
    text.parse().unwrap()
}

mod db {
    use super::*;

    pub fn query(name: &'static str) {
        span(name);
        run(span_async_named!(name, async {}));
        run(span_async_named!(format!("run-time {name}"), async {}));
        span_scope_named!(name);
        instant!("instant");
    }
}

#[test]
fn spans_that_the_filter_refuses_leave_nothing_however_often_they_are_made() {
    let _turn = exclusive();
    let recorder = in_memory().filter(filter("control::db=off")).start().unwrap();
    (0..3).for_each(|_| db::query("query"));
    run(span_async_named!("outside", async {}));
    // The first one of each call to `query` is made by a function outside of the module.
    assert_eq!(names_of(&contents_of(recorder)), ["query", "query", "query", "outside"]);
}

#[test]
fn what_is_made_in_a_refused_span_is_a_child_of_the_span_around_it() {
    let _turn = exclusive();
    let recorder = in_memory().filter(filter("name:middle=off")).start().unwrap();
    run(span_async_named!(
        "outer",
        span_async_named!("middle", async {
            give_way().await;
            span_scope!("middle");
            span_scope!("scope");
            run(span_async_named!("inner", async {}));
        })
    ));
    let contents = contents_of(recorder);
    assert_eq!(names_of(&contents), ["outer", "scope", "inner"]);
    let (outer, _) = contents.span("outer");
    let (inner, _) = contents.span("inner");
    assert_eq!((inner.parent, inner.depth), (outer.span_id, 1));
    let (scope, _) = contents.span("scope");
    assert_eq!((scope.parent, scope.depth), (outer.span_id, 0));
}

#[test]
fn a_level_is_that_of_the_place() {
    let _turn = exclusive();
    static_span_desc!(ALWAYS, "always", Verbosity::Min);
    static_span_desc!(OFTEN, "often", Verbosity::Med);
    static_span_desc!(DETAIL, "detail");
    static_span_location!(HERE, Verbosity::Min);
    let recorder = in_memory().start().unwrap();
    for level in ["off", "min", "med", "max"] {
        recorder.set_filter(filter(level));
        [&ALWAYS, &OFTEN, &DETAIL].into_iter().for_each(|site| run(async {}.instrument(site)));
        run(async {}.instrument_named(&HERE, level));
        run(span_async_named!("macro", async {}));
    }
    let contents = contents_of(recorder);
    let expected =
        [&["always", "min"][..], &["always", "often", "med"], &["always", "often", "detail", "max", "macro"]];
    assert_eq!(names_of(&contents), expected.concat());
}

#[test]
fn what_no_rule_can_bring_back_is_refused_by_its_level() {
    let _turn = exclusive();
    static_span_desc!(WANTED, "wanted", Verbosity::Med);
    static_span_location!(HERE, Verbosity::Min);
    let recorder = in_memory().filter(filter("med,elsewhere=off")).start().unwrap();
    let make_all = || {
        run(async {}.instrument(&WANTED));
        run(async {}.instrument_named(&HERE, "here"));
        span("one of all");
        span_scope!("scope");
        span_scope_named!("another scope");
    };
    make_all();
    run(span_async_named!(String::from(unreachable_name()), async {}));
    span_scope_named!(String::from(unreachable_name()));
    recorder.set_filter(filter("min,name:\"one of all\"=max"));
    make_all();
    recorder.set_filter(filter("off"));
    make_all();
    assert_eq!(names_of(&contents_of(recorder)), ["wanted", "here", "here", "one of all"]);
}

#[test]
fn what_is_refused_whatever_its_name_is_not_even_named_again() {
    let _turn = exclusive();
    let evaluated = std::cell::Cell::new(0);
    let name = |name: &str| {
        evaluated.set(evaluated.get() + 1);
        name.to_owned()
    };
    let make_all = || {
        run(span_async_named!(name("future"), async {}));
        run(span_async_named!(name("with attribute"), number = 1, async {}));
        span_scope_named!(name("scope"));
        span_scope_named!(name("scope with attribute"), number = 1);
        instant!(name("instant"));
    };
    let recorder = in_memory().filter(filter("control=off")).start().unwrap();
    // Once, since nobody has asked yet; a scope and an instant ask before.
    let counts = |text: &str| {
        recorder.set_filter(filter(text));
        let count = || {
            make_all();
            evaluated.take()
        };
        (count(), count())
    };
    assert_eq!(counts("control=off"), (2, 0));
    assert_eq!(counts(""), (5, 5));
    assert_eq!(counts("control=off,name:other=off"), (2, 0), "no name brings it back");
    assert_eq!(counts("control=off,name:other=max"), (5, 5), "that depends on the name");
    assert_eq!(counts("control=off,name:instant=max"), (5, 5));
    let contents = contents_of(recorder);
    let all = ["future", "with attribute", "scope", "scope with attribute"];
    assert_eq!(names_of(&contents), [all, all].concat());
}

#[test]
fn a_site_asks_again_whenever_the_filter_is_another_one() {
    let _turn = exclusive();
    let recorder = in_memory().start().unwrap();
    #[span_fn]
    async fn function() {}
    #[span_fn(fields(number = 1))]
    async fn with_attribute() {}
    #[span_fn]
    fn scope() {}
    let make_all = || {
        run(span_async_named!("literal", async {}));
        run(span_async_named!("attribute", number = 1, async {}));
        run(function());
        run(with_attribute());
        scope();
        span_scope!("static");
        span_scope_named!("scope");
    };
    let all = ["literal", "attribute", "function", "with_attribute", "scope", "static", "scope"];
    let mut expected = Vec::new();
    for (text, without) in [
        ("control=off", &all[..]),
        ("elsewhere=off", &[]),
        ("name:literal=off", &["literal"]),
        ("control=off,name:attribute=max", &["literal", "function", "with_attribute", "scope", "static"]),
        ("name:static=off,name:function=off", &["static", "function"]),
        ("control=off", &all),
        ("", &[]),
    ] {
        recorder.set_filter(filter(text));
        let kept = |name: &&&str| !without.contains(name);
        (0..2).for_each(|_| make_all());
        let made: Vec<&str> = all.iter().filter(kept).copied().collect();
        expected.extend([made.clone(), made].concat());
    }
    assert_eq!(names_of(&contents_of(recorder)), expected);
}

#[test]
fn a_filter_that_is_changed_counts_from_there_on_every_thread() {
    let _turn = exclusive();
    let recorder = in_memory().start().unwrap();
    let (ask, asked) = std::sync::mpsc::channel::<&'static str>();
    let (done, is_done) = std::sync::mpsc::channel();
    let thread = std::thread::spawn(move || {
        for name in asked {
            [name, "always"].into_iter().for_each(span);
            done.send(()).unwrap();
        }
    });
    for text in ["", "name:query=off", "", "name:query=off,name:always=max", "off", "control=max"] {
        assert!(spanring::set_filter(filter(text)));
        ask.send("query").unwrap();
        is_done.recv().unwrap();
    }
    drop(ask);
    thread.join().unwrap();
    let both = ["query", "always"];
    let expected = [&both[..], &["always"], &both, &["always"], &[], &both].concat();
    assert_eq!(names_of(&contents_of(recorder)), expected);
    assert!(!spanring::set_filter(filter("off")), "there is nothing that could be filtered");
}

#[test]
fn names_made_at_run_time_are_asked_for_one_by_one() {
    let _turn = exclusive();
    let recorder = in_memory().filter(filter("name:\"GET /health\"=off")).start().unwrap();
    for path in ["/users", "/health", "/users", "/health"] {
        run(span_async_named!(format!("GET {path}"), async {}));
        span_scope_named!(format!("GET {path}"));
    }
    assert_eq!(names_of(&contents_of(recorder)), ["GET /users"; 4]);
}

#[test]
fn the_filter_is_asked_when_a_future_is_wrapped_and_what_is_open_goes_on() {
    let _turn = exclusive();
    let recorder = in_memory().start().unwrap();
    let mut open = pin!(span_async_named!("open", async {
        give_way().await;
        span("inside");
    }));
    let wrapped = span_async_named!("wrapped", async {});
    assert!(poll_once(open.as_mut()).is_pending());
    recorder.set_filter(filter("off"));
    run(wrapped);
    let refused = span_async_named!("refused", async {});
    recorder.set_filter(filter(""));
    run(refused);
    assert!(poll_once(open.as_mut()).is_ready());
    let contents = contents_of(recorder);
    assert_eq!(names_of(&contents), ["open", "wrapped", "inside"]);
    assert_eq!(contents.spans().filter(|record| record.phase == Phase::End).count(), 3);
}

#[test]
fn a_pause_and_a_filter_do_not_undo_each_other() {
    let _turn = exclusive();
    let recorder = in_memory().filter(filter("name:first=off")).start().unwrap();
    let both = || ["first", "second"].into_iter().for_each(span);
    recorder.pause();
    both();
    recorder.set_filter(filter("name:second=off"));
    both();
    recorder.resume();
    both();
    assert_eq!(names_of(&contents_of(recorder)), ["first"]);
}

#[test]
fn spans_by_hand_and_polls_that_are_measured_are_filtered_too() {
    let _turn = exclusive();
    let recorder = in_memory().measure_polls(true).filter(filter("name:refused=off")).start().unwrap();
    static_span_location!(HERE);
    for name in ["wanted", "refused"] {
        run(span_async_named!(name, give_way()));
        let id = spanring::dispatch::on_begin_async_named_scope(&HERE, name, 0, 0);
        assert_eq!(id != 0, name == "wanted");
        spanring::dispatch::on_end_async_named_scope(id, 0, &HERE, name, 0);
        spanring::dispatch::on_begin_named_scope(&HERE, name);
        spanring::dispatch::on_end_named_scope(&HERE, name);
        span_scope_named!(name);
    }
    let contents = contents_of(recorder);
    assert_eq!(names_of(&contents), ["wanted"; 4]);
    let is_known = contents.spans().any(|record| record.phase == Phase::Begin && record.created_unix_ns.is_some());
    assert!(is_known, "when a future was made that a filter wants");
}

#[test]
fn the_filter_of_one_recorder_is_not_that_of_the_next() {
    let _turn = exclusive();
    let first = in_memory().filter(filter("off")).start().unwrap();
    assert_eq!(first.health().filter.as_deref(), Some("off"));
    drop(first);
    let second = in_memory().start().unwrap();
    assert_eq!(second.health().filter, None);
    span("span");
    assert_eq!(names_of(&contents_of(second)), ["span"]);
}

#[test]
#[cfg_attr(miri, ignore = "starts processes")]
fn the_environment_has_the_last_word() {
    const TEST: &str = "the_environment_has_the_last_word";
    if let Some(part) = part() {
        match in_memory().filter(filter("off")).start() {
            Ok(recorder) => {
                ["first", "second"].into_iter().for_each(span);
                say(format!("{:?}", names_of(&contents_of(recorder))));
            }
            Err(error) => {
                assert!(matches!(error, StartError::FilterVariable(_)));
                say(format!("{}: {error}", part.name));
            }
        }
        return;
    }
    let _turn = exclusive();
    let directory = tempfile::tempdir().unwrap();
    let said = |text: &str| {
        let mut player = Player::start_with(TEST, "child", directory.path(), &[("SPANRING_FILTER", text)]);
        let said = player.hear();
        assert!(player.wait().success());
        said
    };
    assert_eq!(said("name:first=off"), r#"["second"]"#);
    assert_eq!(said(""), r#"["first", "second"]"#);
    assert_eq!(said("off"), "[]");
    let wrong = said("first=loud");
    assert!(wrong.starts_with("child: in the environment variable SPANRING_FILTER, the filter"), "{wrong}");
    assert!(wrong.contains("byte 6"), "{wrong}");
}
