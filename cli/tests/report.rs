//! What a report embeds: that it is what the recording says, whatever that says.

#[path = "common/program.rs"]
mod program;

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use flate2::read::ZlibDecoder;
use program::{run_json, run_refused, run_well};
use serde_json::Value;
use spanring::Recorder;
use spanring::prelude::*;
use spanring::reader::Recording;
use spanring_cli::progress::Silent;
use spanring_cli::report::{Options, Report, Written};
use spanring_cli::spans::{self, Ending, Item};
use std::collections::{BTreeMap, HashMap, HashSet};
use std::fs;
use std::future::{Future, poll_fn};
use std::io::Read;
use std::path::Path;
use std::pin::Pin;
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::task::{Context, Poll, Waker};
use tempfile::TempDir;

/// A page taken apart.
struct Page {
    html: String,
    facts: Value,
    columns: HashMap<String, Vec<u64>>,
}

/// A span as the page has it.
#[derive(Clone, Debug, PartialEq)]
struct Shown {
    id: u64,
    parent: Option<usize>,
    row: u64,
    name: String,
    begin_ns: u64,
    end_ns: Option<u64>,
    ending: u64,
    lane: u64,
}

impl Page {
    fn of(html: String) -> Page {
        let data = html.split_once(r#"id="data">"#).expect("data").1.split_once('<').expect("an end").0;
        let mut bytes = Vec::new();
        let packed = STANDARD.decode(data).expect("base64");
        ZlibDecoder::new(&*packed).read_to_end(&mut bytes).expect("zlib");
        let (length, rest) = bytes.split_first_chunk::<4>().expect("a length");
        let (json, mut rest) = rest.split_at(u32::from_le_bytes(*length) as usize);
        let facts: Value = serde_json::from_slice(json).expect("JSON");
        let mut columns = HashMap::new();
        for name in facts["columns"].as_array().expect("a list") {
            let column = (0..number(&facts["shown"])).map(|_| varint(&mut rest)).collect();
            columns.insert(name.as_str().expect("a name").to_owned(), column);
        }
        assert!(rest.is_empty(), "there is more than the columns");
        Page { html, facts, columns }
    }

    fn rows(&self) -> &Vec<Value> {
        self.facts["rows"].as_array().expect("a list")
    }

    fn spans(&self) -> Vec<Shown> {
        let names: HashMap<u64, &str> =
            self.rows().iter().map(|row| (number(&row["number"]), row["name"].as_str().expect("a name"))).collect();
        let own_names = self.facts["names"].as_array().expect("a list");
        let base: u64 = self.facts["base_unix_ns"].as_str().expect("text").parse().expect("a number");
        let (mut begin_ns, mut id) = (base, 0_u64);
        let count = number(&self.facts["shown"]) as usize;
        let shown = |index: usize| {
            let at = |column: &str| self.columns[column][index];
            begin_ns += at("begin");
            let zigzag = at("id");
            id = id.wrapping_add(((zigzag >> 1) as i64 ^ -((zigzag & 1) as i64)) as u64);
            Shown {
                id,
                parent: at("parent").checked_sub(1).filter(|&before| before > 0).map(|before| index - before as usize),
                row: at("row"),
                name: match at("name") {
                    0 => names[&at("row")].to_owned(),
                    own => own_names[own as usize - 1].as_str().expect("a name").to_owned(),
                },
                begin_ns,
                end_ns: at("end").checked_sub(1).map(|length| begin_ns + length),
                ending: at("flags") & 3 | at("flags") >> 6 & 4,
                lane: at("lane"),
            }
        };
        (0..count).map(shown).collect()
    }
}

fn number(value: &Value) -> u64 {
    value.as_u64().unwrap_or_else(|| panic!("{value} is no number"))
}

fn varint(bytes: &mut &[u8]) -> u64 {
    let mut value = 0;
    for shift in (0..).step_by(7) {
        let (&byte, rest) = bytes.split_first().expect("a number");
        *bytes = rest;
        value |= u64::from(byte & 0x7f) << shift;
        if byte < 0x80 {
            break;
        }
    }
    value
}

/// One recorder at a time can run in a process.
fn turn() -> MutexGuard<'static, ()> {
    static TURN: Mutex<()> = Mutex::new(());
    TURN.lock().unwrap_or_else(PoisonError::into_inner)
}

