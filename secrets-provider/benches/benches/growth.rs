//! How the time of each function over secrets, keys or variables grows with their number:
//! `cargo bench --bench growth`. Prints the processor time at 100, 1,000 and 10,000, and how many
//! times longer the tenfold takes: 10 is linear, 100 is the square. The secrets are in memory, so
//! no time of a network is included.

use std::collections::{BTreeMap, HashMap};
use std::hint::black_box;
use std::time::Duration;

use cpu_time::ProcessTime;
use figment::Figment;
use secrets_provider::{
    Dotenv, Error, FigmentExt as _, Layers, Live, Memory, SecretsManager, Snapshot, StatusPage,
    endpoints,
};
use serde::Deserialize;
use tokio::runtime::{Builder, Runtime};

/// The numbers of secrets, keys or variables.
const SIZES: [usize; 3] = [100, 1_000, 10_000];
/// Runs of each size. The shortest counts, because others only make a run longer.
const RUNS: usize = 5;
/// A function whose 10,000 take longer than this runs once.
const LONG: Duration = Duration::from_secs(2);

/// Settings with a map, which takes any number of keys.
#[derive(Deserialize)]
#[expect(dead_code, reason = "extracted, not read")]
struct Map<V> {
    keys: BTreeMap<String, V>,
}

/// Settings with a member that collects the keys which no field has.
#[derive(Deserialize)]
#[expect(dead_code, reason = "extracted, not read")]
struct CatchAll {
    #[serde(flatten)]
    rest: HashMap<String, serde_json::Value>,
}

/// Settings that lack a field, whose error looks for similar names.
#[derive(Deserialize)]
#[expect(dead_code, reason = "extracted, not read")]
struct Missing {
    keys: Field,
}

#[derive(Deserialize)]
#[expect(dead_code, reason = "extracted, not read")]
struct Field {
    missing: String,
}

fn manager(memory: &Memory) -> SecretsManager {
    SecretsManager::prefix("app").backend(memory.clone())
}

/// So many secrets of one text each.
fn texts(secrets: usize) -> Memory {
    let memory = Memory::new();
    for secret in 0..secrets {
        memory.put(&format!("app/keys/key-{secret}"), "7");
    }
    memory
}

