//! When refreshes come: the interval and its jitter, and requests that meet (R4).
//!
//! Replicas that start together spread out, because their first refresh is anywhere in the
//! interval.

use std::time::Duration;

use fake_secrets_manager::Fault;
use secrets_provider::LiveBuilder;

use super::{builder, fake, generation, rotate, start};
use crate::fixtures::{Settings, manager, secrets_only};

#[tokio::test(start_paused = true)]
async fn the_interval_is_kept_within_its_jitter() {
    let fake = fake();
    let _settings = start(&fake).await;
    fake.reset_calls();
    // The first wait is at most one period; the others are 300 s, within a tenth.
    tokio::time::sleep(Duration::from_secs(36_000)).await;
    let cycles = fake.calls("BatchGetSecretValue");
    let (fewest, most) = ((36_000 - 300) / 330, 36_000 / 270 + 1);
    assert!((fewest..=most).contains(&cycles), "{cycles} refreshes in ten hours");
    assert_eq!(fake.calls("GetSecretValue"), 0);
}

#[tokio::test(start_paused = true)]
async fn the_interval_can_be_chosen() {
    let fake = fake();
    let _settings = builder(&fake).refresh_every(Duration::from_secs(2)).start().await.unwrap();
    fake.reset_calls();
    tokio::time::sleep(Duration::from_secs(200)).await;
    let cycles = fake.calls("BatchGetSecretValue");
    assert!((90..=112).contains(&cycles), "{cycles} refreshes in 200 s");
}

#[tokio::test(start_paused = true)]
async fn the_longest_duration_means_never() {
    let fake = fake();
    let manager = manager(&fake).timeout(Duration::MAX);
    let builder: LiveBuilder<Settings> = secrets_only(manager);
    let settings = builder.refresh_every(Duration::MAX).start().await.unwrap();
    rotate(&fake, 2);
    settings.refresh().await.unwrap();
    assert_eq!(settings.load().all(), generation(2));
}

#[tokio::test(start_paused = true)]
async fn replicas_started_together_refresh_at_different_times() {
    let mut firsts = Vec::new();
    for _ in 0..20 {
        let fake = fake();
        let _settings = start(&fake).await;
        let start = tokio::time::Instant::now();
        fake.reset_calls();
        fake.wait_for_calls("BatchGetSecretValue", 1).await;
        firsts.push(start.elapsed().as_secs());
    }
    assert!(firsts.iter().all(|first| *first <= 300), "{firsts:?}");
    // Twenty random times fall into one half of the period once in half a million runs.
    assert!(
        firsts.iter().any(|first| *first < 150) && firsts.iter().any(|first| *first >= 150),
        "{firsts:?}"
    );
}

#[tokio::test(start_paused = true)]
async fn simultaneous_refreshes_are_one() {
    let fake = fake();
    let settings = start(&fake).await;
    fake.reset_calls();
    let asked = (0..50).map(|_| settings.refresh());
    let answers = futures_util::future::join_all(asked).await;
    assert!(answers.iter().all(|answer| answer.is_ok()));
    assert_eq!(fake.calls("BatchGetSecretValue"), 1);
}

/// The refresh under way may have read the secrets already, so it does not count for the second
/// caller.
#[tokio::test(start_paused = true)]
async fn a_refresh_requested_during_another_waits_for_the_next() {
    let fake = fake();
    let settings = start(&fake).await;
    let slow = fake.inject(Fault::slow(Duration::from_secs(5)).on("BatchGetSecretValue"));
    fake.reset_calls();
    let first = tokio::spawn({
        let settings = settings.clone();
        async move { settings.refresh().await }
    });
    fake.wait_for_calls("BatchGetSecretValue", 1).await;
    fake.remove_fault(slow);
    let second = tokio::spawn({
        let settings = settings.clone();
        async move { settings.refresh().await }
    });
    first.await.unwrap().unwrap();
    second.await.unwrap().unwrap();
    assert_eq!(fake.calls("BatchGetSecretValue"), 2);
}
