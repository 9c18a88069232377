//! `spanring tail` as text.

use super::{details, place};
use crate::tail::Line;
use crate::text::{Fit, Tone, clean, duration, moment};

/// A span as a line, no wider than `width`: when it ended (UTC), how long it took, how it ended if not well, what it was.
///
/// ```
/// use spanring_cli::render;
/// use spanring_cli::tail::Line;
///
/// fn page(lines: &[Line]) -> String {
///     lines.iter().map(|line| render::tail(line, Some(100))).collect()
/// }
///
/// assert_eq!(page(&[]), "");
/// ```
pub fn tail(line: &Line, width: Option<usize>) -> String {
    let moment = moment(line.end_unix_ns);
    // Without the date.
    let time = moment.get(11..23).unwrap_or(&moment);
    let outcome = if line.outcome == "completed" { "" } else { line.outcome };
    let head = format!("{time}  {:>6}  {outcome:<9}  ", duration(line.duration_ns));
    let name = clean(&line.name);
    let place = place(line.file.as_deref(), line.line);
    let details = details::line(&line.details);
    let text = match width {
        None if details.is_empty() => format!("{head}{name}  {place}"),
        None => format!("{head}{name}  {place}  {details}"),
        Some(width) => {
            let cell = details::beside(&name, &details);
            // The place has what the span leaves, between a fifth and a third of the line; it goes where there is little room.
            let used = head.chars().count() + 2;
            let left = width.saturating_sub(used + Fit::Tree(8).set(&cell, usize::MAX).chars().count());
            let place_room = left.clamp(width / 5, width / 3);
            let place = if width >= 80 { Fit::Path(8).set(&place, place_room) } else { String::new() };
            let room = width.saturating_sub(used + place.chars().count());
            format!("{head}{}  {place}", Fit::Tree(8).set(&cell, room.max(8)))
        }
    };
    let tone = match line.outcome {
        "failed" | "panicked" => Tone::Bad,
        "cancelled" => Tone::Faint,
        _ => Tone::Plain,
    };
    format!("{}\n", tone.paint(text.trim_end()))
}
