//! What a fetch does while AWS throttles it. `tests/fleet` has what that means for a fleet.

use std::time::Duration;

use end_to_end::NEVER;
use fake_secrets_manager::{FakeSecretsManager, Fault};
use secrets_provider::{ErrorKind, SecretsManager, Trigger};
use serde_json::Value;
use tokio::time::{Instant, sleep};

use crate::fixtures::{manager, secrets_only};

fn seeded(count: usize) -> FakeSecretsManager {
    let fake = FakeSecretsManager::new();
    for n in 0..count {
        fake.put(&format!("app/s{n:03}"), format!("value {n}"));
    }
    fake
}

/// Secrets whose names are given.
fn only(fake: &FakeSecretsManager, count: usize) -> SecretsManager {
    manager(fake).only((0..count).map(|n| format!("s{n:03}")))
}

/// Single calls have a quota of their own, so that nothing is gained by waiting.
#[tokio::test(start_paused = true)]
async fn single_calls_take_the_place_of_a_throttled_batch_at_once() {
    let fake = seeded(45);
    fake.inject(Fault::throttled().on("BatchGetSecretValue"));
    let begun = Instant::now();
    assert_eq!(only(&fake, 45).fetch().await.unwrap().secrets().len(), 45);
    assert!(begun.elapsed() < Duration::from_millis(100), "{:?}", begun.elapsed());
    assert_eq!((fake.calls("BatchGetSecretValue"), fake.calls("GetSecretValue")), (3, 45));
}

/// A batch that fails otherwise is still repeated by the SDK.
#[tokio::test(start_paused = true)]
async fn only_throttling_is_taken_from_the_sdk() {
    let fake = seeded(20);
    fake.inject(Fault::unavailable().on("BatchGetSecretValue").times(2));
    only(&fake, 20).fetch().await.unwrap();
    assert_eq!((fake.calls("BatchGetSecretValue"), fake.calls("GetSecretValue")), (3, 0));
}

#[tokio::test(start_paused = true)]
async fn a_start_waits_until_the_quota_allows_it() {
    for count in [1, 20, 100] {
        for lasts in [Duration::from_secs(3), Duration::from_secs(14)] {
            let fake = seeded(count);
            let fault = fake.inject(Fault::throttled());
            let healing = fake.clone();
            tokio::spawn(async move {
                sleep(lasts).await;
                healing.remove_fault(fault);
            });
            let begun = Instant::now();
            let snapshot = only(&fake, count).fetch().await;
            let took = begun.elapsed();
            assert_eq!(snapshot.unwrap().secrets().len(), count, "{count} {lasts:?}");
            // A pause, and a few calls one after the other.
            let longest = lasts + Duration::from_secs(3);
            assert!((lasts..longest).contains(&took), "{count}: {took:?}");
        }
    }
}

#[tokio::test(start_paused = true)]
async fn throttling_that_lasts_is_the_result_and_costs_few_calls() {
    for count in [1, 20, 100] {
        let fake = seeded(count);
        fake.inject(Fault::throttled());
        let begun = Instant::now();
        let error = only(&fake, count).fetch().await.unwrap_err();
        assert_eq!(error.kind(), ErrorKind::Throttled, "{error}");
        // Half of the default limit, and a pause.
        let took = begun.elapsed().as_secs();
        assert!((15..=17).contains(&took), "{count}: {took}");
        assert!(fake.total_calls() < 40, "{count}: {} calls", fake.total_calls());
    }
}

/// A prefix is listed first, against a quota of its own.
#[tokio::test(start_paused = true)]
async fn a_start_waits_for_the_quota_of_its_listing() {
    for lasts in [Duration::from_secs(3), Duration::from_secs(14)] {
        let fake = seeded(20);
        let fault = fake.inject(Fault::throttled().on("ListSecrets"));
        let healing = fake.clone();
        tokio::spawn(async move {
            sleep(lasts).await;
            healing.remove_fault(fault);
        });
        let begun = Instant::now();
        assert_eq!(manager(&fake).fetch().await.unwrap().secrets().len(), 20, "{lasts:?}");
        let took = begun.elapsed();
        assert!((lasts..lasts + Duration::from_secs(3)).contains(&took), "{took:?}");
        assert!(fake.calls("ListSecrets") < 40, "{} listings", fake.calls("ListSecrets"));
    }
    let fake = seeded(20);
    fake.inject(Fault::throttled().on("ListSecrets"));
    let begun = Instant::now();
    assert_eq!(manager(&fake).fetch().await.unwrap_err().kind(), ErrorKind::Throttled);
    assert!((15..=17).contains(&begun.elapsed().as_secs()), "{:?}", begun.elapsed());
}

