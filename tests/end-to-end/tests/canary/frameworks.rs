//! The extractors of both frameworks: what they show, and how they answer without settings.

use std::convert::Infallible;
use std::sync::{Arc, Mutex};

use actix_web::ResponseError as _;
use axum::body::{Body, to_bytes};
use axum::extract::FromRequestParts;
use axum::http::Request;
use secrets_provider::{Live, Memory, SecretsManager};
use tower::ServiceExt as _;

use crate::canaries::Canaries;
use crate::fixtures::{Token, secrets_only};
use crate::log::Log;
use crate::shown;

/// Settings whose own `Debug` shows everything.
async fn live(canaries: &mut Canaries) -> Live<Token> {
    let memory = Memory::new();
    memory.put("app/token", canaries.awkward("a secret"));
    secrets_only(SecretsManager::prefix("app").backend(memory)).start().await.unwrap()
}

/// The extractor of axum cannot fail, as its type says.
#[tokio::test]
async fn axum_shows_no_settings() {
    use secrets_provider_axum::Current;

    fn cannot_fail<R: FromRequestParts<Live<Token>, Rejection = Infallible>>() {}
    cannot_fail::<Current<Token>>();

    let log = Log::start();
    let mut canaries = Canaries::of("axum");
    let live = live(&mut canaries).await;
    let handler = async |settings: Current<Token>| {
        format!("{} {}", shown::debug(&settings), settings.token.len())
    };
    let app = axum::Router::new().route("/", axum::routing::get(handler)).with_state(live.clone());
    for path in ["/", "/none"] {
        let request = Request::get(path).body(Body::empty()).unwrap();
        let response = app.clone().oneshot(request).await.unwrap();
        let headers = shown::debug(&response.headers());
        let body = to_bytes(response.into_body(), 10_000).await.unwrap();
        canaries.assert_absent("a response", [headers.as_bytes(), &body].concat());
    }
    canaries.assert_absent("a router", shown::debug(&app));
    log.assert_silent(&canaries, &["secrets_provider"]);
}

#[actix_web::test]
async fn actix_shows_no_settings_and_rejects_without_details() {
    use actix_web::dev::Payload;
    use actix_web::test::TestRequest;
    use actix_web::{App, FromRequest as _, test, web};
    use secrets_provider_actix::Current;

    let log = Log::start();
    let mut canaries = Canaries::of("actix");
    let live = live(&mut canaries).await;
    let seen = web::Data::new(Mutex::new(String::new()));
    let handler = async |settings: Current<Token>, seen: web::Data<Mutex<String>>| {
        *seen.lock().unwrap() += &shown::debug(&settings);
        "seen"
    };
    let app = App::new().app_data(web::Data::new(live.clone())).app_data(seen.clone());
    let app = test::init_service(app.route("/", web::get().to(handler))).await;
    let response = test::call_service(&app, TestRequest::get().to_request()).await;
    assert!(response.status().is_success());
    canaries.assert_absent("an extractor", &*seen.lock().unwrap());

    // The settings are not wrapped in `web::Data`, so the extractor explains why it does not find
    // them.
    for request in [TestRequest::default().app_data(live.clone()), TestRequest::default()] {
        let request = request.app_data(Arc::new(live.current())).to_http_request();
        let rejection =
            Current::<Token>::from_request(&request, &mut Payload::None).await.unwrap_err();
        let response = rejection.error_response();
        let shown = shown::foreign(&rejection) + &shown::debug(&response) + &shown::debug(&request);
        canaries.assert_absent("a rejection", shown);
        let body = actix_web::body::to_bytes(response.into_body()).await.unwrap();
        assert_eq!(body, "Internal Server Error");
    }
    log.assert_silent(&canaries, &["secrets_provider"]);
}
