//! What goes with spans: attributes, what a span says of its output, instants and counters.

#![cfg(feature = "enable")]

mod common;

use common::{Contents, Value, exclusive, give_way, poll_once, run};
use spanring::events::MAX_RUN_TIME_NAME;
use spanring::prelude::*;
use spanring::reader::{NameState, Outcome};
use spanring::spans::StaticText;
use spanring::{Discipline, Recorder};
use std::borrow::Cow;
use std::cell::Cell;
use std::pin::pin;
use std::sync::Arc;
use std::thread;

/// Runs `work` recorded to memory.
fn recorded(work: impl FnOnce()) -> Contents {
    let _turn = exclusive();
    let recorder = Recorder::builder().memory().start().unwrap();
    let memory = recorder.memory().unwrap().clone();
    work();
    let health = recorder.stop().unwrap();
    let contents = Contents::of_memory(&memory.bytes());
    contents.check_whole();
    assert_eq!((contents.summary.records, contents.summary.unknown), (health.flushed, 0));
    contents
}

/// The attributes of the only span with this name.
fn attributes<'c>(contents: &'c Contents, name: &str) -> Vec<(&'c str, Value)> {
    contents.attributes(contents.span(name).0.span_id)
}

#[test]
fn attributes_stand_behind_the_begin_which_says_how_many_and_when() {
    let id = 7_u64;
    let contents = recorded(|| {
        run(span_async_named!("batch", batch = id, queue = "fast", user.name = "é".to_owned(), give_way()))
    });
    let (begin, end) = contents.span("batch");
    assert_eq!((begin.attributes, end.attributes, begin.polls, end.polls), (3, 0, 0, 2));
    assert_eq!(
        attributes(&contents, "batch"),
        [("batch", Value::U64(7)), ("queue", Value::text("fast")), ("user.name", Value::text("é"))]
    );
    let entries = contents
        .items
        .iter()
        .filter_map(|item| if let common::Item::Attribute(entry) = item { Some(entry) } else { None });
    for (entry, number) in entries.zip(1..) {
        assert_eq!((entry.record_number, entry.unix_ns), (begin.record_number + number, begin.unix_ns));
    }
    assert_eq!(end.record_number, begin.record_number + 4);
}

#[test]
fn a_value_may_begin_with_a_minus() {
    let (whole, part) = (3_i64, 0.5);
    let contents = recorded(|| {
        run(span_async_named!("span", literal = -1, sum = -1 + whole, of = -whole, by.part = -part, give_way()));
        instant!("instant", of = -whole);
        span_scope!("scope", of = -whole);
    });
    let expected =
        [("literal", Value::I64(-1)), ("sum", Value::I64(2)), ("of", Value::I64(-3)), ("by.part", Value::F64(-0.5))];
    assert_eq!(attributes(&contents, "span"), expected);
    assert_eq!(attributes(&contents, "scope"), [("of", Value::I64(-3))]);
}

#[test]
fn every_type_of_value_comes_back_as_what_it_was() {
    let contents = recorded(|| {
        run(async {
            let span = current_span();
            let four = &&4_u32;
            span.record("truth", true).record("i8", -1_i8).record("i64", i64::MIN).record("isize", -2_isize);
            span.record("u8", 1_u8).record("u64", u64::MAX).record("usize", 2_usize);
            span.record("f32", 0.5_f32).record("f64", -0.0_f64).record("nan", f64::INFINITY);
            span.record("static", StaticText("static")).record("borrowed", &*String::from("borrowed"));
            span.record("shared", Arc::<str>::from("shared")).record("cow", Cow::Borrowed("cow"));
            span.record("some", Some(3_u16)).record("none", None::<u16>).record("by reference", four);
            span.record("", "").record("empty", StaticText(""));
        }
        .instrument_named(&HERE, "all"));
    });
    let expected = [
        ("truth", Value::Bool(true)),
        ("i8", Value::I64(-1)),
        ("i64", Value::I64(i64::MIN)),
        ("isize", Value::I64(-2)),
        ("u8", Value::U64(1)),
        ("u64", Value::U64(u64::MAX)),
        ("usize", Value::U64(2)),
        ("f32", Value::F64(0.5)),
        ("f64", Value::F64(-0.0)),
        ("nan", Value::F64(f64::INFINITY)),
        ("static", Value::text("static")),
        ("borrowed", Value::text("borrowed")),
        ("shared", Value::text("shared")),
        ("cow", Value::text("cow")),
        ("some", Value::U64(3)),
        ("by reference", Value::U64(4)),
        ("", Value::text("")),
        ("empty", Value::text("")),
    ];
    assert_eq!(attributes(&contents, "all"), expected);
}

