//! A state without a `Live<T>` does not compile, and the compiler says what to do.
//!
//! Each failing program has a twin beside it that differs by the fix alone. The expected messages
//! are rustc's, so a new compiler may word them anew: `TRYBUILD=overwrite cargo test --test ui`
//! writes them.

#[test]
fn what_does_not_compile_says_what_to_do() {
    let cases = trybuild::TestCases::new();
    cases.compile_fail("tests/ui/*_fails.rs");
    cases.pass("tests/ui/*_compiles.rs");
}
