//! The messages that an operator reads: each failure with its whole message.

mod slips;

use std::process::Command;
use std::time::Duration;

use aws_credential_types::Credentials;
use aws_credential_types::provider::error::CredentialsError;
use aws_credential_types::provider::{ProvideCredentials, SharedCredentialsProvider, future};
use aws_sdk_secretsmanager::config::Region;
use aws_sdk_secretsmanager::config::retry::RetryConfig;
use fake_secrets_manager::{FakeSecretsManager, Fault};
use secrets_provider::{Error, ErrorKind, Layers, Live, Memory, SecretsManager};
use serde::Deserialize;

use crate::fixtures::{Endpoint, secrets_only};

const KEY: &str = "arn:aws:kms:us-east-1:123456789012:key/0d1e2f";

/// Hints that several failures share.
const UNREACHABLE: &str = "hint: check region, AWS_ENDPOINT_URL, DNS and network; a VPC without internet access needs \
                           the interface endpoint `com.amazonaws.us-east-1.secretsmanager` with private DNS, and a security group that allows port 443";
const IN_BETWEEN: &str = "hint: Secrets Manager does not answer like this: check AWS_ENDPOINT_URL, and any proxy or load balancer in between";
const LATE: &str = "hint: check network, proxy and, in a VPC, the interface endpoint; `.timeout(..)` sets the limit";
const NO_SUCH_NAME: &str =
    "check name, region and account; a secret of another account needs its full ARN";
const CHAIN: &str = "hint: by default, the SDK tries, in this order, the environment (AWS_ACCESS_KEY_ID \
                     and AWS_SECRET_ACCESS_KEY), the AWS profile (AWS_PROFILE; one with `sso` or `credential_process` \
                     needs the feature of that name), web identity (AWS_WEB_IDENTITY_TOKEN_FILE and AWS_ROLE_ARN), \
                     the container (AWS_CONTAINER_CREDENTIALS_RELATIVE_URI or _FULL_URI) and the instance's metadata";

pub(super) fn seeded() -> FakeSecretsManager {
    let fake = FakeSecretsManager::new();
    for name in ["app/prod/database", "app/prod/jwt-secret", "app/staging/database"] {
        fake.put(name, "hunter2");
    }
    fake
}

/// The message of an error, after a check that neither it nor `Debug` shows a secret or the words
/// of a server.
pub(super) fn message(error: &Error) -> String {
    let shown = format!("{error} {error:?}");
    for secret in ["hunter2", "canary"] {
        assert!(!shown.contains(secret), "{shown}");
    }
    error.to_string()
}

async fn refusal(manager: SecretsManager) -> String {
    message(&manager.fetch().await.unwrap_err())
}

fn one() -> SecretsManager {
    SecretsManager::names(["app/prod/database"]).batch(false)
}

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

#[tokio::test]
async fn a_missing_secret_suggests_similar_names() {
    let fake = seeded();
    let elsewhere = "arn:aws:secretsmanager:us-east-1:123456789012:secret:app/prod/database-zzzzzz";
    let missing = |name: &str, like: &str| {
        format!(
            "secret `{name}`: there is no such secret in us-east-1 (GetSecretValue)\nhint: {like}{NO_SUCH_NAME}"
        )
    };
    let nothing = |prefix: &str, like: &str| {
        format!(
            "there is no secret at or below `{prefix}`\nhint: {like}check prefix, region and account; a secret created \
             in the last five minutes may not be listed yet"
        )
    };
    let named = |name: &str| SecretsManager::names([name.to_owned()]);
    for (manager, expected) in [
        (named("app/prod/databse"), missing("app/prod/databse", "there is `app/prod/database`; ")),
        (
            named("app/prd/JWT_SECRET"),
            missing("app/prd/JWT_SECRET", "there is `app/prod/jwt-secret`; "),
        ),
        (named("app/prod/sentry-dsn"), missing("app/prod/sentry-dsn", "")),
        (named("other"), missing("other", "")),
        (SecretsManager::prefix("app/prd"), nothing("app/prd", "there is `app/prod`; ")),
        (SecretsManager::prefix("other"), nothing("other", "")),
        (
            named(elsewhere),
            format!(
                "secret `{elsewhere}`: there is no such secret in us-east-1 (GetSecretValue)\n\
                 hint: check the ARN; a secret that was deleted and created again has another one"
            ),
        ),
    ] {
        assert_eq!(refusal(manager.client(fake.client())).await, expected);
    }
    let ours = "arn:aws:secretsmanager:us-east-1:123456789012:secret:app/prod/database-zzzzzz";
    for (arn, hint) in [
        (format!("{ours}:password::"), "`valueFrom` of an ECS task definition"),
        (ours.replace("us-east-1", "eu-west-1"), "of another region than the client's"),
    ] {
        let text = refusal(named(&arn).client(fake.client())).await;
        assert!(text.contains(hint), "{text}");
    }
    // If the names cannot be listed, the error is the same but for the suggestion.
    let expected = missing("app/prod/databse", "");
    fake.deny_action("ListSecrets");
    assert_eq!(refusal(named("app/prod/databse").client(fake.client())).await, expected);
    fake.allow_everything();
    let config = fake.sdk_config().to_builder().retry_config(RetryConfig::disabled()).build();
    fake.inject(Fault::throttled().on("ListSecrets"));
    assert_eq!(refusal(named("app/prod/databse").aws_config(&config)).await, expected);
}

