//! What the routes answer, and to whom.
#![cfg(feature = "status")]
#![allow(clippy::unwrap_used, reason = "a test fails by panicking")]

use std::time::Duration;

use axum::Router;
use axum::body::{Body, to_bytes};
use axum::extract::State;
use axum::routing::get;
use http::{HeaderMap, Method, Request, StatusCode};
use secrecy::SecretString;
use secrets_provider::{Layers, Live, Memory, SecretsManager};
use secrets_provider_axum::{RefreshToken, health_routes, refresh_route, status_routes};
use serde_json::{Value, json};
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tower::ServiceExt as _;

const TOKEN: &str = "t0ken-of-this-test";

struct Answer {
    status: StatusCode,
    headers: HeaderMap,
    body: String,
}

impl Answer {
    fn json(&self) -> Value {
        assert_eq!(self.headers["content-type"], "application/json");
        serde_json::from_str(&self.body).unwrap()
    }
}

async fn call(router: &Router, method: Method, path: &str, headers: &[(&str, &str)]) -> Answer {
    let mut request = Request::builder().method(method).uri(path);
    for (name, value) in headers {
        request = request.header(*name, *value);
    }
    let response = router.clone().oneshot(request.body(Body::empty()).unwrap()).await.unwrap();
    let (parts, body) = response.into_parts();
    let body = to_bytes(body, 1 << 20).await.unwrap();
    Answer {
        status: parts.status,
        headers: parts.headers,
        body: String::from_utf8(body.to_vec()).unwrap(),
    }
}

async fn read(router: &Router, path: &str) -> Answer {
    call(router, Method::GET, path, &[]).await
}

async fn settings(secrets: &Memory) -> Live<Value> {
    secrets.put("app/database", r#"{"username": "value-user", "password": "value-password"}"#);
    Live::builder(SecretsManager::prefix("app").backend(secrets.clone()))
        .layers(|secrets| Layers::new().secrets(secrets))
        .start()
        .await
        .unwrap()
}

fn refreshing<S: Clone + Send + Sync + 'static>(settings: &Live<Value>) -> Router<S> {
    refresh_route(settings.clone(), RefreshToken::new(SecretString::from(TOKEN)).unwrap())
}

#[tokio::test(start_paused = true)]
async fn a_replica_that_cannot_look_at_its_secrets_lives_on_but_is_not_ready() {
    let secrets = Memory::new();
    let settings = settings(&secrets).await;
    let router: Router = health_routes(settings.clone());
    assert_eq!(read(&router, "/ready").await.json(), json!({"ready": true, "health": "fresh"}));

    secrets.remove("app/database");
    settings.refresh().await.unwrap_err();
    assert_eq!(read(&router, "/ready").await.status, StatusCode::OK, "it is known to be gone");
    // Nobody looks at anything any more.
    settings.shutdown().await;
    tokio::time::advance(Duration::from_secs(901)).await;
    let answer = read(&router, "/ready").await;
    assert_eq!(answer.status, StatusCode::SERVICE_UNAVAILABLE);
    assert_eq!(answer.json(), json!({"ready": false, "health": "failing"}));
    let live = read(&router, "/live").await;
    assert_eq!((live.status, live.json()), (StatusCode::OK, json!({"live": true})));
    assert_eq!(
        read(&router, "/status").await.status,
        StatusCode::NOT_FOUND,
        "not with these routes"
    );
}

#[tokio::test]
async fn the_status_is_a_page_for_browsers_and_json_for_all_others() {
    let router: Router = status_routes(settings(&Memory::new()).await);
    for (accept, expected) in [
        (
            vec!["text/html,application/xhtml+xml,application/xml;q=0.9,*/*;q=0.8"],
            "text/html; charset=utf-8",
        ),
        (vec!["application/json;q=0.5", "text/html"], "text/html; charset=utf-8"),
        (vec![], "application/json"),
        (vec!["*/*"], "application/json"),
        (vec!["application/json"], "application/json"),
        (vec!["text/html;q=0.5", "application/json"], "application/json"),
        (vec!["image/png"], "application/json"),
        (vec!["\u{e9}"], "application/json"),
    ] {
        let headers: Vec<_> = accept.iter().map(|accept| ("accept", *accept)).collect();
        let answer = call(&router, Method::GET, "/status", &headers).await;
        assert_eq!(answer.status, StatusCode::OK);
        assert_eq!(answer.headers["content-type"], expected, "{accept:?}");
        assert_eq!(answer.headers["cache-control"], "no-store");
        assert_eq!(answer.headers["x-content-type-options"], "nosniff");
        assert_eq!(answer.headers["vary"], "accept");
        assert!(answer.body.contains("app/database"), "{accept:?}");
        assert!(!answer.body.contains("value-"), "a value is shown");
        let html = expected.starts_with("text/html");
        assert_eq!(answer.headers.contains_key("content-security-policy"), html, "{accept:?}");
        assert_eq!(answer.body.starts_with("<!DOCTYPE html>"), html, "{accept:?}");
    }
    let paused = call(&router, Method::GET, "/status?paused", &[("accept", "text/html")]).await;
    assert!(!paused.body.contains("http-equiv"));
    let json = read(&router, "/status").await.json();
    assert_eq!(
        (&json["generation"], &json["explanation"]["keys"][0]["key"]),
        (&json!(1), &json!("database.password"))
    );
}