static_span_location!(HERE);

#[test]
fn text_is_cut_at_a_character_and_marked_where_it_is_too_long() {
    let long = "«ß∂🦀»".repeat(100);
    for length in [MAX_RUN_TIME_NAME - 1, MAX_RUN_TIME_NAME, MAX_RUN_TIME_NAME + 1, long.len()] {
        let end = (0..=length).rfind(|end| long.is_char_boundary(*end)).unwrap();
        let text = &long[..end];
        let contents = recorded(|| run(span_async_named!("long", text = text, give_way())));
        let kept = (0..=MAX_RUN_TIME_NAME.min(end)).rfind(|end| long.is_char_boundary(*end)).unwrap();
        let state = if end > MAX_RUN_TIME_NAME { NameState::Cut } else { NameState::Whole };
        assert_eq!(attributes(&contents, "long"), [("text", Value::Text(long[..kept].to_owned(), state))]);
    }
}

#[test]
fn a_thousand_different_texts_take_no_room_among_the_names() {
    let _turn = exclusive();
    let directory = tempfile::tempdir().unwrap();
    let recorder = Recorder::builder().directory(directory.path()).names_bytes(4096).start().unwrap();
    (0..1000).for_each(|number| run(span_async_named!("lookup", key = format!("user {number}"), give_way())));
    let health = recorder.stop().unwrap();
    assert_eq!(health.names_lost, 0);
    let contents = Contents::of_directory(directory.path());
    let begins = contents.named("lookup");
    let texts =
        begins.iter().filter(|record| record.outcome.is_none()).flat_map(|begin| contents.attributes(begin.span_id));
    assert!(texts.eq((0..1000).map(|number| ("key", Value::text(&format!("user {number}"))))));
}

#[test]
fn nothing_is_evaluated_while_nobody_records() {
    let _turn = exclusive();
    let evaluated = Cell::new(0);
    let value = || {
        evaluated.set(evaluated.get() + 1);
        1
    };
    let work = || {
        run(span_async_named!("span", a = value(), give_way()));
        run(instrument_named!(give_way(), "span", a = value(), |_, span| {
            span.record("b", value());
        }));
        span_scope!("scope", a = value());
        span_scope_named!("scope", a = value());
        drop(span_guard!("scope", a = value()));
        instant!("instant", a = value());
        counter!("counter", value());
    };
    work();
    assert_eq!(evaluated.get(), 0);
    let recorder = Recorder::builder().memory().start().unwrap();
    work();
    recorder.stop().unwrap();
    assert_eq!(evaluated.get(), 8);
}

#[test]
fn a_future_that_is_never_polled_leaves_no_attributes() {
    let contents = recorded(|| drop(span_async_named!("never", a = 1, give_way())));
    assert_eq!(contents.items, []);
}

#[test]
fn scopes_have_attributes_from_the_start_and_later() {
    let contents = recorded(|| {
        span_scope!("static", a = 1, b = "x");
        span_scope!(DESCRIPTION, "with its static", c = 2.5);
        span_scope_named!(format!("named {}", 1), d = true,);
        let name = String::from("run-time");
        span_scope_named_dyn!(&*name, e = 5_u8);
        let guard = span_guard!("guard", f = -6);
        guard.record("g", 7_u8).record("h", "later");
        drop(guard);
        assert_eq!(DESCRIPTION.name, "with its static");
    });
    assert_eq!(attributes(&contents, "static"), [("a", Value::I64(1)), ("b", Value::text("x"))]);
    assert_eq!(attributes(&contents, "with its static"), [("c", Value::F64(2.5))]);
    assert_eq!(attributes(&contents, "named 1"), [("d", Value::Bool(true))]);
    assert_eq!(attributes(&contents, "run-time"), [("e", Value::U64(5))]);
    let later = [("f", Value::I64(-6)), ("g", Value::U64(7)), ("h", Value::text("later"))];
    assert_eq!(attributes(&contents, "guard"), later);
}

