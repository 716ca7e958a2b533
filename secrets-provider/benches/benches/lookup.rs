//! Compares a lookup that hits the cache with a hit of AWS's caching client, as text and by type:
//! `cargo bench --bench lookup`. Prints one table.

use std::num::NonZeroUsize;
use std::sync::Arc;
use std::time::Duration;

use aws_secretsmanager_caching::SecretsManagerCachingClient;
use benches::interleave::{Contender, Pair, pair};
use benches::settings::{self, DATABASE, Database, PREFIX, TOKEN};
use fake_secrets_manager::FakeSecretsManager;
use secrecy::{ExposeSecret as _, SecretString};
use secrets_provider::{Lookup, SecretsManager};
use tokio::runtime::{Builder, Runtime};

/// Pairs of runs for each figure. `ROUNDS` in the environment changes it.
const ROUNDS: usize = 60;

/// Longer than the benchmark: every read is a hit.
const LONG: Duration = Duration::from_secs(24 * 3600);

fn runtime() -> Runtime {
    Builder::new_current_thread().enable_all().build().expect("a runtime")
}

/// A loop of hits on one thread: no scheduler between the reads, and no forced yields.
fn hits<S: Send + Sync + 'static>(
    name: &'static str,
    state: S,
    hit: impl AsyncFn(&S) -> u16 + Send + Sync + 'static,
) -> Contender {
    Contender::of_loop(name, move |reads, ready| {
        let runtime = runtime();
        let read = |reads| {
            runtime.block_on(tokio::task::unconstrained(async {
                for _ in 0..reads {
                    std::hint::black_box(hit(&state).await);
                }
            }));
        };
        read(reads / 10);
        ready.time(|| read(reads))
    })
}

async fn cached_text(caching: &SecretsManagerCachingClient, name: &str) -> String {
    let secret = caching.get_secret_value(name, None, None, false).await;
    secret.expect("a hit").secret_string.expect("text")
}

fn main() {
    let rounds =
        std::env::var("ROUNDS").ok().map_or(ROUNDS, |rounds| rounds.parse().expect("a number"));
    let fake = FakeSecretsManager::new();
    fake.put(DATABASE, settings::database(5432));
    fake.put(TOKEN, "not-a-real-token");
    let size = NonZeroUsize::new(1000).expect("not zero");
    let caching = SecretsManagerCachingClient::new(fake.client(), size, LONG, true);
    let caching = Arc::new(caching.expect("a client"));
    let secrets = SecretsManager::prefix(PREFIX).client(fake.client()).lookup().ttl(LONG);
    runtime().block_on(async {
        for name in [DATABASE, TOKEN] {
            cached_text(&caching, name).await;
        }
        for name in ["database", "jwt-secret"] {
            let _: SecretString = secrets.get(name).await.expect("a value");
        }
    });
    let ours = || secrets.clone();
    let theirs = || caching.clone();
    let pairs = [
        (
            hits("a text: `aws_secretsmanager_caching`", theirs(), async |caching| {
                cached_text(caching, TOKEN).await.len() as u16
            }),
            hits("`get::<SecretString>`", ours(), async |secrets: &Lookup| {
                let token: SecretString = secrets.get("jwt-secret").await.expect("a hit");
                token.expose_secret().len() as u16
            }),
        ),
        (
            hits("a text: `aws_secretsmanager_caching`", theirs(), async |caching| {
                cached_text(caching, TOKEN).await.len() as u16
            }),
            hits("`get::<SecretString>().shared()`", ours(), async |secrets: &Lookup| {
                let token = secrets.get::<SecretString>("jwt-secret").shared().await;
                token.expect("a hit").expose_secret().len() as u16
            }),
        ),
        (
            hits("by type: the same, its JSON parsed", theirs(), async |caching| {
                let text = cached_text(caching, DATABASE).await;
                serde_json::from_str::<Database>(&text).expect("a database").port
            }),
            hits("`get::<Database>()`, parsed per call", ours(), async |secrets: &Lookup| {
                let database: Database = secrets.get("database").await.expect("a hit");
                database.port
            }),
        ),
        (
            hits("by type: the same, its JSON parsed", theirs(), async |caching| {
                let text = cached_text(caching, DATABASE).await;
                serde_json::from_str::<Database>(&text).expect("a database").port
            }),
            hits("`get::<Database>().shared()`", ours(), async |secrets: &Lookup| {
                secrets.get::<Database>("database").shared().await.expect("a hit").port
            }),
        ),
    ];
    println!("medians of {rounds} ratios of neighbouring runs; in brackets, their quartiles");
    println!("\nTheirs over ours (above 1.00: ours is ahead)\n");
    println!("| | over | 1 thread | 2 threads | ns, 1 thread | ns, 2 threads |");
    println!("|{}", " --- |".repeat(6));
    for (theirs, ours) in &pairs {
        let columns = [1, 2].map(|threads| pair(theirs, ours, threads, rounds));
        let ratios = columns.map(|Pair { ratio, quartiles, .. }| {
            format!("{ratio:.1} ({:.1}–{:.1})", quartiles.0, quartiles.1)
        });
        let times = columns
            .map(|column| format!("{:.1} / {:.1}", column.nanoseconds.0, column.nanoseconds.1));
        println!(
            "| {} | {} | {} | {} |",
            theirs.name,
            ours.name,
            ratios.join(" | "),
            times.join(" | ")
        );
    }
}
