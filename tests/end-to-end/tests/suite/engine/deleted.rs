//! Secrets that were deleted: their last good values end, or are asked for more and more rarely.

use std::collections::BTreeMap;
use std::time::Duration;

use end_to_end::{Log, NEVER};
use fake_secrets_manager::FakeSecretsManager;
use secrets_provider::{
    ErrorKind, Health, Layers, Live, LiveBuilder, Memory, SecretState, SecretsManager,
};
use serde::Deserialize;
use serde::de::DeserializeOwned;

use super::quiet;

const DAY: Duration = Duration::from_secs(24 * 3600);
const SECOND: Duration = Duration::from_secs(1);

type Map = BTreeMap<String, String>;

fn memory(names: &[&str]) -> Memory {
    let memory = Memory::new();
    names.iter().for_each(|name| drop(memory.put(&format!("app/{name}"), *name)));
    memory
}

fn builder<T>(memory: &Memory) -> LiveBuilder<T> {
    Live::builder(SecretsManager::prefix("app").backend(memory.clone()))
        .layers(|secrets| {
            Layers::new().environment_from([("NEEDED", "from a variable")]).secrets(secrets)
        })
        .refresh_every(NEVER)
}

async fn start<T: DeserializeOwned + Send + Sync + 'static>(memory: &Memory) -> Live<T> {
    builder(memory).start().await.unwrap()
}

#[tokio::test(start_paused = true)]
async fn a_deleted_secret_leaves_after_a_day_if_settings_can_do_without_it() {
    let (log, _logging) = Log::start();
    let memory = memory(&["a", "b"]);
    let settings = start::<Map>(&memory).await;
    memory.remove("app/b");
    settings.refresh().await.unwrap_err();
    let deleted_at = tokio::time::Instant::now();
    let status = settings.status();
    let secret = &status.secrets()[1];
    let (since, leaves_at) = (secret.deleted_since().unwrap(), secret.leaves_at().unwrap());
    let known_time = leaves_at.duration_since(since).unwrap();
    assert!(known_time.abs_diff(DAY) < SECOND, "{known_time:?}");
    let json = serde_json::to_value(secret).unwrap();
    assert!(json["leaves_at"].as_u64() > json["deleted_since"].as_u64(), "{json}");
    assert_eq!((secret.name(), secret.state()), ("app/b", SecretState::LastGood));
    assert_eq!(status.secrets()[0].deleted_since(), None);

    tokio::time::advance(DAY - 60 * SECOND - deleted_at.elapsed()).await;
    assert_eq!(settings.refresh().await.unwrap_err().kind(), ErrorKind::NotFound);
    assert_eq!(settings.load()["b"], "b", "it may yet be restored");

    tokio::time::advance(60 * SECOND).await;
    let refreshed = settings.refresh().await.unwrap();
    assert!(refreshed.changed());
    assert_eq!(refreshed.generation(), 2);
    assert_eq!(settings.load().get("b"), None);
    assert_eq!(settings.load()["a"], "a");
    let status = settings.status();
    assert_eq!((status.secrets().len(), status.health()), (1, Health::Fresh));
    assert!(!settings.refresh().await.unwrap().changed());
    let text = log.text();
    assert_eq!(text.matches("deleted_secrets_left_out").count(), 1, "{text}");
    assert!(text.contains("WARN") && text.contains("app/b"), "{text}");

    memory.put("app/b", "again");
    settings.refresh().await.unwrap();
    assert_eq!(settings.load()["b"], "again", "it comes back");
}

#[tokio::test(start_paused = true)]
async fn the_time_of_a_deleted_secret_can_be_set_and_counts_from_its_last_deletion() {
    let memory = memory(&["a", "b"]);
    let settings = builder::<Map>(&memory).forget_deleted_after(60 * SECOND).start().await.unwrap();
    memory.remove("app/b");
    settings.refresh().await.unwrap_err();
    tokio::time::advance(59 * SECOND).await;
    memory.put("app/b", "b2");
    settings.refresh().await.unwrap();
    memory.remove("app/b");
    settings.refresh().await.unwrap_err();
    tokio::time::advance(59 * SECOND).await;
    settings.refresh().await.unwrap_err();
    tokio::time::advance(SECOND).await;
    settings.refresh().await.unwrap();
    assert_eq!(settings.load().get("b"), None);
}

