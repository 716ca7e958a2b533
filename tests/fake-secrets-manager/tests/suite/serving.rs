//! Sockets, connections and counts.

use std::time::Duration;

use aws_sdk_secretsmanager::Client;
use aws_sdk_secretsmanager::config::retry::RetryConfig;
use aws_sdk_secretsmanager::error::SdkError;
use fake_secrets_manager::{FakeSecretsManager, Fault};
use tokio::io::AsyncReadExt as _;
use tokio::net::TcpStream;

use crate::support::{on_both_roads, socket_client, text};

async fn one_attempt(fake: &FakeSecretsManager) -> Client {
    let client = socket_client(fake).await;
    let config = client.config().to_builder().retry_config(RetryConfig::disabled());
    Client::from_conf(config.build())
}

fn address(fake: &FakeSecretsManager) -> String {
    fake.endpoint_url().strip_prefix("http://").expect("a plain URL").to_owned()
}

#[tokio::test]
async fn a_connection_is_kept_open() {
    let fake = FakeSecretsManager::start().await.expect("serve");
    fake.put("s", "x");
    let client = socket_client(&fake).await;
    assert_eq!(text(&client, "s", "AWSCURRENT").await, "x");
    assert_eq!(text(&client, "missing", "AWSCURRENT").await, "ResourceNotFoundException");
    assert_eq!(text(&client, "s", "AWSCURRENT").await, "x");
    assert_eq!(fake.calls("GetSecretValue"), 3);
    assert_eq!(fake.connections(), 1);
}

#[tokio::test]
async fn calls_are_counted_by_operation() {
    on_both_roads(async |fake, client| {
        fake.put("s", "x");
        assert_eq!(fake.total_calls(), 0, "seeding is no call");
        text(&client, "s", "AWSCURRENT").await;
        text(&client, "missing", "AWSCURRENT").await;
        client.list_secrets().send().await.expect("list");
        assert_eq!(fake.calls("GetSecretValue"), 2);
        assert_eq!(fake.calls("secretsmanager:ListSecrets"), 1);
        assert_eq!(fake.calls("BatchGetSecretValue"), 0);
        assert_eq!(fake.total_calls(), 3);
        fake.reset_calls();
        assert_eq!(fake.total_calls(), 0);
    })
    .await;
}

#[tokio::test]
async fn a_call_is_waited_for() {
    on_both_roads(async |fake, client| {
        fake.inject(Fault::hang());
        let hanging = tokio::spawn(async move {
            let call = client.get_secret_value().secret_id("s");
            let _never = call.send().await;
        });
        fake.wait_for_calls("GetSecretValue", 1).await;
        assert_eq!(fake.calls("GetSecretValue"), 1);
        hanging.abort();
    })
    .await;
}

#[tokio::test]
async fn a_stopped_fake_refuses_connections_and_keeps_its_secrets() {
    let fake = FakeSecretsManager::start().await.expect("serve");
    fake.put("s", "x");
    let url = fake.endpoint_url();
    let client = one_attempt(&fake).await;
    assert_eq!(text(&client, "s", "AWSCURRENT").await, "x");
    let mut open = TcpStream::connect(address(&fake)).await.expect("connect");

    fake.stop().await;
    assert!(matches!(open.read(&mut [0]).await, Ok(0) | Err(_)), "open connections are closed");
    let refused = TcpStream::connect(address(&fake)).await.expect_err("refused");
    assert_eq!(refused.kind(), std::io::ErrorKind::ConnectionRefused);
    let error = client.get_secret_value().secret_id("s").send().await.expect_err("refused");
    assert!(matches!(error, SdkError::DispatchFailure(_)), "{error:?}");
    assert_eq!(text(&fake.client(), "s", "AWSCURRENT").await, "x", "in-process goes on");

    fake.serve_again().await.expect("serve again");
    assert_eq!(fake.endpoint_url(), url);
    assert_eq!(text(&client, "s", "AWSCURRENT").await, "x");
}

#[tokio::test]
async fn stopping_ends_a_call_that_hangs() {
    let fake = FakeSecretsManager::start().await.expect("serve");
    fake.inject(Fault::hang());
    let client = one_attempt(&fake).await;
    let call = tokio::spawn(async move { client.list_secrets().send().await });
    fake.wait_for_calls("ListSecrets", 1).await;
    fake.stop().await;
    let error = call.await.expect("no panic").expect_err("cut off");
    assert!(matches!(error, SdkError::DispatchFailure(_)), "{error:?}");
}

#[tokio::test]
async fn dropping_the_last_handle_stops_the_server() {
    let fake = FakeSecretsManager::start().await.expect("serve");
    let address = address(&fake);
    let in_process = fake.client();
    let clone = fake.clone();
    drop(fake);
    let mut open = TcpStream::connect(&address).await.expect("a clone is left");
    drop(clone);
    assert!(matches!(open.read(&mut [0]).await, Ok(0) | Err(_)), "the connection is closed");
    TcpStream::connect(&address).await.expect_err("refused");
    in_process.list_secrets().send().await.expect("a client keeps the secrets, not the server");
}

#[tokio::test]
async fn a_fake_without_a_server_serves_on_demand() {
    let fake = FakeSecretsManager::new();
    fake.put("s", "x");
    fake.serve_again().await.expect("serve");
    let client = socket_client(&fake).await;
    assert_eq!(text(&client, "s", "AWSCURRENT").await, "x");
}

#[test]
#[should_panic(expected = "never served")]
fn a_fake_without_a_server_has_no_endpoint() {
    let _ = FakeSecretsManager::new().endpoint_url();
}

#[tokio::test]
async fn a_dropped_connection_costs_only_itself() {
    let fake = FakeSecretsManager::start().await.expect("serve");
    fake.put("s", "x");
    fake.inject(Fault::drop_connection().times(1));
    let client = socket_client(&fake).await;
    assert_eq!(text(&client, "s", "AWSCURRENT").await, "x", "the SDK tries again");
    assert_eq!(fake.calls("GetSecretValue"), 2);
    assert_eq!(fake.connections(), 2);
}

#[tokio::test(start_paused = true)]
async fn waiting_costs_no_time() {
    let fake = FakeSecretsManager::new();
    let wait = fake.wait_for_calls("ListSecrets", 1);
    let waited = tokio::time::timeout(Duration::from_secs(3600), wait).await;
    assert!(waited.is_err(), "no call came in an hour of the paused clock");
}
