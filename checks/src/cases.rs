//! The cases: what happens in each recording.

use crate::detailed;
use crate::gone;
use crate::traces;
use crate::truth::{Span, Truth};
use crate::zero_length;
use spanring::events::MAX_RUN_TIME_NAME;
use spanring::prelude::*;
use spanring::reader::LossCause;
use spanring::{Builder, Discipline, Recorder};
use std::error::Error;
use std::future::Future;
use std::io::Write;
use std::path::Path;
use std::pin::Pin;
use std::sync::Arc;
use std::time::Duration;
use tokio::runtime::Runtime;
use tokio::sync::{Barrier, Notify};
use tokio::time::sleep;

/// One recording.
pub struct Case {
    pub name: &'static str,
    /// Makes the recording. If the process is to die, it does not come back.
    pub record: fn(&Path) -> Result<(), Box<dyn Error>>,
    /// Recorded by a process of its own, which is killed.
    pub dies: bool,
    /// Whether the recording has what the case is about.
    pub is_one: fn(&Truth) -> bool,
}

const fn case(name: &'static str, record: fn(&Path) -> Result<(), Box<dyn Error>>, is_one: fn(&Truth) -> bool) -> Case {
    Case { name, record, dies: false, is_one }
}

/// What those panics say that are part of a case.
pub const ON_PURPOSE: &str = "on purpose";

pub const ALL: &[Case] = &[
    case("outcomes", outcomes, |truth| {
        ["completed", "cancelled", "panicked"].iter().all(|outcome| truth.count(|span| span.outcome == *outcome) >= 20)
            && truth.count(|span| span.outcome == "panicked" && span.kind == "thread") > 0
            && truth.count(|span| span.begin_thread != span.end_thread) > 0
    }),
    case("open", open, |truth| {
        truth.count(|span| span.duration_ns.is_none()) == 13
            && truth.count(|span| span.duration_ns.is_none() && span.kind == "thread") == 3
    }),
    case("dropped", dropped, |truth| truth.lost(LossCause::Dropped) > 0),
    case("overwritten", overwritten, |truth| {
        truth.lost(LossCause::Overwritten) > 0
            && truth.count(|span| span.name == "open all the time" && span.duration_ns.is_none()) == 1
            && truth.count(|span| span.name == "ends late" && span.duration_ns.is_some()) == 1
    }),
    case("retired", retired, |truth| {
        truth.lost(LossCause::Retired) > 0 && truth.count(|span| span.name == "open all the time") == 1
    }),
    case("measured", measured, |truth| {
        let is_measured = |span: &Span| span.busy_ns.is_some() && span.created_ns.is_some();
        truth.count(|span| is_measured(span) && span.begin_thread != span.end_thread) > 0
            && truth.count(|span| is_measured(span) && span.busy_ns < span.duration_ns) >= 60
            && truth.count(|span| is_measured(span) && span.outcome == "cancelled") >= 20
            && truth.count(|span| is_measured(span) && span.duration_ns.is_none()) == 1
    }),
    case("deep", deep, |truth| {
        [("async", 63), ("thread", 63)]
            .iter()
            .all(|(kind, depth)| truth.count(|s| s.kind == *kind && s.depth == *depth) > 0)
    }),
    case("names", names, |truth| {
        truth.count(|span| span.name_state == "cut") >= 4 && truth.count(|span| span.name == "\"") == 3
    }),
    case("concurrent", concurrent, |truth| most_at_once(truth) >= 10_000),
    Case {
        name: zero_length::CASE,
        record: killed_with_everything_in_its_rings,
        dies: true,
        is_one: |truth| truth.count(|span| span.duration_ns == Some(0)) >= 60,
    },
    case("attributes", detailed::attributes, detailed::are_attributes),
    case("attributes_lost", detailed::some_are_lost, detailed::are_some_lost),
    Case { name: "attributes_killed", record: detailed::killed, dies: true, is_one: detailed::is_killed },
    case("attributes_overwritten", gone::overwritten, gone::are_overwritten),
    case("attributes_retired", gone::retired, gone::are_retired),
    case(traces::CLIENT, traces::client, traces::is_client),
    Case { name: traces::SERVER, record: traces::server, dies: true, is_one: traces::is_server },
    case("empty", empty, |truth| truth.spans().count() == 0),
    Case {
        name: "killed",
        record: killed,
        dies: true,
        is_one: |truth| {
            truth.count(|span| span.duration_ns.is_none()) >= 8 && truth.count(|span| span.duration_ns.is_some()) >= 100
        },
    },
];

