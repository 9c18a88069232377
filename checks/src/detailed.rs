//! The cases about what is known beside spans: attributes, instants and counters.

use crate::cases::{runtime, start, wait_for_the_end};
use crate::truth::{Span, Truth};
use spanring::events::MAX_RUN_TIME_NAME;
use spanring::prelude::*;
use spanring::reader::LossCause;
use spanring::spans::StaticText;
use std::error::Error;
use std::path::Path;
use std::sync::Arc;
use std::time::Duration;
use tokio::sync::{Barrier, Notify};
use tokio::time::sleep;

/// Keys, and texts, that are hard to write down.
const HARD: [&str; 18] = [
    "",
    " ",
    "\"",
    "\\",
    "\\\"",
    "\n",
    "two\r\nlines",
    "\u{1}\u{7f}",
    "a.b",
    "a[0]",
    "a]b[",
    "{\"json\": [null]}",
    "名前",
    "\u{1F980}",
    "\u{10FFFF}",
    "span_id",
    "thread.id",
    "spanring.outcome",
];

/// Of every type, every key, and every way to be recorded.
pub fn attributes(recording: &Path) -> Result<(), Box<dyn Error>> {
    let recorder = start(recording, |builder| builder)?;
    let runtime = runtime(2)?;
    runtime.block_on(async {
        numbers().await;
        hard_texts().await;
        from_elsewhere().await;
        let requests: Vec<_> = (0..30_u64).map(|number| tokio::spawn(request(number))).collect();
        for (number, request) in requests.into_iter().enumerate() {
            if number % 3 == 1 {
                sleep(Duration::from_millis(1)).await;
                request.abort();
            }
            let _ = request.await;
        }
    });
    drop(runtime);
    outside();
    recorder.stop()?;
    Ok(())
}

pub fn are_attributes(truth: &Truth) -> bool {
    let has = |of: &str| truth.count(|span| span.attributes.values().any(|value| value.of == of)) > 0;
    let is_detailed = |span: &Span| !span.attributes.is_empty();
    ["bool", "i64", "u64", "f64", "text"].into_iter().all(has)
        && truth.count(|span| span.attributes.values().any(|value| value.cut)) == 1
        && ["failed", "cancelled"].iter().all(|end| truth.count(|s| s.outcome == *end && is_detailed(s)) >= 10)
        && truth.count(|span| span.kind == "thread" && is_detailed(span)) > 0
        && truth.count(|span| span.attributes.get("key").is_some_and(|value| value.value == "the last")) == 1
        && truth.instants().filter(|instant| instant.parent == 0).count() >= 4
        && truth.instants().filter(|instant| instant.parent != 0 && !instant.attributes.is_empty()).count() >= 30
        && truth.counters().filter(|counter| counter.parent == 0).count() >= 4
        && truth.counters().filter(|counter| counter.parent != 0).count() >= 30
}

async fn numbers() {
    instrument_named!(async {}, "integers", least = i64::MIN, most = u64::MAX, negative = -1, zero = 0_u8).await;
    let safe = 1_u64 << 53;
    instrument_named!(async {}, "large integers", a = safe - 1, b = safe + 1, c = i64::MAX, d = 1_u64 << 63).await;
    instrument_named!(async {}, "no numbers", not = f64::NAN, above = f64::INFINITY, below = f64::NEG_INFINITY).await;
    instrument_named!(
        async {},
        "fractions",
        f = 0.1,
        whole = 3.0,
        zero = -0.0,
        least = f64::MIN_POSITIVE,
        most = f64::MAX
    )
    .await;
    instrument_named!(async {}, "truths", yes = true, no = false, none = None::<u32>, some = Some(0.5_f32)).await;
}

async fn hard_texts() {
    let all = async {
        for key in HARD {
            current_span().record(key, key.to_owned());
        }
        for key in HARD {
            instant!(key, text = key);
        }
    };
    instrument_named!(all, "hard texts").await;
    let long: &'static str = "0123456789abcdef".repeat(MAX_RUN_TIME_NAME / 8).leak();
    let crab = format!("x{}", "\u{1F980}".repeat(100));
    let just = long[..MAX_RUN_TIME_NAME].to_owned();
    let over = long[..=MAX_RUN_TIME_NAME].to_owned();
    let texts = async {
        instant!("long texts", crab = crab.clone(), fixed = StaticText(long));
    };
    instrument_named!(texts, "long texts", just = just, over = over, crab = crab.clone(), fixed = StaticText(long))
        .await;
}

