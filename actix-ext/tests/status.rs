//! What the routes answer, and to whom.

#![allow(clippy::unwrap_used, reason = "a test fails by panicking")]

use std::time::Duration;

use actix_web::body::MessageBody;
use actix_web::dev::{Service, ServiceResponse};
use actix_web::http::header::HeaderMap;
use actix_web::http::{Method, StatusCode};
use actix_web::test::{TestRequest, call_service, init_service, read_body};
use actix_web::{App, HttpServer, web};
use secrecy::SecretString;
use secrets_provider::{Layers, Live, Memory, SecretsManager};
use secrets_provider_actix::{RefreshToken, health_routes, refresh_route, status_routes};
use serde_json::{Value, json};
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};

const TOKEN: &str = "t0ken-of-this-test";

struct Answer {
    status: StatusCode,
    headers: HeaderMap,
    body: String,
}

impl Answer {
    fn json(&self) -> Value {
        assert_eq!(self.headers.get("content-type").unwrap(), "application/json");
        serde_json::from_str(&self.body).unwrap()
    }

    fn header(&self, name: &str) -> &str {
        self.headers.get(name).unwrap().to_str().unwrap()
    }
}

async fn call<B: MessageBody>(
    app: &impl Service<actix_http::Request, Response = ServiceResponse<B>, Error = actix_web::Error>,
    method: Method,
    path: &str,
    headers: &[(&str, &str)],
) -> Answer {
    let mut request = TestRequest::with_uri(path).method(method);
    for header in headers {
        request = request.append_header(*header);
    }
    let response = call_service(app, request.to_request()).await;
    let (status, headers) = (response.status(), response.headers().clone());
    let body = String::from_utf8(read_body(response).await.to_vec()).unwrap();
    Answer { status, headers, body }
}

async fn settings(secrets: &Memory) -> Live<Value> {
    secrets.put("app/database", r#"{"username": "value-user", "password": "value-password"}"#);
    Live::builder(SecretsManager::prefix("app").backend(secrets.clone()))
        .layers(|secrets| Layers::new().secrets(secrets))
        .start()
        .await
        .unwrap()
}

fn token() -> RefreshToken {
    RefreshToken::new(SecretString::from(TOKEN)).unwrap()
}

#[actix_web::test]
async fn a_replica_that_cannot_look_at_its_secrets_lives_on_but_is_not_ready() {
    tokio::time::pause();
    let secrets = Memory::new();
    let settings = settings(&secrets).await;
    let app = init_service(App::new().configure(health_routes(settings.clone()))).await;
    let read = async |path| call(&app, Method::GET, path, &[]).await;
    assert_eq!(read("/ready").await.json(), json!({"ready": true, "health": "fresh"}));

    secrets.remove("app/database");
    settings.refresh().await.unwrap_err();
    assert_eq!(read("/ready").await.status, StatusCode::OK, "it is known to be gone");
    // Nobody looks at anything any more.
    settings.shutdown().await;
    tokio::time::advance(Duration::from_secs(901)).await;
    let answer = read("/ready").await;
    assert_eq!(answer.status, StatusCode::SERVICE_UNAVAILABLE);
    assert_eq!(answer.json(), json!({"ready": false, "health": "failing"}));
    let live = read("/live").await;
    assert_eq!((live.status, live.json()), (StatusCode::OK, json!({"live": true})));
    assert_eq!(read("/status").await.status, StatusCode::NOT_FOUND, "not with these routes");
}

#[actix_web::test]
async fn the_status_is_a_page_for_browsers_and_json_for_all_others() {
    let app =
        init_service(App::new().configure(status_routes(settings(&Memory::new()).await))).await;
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
        let answer = call(&app, Method::GET, "/status", &headers).await;
        assert_eq!(answer.status, StatusCode::OK);
        assert_eq!(answer.header("content-type"), expected, "{accept:?}");
        assert_eq!(answer.header("cache-control"), "no-store");
        assert_eq!(answer.header("x-content-type-options"), "nosniff");
        assert_eq!(answer.header("vary"), "accept");
        assert!(answer.body.contains("app/database"), "{accept:?}");
        assert!(!answer.body.contains("value-"), "a value is shown");
        let html = expected.starts_with("text/html");
        assert_eq!(answer.headers.contains_key("content-security-policy"), html, "{accept:?}");
        assert_eq!(answer.body.starts_with("<!DOCTYPE html>"), html, "{accept:?}");
    }
    let paused = call(&app, Method::GET, "/status?paused", &[("accept", "text/html")]).await;
    assert!(!paused.body.contains("http-equiv"));
    let json = call(&app, Method::GET, "/status", &[]).await.json();
    let told = (&json["generation"], &json["explanation"]["keys"][0]["key"]);
    assert_eq!(told, (&json!(1), &json!("database.password")));
}