pub fn start(recording: &Path, settings: fn(Builder) -> Builder) -> Result<spanring::RecorderGuard, Box<dyn Error>> {
    Ok(settings(Recorder::builder().directory(recording)).start()?)
}

pub fn runtime(threads: usize) -> std::io::Result<Runtime> {
    tokio::runtime::Builder::new_multi_thread()
        .worker_threads(threads)
        .enable_time()
        .thread_name("worker \"δ\"\n\u{1F980}")
        .build()
}

/// Requests that complete, panic, or are dropped, on two threads, with children that run in parallel and such that outlive them.
fn outcomes(recording: &Path) -> Result<(), Box<dyn Error>> {
    let recorder = start(recording, |builder| builder)?;
    let runtime = runtime(2)?;
    run_requests(&runtime);
    drop(runtime);
    // On a thread without a name.
    let panics = || {
        span_scope!("a scope");
        let _ = std::panic::catch_unwind(|| {
            span_scope!("a scope that panics");
            std::panic::panic_any(ON_PURPOSE);
        });
    };
    std::thread::scope(|scope| drop(scope.spawn(panics).join()));
    recorder.stop()?;
    Ok(())
}

/// The same requests, each poll of them measured, and when they were made; and one that is open.
fn measured(recording: &Path) -> Result<(), Box<dyn Error>> {
    let recorder = start(recording, |builder| builder.measure_polls(true))?;
    let runtime = runtime(2)?;
    let begun = Arc::new(Notify::new());
    let waits = begun.clone();
    runtime.spawn(instrument_named!(
        async move {
            waits.notify_one();
            tokio::task::yield_now().await;
            std::future::pending::<()>().await;
        },
        "open all the time"
    ));
    runtime.block_on(begun.notified());
    run_requests(&runtime);
    recorder.stop()?;
    runtime.shutdown_background();
    Ok(())
}

fn run_requests(runtime: &Runtime) {
    runtime.block_on(async {
        let mut requests = Vec::new();
        for number in 0..60 {
            let request = instrument_named!(request(number), format!("request {}", number % 7));
            requests.push(tokio::spawn(request));
        }
        for (number, request) in requests.into_iter().enumerate() {
            if number % 3 == 1 {
                sleep(Duration::from_millis(1)).await;
                request.abort();
            }
            // Some have panicked or were aborted, as they should.
            let _ = request.await;
        }
        sleep(Duration::from_millis(30)).await;
    });
}

async fn request(number: u32) {
    span_async_named!("read", sleep(Duration::from_micros(200))).await;
    {
        span_scope!("parse");
        span_scope_named!(if number % 2 == 0 { "parse head" } else { "parse body" });
    }
    let background = spawn_with_context(instrument_named!(sleep(Duration::from_millis(15)), "outlives its parent"));
    let shards: Vec<_> = (0..3).map(|shard| spawn_with_context(work(shard))).collect();
    for shard in shards {
        let _ = shard.await;
    }
    match number % 3 {
        0 => drop(background),
        1 => instrument_named!(std::future::pending::<()>(), "waits for ever").await,
        _ => instrument_named!(async { std::panic::panic_any(ON_PURPOSE) }, "panics").await,
    }
}

#[span_fn]
async fn work(shard: u64) {
    sleep(Duration::from_micros(100 * shard)).await;
    let merge = format!("merge shard {shard}");
    tokio::task::yield_now().await;
    span_scope_named_dyn!(merge);
}

/// Spans that have not ended when the recording does.
fn open(recording: &Path) -> Result<(), Box<dyn Error>> {
    let recorder = start(recording, |builder| builder)?;
    let runtime = runtime(2)?;
    let begun = Arc::new(Barrier::new(6));
    for number in 0..5 {
        let begun = begun.clone();
        let wait = async move {
            instrument_named!(async {}, "ends before").await;
            begun.wait().await;
            std::future::pending::<()>().await;
        };
        let wait = instrument_named!(wait, format!("waits inside {number}"));
        runtime.spawn(instrument_named!(wait, "never ends"));
    }
    runtime.block_on(begun.wait());
    span_scope!("an open scope");
    span_scope!("one inside");
    span_scope!("and another");
    recorder.stop()?;
    runtime.shutdown_background();
    Ok(())
}

