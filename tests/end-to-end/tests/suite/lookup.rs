//! Secrets by name, cached: what a caller gets, and what it costs in calls.

mod blocking;
mod cache;
mod fresh;
mod outage;
mod variables;

use std::sync::Arc;
use std::time::Duration;

use fake_secrets_manager::{FakeSecretsManager, Fault};
use futures_util::future::join_all;
use secrecy::{ExposeSecret as _, SecretString};
use secrets_provider::{Error, ErrorKind, Key, Lookup, Rotating, SecretsManager};
use serde::Deserialize;

use crate::fixtures::manager;

#[derive(Debug, Deserialize, PartialEq)]
struct Login {
    username: String,
    port: u16,
}

fn fake() -> FakeSecretsManager {
    let fake = FakeSecretsManager::new();
    fake.put("app/database-url", "postgres://one");
    fake.put("app/wrapped", r#"{"value": "inner"}"#);
    let login = r#"{"username": "u", "port": "5432", "tls": {"ca": "pem"}, "MAX_LOGINS": 9}"#;
    fake.put("app/database/primary", login);
    fake
}

/// How many secrets were read.
fn reads(fake: &FakeSecretsManager) -> usize {
    assert_eq!(fake.calls("BatchGetSecretValue") + fake.calls("ListSecrets"), 0);
    fake.calls("GetSecretValue")
}

async fn text(secrets: &Lookup, name: &str) -> Result<String, Error> {
    secrets.get(name).await
}

#[tokio::test]
async fn a_value_is_read_as_its_type_wants_it() {
    let fake = fake();
    fake.put_binary("app/key", [7_u8; 32]);
    let secrets = manager(&fake).lookup();
    let url: SecretString = secrets.get("database-url").await.unwrap();
    assert_eq!(url.expose_secret(), "postgres://one");
    let inner: SecretString = secrets.get("wrapped").await.unwrap();
    assert_eq!(inner.expose_secret(), "inner");
    let login: Login = secrets.get("database/primary").await.unwrap();
    assert_eq!(login, Login { username: "u".to_owned(), port: 5432 });
    let whole: String = secrets.get("database/primary").await.unwrap();
    assert!(whole.starts_with('{'), "an object is its source text for a string");
    let _: Key<32> = secrets.get("key").await.unwrap();

    let primary = || secrets.get::<u16>("database/primary");
    assert_eq!(primary().key("port").await.unwrap(), 5432);
    for key in ["MAX_LOGINS", "max_logins", "maxLogins"] {
        assert_eq!(primary().key(key).await.unwrap(), 9, "{key}");
    }
    let ca: String = secrets.get("database/primary").key("tls").key("ca").await.unwrap();
    assert_eq!(ca, "pem");
    let name = String::from("database/primary");
    let port = secrets.get::<u16>(&name).key(String::from("port")).await.unwrap();
    assert_eq!(port, 5432);
    assert_eq!(reads(&fake), 4);
}

#[tokio::test]
async fn an_error_names_the_secret_and_the_key_and_shows_no_value() {
    let secrets = manager(&fake()).lookup();
    let primary = || secrets.get::<u16>("database/primary");
    let wrong = primary().key("username").await.unwrap_err();
    assert_eq!(
        (wrong.kind(), wrong.key()),
        (ErrorKind::Invalid, Some("database.primary.username"))
    );
    assert!(wrong.to_string().contains("app/database/primary"), "{wrong}");
    let whole = secrets.get::<Vec<u8>>("database/primary").await.unwrap_err();
    assert_eq!((whole.kind(), whole.key()), (ErrorKind::Invalid, Some("database.primary")));
    let missing = primary().key("porter").await.unwrap_err();
    assert_eq!(missing.kind(), ErrorKind::NotFound, "{missing}");
    assert_eq!(missing.key(), Some("database.primary.porter"));
    let plain = secrets.get::<u16>("database-url").key("port").await.unwrap_err();
    assert_eq!((plain.kind(), plain.secret()), (ErrorKind::Invalid, Some("app/database-url")));
    for error in [wrong, whole, missing, plain] {
        assert!(!error.to_string().contains("5432") && !error.to_string().contains("postgres"));
    }
}

#[tokio::test]
async fn what_may_be_absent_is_an_option() {
    let fake = fake();
    fake.put("app/denied", "d");
    fake.deny_secret("app/denied");
    let secrets = manager(&fake).lookup();
    for name in ["missing", "denied"] {
        assert_eq!(secrets.get::<String>(name).optional().await.unwrap(), None, "{name}");
    }
    let key = |key| secrets.get::<u16>("database/primary").key(key).optional();
    assert_eq!(key("port").await.unwrap(), Some(5432));
    assert_eq!(key("nothing").await.unwrap(), None);
    assert_eq!(key("port").shared().await.unwrap(), Some(Arc::new(5432)));
    assert_eq!(secrets.stats().failures(), 0, "what may be absent is no failure");

    key("username").await.expect_err("text is no number");
    fake.inject(Fault::unavailable());
    let error = secrets.get::<String>("database-url").optional().await.unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Unavailable, "an outage says nothing about a secret");
    assert_eq!(secrets.stats().failures(), 2);
}

