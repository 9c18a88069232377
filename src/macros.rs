//! The macros: each builds a static and calls one function.

/// A `static` [`SpanLocation`](crate::spans::SpanLocation) of that name, for this place, and of the level given, or else
/// [`Verbosity::Max`](crate::levels::Verbosity::Max).
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
        $crate::static_span_location!($variable, $crate::levels::Verbosity::Max);
    };
    ($variable:ident, $level:expr) => {
        static $variable: $crate::spans::SpanLocation = $crate::__span_location!($level);
    };
}

/// A `static` [`SpanMetadata`](crate::spans::SpanMetadata) of that name, for this place and the span name given, and of the level given, or
/// else [`Verbosity::Max`](crate::levels::Verbosity::Max).
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
        $crate::static_span_desc!($variable, $name, $crate::levels::Verbosity::Max);
    };
    ($variable:ident, $name:expr, $level:expr) => {
        static $variable: $crate::spans::SpanMetadata =
            $crate::spans::SpanMetadata { name: $name, location: $crate::__span_location!($level) };
    };
}

#[doc(hidden)]
#[macro_export]
macro_rules! __span_location {
    ($level:expr) => {
        $crate::spans::SpanLocation {
            lod: $level,
            target: ::core::module_path!(),
            module_path: ::core::module_path!(),
            file: ::core::file!(),
            line: ::core::line!(),
        }
    };
}

/// A reference to what the filter says of the spans made there: of that name, if it is a literal, or else of any.
#[doc(hidden)]
#[macro_export]
macro_rules! __verdict {
    ($($name:expr)?) => {{
        static __SPANRING_VERDICT: $crate::__private::SiteVerdict =
            $crate::__private::SiteVerdict::new($crate::__private::literal(::core::stringify!($($name)?)));
        &__SPANRING_VERDICT
    }};
}

/// A value of a scope that begins in that generation, if there is one.
#[doc(hidden)]
#[macro_export]
macro_rules! __while_recording {
    ($generation:expr, $value:expr) => {
        match $generation {
            ::core::option::Option::Some(_) => ::core::option::Option::Some($value),
            ::core::option::Option::None => ::core::option::Option::None,
        }
    };
}

/// A value of a future that is wrapped in that generation, unless by that verdict it is known as refused. The compiler arranges this so that it
/// costs nothing while nobody records; for scopes the other.
#[doc(hidden)]
#[macro_export]
macro_rules! __unless_refused {
    ($generation:expr, $verdict:expr, $value:expr) => {
        if $generation != $crate::__private::CLOSED && !$crate::__private::is_refused($generation, $verdict) {
            ::core::option::Option::Some($value)
        } else {
            ::core::option::Option::None
        }
    };
}

/// Takes `key = value, ..` from the front of what follows the list, adds each to the list, and hands all to the macro named first. A key
/// may have dots. A literal text is one of a few: only its address is recorded with the span.
#[doc(hidden)]
#[macro_export]
macro_rules! __fields {
    ($then:ident $context:tt [$($list:tt)*] $($key:ident).+ = -$value:literal $(, $($rest:tt)*)?) => {
        $crate::__fields!($then $context
            [$($list)* (::core::stringify!($($key).+), $crate::__private::Literal(-$value))] $($($rest)*)?)
    };
    // Whatever else begins with a minus is no literal, though the next rule would take it for one, and fail.
    ($then:ident $context:tt $list:tt $($key:ident).+ = -$($rest:tt)*) => {
        $crate::__field!($then $context $list $($key).+ = -$($rest)*)
    };
    ($then:ident $context:tt [$($list:tt)*] $($key:ident).+ = $value:literal $(, $($rest:tt)*)?) => {
        $crate::__fields!($then $context
            [$($list)* (::core::stringify!($($key).+), $crate::__private::Literal($value))] $($($rest)*)?)
    };
    ($then:ident $context:tt $list:tt $($key:ident).+ = $value:expr $(, $($rest:tt)*)?) => {
        $crate::__field!($then $context $list $($key).+ = $value $(, $($rest)*)?)
    };
    ($then:ident $context:tt $list:tt $($rest:tt)*) => {
        $crate::$then!($context $list $($rest)*)
    };
}