#[test]
fn a_guard_that_fails_ends_there() {
    let contents = recorded(|| {
        let guard = span_guard!("import");
        span_scope!("around");
        guard.fail();
        instant!("after");
    });
    let (_, end) = contents.span("import");
    assert_eq!(end.outcome, Some(Outcome::Failed));
    assert!(end.record_number < contents.instants().next().unwrap().record_number);
    assert_eq!(contents.span("around").1.outcome, Some(Outcome::Completed));
}

#[test]
fn the_current_span_is_that_of_the_code_that_runs_wherever_it_runs() {
    let contents = recorded(|| {
        let mut outer = pin!(span_async_named!("outer", async {
            current_span().record("in", "outer");
            span_async_named!("inner", async {
                current_span().record("in", "inner");
                give_way().await;
                current_span().record("again", true);
            })
            .await;
            current_span().record("in", "outer again");
        }));
        assert!(poll_once(outer.as_mut()).is_pending());
        thread::scope(|scope| scope.spawn(|| assert!(poll_once(outer.as_mut()).is_ready())).join().unwrap());
    });
    let texts = |name| attributes(&contents, name);
    assert_eq!(texts("outer"), [("in", Value::text("outer")), ("in", Value::text("outer again"))]);
    assert_eq!(texts("inner"), [("in", Value::text("inner")), ("again", Value::Bool(true))]);
}

#[test]
fn a_handle_of_a_span_works_from_another_thread() {
    let contents = recorded(|| {
        run(span_async_named!("span", async {
            let span = current_span();
            assert_eq!(span.id(), current_span_id());
            let elsewhere = move || {
                span.record("from", "elsewhere").record("n", 2);
            };
            thread::spawn(elsewhere).join().unwrap();
        }));
    });
    assert_eq!(attributes(&contents, "span"), [("from", Value::text("elsewhere")), ("n", Value::I64(2))]);
}

#[test]
fn outside_of_any_span_an_attribute_goes_nowhere() {
    let contents = recorded(|| {
        assert_eq!(current_span().record("a", 1).id(), None);
        run(async { current_span().record("b", 2).id() });
    });
    assert_eq!(contents.items, []);
}

#[test]
fn a_closure_sees_the_output_and_records_before_the_end() {
    let contents = recorded(|| {
        let rows = vec![1, 2, 3];
        run(instrument_named!(async { rows }, "fetch", shard = 4, |out, span| {
            span.record("rows", out.len());
        }));
        let wanted = String::from("wanted");
        let future = instrument_named!(async { "got" }, "compare", move |out, span| {
            if *out != wanted {
                span.record("instead", *out).fail();
            }
        });
        assert_eq!(run(future), "got");
    });
    assert_eq!(attributes(&contents, "fetch"), [("shard", Value::I64(4)), ("rows", Value::U64(3))]);
    assert_eq!(attributes(&contents, "compare"), [("instead", Value::text("got"))]);
    let outcome = |name| contents.span(name).1.outcome;
    assert_eq!((outcome("fetch"), outcome("compare")), (Some(Outcome::Completed), Some(Outcome::Failed)));
    let last = contents.span("fetch").1;
    assert!(
        contents.items.iter().any(
            |item| matches!(item, common::Item::Attribute(entry) if entry.record_number + 1 == last.record_number)
        )
    );
}

#[test]
fn a_closure_that_panics_ends_the_span_as_panicked() {
    let contents = recorded(|| {
        let future = instrument_named!(async { 1 }, "span", |_, _| panic!("on purpose"));
        let result = std::panic::catch_unwind(std::panic::AssertUnwindSafe(|| run(future)));
        assert!(result.is_err());
        assert_eq!(current_span_id(), None);
    });
    assert_eq!(contents.span("span").1.outcome, Some(Outcome::Panicked));
}

