//! Which spans are asked for.
//!
//! ```
//! use spanring_cli::filter::{Condition, Moment, parse_condition, parse_moment};
//!
//! let batch = Condition { key: "batch".to_owned(), value: Some("7".to_owned()) };
//! assert_eq!(parse_condition("batch=7"), Ok(batch));
//! assert_eq!(parse_moment("1970-01-01T00:00:01Z"), Ok(Moment::Unix(1_000_000_000)));
//! ```

use crate::progress::Progress;
use crate::spans::{self, Ending, Item, Span};
use crate::text::parse_duration;
use spanring::reader::{ReadError, Recording, Summary, Value};
use std::time::Duration;

/// What spans have to be like; by default, every span is.
///
/// ```no_run
/// use spanring::reader::Recording;
/// use spanring_cli::filter::Filter;
/// use spanring_cli::progress::Silent;
/// use spanring_cli::spans::{Ending, Item};
///
/// # fn main() -> Result<(), spanring::reader::ReadError> {
/// let filter = Filter { name: Some("query".to_owned()), outcome: vec![Ending::Failed], ..Filter::default() };
/// let recording = Recording::open("recording")?;
/// let mut failed = 0;
/// filter.of(&recording).read(&recording, &mut Silent, &mut |item| {
///     failed += u64::from(matches!(item, Item::Span(_)));
/// })?;
/// println!("{failed} queries failed");
/// # Ok(())
/// # }
/// ```
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
    /// Only spans with this attribute, whatever its value, or with this value of it; may be given several times
    #[arg(long = "where", value_name = "KEY[=VALUE]", value_parser = parse_condition)]
    pub conditions: Vec<Condition>,
}

/// What an attribute has to be like.
///
/// ```
/// use spanring_cli::filter::{Condition, Filter};
///
/// let customer = Condition { key: "customer".to_owned(), value: Some("acme".to_owned()) };
/// let of_customer = Filter { conditions: vec![customer], ..Filter::default() };
/// assert_ne!(of_customer, Filter::default());
/// ```
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Condition {
    /// Its key.
    pub key: String,
    /// Its value, as text; `None`: any.
    pub value: Option<String>,
}

/// A moment that a user names.
///
/// ```
/// use spanring_cli::filter::{Filter, Moment};
/// use std::time::Duration;
///
/// let first_second = Filter { to: Some(Moment::After(Duration::from_secs(1))), ..Filter::default() };
/// ```
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Moment {
    /// Nanoseconds since 1970.
    Unix(u64),
    /// After the recording began.
    After(Duration),
}

/// A [`Filter`] for the spans of one recording.
///
/// ```
/// use spanring_cli::filter::Wanted;
/// use spanring_cli::spans::Item;
///
/// /// To be handed what `spans::read` hands out.
/// fn count(wanted: &Wanted<'_>, item: &Item<'_>, spans: &mut u64) {
///     *spans += u64::from(matches!(item, Item::Span(span) if wanted.has(span)));
/// }
/// ```
#[derive(Clone, Debug)]
pub struct Wanted<'f> {
    filter: &'f Filter,
    from_ns: u64,
    to_ns: u64,
    /// Nothing is asked of a span.
    is_all: bool,
}

