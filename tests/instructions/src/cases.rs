//! What is counted.

use std::collections::BTreeMap;
use std::hint::black_box;
use std::sync::Arc;
use std::time::Duration;

use arc_swap::{ArcSwap, Cache};
use axum::Router;
use axum::body::Body;
use axum::extract::State;
use axum::routing::get;
use futures_util::FutureExt as _;
use http::{Request, StatusCode};
use secrecy::{ExposeSecret as _, SecretString};
use secrets_provider::{
    Backend, BoxFuture, BoxStream, Error, Layers, Live, LiveBuilder, Lookup, Memory, Outcome,
    SecretsManager, Snapshot,
};
use secrets_provider_axum::Current;
use serde::Deserialize;
use tokio::runtime::{Builder, Runtime};
use tokio::sync::Semaphore;
use tower::Service as _;

/// Something to count: a run of so many repetitions, over so many secrets or keys.
pub(crate) struct Case {
    pub(crate) name: &'static str,
    /// How many repetitions make one run of 100 secrets or keys.
    pub(crate) repetitions: usize,
    /// The numbers of secrets or keys that are kept in the file.
    pub(crate) sizes: &'static [usize],
    pub(crate) run: fn(size: usize, repetitions: usize),
}

/// Of what has nothing to do with a number.
const ONE: &[usize] = &[100];
/// Of what may grow faster than its input.
const GROWING: &[usize] = &[100, 3_000];
const READS: usize = 20_000;
const DAY: Duration = Duration::from_secs(24 * 3600);

/// Ours after what it is made of, or what a program would do without us.
pub(crate) const CASES: &[Case] = &[
    case("arc_swap::ArcSwap::load", READS, ONE, arc_swap_load),
    case("Live::load", READS, ONE, live_load),
    case("arc_swap::ArcSwap::load_full", READS, ONE, arc_swap_load_full),
    case("Live::current", READS, ONE, live_current),
    case("arc_swap::Cache::load", READS, ONE, arc_swap_cache),
    case("Reader::load", READS, ONE, reader_load),
    case("lookup-hit-text", READS, ONE, lookup_text),
    case("lookup-hit-shared-type", READS, ONE, lookup_shared),
    case("request-with-State<Arc<T>>", 1_000, ONE, request_state),
    case("request-with-Current<T>", 1_000, ONE, request_current),
    case("cycle-unchanged", 20, GROWING, cycle_unchanged),
    case("refresh-unchanged", 20, GROWING, refresh_unchanged),
    case("refresh-one-changed", 10, GROWING, refresh_one_changed),
    case("extract", 60, GROWING, extract),
    case("explain", 60, GROWING, explain),
];

const fn case(
    name: &'static str,
    repetitions: usize,
    sizes: &'static [usize],
    run: fn(usize, usize),
) -> Case {
    Case { name, repetitions, sizes, run }
}

#[derive(Deserialize)]
struct Settings {
    databases: BTreeMap<String, Database>,
}

/// The fields that programs have, beside those that they do not read.
#[derive(Deserialize)]
#[expect(dead_code, reason = "extracted, not read")]
struct Database {
    host: String,
    port: u16,
    username: String,
    password: SecretString,
}

fn runtime() -> Runtime {
    Builder::new_current_thread().enable_all().build().expect("a runtime")
}

fn database(port: u16) -> String {
    format!(
        r#"{{"engine": "postgres", "host": "db.internal", "port": {port}, "username": "app",
            "password": "not-a-real-password-{port}", "dbname": "app"}}"#
    )
}

fn name(secret: usize) -> String {
    format!("app/databases/db-{secret}")
}

/// So many secrets of six keys each.
fn databases(secrets: usize) -> Memory {
    let memory = Memory::new();
    (0..secrets).for_each(|secret| drop(memory.put(&name(secret), database(1))));
    memory
}

fn manager(memory: &Memory) -> SecretsManager {
    SecretsManager::prefix("app").backend(memory.clone())
}

fn settings() -> Settings {
    Settings { databases: BTreeMap::new() }
}

/// The reads are so many that what made the contender is lost in them.
fn repeat<R>(repetitions: usize, mut read: impl FnMut() -> R) {
    for _ in 0..repetitions {
        drop(black_box(read()));
    }
}

fn arc_swap_load(_: usize, repetitions: usize) {
    let swap = ArcSwap::from_pointee(settings());
    repeat(repetitions, || swap.load().databases.len());
}

fn live_load(_: usize, repetitions: usize) {
    let live = Live::constant(settings());
    repeat(repetitions, || live.load().databases.len());
}

fn arc_swap_load_full(_: usize, repetitions: usize) {
    let swap = ArcSwap::from_pointee(settings());
    repeat(repetitions, || swap.load_full().databases.len());
}

fn live_current(_: usize, repetitions: usize) {
    let live = Live::constant(settings());
    repeat(repetitions, || live.current().databases.len());
}

fn arc_swap_cache(_: usize, repetitions: usize) {
    let swap = ArcSwap::from_pointee(settings());
    let mut cache = Cache::new(&swap);
    repeat(repetitions, || cache.load().databases.len());
}

fn reader_load(_: usize, repetitions: usize) {
    let live = Live::constant(settings());
    let mut reader = live.reader();
    repeat(repetitions, || reader.load().databases.len());
}

