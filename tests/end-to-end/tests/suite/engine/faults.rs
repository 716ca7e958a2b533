//! Faults of the store, of the network and of the user's code: the table in the guide, row by row
//! (R1, R3, R4).

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU32, Ordering};
use std::time::Duration;

use fake_secrets_manager::{FakeSecretsManager, Fault};
use secrets_provider::{ErrorKind, Health, Layers, Live, Rejected};
use serde::{Deserialize, Deserializer};
use tokio::time::Instant;

use super::{Settings, fake, manager, put_password, quiet, secrets_only};
use crate::fixtures::Pair;

/// Puts generation `n` of both secrets.
fn rotate(fake: &FakeSecretsManager, n: u32) {
    put_password(fake, n);
    fake.put("app/jwt-secret", format!("jwt-{n}"));
}

fn serves(settings: &Live<Settings>, n: u32) -> bool {
    let settings = settings.load();
    settings.database.password == format!("password-{n}")
        && settings.jwt_secret == format!("jwt-{n}")
}

/// Waits until generation `n` is served and the settings are fresh, for a day at most. Returns how
/// long that took.
async fn recovers(settings: &Live<Settings>, n: u32) -> Duration {
    let begun = Instant::now();
    while !(serves(settings, n) && settings.status().health() == Health::Fresh) {
        tokio::time::sleep(Duration::from_millis(100)).await;
        assert!(begun.elapsed() < Duration::from_secs(24 * 3600), "it does not recover");
    }
    begun.elapsed()
}

/// Readers see the last good generation, the status says why, and the settings recover within one
/// interval once the fault is over.
#[tokio::test(start_paused = true)]
async fn the_last_good_settings_survive_each_fault_and_recover_by_themselves() {
    for (fault, kind) in [
        (Fault::drop_connection(), ErrorKind::Unavailable),
        (Fault::hang(), ErrorKind::Unavailable),
        (Fault::slow(Duration::from_secs(60)), ErrorKind::Unavailable),
        (Fault::truncated_body(), ErrorKind::Unavailable),
        (Fault::malformed_body(), ErrorKind::Unavailable),
        (Fault::html(502), ErrorKind::Unavailable),
        (Fault::internal_error(), ErrorKind::Unavailable),
        (Fault::unavailable(), ErrorKind::Unavailable),
        (Fault::throttled(), ErrorKind::Throttled),
        (Fault::error("ExpiredTokenException", 400, "expired"), ErrorKind::AccessDenied),
        (Fault::error("AccessDeniedException", 400, "denied"), ErrorKind::AccessDenied),
    ] {
        let case = format!("{fault:?}");
        let fake = fake();
        let settings: Live<Settings> =
            secrets_only(manager(&fake).timeout(Duration::from_secs(20)))
                .refresh_every(Duration::from_secs(60))
                .start()
                .await
                .unwrap();
        fake.inject(fault);
        rotate(&fake, 2);
        settings.refresh().await.unwrap_err();
        let status = settings.status();
        assert_eq!((status.health(), status.is_ready()), (Health::Stale, true), "{case}");
        assert_eq!(status.last_error().unwrap().kind(), kind, "{case}");
        tokio::time::sleep(Duration::from_secs(1800)).await;
        assert!(serves(&settings, 1), "{case}");
        let status = settings.status();
        assert_eq!((status.health(), status.is_ready()), (Health::Failing, false), "{case}");
        assert_eq!(
            status.last_error().unwrap().kind(),
            kind,
            "{case}: {}",
            status.last_error().unwrap().message()
        );
        assert!(status.last_success_age() > Duration::from_secs(1700), "{case}");
        fake.clear_faults();
        let took = recovers(&settings, 2).await;
        assert!(took <= Duration::from_secs(66 + 20), "{case}: {took:?}");
    }
}

