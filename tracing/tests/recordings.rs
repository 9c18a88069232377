//! Recorders that start and stop while spans are open, and what stands in recordings beside spans.

use spanring::levels::Verbosity;
use spanring::reader::{Event, Outcome, Phase, Recording, Value};
use spanring::{Recorder, RecorderGuard};
use spanring_tracing::SpanringLayer;
use std::collections::BTreeMap;
use std::sync::{Mutex, MutexGuard, PoisonError};
use tracing::{Level, debug, debug_span, error, error_span, info, info_span, trace_span, warn, warn_span};
use tracing_subscriber::prelude::*;

/// One recorder runs per process at a time: the tests take turns.
fn exclusive() -> MutexGuard<'static, ()> {
    static TURN: Mutex<()> = Mutex::new(());
    TURN.lock().unwrap_or_else(PoisonError::into_inner)
}

fn under<R>(layer: SpanringLayer, f: impl FnOnce() -> R) -> R {
    tracing::subscriber::with_default(tracing_subscriber::registry().with(layer), f)
}

fn start() -> RecorderGuard {
    Recorder::builder().memory().start().unwrap()
}

/// A recording, after its end.
fn stop(recorder: RecorderGuard) -> Recording {
    let memory = recorder.memory().unwrap().clone();
    assert_eq!(recorder.stop().unwrap().lost, 0);
    Recording::from_segment(&memory.bytes()).unwrap()
}

/// A line for each record of a span or an instant, with the name of its parent, and for each attribute.
fn lines(recording: &Recording) -> Vec<String> {
    let mut names: BTreeMap<u64, String> = BTreeMap::new();
    let mut lines = Vec::new();
    let read = recording.read(&mut |event: Event<'_>| match event {
        Event::Span(span) => {
            names.insert(span.span_id, span.name.to_owned());
            let parent = names.get(&span.parent_span_id).map(String::as_str).unwrap_or("-");
            let what = match (span.phase, span.outcome) {
                (Phase::End, Some(outcome)) => outcome.to_string(),
                _ => "begins".to_owned(),
            };
            lines.push(format!("{} in {parent} {what}", span.name));
        }
        Event::Instant(instant) => {
            names.insert(instant.id, instant.name.to_owned());
            let parent = names.get(&instant.parent_span_id).map(String::as_str).unwrap_or("-");
            lines.push(format!("{} in {parent} with {}", instant.name, instant.attributes));
        }
        Event::Attribute(attribute) => {
            let of = names.get(&attribute.span_id).map(String::as_str).unwrap_or("-");
            lines.push(format!("{of}: {}={}", attribute.key, attribute.value));
        }
        Event::Loss(loss) => panic!("{} records were lost", loss.records),
        _ => {}
    });
    read.unwrap();
    lines
}

#[test]
fn a_span_belongs_to_the_recording_in_which_it_was_made() {
    let _turn = exclusive();
    let (first, second) = under(spanring_tracing::layer(), || {
        let unrecorded = info_span!("unrecorded", early = 1);
        let recorder = start();
        let across = unrecorded.in_scope(|| info_span!("across"));
        across.in_scope(|| info_span!("child").in_scope(|| {}));
        unrecorded.record("early", 2);
        let first = stop(recorder);
        // While nobody records, all goes on, and nothing is kept.
        across.in_scope(|| info_span!("between").in_scope(|| {}));
        let recorder = start();
        across.in_scope(|| info_span!("later child").in_scope(|| {}));
        across.record("late", 1);
        info_span!(parent: &unrecorded, "of nobody").in_scope(|| {});
        drop((across, unrecorded));
        info_span!("last").in_scope(|| {});
        let health = recorder.health();
        assert_eq!(health.stray_ends, 1, "the end of `across`");
        (first, stop(recorder))
    });
    let of_first = ["across in - begins", "child in across begins", "child in across completed"];
    assert_eq!(lines(&first), of_first);
    let of_second = ["later child", "of nobody", "last"]
        .iter()
        .flat_map(|name| [format!("{name} in - begins"), format!("{name} in - completed")]);
    assert_eq!(lines(&second), of_second.collect::<Vec<_>>());
}

#[test]
fn while_the_recorder_is_paused_spans_go_on_and_none_begins() {
    let _turn = exclusive();
    let recording = under(SpanringLayer::new().record_events(true), || {
        let recorder = start();
        let (open, ended) = (info_span!("open"), info_span!("ended"));
        recorder.pause();
        ended.in_scope(|| {
            info_span!("between").in_scope(|| {});
            info!("not kept");
            error!(error = "broken", "not kept either, but for what it says of its span");
        });
        drop(ended);
        recorder.resume();
        open.in_scope(|| drop(info_span!("after")));
        drop(open);
        stop(recorder)
    });
    let expected = [
        "open in - begins",
        "ended in - begins",
        "ended: error=broken",
        "ended in - failed",
        "after in open begins",
        "after in open completed",
        "open in - completed",
    ];
    assert_eq!(lines(&recording), expected);
}

