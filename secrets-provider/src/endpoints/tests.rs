//! The answers without a framework: readiness, status as JSON and as a page, and the refresh route.
//!
//! The crates for axum and actix-web only pass these answers on; `tests/http-suite` shows that they
//! do.

use std::time::Duration;

use serde_json::Value;

use super::*;
use crate::{ErrorKind, Layers, Memory, Rejected, SecretsManager};

async fn start(secrets: &Memory) -> Live<Value> {
    Live::builder(SecretsManager::prefix("app").backend(secrets.clone()))
        .layers(|secrets| Layers::new().secrets(secrets))
        .validate(|settings: &Value| match settings["token"] == "value-refused" {
            true => Err(Rejected::new("not this one")),
            false => Ok(()),
        })
        .start()
        .await
        .expect("settings")
}

fn seeded() -> Memory {
    let secrets = Memory::new();
    secrets.put("app/token", "value-1");
    secrets
}

fn body(answer: Answer) -> Value {
    assert!(answer.headers().contains(&("content-type", "application/json")));
    serde_json::from_str(&answer.into_body()).expect("JSON")
}

fn token() -> RefreshToken {
    RefreshToken::new("token").expect("a token")
}

const ALLOWED: Option<&[u8]> = Some(b"Bearer token");

#[tokio::test(start_paused = true)]
async fn readiness_depends_on_max_staleness_and_liveness_does_not() {
    let secrets = seeded();
    let settings = start(&secrets).await;
    assert_eq!(body(ready(&settings)), json!({"ready": true, "health": "fresh"}));

    secrets.remove("app/token");
    settings.refresh().await.expect_err("a missing secret");
    let answer = ready(&settings);
    assert_eq!(answer.status(), 200, "within the bound");
    assert_eq!(body(answer), json!({"ready": true, "health": "stale"}));

    // Nothing checks the secrets from here on.
    settings.shutdown().await;
    tokio::time::advance(Duration::from_secs(901)).await;
    let answer = ready(&settings);
    assert_eq!(answer.status(), 503);
    assert_eq!(body(answer), json!({"ready": false, "health": "failing"}));
    assert_eq!((live().status(), body(live())), (200, json!({"live": true})));
}

#[tokio::test(start_paused = true)]
async fn the_status_as_json_has_this_shape() {
    let settings = start(&seeded()).await;
    settings.refresh().await.expect("a refresh");
    // The task sets it when it runs again.
    while settings.status().next_attempt().is_none() {
        tokio::task::yield_now().await;
    }
    let mut shown = body(status(&settings, None, None));
    for (name, least) in
        [("changed_at", 1), ("last_success", 1), ("last_check", 1), ("next_attempt", 1)]
    {
        assert!(shown[name].take().as_u64().expect("whole seconds") >= least, "{name}");
    }
    assert!(shown["secrets"][0]["changed_at"].take().is_u64());
    assert_eq!(
        shown,
        json!({
            "title": null, "generation": 1, "health": "fresh", "ready": true,
            "changed_at": null, "last_success": null, "last_success_age": 0.0, "last_check": null,
            "interval": 300.0, "max_staleness": 900.0, "next_attempt": null, "last_error": null,
            "secrets": [{
                "name": "app/token", "key_path": "token", "version_id": "v1", "state": "current",
                "error": null, "changed_at": null,
            }],
            "derived": [], "calls": {},
            "explanation": {
                "keys": [{
                    "key": "token", "layer": "secret", "name": "app/token", "version_id": "v1",
                    "hides": [],
                }],
                "omitted": 0,
            },
        })
    );
}

#[tokio::test]
async fn a_browser_gets_the_page_with_its_policy() {
    let settings = Live::constant(1);
    let answer = status(&settings, Some("text/html"), None);
    let policy = ("content-security-policy", StatusPage::CONTENT_SECURITY_POLICY);
    for header in
        [("content-type", HTML), ("cache-control", "no-store"), ("vary", "accept"), policy]
    {
        assert!(answer.headers().contains(&header), "{header:?}");
    }
    assert!(answer.into_body().contains("http-equiv=\"refresh\""));
    let paused = status(&settings, Some("text/html"), Some("paused"));
    assert!(!paused.into_body().contains("http-equiv=\"refresh\""));
}

#[tokio::test]
async fn answers_are_not_cached_or_sniffed_and_repeat_no_header() {
    let (settings, html) = (Live::constant(1), Some("text/html"));
    for answer in [
        live(),
        ready(&settings),
        status(&settings, None, None),
        status(&settings, html, None),
        refresh(&settings, &token(), ALLOWED).await,
        refresh(&settings, &token(), None).await,
    ] {
        for header in [("cache-control", "no-store"), ("x-content-type-options", "nosniff")] {
            assert!(answer.headers().contains(&header), "{header:?}");
        }
        let mut names: Vec<_> = answer.headers().iter().map(|(name, _)| *name).collect();
        assert!(names.iter().all(|name| *name == name.to_ascii_lowercase()));
        names.sort_unstable();
        names.dedup();
        assert_eq!(names.len(), answer.headers().len());
    }
}

#[tokio::test(start_paused = true)]
async fn a_refresh_requires_the_token() {
    let secrets = seeded();
    let settings = start(&secrets).await;
    secrets.put("app/token", "value-2");

    for (given, challenge) in [
        (None, "Bearer realm=\"refresh\""),
        (Some(b"Bearer wrong".as_slice()), "Bearer realm=\"refresh\", error=\"invalid_token\""),
    ] {
        let answer = refresh(&settings, &token(), given).await;
        assert_eq!(answer.status(), 401);
        assert!(answer.headers().contains(&("www-authenticate", challenge)));
        assert_eq!(body(answer)["error"]["kind"], "unauthorized");
    }
    assert_eq!(settings.status().generation(), 1, "nothing was refreshed");

    assert_eq!(
        body(refresh(&settings, &token(), ALLOWED).await),
        json!({"generation": 2, "changed": true})
    );
    assert_eq!(
        body(refresh(&settings, &token(), ALLOWED).await),
        json!({"generation": 2, "changed": false})
    );
}

#[tokio::test(start_paused = true)]
async fn a_failed_refresh_reports_the_error_without_values() {
    let secrets = seeded();
    let settings = start(&secrets).await;

    secrets.put("app/token", "value-refused");
    let answer = refresh(&settings, &token(), ALLOWED).await;
    assert_eq!(answer.status(), 502);
    let shown = body(answer);
    assert_eq!(shown["error"]["kind"], "rejected");
    assert_eq!(shown["error"]["message"], "settings rejected: not this one");

    settings.shutdown().await;
    let answer = refresh(&settings, &token(), ALLOWED).await;
    assert_eq!(answer.status(), 503);
    let shown = body(answer);
    assert_eq!(shown["error"]["kind"], "unavailable");
    assert!(!shown.to_string().contains("value-"), "a value is shown");
}

#[test]
fn transient_errors_are_503() {
    for (kind, expected) in [
        (ErrorKind::Unavailable, 503),
        (ErrorKind::Throttled, 503),
        (ErrorKind::AccessDenied, 502),
        (ErrorKind::NotFound, 502),
        (ErrorKind::Rejected, 502),
        (ErrorKind::Invalid, 502),
    ] {
        assert_eq!(status_code(&Error::new(kind, "")), expected, "{kind}");
    }
}
