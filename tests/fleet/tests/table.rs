//! What the guide says of a fleet is what was measured, and what was measured follows the schedule.

use std::collections::BTreeMap;

use fleet::{HEADER, Rates, dollars_a_month};

/// The lines that the program printed.
const MEASURED: &str = include_str!("../measured.md");

const GUIDE: &str = include_str!("../../../secrets-provider/docs/operations.md");

fn rows(text: &str) -> impl Iterator<Item = &str> {
    text.lines().filter(|line| line.starts_with("| "))
}

#[test]
fn the_guide_shows_rows_that_were_measured() {
    let (_, table) = GUIDE.split_once("<!-- fleet -->\n").expect("where the table begins");
    let (table, _) = table.split_once("<!-- /fleet -->").expect("where it ends");
    assert!(table.starts_with(HEADER), "the header differs");
    assert!(MEASURED.contains(HEADER), "the header differs");
    let measured: Vec<&str> = rows(MEASURED).collect();
    for row in rows(table) {
        assert!(measured.contains(&row), "not in measured.md: {row}");
    }
    for scenario in ["start", "steady", "rotation", "outage", "throttling"] {
        let shown = rows(table).filter(|row| row.starts_with(&format!("| {scenario} |"))).count();
        assert!(shown > 1, "{scenario}");
    }
}

/// One refresh reads a single secret by one call, and twenty by one batch, once in an interval.
#[test]
fn a_steady_state_costs_what_its_calls_cost() {
    let mut compared = 0;
    for row in rows(MEASURED).filter(|row| row.starts_with("| steady |")) {
        let cells: Vec<&str> = row.split('|').map(str::trim).collect();
        let number = |text: &str| text.replace(',', "").parse::<f64>().expect("a number");
        let replicas = cells[2].split_once(", quotas").map_or(cells[2], |(replicas, _)| replicas);
        let replicas = number(replicas);
        let [secrets, throttled, dollars] = [3, 8, 14].map(|at| number(cells[at]));
        let interval = |start| cells[4].strip_prefix(start)?.strip_suffix(" s")?.parse().ok();
        let (calls, every): (f64, f64) = match (interval("every "), interval("one by one every ")) {
            (Some(every), None) if secrets > 1.0 => ((secrets / 20.0).ceil(), every),
            (Some(every), None) => (1.0, every),
            (None, Some(every)) => (secrets, every),
            _ => continue,
        };
        if throttled > 0.0 {
            continue;
        }
        let rates = Rates { mean: replicas * calls / every, ..Rates::default() };
        let expected = dollars_a_month(&BTreeMap::from([("GetSecretValue", rates)]));
        assert!((dollars - expected).abs() < 0.05 * expected, "{row}: {expected}");
        compared += 1;
    }
    assert!(compared > 3, "{compared}");
}
