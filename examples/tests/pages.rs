//! The pages of the documentation agree with what they quote: examples, tests, manifests.
//!
//! A page that is edited without its source fails here, and so does a source that is edited without
//! its page.

#![allow(clippy::unwrap_used, reason = "a test fails by panicking")]

/// The code blocks of a page that are fenced as this language.
fn quotes<'a>(page: &'a str, language: &str) -> Vec<&'a str> {
    let fence = format!("```{language}\n");
    let blocks = page.split(&fence).skip(1);
    let quotes: Vec<_> = blocks.map(|rest| rest.split_once("```").unwrap().0).collect();
    assert!(!quotes.is_empty(), "no {language} in the page");
    quotes
}

#[test]
fn the_page_on_postgres_quotes_the_example() {
    let page = include_str!("../../secrets-provider/docs/postgres.md");
    let example = concat!(
        include_str!("../src/postgres.rs"),
        include_str!("../src/bin/postgres-rotation.rs"),
        include_str!("../src/bin/rotate.rs")
    );
    for quote in quotes(page, "rust,ignore") {
        assert!(example.contains(quote), "not in the example:\n{quote}");
    }
}

#[test]
fn the_page_on_followers_quotes_the_examples() {
    let page = include_str!("../../secrets-provider/docs/followers.md");
    let examples = concat!(
        include_str!("../databases/src/sqlx_postgres.rs"),
        include_str!("../databases/src/tokio_postgres.rs"),
        include_str!("../clients/src/certificate.rs"),
        include_str!("../databases/src/bb8.rs"),
        include_str!("../databases/src/redis.rs"),
        include_str!("../databases/src/fred.rs")
    );
    for quote in quotes(page, "rust,ignore") {
        assert!(examples.contains(quote), "not in the examples:\n{quote}");
    }
}

#[test]
fn the_page_on_push_quotes_the_recipes() {
    let page = include_str!("../../secrets-provider/docs/push.md");
    let (_, recipes) = page.split_once("# Other queues").unwrap();
    for quote in quotes(recipes, "rust,ignore") {
        assert!(include_str!("../src/hints.rs").contains(quote), "not in the recipes:\n{quote}");
    }
}

#[test]
fn the_page_on_stores_quotes_the_recipe_for_lambda() {
    let page = include_str!("../../secrets-provider/docs/stores.md");
    for quote in quotes(page, "rust,ignore") {
        assert!(include_str!("../src/lambda.rs").contains(quote), "not in the recipe:\n{quote}");
    }
}

#[test]
fn the_page_on_testing_quotes_the_tests() {
    let page = include_str!("../../secrets-provider/docs/testing.md");
    for quote in quotes(page, "rust,ignore") {
        assert!(include_str!("testing.rs").contains(quote), "not in the tests:\n{quote}");
    }
}

/// The table of versions: the lowest is the manifests', the tested one is that of `Cargo.lock`.
#[test]
fn the_page_on_dependencies_states_the_versions() {
    let page = include_str!("../../secrets-provider/docs/dependencies.md");
    let manifest = include_str!("../../Cargo.toml");
    let lock = include_str!("../../Cargo.lock");
    let rust = manifest.lines().find_map(|line| line.strip_prefix("rust-version = ")).unwrap();
    assert!(page.contains(&format!("| Rust | {} ", rust.trim_matches('"'))), "Rust {rust}");
    for name in ["axum", "actix-web", "config", "figment", "tokio", "aws-sdk-secretsmanager"] {
        let row = format!("| {name} | ");
        let row = page.lines().find_map(|line| line.strip_prefix(&row)).expect(name);
        let cells: Vec<&str> = row.split('|').map(str::trim).collect();
        let [lowest, tested, ..] = cells[..] else { panic!("{name}: {row}") };
        let entry = manifest.lines().find(|line| line.starts_with(&format!("{name} = "))).unwrap();
        assert!(entry.contains(&format!("\"{lowest}\"")), "{name}: {lowest}, not {entry}");
        let locked = format!("name = \"{name}\"\nversion = \"{tested}\"\n");
        assert!(lock.contains(&locked), "{name} {tested} is not in Cargo.lock");
    }
}
