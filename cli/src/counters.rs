//! The counters of a recording: how often each was recorded, and which values it had.
//!
//! ```no_run
//! use spanring::reader::Recording;
//! use spanring_cli::counters;
//! use spanring_cli::progress::Silent;
//!
//! # fn main() -> Result<(), spanring::reader::ReadError> {
//! let recording = Recording::open("recording")?;
//! for row in counters::describe(&recording, &mut Silent)?.counters {
//!     println!("{}: {} values, {:?} on average", row.name, row.count, row.mean);
//! }
//! # Ok(())
//! # }
//! ```

use crate::info::DamageInfo;
use crate::progress::Progress;
use crate::spans::{self, Counter, Item, add};
use rustc_hash::FxHashMap;
use serde::{Serialize, Serializer};
use spanring::reader::{ReadError, Recording, Value};

/// All counters.
///
/// ```
/// use spanring_cli::counters::CountersReport;
///
/// /// Whether the counts are those of everything that was recorded.
/// fn is_whole(report: &CountersReport) -> bool {
///     report.lost_records == 0 && report.damaged == 0
/// }
/// assert!(is_whole(&CountersReport::default()));
/// assert!(!is_whole(&CountersReport { lost_records: 1, ..CountersReport::default() }));
/// ```
#[derive(Clone, Debug, Default, PartialEq, Serialize)]
pub struct CountersReport {
    /// One for each name, in alphabetical order.
    pub counters: Vec<Row>,
    /// Records that are missing from the recording.
    pub lost_records: u64,
    /// Stretches of the recording's files that could not be understood.
    pub damaged: u64,
    /// The first of them.
    pub damage: Option<DamageInfo>,
}

/// The values of one counter.
///
/// ```
/// use spanring::reader::Value;
/// use spanring_cli::counters::{Counters, Number, Row};
/// use spanring_cli::spans::Counter;
///
/// # let counter = |value| Counter { name: "load", name_index: None, span: 0, thread: 1, unix_ns: 1, value };
/// let mut counters = Counters::default();
/// counters.add(&counter(Value::F64(f64::NAN)));
/// counters.add(&counter(Value::F64(0.5)));
/// let row: &Row = &counters.finish()[0];
/// assert_eq!((row.count, row.not_numbers), (2, 1));
/// assert_eq!((row.min, row.mean), (Some(Number::Float(0.5)), Some(0.5)), "of what is a number");
/// ```
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct Row {
    /// What is counted.
    pub name: String,
    /// How often it was recorded.
    pub count: u64,
    /// Of these, values that are no numbers: NaN, or of a type that this version does not know.
    pub not_numbers: u64,
    /// The least value; `None` if there is no number.
    pub min: Option<Number>,
    /// The sum of all values, divided by their number.
    pub mean: Option<f64>,
    /// The greatest value.
    pub max: Option<Number>,
    /// The latest value.
    pub last: Option<Number>,
    /// When that was recorded, in nanoseconds since 1970.
    pub last_unix_ns: u64,
}

/// A value as it was recorded: an integer stays exact.
///
/// ```
/// use spanring_cli::counters::Number;
///
/// assert_eq!(Number::Integer(7).to_string(), "7");
/// ```
#[derive(Clone, Copy, Debug, PartialEq)]
pub enum Number {
    /// A signed or unsigned integer, or 0 and 1 for false and true.
    Integer(i128),
    /// A floating-point number, not NaN.
    Float(f64),
}

impl Number {
    /// The number that a counter has; `None` if it is none.
    ///
    /// ```
    /// use spanring::reader::Value;
    /// use spanring_cli::counters::Number;
    ///
    /// assert_eq!(Number::of(Value::U64(u64::MAX)), Some(Number::Integer(u64::MAX.into())));
    /// assert_eq!(Number::of(Value::F64(f64::NAN)), None);
    /// ```
    pub fn of(value: Value<'_>) -> Option<Number> {
        match value {
            Value::Bool(value) => Some(Number::Integer(value.into())),
            Value::I64(value) => Some(Number::Integer(value.into())),
            Value::U64(value) => Some(Number::Integer(value.into())),
            Value::F64(value) => Some(Number::Float(value)).filter(|_| !value.is_nan()),
            Value::Text(..) | Value::Unknown(..) => None,
        }
    }

    /// The nearest floating-point number.
    ///
    /// ```
    /// use spanring_cli::counters::Number;
    ///
    /// assert_eq!(Number::Integer(7).as_f64(), 7.0);
    /// ```
    pub fn as_f64(self) -> f64 {
        match self {
            Number::Integer(value) => value as f64,
            Number::Float(value) => value,
        }
    }

    fn is_less(self, than: Number) -> bool {
        match (self, than) {
            (Number::Integer(this), Number::Integer(that)) => this < that,
            (this, that) => this.as_f64() < that.as_f64(),
        }
    }
}

impl std::fmt::Display for Number {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Number::Integer(value) => value.fmt(f),
            Number::Float(value) => value.fmt(f),
        }
    }
}

/// As a number; what JSON has no number for, as its name.
impl Serialize for Number {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        match *self {
            // What was recorded is within one of these.
            Number::Integer(value) if value < 0 => serializer.serialize_i64(value as i64),
            Number::Integer(value) => serializer.serialize_u64(value as u64),
            Number::Float(value) if value.is_finite() => serializer.serialize_f64(value),
            Number::Float(value) => serializer.collect_str(&value),
        }
    }
}

