//! Where a span stands in the program, as a `static` that a macro builds.

/// How much detail a span adds. Recorded with its location; filters may use it.
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
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct SpanMetadata {
    /// The span's name.
    pub name: &'static str,
    /// Where it stands.
    pub location: SpanLocation,
}
