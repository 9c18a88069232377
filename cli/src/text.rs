//! Numbers, times and tables as text for people.
//!
//! ```
//! use spanring_cli::text::{clean, count, duration, moment, parse_duration};
//! use std::time::Duration;
//!
//! assert_eq!(duration(12_300), "12.3µs");
//! assert_eq!(parse_duration("1m30s"), Ok(Duration::from_secs(90)));
//! assert_eq!(moment(0), "1970-01-01 00:00:00.000 UTC");
//! assert_eq!((count(1, "span"), count(2, "span")), ("1 span".to_owned(), "2 spans".to_owned()));
//! assert_eq!(clean("a\nb"), "a\\nb");
//! ```

use comfy_table::{CellAlignment, Table as Grid, presets};
use std::borrow::Cow;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;
use unicode_width::{UnicodeWidthChar, UnicodeWidthStr};

/// A duration with three significant digits and a unit: `0ns`, `12.3µs`, `4.56s`, `2h46m`.
///
/// ```
/// use spanring_cli::text::duration;
///
/// assert_eq!([950, 12_345, 4_560_000_000].map(duration), ["950ns", "12.3µs", "4.56s"]);
/// ```
pub fn duration(ns: u64) -> String {
    const UNITS: [(&str, f64); 3] = [("µs", 1e3), ("ms", 1e6), ("s", 1e9)];
    if ns < 1000 {
        return format!("{ns}ns");
    }
    for (unit, scale) in UNITS {
        let value = ns as f64 / scale;
        if value < 999.5 {
            let decimals = if value < 9.995 { 2 } else { usize::from(value < 99.95) };
            return format!("{value:.decimals$}{unit}");
        }
    }
    let seconds = ns.saturating_add(500_000_000) / 1_000_000_000;
    let (minutes, hours, days) = (seconds / 60, seconds / 3600, seconds / 86400);
    match (minutes, hours) {
        (..60, _) => format!("{minutes}m{}s", seconds % 60),
        (_, ..48) => format!("{hours}h{}m", minutes % 60),
        _ => format!("{days}d{}h", hours % 24),
    }
}

/// A duration from text as [`duration`] writes it: one or more numbers, each with its unit.
///
/// # Errors
/// If it is anything else, or longer than a [`Duration`] can be; what to write instead.
///
/// ```
/// use spanring_cli::text::parse_duration;
/// use std::time::Duration;
///
/// assert_eq!(parse_duration("250ms"), Ok(Duration::from_millis(250)));
/// assert!(parse_duration("250").is_err(), "without a unit");
/// ```
pub fn parse_duration(text: &str) -> Result<Duration, String> {
    let parse = || {
        let mut total = Duration::ZERO;
        let mut rest = text;
        loop {
            let (number, after) = rest.split_at(rest.find(|c: char| c != '.' && !c.is_ascii_digit())?);
            let (unit, next) = after.split_at(after.find(|c: char| c.is_ascii_digit()).unwrap_or(after.len()));
            let seconds = match unit {
                "ns" => 1e-9,
                "us" | "µs" | "μs" => 1e-6,
                "ms" => 1e-3,
                "s" => 1.0,
                "m" => 60.0,
                "h" => 3600.0,
                "d" => 86400.0,
                _ => return None,
            };
            let number: f64 = number.parse().ok()?;
            total = total.checked_add(Duration::try_from_secs_f64(number * seconds).ok()?)?;
            rest = next;
            if rest.is_empty() {
                return Some(total);
            }
        }
    };
    parse()
        .ok_or_else(|| "write a number with a unit (ns, us, ms, s, m, h, d), such as 250ms, 1.5s or 2h30m".to_owned())
}

/// A moment as `2026-01-31 23:59:59.999 UTC`, from nanoseconds since 1970.
///
/// ```
/// use spanring_cli::text::moment;
///
/// assert_eq!(moment(1_769_903_999_999_000_000), "2026-01-31 23:59:59.999 UTC");
/// ```
pub fn moment(unix_ns: u64) -> String {
    let (seconds, ms) = (unix_ns / 1_000_000_000, unix_ns / 1_000_000 % 1000);
    let (year, month, day) = date(seconds / 86400);
    let (hour, minute, second) = (seconds / 3600 % 24, seconds / 60 % 60, seconds % 60);
    format!("{year}-{month:02}-{day:02} {hour:02}:{minute:02}:{second:02}.{ms:03} UTC")
}