#[tokio::test]
async fn head_is_get_without_the_body_and_nothing_else_reads() {
    let router: Router = status_routes(settings(&Memory::new()).await);
    for path in ["/live", "/ready", "/status"] {
        let head = call(&router, Method::HEAD, path, &[]).await;
        assert_eq!((head.status, head.body.as_str()), (StatusCode::OK, ""), "{path}");
        assert_eq!(head.headers["content-type"], "application/json", "{path}");
        let post = call(&router, Method::POST, path, &[]).await;
        assert_eq!(post.status, StatusCode::METHOD_NOT_ALLOWED, "{path}");
        assert_eq!(post.headers["allow"], "GET,HEAD", "{path}");
    }
}

#[tokio::test]
async fn they_nest_below_a_prefix_beside_a_state_of_any_type() {
    async fn index(State(name): State<&'static str>) -> &'static str {
        name
    }
    let settings = settings(&Memory::new()).await;
    let router: Router = Router::new()
        .route("/", get(index))
        .nest("/internal", status_routes(settings.clone()).merge(refreshing(&settings)))
        .with_state("app");
    assert_eq!(read(&router, "/").await.body, "app");
    assert_eq!(read(&router, "/internal/status").await.status, StatusCode::OK);
    assert_eq!(read(&router, "/status").await.status, StatusCode::NOT_FOUND);
    let refused = call(&router, Method::POST, "/internal/refresh", &[]).await;
    assert_eq!(refused.status, StatusCode::UNAUTHORIZED);
}

#[tokio::test]
async fn derived_values_have_routes_too() {
    let settings = settings(&Memory::new()).await;
    let derived = settings.derive("database", |_| async { Ok("pool") }).await.unwrap();
    let router: Router = status_routes(derived);
    let json = read(&router, "/status").await.json();
    assert_eq!(json["secrets"][0]["name"], "app/database");
    assert_eq!(read(&router, "/ready").await.status, StatusCode::OK);
    let whole: Router = status_routes(settings);
    assert_eq!(read(&whole, "/status").await.json()["derived"][0]["path"], "database");
}

#[tokio::test]
async fn only_the_token_refreshes_and_only_by_post() {
    let secrets = Memory::new();
    let settings = settings(&secrets).await;
    let router: Router = refreshing(&settings);
    secrets.put("app/database", r#"{"username": "value-user", "password": "value-next"}"#);

    let prefix = &TOKEN[..TOKEN.len() - 1];
    for (case, header) in [
        ("missing", None),
        ("empty", Some(String::new())),
        ("no token", Some("Bearer ".to_owned())),
        ("wrong", Some("Bearer wrong".to_owned())),
        ("a prefix", Some(format!("Bearer {prefix}"))),
        ("longer", Some(format!("Bearer {TOKEN}0"))),
        ("another scheme", Some(format!("Basic {TOKEN}"))),
        ("no scheme", Some(TOKEN.to_owned())),
    ] {
        let headers: Vec<_> =
            header.iter().map(|value| ("authorization", value.as_str())).collect();
        let answer = call(&router, Method::POST, "/refresh", &headers).await;
        assert_eq!(answer.status, StatusCode::UNAUTHORIZED, "{case}");
        assert!(
            answer.headers["www-authenticate"].to_str().unwrap().starts_with("Bearer "),
            "{case}"
        );
        assert_eq!(answer.json()["error"]["kind"], "unauthorized", "{case}");
        assert!(!answer.body.contains(TOKEN), "{case}: the token is shown");
    }
    let bearer = format!("Bearer {TOKEN}");
    let allowed = [("authorization", bearer.as_str())];
    for method in [Method::GET, Method::HEAD, Method::PUT] {
        let answer = call(&router, method.clone(), "/refresh", &allowed).await;
        assert_eq!(answer.status, StatusCode::METHOD_NOT_ALLOWED, "{method}");
        assert_eq!(answer.headers["allow"], "POST", "{method}");
    }
    assert_eq!(settings.status().generation(), 1, "nothing was refreshed");

    let answer = call(&router, Method::POST, "/refresh", &allowed).await;
    assert_eq!(
        (answer.status, answer.json()),
        (StatusCode::OK, json!({"generation": 2, "changed": true}))
    );
    assert_eq!(answer.headers["cache-control"], "no-store");
    assert_eq!(settings.load()["database"]["password"], "value-next");

    secrets.remove("app/database");
    let answer = call(&router, Method::POST, "/refresh", &allowed).await;
    assert_eq!(
        (answer.status, &answer.json()["error"]["kind"]),
        (StatusCode::BAD_GATEWAY, &json!("not_found"))
    );
    settings.shutdown().await;
    let answer = call(&router, Method::POST, "/refresh", &allowed).await;
    assert_eq!(answer.status, StatusCode::SERVICE_UNAVAILABLE);
}

/// Over a socket: what a client sees of it.
#[tokio::test]
async fn over_the_wire() {
    let router: Router = status_routes(settings(&Memory::new()).await);
    let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = listener.local_addr().unwrap();
    tokio::spawn(async { axum::serve(listener, router).await });

    let ask = async |request: &str| {
        let mut stream = tokio::net::TcpStream::connect(address).await.unwrap();
        stream
            .write_all(
                format!("{request} HTTP/1.1\r\nhost: x\r\nconnection: close\r\n\r\n").as_bytes(),
            )
            .await
            .unwrap();
        let mut answer = String::new();
        stream.read_to_string(&mut answer).await.unwrap();
        let (head, body) = answer.split_once("\r\n\r\n").unwrap();
        (head.to_lowercase(), body.to_owned())
    };
    let (head, body) = ask("GET /ready").await;
    assert!(head.starts_with("http/1.1 200"), "{head}");
    assert_eq!(body, r#"{"ready":true,"health":"fresh"}"#);
    let (head, body) = ask("HEAD /ready").await;
    assert!(head.starts_with("http/1.1 200") && head.contains("content-length: 31"), "{head}");
    assert_eq!(body, "");
}