#[derive(Debug, Deserialize)]
struct Needy {
    needed: String,
    also_needed: String,
    spare: Option<String>,
    other: Option<String>,
}

#[tokio::test(start_paused = true)]
async fn what_settings_need_stays_and_what_they_can_do_without_leaves() {
    let (log, _logging) = Log::start();
    let memory = memory(&["needed", "also-needed", "spare", "other", "kept"]);
    let settings = start::<Needy>(&memory).await;
    ["needed", "also-needed", "spare", "other"]
        .iter()
        .for_each(|name| memory.remove(&format!("app/{name}")));
    settings.refresh().await.unwrap_err();
    tokio::time::advance(DAY).await;
    for _ in 0..3 {
        let error = settings.refresh().await.unwrap_err();
        assert_eq!(error.secret(), Some("app/also-needed"), "{error}");
        assert_eq!(error.errors().len(), 1, "{error}");
        tokio::time::advance(60 * SECOND).await;
    }
    let served = settings.load();
    assert_eq!((served.spare.as_deref(), served.other.as_deref()), (None, None));
    assert_eq!(served.needed, "from a variable", "a lower layer has it");
    assert_eq!(served.also_needed, "also-needed");
    let status = settings.status();
    let states: Vec<_> =
        status.secrets().iter().map(|secret| (secret.name(), secret.state())).collect();
    assert_eq!(
        states,
        [("app/also-needed", SecretState::LastGood), ("app/kept", SecretState::Current)]
    );
    let stays = &status.secrets()[0];
    assert!(stays.deleted_since().is_some() && stays.leaves_at().is_none(), "{stays:?}");
    assert_eq!(status.generation(), 2, "one swap");
    assert_ne!(status.health(), Health::Fresh);
    let text = log.text();
    assert_eq!(text.matches("deleted_secret_needed").count(), 1, "once: {text}");

    memory.put("app/also-needed", "restored");
    settings.refresh().await.unwrap();
    assert_eq!(settings.load().also_needed, "restored");
}

#[tokio::test(start_paused = true)]
async fn a_check_may_refuse_settings_without_a_deleted_secret() {
    let memory = memory(&["a", "b"]);
    let settings = builder::<Map>(&memory)
        .validate(|map: &Map| match map.contains_key("b") {
            true => Ok(()),
            false => Err(secrets_provider::Rejected::new("b is gone")),
        })
        .start()
        .await
        .unwrap();
    memory.remove("app/b");
    settings.refresh().await.unwrap_err();
    tokio::time::advance(DAY).await;
    settings.refresh().await.unwrap_err();
    assert_eq!(settings.load()["b"], "b");
}

#[tokio::test(start_paused = true)]
async fn names_that_come_and_go_neither_add_calls_nor_stay_for_ever() {
    let fake = FakeSecretsManager::new();
    let name = |round: usize, n: usize| format!("app/preview-{round}-{n}");
    (0..20).for_each(|n| drop(fake.put(&name(0, n), "x")));
    let settings = quiet::<Map>(&fake).start().await.unwrap();
    let calls = || settings.status().calls().values().sum::<u64>();
    let mut before = calls();
    for round in 1..=60 {
        for n in 0..20 {
            fake.remove(&name(round - 1, n));
            fake.put(&name(round, n), "x");
        }
        settings.refresh().await.unwrap_err();
        let made = calls() - before;
        before += made;
        // A listing, and a batch each of what is there, what is gone since the last round, a turn
        // of what was deleted, and what leaves.
        assert!(made <= 5, "round {round}: {made} calls");
        tokio::time::advance(DAY / 20).await;
    }
    let keys = settings.load().len();
    assert!(keys <= 22 * 20, "{keys} keys of one day and the next refresh");
    tokio::time::advance(DAY).await;
    settings.refresh().await.unwrap();
    assert_eq!(settings.load().len(), 20);
    assert_eq!(settings.status().health(), Health::Fresh);
}
