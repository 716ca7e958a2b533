//! Every event that is logged has one function, named as the event, and one line in the table of
//! `docs/operations.md`.

use std::collections::BTreeSet;
use std::fs;
use std::path::Path;

fn read(path: &str) -> String {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join(path);
    fs::read_to_string(&path).unwrap_or_else(|error| panic!("{}: {error}", path.display()))
}

/// The calls of `tracing`'s macros in a file: the function that each is in, and its event, which is
/// the last literal.
fn logged(text: &str) -> Vec<(String, String)> {
    let mut function = String::new();
    let mut found = Vec::new();
    let mut lines = text.lines();
    while let Some(line) = lines.next() {
        if let Some(rest) = line.trim_start().split("fn ").nth(1) {
            function = rest.split(['(', '<']).next().unwrap_or_default().to_owned();
        }
        let Some(start) = line.find("tracing::") else { continue };
        let is_event = ["error!(", "warn!(", "info!(", "debug!(", "trace!("]
            .iter()
            .any(|level| line[start + "tracing::".len()..].starts_with(level));
        if !is_event {
            continue;
        }
        let mut call = line[start..].to_owned();
        while !call.trim_end().ends_with(");") {
            call.push_str(lines.next().expect("the end of the call"));
        }
        let literals: Vec<&str> = call.split('"').skip(1).step_by(2).collect();
        found.push((function.clone(), (*literals.last().expect("an event's name")).to_owned()));
    }
    found
}

/// The events of the table between the two marks of `docs/operations.md`.
fn documented() -> Vec<String> {
    let text = read("docs/operations.md");
    let table = text.split("<!-- events -->").nth(1).expect("the mark before the table");
    let table = table.split("<!-- /events -->").next().expect("the mark after the table");
    let first_column = table.lines().filter_map(|line| line.strip_prefix("| `"));
    first_column.filter_map(|line| line.split('`').next()).map(str::to_owned).collect()
}

#[test]
fn every_event_is_a_function_of_its_name() {
    let events = logged(&read("src/observe/events.rs"));
    assert!(events.len() > 15, "only {} events were found", events.len());
    for (function, event) in events {
        assert_eq!(function, event, "the function and the event that it logs");
    }
}

#[test]
fn nothing_else_in_the_crate_logs() {
    let mut folders = vec![Path::new(env!("CARGO_MANIFEST_DIR")).join("src")];
    while let Some(folder) = folders.pop() {
        for entry in fs::read_dir(folder).expect("a folder of src") {
            let path = entry.expect("an entry").path();
            if path.is_dir() {
                folders.push(path);
            } else if !path.ends_with("observe/events.rs") {
                let text = fs::read_to_string(&path).expect("a file of src");
                let code = text.lines().filter(|line| !line.trim_start().starts_with("//"));
                let code = code.collect::<Vec<_>>().join("\n");
                let events = if path.extension().is_some_and(|e| e == "rs") {
                    logged(&code)
                } else {
                    Vec::new()
                };
                assert!(events.is_empty(), "{} logs {events:?}: use `events`", path.display());
            }
        }
    }
}

#[test]
fn the_guide_lists_every_event_once() {
    let crates =
        ["src/observe/events.rs", "../actix-ext/src/current.rs", "../axum-ext/src/current.rs"];
    let code: BTreeSet<String> =
        crates.iter().flat_map(|path| logged(&read(path))).map(|(_, event)| event).collect();
    let documented = documented();
    let distinct: BTreeSet<String> = documented.iter().cloned().collect();
    assert_eq!(distinct.len(), documented.len(), "an event is listed twice");
    assert_eq!(distinct, code, "left: the table of docs/operations.md, right: the code");
}
