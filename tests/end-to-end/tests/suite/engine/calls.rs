//! How many calls starts and refreshes make, and that the status counts them (R4, R5).

use std::time::Duration;

use end_to_end::NEVER;
use fake_secrets_manager::{FakeSecretsManager, Fault};
use futures_util::StreamExt as _;
use secrets_provider::{Live, LiveBuilder, SecretsManager, Trigger};
use serde_json::Value;

use crate::fixtures::{manager, secrets_only};

fn many(n: usize) -> FakeSecretsManager {
    let fake = FakeSecretsManager::new();
    for i in 0..n {
        fake.put(&format!("app/secret-{i:03}"), format!("value-{i}"));
    }
    fake
}

fn values(manager: SecretsManager) -> LiveBuilder<Value> {
    secrets_only(manager)
}

/// Compares the status's counts with the server's.
fn assert_counted(settings: &Live<Value>, fake: &FakeSecretsManager) {
    let status = settings.status();
    for operation in ["ListSecrets", "BatchGetSecretValue", "GetSecretValue", "DescribeSecret"] {
        let counted = status.calls().get(operation).copied().unwrap_or_default();
        assert_eq!(counted, fake.calls(operation) as u64, "{operation}");
    }
}

#[tokio::test(start_paused = true)]
async fn a_refresh_makes_one_batch_call_for_twenty_secrets() {
    for (secrets, batches) in [(2, 1), (20, 1), (21, 2), (100, 5)] {
        let fake = many(secrets);
        let settings = values(manager(&fake)).refresh_every(NEVER).start().await.unwrap();
        fake.reset_calls();
        settings.refresh().await.unwrap();
        assert_eq!(fake.calls("BatchGetSecretValue"), batches, "{secrets}");
        assert_eq!(fake.calls("ListSecrets"), 1, "{secrets}");
        assert_eq!(fake.total_calls(), batches + 1, "{secrets}");
    }
}

/// What a whole fleet calls in a second counts, so those of one refresh are not made together.
#[tokio::test(start_paused = true)]
async fn the_batches_of_a_refresh_at_the_interval_are_a_second_apart() {
    let every = Duration::from_secs(300);
    let fake = many(100);
    let settings = values(manager(&fake)).refresh_every(every).start().await.unwrap();
    // Who asks does not wait.
    let begun = tokio::time::Instant::now();
    settings.refresh().await.unwrap();
    assert!(begun.elapsed() < Duration::from_millis(100), "{:?}", begun.elapsed());

    fake.reset_calls();
    fake.throttle_quota("BatchGetSecretValue", 1);
    tokio::time::sleep(every * 3 / 2).await;
    let calls = ["BatchGetSecretValue", "GetSecretValue"].map(|operation| fake.calls(operation));
    assert_eq!((calls, fake.throttled_calls("BatchGetSecretValue")), ([5, 0], 0));
}

/// A batch that gets no answer holds up no other.
#[tokio::test(start_paused = true)]
async fn a_batch_at_the_interval_does_not_wait_for_the_answer_of_another() {
    let every = Duration::from_secs(300);
    let fake = many(100);
    let settings = values(manager(&fake)).refresh_every(every).start().await.unwrap();
    fake.reset_calls();
    fake.inject(Fault::hang().on("BatchGetSecretValue").times(1));
    while fake.calls("BatchGetSecretValue") == 0 {
        tokio::time::sleep(Duration::from_millis(100)).await;
    }
    tokio::time::sleep(Duration::from_secs(5)).await;
    assert_eq!(fake.calls("BatchGetSecretValue"), 5);
    drop(settings);
}

/// Who asks for something while the batches are a second apart waits for the calls only.
#[tokio::test(start_paused = true)]
async fn who_asks_during_a_refresh_at_the_interval_does_not_wait_for_its_pauses() {
    let every = Duration::from_secs(300);
    let seen = |settings: &Live<Value>| settings.load()["secret_007"].clone();
    for case in ["refresh", "refresh_past", "hint"] {
        let fake = many(100);
        let (hint, hints) = Trigger::channel();
        let hints = hints.map(|_| Trigger::secret("app/secret-007"));
        let settings = values(manager(&fake)).refresh_every(every).refresh_on(hints);
        let settings = settings.start().await.unwrap();
        fake.reset_calls();
        while fake.calls("BatchGetSecretValue") == 0 {
            tokio::time::sleep(Duration::from_millis(10)).await;
        }
        fake.put("app/secret-007", "another value");
        let begun = tokio::time::Instant::now();
        match case {
            "refresh" => drop(settings.refresh().await.unwrap()),
            "refresh_past" => drop(settings.refresh_past(&settings.current()).await.unwrap()),
            _ => {
                hint.fire();
                settings.changes().next().await.unwrap();
            }
        }
        let took = begun.elapsed();
        assert!(took < Duration::from_millis(100), "{case}: {took:?}");
        assert_eq!(seen(&settings), "another value", "{case}");
        assert_eq!(settings.status().generation(), 2, "{case}");
    }
}