#[test]
fn err_tells_a_failure_from_a_success() {
    let parse = |text: &'static str| async move { text.parse::<u32>() };
    let contents = recorded(|| {
        assert!(run(instrument_named!(parse("1"), "good", err)).is_ok());
        assert!(run(instrument_named!(parse("x"), "bad", text = "x", err,)).is_err());
        assert!(run(span_async_named!("worse", parse(""), err)).is_err());
        let worst = String::from("worst");
        assert!(run(span_async_named_dyn!(&*worst, n = 1, parse("-"), err)).is_err());
        let mut dropped = pin!(instrument_named!(std::future::pending::<Result<(), ()>>(), "dropped", err));
        assert!(poll_once(dropped.as_mut()).is_pending());
    });
    let outcome = |name| contents.span(name).1.outcome.unwrap();
    let outcomes = ["good", "bad", "worse", "worst", "dropped"].map(outcome);
    use Outcome::{Cancelled, Completed, Failed};
    assert_eq!(outcomes, [Completed, Failed, Failed, Failed, Cancelled]);
    assert_eq!(attributes(&contents, "bad"), [("text", Value::text("x"))]);
}

#[test]
fn an_instant_happens_in_the_current_span_with_its_attributes() {
    let line = line!() + 4;
    let contents = recorded(|| {
        run(span_async_named!("span", async {
            span_scope!("scope");
            instant!("cache miss", key = "user:7", size = 3_u8);
            instant!(format!("miss {}", 2));
        }));
        instant!("outside");
    });
    let (begin, end) = contents.span("span");
    let instants: Vec<_> = contents.instants().collect();
    let [first, second, third] = instants[..] else { panic!("{instants:?}") };
    assert_eq!(
        (first.name.as_str(), first.parent, first.scopes, first.attributes),
        ("cache miss", begin.span_id, 1, 2)
    );
    assert!(begin.unix_ns <= first.unix_ns && first.unix_ns <= end.unix_ns);
    assert_eq!(first.location.as_ref().map(|place| (place.file.as_str(), place.line)), Some((file!(), line)));
    assert_eq!(contents.attributes(first.id), [("key", Value::text("user:7")), ("size", Value::U64(3))]);
    assert_eq!((second.name.as_str(), second.parent, second.attributes), ("miss 2", begin.span_id, 0));
    assert_eq!((third.name.as_str(), third.parent, third.scopes), ("outside", 0, 0));
    let ids: std::collections::BTreeSet<u64> = instants.iter().map(|i| i.id).chain([begin.span_id]).collect();
    assert_eq!(ids.len(), 4);
}

#[test]
fn a_counter_is_a_value_at_a_time() {
    let contents = recorded(|| {
        counter!("queue", 3_usize);
        run(span_async_named!("span", async { counter!("queue", -1) }));
        counter!("load", 0.25);
    });
    let (begin, _) = contents.span("span");
    let counters: Vec<_> =
        contents.counters().map(|entry| (entry.key.as_str(), entry.value.clone(), entry.span_id)).collect();
    let expected =
        [("queue", Value::U64(3), 0), ("queue", Value::I64(-1), begin.span_id), ("load", Value::F64(0.25), 0)];
    assert_eq!(counters, expected);
    assert!(contents.counters().map(|entry| entry.unix_ns).is_sorted());
}

#[test]
fn attributes_are_records_like_others_where_they_are_lost() {
    for discipline in [Discipline::Drain, Discipline::Flight] {
        let _turn = exclusive();
        let builder =
            Recorder::builder().memory().ring_bytes(4096).flush_interval(common::NEVER).discipline(discipline);
        let recorder = builder.start().unwrap();
        let memory = recorder.memory().unwrap().clone();
        for number in 0..1000_u64 {
            run(span_async_named!("span", a = number, b = format!("text of some length {number}"), give_way()));
            instant!("instant", c = number);
            counter!("counter", number);
        }
        let health = recorder.stop().unwrap();
        let contents = Contents::of_memory(&memory.bytes());
        assert_eq!(contents.summary.records + contents.summary.lost, 7000, "{discipline:?}");
        assert!(health.lost > 6000 && health.lost == contents.summary.lost, "{health}");
    }
}

#[test]
fn a_span_of_an_earlier_recording_takes_no_attributes_into_the_next() {
    let _turn = exclusive();
    let first = Recorder::builder().memory().start().unwrap();
    let mut guard = Some(span_guard!("first"));
    first.stop().unwrap();
    let second = Recorder::builder().memory().start().unwrap();
    let memory = second.memory().unwrap().clone();
    guard.take().unwrap().record("late", 1);
    run(span_async_named!("second", a = 1, give_way()));
    second.stop().unwrap();
    let contents = Contents::of_memory(&memory.bytes());
    assert_eq!(attributes(&contents, "second"), [("a", Value::I64(1))]);
    assert_eq!(contents.summary.records, 3);
}
