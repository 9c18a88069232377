//! Attributes: what is known of a span beside its name, given when it is made or while it is open.

use super::context::{current_span_id, is_recorded};
use super::site::SpanSite;
use super::site::sealed as site;
use crate::events::{Kind, SpanLocation};
use crate::recorder::attributes::{Entry, Happened, Value, instant as record_instant};
use crate::recorder::gate::CLOSED;
use crate::recorder::record::{Name, Site, ending_generation, recording};
use std::borrow::Cow;
use std::sync::Arc;

/// What an attribute may be: a truth, a number, or text; or an [`Option`] of such, of which `None` is not recorded.
///
/// Text is copied into the record, up to [`crate::events::MAX_RUN_TIME_NAME`] bytes: there may be any number of different ones. Text that
/// the program contains and that is one of a few is cheaper as [`StaticText`]; a literal in a macro is that by itself.
///
/// ```
/// # if cfg!(not(feature = "enable")) { return; }
/// use spanring::prelude::*;
/// use spanring::spans::AttributeValue;
/// use spanring::testing;
///
/// fn note(key: &'static str, value: impl AttributeValue) {
///     current_span().record(key, value);
/// }
///
/// # use futures_executor::block_on;
/// let recorded = block_on(testing::record_future(async {
///     span_async_named!("load", async {
///         note("cached", true);
///         note("rows", Some(2));
///         note("error", None::<String>); // not recorded
///     })
///     .await;
/// }));
/// let attributes = [("cached", "true"), ("rows", "2")].map(|(key, value)| (key.to_owned(), value.to_owned()));
/// assert_eq!(recorded.spans[0].attributes, attributes);
/// ```
pub trait AttributeValue: value::Sealed {}

impl<T: value::Sealed> AttributeValue for T {}

/// Text of which only address and length are recorded with each attribute, and the text itself once per recording, whole.
///
/// ```
/// # if cfg!(not(feature = "enable")) { return; }
/// use spanring::prelude::*;
/// use spanring::spans::StaticText;
/// use spanring::testing;
///
/// fn method(is_read: bool) -> StaticText {
///     StaticText(if is_read { "GET" } else { "PUT" })
/// }
///
/// let recorded = testing::record(|| {
///     span_scope!("request", method = method(true));
/// });
/// assert_eq!(recorded.spans[0].attributes, [("method".to_owned(), "GET".to_owned())]);
/// ```
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct StaticText(pub &'static str);

pub(crate) mod value {
    use super::Value;

    pub trait Sealed {
        #[doc(hidden)]
        fn value(&self) -> Option<Value<'_>>;
    }
}

macro_rules! values {
    ($($type:ty: $self:ident => $value:expr;)+) => {$(
        impl value::Sealed for $type {
            #[inline(always)]
            fn value(&self) -> Option<Value<'_>> {
                let $self = self;
                Some($value)
            }
        }
    )+};
}

values! {
    bool: value => Value::Bool(*value);
    i8: value => Value::I64(i64::from(*value));
    i16: value => Value::I64(i64::from(*value));
    i32: value => Value::I64(i64::from(*value));
    i64: value => Value::I64(*value);
    isize: value => Value::I64(*value as i64);
    u8: value => Value::U64(u64::from(*value));
    u16: value => Value::U64(u64::from(*value));
    u32: value => Value::U64(u64::from(*value));
    u64: value => Value::U64(*value);
    usize: value => Value::U64(*value as u64);
    f32: value => Value::F64(f64::from(*value));
    f64: value => Value::F64(*value);
    &str: text => Value::Text(text);
    String: text => Value::Text(text);
    Box<str>: text => Value::Text(text);
    Arc<str>: text => Value::Text(text);
    Cow<'_, str>: text => Value::Text(text);
    StaticText: text => Value::Static(text.0);
}

impl<T: value::Sealed> value::Sealed for &T {
    #[inline(always)]
    fn value(&self) -> Option<Value<'_>> {
        (**self).value()
    }
}

impl<T: value::Sealed> value::Sealed for Option<T> {
    #[inline(always)]
    fn value(&self) -> Option<Value<'_>> {
        self.as_ref().and_then(T::value)
    }
}

/// A literal in a macro: as what it is worth, and text as [`StaticText`].
#[doc(hidden)]
#[derive(Clone, Copy, Debug)]
pub struct Literal<T>(pub T);

impl value::Sealed for Literal<&'static str> {
    #[inline(always)]
    fn value(&self) -> Option<Value<'_>> {
        Some(Value::Static(self.0))
    }
}