#[tokio::test(start_paused = true)]
async fn a_failing_start_looks_up_similar_names_once_and_a_refresh_never() {
    let fake = seeded();
    let manager =
        SecretsManager::names(["app/prod/database", "app/prod/jwt-secret"]).client(fake.client());
    let builder = || secrets_only::<serde_json::Value>(manager.clone());
    let settings = builder().start().await.unwrap();
    assert_eq!(fake.calls("ListSecrets"), 0, "nothing is missing");
    fake.remove("app/prod/database");
    for _ in 0..3 {
        assert_eq!(settings.refresh().await.unwrap_err().kind(), ErrorKind::NotFound);
    }
    assert_eq!(fake.calls("ListSecrets"), 0, "a refresh lists nothing");

    // A start that does not need the missing secret lists nothing either.
    for manager in
        [manager.clone().optional(["app/prod/database"]), manager.clone().fallback_to_env()]
    {
        manager.fetch().await.unwrap();
    }
    assert_eq!(fake.calls("ListSecrets"), 0, "nothing failed");

    fake.put("app/prod/databases", "hunter2");
    let error = builder().start().await.unwrap_err();
    assert!(message(&error).contains("there is `app/prod/databases`"), "{error}");
    assert_eq!(fake.calls("ListSecrets"), 1);

    // A listing that hangs delays the error by three seconds at most.
    fake.inject(Fault::hang().on("ListSecrets"));
    let begun = tokio::time::Instant::now();
    builder().start().await.unwrap_err();
    assert_eq!(begun.elapsed(), Duration::from_secs(3));
    let begun = tokio::time::Instant::now();
    manager.clone().timeout(Duration::from_secs(1)).fetch().await.unwrap_err();
    assert_eq!(begun.elapsed(), Duration::from_secs(1));
}

/// Failures on the way to the service, and answers that are not valid.
#[tokio::test(start_paused = true)]
async fn each_outage_says_where_to_look() {
    for (fault, what, hint) in [
        (Fault::drop_connection(), "the endpoint cannot be reached", UNREACHABLE),
        (Fault::malformed_body(), "the answer is incomplete or not valid", IN_BETWEEN),
        (Fault::truncated_body(), "the answer is incomplete or not valid", IN_BETWEEN),
        (Fault::html(502), "failed with HTTP 502", IN_BETWEEN),
        (Fault::html(403), "failed with HTTP 403", IN_BETWEEN),
        (Fault::error("canary <html>", 400, "canary"), "failed with HTTP 400", IN_BETWEEN),
        (
            Fault::internal_error(),
            "failed (InternalServiceError)",
            "hint: AWS failed, and failed again when the SDK retried; the AWS Health Dashboard lists outages",
        ),
    ] {
        let fake = seeded();
        fake.inject(fault);
        assert_eq!(
            refusal(one().client(fake.client())).await,
            format!("secret `app/prod/database`: {what} (GetSecretValue)\n{hint}")
        );
    }
    let fake = seeded();
    fake.inject(Fault::hang().on("GetSecretValue"));
    assert_eq!(
        refusal(one().client(fake.client())).await,
        format!("secret `app/prod/database`: no answer within 30s\n{LATE}")
    );
    fake.inject(Fault::hang().on("ListSecrets"));
    assert_eq!(
        refusal(SecretsManager::prefix("app/prod").client(fake.client())).await,
        format!("the secrets below `app/prod` were not listed within 30s\n{LATE}")
    );
}

