//! `tracing` with spanring-tracing, from this repository: the spans of `tracing` in spanring's recorder.

use super::spanring::Recorded;
use super::tracing::ROWS;
use crate::library::{Library, Recording, Row, Setup};
use spanring::sink::NullSink;
use spanring::{Discipline, Recorder};
use std::path::Path;
use tracing_subscriber::layer::SubscriberExt;

pub struct SpanringTracing;

impl Library for SpanringTracing {
    fn name(&self) -> &'static str {
        "spanring-tracing"
    }

    fn package(&self) -> Option<&'static str> {
        Some("spanring-tracing")
    }

    fn rows(&self) -> &'static [Row] {
        &ROWS
    }

    fn setups(&self) -> &'static [Setup] {
        &[Setup {
            name: "flight, heap",
            at_rest: None,
            note: "`registry()` and the layer with its defaults, recording as in spanring's setup of the same name. What it takes beyond \
                   `tracing`, registry, is what the recording costs.",
        }]
    }

    fn start(&self, _: usize, _: &Path) -> Box<dyn Recording> {
        let subscriber = tracing_subscriber::registry().with(spanring_tracing::layer());
        tracing::subscriber::set_global_default(subscriber).expect("there is no other");
        let builder = Recorder::builder().discipline(Discipline::Flight).sink(NullSink);
        Box::new(Recorded::start(builder, None))
    }
}
