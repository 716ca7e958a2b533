//! IAM policies, denials and KMS keys.

use fake_secrets_manager::FakeSecretsManager;
use serde_json::{Value, json};

use crate::support::{code, on_both_roads, refusal};

const KEY: &str = "arn:aws:kms:us-east-1:123456789012:key/0a1b";
const ALLOWED: &str = "ok";
const DENIED: &str = "AccessDeniedException";

fn statement(effect: &str, action: Value, resource: &str) -> Value {
    json!({ "Effect": effect, "Action": action, "Resource": resource })
}

fn with_condition(mut statement: Value, condition: Value) -> Value {
    statement["Condition"] = condition;
    statement
}

fn policy(statements: &[Value]) -> String {
    json!({ "Version": "2012-10-17", "Statement": statements }).to_string()
}

async fn read(fake: &FakeSecretsManager, name: &str) -> String {
    match fake.client().get_secret_value().secret_id(name).send().await {
        Ok(_) => ALLOWED.to_owned(),
        error => code(error),
    }
}

#[tokio::test]
async fn statements_allow_and_deny_by_action_resource_and_condition() {
    const GET: &str = "secretsmanager:GetSecretValue";
    const APP: &str = "arn:aws:secretsmanager:us-east-1:123456789012:secret:app/*";
    const EXACT: &str = "arn:aws:secretsmanager:us-east-1:123456789012:secret:app/db-??????";
    let allow = |action: &str, resource: &str| statement("Allow", json!(action), resource);
    let deny = |action: &str, resource: &str| statement("Deny", json!(action), resource);
    let fake = FakeSecretsManager::new();
    for name in ["app/db", "app/dbx", "other"] {
        fake.put(name, "x");
    }
    let tagged = aws_sdk_secretsmanager::types::Tag::builder().key("Team").value("red").build();
    fake.client().tag_resource().secret_id("other").tags(tagged).send().await.expect("tag");
    // The expected results of reading app/db, app/dbx and other.
    for (statements, expected) in [
        (vec![], [false, false, false]),
        (vec![allow(GET, "*")], [true, true, true]),
        (vec![allow("secretsmanager:Get*", "*")], [true, true, true]),
        (vec![allow("SecretsManager:getsecretvalue", "*")], [true, true, true]),
        (vec![allow("*", "*")], [true, true, true]),
        (vec![allow("secretsmanager:DescribeSecret", "*")], [false, false, false]),
        (vec![allow(GET, APP)], [true, true, false]),
        (vec![allow(GET, EXACT)], [true, false, false]),
        (vec![allow(GET, "arn:aws:secretsmanager:eu-west-1:*")], [false, false, false]),
        (vec![allow("*", "*"), deny(GET, EXACT)], [false, true, true]),
        (vec![deny("secretsmanager:*", APP), allow(GET, "*")], [false, false, true]),
        (
            vec![statement("Allow", json!(["secretsmanager:ListSecrets", GET]), APP)],
            [true, true, false],
        ),
        (
            vec![json!({ "Effect": "Allow", "Action": GET, "NotResource": APP })],
            [false, false, true],
        ),
        (
            vec![json!({ "Effect": "Allow", "NotAction": "kms:*", "Resource": "*" })],
            [true, true, true],
        ),
        (
            vec![json!({ "Effect": "Allow", "NotAction": "secretsmanager:*", "Resource": "*" })],
            [false, false, false],
        ),
        (
            vec![with_condition(
                allow(GET, "*"),
                json!({ "StringEquals": { "aws:ResourceTag/Team": "red" } }),
            )],
            [false, false, true],
        ),
        (
            vec![with_condition(
                allow(GET, "*"),
                json!({ "StringEqualsIfExists": { "aws:ResourceTag/Team": "blue" } }),
            )],
            [true, true, false],
        ),
        (
            vec![with_condition(
                allow(GET, "*"),
                json!({ "StringEquals": { "secretsmanager:VersionStage": ["AWSPENDING", "AWSCURRENT"] } }),
            )],
            [true, true, true],
        ),
        (
            vec![with_condition(
                allow(GET, "*"),
                json!({ "StringLike": { "secretsmanager:SecretId": "app/*" },
                        "Bool": { "aws:SecureTransport": true } }),
            )],
            [true, true, false],
        ),
        (
            vec![with_condition(
                allow(GET, "*"),
                json!({ "Null": { "aws:ResourceTag/Team": "true" } }),
            )],
            [true, true, false],
        ),
    ] {
        let document = policy(&statements);
        fake.enforce_policy(&document).expect("a policy");
        for (name, allowed) in ["app/db", "app/dbx", "other"].into_iter().zip(expected) {
            let expected = if allowed { ALLOWED } else { DENIED };
            assert_eq!(read(&fake, name).await, expected, "{name} under {document}");
        }
    }
    fake.allow_everything();
    assert_eq!(read(&fake, "app/db").await, ALLOWED);
}

