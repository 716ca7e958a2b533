//! Versions with a label other than AWSCURRENT.

use end_to_end::NEVER;
use fake_secrets_manager::FakeSecretsManager;
use secrets_provider::{ErrorKind, Layers, Live, Memory, SecretsManager};
use serde_json::json;

use crate::fixtures::manager;

/// Puts a version under this label only, and returns its id.
async fn put(fake: &FakeSecretsManager, name: &str, label: &str, value: &str) -> String {
    let call = fake.client().put_secret_value().secret_id(name).secret_string(value);
    call.version_stages(label).send().await.unwrap().version_id.unwrap()
}

async fn move_label(fake: &FakeSecretsManager, name: &str, label: &str, from: &str, to: &str) {
    let call = fake.client().update_secret_version_stage().secret_id(name).version_stage(label);
    call.remove_from_version_id(from).move_to_version_id(to).send().await.unwrap();
}

#[tokio::test]
async fn a_live_follows_the_version_with_its_label_and_no_other() {
    let fake = FakeSecretsManager::new();
    for name in ["app/a", "app/b"] {
        fake.put(name, "current");
        put(&fake, name, "blue", "blue").await;
    }
    fake.reset_calls();
    let settings: Live<serde_json::Value> = Live::builder(manager(&fake).stage("blue"))
        .layers(|secrets| Layers::new().secrets(secrets))
        .refresh_every(NEVER)
        .start()
        .await
        .unwrap();
    assert_eq!(*settings.load(), json!({"a": "blue", "b": "blue"}));
    assert_eq!((fake.calls("BatchGetSecretValue"), fake.calls("GetSecretValue")), (0, 2));

    fake.put("app/a", "a newer current one");
    assert!(!settings.refresh().await.unwrap().changed(), "another label has moved");

    let blue = settings.status().secrets()[0].version_id().to_owned();
    let next = put(&fake, "app/a", "green", "green").await;
    move_label(&fake, "app/a", "blue", &blue, &next).await;
    assert!(settings.refresh().await.unwrap().changed());
    assert_eq!(*settings.load(), json!({"a": "green", "b": "blue"}));
    assert_eq!(settings.status().secrets()[0].version_id(), next);
    assert_eq!(fake.calls("BatchGetSecretValue"), 0);

    let current = manager(&fake).stage("AWSCURRENT").fetch().await.unwrap();
    let current: serde_json::Value = current.extract().unwrap();
    assert_eq!(current, json!({"a": "a newer current one", "b": "current"}));
    assert_eq!(fake.calls("BatchGetSecretValue"), 1);
}

#[tokio::test]
async fn a_label_that_no_version_has_is_named() {
    let fake = FakeSecretsManager::new();
    for name in ["app/a", "app/b"] {
        fake.put(name, "current");
    }
    put(&fake, "app/a", "blue", "blue").await;
    let error = manager(&fake).stage("blue").fetch().await.unwrap_err();
    assert_eq!((error.kind(), error.secret()), (ErrorKind::NotFound, Some("app/b")));
    assert!(error.to_string().contains("it has no version labelled blue"), "{error}");
    let optional = manager(&fake).stage("blue").optional(["b"]).fetch().await.unwrap();
    assert_eq!(optional.secrets().len(), 1);

    for (about, manager) in [
        ("no label", manager(&fake).stage("")),
        ("a long label", manager(&fake).stage("x".repeat(257))),
        ("a store without labels", SecretsManager::prefix("app").backend(Memory::new()).stage("b")),
    ] {
        let error = manager.fetch().await.unwrap_err();
        assert_eq!(error.kind(), ErrorKind::Config, "{about}: {error}");
        assert!(error.hint().is_some(), "{about}");
    }
}

#[test]
fn the_policy_allows_no_batches_where_a_label_is_read() {
    let policy = SecretsManager::names(["a", "b"]).stage("blue").iam_policy();
    assert!(!policy.contains("BatchGetSecretValue") && policy.contains("GetSecretValue"));
    assert!(SecretsManager::names(["a", "b"]).iam_policy().contains("BatchGetSecretValue"));
}
