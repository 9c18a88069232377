//! The two ways to name a future at run time, side by side in loops: no span is missing, and none has another's name.

#![cfg(feature = "enable")]

mod common;

use common::{Contents, exclusive, give_way, run};
use spanring::Recorder;
use spanring::prelude::*;
use spanring::reader::{NameState, Outcome};
use std::collections::BTreeSet;

const STEPS: [&str; 5] = ["parse", "plan", "fetch", "merge", "render"];
const SHARDS: [&str; 3] = ["shard a", "shard b", "shard c"];

/// Runs `work` recorded, and checks that it left the begin and the end of one span for each name.
fn leaves_one_whole_span_per_name(work: impl Future<Output = u32>) {
    let _turn = exclusive();
    let directory = tempfile::tempdir().unwrap();
    let recorder = Recorder::builder().directory(directory.path()).start().unwrap();
    assert_eq!(run(work), 8);
    recorder.stop().unwrap();

    let contents = Contents::of_directory(directory.path());
    contents.check_whole();
    assert_eq!(contents.spans().count(), 16);
    assert_eq!((contents.summary.lost, contents.summary.damages), (0, 0));
    let names: BTreeSet<&str> = contents.spans().map(|record| record.name.as_str()).collect();
    assert_eq!(names, STEPS.into_iter().chain(SHARDS).collect());
    for name in names {
        let (begin, end) = contents.span(name);
        assert_eq!(begin.span_id, end.span_id);
        assert_eq!((begin.name_state, end.name_state), (NameState::Whole, NameState::Whole));
        assert_eq!((end.outcome, end.polls), (Some(Outcome::Completed), 2));
        assert_eq!(end.begin_unix_ns, Some(begin.unix_ns));
    }
}

async fn one() -> u32 {
    give_way().await;
    1
}

#[test]
fn static_names_chosen_at_run_time() {
    static_span_location!(SHARD);
    leaves_one_whole_span_per_name(async {
        let mut sum = 0;
        for name in STEPS {
            sum += span_async_named!(name, one()).await;
        }
        for name in SHARDS {
            sum += one().instrument_named(&SHARD, name).await;
        }
        sum
    });
}

#[test]
fn names_put_together_at_run_time() {
    static_span_location!(SHARD);
    leaves_one_whole_span_per_name(async {
        let mut sum = 0;
        for name in STEPS {
            let (first, rest) = name.split_at(2);
            sum += span_async_named!(format!("{first}{rest}"), one()).await;
        }
        for letter in ['a', 'b', 'c'] {
            sum += one().instrument_named(&SHARD, format!("shard {letter}")).await;
        }
        sum
    });
}

#[test]
fn names_borrowed_at_run_time() {
    let all = STEPS.join("/");
    leaves_one_whole_span_per_name(async {
        let mut sum = 0;
        for name in all.split('/') {
            sum += span_async_named_dyn!(name, one()).await;
        }
        for name in SHARDS {
            sum += instrument_named_dyn!(one(), name.to_owned()).await;
        }
        sum
    });
}
