//! A recording as a table in a Parquet file, for DuckDB, pandas, Polars, DataFusion, Spark and whatever else reads those.
//!
//! One row per span, whose columns `schema` lists, and one per loss, per damage, per value of a counter, and per instant that happened
//! in no span of the recording, told from spans by the column `kind`. (Other instants are in their span's row.) Open
//! spans have no end. What the whole recording holds and lacks stands in the file's key-value metadata as well.
//!
//! A row group holds at most [`ROWS`] rows, sorted by their start. The groups that are written while the recording is read follow
//! each other in time and do not overlap. A span that comes too late for that (see `in_order`: it lasted longer than a window of
//! others, or is open) goes with others of its kind, and with what is no span, into row groups of their own. So a filter by time skips all
//! groups but those of that time and the few of latecomers, by the statistics in the file.

mod schema;

use super::attributes::{ANY, as_float, simple};
use super::in_order::{Held, InOrder};
use super::totals::{Totals, cause_word};
use super::traces::TraceIds;
use super::{ExportError, Exporter, no_numbers};
use crate::spans::{Counter, Instant, Item, thread_label};
use crate::text::count;
use parquet::arrow::ArrowWriter;
use parquet::arrow::arrow_writer::ArrowWriterOptions;
use parquet::basic::{Compression, Encoding, ZstdLevel};
use parquet::errors::ParquetError;
use parquet::file::metadata::{KeyValue, SortingColumn};
use parquet::file::properties::{EnabledStatistics, WriterProperties};
use parquet::schema::types::ColumnPath;
use rustc_hash::FxHashMap;
use schema::{Columns, Other};
use spanring::reader::{Damage, Loss, ProcessFacts, SpanRecord};
use std::io::{self, Write};

/// Rows in a row group.
pub const ROWS: usize = 1 << 17;

/// So many rows are handed to the encoder at once.
const BATCH: usize = 1 << 13;

/// Columns whose values are all different: a dictionary would only cost time. Their differences are small.
const RISING: [&str; 6] =
    ["span_id", "parent_span_id", "start_time_unix_nano", "end_time_unix_nano", "start_time", "end_time"];

/// Writes the table while the recording is read.
///
/// ```
/// use parquet::file::reader::{FileReader, SerializedFileReader};
/// use spanring::reader::{Loss, LossCause, ProcessFacts};
/// use spanring_cli::export::{Exporter, parquet::ParquetWriter};
/// use spanring_cli::spans::Item;
///
/// # let (after_unix_ns, before_unix_ns) = (Some(1_000), Some(3_000));
/// # let loss = Loss { thread: 1, records: 12, cause: LossCause::Dropped, after_unix_ns, before_unix_ns };
/// let facts = ProcessFacts::decode("pid=42\nhost=here\nexecutable=service");
/// let mut table = Vec::new();
/// let mut writer = ParquetWriter::new(&facts, Box::new(&mut table))?;
/// writer.add(&Item::Loss(loss))?;
/// Box::new(writer).finish()?;
/// let table = SerializedFileReader::new(bytes::Bytes::from(table)).expect("a Parquet file");
/// assert_eq!(table.metadata().file_metadata().num_rows(), 1);
/// # Ok::<(), spanring_cli::export::ExportError>(())
/// ```
pub struct ParquetWriter<'w> {
    writer: ArrowWriter<Box<dyn Write + Send + 'w>>,
    trace_ids: TraceIds,
    in_order: InOrder,
    columns: Columns,
    /// The begin of the latest row in the row groups that follow each other.
    reached_ns: u64,
    /// At most half a row group of each.
    latecomers: Vec<Held>,
    others: Vec<Other>,
    /// Values of counters that are no numbers, of a later version.
    no_numbers: u64,
    rows: usize,
    threads: FxHashMap<u32, String>,
    totals: Totals,
}

