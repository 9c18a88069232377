//! The Parquet export, read again.
#![cfg(feature = "parquet")]

mod common;
#[path = "common/detailed.rs"]
mod detailed;
#[path = "common/facts.rs"]
mod facts;

use arrow_array::cast::AsArray;
use arrow_array::types::{Float64Type, Int64Type, TimestampMicrosecondType};
use arrow_array::{Array, RecordBatch};
use bytes::Bytes;
use common::{UNIX_NS, begin, full_span, span, threads};
use facts::{SharedBytes, facts, location};
use parquet::arrow::arrow_reader::ParquetRecordBatchReaderBuilder;
use parquet::file::metadata::{ParquetMetaData, RowGroupMetaData};
use parquet::file::statistics::Statistics;
use proptest::prelude::*;
use serde_json::json;
use spanring::reader::{Damage, Loss, LossCause, SpanKind, SpanRecord, ThreadFacts};
use spanring_cli::export::parquet::{ParquetWriter, ROWS};
use spanring_cli::export::traces::TraceIds;
use spanring_cli::export::{ExportError, Exporter};
use spanring_cli::places::Place;
use spanring_cli::spans::{Ending, Item, MOST_INSTANTS, Span};
use std::collections::HashMap;
use std::io::{self, Write};
use std::path::PathBuf;
use std::sync::Arc;

/// What a reader gets out of a file.
struct Table {
    metadata: Arc<ParquetMetaData>,
    rows: RecordBatch,
}

/// Exports with row groups of so many rows.
fn export(rows: usize, feed: impl FnOnce(&mut dyn Exporter)) -> Table {
    let out = SharedBytes::default();
    let mut writer = Box::new(ParquetWriter::with_rows(&facts(), Box::new(out.clone()), rows).expect("it starts"));
    feed(&mut *writer);
    writer.finish().expect("memory takes everything");
    let reader = ParquetRecordBatchReaderBuilder::try_new(Bytes::from(out.take())).expect("a Parquet file");
    let metadata = reader.metadata().clone();
    let schema = reader.schema().clone();
    let mut batches = reader.with_batch_size(1 << 20).build().expect("readable");
    let rows = batches.next().map_or_else(|| RecordBatch::new_empty(schema), |batch| batch.expect("readable"));
    assert!(batches.next().is_none(), "everything is in one batch");
    Table { metadata, rows }
}