/// Secrets that rotate together while the batches are a second apart: one is in a batch that was read
/// before, and is not left old for a whole interval.
#[tokio::test(start_paused = true)]
async fn what_rotates_during_a_refresh_at_the_interval_is_seen_together() {
    let every = Duration::from_secs(300);
    let fake = many(100);
    let settings = values(manager(&fake)).refresh_every(every).start().await.unwrap();
    fake.reset_calls();
    while fake.calls("BatchGetSecretValue") == 0 {
        tokio::time::sleep(Duration::from_millis(10)).await;
    }
    let rotated = ["app/secret-003", "app/secret-095"];
    rotated.iter().for_each(|name| drop(fake.put(name, "another value")));
    tokio::time::sleep(Duration::from_secs(5)).await;
    for name in ["secret_003", "secret_095"] {
        assert_eq!(settings.load()[name], "another value", "{name}");
    }
    // One more read, in one moment, and no third.
    assert_eq!(fake.calls("BatchGetSecretValue"), 10);
    tokio::time::sleep(every / 2).await;
    assert_eq!(fake.calls("BatchGetSecretValue"), 10);
}

/// However many batches there are, they are begun within a quarter of the time of a refresh.
#[tokio::test(start_paused = true)]
async fn many_batches_at_the_interval_are_closer() {
    let (every, timeout) = (Duration::from_secs(300), Duration::from_secs(20));
    let fake = many(1_000);
    let settings = values(manager(&fake).timeout(timeout)).refresh_every(every);
    let settings = settings.start().await.unwrap();
    fake.reset_calls();
    while fake.calls("BatchGetSecretValue") == 0 {
        tokio::time::sleep(Duration::from_millis(100)).await;
    }
    tokio::time::sleep(timeout / 8).await;
    let half = fake.calls("BatchGetSecretValue");
    assert!((20..=30).contains(&half), "{half} of 50");
    tokio::time::sleep(timeout / 8).await;
    assert_eq!(fake.calls("BatchGetSecretValue"), 50);
    assert!(settings.status().last_error().is_none());
}

/// A batch of one counts against the smaller quota, and is no faster.
#[tokio::test(start_paused = true)]
async fn one_secret_is_read_by_a_single_call() {
    let fake = many(1);
    let settings = values(manager(&fake)).refresh_every(NEVER).start().await.unwrap();
    settings.refresh().await.unwrap();
    assert_eq!((fake.calls("GetSecretValue"), fake.calls("BatchGetSecretValue")), (2, 0));
}

#[tokio::test(start_paused = true)]
async fn a_start_takes_the_fewest_possible_round_trips() {
    let call = Duration::from_millis(20);
    // The pages of a listing come one after the other; twenty batches run at the same time.
    for (secrets, with_prefix, with_only) in [(1, 2, 1), (100, 2, 1), (101, 3, 1), (500, 7, 2)] {
        let fake = many(secrets);
        fake.inject(Fault::slow(call));
        let names = (0..secrets).map(|i| format!("secret-{i:03}"));
        let prefix = manager(&fake);
        for (manager, trips) in [(prefix.clone(), with_prefix), (prefix.only(names), with_only)] {
            let begun = tokio::time::Instant::now();
            drop(values(manager).start().await.unwrap());
            let took = begun.elapsed();
            assert_eq!(took.as_millis().div_euclid(call.as_millis()), trips, "{secrets}: {took:?}");
        }
    }
}

#[tokio::test(start_paused = true)]
async fn names_are_listed_only_when_rediscovery_is_due() {
    struct Case {
        refresh_every: Duration,
        rediscover_every: Option<Duration>,
        /// Listings within ten minutes, without that of the start.
        listings: std::ops::RangeInclusive<usize>,
    }
    let seconds = Duration::from_secs;
    for Case { refresh_every, rediscover_every, listings } in [
        Case { refresh_every: seconds(5), rediscover_every: None, listings: 8..=10 },
        Case { refresh_every: seconds(120), rediscover_every: None, listings: 4..=6 },
        Case { refresh_every: seconds(5), rediscover_every: Some(seconds(200)), listings: 2..=3 },
        Case { refresh_every: seconds(100), rediscover_every: Some(seconds(0)), listings: 5..=7 },
    ] {
        let about = format!("refresh: {refresh_every:?}, rediscover: {rediscover_every:?}");
        let fake = many(3);
        let builder = values(manager(&fake)).refresh_every(refresh_every);
        let builder = match rediscover_every {
            Some(interval) => builder.rediscover_every(interval),
            None => builder,
        };
        let settings = builder.start().await.unwrap();
        fake.reset_calls();
        tokio::time::sleep(Duration::from_secs(600)).await;
        let listed = fake.calls("ListSecrets");
        assert!(listings.contains(&listed), "{about}: {listed} listings");
        assert!(fake.calls("BatchGetSecretValue") >= listed, "values are read each time");
        drop(settings);
    }
}

