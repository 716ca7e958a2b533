//! Clients that send requests all the time, each on its own connection, and a tally of the answers.

use std::collections::BTreeMap;
use std::fmt;
use std::net::SocketAddr;
use std::time::{Duration, Instant};

use http_body_util::{BodyExt as _, Empty};
use hyper::body::Bytes;
use hyper::client::conn::http1::{SendRequest, handshake};
use hyper::{Request, Response, body::Incoming, header::HOST};
use hyper_util::rt::TokioIo;
use tokio::net::TcpStream;
use tokio::sync::watch;
use tokio::task::JoinSet;
use tokio::time::{MissedTickBehavior, interval, timeout};

use crate::PATIENCE;
use crate::service::ATTEMPTS;

const CLIENTS: usize = 8;

/// The shortest time between two requests of a client.
const PACE: Duration = Duration::from_millis(20);

pub(crate) struct Load {
    clients: JoinSet<Tally>,
    completed: Vec<watch::Receiver<u64>>,
    stop: watch::Sender<bool>,
    begun: Instant,
}

impl Load {
    pub(crate) fn start(address: SocketAddr, path: &'static str) -> Self {
        let (stop, stopped) = watch::channel(false);
        let mut clients = JoinSet::new();
        let completed = (0..CLIENTS).map(|_| {
            let (sender, receiver) = watch::channel(0);
            clients.spawn(ask_on(address, path, sender, stopped.clone()));
            receiver
        });
        let completed = completed.collect();
        Self { clients, completed, stop, begun: Instant::now() }
    }

    /// Returns when each client has the answer to a request that it sent after this call, and so to
    /// all earlier ones.
    pub(crate) async fn round(&self) {
        for completed in &self.completed {
            let mut completed = completed.clone();
            // One request may be under way.
            let enough = *completed.borrow() + 2;
            let reached = timeout(PATIENCE, completed.wait_for(|number| *number >= enough)).await;
            reached.expect("an answer or a failure").expect("a running client");
        }
    }

    pub(crate) async fn finish(self) -> Tally {
        self.stop.send_replace(true);
        let tallies = self.clients.join_all().await;
        let mut tally = tallies.into_iter().fold(Tally::default(), Tally::with);
        tally.took = self.begun.elapsed();
        tally.waits.sort_unstable();
        tally
    }
}

/// The results of the requests.
#[derive(Debug, Default)]
pub(crate) struct Tally {
    took: Duration,
    /// The number of requests by answer.
    pub(crate) answers: BTreeMap<String, u64>,
    pub(crate) failures: BTreeMap<String, u64>,
    /// The durations of requests that needed more than one attempt. `finish` sorts them.
    pub(crate) waits: Vec<Duration>,
}

impl Tally {
    pub(crate) fn requests(&self) -> u64 {
        self.answers.values().sum::<u64>() + self.failures.values().sum::<u64>()
    }

    fn with(mut self, other: Self) -> Self {
        for (all, some) in
            [(&mut self.answers, other.answers), (&mut self.failures, other.failures)]
        {
            for (text, number) in some {
                *all.entry(text).or_default() += number;
            }
        }
        self.waits.extend(other.waits);
        self
    }
}

impl fmt::Display for Tally {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let failed: u64 = self.failures.values().sum();
        write!(
            f,
            "{:.1} s, {} requests, {failed} failed",
            self.took.as_secs_f64(),
            self.requests()
        )?;
        if failed > 0 {
            write!(f, " {:?}", self.failures)?;
        }
        let Some(last) = self.waits.len().checked_sub(1) else {
            return f.write_str(", none retried");
        };
        let [median, late, longest] =
            [50, 99, 100].map(|percent| self.waits[last * percent / 100].as_secs_f64());
        let number = self.waits.len();
        write!(f, ", {number} retried: p50 {median:.2} s, p99 {late:.2} s, longest {longest:.2} s")
    }
}

async fn ask_on(
    address: SocketAddr,
    path: &'static str,
    completed: watch::Sender<u64>,
    stopped: watch::Receiver<bool>,
) -> Tally {
    let mut tally = Tally::default();
    let mut ticks = interval(PACE);
    ticks.set_missed_tick_behavior(MissedTickBehavior::Skip);
    let mut connection = None;
    while !*stopped.borrow() {
        ticks.tick().await;
        let begun = Instant::now();
        let asked = timeout(PATIENCE, ask(&mut connection, address, path)).await;
        match asked.unwrap_or_else(|_| Err("no answer".to_owned())) {
            Ok((answer, attempts)) => {
                *tally.answers.entry(answer).or_default() += 1;
                if attempts > 1 {
                    tally.waits.push(begun.elapsed());
                }
            }
            Err(failure) => {
                connection = None;
                *tally.failures.entry(failure).or_default() += 1;
            }
        }
        completed.send_modify(|number| *number += 1);
    }
    tally
}

type Connection = SendRequest<Empty<Bytes>>;

/// The answer, and the number of attempts that it took.
async fn ask(
    connection: &mut Option<Connection>,
    address: SocketAddr,
    path: &str,
) -> Result<(String, u32), String> {
    let sending = match connection {
        Some(connection) => connection,
        none => none.insert(connect(address).await.map_err(|error| format!("connect: {error}"))?),
    };
    let request = Request::get(path).header(HOST, address.to_string()).body(Empty::new()).unwrap();
    let response = sending.send_request(request).await.map_err(|error| format!("HTTP: {error}"))?;
    let attempts =
        response.headers().get(ATTEMPTS).and_then(|value| value.to_str().ok()?.parse().ok());
    let status = response.status();
    let text = text(response).await.map_err(|error| format!("HTTP: {error}"))?;
    match (status.is_success(), attempts) {
        (true, Some(attempts)) => Ok((text, attempts)),
        _ => Err(format!("{status}: {text}")),
    }
}

async fn connect(
    address: SocketAddr,
) -> Result<Connection, Box<dyn std::error::Error + Send + Sync>> {
    let (sender, driver) = handshake(TokioIo::new(TcpStream::connect(address).await?)).await?;
    tokio::spawn(driver);
    Ok(sender)
}

async fn text(response: Response<Incoming>) -> Result<String, hyper::Error> {
    let body = response.into_body().collect().await?.to_bytes();
    Ok(String::from_utf8_lossy(&body).into_owned())
}
