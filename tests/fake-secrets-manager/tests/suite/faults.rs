//! Each fault, and how the SDK sees it.

use std::time::{Duration, SystemTime};

use aws_sdk_secretsmanager::Client;
use aws_sdk_secretsmanager::config::retry::RetryConfig;
use aws_sdk_secretsmanager::config::timeout::TimeoutConfig;
use aws_sdk_secretsmanager::error::{ProvideErrorMetadata, SdkError};
use aws_smithy_async::time::TimeSource;
use aws_smithy_types::retry::ErrorKind;
use fake_secrets_manager::{FakeSecretsManager, Fault};
use tokio::time::Instant;

use crate::support::{code, on_both_roads};

/// The same client without retries.
fn once(client: &Client) -> Client {
    let config = client.config().to_builder().retry_config(RetryConfig::disabled());
    Client::from_conf(config.build())
}

/// The variant, status and code of the result of a read.
async fn seen(client: &Client, name: &str) -> String {
    match client.get_secret_value().secret_id(name).send().await {
        Ok(_) => "ok".to_owned(),
        // In-process it is an I/O error; over the socket the SDK reports the cut answer
        // differently.
        Err(SdkError::DispatchFailure(error))
            if error.is_io() || error.as_other() == Some(ErrorKind::TransientError) =>
        {
            "cut".to_owned()
        }
        Err(SdkError::ResponseError(error)) => format!("response {}", error.raw().status()),
        Err(SdkError::ServiceError(error)) => {
            format!("service {} {}", error.raw().status(), error.err().code().unwrap_or("-"))
        }
        Err(other) => format!("{other}"),
    }
}

