//! Rows of a table, and what a fleet's calls cost.

use std::collections::BTreeMap;
use std::fmt;
use std::time::Duration;

use crate::fleet::{Client, Currency, Selection, Setup};
use crate::meter::Rates;
use crate::scenario::{Result, Scenario};

/// US dollars for ten thousand calls of Secrets Manager, in us-east-1, without tax
/// (<https://aws.amazon.com/secrets-manager/pricing/>, 2026-11-25). The price of a secret itself,
/// 0.40 a month, is the same in all rows, and is left out.
const TEN_THOUSAND_CALLS: f64 = 0.05;

/// US dollars for a million requests to a standard queue
/// (<https://aws.amazon.com/sqs/pricing/>, 2026-11-25).
const MILLION_REQUESTS: f64 = 0.40;

/// The seconds of an average month.
const MONTH: f64 = 2_629_800.0;

/// What calls at these rates cost in a month.
#[must_use]
pub fn dollars_a_month(calls: &BTreeMap<&'static str, Rates>) -> f64 {
    let dollars = calls.iter().map(|(operation, rates)| {
        let each = match *operation {
            "ReceiveMessage" | "DeleteMessageBatch" => MILLION_REQUESTS / 1_000_000.0,
            _ => TEN_THOUSAND_CALLS / 10_000.0,
        };
        rates.mean * MONTH * each
    });
    dollars.sum()
}

/// The first lines of the table.
pub const HEADER: &str = "\
| scenario | replicas | secrets | refreshes | single calls/s: p99, max | batches/s | listings/s | throttled | failed starts | current: first | half | 99 % | all | $/month |
| --- | ---: | ---: | --- | ---: | ---: | ---: | ---: | ---: | ---: | ---: | ---: | ---: | ---: |";

/// A line of the table.
#[derive(Debug, Clone)]
pub struct Row {
    /// What happened.
    pub scenario: Scenario,
    /// To which fleet.
    pub setup: Setup,
    /// What was measured.
    pub result: Result,
}

impl fmt::Display for Row {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { scenario, setup, result } = self;
        let rates = |operation: &str| match result.calls.get(operation) {
            None => "–".to_owned(),
            Some(rates) => format!("{}, {}", number(rates.p99), number(rates.max)),
        };
        write!(f, "| {scenario} | {} | {} | {} |", replicas(setup), setup.secrets, kind(setup))?;
        for operation in ["GetSecretValue", "BatchGetSecretValue", "ListSecrets"] {
            write!(f, " {} |", rates(operation))?;
        }
        write!(f, " {} | {} |", number(result.throttled()), number(result.failed_starts))?;
        match result.current {
            Some(Currency { first, half, p99, all }) => {
                for time in [first, half, p99, all] {
                    write!(f, " {} |", seconds(time))?;
                }
            }
            None => write!(f, " – | – | – | – |")?,
        }
        match scenario {
            Scenario::Steady => {
                let dollars = dollars_a_month(&result.calls);
                let dollars = if dollars < 10.0 {
                    format!("{dollars:.2}")
                } else {
                    number(dollars.round() as usize)
                };
                write!(f, " {dollars} |")
            }
            _ => write!(f, " – |"),
        }
    }
}

/// How many there are, and what a smaller fleet is to be compared with.
fn replicas(setup: &Setup) -> String {
    let replicas = number(setup.replicas);
    match setup.quotas_over {
        1 => replicas,
        over => format!("{replicas}, quotas ÷ {over}"),
    }
}

/// How the fleet's replicas read.
fn kind(setup: &Setup) -> String {
    let every = setup.every.as_secs();
    let how = match (setup.client, setup.push) {
        (Client::OneByOne, _) => format!("one by one every {every} s"),
        (Client::Product, None) => format!("every {every} s"),
        (Client::Product, Some(spread)) => {
            format!("push, spread {} s, every {every} s", spread.as_secs_f64())
        }
    };
    match setup.selection {
        Selection::Names => how,
        Selection::Prefix => format!("{how}, by prefix"),
    }
}

fn seconds(time: Duration) -> String {
    let seconds = time.as_secs_f64();
    if seconds < 10.0 { format!("{seconds:.2} s") } else { format!("{seconds:.0} s") }
}

/// With a comma at each thousand.
fn number(number: usize) -> String {
    let digits = number.to_string();
    let mut text = String::new();
    for (at, digit) in digits.chars().enumerate() {
        if at > 0 && (digits.len() - at).is_multiple_of(3) {
            text.push(',');
        }
        text.push(digit);
    }
    text
}