#[tokio::test]
async fn a_customer_key_needs_decrypt_by_way_of_the_service() {
    let get = || statement("Allow", json!("secretsmanager:GetSecretValue"), "*");
    let decrypt = |resource: &str| statement("Allow", json!("kms:Decrypt"), resource);
    let via = |service: &str| json!({ "StringEquals": { "kms:ViaService": service } });
    const HERE: &str = "secretsmanager.us-east-1.amazonaws.com";
    let fake = FakeSecretsManager::new();
    fake.put("plain", "x");
    fake.put("locked", "x");
    fake.use_kms_key("locked", KEY);
    for (statements, expected) in [
        (vec![get()], DENIED),
        (vec![get(), decrypt(KEY)], ALLOWED),
        (vec![get(), decrypt("*")], ALLOWED),
        (vec![get(), decrypt("arn:aws:kms:us-east-1:123456789012:key/other")], DENIED),
        (vec![get(), with_condition(decrypt(KEY), via(HERE))], ALLOWED),
        (vec![get(), with_condition(decrypt(KEY), via("s3.us-east-1.amazonaws.com"))], DENIED),
        (vec![get(), decrypt(KEY), statement("Deny", json!("kms:*"), KEY)], DENIED),
    ] {
        let document = policy(&statements);
        fake.enforce_policy(&document).expect("a policy");
        assert_eq!(read(&fake, "plain").await, ALLOWED, "{document}");
        assert_eq!(read(&fake, "locked").await, expected, "{document}");
    }
    fake.allow_everything();
    assert_eq!(read(&fake, "locked").await, ALLOWED, "no policy, no denial");
}

#[tokio::test]
async fn a_disabled_key_fails_reads_and_writes() {
    on_both_roads(async |fake, client| {
        fake.put("s", "x");
        fake.use_kms_key("s", KEY);
        fake.disable_kms_key(KEY);
        let get = || client.get_secret_value().secret_id("s").send();
        assert_eq!(code(get().await), "DecryptionFailure");
        let put = client.put_secret_value().secret_id("s").secret_string("y").send().await;
        assert_eq!(code(put), "EncryptionFailure");
        fake.enable_kms_key(KEY);
        assert_eq!(get().await.expect("enabled again").secret_string(), Some("x"));
    })
    .await;
}

#[tokio::test]
async fn a_denial_says_who_may_not_do_what_on_which_secret_and_why() {
    on_both_roads(async |fake, client| {
        fake.put("s", "x");
        let get = || client.get_secret_value().secret_id("s").send();
        let user = "User: arn:aws:sts::123456789012:assumed-role/test/test is not authorized to \
                    perform: secretsmanager:GetSecretValue on resource: s";
        fake.deny_secret("s");
        assert_eq!(
            refusal(get().await),
            (
                DENIED.to_owned(),
                format!(
                    "{user} because no identity-based policy allows the \
                     secretsmanager:GetSecretValue action"
                )
            )
        );
        fake.allow_secret("s");
        get().await.expect("allowed again");
        fake.deny_secret(&fake.arn("s"));
        assert_eq!(code(get().await), DENIED, "denied by its ARN");
        fake.allow_everything();
        let denied = statement("Deny", json!("secretsmanager:*"), "*");
        fake.enforce_policy(&policy(&[denied])).expect("a policy");
        assert_eq!(
            refusal(get().await),
            (
                DENIED.to_owned(),
                format!("{user} with an explicit deny in an identity-based policy")
            )
        );
    })
    .await;
}

#[tokio::test]
async fn permission_is_checked_before_existence() {
    let fake = FakeSecretsManager::new();
    let app = "arn:aws:secretsmanager:us-east-1:123456789012:secret:app/*";
    fake.enforce_policy(&policy(&[statement("Allow", json!("secretsmanager:*"), app)]))
        .expect("a policy");
    assert_eq!(read(&fake, "app/missing").await, "ResourceNotFoundException");
    assert_eq!(read(&fake, "other/missing").await, DENIED);
}

