//! The product over the fake and over moto, while the real `aws` client rotates its secrets.

use aws_config::{BehaviorVersion, Region, SdkConfig};
use aws_sdk_secretsmanager::config::{Credentials, SharedCredentialsProvider};
use end_to_end::NEVER;
use end_to_end::external::Aws;
use figment::Figment;
use figment::providers::Env;
use secrets_provider::{Dotenv, ErrorKind, Live, SecretsManager};

use crate::fixtures::{Settings, secrets_only};
use crate::peer::Peer;

const FIRST: [&str; 3] = ["user-1", "password-1", "jwt-1"];
const SECOND: [&str; 3] = ["user-2", "password-2", "jwt-2"];

/// The configuration of the SDK as a service loads it, except for the endpoint.
async fn sdk_config(peer: &Peer) -> SdkConfig {
    aws_config::defaults(BehaviorVersion::v2026_01_12())
        .region(Region::from_static("us-east-1"))
        .credentials_provider(SharedCredentialsProvider::new(Credentials::new(
            "test", "test", None, None, "test",
        )))
        .endpoint_url(&peer.endpoint_url)
        .load()
        .await
}

/// Creates our secrets with the `aws` client, and others whose names start like our prefix.
async fn seed(peer: &Peer) -> Aws {
    let aws = Aws::new(&peer.endpoint_url);
    for (name, text) in [
        ("gaara/prod/database", r#"{"username": "user-1", "password": "password-1"}"#),
        ("gaara/prod/jwt-secret", "jwt-1"),
        ("gaara/production/database", "a neighbour's"),
        ("gaara/prod2", "a neighbour's"),
    ] {
        aws.run(["create-secret", "--name", name, "--secret-string", text]).await;
    }
    aws
}

async fn rotate(aws: &Aws) {
    for (name, text) in [
        ("gaara/prod/database", r#"{"username": "user-2", "password": "password-2"}"#),
        ("gaara/prod/jwt-secret", "jwt-2"),
    ] {
        aws.run(["put-secret-value", "--secret-id", name, "--secret-string", text]).await;
    }
}

async fn manager(peer: &Peer) -> SecretsManager {
    SecretsManager::prefix("gaara/prod").aws_config(&sdk_config(peer).await)
}

/// Live settings that refresh only on request: the first refresh comes at a random time within the
/// interval, and the `aws` client takes long between two calls.
async fn start(manager: SecretsManager) -> Live<Settings> {
    secrets_only(manager).refresh_every(NEVER).start().await.unwrap()
}

async fn a_rotation_of_two_secrets_is_one_generation(peer: Peer) {
    let aws = seed(&peer).await;
    let live = start(manager(&peer).await).await;
    assert_eq!(live.load().all(), FIRST);
    assert_eq!(live.status().generation(), 1);
    let status = live.status();
    let names: Vec<_> = status.secrets().iter().map(|secret| secret.name()).collect();
    assert_eq!(names, ["gaara/prod/database", "gaara/prod/jwt-secret"], "no other secret");

    let unchanged = live.refresh().await.unwrap();
    assert_eq!((unchanged.changed(), unchanged.generation()), (false, 1));
    let (held, mut changes) = (live.current(), live.changes());
    rotate(&aws).await;
    let refreshed = live.refresh().await.unwrap();
    assert_eq!((refreshed.changed(), refreshed.generation()), (true, 2));
    assert_eq!(live.load().all(), SECOND);
    assert_eq!(held.all(), FIRST, "a held generation does not change");
    let change = changes.next().await.unwrap();
    assert_eq!(change.generation(), 2);
    assert_eq!(change.keys(), ["database.password", "database.username", "jwt_secret"]);
    assert!(live.status().last_error().is_none());

    // Batches read the secrets, and no single call was needed.
    assert_eq!(peer.calls("BatchGetSecretValue").await, 3);
    assert_eq!(peer.calls("GetSecretValue").await, 0);
}

async fn single_calls_work_like_batches(peer: Peer) {
    let aws = seed(&peer).await;
    let live = start(manager(&peer).await.batch(false)).await;
    assert_eq!(live.load().all(), FIRST);
    rotate(&aws).await;
    assert_eq!(live.refresh().await.unwrap().generation(), 2);
    assert_eq!(live.load().all(), SECOND);
    assert_eq!(peer.calls("BatchGetSecretValue").await, 0);
    assert_eq!(peer.calls("GetSecretValue").await, 4);
}

/// `merge` is synchronous and blocks the thread of the test, so another thread serves the fake.
async fn figment_merges_inside_a_runtime(peer: Peer) {
    seed(&peer).await;
    let figment =
        Figment::new().merge(Dotenv::file(".env")).merge(Env::raw()).merge(manager(&peer).await);
    assert_eq!(figment.extract::<Settings>().unwrap().all(), FIRST);
}

async fn a_secret_deleted_by_the_client_keeps_its_last_value(peer: Peer) {
    let aws = seed(&peer).await;
    let live = start(manager(&peer).await).await;
    rotate(&aws).await;
    aws.run(["delete-secret", "--secret-id", "gaara/prod/jwt-secret"]).await;
    let error = live.refresh().await.unwrap_err();
    assert_eq!(error.secret(), Some("gaara/prod/jwt-secret"));
    assert_eq!(
        error.kind(),
        ErrorKind::PendingDeletion,
        "AWS's words and moto's both speak of deletion"
    );
    assert_eq!(live.load().all(), ["user-2", "password-2", "jwt-1"], "the others change");

    aws.run(["restore-secret", "--secret-id", "gaara/prod/jwt-secret"]).await;
    live.refresh().await.unwrap();
    assert_eq!(live.load().all(), SECOND);
}

mod fake {
    use super::Peer;

    #[tokio::test]
    async fn a_rotation_of_two_secrets_is_one_generation() {
        super::a_rotation_of_two_secrets_is_one_generation(Peer::fake().await).await;
    }

    #[tokio::test]
    async fn single_calls_work_like_batches() {
        super::single_calls_work_like_batches(Peer::fake().await).await;
    }

    #[tokio::test(flavor = "multi_thread", worker_threads = 1)]
    async fn figment_merges_inside_a_runtime() {
        super::figment_merges_inside_a_runtime(Peer::fake().await).await;
    }

    #[tokio::test]
    async fn a_secret_deleted_by_the_client_keeps_its_last_value() {
        super::a_secret_deleted_by_the_client_keeps_its_last_value(Peer::fake().await).await;
    }
}

mod moto {
    use super::Peer;

    #[tokio::test]
    async fn a_rotation_of_two_secrets_is_one_generation() {
        super::a_rotation_of_two_secrets_is_one_generation(Peer::moto().await).await;
    }

    #[tokio::test]
    async fn single_calls_work_like_batches() {
        super::single_calls_work_like_batches(Peer::moto().await).await;
    }

    #[tokio::test]
    async fn figment_merges_inside_a_runtime() {
        super::figment_merges_inside_a_runtime(Peer::moto().await).await;
    }

    #[tokio::test]
    async fn a_secret_deleted_by_the_client_keeps_its_last_value() {
        super::a_secret_deleted_by_the_client_keeps_its_last_value(Peer::moto().await).await;
    }
}