/// More records than the smallest ring has room for between two flushes.
fn dropped(recording: &Path) -> Result<(), Box<dyn Error>> {
    let recorder = start(recording, |builder| builder.ring_bytes(4096).flush_interval(Duration::from_millis(20)))?;
    let flood = || {
        for round in 0..20 {
            for _ in 0..400 {
                span_scope!("outer");
                span_scope_named!("inner");
            }
            let wait = instrument_named!(async { sleep(Duration::from_millis(3)).await }, format!("round {round}"));
            let runtime = tokio::runtime::Builder::new_current_thread().enable_time().build();
            runtime.expect("a runtime").block_on(wait);
        }
    };
    std::thread::scope(|scope| {
        for number in 0..2 {
            std::thread::Builder::new().name(format!("flood {number}")).spawn_scoped(scope, flood).expect("a thread");
        }
    });
    recorder.stop()?;
    Ok(())
}

/// Flight discipline, many times round its ring.
fn overwritten(recording: &Path) -> Result<(), Box<dyn Error>> {
    let recorder = start(recording, |builder| builder.ring_bytes(16 << 10).discipline(Discipline::Flight))?;
    let runtime = tokio::runtime::Builder::new_current_thread().enable_time().build()?;
    let mut long = Box::pin(instrument_named!(std::future::pending::<()>(), "open all the time"));
    runtime.block_on(async {
        let mut ends_late = Box::pin(instrument_named!(sleep(Duration::from_millis(300)), "ends late"));
        // Both have begun when the flood does, and neither ends before it has.
        tokio::select! {
            biased;
            () = &mut long => {}
            () = &mut ends_late => {}
            () = flood() => {}
        }
        ends_late.await;
    });
    recorder.stop()?;
    Ok(())
}

async fn flood() {
    // The background thread sees what is open before it is overwritten.
    sleep(Duration::from_millis(60)).await;
    for _ in 0..8 {
        sleep(Duration::from_millis(5)).await;
        for _ in 0..200 {
            instrument_named!(async {}, "one of many").await;
        }
    }
}

/// Segments that had to go to make room for newer ones.
fn retired(recording: &Path) -> Result<(), Box<dyn Error>> {
    let small = |builder: Builder| {
        builder.ring_bytes(64 << 10).segment_bytes(64 << 10).directory_bytes(1 << 20).names_bytes(64 << 10)
    };
    let recorder = start(recording, small)?;
    let runtime = tokio::runtime::Builder::new_current_thread().enable_time().build()?;
    let mut long = Box::pin(instrument_named!(std::future::pending::<()>(), "open all the time"));
    runtime.block_on(async {
        tokio::select! {
            biased;
            () = &mut long => {}
            () = sleep(Duration::from_millis(1)) => {}
        }
        for number in 0..40 {
            for _ in 0..300 {
                instrument_named!(tokio::task::yield_now(), "one of many").await;
            }
            instrument_named!(sleep(Duration::from_millis(1)), format!("number {number}")).await;
            recorder.flush().expect("there is room");
        }
    });
    recorder.stop()?;
    Ok(())
}

/// 64 spans inside each other, of both kinds.
fn deep(recording: &Path) -> Result<(), Box<dyn Error>> {
    let recorder = start(recording, |builder| builder)?;
    let runtime = runtime(2)?;
    runtime.block_on(async {
        let trees: Vec<_> = (0..3).map(|_| tokio::spawn(level(0))).collect();
        for tree in trees {
            tree.await.expect("it completes");
        }
    });
    drop(runtime);
    scopes(0);
    recorder.stop()?;
    Ok(())
}

fn level(depth: u32) -> Pin<Box<dyn Future<Output = ()> + Send>> {
    let inside = async move {
        if depth < 63 {
            tokio::task::yield_now().await;
            level(depth + 1).await;
        } else {
            sleep(Duration::from_millis(1)).await;
        }
    };
    Box::pin(instrument_named!(inside, format!("level {depth}")))
}

fn scopes(depth: u32) {
    span_scope_named!(if depth % 2 == 0 { "even" } else { "odd" });
    if depth < 63 {
        scopes(depth + 1);
    }
}

