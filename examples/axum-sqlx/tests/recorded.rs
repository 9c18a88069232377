//! The service under load, recorded: what is slow, what stands in what, and that nothing is missing.

use spanring::Health;
use spanring::reader::{Event, Recording, Summary, sessions};
use spanring_cli::filter::Filter;
use spanring_cli::progress::Silent;
use spanring_cli::spans::{self, Ending, Item};
use spanring_cli::top::{SortBy, Top, TopReport};
use spanring_cli::trees::{self, Choice, TreesReport};
use spanring_example_axum_sqlx::database::Contents;
use spanring_example_axum_sqlx::recording::Record;
use spanring_example_axum_sqlx::run::{Options, Outcome, run};
use std::collections::BTreeMap;
use std::sync::OnceLock;

const SLOW: &str = "select orders of customer";

/// A span of the recording.
struct Seen {
    name: String,
    parent: u64,
    ending: Ending,
}

/// A run, and what its recording tells.
struct Recorded {
    outcome: Outcome,
    health: Health,
    summary: Summary,
    spans: BTreeMap<u64, Seen>,
    attributes: BTreeMap<(u64, String), String>,
    top: TopReport,
    slowest: TreesReport,
}

/// The same for all tests: a process has one subscriber of `tracing`.
fn recorded() -> &'static Recorded {
    static RECORDED: OnceLock<Recorded> = OnceLock::new();
    RECORDED.get_or_init(|| {
        let directory = tempfile::tempdir().unwrap();
        let contents = Contents { orders: 100_000, indexed: false };
        let options = Options { contents, connections: 2, requests: 200, concurrency: 2 };
        let (outcome, health) = run(&options, Record::On, directory.path()).unwrap();
        let recording = Recording::open(sessions(directory.path()).unwrap().pop().unwrap()).unwrap();
        let (mut spans, mut attributes, mut top) = (BTreeMap::new(), BTreeMap::new(), Top::default());
        let summary = spans::read(&recording, &mut |item: Item<'_>| {
            top.add(&item);
            if let Item::Span(span) = item {
                spans.insert(span.id, Seen { name: span.name.to_owned(), parent: span.parent, ending: span.ending });
            }
        });
        recording
            .read(&mut |event: Event<'_>| {
                if let Event::Attribute(it) = event {
                    attributes.insert((it.span_id, it.key.to_owned()), it.value.to_string());
                }
            })
            .unwrap();
        let filter = Filter::default();
        let slowest =
            trees::describe(&recording, &filter.of(&recording), &Choice::Slowest(1), &mut || Box::new(Silent));
        let (summary, top, slowest) = (summary.unwrap(), top.finish(SortBy::Total), slowest.unwrap());
        Recorded { outcome, health: health.unwrap(), summary, spans, attributes, top, slowest }
    })
}

impl Recorded {
    fn named(&self, name: &str) -> impl Iterator<Item = (u64, &Seen)> {
        self.spans.iter().filter(move |(_, span)| span.name == name).map(|(id, span)| (*id, span))
    }

    /// The names of the span and of those that it is in, the outermost first.
    fn path(&self, id: u64) -> Vec<&str> {
        let above = std::iter::successors(self.spans.get(&id), |span| self.spans.get(&span.parent));
        let mut path: Vec<&str> = above.map(|span| span.name.as_str()).collect();
        path.reverse();
        path
    }

    fn attribute(&self, id: u64, key: &str) -> Option<&str> {
        self.attributes.get(&(id, key.to_owned())).map(String::as_str)
    }

    fn of_both(&self, count: fn(&spanring_example_axum_sqlx::load::Load) -> u64) -> usize {
        (count(&self.outcome.before) + count(&self.outcome.load)) as usize
    }
}

#[test]
fn every_request_is_answered() {
    let recorded = recorded();
    assert_eq!((recorded.of_both(|load| load.answered()), recorded.of_both(|load| load.failed)), (220, 0));
    assert!(recorded.of_both(|load| load.customers) > 10);
    let latencies = &recorded.outcome.load.latencies;
    assert_eq!(latencies.len(), 200);
    assert!(latencies.max() as f64 / 1e9 <= recorded.outcome.load.elapsed.as_secs_f64());
    assert!(latencies.value_at_quantile(0.5) > 0 && latencies.value_at_quantile(0.5) < latencies.max());
}

