//! `docs/FORMAT.md` says what the code says: it is the module documentation of `format` and `events`, put together.
//!
//! After a change to those, `SPANRING_BLESS=1 cargo test --test format_doc` writes it anew.

use std::fmt::Write;
use std::path::Path;

/// A section: its title, the file, and the item whose documentation it is; the module's own if there is none.
const SECTIONS: [(&str, &str, Option<&str>); 13] = [
    ("## The recording directory", "src/format/mod.rs", None),
    ("## File header", "src/format/file.rs", None),
    ("## Blocks", "src/format/block.rs", None),
    ("## Facts", "src/format/facts.rs", None),
    ("## Records", "src/events/slot.rs", None),
    ("### The first word of a slot", "src/events/slot.rs", Some("pub struct Head")),
    ("### Kinds", "src/events/kind.rs", Some("pub enum Kind")),
    ("### Attributes and counters", "src/events/value.rs", None),
    ("### The types of values", "src/events/value.rs", Some("pub enum ValueType")),
    ("## Definitions", "src/format/definition.rs", None),
    ("## Ring files", "src/format/ring_file.rs", None),
    ("## Session file", "src/format/session_file.rs", None),
    ("## Requests for a snapshot", "src/format/snapshot_request.rs", None),
];

fn source(path: &str) -> String {
    std::fs::read_to_string(Path::new(env!("CARGO_MANIFEST_DIR")).join(path)).unwrap()
}

/// Links into the documentation become plain code.
fn plain(text: &str) -> String {
    let mut plain = String::new();
    let mut rest = text;
    while let Some((before, after)) = rest.split_once("[`") {
        let (code, after) = after.split_once("`]").unwrap();
        let code = code.trim_start_matches("crate::").trim_start_matches("super::").trim_start_matches("mod@");
        write!(plain, "{before}`{code}`").unwrap();
        rest = after;
    }
    plain + rest
}

/// The comment lines with this prefix, in order, as Markdown.
fn markdown<'a>(lines: impl Iterator<Item = &'a str>) -> String {
    plain(&lines.map(|line| format!("{}\n", line.strip_prefix(' ').unwrap_or(line))).collect::<String>())
}

fn module_doc(source: &str) -> String {
    markdown(source.lines().map_while(|line| line.strip_prefix("//!")))
}

/// Without its example.
fn item_doc(source: &str, item: &str) -> String {
    let before = &source[..source.find(item).unwrap_or_else(|| panic!("there is no {item}"))];
    let above = before.lines().rev().skip_while(|line| line.starts_with("#["));
    let lines: Vec<&str> = above.map_while(|line| line.strip_prefix("///")).collect();
    let text = markdown(lines.into_iter().rev());
    text.split_once("\n```").map_or(text.as_str(), |(before_example, _)| before_example).to_owned()
}

#[test]
fn the_document_and_the_code_say_the_same() {
    let mut document = String::from("# The file format\n\n");
    document +=
        "Put together from the documentation of the modules that encode and decode it; a test keeps the two alike.\n";
    for (title, path, item) in SECTIONS {
        let source = source(path);
        let text = item.map_or_else(|| module_doc(&source), |item| item_doc(&source, item));
        write!(document, "\n{title}\n\n{text}").unwrap();
    }
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("docs/FORMAT.md");
    if std::env::var_os("SPANRING_BLESS").is_some() {
        std::fs::write(&path, &document).unwrap();
    }
    let written = std::fs::read_to_string(&path).unwrap_or_default();
    assert!(written == document, "docs/FORMAT.md differs from the code: SPANRING_BLESS=1 cargo test --test format_doc");
}

#[test]
fn the_document_is_of_the_version_that_is_written() {
    let title = format!("The file format, version {}.", spanring::format::VERSION);
    assert!(
        module_doc(&source("src/format/mod.rs")).starts_with(&title),
        "src/format/mod.rs does not begin with: {title}"
    );
}