/// Three of ten calls fail, for hours, while both secrets rotate.
#[tokio::test(start_paused = true)]
async fn failing_calls_delay_a_rotation_but_never_split_it() {
    let mut failures = 0;
    for seed in 0..5 {
        let fake = fake();
        let settings: Live<Settings> = secrets_only(manager(&fake))
            .refresh_every(Duration::from_secs(30))
            .start()
            .await
            .unwrap();
        // Three independent faults, so 1 - 0.888³ = 0.3 of the calls fail.
        let random = |fault: Fault, n: u64| fault.with_probability(0.112).seed(3 * seed + n);
        fake.inject(random(Fault::internal_error(), 0));
        fake.inject(random(Fault::drop_connection(), 1));
        fake.inject(random(Fault::truncated_body(), 2));
        let mut last = 1;
        for n in 2..40 {
            rotate(&fake, n);
            let swapped = Instant::now();
            while !serves(&settings, n) {
                let now = settings.status().generation();
                assert!(now >= last, "generations never go back");
                last = now;
                tokio::time::sleep(Duration::from_millis(500)).await;
                assert!(
                    swapped.elapsed() < Duration::from_secs(900),
                    "seed {seed}: the rotation never arrives"
                );
            }
        }
        failures += u32::from(settings.status().last_error().is_some());
    }
    assert!(failures > 0, "the retries of the SDK hid every failure");
}

/// An answer is read no further than one of Secrets Manager can be long.
#[tokio::test(start_paused = true)]
async fn an_answer_that_is_too_long_is_an_outage() {
    let fake = fake();
    let settings: Live<Settings> = quiet(&fake).start().await.unwrap();
    let padding = " ".repeat(17 * 1024 * 1024);
    for operation in ["ListSecrets", "BatchGetSecretValue"] {
        rotate(&fake, 2);
        let body = format!(r#"{{"SecretList": [], "SecretValues": [] {padding}}}"#);
        let fault = fake.inject(Fault::answer(200, body).on(operation));
        let refreshed = settings.refresh().await;
        match operation {
            "ListSecrets" => {
                let error = refreshed.unwrap_err();
                assert_eq!(error.kind(), ErrorKind::Unavailable, "{error}");
                assert!(error.to_string().contains("incomplete or not valid"), "{error}");
            }
            // Single calls replace it.
            _ => drop(refreshed.unwrap()),
        }
        assert!(serves(&settings, 2), "{operation}");
        fake.remove_fault(fault);
        settings.refresh().await.unwrap();
    }
}

#[tokio::test(start_paused = true)]
async fn an_outage_at_the_start_is_an_error_or_a_fallback_that_ends() {
    let fake = fake();
    let outage = fake.inject(Fault::drop_connection());
    let manager = || manager(&fake).timeout(Duration::from_secs(10));
    let error = Live::<Settings>::builder(manager()).start().await.unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Unavailable);

    let variables =
        [("DATABASE__USERNAME", "env"), ("DATABASE__PASSWORD", "env"), ("JWT_SECRET", "env")];
    let settings: Live<Settings> = Live::builder(manager().fallback_to_env())
        .layers(move |secrets| Layers::new().environment_from(variables).secrets(secrets))
        .refresh_every(Duration::from_secs(60))
        .start()
        .await
        .unwrap();
    tokio::time::sleep(Duration::from_secs(3600)).await;
    assert_eq!(settings.load().jwt_secret, "env");
    let status = settings.status();
    assert_eq!((status.health(), status.is_ready()), (Health::Fallback, true));
    fake.remove_fault(outage);
    recovers(&settings, 1).await;
}

/// Expired credentials make no optional secret absent, and do not delay its next fetch.
#[tokio::test(start_paused = true)]
async fn expired_credentials_are_an_outage_of_optional_secrets_too() {
    let fake = fake();
    let optional = || manager(&fake).optional(["jwt-secret"]);
    let builder = || secrets_only::<Settings>(optional());
    let settings = builder().refresh_every(Duration::from_secs(60)).start().await.unwrap();
    fake.inject(Fault::error("ExpiredTokenException", 400, "expired"));
    builder().start().await.unwrap_err();
    tokio::time::sleep(Duration::from_secs(3600)).await;
    assert_eq!(settings.status().health(), Health::Failing);
    fake.clear_faults();
    rotate(&fake, 2);
    recovers(&settings, 2).await;
}

