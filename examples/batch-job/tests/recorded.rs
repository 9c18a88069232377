//! The job, recorded: what failed and why, what was slow, how far it was.

use spanring::Recorder;
use spanring::reader::{Event, Recording, Value, sessions};
use spanring_cli::filter::Filter;
use spanring_cli::progress::Silent;
use spanring_cli::spans::{self, Ending, Item};
use spanring_cli::top::{SortBy, Top};
use spanring_cli::trees::{self, Choice};
use spanring_example_batch_job::{job, sample};
use std::collections::{BTreeMap, BTreeSet};
use std::path::{Path, PathBuf};

const FILES: usize = 60;

/// The attribute `file` of a span, as the number of the file.
fn number(file: &str) -> usize {
    let name = Path::new(file).file_stem().unwrap().to_str().unwrap();
    name.strip_prefix("sales-").unwrap().parse().unwrap()
}

#[test]
fn the_recording_tells_which_files_failed_which_one_was_slow_and_how_far_the_job_was() {
    let place = tempfile::tempdir().unwrap();
    let files: Vec<PathBuf> = sample::write(&place.path().join("sales"), FILES).unwrap();
    let directory = place.path().join("recording");
    let recorder = Recorder::builder().directory(&directory).start().unwrap();
    let pool = rayon::ThreadPoolBuilder::new().num_threads(3).build().unwrap();
    let report = pool.install(|| job::run(&files));
    drop(pool);
    let health = recorder.stop().unwrap();

    let bad: BTreeSet<usize> = (0..FILES).filter(|number| sample::is_bad(*number)).collect();
    assert_eq!(bad.len(), 3);
    assert_eq!(report.failed.iter().map(|(file, _)| number(file.to_str().unwrap())).collect::<BTreeSet<_>>(), bad);
    assert_eq!(report.sums.len(), 5);

    let recording = Recording::open(sessions(&directory).unwrap().pop().unwrap()).unwrap();
    let mut attributes: BTreeMap<(u64, String), String> = BTreeMap::new();
    let (mut done, mut instants, mut bad_lines) = (Vec::new(), BTreeSet::new(), Vec::new());
    let read = recording.read(&mut |event: Event<'_>| match event {
        Event::Attribute(it) => {
            if instants.contains(&it.span_id) {
                bad_lines.push(it.value.to_string());
            }
            attributes.insert((it.span_id, it.key.to_owned()), it.value.to_string());
        }
        Event::Instant(it) => {
            assert_eq!(it.name, "not a sale");
            instants.insert(it.id);
        }
        Event::Counter(it) => {
            assert_eq!(it.name, "files done");
            match it.value {
                Value::U64(value) => done.push(value),
                other => panic!("{other}"),
            }
        }
        Event::Loss(loss) => panic!("{} records were lost", loss.records),
        _ => {}
    });
    let summary = read.unwrap();
    assert_eq!((summary.records, summary.lost, health.lost), (health.flushed, 0, 0));

    // How far it was: the counter counts to the end, on all threads together.
    done.sort_unstable();
    assert!(done.into_iter().eq(1..=FILES as u64));
    // Where it failed: in the middle of each bad file.
    assert_eq!(bad_lines, vec![(sample::SALES / 2 + 2).to_string(); bad.len()]);

    let (mut top, mut job, mut of_files) = (Top::default(), None, Vec::new());
    spans::read(&recording, &mut |item: Item<'_>| {
        top.add(&item);
        match item {
            Item::Span(span) if span.name == "add up sales" => job = Some((span.id, span.ending)),
            Item::Span(span) if span.name == "add up file" => of_files.push((span.id, span.parent, span.ending)),
            _ => {}
        }
    })
    .unwrap();

    // All files are in the job, and the bad ones have failed, as it has.
    let (job, ending) = job.unwrap();
    assert_eq!(ending, Ending::Failed);
    assert_eq!(attributes[&(job, "files".to_owned())], FILES.to_string());
    assert_eq!(attributes[&(job, "failed".to_owned())], bad.len().to_string());
    assert_eq!(of_files.len(), FILES);
    let mut failed = BTreeSet::new();
    for (id, parent, ending) in of_files {
        assert_eq!(parent, job);
        if ending == Ending::Failed {
            failed.insert(number(&attributes[&(id, "file".to_owned())]));
        }
    }
    assert_eq!(failed, bad);

    let failed_in: BTreeMap<String, u64> = top
        .finish(SortBy::Name)
        .rows
        .into_iter()
        .filter(|row| row.failed > 0)
        .map(|row| (row.name, row.failed))
        .collect();
    let expected =
        [("add up file", 3), ("add up sales", 1), ("parse", 3)].map(|(name, count)| (name.to_owned(), count));
    assert_eq!(failed_in, BTreeMap::from(expected));

    // The slowest file is the large one, and its time went into parsing.
    let filter = Filter { name: Some("add up file".to_owned()), ..Filter::default() };
    let slowest = trees::describe(&recording, &filter.of(&recording), &Choice::Slowest(1), &mut || Box::new(Silent));
    let tree = slowest.unwrap().trees.remove(0);
    assert_eq!(number(&attributes[&(tree.rows[0].id, "file".to_owned())]), sample::LARGE);
    assert_eq!(tree.rows.iter().map(|row| &*row.name).collect::<Vec<_>>(), ["add up file", "read", "parse"]);
    assert_eq!(tree.shares[0].name, "parse");
}