/// What is recorded of a span by others, and more than once.
async fn from_elsewhere() {
    let outer = async {
        let span = current_span();
        span.record("key", "the first").record("other", 1);
        let elsewhere = std::thread::spawn(move || {
            span.record("key", 2_u64).record("from", "elsewhere");
        });
        elsewhere.join().expect("it records");
        span.record("key", "the last");
        instrument_named!(async { span.record("by its child", true) }, "child").await;
    };
    instrument_named!(outer, "known by others", key = 0).await;
}

async fn request(number: u64) {
    let request = async {
        counter!("in flight", number);
        counter!("load", number as f64 / 7.0);
        instant!("begun", number = number, even = number % 2 == 0);
        let (left, right) = (part("left", number), part("right", number));
        // Both are polled by this task, so that what happens here happens while they are open.
        let both = async { tokio::join!(left, right) };
        tokio::join!(both, async {
            tokio::task::yield_now().await;
            instant!("between", number = number);
        });
        if number % 3 == 1 {
            std::future::pending::<()>().await;
        }
        if number % 3 == 2 { Err(()) } else { Ok(()) }
    };
    let _ = instrument_named!(request, format!("request {number}"), user.id = number, err).await;
}

async fn part(side: &'static str, number: u64) {
    instrument_named!(
        async {
            {
                let guard = span_guard!("prepare", side = side);
                instant!("in a scope", side = side);
                guard.record("prepared", number);
            }
            tokio::task::yield_now().await;
        },
        "part",
        side = side
    )
    .await;
}

/// In no span at all.
fn outside() {
    instant!("alone");
    instant!(format!("alone, number {}", 2), truth = true, text = "\"\n\u{1F980}");
    for value in [0, -1, i64::MIN, i64::MAX, (1 << 53) + 1] {
        counter!("signed \"\n\u{1F980}", value);
    }
    for value in [0, u64::MAX, (1 << 63) + 1] {
        counter!("unsigned", value);
    }
    for value in [0.1, -0.0, f64::MIN_POSITIVE, f64::MAX, f64::INFINITY, f64::NEG_INFINITY, f64::NAN] {
        counter!("floating", value);
    }
    let on_a_thread = || {
        instant!("on a thread without a name");
        span_scope!("a scope", attribute = 1);
        instant!("in a scope of no async span", depth = 1);
        counter!("in a scope", 1);
    };
    std::thread::scope(|scope| drop(scope.spawn(on_a_thread).join()));
}

/// More than the ring has room for: of any span and instant, any record may be missing.
pub fn some_are_lost(recording: &Path) -> Result<(), Box<dyn Error>> {
    let recorder = start(recording, |builder| builder.ring_bytes(4096).flush_interval(Duration::from_millis(5)))?;
    let runtime = tokio::runtime::Builder::new_current_thread().enable_time().build()?;
    runtime.block_on(async {
        for round in 0..20 {
            for number in 0..60_u64 {
                let inside = async {
                    current_span().record("later", number);
                    instant!("instant", number = number, round = round);
                    counter!("counter", number);
                };
                instrument_named!(inside, "one of many", number = number, text = format!("text {number}")).await;
            }
            sleep(Duration::from_millis(7)).await;
        }
    });
    recorder.stop()?;
    Ok(())
}

pub fn are_some_lost(truth: &Truth) -> bool {
    truth.lost(LossCause::Dropped) > 0
        && truth.count(|span| span.attributes.len() == 3) > 0
        && truth.count(|span| span.attributes.len() < 3) > 0
}

/// A service that is killed while it knows something of what it does.
pub fn killed(recording: &Path) -> Result<(), Box<dyn Error>> {
    let _recorder = start(recording, |builder| builder)?;
    let runtime = runtime(2)?;
    let stuck = Arc::new(Notify::new());
    let begun = Arc::new(Barrier::new(5));
    for number in 0..4_u64 {
        let (stuck, begun) = (stuck.clone(), begun.clone());
        let request = async move {
            current_span().record("step", "waiting").record("progress", 0.5);
            instant!("begun", number = number);
            counter!("stuck", number);
            span_async_named!("wait for a lock", lock = "a \"lock\"", async {
                begun.wait().await;
                stuck.notified().await;
            })
            .await;
        };
        runtime.spawn(instrument_named!(request, format!("GET /{number}"), number = number));
    }
    runtime.block_on(begun.wait());
    let _scope = span_guard!("an open scope", depth = 1);
    instant!("the last");
    wait_for_the_end()
}

pub fn is_killed(truth: &Truth) -> bool {
    truth.count(|span| span.duration_ns.is_none() && !span.attributes.is_empty()) == 9
        && truth.instants().filter(|instant| instant.parent != 0).count() == 4
        && truth.instants().filter(|instant| instant.parent == 0).count() == 1
        && truth.counters().count() == 4
}
