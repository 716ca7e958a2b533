//! How each change of a secret affects the settings: the table in the guide, row by row.

use std::time::Duration;

use aws_sdk_secretsmanager::Client;
use end_to_end::NEVER;
use fake_secrets_manager::{FakeSecretsManager, Fault};
use secrets_provider::{ErrorKind, Health, Live, LiveBuilder, SecretState, SecretsManager};
use serde_json::Value;

use super::quiet;
use crate::fixtures::{manager, secrets_only};

fn fake() -> FakeSecretsManager {
    let fake = FakeSecretsManager::new();
    fake.put("app/a", "a-1");
    fake.put("app/b", "b-1");
    fake
}

fn builder(fake: &FakeSecretsManager) -> LiveBuilder<Value> {
    quiet(fake)
}

async fn delete(client: &Client, name: &str) {
    client.delete_secret().secret_id(name).recovery_window_in_days(7).send().await.unwrap();
}

/// The served values of `a` and `b`, the status of `a`, and the health.
#[derive(Debug, PartialEq)]
struct Outcome {
    a: Value,
    b: Value,
    state: SecretState,
    error: Option<ErrorKind>,
    health: Health,
}

/// Rotates `b`, refreshes, and returns the outcome.
async fn outcome(fake: &FakeSecretsManager, settings: &Live<Value>) -> Outcome {
    fake.put("app/b", "b-2");
    let refreshed = settings.refresh().await;
    let status = settings.status();
    let health = status.health();
    assert_eq!(refreshed.is_err(), health == Health::Stale);
    let secret =
        status.secrets().iter().find(|secret| secret.name() == "app/a").expect("it is listed");
    let (state, error) = (secret.state(), secret.error());
    let served = settings.current();
    Outcome { a: served["a"].clone(), b: served["b"].clone(), state, error, health }
}

/// The last good `a` beside the new `b`.
fn last_good(a: impl Into<Value>, error: ErrorKind) -> Outcome {
    Outcome {
        a: a.into(),
        b: "b-2".into(),
        state: SecretState::LastGood,
        error: Some(error),
        health: Health::Stale,
    }
}

#[tokio::test(start_paused = true)]
async fn an_unreadable_secret_keeps_its_last_good_value_and_delays_no_other() {
    let fake = fake();
    let client = fake.client();
    const KEY: &str = "arn:aws:kms:us-east-1:123456789012:key/0d1e2f";
    for case in
        ["scheduled for deletion", "deleted", "without AWSCURRENT", "denied", "its key is disabled"]
    {
        fake.put("app/a", "a-1");
        fake.put("app/b", "b-1");
        let settings = builder(&fake).start().await.unwrap();
        let error = match case {
            "scheduled for deletion" => {
                delete(&client, "app/a").await;
                ErrorKind::PendingDeletion
            }
            "deleted" => {
                fake.remove("app/a");
                ErrorKind::NotFound
            }
            "denied" => {
                fake.deny_secret("app/a");
                ErrorKind::AccessDenied
            }
            "its key is disabled" => {
                fake.use_kms_key("app/a", KEY);
                fake.disable_kms_key(KEY);
                ErrorKind::Kms
            }
            _ => {
                // A secret that was created without a value has no version with that label.
                fake.remove("app/a");
                client.create_secret().name("app/a").send().await.unwrap();
                ErrorKind::NotFound
            }
        };
        assert_eq!(outcome(&fake, &settings).await, last_good("a-1", error), "{case}");
        if case == "scheduled for deletion" {
            client.restore_secret().secret_id("app/a").send().await.unwrap();
        }
        fake.allow_secret("app/a");
        fake.enable_kms_key(KEY);
        fake.put("app/a", "a-2");
        settings.refresh().await.unwrap();
        assert_eq!(settings.load()["a"], "a-2", "{case}, and back");
        assert_eq!(settings.status().health(), Health::Fresh, "{case}, and back");
    }
}

#[tokio::test(start_paused = true)]
async fn a_secret_restored_unchanged_changes_nothing() {
    let fake = fake();
    let client = fake.client();
    let settings = builder(&fake).start().await.unwrap();
    delete(&client, "app/a").await;
    settings.refresh().await.unwrap_err();
    client.restore_secret().secret_id("app/a").send().await.unwrap();
    assert!(!settings.refresh().await.unwrap().changed());
    assert_eq!((settings.status().generation(), settings.status().health()), (1, Health::Fresh));
}

