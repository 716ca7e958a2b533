//! No answer, or none that can be used.

use std::time::Duration;

use aws_sdk_secretsmanager::config::retry::RetryConfig;
use fake_secrets_manager::{FakeSecretsManager, Fault};
use secrets_provider::{ErrorKind, Live, SecretsManager};

use super::{IN_BETWEEN, LATE, UNREACHABLE, message, one, refusal, seeded};

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
