//! `Provider::data` is synchronous, and figment may call it inside and outside of every kind of
//! runtime.

use std::time::{Duration, Instant};

use aws_config::SdkConfig;
use aws_credential_types::Credentials;
use aws_credential_types::provider::SharedCredentialsProvider;
use aws_sdk_secretsmanager::Client;
use aws_smithy_async::rt::sleep::{SharedAsyncSleep, TokioSleep};
use fake_secrets_manager::FakeSecretsManager;
use figment::Figment;
use figment::providers::Env;
use secrets_provider::{Dotenv, SecretsManager};

use crate::fixtures::Token;

/// A fake that a runtime of its own serves. Like AWS, it answers while the runtime of the test is
/// blocked.
struct Remote {
    fake: FakeSecretsManager,
    runtime: Option<tokio::runtime::Runtime>,
}

impl Remote {
    fn start() -> Self {
        let runtime = tokio::runtime::Builder::new_multi_thread()
            .worker_threads(1)
            .enable_all()
            .build()
            .unwrap();
        // On a thread without a runtime: the test itself may run inside one.
        let (runtime, fake) = std::thread::spawn(move || {
            let fake = runtime.block_on(FakeSecretsManager::start()).unwrap();
            (runtime, fake)
        })
        .join()
        .unwrap();
        fake.put("gaara/prod/token", "t0ken");
        Self { fake, runtime: Some(runtime) }
    }

    fn manager(&self) -> SecretsManager {
        SecretsManager::prefix("gaara/prod").client(end_to_end::client(&self.fake))
    }

    /// The merge as users write it.
    fn merge(&self) -> Token {
        Figment::new()
            .merge(Dotenv::file(".env"))
            .merge(Env::raw())
            .merge(self.manager())
            .extract()
            .unwrap()
    }
}

impl Drop for Remote {
    fn drop(&mut self) {
        // A plain drop would block, which tokio forbids inside another runtime.
        self.runtime.take().unwrap().shutdown_background();
    }
}

fn expected() -> Token {
    Token { token: "t0ken".into() }
}

#[test]
fn merging_works_outside_any_runtime() {
    let remote = Remote::start();
    assert_eq!(remote.merge(), expected());
}

#[test]
fn merging_works_inside_a_current_thread_runtime() {
    let remote = Remote::start();
    #[tokio::main(flavor = "current_thread")]
    async fn body(remote: &Remote) -> Token {
        remote.merge()
    }
    assert_eq!(body(&remote), expected());
}

#[test]
fn merging_works_inside_a_multi_thread_runtime_and_on_its_workers() {
    let remote = std::sync::Arc::new(Remote::start());
    #[tokio::main(worker_threads = 1)]
    async fn body(remote: std::sync::Arc<Remote>) {
        assert_eq!(remote.merge(), expected());
        let there = remote.clone();
        assert_eq!(tokio::spawn(async move { there.merge() }).await.unwrap(), expected());
        let there = remote.clone();
        assert_eq!(tokio::task::spawn_blocking(move || there.merge()).await.unwrap(), expected());
    }
    body(remote);
}

#[test]
fn merging_works_inside_actix() {
    let remote = Remote::start();
    #[actix_web::main]
    async fn body(remote: &Remote) -> Token {
        remote.merge()
    }
    assert_eq!(body(&remote), expected());
}

#[test]
fn merging_works_inside_spawn_blocking_of_a_current_thread_runtime() {
    let remote = std::sync::Arc::new(Remote::start());
    #[tokio::main(flavor = "current_thread")]
    async fn body(remote: std::sync::Arc<Remote>) {
        let there = remote.clone();
        assert_eq!(tokio::task::spawn_blocking(move || there.merge()).await.unwrap(), expected());
    }
    body(remote);
}

/// The runtime that opened a connection also drives it. If a blocking fetch used the client's pool,
/// it would wait for a connection whose runtime waits for the fetch.
#[test]
fn a_client_of_the_blocked_runtime_does_not_deadlock() {
    let remote = Remote::start();
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
    runtime.block_on(async {
        let client = end_to_end::client(&remote.fake);
        let manager = SecretsManager::prefix("gaara/prod")
            .timeout(Duration::from_secs(20))
            .client(client.clone());

        manager.fetch().await.unwrap();
        let pooled = remote.fake.connections();
        for _ in 0..3 {
            let settings: Token = Figment::from(&manager).extract().unwrap();
            assert_eq!(settings, expected());
        }
        assert_eq!(
            remote.fake.connections(),
            pooled + 1,
            "blocking fetches keep one connection of their own"
        );
        manager.fetch().await.unwrap();
        assert_eq!(
            remote.fake.connections(),
            pooled + 1,
            "async fetches go on with their own connection"
        );
    });
}

/// The same for a client that another live runtime has used, and drives no more: its idle
/// connections stay in the client's pool.
#[test]
fn a_client_of_a_runtime_that_is_not_driven_serves_another_one() {
    let remote = Remote::start();
    let runtime = || tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
    let http = aws_smithy_http_client::Builder::new().build_http();
    let with_pool = end_to_end::config(&remote.fake.endpoint_url()).http_client(http.clone());
    let with_pool = Client::from_conf(with_pool.build());
    let config = SdkConfig::builder()
        .behavior_version(aws_config::BehaviorVersion::v2026_01_12())
        .region(aws_config::Region::from_static("us-east-1"))
        .credentials_provider(SharedCredentialsProvider::new(Credentials::new(
            "test", "test", None, None, "test",
        )))
        .sleep_impl(SharedAsyncSleep::new(TokioSleep::new()))
        .endpoint_url(remote.fake.endpoint_url())
        .http_client(http)
        .build();
    let below = || SecretsManager::prefix("gaara/prod").timeout(Duration::from_secs(20));
    for (case, client, manager) in [
        ("the default client", end_to_end::client(&remote.fake), None),
        ("a client with a pool", with_pool.clone(), None),
        ("a configuration with a pool", with_pool, Some(below().aws_config(&config))),
    ] {
        let manager = manager.unwrap_or_else(|| below().client(client.clone()));
        let first = runtime();
        let _settings = first.block_on(async {
            client.get_secret_value().secret_id("gaara/prod/token").send().await.unwrap();
            manager.clone().live::<Token>().await.unwrap()
        });
        let begun = Instant::now();
        let second = runtime();
        let (fetched, settings) = second
            .block_on(async { (manager.fetch().await, manager.clone().live::<Token>().await) });
        assert_eq!(fetched.unwrap().extract::<Token>().unwrap(), expected(), "{case}");
        assert_eq!(*settings.unwrap().load(), expected(), "{case}");
        let blocking = Figment::from(&manager).extract::<Token>().unwrap();
        assert_eq!(blocking, expected(), "{case}");
        assert!(begun.elapsed() < Duration::from_secs(10), "{case}: {:?}", begun.elapsed());
    }
}

#[test]
fn an_in_process_client_works_for_blocking_fetches_too() {
    let fake = FakeSecretsManager::new();
    fake.put("gaara/prod/token", "t0ken");
    let manager = SecretsManager::prefix("gaara/prod").client(fake.client());
    assert_eq!(Figment::from(manager).extract::<Token>().unwrap(), expected());
}