#[tokio::test(start_paused = true)]
async fn an_added_secret_is_found_at_the_next_listing() {
    let fake = many(1);
    let builder = values(manager(&fake)).refresh_every(Duration::from_secs(5));
    let settings = builder.rediscover_every(Duration::from_secs(60)).start().await.unwrap();
    fake.put("app/new", "n");
    let added = tokio::time::Instant::now();
    let mut changes = settings.changes();
    assert_eq!(changes.next().await.unwrap().keys(), ["new"]);
    let after = added.elapsed();
    assert!((Duration::from_secs(54)..Duration::from_secs(72)).contains(&after), "{after:?}");
    // A refresh on request lists names at once.
    fake.put("app/newer", "n");
    assert!(settings.refresh().await.unwrap().changed());
}

#[tokio::test(start_paused = true)]
async fn without_permission_to_batch_there_is_one_call_per_secret() {
    let fake = many(30);
    let names: Vec<String> = (0..30).map(|i| format!("secret-{i:03}")).collect();
    fake.enforce_policy(
        r#"{"Version": "2012-10-17", "Statement": [{"Effect": "Allow",
            "Action": "secretsmanager:GetSecretValue", "Resource": "*"}]}"#,
    )
    .unwrap();
    let manager = SecretsManager::prefix("app").only(names).client(fake.client());
    let settings = values(manager).refresh_every(NEVER).start().await.unwrap();
    assert_counted(&settings, &fake);
    fake.reset_calls();
    for cycle in 1..=3 {
        settings.refresh().await.unwrap();
        assert_eq!(fake.calls("GetSecretValue"), 30 * cycle);
        assert_eq!(fake.total_calls(), 30 * cycle, "no denied call is repeated");
    }
}

#[tokio::test(start_paused = true)]
async fn the_status_counts_retries_as_calls() {
    let fake = many(3);
    let settings = values(manager(&fake)).refresh_every(NEVER).start().await.unwrap();
    assert_counted(&settings, &fake);
    fake.inject(Fault::unavailable().times(2));
    settings.refresh().await.unwrap();
    assert!(fake.total_calls() > 4, "the SDK tried again");
    assert_counted(&settings, &fake);
}

/// Two pages whose tokens point at each other.
#[tokio::test(start_paused = true)]
async fn a_listing_that_goes_in_circles_ends() {
    let fake = many(2);
    let manager = SecretsManager::prefix("app").client(fake.client());
    let settings = values(manager).refresh_every(NEVER).start().await.unwrap();
    for page in 0..40 {
        let (name, token) = [("app/secret-000", "x"), ("app/secret-001", "y")][page % 2];
        let body = format!(r#"{{"SecretList": [{{"Name": "{name}"}}], "NextToken": "{token}"}}"#);
        fake.inject(Fault::answer(200, body).on("ListSecrets").times(1));
    }
    fake.reset_calls();
    settings.refresh().await.unwrap();
    assert_eq!(fake.calls("ListSecrets"), 3);
}

#[tokio::test(start_paused = true)]
async fn throttled_batches_are_replaced_by_single_calls_for_some_refreshes() {
    let fake = many(5);
    let settings = values(manager(&fake)).refresh_every(NEVER).start().await.unwrap();
    let throttling = fake.inject(Fault::throttled().on("BatchGetSecretValue"));
    settings.refresh().await.unwrap();
    assert_eq!(fake.calls("GetSecretValue"), 5, "in the same refresh");
    fake.remove_fault(throttling);
    fake.reset_calls();
    settings.refresh().await.unwrap();
    assert_eq!(
        (fake.calls("BatchGetSecretValue"), fake.calls("GetSecretValue")),
        (0, 5),
        "batches pause"
    );
    let mut cycles = 1;
    while fake.calls("BatchGetSecretValue") == 0 {
        settings.refresh().await.unwrap();
        cycles += 1;
        assert!(cycles < 50, "batches never resume");
    }
    assert!(cycles > 5, "batches resumed after only {cycles} refreshes");
}

#[tokio::test(start_paused = true)]
async fn refreshes_back_off_while_every_call_is_throttled() {
    let fake = many(5);
    let settings =
        values(manager(&fake)).refresh_every(Duration::from_secs(300)).start().await.unwrap();
    fake.inject(Fault::throttled());
    let mut ends = Vec::new();
    let failed_before = settings.status().last_success();
    for _ in 0..2 {
        fake.reset_calls();
        tokio::time::sleep(Duration::from_secs(1800)).await;
        ends.push(fake.total_calls());
    }
    assert!(settings.status().last_success() <= failed_before + Duration::from_secs(300));
    // Of 1800 s, with full jitter below 300 s: about twelve refreshes, each of a few attempts, one
    // by one.
    assert!(ends[1] < 12 * 3 * 7, "{ends:?}");
    assert!(ends[1] > 0, "it never gives up");
}