/// After an hour of failures, refreshes come as rarely as they do without one.
#[tokio::test(start_paused = true)]
async fn a_lasting_failure_makes_no_more_calls_than_normal_service() {
    let fake = fake();
    let settings: Live<Settings> =
        quiet(&fake).refresh_every(Duration::from_secs(300)).start().await.unwrap();
    fake.remove("app/jwt-secret");
    // The first retries come quickly.
    tokio::time::sleep(Duration::from_secs(3600)).await;
    fake.reset_calls();
    tokio::time::sleep(Duration::from_secs(3000)).await;
    let looks = fake.calls("BatchGetSecretValue");
    assert!((9..=11).contains(&looks), "{looks}");
    drop(settings);
}

#[tokio::test(start_paused = true)]
async fn every_value_is_read_in_spite_of_throttling() {
    let fake = FakeSecretsManager::new();
    for i in 0..200 {
        fake.put(&format!("app/s{i}"), "1");
    }
    fake.throttle_quota("BatchGetSecretValue", 2);
    fake.throttle_quota("GetSecretValue", 20);
    let settings: Live<std::collections::BTreeMap<String, u32>> =
        secrets_only(manager(&fake).timeout(Duration::from_secs(120)))
            .refresh_every(Duration::from_secs(300))
            .start()
            .await
            .unwrap();
    for i in 0..200 {
        fake.put(&format!("app/s{i}"), "2");
    }
    let begun = Instant::now();
    while settings.load().values().any(|value| *value != 2) {
        tokio::time::sleep(Duration::from_secs(1)).await;
        assert!(
            begun.elapsed() < Duration::from_secs(3600),
            "{:?}",
            settings.status().last_error()
        );
    }
}

#[tokio::test(start_paused = true)]
async fn a_denial_ends_when_the_policy_is_fixed() {
    let fake = fake();
    let settings: Live<Settings> =
        quiet(&fake).refresh_every(Duration::from_secs(60)).start().await.unwrap();
    fake.deny_secret("app/database");
    rotate(&fake, 2);
    settings.refresh().await.unwrap_err();
    assert_eq!(
        (settings.load().database.password.as_str(), settings.load().jwt_secret.as_str()),
        ("password-1", "jwt-2")
    );
    fake.allow_secret("app/database");
    recovers(&settings, 2).await;
}

/// A process that was suspended makes one refresh when it resumes, however many it missed.
#[tokio::test(start_paused = true)]
async fn a_jump_of_the_clock_causes_one_refresh() {
    let fake = fake();
    let settings: Live<Settings> =
        quiet(&fake).refresh_every(Duration::from_secs(60)).start().await.unwrap();
    rotate(&fake, 2);
    let mut changes = settings.changes();
    fake.reset_calls();
    tokio::time::advance(Duration::from_secs(30 * 24 * 3600)).await;
    changes.next().await.unwrap();
    assert!(serves(&settings, 2));
    assert!(fake.calls("BatchGetSecretValue") <= 1, "{}", fake.calls("BatchGetSecretValue"));
    assert_eq!(settings.status().health(), Health::Fresh);
}

/// Whether the next drop of a `Touchy` panics.
static PANICS: AtomicBool = AtomicBool::new(false);

struct Touchy(#[allow(dead_code, reason = "it is dropped")] String);

impl<'de> Deserialize<'de> for Touchy {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let text = String::deserialize(deserializer)?;
        assert!(text != "panic-in-deserialize", "a panic of the user's");
        Ok(Self(text))
    }
}

impl Drop for Touchy {
    fn drop(&mut self) {
        assert!(!PANICS.swap(false, Ordering::Relaxed), "a panic of the user's");
    }
}

