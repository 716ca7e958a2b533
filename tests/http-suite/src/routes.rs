//! What the routes answer, and to whom.

use std::time::Duration;

use secrets_provider::Memory;
use serde_json::json;
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::TcpStream;

use super::{Answer, Framework, TOKEN, token, untyped};

async fn get<F: Framework>(app: &F::App, path: &str) -> Answer {
    F::call(app, "GET", path, &[]).await
}

/// A probe for liveness never restarts a replica because of its secrets; one for readiness takes it
/// out.
pub async fn a_replica_that_cannot_read_its_secrets_is_alive_but_not_ready<F: Framework>() {
    tokio::time::pause();
    let secrets = Memory::new();
    let settings = untyped(&secrets).await;
    let app = F::health(settings.clone()).await;
    let ready = get::<F>(&app, "/ready").await;
    assert_eq!(ready.json(), json!({"ready": true, "health": "fresh"}));

    secrets.remove("app/database");
    settings.refresh().await.unwrap_err();
    assert_eq!(get::<F>(&app, "/ready").await.status, 200, "the store says that it is deleted");
    // From now on, nothing reads the secrets.
    settings.shutdown().await;
    tokio::time::advance(Duration::from_secs(901)).await;
    let ready = get::<F>(&app, "/ready").await;
    assert_eq!(ready.status, 503);
    assert_eq!(ready.json(), json!({"ready": false, "health": "failing"}));
    let live = get::<F>(&app, "/live").await;
    assert_eq!((live.status, live.json()), (200, json!({"live": true})));
    assert_eq!(get::<F>(&app, "/status").await.status, 404, "the health routes have no status");
}

/// The status is a page or JSON, as the header `accept` prefers, and shows no value.
pub async fn browsers_get_a_page_and_all_others_json<F: Framework>() {
    const HTML: &str = "text/html; charset=utf-8";
    const JSON: &str = "application/json";
    struct Case {
        accept: &'static [&'static str],
        content_type: &'static str,
    }
    let app = F::status(untyped(&Memory::new()).await).await;
    for Case { accept, content_type } in [
        Case {
            accept: &["text/html,application/xhtml+xml,application/xml;q=0.9,*/*;q=0.8"],
            content_type: HTML,
        },
        Case { accept: &["application/json;q=0.5", "text/html"], content_type: HTML },
        Case { accept: &[], content_type: JSON },
        Case { accept: &["*/*"], content_type: JSON },
        Case { accept: &["application/json"], content_type: JSON },
        Case { accept: &["text/html;q=0.5", "application/json"], content_type: JSON },
        Case { accept: &["image/png"], content_type: JSON },
        Case { accept: &["\u{e9}"], content_type: JSON },
    ] {
        let headers: Vec<_> = accept.iter().map(|accept| ("accept", *accept)).collect();
        let answer = F::call(&app, "GET", "/status", &headers).await;
        assert_eq!(answer.status, 200);
        assert_eq!(answer.header("content-type"), content_type, "{accept:?}");
        assert_eq!(answer.header("cache-control"), "no-store");
        assert_eq!(answer.header("x-content-type-options"), "nosniff");
        assert_eq!(answer.header("vary"), "accept");
        assert!(answer.body.contains("app/database"), "{accept:?}");
        assert!(!answer.body.contains("value-"), "a value is shown");
        let is_html = content_type == HTML;
        assert_eq!(answer.has_header("content-security-policy"), is_html, "{accept:?}");
        assert_eq!(answer.body.starts_with("<!DOCTYPE html>"), is_html, "{accept:?}");
    }
    let paused = F::call(&app, "GET", "/status?paused", &[("accept", "text/html")]).await;
    assert!(!paused.body.contains("http-equiv"));
    let json = get::<F>(&app, "/status").await.json();
    assert_eq!(json["generation"], json!(1));
    // No field of a `Value` vouches for the names below the secret's own.
    assert_eq!(json["explanation"]["keys"][0]["key"], json!("database.*"));
}

