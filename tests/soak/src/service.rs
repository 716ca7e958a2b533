//! A service under load, with rotations and without, in turns.
//!
//! The load is open: a request is due every millisecond, whether the ones before it are answered or
//! not, and its latency counts from when it was due. So a stop of 50 ms shows in 50 requests.

use std::net::SocketAddr;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use axum::Router;
use axum::http::StatusCode;
use axum::routing::get;
use secrets_provider::{Live, Memory};
use secrets_provider_axum::Current;
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::{Mutex, mpsc};
use tokio::task::JoinSet;
use tokio::time::{Instant, MissedTickBehavior, interval, sleep_until};

use crate::process::Usage;
use crate::{Settings, live, print, rotate};

const PER_SECOND: u64 = 1_000;
const CONNECTIONS: usize = 64;
/// How long a turn takes.
const TURN: Duration = Duration::from_secs(10);
const REQUEST: &[u8] = b"GET / HTTP/1.1\r\nhost: soak\r\n\r\n";

async fn index(settings: Current<Settings>) -> StatusCode {
    // As long as a request may be at work with its settings.
    tokio::task::yield_now().await;
    if settings.is_whole() { StatusCode::NO_CONTENT } else { StatusCode::INTERNAL_SERVER_ERROR }
}

/// The latencies of one turn, in microseconds, sorted.
type Latencies = Vec<u64>;

pub(crate) fn run(seconds: u64) -> Result<(), String> {
    let pairs = (seconds / (2 * TURN.as_secs())).max(1);
    // The service has a runtime of its own, with its threads.
    let runtime = || tokio::runtime::Builder::new_multi_thread().enable_all().build();
    let (service, load) = (runtime(), runtime());
    let service = service.map_err(|error| error.to_string())?;
    let load = load.map_err(|error| error.to_string())?;
    let memory = Memory::new();
    rotate(&memory, 0);
    let (address, live) = service.block_on(serve(&memory)).map_err(|error| error.to_string())?;
    let rotation = AtomicUsize::new(0);
    let turn = |rotates| load.block_on(turn(address, &memory, &live, &rotation, rotates));
    turn(true)?;
    let mut usage = Vec::new();
    let (mut with, mut without, mut ratios) = (Vec::new(), Vec::new(), Vec::new());
    for pair in 0..pairs {
        let first = pair % 2 == 0;
        let (one, other) = (turn(first)?, turn(!first)?);
        let (rotating, still) = if first { (one, other) } else { (other, one) };
        ratios.push(quantile(&rotating, 0.99) as f64 / quantile(&still, 0.99) as f64);
        with.extend(rotating);
        without.extend(still);
        usage.push(service.block_on(async { Usage::now() }));
    }
    ratios.sort_by(f64::total_cmp);
    print("| | requests | p50 (µs) | p99 (µs) | p99.9 (µs) | longest (µs) |");
    print("| --- | ---: | ---: | ---: | ---: | ---: |");
    for (name, latencies) in [("a rotation a second", &mut with), ("no rotations", &mut without)] {
        latencies.sort_unstable();
        let [p50, p99, p999, longest] = [0.5, 0.99, 0.999, 1.0].map(|at| quantile(latencies, at));
        print(&format!("| {name} | {} | {p50} | {p99} | {p999} | {longest} |", latencies.len()));
    }
    let at = |share: f64| ratios[((ratios.len() - 1) as f64 * share) as usize];
    let (low, middle, high) = (at(0.25), at(0.5), at(0.75));
    let rotations = rotation.load(Ordering::Relaxed);
    print(&format!("\np99 with over without, median of {pairs} pairs of turns: {middle:.2} ({low:.2} to {high:.2})"));
    print(&format!("{rotations} rotations, no failed request, no mix of generations"));
    print("\n| | resident (KiB) | descriptors | tasks | threads |");
    print("| --- | ---: | ---: | ---: | ---: |");
    for (when, usage) in [("first", usage.first()), ("last", usage.last())] {
        print(&format!("| {when} pair | {} |", usage.expect("a pair")));
    }
    Ok(())
}

async fn serve(memory: &Memory) -> Result<(SocketAddr, Live<Settings>), Box<dyn std::error::Error>> {
    let live = live(memory).refresh_every(Duration::from_secs(24 * 3600)).start().await?;
    let router = Router::new().route("/", get(index)).with_state(live.clone());
    let listener = TcpListener::bind(("127.0.0.1", 0)).await?;
    let address = listener.local_addr()?;
    tokio::spawn(async move { axum::serve(listener, router).await });
    Ok((address, live))
}

/// One turn of load, with a rotation each second or without any.
async fn turn(
    address: SocketAddr,
    memory: &Memory,
    live: &Live<Settings>,
    rotation: &AtomicUsize,
    rotates: bool,
) -> Result<Latencies, String> {
    let (due, waiting) = mpsc::unbounded_channel();
    let waiting = Arc::new(Mutex::new(waiting));
    let mut clients = JoinSet::new();
    for _ in 0..CONNECTIONS {
        clients.spawn(client(address, waiting.clone()));
    }
    let ends = Instant::now() + TURN;
    let rotating = async {
        if rotates {
            let mut seconds = interval(Duration::from_secs(1));
            for _ in 0..TURN.as_secs() {
                seconds.tick().await;
                rotate(memory, rotation.fetch_add(1, Ordering::Relaxed) as u64 + 1);
                live.refresh().await.map_err(|error| error.to_string())?;
            }
        }
        sleep_until(ends).await;
        Ok::<_, String>(())
    };
    let sending = async {
        let mut ticks = interval(Duration::from_secs(1) / PER_SECOND as u32);
        ticks.set_missed_tick_behavior(MissedTickBehavior::Burst);
        for _ in 0..TURN.as_secs() * PER_SECOND {
            let at = ticks.tick().await;
            due.send(at).map_err(|_| "no client is left".to_owned())?;
        }
        drop(due);
        Ok(())
    };
    tokio::try_join!(rotating, sending)?;
    let mut latencies = Latencies::new();
    while let Some(client) = clients.join_next().await {
        latencies.extend(client.map_err(|error| error.to_string())??);
    }
    latencies.sort_unstable();
    Ok(latencies)
}

/// Sends the requests that are due over one connection.
async fn client(
    address: SocketAddr,
    due: Arc<Mutex<mpsc::UnboundedReceiver<Instant>>>,
) -> Result<Latencies, String> {
    let failed = |error: std::io::Error| format!("a request failed: {error}");
    let mut stream = TcpStream::connect(address).await.map_err(failed)?;
    stream.set_nodelay(true).map_err(failed)?;
    let (mut latencies, mut answer) = (Latencies::new(), Vec::new());
    loop {
        let Some(at) = due.lock().await.recv().await else { return Ok(latencies) };
        stream.write_all(REQUEST).await.map_err(failed)?;
        answer.clear();
        while !answer.ends_with(b"\r\n\r\n") {
            if stream.read_buf(&mut answer).await.map_err(failed)? == 0 {
                return Err("a request failed: the connection was closed".to_owned());
            }
        }
        if !answer.starts_with(b"HTTP/1.1 204 ") {
            return Err("a request saw a mix of generations".to_owned());
        }
        latencies.push(u64::try_from(at.elapsed().as_micros()).unwrap_or(u64::MAX));
    }
}

fn quantile(sorted: &[u64], at: f64) -> u64 {
    sorted.get(((sorted.len() - 1) as f64 * at) as usize).copied().unwrap_or(0)
}
