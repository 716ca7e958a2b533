//! The client: one call for each secret, each on a connection of its own.
//!
//! The agent closes a connection 61 s after it was accepted, busy or not. So none is kept: on one
//! machine a new one costs next to nothing, and a call ends long before that. A call is made again
//! for four reasons, each a bounded number of times: the token was replaced, the extension does
//! not serve yet, it does not know `refreshNow`, or the agent's cache may hide a secret.

use std::collections::BTreeMap;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use bytes::Bytes;
use http::header::{HeaderName, HeaderValue};
use http::{Request, Uri};
use http_body_util::Empty;
use hyper_util::client::legacy::Client;
use hyper_util::client::legacy::connect::HttpConnector;
use hyper_util::rt::TokioExecutor;
use tokio::time::{sleep, timeout};

use super::Settings;
use super::answer::{Answer, MAX_VALUE_BYTES, Refusal};
use super::error::{self, Call};
use super::token::Token;
use crate::backend::http::{BodyFailure, encoded, whole};
use crate::env::bad;
use crate::error::Error;
use crate::observe::metrics;
use crate::observe::status::Calls;
use crate::secret::Fetched;
use crate::unwind::lock;

/// The port of the agent and of the extension, unless the variable names another.
const PORT: u16 = 2773;
pub(super) const PORT_VARIABLE: &str = "PARAMETERS_SECRETS_EXTENSION_HTTP_PORT";

/// How long one call may take. A fetch has its own, shorter or longer, deadline.
const CALL_TIMEOUT: Duration = Duration::from_secs(30);
/// How long a connection may take to be made.
const CONNECT_TIMEOUT: Duration = Duration::from_secs(5);
/// How long an answer may be: a value whose every byte is escaped, and room for the rest.
const MAX_BODY_BYTES: usize = 6 * MAX_VALUE_BYTES + 64 * 1024;

/// How long to wait for an extension that does not serve yet, at first; then twice as long.
const FIRST_WAIT: Duration = Duration::from_millis(100);
/// How often to wait: 100 ms to 1.6 s, 3.1 s in all. During Lambda's INIT, it never serves.
const MAX_WAITS: u32 = 5;

const TOKEN: HeaderName = HeaderName::from_static("x-aws-parameters-secrets-token");
const OPERATION: &str = "AgentRead";

/// AWS's code for a secret that does not exist.
const ABSENT: &str = "ResourceNotFoundException";

/// Which value of a secret is wanted.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Wanted {
    /// The current one, from the agent's cache.
    Cached,
    /// The current one, past the agent's cache.
    Newest,
    /// The one before.
    Previous,
}

/// What is shared by the clones of an [`Agent`](super::Agent).
pub(super) struct Core {
    settings: Settings,
    base: String,
    client: Client<HttpConnector, Empty<Bytes>>,
    token: Mutex<Option<Token>>,
    /// Whether the parameter `refreshNow` was not refused so far.
    knows_refresh: AtomicBool,
    versions: Mutex<BTreeMap<String, Versions>>,
    calls: Mutex<Calls>,
}

/// What was read of a secret last.
#[derive(Debug, Default)]
struct Versions {
    current: String,
    /// The version that was current when the one before it was read.
    previous_of: Option<String>,
}

impl Core {
    /// # Errors
    ///
    /// `Config` for an address or a port that cannot be one.
    pub(super) fn new(settings: Settings) -> Result<Arc<Self>, Error> {
        let base = match &settings.address {
            Some(address) => base(address)?,
            None => format!("http://localhost:{}", port()?),
        };
        let mut connector = HttpConnector::new();
        connector.set_connect_timeout(Some(CONNECT_TIMEOUT));
        connector.set_nodelay(true);
        // A connection is never kept, so it does not matter which runtime makes one.
        let mut client = Client::builder(TokioExecutor::new());
        client.pool_max_idle_per_host(0);
        Ok(Arc::new(Self {
            settings,
            base,
            client: client.build(connector),
            token: Mutex::default(),
            knows_refresh: AtomicBool::new(true),
            versions: Mutex::default(),
            calls: Mutex::default(),
        }))
    }

    pub(super) fn base(&self) -> &str {
        &self.base
    }

    pub(super) fn calls(&self) -> Calls {
        lock(&self.calls).clone()
    }

    pub(super) async fn read(&self, id: &str, wanted: Wanted) -> Result<Fetched, Error> {
        let current = lock(&self.versions).get(id).map(|versions| versions.current.clone());
        let newest = match wanted {
            Wanted::Cached => false,
            Wanted::Newest => true,
            // It is cached apart from the current one, and may be older than by one.
            Wanted::Previous => {
                let versions = lock(&self.versions);
                let read = versions.get(id).and_then(|versions| versions.previous_of.clone());
                read.is_none() || read != current
            }
        };
        let read = self.read_by(id, wanted == Wanted::Previous, newest).await;
        if let Ok(secret) = &read {
            let mut versions = lock(&self.versions);
            let versions = versions.entry(id.to_owned()).or_default();
            match wanted {
                Wanted::Previous => versions.previous_of = current,
                Wanted::Cached | Wanted::Newest => {
                    secret.version_id().clone_into(&mut versions.current);
                }
            }
        }
        read
    }

