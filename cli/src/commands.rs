//! What each command does: reads, and prints what came of it.

use crate::arguments::{Arguments, Asked, Command, Sort, Source};
use crate::output::{Stop, check, damaged, failure, height, input, print, print_json, redrawn, width};
use clap::CommandFactory;
use spanring::reader::{self, ReadError, Recording, WriterState};
use spanring_cli::counters;
use spanring_cli::demo::{self, DemoError};
use spanring_cli::diff::{self, Side};
use spanring_cli::doctor;
use spanring_cli::export::{self, Destination, ExportError, Format};
use spanring_cli::filter::Filter;
use spanring_cli::info::{self, Listed, SessionInfo};
use spanring_cli::live::Live;
use spanring_cli::progress::{Bar, Progress};
use spanring_cli::report::{self, Report};
use spanring_cli::snapshot::{self, SnapshotError};
use spanring_cli::spans::Item;
use spanring_cli::tail::{self, Tail};
use spanring_cli::text::count;
use spanring_cli::top::Top;
use spanring_cli::trees::{self, Choice};
use spanring_cli::{open, paths, render};
use std::fs::File;
use std::io::{self, BufWriter, Write};
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

/// Does what was asked for.
///
/// # Errors
/// Why it cannot be done, or was not done whole.
pub fn run(command: Command) -> Result<(), Stop> {
    match command {
        Command::Demo { out, seconds } => run_demo(out, seconds),
        Command::Info { source, json } => show_info(&source, json),
        Command::Top { source, json, sort, limit, live: true, window, every, looks, asked } => {
            watch(&source, json, sort, limit, &Watch { window, every, looks }, &asked)
        }
        Command::Top { source, json, sort, limit, asked, .. } => show_top(&source, json, sort, limit, &asked),
        Command::Slow { source, json, limit, rows, asked } => {
            show_trees(&source, json, rows, &asked, &Choice::Slowest(limit))
        }
        Command::Tree { source, json, aggregate: true, rows, asked, .. } => show_paths(&source, json, rows, &asked),
        Command::Tree { source, json, span, limit, rows, asked, .. } => {
            let choice = if span.is_empty() { Choice::Roots(limit) } else { Choice::Ids(span) };
            show_trees(&source, json, rows, &asked, &choice)
        }
        Command::Open { source, json, limit, min_age, asked } => {
            show_open(&source, json, limit, min_age.unwrap_or_default(), &asked)
        }
        Command::Counters { source, json } => show_counters(&source, json),
        Command::Snapshot { source, json, reason, wait } => take_snapshot(&source, json, &reason, wait),
        Command::Diff { before, after, json, limit, partial, filter } => {
            show_diff(&before, &after, json, limit, partial, &filter)
        }
        Command::Tail { source, json, last, filter } => follow(&source, json, last, &filter),
        Command::Report { source, out, max_spans } => write_report(&source, &out, max_spans),
        Command::Export { source, format, out, options, json } => {
            export(&source, format, &options, &Destination::parse(&out), json)
        }
        Command::Doctor { dir, json } => examine(&dir, json),
        Command::DoctorVictim { dir } => doctor::be_killed(&dir).map_err(input),
        Command::Completions { shell } => {
            let mut script = Vec::new();
            clap_complete::generate(shell, &mut Arguments::command(), "spanring", &mut script);
            print(&String::from_utf8_lossy(&script))
        }
        Command::Man => print(&manual().map_err(failure)?),
    }
}

fn examine(directory: &Path, json: bool) -> Result<(), Stop> {
    let examination = doctor::examine(directory);
    if json {
        print_json(&examination)?;
    } else {
        print(&render::doctor(&examination, width()))?;
    }
    if examination.healthy { Ok(()) } else { Err(failure("something does not work, see above")) }
}

