//! The macros: each builds a static and calls one function.

/// A `static` [`SpanLocation`](crate::spans::SpanLocation) of that name, for this place.
///
/// ```
/// use spanring::prelude::*;
///
/// static_span_location!(HERE);
/// assert!(HERE.line > 0);
/// let future = async { 1 }.instrument_named(&HERE, "count");
/// ```
#[macro_export]
macro_rules! static_span_location {
    ($variable:ident) => {
        static $variable: $crate::spans::SpanLocation = $crate::__span_location!();
    };
}

/// A `static` [`SpanMetadata`](crate::spans::SpanMetadata) of that name, for this place and the span name given.
///
/// ```
/// use spanring::prelude::*;
///
/// static_span_desc!(COUNT, "count");
/// assert_eq!(COUNT.name, "count");
/// let future = async { 1 }.instrument(&COUNT);
/// ```
#[macro_export]
macro_rules! static_span_desc {
    ($variable:ident, $name:expr) => {
        static $variable: $crate::spans::SpanMetadata =
            $crate::spans::SpanMetadata { name: $name, location: $crate::__span_location!() };
    };
}

#[doc(hidden)]
#[macro_export]
macro_rules! __span_location {
    () => {
        $crate::spans::SpanLocation {
            lod: $crate::levels::Verbosity::Max,
            target: ::core::module_path!(),
            module_path: ::core::module_path!(),
            file: ::core::file!(),
            line: ::core::line!(),
        }
    };
}

#[doc(hidden)]
#[macro_export]
macro_rules! __while_recording {
    ($value:expr) => {
        $crate::__while_recording!($crate::__private::generation(), $value)
    };
    ($generation:expr, $value:expr) => {
        if $generation != $crate::__private::CLOSED {
            ::core::option::Option::Some($value)
        } else {
            ::core::option::Option::None
        }
    };
}

/// Wraps a future as a span of that name. The name is evaluated only while somebody records.
///
/// A name is anything that implements [`SpanName`](crate::spans::SpanName).
///
/// ```
/// use spanring::prelude::*;
///
/// let by_static_name = instrument_named!(async { 1 }, "count");
/// let shard = 3;
/// let by_run_time_name = instrument_named!(async { 2 }, format!("count shard {shard}"));
/// ```
#[macro_export]
macro_rules! instrument_named {
    ($future:expr, $name:expr $(,)?) => {{
        $crate::static_span_location!(__SPANRING_LOCATION);
        // The name first, as it is written first in `span_async_named!`, and may be borrowed by what the future takes.
        let generation = $crate::__private::generation();
        let name = $crate::__while_recording!(generation, $name);
        $crate::spans::InstrumentedNamedFuture::with_name($future, &__SPANRING_LOCATION, name, generation)
    }};
}

/// [`instrument_named!`] for a name that is borrowed text, or anything else that implements `AsRef<str>`.
///
/// ```
/// use spanring::prelude::*;
///
/// let line = String::from("load users");
/// let future = instrument_named_dyn!(async { 1 }, line.split(' ').next().unwrap());
/// ```
#[macro_export]
macro_rules! instrument_named_dyn {
    ($future:expr, $name:expr $(,)?) => {
        $crate::instrument_named!($future, $crate::spans::RunTimeName($name))
    };
}

/// An async block, or any other future, as a span of that name. The name is evaluated only while somebody records.
///
/// ```
/// use spanring::prelude::*;
///
/// # let handle = |path: &'static str| async move { path.len() };
/// let path = "/users";
/// let future = span_async_named!(format!("GET {path}"), async move { handle(path).await });
/// ```
#[macro_export]
macro_rules! span_async_named {
    ($name:expr, $future:expr $(,)?) => {
        $crate::instrument_named!($future, $name)
    };
}

/// [`span_async_named!`] for a name that is borrowed text, or anything else that implements `AsRef<str>`.
///
/// ```
/// use spanring::prelude::*;
///
/// let query = String::from("select 1");
/// let future = span_async_named_dyn!(query.as_str(), async { 1 });
/// ```
#[macro_export]
macro_rules! span_async_named_dyn {
    ($name:expr, $future:expr $(,)?) => {
        $crate::instrument_named_dyn!($future, $name)
    };
}

/// Records the rest of the enclosing scope as a thread span. The name is a constant.
///
/// ```
/// use spanring::prelude::*;
///
/// fn compress() {
///     span_scope!("compress");
///     // ..
/// }
/// ```
#[macro_export]
macro_rules! span_scope {
    ($variable:ident, $name:expr) => {
        $crate::static_span_desc!($variable, $name);
        let mut _span_scope = $crate::spans::ThreadSpanGuard::prepare(&$variable);
        _span_scope.begin();
    };
    ($name:expr) => {
        // The static is in a block of its own, so that a scope may have several.
        let mut _span_scope = $crate::spans::ThreadSpanGuard::prepare({
            $crate::static_span_desc!(__SPANRING_DESCRIPTION, $name);
            &__SPANRING_DESCRIPTION
        });
        _span_scope.begin();
    };
}

/// Records the rest of the enclosing scope as a thread span whose name is evaluated there, and only while somebody records.
///
/// ```
/// use spanring::prelude::*;
///
/// fn compress(file: u32) {
///     span_scope_named!(format!("compress {file}"));
///     // ..
/// }
/// ```
#[macro_export]
macro_rules! span_scope_named {
    ($variable:ident, $name:expr) => {
        $crate::static_span_location!($variable);
        let mut _span_scope =
            $crate::spans::ThreadSpanGuard::prepare_named(&$variable, $crate::__while_recording!($name));
        _span_scope.begin();
    };
    ($name:expr) => {
        let mut _span_scope = $crate::spans::ThreadSpanGuard::prepare_named(
            {
                $crate::static_span_location!(__SPANRING_LOCATION);
                &__SPANRING_LOCATION
            },
            $crate::__while_recording!($name),
        );
        _span_scope.begin();
    };
}

/// [`span_scope_named!`] for a name that is borrowed text, or anything else that implements `AsRef<str>`.
///
/// ```
/// use spanring::prelude::*;
///
/// fn compress(path: &str) {
///     span_scope_named_dyn!(path);
///     // ..
/// }
/// ```
#[macro_export]
macro_rules! span_scope_named_dyn {
    ($variable:ident, $name:expr) => {
        $crate::span_scope_named!($variable, $crate::spans::RunTimeName($name));
    };
    ($name:expr) => {
        $crate::span_scope_named!($crate::spans::RunTimeName($name));
    };
}
