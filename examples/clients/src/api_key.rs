//! axum: a service that lets in callers with its API key (bearer) or login (basic), the current one
//! or the one before.
//!
//! Callers and service read the secret at different times, so each may be a rotation behind the
//! other: the service accepts two, and its callers (`reqwest`, `tonic`) offer two.

use axum::extract::{Request, State};
use axum::http::{HeaderMap, StatusCode, header};
use axum::middleware::{Next, from_fn_with_state};
use axum::response::Response;
use axum::{Router, routing};
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use secrecy::zeroize::Zeroizing;
use secrecy::{ExposeSecret as _, SecretString};
use secrets_provider::{Live, Rotating};
use serde::Deserialize;
use subtle::ConstantTimeEq as _;

/// The settings of the service. Read them with `.with_previous(["api-key", "login"])`, which
/// fetches the values before the last rotation, too.
#[derive(Debug, Deserialize)]
pub struct Settings {
    /// From the secret `api-key`.
    pub api_key: Rotating<SecretString>,
    /// From the secret `login`.
    pub login: Rotating<Login>,
}

/// A caller: `{"username": "…", "password": "…"}`.
#[derive(Debug, Deserialize)]
pub struct Login {
    /// Without a colon.
    pub username: String,
    /// The caller's password.
    pub password: SecretString,
}

impl Settings {
    /// Whether one of the `Authorization` headers has what may come in. It takes as long for a
    /// wrong one as for the right one.
    pub fn accept(&self, headers: &HeaderMap) -> bool {
        let keys = self.api_key.iter().map(|key| {
            let key = key.expose_secret();
            Zeroizing::new(format!("Bearer {key}"))
        });
        let logins = self.login.iter().map(|Login { username, password }| {
            let login = Zeroizing::new(format!("{username}:{}", password.expose_secret()));
            Zeroizing::new(format!("Basic {}", STANDARD.encode(&*login)))
        });
        let accepted: Vec<_> = keys.chain(logins).collect();
        headers.get_all(header::AUTHORIZATION).iter().any(|offered| {
            accepted.iter().any(|accepted| accepted.as_bytes().ct_eq(offered.as_bytes()).into())
        })
    }
}

async fn check(
    State(settings): State<Live<Settings>>,
    request: Request,
    next: Next,
) -> Result<Response, StatusCode> {
    // The guard is gone before the request is served.
    let accepted = settings.load().accept(request.headers());
    if accepted { Ok(next.run(request).await) } else { Err(StatusCode::UNAUTHORIZED) }
}

/// A service for callers who are let in.
pub fn app(settings: Live<Settings>) -> Router {
    Router::new()
        .route("/", routing::get(async || "hello"))
        .layer(from_fn_with_state(settings, check))
}
