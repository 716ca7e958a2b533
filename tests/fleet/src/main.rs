//! Prints a table of what happens to a fleet.
//!
//! `fleet [replicas] [words]`: with words, only the rows whose scenario, secrets and setup have all
//! of them, such as `fleet 10000 start "secrets: 20,"`. `QUOTAS_OVER=10` divides the quotas, so that
//! a tenth of the replicas takes a tenth of the time.
#![allow(clippy::print_stdout, clippy::print_stderr, reason = "it is what it is for")]

use std::time::{Duration, Instant};

use fleet::{Client, HEADER, Row, Scenario, Selection, Setup, run};

fn main() {
    let mut words = std::env::args().skip(1);
    let replicas = words.next().map_or(10_000, |text| text.parse().expect("a number of replicas"));
    let quotas_over = std::env::var("QUOTAS_OVER");
    let quotas_over = quotas_over.map_or(1, |text| text.parse().expect("a whole number"));
    let words: Vec<String> = words.collect();
    println!("{HEADER}");
    for (scenario, setup) in rows(replicas, quotas_over) {
        let about = format!("{scenario} {} {setup:?}", setup.secrets);
        if !words.iter().all(|word| about.contains(word.as_str())) {
            continue;
        }
        let begun = Instant::now();
        let row = Row { scenario, setup, result: run(scenario, setup) };
        println!("{row}");
        eprintln!(
            "{:?} {:?} after: {:?}; took {:.0?}, {} MiB at most",
            row.scenario,
            row.result.calls,
            row.result.busiest_after,
            begun.elapsed(),
            peak_mebibytes()
        );
    }
}

/// All rows for this many replicas, the quick ones first.
fn rows(replicas: usize, quotas_over: u32) -> Vec<(Scenario, Setup)> {
    let seconds = Duration::from_secs;
    let mut rows = Vec::new();
    for secrets in [1, 20, 100] {
        let polling = Setup {
            client: Client::Product,
            selection: Selection::Names,
            replicas,
            secrets,
            every: seconds(300),
            push: None,
            // A start of a hundred secrets takes longer than 30 s by the quota alone.
            timeout: seconds(if secrets > 20 { 300 } else { 30 }),
            quotas_over,
        };
        let pushed =
            Setup { every: seconds(900), push: Some(Duration::from_millis(1500)), ..polling };
        let baseline = Setup { client: Client::OneByOne, ..polling };
        rows.extend([
            (Scenario::Start, polling),
            (Scenario::Start, baseline),
            (Scenario::Steady, Setup { every: seconds(60), ..polling }),
            (Scenario::Steady, polling),
            (Scenario::Steady, pushed),
            (Scenario::Steady, baseline),
            (Scenario::Rotation, polling),
            (Scenario::Rotation, pushed),
            (Scenario::Rotation, baseline),
            (Scenario::Outage, polling),
            (Scenario::Outage, baseline),
            (Scenario::Throttling, polling),
            (Scenario::Throttling, baseline),
        ]);
        if secrets == 20 {
            let prefix = Setup { selection: Selection::Prefix, timeout: seconds(300), ..polling };
            let half = Setup { push: Some(Duration::from_millis(500)), ..pushed };
            rows.extend([
                (Scenario::Start, prefix),
                (Scenario::Steady, prefix),
                (Scenario::Rotation, Setup { replicas: replicas / 5, ..half }),
            ]);
        }
    }
    rows
}

/// The most memory that the process had at a time.
fn peak_mebibytes() -> usize {
    let status = std::fs::read_to_string("/proc/self/status").unwrap_or_default();
    let peak = status.lines().find_map(|line| line.strip_prefix("VmHWM:"));
    let kibibytes = peak.and_then(|peak| peak.split_whitespace().next()?.parse::<usize>().ok());
    kibibytes.unwrap_or_default() / 1024
}
