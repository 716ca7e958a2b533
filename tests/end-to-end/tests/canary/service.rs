//! Secrets that come over HTTP, and every failure on the way.

use aws_sdk_secretsmanager::Client;
use aws_sdk_secretsmanager::config::Credentials;
use aws_sdk_secretsmanager::config::retry::RetryConfig;
use fake_secrets_manager::{FakeSecretsManager, Fault};
use secrets_provider::{ErrorKind, Live, SecretsManager};
use serde_json::{Value, json};

use crate::canaries::Canaries;
use crate::fixtures::secrets_only;
use crate::log::Log;
use crate::shown;

const KEY: &str = "arn:aws:kms:us-east-1:123456789012:key/0d1e2f";

/// The targets that must have logged: a search of an empty log proves nothing.
const TARGETS: [&str; 4] = ["aws_smithy_runtime", "aws_sigv4", "hyper_util", "secrets_provider"];

/// A service on a socket, all of whose secrets are canaries, and a client whose credentials are
/// canaries.
async fn planted(test: &'static str) -> (FakeSecretsManager, Client, Canaries) {
    let mut canaries = Canaries::of(test);
    let fake = FakeSecretsManager::start().await.unwrap();
    let password = canaries.awkward("a password in JSON");
    let mut url = url::Url::parse("postgres://gaara@db.internal/app").unwrap();
    url.set_password(Some(&canaries.awkward("a password in a URL"))).unwrap();
    let number: Value = serde_json::from_str(&canaries.number("a number in JSON")).unwrap();
    let deep = json!({ "deep": { "deeper": [canaries.plain("a list in JSON")] } });
    let database = json!({ "username": "gaara", "password": password, "url": url, "pin": number, "more": deep });
    fake.put("app/prod/database", database.to_string());
    fake.put("app/prod/token", canaries.plain("plain text"));
    fake.put("app/prod/text", canaries.awkward("awkward text"));
    fake.put("app/prod/rotated", canaries.plain("the version before"));
    fake.put("app/prod/rotated", canaries.plain("the current version"));
    fake.put_binary("app/prod/key", canaries.bytes("binary", 32));
    let credentials = Credentials::new(
        "AKIAIOSFODNN7EXAMPLE",
        canaries.plain("the secret access key"),
        Some(canaries.plain("the session token")),
        None,
        "test",
    );
    let config = end_to_end::config(&fake.endpoint_url()).credentials_provider(credentials);
    let client = Client::from_conf(config.retry_config(RetryConfig::disabled()).build());
    (fake, client, canaries)
}

fn manager(client: &Client) -> SecretsManager {
    SecretsManager::prefix("app/prod").with_previous(["rotated"]).client(client.clone())
}

fn names(client: &Client) -> SecretsManager {
    SecretsManager::names(["app/prod/database", "app/prod/token", "app/prod/key"])
        .client(client.clone())
}

#[tokio::test]
async fn loads_and_rotations_show_no_value() {
    let log = Log::start();
    let (fake, client, mut canaries) = planted("what goes well").await;
    for manager in [manager(&client), manager(&client).batch(false)] {
        let live: Live<Value> = secrets_only(manager.clone()).start().await.unwrap();
        let mut changes = live.changes();
        fake.put(
            "app/prod/token",
            canaries.plain(&format!("a new version, {}", fake.total_calls())),
        );
        assert!(live.refresh().await.unwrap().changed());
        let change = changes.next().await.unwrap();
        canaries.assert_absent("a change", shown::debug(&change) + &shown::json(&change));
        assert!(!live.refresh().await.unwrap().changed());
        canaries.assert_absent("a live value", shown::live(&live));
        canaries.assert_absent("a manager", shown::debug(&manager) + &manager.iam_policy());
        live.shutdown().await;
    }
    log.assert_silent(&canaries, &TARGETS);
}