#[tokio::test]
async fn the_sdk_reports_each_fault() {
    on_both_roads(async |fake, client| {
        let client = once(&client);
        fake.put("s", "a value that is long enough to be cut in two");
        for (fault, expected) in [
            (Fault::drop_connection(), "cut"),
            (Fault::malformed_body(), "service 200 -"),
            (Fault::truncated_body(), "response 200"),
            (Fault::throttled(), "service 400 ThrottlingException"),
            (Fault::internal_error(), "service 500 InternalServiceError"),
            (Fault::unavailable(), "service 503 ServiceUnavailable"),
            (Fault::html(502), "service 502 -"),
            (Fault::error("Odd", 418, "?"), "service 418 Odd"),
            (Fault::answer(400, r#"{"__type": "Odder"}"#), "service 400 Odder"),
            (Fault::answer(200, r#"{"SecretString": "half"#), "service 200 -"),
            (Fault::slow(Duration::ZERO), "ok"),
        ] {
            let shown = format!("{fault:?}");
            let id = fake.inject(fault);
            assert_eq!(seen(&client, "s").await, expected, "{shown}");
            fake.remove_fault(id);
            assert_eq!(seen(&client, "s").await, "ok", "after {shown}");
        }
    })
    .await;
}

#[tokio::test]
async fn faults_are_narrowed_and_end() {
    on_both_roads(async |fake, client| {
        let client = once(&client);
        fake.put("a", "x");
        fake.put("b", "x");
        let throttled = "service 400 ThrottlingException";

        fake.inject(Fault::throttled().on("secretsmanager:GetSecretValue").times(2));
        client.list_secrets().send().await.expect("another operation");
        for expected in [throttled, throttled, "ok"] {
            assert_eq!(seen(&client, "a").await, expected);
        }

        fake.inject(Fault::throttled().for_secret("a"));
        assert_eq!(seen(&client, "a").await, throttled);
        assert_eq!(seen(&client, &fake.arn("a")).await, throttled);
        assert_eq!(seen(&client, "b").await, "ok");
        let batch = client.batch_get_secret_value().secret_id_list("b").secret_id_list("a");
        assert_eq!(code(batch.send().await), "ThrottlingException");

        fake.inject(Fault::internal_error().for_secret(&fake.arn("b")));
        assert_eq!(seen(&client, "b").await, "service 500 InternalServiceError");
        fake.clear_faults();
        assert_eq!(seen(&client, "a").await, "ok");
        assert_eq!(seen(&client, "b").await, "ok");
    })
    .await;
}

#[tokio::test]
async fn a_seeded_probability_is_kept_and_repeatable() {
    let run = async || {
        let fake = FakeSecretsManager::new();
        fake.put("s", "x");
        fake.inject(Fault::unavailable().with_probability(0.3));
        let client = once(&fake.client());
        let mut failed = Vec::new();
        for _ in 0..200 {
            failed.push(seen(&client, "s").await != "ok");
        }
        failed
    };
    let failed = run().await;
    let count = failed.iter().filter(|failed| **failed).count();
    assert!((40..=80).contains(&count), "{count} of 200");
    assert_eq!(run().await, failed, "the same in each run");
}

#[tokio::test(start_paused = true)]
async fn the_sdk_retries_what_passes() {
    let fake = FakeSecretsManager::new();
    fake.put("s", "x");
    let client = fake.client();
    for (fault, calls) in [
        (Fault::throttled(), 3),
        (Fault::drop_connection(), 3),
        (Fault::truncated_body(), 3),
        (Fault::html(502), 3),
        (Fault::error("AccessDeniedException", 400, "no"), 1),
    ] {
        fake.inject(fault.clone().times(2));
        fake.reset_calls();
        let outcome = seen(&client, "s").await;
        assert_eq!(fake.calls("GetSecretValue"), calls, "{fault:?}: {outcome}");
        assert_eq!(outcome == "ok", calls == 3, "{fault:?}: {outcome}");
        fake.clear_faults();
    }
}

#[tokio::test(start_paused = true)]
async fn a_hang_ends_with_the_operation_timeout() {
    let fake = FakeSecretsManager::new();
    fake.put("s", "x");
    fake.inject(Fault::hang());
    let limit = Duration::from_secs(30);
    let timeouts = TimeoutConfig::builder().operation_timeout(limit).build();
    let config = fake.client().config().to_builder().timeout_config(timeouts).build();
    let client = Client::from_conf(config);
    let began = Instant::now();
    let error = client.get_secret_value().secret_id("s").send().await.expect_err("a timeout");
    assert!(matches!(error, SdkError::TimeoutError(_)), "{error:?}");
    assert_eq!(began.elapsed().as_secs(), limit.as_secs());
}

#[tokio::test(start_paused = true)]
async fn slowness_adds_up_on_the_paused_clock() {
    let fake = FakeSecretsManager::new();
    fake.put("s", "x");
    fake.inject(Fault::slow(Duration::from_secs(40)));
    fake.inject(Fault::slow(Duration::from_secs(20)));
    fake.inject(Fault::throttled());
    let began = Instant::now();
    let client = once(&fake.client());
    assert_eq!(seen(&client, "s").await, "service 400 ThrottlingException");
    assert_eq!(began.elapsed().as_secs(), 60);
}

/// The date on tokio's clock.
#[derive(Debug)]
struct TokioTime(SystemTime, Instant);

impl TimeSource for TokioTime {
    fn now(&self) -> SystemTime {
        self.0 + self.1.elapsed()
    }
}

/// The SDK gives up after some seconds if it takes the upload to be stuck: what waits for long, such
/// as a long poll, has read the whole request before.
#[tokio::test(start_paused = true)]
async fn a_slow_answer_is_no_stuck_upload() {
    let fake = FakeSecretsManager::new();
    fake.put("s", "x");
    fake.inject(Fault::slow(Duration::from_secs(60)));
    let time = TokioTime(SystemTime::now(), Instant::now());
    let config = fake.client().config().to_builder().time_source(time).build();
    let client = Client::from_conf(config);
    assert_eq!(seen(&client, "s").await, "ok");
    assert_eq!(fake.calls("GetSecretValue"), 1);
}

#[tokio::test(start_paused = true)]
async fn a_quota_fills_up_again() {
    let fake = FakeSecretsManager::new();
    fake.put("s", "x");
    fake.throttle_quota("GetSecretValue", 2);
    let client = once(&fake.client());
    let throttled = "service 400 ThrottlingException";
    for expected in ["ok", "ok", throttled] {
        assert_eq!(seen(&client, "s").await, expected);
    }
    client.list_secrets().send().await.expect("another operation has its own quota");
    tokio::time::advance(Duration::from_millis(500)).await;
    for expected in ["ok", throttled] {
        assert_eq!(seen(&client, "s").await, expected);
    }
    tokio::time::advance(Duration::from_secs(60)).await;
    for expected in ["ok", "ok", throttled] {
        assert_eq!(seen(&client, "s").await, expected, "room for one second only");
    }
    fake.clear_faults();
    assert_eq!(seen(&client, "s").await, "ok");
}

#[tokio::test(start_paused = true)]
async fn operations_share_a_quota_and_what_it_refuses_is_counted() {
    let fake = FakeSecretsManager::new();
    fake.put("s", "x");
    fake.throttle_quota_together(&["GetSecretValue", "DescribeSecret"], 2);
    let client = once(&fake.client());
    assert_eq!(seen(&client, "s").await, "ok");
    client.describe_secret().secret_id("s").send().await.expect("the second of two");
    assert_eq!(seen(&client, "s").await, "service 400 ThrottlingException");
    // Another quota of one of them takes it out of the first.
    fake.throttle_quota("GetSecretValue", 1);
    assert_eq!(seen(&client, "s").await, "ok");
    client.describe_secret().secret_id("s").send().await.expect_err("the third of two");
    let throttled = ["GetSecretValue", "DescribeSecret", "ListSecrets"];
    assert_eq!(throttled.map(|operation| fake.throttled_calls(operation)), [1, 1, 0]);
}

#[tokio::test]
async fn a_dropped_connection_changes_nothing_but_a_truncated_answer_does() {
    on_both_roads(async |fake, client| {
        let client = once(&client);
        let create = |name: &str| client.create_secret().name(name).secret_string("x").send();
        fake.inject(Fault::drop_connection().times(1));
        assert!(create("dropped").await.is_err());
        fake.inject(Fault::truncated_body().times(1));
        assert!(create("truncated").await.is_err());
        assert_eq!(seen(&client, "dropped").await, "service 400 ResourceNotFoundException");
        assert_eq!(seen(&client, "truncated").await, "ok");
    })
    .await;
}