fn record(work: impl FnOnce()) -> TempDir {
    let _turn = turn();
    let dir = TempDir::new().expect("a directory");
    let recorder = Recorder::builder().directory(dir.path()).ring_bytes(16 << 20).start().expect("it starts");
    work();
    recorder.stop().expect("it stops");
    dir
}

fn open(dir: &TempDir) -> Recording {
    let sessions = spanring::reader::sessions(dir.path()).expect("readable");
    Recording::open(&sessions[0]).expect("a session")
}

fn report(dir: &TempDir, max_spans: usize) -> (Page, Written) {
    let report = Report::read(&open(dir), &Options { max_spans }, &mut Silent).expect("readable");
    let mut page = Vec::new();
    let written = report.write(&mut page).expect("it has room");
    assert_eq!(written.bytes, page.len() as u64);
    (Page::of(String::from_utf8(page).expect("UTF-8")), written)
}

type Task = Pin<Box<dyn Future<Output = ()>>>;

fn poll(task: &mut Task) -> Poll<()> {
    task.as_mut().poll(&mut Context::from_waker(Waker::noop()))
}

/// A future that is ready when it is polled for the second time.
fn once_more() -> impl Future<Output = ()> {
    let mut polled = false;
    poll_fn(move |_| if std::mem::replace(&mut polled, true) { Poll::Ready(()) } else { Poll::Pending })
}

/// `requests` requests that are all there at once, each with two steps at once below it; every third one is cancelled, and
/// the last stays open.
fn traffic(requests: usize) {
    let request = |_| -> Task {
        Box::pin(span_async_named!("request", async {
            let mut steps: [Task; 2] =
                [Box::pin(span_async_named!("step", once_more())), Box::pin(span_async_named!("step", once_more()))];
            poll_fn(move |_| {
                let ready = steps.iter_mut().map(poll).filter(Poll::is_ready).count();
                if ready == 2 { Poll::Ready(()) } else { Poll::Pending }
            })
            .await;
            span_scope!("answer");
        }))
    };
    let mut tasks: Vec<Task> = (0..requests).map(request).collect();
    tasks.iter_mut().for_each(|task| assert!(poll(task).is_pending()));
    std::mem::forget(tasks.pop());
    for (index, mut task) in tasks.into_iter().enumerate() {
        while index % 3 != 0 && poll(&mut task).is_pending() {}
    }
}

#[test]
fn every_span_is_there_as_it_was_recorded() {
    let dir = record(|| traffic(40));
    let (page, written) = report(&dir, 1000);
    let mut recorded = BTreeMap::new();
    spans::read(&open(&dir), &mut |item| {
        if let Item::Span(span) = item {
            recorded.insert(span.id, (span.name.to_owned(), span.begin_ns, span.end_ns, span.parent, span.ending));
        }
    })
    .expect("readable");
    let shown = page.spans();
    assert_eq!((written.spans, written.shown), (recorded.len() as u64, recorded.len() as u64));
    assert!(shown.len() >= 120 && page.facts["chosen"].is_null());
    for span in &shown {
        let parent = span.parent.map_or(0, |parent| shown[parent].id);
        let ending = [Ending::Completed, Ending::Cancelled, Ending::Panicked, Ending::Open, Ending::Failed]
            [span.ending as usize];
        let (name, begin_ns, end_ns, is_parent, has_ending) = recorded.remove(&span.id).expect("recorded, and once");
        assert_eq!((&name, begin_ns, end_ns), (&span.name, span.begin_ns, span.end_ns));
        assert_eq!((is_parent, has_ending), (parent, ending));
    }
    assert!(recorded.is_empty());
}

