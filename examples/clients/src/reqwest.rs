//! reqwest: calls with the API key or login of the moment.
//!
//! The key is set on each request, and never in `ClientBuilder::default_headers`, which keeps what
//! it got. So one `Client`, with its connections, serves all rotations.

use std::sync::Arc;

use reqwest::{Client, Error, RequestBuilder, Response, StatusCode};
use secrecy::{ExposeSecret as _, SecretString};
use secrets_provider::{Live, Retry, Rotating};
use serde::Deserialize;

/// The settings of a caller. With `.with_previous(["api-key", "login"])`, a service that does not
/// have the newest yet lets it in by the one before.
#[derive(Debug, Deserialize)]
pub struct Settings {
    /// From the secret `api-key`.
    pub api_key: Rotating<SecretString>,
    /// From the secret `login`.
    pub login: Rotating<Login>,
}

/// A user of the service: `{"username": "…", "password": "…"}`.
#[derive(Debug, Deserialize)]
pub struct Login {
    /// Without a colon.
    pub username: String,
    /// The user's password.
    pub password: SecretString,
}

/// A request with the API key (bearer).
///
/// # Errors
///
/// What the service answered last, or why it cannot be reached.
pub async fn by_key(
    settings: &Live<Settings>,
    request: impl Fn() -> RequestBuilder,
) -> Result<Response, Error> {
    send(settings, |settings| {
        let keys = settings.api_key.iter();
        keys.map(|key| request().bearer_auth(key.expose_secret())).collect()
    })
    .await
}

/// A request with the login (basic).
///
/// # Errors
///
/// What the service answered last, or why it cannot be reached.
pub async fn by_login(
    settings: &Live<Settings>,
    request: impl Fn() -> RequestBuilder,
) -> Result<Response, Error> {
    send(settings, |settings| {
        let logins = settings.login.iter();
        let ask = |login: &Login| {
            request().basic_auth(&login.username, Some(login.password.expose_secret()))
        };
        logins.map(ask).collect()
    })
    .await
}

/// Sends the first, and the next one if the service refuses it. If it refuses all, newer settings
/// are waited for. A refused request was not carried out, so any may be sent again; after a
/// connection that could not be made, too.
async fn send(
    settings: &Live<Settings>,
    requests: impl Fn(&Settings) -> Vec<RequestBuilder>,
) -> Result<Response, Error> {
    let attempt = |settings: Arc<Settings>| {
        let mut requests = requests(&settings);
        async move {
            let last = requests.pop();
            for request in requests {
                let answer = request.send().await?;
                if answer.status() != StatusCode::UNAUTHORIZED {
                    return answer.error_for_status();
                }
            }
            match last {
                Some(request) => request.send().await?.error_for_status(),
                None => unreachable!("`Rotating` has a current value"),
            }
        }
    };
    settings.with_fresh(attempt, retry).await
}

/// Whether a request of [`Live::with_fresh`] is sent again.
pub fn retry(error: &Error) -> Retry {
    match error.status() {
        Some(StatusCode::UNAUTHORIZED) => Retry::Fresh,
        None if error.is_connect() => Retry::Now,
        _ => Retry::No,
    }
}

/// A client, made once.
///
/// # Errors
///
/// If the system's resolver cannot be set up.
pub fn client() -> Result<Client, Error> {
    Client::builder().build()
}
