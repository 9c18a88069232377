//! What is embedded, as bytes: JSON for what is small, then a column of numbers for each property of the spans.
//!
//! All of it is one zlib stream, in base64. Decompressed:
//!
//! | bytes | what |
//! |---|---|
//! | 4 | length of the JSON, little-endian |
//! | so many | JSON: [`Facts`] |
//! | the rest | [`COLUMNS`], one after the other, each with a number for every span in the order of their begins |
//!
//! A number is a LEB128 varint: seven bits a byte, the lowest first, the highest bit set in all bytes but the last. Begins and
//! ids are differences from the span before (those of ids in zigzag: `2n` for `n`, `2n - 1` for `-n`), the first begin from
//! [`Facts::base_unix_ns`].

use super::beside::{Happened, OfSpan};
use super::layout::{Band, Layout};
use super::losses::Gap;
use super::sample::{Chosen, Kept, NONE, OPEN};
use super::series::Drawn;
use super::{Activity, Report};
use crate::info::SessionInfo;
use crate::open::OpenReport;
use crate::spans::Ending;
use crate::top::Row;
use serde::Serialize;
use spanring::reader::{NameState, SpanKind};
use std::io::{self, Write};

/// The names of the columns, in their order.
///
/// `end`: 0 if open, else the length in nanoseconds plus 1. `parent`: 0 for none, 1 for one that is not there, else by how
/// many spans it comes before, plus 1. `row`: its number. `name`: 0 if it is called like its row, else its index in the list of names, plus 1.
/// `begin_thread`, `end_thread`: 0 for none, else the thread's id plus 1. `wait`, `busy`: 0 if not known, else nanoseconds plus 1. `flags`: bits 0 and 1 the ending (completed, cancelled, panicked,
/// open), 2 a thread span, 3 begin lost, 4 end may be lost, 5 name cut, 6 name lost, 7 polls were measured but some are missing, 8 it completed with an
/// error.
const COLUMNS: [&str; 13] = [
    "begin",
    "end",
    "id",
    "parent",
    "row",
    "name",
    "lane",
    "begin_thread",
    "end_thread",
    "wait",
    "busy",
    "polls",
    "flags",
];

/// The JSON part.
#[derive(Serialize)]
struct Facts<'a> {
    /// Version of this layout.
    layout: u32,
    columns: &'a [&'static str],
    /// Number of spans in the columns.
    shown: usize,
    /// Times in the page count from here, in nanoseconds since 1970. As text, for JavaScript's numbers are not exact so far up.
    base_unix_ns: String,
    /// When the page was made, after the base.
    made_ns: i64,
    max_spans: usize,
    chosen: Option<Chosen>,
    info: &'a SessionInfo,
    status: Option<WriterStatus>,
    carried_begins: u64,
    rows: Vec<FullRow<'a>>,
    /// Names of spans whose row is for other names.
    names: &'a [Box<str>],
    bands: &'a [Band],
    activity: &'a Activity,
    losses: Vec<PlacedGap<'a>>,
    open: &'a OpenReport,
    /// Of the spans that have attributes or instants.
    details: Vec<OfSpan<'a>>,
    /// Instants in no span, by time.
    instants: Vec<Happened<'a>>,
    more_instants: u64,
    counters: &'a [Drawn],
}

/// A row of `spanring top`, and more.
#[derive(Serialize)]
struct FullRow<'a> {
    number: u32,
    #[serde(flatten)]
    row: &'a Row,
    /// How many of its spans are in the columns.
    shown: u64,
    /// Buckets of its histogram that are not empty.
    histogram: &'a [(u16, u64)],
}

/// What the recorder last said of itself.
#[derive(Serialize)]
struct WriterStatus {
    refused: u64,
    names_lost: u64,
    write_errors: u64,
    last_error: u64,
    unscanned: u64,
    waits: u64,
    spoiled_files: u64,
}

#[derive(Serialize)]
struct PlacedGap<'a> {
    #[serde(flatten)]
    gap: &'a Gap,
    after_ns: Option<i64>,
    before_ns: Option<i64>,
}

