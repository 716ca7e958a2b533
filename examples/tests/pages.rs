//! What the documentation quotes of the examples is what they say.

#![allow(clippy::unwrap_used, reason = "a test fails by panicking")]

#[test]
fn the_page_on_postgres_quotes_the_example() {
    let page = include_str!("../../secrets-provider/docs/postgres.md");
    let example = concat!(
        include_str!("../src/postgres.rs"),
        include_str!("../src/bin/postgres-rotation.rs"),
        include_str!("../src/bin/rotate.rs")
    );
    let quotes: Vec<&str> = page
        .split("```rust,ignore\n")
        .skip(1)
        .map(|rest| rest.split_once("```").unwrap().0)
        .collect();
    assert!(!quotes.is_empty());
    for quote in quotes {
        assert!(example.contains(quote), "not in the example:\n{quote}");
    }
}