/// Adds up counters.
///
/// ```
/// use spanring::reader::Value;
/// use spanring_cli::counters::{Counters, Number};
/// use spanring_cli::spans::Counter;
///
/// let mut counters = Counters::default();
/// for (unix_ns, value) in [(1, 3), (2, 9)] {
///     let value = Value::U64(value);
///     counters.add(&Counter { name: "queue length", name_index: Some(0), span: 0, thread: 1, unix_ns, value });
/// }
/// let rows = counters.finish();
/// assert_eq!((rows[0].count, rows[0].mean, rows[0].last), (2, Some(6.0), Some(Number::Integer(9))));
/// ```
#[derive(Debug, Default)]
pub struct Counters {
    rows: Vec<(Row, Sum)>,
    by_name: FxHashMap<String, usize>,
}

/// The sum of a counter's values: of integers exact, so that it does not depend on their order.
#[derive(Clone, Copy, Debug, Default)]
struct Sum {
    integers: i128,
    floats: f64,
    /// By time, thread and number of arrival, when the latest was.
    latest: (u64, u64),
}

impl Counters {
    /// Adds a value. The number of its row.
    ///
    /// ```
    /// # use spanring::reader::Value;
    /// use spanring_cli::counters::Counters;
    /// # use spanring_cli::spans::Counter;
    ///
    /// # let of = |name| Counter { name, name_index: None, span: 0, thread: 1, unix_ns: 1, value: Value::U64(1) };
    /// let mut counters = Counters::default();
    /// let rows = ["jobs", "errors", "jobs"].map(|name| counters.add(&of(name)));
    /// assert_eq!(rows, [0, 1, 0]);
    /// ```
    pub fn add(&mut self, counter: &Counter<'_>) -> usize {
        let index = self.by_name.get(counter.name).copied().unwrap_or_else(|| {
            self.by_name.insert(counter.name.to_owned(), self.rows.len());
            self.rows.push((Row::new(counter.name), Sum::default()));
            self.rows.len() - 1
        });
        let (row, sum) = &mut self.rows[index];
        row.count += 1;
        match Number::of(counter.value) {
            None => row.not_numbers += 1,
            Some(number) => {
                match number {
                    Number::Integer(value) => sum.integers = sum.integers.saturating_add(value),
                    Number::Float(value) => sum.floats += value,
                }
                row.min = Some(row.min.filter(|min| !number.is_less(*min)).unwrap_or(number));
                row.max = Some(row.max.filter(|max| !max.is_less(number)).unwrap_or(number));
                let this = (counter.unix_ns, row.count);
                if this > sum.latest {
                    sum.latest = this;
                    (row.last, row.last_unix_ns) = (Some(number), counter.unix_ns);
                }
            }
        }
        index
    }

    /// A row for each, in the order in which they were met.
    ///
    /// ```
    /// # use spanring::reader::Value;
    /// use spanring_cli::counters::Counters;
    /// # use spanring_cli::spans::Counter;
    ///
    /// # let of = |name| Counter { name, name_index: None, span: 0, thread: 1, unix_ns: 1, value: Value::U64(1) };
    /// let mut counters = Counters::default();
    /// ["jobs", "errors", "jobs"].iter().for_each(|name| drop(counters.add(&of(name))));
    /// let names: Vec<String> = counters.finish().into_iter().map(|row| row.name).collect();
    /// assert_eq!(names, ["jobs", "errors"]);
    /// ```
    pub fn finish(self) -> Vec<Row> {
        let finished = |(row, sum): (Row, Sum)| {
            let numbers = row.count - row.not_numbers;
            let mean = (numbers > 0).then(|| (sum.integers as f64 + sum.floats) / numbers as f64);
            Row { mean: mean.filter(|mean| mean.is_finite()), ..row }
        };
        self.rows.into_iter().map(finished).collect()
    }
}

impl Row {
    fn new(name: &str) -> Row {
        Row {
            name: name.to_owned(),
            count: 0,
            not_numbers: 0,
            min: None,
            mean: None,
            max: None,
            last: None,
            last_unix_ns: 0,
        }
    }
}

/// Reads a recording and adds up its counters.
///
/// # Errors
/// Those of [`Recording::read`].
///
/// ```no_run
/// use spanring::reader::Recording;
/// use spanring_cli::counters::describe;
/// use spanring_cli::progress::Silent;
///
/// # fn main() -> Result<(), spanring::reader::ReadError> {
/// let report = describe(&Recording::open("recording")?, &mut Silent)?;
/// assert!(report.counters.is_sorted_by_key(|row| &row.name));
/// if report.lost_records > 0 {
///     println!("{} records are missing: there may have been more", report.lost_records);
/// }
/// # Ok(())
/// # }
/// ```
pub fn describe(recording: &Recording, progress: &mut dyn Progress) -> Result<CountersReport, ReadError> {
    let mut report = CountersReport::default();
    let mut counters = Counters::default();
    spans::read_with(recording, progress, &mut |item| match item {
        Item::Counter(counter) => drop(counters.add(&counter)),
        Item::Loss(loss) => add(&mut report.lost_records, loss.records),
        Item::Damage(damage) => {
            report.damaged += 1;
            report.damage.get_or_insert_with(|| DamageInfo::new(&damage));
        }
        _ => {}
    })?;
    report.counters = counters.finish();
    report.counters.sort_by(|a, b| a.name.cmp(&b.name));
    Ok(report)
}
