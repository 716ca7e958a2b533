//! `Provider::data` is synchronous, and figment may call it inside and outside of every kind of
//! runtime.

use std::time::Duration;

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
        client.get_secret_value().secret_id("gaara/prod/token").send().await.unwrap();
        manager.fetch().await.unwrap();
        assert_eq!(
            remote.fake.connections(),
            pooled + 1,
            "async fetches go on with their own connection"
        );
    });
}

#[test]
fn an_in_process_client_works_for_blocking_fetches_too() {
    let fake = FakeSecretsManager::new();
    fake.put("gaara/prod/token", "t0ken");
    let manager = SecretsManager::prefix("gaara/prod").client(fake.client());
    assert_eq!(Figment::from(manager).extract::<Token>().unwrap(), expected());
}
