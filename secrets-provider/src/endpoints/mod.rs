//! What a service tells of its settings over HTTP, without a web framework: the answers, for whoever routes them.
//!
//! `secrets-provider-axum` and `secrets-provider-actix` mount these as routes; with another framework, call them from
//! its handlers. Every answer is to be sent as it is, headers included.
//!
//! | route | function | answers |
//! | --- | --- | --- |
//! | `GET /live` | [`live`] | 200, as long as the process serves |
//! | `GET /ready` | [`ready`] | 200, or 503 when [`Status::is_ready`](crate::Status::is_ready) says no |
//! | `GET /status` | [`status`] | the whole status: as JSON, or as a [page](StatusPage) for a browser |
//! | `POST /refresh` | [`refresh`] | a refresh, for who has the token |
//!
//! **`/status` is not for the public**: it holds no values, but tells which secrets and variables there are. Serve it on
//! an internal port, or behind what keeps others out.

mod accept;
pub(crate) mod page;
mod token;

use serde::Serialize;
use serde_json::json;

use crate::endpoints::page::StatusPage;
use crate::error::Error;
use crate::layers::explain::Explanation;
use crate::live::Live;
use crate::observe::status::{Health, Status};
pub use token::RefreshToken;

const JSON: &str = "application/json";
const HTML: &str = "text/html; charset=utf-8";

/// An answer to be sent: status, headers, body.
///
/// ```
/// use secrets_provider::{Live, endpoints};
///
/// let answer = endpoints::ready(&Live::constant(8080));
/// assert_eq!(answer.status(), 200);
/// assert!(answer.headers().contains(&("content-type", "application/json")));
/// assert_eq!(answer.into_body(), r#"{"ready":true,"health":"fresh"}"#);
/// ```
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Answer {
    status: u16,
    headers: Vec<(&'static str, &'static str)>,
    body: String,
}

impl Answer {
    fn new(status: u16, content_type: &'static str, body: String) -> Self {
        // It is of this moment, and nothing else than it says.
        let headers = vec![
            ("content-type", content_type),
            ("cache-control", "no-store"),
            ("x-content-type-options", "nosniff"),
        ];
        Self { status, headers, body }
    }

    /// None of what is told here fails to serialize: keys are strings, numbers finite.
    fn json(status: u16, body: &impl Serialize) -> Self {
        Self::new(status, JSON, serde_json::to_string(body).unwrap_or_default())
    }

    fn with(mut self, name: &'static str, value: &'static str) -> Self {
        self.headers.push((name, value));
        self
    }

    /// The HTTP status code.
    pub fn status(&self) -> u16 {
        self.status
    }

    /// The headers, by lowercase names; each once.
    pub fn headers(&self) -> &[(&'static str, &'static str)] {
        &self.headers
    }

    /// The body.
    pub fn into_body(self) -> String {
        self.body
    }
}

/// That the process serves: always 200, `{"live": true}`. For a liveness probe, which must not depend on AWS.
///
/// ```
/// assert_eq!(secrets_provider::endpoints::live().status(), 200);
/// ```
pub fn live() -> Answer {
    Answer::json(200, &json!({ "live": true }))
}

/// Whether to send requests here: 200, or 503 where the settings are [not ready](crate::Status::is_ready), as
/// `{"ready": …, "health": …}`. For a readiness probe: a replica that lost AWS for longer than the bound leaves the
/// balance. Names no secret.
///
/// ```
/// use secrets_provider::{Live, endpoints};
///
/// assert_eq!(endpoints::ready(&Live::constant(8080)).status(), 200);
/// ```
pub fn ready<T>(settings: &Live<T>) -> Answer {
    #[derive(Serialize)]
    struct Body {
        ready: bool,
        health: Health,
    }

    let status = settings.status();
    let body = Body { ready: status.is_ready(), health: status.health() };
    Answer::json(if body.ready { 200 } else { 503 }, &body)
}