/// Answers that the fake breaks, and invalid answers that hold a value.
#[tokio::test]
async fn broken_answers_show_no_value() {
    let log = Log::start();
    let (fake, client, mut canaries) = planted("what goes wrong").await;
    let value = canaries.plain("a value in an invalid answer");
    let answer =
        |body: &str| Fault::answer(200, body.replace("VALUE", &value)).on("GetSecretValue");
    let half = r#"{"Name": "app/prod/token", "VersionId": "v1", "SecretString": "VALUE"#;
    for (about, fault) in [
        ("garbled", Fault::malformed_body()),
        ("cut off", Fault::truncated_body()),
        ("half of it", answer(half)),
        ("a bad escape", answer(&format!("{half}\\q\"}}"))),
        (
            "no binary",
            answer(r#"{"Name": "app/prod/token", "VersionId": "v1", "SecretBinary": "VALUE!"}"#),
        ),
        (
            "wrong types",
            answer(r#"{"Name": 5, "SecretString": {"VALUE": "VALUE"}, "CreatedDate": "VALUE"}"#),
        ),
        ("no name", answer(r#"{"SecretString": "VALUE"}"#)),
        ("no answer at all", answer("VALUE")),
        ("no JSON, as an error", Fault::answer(500, value.clone()).on("GetSecretValue")),
        ("HTML, as an error", Fault::answer(502, format!("<p>{value}</p>")).on("GetSecretValue")),
        ("a refusal in HTML", Fault::answer(403, format!("<p>{value}</p>")).on("GetSecretValue")),
    ] {
        let live: Live<Value> =
            secrets_only(manager(&client).fallback_to_env()).start().await.unwrap();
        let id = fake.inject(fault);
        for manager in [names(&client), names(&client).batch(false)] {
            // Single calls succeed if only batches are broken.
            if let Err(error) = manager.fetch().await {
                canaries.assert_absent(about, shown::error(&error));
            }
        }
        let error = live.refresh().await.expect_err(about);
        canaries.assert_absent(about, shown::error(&error) + &shown::live(&live));
        live.shutdown().await;
        fake.remove_fault(id);
    }
    log.assert_silent(&canaries, &TARGETS);
}

/// A server may say anything. The SDK logs the messages of errors and whole answers of listings; we
/// repeat none of it.
#[tokio::test]
async fn messages_of_a_server_are_not_repeated() {
    let log = Log::start();
    let (fake, client, mut canaries) = planted("a server's words").await;
    let words = canaries.line("a message");
    let error = |code: &str, status| Fault::error(code, status, words.clone());
    let worded =
        |code: &str, phrase: &str| Fault::error(code, 400, format!("{words} {phrase} {words}"));
    let partial = json!({ "SecretValues": [], "Errors": [
        { "SecretId": "app/prod/token", "ErrorCode": "AccessDeniedException", "Message": words },
        { "SecretId": "app/prod/key", "ErrorCode": "DecryptionFailure", "Message": words },
        { "SecretId": "app/prod/database", "ErrorCode": words, "Message": words },
    ] });
    let echo =
        json!({ "__type": words, "message": words, "SecretString": words, "Secret": [words] });
    for (fault, kind) in [
        (error("AccessDeniedException", 400), ErrorKind::AccessDenied),
        (worded("AccessDeniedException", "no VPC endpoint policy allows"), ErrorKind::AccessDenied),
        (worded("AccessDeniedException", "Access to KMS is not allowed"), ErrorKind::Kms),
        (error("DecryptionFailure", 400), ErrorKind::Kms),
        (error("ResourceNotFoundException", 400), ErrorKind::NotFound),
        (worded("ResourceNotFoundException", "staging label: AWSCURRENT"), ErrorKind::NotFound),
        (worded("InvalidRequestException", "was marked for deletion"), ErrorKind::PendingDeletion),
        (error("InvalidRequestException", 400), ErrorKind::Config),
        (error("ValidationException", 400), ErrorKind::Config),
        (error("ExpiredTokenException", 400), ErrorKind::AccessDenied),
        (error("ThrottlingException", 400), ErrorKind::Throttled),
        (error("InternalServiceError", 500), ErrorKind::Unavailable),
        (error(&words, 500), ErrorKind::Unavailable),
        (error(&words, 403), ErrorKind::AccessDenied),
        (Fault::answer(400, echo.to_string()), ErrorKind::Unavailable),
        (Fault::answer(200, partial.to_string()).on("BatchGetSecretValue"), ErrorKind::Kms),
        (Fault::answer(200, words.clone()).on("ListSecrets"), ErrorKind::Unavailable),
        (Fault::answer(200, echo.to_string()).on("ListSecrets"), ErrorKind::Unavailable),
    ] {
        let about = format!("{kind}, as a server words it");
        let id = fake.inject(fault);
        for manager in [manager(&client), names(&client), names(&client).batch(false)] {
            if let Err(error) = manager.fetch().await {
                canaries.assert_absent(&about, shown::error(&error));
                let denied = ErrorKind::AccessDenied;
                assert!([kind, denied].contains(&error.kind()), "{about}: {error}");
            }
        }
        fake.remove_fault(id);
    }
    log.assert_we_are_silent(&canaries);
}

/// A running service keeps its last good values through outages and denials.
#[tokio::test]
async fn outages_and_denials_show_no_value() {
    let log = Log::start();
    let (fake, client, canaries) = planted("trouble").await;
    let live: Live<Value> =
        secrets_only(manager(&client).optional(["text"])).start().await.unwrap();
    type Arrange = fn(&FakeSecretsManager);
    let troubles: [(ErrorKind, Arrange); 6] = [
        (ErrorKind::AccessDenied, |fake| fake.deny_secret("app/prod/token")),
        (ErrorKind::Kms, |fake| {
            fake.use_kms_key("app/prod/token", KEY);
            fake.disable_kms_key(KEY);
        }),
        (ErrorKind::NotFound, |fake| fake.remove("app/prod/database")),
        (ErrorKind::Throttled, |fake| {
            fake.inject(Fault::throttled());
        }),
        (ErrorKind::Unavailable, |fake| {
            fake.inject(Fault::drop_connection());
        }),
        (ErrorKind::Malformed, |fake| {
            fake.put("app/prod", "no object");
        }),
    ];
    for (kind, arrange) in troubles {
        arrange(&fake);
        let error = live.refresh().await.unwrap_err();
        assert_eq!(error.kind(), kind, "{error}");
        canaries.assert_absent("trouble", shown::error(&error) + &shown::live(&live));
        // A secret that is no longer listed is not missed.
        if let Err(error) = manager(&client).fetch().await {
            canaries.assert_absent("trouble at a start", shown::error(&error));
        }
        fake.clear_faults();
        fake.allow_everything();
        fake.enable_kms_key(KEY);
    }
    live.shutdown().await;
    fake.stop().await;
    let error = manager(&client).fetch().await.unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Unavailable, "{error}");
    canaries.assert_absent("an endpoint without a server", shown::error(&error));
    log.assert_silent(&canaries, &TARGETS);
}
