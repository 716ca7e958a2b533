//! The routes that show the state of the settings, and the one that refreshes them.
//!
//! Which answer to give is decided in `secrets_provider::endpoints`. Here are only the paths and
//! methods, and the translation of requests and answers.

use std::rc::Rc;

use actix_web::guard::{Any, Get, Head, Post};
use actix_web::http::StatusCode;
use actix_web::http::header::{ACCEPT, AUTHORIZATION, HeaderValue};
use actix_web::{HttpRequest, HttpResponse, Route, web};
use secrets_provider::Live;
use secrets_provider::endpoints::{self, Answer, MAX_REFRESH_BODY, RefreshToken};

/// Passed for a body that broke off: it is refused as malformed.
const BROKEN: &[u8] = b"{";

/// `GET /live` and `GET /ready`, for probes. `/live` is 200 as long as the process serves; `/ready`
/// is 200, or 503 once the settings are [not ready](secrets_provider::Status::is_ready). They name
/// no secret and may be public.
///
/// For `configure` of an `App` or of a scope. `settings` may be a derived value.
///
/// ```
/// # actix_web::rt::System::new().block_on(async {
/// use actix_web::{App, test};
/// use secrets_provider::Live;
/// use secrets_provider_actix::health_routes;
///
/// let settings = Live::constant(8080);
/// let app = test::init_service(App::new().configure(health_routes(settings))).await;
/// let response = test::call_service(&app, test::TestRequest::with_uri("/ready").to_request()).await;
/// assert!(response.status().is_success());
/// # });
/// ```
pub fn health_routes<T: 'static>(settings: Live<T>) -> impl FnOnce(&mut web::ServiceConfig) {
    let live = reading().to(async || response(endpoints::live()));
    let ready = reading().to(move || {
        let answer = endpoints::ready(&settings);
        async { response(answer) }
    });
    |routes| {
        routes
            .service(web::resource("/live").route(live))
            .service(web::resource("/ready").route(ready));
    }
}

/// [`health_routes`], and `GET /status`: which generation is live since when, where each key comes
/// from, and what failed; as JSON, or as a [page](secrets_provider::StatusPage) for browsers.
///
/// **Not for the public**: it shows no values, but names of secrets and variables. Serve it on an
/// internal port:
///
/// ```no_run
/// # async fn serve() -> std::io::Result<()> {
/// use actix_web::{App, HttpServer, rt, web};
/// use secrets_provider::Live;
/// use secrets_provider_actix::{health_routes, status_routes};
///
/// # let settings = Live::constant(8080);
/// let of = settings.clone();
/// let internal = move || {
///     App::new().service(web::scope("/internal").configure(status_routes(of.clone())))
/// };
/// rt::spawn(HttpServer::new(internal).workers(1).bind("127.0.0.1:9000")?.run());
///
/// let public = move || App::new().configure(health_routes(settings.clone()));
/// # let _ = HttpServer::new(public);
/// # Ok(()) }
/// ```
pub fn status_routes<T: 'static>(settings: Live<T>) -> impl FnOnce(&mut web::ServiceConfig) {
    let of = settings.clone();
    let status = reading().to(move |request: HttpRequest| {
        let accept: Vec<&str> =
            request.headers().get_all(ACCEPT).filter_map(|value| value.to_str().ok()).collect();
        let answer = endpoints::status(&of, Some(&accept.join(",")), request.uri().query());
        async { response(answer) }
    });
    |routes| {
        routes.configure(health_routes(settings)).service(web::resource("/status").route(status));
    }
}

/// `POST /refresh`: refreshes the settings now, for requests with the header
/// `Authorization: Bearer` and the token; with the body `{"secret": "<name or ARN>"}`, only that
/// secret. There is no such route unless you mount it. See [`endpoints::refresh`] for the answers,
/// and [`endpoints::refresh_request`] for the body.
///
/// ```
/// # actix_web::rt::System::new().block_on(async {
/// use actix_web::{App, test};
/// use secrets_provider::Live;
/// use secrets_provider_actix::{RefreshToken, refresh_route};
///
/// let settings = Live::constant(8080);
/// let token = RefreshToken::new("a-long-random-token")?;
/// let app = test::init_service(App::new().configure(refresh_route(settings, token))).await;
/// let request = test::TestRequest::post().uri("/refresh");
/// let request = request.insert_header(("authorization", "Bearer a-long-random-token")).to_request();
/// assert!(test::call_service(&app, request).await.status().is_success());
/// # Ok::<(), secrets_provider::Error>(()) }).unwrap();
/// ```
pub fn refresh_route<T: 'static>(
    settings: Live<T>,
    token: RefreshToken,
) -> impl FnOnce(&mut web::ServiceConfig) {
    let of = Rc::new((settings, token));
    let refresh = Route::new().guard(Post()).to(move |request: HttpRequest, body: web::Payload| {
        let of = of.clone();
        async move {
            let (settings, token) = &*of;
            let authorization = request.headers().get(AUTHORIZATION).map(HeaderValue::as_bytes);
            // Nothing is read for a client without the token.
            let allowed = authorization.is_some_and(|given| token.allows(given));
            let body = if allowed { read(body).await } else { Some(web::Bytes::new()) };
            let body = body.as_deref();
            response(endpoints::refresh_request(settings, token, authorization, body).await)
        }
    });
    |routes| {
        routes.service(web::resource("/refresh").route(refresh));
    }
}

/// The whole body; `None` if it is too long.
async fn read(body: web::Payload) -> Option<web::Bytes> {
    let body = body.to_bytes_limited(MAX_REFRESH_BODY).await.ok()?;
    Some(body.unwrap_or(web::Bytes::from_static(BROKEN)))
}

fn reading() -> Route {
    Route::new().guard(Any(Get()).or(Head()))
}

fn response(answer: Answer) -> HttpResponse {
    let status = StatusCode::from_u16(answer.status()).unwrap_or(StatusCode::INTERNAL_SERVER_ERROR);
    let mut response = HttpResponse::build(status);
    for header in answer.headers() {
        response.insert_header(*header);
    }
    response.body(answer.into_body())
}
