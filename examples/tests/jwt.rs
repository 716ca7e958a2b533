//! Tokens through rotations: one old secret still verifies, two old ones do not.

#![allow(clippy::unwrap_used, reason = "a test may panic")]

use axum::Router;
use axum::body::{Body, to_bytes};
use axum::http::{Request, StatusCode, header};
use examples::jwt::{Settings, app};
use fake_secrets_manager::FakeSecretsManager;
use secrets_provider::{Layers, Live, SecretsManager};
use tower::ServiceExt as _;

async fn token(app: &Router) -> String {
    let request = Request::post("/token").body(Body::empty()).unwrap();
    let response = app.clone().oneshot(request).await.unwrap();
    String::from_utf8(to_bytes(response.into_body(), 4096).await.unwrap().into()).unwrap()
}

async fn verify(app: &Router, token: &str) -> StatusCode {
    let request = Request::get("/me").header(header::AUTHORIZATION, format!("Bearer {token}"));
    app.clone().oneshot(request.body(Body::empty()).unwrap()).await.unwrap().status()
}

#[tokio::test]
async fn a_token_outlives_one_rotation() {
    let fake = FakeSecretsManager::new();
    fake.put("gaara/prod/jwt-secret", "first-secret");
    let manager =
        SecretsManager::prefix("gaara/prod").with_previous(["jwt-secret"]).client(fake.client());
    let settings: Live<Settings> = Live::builder(manager)
        .layers(|secrets| Layers::new().secrets(secrets))
        .start()
        .await
        .unwrap();
    let app = app(settings.clone());

    let first = token(&app).await;
    assert_eq!(verify(&app, &first).await, StatusCode::OK);

    fake.put("gaara/prod/jwt-secret", "second-secret");
    settings.refresh().await.unwrap();
    let second = token(&app).await;
    assert_ne!(first, second);
    assert_eq!(verify(&app, &first).await, StatusCode::OK, "signed before the rotation");
    assert_eq!(verify(&app, &second).await, StatusCode::OK);

    fake.put("gaara/prod/jwt-secret", "third-secret");
    settings.refresh().await.unwrap();
    assert_eq!(verify(&app, &first).await, StatusCode::UNAUTHORIZED, "two rotations ago");
    assert_eq!(verify(&app, &second).await, StatusCode::OK);
    assert_eq!(verify(&app, "no token").await, StatusCode::UNAUTHORIZED);
}