/// `HEAD` is allowed with `GET`, and nothing else.
pub async fn only_get_and_head_read<F: Framework>() {
    let app = F::status(untyped(&Memory::new()).await).await;
    for path in ["/live", "/ready", "/status"] {
        let head = F::call(&app, "HEAD", path, &[]).await;
        assert_eq!(head.status, 200, "{path}");
        assert_eq!(head.header("content-type"), "application/json", "{path}");
        for method in ["POST", "DELETE"] {
            let answer = F::call(&app, method, path, &[]).await;
            assert_eq!(answer.status, 405, "{method} {path}");
            assert_eq!(answer.allowed(), "GET,HEAD", "{method} {path}");
        }
    }
}

/// All routes work below a prefix, and only there.
pub async fn routes_nest_below_a_prefix<F: Framework>() {
    let app = F::nested(untyped(&Memory::new()).await, token()).await;
    assert_eq!(get::<F>(&app, "/internal/status").await.status, 200);
    assert_eq!(get::<F>(&app, "/internal/ready").await.status, 200);
    assert_eq!(get::<F>(&app, "/status").await.status, 404);
    assert_eq!(F::call(&app, "POST", "/internal/refresh", &[]).await.status, 401);
}

/// A derived value can be served too, and is shown in the status of its settings.
pub async fn derived_values_have_routes_too<F: Framework>() {
    let settings = untyped(&Memory::new()).await;
    let derived = settings.derive("database", |_| async { Ok("pool") }).await.unwrap();
    let app = F::status(derived).await;
    let json = get::<F>(&app, "/status").await.json();
    assert_eq!(json["secrets"][0]["name"], "app/database");
    assert_eq!(get::<F>(&app, "/ready").await.status, 200);

    let whole = F::status(settings).await;
    let json = get::<F>(&whole, "/status").await.json();
    assert_eq!(json["derived"][0]["path"], "database");
}

/// A refresh needs the exact token and `POST`; its answer says what happened.
pub async fn only_the_token_refreshes_and_only_by_post<F: Framework>() {
    let secrets = Memory::new();
    let settings = untyped(&secrets).await;
    let app = F::refresh(settings.clone(), token()).await;
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
        let answer = F::call(&app, "POST", "/refresh", &headers).await;
        assert_eq!(answer.status, 401, "{case}");
        assert!(answer.header("www-authenticate").starts_with("Bearer "), "{case}");
        assert_eq!(answer.json()["error"]["kind"], "unauthorized", "{case}");
        assert!(!answer.body.contains(TOKEN), "{case}: the token is shown");
    }
    let bearer = format!("Bearer {TOKEN}");
    let allowed = [("authorization", bearer.as_str())];
    for method in ["GET", "HEAD", "PUT"] {
        let answer = F::call(&app, method, "/refresh", &allowed).await;
        assert_eq!(answer.status, 405, "{method}");
        assert_eq!(answer.allowed(), "POST", "{method}");
    }
    assert_eq!(settings.status().generation(), 1, "nothing was refreshed");

    let answer = F::call(&app, "POST", "/refresh", &allowed).await;
    assert_eq!(answer.status, 200);
    assert_eq!(answer.json(), json!({"generation": 2, "changed": true}));
    assert_eq!(answer.header("cache-control"), "no-store");
    assert_eq!(settings.load()["database"]["password"], "value-next");

    secrets.remove("app/database");
    let answer = F::call(&app, "POST", "/refresh", &allowed).await;
    assert_eq!(answer.status, 502);
    assert_eq!(answer.json()["error"]["kind"], "not_found");
    settings.shutdown().await;
    assert_eq!(F::call(&app, "POST", "/refresh", &allowed).await.status, 503);
}

