//! `spanring slow` and `spanring tree` as text.

use super::{deepest, details, incomplete, indented, is_narrow, place, wrapped};
use crate::spans::{Details, Instant};
use crate::text::{Fit, Table, Tone, clean, count, cut_off, duration, moment};
use crate::trees::{Row, Share, Tree, TreesReport};
use rustc_hash::{FxHashMap, FxHashSet};

/// Of more children of one name than this, only the longest are shown.
const ALIKE: usize = 8;

/// Spans with their subtrees, lines no wider than `width`, at most `rows` of each tree (0: all).
///
/// A `>` marks the critical path. Times at the start count from the first span's begin. Of many children of one name the longest are
/// shown, unless all rows are.
///
/// ```
/// use spanring_cli::render;
/// use spanring_cli::trees::TreesReport;
///
/// let report = TreesReport { lost_records: 12, ..TreesReport::default() };
/// assert!(render::trees(&report, 40, Some(100)).contains("INCOMPLETE: 12 events lost"));
/// ```
pub fn trees(report: &TreesReport, rows: usize, width: Option<usize>) -> String {
    let mut text = String::new();
    for tree in &report.trees {
        if let Some(first) = tree.rows.first() {
            for line in wrapped(&headline(first, report.started_unix_ns), width).lines() {
                text.push_str(&format!("{}\n", Tone::Strong.paint(line)));
            }
            let pairs = details::list(&first.details.attributes);
            if !pairs.is_empty() {
                let pairs: Vec<String> = pairs.iter().map(|pair| cut_off(pair, width.unwrap_or(usize::MAX))).collect();
                text.push_str(&wrapped(&pairs.join(" "), width));
            }
            text.push_str(&table(tree, rows, width));
            for note in notes(tree, rows) {
                text.push_str(&wrapped(&note, width));
            }
            text.push('\n');
        }
    }
    let shown = report.trees.len();
    let note = match (report.candidates, shown) {
        (0, _) => "no such span".to_owned(),
        (all, _) if all > shown as u64 => {
            format!("{shown} of {}; all of them added up: tree --aggregate", count(all, "span"))
        }
        (all, _) => format!("{shown} of {}", count(all, "span")),
    };
    text.push_str(&wrapped(&note, width));
    if report.late_attributes > 0 {
        let late = count(report.late_attributes, "attribute");
        text.push_str(&wrapped(
            &format!("INCOMPLETE: {late} of spans that are not there, or were read too late"),
            width,
        ));
    }
    if let Some(note) = incomplete(report.lost_records, report.damaged, ", so spans may be missing in the trees") {
        text.push_str(&wrapped(&note, width));
    }
    text
}

fn headline(first: &Row, started_unix_ns: u64) -> String {
    let after = duration(first.begin_unix_ns.saturating_sub(started_unix_ns));
    let took = match first.duration_ns {
        Some(took) => format!("{}, {}", duration(took), first.outcome),
        None => "open".to_owned(),
    };
    let parent = if first.parent == 0 { String::new() } else { format!(" in span {}", first.parent) };
    let name = clean(&first.name);
    format!("{name}: {took}; span {}{parent}, {}, {after} after the start", first.id, moment(first.begin_unix_ns))
}