#[test]
fn the_sums_are_those_of_the_other_commands() {
    let dir = record(|| traffic(40));
    let path = dir.path().to_str().expect("UTF-8");
    let (page, _) = report(&dir, 10);
    let top = run_json(&["top", path]);
    for (row, of_page) in top["rows"].as_array().expect("a list").iter().zip(page.rows()) {
        // The page's histogram is finer, and its own.
        for (key, value) in row.as_object().expect("an object").iter().filter(|(key, _)| *key != "histogram") {
            assert_eq!(&of_page[key], value, "{key}");
        }
        let buckets = |row: &Value| row["histogram"].as_array().expect("a list").clone();
        let ended: u64 = buckets(of_page).iter().map(|bucket| number(&bucket[1])).sum();
        assert_eq!(ended, number(&row["count"]) - number(&row["open"]));
        assert_eq!(ended, buckets(row).iter().map(|bucket| number(&bucket["count"])).sum::<u64>());
    }
    assert_eq!(page.rows().len(), top["rows"].as_array().map_or(0, Vec::len));
    let mut info = run_json(&["info", path]);
    info.as_object_mut().expect("an object").remove("sessions");
    assert_eq!(page.facts["info"], info);
    assert_eq!(page.facts["open"], run_json(&["open", path]));
    let activity =
        |counts: &str| page.facts["activity"][counts].as_array().expect("a list").iter().map(number).sum::<u64>();
    assert_eq!(activity("began"), number(&info["spans"]));
    assert_eq!(activity("ended"), number(&info["spans"]) - number(&info["open_spans"]));
}

#[test]
fn spans_that_are_there_at_the_same_time_have_lanes_of_their_own() {
    let dir = record(|| traffic(60));
    let (page, _) = report(&dir, 10_000);
    let shown = page.spans();
    let mut lanes: BTreeMap<u64, Vec<&Shown>> = BTreeMap::new();
    shown.iter().for_each(|span| lanes.entry(span.lane).or_default().push(span));
    for spans in lanes.values() {
        for pair in spans.windows(2) {
            assert!(pair[0].end_ns.is_some_and(|end| end <= pair[1].begin_ns), "{pair:?}");
        }
    }
    // Each of the requests has two steps below it.
    assert!(lanes.len() >= 180, "{}", lanes.len());
    for span in &shown {
        if let Some(parent) = span.parent.filter(|_| span.name == "step") {
            assert!(shown[parent].lane < span.lane, "{span:?}");
        }
    }
    let bands = page.facts["bands"].as_array().expect("a list");
    let in_bands: u64 = bands.iter().map(|band| number(&band["lanes"])).sum();
    assert_eq!(in_bands, lanes.len() as u64);
}

