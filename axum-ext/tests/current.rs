//! Which generation a handler sees, and when.

#![allow(clippy::unwrap_used, reason = "a test fails by panicking")]

use std::fmt;

use axum::body::{Body, to_bytes};
use axum::extract::{FromRef, FromRequestParts, Request, State};
use axum::middleware::{Next, from_fn_with_state};
use axum::response::Response;
use axum::{Router, routing::get};
use futures_util::future::join_all;
use http::request::Parts;
use secrets_provider::{Live, Memory, SecretsManager};
use secrets_provider_axum::Current;
use tower::ServiceExt as _;

/// Each rotation changes both, so that a mix of two generations shows.
#[derive(serde::Deserialize)]
struct Settings {
    database: Database,
}

#[derive(serde::Deserialize)]
struct Database {
    username: String,
    password: String,
}

impl fmt::Display for Database {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}/{}", self.username, self.password)
    }
}

/// A router's state that has more to it than the settings.
#[derive(Clone, FromRef)]
struct App {
    settings: Live<Settings>,
    secrets: Memory,
}

impl App {
    async fn start() -> Self {
        let secrets = Memory::new();
        put(&secrets, 1);
        let manager = SecretsManager::prefix("gaara/prod").backend(secrets.clone());
        Self { settings: manager.live().await.unwrap(), secrets }
    }

    async fn rotate(&self, to: u32) {
        put(&self.secrets, to);
        assert!(self.settings.refresh().await.unwrap().changed());
    }
}

fn put(secrets: &Memory, n: u32) {
    secrets.put(
        "gaara/prod/database",
        format!(r#"{{"username": "user-{n}", "password": "pass-{n}"}}"#),
    );
}

fn constant(username: &str) -> Live<Settings> {
    Live::constant(Settings {
        database: Database { username: username.into(), password: "-".into() },
    })
}

async fn call(router: &Router, path: &str) -> String {
    let request = Request::get(path).body(Body::empty()).unwrap();
    let response = router.clone().oneshot(request).await.unwrap();
    assert!(response.status().is_success(), "{}", response.status());
    let body = to_bytes(response.into_body(), 1000).await.unwrap();
    String::from_utf8(body.to_vec()).unwrap()
}

async fn index(Current(settings): Current<Settings>) -> String {
    settings.database.to_string()
}

/// An extractor that swaps the settings while a request is on its way.
struct Rotate;

impl FromRequestParts<App> for Rotate {
    type Rejection = std::convert::Infallible;

    async fn from_request_parts(_: &mut Parts, app: &App) -> Result<Self, Self::Rejection> {
        app.rotate(2).await;
        Ok(Self)
    }
}

#[tokio::test]
async fn a_handler_sees_a_rotation() {
    let app = App::start().await;
    let router = Router::new().route("/", get(index)).with_state(app.settings.clone());
    assert_eq!(call(&router, "/").await, "user-1/pass-1");

    app.rotate(2).await;
    assert_eq!(call(&router, "/").await, "user-2/pass-2");
}

#[tokio::test]
async fn a_swap_between_two_extractors_shows_in_the_next_request() {
    async fn both(
        State(live): State<Live<Settings>>,
        first: Current<Settings>,
        _: Rotate,
        second: Current<Settings>,
    ) -> String {
        assert_eq!(live.load().database.to_string(), "user-2/pass-2", "the swap has happened");
        format!("{} {}", first.database, second.database)
    }
    let app = App::start().await;
    let router = Router::new().route("/both", get(both)).route("/", get(index)).with_state(app);

    assert_eq!(call(&router, "/both").await, "user-1/pass-1 user-1/pass-1");
    assert_eq!(call(&router, "/").await, "user-2/pass-2");
}

#[tokio::test]
async fn middleware_and_the_handler_after_it_see_one_generation() {
    async fn rotating(
        State(app): State<App>,
        settings: Current<Settings>,
        request: Request,
        next: Next,
    ) -> Response {
        app.rotate(app.settings.status().generation() as u32 + 1).await;
        let response = next.run(request).await;
        let (mut parts, body) = response.into_parts();
        parts.headers.insert("middleware", settings.database.username.parse().unwrap());
        Response::from_parts(parts, body)
    }
    let app = App::start().await;
    let router = Router::new()
        .route("/", get(index))
        .layer(from_fn_with_state(app.clone(), rotating))
        .with_state(app.clone());

    for generation in 1..=3 {
        let response = router.clone().oneshot(Request::new(Body::empty())).await.unwrap();
        assert_eq!(response.headers()["middleware"], format!("user-{generation}"));
        let body = to_bytes(response.into_body(), 1000).await.unwrap();
        assert_eq!(body, format!("user-{generation}/pass-{generation}"));
    }
    assert_eq!(app.settings.status().generation(), 4);
}

#[tokio::test]
async fn two_lives_of_one_type_do_not_mix() {
    async fn outer(settings: Current<Settings>, request: Request, next: Next) -> Response {
        assert_eq!(settings.database.username, "outer");
        next.run(request).await
    }
    let inner = Router::new().route("/inner", get(index)).with_state(constant("inner"));
    let live = constant("outer");
    let router = Router::new()
        .route("/outer", get(index))
        .merge(inner)
        .layer(from_fn_with_state(live.clone(), outer))
        .with_state(live);

    assert_eq!(call(&router, "/outer").await, "outer/-");
    assert_eq!(call(&router, "/inner").await, "inner/-");
}

#[tokio::test]
async fn a_state_with_a_live_among_its_fields_serves_both_extractors() {
    async fn plain(State(live): State<Live<Settings>>) -> String {
        live.load().database.to_string()
    }
    let app = App::start().await;
    let router =
        Router::new().route("/plain", get(plain)).route("/", get(index)).with_state(app.clone());
    app.rotate(2).await;

    assert_eq!(call(&router, "/plain").await, "user-2/pass-2");
    assert_eq!(call(&router, "/").await, "user-2/pass-2");
}

#[tokio::test]
async fn a_live_as_the_state_itself_can_be_taken_plainly() {
    async fn plain(State(live): State<Live<Settings>>) -> String {
        live.current().database.to_string()
    }
    let router = Router::new().route("/", get(plain)).with_state(constant("plain"));
    assert_eq!(call(&router, "/").await, "plain/-");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn concurrent_requests_see_whole_generations_while_settings_swap() {
    const REQUESTS: usize = 200;
    const SWAPS: u32 = 200;
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
    let app = App::start().await;
    let router = Router::new().route("/", get(pair)).with_state(app.settings.clone());

    let readers = (0..8).map(|_| {
        let router = router.clone();
        tokio::spawn(async move {
            for _ in 0..REQUESTS {
                let seen = call(&router, "/").await;
                let n = seen[5..].split('/').next().unwrap();
                assert_eq!(seen, format!("user-{n}/pass-{n} user-{n}/pass-{n}"));
            }
        })
    });
    let readers: Vec<_> = readers.collect();
    for n in 2..=SWAPS {
        app.rotate(n).await;
    }
    for reader in join_all(readers).await {
        reader.unwrap();
    }
    assert_eq!(call(&router, "/").await, "user-200/pass-200 user-200/pass-200");
}

#[test]
fn it_clones_and_prints_without_asking_anything_of_its_type() {
    struct Opaque;
    let current = Current(std::sync::Arc::new(Opaque));
    assert_eq!(format!("{:?}", current.clone()), "Current { .. }");
}
