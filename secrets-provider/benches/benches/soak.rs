//! What many rotations leave behind, and what they cost a service: `cargo bench --bench soak`.
//! Prints two tables.
//!
//! 1. A million swaps, one after the other: memory, file descriptors and tasks after each tenth.
//!    `SWAPS` in the environment changes the number.
//! 2. An axum service under 1,000 requests a second, in a process of its own. For a slice of 15
//!    seconds its secret rotates every second; for the next one, a second service of the same kind
//!    takes the load, and nothing rotates: A, B, B, A, … for `MINUTES` (30). Each request has a time
//!    at which it is due, and its latency counts from then if an earlier answer was late, so that a
//!    pause is not hidden by the requests that it kept from being sent.

use std::process::Stdio;
use std::time::Duration;

use aws_config::BehaviorVersion;
use aws_sdk_secretsmanager::Client;
use aws_sdk_secretsmanager::config::{Credentials, Region};
use axum::Router;
use axum::routing::get;
use benches::interleave::quantile;
use benches::settings::{self, Settings};
use fake_secrets_manager::FakeSecretsManager;
use futures_util::future::join_all;
use futures_util::stream;
use http::Request;
use http_body_util::{BodyExt as _, Empty};
use hyper::body::Bytes;
use hyper::client::conn::http1::{SendRequest, handshake};
use hyper_util::rt::TokioIo;
use secrets_provider::{Layers, Live, Memory, SecretsManager, Trigger};
use secrets_provider_axum::Current;
use tokio::io::{AsyncBufReadExt as _, AsyncWriteExt as _, BufReader};
use tokio::net::{TcpListener, TcpStream};
use tokio::process::{Child, Command};
use tokio::runtime::Builder;
use tokio::time::{Instant, interval_at, sleep_until};

/// Connections, which share the load.
const CONNECTIONS: u32 = 32;
/// Requests a second, of all connections.
const RATE: u32 = 1_000;
/// How long a service takes the load at a time.
const SLICE: Duration = Duration::from_secs(15);

fn number(name: &str, default: u32) -> u32 {
    std::env::var(name).map_or(default, |text| text.parse().expect("a number"))
}

fn manager(backend: &Memory) -> SecretsManager {
    SecretsManager::prefix(settings::PREFIX).backend(backend.clone())
}

/// Resident memory in KiB, and open file descriptors, as Linux has them.
fn resources() -> (u64, usize) {
    let status = std::fs::read_to_string("/proc/self/status").expect("Linux's /proc");
    let line = status.lines().find(|line| line.starts_with("VmRSS:")).expect("a line of memory");
    let kib = line.split_whitespace().nth(1).and_then(|text| text.parse().ok()).expect("KiB");
    (kib, std::fs::read_dir("/proc/self/fd").expect("Linux's /proc").count())
}

/// Refreshes, each of which finds another version, with what hangs on a handle: a view, a reader, a
/// derived value, a function of changes.
fn swaps() {
    let swaps = number("SWAPS", 1_000_000).max(10);
    let runtime = Builder::new_multi_thread().worker_threads(2).enable_all().build();
    let runtime = runtime.expect("a runtime");
    let memory = Memory::new();
    memory.put(settings::TOKEN, "not-a-real-token");
    memory.put(settings::DATABASE, &settings::database(1));
    let builder = Live::<Settings>::builder(manager(&memory))
        .layers(|secrets| Layers::new().secrets(secrets))
        .refresh_every(Duration::from_secs(24 * 3600));
    runtime.block_on(async {
        let live = builder.start().await.expect("settings");
        let view = live.map(|settings| &settings.database.port);
        let derived = live.derive("database", async |settings| Ok(settings.database.port));
        let derived = derived.await.expect("a derived value");
        live.on_change("database", |settings| assert!(settings.database.port > 0));
        let mut reader = live.reader();

        println!("| swaps | memory, KiB | file descriptors | tasks |");
        println!("| ---: | ---: | ---: | ---: |");
        for done in 0..=swaps {
            if done % (swaps / 10) == 0 {
                let (kib, files) = resources();
                let tasks = tokio::runtime::Handle::current().metrics().num_alive_tasks();
                println!("| {done} | {kib} | {files} | {tasks} |");
            }
            let port = (done % 60_000 + 2) as u16;
            memory.put(settings::DATABASE, &settings::database(port));
            assert!(live.refresh().await.expect("a refresh").changed());
            assert_eq!((*view.load(), reader.load().database.port), (port, port));
        }
        drop(derived);
        live.shutdown().await;
    });
}