/// The manual page of the program, then that of each command.
fn manual() -> io::Result<String> {
    let mut page = Vec::new();
    let mut program = Arguments::command();
    program.build();
    clap_mangen::Man::new(program.clone()).render(&mut page)?;
    for command in program.get_subcommands().filter(|command| !command.is_hide_set()) {
        let command = command.clone().name(command.get_bin_name().unwrap_or_default().to_owned());
        let page_of_command = clap_mangen::Man::new(command.clone());
        writeln!(page, ".SH {}", command.get_name().to_uppercase())?;
        page_of_command.render_description_section(&mut page)?;
        page_of_command.render_synopsis_section(&mut page)?;
        page_of_command.render_options_section(&mut page)?;
    }
    Ok(String::from_utf8_lossy(&page).into_owned())
}

fn run_demo(out: PathBuf, seconds: u64) -> Result<(), Stop> {
    let options = demo::Options { directory: out, seconds };
    // If nobody reads this, the demo goes on: its recording is what counts.
    let report = demo::run(&options, &mut |line| drop(print(&format!("{line}\n"))));
    let report = report.map_err(|error| match error {
        DemoError::Start(_) => input(error),
        _ => failure(error),
    })?;
    let mut text = format!("\n{}\n", render::top(&report.top, 25, width()));
    text.push_str(&report.summary());
    print(&text)
}

fn show_info(source: &Source, json: bool) -> Result<(), Stop> {
    let (recording, sessions) = find(source)?;
    let info = info::describe(&recording).map_err(input)?;
    let listed = if source.session.is_none() { info::list(&sessions) } else { Vec::new() };
    if json {
        #[derive(serde::Serialize)]
        struct Shown<'a> {
            #[serde(flatten)]
            info: &'a SessionInfo,
            sessions: &'a [Listed],
        }
        return print_json(&Shown { info: &info, sessions: &listed });
    }
    let mut text = String::new();
    if listed.len() > 1 {
        text.push_str(&render::sessions(&listed, width()));
        text.push_str("\nThe newest of these (another: --session NAME):\n\n");
    }
    text.push_str(&render::info(&info, width()));
    print(&text)
}

fn show_top(source: &Source, json: bool, sort: Sort, limit: Option<usize>, asked: &Asked) -> Result<(), Stop> {
    let (recording, _) = find(source)?;
    let filter = &filter_of(&recording, asked)?;
    let mut top = Top::default();
    let late = read_wanted(&recording, filter, &mut |item| top.add(item))?;
    let mut report = top.finish(sort.into());
    check(report.damage.as_ref(), report.damaged, source.partial)?;
    say_late("", late, filter);
    say_nothing(&recording, report.spans)?;
    if json {
        if let Some(limit) = limit.filter(|&limit| limit > 0) {
            report.rows.truncate(limit);
        }
        return print_json(&report);
    }
    print(&render::top(&report, limit.unwrap_or(30), width()))
}

/// The filter that is asked for.
fn filter_of(recording: &Recording, asked: &Asked) -> Result<Filter, Stop> {
    let Some(id) = asked.during else { return Ok(asked.filter.clone()) };
    let filter = asked.filter.during(id, recording, &mut Bar::new(recording, "searching")).map_err(input)?;
    filter.ok_or_else(|| no_such_span(recording))
}

fn no_such_span(recording: &Recording) -> Stop {
    input(format!("{}: there is no span of that id", recording.path().display()))
}

/// Reads what is asked for. Returns how many attributes came too late for their span.
fn read_wanted(recording: &Recording, filter: &Filter, visit: &mut impl FnMut(&Item<'_>)) -> Result<u64, Stop> {
    let (mut bar, mut late) = (Bar::new(recording, "reading"), 0);
    let mut add = |item: &Item<'_>| {
        if let Item::Details(totals) = item {
            late = totals.late_attributes;
        }
        visit(item);
    };
    filter.of(recording).read(recording, &mut bar, &mut add).map_err(input)?;
    Ok(late)
}

/// How to watch.
struct Watch {
    window: Duration,
    every: Duration,
    looks: Option<u64>,
}

