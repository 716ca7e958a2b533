//! Compares the read path with its parts and with its peers: `cargo bench --bench reads`. Prints
//! two tables.

use std::num::NonZeroUsize;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, RwLock};
use std::time::{Duration, Instant};

use arc_swap::ArcSwap;
use arc_swap::cache::Cache;
use aws_secretsmanager_caching::SecretsManagerCachingClient;
use benches::interleave::{Contender, Pair, pair};
use benches::settings::{self, DATABASE, Database, PREFIX, Settings, TOKEN};
use dynamic_config::dynamic_config;
use fake_secrets_manager::FakeSecretsManager;
use secrets_provider::{Layers, Live, Memory, SecretsManager};
use tokio::runtime::{Builder, Runtime};
use tokio::sync::watch;

/// Pairs of runs for each figure. `ROUNDS` in the environment changes it.
const ROUNDS: usize = 60;
/// The writer's pause between two swaps.
const REST: Duration = Duration::from_millis(1);

/// dynamic-config keeps a static for each type.
#[dynamic_config]
#[derive(serde::Deserialize)]
struct Dynamic {
    settings: Settings,
}

/// Every contender's store, all with the same settings.
struct Stores {
    /// Runs the refresher when the writer asks for a refresh.
    runtime: Runtime,
    memory: Memory,
    live: Live<Settings>,
    raw: Arc<ArcSwap<Settings>>,
    watched: watch::Sender<Arc<Settings>>,
    locked: Arc<RwLock<Arc<Settings>>>,
    parked: Arc<parking_lot::RwLock<Arc<Settings>>>,
    fake: FakeSecretsManager,
    caching: Arc<SecretsManagerCachingClient>,
}

fn runtime() -> Runtime {
    Builder::new_current_thread().enable_all().build().expect("a runtime")
}

impl Stores {
    fn new() -> Self {
        let (runtime, memory, fake) = (runtime(), Memory::new(), FakeSecretsManager::new());
        memory.put(DATABASE, settings::database(1));
        memory.put(TOKEN, "not-a-real-token");
        fake.put(DATABASE, settings::database(1));
        fake.put(TOKEN, "not-a-real-token");
        let manager = SecretsManager::prefix(PREFIX).backend(memory.clone());
        let builder = Live::builder(manager).layers(|secrets| Layers::new().secrets(secrets));
        let live = runtime.block_on(builder.refresh_every(Duration::from_secs(24 * 3600)).start());
        let first = Arc::new(settings::settings(1));
        Dynamic::replace(Dynamic { settings: settings::settings(1) });
        let (size, long) =
            (NonZeroUsize::new(1000).expect("not zero"), Duration::from_secs(24 * 3600));
        let caching = SecretsManagerCachingClient::new(fake.client(), size, long, true);
        let stores = Self {
            live: live.expect("settings"),
            raw: Arc::new(ArcSwap::new(first.clone())),
            watched: watch::Sender::new(first.clone()),
            locked: Arc::new(RwLock::new(first.clone())),
            parked: Arc::new(parking_lot::RwLock::new(first)),
            caching: Arc::new(caching.expect("a store")),
            runtime,
            memory,
            fake,
        };
        for secret in [DATABASE, TOKEN] {
            let get = stores.caching.get_secret_value(secret, None, None, false);
            stores.runtime.block_on(get).expect("a value");
        }
        stores
    }

    /// Puts a new generation into all of them, whichever is measured, so that all carry the same
    /// load.
    fn swap(&self, generation: u16) {
        let (text, new) = (settings::database(generation), settings::settings(generation));
        self.memory.put(DATABASE, text.clone());
        let refreshed = self.runtime.block_on(self.live.refresh()).expect("a refresh");
        assert!(refreshed.changed(), "the writer swaps");
        Dynamic::replace(Dynamic { settings: new.clone() });
        let new = Arc::new(new);
        self.raw.store(new.clone());
        self.watched.send_replace(new.clone());
        *self.locked.write().expect("no poison") = new.clone();
        *self.parked.write() = new;
        // Calls the service, which costs far more than a swap.
        if generation.is_multiple_of(10) {
            self.fake.put(DATABASE, text);
            let get = self.caching.get_secret_value(DATABASE, None, None, true);
            self.runtime.block_on(get).expect("a value");
        }
    }