/// One field whose value is no literal, then the others.
#[doc(hidden)]
#[macro_export]
macro_rules! __field {
    ($then:ident $context:tt [$($list:tt)*] $($key:ident).+ = $value:expr $(, $($rest:tt)*)?) => {
        $crate::__fields!($then $context [$($list)* (::core::stringify!($($key).+), $value)] $($($rest)*)?)
    };
}

/// Attributes as a value.
#[doc(hidden)]
#[macro_export]
macro_rules! __list {
    () => {
        ()
    };
    ($first:tt $($rest:tt)*) => {
        ($first, $crate::__list!($($rest)*))
    };
}

/// `key = value, ..` as a value.
#[doc(hidden)]
#[macro_export]
macro_rules! __attributes {
    ($($fields:tt)*) => {
        $crate::__fields!(__listed () [] $($fields)*)
    };
}

#[doc(hidden)]
#[macro_export]
macro_rules! __listed {
    (() [$($list:tt)*]) => {
        $crate::__list!($($list)*)
    };
}

/// `(future, name) [attributes]`, and what looks at the output, if anything does.
#[doc(hidden)]
#[macro_export]
macro_rules! __instrument {
    ($context:tt $list:tt) => {
        $crate::__instrument!(@by instrument_with $context $list ())
    };
    ($context:tt $list:tt err $(,)?) => {
        $crate::__instrument!(@by instrument_with $context $list ($crate::spans::FailOnErr))
    };
    (@by $function:ident ($future:expr, $name:expr) [$($list:tt)*] $on_output:expr) => {{
        $crate::static_span_location!(__SPANRING_LOCATION);
        // Name and attributes first, as they are written first in `span_async_named!`, and may be borrowed by what the future takes.
        let verdict = $crate::__verdict!($name);
        let generation = $crate::__private::generation();
        let site = $crate::__unless_refused!(generation, verdict, $crate::__private::named_with(
            &__SPANRING_LOCATION,
            ($name, $crate::__list!($($list)*)),
        ));
        $crate::__private::$function($future, site, generation, verdict, $on_output)
    }};
    ($context:tt $list:tt $closure:expr $(,)?) => {
        $crate::__instrument!(@by instrument_seeing $context $list $closure)
    };
}

/// `(name) [attributes] future`, and what looks at the output, if anything does.
#[doc(hidden)]
#[macro_export]
macro_rules! __span_async {
    (($name:expr) $list:tt $future:expr $(,)?) => {
        $crate::__instrument!(($future, $name) $list)
    };
    (($name:expr) $list:tt $future:expr, $($rest:tt)+) => {
        $crate::__instrument!(($future, $name) $list $($rest)+)
    };
}

/// `(description) [attributes]` as a guard that has not begun.
#[doc(hidden)]
#[macro_export]
macro_rules! __scope {
    (($description:expr) [$($list:tt)*]) => {{
        let description = $description;
        let generation = $crate::__private::generation_of(description, $crate::__verdict!());
        $crate::spans::ThreadSpanGuard::prepare_with($crate::__while_recording!(
            generation,
            $crate::__private::static_with(description, $crate::__list!($($list)*))
        ))
    }};
}

/// `(location, name) [attributes]` likewise.
#[doc(hidden)]
#[macro_export]
macro_rules! __scope_named {
    (($location:expr, $name:expr) [$($list:tt)*]) => {{
        let location = $location;
        let generation = $crate::__private::generation_at(location, $crate::__verdict!($name));
        $crate::spans::ThreadSpanGuard::prepare_with($crate::__while_recording!(
            generation,
            $crate::__private::named_with(location, ($name, $crate::__list!($($list)*)))
        ))
    }};
}

#[doc(hidden)]
#[macro_export]
macro_rules! __instant {
    (($name:expr) [$($list:tt)*]) => {{
        $crate::static_span_location!(__SPANRING_LOCATION);
        if $crate::__private::generation_at(&__SPANRING_LOCATION, $crate::__verdict!($name)).is_some() {
            $crate::__private::instant(&__SPANRING_LOCATION, $name, $crate::__list!($($list)*));
        }
    }};
}