#[test]
fn of_too_many_spans_what_is_special_stays_and_the_sums_are_of_all() {
    let many = |requests: usize| {
        for _ in 0..requests {
            let mut task: Task = Box::pin(span_async_named!("call", async {
                span_async_named!("part", async {}).await;
            }));
            assert!(poll(&mut task).is_ready());
        }
    };
    let dir = record(|| {
        many(2000);
        let mut slow: Task = Box::pin(span_async_named!("call", async {
            std::thread::sleep(std::time::Duration::from_millis(5));
            span_async_named!("part", async {}).await;
        }));
        assert!(poll(&mut slow).is_ready());
        traffic(10);
        many(2000);
    });
    let (page, written) = report(&dir, 400);
    let shown = page.spans();
    assert!(shown.len() <= 400 && shown.len() >= 100, "{}", shown.len());
    assert_eq!(written.shown, shown.len() as u64);
    assert!(written.spans > 8000);
    let counted: u64 = page.rows().iter().map(|row| number(&row["count"])).sum();
    assert_eq!(counted, written.spans);
    let chosen = &page.facts["chosen"];
    assert!(number(&chosen["slowest"]) > 0 && number(&chosen["one_in_log2"]) > 0, "{chosen}");
    assert_eq!(shown.iter().filter(|span| span.end_ns.is_none()).count() as u64, written.open);
    let cancelled: u64 = page.rows().iter().map(|row| number(&row["cancelled"])).sum();
    assert_eq!(shown.iter().filter(|span| span.ending == 1).count() as u64, cancelled);
    for row in page.rows() {
        let of_row = shown.iter().filter(|span| span.row == number(&row["number"]));
        let slowest = of_row.filter_map(|span| Some(span.end_ns? - span.begin_ns)).max();
        assert_eq!(slowest, row["max_ns"].as_u64(), "{}", row["name"]);
    }
    // What is there of a tree is there whole, but where spans were left out in the middle of it.
    let with_child: HashSet<usize> = shown.iter().filter_map(|span| span.parent).collect();
    let calls = || shown.iter().enumerate().filter(|(_, span)| span.name == "call");
    let whole = calls().filter(|(index, _)| with_child.contains(index)).count();
    assert!(whole > 50 && whole * 20 >= calls().count() * 19, "{whole} of {}", calls().count());
    assert!(shown.iter().all(|span| span.name != "part" || span.parent.is_some()));
}

#[test]
fn of_a_few_too_many_not_many_more_go_than_have_to() {
    const NAMES: [&str; 8] = ["one", "two", "three", "four", "five", "six", "seven", "eight"];
    let dir = record(|| {
        for number in 0..8000 {
            assert!(poll(&mut (Box::pin(span_async_named!(NAMES[number % 8], async {})) as Task)).is_ready());
        }
    });
    let (page, written) = report(&dir, 6667);
    assert_eq!(page.facts["chosen"]["one_in_log2"], 1);
    // Half of those that there is room for because they are slow, and of the others one in two.
    assert!((5400..=5900).contains(&written.shown), "{written:?}");
}

#[test]
fn no_limit_is_too_low() {
    let dir = record(|| traffic(30));
    for limit in 0..20 {
        let (page, written) = report(&dir, limit);
        assert!(page.spans().len() <= limit, "{limit}");
        assert!(written.spans >= 90);
    }
}

