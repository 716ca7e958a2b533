//! Secrets that do not exist, and the names that are similar.

use std::time::Duration;

use aws_sdk_secretsmanager::config::retry::RetryConfig;
use fake_secrets_manager::Fault;
use secrets_provider::{ErrorKind, SecretsManager};

use super::{NO_SUCH_NAME, message, refusal, seeded};
use crate::fixtures::secrets_only;

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
