//! What may name a span.

use crate::recorder::record::Name;
use std::borrow::Cow;
use std::sync::Arc;

/// A name for spans: `&'static str`, `String`, `Box<str>`, `Arc<str>`, `Cow<'static, str>`, or a [`RunTimeName`].
///
/// A static name costs nothing: its address and length are recorded, and its text once per recording, whole. Any other is copied
/// into each of the span's two records, up to [`crate::events::MAX_RUN_TIME_NAME`] bytes.
///
/// ```
/// use spanring::prelude::*;
/// use spanring::spans::SpanName;
///
/// fn counted(name: impl SpanName) -> impl Future<Output = u32> {
///     instrument_named!(async { 42 }, name)
/// }
/// let by_static_name = counted("count");
/// let by_run_time_name = counted(format!("count shard {}", 3));
/// ```
pub trait SpanName: sealed::Sealed {}

impl<T: sealed::Sealed> SpanName for T {}

/// A name whose text is copied into the record, from anything that can be seen as text, borrowed or owned.
///
/// The macros whose names end in `_dyn!` make one. `&'a str` by itself is a name only if it is static.
///
/// ```
/// # if cfg!(not(feature = "enable")) { return; }
/// use spanring::prelude::*;
/// use spanring::spans::RunTimeName;
/// use spanring::testing;
///
/// let line = String::from("load users");
/// let verb = line.split(' ').next().unwrap();
/// let recorded = testing::record(|| {
///     span_scope_named!(RunTimeName(verb));
/// });
/// assert_eq!(recorded.tree(), "load (thread)\n");
/// ```
#[derive(Clone, Copy, Debug)]
pub struct RunTimeName<T>(pub T);

pub(crate) mod sealed {
    use super::Name;

    pub trait Sealed {
        #[doc(hidden)]
        fn name(&self) -> Name<'_>;
    }
}

use sealed::Sealed;

impl Sealed for &'static str {
    #[inline(always)]
    fn name(&self) -> Name<'_> {
        Name::Static(self)
    }
}

impl Sealed for String {
    #[inline(always)]
    fn name(&self) -> Name<'_> {
        Name::RunTime(self)
    }
}

impl Sealed for Box<str> {
    #[inline(always)]
    fn name(&self) -> Name<'_> {
        Name::RunTime(self)
    }
}

impl Sealed for Arc<str> {
    #[inline(always)]
    fn name(&self) -> Name<'_> {
        Name::RunTime(self)
    }
}

impl Sealed for Cow<'static, str> {
    #[inline(always)]
    fn name(&self) -> Name<'_> {
        match self {
            Cow::Borrowed(name) => Name::Static(name),
            Cow::Owned(name) => Name::RunTime(name),
        }
    }
}

impl<T: AsRef<str>> Sealed for RunTimeName<T> {
    #[inline(always)]
    fn name(&self) -> Name<'_> {
        Name::RunTime(self.0.as_ref())
    }
}