impl<'w> ParquetWriter<'w> {
    /// Writes the file's head.
    ///
    /// # Errors
    /// If `out` fails.
    ///
    /// ```
    /// use spanring::reader::ProcessFacts;
    /// use spanring_cli::export::{Exporter, parquet::ParquetWriter};
    ///
    /// let facts = ProcessFacts::decode("pid=42\nhost=here\nexecutable=service");
    /// let mut table = Vec::new();
    /// Box::new(ParquetWriter::new(&facts, Box::new(&mut table))?).finish()?;
    /// assert!(table.starts_with(b"PAR1") && table.ends_with(b"PAR1"), "a table without rows is one");
    /// # Ok::<(), spanring_cli::export::ExportError>(())
    /// ```
    pub fn new(facts: &ProcessFacts, out: Box<dyn Write + Send + 'w>) -> Result<ParquetWriter<'w>, ExportError> {
        ParquetWriter::with_rows(facts, out, ROWS)
    }

    /// The same with other row groups than of [`ROWS`], and as many spans held back to put them in order. At least 2.
    ///
    /// # Errors
    /// If `out` fails.
    ///
    /// ```
    /// use parquet::file::reader::{FileReader, SerializedFileReader};
    /// use spanring::reader::{Loss, LossCause, ProcessFacts};
    /// use spanring_cli::export::{Exporter, parquet::ParquetWriter};
    /// use spanring_cli::spans::Item;
    ///
    /// # let (after_unix_ns, before_unix_ns) = (Some(1_000), Some(3_000));
    /// # let loss = Loss { thread: 1, records: 12, cause: LossCause::Dropped, after_unix_ns, before_unix_ns };
    /// let facts = ProcessFacts::decode("pid=42\nhost=here\nexecutable=service");
    /// let mut table = Vec::new();
    /// let mut writer = ParquetWriter::with_rows(&facts, Box::new(&mut table), 2)?;
    /// for _ in 0..5 {
    ///     writer.add(&Item::Loss(loss))?;
    /// }
    /// Box::new(writer).finish()?;
    /// let table = SerializedFileReader::new(bytes::Bytes::from(table)).expect("a Parquet file");
    /// assert!(table.metadata().row_groups().iter().all(|group| group.num_rows() <= 2));
    /// # Ok::<(), spanring_cli::export::ExportError>(())
    /// ```
    pub fn with_rows(
        facts: &ProcessFacts,
        out: Box<dyn Write + Send + 'w>,
        rows: usize,
    ) -> Result<ParquetWriter<'w>, ExportError> {
        let rows = rows.max(2);
        let columns = Columns::new();
        let properties = properties(&columns, facts, rows)?;
        // Readers that know Arrow would else take types from a copy of its schema, and others would not.
        let options = ArrowWriterOptions::new().with_properties(properties).with_skip_arrow_metadata(true);
        let writer = ArrowWriter::try_new_with_options(out, columns.schema(), options).map_err(failed)?;
        Ok(ParquetWriter {
            writer,
            trace_ids: TraceIds::of(facts),
            in_order: InOrder::with_window(rows),
            columns,
            reached_ns: 0,
            latecomers: Vec::new(),
            others: Vec::new(),
            no_numbers: 0,
            rows,
            threads: FxHashMap::default(),
            totals: Totals::default(),
        })
    }

    fn place(&mut self, held: Held) -> Result<(), ExportError> {
        if held.span().begin_ns < self.reached_ns {
            self.latecomers.push(held);
            return if self.latecomers.len() >= self.rows / 2 { self.write_latecomers() } else { Ok(()) };
        }
        self.reached_ns = held.span().begin_ns;
        self.row(&held)
    }

    fn row(&mut self, held: &Held) -> Result<(), ExportError> {
        let name = |thread: u32| self.threads.get(&thread).map(String::as_str);
        self.columns.span(held, self.trace_ids.id(held.root), &name);
        self.write_full_batch()
    }

    fn write_full_batch(&mut self) -> Result<(), ExportError> {
        if self.columns.len() >= BATCH { self.write_batch() } else { Ok(()) }
    }

    fn write_batch(&mut self) -> Result<(), ExportError> {
        let batch = self.columns.finish().map_err(ParquetError::from).map_err(failed)?;
        self.writer.write(&batch).map_err(failed)
    }

    /// Ends the row group.
    fn end_group(&mut self) -> Result<(), ExportError> {
        if self.columns.len() > 0 {
            self.write_batch()?;
        }
        self.writer.flush().map_err(failed)
    }

    /// Writes what came too late, and what is no span, as a row group of its own.
    fn write_latecomers(&mut self) -> Result<(), ExportError> {
        self.end_group()?;
        let mut latecomers = std::mem::take(&mut self.latecomers);
        let mut others = std::mem::take(&mut self.others);
        latecomers.sort_by_key(|held| held.span().begin_ns);
        others.sort_by_key(|other| other.start_ns);
        let mut others = others.into_iter().peekable();
        for held in &latecomers {
            while let Some(other) = others.next_if(|other| other.start_ns <= Some(held.span().begin_ns)) {
                self.other_row(&other)?;
            }
            self.row(held)?;
        }
        for other in others {
            self.other_row(&other)?;
        }
        self.end_group()
    }

    fn other_row(&mut self, other: &Other) -> Result<(), ExportError> {
        let name = |thread: u32| self.threads.get(&thread).map(String::as_str);
        self.columns.other(other, &name);
        self.write_full_batch()
    }

    fn other(&mut self, other: Other) -> Result<(), ExportError> {
        self.others.push(other);
        if self.others.len() >= self.rows / 2 { self.write_latecomers() } else { Ok(()) }
    }
}

