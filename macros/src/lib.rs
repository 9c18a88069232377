//! The `#[span_fn]` attribute of `spanring`, a flight recorder for async Rust services.
//!
//! Use it as `spanring::span_fn`: the code that it writes names items of `spanring`, so it is of no use without that
//! crate.

#![forbid(unsafe_code)]

mod args;
mod boxed;
mod expand;
mod function;
mod params;
mod returns;

use proc_macro::TokenStream;

/// Records a span for every call of the function that it is put on.
///
/// ```
/// use spanring::span_fn;
///
/// #[span_fn]
/// async fn load_user(id: u64) -> Option<String> {
///     let row = query(id).await?;
///     Some(decode(&row))
/// }
///
/// #[span_fn("db query")]
/// async fn query(id: u64) -> Option<Vec<u8>> {
///     (id > 0).then(|| vec![b'u'])
/// }
///
/// #[span_fn]
/// fn decode(row: &[u8]) -> String {
///     String::from_utf8_lossy(row).into_owned()
/// }
/// # drop(load_user(1));
/// ```
///
/// # Arguments
///
/// All are optional, in any order:
///
/// - a string literal: the span's name. The default is the function's name.
/// - `fields(key = value, ..)`: attributes of the span. A key may have dots, and a value is anything that implements
///   `spanring::spans::AttributeValue`. Parameters may be used by their names. The values are evaluated at the call, before
///   the body, and only while somebody records.
/// - `err`: the span has failed if the result is an `Err`. The function has to return a `Result`, or a future of one.
/// - `crate = path`: where `spanring` is found, for crates that know it by another name or through a re-export, such as
///   `#[span_fn(crate = my::reexport::spanring)]`. The default is `::spanring`.
///
/// ```
/// use spanring::span_fn;
///
/// #[span_fn(fields(user.id = id, kind = "by id"), err)]
/// async fn load_user(id: u64) -> Result<String, std::num::TryFromIntError> {
///     Ok(format!("user {}", u8::try_from(id)?))
/// }
/// # drop(load_user(1));
/// ```
///
/// # What is recorded
///
/// | function | span |
/// |---|---|
/// | `async fn` | an async span around the future |
/// | `fn` that returns `impl Future` or a boxed future | an async span around that future |
/// | any other `fn` | a thread span around the call |
///
/// The parent of an async span is the span in which the function was *called*, even if the future is polled elsewhere;
/// it begins at the future's first poll. Its location is the line of the function's name.
///
/// A boxed future is `Pin<Box<dyn Future>>`, or `BoxFuture` or `LocalBoxFuture` by name. A future behind any other type
/// alias is not recognised, and the span covers only the call. The body of a `fn` that returns a future runs in the
/// caller's span, before its own begins: what it calls there has the caller as parent.
///
/// # How an `async fn` changes
///
/// To know its caller, an `async fn` becomes a `fn` that returns `impl Future<Output = T>`, with the same captures, the
/// same drop order of its arguments, and `Send` exactly when it was before. Three differences can be noticed:
///
/// - Other attribute macros that want an `async fn` (`#[tokio::main]`, `#[tokio::test]`, `#[async_recursion]`) must
///   stand above `#[span_fn]`, so that they are expanded first. Inside an `#[async_trait]` impl there is nothing to do.
/// - `#[must_use]` no longer says that the awaited value must be used, only that the future must be.
/// - Documentation shows the new signature, with arguments that are patterns as `__arg0`, `__arg1`, and so on.
///
/// Where a returned future is boxed, the wrapper goes into that same box if the body ends in `Box::pin(..)` and nothing
/// before can leave the function (`return`, `?`, or a macro); otherwise it is boxed once more.
///
/// # Errors
///
/// It does not compile on anything but a function with a body, nor on a `const fn`, nor with an argument other than
/// those above.
#[proc_macro_attribute]
pub fn span_fn(args: TokenStream, item: TokenStream) -> TokenStream {
    expand::span_fn(args.into(), item.into()).into()
}
