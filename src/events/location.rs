//! Where a span stands in the program, as a `static` that a macro builds.

/// How much detail a span adds. Recorded with its location; filters may use it.
///
/// ```
/// use spanring::prelude::*;
///
/// static_span_desc!(QUERY, "query", Verbosity::Med);
/// assert_eq!(QUERY.location.lod, Verbosity::Med);
/// assert!(Verbosity::Min < Verbosity::Med && Verbosity::Med < Verbosity::Max);
/// ```
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
#[repr(u8)]
pub enum Verbosity {
    /// The few spans that are always wanted.
    Min = 1,
    /// A moderate number.
    Med = 2,
    /// Everything: what the macros use.
    Max = 3,
}

/// A place in the program. `static_span_location!` builds one.
///
/// ```
/// use spanring::prelude::*;
///
/// static_span_location!(HERE);
/// assert_eq!((HERE.lod, HERE.target), (Verbosity::Max, module_path!()));
///
/// // With a target of its own, for filters.
/// static QUERIES: SpanLocation = SpanLocation {
///     lod: Verbosity::Med,
///     target: "database",
///     module_path: module_path!(),
///     file: file!(),
///     line: line!(),
/// };
/// let future = async { 42 }.instrument_named(&QUERIES, "count users");
/// ```
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct SpanLocation {
    /// Level of detail.
    pub lod: Verbosity,
    /// What filters match: the module path, unless chosen otherwise.
    pub target: &'static str,
    /// Module path.
    pub module_path: &'static str,
    /// Source file.
    pub file: &'static str,
    /// Line in the file, from 1.
    pub line: u32,
}

/// A place in the program with the one name that spans have there. `static_span_desc!` builds one.
///
/// ```
/// use spanring::prelude::*;
///
/// static_span_desc!(LOAD, "load");
/// assert_eq!((LOAD.name, LOAD.location.file), ("load", file!()));
/// let future = async { 42 }.instrument(&LOAD);
/// ```
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct SpanMetadata {
    /// The span's name.
    pub name: &'static str,
    /// Where it stands.
    pub location: SpanLocation,
}