impl Report {
    /// Writes the bytes, not compressed.
    pub(super) fn write_columns(&self, out: &mut dyn Write) -> io::Result<()> {
        let base = self.base_unix_ns();
        let json = serde_json::to_vec(&self.facts(base))?;
        let length = u32::try_from(json.len()).map_err(|_| io::Error::other("more than 4 GiB of names"))?;
        out.write_all(&length.to_le_bytes())?;
        out.write_all(&json)?;
        let Layout { parents, lanes, .. } = &self.layout;
        let spans = &self.sample.spans;
        let mut previous = base;
        column(out, spans, |span, _| span.begin_ns - std::mem::replace(&mut previous, span.begin_ns))?;
        column(out, spans, |span, _| if span.end_ns == OPEN { 0 } else { span.end_ns - span.begin_ns + 1 })?;
        let mut previous = 0;
        column(out, spans, |span, _| zigzag(span.id.wrapping_sub(std::mem::replace(&mut previous, span.id)) as i64))?;
        column(out, spans, |span, index| match parents[index] {
            NONE => u64::from(span.parent != 0),
            parent => index as u64 - u64::from(parent) + 1,
        })?;
        column(out, spans, |span, _| u64::from(span.row))?;
        column(out, spans, |span, _| after_none(span.name))?;
        column(out, spans, |_, index| u64::from(lanes[index]))?;
        column(out, spans, |span, _| after_none(span.begin_thread))?;
        column(out, spans, |span, _| after_none(span.end_thread))?;
        column(out, spans, |span, _| span.wait_ns.wrapping_add(1))?;
        column(out, spans, |span, _| span.busy_ns.wrapping_add(1))?;
        column(out, spans, |span, _| u64::from(span.polls))?;
        column(out, spans, |span, _| flags(span))
    }

    /// Nothing shown is earlier.
    fn base_unix_ns(&self) -> u64 {
        let first = self.sample.spans.first().map_or(u64::MAX, |span| span.begin_ns);
        self.info.started_unix_ns.min(first)
    }

    fn details(&self, base: u64) -> Vec<OfSpan<'_>> {
        let with_details = self.sample.spans.iter().enumerate().filter(|(_, span)| span.details != NONE);
        with_details
            .map(|(index, span)| OfSpan::new(index, &self.sample.details[span.details as usize], base))
            .collect()
    }

    fn facts(&self, base: u64) -> Facts<'_> {
        let after_base = |unix_ns: u64| unix_ns.wrapping_sub(base) as i64;
        let mut shown = vec![0; self.top.rows.len()];
        self.sample.spans.iter().for_each(|span| shown[span.row as usize] += 1);
        Facts {
            layout: 1,
            columns: &COLUMNS,
            shown: self.sample.spans.len(),
            base_unix_ns: base.to_string(),
            made_ns: after_base(self.made_unix_ns),
            max_spans: self.max_spans,
            chosen: self.sample.chosen,
            info: &self.info,
            status: self.status.map(|status| WriterStatus {
                refused: status.refused,
                names_lost: status.names_lost,
                write_errors: status.write_errors,
                last_error: status.last_error,
                unscanned: status.unscanned,
                waits: status.waits,
                spoiled_files: status.spoiled_files,
            }),
            carried_begins: self.carried_begins,
            rows: self
                .top
                .rows
                .iter()
                .map(|row| FullRow {
                    number: row.number,
                    row,
                    shown: shown[row.number as usize],
                    histogram: &self.histograms[row.number as usize],
                })
                .collect(),
            names: &self.sample.names,
            bands: &self.layout.bands,
            activity: &self.activity,
            losses: self
                .losses
                .gaps
                .iter()
                .map(|gap| PlacedGap {
                    gap,
                    after_ns: gap.after_unix_ns.map(after_base),
                    before_ns: gap.before_unix_ns.map(after_base),
                })
                .collect(),
            open: &self.open,
            details: self.details(base),
            instants: self.instants.iter().map(|instant| Happened::new(instant, base)).collect(),
            more_instants: self.more_instants,
            counters: &self.counters,
        }
    }
}

fn column(out: &mut dyn Write, spans: &[Kept], mut value: impl FnMut(&Kept, usize) -> u64) -> io::Result<()> {
    let mut bytes = Vec::with_capacity(1 << 16);
    for (index, span) in spans.iter().enumerate() {
        let mut rest = value(span, index);
        while rest >= 0x80 {
            bytes.push(rest as u8 | 0x80);
            rest >>= 7;
        }
        bytes.push(rest as u8);
        if bytes.len() > bytes.capacity() - 16 {
            out.write_all(&bytes)?;
            bytes.clear();
        }
    }
    out.write_all(&bytes)
}

/// Small numbers for small differences, whichever way.
fn zigzag(difference: i64) -> u64 {
    ((difference << 1) ^ (difference >> 63)) as u64
}

/// 0 for [`NONE`], else one more.
fn after_none(number: u32) -> u64 {
    u64::from(number.wrapping_add(1))
}

fn flags(span: &Kept) -> u64 {
    let ending = match span.ending {
        Ending::Completed | Ending::Failed => 0,
        Ending::Cancelled => 1,
        Ending::Panicked => 2,
        Ending::Open => 3,
    };
    let rest = [
        span.kind == SpanKind::Thread,
        span.begin_lost,
        span.end_may_be_lost,
        span.name_state == NameState::Cut,
        span.name_state == NameState::Missing,
        span.busy_partial,
        span.ending == Ending::Failed,
    ];
    rest.iter().zip(2..).fold(ending, |flags, (&is_set, bit)| flags | u64::from(is_set) << bit)
}