/// So many hits among 100 cached secrets.
fn hits(size: usize, repetitions: usize, hit: impl AsyncFn(&Lookup) -> usize) {
    let lookup = manager(&databases(size)).lookup().ttl(DAY);
    runtime().block_on(tokio::task::unconstrained(async {
        for secret in 0..size {
            let name = format!("databases/db-{secret}");
            drop(lookup.get::<Database>(&name).shared().await.expect("a secret"));
        }
        for _ in 0..repetitions {
            black_box(hit(&lookup).await);
        }
    }));
}

fn lookup_text(size: usize, repetitions: usize) {
    hits(size, repetitions, async |lookup: &Lookup| {
        let text: SecretString = lookup.get("databases/db-7").await.expect("a hit");
        text.expose_secret().len()
    });
}

fn lookup_shared(size: usize, repetitions: usize) {
    hits(size, repetitions, async |lookup: &Lookup| {
        let shared = lookup.get::<Database>("databases/db-7").shared().await;
        usize::from(shared.expect("a hit").port)
    });
}

/// Requests through axum's router in process, without a socket.
fn requests(mut router: Router, repetitions: usize) {
    repeat(repetitions, || {
        let request = Request::get("/").body(Body::empty()).expect("a request");
        let response = router.call(request).now_or_never().expect("no wait").expect("infallible");
        assert_eq!(response.status(), StatusCode::OK);
    });
}

fn status(settings: &Settings) -> StatusCode {
    if settings.databases.is_empty() { StatusCode::OK } else { StatusCode::NOT_FOUND }
}

fn request_state(_: usize, repetitions: usize) {
    async fn answer(State(settings): State<Arc<Settings>>) -> StatusCode {
        status(&settings)
    }
    let router = Router::new().route("/", get(answer)).with_state(Arc::new(settings()));
    requests(router, repetitions);
}

fn request_current(_: usize, repetitions: usize) {
    async fn answer(settings: Current<Settings>) -> StatusCode {
        status(&settings)
    }
    let router = Router::new().route("/", get(answer)).with_state(Live::constant(settings()));
    requests(router, repetitions);
}

fn live(runtime: &Runtime, memory: &Memory) -> Live<Settings> {
    let builder = builder(manager(memory)).refresh_every(DAY);
    runtime.block_on(builder.start()).expect("settings")
}

fn builder(manager: SecretsManager) -> LiveBuilder<Settings> {
    Live::builder(manager).layers(|secrets| Layers::new().secrets(secrets))
}

/// Counts how often values are read.
#[derive(Debug)]
struct Counted(Memory, Arc<Semaphore>);

impl Backend for Counted {
    fn list<'a>(&'a self, prefix: &'a str) -> BoxFuture<'a, Result<Vec<String>, Error>> {
        self.0.list(prefix)
    }

    fn fetch<'a>(&'a self, ids: &'a [String]) -> BoxStream<'a, Outcome> {
        self.1.add_permits(1);
        self.0.fetch(ids)
    }
}

/// What the interval does while nothing changes. Nobody asks for it, so it comes by the clock.
fn cycle_unchanged(size: usize, repetitions: usize) {
    let read = Arc::new(Semaphore::new(0));
    let manager = SecretsManager::prefix("app").backend(Counted(databases(size), read.clone()));
    let builder = builder(manager).refresh_every(Duration::from_millis(1)).rediscover_every(DAY);
    let times = u32::try_from(1 + repetitions).expect("a small number");
    runtime().block_on(async {
        let live = builder.start().await.expect("settings");
        read.acquire_many(times).await.expect("reads").forget();
        assert_eq!(live.status().generation(), 1);
    });
}

fn refresh_unchanged(size: usize, repetitions: usize) {
    let runtime = runtime();
    let live = live(&runtime, &databases(size));
    repeat(repetitions, || {
        assert!(!runtime.block_on(live.refresh()).expect("a refresh").changed());
    });
}

fn refresh_one_changed(size: usize, repetitions: usize) {
    let runtime = runtime();
    let memory = databases(size);
    let live = live(&runtime, &memory);
    let mut port = 1;
    repeat(repetitions, || {
        port += 1;
        memory.put(&name(7), database(port));
        assert!(runtime.block_on(live.refresh()).expect("a refresh").changed());
    });
}

/// A snapshot of a hundred keys in each secret, for settings that are a map.
fn keys(size: usize) -> Snapshot {
    let memory = Memory::new();
    for secret in 0..size / 100 {
        let members: Vec<_> = (0..100).map(|key| format!(r#""key-{secret}-{key}": "7""#)).collect();
        memory.put(&format!("app/keys/{secret}"), format!("{{{}}}", members.join(",")));
    }
    manager(&memory).fetch_blocking().expect("a snapshot")
}

fn extract(size: usize, repetitions: usize) {
    #[derive(Deserialize)]
    struct Keys {
        keys: BTreeMap<String, BTreeMap<String, SecretString>>,
    }
    let secrets = keys(size);
    repeat(repetitions, || {
        let settings: Keys = secrets.extract().expect("settings");
        assert_eq!(settings.keys.values().map(BTreeMap::len).sum::<usize>(), size);
    });
}

fn explain(size: usize, repetitions: usize) {
    let secrets = keys(size);
    let layers = Layers::new().secrets(&secrets);
    repeat(repetitions, || layers.explain().expect("an explanation"));
}
