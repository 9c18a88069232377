//! Who may use whom: the modules of the crate, and the paths between them in its source.

use std::collections::{BTreeMap, BTreeSet};
use std::path::{Path, PathBuf};

/// For each module at the root, the modules that it may use.
const MAY_USE: [(&str, &[&str]); 22] = [
    ("events", &[]),
    ("sync", &[]),
    // An anchor is what `clock` reads, and what every block begins with.
    ("clock", &["sync", "format"]),
    ("signal", &[]),
    ("mapping", &["sync", "signal"]),
    ("queue", &["sync", "mapping"]),
    ("format", &["events"]),
    ("preallocate", &[]),
    ("directory", &[]),
    ("native_thread", &[]),
    // Segments are stamped by the clock when they are created.
    ("sink", &["events", "format", "clock", "preallocate", "directory", "native_thread"]),
    (
        "recorder",
        &[
            "sync",
            "clock",
            "events",
            "queue",
            "format",
            "sink",
            "preallocate",
            "mapping",
            "directory",
            "native_thread",
            "signal",
        ],
    ),
    ("future", &["recorder", "events"]),
    ("scope", &["recorder", "events", "future"]),
    ("reader", &["format", "events"]),
    ("dispatch", &["recorder", "events", "future"]),
    ("runtime", &["dispatch"]),
    ("trace_context", &["future"]),
    ("intern_string", &["sync"]),
    // Names by which others know what is elsewhere.
    ("levels", &["events"]),
    ("string_id", &["events"]),
    ("spans", &["events", "future", "scope"]),
];

/// Modules that tie the others together for users, or for macros.
const MAY_USE_ALL: [&str; 5] = ["lib", "prelude", "macros", "testing", "__private"];

fn source() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("src")
}

fn files_below(directory: &Path) -> Vec<PathBuf> {
    let entries = std::fs::read_dir(directory).unwrap().map(|entry| entry.unwrap().path());
    entries.flat_map(|path| if path.is_dir() { files_below(&path) } else { vec![path] }).collect()
}

/// The module at the root to which a file belongs.
fn module_of(file: &Path) -> String {
    let inside = file.strip_prefix(source()).unwrap();
    let first = Path::new(inside.components().next().unwrap().as_os_str());
    first.file_stem().unwrap().to_str().unwrap().to_owned()
}

/// The code of a file: no comments, and no unit tests, which may use what they like.
fn code_of(file: &Path) -> String {
    let text = std::fs::read_to_string(file).unwrap();
    let code = text.split("#[cfg(test)]").next().unwrap();
    code.lines().map(|line| line.split("//").next().unwrap()).collect::<Vec<_>>().join("\n")
}

/// The first names of all paths in `code` that begin with `crate::`, but for those in macros (`$crate::`).
fn used_in(code: &str) -> BTreeSet<String> {
    let mut used = BTreeSet::new();
    for (index, _) in code.match_indices("crate::") {
        let before = code[..index].chars().next_back().unwrap_or(' ');
        if before == '$' || before.is_alphanumeric() || before == '_' {
            continue;
        }
        let path = &code[index + "crate::".len()..];
        let names = match path.strip_prefix('{') {
            Some(group) => first_names_of_group(group),
            None => vec![first_name(path)],
        };
        used.extend(names);
    }
    used
}

fn first_name(path: &str) -> String {
    path.chars().take_while(|c| c.is_alphanumeric() || *c == '_').collect()
}

/// The first names in `a::b, c::{d, e}, f}`.
fn first_names_of_group(group: &str) -> Vec<String> {
    let (mut names, mut depth, mut expected) = (Vec::new(), 0, true);
    for (index, c) in group.char_indices() {
        match c {
            '{' => depth += 1,
            '}' if depth == 0 => break,
            '}' => depth -= 1,
            ',' if depth == 0 => expected = true,
            c if expected && !c.is_whitespace() => {
                names.push(first_name(&group[index..]));
                expected = false;
            }
            _ => {}
        }
    }
    names
}

/// All code by file, with the module it belongs to.
fn modules() -> Vec<(String, PathBuf, String)> {
    files_below(&source()).into_iter().map(|file| (module_of(&file), file.clone(), code_of(&file))).collect()
}

#[test]
fn every_module_uses_only_what_it_may() {
    let may_use: BTreeMap<&str, &[&str]> = MAY_USE.into_iter().collect();
    for (module, file, code) in modules() {
        if MAY_USE_ALL.contains(&module.as_str()) {
            continue;
        }
        let Some(allowed) = may_use.get(module.as_str()) else {
            panic!("{}: add the module {module} to the table in this test", file.display())
        };
        for used in used_in(&code) {
            let allowed = used == module || allowed.contains(&used.as_str());
            assert!(allowed, "{}: {module} must not use crate::{used}", file.display());
        }
    }
}

#[test]
fn nobody_climbs_past_the_root_of_its_module() {
    for (_, file, code) in modules() {
        let depth = file.strip_prefix(source()).unwrap().components().count();
        let climbs = if depth == 1 { "super::" } else { "super::super::super::" };
        let inline_modules_only = depth > 1 || code.matches("super::").count() == code.matches("use super::").count();
        assert!(inline_modules_only && (depth == 1 || !code.contains(climbs)), "{}", file.display());
    }
}

#[test]
fn the_table_names_no_module_that_is_gone() {
    let modules: BTreeSet<String> = modules().into_iter().map(|(module, _, _)| module).collect();
    for module in MAY_USE.iter().map(|(module, _)| *module).chain(MAY_USE_ALL) {
        assert!(modules.contains(module), "{module} is not there");
    }
}

#[test]
fn atomics_are_named_in_one_place() {
    for (module, file, code) in modules() {
        let named = ["atomic::", "core::sync"].iter().any(|name| code.contains(name));
        // Whatever its path, a pointer's atomic is the facade's.
        let pointer = code.contains("AtomicPtr") && !code.contains("use crate::sync::{AtomicPtr");
        assert!(module == "sync" || !named && !pointer, "{}: use crate::sync", file.display());
    }
}

#[test]
fn writers_and_readers_do_not_know_each_other() {
    for (module, file, code) in modules() {
        let used = used_in(&code);
        let other = if module == "reader" { "recorder" } else { "reader" };
        let one_side = !used.contains(other) || module == "testing" || module == "lib";
        assert!(one_side, "{}", file.display());
    }
}

#[test]
fn files_are_short_enough_to_be_read() {
    let test_files = files_below(&Path::new(env!("CARGO_MANIFEST_DIR")).join("tests"));
    let source_files = test_files.into_iter().chain(files_below(&source()));
    for file in source_files.filter(|file| file.extension().is_some_and(|extension| extension == "rs")) {
        let lines = std::fs::read_to_string(&file).unwrap().lines().count();
        assert!(lines < 700, "{}: {lines} lines", file.display());
    }
}

#[test]
fn paths_are_found_wherever_they_are() {
    let code =
        "use crate::a::b;\nuse crate::{c::{d, e}, f};\nlet x = crate::g(); $crate::h!(); pub(crate) fn mycrate::i() {}";
    let found: Vec<String> = used_in(code).into_iter().collect();
    assert_eq!(found, ["a", "c", "f", "g"]);
}