#[tokio::test(start_paused = true)]
async fn a_panic_in_any_user_closure_stops_nothing() {
    #[derive(Deserialize)]
    struct Settings {
        value: Touchy,
    }
    let fake = FakeSecretsManager::new();
    fake.put("app/value", "1");
    let in_layers = Arc::new(AtomicBool::new(false));
    let panics = in_layers.clone();
    let settings: Live<Settings> = Live::builder(manager(&fake))
        .layers(move |secrets| {
            assert!(!panics.load(Ordering::Relaxed), "a panic of the user's");
            Layers::new().secrets(secrets)
        })
        .validate(|settings: &Settings| {
            assert!(settings.value.0 != "panic-in-validate", "a panic of the user's");
            Ok(())
        })
        .probe(|settings: Arc<Settings>| async move {
            assert!(settings.value.0 != "panic-in-probe", "a panic of the user's");
            Ok(())
        })
        .start()
        .await
        .unwrap();
    let derived = settings
        .derive("value", |settings: Arc<Settings>| async move {
            assert!(settings.value.0 != "panic-in-derive", "a panic of the user's");
            match settings.value.0.as_str() {
                "refuse" => Err(Rejected::new("refused")),
                value => Ok(value.to_owned()),
            }
        })
        .await
        .unwrap();
    for at in ["layers", "deserialize", "validate", "probe"] {
        in_layers.store(at == "layers", Ordering::Relaxed);
        fake.put("app/value", format!("panic-in-{at}"));
        let error = settings.refresh().await.unwrap_err();
        assert_eq!(error.kind(), ErrorKind::Rejected, "{at}");
        assert!(
            !format!("{error:?}").contains("a panic of the user's"),
            "the payload of the panic is shown: {at}"
        );
        assert_eq!(settings.load().value.0, "1");
    }
    fake.put("app/value", "panic-in-derive");
    assert!(derived.refresh().await.is_err());
    assert_eq!(
        (settings.load().value.0.as_str(), derived.load().as_str()),
        ("panic-in-derive", "1")
    );
    PANICS.store(true, Ordering::Relaxed);
    fake.put("app/value", "2");
    derived.refresh().await.unwrap();
    assert_eq!((settings.load().value.0.as_str(), derived.load().as_str()), ("2", "2"));
    assert!(!PANICS.load(Ordering::Relaxed), "the drop of the old settings did not panic");
    fake.put("app/value", "3");
    assert!(settings.refresh().await.unwrap().changed());
}

/// Eight threads read as fast as they can during ten thousand changes. Each read is of one
/// generation, none is older than the one before, and every thread reads the last.
#[test]
fn eight_readers_see_only_whole_generations_and_in_order() {
    const SWAPS: u32 = 10_000;
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
    let memory = secrets_provider::Memory::new();
    memory.put("app", r#"{"a": 0, "b": 0}"#);
    let manager = secrets_provider::SecretsManager::prefix("app").backend(memory.clone());
    let settings: Live<Pair<u32>> = runtime.block_on(secrets_only(manager).start()).unwrap();
    let over = Arc::new(AtomicBool::new(false));
    let seen = Arc::new(AtomicU32::new(0));
    let begun = Arc::new(std::sync::Barrier::new(9));
    std::thread::scope(|scope| {
        for reader in 0..8 {
            let (settings, over, seen) = (settings.clone(), over.clone(), seen.clone());
            let begun = begun.clone();
            scope.spawn(move || {
                let mut hot = settings.reader();
                begun.wait();
                let mut last = 0;
                let mut distinct = 0;
                loop {
                    let ending = over.load(Ordering::Acquire);
                    let (a, b) = match reader % 3 {
                        0 => {
                            let pair = settings.load();
                            (pair.a, pair.b)
                        }
                        1 => {
                            let pair = settings.current();
                            (pair.a, pair.b)
                        }
                        _ => {
                            let pair = hot.load();
                            (pair.a, pair.b)
                        }
                    };
                    assert_eq!(a, b, "values of two generations");
                    assert!(a >= last, "an older generation");
                    distinct += u32::from(a > last);
                    last = a;
                    if ending {
                        break;
                    }
                    // There may be fewer cores than readers, and the refresher needs one too.
                    std::thread::yield_now();
                }
                assert_eq!(last, SWAPS, "the last generation is missing");
                seen.fetch_add(distinct, Ordering::Relaxed);
            });
        }
        begun.wait();
        runtime.block_on(async {
            for n in 1..=SWAPS {
                memory.put("app", format!(r#"{{"a": {n}, "b": {n}}}"#));
                let refreshed = settings.refresh().await.unwrap();
                assert_eq!(refreshed.generation(), u64::from(n) + 1);
            }
        });
        over.store(true, Ordering::Release);
    });
    assert!(seen.load(Ordering::Relaxed) > 8, "the readers saw only the last generation");
}