    fn contenders(&self) -> Contenders {
        let (live, raw) = (self.live.clone(), self.raw.clone());
        let port = |settings: &Settings| settings.database.port;
        let caching = |name, secrets: &'static [&'static str], read: fn(&str) -> u16| {
            let caching = self.caching.clone();
            Contender::of_loop(name, move |reads, ready| {
                // One thread runs the whole loop: no scheduler between the reads, and no forced
                // yields.
                let runtime = runtime();
                let read = |reads| {
                    runtime.block_on(tokio::task::unconstrained(async {
                        for _ in 0..reads {
                            for secret in secrets {
                                let secret =
                                    caching.get_secret_value(secret, None, None, false).await;
                                let text = secret.expect("a hit").secret_string.expect("text");
                                std::hint::black_box(read(&text));
                            }
                        }
                    }));
                };
                read(reads / 10);
                ready.time(|| read(reads))
            })
        };
        let of = |live: &Live<Settings>| {
            let live = live.clone();
            move || live.clone()
        };
        let of_raw = |raw: &Arc<ArcSwap<Settings>>| {
            let raw = raw.clone();
            move || raw.clone()
        };
        let (locked, parked, watched) =
            (self.locked.clone(), self.parked.clone(), self.watched.clone());
        let (for_reader, for_view, for_cache) = (live.clone(), live.clone(), raw.clone());
        Contenders {
            load: Contender::new("`Live::load`", of(&live), move |live| port(&live.load())),
            current: Contender::new("`Live::current`", of(&live), move |live| {
                port(&live.current())
            }),
            view: Contender::new(
                "`View::load` (through `map`)",
                move || for_view.map(|settings| &settings.database),
                |view| view.load().port,
            ),
            reader: Contender::new(
                "`Reader::load`",
                move || for_reader.reader(),
                move |reader| port(reader.load()),
            ),
            raw_load: Contender::new("`ArcSwap::load`", of_raw(&raw), move |raw| port(&raw.load())),
            raw_full: Contender::new("`ArcSwap::load_full`", of_raw(&raw), move |raw| {
                port(&raw.load_full())
            }),
            raw_cache: Contender::new(
                "`arc_swap::Cache::load`",
                move || Cache::new(for_cache.clone()),
                move |cache| port(cache.load()),
            ),
            peers: [
                Contender::new(
                    "`tokio::sync::watch`, borrowed",
                    move || watched.subscribe(),
                    move |receiver| port(&receiver.borrow()),
                ),
                Contender::new(
                    "`std::sync::RwLock<Arc<T>>`, cloned",
                    move || locked.clone(),
                    move |lock| port(&Arc::clone(&lock.read().expect("no poison"))),
                ),
                Contender::new(
                    "`parking_lot::RwLock<Arc<T>>`, cloned",
                    move || parked.clone(),
                    move |lock| port(&Arc::clone(&lock.read())),
                ),
                Contender::new(
                    "`dynamic-config`: `current()`",
                    || (),
                    move |()| port(&Dynamic::current().settings),
                ),
                caching("`aws_secretsmanager_caching`: a hit", &[DATABASE], |text| {
                    text.len() as u16
                }),
                caching("the same, its JSON parsed", &[DATABASE], port_of),
                caching("the same, and the second secret", &[DATABASE, TOKEN], |text| match text {
                    json if json.starts_with('{') => port_of(json),
                    token => token.len() as u16,
                }),
            ],
        }
    }
}

struct Contenders {
    load: Contender,
    current: Contender,
    view: Contender,
    reader: Contender,
    raw_load: Contender,
    raw_full: Contender,
    raw_cache: Contender,
    peers: [Contender; 7],
}

