//! Peers: replicas that are informed of each hint by `POST /refresh`, where they have no queues of
//! their own.
//!
//! The hints of all triggers pass by here ([`Forwarder::watch`]); a task sends them on. What a peer
//! sends arrives as a request and not as a trigger, so it is never passed on again. Everything is
//! bounded: the hints that wait, those of one round, the peers, the connections, and the time.
//! Plain HTTP on connections of their own: no redirect is followed, so that the token reaches only
//! the addresses of the name. Names are resolved in each round. The words of errors are ours.

use std::collections::BTreeMap;
use std::io;
use std::net::SocketAddr;
use std::sync::{Arc, OnceLock};
use std::time::Duration;

use futures_util::FutureExt as _;
use futures_util::future::{BoxFuture, join_all};
use futures_util::stream::{self, BoxStream, StreamExt as _};
use http::header::{AUTHORIZATION, CONTENT_TYPE, HOST};
use http::{HeaderValue, Request};
use http_body_util::Full;
use hyper::body::Bytes;
use hyper_util::rt::TokioIo;
use secrecy::{ExposeSecret as _, SecretString};
use tokio::net::{TcpStream, lookup_host};
use tokio::sync::mpsc::{self, Receiver, Sender};
use tokio::time::{Instant, sleep, sleep_until, timeout};

use super::address::Target;
use super::passing::{MAX_WAITING, Notice, Passing};
use crate::engine::hints::Hint;
use crate::engine::trigger::{Asks, Trigger};
use crate::error::{Error, ErrorKind, escape};
use crate::observe::events;
use crate::observe::status::PeersProgress;

/// How many peers get a hint.
pub(super) const MAX_PEERS: usize = 100;

/// How many peers are called at once.
const MAX_AT_ONCE: usize = 32;

/// How long a name may take to be resolved, and a peer to answer.
const ATTEMPT: Duration = Duration::from_secs(3);

/// The wait before the one retry.
const RETRY_AFTER: Duration = Duration::from_millis(250);

/// The peers as the program describes them; not checked yet.
#[derive(Clone)]
pub(super) struct Peers {
    pub(super) addresses: String,
    pub(super) token: SecretString,
}

impl Peers {
    /// The addresses, unless a password may be in them.
    pub(super) fn shown(&self) -> &str {
        if self.addresses.contains('@') { "[redacted]" } else { &self.addresses }
    }

    /// # Errors
    ///
    /// `Config` if an address or the token cannot be used. The token is not shown.
    pub(super) fn forwarder(self) -> Result<Forwarder, Error> {
        let targets = Target::parse_all(&self.addresses)?.into_iter().map(Arc::new).collect();
        let visible = |byte: &u8| byte.is_ascii_graphic();
        let token = self.token.expose_secret();
        if token.is_empty() || !token.as_bytes().iter().all(visible) {
            let message = "the token for peers is empty, or contains a space, a line break or a \
                           character that is not ASCII";
            return Err(Error::new(ErrorKind::Config, message)
                .with_hint("give the token of the peers' refresh route, without white space"));
        }
        let progress = Arc::new(PeersProgress::new(self.addresses));
        let round = Round { targets, token: self.token, progress: progress.clone() };
        Ok(Forwarder { round: Arc::new(round), progress, sender: OnceLock::new() })
    }
}

/// Passes hints on. The task that does it begins with the first hint and ends with this.
pub(crate) struct Forwarder {
    round: Arc<Round>,
    progress: Arc<PeersProgress>,
    sender: OnceLock<Sender<Hint>>,
}

impl Forwarder {
    pub(crate) fn progress(&self) -> Arc<PeersProgress> {
        self.progress.clone()
    }

    /// The same triggers. The hints among them are passed on.
    pub(crate) fn watch(
        self: &Arc<Self>,
        triggers: BoxStream<'static, Trigger>,
    ) -> BoxStream<'static, Trigger> {
        let forwarder = self.clone();
        triggers.inspect(move |trigger| forwarder.forward(trigger)).boxed()
    }

    /// Called where a stream is polled, which is in a runtime.
    fn forward(&self, trigger: &Trigger) {
        let Asks::Secret(hint) = &trigger.asks else { return };
        if !hint.is_possible() {
            return;
        }
        let sender = self.sender.get_or_init(|| {
            let (sender, receiver) = mpsc::channel(MAX_WAITING);
            tokio::spawn(run(self.round.clone(), receiver));
            sender
        });
        if sender.try_send(hint.clone()).is_err() {
            self.progress.dropped();
        }
    }
}

