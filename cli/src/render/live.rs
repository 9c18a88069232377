//! `spanring top --live` as text.

use super::{open, top, wrapped};
use crate::live::View;
use crate::text::{clean, count, duration, moment};

/// Lines beside the rows of the two tables: heads, totals, what stands between.
const OTHER_LINES: usize = 14;

/// Rows of the upper table and of the lower one on a screen of so many lines; on paper, 30 and 10.
///
/// ```
/// use spanring_cli::render::rows_of_live;
///
/// assert_eq!(rows_of_live(None), (30, 10));
/// let (upper, lower) = rows_of_live(Some(50));
/// assert!(upper + lower < 50, "there is room for what stands around them");
/// ```
pub fn rows_of_live(height: Option<usize>) -> (usize, usize) {
    let Some(height) = height else { return (30, 10) };
    let rows = height.saturating_sub(OTHER_LINES).max(4);
    (rows - rows / 3, rows / 3)
}

/// One look, lines no wider than `width`.
///
/// ```
/// use spanring_cli::live::View;
/// use spanring_cli::render;
///
/// fn screen(view: &View, height: usize, width: usize) -> String {
///     let (rows, _) = render::rows_of_live(Some(height));
///     render::live(view, rows, Some(width))
/// }
/// ```
pub fn live(view: &View, limit: usize, width: Option<usize>) -> String {
    let program = view.executable.rsplit('/').next().unwrap_or_default();
    let rate = view.events_per_second.map(|rate| format!(", {} a second", count(rate.round() as u64, "event")));
    let head = format!(
        "{} {} (process {}), recording for {}, {}{}, at {}",
        clean(program),
        view.writer,
        view.pid,
        duration(view.elapsed_ns),
        count(view.events, "event"),
        rate.unwrap_or_default(),
        moment(view.unix_ns),
    );
    let mut text = wrapped(&head, width);
    text.push_str(&format!("\nended in the last {}, and open:\n\n", duration(view.window_ns)));
    text.push_str(&top(&view.top, limit, width));
    text.push_str("\nopen now, the oldest:\n\n");
    text.push_str(&open(&view.open, width));
    text
}