/// The body of a refresh may name one secret: only that one is read, if it is selected and not known
/// to be current. Anything else in the body is refused.
pub async fn a_refresh_may_name_one_secret<F: Framework>() {
    let secrets = Memory::new();
    let settings = untyped(&secrets).await;
    let app = F::refresh(settings.clone(), token()).await;
    let bearer = format!("Bearer {TOKEN}");
    let allowed = [("authorization", bearer.as_str()), ("content-type", "application/json")];
    let current = settings.status().secrets()[0].version_id().to_owned();
    secrets.put("app/database", r#"{"username": "value-user", "password": "value-next"}"#);

    let long = format!(r#"{{"secret": "{}"}}"#, "x".repeat(5000));
    for (body, status, kind) in [
        (r#"{"secret": "app/database", "version": 1}"#, 400, "invalid"),
        (r#"{"secrets": "app/database"}"#, 400, "invalid"),
        ("app/database", 400, "invalid"),
        (&long, 413, "invalid"),
    ] {
        let answer = F::send(&app, "POST", "/refresh", &allowed, body).await;
        assert_eq!(answer.status, status, "{body}");
        assert_eq!(answer.json()["error"]["kind"], kind, "{body}");
        let answer = F::send(&app, "POST", "/refresh", &[], body).await;
        assert_eq!(answer.status, 401, "the token is checked first");
    }
    for ignored in
        [json!({"secret": "other/database"}), json!({"secret": "app/database", "version": current})]
    {
        let answer = F::send(&app, "POST", "/refresh", &allowed, &ignored.to_string()).await;
        assert_eq!(answer.status, 200, "{ignored}");
        assert_eq!(answer.json(), json!({"generation": 1, "changed": false}), "{ignored}");
    }
    assert_eq!(settings.load()["database"]["password"], "value-password");

    let hint = json!({"secret": "app/database", "version": "another"});
    let answer = F::send(&app, "POST", "/refresh", &allowed, &hint.to_string()).await;
    assert_eq!(answer.status, 200);
    assert_eq!(answer.json(), json!({"generation": 2, "changed": true}));
    assert_eq!(settings.load()["database"]["password"], "value-next");
    for whole in ["", "{}"] {
        let answer = F::send(&app, "POST", "/refresh", &allowed, whole).await;
        assert_eq!(answer.json(), json!({"generation": 2, "changed": false}), "{whole}");
    }
}

/// What a client sees on a socket, such as that `HEAD` brings no body.
pub async fn head_has_no_body_on_the_wire<F: Framework>() {
    let server = F::serve(untyped(&Memory::new()).await).await;
    let ask = async |request: &str| {
        let mut stream = TcpStream::connect(server.address).await.unwrap();
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
    server.stop.await;
}

/// A body is read only for a client with the token, and one that breaks off is malformed, not long.
pub async fn a_refresh_checks_the_token_before_it_reads_the_body<F: Framework>() {
    let server = F::serve(untyped(&Memory::new()).await).await;
    let ask = async |headers: &str, body: &str| {
        let mut stream = TcpStream::connect(server.address).await.unwrap();
        let head = format!("POST /refresh HTTP/1.1\r\nhost: x\r\nconnection: close\r\n{headers}");
        stream.write_all(format!("{head}\r\n{body}").as_bytes()).await.unwrap();
        // The connection stays open: nothing but what was sent can be the reason for an answer.
        let mut answer = [0; 12];
        stream.read_exact(&mut answer).await.unwrap();
        String::from_utf8(answer.to_vec()).unwrap()
    };
    let bearer = format!("authorization: Bearer {TOKEN}\r\n");
    let chunked = "transfer-encoding: chunked\r\n";
    assert_eq!(ask("content-length: 4000\r\n", "").await, "HTTP/1.1 401");
    assert_eq!(ask(&format!("{bearer}{chunked}"), "not a length\r\n").await, "HTTP/1.1 400");
    let long = format!("1388\r\n{}\r\n", "x".repeat(5000));
    assert_eq!(ask(&format!("{bearer}{chunked}"), &long).await, "HTTP/1.1 413");
    server.stop.await;
}