/// Year, month and day of a number of days since 1970, in the Gregorian calendar.
fn date(days: u64) -> (u64, u64, u64) {
    // Years are counted from March, so that the leap day comes last; 400 years have 146 097 days.
    let days = days + 719_468;
    let (era, day) = (days / 146_097, days % 146_097);
    let year = (day - day / 1460 + day / 36_524 - day / 146_096) / 365;
    let day_of_year = day - (365 * year + year / 4 - year / 100);
    let month = (5 * day_of_year + 2) / 153;
    let day_of_month = day_of_year - (153 * month + 2) / 5 + 1;
    let month = if month < 10 { month + 3 } else { month - 9 };
    (era * 400 + year + u64::from(month <= 2), month, day_of_month)
}

/// Days from 1970 to a date in the Gregorian calendar; `None` if there is no such date, or it is too far away for nanoseconds in
/// 64 bits.
pub(crate) fn days_since_1970(year: u64, month: u64, day: u64) -> Option<u64> {
    if !(1970..2500).contains(&year) || !(1..=12).contains(&month) || !(1..=31).contains(&day) {
        return None;
    }
    // No date is more than this many days from that of a year of 365 days and months of 30.
    let least = (year - 1970) * 365 + (month - 1) * 30 + day - 1;
    (least..least + 150).find(|&days| date(days) == (year, month, day))
}

/// `1 span`, `2 spans`.
///
/// ```
/// use spanring_cli::text::count;
///
/// assert_eq!(count(3, "event"), "3 events");
/// ```
pub fn count(number: u64, noun: &str) -> String {
    format!("{number} {noun}{}", if number == 1 { "" } else { "s" })
}

/// A text from a recording for a terminal: control characters, which could do anything there, are escaped.
///
/// ```
/// use spanring_cli::text::clean;
///
/// assert_eq!(clean("GET /\x1b[2J"), "GET /\\u{1b}[2J");
/// ```
pub fn clean(text: &str) -> Cow<'_, str> {
    if !text.chars().any(char::is_control) {
        return Cow::Borrowed(text);
    }
    let escape = |c: char| if c.is_control() { c.escape_default().to_string() } else { c.to_string() };
    Cow::Owned(text.chars().map(escape).collect())
}

/// A plain table: no frame, no colour, one line per row.
///
/// ```
/// use spanring_cli::text::{Fit, Table};
///
/// let mut table = Table::new(&[("name", Fit::Word), ("spans", Fit::Number)]);
/// table.row(vec!["load".to_owned(), "12".to_owned()]);
/// assert!(table.render(None).contains("load"));
/// ```
#[derive(Clone, Debug)]
pub struct Table {
    columns: Vec<Column>,
    rows: Vec<Vec<String>>,
    tones: Vec<Tone>,
}

/// How a row stands out. Without colours it does not: whatever has to be known is in the text.
///
/// ```
/// use spanring_cli::text::{Fit, Table, Tone};
///
/// let mut table = Table::new(&[("outcome", Fit::Word)]);
/// table.row_in(Tone::Bad, vec!["panicked".to_owned()]);
/// assert!(table.render(None).contains("panicked"));
/// ```
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Tone {
    /// Not at all.
    #[default]
    Plain,
    /// It matters most.
    Strong,
    /// It matters little.
    Faint,
    /// Something went wrong there.
    Bad,
    /// Something is better than it was.
    Good,
}

static COLOURS: AtomicBool = AtomicBool::new(false);

/// Whether tables are coloured from now on, by escape sequences for a terminal. At first they are not.
///
/// ```no_run
/// use spanring_cli::text::set_colours;
/// use std::io::IsTerminal;
///
/// set_colours(std::io::stdout().is_terminal());
/// ```
pub fn set_colours(on: bool) {
    COLOURS.store(on, Ordering::Relaxed);
}

impl Tone {
    /// A line in this tone, if there are colours.
    ///
    /// ```
    /// use spanring_cli::text::Tone;
    ///
    /// assert_eq!(Tone::Plain.paint("as it is"), "as it is");
    /// ```
    pub fn paint(self, line: &str) -> String {
        let style = match self {
            Tone::Plain => return line.to_owned(),
            Tone::Strong => "1",
            Tone::Faint => "2",
            Tone::Bad => "31",
            Tone::Good => "32",
        };
        if COLOURS.load(Ordering::Relaxed) { format!("\x1b[{style}m{line}\x1b[0m") } else { line.to_owned() }
    }
}

/// A column of a [`Table`].
///
/// ```
/// use spanring_cli::text::{Column, Fit};
///
/// let column = Column { title: "spans", fit: Fit::Number };
/// assert_ne!(column.fit, Fit::Word, "set to the right");
/// ```
#[derive(Clone, Copy, Debug)]
pub struct Column {
    /// What stands over it.
    pub title: &'static str,
    /// How it is set.
    pub fit: Fit,
}