#[tokio::test]
async fn every_operation_asks_for_its_own_action() {
    use aws_sdk_secretsmanager::types::Tag;
    on_both_roads(async |fake, client| {
        fake.put("s", "x");
        fake.enforce_policy(&policy(&[])).expect("a policy");
        let tag = Tag::builder().key("k").value("v").build();
        let id = "s";
        for (operation, code) in [
            ("CreateSecret", code(client.create_secret().name("new").send().await)),
            ("DeleteSecret", code(client.delete_secret().secret_id(id).send().await)),
            ("DescribeSecret", code(client.describe_secret().secret_id(id).send().await)),
            ("GetRandomPassword", code(client.get_random_password().send().await)),
            ("GetSecretValue", code(client.get_secret_value().secret_id(id).send().await)),
            ("ListSecrets", code(client.list_secrets().send().await)),
            (
                "ListSecretVersionIds",
                code(client.list_secret_version_ids().secret_id(id).send().await),
            ),
            (
                "PutSecretValue",
                code(client.put_secret_value().secret_id(id).secret_string("y").send().await),
            ),
            ("RestoreSecret", code(client.restore_secret().secret_id(id).send().await)),
            ("RotateSecret", code(client.rotate_secret().secret_id(id).send().await)),
            ("TagResource", code(client.tag_resource().secret_id(id).tags(tag).send().await)),
            (
                "UntagResource",
                code(client.untag_resource().secret_id(id).tag_keys("k").send().await),
            ),
            ("UpdateSecret", code(client.update_secret().secret_id(id).send().await)),
            (
                "UpdateSecretVersionStage",
                code(
                    client
                        .update_secret_version_stage()
                        .secret_id(id)
                        .version_stage("blue")
                        .send()
                        .await,
                ),
            ),
        ] {
            assert_eq!(code, DENIED, "{operation}");
            assert_eq!(fake.calls(operation), 1, "a denied call is counted: {operation}");
            assert_eq!(fake.denied_calls(operation), 1, "as a denied one: {operation}");
        }
    })
    .await;
}

#[tokio::test]
async fn denied_calls_are_counted_separately() {
    on_both_roads(async |fake, client| {
        fake.put("s", "x");
        fake.put("locked", "x");
        fake.use_kms_key("locked", KEY);
        let get = statement("Allow", json!("secretsmanager:GetSecretValue"), "*");
        let get_also_in_batches = statement("Allow", json!("secretsmanager:*GetSecretValue"), "*");
        fake.enforce_policy(&policy(&[get])).expect("a policy");
        for (id, expected) in [("s", 0), ("missing", 0), ("locked", 1)] {
            // The call may fail: only its count matters.
            drop(client.get_secret_value().secret_id(id).send().await);
            assert_eq!(fake.denied_calls("GetSecretValue"), expected, "{id}");
        }
        let batch = || client.batch_get_secret_value().secret_id_list("locked").send();
        batch().await.expect_err("denied");
        assert_eq!(fake.denied_calls("secretsmanager:BatchGetSecretValue"), 1);
        assert_eq!(fake.total_denied_calls(), 2);

        fake.enforce_policy(&policy(&[get_also_in_batches])).expect("a policy");
        fake.reset_calls();
        batch().await.expect("the denial is within the answer");
        assert_eq!((fake.total_calls(), fake.total_denied_calls()), (1, 0));
    })
    .await;
}

#[test]
fn unusable_policies_are_rejected() {
    let fake = FakeSecretsManager::new();
    for document in [
        "",
        "{}",
        r#"{"Statement":[{"Effect":"Maybe","Action":"*","Resource":"*"}]}"#,
        r#"{"Statement":[{"Effect":"Allow","Action":"*"}]}"#,
        r#"{"Statement":[{"Effect":"Allow","Resource":"*"}]}"#,
        r#"{"Statement":[{"Effect":"Allow","Action":"*","NotAction":"*","Resource":"*"}]}"#,
        r#"{"Statement":[{"Effect":"Allow","Action":"*","Resource":"*",
            "Condition":{"StringSimilar":{"a":"b"}}}]}"#,
        r#"{"Statement":[{"Effect":"Allow","Action":"*","Resource":"*","Resourse":"*"}]}"#,
    ] {
        assert!(fake.enforce_policy(document).is_err(), "{document}");
    }
    let one = r#"{"Statement":{"Effect":"Allow","Action":"*","Resource":"*"}}"#;
    fake.enforce_policy(one).expect("a single statement without a list");
}