fn watch(
    source: &Source,
    json: bool,
    sort: Sort,
    limit: Option<usize>,
    watch: &Watch,
    asked: &Asked,
) -> Result<(), Stop> {
    /// Of the time, so much is spent looking at most: a fifth.
    const PAUSE: u32 = 4;
    let (mut recording, _) = find(source)?;
    let path = recording.path().to_owned();
    let filter = filter_of(&recording, asked)?;
    let wanted = filter.of(&recording);
    let mut live = Live::default();
    for number in 1.. {
        let began = Instant::now();
        let height = height();
        let (rows, oldest) = render::rows_of_live(height);
        let view = live.look(&recording, &wanted, watch.window, sort.into(), oldest).map_err(input)?;
        if json {
            print(&(serde_json::to_string(&view).map_err(failure)? + "\n"))?;
        } else {
            let text = render::live(&view, limit.unwrap_or(rows), width());
            print(&if height.is_some() { redrawn(&text, height) } else { text + "\n" })?;
        }
        if recording.writer() != WriterState::Running || watch.looks.is_some_and(|looks| number >= looks) {
            break;
        }
        std::thread::sleep(watch.every.max(began.elapsed() * PAUSE));
        recording = Recording::open(&path).map_err(input)?;
    }
    Ok(())
}

fn show_trees(source: &Source, json: bool, rows: usize, asked: &Asked, choice: &Choice) -> Result<(), Stop> {
    let (recording, _) = find(source)?;
    let filter = filter_of(&recording, asked)?;
    let bar = &mut || -> Box<dyn Progress> { Box::new(Bar::new(&recording, "searching")) };
    let report = trees::describe(&recording, &filter.of(&recording), choice, bar).map_err(input)?;
    check(report.damage.as_ref(), report.damaged, source.partial)?;
    if let (Choice::Ids(_), true) = (choice, report.trees.is_empty()) {
        return Err(no_such_span(&recording));
    }
    say_nothing(&recording, report.candidates)?;
    if json { print_json(&report) } else { print(&render::trees(&report, rows, width())) }
}

fn take_snapshot(source: &Source, json: bool, reason: &str, wait: Duration) -> Result<(), Stop> {
    let (recording, _) = find(source)?;
    let taken = snapshot::take(&recording, reason, wait).map_err(|error| match error {
        SnapshotError::Failed { .. } | SnapshotError::Io { .. } => failure(error),
        _ => input(error),
    })?;
    if json {
        return print_json(&taken);
    }
    let path = taken.path.display();
    print(&format!("{} in {path}\n\nspanring slow {path}\n", count(taken.records, "event")))
}

fn show_paths(source: &Source, json: bool, rows: usize, asked: &Asked) -> Result<(), Stop> {
    let (recording, _) = find(source)?;
    let filter = &filter_of(&recording, asked)?;
    let mut bar = Bar::new(&recording, "reading");
    let report = paths::describe(&recording, &filter.of(&recording), &mut bar).map_err(input)?;
    check(report.damage.as_ref(), report.damaged, source.partial)?;
    say_late("", report.late_attributes, filter);
    if json { print_json(&report) } else { print(&render::paths(&report, rows, width())) }
}

fn show_diff(
    before: &Path,
    after: &Path,
    json: bool,
    limit: Option<usize>,
    partial: bool,
    filter: &Filter,
) -> Result<(), Stop> {
    let side = |dir: &Path| {
        let (recording, _) = find(&Source { dir: dir.to_owned(), session: None, partial })?;
        let mut side = Side::default();
        let late = read_wanted(&recording, filter, &mut |item| side.add(item))?;
        Ok((side, late))
    };
    let ((before, late_before), (after, late_after)) = (side(before)?, side(after)?);
    let mut report = diff::compare(before, after);
    for (when, whole, late) in [("before: ", &report.before, late_before), ("after: ", &report.after, late_after)] {
        check(whole.damage.as_ref(), whole.damaged, partial)?;
        say_late(when, late, filter);
    }
    if json {
        if let Some(limit) = limit.filter(|&limit| limit > 0) {
            report.rows.truncate(limit);
        }
        return print_json(&report);
    }
    print(&render::diff(&report, limit.unwrap_or(30), width()))
}