impl Exporter for ParquetWriter<'_> {
    fn begun(&mut self, record: &SpanRecord<'_>) {
        self.in_order.begun(record);
    }

    fn add(&mut self, item: &Item<'_>) -> Result<(), ExportError> {
        self.totals.add(item);
        match item {
            Item::Thread(facts) => {
                self.threads.entry(facts.id).or_insert_with(|| thread_label(facts));
                Ok(())
            }
            Item::Span(span) => self.in_order.add(span).map_or(Ok(()), |held| self.place(held)),
            Item::Loss(loss) => self.other(loss_row(loss)),
            Item::Damage(damage) => self.other(damage_row(damage)),
            Item::Instant(instant) => self.other(instant_row(instant)),
            Item::Counter(counter) => match counter_row(counter) {
                Some(row) => self.other(row),
                None => {
                    self.no_numbers += 1;
                    Ok(())
                }
            },
            Item::Details(_) => Ok(()),
        }
    }

    fn finish(mut self: Box<Self>) -> Result<Vec<String>, ExportError> {
        while let Some(held) = self.in_order.take() {
            self.place(held)?;
        }
        self.write_latecomers()?;
        for (key, value) in self.totals.entries() {
            self.writer.append_key_value_metadata(KeyValue::new(key.to_owned(), value.to_string()));
        }
        self.writer.finish().map_err(failed)?;
        self.writer.inner_mut().flush()?;
        let mut remarks = vec!["read it with, for instance: duckdb -c \"SELECT name, count(*), max(duration_nano) FROM 'FILE' GROUP BY name\"".to_owned()];
        if self.no_numbers > 0 {
            remarks.push(no_numbers(self.no_numbers));
        }
        Ok(remarks)
    }
}

fn properties(columns: &Columns, facts: &ProcessFacts, rows: usize) -> Result<WriterProperties, ExportError> {
    let level = ZstdLevel::try_new(1).map_err(failed)?;
    let metadata = [
        ("spanring.session", facts.session.clone()),
        ("spanring.version", facts.version.clone()),
        ("process.pid", facts.pid.to_string()),
        ("process.executable.path", facts.executable.clone()),
        ("host.name", facts.host.clone()),
        ("spanring.boot_id", facts.boot_id.clone()),
        ("spanring.started_unix_ns", facts.started_unix_ns.to_string()),
        ("pandas", schema::pandas_metadata(&columns.schema())),
    ];
    let metadata = metadata.into_iter().map(|(key, value)| KeyValue::new(key.to_owned(), value)).collect();
    let start = columns.schema().index_of("start_time_unix_nano").map_err(ParquetError::from).map_err(failed)?;
    let sorting = SortingColumn { column_idx: start as i32, descending: false, nulls_first: true };
    let mut properties = WriterProperties::builder()
        .set_created_by(concat!("spanring ", env!("CARGO_PKG_VERSION")).to_owned())
        .set_compression(Compression::ZSTD(level))
        .set_max_row_group_row_count(Some(rows))
        .set_statistics_enabled(EnabledStatistics::Page)
        .set_sorting_columns(Some(vec![sorting]))
        .set_key_value_metadata(Some(metadata));
    for column in RISING {
        let path = ColumnPath::from(column);
        properties = properties
            .set_column_dictionary_enabled(path.clone(), false)
            .set_column_encoding(path, Encoding::DELTA_BINARY_PACKED);
    }
    Ok(properties.build())
}

fn loss_row(loss: &Loss) -> Other {
    Other {
        kind: "loss",
        name: format!("{} lost", count(loss.records, "event")),
        start_ns: loss.after_unix_ns,
        end_ns: loss.before_unix_ns,
        thread: Some(loss.thread),
        lost: Some((loss.records, cause_word(loss.cause).to_owned())),
        ..Other::default()
    }
}

fn damage_row(damage: &Damage) -> Other {
    let place = format!("{}, {} at byte {}", damage.path.display(), count(damage.bytes, "byte"), damage.offset);
    Other {
        kind: "damage",
        name: format!("damage: {place}"),
        lost: Some((damage.records, damage.what.to_owned())),
        ..Other::default()
    }
}

fn instant_row(instant: &Instant) -> Other {
    Other {
        kind: "instant",
        name: instant.name.to_string(),
        name_state: Some(instant.name_state),
        start_ns: Some(instant.unix_ns),
        end_ns: Some(instant.unix_ns),
        parent: instant.parent,
        place: instant.place.clone(),
        thread: Some(instant.thread),
        attributes: instant.attributes.clone(),
        ..Other::default()
    }
}

/// `None`: its value is no number.
fn counter_row(counter: &Counter<'_>) -> Option<Other> {
    let nearest = as_float(counter.value)?;
    Some(Other {
        kind: "counter",
        name: counter.name.to_owned(),
        start_ns: Some(counter.unix_ns),
        end_ns: Some(counter.unix_ns),
        parent: counter.span,
        thread: Some(counter.thread),
        counter: Some((simple(counter.value, &ANY).into_owned(), nearest)),
        ..Other::default()
    })
}

fn failed(error: ParquetError) -> ExportError {
    ExportError::Write(match error {
        // What the file's own writer said, with its kind.
        ParquetError::External(error) => match error.downcast::<io::Error>() {
            Ok(error) => *error,
            Err(error) => io::Error::other(error),
        },
        error => io::Error::other(error),
    })
}
