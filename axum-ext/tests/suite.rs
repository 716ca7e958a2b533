//! The suite of all frameworks, over axum; and what is special to axum.
#![cfg(feature = "status")]
#![allow(clippy::unwrap_used, reason = "a test fails by panicking")]

use std::sync::Arc;
use std::sync::atomic::{AtomicU32, Ordering};

use axum::body::{Body, to_bytes};
use axum::extract::{FromRef, FromRequestParts, Request, State};
use axum::middleware::{Next, from_fn_with_state};
use axum::response::Response;
use axum::{Router, routing::get};
use http::request::Parts;
use http_suite::{Answer, Framework, Rotation, Server, Settings, constant, is_outer};
use secrets_provider::{Live, Rejected};
use secrets_provider_axum::{Current, RefreshToken, health_routes, refresh_route, status_routes};
use serde_json::Value;
use tower::ServiceExt as _;

http_suite::tests!(tokio::test, Axum);

struct Axum;

impl Framework for Axum {
    type App = Router;

    async fn send(
        app: &Router,
        method: &str,
        path: &str,
        headers: &[(&str, &str)],
        body: &str,
    ) -> Answer {
        let mut request = Request::builder().method(method).uri(path);
        for (name, value) in headers {
            request = request.header(*name, *value);
        }
        let request = request.body(Body::from(body.to_owned())).unwrap();
        let response = app.clone().oneshot(request).await.unwrap();
        let (parts, body) = response.into_parts();
        let body = to_bytes(body, 1 << 20).await.unwrap();
        let headers = parts
            .headers
            .iter()
            .map(|(name, value)| (name.to_string(), value.to_str().unwrap().to_owned()));
        Answer {
            status: parts.status.as_u16(),
            headers: headers.collect(),
            body: String::from_utf8(body.to_vec()).unwrap(),
        }
    }

    fn block_on<F: Future>(future: F) -> F::Output {
        tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap().block_on(future)
    }

    async fn health<T: Send + Sync + 'static>(settings: Live<T>) -> Router {
        health_routes(settings)
    }

    async fn status<T: Send + Sync + 'static>(settings: Live<T>) -> Router {
        status_routes(settings)
    }

    async fn refresh(settings: Live<Value>, token: RefreshToken) -> Router {
        refresh_route(settings, token)
    }

    async fn nested(settings: Live<Value>, token: RefreshToken) -> Router {
        let routes = status_routes(settings.clone()).merge(refresh_route(settings, token));
        // Beside a state of another type.
        Router::new().nest("/internal", routes).with_state("app")
    }

    async fn serve(settings: Live<Value>) -> Server {
        let router: Router =
            status_routes(settings.clone()).merge(refresh_route(settings, http_suite::token()));
        let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
        let address = listener.local_addr().unwrap();
        let serving = tokio::spawn(async { axum::serve(listener, router).await });
        Server { address, stop: Box::pin(async move { serving.abort() }) }
    }

    async fn index(settings: Live<Settings>) -> Router {
        Router::new().route("/", get(index)).route("/plain", get(plain)).with_state(settings)
    }

    async fn rotating_handler(rotation: Rotation) -> Router {
        /// An extractor that swaps the settings during a request.
        struct Rotate;
        impl FromRequestParts<App> for Rotate {
            type Rejection = std::convert::Infallible;

            async fn from_request_parts(_: &mut Parts, app: &App) -> Result<Self, Self::Rejection> {
                app.rotation.rotate(2).await;
                Ok(Self)
            }
        }
        async fn both(first: Current<Settings>, _: Rotate, second: Current<Settings>) -> String {
            format!("{} {}", first.database, second.database)
        }
        Router::new()
            .route("/both", get(both))
            .route("/", get(index))
            .with_state(App::new(rotation))
    }

    async fn rotating_middleware(rotation: Rotation) -> Router {
        async fn rotating(
            State(app): State<App>,
            settings: Current<Settings>,
            request: Request,
            next: Next,
        ) -> Response {
            app.rotation.rotate(app.settings.status().generation() + 1).await;
            let mut response = next.run(request).await;
            let seen = settings.database.username.parse().unwrap();
            response.headers_mut().insert("middleware", seen);
            response
        }
        let app = App::new(rotation);
        let routes = Router::new().route("/", get(index));
        routes.layer(from_fn_with_state(app.clone(), rotating)).with_state(app)
    }

    async fn two_lives(outer: Live<Settings>, inner: Live<Settings>) -> Router {
        async fn middleware(settings: Current<Settings>, request: Request, next: Next) -> Response {
            is_outer(&settings);
            next.run(request).await
        }
        let inner = Router::new().route("/inner", get(index)).with_state(inner);
        let routes = Router::new().route("/", get(index)).merge(inner);
        routes.layer(from_fn_with_state(outer.clone(), middleware)).with_state(outer)
    }

    async fn pair(settings: Live<Settings>) -> Router {
        /// An extractor that gives a swap its chance.
        struct Pause;
        impl<S: Sync> FromRequestParts<S> for Pause {
            type Rejection = std::convert::Infallible;

            async fn from_request_parts(_: &mut Parts, _: &S) -> Result<Self, Self::Rejection> {
                tokio::task::yield_now().await;
                Ok(Self)
            }
        }
        async fn pair(first: Current<Settings>, _: Pause, second: Current<Settings>) -> String {
            format!("{} {}", first.database, second.database)
        }
        Router::new().route("/", get(pair)).with_state(settings)
    }
}

