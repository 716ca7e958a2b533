//! What AWS refuses: denials, throttling, keys, labels, callers, and what is not in the account.

use fake_secrets_manager::{FakeSecretsManager, Fault};
use secrets_provider::{ErrorKind, SecretsManager};

use super::{IN_BETWEEN, KEY, message, one, refusal, seeded};

/// Refusals of the service that an operator has to fix.
#[tokio::test(start_paused = true)]
async fn each_refusal_says_what_to_do() {
    type Arrange = fn(&FakeSecretsManager);
    let table: [(&str, Arrange, String); 8] = [
        (
            "denied by IAM",
            |fake| fake.deny_secret("app/prod/database"),
            "secret `app/prod/database`: access denied (GetSecretValue)\n\
             hint: allow `secretsmanager:GetSecretValue` on \
             `arn:aws:secretsmanager:us-east-1:123456789012:secret:app/prod/database-??????`: add to the IAM policy of \
             the role the statement {\"Effect\":\"Allow\",\"Action\":\"secretsmanager:GetSecretValue\",\"Resource\":\
             \"arn:aws:secretsmanager:us-east-1:123456789012:secret:app/prod/database-??????\"}"
                .into(),
        ),
        (
            "denied by the endpoint's policy",
            |fake| fake.deny_secret_at_endpoint("app/prod/database"),
            "secret `app/prod/database`: access denied (GetSecretValue)\n\
             hint: the policy of the VPC endpoint explicitly denies `secretsmanager:GetSecretValue` on \
             `arn:aws:secretsmanager:us-east-1:123456789012:secret:app/prod/database-??????`, which no `Allow` \
             overrides: remove the `Deny` there, or exempt this caller from it"
                .into(),
        ),
        (
            "not allowed by the endpoint's policy",
            |fake| {
                let text = "User: arn:aws:iam::210987654321:user/canary is not authorized to perform: canary because \
                            no VPC endpoint policy allows the secretsmanager:GetSecretValue action";
                fake.inject(Fault::error("AccessDeniedException", 400, text));
            },
            "secret `app/prod/database`: access denied (GetSecretValue)\n\
             hint: allow `secretsmanager:GetSecretValue` on \
             `arn:aws:secretsmanager:us-east-1:210987654321:secret:app/prod/database-??????`: add to the policy of the \
             VPC endpoint the statement {\"Effect\":\"Allow\",\"Principal\":\"*\",\"Action\":\
             \"secretsmanager:GetSecretValue\",\"Resource\":\
             \"arn:aws:secretsmanager:us-east-1:210987654321:secret:app/prod/database-??????\"}"
                .into(),
        ),
        (
            "the KMS key not allowed",
            |fake| {
                fake.use_kms_key("app/prod/database", KEY);
                let all = r#"{"Effect": "Allow", "Action": "secretsmanager:*", "Resource": "*"}"#;
                fake.enforce_policy(&format!(r#"{{"Statement": {all}}}"#)).unwrap();
            },
            "secret `app/prod/database`: its KMS key may not be used (GetSecretValue)\n\
             hint: allow `kms:Decrypt` on the key (`aws secretsmanager describe-secret --secret-id app/prod/database` \
             shows it as KmsKeyId; a key of another account must allow it in its own policy too): add to the IAM policy of \
             the role the statement {\"Effect\":\"Allow\",\"Action\":\"kms:Decrypt\",\"Resource\":\
             \"arn:aws:kms:us-east-1:*:key/*\",\"Condition\":{\"StringEquals\":{\"kms:ViaService\":\
             \"secretsmanager.us-east-1.amazonaws.com\"},\"StringLike\":{\"kms:EncryptionContext:SecretARN\":\
             \"arn:aws:secretsmanager:us-east-1:*:secret:app/prod/database-??????\"}}}"
                .into(),
        ),
        (
            "the KMS key disabled",
            |fake| {
                fake.use_kms_key("app/prod/database", KEY);
                fake.disable_kms_key(KEY);
            },
            "secret `app/prod/database`: its KMS key cannot decrypt it (GetSecretValue)\n\
             hint: the key is disabled, scheduled for deletion or deleted: `aws secretsmanager describe-secret --secret-id \
             app/prod/database` shows it as KmsKeyId, `aws kms describe-key` shows its state, `aws kms enable-key` or `aws kms cancel-key-deletion` restores it"
                .into(),
        ),
        (
            "expired credentials",
            |fake| {
                fake.inject(Fault::error("ExpiredTokenException", 400, "canary"));
            },
            "secret `app/prod/database`: the AWS credentials are not accepted (ExpiredTokenException) \
             (GetSecretValue)\n\
             hint: renew the keys; check the machine's clock, and that the account has this region and Secrets Manager enabled"
                .into(),
        ),
        (
            "an invalid request",
            |fake| {
                fake.inject(Fault::error("ValidationException", 400, "canary"));
            },
            "secret `app/prod/database`: the request is not accepted (ValidationException) (GetSecretValue)\n\
             hint: a secret's name consists of ASCII letters, digits and `/_+=.@-`; give an ARN in full"
                .into(),
        ),
        (
            "throttled",
            |fake| {
                fake.inject(Fault::throttled());
            },
            "secret `app/prod/database`: throttled (GetSecretValue)\n\
             hint: the quota for GetSecretValue covers the whole account and region: refresh less often, start fewer replicas at once, or have the quota raised"
                .into(),
        ),
    ];
    for (about, arrange, expected) in table {
        let fake = seeded();
        arrange(&fake);
        assert_eq!(refusal(one().client(fake.client())).await, expected, "{about}");
    }
}

/// Codes about the caller say nothing about a secret: one call is enough, and it is no outage.
#[tokio::test(start_paused = true)]
async fn a_refused_caller_is_named_as_such_after_one_call() {
    for code in [
        "RequestExpired",
        "NotAuthorized",
        "OptInRequired",
        "IncompleteSignatureException",
        "MissingAuthenticationTokenException",
        "RequestTimeTooSkewed",
        "InvalidAccessKeyId",
        "ExpiredToken",
        "SubscriptionRequiredException",
        "AuthFailure",
    ] {
        let fake = seeded();
        fake.inject(Fault::error(code, 400, "canary"));
        let names = (0..20).map(|at| format!("app/prod/{at}"));
        let error = SecretsManager::names(names).client(fake.client()).fetch().await.unwrap_err();
        assert_eq!(error.kind(), ErrorKind::AccessDenied, "{code}");
        let hint = error.hint().unwrap();
        assert!(hint.contains("clock") && hint.contains("keys"), "{code}: {hint}");
        assert!(message(&error).contains(&format!("are not accepted ({code})")), "{error}");
        assert_eq!(fake.total_calls(), 1, "{code}");
    }
}

/// A request that arrives garbled is a slip in the set-up, and single calls would be, too.
#[tokio::test(start_paused = true)]
async fn a_garbled_request_points_at_what_is_in_between() {
    for code in ["MalformedHttpRequestException", "SerializationException"] {
        let fake = seeded();
        fake.inject(Fault::error(code, 400, "canary"));
        let manager = SecretsManager::names(["app/prod/database", "app/prod/jwt-secret"]);
        let error = manager.client(fake.client()).fetch().await.unwrap_err();
        assert_eq!(
            message(&error),
            format!("BatchGetSecretValue: the request is not understood ({code})\n{IN_BETWEEN}")
        );
        assert_eq!((error.kind(), fake.total_calls()), (ErrorKind::Config, 1), "{code}");
    }
    let fake = seeded();
    fake.inject(Fault::error("ValidationError", 400, "canary"));
    assert_eq!(one().client(fake.client()).fetch().await.unwrap_err().kind(), ErrorKind::Config);
}

#[tokio::test]
async fn a_denied_listing_suggests_naming_the_secrets() {
    let fake = seeded();
    fake.deny_action("ListSecrets");
    assert_eq!(
        refusal(SecretsManager::prefix("app/prod").client(fake.client())).await,
        "ListSecrets: access denied\n\
         hint: name the secrets with `.only(..)`, or allow `secretsmanager:ListSecrets` on `*`: add to the IAM policy of \
         the role the statement {\"Effect\":\"Allow\",\"Action\":\"secretsmanager:ListSecrets\",\"Resource\":\"*\"}"
    );
}

#[tokio::test]
async fn a_secret_without_a_value_or_scheduled_for_deletion_is_reported_as_such() {
    let fake = seeded();
    fake.client().create_secret().name("app/prod/empty").send().await.unwrap();
    fake.client().delete_secret().secret_id("app/prod/database").send().await.unwrap();
    assert_eq!(
        refusal(
            SecretsManager::prefix("app/prod").only(["empty", "database"]).client(fake.client())
        )
        .await,
        "2 failures:\n\
         - secret `app/prod/empty`: it has no version labelled AWSCURRENT (GetSecretValue)\n  \
         hint: put a value into it, or move the label to the right version: \
         `aws secretsmanager update-secret-version-stage`\n\
         - secret `app/prod/database`: it is scheduled for deletion (GetSecretValue)\n  \
         hint: restore it with `aws secretsmanager restore-secret --secret-id app/prod/database`, or no longer ask for it"
    );
}
