//! Compares start-up over HTTP, at 20 ms a call, with fetching by hand and with AWS's caching
//! client: `cargo bench --bench startup`. Each start has its own client and connections. Takes
//! about three minutes, most of it waiting.

use std::num::NonZeroUsize;
use std::time::{Duration, Instant};

use aws_config::BehaviorVersion;
use aws_sdk_secretsmanager::Client;
use aws_sdk_secretsmanager::config::{Credentials, Region};
use aws_secretsmanager_caching::SecretsManagerCachingClient;
use benches::interleave::median;
use fake_secrets_manager::{FakeSecretsManager, Fault};
use secrets_provider::{Layers, Live, SecretsManager};
use serde_json::Value;

/// The time of one call, without the network.
const CALL: Duration = Duration::from_millis(20);
/// Starts for each figure.
const ROUNDS: usize = 5;

#[derive(Clone, Copy, PartialEq)]
enum Way {
    Prefix,
    Only,
    Single,
    OneByOne,
    Caching,
    CachingBatches,
}

const WAYS: [Way; 6] =
    [Way::Prefix, Way::Only, Way::Single, Way::OneByOne, Way::Caching, Way::CachingBatches];

impl Way {
    fn name(self) -> &'static str {
        match self {
            Self::Prefix => "ours, `prefix`",
            Self::Only => "ours, `only`",
            Self::Single => "ours, `only`, `batch(false)`",
            Self::OneByOne => "the SDK, one by one",
            Self::Caching => "`aws_secretsmanager_caching`, one by one",
            Self::CachingBatches => "`aws_secretsmanager_caching`, its batches one by one",
        }
    }

    /// Loads all secrets for the first time.
    async fn start(self, client: Client, names: &[String]) {
        let manager = || SecretsManager::prefix("bench/prod").client(client.clone());
        let only =
            || manager().only(names.iter().map(|name| name.trim_start_matches("bench/prod/")));
        let caching = || {
            let size = NonZeroUsize::new(1000).expect("not zero");
            SecretsManagerCachingClient::new(client.clone(), size, Duration::from_secs(300), true)
                .expect("a store")
        };
        match self {
            Self::Prefix => live(manager(), names.len()).await,
            Self::Only => live(only(), names.len()).await,
            Self::Single => live(only().batch(false), names.len()).await,
            Self::OneByOne => {
                for name in names {
                    client.get_secret_value().secret_id(name).send().await.expect("a value");
                }
            }
            Self::Caching => {
                let caching = caching();
                for name in names {
                    caching.get_secret_value(name, None, None, false).await.expect("a value");
                }
            }
            Self::CachingBatches => {
                let caching = caching();
                for names in names.chunks(20) {
                    let batch =
                        caching.batch_get_secret_value(Some(names.to_vec()), None, None, None);
                    batch.await.expect("values");
                }
            }
        }
    }
}

async fn live(manager: SecretsManager, secrets: usize) {
    let builder = Live::<Value>::builder(manager).layers(|secrets| Layers::new().secrets(secrets));
    let live = builder.start().await.expect("settings");
    assert_eq!(live.load().as_object().map(|keys| keys.len()), Some(secrets));
    live.shutdown().await;
}

async fn client(fake: &FakeSecretsManager) -> Client {
    let loader = aws_config::defaults(BehaviorVersion::latest())
        .endpoint_url(fake.endpoint_url())
        .region(Region::new("eu-central-1"))
        .credentials_provider(Credentials::new("test", "test", None, None, "benches"));
    Client::new(&loader.load().await)
}

#[tokio::main]
async fn main() {
    println!("| | secrets | calls | ms | over `prefix` |\n| --- | --- | --- | --- | --- |");
    for secrets in [1, 20, 100, 500] {
        let fake = FakeSecretsManager::start().await.expect("a port");
        let names: Vec<String> =
            (0..secrets).map(|i| format!("bench/prod/secret-{i:03}")).collect();
        names.iter().for_each(|name| drop(fake.put(name, "not-a-real-value")));
        fake.inject(Fault::slow(CALL));
        let (mut took, mut calls) = (WAYS.map(|_| Vec::new()), WAYS.map(|_| 0));
        for _ in 0..ROUNDS {
            for (way, (took, calls)) in WAYS.into_iter().zip(took.iter_mut().zip(&mut calls)) {
                let client = client(&fake).await;
                fake.reset_calls();
                let start = Instant::now();
                way.start(client, &names).await;
                took.push(start.elapsed());
                *calls = fake.total_calls();
            }
        }
        let ours = median(&took[0]);
        for (way, (took, calls)) in WAYS.into_iter().zip(took.iter().zip(&calls)) {
            let took = median(took);
            println!("| {} | {secrets} | {calls} | {took:.0} | {:.1}× |", way.name(), took / ours);
        }
    }
}
