//! From a recording to spans, as it is read.

use super::pairing::Pairing;
use super::pairing::brief::Brief;
use super::{DetailTotals, Item, Step, add};
use crate::progress::{Progress, Silent};
use spanring::reader::{Event, Phase, PollRecord, ReadError, Recording, SpanRecord, Summary, Visitor};

/// Reads a whole recording as spans, in about the order in which they ended; then those that are open, oldest first.
///
/// # Errors
/// Those of [`Recording::read`]: files that cannot be opened or read. What is damaged or lost is an [`Item`], not an error.
///
/// ```no_run
/// use spanring::reader::Recording;
/// use spanring_cli::spans::{self, Item, Span};
///
/// # fn main() -> Result<(), spanring::reader::ReadError> {
/// let recording = Recording::open("recording")?;
/// let mut open = Vec::new();
/// spans::read(&recording, &mut |item| {
///     if let Item::Span(Span { name, end_ns: None, .. }) = item {
///         open.push(name.to_owned());
///     }
/// })?;
/// println!("open: {}", open.join(", "));
/// # Ok(())
/// # }
/// ```
pub fn read(recording: &Recording, visit: &mut (impl FnMut(Item<'_>) + ?Sized)) -> Result<Summary, ReadError> {
    read_with(recording, &mut Silent, visit)
}

/// The same, and `progress` is told how far it is.
///
/// # Errors
/// As of [`read`].
pub fn read_with(
    recording: &Recording,
    progress: &mut dyn Progress,
    visit: &mut (impl FnMut(Item<'_>) + ?Sized),
) -> Result<Summary, ReadError> {
    read_all(recording, progress, Items(visit))
}

/// The same for those who need no more of a span than what its end says, in less time: names, places, when it began and ended, and how.
/// Whether its begin was lost, on which thread that was and when the future was made, how long it was busy, and
/// [`Span::details`](super::Span::details) are not told of a span that has ended. Instants and counters are passed over.
///
/// # Errors
/// As of [`read`].
pub fn read_brief(
    recording: &Recording,
    progress: &mut dyn Progress,
    visit: &mut (impl FnMut(Item<'_>) + ?Sized),
) -> Result<Summary, ReadError> {
    let mut reading = Ends { brief: Brief::of(recording), told: Told::new(progress), visit };
    let summary = recording.visit(&mut reading);
    let Ends { mut brief, told, visit } = reading;
    told.progress.finish();
    let summary = summary?;
    if summary.damaged > 0 {
        brief.damage();
    }
    brief.finish(&mut |span| visit(Item::Span(span)));
    Ok(summary)
}

/// [`read_brief`], as it goes.
struct Ends<'a, V: ?Sized> {
    brief: Brief,
    told: Told<'a>,
    visit: &'a mut V,
}

impl<V: FnMut(Item<'_>) + ?Sized> Visitor for Ends<'_, V> {
    #[inline(always)]
    fn span(&mut self, record: &SpanRecord<'_>) {
        let Ends { brief, told, visit } = self;
        told.records(1);
        brief.record(record, &mut |span| visit(Item::Span(span)));
        self.overdue();
    }

    fn other(&mut self, event: Event<'_>) {
        match event {
            Event::Thread(thread) => {
                self.brief.thread();
                (self.visit)(Item::Thread(thread));
            }
            Event::Loss(loss) => {
                self.told.records(loss.records);
                self.brief.loss(&loss);
                (self.visit)(Item::Loss(loss));
            }
            Event::Damage(damage) => (self.visit)(Item::Damage(damage)),
            _ => self.told.records(1),
        }
        self.overdue();
    }
}

impl<V: FnMut(Item<'_>) + ?Sized> Ends<'_, V> {
    #[inline(always)]
    fn overdue(&mut self) {
        while let Some(span) = self.brief.overdue() {
            (self.visit)(Item::Span(span));
        }
    }
}

/// The same as [`read_with`], and begins are visited as they are read. A span is handed out after it has ended, so its descendants come before it: who
/// wants to know to what they belong has to hear of the begins.
///
/// # Errors
/// As of [`read`].
pub fn read_steps(
    recording: &Recording,
    progress: &mut dyn Progress,
    visit: &mut (impl FnMut(Step<'_>) + ?Sized),
) -> Result<Summary, ReadError> {
    read_all(recording, progress, Steps(visit))
}

/// The same.
fn read_all(recording: &Recording, progress: &mut dyn Progress, to: impl Hears) -> Result<Summary, ReadError> {
    let mut reading = Whole { pairing: Pairing::of(recording), told: Told::new(progress), to };
    let summary = recording.visit(&mut reading);
    reading.told.progress.finish();
    let summary = summary?;
    if summary.damaged > 0 {
        reading.pairing.damage();
    }
    reading.pairing.close();
    reading.overdue();
    reading.strays();
    let Whole { pairing, mut to, .. } = reading;
    let totals = pairing.totals();
    if totals != DetailTotals::default() {
        to.item(Item::Details(totals));
    }
    pairing.finish(&mut |span| to.item(Item::Span(span)));
    Ok(summary)
}

/// Who is handed what is read. These are functions of their own, and not one that is handed a [`Step`], so that what nobody asked for is
/// not made, and an item is made where it is used.
trait Hears {
    fn begun(&mut self, record: &SpanRecord<'_>);

    fn polled(&mut self, record: PollRecord);

    fn item(&mut self, item: Item<'_>);
}

/// Who wants items alone.
struct Items<'a, V: ?Sized>(&'a mut V);

impl<V: FnMut(Item<'_>) + ?Sized> Hears for Items<'_, V> {
    #[inline(always)]
    fn begun(&mut self, _: &SpanRecord<'_>) {}

    fn polled(&mut self, _: PollRecord) {}

    #[inline(always)]
    fn item(&mut self, item: Item<'_>) {
        (self.0)(item);
    }
}

/// Who wants every step.
struct Steps<'a, V: ?Sized>(&'a mut V);

impl<V: FnMut(Step<'_>) + ?Sized> Hears for Steps<'_, V> {
    #[inline(always)]
    fn begun(&mut self, record: &SpanRecord<'_>) {
        // A copy is in memory, where it can be looked at. What an end says need not be then.
        let begun = *record;
        (self.0)(Step::Begun(&begun));
    }

    fn polled(&mut self, record: PollRecord) {
        (self.0)(Step::Polled(record));
    }

    #[inline(always)]
    fn item(&mut self, item: Item<'_>) {
        (self.0)(Step::Item(item));
    }
}

/// [`read_all`], as it goes.
struct Whole<'a, T> {
    pairing: Pairing,
    told: Told<'a>,
    to: T,
}

impl<T: Hears> Visitor for Whole<'_, T> {
    #[inline(always)]
    fn span(&mut self, record: &SpanRecord<'_>) {
        self.told.records(1);
        if record.phase == Phase::Begin {
            self.to.begun(record);
        }
        if let Some(span) = self.pairing.record(record) {
            self.to.item(Item::Span(span));
        }
        self.overdue();
    }

    fn other(&mut self, event: Event<'_>) {
        match event {
            Event::Thread(thread) => {
                self.pairing.thread();
                self.to.item(Item::Thread(thread));
            }
            Event::Poll(record) => {
                self.told.records(1);
                self.to.polled(record);
                if let Some(span) = self.pairing.poll(&record) {
                    self.to.item(Item::Span(span));
                }
            }
            Event::Loss(loss) => {
                self.told.records(loss.records);
                self.pairing.loss(&loss);
                self.to.item(Item::Loss(loss));
            }
            Event::Damage(damage) => self.to.item(Item::Damage(damage)),
            Event::Attribute(record) => {
                self.told.records(1);
                self.pairing.attribute(&record);
            }
            Event::Instant(record) => {
                self.told.records(1);
                self.pairing.instant(&record);
                self.strays();
            }
            Event::Counter(record) => {
                self.told.records(1);
                self.to.item(Item::Counter(self.pairing.counter(&record)));
            }
            _ => self.told.records(1),
        }
        self.overdue();
    }
}

impl<T: Hears> Whole<'_, T> {
    #[inline(always)]
    fn overdue(&mut self) {
        while let Some(span) = self.pairing.overdue() {
            self.to.item(Item::Span(span));
        }
    }

    fn strays(&mut self) {
        while let Some(instant) = self.pairing.stray() {
            self.to.item(Item::Instant(instant));
        }
    }
}

/// Tells now and then how many records were read.
struct Told<'p> {
    progress: &'p mut dyn Progress,
    records: u64,
    told: u64,
}

impl<'p> Told<'p> {
    fn new(progress: &'p mut dyn Progress) -> Told<'p> {
        Told { progress, records: 0, told: 0 }
    }

    #[inline]
    fn records(&mut self, records: u64) {
        /// So many are read without a word.
        const STEP: u64 = 1 << 16;
        add(&mut self.records, records);
        if self.records - self.told >= STEP {
            self.told = self.records;
            self.progress.at(self.records);
        }
    }
}
