//! Rotations over the SDK: the policy that one needs, and what is logged.

use fake_secrets_manager::{FakeSecretsManager, Fault};
use secrets_provider::{Error, ErrorKind, Rejected, Rotated, Rotation, SecretsManager};
use serde_json::{Value, json};

const KEY: &str = "arn:aws:kms:us-east-1:123456789012:key/0d1e2f";
const NAME: &str = "app/prod/db";

fn seeded(customer_key: bool) -> FakeSecretsManager {
    let fake = FakeSecretsManager::new();
    fake.put(NAME, r#"{"username": "app", "password": "the-first-one"}"#);
    fake.put("app/prod/db2", "another");
    if customer_key {
        fake.use_kms_key(NAME, KEY);
    }
    fake
}

/// Rotates with a new client. Each step of the state machine makes its calls.
fn rotation(fake: &FakeSecretsManager) -> Rotation {
    let manager = SecretsManager::prefix("app/prod").client(fake.client());
    let set = |_: secrets_provider::RotationChange<Value>| async { Ok(()) };
    manager.rotation("db").password("password").set(set).test(|_: Value| async { Ok(()) })
}

#[tokio::test(start_paused = true)]
async fn a_rotation_needs_every_statement_of_its_policy_and_no_other() {
    for customer_key in [false, true] {
        let fake = seeded(customer_key);
        let policy: Value = serde_json::from_str(&rotation(&fake).iam_policy()).unwrap();
        let statements = policy["Statement"].as_array().unwrap().clone();
        let sids: Vec<_> = statements.iter().map(|one| one["Sid"].as_str().unwrap()).collect();
        let expected = [
            "SeeVersions",
            "ReadSecret",
            "StoreNewVersion",
            "MakeItCurrent",
            "OnlyForCustomerManagedKeys",
            "EncryptWithCustomerManagedKeys",
        ];
        assert_eq!(sids, expected);
        fake.enforce_policy(&policy.to_string()).unwrap();
        rotation(&fake).run().await.unwrap();
        assert_eq!(fake.total_denied_calls(), 0);
        let error = fake.client().get_secret_value().secret_id("app/prod/db2").send().await;
        assert!(error.is_err(), "no other secret can be read");

        for (at, sid) in sids.into_iter().enumerate() {
            let fake = seeded(customer_key);
            let mut less = policy.clone();
            less["Statement"].as_array_mut().unwrap().remove(at);
            fake.enforce_policy(&less.to_string()).unwrap();
            let outcome: Result<Rotated, Error> = rotation(&fake).run().await;
            let about = format!("without {sid}, customer key: {customer_key}");
            let of_key = ["OnlyForCustomerManagedKeys", "EncryptWithCustomerManagedKeys"];
            match (of_key.contains(&sid), customer_key) {
                (true, false) => drop(outcome.expect(&about)),
                (true, true) => assert_eq!(outcome.unwrap_err().kind(), ErrorKind::Kms, "{about}"),
                (false, _) => {
                    let error = outcome.unwrap_err();
                    assert_eq!(error.kind(), ErrorKind::AccessDenied, "{about}: {error}");
                    // Once it is allowed, the rotation is run to its end.
                    fake.enforce_policy(&policy.to_string()).unwrap();
                    rotation(&fake).run().await.expect(&about);
                }
            }
        }
    }
}

#[tokio::test(start_paused = true)]
async fn each_outcome_of_a_rotation_is_logged_once() {
    let (log, _guard) = end_to_end::Log::start();
    let fake = seeded(false);
    let line = |event: &str| {
        let text = log.text();
        let lines: Vec<_> =
            text.lines().filter(|line| line.contains(event)).map(str::to_owned).collect();
        assert!(lines.len() < 2, "{event} is logged more than once");
        lines.into_iter().next()
    };
    fake.inject(Fault::unavailable().on("UpdateSecretVersionStage"));
    let error = rotation(&fake).run().await.unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Unavailable, "{error}");
    let failed = line("secret_rotation_failed").expect("a failure");
    assert!(failed.contains("ERROR") && failed.contains(NAME), "{failed}");
    assert!(failed.contains("error.kind=unavailable"), "{failed}");
    assert_eq!(line("secret_rotated"), None);

    fake.clear_faults();
    let rotated = rotation(&fake).run().await.unwrap();
    assert!(rotated.resumed());
    let resumed = line("secret_rotation_resumed").expect("a resumption");
    assert!(resumed.contains("INFO") && resumed.contains(rotated.version_id()), "{resumed}");
    let done = line("secret_rotated").expect("a rotation");
    assert!(done.contains("INFO") && done.contains("resumed=true"), "{done}");
    for id in [rotated.version_id(), rotated.previous_version_id()] {
        assert!(done.contains(id), "{done}");
    }
    assert_eq!(line("secret_rotation_superseded"), None);
}

#[tokio::test(start_paused = true)]
async fn a_rotation_makes_few_calls() {
    let fake = seeded(false);
    rotation(&fake).run().await.unwrap();
    let calls = ["DescribeSecret", "GetSecretValue", "PutSecretValue", "UpdateSecretVersionStage"]
        .map(|operation| fake.calls(operation));
    assert_eq!(calls, [2, 1, 1, 2], "as the guide says");
}

#[tokio::test]
async fn only_secrets_of_the_selection_are_rotated() {
    let fake = seeded(false);
    let manager = SecretsManager::prefix("app/prod").client(fake.client());
    let arn = fake.arn(NAME);
    for (name, kind) in [
        ("../other", ErrorKind::Config),
        ("db/../../other", ErrorKind::Config),
        ("", ErrorKind::Config),
        ("/db", ErrorKind::Config),
        ("a name", ErrorKind::Config),
        ("db\u{e9}", ErrorKind::Config),
        ("db*", ErrorKind::Config),
        (&"x".repeat(505), ErrorKind::Config),
        ("arn:aws:secretsmanager:us-east-1:123456789012:secret:other-a1b2c3", ErrorKind::Config),
        ("none", ErrorKind::NotFound),
    ] {
        let error = manager.rotation(name).password("").run().await.unwrap_err();
        assert_eq!(error.kind(), kind, "{name}: {error}");
        let error = manager.rotate(name).await.unwrap_err();
        assert_eq!(error.kind(), kind, "{name}: {error}");
    }
    manager.rotation(arn).password("password").run().await.unwrap();
    let by_name = SecretsManager::names([NAME]).client(fake.client());
    let made = || async { Ok::<_, Rejected>(json!("new").to_string()) };
    by_name.rotation(NAME).generate("password", made).run().await.unwrap();
}
