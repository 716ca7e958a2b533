//! Tests of a service, as the page on testing quotes them: a handler through a rotation, through an
//! outage, and through a rejected value. `pages.rs` compares the page with this file.

#![allow(clippy::unwrap_used, reason = "a test fails by panicking")]

use axum::{Router, body, http::Request, routing::get};
use fake_secrets_manager::{FakeSecretsManager, Fault};
use secrets_provider::{Health, Layers, Live, Memory, SecretsManager};
use secrets_provider_axum::Current;
use tower::ServiceExt as _;

#[derive(serde::Deserialize)]
struct Settings {
    username: String,
    #[serde(default)]
    port: Option<u16>,
}

fn app(settings: Live<Settings>) -> Router {
    let whoami = |Current(s): Current<Settings>| async move { s.username.clone() };
    Router::new().route("/", get(whoami)).with_state(settings)
}

async fn live(manager: SecretsManager) -> Live<Settings> {
    let only_secrets = |secrets: &_| Layers::new().secrets(secrets);
    Live::builder(manager).layers(only_secrets).start().await.unwrap()
}

async fn ask(app: &Router) -> String {
    let answer = app.clone().oneshot(Request::get("/").body(body::Body::empty()).unwrap()).await;
    let text = body::to_bytes(answer.unwrap().into_body(), 1024).await.unwrap();
    String::from_utf8(text.to_vec()).unwrap()
}

#[tokio::test]
async fn the_handler_follows_a_rotation() {
    let secrets = Memory::new();
    secrets.put("app/username", "app_1");
    let settings = live(SecretsManager::prefix("app").backend(secrets.clone())).await;
    let app = app(settings.clone());
    assert_eq!(ask(&app).await, "app_1");

    secrets.put("app/username", "app_2");
    settings.refresh().await.unwrap();
    assert_eq!(ask(&app).await, "app_2");
}

#[tokio::test(start_paused = true)] // the retries take no time
async fn an_outage_leaves_the_last_good_value() {
    let fake = FakeSecretsManager::new();
    fake.put("app/username", "app_1");
    let settings = live(SecretsManager::prefix("app").client(fake.client())).await;
    let app = app(settings.clone());

    fake.inject(Fault::throttled());
    settings.refresh().await.unwrap_err();
    assert_eq!(ask(&app).await, "app_1");
    assert_eq!(settings.status().health(), Health::Stale);
}

#[tokio::test]
async fn a_wrong_value_is_not_served() {
    let secrets = Memory::new();
    secrets.put("app/username", "app_1");
    let settings = live(SecretsManager::prefix("app").backend(secrets.clone())).await;

    secrets.put("app/username", "app_2");
    secrets.put("app/port", "eighty");
    let error = settings.refresh().await.unwrap_err();
    assert_eq!(error.key(), Some("port"));
    assert_eq!(settings.load().port, None);
    assert_eq!(settings.load().username, "app_1");
}