macro_rules! literals {
    ($($type:ty)+) => {$(
        impl value::Sealed for Literal<$type> {
            #[inline(always)]
            fn value(&self) -> Option<Value<'_>> {
                self.0.value()
            }
        }
    )+};
}

literals! { bool i8 i16 i32 i64 isize u8 u16 u32 u64 usize f32 f64 }

/// The value of a counter: a number.
///
/// ```
/// use spanring::prelude::*;
/// use spanring::spans::CounterValue;
///
/// fn sample(value: impl CounterValue) {
///     counter!("queue length", value);
/// }
/// sample(17);
/// sample(0.75);
/// ```
pub trait CounterValue: AttributeValue + counted::Sealed {}

impl<T: AttributeValue + counted::Sealed> CounterValue for T {}

mod counted {
    pub trait Sealed {}
}

macro_rules! counted {
    ($($type:ty)+) => {$( impl counted::Sealed for $type {} )+};
}

counted! { i8 i16 i32 i64 isize u8 u16 u32 u64 usize f32 f64 }

/// Some attributes, each a key and its value: `()` is none, and `(("key", value), others)` one more.
///
/// The macros make such a list of `key = value, ..`.
///
/// ```
/// use spanring::spans::Attributes;
///
/// fn common(user: u64) -> impl Attributes {
///     (("user.id", user), (("cached", false), ()))
/// }
/// let attributes = common(7);
/// ```
pub trait Attributes: list::Sealed {}

impl<T: list::Sealed> Attributes for T {}

pub(crate) mod list {
    use super::Value;

    pub trait Sealed {
        /// How many there are.
        #[doc(hidden)]
        fn count(&self) -> u32;

        #[doc(hidden)]
        fn each(&self, visit: impl FnMut(&'static str, Value<'_>));
    }
}

impl list::Sealed for () {
    #[inline(always)]
    fn count(&self) -> u32 {
        0
    }

    #[inline(always)]
    fn each(&self, _: impl FnMut(&'static str, Value<'_>)) {}
}

impl<V: AttributeValue, Others: Attributes> list::Sealed for ((&'static str, V), Others) {
    #[inline(always)]
    fn count(&self) -> u32 {
        u32::from(self.0.1.value().is_some()) + self.1.count()
    }

    #[inline(always)]
    fn each(&self, mut visit: impl FnMut(&'static str, Value<'_>)) {
        let (key, value) = &self.0;
        if let Some(value) = value.value() {
            visit(key, value);
        }
        self.1.each(visit);
    }
}

/// A place, and perhaps a name, with the attributes of the span there.
///
/// ```
/// use spanring::spans::{Named, ThreadSpanGuard, WithAttributes};
/// use spanring::span_guard;
///
/// // The type of a guard with one attribute, to be kept in a struct.
/// type Compressing = ThreadSpanGuard<WithAttributes<Named<&'static str>, ((&'static str, usize), ())>>;
///
/// struct Compressor {
///     span: Compressing,
/// }
///
/// let file = b"a file";
/// let compressor = Compressor { span: span_guard!("compress", bytes = file.len()) };
/// compressor.span.record("level", 3);
/// ```
#[derive(Clone, Copy, Debug)]
pub struct WithAttributes<S, A> {
    site: S,
    attributes: A,
}

impl<S: SpanSite, A: Attributes> WithAttributes<S, A> {
    #[inline(always)]
    pub(crate) fn new(site: S, attributes: A) -> Self {
        WithAttributes { site, attributes }
    }
}

impl<S: SpanSite, A: Attributes> site::Sealed for WithAttributes<S, A> {
    #[inline(always)]
    fn site(&self) -> Site<'_> {
        self.site.site()
    }

    #[inline(always)]
    fn name(&self) -> Name<'_> {
        self.site.name()
    }

    #[inline(always)]
    fn attributes(&self) -> u32 {
        self.attributes.count()
    }

    #[inline(always)]
    fn record_attributes(&self, span: u64, ticks: u64, generation: u64) {
        record_all(&self.attributes, span, ticks, generation);
    }
}

#[inline(always)]
fn record_all(attributes: &impl Attributes, span: u64, ticks: u64, generation: u64) {
    attributes.each(|key, value| {
        Entry { kind: Kind::Attribute, span, ticks: Some(ticks), key, value }.record(generation);
    });
}