/// In a cell of [`Fit::Tree`], stands between a name and what is said beside it. [`clean`] lets none of them through.
///
/// ```
/// use spanring_cli::text::{ASIDE, Fit, Table};
///
/// let mut table = Table::new(&[("span", Fit::Tree(8))]);
/// table.row(vec![format!("load{ASIDE}user=7")]);
/// assert!(table.render(None).contains("load  user=7"));
/// assert!(table.render(Some(8)).contains("load"));
/// ```
pub const ASIDE: char = '\t';

/// What is between them in the table.
const ASIDE_GAP: &str = "  ";

/// How a column is set, and what happens to it if the table is too wide.
///
/// ```
/// use spanring_cli::text::{Fit, Table};
///
/// let mut table = Table::new(&[("where", Fit::Path(8)), ("spans", Fit::Number)]);
/// table.row(vec!["service/src/database/pool.rs:98".to_owned(), "12".to_owned()]);
/// assert!(table.render(Some(24)).contains("pool.rs:98"));
/// ```
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Fit {
    /// Set to the right, and never shortened.
    Number,
    /// Set to the left, and never shortened.
    Word,
    /// Set to the left; shortened in the middle, where names differ least, but not below this width.
    Middle(usize),
    /// The same, but the spaces at the start stay, up to half of the width: they show where in a tree it stands. What comes behind
    /// an [`ASIDE`] is cut off at its end before the rest is shortened.
    Tree(usize),
    /// Set to the left; a path, shortened by its leading directories, then at its start, but not below this width.
    Path(usize),
}