fn follow(source: &Source, json: bool, last: usize, filter: &Filter) -> Result<(), Stop> {
    /// So long between two looks, at least.
    const PAUSE: Duration = Duration::from_millis(500);
    let (mut recording, _) = find(source)?;
    let path = recording.path().to_owned();
    let wanted = filter.of(&recording);
    // Of what was there before, so many; of what comes, all.
    let (mut tail, mut latest, mut missed, mut late) = (Tail::of(&recording), last, 0, 0);
    let (mut dropped, mut places) = (0, 0);
    let print_all = |lines: &[tail::Line]| {
        lines.iter().try_for_each(|line| match json {
            true => print(&(serde_json::to_string(line).map_err(failure)? + "\n")),
            false => print(&render::tail(line, width())),
        })
    };
    loop {
        let (begin, writer) = (Instant::now(), recording.writer());
        let lines = tail.look(&recording, &wanted, latest).map_err(input)?;
        let lacks = tail.lacks();
        if lacks.dropped > dropped {
            say(&format!("{} lost because a ring was full", count(lacks.dropped - dropped, "event")));
            dropped = lacks.dropped;
        }
        if let (Some(damage), true) = (&lacks.damage, lacks.places > places) {
            say(&format!("{}; {} missing there", damaged(damage, lacks.places), count(lacks.damaged, "event")));
            places = lacks.places;
        }
        if tail.missed() > missed {
            say(&format!("{} came and were gone before they could be read", count(tail.missed() - missed, "event")));
            missed = tail.missed();
        }
        if tail.late() > late {
            say(&late_attributes(tail.late() - late));
            late = tail.late();
        }
        if writer != WriterState::Running {
            print_all(&tail.finish(&wanted, lines, latest))?;
            say(match writer {
                WriterState::Stopped => "the process stopped recording",
                WriterState::Unknown => {
                    "nothing says whether the process still records: its session file is missing or damaged"
                }
                WriterState::Died | WriterState::Running => "the process died",
            });
            return Ok(());
        }
        print_all(&lines)?;
        latest = usize::MAX;
        std::thread::sleep(PAUSE.max(begin.elapsed() * 4));
        recording = Recording::open(&path).map_err(input)?;
    }
}

/// Says that so many attributes came too late for their span, if spans are chosen by attributes: nothing else that is shown depends on them.
fn say_late(when: &str, attributes: u64, filter: &Filter) {
    if attributes > 0 && !filter.conditions.is_empty() {
        say(&format!("{when}{}", late_attributes(attributes)));
    }
}

/// Says that nothing was recorded, if that is why no span was found.
fn say_nothing(recording: &Recording, found: u64) -> Result<(), Stop> {
    // What the recorder counted spares another reading. Of a process that was killed there may be more, in its rings.
    let is_counted = recording.status().is_some_and(|status| status.flushed > 0 || status.lost > 0);
    if found == 0 && !is_counted {
        let info = info::describe(recording).map_err(input)?;
        render::nothing(&info).iter().for_each(|remark| say(remark));
    }
    Ok(())
}

/// The remark that so many attributes are with no span.
fn late_attributes(attributes: u64) -> String {
    format!("{} of spans that are not there, or that had been read before", count(attributes, "attribute"))
}

/// A remark that is not part of the output.
fn say(remark: &str) {
    let _ = writeln!(io::stderr(), "spanring: {remark}");
}

fn show_counters(source: &Source, json: bool) -> Result<(), Stop> {
    let (recording, _) = find(source)?;
    let mut bar = Bar::new(&recording, "reading");
    let report = counters::describe(&recording, &mut bar).map_err(input)?;
    check(report.damage.as_ref(), report.damaged, source.partial)?;
    if json { print_json(&report) } else { print(&render::counters(&report, width())) }
}

fn show_open(source: &Source, json: bool, limit: Option<usize>, min_age: Duration, asked: &Asked) -> Result<(), Stop> {
    let (recording, _) = find(source)?;
    let filter = filter_of(&recording, asked)?;
    let min_age_ns = u64::try_from(min_age.as_nanos()).unwrap_or(u64::MAX);
    let mut report = open::describe(&recording, &filter.of(&recording), min_age_ns).map_err(input)?;
    say_nothing(&recording, report.open)?;
    let limit = limit.unwrap_or(if json { 0 } else { 30 });
    if limit > 0 {
        report.limit(limit);
    }
    if json { print_json(&report) } else { print(&render::open(&report, width())) }
}