/// Records that something happens now, in the current span: a point in time with a name, and perhaps attributes. Nothing is evaluated
/// unless somebody records.
///
/// A name is anything that implements [`SpanName`](crate::spans::SpanName), a value anything that implements
/// [`AttributeValue`](crate::spans::AttributeValue).
///
/// ```
/// use spanring::prelude::*;
///
/// # let key = "user:7";
/// instant!("cache miss");
/// instant!("cache miss", key = key, cache.size = 17);
/// ```
#[macro_export]
macro_rules! instant {
    ($name:expr $(, $($fields:tt)*)?) => {
        $crate::__fields!(__instant ($name) [] $($($fields)*)?)
    };
}

/// Records the value that something has now, such as the length of a queue: a sample of a series with that name, which is a
/// `&'static str`. Nothing is evaluated unless somebody records.
///
/// A value is anything that implements [`CounterValue`](crate::spans::CounterValue).
///
/// ```
/// use spanring::prelude::*;
///
/// # let queue = [1, 2, 3];
/// counter!("queue length", queue.len());
/// counter!("load", 0.75);
/// ```
#[macro_export]
macro_rules! counter {
    ($name:expr, $value:expr $(,)?) => {
        if $crate::__private::recording() {
            $crate::__private::counter($name, $value);
        }
    };
}

