//! The cost of a refresh on our side: `cargo bench --bench refresh`. The secrets are in memory, so
//! no call is included.

use std::collections::BTreeMap;
use std::time::Duration;

use benches::settings;
use criterion::{Criterion, criterion_group, criterion_main};
use secrecy::SecretString;
use secrets_provider::{Layers, Live, Memory, SecretsManager};
use serde::Deserialize;
use tokio::runtime::Builder;

/// A table for each secret.
#[derive(Deserialize)]
struct Databases {
    databases: BTreeMap<String, Database>,
}

#[derive(Deserialize)]
#[expect(dead_code, reason = "extracted, not read")]
struct Database {
    host: String,
    port: u16,
    username: String,
    password: SecretString,
}

fn name(secret: usize) -> String {
    format!("bench/prod/databases/db-{secret}")
}

fn cycles(criterion: &mut Criterion) {
    let runtime = Builder::new_current_thread().enable_all().build().expect("a runtime");
    for secrets in [20, 100, 500] {
        let memory = Memory::new();
        (0..secrets).for_each(|secret| drop(memory.put(&name(secret), settings::database(1))));
        let manager = SecretsManager::prefix("bench/prod").backend(memory.clone());
        let builder =
            Live::<Databases>::builder(manager).layers(|secrets| Layers::new().secrets(secrets));
        let live = runtime.block_on(builder.refresh_every(Duration::from_secs(24 * 3600)).start());
        let live = live.expect("settings");
        assert_eq!(live.load().databases.len(), secrets);

        let mut group = criterion.benchmark_group(format!("a cycle of {secrets} secrets"));
        group.bench_function("unchanged", |bencher| {
            bencher.iter(|| {
                let refreshed = runtime.block_on(live.refresh()).expect("a refresh");
                assert!(!refreshed.changed());
            });
        });
        let mut generation = 1;
        group.bench_function("one changed", |bencher| {
            bencher.iter(|| {
                generation = generation % 60_000 + 1;
                memory.put(&name(7), settings::database(generation));
                let refreshed = runtime.block_on(live.refresh()).expect("a refresh");
                assert!(refreshed.changed());
            });
        });
        group.finish();
    }
}

fn reads(criterion: &mut Criterion) {
    let live = Live::constant(settings::settings(1));
    let view = live.map(|settings| &settings.database);
    let mut reader = live.reader();
    let mut group = criterion.benchmark_group("a read");
    group.bench_function("Live::load", |bencher| bencher.iter(|| live.load().database.port));
    group.bench_function("Live::current", |bencher| bencher.iter(|| live.current().database.port));
    group.bench_function("View::load", |bencher| bencher.iter(|| view.load().port));
    group.bench_function("Reader::load", |bencher| bencher.iter(|| reader.load().database.port));
    group.finish();
}

criterion_group!(benches, cycles, reads);
criterion_main!(benches);
