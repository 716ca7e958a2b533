//! A fake of Vault at the wire: its database engine, on tokio's clock, so that tests of leases
//! pause it. Requests come over pipes in memory: with sockets, the paused clock would run ahead of
//! the answers.

use std::collections::BTreeMap;
use std::convert::Infallible;
use std::future::{Ready, ready};
use std::pin::Pin;
use std::sync::{Arc, Mutex, MutexGuard, Weak};
use std::task::{Context, Poll};
use std::time::Duration;

use hyper_util::client::legacy::connect::{Connected, Connection};
use hyper_util::rt::TokioIo;
use serde_json::{Value, json};
use tokio::io::{
    AsyncRead, AsyncReadExt as _, AsyncWrite, AsyncWriteExt as _, DuplexStream, ReadBuf,
};
use tokio::time::Instant;
use tower_service::Service;

use crate::unwind::lock;

static SERVERS: Mutex<Vec<Weak<Shared>>> = Mutex::new(Vec::new());

/// A server, found by its address.
#[derive(Clone)]
pub(super) struct FakeVault(Arc<Shared>);

struct Shared {
    begun: Instant,
    state: Mutex<State>,
}

pub(super) struct State {
    /// The lease's first life, and the longest.
    pub(super) term: Duration,
    pub(super) maximal: Duration,
    pub(super) renewable: bool,
    pub(super) fault: Fault,
    /// When each token ends that a login made. Its leases end with it.
    pub(super) tokens: Vec<Instant>,
    pub(super) token_life: Duration,
    /// The static role's last rotation, and how often it rotates.
    pub(super) rotated: Instant,
    pub(super) period: Duration,
    /// The leases that exist: when each was made, when it ends, and its token.
    pub(super) leases: BTreeMap<String, (Instant, Instant, u32)>,
    /// How many users were made in all.
    pub(super) made: u32,
    /// The calls so far: seconds since the beginning, and what it was.
    pub(super) calls: Vec<(f64, &'static str)>,
}

impl State {
    fn token_end(&self, token: u32) -> Option<Instant> {
        self.tokens.get(usize::try_from(token).ok()?.checked_sub(1)?).copied()
    }

    fn end_leases(&mut self, now: Instant) {
        let tokens = std::mem::take(&mut self.leases).into_iter();
        let lasts = |(_, end, token): &(Instant, Instant, u32)| {
            *end > now && self.token_end(*token).is_none_or(|end| end > now)
        };
        self.leases = tokens.filter(|(_, lease)| lasts(lease)).collect();
    }
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Fault {
    None,
    Sealed,
    /// A user is made, and the connection breaks before the answer.
    CredentialsLost,
    /// Leases are renewed, and the connection breaks before the answer.
    RenewalsLost,
    /// No right to renew.
    RenewalsDenied,
    /// No answer to a revocation.
    RevocationsHang,
}

impl FakeVault {
    pub(super) fn start(term: u64, maximal: u64) -> Self {
        let now = Instant::now();
        let state = State {
            term: Duration::from_secs(term),
            maximal: Duration::from_secs(maximal),
            renewable: true,
            fault: Fault::None,
            tokens: Vec::new(),
            token_life: Duration::ZERO,
            rotated: now,
            period: Duration::from_secs(60),
            leases: BTreeMap::new(),
            made: 0,
            calls: Vec::new(),
        };
        let shared = Arc::new(Shared { begun: now, state: Mutex::new(state) });
        lock(&SERVERS).push(Arc::downgrade(&shared));
        Self(shared)
    }

    pub(super) fn url(&self) -> String {
        format!("http://fake-{:x}:1", Arc::as_ptr(&self.0) as usize)
    }

    pub(super) fn state(&self) -> MutexGuard<'_, State> {
        lock(&self.0.state)
    }

    /// The times of the calls of this kind, in seconds since the beginning.
    pub(super) fn times(&self, what: &str) -> Vec<f64> {
        self.state().calls.iter().filter(|(_, call)| *call == what).map(|(at, _)| *at).collect()
    }

    /// The users whose leases have not ended.
    pub(super) fn users(&self) -> usize {
        let state = &mut *self.state();
        state.end_leases(Instant::now());
        state.leases.len()
    }

    /// Whether the user of this credential can log in.
    pub(super) fn accepts(&self, username: &str) -> bool {
        let state = &mut *self.state();
        state.end_leases(Instant::now());
        let number = username.trim_start_matches("user-");
        state.leases.contains_key(&format!("database/creds/app/{number}"))
    }

    async fn serve(self, mut pipe: DuplexStream) {
        let mut received = Vec::new();
        while let Some((path, token, body)) = request(&mut pipe, &mut received).await {
            let Some((status, answer)) = self.answer(&path, token, &body) else {
                if path == "sys/leases/revoke" {
                    std::future::pending::<()>().await;
                }
                return;
            };
            let answer = answer.to_string();
            let head = format!("HTTP/1.1 {status} -\r\ncontent-length: {}\r\n\r\n", answer.len());
            if pipe.write_all((head + &answer).as_bytes()).await.is_err() {
                return;
            }
        }
    }

