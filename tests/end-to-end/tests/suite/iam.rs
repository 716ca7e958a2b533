//! `iam_policy()`: each way to select secrets works under exactly that policy, and no statement of it is there in vain.

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

/// The ways to select, each with how many secrets it finds.
fn modes(fake: &FakeSecretsManager) -> Vec<(&'static str, SecretsManager, usize)> {
    let arn = fake.arn("other");
    let partial = fake.arn("app/prod/db").rsplit_once('-').unwrap().0.to_owned();
    vec![
        ("a prefix", SecretsManager::prefix("app/prod/"), 3),
        ("a prefix, singly", SecretsManager::prefix("app/prod").batch(false), 3),
        ("only", SecretsManager::prefix("app/prod").only(["", "db"]), 2),
        ("only, singly", SecretsManager::prefix("app/prod").only(["", "db"]).batch(false), 2),
        ("names and ARNs", SecretsManager::names(["app/prod-eu".to_owned(), arn, partial]), 3),
        ("a name, singly", SecretsManager::names(["other"]).batch(false), 1),
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

/// A fresh client has not been denied anything yet.
async fn fetch(fake: &FakeSecretsManager, manager: &SecretsManager) -> Result<usize, Error> {
    let snapshot = manager.clone().client(fake.client()).fetch().await?;
    Ok(snapshot.secrets().len())
}

#[tokio::test]
async fn each_mode_works_under_exactly_its_policy_and_not_without_any_of_its_statements() {
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
                        assert_eq!(outcome.unwrap(), found, "{about}: as its name says");
                    }
                    ("ReadManyAtOnce", _) => {
                        assert_eq!(outcome.unwrap(), found, "{about}");
                        let singly = found
                            + usize::from(mode == "optional")
                            + usize::from(mode == "with the version before");
                        assert_eq!(fake.calls("GetSecretValue"), singly, "{about}: one by one");
                    }
                    // A `Live` alone asks for it, and goes on without.
                    ("KnowRotations", _) => assert_eq!(outcome.unwrap(), found, "{about}"),
                    (other, _) => panic!("{about}: {other} is not known here"),
                }
            }
        }
    }
}

#[tokio::test]
async fn a_policy_has_no_statement_for_what_is_not_done() {
    let fake = seeded();
    let expected: [&[&str]; 9] = [
        &["ReadSecrets", "ReadManyAtOnce", "FindNames", "OnlyForCustomerManagedKeys"],
        &["ReadSecrets", "FindNames", "OnlyForCustomerManagedKeys"],
        &["ReadSecrets", "ReadManyAtOnce", "OnlyForCustomerManagedKeys"],
        &["ReadSecrets", "OnlyForCustomerManagedKeys"],
        &["ReadSecrets", "ReadManyAtOnce", "OnlyForCustomerManagedKeys"],
        &["ReadSecrets", "OnlyForCustomerManagedKeys"],
        &["ReadSecrets", "ReadManyAtOnce", "OnlyForCustomerManagedKeys"],
        &["ReadSecrets", "ReadManyAtOnce", "OnlyForCustomerManagedKeys"],
        &["ReadSecrets", "ReadManyAtOnce", "KnowRotations", "OnlyForCustomerManagedKeys"],
    ];
    for ((mode, manager, _), expected) in modes(&fake).into_iter().zip(expected) {
        let policy = serde_json::from_str(&manager.client(fake.client()).iam_policy()).unwrap();
        assert_eq!(statements(&policy), expected, "{mode}");
    }
}

/// A `Live` that wants to know of rotations may ask for them under its policy.
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

/// What a policy allows beyond what is asked for is nothing: neither other secrets, nor the key by another road.
#[tokio::test]
async fn a_policy_allows_nothing_else() {
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
    // The same key for another secret: the decryption is bound to the secrets of the policy.
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

/// The statement that an error names is the one that was missing.
#[tokio::test]
async fn the_statement_that_a_denial_names_mends_it() {
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
