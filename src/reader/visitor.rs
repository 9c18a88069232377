//! Who is told what a recording holds.

use super::event::{Event, SpanRecord};

/// Is told what a recording holds, one thing after the other, by [`Recording::visit`](super::Recording::visit).
///
/// A closure for [`Recording::read`](super::Recording::read) does the same in fewer words. Nearly all that is in a recording are records of
/// spans: here they have a method of their own, which, if it is marked `#[inline(always)]`, becomes part of the loop that reads, however
/// long it is.
///
/// ```no_run
/// use spanring::reader::{Event, Phase, Recording, SpanRecord, Visitor};
///
/// #[derive(Default)]
/// struct Balance {
///     open: i64,
///     lost: u64,
/// }
///
/// impl Visitor for Balance {
///     #[inline(always)]
///     fn span(&mut self, record: &SpanRecord<'_>) {
///         self.open += if record.phase == Phase::Begin { 1 } else { -1 };
///     }
///
///     fn other(&mut self, event: Event<'_>) {
///         if let Event::Loss(loss) = event {
///             self.lost += loss.records;
///         }
///     }
/// }
///
/// # fn main() -> Result<(), spanring::reader::ReadError> {
/// let mut balance = Balance::default();
/// Recording::open("recording")?.visit(&mut balance)?;
/// println!("{} more begins than ends, {} records lost", balance.open, balance.lost);
/// # Ok(())
/// # }
/// ```
pub trait Visitor {
    /// The begin or the end of a span.
    fn span(&mut self, record: &SpanRecord<'_>);

    /// Anything else: never an [`Event::Span`].
    fn other(&mut self, event: Event<'_>);
}

/// A closure as a visitor.
pub(super) struct Each<'a, F: ?Sized>(pub(super) &'a mut F);

impl<F: FnMut(Event<'_>) + ?Sized> Visitor for Each<'_, F> {
    #[inline(always)]
    fn span(&mut self, record: &SpanRecord<'_>) {
        (self.0)(Event::Span(*record));
    }

    #[inline(always)]
    fn other(&mut self, event: Event<'_>) {
        (self.0)(event);
    }
}