async fn run(round: Arc<Round>, mut receiver: Receiver<Hint>) {
    let mut passing = Passing::default();
    loop {
        let due = passing.due();
        tokio::select! {
            hint = receiver.recv() => match hint {
                Some(hint) => passing.add(hint, &round.progress),
                None => return,
            },
            () = sleep_until(due.unwrap_or_else(Instant::now)), if due.is_some() => {}
        }
        while let Ok(hint) = receiver.try_recv() {
            passing.add(hint, &round.progress);
        }
        let hints = passing.take_due();
        if !hints.is_empty() {
            round.clone().pass_on(&hints).await;
        }
    }
}

/// What every round needs.
struct Round {
    targets: Vec<Arc<Target>>,
    token: SecretString,
    progress: Arc<PeersProgress>,
}

/// Why a peer was not informed.
enum Failure {
    Unreached(io::ErrorKind),
    Broken,
    Silent,
    Status(u16),
}

impl Round {
    /// Sends hints to each peer, and records what came of it.
    async fn pass_on(self: Arc<Self>, hints: &[Notice]) {
        let bodies: Vec<Bytes> = hints.iter().map(body).collect();
        let (addresses, mut errors) = self.addresses().await;
        let left_out = addresses.len().saturating_sub(MAX_PEERS);
        if left_out > 0 {
            let message = format!("{left_out} peers get no hints: at most {MAX_PEERS} do");
            errors.push(Error::new(ErrorKind::Config, message).with_hint(
                "give each replica a queue of its own; secrets are read at the interval meanwhile",
            ));
        }
        let peers = addresses.len().min(MAX_PEERS);
        let mut calls: Vec<BoxFuture<'static, _>> = Vec::new();
        for (address, target) in addresses.into_iter().take(MAX_PEERS) {
            let (round, bodies) = (self.clone(), bodies.clone());
            let call = async move {
                let mut of_peer: Vec<BoxFuture<'_, _>> = Vec::new();
                for body in &bodies {
                    of_peer.push(round.post_twice(address, &target, body).boxed());
                }
                (address, join_all(of_peer).await)
            };
            calls.push(call.boxed());
        }
        let mut answers = stream::iter(calls).buffer_unordered(MAX_AT_ONCE);
        let mut delivered = 0;
        let mut failed = errors.len();
        let mut refused = Vec::new();
        while let Some((address, results)) = answers.next().await {
            delivered += results.iter().filter(|result| result.is_ok()).count();
            failed += results.iter().filter(|result| result.is_err()).count();
            if let Some(failure) = results.into_iter().find_map(Result::err) {
                refused.push((address, failure));
            }
        }
        if let Some((address, failure)) = refused.first() {
            errors.insert(0, failure.error(*address, (refused.len(), peers)));
        }
        self.progress.delivered(peers, delivered, failed);
        match errors.first() {
            Some(error) => {
                let repeated = !self.progress.failed(error);
                events::peers_failed(self.progress.addresses(), error, repeated);
            }
            None if self.progress.recovered() => {
                events::peers_recovered(self.progress.addresses());
            }
            None => {}
        }
    }

    /// The addresses that the names have now, and what could not be resolved.
    async fn addresses(&self) -> (BTreeMap<SocketAddr, Arc<Target>>, Vec<Error>) {
        let mut lookups: Vec<BoxFuture<'static, _>> = Vec::new();
        for target in self.targets.iter().cloned() {
            lookups.push(resolve_twice(target).boxed());
        }
        let mut found = BTreeMap::new();
        let mut errors = Vec::new();
        let mut lookups = stream::iter(lookups).buffer_unordered(MAX_AT_ONCE);
        while let Some(result) = lookups.next().await {
            match result {
                Ok((target, addresses)) => {
                    found.extend(addresses.into_iter().map(|address| (address, target.clone())));
                }
                Err(error) => errors.push(error),
            }
        }
        (found, errors)
    }

    /// Sends one hint, and once more if that may help.
    async fn post_twice(
        &self,
        address: SocketAddr,
        target: &Target,
        body: &Bytes,
    ) -> Result<(), Failure> {
        match self.post(address, target, body).await {
            Err(failure) if failure.may_pass() => {
                sleep(RETRY_AFTER).await;
                self.post(address, target, body).await
            }
            result => result,
        }
    }

