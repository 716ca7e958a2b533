//! The table of the page on stores says what the harness of each store declares to the suite.
//!
//! Each store's own test calls it with what its harness lacks; the suites elsewhere include
//! this file by its path.

use super::Capability;

const PAGE: &str = include_str!("../../docs/stores.md");

/// The columns that the suite tests.
const COLUMNS: [(&str, Capability); 4] = [
    ("names below a prefix", Capability::List),
    ("previous value", Capability::Previous),
    ("signals changes", Capability::Changes),
    ("bytes that are no text", Capability::Binary),
];

fn cells(row: &str) -> Vec<&str> {
    row.trim_matches('|').split('|').map(str::trim).collect()
}

/// Holds the row of this store against what its harness lacks.
pub(crate) fn agrees(store: &str, lacks: &[Capability]) {
    let table = PAGE.split("<!-- stores -->").nth(1).and_then(|rest| rest.split("<!--").next());
    let mut rows = table.expect("a table").lines().filter(|line| line.starts_with('|')).map(cells);
    let header = rows.next().expect("a header");
    let row = rows.find(|row| row[0].starts_with(store));
    let row = row.unwrap_or_else(|| panic!("no row of `{store}`"));
    for (column, capability) in COLUMNS {
        let at = header.iter().position(|name| *name == column);
        let cell = row[at.unwrap_or_else(|| panic!("no column `{column}`"))];
        let expected = if lacks.contains(&capability) { "no" } else { "yes" };
        assert!(cell.starts_with(expected), "{store}, {column}: the page says `{cell}`");
    }
}