    /// The answer to a call; none if the connection breaks.
    fn answer(&self, path: &str, token: u32, body: &Value) -> Option<(u16, Value)> {
        let now = Instant::now();
        let state = &mut *self.state();
        let what = match path {
            "database/creds/app" => "creds",
            "database/static-creds/app" => "static-creds",
            "sys/leases/renew" => "renew",
            "sys/leases/revoke" => "revoke",
            "auth/approle/login" => "login",
            _ => "other",
        };
        state.calls.push(((now - self.0.begun).as_secs_f64(), what));
        state.end_leases(now);
        let error = |status, text: &str| Some((status, json!({ "errors": [text] })));
        if state.fault == Fault::Sealed {
            return error(503, "Vault is sealed");
        }
        if what == "login" {
            state.tokens.push(now + state.token_life);
            let token = state.tokens.len().to_string();
            let auth = json!({ "client_token": token, "lease_duration": state.token_life.as_secs(), "renewable": false });
            return Some((200, json!({ "auth": auth })));
        }
        if path == "auth/token/lookup-self" && token == 0 {
            return Some((200, json!({ "data": { "ttl": 0, "renewable": false } })));
        }
        if state.token_end(token).is_some_and(|end| end <= now) {
            return error(403, "permission denied");
        }
        let lease_id = body["lease_id"].as_str().unwrap_or_default();
        match what {
            "creds" => {
                state.made += 1;
                let user = format!("user-{}", state.made);
                let lease_id = format!("database/creds/app/{}", state.made);
                state.leases.insert(lease_id.clone(), (now, now + state.term, token));
                if state.fault == Fault::CredentialsLost {
                    return None;
                }
                let data = json!({ "username": user, "password": "hunter2" });
                Some((
                    200,
                    json!({
                        "lease_id": lease_id,
                        "lease_duration": state.term.as_secs(),
                        "renewable": state.renewable,
                        "data": data,
                    }),
                ))
            }
            "static-creds" => {
                while now >= state.rotated + state.period {
                    state.rotated += state.period;
                }
                let since = (state.rotated - self.0.begun).as_secs();
                let ttl = (state.rotated + state.period - now).as_secs();
                Some((
                    200,
                    json!({ "data": {
                    "username": "app",
                    "password": format!("password-{since}"),
                    "last_vault_rotation": format!("rotated-{since}"),
                    "rotation_period": state.period.as_secs(),
                    "ttl": ttl,
                } }),
                ))
            }
            "renew" => {
                if state.fault == Fault::RenewalsDenied {
                    return error(403, "permission denied");
                }
                let Some((made, end, _)) = state.leases.get_mut(lease_id) else {
                    return error(400, "lease not found");
                };
                let left = (*made + state.maximal).saturating_duration_since(now);
                let asked = Duration::from_secs(body["increment"].as_u64().unwrap_or_default());
                *end = now + asked.min(left);
                if state.fault == Fault::RenewalsLost {
                    return None;
                }
                Some((200, json!({ "lease_duration": asked.min(left).as_secs() })))
            }
            "revoke" if state.fault == Fault::RevocationsHang => None,
            "revoke" => {
                state.leases.remove(lease_id);
                Some((204, Value::Null))
            }
            _ => error(404, ""),
        }
    }
}

/// One request: the path below `/v1/`, the number of the token (0 for one that was given), the body.
async fn request(pipe: &mut DuplexStream, received: &mut Vec<u8>) -> Option<(String, u32, Value)> {
    loop {
        let text = String::from_utf8_lossy(received).into_owned();
        if let Some((head, body)) = text.split_once("\r\n\r\n") {
            let header = |name: &str| {
                let lines = head.lines().filter_map(|line| line.split_once(": "));
                lines
                    .filter(|(key, _)| key.eq_ignore_ascii_case(name))
                    .map(|(_, value)| value)
                    .next()
            };
            let length = header("content-length").and_then(|text| text.parse().ok()).unwrap_or(0);
            if body.len() >= length {
                let path = head.split(' ').nth(1)?.strip_prefix("/v1/")?.to_owned();
                let token = header("x-vault-token").and_then(|text| text.parse().ok()).unwrap_or(0);
                let json = serde_json::from_str(&body[..length]).unwrap_or_default();
                received.drain(..head.len() + 4 + length);
                return Some((path, token, json));
            }
        }
        if pipe.read_buf(received).await.ok()? == 0 {
            return None;
        }
    }
}

/// Connects to a fake.
#[derive(Clone)]
pub(super) struct Connector(FakeVault);

impl Connector {
    pub(super) fn of(url: &str) -> Option<Self> {
        let mut servers = lock(&SERVERS);
        servers.retain(|server| server.strong_count() > 0);
        let mut servers = servers.iter().filter_map(Weak::upgrade).map(FakeVault);
        servers.find(|server| server.url() == url).map(Self)
    }
}

impl Service<http::Uri> for Connector {
    type Response = TokioIo<Pipe>;
    type Error = Infallible;
    type Future = Ready<Result<Self::Response, Infallible>>;

    fn poll_ready(&mut self, _: &mut Context<'_>) -> Poll<Result<(), Infallible>> {
        Poll::Ready(Ok(()))
    }

    fn call(&mut self, _: http::Uri) -> Self::Future {
        let (client, server) = tokio::io::duplex(64 * 1024);
        tokio::spawn(self.0.clone().serve(server));
        ready(Ok(TokioIo::new(Pipe(client))))
    }
}

pub(super) struct Pipe(DuplexStream);

impl Connection for Pipe {
    fn connected(&self) -> Connected {
        Connected::new()
    }
}

impl AsyncRead for Pipe {
    fn poll_read(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
        buffer: &mut ReadBuf<'_>,
    ) -> Poll<std::io::Result<()>> {
        Pin::new(&mut self.0).poll_read(context, buffer)
    }
}

impl AsyncWrite for Pipe {
    fn poll_write(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
        bytes: &[u8],
    ) -> Poll<std::io::Result<usize>> {
        Pin::new(&mut self.0).poll_write(context, bytes)
    }

    fn poll_flush(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
    ) -> Poll<std::io::Result<()>> {
        Pin::new(&mut self.0).poll_flush(context)
    }

    fn poll_shutdown(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
    ) -> Poll<std::io::Result<()>> {
        Pin::new(&mut self.0).poll_shutdown(context)
    }
}
