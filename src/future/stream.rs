//! Streams: a span from the first poll to the last item.

use super::name::SpanName;
use super::site::{Named, SpanSite};
use super::state::FutureSpan;
use crate::events::{Outcome, SpanLocation, SpanMetadata};
use crate::recorder::record::running_generation;
use futures_core::Stream;
use pin_project_lite::pin_project;
use std::mem::ManuallyDrop;
use std::pin::Pin;
use std::task::{Context, Poll, ready};

pin_project! {
    /// A stream that is recorded as a span, from its first poll to its end: see [`InstrumentStream`].
    ///
    /// ```
    /// use futures_util::stream::{self, Iter};
    /// use spanring::prelude::*;
    /// use spanring::spans::{InstrumentedStream, SpanMetadata};
    ///
    /// static_span_desc!(ROWS, "rows");
    ///
    /// // In a struct that names its types.
    /// struct Answer {
    ///     rows: InstrumentedStream<Iter<std::vec::IntoIter<u32>>, &'static SpanMetadata>,
    /// }
    ///
    /// let answer = Answer { rows: stream::iter(vec![1, 2, 3]).instrument_stream(&ROWS) };
    /// # use futures_executor::block_on;
    /// use futures_util::StreamExt;
    /// assert_eq!(block_on(answer.rows.count()), 3);
    /// ```
    #[must_use = "streams do nothing unless polled"]
    pub struct InstrumentedStream<T, S: SpanSite> {
        #[pin]
        stream: ManuallyDrop<T>,
        span: FutureSpan<S>,
    }

    impl<T, S: SpanSite> PinnedDrop for InstrumentedStream<T, S> {
        fn drop(this: Pin<&mut Self>) {
            let this = this.project();
            // Declared first, so dropped last: the work ends with the stream's destructor, also if that panics.
            let _span = this.span.enter_to_drop();
            // SAFETY: this runs once, nothing uses the stream afterwards, and it is dropped where it was pinned.
            unsafe { ManuallyDrop::drop(this.stream.get_unchecked_mut()) }
        }
    }
}

impl<T, S: SpanSite> InstrumentedStream<T, S> {
    fn new(stream: T, site: S) -> Self {
        InstrumentedStream {
            stream: ManuallyDrop::new(stream),
            span: FutureSpan::of_future(Some(site), running_generation(), None),
        }
    }
}

/// Instruments any stream (feature `stream`).
///
/// The span begins at the first poll and ends when the stream does: *completed* when there are no more items, *panicked* when a poll
/// panics, *cancelled* when it is dropped before. Its polls are those of the stream, one for each item and each wait. Between two polls
/// the span is open and not current: what is done with an item is not part of it.
///
/// ```
/// use futures_util::{StreamExt, stream};
/// use spanring::prelude::*;
/// use spanring::testing;
///
/// static_span_desc!(ROWS, "rows");
///
/// # use futures_executor::block_on;
/// let recorded = block_on(testing::record_future(async {
///     stream::iter([1, 2, 3]).instrument_stream(&ROWS).count().await
/// }));
/// assert_eq!((recorded.output, recorded.tree().as_str()), (3, "rows\n"));
/// ```
pub trait InstrumentStream: Stream + Sized {
    /// Records this stream as a span at a static site.
    ///
    /// ```
    /// use spanring::prelude::*;
    ///
    /// # fn rows() -> impl futures_core::Stream<Item = u8> { futures_util::stream::empty() }
    /// static_span_desc!(ROWS, "rows");
    /// let rows = rows().instrument_stream(&ROWS);
    /// ```
    fn instrument_stream(self, description: &'static SpanMetadata) -> InstrumentedStream<Self, &'static SpanMetadata> {
        InstrumentedStream::new(self, description)
    }

    /// Records this stream as a span of that name.
    ///
    /// ```
    /// use spanring::prelude::*;
    ///
    /// # fn rows() -> impl futures_core::Stream<Item = u8> { futures_util::stream::empty() }
    /// static_span_location!(HERE);
    /// let rows = rows().instrument_stream_named(&HERE, "rows");
    /// ```
    fn instrument_stream_named<N: SpanName>(
        self,
        location: &'static SpanLocation,
        name: N,
    ) -> InstrumentedStream<Self, Named<N>> {
        InstrumentedStream::new(self, Named::at(location, name))
    }
}

impl<T: Stream> InstrumentStream for T {}

impl<T: Stream, S: SpanSite> Stream for InstrumentedStream<T, S> {
    type Item = T::Item;

    fn poll_next(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Option<T::Item>> {
        let this = self.project();
        // SAFETY: the projection through `ManuallyDrop` is structural, as its destructor above keeps the promise of a pin.
        let stream = unsafe { this.stream.map_unchecked_mut(|stream| &mut **stream) };
        let mut next = None;
        // An item is not the end of the span.
        let poll = || match ready!(stream.poll_next(cx)) {
            None => Poll::Ready(()),
            item => {
                next = item;
                Poll::Pending
            }
        };
        let ended = this.span.poll_in(poll, |_, _| Outcome::Completed);
        match (next, ended) {
            (Some(item), _) => Poll::Ready(Some(item)),
            (None, Poll::Ready(())) => Poll::Ready(None),
            (None, Poll::Pending) => Poll::Pending,
        }
    }

    fn size_hint(&self) -> (usize, Option<usize>) {
        self.stream.size_hint()
    }
}

impl<T, S: SpanSite> std::fmt::Debug for InstrumentedStream<T, S> {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("InstrumentedStream").finish_non_exhaustive()
    }
}