/// The whole [status](crate::Status) with the [explanation](crate::Explanation) as its field `explanation`, as JSON; or a
/// [`StatusPage`], for whom it is preferred to JSON by the request's `Accept` header. Several such headers are to be
/// joined by commas, and one that is missing or is not text is `None`. The query `paused` gives a page that does not
/// load itself again. Always 200.
///
/// ```
/// use secrets_provider::{Live, endpoints};
///
/// let settings = Live::constant(8080);
/// let browser = endpoints::status(&settings, Some("text/html,application/xml;q=0.9,*/*;q=0.8"), None);
/// assert!(browser.into_body().starts_with("<!DOCTYPE html>"));
/// let curl = endpoints::status(&settings, Some("*/*"), None);
/// assert!(curl.into_body().starts_with(r#"{"generation":1,"#));
/// ```
pub fn status<T>(settings: &Live<T>, accept: Option<&str>, query: Option<&str>) -> Answer {
    #[derive(Serialize)]
    struct Body<'a> {
        #[serde(flatten)]
        status: Status,
        explanation: &'a Explanation,
    }

    let answer = if accept.is_some_and(accept::prefers_html) {
        let page = StatusPage::of(settings);
        let page = if query == Some("paused") { page.reload_every(None) } else { page };
        Answer::new(200, HTML, page.to_string())
            .with("content-security-policy", StatusPage::CONTENT_SECURITY_POLICY)
            .with("referrer-policy", "no-referrer")
    } else {
        let (status, explanation) = settings.status_with_explanation();
        Answer::json(200, &Body { status, explanation: &explanation })
    };
    answer.with("vary", "accept")
}

/// Refreshes now, for a request whose `Authorization` header is `Bearer` and the token, and answers when it is done.
/// Requests that come together are one refresh, as those of [`Live::refresh`] are.
///
/// | answer | when |
/// | --- | --- |
/// | 200 `{"generation": 2, "changed": true}` | it went well |
/// | 401 | the header is missing, or not this token; nothing is refreshed |
/// | 502 | it failed; the last good settings stay |
/// | 503 | it failed, and may do better later: AWS is unavailable or throttles, or the refresher has ended |
///
/// Failures are `{"error": {"kind": …, "message": …}}`, with the [kind](crate::ErrorKind) and the error's message, which
/// names keys and secrets, no values.
///
/// ```
/// # tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap().block_on(async {
/// use secrets_provider::{Live, endpoints};
///
/// let token = endpoints::RefreshToken::new("a-long-random-token")?;
/// let settings = Live::constant(8080);
/// let answer = endpoints::refresh(&settings, &token, Some(b"Bearer a-long-random-token")).await;
/// assert_eq!(answer.into_body(), r#"{"generation":1,"changed":false}"#);
/// assert_eq!(endpoints::refresh(&settings, &token, None).await.status(), 401);
/// # Ok::<(), secrets_provider::Error>(()) }).unwrap();
/// ```
pub async fn refresh<T>(
    settings: &Live<T>,
    token: &RefreshToken,
    authorization: Option<&[u8]>,
) -> Answer {
    let challenge = match authorization {
        Some(given) if token.allows(given) => None,
        // Only who gave one is told that it is wrong (RFC 6750, 3.1).
        Some(_) => Some("Bearer realm=\"refresh\", error=\"invalid_token\""),
        None => Some("Bearer realm=\"refresh\""),
    };
    if let Some(challenge) = challenge {
        return failed(
            401,
            "unauthorized",
            "`Authorization: Bearer` with the refresh token is needed",
        )
        .with("www-authenticate", challenge);
    }
    match settings.refresh().await {
        Ok(refreshed) => Answer::json(200, &refreshed),
        Err(error) => failed(code(&error), error.kind().as_str(), &error.to_string()),
    }
}

fn code(error: &Error) -> u16 {
    if error.is_transient() { 503 } else { 502 }
}

fn failed(status: u16, kind: &str, message: &str) -> Answer {
    Answer::json(status, &json!({ "error": { "kind": kind, "message": message } }))
}

#[cfg(test)]
mod tests;