#[tokio::test(start_paused = true)]
async fn a_malformed_value_keeps_the_last_good_one_and_delays_no_other() {
    let fake = fake();
    fake.put("app/a", r#"{"x": 1}"#);
    let settings = builder(&fake).start().await.unwrap();
    fake.put("app/a", r#"{"x": 1, "x": 2}"#);
    let x = serde_json::json!({"x": 1});
    assert_eq!(outcome(&fake, &settings).await, last_good(x, ErrorKind::Malformed));
    fake.put("app/a", r#"{"x": 3}"#);
    settings.refresh().await.unwrap();
    assert_eq!(
        (settings.load()["a"]["x"].clone(), settings.status().health()),
        (3.into(), Health::Fresh)
    );
}

#[tokio::test(start_paused = true)]
async fn a_rolled_back_value_is_served_again() {
    let fake = fake();
    let client = fake.client();
    let first = fake.put("app/a", "a-2");
    let second = fake.put("app/a", "a-3");
    let settings = builder(&fake).start().await.unwrap();
    let back = client.update_secret_version_stage().secret_id("app/a").version_stage("AWSCURRENT");
    back.move_to_version_id(&first).remove_from_version_id(&second).send().await.unwrap();
    let expected = Outcome {
        a: "a-2".into(),
        b: "b-2".into(),
        state: SecretState::Current,
        error: None,
        health: Health::Fresh,
    };
    assert_eq!(outcome(&fake, &settings).await, expected);
}

#[tokio::test(start_paused = true)]
async fn an_added_secret_is_found_and_a_malformed_one_is_reported() {
    let fake = fake();
    let settings = builder(&fake).start().await.unwrap();
    fake.put("app/c", "c-1");
    fake.put("app/d", r#"{"x": 1, "x": 2}"#);
    fake.put("app/b", "b-2");
    let error = settings.refresh().await.unwrap_err();
    assert_eq!((error.kind(), error.secret()), (ErrorKind::Malformed, Some("app/d")));
    assert_eq!(*settings.current(), serde_json::json!({"a": "a-1", "b": "b-2", "c": "c-1"}));
    let status = settings.status();
    let states: Vec<_> =
        status.secrets().iter().map(|secret| (secret.name(), secret.state())).collect();
    let current = SecretState::Current;
    assert_eq!(
        states,
        [
            ("app/a", current),
            ("app/b", current),
            ("app/c", current),
            ("app/d", SecretState::Unread)
        ]
    );
    assert_eq!(status.health(), Health::Stale);
}

/// AWS cannot rename a secret: a new one is created and the old one deleted.
#[tokio::test(start_paused = true)]
async fn a_renamed_secret_counts_as_one_added_and_one_deleted() {
    let fake = fake();
    let client = fake.client();
    let settings = builder(&fake).start().await.unwrap();
    fake.put("app/a-new", "a-1");
    delete(&client, "app/a").await;
    settings.refresh().await.unwrap_err();
    assert_eq!(*settings.current(), serde_json::json!({"a": "a-1", "a_new": "a-1", "b": "b-1"}));
    let status = settings.status();
    let states: Vec<_> =
        status.secrets().iter().map(|secret| (secret.name(), secret.state())).collect();
    let (current, last_good) = (SecretState::Current, SecretState::LastGood);
    assert_eq!(states, [("app/a", last_good), ("app/a-new", current), ("app/b", current)]);
    assert_eq!(status.health(), Health::Stale);
}

/// A proxy, a cache or an emulator that mixes up its answers.
#[tokio::test(start_paused = true)]
async fn an_answer_about_another_secret_replaces_no_value() {
    let other = |name: &str, arn: &str| {
        let entry = serde_json::json!({
            "Name": name, "ARN": arn, "VersionId": "0d1e2f", "SecretString": "another's",
        });
        entry.to_string()
    };
    for batch in [true, false] {
        for by_arn in [true, false] {
            for answered in ["the other secret", "a wrong ARN", "no value", "nothing"] {
                let case = format!("batch: {batch}, by ARN: {by_arn}, {answered}");
                let fake = fake();
                if batch {
                    fake.deny_action("secretsmanager:BatchGetSecretValue");
                }
                let (a, b) = (fake.arn("app/a"), fake.arn("app/b"));
                let body = match answered {
                    "the other secret" => other("app/a", &a),
                    "a wrong ARN" => other("app/b", &a),
                    "no value" => format!(r#"{{"Name": "app/b", "ARN": "{b}", "VersionId": "2"}}"#),
                    _ => "{}".to_owned(),
                };
                let manager = match by_arn {
                    true => SecretsManager::names([a, b]),
                    false => SecretsManager::prefix("app"),
                };
                let manager = manager.client(fake.client()).batch(batch);
                let builder: LiveBuilder<Value> = secrets_only(manager).refresh_every(NEVER);
                let settings = builder.start().await.unwrap();
                let before = settings.current();
                let fault = Fault::answer(200, body).on("GetSecretValue").for_secret("app/b");
                let fault = fake.inject(fault);
                let error = settings.refresh().await.expect_err(&case);
                assert_eq!(error.kind(), ErrorKind::Unavailable, "{case}: {error}");
                assert_eq!((settings.current(), settings.status().generation()), (before, 1));
                assert_eq!(settings.status().health(), Health::Stale, "{case}");
                fake.remove_fault(fault);
                settings.refresh().await.expect(&case);
            }
        }
    }
}

#[tokio::test(start_paused = true)]
async fn a_conflicting_added_secret_delays_no_other() {
    let fake = fake();
    let settings = builder(&fake).start().await.unwrap();
    fake.put("app/A", "another");
    for b in ["b-2", "b-3"] {
        fake.put("app/b", b);
        let error = settings.refresh().await.unwrap_err();
        assert_eq!(error.kind(), ErrorKind::Conflict, "{error}");
        assert!(
            ["`app/A`", "`app/a`"].iter().all(|name| error.to_string().contains(name)),
            "{error}"
        );
        assert_eq!((&settings.load()["a"], &settings.load()["b"]), (&"a-1".into(), &b.into()));
        let status = settings.status();
        let named: Vec<_> = status.secrets().iter().map(|secret| secret.name()).collect();
        assert_eq!((named, status.health()), (vec!["app/a", "app/b"], Health::Stale));
    }
    let error = settings.refresh().await.unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Conflict, "for as long as it exists");
    fake.remove("app/A");
    settings.refresh().await.unwrap();
    assert_eq!(settings.status().health(), Health::Fresh);
}

#[tokio::test(start_paused = true)]
async fn a_conflicting_new_value_keeps_the_last_good_one_and_delays_no_other() {
    let fake = fake();
    fake.put("app/a", r#"{"x": 1}"#);
    fake.put("app/a/y", "y-1");
    let settings = builder(&fake).start().await.unwrap();
    fake.put("app/a", r#"{"x": 2, "y": 2}"#);
    fake.put("app/b", "b-2");
    let held = settings.status().secrets()[0].version_id().to_owned();
    let error = settings.refresh().await.unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Conflict);
    assert!(
        ["`app/a`", "`app/a/y`"].iter().all(|name| error.to_string().contains(name)),
        "{error}"
    );
    assert_eq!(*settings.current(), serde_json::json!({"a": {"x": 1, "y": "y-1"}, "b": "b-2"}));
    let status = settings.status();
    let a = &status.secrets()[0];
    assert_eq!(
        (a.name(), a.state(), a.version_id()),
        ("app/a", SecretState::Current, held.as_str())
    );
    assert_eq!((settings.status().health(), settings.status().is_ready()), (Health::Stale, true));
    fake.put("app/a", r#"{"x": 3}"#);
    settings.refresh().await.unwrap();
    assert_eq!(
        (settings.load()["a"]["x"].clone(), settings.status().health()),
        (3.into(), Health::Fresh)
    );
}

/// A failure of one secret, or of new settings, leaves every replica ready. Not being able to read
/// the secrets in use does not.
#[tokio::test(start_paused = true)]
async fn a_replica_is_ready_while_it_can_read_the_secrets_in_use() {
    type Arrange = fn(&FakeSecretsManager);
    let arrange: [(&str, Arrange, bool); 7] = [
        ("a secret deleted", |fake| fake.remove("app/a"), true),
        ("a secret malformed", |fake| drop(fake.put("app/a", r#"{"x": 1, "x": 1}"#)), true),
        (
            "one added that is denied",
            |fake| {
                fake.put("app/new", "n");
                fake.deny_secret("app/new");
            },
            true,
        ),
        ("new settings refused", |fake| drop(fake.put("app/a", "refuse")), true),
        ("names not listed", |fake| fake.deny_action("secretsmanager:ListSecrets"), true),
        ("a secret in use denied", |fake| fake.deny_secret("app/a"), false),
        (
            "an outage",
            |fake| _ = fake.inject(fake_secrets_manager::Fault::drop_connection()),
            false,
        ),
    ];
    for (case, arrange, ready) in arrange {
        let fake = fake();
        let settings = builder(&fake)
            .refresh_every(Duration::from_secs(60))
            .validate(|settings| match settings["a"] == "refuse" {
                true => Err(secrets_provider::Rejected::new("refused")),
                false => Ok(()),
            })
            .start()
            .await
            .unwrap();
        arrange(&fake);
        tokio::time::sleep(Duration::from_secs(100)).await;
        assert!(settings.status().is_ready(), "{case}: it stays ready at first");
        tokio::time::sleep(Duration::from_secs(1800)).await;
        let status = settings.status();
        assert_eq!((status.health(), status.is_ready()), (Health::Failing, ready), "{case}");
    }
}

#[tokio::test(start_paused = true)]
async fn settings_that_do_not_fit_are_rejected_as_a_whole() {
    #[derive(Debug, serde::Deserialize)]
    struct Typed {
        a: u16,
        b: String,
    }
    let fake = fake();
    fake.put("app/a", "1");
    let settings: Live<Typed> = secrets_only(manager(&fake)).start().await.unwrap();
    fake.put("app/a", "one");
    fake.put("app/b", "b-2");
    let version = |settings: &Live<Typed>| settings.status().secrets()[0].version_id().to_owned();
    let held = version(&settings);
    assert_eq!(settings.refresh().await.unwrap_err().kind(), ErrorKind::Invalid);
    assert_eq!(
        (settings.load().a, settings.load().b.as_str()),
        (1, "b-1"),
        "all new values or none"
    );
    assert_eq!(settings.status().secrets()[0].state(), SecretState::Current);
    assert_eq!(version(&settings), held);
    assert_eq!(settings.status().health(), Health::Stale);
    fake.put("app/a", "2");
    settings.refresh().await.unwrap();
    assert_eq!((settings.load().a, settings.load().b.as_str()), (2, "b-2"));
}