fn port_of(json: &str) -> u16 {
    serde_json::from_str::<Database>(json).expect("a database").port
}

/// The columns: the number of reading threads, and whether another one writes.
const SETUPS: [(usize, bool, &str); 4] = [
    (1, false, "1 thread"),
    (2, false, "2 threads"),
    (1, true, "1 thread, a writer"),
    (2, true, "2 threads, a writer"),
];

/// Measures with or without a writer that swaps.
fn with_writer<R>(stores: &Stores, writes: bool, measure: impl FnOnce() -> R) -> R {
    let done = AtomicBool::new(!writes);
    std::thread::scope(|scope| {
        scope.spawn(|| {
            let (mut swaps, mut worked, start) = (0_u32, Duration::ZERO, Instant::now());
            while !done.load(Ordering::Relaxed) {
                std::thread::sleep(REST);
                let swap = Instant::now();
                stores.swap((swaps % 10_000) as u16 + 1);
                worked += swap.elapsed();
                swaps += 1;
            }
            if writes {
                let each = start.elapsed() / swaps.max(1);
                println!(
                    "(the writer: a swap of everything every {each:.1?}, of which {:.1?} work)",
                    worked / swaps.max(1)
                );
            }
        });
        let measured = measure();
        done.store(true, Ordering::Relaxed);
        measured
    })
}

fn table(title: &str, stores: &Stores, rounds: usize, pairs: &[(&Contender, &Contender)]) {
    let columns = SETUPS.map(|(threads, writes, _)| {
        with_writer(stores, writes, || {
            pairs
                .iter()
                .map(|(one, other)| pair(one, other, threads, rounds))
                .collect::<Vec<Pair>>()
        })
    });
    println!("\n{title}\n");
    println!(
        "| | over | {} | ns, 1 thread | ns, 2 threads |",
        SETUPS.map(|(_, _, name)| name).join(" | ")
    );
    println!("|{}", " --- |".repeat(SETUPS.len() + 4));
    for (row, (one, other)) in pairs.iter().enumerate() {
        let cells = columns.each_ref().map(|column| {
            let Pair { ratio, quartiles, .. } = column[row];
            let digits = if ratio < 10.0 { 2 } else { 0 };
            format!("{ratio:.digits$} ({:.digits$}–{:.digits$})", quartiles.0, quartiles.1)
        });
        let times = [0, 1].map(|column: usize| {
            let (one, other) = columns[column][row].nanoseconds;
            format!("{one:.1} / {other:.1}")
        });
        println!(
            "| {} | {} | {} | {} |",
            one.name,
            other.name,
            cells.join(" | "),
            times.join(" | ")
        );
    }
}

fn main() {
    let rounds =
        std::env::var("ROUNDS").ok().map_or(ROUNDS, |rounds| rounds.parse().expect("a number"));
    let stores = Stores::new();
    let all = stores.contenders();
    println!("medians of {rounds} ratios of neighbouring runs; in brackets, their quartiles");
    table(
        "Ours over what it is made of (1.00: free)",
        &stores,
        rounds,
        &[
            (&all.load, &all.raw_load),
            (&all.view, &all.raw_load),
            (&all.current, &all.raw_full),
            (&all.reader, &all.raw_cache),
            (&all.reader, &all.load),
            // The noise of a ratio.
            (&all.raw_load, &all.raw_load),
        ],
    );
    let [watch, lock, parked, dynamic, hit, parsed, both] = &all.peers;
    table(
        "Peers over ours (above 1.00: ours is ahead)",
        &stores,
        rounds,
        &[
            (watch, &all.load),
            (lock, &all.load),
            (lock, &all.current),
            (parked, &all.current),
            (dynamic, &all.current),
            (hit, &all.load),
            (parsed, &all.load),
            (both, &all.load),
            (parsed, &all.current),
            (parsed, &all.reader),
        ],
    );
}