impl Table {
    /// A table without rows.
    ///
    /// ```
    /// use spanring_cli::text::{Fit, Table};
    ///
    /// let table = Table::new(&[("name", Fit::Word), ("spans", Fit::Number)]);
    /// assert!(table.render(None).starts_with("name"));
    /// ```
    pub fn new(columns: &[(&'static str, Fit)]) -> Table {
        let columns = columns.iter().map(|&(title, fit)| Column { title, fit }).collect();
        Table { columns, rows: Vec::new(), tones: Vec::new() }
    }

    /// Adds a row, with a cell for each column.
    ///
    /// ```
    /// use spanring_cli::text::{Fit, Table};
    ///
    /// let mut table = Table::new(&[("spans", Fit::Number)]);
    /// table.row(vec!["12".to_owned()]);
    /// assert_eq!(table.render(None).lines().count(), 2);
    /// ```
    pub fn row(&mut self, cells: Vec<String>) {
        self.row_in(Tone::Plain, cells);
    }

    /// The same, and the row stands out.
    ///
    /// ```
    /// use spanring_cli::text::{Fit, Table, Tone};
    ///
    /// let mut table = Table::new(&[("spans", Fit::Number)]);
    /// table.row_in(Tone::Faint, vec!["12".to_owned()]);
    /// assert_eq!(table.render(None).lines().count(), 2);
    /// ```
    pub fn row_in(&mut self, tone: Tone, cells: Vec<String>) {
        self.rows.push(cells);
        self.tones.push(tone);
    }

    /// The table as text that ends in a line break. With a `width`, its lines are no wider, if the columns' limits allow.
    ///
    /// ```
    /// use spanring_cli::text::{Fit, Table};
    ///
    /// let mut table = Table::new(&[("name", Fit::Middle(6))]);
    /// table.row(vec!["wait for connection".to_owned()]);
    /// assert!(table.render(Some(10)).lines().all(|line| line.chars().count() <= 10));
    /// ```
    pub fn render(&self, width: Option<usize>) -> String {
        let natural: Vec<usize> = (0..self.columns.len()).map(|index| self.natural_width(index)).collect();
        let gaps = self.columns.len().saturating_sub(1);
        let total: usize = natural.iter().sum();
        let width = width.unwrap_or(usize::MAX);
        let gap = if total + 2 * gaps <= width { 2 } else { 1 };
        let widths = self.shrink(natural, width.saturating_sub(gap * gaps));

        let mut grid = Grid::new();
        grid.load_preset(presets::NOTHING);
        grid.set_header(self.columns.iter().map(|column| column.title));
        for row in &self.rows {
            grid.add_row(
                self.columns.iter().zip(&widths).zip(row).map(|((column, &width), cell)| column.fit.set(cell, width)),
            );
        }
        for (index, column) in self.columns.iter().enumerate() {
            let set = grid.column_mut(index).expect("a column for each title");
            set.set_padding((0, if index < gaps { gap as u16 } else { 0 }));
            if column.fit == Fit::Number {
                set.set_cell_alignment(CellAlignment::Right);
            }
        }
        let tones = [Tone::Faint].iter().chain(&self.tones);
        grid.lines().zip(tones).map(|(line, tone)| format!("{}\n", tone.paint(line.trim_end()))).collect()
    }

    fn natural_width(&self, index: usize) -> usize {
        let cells = self.rows.iter().map(|row| width_of(&row[index]));
        cells.chain([self.columns[index].title.width()]).max().unwrap_or(0)
    }

    /// Takes the directories from paths, then from the widest of the columns that can be shortened, until all is within
    /// `available`.
    fn shrink(&self, mut widths: Vec<usize>, available: usize) -> Vec<usize> {
        for (index, column) in self.columns.iter().enumerate().filter(|(_, column)| matches!(column.fit, Fit::Path(_)))
        {
            let file_name = |row: &Vec<String>| row[index].rsplit('/').next().unwrap_or_default().width();
            let comfortable = self.rows.iter().map(file_name).max().unwrap_or(0).max(column.title.width());
            let over = widths.iter().sum::<usize>().saturating_sub(available);
            widths[index] = comfortable.max(widths[index].saturating_sub(over));
        }
        while widths.iter().sum::<usize>() > available {
            let slack = |&index: &usize| widths[index] > self.columns[index].fit.least(widths[index]);
            let Some(widest) = (0..widths.len()).filter(slack).max_by_key(|&index| widths[index]) else {
                break;
            };
            widths[widest] -= 1;
        }
        widths
    }
}

impl Fit {
    fn least(self, natural: usize) -> usize {
        match self {
            Fit::Number | Fit::Word => natural,
            Fit::Middle(least) | Fit::Tree(least) | Fit::Path(least) => least,
        }
    }

    /// A cell, shortened to a width.
    pub(crate) fn set(self, cell: &str, width: usize) -> String {
        if width_of(cell) <= width {
            return cell.replace(ASIDE, ASIDE_GAP);
        }
        if let (Fit::Tree(_), Some((name, aside))) = (self, cell.split_once(ASIDE)) {
            let room = width.saturating_sub(name.width() + ASIDE_GAP.len());
            return if room > LEAST_ASIDE {
                format!("{name}{ASIDE_GAP}{}", cut_off(aside, room))
            } else {
                self.set(name, width)
            };
        }
        let room = width.saturating_sub(1);
        let (head, tail) = match self {
            Fit::Path(_) => {
                match cell.match_indices('/').map(|(slash, _)| &cell[slash + 1..]).find(|end| end.width() <= width) {
                    Some(end) => return end.to_owned(),
                    None => (0, room),
                }
            }
            Fit::Tree(least) => {
                let name = cell.trim_start_matches(' ');
                let indent = (cell.len() - name.len()).min(width / 2);
                return " ".repeat(indent) + &Fit::Middle(least).set(name, width - indent);
            }
            Fit::Middle(_) => (room.div_ceil(2), room / 2),
            Fit::Number | Fit::Word => return cell.to_owned(),
        };
        let head: String = within(cell.chars(), head).collect();
        let tail: Vec<char> = within(cell.chars().rev(), tail).collect();
        format!("{head}…{}", tail.into_iter().rev().collect::<String>())
    }
}

/// What is beside a name is left out rather than cut to so few columns.
const LEAST_ASIDE: usize = 3;

/// Columns that a cell takes.
fn width_of(cell: &str) -> usize {
    cell.split_once(ASIDE).map_or_else(|| cell.width(), |(name, aside)| name.width() + ASIDE_GAP.len() + aside.width())
}

/// A text, cut off at its end if it is wider than `width`.
pub(crate) fn cut_off(text: &str, width: usize) -> String {
    if text.width() <= width {
        return text.to_owned();
    }
    let head: String = within(text.chars(), width.saturating_sub(1)).collect();
    format!("{}…", head.trim_end())
}

/// As many characters as fit into `width` columns of a terminal.
fn within(characters: impl Iterator<Item = char>, width: usize) -> impl Iterator<Item = char> {
    let mut used = 0;
    characters.take_while(move |c| {
        used += c.width().unwrap_or(0);
        used <= width
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_duration_has_three_digits_and_a_unit() {
        let cases = [
            (0, "0ns"),
            (999, "999ns"),
            (1000, "1.00µs"),
            (9_994, "9.99µs"),
            (9_995, "10.0µs"),
            (99_949, "99.9µs"),
            (99_950, "100µs"),
            (999_499, "999µs"),
            (999_500, "1.00ms"),
            (12_345_678, "12.3ms"),
            (1_500_000_000, "1.50s"),
            (999_400_000_000, "999s"),
            (999_600_000_000, "16m40s"),
            (7_200_000_000_000, "2h0m"),
            (1_000_000_000_000_000, "11d13h"),
        ];
        for (ns, text) in cases {
            assert_eq!(duration(ns), text, "{ns} ns");
        }
    }

    #[test]
    fn a_duration_can_be_read_as_it_is_written() {
        for ns in
            [0, 999, 1000, 12_300, 45_600_000, 7_890_000_000, 999_000_000_000, 1_240_000_000_000, 954_000_000_000_000]
        {
            assert_eq!(parse_duration(&duration(ns)), Ok(Duration::from_nanos(ns)), "{ns} ns");
        }
        assert_eq!(parse_duration("250us"), Ok(Duration::from_micros(250)));
        assert_eq!(parse_duration("1.5h"), Ok(Duration::from_secs(5400)));
        assert_eq!(parse_duration("1d2h3m4.5s"), Ok(Duration::from_millis(93_784_500)));
    }

    #[test]
    fn what_is_no_duration_is_refused() {
        for text in ["", "5", "s", "5 s", "5s ", "-5s", "5x", "1.2.3s", ".s", "5s7", "inf s", "99999999999999999999d"] {
            let refused = parse_duration(text).expect_err(text);
            assert!(refused.contains("such as 250ms"), "{refused}");
        }
    }

    #[test]
    fn a_moment_is_shown_in_utc() {
        assert_eq!(moment(0), "1970-01-01 00:00:00.000 UTC");
        assert_eq!(moment(951_782_399_999_000_000), "2000-02-28 23:59:59.999 UTC");
        assert_eq!(moment(951_782_400_000_000_000), "2000-02-29 00:00:00.000 UTC");
        assert_eq!(moment(1_709_251_200_000_000_000), "2024-03-01 00:00:00.000 UTC");
        assert_eq!(moment(4_107_542_400_000_000_000), "2100-03-01 00:00:00.000 UTC");
    }

    #[test]
    fn control_characters_do_not_reach_the_terminal() {
        assert_eq!(clean("GET /"), "GET /");
        assert_eq!(clean("a\n\u{1b}[31mb"), "a\\n\\u{1b}[31mb");
    }

    fn example() -> Table {
        let mut table = Table::new(&[("name", Fit::Middle(6)), ("where", Fit::Path(6)), ("count", Fit::Number)]);
        table.row(vec!["GET /a/rather/long/path/7".into(), "src/service/handlers.rs:120".into(), "12".into()]);
        table.row(vec!["short".into(), "a.rs:1".into(), "34567".into()]);
        table
    }

    #[test]
    fn a_table_without_a_limit_shows_everything() {
        let text = example().render(None);
        assert_eq!(
            text,
            "name                       where                        count\n\
             GET /a/rather/long/path/7  src/service/handlers.rs:120     12\n\
             short                      a.rs:1                       34567\n"
        );
    }

    #[test]
    fn a_table_too_wide_is_shortened_in_the_longest_columns() {
        let text = example().render(Some(40));
        assert_eq!(
            text,
            "name               where           count\n\
             GET /a/ra…g/path/7 handlers.rs:120    12\n\
             short              a.rs:1          34567\n"
        );
        let text = example().render(Some(30));
        assert_eq!(
            text,
            "name         where       count\n\
             GET /a…ath/7 …ers.rs:120    12\n\
             short        a.rs:1      34567\n"
        );
    }

    #[test]
    fn a_tree_keeps_its_shape_when_names_are_shortened() {
        let mut table = Table::new(&[("span", Fit::Tree(6)), ("count", Fit::Number)]);
        table.row(vec!["GET /users".into(), "1".into()]);
        table.row(vec!["  load user 1234567".into(), "2".into()]);
        table.row(vec!["                select from users".into(), "3".into()]);
        assert_eq!(
            table.render(Some(18)),
            "span         count\n\
             GET /users       1\n\
             \x20 load …4567     2\n\
             \x20     sel…rs     3\n"
        );
    }

    #[test]
    fn wide_characters_count_as_wide() {
        let mut table = Table::new(&[("name", Fit::Middle(4)), ("count", Fit::Number)]);
        table.row(vec!["查询用户信息表".into(), "1".into()]);
        for line in table.render(Some(15)).lines() {
            assert!(line.width() <= 15, "{line}");
        }
    }
}
