//! Helpers for all cases.

use aws_sdk_secretsmanager::Client;
use aws_sdk_secretsmanager::config::BehaviorVersion;
use aws_sdk_secretsmanager::error::{ProvideErrorMetadata, SdkError};
use fake_secrets_manager::FakeSecretsManager;

/// Runs one case twice: in-process, and over the socket.
pub(crate) async fn on_both_roads(case: impl AsyncFn(FakeSecretsManager, Client)) {
    let fake = FakeSecretsManager::new();
    let client = fake.client();
    case(fake, client).await;

    let fake = FakeSecretsManager::start().await.expect("serve");
    let client = socket_client(&fake).await;
    case(fake.clone(), client).await;
    assert_ne!(fake.connections(), 0, "the socket was used");
}

/// A client with the SDK's own HTTP client, as users have it.
pub(crate) async fn socket_client(fake: &FakeSecretsManager) -> Client {
    let credentials = fake.sdk_config().credentials_provider().expect("credentials");
    // The client reads neither `AWS_*` variables nor a profile.
    let config = aws_sdk_secretsmanager::Config::builder()
        .behavior_version(BehaviorVersion::latest())
        .region(fake.sdk_config().region().cloned())
        .credentials_provider(credentials)
        .endpoint_url(fake.endpoint_url())
        .build();
    Client::from_conf(config)
}

/// The code and the message of an error that the service answered.
pub(crate) fn refusal<T, E>(result: Result<T, SdkError<E>>) -> (String, String)
where
    E: ProvideErrorMetadata + std::fmt::Debug,
{
    match result {
        Ok(_) => panic!("the call was expected to fail"),
        Err(SdkError::ServiceError(error)) => (
            error.err().code().unwrap_or_default().to_owned(),
            error.err().message().unwrap_or_default().to_owned(),
        ),
        Err(other) => panic!("not an answer of the service: {other:?}"),
    }
}

pub(crate) fn code<T, E>(result: Result<T, SdkError<E>>) -> String
where
    E: ProvideErrorMetadata + std::fmt::Debug,
{
    refusal(result).0
}

/// The text of the version with a label, or the code of the error.
pub(crate) async fn text(client: &Client, name: &str, label: &str) -> String {
    let answer = client.get_secret_value().secret_id(name).version_stage(label).send().await;
    match answer {
        Ok(answer) => answer.secret_string().expect("a text").to_owned(),
        error => code(error),
    }
}

/// The request token for a short name.
pub(crate) fn token(name: &str) -> String {
    format!("{name:-<32}")
}
