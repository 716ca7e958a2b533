//! `iam_policy()`: each way to select secrets works under that policy, and needs every statement of
//! it.

use fake_secrets_manager::FakeSecretsManager;
use secrets_provider::{Error, ErrorKind, SecretsManager};
use serde_json::Value;

const KEY: &str = "arn:aws:kms:us-east-1:123456789012:key/0d1e2f";

fn seeded() -> FakeSecretsManager {
    let fake = FakeSecretsManager::new();
    for name in
        ["app/prod", "app/prod/db", "app/prod/deep/er", "app/production", "app/prod-eu", "other"]
    {
        fake.put(name, r#"{"a": {}}"#);
    }
    fake
}

/// The ways to select secrets, each with the number of secrets that it finds.
fn modes(fake: &FakeSecretsManager) -> Vec<(&'static str, SecretsManager, usize)> {
    let arn = fake.arn("other");
    let partial = fake.arn("app/prod/db").rsplit_once('-').unwrap().0.to_owned();
    vec![
        ("a prefix", SecretsManager::prefix("app/prod/"), 3),
        ("a prefix, singly", SecretsManager::prefix("app/prod").batch(false), 3),
        ("only", SecretsManager::prefix("app/prod").only(["", "db"]), 2),
        ("only, singly", SecretsManager::prefix("app/prod").only(["", "db"]).batch(false), 2),
        ("names and ARNs", SecretsManager::names(["app/prod-eu".to_owned(), arn, partial]), 3),
        ("a name, which needs no batch", SecretsManager::names(["other"]), 1),
        (
            "with the version before",
            SecretsManager::prefix("app/prod").only(["db"]).with_previous(["db"]),
            1,
        ),
        ("optional", SecretsManager::prefix("app/prod").only(["db"]).optional(["none"]), 1),
        (
            "rotation windows",
            SecretsManager::prefix("app/prod").only(["db"]).rotation_windows(true),
            1,
        ),
    ]
}

fn statements(policy: &Value) -> Vec<String> {
    let sids = policy["Statement"].as_array().unwrap().iter();
    sids.map(|statement| statement["Sid"].as_str().unwrap().to_owned()).collect()
}

/// Fetches with a new client, which has not been denied a batch yet.
async fn fetch(fake: &FakeSecretsManager, manager: &SecretsManager) -> Result<usize, Error> {
    let snapshot = manager.clone().client(fake.client()).fetch().await?;
    Ok(snapshot.secrets().len())
}

#[tokio::test]
async fn each_selection_needs_every_statement_of_its_policy_and_no_other() {
    for customer_key in [false, true] {
        let fake = seeded();
        if customer_key {
            for name in ["app/prod", "app/prod/db", "app/prod/deep/er", "app/prod-eu", "other"] {
                fake.use_kms_key(name, KEY);
            }
        }
        for (mode, manager, found) in modes(&fake) {
            let about = format!("{mode}, customer key: {customer_key}");
            let manager = manager.client(fake.client());
            let policy: Value = serde_json::from_str(&manager.iam_policy()).unwrap();
            fake.enforce_policy(&policy.to_string()).unwrap();
            assert_eq!(fetch(&fake, &manager).await.unwrap(), found, "{about}");

            for (at, statement) in statements(&policy).into_iter().enumerate() {
                let mut less = policy.clone();
                less["Statement"].as_array_mut().unwrap().remove(at);
                fake.enforce_policy(&less.to_string()).unwrap();
                fake.reset_calls();
                let outcome = fetch(&fake, &manager).await;
                let about = format!("{about}, without {statement}");
                match (statement.as_str(), customer_key) {
                    ("ReadSecrets", _) | ("FindNames", _) => {
                        assert_eq!(outcome.unwrap_err().kind(), ErrorKind::AccessDenied, "{about}");
                    }
                    ("OnlyForCustomerManagedKeys", true) => {
                        assert_eq!(outcome.unwrap_err().kind(), ErrorKind::Kms, "{about}");
                    }
                    ("OnlyForCustomerManagedKeys", false) => {
                        assert_eq!(
                            outcome.unwrap(),
                            found,
                            "{about}: AWS's own key needs no statement"
                        );
                    }
                    ("ReadManyAtOnce", _) => {
                        assert_eq!(outcome.unwrap(), found, "{about}");
                        let singly = found
                            + usize::from(mode == "optional")
                            + usize::from(mode == "with the version before");
                        assert_eq!(fake.calls("GetSecretValue"), singly, "{about}: one by one");
                    }
                    // Only a `Live` makes this call, and it works without the answer.
                    ("KnowRotations", _) => assert_eq!(outcome.unwrap(), found, "{about}"),
                    (other, _) => panic!("{about}: {other} is not known here"),
                }
            }
        }
    }
}

#[tokio::test]
async fn a_policy_has_no_statement_for_calls_that_are_not_made() {
    let fake = seeded();
    let expected: [&[&str]; 9] = [
        &["ReadSecrets", "ReadManyAtOnce", "FindNames", "OnlyForCustomerManagedKeys"],
        &["ReadSecrets", "FindNames", "OnlyForCustomerManagedKeys"],
        &["ReadSecrets", "ReadManyAtOnce", "OnlyForCustomerManagedKeys"],
        &["ReadSecrets", "OnlyForCustomerManagedKeys"],
        &["ReadSecrets", "ReadManyAtOnce", "OnlyForCustomerManagedKeys"],
        &["ReadSecrets", "OnlyForCustomerManagedKeys"],
        &["ReadSecrets", "OnlyForCustomerManagedKeys"],
        &["ReadSecrets", "ReadManyAtOnce", "OnlyForCustomerManagedKeys"],
        &["ReadSecrets", "KnowRotations", "OnlyForCustomerManagedKeys"],
    ];
    for ((mode, manager, _), expected) in modes(&fake).into_iter().zip(expected) {
        let policy = serde_json::from_str(&manager.client(fake.client()).iam_policy()).unwrap();
        assert_eq!(statements(&policy), expected, "{mode}");
    }
}

/// A `Live` with rotation windows may call DescribeSecret under its policy.
#[tokio::test(start_paused = true)]
async fn rotation_windows_are_allowed_by_their_statement() {
    let fake = seeded();
    let manager = SecretsManager::prefix("app/prod").only(["db"]).rotation_windows(true);
    let manager = manager.client(fake.client());
    fake.enforce_policy(&manager.iam_policy()).unwrap();
    let settings: secrets_provider::Live<Value> = manager.live().await.unwrap();
    tokio::time::sleep(std::time::Duration::from_secs(1)).await;
    assert_eq!((fake.calls("DescribeSecret"), fake.total_denied_calls()), (1, 0));
    drop(settings);
}

#[tokio::test]
async fn a_policy_allows_no_other_secret_and_no_other_use_of_the_key() {
    let fake = seeded();
    fake.use_kms_key("app/prod/db", KEY);
    for (selection, others) in [
        (SecretsManager::prefix("app/prod"), &["app/production", "app/prod-eu", "other"][..]),
        (
            SecretsManager::prefix("app/prod").only(["db"]),
            &["app/prod", "app/prod/deep/er", "app/production", "other"][..],
        ),
    ] {
        fake.enforce_policy(&selection.client(fake.client()).iam_policy()).unwrap();
        for other in others {
            let manager = SecretsManager::names([*other]).batch(false);
            assert_eq!(
                fetch(&fake, &manager).await.unwrap_err().kind(),
                ErrorKind::AccessDenied,
                "{other}"
            );
        }
    }
    // The key may be used for the secrets of the policy only, not for another secret with the same
    // key.
    let policy = SecretsManager::prefix("app/prod").client(fake.client()).iam_policy();
    let mut policy: Value = serde_json::from_str(&policy).unwrap();
    policy["Statement"][0]["Resource"] = "*".into();
    fake.enforce_policy(&policy.to_string()).unwrap();
    fake.use_kms_key("other", KEY);
    let error = fetch(&fake, &SecretsManager::names(["other"]).batch(false)).await.unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Kms);
    let decrypt = policy["Statement"].as_array().unwrap().last().unwrap();
    assert_eq!(
        decrypt["Condition"]["StringEquals"]["kms:ViaService"],
        "secretsmanager.us-east-1.amazonaws.com"
    );
}

#[tokio::test]
async fn the_statement_that_a_denial_suggests_fixes_it() {
    let fake = seeded();
    fake.use_kms_key("app/prod/db", KEY);
    for batch in [true, false] {
        let manager = SecretsManager::prefix("app/prod").batch(batch);
        // A policy must have a statement.
        let harmless =
            r#"{"Effect": "Allow", "Action": "secretsmanager:DescribeSecret", "Resource": "*"}"#;
        let mut statements = vec![harmless.to_owned()];
        for _ in 0..10 {
            let policy =
                format!(r#"{{"Version": "2012-10-17", "Statement": [{}]}}"#, statements.join(","));
            fake.enforce_policy(&policy).unwrap();
            let Err(error) = fetch(&fake, &manager).await else { break };
            for error in error.errors() {
                let statement =
                    error.hint().and_then(|hint| hint.split_once(" statement ")).unwrap().1;
                statements.push(statement.to_owned());
            }
        }
        assert_eq!(fetch(&fake, &manager).await.unwrap(), 3, "batch: {batch}");
    }
}