/// Known secrets are read even if names cannot be listed, so the listing has half of the time.
#[tokio::test(start_paused = true)]
async fn an_error_names_the_time_that_was_waited() {
    let fake = seeded();
    let manager = SecretsManager::prefix("app/prod").client(fake.client());
    let settings: Live<serde_json::Value> =
        manager.timeout(Duration::from_secs(6)).live().await.unwrap();
    let listing = fake.inject(Fault::hang().on("ListSecrets"));
    let error = settings.refresh().await.unwrap_err();
    let late = "the secrets below `app/prod` were not listed within 3s";
    assert!(error.to_string().contains(late), "{error}");
    fake.inject(Fault::hang());
    let error = settings.refresh().await.unwrap_err();
    let late = "secret `app/prod/database`: no answer within 3s";
    assert!(error.to_string().contains(late), "{error}");
    fake.remove_fault(listing);
}

/// An answer without a list does not say that there are no secrets.
#[tokio::test(start_paused = true)]
async fn an_empty_answer_to_a_listing_is_an_outage() {
    for body in ["", "{}", r#"{"SecretList": null}"#] {
        for status in [200, 204] {
            let fake = seeded();
            fake.inject(Fault::answer(status, body).on("ListSecrets"));
            let manager = || SecretsManager::prefix("app/prod").client(fake.client());
            let error = manager().fetch().await.unwrap_err();
            assert_eq!(error.kind(), ErrorKind::Unavailable, "{status} {body}");
            assert_eq!(
                message(&error),
                format!("ListSecrets: the answer lacks its list of secrets\n{IN_BETWEEN}")
            );
            manager().fallback_to_env().fetch().await.unwrap();
        }
    }
    let fake = seeded();
    fake.inject(Fault::answer(200, r#"{"SecretList": []}"#).on("ListSecrets"));
    let manager = SecretsManager::prefix("app/prod").client(fake.client());
    assert_eq!(manager.fetch().await.unwrap_err().kind(), ErrorKind::NotFound);
}

#[tokio::test]
async fn an_endpoint_without_a_server_is_reported_as_unreachable() {
    let fake = FakeSecretsManager::start().await.unwrap();
    let config =
        end_to_end::config(&fake.endpoint_url()).retry_config(RetryConfig::disabled()).build();
    fake.stop().await;
    let client = aws_sdk_secretsmanager::Client::from_conf(config);
    assert_eq!(
        refusal(SecretsManager::names(["a", "b"]).client(client)).await,
        format!("BatchGetSecretValue: the endpoint refuses connections\n{UNREACHABLE}")
    );
}

/// A credentials provider that fails with this error.
#[derive(Debug)]
struct Failing(fn() -> CredentialsError);

impl ProvideCredentials for Failing {
    fn provide_credentials<'a>(&'a self) -> future::ProvideCredentials<'a>
    where
        Self: 'a,
    {
        future::ProvideCredentials::ready(Err(self.0()))
    }
}

#[tokio::test(start_paused = true)]
async fn an_unusable_sdk_configuration_names_what_is_missing() {
    let fake = seeded();
    let config = || fake.sdk_config().to_builder();
    let region =
        |region: Option<&'static str>| config().region(region.map(Region::from_static)).build();
    let failing = |error| {
        let provider = SharedCredentialsProvider::new(Failing(error));
        config().credentials_provider(provider).build()
    };
    let mut without = config();
    without.set_credentials_provider(None);
    for (about, config, expected) in [
        (
            "no region",
            region(None),
            "the given AWS configuration has no region\n\
             hint: set `region` in the `SdkConfig` or client, such as with `aws_config::from_env().region(..)`"
                .to_owned(),
        ),
        (
            "a region that does not exist",
            region(Some("Frankfurt am Main")),
            "secret `app/prod/database`: the request cannot be built (GetSecretValue)\n\
             hint: check the region's name and the endpoint's URL"
                .to_owned(),
        ),
        (
            "no credentials provider",
            without.build(),
            "secret `app/prod/database`: the given AWS configuration has no credentials (GetSecretValue)\n\
             hint: give it a credentials provider; `aws_config::load_defaults` sets one"
                .to_owned(),
        ),
        (
            "no credentials",
            failing(|| CredentialsError::not_loaded("canary")),
            format!("secret `app/prod/database`: no AWS credentials were found (GetSecretValue)\n{CHAIN}"),
        ),
        (
            "a bad profile",
            failing(|| CredentialsError::invalid_configuration("canary")),
            format!(
                "secret `app/prod/database`: the configuration of AWS credentials is not valid (GetSecretValue)\n\
                 {CHAIN}"
            ),
        ),
        (
            "a provider that is down",
            failing(|| CredentialsError::provider_error("canary")),
            format!("secret `app/prod/database`: AWS credentials could not be loaded (GetSecretValue)\n{CHAIN}"),
        ),
        (
            "a provider that is slow",
            failing(|| CredentialsError::provider_timed_out(Duration::from_secs(5))),
            format!("secret `app/prod/database`: AWS credentials were not loaded in time (GetSecretValue)\n{CHAIN}"),
        ),
    ] {
        assert_eq!(refusal(one().aws_config(&config)).await, expected, "{about}");
    }
    let denied = Credentials::new("canary", "canary", None, None, "test");
    assert!(
        !format!(
            "{:?}",
            one().aws_config(
                &config().credentials_provider(SharedCredentialsProvider::new(denied)).build()
            )
        )
        .contains("canary")
    );
}

/// The SDK reads the process environment, so this runs in a process of its own.
#[test]
fn a_missing_region_or_missing_credentials_name_where_the_sdk_looked() {
    let folder = tempfile::tempdir().unwrap();
    for (region, expected) in [
        (
            None,
            "no AWS region is configured\n\
             hint: set AWS_REGION; the SDK also reads AWS_DEFAULT_REGION, `region` of the AWS profile, and the instance's metadata"
                .to_owned(),
        ),
        (Some("us-east-1"), format!("BatchGetSecretValue: no AWS credentials were found\n{CHAIN}")),
    ] {
        let mut command = Command::new(std::env::current_exe().unwrap());
        command.args(["errors::in_an_empty_environment", "--exact", "--ignored", "--nocapture"]);
        command.env_clear().env("HOME", folder.path()).env("AWS_EC2_METADATA_DISABLED", "true");
        command.envs(region.map(|region| ("AWS_REGION", region)));
        let output = command.output().unwrap();
        let text = String::from_utf8_lossy(&output.stdout);
        assert!(text.contains(&format!("<<{expected}>>")), "{text}");
    }
}

/// An endpoint that answers without TLS where TLS is asked for.
#[tokio::test(flavor = "multi_thread")]
async fn an_endpoint_without_tls_is_named_as_such() {
    let fake = FakeSecretsManager::start().await.unwrap();
    let url = fake.endpoint_url().replace("http://", "https://");
    let config = end_to_end::config(&url).retry_config(RetryConfig::disabled()).build();
    let client = aws_sdk_secretsmanager::Client::from_conf(config);
    let error = SecretsManager::names(["a"]).client(client).fetch().await.unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Config);
    assert!(message(&error).contains("the endpoint does not speak TLS"), "{error}");
    assert!(error.hint().unwrap().contains("`http://`"), "{error}");
}

