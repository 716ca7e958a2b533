//! The routes that show the state of the settings, and the one that refreshes them.
//!
//! Which answer to give is decided in `secrets_provider::endpoints`. Here are only the paths and
//! methods, and the translation of requests and answers.

use std::error::Error as _;
use std::sync::Arc;

use axum::Router;
use axum::body::{Bytes, to_bytes};
use axum::extract::RawQuery;
use axum::routing::{get, post};
use axum_core::body::Body;
use http::header::{ACCEPT, AUTHORIZATION};
use http::{HeaderMap, HeaderName, HeaderValue, Response, StatusCode};
use http_body_util::LengthLimitError;
use secrets_provider::Live;
use secrets_provider::endpoints::{self, Answer, MAX_REFRESH_BODY, RefreshToken};

/// Passed for a body that broke off: it is refused as malformed.
const BROKEN: &[u8] = b"{";

/// `GET /live` and `GET /ready`, for probes. `/live` is 200 as long as the process serves; `/ready`
/// is 200, or 503 once the settings are [not ready](secrets_provider::Status::is_ready). They name
/// no secret and may be public.
///
/// The state of the router they are merged into, or nested in, does not matter. `settings` may be a
/// derived value.
///
/// ```
/// # tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap().block_on(async {
/// use axum::{Router, body::Body, http::{Request, StatusCode}};
/// use secrets_provider::Live;
/// use secrets_provider_axum::health_routes;
///
/// let settings = Live::constant(8080);
/// let app: Router = Router::new().merge(health_routes(settings));
/// # use tower::ServiceExt as _;
/// let response = app.oneshot(Request::get("/ready").body(Body::empty()).unwrap()).await.unwrap();
/// assert_eq!(response.status(), StatusCode::OK);
/// # });
/// ```
pub fn health_routes<T, S>(settings: Live<T>) -> Router<S>
where
    T: Send + Sync + 'static,
    S: Clone + Send + Sync + 'static,
{
    Router::new()
        .route("/live", get(async || response(endpoints::live())))
        .route("/ready", get(async move || response(endpoints::ready(&settings))))
}

/// [`health_routes`], and `GET /status`: which generation is live since when, where each key comes
/// from, and what failed; as JSON, or as a [page](secrets_provider::StatusPage) for browsers. In
/// one router with `health_routes`, nest one of them: axum panics where two routes are one.
///
/// **Not for the public**: it shows no values, but names of secrets and variables. Serve it on an
/// internal port:
///
/// ```no_run
/// # async fn serve() -> std::io::Result<()> {
/// use axum::Router;
/// use secrets_provider::Live;
/// use secrets_provider_axum::{health_routes, status_routes};
///
/// # let settings = Live::constant(8080);
/// let internal = Router::new().nest("/internal", status_routes(settings.clone()));
/// let listener = tokio::net::TcpListener::bind("127.0.0.1:9000").await?;
/// tokio::spawn(async { axum::serve(listener, internal).await });
///
/// let public: Router = Router::new().merge(health_routes(settings));
/// # Ok(()) }
/// ```
pub fn status_routes<T, S>(settings: Live<T>) -> Router<S>
where
    T: Send + Sync + 'static,
    S: Clone + Send + Sync + 'static,
{
    let of = settings.clone();
    let status = async move |headers: HeaderMap, RawQuery(query): RawQuery| {
        let accept: Vec<&str> =
            headers.get_all(ACCEPT).iter().filter_map(|value| value.to_str().ok()).collect();
        response(endpoints::status(&of, Some(&accept.join(",")), query.as_deref()))
    };
    health_routes(settings).route("/status", get(status))
}

/// `POST /refresh`: refreshes the settings now, for requests with the header
/// `Authorization: Bearer` and the token; with the body `{"secret": "<name or ARN>"}`, only that
/// secret. There is no such route unless you mount it. See [`endpoints::refresh`] for the answers,
/// and [`endpoints::refresh_request`] for the body.
///
/// ```
/// # tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap().block_on(async {
/// use axum::{Router, body::Body, http::{Request, StatusCode}};
/// use secrets_provider::Live;
/// use secrets_provider_axum::{RefreshToken, refresh_route};
///
/// let settings = Live::constant(8080);
/// let token = RefreshToken::new("a-long-random-token")?;
/// let app: Router = Router::new().merge(refresh_route(settings, token));
/// # use tower::ServiceExt as _;
/// let request = Request::post("/refresh").header("authorization", "Bearer a-long-random-token");
/// let response = app.oneshot(request.body(Body::empty()).unwrap()).await.unwrap();
/// assert_eq!(response.status(), StatusCode::OK);
/// # Ok::<(), secrets_provider::Error>(()) }).unwrap();
/// ```
pub fn refresh_route<T, S>(settings: Live<T>, token: RefreshToken) -> Router<S>
where
    T: Send + Sync + 'static,
    S: Clone + Send + Sync + 'static,
{
    let of = Arc::new((settings, token));
    let refresh = async move |headers: HeaderMap, body: Body| {
        let (settings, token) = &*of;
        let authorization = headers.get(AUTHORIZATION).map(HeaderValue::as_bytes);
        // Nothing is read for a client without the token.
        let allowed = authorization.is_some_and(|given| token.allows(given));
        let body = if allowed { read(body).await } else { Some(Bytes::new()) };
        response(endpoints::refresh_request(settings, token, authorization, body.as_deref()).await)
    };
    Router::new().route("/refresh", post(refresh))
}

/// The whole body; `None` if it is too long.
async fn read(body: Body) -> Option<Bytes> {
    match to_bytes(body, MAX_REFRESH_BODY).await {
        Ok(body) => Some(body),
        Err(error) if error.source().is_some_and(|cause| cause.is::<LengthLimitError>()) => None,
        Err(_) => Some(Bytes::from_static(BROKEN)),
    }
}

fn response(answer: Answer) -> Response<Body> {
    let mut response = Response::new(Body::empty());
    *response.status_mut() =
        StatusCode::from_u16(answer.status()).unwrap_or(StatusCode::INTERNAL_SERVER_ERROR);
    for (name, value) in answer.headers() {
        response
            .headers_mut()
            .insert(HeaderName::from_static(name), HeaderValue::from_static(value));
    }
    *response.body_mut() = answer.into_body().into();
    response
}