#[actix_web::test]
async fn nothing_but_reading_is_allowed() {
    let app =
        init_service(App::new().configure(status_routes(settings(&Memory::new()).await))).await;
    for path in ["/live", "/ready", "/status"] {
        assert_eq!(call(&app, Method::HEAD, path, &[]).await.status, StatusCode::OK, "{path}");
        for method in [Method::POST, Method::DELETE] {
            let refused = call(&app, method, path, &[]).await;
            assert_eq!(refused.status, StatusCode::METHOD_NOT_ALLOWED, "{path}");
            assert_eq!(refused.header("allow"), "GET, HEAD", "{path}");
        }
    }
}

#[actix_web::test]
async fn they_nest_in_a_scope() {
    let settings = settings(&Memory::new()).await;
    let internal = web::scope("/internal")
        .configure(status_routes(settings.clone()))
        .configure(refresh_route(settings, token()));
    let app = init_service(App::new().service(internal)).await;
    assert_eq!(call(&app, Method::GET, "/internal/status", &[]).await.status, StatusCode::OK);
    assert_eq!(call(&app, Method::GET, "/internal/ready", &[]).await.status, StatusCode::OK);
    assert_eq!(call(&app, Method::GET, "/status", &[]).await.status, StatusCode::NOT_FOUND);
    assert_eq!(
        call(&app, Method::POST, "/internal/refresh", &[]).await.status,
        StatusCode::UNAUTHORIZED
    );
}

#[actix_web::test]
async fn derived_values_have_routes_too() {
    let settings = settings(&Memory::new()).await;
    let derived = settings.derive("database", |_| async { Ok("pool") }).await.unwrap();
    let app = init_service(App::new().configure(status_routes(derived))).await;
    let json = call(&app, Method::GET, "/status", &[]).await.json();
    assert_eq!(json["secrets"][0]["name"], "app/database");
    assert_eq!(call(&app, Method::GET, "/ready", &[]).await.status, StatusCode::OK);
    let whole = init_service(App::new().configure(status_routes(settings))).await;
    let json = call(&whole, Method::GET, "/status", &[]).await.json();
    assert_eq!(json["derived"][0]["path"], "database");
}

#[actix_web::test]
async fn only_the_token_refreshes_and_only_by_post() {
    let secrets = Memory::new();
    let settings = settings(&secrets).await;
    let app = init_service(App::new().configure(refresh_route(settings.clone(), token()))).await;
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
        let answer = call(&app, Method::POST, "/refresh", &headers).await;
        assert_eq!(answer.status, StatusCode::UNAUTHORIZED, "{case}");
        assert!(answer.header("www-authenticate").starts_with("Bearer "), "{case}");
        assert_eq!(answer.json()["error"]["kind"], "unauthorized", "{case}");
        assert!(!answer.body.contains(TOKEN), "{case}: the token is shown");
    }
    let bearer = format!("Bearer {TOKEN}");
    let allowed = [("authorization", bearer.as_str())];
    for method in [Method::GET, Method::HEAD, Method::PUT] {
        let answer = call(&app, method.clone(), "/refresh", &allowed).await;
        assert_eq!(answer.status, StatusCode::METHOD_NOT_ALLOWED, "{method}");
        assert_eq!(answer.header("allow"), "POST", "{method}");
    }
    assert_eq!(settings.status().generation(), 1, "nothing was refreshed");

    let answer = call(&app, Method::POST, "/refresh", &allowed).await;
    assert_eq!(
        (answer.status, answer.json()),
        (StatusCode::OK, json!({"generation": 2, "changed": true}))
    );
    assert_eq!(answer.header("cache-control"), "no-store");
    assert_eq!(settings.load()["database"]["password"], "value-next");

    secrets.remove("app/database");
    let answer = call(&app, Method::POST, "/refresh", &allowed).await;
    assert_eq!(
        (answer.status, &answer.json()["error"]["kind"]),
        (StatusCode::BAD_GATEWAY, &json!("not_found"))
    );
    settings.shutdown().await;
    let answer = call(&app, Method::POST, "/refresh", &allowed).await;
    assert_eq!(answer.status, StatusCode::SERVICE_UNAVAILABLE);
}

/// Over a socket: what a client sees of it, such as that HEAD brings no body.
#[actix_web::test]
async fn over_the_wire() {
    let settings = settings(&Memory::new()).await;
    let server = HttpServer::new(move || App::new().configure(status_routes(settings.clone())))
        .workers(1)
        .disable_signals()
        .bind("127.0.0.1:0")
        .unwrap();
    let address = server.addrs()[0];
    let server = server.run();
    let handle = server.handle();
    let serving = tokio::spawn(server);

    let ask = async |request: &str| {
        let mut stream = tokio::net::TcpStream::connect(address).await.unwrap();
        let request = format!("{request} HTTP/1.1\r\nhost: x\r\nconnection: close\r\n\r\n");
        stream.write_all(request.as_bytes()).await.unwrap();
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

    handle.stop(false).await;
    serving.await.unwrap().unwrap();
}