#[test]
#[ignore = "run by the test above, in an environment of its own"]
#[allow(clippy::print_stdout, reason = "the test above reads it")]
fn in_an_empty_environment() {
    let error = SecretsManager::names(["a", "b"]).fetch_blocking().unwrap_err();
    println!("<<{}>>", message(&error));
}

/// Metadata that cannot be asked is no news where the error says that there is no region.
#[test]
fn the_sdks_warning_about_a_region_from_metadata_is_not_logged() {
    let folder = tempfile::tempdir().unwrap();
    let mut command = Command::new(std::env::current_exe().unwrap());
    command.args(["errors::logged_without_a_region", "--exact", "--ignored", "--nocapture"]);
    // Nothing listens there.
    let nowhere = ("AWS_EC2_METADATA_SERVICE_ENDPOINT", "http://127.0.0.1:1");
    let output = command.env_clear().env("HOME", folder.path()).envs([nowhere]).output().unwrap();
    let text = String::from_utf8_lossy(&output.stdout);
    let text = text.split("<<").nth(1).unwrap_or_else(|| panic!("{text}"));
    assert!(text.contains("no AWS region is configured"), "{text}");
    let warnings: Vec<_> = text.lines().filter(|line| line.contains(" WARN ")).collect();
    assert!(warnings.is_empty(), "{warnings:#?}");
    // What else the SDK logs is still there, within its spans.
    assert!(text.contains("imds_load_region"), "{text}");
}

#[tokio::test]
#[ignore = "run by the test above, in an environment of its own"]
#[allow(clippy::print_stdout, reason = "the test above reads it")]
async fn logged_without_a_region() {
    let (log, _logging) = end_to_end::Log::start();
    let error = SecretsManager::names(["a"]).fetch().await.unwrap_err();
    println!("<<{}\n{}", message(&error), log.text());
}