/// A router's state that has more in it than the settings.
#[derive(Clone, FromRef)]
struct App {
    settings: Live<Settings>,
    rotation: Rotation,
}

impl App {
    fn new(rotation: Rotation) -> Self {
        Self { settings: rotation.settings.clone(), rotation }
    }
}

async fn index(Current(settings): Current<Settings>) -> String {
    settings.database.to_string()
}

async fn plain(State(live): State<Live<Settings>>) -> String {
    live.load().database.to_string()
}

#[tokio::test]
async fn a_state_with_a_live_among_its_fields_serves_both_extractors() {
    let rotation = Rotation::start().await;
    let routes = Router::new().route("/plain", get(plain)).route("/", get(index));
    let router = routes.with_state(App::new(rotation.clone()));
    rotation.rotate(2).await;
    for path in ["/plain", "/"] {
        assert_eq!(Axum::call(&router, "GET", path, &[]).await.body, "user-2/pass-2");
    }
}

/// A state that cannot be cloned, so it is shared.
#[derive(FromRef)]
struct Shared {
    settings: Live<Settings>,
    #[from_ref(skip)]
    requests: AtomicU32,
}

#[tokio::test]
async fn a_state_behind_an_arc_serves_every_extractor() {
    async fn shared(State(app): State<Arc<Shared>>, settings: Current<Settings>) -> String {
        let request = app.requests.fetch_add(1, Ordering::Relaxed);
        format!("{request} {}", settings.database)
    }
    async fn stamp(settings: Current<Settings>, request: Request, next: Next) -> Response {
        let mut response = next.run(request).await;
        let seen = settings.database.username.parse().unwrap();
        response.headers_mut().insert("middleware", seen);
        response
    }
    let rotation = Rotation::start().await;
    let app = Arc::new(Shared { settings: rotation.settings.clone(), requests: AtomicU32::new(0) });
    let router = Router::new()
        .route("/shared", get(shared))
        .route("/", get(index))
        .route("/plain", get(plain))
        .layer(from_fn_with_state(app.clone(), stamp))
        .with_state(app);
    rotation.rotate(2).await;
    let answer = Axum::call(&router, "GET", "/shared", &[]).await;
    assert_eq!(answer.body, "0 user-2/pass-2");
    assert!(answer.headers.contains(&("middleware".to_owned(), "user-2".to_owned())));
    for path in ["/", "/plain"] {
        assert_eq!(Axum::call(&router, "GET", path, &[]).await.body, "user-2/pass-2");
    }
    // The `Live` itself behind an `Arc`, as a state, too.
    let router = Router::new().route("/", get(index)).with_state(Arc::new(rotation.settings));
    assert_eq!(Axum::call(&router, "GET", "/", &[]).await.body, "user-2/pass-2");
}

/// Handlers of a service that was written for an `Arc` of its context.
#[tokio::test]
async fn handlers_that_take_an_arc_of_the_state_follow_a_derived_state() {
    struct Context {
        login: String,
    }
    async fn login(State(context): State<Arc<Context>>) -> String {
        context.login.clone()
    }
    async fn current(context: Current<Context>) -> String {
        context.login.clone()
    }
    let rotation = Rotation::start().await;
    let build = async |settings: Arc<Settings>| {
        Ok::<_, Rejected>(Context { login: settings.database.to_string() })
    };
    let context = rotation.settings.derive("", build).await.unwrap();
    let router = Router::new()
        .route("/", get(login))
        .route("/current", get(current))
        .with_state(context.clone());
    for n in [2, 3] {
        rotation.rotate(n).await;
        context.refresh().await.unwrap();
        for path in ["/", "/current"] {
            let answer = Axum::call(&router, "GET", path, &[]).await;
            assert_eq!(answer.body, format!("user-{n}/pass-{n}"), "{path}");
        }
    }
}

#[tokio::test]
async fn routes_merge_beside_a_state_of_any_type() {
    async fn name(State(name): State<&'static str>) -> &'static str {
        name
    }
    let routes = Router::new().route("/", get(name)).merge(status_routes(constant("a")));
    let router: Router = routes.with_state("app");
    assert_eq!(Axum::call(&router, "GET", "/", &[]).await.body, "app");
    assert_eq!(Axum::call(&router, "GET", "/status", &[]).await.status, 200);
}

#[tokio::test]
async fn head_has_no_body_in_process_either() {
    let router = Axum::status(constant("a")).await;
    for path in ["/live", "/ready", "/status"] {
        assert_eq!(Axum::call(&router, "HEAD", path, &[]).await.body, "", "{path}");
    }
}

#[test]
fn current_clones_and_prints_whatever_its_type_can() {
    struct Opaque;
    let current = Current(std::sync::Arc::new(Opaque));
    assert_eq!(format!("{:?}", current.clone()), "Current { .. }");
}