/// Names that are hard to write down.
fn names(recording: &Path) -> Result<(), Box<dyn Error>> {
    let recorder = start(recording, |builder| builder)?;
    let runtime = tokio::runtime::Builder::new_current_thread().build()?;
    let long = |length: usize| -> &'static str { Box::leak("0123456789abcde\n".repeat(length / 16).into_boxed_str()) };
    let names: [&'static str; 30] = [
        "\"",
        "'",
        "\\",
        "\\\"",
        "\n",
        "two\r\nlines",
        "\t",
        "\u{1}\u{7f}\u{9b}",
        "",
        " ",
        "  spaces around  ",
        "ends in a number 12",
        "7",
        "a;b",
        ";",
        "a; b 3",
        "{\"json\": [null]}",
        "<b>&amp;</b>",
        "%s%n",
        "$(false)",
        "δοκιμή",
        "名前",
        "\u{1F980}",
        "\u{10FFFF}",
        "e\u{301}",
        "\u{202E}right to left",
        "\u{FEFF}bom",
        "a,b\"c\"",
        long(MAX_RUN_TIME_NAME + 16),
        long(64 << 10),
    ];
    runtime.block_on(async {
        for name in names {
            instrument_named!(async {}, name).await;
            let run_time = instrument_named!(async {}, name.to_owned());
            instrument_named!(run_time, "parent").await;
            span_scope_named!(name);
        }
        // One past the bound, at a character's boundary and within one.
        for name in
            ["x".repeat(MAX_RUN_TIME_NAME), "x".repeat(MAX_RUN_TIME_NAME + 1), format!("x{}", "\u{1F980}".repeat(100))]
        {
            instrument_named!(async {}, name).await;
        }
    });
    recorder.stop()?;
    Ok(())
}

/// Ten thousand spans at once, each in one of a hundred others.
fn concurrent(recording: &Path) -> Result<(), Box<dyn Error>> {
    let recorder = start(recording, |builder| builder.ring_bytes(8 << 20))?;
    let runtime = runtime(2)?;
    runtime.block_on(async {
        let everyone = Arc::new(Barrier::new(10_000));
        let batches: Vec<_> = (0..100)
            .map(|batch| {
                let everyone = everyone.clone();
                let tasks = async move {
                    let member = |_| {
                        let everyone = everyone.clone();
                        spawn_with_context(instrument_named!(
                            async move { everyone.wait().await.is_leader() },
                            "member"
                        ))
                    };
                    for member in (0..100).map(member).collect::<Vec<_>>() {
                        member.await.expect("it completes");
                    }
                };
                tokio::spawn(instrument_named!(tasks, format!("batch {batch}")))
            })
            .collect();
        for batch in batches {
            batch.await.expect("it completes");
        }
    });
    drop(runtime);
    recorder.stop()?;
    Ok(())
}

fn most_at_once(truth: &Truth) -> usize {
    let mut changes: Vec<(u64, i32)> = Vec::new();
    for span in truth.spans() {
        changes.push((span.start_ns, 1));
        changes.extend(span.duration_ns.map(|duration| (span.start_ns + duration, -1)));
    }
    changes.sort_unstable();
    let (mut now, mut most) = (0, 0);
    for (_, change) in changes {
        now += change;
        most = most.max(now);
    }
    most as usize
}

fn empty(recording: &Path) -> Result<(), Box<dyn Error>> {
    start(recording, |builder| builder)?.stop()?;
    Ok(())
}

fn killed_with_everything_in_its_rings(recording: &Path) -> Result<(), Box<dyn Error>> {
    let _recorder = start(recording, |builder| builder.flush_interval(Duration::from_secs(3600)))?;
    let runtime = tokio::runtime::Builder::new_current_thread().build()?;
    runtime.block_on(async {
        for number in 0..10 {
            let inner = async {
                instrument_named!(async {}, "inner").await;
                instrument_named!(async {}, format!("inner, number {number}")).await;
                span_scope!("scope");
                span_scope!("scope in a scope");
            };
            instrument_named!(instrument_named!(inner, "middle"), "outer").await;
        }
    });
    wait_for_the_end()
}

/// A service that is killed while it works.
fn killed(recording: &Path) -> Result<(), Box<dyn Error>> {
    let _recorder = start(recording, |builder| builder)?;
    let runtime = runtime(2)?;
    let stuck = Arc::new(Notify::new());
    runtime.block_on(async {
        for number in 0..200 {
            let stuck = stuck.clone();
            let request = async move {
                instrument_named!(sleep(Duration::from_micros(100)), "query").await;
                if number % 50 == 0 {
                    instrument_named!(stuck.notified(), "wait for a lock").await;
                }
            };
            let request = tokio::spawn(instrument_named!(request, format!("GET /{number}")));
            if number % 50 != 0 {
                request.await.expect("it completes");
            }
        }
        sleep(Duration::from_millis(50)).await;
    });
    wait_for_the_end()
}

/// Says that everything is recorded, so that the parent kills this process.
pub fn wait_for_the_end() -> Result<(), Box<dyn Error>> {
    println!("ready");
    std::io::stdout().flush()?;
    loop {
        std::thread::park();
    }
}