/// What a listing has waited is not there for the values: throttling is still the result, not that
/// there was no answer.
#[tokio::test(start_paused = true)]
async fn a_listing_and_the_values_wait_within_one_limit() {
    for _ in 0..20 {
        let fake = seeded(20);
        fake.inject(Fault::throttled().on("BatchGetSecretValue"));
        fake.inject(Fault::throttled().on("GetSecretValue"));
        let fault = fake.inject(Fault::throttled().on("ListSecrets"));
        let healing = fake.clone();
        tokio::spawn(async move {
            sleep(Duration::from_secs(14)).await;
            healing.remove_fault(fault);
        });
        let begun = Instant::now();
        let error = manager(&fake).fetch().await.unwrap_err();
        assert_eq!(error.kind(), ErrorKind::Throttled, "{error}");
        assert!(begun.elapsed() < Duration::from_secs(30), "{:?}", begun.elapsed());
    }
}

/// Names that are known are read meanwhile, and a lookup has its caller waiting.
#[tokio::test(start_paused = true)]
async fn a_later_listing_has_the_attempts_of_the_sdk() {
    let fake = seeded(3);
    let builder = secrets_only::<Value>(manager(&fake)).refresh_every(NEVER);
    let settings = builder.start().await.unwrap();
    fake.inject(Fault::throttled().on("ListSecrets"));
    fake.put("app/s000", "new");
    fake.reset_calls();
    let begun = Instant::now();
    let _ = settings.refresh().await;
    assert_eq!(fake.calls("ListSecrets"), 3);
    assert!(begun.elapsed() < Duration::from_secs(4), "{:?}", begun.elapsed());
    assert_eq!(settings.load()["s000"], "new");
}

/// The values that a service has are served meanwhile, and whoever looks a secret up waits for it.
#[tokio::test(start_paused = true)]
async fn what_comes_after_a_start_gives_up_sooner() {
    for count in [1, 20] {
        let fake = seeded(count);
        let builder = secrets_only::<Value>(only(&fake, count)).refresh_every(NEVER);
        let settings = builder.start().await.unwrap();
        let lookup = manager(&fake).lookup();
        lookup.get::<String>("s000").await.unwrap();
        fake.inject(Fault::throttled());
        fake.reset_calls();
        let begun = Instant::now();
        settings.refresh().await.unwrap_err();
        assert!((2..=3).contains(&begun.elapsed().as_secs()), "{count}: {:?}", begun.elapsed());
        assert!(fake.total_calls() < 20, "{count}: {} calls", fake.total_calls());
        let begun = Instant::now();
        let error = lookup.get::<String>("s999").await.unwrap_err();
        assert_eq!(error.kind(), ErrorKind::Throttled, "{error}");
        assert!(begun.elapsed().as_secs() <= 3, "{count}: {:?}", begun.elapsed());
    }
}

/// Whoever names a secret has a schedule for what fails: here 0.5, 1 and 2 s, and then longer.
#[tokio::test(start_paused = true)]
async fn a_hint_does_not_occupy_the_refresher_while_calls_are_throttled() {
    let fake = seeded(2);
    let (sender, hints) = tokio::sync::mpsc::unbounded_channel();
    let hints = futures_util::stream::unfold(hints, async |mut hints| {
        Some((tokio::sync::mpsc::UnboundedReceiver::recv(&mut hints).await?, hints))
    });
    let builder = secrets_only::<Value>(manager(&fake)).refresh_every(NEVER);
    let settings = builder.refresh_on(hints).start().await.unwrap();
    let mut changes = settings.changes();
    let fault = fake.inject(Fault::throttled());
    fake.put("app/s000", "new");
    sender.send(Trigger::secret("app/s000")).unwrap();
    sleep(Duration::from_secs(5)).await;
    fake.remove_fault(fault);
    let healed = Instant::now();
    changes.next().await.unwrap();
    assert!(healed.elapsed() < Duration::from_secs(9), "{:?}", healed.elapsed());
}