#[test]
fn the_recorder_s_own_filter_holds_for_spans_of_tracing() {
    let _turn = exclusive();
    let recording = under(spanring_tracing::layer(), || {
        let filter = "noisy=off,name:unwanted=off".parse().unwrap();
        let recorder = Recorder::builder().memory().filter(filter).start().unwrap();
        let outer = info_span!("outer").entered();
        let unwanted = info_span!("unwanted", field = 1).entered();
        info_span!(target: "noisy", "noise").in_scope(|| drop(info_span!("inner")));
        drop((unwanted, outer));
        stop(recorder)
    });
    let expected = ["outer in - begins", "inner in outer begins", "inner in outer completed", "outer in - completed"];
    assert_eq!(lines(&recording), expected);
}

#[test]
fn without_a_recorder_nothing_is_recorded_and_nothing_fails() {
    let _turn = exclusive();
    under(SpanringLayer::new().record_events(true), || {
        let span = info_span!("span", field = 1);
        let _entered = span.enter();
        error!("to nobody");
        span.record("field", 2);
    });
    assert!(!spanring::is_recording());
}

#[test]
fn events_are_instants_if_asked_for() {
    let _turn = exclusive();
    let work = || {
        let recorder = start();
        let outer = info_span!("outer");
        let other = info_span!("other");
        outer.in_scope(|| {
            info!(rows = 3, "found {} rows", 3);
            warn!(parent: &other, "said of other");
            debug!(parent: None, "said of nothing");
            debug!(only = "fields");
            error!(error = "broken", "it failed");
        });
        drop((outer, other));
        lines(&stop(recorder))
    };
    let events = |line: &String| line.contains(" with ") || line.contains(": ");
    let spans = under(spanring_tracing::layer(), work);
    let kept: Vec<String> = spans.into_iter().filter(events).collect();
    assert_eq!(kept, ["outer: error=broken"]);
    let all: Vec<String> = under(SpanringLayer::new().record_events(true), work).into_iter().filter(events).collect();
    let nameless = all[7].split(" in ").next().unwrap().to_owned();
    assert!(nameless.starts_with("event ") && nameless.contains("recordings.rs"), "{nameless}");
    let expected = [
        "found 3 rows in outer with 2",
        "found 3 rows: level=INFO",
        "found 3 rows: rows=3",
        "said of other in other with 1",
        "said of other: level=WARN",
        "said of nothing in - with 1",
        "said of nothing: level=DEBUG",
        &format!("{nameless} in outer with 2"),
        &format!("{nameless}: level=DEBUG"),
        &format!("{nameless}: only=fields"),
        "it failed in outer with 2",
        "it failed: level=ERROR",
        "it failed: error=broken",
        "outer: error=broken",
    ];
    assert_eq!(all.len(), expected.len(), "{all:#?}");
    assert_eq!(all, expected);
}

#[test]
fn levels_are_levels_of_detail_and_values_keep_their_types() {
    let _turn = exclusive();
    let recording = under(spanring_tracing::layer(), || {
        let recorder = start();
        drop([
            error_span!("ERROR"),
            warn_span!("WARN"),
            info_span!("INFO"),
            debug_span!("DEBUG"),
            trace_span!("TRACE"),
        ]);
        drop(info_span!("INFO", yes = true, minus = -1, plus = 1_u8, half = 0.5, text = "text"));
        stop(recorder)
    });
    let (mut levels, mut values, mut ends) = (BTreeMap::new(), Vec::new(), 0);
    let read = recording.read(&mut |event: Event<'_>| match event {
        Event::Span(span) => {
            ends += usize::from(span.outcome == Some(Outcome::Completed));
            levels.insert(span.name.to_owned(), span.location.unwrap().lod);
        }
        Event::Attribute(attribute) => values.push(match attribute.value {
            Value::Bool(_) => "bool",
            Value::I64(_) => "i64",
            Value::U64(_) => "u64",
            Value::F64(_) => "f64",
            Value::Text(..) => "text",
            Value::Unknown(..) => "unknown",
        }),
        _ => {}
    });
    read.unwrap();
    assert_eq!(ends, 6);
    assert_eq!(values, ["bool", "i64", "u64", "f64", "text"]);
    for (level, detail) in [
        (Level::ERROR, Verbosity::Min),
        (Level::WARN, Verbosity::Min),
        (Level::INFO, Verbosity::Med),
        (Level::DEBUG, Verbosity::Max),
        (Level::TRACE, Verbosity::Max),
    ] {
        assert_eq!(levels[level.as_str()], detail as u8, "{level}");
    }
}
