//! What is read by which calls, and what an error says.

use end_to_end::NEVER;
use secrets_provider::{ErrorKind, Layers, Live, Rotating, SecretsManager};
use serde::Deserialize;

use crate::stand_in::StandIn;

fn manager(server: &StandIn) -> SecretsManager {
    SecretsManager::prefix("gaara/prod").backend(server.store())
}

#[tokio::test]
async fn settings_are_read_as_from_secrets_manager() {
    #[derive(Debug, Deserialize)]
    struct Settings {
        hosts: Vec<String>,
        database: Database,
        token: Rotating<String>,
    }
    #[derive(Debug, Deserialize)]
    struct Database {
        port: u16,
    }
    let server = StandIn::start().await;
    server.put_list("/gaara/prod/hosts", "a,b");
    server.put("/gaara/prod/database", r#"{"port": 5432}"#);
    server.put("/gaara/prod/token", "old");
    server.put("/gaara/prod/token", "new");
    server.put("/gaara/production/token", "another program's");
    let manager = manager(&server).with_previous(["token"]);
    let live: Live<Settings> = Live::builder(manager)
        .layers(|secrets| Layers::new().secrets(secrets))
        .refresh_every(NEVER)
        .start()
        .await
        .unwrap();
    let settings = live.current();
    assert_eq!(settings.hosts, ["a", "b"]);
    assert_eq!(settings.database.port, 5432);
    assert_eq!(settings.token.current, "new");
    assert_eq!(settings.token.previous.as_deref(), Some("old"));

    server.put("/gaara/prod/token", "newer");
    live.refresh().await.unwrap();
    let settings = live.current();
    assert_eq!(settings.token.current, "newer");
    assert_eq!(settings.token.previous.as_deref(), Some("new"));
}

#[tokio::test]
async fn values_are_read_ten_at_a_time_and_short_pages_are_followed() {
    let server = StandIn::start().await;
    for number in 0..25 {
        server.put(&format!("/gaara/prod/p{number}"), "x");
    }
    assert_eq!(manager(&server).fetch().await.unwrap().secrets().len(), 25);
    let calls = server.calls();
    let of = |operation: &str| -> Vec<usize> {
        let mut sizes: Vec<usize> =
            calls.iter().filter(|(name, _)| name == operation).map(|(_, size)| *size).collect();
        sizes.sort_unstable();
        sizes
    };
    // 3 + 0 + 10 + 1 + 3 + 0 + 8 names.
    assert_eq!(of("GetParametersByPath").len(), 7, "{calls:?}");
    // One for a parameter of the path's own name.
    assert_eq!(of("GetParameters"), [1, 5, 10, 10], "{calls:?}");
}

#[tokio::test]
async fn one_that_cannot_be_decrypted_or_is_denied_fails_no_other() {
    let server = StandIn::start().await;
    for name in ["a", "b", "c"] {
        server.put(&format!("/gaara/prod/{name}"), "x");
    }
    server.known().undecryptable.insert("/gaara/prod/b".to_owned());
    let error = manager(&server).fetch().await.unwrap_err();
    assert_eq!((error.kind(), error.secret()), (ErrorKind::Kms, Some("gaara/prod/b")), "{error}");
    let without = manager(&server).optional(["b"]);
    assert_eq!(without.fetch().await.unwrap().secrets().len(), 2);
    server.known().denied.insert("/gaara/prod/c".to_owned());
    let without = without.optional(["c"]);
    assert_eq!(without.fetch().await.unwrap().secrets().len(), 1);
}

#[tokio::test]
async fn an_error_says_what_to_do_in_the_stores_words() {
    let server = StandIn::start().await;
    server.put("/gaara/prod/a", "x");
    let fetch = async |name: &str| {
        let manager = SecretsManager::names([name.to_owned()]).backend(server.store());
        manager.fetch().await.unwrap_err()
    };
    let error = fetch("gaara/prod/absent").await;
    assert_eq!(error.kind(), ErrorKind::NotFound);
    assert!(error.to_string().contains("no such parameter"), "{error}");
    let error = fetch("/aws/reference/secretsmanager/app/db").await;
    assert_eq!(error.kind(), ErrorKind::Config);
    assert!(error.hint().unwrap().contains("names([\"app/db\"])"), "{error:?}");
    server.known().denied.insert("/gaara/prod/a".to_owned());
    let error = fetch("gaara/prod/a").await;
    assert_eq!(error.kind(), ErrorKind::AccessDenied);
    assert!(error.hint().unwrap().contains("ssm:GetParameters"), "{error:?}");
    server.known().throttles = true;
    let error = fetch("gaara/prod/b").await;
    assert_eq!(error.kind(), ErrorKind::Throttled);
    assert!(error.hint().unwrap().contains("40 calls"), "{error:?}");
    let policy = manager(&server).iam_policy();
    assert!(policy.contains("ssm:GetParametersByPath") && !policy.contains("secretsmanager:"));
}
