//! The program `spanring`: records a demo, and reads what any spanring recorder has left in a directory.

mod arguments;
mod commands;
mod output;

use arguments::Arguments;
use clap::Parser;
use output::Stop;
use std::io::{self, Write};
use std::process::ExitCode;

fn main() -> ExitCode {
    output::choose_colours();
    let (status, message) = match commands::run(Arguments::parse().command) {
        Ok(()) | Err(Stop::ClosedPipe) => return ExitCode::SUCCESS,
        Err(Stop::Failure(message)) => (1, message),
        Err(Stop::Input(message)) => (2, message),
    };
    // There is nowhere left to complain if this fails.
    let _ = writeln!(io::stderr(), "spanring: {message}");
    ExitCode::from(status)
}
