//! A state without a `Live<T>` does not compile, and the compiler says what to do.
//!
//! Each failing program has a twin beside it that differs only by the fix. The expected messages
//! are rustc's, and a new compiler may change them; `TRYBUILD=overwrite cargo test -p
//! secrets-provider-axum --features ui --test ui` writes them.

#[test]
fn what_does_not_compile_says_what_to_do() {
    let cases = trybuild::TestCases::new();
    cases.compile_fail("tests/ui/*_fails.rs");
    cases.pass("tests/ui/*_compiles.rs");
}
