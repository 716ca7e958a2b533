//! How settings begin and end: a failed start, the last handle, a shutdown, a runtime that stands
//! still; and constants, which have no refresher.
//!
//! No task is left, and no caller waits forever.

use std::sync::Arc;
use std::time::Duration;

use fake_secrets_manager::{FakeSecretsManager, Fault};
use secrets_provider::{ErrorKind, Live, SecretsManager};

use super::{builder, fake, generation, rotate, start};
use crate::fixtures::secrets_only;

/// Tasks of this runtime that are alive once everything ready has run.
async fn alive() -> usize {
    for _ in 0..100 {
        tokio::task::yield_now().await;
    }
    tokio::runtime::Handle::current().metrics().num_alive_tasks()
}

#[tokio::test(start_paused = true)]
async fn dropping_the_last_handle_stops_the_refresher() {
    let before = alive().await;
    let fake = fake();
    let settings = start(&fake).await;
    let value = Arc::downgrade(&settings.current());
    let mut changes = settings.changes();
    let clone = settings.clone();
    drop(settings);
    assert!(alive().await > before, "the clone does not keep it alive");
    drop(clone);
    assert_eq!(alive().await, before, "a task is left");
    assert!(changes.next().await.is_none(), "the changes do not end");
    assert!(value.upgrade().is_none(), "the settings are still in memory");

    // The same during a refresh that would never end.
    let settings = start(&fake).await;
    fake.inject(Fault::hang());
    fake.reset_calls();
    fake.wait_for_calls("ListSecrets", 1).await;
    drop(settings);
    assert_eq!(alive().await, before, "a task is left");
}

#[tokio::test(start_paused = true)]
async fn shutdown_waits_for_the_end_and_leaves_the_settings_readable() {
    let before = alive().await;
    let fake = fake();
    let settings = start(&fake).await;
    let other = settings.clone();
    let mut changes = settings.changes();
    settings.shutdown().await;
    assert_eq!(alive().await, before);
    other.shutdown().await;
    assert!(changes.next().await.is_none());
    assert_eq!(other.load().all(), generation(1));
    assert_eq!(other.refresh().await.unwrap_err().kind(), ErrorKind::Unavailable);
}

#[tokio::test(start_paused = true)]
async fn a_slow_listener_skips_to_the_newest() {
    let fake = fake();
    let settings = start(&fake).await;
    let mut changes = settings.changes();
    for n in 2..=5 {
        rotate(&fake, n);
        settings.refresh().await.unwrap();
    }
    assert_eq!(changes.next().await.unwrap().generation(), 5);
    let mut late = settings.changes();
    let missed = tokio::time::timeout(Duration::from_secs(3600), late.next()).await;
    assert!(missed.is_err(), "a new listener sees an earlier change");
}

#[tokio::test]
async fn a_start_that_fails_says_why() {
    let fake = FakeSecretsManager::new();
    fake.put("app/jwt-secret", "j");
    let error = builder(&fake).start().await.unwrap_err();
    assert_eq!((error.kind(), error.key()), (ErrorKind::Invalid, Some("database")));
    fake.deny_action("ListSecrets");
    let error = builder(&fake).start().await.unwrap_err();
    assert_eq!(error.kind(), ErrorKind::AccessDenied);
    assert!(error.hint().unwrap().contains("secretsmanager:ListSecrets"), "{error}");
}

#[test]
fn a_constant_needs_no_runtime() {
    let settings = Live::constant(7);
    assert_eq!(*settings.load() + *settings.current(), 14);
    assert_eq!(settings.status().generation(), 1);
}

#[tokio::test]
async fn a_constant_has_nothing_to_refresh_and_no_changes() {
    let settings = Live::constant(7);
    assert!(!settings.refresh().await.unwrap().changed());
    assert!(settings.changes().next().await.is_none());
    settings.shutdown().await;
}

/// Of settings whose runtime exists but runs nothing, from a runtime that does.
#[test]
fn no_request_waits_for_a_runtime_that_is_not_driven() {
    let runtime = || tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
    let (first, second) = (runtime(), runtime());
    let memory = secrets_provider::Memory::new();
    memory.put("app/v", "1");
    let builder = secrets_only(SecretsManager::prefix("app").backend(memory.clone()));
    let settings: Live<serde_json::Value> = first.block_on(builder.start()).unwrap();
    second.block_on(async {
        let derived = settings.derive("v", async |_| Ok(())).await.unwrap();
        let limit = Duration::from_secs(60);
        let requests = async { tokio::join!(settings.refresh(), derived.refresh()) };
        let (own, of_derived) = tokio::time::timeout(limit, requests).await.expect("an answer");
        for error in [own.unwrap_err(), of_derived.unwrap_err()] {
            assert_eq!(error.kind(), ErrorKind::Unavailable);
            assert!(error.to_string().contains("runtime is not driven"), "{error}");
        }
    });
    // It goes on as soon as its runtime does.
    memory.put("app/v", "2");
    assert!(first.block_on(settings.refresh()).unwrap().changed());
    let shutdown = async {
        let limit = Duration::from_secs(60);
        tokio::time::timeout(limit, settings.shutdown()).await.expect("an end");
    };
    second.block_on(shutdown);
}