/// A thread span as a value, from here until it is dropped: to record what becomes known of it, or to end it early.
///
/// ```
/// use spanring::prelude::*;
///
/// fn compress(file: &[u8]) -> usize {
///     let span = span_guard!("compress", bytes = file.len());
///     let compressed = file.len() / 2;
///     span.record("compressed bytes", compressed);
///     compressed
/// }
/// # compress(b"a file");
/// ```
#[macro_export]
macro_rules! span_guard {
    ($name:expr $(, $($fields:tt)*)?) => {
        $crate::__fields!(__scope_named ({
            $crate::static_span_location!(__SPANRING_LOCATION);
            &__SPANRING_LOCATION
        }, $name) [] $($($fields)*)?).begun()
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
///
/// Attributes may follow: a key, in which there may be dots, and a value that implements
/// [`AttributeValue`](crate::spans::AttributeValue). They are evaluated with the name, and recorded when the span begins. Last, `err`
/// says that a span whose output is an `Err` has failed; or else a closure sees the output, and may record what it says or
/// [`fail`](crate::spans::EndingSpan::fail) the span.
///
/// ```
/// use spanring::prelude::*;
///
/// # async fn fetch(id: u64) -> Result<Vec<u64>, String> { Ok(vec![id]) }
/// let id = 7;
/// let by_result = instrument_named!(fetch(id), "fetch", user.id = id, kind = "full", err);
/// let by_rows = instrument_named!(fetch(id), "fetch", |out, span| {
///     span.record("rows", out.as_ref().map_or(0, Vec::len));
/// });
/// ```
#[macro_export]
macro_rules! instrument_named {
    ($future:expr, $name:expr $(,)?) => {{
        $crate::static_span_location!(__SPANRING_LOCATION);
        // The name first, as it is written first in `span_async_named!`, and may be borrowed by what the future takes.
        let verdict = $crate::__verdict!($name);
        let generation = $crate::__private::generation();
        let name = $crate::__unless_refused!(generation, verdict, $name);
        $crate::spans::InstrumentedNamedFuture::with_name($future, &__SPANRING_LOCATION, name, generation, verdict)
    }};
    ($future:expr, $name:expr, $($rest:tt)+) => {
        $crate::__fields!(__instrument ($future, $name) [] $($rest)+)
    };
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
    ($future:expr, $name:expr $(, $($rest:tt)*)?) => {
        $crate::instrument_named!($future, $crate::spans::RunTimeName($name) $(, $($rest)*)?)
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
///
/// Attributes stand between name and future; what looks at the output, as in [`instrument_named!`], behind the future.
///
/// ```
/// use spanring::prelude::*;
///
/// # async fn process(batch: u64) -> Result<u64, String> { Ok(batch) }
/// let id = 7;
/// let future = span_async_named!("process_batch", batch = id, queue = "fast", async move { process(id).await });
/// let future = span_async_named!("process_batch", batch = id, process(id), err);
/// ```
#[macro_export]
macro_rules! span_async_named {
    ($name:expr, $($key:ident).+ = $($rest:tt)+) => {
        $crate::__fields!(__span_async ($name) [] $($key).+ = $($rest)+)
    };
    ($name:expr, $future:expr $(,)?) => {
        $crate::instrument_named!($future, $name)
    };
    ($name:expr, $future:expr, $($rest:tt)+) => {
        $crate::__instrument!(($future, $name) [] $($rest)+)
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
    ($name:expr, $($rest:tt)+) => {
        $crate::span_async_named!($crate::spans::RunTimeName($name), $($rest)+)
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
///
/// Attributes may follow: a key, in which there may be dots, and a value that implements
/// [`AttributeValue`](crate::spans::AttributeValue), evaluated only while somebody records.
///
/// ```
/// use spanring::prelude::*;
///
/// fn compress(file: &[u8]) {
///     span_scope!("compress", bytes = file.len(), level = 3);
///     // ..
/// }
/// ```
#[macro_export]
macro_rules! span_scope {
    ($variable:ident, $name:expr, $($key:ident).+ = $($rest:tt)+) => {
        $crate::static_span_desc!($variable, $name);
        let mut _span_scope = $crate::__fields!(__scope (&$variable) [] $($key).+ = $($rest)+);
        _span_scope.begin();
    };
    ($name:expr, $($key:ident).+ = $($rest:tt)+) => {
        // The static is in a block of its own, so that a scope may have several.
        let mut _span_scope = $crate::__fields!(__scope ({
            $crate::static_span_desc!(__SPANRING_DESCRIPTION, $name);
            &__SPANRING_DESCRIPTION
        }) [] $($key).+ = $($rest)+);
        _span_scope.begin();
    };
    ($variable:ident, $name:expr) => {
        $crate::static_span_desc!($variable, $name);
        let mut _span_scope = $crate::spans::ThreadSpanGuard::prepare(&$variable);
        _span_scope.begin_in($crate::__private::generation_of(&$variable, $crate::__verdict!()));
    };
    ($name:expr) => {
        // The static is in a block of its own, so that a scope may have several.
        let description = {
            $crate::static_span_desc!(__SPANRING_DESCRIPTION, $name);
            &__SPANRING_DESCRIPTION
        };
        let mut _span_scope = $crate::spans::ThreadSpanGuard::prepare(description);
        _span_scope.begin_in($crate::__private::generation_of(description, $crate::__verdict!()));
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
///
/// Attributes may follow, as in [`span_scope!`].
#[macro_export]
macro_rules! span_scope_named {
    ($variable:ident, $name:expr, $($key:ident).+ = $($rest:tt)+) => {
        $crate::static_span_location!($variable);
        let mut _span_scope = $crate::__fields!(__scope_named (&$variable, $name) [] $($key).+ = $($rest)+);
        _span_scope.begin();
    };
    ($name:expr, $($key:ident).+ = $($rest:tt)+) => {
        let mut _span_scope = $crate::__fields!(__scope_named ({
            $crate::static_span_location!(__SPANRING_LOCATION);
            &__SPANRING_LOCATION
        }, $name) [] $($key).+ = $($rest)+);
        _span_scope.begin();
    };
    ($variable:ident, $name:expr) => {
        $crate::static_span_location!($variable);
        let generation = $crate::__private::generation_at(&$variable, $crate::__verdict!($name));
        let name = $crate::__while_recording!(generation, $name);
        let mut _span_scope = $crate::spans::ThreadSpanGuard::prepare_named(&$variable, name);
        _span_scope.begin_in(generation);
    };
    ($name:expr) => {
        let location = {
            $crate::static_span_location!(__SPANRING_LOCATION);
            &__SPANRING_LOCATION
        };
        let generation = $crate::__private::generation_at(location, $crate::__verdict!($name));
        let name = $crate::__while_recording!(generation, $name);
        let mut _span_scope = $crate::spans::ThreadSpanGuard::prepare_named(location, name);
        _span_scope.begin_in(generation);
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
    ($name:expr, $($key:ident).+ = $($rest:tt)+) => {
        $crate::span_scope_named!($crate::spans::RunTimeName($name), $($key).+ = $($rest)+);
    };
    ($variable:ident, $name:expr $(, $($key:ident).+ = $($rest:tt)+)?) => {
        $crate::span_scope_named!($variable, $crate::spans::RunTimeName($name) $(, $($key).+ = $($rest)+)?);
    };
    ($name:expr) => {
        $crate::span_scope_named!($crate::spans::RunTimeName($name));
    };
}
