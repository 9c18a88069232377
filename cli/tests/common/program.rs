//! Running the program.
// Each test uses a part of it.
#![allow(dead_code)]

use serde_json::Value;
use std::process::{Command, Output, Stdio};

/// The program with these arguments, its output caught.
pub fn program(arguments: &[&str]) -> Command {
    let mut command = Command::new(env!("CARGO_BIN_EXE_spanring"));
    command.args(arguments).env_remove("COLUMNS").stdin(Stdio::null());
    command
}

/// Runs the program to its end.
pub fn run(arguments: &[&str]) -> Output {
    program(arguments).output().expect("the program starts")
}

/// Runs the program, which must succeed and say nothing on standard error; what it printed.
pub fn run_well(arguments: &[&str]) -> String {
    let output = run(arguments);
    let errors = String::from_utf8_lossy(&output.stderr);
    assert!(output.status.success() && errors.is_empty(), "{arguments:?}: {}: {errors}", output.status);
    String::from_utf8(output.stdout).expect("UTF-8")
}

/// The same with `--json`.
pub fn run_json(arguments: &[&str]) -> Value {
    let mut arguments = arguments.to_vec();
    arguments.push("--json");
    serde_json::from_str(&run_well(&arguments)).expect("JSON")
}

/// Runs the program, which must refuse with exit status 2; what it said.
pub fn run_refused(arguments: &[&str]) -> String {
    let output = run(arguments);
    assert_eq!(output.status.code(), Some(2), "{arguments:?}");
    assert!(output.stdout.is_empty(), "{arguments:?} printed something");
    String::from_utf8(output.stderr).expect("UTF-8")
}