/// The service, until its standard input ends. A line there says that the secret has rotated.
async fn serve(endpoint: String) {
    let loader = aws_config::defaults(BehaviorVersion::latest())
        .endpoint_url(endpoint)
        .region(Region::new("eu-central-1"))
        .credentials_provider(Credentials::new("test", "test", None, None, "benches"));
    let client = Client::new(&loader.load().await);
    let lines = BufReader::new(tokio::io::stdin()).lines();
    let hints = stream::unfold(lines, |mut lines| async move {
        lines.next_line().await.ok().flatten()?;
        Some((Trigger::secret(settings::DATABASE), lines))
    });
    let (ended, end) = tokio::sync::oneshot::channel::<()>();
    let hints = stream::StreamExt::chain(
        hints,
        stream::once(async move {
            drop(ended);
            Trigger::new("the end")
        }),
    );
    let manager = SecretsManager::prefix(settings::PREFIX).client(client);
    let builder = Live::<Settings>::builder(manager)
        .layers(|secrets| Layers::new().secrets(secrets))
        .refresh_on(hints);
    let live = builder.start().await.expect("settings");
    let port = |settings: Current<Settings>| async move { settings.database.port.to_string() };
    let app = Router::new().route("/", get(port)).with_state(live.clone());
    let listener = TcpListener::bind("127.0.0.1:0").await.expect("a port");
    println!("{}", listener.local_addr().expect("an address"));
    let end = async move { drop(end.await) };
    axum::serve(listener, app).with_graceful_shutdown(end).await.expect("served");
    live.shutdown().await;
}

/// A service in a process of its own, and its store.
struct Service {
    fake: FakeSecretsManager,
    child: Child,
    connections: Vec<SendRequest<Empty<Bytes>>>,
    generation: u16,
    microseconds: Vec<f64>,
    p99: Vec<f64>,
}

impl Service {
    async fn start() -> Self {
        let fake = FakeSecretsManager::start().await.expect("a port");
        fake.put(settings::DATABASE, settings::database(1));
        fake.put(settings::TOKEN, "not-a-real-token");
        let mut child = Command::new(std::env::current_exe().expect("a program"))
            .args(["serve", &fake.endpoint_url()])
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .kill_on_drop(true)
            .spawn()
            .expect("a process");
        let output = child.stdout.take().expect("piped");
        let address = BufReader::new(output).lines().next_line().await.expect("a line");
        let address = address.expect("the service says where it is");
        let mut connections = Vec::new();
        for _ in 0..CONNECTIONS {
            let stream = TcpStream::connect(&address).await.expect("a connection");
            stream.set_nodelay(true).expect("an option of the socket");
            let (sender, connection) = handshake(TokioIo::new(stream)).await.expect("HTTP");
            tokio::spawn(connection);
            connections.push(sender);
        }
        Self { fake, child, connections, generation: 1, microseconds: vec![], p99: vec![] }
    }

    /// A rotation every second, for one slice.
    async fn rotate(&mut self, start: Instant) {
        let hints = self.child.stdin.as_mut().expect("piped");
        let mut seconds = interval_at(start, Duration::from_secs(1));
        for _ in 0..SLICE.as_secs() {
            seconds.tick().await;
            self.generation += 1;
            self.fake.put(settings::DATABASE, settings::database(self.generation));
            hints.write_all(b"rotated\n").await.expect("the service reads");
        }
    }