/// A time that only some recorders measure: its column's title, and what a row says.
type Measured = (&'static str, fn(&Row) -> Option<u64>);

fn table(tree: &Tree, most: usize, width: Option<usize>) -> String {
    let (hidden, instead) = if most == 0 { Default::default() } else { alike(&tree.rows) };
    // A column is for what is shown.
    let rows = || {
        let most = if most == 0 { usize::MAX } else { most };
        (0..tree.rows.len()).filter(|index| !hidden.contains(index)).map(|index| &tree.rows[index]).take(most)
    };
    let is_measured = |time: fn(&Row) -> Option<u64>| rows().any(|row| time(row).is_some());
    let measured: [Measured; 3] =
        [("wait", |row| row.wait_ns), ("busy", |row| row.busy_ns), ("idle", |row| row.idle_ns)];
    let measured: Vec<_> = measured.into_iter().filter(|(_, time)| is_measured(*time)).collect();
    let with_end = rows().any(|row| !end(row).is_empty());
    let with_thread = width.is_none_or(|width| width >= 100);
    let mut columns = vec![
        ("", Fit::Word),
        ("span", Fit::Tree(16)),
        ("at", Fit::Number),
        ("took", Fit::Number),
        ("self", Fit::Number),
        ("critical", Fit::Number),
    ];
    columns.extend(measured.iter().map(|(title, _)| (*title, Fit::Number)));
    columns.extend(with_end.then_some(("end", Fit::Word)));
    columns.extend(with_thread.then_some(("thread", Fit::Middle(8))));
    columns.extend((!is_narrow(width)).then_some(("where", Fit::Path(8))));
    let mut table = Table::new(&columns);
    let begin = tree.rows[0].begin_unix_ns;
    let deepest = deepest(width);
    let marks = marks(&tree.rows, most);
    let mut shown = 0;
    let add_marks = |table: &mut Table, index: usize| {
        for mark in marks.get(&index).into_iter().flatten().filter(|mark| !hidden.contains(&mark.row)) {
            let level = tree.rows[mark.row].level + 1;
            let (name, at, file_line) = match mark.what {
                Happened::Instant(instant) => {
                    let file_line = instant.place.as_ref().map(|place| clean(&place.file_line()).into_owned());
                    (details::instant(instant), offset(instant.unix_ns, begin), file_line)
                }
                Happened::More(more) => (format!("… {}", count(more, "more instant")), String::new(), None),
            };
            let mut cells = vec![String::new(), indented(level, deepest, &format!("{} {name}", details::MARK)), at];
            cells.resize(columns.len(), String::new());
            if let (Some(file_line), false) = (file_line, is_narrow(width)) {
                cells[columns.len() - 1] = file_line;
            }
            table.row_in(Tone::Faint, cells);
        }
    };
    for (index, row) in tree.rows.iter().enumerate() {
        add_marks(&mut table, index);
        if let Some(more) = instead.get(&index) {
            let name = indented(row.level, deepest, &format!("… {} more {}", more.spans, clean(&row.name)));
            let mut cells = vec![String::new(), name, String::new(), duration(more.time_ns)];
            cells.resize(columns.len(), String::new());
            table.row_in(Tone::Faint, cells);
        }
        if hidden.contains(&index) {
            continue;
        }
        shown += 1;
        if most > 0 && shown > most {
            break;
        }
        let mark = if row.on_critical_path { ">" } else { "" };
        let time = |ns: Option<u64>| ns.map_or("-".to_owned(), duration);
        let mut cells = vec![
            mark.to_owned(),
            indented(row.level, deepest, &name(row, index)),
            offset(row.begin_unix_ns, begin),
            time(row.duration_ns),
            duration(row.self_ns),
            if row.critical_ns > 0 { duration(row.critical_ns) } else { String::new() },
        ];
        cells.extend(measured.iter().map(|(_, measured)| time(measured(row))));
        cells.extend(with_end.then(|| end(row).to_owned()));
        cells.extend(with_thread.then(|| threads(row)));
        cells.extend((!is_narrow(width)).then(|| place(row.file.as_deref(), row.line)));
        let tone = match (row.outcome, row.on_critical_path) {
            ("failed" | "panicked", _) => Tone::Bad,
            (_, true) => Tone::Strong,
            _ => Tone::Plain,
        };
        table.row_in(tone, cells);
    }
    if most == 0 || shown <= most {
        add_marks(&mut table, tree.rows.len());
    }
    table.render(width)
}

/// The name of a row with its attributes; those of the first stand above the table.
fn name(row: &Row, index: usize) -> String {
    let pairs = if index == 0 { String::new() } else { details::pairs(&row.details.attributes) };
    details::beside(&clean(&row.name), &pairs)
}

/// Something that happened in the span of a row.
struct Mark<'a> {
    row: usize,
    what: Happened<'a>,
}

enum Happened<'a> {
    Instant(&'a Instant),
    /// So many others.
    More(u64),
}

/// The rows directly below one, and the one behind all that is below it.
#[derive(Default)]
struct Below {
    children: Vec<usize>,
    end: usize,
}

fn below(rows: &[Row]) -> Vec<Below> {
    let mut all: Vec<Below> = rows.iter().map(|_| Below::default()).collect();
    let mut above: Vec<usize> = Vec::new();
    for (index, row) in rows.iter().enumerate() {
        for over in above.split_off((row.level as usize).min(above.len())) {
            all[over].end = index;
        }
        if let Some(&parent) = above.last() {
            all[parent].children.push(index);
        }
        above.push(index);
    }
    above.into_iter().for_each(|over| all[over].end = rows.len());
    all
}