#[tokio::test]
async fn an_optional_secret_that_is_absent_is_in_the_log() {
    let fake = fake();
    fake.put("app/denied", "d");
    fake.deny_secret("app/denied");
    let secrets = manager(&fake).lookup();
    let (log, _logging) = end_to_end::Log::start();
    secrets.get::<u16>("database/primary").key("nothing").optional().await.unwrap();
    assert!(!log.text().contains("optional_secret_absent"), "its key is absent");
    for name in ["missing", "denied"] {
        secrets.get::<String>(name).optional().await.unwrap();
        let text = log.text();
        let line = text.lines().find(|line| {
            line.contains("optional_secret_absent") && line.contains(&format!("app/{name}"))
        });
        assert!(line.is_some(), "{name}: {text}");
    }
}

#[tokio::test]
async fn a_name_is_checked_before_any_call() {
    let fake = fake();
    fake.put("other", "not below the prefix");
    let other = fake.arn("other");
    let below = fake.arn("app/database-url");
    let long = "x".repeat(600);
    let prefixed = manager(&fake).lookup();
    let only = manager(&fake).only(["database-url"]).lookup();
    let named = SecretsManager::names(["app/database-url"]).client(fake.client()).lookup();
    for (secrets, names) in [
        (
            &prefixed,
            &[
                "",
                "../other",
                "..",
                "a/../../other",
                "/other",
                "//",
                "other/",
                "a b",
                "a\nb",
                "ü",
                "%2e%2e/other",
                "a\\b",
                "app/database-url",
                "app",
                &other,
                &below,
                &long,
                "a*",
                "a?",
            ][..],
        ),
        (&only, &["wrapped", "app/database-url", "../app/database-url"]),
        (&named, &["database-url", "app/wrapped", "", &other]),
    ] {
        for name in names {
            let error = text(secrets, name).await.unwrap_err();
            assert_eq!(error.kind(), ErrorKind::Invalid, "{name}: {error}");
            assert!(error.hint().is_some() && error.to_string().len() < 500, "{error}");
            assert!(secrets.get::<String>(*name).optional().await.is_err(), "{name}");
        }
        assert_eq!(secrets.stats().failures() + secrets.stats().misses(), 0);
    }
    assert_eq!(fake.total_calls(), 0);
    for (secrets, name) in [
        (&prefixed, "database-url"),
        (&only, "database-url"),
        (&named, "app/database-url"),
        (&named, &below),
    ] {
        assert_eq!(text(secrets, name).await.unwrap(), "postgres://one", "{name}");
    }
}

#[tokio::test]
async fn an_answer_about_another_secret_is_no_value() {
    let fake = fake();
    let answer = serde_json::json!({
        "ARN": fake.arn("app/wrapped"), "Name": "app/wrapped", "VersionId": "v", "SecretString": "x",
    });
    fake.inject(Fault::answer(200, answer.to_string()).on("GetSecretValue").times(1));
    let secrets = manager(&fake).lookup();
    let error = text(&secrets, "database-url").await.unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Unavailable);
    assert_eq!(text(&secrets, "database-url").await.unwrap(), "postgres://one");
}

#[tokio::test]
async fn both_versions_of_a_rotation_are_read_where_they_are_asked_for() {
    let fake = fake();
    fake.put("app/jwt-secret", "old");
    fake.put("app/jwt-secret", "new");
    let secrets = manager(&fake).with_previous(["jwt-secret"]).lookup();
    let jwt: Rotating<String> = secrets.get("jwt-secret").await.unwrap();
    assert_eq!((jwt.current.as_str(), jwt.previous.as_deref()), ("new", Some("old")));
}

#[tokio::test]
async fn a_contradictory_manager_is_an_error_of_each_lookup() {
    let secrets = SecretsManager::prefix("").lookup();
    assert_eq!(text(&secrets, "a").await.unwrap_err().kind(), ErrorKind::Config);
    let rename = manager(&fake()).rename("{a", "b").lookup();
    assert_eq!(text(&rename, "database-url").await.unwrap_err().kind(), ErrorKind::Config);
}

#[tokio::test]
async fn a_lookup_lives_in_the_state_of_axum_and_actix() {
    use tower::ServiceExt as _;

    fn is_shared<T: Clone + Send + Sync + 'static>(_: &T) {}
    fn is_send<T: Send>(future: T) -> T {
        future
    }
    let fake = fake();
    let secrets = manager(&fake).lookup();
    is_shared(&secrets);
    is_send(secrets.get::<String>("database-url").into_future()).await.unwrap();
    tokio::spawn({
        let secrets = secrets.clone();
        async move { secrets.get::<Login>("database/primary").shared().await.unwrap() }
    })
    .await
    .unwrap();

    async fn index(axum::extract::State(secrets): axum::extract::State<Lookup>) -> String {
        secrets.get("database-url").await.unwrap()
    }
    let app = axum::Router::new().route("/", axum::routing::get(index)).with_state(secrets.clone());
    let request = axum::http::Request::builder().uri("/").body(axum::body::Body::empty()).unwrap();
    let body = app.oneshot(request).await.unwrap().into_body();
    assert_eq!(axum::body::to_bytes(body, 100).await.unwrap(), "postgres://one");

    use actix_web::{App, test, web};
    let data = web::Data::new(secrets);
    let handler =
        async |secrets: web::Data<Lookup>| secrets.get::<String>("wrapped").await.unwrap();
    let app = App::new().app_data(data).route("/", web::get().to(handler));
    let app = test::init_service(app).await;
    let body = test::call_and_read_body(&app, test::TestRequest::get().to_request()).await;
    assert_eq!(body, "inner");
}

/// Runs so many lookups at the same time.
async fn together(secrets: &Lookup, name: &str, count: usize) -> Vec<Result<String, Error>> {
    join_all((0..count).map(|_| text(secrets, name))).await
}

/// Longer than the time to live.
const LATER: Duration = Duration::from_secs(301);