fn export(
    source: &Source,
    format: Format,
    options: &export::Options,
    to: &Destination,
    json: bool,
) -> Result<(), Stop> {
    let (recording, _) = find(source)?;
    format.available().map_err(input)?;
    let output =
        to.open().map_err(|error| input(format!("cannot write {to}: {error}; choose another file with --out")))?;
    let mut bar = Bar::new(&recording, "exporting");
    let done = export::run(&recording, format, options, output, &mut bar).map_err(|error| match error {
        ExportError::Write(error) if error.kind() == io::ErrorKind::BrokenPipe && *to == Destination::Stdout => {
            Stop::ClosedPipe
        }
        ExportError::Write(error) => failure(format!("cannot write {to}: {error}")),
        error => input(error),
    })?;
    if json && *to != Destination::Stdout {
        print_json(&done)?;
        return check(done.damage.as_ref(), done.damaged, source.partial);
    }
    let mut text = format!(
        "{to}: {}, {} of them open, {}",
        count(done.spans, "span"),
        done.open,
        count(done.lost_records, "lost event")
    );
    let beside = [
        (done.details.attributes, "attribute"),
        (done.details.instants, "instant"),
        (done.details.counters, "counter value"),
    ];
    for (number, what) in beside.into_iter().chain([(done.damaged, "damaged place"), (done.bytes, "byte")]) {
        if number > 0 {
            text.push_str(&format!(", {}", count(number, what)));
        }
    }
    text.push('\n');
    for remark in &done.remarks {
        text.push_str(&format!("{remark}\n"));
    }
    // What was exported must not be mixed with what is said about it.
    if *to == Destination::Stdout {
        let _ = io::stderr().write_all(text.as_bytes());
    } else {
        print(&text)?;
    }
    check(done.damage.as_ref(), done.damaged, source.partial)
}

fn write_report(source: &Source, out: &Path, max_spans: usize) -> Result<(), Stop> {
    let (recording, _) = find(source)?;
    let mut bar = Bar::new(&recording, "reading");
    let report = Report::read(&recording, &report::Options { max_spans }, &mut bar).map_err(input)?;
    let file = File::create(out)
        .map_err(|error| input(format!("cannot write {}: {error}; choose another file with --out", out.display())))?;
    let written = report
        .write(&mut BufWriter::new(file))
        .map_err(|error| failure(format!("cannot write {}: {error}", out.display())))?;
    print(&format!(
        "{}: {}, {} of them open, {} shown one by one, {} missing, {}\nopen it in a browser\n",
        out.display(),
        count(written.spans, "span"),
        written.open,
        written.shown,
        count(written.missing_records, "event"),
        count(written.bytes, "byte")
    ))?;
    check(report.damage().first(), report.damage().len() as u64, source.partial)
}

/// The session that is asked for, and all sessions beside it.
fn find(source: &Source) -> Result<(Recording, Vec<PathBuf>), Stop> {
    let sessions = reader::sessions(&source.dir).map_err(|error| match error {
        ReadError::Io { .. } => input(format!(
            "{error}; give the directory that a recorder writes to, or make a recording with `spanring demo --out DIR`"
        )),
        error => input(error),
    })?;
    let name_of = |path: &PathBuf| path.file_name().map(|name| name.to_string_lossy().into_owned());
    let wanted = |path: &&PathBuf| source.session.is_none() || name_of(path) == source.session;
    let path = sessions.iter().rfind(wanted).ok_or_else(|| {
        let names: Vec<_> = sessions.iter().filter_map(name_of).collect();
        let (name, dir) = (source.session.as_deref().unwrap_or_default(), source.dir.display());
        input(format!("there is no session `{name}` in {dir}; there are: {}", names.join(", ")))
    })?;
    Ok((Recording::open(path).map_err(input)?, sessions))
}
