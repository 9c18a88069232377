//! What the tests share.

use spanring::reader::Outcome;
use spanring::testing::{Recorded, TestSpan};
use std::fmt::Write;
use std::future::Future;
use std::sync::Once;
use tracing_subscriber::prelude::*;

/// The layer on a registry, for the whole process: for tests whose tasks run on several threads.
pub fn everywhere() {
    static ONCE: Once = Once::new();
    ONCE.call_once(|| tracing_subscriber::registry().with(spanring_tracing::layer()).init());
}

/// Four workers, so that tasks move between threads.
pub fn tokio_run<F: Future>(future: F) -> F::Output {
    let mut builder = tokio::runtime::Builder::new_multi_thread();
    builder.worker_threads(4).enable_time().build().unwrap().block_on(future)
}

/// The tree, with attributes; siblings in the order of their names, because of tasks any may begin first.
pub fn tree<R>(recorded: &Recorded<R>) -> String {
    let mut text = String::new();
    print_all(&recorded.spans, 0, &mut text);
    print!("{text}");
    text
}

fn print_all(spans: &[TestSpan], level: usize, text: &mut String) {
    let mut spans: Vec<&TestSpan> = spans.iter().collect();
    spans.sort_by(|a, b| a.name.cmp(&b.name));
    for span in spans {
        write!(text, "{:indent$}{}", "", span.name, indent = level * 2).unwrap();
        for (key, value) in &span.attributes {
            write!(text, " {key}={value}").unwrap();
        }
        match span.outcome {
            Some(Outcome::Completed) => {}
            Some(outcome) => write!(text, " [{outcome}]").unwrap(),
            None => text.push_str(" [open]"),
        }
        text.push('\n');
        print_all(&span.children, level + 1, text);
    }
}
