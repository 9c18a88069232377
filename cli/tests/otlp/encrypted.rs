//! To a collector by TLS: whom the export trusts, and what it says if it does not.

use crate::collector::FakeCollector;
use crate::program::program;
use spanring::Recorder;
use spanring::prelude::*;
use std::path::Path;
use std::process::Output;
use std::sync::OnceLock;
use tempfile::TempDir;

/// A recording of one scope, for all tests: a process has one recorder at a time.
fn recording() -> &'static Path {
    static RECORDED: OnceLock<TempDir> = OnceLock::new();
    let directory = RECORDED.get_or_init(|| {
        let directory = tempfile::tempdir().unwrap();
        let recorder = Recorder::builder().directory(directory.path()).start().unwrap();
        {
            span_scope!("a scope");
        }
        recorder.stop().unwrap();
        directory
    });
    directory.path()
}

/// Exports to the collector, with the authority in that file of `tests/tls` as the one that is trusted.
fn export(collector: &FakeCollector, grpc: bool, trusted: &str) -> Output {
    let protocol = if grpc { "grpc" } else { "http" };
    let recording = recording().to_str().unwrap();
    let mut command = program(&["export", recording, "--format", "otlp", "--protocol", protocol]);
    let trusted = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/tls").join(trusted);
    command.args(["--out", &collector.address]).env("SSL_CERT_FILE", trusted).env_remove("SSL_CERT_DIR");
    command.output().unwrap()
}

#[test]
fn a_collector_whose_authority_is_trusted_gets_the_spans() {
    for grpc in [false, true] {
        let collector = FakeCollector::encrypted(grpc);
        assert!(collector.address.starts_with("https://127.0.0.1:"));
        let output = export(&collector, grpc, "authority.pem");
        assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
        let received = collector.received();
        let spans = received.iter().flat_map(|one| &one.request.resource_spans).flat_map(|one| &one.scope_spans);
        let names: Vec<_> = spans.flat_map(|scope| &scope.spans).map(|span| span.name.as_str()).collect();
        assert_eq!(names, ["a scope", "recording"]);
    }
}

#[test]
fn one_whose_authority_is_not_trusted_gets_nothing_and_is_not_asked_again() {
    for grpc in [false, true] {
        let collector = FakeCollector::encrypted(grpc);
        let output = export(&collector, grpc, "stranger.pem");
        let said = String::from_utf8(output.stderr).unwrap();
        assert_eq!(output.status.code(), Some(1), "{said}");
        assert!(said.contains("invalid peer certificate") && said.contains("SSL_CERT_FILE"), "{said}");
        // What is tried again ends with how often.
        assert!(!said.contains("gave up"), "{said}");
        assert!(collector.received().is_empty());
    }
}