    /// Takes the load for one slice. With rotations, one comes every second.
    async fn slice(&mut self, rotates: bool) {
        let start = Instant::now() + Duration::from_millis(50);
        let between = Duration::from_secs(1) * CONNECTIONS / RATE;
        let requests = (SLICE.as_nanos() / between.as_nanos()) as u32;
        let load = join_all(std::mem::take(&mut self.connections).into_iter().zip(0..).map(
            |(mut sender, at)| {
                tokio::spawn(async move {
                    let first = start + Duration::from_secs(1) * at / RATE;
                    let mut took = Vec::with_capacity(requests as usize);
                    let mut seen = 0;
                    for request in 0..requests {
                        let due = first + between * request;
                        let from = if Instant::now() < due {
                            sleep_until(due).await;
                            Instant::now()
                        } else {
                            due
                        };
                        let generation = ask(&mut sender).await;
                        took.push(from.elapsed().as_secs_f64() * 1e6);
                        assert!(generation >= seen, "a later request saw older settings");
                        seen = generation;
                    }
                    (sender, took, seen)
                })
            },
        ));
        let ended = if rotates { tokio::join!(load, self.rotate(start)).0 } else { load.await };
        let mut slice = Vec::new();
        for ended in ended {
            let (sender, took, seen) = ended.expect("no failed request");
            // The last rotation comes a second before the end; others may be read together.
            assert!(seen + 1 >= self.generation, "the service has an old secret");
            self.connections.push(sender);
            slice.extend(took);
        }
        self.p99.push(quantile(&slice, 0.99));
        self.microseconds.extend(slice);
    }
}

async fn ask(sender: &mut SendRequest<Empty<Bytes>>) -> u16 {
    let request = Request::get("/").header("host", "soak").body(Empty::new());
    let answer = sender.send_request(request.expect("a request")).await.expect("an answer");
    assert_eq!(answer.status(), 200);
    let body = answer.into_body().collect().await.expect("a body").to_bytes();
    std::str::from_utf8(&body).ok().and_then(|text| text.parse().ok()).expect("a port")
}

async fn rotations() {
    let pairs = number("MINUTES", 30) * 60 / (2 * SLICE.as_secs() as u32);
    let (mut rotating, mut still) = (Service::start().await, Service::start().await);
    for pair in 0..pairs.max(1) {
        if pair % 2 == 0 {
            rotating.slice(true).await;
            still.slice(false).await;
        } else {
            still.slice(false).await;
            rotating.slice(true).await;
        }
    }
    println!("\n| | requests | rotations | failed | p50, µs | p99, µs | p99.9, µs |");
    println!("| --- | ---: | ---: | ---: | ---: | ---: | ---: |");
    for (name, service) in [("a rotation a second", &rotating), ("none", &still)] {
        let [p50, p99, p999] = [0.5, 0.99, 0.999].map(|at| quantile(&service.microseconds, at));
        println!(
            "| {name} | {} | {} | 0 | {p50:.0} | {p99:.0} | {p999:.0} |",
            service.microseconds.len(),
            service.generation - 1,
        );
    }
    let ratios: Vec<f64> =
        rotating.p99.iter().zip(&still.p99).map(|(with, without)| with / without).collect();
    println!(
        "\nthe p99 of a slice with rotations over that of its neighbour without: {:.2} ({:.2} to {:.2})",
        quantile(&ratios, 0.5),
        quantile(&ratios, 0.25),
        quantile(&ratios, 0.75),
    );
}

fn main() {
    let mut arguments = std::env::args().skip(1);
    let runtime = || Builder::new_multi_thread().enable_all().build().expect("a runtime");
    if arguments.next().as_deref() == Some("serve") {
        runtime().block_on(serve(arguments.next().expect("an endpoint")));
        return;
    }
    swaps();
    runtime().block_on(rotations());
}