    async fn post(
        &self,
        address: SocketAddr,
        target: &Target,
        body: &Bytes,
    ) -> Result<(), Failure> {
        let attempt = async {
            let unreached = |error: io::Error| Failure::Unreached(error.kind());
            let stream = TcpStream::connect(address).await.map_err(unreached)?;
            let (mut sender, connection) =
                hyper::client::conn::http1::handshake(TokioIo::new(stream))
                    .await
                    .map_err(|_| Failure::Broken)?;
            let request = self.request(target, body.clone()).ok_or(Failure::Broken)?;
            // An answer may be there when the connection ends.
            let connection = async {
                let _ = connection.await;
                std::future::pending::<()>().await;
            };
            tokio::select! {
                answer = sender.send_request(request) => {
                    let answer = answer.map_err(|_| Failure::Broken)?;
                    match answer.status().as_u16() {
                        200..=299 => Ok(()),
                        status => Err(Failure::Status(status)),
                    }
                }
                () = connection => Err(Failure::Broken),
            }
        };
        timeout(ATTEMPT, attempt).await.unwrap_or(Err(Failure::Silent))
    }

    fn request(&self, target: &Target, body: Bytes) -> Option<Request<Full<Bytes>>> {
        let bearer = SecretString::from(format!("Bearer {}", self.token.expose_secret()));
        let mut bearer = HeaderValue::from_str(bearer.expose_secret()).ok()?;
        bearer.set_sensitive(true);
        Request::post(&target.path)
            .header(HOST, &target.authority)
            .header(AUTHORIZATION, bearer)
            .header(CONTENT_TYPE, "application/json")
            .body(Full::new(body))
            .ok()
    }
}

fn body((secret, version): &Notice) -> Bytes {
    let body = match version {
        Some(version) => serde_json::json!({ "secret": secret, "version": version }),
        None => serde_json::json!({ "secret": secret }),
    };
    Bytes::from(body.to_string())
}

async fn resolve_twice(target: Arc<Target>) -> Result<(Arc<Target>, Vec<SocketAddr>), Error> {
    let addresses = match resolve(&target).await {
        Ok(addresses) => addresses,
        Err(_) => {
            sleep(RETRY_AFTER).await;
            resolve(&target).await?
        }
    };
    Ok((target, addresses))
}

async fn resolve(target: &Target) -> Result<Vec<SocketAddr>, Error> {
    let found = timeout(ATTEMPT, lookup_host((target.host(), target.port))).await;
    let addresses: Vec<_> = found.ok().and_then(Result::ok).into_iter().flatten().collect();
    if addresses.is_empty() {
        let message = format!("peers `{}`: the name has no address", escape(&target.authority));
        return Err(Error::new(ErrorKind::Unavailable, message)
            .with_hint("check the name, and that the service is headless (`clusterIP: None`)"));
    }
    Ok(addresses)
}

impl Failure {
    /// Whether another attempt may succeed at once. One that took too long is not repeated.
    fn may_pass(&self) -> bool {
        match self {
            Self::Unreached(_) | Self::Broken => true,
            Self::Silent => false,
            Self::Status(status) => *status >= 500 || *status == 429,
        }
    }

    fn error(&self, address: SocketAddr, (failed, peers): (usize, usize)) -> Error {
        let (kind, what, hint) = match self {
            Self::Unreached(io::ErrorKind::ConnectionRefused) => {
                (ErrorKind::Unavailable, "refused the connection".to_owned(), NETWORK)
            }
            Self::Unreached(_) => {
                (ErrorKind::Unavailable, "could not be reached".to_owned(), NETWORK)
            }
            Self::Broken => (ErrorKind::Unavailable, "gave no HTTP answer".to_owned(), NETWORK),
            Self::Silent => {
                let what = format!("did not answer within {} s", ATTEMPT.as_secs());
                (ErrorKind::Unavailable, what, NETWORK)
            }
            Self::Status(status @ (401 | 403)) => {
                (ErrorKind::AccessDenied, format!("refused the token ({status})"), TOKEN)
            }
            Self::Status(status @ 300..=399) => {
                let what = format!("answered {status}: redirects are not followed");
                (ErrorKind::Config, what, ROUTE)
            }
            Self::Status(status @ (404 | 405)) => {
                (ErrorKind::NotFound, format!("has no such route ({status})"), ROUTE)
            }
            Self::Status(status @ 400..=499) => {
                (ErrorKind::Config, format!("answered {status}"), ROUTE)
            }
            Self::Status(status) => {
                (ErrorKind::Unavailable, format!("answered {status}"), "see the log of that peer")
            }
        };
        let message = format!("{failed} of {peers} peers were not informed: `{address}` {what}");
        Error::new(kind, message).with_hint(hint)
    }
}

const NETWORK: &str =
    "check the port and the network policy; secrets are read at the interval meanwhile";
const TOKEN: &str = "give all replicas the same refresh token";
const ROUTE: &str = "mount the refresh route, and give its path if it is nested: \
                     `gaara.svc:8081/internal/refresh`";
