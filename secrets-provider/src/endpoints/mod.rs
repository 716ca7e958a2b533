//! Framework-independent HTTP responses for health, status and refresh.
//!
//! `secrets-provider-axum` and `secrets-provider-actix` mount these as routes; with another
//! framework, call them from your handlers. Send each [`Answer`] unchanged, headers included.
//! No answer holds a value, and none may be cached.
//!
//! | route | function | answers |
//! | --- | --- | --- |
//! | `GET /live` | [`live`] | 200 while the process serves |
//! | `GET /ready` | [`ready`] | 200, or 503 if [`Status::is_ready`] is false |
//! | `GET /status` | [`status`] | the whole status: as JSON, or as a [page](StatusPage) |
//! | `POST /refresh` | [`refresh_request`] | refreshes now, or reads one secret; requires the token |
//!
//! **Do not expose `/status` to the public.** It holds no values, but it names the secrets and
//! variables. Serve it on an internal port or behind authentication.

mod accept;
mod hint;
pub(crate) mod page;
mod token;

use serde::Serialize;
use serde_json::json;

use crate::error::Error;
use crate::layers::explain::Explanation;
use crate::live::Live;
use crate::observe::status::{Health, Status};
use page::StatusPage;
pub use token::RefreshToken;

/// How many bytes the body of a `POST /refresh` may have.
pub const MAX_REFRESH_BODY: usize = 4096;

const JSON: &str = "application/json";
const HTML: &str = "text/html; charset=utf-8";

/// A response to send: status, headers and body.
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
        // A cached status would be wrong, and a browser must not guess another type.
        let headers = vec![
            ("content-type", content_type),
            ("cache-control", "no-store"),
            ("x-content-type-options", "nosniff"),
        ];
        Self { status, headers, body }
    }

    /// Serialization never fails: all keys are strings and all numbers are finite.
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

    /// The headers, with lowercase names; each occurs once.
    pub fn headers(&self) -> &[(&'static str, &'static str)] {
        &self.headers
    }

    /// The body: JSON or HTML, as the header `content-type` says.
    pub fn into_body(self) -> String {
        self.body
    }
}

/// For a liveness probe: always 200 with `{"live": true}`. It does not depend on the store, because
/// a restart does not help against an outage.
///
/// ```
/// assert_eq!(secrets_provider::endpoints::live().status(), 200);
/// ```
pub fn live() -> Answer {
    Answer::json(200, &json!({ "live": true }))
}

/// For a readiness probe: 200, or 503 if the settings are not [ready](Status::is_ready), with
/// `{"ready": …, "health": …}`. A replica that cannot reach the store for longer than
/// [`max_staleness`](Status::max_staleness) stops receiving traffic. The answer names no secret.
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

/// The whole [`Status`] as JSON, with the [`Explanation`] in the field `explanation`; or a
/// [`StatusPage`] if the `Accept` header prefers HTML. Always 200.
///
/// Join several `Accept` headers with commas; pass `None` if the header is missing or is not text.
/// `query` is the query string of the URL: `paused` gives a page that does not reload itself.
///
/// ```
/// use secrets_provider::{Live, endpoints};
///
/// let settings = Live::constant(8080);
/// let browser = endpoints::status(&settings, Some("text/html,*/*;q=0.8"), None);
/// assert!(browser.into_body().starts_with("<!DOCTYPE html>"));
/// let curl = endpoints::status(&settings, Some("*/*"), None);
/// assert!(curl.into_body().contains(r#""generation":1,"#));
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