fn assembled(secrets: &[(&str, String)]) -> Result<secrets_provider::Snapshot, Error> {
    let memory = Memory::new();
    for (name, text) in secrets {
        memory.put(name, text);
    }
    SecretsManager::prefix("app").backend(memory).fetch_blocking()
}

#[test]
fn secrets_that_cannot_be_placed_say_why() {
    let root = "a secret whose name is the prefix (or that is renamed to the root) has no key of its own: store a JSON object, \
                or give it a key with `.rename(..)`";
    let deep = format!(
        "{}{}",
        r#"{"hunter2": "#.repeat(65).replace("hunter2", "k"),
        "1".to_owned() + &"}".repeat(65)
    );
    for (secrets, expected) in [
        (
            vec![("app", "hunter2".to_owned())],
            format!("secret `app`: expected a JSON object, found text\nhint: {root}"),
        ),
        (
            vec![("app", "{\n  \"password\": hunter2\n}".to_owned())],
            format!(
                "secret `app`: expected a JSON object, found invalid JSON at line 2, column 15\nhint: {root}"
            ),
        ),
        (
            vec![("app/db", r#"{"a": {"B__PORT": "hunter2", "b": {"port": 2}}}"#.to_owned())],
            "secret `app/db`: the JSON object has a key twice\nhint: a key in SCREAMING_CASE is read as its name in \
             lower case, nested at `__`: keep one of the two"
                .to_owned(),
        ),
        (
            vec![("app/db", deep)],
            "secret `app/db`: the JSON object nests deeper than 64 levels".to_owned(),
        ),
        (
            vec![
                ("app/db", r#"{"url": "hunter2"}"#.to_owned()),
                ("app/db/url", "hunter2".to_owned()),
            ],
            "secrets `app/db` and `app/db/url` both define the key `db.url`\n\
             hint: remove one of them, or move one to another key with `.rename(..)`"
                .to_owned(),
        ),
    ] {
        assert_eq!(message(&assembled(&secrets).unwrap_err()), expected);
    }
}

#[derive(Debug, Deserialize)]
#[allow(dead_code, reason = "the tests read the error, not the settings")]
struct Settings {
    database: Endpoint,
    token: String,
}

#[test]
fn settings_that_do_not_fit_name_the_key_and_its_layer() {
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join(".env");
    struct Case {
        about: &'static str,
        /// The secret `app/database`.
        secret: &'static str,
        dotenv: &'static str,
        expected: &'static str,
    }
    for Case { about, secret, dotenv, expected } in [
        Case {
            about: "invalid JSON for a table",
            secret: "{\"host\": \"h\",\n \"port\": hunter2}",
            dotenv: "TOKEN=t",
            expected: "invalid value for key `database`: expected a table, but the text is not valid JSON at line 2, \
             column 10 (secret `app/database`, version `v1`)",
        },
        Case {
            about: "plain text for a table",
            secret: "hunter2",
            dotenv: "TOKEN=t",
            expected: "invalid value for key `database`: expected a table, found text that does not fit (secret `app/database`, \
             version `v1`)",
        },
        Case {
            about: "a missing key",
            secret: r#"{"host": "h", "port": 1}"#,
            dotenv: "",
            expected: "key `token` is missing\n\
             hint: add it to a secret, or set the variable `TOKEN` in the environment or the \
             `.env` file",
        },
        Case {
            about: "a wrong value in `.env`",
            secret: r#"{"host": "h"}"#,
            dotenv: "TOKEN=t\nDATABASE__PORT=hunter2",
            expected: "invalid value for key `database.port`: expected u16, found text that does not fit (variable `DATABASE__PORT` \
             of `FILE`)",
        },
        Case {
            about: "an invalid line in `.env`",
            secret: r#"{"host": "h"}"#,
            dotenv: "TOKEN=t\nhunter2",
            expected: "`FILE`, line 2: expected `NAME=value`\n\
             hint: put single quotes around a value that contains spaces, `#`, `$`, quotes or a backslash",
        },
    ] {
        std::fs::write(&file, dotenv).unwrap();
        let secrets = assembled(&[("app/database", secret.to_owned())]).unwrap();
        let error =
            Layers::new().dotenv(&file).secrets(&secrets).extract::<Settings>().unwrap_err();
        assert_eq!(
            message(&error).replace(&file.display().to_string(), "FILE"),
            expected,
            "{about}"
        );
    }
}