#[test]
fn what_was_recorded_is_what_is_read() {
    let Recorded { outcome, health, summary, spans, .. } = recorded();
    assert_eq!(summary.records + summary.lost, health.flushed + health.lost);
    assert_eq!((outcome.recorded.records, outcome.recorded.gone), (summary.records + summary.lost, summary.lost));
    assert_eq!((summary.lost, summary.damaged, summary.unknown, health.refused), (0, 0, 0, 0));
    assert!(spans.values().all(|span| span.ending == Ending::Completed));
}

/// Of `tracing` are `request`, the handlers and `decode`; of spanring the routes, what the database does, and `add up`.
#[test]
fn spans_of_both_stand_in_each_other_once_for_each_request() {
    let recorded = recorded();
    let of_order = vec!["request", "GET /orders/{id}", "order"];
    let of_customer = vec!["request", "GET /customers/{id}/orders", "orders_of_customer"];
    let of_new = vec!["request", "POST /customers/{id}/orders", "place_order"];
    let [orders, customers, placed] = [
        recorded.of_both(|load| load.orders),
        recorded.of_both(|load| load.customers),
        recorded.of_both(|load| load.placed),
    ];
    let mut expected = BTreeMap::from([(vec!["request"], orders + customers + placed)]);
    let mut expect = |above: &[&'static str], below: &[&'static str], count| {
        expected.insert([above, below].concat(), count);
    };
    for (path, count) in [(&of_order, orders), (&of_customer, customers), (&of_new, placed)] {
        expect(&path[..2], &[], count);
        expect(path, &[], count);
        expect(path, &["wait for connection"], count);
    }
    expect(&of_order, &["select order"], orders);
    expect(&of_order, &["select order", "decode"], orders);
    expect(&of_customer, &[SLOW], customers);
    expect(&of_customer, &[SLOW, "decode"], customers);
    expect(&of_customer, &["add up"], customers);
    expect(&of_new, &["insert order"], placed);

    let mut seen = BTreeMap::new();
    for id in recorded.spans.keys() {
        *seen.entry(recorded.path(*id)).or_default() += 1;
    }
    assert_eq!(seen, expected);
}

#[test]
fn spans_say_what_they_were_asked_and_what_they_found() {
    let recorded = recorded();
    for (id, span) in recorded.named(SLOW) {
        let customer = recorded.attribute(id, "customer").unwrap();
        // As many as each had at first; the load has placed others since.
        assert!(recorded.attribute(id, "rows").unwrap().parse::<u32>().unwrap() >= 20);
        assert_eq!(recorded.attribute(span.parent, "id"), Some(customer));
        let route = recorded.spans[&span.parent].parent;
        let request = recorded.spans[&route].parent;
        assert_eq!(recorded.attribute(request, "uri"), Some(&*format!("/customers/{customer}/orders")));
        assert_eq!(recorded.attribute(request, "status"), Some("200"));
    }
}

#[test]
fn the_query_without_an_index_is_the_slowest_in_the_slowest_request() {
    let Recorded { top, slowest, .. } = recorded();
    let queries = top.rows.iter().filter(|row| row.name.starts_with("select") || row.name.starts_with("insert"));
    assert_eq!(queries.clone().count(), 3);
    assert_eq!(queries.clone().max_by_key(|row| row.max_ns).unwrap().name, SLOW);
    assert_eq!(queries.max_by_key(|row| row.p50_ns).unwrap().name, SLOW);

    let tree = &slowest.trees[0];
    let critical: Vec<&str> = tree.rows.iter().take(3).map(|row| row.name.as_str()).collect();
    assert_eq!(critical, ["request", "GET /customers/{id}/orders", "orders_of_customer"]);
    assert_eq!(tree.shares[0].name, SLOW);
    assert!(tree.shares[0].critical_ns * 2 > tree.rows[0].duration_ns.unwrap());
}
