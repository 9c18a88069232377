//! How the program ends, and what it prints.

use spanring_cli::info::DamageInfo;
use spanring_cli::text::set_colours;
use std::fmt::Display;
use std::io::{self, IsTerminal, Write};

/// Why the program ends early.
pub enum Stop {
    /// What was asked for cannot be done: exit status 2.
    Input(String),
    /// It could, but something went wrong: exit status 1.
    Failure(String),
    /// Nobody reads our output any more: not our problem.
    ClosedPipe,
}

/// Colours are for terminals, and for those who do not object.
pub fn choose_colours() {
    let objects = std::env::var_os("NO_COLOR").is_some_and(|value| !value.is_empty());
    let is_dumb = std::env::var_os("TERM").is_some_and(|value| value == "dumb");
    set_colours(io::stdout().is_terminal() && !objects && !is_dumb);
}

/// Refuses a recording that is damaged, unless it was asked for.
pub fn check(damage: Option<&DamageInfo>, places: u64, partial: bool) -> Result<(), Stop> {
    let Some(damage) = damage.filter(|_| !partial) else { return Ok(()) };
    let damaged = damaged(damage, places);
    Err(input(format!("{damaged}; `spanring info` lists what is damaged, --partial shows what could be read")))
}

/// The first of so many damaged places, and how many more there are.
pub fn damaged(first: &DamageInfo, places: u64) -> String {
    let others = if places > 1 { format!(", and {} more", places - 1) } else { String::new() };
    format!("{}: at byte {}: {}{others}", first.path.display(), first.offset, first.what)
}

pub fn input(message: impl Display) -> Stop {
    Stop::Input(message.to_string())
}

pub fn failure(message: impl Display) -> Stop {
    Stop::Failure(message.to_string())
}

pub fn print_json(value: &impl serde::Serialize) -> Result<(), Stop> {
    let text = serde_json::to_string_pretty(value).map_err(failure)?;
    print(&format!("{text}\n"))
}

pub fn print(text: &str) -> Result<(), Stop> {
    let mut out = io::stdout().lock();
    out.write_all(text.as_bytes()).and_then(|()| out.flush()).map_err(|error| match error.kind() {
        io::ErrorKind::BrokenPipe => Stop::ClosedPipe,
        _ => failure(format!("cannot write the output: {error}")),
    })
}

/// Columns of the terminal; elsewhere the variable `COLUMNS`, or no limit.
pub fn width() -> Option<usize> {
    if io::stdout().is_terminal() {
        return terminal_size::terminal_size().map(|(width, _)| usize::from(width.0));
    }
    std::env::var("COLUMNS").ok()?.parse().ok().filter(|&columns| columns > 0)
}

/// Lines of the terminal, if the output goes to one.
pub fn height() -> Option<usize> {
    let size = io::stdout().is_terminal().then(terminal_size::terminal_size).flatten();
    size.map(|(_, height)| usize::from(height.0))
}

/// A text in place of what the terminal shows, as many lines as there is room for.
pub fn redrawn(text: &str, height: Option<usize>) -> String {
    let lines = text.lines().take(height.unwrap_or(usize::MAX).saturating_sub(1));
    // Home; each line with its rest cleared, so that nothing flickers; what is below, cleared.
    let lines: String = lines.map(|line| format!("{line}\x1b[K\n")).collect();
    format!("\x1b[H{lines}\x1b[J")
}