/// Refreshes now and answers when that is done, if the `Authorization` header is `Bearer` and the
/// token. Concurrent requests share one refresh, as with [`Live::refresh`].
///
/// | answer | when |
/// | --- | --- |
/// | 200 `{"generation": 2, "changed": true}` | the refresh succeeded |
/// | 400 | the body is neither empty nor a hint, or broke off; only by [`refresh_request`] |
/// | 401 | the header is missing or has another token; nothing is refreshed |
/// | 413 | the body is longer than [`MAX_REFRESH_BODY`]; only by [`refresh_request`] |
/// | 502 | the refresh failed; the last good settings stay |
/// | 503 | it failed but may succeed later: unavailable, throttled, or the refresher has stopped |
///
/// The body of a failure is `{"error": {"kind": …, "message": …}}` with the
/// [kind](crate::ErrorKind) (or `unauthorized`, or `invalid` for 400 and 413) and the message, which
/// names keys and secrets and holds no values.
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
    refresh_request(settings, token, authorization, Some(b"")).await
}

/// The same as [`refresh`], with the body of the request: empty, or a hint that one secret changed,
/// as with [`Trigger::secret`](crate::Trigger::secret):
///
/// ```json
/// {"secret": "gaara/prod/database", "version": "6fbe3b2e-9b37-4a3d-9c0f-8d6a3f2c9e51"}
/// ```
///
/// `version` may be left out. Only that secret is read, and only if another version of it is live;
/// a secret that is not selected is `{"changed": false}`. If the store still answers with the
/// version that was live before, so does this, and the secret is read again in the background.
///
/// Pass `None` as the body if it is longer than [`MAX_REFRESH_BODY`]: the answer is 413. A body
/// that is neither of the two is 400; for one that broke off, pass what is neither, such as `{`.
/// Both are checked after the token, so a body need not be read for a client whose header
/// [`RefreshToken::allows`] refuses.
///
/// ```
/// # tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap().block_on(async {
/// use secrets_provider::{Live, endpoints};
///
/// let token = endpoints::RefreshToken::new("a-long-random-token")?;
/// let settings = Live::constant(8080);
/// let (bearer, body) = (Some(&b"Bearer a-long-random-token"[..]), br#"{"secret": "app/database"}"#);
/// let answer = endpoints::refresh_request(&settings, &token, bearer, Some(body)).await;
/// assert_eq!(answer.into_body(), r#"{"generation":1,"changed":false}"#);
/// # Ok::<(), secrets_provider::Error>(()) }).unwrap();
/// ```
pub async fn refresh_request<T>(
    settings: &Live<T>,
    token: &RefreshToken,
    authorization: Option<&[u8]>,
    body: Option<&[u8]>,
) -> Answer {
    let challenge = match authorization {
        Some(given) if token.allows(given) => None,
        // A request without a token gets no error code (RFC 6750, section 3.1).
        Some(_) => Some("Bearer realm=\"refresh\", error=\"invalid_token\""),
        None => Some("Bearer realm=\"refresh\""),
    };
    if let Some(challenge) = challenge {
        return failure(
            401,
            "unauthorized",
            "send the header `Authorization: Bearer <refresh token>`",
        )
        .with("www-authenticate", challenge);
    }
    let refreshed = match hint::parse(body) {
        Ok(None) => settings.refresh().await,
        Ok(Some(hint)) => settings.refresh_hinted(hint).await,
        Err(hint::Refused::TooLong) => {
            let message = format!("the body is longer than {MAX_REFRESH_BODY} bytes");
            return failure(413, "invalid", &message);
        }
        Err(hint::Refused::Malformed) => {
            let message = "the body must be empty or `{\"secret\": \"<name or ARN>\"}`, where \
                           `\"version\"` may be added";
            return failure(400, "invalid", message);
        }
    };
    match refreshed {
        Ok(refreshed) => Answer::json(200, &refreshed),
        Err(error) => failure(status_code(&error), error.kind().as_str(), &error.to_string()),
    }
}

fn status_code(error: &Error) -> u16 {
    if error.is_transient() { 503 } else { 502 }
}

fn failure(status: u16, kind: &str, message: &str) -> Answer {
    Answer::json(status, &json!({ "error": { "kind": kind, "message": message } }))
}

#[cfg(test)]
mod tests;