/// A span that is open, to record what becomes known of it.
///
/// It is only the span's id, and may be copied and sent. What it records after the span's end is kept apart from the span, and after
/// that of its recording it records nothing.
///
/// ```
/// # if cfg!(not(feature = "enable")) { return; }
/// use spanring::prelude::*;
/// use spanring::testing;
///
/// # use futures_executor::block_on;
/// let recorded = block_on(testing::record_future(async {
///     span_async_named!("request", async {
///         let request = current_span();
///         // A thread of its own has no current span, and needs none.
///         std::thread::spawn(move || { request.record("rows", 2); }).join().unwrap();
///     })
///     .await;
/// }));
/// assert_eq!(recorded.spans[0].attributes, [("rows".to_owned(), "2".to_owned())]);
/// ```
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct SpanRef {
    /// 0 if nothing is recorded.
    id: u64,
    /// Of the recording.
    generation: u64,
}

/// The async span in which this code runs. Outside of any, and while nobody records, it takes everything and records nothing.
///
/// As with [`current_span_id`](crate::spans::current_span_id), thread spans are never current: [`ThreadSpanGuard`] has their
/// [`record`](crate::spans::ThreadSpanGuard::record).
///
/// ```
/// use spanring::prelude::*;
///
/// async fn load(ids: &[u64]) {
///     let rows = ids.len();
///     current_span().record("rows", rows).record("cached", false);
/// }
/// let future = span_async_named!("load", load(&[1, 2]));
/// ```
///
/// [`ThreadSpanGuard`]: crate::spans::ThreadSpanGuard
#[inline]
pub fn current_span() -> SpanRef {
    SpanRef::with(current_span_id().unwrap_or(0), ending_generation())
}

impl SpanRef {
    #[inline(always)]
    pub(crate) fn with(id: u64, generation: u64) -> SpanRef {
        SpanRef { id, generation }
    }

    /// The span's id, unique in the process; `None` if nothing is recorded of it.
    ///
    /// ```
    /// use spanring::prelude::*;
    ///
    /// assert_eq!(current_span().id(), None, "outside of any span");
    /// let future = span_async_named!("load", async {
    ///     if let Some(id) = current_span().id() {
    ///         println!("loading in span {id}");
    ///     }
    /// });
    /// ```
    pub fn id(&self) -> Option<u64> {
        Some(self.id).filter(|id| is_recorded(*id))
    }

    /// Records an attribute, whose value takes the place of an earlier one of the same key.
    ///
    /// It allocates nothing, and takes as long as a clock read and a record. Text longer than
    /// [`crate::events::MAX_RUN_TIME_NAME`] bytes is cut at a character boundary, and marked.
    ///
    /// ```
    /// # if cfg!(not(feature = "enable")) { return; }
    /// use spanring::prelude::*;
    /// use spanring::testing;
    ///
    /// # use futures_executor::block_on;
    /// let recorded = block_on(testing::record_future(async {
    ///     span_async_named!("load", async {
    ///         current_span().record("rows", 2).record("source", format!("shard {}", 3));
    ///     })
    ///     .await;
    /// }));
    /// let attributes = [("rows", "2"), ("source", "shard 3")].map(|(key, value)| (key.to_owned(), value.to_owned()));
    /// assert_eq!(recorded.spans[0].attributes, attributes);
    /// ```
    #[inline]
    pub fn record(&self, key: &'static str, value: impl AttributeValue) -> &Self {
        let is_recorded = cfg!(feature = "enable") && self.id != 0 && self.generation != CLOSED;
        if let Some(value) = value.value().filter(|_| is_recorded) {
            Entry { kind: Kind::Attribute, span: self.id, ticks: None, key, value }.record(self.generation);
        }
        self
    }
}

/// What [`instant!`](crate::instant!) calls, while somebody records.
#[doc(hidden)]
#[inline]
pub fn instant<N: super::SpanName>(location: &'static SpanLocation, name: N, attributes: impl Attributes) {
    if let Some(Happened { id, ticks, generation }) =
        record_instant(Site::Location(&location), name.name(), attributes.count())
    {
        record_all(&attributes, id, ticks, generation);
    }
}

/// An instant, for its attributes, of which there will be so many; of none if nobody records.
#[inline]
pub(crate) fn instant_by_hand<N: super::SpanName>(
    location: &'static SpanLocation,
    name: N,
    attributes: u32,
) -> SpanRef {
    match record_instant(Site::Location(&location), name.name(), attributes) {
        Some(Happened { id, generation, .. }) => SpanRef::with(id, generation),
        None => SpanRef::with(0, CLOSED),
    }
}

/// What [`counter!`](crate::counter!) calls, while somebody records.
#[doc(hidden)]
#[inline]
pub fn counter(name: &'static str, value: impl CounterValue) {
    if let Some(value) = value.value().filter(|_| recording()) {
        let span = current_span_id().unwrap_or(0);
        Entry { kind: Kind::Counter, span, ticks: None, key: name, value }.record(ending_generation());
    }
}
