//! What the compiler says about a misplaced or misspelt `#[span_fn]`, and code that has to compile.

#[test]
fn span_fn_says_what_to_write_instead() {
    trybuild::TestCases::new().compile_fail("fail/*.rs");
}

#[test]
fn span_fn_compiles_in_unusual_surroundings() {
    trybuild::TestCases::new().pass("pass/*.rs");
}