impl Filter {
    /// The filter for a recording that began at `started_unix_ns`.
    ///
    /// ```
    /// # use spanring::reader::{NameState, SpanKind};
    /// use spanring_cli::filter::{Filter, Moment};
    /// use spanring_cli::spans::{Ending, Span};
    /// use std::time::Duration;
    ///
    /// # let span = Span {
    /// #     id: 1, parent: 0, depth: 0, kind: SpanKind::Async, name: "load", name_index: None, name_state: NameState::Whole,
    /// #     place: None, ending: Ending::Completed, created_ns: None, begin_ns: 2_000, end_ns: Some(5_000), begin_thread: None,
    /// #     end_thread: None, polls: 1, busy_ns: None, busy_partial: false, begin_lost: false, end_may_be_lost: false, details: None,
    /// # };
    /// let late = Filter { from: Some(Moment::After(Duration::from_secs(1))), ..Filter::default() };
    /// assert!(!late.since(0).has(&span), "it ended after 5 µs");
    /// ```
    pub fn since(&self, started_unix_ns: u64) -> Wanted<'_> {
        let unix_ns = |moment: Moment| match moment {
            Moment::Unix(unix_ns) => unix_ns,
            Moment::After(time) => started_unix_ns.saturating_add(u64::try_from(time.as_nanos()).unwrap_or(u64::MAX)),
        };
        Wanted {
            filter: self,
            from_ns: self.from.map_or(0, unix_ns),
            to_ns: self.to.map_or(u64::MAX, unix_ns),
            is_all: *self == Filter::default(),
        }
    }

    /// The filter for a recording.
    ///
    /// ```no_run
    /// use spanring::reader::Recording;
    /// use spanring_cli::filter::Filter;
    /// use spanring_cli::spans::{self, Item};
    ///
    /// # fn main() -> Result<(), spanring::reader::ReadError> {
    /// let recording = Recording::open("recording")?;
    /// let filter = Filter { target: Some("sqlx".to_owned()), ..Filter::default() };
    /// let wanted = filter.of(&recording);
    /// spans::read(&recording, &mut |item| {
    ///     if let Item::Span(span) = item {
    ///         println!("{}: {}", span.name, wanted.has(&span));
    ///     }
    /// })?;
    /// # Ok(())
    /// # }
    /// ```
    pub fn of(&self, recording: &Recording) -> Wanted<'_> {
        self.since(recording.facts().started_unix_ns)
    }

    /// The same filter for the time in which the span with that id was there, to the last moment if it is open; `None` if there is no
    /// such span.
    ///
    /// # Errors
    /// Those of [`Recording::read`].
    ///
    /// ```no_run
    /// use spanring::reader::Recording;
    /// use spanring_cli::filter::Filter;
    /// use spanring_cli::progress::Silent;
    ///
    /// # fn main() -> Result<(), spanring::reader::ReadError> {
    /// let recording = Recording::open("recording")?;
    /// let queries = Filter { name: Some("query".to_owned()), ..Filter::default() };
    /// let in_the_way = queries.during(4711, &recording, &mut Silent)?;
    /// assert!(in_the_way.is_none_or(|filter| filter.from.is_some() && filter.to.is_some()));
    /// # Ok(())
    /// # }
    /// ```
    pub fn during(
        &self,
        id: u64,
        recording: &Recording,
        progress: &mut dyn Progress,
    ) -> Result<Option<Filter>, ReadError> {
        let mut times = None;
        spans::read_brief(recording, progress, &mut |item| match item {
            Item::Span(span) if span.id == id => times = Some((span.begin_ns, span.end_ns.unwrap_or(u64::MAX))),
            _ => {}
        })?;
        let moment = |unix_ns| Some(Moment::Unix(unix_ns));
        Ok(times.map(|(begin, end)| Filter { from: moment(begin), to: moment(end), ..self.clone() }))
    }
}