    async fn read_by(&self, id: &str, previous: bool, newest: bool) -> Result<Fetched, Error> {
        let call = Call { id, base: &self.base, role: self.settings.role.as_deref(), previous };
        let mut token = self.token().await?;
        let mut is_token_new = false;
        let mut waits = 0;
        let mut past_cache = newest;
        loop {
            let knows_refresh = self.knows_refresh.load(Ordering::Relaxed);
            let newest = past_cache && knows_refresh;
            let answer = self.send(&call, &token, newest).await?;
            if answer.status == 200 {
                return answer.secret(id).map_err(|unfit| call.unfit(unfit));
            }
            match answer.refusal() {
                Refusal::NotReady if waits < MAX_WAITS => {
                    sleep(FIRST_WAIT * 2_u32.pow(waits)).await;
                    waits += 1;
                }
                Refusal::UnknownParameter if newest => {
                    self.knows_refresh.store(false, Ordering::Relaxed);
                }
                // The agent looks for what it had by its ARN, which is another one if the secret was
                // deleted and made again: it finds that one only past its cache.
                Refusal::OfAws { code, .. } if code == ABSENT && !past_cache && knows_refresh => {
                    past_cache = true;
                }
                // A restart of the agent makes a new token.
                Refusal::Token if !is_token_new => {
                    let again = self.token_after(&token).await?;
                    if again == token {
                        return Err(call.token_refused());
                    }
                    (token, is_token_new) = (again, true);
                }
                refusal => return Err(call.refused(&refusal, answer.status)),
            }
        }
    }

    async fn token(&self) -> Result<Token, Error> {
        let known = lock(&self.token).clone();
        match known {
            Some(token) => Ok(token),
            None => self.read_token().await,
        }
    }

    /// The token to use after this one was refused: the one that another call has read since, or
    /// what its source says now.
    async fn token_after(&self, refused: &Token) -> Result<Token, Error> {
        let known = lock(&self.token).clone();
        match known {
            Some(token) if token != *refused => Ok(token),
            _ => self.read_token().await,
        }
    }

    async fn read_token(&self) -> Result<Token, Error> {
        let token = self.settings.token.token().await?;
        *lock(&self.token) = Some(token.clone());
        Ok(token)
    }

    async fn send(&self, call: &Call<'_>, token: &Token, newest: bool) -> Result<Answer, Error> {
        *lock(&self.calls).entry(OPERATION).or_default() += 1;
        metrics::record_call(OPERATION);
        let mut uri =
            format!("{}/secretsmanager/get?secretId={}", self.base, encoded(call.id, b""));
        if call.previous {
            uri.push_str("&versionStage=AWSPREVIOUS");
        }
        if newest {
            uri.push_str("&refreshNow=true");
        }
        if let Some(role) = call.role {
            uri.push_str("&roleArn=");
            uri.push_str(&encoded(role, b""));
        }
        let mut header = HeaderValue::from_str(token).map_err(|_| error::no_token_at_all())?;
        header.set_sensitive(true);
        let request = Request::get(uri).header(TOKEN, header).body(Empty::new());
        let request = request.map_err(|_| call.unusable_name())?;
        let sent = async {
            let response = self.client.request(request).await;
            let response = response.map_err(|error| call.unreached(&error))?;
            let status = response.status().as_u16();
            let body = whole(response.into_body(), MAX_BODY_BYTES).await;
            let body = body.map_err(|failure| match failure {
                BodyFailure::CutOff => call.cut_off(),
                BodyFailure::TooLong => call.too_long(MAX_BODY_BYTES),
            })?;
            Ok(Answer { status, body })
        };
        timeout(CALL_TIMEOUT, sent).await.unwrap_or_else(|_| Err(call.late(CALL_TIMEOUT)))
    }
}

/// The port that a variable names, or the usual one.
fn port() -> Result<u16, Error> {
    let Some(value) = std::env::var_os(PORT_VARIABLE).filter(|value| !value.is_empty()) else {
        return Ok(PORT);
    };
    let port = value.to_str().and_then(|text| text.trim().parse().ok()).filter(|port| *port != 0);
    port.ok_or_else(|| bad(&format!("environment variable `{PORT_VARIABLE}`"), "a port"))
}

/// A checked address, without a slash at its end.
fn base(address: &str) -> Result<String, Error> {
    let expected = "a URL such as `http://localhost:2773`, without user, path or query: the agent \
                    speaks HTTP, and only on its own machine";
    let bad = || bad("the agent's address", expected);
    let url = address.trim().trim_end_matches('/');
    let uri: Uri = url.parse().map_err(|_| bad())?;
    let authority = uri.authority().map(http::uri::Authority::as_str).unwrap_or_default();
    let is_plain = uri.scheme_str() == Some("http") && uri.path() == "/" && uri.query().is_none();
    let has_host = !uri.host().unwrap_or_default().is_empty();
    match is_plain && has_host && !authority.contains('@') && !url.contains('#') {
        true => Ok(url.to_owned()),
        false => Err(bad()),
    }
}

/// The address for `Debug`.
pub(super) fn shown(address: &str) -> &str {
    match base(address) {
        Ok(_) => address,
        Err(_) => "not valid",
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::error::ErrorKind;

    #[test]
    fn an_address_is_a_plain_url_without_credentials() {
        for (address, expected) in [
            ("http://localhost:2773", "http://localhost:2773"),
            (" http://127.0.0.1:2774/ ", "http://127.0.0.1:2774"),
            ("http://[::1]:2773", "http://[::1]:2773"),
        ] {
            assert_eq!(base(address).expect(address), expected);
        }
        for address in [
            "",
            "localhost:2773",
            "https://localhost:2773",
            "http://user:hunter2@localhost:2773",
            "http://localhost:2773/secretsmanager",
            "http://localhost?token=hunter2",
            "http://localhost#hunter2",
        ] {
            let error = base(address).expect_err(address);
            assert_eq!(error.kind(), ErrorKind::Config);
            assert!(!format!("{error} {}", shown(address)).contains("hunter2"), "{error}");
        }
    }
}