/// So many keys, a hundred in each of the secrets that hold JSON.
fn tables(keys: usize) -> Memory {
    let memory = Memory::new();
    for secret in 0..keys.div_ceil(100) {
        let members: Vec<_> = (0..100).map(|key| format!(r#""k{secret}x{key}": "7""#)).collect();
        memory.put(&format!("app/keys/{secret}"), &format!("{{{}}}", members.join(",")));
    }
    memory
}

fn snapshot(memory: &Memory) -> Snapshot {
    manager(memory).fetch_blocking().expect("a snapshot")
}

fn variables(number: usize) -> impl Iterator<Item = (String, &'static str)> {
    (0..number).map(|variable| (format!("KEYS__VARIABLE_{variable}"), "7"))
}

/// Settings that are live, with only the secrets as layers.
fn live<T>(runtime: &Runtime, memory: &Memory) -> Live<T>
where
    T: serde::de::DeserializeOwned + Send + Sync + 'static,
{
    let builder =
        Live::<T>::builder(manager(memory)).layers(|secrets| Layers::new().secrets(secrets));
    let builder = builder.refresh_every(Duration::from_secs(24 * 3600));
    runtime.block_on(builder.start()).expect("settings")
}

/// The shortest processor time of a few runs. `prepare` is not included.
fn time<P, R>(mut prepare: impl FnMut() -> P, mut run: impl FnMut(P) -> R) -> Duration {
    let mut shortest = Duration::MAX;
    for _ in 0..RUNS {
        let prepared = prepare();
        let started = ProcessTime::now();
        black_box(run(prepared));
        shortest = shortest.min(started.elapsed());
        if shortest > LONG {
            break;
        }
    }
    shortest
}

/// One line of the table.
fn row(name: &str, measure: impl Fn(usize) -> Duration) {
    let [small, middle, large] = SIZES.map(measure).map(|time| time.as_secs_f64() * 1e3);
    println!(
        "| {name} | {small:.2} | {middle:.2} | {large:.1} | {:.0} | {:.0} |",
        middle / small,
        large / middle
    );
}

fn loading() {
    row("fetch: so many secrets", |size| {
        let memory = texts(size);
        time(|| (), |()| snapshot(&memory))
    });
    row("fetch: so many keys in JSON", |size| {
        let memory = tables(size);
        time(|| (), |()| snapshot(&memory))
    });
    row("fetch: so many names, none of which exists", |size| {
        let memory = texts(size);
        let names: Vec<_> = (0..size).map(|name| format!("app/keys/kye-{name}")).collect();
        let manager = SecretsManager::names(names).backend(memory);
        time(|| (), |()| manager.fetch_blocking().expect_err("no secret").to_string())
    });
    row("`iam_policy` of so many names", |size| {
        let names: Vec<_> = (0..size).map(|name| format!("app/keys/key-{name}")).collect();
        let manager = SecretsManager::names(names).backend(Memory::new());
        time(|| (), |()| manager.iam_policy())
    });
    row("`.env` of so many lines", |size| {
        let file = std::env::temp_dir().join(format!("growth-{}-{size}.env", std::process::id()));
        let lines: Vec<_> =
            variables(size).map(|(name, value)| format!("{name}={value}")).collect();
        std::fs::write(&file, lines.join("\n")).expect("a file");
        let layers = Layers::new().dotenv(&file);
        let took = time(|| (), |()| layers.extract::<Map<u8>>().is_ok());
        std::fs::remove_file(&file).expect("the file");
        took
    });
}

fn extracting() {
    row("extract: a map of so many keys", |size| {
        let secrets = snapshot(&tables(size));
        time(|| (), |()| secrets.extract::<Map<BTreeMap<String, u8>>>().is_ok())
    });
    row("extract: so many keys beside fields (`flatten`)", |size| {
        let secrets = snapshot(&texts(size));
        time(|| (), |()| secrets.extract::<CatchAll>().is_ok())
    });
    row("extract: so many wrong values", |size| {
        let secrets = snapshot(&tables(size));
        let layers = Layers::new().secrets(&secrets);
        time(|| (), |()| layers.extract::<Map<BTreeMap<String, bool>>>().err().map(text))
    });
    row("extract: a missing field beside so many keys", |size| {
        let secrets = snapshot(&texts(size));
        let layers = Layers::new().environment_from(variables(size)).secrets(&secrets);
        time(|| (), |()| layers.extract::<Missing>().err().map(text))
    });
    row("extract: so many variables over as many secrets", |size| {
        let secrets = snapshot(&texts(size));
        let layers = Layers::new().environment_from(variables(size)).secrets(&secrets);
        time(|| (), |()| layers.extract::<Map<u8>>().is_ok())
    });
    row("`settings` of a Figment of so many keys", |size| {
        let secrets = snapshot(&tables(size));
        let figment = Figment::new().merge(Dotenv::file("/nonexistent/.env")).merge(secrets);
        time(|| (), |()| figment.settings::<Map<BTreeMap<String, u8>>>().is_ok())
    });
    row("`explain` of so many keys and as many variables", |size| {
        let secrets = snapshot(&texts(size));
        let layers = Layers::new().environment_from(variables(size)).secrets(&secrets);
        time(|| (), |()| layers.explain().expect("an explanation"))
    });
}

fn refreshing(runtime: &Runtime) {
    row("`live`: so many secrets", |size| {
        let memory = texts(size);
        time(|| (), |()| live::<Map<u8>>(runtime, &memory))
    });
    row("a refresh: nothing of so many secrets changed", |size| {
        let memory = texts(size);
        let live = live::<Map<u8>>(runtime, &memory);
        time(|| (), |()| runtime.block_on(live.refresh()).expect("a refresh"))
    });
    row("a refresh: all of so many secrets changed", |size| {
        let memory = texts(size);
        let live = live::<Map<u8>>(runtime, &memory);
        let change = || {
            for secret in 0..size {
                memory.put(&format!("app/keys/key-{secret}"), "8");
            }
        };
        time(change, |()| runtime.block_on(live.refresh()).expect("a refresh"))
    });
    row("a refresh: so many secrets conflict", |size| {
        let memory = Memory::new();
        memory.put("app/keys/good", "7");
        let live = live::<Map<u8>>(runtime, &memory);
        for secret in 0..size / 2 {
            memory.put(&format!("app/keys/key-{secret}"), "7");
            memory.put(&format!("app/keys/key_{secret}"), "7");
        }
        time(|| (), |()| runtime.block_on(live.refresh()).err().map(text))
    });
    row("a refresh: so many secrets are gone", |size| {
        let memory = texts(size);
        memory.put("app/keys/good", "7");
        let live = live::<Map<u8>>(runtime, &memory);
        for secret in 0..size {
            memory.remove(&format!("app/keys/key-{secret}"));
        }
        time(|| (), |()| runtime.block_on(live.refresh()).err().map(text))
    });
    row("`/status` as JSON of so many secrets", |size| {
        let live = live::<Map<u8>>(runtime, &texts(size));
        time(|| (), |()| endpoints::status(&live, None, None))
    });
    row("the status page of so many secrets", |size| {
        let live = live::<Map<u8>>(runtime, &texts(size));
        time(|| (), |()| StatusPage::of(&live).to_string())
    });
}

fn text(error: Error) -> String {
    error.to_string()
}

fn main() {
    let runtime = Builder::new_current_thread().enable_all().build().expect("a runtime");
    println!("| | 100 (ms) | 1,000 (ms) | 10,000 (ms) | ×, to 1,000 | ×, to 10,000 |");
    println!("| --- | ---: | ---: | ---: | ---: | ---: |");
    loading();
    extracting();
    refreshing(&runtime);
}