/// Instants by the row before which they stand: that of the next child of their span, or what comes after all of those. Of many in one
/// span the first are shown, unless all rows are.
fn marks(rows: &[Row], most: usize) -> FxHashMap<usize, Vec<Mark<'_>>> {
    let mut marks: FxHashMap<usize, Vec<Mark<'_>>> = FxHashMap::default();
    if rows.iter().all(|row| row.details.instants.is_empty()) {
        return marks;
    }
    for (row, Below { children, end }) in below(rows).into_iter().enumerate() {
        let Details { instants, dropped_instants, .. } = &rows[row].details;
        let shown = if most == 0 { instants.len() } else { instants.len().min(ALIKE) };
        let mut children = children.into_iter().peekable();
        let mut next = end;
        for instant in &instants[..shown] {
            while children.next_if(|&child| rows[child].begin_unix_ns <= instant.unix_ns).is_some() {}
            next = children.peek().copied().unwrap_or(end);
            marks.entry(next).or_default().push(Mark { row, what: Happened::Instant(instant) });
        }
        let more = (instants.len() - shown) as u64 + dropped_instants;
        if more > 0 {
            marks.entry(next).or_default().push(Mark { row, what: Happened::More(more) });
        }
    }
    // Where several spans are over, the innermost is first.
    marks.values_mut().for_each(|marks| marks.sort_by_key(|mark| std::cmp::Reverse(rows[mark.row].level)));
    marks
}

/// Children that are not shown, and what stands in their place.
struct More {
    spans: u64,
    time_ns: u64,
}

/// The rows that are hidden, and by the first of each parent and name that are, how many there are of them.
fn alike(rows: &[Row]) -> (FxHashSet<usize>, FxHashMap<usize, More>) {
    let mut groups: FxHashMap<(usize, &str), Vec<usize>> = FxHashMap::default();
    let mut parents = Vec::with_capacity(rows.len());
    let mut above: Vec<usize> = Vec::new();
    for (index, row) in rows.iter().enumerate() {
        above.truncate(row.level as usize);
        parents.push(above.last().copied());
        if let Some(&parent) = above.last() {
            groups.entry((parent, &row.name)).or_default().push(index);
        }
        above.push(index);
    }
    let (mut hidden, mut instead) = (FxHashSet::default(), FxHashMap::default());
    for mut group in groups.into_values().filter(|group| group.len() > ALIKE) {
        group.sort_by_key(|&index| std::cmp::Reverse((rows[index].critical_ns, rows[index].duration_ns)));
        let mut rest = group.split_off(ALIKE / 2);
        rest.sort_unstable();
        let time_ns = rest.iter().filter_map(|&index| rows[index].duration_ns).fold(0, u64::saturating_add);
        instead.insert(rest[0], More { spans: rest.len() as u64, time_ns });
        for index in rest {
            let below = rows[index + 1..].iter().take_while(|row| row.level > rows[index].level).count();
            hidden.extend(index..=index + below);
        }
    }
    // What would stand below something hidden is hidden with it.
    instead.retain(|index: &usize, _| parents[*index].is_none_or(|parent| !hidden.contains(&parent)));
    (hidden, instead)
}

/// Time since the first span's begin; a child may have begun before it if clocks were set.
fn offset(at: u64, begin: u64) -> String {
    if at < begin { format!("-{}", duration(begin - at)) } else { format!("+{}", duration(at - begin)) }
}

/// How a span ended, if there is more to say than that it did.
fn end(row: &Row) -> &'static str {
    match row.outcome {
        "completed" if row.begin_lost => "begin lost",
        "completed" => "",
        "open" if row.end_may_be_lost => "lost?",
        outcome => outcome,
    }
}

fn threads(row: &Row) -> String {
    match (&row.begin_thread, &row.end_thread) {
        (Some(begin), Some(end)) if begin != end => format!("{} → {}", clean(begin), clean(end)),
        (Some(thread), _) | (None, Some(thread)) => clean(thread).into_owned(),
        (None, None) => "?".to_owned(),
    }
}

fn notes(tree: &Tree, rows: usize) -> Vec<String> {
    let mut notes = Vec::new();
    let whole: u64 = tree.shares.iter().map(|share| share.critical_ns).sum();
    if whole > 0 && tree.rows.len() > 1 {
        let part = |share: &Share| {
            let times = if share.spans > 1 { format!(" ({} times)", share.spans) } else { String::new() };
            let percent = share.critical_ns as f64 / whole as f64 * 100.0;
            format!("{percent:.0} % {}{times}", clean(&share.name))
        };
        let matters = |share: &&Share| share.critical_ns >= whole / 100;
        let parts: Vec<String> = tree.shares.iter().filter(matters).take(4).map(part).collect();
        notes.push(format!("where the time went: {}", parts.join(", ")));
    }
    if rows > 0 && tree.rows.len() > rows {
        notes.push(format!("{} in all: see every one with --rows 0", count(tree.rows.len() as u64, "span")));
    }
    if tree.left_out > 0 {
        let more = count(tree.left_out, "more span");
        notes.push(format!("INCOMPLETE: {more} directly below these would have been too many to look at, so times `self` and `critical` are too long"));
    }
    notes
}
