//! Counts calls and round trips: `cargo bench --bench calls`. Nothing is timed: tokio's paused
//! clock moves only while every task waits for an answer, so a start takes a whole number of round
//! trips.

use std::time::Duration;

use fake_secrets_manager::{FakeSecretsManager, Fault};
use secrets_provider::{Layers, Live, SecretsManager};
use serde_json::Value;
use tokio::time::Instant;

/// The time of one call.
const CALL: Duration = Duration::from_millis(20);

const GET_ALONE: &str = r#"{"Version": "2012-10-17", "Statement": [
    {"Effect": "Allow", "Action": "secretsmanager:GetSecretValue", "Resource": "*"}]}"#;

/// How secrets are selected and read.
#[derive(Clone, Copy, PartialEq)]
enum Way {
    Prefix,
    Only,
    Single,
    /// Batches are denied, which the start finds out once.
    Denied,
}

impl Way {
    fn name(self) -> &'static str {
        match self {
            Self::Prefix => "`prefix`",
            Self::Only => "`prefix` with `only`",
            Self::Single => "the same with `batch(false)`",
            Self::Denied => "the same, only GetSecretValue allowed",
        }
    }

    fn manager(self, secrets: usize, fake: &FakeSecretsManager) -> SecretsManager {
        let manager = SecretsManager::prefix("bench/prod").client(fake.client());
        match self {
            Self::Prefix => manager,
            _ => manager
                .only((0..secrets).map(|i| format!("secret-{i:03}")))
                .batch(self != Self::Single),
        }
    }
}

/// The calls that were made, with their counts.
fn summary(fake: &FakeSecretsManager) -> String {
    let operations = ["ListSecrets", "BatchGetSecretValue", "GetSecretValue"];
    let made =
        operations.map(|name| (fake.calls(name), name)).into_iter().filter(|(calls, _)| *calls > 0);
    made.map(|(calls, name)| format!("{calls} {}", name.trim_end_matches("SecretValue")))
        .collect::<Vec<_>>()
        .join(" + ")
}

async fn row(way: Way, secrets: usize) {
    let fake = FakeSecretsManager::new();
    (0..secrets)
        .for_each(|i| drop(fake.put(&format!("bench/prod/secret-{i:03}"), format!("value-{i}"))));
    if way == Way::Denied {
        fake.enforce_policy(GET_ALONE).expect("a policy");
    }
    fake.inject(Fault::slow(CALL));
    let trips = |since: Instant| since.elapsed().as_secs_f64() / CALL.as_secs_f64();
    let start = Instant::now();
    let builder = Live::<Value>::builder(way.manager(secrets, &fake));
    let builder = builder.layers(|secrets| Layers::new().secrets(secrets));
    let live =
        builder.refresh_every(Duration::from_secs(24 * 3600)).start().await.expect("settings");
    let (at_start, start) = (summary(&fake), trips(start));
    fake.reset_calls();
    let cycle = Instant::now();
    assert!(!live.refresh().await.expect("a refresh").changed());
    let (in_cycle, cycle) = (summary(&fake), trips(cycle));
    println!("| {} | {secrets} | {at_start} | {start:.0} | {in_cycle} | {cycle:.0} |", way.name());
}

#[tokio::main(flavor = "current_thread", start_paused = true)]
async fn main() {
    println!(
        "| secrets by | how many | calls of a start | round trips | calls of an unchanged cycle | round trips |"
    );
    println!("| --- | --- | --- | --- | --- | --- |");
    for way in [Way::Prefix, Way::Only, Way::Single, Way::Denied] {
        for secrets in [1, 20, 100, 500] {
            row(way, secrets).await;
        }
    }
}