impl Wanted<'_> {
    /// Reads what is asked for, and all that is no span: as [`spans::read_brief`] does, unless attributes are asked for.
    ///
    /// # Errors
    /// As of [`spans::read`].
    ///
    /// ```no_run
    /// use spanring::reader::Recording;
    /// use spanring_cli::filter::Filter;
    /// use spanring_cli::progress::Silent;
    /// use spanring_cli::top::{SortBy, Top};
    ///
    /// # fn main() -> Result<(), spanring::reader::ReadError> {
    /// let recording = Recording::open("recording")?;
    /// let filter = Filter { name: Some("query".to_owned()), ..Filter::default() };
    /// let mut top = Top::default();
    /// filter.of(&recording).read(&recording, &mut Silent, &mut |item| top.add(item))?;
    /// println!("{} queries", top.finish(SortBy::Total).spans);
    /// # Ok(())
    /// # }
    /// ```
    pub fn read(
        &self,
        recording: &Recording,
        progress: &mut dyn Progress,
        visit: &mut impl FnMut(&Item<'_>),
    ) -> Result<Summary, ReadError> {
        let mut visit_wanted = |item: Item<'_>| {
            if !matches!(&item, Item::Span(span) if !self.has(span)) {
                visit(&item);
            }
        };
        match self.filter.conditions.is_empty() {
            true => spans::read_brief(recording, progress, &mut visit_wanted),
            false => spans::read_with(recording, progress, &mut visit_wanted),
        }
    }

    /// Whether a span is asked for.
    ///
    /// ```
    /// # use spanring::reader::{NameState, SpanKind};
    /// use spanring_cli::filter::Filter;
    /// use spanring_cli::spans::{Ending, Span};
    ///
    /// # let span = Span {
    /// #     id: 1, parent: 0, depth: 0, kind: SpanKind::Async, name: "load", name_index: None, name_state: NameState::Whole,
    /// #     place: None, ending: Ending::Completed, created_ns: None, begin_ns: 2_000, end_ns: Some(5_000), begin_thread: None,
    /// #     end_thread: None, polls: 1, busy_ns: None, busy_partial: false, begin_lost: false, end_may_be_lost: false, details: None,
    /// # };
    /// let failed = Filter { outcome: vec![Ending::Failed], ..Filter::default() };
    /// assert!(!failed.since(0).has(&span), "it completed");
    /// assert!(Filter::default().since(0).has(&span));
    /// ```
    #[inline]
    pub fn has(&self, span: &Span<'_>) -> bool {
        self.is_all || self.is_like(span)
    }

    fn is_like(&self, span: &Span<'_>) -> bool {
        let Filter { name, target, outcome, conditions, .. } = self.filter;
        (outcome.is_empty() || outcome.contains(&span.ending))
            && span.begin_ns <= self.to_ns
            && span.end_ns.is_none_or(|end| end >= self.from_ns)
            && conditions.iter().all(|condition| condition.holds_for(span))
            && name.as_ref().is_none_or(|name| span.name.contains(name.as_str()))
            && target.as_ref().is_none_or(|target| {
                span.place.is_some_and(|place| {
                    let rest = place.location.target.strip_prefix(target.as_str());
                    rest.is_some_and(|rest| rest.is_empty() || rest.starts_with("::"))
                })
            })
    }
}

impl Condition {
    /// Whether a span has such an attribute.
    ///
    /// ```
    /// # use spanring::reader::{NameState, SpanKind};
    /// use spanring_cli::filter::Condition;
    /// use spanring_cli::spans::{Ending, Span};
    ///
    /// # let span = Span {
    /// #     id: 1, parent: 0, depth: 0, kind: SpanKind::Async, name: "load", name_index: None, name_state: NameState::Whole,
    /// #     place: None, ending: Ending::Completed, created_ns: None, begin_ns: 2_000, end_ns: Some(5_000), begin_thread: None,
    /// #     end_thread: None, polls: 1, busy_ns: None, busy_partial: false, begin_lost: false, end_may_be_lost: false, details: None,
    /// # };
    /// let in_a_batch = Condition { key: "batch".to_owned(), value: None };
    /// assert!(!in_a_batch.holds_for(&span), "it has no attributes");
    /// ```
    pub fn holds_for(&self, span: &Span<'_>) -> bool {
        let Some(value) = span.details.and_then(|details| details.attributes.get(&self.key)) else { return false };
        self.value.as_ref().is_none_or(|wanted| match value {
            Value::Text(text, _) => text == wanted,
            // It can be written in many ways.
            Value::F64(number) => wanted.parse().is_ok_and(|wanted: f64| wanted == number),
            other => other.to_string() == *wanted,
        })
    }
}

/// A condition from text: `KEY`, or `KEY=VALUE`.
///
/// # Errors
/// Without a key.
///
/// ```
/// use spanring_cli::filter::parse_condition;
///
/// assert_eq!(parse_condition("batch").map(|condition| condition.value), Ok(None));
/// assert!(parse_condition("=7").is_err());
/// ```
pub fn parse_condition(text: &str) -> Result<Condition, String> {
    let (key, value) = text.split_once('=').map_or((text, None), |(key, value)| (key, Some(value.to_owned())));
    if key.is_empty() {
        return Err("write the key of an attribute, or a key and a value, such as batch=7".to_owned());
    }
    Ok(Condition { key: key.to_owned(), value })
}

/// A moment from text: `2026-01-31T23:59:59.5Z`, the same with a space and ` UTC` as [`crate::text::moment`] writes it, or a duration.
///
/// # Errors
/// If it is anything else; what to write instead.
///
/// ```
/// use spanring_cli::filter::{Moment, parse_moment};
/// use std::time::Duration;
///
/// assert_eq!(parse_moment("1m30s"), Ok(Moment::After(Duration::from_secs(90))));
/// assert!(parse_moment("yesterday").is_err());
/// ```
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