fn export_items(rows: usize, items: &[Item<'_>]) -> Table {
    export(rows, |writer| items.iter().for_each(|item| writer.add(item).expect("taken")))
}

impl Table {
    fn text(&self, column: &str, row: usize) -> Option<&str> {
        let column = self.rows.column_by_name(column).expect("there").as_string::<i32>();
        column.is_valid(row).then(|| column.value(row))
    }

    fn number(&self, column: &str, row: usize) -> Option<i64> {
        let column = self.rows.column_by_name(column).expect("there").as_primitive::<Int64Type>();
        column.is_valid(row).then(|| column.value(row))
    }

    fn micros(&self, column: &str, row: usize) -> Option<i64> {
        let column = self.rows.column_by_name(column).expect("there").as_primitive::<TimestampMicrosecondType>();
        column.is_valid(row).then(|| column.value(row))
    }

    fn yes(&self, column: &str, row: usize) -> Option<bool> {
        let column = self.rows.column_by_name(column).expect("there").as_boolean();
        column.is_valid(row).then(|| column.value(row))
    }

    /// Rows by span id.
    fn spans(&self) -> HashMap<i64, usize> {
        (0..self.rows.num_rows()).filter_map(|row| Some((self.number("span_id", row)?, row))).collect()
    }

    fn metadata(&self, key: &str) -> &str {
        let entries = self.metadata.file_metadata().key_value_metadata().expect("there are some");
        entries.iter().find(|entry| entry.key == key).and_then(|entry| entry.value.as_deref()).expect("it is there")
    }
}

/// The least and the greatest start in a row group, by its statistics.
fn starts(group: &RowGroupMetaData) -> (i64, i64) {
    let column = group.columns().iter().find(|column| column.column_path().string() == "start_time_unix_nano");
    match column.expect("there").statistics() {
        Some(Statistics::Int64(known)) => (*known.min_opt().expect("known"), *known.max_opt().expect("known")),
        other => panic!("{other:?}"),
    }
}

#[test]
fn instants_beyond_those_that_are_kept_are_counted() {
    let table = export(ROWS, detailed::feed_crowd);
    assert_eq!(table.number("dropped_events_count", 0), Some(2));
    let events: Vec<serde_json::Value> = serde_json::from_str(table.text("events", 0).expect("some")).expect("a list");
    assert_eq!(events.len(), MOST_INSTANTS);
}

#[test]
fn attributes_and_instants_are_text_in_json_and_counters_rows_of_their_own() {
    let table = export(ROWS, detailed::feed);
    let rows_of =
        |kind: &str| (0..table.rows.num_rows()).filter(|row| table.text("kind", *row) == Some(kind)).collect();
    let json = |column, row| -> serde_json::Value {
        serde_json::from_str(table.text(column, row).expect("some")).expect("JSON")
    };
    let span = table.spans()[&7];
    let expected = json!({
        "truth": true,
        "least": i64::MIN,
        "most": u64::MAX,
        "tenth": 0.1,
        "none": "NaN",
        "\"\n\u{1F980}": "a \"text\"\n\u{1F980}",
        "cut": "the beg",
        "thread.id": -5,
    });
    assert_eq!((json("attributes", span), json("cut_attributes", span)), (expected, json!(["cut"])));
    assert_eq!(table.number("dropped_attributes_count", span), Some(1));
    let event = json!({ "name": "i", "time_unix_nano": UNIX_NS + 10, "thread.id": 1, "attributes": { "size": 3 } });
    assert_eq!(json("events", span), json!([event]));
    let alone: Vec<usize> = rows_of("instant");
    let [alone] = alone[..] else { panic!("{alone:?}") };
    assert_eq!(
        (table.number("start_time_unix_nano", alone), table.number("span_id", alone)),
        (Some(UNIX_NS as i64 + 20), None)
    );
    let counters: Vec<usize> = rows_of("counter");
    let values = table.rows.column_by_name("counter_value").expect("there").as_primitive::<Float64Type>();
    let values: Vec<_> =
        counters.iter().map(|row| (table.text("name", *row), values.value(*row), json("attributes", *row))).collect();
    let (queue, load) = (Some("queue"), Some("load"));
    let expected = [
        (queue, -1.0, json!({ "value": -1 })),
        (queue, u64::MAX as f64, json!({ "value": u64::MAX })),
        (load, 0.25, json!({ "value": 0.25 })),
        (load, f64::INFINITY, json!({ "value": "inf" })),
    ];
    assert_eq!(values, expected);
    let sums =
        ["attributes", "instants", "counter_values"].map(|what| table.metadata(&format!("spanring.{what}")).to_owned());
    assert_eq!(sums, ["9", "2", "5"]);
}

#[test]
fn a_span_becomes_a_row_with_everything_that_is_known() {
    let unix_ns = UNIX_NS;
    let place = Place { index: 0, location: location() };
    let span = full_span(&place);
    let threads = threads();
    let table = export_items(ROWS, &[Item::Thread(&threads[0]), Item::Thread(&threads[1]), Item::Span(span)]);
    assert_eq!(table.rows.num_rows(), 1);
    let texts = [
        ("kind", "async"),
        ("name", "que\"ry\n\u{1f980}"),
        ("name_state", "cut"),
        ("outcome", "panicked"),
        ("status_code", "ERROR"),
        ("code.file.path", "src/db.rs"),
        ("module_path", "service::db"),
        ("target", "service"),
        ("thread.name", "worker a"),
        ("end_thread.name", "thread 2"),
    ];
    for (column, expected) in texts {
        assert_eq!(table.text(column, 0), Some(expected), "{column}");
    }
    let begin_ns = unix_ns as i64;
    let numbers = [
        ("span_id", 8),
        ("parent_span_id", 3),
        ("start_time_unix_nano", begin_ns),
        ("end_time_unix_nano", begin_ns + 501),
        ("duration_nano", 501),
        ("created_time_unix_nano", begin_ns - 7),
        ("wait_nano", 7),
        ("busy_nano", 400),
        ("idle_nano", 101),
        ("polls", 9),
        ("code.line.number", 12),
        ("thread.id", 1),
        ("end_thread.id", 2),
    ];
    for (column, expected) in numbers {
        assert_eq!(table.number(column, 0), Some(expected), "{column}");
    }
    assert_eq!(table.micros("start_time", 0), Some(1_790_000_000_123_456));
    assert_eq!(table.micros("end_time", 0), Some(1_790_000_000_123_457));
    assert_eq!((table.yes("begin_lost", 0), table.yes("end_may_be_lost", 0)), (Some(true), Some(false)));
    assert_eq!(table.text("trace_id", 0), Some(format!("{:032x}", TraceIds::of(&facts()).id(3)).as_str()));
    assert_eq!((table.text("loss_cause", 0), table.number("lost_records", 0)), (None, None));
}

#[test]
fn an_open_span_has_no_end_and_a_root_no_parent() {
    let open = Span { ending: Ending::Open, end_ns: None, end_thread: None, polls: 0, ..span(1, 1000, 0) };
    let table = export_items(ROWS, &[Item::Span(open), Item::Span(span(2, 2000, 2000))]);
    assert_eq!((table.text("outcome", 0), table.text("status_code", 0)), (Some("open"), Some("UNSET")));
    for column in ["end_time_unix_nano", "duration_nano", "parent_span_id", "polls", "end_thread.id"] {
        assert_eq!(table.number(column, 0), None, "{column}");
    }
    assert_eq!(table.micros("end_time", 0), None);
    assert_eq!((table.number("duration_nano", 1), table.number("polls", 1)), (Some(0), Some(1)));
    assert_eq!((table.metadata("spanring.spans"), table.metadata("spanring.open_spans")), ("2", "1"));
}

#[test]
fn losses_and_damage_are_rows_of_their_own_and_sums_in_the_metadata() {
    let thread = ThreadFacts { id: 1, os_id: 50, name: "worker".to_owned() };
    let loss = |records, after_unix_ns| {
        let cause = LossCause::Overwritten;
        Item::Loss(Loss { thread: 1, records, cause, after_unix_ns, before_unix_ns: Some(9000) })
    };
    let damage =
        Damage { path: PathBuf::from("segment"), offset: 64, bytes: 128, records: 2, what: "the checksum is wrong" };
    let items = [
        Item::Thread(&thread),
        loss(5, Some(7000)),
        Item::Span(span(1, 1000, 2000)),
        loss(1, None),
        Item::Damage(damage),
    ];
    let table = export_items(ROWS, &items);
    let rows = |kind: &str| -> Vec<usize> {
        (0..table.rows.num_rows()).filter(|&row| table.text("kind", row) == Some(kind)).collect()
    };
    let [unknown, known] = rows("loss")[..] else { panic!("two losses") };
    assert_eq!((table.text("name", known), table.number("lost_records", known)), (Some("5 events lost"), Some(5)));
    assert_eq!(
        (table.text("loss_cause", known), table.text("thread.name", known)),
        (Some("overwritten"), Some("worker"))
    );
    let times = |row| (table.number("start_time_unix_nano", row), table.number("end_time_unix_nano", row));
    assert_eq!((times(known), times(unknown)), ((Some(7000), Some(9000)), (None, Some(9000))));
    assert_eq!((table.number("span_id", known), table.text("outcome", known)), (None, None));
    let [damaged] = rows("damage")[..] else { panic!("one damage") };
    assert_eq!(table.text("name", damaged), Some("damage: segment, 128 bytes at byte 64"));
    assert_eq!(
        (table.text("loss_cause", damaged), table.number("lost_records", damaged)),
        (Some("the checksum is wrong"), Some(2))
    );
    let sums = ["spans", "open_spans", "overwritten_records", "dropped_records", "damaged_records", "damages"];
    let sums = sums.map(|sum| table.metadata(&format!("spanring.{sum}")));
    assert_eq!(sums, ["1", "0", "6", "0", "2", "1"]);
    assert_eq!((table.metadata("process.pid"), table.metadata("host.name")), ("42", "here"));
}

#[test]
fn an_empty_recording_is_a_table_without_rows() {
    let table = export_items(ROWS, &[]);
    assert_eq!((table.rows.num_rows(), table.metadata("spanring.spans")), (0, "0"));
}

#[test]
fn row_groups_follow_each_other_in_time_and_latecomers_have_their_own() {
    // Each lasts as long as a few others, but for every thousandth, which lasts until the end.
    let spans = (1..=20_000).map(|id| {
        let lasting = if id % 1000 == 0 { 10_000_000 } else { (id * 7919) % 500 };
        span(id, id * 100, id * 100 + lasting)
    });
    let mut spans: Vec<_> = spans.collect();
    spans.sort_by_key(|span| span.end_ns);
    let items: Vec<_> = spans.iter().map(|span| Item::Span(*span)).collect();
    let table = export_items(1024, &items);
    assert_eq!(table.spans().len(), 20_000);
    let groups = table.metadata.row_groups();
    let main = &groups[..groups.len() - 1];
    for (before, after) in main.iter().zip(&main[1..]) {
        assert_eq!(before.num_rows(), 1024);
        assert!(starts(before).1 <= starts(after).0, "{:?} {:?}", starts(before), starts(after));
    }
    // Those of the last window find their place, and two had been held when the first of the latecomers was due.
    let late = groups.last().expect("there are some").num_rows();
    assert!((10..=20).contains(&late), "{late}");
    let mut row = 0;
    for group in groups {
        let rows = row..row + group.num_rows() as usize;
        let begins: Vec<_> = rows.clone().map(|row| table.number("start_time_unix_nano", row)).collect();
        assert!(begins.is_sorted());
        assert_eq!(starts(group), (begins[0].expect("set"), begins[begins.len() - 1].expect("set")));
        assert!(group.sorting_columns().is_some_and(|columns| columns.len() == 1));
        row = rows.end;
    }
    // A filter by time reads one row group, or two at a boundary, and the latecomers.
    let wanted = 1_000_000..1_001_000;
    let read = groups.iter().filter(|group| starts(group).0 < wanted.end && starts(group).1 >= wanted.start).count();
    assert!((2..=3).contains(&read), "{read} of {}", groups.len());
}

#[test]
fn a_root_and_everything_below_it_are_one_trace() {
    // 2 is made in 1, 3 in 2, and 1 ends before 3 does. 4 is made in 9, of which nothing is known; 5 in 4. 6 is a scope in 3.
    let made = |id, parent| SpanRecord { parent_span_id: parent, ..begin(id, 1, id * 10) };
    let ended = |id, parent, end_ns| Span { parent, ..span(id, id * 10, end_ns) };
    let table = export(ROWS, |writer| {
        // The begin of a parent can be read after its child.
        [made(3, 2), made(1, 0), made(2, 1), made(5, 4), made(4, 9)].iter().for_each(|record| writer.begun(record));
        let scope = Span { kind: SpanKind::Thread, ..ended(6, 3, 70) };
        let spans = [scope, ended(1, 0, 100), ended(3, 2, 200), ended(2, 1, 300), ended(5, 4, 310), ended(4, 9, 320)];
        spans.iter().for_each(|span| writer.add(&Item::Span(*span)).expect("taken"));
    });
    let ids = TraceIds::of(&facts());
    for (span, row) in table.spans() {
        let root = if span == 4 || span == 5 { 9 } else { 1 };
        assert_eq!(table.text("trace_id", row), Some(format!("{:032x}", ids.id(root)).as_str()), "{span}");
    }
}

#[test]
fn what_a_file_refuses_is_said() {
    struct Full;
    impl Write for Full {
        fn write(&mut self, _: &[u8]) -> io::Result<usize> {
            Err(io::ErrorKind::StorageFull.into())
        }

        fn flush(&mut self) -> io::Result<()> {
            Ok(())
        }
    }
    let failed = ParquetWriter::new(&facts(), Box::new(Full)).and_then(|writer| Box::new(writer).finish());
    assert!(matches!(failed, Err(ExportError::Write(error)) if error.kind() == io::ErrorKind::StorageFull));
}

fn any_span() -> impl Strategy<Value = Span<'static>> {
    let times = (any::<u32>(), prop::option::of(any::<u32>()));
    (times, 0..50_u64, any::<u16>(), any::<u32>(), any::<bool>()).prop_map(
        |((begin_ns, lasting), parent, depth, polls, scope)| {
            let begin_ns = u64::from(begin_ns);
            Span {
                parent,
                depth,
                polls,
                kind: if scope { SpanKind::Thread } else { SpanKind::Async },
                end_ns: lasting.map(|lasting| begin_ns + u64::from(lasting)),
                ending: if lasting.is_some() { Ending::Cancelled } else { Ending::Open },
                ..span(0, begin_ns, 0)
            }
        },
    )
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(64))]

    #[test]
    fn every_span_comes_out_once_and_exact(spans in prop::collection::vec(any_span(), 0..200), rows in 2..40_usize) {
        let spans: Vec<_> = spans.into_iter().zip(1..).map(|(span, id)| Span { id, ..span }).collect();
        let items: Vec<_> = spans.iter().map(|span| Item::Span(*span)).collect();
        let table = export_items(rows, &items);
        prop_assert_eq!(table.rows.num_rows(), spans.len());
        let found = table.spans();
        for span in &spans {
            let row = found[&(span.id as i64)];
            let signed = |value: u64| value as i64;
            prop_assert_eq!(table.number("start_time_unix_nano", row), Some(signed(span.begin_ns)));
            prop_assert_eq!(table.number("end_time_unix_nano", row), span.end_ns.map(signed));
            prop_assert_eq!(table.number("duration_nano", row), span.duration_ns().map(signed));
            prop_assert_eq!(table.number("parent_span_id", row), (span.parent != 0).then_some(signed(span.parent)));
            prop_assert_eq!(table.text("outcome", row), Some(span.ending.word()));
            prop_assert_eq!(table.text("kind", row), Some(if span.kind == SpanKind::Async { "async" } else { "thread" }));
        }
    }
}
