//! Which spans are asked for.

use crate::spans::{Ending, Span};
use crate::text::parse_duration;
use spanring::reader::Recording;
use std::time::Duration;

/// What spans have to be like; by default, every span is.
#[derive(Clone, Debug, Default, PartialEq, clap::Args)]
pub struct Filter {
    /// Only spans whose name contains TEXT
    #[arg(long, value_name = "TEXT")]
    pub name: Option<String>,
    /// Only spans whose target is TARGET, or a module in it
    #[arg(long, value_name = "TARGET")]
    pub target: Option<String>,
    /// Only spans that ended like this; may be given several times
    #[arg(long, value_name = "OUTCOME", value_enum)]
    pub outcome: Vec<Ending>,
    /// Only spans that were there at or after this moment: 2026-01-31T23:59:59.5Z, or the time since the recording began, 1m30s
    #[arg(long, value_name = "TIME", value_parser = parse_moment)]
    pub from: Option<Moment>,
    /// Only spans that had begun by this moment
    #[arg(long, value_name = "TIME", value_parser = parse_moment)]
    pub to: Option<Moment>,
}

/// A moment that a user names.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Moment {
    /// Nanoseconds since 1970.
    Unix(u64),
    /// After the recording began.
    After(Duration),
}

/// A [`Filter`] for the spans of one recording.
#[derive(Clone, Debug)]
pub struct Wanted<'f> {
    filter: &'f Filter,
    from_ns: u64,
    to_ns: u64,
}

impl Filter {
    /// The filter for a recording that began at `started_unix_ns`.
    pub fn since(&self, started_unix_ns: u64) -> Wanted<'_> {
        let unix_ns = |moment: Moment| match moment {
            Moment::Unix(unix_ns) => unix_ns,
            Moment::After(time) => started_unix_ns.saturating_add(u64::try_from(time.as_nanos()).unwrap_or(u64::MAX)),
        };
        Wanted { filter: self, from_ns: self.from.map_or(0, unix_ns), to_ns: self.to.map_or(u64::MAX, unix_ns) }
    }

    /// The filter for a recording.
    pub fn of(&self, recording: &Recording) -> Wanted<'_> {
        self.since(recording.facts().started_unix_ns)
    }
}

impl Wanted<'_> {
    /// Whether a span is asked for.
    pub fn has(&self, span: &Span<'_>) -> bool {
        let Filter { name, target, outcome, .. } = self.filter;
        (outcome.is_empty() || outcome.contains(&span.ending))
            && span.begin_ns <= self.to_ns
            && span.end_ns.is_none_or(|end| end >= self.from_ns)
            && name.as_ref().is_none_or(|name| span.name.contains(name.as_str()))
            && target.as_ref().is_none_or(|target| {
                span.place.is_some_and(|place| {
                    let rest = place.location.target.strip_prefix(target.as_str());
                    rest.is_some_and(|rest| rest.is_empty() || rest.starts_with("::"))
                })
            })
    }
}

/// A moment from text: `2026-01-31T23:59:59.5Z`, the same with a space and ` UTC` as [`crate::text::moment`] writes it, or a duration.
///
/// # Errors
/// If it is anything else; what to write instead.
pub fn parse_moment(text: &str) -> Result<Moment, String> {
    if let Ok(after) = parse_duration(text) {
        return Ok(Moment::After(after));
    }
    let parse = || {
        let text = text.strip_suffix('Z').or_else(|| text.strip_suffix(" UTC"))?;
        let (date, time) = text.split_once(['T', ' '])?;
        let [year, month, day] = numbers(date, '-')?;
        let (clock, fraction) = time.split_once('.').unwrap_or((time, ""));
        let [hour, minute, second] = numbers(clock, ':')?;
        let is_time = hour < 24 && minute < 60 && second < 60 && fraction.len() <= 9;
        let nanos: u64 =
            if fraction.is_empty() { 0 } else { fraction.parse::<u64>().ok()? * 10_u64.pow(9 - fraction.len() as u32) };
        let days = crate::text::days_since_1970(year, month, day)?;
        let seconds = ((days * 24 + hour) * 60 + minute) * 60 + second;
        is_time.then(|| Moment::Unix(seconds * 1_000_000_000 + nanos))
    };
    parse().ok_or_else(|| {
        "write a moment such as 2026-01-31T23:59:59.5Z, or the time since the recording began, such as 1m30s".to_owned()
    })
}

fn numbers(text: &str, between: char) -> Option<[u64; 3]> {
    let mut parts =
        text.split(between).map(|part| part.bytes().all(|b| b.is_ascii_digit()).then(|| part.parse().ok())?);
    let numbers = [parts.next()??, parts.next()??, parts.next()??];
    parts.next().is_none().then_some(numbers)
}