#[test]
fn no_name_becomes_a_part_of_the_page() {
    let names = [
        "</script><script>alert(1)</script>",
        "<img src=x onerror=alert(2)>",
        "\"quoted\" 'twice' `thrice` \\",
        "line\nbreak\r\ttab \u{0} nul",
        "\u{202e}desrever\u{2066}",
        "{{data}} ${alert(3)}",
        "𝕱𝖔𝖚𝖗 𝖇𝖞𝖙𝖊𝖘 🦀",
        "",
    ];
    let plain = report(&record(|| {}), 100).0;
    let dir = record(|| {
        for name in names {
            span_scope_named!(name);
        }
    });
    let (page, _) = report(&dir, 100);
    let shown: HashSet<String> = page.spans().into_iter().map(|span| span.name).collect();
    assert_eq!(shown, names.map(str::to_owned).into());
    assert!(!page.html.contains("alert("));
    // But for the data and the word that lets scripts run, it is the page of an empty recording.
    let frame = |page: &Page| {
        let (before, rest) = page.html.split_once(r#"id="data">"#).expect("data");
        let after = rest.split_once('<').expect("an end").1;
        let nonce = before.split_once("'nonce-").expect("a nonce").1.split_once('\'').expect("an end").0;
        format!("{before}{after}").replace(nonce, "")
    };
    assert_eq!(frame(&page), frame(&plain));
}

#[test]
fn attributes_instants_and_counters_are_there_as_they_were_recorded() {
    let hostile = "</script><script>alert(1)</script>\u{202e}";
    let dir = record(|| {
        let mut call: Task = Box::pin(span_async_named!("call", big = u64::MAX, text = hostile, half = -0.5, async {
            instant!("sent", truth = true);
            counter!("queue", 7_u8);
            counter!("queue", -3_i8);
        }));
        assert!(poll(&mut call).is_ready());
        instant!("alone", key = hostile);
    });
    let (page, _) = report(&dir, 100);
    assert!(!page.html.contains("alert("));
    let details = &page.facts["details"][0];
    let call = page.spans().iter().position(|span| span.name == "call").expect("there");
    assert_eq!(number(&details["span"]), call as u64);
    assert_eq!(
        details["attributes"],
        serde_json::json!([["big", "u64", u64::MAX.to_string()], ["text", "text", hostile], ["half", "f64", "-0.5"]])
    );
    assert_eq!(details["instants"][0]["name"], "sent");
    assert_eq!(details["instants"][0]["attributes"], serde_json::json!([["truth", "bool", "true"]]));
    let alone = &page.facts["instants"];
    assert_eq!((alone.as_array().map(Vec::len), &alone[0]["attributes"][0][2]), (Some(1), &hostile.into()));
    let queue = &page.facts["counters"][0];
    let part: Vec<&Value> = ["name", "count", "min", "mean", "max", "last"].iter().map(|part| &queue[*part]).collect();
    assert_eq!(serde_json::json!(part), serde_json::json!(["queue", 2, -3, 2.0, 7, -3]));
    let last = queue["steps"].as_array().and_then(|steps| steps.last()).expect("a step");
    assert_eq!(last[3].as_f64(), Some(-3.0));
}

#[test]
fn an_empty_recording_has_a_page_that_says_so() {
    let (page, written) = report(&record(|| {}), 100);
    assert_eq!((written.spans, written.shown, written.open, written.missing_records), (0, 0, 0, 0));
    assert_eq!((page.spans().len(), page.rows().len()), (0, 0));
    assert!(page.html.contains("Nothing was recorded."));
}

#[test]
fn what_is_lost_is_drawn_and_counted() {
    let _turn = turn();
    let dir = TempDir::new().expect("a directory");
    // Nobody flushes: the ring is full soon.
    let builder = Recorder::builder().directory(dir.path()).ring_bytes(4096);
    let recorder = builder.flush_interval(std::time::Duration::from_secs(3600)).start().expect("it starts");
    for _ in 0..10_000 {
        span_scope!("one of many");
    }
    recorder.stop().expect("it stops");
    let (page, written) = report(&dir, 100_000);
    assert!(written.missing_records > 0);
    let drawn: u64 = page.facts["losses"].as_array().expect("a list").iter().map(|gap| number(&gap["records"])).sum();
    assert_eq!(drawn, written.missing_records);
    assert_eq!(number(&page.facts["info"]["records"]) + drawn, 20_000);
}

#[test]
fn a_directory_without_a_recording_is_refused_and_the_old_report_stays() {
    let dir = TempDir::new().expect("a directory");
    let out = dir.path().join("report.html");
    fs::write(&out, "yesterday's").expect("it has room");
    let text = |path: &Path| path.to_str().expect("UTF-8").to_owned();
    let empty = TempDir::new().expect("a directory");
    let said = run_refused(&["report", &text(empty.path()), "--out", &text(&out)]);
    assert!(said.contains(&text(empty.path())), "{said}");
    assert_eq!(fs::read_to_string(&out).expect("it is there"), "yesterday's");
}

#[test]
fn the_program_says_what_it_wrote() {
    let recording = record(|| traffic(4));
    let out = recording.path().join("report.html");
    let out = out.to_str().expect("UTF-8");
    let said = run_well(&["report", recording.path().to_str().expect("UTF-8"), "--out", out, "--max-spans", "5"]);
    let page = Page::of(fs::read_to_string(out).expect("it is there"));
    let (spans, shown) = (number(&page.facts["info"]["spans"]), page.spans().len());
    assert!(
        said.starts_with(&format!("{out}: {spans} spans, 3 of them open, {shown} shown one by one, 0 events missing")),
        "{said}"
    );
}
